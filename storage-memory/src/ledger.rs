//! The records of one affiliate, under one lock.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::fmt;

use parking_lot::{Mutex, RwLock};
use tracking_core::{
    Affiliate, AffiliateId, Attribute, Breakdown, CampaignId, Click, ClickDetails, ClickFilter, ClickId, ClickRecordId,
    Conversion, ConversionFilter, ConversionId, Cursor, EventName, NewClick, NewConversion, PageRequest, PurgeRequest,
    Purged, Recorded, StatusChange, StoreError, SubIds, Summary, Timestamp, TransactionId, VisitorHashes,
};

use crate::counters::Counters;
use crate::table::{Row, Table};
use crate::user_agents::UserAgents;

/// An affiliate with his records. Calls for different affiliates never meet here.
pub(crate) struct Ledger {
    id: AffiliateId,
    affiliate: RwLock<Affiliate>,
    entries: Mutex<Entries>,
}

#[derive(Default)]
struct Entries {
    clicks: Table<ClickRow>,
    conversions: Table<Conversion>,
    /// Where the earliest conversion of a click and an event is.
    firsts: HashMap<(CampaignId, ClickId, EventName), Cursor>,
    /// Of conversions whose status has changed.
    changes: HashMap<ConversionId, Vec<StatusChange>>,
    counters: Counters,
    user_agents: UserAgents,
}

/// A click without the affiliate, which is known from the ledger: 48 bytes, the text of the click id, and the details if
/// there are any.
struct ClickRow {
    id: ClickRecordId,
    created_at: Timestamp,
    click_id: ClickId,
    campaign_id: CampaignId,
    has_conversion: bool,
    details: Option<Box<ClickDetails>>,
}

fn boxed(details: ClickDetails) -> Option<Box<ClickDetails>> {
    (details != ClickDetails::default()).then(|| Box::new(details))
}

impl ClickRow {
    fn to_click(&self, affiliate_id: AffiliateId) -> Click {
        Click {
            id: self.id,
            affiliate_id,
            campaign_id: self.campaign_id,
            click_id: self.click_id.clone(),
            created_at: self.created_at,
            details: self.details.as_deref().cloned().unwrap_or_default(),
        }
    }
}

impl Ledger {
    pub(crate) fn new(affiliate: Affiliate) -> Self {
        Self { id: affiliate.id, affiliate: RwLock::new(affiliate), entries: Mutex::default() }
    }

    pub(crate) fn id(&self) -> AffiliateId {
        self.id
    }

    pub(crate) fn affiliate(&self) -> Affiliate {
        self.affiliate.read().clone()
    }

    pub(crate) fn update_affiliate(&self, wanted: Affiliate) -> Option<Affiliate> {
        let affiliate = &mut *self.affiliate.write();
        if affiliate.version != wanted.version {
            return None;
        }
        let Affiliate { id, created_at, version, .. } = *affiliate;
        *affiliate = Affiliate { id, created_at, version: version + 1, ..wanted };
        Some(affiliate.clone())
    }

    /// `number` is called only if the click is new, and may refuse it. Then `is_repeat` notes its visitor, and tells
    /// whether he has been here.
    pub(crate) fn insert_click(
        &self,
        new: NewClick,
        number: impl FnOnce() -> Result<ClickRecordId, StoreError>,
        is_repeat: impl FnOnce(VisitorHashes) -> bool,
    ) -> Result<Recorded<Click>, StoreError> {
        let entries = &mut *self.entries.lock();
        if let Some(row) = entries.clicks.find_all(&new.click_id).find(|row| row.campaign_id == new.campaign_id) {
            return Ok(Recorded::Duplicate(row.to_click(self.id)));
        }
        let NewClick { campaign_id, click_id, created_at, mut details, visitor, .. } = new;
        let id = number()?;
        details.is_repeat = visitor.is_some_and(is_repeat);
        entries.counters.count_click(campaign_id, created_at, &details);
        details.user_agent = details.user_agent.map(|text| entries.user_agents.share(text));
        let row = ClickRow { id, created_at, click_id, campaign_id, has_conversion: false, details: boxed(details) };
        let click = row.to_click(self.id);
        entries.clicks.push(row);
        Ok(Recorded::New(click))
    }

    pub(crate) fn find_clicks(&self, campaign: Option<CampaignId>, click_id: &ClickId) -> Vec<Click> {
        let entries = self.entries.lock();
        let is_wanted = |row: &&ClickRow| campaign.is_none_or(|campaign| row.campaign_id == campaign);
        let rows = entries.clicks.find_all(click_id).filter(is_wanted);
        let mut clicks: Vec<Click> = rows.map(|row| row.to_click(self.id)).collect();
        clicks.sort_unstable_by_key(|click| Reverse((click.created_at, click.id)));
        clicks
    }

