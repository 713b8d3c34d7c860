use std::collections::BTreeMap;

use askama::Template;
use tracking_core::{
    AffiliateId, CampaignId, Click, Conversion, ConversionStatus, Cursor, EventName, Name, Parameters, Preset, TimeZone,
};

use super::fields::Wrong;
use super::format::{Money, encoded};
use super::{assets, format};
use crate::viewer::Viewer;

/// What the form of a list says, be it right or wrong.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ListForm<'a> {
    affiliate_id: &'a str,
    campaign_id: &'a str,
    /// Of conversions only.
    status: &'a str,
    /// The name of a period.
    period: &'a str,
    from: &'a str,
    to: &'a str,
    time_zone: &'a str,
    cursor: &'a str,
}

impl<'a> ListForm<'a> {
    /// The fields that a form has.
    pub(crate) const FIELDS: [&'static str; 7] =
        ["affiliate_id", "campaign_id", "status", "period", "from", "to", "time_zone"];

    pub(crate) fn of(parameters: &'a Parameters<'_>) -> Self {
        let text = |name| parameters.text(name).ok().flatten().unwrap_or_default();
        Self {
            affiliate_id: text("affiliate_id"),
            campaign_id: text("campaign_id"),
            status: text("status"),
            period: text("period"),
            from: text("from"),
            to: text("to"),
            time_zone: text("time_zone"),
            cursor: text("cursor"),
        }
    }

    /// The query by which the same form comes back, at the same place in the list.
    pub(crate) fn query(&self) -> String {
        let pairs = [
            ("affiliate_id", self.affiliate_id),
            ("campaign_id", self.campaign_id),
            ("status", self.status),
            ("period", self.period),
            ("from", self.from),
            ("to", self.to),
            ("time_zone", self.time_zone),
            ("cursor", self.cursor),
        ];
        let said = pairs.into_iter().filter(|(_, value)| !value.is_empty());
        said.map(|(name, value)| format!("{name}={}", encoded(value))).collect::<Vec<_>>().join("&")
    }

    /// The same with a question mark in front of it, unless it is empty.
    pub(crate) fn url_query(&self) -> String {
        match self.query() {
            query if query.is_empty() => query,
            query => format!("?{query}"),
        }
    }

    /// From the newest on.
    pub(crate) fn newest(self) -> Self {
        Self { cursor: "", ..self }
    }

    /// The query of the page that goes on after this place.
    pub(crate) fn older(self, after: Cursor) -> String {
        ListForm { cursor: &after.to_string(), ..self }.query()
    }

    fn is_first(&self) -> bool {
        self.cursor.is_empty()
    }

    fn is_empty(&self) -> bool {
        self.newest().query().is_empty()
    }

    /// Which it asks for, where it is folded: `pending, affiliate 7, from 2023-08-01`. Empty if it asks for all.
    fn in_words(&self) -> String {
        let period = Preset::ALL.into_iter().find(|preset| preset.as_str() == self.period).map(in_words);
        listed([
            ("", self.status),
            ("affiliate ", self.affiliate_id),
            ("campaign ", self.campaign_id),
            ("", &period.map(str::to_lowercase).unwrap_or_default()),
            ("from ", self.from),
            ("to ", self.to),
        ])
    }

    /// Those with this status, or all if it has no name.
    fn with_status(&self, status: &str) -> String {
        ListForm { status, ..self.newest() }.url_query()
    }

    /// The whole list as CSV.
    fn csv(&self) -> String {
        match self.newest().query() {
            query if query.is_empty() => "?format=csv".to_owned(),
            query => format!("?{query}&format=csv"),
        }
    }
}

/// The names of those that a list is about.
#[derive(Debug, Clone, Default)]
pub(crate) struct Names {
    pub(crate) affiliates: BTreeMap<AffiliateId, Name>,
    pub(crate) campaigns: BTreeMap<CampaignId, Name>,
}

macro_rules! list_page {
    ($(#[$doc:meta])* $name:ident, $path:literal, $items:ident: $item:ty) => {
        $(#[$doc])*
        #[derive(Debug, Template)]
        #[template(path = $path, whitespace = "minimize")]
        pub(crate) struct $name<'a> {
            /// The relative path from the page to the mount point, with a slash at its end. Every link starts so.
            pub(crate) root: &'a str,
            /// Who looks at it.
            pub(crate) viewer: Viewer,
            /// What the form says.
            pub(crate) form: ListForm<'a>,
            /// What is wrong with that.
            pub(crate) wrong: Wrong<'a>,
            /// The zone in which times are shown.
            pub(crate) zone: TimeZone,
            /// What is listed, newest first; `None` if the form does not say what.
            pub(crate) $items: Option<&'a [$item]>,
            /// The names of those that it is about.
            pub(crate) names: &'a Names,
            /// The query of the page with older ones.
            pub(crate) older: Option<String>,
        }

        impl $name<'_> {
            /// The HTML document.
            pub(crate) fn render(&self) -> Result<String, askama::Error> {
                Template::render(self)
            }

            fn affiliate(&self, id: &AffiliateId) -> Option<&Name> {
                self.names.affiliates.get(id)
            }

            fn campaign(&self, id: &CampaignId) -> Option<&Name> {
                self.names.campaigns.get(id)
            }

            fn presets(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
                Preset::ALL.into_iter().map(|preset| (preset.as_str(), in_words(preset)))
            }
        }
    };
}

list_page! {
    /// Conversions, by whatever a form asks for.
    ConversionsPage, "conversions.html", conversions: Conversion
}

list_page! {
    /// Clicks, by whatever a form asks for.
    ClicksPage, "clicks.html", clicks: Click
}

impl ConversionsPage<'_> {
    fn statuses(&self) -> [&'static str; 3] {
        [ConversionStatus::Pending, ConversionStatus::Approved, ConversionStatus::Rejected]
            .map(ConversionStatus::as_str)
    }
}

