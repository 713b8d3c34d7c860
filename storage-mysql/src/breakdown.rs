//! Reports for which there are no counters, by a look at each record.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::TryStreamExt;
use sqlx::mysql::MySqlRow;
use sqlx::{Error, Executor, MySqlConnection, Row, raw_sql};
use tokio::time::{Instant, timeout_at};
use tracking_core::{Attribute, Breakdown, Currency, StoreError, Summary};

use crate::attempt::{Failure, GRACE, is_time_over, store_error};
use crate::lists::{keys_of_clicks, keys_of_conversions, within};
use crate::rows;
use crate::sql::Sql;
use crate::store::Database;

const OPERATION: &str = "break down records";

type Groups = BTreeMap<Option<String>, Summary>;

/// Why there are no groups.
#[derive(Debug)]
enum Halt {
    TimeIsOver,
    TooManyGroups,
    Failed(Error),
}

impl From<Error> for Halt {
    fn from(error: Error) -> Self {
        if is_time_over(&error) { Self::TimeIsOver } else { Self::Failed(error) }
    }
}

impl Database {
    /// The server stops it when its time is over; if it does not, nobody waits for it any longer. Once it has begun, it does
    /// not begin again: an operator may have stopped it.
    pub(crate) async fn breakdown(&self, wanted: &Breakdown) -> Result<Vec<(Option<String>, Summary)>, StoreError> {
        let deadline = Instant::now() + wanted.time_limit;
        match timeout_at(deadline + GRACE, self.groups(wanted, deadline)).await {
            Ok(Ok(groups)) => Ok(groups.into_iter().collect()),
            Ok(Err(Halt::TimeIsOver)) | Err(_) => Err(StoreError::TooSlow { operation: OPERATION }),
            Ok(Err(Halt::TooManyGroups)) => Err(StoreError::TooManyGroups { max: wanted.max_groups }),
            Ok(Err(Halt::Failed(error))) => Err(store_error(OPERATION, error)),
        }
    }

    async fn groups(&self, wanted: &Breakdown, deadline: Instant) -> Result<Groups, Halt> {
        let mut lease = self.snapshot(Instant::now() + self.timeout).await?;
        let done = self.look(lease.connection(), wanted, deadline).await;
        let may_go_on = match &done {
            Ok(_) | Err(Halt::TimeIsOver) => true,
            // What is left of them is still to come.
            Err(Halt::TooManyGroups) => false,
            Err(Halt::Failed(error)) => Failure::of(error) != Failure::Unavailable,
        };
        if may_go_on && raw_sql("COMMIT").execute(lease.connection()).await.is_ok() {
            lease.give_back();
        }
        done
    }

    async fn look(
        &self,
        connection: &mut MySqlConnection,
        wanted: &Breakdown,
        deadline: Instant,
    ) -> Result<Groups, Halt> {
        let clicks = match wanted.by {
            Attribute::Event => None,
            _ => Some(self.path(connection, "clicks", keys_of_clicks(wanted.scope), wanted, deadline).await?),
        };
        let keys = keys_of_conversions(wanted.scope, None);
        let conversions = self.path(connection, "conversions", keys, wanted, deadline).await?;
        let query = self.break_down(wanted, clicks.as_ref(), &conversions, time_left(deadline)?);
        let mut found = connection.fetch(raw_sql(query));
        let mut groups = Groups::new();
        while let Some(row) = found.try_next().await? {
            add(&mut groups, &row)?;
            if groups.len() > wanted.max_groups {
                return Err(Halt::TooManyGroups);
            }
        }
        Ok(groups)
    }

    /// Finds out from these keys, which have all that it takes, where in the table the records are.
    async fn path(
        &self,
        connection: &mut MySqlConnection,
        table: &'static str,
        keys: &'static str,
        wanted: &Breakdown,
        deadline: Instant,
    ) -> Result<Path, Halt> {
        let mut sql = Sql::default();
        sql.select_for(time_left(deadline)?).push("COUNT(*) AS records, COALESCE(MIN(id), 0) AS first, ");
        sql.push("COALESCE(MAX(id), 0) AS last FROM ").table(&self.prefix, table);
        sql.push(" FORCE INDEX (").push(keys).push(") WHERE TRUE");
        within(&mut sql, "", wanted.scope, Some(wanted.from), Some(wanted.to));
        let row = raw_sql(sql).fetch_one(connection).await?;
        let (first, last) = (rows::number(&row, "first")?, rows::number(&row, "last")?);
        let is_dense = last - first < rows::number(&row, "records")?.saturating_mul(Path::PASSED);
        Ok(if is_dense { Path::Range { first, last } } else { Path::Keys(keys) })
    }

