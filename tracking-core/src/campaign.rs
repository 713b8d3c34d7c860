//! What is advertised: names and postback keys.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize, Serializer};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::secret::random_bytes;
use crate::{CampaignId, DestinationUrl, ParseError, Problem, Timestamp};

/// What is advertised, and where its visitors are sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Campaign {
    /// Unique in its store.
    pub id: CampaignId,
    /// For people.
    pub name: Name,
    /// Where visitors are sent.
    pub destination: DestinationUrl,
    /// The hash of the key that the advertiser must present with each postback; `None` accepts postbacks from anyone.
    pub postback_key: Option<PostbackKeyHash>,
    /// When it was created.
    pub created_at: Timestamp,
}

/// A campaign that is not in a store yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewCampaign {
    /// The id that it must get, or `None` for the store to choose one.
    pub id: Option<CampaignId>,
    /// For people.
    pub name: Name,
    /// Where visitors are sent.
    pub destination: DestinationUrl,
    /// The hash of the key that the advertiser must present with each postback; `None` accepts postbacks from anyone.
    pub postback_key: Option<PostbackKeyHash>,
    /// When it is created.
    pub created_at: Timestamp,
}

impl NewCampaign {
    /// The record that it becomes under this id.
    #[must_use]
    pub fn into_campaign(self, id: CampaignId) -> Campaign {
        let Self { name, destination, postback_key, created_at, .. } = self;
        Campaign { id, name, destination, postback_key, created_at }
    }
}

/// The name of an affiliate or campaign: 1 to 100 characters of any script, without control characters and without those
/// that turn the direction of what follows or that nobody can see. White space around it is dropped.
///
/// Cloning shares the text and allocates nothing.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct Name(Arc<str>);

impl Name {
    /// The most characters that it may have.
    pub const MAX_LEN: usize = 100;

    /// # Errors
    /// If `text` is empty, too long, or has a control character.
    pub fn new(text: &str) -> Result<Self, ParseError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(ParseError::new("a name", Problem::Empty));
        }
        if let Some((index, found)) = text.chars().enumerate().find(|(_, c)| is_hidden(*c)) {
            let problem = Problem::Character { position: index + 1, found, allowed: "characters that can be printed" };
            return Err(ParseError::new("a name", problem));
        }
        if text.chars().count() > Self::MAX_LEN {
            return Err(ParseError::new("a name", Problem::TooLong { max: Self::MAX_LEN }));
        }
        Ok(Self(text.into()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Control characters, and those of [UTS #39](https://www.unicode.org/reports/tr39/) that could make one name look like
/// another: directional formatting and invisible operators. Joiners are left, because some scripts need them.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{AD}' | '\u{200B}' | '\u{200E}' | '\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{FEFF}')
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Name {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        Self::new(text)
    }
}

impl TryFrom<String> for Name {
    type Error = ParseError;

    fn try_from(text: String) -> Result<Self, ParseError> {
        Self::new(&text)
    }
}

impl Serialize for Name {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// The secret that an advertiser presents with each postback of a campaign: `pbk_` and 64 hexadecimal digits, 256
/// random bits.
///
/// It exists once, when it is made; only its [hash](Self::hash) is stored. `Debug` does not show it.
pub struct PostbackKey(String);

impl PostbackKey {
    /// A new random key.
    ///
    /// # Panics
    /// If the operating system has no random numbers to give, as the standard library's hash maps do.
    #[must_use]
    pub fn random() -> Self {
        let bytes: [u8; 32] = random_bytes();
        let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        Self(format!("pbk_{digits}"))
    }

    /// The secret itself, to be shown to the advertiser.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// What a store keeps.
    #[must_use]
    pub fn hash(&self) -> PostbackKeyHash {
        PostbackKeyHash::of(&self.0)
    }
}

impl fmt::Debug for PostbackKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PostbackKey(…)")
    }
}

/// The SHA-256 hash of a [`PostbackKey`].
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

    /// Whether `presented` is the key that this is the hash of, in a time that does not depend on either.
    #[must_use]
    pub fn matches(&self, presented: &str) -> bool {
        Self::of(presented).0.ct_eq(&self.0).into()
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
