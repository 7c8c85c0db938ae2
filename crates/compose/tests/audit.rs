//! What each part of an app can reach, asked of manifests as people write them.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]

use std::fs;

use coracle_compose::audit::{From, To, difference, idle, powers, reached, sentences, ways};
use coracle_manifest::{App, load, name::ComponentName};
use tempfile::TempDir;

/// An app of the shop's shape: a filter, a component that composes two, a diamond, and one that nobody calls.
const SHOP: &str = r#"
[app]
name = "shop"
[component.edge]
source = "a.wasm"
[component.edge.grants]
clock = true
[component.orders]
source = "a.wasm"
links = { "shop:payments/charge" = "payments", "shop:inventory/stock" = { component = "inventory", instance = "own" } }
[component.orders.grants]
http = [{ host = "tax.example.com", methods = ["GET"], path = "/rates/*", headers = { authorization = { secret = "tax-key" } } }]
files = [{ dir = "etc/orders", at = "/etc" }]
[component.payments]
source = "a.wasm"
links = { "shop:ledger/book" = "ledger" }
[component.payments.grants]
secrets = [{ name = "stripe-key", reveal = true }]
http = [{ host = "*.stripe.example", methods = ["POST"] }]
[component.inventory]
source = "a.wasm"
links = { "shop:ledger/book" = "ledger" }
[component.ledger]
source = "a.wasm"
[component.ledger.grants]
keyvalue = [{ bucket = "ledger", access = "read-write", prefix = "v1/" }]
[component.report]
source = "a.wasm"
[component.report.grants]
keyvalue = [{ bucket = "ledger" }]
[component.admin]
source = "a.wasm"
[component.spare]
source = "a.wasm"
[bucket.ledger]
[bucket.other]
[secret.tax-key]
[secret.stripe-key]
[[route]]
path = "/orders/{id}"
methods = ["GET", "POST"]
component = "orders"
filters = ["edge"]
[[route]]
path = "/report"
component = "report"
[[route]]
path = "/admin"
host = "admin.example.com"
component = "admin"
filters = ["edge"]
"#;

fn app(manifest: &str) -> (TempDir, App) {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("etc/orders")).unwrap();
    fs::create_dir_all(folder.path().join("data")).unwrap();
    fs::write(folder.path().join("a.wasm"), "").unwrap();
    fs::write(folder.path().join("coracle.toml"), manifest).unwrap();
    let app = load(folder.path(), None).unwrap();
    (folder, app)
}

/// Each way on a line, as `edge → orders: read bucket b`.
fn asked(app: &App, from: &str, to: &str) -> Vec<String> {
    let (from, to) = (From::parse(app, from).unwrap(), To::parse(app, to).unwrap());
    let line = |way: coracle_compose::audit::Way| {
        let components: Vec<&str> = way.components.iter().map(ComponentName::as_str).collect();
        let may = match way.may.as_slice() {
            [] => String::new(),
            may => format!(": {}", may.join("; ")),
        };
        format!("{}{may}", components.join(" → "))
    };
    ways(app, &from, &to).into_iter().map(line).collect()
}

fn changes(before: &str, now: &str) -> Vec<String> {
    let ((_one, before), (_two, now)) = (app(before), app(now));
    let lines = difference(&now, &before);
    lines.iter().map(ToString::to_string).collect()
}

#[test]
fn a_component_reaches_what_those_it_calls_were_granted_at_any_depth() {
    let (_folder, app) = app(SHOP);
    assert_eq!(
        asked(&app, "orders", "bucket:ledger"),
        ["orders → payments → ledger: read and write bucket ledger below \"v1/\""]
    );
    assert_eq!(
        asked(&app, "orders", "ledger"),
        ["orders → payments → ledger"]
    );
    assert_eq!(asked(&app, "orders", "orders"), ["orders"]);
    assert!(asked(&app, "ledger", "orders").is_empty());
    assert!(asked(&app, "payments", "inventory").is_empty());
    assert!(asked(&app, "orders", "bucket:other").is_empty());
}

