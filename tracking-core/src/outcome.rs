//! What became of a postback.

use crate::{
    AffiliateId, Amount, CampaignId, ClickId, Conversion, Currency, NewConversion, ParameterError, Recorded, StoreError,
};

/// What became of a postback. Whatever tells about it (the answer, the metrics, the pages) derives from this.
///
/// Exhaustive on purpose: whoever answers for an outcome has to decide about a new one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// A new conversion was recorded.
    Accepted(Conversion),
    /// The conversion had been recorded before; here is the first record. Nothing was changed.
    Duplicate(Conversion),
    /// A conversion with this identity had been recorded before, with another amount or currency. Nothing was changed.
    Conflict {
        /// What is recorded.
        recorded: Conversion,
        /// The amount that was sent now.
        amount: Amount,
        /// The currency that was sent now.
        currency: Currency,
    },
    /// There is no such affiliate.
    UnknownAffiliate(AffiliateId),
    /// There is no such campaign.
    UnknownCampaign(CampaignId),
    /// The affiliate has no click with this id (in this campaign, if one was named).
    UnknownClick {
        /// The affiliate.
        affiliate_id: AffiliateId,
        /// The campaign that the postback named.
        campaign_id: Option<CampaignId>,
        /// The click id that it named.
        click_id: ClickId,
    },
    /// The click id has the form of those that this tracker mints, and it did not mint it, or not so.
    ForgedClickId(ClickId),
    /// The campaign demands its postback key, and none was sent.
    MissingKey(CampaignId),
    /// The campaign demands its postback key, and another one was sent.
    WrongKey(CampaignId),
    /// A parameter is missing or not valid.
    InvalidParameter(ParameterError),
}

impl Outcome {
    /// What became of a conversion of this amount, by what the store has returned for it.
    #[must_use]
    pub fn of(recorded: Recorded<Conversion>, amount: Amount, currency: Currency) -> Self {
        match recorded {
            Recorded::New(conversion) => Self::Accepted(conversion),
            Recorded::Duplicate(conversion) if (conversion.amount, conversion.currency) == (amount, currency) => {
                Self::Duplicate(conversion)
            }
            Recorded::Duplicate(recorded) => Self::Conflict { recorded, amount, currency },
        }
    }

    /// What became of this conversion, by what the store has said to it.
    ///
    /// For an application that records a conversion in its own transaction: that the click has been removed since it was
    /// found, or its affiliate or campaign, is an outcome like others then, and no reason to lose an order.
    ///
    /// # Errors
    /// The store's, if it could not do what it was asked.
    pub fn of_result(
        conversion: &NewConversion,
        result: Result<Recorded<Conversion>, StoreError>,
    ) -> Result<Self, StoreError> {
        match result {
            Ok(recorded) => Ok(Self::of(recorded, conversion.amount, conversion.currency)),
            Err(StoreError::UnknownAffiliate(id)) => Ok(Self::UnknownAffiliate(id)),
            Err(StoreError::UnknownCampaign(id)) => Ok(Self::UnknownCampaign(id)),
            Err(StoreError::UnknownClick(click_id)) => Ok(Self::UnknownClick {
                affiliate_id: conversion.click.affiliate_id,
                campaign_id: Some(conversion.click.campaign_id),
                click_id,
            }),
            Err(error) => Err(error),
        }
    }

    /// A stable name for machines.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Accepted(_) => "accepted",
            Self::Duplicate(_) => "duplicate",
            Self::Conflict { .. } => "conflict",
            Self::UnknownAffiliate(_) => "unknown_affiliate",
            Self::UnknownCampaign(_) => "unknown_campaign",
            Self::UnknownClick { .. } => "unknown_click",
            Self::ForgedClickId(_) => "forged_click_id",
            Self::MissingKey(_) => "missing_postback_key",
            Self::WrongKey(_) => "wrong_postback_key",
            Self::InvalidParameter(_) => "invalid_parameter",
        }
    }

    /// What happened, as a sentence.
    #[must_use]
    pub fn summary(&self) -> String {
        match self {
            Self::Accepted(_) => "Conversion tracked successfully".to_owned(),
            Self::Duplicate(_) => "Conversion was tracked before".to_owned(),
            Self::Conflict { recorded, amount, currency } => format!(
                "Conversion {} is recorded with {} {}, and this postback says {amount} {currency}.",
                recorded.id, recorded.amount, recorded.currency
            ),
            Self::UnknownAffiliate(id) => format!("There is no affiliate {id}."),
            Self::UnknownCampaign(id) => format!("There is no campaign {id}."),
            Self::UnknownClick { affiliate_id, campaign_id: None, .. } => {
                format!("Affiliate {affiliate_id} has no click with this click_id.")
            }
            Self::UnknownClick { affiliate_id, campaign_id: Some(campaign_id), .. } => {
                format!("Affiliate {affiliate_id} has no click with this click_id in campaign {campaign_id}.")
            }
            Self::ForgedClickId(_) => "The click_id is not one that was given out here, or it was changed.".to_owned(),
            Self::MissingKey(id) => format!("Campaign {id} demands its postback key, and none was sent."),
            Self::WrongKey(id) => format!("The key that was sent is not the postback key of campaign {id}."),
            Self::InvalidParameter(error) => format!("{error}."),
        }
    }

    /// What the sender can do about it, as a sentence; `None` where nothing need be done.
    #[must_use]
    pub fn remedy(&self) -> Option<&'static str> {
        match self {
            Self::Accepted(_) | Self::Duplicate(_) => None,
            Self::Conflict { .. } => Some(
                "Retry with the recorded amount and currency, or send the transaction_id of the other sale to have it recorded too.",
            ),
            Self::UnknownAffiliate(_) => Some("Send the affiliate_id of the tracking link that the visitor came by."),
            Self::UnknownCampaign(_) => {
                Some("Send the campaign_id of the tracking link that the visitor came by, or none.")
            }
            Self::UnknownClick { .. } => {
                Some("Send the click_id exactly as the visitor brought it, with the affiliate_id that belongs to it.")
            }
            Self::ForgedClickId(_) => {
                Some("Send the click_id exactly as the visitor brought it, to the last character.")
            }
            Self::MissingKey(_) | Self::WrongKey(_) => {
                Some("Send the campaign's postback key as a bearer token, or as the parameter token.")
            }
            Self::InvalidParameter(_) => Some("Correct it and send the postback again; nothing was recorded."),
        }
    }

    /// The conversion that the postback stands for: recorded now, or before.
    #[must_use]
    pub fn conversion(&self) -> Option<&Conversion> {
        match self {
            Self::Accepted(conversion) | Self::Duplicate(conversion) => Some(conversion),
            Self::Conflict { .. }
            | Self::UnknownAffiliate(_)
            | Self::UnknownCampaign(_)
            | Self::UnknownClick { .. }
            | Self::ForgedClickId(_)
            | Self::MissingKey(_)
            | Self::WrongKey(_)
            | Self::InvalidParameter(_) => None,
        }
    }
}
