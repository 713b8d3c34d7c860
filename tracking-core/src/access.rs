//! Who may send a campaign's postbacks: keys, and where they may come from.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit};
use ipnet::IpNet;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::rules::choice;
use crate::secret::random_bytes;
use crate::signature::{Clocks, Signed};
use crate::{ParseError, Problem, Timestamp};

/// Who may send a campaign's postbacks.
///
/// [`serde`]'s form is for stores. It holds the signing keys themselves, which are secrets: only who may sign for the
/// advertiser may read it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct PostbackAccess {
    /// Whether a key is demanded.
    pub auth: PostbackAuth,
    /// The keys, each of which suffices until it expires. With none, nobody may send anything where a key is demanded.
    #[serde(default)]
    pub keys: Vec<PostbackKeyRecord>,
    /// The networks that postbacks may come from; any if there is none here.
    #[serde(default)]
    pub networks: Vec<IpNet>,
    /// The number of the last key that was made, which may be gone.
    #[serde(default)]
    pub(crate) last_key_id: u32,
}

impl PostbackAccess {
    /// The most keys that a campaign can have, expired ones included.
    pub const MAX_KEYS: usize = 10;

    /// The most networks that it can have.
    pub const MAX_NETWORKS: usize = 100;

    /// Anyone may send postbacks, from anywhere.
    #[must_use]
    pub const fn open() -> Self {
        Self { auth: PostbackAuth::Open, keys: Vec::new(), networks: Vec::new(), last_key_id: 0 }
    }

    /// Whoever has one of these keys may send postbacks, from anywhere.
    #[must_use]
    pub const fn of_keys(keys: Vec<PostbackKeyRecord>) -> Self {
        Self { auth: PostbackAuth::Key, keys, networks: Vec::new(), last_key_id: 0 }
    }

    /// Takes the number for another key.
    pub(crate) fn next_key_id(&mut self) -> u32 {
        let greatest = self.keys.iter().map(|key| key.id).max().unwrap_or(0);
        self.last_key_id = self.last_key_id.max(greatest).saturating_add(1);
        self.last_key_id
    }

    /// Whether a postback may come from this address; one of which nothing is known may come where any may.
    #[must_use]
    pub fn admits_address(&self, address: Option<IpAddr>) -> bool {
        let is_in = |address: IpAddr| {
            let address = address.to_canonical();
            // An IPv4 network may be written as one of IPv6.
            let mapped = match address {
                IpAddr::V4(address) => address.to_ipv6_mapped().into(),
                IpAddr::V6(_) => address,
            };
            self.networks.iter().any(|network| network.contains(&address) || network.contains(&mapped))
        };
        self.networks.is_empty() || address.is_some_and(is_in)
    }

    /// Whether what the sender shows is proof enough of who he is.
    pub(crate) fn check(&self, proof: &Proof<'_>) -> Result<(), Unproven> {
        if !self.admits_address(proof.address) {
            return Err(Unproven::Address);
        }
        if self.auth == PostbackAuth::Open {
            return Ok(());
        }
        let secrets = || self.keys.iter().filter(|key| key.is_live(proof.now)).map(|key| &key.secret);
        let is_presented = |token: &PostbackKeyHash| {
            secrets().any(|secret| matches!(secret, KeySecret::Token(hash) if hash.is(token)))
        };
        if proof.token.as_ref().is_some_and(is_presented) {
            return Ok(());
        }
        let Some(signed) = &proof.signed else {
            return Err(if proof.has_token { Unproven::WrongKey } else { Unproven::NoKey });
        };
        let signing_keys = secrets().filter_map(|secret| match secret {
            KeySecret::Signing(key) => Some(key),
            KeySecret::Token(_) => None,
        });
        match signed.clocks(proof.now) {
            Clocks::Apart => Err(Unproven::StaleSignature),
            Clocks::Agree if signed.is_by(signing_keys) => Ok(()),
            Clocks::Agree => Err(Unproven::WrongSignature),
        }
    }
}

/// What a sender shows of himself.
pub(crate) struct Proof<'a> {
    /// Of the token that was sent, unless it is too long for one.
    token: Option<PostbackKeyHash>,
    has_token: bool,
    signed: Option<Signed<'a>>,
    address: Option<IpAddr>,
    now: Timestamp,
}

impl<'a> Proof<'a> {
    /// No token is as long.
    const LONGEST_TOKEN: usize = 256;

    pub(crate) fn new(
        token: Option<&str>,
        signed: Option<Signed<'a>>,
        address: Option<IpAddr>,
        now: Timestamp,
    ) -> Self {
        let hash = token.filter(|token| token.len() <= Self::LONGEST_TOKEN).map(PostbackKeyHash::of);
        Self { token: hash, has_token: token.is_some(), signed, address, now }
    }

    /// Whether there is a key, or something made with one.
    pub(crate) const fn is_there(&self) -> bool {
        self.has_token || self.signed.is_some()
    }
}

/// Why a sender is not taken for the advertiser.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unproven {
    Address,
    NoKey,
    WrongKey,
    WrongSignature,
    StaleSignature,
}

/// Who may send a campaign's postbacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PostbackAuth {
    /// Whoever presents one of the campaign's postback keys, or signs with one, which only its advertiser has.
    Key,
    /// Anyone, the affiliates included: for trials.
    Open,
}

