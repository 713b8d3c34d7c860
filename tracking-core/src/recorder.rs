//! What outlives a single call: the way of a click into the store, and the tasks in the background.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use metrics::{Counter, Gauge, counter, describe_counter, describe_gauge, gauge};
use tokio::runtime::Handle;
use tokio::time::Instant;

use crate::backlog::Backlog;
use crate::event::Broadcaster;
use crate::log::{self, PostbackLog};
use crate::{
    Claims, Click, ClickId, ClickIdOrigin, Clock, Event, Limit, NewClick, OutcomeKind, PageRequest, PurgeRequest,
    Recorded, Secrets, Store, StoreError, Timestamp, error_chain,
};

/// How long visitors are known again.
const VISIT: Duration = Duration::from_secs(24 * 60 * 60);

/// How often hashes of visitors are forgotten who are not known any more, and the store is kept in order.
const TIDYING: Duration = Duration::from_secs(60);

/// How often clicks are purged that are too old.
const PURGE: Duration = Duration::from_secs(60 * 60);

/// How many clicks one step of a purge looks at.
const STEP: Limit = match Limit::new(500) {
    Ok(limit) => limit,
    Err(_) => panic!("the limit is out of range"), // and this does not compile
};

#[derive(Debug)]
pub(crate) struct Recorder {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) secrets: Secrets,
    pub(crate) events: Broadcaster,
    pub(crate) meters: Meters,
    pub(crate) backlog: Backlog,
    pub(crate) log: PostbackLog,
    pub(crate) log_retention: Duration,
    pub(crate) log_capacity: u64,
    pub(crate) retention: Option<Duration>,
    pub(crate) is_kept: AtomicBool,
}

impl Recorder {
    /// Hands a click to the store, and tells of it.
    pub(crate) async fn insert(&self, new: NewClick) -> Result<Recorded<Click>, StoreError> {
        let result = self.store.insert_click(new).await;
        match &result {
            Ok(recorded) => self.announce(recorded),
            Err(_) => self.meters.clicks_failed.increment(1),
        }
        result
    }

    /// The same for a click that may have reached the store before, when nobody waited for it any more. Of an error it
    /// tells nothing: the caller has other means.
    pub(crate) async fn insert_late(&self, new: NewClick) -> Result<(), StoreError> {
        let created_at = new.created_at;
        let recorded = match self.store.insert_click(new).await? {
            Recorded::Duplicate(click) if click.created_at == created_at && !click.details.is_recovered => {
                Recorded::New(click)
            }
            recorded => recorded,
        };
        self.announce(&recorded);
        Ok(())
    }

    fn announce(&self, recorded: &Recorded<Click>) {
        match recorded {
            Recorded::New(click) => {
                self.meters.clicks_new.increment(1);
                self.events.send(|| Event::ClickRecorded(click.clone()));
            }
            Recorded::Duplicate(_) => self.meters.clicks_duplicate.increment(1),
        }
    }

