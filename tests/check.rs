//! `coracle check` and `coracle inspect`: what is said of an app and of a component without running them, whole, in `check/CASE.*`.
//! `UPDATE=1` rewrites them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is how a test fails, in its helpers too"
)]

use std::fs;

use coracle_testkit::{
    Coracle, Exit, Finished, TempApp, app, assert_golden, example, example_component, guest,
    repository,
};

/// The shop: a filter before the orders, which ask for tokens and let payments charge.
const SHOP: &str = r#"[app]
name = "shop"

[component.auth]
source = "auth.wasm"
[component.auth.grants]
keyvalue = [{ bucket = "api-keys", as = "default", access = "read", prefix = "v1/" }]
clock    = true

[component.orders]
source = "orders.wasm"
links  = { "shop:auth/tokens" = "auth", "shop:payments/charge" = { component = "payments", instance = "own" } }
[component.orders.grants]
http  = [{ host = "tax.example.com", methods = ["GET"], path = "/rates/*", headers = { authorization = { secret = "tax-key", format = "Bearer {}" } } }]
files = [{ dir = "etc", at = "/etc", access = "read" }]
[component.orders.limits]
memory = "64MiB"

[component.payments]
source = "payments.wasm"
[component.payments.grants]
secrets = [{ name = "stripe-key" }]
http    = [{ host = "*.stripe.example", methods = ["POST"] }]

[component.edge-auth]
source = "edge-auth.wasm"
links  = { "shop:auth/tokens" = "auth" }

[bucket.api-keys]

[secret.tax-key]
[secret.stripe-key]

[[route]]
path = "/orders/{id}"
methods = ["GET", "POST"]
component = "orders"
filters = ["edge-auth"]

[[route]]
path = "/health"
component = "orders"
"#;

const OPERATOR: &str = "[backend.env]\nkind = \"environment\"\n[app.shop.secret.tax-key]\nbackend = \"env\"\n[app.shop.secret.stripe-key]\nbackend = \"env\"\n";

const HANDLER: &str = "wasi:http/incoming-handler@0.2.0";

/// A component that imports and exports interfaces of these names and holds nothing (Component Model, `Binary.md`).
fn component(imports: &[&str], exports: &[&str]) -> Vec<u8> {
    fn section(id: u8, items: &[Vec<u8>]) -> Vec<u8> {
        let content = [leb(items.len()), items.concat()].concat();
        [vec![id], leb(content.len()), content].concat()
    }
    fn leb(mut n: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        while n >= 0x80 {
            bytes.push(u8::try_from(n & 0x7f).unwrap() | 0x80);
            n >>= 7;
        }
        bytes.push(u8::try_from(n).unwrap());
        bytes
    }
    let named = |name: &str| [vec![0], leb(name.len()), name.as_bytes().to_vec()].concat();
    let interface = vec![vec![0x42, 0]];
    let imported: Vec<_> = imports
        .iter()
        .map(|i| [named(i), vec![5, 0]].concat())
        .collect();
    let instances: Vec<_> = exports.iter().map(|_| vec![1, 0]).collect();
    let exported: Vec<_> = exports
        .iter()
        .enumerate()
        .map(|(i, e)| [named(e), vec![5], leb(imports.len() + i), vec![0]].concat())
        .collect();
    [
        b"\0asm\x0d\0\x01\0".to_vec(),
        section(7, &interface),
        section(10, &imported),
        section(5, &instances),
        section(11, &exported),
    ]
    .concat()
}

fn shop(manifest: &str) -> TempApp {
    let orders = [
        "shop:auth/tokens@1.0.0",
        "shop:payments/charge@1.2.0",
        "wasi:http/types@0.2.0",
        "wasi:http/outgoing-handler@0.2.0",
        "wasi:filesystem/preopens@0.2.0",
    ];
    let auth = [
        "wasi:keyvalue/store@0.2.0-draft",
        "wasi:clocks/wall-clock@0.2.0",
    ];
    let payments = [
        "coracle:secrets/store@0.1.0",
        "wasi:http/outgoing-handler@0.2.0",
    ];
    let edge = ["shop:auth/tokens@1.0.0", HANDLER];
    let shop = app(
        manifest,
        &[
            ("auth.wasm", &component(&auth, &["shop:auth/tokens@1.0.0"])),
            ("orders.wasm", &component(&orders, &[HANDLER])),
            (
                "payments.wasm",
                &component(&payments, &["shop:payments/charge@1.2.0"]),
            ),
            ("edge-auth.wasm", &component(&edge, &[HANDLER])),
        ],
    );
    shop.write("etc/orders.toml", "");
    shop.write("host.toml", OPERATOR);
    shop
}

