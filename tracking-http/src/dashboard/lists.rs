//! What the pages of clicks and of conversions have in common.

use std::collections::BTreeSet;
use std::collections::btree_map::Entry;

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
        if !desk.viewer.is_affiliate()
            && let Entry::Vacant(entry) = names.affiliates.entry(affiliate)
        {
            entry.insert(desk.tracker.affiliate_name(affiliate).await?);
        }
        if let Entry::Vacant(entry) = names.campaigns.entry(campaign) {
            entry.insert(desk.tracker.campaign_name(campaign).await?);
        }
    }
    Ok(names)
}
