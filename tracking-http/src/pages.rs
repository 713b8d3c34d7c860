//! Pages for people: the dashboard, and what a browser is shown instead of an error in JSON.
//!
//! They need no JavaScript, carry no inline style or script, and load nothing from elsewhere, so that a strict content
//! security policy holds. Whatever they link to is relative to the mount point.

mod assets;
mod format;

use askama::Template;
use tracking_core::{Affiliate, Campaign, CampaignId, Click, Conversion, EventName, Summary};

pub(crate) use self::assets::{Asset, asset};
use self::format::{Money, Percent, encoded, shell_quoted};

/// The dashboard: one affiliate's numbers, or the way to them.
#[derive(Debug, Template)]
#[template(path = "dashboard.html", whitespace = "minimize")]
pub(crate) struct DashboardPage<'a> {
    /// The relative path from the page to the mount point, with a slash at its end. Every link starts so.
    pub(crate) root: &'a str,
    /// The absolute URL of the mount point, without a slash at its end.
    pub(crate) public_url: &'a str,
    /// To choose from, newest first; empty for a viewer who is an affiliate himself.
    pub(crate) affiliates: &'a [Affiliate],
    /// Whether there are more than those: any can be opened by its id then.
    pub(crate) has_more_affiliates: bool,
    /// Whether the viewer is an affiliate: he has no other to choose, and no postbacks to send.
    pub(crate) viewer_is_affiliate: bool,
    /// Whose numbers are shown; `None` is the start page.
    pub(crate) chosen: Option<Chosen<'a>>,
}

/// The affiliate whose numbers are shown.
#[derive(Debug)]
pub(crate) struct Chosen<'a> {
    /// Who it is.
    pub(crate) affiliate: &'a Affiliate,
    /// What he has brought.
    pub(crate) summary: &'a Summary,
    /// His latest clicks, newest first.
    pub(crate) clicks: &'a [Click],
    /// His latest conversions, newest first.
    pub(crate) conversions: &'a [Conversion],
    /// Campaigns whose names are known; it may lack some.
    pub(crate) campaigns: &'a [Campaign],
}

/// What a browser is shown instead of a page that it can't have.
#[derive(Debug, Template)]
#[template(path = "problem.html", whitespace = "minimize")]
pub(crate) struct ProblemPage<'a> {
    /// The relative path from the page to the mount point, with a slash at its end. Every link starts so.
    pub(crate) root: &'a str,
    /// The status of the response.
    pub(crate) status: u16,
    /// What is the matter, in a few words.
    pub(crate) title: &'a str,
    /// What the reader can do about it, in a sentence or two.
    pub(crate) message: &'a str,
}

/// What a visitor is shown whose link leads nowhere. It tells nothing of who is behind it.
#[derive(Debug, Template)]
#[template(path = "dead_link.html", whitespace = "minimize")]
pub(crate) struct DeadLinkPage<'a> {
    /// The relative path from the page to the mount point, with a slash at its end.
    pub(crate) root: &'a str,
    /// Whether the same link may work later.
    pub(crate) is_for_now: bool,
    /// What is wrong with it.
    pub(crate) reason: &'a str,
}

impl DashboardPage<'_> {
    /// The HTML document.
    pub(crate) fn render(&self) -> Result<String, askama::Error> {
        Template::render(self)
    }

    fn is_chosen(&self, affiliate: &Affiliate) -> bool {
        self.chosen.as_ref().is_some_and(|chosen| chosen.affiliate.id == affiliate.id)
    }

    /// What the chooser offers: an affiliate that was opened by his id may be missing from the list.
    fn choices(&self) -> impl Iterator<Item = &Affiliate> {
        let is_listed = self.affiliates.iter().any(|affiliate| self.is_chosen(affiliate));
        let unlisted = self.chosen.as_ref().map(|chosen| chosen.affiliate).filter(|_| !is_listed);
        unlisted.into_iter().chain(self.affiliates)
    }

    fn create_affiliate_command(&self) -> String {
        self.post_command("/affiliates", r#"{"name": "First affiliate"}"#)
    }

    fn create_campaign_command(&self) -> String {
        self.post_command(
            "/campaigns",
            r#"{"name": "First campaign", "destination_url": "https://shop.example/?ref={click_id}"}"#,
        )
    }

    fn post_command(&self, path: &str, json: &str) -> String {
        let url = shell_quoted(&format!("{}{path}", self.public_url));
        format!("curl -X POST {url} \\\n  -H 'Content-Type: application/json' \\\n  -d {}", shell_quoted(json))
    }

    fn click_command(&self, chosen: &Chosen<'_>, campaign: &Campaign) -> String {
        let (affiliate, campaign) = (chosen.affiliate.id, campaign.id);
        let query = format!("affiliate_id={affiliate}&campaign_id={campaign}&click_id=test-1");
        format!("curl {}", shell_quoted(&format!("{}/click?{query}", self.public_url)))
    }

    fn postback_command(&self, chosen: &Chosen<'_>, click: &Click) -> String {
        let (affiliate, click_id) = (chosen.affiliate.id, encoded(click.click_id.as_str()));
        let query = format!("affiliate_id={affiliate}&click_id={click_id}&amount=99.95&currency=USD");
        let url = shell_quoted(&format!("{}/postback?{query}", self.public_url));
        let demands_key = chosen.campaign(click.campaign_id).is_some_and(|campaign| campaign.postback_key.is_some());
        let key = if demands_key { " \\\n  -H 'Authorization: Bearer YOUR_POSTBACK_KEY'" } else { "" };
        format!("curl {url}{key}")
    }
}

