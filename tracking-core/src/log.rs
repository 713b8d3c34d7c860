//! The postback log: every received call, gathered in memory, and handed to the store in the background.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Mutex as AsyncMutex;
use tokio::time::Instant;

use crate::{ClickId, OutcomeKind, Postback, Store, StoreError, error_chain};

/// How often what was gathered goes to the store.
pub(crate) const FLUSH: Duration = Duration::from_secs(1);

/// How many rows go to the store at once.
const AT_ONCE: usize = 500;

/// How many rows wait for the store at the most. One takes 3 KB at the most, and a tenth of that as a rule.
const MOST_WAITING: usize = 5_000;

/// How many rows of one outcome may come at once, and how many each second, before they are taken together.
const BURST: f64 = 1_000.0;
const TAKEN_A_SECOND: f64 = 200.0;
const REFUSED_A_SECOND: f64 = 20.0;

/// Gathers postbacks. What it takes neither grows with their number nor depends on the store.
///
/// As long as there are not too many with one outcome, each has a row of its own. Beyond that, one row stands for all of
/// that outcome until the next flush, and says for how many: nothing is kept of the others but that they came.
#[derive(Debug, Default)]
pub(crate) struct PostbackLog {
    gathered: Mutex<Gathered>,
    /// Held by whoever hands rows to the store.
    flushing: AsyncMutex<()>,
}

#[derive(Debug, Default)]
struct Gathered {
    rows: Vec<Postback>,
    /// How many are on their way to the store.
    under_way: usize,
    /// Rows that stand for several calls.
    together: HashMap<OutcomeKind, Postback>,
    quotas: HashMap<OutcomeKind, Quota>,
}

/// A bucket of tokens, each of which is worth a row.
#[derive(Debug)]
struct Quota {
    tokens: f64,
    filled_at: Instant,
}

impl Quota {
    fn take(&mut self, a_second: f64, now: Instant) -> bool {
        let earned = now.duration_since(self.filled_at).as_secs_f64() * a_second;
        self.tokens = (self.tokens + earned).min(BURST);
        self.filled_at = now;
        let has_one = self.tokens >= 1.0;
        if has_one {
            self.tokens -= 1.0;
        }
        has_one
    }
}

impl PostbackLog {
    /// Takes note of a call, whose row is made only if there is room for it.
    pub(crate) fn note(&self, outcome: OutcomeKind, row: impl FnOnce() -> Postback) {
        let now = Instant::now();
        let gathered = &mut *self.gathered();
        let a_second = if outcome.is_success() { TAKEN_A_SECOND } else { REFUSED_A_SECOND };
        let quota = gathered.quotas.entry(outcome).or_insert(Quota { tokens: BURST, filled_at: now });
        if quota.take(a_second, now) && gathered.rows.len() + gathered.under_way < MOST_WAITING {
            gathered.rows.push(row());
            return;
        }
        match gathered.together.get_mut(&outcome) {
            Some(together) => together.calls += 1,
            None => _ = gathered.together.insert(outcome, row()),
        }
    }

    /// Hands what was gathered to the store. What it does not take now is kept, and tried with the next flush; a row that it
    /// never takes is given up.
    pub(crate) async fn flush(&self, store: &dyn Store) -> Result<(), StoreError> {
        let _flushing = self.flushing.lock().await;
        // Twice, for what there was no room for among the rows. What comes in meanwhile is for the next flush.
        self.send(store).await?;
        self.send(store).await
    }

    async fn send(&self, store: &dyn Store) -> Result<(), StoreError> {
        let mut unsent = Unsent { log: self, rows: self.take_all() };
        while !unsent.rows.is_empty() {
            let next = unsent.rows.len().min(AT_ONCE);
            match store.log_postbacks(unsent.rows[..next].to_vec()).await {
                Ok(()) => unsent.drop_first(next),
                Err(error @ StoreError::Unavailable { .. }) => return Err(error),
                // One of them is in the way of the others.
                Err(_) => {
                    for _ in 0..next {
                        match store.log_postbacks(unsent.rows[..1].to_vec()).await {
                            Ok(()) => {}
                            Err(error @ StoreError::Unavailable { .. }) => return Err(error),
                            Err(error) => tracing::warn!(error = %error_chain(&error), "a postback can't be logged"),
                        }
                        unsent.drop_first(1);
                    }
                }
            }
        }
        Ok(())
    }

    /// Makes the rows anonymous that are here and name this click, before those are that the store has.
    pub(crate) async fn erase(&self, click_id: &ClickId, replacement: &ClickId) {
        let _flushing = self.flushing.lock().await;
        let gathered = &mut *self.gathered();
        let rows = gathered.rows.iter_mut().chain(gathered.together.values_mut());
        for row in rows.filter(|row| row.click_id.as_ref() == Some(click_id)) {
            *row = row.anonymous(replacement.clone());
        }
    }

    /// All that waits, as far as there is room for it: a row that was handed over once stands for as many calls as it did then.
    fn take_all(&self) -> Vec<Postback> {
        let gathered = &mut *self.gathered();
        if gathered.rows.len() + gathered.together.len() <= MOST_WAITING {
            gathered.rows.extend(gathered.together.drain().map(|(_, row)| row));
        }
        let rows = std::mem::take(&mut gathered.rows);
        gathered.under_way = rows.len();
        rows
    }

    fn gathered(&self) -> MutexGuard<'_, Gathered> {
        self.gathered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Rows that are on their way to the store, and go back if they don't arrive, also when nobody waits for it any more.
struct Unsent<'a> {
    log: &'a PostbackLog,
    rows: Vec<Postback>,
}

impl Unsent<'_> {
    fn drop_first(&mut self, rows: usize) {
        self.rows.drain(..rows);
        self.log.gathered().under_way -= rows;
    }
}

impl Drop for Unsent<'_> {
    fn drop(&mut self) {
        let gathered = &mut *self.log.gathered();
        gathered.under_way = 0;
        self.rows.append(&mut gathered.rows);
        gathered.rows = std::mem::take(&mut self.rows);
    }
}
