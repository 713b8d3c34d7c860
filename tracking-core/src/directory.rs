//! Affiliates and campaigns that have been seen: few, seldom changed, and named by every click.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use crate::{Affiliate, AffiliateId, Campaign, CampaignId, Store, StoreError};

/// How old what is remembered may be before it is looked up again, in the background.
const FRESH: Duration = Duration::from_secs(2);

/// How old it may be before nobody is served with it who can wait.
const STALE: Duration = Duration::from_secs(10);

/// How long a visitor waits for what nobody has seen yet, without which there is nowhere to send him.
const FIRST_LOOK: Duration = Duration::from_secs(5);

/// How long the store is left alone after it has failed.
const RESPITE: Duration = Duration::from_secs(1);

/// What is kept in a [`Directory`].
pub(crate) trait Listed: Sized + Send + Sync + 'static {
    type Id: Copy + Eq + Hash + Send + Sync + 'static;

    /// One more with each change.
    fn version(&self) -> u32;

    fn fetch(store: &dyn Store, id: Self::Id) -> impl Future<Output = Result<Self, StoreError>> + Send;
}

impl Listed for Affiliate {
    type Id = AffiliateId;

    fn version(&self) -> u32 {
        self.version
    }

    async fn fetch(store: &dyn Store, id: AffiliateId) -> Result<Self, StoreError> {
        store.affiliate(id).await
    }
}

impl Listed for Campaign {
    type Id = CampaignId;

    fn version(&self) -> u32 {
        self.version
    }

    async fn fetch(store: &dyn Store, id: CampaignId) -> Result<Self, StoreError> {
        store.campaign(id).await
    }
}

/// Remembers what was looked up, so that a known link costs no query, and works while the store is away.
///
/// What is there is asked for again at the first use after two seconds, so that changes are seen soon, also those made
/// by another process. That something is not there is never remembered. It holds no more than the store does.
#[derive(Debug)]
pub(crate) struct Directory<T: Listed> {
    store: Arc<dyn Store>,
    entries: RwLock<HashMap<T::Id, Arc<Entry<T>>>>,
    /// When the store failed last, unless it has answered since.
    failed_at: Mutex<Option<Instant>>,
}

#[derive(Debug)]
struct Entry<T> {
    record: Arc<T>,
    seen_at: Instant,
    is_being_renewed: AtomicBool,
}

impl<T> Entry<T> {
    fn new(record: Arc<T>, seen_at: Instant) -> Arc<Self> {
        Arc::new(Self { record, seen_at, is_being_renewed: AtomicBool::new(false) })
    }
}

impl<T: Listed> Directory<T> {
    pub(crate) fn new(store: Arc<dyn Store>) -> Self {
        Self { store, entries: RwLock::default(), failed_at: Mutex::default() }
    }

    /// The record, no older than ten seconds.
    pub(crate) async fn current(self: &Arc<Self>, id: T::Id) -> Result<Arc<T>, StoreError> {
        match self.recall(id, Instant::now()) {
            Some((entry, age)) if age < STALE => Ok(self.serve(id, &entry, age)),
            _ => self.look_up(id).await,
        }
    }

    /// The record, as it is if that can be found out until the deadline, and otherwise as it was when it was last seen.
    pub(crate) async fn latest(
        self: &Arc<Self>,
        id: T::Id,
        now: Instant,
        deadline: Instant,
    ) -> Result<Arc<T>, StoreError> {
        let known = match self.recall(id, now) {
            // While it fails, one look-up a second in the background finds out when it does no longer.
            Some((entry, age)) if age < STALE || self.is_failing() => return Ok(self.serve(id, &entry, age)),
            known => known,
        };
        // Whoever waits for it no longer has it seen through: the next one will know.
        let looked_up = tokio::spawn({
            let directory = Arc::clone(self);
            async move { directory.look_up(id).await }
        });
        let until = if known.is_some() { deadline } else { now + FIRST_LOOK };
        let looked_up = match timeout_at(until, looked_up).await {
            Ok(Ok(looked_up)) => looked_up,
            Ok(Err(broken_off)) => Err(StoreError::unavailable("look up a link", broken_off)),
            Err(elapsed) => {
                self.note_failure();
                Err(StoreError::unavailable("look up a link", elapsed))
            }
        };
        match (looked_up, known) {
            (Err(StoreError::Unavailable { .. } | StoreError::Backend { .. }), Some((entry, _))) => {
                Ok(Arc::clone(&entry.record))
            }
            (looked_up, _) => looked_up,
        }
    }

    fn recall(&self, id: T::Id, now: Instant) -> Option<(Arc<Entry<T>>, Duration)> {
        let entry = Arc::clone(self.entries.read().unwrap_or_else(PoisonError::into_inner).get(&id)?);
        let age = now.saturating_duration_since(entry.seen_at);
        Some((entry, age))
    }

    fn serve(self: &Arc<Self>, id: T::Id, entry: &Arc<Entry<T>>, age: Duration) -> Arc<T> {
        if age >= FRESH && !self.has_just_failed() && !entry.is_being_renewed.swap(true, Ordering::Relaxed) {
            let (directory, entry) = (Arc::clone(self), Arc::clone(entry));
            tokio::spawn(async move {
                // An entry that was renewed is another one. What went wrong is seen by whoever can't do without.
                let _ = directory.look_up(id).await;
                entry.is_being_renewed.store(false, Ordering::Relaxed);
            });
        }
        Arc::clone(&entry.record)
    }

    async fn look_up(&self, id: T::Id) -> Result<Arc<T>, StoreError> {
        // As old as the question is the answer, which may have been given before a change.
        let seen_at = Instant::now();
        let found = T::fetch(&*self.store, id).await.map(Arc::new);
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        match &found {
            Ok(record) => {
                *self.failed_at() = None;
                Self::keep(&mut entries, id, Entry::new(Arc::clone(record), seen_at));
            }
            Err(StoreError::UnknownAffiliate(_) | StoreError::UnknownCampaign(_)) => _ = entries.remove(&id),
            Err(StoreError::Unavailable { .. }) => self.note_failure(),
            Err(_) => {}
        }
        found
    }

    /// Takes note of what this process has changed itself, so that it is seen at once.
    pub(crate) fn note(&self, id: T::Id, record: T) {
        let entry = Entry::new(Arc::new(record), Instant::now());
        Self::keep(&mut self.entries.write().unwrap_or_else(PoisonError::into_inner), id, entry);
    }

    /// Keeps an entry, unless a newer version is there: an answer may come after the change that it knows nothing of.
    fn keep(entries: &mut HashMap<T::Id, Arc<Entry<T>>>, id: T::Id, entry: Arc<Entry<T>>) {
        let age = |entry: &Entry<T>| (entry.record.version(), entry.seen_at);
        if entries.get(&id).is_none_or(|there| age(there) <= age(&entry)) {
            entries.insert(id, entry);
        }
    }

    fn is_failing(&self) -> bool {
        self.has_failed_within(STALE)
    }

    fn has_just_failed(&self) -> bool {
        self.has_failed_within(RESPITE)
    }

    fn has_failed_within(&self, time: Duration) -> bool {
        self.failed_at().is_some_and(|failed_at| failed_at.elapsed() < time)
    }

    fn note_failure(&self) {
        *self.failed_at() = Some(Instant::now());
    }

    fn failed_at(&self) -> MutexGuard<'_, Option<Instant>> {
        self.failed_at.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