/// A key of a campaign, as a store keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PostbackKeyRecord {
    /// Its number, unique within the campaign, and never given to another key.
    pub id: u32,
    /// What a postback is checked against.
    pub secret: KeySecret,
    /// When it was made.
    pub created_at: Timestamp,
    /// From when on it does not open anything; `None` is never.
    #[serde(default)]
    pub expires_at: Option<Timestamp>,
}

impl PostbackKeyRecord {
    /// What it is for.
    #[must_use]
    pub const fn kind(&self) -> KeyKind {
        match self.secret {
            KeySecret::Token(_) => KeyKind::Token,
            KeySecret::Signing(_) => KeyKind::Signing,
        }
    }

    /// Whether it opens something at this time.
    #[must_use]
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.expires_at.is_none_or(|end| now < end)
    }
}

choice! {
    /// What a key is for.
    KeyKind, "a kind of key", "token or signing",
    /// It is sent along with each postback.
    #[default]
    Token = "token",
    /// Postbacks are signed with it, and it is never sent.
    Signing = "signing",
}

/// What a store keeps of a key: of a token its hash, and of a signing key the key, without which no signature can be checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeySecret {
    /// The hash of a token.
    Token(PostbackKeyHash),
    /// A signing key.
    Signing(SigningKey),
}

/// A key that an advertiser gets: of tokens `pbk_` and 64 hexadecimal digits, of signing keys `whsec_` and 32 bytes in
/// base64; 256 random bits either way.
///
/// It is told once, when it is made. `Debug` does not show it.
pub struct PostbackKey {
    text: String,
    secret: KeySecret,
}

impl PostbackKey {
    /// A new random key.
    ///
    /// # Panics
    /// If the operating system has no random numbers to give, as the standard library's hash maps do.
    #[must_use]
    pub fn random(kind: KeyKind) -> Self {
        let bytes: [u8; 32] = random_bytes();
        match kind {
            KeyKind::Token => {
                let text = format!("pbk_{}", hex(&bytes));
                let secret = KeySecret::Token(PostbackKeyHash::of(&text));
                Self { text, secret }
            }
            KeyKind::Signing => {
                let key = SigningKey(bytes.into());
                Self { text: key.to_text(), secret: KeySecret::Signing(key) }
            }
        }
    }

    /// The secret itself, to be shown to the advertiser.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// What a store keeps.
    #[must_use]
    pub fn secret(&self) -> KeySecret {
        self.secret.clone()
    }
}

impl fmt::Debug for PostbackKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PostbackKey(…)")
    }
}

/// The SHA-256 hash of a token.
///
/// A fast hash is enough: with 256 random bits behind it there is nothing to guess.
#[derive(Clone, PartialEq, Eq)]
pub struct PostbackKeyHash([u8; 32]);

impl PostbackKeyHash {
    /// A hash that was stored.
    #[must_use]
    pub const fn from_bytes(hash: [u8; 32]) -> Self {
        Self(hash)
    }

    /// What to store.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Whether `presented` is the token that this is the hash of, in a time that does not depend on either.
    #[must_use]
    pub fn matches(&self, presented: &str) -> bool {
        self.is(&Self::of(presented))
    }

    fn is(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }

    fn of(key: &str) -> Self {
        Self(Sha256::digest(key.as_bytes()).into())
    }
}

impl fmt::Debug for PostbackKeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PostbackKeyHash(…)")
    }
}

impl Serialize for PostbackKeyHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex(&self.0))
    }
}

impl<'de> Deserialize<'de> for PostbackKeyHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        unhex(&text).map(Self).ok_or_else(|| serde::de::Error::custom("the hash of a token is 64 hexadecimal digits"))
    }
}

/// What postbacks are signed with: 24 to 64 bytes, written as `whsec_` and their base64, as
/// [Standard Webhooks](https://www.standardwebhooks.com) has it. Those that are made here have 32. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningKey(Box<[u8]>);

impl SigningKey {
    const PREFIX: &str = "whsec_";

    /// # Errors
    /// If `text` is not `whsec_` with 24 to 64 bytes in base64.
    pub fn new(text: &str) -> Result<Self, ParseError> {
        let bytes = text.strip_prefix(Self::PREFIX).and_then(|encoded| BASE64_STANDARD.decode(encoded).ok());
        let key = bytes.filter(|bytes| (24..=64).contains(&bytes.len()));
        let expected = "whsec_ and 24 to 64 bytes in base64";
        key.map(|bytes| Self(bytes.into())).ok_or(ParseError::new("a signing key", Problem::Form { expected }))
    }

    fn to_text(&self) -> String {
        format!("{}{}", Self::PREFIX, BASE64_STANDARD.encode(&self.0))
    }

    #[allow(clippy::expect_used, reason = "HMAC takes keys of any length")]
    pub(crate) fn mac(&self) -> Hmac<Sha256> {
        Hmac::new_from_slice(&self.0).expect("a key of any length")
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(…)")
    }
}

/// The key itself.
impl Serialize for SigningKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_text())
    }
}

impl<'de> Deserialize<'de> for SigningKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// 32 bytes of 64 hexadecimal digits in lower case.
pub(crate) fn unhex(text: &str) -> Option<[u8; 32]> {
    let digits = text.as_bytes();
    let value = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; 32];
    if digits.len() != 2 * bytes.len() {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = value(pair[0])? << 4 | value(pair[1])?;
    }
    Some(bytes)
}
