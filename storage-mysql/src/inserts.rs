//! Batches of new records: one transaction for all of them, and an answer for each.

use std::collections::HashMap;
use std::fmt::Debug;
use std::hash::Hash;
use std::sync::Arc;

use sqlx::{Error, MySqlConnection, raw_sql};
use tokio::time::Instant;
use tracking_core::{AffiliateId, Batch, CampaignId, ClickId, ParseError, Recorded, StoreError, async_trait};

use crate::attempt::{
    Failure, Lease, Patience, Reader, SharedError, is_unavailable, number_of, store_error, transact, within,
};
use crate::numbers::{Sequence, slots};
use crate::sql::Sql;
use crate::store::{Database, Writer};

/// What is particular to clicks, and to conversions.
#[async_trait]
pub(crate) trait Kind: Debug + Send + Sync + 'static {
    /// What is being done.
    const OPERATION: &'static str;
    type New: Clone + Send + Sync + 'static;
    type Record: Clone + Send + Sync + 'static;
    /// What no two records have in common.
    type Identity: Eq + Hash + Send;

    fn numbers(&self) -> &Sequence;
    fn identity(new: &Self::New) -> Self::Identity;
    fn record(new: Self::New, number: u64) -> Result<Self::Record, ParseError>;

    /// The statements that insert and count these rows. They fail if one of the rows can't be inserted.
    fn statements(&self, rows: &[Row<Self::New>], slot: u8) -> [Sql; 2];

    /// Looks which of these rows need not, or can't, be inserted, before a first attempt or after one that failed.
    async fn look(
        &self,
        reader: &mut Reader<'_>,
        rows: &[Row<Self::New>],
        failed: Option<Failure>,
    ) -> Result<Verdicts<Self>, Error>;

    /// Whether this one needs a transaction of its own.
    fn goes_alone(new: &Self::New) -> bool;

    /// What has to be looked at, and locked, before one that goes alone is inserted in the same transaction.
    async fn lock(
        &self,
        connection: &mut MySqlConnection,
        row: &Row<Self::New>,
    ) -> Result<Option<Verdict<Self::Record>>, Error>;
}

/// One for each row, or none where it is still to be inserted.
pub(crate) type Verdicts<K> = Vec<Option<Verdict<<K as Kind>::Record>>>;

/// A record that is to be inserted under this number.
#[derive(Debug)]
pub(crate) struct Row<N> {
    /// Where its verdict belongs.
    place: usize,
    pub(crate) number: u64,
    pub(crate) new: N,
}

/// What became of a row.
#[derive(Debug, Clone)]
pub(crate) enum Verdict<R> {
    New(R),
    Duplicate(R),
    UnknownAffiliate(AffiliateId),
    UnknownCampaign(CampaignId),
    UnknownClick(ClickId),
    Failed(SharedError),
}

impl<R> Verdict<R> {
    pub(crate) fn into_result(self, operation: &'static str) -> Result<Recorded<R>, StoreError> {
        match self {
            Self::New(record) => Ok(Recorded::New(record)),
            Self::Duplicate(record) => Ok(Recorded::Duplicate(record)),
            Self::UnknownAffiliate(id) => Err(StoreError::UnknownAffiliate(id)),
            Self::UnknownCampaign(id) => Err(StoreError::UnknownCampaign(id)),
            Self::UnknownClick(id) => Err(StoreError::UnknownClick(id)),
            Self::Failed(error) => Err(error.into_store_error(operation)),
        }
    }

    /// What somebody gets who has asked for the same as the caller who gets this.
    fn for_repetition(self) -> Self {
        match self {
            Self::New(record) => Self::Duplicate(record),
            verdict => verdict,
        }
    }
}

/// Inserts records of this kind.
///
/// First all rows go in one transaction and one round trip, in the hope that each can be inserted. If the server says
/// no, then nothing has happened, and a look at what is there tells which rows it was; the others go again.
#[derive(Debug)]
pub(crate) struct Inserts<K> {
    pub(crate) kind: K,
    pub(crate) database: Arc<Database>,
}

