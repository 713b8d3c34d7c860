//! What goes over the wire: the JSON of requests and answers, from which the OpenAPI document is made.

pub(crate) mod campaigns;
pub(crate) mod conversions;
pub(crate) mod links;
pub(crate) mod postbacks;
pub(crate) mod read;
pub(crate) mod reports;

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use tracking_core::rust_decimal::Decimal;
use tracking_core::{
    Affiliate, AffiliateId, BotReason, CampaignId, Click, ClickDetails, ClickId, ClickRecordId, ClientIp, Currency,
    Name, Source, SubId, Summary, Tally, Timestamp, Totals, UserAgent,
};
use utoipa::ToSchema;

use self::conversions::ConversionTracked;
use self::read::{exact_number, given};

/// The answer to a call that records something.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RecordedAnswer<T> {
    /// Always true.
    pub(crate) success: bool,
    /// What happened, for people.
    pub(crate) message: Cow<'static, str>,
    /// Present, and true, if this had been recorded before: then `data` is the first record, unchanged.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schema(required = false)]
    pub(crate) duplicate: bool,
    pub(crate) data: T,
}

/// The answer to a question for one thing.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Answer<T> {
    /// Always true.
    pub(crate) success: bool,
    pub(crate) data: T,
}

/// The answer to a question for a list, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ListAnswer<T> {
    /// Always true.
    pub(crate) success: bool,
    pub(crate) data: Vec<T>,
    /// The `cursor` of the next page; null when the list ends here.
    #[schema(required)]
    pub(crate) next_cursor: Option<String>,
}

/// The answer to a call that was refused, or that failed.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ErrorAnswer {
    /// Always false.
    pub(crate) success: bool,
    /// What is wrong and what to do about it, for people.
    pub(crate) message: String,
    pub(crate) error: ErrorData,
}

/// What is wrong, for machines.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ErrorData {
    /// Stable.
    #[schema(example = "unknown_click")]
    pub(crate) code: &'static str,
    /// The parameter at fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "click_id")]
    pub(crate) parameter: Option<&'static str>,
    /// The rule of postbacks that it breaks.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false, example = "click")]
    pub(crate) rule: Option<&'static str>,
    /// With which conversion a postback is in conflict.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) recorded: Option<Box<ConversionTracked>>,
}

/// A click, as `/click` answers it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ClickTracked {
    #[schema(value_type = String, example = "abc123")]
    pub(crate) click_id: ClickId,
    #[schema(value_type = i32, example = 1, minimum = 1)]
    pub(crate) affiliate_id: AffiliateId,
    #[schema(value_type = i32, example = 10, minimum = 1)]
    pub(crate) campaign_id: CampaignId,
    #[schema(value_type = String, format = DateTime, example = "2023-08-23T15:30:45.123Z")]
    pub(crate) timestamp: Timestamp,
}

impl From<Click> for ClickTracked {
    fn from(click: Click) -> Self {
        let Click { affiliate_id, campaign_id, click_id, created_at: timestamp, .. } = click;
        Self { click_id, affiliate_id, campaign_id, timestamp }
    }
}

/// A click in a list.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ClickListed {
    /// The number of the record.
    #[schema(value_type = i64, example = 1, minimum = 1)]
    pub(crate) id: ClickRecordId,
    #[schema(value_type = String, example = "abc123")]
    pub(crate) click_id: ClickId,
    /// Present only in a list that is not that of one affiliate.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<i32>, nullable = false, example = 1, minimum = 1)]
    pub(crate) affiliate_id: Option<AffiliateId>,
    #[schema(value_type = i32, example = 10, minimum = 1)]
    pub(crate) campaign_id: CampaignId,
    #[schema(value_type = String, format = DateTime, example = "2023-08-23T15:30:45.123Z")]
    pub(crate) created_at: Timestamp,
    /// The affiliate's own mark.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false, example = "ad-7")]
    pub(crate) sub1: Option<SubId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false)]
    pub(crate) sub2: Option<SubId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false)]
    pub(crate) sub3: Option<SubId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false)]
    pub(crate) sub4: Option<SubId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false)]
    pub(crate) sub5: Option<SubId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false, example = "newsletter")]
    pub(crate) source: Option<Source>,
    /// Where the visitor came from, as far as it is kept: masked, unless the operator has decided otherwise. Only for
    /// those who may see everything.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false, example = "203.0.113.0/24")]
    pub(crate) ip: Option<ClientIp>,
    /// The visitor's browser, by its own account. Only for those who may see everything.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false, example = "Mozilla/5.0")]
    pub(crate) user_agent: Option<UserAgent>,
    /// Why it is not taken for a person's click: `crawler`, `no_user_agent`, `prefetch` or `test`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false, example = "crawler")]
    pub(crate) bot: Option<BotReason>,
    /// Whether it is taken for a person's click, and the first of that person for the campaign in 24 hours.
    pub(crate) unique: bool,
    /// Present, and true, if the click was rebuilt from its id when its postback came.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schema(required = false)]
    pub(crate) recovered: bool,
}