#[test]
fn every_component_that_may_is_named_with_what_it_may() {
    let (_folder, app) = app(SHOP);
    assert_eq!(
        asked(&app, "report", "bucket:ledger"),
        ["report: read bucket ledger"]
    );
    let both = SHOP.replace(
        "[component.payments.grants]",
        "[component.payments.grants]\nkeyvalue = [{ bucket = \"ledger\" }]",
    );
    let (_folder, app) = self::app(&both);
    assert_eq!(
        asked(&app, "orders", "bucket:ledger"),
        [
            "orders → payments: read bucket ledger",
            "orders → payments → ledger: read and write bucket ledger below \"v1/\"",
        ]
    );
}

#[test]
fn a_filter_reaches_what_stands_behind_it_and_does_not_join_two_routes() {
    let (_folder, app) = app(SHOP);
    assert_eq!(
        asked(&app, "edge", "ledger"),
        ["edge → orders → payments → ledger"]
    );
    assert_eq!(asked(&app, "edge", "admin"), ["edge → admin"]);
    let from = |route: &str, to: &str| asked(&app, route, to);
    assert_eq!(
        from("/orders/{id}", "ledger"),
        ["edge → orders → payments → ledger"]
    );
    assert_eq!(from("POST /orders/{id}", "orders"), ["edge → orders"]);
    assert_eq!(from("HEAD /orders/{id}", "orders"), ["edge → orders"]);
    assert!(from("/orders/{id}", "admin").is_empty());
    assert_eq!(from("admin.example.com/admin", "admin"), ["edge → admin"]);
    assert!(from("admin.example.com/admin", "bucket:ledger").is_empty());
}

#[test]
fn a_component_that_is_linked_and_elsewhere_a_filter_does_not_open_that_other_route() {
    let linked = SHOP.replace(
        "\"shop:payments/charge\" = \"payments\"",
        "\"shop:payments/charge\" = \"payments\", \"shop:a/b\" = \"admin\"",
    );
    let linked = linked.replace(
        "path = \"/report\"\ncomponent = \"report\"",
        "path = \"/report\"\ncomponent = \"report\"\nfilters = [\"admin\"]",
    );
    let (_folder, app) = app(&linked);
    assert_eq!(asked(&app, "admin", "report"), ["admin → report"]);
    assert_eq!(asked(&app, "orders", "admin"), ["orders → admin"]);
    assert!(asked(&app, "orders", "report").is_empty());
}

#[test]
fn a_host_is_reached_by_a_wildcard_above_it_and_by_a_name_within_the_wildcard_that_is_asked_for() {
    let (_folder, app) = app(SHOP);
    let stripe = ["orders → payments: send POST to https://*.stripe.example/*"];
    assert_eq!(asked(&app, "orders", "host:api.stripe.example"), stripe);
    assert_eq!(asked(&app, "orders", "host:*.eu.stripe.example"), stripe);
    assert!(asked(&app, "orders", "host:stripe.example").is_empty());
    assert!(asked(&app, "orders", "host:evilstripe.example").is_empty());
    let tax = ["orders: send GET to https://tax.example.com/rates/*"];
    assert_eq!(asked(&app, "orders", "host:TAX.example.com."), tax);
    assert_eq!(asked(&app, "orders", "host:*.example.com"), tax);
    assert!(asked(&app, "payments", "host:*.example.com").is_empty());
}

#[test]
fn a_secret_is_held_revealed_or_only_sent() {
    let (_folder, app) = app(SHOP);
    assert_eq!(
        asked(&app, "orders", "secret:stripe-key"),
        ["orders → payments: hold and reveal secret stripe-key"]
    );
    assert_eq!(
        asked(&app, "edge", "secret:tax-key"),
        [
            "edge → orders: have secret tax-key sent as authorization to https://tax.example.com/rates/*, unseen"
        ]
    );
}

