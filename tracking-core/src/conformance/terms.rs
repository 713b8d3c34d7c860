//! Rules of campaigns, and who may send their postbacks: as much of both as a store has to keep.

use std::time::Duration;

use ipnet::IpNet;
use proptest::prelude::{Just, Strategy, any, prop};
use proptest::sample::select;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use super::given::*;
use crate::{
    Amount, CampaignRules, ConversionStatus, Currency, EventName, EventRule, KeySecret, PayoutRule, PostbackAccess,
    PostbackAuth, PostbackKeyHash, PostbackKeyRecord, Repeats, SigningKey, Timestamp, WhilePaused,
};

pub(super) type Terms = (CampaignRules, PostbackAccess);

/// Everything is left as it is by default.
pub(super) fn no_terms() -> Terms {
    (CampaignRules::default(), PostbackAccess::open())
}

/// Everything is set, and as long as it may be.
pub(super) fn full_terms() -> Terms {
    let event = |index: usize| parse::<EventName>(&format!("{index:e>64}"));
    let rule = EventRule { payout: Some(parse("99.9999%")), amount: Some(parse("999999999999.999999")) };
    let rules = CampaignRules {
        attribution_window: Some(Duration::from_secs(u64::from(u32::MAX))),
        min_time_to_convert: Some(Duration::from_secs(1)),
        currency: Some(parse("EUR")),
        payout: Some(parse("0.000001 USD")),
        events: (0..50).map(|index| (event(index), rule.clone())).collect(),
        default_status: ConversionStatus::Pending,
        repeats: Repeats::Once,
        daily_cap: Some(u32::MAX),
        while_paused: WhilePaused::Nothing,
    };
    // Bytes that are no valid text in any encoding, and a zero.
    let hash = std::array::from_fn(|index| (index as u8).wrapping_mul(17).wrapping_sub(34));
    let key = |id| PostbackKeyRecord {
        id,
        secret: if id % 2 == 0 { token(hash) } else { signing_key([id as u8; 64]) },
        created_at: time(123),
        expires_at: Some(time(i64::from(id))),
    };
    let networks = (0..PostbackAccess::MAX_NETWORKS).map(|n| network(&format!("2001:db8:ffff:{n:x}::/64")));
    let keys = (0..PostbackAccess::MAX_KEYS as u32).map(|index| key(u32::MAX - index)).collect();
    (rules, PostbackAccess { auth: PostbackAuth::Key, keys, networks: networks.collect(), last_key_id: 3 })
}

/// Many of them, the same in every run.
pub(super) fn any_terms(count: usize) -> Vec<Terms> {
    let tree = prop::collection::vec((rules(), access()), count).new_tree(&mut TestRunner::deterministic());
    tree.expect("nothing is filtered out").current()
}

fn rules() -> impl Strategy<Value = CampaignRules> {
    let seconds = || prop::option::of(prop::num::u32::ANY.prop_map(|seconds| Duration::from_secs(seconds.into())));
    let event_rule = (prop::option::of(payout_rule()), prop::option::of(amount()));
    let event_rule = event_rule.prop_map(|(payout, amount)| EventRule { payout, amount });
    // In both cases of letters, which are different events.
    let event = "[a-zA-Z0-9._-]{1,8}".prop_map(|text| parse::<EventName>(&text));
    let times = (seconds(), seconds());
    let worth = (prop::option::of(currency()), prop::option::of(payout_rule()));
    let events = prop::collection::btree_map(event, event_rule, 0..4);
    let choices = (
        select(&ConversionStatus::ALL),
        select(&[Repeats::ByTransaction, Repeats::Once]),
        prop::option::of(any::<u32>()),
        select(&[WhilePaused::EarlierClicks, WhilePaused::Nothing]),
    );
    (times, worth, events, choices).prop_map(|(times, worth, events, choices)| CampaignRules {
        attribution_window: times.0,
        min_time_to_convert: times.1,
        currency: worth.0,
        payout: worth.1,
        events,
        default_status: choices.0,
        repeats: choices.1,
        daily_cap: choices.2,
        while_paused: choices.3,
    })
}

fn access() -> impl Strategy<Value = PostbackAccess> {
    let secret = prop::bool::ANY.prop_flat_map(|is_token| {
        if is_token {
            any::<[u8; 32]>().prop_map(token).boxed()
        } else {
            prop::collection::vec(any::<u8>(), 24..=64).prop_map(signing_key).boxed()
        }
    });
    let key = (any::<u32>(), secret, timestamp(), prop::option::of(timestamp()));
    let key =
        key.prop_map(|(id, secret, created_at, expires_at)| PostbackKeyRecord { id, secret, created_at, expires_at });
    let auth = select(&[PostbackAuth::Key, PostbackAuth::Open]);
    let networks =
        ["0.0.0.0/0", "192.0.2.0/24", "203.0.113.7/32", "::/0", "2001:db8::/32", "2001:db8::1/128"].map(network);
    (auth, prop::collection::vec(key, 0..4), prop::collection::vec(select(networks.to_vec()), 0..4))
        .prop_map(|(auth, keys, networks)| PostbackAccess { auth, keys, networks, last_key_id: 9 })
}

fn payout_rule() -> impl Strategy<Value = PayoutRule> {
    let fixed = (amount(), currency()).prop_map(|(amount, currency)| PayoutRule::Fixed { amount, currency });
    let percent = select(&["0", "0.0001", "12.5", "33.3333", "100"]);
    prop::strategy::Union::new([fixed.boxed(), percent.prop_map(|text| PayoutRule::Percent(parse(text))).boxed()])
}

fn amount() -> impl Strategy<Value = Amount> {
    select(&["0", "0.000001", "5", "99.95", "999999999999.999999"]).prop_map(parse)
}

fn currency() -> impl Strategy<Value = Currency> {
    select(&["USD", "EUR", "JPY"]).prop_map(parse)
}

fn timestamp() -> impl Strategy<Value = Timestamp> {
    prop::strategy::Union::new(awkward_times().into_iter().map(Just))
}

fn network(text: &str) -> IpNet {
    text.parse().expect("a network")
}

fn token(hash: [u8; 32]) -> KeySecret {
    KeySecret::Token(PostbackKeyHash::from_bytes(hash))
}

fn signing_key(bytes: impl AsRef<[u8]>) -> KeySecret {
    use base64::Engine;

    let encoded = base64::prelude::BASE64_STANDARD.encode(bytes);
    KeySecret::Signing(SigningKey::new(&format!("whsec_{encoded}")).expect("24 to 64 bytes"))
}