/// What a form asks for, with a word before each, without what it leaves open.
pub(super) fn listed<const N: usize>(asked: [(&str, &str); N]) -> String {
    let said = asked.iter().filter(|(_, text)| !text.is_empty());
    said.map(|(word, text)| format!("{word}{text}")).collect::<Vec<_>>().join(", ")
}

/// What a period is called.
pub(super) fn in_words(preset: Preset) -> &'static str {
    match preset {
        Preset::Today => "Today",
        Preset::Yesterday => "Yesterday",
        Preset::Last7Days => "Last 7 days",
        Preset::Last30Days => "Last 30 days",
        Preset::Last90Days => "Last 90 days",
        Preset::ThisMonth => "This month",
        Preset::LastMonth => "Last month",
        Preset::ThisYear => "This year",
        Preset::LastYear => "Last year",
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]
mod tests {
    use tracking_core::Timestamp;

    use super::*;
    use crate::pages::tests::{affiliate, campaign, click, conversion};
    use crate::pages::{AffiliatesPage, CampaignPage, CampaignsPage, ConversionPage, ImportPage};
    use crate::refusal::Refusal;
    use crate::report_query::ReportQuery;
    use crate::wire::campaigns::{CampaignForm, NewCampaignForm};

    #[test]
    fn names_in_lists_are_escaped() {
        let hostile = "\"><script>'&";
        let root = "../";
        let (affiliate, conversion) = (affiliate(7, hostile), conversion(hostile));
        let campaign = campaign(hostile);
        let refusal = Refusal::new(http::StatusCode::BAD_REQUEST, "invalid_parameter", hostile);
        let unnamed = Wrong::new(Some(&refusal), &[]);
        let query = format!("affiliate_id={0}&campaign_id={0}&from={0}&time_zone={0}&cursor={0}", encoded(hostile));
        let parameters = crate::query::parse(Some(&query)).unwrap();
        let form = ListForm::of(&parameters);
        let mut names = Names::default();
        names.affiliates.insert(affiliate.id, affiliate.name.clone());
        names.campaigns.insert(campaign.id, campaign.name.clone());
        let mut click = click(&affiliate, hostile);
        click.details.source = Some(hostile.parse().unwrap());
        let (viewer, zone, older) = (Viewer::Admin, TimeZone::UTC, || Some("cursor=1".to_owned()));
        let mut html = ConversionsPage {
            root,
            viewer,
            form,
            wrong: unnamed,
            zone,
            conversions: Some(std::slice::from_ref(&conversion)),
            names: &names,
            older: older(),
        }
        .render()
        .unwrap();
        let clicks = Some(std::slice::from_ref(&click));
        let page = ClicksPage { root, viewer, form, wrong: unnamed, zone, clicks, names: &names, older: older() };
        html.push_str(&page.render().unwrap());
        let affiliates = std::slice::from_ref(&affiliate);
        let page =
            AffiliatesPage { root, viewer, affiliates, after: None, older: older(), name: hostile, wrong: unnamed };
        html.push_str(&page.render().unwrap());
        let campaigns = std::slice::from_ref(&campaign);
        let new = NewCampaignForm { name: hostile, destination_url: hostile, payout: hostile };
        let page = CampaignsPage {
            root,
            viewer,
            campaigns,
            is_first: false,
            older: older(),
            form: new,
            wrong: Wrong::new(Some(&refusal), &["name"]),
        };
        html.push_str(&page.render().unwrap());
        let edit = "name destination_url payout events currency daily_cap networks version"
            .replace(' ', &format!("={}&", encoded(hostile)));
        let edit = format!("{edit}={}", encoded(hostile));
        let edited = CampaignForm::filled_in(&crate::query::parse(Some(&edit)).unwrap(), &campaign);
        let page = CampaignPage {
            root,
            public_url: "https://example.com/tracking",
            viewer,
            campaign: &campaign,
            now: Timestamp::MIN,
            query: ReportQuery::from_parameters(&Parameters::default(), zone, Timestamp::MIN, None).unwrap(),
            figures: None,
            edited: Some(&edited),
            key: None,
            wrong: unnamed,
        };
        html.push_str(&page.render().unwrap());
        let done = [crate::import::Done {
            line: 2,
            outcome: "unknown_click",
            status: http::StatusCode::NOT_FOUND,
            message: hostile.to_owned(),
            conversion_id: None,
        }];
        let page = ImportPage { root, viewer, text: hostile, wrong: unnamed, done: Some(&done) };
        html.push_str(&page.render().unwrap());

        assert!(!html.contains("<script>"), "{html}");
        assert!(html.matches("&#34;&#62;&#60;script&#62;&#39;&#38;").count() >= 25, "{html}");
        for target in ["href=\"", "src=\"", "action=\""].iter().flat_map(|attribute| html.split(attribute).skip(1)) {
            assert!(target.starts_with("../") || target.starts_with('#'), "{target}");
        }
    }

