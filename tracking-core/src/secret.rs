//! What is made with a tracker's secret: click ids and passes that prove themselves, and hashes that know a visitor again.

use std::cell::RefCell;
use std::fmt;
use std::net::IpAddr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use thiserror::Error;

use crate::{AffiliateId, CampaignId, ClickId, Timestamp, VisitorHash, VisitorHashes};

/// The secret of a tracker: at least 32 bytes that nobody can guess, the same in all processes that share a store.
///
/// Whoever has it can make click ids and passes that are taken for genuine. `Debug` does not show it.
#[derive(Clone)]
pub struct Secret(Hmac<Sha256>);

/// The text is too short for a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a secret must have at least {} characters", Secret::MIN_LEN)]
pub struct WeakSecret;

impl Secret {
    /// The fewest bytes that it may have: as many as [RFC 2104](https://www.rfc-editor.org/rfc/rfc2104#section-3) asks
    /// of a key.
    pub const MIN_LEN: usize = 32;

    /// A secret that was made once and is kept, such as 64 random hexadecimal digits.
    ///
    /// # Errors
    /// If it has fewer than [`MIN_LEN`](Self::MIN_LEN) bytes.
    pub fn new(text: &str) -> Result<Self, WeakSecret> {
        if text.len() < Self::MIN_LEN { Err(WeakSecret) } else { Ok(Self::of(text.as_bytes())) }
    }

    /// A secret that nobody knows, and that ends with the process: for tests and trials.
    ///
    /// Click ids that were minted under it are taken for forged by the next process, so it does not go with a store that
    /// outlives this one.
    #[must_use]
    pub fn random() -> Self {
        Self::of(&random_bytes::<32>())
    }

    #[allow(clippy::expect_used, reason = "HMAC takes keys of any length")]
    fn of(key: &[u8]) -> Self {
        Self(Hmac::new_from_slice(key).expect("a key of any length"))
    }

