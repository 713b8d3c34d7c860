//! An affiliate and a campaign to try things out with.

use tracking_core::{
    AffiliateId, CampaignId, CampaignRules, DestinationUrl, NewAffiliate, NewCampaign, ParseError, PostbackAccess,
    Store, StoreError, Timestamp, Tracker,
};

use crate::shop;
use crate::start_error::StartError;

pub(crate) const AFFILIATE: u64 = 1;
pub(crate) const CAMPAIGN: u64 = 10;

/// Creates them, unless they are there.
pub(crate) async fn insert(tracker: &Tracker, base_url: &str) -> Result<(), StartError> {
    let records = Records::new(base_url, tracker.now())?;
    Ok(records.insert(&**tracker.store()).await?)
}

/// Has the visitors of the campaign sent to where the server is reached.
pub(crate) async fn relocate(tracker: &Tracker, base_url: &str) -> Result<(), StartError> {
    let destination = destination(base_url)?;
    let id = CampaignId::new(CAMPAIGN)?;
    tracker.update_campaign(id, |campaign| campaign.destination = destination.clone()).await?;
    Ok(())
}

/// The two, before they are in a store.
pub(crate) struct Records {
    affiliate: NewAffiliate,
    campaign: NewCampaign,
}

impl Records {
    pub(crate) fn new(base_url: &str, created_at: Timestamp) -> Result<Self, ParseError> {
        let id = Some(AffiliateId::new(AFFILIATE)?);
        let affiliate = NewAffiliate { id, name: "Sample affiliate".parse()?, created_at };
        let campaign = NewCampaign {
            id: Some(CampaignId::new(CAMPAIGN)?),
            name: "Sample shop".parse()?,
            destination: destination(base_url)?,
            // Open to all, so that a postback can be tried without a key.
            access: PostbackAccess::open(),
            rules: CampaignRules::default(),
            created_at,
        };
        Ok(Self { affiliate, campaign })
    }

    pub(crate) async fn insert(self, store: &dyn Store) -> Result<(), StoreError> {
        store.insert_affiliate(self.affiliate).await?;
        store.insert_campaign(self.campaign).await?;
        Ok(())
    }
}

fn destination(base_url: &str) -> Result<DestinationUrl, ParseError> {
    format!("{base_url}{}?click_id={{click_id}}&affiliate_id={{affiliate_id}}", shop::PATH).parse()
}
