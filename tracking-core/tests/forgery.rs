//! A million ids that are nearly genuine: none is accepted, and the store hears of none.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod support;

use proptest::prelude::Rng;
use proptest::test_runner::{RngAlgorithm, TestRng};
use tracking_core::{ClickRequest, Outcome, PostbackCall, Secret, Secrets, Tracker};

use crate::support::SwitchedStore;

const IDS: usize = 1_000_000;

#[tokio::test]
async fn altered_ids_are_refused_before_the_store_is_asked() {
    let store = SwitchedStore::default();
    let calls = store.calls();
    let tracker = Tracker::new(store, Secret::random());
    let affiliate = tracker.create_affiliate("Ada".parse().unwrap()).await.unwrap().id;
    let campaign = support::open_campaign(&tracker).await;
    let mut genuine = Vec::new();
    for _ in 0..100 {
        let click = tracker.record_click(ClickRequest::new(affiliate, campaign)).await.unwrap();
        genuine.push(click.into_record().click_id.to_string());
    }
    let others = Secrets::from(Secret::random());
    let before = calls.count();

    let mut random = TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]);
    let mut below = |limit: usize| (random.next_u64() % limit as u64) as usize;
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let prefix = "aptk_".len();
    let affiliate_id = affiliate.to_string();
    let (mut refused, mut n) = (0, 0);
    while refused < IDS {
        n += 1;
        let id = &genuine[n % genuine.len()];
        let mut altered = id.clone().into_bytes();
        match n % 5 {
            // A bit of what it says.
            0 => {
                let place = prefix + below(id.len() - prefix);
                let value = ALPHABET.iter().position(|c| *c == altered[place]).unwrap();
                altered[place] = ALPHABET[value ^ 1 << below(6)];
            }
            // A bit of a character, which may make it one that base64url has not.
            1 => {
                let place = prefix + below(id.len() - prefix);
                altered[place] ^= 1 << below(7);
            }
            // Cut off, or longer.
            2 => altered.truncate(prefix + below(id.len() - prefix)),
            3 => altered.extend((0..=below(20)).map(|_| ALPHABET[below(64)])),
            // Of somebody who does not know the secret.
            _ => altered = others.mint(affiliate, campaign, tracker.now()).as_str().into(),
        }
        let click_id = String::from_utf8(altered).unwrap();
        let pairs = [
            ("affiliate_id", affiliate_id.as_str()),
            ("click_id", click_id.as_str()),
            ("amount", "1"),
            ("currency", "USD"),
        ];
        match tracker.postback(&PostbackCall::new(pairs.into_iter().collect())).await.unwrap() {
            Outcome::ForgedClickId(_) => refused += 1,
            // Some are no click ids at all any more.
            Outcome::InvalidParameter(error) => assert_eq!(error.name, "click_id"),
            outcome => panic!("{click_id} was taken: {outcome:?}"),
        }
    }
    assert_eq!(calls.count(), before, "the store was asked about a forged id");
    assert_eq!(tracker.summary(affiliate).await.unwrap().conversions(), 0);
}
