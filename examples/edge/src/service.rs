//! The service: one page whose content depends on country and visitor. In: the headers that decide. Out: the page, or 304.

use answer::Answer;

use crate::geo::Region;
use crate::split::{Percent, Variant};
use crate::validator;

/// The part of a request that decides.
#[derive(Debug, Clone, Default)]
pub(crate) struct Request<'a> {
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    pub(crate) country: Option<String>,
    pub(crate) visitor: Option<String>,
    pub(crate) if_none_match: Option<String>,
}

/// The answer to a request.
pub(crate) fn answer(request: &Request<'_>, share_of_b: Percent) -> Answer {
    if request.path != "/offer" {
        return Answer::empty(404);
    }
    if !matches!(request.method, "GET" | "HEAD") {
        return Answer::empty(405).with("allow", "GET, HEAD");
    }
    let region = Region::for_country(request.country.as_deref());
    let variant = request.visitor.as_deref().map_or(Variant::A, |visitor| {
        Variant::for_visitor(visitor, share_of_b)
    });
    let content = content(region, variant);
    let tag = validator::entity_tag(content.as_bytes());
    let known = request
        .if_none_match
        .as_deref()
        .is_some_and(|header| validator::names(header, &tag));
    let page = if known {
        Answer::empty(304)
    } else {
        Answer::json(200, content)
    };
    // RFC 9110, 15.4.5: a 304 carries the ETag, Cache-Control and Vary that the 200 would have had.
    page.with("etag", tag)
        .with("cache-control", caching(request))
        .with("vary", "x-country, x-visitor, cookie")
}

/// The `visitor` cookie.
pub(crate) fn visitor(cookies: &str) -> Option<String> {
    cookies
        .split([';', ','])
        .filter_map(|cookie| cookie.trim().split_once('='))
        .find(|(name, value)| *name == "visitor" && !value.is_empty())
        .map(|(_, value)| value.to_owned())
}

fn content(region: Region, variant: Variant) -> String {
    format!(
        r#"{{"region":"{}","variant":"{}","currency":"{}"}}"#,
        region.name(),
        variant.name(),
        region.currency()
    )
}

/// What is chosen for one visitor stays out of shared caches.
fn caching(request: &Request<'_>) -> &'static str {
    match request.visitor {
        Some(_) => "private, max-age=60",
        None => "public, max-age=60, stale-while-revalidate=30",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer() -> Request<'static> {
        Request {
            method: "GET",
            path: "/offer",
            ..Request::default()
        }
    }

    fn everybody() -> Percent {
        "100".parse().unwrap()
    }

    #[test]
    fn answers_by_country_and_visitor() {
        let request = Request {
            country: Some("BR".into()),
            visitor: Some("ann".into()),
            ..offer()
        };
        let page = answer(&request, everybody());
        assert_eq!(page.status, 200);
        assert_eq!(
            page.body,
            br#"{"region":"americas","variant":"b","currency":"USD"}"#
        );
        assert_eq!(page.header("cache-control"), Some("private, max-age=60"));
    }

    #[test]
    fn experiments_on_nobody_without_a_name() {
        let page = answer(&offer(), everybody());
        assert_eq!(
            page.body,
            br#"{"region":"europe","variant":"a","currency":"EUR"}"#
        );
        assert_eq!(
            page.header("cache-control"),
            Some("public, max-age=60, stale-while-revalidate=30")
        );
    }

    #[test]
    fn answers_304_to_who_has_the_page_and_only_then() {
        let page = answer(&offer(), everybody());
        let tag = page.header("etag").map(str::to_owned);
        let again = answer(
            &Request {
                if_none_match: tag.clone(),
                ..offer()
            },
            everybody(),
        );
        assert_eq!((again.status, again.body.len()), (304, 0));
        for name in ["etag", "cache-control", "vary"] {
            assert_eq!(again.header(name), page.header(name), "{name}");
        }
        let elsewhere = Request {
            if_none_match: tag,
            country: Some("JP".into()),
            ..offer()
        };
        assert_eq!(answer(&elsewhere, everybody()).status, 200);
    }

    #[test]
    fn finds_the_visitor_among_the_cookies() {
        assert_eq!(visitor("theme=dark; visitor=ann"), Some("ann".to_owned()));
        for cookies in ["", "visitor=", "visitors=ann", "theme"] {
            assert_eq!(visitor(cookies), None, "{cookies}");
        }
    }
}
