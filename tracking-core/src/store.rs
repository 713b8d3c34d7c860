//! The contract between the [`Tracker`](crate::Tracker) and whatever keeps its records.

use std::error::Error;
use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use thiserror::Error;

use crate::{
    Affiliate, AffiliateId, Breakdown, Campaign, CampaignId, Click, ClickFilter, ClickId, Conversion, ConversionFilter,
    ConversionId, EventName, NewAffiliate, NewCampaign, NewClick, NewConversion, Page, PageRequest, Postback,
    PostbackFilter, PurgeRequest, Purged, Ranked, Ranking, Recorded, Scope, StatusChange, Summary, Timestamp,
    TransactionId,
};

/// Keeps affiliates, campaigns, clicks and conversions.
///
/// # Contract
///
/// - **Durability.** When an insert returns `Ok`, the record is as durable as the store ever makes it.
/// - **Atomicity.** Each call happens as a whole or not at all, also when it fails, and also when its future is dropped
///   half-way: then it may have happened or not. Calls run concurrently; each sees every call that returned before it
///   began.
/// - **Updates are conditional.** An affiliate or a campaign is replaced only if it has the version that the caller has
///   seen, a status only if it is the one that he has seen. Of any number of parallel updates from one version, or from one
///   status, exactly one happens.
/// - **Inserts never overwrite.** A record with the identity of one that is there returns
///   [`Recorded::Duplicate`] with the first one, unchanged. Of any number of parallel inserts with one identity,
///   exactly one returns [`Recorded::New`].
/// - **Texts compare byte by byte.** `abc` and `ABC` are two click ids.
/// - **Values come back as they went in**: times to the millisecond, amounts to the last digit.
/// - **Missing references.** A call that names an affiliate or a campaign that is not there fails with
///   [`StoreError::UnknownAffiliate`] or [`StoreError::UnknownCampaign`], the affiliate first where both are missing,
///   and changes nothing. [`find_clicks`](Self::find_clicks) and what counts in a [`Scope`] are the exceptions: they find nothing.
/// - **Lists** are sorted by time of creation and then by number, both descending. A page holds up to
///   [`limit`](PageRequest::limit) records after its [cursor](crate::Cursor), and tells where the next one starts
///   unless the list ends. Records added or read meanwhile never make a later page repeat or miss another record.
/// - **Counters.** [`summary`](Self::summary), [`totals`](Self::totals), [`totals_by_affiliate`](Self::totals_by_affiliate) and
///   [`totals_by_campaign`](Self::totals_by_campaign) always equal a recount of the records, clicks included that have been
///   [purged](Self::purge_clicks), and their cost does not grow with the number of records. A record counts at the time of its
///   creation, a conversion under the status that it has now.
/// - **Repeats.** A click with a [visitor](NewClick::visitor) is a [repeat](crate::ClickDetails::is_repeat) if one that
///   was none has the same visitor, under either key, and was created less than 24 hours before it, or after it. Of
///   parallel clicks of one visitor exactly one is none.
///
/// The conformance suite (the module `conformance`, behind the feature of that name) checks all of this; a store is
/// proven by running it.
///
/// No method has a default, so that no store, and no wrapper of one, can forget any.
///
/// # A complete store
///
/// This one is correct and slow. Each call happens under one lock; that makes the atomicity easy to see.
///
/// ```
/// use std::collections::BTreeMap;
/// use std::sync::Mutex;
/// use std::time::Instant;
///
/// use async_trait::async_trait;
/// use tracking_core::*;
///
/// #[derive(Debug, Default)]
/// struct VecStore(Mutex<Tables>);
///
/// #[derive(Debug, Default)]
/// struct Tables {
///     affiliates: Vec<Affiliate>,
///     campaigns: Vec<Campaign>,
///     clicks: Vec<Click>,
///     conversions: Vec<Conversion>,
///     changes: Vec<(ConversionId, StatusChange)>,
///     postbacks: Vec<Postback>,
///     /// First clicks, with when they were.
///     visitors: Vec<(VisitorHash, Timestamp)>,
///     /// By whose it is, of what, and when it was created: of all records that ever were.
///     counts: BTreeMap<(AffiliateId, CampaignId, Timestamp), Summary>,
///     last_click: u64,
/// }
///
/// impl Tables {
///     fn affiliate(&self, id: AffiliateId) -> Result<&Affiliate, StoreError> {
///         self.affiliates.iter().find(|affiliate| affiliate.id == id).ok_or(StoreError::UnknownAffiliate(id))
///     }
///
///     fn campaign(&self, id: CampaignId) -> Result<&Campaign, StoreError> {
///         self.campaigns.iter().find(|campaign| campaign.id == id).ok_or(StoreError::UnknownCampaign(id))
///     }
///
///     fn check(&self, scope: Scope) -> Result<(), StoreError> {
///         scope.affiliate_id.map_or(Ok(()), |id| self.affiliate(id).map(drop))?;
///         scope.campaign_id.map_or(Ok(()), |id| self.campaign(id).map(drop))
///     }
///
///     fn conversion(&self, id: ConversionId) -> Result<&Conversion, StoreError> {
///         self.conversions.iter().find(|conversion| conversion.id == id).ok_or(StoreError::UnknownConversion(id))
///     }
///
///     /// The earliest conversion of an event of one of these clicks, which are told apart by their campaigns.
///     fn first(
///         &self,
///         click: &Click,
///         alternatives: &[CampaignId],
///         event: &EventName,
///         is_wanted: impl Fn(&Conversion) -> bool,
///     ) -> Option<&Conversion> {
///         let is_theirs = |row: &&Conversion| {
///             (row.affiliate_id, &row.click_id, &row.event) == (click.affiliate_id, &click.click_id, event)
///                 && (row.campaign_id == click.campaign_id || alternatives.contains(&row.campaign_id))
///         };
///         let rows = self.conversions.iter().filter(is_theirs).filter(|row| is_wanted(row));
///         rows.min_by_key(|row| (row.created_at, row.id))
///     }
///
///     fn counts(&mut self, affiliate: AffiliateId, campaign: CampaignId, at: Timestamp) -> &mut Summary {
///         self.counts.entry((affiliate, campaign, at)).or_default()
///     }
///
///     fn counted(
///         &self,
///         scope: Scope,
///         from: Timestamp,
///         to: Timestamp,
///     ) -> impl Iterator<Item = (&(AffiliateId, CampaignId, Timestamp), &Summary)> {
///         self.counts.iter().filter(move |((affiliate, campaign, at), _)| {
///             scope.admits(*affiliate, *campaign) && (from..to).contains(at)
///         })
///     }
///
///     fn count_of_day(&self, campaign: CampaignId, at: Timestamp) -> u64 {
///         let day = |at: Timestamp| at.as_millis() / DAY;
///         let is_of_day = |row: &&Conversion| row.campaign_id == campaign && day(row.created_at) == day(at);
///         self.conversions.iter().filter(is_of_day).count() as u64
///     }
/// }
///
/// const DAY: i64 = 24 * 60 * 60 * 1000;
///
/// fn sum<'a>(all: impl Iterator<Item = &'a Summary>) -> Summary {
///     all.fold(Summary::default(), |mut sum, counts| {
///         sum.add(counts);
///         sum
///     })
/// }
///
/// /// What was counted of each thing, if anything is left of it.
/// fn grouped<'a, K: Ord>(
///     counts: impl Iterator<Item = (K, &'a Summary)>,
///     max: usize,
/// ) -> Result<Vec<(K, Summary)>, StoreError> {
///     let mut groups: BTreeMap<K, Summary> = BTreeMap::new();
///     counts.for_each(|(key, counts)| groups.entry(key).or_default().add(counts));
///     if groups.len() > max { Err(StoreError::TooManyGroups { max }) } else { Ok(groups.into_iter().collect()) }
/// }
///
/// /// Sorts a whole table for each page, which only an example may do.
/// fn page<T: Clone>(rows: impl Iterator<Item = T>, place: impl Fn(&T) -> Cursor, request: PageRequest) -> Page<T> {
///     let mut rows: Vec<T> = rows.filter(|row| request.after.is_none_or(|after| place(row) < after)).collect();
///     rows.sort_by_key(|row| std::cmp::Reverse(place(row)));
///     Page::from_one_more(rows, request.limit, place)
/// }
///
/// #[async_trait]
/// impl Store for VecStore {
///     async fn ping(&self) -> Result<(), StoreError> {
///         Ok(())
///     }
///
///     async fn insert_affiliate(&self, new: NewAffiliate) -> Result<Recorded<Affiliate>, StoreError> {
///         let tables = &mut *self.0.lock().unwrap();
///         if let Some(found) = new.id.and_then(|id| tables.affiliate(id).ok()) {
///             return Ok(Recorded::Duplicate(found.clone()));
///         }
///         let next = tables.affiliates.iter().map(|affiliate| affiliate.id.as_u64()).max().unwrap_or(0) + 1;
///         let id = match new.id {
///             Some(id) => id,
///             None => AffiliateId::new(next).map_err(|error| StoreError::backend("insert affiliate", error))?,
///         };
///         let affiliate = new.into_affiliate(id);
///         tables.affiliates.push(affiliate.clone());
///         Ok(Recorded::New(affiliate))
///     }
///
///     async fn affiliate(&self, id: AffiliateId) -> Result<Affiliate, StoreError> {
///         self.0.lock().unwrap().affiliate(id).cloned()
///     }
///
///     async fn affiliates(&self, request: PageRequest) -> Result<Page<Affiliate>, StoreError> {
///         let rows = self.0.lock().unwrap().affiliates.clone().into_iter();
///         Ok(page(rows, |row| Cursor::after(row.created_at, row.id), request))
///     }
///
///     async fn update_affiliate(&self, wanted: Affiliate) -> Result<Option<Affiliate>, StoreError> {
///         let tables = &mut *self.0.lock().unwrap();
///         let Affiliate { id, created_at, version, .. } = *tables.affiliate(wanted.id)?;
///         let row = tables.affiliates.iter_mut().find(|row| row.id == id && row.version == wanted.version);
///         Ok(row.map(|row| {
///             *row = Affiliate { created_at, version: version + 1, ..wanted };
///             row.clone()
///         }))
///     }
///
///     async fn insert_campaign(&self, new: NewCampaign) -> Result<Recorded<Campaign>, StoreError> {
///         let tables = &mut *self.0.lock().unwrap();
///         if let Some(found) = new.id.and_then(|id| tables.campaign(id).ok()) {
///             return Ok(Recorded::Duplicate(found.clone()));
///         }
///         let next = tables.campaigns.iter().map(|campaign| campaign.id.as_u64()).max().unwrap_or(0) + 1;
///         let id = match new.id {
///             Some(id) => id,
///             None => CampaignId::new(next).map_err(|error| StoreError::backend("insert campaign", error))?,
///         };
///         let campaign = new.into_campaign(id);
///         tables.campaigns.push(campaign.clone());
///         Ok(Recorded::New(campaign))
///     }
///
///     async fn campaign(&self, id: CampaignId) -> Result<Campaign, StoreError> {
///         self.0.lock().unwrap().campaign(id).cloned()
///     }
///
///     async fn campaigns(&self, request: PageRequest) -> Result<Page<Campaign>, StoreError> {
///         let rows = self.0.lock().unwrap().campaigns.clone().into_iter();
///         Ok(page(rows, |row| Cursor::after(row.created_at, row.id), request))
///     }
///
///     async fn update_campaign(&self, wanted: Campaign) -> Result<Option<Campaign>, StoreError> {
///         let tables = &mut *self.0.lock().unwrap();
///         let Campaign { id, created_at, version, .. } = *tables.campaign(wanted.id)?;
///         let row = tables.campaigns.iter_mut().find(|row| row.id == id && row.version == wanted.version);
///         Ok(row.map(|row| {
///             *row = Campaign { created_at, version: version + 1, ..wanted };
///             row.clone()
///         }))
///     }
///
///     async fn insert_click(&self, mut new: NewClick) -> Result<Recorded<Click>, StoreError> {
///         let tables = &mut *self.0.lock().unwrap();
///         tables.affiliate(new.affiliate_id)?;
///         tables.campaign(new.campaign_id)?;
///         let identity = (new.affiliate_id, new.campaign_id, &new.click_id);
///         if let Some(found) =
///             tables.clicks.iter().find(|row| (row.affiliate_id, row.campaign_id, &row.click_id) == identity)
///         {
///             return Ok(Recorded::Duplicate(found.clone()));
///         }
///         let is_repeat = |visitor: VisitorHashes| {
///             tables.visitors.iter().any(|(hash, seen)| {
///                 (*hash == visitor.today || *hash == visitor.yesterday)
///                     && new.created_at.as_millis() - seen.as_millis() < DAY
///             })
///         };
///         new.details.is_repeat = new.visitor.is_some_and(is_repeat);
///         if let Some(visitor) = new.visitor.filter(|_| !new.details.is_repeat) {
///             tables.visitors.push((visitor.today, new.created_at));
///         }
///         tables.last_click += 1;
///         let id = ClickRecordId::new(tables.last_click)
///             .map_err(|error| StoreError::backend("insert click", error))?;
///         let click = new.into_click(id);
///         tables.counts(click.affiliate_id, click.campaign_id, click.created_at).count_click(&click.details);
///         tables.clicks.push(click.clone());
///         Ok(Recorded::New(click))
///     }
///
///     async fn find_clicks(
///         &self,
///         affiliate: AffiliateId,
///         campaign: Option<CampaignId>,
///         click_id: &ClickId,
///     ) -> Result<Vec<Click>, StoreError> {
///         let tables = self.0.lock().unwrap();
///         let clicks = tables.clicks.iter().filter(|row| {
///             row.affiliate_id == affiliate
///                 && row.click_id == *click_id
///                 && campaign.is_none_or(|campaign| row.campaign_id == campaign)
///         });
///         let mut clicks: Vec<Click> = clicks.cloned().collect();
///         clicks.sort_by_key(|row| std::cmp::Reverse((row.created_at, row.id)));
///         Ok(clicks)
///     }
///
///     async fn clicks(&self, filter: &ClickFilter, request: PageRequest) -> Result<Page<Click>, StoreError> {
///         let tables = self.0.lock().unwrap();
///         tables.check(filter.scope)?;
///         let rows = tables.clicks.iter().filter(|row| filter.admits(row)).cloned();
///         Ok(page(rows, |row| Cursor::after(row.created_at, row.id), request))
///     }
///
///     async fn insert_conversion(&self, new: NewConversion) -> Result<Recorded<Conversion>, StoreError> {
///         let tables = &mut *self.0.lock().unwrap();
///         tables.affiliate(new.click.affiliate_id)?;
///         tables.campaign(new.click.campaign_id)?;
///         if !tables.clicks.contains(&new.click) {
///             return Err(StoreError::UnknownClick(new.click.click_id));
///         }
///         let id = ConversionId::new(tables.conversions.len() as u64 + 1)
///             .map_err(|error| StoreError::backend("insert conversion", error))?;
///         let is_same = |row: &Conversion| row.transaction_id == new.transaction_id;
///         if let Some(found) = tables.first(&new.click, &new.alternatives, &new.event, is_same) {
///             return Ok(Recorded::Duplicate(found.clone()));
///         }
///         if let Some(first) = tables.first(&new.click, &[], &new.event, |_| new.is_only_one) {
///             return Err(StoreError::AlreadyConverted(Box::new(first.clone())));
///         }
///         let count = tables.count_of_day(new.click.campaign_id, new.created_at);
///         if let Some(cap) = new.daily_cap.filter(|cap| count >= u64::from(*cap)) {
///             return Err(StoreError::DailyCapReached { cap });
///         }
///         let conversion = new.into_conversion(id);
///         tables
///             .counts(conversion.affiliate_id, conversion.campaign_id, conversion.created_at)
///             .count_conversion(&conversion);
///         tables.conversions.push(conversion.clone());
///         Ok(Recorded::New(conversion))
///     }
///
///     async fn find_conversion(
///         &self,
///         click: &Click,
///         alternatives: &[CampaignId],
///         event: &EventName,
///         transaction_id: Option<&TransactionId>,
///     ) -> Result<Option<Conversion>, StoreError> {
///         let is_same = |row: &Conversion| row.transaction_id.as_ref() == transaction_id;
///         Ok(self.0.lock().unwrap().first(click, alternatives, event, is_same).cloned())
///     }
///
///     async fn first_conversion(&self, click: &Click, event: &EventName) -> Result<Option<Conversion>, StoreError> {
///         Ok(self.0.lock().unwrap().first(click, &[], event, |_| true).cloned())
///     }
///
///     async fn daily_conversions(&self, campaign: CampaignId, day: Timestamp) -> Result<u64, StoreError> {
///         Ok(self.0.lock().unwrap().count_of_day(campaign, day))
///     }
///
///     async fn conversion(&self, id: ConversionId) -> Result<Conversion, StoreError> {
///         self.0.lock().unwrap().conversion(id).cloned()
///     }
///
///     async fn change_status(&self, id: ConversionId, change: StatusChange) -> Result<Option<Conversion>, StoreError> {
///         let tables = &mut *self.0.lock().unwrap();
///         tables.conversion(id)?;
///         let Some(row) = tables.conversions.iter_mut().find(|row| row.id == id && row.status == change.from) else {
///             return Ok(None);
///         };
///         let before = row.clone();
///         row.status = change.to;
///         let after = row.clone();
///         let counts = tables.counts(after.affiliate_id, after.campaign_id, after.created_at);
///         counts.discount_conversion(&before);
///         counts.count_conversion(&after);
///         tables.changes.push((id, change));
///         Ok(Some(after))
///     }
///
///     async fn status_changes(&self, id: ConversionId) -> Result<Vec<StatusChange>, StoreError> {
///         let tables = self.0.lock().unwrap();
///         tables.conversion(id)?;
///         Ok(tables.changes.iter().filter(|(of, _)| *of == id).map(|(_, change)| change.clone()).collect())
///     }
///
///     async fn conversions(
///         &self,
///         filter: &ConversionFilter,
///         request: PageRequest,
///     ) -> Result<Page<Conversion>, StoreError> {
///         let tables = self.0.lock().unwrap();
///         tables.check(filter.scope)?;
///         let rows = tables.conversions.iter().filter(|row| filter.admits(row)).cloned();
///         Ok(page(rows, |row| Cursor::after(row.created_at, row.id), request))
///     }
///
///     async fn summary(&self, affiliate: AffiliateId) -> Result<Summary, StoreError> {
///         let tables = self.0.lock().unwrap();
///         tables.affiliate(affiliate)?;
///         Ok(sum(tables.counts.iter().filter(|((of, ..), _)| *of == affiliate).map(|(_, counts)| counts)))
///     }
///
///     async fn totals(&self, scope: Scope, bounds: &[Timestamp]) -> Result<Vec<Summary>, StoreError> {
///         let tables = self.0.lock().unwrap();
///         let within = |bounds: &[Timestamp]| sum(tables.counted(scope, bounds[0], bounds[1]).map(|(_, counts)| counts));
///         Ok(bounds.windows(2).map(within).collect())
///     }
///
///     async fn totals_by_affiliate(
///         &self,
///         campaign: Option<CampaignId>,
///         from: Timestamp,
///         to: Timestamp,
///         max: usize,
///     ) -> Result<Vec<(AffiliateId, Summary)>, StoreError> {
///         let scope = Scope { affiliate_id: None, campaign_id: campaign };
///         let tables = self.0.lock().unwrap();
///         grouped(tables.counted(scope, from, to).map(|((affiliate, ..), counts)| (*affiliate, counts)), max)
///     }
///
///     async fn totals_by_campaign(
///         &self,
///         affiliate: Option<AffiliateId>,
///         from: Timestamp,
///         to: Timestamp,
///         max: usize,
///     ) -> Result<Vec<(CampaignId, Summary)>, StoreError> {
///         let scope = Scope { affiliate_id: affiliate, campaign_id: None };
///         let tables = self.0.lock().unwrap();
///         grouped(tables.counted(scope, from, to).map(|((_, campaign, _), counts)| (*campaign, counts)), max)
///     }
///
///     async fn breakdown(&self, wanted: &Breakdown) -> Result<Vec<(Option<String>, Summary)>, StoreError> {
///         let tables = self.0.lock().unwrap();
///         let Breakdown { by, scope, from, to, max_groups, time_limit } = *wanted;
///         let start = Instant::now();
///         let check_time = || match start.elapsed() < time_limit {
///             true => Ok(()),
///             false => Err(StoreError::TooSlow { operation: "break down records" }),
///         };
///         let mut groups: Vec<(Option<String>, Summary)> = Vec::new();
///         let clicks = ClickFilter::from(scope).since(from).until(to);
///         for click in tables.clicks.iter().filter(|click| by != Attribute::Event && clicks.admits(click)) {
///             check_time()?;
///             let mut counts = Summary::default();
///             counts.count_click(&click.details);
///             groups.push((by.of_click(&click.details).map(str::to_owned), counts));
///         }
///         let conversions = ConversionFilter::from(scope).since(from).until(to);
///         for row in tables.conversions.iter().filter(|row| conversions.admits(row)) {
///             check_time()?;
///             let identity = (row.affiliate_id, row.campaign_id, &row.click_id);
///             let is_its = |click: &&Click| (click.affiliate_id, click.campaign_id, &click.click_id) == identity;
///             let details = tables.clicks.iter().find(is_its).map(|click| click.details.clone()).unwrap_or_default();
///             let mut counts = Summary::default();
///             counts.count_conversion(row);
///             groups.push((by.of_conversion(row, &details).map(str::to_owned), counts));
///         }
///         grouped(groups.iter().map(|(mark, counts)| (mark.clone(), counts)), max_groups)
///     }
///
///     async fn forget_visitors(&self, before: Timestamp) -> Result<(), StoreError> {
///         self.0.lock().unwrap().visitors.retain(|(_, seen)| *seen >= before);
///         Ok(())
///     }
///
///     async fn purge_clicks(&self, affiliate: AffiliateId, request: PurgeRequest) -> Result<Purged, StoreError> {
///         let tables = &mut *self.0.lock().unwrap();
///         tables.affiliate(affiliate)?;
///         let place = |click: &Click| Cursor::after(click.created_at, click.id);
///         let mut old: Vec<Cursor> = tables
///             .clicks
///             .iter()
///             .filter(|click| click.affiliate_id == affiliate && click.created_at < request.before)
///             .map(place)
///             .filter(|place| request.after.is_none_or(|after| after < *place))
///             .collect();
///         old.sort();
///         let has_more = old.len() > request.limit.as_usize();
///         old.truncate(request.limit.as_usize());
///         let mut purged = Purged { next: old.last().copied().filter(|_| has_more), ..Purged::default() };
///         let conversions = &tables.conversions;
///         tables.clicks.retain_mut(|click| {
///             if !old.contains(&place(click)) {
///                 return true;
///             }
///             let identity = (click.affiliate_id, click.campaign_id, &click.click_id);
///             let is_converted =
///                 conversions.iter().any(|row| (row.affiliate_id, row.campaign_id, &row.click_id) == identity);
///             if is_converted {
///                 click.details = click.details.anonymous();
///             } else {
///                 purged.deleted += 1;
///             }
///             is_converted
///         });
///         Ok(purged)
///     }
///
///     async fn erase_clicks(&self, click_id: &ClickId, replacement: &ClickId) -> Result<u64, StoreError> {
///         let tables = &mut *self.0.lock().unwrap();
///         let mut erased = 0;
///         for click in tables.clicks.iter_mut().filter(|click| click.click_id == *click_id) {
///             click.click_id = replacement.clone();
///             click.details = click.details.anonymous();
///             // Its visitor would be found by the time.
///             tables.visitors.retain(|(_, seen)| *seen != click.created_at);
///             erased += 1;
///         }
///         for conversion in tables.conversions.iter_mut().filter(|row| row.click_id == *click_id) {
///             conversion.click_id = replacement.clone();
///             conversion.sub_ids = SubIds::default();
///         }
///         for postback in tables.postbacks.iter_mut().filter(|row| row.click_id.as_ref() == Some(click_id)) {
///             *postback = postback.anonymous(replacement.clone());
///         }
///         Ok(erased)
///     }
///
///     async fn log_postbacks(&self, postbacks: Vec<Postback>) -> Result<(), StoreError> {
///         let rows = &mut self.0.lock().unwrap().postbacks;
///         for postback in postbacks {
///             if rows.iter().all(|row| row.cursor() != postback.cursor()) {
///                 rows.push(postback);
///             }
///         }
///         Ok(())
///     }
///
///     async fn postbacks(&self, filter: &PostbackFilter, request: PageRequest) -> Result<Page<Postback>, StoreError> {
///         let tables = self.0.lock().unwrap();
///         let rows = tables.postbacks.iter().filter(|row| filter.admits(row)).cloned();
///         Ok(page(rows, Postback::cursor, request))
///     }
///
///     async fn purge_postbacks(&self, before: Timestamp, keep: u64) -> Result<(), StoreError> {
///         let rows = &mut self.0.lock().unwrap().postbacks;
///         rows.retain(|row| row.received_at >= before);
///         rows.sort_by_key(|row| std::cmp::Reverse(row.cursor()));
///         rows.truncate(usize::try_from(keep).unwrap_or(usize::MAX));
///         Ok(())
///     }
/// }
///
/// // A test module has `tracking_core::store_conformance!(…)` here instead: see the `conformance` feature.
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # #[cfg(feature = "conformance")]
/// # for case in tracking_core::conformance::CASES {
/// #     case.run(VecStore::default()).await;
/// # }
/// # Ok(())
/// # }
/// ```
#[async_trait]
pub trait Store: Debug + Send + Sync + 'static {
    /// Asks whether the store can take calls now.
    ///
    /// # Errors
    /// If it can't.
    async fn ping(&self) -> Result<(), StoreError>;

    /// Adds an affiliate under its id, or under a new one if it has none. An id that is taken returns the affiliate
    /// that has it.
    ///
    /// # Errors
    /// If the store fails.
    async fn insert_affiliate(&self, affiliate: NewAffiliate) -> Result<Recorded<Affiliate>, StoreError>;

    /// The affiliate with this id.
    ///
    /// # Errors
    /// If there is none, or if the store fails.
    async fn affiliate(&self, id: AffiliateId) -> Result<Affiliate, StoreError>;

    /// All affiliates.
    ///
    /// # Errors
    /// If the store fails.
    async fn affiliates(&self, request: PageRequest) -> Result<Page<Affiliate>, StoreError>;

    /// Replaces the name, the pause and the revocation of passes of the affiliate with this id, if the one that is there has the same version, and
    /// returns it, with the next version; `None` if it has another one by now. When it was created does not change.
    ///
    /// # Errors
    /// If there is none, or if the store fails.
    async fn update_affiliate(&self, affiliate: Affiliate) -> Result<Option<Affiliate>, StoreError>;

    /// Adds a campaign under its id, or under a new one if it has none. An id that is taken returns the campaign that
    /// has it.
    ///
    /// # Errors
    /// If the store fails.
    async fn insert_campaign(&self, campaign: NewCampaign) -> Result<Recorded<Campaign>, StoreError>;

    /// The campaign with this id.
    ///
    /// # Errors
    /// If there is none, or if the store fails.
    async fn campaign(&self, id: CampaignId) -> Result<Campaign, StoreError>;

    /// All campaigns.
    ///
    /// # Errors
    /// If the store fails.
    async fn campaigns(&self, request: PageRequest) -> Result<Page<Campaign>, StoreError>;

    /// Replaces everything but the id and the time of creation of the campaign with this id, if the one that is there has the
    /// same version, and returns it, with the next version; `None` if it has another one by now.
    ///
    /// # Errors
    /// If there is none, or if the store fails.
    async fn update_campaign(&self, campaign: Campaign) -> Result<Option<Campaign>, StoreError>;

    /// Adds a click, and counts it, in one step. Its identity is (affiliate, campaign, click id).
    ///
    /// # Errors
    /// If its affiliate or campaign is not there, or if the store fails or is full.
    async fn insert_click(&self, click: NewClick) -> Result<Recorded<Click>, StoreError>;

    /// The affiliate's clicks with this id: that of the campaign, or those of all campaigns, the latest first, by time
    /// and then by number. Empty if there is no such click, affiliate or campaign. There is one for each campaign at the
    /// most, because click ids are unique there.
    ///
    /// # Errors
    /// If the store fails.
    async fn find_clicks(
        &self,
        affiliate: AffiliateId,
        campaign: Option<CampaignId>,
        click_id: &ClickId,
    ) -> Result<Vec<Click>, StoreError>;

    /// The clicks that the filter admits.
    ///
    /// # Errors
    /// If there is no such affiliate or campaign, if too many others have to be passed for a page
    /// ([`StoreError::TooSlow`]), or if the store fails.
    async fn clicks(&self, filter: &ClickFilter, request: PageRequest) -> Result<Page<Click>, StoreError>;

    /// Adds a conversion, and counts it, in one step. Its identity is (click, event, transaction id); no transaction
    /// id is equal to no transaction id.
    ///
    /// A duplicate is told by its identity alone. Whether amount and currency agree is for the caller to see. Where the
    /// caller has named [`alternatives`](NewConversion::alternatives), a conversion of the same event and transaction id
    /// that is attributed to the affiliate's click with this id in one of them is a duplicate, too; of several, the
    /// earliest, by time and then by number, is returned.
    ///
    /// Its click is there if one record has the number, affiliate, campaign and click id that it names.
    ///
    /// One that is no duplicate is held to what the caller demands: to be the
    /// [only one](NewConversion::is_only_one) of its click and event, and to keep within the
    /// [daily cap](NewConversion::daily_cap), in which those count that were recorded on the same day in UTC, whatever their
    /// status. Parallel calls that demand the same don't get round it.
    ///
    /// # Errors
    /// If its affiliate, its campaign or its click ([`StoreError::UnknownClick`]) is not there; if it is not the only one
    /// ([`StoreError::AlreadyConverted`], with the earliest, by time and then by number) or beyond the cap
    /// ([`StoreError::DailyCapReached`]); or if the store fails or is full.
    async fn insert_conversion(&self, conversion: NewConversion) -> Result<Recorded<Conversion>, StoreError>;

    /// The conversion of which [`insert_conversion`](Self::insert_conversion) would say that a new one of this click, event
    /// and transaction id, with these alternatives, is a duplicate.
    ///
    /// # Errors
    /// If the store fails.
    async fn find_conversion(
        &self,
        click: &Click,
        alternatives: &[CampaignId],
        event: &EventName,
        transaction_id: Option<&TransactionId>,
    ) -> Result<Option<Conversion>, StoreError>;

    /// The earliest conversion of a click and an event, whatever its transaction id: the one that is in the way of an
    /// [only one](NewConversion::is_only_one).
    ///
    /// # Errors
    /// If the store fails.
    async fn first_conversion(&self, click: &Click, event: &EventName) -> Result<Option<Conversion>, StoreError>;

    /// How many conversions of a campaign were recorded on the day in UTC that this time is on.
    ///
    /// # Errors
    /// If the store fails.
    async fn daily_conversions(&self, campaign: CampaignId, day: Timestamp) -> Result<u64, StoreError>;

    /// The conversion with this number.
    ///
    /// # Errors
    /// If there is none ([`StoreError::UnknownConversion`]), or if the store fails.
    async fn conversion(&self, id: ConversionId) -> Result<Conversion, StoreError>;

    /// Changes the status of a conversion, counts it under its new status in place of the old one, and takes note of the
    /// change, in one step, if it has the status [from](StatusChange::from) which it is to change; returns it as it is then,
    /// or `None` if it has another status by now. Which changes are allowed is for the caller to know.
    ///
    /// # Errors
    /// If there is no such conversion, or if the store fails.
    async fn change_status(&self, id: ConversionId, change: StatusChange) -> Result<Option<Conversion>, StoreError>;

    /// How the status of a conversion has changed, in order; empty if it has not. There is no conversion of which this is
    /// long: statuses go one way only.
    ///
    /// # Errors
    /// If there is no such conversion, or if the store fails.
    async fn status_changes(&self, id: ConversionId) -> Result<Vec<StatusChange>, StoreError>;

    /// The conversions that the filter admits.
    ///
    /// # Errors
    /// If there is no such affiliate or campaign, if too many others have to be passed for a page
    /// ([`StoreError::TooSlow`]), or if the store fails.
    async fn conversions(
        &self,
        filter: &ConversionFilter,
        request: PageRequest,
    ) -> Result<Page<Conversion>, StoreError>;

    /// What the affiliate has brought, from the beginning, from counters.
    ///
    /// # Errors
    /// If there is no such affiliate, or if the store fails.
    async fn summary(&self, affiliate: AffiliateId) -> Result<Summary, StoreError>;

    /// What was counted between each of these bounds and the next one, the latter not included, from counters: one fewer than
    /// there are bounds. The bounds are on quarters of an hour and none is before the one that it follows, of which the caller
    /// takes care.
    ///
    /// # Errors
    /// If the store fails.
    async fn totals(&self, scope: Scope, bounds: &[Timestamp]) -> Result<Vec<Summary>, StoreError>;

    /// What was counted of each affiliate, of all campaigns or of this one, from the first time on and before the second, from
    /// counters: in the order of their ids, without those of whom nothing was. The times are on quarters of an hour.
    ///
    /// # Errors
    /// If there are more affiliates than `max` ([`StoreError::TooManyGroups`]), or if the store fails.
    async fn totals_by_affiliate(
        &self,
        campaign: Option<CampaignId>,
        from: Timestamp,
        to: Timestamp,
        max: usize,
    ) -> Result<Vec<(AffiliateId, Summary)>, StoreError>;

    /// Some of what [`totals_by_affiliate`](Self::totals_by_affiliate) tells, with how many there are and the sum of all. This
    /// asks for all of them; a store that need not sum up the money of those who are not wanted has a way of its own.
    ///
    /// # Errors
    /// As those of `totals_by_affiliate`.
    async fn best_affiliates(
        &self,
        campaign: Option<CampaignId>,
        from: Timestamp,
        to: Timestamp,
        ranking: &Ranking,
    ) -> Result<Ranked<AffiliateId>, StoreError> {
        let all = self.totals_by_affiliate(campaign, from, to, ranking.max_groups).await?;
        Ok(Ranked::of(all, ranking))
    }

    /// What was counted of each campaign, of all affiliates or of this one; else as by affiliate.
    ///
    /// # Errors
    /// If there are more campaigns than `max` ([`StoreError::TooManyGroups`]), or if the store fails.
    async fn totals_by_campaign(
        &self,
        affiliate: Option<AffiliateId>,
        from: Timestamp,
        to: Timestamp,
        max: usize,
    ) -> Result<Vec<(CampaignId, Summary)>, StoreError>;

    /// What there is of records with each mark, by a look at each of them that the store still has: in the order of the marks'
    /// bytes, what has none first. It takes no lock that an insert would wait for.
    ///
    /// # Errors
    /// If there are more marks than there may be ([`StoreError::TooManyGroups`]), if the time is over
    /// ([`StoreError::TooSlow`]), or if the store fails.
    async fn breakdown(&self, breakdown: &Breakdown) -> Result<Vec<(Option<String>, Summary)>, StoreError>;

    /// Forgets by which hashes visitors were known whose first click was created before this time.
    ///
    /// # Errors
    /// If the store fails. Some may have been forgotten then.
    async fn forget_visitors(&self, before: Timestamp) -> Result<(), StoreError>;

    /// Takes one step of a purge: looks at a few of an affiliate's clicks, the oldest first, deletes those without
    /// conversions, and makes [anonymous](crate::ClickDetails::anonymous) those with, by which a repeated postback is
    /// still known. What was counted stays counted.
    ///
    /// # Errors
    /// If there is no such affiliate, or if the store fails.
    async fn purge_clicks(&self, affiliate: AffiliateId, request: PurgeRequest) -> Result<Purged, StoreError>;

    /// Makes clicks [anonymous](crate::ClickDetails::anonymous): those with this id, of all affiliates and campaigns,
    /// which bear the `replacement` from then on, and so do their conversions. Visitors whose first click was created at the
    /// time of one of them are forgotten. Their conversions lose the advertiser's [marks](Conversion::sub_ids), and postbacks in
    /// the log that named the id become [anonymous](Postback::anonymous). Returns how many clicks there were. What was counted
    /// stays counted.
    ///
    /// No click has the replacement's id.
    ///
    /// # Errors
    /// If the store fails. Some of several clicks may have been changed then.
    async fn erase_clicks(&self, click_id: &ClickId, replacement: &ClickId) -> Result<u64, StoreError>;

    /// Adds these to the postback log. One whose id and time are there already is left as it is, so that the same call can
    /// be repeated. What they name need not be there.
    ///
    /// # Errors
    /// If the store fails. Some may have been added then.
    async fn log_postbacks(&self, postbacks: Vec<Postback>) -> Result<(), StoreError>;

    /// Those of the postback log that the filter admits, newest first, by time and then by id.
    ///
    /// # Errors
    /// If the store fails.
    async fn postbacks(&self, filter: &PostbackFilter, request: PageRequest) -> Result<Page<Postback>, StoreError>;

    /// Removes postbacks from the log that were received before this time, and the oldest of the others until no more than
    /// `keep` are left. How exact the store is about that number is its own affair, within a tenth; and where there are very
    /// many to remove, it may leave some of them to the next call.
    ///
    /// # Errors
    /// If the store fails. Some may have been removed then.
    async fn purge_postbacks(&self, before: Timestamp, keep: u64) -> Result<(), StoreError>;

    /// Does a part of what keeps the store itself in order, and makes no difference to its answers, in small steps. The tracker
    /// calls it every minute. A store that needs nothing of the kind leaves it as it is.
    ///
    /// # Errors
    /// If the store fails. It goes on with the next call.
    async fn upkeep(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

macro_rules! forward_store {
    ($($pointer:ident)+) => {$(
        #[warn(clippy::missing_trait_methods)]
        #[async_trait]
        impl<S: Store + ?Sized> Store for $pointer<S> {
            async fn ping(&self) -> Result<(), StoreError> {
                (**self).ping().await
            }

            async fn insert_affiliate(&self, affiliate: NewAffiliate) -> Result<Recorded<Affiliate>, StoreError> {
                (**self).insert_affiliate(affiliate).await
            }

            async fn affiliate(&self, id: AffiliateId) -> Result<Affiliate, StoreError> {
                (**self).affiliate(id).await
            }

            async fn affiliates(&self, request: PageRequest) -> Result<Page<Affiliate>, StoreError> {
                (**self).affiliates(request).await
            }

            async fn update_affiliate(&self, affiliate: Affiliate) -> Result<Option<Affiliate>, StoreError> {
                (**self).update_affiliate(affiliate).await
            }

            async fn insert_campaign(&self, campaign: NewCampaign) -> Result<Recorded<Campaign>, StoreError> {
                (**self).insert_campaign(campaign).await
            }

            async fn campaign(&self, id: CampaignId) -> Result<Campaign, StoreError> {
                (**self).campaign(id).await
            }

            async fn campaigns(&self, request: PageRequest) -> Result<Page<Campaign>, StoreError> {
                (**self).campaigns(request).await
            }

            async fn update_campaign(&self, campaign: Campaign) -> Result<Option<Campaign>, StoreError> {
                (**self).update_campaign(campaign).await
            }

            async fn insert_click(&self, click: NewClick) -> Result<Recorded<Click>, StoreError> {
                (**self).insert_click(click).await
            }

            async fn find_clicks(
                &self,
                affiliate: AffiliateId,
                campaign: Option<CampaignId>,
                click_id: &ClickId,
            ) -> Result<Vec<Click>, StoreError> {
                (**self).find_clicks(affiliate, campaign, click_id).await
            }

            async fn clicks(&self, filter: &ClickFilter, request: PageRequest) -> Result<Page<Click>, StoreError> {
                (**self).clicks(filter, request).await
            }

            async fn insert_conversion(&self, conversion: NewConversion) -> Result<Recorded<Conversion>, StoreError> {
                (**self).insert_conversion(conversion).await
            }

            async fn find_conversion(
                &self,
                click: &Click,
                alternatives: &[CampaignId],
                event: &EventName,
                transaction_id: Option<&TransactionId>,
            ) -> Result<Option<Conversion>, StoreError> {
                (**self).find_conversion(click, alternatives, event, transaction_id).await
            }

            async fn first_conversion(&self, click: &Click, event: &EventName) -> Result<Option<Conversion>, StoreError> {
                (**self).first_conversion(click, event).await
            }

            async fn daily_conversions(&self, campaign: CampaignId, day: Timestamp) -> Result<u64, StoreError> {
                (**self).daily_conversions(campaign, day).await
            }

            async fn conversion(&self, id: ConversionId) -> Result<Conversion, StoreError> {
                (**self).conversion(id).await
            }

            async fn change_status(
                &self,
                id: ConversionId,
                change: StatusChange,
            ) -> Result<Option<Conversion>, StoreError> {
                (**self).change_status(id, change).await
            }

            async fn status_changes(&self, id: ConversionId) -> Result<Vec<StatusChange>, StoreError> {
                (**self).status_changes(id).await
            }

            async fn conversions(
                &self,
                filter: &ConversionFilter,
                request: PageRequest,
            ) -> Result<Page<Conversion>, StoreError> {
                (**self).conversions(filter, request).await
            }

            async fn summary(&self, affiliate: AffiliateId) -> Result<Summary, StoreError> {
                (**self).summary(affiliate).await
            }

            async fn totals(&self, scope: Scope, bounds: &[Timestamp]) -> Result<Vec<Summary>, StoreError> {
                (**self).totals(scope, bounds).await
            }

            async fn totals_by_affiliate(
                &self,
                campaign: Option<CampaignId>,
                from: Timestamp,
                to: Timestamp,
                max: usize,
            ) -> Result<Vec<(AffiliateId, Summary)>, StoreError> {
                (**self).totals_by_affiliate(campaign, from, to, max).await
            }

            async fn best_affiliates(
                &self,
                campaign: Option<CampaignId>,
                from: Timestamp,
                to: Timestamp,
                ranking: &Ranking,
            ) -> Result<Ranked<AffiliateId>, StoreError> {
                (**self).best_affiliates(campaign, from, to, ranking).await
            }

            async fn totals_by_campaign(
                &self,
                affiliate: Option<AffiliateId>,
                from: Timestamp,
                to: Timestamp,
                max: usize,
            ) -> Result<Vec<(CampaignId, Summary)>, StoreError> {
                (**self).totals_by_campaign(affiliate, from, to, max).await
            }

            async fn breakdown(&self, breakdown: &Breakdown) -> Result<Vec<(Option<String>, Summary)>, StoreError> {
                (**self).breakdown(breakdown).await
            }

            async fn forget_visitors(&self, before: Timestamp) -> Result<(), StoreError> {
                (**self).forget_visitors(before).await
            }

            async fn purge_clicks(&self, affiliate: AffiliateId, request: PurgeRequest) -> Result<Purged, StoreError> {
                (**self).purge_clicks(affiliate, request).await
            }

            async fn erase_clicks(&self, click_id: &ClickId, replacement: &ClickId) -> Result<u64, StoreError> {
                (**self).erase_clicks(click_id, replacement).await
            }

            async fn log_postbacks(&self, postbacks: Vec<Postback>) -> Result<(), StoreError> {
                (**self).log_postbacks(postbacks).await
            }

            async fn postbacks(
                &self,
                filter: &PostbackFilter,
                request: PageRequest,
            ) -> Result<Page<Postback>, StoreError> {
                (**self).postbacks(filter, request).await
            }

            async fn purge_postbacks(&self, before: Timestamp, keep: u64) -> Result<(), StoreError> {
                (**self).purge_postbacks(before, keep).await
            }

            async fn upkeep(&self) -> Result<(), StoreError> {
                (**self).upkeep().await
            }
        }
    )+};
}

forward_store!(Arc Box);

/// Why a store did not do what it was asked.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StoreError {
    /// There is no affiliate with this id.
    #[error("affiliate {0} is not known")]
    UnknownAffiliate(AffiliateId),
    /// There is no campaign with this id.
    #[error("campaign {0} is not known")]
    UnknownCampaign(CampaignId),
    /// The click that a conversion names is not there.
    #[error("the click is not known")]
    UnknownClick(ClickId),
    /// There is no conversion with this number.
    #[error("conversion {0} is not known")]
    UnknownConversion(ConversionId),
    /// The conversion was to be the only one of its click and event, and there is this one.
    #[error("the click has a conversion of this event already")]
    AlreadyConverted(Box<Conversion>),
    /// The campaign has as many conversions of the day as it may have.
    #[error("the campaign has the {cap} conversions that it may have on a day")]
    DailyCapReached {
        /// How many it may have.
        cap: u32,
    },
    /// What was asked for has too many parts.
    #[error("there are more than {max} groups")]
    TooManyGroups {
        /// How many there may be.
        max: usize,
    },
    /// What was asked for has taken as long as it may.
    #[error("{operation} took too long, and was given up")]
    TooSlow {
        /// What was being done, such as `break down records`.
        operation: &'static str,
    },
    /// The store was given a capacity, and has reached it.
    #[error("the store is full: it holds the {capacity} records that it may hold")]
    Full {
        /// How many records it may hold.
        capacity: usize,
    },
    /// The store can't be reached or is overloaded. The same call may succeed later. It may also have happened already:
    /// it is safe to repeat if the record has an identity of its own, which an affiliate or a campaign without an id has
    /// not.
    #[error("{operation} failed, the store is unavailable")]
    Unavailable {
        /// What was being done, such as `insert click`.
        operation: &'static str,
        /// What the backend said.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The store is broken in a way that trying again does not mend.
    #[error("{operation} failed")]
    Backend {
        /// What was being done, such as `insert click`.
        operation: &'static str,
        /// What the backend said.
        source: Box<dyn Error + Send + Sync>,
    },
}

impl StoreError {
    /// The store can't be reached or is overloaded: try again later.
    pub fn unavailable(operation: &'static str, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Unavailable { operation, source: source.into() }
    }

    /// The store is broken.
    pub fn backend(operation: &'static str, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Backend { operation, source: source.into() }
    }
}

/// An error with all of its sources, for a log: `Display` alone never repeats them.
#[must_use]
pub fn error_chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}