fn check(shop: &TempApp, more: &[&str]) -> Finished {
    let command = Coracle::subcommand("check").app(shop);
    command
        .arg("--host-file")
        .arg(shop.file("host.toml"))
        .args(more)
        .run()
}

fn asked(shop: &TempApp, from: &str, to: &str) -> (i32, String) {
    let finished = check(shop, &["--can-reach", from, to]);
    let Exit::Code(code) = finished.exit else {
        panic!("{finished:?}");
    };
    (code, finished.stdout + &finished.stderr)
}

/// The whole of what was said, and how it ended, with APP for the app's folder.
fn assert_said(case: &str, shop: &TempApp, finished: &Finished) {
    let Exit::Code(code) = finished.exit else {
        panic!("{finished:?}");
    };
    let mut said = format!("exit {code}\n");
    for (stream, text) in [("stdout", &finished.stdout), ("stderr", &finished.stderr)] {
        if !text.is_empty() {
            said += &format!("--- {stream}\n{}\n", text.trim_end_matches('\n'));
        }
    }
    for folder in [
        shop.path().canonicalize().unwrap(),
        shop.path().to_path_buf(),
    ] {
        said = said.replace(folder.to_str().unwrap(), "APP");
    }
    assert_golden(repository().join(format!("tests/check/{case}.txt")), &said);
}

#[test]
fn prints_who_calls_whom_and_what_each_may_itself_and_through_others() {
    let shop = shop(SHOP);
    assert_said("graph", &shop, &check(&shop, &[]));
}

#[test]
fn prints_the_graph_for_programs_and_as_drawings_the_same_every_time() {
    let shop = shop(SHOP);
    for (format, ending) in [("json", "json"), ("dot", "dot"), ("svg", "svg")] {
        let finished = check(&shop, &["--format", format]);
        assert_eq!(finished.exit, Exit::Code(0), "{finished:?}");
        let golden = repository().join(format!("tests/check/graph.{ending}"));
        assert_golden(
            golden,
            &(finished.stdout.trim_end_matches('\n').to_owned() + "\n"),
        );
        let again = check(&shop, &["--format", format]);
        assert_eq!(again.stdout, check(&shop, &["--format", format]).stdout);
    }
}

