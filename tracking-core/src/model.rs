//! Records: what a store keeps, and what is handed to it.

use crate::{
    AffiliateId, Amount, CampaignId, Click, ClickDetails, ClickId, ConversionId, Currency, EventName, Name, Timestamp,
    Totals, TransactionId,
};

/// A partner who sends visitors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Affiliate {
    /// Unique in its store.
    pub id: AffiliateId,
    /// For people.
    pub name: Name,
    /// When it was created.
    pub created_at: Timestamp,
}

/// An affiliate that is not in a store yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAffiliate {
    /// The id that it must get, or `None` for the store to choose one.
    pub id: Option<AffiliateId>,
    /// For people.
    pub name: Name,
    /// When it is created.
    pub created_at: Timestamp,
}

impl NewAffiliate {
    /// The record that it becomes under this id.
    #[must_use]
    pub fn into_affiliate(self, id: AffiliateId) -> Affiliate {
        Affiliate { id, name: self.name, created_at: self.created_at }
    }
}

/// One sale or lead, attributed to a click and so to an affiliate.
///
/// Its identity is its click (affiliate, campaign and click id), its event and its transaction id: no two conversions
/// share it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conversion {
    /// Unique in its store.
    pub id: ConversionId,
    /// Whose conversion it is.
    pub affiliate_id: AffiliateId,
    /// What was sold.
    pub campaign_id: CampaignId,
    /// The click that it is attributed to.
    pub click_id: ClickId,
    /// What happened.
    pub event: EventName,
    /// The advertiser's number of it. Without one there is one conversion per click and event.
    pub transaction_id: Option<TransactionId>,
    /// What it is worth.
    pub amount: Amount,
    /// The currency of the amount.
    pub currency: Currency,
    /// When it was recorded.
    pub created_at: Timestamp,
}

/// A conversion that is not in a store yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewConversion {
    /// The click that it is attributed to, as the store returned it.
    pub click: Click,
    /// Other campaigns in which the affiliate has a click with the same id, and which the sender may have meant before
    /// this click was there. Empty if he named the campaign. A conversion there with the same event and transaction id
    /// is this one; a campaign without such a conversion, or one that is not known, makes no difference.
    pub alternatives: Vec<CampaignId>,
    /// What happened.
    pub event: EventName,
    /// The advertiser's number of it. Without one there is one conversion per click and event.
    pub transaction_id: Option<TransactionId>,
    /// What it is worth.
    pub amount: Amount,
    /// The currency of the amount.
    pub currency: Currency,
    /// When it is recorded.
    pub created_at: Timestamp,
}

impl NewConversion {
    /// The record that it becomes under this id.
    #[must_use]
    pub fn into_conversion(self, id: ConversionId) -> Conversion {
        Conversion {
            id,
            affiliate_id: self.click.affiliate_id,
            campaign_id: self.click.campaign_id,
            click_id: self.click.click_id,
            event: self.event,
            transaction_id: self.transaction_id,
            amount: self.amount,
            currency: self.currency,
            created_at: self.created_at,
        }
    }
}

/// What an affiliate has brought, from the beginning.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// How many clicks were recorded.
    pub clicks: u64,
    /// How many of them are taken for [a person's](crate::ClickDetails::is_human).
    pub human_clicks: u64,
    /// How many of those are the [first of a person](crate::ClickDetails::is_unique) in a day.
    pub unique_clicks: u64,
    /// How many conversions were recorded.
    pub conversions: u64,
    /// The amounts of these conversions.
    pub revenue: Totals,
}

impl Summary {
    /// Counts a click with these details.
    pub fn count_click(&mut self, details: &ClickDetails) {
        self.clicks += 1;
        self.human_clicks += u64::from(details.is_human());
        self.unique_clicks += u64::from(details.is_unique());
    }

    /// Counts a conversion.
    pub fn count_conversion(&mut self, conversion: &Conversion) {
        self.conversions += 1;
        self.revenue.add(conversion.amount, conversion.currency);
    }

    /// Conversions per click: 0.25 for one in four, 0 while there are no clicks. It exceeds 1 where clicks have many
    /// conversions each.
    #[must_use]
    pub fn conversion_rate(&self) -> f64 {
        if self.clicks == 0 { 0.0 } else { self.conversions as f64 / self.clicks as f64 }
    }
}

/// What became of a record that was handed in: it is there now, or it was there before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recorded<T> {
    /// It was new and has been recorded.
    New(T),
    /// There was one with the same identity already. This is that first one, unchanged.
    Duplicate(T),
}

impl<T> Recorded<T> {
    /// The record, new or not.
    pub fn record(&self) -> &T {
        match self {
            Self::New(record) | Self::Duplicate(record) => record,
        }
    }

    /// The record, new or not.
    pub fn into_record(self) -> T {
        match self {
            Self::New(record) | Self::Duplicate(record) => record,
        }
    }

    /// Whether there was one already.
    pub fn is_duplicate(&self) -> bool {
        matches!(self, Self::Duplicate(_))
    }
}
