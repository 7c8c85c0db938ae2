//! A Redis server of its own for one test, and the shorthand of its calls. In: the server's options. Out: a server on a free port,
//! which is ended when it is dropped.

use std::{
    net::TcpListener,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use coracle_backends::redis::{BucketSettings, Client, Config};
use coracle_capability::{
    contract::Shared,
    keyvalue::{Call, Error, KeyValue, Reply},
};
use coracle_testkit::skipped;

/// How long a backend may need to find a server that is back (FAULTS.md, C5).
pub(crate) const RECOVERY: Duration = Duration::from_secs(2);
/// The timeout of the clients in these tests.
pub(crate) const TIMEOUT: Duration = Duration::from_millis(300);
/// Beyond the timeout: two cores that build and test at the same time.
pub(crate) const SLACK: Duration = Duration::from_millis(700);

pub(crate) type Bucket = Shared<KeyValue>;

pub(crate) struct Server {
    child: Option<Child>,
    pub(crate) port: u16,
    options: Vec<String>,
    directory: tempfile::TempDir,
}

impl Server {
    /// A server that answers. `None` where there is none to start.
    pub(crate) fn start(options: &[&str]) -> Option<Self> {
        let mut server = Self::stopped(options)?;
        server.run();
        Some(server)
    }

    /// A server that does not run yet.
    pub(crate) fn stopped(options: &[&str]) -> Option<Self> {
        let version = Command::new("redis-server").arg("--version").output();
        if skipped(version.is_ok(), "redis-server (apt install redis-server)") {
            return None;
        }
        Some(Self {
            child: None,
            port: free_port(),
            options: options.iter().map(ToString::to_string).collect(),
            directory: tempfile::tempdir().unwrap(),
        })
    }

    /// Starts it, again with the same port and data, and waits until it answers.
    pub(crate) fn run(&mut self) {
        for _ in 0..5 {
            self.spawn();
            let since = Instant::now();
            while since.elapsed() < Duration::from_secs(10) {
                if self.answers() {
                    return;
                }
                if self.child.as_mut().unwrap().try_wait().unwrap().is_some() {
                    // Somebody took the port between the choice and the start.
                    break;
                }
                std::thread::sleep(Duration::from_millis(5));
            }
            self.kill();
        }
        panic!("redis-server does not start on port {}", self.port);
    }

    fn spawn(&mut self) {
        let port = self.port.to_string();
        let child = Command::new("redis-server")
            .args(["--port", &port, "--bind", "127.0.0.1", "--save", ""])
            .args(["--appendonly", "yes", "--appendfsync", "no"])
            .args(["--enable-debug-command", "yes", "--daemonize", "no"])
            .arg("--dir")
            .arg(self.directory.path())
            .args(&self.options)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        self.child = Some(child.unwrap());
    }

    fn answers(&self) -> bool {
        let client = redis::Client::open(self.url()).unwrap();
        // An error reply, such as NOAUTH, is an answer; while it loads it is not back yet.
        client
            .get_connection_with_timeout(Duration::from_secs(1))
            .is_ok_and(|mut connection| {
                match redis::cmd("PING").query::<redis::Value>(&mut connection) {
                    Ok(_) => true,
                    Err(error) => error.code().is_some_and(|code| code != "LOADING"),
                }
            })
    }

    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            _ = child.kill();
            _ = child.wait();
        }
    }

    /// Stops the process without ending it: its connections stay open and nothing answers.
    pub(crate) fn pause(&self) {
        self.signal("-STOP");
    }

    pub(crate) fn resume(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let id = self.child.as_ref().unwrap().id().to_string();
        let status = Command::new("kill").args([signal, &id]).status();
        assert!(status.unwrap().success());
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// A connection of the test's own, beside the backend.
    pub(crate) fn admin(&self) -> Admin {
        let client = redis::Client::open(self.url()).unwrap();
        Admin(client.get_connection().unwrap())
    }

    pub(crate) fn client(&self) -> Client {
        client_at(&self.url())
    }

    pub(crate) fn bucket(&self) -> Bucket {
        bucket_of(&self.client())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

pub(crate) struct Admin(redis::Connection);

impl Admin {
    /// Sends a command, split at spaces.
    pub(crate) fn ask<T: redis::FromRedisValue>(&mut self, command: &str) -> T {
        self.try_ask(command).unwrap()
    }

    pub(crate) fn try_ask<T: redis::FromRedisValue>(
        &mut self,
        command: &str,
    ) -> redis::RedisResult<T> {
        let mut words = command.split(' ');
        let mut packed = redis::cmd(words.next().unwrap());
        words.for_each(|word| _ = packed.arg(word));
        packed.query(&mut self.0)
    }

    /// A number out of INFO.
    pub(crate) fn info(&mut self, field: &str) -> u64 {
        let info: String = self.ask("INFO everything");
        let line = info.lines().find_map(|line| line.strip_prefix(field));
        line.unwrap().trim_start_matches(':').parse().unwrap()
    }
}

pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

pub(crate) fn client_at(url: &str) -> Client {
    Client::new(config_at(url)).unwrap()
}

pub(crate) fn config_at(url: &str) -> Config {
    Config {
        timeout: TIMEOUT,
        ..Config::new(url).unwrap()
    }
}

pub(crate) fn bucket_of(client: &Client) -> Bucket {
    client.bucket("shop", "orders", &BucketSettings::default())
}

/// The key of a value of [`bucket_of`], as Redis has it.
pub(crate) fn wire(key: &str) -> String {
    format!("coracle:{{4:shop:6:orders}}:v:{key}")
}

/// The index of [`bucket_of`].
pub(crate) const INDEX: &str = "coracle:{4:shop:6:orders}:i";

pub(crate) fn get(key: &str) -> Call {
    Call::Get { key: key.into() }
}

pub(crate) fn set(key: &str, value: &[u8]) -> Call {
    Call::Set {
        key: key.into(),
        value: value.into(),
    }
}

pub(crate) fn delete(key: &str) -> Call {
    Call::Delete { key: key.into() }
}

pub(crate) fn exists(key: &str) -> Call {
    Call::Exists { key: key.into() }
}

pub(crate) fn increment(key: &str, delta: i64) -> Call {
    Call::Increment {
        key: key.into(),
        delta,
    }
}

pub(crate) fn list(prefix: &str, after: Option<&str>, limit: u32) -> Call {
    Call::List {
        prefix: prefix.into(),
        after: after.map(Into::into),
        limit,
    }
}

pub(crate) fn value(value: &[u8]) -> Result<Reply, Error> {
    Ok(Reply::Value(Some(value.into())))
}

pub(crate) fn keys(keys: &[&str]) -> Result<Reply, Error> {
    Ok(Reply::Keys {
        keys: keys.iter().map(ToString::to_string).collect(),
        more: false,
    })
}

/// Answers how long it took until a call succeeded.
pub(crate) async fn recovery(bucket: &Bucket, call: Call) -> Duration {
    let since = Instant::now();
    loop {
        let answer = bucket.call(call.clone()).await;
        if answer.is_ok() {
            return since.elapsed();
        }
        assert!(since.elapsed() < 5 * RECOVERY, "still {answer:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Answers the error of a call, which came within the timeout.
pub(crate) async fn refusal(bucket: &Bucket, call: Call) -> Error {
    let since = Instant::now();
    let answer = bucket.call(call.clone()).await;
    let took = since.elapsed();
    assert!(took < TIMEOUT + SLACK, "{call:?} took {took:?}");
    answer.expect_err(&format!("{call:?} succeeded"))
}
