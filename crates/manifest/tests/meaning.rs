//! What a manifest means once it is read: defaults, profiles, paths.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]

use std::{path::Path, time::Duration};

use coracle_manifest::{
    App,
    app::{Access, BucketBackend, HostPattern, HttpScheme, Instance, PathPattern},
    load,
    name::{BucketName, ComponentName, SecretName},
};

fn valid(profile: Option<&str>) -> App {
    load(Path::new("tests/ui/valid.toml"), profile).unwrap()
}

fn component(name: &str) -> ComponentName {
    ComponentName::parse(name).unwrap()
}

fn secret(name: &str) -> SecretName {
    SecretName::parse(name).unwrap()
}

#[test]
fn what_is_not_said_has_the_documented_default() {
    let app = valid(None);
    let orders = &app.components[&component("orders")];
    let http = &orders.grants.http[0];
    assert_eq!(http.host, HostPattern::Name("tax.example.com".into()));
    assert_eq!((http.port, http.scheme), (None, HttpScheme::Https));
    assert_eq!(http.path, PathPattern::Prefix("/rates/".into()));
    assert!(!orders.grants.clock && !orders.grants.randomness);
    let auth = &app.components[&component("auth")];
    assert_eq!(auth.grants.keyvalue[0].access, Access::Read);
    assert_eq!(auth.grants.keyvalue[0].alias, "default");
    assert_eq!(auth.limits, Default::default());
    assert_eq!(auth.reuse, None);
    assert_eq!(orders.reuse.unwrap().concurrent, None);
    assert_eq!(
        app.buckets[&BucketName::parse("api-keys").unwrap()].backend,
        BucketBackend::Embedded
    );
    assert_eq!(app.routes[0].host, None);
    assert!(app.routes[1].methods.is_empty());
}

#[test]
fn limits_and_paths_are_values() {
    let app = valid(None);
    let orders = &app.components[&component("orders")];
    assert_eq!(orders.limits.memory_bytes, Some(64 << 20));
    assert_eq!(orders.limits.cpu, Some(Duration::from_millis(50)));
    assert_eq!(orders.limits.timeout, Some(Duration::from_secs(5)));
    assert_eq!(orders.limits.concurrency, Some(200));
    let reuse = orders.reuse.unwrap();
    assert_eq!(reuse.requests, 128);
    assert_eq!(reuse.idle, Some(Duration::from_secs(10)));
    let folder = std::fs::canonicalize("tests/ui").unwrap();
    assert_eq!(app.dir, folder);
    assert_eq!(orders.source, folder.join("a.wasm"));
    assert_eq!(orders.grants.files[0].dir, folder.join("etc"));
    let build = app.components[&component("auth")].build.as_ref().unwrap();
    assert_eq!(build.dir, folder.join("etc"));
    assert_eq!(app.manifest, Path::new("tests/ui/valid.toml"));
}

#[test]
fn a_profile_overrides_what_it_says_and_nothing_else() {
    let (base, test) = (valid(None), valid(Some("test")));
    let keys = BucketName::parse("api-keys").unwrap();
    assert_eq!(test.buckets[&keys].backend, BucketBackend::Memory);
    assert_eq!(test.buckets[&keys].seed, base.buckets[&keys].seed);
    assert_eq!(test.components, base.components);
    assert_eq!(test.profile.as_deref(), Some("test"));
}

#[test]
fn a_profile_merges_values_and_takes_the_build_with_the_source() {
    let app = load(Path::new("tests/ui/profile-merges.toml"), Some("other")).unwrap();
    let auth = &app.components[&component("auth")];
    assert_eq!(auth.source, app.dir.join("b.wasm"));
    assert_eq!(auth.build, None);
    assert_eq!(auth.config.texts["issuer"], "other");
    assert_eq!(auth.config.texts["kept"], "yes");
    assert_eq!(auth.environment.texts["LOG"], "info");
}

