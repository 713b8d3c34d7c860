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

/// What a period is called.
fn in_words(preset: Preset) -> &'static str {
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
