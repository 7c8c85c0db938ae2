//! One component reads its configuration and its environment from wherever the operator keeps them; a source that is gone is an error it
//! can answer and a line its operator can read.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is how a test fails, in its helpers too"
)]

use std::fs;

use coracle_testkit::{
    Coracle, Exit, Generation, PATIENCE, Service, StateDir, TempApp, app, both_generations, http,
    one, soon,
};
use serde_json::{Value, json};

both_generations! {
    an_environment_is_the_operators_over_the_manifests,
    a_changed_variable_is_seen_within_a_second_and_the_last_one_serves_while_its_file_is_gone,
    a_recorded_environment_replays_when_the_operators_is_another,
    an_instance_that_is_kept_ends_when_its_variables_change,
}

/// Both drafts of `wasi:config`.
const DRAFTS: [&str; 2] = ["config", "config_draft"];

/// The operator's word: values of the app in files below `dir`, `of` its configuration or its environment.
fn in_files(dir: &TempApp, of: &str) -> String {
    let dir = dir.file("values");
    fs::create_dir_all(&dir).unwrap();
    format!(
        "[backend.settings]\nkind = \"files\"\ndir = {dir:?}\n[app.trial.{of}]\nbackend = \"settings\"\n"
    )
}

/// The operator's word: values in variables that begin with `TRIAL_`.
fn in_environment(of: &str) -> String {
    format!(
        "[backend.variables]\nkind = \"environment\"\nprefix = \"TRIAL_\"\n[app.trial.component.guest.{of}]\nbackend = \"variables\"\n"
    )
}

fn folder() -> TempApp {
    app("", &[])
}

fn get_json(service: &Service, path: &str) -> Value {
    let answer = http::get(&service.url(path));
    assert_eq!(answer.status, 200, "{path}: {}", answer.body_text());
    answer.json()
}

#[test]
fn one_component_reads_the_same_configuration_from_the_manifest_files_and_the_environment() {
    for draft in DRAFTS {
        let manifest = Coracle::new().serving(one(
            draft,
            "config = { issuer = \"shop\", log_level = \"info\" }",
        ));
        let dir = folder();
        let host = in_files(&dir, "config");
        dir.write("values/issuer", "shop\n");
        dir.write("values/log_level", "info");
        let files = Coracle::new().host_file(&host).serving(one(draft, ""));
        let environment = Coracle::new()
            .host_file(&in_environment("config"))
            .env("TRIAL_ISSUER", "shop")
            .env("TRIAL_LOG__LEVEL", "info")
            .env("OTHER_ISSUER", "of another")
            .serving(one(draft, ""));
        for run in [manifest, files, environment] {
            let service = run.start();
            let all = json!([["issuer", "shop"], ["log_level", "info"]]);
            assert_eq!(get_json(&service, "/config"), all, "{draft}");
            let one = |key: &str| get_json(&service, &format!("/config?key={key}"));
            assert_eq!(one("issuer"), json!({ "value": "shop" }), "{draft}");
            assert_eq!(one("other"), json!({ "value": null }), "{draft}");
            let out = one("..%2F..%2F..%2Fetc%2Fhostname");
            assert_eq!(out, json!({ "value": null }), "{draft}");
        }
    }
}

#[test]
fn the_operators_value_stands_above_the_manifests_and_the_start_says_where_both_are() {
    let dir = folder();
    let host = in_files(&dir, "config");
    dir.write("values/region", "us");
    let trial = one("config", "config = { currency = \"EUR\", region = \"eu\" }");
    let service = Coracle::new().host_file(&host).serving(trial).start();
    assert_eq!(
        get_json(&service, "/config"),
        json!([["currency", "EUR"], ["region", "us"]])
    );
    let said = "may read configuration (settings, then the manifest)";
    service.wait_for_line(|line| line.trim() == said);
    assert!(!service.stderr().contains("EUR"), "{}", service.stderr());

    // What changes is seen by the next call.
    dir.write("values/region", "ap");
    assert_eq!(
        get_json(&service, "/config?key=region"),
        json!({ "value": "ap" })
    );
    fs::remove_file(dir.file("values/region")).unwrap();
    assert_eq!(
        get_json(&service, "/config?key=region"),
        json!({ "value": "eu" })
    );
}

