//! Asks a server whether it can take calls, for whoever watches it without tools of his own: a container, for instance.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::str::FromStr;
use std::time::{Duration, Instant};

use thiserror::Error;
use url::Url;

/// More than the server itself takes to find out that its store is not there.
const LIMIT: Duration = Duration::from_secs(8);
/// An answer is far shorter. More of it would be another server's.
const LONGEST_ANSWER: u64 = 64 * 1024;

/// Where a server is.
#[derive(Debug, Clone)]
pub(crate) struct ServerUrl {
    host: String,
    port: u16,
    path: String,
}

#[derive(Debug, Error)]
#[error("expected a URL such as http://127.0.0.1:3001; this command speaks no https")]
pub(crate) struct InvalidServerUrl;

impl FromStr for ServerUrl {
    type Err = InvalidServerUrl;

    fn from_str(text: &str) -> Result<Self, InvalidServerUrl> {
        let url = Url::parse(text).map_err(|_| InvalidServerUrl)?;
        match (url.scheme(), url.host_str(), url.port_or_known_default()) {
            ("http", Some(host), Some(port)) => {
                Ok(Self { host: host.to_owned(), port, path: format!("{}/readyz", url.path().trim_end_matches('/')) })
            }
            _ => Err(InvalidServerUrl),
        }
    }
}

impl From<SocketAddr> for ServerUrl {
    fn from(address: SocketAddr) -> Self {
        let host = match address.ip() {
            std::net::IpAddr::V4(ip) => ip.to_string(),
            std::net::IpAddr::V6(ip) => format!("[{ip}]"),
        };
        Self { host, port: address.port(), path: "/readyz".to_owned() }
    }
}

/// Why a server is not well.
#[derive(Debug, Error)]
pub(crate) enum NotWell {
    #[error("no server at {host}:{port}")]
    Unreachable { host: String, port: u16, source: io::Error },
    #[error("the server at {host}:{port} has not answered within {} s", LIMIT.as_secs())]
    Silent { host: String, port: u16 },
    #[error("the server at {host}:{port} can't take calls; its log says why")]
    Refuses { host: String, port: u16 },
}

/// Succeeds if the server takes calls: if it answers, and reaches its store.
pub(crate) fn check(server: &ServerUrl) -> Result<(), NotWell> {
    let (host, port) = (server.host.clone(), server.port);
    match ask(server, Instant::now() + LIMIT) {
        Ok(answer) if answer.starts_with(b"HTTP/1.1 200 ") => Ok(()),
        Ok(_) => Err(NotWell::Refuses { host, port }),
        Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
            Err(NotWell::Silent { host, port })
        }
        Err(source) => Err(NotWell::Unreachable { host, port, source }),
    }
}

fn ask(ServerUrl { host, port, path }: &ServerUrl, deadline: Instant) -> io::Result<Vec<u8>> {
    let left = || {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(io::Error::from(io::ErrorKind::TimedOut)) } else { Ok(left) }
    };
    let authority = format!("{host}:{port}");
    let mut stream = Err(io::Error::from(io::ErrorKind::AddrNotAvailable));
    for address in authority.to_socket_addrs()? {
        stream = TcpStream::connect_timeout(&address, left()?);
        if stream.is_ok() {
            break;
        }
    }
    let mut stream = stream?;
    stream.set_write_timeout(Some(left()?))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n\r\n")?;
    let (mut answer, mut buffer) = (Vec::new(), [0; 1024]);
    loop {
        stream.set_read_timeout(Some(left()?))?;
        match stream.read(&mut buffer)? {
            0 => return Ok(answer),
            read => answer.extend_from_slice(&buffer[..read]),
        }
        if answer.len() as u64 > LONGEST_ANSWER {
            return Ok(answer);
        }
    }
}
