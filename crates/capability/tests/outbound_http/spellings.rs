//! FAULTS.md, C1: every spelling of an address that is not public.

use std::net::{IpAddr, SocketAddr, UdpSocket};

use super::upstream::*;

#[rustfmt::skip]
const SPECIAL: &[&str] = &[
    "0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "100.100.100.200", "100.127.255.255", "127.0.0.1", "127.255.255.254",
    "168.63.129.16", "169.254.0.1", "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.192", "192.0.0.1",
    "192.0.2.1", "192.88.99.1", "192.168.0.1", "198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.1", "224.0.0.1",
    "239.255.255.255", "240.0.0.1", "255.255.255.255",
    "::", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "::ffff:0:127.0.0.1", "64:ff9b::", "64:ff9b::8.8.8.8",
    "64:ff9b:1::a00:1", "100::1", "2001::1", "2001:2::1", "2001:10::1", "2001:20::1", "2001:db8::1", "2002:7f00:1::", "2002:808:808::",
    "3fff::1", "5f00::1", "fc00::1", "fd00:ec2::254", "fd12:3456::1", "fe80::1", "fec0::1", "ff02::1",
];

#[rustfmt::skip]
const PUBLIC: &[&str] = &[
    "1.1.1.1", "8.8.8.8", "11.0.0.1", "100.63.255.255", "100.128.0.1", "168.63.129.17", "172.15.0.1", "172.32.0.1", "192.0.1.1",
    "198.17.0.1", "198.20.0.1", "223.255.255.255", "::ffff:8.8.8.8", "2001:4860:4860::8888", "2606:4700::1111", "2a00:1450::1",
];

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn every_range_that_is_not_public_has_a_name() {
    for text in SPECIAL {
        assert!(special(ip(text)).is_some(), "{text}");
    }
    for text in PUBLIC {
        assert_eq!(special(ip(text)), None, "{text}");
    }
}

#[test]
fn special_addresses_pass_only_inside_the_operators_networks() {
    for text in SPECIAL {
        assert!(
            Allowed::default()
                .address(SocketAddr::new(ip(text), 80))
                .is_err(),
            "{text}"
        );
    }
    for text in PUBLIC {
        assert_eq!(
            Allowed::default().address(SocketAddr::new(ip(text), 80)),
            Ok(()),
            "{text}"
        );
    }
    let allowed = allowed(&["10.0.0.0/8", "fd00::/8"]);
    let may = |text| allowed.address(SocketAddr::new(ip(text), 80)).is_ok();
    assert!(may("10.1.2.3") && may("::ffff:10.1.2.3") && may("fd00:ec2::254"));
    assert!(!may("127.0.0.1") && !may("169.254.169.254") && !may("fe80::1"));
}

#[test]
fn an_address_that_carries_another_needs_both_to_be_allowed() {
    let allowed = allowed(&["64:ff9b::/96", "2002::/16", "2001::/32"]);
    let may = |text| allowed.address(SocketAddr::new(ip(text), 80)).is_ok();
    assert!(may("64:ff9b::8.8.8.8") && may("2002:808:808::1"));
    // Teredo inverts the client's address: f5ff:fffe is 10.0.0.1, f7f7:f7f7 is 8.8.8.8.
    assert!(may("2001:0:808:808:0:0:f7f7:f7f7"));
    for private in [
        "64:ff9b::10.0.0.1",
        "64:ff9b::169.254.169.254",
        "2002:7f00:1::1",
        "2001:0:808:808:0:0:f5ff:fffe",
    ] {
        assert!(!may(private), "{private}");
    }
}

#[test]
fn the_node_knows_its_own_addresses() {
    assert!(is_own(ip("127.0.0.1")));
    assert!(!is_own(ip("8.8.8.8")));
    // The address that this machine would use towards another, where it has one: no packet is sent.
    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
    if socket.connect("192.0.2.1:9").is_ok() {
        assert!(is_own(socket.local_addr().unwrap().ip()));
    }
}

