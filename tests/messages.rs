//! Bad input gets a clear error: the whole message for each, as a person reads it, in `messages/CASE.txt`. `UPDATE=1` rewrites them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is how a test fails, in its helpers too"
)]

use std::{
    fs,
    net::TcpListener,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use coracle_testkit::{
    Coracle, Exit, Finished, StateDir, TempApp, app, assert_golden, guest, one, repository,
    without_root,
};

/// Paths and numbers that differ from run to run, and what stands for them.
struct Names(Vec<(String, &'static str)>);

impl Names {
    fn of(app: &TempApp) -> Self {
        let mut names = Self(Vec::new());
        names.add(app.path(), "APP");
        names.add(
            &repository().join("guests/target/wasm32-wasip2/release"),
            "GUESTS",
        );
        names
    }

    fn add(&mut self, path: &Path, name: &'static str) {
        let canonical = path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
        self.0.push((canonical.display().to_string(), name));
        self.0.push((path.display().to_string(), name));
        // A folder inside another is named before it.
        self.0
            .sort_by_key(|(real, _)| std::cmp::Reverse(real.len()));
    }

    fn instead(&self, text: &str) -> String {
        let named = self.0.iter();
        let text = named.fold(text.to_owned(), |text, (real, name)| {
            text.replace(real, name)
        });
        without_digests(&text)
    }
}

/// Hexadecimal numbers of 32 digits and more name what a compiler made.
fn without_digests(text: &str) -> String {
    let mut named = String::new();
    let mut digits = String::new();
    for character in text.chars().chain(['\0']) {
        if matches!(character, '0'..='9' | 'a'..='f') {
            digits.push(character);
            continue;
        }
        named.push_str(if digits.len() < 32 { &digits } else { "DIGEST" });
        digits.clear();
        named.push(character);
    }
    named.trim_end_matches('\0').to_owned()
}

/// The whole of what was said, and how it ended.
fn assert_said(case: &str, names: &Names, finished: &Finished) {
    let exit = match finished.exit {
        Exit::Code(code) => format!("exit {code}"),
        Exit::Signal(signal) => format!("signal {signal}"),
    };
    let streams = [("stdout", &finished.stdout), ("stderr", &finished.stderr)];
    let said: String = streams
        .iter()
        .filter(|(_, text)| !text.is_empty())
        .map(|(stream, text)| format!("--- {stream}\n{}\n", names.instead(text)))
        .collect();
    let file = repository().join(format!("tests/messages/{case}.txt"));
    assert_golden(file, &format!("{exit}\n{said}"));
}

/// A manifest that cannot be served, and what is said about it.
fn assert_manifest(case: &str, manifest: &str) {
    let app = app(manifest, &[("a.wasm", b""), ("b.wasm", b"")]);
    let finished = Coracle::new().app(&app).run();
    assert_said(case, &Names::of(&app), &finished);
}

#[test]
fn a_manifest_that_is_missing() {
    let app = app("", &[]);
    fs::remove_file(app.file("coracle.toml")).unwrap();
    let finished = Coracle::new().app(&app).run();
    assert_said("manifest-missing", &Names::of(&app), &finished);
}

#[test]
fn a_folder_that_is_missing() {
    let app = app("", &[]);
    let finished = Coracle::new().app(app.file("absent")).run();
    assert_said("folder-missing", &Names::of(&app), &finished);
}

#[test]
fn a_manifest_that_is_not_toml() {
    assert_manifest(
        "not-toml",
        "[app]\nname = shop\n\n[component.a\nsource = \"a.wasm\"\n\n[[route]]\npath = \"/*\"\ncomponent = \"a\"\n",
    );
}

#[test]
fn an_unknown_key() {
    assert_manifest(
        "unknown-key",
        "[app]\nname = \"shop\"\n\n[component.a]\nsource = \"a.wasm\"\nenviroment = { LOG = \"info\" }\n\n[[route]]\npath = \"/*\"\ncomponent = \"a\"\n",
    );
}

#[test]
fn a_key_that_is_not_in_this_version() {
    assert_manifest(
        "key-not-in-this-version",
        "[app]\nname = \"shop\"\n\n[component.a]\nsource = \"a.wasm\"\nreplicas = 3\n\n[upstream.legacy]\n\n[[route]]\npath = \"/*\"\ncomponent = \"a\"\n",
    );
}

#[test]
fn a_value_of_the_wrong_type() {
    assert_manifest(
        "wrong-type",
        "[app]\nname = 7\n\n[component.a]\nsource = [\"a.wasm\"]\n[component.a.grants]\nclock = \"yes\"\n\n[[route]]\npath = \"/*\"\ncomponent = \"a\"\n",
    );
}

#[test]
fn two_components_with_one_name() {
    assert_manifest(
        "two-components-with-one-name",
        "[app]\nname = \"shop\"\n\n[component.a]\nsource = \"a.wasm\"\n\n[component.a]\nsource = \"b.wasm\"\n\n[[route]]\npath = \"/*\"\ncomponent = \"a\"\n",
    );
}

#[test]
fn a_route_to_a_component_that_does_not_exist() {
    assert_manifest(
        "route-to-nothing",
        "[app]\nname = \"shop\"\n\n[component.orders]\nsource = \"a.wasm\"\n\n[[route]]\npath = \"/*\"\ncomponent = \"order\"\n",
    );
}

#[test]
fn a_link_to_nothing() {
    assert_manifest(
        "link-to-nothing",
        "[app]\nname = \"shop\"\n\n[component.a]\nsource = \"a.wasm\"\nlinks = { \"shop:auth/tokens\" = \"auth\" }\n\n[[route]]\npath = \"/*\"\ncomponent = \"a\"\n",
    );
}

#[test]
fn components_that_wait_for_each_other() {
    assert_manifest(
        "links-in-a-circle",
        "[app]\nname = \"shop\"\n\n[component.a]\nsource = \"a.wasm\"\nlinks = { \"shop:auth/tokens\" = \"b\" }\n\n[component.b]\nsource = \"b.wasm\"\nlinks = { \"shop:a/calc\" = \"a\" }\n\n[[route]]\npath = \"/*\"\ncomponent = \"a\"\n",
    );
}

#[test]
fn links_and_filters_that_are_not_run_yet() {
    let linked = "[app]\nname = \"shop\"\n\n[component.a]\nsource = \"a.wasm\"\nlinks = { \"shop:auth/tokens\" = \"b\" }\n\n[component.b]\nsource = \"b.wasm\"\n\n[[route]]\npath = \"/*\"\ncomponent = \"a\"\n";
    assert_manifest("links-not-run", linked);
    let filtered = linked.replace("links = { \"shop:auth/tokens\" = \"b\" }\n", "");
    assert_manifest("filters-not-run", &format!("{filtered}filters = [\"b\"]\n"));
}

#[test]
fn a_grant_for_a_bucket_that_nobody_declares() {
    assert_manifest(
        "bucket-nobody-declares",
        "[app]\nname = \"shop\"\n\n[component.a]\nsource = \"a.wasm\"\n[component.a.grants]\nkeyvalue = [{ bucket = \"api-key\", as = \"default\" }]\n\n[bucket.api-keys]\n\n[[route]]\npath = \"/*\"\ncomponent = \"a\"\n",
    );
}

#[test]
fn every_problem_at_once() {
    assert_manifest(
        "every-problem-at-once",
        "[app]\nname = \"Shop\"\ncolour = \"red\"\n\n[component.a]\nsource = \"absent.wasm\"\nlimits = { memory = \"64 megs\" }\n\n[[route]]\npath = \"orders\"\ncomponent = \"b\"\n",
    );
}

#[test]
fn two_apps_that_claim_one_route() {
    let manifest = |name: &str| {
        format!(
            "[app]\nname = \"{name}\"\n[component.guest]\nsource = {:?}\n[[route]]\npath = \"/orders/{{id}}\"\ncomponent = \"guest\"\n",
            guest("behave")
        )
    };
    let (one, other) = (app(&manifest("one"), &[]), app(&manifest("other"), &[]));
    let mut names = Names::of(&one);
    names.add(other.path(), "OTHER");
    let finished = Coracle::new().app(&one).app(&other).run();
    assert_said("two-apps-with-one-route", &names, &finished);
}

#[test]
fn an_import_that_no_host_has() {
    let app = one("missing", "");
    let finished = Coracle::new().app(&app).run();
    assert_said("unknown-import", &Names::of(&app), &finished);
}

#[test]
fn an_import_without_a_grant() {
    let app = one("kv", "");
    let finished = Coracle::new().app(&app).run();
    assert_said("import-not-granted", &Names::of(&app), &finished);
}

#[test]
fn a_grant_that_the_operator_does_not_allow() {
    let grants = "[component.guest.grants]\nhttp = [{ host = \"169.254.169.254\", scheme = \"http\" }]\nfiles = [{ dir = \"/etc\", at = \"/etc\" }]";
    let app = one("behave", grants);
    let run = Coracle::new().app(&app);
    let mut names = Names::of(&app);
    names.add(run.dir(), "HERE");
    assert_said("operator-refuses", &names, &run.run());

    let run = Coracle::new()
        .app(&app)
        .host_file("[allow]\ndirectories = [\"/srv\"]\n");
    let mut names = Names::of(&app);
    names.add(run.dir(), "HERE");
    assert_said("operator-with-a-file-refuses", &names, &run.run());
}

#[test]
fn an_operator_s_file_that_is_wrong() {
    let app = one("behave", "");
    let run = Coracle::new()
        .app(&app)
        .host_file("[allow]\nnetworks = [\"10.0.0.1/8\"]\nhost = \"x\"\n");
    let mut names = Names::of(&app);
    names.add(run.dir(), "HERE");
    assert_said("operator-file-wrong", &names, &run.run());
}

#[test]
fn values_that_the_operator_does_not_give_or_hold() {
    let app = one(
        "config",
        "config = { region = { required = true } }\nenvironment = { LOG = { required = true } }",
    );
    let run = Coracle::new().app(&app);
    let mut names = Names::of(&app);
    names.add(run.dir(), "HERE");
    assert_said("values-not-bound", &names, &run.run());

    let both = ["config", "environment"].map(|of| format!("[{of}]\nbackend = \"settings\"\n"));
    let host = format!(
        "[backend.settings]\nkind = \"files\"\ndir = \"values\"\n{}",
        both.concat()
    );
    let run = Coracle::new().app(&app);
    fs::create_dir(run.dir().join("values")).unwrap();
    let run = run.host_file(&host);
    let mut names = Names::of(&app);
    names.add(run.dir(), "HERE");
    assert_said("values-not-allowed", &names, &run.run());

    let allowed = format!("{host}[allow]\nvalues = [\"config\", \"environment\"]\n");
    let run = Coracle::new().app(&app);
    fs::create_dir(run.dir().join("values")).unwrap();
    let run = run.host_file(&allowed);
    let mut names = Names::of(&app);
    names.add(run.dir(), "HERE");
    assert_said("values-not-held", &names, &run.run());
}

/// A file where a component should be.
fn assert_component(case: &str, bytes: &[u8]) {
    let manifest = "[app]\nname = \"shop\"\n\n[component.a]\nsource = \"a.wasm\"\n\n[[route]]\npath = \"/*\"\ncomponent = \"a\"\n";
    let app = app(manifest, &[("a.wasm", bytes)]);
    let finished = Coracle::new().app(&app).run();
    assert_said(case, &Names::of(&app), &finished);
}

#[test]
fn a_file_that_is_not_webassembly() {
    assert_component("not-webassembly", b"#!/bin/sh\necho hello\n");
}

#[test]
fn a_core_module_where_a_component_belongs() {
    assert_component("core-module", b"\0asm\x01\0\0\0");
}

#[test]
fn a_component_that_is_cut_off() {
    // A component with one core module, which ends before it is over.
    let component = b"\0asm\x0d\0\x01\0\x01\x20\0asm\x01\0\0\0\x01\x05\x01\x60\0\x01\x7f";
    assert_component("component-cut-off", component);
}

#[test]
fn a_component_that_is_not_valid() {
    // A component with a core module whose one function leaves nothing where it promised a number.
    let module = b"\0asm\x01\0\0\0\x01\x05\x01\x60\0\x01\x7f\x03\x02\x01\0\x0a\x04\x01\x02\0\x0b";
    let mut component = b"\0asm\x0d\0\x01\0\x01".to_vec();
    component.push(module.len() as u8);
    component.extend_from_slice(module);
    assert_component("component-not-valid", &component);
}

#[test]
fn a_component_of_a_world_that_cannot_serve() {
    let app = one("nothing", "");
    let finished = Coracle::new().app(&app).run();
    assert_said("nothing-to-serve", &Names::of(&app), &finished);
}

#[test]
fn one_file_that_cannot_be_served() {
    let app = app("", &[("note.wasm", b"hello")]);
    let names = Names::of(&app);
    let finished = Coracle::new().arg(app.file("note.wasm")).run();
    assert_said("one-file-not-webassembly", &names, &finished);
    let finished = Coracle::new().arg(app.file("absent.wasm")).run();
    assert_said("one-file-missing", &names, &finished);
    let finished = Coracle::new()
        .arg(guest("behave"))
        .args([
            "--grant",
            "clock = yes",
            "--grant",
            "keyvalue = [{ bukket = \"a\" }]",
        ])
        .run();
    assert_said("one-file-wrong-grants", &names, &finished);
}

#[test]
fn a_build_command_that_fails() {
    let manifest = "[app]\nname = \"shop\"\n\n[component.a]\nsource = \"out/a.wasm\"\n\
                    build = { command = \"echo compiling; echo 'error: no such thing' >&2; exit 3\", dir = \".\" }\n\n[[route]]\npath = \"/*\"\ncomponent = \"a\"\n";
    let app = app(manifest, &[]);
    let finished = Coracle::new().building().app(&app).run();
    assert_said("build-fails", &Names::of(&app), &finished);
}

#[test]
fn a_build_command_that_makes_nothing() {
    let manifest = "[app]\nname = \"shop\"\n\n[component.a]\nsource = \"out/a.wasm\"\nbuild = { command = \"true\", dir = \".\" }\n\n[[route]]\npath = \"/*\"\ncomponent = \"a\"\n";
    let app = app(manifest, &[]);
    let finished = Coracle::new().building().app(&app).run();
    assert_said("build-makes-nothing", &Names::of(&app), &finished);
    let finished = Coracle::new().app(&app).run();
    assert_said("not-built", &Names::of(&app), &finished);
}

#[test]
fn a_port_that_is_in_use() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let app = one("behave", "");
    let mut names = Names::of(&app);
    names.0.push((address.port().to_string(), "PORT"));
    let finished = Coracle::new().app(&app).listen(&address.to_string()).run();
    assert_said("port-in-use", &names, &finished);
    let finished = Coracle::new()
        .app(&app)
        .args(["--admin", &address.to_string()])
        .run();
    assert_said("admin-port-in-use", &names, &finished);
}

#[test]
fn a_seed_that_is_no_seed() {
    let grants = "[component.guest.grants]\nkeyvalue = [{ bucket = \"keys\", as = \"default\" }]\n[bucket.keys]\nseed = \"keys.json\"\n";
    let app = one("kv", grants);
    app.write("keys.json", "[1, 2]");
    let finished = Coracle::new().app(&app).run();
    assert_said("not-a-seed", &Names::of(&app), &finished);
}

#[test]
fn a_state_directory_that_another_node_uses() {
    let grants = "[component.guest.grants]\nkeyvalue = [{ bucket = \"keys\", as = \"default\" }]\n[bucket.keys]\n";
    let (app, state) = (one("kv", grants), StateDir::new());
    let _first = Coracle::new().app(&app).state(&state).start();
    let mut names = Names::of(&app);
    names.add(state.path(), "STATE");
    let finished = Coracle::new().app(&app).state(&state).run();
    assert_said("state-in-use", &names, &finished);
}

#[test]
fn a_state_directory_that_is_a_file() {
    let app = one("behave", "");
    let state = app.write("state", "");
    let finished = Coracle::new().app(&app).state_at(state).run();
    assert_said("state-is-a-file", &Names::of(&app), &finished);
}

/// Served all the same; what is said about it is one line.
#[test]
fn a_cache_file_that_is_damaged() {
    let state = StateDir::with_own_cache();
    let start = || {
        let mut service = Coracle::new()
            .serving(one("behave", ""))
            .state(&state)
            .start();
        service.stop();
        service.stderr_lines()
    };
    start();
    let artifact = find(&state.path().join("cache"), "artifact").expect("an artifact");
    fs::set_permissions(&artifact, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(&artifact, "damaged").unwrap();
    let said: Vec<_> = start()
        .into_iter()
        .filter(|line| line.contains("damaged"))
        .map(|line| without_numbers(&line))
        .collect();
    let file = repository().join("tests/messages/cache-damaged.txt");
    assert_golden(file, &format!("{}\n", said.join("\n")));
}

fn find(dir: &Path, extension: &str) -> Option<PathBuf> {
    fs::read_dir(dir).ok()?.find_map(|entry| {
        let path = entry.ok()?.path();
        if path.is_dir() {
            return find(&path, extension);
        }
        path.extension()
            .is_some_and(|found| found == extension)
            .then_some(path)
    })
}

/// Sizes and times depend on the compiler and the machine.
fn without_numbers(line: &str) -> String {
    let is_number = |word: &str| word.parse::<f64>().is_ok();
    let words = line
        .split(' ')
        .map(|word| if is_number(word) { "N" } else { word });
    words.collect::<Vec<_>>().join(" ")
}

/// A mount that goes when it is dropped.
struct Full(PathBuf);

impl Full {
    /// A disk with room for next to nothing.
    fn mount(at: PathBuf, size: &str) -> Self {
        fs::create_dir_all(&at).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"])
            .arg(&at)
            .status()
            .unwrap();
        assert!(mounted.success());
        Self(at)
    }
}

impl Drop for Full {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk() {
    if without_root() {
        return;
    }
    let app = one("behave", "");
    let disk = Full::mount(app.file("state"), "64k");
    let mut names = Names::of(&app);
    names.add(&disk.0, "STATE");
    let finished = Coracle::new().app(&app).state_at(&disk.0).run();
    let file = find(&disk.0, "tmp");
    assert_eq!(file, None, "nothing half-written is left");
    assert_said("full-disk", &names, &finished);
}

#[test]
fn a_full_disk_under_a_bucket() {
    if without_root() {
        return;
    }
    let grants = "[component.guest.grants]\nkeyvalue = [{ bucket = \"keys\", as = \"default\" }]\n[bucket.keys]\n";
    let app = one("kv", grants);
    let disk = Full::mount(app.file("state"), "4k");
    let mut names = Names::of(&app);
    names.add(&disk.0, "STATE");
    let finished = Coracle::new().app(&app).state_at(&disk.0).run();
    assert_said("full-disk-under-a-bucket", &names, &finished);
}
