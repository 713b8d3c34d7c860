//! Batches of new records: one transaction for all of them, and an answer for each.

use std::collections::HashMap;
use std::fmt::Debug;
use std::hash::Hash;
use std::sync::Arc;

use futures_util::stream::{self, StreamExt};
use sqlx::{Error, MySqlConnection};
use tracking_core::{
    AffiliateId, Batch, CampaignId, ClickId, Conversion, ParseError, Recorded, StoreError, async_trait,
};

use crate::attempt::{Failure, Patience, Reader, SharedError, is_unavailable, transact};
use crate::numbers::Sequence;
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
    /// What only one transaction at a time can note.
    type Note: Eq + Hash + Send;

    fn numbers(&self) -> &Sequence;
    fn identity(new: &Self::New) -> Self::Identity;
    /// What is noted with this one, so that it has to wait for whoever is about to note the same.
    fn note(new: &Self::New) -> Option<Self::Note>;
    fn record(new: Self::New, number: u64) -> Result<Self::Record, ParseError>;

    /// The statements that insert and count these rows. They fail if one of the rows can't be inserted.
    fn statements(&self, rows: &[Row<Self::New>], slot: u8) -> Vec<Sql>;

    /// Looks which of these rows need not, or can't, be inserted, before a first attempt or after one that failed; and
    /// how the others have to be, as far as that depends on what is there.
    async fn look(
        &self,
        reader: &mut Reader<'_>,
        rows: &mut [Row<Self::New>],
        failed: Option<Failure>,
    ) -> Result<Findings<Self::Record>, Error>;

    /// Whether this one needs a transaction of its own, in which others are kept away while it looks.
    fn goes_alone(new: &Self::New) -> bool;

    /// Looks which of these rows that go alone will not be inserted, as far as that is known for good before anything is
    /// locked.
    async fn foresee(
        &self,
        reader: &mut Reader<'_>,
        rows: &[Row<Self::New>],
    ) -> Result<Vec<Option<Verdict<Self::Record>>>, Error>;

    /// The numbers of the clicks that one which goes alone has to lock.
    async fn to_lock(&self, reader: &mut Reader<'_>, new: &Self::New) -> Result<Vec<u64>, Error>;

    /// Locks these, and whatever else others might get round it by, and looks whether there is a need to insert it then, and
    /// whether it may be.
    async fn lock(
        &self,
        connection: &mut MySqlConnection,
        numbers: &[u64],
        committed: Option<&mut Reader<'_>>,
        row: &Row<Self::New>,
    ) -> Result<Option<Verdict<Self::Record>>, Error>;
}

/// What a look has found.
#[derive(Debug)]
pub(crate) struct Findings<R> {
    /// One for each row, or none where it is still to be inserted.
    pub(crate) verdicts: Vec<Option<Verdict<R>>>,
    /// Whether rows that are still to be inserted have become others than they were.
    pub(crate) are_rows_changed: bool,
}

impl<R> Findings<R> {
    pub(crate) const NOTHING: Self = Self { verdicts: Vec::new(), are_rows_changed: false };
}

/// A record that is to be inserted under this number.
#[derive(Debug)]
pub(crate) struct Row<N> {
    /// Where its verdict belongs.
    pub(crate) place: usize,
    pub(crate) number: u64,
    pub(crate) new: N,
}

impl<N> Row<N> {
    /// What it means that this record, of this number, is there: it is the row's own if it has the row's number.
    pub(crate) fn meets<R>(&self, number: u64, found: R) -> Verdict<R> {
        if number == self.number { Verdict::New(found) } else { Verdict::Duplicate(found) }
    }
}

/// What became of a row.
#[derive(Debug, Clone)]
pub(crate) enum Verdict<R> {
    New(R),
    Duplicate(R),
    UnknownAffiliate(AffiliateId),
    UnknownCampaign(CampaignId),
    UnknownClick(ClickId),
    Refused(Refusal),
    Failed(SharedError),
}

/// Why a conversion can't be inserted as the caller demands.
#[derive(Debug, Clone)]
pub(crate) enum Refusal {
    AlreadyConverted(Box<Conversion>),
    DailyCapReached { cap: u32 },
}

