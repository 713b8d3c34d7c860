//! What a tracker is asked to record.

use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;

use crate::{
    AffiliateId, Amount, BotReason, Campaign, CampaignId, CampaignRules, ClickId, ConversionStatus, Currency,
    DestinationUrl, EventName, KeyKind, Name, ParameterError, Parameters, ParseError, PostbackAuth, PostbackKey,
    Problem, Source, SubId, SubIds, Timestamp, TransactionId, UserAgent,
};

/// A click to be recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClickRequest {
    /// Who sent the visitor.
    pub affiliate_id: AffiliateId,
    /// What he was sent to.
    pub campaign_id: CampaignId,
    /// Unique for this affiliate and campaign; `None` has one minted.
    pub click_id: Option<ClickId>,
    /// The affiliate's own marks.
    pub sub_ids: SubIds,
    /// Where the affiliate found the visitor.
    pub source: Option<Source>,
    /// Who clicked; `None` is a person whom the caller vouches for, and who is not known again.
    pub visitor: Option<Visitor>,
    /// A verdict of the caller's own; `None` leaves it to the tracker.
    pub bot: Option<BotReason>,
}

/// Who clicked, as far as a request tells.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Visitor {
    /// Where the request came from.
    pub ip: Option<IpAddr>,
    /// What sent it, by its own account.
    pub user_agent: Option<UserAgent>,
    /// Whether a browser fetches in advance what its user may never open.
    pub is_prefetch: bool,
}

impl Visitor {
    /// Why this is not taken for a person; `None` is a person.
    #[must_use]
    pub fn bot(&self) -> Option<BotReason> {
        if self.is_prefetch {
            return Some(BotReason::Prefetch);
        }
        BotReason::of_user_agent(self.user_agent.as_ref().map(UserAgent::as_str))
    }
}

impl ClickRequest {
    /// A click whose id is to be minted.
    #[must_use]
    pub fn new(affiliate_id: AffiliateId, campaign_id: CampaignId) -> Self {
        Self {
            affiliate_id,
            campaign_id,
            click_id: None,
            sub_ids: SubIds::default(),
            source: None,
            visitor: None,
            bot: None,
        }
    }

    /// The same with an id of the caller's.
    #[must_use]
    pub fn click_id(mut self, click_id: ClickId) -> Self {
        self.click_id = Some(click_id);
        self
    }

    /// The same with these marks.
    #[must_use]
    pub fn sub_ids(mut self, sub_ids: SubIds) -> Self {
        self.sub_ids = sub_ids;
        self
    }

    /// The same from this source.
    #[must_use]
    pub fn source(mut self, source: Source) -> Self {
        self.source = Some(source);
        self
    }

    /// The same of this visitor.
    #[must_use]
    pub fn visitor(mut self, visitor: Visitor) -> Self {
        self.visitor = Some(visitor);
        self
    }

    /// The same, which is not taken for a person's for this reason.
    #[must_use]
    pub fn bot(mut self, reason: BotReason) -> Self {
        self.bot = Some(reason);
        self
    }

    /// Reads `affiliate_id` and `campaign_id`, and, optionally, `click_id`, `sub1` to `sub5` and `source`.
    ///
    /// # Errors
    /// If one of them is missing, repeated or not valid.
    pub fn from_parameters(parameters: &Parameters<'_>) -> Result<Self, ParameterError> {
        Self::read(parameters, Err)
    }

    /// The same for a visitor, who has to get where he wants: of what is optional, whatever is repeated or not valid is
    /// left out, and returned beside the request.
    ///
    /// # Errors
    /// If `affiliate_id` or `campaign_id` is missing, repeated or not valid.
    pub fn from_link(parameters: &Parameters<'_>) -> Result<(Self, Vec<ParameterError>), ParameterError> {
        let mut left_out = Vec::new();
        let request = Self::read(parameters, |error| {
            left_out.push(error);
            Ok(())
        })?;
        Ok((request, left_out))
    }

