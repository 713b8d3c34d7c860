//! The service that an application holds.

mod admin;
mod explain;
mod links;
mod passes;
mod postbacks;
mod privacy;
mod reports;
mod scans;
mod statuses;

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use crate::backlog::Backlog;
use crate::directory::Directory;
use crate::event::Broadcaster;
use crate::failures::Failures;
use crate::log::PostbackLog;
use crate::recorder::{Meters, Recorder};
use crate::secret::VisitorKeys;
use crate::{
    Affiliate, AffiliateId, Campaign, CampaignId, Click, ClickFilter, Clock, Conversion, ConversionFilter,
    ConversionId, Events, Page, PageRequest, Postback, PostbackFilter, Secrets, StatusChange, Store, StoreError,
    Summary, SystemClock, Timestamp,
};

pub use self::admin::{KeyError, Pause};
pub use self::explain::{ExplainedRule, Explanation, Verdict};
pub use self::links::{ClickError, ClickState, LinkStep, Redirect};
pub use self::passes::PassError;
pub use self::postbacks::Attribution;
use self::scans::Scans;

/// Records clicks, attributes conversions, and reports both.
///
/// All that HTTP can do is a method here. A tracker is made once and shared, usually in an [`Arc`]. Its calls need a Tokio
/// runtime, in which it does in the background what nobody has to wait for.
///
/// ```
/// use tracking_core::{CampaignRequest, ClickRequest, ConversionRequest, Outcome, Secret, Tracker};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let tracker = Tracker::new(storage_memory::MemoryStore::new(), Secret::random());
/// let affiliate = tracker.create_affiliate("Ada's reviews".parse()?).await?;
/// let destination = "https://shop.example/?ref={click_id}".parse()?;
/// let created = tracker.create_campaign(CampaignRequest::new("Shop".parse()?, destination)).await?;
///
/// // A visitor follows the affiliate's link …
/// let click = tracker.record_click(ClickRequest::new(affiliate.id, created.campaign.id)).await?.into_record();
///
/// // … and buys, in this same application.
/// let sale = ConversionRequest::new(affiliate.id, click.click_id, "99.95".parse()?, "USD".parse()?);
/// assert!(matches!(tracker.record_conversion(sale.clone()).await?, Outcome::Accepted(_)));
/// assert!(matches!(tracker.record_conversion(sale).await?, Outcome::Duplicate(_)));
/// assert_eq!(tracker.summary(affiliate.id).await?.conversions(), 1);
/// # Ok(())
/// # }
/// ```
///
/// # Metrics
///
/// Through the [`metrics`] facade, to whatever recorder the application has installed before it makes the tracker:
///
/// - `tracking_clicks_total{result}`: `new`, `duplicate`, `failed`, or `recovered`;
/// - `tracking_links_total{click}`: visitors who were sent on while their click was `recorded`, `queued` or `unrecorded`;
/// - `tracking_queued_clicks`: how many clicks wait to be recorded;
/// - `tracking_postbacks_total{outcome}`: the [code](crate::OutcomeKind::code) of what became of each. Conversions that the
///   application records itself count too.
#[derive(Debug)]
pub struct Tracker {
    recorder: Arc<Recorder>,
    affiliates: Arc<Directory<Affiliate>>,
    campaigns: Arc<Directory<Campaign>>,
    visitor_keys: RwLock<VisitorKeys>,
    link_deadline: Duration,
    stored_ip: StoredIp,
    failures: Failures,
    scans: Scans,
}

/// How many postbacks of one place that prove nothing are answered for what they are, in a minute.
const FAILURES_ALLOWED: u32 = 30;

