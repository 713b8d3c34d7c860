//! Streamed answers, as Rocket takes them.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use rocket::futures::Stream;
use rocket::tokio::io::{AsyncRead, ReadBuf};
use rocket::tokio::time::{Sleep, sleep};
use tracking_http::Chunks;

/// Chunks of an answer, in the form in which Rocket takes them.
///
/// Rocket takes an error of a body for its end, and sends the last chunk: to the client the part that he has would be the whole.
/// So a body that fails, which is logged where it does, never ends: the client, or a proxy before him, gives up waiting for the
/// rest, and knows that he has not got all of it.
#[derive(Debug)]
pub(crate) struct Reader {
    chunks: Chunks,
    /// What there is of a chunk that has been read in part.
    rest: Bytes,
    /// Set when the chunks have failed.
    broken: Option<Pin<Box<Sleep>>>,
}

/// When a client who waits for the rest of what has failed is sent another byte, which shows whether he has hung up: otherwise
/// the task that serves him would wait for ever. Longer than proxies wait.
const PROBE: Duration = Duration::from_secs(300);

impl Reader {
    pub(crate) fn new(chunks: Chunks) -> Self {
        Self { chunks, rest: Bytes::new(), broken: None }
    }
}

impl AsyncRead for Reader {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, to: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        while self.rest.is_empty() {
            if let Some(probe) = &mut self.broken {
                ready!(probe.as_mut().poll(cx));
                (self.rest, self.broken) = (Bytes::from_static(b"\n"), Some(Box::pin(sleep(PROBE))));
                break;
            }
            match ready!(Pin::new(&mut self.chunks).poll_next(cx)) {
                Some(Ok(chunk)) => self.rest = chunk,
                Some(Err(_)) => self.broken = Some(Box::pin(sleep(PROBE))),
                None => return Poll::Ready(Ok(())),
            }
        }
        let len = self.rest.len().min(to.remaining());
        to.put_slice(&self.rest.split_to(len));
        Poll::Ready(Ok(()))
    }
}
