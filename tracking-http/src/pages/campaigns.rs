use std::time::Duration;

use askama::Template;
use tracking_core::{
    Campaign, ConversionStatus, KeyKind, PayoutRule, PostbackAccess, PostbackAuth, PostbackKeyRecord, Repeats,
    Timestamp, WhilePaused,
};

use super::fields::Wrong;
use super::figures::Figures;
use super::format::{self, shell_quoted};
use super::lists::in_words;
use super::{assets, campaign_path, demands_key, period};
use crate::TrackingLink;
use crate::report_query::ReportQuery;
use crate::viewer::Viewer;
use crate::wire::campaigns::{CampaignForm, NewCampaignForm};

/// All campaigns.
#[derive(Debug, Template)]
#[template(path = "campaigns.html", whitespace = "minimize")]
pub(crate) struct CampaignsPage<'a> {
    /// The relative path from the page to the mount point, with a slash at its end. Every link starts so.
    pub(crate) root: &'a str,
    /// Who looks at it.
    pub(crate) viewer: Viewer,
    /// Some of them, newest first.
    pub(crate) campaigns: &'a [Campaign],
    /// Whether they are the newest.
    pub(crate) is_first: bool,
    /// The query of the page with older ones.
    pub(crate) older: Option<String>,
    /// What the form says.
    pub(crate) form: NewCampaignForm<'a>,
    /// What is wrong with that.
    pub(crate) wrong: Wrong<'a>,
}

impl CampaignsPage<'_> {
    /// The HTML document.
    pub(crate) fn render(&self) -> Result<String, askama::Error> {
        Template::render(self)
    }
}

/// The page of a campaign.
#[derive(Debug, Template)]
#[template(path = "campaign.html", whitespace = "minimize")]
pub(crate) struct CampaignPage<'a> {
    /// The relative path from the page to the mount point, with a slash at its end. Every link starts so.
    pub(crate) root: &'a str,
    /// The absolute URL of the mount point, without a slash at its end.
    pub(crate) public_url: &'a str,
    /// Who looks at it.
    pub(crate) viewer: Viewer,
    /// What is shown.
    pub(crate) campaign: &'a Campaign,
    /// The present moment, by which keys have expired.
    pub(crate) now: Timestamp,
    /// Of which period figures are shown: a report of this campaign.
    pub(crate) query: ReportQuery,
    /// What it, or the affiliate who looks at it, has brought in that; `None` if that can't be told now.
    pub(crate) figures: Option<Figures<'a>>,
    /// What the form says by which it was to be changed, and was not.
    pub(crate) edited: Option<&'a CampaignForm>,
    /// A key that was made just now.
    pub(crate) key: Option<ShownKey<'a>>,
    /// Why a change was refused.
    pub(crate) wrong: Wrong<'a>,
}

/// A key that is told this once.
#[derive(Clone, Copy)]
pub(crate) struct ShownKey<'a> {
    pub(crate) kind: KeyKind,
    pub(crate) secret: &'a str,
}

impl std::fmt::Debug for ShownKey<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ShownKey").field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// A rule, as people read it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct RuleInWords {
    name: &'static str,
    says: String,
}

