//! Look-ups that every postback makes, or every row of a report, gathered like inserts.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use sqlx::Error;
use tracking_core::{
    Affiliate, AffiliateId, Batch, Campaign, CampaignId, Click, ClickId, ClickRecordId, Conversion, ConversionId,
    EventName, StoreError, Timestamp, TransactionId, async_trait,
};

use crate::attempt::SharedError;
use crate::conversions::{of_day, transaction_id};
use crate::sql::Sql;
use crate::store::Database;
use crate::{clicks, rows};

/// Finds the clicks of an affiliate with an id.
#[derive(Debug)]
pub(crate) struct FindClicks(pub(crate) Arc<Database>);

#[async_trait]
impl Batch for FindClicks {
    type Call = (AffiliateId, ClickId);
    /// In no order.
    type Answer = Vec<Click>;

    async fn run(&self, calls: Vec<Self::Call>) -> Vec<Result<Vec<Click>, StoreError>> {
        let found = async {
            let keys = || calls.iter().map(|(affiliate, click_id)| (*affiliate, click_id));
            let mut found: HashMap<_, Vec<Click>> = HashMap::new();
            for row in self.0.reader().rows(|sql| clicks::select(sql, &self.0.prefix, keys())).await? {
                let click = rows::click(&row)?;
                found.entry((click.affiliate_id, click.click_id.clone())).or_default().push(click);
            }
            self.0.seen_clicks.note_all(found.values().flatten());
            Ok(found)
        };
        answer(&calls, found.await, "find clicks", |found, call| Ok(found.get(call).cloned().unwrap_or_default()))
    }
}

/// Finds affiliates.
#[derive(Debug)]
pub(crate) struct FindAffiliates(pub(crate) Arc<Database>);

#[async_trait]
impl Batch for FindAffiliates {
    type Call = AffiliateId;
    type Answer = Affiliate;

    async fn run(&self, calls: Vec<AffiliateId>) -> Vec<Result<Affiliate, StoreError>> {
        let found = async {
            let ids: BTreeSet<AffiliateId> = calls.iter().copied().collect();
            let query = |sql: &mut Sql| {
                sql.push("SELECT ").push(rows::AFFILIATE).push(" FROM ").table(&self.0.prefix, "affiliates");
                sql.push(" WHERE id IN (").numbers(ids.iter().map(|id| id.as_u64())).push(")");
            };
            let mut found = HashMap::new();
            for row in self.0.reader().rows(query).await? {
                let affiliate = rows::affiliate(&row)?;
                found.insert(affiliate.id, affiliate);
            }
            Ok(found)
        };
        answer(&calls, found.await, "find affiliate", |found, id| {
            found.get(id).cloned().ok_or(StoreError::UnknownAffiliate(*id))
        })
    }
}

/// Finds campaigns.
#[derive(Debug)]
pub(crate) struct FindCampaigns(pub(crate) Arc<Database>);

#[async_trait]
impl Batch for FindCampaigns {
    type Call = CampaignId;
    type Answer = Campaign;

    async fn run(&self, calls: Vec<CampaignId>) -> Vec<Result<Campaign, StoreError>> {
        let found = async {
            let ids: BTreeSet<CampaignId> = calls.iter().copied().collect();
            let query = |sql: &mut Sql| {
                sql.push("SELECT ").push(rows::CAMPAIGN).push(" FROM ").table(&self.0.prefix, "campaigns");
                sql.push(" WHERE id IN (").numbers(ids.iter().map(|id| id.as_u64())).push(")");
            };
            let mut found = HashMap::new();
            for row in self.0.reader().rows(query).await? {
                let campaign = rows::campaign(&row)?;
                found.insert(campaign.id, campaign);
            }
            Ok(found)
        };
        answer(&calls, found.await, "find campaign", |found, id| {
            found.get(id).cloned().ok_or(StoreError::UnknownCampaign(*id))
        })
    }
}

/// Which conversions of a click are looked for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Sought<'a> {
    /// Those of this transaction id, of the click or of one with the same id in one of these other campaigns.
    Same(Option<&'a TransactionId>, &'a [CampaignId]),
    /// Those of any transaction id.
    Any,
}

impl Database {
    /// The earliest conversion of this event that is attributed to this click.
    pub(crate) async fn earliest_conversion(
        &self,
        click: &Click,
        event: &EventName,
        sought: Sought<'_>,
    ) -> Result<Option<Conversion>, StoreError> {
        let query = |sql: &mut Sql| {
            sql.push("SELECT ").push(rows::CONVERSION).push(", c.click_id AS click FROM ");
            sql.table(&self.prefix, "clicks").push(" c JOIN ").table(&self.prefix, "conversions");
            sql.push(" v ON v.click_id = c.id WHERE c.affiliate_id = ").number(click.affiliate_id.as_u64());
            sql.push(" AND c.click_id = ").ascii(click.click_id.as_str());
            sql.push(" AND ((c.id = ").number(click.id.as_u64());
            sql.push(" AND c.campaign_id = ").number(click.campaign_id.as_u64()).push(")");
            if let Sought::Same(_, alternatives) = sought
                && !alternatives.is_empty()
            {
                sql.push(" OR c.campaign_id IN (").numbers(alternatives.iter().map(|id| id.as_u64())).push(")");
            }
            sql.push(") AND v.event = ").ascii(event.as_str());
            if let Sought::Same(id, _) = sought {
                sql.push(" AND v.transaction_id = ").ascii(transaction_id(id));
            }
            sql.push(" ORDER BY v.timestamp, v.id LIMIT 1");
        };
        let found = self.read("find conversion", query, rows::conversion_with_click).await?;
        Ok(found.into_iter().next())
    }

