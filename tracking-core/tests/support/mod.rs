//! A store that counts its calls, and that can be taken away.

#![allow(dead_code, reason = "no test needs all of it")]

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use storage_memory::MemoryStore;
use tokio::sync::watch;
use tracking_core::{
    Affiliate, AffiliateId, Breakdown, Campaign, CampaignId, CampaignRequest, Click, ClickFilter, ClickId, Conversion,
    ConversionFilter, ConversionId, DestinationUrl, EventName, NewAffiliate, NewCampaign, NewClick, NewConversion,
    Page, PageRequest, Postback, PostbackAuth, PostbackFilter, PurgeRequest, Purged, Ranked, Ranking, Recorded, Scope,
    StatusChange, Store, StoreError, Summary, Timestamp, Tracker, TransactionId, async_trait,
};

/// What calls meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Up,
    /// They fail at once.
    Down,
    /// They take until the store is up or down.
    Hanging,
}

/// A handle on the store, wherever it is.
#[derive(Debug, Clone)]
pub(crate) struct Calls {
    count: Arc<AtomicU64>,
    mode: watch::Sender<Mode>,
    changes: Arc<Mutex<Changes>>,
}

/// How it differs from the store beneath.
#[derive(Debug, Default)]
struct Changes {
    destination: Option<DestinationUrl>,
    broken_campaign: Option<CampaignId>,
    refused_click: Option<ClickId>,
    delay: Duration,
    scan_delay: Duration,
}

impl Calls {
    pub(crate) fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    pub(crate) fn set(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }

    pub(crate) fn is(&self, mode: Mode) -> bool {
        *self.mode.borrow() == mode
    }

    /// Gives every campaign another destination, as another process may do.
    pub(crate) fn set_destination(&self, destination: &str) {
        self.changes.lock().unwrap().destination = Some(destination.parse().unwrap());
    }

    /// Makes this campaign one that can't be read.
    pub(crate) fn break_campaign(&self, id: CampaignId) {
        self.changes.lock().unwrap().broken_campaign = Some(id);
    }

    /// Never takes this click, and says that it is unavailable.
    pub(crate) fn refuse(&self, click_id: &ClickId) {
        self.changes.lock().unwrap().refused_click = Some(click_id.clone());
    }

    /// How long each call takes.
    pub(crate) fn set_delay(&self, delay: Duration) {
        self.changes.lock().unwrap().delay = delay;
    }

    /// How long it takes to look at each record.
    pub(crate) fn set_scan_delay(&self, delay: Duration) {
        self.changes.lock().unwrap().scan_delay = delay;
    }

    async fn pass(&self) -> Result<(), StoreError> {
        self.count.fetch_add(1, Ordering::Relaxed);
        self.allow().await
    }

    async fn allow(&self) -> Result<(), StoreError> {
        let delay = self.changes.lock().unwrap().delay;
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        let mut mode = self.mode.subscribe();
        let mode = *mode.wait_for(|mode| *mode != Mode::Hanging).await.map_err(|_| gone())?;
        if mode == Mode::Down { Err(gone()) } else { Ok(()) }
    }
}

fn gone() -> StoreError {
    StoreError::unavailable("test", "the store was taken away")
}

#[derive(Debug)]
pub(crate) struct SwitchedStore {
    inner: MemoryStore,
    calls: Calls,
}

impl Default for SwitchedStore {
    fn default() -> Self {
        let calls = Calls { count: Arc::default(), mode: watch::Sender::new(Mode::Up), changes: Arc::default() };
        Self { inner: MemoryStore::new(), calls }
    }
}

impl SwitchedStore {
    pub(crate) fn calls(&self) -> Calls {
        self.calls.clone()
    }
}

