//! What is advertised.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize, Serializer};

use crate::{CampaignId, CampaignRules, DestinationUrl, ParseError, PostbackAccess, Problem, Timestamp};

/// What is advertised, and where its visitors are sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Campaign {
    /// Unique in its store.
    pub id: CampaignId,
    /// For people.
    pub name: Name,
    /// Where visitors are sent.
    pub destination: DestinationUrl,
    /// Which conversions it takes, and what they pay.
    pub rules: CampaignRules,
    /// Who may send its postbacks.
    pub access: PostbackAccess,
    /// Since when it takes no new visitors' conversions; `None` is active.
    pub paused_at: Option<Timestamp>,
    /// When it was created.
    pub created_at: Timestamp,
    /// 1, and one more with each update.
    pub version: u32,
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
    /// Which conversions it takes, and what they pay.
    pub rules: CampaignRules,
    /// Who may send its postbacks.
    pub access: PostbackAccess,
    /// When it is created.
    pub created_at: Timestamp,
}

impl NewCampaign {
    /// The record that it becomes under this id.
    #[must_use]
    pub fn into_campaign(self, id: CampaignId) -> Campaign {
        let Self { name, destination, rules, access, created_at, .. } = self;
        Campaign { id, name, destination, rules, access, paused_at: None, created_at, version: 1 }
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
