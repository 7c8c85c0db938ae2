//! What the operator's file means once it is read: which binding holds, whose trust, which limits.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may fail by panicking"
)]

use std::{path::Path, time::Duration};

use coracle_manifest::{
    App, Operator,
    app::Limits,
    load,
    name::{AppName, BackendName, BucketName, ComponentName, SecretName},
    operator::{self, Backend, Credential, Identity, Trust, ValuesOf},
};

fn host() -> Operator {
    operator::load(Path::new("tests/ui/host-resources-valid.toml")).unwrap()
}

fn app(name: &str) -> AppName {
    AppName::parse(name).unwrap()
}

fn backend(name: &str) -> Backend {
    host().backends()[&BackendName::parse(name).unwrap()].clone()
}

fn bucket(app_name: &str, name: &str) -> Option<(String, Option<String>)> {
    let name = BucketName::parse(name).unwrap();
    let binding = host().bucket_binding(&app(app_name), &name)?;
    Some((binding.backend.to_string(), binding.path))
}

/// Backend, path and field.
fn secret(app_name: &str, name: &str) -> Option<(String, String, Option<String>)> {
    let name = SecretName::parse(name).unwrap();
    let binding = host().secret_binding(&app(app_name), &name)?;
    Some((
        binding.backend.to_string(),
        binding.path.unwrap(),
        binding.field,
    ))
}

fn in_folder(file: &str) -> std::path::PathBuf {
    std::fs::canonicalize("tests/ui").unwrap().join(file)
}

#[test]
fn an_apps_own_binding_comes_before_every_apps() {
    let vault = ("corp-vault".to_owned(), Some("apps/auth/keys".to_owned()));
    assert_eq!(bucket("auth", "api-keys"), Some(vault));
    assert_eq!(
        bucket("shop", "api-keys"),
        Some(("main-redis".into(), None))
    );
    assert_eq!(bucket("shop", "carts"), None);
    assert_eq!(Operator::default().backends().len(), 0);
}

#[test]
fn a_secret_bound_for_every_app_is_had_by_those_that_are_allowed() {
    let tax = ("corp-vault".into(), "apps/shop".into(), Some("tax".into()));
    assert_eq!(secret("shop", "tax-key"), Some(tax));
    assert_eq!(secret("auth", "tax-key"), None);
    assert_eq!(secret("shop", "shared-key"), None);
}

#[test]
fn a_secret_is_found_under_its_own_name_unless_the_operator_says() {
    let place = |name| secret("shop", name);
    let files = |path: &str| Some(("secret-files".to_owned(), path.to_owned(), None));
    let env = |path: &str| Some(("env".to_owned(), path.to_owned(), None));
    assert_eq!(place("stripe-key"), files("stripe-key"));
    assert_eq!(place("pay-key"), files("redis"));
    assert_eq!(place("mail-key"), env("MAIL_KEY"));
    assert_eq!(place("map-key"), env("MAPS"));
}

#[test]
fn what_a_backend_does_not_say_has_the_documented_default() {
    let Backend::Redis(redis) = backend("main-redis") else {
        panic!("not a Redis");
    };
    assert_eq!(redis.url(), "redis://127.0.0.1:6379/2");
    assert_eq!(
        (redis.connections, redis.timeout),
        (8, Duration::from_secs(2))
    );
    let Backend::Redis(redis) = backend("tls-redis") else {
        panic!("not a Redis");
    };
    assert_eq!(redis.url(), "rediss://cache.internal:6379/0");
    assert_eq!(
        (redis.connections, redis.timeout),
        (32, Duration::from_millis(500))
    );
    assert_eq!(redis.ca, Some(in_folder("run/ca.pem")));
    let Backend::Vault(vault) = backend("corp-vault") else {
        panic!("not a vault");
    };
    assert_eq!(vault.address(), "https://vault.internal:8200");
    assert_eq!(
        (vault.mount.as_str(), vault.namespace.as_deref()),
        ("secret", Some("team-a"))
    );
    let Backend::Environment(environment) = backend("env-default") else {
        panic!("not an environment");
    };
    assert_eq!(environment.prefix, "CORACLE_SECRET_");
}