/// What can be chosen about a [`Tracker`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct TrackerOptions {
    /// What tells the time; the clock of the machine if nothing else is said.
    pub clock: Arc<dyn Clock>,
    /// How long a visitor on a link waits for his click to be recorded; 250 ms if nothing else is said.
    pub link_deadline: Duration,
    /// How many clicks of visitors who were sent on may wait to be recorded; 100,000 if nothing else is said. They may take
    /// 1 KiB each in the mean. Clicks beyond that are not recorded before their postback comes.
    pub queue_capacity: usize,
    /// How much of a visitor's address is stored; masked if nothing else is said.
    pub stored_ip: StoredIp,
    /// How long clicks are kept; for ever if nothing else is said. See [`Tracker::purge`].
    pub retention: Option<Duration>,
    /// How long the postback log goes back; 30 days if nothing else is said.
    pub log_retention: Duration,
    /// How many postbacks the log keeps; a million, some 500 MB, if nothing else is said. The oldest go first.
    pub log_capacity: u64,
}

/// How much of a visitor's address is stored with his click.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum StoredIp {
    /// [The network that it is in](crate::ClientIp::masked).
    #[default]
    Masked,
    /// All of it.
    Whole,
    /// Nothing.
    None,
}

impl Default for TrackerOptions {
    fn default() -> Self {
        Self {
            clock: Arc::new(SystemClock),
            link_deadline: Duration::from_millis(250),
            queue_capacity: 100_000,
            stored_ip: StoredIp::Masked,
            retention: None,
            log_retention: Duration::from_secs(30 * 24 * 60 * 60),
            log_capacity: 1_000_000,
        }
    }
}

impl TrackerOptions {
    /// The same with this clock.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// The same with this deadline.
    #[must_use]
    pub fn link_deadline(mut self, deadline: Duration) -> Self {
        self.link_deadline = deadline;
        self
    }

    /// The same with this capacity.
    #[must_use]
    pub fn queue_capacity(mut self, capacity: usize) -> Self {
        self.queue_capacity = capacity;
        self
    }

    /// The same where so much of an address is stored.
    #[must_use]
    pub fn stored_ip(mut self, stored_ip: StoredIp) -> Self {
        self.stored_ip = stored_ip;
        self
    }

    /// The same where clicks are kept for so long.
    #[must_use]
    pub fn retention(mut self, retention: Duration) -> Self {
        self.retention = Some(retention);
        self
    }

    /// The same where the postback log goes back so long.
    #[must_use]
    pub fn log_retention(mut self, retention: Duration) -> Self {
        self.log_retention = retention;
        self
    }

    /// The same where the postback log keeps so many.
    #[must_use]
    pub fn log_capacity(mut self, capacity: u64) -> Self {
        self.log_capacity = capacity;
        self
    }
}

impl Tracker {
    /// A tracker on this store, under this [`Secret`](crate::Secret) or these [`Secrets`].
    pub fn new(store: impl Store, secrets: impl Into<Secrets>) -> Self {
        Self::with_options(store, secrets, TrackerOptions::default())
    }

    /// The same with these options.
    pub fn with_options(store: impl Store, secrets: impl Into<Secrets>, options: TrackerOptions) -> Self {
        let TrackerOptions { clock, link_deadline, queue_capacity, stored_ip, retention, log_retention, log_capacity } =
            options;
        let (store, secrets): (Arc<dyn Store>, _) = (Arc::new(store), secrets.into());
        let visitor_keys = RwLock::new(VisitorKeys::at(&secrets, clock.now()));
        let tracker = Self {
            affiliates: Arc::new(Directory::new(Arc::clone(&store))),
            campaigns: Arc::new(Directory::new(Arc::clone(&store))),
            recorder: Arc::new(Recorder {
                store,
                clock,
                secrets,
                events: Broadcaster::default(),
                meters: Meters::new(),
                backlog: Backlog::new(queue_capacity),
                log: PostbackLog::default(),
                log_retention,
                log_capacity,
                retention,
                is_kept: AtomicBool::new(false),
            }),
            visitor_keys,
            link_deadline,
            stored_ip,
            failures: Failures::new(FAILURES_ALLOWED),
            scans: Scans::new(),
        };
        tracker.recorder.keep_house();
        tracker
    }

