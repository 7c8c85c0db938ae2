//! HTTP/1.1 over one socket. The two directions are separate values, so that one thread may send while another receives.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{Shutdown, TcpStream},
    time::Duration,
};

use super::{Error, Fields, Response, find};
use crate::PATIENCE;

/// A connection that is kept alive.
#[derive(Debug)]
pub struct Connection {
    /// Towards the server.
    pub sender: Sender,
    /// From the server.
    pub receiver: Receiver,
}

/// What is sent.
#[derive(Debug)]
pub struct Sender {
    stream: TcpStream,
    authority: String,
}

/// What is received.
#[derive(Debug)]
pub struct Receiver {
    reader: BufReader<TcpStream>,
}

/// The beginning of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Its status.
    pub status: u16,
    /// Its fields.
    pub headers: Fields,
    framing: Framing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Framing {
    /// This much is left.
    Length(u64),
    /// Of the chunk that is being read, this much is left.
    Chunks(u64),
    UntilClose,
    Ended,
}

impl Connection {
    /// Connects to `http://ADDRESS:PORT`.
    ///
    /// # Panics
    /// When nobody listens there.
    pub fn open(base_url: &str) -> Self {
        Self::try_open(base_url).unwrap_or_else(|error| panic!("{base_url}: {error}"))
    }

    /// Connects to `http://ADDRESS:PORT`.
    ///
    /// # Errors
    /// When nobody listens there.
    pub fn try_open(base_url: &str) -> io::Result<Self> {
        let authority = base_url.strip_prefix("http://").unwrap_or(base_url);
        let stream = TcpStream::connect(authority)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let receiver = Receiver {
            reader: BufReader::with_capacity(64 << 10, stream.try_clone()?),
        };
        let authority = authority.to_owned();
        let sender = Sender { stream, authority };
        Ok(Self { sender, receiver })
    }

    /// Sends a request with a body of known length and receives the whole answer.
    ///
    /// # Errors
    /// When there is no whole answer.
    pub fn request(
        &mut self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Response, Error> {
        let sent = self.sender.request(method, target, headers, body);
        // A server may answer and close before it read everything: the answer counts.
        match (sent, self.receiver.response(method)) {
            (_, Ok(response)) => Ok(response),
            (Err(error), Err(_)) => Err(error.into()),
            (Ok(()), Err(error)) => Err(error),
        }
    }

    /// How long to wait for the server, each time.
    pub fn set_patience(&mut self, patience: Duration) {
        let stream = &self.sender.stream;
        stream.set_read_timeout(Some(patience)).expect("a timeout");
        stream.set_write_timeout(Some(patience)).expect("a timeout");
    }
}

impl Sender {
    /// Sends any bytes.
    ///
    /// # Errors
    /// When the connection failed.
    pub fn raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Sends as much as the other side takes within `patience`: how many of `bytes` went out.
    ///
    /// # Errors
    /// When the connection failed.
    pub fn as_much_as_fits(&mut self, bytes: &[u8], patience: Duration) -> io::Result<usize> {
        self.stream.set_write_timeout(Some(patience))?;
        let mut sent = 0;
        while sent < bytes.len() {
            match self.stream.write(&bytes[sent..]) {
                Ok(0) => break,
                Ok(written) => sent += written,
                Err(error) if is_timeout(&error) => break,
                Err(error) => return Err(error),
            }
        }
        self.stream.set_write_timeout(Some(PATIENCE))?;
        Ok(sent)
    }

