//! Look-ups that every postback makes, gathered like its insert.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use sqlx::Error;
use tracking_core::{AffiliateId, Batch, Campaign, CampaignId, Click, ClickId, ClickRecordId, StoreError, async_trait};

use crate::attempt::SharedError;
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

/// Clicks that were found a moment ago, most of them for the sake of a conversion.
///
/// It spares the question whether a conversion names its click right. That the click is there still, and not purged, is
/// proved by the foreign key, for its number is never given to another. Its id changes once at the most, when it is
/// erased: in this process it is forgotten here then, and for what another process has erased it is not trusted for long.
/// A conversion that slips in meanwhile is one that came just before: the click keeps it, under its new id.
#[derive(Debug, Default)]
pub(crate) struct SeenClicks(Mutex<HashMap<ClickRecordId, (Click, Instant)>>);

impl SeenClicks {
    /// How many are remembered. All are forgotten beyond that.
    const CAPACITY: usize = 10_000;
    /// For how long one is trusted: for longer than it takes from a look-up to its insert.
    const LIFETIME: Duration = Duration::from_secs(2);

    fn note_all<'a>(&self, clicks: impl Iterator<Item = &'a Click>) {
        let (mut seen, now) = (self.0.lock(), Instant::now());
        for click in clicks {
            if seen.len() >= Self::CAPACITY {
                seen.clear();
            }
            seen.insert(click.id, (click.clone(), now));
        }
    }

    /// Whether all of these have been seen as they are here. They are forgotten.
    pub(crate) fn take_all<'a>(&self, mut clicks: impl Iterator<Item = &'a Click>) -> bool {
        let mut seen = self.0.lock();
        let is_as_seen = |click: &Click, (found, since): (Click, Instant)| {
            since.elapsed() < Self::LIFETIME && is_same(&found, click)
        };
        clicks.all(|click| seen.remove(&click.id).is_some_and(|found| is_as_seen(click, found)))
    }

    pub(crate) fn forget(&self, ids: &[ClickRecordId]) {
        let mut seen = self.0.lock();
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
