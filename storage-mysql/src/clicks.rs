//! New clicks.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use sqlx::{Error, MySqlConnection};
use tracking_core::{AffiliateId, CampaignId, Click, ClickId, ClickRecordId, NewClick, ParseError, async_trait};

use crate::attempt::{Failure, Reader};
use crate::counters::Changes;
use crate::inserts::{Kind, Row, Verdict, Verdicts};
use crate::numbers::Sequence;
use crate::rows;
use crate::sql::{Sql, TablePrefix};
use crate::store::Database;

#[derive(Debug)]
pub(crate) struct Clicks {
    pub(crate) database: Arc<Database>,
    pub(crate) numbers: Sequence,
}

#[async_trait]
impl Kind for Clicks {
    const OPERATION: &'static str = "insert click";
    type New = NewClick;
    type Record = Click;
    type Identity = (AffiliateId, CampaignId, ClickId);

    fn numbers(&self) -> &Sequence {
        &self.numbers
    }

    fn identity(new: &NewClick) -> Self::Identity {
        (new.affiliate_id, new.campaign_id, new.click_id.clone())
    }

    fn record(new: NewClick, number: u64) -> Result<Click, ParseError> {
        Ok(new.into_click(ClickRecordId::new(number)?))
    }

    fn statements(&self, rows: &[Row<NewClick>], slot: u8) -> [Sql; 2] {
        let prefix = &self.database.prefix;
        let mut sql = Sql::with_capacity(256 + 128 * rows.len());
        sql.push("INSERT INTO ").table(prefix, "clicks");
        sql.push(" (id, affiliate_id, campaign_id, click_id, timestamp) VALUES ");
        sql.separated(", ", rows, |sql, row| {
            sql.push("(").number(row.number);
            sql.push(", ").number(row.new.affiliate_id.as_u64()).push(", ").number(row.new.campaign_id.as_u64());
            sql.push(", ").ascii(row.new.click_id.as_str()).push(", ").time(row.new.created_at).push(")");
        });
        let mut changes = Changes::default();
        rows.iter().for_each(|row| changes.count_click(&row.new));
        [sql, changes.statement(prefix, slot)]
    }

    async fn look(
        &self,
        reader: &mut Reader<'_>,
        rows: &[Row<NewClick>],
        failed: Option<Failure>,
    ) -> Result<Verdicts<Self>, Error> {
        let ids = || rows.iter().map(|row| (row.new.affiliate_id, row.new.campaign_id));
        if failed == Some(Failure::MissingReference) {
            self.database.known.forget(ids());
        }
        let missing = self.database.known.missing(reader, &self.database.prefix, ids()).await?;
        let mut found = HashMap::new();
        if failed.is_some() {
            let clicks = rows.iter().map(|row| (row.new.affiliate_id, &row.new.click_id));
            for row in reader.rows(|sql| select(sql, &self.database.prefix, clicks.clone())).await? {
                let click = rows::click(&row)?;
                found.insert((click.affiliate_id, click.campaign_id, click.click_id.clone()), click);
            }
        }
        let verdict = |row: &Row<NewClick>| {
            if missing.affiliates.contains(&row.new.affiliate_id) {
                return Some(Verdict::UnknownAffiliate(row.new.affiliate_id));
            }
            if missing.campaigns.contains(&row.new.campaign_id) {
                return Some(Verdict::UnknownCampaign(row.new.campaign_id));
            }
            let click = found.get(&Self::identity(&row.new))?.clone();
            Some(row.meets(click.id.as_u64(), click))
        };
        Ok(rows.iter().map(verdict).collect())
    }

    fn goes_alone(_: &NewClick) -> bool {
        false
    }

    async fn to_lock(&self, _: &mut Reader<'_>, _: &NewClick) -> Result<Vec<u64>, Error> {
        Ok(Vec::new())
    }

    async fn lock(
        &self,
        _: &mut MySqlConnection,
        _: &[u64],
        _: Option<&mut Reader<'_>>,
        _: &Row<NewClick>,
    ) -> Result<Option<Verdict<Click>>, Error> {
        Ok(None)
    }
}

/// Writes the query for the clicks with these record numbers.
pub(crate) fn select_numbers(sql: &mut Sql, prefix: &TablePrefix, numbers: impl Iterator<Item = u64>) {
    sql.push("SELECT ").push(rows::CLICK).push(" FROM ").table(prefix, "clicks");
    sql.push(" WHERE id IN (").numbers(numbers).push(")");
}

/// Writes the query for the clicks with these ids, in any campaign.
pub(crate) fn select<'a>(
    sql: &mut Sql,
    prefix: &TablePrefix,
    clicks: impl Iterator<Item = (AffiliateId, &'a ClickId)>,
) {
    // Grouped, because neither server takes a long list of pairs to its index.
    let mut by_affiliate: BTreeMap<AffiliateId, BTreeSet<&ClickId>> = BTreeMap::new();
    clicks.for_each(|(affiliate, click_id)| _ = by_affiliate.entry(affiliate).or_default().insert(click_id));
    sql.push("SELECT ").push(rows::CLICK).push(" FROM ").table(prefix, "clicks").push(" WHERE ");
    sql.separated(" OR ", by_affiliate, |sql, (affiliate, click_ids)| {
        sql.push("(affiliate_id = ").number(affiliate.as_u64()).push(" AND click_id IN (");
        sql.separated(", ", click_ids, |sql, click_id| _ = sql.ascii(click_id.as_str())).push("))");
    });
}
