//! Keys, signatures and addresses: who is taken for the advertiser.

use std::net::IpAddr;
use std::time::Duration;

use serde_json::Value;
use tracking_core::{
    CampaignId, CampaignRequest, KeyError, KeyKind, KeySecret, Outcome, OutcomeKind, Parameters, PostbackAccess,
    PostbackCall, PostbackKey, PostbackKeyRecord, PostbackMethod, SigningKey, Timestamp, WebhookHeaders,
};

use crate::{World, accepted, duplicate, time};

/// Those of the guide for advertisers, which the samples there are checked by, too.
fn vectors() -> Value {
    serde_json::from_str(include_str!("../../../docs/advertiser/vectors.json")).unwrap()
}

fn text<'a>(vector: &'a Value, name: &str) -> &'a str {
    vector[name].as_str().unwrap()
}

/// A campaign whose only key is this one.
async fn campaign_of(world: &World, key: &str) -> CampaignId {
    let request = CampaignRequest::new("Signed".parse().unwrap(), "https://shop.example/".parse().unwrap());
    let id = world.tracker.create_campaign(request.key_kind(KeyKind::Signing)).await.unwrap().campaign.id;
    let secret = KeySecret::Signing(SigningKey::new(key).unwrap());
    let record = PostbackKeyRecord { id: 1, secret, created_at: Timestamp::MIN, expires_at: None };
    world.tracker.update_campaign(id, |campaign| campaign.access.keys = vec![record.clone()]).await.unwrap();
    id
}

async fn kind(world: &World, call: &PostbackCall<'_>) -> OutcomeKind {
    world.tracker.postback(call).await.unwrap().kind()
}

#[tokio::test]
async fn vectors_of_signed_parameters() {
    let vectors = vectors();
    for vector in vectors["get"].as_array().unwrap() {
        let pairs = vector["parameters"].as_array().unwrap().iter();
        let pairs = pairs.map(|pair| (pair[0].as_str().unwrap().to_owned(), pair[1].as_str().unwrap().to_owned()));
        let signed_at = vector["signed_at"].to_string();
        let signed: Parameters<'_> = pairs
            .chain([
                ("signed_at".to_owned(), signed_at),
                ("signature".to_owned(), text(vector, "signature").to_owned()),
            ])
            .collect();
        assert_eq!(signed.canonical(), text(vector, "canonical"), "{}", vector["about"]);
    }
}

#[tokio::test]
async fn vectors_of_signed_bodies() {
    for vector in vectors()["post"].as_array().unwrap() {
        let world = World::new().await;
        let campaign = campaign_of(&world, text(vector, "key")).await;
        world.click(campaign, "abc123").await;
        let timestamp = vector["timestamp"].to_string();
        world.clock.set(Timestamp::from_millis(timestamp.parse::<i64>().unwrap() * 1000 + 299_999).unwrap());
        let signature = text(vector, "signature");
        let headers = WebhookHeaders { id: text(vector, "id"), timestamp: &timestamp, signature };
        let affiliate = world.affiliate.to_string();
        let call = || {
            let sale = [("affiliate_id", &*affiliate), ("click_id", "abc123"), ("amount", "1"), ("currency", "USD")];
            PostbackCall::new(sale.into_iter().collect()).method(PostbackMethod::Post)
        };
        let body = text(vector, "body").as_bytes();
        assert_eq!(kind(&world, &call().webhook(headers, b"{}")).await, OutcomeKind::WrongSignature);
        let several = format!("v1,AAAA v2,x {signature} nonsense");
        assert_eq!(kind(&world, &call().webhook(headers, body)).await, OutcomeKind::Accepted, "{}", vector["about"]);
        let headers = WebhookHeaders { signature: &several, ..headers };
        assert_eq!(kind(&world, &call().webhook(headers, body)).await, OutcomeKind::Duplicate);
        let headers = WebhookHeaders { id: "another", ..headers };
        assert_eq!(kind(&world, &call().webhook(headers, body)).await, OutcomeKind::WrongSignature);
    }
}

