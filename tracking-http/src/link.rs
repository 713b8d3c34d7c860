//! Tracking links, to be handed out.

use std::fmt::Write;

use percent_encoding::utf8_percent_encode;
use tracking_core::{AffiliateId, CampaignId, ClickRequest, Source, SubId, SubIds};

use crate::PublicUrl;
use crate::query::RESERVED;

/// An affiliate's link to a campaign: whoever follows it is counted, and sent on to the campaign's destination.
///
/// ```
/// use tracking_http::{PublicUrl, TrackingLink};
///
/// let base: PublicUrl = "https://track.example.com/tracking".parse()?;
/// let link = TrackingLink::new(1.try_into()?, 10.try_into()?).sub1("{keyword}".parse()?).source("a & b".parse()?);
/// assert_eq!(
///     link.url(&base),
///     "https://track.example.com/tracking/go?affiliate_id=1&campaign_id=10&sub1={keyword}&source=a%20%26%20b"
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Macros
///
/// Advertising networks put a value in the place of a macro such as `{keyword}`, and find it only as it is. So macros are
/// not percent-encoded, wherever they stand in a sub id or source: `{name}`, `{{name}}`, `${name}` and `[name]`, where a
/// name is made of ASCII letters, digits, `_`, `-`, `.` and `:`. Everything else is encoded, but for letters, digits, `-`,
/// `_`, `.` and `~`. Both ways the tracker reads the same value. Macros in percent signs, `%%name%%`, can't be left: they
/// are no valid encoding, and the tracker would leave them out. Put such a macro in by hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrackingLink {
    affiliate_id: AffiliateId,
    campaign_id: CampaignId,
    marks: [Option<SubId>; SubIds::COUNT],
    source: Option<Source>,
}

macro_rules! marks {
    ($($name:ident $index:literal)+) => {$(
        #[doc = concat!("The same with this `", stringify!($name), "`.")]
        #[must_use]
        pub fn $name(mut self, mark: SubId) -> Self {
            self.marks[$index] = Some(mark);
            self
        }
    )+};
}

impl TrackingLink {
    /// A link without sub ids and source.
    #[must_use]
    pub fn new(affiliate_id: AffiliateId, campaign_id: CampaignId) -> Self {
        Self { affiliate_id, campaign_id, marks: Default::default(), source: None }
    }

    marks! { sub1 0 sub2 1 sub3 2 sub4 3 sub5 4 }

    /// The same with these sub ids instead of its own.
    #[must_use]
    pub fn sub_ids(mut self, sub_ids: SubIds) -> Self {
        self.marks = sub_ids.as_array().clone();
        self
    }

    /// The same with this source.
    #[must_use]
    pub fn source(mut self, source: Source) -> Self {
        self.source = Some(source);
        self
    }

    /// The absolute URL, where the tracker's mount point has this one: visible ASCII.
    #[must_use]
    pub fn url(&self, base: &PublicUrl) -> String {
        self.under(base.base())
    }

    /// The same below a URL without a slash at its end.
    pub(crate) fn under(&self, base: &str) -> String {
        format!("{base}/go?{}", self.query())
    }

    pub(crate) fn query(&self) -> String {
        let mut query = format!("affiliate_id={}&campaign_id={}", self.affiliate_id, self.campaign_id);
        for (name, value) in self.marks() {
            // Writing to a String can't fail.
            let _ = write!(query, "&{name}=");
            push(&mut query, value);
        }
        query
    }

    /// Sub ids and source, under their names as parameters.
    pub(crate) fn marks(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let sub_ids = SubIds::NAMES.into_iter().zip(&self.marks);
        let sub_ids = sub_ids.filter_map(|(name, mark)| Some((name, mark.as_ref()?.as_str())));
        sub_ids.chain(self.source.iter().map(|source| ("source", source.as_str())))
    }
}

/// The link that leads to such a click. A click id of the request's is left out: each visit gets one of its own.
impl From<ClickRequest> for TrackingLink {
    fn from(click: ClickRequest) -> Self {
        let ClickRequest { affiliate_id, campaign_id, sub_ids, source, .. } = click;
        Self { source, ..Self::new(affiliate_id, campaign_id).sub_ids(sub_ids) }
    }
}