    /// Whether a click with this id, which was minted here, has been erased.
    pub(crate) async fn was_erased(&self, click_id: &ClickId) -> Result<bool, StoreError> {
        let ClickIdOrigin::Minted(Claims { affiliate_id, campaign_id, .. }) = self.secrets.origin(click_id) else {
            return Ok(false);
        };
        for tombstone in self.secrets.tombstones(click_id) {
            if !self.store.find_clicks(affiliate_id, Some(campaign_id), &tombstone).await?.is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Clicks from before this time are purged; `None` keeps them all.
    pub(crate) fn oldest_kept(&self) -> Option<Timestamp> {
        Some(self.clock.now().minus(self.retention?))
    }

    pub(crate) async fn forget_visitors(&self) -> Result<(), StoreError> {
        self.store.forget_visitors(self.clock.now().minus(VISIT)).await
    }

    /// Hands the postbacks that were gathered to the store.
    pub(crate) async fn flush_log(&self) -> Result<(), StoreError> {
        self.log.flush(&*self.store).await
    }

    pub(crate) async fn purge_log(&self) -> Result<(), StoreError> {
        self.store.purge_postbacks(self.clock.now().minus(self.log_retention), self.log_capacity).await
    }

    /// Removes clicks that are too old, and returns how many those were.
    pub(crate) async fn purge(&self) -> Result<u64, StoreError> {
        let Some(before) = self.oldest_kept() else { return Ok(0) };
        let (mut purged, mut page) = (0, PageRequest::default());
        loop {
            let affiliates = self.store.affiliates(page).await?;
            for affiliate in affiliates.items {
                let mut step = PurgeRequest { before, limit: STEP, after: None };
                loop {
                    let started = Instant::now();
                    let done = self.store.purge_clicks(affiliate.id, step).await?;
                    purged += done.deleted;
                    let Some(next) = done.next else { break };
                    step.after = Some(next);
                    // Half of the time is left to those who wait for an answer.
                    tokio::time::sleep(started.elapsed()).await;
                }
            }
            match affiliates.next {
                Some(next) => page.after = Some(next),
                None => return Ok(purged),
            }
        }
    }

    /// Starts the housekeeping, unless it is under way, on the runtime that this is called in, if it is in one.
    pub(crate) fn keep_house(self: &Arc<Self>) {
        if !self.is_kept.load(Ordering::Relaxed)
            && let Ok(runtime) = Handle::try_current()
            && !self.is_kept.swap(true, Ordering::Relaxed)
        {
            let kept = || Kept(Arc::downgrade(self));
            runtime.spawn(kept().tidy_again_and_again());
            runtime.spawn(kept().purge_again_and_again());
            runtime.spawn(kept().log_again_and_again());
        }
    }
}

/// What is kept in order for as long as there is a tracker. If the task ends with its runtime, another may start.
struct Kept(Weak<Recorder>);

impl Kept {
    async fn tidy_again_and_again(self) {
        loop {
            tokio::time::sleep(TIDYING).await;
            let Some(recorder) = self.0.upgrade() else { return };
            if let Err(error) = recorder.forget_visitors().await {
                tracing::warn!(error = %error_chain(&error), "old visitors could not be forgotten; this is tried again");
            }
            if let Err(error) = recorder.purge_log().await {
                tracing::warn!(error = %error_chain(&error), "old postbacks could not be purged; this is tried again");
            }
            if let Err(error) = recorder.store.upkeep().await {
                tracing::warn!(error = %error_chain(&error), "the store could not be kept in order; this is tried again");
            }
        }
    }

    async fn log_again_and_again(self) {
        loop {
            tokio::time::sleep(log::FLUSH).await;
            let Some(recorder) = self.0.upgrade() else { return };
            if let Err(error) = recorder.flush_log().await {
                tracing::warn!(error = %error_chain(&error), "postbacks could not be logged; this is tried again");
            }
        }
    }

    async fn purge_again_and_again(self) {
        // Soon at first: some processes are never old.
        let mut pause = TIDYING;
        loop {
            tokio::time::sleep(std::mem::replace(&mut pause, PURGE)).await;
            let Some(recorder) = self.0.upgrade() else { return };
            match recorder.purge().await {
                Ok(0) => {}
                Ok(clicks) => tracing::info!(clicks, "old clicks were purged"),
                Err(error) => {
                    tracing::warn!(error = %error_chain(&error), "old clicks could not be purged; this is tried again");
                }
            }
        }
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        if let Some(recorder) = self.0.upgrade() {
            recorder.is_kept.store(false, Ordering::Relaxed);
        }
    }
}

/// Handles of the counters that change with nearly every call.
#[derive(Debug)]
pub(crate) struct Meters {
    pub(crate) clicks_new: Counter,
    pub(crate) clicks_duplicate: Counter,
    pub(crate) clicks_failed: Counter,
    pub(crate) clicks_recovered: Counter,
    pub(crate) links_recorded: Counter,
    pub(crate) links_queued: Counter,
    pub(crate) links_unrecorded: Counter,
    pub(crate) backlog: Gauge,
    postbacks_accepted: Counter,
    postbacks_duplicate: Counter,
}

impl Meters {
    pub(crate) fn new() -> Self {
        describe_counter!(
            "tracking_clicks_total",
            "Clicks that were sent, by result: new, duplicate or failed; or recovered from a postback."
        );
        describe_counter!(
            "tracking_links_total",
            "Visitors who were sent on, by the state of their click then: recorded, queued or unrecorded."
        );
        describe_gauge!("tracking_queued_clicks", "Clicks of visitors who were sent on that are to be recorded yet.");
        describe_counter!("tracking_postbacks_total", "Conversions that were sent, by outcome.");
        Self {
            clicks_new: counter!("tracking_clicks_total", "result" => "new"),
            clicks_duplicate: counter!("tracking_clicks_total", "result" => "duplicate"),
            clicks_failed: counter!("tracking_clicks_total", "result" => "failed"),
            clicks_recovered: counter!("tracking_clicks_total", "result" => "recovered"),
            links_recorded: counter!("tracking_links_total", "click" => "recorded"),
            links_queued: counter!("tracking_links_total", "click" => "queued"),
            links_unrecorded: counter!("tracking_links_total", "click" => "unrecorded"),
            backlog: gauge!("tracking_queued_clicks"),
            postbacks_accepted: counter!("tracking_postbacks_total", "outcome" => "accepted"),
            postbacks_duplicate: counter!("tracking_postbacks_total", "outcome" => "duplicate"),
        }
    }

    pub(crate) fn count_postback(&self, outcome: OutcomeKind) {
        match outcome {
            OutcomeKind::Accepted => self.postbacks_accepted.increment(1),
            OutcomeKind::Duplicate => self.postbacks_duplicate.increment(1),
            outcome => counter!("tracking_postbacks_total", "outcome" => outcome.code()).increment(1),
        }
    }
}
