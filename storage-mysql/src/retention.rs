//! Old clicks are deleted, and clicks of persons who ask for it are made anonymous.
//!
//! In short transactions, which lock nothing but the rows that they change, so that nobody waits for them for long.

use std::collections::{BTreeSet, HashSet};

use sqlx::mysql::MySqlRow;
use sqlx::{Error, raw_sql};
use tracking_core::{AffiliateId, ClickId, ClickRecordId, Cursor, Page, PurgeRequest, Purged, StoreError, Timestamp};

use crate::attempt::{Failure, Lease, Patience, Reader, change, store_error, within};
use crate::sql::{Sql, TablePrefix};
use crate::store::Database;
use crate::{details, rows, visitors};

/// A click that is old enough for a purge.
struct OldClick {
    place: Cursor,
    /// Whether there is something to do about it: not if it was purged before, and kept for its conversions.
    is_due: bool,
}

impl Database {
    pub(crate) async fn purge_clicks(
        &self,
        affiliate: AffiliateId,
        request: PurgeRequest,
    ) -> Result<Purged, StoreError> {
        let query = |sql: &mut Sql| {
            sql.push("SELECT p.id, p.timestamp, (").push(details::IS_KNOWN).push(" OR NOT EXISTS (SELECT 1 FROM ");
            sql.table(&self.prefix, "conversions").push(" v WHERE v.click_id = p.id)) AS is_due FROM ");
            // First what the index itself has: MariaDB would otherwise read, and pass over, all that is before the place.
            sql.push("(SELECT id, timestamp FROM ").table(&self.prefix, "clicks");
            sql.push(" FORCE INDEX (newest) WHERE affiliate_id = ").number(affiliate.as_u64());
            sql.push(" AND timestamp < ").time(request.before);
            if let Some(after) = request.after {
                // Not as a comparison of pairs, which neither server takes to its index.
                sql.push(" AND timestamp >= ").time(after.created_at());
                sql.push(" AND (timestamp > ").time(after.created_at());
                sql.push(" OR id > ").number(after.id()).push(")");
            }
            sql.push(" ORDER BY timestamp, id LIMIT ").number(request.limit.as_usize() as u64 + 1).push(") p JOIN ");
            sql.table(&self.prefix, "clicks").push(" c ON c.id = p.id ORDER BY p.timestamp, p.id");
        };
        let to_click = |row: &MySqlRow| {
            let place = Cursor::after(rows::time(row, "timestamp")?, rows::number(row, "id")?);
            Ok(OldClick { place, is_due: rows::number(row, "is_due")? != 0 })
        };
        let found = self.read("purge clicks", query, to_click).await?;
        self.check_scope(affiliate.into(), found.is_empty()).await?;
        let Page { items, next } = Page::from_one_more(found, request.limit, |click| click.place);
        let due: Vec<u64> = items.iter().filter(|click| click.is_due).map(|click| click.place.id()).collect();
        let purged = self.purge(due).await.map_err(|error| store_error("purge clicks", error));
        Ok(Purged { deleted: purged?, next })
    }

    /// Purges these, and returns how many were deleted.
    async fn purge(&self, due: Vec<u64>) -> Result<u64, Error> {
        if due.is_empty() {
            return Ok(0);
        }
        let mut patience = Patience::new(self.timeout);
        loop {
            let deadline = patience.deadline();
            let mut lease = Lease::take(&self.pool, deadline).await?;
            let done = within(deadline, self.purge_on(&mut lease, &due)).await;
            let error = match lease.end(done, self.lock_wait, deadline).await {
                Ok(deleted) => return Ok(deleted),
                Err(error) => error,
            };
            // If it has happened after all, the next attempt finds none of them, and they are not counted as deleted.
            if !Failure::of(&error).may_pass() || !patience.pause().await {
                return Err(error);
            }
        }
    }

    /// A conversion locks its click, to make sure that it is there. So of a click that is locked here nobody can add one,
    /// and one that is locked elsewhere is passed over: it is about to have one.
    async fn purge_on(&self, lease: &mut Lease, due: &[u64]) -> Result<u64, Error> {
        raw_sql(self.lock_wait.begin_change()).execute(lease.connection()).await?;
        let free = |sql: &mut Sql| {
            sql.push("SELECT id FROM ").table(&self.prefix, "clicks").push(" FORCE INDEX (PRIMARY) WHERE id IN (");
            sql.numbers(due.iter().copied()).push(") FOR UPDATE SKIP LOCKED");
        };
        let free = self.ids(lease, "id", free).await?;
        let mut deleted = 0;
        if !free.is_empty() {
            let converted = |sql: &mut Sql| {
                sql.push("SELECT DISTINCT click_id FROM ").table(&self.prefix, "conversions");
                sql.push(" WHERE click_id IN (").numbers(free.iter().copied()).push(")");
            };
            let converted: HashSet<u64> = self.ids(lease, "click_id", converted).await?.into_iter().collect();
            let (kept, gone): (Vec<u64>, Vec<u64>) = free.iter().partition(|id| converted.contains(*id));
            if !gone.is_empty() {
                let mut sql = Sql::default();
                sql.push("DELETE c FROM ");
                by_number(&mut sql, &self.prefix, gone);
                deleted = raw_sql(sql).execute(lease.connection()).await?.rows_affected();
            }
            if !kept.is_empty() {
                let mut sql = Sql::default();
                by_number(sql.push("UPDATE "), &self.prefix, kept);
                sql.push(" SET ").push(details::FORGET);
                raw_sql(sql).execute(lease.connection()).await?;
            }
        }
        raw_sql(self.lock_wait.commit()).execute(lease.connection()).await?;
        Ok(deleted)
    }