    /// Sends a whole request with a body of known length.
    ///
    /// # Errors
    /// When the connection failed.
    pub fn request(
        &mut self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> io::Result<()> {
        let length = body.len().to_string();
        let mut headers = headers.to_vec();
        if !body.is_empty() || method == "POST" || method == "PUT" {
            headers.push(("content-length", &length));
        }
        self.head(method, target, &headers)?;
        self.raw(body)
    }

    /// Sends a head; `Host` is added, and nothing else.
    ///
    /// # Errors
    /// When the connection failed.
    pub fn head(&mut self, method: &str, target: &str, headers: &[(&str, &str)]) -> io::Result<()> {
        let mut head = format!("{method} {target} HTTP/1.1\r\n");
        if !headers
            .iter()
            .any(|(name, _)| name.eq_ignore_ascii_case("host"))
        {
            head.push_str(&format!("host: {}\r\n", self.authority));
        }
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        self.raw(head.as_bytes())
    }

    /// Sends one chunk of a body (the head said `transfer-encoding: chunked`).
    ///
    /// # Errors
    /// When the connection failed.
    pub fn chunk(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.raw(format!("{:x}\r\n", bytes.len()).as_bytes())?;
        self.raw(bytes)?;
        self.raw(b"\r\n")
    }

    /// Ends a body of chunks.
    ///
    /// # Errors
    /// When the connection failed.
    pub fn last_chunk(&mut self, trailers: &[(&str, &str)]) -> io::Result<()> {
        let trailers: String = trailers
            .iter()
            .map(|(name, value)| format!("{name}: {value}\r\n"))
            .collect();
        self.raw(format!("0\r\n{trailers}\r\n").as_bytes())
    }

    /// Sends nothing more; what was sent is still read.
    pub fn close(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Write);
    }
}

impl Receiver {
    /// Receives a whole answer to a request with this method.
    ///
    /// # Errors
    /// When there is none.
    pub fn response(&mut self, method: &str) -> Result<Response, Error> {
        let mut head = self.head(method)?;
        let mut body = Vec::new();
        let mut buffer = vec![0; 64 << 10];
        loop {
            match self.read_body(&mut head, &mut buffer) {
                Ok(0) => break,
                Ok(read) => body.extend_from_slice(&buffer[..read]),
                Err(error) => return Err(torn(error, &head, body.len())),
            }
        }
        let trailers = match self.trailers(&head) {
            Ok(trailers) => trailers,
            Err(error) => return Err(torn(error, &head, body.len())),
        };
        let Head {
            status, headers, ..
        } = head;
        Ok(Response {
            status,
            headers,
            body,
            trailers,
        })
    }

    /// Receives a head; interim ones (1xx) are passed over.
    ///
    /// # Errors
    /// When there is none.
    pub fn head(&mut self, method: &str) -> Result<Head, Error> {
        loop {
            let Some(line) = self.line()? else {
                return Err(Error::NoAnswer);
            };
            let status = line
                .strip_prefix("HTTP/1.1 ")
                .or_else(|| line.strip_prefix("HTTP/1.0 "))
                .and_then(|rest| rest.get(..3)?.parse().ok())
                .ok_or_else(|| Error::Malformed(line.clone()))?;
            let headers = self.fields()?;
            if (100..200).contains(&status) {
                continue;
            }
            let framing = framing(method, status, &headers)?;
            return Ok(Head {
                status,
                headers,
                framing,
            });
        }
    }

    /// Receives some of the body; 0 at its end.
    ///
    /// # Errors
    /// [`Error::Truncated`] when the connection ended before the body did (`received` is then what this call received: 0).
    pub fn read_body(&mut self, head: &mut Head, buffer: &mut [u8]) -> Result<usize, Error> {
        match head.framing {
            Framing::Ended => Ok(0),
            Framing::UntilClose => Ok(self.reader.read(buffer)?),
            Framing::Length(0) => {
                head.framing = Framing::Ended;
                Ok(0)
            }
            Framing::Length(left) => {
                let read = self.some(left, buffer, head.status)?;
                head.framing = Framing::Length(left - read as u64);
                Ok(read)
            }
            Framing::Chunks(0) => {
                let size = self.chunk_size(head.status)?;
                if size == 0 {
                    return Ok(0);
                }
                head.framing = Framing::Chunks(size);
                self.read_body(head, buffer)
            }
            Framing::Chunks(left) => {
                let read = self.some(left, buffer, head.status)?;
                let left = left - read as u64;
                head.framing = Framing::Chunks(left);
                if left == 0 {
                    self.end_of_chunk(head.status)?;
                }
                Ok(read)
            }
        }
    }

