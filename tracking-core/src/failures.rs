//! How often calls from one place could not prove who sent them.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

const WINDOW: Duration = Duration::from_secs(60);

/// How many counts there are: so many sets of so many.
const SETS: usize = 512;
const COUNTS_PER_SET: usize = 8;

/// How many places of one site may fail as often as they can, before all of them are kept waiting.
const PLACES_PER_SITE: u32 = 8;

/// Counts failures by place, so that nobody can try secrets as often as he likes.
///
/// A place is an IPv4 address, or the 64 bits of IPv6 that are one network, whose count begins anew a minute after its first
/// failure. Networks whose first 48 bits are the same are one site, which has eight times as many failures: somebody with 65,536
/// networks is not 65,536 places.
///
/// The memory does not grow. Where there is no room for another count, the one with the fewest failures makes place: nobody is
/// kept waiting for what places beyond his own site have failed. So whoever has thousands of addresses, of thousands of sites, may be forgotten
/// before the minute is over. Secrets that can't be guessed in as many tries as those have don't suffer from that.
#[derive(Debug)]
pub struct Failures {
    allowed: u32,
    counts: Mutex<Counts>,
    /// With a key of its own, so that nobody can tell who shares a set with him.
    hasher: RandomState,
}

#[derive(Debug, Clone, Copy, Default)]
struct Count {
    /// Of what it is the count: a hash.
    key: u64,
    failures: u32,
    since: Option<Instant>,
}

impl Failures {
    /// None so far, and so many allowed of one place in a minute.
    #[must_use]
    pub fn new(allowed: u32) -> Self {
        let counts = vec![[Count::default(); COUNTS_PER_SET]; SETS];
        Self { allowed, counts: Mutex::new(Counts(counts.into())), hasher: RandomState::new() }
    }

    /// Counts a failure. When there have been too many, returns how long it is until others are answered again. `None` is a
    /// place, too: that of all whose address is not known.
    pub fn count(&self, source: Option<IpAddr>) -> Option<Duration> {
        let ((place, site), now) = (self.keys(source), Instant::now());
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        // A site that is kept waiting takes no more room.
        if let Some(left) = site.and_then(|site| counts.blocked_for(site, self.allowed_of_site(), now)) {
            return Some(left);
        }
        let of_place = counts.find_or_make(place, now);
        of_place.failures = of_place.failures.saturating_add(1);
        if of_place.failures > self.allowed {
            return Some(of_place.left(now));
        }
        if let Some(site) = site {
            let of_site = counts.find_or_make(site, now);
            of_site.failures = of_site.failures.saturating_add(1);
        }
        None
    }

    /// Takes back what was counted of a call before it was known how it ends, and that has not failed.
    pub fn forgive(&self, source: Option<IpAddr>) {
        let ((place, site), now) = (self.keys(source), Instant::now());
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        for key in std::iter::once(place).chain(site) {
            if let Some(count) = counts.find(key, now) {
                count.failures = count.failures.saturating_sub(1);
            }
        }
    }

    /// How long it is until failures of this place are answered again, if there have been as many as are allowed.
    #[must_use]
    pub fn blocked_for(&self, source: Option<IpAddr>) -> Option<Duration> {
        let ((place, site), now) = (self.keys(source), Instant::now());
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let of_place = counts.blocked_for(place, self.allowed, now);
        of_place.or_else(|| counts.blocked_for(site?, self.allowed_of_site(), now))
    }

    const fn allowed_of_site(&self) -> u32 {
        self.allowed.saturating_mul(PLACES_PER_SITE)
    }

    /// By what the failures of a place are counted, and those of its site, if it is not one by itself.
    fn keys(&self, source: Option<IpAddr>) -> (u64, Option<u64>) {
        match source.map(|address| address.to_canonical()) {
            Some(IpAddr::V6(address)) => {
                let first = |bits: u32| (bits, address.to_bits() >> (Ipv6Addr::BITS - bits));
                (self.hasher.hash_one(first(64)), Some(self.hasher.hash_one(first(48))))
            }
            address => (self.hasher.hash_one(address), None),
        }
    }
}

