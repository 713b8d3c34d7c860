//! One record in a transaction of several statements: the application's own, or one that locks what it looks at.

use sqlx::{Connection, Error, MySqlConnection, MySqlPool, raw_sql};
use tokio::time::Instant;
use tracking_core::{Recorded, StoreError};

use crate::attempt::{Failure, Lease, Patience, Reader, is_unavailable, number_of, store_error, within};
use crate::inserts::{Inserts, Kind, Row, Verdict};
use crate::numbers::slots;
use crate::sql::Sql;

impl<K: Kind> Inserts<K> {
    /// Inserts a record in the application's own transaction, or in one of its own if the connection is in none.
    pub(crate) async fn insert_on(
        &self,
        connection: &mut MySqlConnection,
        new: K::New,
    ) -> Result<Recorded<K::Record>, StoreError> {
        let error = |error| store_error(K::OPERATION, error);
        let mut patience = Patience::new(self.database.timeout);
        let number = loop {
            match self.kind.numbers().take(&self.database, patience.deadline(), 1).await {
                Ok(numbers) => break numbers.into_iter().sum(),
                Err(error) if is_unavailable(&error) && patience.pause().await => {}
                Err(failed) => return Err(error(failed)),
            }
        };
        let mut row = Row { place: 0, number, new };
        self.insert_in_scope(connection, &mut row, &patience).await.map_err(error)?.into_result(K::OPERATION)
    }

    async fn insert_in_scope(
        &self,
        connection: &mut MySqlConnection,
        row: &mut Row<K::New>,
        patience: &Patience,
    ) -> Result<Verdict<K::Record>, Error> {
        let committed = (&self.database.pool, patience.deadline());
        // Such a transaction may stay open for long. In slots of their own they don't hold up the batches.
        let slot = slots::of_application(row.number);
        let is_in_transaction = is_in_transaction(connection).await?;
        let mut to_lock = Vec::new();
        if K::goes_alone(&row.new) {
            // Locks stay until the transaction ends, also those of a record that was refused.
            let mut reader = Reader::Both(connection, committed.0, committed.1);
            let foreseen = self.kind.foresee(&mut reader, std::slice::from_ref(row)).await?;
            if let Some(verdict) = foreseen.into_iter().next().flatten() {
                return Ok(verdict);
            }
            to_lock = self.kind.to_lock(&mut reader, &row.new).await?;
        }
        if !is_in_transaction {
            // It is rolled back when it is dropped.
            let mut transaction = connection.begin().await?;
            raw_sql(SAVEPOINT).execute(&mut *transaction).await?;
            let verdict = self.insert_within(&mut transaction, row, &to_lock, slot, Some(committed)).await?;
            transaction.commit().await?;
            return Ok(verdict);
        }
        let result = self.insert_within(connection, row, &to_lock, slot, Some(committed)).await;
        let end = match &result {
            Ok(Verdict::New(_)) => "RELEASE SAVEPOINT tracking_record",
            _ => ROLLBACK_TO_SAVEPOINT,
        };
        let ended = raw_sql(end).execute(connection).await;
        match result {
            Ok(verdict) => ended.map(|_| verdict),
            // After a deadlock the savepoint is gone, and there is nothing left to undo.
            Err(error) => Err(error),
        }
    }

    /// Inserts a record that goes alone.
    pub(crate) async fn insert_alone(&self, mut row: Row<K::New>, mut patience: Patience) -> Verdict<K::Record> {
        loop {
            let error = match self.try_alone(&mut row, &patience).await {
                Ok(verdict) => return verdict,
                Err(error) => error,
            };
            if !matches!(Failure::of(&error), Failure::Conflict | Failure::Unavailable) || !patience.pause().await {
                return Verdict::Failed(error.into());
            }
        }
    }

    async fn try_alone(&self, row: &mut Row<K::New>, patience: &Patience) -> Result<Verdict<K::Record>, Error> {
        let (database, deadline) = (&self.database, patience.deadline());
        // Neither the batches nor those beside it wait for the counters that it changes.
        let slot = slots::of_single(row.number);
        let mut lease = Lease::take(&database.pool, deadline).await?;
        let transaction = async {
            let to_lock = self.kind.to_lock(&mut Reader::Transaction(lease.connection()), &row.new).await?;
            raw_sql(database.lock_wait.begin()).execute(lease.connection()).await?;
            raw_sql(SAVEPOINT).execute(lease.connection()).await?;
            let verdict = self.insert_within(lease.connection(), row, &to_lock, slot, None).await?;
            let end = match &verdict {
                Verdict::New(_) => database.lock_wait.commit(),
                // There is nothing to commit.
                _ => database.lock_wait.rollback(),
            };
            raw_sql(end).execute(lease.connection()).await?;
            Ok(verdict)
        };
        let done = within(deadline, transaction).await;
        lease.end(done, database.lock_wait, deadline).await
    }

