//! Records: what a store keeps, and what is handed to it.

use crate::{
    AffiliateId, Amount, CampaignId, Click, ClickDetails, ClickId, ConversionId, ConversionStatus, Currency, EventName,
    Name, Payout, SubIds, Timestamp, Totals, TransactionId,
};

/// A partner who sends visitors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Affiliate {
    /// Unique in its store.
    pub id: AffiliateId,
    /// For people.
    pub name: Name,
    /// Since when conversions of new visitors of his are not taken; `None` is active.
    pub paused_at: Option<Timestamp>,
    /// [Passes](crate::Pass) of his that were issued until then are void.
    pub revoked_at: Option<Timestamp>,
    /// When it was created.
    pub created_at: Timestamp,
    /// 1, and one more with each update.
    pub version: u32,
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
        Affiliate { id, name: self.name, paused_at: None, revoked_at: None, created_at: self.created_at, version: 1 }
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
    /// What the affiliate gets for it; `None` where the campaign had no payout for it.
    pub payout: Option<Payout>,
    /// Whether it counts.
    pub status: ConversionStatus,
    /// When it happened, as far as the advertiser has said.
    pub occurred_at: Option<Timestamp>,
    /// The advertiser's own marks.
    pub sub_ids: SubIds,
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
    /// What the affiliate gets for it.
    pub payout: Option<Payout>,
    /// Whether it counts.
    pub status: ConversionStatus,
    /// When it happened, as far as the advertiser has said.
    pub occurred_at: Option<Timestamp>,
    /// The advertiser's own marks.
    pub sub_ids: SubIds,
    /// When it is recorded.
    pub created_at: Timestamp,
    /// Whether it is recorded only if its click has no conversion of the same event yet.
    pub is_only_one: bool,
    /// How many conversions its campaign may have that were recorded on the same day in UTC, this one included; `None` is
    /// any number.
    pub daily_cap: Option<u32>,
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
            payout: self.payout,
            status: self.status,
            occurred_at: self.occurred_at,
            sub_ids: self.sub_ids,
            created_at: self.created_at,
        }
    }
}

/// What was counted of some clicks and conversions: those of an affiliate, of a day, of all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// How many clicks were recorded.
    pub clicks: u64,
    /// How many of them are taken for [a person's](crate::ClickDetails::is_human).
    pub human_clicks: u64,
    /// How many of those are the [first of a person](crate::ClickDetails::is_unique) in a day.
    pub unique_clicks: u64,
    /// Conversions that wait to be approved.
    pub pending: Tally,
    /// Conversions that were approved.
    pub approved: Tally,
    /// Conversions that were rejected, which are in no other figure.
    pub rejected: Tally,
}

/// Conversions of one status.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many there are.
    pub conversions: u64,
    /// What they are worth.
    pub revenue: Totals,
    /// What affiliates get for them.
    pub payout: Totals,
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
        let tally = self.tally_mut(conversion.status);
        tally.conversions += 1;
        tally.revenue.add(conversion.amount, conversion.currency);
        if let Some(payout) = conversion.payout {
            tally.payout.add_sum(payout.amount(), payout.currency());
        }
    }

    /// Counts a conversion no more under the status that it has: the counterpart of
    /// [`count_conversion`](Self::count_conversion), for a store that changes the status of what is counted.
    pub fn discount_conversion(&mut self, conversion: &Conversion) {
        let tally = self.tally_mut(conversion.status);
        tally.conversions -= 1;
        tally.revenue.add_sum(-conversion.amount.as_decimal(), conversion.currency);
        if let Some(payout) = conversion.payout {
            tally.payout.add_sum(-payout.amount(), payout.currency());
        }
    }

    /// Conversions of this status.
    #[must_use]
    pub const fn tally(&self, status: ConversionStatus) -> &Tally {
        match status {
            ConversionStatus::Pending => &self.pending,
            ConversionStatus::Approved => &self.approved,
            ConversionStatus::Rejected => &self.rejected,
        }
    }

    /// The same, to be changed.
    pub const fn tally_mut(&mut self, status: ConversionStatus) -> &mut Tally {
        match status {
            ConversionStatus::Pending => &mut self.pending,
            ConversionStatus::Approved => &mut self.approved,
            ConversionStatus::Rejected => &mut self.rejected,
        }
    }

    /// How many conversions count: those that are pending or approved.
    #[must_use]
    pub const fn conversions(&self) -> u64 {
        self.pending.conversions + self.approved.conversions
    }

    /// What these conversions are worth.
    #[must_use]
    pub fn revenue(&self) -> Totals {
        self.pending.revenue.plus(&self.approved.revenue)
    }

    /// What the affiliate gets for these conversions.
    #[must_use]
    pub fn payout(&self) -> Totals {
        self.pending.payout.plus(&self.approved.payout)
    }

    /// What is left of the revenue when affiliates have got their payout; where they get more than it, or another currency, that
    /// is negative.
    #[must_use]
    pub fn profit(&self) -> Totals {
        self.revenue().minus(&self.payout())
    }

    /// Earnings per click: the payout, divided by all clicks and [rounded](Totals::per).
    #[must_use]
    pub fn epc(&self) -> Totals {
        self.payout().per(self.clicks)
    }

    /// Counts what the other one has counted, too.
    pub fn add(&mut self, other: &Self) {
        self.clicks += other.clicks;
        self.human_clicks += other.human_clicks;
        self.unique_clicks += other.unique_clicks;
        for status in ConversionStatus::ALL {
            let (tally, more) = (self.tally_mut(status), other.tally(status));
            tally.conversions += more.conversions;
            more.revenue.iter().for_each(|(currency, sum)| tally.revenue.add_sum(sum, currency));
            more.payout.iter().for_each(|(currency, sum)| tally.payout.add_sum(sum, currency));
        }
    }

    /// Whether nothing was counted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Conversions that count per click: 0.25 for one in four, 0 while there are no clicks. It exceeds 1 where clicks have
    /// many conversions each.
    #[must_use]
    pub fn conversion_rate(&self) -> f64 {
        if self.clicks == 0 { 0.0 } else { self.conversions() as f64 / self.clicks as f64 }
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
