//! Clicks, and what is known of the visits behind them.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;

use ipnet::IpNet;
use serde::{Serialize, Serializer};

use crate::{AffiliateId, BotReason, CampaignId, ClickId, ClickRecordId, ParseError, Problem, Timestamp};

/// One visit that an affiliate sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Click {
    /// The number of its record.
    pub id: ClickRecordId,
    /// Who sent the visitor.
    pub affiliate_id: AffiliateId,
    /// What he was sent to.
    pub campaign_id: CampaignId,
    /// Unique for this affiliate and campaign.
    pub click_id: ClickId,
    /// When it was recorded.
    pub created_at: Timestamp,
    /// What else is known of it.
    pub details: ClickDetails,
}

/// A click that is not in a store yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewClick {
    /// Who sent the visitor.
    pub affiliate_id: AffiliateId,
    /// What he was sent to.
    pub campaign_id: CampaignId,
    /// Unique for this affiliate and campaign.
    pub click_id: ClickId,
    /// When it is recorded.
    pub created_at: Timestamp,
    /// What else is known of it. Whether it is [a repeat](ClickDetails::is_repeat) is for the store to find out.
    pub details: ClickDetails,
    /// By what the store knows the visitor again; `None` makes the click one of a kind.
    pub visitor: Option<VisitorHashes>,
}

impl NewClick {
    /// The record that it becomes under this number.
    #[must_use]
    pub fn into_click(self, id: ClickRecordId) -> Click {
        let Self { affiliate_id, campaign_id, click_id, created_at, details, visitor: _ } = self;
        Click { id, affiliate_id, campaign_id, click_id, created_at, details }
    }
}

/// What is known of a click beside its identity. The default is a person's first click, of whom nothing else is known.
///
/// Cloning shares all texts and allocates nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClickDetails {
    /// The affiliate's own marks.
    pub sub_ids: SubIds,
    /// Where the affiliate found the visitor.
    pub source: Option<Source>,
    /// Where the visitor came from, as far as it may be kept.
    pub ip: Option<ClientIp>,
    /// The browser, by its own account.
    pub user_agent: Option<UserAgent>,
    /// Why it is not taken for a person's click; `None` is a person's.
    pub bot: Option<BotReason>,
    /// Whether the same visitor had clicked for the same campaign within 24 hours before.
    pub is_repeat: bool,
    /// Whether it was rebuilt from its id, after the record itself had been lost, or had not arrived yet.
    pub is_recovered: bool,
}

impl ClickDetails {
    /// Whether it is taken for a person's click.
    #[must_use]
    pub const fn is_human(&self) -> bool {
        self.bot.is_none()
    }

    /// Whether it is taken for a person's click, and the first of that person for its campaign in 24 hours.
    #[must_use]
    pub const fn is_unique(&self) -> bool {
        self.is_human() && !self.is_repeat
    }

    /// The same without what came from the visitor or was said of him: marks, source, address and browser. The verdicts
    /// stay, because they have been counted.
    #[must_use]
    pub fn anonymous(&self) -> Self {
        let Self { bot, is_repeat, is_recovered, .. } = *self;
        Self { bot, is_repeat, is_recovered, ..Self::default() }
    }
}

