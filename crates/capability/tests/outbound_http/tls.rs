//! TLS and HTTP/2: who is trusted, and one connection for many.

use std::{convert::Infallible, io, sync::Arc};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body::Frame;
use http_body_util::BodyExt;
use hyper::{body::Incoming, server::conn, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{RootCertStore, ServerConfig, crypto::ring, server::WebPkiClientVerifier};
use rustls_pki_types::{PrivateKeyDer, pem::PemObject};
use tokio::sync::{Barrier, mpsc};
use tokio_rustls::TlsAcceptor;

use super::{
    streaming::{data, echo, fed},
    upstream::*,
};

struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn pem(&self) -> Vec<u8> {
        self.0.pem().into_bytes()
    }

    fn issue(&self, name: &str) -> (Vec<u8>, Vec<u8>) {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec![name.to_owned()])
            .unwrap()
            .signed_by(&key, &self.0)
            .unwrap();
        (
            certificate.pem().into_bytes(),
            key.serialize_pem().into_bytes(),
        )
    }

    fn server(&self, name: &str, protocols: &[&str], clients: Option<&Self>) -> TlsAcceptor {
        let (certificate, key) = self.issue(name);
        let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap();
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(clients) => {
                let mut roots = RootCertStore::empty();
                roots.add(clients.0.der().clone()).unwrap();
                let provider = Arc::new(ring::default_provider());
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                builder.with_client_cert_verifier(verifier.build().unwrap())
            }
        };
        let chain = vec![rustls_pki_types::CertificateDer::from_pem_slice(&certificate).unwrap()];
        let mut config = builder
            .with_single_cert(chain, PrivateKeyDer::from_pem_slice(&key).unwrap())
            .unwrap();
        config.alpn_protocols = protocols
            .iter()
            .map(|protocol| protocol.as_bytes().to_vec())
            .collect();
        TlsAcceptor::from(Arc::new(config))
    }
}

async fn serve<F, Fut>(acceptor: TlsAcceptor, handle: F) -> Upstream
where
    F: Fn(Request<Incoming>) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Response<Body>> + Send + 'static,
{
    Upstream::script(move |stream, _| {
        let (acceptor, handle) = (acceptor.clone(), handle.clone());
        let service = service_fn(move |request| {
            let response = handle(request);
            async move { Ok::<_, Infallible>(response.await) }
        });
        async move {
            let stream = acceptor.accept(stream).await?;
            let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
            let io = TokioIo::new(stream);
            let served = match is_http2 {
                true => {
                    conn::http2::Builder::new(TokioExecutor::new())
                        .serve_connection(io, service)
                        .await
                }
                false => {
                    conn::http1::Builder::new()
                        .serve_connection(io, service)
                        .await
                }
            };
            served.map_err(io::Error::other)
        }
    })
    .await
}

fn trusting(authority: &Authority) -> Client {
    let tls = TlsSettings::default().trust_only(&authority.pem()).unwrap();
    Client::new(Settings {
        tls,
        resolver: Names::new(&[&["127.0.0.1"]]),
        ..settings()
    })
}

fn secure(upstream: &Upstream, name: &str) -> (GrantSet, String) {
    let port = upstream.address.port();
    let grant = grant(Host::Name(name.into()), port, Scheme::Https);
    let grants = GrantSet {
        grants: vec![grant],
        allowed: allowed(&["127.0.0.1/32"]),
    };
    (grants, format!("https://{name}:{port}/"))
}

#[tokio::test]
async fn the_protocol_is_the_servers_choice_and_the_authority_is_the_urls() {
    let authority = Authority::new();
    for (protocols, version) in [
        (&["h2", "http/1.1"][..], "HTTP/2.0"),
        (&["http/1.1"], "HTTP/1.1"),
        (&[], "HTTP/1.1"),
    ] {
        let upstream = serve(
            authority.server("up.example", protocols, None),
            |request| async move {
                let fields = request
                    .headers()
                    .get_all("host")
                    .iter()
                    .map(|host| host.to_str().unwrap());
                let hosts: Vec<_> = request
                    .uri()
                    .authority()
                    .map(|host| host.as_str())
                    .into_iter()
                    .chain(fields)
                    .collect();
                ok(full(format!("{:?} {}", request.version(), hosts.join(" "))))
            },
        )
        .await;
        let (grants, url) = secure(&upstream, "up.example");
        let mut request = get(&url);
        request
            .headers_mut()
            .insert("host", HeaderValue::from_static("internal.example"));
        let seen = text(send(&trusting(&authority), &grants, request).await.unwrap()).await;
        assert_eq!(
            seen,
            format!("{version} up.example:{}", upstream.address.port())
        );
    }
}