    /// Inserts a record in a transaction. `committed` is where to look for what others have committed since an
    /// application's transaction first read something; one that has just begun sees it.
    ///
    /// Nothing is read under a lock that is not there: a lock on what is absent holds up whoever inserts beside it, for as
    /// long as the transaction is open.
    async fn insert_within(
        &self,
        connection: &mut MySqlConnection,
        row: &mut Row<K::New>,
        to_lock: &[u64],
        slot: u8,
        committed: Option<(&MySqlPool, Instant)>,
    ) -> Result<Verdict<K::Record>, Error> {
        if K::goes_alone(&row.new)
            && let Some(verdict) = {
                let mut reader = committed.map(|(pool, deadline)| Reader::Beside(pool, deadline));
                self.kind.lock(connection, to_lock, reader.as_mut(), row).await?
            }
        {
            return Ok(verdict);
        }
        if let (Some(verdict), _) = self.judge(connection, committed, row, None).await? {
            return Ok(verdict);
        }
        let mut attempts = 0;
        loop {
            let statements = self.kind.statements(std::slice::from_ref(row), slot);
            let error = match execute_all(connection, statements).await {
                Ok(()) => {
                    let record = K::record(row.new.clone(), row.number);
                    return record.map(Verdict::New).map_err(|error| Error::Decode(error.into()));
                }
                Err(error) => error,
            };
            let failure = Failure::of(&error);
            if !matches!(failure, Failure::Duplicate | Failure::MissingReference) {
                return Err(error);
            }
            // The statements before it have succeeded.
            raw_sql(ROLLBACK_TO_SAVEPOINT).execute(&mut *connection).await?;
            attempts += 1;
            match self.judge(connection, committed, row, Some(failure)).await? {
                (Some(verdict), _) => return Ok(verdict),
                // It goes another way now.
                (None, true) if attempts < ATTEMPTS => {}
                (None, _) => return Err(error),
            }
        }
    }

    /// Looks at what the transaction sees, and, where that does not settle it, also at what others have committed. Tells
    /// whether the row has become another than it was, too.
    async fn judge(
        &self,
        connection: &mut MySqlConnection,
        committed: Option<(&MySqlPool, Instant)>,
        row: &mut Row<K::New>,
        failed: Option<Failure>,
    ) -> Result<(Option<Verdict<K::Record>>, bool), Error> {
        let before = row.new.clone();
        let findings =
            self.kind.look(&mut Reader::Transaction(&mut *connection), std::slice::from_mut(row), failed).await?;
        let (seen, is_changed) = (findings.verdicts.into_iter().next().flatten(), findings.are_rows_changed);
        let is_settled = match &seen {
            Some(Verdict::New(_) | Verdict::Duplicate(_)) => true,
            Some(_) => false,
            None => failed.is_none(),
        };
        let Some((pool, deadline)) = committed.filter(|_| !is_settled) else { return Ok((seen, is_changed)) };
        // At both, because what the transaction itself has noted nobody else sees.
        row.new = before;
        let mut both = Reader::Both(connection, pool, deadline);
        let findings = self.kind.look(&mut both, std::slice::from_mut(row), failed).await?;
        Ok((findings.verdicts.into_iter().next().flatten(), findings.are_rows_changed))
    }
}

async fn execute_all(connection: &mut MySqlConnection, statements: Vec<Sql>) -> Result<(), Error> {
    for statement in statements {
        raw_sql(statement).execute(&mut *connection).await?;
    }
    Ok(())
}

const SAVEPOINT: &str = "SAVEPOINT tracking_record";
const ROLLBACK_TO_SAVEPOINT: &str = "ROLLBACK TO SAVEPOINT tracking_record";

/// How often a record is tried that others make another one.
const ATTEMPTS: u32 = 3;

const ER_SP_DOES_NOT_EXIST: u16 = 1305;

/// Whether the connection is in a transaction of the application's, which then has a savepoint.
async fn is_in_transaction(connection: &mut MySqlConnection) -> Result<bool, Error> {
    raw_sql(SAVEPOINT).execute(&mut *connection).await?;
    // Outside of a transaction a savepoint ends with the statement that sets it. Of a transaction that was begun in plain
    // SQL nobody knows but the server.
    match raw_sql(ROLLBACK_TO_SAVEPOINT).execute(&mut *connection).await {
        Ok(_) => Ok(true),
        // Unless it is the server that has ended a transaction, of which the application has to hear.
        Err(error) if number_of(&error) == Some(ER_SP_DOES_NOT_EXIST) && !connection.is_in_transaction() => Ok(false),
        Err(error) => Err(error),
    }
}
