//! Passes: what they say, and when they are void.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use storage_memory::MemoryStore;
use tracking_core::{
    ClickId, ClickIdOrigin, Event, Holder, Pass, PassError, Received, Secret, Secrets, StoreError, Tracker,
    TrackerOptions,
};

use crate::support::{Mode, SwitchedStore};
use crate::{NOON, World, secret, time, tracker};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn bound_to_nothing(_: Holder) -> Vec<u8> {
    Vec::new()
}

async fn check(tracker: &Tracker, token: &str) -> Option<Pass> {
    tracker.check_pass(token, bound_to_nothing).await.unwrap()
}

fn pass(holder: Holder) -> Pass {
    Pass { holder, issued_at: time(NOON), expires_at: time(NOON).plus(DAY) }
}

#[tokio::test]
async fn an_affiliate_has_a_pass_until_it_expires() {
    let world = World::new().await;
    let (token, pass) = world.tracker.issue_pass(world.affiliate, DAY).await.unwrap();
    assert_eq!(pass, self::pass(Holder::Affiliate(world.affiliate)));
    assert_eq!(check(&world.tracker, &token).await, Some(pass));
    assert_eq!(token.len(), 53);
    assert!(token.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte)), "{token}");

    world.clock.set(pass.expires_at.minus(Duration::from_millis(1)));
    assert_eq!(check(&world.tracker, &token).await, Some(pass));
    world.clock.set(pass.expires_at);
    assert_eq!(check(&world.tracker, &token).await, None);
}

#[tokio::test]
async fn all_passes_of_an_affiliate_are_revoked_at_once() {
    let world = World::new().await;
    let other = world.tracker.create_affiliate("Bob".parse().unwrap()).await.unwrap().id;
    let (first, _) = world.tracker.issue_pass(world.affiliate, DAY).await.unwrap();
    let (others, _) = world.tracker.issue_pass(other, DAY).await.unwrap();
    world.clock.set(time(NOON).plus(Duration::from_secs(1)));
    let (second, _) = world.tracker.issue_pass(world.affiliate, DAY).await.unwrap();
    assert!(check(&world.tracker, &first).await.is_some() && check(&world.tracker, &second).await.is_some());

    let mut events = world.tracker.subscribe();
    let affiliate = world.tracker.revoke_passes(world.affiliate).await.unwrap();
    assert_eq!((affiliate.revoked_at, affiliate.version), (Some(world.tracker.now()), 2));
    assert_eq!(events.next().await, Some(Received::Event(Event::AffiliateUpdated(affiliate))));
    assert_eq!((check(&world.tracker, &first).await, check(&world.tracker, &second).await), (None, None));
    assert!(check(&world.tracker, &others).await.is_some());

    // One that is issued in the same moment is a new one.
    let (third, pass) = world.tracker.issue_pass(world.affiliate, DAY).await.unwrap();
    assert_eq!(check(&world.tracker, &third).await, Some(pass));
    // A clock that is behind makes none of the old ones valid again.
    world.clock.set(time(NOON));
    world.tracker.revoke_passes(world.affiliate).await.unwrap();
    assert_eq!(check(&world.tracker, &second).await, None);
}

#[tokio::test]
async fn lifetimes_have_bounds() {
    let world = World::new().await;
    let (shortest, longest) = (Tracker::MIN_PASS_LIFETIME, Tracker::MAX_PASS_LIFETIME);
    for lifetime in [shortest, longest] {
        let (_, pass) = world.tracker.issue_pass(world.affiliate, lifetime).await.unwrap();
        assert_eq!(pass.expires_at, time(NOON).plus(lifetime));
    }
    let finest = Duration::from_millis(1);
    for lifetime in [Duration::ZERO, shortest - finest, longest + finest, Duration::MAX] {
        let refused = world.tracker.issue_pass(world.affiliate, lifetime).await;
        assert!(matches!(refused, Err(PassError::Lifetime)), "{lifetime:?}");
    }
    let unknown = world.tracker.issue_pass("999".parse().unwrap(), DAY).await;
    assert!(matches!(unknown, Err(PassError::Store(StoreError::UnknownAffiliate(_)))));
    let unknown = world.tracker.revoke_passes("999".parse().unwrap()).await;
    assert!(matches!(unknown, Err(StoreError::UnknownAffiliate(_))));
}

#[tokio::test]
async fn a_pass_is_bound_to_what_it_was_signed_for() {
    let world = World::new().await;
    for holder in [Holder::Admin, Holder::ReadOnly, Holder::Affiliate(world.affiliate)] {
        let token = world.tracker.sign_pass(&pass(holder), b"the hash of a password");
        let check = |bound_to: &'static [u8]| {
            world.tracker.check_pass(&token, move |asked| {
                assert_eq!(asked, holder);
                bound_to.to_vec()
            })
        };
        assert_eq!(check(b"the hash of a password").await.unwrap(), Some(pass(holder)));
        for other in [&b""[..], b"the hash of another", b"the hash of a password "] {
            assert_eq!(check(other).await.unwrap(), None);
        }
    }
    let nobody = world.tracker.sign_pass(&pass(Holder::Affiliate("999".parse().unwrap())), b"");
    assert_eq!(check(&world.tracker, &nobody).await, None, "there is no such affiliate");
}

