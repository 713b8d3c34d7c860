use askama::Template;
use tracking_core::{Affiliate, Timestamp};

use super::{assets, format};

/// A link that was made for an affiliate.
#[derive(Template)]
#[template(path = "share.html", whitespace = "minimize")]
pub(crate) struct SharePage<'a> {
    /// The relative path from the page to the mount point, with a slash at its end. Every link starts so.
    pub(crate) root: &'a str,
    /// Who is logged in with it.
    pub(crate) affiliate: &'a Affiliate,
    /// The link, which is a secret.
    pub(crate) link: &'a str,
    /// Until when it can be opened.
    pub(crate) expires_at: Timestamp,
}

impl std::fmt::Debug for SharePage<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SharePage").field("affiliate", &self.affiliate.id).finish_non_exhaustive()
    }
}

impl SharePage<'_> {
    /// The HTML document.
    pub(crate) fn render(&self) -> Result<String, askama::Error> {
        Template::render(self)
    }
}