    /// Whether the server closed the connection in good order. Waits for it.
    pub fn is_closed(&mut self) -> bool {
        matches!(self.reader.fill_buf(), Ok(bytes) if bytes.is_empty())
    }

    fn some(&mut self, left: u64, buffer: &mut [u8], status: u16) -> Result<usize, Error> {
        let most = usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
        match self.reader.read(&mut buffer[..most]) {
            Ok(0) => Err(Error::Truncated {
                status,
                received: 0,
            }),
            Ok(read) => Ok(read),
            Err(error) => Err(error.into()),
        }
    }

    fn chunk_size(&mut self, status: u16) -> Result<u64, Error> {
        let line = self.line()?.ok_or(Error::Truncated {
            status,
            received: 0,
        })?;
        let size = line.split(';').next().unwrap_or_default();
        u64::from_str_radix(size.trim(), 16).map_err(|_| Error::Malformed(line))
    }

    fn end_of_chunk(&mut self, status: u16) -> Result<(), Error> {
        match self.line()?.as_deref() {
            Some("") => Ok(()),
            Some(line) => Err(Error::Malformed(line.to_owned())),
            None => Err(Error::Truncated {
                status,
                received: 0,
            }),
        }
    }

    /// The fields after a body of chunks; nothing else has any.
    ///
    /// # Errors
    /// When the connection ended before they did.
    pub fn trailers(&mut self, head: &Head) -> Result<Fields, Error> {
        match head.framing {
            Framing::Chunks(_) => self.fields(),
            _ => Ok(Fields::new()),
        }
    }

    fn fields(&mut self) -> Result<Fields, Error> {
        let mut fields = Fields::new();
        loop {
            let line = self.line()?.ok_or(Error::Truncated {
                status: 0,
                received: 0,
            })?;
            if line.is_empty() {
                return Ok(fields);
            }
            let (name, value) = line
                .split_once(':')
                .ok_or_else(|| Error::Malformed(line.clone()))?;
            fields.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
    }

    /// A line without its end; none at the end of the stream.
    fn line(&mut self) -> Result<Option<String>, Error> {
        let mut line = Vec::new();
        self.reader.read_until(b'\n', &mut line)?;
        match line.strip_suffix(b"\r\n") {
            Some(line) => Ok(Some(String::from_utf8_lossy(line).into_owned())),
            None if line.is_empty() => Ok(None),
            None if line.ends_with(b"\n") => Err(Error::Malformed("a bare LF".into())),
            None => Ok(None),
        }
    }
}

fn framing(method: &str, status: u16, headers: &Fields) -> Result<Framing, Error> {
    if method == "HEAD" || status == 204 || status == 304 {
        return Ok(Framing::Ended);
    }
    let coding = find(headers, "transfer-encoding");
    let length = find(headers, "content-length");
    match (coding, length) {
        (Some(_), Some(_)) => Err(Error::Malformed("a length and a transfer coding".into())),
        (Some("chunked"), None) => Ok(Framing::Chunks(0)),
        (Some(other), None) => Err(Error::Malformed(format!("transfer coding {other}"))),
        (None, Some(length)) => length
            .parse()
            .map(Framing::Length)
            .map_err(|_| Error::Malformed(format!("length {length}"))),
        (None, None) => Ok(Framing::UntilClose),
    }
}

/// The same failure, with what was received before.
fn torn(error: Error, head: &Head, received: usize) -> Error {
    let status = head.status;
    match error {
        Error::Truncated { .. } => Error::Truncated { status, received },
        Error::Io(error) if error.kind() == io::ErrorKind::ConnectionReset => {
            Error::Truncated { status, received }
        }
        other => other,
    }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
    )
}