#[async_trait]
impl<K: Kind> Batch for Inserts<K> {
    type Call = K::New;
    type Answer = Recorded<K::Record>;

    async fn run(&self, calls: Vec<K::New>) -> Vec<Result<Self::Answer, StoreError>> {
        // Of several calls with one identity the first is inserted, and the others are its duplicates.
        let mut firsts: Vec<K::New> = Vec::with_capacity(calls.len());
        let mut by_identity = HashMap::with_capacity(calls.len());
        let mut places = Vec::with_capacity(calls.len());
        for call in calls {
            let next = firsts.len();
            let place = *by_identity.entry(K::identity(&call)).or_insert(next);
            places.push(place);
            if place == next {
                firsts.push(call);
            }
        }
        let mut verdicts: Vec<_> = self.insert_all(firsts).await.into_iter().map(|verdict| (verdict, true)).collect();
        let answers = places.into_iter().map(|place| {
            let (verdict, is_first) = &mut verdicts[place];
            let verdict = verdict.clone();
            let verdict = if std::mem::take(is_first) { verdict } else { verdict.for_repetition() };
            verdict.into_result(K::OPERATION)
        });
        answers.collect()
    }
}

impl<K: Kind> Inserts<K> {
    /// Inserts a record in the application's own transaction, or in one of its own if the connection is in none.
    pub(crate) async fn insert_on(
        &self,
        connection: &mut MySqlConnection,
        new: K::New,
    ) -> Result<Recorded<K::Record>, StoreError> {
        let error = |error| store_error(K::OPERATION, error);
        let deadline = Instant::now() + self.database.timeout;
        let numbers = self.kind.numbers().take(&self.database, deadline, 1).await.map_err(error)?;
        let row = Row { place: 0, number: numbers.into_iter().sum(), new };
        // Such a transaction may stay open for long. In slots of their own they don't hold up the batches.
        let slot = slots::of_application(row.number);
        self.insert_one(connection, &row, slot).await.map_err(error)?.into_result(K::OPERATION)
    }

    /// Inserts records of different identities.
    async fn insert_all(&self, news: Vec<K::New>) -> Vec<Verdict<K::Record>> {
        let mut patience = Patience::new(self.database.timeout);
        let (writer, numbers) = loop {
            let deadline = patience.deadline();
            let prepared = async {
                let writer = self.database.writer(deadline).await?;
                Ok((writer, self.kind.numbers().take(&self.database, deadline, news.len()).await?))
            };
            match prepared.await {
                Ok(prepared) => break prepared,
                Err(error) if is_unavailable(&error) && patience.pause().await => {}
                Err(error) => return vec![Verdict::Failed(error.into()); news.len()],
            }
        };
        let mut work = Work::new(writer, numbers.into_iter().zip(news));
        let alone: Vec<_> = work.pending.extract_if(.., |row| K::goes_alone(&row.new)).collect();
        if let Err(stuck) = self.settle(&mut work, &mut patience).await {
            tracing::warn!(error = %stuck, operation = K::OPERATION, "a batch goes row by row");
            // One of them is in the way of all others, and the server does not say which.
            for row in std::mem::take(&mut work.pending) {
                let mut single = Work::new(writer, [(row.number, row.new)]);
                _ = self.settle(&mut single, &mut patience).await;
                work.verdicts[row.place] = single.verdicts.remove(0);
            }
        }
        for row in alone {
            work.verdicts[row.place] = Some(self.insert_alone(&row, writer.slot, &mut patience).await);
        }
        let unsettled = || Verdict::Failed(Error::RowNotFound.into());
        work.verdicts.into_iter().map(|verdict| verdict.unwrap_or_else(unsettled)).collect()
    }