#[test]
fn a_profile_mocks_a_secret_and_the_base_never_holds_a_value() {
    let app = |profile| load(Path::new("tests/ui/secrets-valid.toml"), profile).unwrap();
    let (base, test) = (app(None), app(Some("test")));
    let (stripe, tax) = (secret("stripe-key"), secret("tax-key"));
    assert!(base.secrets.values().all(|secret| secret.value.is_none()));
    assert_eq!(
        test.secrets[&stripe].value.as_ref().map(|v| v.reveal()),
        Some("mock")
    );
    assert_eq!(test.secrets[&tax].value, None);
    assert!(!format!("{test:?}").contains("\"mock\""));
    let grants = &base.components[&component("orders")].grants;
    let reveal: Vec<_> = grants.secrets.iter().map(|g| (&g.name, g.reveal)).collect();
    assert_eq!(reveal, [(&stripe, false), (&tax, true)]);
    let headers = &grants.http[0].headers;
    assert_eq!(
        (headers[0].name.as_str(), &headers[0].secret),
        ("authorization", &tax)
    );
    assert_eq!(headers[0].filled("a{}b"), "Bearer a{}b");
    assert_eq!(headers[1].filled("x"), "x");
}

#[test]
fn a_bucket_forgets_after_what_the_profile_or_the_base_says() {
    let bucket = |profile, name: &str| {
        let app = load(Path::new("tests/ui/secrets-valid.toml"), profile).unwrap();
        app.buckets[&BucketName::parse(name).unwrap()].clone()
    };
    assert_eq!(bucket(None, "carts").ttl, Some(Duration::from_secs(600)));
    assert_eq!(bucket(None, "keys").ttl, None);
    assert!(!bucket(None, "carts").mock);
    let carts = bucket(Some("test"), "carts");
    assert_eq!(
        (carts.ttl, carts.mock),
        (Some(Duration::from_secs(1)), true)
    );
    assert!(!bucket(Some("test"), "keys").mock);
}

#[test]
fn a_link_out_of_the_folder_is_followed_before_it_is_judged() {
    let folder = std::env::temp_dir().join(format!("coracle-links-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    std::os::unix::fs::symlink("/usr", folder.join("inside")).unwrap();
    std::fs::write(folder.join("a.wasm"), "").unwrap();
    let manifest = "[app]\nname = \"a\"\n[component.a]\nsource = \"a.wasm\"\n\
                    grants.files = [{ dir = \"inside\", at = \"/x\" }]\n[[route]]\npath = \"/*\"\ncomponent = \"a\"\n";
    std::fs::write(folder.join("coracle.toml"), manifest).unwrap();
    let app = load(&folder, None).unwrap();
    let refused = coracle_manifest::Operator::default()
        .permits(&app)
        .unwrap_err()
        .to_string();
    std::fs::remove_dir_all(&folder).unwrap();
    assert!(
        refused.contains("add to host.toml, below `[app.a.allow]`: `directories = [\"/usr\"]`"),
        "{refused}"
    );
}

#[test]
fn a_link_says_which_import_which_component_and_which_instance() {
    let app = load(Path::new("tests/ui/links-valid.toml"), None).unwrap();
    let links = |name: &str| -> Vec<(String, String, Instance)> {
        let links = app.components[&component(name)].links.iter();
        links
            .map(|l| (l.interface.to_string(), l.component.to_string(), l.instance))
            .collect()
    };
    let link = |interface: &str, component: &str, instance| {
        (interface.to_owned(), component.to_owned(), instance)
    };
    assert_eq!(
        links("orders"),
        [
            link("shop:auth/tokens", "auth", Instance::Shared),
            link("shop:payments/charge@1.0.0", "payments", Instance::Own),
        ]
    );
    let shared = [link("shop:auth/tokens", "auth", Instance::Shared)];
    assert_eq!(links("payments"), shared);
    assert_eq!(links("edge-auth"), shared);
    assert!(links("auth").is_empty());
}

#[test]
fn the_filters_of_a_route_stand_in_the_order_they_are_written() {
    let app = load(Path::new("tests/ui/links-valid.toml"), None).unwrap();
    assert_eq!(
        app.routes[0].filters,
        [component("rate"), component("edge-auth")]
    );
    assert!(app.routes[1].filters.is_empty());
}
