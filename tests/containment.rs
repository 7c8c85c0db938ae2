//! A guest that misbehaves costs its caller the documented status and reason, and nobody else anything (FAULTS.md, A).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is how a test fails, in its helpers too"
)]

use std::{
    thread,
    time::{Duration, Instant},
};

use coracle_testkit::{
    Case, Coracle, Generation, Protocol, Service, app, both_generations,
    both_generations_over_both_protocols, guest,
    http::{self, Error, Response},
};

both_generations_over_both_protocols! {
    a_guest_that_spins_is_ended_at_its_cpu_limit,
    a_guest_that_spins_in_bulk_instructions_is_ended_at_its_cpu_limit,
    a_trap_is_a_500,
    a_panic_is_a_500_and_its_message_is_in_the_log,
    memory_beyond_the_limit_is_refused_to_the_guest,
    a_guest_that_fails_for_want_of_memory_is_a_500_that_says_so,
    recursion_without_end_is_a_500,
    an_error_instead_of_a_response_is_a_500,
    a_guest_that_waits_for_ever_is_ended_at_its_timeout,
    a_trap_in_the_middle_of_a_body_never_looks_complete,
    a_body_shorter_than_declared_never_looks_complete,
    a_body_longer_than_declared_never_looks_complete,
    a_body_that_is_not_finished_never_looks_complete,
    handles_without_measure_are_a_500,
    fields_without_measure_are_refused_or_end_the_guest,
    randomness_without_measure_is_bounded,
    a_sleep_of_any_length_ends_at_the_timeout,
    an_exit_without_an_answer_is_a_500,
    a_status_that_no_answer_may_have_is_a_502,
}

both_generations! {
    neighbours_of_a_spinning_guest_keep_answering,
    the_log_tells_the_cpu_time_that_a_spinning_guest_used,
    every_request_has_a_fresh_instance_and_clean_memory,
    what_a_message_must_not_be_made_of_is_refused_to_the_guest,
}

/// A guest of this case, served.
struct Trial {
    service: Service,
    protocol: Protocol,
}

impl Trial {
    fn of(case: Case) -> Self {
        Self::with(case, "")
    }

    fn with(case: Case, tables: &str) -> Self {
        Self {
            service: case.generation.serve(tables),
            protocol: case.protocol,
        }
    }

    fn get(&self, path: &str) -> Response {
        self.protocol.get(&self.service.url(path))
    }

    fn try_get(&self, path: &str) -> Result<Response, Error> {
        self.protocol
            .try_request("GET", &self.service.url(path), &[], b"")
    }

    /// The attack cost its caller only.
    fn still_answers(mut self) {
        let answer = self.get("/ok");
        assert_eq!((answer.status, answer.body_text().as_str()), (200, "ok"));
        assert!(self.service.is_running());
        let said = self.service.stderr();
        assert!(
            !said.contains("panicked at src") && !said.contains("panicked at crates"),
            "{said}"
        );
    }

    /// The client noticed that the answer is not whole, or got the node's own answer instead.
    fn assert_never_complete(&self, path: &str) {
        match self.try_get(path) {
            // Torn before or after its head: either way the client knows.
            Err(error) => assert!(error.is_truncated() || error.is_unanswered(), "{error}"),
            Ok(answer) => {
                assert!(
                    answer.status >= 500,
                    "{} {}",
                    answer.status,
                    answer.body_text()
                );
                answer.reason();
            }
        }
    }
}

const CLOCK: &str = "[component.guest.grants]\nclock = true\n";

fn a_guest_that_spins_is_ended_at_its_cpu_limit(case: Case) {
    let trial = Trial::with(case, "limits = { cpu = \"200ms\" }");
    let started = Instant::now();
    trial.get("/spin").assert_problem(504, "cpu-limit");
    let took = started.elapsed();
    assert!(took >= Duration::from_millis(190), "{took:?}");
    assert!(took < Duration::from_millis(700), "{took:?}");
    trial.still_answers();
}