impl From<Click> for ClickListed {
    fn from(click: Click) -> Self {
        let Click { id, campaign_id, click_id, created_at, details, .. } = click;
        let unique = details.is_unique();
        let ClickDetails { sub_ids, source, ip, user_agent, bot, is_repeat: _, is_recovered: recovered } = details;
        let [sub1, sub2, sub3, sub4, sub5] = sub_ids.as_array().clone();
        Self {
            id,
            click_id,
            affiliate_id: None,
            campaign_id,
            created_at,
            sub1,
            sub2,
            sub3,
            sub4,
            sub5,
            source,
            ip,
            user_agent,
            bot,
            unique,
            recovered,
        }
    }
}

/// Whether something takes part, or rests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ActivityStatus {
    Active,
    Paused,
}

impl ActivityStatus {
    fn of(paused_at: Option<Timestamp>) -> Self {
        if paused_at.is_some() { Self::Paused } else { Self::Active }
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Paused => "paused",
        }
    }
}

/// An affiliate.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AffiliateData {
    #[schema(value_type = i32, example = 1, minimum = 1)]
    pub(crate) id: AffiliateId,
    #[schema(value_type = String, example = "Ada's reviews")]
    pub(crate) name: Name,
    pub(crate) status: ActivityStatus,
    /// Since when conversions of new clicks are not taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false, format = DateTime, example = "2023-08-23T15:30:45.123Z")]
    pub(crate) paused_at: Option<Timestamp>,
    /// Passes that were issued until then are void.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false, format = DateTime, example = "2023-08-23T15:30:45.123Z")]
    pub(crate) revoked_at: Option<Timestamp>,
    #[schema(value_type = String, format = DateTime, example = "2023-08-23T15:30:45.123Z")]
    pub(crate) created_at: Timestamp,
    /// 1, and one more with each change.
    #[schema(value_type = i64, example = 1, minimum = 1)]
    pub(crate) version: u32,
}

impl From<Affiliate> for AffiliateData {
    fn from(affiliate: Affiliate) -> Self {
        let Affiliate { id, name, paused_at, revoked_at, created_at, version } = affiliate;
        Self { id, name, status: ActivityStatus::of(paused_at), paused_at, revoked_at, created_at, version }
    }
}

/// How long a pass of an affiliate is to be valid.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewPass {
    /// From now on: a minute to 366 days.
    #[schema(value_type = i64, required = true, example = 2_592_000, minimum = 60, maximum = 31_622_400)]
    pub(crate) lifetime_seconds: Option<u64>,
}

/// A pass, whose text is told this once.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PassData {
    #[schema(value_type = i32, example = 1, minimum = 1)]
    pub(crate) affiliate_id: AffiliateId,
    /// What the affiliate logs in with.
    #[schema(example = "afpass_AQMAAAABAYoi…")]
    pub(crate) token: String,
    /// Opens his dashboard to whoever has it.
    #[schema(example = "https://track.example.com/dashboard/share?token=afpass_AQMAAAABAYoi…")]
    pub(crate) share_url: String,
    #[schema(value_type = String, format = DateTime, example = "2023-08-23T15:30:45.123Z")]
    pub(crate) issued_at: Timestamp,
    #[schema(value_type = String, format = DateTime, example = "2023-09-22T15:30:45.123Z")]
    pub(crate) expires_at: Timestamp,
}

