//! What a grant covers, and how a denial reads.

use std::sync::Arc;

use coracle_capability::secrets::{Freshness, Granted, Header, Headers, Memory, Reveal};
use http::{HeaderValue, Method};

use super::upstream::*;

fn target(method: &str, url: &str) -> Target {
    Target::of(&request(method, url, empty()).into_parts().0).unwrap()
}

fn rates() -> Grant {
    Grant {
        host: "tax.example.com".parse().unwrap(),
        port: None,
        scheme: Scheme::Https,
        methods: vec![Method::GET],
        path: "/rates/*".parse().unwrap(),
        headers: Headers::default(),
    }
}

#[test]
fn a_grant_covers_its_host_port_scheme_method_and_path_and_nothing_else() {
    let covered = [
        "https://tax.example.com/rates/",
        "https://TAX.example.com.:443/rates/de?year=2026",
        "HTTPS://tax.example.com/rates/a/b",
    ];
    for url in covered {
        assert_eq!(rates().permits(&target("GET", url)), Ok(()), "{url}");
    }
    let denied = [
        ("POST", "https://tax.example.com/rates/"),
        ("get", "https://tax.example.com/rates/"),
        ("GET", "http://tax.example.com/rates/"),
        ("GET", "http://tax.example.com:443/rates/"),
        ("GET", "https://tax.example.com:8443/rates/"),
        ("GET", "https://tax.example.com/rates"),
        ("GET", "https://tax.example.com/ratesx"),
        ("GET", "https://tax.example.com/RATES/x"),
        ("GET", "https://tax.example.com/?/rates/"),
        ("GET", "https://tax.example.com.evil.example/rates/"),
        ("GET", "https://evil-tax.example.com/rates/"),
        ("GET", "https://a.tax.example.com/rates/"),
        ("GET", "https://192.0.2.1/rates/"),
    ];
    for (method, url) in denied {
        assert!(
            matches!(
                rates().permits(&target(method, url)),
                Err(Denied::NotGranted(_))
            ),
            "{method} {url}"
        );
    }
}

#[test]
fn a_path_that_servers_read_differently_needs_a_grant_of_every_path() {
    #[rustfmt::skip]
    let paths = [
        "/rates/../admin", "/rates/..", "/rates/.", "/rates/./x", "/rates/%2e%2e/admin", "/rates/.%2E/admin", "/rates/a%2fb",
        "/rates/a%2Fb", "/rates/a%5cb", "/rates/..%2fadmin", "/rates/..;/admin", "/rates/..;a=b/admin", "/rates/%252e%252e/admin",
        "/rates/%00", "/rates/%0d%0a", "/rates/%zz", "/rates/%2", "/rates/%",
    ];
    let every = Grant {
        path: PathPattern::Every,
        ..rates()
    };
    for path in paths {
        let Ok(request) =
            http::Request::get(format!("https://tax.example.com{path}")).body(empty())
        else {
            continue;
        };
        let target = Target::of(&request.into_parts().0).unwrap();
        let Err(denied) = rates().permits(&target) else {
            panic!("{path}")
        };
        assert!(
            denied
                .to_string()
                .contains("only a grant without `path` covers it"),
            "{denied}"
        );
        assert_eq!(every.permits(&target), Ok(()), "{path}");
    }
    assert_eq!(
        rates().permits(&target(
            "GET",
            "https://tax.example.com/rates/%C3%A4%20b;v=1/..."
        )),
        Ok(())
    );
}

#[test]
fn a_wildcard_covers_names_below_it_but_not_itself_and_no_address() {
    let pattern: HostPattern = "*.Example.com".parse().unwrap();
    let covers = |host: &str| pattern.covers(&host.parse().unwrap());
    assert!(covers("a.example.com") && covers("a.b.example.com."));
    assert!(!covers("example.com") && !covers("badexample.com") && !covers("10.0.0.1"));
}

#[test]
fn a_grant_that_could_be_misread_is_not_made() {
    for host in [
        "",
        "*",
        "*.",
        "*.10.0.0.1",
        "a.*",
        "a*.example.com",
        "0x7f.1",
        "127.1",
        "2130706433",
        "user@host",
        "host:80",
        "a b",
        "exämple",
    ] {
        assert!(host.parse::<HostPattern>().is_err(), "{host}");
    }
    for host in [
        "example.com",
        "EXAMPLE.com.",
        "10.0.0.1",
        "::1",
        "[::1]",
        "*.example.com",
    ] {
        assert!(host.parse::<HostPattern>().is_ok(), "{host}");
    }
    for path in [
        "", "rates", "/a*", "/a/*/b", "/../*", "/%2e%2e", "/a?b", "/a#b", "*",
    ] {
        assert!(path.parse::<PathPattern>().is_err(), "{path}");
    }
    assert_eq!("/*".parse(), Ok(PathPattern::Every));
    assert_eq!("/a/*".parse(), Ok(PathPattern::Prefix("/a/".into())));
    assert_eq!("/a".parse(), Ok(PathPattern::Exact("/a".into())));
}