/// Sixteen MiB a time, and no epoch is checked inside.
fn a_guest_that_spins_in_bulk_instructions_is_ended_at_its_cpu_limit(case: Case) {
    let trial = Trial::with(case, "limits = { cpu = \"200ms\" }");
    let started = Instant::now();
    let answer = trial.get("/fill?fills=1000000");
    answer.assert_problem(504, "cpu-limit");
    let took = started.elapsed();
    assert!(took < Duration::from_millis(700), "{took:?}");
    trial.still_answers();
}

fn neighbours_of_a_spinning_guest_keep_answering(generation: Generation) {
    let attacker = generation.app("limits = { cpu = \"500ms\" }");
    let neighbour = app(
        &format!(
            "[app]\nname = \"neighbour\"\n[component.quiet]\nsource = {:?}\n[[route]]\npath = \"/ok\"\ncomponent = \"quiet\"\n",
            guest(generation.behave())
        ),
        &[],
    );
    let service = Coracle::new().serving(attacker).serving(neighbour).start();
    thread::scope(|scope| {
        let spinning: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| http::get(&service.url("/spin"))))
            .collect();
        let mut answered = 0;
        while !spinning.iter().all(|attack| attack.is_finished()) {
            let started = Instant::now();
            let answer = http::get(&service.url("/ok"));
            assert_eq!(answer.body_text(), "ok");
            let took = started.elapsed();
            assert!(took < Duration::from_millis(500), "{took:?}");
            answered += 1;
        }
        assert!(
            answered > 10,
            "{answered} answers beside four spinning guests"
        );
        for attack in spinning {
            attack.join().unwrap().assert_problem(504, "cpu-limit");
        }
    });
}

/// Within a tenth of what the kernel says. Whoever takes the core away meanwhile is measured too: then it is between the processor
/// time and the time that passed.
fn the_log_tells_the_cpu_time_that_a_spinning_guest_used(generation: Generation) {
    let app = generation.app("limits = { cpu = \"500ms\" }");
    let service = Coracle::new().serving(app).args(["--log", "json"]).start();
    for _ in 0..5 {
        let (before, started) = (service.cpu_time(), Instant::now());
        let problem = http::get(&service.url("/spin")).json();
        let passed = started.elapsed().as_secs_f64();
        let used = service.cpu_time().saturating_sub(before).as_secs_f64();
        let id = problem["request_id"].as_str().unwrap();
        let line = service.wait_for_line(|line| line.contains("\"access\"") && line.contains(id));
        let line: serde_json::Value = serde_json::from_str(&line).unwrap();
        let told = line["cpu_us"].as_f64().unwrap() / 1e6;
        assert!(
            used * 0.9 <= told && told <= passed.max(used) * 1.1,
            "told {told} s; used {used} s within {passed} s"
        );
    }
}

fn a_trap_is_a_500(case: Case) {
    let trial = Trial::of(case);
    trial.get("/trap").assert_problem(500, "trap");
    trial.still_answers();
}

fn a_panic_is_a_500_and_its_message_is_in_the_log(case: Case) {
    let trial = Trial::of(case);
    trial.get("/panic?text=oh+no").assert_problem(500, "trap");
    let line = trial
        .service
        .wait_for_line(|line| line.contains("asked to panic: oh no"));
    assert!(line.contains("trial/guest"), "{line}");
    trial.still_answers();
}

fn memory_beyond_the_limit_is_refused_to_the_guest(case: Case) {
    let trial = Trial::with(case, "limits = { memory = \"32MiB\", cpu = \"10s\" }");
    let answer = trial.get("/grow");
    assert_eq!(answer.status, 200, "{}", answer.body_text());
    let grown = answer.json();
    assert_eq!(grown["refused"], true);
    let mib = grown["grown_mib"].as_u64().unwrap();
    assert!((16..32).contains(&mib), "{mib} MiB");
    trial.still_answers();
}

fn a_guest_that_fails_for_want_of_memory_is_a_500_that_says_so(case: Case) {
    let trial = Trial::with(case, "limits = { memory = \"32MiB\", cpu = \"10s\" }");
    trial
        .get("/grow?then=trap")
        .assert_problem(500, "memory-limit");
    trial.still_answers();
}

fn recursion_without_end_is_a_500(case: Case) {
    let trial = Trial::of(case);
    trial.get("/stack").assert_problem(500, "trap");
    trial.still_answers();
}