macro_rules! free_text {
    ($(#[$doc:meta])* $name:ident, $subject:literal) => {
        $(#[$doc])*
        ///
        /// Cloning shares the text and allocates nothing.
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(std::sync::Arc<str>);

        impl $name {
            /// The most characters that it may have.
            pub const MAX_LEN: usize = 255;

            /// # Errors
            /// If `text` is empty, too long, or has a control character.
            pub fn new(text: &str) -> Result<Self, $crate::ParseError> {
                use $crate::{ParseError, Problem};
                let refuse = |problem| Err(ParseError::new($subject, problem));
                if text.is_empty() {
                    return refuse(Problem::Empty);
                }
                if let Some((index, found)) = text.chars().enumerate().find(|(_, c)| c.is_control()) {
                    let allowed = "characters that can be printed";
                    return refuse(Problem::Character { position: index + 1, found, allowed });
                }
                if text.len() > Self::MAX_LEN && text.chars().count() > Self::MAX_LEN {
                    return refuse(Problem::TooLong { max: Self::MAX_LEN });
                }
                Ok(Self(text.into()))
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        $crate::id::impl_text!($name);
    };
}
pub(crate) use free_text;

free_text!(
    /// A mark of the affiliate's own, such as an ad or a keyword: 1 to 255 characters of any script, without control
    /// characters.
    SubId, "a sub id"
);
free_text!(
    /// Where an affiliate found a visitor, such as `newsletter`: 1 to 255 characters of any script, without control
    /// characters.
    Source, "a source"
);

/// The affiliate's five marks of a click, `sub1` to `sub5`, each of which may be absent.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct SubIds(Option<Arc<[Option<SubId>; SubIds::COUNT]>>);

impl SubIds {
    /// How many there are.
    pub const COUNT: usize = 5;

    /// Their names as parameters, in JSON and as macros.
    pub const NAMES: [&'static str; Self::COUNT] = ["sub1", "sub2", "sub3", "sub4", "sub5"];

    /// These marks, the first one being `sub1`.
    #[must_use]
    pub fn new(marks: [Option<SubId>; Self::COUNT]) -> Self {
        Self(marks.iter().any(Option::is_some).then(|| Arc::new(marks)))
    }

    /// The mark of this [name](Self::NAMES).
    #[must_use]
    pub fn by_name(&self, name: &str) -> Option<&SubId> {
        let index = Self::NAMES.iter().position(|known| *known == name)?;
        self.as_array()[index].as_ref()
    }

    /// All of them, the first one being `sub1`.
    #[must_use]
    pub fn as_array(&self) -> &[Option<SubId>; Self::COUNT] {
        static NONE: [Option<SubId>; SubIds::COUNT] = [const { None }; SubIds::COUNT];
        self.0.as_deref().unwrap_or(&NONE)
    }

    /// Those that are there, with their names.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &SubId)> {
        Self::NAMES.into_iter().zip(self.as_array()).filter_map(|(name, mark)| Some((name, mark.as_ref()?)))
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_none()
    }
}

impl fmt::Debug for SubIds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

/// What a browser says of itself: the first 512 characters of a `User-Agent` header.
///
/// Cloning shares the text and allocates nothing.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct UserAgent(Arc<str>);

impl UserAgent {
    /// The most characters that are kept.
    pub const MAX_LEN: usize = 512;

    /// The text, cut where it is too long; `None` if nothing stands in it.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let text = text.trim();
        let end = text.char_indices().nth(Self::MAX_LEN).map_or(text.len(), |(end, _)| end);
        (end > 0).then(|| Self(text[..end].trim_end().into()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for UserAgent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for UserAgent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// The address of a visitor, whole or masked: `203.0.113.7`, `203.0.113.0/24`, `2001:db8:1::/48`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ClientIp(IpNet);

impl ClientIp {
    /// The network that the address is in: of IPv4 its first 24 bits, of IPv6 its first 48.
    #[must_use]
    pub fn masked(address: IpAddr) -> Self {
        let address = address.to_canonical();
        let bits = if address.is_ipv4() { 24 } else { 48 };
        Self(IpNet::new(address, bits).map_or_else(|_| IpNet::from(address), |network| network.trunc()))
    }

    /// The address itself.
    #[must_use]
    pub fn whole(address: IpAddr) -> Self {
        Self(IpNet::from(address.to_canonical()))
    }
}

impl fmt::Display for ClientIp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.prefix_len() == self.0.max_prefix_len() { self.0.addr().fmt(f) } else { self.0.fmt(f) }
    }
}

impl fmt::Debug for ClientIp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What [`Display`](fmt::Display) writes.
impl FromStr for ClientIp {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let network = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
        network.map(Self).map_err(|_| {
            ParseError::new("an IP address", Problem::Form { expected: "such as 203.0.113.7 or 203.0.113.0/24" })
        })
    }
}

impl Serialize for ClientIp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// By what a visitor of a campaign is known again for a day, without a cookie: 128 bits of a keyed hash of campaign,
/// address and browser. Its key changes daily, and none of it can be turned back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VisitorHash([u8; 16]);

impl VisitorHash {
    /// A hash that was made.
    #[must_use]
    pub const fn from_bytes(hash: [u8; 16]) -> Self {
        Self(hash)
    }

    /// What to store.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

/// One visitor, under two keys: 24 hours may have begun under the key of the day before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VisitorHashes {
    /// Under the key of the click's day, in UTC.
    pub today: VisitorHash,
    /// Under the key of the day before.
    pub yesterday: VisitorHash,
}
