//! For programs. In: a report. Out: JSON in which what was not measured is `null`.

use serde_json::{Map, Value, json};

use super::{
    Report,
    figures::{FIGURES, total},
};
use crate::{
    measure::{Measured, Round},
    pace::Pace,
    rounds::Rounds,
    tally::Tally,
    target::Protocol,
};

impl Report {
    /// For programs; the fields are described in docs/bench.md.
    pub fn json(&self) -> Value {
        let load = &self.plan.load;
        let sides: Map<String, Value> = self
            .named()
            .map(|(name, side)| (name.to_owned(), of_side(side)))
            .collect();
        let ratios = FIGURES.iter().filter_map(|figure| {
            let ratio = self.ratio(figure)?;
            Some((figure.key.to_owned(), spread(&ratio)))
        });
        json!({
            "load": {
                "connections": load.connections,
                "streams": load.streams,
                "rate": match load.pace {
                    Pace::Max => Value::Null,
                    Pace::PerSecond(rate) => json!(rate),
                },
                "warm_up_s": load.warm_up.as_secs_f64(),
                "duration_s": load.duration.as_secs_f64(),
                "timeout_s": load.timeout.as_secs_f64(),
                "rounds": self.plan.rounds,
            },
            "interrupted": self.interrupted,
            "sides": sides,
            "ratios": ratios.collect::<Map<String, Value>>(),
            "notes": self.notes(),
        })
    }
}

fn of_side(side: &Measured) -> Value {
    let target = &side.target;
    let figures = FIGURES
        .iter()
        .map(|figure| (figure.key.to_owned(), spread(&(figure.of)(side))));
    let mut value = json!({
        "url": target.url,
        "method": target.request.method().as_str(),
        "headers": target.header_names(),
        "protocol": match target.protocol {
            Protocol::Http1 => "HTTP/1.1",
            Protocol::Http2 => "HTTP/2",
        },
        "expected": target.expected.to_string(),
        "figures": figures.collect::<Map<String, Value>>(),
        "rounds": side.rounds.iter().map(of_round).collect::<Vec<_>>(),
    });
    add_counts(&mut value, &total(side));
    value
}

fn of_round(round: &Round) -> Value {
    let tally = &round.tally;
    let mut value = json!({
        "elapsed_s": tally.elapsed().as_secs_f64(),
        "cpu_s": round.cpu.map(|cpu| cpu.as_secs_f64()),
        "memory_peak_bytes": round.peak_bytes(),
    });
    add_counts(&mut value, tally);
    value
}

fn add_counts(value: &mut Value, tally: &Tally) {
    let errors = tally.failures().iter();
    let errors: Map<String, Value> = errors
        .map(|(failure, count)| (failure.to_string(), json!(count)))
        .collect();
    let counts = json!({
        "requests": tally.succeeded() + tally.failed(),
        "succeeded": tally.succeeded(),
        "failed": tally.failed(),
        "errors": errors,
        "bytes": tally.bytes(),
    });
    if let (Value::Object(value), Value::Object(counts)) = (value, counts) {
        value.extend(counts);
    }
}

fn spread(rounds: &Rounds) -> Value {
    if rounds.is_empty() {
        return Value::Null;
    }
    json!({ "median": rounds.median(), "min": rounds.min(), "max": rounds.max() })
}