    #[test]
    fn all_that_a_browser_loads_for_a_campaign_is_small() {
        let campaign = campaign("A campaign whose name is rather long");
        let page = CampaignPage {
            root: "../../",
            public_url: "https://example.com/tracking",
            viewer: Viewer::Admin,
            campaign: &campaign,
            now: Timestamp::MIN,
            query: ReportQuery::from_parameters(&Parameters::default(), TimeZone::UTC, Timestamp::MIN, None).unwrap(),
            figures: None,
            edited: None,
            key: None,
            wrong: Wrong::new(None, &[]),
        };
        let html = page.render().unwrap();
        let names = html.split("../assets/").skip(1).filter_map(|rest| rest.split('"').next());
        let assets: std::collections::BTreeSet<&str> = names.collect();
        let loaded: usize = assets.iter().map(|name| crate::pages::asset(name).unwrap().bytes.len()).sum();
        assert_eq!(assets.len(), 3, "{assets:?}");
        assert!(html.len() + loaded < 100_000, "{} bytes of HTML, {loaded} of what it links to", html.len());
    }

    #[test]
    fn a_reader_is_offered_no_changes() {
        let (affiliate, conversion) = (affiliate(7, "Ada"), conversion("abc"));
        let campaign = campaign("Shop");
        for (viewer, offers) in [(Viewer::Admin, true), (Viewer::Reader, false)] {
            let page = ConversionPage {
                root: "../",
                viewer,
                conversion: &conversion,
                changes: &[],
                affiliate: &affiliate,
                campaign: &campaign,
                reason: "",
                refusal: None,
            };
            assert_eq!(page.render().unwrap().contains("method=\"post\""), offers, "{viewer:?}");
        }
    }
}
