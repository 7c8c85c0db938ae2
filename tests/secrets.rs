//! A secret is held without being seen, revealed only where a grant says so, put into outbound headers by the host, and found in
//! nothing that the node writes (FAULTS.md, C8).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is how a test fails, in its helpers too"
)]

use std::{
    fs,
    path::Path,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

use coracle_testkit::{
    Coracle, Exit, Finished, Generation, PATIENCE, Redis, Service, StateDir, TempApp, Upstream,
    Vault, app, both_generations, guest, http, http::Connection, one, soon,
};
use serde_json::{Value, json};

/// An app of one guest with these grants and these secrets.
fn with_secrets(guest: &str, grants: &str, secrets: &[&str]) -> TempApp {
    let app = one(guest, &format!("[component.guest.grants]\n{grants}\n"));
    let mut manifest = fs::read_to_string(app.file("coracle.toml")).unwrap();
    for secret in secrets {
        manifest.push_str(&format!("[secret.{secret}]\n"));
    }
    app.write("coracle.toml", manifest);
    app
}

/// Binds `tax-key` to a file below `dir`.
fn tax_key_in(dir: &Path, value: &[u8]) -> String {
    fs::write(dir.join("tax-key"), value).unwrap();
    format!(
        "[backend.kept]\nkind = \"files\"\ndir = {dir:?}\n[app.trial.secret.tax-key]\nbackend = \"kept\"\n"
    )
}

fn ask(service: &Service, path: &str) -> Value {
    let answer = http::get(&service.url(path));
    assert_eq!(answer.status, 200, "{path}: {}", answer.body_text());
    answer.json()
}

#[test]
fn a_component_that_reveals_is_refused_at_start_without_the_grant_and_told_the_line_to_add() {
    for guest in ["secrets", "secrets_wasmcloud"] {
        let kept = app("", &[]);
        let run = |grants: &str| {
            Coracle::new()
                .host_file(&tax_key_in(kept.path(), b"value"))
                .serving(with_secrets(guest, grants, &["tax-key"]))
                .run()
        };
        let nothing = run("");
        assert_eq!(nothing.exit, Exit::Code(1), "{guest}");
        let line = "secrets = [{ name = \"NAME\" }]";
        assert!(nothing.stderr.contains(line), "{}", nothing.stderr);

        let handle = run("secrets = [{ name = \"tax-key\" }]");
        assert_eq!(handle.exit, Exit::Code(1), "{guest}");
        for part in [
            "error[not-granted]",
            "secrets/reveal@0.1.0",
            "[component.guest.grants]",
            "secrets = [{ name = \"NAME\", reveal = true }]",
        ] {
            assert!(handle.stderr.contains(part), "{part}: {}", handle.stderr);
        }
        assert!(
            !handle.stderr.contains("secrets/store"),
            "{}",
            handle.stderr
        );
    }
}

#[test]
fn a_granted_secret_is_revealed_wherever_it_is_kept() {
    let vault = Vault::start("hvs.test");
    vault.put("apps/shop", json!({ "tax": "from the vault" }));
    let kept = app("", &[]);
    kept.write("tax-key", "from a file\n");
    let in_vault = format!(
        "[backend.corp]\nkind = \"vault\"\naddress = \"{}\"\ntoken = {{ env = \"TOKEN\" }}\n[app.trial.secret.tax-key]\nbackend = \"corp\"\npath = \"apps/shop\"\nfield = \"tax\"\n",
        vault.url()
    );
    let in_files = format!(
        "[backend.kept]\nkind = \"files\"\ndir = {:?}\n[app.trial.secret.tax-key]\nbackend = \"kept\"\n",
        kept.path()
    );
    let in_environment =
        "[backend.env]\nkind = \"environment\"\n[app.trial.secret.tax-key]\nbackend = \"env\"\n"
            .to_owned();
    for (host_file, value) in [
        (in_vault, "from the vault"),
        (in_files, "from a file"),
        (in_environment, "from a variable"),
    ] {
        for guest in ["secrets", "secrets_wasmcloud"] {
            let grants = "secrets = [{ name = \"tax-key\", reveal = true }]";
            let service = Coracle::new()
                .env("TOKEN", "hvs.test")
                .env("CORACLE_SECRET_TAX_KEY", "from a variable")
                .host_file(&host_file)
                .serving(with_secrets(guest, grants, &["tax-key"]))
                .start();
            service.wait_for_line(|line| line.contains("may hold and reveal secret tax-key"));
            let revealed = ask(&service, "/reveal?name=tax-key");
            assert_eq!(revealed, json!({ "text": value }), "{guest}: {host_file}");
            let other = ask(&service, "/reveal?name=other");
            assert_eq!(other["error"], "not-found", "{guest}: {other}");
        }
    }
}

#[test]
fn the_right_to_reveal_one_secret_is_none_to_reveal_another() {
    let kept = app("", &[]);
    kept.write("tax-key", "tax");
    kept.write("mail-key", "mail");
    let host_file = format!(
        "[backend.kept]\nkind = \"files\"\ndir = {:?}\n[app.trial.secret.tax-key]\nbackend = \"kept\"\n[app.trial.secret.mail-key]\nbackend = \"kept\"\n",
        kept.path()
    );
    let grants = "secrets = [{ name = \"tax-key\", reveal = true }, { name = \"mail-key\" }]";
    let service = Coracle::new()
        .host_file(&host_file)
        .serving(with_secrets("secrets", grants, &["tax-key", "mail-key"]))
        .start();
    assert_eq!(
        ask(&service, "/reveal?name=tax-key"),
        json!({ "text": "tax" })
    );
    assert!(ask(&service, "/get?name=mail-key")["version"].is_string());
    assert_eq!(ask(&service, "/reveal?name=mail-key")["error"], "denied");
}

/// What the operator says so that a guest may call this machine.
const LOCAL: &str = "[allow]\nnetworks = [\"127.0.0.0/8\"]\n";

both_generations! {
    a_secret_in_an_outbound_header_arrives_and_the_guest_cannot_see_it,
    a_secret_that_no_header_can_carry_is_sent_nowhere_and_shown_nowhere,
}

fn to(upstream: &Upstream) -> String {
    format!(
        "http = [{{ host = \"127.0.0.1\", port = {}, scheme = \"http\", path = \"/tax/*\", headers = {{ authorization = {{ secret = \"tax-key\", format = \"Bearer {{}}\" }} }} }}, {{ host = \"127.0.0.1\", port = {0}, scheme = \"http\", path = \"/free/*\" }}]",
        upstream.port()
    )
}

fn authorization(head: &str) -> Vec<String> {
    let fields = head.lines().filter_map(|line| line.split_once(": "));
    fields
        .filter(|(name, _)| name.eq_ignore_ascii_case("authorization"))
        .map(|(_, value)| value.to_owned())
        .collect()
}

fn a_secret_in_an_outbound_header_arrives_and_the_guest_cannot_see_it(generation: Generation) {
    let upstream = Upstream::answering("rates");
    let kept = app("", &[]);
    let host_file = format!("{LOCAL}{}", tax_key_in(kept.path(), b"s3cr3t-7f\n"));
    let app = with_secrets(generation.behave(), &to(&upstream), &["tax-key"]);
    let service = Coracle::new().host_file(&host_file).serving(app).start();
    let fetch = |path: &str, more: &str| {
        let url = format!("/fetch?url={}{path}{more}", upstream.base_url());
        let answer = http::get(&service.url(&url)).body_text();
        assert!(!answer.contains("s3cr3t"), "{answer}");
        answer
    };
    assert!(fetch("/tax/eur", "").contains("rates"));
    assert_eq!(authorization(&upstream.requests()[0]), ["Bearer s3cr3t-7f"]);

    assert!(fetch("/free/eur", "").contains("rates"));
    assert!(
        authorization(&upstream.requests()[1]).is_empty(),
        "the header belongs to one grant"
    );

    // What the guest says of itself does not stand beside what the operator says.
    fetch("/tax/eur", "&header=authorization:Bearer+mine");
    for head in &upstream.requests()[2..] {
        assert_eq!(authorization(head), ["Bearer s3cr3t-7f"]);
    }
    assert!(!service.stderr().contains("s3cr3t"), "{}", service.stderr());
}

/// A value is kept for a minute, so that not every request asks for it.
#[test]
fn slow_a_header_carries_the_new_value_without_a_restart() {
    let upstream = Upstream::answering("rates");
    let kept = app("", &[]);
    let host_file = format!("{LOCAL}{}", tax_key_in(kept.path(), b"old"));
    let app = with_secrets("behave", &to(&upstream), &["tax-key"]);
    let service = Coracle::new().host_file(&host_file).serving(app).start();
    let sent = || {
        http::get(&service.url(&format!("/fetch?url={}/tax/eur", upstream.base_url())));
        authorization(upstream.requests().last().unwrap())
    };
    assert_eq!(sent(), ["Bearer old"]);
    fs::write(kept.file("tax-key"), "new").unwrap();
    soon("the new value upstream", PATIENCE * 4, || {
        (sent() == ["Bearer new"]).then_some(())
    });
}

fn a_secret_that_no_header_can_carry_is_sent_nowhere_and_shown_nowhere(generation: Generation) {
    let upstream = Upstream::answering("rates");
    let kept = app("", &[]);
    let host_file = format!("{LOCAL}{}", tax_key_in(kept.path(), b"s3cr3t\r\nx-evil: 1"));
    let app = with_secrets(generation.behave(), &to(&upstream), &["tax-key"]);
    let service = Coracle::new().host_file(&host_file).serving(app).start();
    let url = format!("/fetch?url={}/tax/eur", upstream.base_url());
    let answer = http::get(&service.url(&url)).json();
    assert!(answer["error"].is_string(), "{answer}");
    assert_eq!(upstream.requests().len(), 0);
    let line = service.wait_for_line(|line| line.contains("outbound HTTP"));
    assert!(
        line.contains("tax-key") || line.contains("authorization"),
        "{line}"
    );
    for said in [answer.to_string(), service.stderr()] {
        assert!(!said.contains("s3cr3t"), "{said}");
    }
}

#[test]
fn a_secret_that_nobody_bound_is_refused_at_start() {
    let grants = "secrets = [{ name = \"tax-key\", reveal = true }]";
    let unbound = Coracle::new()
        .host_file("[backend.env]\nkind = \"environment\"\n")
        .serving(with_secrets("secrets", grants, &["tax-key"]))
        .run();
    assert_eq!(unbound.exit, Exit::Code(1));
    for part in ["error[not-bound]", "tax-key", "[app.trial.secret.tax-key]"] {
        assert!(unbound.stderr.contains(part), "{part}: {}", unbound.stderr);
    }
}

/// The guest sees that there is none; whoever runs the node sees which, and where it was looked for.
#[test]
fn a_bound_secret_that_is_not_there_fails_clearly() {
    let vault = Vault::start("hvs.test");
    let kept = app("", &[]);
    let bound = [
        (
            format!("[backend.kept]\nkind = \"files\"\ndir = {:?}\n[app.trial.secret.tax-key]\nbackend = \"kept\"\n", kept.path()),
            "kept",
        ),
        (
            "[backend.env]\nkind = \"environment\"\n[app.trial.secret.tax-key]\nbackend = \"env\"\n".to_owned(),
            "env",
        ),
        (
            format!("[backend.corp]\nkind = \"vault\"\naddress = \"{}\"\ntoken = {{ env = \"TOKEN\" }}\n[app.trial.secret.tax-key]\nbackend = \"corp\"\npath = \"apps/shop\"\nfield = \"tax\"\n", vault.url()),
            "corp",
        ),
    ];
    for (host_file, backend) in bound {
        let grants = "secrets = [{ name = \"tax-key\", reveal = true }]";
        let started = Coracle::new()
            .env("TOKEN", "hvs.test")
            .host_file(&host_file)
            .serving(with_secrets("secrets", grants, &["tax-key"]))
            .try_start();
        let said = match started {
            Err(finished) => finished.stderr,
            Ok(service) => {
                let answer = ask(&service, "/reveal?name=tax-key");
                assert_eq!(answer["error"], "not-found", "{answer}");
                service.wait_for_line(|line| line.contains("GET /reveal"));
                service.stderr()
            }
        };
        let named = said.lines().any(|line| {
            line.contains("tax-key") && line.contains(backend) && !line.contains("may hold")
        });
        assert!(
            named,
            "nobody is told that tax-key is not in {backend}:\n{said}"
        );
    }
}

#[test]
fn a_credential_that_cannot_be_had_is_named_and_not_shown() {
    let grants = "secrets = [{ name = \"tax-key\", reveal = true }]";
    for (token, variable, part) in [
        ("{ env = \"TOKEN\" }", None, "TOKEN"),
        ("{ env = \"TOKEN\" }", Some("canary\u{1}token"), "token"),
        ("{ file = \"absent\" }", None, "absent"),
        ("\"canary-in-the-file\"", None, "token"),
    ] {
        let host_file = format!(
            "[backend.corp]\nkind = \"vault\"\naddress = \"http://127.0.0.1:9\"\ntoken = {token}\n[app.trial.secret.tax-key]\nbackend = \"corp\"\npath = \"apps/shop\"\nfield = \"tax\"\n"
        );
        let run = Coracle::new().host_file(&host_file).serving(with_secrets(
            "secrets",
            grants,
            &["tax-key"],
        ));
        let refused = match variable {
            Some(value) => run.env("TOKEN", value),
            None => run,
        }
        .run();
        assert_eq!(refused.exit, Exit::Code(1), "{token}");
        assert!(refused.stderr.contains(part), "{token}: {}", refused.stderr);
        assert!(!refused.stderr.contains("canary"), "{}", refused.stderr);
    }
}

/// Values that nobody can have by chance.
fn canary() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Relaxed);
    let mixed = (number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    format!("canary{number:02}{mixed:016x}")
}

