//! A server that guests call: answers every request alike and remembers what it was asked.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread,
};

use rustls::{ServerConnection, StreamOwned};

use crate::tls::Certified;

/// A running server; ends when dropped.
#[derive(Debug)]
pub struct Upstream {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
    ended: Arc<AtomicBool>,
}

impl Upstream {
    /// Answers 200 with this body.
    ///
    /// # Panics
    /// When it cannot listen.
    pub fn answering(body: &str) -> Self {
        Self::start(body, None)
    }

    /// Answers 200 with this body, behind TLS.
    ///
    /// # Panics
    /// When it cannot listen.
    pub fn answering_with_tls(body: &str, certified: &Certified) -> Self {
        Self::start(body, Some(certified.server()))
    }

    fn start(body: &str, tls: Option<Arc<rustls::ServerConfig>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let upstream = Self {
            address: listener.local_addr().expect("its address"),
            requests: Arc::default(),
            ended: Arc::default(),
        };
        let answer = format!(
            "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        );
        let (requests, ended) = (Arc::clone(&upstream.requests), Arc::clone(&upstream.ended));
        thread::spawn(move || {
            for connection in listener.incoming() {
                if ended.load(Relaxed) {
                    return;
                }
                let connection = connection.and_then(patient);
                // A client that leaves is the test's affair.
                let _ = connection.and_then(|connection| match &tls {
                    None => serve(connection, &answer, &requests),
                    Some(tls) => over_tls(connection, tls, &answer, &requests),
                });
            }
        });
        upstream
    }

    /// `http://ADDRESS:PORT`.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// The heads of the requests so far.
    pub fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.ended.store(true, Relaxed);
        let _ = TcpStream::connect(self.address);
    }
}

fn patient(connection: TcpStream) -> io::Result<TcpStream> {
    connection.set_read_timeout(Some(crate::PATIENCE))?;
    Ok(connection)
}

fn over_tls(
    connection: TcpStream,
    tls: &Arc<rustls::ServerConfig>,
    answer: &str,
    requests: &Mutex<Vec<String>>,
) -> io::Result<()> {
    let session = ServerConnection::new(Arc::clone(tls)).map_err(io::Error::other)?;
    let mut stream = StreamOwned::new(session, connection);
    serve(&mut stream, answer, requests)?;
    stream.conn.send_close_notify();
    stream.flush()
}

fn serve(
    connection: impl Read + Write,
    answer: &str,
    requests: &Mutex<Vec<String>>,
) -> io::Result<()> {
    let mut reader = BufReader::new(connection);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head)? == 0 {
            return Ok(());
        }
    }
    read_body(&mut reader, &head)?;
    requests.lock().unwrap().push(head);
    reader.get_mut().write_all(answer.as_bytes())
}

/// Reads what a head announces, so that no client is answered before it has sent everything.
fn read_body(reader: &mut impl BufRead, head: &str) -> io::Result<()> {
    let field = |wanted: &str| {
        let mut fields = head.lines().filter_map(|line| line.split_once(':'));
        let found = fields.find(|(name, _)| name.eq_ignore_ascii_case(wanted));
        found.map(|(_, value)| value.trim())
    };
    if field("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")) {
        loop {
            let mut size = String::new();
            reader.read_line(&mut size)?;
            let size = usize::from_str_radix(size.trim(), 16).map_err(io::Error::other)?;
            // The line break after a chunk; after the last one, with no trailers, the end.
            reader.read_exact(&mut vec![0; size + 2])?;
            if size == 0 {
                return Ok(());
            }
        }
    }
    let length = field("content-length").and_then(|length| length.parse().ok());
    reader.read_exact(&mut vec![0; length.unwrap_or(0)])
}
