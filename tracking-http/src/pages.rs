//! Pages for people: the dashboard, and what a browser is shown instead of an error in JSON.
//!
//! They need no JavaScript, carry no inline style or script, and load nothing from elsewhere, so that a strict content
//! security policy holds. Whatever they link to is relative to the mount point.

mod affiliate;
mod affiliates;
mod assets;
mod campaigns;
mod chart;
mod conversion;
mod explain;
mod fields;
mod figures;
mod format;
mod import;
mod link;
mod lists;
mod login;
mod overview;
mod period;
mod postbacks;
mod report;
mod settings;
mod share;

use askama::Template;
use tracking_core::{AffiliateId, Campaign, ClickId, PostbackAuth, Totals};

pub(crate) use self::affiliate::{AffiliatePage, InPeriod};
pub(crate) use self::affiliates::AffiliatesPage;
pub(crate) use self::assets::{Asset, asset};
pub(crate) use self::campaigns::{CampaignPage, CampaignsPage, ShownKey};
pub(crate) use self::conversion::ConversionPage;
pub(crate) use self::explain::ExplainPage;
pub(crate) use self::fields::Wrong;
pub(crate) use self::figures::Figures;
use self::format::{Money, encoded, shell_quoted};
pub(crate) use self::format::{grouped, span};
pub(crate) use self::import::ImportPage;
pub(crate) use self::link::{LinkPage, Made};
pub(crate) use self::lists::{ClicksPage, ConversionsPage, ListForm, Names};
pub(crate) use self::login::{LogInPage, SESSION_PLACE, session_part};
pub(crate) use self::overview::{Chooser, Overview, OverviewPage, Source, Sources, Top, campaign_path};
pub(crate) use self::period::{PeriodFigures, PeriodForm, PresetLink};
pub(crate) use self::postbacks::{FilterForm, PostbacksPage};
pub(crate) use self::report::{ReportPage, Shown};
pub(crate) use self::settings::{Setting, SettingsPage};
pub(crate) use self::share::SharePage;

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

fn post_command(public_url: &str, path: &str, json: &str) -> String {
    let url = shell_quoted(&format!("{public_url}{path}"));
    format!("curl -X POST {url} \\\n  -H 'Content-Type: application/json' \\\n  -d {}", shell_quoted(json))
}

fn demands_key(campaign: &Campaign) -> bool {
    campaign.access.auth == PostbackAuth::Key
}