impl ProblemPage<'_> {
    /// The HTML document.
    pub(crate) fn render(&self) -> Result<String, askama::Error> {
        Template::render(self)
    }
}

impl DeadLinkPage<'_> {
    /// The HTML document.
    pub(crate) fn render(&self) -> Result<String, askama::Error> {
        Template::render(self)
    }
}

impl<'a> Chosen<'a> {
    fn campaign(&self, id: CampaignId) -> Option<&'a Campaign> {
        self.campaigns.iter().find(|campaign| campaign.id == id)
    }

    fn revenue(&self) -> Vec<Money> {
        self.summary.revenue.iter().map(|(currency, sum)| Money::new(sum, currency)).collect()
    }

    fn rate(&self) -> Option<Percent> {
        Percent::of(self.summary.conversions, self.summary.clicks)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]
mod tests {
    use tracking_core::{AffiliateId, CampaignId, ClickDetails, ClickId, ClickRecordId, Timestamp};

    use super::*;

    #[test]
    fn names_and_click_ids_are_escaped() {
        let affiliate = affiliate(7, "<b>\"Ada's\" & co</b>");
        let summary = Summary { clicks: 1, ..Summary::default() };
        let clicks = [click(&affiliate, "<script>'\"&")];
        let html = page(&affiliate, &summary, &clicks).render().unwrap();

        assert!(!html.contains("<b>"), "{html}");
        assert!(!html.contains("<script>"), "{html}");
        // In the command the click id is percent-encoded and can't leave the quotes around the URL.
        assert!(html.contains("click_id=%3Cscript%3E%27%22%26&#38;amount"), "{html}");
    }

    #[test]
    fn every_link_starts_with_the_root() {
        let affiliate = affiliate(7, "Ada");
        let html = page(&affiliate, &Summary::default(), &[]).render().unwrap();

        let targets = ["href=\"", "src=\"", "action=\""].iter().flat_map(|attribute| html.split(attribute).skip(1));
        for target in targets {
            assert!(target.starts_with("../") || target.starts_with('#'), "{target}");
        }
    }

    #[test]
    fn an_affiliate_who_is_not_in_the_list_is_still_the_one_chosen() {
        let (chosen, listed) = (affiliate(7, "Ada"), [affiliate(9, "Grace")]);
        let summary = Summary::default();
        let page = DashboardPage { affiliates: &listed, ..page(&chosen, &summary, &[]) };

        assert_eq!(page.choices().map(|affiliate| affiliate.id.as_u64()).collect::<Vec<_>>(), [7, 9]);
        assert_eq!(page.render().unwrap().matches(" selected").count(), 1);
    }

    #[test]
    fn an_affiliate_gets_neither_chooser_nor_postback_command() {
        let affiliate = affiliate(7, "Ada");
        let summary = Summary { clicks: 1, ..Summary::default() };
        let clicks = [click(&affiliate, "abc")];
        let page = DashboardPage { viewer_is_affiliate: true, ..page(&affiliate, &summary, &clicks) };
        let html = page.render().unwrap();

        assert!(!html.contains("<select"), "{html}");
        assert!(!html.contains("click_id=abc"), "{html}");
    }

    #[test]
    fn every_asset_that_a_page_links_to_is_there() {
        let html = ProblemPage { root: "../", status: 404, title: "Not found", message: "…" }.render().unwrap();

        let names: Vec<&str> = html.split("../assets/").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        assert!(names.len() >= 3, "{names:?}");
        assert!(names.iter().all(|name| asset(name).is_some()), "{names:?}");
    }

    fn page<'a>(affiliate: &'a Affiliate, summary: &'a Summary, clicks: &'a [Click]) -> DashboardPage<'a> {
        DashboardPage {
            root: "../",
            public_url: "https://example.com/tracking",
            affiliates: &[],
            has_more_affiliates: false,
            viewer_is_affiliate: false,
            chosen: Some(Chosen { affiliate, summary, clicks, conversions: &[], campaigns: &[] }),
        }
    }

    fn affiliate(id: u64, name: &str) -> Affiliate {
        Affiliate { id: AffiliateId::new(id).unwrap(), name: name.parse().unwrap(), created_at: Timestamp::MIN }
    }

    fn click(affiliate: &Affiliate, click_id: &str) -> Click {
        Click {
            id: ClickRecordId::new(1).unwrap(),
            affiliate_id: affiliate.id,
            campaign_id: CampaignId::new(10).unwrap(),
            click_id: ClickId::new(click_id).unwrap(),
            created_at: Timestamp::MIN,
            details: ClickDetails::default(),
        }
    }
}