#[test]
fn a_denial_names_what_was_asked_and_the_line_that_would_grant_it() {
    let denied = |method, url| {
        rates()
            .permits(&target(method, url))
            .unwrap_err()
            .to_string()
    };
    assert_eq!(
        denied("POST", "https://tax.example.com/rates/de?key=secret"),
        "POST \"/rates/de\" to https host tax.example.com, port 443, is not granted; in coracle.toml, under this component's \
         grants: http = [{ host = \"tax.example.com\", methods = [\"POST\"], path = \"/rates/de\" }]"
    );
    assert_eq!(
        denied("GET", "http://[fd00::1]:8080/a/../b"),
        "GET \"/a/../b\" to http host [fd00::1], port 8080, is not granted (servers differ in how they read this path, so only a \
         grant without `path` covers it); in coracle.toml, under this component's grants: http = [{ host = \"[fd00::1]\", \
         methods = [\"GET\"], scheme = \"http\", port = 8080 }]"
    );
}

#[test]
fn the_operators_list_of_hosts_stands_above_every_grant() {
    let allowed = Allowed {
        hosts: Some(vec!["*.example.org".parse().unwrap()]),
        ..Allowed::default()
    };
    let grants = GrantSet {
        grants: vec![rates()],
        allowed: allowed.into(),
    };
    let denied = grants
        .permits(&target("GET", "https://tax.example.com/rates/"))
        .unwrap_err();
    assert_eq!(
        denied.to_string(),
        "host tax.example.com may not be granted; the operator allows it in host.toml: [allow] hosts = [\"tax.example.com\"]"
    );
}

#[tokio::test]
async fn what_is_not_granted_opens_no_connection() {
    let upstream = Upstream::http(|_| async { ok(empty()) }).await;
    let mut grants = upstream.grants();
    grants.grants[0].methods = vec![Method::GET];
    let outcome = send(
        &client(),
        &grants,
        request("DELETE", &upstream.url("/"), empty()),
    )
    .await;
    assert!(
        matches!(outcome, Err(Error::HttpRequestDenied(_))),
        "{outcome:?}"
    );
    for method in ["CONNECT", "TRACE"] {
        let outcome = send(
            &client(),
            &upstream.grants(),
            request(method, &upstream.url("/"), empty()),
        )
        .await;
        assert_eq!(
            outcome.err(),
            Some(Error::HttpRequestMethodInvalid),
            "{method}"
        );
    }
    assert_eq!(upstream.accepted(), 0);
}

#[tokio::test]
async fn a_grants_own_fields_replace_the_guests() {
    let upstream = Upstream::http(|request| async move {
        let seen: Vec<_> = request
            .headers()
            .get_all("authorization")
            .iter()
            .map(|v| v.to_str().unwrap().to_owned())
            .collect();
        ok(full(seen.join("|")))
    })
    .await;
    let mut grants = upstream.grants();
    let kept = Arc::new(Memory::new([("key", "secret")]));
    let header = Header {
        name: http::header::AUTHORIZATION,
        format: "Bearer {}".parse().unwrap(),
        secret: Arc::new(Granted::new(kept, "key", Reveal::Granted)),
    };
    grants.grants[0].headers = Headers::new(vec![header], Freshness::default());
    assert!(!format!("{grants:?}").contains("secret"));
    let mut request = get(&upstream.url("/"));
    request
        .headers_mut()
        .append("authorization", HeaderValue::from_static("guest"));
    request
        .headers_mut()
        .append("authorization", HeaderValue::from_static("guest 2"));
    assert_eq!(
        text(send(&client(), &grants, request).await.unwrap()).await,
        "Bearer secret"
    );
}

#[test]
fn a_call_and_a_reply_survive_being_stored() {
    let mut request = request("PUT", "https://example.com:8443/a?b=c", empty());
    request
        .headers_mut()
        .append("x-a", HeaderValue::from_static("1"));
    request
        .headers_mut()
        .append("x-a", HeaderValue::from_bytes(b"\xff").unwrap());
    let (head, _) = request.into_parts();
    let call = Call::of(&head, Timeouts::default()).unwrap();
    let stored: Call = serde_json::from_str(&serde_json::to_string(&call).unwrap()).unwrap();
    assert_eq!(stored, call);
    let again = stored.head().unwrap();
    assert_eq!(
        (again.method, again.uri, again.headers),
        (head.method, head.uri, head.headers)
    );

    let reply = Reply {
        status: 404,
        headers: vec![("x-b".into(), b"2".to_vec())],
    };
    assert_eq!(Reply::of(&reply.head().unwrap()), reply);
    let host: Host = "[::ffff:10.0.0.1]".parse().unwrap();
    assert_eq!(host.to_string(), "10.0.0.1");
}