/// Signs as the guide says, by other means than the library.
fn sign(key: &str, parameters: &[(&str, &str)]) -> String {
    use base64::Engine;
    use hmac::{KeyInit, Mac};
    let key = base64::prelude::BASE64_STANDARD.decode(&key["whsec_".len()..]).unwrap();
    let mut mac = hmac::Hmac::<sha2::Sha256>::new_from_slice(&key).unwrap();
    let mut pairs: Vec<String> = parameters.iter().map(|(name, value)| format!("{name}={value}")).collect();
    pairs.sort();
    mac.update(pairs.join("&").as_bytes());
    mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn signatures_are_good_for_five_minutes_and_for_what_was_signed() {
    let key = PostbackKey::random(KeyKind::Signing);
    let world = World::new().await;
    world.clock.set(time("2024-05-01T12:00:00.999Z"));
    let campaign = campaign_of(&world, key.expose()).await;
    world.click(campaign, "abc123").await;
    let affiliate = world.affiliate.to_string();
    let base = [("affiliate_id", &*affiliate), ("click_id", "abc123"), ("amount", "1"), ("currency", "USD")];
    let noon = 1_714_564_800;
    let send = async |at: &str, key: &str, changed: Option<(&str, &str)>| {
        let mut sent: Vec<(&str, &str)> = base.into_iter().chain([("signed_at", at)]).collect();
        let signature = sign(key, &sent);
        sent.extend(changed);
        sent.push(("signature", &signature));
        kind(&world, &PostbackCall::new(sent.into_iter().collect())).await
    };
    let other = PostbackKey::random(KeyKind::Signing);
    assert_eq!(send(&noon.to_string(), other.expose(), None).await, OutcomeKind::WrongSignature);
    assert_eq!(send(&noon.to_string(), key.expose(), Some(("status", "rejected"))).await, OutcomeKind::WrongSignature);
    for stale in [noon - 301, noon + 301] {
        assert_eq!(send(&stale.to_string(), key.expose(), None).await, OutcomeKind::StaleSignature);
    }
    for stale in ["", "now", "-1714564800", "1714564800.0", "99999999999999999999999"] {
        assert_eq!(send(stale, key.expose(), None).await, OutcomeKind::StaleSignature, "{stale}");
    }
    for (at, expected) in [(noon - 300, OutcomeKind::Accepted), (noon + 300, OutcomeKind::Duplicate)] {
        assert_eq!(send(&at.to_string(), key.expose(), None).await, expected);
    }
    // What proves a sender is enough, whatever else he sends.
    let token = world.tracker.issue_key(campaign, KeyKind::Token, None).await.unwrap().key;
    let both = base.into_iter().chain([("signature", "x"), ("token", token.expose())]).collect();
    assert_eq!(kind(&world, &PostbackCall::new(both)).await, OutcomeKind::Duplicate);
    // A token is no signature, and a signing key no token.
    let token = [("token", key.expose())];
    let call = PostbackCall::new(base.into_iter().chain(token).collect());
    assert_eq!(kind(&world, &call).await, OutcomeKind::WrongKey);
    for not_hex in ["", "00", "zz", &"é".repeat(32)] {
        let call =
            PostbackCall::new(base.into_iter().chain([("signature", not_hex), ("signed_at", "1714564800")]).collect());
        let expected = if not_hex.is_empty() { OutcomeKind::MissingKey } else { OutcomeKind::WrongSignature };
        assert_eq!(kind(&world, &call).await, expected, "{not_hex}");
    }
}

#[tokio::test]
async fn keys_are_rotated_with_an_overlap() {
    let world = World::new().await;
    world.click(world.keyed, "abc123").await;
    let with = async |key: &PostbackKey| world.postback(&[("token", key.expose())]).await;
    accepted(with(&world.key).await);

    let overlap = Some(Duration::from_secs(3600));
    let issued = world.tracker.issue_key(world.keyed, KeyKind::Token, overlap).await.unwrap();
    assert_eq!((issued.key_id, issued.campaign.access.keys.len()), (2, 2));
    duplicate(with(&world.key).await);
    duplicate(with(&issued.key).await);

    world.clock.set(world.tracker.now().plus(Duration::from_secs(3600)));
    assert!(matches!(with(&world.key).await, Outcome::WrongKey(_)), "it has expired");
    duplicate(with(&issued.key).await);

    let campaign = world.tracker.revoke_key(world.keyed, 2).await.unwrap();
    assert!(matches!(with(&issued.key).await, Outcome::WrongKey(_)), "it was revoked");
    assert!(campaign.access.keys.iter().all(|key| key.id != 2));
    let next = world.tracker.issue_key(world.keyed, KeyKind::Token, None).await.unwrap();
    assert_eq!(next.key_id, 3, "whoever revokes key 2 once more must not hit another");
    world.tracker.revoke_key(world.keyed, 3).await.unwrap();
    assert!(matches!(world.tracker.revoke_key(world.keyed, 2).await, Err(KeyError::Unknown(2))));
    assert!(matches!(world.postback(&[]).await, Outcome::MissingKey(_)), "without a key nothing is open");
}

#[tokio::test]
async fn keys_are_few() {
    let world = World::new().await;
    for _ in 1..PostbackAccess::MAX_KEYS {
        world.tracker.issue_key(world.keyed, KeyKind::Signing, None).await.unwrap();
    }
    let refused = world.tracker.issue_key(world.keyed, KeyKind::Token, None).await;
    assert!(matches!(refused, Err(KeyError::TooMany)), "{refused:?}");
    // Those that have expired make room.
    world
        .tracker
        .update_campaign(world.keyed, |campaign| {
            campaign.access.keys[0].expires_at = Some(Timestamp::MIN);
        })
        .await
        .unwrap();
    let issued = world.tracker.issue_key(world.keyed, KeyKind::Token, None).await.unwrap();
    assert_eq!(issued.key_id, PostbackAccess::MAX_KEYS as u32 + 1);
}

#[tokio::test]
async fn an_open_campaign_that_gets_a_key_demands_it() {
    let world = World::new().await;
    world.click(world.open, "abc123").await;
    accepted(world.postback(&[]).await);
    let issued = world.tracker.issue_key(world.open, KeyKind::Token, None).await.unwrap();
    assert!(matches!(world.postback(&[]).await, Outcome::MissingKey(_)));
    duplicate(world.postback_with(&[], Some(issued.key.expose())).await);
}

#[tokio::test]
async fn postbacks_come_from_where_they_may() {
    let world = World::new().await;
    let networks = vec!["192.0.2.0/24".parse().unwrap(), "2001:db8::/32".parse().unwrap()];
    world.tracker.update_campaign(world.open, |campaign| campaign.access.networks = networks.clone()).await.unwrap();
    world.click(world.open, "abc123").await;
    let affiliate = world.affiliate.to_string();
    let sale = [("affiliate_id", &*affiliate), ("click_id", "abc123"), ("amount", "1"), ("currency", "USD")];
    let call = || PostbackCall::new(sale.into_iter().collect());
    let from = async |address: &str| kind(&world, &call().source(address.parse().unwrap())).await;
    assert_eq!(kind(&world, &call()).await, OutcomeKind::AddressNotAllowed, "from nobody knows where");
    for address in ["192.0.3.1", "2001:db9::1", "::ffff:192.0.3.1"] {
        assert_eq!(from(address).await, OutcomeKind::AddressNotAllowed, "{address}");
    }
    assert_eq!(from("192.0.2.255").await, OutcomeKind::Accepted);
    for address in ["::ffff:192.0.2.1", "2001:db8:ffff::1"] {
        assert_eq!(from(address).await, OutcomeKind::Duplicate, "{address}");
    }
    let mapped = vec!["::ffff:198.51.100.0/120".parse().unwrap()];
    world.tracker.update_campaign(world.open, |campaign| campaign.access.networks = mapped.clone()).await.unwrap();
    assert_eq!(from("198.51.100.7").await, OutcomeKind::Duplicate);
    assert_eq!(from("198.51.101.7").await, OutcomeKind::AddressNotAllowed);
}

#[tokio::test]
async fn who_guesses_is_told_to_wait_and_who_knows_is_not_concerned() {
    let world = World::new().await;
    world.click(world.keyed, "abc123").await;
    let affiliate = world.affiliate.to_string();
    let source: IpAddr = "192.0.2.1".parse().unwrap();
    let send = async |token: &str, source: IpAddr| {
        let sale = [("affiliate_id", &*affiliate), ("click_id", "abc123"), ("amount", "1"), ("currency", "USD")];
        let call = PostbackCall::new(sale.into_iter().chain([("token", token)]).collect()).source(source);
        world.tracker.postback(&call).await.unwrap()
    };
    for _ in 0..30 {
        assert!(matches!(send("guess", source).await, Outcome::WrongKey(_)));
    }
    match send("", source).await {
        Outcome::TooManyFailures { retry_after } => assert!((1..=61).contains(&retry_after.as_secs())),
        other => panic!("not limited: {other:?}"),
    }
    accepted(send(world.key.expose(), source).await);
    assert!(matches!(send("guess", source).await, Outcome::TooManyFailures { .. }));
    let elsewhere = (2..=9).map(|last| IpAddr::from([192, 0, 2, last]));
    let mut free = 0;
    for address in elsewhere {
        free += usize::from(matches!(send("guess", address).await, Outcome::WrongKey(_)));
    }
    assert!(free >= 7, "others go free, but by the rarest of chances: {free}");
}

#[test]
fn what_a_store_keeps_comes_back() {
    for kind in [KeyKind::Token, KeyKind::Signing] {
        let key = PostbackKey::random(kind);
        let record = PostbackKeyRecord {
            id: 7,
            secret: key.secret(),
            created_at: time("2024-05-01T12:00:00Z"),
            expires_at: Some(Timestamp::MAX),
        };
        let mut access = PostbackAccess::of_keys(vec![record]);
        access.networks.push("192.0.2.0/24".parse().unwrap());
        let json = serde_json::to_string(&access).unwrap();
        assert_eq!(serde_json::from_str::<PostbackAccess>(&json).unwrap(), access);
        assert_eq!(json.contains(key.expose()), kind == KeyKind::Signing, "of a token the hash is enough");
        assert!(!format!("{access:?} {key:?}").contains(key.expose()));
        assert!(!format!("{access:?}").contains(&key.expose()[8..24]));
    }
    assert!(SigningKey::new("whsec_MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM=").is_err(), "too short");
    assert!(SigningKey::new("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").is_err());
}
