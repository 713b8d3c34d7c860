//! The postback log: every received call, gathered in memory, and handed to the store in the background.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Mutex as AsyncMutex;
use tokio::time::Instant;

use crate::{OutcomeKind, Postback, Store, StoreError};

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
        if quota.take(a_second, now) && gathered.rows.len() < MOST_WAITING {
            gathered.rows.push(row());
            return;
        }
        match gathered.together.get_mut(&outcome) {
            Some(together) => together.calls += 1,
            None => _ = gathered.together.insert(outcome, row()),
        }
    }

    /// Hands what was gathered to the store. What it does not take is kept, and tried with the next flush.
    pub(crate) async fn flush(&self, store: &dyn Store) -> Result<(), StoreError> {
        let _flushing = self.flushing.lock().await;
        let mut unsent = Unsent { log: self, rows: self.take_all() };
        while !unsent.rows.is_empty() {
            let next = unsent.rows.len().min(AT_ONCE);
            store.log_postbacks(unsent.rows[..next].to_vec()).await?;
            unsent.rows.drain(..next);
        }
        Ok(())
    }

    fn take_all(&self) -> Vec<Postback> {
        let gathered = &mut *self.gathered();
        let mut rows = std::mem::take(&mut gathered.rows);
        rows.extend(gathered.together.drain().map(|(_, row)| row));
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

impl Drop for Unsent<'_> {
    fn drop(&mut self) {
        let gathered = &mut *self.log.gathered();
        self.rows.append(&mut gathered.rows);
        gathered.rows = std::mem::take(&mut self.rows);
    }
}
