//! How often calls from one place could not prove who sent them.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use ipnet::IpNet;
use tokio::time::Instant;

/// How many failures of one place are answered for what they are, in each [`WINDOW`].
pub(crate) const ALLOWED: u32 = 30;

pub(crate) const WINDOW: Duration = Duration::from_secs(60);

/// How many counts there are. Two places that share one by chance have half as many failures each.
const PLACES: usize = 4096;

/// Counts failures by place, in memory that does not grow: a place is an IPv4 address, or the 64 bits of IPv6 that are one
/// customer's, and has one of a fixed number of counts.
#[derive(Debug)]
pub(crate) struct Failures {
    counts: Mutex<Box<[Count]>>,
    /// With a key of its own, so that nobody can tell who shares a count with him.
    hasher: RandomState,
}

#[derive(Debug, Clone, Copy, Default)]
struct Count {
    failures: u32,
    since: Option<Instant>,
}

impl Default for Failures {
    fn default() -> Self {
        Self { counts: Mutex::new(vec![Count::default(); PLACES].into()), hasher: RandomState::new() }
    }
}

impl Failures {
    /// Counts a failure. When there have been too many, returns how long it is until others are answered again.
    pub(crate) fn count(&self, source: Option<IpAddr>) -> Option<Duration> {
        let now = Instant::now();
        let place = source.map(|address| match address.to_canonical() {
            IpAddr::V6(address) => IpNet::new(address.into(), 64).map_or(address.into(), |network| network.network()),
            address => address,
        });
        let index = self.hasher.hash_one(place) as usize % PLACES;
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = &mut counts[index];
        let since = match count.since {
            Some(since) if now.duration_since(since) < WINDOW => since,
            _ => {
                *count = Count { failures: 0, since: Some(now) };
                now
            }
        };
        count.failures = count.failures.saturating_add(1);
        (count.failures > ALLOWED).then(|| WINDOW - now.duration_since(since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn each_place_has_its_own_count() {
        let failures = Failures::default();
        let count = |address: &str| failures.count(Some(address.parse().unwrap()));
        for _ in 0..ALLOWED {
            assert_eq!(count("2001:db8::1"), None);
        }
        assert_eq!(count("2001:db8::2"), Some(WINDOW), "of the same network");
        let others = (0..64).filter(|n| count(&format!("192.0.2.{n}")).is_some()).count();
        assert!(others <= 1, "others go free, but by the rarest of chances");
        tokio::time::advance(WINDOW / 2).await;
        assert_eq!(count("2001:db8::1"), Some(WINDOW / 2));
        tokio::time::advance(WINDOW / 2).await;
        assert_eq!(count("2001:db8::1"), None);
    }
}