macro_rules! forward {
    ($($name:ident($($argument:ident: $type:ty),*) -> $answer:ty;)+) => {
        #[async_trait]
        impl Store for SwitchedStore {
            async fn campaign(&self, id: CampaignId) -> Result<Campaign, StoreError> {
                self.calls.pass().await?;
                let mut campaign = self.inner.campaign(id).await?;
                let changes = self.calls.changes.lock().unwrap();
                if changes.broken_campaign == Some(id) {
                    return Err(StoreError::backend("test", "the campaign can't be read"));
                }
                if let Some(destination) = &changes.destination {
                    campaign.destination = destination.clone();
                }
                Ok(campaign)
            }

            async fn breakdown(&self, breakdown: &Breakdown) -> Result<Vec<(Option<String>, Summary)>, StoreError> {
                self.calls.pass().await?;
                let delay = self.calls.changes.lock().unwrap().scan_delay;
                tokio::time::sleep(delay).await;
                self.inner.breakdown(breakdown).await
            }

            async fn insert_click(&self, new: NewClick) -> Result<Recorded<Click>, StoreError> {
                self.calls.pass().await?;
                if self.calls.changes.lock().unwrap().refused_click.as_ref() == Some(&new.click_id) {
                    return Err(gone());
                }
                self.inner.insert_click(new).await
            }

            /// Not counted, because nobody waits for it.
            async fn log_postbacks(&self, postbacks: Vec<Postback>) -> Result<(), StoreError> {
                self.calls.allow().await?;
                self.inner.log_postbacks(postbacks).await
            }

            $(
                async fn $name(&self, $($argument: $type),*) -> Result<$answer, StoreError> {
                    self.calls.pass().await?;
                    self.inner.$name($($argument),*).await
                }
            )+
        }
    };
}

forward! {
    ping() -> ();
    insert_affiliate(new: NewAffiliate) -> Recorded<Affiliate>;
    affiliate(id: AffiliateId) -> Affiliate;
    affiliates(request: PageRequest) -> Page<Affiliate>;
    insert_campaign(new: NewCampaign) -> Recorded<Campaign>;
    campaigns(request: PageRequest) -> Page<Campaign>;
    find_clicks(affiliate: AffiliateId, campaign: Option<CampaignId>, click_id: &ClickId) -> Vec<Click>;
    clicks(filter: &ClickFilter, request: PageRequest) -> Page<Click>;
    insert_conversion(new: NewConversion) -> Recorded<Conversion>;
    update_affiliate(affiliate: Affiliate) -> Option<Affiliate>;
    update_campaign(campaign: Campaign) -> Option<Campaign>;
    find_conversion(
        click: &Click,
        alternatives: &[CampaignId],
        event: &EventName,
        transaction_id: Option<&TransactionId>
    ) -> Option<Conversion>;
    first_conversion(click: &Click, event: &EventName) -> Option<Conversion>;
    daily_conversions(campaign: CampaignId, day: Timestamp) -> u64;
    conversion(id: ConversionId) -> Conversion;
    change_status(id: ConversionId, change: StatusChange) -> Option<Conversion>;
    status_changes(id: ConversionId) -> Vec<StatusChange>;
    conversions(filter: &ConversionFilter, request: PageRequest) -> Page<Conversion>;
    summary(affiliate: AffiliateId) -> Summary;
    totals(scope: Scope, bounds: &[Timestamp]) -> Vec<Summary>;
    totals_by_affiliate(
        campaign: Option<CampaignId>,
        from: Timestamp,
        to: Timestamp,
        max: usize
    ) -> Vec<(AffiliateId, Summary)>;
    best_affiliates(
        campaign: Option<CampaignId>,
        from: Timestamp,
        to: Timestamp,
        ranking: &Ranking
    ) -> Ranked<AffiliateId>;
    totals_by_campaign(
        affiliate: Option<AffiliateId>,
        from: Timestamp,
        to: Timestamp,
        max: usize
    ) -> Vec<(CampaignId, Summary)>;
    forget_visitors(before: Timestamp) -> ();
    purge_clicks(affiliate: AffiliateId, request: PurgeRequest) -> Purged;
    erase_clicks(click_id: &ClickId, replacement: &ClickId) -> u64;
    postbacks(filter: &PostbackFilter, request: PageRequest) -> Page<Postback>;
    purge_postbacks(before: Timestamp, keep: u64) -> ();
    upkeep() -> ();
}

/// A campaign that takes postbacks from anyone.
pub(crate) async fn open_campaign(tracker: &Tracker) -> CampaignId {
    let campaign =
        CampaignRequest::new("Shop".parse().unwrap(), "https://shop.example/?id={click_id}".parse().unwrap());
    tracker.create_campaign(campaign.postback_auth(PostbackAuth::Open)).await.unwrap().campaign.id
}