#[test]
fn nothing_that_a_manifest_may_hold_is_markup_in_a_drawing() {
    let odd = SHOP.replace(
        "prefix = \"v1/\"",
        "prefix = \"</text><script>\\\"\\\\ \\n]--x\"",
    );
    let shop = shop(&odd);
    let svg = check(&shop, &["--format", "svg"]).stdout;
    assert!(svg.contains("&lt;/text&gt;&lt;script&gt;"), "{svg}");
    assert!(!svg.contains("<script"), "{svg}");
    let dot = check(&shop, &["--format", "dot"]).stdout;
    assert!(
        dot.contains(r#"read \"</text><script>\\\"\\\\ \\n]--x\""#),
        "{dot}"
    );
    let json = check(&shop, &["--format", "json"]).stdout;
    assert!(
        serde_json::from_str::<serde_json::Value>(&json).is_ok(),
        "{json}"
    );
    let text = check(&shop, &[]).stdout;
    assert!(
        text.contains(r#"below "</text><script>\"\\ \n]--x""#),
        "{text}"
    );
}

#[test]
fn says_by_its_status_whether_one_can_reach_another_and_prints_the_way() {
    let shop = shop(SHOP);
    let can = |from: &str, to: &str| asked(&shop, from, to);
    let yes = |way: &str| (0, format!("yes\n{way}"));
    let no = (1, "no".to_owned());
    let trimmed = |(code, said): (i32, String)| (code, said.trim_end().to_owned());
    assert_eq!(
        trimmed(can("orders", "bucket:api-keys")),
        yes("orders → auth: may read bucket api-keys below \"v1/\"")
    );
    assert_eq!(trimmed(can("payments", "bucket:api-keys")), no);
    assert_eq!(trimmed(can("orders", "edge-auth")), no);
    assert_eq!(
        trimmed(can("edge-auth", "payments")),
        yes("edge-auth → orders → payments")
    );
    assert_eq!(
        trimmed(can("POST /orders/{id}", "host:api.stripe.example")),
        yes(
            "GET POST /orders/{id} → edge-auth → orders → payments: may send POST to https://*.stripe.example/*"
        )
    );
    assert_eq!(trimmed(can("/health", "edge-auth")), no);
    assert_eq!(trimmed(can("auth", "host:*.example")), no);
    assert_eq!(
        trimmed(can("/health", "secret:tax-key")),
        yes(
            "/health → orders: may have secret tax-key sent as authorization to https://tax.example.com/rates/*, unseen"
        )
    );
    assert_eq!(
        trimmed(can("/health", "dir:etc/orders.toml")),
        yes("/health → orders: may read directory etc")
    );
    let json = check(
        &shop,
        &["--can-reach", "orders", "payments", "--format", "json"],
    );
    assert_said("can-reach-json", &shop, &json);
}

#[test]
fn a_question_that_makes_no_sense_is_wrong_and_no_is_not_its_answer() {
    let shop = shop(SHOP);
    let (code, said) = asked(&shop, "orders", "bucket:api-key");
    assert_eq!(code, 2);
    assert_eq!(
        said,
        "error: the app has no bucket \"api-key\"; it has api-keys"
    );
    for (from, to) in [
        ("order", "auth"),
        ("/nothing", "auth"),
        ("orders", "disk:x"),
    ] {
        let (code, said) = asked(&shop, from, to);
        assert!(code == 2 && said.starts_with("error: "), "{code} {said}");
    }
    let drawn = check(&shop, &["--can-reach", "orders", "auth", "--format", "svg"]);
    assert_eq!(drawn.exit, Exit::Code(2));
    assert!(drawn.stderr.contains("draw the whole graph"), "{drawn:?}");
}

#[test]
fn tells_what_another_version_may_that_this_one_may_not() {
    let released = shop(SHOP);
    let now = SHOP
        .replace(
            "methods = [\"GET\"], path = \"/rates/*\"",
            "methods = [\"GET\", \"POST\"], path = \"/rates/*\"",
        )
        .replace(
            "access = \"read\", prefix = \"v1/\"",
            "access = \"read-write\"",
        )
        .replace(
            "host = \"*.stripe.example\"",
            "host = \"api.stripe.example\"",
        )
        .replace("filters = [\"edge-auth\"]\n", "");
    let now = now.replace("[component.edge-auth]\nsource = \"edge-auth.wasm\"\nlinks  = { \"shop:auth/tokens\" = \"auth\" }\n", "");
    let now = shop(&now);
    let against = released.path().to_str().unwrap();
    assert_said("against", &now, &check(&now, &["--against", against]));
    let json = check(&now, &["--against", against, "--format", "json"]);
    assert_said("against-json", &now, &json);
    let same = check(&released, &["--against", against]);
    assert_eq!(same.stdout.trim_end(), "no difference in what may be done");
}

#[test]
fn a_grant_is_effective_only_where_the_operator_agrees() {
    let local = SHOP.replace("tax.example.com", "localhost");
    let shop = shop(&local);
    assert_said("operator-refuses", &shop, &check(&shop, &[]));
    assert_eq!(asked(&shop, "orders", "host:localhost").0, 2);
    let allowed = format!("{OPERATOR}[app.shop.allow]\nhosts = [\"localhost\"]\n");
    fs::write(shop.file("host.toml"), allowed).unwrap();
    assert_eq!(asked(&shop, "orders", "host:localhost").0, 0);
    assert_eq!(asked(&shop, "auth", "host:localhost").0, 1);
}

#[test]
fn every_problem_of_manifest_components_and_links_is_told_at_once() {
    let shop = shop(SHOP);
    shop.write(
        "auth.wasm",
        component(&["wasi:keyvalue/store@0.2.0-draft"], &[]),
    );
    shop.write(
        "edge-auth.wasm",
        component(&["shop:auth/tokens@1.0.0"], &[HANDLER]),
    );
    shop.write("payments.wasm", b"\0asm\x01\0\0\0");
    shop.write(
        "orders.wasm",
        component(
            &[
                "shop:auth/tokens@1.0.0",
                "shop:auth/tokens@2.0.0",
                "wasi:keyvalue/store@0.2.0-draft2",
                "wasi:blobstore/blobstore@0.2.0-draft",
            ],
            &[],
        ),
    );
    assert_said("wrong", &shop, &check(&shop, &[]));
}

#[test]
fn a_manifest_that_is_wrong_is_status_2() {
    let shop = shop(&SHOP.replace(
        "\"shop:auth/tokens\" = \"auth\", ",
        "\"shop:auth/tokens\" = \"orders\", ",
    ));
    assert_said("manifest-wrong", &shop, &check(&shop, &[]));
}

#[test]
fn a_component_that_was_not_built_is_told_with_its_build_and_nothing_is_built() {
    let build = "source = \"auth.wasm\"\nbuild = { command = \"touch auth.wasm\" }";
    let shop = shop(&SHOP.replace("source = \"auth.wasm\"", build));
    fs::remove_file(shop.file("auth.wasm")).unwrap();
    assert_said("not-built", &shop, &check(&shop, &[]));
    assert!(!shop.file("auth.wasm").exists());
}

#[test]
fn what_is_hardly_meant_is_a_warning_and_prevents_nothing() {
    let spare = SHOP.replace(
        "[bucket.api-keys]",
        "[component.spare]\nsource = \"orders-old.wasm\"\n[component.spare.grants]\nrandomness = true\n\n[bucket.api-keys]",
    );
    let shop = shop(&spare);
    shop.write("orders-old.wasm", component(&[], &[HANDLER]));
    let finished = check(&shop, &[]);
    assert_eq!(finished.exit, Exit::Code(0));
    assert_eq!(
        finished.stderr.trim_end(),
        "warning: nothing leads to spare: no route, no link and no filter\n\
         warning: spare is granted `randomness` and imports nothing that uses it"
    );
}

#[test]
fn every_example_can_be_served_in_every_profile() {
    for (name, profiles) in [
        ("auth", &["test", "p3"][..]),
        ("echo", &["p3"]),
        ("edge", &[]),
        ("process", &[]),
    ] {
        let plain = Coracle::subcommand("check").app(example(name));
        let finished = plain.run();
        assert_eq!(finished.exit, Exit::Code(0), "{name}: {finished:?}");
        assert_eq!(finished.stderr, "", "{name}");
        assert!(finished.stdout.contains("not known here:"), "{finished:?}");
        for profile in profiles {
            let command = Coracle::subcommand("check").app(example(name));
            let finished = command.args(["--profile", profile]).run();
            assert_eq!(
                finished.exit,
                Exit::Code(0),
                "{name} {profile}: {finished:?}"
            );
        }
    }
}

#[test]
fn tells_what_a_component_is_and_the_grants_it_would_need() {
    let shop = shop(SHOP);
    let imports = [
        "wasi:http/types@0.2.3",
        "wasi:http/outgoing-handler@0.2.3",
        "wasi:clocks/wall-clock@0.2.3",
        "wasi:keyvalue/store@0.2.0-draft",
        "coracle:secrets/store@0.1.0",
        "coracle:secrets/reveal@0.1.0",
        "shop:auth/tokens@1.0.0",
        "wasi:filesystem/preopens@0.2.3",
    ];
    let file = shop.write("Stock_Room.wasm", component(&imports, &[HANDLER]));
    let inspect = |more: &[&str]| Coracle::subcommand("inspect").arg(&file).args(more).run();
    assert_said("inspect", &shop, &inspect(&[]));
    assert_said("inspect-json", &shop, &inspect(&["--format", "json"]));
}

#[test]
fn a_component_starts_with_the_lines_that_are_told_and_not_without() {
    let inspected = Coracle::subcommand("inspect").arg(guest("kv")).run().stdout;
    let block = inspected.split_once(".grants]\n").expect("grants").1;
    let lines = block.lines().take_while(|line| !line.is_empty());
    let needed: Vec<String> = lines
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.replace("NAME", "keys"))
        .collect();
    assert_eq!(needed.len(), 1, "{inspected}");
    let without = Coracle::new().arg(guest("kv")).run();
    assert!(without.stderr.contains("not-granted"), "{without:?}");
    let with = Coracle::new().arg(guest("kv"));
    with.args(["--grant", &needed[0]]).start();
}

#[test]
fn tells_generation_engine_and_makers_of_real_components() {
    let told = |file| Coracle::subcommand("inspect").arg(file).run().stdout;
    let p2 = told(example_component("echo"));
    assert!(p2.contains("WASI 0.2, on the sequential engine"), "{p2}");
    assert!(p2.contains("processed-by: wit-component "), "{p2}");
    assert!(!p2.contains("\nkeyvalue"), "{p2}");
    let p3 = told(example_component("auth_p3"));
    assert!(p3.contains("WASI 0.3, on the concurrent engine"), "{p3}");
}

#[test]
fn what_is_no_component_has_nothing_to_inspect() {
    let shop = shop(SHOP);
    for (case, bytes) in [
        ("inspect-core-module", &b"\0asm\x01\0\0\0"[..]),
        ("inspect-not-webassembly", b"#!/bin/sh\n"),
        ("inspect-cut-off", b"\0asm\x0d\0\x01\0\x0a\x20"),
    ] {
        let file = shop.write("odd.wasm", bytes);
        assert_said(case, &shop, &Coracle::subcommand("inspect").arg(file).run());
    }
    let absent = Coracle::subcommand("inspect")
        .arg(shop.file("absent.wasm"))
        .run();
    assert_said("inspect-absent", &shop, &absent);
}