/// Secrets in a vault, in files and in variables, and the credentials of the backends themselves.
struct Planted {
    vault: Vault,
    redis: Redis,
    token: String,
    kept: TempApp,
    environment: Vec<(String, String)>,
    names: Vec<String>,
    values: Vec<String>,
}

const SECRETS: usize = 24;

impl Planted {
    fn new() -> Self {
        let (token, password) = (canary(), canary());
        let vault = Vault::start(&token);
        let kept = app("", &[]);
        let (mut environment, mut fields) = (Vec::new(), serde_json::Map::new());
        let mut values = vec![token.clone(), password.clone()];
        let names: Vec<_> = (0..SECRETS).map(|n| format!("key-{n}")).collect();
        for (n, name) in names.iter().enumerate() {
            let value = canary();
            match n % 3 {
                0 => _ = fields.insert(name.clone(), value.clone().into()),
                1 => _ = kept.write(name, &value),
                _ => {
                    let variable = name.to_uppercase().replace('-', "_");
                    environment.push((format!("CORACLE_SECRET_{variable}"), value.clone()));
                }
            }
            values.push(value);
        }
        let unfit = canary();
        kept.write("unfit", format!("{unfit}\nx-evil: {unfit}"));
        values.push(unfit);
        vault.put("apps/shop", fields.into());
        vault.put("hosts/cache", json!({ "password": password }));
        let mut redis = Redis::down().with_password(&password);
        redis.up();
        Self {
            vault,
            redis,
            token,
            kept,
            environment,
            names,
            values,
        }
    }

