//! What stands in an answer, for the adapters to send.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::Stream;

/// The body of an answer.
#[derive(Debug)]
pub enum Body {
    /// All of it: its length is known.
    Whole(Bytes),
    /// A part after the other, each made when it is asked for: an export, which may be longer than any memory.
    ///
    /// To `HEAD` it is never asked for.
    Chunks(Chunks),
}

/// The parts of a body, in their order.
///
/// A part is made when it is asked for and not before: an adapter asks when the one before has gone to the socket.
///
/// An error ends the body before its end. An adapter **breaks the transfer** then, so that nobody takes what he has got for
/// all there is: in HTTP/1.1 there must be no last chunk, in HTTP/2 the stream is reset.
pub struct Chunks {
    /// Nobody ever waits for this lock, as it is only reached by whoever owns the stream. It is what makes a stream `Sync`
    /// that is only `Send`, which bodies of warp have to be.
    chunks: Mutex<Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>>,
}

impl Chunks {
    pub(crate) fn new(chunks: impl Stream<Item = io::Result<Bytes>> + Send + 'static) -> Self {
        Self { chunks: Mutex::new(Box::pin(chunks)) }
    }
}

impl Stream for Chunks {
    type Item = io::Result<Bytes>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let chunks = self.get_mut().chunks.get_mut().unwrap_or_else(PoisonError::into_inner);
        chunks.as_mut().poll_next(context)
    }
}

impl fmt::Debug for Chunks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chunks").finish_non_exhaustive()
    }
}

impl From<Bytes> for Body {
    fn from(whole: Bytes) -> Self {
        Self::Whole(whole)
    }
}
