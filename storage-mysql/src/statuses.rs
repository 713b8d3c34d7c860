//! Statuses of conversions, and how they change.

use sqlx::mysql::MySqlRow;
use sqlx::{Error, raw_sql};
use tracking_core::{Conversion, ConversionId, StatusChange, StoreError};

use crate::attempt::{Failure, Lease, Patience, store_error, within};
use crate::counters::Changes;
use crate::rows;
use crate::sql::Sql;
use crate::store::Database;

const OPERATION: &str = "change status";

impl Database {
    /// Changes the status of a conversion, unless it has another one by now.
    ///
    /// A change of which nobody heard is tried again. If that finds another status, it looks whether the change is among
    /// those that are noted.
    pub(crate) async fn change_status(
        &self,
        id: ConversionId,
        change: &StatusChange,
    ) -> Result<Option<Conversion>, StoreError> {
        let mut patience = Patience::new(self.timeout);
        let mut is_unsure = false;
        loop {
            let found = self.conversion(id).await?;
            let changed = Conversion { status: change.to, ..found.clone() };
            if found.status != change.from {
                let is_done = is_unsure && self.noted_changes(id).await?.contains(change);
                return Ok(is_done.then_some(changed));
            }
            match self.try_change(&found, change, &patience).await {
                Ok(true) => return Ok(Some(changed)),
                // Somebody else has been faster, and it is to be seen what he has made of it.
                Ok(false) if patience.pause().await => {}
                Ok(false) => return Ok(None),
                Err(error) => {
                    let failure = Failure::of(&error);
                    is_unsure |= failure == Failure::Unavailable;
                    if !failure.may_pass() || !patience.pause().await {
                        return Err(store_error(OPERATION, error));
                    }
                }
            }
        }
    }

    /// Changes the status of this conversion, if it has the one that it is to change; tells whether it had.
    async fn try_change(
        &self,
        conversion: &Conversion,
        change: &StatusChange,
        patience: &Patience,
    ) -> Result<bool, Error> {
        let (prefix, deadline, id) = (&self.prefix, patience.deadline(), conversion.id.as_u64());
        let slot = self.writer(deadline).await?.slot;
        let mut update = Sql::default();
        update.push("UPDATE ").table(prefix, "conversions").push(" SET status = ").ascii(change.to.as_str());
        update.push(" WHERE id = ").number(id).push(" AND status = ").ascii(change.from.as_str());
        let mut note = Sql::default();
        note.push("INSERT INTO ").table(prefix, "status_changes");
        note.push(" (conversion_id, from_status, to_status, changed_at, changed_by, reason) VALUES (").number(id);
        note.push(", ").ascii(change.from.as_str()).push(", ").ascii(change.to.as_str());
        note.push(", ").time(change.changed_at).push(", ").ascii(change.changed_by.as_str());
        note.push(", ").text(change.reason.as_ref().map_or("", |reason| reason.as_str())).push(")");
        let mut changes = Changes::default();
        changes.count_status(conversion, change.from, change.to);
        let count = changes.statement(prefix, slot);

        let mut lease = Lease::take(&self.pool, deadline).await?;
        let transaction = async {
            raw_sql(self.lock_wait.begin()).execute(lease.connection()).await?;
            let is_as_seen = raw_sql(update).execute(lease.connection()).await?.rows_affected() > 0;
            if is_as_seen {
                raw_sql(note).execute(lease.connection()).await?;
                raw_sql(count).execute(lease.connection()).await?;
            }
            raw_sql(self.lock_wait.commit()).execute(lease.connection()).await?;
            Ok(is_as_seen)
        };
        let done = within(deadline, transaction).await;
        lease.end(done, self.lock_wait, deadline).await
    }

    pub(crate) async fn status_changes(&self, id: ConversionId) -> Result<Vec<StatusChange>, StoreError> {
        let changes = self.noted_changes(id).await?;
        if changes.is_empty() {
            // Unless there is no such conversion.
            self.conversion(id).await?;
        }
        Ok(changes)
    }

    async fn noted_changes(&self, id: ConversionId) -> Result<Vec<StatusChange>, StoreError> {
        let query = |sql: &mut Sql| {
            sql.push("SELECT from_status, to_status, changed_at, changed_by, CAST(reason AS BINARY) AS reason FROM ");
            sql.table(&self.prefix, "status_changes").push(" WHERE conversion_id = ").number(id.as_u64());
            // There is no way back, so this is the order in which they happened.
            sql.push(" ORDER BY to_status");
        };
        self.read("list status changes", query, status_change).await
    }
}

fn status_change(row: &MySqlRow) -> Result<StatusChange, Error> {
    Ok(StatusChange {
        from: rows::status(row, "from_status")?,
        to: rows::status(row, "to_status")?,
        changed_at: rows::time(row, "changed_at")?,
        changed_by: rows::parse("changed_by", rows::text(row, "changed_by")?.parse())?,
        reason: rows::text_or_nothing(row, "reason")?,
    })
}
