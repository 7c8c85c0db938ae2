//! A process of its own that writes to a store and says what was acknowledged to it.
//!
//! In: a state directory. Out: acknowledgements, line by line, until somebody ends the process; and the check that a store holds
//! all of them and nothing torn. The process is this test binary, started again with one test.

use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    time::{Duration, Instant},
};

use coracle_backends::embedded::{Config, OpenError, Store};
use coracle_capability::{
    contract::Shared,
    keyvalue::{Call, KeyValue, Reply},
};

const DIRECTORY: &str = "CORACLE_TEST_STATE_DIRECTORY";
const FIRST: &str = "CORACLE_TEST_FIRST";
const WRITERS: u64 = 8;

/// The process. Killed when dropped.
pub(crate) struct Service {
    child: Child,
    lines: Receiver<String>,
    acknowledged: Vec<(u64, u64)>,
}

impl Service {
    /// Starts one whose writes count from `first`, and waits for its first acknowledgement.
    pub(crate) fn start(directory: &Path, first: u64) -> Self {
        let mut service = Self::spawn(directory, first);
        let line = service
            .lines
            .recv_timeout(Duration::from_secs(20))
            .expect("the service writes");
        service.note(&line);
        service
    }

    /// What a process prints that opens a store which is in use.
    pub(crate) fn refused(directory: &Path) -> String {
        let service = Self::spawn(directory, 0);
        service
            .lines
            .recv_timeout(Duration::from_secs(20))
            .expect("the service answers")
    }

    fn spawn(directory: &Path, first: u64) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "service::runs_as_a_process_of_its_own",
                "--nocapture",
            ])
            .env(DIRECTORY, directory)
            .env(FIRST, first.to_string())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, lines) = channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            let ours = |line: &String| line.starts_with("ack ") || line.starts_with("refused ");
            stdout
                .lines()
                .map_while(Result::ok)
                .filter(ours)
                .for_each(|line| _ = sender.send(line));
        });
        Self {
            child,
            lines,
            acknowledged: vec![],
        }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// What has been acknowledged until now, as writer and number.
    pub(crate) fn acknowledged(&mut self) -> &[(u64, u64)] {
        while let Ok(line) = self.lines.try_recv() {
            self.note(&line);
        }
        &self.acknowledged
    }

    /// Kills it without a warning; answers all that was acknowledged.
    pub(crate) fn kill(mut self) -> Vec<(u64, u64)> {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        while let Ok(line) = self.lines.recv() {
            self.note(&line);
        }
        std::mem::take(&mut self.acknowledged)
    }

    fn note(&mut self, line: &str) {
        // The last line of a killed process may be cut: it ends with a full stop.
        let Some(line) = line
            .strip_prefix("ack ")
            .and_then(|line| line.strip_suffix('.'))
        else {
            assert!(!line.starts_with("refused "), "{line}");
            return;
        };
        let (writer, number) = line.split_once(' ').unwrap();
        self.acknowledged
            .push((writer.parse().unwrap(), number.parse().unwrap()));
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

/// Opens the store and checks everything acknowledged; answers how long opening took.
pub(crate) async fn check(directory: &Path, acknowledged: &[(u64, u64)]) -> Duration {
    let start = Instant::now();
    let store = Store::open(&Config::new(directory)).unwrap();
    let took = start.elapsed();
    let bucket = store.bucket("shop", "orders");
    let mut last = vec![0; WRITERS as usize];
    for &(writer, number) in acknowledged {
        let expected = Reply::Value(Some(value(writer, number)));
        let reply = bucket
            .call(Call::Get {
                key: key(writer, number),
            })
            .await
            .unwrap();
        assert!(
            reply == expected,
            "write {number} of {writer} was acknowledged and is not there"
        );
        last[writer as usize] = last[writer as usize].max(number);
    }
    for writer in 0..WRITERS {
        check_pair(&bucket, writer, last[writer as usize]).await;
    }
    took
}

/// Two keys that are only ever written together.
async fn check_pair(bucket: &Shared<KeyValue>, writer: u64, at_least: u64) {
    let keys = vec![
        format!("pair/{writer}/left"),
        format!("pair/{writer}/right"),
    ];
    let Reply::Values(values) = bucket.call(Call::GetMany { keys }).await.unwrap() else {
        panic!("not values")
    };
    assert_eq!(values[0], values[1], "the pair of {writer} is torn");
    let number = values[0]
        .as_ref()
        .map_or(0, |value| String::from_utf8_lossy(value).parse().unwrap());
    assert!(
        number >= at_least,
        "the pair of {writer} is at {number} after {at_least} was acknowledged"
    );
}

/// Not a test of its own: the other process.
#[tokio::test(flavor = "multi_thread")]
async fn runs_as_a_process_of_its_own() {
    let Ok(directory) = std::env::var(DIRECTORY) else {
        return;
    };
    let first: u64 = std::env::var(FIRST).unwrap().parse().unwrap();
    let store = match Store::open(&Config::new(directory)) {
        Ok(store) => store,
        Err(error @ OpenError::InUse { .. }) => return say(&format!("refused {error}")),
        Err(error) => panic!("{error:?}"),
    };
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| tokio::spawn(write(store.bucket("shop", "orders"), writer, first)))
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
}

async fn write(bucket: Shared<KeyValue>, writer: u64, first: u64) {
    for number in first.. {
        let counted = number.to_string().into_bytes();
        let pairs = vec![
            (key(writer, number), value(writer, number)),
            (format!("pair/{writer}/left"), counted.clone()),
            (format!("pair/{writer}/right"), counted),
        ];
        bucket.call(Call::SetMany { pairs }).await.unwrap();
        say(&format!("ack {writer} {number}."));
    }
}

/// Past the test harness, which would keep it for itself.
fn say(line: &str) {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{line}").unwrap();
    stdout.flush().unwrap();
}

/// A few keys that are written again and again, and values of all sizes up to some pages.
fn key(writer: u64, number: u64) -> String {
    format!("{writer}/{number}")
}

fn value(writer: u64, number: u64) -> Vec<u8> {
    let length = (number * 37 + writer * 101) % 10_000;
    (0..length).map(|at| (at ^ number ^ writer) as u8).collect()
}
