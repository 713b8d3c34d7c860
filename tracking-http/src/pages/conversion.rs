use askama::Template;
use tracking_core::{Affiliate, Campaign, ChangedBy, Conversion, ConversionStatus, StatusChange};

use super::format::Money;
use super::{assets, format};
use crate::refusal::Refusal;

/// The page of a conversion.
#[derive(Debug, Template)]
#[template(path = "conversion.html", whitespace = "minimize")]
pub(crate) struct ConversionPage<'a> {
    /// The relative path from the page to the mount point, with a slash at its end. Every link starts so.
    pub(crate) root: &'a str,
    /// Whether the viewer is an affiliate, who may look at it and no more.
    pub(crate) viewer_is_affiliate: bool,
    /// What is shown.
    pub(crate) record: Record<'a>,
    /// What the form says.
    pub(crate) reason: &'a str,
    /// Why a change was refused.
    pub(crate) refusal: Option<&'a Refusal>,
}

/// A conversion with what belongs to it.
#[derive(Debug)]
pub(crate) struct Record<'a> {
    pub(crate) conversion: &'a Conversion,
    /// The earliest change first.
    pub(crate) changes: &'a [StatusChange],
    pub(crate) affiliate: &'a Affiliate,
    pub(crate) campaign: &'a Campaign,
}

impl ConversionPage<'_> {
    /// The HTML document.
    pub(crate) fn render(&self) -> Result<String, askama::Error> {
        Template::render(self)
    }

    /// Whether the field with this name is the one at fault.
    fn is_wrong(&self, name: &str) -> bool {
        self.refusal.is_some_and(|refusal| refusal.parameter == Some(name))
    }
}

impl Record<'_> {
    /// The status with which it was recorded.
    fn first_status(&self) -> ConversionStatus {
        self.changes.first().map_or(self.conversion.status, |change| change.from)
    }

    fn amount(&self) -> Money {
        Money::new(self.conversion.amount.as_decimal(), self.conversion.currency)
    }

    fn payout(&self) -> Option<Money> {
        self.conversion.payout.map(Money::of_payout)
    }

    fn by(&self, change: &StatusChange) -> &'static str {
        match change.changed_by {
            ChangedBy::Advertiser => "the advertiser",
            ChangedBy::Admin => "an admin",
            ChangedBy::Application => "the application",
        }
    }
}