/// What an affiliate has brought, from the beginning.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SummaryData {
    #[schema(value_type = i32, example = 1, minimum = 1)]
    pub(crate) affiliate_id: AffiliateId,
    #[schema(value_type = i64, minimum = 0)]
    pub(crate) clicks: u64,
    /// Those that are taken for a person's.
    #[schema(value_type = i64, minimum = 0)]
    pub(crate) human_clicks: u64,
    /// Those of them that are the first of a person for a campaign in 24 hours.
    #[schema(value_type = i64, minimum = 0)]
    pub(crate) unique_clicks: u64,
    /// Those that are pending or approved.
    #[schema(value_type = i64, minimum = 0)]
    pub(crate) conversions: u64,
    /// Conversions per click, 0.25 for one in four; 0 while there are no clicks.
    #[schema(minimum = 0)]
    pub(crate) conversion_rate: f64,
    /// What these conversions are worth: one sum per currency, in the order of the codes.
    pub(crate) revenue: Vec<Sum>,
    /// What the affiliate gets for them.
    pub(crate) payout: Vec<Sum>,
    pub(crate) by_status: SummaryByStatus,
}

impl SummaryData {
    pub(crate) fn new(affiliate_id: AffiliateId, summary: &Summary) -> Self {
        Self {
            affiliate_id,
            clicks: summary.clicks,
            human_clicks: summary.human_clicks,
            unique_clicks: summary.unique_clicks,
            conversions: summary.conversions(),
            conversion_rate: summary.conversion_rate(),
            revenue: sums(&summary.revenue()),
            payout: sums(&summary.payout()),
            by_status: summary.into(),
        }
    }
}

/// Conversions of each status.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SummaryByStatus {
    pub(crate) pending: TallyData,
    pub(crate) approved: TallyData,
    pub(crate) rejected: TallyData,
}

impl From<&Summary> for SummaryByStatus {
    fn from(summary: &Summary) -> Self {
        Self {
            pending: (&summary.pending).into(),
            approved: (&summary.approved).into(),
            rejected: (&summary.rejected).into(),
        }
    }
}

/// Conversions of one status.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TallyData {
    #[schema(value_type = i64, minimum = 0)]
    pub(crate) conversions: u64,
    pub(crate) revenue: Vec<Sum>,
    pub(crate) payout: Vec<Sum>,
}

impl From<&Tally> for TallyData {
    fn from(tally: &Tally) -> Self {
        let Tally { conversions, revenue, payout } = tally;
        Self { conversions: *conversions, revenue: sums(revenue), payout: sums(payout) }
    }
}

fn sums(totals: &Totals) -> Vec<Sum> {
    totals.iter().map(|(currency, amount)| Sum { currency, amount }).collect()
}

/// An exact sum of amounts in one currency.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Sum {
    /// ISO 4217.
    #[schema(value_type = String, example = "USD", min_length = 3, max_length = 3)]
    pub(crate) currency: Currency,
    #[serde(serialize_with = "exact_number")]
    #[schema(value_type = f64, example = 100, minimum = 0)]
    pub(crate) amount: Decimal,
}

/// An affiliate to be created.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewAffiliate {
    /// 1 to 100 characters, not counting white space at both ends, which is cut off.
    #[schema(value_type = String, required = true, example = "Ada's reviews", min_length = 1)]
    pub(crate) name: Option<String>,
}

/// What is to be changed about an affiliate: what is left out stays as it is.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AffiliateChange {
    /// 1 to 100 characters, not counting white space at both ends, which is cut off.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false, example = "Ada's reviews", min_length = 1)]
    pub(crate) name: Option<String>,
    /// Whether he is to rest: conversions of clicks that come from then on are not taken.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    pub(crate) paused: Option<bool>,
}

/// A click that is to be made anonymous.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct EraseClicks {
    /// The id that the visitor brought to the advertiser.
    #[schema(value_type = String, required = true, example = "abc126", min_length = 1, max_length = 100)]
    pub(crate) click_id: Option<String>,
}

/// What was made anonymous.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Erased {
    /// How many clicks had the id.
    #[schema(value_type = i64, minimum = 0)]
    pub(crate) erased: u64,
}

/// Whether the service is up.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Status {
    /// `ok`
    pub(crate) status: &'static str,
}