fn push(query: &mut String, value: &str) {
    let mut rest = value;
    while let Some(first) = rest.chars().next() {
        let (piece, after) = rest.split_at(macro_len(rest).unwrap_or(first.len_utf8()));
        if piece.len() > first.len_utf8() {
            query.push_str(piece);
        } else {
            query.extend(utf8_percent_encode(piece, RESERVED));
        }
        rest = after;
    }
}

/// The length of the macro that the text starts with.
fn macro_len(text: &str) -> Option<usize> {
    [("{{", "}}"), ("${", "}"), ("{", "}"), ("[", "]")].into_iter().find_map(|(open, close)| {
        let rest = text.strip_prefix(open)?;
        let is_of_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-.:".contains(byte);
        let name = rest.bytes().take_while(is_of_name).count();
        (name > 0 && rest[name..].starts_with(close)).then_some(open.len() + name + close.len())
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::query;

    #[test]
    fn macros_stay_as_they_are() {
        for (value, expected) in [
            ("{keyword}", "{keyword}"),
            ("{{ad.id}}", "{{ad.id}}"),
            ("${SUB-1}", "${SUB-1}"),
            ("[click_id]", "[click_id]"),
            ("{ifmobile:m}", "{ifmobile:m}"),
            ("a b-{keyword}&{matchtype}", "a%20b-{keyword}%26{matchtype}"),
            ("{}", "%7B%7D"),
            ("{a b}", "%7Ba%20b%7D"),
            ("{{a}", "%7B{a}"),
            ("{ä}", "%7B%C3%A4%7D"),
            ("[a", "%5Ba"),
            ("%%a%%", "%25%25a%25%25"),
            ("#a#", "%23a%23"),
            ("__A__", "__A__"),
            ("a+b=c/d?e'f\"<>", "a%2Bb%3Dc%2Fd%3Fe%27f%22%3C%3E"),
        ] {
            let link = TrackingLink::new(1.try_into().unwrap(), 10.try_into().unwrap()).sub3(value.parse().unwrap());
            assert_eq!(link.query(), format!("affiliate_id=1&campaign_id=10&sub3={expected}"));
        }
    }

    proptest! {
        #[test]
        fn what_a_link_says_is_what_is_read(
            affiliate_id in 1..=i32::MAX as u64,
            campaign_id in 1..=i32::MAX as u64,
            texts in prop::collection::vec(prop::option::of(text()), SubIds::COUNT + 1),
        ) {
            let mut click = ClickRequest::new(affiliate_id.try_into().unwrap(), campaign_id.try_into().unwrap());
            let marks = std::array::from_fn(|index| texts[index].as_deref().map(|text| text.parse().unwrap()));
            click.sub_ids = SubIds::new(marks);
            click.source = texts[SubIds::COUNT].as_deref().map(|text| text.parse().unwrap());
            let base = "https://track.example.com/tracking/".parse().unwrap();

            let url = TrackingLink::from(click.clone()).url(&base);
            let uri: http::Uri = url.parse().unwrap();
            prop_assert_eq!(uri.path(), "/tracking/go");
            let parameters = query::parse(uri.query()).unwrap();
            prop_assert_eq!(ClickRequest::from_parameters(&parameters), Ok(click.clone()));
            let (parameters, unreadable) = query::parse_link(uri.query());
            prop_assert_eq!(unreadable, 0);
            prop_assert_eq!(ClickRequest::from_link(&parameters), Ok((click, vec![])));
            // And through what browsers do with URLs.
            let url = url::Url::parse(&url).unwrap();
            prop_assert_eq!(query::parse(url.query()).unwrap(), query::parse(uri.query()).unwrap());
        }
    }

    fn text() -> impl Strategy<Value = String> {
        prop_oneof!["[{}\\[\\]$a:%&=+# ./]{1,12}", "[^\\p{Cc}]{1,60}"]
    }
}
