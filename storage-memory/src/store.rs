use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

use parking_lot::{Mutex, RwLock};
use tracking_core::{
    Affiliate, AffiliateId, Attribute, Breakdown, Campaign, CampaignId, Click, ClickFilter, ClickId, ClickRecordId,
    Conversion, ConversionFilter, ConversionId, Cursor, EventName, NewAffiliate, NewCampaign, NewClick, NewConversion,
    Page, PageRequest, Postback, PostbackFilter, PurgeRequest, Purged, Recorded, Scope, StatusChange, Store,
    StoreError, Summary, Timestamp, TransactionId, VisitorHash, VisitorHashes, async_trait,
};

use crate::groups::Groups;
use crate::ledger::Ledger;
use crate::log::Log;
use crate::register::Register;

/// A [`Store`] in memory. See [the crate's documentation](crate) for what it is good for, and for its costs.
#[derive(Debug, Default)]
pub struct MemoryStore {
    affiliates: RwLock<Directory<Arc<Ledger>>>,
    campaigns: RwLock<Directory<Campaign>>,
    /// When they first clicked.
    visitors: Mutex<HashMap<VisitorHash, Timestamp>>,
    last_click: AtomicU64,
    /// Locked by who has an affiliate's entries locked; never the other way round.
    register: Mutex<Register>,
    log: RwLock<Log>,
    capacity: Option<usize>,
    /// Counted only where there is a capacity.
    used: AtomicUsize,
}

impl MemoryStore {
    /// An empty store without a limit but the machine's memory.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty store for up to this many records: affiliates, campaigns, clicks and conversions together. The postback
    /// log is not among them, so that no flood of calls leaves clicks without room: it is for
    /// [`purge_postbacks`](Store::purge_postbacks) to keep it short.
    ///
    /// Beyond that each insert fails with [`StoreError::Full`] and changes nothing, while duplicates are answered and
    /// reports go on as before.
    #[must_use]
    pub fn bounded(capacity: usize) -> Self {
        Self { capacity: Some(capacity), ..Self::default() }
    }

    fn ledger(&self, id: AffiliateId) -> Result<Arc<Ledger>, StoreError> {
        self.affiliates.read().by_id.get(&id.as_u64()).cloned().ok_or(StoreError::UnknownAffiliate(id))
    }

    /// Those of all whom the scope admits, and of nobody if he is not there.
    fn ledgers(&self, scope: Scope) -> Vec<Arc<Ledger>> {
        let ledgers = &self.affiliates.read().by_id;
        match scope.affiliate_id {
            Some(id) => ledgers.get(&id.as_u64()).cloned().into_iter().collect(),
            None => ledgers.values().cloned().collect(),
        }
    }

    /// The same for a list, which there is not of what is not there.
    fn ledgers_to_list(&self, scope: Scope) -> Result<Vec<Arc<Ledger>>, StoreError> {
        if let Some(id) = scope.affiliate_id {
            self.ledger(id)?;
        }
        if let Some(id) = scope.campaign_id {
            self.check_campaign(id)?;
        }
        Ok(self.ledgers(scope))
    }

    fn visit_counters(
        &self,
        scope: Scope,
        from: Timestamp,
        to: Timestamp,
        mut visit: impl FnMut(AffiliateId, CampaignId, Timestamp, &Summary),
    ) {
        for ledger in self.ledgers(scope) {
            ledger.visit_counters(from, to, |at, campaign, counts| {
                if scope.admits(ledger.id(), campaign) {
                    visit(ledger.id(), campaign, at, counts);
                }
            });
        }
    }

    fn check_campaign(&self, id: CampaignId) -> Result<(), StoreError> {
        if self.campaigns.read().by_id.contains_key(&id.as_u64()) {
            return Ok(());
        }
        Err(StoreError::UnknownCampaign(id))
    }

