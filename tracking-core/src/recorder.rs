//! What outlives a single call: the way of a click into the store, and the tasks in the background.

use std::sync::{Arc, Weak};
use std::time::Duration;

use metrics::{Counter, Gauge, counter, describe_counter, describe_gauge, gauge};

use crate::backlog::Backlog;
use crate::event::Broadcaster;
use crate::{
    Click, Clock, Event, Limit, NewClick, Outcome, PageRequest, PurgeRequest, Recorded, Store, StoreError, Timestamp,
};

/// How long visitors are known again.
pub(crate) const VISIT: Duration = Duration::from_secs(24 * 60 * 60);

/// When, and then how often, what is too old is removed.
const FIRST_HOUSEKEEPING: Duration = Duration::from_secs(60);
const HOUSEKEEPING: Duration = Duration::from_secs(60 * 60);

/// How many clicks one step of a purge looks at.
const STEP: Limit = match Limit::new(500) {
    Ok(limit) => limit,
    Err(_) => panic!("the limit is out of range"), // and this does not compile
};

#[derive(Debug)]
pub(crate) struct Recorder {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) events: Broadcaster,
    pub(crate) meters: Meters,
    pub(crate) backlog: Backlog,
    pub(crate) retention: Option<Duration>,
}

impl Recorder {
    /// Hands a click to the store, and tells of it.
    pub(crate) async fn insert(&self, new: NewClick) -> Result<Recorded<Click>, StoreError> {
        let result = self.store.insert_click(new).await;
        self.announce(&result);
        result
    }

    /// The same for a click that may have reached the store before, when nobody waited for it any more.
    pub(crate) async fn insert_late(&self, new: NewClick) -> Result<Recorded<Click>, StoreError> {
        let created_at = new.created_at;
        let result = match self.store.insert_click(new).await {
            Ok(Recorded::Duplicate(click)) if click.created_at == created_at => Ok(Recorded::New(click)),
            result => result,
        };
        if !matches!(result, Err(StoreError::Unavailable { .. })) {
            self.announce(&result);
        }
        result
    }

    fn announce(&self, result: &Result<Recorded<Click>, StoreError>) {
        match result {
            Ok(Recorded::New(click)) => {
                self.meters.clicks_new.increment(1);
                self.events.send(|| Event::ClickRecorded(click.clone()));
            }
            Ok(Recorded::Duplicate(_)) => self.meters.clicks_duplicate.increment(1),
            Err(_) => self.meters.clicks_failed.increment(1),
        }
    }

    /// Clicks from before this time are purged; `None` keeps them all.
    pub(crate) fn oldest_kept(&self) -> Option<Timestamp> {
        Some(self.clock.now().minus(self.retention?))
    }

    /// Removes what is too old, and returns how many clicks that were.
    pub(crate) async fn purge(&self) -> Result<u64, StoreError> {
        self.store.forget_visitors(self.clock.now().minus(VISIT)).await?;
        let Some(before) = self.oldest_kept() else { return Ok(0) };
        let (mut purged, mut page) = (0, PageRequest::default());
        loop {
            let affiliates = self.store.affiliates(page).await?;
            for affiliate in affiliates.items {
                let mut step = PurgeRequest { before, limit: STEP, after: None };
                loop {
                    let started = tokio::time::Instant::now();
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

    /// Purges again and again, for as long as there is a tracker.
    pub(crate) async fn keep_house(recorder: Weak<Self>) {
        let mut pause = FIRST_HOUSEKEEPING;
        loop {
            tokio::time::sleep(std::mem::replace(&mut pause, HOUSEKEEPING)).await;
            let Some(recorder) = recorder.upgrade() else { return };
            match recorder.purge().await {
                Ok(0) => {}
                Ok(clicks) => tracing::info!(clicks, "old clicks were purged"),
                Err(error) => tracing::warn!(%error, "old records could not be purged; this is tried again"),
            }
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

    pub(crate) fn count_postback(&self, outcome: &Outcome) {
        match outcome {
            Outcome::Accepted(_) => self.postbacks_accepted.increment(1),
            Outcome::Duplicate(_) => self.postbacks_duplicate.increment(1),
            outcome => counter!("tracking_postbacks_total", "outcome" => outcome.code()).increment(1),
        }
    }
}
