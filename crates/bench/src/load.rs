//! Load by `wrk`. In: an address, connections, a time. Out: completed requests, latencies, and the load generator's own processor time.

use std::{
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};

/// What every request is.
pub(crate) const PATH: &str = "/auth/validate";
pub(crate) const AUTHORIZATION: &str = "Bearer key_123";

/// How the load is made.
#[derive(Debug, Clone)]
pub(crate) struct Load {
    pub(crate) connections: u32,
    pub(crate) threads: u32,
    /// Cores for the load generator, as `taskset -c` takes them.
    pub(crate) cores: Option<String>,
}

/// What one run of it saw.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Seen {
    pub(crate) requests: u64,
    pub(crate) per_second: f64,
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
    /// From the start of the generator to its end.
    pub(crate) took: Duration,
}

impl Load {
    /// Loads this address; any error or refusal makes the run void.
    pub(crate) fn run(&self, address: &str, time: Duration) -> anyhow::Result<Seen> {
        let mut command = on_cores(self.cores.as_deref(), "wrk");
        command
            .arg(format!("--threads={}", self.threads))
            .arg(format!("--connections={}", self.connections))
            .arg(format!("--duration={}s", time.as_secs().max(1)))
            .args(["--latency", "--timeout=10s"])
            .arg(format!("--header=Authorization: {AUTHORIZATION}"))
            .arg(format!("http://{address}{PATH}"));
        let began = Instant::now();
        let output = command
            .output()
            .context("running wrk (Debian: apt-get install wrk)")?;
        let took = began.elapsed();
        let text = String::from_utf8_lossy(&output.stdout);
        let seen = parse(&text, took).with_context(|| format!("wrk said:\n{text}"))?;
        ensure!(
            !text.contains("Non-2xx"),
            "answers that were no success:\n{text}"
        );
        ensure!(
            !text.contains("Socket errors"),
            "connections broke:\n{text}"
        );
        Ok(seen)
    }
}

/// A command on these cores, or on all.
pub(crate) fn on_cores(cores: Option<&str>, program: impl AsRef<std::ffi::OsStr>) -> Command {
    match cores {
        None => Command::new(program),
        Some(cores) => {
            let mut command = Command::new("taskset");
            command.args(["-c", cores]).arg(program);
            command
        }
    }
}

fn parse(text: &str, took: Duration) -> Option<Seen> {
    let after = |label: &str| {
        let line = text
            .lines()
            .map(str::trim)
            .find(|line| line.starts_with(label))?;
        line.strip_prefix(label)?.split_whitespace().next()
    };
    let requests = text.lines().find(|line| line.contains(" requests in "))?;
    Some(Seen {
        requests: requests.split_whitespace().next()?.parse().ok()?,
        per_second: after("Requests/sec:")?.parse().ok()?,
        p50: duration(after("50%")?)?,
        p99: duration(after("99%")?)?,
        took,
    })
}

/// `812.00us`, `1.53ms`, `2.01s`.
fn duration(text: &str) -> Option<Duration> {
    let (number, scale) = [("us", 1e-6), ("ms", 1e-3), ("s", 1.0)]
        .iter()
        .find_map(|(unit, scale)| Some((text.strip_suffix(unit)?, scale)))?;
    Some(Duration::from_secs_f64(number.parse::<f64>().ok()? * scale))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAID: &str = "\
Running 4s test @ http://127.0.0.1:1/auth/validate
  2 threads and 50 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency   712.11us  301.00us   9.12ms   81.00%
    Req/Sec    34.12k     1.20k   36.00k    70.00%
  Latency Distribution
     50%  812.50us
     75%    0.95ms
     90%    1.10ms
     99%    1.53ms
  271234 requests in 4.00s, 40.00MB read
Requests/sec:  67808.50
Transfer/sec:     10.00MB
";

    #[test]
    fn reads_what_wrk_says() {
        let seen = parse(SAID, Duration::from_secs(4)).unwrap();
        assert_eq!((seen.requests, seen.per_second), (271_234, 67_808.5));
        assert_eq!(seen.p50, Duration::from_nanos(812_500));
        assert_eq!(seen.p99, Duration::from_micros(1_530));
    }
}