    fn mac(&self, parts: &[&[u8]]) -> Hmac<Sha256> {
        let mut mac = self.0.clone();
        parts.iter().for_each(|part| mac.update(part));
        mac
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// The secrets of a tracker: one that click ids are minted under, and others whose ids are still taken for genuine.
///
/// To change the secret, make the old one a [retired](Self::retired) one, and drop it when no more postbacks come for its
/// clicks.
#[derive(Debug, Clone)]
pub struct Secrets {
    current: Secret,
    retired: Vec<Secret>,
}

impl From<Secret> for Secrets {
    fn from(current: Secret) -> Self {
        Self { current, retired: Vec::new() }
    }
}

impl Secrets {
    /// The same with one more secret that ids may have been minted under.
    #[must_use]
    pub fn retired(mut self, secret: Secret) -> Self {
        self.retired.push(secret);
        self
    }

    /// A new click id.
    #[must_use]
    pub fn mint(&self, affiliate_id: AffiliateId, campaign_id: CampaignId, at: Timestamp) -> ClickId {
        let claims = Claims { affiliate_id, campaign_id, created_at: at };
        claims.sign(next_random(), &self.current)
    }

    /// Where a click id comes from. It is found out from the id alone.
    #[must_use]
    pub fn origin(&self, click_id: &ClickId) -> ClickIdOrigin {
        let Some(encoded) = click_id.as_str().strip_prefix(PREFIX) else { return ClickIdOrigin::Caller };
        let mut bytes = [0; LEN];
        if URL_SAFE_NO_PAD.decode_slice(encoded, &mut bytes) != Ok(LEN) {
            return ClickIdOrigin::Forged;
        }
        let (payload, tag) = bytes.split_at(PAYLOAD_LEN);
        if !self.has_signed(tag, &[PREFIX.as_bytes(), payload]) {
            return ClickIdOrigin::Forged;
        }
        Claims::read(payload).map_or(ClickIdOrigin::Forged, ClickIdOrigin::Minted)
    }

    /// What an erased click bears instead of this id, under each of the secrets, the current one first.
    pub(crate) fn tombstones<'a>(&'a self, click_id: &'a ClickId) -> impl Iterator<Item = ClickId> + 'a {
        self.all().map(|secret| {
            let hash = secret.mac(&[b"erased", click_id.as_str().as_bytes()]).finalize().into_bytes();
            tombstone(&hash)
        })
    }

    /// What an erased click bears that nobody has to find again.
    pub(crate) fn random_tombstone() -> ClickId {
        tombstone(&random_bytes::<32>())
    }

    /// A signature under the current secret of what comes after a text that stands for its kind.
    pub(crate) fn tag(&self, parts: &[&[u8]]) -> [u8; TAG_LEN] {
        let [tag @ .., _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _] =
            self.current.mac(parts).finalize().into_bytes().0;
        tag
    }

    /// Whether it is such a signature, under any of the secrets.
    pub(crate) fn has_made(&self, tag: &[u8], parts: &[&[u8]]) -> bool {
        tag.len() == TAG_LEN && self.has_signed(tag, parts)
    }

    /// Whether any of the secrets makes an HMAC of this that begins so. This takes the same time wherever it differs.
    fn has_signed(&self, tag: &[u8], parts: &[&[u8]]) -> bool {
        self.all().any(|secret| secret.mac(parts).verify_truncated_left(tag).is_ok())
    }

    fn all(&self) -> impl Iterator<Item = &Secret> {
        std::iter::once(&self.current).chain(&self.retired)
    }
}

/// The keys under which visitors are known again on one day. They are derived from the current secret, so that all
/// processes have the same.
#[derive(Debug)]
pub(crate) struct VisitorKeys {
    day: i64,
    today: Secret,
    yesterday: Secret,
}

impl VisitorKeys {
    /// Of the day, in UTC, of this moment.
    pub(crate) fn at(secrets: &Secrets, at: Timestamp) -> Self {
        let day = day(at);
        let key =
            |day: i64| Secret::of(&secrets.current.mac(&[b"visitor", &day.to_be_bytes()]).finalize().into_bytes());
        Self { day, today: key(day), yesterday: key(day - 1) }
    }

    pub(crate) fn are_of(&self, at: Timestamp) -> bool {
        self.day == day(at)
    }

    pub(crate) fn hashes(&self, campaign_id: CampaignId, ip: IpAddr, user_agent: &str) -> VisitorHashes {
        let ip = match ip.to_canonical() {
            IpAddr::V4(ip) => ip.to_ipv6_mapped(),
            IpAddr::V6(ip) => ip,
        };
        let hash = |key: &Secret| {
            let parts = [&campaign_id.as_u64().to_be_bytes()[..], &ip.octets(), user_agent.as_bytes()];
            let [hash @ .., _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _] = key.mac(&parts).finalize().into_bytes().0;
            VisitorHash::from_bytes(hash)
        };
        VisitorHashes { today: hash(&self.today), yesterday: hash(&self.yesterday) }
    }
}

fn day(at: Timestamp) -> i64 {
    const MILLIS_PER_DAY: i64 = 24 * 60 * 60 * 1000;
    at.as_millis() / MILLIS_PER_DAY
}

/// Where a click id comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClickIdOrigin {
    /// Somebody else made it: whether there is a click of this id is for the store to say.
    Caller,
    /// It was minted under one of the secrets.
    Minted(Claims),
    /// It has the form of a minted one and was not minted under any of the secrets, or was changed since.
    Forged,
}

/// What a minted click id says, which is true.
///
/// An id is the prefix `aptk_` and, in base64url without padding ([RFC 4648](https://www.rfc-editor.org/rfc/rfc4648#section-5)),
/// these 36 bytes, numbers with the most significant byte first: version (1 byte, 1), milliseconds since 1970 (6), affiliate
/// (4), campaign (4), random (8), and the first 13 bytes of HMAC-SHA256 over the prefix and the 23 bytes before, under the
/// secret. That is 53 characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claims {
    /// Who sent the visitor.
    pub affiliate_id: AffiliateId,
    /// What he was sent to.
    pub campaign_id: CampaignId,
    /// When he clicked.
    pub created_at: Timestamp,
}

/// How many bytes of an HMAC prove what was signed.
pub(crate) const TAG_LEN: usize = 16;

const PREFIX: &str = "aptk_";
const VERSION: u8 = 1;
const PAYLOAD_LEN: usize = 23;
const CLICK_TAG_LEN: usize = 13;
const LEN: usize = PAYLOAD_LEN + CLICK_TAG_LEN;

