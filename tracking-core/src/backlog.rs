//! Clicks of visitors who were sent on before their click was recorded.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream;
use tokio::sync::watch;

use crate::recorder::Recorder;
use crate::{ClickId, NewClick, StoreError};

/// How many clicks are on their way to the store at once: enough to fill a batch while another is under way.
const AT_ONCE: usize = 1000;

const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Holds clicks until the store takes them, in the order in which they came, and no more than its capacity.
#[derive(Debug)]
pub(crate) struct Backlog {
    queue: Mutex<Queue>,
    /// How many clicks are waiting or on their way from here.
    len: AtomicUsize,
    capacity: usize,
    is_empty: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<NewClick>,
    is_draining: bool,
}

impl Backlog {
    pub(crate) fn new(capacity: usize) -> Self {
        let queue = Mutex::new(Queue::default());
        Self { queue, len: AtomicUsize::new(0), capacity, is_empty: watch::Sender::new(true) }
    }

    pub(crate) fn len(&self) -> usize {
        self.len.load(Ordering::Relaxed)
    }

    /// Takes the click, unless there are too many already.
    pub(crate) fn push(&self, click: NewClick, recorder: &Arc<Recorder>) -> Result<(), Full> {
        let mut queue = self.queue();
        if self.len() >= self.capacity {
            return Err(Full);
        }
        queue.waiting.push_back(click);
        recorder.meters.backlog.set(self.len.fetch_add(1, Ordering::Relaxed) as f64 + 1.0);
        if !queue.is_draining {
            queue.is_draining = true;
            self.is_empty.send_replace(false);
            tokio::spawn(drain(Arc::clone(recorder)));
        }
        Ok(())
    }

    /// Lets go of clicks that are not to be recorded any more.
    pub(crate) fn forget(&self, click_id: &ClickId) {
        let mut queue = self.queue();
        let before = queue.waiting.len();
        queue.waiting.retain(|click| click.click_id != *click_id);
        self.len.fetch_sub(before - queue.waiting.len(), Ordering::Relaxed);
    }

    /// Waits until everything has been recorded.
    pub(crate) async fn drained(&self) {
        let mut is_empty = self.is_empty.subscribe();
        // An error would say that the sender is gone, which is in here.
        let _ = is_empty.wait_for(|is_empty| *is_empty).await;
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next clicks; none ends the draining.
    fn take(&self) -> Vec<NewClick> {
        let mut queue = self.queue();
        let some = queue.waiting.len().min(AT_ONCE);
        if some == 0 {
            queue.is_draining = false;
            self.is_empty.send_replace(true);
        }
        queue.waiting.drain(..some).collect()
    }

    fn put_back(&self, clicks: Vec<NewClick>) {
        let mut queue = self.queue();
        clicks.into_iter().rev().for_each(|click| queue.waiting.push_front(click));
    }
}

/// There is no room.
#[derive(Debug)]
pub(crate) struct Full;

async fn drain(recorder: Arc<Recorder>) {
    let backlog = &recorder.backlog;
    let mut shift = Shift { recorder: &recorder, under_way: 0 };
    tracing::warn!("clicks are queued, because the store does not take them in time");
    let mut pause = FIRST_PAUSE;
    let mut recorded = 0;
    loop {
        let clicks = backlog.take();
        if clicks.is_empty() {
            tracing::info!(recorded, "the queued clicks are recorded");
            return;
        }
        let count = clicks.len();
        shift.under_way = count;
        let insert = |click: NewClick| async {
            let result = recorder.insert_late(click.clone()).await;
            matches!(result, Err(StoreError::Unavailable { .. })).then_some(click)
        };
        let again: Vec<NewClick> =
            stream::iter(clicks).map(insert).buffered(AT_ONCE).filter_map(std::future::ready).collect().await;
        let done = count - again.len();
        recorded += done;
        shift.under_way = 0;
        recorder.meters.backlog.set((backlog.len.fetch_sub(done, Ordering::Relaxed) - done) as f64);
        if again.is_empty() {
            pause = FIRST_PAUSE;
        } else {
            backlog.put_back(again);
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

/// One task at a time drains the queue. If the store panics in it, the clicks that were under way are given up, and the
/// next one that is queued starts another.
struct Shift<'a> {
    recorder: &'a Arc<Recorder>,
    under_way: usize,
}

impl Drop for Shift<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let backlog = &self.recorder.backlog;
            backlog.len.fetch_sub(self.under_way, Ordering::Relaxed);
            backlog.queue().is_draining = false;
            backlog.is_empty.send_replace(true);
        }
    }
}
