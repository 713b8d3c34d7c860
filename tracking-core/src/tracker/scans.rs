//! Whose turn it is to have the store look at each record.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::AffiliateId;

/// How long somebody waits for his turn: longer than two reports take, of which one is made already and the other is an affiliate's.
const PATIENCE: Duration = Duration::from_secs(25);

/// How many reports an affiliate may have asked for at the same time, whether they are made or wait.
const OF_AN_AFFILIATE: usize = 2;

/// One report at a time, in the order in which they are asked for. Affiliates share one place in that line:
/// however many of them do, somebody else waits for one of theirs at the most. An affiliate has one place among affiliates.
#[derive(Debug)]
pub(super) struct Scans {
    all: Arc<Semaphore>,
    affiliates: Arc<Semaphore>,
    asking: Arc<Mutex<HashMap<AffiliateId, Asking>>>,
}

/// How many reports an affiliate has asked for, of which one is in the line.
#[derive(Debug)]
struct Asking {
    reports: usize,
    in_line: Arc<Semaphore>,
}

/// Somebody's turn, until it is dropped.
#[derive(Debug)]
pub(super) struct Turn {
    _permits: Vec<OwnedSemaphorePermit>,
    _place: Option<Place>,
}

impl Scans {
    pub(super) fn new() -> Self {
        let one = || Arc::new(Semaphore::new(1));
        Self { all: one(), affiliates: one(), asking: Arc::default() }
    }

    /// Waits for a turn; `None` if it does not come for too long, or if this affiliate has asked for two already.
    pub(super) async fn turn(&self, asked_by: Option<AffiliateId>) -> Option<Turn> {
        let place = match asked_by {
            Some(id) => Some(self.place(id)?),
            None => None,
        };
        let mut gates = Vec::new();
        if let Some((_, in_line)) = &place {
            gates.extend([Arc::clone(in_line), Arc::clone(&self.affiliates)]);
        }
        gates.push(Arc::clone(&self.all));
        let through_all = async {
            let mut permits = Vec::with_capacity(gates.len());
            for gate in gates {
                permits.push(gate.acquire_owned().await.ok()?);
            }
            Some(permits)
        };
        let permits = timeout(PATIENCE, through_all).await.ok()??;
        Some(Turn { _permits: permits, _place: place.map(|(place, _)| place) })
    }

    /// A place for an affiliate, if he has not as many as he may have, and the gate at which only one of them goes on.
    fn place(&self, id: AffiliateId) -> Option<(Place, Arc<Semaphore>)> {
        let mut asking = self.asking.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || Asking { reports: 0, in_line: Arc::new(Semaphore::new(1)) };
        let of_his = asking.entry(id).or_insert_with(new);
        if of_his.reports >= OF_AN_AFFILIATE {
            return None;
        }
        of_his.reports += 1;
        Some((Place { id, asking: Arc::clone(&self.asking) }, Arc::clone(&of_his.in_line)))
    }
}

/// An affiliate's place among those who ask.
#[derive(Debug)]
struct Place {
    id: AffiliateId,
    asking: Arc<Mutex<HashMap<AffiliateId, Asking>>>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut asking = self.asking.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(of_his) = asking.get_mut(&self.id) {
            of_his.reports -= 1;
            if of_his.reports == 0 {
                asking.remove(&self.id);
            }
        }
    }
}
