//! An affiliate and a campaign to try things out with.

use tracking_core::{AffiliateId, CampaignId, CampaignRules, NewAffiliate, NewCampaign, PostbackAccess, Tracker};

use crate::shop;
use crate::start_error::StartError;

pub(crate) const AFFILIATE: u64 = 1;
pub(crate) const CAMPAIGN: u64 = 10;

/// Creates them, unless they are there.
pub(crate) async fn insert(tracker: &Tracker, base_url: &str) -> Result<(), StartError> {
    let created_at = tracker.now();
    let affiliate =
        NewAffiliate { id: Some(AffiliateId::new(AFFILIATE)?), name: "Sample affiliate".parse()?, created_at };
    let campaign = NewCampaign {
        id: Some(CampaignId::new(CAMPAIGN)?),
        name: "Sample shop".parse()?,
        destination: format!("{base_url}{}?click_id={{click_id}}&affiliate_id={{affiliate_id}}", shop::PATH).parse()?,
        // Open to all, so that a postback can be tried without a key.
        access: PostbackAccess::open(),
        rules: CampaignRules::default(),
        created_at,
    };
    tracker.store().insert_affiliate(affiliate).await?;
    tracker.store().insert_campaign(campaign).await?;
    Ok(())
}
