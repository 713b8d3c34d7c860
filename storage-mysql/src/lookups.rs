//! Look-ups that every postback makes, gathered like its insert.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use sqlx::Error;
use tokio::time::Instant;
use tracking_core::{AffiliateId, Batch, Campaign, CampaignId, Click, ClickId, StoreError, async_trait};

use crate::attempt::{Reader, SharedError};
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
            for row in reader(&self.0).rows(|sql| clicks::select(sql, &self.0.prefix, keys())).await? {
                let click = rows::click(&row)?;
                found.entry((click.affiliate_id, click.click_id.clone())).or_default().push(click);
            }
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
            for row in reader(&self.0).rows(query).await? {
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

fn reader(database: &Database) -> Reader<'_> {
    Reader::Pool(&database.pool, Instant::now() + database.timeout)
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
