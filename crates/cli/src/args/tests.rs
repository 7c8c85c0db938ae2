//! Command lines and what they mean.

use super::*;

fn run(line: &str) -> Result<Run, String> {
    let words = ["coracle", "run"]
        .into_iter()
        .chain(line.split_whitespace());
    match Args::try_parse_from(words).map(|args| args.command) {
        Ok(Command::Run(run)) => Ok(*run),
        Ok(_) => unreachable!(),
        Err(error) => Err(error.to_string()),
    }
}

fn served(line: &str) -> Result<Served, String> {
    run(line)?.served().map_err(|error| error.to_string())
}

#[test]
fn the_command_line_is_well_formed() {
    Args::command().debug_assert();
}

#[test]
fn without_arguments_the_app_here_is_served_on_port_8080() {
    let run = run("").unwrap();
    assert_eq!(run.served().unwrap(), Served::Apps(vec![".".into()]));
    assert_eq!(run.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(run.state_dir, PathBuf::from(".coracle"));
    assert_eq!(run.grace, Duration::from_secs(30));
    assert_eq!(run.log, LogFormat::Human);
    assert_eq!(run.access_log, AccessLog::On);
    assert_eq!(run.building(), Building::Stale);
    assert!(run.admin.is_none() && run.host_file.is_none() && run.profile.is_none() && !run.watch);
}

#[test]
fn several_folders_are_several_apps() {
    let apps = vec!["shop".into(), "blog".into()];
    assert_eq!(
        served("shop blog --profile test --no-build"),
        Ok(Served::Apps(apps))
    );
}

#[test]
fn a_file_in_wasm_is_a_component_with_the_grants_of_the_line() {
    let component = Served::Component {
        file: "out/auth.wasm".into(),
        grants: vec!["clock=true".into(), "randomness=true".into()],
    };
    let line = "out/auth.wasm --grant clock=true --grant randomness=true";
    assert_eq!(served(line), Ok(component));
}

#[test]
fn a_folder_in_wasm_is_an_app() {
    let folder = tempfile::Builder::new().suffix(".wasm").tempdir().unwrap();
    let apps = Served::Apps(vec![folder.path().into()]);
    assert_eq!(served(&folder.path().display().to_string()), Ok(apps));
}

#[test]
fn lines_that_mix_apps_and_components_say_what_is_wrong() {
    let cases = [
        ("auth.wasm shop", "auth.wasm is a component and shop an app"),
        (
            "auth.wasm orders.wasm",
            "only one component can be run without a manifest",
        ),
        (
            "shop --grant clock=true",
            "--grant is for `coracle run FILE.wasm`",
        ),
        ("auth.wasm --profile test", "--profile is for apps"),
    ];
    for (line, expected) in cases {
        let error = served(line).unwrap_err();
        assert!(error.starts_with(&format!("error: {expected}")), "{error}");
    }
}

#[test]
fn values_that_do_not_parse_say_what_is_needed() {
    let cases = [
        ("--listen 8080", "an IP address and a port are needed"),
        (
            "--listen localhost:8080",
            "an IP address and a port are needed",
        ),
        ("--grace 30s", "a whole number of seconds is needed"),
        ("--log xml", "[possible values: human, json]"),
        ("--access-log maybe", "[possible values: on, off]"),
    ];
    for (line, expected) in cases {
        let error = run(line).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
}
