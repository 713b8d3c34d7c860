//! Clicks of visitors who were sent on before their click was recorded.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream;
use tokio::sync::watch;

use crate::recorder::Recorder;
use crate::{ClickDetails, ClickId, NewClick, StoreError, SubId, UserAgent, error_chain};

/// How many clicks are on their way to the store at once: enough to fill a batch while another is under way.
const AT_ONCE: usize = 1000;

const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// How often a click is tried that the store refuses for a reason that trying again seldom mends.
const ATTEMPTS: u32 = 20;

/// Bytes that a click has in the mean at the most when the queue is full of them.
const BYTES_PER_CLICK: usize = 1024;

/// Holds clicks until the store takes them.
///
/// It is bounded by their number, and by their size in the mean, for whoever follows a link chooses its marks. While some
/// wait, others may go by: the store does not depend on their order.
#[derive(Debug)]
pub(crate) struct Backlog {
    queue: Mutex<Queue>,
    /// Whether the last that was heard of the store is that it does not take clicks.
    is_store_away: AtomicBool,
    capacity: usize,
    is_empty: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<Queued>,
    /// On their way to the store.
    under_way: Vec<Queued>,
    /// The size of both.
    bytes: usize,
    is_draining: bool,
}

#[derive(Debug, Clone)]
struct Queued {
    click: NewClick,
    attempts: u32,
}

/// There is no room.
#[derive(Debug)]
pub(crate) struct Full;

/// A click that a postback asks for.
#[derive(Debug)]
pub(crate) enum Found {
    /// It has been waiting, and does no longer.
    Waiting(NewClick),
    /// It is on its way.
    UnderWay(NewClick),
}

impl Backlog {
    /// How many clicks may wait.
    pub(crate) const fn capacity(&self) -> usize {
        self.capacity
    }

    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            queue: Mutex::default(),
            is_store_away: AtomicBool::new(false),
            capacity,
            is_empty: watch::Sender::new(true),
        }
    }

    /// Whether a visitor need not wait to find out that the store does not take his click.
    pub(crate) fn is_store_away(&self) -> bool {
        self.is_store_away.load(Ordering::Relaxed)
    }

    pub(crate) fn note_store_away(&self) {
        self.is_store_away.store(true, Ordering::Relaxed);
    }

    /// Takes the click, unless there are too many already.
    pub(crate) fn push(&self, click: NewClick, recorder: &Arc<Recorder>) -> Result<(), Full> {
        let mut queue = self.queue();
        let bytes = queue.bytes + size(&click);
        if queue.len() >= self.capacity || bytes > self.capacity.saturating_mul(BYTES_PER_CLICK) {
            return Err(Full);
        }
        queue.waiting.push_back(Queued { click, attempts: 0 });
        queue.bytes = bytes;
        recorder.meters.backlog.set(queue.len() as f64);
        if !queue.is_draining {
            queue.is_draining = true;
            self.is_empty.send_replace(false);
            tokio::spawn(drain(Arc::clone(recorder)));
        }
        Ok(())
    }

    /// Lets go of a click that is not to be recorded any more.
    pub(crate) fn forget(&self, click_id: &ClickId) {
        self.queue().remove(click_id);
    }

    /// The click of a minted id, which no other has, for whoever is to record it now.
    pub(crate) fn find(&self, click_id: &ClickId) -> Option<Found> {
        let mut queue = self.queue();
        if let Some(under_way) = queue.under_way.iter().find(|queued| queued.click.click_id == *click_id) {
            return Some(Found::UnderWay(under_way.click.clone()));
        }
        queue.remove(click_id).map(Found::Waiting)
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
    fn take(&self) -> Vec<Queued> {
        let queue = &mut *self.queue();
        let some = queue.waiting.len().min(AT_ONCE);
        if some == 0 {
            queue.is_draining = false;
            self.is_empty.send_replace(true);
        }
        queue.under_way = queue.waiting.drain(..some).collect();
        queue.under_way.clone()
    }

    /// Those that were under way have arrived, but for these.
    fn put_back(&self, again: Vec<Queued>, recorder: &Recorder) {
        let queue = &mut *self.queue();
        queue.under_way.clear();
        // Behind the others, so that one that is always refused is in nobody's way.
        queue.waiting.extend(again);
        queue.bytes = queue.waiting.iter().map(|queued| size(&queued.click)).sum();
        recorder.meters.backlog.set(queue.len() as f64);
    }
}

