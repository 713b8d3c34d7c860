//! Postback keys: what they are, and that nothing shows them by accident.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use tracking_core::{
    CampaignRequest, CampaignRules, CreatedCampaign, KeyKind, KeySecret, NewCampaign, PostbackCall, PostbackKey,
    PostbackKeyHash, Secret, Timestamp, Tracker,
};

fn token() -> PostbackKey {
    PostbackKey::random(KeyKind::Token)
}

fn hash(token: &PostbackKey) -> PostbackKeyHash {
    match token.secret() {
        KeySecret::Token(hash) => hash,
        KeySecret::Signing(_) => panic!("no token"),
    }
}

#[test]
fn token_is_256_random_bits() {
    let key = token();
    let digits = key.expose().strip_prefix("pbk_").unwrap();
    assert_eq!(digits.len(), 64);
    assert!(digits.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte)));
    assert_ne!(key.expose(), token().expose());
}

#[test]
fn hash_knows_its_key_and_no_other() {
    let (key, other) = (token(), token());
    let stored = PostbackKeyHash::from_bytes(*hash(&key).as_bytes());
    assert_eq!(stored, hash(&key));
    assert!(stored.matches(key.expose()));
    for wrong in [other.expose(), "", "pbk_", &key.expose()[4..], &format!("{} ", key.expose())] {
        assert!(!stored.matches(wrong), "{wrong:?}");
    }
}

#[test]
fn hash_is_sha_256() {
    // The digest of the empty text (FIPS 180-4), so that hashes outlive this library.
    let digits = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let bytes = std::array::from_fn(|index| u8::from_str_radix(&digits[index * 2..index * 2 + 2], 16).unwrap());
    assert!(PostbackKeyHash::from_bytes(bytes).matches(""));
}

#[tokio::test]
async fn debug_shows_no_secret() {
    let tracker_secret = "a secret of at least 32 characters";
    let tracker = Tracker::new(storage_memory::MemoryStore::new(), Secret::new(tracker_secret).unwrap());
    let request = CampaignRequest::new("Shop".parse().unwrap(), "https://shop.example/".parse().unwrap());
    let CreatedCampaign { campaign, postback_key } = tracker.create_campaign(request).await.unwrap();
    let key = postback_key.unwrap();
    let new = NewCampaign {
        id: None,
        name: campaign.name.clone(),
        destination: campaign.destination.clone(),
        rules: CampaignRules::default(),
        access: campaign.access.clone(),
        created_at: Timestamp::MIN,
    };
    let secret = key.expose().to_owned();
    let stored = hash(&key);
    let shown = [
        format!("{key:?} {key:#?} {stored:?} {stored:#?}"),
        format!("{new:?} {campaign:?}"),
        format!("{:?}", CreatedCampaign { campaign, postback_key: Some(key) }),
        format!("{tracker:?}"),
        format!(
            "{:?}",
            PostbackCall::new([("token", &*secret), (&*secret, "1")].into_iter().collect()).bearer(&secret)
        ),
    ];
    let hash = stored.as_bytes();
    let hash_digits: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    for text in shown {
        assert!(!text.contains(&secret[4..12]) && !text.contains("32 characters"), "{text}");
        assert!(!text.contains(&hash_digits[..8]) && !text.contains(&format!("{}, {}", hash[0], hash[1])), "{text}");
    }
}
