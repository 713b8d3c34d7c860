//! Who is not taken for a person. (Being replaced.)
use crate::{ParseError, Problem};
use serde::{Serialize, Serializer};
use std::{fmt, str::FromStr};
/// Why a click is not taken for a person's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BotReason {
    /// A known crawler, link preview, tool or headless browser.
    Crawler,
    /// It did not say what it is.
    NoUserAgent,
    /// The browser fetched the link in advance.
    Prefetch,
    /// A test click.
    Test,
}
impl BotReason {
    /// All of them.
    pub const ALL: &[Self] = &[Self::Crawler, Self::NoUserAgent, Self::Prefetch, Self::Test];
    /// A stable name.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Crawler => "crawler",
            Self::NoUserAgent => "no_user_agent",
            Self::Prefetch => "prefetch",
            Self::Test => "test",
        }
    }
    /// The verdict.
    #[must_use]
    pub fn of_user_agent(user_agent: Option<&str>) -> Option<Self> {
        match user_agent {
            None => Some(Self::NoUserAgent),
            Some(text) if text.trim().is_empty() => Some(Self::NoUserAgent),
            Some(text) if text.contains("bot") => Some(Self::Crawler),
            Some(_) => None,
        }
    }
}
impl fmt::Display for BotReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}
impl FromStr for BotReason {
    type Err = ParseError;
    fn from_str(text: &str) -> Result<Self, ParseError> {
        Self::ALL
            .iter()
            .copied()
            .find(|r| r.code() == text)
            .ok_or(ParseError::new("a bot reason", Problem::Form { expected: "known" }))
    }
}
impl Serialize for BotReason {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(self.code())
    }
}