#[tokio::test]
async fn a_certificate_of_another_name_or_authority_is_refused() {
    let (authority, other) = (Authority::new(), Authority::new());
    let upstream = serve(authority.server("up.example", &["h2"], None), |_| async {
        ok(empty())
    })
    .await;
    let (grants, url) = secure(&upstream, "other.example");
    assert_eq!(
        send(&trusting(&authority), &grants, get(&url)).await.err(),
        Some(Error::TlsCertificateError)
    );
    let (grants, url) = secure(&upstream, "up.example");
    assert_eq!(
        send(&trusting(&other), &grants, get(&url)).await.err(),
        Some(Error::TlsCertificateError)
    );
    let system = Client::new(Settings {
        resolver: Names::new(&[&["127.0.0.1"]]),
        ..settings()
    });
    assert_eq!(
        send(&system, &grants, get(&url)).await.err(),
        Some(Error::TlsCertificateError)
    );
    // A private authority beside the system's own.
    let tls = TlsSettings::default().trust(&authority.pem()).unwrap();
    let both = Client::new(Settings {
        tls,
        resolver: Names::new(&[&["127.0.0.1"]]),
        ..settings()
    });
    assert!(send(&both, &grants, get(&url)).await.is_ok());
}

#[tokio::test]
async fn a_server_that_asks_for_a_certificate_gets_the_operators() {
    let authority = Authority::new();
    let upstream = serve(
        authority.server("up.example", &["http/1.1"], Some(&authority)),
        |_| async { ok(full("ok")) },
    )
    .await;
    let (grants, url) = secure(&upstream, "up.example");
    let refused = send(&trusting(&authority), &grants, get(&url)).await.err();
    assert!(
        matches!(refused, Some(Error::TlsAlertReceived { id: 116, .. })),
        "{refused:?}"
    );

    let (chain, key) = authority.issue("client.example");
    let tls = TlsSettings::default()
        .trust_only(&authority.pem())
        .unwrap()
        .identify(&chain, &key)
        .unwrap();
    let client = Client::new(Settings {
        tls,
        resolver: Names::new(&[&["127.0.0.1"]]),
        ..settings()
    });
    assert_eq!(
        text(send(&client, &grants, get(&url)).await.unwrap()).await,
        "ok"
    );

    let (_, foreign_key) = authority.issue("client.example");
    assert!(
        TlsSettings::default()
            .identify(&chain, &foreign_key)
            .is_err()
    );
    assert!(TlsSettings::default().identify(b"not pem", &key).is_err());
    assert!(TlsSettings::default().trust(b"not pem").is_err());
}

#[tokio::test]
async fn a_server_that_does_not_speak_tls_or_does_not_speak_is_told_apart() {
    let clear = Upstream::bytes("HTTP/1.1 400 Bad Request\r\n\r\n").await;
    let authority = Authority::new();
    let (grants, url) = secure(&clear, "up.example");
    let outcome = send_within(&trusting(&authority), &grants, get(&url), SHORT).await;
    // The script waits for the end of a head that never comes, unless the handshake's bytes happen to look like one.
    assert!(
        matches!(
            outcome,
            Err(Error::ConnectionTimeout | Error::TlsProtocolError)
        ),
        "{outcome:?}"
    );
    let babbling = Upstream::script(|mut stream, _| async move {
        tokio::io::AsyncWriteExt::write_all(&mut stream, b"220 smtp.example ESMTP\r\n").await?;
        std::future::pending().await
    })
    .await;
    let (grants, url) = secure(&babbling, "up.example");
    let outcome = send_within(&trusting(&authority), &grants, get(&url), SHORT).await;
    assert_eq!(outcome.err(), Some(Error::TlsProtocolError));
}

#[tokio::test]
async fn many_requests_at_once_share_one_connection_of_http_2() {
    let authority = Authority::new();
    let all = Arc::new(Barrier::new(20));
    let upstream = serve(
        authority.server("up.example", &["h2"], None),
        move |request| {
            let all = Arc::clone(&all);
            async move {
                // Answers nobody until all have asked.
                all.wait().await;
                ok(full(request.uri().path().to_owned()))
            }
        },
    )
    .await;
    let client = trusting(&authority);
    let (grants, url) = secure(&upstream, "up.example");
    let exchanges = (0..20).map(|n| {
        let (client, grants, url) = (&client, &grants, &url);
        async move {
            let response = send(client, grants, get(&format!("{url}{n}")))
                .await
                .unwrap();
            assert_eq!(text(response).await, format!("/{n}"));
        }
    });
    futures_util::future::join_all(exchanges).await;
    assert_eq!(upstream.accepted(), 1);
}