    /// Listens to what is recorded from now on.
    #[must_use]
    pub fn subscribe(&self) -> Events {
        self.recorder.events.subscribe()
    }

    /// The affiliate with this id.
    ///
    /// # Errors
    /// If there is none, or if the store fails.
    pub async fn affiliate(&self, id: AffiliateId) -> Result<Affiliate, StoreError> {
        self.recorder.store.affiliate(id).await
    }

    /// All affiliates, newest first.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn affiliates(&self, request: PageRequest) -> Result<Page<Affiliate>, StoreError> {
        self.recorder.store.affiliates(request).await
    }

    /// The campaign with this id.
    ///
    /// # Errors
    /// If there is none, or if the store fails.
    pub async fn campaign(&self, id: CampaignId) -> Result<Campaign, StoreError> {
        self.recorder.store.campaign(id).await
    }

    /// All campaigns, newest first.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn campaigns(&self, request: PageRequest) -> Result<Page<Campaign>, StoreError> {
        self.recorder.store.campaigns(request).await
    }

    /// The clicks that the filter admits, such as `&affiliate_id.into()`, newest first.
    ///
    /// # Errors
    /// If there is no such affiliate or campaign, or if the store fails.
    pub async fn clicks(&self, filter: &ClickFilter, request: PageRequest) -> Result<Page<Click>, StoreError> {
        self.recorder.store.clicks(filter, request).await
    }

    /// The conversions that the filter admits, such as `&affiliate_id.into()`, newest first.
    ///
    /// # Errors
    /// If there is no such affiliate or campaign, or if the store fails.
    pub async fn conversions(
        &self,
        filter: &ConversionFilter,
        request: PageRequest,
    ) -> Result<Page<Conversion>, StoreError> {
        self.recorder.store.conversions(filter, request).await
    }

    /// The conversion with this number.
    ///
    /// # Errors
    /// If there is none, or if the store fails.
    pub async fn conversion(&self, id: ConversionId) -> Result<Conversion, StoreError> {
        self.recorder.store.conversion(id).await
    }

    /// How the status of a conversion has changed, in order; empty if it has not.
    ///
    /// # Errors
    /// If there is no such conversion, or if the store fails.
    pub async fn status_changes(&self, id: ConversionId) -> Result<Vec<StatusChange>, StoreError> {
        self.recorder.store.status_changes(id).await
    }

    /// Those of the postback log that the filter admits, newest first, with those of this process to the last one.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn postbacks(&self, filter: &PostbackFilter, request: PageRequest) -> Result<Page<Postback>, StoreError> {
        self.recorder.flush_log().await?;
        self.recorder.store.postbacks(filter, request).await
    }

    /// What an affiliate has brought, from the beginning.
    ///
    /// # Errors
    /// If there is no such affiliate, or if the store fails.
    pub async fn summary(&self, affiliate: AffiliateId) -> Result<Summary, StoreError> {
        self.recorder.store.summary(affiliate).await
    }

    /// Asks whether the store can take calls now.
    ///
    /// # Errors
    /// If it can't.
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.recorder.store.ping().await
    }

    /// The store, for records with ids of your own choice.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.recorder.store
    }

    /// What was chosen about this tracker.
    #[must_use]
    pub fn options(&self) -> TrackerOptions {
        let Recorder { clock, backlog, retention, log_retention, log_capacity, .. } = &*self.recorder;
        TrackerOptions {
            clock: Arc::clone(clock),
            link_deadline: self.link_deadline,
            queue_capacity: backlog.capacity(),
            stored_ip: self.stored_ip,
            retention: *retention,
            log_retention: *log_retention,
            log_capacity: *log_capacity,
        }
    }

    /// The present moment, by the tracker's clock.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.recorder.clock.now()
    }
}