    fn host_file(&self) -> String {
        let mut text = format!(
            "[allow]\nnetworks = [\"127.0.0.0/8\"]\n[backend.corp]\nkind = \"vault\"\naddress = \"{}\"\ntoken = {{ env = \"VAULT_TOKEN\" }}\n[backend.kept]\nkind = \"files\"\ndir = {:?}\n[backend.env]\nkind = \"environment\"\n[backend.cache]\nkind = \"redis\"\nurl = \"{}\"\ntimeout = \"300ms\"\npassword = {{ backend = \"corp\", path = \"hosts/cache\", field = \"password\" }}\n[app.keys.bucket.far]\nbackend = \"cache\"\n[app.trial.secret.unfit]\nbackend = \"kept\"\n",
            self.vault.url(),
            self.kept.path(),
            self.redis.url()
        );
        for (n, name) in self.names.iter().enumerate() {
            text.push_str(&format!("[app.trial.secret.{name}]\n"));
            text.push_str(&match n % 3 {
                0 => format!("backend = \"corp\"\npath = \"apps/shop\"\nfield = \"{name}\"\n"),
                1 => "backend = \"kept\"\n".to_owned(),
                _ => "backend = \"env\"\n".to_owned(),
            });
        }
        text
    }

    /// Reveals the first half, holds the others, sends three of them.
    fn app(&self, upstream: &Upstream) -> TempApp {
        let held = self.names.iter().enumerate().map(|(n, name)| {
            let right = if n < SECRETS / 2 {
                ", reveal = true"
            } else {
                ""
            };
            format!("{{ name = \"{name}\"{right} }}")
        });
        let to = |port: u16, path: &str, secret: &str| {
            format!(
                "{{ host = \"127.0.0.1\", port = {port}, scheme = \"http\", path = \"{path}\", headers = {{ authorization = {{ secret = \"{secret}\", format = \"Bearer {{}}\" }} }} }}"
            )
        };
        let port = upstream.port();
        let grants = format!(
            "secrets = [{}]\nhttp = [{}, {}, {}, {}, {}]",
            held.collect::<Vec<_>>().join(", "),
            to(port, "/vault", "key-0"),
            to(port, "/file", "key-1"),
            to(port, "/variable", "key-2"),
            to(port, "/unfit", "unfit"),
            to(9, "/nobody-listens", "key-3"),
        );
        let mut names: Vec<&str> = self.names.iter().map(String::as_str).collect();
        names.push("unfit");
        with_secrets("secrets", &grants, &names)
    }