#[tokio::test]
async fn trailers_pass_both_ways_over_http_2() {
    let authority = Authority::new();
    let upstream = serve(authority.server("up.example", &["h2"], None), echo).await;
    let (grants, url) = secure(&upstream, "up.example");
    let (feed, body) = fed();
    let client = trusting(&authority);
    let mut response = send(&client, &grants, request("POST", &url, body))
        .await
        .unwrap();
    feed.send(data("a")).await.unwrap();
    assert_eq!(
        response
            .body_mut()
            .frame()
            .await
            .unwrap()
            .unwrap()
            .into_data()
            .unwrap(),
        "a"
    );
    let trailers =
        HeaderMap::from_iter([("x-sum".parse().unwrap(), HeaderValue::from_static("1"))]);
    feed.send(Frame::<Bytes>::trailers(trailers.clone()))
        .await
        .unwrap();
    drop(feed);
    assert_eq!(
        response
            .body_mut()
            .frame()
            .await
            .unwrap()
            .unwrap()
            .into_trailers()
            .unwrap(),
        trailers
    );
}

#[tokio::test]
async fn a_response_dropped_early_resets_its_stream_and_keeps_the_connection() {
    let authority = Authority::new();
    let (gone, mut departures) = mpsc::unbounded_channel();
    let upstream = serve(
        authority.server("up.example", &["h2"], None),
        move |request| {
            let gone = gone.clone();
            async move {
                if request.method() == "GET" {
                    return ok(full("ok"));
                }
                let (feed, endless) = fed();
                tokio::spawn(async move {
                    while feed.send(data("a")).await.is_ok() {}
                    // The request ends with the response: by a reset, not as if the guest had finished.
                    gone.send(request.into_body().collect().await.is_err())
                        .unwrap();
                });
                ok(endless)
            }
        },
    )
    .await;
    let (grants, url) = secure(&upstream, "up.example");
    let client = trusting(&authority);
    let (feed, body) = fed();
    let mut response = send(&client, &grants, request("POST", &url, body))
        .await
        .unwrap();
    response.body_mut().frame().await.unwrap().unwrap();
    drop(response);
    // The guest's own end of the request body learns of it too.
    tokio::time::timeout(BOUND, feed.closed()).await.unwrap();
    assert_eq!(
        tokio::time::timeout(BOUND, departures.recv())
            .await
            .unwrap(),
        Some(true)
    );
    assert_eq!(
        text(send(&client, &grants, get(&url)).await.unwrap()).await,
        "ok"
    );
    assert_eq!(upstream.accepted(), 1);
}

#[tokio::test]
async fn after_goaway_the_next_request_takes_a_new_connection() {
    let authority = Authority::new();
    let acceptor = authority.server("up.example", &["h2"], None);
    let upstream = Upstream::script(move |stream, n| {
        let acceptor = acceptor.clone();
        async move {
            let io = TokioIo::new(acceptor.accept(stream).await?);
            let service =
                service_fn(move |_| async move { Ok::<_, Infallible>(ok(full(n.to_string()))) });
            let served =
                conn::http2::Builder::new(TokioExecutor::new()).serve_connection(io, service);
            let mut served = std::pin::pin!(served);
            // Serves what comes in with the first read, then says goodbye and drains.
            std::future::poll_fn(|cx| {
                let _ = served.as_mut().poll(cx);
                std::task::Poll::Ready(())
            })
            .await;
            served.as_mut().graceful_shutdown();
            served.await.map_err(io::Error::other)
        }
    })
    .await;
    let (grants, url) = secure(&upstream, "up.example");
    let client = trusting(&authority);
    for _ in 0..5 {
        let response = send(&client, &grants, get(&url)).await.unwrap();
        text(response).await.parse::<usize>().unwrap();
    }
    assert!(upstream.accepted() > 1, "{}", upstream.accepted());
}

#[tokio::test]
async fn a_head_of_http_2_over_the_limits_is_refused() {
    let authority = Authority::new();
    let upstream = serve(
        authority.server("up.example", &["h2"], None),
        |request| async move {
            let mut response = ok(full("ok"));
            let (count, size) = if request.uri().path() == "/many" {
                (200, 1)
            } else {
                (90, 2000)
            };
            for n in 0..count {
                let name = http::HeaderName::try_from(format!("x-{n}")).unwrap();
                response
                    .headers_mut()
                    .insert(name, HeaderValue::try_from("a".repeat(size)).unwrap());
            }
            response
        },
    )
    .await;
    let (grants, url) = secure(&upstream, "up.example");
    let client = trusting(&authority);
    let outcome = send(&client, &grants, get(&format!("{url}many"))).await;
    assert_eq!(
        outcome.err(),
        Some(Error::HttpResponseHeaderSectionSize(None))
    );
    let outcome = send_within(&client, &grants, get(&format!("{url}large")), SHORT).await;
    assert!(outcome.is_err(), "{outcome:?}");
}