    /// `refused` decides what becomes of an optional parameter that can't be read.
    fn read(
        parameters: &Parameters<'_>,
        mut refused: impl FnMut(ParameterError) -> Result<(), ParameterError>,
    ) -> Result<Self, ParameterError> {
        let mut request = Self::new(parameters.required("affiliate_id")?, parameters.required("campaign_id")?);
        request.click_id = or_none(parameters.optional("click_id"), &mut refused)?;
        request.source = or_none(parameters.optional("source"), &mut refused)?;
        let mut marks: [Option<SubId>; SubIds::COUNT] = Default::default();
        for (mark, name) in marks.iter_mut().zip(SubIds::NAMES) {
            *mark = or_none(parameters.optional(name), &mut refused)?;
        }
        request.sub_ids = SubIds::new(marks);
        Ok(request)
    }
}

fn or_none<T>(
    read: Result<Option<T>, ParameterError>,
    refused: &mut impl FnMut(ParameterError) -> Result<(), ParameterError>,
) -> Result<Option<T>, ParameterError> {
    read.or_else(|error| refused(error).map(|()| None))
}

/// A conversion to be attributed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConversionRequest {
    /// Whose click it was; `None` leaves it to the click id, if that was minted here.
    pub affiliate_id: Option<AffiliateId>,
    /// What was sold; `None` means the campaign of the latest click with this id.
    pub campaign_id: Option<CampaignId>,
    /// The click that brought the buyer.
    pub click_id: ClickId,
    /// What happened.
    pub event: EventName,
    /// The advertiser's number of it; `None` means one conversion per click and event.
    pub transaction_id: Option<TransactionId>,
    /// What it is worth; `None` leaves it to the campaign, or to the conversion that is recorded.
    pub amount: Option<Amount>,
    /// The currency of the amount; `None` leaves it to the campaign, or to the conversion that is recorded.
    pub currency: Option<Currency>,
    /// The status that it is to have; `None` leaves a recorded one as it is, and a new one to the campaign.
    pub status: Option<ConversionStatus>,
    /// When it happened; `None` is now.
    pub occurred_at: Option<Timestamp>,
    /// The advertiser's own marks.
    pub sub_ids: SubIds,
}

impl ConversionRequest {
    /// A conversion with the default event, and neither campaign nor transaction id.
    #[must_use]
    pub fn new(affiliate_id: AffiliateId, click_id: ClickId, amount: Amount, currency: Currency) -> Self {
        Self {
            affiliate_id: Some(affiliate_id),
            amount: Some(amount),
            currency: Some(currency),
            ..Self::of_click(click_id)
        }
    }

    /// A conversion of which nothing but the click is said: the rest has to follow from the click id and the campaign.
    #[must_use]
    pub fn of_click(click_id: ClickId) -> Self {
        Self {
            affiliate_id: None,
            campaign_id: None,
            click_id,
            event: EventName::default(),
            transaction_id: None,
            amount: None,
            currency: None,
            status: None,
            occurred_at: None,
            sub_ids: SubIds::default(),
        }
    }

    /// The same for a click of this campaign.
    #[must_use]
    pub fn campaign_id(mut self, campaign_id: CampaignId) -> Self {
        self.campaign_id = Some(campaign_id);
        self
    }

    /// The same with this event.
    #[must_use]
    pub fn event(mut self, event: EventName) -> Self {
        self.event = event;
        self
    }

    /// The same with this transaction id.
    #[must_use]
    pub fn transaction_id(mut self, transaction_id: TransactionId) -> Self {
        self.transaction_id = Some(transaction_id);
        self
    }

    /// The same with this status.
    #[must_use]
    pub fn status(mut self, status: ConversionStatus) -> Self {
        self.status = Some(status);
        self
    }

    /// The same at this time.
    #[must_use]
    pub fn occurred_at(mut self, time: Timestamp) -> Self {
        self.occurred_at = Some(time);
        self
    }

    /// The same with these marks.
    #[must_use]
    pub fn sub_ids(mut self, sub_ids: SubIds) -> Self {
        self.sub_ids = sub_ids;
        self
    }