    fn node(&self, upstream: &Upstream, log: &str, recordings: &Path) -> Service {
        let keys = app(
            &format!(
                "[app]\nname = \"keys\"\n[component.guest]\nsource = {:?}\n[component.guest.grants]\nkeyvalue = [{{ bucket = \"far\", as = \"default\", access = \"read-write\" }}]\n[bucket.far]\n[[route]]\npath = \"/kv\"\ncomponent = \"guest\"\n",
                guest("kv")
            ),
            &[],
        );
        let run = Coracle::new()
            .host_file(&self.host_file())
            .env("VAULT_TOKEN", &self.token)
            .env("CORACLE_LOG", "trace")
            .serving(self.app(upstream))
            .serving(keys)
            .args(["--log", log, "--admin", "127.0.0.1:0", "--record"])
            .arg(recordings);
        self.environment
            .iter()
            .fold(run, |run, (name, value)| run.env(name, value))
            .start()
    }

    /// Uses every secret in every way there is, also in the ways that fail; what clients were told.
    fn use_all(&mut self, service: &Service, upstream: &Upstream) -> String {
        let mut told = String::new();
        let mut tell = |path: &str| -> String {
            let answer = http::get(&service.url(path));
            let said = format!("{path}: {:?} {}\n", answer.headers, answer.body_text());
            told.push_str(&said);
            said
        };
        for (n, name) in self.names.iter().enumerate() {
            let got = tell(&format!("/get?name={name}"));
            assert!(got.contains("version"), "{got}");
            let revealed = tell(&format!("/reveal?name={name}&show=length"));
            let expected = if n < SECRETS / 2 {
                "{\"length\":24}"
            } else {
                "denied"
            };
            assert!(revealed.contains(expected), "{revealed}");
        }
        tell("/reveal?name=key-0&then=trap");
        tell("/reveal?name=absent");
        for path in ["vault", "file", "variable"] {
            let url = format!("/fetch?url={}/{path}", upstream.base_url());
            assert!(tell(&url).contains("200"));
        }
        tell(&format!("/fetch?url={}/unfit", upstream.base_url()));
        tell(&format!("/fetch?url={}/not-granted", upstream.base_url()));
        tell("/fetch?url=http://127.0.0.1:9/nobody-listens");
        assert!(tell("/kv?op=set&key=a&value=1").contains("{\"ok\":null}"));
        // Everything behind it fails, and a failing server may say what it should not.
        self.redis.kill();
        self.vault.fail(500);
        for path in [
            "/kv?op=get&key=a",
            "/get?name=key-0",
            "/reveal?name=key-0&show=length",
        ] {
            assert!(tell(path).contains("error"));
        }
        tell(&format!("/fetch?url={}/vault", upstream.base_url()));
        self.vault.fail(403);
        tell("/get?name=key-3");
        self.vault.fail(None);
        self.redis.up();
        let mut broken = Connection::open(service.base_url());
        broken
            .sender
            .raw(b"GET / HTTP/1.1\r\nhost\r\n\r\n")
            .unwrap();
        if let Ok(answer) = broken.receiver.response("GET") {
            told.push_str(&answer.body_text());
        }
        told
    }