    /// Takes one place of the capacity for good.
    fn reserve(&self) -> Result<(), StoreError> {
        let Some(capacity) = self.capacity else { return Ok(()) };
        let claim = |used| (used < capacity).then_some(used + 1);
        match self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, claim) {
            Ok(_) => Ok(()),
            Err(_) => Err(StoreError::Full { capacity }),
        }
    }

    /// Whether the visitor has clicked in the last 24 hours. If not, this click is his first.
    fn is_repeat(&self, visitor: VisitorHashes, at: Timestamp) -> bool {
        const DAY: i64 = 24 * 60 * 60 * 1000;
        let visitors = &mut *self.visitors.lock();
        let is_recent = |hash| visitors.get(hash).is_some_and(|first| at.as_millis() - first.as_millis() < DAY);
        let is_repeat = [visitor.today, visitor.yesterday].iter().any(is_recent);
        if !is_repeat {
            visitors.insert(visitor.today, at);
        }
        is_repeat
    }

    fn next_click(&self) -> Result<ClickRecordId, StoreError> {
        self.reserve()?;
        let number = self.last_click.fetch_add(1, Ordering::Relaxed) + 1;
        ClickRecordId::new(number).map_err(|error| StoreError::backend("insert click", error))
    }

    /// Where the conversion with this number is.
    fn locate(&self, id: ConversionId) -> Result<(Arc<Ledger>, Cursor), StoreError> {
        let (affiliate, place) = self.register.lock().locate(id).ok_or(StoreError::UnknownConversion(id))?;
        Ok((self.ledger(affiliate)?, place))
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn ping(&self) -> Result<(), StoreError> {
        Ok(())
    }

    async fn insert_affiliate(&self, new: NewAffiliate) -> Result<Recorded<Affiliate>, StoreError> {
        let directory = &mut *self.affiliates.write();
        if let Some(ledger) = new.id.and_then(|id| directory.by_id.get(&id.as_u64())) {
            return Ok(Recorded::Duplicate(ledger.affiliate()));
        }
        let id = match new.id {
            Some(id) => id,
            None => {
                AffiliateId::new(directory.next_id()).map_err(|error| StoreError::backend("insert affiliate", error))?
            }
        };
        self.reserve()?;
        let affiliate = new.into_affiliate(id);
        let ledger = Arc::new(Ledger::new(affiliate.clone()));
        directory.insert(Cursor::after(affiliate.created_at, id), ledger);
        Ok(Recorded::New(affiliate))
    }

    async fn affiliate(&self, id: AffiliateId) -> Result<Affiliate, StoreError> {
        Ok(self.ledger(id)?.affiliate())
    }

    async fn affiliates(&self, request: PageRequest) -> Result<Page<Affiliate>, StoreError> {
        Ok(self.affiliates.read().page(request, |ledger| ledger.affiliate()))
    }

    async fn update_affiliate(&self, affiliate: Affiliate) -> Result<Option<Affiliate>, StoreError> {
        Ok(self.ledger(affiliate.id)?.update_affiliate(affiliate))
    }

    async fn insert_campaign(&self, new: NewCampaign) -> Result<Recorded<Campaign>, StoreError> {
        let directory = &mut *self.campaigns.write();
        if let Some(campaign) = new.id.and_then(|id| directory.by_id.get(&id.as_u64())) {
            return Ok(Recorded::Duplicate(campaign.clone()));
        }
        let id = match new.id {
            Some(id) => id,
            None => {
                CampaignId::new(directory.next_id()).map_err(|error| StoreError::backend("insert campaign", error))?
            }
        };
        self.reserve()?;
        let campaign = new.into_campaign(id);
        directory.insert(Cursor::after(campaign.created_at, id), campaign.clone());
        Ok(Recorded::New(campaign))
    }

    async fn campaign(&self, id: CampaignId) -> Result<Campaign, StoreError> {
        self.campaigns.read().by_id.get(&id.as_u64()).cloned().ok_or(StoreError::UnknownCampaign(id))
    }

    async fn campaigns(&self, request: PageRequest) -> Result<Page<Campaign>, StoreError> {
        Ok(self.campaigns.read().page(request, Clone::clone))
    }

    async fn update_campaign(&self, wanted: Campaign) -> Result<Option<Campaign>, StoreError> {
        let directory = &mut *self.campaigns.write();
        let campaign = directory.by_id.get_mut(&wanted.id.as_u64()).ok_or(StoreError::UnknownCampaign(wanted.id))?;
        if campaign.version != wanted.version {
            return Ok(None);
        }
        let Campaign { created_at, version, .. } = *campaign;
        *campaign = Campaign { created_at, version: version + 1, ..wanted };
        Ok(Some(campaign.clone()))
    }

    async fn insert_click(&self, click: NewClick) -> Result<Recorded<Click>, StoreError> {
        let ledger = self.ledger(click.affiliate_id)?;
        self.check_campaign(click.campaign_id)?;
        let created_at = click.created_at;
        ledger.insert_click(click, || self.next_click(), |visitor| self.is_repeat(visitor, created_at))
    }

    async fn find_clicks(
        &self,
        affiliate: AffiliateId,
        campaign: Option<CampaignId>,
        click_id: &ClickId,
    ) -> Result<Vec<Click>, StoreError> {
        Ok(self.ledger(affiliate).map(|ledger| ledger.find_clicks(campaign, click_id)).unwrap_or_default())
    }

    async fn clicks(&self, filter: &ClickFilter, request: PageRequest) -> Result<Page<Click>, StoreError> {
        let ledgers = self.ledgers_to_list(filter.scope)?;
        let found = ledgers.iter().map(|ledger| ledger.clicks(filter, request));
        Ok(merged(found, request, |click| Cursor::after(click.created_at, click.id)))
    }

    async fn insert_conversion(&self, conversion: NewConversion) -> Result<Recorded<Conversion>, StoreError> {
        let ledger = self.ledger(conversion.click.affiliate_id)?;
        self.check_campaign(conversion.click.campaign_id)?;
        ledger.insert_conversion(conversion, |new| self.register.lock().enter(new, || self.reserve()))
    }

    async fn find_conversion(
        &self,
        click: &Click,
        alternatives: &[CampaignId],
        event: &EventName,
        transaction_id: Option<&TransactionId>,
    ) -> Result<Option<Conversion>, StoreError> {
        let Ok(ledger) = self.ledger(click.affiliate_id) else { return Ok(None) };
        Ok(ledger.find_conversion(click, alternatives, event, transaction_id))
    }

    async fn first_conversion(&self, click: &Click, event: &EventName) -> Result<Option<Conversion>, StoreError> {
        let Ok(ledger) = self.ledger(click.affiliate_id) else { return Ok(None) };
        Ok(ledger.first_conversion(click, event))
    }

    async fn daily_conversions(&self, campaign: CampaignId, day: Timestamp) -> Result<u64, StoreError> {
        Ok(self.register.lock().count(campaign, day))
    }

    async fn conversion(&self, id: ConversionId) -> Result<Conversion, StoreError> {
        let (ledger, place) = self.locate(id)?;
        ledger.conversion(place).ok_or(StoreError::UnknownConversion(id))
    }

    async fn change_status(&self, id: ConversionId, change: StatusChange) -> Result<Option<Conversion>, StoreError> {
        let (ledger, place) = self.locate(id)?;
        Ok(ledger.change_status(place, change))
    }

    async fn status_changes(&self, id: ConversionId) -> Result<Vec<StatusChange>, StoreError> {
        let (ledger, _) = self.locate(id)?;
        Ok(ledger.status_changes(id))
    }

    async fn conversions(
        &self,
        filter: &ConversionFilter,
        request: PageRequest,
    ) -> Result<Page<Conversion>, StoreError> {
        let ledgers = self.ledgers_to_list(filter.scope)?;
        let found = ledgers.iter().map(|ledger| ledger.conversions(filter, request));
        Ok(merged(found, request, |conversion| Cursor::after(conversion.created_at, conversion.id)))
    }

    async fn summary(&self, affiliate: AffiliateId) -> Result<Summary, StoreError> {
        Ok(self.ledger(affiliate)?.summary())
    }

    async fn totals(&self, scope: Scope, bounds: &[Timestamp]) -> Result<Vec<Summary>, StoreError> {
        let mut totals = vec![Summary::default(); bounds.len().saturating_sub(1)];
        if let [from, .., to] = *bounds {
            self.visit_counters(scope, from, to, |_, _, at, counts| {
                // The last bound that is not later: of several that are the same, what was counted belongs to the last.
                let bucket = bounds.partition_point(|bound| *bound <= at) - 1;
                totals[bucket].add(counts);
            });
        }
        Ok(totals)
    }

    async fn totals_by_affiliate(
        &self,
        campaign: Option<CampaignId>,
        from: Timestamp,
        to: Timestamp,
        max: usize,
    ) -> Result<Vec<(AffiliateId, Summary)>, StoreError> {
        let mut groups = Groups::up_to(max);
        let scope = Scope { affiliate_id: None, campaign_id: campaign };
        self.visit_counters(scope, from, to, |affiliate, _, _, counts| {
            groups.count(&affiliate, || affiliate, |group| group.add(counts));
        });
        groups.finish()
    }

    async fn totals_by_campaign(
        &self,
        affiliate: Option<AffiliateId>,
        from: Timestamp,
        to: Timestamp,
        max: usize,
    ) -> Result<Vec<(CampaignId, Summary)>, StoreError> {
        let mut groups = Groups::up_to(max);
        let scope = Scope { affiliate_id: affiliate, campaign_id: None };
        self.visit_counters(scope, from, to, |_, campaign, _, counts| {
            groups.count(&campaign, || campaign, |group| group.add(counts));
        });
        groups.finish()
    }

    async fn breakdown(&self, breakdown: &Breakdown) -> Result<Vec<(Option<String>, Summary)>, StoreError> {
        let end = Instant::now() + breakdown.time_limit;
        // What has no mark is counted under an empty one, which nothing has.
        let mut groups: Groups<String> = Groups::up_to(breakdown.max_groups);
        let start = Cursor::after(breakdown.to, 0_u64);
        for ledger in self.ledgers(breakdown.scope) {
            let mut place = (breakdown.by != Attribute::Event).then_some(start);
            while let Some(before) = place {
                place = ledger.break_down_clicks(breakdown, before, |mark, details| {
                    let mark = mark.unwrap_or_default();
                    groups.count(mark, || mark.to_owned(), |group| group.count_click(details));
                });
                groups.give_way(end).await?;
            }
            let mut place = Some(start);
            while let Some(before) = place {
                place = ledger.break_down_conversions(breakdown, before, |mark, conversion| {
                    let mark = mark.unwrap_or_default();
                    groups.count(mark, || mark.to_owned(), |group| group.count_conversion(conversion));
                });
                groups.give_way(end).await?;
            }
        }
        let groups = groups.finish()?.into_iter();
        Ok(groups.map(|(mark, counts)| (Some(mark).filter(|mark| !mark.is_empty()), counts)).collect())
    }

    async fn forget_visitors(&self, before: Timestamp) -> Result<(), StoreError> {
        let visitors = &mut *self.visitors.lock();
        visitors.retain(|_, first| *first >= before);
        visitors.shrink_to_fit();
        Ok(())
    }

    async fn purge_clicks(&self, affiliate: AffiliateId, request: PurgeRequest) -> Result<Purged, StoreError> {
        let purged = self.ledger(affiliate)?.purge_clicks(request);
        if self.capacity.is_some() {
            self.used.fetch_sub(purged.deleted as usize, Ordering::Relaxed);
        }
        Ok(purged)
    }

    async fn erase_clicks(&self, click_id: &ClickId, replacement: &ClickId) -> Result<u64, StoreError> {
        let ledgers: Vec<Arc<Ledger>> = self.affiliates.read().by_id.values().cloned().collect();
        let times: Vec<Timestamp> =
            ledgers.iter().flat_map(|ledger| ledger.erase_clicks(click_id, replacement)).collect();
        if !times.is_empty() {
            // Whoever came first at the very time of the click is, most probably, its visitor. Anybody else loses little.
            self.visitors.lock().retain(|_, first| !times.contains(first));
        }
        self.log.write().erase(click_id, replacement);
        Ok(times.len() as u64)
    }

    async fn log_postbacks(&self, postbacks: Vec<Postback>) -> Result<(), StoreError> {
        self.log.write().add(postbacks);
        Ok(())
    }

    async fn postbacks(&self, filter: &PostbackFilter, request: PageRequest) -> Result<Page<Postback>, StoreError> {
        Ok(self.log.read().page(filter, request))
    }

    async fn purge_postbacks(&self, before: Timestamp, keep: u64) -> Result<(), StoreError> {
        self.log.write().purge(before, keep);
        Ok(())
    }
}

