//! A stand-in for Vault, because no real one is to be had here: a small blocking server that speaks the documented HTTP API of the KV
//! version 2 engine ("Read secret version": `GET /v1/secret/data/PATH?version=N`,
//! <https://developer.hashicorp.com/vault/api-docs/secret/kv/kv-v2>). It checks the token and keeps versions. What it cannot show is
//! that Vault itself agrees with its documentation.

use std::{
    collections::BTreeMap,
    io::{self, BufRead as _, BufReader, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex, MutexGuard},
    thread,
};

use serde_json::{Value, json};

/// A running stand-in; ends when dropped.
#[derive(Debug)]
pub struct Vault {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    token: String,
    secrets: BTreeMap<String, Vec<Value>>,
    status: Option<u16>,
    asked: Vec<String>,
    ended: bool,
}

impl Vault {
    /// Answers whoever shows this token.
    ///
    /// # Panics
    /// When it cannot listen.
    pub fn start(token: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("its address");
        let state = Arc::new(Mutex::new(State {
            token: token.into(),
            secrets: BTreeMap::new(),
            status: None,
            asked: Vec::new(),
            ended: false,
        }));
        let serving = Arc::clone(&state);
        thread::spawn(move || {
            for connection in listener.incoming() {
                if serving.lock().unwrap().ended {
                    return;
                }
                let state = Arc::clone(&serving);
                // A client that leaves is the test's affair.
                thread::spawn(move || connection.and_then(|connection| serve(connection, &state)));
            }
        });
        Self { address, state }
    }

    /// `http://ADDRESS:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Writes the next version of a secret: an object of fields.
    pub fn put(&self, path: &str, fields: Value) {
        let mut state = self.state();
        state.secrets.entry(path.into()).or_default().push(fields);
    }

    /// Answers everything with this status, and an error that holds every secret, until it is told `None`.
    pub fn fail(&self, status: impl Into<Option<u16>>) {
        self.state().status = status.into();
    }

    /// The paths and queries it was asked for.
    pub fn asked(&self) -> Vec<String> {
        self.state().asked.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

impl Drop for Vault {
    fn drop(&mut self) {
        self.state().ended = true;
        let _ = TcpStream::connect(self.address);
    }
}

/// One request: every answer closes its connection.
fn serve(connection: TcpStream, state: &Mutex<State>) -> io::Result<()> {
    connection.set_read_timeout(Some(crate::PATIENCE))?;
    let mut reader = BufReader::new(connection);
    let (mut line, mut token) = (String::new(), String::new());
    reader.read_line(&mut line)?;
    loop {
        let mut field = String::new();
        if reader.read_line(&mut field)? <= 2 {
            break;
        }
        match field.split_once(':') {
            Some((name, value)) if name.eq_ignore_ascii_case("x-vault-token") => {
                value.trim().clone_into(&mut token);
            }
            _ => {}
        }
    }
    let (status, body) = answer(&mut state.lock().unwrap(), &line, &token);
    let body = body.to_string();
    write!(
        reader.get_mut(),
        "HTTP/1.1 {status} Documented\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn answer(state: &mut State, line: &str, token: &str) -> (u16, Value) {
    let nothing = (404, json!({ "errors": [] }));
    let Some(("GET", target)) = line
        .split_once(' ')
        .map(|(method, rest)| (method, rest.split(' ').next().unwrap_or_default()))
    else {
        return (405, json!({ "errors": ["unsupported operation"] }));
    };
    state.asked.push(target.to_owned());
    if let Some(status) = state.status {
        // Whatever a server says when it fails, also what it should not.
        return (status, json!({ "errors": [state.secrets] }));
    }
    if token != state.token {
        return (403, json!({ "errors": ["permission denied"] }));
    }
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let versions = path
        .strip_prefix("/v1/secret/data/")
        .and_then(|path| state.secrets.get(path));
    let Some(versions) = versions else {
        return nothing;
    };
    let asked = query
        .strip_prefix("version=")
        .and_then(|version| version.parse().ok())
        .unwrap_or(versions.len());
    let Some(data) = asked.checked_sub(1).and_then(|at| versions.get(at)) else {
        return nothing;
    };
    let metadata = json!({
        "created_time": "2026-11-20T02:24:06.945319214Z",
        "custom_metadata": null,
        "deletion_time": "",
        "destroyed": false,
        "version": asked,
    });
    let body = json!({
        "request_id": "5b1f0c2e-0000-0000-0000-000000000000",
        "lease_id": "",
        "renewable": false,
        "lease_duration": 0,
        "data": { "data": data, "metadata": metadata },
        "wrap_info": null,
        "warnings": null,
        "auth": null,
        "mount_type": "kv",
    });
    (200, body)
}
