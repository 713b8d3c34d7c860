//! Group commit: calls that come in while others are on their way go together.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use thiserror::Error;
use tokio::runtime::Handle;
use tokio::sync::{oneshot, watch};

use crate::StoreError;

/// Does many calls at once, for less than they would cost one by one: usually in one transaction, which pays for one
/// round trip and one flush to the disk.
#[async_trait]
pub trait Batch: fmt::Debug + Send + Sync + 'static {
    /// What is asked, such as a click to be inserted.
    type Call: Send + 'static;
    /// What the caller gets.
    type Answer: Send + 'static;

    /// Does all of these calls, and answers each, in their order.
    ///
    /// Calls come from callers who know nothing of each other: one that fails must not make others fail. The work may
    /// take as long as a single call may take at the most; whoever keeps time is the batch itself.
    async fn run(&self, calls: Vec<Self::Call>) -> Vec<Result<Self::Answer, StoreError>>;
}

/// Gathers concurrent calls into [batches](Batch): group commit, for authors of durable stores.
///
/// A call that finds nothing under way starts at once: nobody waits for company. Calls that come in meanwhile wait, and
/// go together as soon as the batch before them is done. So batches grow with the load, by themselves: one call each
/// when idle, hundreds under pressure. Each caller is answered only when its own batch is done.
///
/// - **One batch at a time.** A second one on its way would halve both, and would have to wait for the same rows.
/// - **Bounded.** Beyond [`capacity`](BatchLimits::capacity) waiting calls, a call fails at once with
///   [`StoreError::Unavailable`]; so does one that has waited longer than [`patience`](BatchLimits::patience).
/// - **Abandoned calls.** A caller that has gone before its batch starts is left out; one that goes later changes
///   nothing.
/// - **Panics** in a batch fail the calls in it, and no other.
///
/// Clones share the queue. Calls need a Tokio runtime, of which each batch uses one task; when idle there is none.
///
/// ```
/// use std::sync::atomic::{AtomicU64, Ordering};
///
/// use tracking_core::{Batch, Batcher, BatchLimits, StoreError, async_trait};
///
/// /// Gives out numbers, and notes the last one on a disk that is slow however little is written.
/// #[derive(Debug, Default)]
/// struct Numbers {
///     last: AtomicU64,
///     flushes: AtomicU64,
/// }
///
/// #[async_trait]
/// impl Batch for Numbers {
///     type Call = ();
///     type Answer = u64;
///
///     async fn run(&self, calls: Vec<()>) -> Vec<Result<u64, StoreError>> {
///         let first = self.last.fetch_add(calls.len() as u64, Ordering::Relaxed) + 1;
///         tokio::task::yield_now().await; // The disk.
///         self.flushes.fetch_add(1, Ordering::Relaxed);
///         (first..).take(calls.len()).map(Ok).collect()
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let numbers = Batcher::new("take number", Numbers::default(), BatchLimits::default());
/// let calls: Vec<_> = (0..100).map(|_| tokio::spawn({ let numbers = numbers.clone(); async move { numbers.call(()).await } })).collect();
/// let mut taken = Vec::new();
/// for call in calls {
///     taken.push(call.await??);
/// }
/// assert_eq!(taken, (1..=100).collect::<Vec<u64>>());
/// assert!(numbers.batch().flushes.load(Ordering::Relaxed) < 5);
/// # Ok(())
/// # }
/// ```
pub struct Batcher<B: Batch>(Arc<Shared<B>>);

/// How much a [`Batcher`] takes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchLimits {
    /// How many calls go into one batch at the most, at least 1; 500 if nothing else is said.
    pub batch: usize,
    /// How many calls may wait; 10,000 if nothing else is said.
    pub capacity: usize,
    /// How long a call may have waited when its batch starts; 5 s if nothing else is said. It is told so then, and not
    /// before.
    pub patience: Duration,
}

impl Default for BatchLimits {
    fn default() -> Self {
        Self { batch: 500, capacity: 10_000, patience: Duration::from_secs(5) }
    }
}

/// Why a call was not made, or not seen through.
#[derive(Debug, Error)]
enum Refused {
    #[error("too many calls are waiting already")]
    Full,
    #[error("the call has waited too long")]
    Late,
    #[error("the store has been closed")]
    Closed,
    #[error("the batch was broken off")]
    BrokenOff,
    #[error("the batch left a call unanswered")]
    Unanswered,
}

impl<B: Batch> Batcher<B> {
    /// A batcher that says it does this `operation`, such as `insert click`, when it refuses a call.
    pub fn new(operation: &'static str, batch: B, limits: BatchLimits) -> Self {
        let queue = Queue { waiting: VecDeque::new(), is_running: false, is_closed: false };
        let idle = watch::Sender::new(true);
        Self(Arc::new(Shared { batch, operation, limits, queue: Mutex::new(queue), idle }))
    }

    /// What does the work.
    #[must_use]
    pub fn batch(&self) -> &B {
        &self.0.batch
    }

