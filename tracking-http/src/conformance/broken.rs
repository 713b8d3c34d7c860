use async_trait::async_trait;
use tracking_core::{
    Affiliate, AffiliateId, Breakdown, Campaign, CampaignId, Click, ClickFilter, ClickId, Conversion, ConversionFilter,
    ConversionId, EventName, NewAffiliate, NewCampaign, NewClick, NewConversion, Page, PageRequest, Postback,
    PostbackFilter, PurgeRequest, Purged, Recorded, Scope, StatusChange, Store, StoreError, Summary, Timestamp,
    TransactionId,
};

/// A store that does nothing but fail.
#[derive(Debug)]
pub(super) struct BrokenStore {
    error: fn() -> StoreError,
    /// What keeps the postback log, if that is not broken.
    log: Option<Box<dyn Store>>,
    /// The only page of affiliates that can be had: the one with the newest.
    newest_affiliates: Option<Page<Affiliate>>,
    /// What counts, if that is not broken.
    counters: Option<Box<dyn Store>>,
}

/// What the backend says, which no caller may ever read.
pub(super) const SECRET: &str = "password=hunter2 at db.internal:3306";

impl BrokenStore {
    /// One that says that trying again may help, or that it does not.
    pub(super) fn new(for_now: bool) -> Self {
        Self::failing(if for_now {
            || StoreError::unavailable("test", SECRET)
        } else {
            || StoreError::backend("test", SECRET)
        })
    }

    /// One that fails with this error.
    pub(super) fn failing(error: fn() -> StoreError) -> Self {
        Self { error, log: None, newest_affiliates: None, counters: None }
    }

    /// The same whose postback log works.
    pub(super) fn with_log(self, store: Box<dyn Store>) -> Self {
        Self { log: Some(store), ..self }
    }

    /// The same that still has a page of affiliates, and fails when it is asked for the next one.
    pub(super) fn with_newest_affiliates(self, page: Page<Affiliate>) -> Self {
        Self { newest_affiliates: Some(page), ..self }
    }

    /// The same whose counters work.
    pub(super) fn with_counters(self, store: Box<dyn Store>) -> Self {
        Self { counters: Some(store), ..self }
    }

    fn counters(&self) -> Result<&dyn Store, StoreError> {
        self.counters.as_deref().map_or_else(|| self.fail(), Ok)
    }

    fn fail<T>(&self) -> Result<T, StoreError> {
        Err((self.error)())
    }
}

#[async_trait]
impl Store for BrokenStore {
    async fn ping(&self) -> Result<(), StoreError> {
        self.fail()
    }

    async fn insert_affiliate(&self, _: NewAffiliate) -> Result<Recorded<Affiliate>, StoreError> {
        self.fail()
    }

    async fn affiliate(&self, _: AffiliateId) -> Result<Affiliate, StoreError> {
        self.fail()
    }

    async fn affiliates(&self, request: PageRequest) -> Result<Page<Affiliate>, StoreError> {
        match &self.newest_affiliates {
            Some(page) if request.after.is_none() => Ok(page.clone()),
            _ => {
                // As any store that has to be waited for: what there was is on its way.
                tokio::task::yield_now().await;
                self.fail()
            }
        }
    }

    async fn insert_campaign(&self, _: NewCampaign) -> Result<Recorded<Campaign>, StoreError> {
        self.fail()
    }

    async fn campaign(&self, _: CampaignId) -> Result<Campaign, StoreError> {
        self.fail()
    }

    async fn campaigns(&self, _: PageRequest) -> Result<Page<Campaign>, StoreError> {
        self.fail()
    }

    async fn insert_click(&self, _: NewClick) -> Result<Recorded<Click>, StoreError> {
        self.fail()
    }

    async fn find_clicks(&self, _: AffiliateId, _: Option<CampaignId>, _: &ClickId) -> Result<Vec<Click>, StoreError> {
        self.fail()
    }

    async fn clicks(&self, _: &ClickFilter, _: PageRequest) -> Result<Page<Click>, StoreError> {
        self.fail()
    }

    async fn insert_conversion(&self, _: NewConversion) -> Result<Recorded<Conversion>, StoreError> {
        self.fail()
    }

    async fn conversions(&self, _: &ConversionFilter, _: PageRequest) -> Result<Page<Conversion>, StoreError> {
        self.fail()
    }

    async fn summary(&self, _: AffiliateId) -> Result<Summary, StoreError> {
        self.fail()
    }

    async fn totals(&self, scope: Scope, bounds: &[Timestamp]) -> Result<Vec<Summary>, StoreError> {
        self.counters()?.totals(scope, bounds).await
    }

    async fn totals_by_affiliate(
        &self,
        of: Option<CampaignId>,
        from: Timestamp,
        to: Timestamp,
        max: usize,
    ) -> Result<Vec<(AffiliateId, Summary)>, StoreError> {
        self.counters()?.totals_by_affiliate(of, from, to, max).await
    }

    async fn totals_by_campaign(
        &self,
        of: Option<AffiliateId>,
        from: Timestamp,
        to: Timestamp,
        max: usize,
    ) -> Result<Vec<(CampaignId, Summary)>, StoreError> {
        self.counters()?.totals_by_campaign(of, from, to, max).await
    }

    async fn breakdown(&self, _: &Breakdown) -> Result<Vec<(Option<String>, Summary)>, StoreError> {
        self.fail()
    }

    async fn forget_visitors(&self, _: Timestamp) -> Result<(), StoreError> {
        self.fail()
    }

    async fn purge_clicks(&self, _: AffiliateId, _: PurgeRequest) -> Result<Purged, StoreError> {
        self.fail()
    }

    async fn erase_clicks(&self, _: &ClickId, _: &ClickId) -> Result<u64, StoreError> {
        self.fail()
    }

    async fn update_affiliate(&self, _: Affiliate) -> Result<Option<Affiliate>, StoreError> {
        self.fail()
    }

    async fn update_campaign(&self, _: Campaign) -> Result<Option<Campaign>, StoreError> {
        self.fail()
    }

    async fn find_conversion(
        &self,
        _: &Click,
        _: &[CampaignId],
        _: &EventName,
        _: Option<&TransactionId>,
    ) -> Result<Option<Conversion>, StoreError> {
        self.fail()
    }

    async fn first_conversion(&self, _: &Click, _: &EventName) -> Result<Option<Conversion>, StoreError> {
        self.fail()
    }

    async fn daily_conversions(&self, _: CampaignId, _: Timestamp) -> Result<u64, StoreError> {
        self.fail()
    }

    async fn conversion(&self, _: ConversionId) -> Result<Conversion, StoreError> {
        self.fail()
    }

    async fn change_status(&self, _: ConversionId, _: StatusChange) -> Result<Option<Conversion>, StoreError> {
        self.fail()
    }

    async fn status_changes(&self, _: ConversionId) -> Result<Vec<StatusChange>, StoreError> {
        self.fail()
    }

    async fn log_postbacks(&self, postbacks: Vec<Postback>) -> Result<(), StoreError> {
        match &self.log {
            Some(store) => store.log_postbacks(postbacks).await,
            None => self.fail(),
        }
    }

    async fn postbacks(&self, filter: &PostbackFilter, request: PageRequest) -> Result<Page<Postback>, StoreError> {
        match &self.log {
            Some(store) => store.postbacks(filter, request).await,
            None => self.fail(),
        }
    }

    async fn purge_postbacks(&self, _: Timestamp, _: u64) -> Result<(), StoreError> {
        self.fail()
    }
}