/// What reports a sale for a click.
fn postback_command(public_url: &str, affiliate: AffiliateId, click_id: &ClickId, demands_key: bool) -> String {
    let click_id = encoded(click_id.as_str());
    let query = format!("affiliate_id={affiliate}&click_id={click_id}&amount=99.95&currency=USD");
    let url = shell_quoted(&format!("{public_url}/postback?{query}"));
    let key = if demands_key { " \\\n  -H 'Authorization: Bearer YOUR_POSTBACK_KEY'" } else { "" };
    format!("curl {url}{key}")
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

fn sums(totals: &Totals) -> Vec<Money> {
    totals.iter().map(|(currency, sum)| Money::new(sum, currency)).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]
mod tests {
    use std::sync::LazyLock;

    use tracking_core::{
        Affiliate, AffiliateId, BotReason, CampaignId, CampaignRules, ChangedBy, Click, ClickDetails, ClickId,
        ClickRecordId, Conversion, ConversionId, ConversionStatus, EventName, ExplainedRule, Explanation,
        NewConversion, OutcomeKind, Postback, PostbackAccess, PostbackMethod, Rule, StatusChange, SubIds, Summary,
        Timestamp, Verdict,
    };

    use super::*;
    use crate::TrackingLink;
    use crate::refusal::Refusal;
    use crate::viewer::Viewer;
    use crate::wire::links::{LinkData, LinkTested, Step, StepName};

    #[test]
    fn names_and_click_ids_are_escaped() {
        let affiliate = affiliate(7, "<b>\"Ada's\" & co</b>");
        let summary = Summary { clicks: 1, ..Summary::default() };
        let mut click = click(&affiliate, "<script>'\"&");
        let marks = [Some("<b>\"'&".parse().unwrap()), None, None, None, Some("<script>".parse().unwrap())];
        click.details.sub_ids = SubIds::new(marks);
        click.details.source = Some("</th><b>".parse().unwrap());
        let clicks = [click];
        let html = page(&affiliate, &summary, &clicks).render().unwrap();

        assert!(
            html.contains("sub1 <bdi>&#60;b&#62;&#34;&#39;&#38;</bdi> · sub5 <bdi>&#60;script&#62;</bdi>"),
            "{html}"
        );
        assert!(html.contains("source <bdi>&#60;/th&#62;&#60;b&#62;</bdi>"), "{html}");
        assert!(!html.contains("<b>"), "{html}");
        assert!(!html.contains("<script>"), "{html}");
        // In the command the click id is percent-encoded and can't leave the quotes around the URL.
        assert!(html.contains("click_id=%3Cscript%3E%27%22%26&#38;amount"), "{html}");
    }

    #[test]
    fn clicks_say_in_words_what_they_are() {
        let affiliate = affiliate(7, "Ada");
        let summary = Summary { clicks: 4812, human_clicks: 3950, unique_clicks: 1, ..Summary::default() };
        let details = ClickDetails::default;
        for (details, expected) in [
            (details(), &[][..]),
            (ClickDetails { bot: Some(BotReason::Crawler), ..details() }, &["crawler"]),
            (ClickDetails { bot: Some(BotReason::NoUserAgent), ..details() }, &["no user agent"]),
            (ClickDetails { bot: Some(BotReason::Prefetch), ..details() }, &["prefetched"]),
            (
                ClickDetails { bot: Some(BotReason::Test), is_recovered: true, ..details() },
                &["test click", "recovered"],
            ),
            (ClickDetails { is_repeat: true, ..details() }, &["repeat"]),
        ] {
            let clicks = [Click { details, ..click(&affiliate, "abc") }];
            let html = page(&affiliate, &summary, &clicks).render().unwrap();
            let flags: Vec<&str> =
                html.split("class=\"flag\">").skip(1).filter_map(|rest| rest.split('<').next()).collect();
            assert_eq!(flags, expected);
            assert!(html.contains("3,950 human · 1 unique"), "{html}");
        }
    }

    #[test]
    fn every_link_starts_with_the_root() {
        let affiliate = affiliate(7, "Ada");
        let mut html = page(&affiliate, &Summary::default(), &[]).render().unwrap();
        let made = made(&affiliate, "{keyword}");
        html.push_str(&link_page(&made).render().unwrap());

        let targets = ["href=\"", "src=\"", "action=\""].iter().flat_map(|attribute| html.split(attribute).skip(1));
        for target in targets {
            assert!(target.starts_with("../") || target.starts_with('#'), "{target}");
        }
    }

    #[test]
    fn an_affiliate_who_is_not_in_the_list_is_still_the_one_chosen() {
        let (chosen, summary) = (affiliate(7, "Ada"), Summary::default());
        let chooser =
            Chooser::new(vec![affiliate(9, "Grace")], false, Some(&chosen), "period=today&time_zone=Asia%2FTokyo");
        let ids: Vec<u64> = chooser.affiliates.iter().map(|affiliate| affiliate.id.as_u64()).collect();
        assert_eq!(ids, [7, 9]);

        let html = AffiliatePage { chooser: Some(&chooser), ..page(&chosen, &summary, &[]) }.render().unwrap();
        let (header, _) = html.split_once("<main").unwrap();
        assert_eq!(header.matches(" selected").count(), 1);
        assert!(html.contains("name=\"time_zone\" value=\"Asia/Tokyo\""), "the period stays: {html}");
    }

    #[test]
    fn an_affiliate_gets_neither_chooser_nor_postback_command() {
        let affiliate = affiliate(7, "Ada");
        let summary = Summary { clicks: 1, ..Summary::default() };
        let clicks = [click(&affiliate, "abc")];
        let viewer = Viewer::Affiliate(affiliate.id);
        let page = AffiliatePage { viewer, ..page(&affiliate, &summary, &clicks) };
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

    #[test]
    fn what_a_link_says_is_escaped() {
        let hostile = "\"><script>'&";
        let affiliate = affiliate(7, hostile);
        let mut made = made(&affiliate, hostile);
        made.data.destination_url = format!("https://shop.example/{hostile}");
        let tested = LinkTested {
            passed: true,
            steps: vec![Step {
                name: StepName::Link,
                ok: true,
                message: hostile.to_owned(),
                remedy: Some(hostile.to_owned()),
                left_out: vec![hostile.to_owned()],
            }],
            bot: None,
            click_id: Some(ClickId::new(hostile).unwrap()),
            click: None,
            milliseconds: None,
            location: Some(format!("https://shop.example/{hostile}")),
        };
        let refusal = Refusal::new(http::StatusCode::BAD_REQUEST, "invalid_parameter", hostile);
        let page = LinkPage {
            affiliate_id: hostile,
            campaign_id: hostile,
            marks: ["sub1", "sub2", "sub3", "sub4", "sub5"].map(|name| (name, hostile)),
            source: hostile,
            refusal: Some(&refusal),
            tested: Some(&tested),
            has_more_affiliates: true,
            has_more_campaigns: true,
            ..link_page(&made)
        };
        let html = page.render().unwrap();
        assert!(!html.contains("<script>"), "{html}");
        assert!(html.matches("&#34;&#62;&#60;script&#62;&#39;&#38;").count() >= 12, "{html}");
        // In the command it can't leave the quotes around the URL.
        assert!(html.contains("click_id=%22%3E%3Cscript%3E%27%26&#38;amount"), "{html}");
    }

    #[test]
    fn an_affiliate_tests_his_link_without_a_postback_command() {
        let affiliate = affiliate(7, "Ada");
        let made = made(&affiliate, "ad-7");
        let tested = LinkTested {
            passed: true,
            steps: Vec::new(),
            bot: None,
            click_id: Some(ClickId::new("abc").unwrap()),
            click: None,
            milliseconds: None,
            location: Some("https://shop.example/?ref=abc".to_owned()),
        };
        let page = LinkPage { tested: Some(&tested), ..link_page(&made) };
        assert!(page.render().unwrap().contains("/postback?"));
        let html = LinkPage { viewer: Viewer::Affiliate(affiliate.id), ..page }.render().unwrap();
        assert!(!html.contains("/postback?"), "{html}");
        assert!(!html.contains("<select id=\"affiliate\""), "{html}");
    }

    #[test]
    fn what_came_in_with_a_postback_is_escaped() {
        let hostile = "\"><script>'&";
        let refusal = Refusal::new(http::StatusCode::BAD_REQUEST, "invalid_parameter", hostile);
        let form = FilterForm {
            outcome: hostile,
            problems: true,
            affiliate_id: hostile,
            campaign_id: hostile,
            click_id: hostile,
            from: hostile,
            to: hostile,
        };
        let postback = postback(hostile);
        let page = PostbacksPage {
            root: "../",
            older: Some(form.query(None)),
            form,
            refusal: Some(&refusal),
            postbacks: Some(std::slice::from_ref(&postback)),
            is_first: false,
        };
        let mut html = page.render().unwrap();
        assert!(html.contains("Stands for 4,312 calls"), "{html}");

        let explanation = explanation(hostile);
        let page = ExplainPage {
            root: "../",
            call: hostile,
            source: hostile,
            refusal: Some(&refusal),
            explanation: Some(&explanation),
        };
        html.push_str(&page.render().unwrap());

        let (affiliate, conversion) = (affiliate(7, hostile), conversion(hostile));
        let change = StatusChange {
            from: ConversionStatus::Pending,
            to: ConversionStatus::Approved,
            changed_at: Timestamp::MIN,
            changed_by: ChangedBy::Advertiser,
            reason: Some(hostile.parse().unwrap()),
        };
        let page = ConversionPage {
            root: "../",
            viewer: Viewer::Admin,
            conversion: &conversion,
            changes: &[change],
            affiliate: &affiliate,
            campaign: &made(&affiliate, "x").campaign,
            reason: hostile,
            refusal: Some(&refusal),
        };
        html.push_str(&page.render().unwrap());

        assert!(!html.contains("<script>"), "{html}");
        assert!(html.matches("&#34;&#62;&#60;script&#62;&#39;&#38;").count() >= 20, "{html}");
        let targets = ["href=\"", "src=\"", "action=\""].iter().flat_map(|attribute| html.split(attribute).skip(1));
        for target in targets {
            assert!(target.starts_with("../") || target.starts_with('#'), "{target}");
        }
    }

    #[test]
    fn each_status_offers_the_ways_from_it() {
        let (affiliate, mut conversion) = (affiliate(7, "Ada"), conversion("abc"));
        for (status, ways) in [
            (ConversionStatus::Pending, &["approved", "rejected"][..]),
            (ConversionStatus::Approved, &["rejected"]),
            (ConversionStatus::Rejected, &[]),
        ] {
            conversion.status = status;
            let campaign = made(&affiliate, "x").campaign;
            let page = ConversionPage {
                root: "../",
                viewer: Viewer::Admin,
                conversion: &conversion,
                changes: &[],
                affiliate: &affiliate,
                campaign: &campaign,
                reason: "",
                refusal: None,
            };
            let html = page.render().unwrap();
            let offered: Vec<&str> =
                html.split("name=\"status\" value=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
            assert_eq!(offered, ways);
        }
    }

    fn postback(text: &str) -> Postback {
        Postback {
            id: 1,
            received_at: Timestamp::MIN,
            method: PostbackMethod::Post,
            source: None,
            parameters: text.to_owned(),
            affiliate_id: None,
            campaign_id: None,
            click_id: Some(ClickId::new(text).unwrap()),
            conversion_id: None,
            outcome: OutcomeKind::UnknownClick,
            summary: text.to_owned(),
            calls: 4312,
        }
    }

    fn explanation(text: &str) -> Explanation {
        let affiliate = affiliate(7, text);
        let problem = Some(text.to_owned());
        let conversion = NewConversion {
            click: click(&affiliate, text),
            alternatives: Vec::new(),
            event: EventName::default(),
            transaction_id: Some(text.parse().unwrap()),
            amount: "1".parse().unwrap(),
            currency: "USD".parse().unwrap(),
            payout: None,
            status: ConversionStatus::Approved,
            occurred_at: None,
            sub_ids: SubIds::default(),
            created_at: Timestamp::MIN,
            is_only_one: false,
            daily_cap: None,
        };
        Explanation {
            rules: vec![ExplainedRule { rule: Rule::Click, verdict: Verdict::Failed, problem }],
            outcome: OutcomeKind::UnknownClick,
            summary: text.to_owned(),
            click: Some(click(&affiliate, text)),
            recorded: Some(self::conversion(text)),
            conversion: Some(conversion),
        }
    }

    pub(super) fn conversion(text: &str) -> Conversion {
        Conversion {
            id: ConversionId::new(1).unwrap(),
            affiliate_id: AffiliateId::new(7).unwrap(),
            campaign_id: CampaignId::new(10).unwrap(),
            click_id: ClickId::new(text).unwrap(),
            event: EventName::default(),
            transaction_id: Some(text.parse().unwrap()),
            amount: "1".parse().unwrap(),
            currency: "USD".parse().unwrap(),
            payout: None,
            status: ConversionStatus::Pending,
            occurred_at: None,
            sub_ids: SubIds::new([Some(text.parse().unwrap()), None, None, None, None]),
            created_at: Timestamp::MIN,
        }
    }

    fn link_page(made: &Made) -> LinkPage<'_> {
        LinkPage {
            root: "../",
            public_url: "https://example.com/tracking",
            affiliates: std::slice::from_ref(&made.affiliate),
            has_more_affiliates: false,
            campaigns: std::slice::from_ref(&made.campaign),
            has_more_campaigns: false,
            viewer: Viewer::Admin,
            affiliate_id: "7",
            campaign_id: "10",
            marks: ["sub1", "sub2", "sub3", "sub4", "sub5"].map(|name| (name, "")),
            source: "",
            refusal: None,
            made: Some(made),
            tested: None,
        }
    }

    fn made(affiliate: &Affiliate, mark: &str) -> Made {
        let campaign = campaign(affiliate.name.as_str());
        let link = TrackingLink::new(affiliate.id, campaign.id).sub1(mark.parse().unwrap());
        let data = LinkData {
            url: link.under("https://example.com/tracking"),
            destination_url: "https://shop.example/?ref=abc".to_owned(),
            qr_code_url: String::new(),
        };
        Made { affiliate: affiliate.clone(), campaign, link, data, has_qr_code: true }
    }

    fn page<'a>(affiliate: &'a Affiliate, summary: &'a Summary, clicks: &'a [Click]) -> AffiliatePage<'a> {
        static FORM: LazyLock<PeriodForm> = LazyLock::new(|| PeriodForm {
            path: "dashboard",
            presets: Vec::new(),
            from: String::new(),
            to: String::new(),
            time_zone: String::new(),
            kept: Vec::new(),
            refusal: None,
        });
        AffiliatePage {
            root: "../",
            public_url: "https://example.com/tracking",
            viewer: Viewer::Admin,
            chooser: None,
            form: &FORM,
            affiliate,
            summary,
            clicks,
            conversions: &[],
            campaigns: &[],
            in_period: None,
        }
    }

    pub(super) fn affiliate(id: u64, name: &str) -> Affiliate {
        let (id, name) = (AffiliateId::new(id).unwrap(), name.parse().unwrap());
        Affiliate { id, name, paused_at: None, revoked_at: None, created_at: Timestamp::MIN, version: 1 }
    }

    pub(super) fn campaign(name: &str) -> Campaign {
        Campaign {
            id: CampaignId::new(10).unwrap(),
            name: name.parse().unwrap(),
            destination: "https://shop.example/?ref={click_id}".parse().unwrap(),
            rules: CampaignRules::default(),
            access: PostbackAccess::open(),
            paused_at: None,
            created_at: Timestamp::MIN,
            version: 1,
        }
    }

    pub(super) fn click(affiliate: &Affiliate, click_id: &str) -> Click {
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
