//! Requests at a fixed rate, whatever becomes of them.
//!
//! Each has a time at which it is due. Its latency counts from then on, so that it holds what a stall did to all that were due
//! meanwhile, and not only to those that were under way.

use std::error::Error;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{HOST, USER_AGENT};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

/// What takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// How fast, over how many connections, and for how long.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    /// Requests in a second.
    pub(crate) rate: u32,
    pub(crate) connections: usize,
    pub(crate) seconds: u32,
}

/// Clicks of all affiliates and campaigns in turn, each with an id of its own, which begins with the text. Prints how many were
/// answered, and the median and the 99th percentile of their latency in microseconds, and the longest.
pub(crate) async fn clicks(
    address: SocketAddr,
    pace: Pace,
    affiliates: u64,
    campaigns: u64,
    text: &str,
) -> Result<(), Box<dyn Error>> {
    let text: Arc<str> = text.into();
    let path = move |number: u64| {
        let (affiliate, campaign) = (1 + number % affiliates, 1 + number / affiliates % campaigns);
        let (source, placement) = (number % 20, number % 1000);
        format!(
            "/click?affiliate_id={affiliate}&campaign_id={campaign}&click_id={text}{number:016}&source=source-{source}&sub1=placement-{placement}"
        )
    };
    let taken = send(address, pace, Arc::new(path)).await?;
    let mut micros: Vec<u64> = taken.into_iter().map(|(_, micros)| micros).collect();
    micros.sort_unstable();
    let at = |percent: usize| micros.get(micros.len() * percent / 100).or(micros.last()).copied().unwrap_or_default();
    writeln!(io::stdout(), "{} {} {} {}", micros.len(), at(50), at(99), at(100))?;
    Ok(())
}

/// These paths in turn. Prints for each request the number of its path, counted from 0, and its latency in microseconds.
pub(crate) async fn pages(address: SocketAddr, pace: Pace, paths: Vec<String>) -> Result<(), Box<dyn Error>> {
    let count = paths.len();
    if count == 0 {
        return Err("there are no paths".into());
    }
    let path = move |number: u64| paths[place(number, count)].clone();
    let mut out = io::stdout().lock();
    for (number, micros) in send(address, pace, Arc::new(path)).await? {
        writeln!(out, "{} {micros}", place(number, count))?;
    }
    Ok(())
}

fn place(number: u64, count: usize) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX) % count
}

type Path = Arc<dyn Fn(u64) -> String + Send + Sync>;

/// The number of each request, and its latency in microseconds. Fails if a request did.
async fn send(address: SocketAddr, pace: Pace, path: Path) -> Result<Vec<(u64, u64)>, Box<dyn Error>> {
    let count = u64::from(pace.rate) * u64::from(pace.seconds);
    let next = Arc::new(AtomicU64::new(0));
    let mut connections = Vec::new();
    for _ in 0..pace.connections {
        connections.push(connect(address).await?);
    }
    let start = Instant::now() + Duration::from_millis(100);
    let mut tasks = JoinSet::new();
    for mut connection in connections {
        let (next, path) = (Arc::clone(&next), Arc::clone(&path));
        tasks.spawn(async move {
            let mut taken = Vec::new();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= count {
                    return Ok::<_, String>(taken);
                }
                let due = start + Duration::from_micros(number * 1_000_000 / u64::from(pace.rate));
                sleep_until(due).await;
                let path = path(number);
                match timeout(PATIENCE, ask(&mut connection, address, &path, number)).await {
                    Ok(Ok(StatusCode::OK)) => {}
                    Ok(Ok(status)) => return Err(format!("{path}: {status}")),
                    Ok(Err(error)) => return Err(format!("{path}: {error}")),
                    Err(_) => return Err(format!("{path}: no answer in {PATIENCE:?}")),
                }
                taken.push((number, u64::try_from(due.elapsed().as_micros()).unwrap_or(u64::MAX)));
            }
        });
    }
    let mut all = Vec::new();
    while let Some(done) = tasks.join_next().await {
        all.extend(done??);
    }
    Ok(all)
}

async fn connect(address: SocketAddr) -> Result<SendRequest<Empty<Bytes>>, Box<dyn Error>> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (sender, connection) = handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(sender)
}

/// Until the last byte of the answer.
async fn ask(
    connection: &mut SendRequest<Empty<Bytes>>,
    address: SocketAddr,
    path: &str,
    number: u64,
) -> Result<StatusCode, Box<dyn Error + Send + Sync>> {
    connection.ready().await?;
    let browser = number % 100_000;
    let request = Request::get(path)
        .header(HOST, address.to_string())
        .header(USER_AGENT, format!("Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0.{browser}"))
        .body(Empty::new())?;
    let answer = connection.send_request(request).await?;
    let status = answer.status();
    let mut body = answer.into_body();
    while let Some(frame) = body.frame().await {
        frame?;
    }
    Ok(status)
}