/// A page of what is found of all affiliates, of each as much as the page may need. No more is held than a few pages.
fn merged<T>(parts: impl Iterator<Item = Vec<T>>, request: PageRequest, place: impl Fn(&T) -> Cursor) -> Page<T> {
    let most = request.limit.as_usize() + 1;
    let mut newest: Vec<T> = Vec::new();
    let cut = |newest: &mut Vec<T>| {
        newest.sort_unstable_by_key(|record| Reverse(place(record)));
        newest.truncate(most);
    };
    for part in parts {
        newest.extend(part);
        if newest.len() > 4 * most {
            cut(&mut newest);
        }
    }
    cut(&mut newest);
    Page::from_one_more(newest, request.limit, place)
}

/// The affiliates, or the campaigns: few, seldom changed, looked up by every call.
#[derive(Debug)]
struct Directory<T> {
    by_id: BTreeMap<u64, T>,
    by_time: BTreeMap<Cursor, u64>,
}

impl<T> Default for Directory<T> {
    fn default() -> Self {
        Self { by_id: BTreeMap::new(), by_time: BTreeMap::new() }
    }
}

impl<T> Directory<T> {
    fn next_id(&self) -> u64 {
        self.by_id.last_key_value().map_or(1, |(last, _)| last + 1)
    }

    fn insert(&mut self, place: Cursor, record: T) {
        self.by_id.insert(place.id(), record);
        self.by_time.insert(place, place.id());
    }

    fn page<R>(&self, request: PageRequest, to_item: impl Fn(&T) -> R) -> Page<R> {
        let before = request.after.map_or(Bound::Unbounded, Bound::Excluded);
        let mut places = self.by_time.range((Bound::Unbounded, before)).rev().map(|(place, _)| *place).peekable();
        let (mut items, mut last) = (Vec::new(), None);
        while let Some(place) = places.next_if(|_| items.len() < request.limit.as_usize()) {
            items.push(to_item(&self.by_id[&place.id()]));
            last = Some(place);
        }
        Page { items, next: places.peek().and(last) }
    }
}