impl Claims {
    fn sign(self, random: [u8; 8], secret: &Secret) -> ClickId {
        let mut bytes = [0; LEN];
        bytes[0] = VERSION;
        // From 1970 to 9999 in milliseconds takes 48 bits; ids take 31.
        bytes[1..7].copy_from_slice(&self.created_at.as_millis().to_be_bytes()[2..]);
        bytes[7..11].copy_from_slice(&self.affiliate_id.as_u64().to_be_bytes()[4..]);
        bytes[11..15].copy_from_slice(&self.campaign_id.as_u64().to_be_bytes()[4..]);
        bytes[15..PAYLOAD_LEN].copy_from_slice(&random);
        let tag = secret.mac(&[PREFIX.as_bytes(), &bytes[..PAYLOAD_LEN]]).finalize().into_bytes();
        bytes[PAYLOAD_LEN..].copy_from_slice(&tag[..CLICK_TAG_LEN]);
        let mut text = [0; PREFIX.len() + LEN / 3 * 4];
        text[..PREFIX.len()].copy_from_slice(PREFIX.as_bytes());
        // The length is exact, and only ASCII is written.
        let written = URL_SAFE_NO_PAD.encode_slice(bytes, &mut text[PREFIX.len()..]);
        debug_assert_eq!(written, Ok(LEN / 3 * 4));
        known_id(std::str::from_utf8(&text).unwrap_or_default())
    }

    /// Reads what was signed: `None` if a later version has other contents.
    fn read(payload: &[u8]) -> Option<Self> {
        let number =
            |range: std::ops::Range<usize>| payload[range].iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
        if payload[0] != VERSION {
            return None;
        }
        Some(Self {
            created_at: Timestamp::from_millis(number(1..7).try_into().ok()?).ok()?,
            affiliate_id: AffiliateId::new(number(7..11)).ok()?,
            campaign_id: CampaignId::new(number(11..15)).ok()?,
        })
    }
}

fn tombstone(hash: &[u8]) -> ClickId {
    known_id(&format!("erased-{}", URL_SAFE_NO_PAD.encode(hash)))
}

/// A click id from a text that is made here.
#[allow(clippy::expect_used, reason = "prefix and base64url are short and visible ASCII")]
fn known_id(text: &str) -> ClickId {
    ClickId::new(text).expect("visible ASCII")
}

/// Random bytes that make an id unlike all others. They are fetched many at a time: to ask the operating system takes
/// longer than all else about an id.
fn next_random() -> [u8; 8] {
    const AT_ONCE: usize = 64;
    thread_local! {
        static LEFT: RefCell<([[u8; 8]; AT_ONCE], usize)> = const { RefCell::new(([[0; 8]; AT_ONCE], 0)) };
    }
    LEFT.with_borrow_mut(|(random, left)| {
        if *left == 0 {
            fill(random.as_flattened_mut());
            *left = AT_ONCE;
        }
        *left -= 1;
        random[*left]
    })
}

pub(crate) fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    fill(&mut bytes);
    bytes
}

/// # Panics
/// If the operating system has no random numbers to give, as the standard library's hash maps do.
#[allow(clippy::expect_used, reason = "without random numbers there can be no secret, and no honest way on")]
fn fill(bytes: &mut [u8]) {
    getrandom::fill(bytes).expect("the operating system has random numbers");
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]
mod tests {
    use super::*;

    /// Those of docs/http.md, made by another implementation of HMAC.
    #[test]
    fn test_vectors() {
        let vectors = [
            (1, 10, 1_692_804_645_123, [0; 8], "aptk_AQGKIwUBAwAAAAEAAAAKAAAAAAAAAADyDVCaEyJu32_wgbaJ"),
            (
                7,
                42,
                1_717_243_200_000,
                [1, 2, 3, 4, 5, 6, 7, 8],
                "aptk_AQGP06vCAAAAAAcAAAAqAQIDBAUGBwivKSPnl9wHDVF1qy4e",
            ),
            (
                2_147_483_647,
                2_147_483_647,
                253_402_300_799_999,
                [0xFF; 8],
                "aptk_AeZ30h_b_3____9_______________-2-4Xauei4c0vU-gM3",
            ),
        ];
        let secret = Secret::new("0123456789abcdef0123456789abcdef").unwrap();
        for (affiliate, campaign, millis, random, expected) in vectors {
            let claims = Claims {
                affiliate_id: AffiliateId::new(affiliate).unwrap(),
                campaign_id: CampaignId::new(campaign).unwrap(),
                created_at: Timestamp::from_millis(millis).unwrap(),
            };
            let id = claims.sign(random, &secret);
            assert_eq!(id.as_str(), expected);
            assert_eq!(Secrets::from(secret.clone()).origin(&id), ClickIdOrigin::Minted(claims));
        }
    }
}