#[derive(Debug)]
struct Counts(Box<[[Count; COUNTS_PER_SET]]>);

impl Counts {
    fn find(&mut self, key: u64, now: Instant) -> Option<&mut Count> {
        self.set(key).iter_mut().find(|count| count.key == key && count.is_live(now))
    }

    fn find_or_make(&mut self, key: u64, now: Instant) -> &mut Count {
        let set = self.set(key);
        let is_it = |count: &Count| count.key == key && count.is_live(now);
        let least = |count: &Count| (count.is_live(now), count.failures, count.since);
        let found = set.iter().position(is_it);
        let index = found.or_else(|| (0..COUNTS_PER_SET).min_by_key(|index| least(&set[*index]))).unwrap_or_default();
        if found.is_none() {
            set[index] = Count { key, failures: 0, since: Some(now) };
        }
        &mut set[index]
    }

    fn blocked_for(&mut self, key: u64, allowed: u32, now: Instant) -> Option<Duration> {
        self.find(key, now).filter(|count| count.failures >= allowed).map(|count| count.left(now))
    }

    fn set(&mut self, key: u64) -> &mut [Count; COUNTS_PER_SET] {
        &mut self.0[key as usize % SETS]
    }
}

impl Count {
    fn is_live(&self, now: Instant) -> bool {
        self.since.is_some_and(|since| now.duration_since(since) < WINDOW)
    }

    /// How long it is until it begins anew.
    fn left(&self, now: Instant) -> Duration {
        self.since.map_or(Duration::ZERO, |since| WINDOW.saturating_sub(now.duration_since(since)))
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
        assert_eq!(others, 0, "others go free");
        tokio::time::advance(WINDOW / 2).await;
        assert_eq!(count("2001:db8::1"), Some(WINDOW / 2));
        tokio::time::advance(WINDOW / 2).await;
        assert_eq!(count("2001:db8::1"), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_site_of_many_networks_is_kept_waiting() {
        let failures = Failures::new(10);
        let count = |address: String| failures.count(Some(address.parse().unwrap()));
        let answered =
            |network: u16| (0..20).filter(|n| count(format!("2001:db8:1:{network:x}::{n:x}")).is_none()).count();
        let all: usize = (0..=u16::MAX).map(answered).sum();
        assert_eq!(all, 10 * 8, "as many as of eight networks");
        // Nobody else is kept waiting, be it in a network nearby.
        for address in ["2001:db8:2::1", "2001:db8::1", "192.0.2.1", "::ffff:192.0.2.2"] {
            assert_eq!(failures.blocked_for(Some(address.parse().unwrap())), None, "{address}");
            assert_eq!(count(address.to_owned()), None, "{address}");
        }
        let in_it = Some("2001:db8:1:9999::1".parse().unwrap());
        assert_eq!(failures.blocked_for(in_it), Some(WINDOW));
        // What is right counts for nothing: not for the site, either.
        failures.forgive(in_it);
        assert_eq!((failures.blocked_for(in_it), failures.count(in_it)), (None, None));
        tokio::time::advance(WINDOW).await;
        assert_eq!(failures.count(in_it), None);
    }

    #[tokio::test(start_paused = true)]
    async fn many_addresses_neither_block_others_nor_free_those_who_are_blocked() {
        let failures = Failures::new(3);
        let blocked = Some("203.0.113.1".parse().unwrap());
        (0..4).for_each(|_| _ = failures.count(blocked));
        // Many times as many as there are counts.
        for n in 0..u32::from(u16::MAX) {
            let other = Some(IpAddr::V4((0x0A00_0000 + n).into()));
            assert_eq!((failures.blocked_for(other), failures.count(other)), (None, None), "{other:?}");
        }
        assert_eq!(failures.blocked_for(blocked), Some(WINDOW));
        assert_eq!(failures.count(None), None);
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
