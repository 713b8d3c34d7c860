//! What the pages of clicks and of conversions have in common.

use std::collections::BTreeSet;

use tracking_core::{AffiliateId, CampaignId, Parameters, Timestamp};

use super::Desk;
use crate::pages::Names;
use crate::refusal::Refusal;
use crate::report_query;

/// From when on, and before when, things are to be listed.
pub(super) fn bounds(
    desk: Desk<'_>,
    parameters: &Parameters<'_>,
) -> Result<(Option<Timestamp>, Option<Timestamp>), Refusal> {
    let zone = report_query::zone(parameters, desk.zone)?;
    let period = report_query::period(parameters, zone, desk.tracker.now())?;
    Ok(period.map(|(_, period)| (period.start(), period.end())).unzip())
}

/// The names of those that a list is about. An affiliate knows his own.
pub(super) async fn names(desk: Desk<'_>, about: BTreeSet<(AffiliateId, CampaignId)>) -> Result<Names, Refusal> {
    let mut names = Names::default();
    for (affiliate, campaign) in about {
        if !desk.viewer.is_affiliate() && !names.affiliates.contains_key(&affiliate) {
            names.affiliates.insert(affiliate, desk.tracker.affiliate_name(affiliate).await?);
        }
        if !names.campaigns.contains_key(&campaign) {
            names.campaigns.insert(campaign, desk.tracker.campaign_name(campaign).await?);
        }
    }
    Ok(names)
}