impl Queue {
    fn len(&self) -> usize {
        self.waiting.len() + self.under_way.len()
    }

    fn remove(&mut self, click_id: &ClickId) -> Option<NewClick> {
        let index = self.waiting.iter().position(|queued| queued.click.click_id == *click_id)?;
        let click = self.waiting.remove(index)?.click;
        self.bytes = self.bytes.saturating_sub(size(&click));
        Some(click)
    }
}

/// About how many bytes a click takes.
fn size(click: &NewClick) -> usize {
    let ClickDetails { sub_ids, source, user_agent, .. } = &click.details;
    let texts = [
        click.click_id.as_str().len(),
        sub_ids.iter().map(|(_, mark): (_, &SubId)| mark.as_str().len()).sum(),
        source.as_ref().map_or(0, |text| text.as_str().len()),
        user_agent.as_ref().map_or(0, |text: &UserAgent| text.as_str().len()),
    ];
    size_of::<Queued>() + texts.iter().sum::<usize>()
}

async fn drain(recorder: Arc<Recorder>) {
    let backlog = &recorder.backlog;
    let _shift = Shift(&recorder);
    tracing::warn!("clicks are queued, because the store does not take them in time");
    let (mut pause, mut recorded) = (FIRST_PAUSE, 0);
    loop {
        let clicks = backlog.take();
        if clicks.is_empty() {
            tracing::info!(recorded, "the queue of clicks is empty again");
            return;
        }
        let results = stream::iter(clicks).map(|queued| record(&recorder, queued)).buffered(AT_ONCE);
        let (mut again, mut taken) = (Vec::new(), 0);
        for result in results.collect::<Vec<_>>().await {
            match result {
                Fate::Recorded => taken += 1,
                Fate::GivenUp => {}
                Fate::Again(queued) => again.push(queued),
            }
        }
        backlog.put_back(again, &recorder);
        recorded += taken;
        if taken > 0 {
            backlog.is_store_away.store(false, Ordering::Relaxed);
            pause = FIRST_PAUSE;
        } else {
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

/// What became of a queued click.
enum Fate {
    Recorded,
    GivenUp,
    Again(Queued),
}

async fn record(recorder: &Recorder, queued: Queued) -> Fate {
    let inserted = async {
        // Erased while it waited here, by another process perhaps.
        if recorder.was_erased(&queued.click.click_id).await? {
            return Ok(Fate::GivenUp);
        }
        recorder.insert_late(queued.click.clone()).await.map(|_| Fate::Recorded)
    };
    match inserted.await {
        Ok(fate) => fate,
        Err(StoreError::Unavailable { .. }) => Fate::Again(queued),
        Err(StoreError::Backend { .. } | StoreError::Full { .. }) if queued.attempts < ATTEMPTS => {
            Fate::Again(Queued { attempts: queued.attempts + 1, ..queued })
        }
        Err(error) => {
            tracing::error!(error = %error_chain(&error), "a queued click is given up");
            recorder.meters.clicks_failed.increment(1);
            Fate::GivenUp
        }
    }
}

/// One task at a time drains the queue. If the store panics in it, the clicks that were under way are given up, and the
/// next one that is queued starts another.
struct Shift<'a>(&'a Recorder);

impl Drop for Shift<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let mut queue = self.0.backlog.queue();
            queue.under_way.clear();
            queue.is_draining = false;
            drop(queue);
            self.0.backlog.is_empty.send_replace(true);
        }
    }
}
