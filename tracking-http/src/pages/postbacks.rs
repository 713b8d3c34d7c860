use askama::Template;
use tracking_core::{Cursor, OutcomeKind, Postback, PostbackMethod, Timestamp};

use super::format::encoded;
use super::lists::listed;
use super::{assets, format};
use crate::refusal::Refusal;

/// The postback log.
#[derive(Debug, Template)]
#[template(path = "postbacks.html", whitespace = "minimize")]
pub(crate) struct PostbacksPage<'a> {
    /// The relative path from the page to the mount point, with a slash at its end. Every link starts so.
    pub(crate) root: &'a str,
    /// What the form says.
    pub(crate) form: FilterForm<'a>,
    /// What is wrong with that.
    pub(crate) refusal: Option<&'a Refusal>,
    /// The calls, newest first; `None` if the form does not say which.
    pub(crate) postbacks: Option<&'a [Postback]>,
    /// Whether they are the newest.
    pub(crate) is_first: bool,
    /// The query of the page with older ones.
    pub(crate) older: Option<String>,
}

/// What the form says, be it right or wrong.
#[derive(Debug)]
pub(crate) struct FilterForm<'a> {
    pub(crate) outcome: &'a str,
    pub(crate) problems: bool,
    pub(crate) affiliate_id: &'a str,
    pub(crate) campaign_id: &'a str,
    pub(crate) click_id: &'a str,
    pub(crate) from: &'a str,
    pub(crate) to: &'a str,
}

impl FilterForm<'_> {
    /// The query by which the same form comes back, with the calls after this place.
    pub(crate) fn query(&self, after: Option<Cursor>) -> String {
        let cursor = after.map(|cursor| cursor.to_string()).unwrap_or_default();
        let problems = if self.problems { "true" } else { "" };
        let pairs = [
            ("outcome", self.outcome),
            ("problems", problems),
            ("affiliate_id", self.affiliate_id),
            ("campaign_id", self.campaign_id),
            ("click_id", self.click_id),
            ("from", self.from),
            ("to", self.to),
            ("cursor", &cursor),
        ];
        let said = pairs.into_iter().filter(|(_, value)| !value.is_empty());
        said.map(|(name, value)| format!("{name}={}", encoded(value))).collect::<Vec<_>>().join("&")
    }

    /// Which it asks for, where it is folded: `unknown_click, affiliate 7`. Empty if it asks for all.
    fn in_words(&self) -> String {
        listed([
            ("", self.outcome),
            ("", if self.problems { "problems" } else { "" }),
            ("affiliate ", self.affiliate_id),
            ("campaign ", self.campaign_id),
            ("click ", self.click_id),
            ("from ", self.from),
            ("before ", self.to),
        ])
    }

    fn is_empty(&self) -> bool {
        self.query(None).is_empty()
    }
}

impl PostbacksPage<'_> {
    /// The HTML document.
    pub(crate) fn render(&self) -> Result<String, askama::Error> {
        Template::render(self)
    }

    /// Whether the field with this name is the one at fault.
    fn is_wrong(&self, name: &str) -> bool {
        self.refusal.is_some_and(|refusal| refusal.parameter == Some(name))
    }

    fn taken(&self) -> impl Iterator<Item = &'static OutcomeKind> {
        OutcomeKind::ALL.iter().filter(|kind| kind.is_success())
    }

    fn problems(&self) -> impl Iterator<Item = &'static OutcomeKind> {
        OutcomeKind::ALL.iter().filter(|kind| !kind.is_success())
    }

    /// A time as the field for it takes it, which knows no offset.
    fn local(&self, text: &str) -> String {
        match text.parse::<Timestamp>() {
            Ok(time) => time.to_datetime().format("%Y-%m-%dT%H:%M:%S%.f").to_string(),
            Err(_) => text.to_owned(),
        }
    }

    /// The query of the page that explains such a call.
    fn explanation(&self, postback: &Postback) -> String {
        let source = postback.source.map(|source| source.to_string()).unwrap_or_default();
        format!("call={}&source={}", encoded(&postback.parameters), encoded(&source))
    }
}