    /// Clicks by mark, and conversions by the marks of their clicks. Texts of clicks that differ by spaces at their ends only
    /// would be the same, but for their lengths.
    fn break_down(&self, wanted: &Breakdown, clicks: Option<&Path>, conversions: &Path, time_left: Duration) -> Sql {
        let (mark, group) = match wanted.by {
            Attribute::Event => ("v.event AS mark", "v.event"),
            Attribute::Source => ("c.source AS mark", "c.source, LENGTH(c.source)"),
            Attribute::Sub1 => ("c.sub1 AS mark", "c.sub1, LENGTH(c.sub1)"),
            Attribute::Sub2 => ("c.sub2 AS mark", "c.sub2, LENGTH(c.sub2)"),
            Attribute::Sub3 => ("c.sub3 AS mark", "c.sub3, LENGTH(c.sub3)"),
            Attribute::Sub4 => ("c.sub4 AS mark", "c.sub4, LENGTH(c.sub4)"),
            Attribute::Sub5 => ("c.sub5 AS mark", "c.sub5, LENGTH(c.sub5)"),
        };
        let mut sql = Sql::default();
        sql.select_for(time_left);
        if let Some(path) = clicks {
            sql.push(mark).push(", COUNT(*) AS clicks, CAST(SUM(c.bot = '') AS SIGNED) AS human_clicks, ");
            sql.push("CAST(SUM(c.bot = '' AND c.is_repeat = 0) AS SIGNED) AS unique_clicks, '' AS currency, ");
            sql.push("'' AS payout_currency, '' AS status, 0 AS conversions, 0.000000 AS amount, ");
            sql.push("0.000000000000 AS payout FROM ").table(&self.prefix, "clicks").push(" c");
            path.write_keys(&mut sql);
            path.write_condition(sql.push(" WHERE "), "c.");
            within(&mut sql, "c.", wanted.scope, Some(wanted.from), Some(wanted.to));
            sql.push(" GROUP BY ").push(group).push(" UNION ALL SELECT ");
        }
        sql.push(mark).push(", 0 AS clicks, 0 AS human_clicks, 0 AS unique_clicks, v.currency, ");
        sql.push("v.payout_currency, CAST(v.status AS CHAR) AS status, COUNT(*) AS conversions, ");
        sql.push("SUM(v.amount) AS amount, COALESCE(SUM(v.payout), 0.000000000000) AS payout FROM ");
        sql.table(&self.prefix, "conversions").push(" v");
        conversions.write_keys(&mut sql);
        if clicks.is_some() {
            sql.push(" STRAIGHT_JOIN ")
                .table(&self.prefix, "clicks")
                .push(" c FORCE INDEX (PRIMARY) ON c.id = v.click_id");
        }
        sql.push(" WHERE ");
        conversions.write_condition(&mut sql, "v.");
        within(&mut sql, "v.", wanted.scope, Some(wanted.from), Some(wanted.to));
        sql.push(" GROUP BY ").push(group).push(", v.currency, v.payout_currency, v.status");
        sql
    }
}

/// How to come by the records of a scope and a period.
#[derive(Debug)]
enum Path {
    /// From the first of their ids to the last one. Ids are given out in blocks, so that others may be between them.
    Range { first: u64, last: u64 },
    /// By these keys, and each in the table.
    Keys(&'static str),
}

impl Path {
    /// Of how many rows of a range one has to be of the records. To look a row up costs several times as much as to pass it.
    const PASSED: u64 = 4;

    fn write_keys(&self, sql: &mut Sql) {
        let keys = match self {
            Self::Range { .. } => "PRIMARY",
            Self::Keys(keys) => keys,
        };
        sql.push(" FORCE INDEX (").push(keys).push(")");
    }

    fn write_condition(&self, sql: &mut Sql, table: &'static str) {
        match self {
            Self::Range { first, last } => {
                sql.push(table).push("id >= ").number(*first).push(" AND ").push(table).push("id <= ").number(*last);
            }
            Self::Keys(_) => _ = sql.push("TRUE"),
        }
    }
}

/// How long a statement may take.
fn time_left(deadline: Instant) -> Result<Duration, Halt> {
    let left = deadline.duration_since(Instant::now());
    if left.is_zero() { Err(Halt::TimeIsOver) } else { Ok(left) }
}

fn add(groups: &mut Groups, row: &MySqlRow) -> Result<(), Error> {
    let mark = rows::text(row, "mark")?;
    let group = groups.entry((!mark.is_empty()).then(|| mark.to_owned())).or_default();
    group.clicks += rows::number(row, "clicks")?;
    group.human_clicks += rows::number(row, "human_clicks")?;
    group.unique_clicks += rows::number(row, "unique_clicks")?;
    let Some(currency) = rows::text_or_nothing::<Currency>(row, "currency")? else { return Ok(()) };
    let tally = group.tally_mut(rows::status(row, "status")?);
    tally.conversions += rows::number(row, "conversions")?;
    tally.revenue.add_sum(row.try_get("amount")?, currency);
    if let Some(currency) = rows::text_or_nothing::<Currency>(row, "payout_currency")? {
        tally.payout.add_sum(row.try_get("payout")?, currency);
    }
    Ok(())
}