    /// `register` is called only if the conversion is new, and may refuse it.
    pub(crate) fn insert_conversion(
        &self,
        new: NewConversion,
        register: impl FnOnce(&NewConversion) -> Result<ConversionId, StoreError>,
    ) -> Result<Recorded<Conversion>, StoreError> {
        let entries = &mut *self.entries.lock();
        let click = &new.click;
        let is_click = |row: &ClickRow| row.id == click.id && row.campaign_id == click.campaign_id;
        let Some(index) =
            entries.clicks.find_indexes(&click.click_id).find(|index| is_click(entries.clicks.row(*index)))
        else {
            return Err(StoreError::UnknownClick(new.click.click_id));
        };
        let transaction_id = new.transaction_id.as_ref();
        if let Some(first) = entries.find_conversion(click, &new.alternatives, &new.event, transaction_id) {
            return Ok(Recorded::Duplicate(first));
        }
        if new.is_only_one
            && let Some(first) = entries.first_conversion(click, &new.event)
        {
            return Err(StoreError::AlreadyConverted(Box::new(first.clone())));
        }
        let number = register(&new)?;
        if let Some(row) = entries.clicks.row_mut(index) {
            row.has_conversion = true;
        }
        let conversion = new.into_conversion(number);
        entries.counters.count_conversion(&conversion);
        let place = conversion.place();
        let first = entries.firsts.entry(first_key(&conversion)).or_insert(place);
        *first = place.min(*first);
        entries.conversions.push(conversion.clone());
        Ok(Recorded::New(conversion))
    }

    pub(crate) fn find_conversion(
        &self,
        click: &Click,
        alternatives: &[CampaignId],
        event: &EventName,
        transaction_id: Option<&TransactionId>,
    ) -> Option<Conversion> {
        self.entries.lock().find_conversion(click, alternatives, event, transaction_id)
    }

    pub(crate) fn first_conversion(&self, click: &Click, event: &EventName) -> Option<Conversion> {
        self.entries.lock().first_conversion(click, event).cloned()
    }

    pub(crate) fn conversion(&self, place: Cursor) -> Option<Conversion> {
        self.entries.lock().conversions.find_at(place).cloned()
    }

    pub(crate) fn change_status(&self, place: Cursor, change: StatusChange) -> Option<Conversion> {
        let Entries { conversions, counters, changes, .. } = &mut *self.entries.lock();
        let conversion = conversions.index_at(place).and_then(|index| conversions.row_mut(index))?;
        if conversion.status != change.from {
            return None;
        }
        counters.discount_conversion(conversion);
        conversion.status = change.to;
        counters.count_conversion(conversion);
        changes.entry(conversion.id).or_default().push(change);
        Some(conversion.clone())
    }

    pub(crate) fn status_changes(&self, id: ConversionId) -> Vec<StatusChange> {
        self.entries.lock().changes.get(&id).cloned().unwrap_or_default()
    }

    /// As many of his clicks as a page of any list may need, newest first, and one more.
    pub(crate) fn clicks(&self, filter: &ClickFilter, request: PageRequest) -> Vec<Click> {
        let entries = self.entries.lock();
        let rows = entries.clicks.newest_first(until(request.after, filter.to), filter.from);
        let is_wanted = |row: &&ClickRow| filter.scope.admits(self.id, row.campaign_id);
        rows.filter(is_wanted).take(request.limit.as_usize() + 1).map(|row| row.to_click(self.id)).collect()
    }

    /// The same of his conversions.
    pub(crate) fn conversions(&self, filter: &ConversionFilter, request: PageRequest) -> Vec<Conversion> {
        let entries = self.entries.lock();
        let rows = entries.conversions.newest_first(until(request.after, filter.to), filter.from);
        rows.filter(|row| filter.admits(row)).take(request.limit.as_usize() + 1).cloned().collect()
    }

    pub(crate) fn summary(&self) -> Summary {
        self.entries.lock().counters.all().clone()
    }

    pub(crate) fn visit_counters(
        &self,
        from: Timestamp,
        to: Timestamp,
        visit: impl FnMut(Timestamp, CampaignId, &Summary),
    ) {
        self.entries.lock().counters.visit(from, to, visit);
    }

    /// Counts some more clicks for a breakdown, those before this place; returns the place of the last one, or `None` if there
    /// are no more. Inserts wait for a few thousand rows at the most.
    pub(crate) fn break_down_clicks(
        &self,
        breakdown: &Breakdown,
        before: Cursor,
        mut count: impl FnMut(Option<&str>, &ClickDetails),
    ) -> Option<Cursor> {
        let none = ClickDetails::default();
        let entries = self.entries.lock();
        let rows = entries.clicks.newest_first(Some(before), Some(breakdown.from)).take(AT_ONCE);
        rows.fold(None, |_, row| {
            if breakdown.scope.admits(self.id, row.campaign_id) {
                let details = row.details.as_deref().unwrap_or(&none);
                count(breakdown.by.of_click(details), details);
            }
            Some(row.place())
        })
    }