    /// None of the values, in no spelling, in what somebody can read.
    fn assert_unseen(&self, what: &str, seen: &[u8]) {
        if let Some(around) = self.seen_in(seen) {
            panic!("a secret is in {what}: {around}");
        }
    }

    /// What stands around the first value that is found.
    fn seen_in(&self, seen: &[u8]) -> Option<String> {
        let seen = String::from_utf8_lossy(seen);
        self.values.iter().find_map(|value| {
            let hex: String = value.bytes().map(|byte| format!("{byte:02x}")).collect();
            let listed = format!("{:?}", value.as_bytes());
            let spellings = [
                value.as_str(),
                &hex,
                listed.trim_matches(['[', ']']),
                &base64(value.as_bytes()),
            ];
            let at = spellings.iter().find_map(|spelling| seen.find(spelling))?;
            let around = seen.as_bytes()[at.saturating_sub(120)..].iter();
            Some(around.take(300).map(|byte| char::from(*byte)).collect())
        })
    }
}

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let groups = bytes.chunks(3).flat_map(|group| {
        let bits = group
            .iter()
            .fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte));
        let bits = bits << (8 * (3 - group.len()));
        (0..4).map(move |at| LETTERS[(bits >> (18 - 6 * at) & 63) as usize])
    });
    groups.map(char::from).collect()
}