#[test]
fn no_response_is_a_500() {
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let trial = Trial::of(Case {
            generation: Generation::P2,
            protocol,
        });
        trial.get("/never").assert_problem(500, "no-response");
        trial.still_answers();
    }
}

/// A task that nobody will ever wake cannot be told from one that somebody will.
#[test]
fn a_guest_that_waits_for_what_nobody_writes_is_ended_at_its_timeout() {
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let case = Case {
            generation: Generation::P3,
            protocol,
        };
        let trial = Trial::with(case, "limits = { timeout = \"300ms\" }");
        trial.get("/never").assert_problem(504, "timeout");
        trial.still_answers();
    }
}

fn an_error_instead_of_a_response_is_a_500(case: Case) {
    let trial = Trial::of(case);
    trial.get("/refuse").assert_problem(500, "guest-error");
    trial.still_answers();
}

fn a_guest_that_waits_for_ever_is_ended_at_its_timeout(case: Case) {
    let tables = format!("limits = {{ timeout = \"300ms\" }}\n{CLOCK}");
    let trial = Trial::with(case, &tables);
    let started = Instant::now();
    trial.get("/hang").assert_problem(504, "timeout");
    let took = started.elapsed();
    assert!(took >= Duration::from_millis(300), "{took:?}");
    assert!(took < Duration::from_millis(1_300), "{took:?}");
    trial.still_answers();
}

/// A megabyte is more than anything on the way holds back, so its beginning must arrive and its end must not look like one.
fn a_trap_in_the_middle_of_a_body_never_looks_complete(case: Case) {
    let trial = Trial::of(case);
    trial.assert_never_complete("/midtrap?bytes=1000");
    let torn = trial.try_get("/midtrap?bytes=1000000");
    assert!(
        torn.as_ref().is_err_and(Error::is_truncated),
        "{:?}",
        torn.map(|answer| answer.status)
    );
    trial.still_answers();
}

fn a_body_shorter_than_declared_never_looks_complete(case: Case) {
    let trial = Trial::of(case);
    trial.assert_never_complete("/short?declared=100&bytes=50");
    trial.assert_never_complete("/short?declared=1000000&bytes=500000");
    trial.still_answers();
}

fn a_body_longer_than_declared_never_looks_complete(case: Case) {
    let trial = Trial::of(case);
    trial.assert_never_complete("/long?declared=50&bytes=100");
    trial.assert_never_complete("/long?declared=500000&bytes=1000000");
    trial.still_answers();
}

fn a_body_that_is_not_finished_never_looks_complete(case: Case) {
    let trial = Trial::of(case);
    trial.assert_never_complete("/nofinish?bytes=100");
    trial.assert_never_complete("/nofinish?bytes=1000000");
    trial.still_answers();
}

fn handles_without_measure_are_a_500(case: Case) {
    let trial = Trial::with(case, &format!("limits = {{ cpu = \"10s\" }}\n{CLOCK}"));
    let mut kinds = vec!["fields", "request", "response"];
    kinds.extend(match case.generation {
        Generation::P2 => &["pollable"][..],
        Generation::P3 => &["stream", "future"],
    });
    for kind in kinds {
        let answer = trial.get(&format!("/handles?kind={kind}"));
        assert_eq!(
            (answer.status, answer.reason().as_str()),
            (500, "host-limit"),
            "{kind}"
        );
    }
    trial.still_answers();
}

fn fields_without_measure_are_refused_or_end_the_guest(case: Case) {
    let trial = Trial::with(case, "limits = { cpu = \"10s\" }");
    for attack in ["n=32769", "bytes=10000000", "list=32769"] {
        let answer = trial.get(&format!("/fields?{attack}"));
        if answer.status == 200 {
            let said = answer.body_text();
            assert!(answer.json()["refused"].is_string(), "{attack}: {said}");
        } else {
            let ended = (answer.status, answer.reason());
            assert_eq!(ended, (500, "host-limit".to_owned()), "{attack}");
        }
    }
    trial.still_answers();
}