#[test]
fn a_source_that_is_gone_is_an_error_of_the_interface_and_a_line_of_the_log() {
    for draft in DRAFTS {
        let dir = folder();
        let host = in_files(&dir, "config");
        dir.write("values/region", "a canary");
        let trial = one(draft, "config = { region = \"eu\" }");
        let service = Coracle::new().host_file(&host).serving(trial).start();
        let url = service.url("/config?key=region");
        assert_eq!(http::get(&url).json(), json!({ "value": "a canary" }));

        fs::rename(dir.file("values"), dir.file("away")).unwrap();
        for url in [&url, &service.url("/config")] {
            let answer = http::get(url);
            // The guest's own words about the error that it was given.
            assert_eq!(answer.status, 500);
            let error = "the configuration is unavailable: the directory cannot be opened";
            assert_eq!(answer.body_text(), format!("Error::Io({error:?})"));
        }
        let line = service.wait_for_line(|line| line.contains("config get"));
        for said in ["trial", "guest", "settings", "cannot be opened"] {
            assert!(line.contains(said), "{said}: {line}");
        }

        fs::rename(dir.file("away"), dir.file("values")).unwrap();
        assert_eq!(http::get(&url).json(), json!({ "value": "a canary" }));
        dir.write("values/region", b"a canary \xff");
        let error = "the configuration cannot be read: the value of \"region\" is not text";
        let answer = http::get(&url).body_text();
        assert_eq!(answer, format!("Error::Upstream({error:?})"));
        assert!(!service.stderr().contains("canary"), "{}", service.stderr());
    }
}

#[test]
fn the_profiles_configuration_needs_no_operator() {
    let dir = folder();
    let host = in_files(&dir, "config");
    dir.write("values/region", "us");
    let trial = one(
        "config",
        "config = { currency = \"EUR\", region = { required = true } }\n[profile.test.component.guest]\nconfig = { region = \"mock\" }",
    );
    let real = Coracle::new().host_file(&host).app(&trial).start();
    let all = |region| json!([["currency", "EUR"], ["region", region]]);
    assert_eq!(get_json(&real, "/config"), all("us"));
    for host in [host.as_str(), ""] {
        let mocked = Coracle::new().host_file(host).app(&trial);
        let mocked = mocked.args(["--profile", "test"]).start();
        assert_eq!(get_json(&mocked, "/config"), all("mock"));
    }
}

#[test]
fn what_every_app_may_have_is_had_by_the_apps_that_the_operator_allows() {
    let dir = folder();
    let shared = in_files(&dir, "config").replace("[app.trial.config]", "[config]");
    dir.write("values/region", "us");
    let served = |allow: &str| {
        let host = format!("{shared}{allow}");
        Coracle::new()
            .host_file(&host)
            .serving(one("config", ""))
            .start()
    };
    assert_eq!(get_json(&served(""), "/config"), json!([]));
    let allowed = served("[app.trial.allow]\nvalues = [\"config\"]\n");
    assert_eq!(get_json(&allowed, "/config"), json!([["region", "us"]]));
    let another = served("[app.another.allow]\nvalues = [\"config\"]\n");
    assert_eq!(get_json(&another, "/config"), json!([]));
}

fn an_environment_is_the_operators_over_the_manifests(generation: Generation) {
    let manifest = "environment = { LOG = \"info\", REGION = \"eu\" }";
    let dir = folder();
    let files = in_files(&dir, "environment");
    dir.write("values/REGION", "us\n");
    dir.write("values/ZONE", "");
    dir.write("values/NO=NAME", "x");
    let files = Coracle::new().host_file(&files);
    let variables = Coracle::new()
        .host_file(&in_environment("environment"))
        .env("TRIAL_REGION", "us")
        .env("TRIAL_ZONE", "")
        .env("REGION", "of the node");
    for run in [files, variables] {
        let service = run.serving(generation.app(manifest)).start();
        assert_eq!(
            get_json(&service, "/env")["environment"],
            json!([["LOG", "info"], ["REGION", "us"], ["ZONE", ""]])
        );
        service.wait_for_line(|line| line.contains("may read environment ("));
    }
}