    async fn ids(&self, lease: &mut Lease, column: &'static str, query: impl Fn(&mut Sql)) -> Result<Vec<u64>, Error> {
        let found = Reader::Transaction(lease.connection()).rows(query).await?;
        found.iter().map(|row| rows::number(row, column)).collect()
    }

    pub(crate) async fn erase_clicks(&self, click_id: &ClickId, replacement: &ClickId) -> Result<u64, StoreError> {
        let query = |sql: &mut Sql| {
            // There is no index on the click id alone, which every click would have to pay for. So each affiliate is
            // asked; the order of the join keeps the server from reading all clicks.
            sql.push("SELECT c.id, c.timestamp FROM ").table(&self.prefix, "affiliates").push(" a STRAIGHT_JOIN ");
            sql.table(&self.prefix, "clicks").push(" c FORCE INDEX (identity) ON c.affiliate_id = a.id");
            sql.push(" AND c.click_id = ").ascii(click_id.as_str());
        };
        let to_click = |row: &MySqlRow| {
            Ok((rows::parse("id", ClickRecordId::new(rows::number(row, "id")?))?, rows::time(row, "timestamp")?))
        };
        // Also of a click that was never there.
        self.erase_from_log(click_id, replacement).await?;
        let found = self.read("erase clicks", query, to_click).await?;
        if found.is_empty() {
            return Ok(0);
        }
        let (found, times): (Vec<ClickRecordId>, BTreeSet<Timestamp>) = found.into_iter().unzip();
        // Whoever came first at the very time of the click is, most probably, its visitor. Anybody else loses little.
        let visitors = self.visitors_of("erase clicks", &times).await?;
        let mut patience = Patience::new(self.timeout);
        loop {
            let mut sql = Sql::default();
            by_number(sql.push("UPDATE "), &self.prefix, found.iter().map(|id| id.as_u64()));
            sql.push(" SET c.click_id = ").ascii(replacement.as_str()).push(", ").push(details::FORGET);
            // The second one, in case that an attempt has succeeded of which nobody heard.
            sql.push(" WHERE c.click_id IN (")
                .ascii(click_id.as_str())
                .push(", ")
                .ascii(replacement.as_str())
                .push(")");
            let mut marks = Sql::default();
            numbers(marks.push("UPDATE "), found.iter().map(|id| id.as_u64()));
            marks.push(" STRAIGHT_JOIN ").table(&self.prefix, "conversions");
            marks.push(" v FORCE INDEX (identity) ON v.click_id = p.id SET ").push(details::FORGET_MARKS);
            let mut statements = vec![sql, marks];
            if !visitors.is_empty() {
                statements.push(visitors::delete(&self.prefix, visitors.iter().copied()));
            }
            let changed = change(self, statements, patience.deadline()).await;
            self.seen_clicks.forget(&found);
            match changed {
                Ok(erased) => return Ok(erased),
                Err(error) if Failure::of(&error).may_pass() && patience.pause().await => {}
                Err(error) => return Err(store_error("erase clicks", error)),
            }
        }
    }
}

/// Writes the clicks with these numbers, as tables of a statement that changes them.
///
/// By a join, and not by a condition: for that the server may read the whole table if it is small, and wait at each row
/// that somebody has locked.
fn by_number(sql: &mut Sql, prefix: &TablePrefix, ids: impl IntoIterator<Item = u64>) {
    numbers(sql, ids);
    sql.push(" STRAIGHT_JOIN ").table(prefix, "clicks").push(" c FORCE INDEX (PRIMARY) ON c.id = p.id");
}

/// Writes these numbers as a table.
fn numbers(sql: &mut Sql, numbers: impl IntoIterator<Item = u64>) {
    sql.push("JSON_TABLE('[").numbers(numbers).push("]', '$[*]' COLUMNS (id BIGINT PATH '$')) p");
}