    /// The same of conversions.
    pub(crate) fn break_down_conversions(
        &self,
        breakdown: &Breakdown,
        before: Cursor,
        mut count: impl FnMut(Option<&str>, &Conversion),
    ) -> Option<Cursor> {
        let none = ClickDetails::default();
        let entries = self.entries.lock();
        let rows = entries.conversions.newest_first(Some(before), Some(breakdown.from)).take(AT_ONCE);
        rows.fold(None, |_, row| {
            if breakdown.scope.admits(self.id, row.campaign_id) {
                let click = match breakdown.by {
                    Attribute::Event => None,
                    _ => entries.clicks.find_all(&row.click_id).find(|click| click.campaign_id == row.campaign_id),
                };
                let details = click.and_then(|click| click.details.as_deref()).unwrap_or(&none);
                count(breakdown.by.of_conversion(row, details), row);
            }
            Some(row.place())
        })
    }

    pub(crate) fn purge_clicks(&self, request: PurgeRequest) -> Purged {
        let Entries { clicks, user_agents, .. } = &mut *self.entries.lock();
        // Those of deleted clicks would be kept for nothing; those of the next clicks are shared anew.
        *user_agents = UserAgents::default();
        let start = request.after.map_or(0, |after| clicks.count_through(after));
        let end = clicks.count_before(Cursor::after(request.before, 0_u64));
        let stop = end.min(start + request.limit.as_usize());
        let before = clicks.len();
        let last = clicks.retain(start..stop.max(start), |row| {
            if row.has_conversion {
                row.details = row.details.take().and_then(|details| boxed(details.anonymous()));
            }
            row.has_conversion
        });
        Purged { deleted: (before - clicks.len()) as u64, next: last.filter(|_| stop < end) }
    }

    /// Returns when the erased clicks were made.
    pub(crate) fn erase_clicks(&self, click_id: &ClickId, replacement: &ClickId) -> Vec<Timestamp> {
        let Entries { clicks, conversions, firsts, .. } = &mut *self.entries.lock();
        let found: Vec<usize> = clicks.find_indexes(click_id).collect();
        let times = found.iter().map(|index| clicks.row(*index).created_at).collect();
        clicks.change(&found, |row| {
            row.click_id = replacement.clone();
            row.details = row.details.take().and_then(|details| boxed(details.anonymous()));
        });
        if !found.is_empty() {
            let theirs = conversions.indexes_where(|row| row.click_id == *click_id);
            conversions.change(&theirs, |row| {
                let first = firsts.remove(&first_key(row));
                row.click_id = replacement.clone();
                row.sub_ids = SubIds::default();
                firsts.extend(first.map(|first| (first_key(row), first)));
            });
        }
        times
    }
}

/// What there is, and not all of it: there may be millions of records.
impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entries = self.entries.lock();
        let (clicks, conversions) = (entries.counters.all().clicks, entries.conversions.len());
        f.debug_struct("Ledger").field("clicks", &clicks).field("conversions", &conversions).finish()
    }
}

impl Entries {
    fn find_conversion(
        &self,
        click: &Click,
        alternatives: &[CampaignId],
        event: &EventName,
        transaction_id: Option<&TransactionId>,
    ) -> Option<Conversion> {
        let same = self
            .conversions
            .find_all((&click.click_id, event, transaction_id))
            .filter(|row| row.campaign_id == click.campaign_id || alternatives.contains(&row.campaign_id));
        same.min_by_key(|row| row.place()).cloned()
    }

    fn first_conversion(&self, click: &Click, event: &EventName) -> Option<&Conversion> {
        let place = self.firsts.get(&(click.campaign_id, click.click_id.clone(), event.clone()))?;
        self.conversions.find_at(*place)
    }
}

/// How many rows are looked at while others wait.
const AT_ONCE: usize = 4096;

/// The place that rows stand before which come after this one in a list, and were created before this time.
fn until(after: Option<Cursor>, to: Option<Timestamp>) -> Option<Cursor> {
    // No number is 0, so that this place is before all of its time.
    after.into_iter().chain(to.map(|to| Cursor::after(to, 0_u64))).min()
}

fn first_key(row: &Conversion) -> (CampaignId, ClickId, EventName) {
    (row.campaign_id, row.click_id.clone(), row.event.clone())
}

impl Row for ClickRow {
    type Key<'a> = &'a ClickId;

    fn key(&self) -> &ClickId {
        &self.click_id
    }

    fn place(&self) -> Cursor {
        Cursor::after(self.created_at, self.id)
    }
}

/// All of a conversion's identity but the campaign, which may be one of several.
type ConversionKey<'a> = (&'a ClickId, &'a EventName, Option<&'a TransactionId>);

impl Row for Conversion {
    type Key<'a> = ConversionKey<'a>;

    fn key(&self) -> ConversionKey<'_> {
        (&self.click_id, &self.event, self.transaction_id.as_ref())
    }

    fn place(&self) -> Cursor {
        Cursor::after(self.created_at, self.id)
    }
}