    pub(crate) async fn conversion(&self, id: ConversionId) -> Result<Conversion, StoreError> {
        let query = |sql: &mut Sql| {
            sql.push("SELECT ").push(rows::CONVERSION).push(", c.click_id AS click FROM ");
            sql.table(&self.prefix, "conversions").push(" v JOIN ").table(&self.prefix, "clicks");
            sql.push(" c ON c.id = v.click_id WHERE v.id = ").number(id.as_u64());
        };
        let found = self.read("find conversion", query, rows::conversion_with_click).await?;
        found.into_iter().next().ok_or(StoreError::UnknownConversion(id))
    }

    pub(crate) async fn daily_conversions(&self, campaign: CampaignId, day: Timestamp) -> Result<u64, StoreError> {
        let query = |sql: &mut Sql| of_day(sql.push("SELECT COUNT(*) AS number FROM "), &self.prefix, campaign, day);
        let found = self.read("count conversions", query, |row| rows::number(row, "number")).await?;
        Ok(found.into_iter().sum())
    }
}

/// Clicks that were found a moment ago, most of them for the sake of a conversion.
///
/// It spares the question whether a conversion names its click right. That the click is there still, and not purged, is
/// proved by the foreign key, for its number is never given to another. Its id changes once at the most, when it is
/// erased: in this process it is forgotten here then, and for what another process has erased it is not trusted for long.
/// A conversion that slips in meanwhile is one that came just before: the click keeps it, under its new id.
#[derive(Debug, Default)]
pub(crate) struct SeenClicks(Mutex<Seen>);

#[derive(Debug, Default)]
struct Seen {
    clicks: HashMap<ClickRecordId, (Identity, Instant)>,
    swept: Option<Instant>,
}

/// What a conversion has to name right, besides the number.
type Identity = (AffiliateId, CampaignId, ClickId);

fn identity(click: &Click) -> Identity {
    (click.affiliate_id, click.campaign_id, click.click_id.clone())
}

impl SeenClicks {
    /// How many are remembered. All are forgotten beyond that.
    const CAPACITY: usize = 10_000;
    /// For how long one is trusted: for longer than it takes from a look-up to its insert.
    const LIFETIME: Duration = Duration::from_secs(2);

    fn note_all<'a>(&self, clicks: impl Iterator<Item = &'a Click>) {
        self.note_all_at(clicks, Instant::now());
    }

    fn note_all_at<'a>(&self, clicks: impl Iterator<Item = &'a Click>, now: Instant) {
        let seen = &mut *self.0.lock();
        let is_over = |since: Instant| now.duration_since(since) >= Self::LIFETIME;
        // Not each time, because it looks at all of them.
        if seen.swept.is_none_or(is_over) {
            seen.clicks.retain(|_, (_, since)| !is_over(*since));
            seen.swept = Some(now);
        }
        for click in clicks {
            if seen.clicks.len() >= Self::CAPACITY {
                seen.clicks.clear();
            }
            seen.clicks.insert(click.id, (identity(click), now));
        }
    }

    /// Whether all of these have been seen as they are here. They are forgotten.
    pub(crate) fn take_all<'a>(&self, mut clicks: impl Iterator<Item = &'a Click>) -> bool {
        let seen = &mut self.0.lock().clicks;
        let is_as_seen = |click: &Click, (found, since): (Identity, Instant)| {
            since.elapsed() < Self::LIFETIME && found == identity(click)
        };
        clicks.all(|click| seen.remove(&click.id).is_some_and(|found| is_as_seen(click, found)))
    }

    pub(crate) fn forget(&self, ids: &[ClickRecordId]) {
        let seen = &mut self.0.lock().clicks;
        ids.iter().for_each(|id| _ = seen.remove(id));
    }
}

/// Whether the click that was found is the one that a caller names. When it was does not matter.
pub(crate) fn is_same(found: &Click, named: &Click) -> bool {
    (found.id, found.affiliate_id, found.campaign_id, &found.click_id)
        == (named.id, named.affiliate_id, named.campaign_id, &named.click_id)
}

fn answer<C, F, A>(
    calls: &[C],
    found: Result<F, Error>,
    operation: &'static str,
    pick: impl Fn(&F, &C) -> Result<A, StoreError>,
) -> Vec<Result<A, StoreError>> {
    match found.map_err(SharedError::from) {
        Ok(found) => calls.iter().map(|call| pick(&found, call)).collect(),
        Err(error) => calls.iter().map(|_| Err(error.clone().into_store_error(operation))).collect(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

    use tracking_core::{ClickDetails, Timestamp};

    use super::*;

    fn click(number: u64) -> Click {
        Click {
            id: ClickRecordId::new(number).unwrap(),
            affiliate_id: "1".parse().unwrap(),
            campaign_id: "10".parse().unwrap(),
            click_id: format!("click-{number}").parse().unwrap(),
            created_at: Timestamp::MIN,
            details: ClickDetails::default(),
        }
    }

    #[test]
    fn clicks_of_long_ago_are_forgotten() {
        let (seen, start) = (SeenClicks::default(), Instant::now());
        let clicks: Vec<Click> = (1..=100).map(click).collect();
        seen.note_all_at(clicks.iter(), start);
        seen.note_all_at([click(101)].iter(), start + SeenClicks::LIFETIME / 2);
        assert_eq!(seen.0.lock().clicks.len(), 101);
        seen.note_all_at([click(102)].iter(), start + SeenClicks::LIFETIME);
        assert_eq!(seen.0.lock().clicks.len(), 2);
        assert!(seen.take_all([click(102)].iter()));
        assert!(!seen.take_all([click(102)].iter()), "once");
        assert!(!seen.take_all([click(1)].iter()));
    }
}
