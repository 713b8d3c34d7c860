use askama::Template;
use tracking_core::{Affiliate, Campaign, ChangedBy, Conversion, ConversionStatus, StatusChange};

use super::format::Money;
use super::{assets, format};
use crate::refusal::Refusal;
use crate::viewer::Viewer;

/// The page of a conversion.
#[derive(Debug, Template)]
#[template(path = "conversion.html", whitespace = "minimize")]
pub(crate) struct ConversionPage<'a> {
    /// The relative path from the page to the mount point, with a slash at its end. Every link starts so.
    pub(crate) root: &'a str,
    /// Who looks at it.
    pub(crate) viewer: Viewer,
    /// What is shown.
    pub(crate) conversion: &'a Conversion,
    /// How its status has changed, the earliest change first.
    pub(crate) changes: &'a [StatusChange],
    /// Whose conversion it is.
    pub(crate) affiliate: &'a Affiliate,
    /// What was sold.
    pub(crate) campaign: &'a Campaign,
    /// What the form says.
    pub(crate) reason: &'a str,
    /// Why a change was refused.
    pub(crate) refusal: Option<&'a Refusal>,
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