    /// Reads `click_id`, and, optionally, `affiliate_id`, `campaign_id`, `event`, `transaction_id`, `amount`, `currency`,
    /// `status`, `timestamp` and `sub1` to `sub5`.
    ///
    /// # Errors
    /// If `click_id` is missing, or if one of them is repeated or not valid.
    pub fn from_parameters(parameters: &Parameters<'_>) -> Result<Self, ParameterError> {
        let mut marks: [Option<SubId>; SubIds::COUNT] = Default::default();
        for (mark, name) in marks.iter_mut().zip(SubIds::NAMES) {
            *mark = parameters.optional(name)?;
        }
        Ok(Self {
            affiliate_id: parameters.optional("affiliate_id")?,
            click_id: parameters.required("click_id")?,
            amount: parameters.optional("amount")?,
            currency: parameters.optional("currency")?,
            campaign_id: parameters.optional("campaign_id")?,
            event: parameters.optional("event")?.unwrap_or_default(),
            transaction_id: parameters.optional("transaction_id")?,
            status: parameters.optional("status")?,
            occurred_at: parameters.optional("timestamp")?.map(|SaleTime(time)| time),
            sub_ids: SubIds::new(marks),
        })
    }
}

/// A time as shops write it: RFC 3339, or seconds or milliseconds since 1970.
struct SaleTime(Timestamp);

impl FromStr for SaleTime {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let expected = "an RFC 3339 time such as 2023-08-23T15:30:45Z, or seconds or milliseconds since 1970";
        let refused = ParseError::new("a time", Problem::Form { expected });
        if !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return text.parse().map(Self).map_err(|_| refused);
        }
        let number: i64 = text.parse().map_err(|_| refused.clone())?;
        // Twelve digits of seconds would be beyond the year 5000, and eleven of milliseconds before the year 1974.
        let millis = if text.len() < 12 { number * 1000 } else { number };
        Timestamp::from_millis(millis).map(Self).map_err(|_| refused)
    }
}

/// A campaign to be created.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CampaignRequest {
    /// For people.
    pub name: Name,
    /// Where visitors are sent.
    pub destination: DestinationUrl,
    /// Who may send postbacks.
    pub postback_auth: PostbackAuth,
    /// What kind of key its advertiser gets, if postbacks need one.
    pub key_kind: KeyKind,
    /// The networks that postbacks may come from; any if there is none here.
    pub networks: Vec<IpNet>,
    /// Which conversions it takes, and what they pay.
    pub rules: CampaignRules,
}

impl CampaignRequest {
    /// A campaign with a postback key that is sent along as a token, and without rules.
    #[must_use]
    pub fn new(name: Name, destination: DestinationUrl) -> Self {
        Self {
            name,
            destination,
            postback_auth: PostbackAuth::Key,
            key_kind: KeyKind::Token,
            networks: Vec::new(),
            rules: CampaignRules::default(),
        }
    }

    /// The same with this rule of who may send postbacks.
    #[must_use]
    pub fn postback_auth(mut self, postback_auth: PostbackAuth) -> Self {
        self.postback_auth = postback_auth;
        self
    }

    /// The same with a key of this kind.
    #[must_use]
    pub fn key_kind(mut self, kind: KeyKind) -> Self {
        self.key_kind = kind;
        self
    }

    /// The same with postbacks from these networks only.
    #[must_use]
    pub fn networks(mut self, networks: impl IntoIterator<Item = IpNet>) -> Self {
        self.networks = networks.into_iter().collect();
        self
    }

    /// The same with these rules.
    #[must_use]
    pub fn rules(mut self, rules: CampaignRules) -> Self {
        self.rules = rules;
        self
    }
}

/// A campaign, just created.
#[derive(Debug)]
pub struct CreatedCampaign {
    /// The record.
    pub campaign: Campaign,
    /// The key to give to the advertiser, which can't be had again.
    pub postback_key: Option<PostbackKey>,
}

/// A key, just made.
#[derive(Debug)]
pub struct IssuedKey {
    /// The campaign with it.
    pub campaign: Campaign,
    /// The number of the key.
    pub key_id: u32,
    /// The key to give to the advertiser, which can't be had again.
    pub key: PostbackKey,
}
