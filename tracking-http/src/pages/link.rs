use askama::Template;
use tracking_core::{Affiliate, Campaign};

use super::{assets, demands_key, postback_command};
use crate::TrackingLink;
use crate::refusal::Refusal;
use crate::viewer::Viewer;
use crate::wire::links::{LinkData, LinkTested, Step, StepName};

/// The page that makes a tracking link, shows it, and tests it.
#[derive(Debug, Template)]
#[template(path = "link.html", whitespace = "minimize")]
pub(crate) struct LinkPage<'a> {
    /// The relative path from the page to the mount point, with a slash at its end. Every link of ours starts so.
    pub(crate) root: &'a str,
    /// The absolute URL of the mount point, without a slash at its end.
    pub(crate) public_url: &'a str,
    /// To choose from, newest first; the viewer alone if he is an affiliate.
    pub(crate) affiliates: &'a [Affiliate],
    /// Whether there are more: then it is chosen by its id.
    pub(crate) has_more_affiliates: bool,
    /// To choose from, newest first.
    pub(crate) campaigns: &'a [Campaign],
    /// Whether there are more: then it is chosen by its id.
    pub(crate) has_more_campaigns: bool,
    /// Who looks at it: an affiliate has no other to choose, and no postbacks to send, and a reader has nothing to test.
    pub(crate) viewer: Viewer,
    /// What the form says.
    pub(crate) affiliate_id: &'a str,
    /// What the form says.
    pub(crate) campaign_id: &'a str,
    /// What the form says, with the names of the fields.
    pub(crate) marks: [(&'static str, &'a str); 5],
    /// What the form says.
    pub(crate) source: &'a str,
    /// Why that makes no link.
    pub(crate) refusal: Option<&'a Refusal>,
    /// The link that it makes.
    pub(crate) made: Option<&'a Made>,
    /// What became of a test click.
    pub(crate) tested: Option<&'a LinkTested>,
}

/// A link, and what it is about.
#[derive(Debug)]
pub(crate) struct Made {
    /// Whose link it is.
    pub(crate) affiliate: Affiliate,
    /// Where it leads.
    pub(crate) campaign: Campaign,
    /// The link.
    pub(crate) link: TrackingLink,
    /// What is told of it.
    pub(crate) data: LinkData,
    /// Whether it is short enough for one.
    pub(crate) has_qr_code: bool,
}

impl LinkPage<'_> {
    /// Whether a test click is offered: it is recorded.
    fn may_test(&self) -> bool {
        self.viewer != Viewer::Reader
    }

    /// The HTML document.
    pub(crate) fn render(&self) -> Result<String, askama::Error> {
        Template::render(self)
    }

    /// The affiliate whose page leads here.
    fn affiliate(&self) -> Option<&Affiliate> {
        let chosen = |affiliate: &&Affiliate| affiliate.id.to_string() == self.affiliate_id;
        self.made.map(|made| &made.affiliate).or_else(|| self.affiliates.iter().find(chosen))
    }

    /// Whether the form says more than affiliate and campaign.
    fn has_marks(&self) -> bool {
        !self.source.is_empty() || self.marks.iter().any(|(_, value)| !value.is_empty())
    }

    /// Whether the field with this name is the one at fault.
    fn is_wrong(&self, name: &str) -> bool {
        self.refusal.is_some_and(|refusal| refusal.parameter == Some(name))
    }

    /// What reports a sale for the test click.
    fn postback_command(&self) -> Option<String> {
        let (made, click_id) = (self.made?, self.tested?.click_id.as_ref()?);
        Some(postback_command(self.public_url, made.affiliate.id, click_id, demands_key(&made.campaign)))
    }

    fn title_of(&self, step: &Step) -> &'static str {
        match step.name {
            StepName::Link => "Link",
            StepName::Affiliate => "Affiliate",
            StepName::Campaign => "Campaign",
            StepName::Visitor => "Visitor",
            StepName::Click => "Click",
            StepName::Redirect => "Redirect",
        }
    }
}