/// WASI 0.3 may answer a wish for too much with less; WASI 0.2 may not.
fn randomness_without_measure_is_bounded(case: Case) {
    let trial = Trial::with(case, "[component.guest.grants]\nrandomness = true\n");
    for ask in [
        "n=1099511627776",
        "kind=insecure&n=1099511627776",
        "n=18446744073709551615",
    ] {
        let answer = trial.get(&format!("/random?{ask}"));
        match case.generation {
            Generation::P2 => {
                let ended = (answer.status, answer.reason());
                assert_eq!(ended, (500, "host-limit".to_owned()), "{ask}");
            }
            Generation::P3 => {
                assert_eq!(answer.status, 200, "{ask}");
                let bytes = answer.body.len() / 2;
                assert!(bytes <= 1 << 20, "{ask}: {bytes} bytes");
            }
        }
    }
    trial.still_answers();
}

fn a_sleep_of_any_length_ends_at_the_timeout(case: Case) {
    let tables = format!("limits = {{ timeout = \"200ms\" }}\n{CLOCK}");
    let trial = Trial::with(case, &tables);
    for ns in ["18446744073709551615", "9223372036854775808"] {
        let answer = trial.get(&format!("/sleep?ns={ns}"));
        answer.assert_problem(504, "timeout");
    }
    assert_eq!(trial.get("/sleep?ns=0").body_text(), "slept");
    trial.still_answers();
}

fn an_exit_without_an_answer_is_a_500(case: Case) {
    let trial = Trial::of(case);
    for code in ["0", "3"] {
        let answer = trial.get(&format!("/exit?code={code}"));
        answer.assert_problem(500, "exit");
    }
    trial.still_answers();
}

fn a_status_that_no_answer_may_have_is_a_502(case: Case) {
    let trial = Trial::of(case);
    for code in [100, 101, 103, 199, 600, 999] {
        for body in ["0", "1"] {
            let answer = trial.get(&format!("/status?code={code}&body={body}"));
            if answer.body_text() != format!("refused {code}") {
                assert_eq!(
                    (answer.status, answer.reason().as_str()),
                    (502, "invalid-response"),
                    "{code}"
                );
            }
        }
    }
    for code in [99, 1000] {
        let answer = trial.get(&format!("/status?code={code}"));
        assert_eq!(answer.body_text(), format!("refused {code}"));
    }
    for code in [200, 204, 304, 418, 599] {
        let answer = trial.get(&format!("/status?code={code}&body=0"));
        assert_eq!(answer.status, code);
    }
    trial.still_answers();
}

/// The handle is forged: the type system of every language forbids it.
#[test]
fn a_second_response_never_reaches_the_client() {
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let trial = Trial::of(Case {
            generation: Generation::P2,
            protocol,
        });
        trial.assert_never_complete("/twice?finish=0");
        // The first response was whole when the guest misbehaved: it may stand, the second may not.
        if let Ok(answer) = trial.try_get("/twice?finish=1") {
            let first = (answer.status, answer.body_text()) == (200, "first".to_owned());
            assert!(first || answer.reason() == "trap");
        }
        trial.still_answers();
    }
}

fn every_request_has_a_fresh_instance_and_clean_memory(generation: Generation) {
    let service = generation.serve("limits = { cpu = \"10s\" }");
    for _ in 0..20 {
        assert_eq!(http::get(&service.url("/count")).json()["calls"], 1);
        let dirt = http::get(&service.url("/dirt?mib=16")).json();
        assert_eq!(
            (&dirt["bytes"], &dirt["dirty"]),
            (&(16 << 20).into(), &0.into())
        );
    }
}

fn what_a_message_must_not_be_made_of_is_refused_to_the_guest(generation: Generation) {
    let service = generation.serve("");
    let said = http::get(&service.url("/lies")).json();
    let said = said.as_object().unwrap();
    for lie in [
        "path-with-crlf",
        "path-with-space",
        "method-with-crlf",
        "method-empty",
        "authority-with-crlf",
        "header-name-with-space",
        "header-name-empty",
        "header-value-with-crlf",
        "header-value-with-nul",
        "header-connection",
        "header-transfer-encoding",
        "header-host",
        "status-99",
        "status-1000",
    ] {
        assert_eq!(said[lie], "refused", "{lie}");
    }
    assert_eq!(http::get(&service.url("/ok")).status, 200);
}