#[test]
fn a_directory_is_reached_from_above_and_from_within() {
    let (folder, app) = app(SHOP);
    fs::write(folder.path().join("etc/orders/rates.txt"), "").unwrap();
    let etc = ["orders: read directory etc/orders"];
    assert_eq!(asked(&app, "orders", "dir:etc/orders"), etc);
    assert_eq!(asked(&app, "orders", "dir:etc/orders/rates.txt"), etc);
    assert_eq!(asked(&app, "orders", "dir:etc"), etc);
    assert_eq!(asked(&app, "orders", "dir:data/../etc/orders"), etc);
    assert!(asked(&app, "orders", "dir:data").is_empty());
    assert!(asked(&app, "orders", "dir:/usr").is_empty());
    fs::create_dir(folder.path().join("etc/orders-old")).unwrap();
    assert!(asked(&app, "orders", "dir:etc/orders-old").is_empty());
    std::os::unix::fs::symlink("orders", folder.path().join("etc/link")).unwrap();
    assert_eq!(asked(&app, "orders", "dir:etc/link"), etc);
}

#[test]
fn what_the_app_does_not_have_is_no_question() {
    let (_folder, app) = app(SHOP);
    let to = |text: &str| To::parse(&app, text).unwrap_err().to_string();
    assert_eq!(
        to("bucket:ledgr"),
        "the app has no bucket \"ledgr\"; it has ledger, other"
    );
    assert_eq!(
        to("secret:x"),
        "the app has no secret \"x\"; it has stripe-key, tax-key"
    );
    assert!(to("order").starts_with("the app has no component \"order\"; it has admin, "));
    assert!(to("disk:x").contains("neither a component nor bucket:NAME"));
    assert!(to("host:a b").starts_with("\"a b\" is not a host: "));
    assert!(to("dir:absent").starts_with("the directory \"absent\" cannot be looked up: "));
    let from = |text: &str| From::parse(&app, text).unwrap_err().to_string();
    assert!(
        from("/order")
            .starts_with("the app has no route \"/order\"; it has GET POST /orders/{id}, ")
    );
    assert!(from("DELETE /orders/{id}").contains("no route"));
    assert!(from("bucket:ledger").contains("neither a component"));
}

#[test]
fn nothing_leads_to_a_component_that_no_route_link_or_filter_names() {
    let (_folder, app) = app(SHOP);
    assert_eq!(idle(&app), [&ComponentName::parse("spare").unwrap()]);
}

#[test]
fn the_same_app_differs_in_nothing() {
    assert_eq!(changes(SHOP, SHOP), [""; 0]);
}

#[test]
fn a_method_added_to_a_grant_is_a_power_gained_by_everyone_who_reaches_it() {
    let now = SHOP.replace(
        "methods = [\"GET\"], path",
        "methods = [\"GET\", \"POST\"], path",
    );
    assert_eq!(
        changes(SHOP, &now),
        [
            "+ edge may now send POST to https://tax.example.com/rates/*, through orders",
            "+ orders may now send POST to https://tax.example.com/rates/*",
        ]
    );
    let every = SHOP.replace("methods = [\"GET\"], path", "path");
    assert_eq!(
        changes(SHOP, &every)[1],
        "+ orders may now send any method to https://tax.example.com/rates/*"
    );
    assert_eq!(
        changes(&every, SHOP)[1],
        "- orders may no longer send any method to https://tax.example.com/rates/*"
    );
}