#[test]
fn a_control_port_is_refused_on_the_nodes_own_addresses_whatever_is_allowed() {
    let allowed = Allowed {
        networks: vec!["0.0.0.0/0".parse().unwrap()],
        control_ports: vec![9900],
        ..Allowed::default()
    };
    assert_eq!(allowed.address("127.0.0.1:9901".parse().unwrap()), Ok(()));
    let refused = allowed
        .address("127.0.0.1:9900".parse().unwrap())
        .unwrap_err();
    assert_eq!(
        refused.to_string(),
        "address 127.0.0.1, port 9900, may not be dialled (a control port of the node)"
    );
    assert_eq!(allowed.address("10.0.0.1:9900".parse().unwrap()), Ok(()));
}

#[test]
fn a_network_without_a_length_is_one_address_and_stray_bits_are_refused() {
    assert!(
        "10.0.0.1"
            .parse::<Network>()
            .unwrap()
            .contains(ip("10.0.0.1"))
    );
    assert!(
        !"10.0.0.1"
            .parse::<Network>()
            .unwrap()
            .contains(ip("10.0.0.2"))
    );
    assert!(
        "0.0.0.0/0"
            .parse::<Network>()
            .unwrap()
            .contains(ip("8.8.8.8"))
    );
    for bad in [
        "",
        "10.0.0.1/8",
        "10.0.0.0/33",
        "::/129",
        "10/8",
        "example.com",
        "10.0.0.0/",
    ] {
        assert!(bad.parse::<Network>().is_err(), "{bad}");
    }
}

#[tokio::test]
async fn a_granted_host_that_is_not_public_is_not_dialled() {
    for text in SPECIAL {
        let address = ip(text);
        let host = Host::Address(address.to_canonical());
        let url = if address.is_ipv6() {
            format!("http://[{text}]/")
        } else {
            format!("http://{text}/")
        };
        let outcome = send(&client(), &grants(host, 80, &[]), get(&url)).await;
        assert!(
            matches!(outcome, Err(Error::DestinationIpProhibited(_))),
            "{text}: {outcome:?}"
        );
    }
}

#[tokio::test]
async fn localhost_is_refused_in_every_spelling_and_the_reason_names_the_line() {
    for url in [
        "http://localhost/",
        "http://localhost./",
        "http://LOCALHOST/",
        "HTTP://LocalHost.:80/",
    ] {
        let outcome = send(
            &client(),
            &grants(Host::Name("localhost".into()), 80, &[]),
            get(url),
        )
        .await;
        let Err(Error::DestinationIpProhibited(why)) = outcome else {
            panic!("{url}: {outcome:?}")
        };
        assert!(
            why.contains("(loopback); the operator allows it in host.toml: [allow] networks = [\""),
            "{why}"
        );
    }
}

#[tokio::test]
async fn a_spelling_that_two_readers_understand_differently_is_no_url() {
    #[rustfmt::skip]
    let urls = [
        "http://2130706433/", "http://0x7f000001/", "http://0x7f.1/", "http://0177.0.0.1/", "http://127.1/", "http://127.0.0.1./",
        "http://127.0.0.0x1/", "http://0x/", "http://1.2.3.4.5/", "http://256.0.0.1/", "http://example.0x7f/", "http://user@127.0.0.1/",
        "http://good.example:80@127.0.0.1/", "http://[::1%25lo]/", "http://[127.0.0.1]/", "http://exa%6dple.com/", "http://a..b/",
        "http://.a/", "http://example.com:/", "http://example.com:0/", "http://example.com:99999/", "http://example.com:+80/",
        "ftp://example.com/", "/only/a/path", "http://\u{ff0e}/",
    ];
    for url in urls {
        // What http::Uri refuses never becomes a request.
        let Ok(request) = http::Request::get(url).body(empty()) else {
            continue;
        };
        let outcome = send(
            &client(),
            &grants(Host::Name("example.com".into()), 80, &["0.0.0.0/0"]),
            request,
        )
        .await;
        assert_eq!(outcome.err(), Some(Error::HttpRequestUriInvalid), "{url}");
    }
}