#[test]
fn a_credential_is_a_reference_and_shows_as_one() {
    let Backend::Redis(redis) = backend("main-redis") else {
        panic!("not a Redis");
    };
    let password = redis.password.unwrap();
    assert_eq!(password, Credential::File(in_folder("run/redis")));
    let shown = format!("{password:?} {:?}", host());
    assert!(shown.starts_with("{ file = \""), "{shown}");
    assert!(!shown.contains("not a secret"), "{shown}");
    let Backend::Vault(vault) = backend("second-vault") else {
        panic!("not a vault");
    };
    assert_eq!(
        vault.token.to_string(),
        "{ backend = \"corp-vault\", path = \"hosts/second\", field = \"token\" }"
    );
}

#[test]
fn trust_and_identity_are_each_an_apps_own_before_every_apps() {
    let host = host();
    let tls = |name| host.outbound_tls(&app(name));
    let every = Trust::SystemAnd(in_folder("run/client.pem"));
    assert_eq!(
        (tls("other").trust, tls("other").identity),
        (every.clone(), None)
    );
    assert_eq!(tls("shop").trust, Trust::Only(in_folder("run/ca.pem")));
    let identity = Identity {
        certificate: in_folder("run/client.pem"),
        key: in_folder("run/client-key.pem"),
    };
    assert_eq!(
        (tls("auth").trust, tls("auth").identity),
        (every, Some(identity))
    );
    assert_eq!(
        Operator::default().outbound_tls(&app("shop")).trust,
        Trust::System
    );
}

#[test]
fn a_limit_is_the_manifests_or_the_default_and_never_above_the_ceiling() {
    let limits = |operator: &Operator, app: &App, name: &str| {
        let component = app.components.values().find(|c| c.name.as_str() == name);
        operator.limits_of(app, component.unwrap())
    };
    let app = load(Path::new("tests/ui/limits-above-the-ceiling.toml"), None).unwrap();
    let host = host();
    let orders = Limits {
        memory_bytes: Some(64 << 20),
        cpu: Some(Duration::from_secs(1)),
        timeout: Some(Duration::from_secs(10)),
        concurrency: Some(10),
    };
    assert_eq!(limits(&host, &app, "orders"), orders);
    // Nobody says how long: the host's own default is above the ceiling, so the ceiling holds.
    let b = limits(&host, &app, "b");
    assert_eq!(b.timeout, Some(Duration::from_secs(10)));
    assert_eq!(
        (b.cpu, b.concurrency),
        (Some(Duration::from_secs(2)), Some(100))
    );
    let none = limits(&Operator::default(), &app, "b");
    assert_eq!((none.cpu, none.timeout), (None, None));
    // The app's own ceiling, and the host's own default below every ceiling.
    let auth = App {
        name: AppName::parse("auth").unwrap(),
        ..app
    };
    assert_eq!(limits(&host, &auth, "orders").memory_bytes, Some(65 << 20));
    assert_eq!(host.limits().max.memory_bytes, Some(64 << 20));
}

#[test]
fn a_mocked_secret_asks_nothing_of_the_operator() {
    let app = |profile| {
        let file = Path::new("tests/ui/mocked-secret-needs-no-operator.toml");
        load(file, profile).unwrap()
    };
    assert!(Operator::default().permits(&app(Some("test"))).is_ok());
    let refused = Operator::default().permits(&app(None)).unwrap_err();
    assert_eq!(refused.iter().next().unwrap().rule, "not-bound");
}

#[test]
fn a_component_of_its_own_asks_for_the_secrets_its_grants_name() {
    let lines = [
        "secrets = [{ name = \"stripe-key\" }]",
        "http = [{ host = \"a.example\", headers = { x-key = { secret = \"tax-key\" } } }]",
    ];
    let lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
    let (grants, buckets) = coracle_manifest::grants_from_lines(&lines).unwrap();
    let app = coracle_manifest::single(Path::new("./Cargo.toml"), grants, buckets).unwrap();
    let names: Vec<&str> = app.secrets.keys().map(|name| name.as_str()).collect();
    assert_eq!(names, ["stripe-key", "tax-key"]);
    assert_eq!(Operator::default().permits(&app).unwrap_err().len(), 2);
}

