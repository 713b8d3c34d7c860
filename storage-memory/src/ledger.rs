//! The records of one affiliate, under one lock.

use std::cmp::Reverse;
use std::fmt;
use std::hash::{BuildHasher, Hash};

use hashbrown::{DefaultHashBuilder, HashTable};
use parking_lot::Mutex;
use tracking_core::{
    Affiliate, AffiliateId, CampaignId, Click, ClickId, ClickRecordId, Conversion, ConversionId, Cursor, EventName,
    NewClick, NewConversion, Page, PageRequest, Recorded, StoreError, Summary, Timestamp, Totals, TransactionId,
};

/// An affiliate with his records. Calls for different affiliates never meet here.
pub(crate) struct Ledger {
    pub(crate) affiliate: Affiliate,
    entries: Mutex<Entries>,
}

#[derive(Default)]
struct Entries {
    clicks: Table<ClickRow>,
    conversions: Table<Conversion>,
    revenue: Totals,
}

/// A click without the affiliate, which is known from the ledger: 40 bytes and the text of the click id.
struct ClickRow {
    id: ClickRecordId,
    created_at: Timestamp,
    click_id: ClickId,
    campaign_id: CampaignId,
}

impl ClickRow {
    fn to_click(&self, affiliate_id: AffiliateId) -> Click {
        Click {
            id: self.id,
            affiliate_id,
            campaign_id: self.campaign_id,
            click_id: self.click_id.clone(),
            created_at: self.created_at,
        }
    }
}

impl Ledger {
    pub(crate) fn new(affiliate: Affiliate) -> Self {
        Self { affiliate, entries: Mutex::default() }
    }

    /// `number` is called only if the click is new, and may refuse it.
    pub(crate) fn insert_click(
        &self,
        new: NewClick,
        number: impl FnOnce() -> Result<ClickRecordId, StoreError>,
    ) -> Result<Recorded<Click>, StoreError> {
        let entries = &mut *self.entries.lock();
        if let Some(row) = entries.clicks.find_all(&new.click_id).find(|row| row.campaign_id == new.campaign_id) {
            return Ok(Recorded::Duplicate(row.to_click(self.affiliate.id)));
        }
        let NewClick { campaign_id, click_id, created_at, .. } = new;
        let row = ClickRow { id: number()?, created_at, click_id, campaign_id };
        let click = row.to_click(self.affiliate.id);
        entries.clicks.push(row);
        Ok(Recorded::New(click))
    }

    pub(crate) fn find_clicks(&self, campaign: Option<CampaignId>, click_id: &ClickId) -> Vec<Click> {
        let entries = self.entries.lock();
        let is_wanted = |row: &&ClickRow| campaign.is_none_or(|campaign| row.campaign_id == campaign);
        let rows = entries.clicks.find_all(click_id).filter(is_wanted);
        let mut clicks: Vec<Click> = rows.map(|row| row.to_click(self.affiliate.id)).collect();
        clicks.sort_unstable_by_key(|click| Reverse((click.created_at, click.id)));
        clicks
    }

    /// `number` is called only if the conversion is new, and may refuse it.
    pub(crate) fn insert_conversion(
        &self,
        new: NewConversion,
        number: impl FnOnce() -> Result<ConversionId, StoreError>,
    ) -> Result<Recorded<Conversion>, StoreError> {
        let entries = &mut *self.entries.lock();
        let click = &new.click;
        let is_click = |row: &ClickRow| row.id == click.id && row.campaign_id == click.campaign_id;
        if !entries.clicks.find_all(&click.click_id).any(is_click) {
            return Err(StoreError::UnknownClick(new.click.click_id));
        }
        let key = (&click.click_id, &new.event, new.transaction_id.as_ref());
        let same = entries
            .conversions
            .find_all(key)
            .filter(|row| row.campaign_id == click.campaign_id || new.alternatives.contains(&row.campaign_id));
        if let Some(first) = same.min_by_key(|row| row.place()) {
            return Ok(Recorded::Duplicate(first.clone()));
        }
        let conversion = new.into_conversion(number()?);
        entries.revenue.add(conversion.amount, conversion.currency);
        entries.conversions.push(conversion.clone());
        Ok(Recorded::New(conversion))
    }

    pub(crate) fn clicks(&self, request: PageRequest) -> Page<Click> {
        self.entries.lock().clicks.page(request, |row| row.to_click(self.affiliate.id))
    }

    pub(crate) fn conversions(&self, request: PageRequest) -> Page<Conversion> {
        self.entries.lock().conversions.page(request, Clone::clone)
    }

    pub(crate) fn summary(&self) -> Summary {
        let entries = self.entries.lock();
        Summary {
            clicks: entries.clicks.rows.len() as u64,
            conversions: entries.conversions.rows.len() as u64,
            revenue: entries.revenue.clone(),
        }
    }
}

/// What there is, and not all of it: there may be millions of records.
impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Summary { clicks, conversions, .. } = self.summary();
        f.debug_struct("Ledger").field("clicks", &clicks).field("conversions", &conversions).finish()
    }
}

/// What can stand in a [`Table`].
trait Row {
    /// What rows are looked up by.
    type Key<'a>: Hash + Eq
    where
        Self: 'a;

    fn key(&self) -> Self::Key<'_>;

    fn place(&self) -> Cursor;
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

/// Rows in the order of insertion, with two indexes on them: by key, and by time.
struct Table<R> {
    rows: Vec<R>,
    hasher: DefaultHashBuilder,
    /// In parts, because one that grows hashes all of its rows again while everybody waits.
    by_key: [HashTable<usize>; PARTS],
    /// Sorted by place, oldest first. Rows nearly always come in that order, so that this is an append.
    by_time: Vec<usize>,
}

const PARTS: usize = 64;

/// By bits that a [`HashTable`] makes little use of: neither the lowest, nor the seven highest.
fn part(hash: u64) -> usize {
    (hash >> 48) as usize % PARTS
}

impl<R> Default for Table<R> {
    fn default() -> Self {
        let by_key = [const { HashTable::new() }; PARTS];
        Self { rows: Vec::new(), hasher: DefaultHashBuilder::default(), by_key, by_time: Vec::new() }
    }
}

impl<R: Row> Table<R> {
    fn push(&mut self, row: R) {
        let (index, place) = (self.rows.len(), row.place());
        let hash = self.hasher.hash_one(row.key());
        self.rows.push(row);
        let Self { rows, hasher, by_key, by_time } = self;
        by_key[part(hash)].insert_unique(hash, index, |&index| hasher.hash_one(rows[index].key()));
        let at = match by_time.last() {
            Some(&last) if rows[last].place() > place => by_time.partition_point(|&other| rows[other].place() < place),
            _ => by_time.len(),
        };
        by_time.insert(at, index);
    }

    fn find_all<'a>(&'a self, key: R::Key<'a>) -> impl Iterator<Item = &'a R> {
        let hash = self.hasher.hash_one(&key);
        let same_hash = self.by_key[part(hash)].iter_hash(hash).map(|&index| &self.rows[index]);
        same_hash.filter(move |row| row.key() == key)
    }

    fn page<T>(&self, request: PageRequest, to_item: impl Fn(&R) -> T) -> Page<T> {
        let end = match request.after {
            Some(after) => self.by_time.partition_point(|&index| self.rows[index].place() < after),
            None => self.by_time.len(),
        };
        let start = end.saturating_sub(request.limit.as_usize());
        let items = self.by_time[start..end].iter().rev().map(|&index| to_item(&self.rows[index])).collect();
        let next = (start > 0).then(|| self.rows[self.by_time[start]].place());
        Page { items, next }
    }
}
