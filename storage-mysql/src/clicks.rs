//! New clicks.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use sqlx::{Error, MySqlConnection};
use tracking_core::{
    AffiliateId, CampaignId, Click, ClickId, ClickRecordId, NewClick, ParseError, VisitorHash, async_trait,
};

use crate::attempt::{Failure, Reader};
use crate::columns::Columns;
use crate::counters::Changes;
use crate::inserts::{Findings, Kind, Row, Verdict};
use crate::numbers::Sequence;
use crate::sql::{Sql, TablePrefix};
use crate::store::Database;
use crate::visitors::Visit;
use crate::{details, rows, visitors};

#[derive(Debug)]
pub(crate) struct Clicks {
    pub(crate) database: Arc<Database>,
    pub(crate) numbers: Sequence,
}

#[async_trait]
impl Kind for Clicks {
    const OPERATION: &'static str = "insert click";
    type New = Visit;
    type Record = Click;
    type Identity = (AffiliateId, CampaignId, ClickId);
    type Note = VisitorHash;

    fn numbers(&self) -> &Sequence {
        &self.numbers
    }

    fn identity(Visit { click, .. }: &Visit) -> Self::Identity {
        (click.affiliate_id, click.campaign_id, click.click_id.clone())
    }

    fn note(Visit { click, .. }: &Visit) -> Option<VisitorHash> {
        click.visitor.map(|visitor| visitor.today)
    }

    fn record(new: Visit, number: u64) -> Result<Click, ParseError> {
        Ok(new.click.into_click(ClickRecordId::new(number)?))
    }

    fn statements(&self, rows: &[Row<Visit>], slot: u8) -> Vec<Sql> {
        let prefix = &self.database.prefix;
        let columns = Columns::of(details::COLUMNS, rows.iter().map(|row| &row.new.click.details));
        let mut sql = Sql::with_capacity(256 + 256 * rows.len());
        sql.push("INSERT INTO ").table(prefix, "clicks").push(" (id, affiliate_id, campaign_id, click_id, timestamp");
        columns.write_names(&mut sql);
        sql.push(") VALUES ");
        sql.separated(", ", rows, |sql, Row { number, new: Visit { click, .. }, .. }| {
            sql.push("(").number(*number);
            sql.push(", ").number(click.affiliate_id.as_u64()).push(", ").number(click.campaign_id.as_u64());
            sql.push(", ").ascii(click.click_id.as_str()).push(", ").time(click.created_at);
            columns.write_values(sql, &click.details);
            sql.push(")");
        });
        let mut changes = Changes::default();
        rows.iter().for_each(|row| changes.count_click(&row.new.click));
        let mut statements = vec![sql];
        statements.extend(visitors::statements(prefix, rows.iter().map(|row| &row.new)));
        statements.push(changes.statement(prefix, slot));
        statements
    }

    async fn look(
        &self,
        reader: &mut Reader<'_>,
        rows: &mut [Row<Visit>],
        failed: Option<Failure>,
    ) -> Result<Findings<Click>, Error> {
        let ids = || rows.iter().map(|row| (row.new.click.affiliate_id, row.new.click.campaign_id));
        if failed == Some(Failure::MissingReference) {
            self.database.known.forget(ids());
        }
        let missing = self.database.known.missing(reader, &self.database.prefix, ids()).await?;
        let mut found = HashMap::new();
        // By number, because a click may have another id by now: one that was inserted, of which nobody heard, and erased.
        let mut own = HashMap::new();
        if failed.is_some() {
            let prefix = &self.database.prefix;
            let clicks = rows.iter().map(|row| (row.new.click.affiliate_id, &row.new.click.click_id));
            let query = |sql: &mut Sql| {
                select(sql, prefix, clicks.clone());
                select_numbers(sql.push(" UNION ALL "), prefix, rows.iter().map(|row| row.number));
            };
            for row in reader.rows(query).await? {
                let click = rows::click(&row)?;
                own.insert(click.id.as_u64(), click.clone());
                found.insert((click.affiliate_id, click.campaign_id, click.click_id.clone()), click);
            }
        }
        let verdict = |row: &Row<Visit>| {
            let NewClick { affiliate_id, campaign_id, .. } = row.new.click;
            if missing.affiliates.contains(&affiliate_id) {
                return Some(Verdict::UnknownAffiliate(affiliate_id));
            }
            if missing.campaigns.contains(&campaign_id) {
                return Some(Verdict::UnknownCampaign(campaign_id));
            }
            let is_own = |click: &&Click| {
                // Somebody who writes to the table himself may have taken the number.
                (click.affiliate_id, click.campaign_id, click.created_at)
                    == (affiliate_id, campaign_id, row.new.click.created_at)
            };
            let own = own.get(&row.number).filter(is_own);
            let click = own.or_else(|| found.get(&Self::identity(&row.new)))?.clone();
            Some(row.meets(click.id.as_u64(), click))
        };
        let verdicts: Vec<_> = rows.iter().map(verdict).collect();
        let pending = rows.iter_mut().zip(&verdicts).filter(|(_, verdict)| verdict.is_none());
        let visits = pending.map(|(row, _)| &mut row.new);
        let are_rows_changed = visitors::judge(reader, &self.database.prefix, visits).await?;
        Ok(Findings { verdicts, are_rows_changed })
    }

    fn goes_alone(_: &Visit) -> bool {
        false
    }

    async fn foresee(&self, _: &mut Reader<'_>, _: &[Row<Visit>]) -> Result<Vec<Option<Verdict<Click>>>, Error> {
        Ok(Vec::new())
    }

    async fn to_lock(&self, _: &mut Reader<'_>, _: &Visit) -> Result<Vec<u64>, Error> {
        Ok(Vec::new())
    }

    async fn lock(
        &self,
        _: &mut MySqlConnection,
        _: &[u64],
        _: Option<&mut Reader<'_>>,
        _: &Row<Visit>,
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