#[test]
fn what_is_made_narrower_is_lost_and_not_gained() {
    let wide = SHOP.replace(", prefix = \"v1/\"", "");
    let lines = changes(&wide, SHOP);
    assert!(lines.iter().all(|line| line.starts_with("- ")), "{lines:?}");
    assert!(lines.contains(&"- ledger may no longer read and write bucket ledger".to_owned()));
    let lines = changes(SHOP, &wide);
    assert!(lines.iter().all(|line| line.starts_with("+ ")), "{lines:?}");
    assert!(
        lines.contains(&"+ orders may now read and write bucket ledger, through ledger".to_owned())
    );
    let narrower = [
        ("/rates/*", "/rates/eu/*"),
        ("/rates/*", "/rates/eu"),
        ("*.stripe.example", "api.stripe.example"),
        ("*.stripe.example", "*.eu.stripe.example"),
        ("dir = \"etc\"", "dir = \"etc/orders\""),
    ];
    let wide = SHOP.replace("dir = \"etc/orders\"", "dir = \"etc\"");
    for (wider, narrower) in narrower {
        let narrow = wide.replace(wider, narrower);
        let (lost, gained) = (changes(&wide, &narrow), changes(&narrow, &wide));
        assert!(!lost.is_empty() && lost.len() == gained.len(), "{narrower}");
        assert!(lost.iter().all(|line| line.starts_with("- ")), "{lost:?}");
        assert!(
            gained.iter().all(|line| line.starts_with("+ ")),
            "{gained:?}"
        );
    }
    let port = SHOP.replace(
        "methods = [\"POST\"] }]",
        "methods = [\"POST\"], port = 443 }]",
    );
    assert_eq!(changes(SHOP, &port), [""; 0]);
}

#[test]
fn writing_is_gained_apart_from_reading() {
    let now = SHOP.replace(
        "keyvalue = [{ bucket = \"ledger\" }]",
        "keyvalue = [{ bucket = \"ledger\", access = \"read-write\" }]",
    );
    assert_eq!(
        changes(SHOP, &now),
        ["+ report may now write bucket ledger"]
    );
    let now = SHOP.replace(
        "at = \"/etc\" }",
        "at = \"/etc\", access = \"read-write\" }",
    );
    assert_eq!(
        changes(SHOP, &now),
        [
            "+ edge may now write directory etc/orders, through orders",
            "+ orders may now write directory etc/orders"
        ]
    );
}

#[test]
fn a_link_taken_out_loses_what_was_behind_it_and_only_that() {
    let now = SHOP.replace("\"shop:payments/charge\" = \"payments\", ", "");
    let lines = changes(SHOP, &now);
    assert!(lines.contains(
        &"- orders may no longer hold and reveal secret stripe-key, through payments".to_owned()
    ));
    // The ledger is still reached, through inventory.
    assert!(
        !lines.iter().any(|line| line.contains("ledger")),
        "{lines:?}"
    );
}

#[test]
fn a_power_had_only_through_others_is_gained_when_it_is_granted_itself() {
    let now = SHOP.replace(
        "[component.orders.grants]",
        "[component.orders.grants]\nkeyvalue = [{ bucket = \"ledger\", prefix = \"v1/\" }]",
    );
    assert_eq!(
        changes(SHOP, &now),
        ["+ orders may now itself read bucket ledger below \"v1/\""]
    );
    assert_eq!(
        changes(&now, SHOP),
        ["- orders may no longer itself read bucket ledger below \"v1/\""]
    );
}

#[test]
fn a_filter_taken_from_a_route_is_a_change_of_the_route() {
    let now = SHOP.replacen("filters = [\"edge\"]\n", "", 1);
    let lines = changes(SHOP, &now);
    assert_eq!(
        lines[..2],
        [
            "- route GET POST /orders/{id} → edge → orders",
            "+ route GET POST /orders/{id} → orders",
        ]
    );
    assert!(lines.contains(
        &"- edge may no longer hold and reveal secret stripe-key, through payments".to_owned()
    ));
}

#[test]
fn a_component_that_is_new_or_gone_brings_or_takes_its_powers() {
    let report = "[component.report]\nsource = \"a.wasm\"\n[component.report.grants]\nkeyvalue = [{ bucket = \"ledger\" }]\n";
    let route = "[[route]]\npath = \"/report\"\ncomponent = \"report\"\n";
    let without = SHOP.replace(report, "").replace(route, "");
    assert_eq!(
        changes(SHOP, &without),
        [
            "- route /report → report",
            "- report may no longer read bucket ledger"
        ]
    );
    assert_eq!(
        changes(&without, SHOP),
        [
            "+ route /report → report",
            "+ report may now read bucket ledger"
        ]
    );
}

