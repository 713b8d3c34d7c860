//! Where visitors are sent.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize, Serializer};
use url::Url;

use crate::{AffiliateId, CampaignId, ClickId, ParseError, Problem, Source, SubIds};

/// Where a campaign's visitors are sent: a template of an absolute `https` or `http` URL, of up to 2,000 visible ASCII
/// characters.
///
/// These macros may stand in its path, query and fragment: `{click_id}`, `{affiliate_id}`, `{campaign_id}`, `{sub1}` to
/// `{sub5}` and `{source}`. None may stand in scheme, host or port, so that nothing a visitor sends can choose where he
/// ends up. User names and passwords are refused.
///
/// ```
/// use tracking_core::DestinationUrl;
///
/// assert!("https://shop.example/?ref={click_id}".parse::<DestinationUrl>().is_ok());
/// assert!("https://{click_id}.example/".parse::<DestinationUrl>().is_err());
/// assert!("javascript:alert(1)".parse::<DestinationUrl>().is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct DestinationUrl(Arc<str>);

/// What the macros of a destination stand for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MacroValues<'a> {
    /// `None` where there is no click.
    pub(crate) click_id: Option<&'a ClickId>,
    pub(crate) affiliate_id: AffiliateId,
    pub(crate) campaign_id: CampaignId,
    pub(crate) sub_ids: &'a SubIds,
    pub(crate) source: Option<&'a Source>,
}

impl DestinationUrl {
    /// The most characters that it may have.
    pub const MAX_LEN: usize = 2000;

    /// The macros that may stand in it, between braces.
    pub const MACROS: &[&str] =
        &["click_id", "affiliate_id", "campaign_id", "sub1", "sub2", "sub3", "sub4", "sub5", "source"];

    /// # Errors
    /// If `template` is not such a URL, or has a macro that is not known or that stands where none may.
    pub fn new(template: &str) -> Result<Self, ParseError> {
        let refuse = |problem| Err(ParseError::new("a destination URL", problem));
        if template.is_empty() {
            return refuse(Problem::Empty);
        }
        if let Some((index, found)) = template.chars().enumerate().find(|(_, c)| !c.is_ascii_graphic()) {
            let allowed = "visible ASCII characters (percent-encode all others)";
            return refuse(Problem::Character { position: index + 1, found, allowed });
        }
        if template.len() > Self::MAX_LEN {
            return refuse(Problem::TooLong { max: Self::MAX_LEN });
        }
        // Not left to the URL parser, which finds a host in `https:shop.example`: a browser that is redirected there
        // takes it for a path on the site that it comes from.
        let after = |scheme: &str| {
            template.split_at_checked(scheme.len()).filter(|(start, _)| start.eq_ignore_ascii_case(scheme))
        };
        let Some((_, rest)) = after("https://").or_else(|| after("http://")) else {
            return refuse(Problem::Form { expected: "a URL that starts with https:// or http://" });
        };
        for piece in template.split('{').skip(1) {
            match piece.split_once('}') {
                Some((name, _)) if Self::MACROS.contains(&name) => {}
                _ => return refuse(Problem::Macro { allowed: Self::MACROS }),
            }
        }
        let authority = rest.split(['/', '\\', '?', '#']).next().unwrap_or_default();
        if authority.contains('@') {
            return refuse(Problem::Form { expected: "a URL without user name and password" });
        }
        if authority.contains('{') {
            return refuse(Problem::Macro { allowed: &[] });
        }
        // The parser skips further slashes to find a host, which then could be a macro.
        if authority.is_empty() || Url::parse(template).is_err() {
            return refuse(Problem::Form { expected: "an absolute URL such as https://shop.example/?ref={click_id}" });
        }
        Ok(Self(template.into()))
    }

    /// The template.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The URL, with the macros filled in, and empty where there is no value.
    ///
    /// Everything but letters, digits, `-`, `_`, `.` and `~` is percent-encoded, so that a value stays what it is in path,
    /// query and fragment. In the path `.` and `..` are left out: no encoding keeps a browser from going up a directory.
    pub(crate) fn fill(&self, values: MacroValues<'_>) -> String {
        let mut pieces = self.0.split('{');
        let mut url = String::with_capacity(self.0.len() + 128);
        let first = pieces.next().unwrap_or_default();
        url.push_str(first);
        let mut is_path = !first.contains(['?', '#']);
        for piece in pieces {
            // Braces are paired: that was seen to when the template was made.
            let (name, literal) = piece.split_once('}').unwrap_or((piece, ""));
            match name {
                "click_id" => push(&mut url, is_path, values.click_id.map(ClickId::as_str)),
                "affiliate_id" => push_number(&mut url, values.affiliate_id.as_u64()),
                "campaign_id" => push_number(&mut url, values.campaign_id.as_u64()),
                "source" => push(&mut url, is_path, values.source.map(Source::as_str)),
                sub => push(&mut url, is_path, values.sub_ids.by_name(sub).map(crate::SubId::as_str)),
            }
            url.push_str(literal);
            is_path &= !literal.contains(['?', '#']);
        }
        url
    }
}

/// What [RFC 3986](https://www.rfc-editor.org/rfc/rfc3986#section-2.3) calls unreserved is left as it is.
pub(crate) const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

fn push(url: &mut String, is_path: bool, value: Option<&str>) {
    match value {
        None => {}
        Some("." | "..") if is_path => {}
        Some(value) => url.extend(utf8_percent_encode(value, RESERVED)),
    }
}

fn push_number(url: &mut String, number: u64) {
    // Writing to a String can't fail.
    let _ = fmt::Write::write_fmt(url, format_args!("{number}"));
}

impl fmt::Display for DestinationUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for DestinationUrl {
    type Err = ParseError;

    fn from_str(template: &str) -> Result<Self, ParseError> {
        Self::new(template)
    }
}

impl TryFrom<String> for DestinationUrl {
    type Error = ParseError;

    fn try_from(template: String) -> Result<Self, ParseError> {
        Self::new(&template)
    }
}

impl Serialize for DestinationUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}