impl<R> Verdict<R> {
    pub(crate) fn into_result(self, operation: &'static str) -> Result<Recorded<R>, StoreError> {
        match self {
            Self::New(record) => Ok(Recorded::New(record)),
            Self::Duplicate(record) => Ok(Recorded::Duplicate(record)),
            Self::UnknownAffiliate(id) => Err(StoreError::UnknownAffiliate(id)),
            Self::UnknownCampaign(id) => Err(StoreError::UnknownCampaign(id)),
            Self::UnknownClick(id) => Err(StoreError::UnknownClick(id)),
            Self::Refused(Refusal::AlreadyConverted(found)) => Err(StoreError::AlreadyConverted(found)),
            Self::Refused(Refusal::DailyCapReached { cap }) => Err(StoreError::DailyCapReached { cap }),
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
/// First all rows go in one transaction, or in as few as the size of a packet allows, in the hope that each can be inserted. If the server says no, then nothing has
/// happened, and a look at what is there tells which rows it was; the others go again.
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

/// How many rows are tried at once when a batch goes row by row.
const AT_ONCE: usize = 4;

impl<K: Kind> Inserts<K> {
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
        if let Err(error) = self.settle(&mut work, &mut patience).await {
            tracing::warn!(%error, operation = K::OPERATION, "a batch goes row by row");
        }
        // One of those that are left is in the way of all others, and the server does not say which.
        let patience = Patience::new(self.database.timeout);
        let rows = std::mem::take(&mut work.pending).into_iter().chain(alone);
        let queue = |rows| self.insert_queue(rows, writer, patience);
        let singles = stream::iter(queues::<K>(rows)).map(queue).buffer_unordered(AT_ONCE);
        let singles: Vec<_> = singles.collect::<Vec<_>>().await.into_iter().flatten().collect();
        for (place, verdict) in singles {
            work.verdicts[place] = Some(verdict);
        }
        // Each row has been given one by now.
        let forgotten = || Verdict::Failed(Error::WorkerCrashed.into());
        work.verdicts.into_iter().map(|verdict| verdict.unwrap_or_else(forgotten)).collect()
    }

    /// Inserts these one after the other. If one has waited for a lock in vain, or the server is not there, the others don't
    /// try.
    async fn insert_queue(
        &self,
        rows: Vec<Row<K::New>>,
        writer: Writer,
        patience: Patience,
    ) -> Vec<(usize, Verdict<K::Record>)> {
        let mut verdicts = Vec::with_capacity(rows.len());
        let mut in_the_way: Option<SharedError> = None;
        let mut rows = self.foresee(rows, &mut verdicts).await.into_iter();
        while let Some(row) = rows.next() {
            let place = row.place;
            let verdict = match &in_the_way {
                Some(error) => Verdict::Failed(error.clone()),
                // The others of its queue are no reason to give it less time.
                None if K::goes_alone(&row.new) => self.insert_alone(row, Patience::new(self.database.timeout)).await,
                None => self.insert_single(row, writer, patience).await,
            };
            match &verdict {
                Verdict::Failed(error) if matches!(error.failure(), Failure::LockWait | Failure::Unavailable) => {
                    in_the_way = Some(error.clone());
                }
                // So it is for most of those behind it.
                Verdict::Refused(Refusal::DailyCapReached { .. }) => {
                    rows = self.foresee(rows.collect(), &mut verdicts).await.into_iter();
                }
                _ => {}
            }
            verdicts.push((place, verdict));
        }
        verdicts
    }

    /// Adds what is known of these before anything is locked, and returns the others.
    async fn foresee(
        &self,
        mut rows: Vec<Row<K::New>>,
        verdicts: &mut Vec<(usize, Verdict<K::Record>)>,
    ) -> Vec<Row<K::New>> {
        if !rows.iter().any(|row| K::goes_alone(&row.new)) {
            return rows;
        }
        let mut patience = Patience::new(self.database.timeout);
        loop {
            let mut reader = Reader::Pool(&self.database.pool, patience.deadline());
            match self.kind.foresee(&mut reader, &rows).await {
                Ok(foreseen) => {
                    let mut foreseen = foreseen.into_iter();
                    rows.retain(|row| match foreseen.next().flatten() {
                        Some(verdict) => {
                            verdicts.push((row.place, verdict));
                            false
                        }
                        None => true,
                    });
                    return rows;
                }
                Err(error) if is_unavailable(&error) && patience.pause().await => {}
                Err(error) => {
                    let error = SharedError::from(error);
                    verdicts.extend(rows.iter().map(|row| (row.place, Verdict::Failed(error.clone()))));
                    return Vec::new();
                }
            }
        }
    }

    async fn insert_single(&self, row: Row<K::New>, writer: Writer, mut patience: Patience) -> Verdict<K::Record> {
        let mut work = Work::new(writer, [(row.number, row.new)]);
        let settled = self.settle(&mut work, &mut patience).await;
        match (work.verdicts.pop().flatten(), settled) {
            (Some(verdict), _) => verdict,
            (None, Err(error)) => Verdict::Failed(error),
            (None, Ok(())) => Verdict::Failed(Error::WorkerCrashed.into()),
        }
    }

    /// Goes on until each row has its verdict. Fails if one of several rows is in the way of the others.
    async fn settle(&self, work: &mut Work<K>, patience: &mut Patience) -> Result<(), SharedError> {
        if let Err(error) = self.look(work, None, patience).await {
            work.fail(error);
        }
        while !work.pending.is_empty() {
            let (sent, statements) = self.next_part(work);
            let sending = work.writer.sending;
            let error = match transact(&self.database, sending, statements, patience.deadline()).await {
                Ok(()) => {
                    work.succeed(sent);
                    continue;
                }
                Err(error) => error,
            };
            let failure = Failure::of(&error);
            if matches!(failure, Failure::LockWait | Failure::Broken) {
                if work.pending.len() > 1 {
                    return Err(error.into());
                }
                work.fail(error.into());
                break;
            }
            let before = work.pending.len();
            let are_rows_changed = self.look(work, Some(failure), patience).await.unwrap_or_else(|error| {
                work.fail(error);
                true
            });
            let is_explained = are_rows_changed || work.pending.len() < before;
            // Others are in the way, or nothing explains the refusal yet.
            if !is_explained && !patience.pause().await {
                work.fail(error.into());
                break;
            }
            // Somebody else's row has one of the numbers.
            if failure == Failure::Duplicate
                && !is_explained
                && error.to_string().contains("PRIMARY")
                && let Err(error) = self.renumber(work, patience).await
            {
                work.fail(error.into());
            }
        }
        Ok(())
    }

    /// The statements of as many of the first rows as the server takes at once, and how many they are: at least one.
    fn next_part(&self, work: &Work<K>) -> (usize, Vec<Sql>) {
        let Writer { slot, most_bytes, .. } = work.writer;
        let mut len = work.pending.len();
        loop {
            let statements = self.kind.statements(&work.pending[..len], slot);
            let bytes: usize = statements.iter().map(Sql::len).sum();
            if bytes <= most_bytes || len <= 1 {
                return (len, statements);
            }
            // Rows are not all as long as each other.
            len = (len * most_bytes / bytes * 7 / 8).max(1);
        }
    }

    /// Tells whether rows that are still to be inserted have become others than they were.
    async fn look(
        &self,
        work: &mut Work<K>,
        failed: Option<Failure>,
        patience: &mut Patience,
    ) -> Result<bool, SharedError> {
        loop {
            let mut reader = Reader::Pool(&self.database.pool, patience.deadline());
            match self.kind.look(&mut reader, &mut work.pending, failed).await {
                Ok(findings) => {
                    work.note(findings.verdicts);
                    return Ok(findings.are_rows_changed);
                }
                Err(error) if is_unavailable(&error) && patience.pause().await => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    async fn renumber(&self, work: &mut Work<K>, patience: &Patience) -> Result<(), Error> {
        let numbers = self.kind.numbers().take(&self.database, patience.deadline(), work.pending.len()).await?;
        for (row, number) in work.pending.iter_mut().zip(numbers) {
            row.number = number;
        }
        Ok(())
    }
}

/// Rows that may wait for the same lock stand in one queue, so that they don't keep all others waiting.
fn queues<K: Kind>(rows: impl Iterator<Item = Row<K::New>>) -> Vec<Vec<Row<K::New>>> {
    let mut queues: Vec<Vec<Row<K::New>>> = Vec::new();
    let mut by_note = HashMap::new();
    for row in rows {
        let next = queues.len();
        let place = K::note(&row.new).map_or(next, |note| *by_note.entry(note).or_insert(next));
        match queues.get_mut(place) {
            Some(queue) => queue.push(row),
            None => queues.push(vec![row]),
        }
    }
    queues
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

    /// Notes that the first rows, so many, have been recorded.
    fn succeed(&mut self, sent: usize) {
        for row in self.pending.drain(..sent) {
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
