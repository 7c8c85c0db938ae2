//! FAULTS.md, C2: names that change their mind, and addresses that do not answer.

use std::{
    future::pending,
    io,
    net::{IpAddr, SocketAddr},
    sync::{Arc, atomic::Ordering},
};

use futures_util::future::BoxFuture;

use super::upstream::*;

fn resolving(names: Arc<impl Resolve + 'static>) -> Client {
    // Nothing is kept, so that every request dials.
    Client::new(Settings {
        resolver: names,
        max_idle: 0,
        ..settings()
    })
}

fn rebound(port: u16, networks: &[&str]) -> GrantSet {
    grants(Host::Name("rebind.example".into()), port, networks)
}

async fn answering(address: SocketAddr, body: &'static str) -> Upstream {
    Upstream::script_at(address, move |mut stream, _| async move {
        read_head(&mut stream).await?;
        let answer = format!(
            "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        tokio::io::AsyncWriteExt::write_all(&mut stream, answer.as_bytes()).await
    })
    .await
}

#[tokio::test]
async fn a_name_that_alternates_between_allowed_and_forbidden_never_reaches_the_forbidden_address()
{
    let good = answering("127.0.0.1:0".parse().unwrap(), "good").await;
    let port = good.address.port();
    let evil = answering(SocketAddr::new("127.0.0.2".parse().unwrap(), port), "evil").await;
    let alternating: [&[&str]; 4] = [
        &["127.0.0.1"],
        &["127.0.0.2"],
        &["127.0.0.1"],
        &["::ffff:127.0.0.2"],
    ];
    let names = Names::new(&alternating);
    let client = resolving(Arc::clone(&names));
    let grants = rebound(port, &["127.0.0.1/32"]);
    for turn in 0..4 {
        let outcome = send(
            &client,
            &grants,
            get(&format!("http://rebind.example:{port}/")),
        )
        .await;
        match turn % 2 {
            0 => assert_eq!(text(outcome.unwrap()).await, "good"),
            _ => assert!(
                matches!(outcome, Err(Error::DestinationIpProhibited(_))),
                "{outcome:?}"
            ),
        }
    }
    // One question for each connection: the address that was checked is the one that was dialled.
    assert_eq!(
        (
            names.asked.load(Ordering::SeqCst),
            good.accepted(),
            evil.accepted()
        ),
        (4, 2, 0)
    );
}

#[tokio::test]
async fn of_several_addresses_only_the_allowed_ones_are_dialled_in_their_order() {
    let good = answering("127.0.0.1:0".parse().unwrap(), "good").await;
    let port = good.address.port();
    let evil = answering(SocketAddr::new("127.0.0.2".parse().unwrap(), port), "evil").await;
    // 127.0.0.3 is allowed and refuses the connection.
    let client = resolving(Names::new(&[&[
        "127.0.0.2",
        "169.254.169.254",
        "127.0.0.3",
        "127.0.0.1",
    ]]));
    let outcome = send(
        &client,
        &rebound(port, &["127.0.0.1/32", "127.0.0.3/32"]),
        get(&format!("http://rebind.example:{port}/")),
    )
    .await;
    assert_eq!(text(outcome.unwrap()).await, "good");
    assert_eq!(evil.accepted(), 0);
}

#[tokio::test]
async fn a_name_with_a_thousand_addresses_costs_no_more_than_a_few() {
    let good = answering("127.0.0.1:0".parse().unwrap(), "good").await;
    let mut list = vec!["127.0.0.2"; 1000];
    list.push("127.0.0.1");
    let client = resolving(Names::new(&[&list]));
    let port = good.address.port();
    let outcome = send(
        &client,
        &rebound(port, &["127.0.0.1/32"]),
        get(&format!("http://rebind.example:{port}/")),
    )
    .await;
    assert!(
        matches!(outcome, Err(Error::DestinationIpProhibited(_))),
        "{outcome:?}"
    );
    assert_eq!(good.accepted(), 0);
}

#[tokio::test]
async fn an_allowed_address_is_not_inherited_by_a_component_without_it() {
    let upstream = Upstream::http(|_| async { ok(full("one")) }).await;
    let port = upstream.address.port();
    let client = Client::new(Settings {
        resolver: Names::new(&[&["127.0.0.1"]]),
        ..settings()
    });
    let url = format!("http://rebind.example:{port}/");
    assert_eq!(
        text(
            send(&client, &rebound(port, &["127.0.0.1/32"]), get(&url))
                .await
                .unwrap()
        )
        .await,
        "one"
    );
    // The connection of the first is idle now, and is not the second's to use.
    let outcome = send(&client, &rebound(port, &["10.0.0.0/8"]), get(&url)).await;
    assert!(
        matches!(outcome, Err(Error::DestinationIpProhibited(_))),
        "{outcome:?}"
    );
}

#[derive(Debug)]
struct Silent;

impl Resolve for Silent {
    fn resolve(&self, _: &str) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        Box::pin(pending())
    }
}

#[derive(Debug)]
struct Failing;

impl Resolve for Failing {
    fn resolve(&self, _: &str) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        Box::pin(async { Err(io::Error::other("servfail")) })
    }
}

#[tokio::test]
async fn a_lookup_that_fails_hangs_or_finds_nothing_is_told_apart() {
    let grants = rebound(80, &[]);
    let request = || get("http://rebind.example/");
    let outcome = send_within(&resolving(Arc::new(Silent)), &grants, request(), SHORT).await;
    assert_eq!(outcome.err(), Some(Error::DnsTimeout));
    let outcome = send(&resolving(Arc::new(Failing)), &grants, request()).await;
    assert_eq!(outcome.err(), Some(Error::DnsError("servfail".into())));
    let outcome = send(&resolving(Names::new(&[&[]])), &grants, request()).await;
    assert_eq!(outcome.err(), Some(Error::DestinationNotFound));
}

#[tokio::test]
async fn a_port_where_nobody_listens_refuses() {
    let upstream = Upstream::http(|_| async { ok(empty()) }).await;
    let (url, grants, address) = (upstream.url("/"), upstream.grants(), upstream.address);
    drop(upstream);
    // The listener closes when its aborted task is dropped: binding the port again proves that it has.
    while tokio::net::TcpListener::bind(address).await.is_err() {
        tokio::task::yield_now().await;
    }
    assert_eq!(
        send(&client(), &grants, get(&url)).await.err(),
        Some(Error::ConnectionRefused)
    );
}