/// Every file below a folder.
fn files(dir: &Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| {
            if path.is_dir() {
                files(&path)
            } else {
                vec![path]
            }
        })
        .collect()
}

#[test]
fn planted_secrets_are_found_nowhere_in_what_a_node_says_and_writes() {
    for log in ["human", "json"] {
        let mut planted = Planted::new();
        let upstream = Upstream::answering("rates");
        let out = app("", &[]);
        let recordings = out.file("recordings");
        let mut service = planted.node(&upstream, log, &recordings);
        let told = planted.use_all(&service, &upstream);
        // They did arrive where they belong.
        let heads = upstream.requests().join("");
        for value in &planted.values[2..5] {
            assert!(heads.contains(&format!("Bearer {value}")), "{heads}");
        }
        assert!(
            planted.seen_in(heads.as_bytes()).is_some(),
            "and the search finds what is there"
        );
        let admin = service.admin_url();
        let metrics = http::try_request("GET", &format!("{admin}/metrics"), &[], b"").unwrap();
        assert_eq!(service.stop(), Exit::Code(0));

        planted.assert_unseen("what clients were told", told.as_bytes());
        planted.assert_unseen("/metrics", &metrics.body);
        planted.assert_unseen("stdout", service.stdout().as_bytes());
        let stderr = service.stderr();
        planted.assert_unseen(&format!("the {log} log"), stderr.as_bytes());
        let recorded = files(&recordings);
        assert!(recorded.len() >= 2 * SECRETS, "{recorded:?}");
        for file in recorded {
            let name = file.display().to_string();
            planted.assert_unseen(&name, &fs::read(&file).unwrap());
            let show = Coracle::subcommand("recording")
                .arg("show")
                .arg(&file)
                .run();
            assert_eq!(show.exit, Exit::Code(0), "{}", show.stderr);
            planted.assert_unseen(&name, show.stdout.as_bytes());
        }
    }
}

/// A replay has no backend: it takes a value of the same length that opens no door, and says so.
#[test]
fn a_recorded_reveal_replays_with_a_stand_in_and_says_so() {
    let kept = app("", &[]);
    let out = app("", &[]);
    let grants = "secrets = [{ name = \"tax-key\", reveal = true }]";
    let mut service = Coracle::new()
        .host_file(&tax_key_in(kept.path(), b"s3cr3t-7f"))
        .serving(with_secrets("secrets", grants, &["tax-key"]))
        .arg("--record")
        .arg(out.file("recordings"))
        .start();
    let length = ask(&service, "/reveal?name=tax-key&show=length");
    assert_eq!(length, json!({ "length": 9 }));
    assert_eq!(service.stop(), Exit::Code(0));
    let file = files(&out.file("recordings")).remove(0);
    let replay = Coracle::subcommand("replay").arg(&file).run();
    assert_eq!(
        replay.exit,
        Exit::Code(0),
        "{}{}",
        replay.stdout,
        replay.stderr
    );
    let said = format!("{}{}", replay.stdout, replay.stderr);
    assert!(
        said.contains("tax-key") && said.contains("stand-in"),
        "it does not say where the value of tax-key comes from: {said}"
    );
}