/// For random apps: what is said to be reachable is what following links by hand comes to, and a version differs from itself in
/// nothing.
#[test]
fn reaching_is_following_links_whatever_the_app() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for _ in 0..60 {
        let count = 2 + random.below(6);
        let mut manifest = String::from("[app]\nname = \"a\"\n[bucket.b]\n");
        let mut granted = Vec::new();
        // Links lead to later components only, so there is no circle.
        let links: Vec<Vec<usize>> = (0..count)
            .map(|i| (i + 1..count).filter(|_| random.below(3) == 0).collect())
            .collect();
        for (i, links) in links.iter().enumerate() {
            let text: Vec<String> = links
                .iter()
                .map(|j| format!("\"a:b/i{j}\" = \"c{j}\""))
                .collect();
            manifest += &format!(
                "[component.c{i}]\nsource = \"a.wasm\"\nlinks = {{ {} }}\n",
                text.join(", ")
            );
            if random.below(3) == 0 {
                granted.push(i);
                manifest += "grants.keyvalue = [{ bucket = \"b\" }]\n";
            }
        }
        manifest += "[[route]]\npath = \"/*\"\ncomponent = \"c0\"\n";
        let (_folder, app) = app(&manifest);
        for i in 0..count {
            let mut come_to = vec![i];
            let mut next = 0;
            while let Some(here) = come_to.get(next).copied() {
                next += 1;
                let further = links[here].iter().filter(|j| !come_to.contains(j));
                let further: Vec<usize> = further.copied().collect();
                come_to.extend(further);
            }
            for j in 0..count {
                let can = !asked(&app, &format!("c{i}"), &format!("c{j}")).is_empty();
                assert_eq!(can, come_to.contains(&j), "c{i} to c{j} in\n{manifest}");
            }
            let holders = come_to.iter().filter(|j| granted.contains(j)).count();
            let ways = asked(&app, &format!("c{i}"), "bucket:b");
            assert_eq!(ways.len(), holders, "c{i} in\n{manifest}");
        }
        assert!(difference(&app, &app).is_empty());
    }
}

#[test]
fn what_a_grant_says_is_one_sentence_for_each_object_and_moves_no_cursor() {
    let odd = SHOP
        .replace("prefix = \"v1/\"", "prefix = \"\\u001b[2J\\u202ev1/\"")
        .replace("clock = true", "clock = true\nrandomness = true");
    let (_folder, app) = app(&odd);
    let said = |name: &str| sentences(&powers(&app, &app.components[name]));
    assert_eq!(
        said("ledger"),
        ["read and write bucket ledger below \"\\u{1b}[2J\\u{202e}v1/\""]
    );
    assert_eq!(
        said("edge"),
        ["read clocks and set timers", "draw secure randomness"]
    );
    assert!(said("admin").is_empty());
    assert_eq!(
        said("orders"),
        [
            "send GET to https://tax.example.com/rates/*",
            "have secret tax-key sent as authorization to https://tax.example.com/rates/*, unseen",
            "read directory etc/orders",
        ]
    );
}

#[test]
fn a_way_is_a_shortest_one() {
    let direct = SHOP.replace(
        "\"shop:payments/charge\" = \"payments\"",
        "\"shop:payments/charge\" = \"payments\", \"shop:ledger/book\" = \"ledger\"",
    );
    let (_folder, app) = app(&direct);
    let name = |text: &str| ComponentName::parse(text).unwrap();
    let ways = reached(&app, &[vec![name("orders")]]);
    assert_eq!(ways[&name("ledger")], [name("orders"), name("ledger")]);
    assert_eq!(ways.len(), 4);
}

/// xorshift64: the same sequence in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }
}