    async fn insert_alone(&self, row: &Row<K::New>, slot: u8, patience: &mut Patience) -> Verdict<K::Record> {
        loop {
            let attempt = async {
                let mut lease = Lease::take(&self.database.pool, patience.deadline()).await?;
                let verdict = within(patience.deadline(), self.insert_one(lease.connection(), row, slot)).await?;
                lease.give_back();
                Ok(verdict)
            };
            match attempt.await {
                Ok(verdict) => return verdict,
                Err(error) if is_unavailable(&error) && patience.pause().await => {}
                Err(error) => return Verdict::Failed(error.into()),
            }
        }
    }

    /// All of it or nothing, whether the connection is in a transaction or not.
    async fn insert_one(
        &self,
        connection: &mut MySqlConnection,
        row: &Row<K::New>,
        slot: u8,
    ) -> Result<Verdict<K::Record>, Error> {
        let scope = Scope::enter(connection).await?;
        let rows = std::slice::from_ref(row);
        let mut verdict = None;
        if K::goes_alone(&row.new) {
            verdict = self.kind.lock(connection, row).await?;
        }
        if verdict.is_none() {
            let verdicts = self.kind.look(&mut Reader::Transaction(connection), rows, None).await?;
            verdict = verdicts.into_iter().next().flatten();
        }
        if let Some(verdict) = verdict {
            scope.keep(connection).await?;
            return Ok(verdict);
        }
        let error = match execute_all(connection, self.kind.statements(rows, slot)).await {
            Ok(()) => {
                scope.keep(connection).await?;
                return K::record(row.new.clone(), row.number)
                    .map(Verdict::New)
                    .map_err(|error| Error::Decode(error.into()));
            }
            Err(error) => error,
        };
        let failure = Failure::of(&error);
        if !matches!(failure, Failure::Duplicate | Failure::MissingReference) {
            // After a deadlock there is nothing left to undo, and the savepoint is gone.
            _ = scope.undo(connection).await;
            return Err(error);
        }
        scope.undo(connection).await?;
        let verdicts = self.kind.look(&mut Reader::Transaction(connection), rows, Some(failure)).await?;
        verdicts.into_iter().next().flatten().ok_or(error)
    }

    /// Goes on until each row has its verdict. Fails if one of several rows is in the way of the others.
    async fn settle(&self, work: &mut Work<K>, patience: &mut Patience) -> Result<(), SharedError> {
        if let Err(error) = self.look(work, None, patience).await {
            work.fail(error);
        }
        while !work.pending.is_empty() {
            let Writer { slot, sending } = work.writer;
            let statements = self.kind.statements(&work.pending, slot);
            let error = match transact(&self.database, sending, statements, patience.deadline()).await {
                Ok(()) => {
                    work.succeed();
                    break;
                }
                Err(error) => error,
            };
            let failure = Failure::of(&error);
            match failure {
                Failure::Duplicate | Failure::MissingReference => {}
                Failure::Conflict | Failure::Unavailable => {
                    if !patience.pause().await {
                        work.fail(error.into());
                        break;
                    }
                }
                Failure::LockWait | Failure::Broken => {
                    if work.pending.len() > 1 {
                        return Err(error.into());
                    }
                    work.fail(error.into());
                    break;
                }
            }
            let before = work.pending.len();
            if let Err(error) = self.look(work, Some(failure), patience).await {
                work.fail(error);
            }
            // Somebody else's row has one of the numbers, or has just gone.
            if failure == Failure::Duplicate
                && work.pending.len() == before
                && let Err(error) = self.renumber(work, patience).await
            {
                work.fail(error);
            }
        }
        Ok(())
    }

