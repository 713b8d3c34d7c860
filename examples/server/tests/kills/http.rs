//! As much HTTP as a client needs who wants to see every way in which a connection can end.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A request, as it goes over the wire.
#[derive(Debug, Clone)]
pub(crate) struct Request(String);

impl Request {
    pub(crate) fn get(path: &str) -> Self {
        Self(format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n"))
    }

    pub(crate) fn get_as(path: &str, user_agent: &str) -> Self {
        Self(format!("GET {path} HTTP/1.1\r\nHost: test\r\nUser-Agent: {user_agent}\r\n\r\n"))
    }

    pub(crate) fn get_with_token(path: &str, token: &str) -> Self {
        Self(format!("GET {path} HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer {token}\r\n\r\n"))
    }

    pub(crate) fn post(path: &str, body: &Value) -> Self {
        let body = body.to_string();
        let length = body.len();
        Self(format!(
            "POST {path} HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
        ))
    }
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    /// A text if it is not JSON.
    pub(crate) body: Value,
}

impl Answer {
    /// The header with this name; empty if there is none.
    pub(crate) fn header(&self, name: &str) -> &str {
        header(&self.head, name).unwrap_or_default()
    }
}

/// A connection that is kept alive.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::with_capacity(1024) })
    }

    /// After an error the connection is of no use.
    ///
    /// # Errors
    /// `InvalidData` if the answer is not one, which no fault can bring about; otherwise what became of the connection.
    pub(crate) async fn call(&mut self, Request(request): &Request) -> io::Result<Answer> {
        self.buffer.clear();
        self.stream.write_all(request.as_bytes()).await?;
        let head = loop {
            if let Some(end) = self.buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                break end + 4;
            }
            self.read_more().await?;
        };
        let (status, length, is_json) = parse_head(&self.buffer[..head])
            .ok_or_else(|| invalid(format!("not a head: {:?}", String::from_utf8_lossy(&self.buffer))))?;
        while self.buffer.len() < head + length {
            self.read_more().await?;
        }
        let (head, body) = self.buffer.split_at(head);
        let text = String::from_utf8_lossy(body);
        let body = if is_json {
            serde_json::from_slice(body).map_err(|error| invalid(format!("{status}, {error}: {text:?}")))?
        } else {
            Value::String(text.into_owned())
        };
        Ok(Answer { status, head: String::from_utf8_lossy(head).into_owned(), body })
    }

    async fn read_more(&mut self) -> io::Result<()> {
        if self.stream.read_buf(&mut self.buffer).await? == 0 { Err(ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
    }
}

/// The status, the length of the body, and whether it is JSON.
fn parse_head(head: &[u8]) -> Option<(u16, usize, bool)> {
    let head = std::str::from_utf8(head).ok()?;
    let status = head.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()?;
    let is_json = header(head, "content-type").is_some_and(|media_type| media_type.starts_with("application/json"));
    Some((status, header(head, "content-length")?.parse().ok()?, is_json))
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut headers = head.split("\r\n").filter_map(|line| line.split_once(':'));
    headers.find(|(header, _)| header.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
}

fn invalid(text: String) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, text)
}
