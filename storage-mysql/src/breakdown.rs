//! Reports for which there are no counters, by a look at each record.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::TryStreamExt;
use rust_decimal::Decimal;
use sqlx::mysql::MySqlRow;
use sqlx::{Error, Executor, Row, raw_sql};
use tokio::time::{Instant, timeout_at};
use tracking_core::{Attribute, Breakdown, Currency, StoreError, Summary};

use crate::attempt::{Failure, Lease, number_of, store_error};
use crate::lists::within;
use crate::rows;
use crate::sql::Sql;
use crate::store::Database;

const OPERATION: &str = "break down records";

/// How much longer than it was told to stop a server may take to do so.
const GRACE: Duration = Duration::from_secs(2);

/// Whether it was the server that has found the time to be over: ER_STATEMENT_TIMEOUT of MariaDB, ER_QUERY_TIMEOUT of MySQL.
fn is_time_over(error: &Error) -> bool {
    matches!(number_of(error), Some(1969 | 3024))
}

type Groups = BTreeMap<Option<String>, Summary>;

impl Database {
    /// One statement that reads what was committed before it, and locks nothing. The server stops it when its time is over; if
    /// it does not, nobody waits for it any longer.
    pub(crate) async fn breakdown(&self, wanted: &Breakdown) -> Result<Vec<(Option<String>, Summary)>, StoreError> {
        let deadline = Instant::now() + wanted.time_limit + GRACE;
        let mut broken = 0;
        loop {
            let error = match timeout_at(deadline, self.groups(wanted)).await {
                Ok(Ok(groups)) if groups.len() > wanted.max_groups => {
                    return Err(StoreError::TooManyGroups { max: wanted.max_groups });
                }
                Ok(Ok(groups)) => return Ok(groups.into_iter().collect()),
                Ok(Err(error)) => error,
                Err(_) => return Err(StoreError::TooSlow { operation: OPERATION }),
            };
            if is_time_over(&error) {
                return Err(StoreError::TooSlow { operation: OPERATION });
            }
            // After the server was restarted all connections that were idle are broken.
            broken += 1;
            if Failure::of(&error) != Failure::Unavailable || broken > self.pool.options().get_max_connections() {
                return Err(store_error(OPERATION, error));
            }
        }
    }

    /// No more than one group more than there may be.
    async fn groups(&self, wanted: &Breakdown) -> Result<Groups, Error> {
        let mut groups = Groups::new();
        let mut lease = Lease::take(&self.pool, Instant::now() + self.timeout).await?;
        let done = {
            let mut found = lease.connection().fetch(raw_sql(self.break_down(wanted)));
            loop {
                match found.try_next().await {
                    Ok(Some(row)) => add(&mut groups, &row)?,
                    Ok(None) => break Ok(()),
                    Err(error) => break Err(error),
                }
                // The connection is closed with what is left on it.
                if groups.len() > wanted.max_groups {
                    return Ok(groups);
                }
            }
        };
        match done {
            Ok(()) => {
                lease.give_back();
                Ok(groups)
            }
            Err(error) => {
                if is_time_over(&error) {
                    lease.give_back();
                } else {
                    lease.give_back_after(&error);
                }
                Err(error)
            }
        }
    }

    /// Clicks by mark, and conversions by the marks of their clicks. Bytes are grouped, because texts that differ by spaces at
    /// their ends only would be the same.
    fn break_down(&self, wanted: &Breakdown) -> Sql {
        let column = match wanted.by {
            Attribute::Event => "CAST(v.event AS BINARY) AS mark",
            Attribute::Source => "CAST(c.source AS BINARY) AS mark",
            Attribute::Sub1 => "CAST(c.sub1 AS BINARY) AS mark",
            Attribute::Sub2 => "CAST(c.sub2 AS BINARY) AS mark",
            Attribute::Sub3 => "CAST(c.sub3 AS BINARY) AS mark",
            Attribute::Sub4 => "CAST(c.sub4 AS BINARY) AS mark",
            Attribute::Sub5 => "CAST(c.sub5 AS BINARY) AS mark",
        };
        let has_clicks = wanted.by != Attribute::Event;
        let mut sql = Sql::default();
        // Each server takes the other's limit for a comment.
        sql.push("/*M! SET STATEMENT max_statement_time = ").decimal(Decimal::new(millis(wanted), 3));
        sql.push(" FOR */ SELECT /*+ MAX_EXECUTION_TIME(").signed(millis(wanted)).push(") */ ");
        if has_clicks {
            sql.push(column).push(", COUNT(*) AS clicks, CAST(SUM(c.bot = '') AS SIGNED) AS human_clicks, ");
            sql.push("CAST(SUM(c.bot = '' AND c.is_repeat = 0) AS SIGNED) AS unique_clicks, '' AS currency, ");
            sql.push("'' AS payout_currency, '' AS status, 0 AS conversions, 0.000000 AS amount, ");
            sql.push("0.000000000000 AS payout FROM ").table(&self.prefix, "clicks").push(" c WHERE ");
            within(sql.push("TRUE"), "c.", wanted.scope, Some(wanted.from), Some(wanted.to));
            sql.push(" GROUP BY mark UNION ALL SELECT ");
        }
        sql.push(column).push(", 0 AS clicks, 0 AS human_clicks, 0 AS unique_clicks, v.currency, ");
        sql.push("v.payout_currency, CAST(v.status AS CHAR) AS status, COUNT(*) AS conversions, ");
        sql.push("SUM(v.amount) AS amount, COALESCE(SUM(v.payout), 0.000000000000) AS payout FROM ");
        sql.table(&self.prefix, "conversions").push(" v");
        if has_clicks {
            sql.push(" JOIN ").table(&self.prefix, "clicks").push(" c ON c.id = v.click_id");
        }
        within(sql.push(" WHERE TRUE"), "v.", wanted.scope, Some(wanted.from), Some(wanted.to));
        sql.push(" GROUP BY mark, v.currency, v.payout_currency, v.status");
        sql
    }
}

/// What a server is told; for it, 0 is no limit.
fn millis(wanted: &Breakdown) -> i64 {
    i64::try_from(wanted.time_limit.as_millis()).unwrap_or(i64::MAX).clamp(1, i64::from(i32::MAX))
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
