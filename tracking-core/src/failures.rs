//! How often calls from one place could not prove who sent them.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use ipnet::IpNet;
use tokio::time::Instant;

const WINDOW: Duration = Duration::from_secs(60);

/// How many counts there are. Two places that share one by chance have half as many failures each.
const PLACES: usize = 4096;

/// Counts failures by place, so that nobody can try secrets as often as he likes.
///
/// The memory does not grow: a place is an IPv4 address, or the 64 bits of IPv6 that are one customer's, and has one of a
/// fixed number of counts, which begins anew a minute after its first failure.
#[derive(Debug)]
pub struct Failures {
    allowed: u32,
    counts: Mutex<Box<[Count]>>,
    /// With a key of its own, so that nobody can tell who shares a count with him.
    hasher: RandomState,
}

#[derive(Debug, Clone, Copy, Default)]
struct Count {
    failures: u32,
    since: Option<Instant>,
}

impl Failures {
    /// None so far, and so many allowed of one place in a minute.
    #[must_use]
    pub fn new(allowed: u32) -> Self {
        Self { allowed, counts: Mutex::new(vec![Count::default(); PLACES].into()), hasher: RandomState::new() }
    }

    /// Counts a failure. When there have been too many, returns how long it is until others are answered again. `None` is a
    /// place, too: that of all whose address is not known.
    pub fn count(&self, source: Option<IpAddr>) -> Option<Duration> {
        self.with(source, |count, left| {
            count.failures = count.failures.saturating_add(1);
            (count.failures > self.allowed).then_some(left)
        })
    }

    /// Takes back what was counted of a call before it was known how it ends, and that has not failed.
    pub fn forgive(&self, source: Option<IpAddr>) {
        self.with(source, |count, _| count.failures = count.failures.saturating_sub(1));
    }

    /// How long it is until failures of this place are answered again, if there have been as many as are allowed.
    #[must_use]
    pub fn blocked_for(&self, source: Option<IpAddr>) -> Option<Duration> {
        self.with(source, |count, left| (count.failures >= self.allowed).then_some(left))
    }

    /// The count of a place, and how long it is until it begins anew.
    fn with<T>(&self, source: Option<IpAddr>, look: impl FnOnce(&mut Count, Duration) -> T) -> T {
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
        look(count, WINDOW - now.duration_since(since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALLOWED: u32 = 30;

    #[tokio::test(start_paused = true)]
    async fn each_place_has_its_own_count() {
        let failures = Failures::new(ALLOWED);
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

    #[tokio::test(start_paused = true)]
    async fn what_has_not_failed_is_taken_back() {
        let failures = Failures::new(2);
        let place = Some("192.0.2.1".parse().unwrap());
        failures.forgive(place);
        assert_eq!((failures.count(place), failures.blocked_for(place)), (None, None));
        assert_eq!((failures.count(place), failures.blocked_for(place)), (None, Some(WINDOW)));
        assert_eq!(failures.count(place), Some(WINDOW));
        failures.forgive(place);
        failures.forgive(place);
        assert_eq!((failures.blocked_for(place), failures.count(place)), (None, None));
        tokio::time::advance(WINDOW).await;
        assert_eq!(failures.blocked_for(place), None);
    }
}