    async fn look(
        &self,
        work: &mut Work<K>,
        failed: Option<Failure>,
        patience: &mut Patience,
    ) -> Result<(), SharedError> {
        loop {
            let mut reader = Reader::Pool(&self.database.pool, patience.deadline());
            match self.kind.look(&mut reader, &work.pending, failed).await {
                Ok(verdicts) => {
                    work.note(verdicts);
                    return Ok(());
                }
                Err(error) if is_unavailable(&error) && patience.pause().await => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    async fn renumber(&self, work: &mut Work<K>, patience: &mut Patience) -> Result<(), SharedError> {
        if !patience.pause().await {
            return Err(Error::PoolTimedOut.into());
        }
        let numbers = self.kind.numbers().take(&self.database, patience.deadline(), work.pending.len()).await?;
        for (row, number) in work.pending.iter_mut().zip(numbers) {
            row.number = number;
        }
        Ok(())
    }
}

async fn execute_all(connection: &mut MySqlConnection, statements: [Sql; 2]) -> Result<(), Error> {
    for statement in statements {
        raw_sql(statement).execute(&mut *connection).await?;
    }
    Ok(())
}

const ER_SP_DOES_NOT_EXIST: u16 = 1305;

/// A transaction, or a part of one.
enum Scope {
    /// A savepoint within the caller's transaction.
    Savepoint,
    Transaction,
}

impl Scope {
    async fn enter(connection: &mut MySqlConnection) -> Result<Self, Error> {
        raw_sql("SAVEPOINT tracking_record").execute(&mut *connection).await?;
        // Outside of a transaction a savepoint ends with the statement that sets it. Of a transaction that was begun in
        // plain SQL nobody knows but the server.
        match raw_sql("ROLLBACK TO SAVEPOINT tracking_record").execute(&mut *connection).await {
            Ok(_) => Ok(Self::Savepoint),
            Err(error) if number_of(&error) == Some(ER_SP_DOES_NOT_EXIST) => {
                raw_sql("START TRANSACTION").execute(connection).await?;
                Ok(Self::Transaction)
            }
            // Such as the end of the caller's transaction, which he has to hear of.
            Err(error) => Err(error),
        }
    }

    async fn keep(self, connection: &mut MySqlConnection) -> Result<(), Error> {
        let statement = match self {
            Self::Savepoint => "RELEASE SAVEPOINT tracking_record",
            Self::Transaction => "COMMIT",
        };
        raw_sql(statement).execute(connection).await.map(drop)
    }

    async fn undo(self, connection: &mut MySqlConnection) -> Result<(), Error> {
        let statement = match self {
            Self::Savepoint => "ROLLBACK TO SAVEPOINT tracking_record",
            Self::Transaction => "ROLLBACK",
        };
        raw_sql(statement).execute(connection).await.map(drop)
    }
}

/// Rows on their way to a verdict.
struct Work<K: Kind> {
    writer: Writer,
    verdicts: Vec<Option<Verdict<K::Record>>>,
    pending: Vec<Row<K::New>>,
}

impl<K: Kind> Work<K> {
    fn new(writer: Writer, rows: impl IntoIterator<Item = (u64, K::New)>) -> Self {
        let rows = rows.into_iter().enumerate();
        let pending: Vec<_> = rows.map(|(place, (number, new))| Row { place, number, new }).collect();
        Self { writer, verdicts: pending.iter().map(|_| None).collect(), pending }
    }

    fn note(&mut self, verdicts: Vec<Option<Verdict<K::Record>>>) {
        let mut verdicts = verdicts.into_iter();
        self.pending.retain(|row| match verdicts.next().flatten() {
            Some(verdict) => {
                self.verdicts[row.place] = Some(verdict);
                false
            }
            None => true,
        });
    }

    fn succeed(&mut self) {
        for row in self.pending.drain(..) {
            self.verdicts[row.place] = Some(match K::record(row.new, row.number) {
                Ok(record) => Verdict::New(record),
                Err(error) => Verdict::Failed(Error::Decode(error.into()).into()),
            });
        }
    }

    fn fail(&mut self, error: SharedError) {
        for row in self.pending.drain(..) {
            self.verdicts[row.place] = Some(Verdict::Failed(error.clone()));
        }
    }
}