#[test]
fn a_link_to_a_credential_is_kept_so_that_it_can_be_exchanged() {
    let folder = std::env::temp_dir().join(format!("coracle-rotation-{}", std::process::id()));
    std::fs::create_dir_all(folder.join("v1")).unwrap();
    std::fs::write(folder.join("v1/token"), "").unwrap();
    let _ = std::os::unix::fs::symlink("v1", folder.join("current"));
    let text = "[backend.vault]\nkind = \"vault\"\naddress = \"https://h\"\ntoken = { file = \"current/token\" }\n";
    std::fs::write(folder.join("host.toml"), text).unwrap();
    let host = operator::load(&folder.join("host.toml")).unwrap();
    let name = BackendName::parse("vault").unwrap();
    let Some(Backend::Vault(vault)) = host.backend(&name) else {
        panic!("not a vault");
    };
    let shown = vault.token.to_string();
    std::fs::remove_dir_all(&folder).unwrap();
    assert!(shown.contains("current/token"), "{shown}");
}

/// Backend and path of the values that hold.
fn values(app_name: &str, component: &str, which: ValuesOf) -> Option<(String, Option<String>)> {
    let host = operator::load(Path::new("tests/ui/host-values-valid.toml")).unwrap();
    let component = ComponentName::parse(component).unwrap();
    let binding = host.values_binding(&app(app_name), &component, which)?;
    Some((binding.backend.to_string(), binding.path))
}

#[test]
fn values_are_the_components_own_or_its_apps_or_those_that_every_app_may_have() {
    let found = |backend: &str, path: &str| Some((backend.to_owned(), Some(path.to_owned())));
    let config = |app, component| values(app, component, ValuesOf::Config);
    assert_eq!(config("shop", "orders"), found("settings", "shop/orders"));
    assert_eq!(config("shop", "carts"), found("settings", "shop"));
    assert_eq!(config("auth", "tokens"), None);
    let environment = |app, component| values(app, component, ValuesOf::Environment);
    assert_eq!(environment("shop", "orders"), found("shop-env", "ORDERS_"));
    assert_eq!(environment("shop", "carts"), None);
    assert_eq!(environment("auth", "tokens"), found("shop-env", "ALL_"));
}

#[test]
fn values_that_a_profile_writes_need_no_operator_and_lack_nothing() {
    let host = operator::load(Path::new("tests/ui/host-values-valid.toml")).unwrap();
    let file = std::env::temp_dir().join(format!("coracle-values-{}.toml", std::process::id()));
    let manifest = r#"
        [app]
        name = "blog"
        [component.posts]
        source = "/dev/null"
        build = { command = "true" }
        config = { region = { required = true }, title = "A blog" }
        [[route]]
        path = "/*"
        component = "posts"
        [profile.test.component.posts]
        config = { region = "eu" }
        [profile.lacking.component.posts]
        config = {}
    "#;
    std::fs::write(&file, manifest).unwrap();
    let app = |profile| load(&file, Some(profile)).unwrap();
    let test = app("test");
    assert_eq!(host.permits(&test).map_err(|p| p.to_string()), Ok(()));
    let config = &test.components["posts"].config;
    assert!(config.mock && config.required.is_empty());
    assert_eq!(
        (
            config.texts["region"].as_str(),
            config.texts["title"].as_str()
        ),
        ("eu", "A blog")
    );
    let refused = host.permits(&app("lacking")).unwrap_err().to_string();
    std::fs::remove_file(&file).unwrap();
    assert!(
        refused.contains("error[no-value]: the profile `lacking` gives `region` no value")
            && refused.contains("fix: write it in `[profile.lacking.component.posts.config]`"),
        "{refused}"
    );
}
