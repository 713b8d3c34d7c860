//! Affiliates and campaigns: few, seldom changed, and named by every click.

use std::collections::{BTreeSet, HashSet};
use std::hash::Hash;

use parking_lot::Mutex;
use sqlx::Error;
use tracking_core::{AffiliateId, CampaignId};

use crate::attempt::Reader;
use crate::rows;
use crate::sql::{Sql, TablePrefix};

/// Affiliates and campaigns that have been seen in the database.
///
/// This is no cache that could be out of date: that one is missing is never remembered, and that one is there is proved
/// again by the foreign keys of each insert. It only spares the question.
#[derive(Debug, Default)]
pub(crate) struct KnownIds {
    affiliates: Mutex<HashSet<AffiliateId>>,
    campaigns: Mutex<HashSet<CampaignId>>,
}

#[derive(Debug, Default)]
pub(crate) struct Missing {
    pub(crate) affiliates: BTreeSet<AffiliateId>,
    pub(crate) campaigns: BTreeSet<CampaignId>,
}

impl KnownIds {
    /// How many are remembered of each. Some are forgotten beyond that.
    const CAPACITY: usize = 100_000;

    /// Which of these are not in the database.
    pub(crate) async fn missing(
        &self,
        reader: &mut Reader<'_>,
        prefix: &TablePrefix,
        ids: impl Iterator<Item = (AffiliateId, CampaignId)> + Clone,
    ) -> Result<Missing, Error> {
        let mut missing = Missing {
            affiliates: unknown(&self.affiliates, ids.clone().map(|(affiliate, _)| affiliate)),
            campaigns: unknown(&self.campaigns, ids.map(|(_, campaign)| campaign)),
        };
        if !missing.affiliates.is_empty() {
            for id in there(reader, prefix, "affiliates", missing.affiliates.iter().map(|id| id.as_u64())).await? {
                let id = rows::parse("id", AffiliateId::new(id))?;
                missing.affiliates.remove(&id);
                remember(&self.affiliates, id);
            }
        }
        if !missing.campaigns.is_empty() {
            for id in there(reader, prefix, "campaigns", missing.campaigns.iter().map(|id| id.as_u64())).await? {
                let id = rows::parse("id", CampaignId::new(id))?;
                missing.campaigns.remove(&id);
                remember(&self.campaigns, id);
            }
        }
        Ok(missing)
    }

    pub(crate) fn forget(&self, ids: impl Iterator<Item = (AffiliateId, CampaignId)>) {
        let (mut affiliates, mut campaigns) = (self.affiliates.lock(), self.campaigns.lock());
        for (affiliate, campaign) in ids {
            affiliates.remove(&affiliate);
            campaigns.remove(&campaign);
        }
    }
}

/// Those of these ids that are in this table.
async fn there(
    reader: &mut Reader<'_>,
    prefix: &TablePrefix,
    table: &'static str,
    ids: impl Iterator<Item = u64> + Clone,
) -> Result<Vec<u64>, Error> {
    let query = |sql: &mut Sql| {
        sql.push("SELECT id FROM ").table(prefix, table).push(" WHERE id IN (").numbers(ids.clone()).push(")");
    };
    reader.rows(query).await?.iter().map(|row| rows::number(row, "id")).collect()
}

fn unknown<T: Eq + Hash + Ord + Copy>(known: &Mutex<HashSet<T>>, ids: impl Iterator<Item = T>) -> BTreeSet<T> {
    let known = known.lock();
    ids.filter(|id| !known.contains(id)).collect()
}

fn remember<T: Eq + Hash>(known: &Mutex<HashSet<T>>, id: T) {
    let mut known = known.lock();
    if known.len() >= KnownIds::CAPACITY {
        known.clear();
    }
    known.insert(id);
}
