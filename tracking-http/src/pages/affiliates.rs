use askama::Template;
use tracking_core::{Affiliate, Cursor};

use super::fields::Wrong;
use super::{assets, format};
use crate::viewer::Viewer;

/// All affiliates.
#[derive(Debug, Template)]
#[template(path = "affiliates.html", whitespace = "minimize")]
pub(crate) struct AffiliatesPage<'a> {
    /// The relative path from the page to the mount point, with a slash at its end. Every link starts so.
    pub(crate) root: &'a str,
    /// Who looks at it.
    pub(crate) viewer: Viewer,
    /// Some of them, newest first.
    pub(crate) affiliates: &'a [Affiliate],
    /// After which place in the list; `None` is the newest.
    pub(crate) after: Option<Cursor>,
    /// The query of the page with older ones.
    pub(crate) older: Option<String>,
    /// What the form says.
    pub(crate) name: &'a str,
    /// What is wrong with that.
    pub(crate) wrong: Wrong<'a>,
}

impl AffiliatesPage<'_> {
    /// The HTML document.
    pub(crate) fn render(&self) -> Result<String, askama::Error> {
        Template::render(self)
    }

    /// Where the form leads that pauses one, or makes him active again.
    fn pause_url(&self, affiliate: &Affiliate) -> String {
        let place = self.after.map(|cursor| format!("?cursor={cursor}")).unwrap_or_default();
        format!("{}dashboard/affiliates/{}/pause{place}", self.root, affiliate.id)
    }
}