/// Its answer holds the value in a spelling that nobody looks for: only who is told the value itself spells it so again.
#[test]
fn a_replay_hands_out_the_operators_value_when_it_is_the_recorded_one_and_says_so() {
    let (kept, out, state) = (app("", &[]), app("", &[]), StateDir::new());
    let grants = "secrets = [{ name = \"tax-key\", reveal = true }]";
    let host_file = tax_key_in(kept.path(), b"quo\"ted-7f");
    let mut service = Coracle::new()
        .state(&state)
        .host_file(&host_file)
        .serving(with_secrets("secrets", grants, &["tax-key"]))
        .arg("--record")
        .arg(out.file("recordings"))
        .start();
    let text = ask(&service, "/reveal?name=tax-key");
    assert_eq!(text, json!({ "text": "quo\"ted-7f" }));
    assert_eq!(service.stop(), Exit::Code(0));
    let file = files(&out.file("recordings")).remove(0);
    let host_file = out.write("host.toml", &host_file);
    let replay = |state: &StateDir, with_file: bool| {
        let command = Coracle::subcommand("replay").arg(&file);
        let command = command.arg("--state-dir").arg(state.path());
        if with_file {
            command.arg("--host-file").arg(&host_file).run()
        } else {
            command.run()
        }
    };
    let told = replay(&state, true);
    assert_eq!(told.exit, Exit::Code(0), "{}{}", told.stdout, told.stderr);
    let said =
        "secret tax-key: the replay hands out the value that is kept now; it is the recorded one";
    assert!(told.stderr.contains(said), "{}", told.stderr);
    for seen in [&told.stdout, &told.stderr] {
        assert!(!seen.contains("ted-7f"), "{seen}");
    }

    let cases = [
        (replay(&state, false), "no operator's file says where it is"),
        (
            replay(&StateDir::with_own_cache(), true),
            "it was recorded under the key of another state directory",
        ),
        (
            {
                fs::write(kept.file("tax-key"), "another-7f").unwrap();
                replay(&state, true)
            },
            "the value that is kept now is not the recorded one",
        ),
        (
            {
                fs::remove_file(kept.file("tax-key")).unwrap();
                replay(&state, true)
            },
            "there is no such secret",
        ),
    ];
    for (replayed, why) in cases {
        assert_eq!(replayed.exit, Exit::Code(1), "{why}: {}", replayed.stderr);
        let said =
            format!("secret tax-key: the replay hands out a stand-in of the same length: {why}");
        assert!(replayed.stderr.contains(&said), "{}", replayed.stderr);
    }
}

/// What the recording holds of it is its stand-in, and so is what is compared.
#[test]
fn a_value_that_the_guest_passes_on_replays_with_the_value_and_without() {
    let (kept, out, state) = (app("", &[]), app("", &[]), StateDir::new());
    let grants = "secrets = [{ name = \"tax-key\", reveal = true }]";
    let host_file = tax_key_in(kept.path(), b"s3cr3t-7f");
    let mut service = Coracle::new()
        .state(&state)
        .host_file(&host_file)
        .serving(with_secrets("secrets", grants, &["tax-key"]))
        .arg("--record")
        .arg(out.file("recordings"))
        .start();
    ask(&service, "/reveal?name=tax-key");
    assert_eq!(service.stop(), Exit::Code(0));
    let file = files(&out.file("recordings")).remove(0);
    assert!(!String::from_utf8_lossy(&fs::read(&file).unwrap()).contains("s3cr3t"));
    let host_file = out.write("host.toml", &host_file);
    let replay = || {
        let command = Coracle::subcommand("replay").arg(&file);
        command.arg("--state-dir").arg(state.path())
    };
    for replayed in [
        replay().run(),
        replay().arg("--host-file").arg(&host_file).run(),
    ] {
        let Finished {
            exit,
            stdout,
            stderr,
        } = replayed;
        assert_eq!(exit, Exit::Code(0), "{stdout}{stderr}");
    }
}