    /// Makes this call in a batch with others, and waits until that is done.
    ///
    /// # Errors
    /// What the batch answers; [`StoreError::Unavailable`] if the queue is full, if the call has waited too long, or if
    /// the batcher is closed. The same if the batch panics or the runtime stops: the call may have happened then.
    ///
    /// # Panics
    /// Outside of a Tokio runtime.
    pub async fn call(&self, call: B::Call) -> Result<B::Answer, StoreError> {
        let answer = self.enqueue(call).map_err(|refused| self.0.refuse(refused))?;
        answer.await.unwrap_or_else(|_| Err(self.0.refuse(Refused::BrokenOff)))
    }

    /// Refuses new calls, and waits until those that are there have been answered.
    pub async fn close(&self) {
        self.0.queue().is_closed = true;
        let mut idle = self.0.idle.subscribe();
        // An error would say that the sender is gone, which is in here.
        _ = idle.wait_for(|is_idle| *is_idle).await;
    }

    fn enqueue(&self, call: B::Call) -> Result<oneshot::Receiver<Result<B::Answer, StoreError>>, Refused> {
        // Before anything is queued: it panics outside of a runtime.
        let runtime = Handle::current();
        let (answer, receiver) = oneshot::channel();
        let mut queue = self.0.queue();
        if queue.is_closed {
            return Err(Refused::Closed);
        }
        if queue.waiting.len() >= self.0.limits.capacity {
            return Err(Refused::Full);
        }
        queue.waiting.push_back(Waiting { call, answer, since: Instant::now() });
        if !queue.is_running {
            queue.is_running = true;
            self.0.idle.send_replace(false);
            drop(queue);
            Turn::start(&self.0, &runtime);
        }
        Ok(receiver)
    }
}

impl<B: Batch> Clone for Batcher<B> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<B: Batch> fmt::Debug for Batcher<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batcher").field("batch", &self.0.batch).field("limits", &self.0.limits).finish_non_exhaustive()
    }
}

struct Shared<B: Batch> {
    batch: B,
    operation: &'static str,
    limits: BatchLimits,
    queue: Mutex<Queue<B>>,
    /// For whoever waits in `close`. Told under the queue's lock, so that it never lags behind.
    idle: watch::Sender<bool>,
}

struct Queue<B: Batch> {
    waiting: VecDeque<Waiting<B>>,
    /// Whether there is a [`Turn`]. One at a time.
    is_running: bool,
    is_closed: bool,
}

struct Waiting<B: Batch> {
    call: B::Call,
    answer: oneshot::Sender<Result<B::Answer, StoreError>>,
    since: Instant,
}

impl<B: Batch> Shared<B> {
    fn queue(&self) -> MutexGuard<'_, Queue<B>> {
        // Nothing that can panic runs under the lock.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn refuse(&self, refused: Refused) -> StoreError {
        StoreError::unavailable(self.operation, refused)
    }

    /// The next calls, or none when nothing waits: the turn is over then, and another one may begin at once.
    fn next(&self) -> Vec<Waiting<B>> {
        loop {
            let mut calls: Vec<_> = {
                let mut queue = self.queue();
                if queue.waiting.is_empty() {
                    self.end(&mut queue);
                    return Vec::new();
                }
                let len = queue.waiting.len().min(self.limits.batch.max(1));
                queue.waiting.drain(..len).collect()
            };
            calls.retain(|call| !call.answer.is_closed());
            let late = calls.extract_if(.., |call| call.since.elapsed() > self.limits.patience);
            late.for_each(|call| _ = call.answer.send(Err(self.refuse(Refused::Late))));
            if !calls.is_empty() {
                return calls;
            }
        }
    }

    fn end(&self, queue: &mut Queue<B>) {
        queue.is_running = false;
        self.idle.send_replace(true);
    }
}

/// The right to run batches: there is one at a time.
struct Turn<B: Batch> {
    shared: Arc<Shared<B>>,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Spawned, and not polled yet.
    Ahead,
    UnderWay,
    Over,
}

impl<B: Batch> Turn<B> {
    fn start(shared: &Arc<Shared<B>>, runtime: &Handle) {
        let turn = Self { shared: Arc::clone(shared), state: State::Ahead };
        runtime.spawn(turn.work());
    }

    async fn work(mut self) {
        self.state = State::UnderWay;
        let shared = Arc::clone(&self.shared);
        loop {
            let calls = shared.next();
            if calls.is_empty() {
                self.state = State::Over;
                return;
            }
            let (calls, answers): (Vec<_>, Vec<_>) = calls.into_iter().map(|call| (call.call, call.answer)).unzip();
            let mut results = shared.batch.run(calls).await.into_iter();
            for answer in answers {
                let result = results.next().unwrap_or_else(|| Err(shared.refuse(Refused::Unanswered)));
                // The error says that the caller has gone, which is its right.
                _ = answer.send(result);
            }
        }
    }
}

/// Nobody must be left waiting when a turn breaks off.
impl<B: Batch> Drop for Turn<B> {
    fn drop(&mut self) {
        if self.state == State::Over {
            return;
        }
        // After a panic the others go on. A turn that never began was dropped by a runtime that stops.
        if std::thread::panicking()
            && self.state == State::UnderWay
            && let Ok(runtime) = Handle::try_current()
        {
            return Self::start(&self.shared, &runtime);
        }
        let mut queue = self.shared.queue();
        let left = std::mem::take(&mut queue.waiting);
        self.shared.end(&mut queue);
        drop(queue);
        // Outside of the lock, because it wakes those who wait.
        drop(left);
    }
}
