use askama::Template;
use tracking_core::{Affiliate, Campaign, CampaignId, Click, Conversion, ConversionStatus, EventName, Summary};

use super::chart::Drawing;
use super::format::{Money, Percent};
use super::overview::{Chooser, Top};
use super::period::{PeriodFigures, PeriodForm};
use super::{assets, demands_key, format, postback_command, sums};
use crate::TrackingLink;
use crate::viewer::Viewer;

/// An affiliate's figures, and what he and his advertisers need.
#[derive(Debug, Template)]
#[template(path = "affiliate.html", whitespace = "minimize")]
pub(crate) struct AffiliatePage<'a> {
    /// The relative path from the page to the mount point, with a slash at its end. Every link starts so.
    pub(crate) root: &'a str,
    /// The absolute URL of the mount point, without a slash at its end.
    pub(crate) public_url: &'a str,
    /// Who looks at it: the affiliate himself has no other to choose, and no postbacks to send.
    pub(crate) viewer: Viewer,
    /// Whose page can be opened instead.
    pub(crate) chooser: Option<&'a Chooser>,
    /// How the period is chosen.
    pub(crate) form: &'a PeriodForm,
    /// Who it is.
    pub(crate) affiliate: &'a Affiliate,
    /// What he has brought since the beginning.
    pub(crate) summary: &'a Summary,
    /// His latest clicks, newest first.
    pub(crate) clicks: &'a [Click],
    /// His latest conversions, newest first.
    pub(crate) conversions: &'a [Conversion],
    /// Campaigns whose names are known; it may lack some.
    pub(crate) campaigns: &'a [Campaign],
    /// What was in the period; `None` if the form says none.
    pub(crate) in_period: Option<&'a InPeriod>,
}

/// What an affiliate has brought in a period.
#[derive(Debug)]
pub(crate) struct InPeriod {
    pub(crate) figures: PeriodFigures,
    pub(crate) by_campaign: Top,
}

impl AffiliatePage<'_> {
    /// The HTML document.
    pub(crate) fn render(&self) -> Result<String, askama::Error> {
        Template::render(self)
    }

    fn create_campaign_command(&self) -> String {
        super::post_command(
            self.public_url,
            "/campaigns",
            r#"{"name": "First campaign", "destination_url": "https://shop.example/?ref={click_id}"}"#,
        )
    }

    fn link(&self, campaign: &Campaign) -> String {
        TrackingLink::new(self.affiliate.id, campaign.id).under(self.public_url)
    }

    fn postback_command(&self, click: &Click) -> String {
        let demands_key = self.campaign(click.campaign_id).is_some_and(demands_key);
        postback_command(self.public_url, self.affiliate.id, &click.click_id, demands_key)
    }

    fn campaign(&self, id: CampaignId) -> Option<&Campaign> {
        self.campaigns.iter().find(|campaign| campaign.id == id)
    }

    fn revenue(&self) -> Vec<Money> {
        sums(&self.summary.revenue())
    }

    fn payout(&self) -> Vec<Money> {
        sums(&self.summary.payout())
    }

    fn rate(&self) -> Option<Percent> {
        Percent::of(self.summary.conversions(), self.summary.clicks)
    }

    /// How many conversions there are, rejected ones included.
    fn recorded(&self) -> u64 {
        self.summary.conversions() + self.summary.rejected.conversions
    }
}
