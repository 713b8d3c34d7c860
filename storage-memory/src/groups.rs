//! What was counted, by whatever it is grouped by.

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::time::Instant;

use tokio::task::yield_now;
use tracking_core::{StoreError, Summary};

/// Groups in order, and not more of them than there may be.
pub(crate) struct Groups<K> {
    groups: BTreeMap<K, Summary>,
    max: usize,
    is_over: bool,
}

impl<K: Ord> Groups<K> {
    pub(crate) fn up_to(max: usize) -> Self {
        Self { groups: BTreeMap::new(), max, is_over: false }
    }

    /// Counts something in a group. There is a key of its own only if the group is new.
    pub(crate) fn count<Q: Ord + ?Sized>(&mut self, key: &Q, own: impl FnOnce() -> K, count: impl FnOnce(&mut Summary))
    where
        K: Borrow<Q>,
    {
        if let Some(group) = self.groups.get_mut(key) {
            count(group);
        } else if self.groups.len() < self.max {
            count(self.groups.entry(own()).or_default());
        } else {
            self.is_over = true;
        }
    }

    /// Lets others have their turn, unless there is nothing more to do.
    pub(crate) async fn give_way(&self, end: Instant) -> Result<(), StoreError> {
        if self.is_over {
            return Err(StoreError::TooManyGroups { max: self.max });
        }
        if Instant::now() >= end {
            return Err(StoreError::TooSlow { operation: "break down records" });
        }
        yield_now().await;
        Ok(())
    }

    /// Those in which something was counted.
    pub(crate) fn finish(self) -> Result<Vec<(K, Summary)>, StoreError> {
        if self.is_over {
            return Err(StoreError::TooManyGroups { max: self.max });
        }
        Ok(self.groups.into_iter().filter(|(_, counts)| !counts.is_empty()).collect())
    }
}