#[tokio::test]
async fn a_pass_with_any_bit_changed_is_none() {
    let world = World::new().await;
    let (token, _) = world.tracker.issue_pass(world.affiliate, DAY).await.unwrap();
    let encoded = token.strip_prefix("afpass_").unwrap();
    let bytes = URL_SAFE_NO_PAD.decode(encoded).unwrap();
    assert_eq!(bytes.len(), 34);
    for bit in 0..bytes.len() * 8 {
        let mut changed = bytes.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        let changed = format!("afpass_{}", URL_SAFE_NO_PAD.encode(changed));
        assert_eq!(check(&world.tracker, &changed).await, None, "bit {bit}");
    }
    let mut others =
        vec![String::new(), encoded.to_owned(), format!("{token}A"), format!(" {token}"), format!("{token}=")];
    others.extend((0..token.len()).map(|len| token[..len].to_owned()));
    // The last character has four bits that mean nothing.
    let last = token.char_indices().last().unwrap().0;
    others.extend("BCDEFGHIJKLMNO".chars().map(|c| format!("{}{c}", &token[..last])).filter(|text| *text != token));
    for other in others {
        assert_eq!(check(&world.tracker, &other).await, None, "{other}");
    }
}

#[tokio::test]
async fn a_retired_secret_still_verifies() {
    let world = World::new().await;
    let (token, pass) = world.tracker.issue_pass(world.affiliate, DAY).await.unwrap();
    let newer = Secret::new("fedcba9876543210fedcba9876543210").unwrap();
    for (secrets, expected) in
        [(Secrets::from(newer.clone()).retired(secret()), Some(pass)), (Secrets::from(newer), None)]
    {
        let store = MemoryStore::new();
        let options = TrackerOptions::default().clock(Arc::clone(&world.clock));
        let tracker = Tracker::with_options(store, secrets, options);
        let affiliate = tracker.create_affiliate("Ada's reviews".parse().unwrap()).await.unwrap().id;
        assert_eq!(affiliate, world.affiliate);
        assert_eq!(check(&tracker, &token).await, expected);
    }
}

/// The format of the documentation, made by hand.
#[tokio::test]
async fn a_pass_has_the_form_that_is_documented() {
    let world = World::new().await;
    for (kind, affiliate, holder) in [
        (1, 0, Holder::Admin),
        (2, 0, Holder::ReadOnly),
        (3, world.affiliate.as_u64(), Holder::Affiliate(world.affiliate)),
    ] {
        let millis = |at: tracking_core::Timestamp| at.as_millis().to_be_bytes()[2..].to_vec();
        let Pass { issued_at, expires_at, .. } = pass(holder);
        let id = affiliate.to_be_bytes();
        let payload = [&[1, kind], &id[4..], &millis(issued_at), &millis(expires_at)].concat();
        let sign = |prefix: &str| {
            let mut mac = Hmac::<Sha256>::new_from_slice(b"0123456789abcdef0123456789abcdef").unwrap();
            [prefix.as_bytes(), &payload, b"bound"].iter().for_each(|part| mac.update(part));
            let tag = mac.finalize().into_bytes();
            format!("afpass_{}", URL_SAFE_NO_PAD.encode([&payload, &tag[..16]].concat()))
        };
        let token = world.tracker.sign_pass(&pass(holder), b"bound");
        assert_eq!(token, sign("afpass_"));
        let bound = |_| b"bound".to_vec();
        assert_eq!(world.tracker.check_pass(&token, bound).await.unwrap(), Some(pass(holder)));
        // Signed for a click id.
        assert_eq!(world.tracker.check_pass(&sign("aptk_"), bound).await.unwrap(), None);
        let origin = Secrets::from(secret()).origin(&ClickId::new(&token).unwrap());
        assert_eq!(origin, ClickIdOrigin::Caller);
    }
}

#[tokio::test]
async fn a_pass_is_no_one_s_while_the_store_is_away() {
    let world = World::new().await;
    let store = SwitchedStore::default();
    let calls = store.calls();
    let tracker = tracker(store, &world.clock);
    let affiliate = tracker.create_affiliate("Ada's reviews".parse().unwrap()).await.unwrap().id;
    let (token, pass) = tracker.issue_pass(affiliate, DAY).await.unwrap();
    calls.set(Mode::Down);
    assert!(matches!(tracker.check_pass(&token, bound_to_nothing).await, Err(StoreError::Unavailable { .. })));
    calls.set(Mode::Up);
    assert_eq!(check(&tracker, &token).await, Some(pass));
    // It is looked up once, not at each request.
    let before = calls.count();
    for _ in 0..10 {
        assert_eq!(check(&tracker, &token).await, Some(pass));
    }
    assert_eq!(calls.count(), before);
}
