//! What is known of conversions across all affiliates.

use std::collections::HashMap;

use tracking_core::{AffiliateId, CampaignId, ConversionId, Cursor, NewConversion, StoreError, Timestamp};

/// Where each conversion is, and how many each campaign has of each day.
#[derive(Debug, Default)]
pub(crate) struct Register {
    /// Whose each conversion is, and when it was created, in the order of their numbers.
    entered: Vec<(AffiliateId, Timestamp)>,
    /// By campaign and day.
    daily: HashMap<(CampaignId, i64), u64>,
}

impl Register {
    /// Gives a conversion its number, if the campaign may have one more on its day, and if there is room.
    pub(crate) fn enter(
        &mut self,
        new: &NewConversion,
        reserve: impl FnOnce() -> Result<(), StoreError>,
    ) -> Result<ConversionId, StoreError> {
        let count = self.daily.entry((new.click.campaign_id, day(new.created_at))).or_default();
        if let Some(cap) = new.daily_cap.filter(|cap| *count >= u64::from(*cap)) {
            return Err(StoreError::DailyCapReached { cap });
        }
        let number = ConversionId::new(self.entered.len() as u64 + 1)
            .map_err(|error| StoreError::backend("insert conversion", error))?;
        reserve()?;
        *count += 1;
        self.entered.push((new.click.affiliate_id, new.created_at));
        Ok(number)
    }

    /// Whose the conversion with this number is, and where it stands in his list.
    pub(crate) fn locate(&self, id: ConversionId) -> Option<(AffiliateId, Cursor)> {
        let index = usize::try_from(id.as_u64() - 1).ok()?;
        self.entered.get(index).map(|(affiliate, created_at)| (*affiliate, Cursor::after(*created_at, id)))
    }

    pub(crate) fn count(&self, campaign: CampaignId, at: Timestamp) -> u64 {
        self.daily.get(&(campaign, day(at))).copied().unwrap_or_default()
    }
}

/// The day in UTC, counted from 1970.
fn day(at: Timestamp) -> i64 {
    const DAY: i64 = 24 * 60 * 60 * 1000;
    at.as_millis() / DAY
}
