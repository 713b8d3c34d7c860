use tracking_core::Summary;

use super::format::{Money, Percent};
use super::sums;

/// What was counted, as pages show it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Figures<'a>(pub(crate) &'a Summary);

impl Figures<'_> {
    pub(super) fn rate(self) -> Option<Percent> {
        Percent::of(self.0.conversions(), self.0.clicks)
    }

    pub(super) fn revenue(self) -> Vec<Money> {
        sums(&self.0.revenue())
    }

    pub(super) fn payout(self) -> Vec<Money> {
        sums(&self.0.payout())
    }

    /// Whether the sums need more room than a figure among others has.
    pub(super) fn is_wide(self) -> bool {
        let (revenue, payout) = (self.revenue(), self.payout());
        revenue.len() > 1 || payout.len() > 1 || revenue.iter().chain(&payout).any(Money::is_long)
    }
}