fn a_changed_variable_is_seen_within_a_second_and_the_last_one_serves_while_its_file_is_gone(
    generation: Generation,
) {
    let dir = folder();
    let host = in_files(&dir, "environment");
    dir.write("values/REGION", "eu");
    let service = Coracle::new()
        .host_file(&host)
        .serving(generation.app(""))
        .start();
    let region = || get_json(&service, "/env")["environment"].clone();
    assert_eq!(region(), json!([["REGION", "eu"]]));
    dir.write("values/REGION", "us");
    let changed = || (region() == json!([["REGION", "us"]])).then_some(());
    soon("the changed variable", PATIENCE, changed);

    fs::rename(dir.file("values"), dir.file("away")).unwrap();
    soon("the line about the directory", PATIENCE, || {
        assert_eq!(region(), json!([["REGION", "us"]]));
        service.stderr().contains("config get-all").then_some(())
    });
    fs::create_dir(dir.file("values")).unwrap();
    dir.write("values/REGION", "ap");
    let back = || (region() == json!([["REGION", "ap"]])).then_some(());
    soon("the directory in use again", PATIENCE, back);
}

/// A program reads its variables once, however many requests it serves.
fn an_instance_that_is_kept_ends_when_its_variables_change(generation: Generation) {
    let dir = folder();
    let host = in_files(&dir, "environment");
    dir.write("values/REGION", "eu");
    let trial = generation.app("reuse = { requests = 10000 }");
    let service = Coracle::new().host_file(&host).serving(trial).start();
    let region = || get_json(&service, "/env")["environment"].clone();
    let count = || get_json(&service, "/count")["calls"].as_u64().unwrap();
    assert_eq!(region(), json!([["REGION", "eu"]]));
    soon("an instance that serves again", PATIENCE, || {
        (count() > 1).then_some(())
    });
    dir.write("values/REGION", "us");
    let changed = || (region() == json!([["REGION", "us"]])).then_some(());
    soon("the changed variable", PATIENCE, changed);
}

/// Serves and records what `ask` asks, and says which file it became.
fn recorded(run: Coracle, out: &TempApp, ask: impl FnOnce(&Service)) -> std::path::PathBuf {
    let dir = out.file("recordings");
    let mut service = run.arg("--record").arg(&dir).start();
    ask(&service);
    assert_eq!(service.stop(), Exit::Code(0), "{}", service.stderr());
    let mut files = fs::read_dir(&dir).unwrap().map(|file| file.unwrap().path());
    let file = files.next().expect("a recording");
    assert_eq!(files.next(), None);
    file
}

fn assert_replays(file: &std::path::Path) {
    let state = StateDir::new();
    let replay = Coracle::subcommand("replay").arg(file).arg("--state-dir");
    let finished = replay.arg(state.path()).run();
    let said = (finished.exit, finished.stdout.as_str());
    let same = (Exit::Code(0), "same: every call and every byte");
    assert_eq!(said, same, "{}", finished.stderr);
}

#[test]
fn recorded_reads_of_configuration_replay_when_the_source_is_gone() {
    for draft in DRAFTS {
        for path in ["/config", "/config?key=region"] {
            let (dir, out) = (folder(), folder());
            let host = in_files(&dir, "config");
            dir.write("values/region", "us");
            let trial = one(draft, "config = { region = \"eu\" }");
            let run = Coracle::new().host_file(&host).serving(trial);
            let file = recorded(run, &out, |service| {
                assert_eq!(http::get(&service.url(path)).status, 200);
            });
            drop(dir);
            assert_replays(&file);
            let show = Coracle::subcommand("recording").arg("show").arg(&file);
            let shown = show.run().stdout;
            assert!(shown.contains(". config "), "{draft} {path}: {shown}");
        }
    }
}

#[test]
fn a_recorded_error_of_a_source_replays_too() {
    let (dir, out) = (folder(), folder());
    let host = in_files(&dir, "config");
    let run = Coracle::new().host_file(&host).serving(one("config", ""));
    let file = recorded(run, &out, |service| {
        fs::remove_dir(dir.file("values")).unwrap();
        assert_eq!(http::get(&service.url("/config")).status, 500);
    });
    assert_replays(&file);
}

fn a_recorded_environment_replays_when_the_operators_is_another(generation: Generation) {
    let (dir, out) = (folder(), folder());
    let host = in_files(&dir, "environment");
    dir.write("values/REGION", "us");
    let trial = generation.app("environment = { LOG = \"info\" }");
    let run = Coracle::new().host_file(&host).serving(trial);
    let file = recorded(run, &out, |service| {
        let expected = json!([["LOG", "info"], ["REGION", "us"]]);
        assert_eq!(get_json(service, "/env")["environment"], expected);
    });
    dir.write("values/REGION", "ap");
    assert_replays(&file);
}
