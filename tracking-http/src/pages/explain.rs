use askama::Template;
use tracking_core::{Explanation, NewConversion, OutcomeKind, Rule, Verdict};

use super::format::Money;
use super::{assets, format};
use crate::refusal::Refusal;

/// The page that explains what would become of a postback.
#[derive(Debug, Template)]
#[template(path = "explain.html", whitespace = "minimize")]
pub(crate) struct ExplainPage<'a> {
    /// The relative path from the page to the mount point, with a slash at its end. Every link starts so.
    pub(crate) root: &'a str,
    /// What the form says: the query of the call.
    pub(crate) call: &'a str,
    /// What the form says: the address that the call comes from.
    pub(crate) source: &'a str,
    /// What is wrong with that.
    pub(crate) refusal: Option<&'a Refusal>,
    /// What would become of the call.
    pub(crate) explanation: Option<&'a Explanation>,
}

impl ExplainPage<'_> {
    /// The HTML document.
    pub(crate) fn render(&self) -> Result<String, askama::Error> {
        Template::render(self)
    }

    /// Whether the address is at fault, which is all that can be.
    fn is_wrong(&self) -> bool {
        self.refusal.is_some()
    }

    /// Whether the call is one of the log, from which secrets are left out.
    fn lacks_secrets(&self) -> bool {
        self.call.contains("=…") || self.call.contains("=%E2%80%A6")
    }

    /// Whether it is the sender's proof that the call lacks.
    fn is_unproven(&self, explanation: &Explanation) -> bool {
        explanation.outcome.rule() == Rule::Credential
    }

    /// The conversion that would be recorded, if the call came now.
    fn would_be_recorded(&self, explanation: &Explanation) -> bool {
        explanation.outcome == OutcomeKind::Accepted
    }

    fn payout(&self, conversion: &NewConversion) -> Option<Money> {
        conversion.payout.map(Money::of_payout)
    }

    fn title_of(&self, rule: Rule) -> &'static str {
        match rule {
            Rule::Parameters => "Parameters",
            Rule::ClickId => "Click id",
            Rule::Click => "Click",
            Rule::Address => "Address",
            Rule::Credential => "Key or signature",
            Rule::Affiliate => "Affiliate",
            Rule::Campaign => "Campaign",
            Rule::Currency => "Currency",
            Rule::Event => "Event",
            Rule::AttributionWindow => "Attribution window",
            Rule::MinTime => "Time to convert",
            Rule::Identity => "Identity",
            Rule::Repeats => "Repeats",
            Rule::DailyCap => "Daily cap",
            rule => rule.as_str(),
        }
    }
}