impl CampaignPage<'_> {
    /// The HTML document.
    pub(crate) fn render(&self) -> Result<String, askama::Error> {
        Template::render(self)
    }

    /// What the form says by which it is changed.
    fn form(&self) -> CampaignForm {
        self.edited.cloned().unwrap_or_else(|| CampaignForm::of(self.campaign))
    }

    /// What the period is called.
    fn period(&self) -> &'static str {
        self.query.preset.map_or("Chosen days", in_words)
    }

    /// Which days these are.
    fn days(&self) -> String {
        let period = &self.query.request.period;
        format!("{} in {}", period::days(period.first(), period.last()), period.zone())
    }

    /// Where this page is, or what is below it: for the same period.
    fn path(&self, below: &str) -> String {
        campaign_path(self.query, self.campaign.id, below)
    }

    fn link(&self) -> String {
        match self.viewer.only() {
            Some(own) => TrackingLink::new(own, self.campaign.id).under(self.public_url),
            None => {
                format!("{}/go?affiliate_id={{affiliate_id}}&campaign_id={}", self.public_url, self.campaign.id)
            }
        }
    }

    fn postback_url(&self) -> String {
        let transaction = if self.is_once() { "" } else { "&transaction_id={transaction_id}" };
        let worth = match self.campaign.rules.currency {
            Some(_) => "&amount={amount}",
            None => "&amount={amount}&currency={currency}",
        };
        format!("{}/postback?click_id={{click_id}}{worth}{transaction}", self.public_url)
    }

    fn postback_command(&self) -> String {
        let transaction = if self.is_once() { "" } else { "&transaction_id=order-1001" };
        let currency = self.campaign.rules.currency.map_or("USD", |currency| currency.code());
        let event =
            self.campaign.rules.events.keys().next().map(|name| format!("&event={}", format::encoded(name.as_str())));
        let event = event.unwrap_or_default();
        let query = format!("click_id=CLICK_ID&amount=99.95&currency={currency}{event}{transaction}");
        let key = match (demands_key(self.campaign), self.key) {
            (true, Some(ShownKey { kind: KeyKind::Token, secret })) => secret,
            (true, _) => "YOUR_POSTBACK_KEY",
            (false, _) => "",
        };
        let header = match key {
            "" => String::new(),
            key => format!(" \\\n  -H {}", shell_quoted(&format!("Authorization: Bearer {key}"))),
        };
        format!("curl {}{header}", shell_quoted(&format!("{}/postback?{query}", self.public_url)))
    }

    /// Whether its advertiser has nothing but keys to sign with.
    fn is_signed(&self) -> bool {
        let keys = &self.campaign.access.keys;
        demands_key(self.campaign) && !keys.is_empty() && keys.iter().all(|key| key.kind() == KeyKind::Signing)
    }

    fn is_once(&self) -> bool {
        self.campaign.rules.repeats == Repeats::Once
    }

    fn has_expired(&self, key: &PostbackKeyRecord) -> bool {
        !key.is_live(self.now)
    }

    fn has_room(&self) -> bool {
        self.campaign.access.keys.iter().filter(|key| key.is_live(self.now)).count() < PostbackAccess::MAX_KEYS
    }

    /// What an affiliate may know of it, or all of it.
    fn rules(&self) -> Vec<RuleInWords> {
        let (rules, access) = (&self.campaign.rules, &self.campaign.access);
        let rule = |name, says: String| RuleInWords { name, says };
        let sees_all = !self.viewer.is_affiliate();
        let mut words = vec![rule("Payout", rules.payout.map_or_else(|| "None".to_owned(), pays))];
        words.extend(rules.events.iter().map(|(name, event)| {
            let payout = event.payout.map_or_else(|| "pays as the campaign does".to_owned(), pays);
            let worth = event.amount.filter(|_| sees_all);
            let worth = worth.map(|amount| format!(", and is worth {amount} if the postback does not say"));
            rule("Event", format!("“{name}”: {payout}{}", worth.unwrap_or_default()))
        }));
        if rules.events.is_empty() {
            words.push(rule("Events", "All are taken".to_owned()));
        }
        if !sees_all {
            return words;
        }
        let or = |text: Option<String>, otherwise: &str| text.unwrap_or_else(|| otherwise.to_owned());
        let networks: Vec<String> = access.networks.iter().map(ToString::to_string).collect();
        words.extend([
            rule(
                "Attribution window",
                or(
                    rules.attribution_window.map(|window| format!("Up to {} after the click", format::span(window))),
                    "None: a click counts for ever",
                ),
            ),
            rule(
                "Time to convert",
                or(
                    rules
                        .min_time_to_convert
                        .filter(|least| *least > Duration::ZERO)
                        .map(|least| format!("Not before {} have passed since the click", format::span(least))),
                    "Any",
                ),
            ),
            rule(
                "Currency",
                or(rules.currency.map(|currency| format!("{currency} only; a postback need not name it")), "Any"),
            ),
            rule(
                "Status",
                match rules.default_status {
                    ConversionStatus::Pending => "Pending, until it is approved or rejected".to_owned(),
                    ConversionStatus::Approved => "Approved, unless the postback says otherwise".to_owned(),
                    ConversionStatus::Rejected => "Rejected, unless the postback says otherwise".to_owned(),
                },
            ),
            rule(
                "Repeats",
                match rules.repeats {
                    Repeats::ByTransaction => "As many conversions of a click as there are transaction ids".to_owned(),
                    Repeats::Once => "One conversion of each event per click".to_owned(),
                },
            ),
            rule(
                "Daily cap",
                or(
                    rules.daily_cap.map(|cap| format!("{} conversions a day, in UTC", format::grouped(cap.into()))),
                    "None",
                ),
            ),
            rule(
                "While paused",
                match rules.while_paused {
                    WhilePaused::EarlierClicks => "Conversions of earlier clicks are taken".to_owned(),
                    WhilePaused::Nothing => "No conversion is taken".to_owned(),
                },
            ),
            rule(
                "Postbacks are taken",
                match access.auth {
                    PostbackAuth::Open => "From anyone".to_owned(),
                    PostbackAuth::Key => "From whoever has a key".to_owned(),
                },
            ),
            rule("Postbacks come from", if networks.is_empty() { "Anywhere".to_owned() } else { networks.join(", ") }),
        ]);
        words
    }
}

/// What an affiliate gets, as people read it.
pub(super) fn pays(payout: PayoutRule) -> String {
    match payout {
        PayoutRule::Percent(_) => format!("{payout} of the amount"),
        PayoutRule::Fixed { .. } => format!("{payout} for each conversion"),
    }
}

/// The host that visitors are sent to.
pub(super) fn host(campaign: &Campaign) -> &str {
    let destination = campaign.destination.as_str();
    let rest = destination.split_once("//").map_or(destination, |(_, rest)| rest);
    rest.split(['/', '\\', '?', '#']).next().unwrap_or_default()
}
