//! The edge service over HTTP. In: a running service. Out: what a client or a cache in between sees.
//! Compiled by the main workspace, which has `coracle-testkit`.

use coracle_testkit::{Service, http};

fn offer(service: &Service, headers: &[(&str, &str)]) -> http::Response {
    http::request(
        "GET",
        &format!("{}/offer", service.base_url()),
        headers,
        b"",
    )
}

#[test]
fn answers_304_to_who_has_the_page() {
    let service = Service::coracle("edge", None);
    let page = offer(&service, &[]);
    let tag = page.header("etag").expect("an entity tag").to_owned();
    assert_eq!(
        page.header("cache-control"),
        Some("public, max-age=60, stale-while-revalidate=30")
    );

    let again = offer(
        &service,
        &[("if-none-match", &format!("\"other\", W/{tag}"))],
    );
    assert_eq!((again.status, again.body.len()), (304, 0));
    assert_eq!(again.header("etag"), Some(tag.as_str()));

    let elsewhere = offer(&service, &[("if-none-match", &tag), ("x-country", "JP")]);
    assert_eq!(elsewhere.status, 200);
}

#[test]
fn routes_by_country() {
    let service = Service::coracle("edge", None);
    for (country, region) in [
        ("BR", "americas"),
        ("jp", "asia-pacific"),
        ("DE", "europe"),
        ("??", "europe"),
    ] {
        assert_eq!(
            offer(&service, &[("x-country", country)]).json()["region"],
            region,
            "{country}"
        );
    }
}

#[test]
fn shows_a_visitor_the_same_variant_every_time() {
    let service = Service::coracle("edge", None);
    let variant =
        |visitor: &str| offer(&service, &[("x-visitor", visitor)]).json()["variant"].clone();
    let by_cookie = |visitor: &str| {
        offer(
            &service,
            &[("cookie", &format!("theme=dark; visitor={visitor}"))],
        )
        .json()["variant"]
            .clone()
    };
    let variants: Vec<_> = (0..100).map(|n| variant(&format!("visitor-{n}"))).collect();
    assert!(
        variants.iter().any(|shown| shown == "b"),
        "nobody saw variant B"
    );
    assert!(
        variants.iter().filter(|shown| *shown == "b").count() < 50,
        "a share of 20 % reached half of the visitors"
    );
    for (n, shown) in variants.iter().enumerate().take(10) {
        assert_eq!(&by_cookie(&format!("visitor-{n}")), shown);
    }
}
