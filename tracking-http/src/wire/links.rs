use serde::{Deserialize, Serialize};
use tracking_core::{BotReason, ClickId, Parameters, SubIds};
use utoipa::ToSchema;

/// A tracking link.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LinkData {
    /// What to hand out.
    #[schema(example = "https://track.example.com/go?affiliate_id=1&campaign_id=10&sub1={keyword}")]
    pub(crate) url: String,
    /// Where it leads, with `example-click-id` in the place of the visit's click id.
    #[schema(example = "https://shop.example/?ref=example-click-id")]
    pub(crate) destination_url: String,
    /// Where its QR code is, as SVG.
    #[schema(example = "https://track.example.com/links/qr.svg?affiliate_id=1&campaign_id=10&sub1={keyword}")]
    pub(crate) qr_code_url: String,
}

/// A link that is to be tested. What is in it is read as that of a link is; null counts as left out.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LinkTest {
    #[schema(value_type = i32, required = true, example = 1)]
    affiliate_id: Option<serde_json::Number>,
    #[schema(value_type = i32, required = true, example = 10)]
    campaign_id: Option<serde_json::Number>,
    #[schema(example = "ad-7")]
    sub1: Option<String>,
    sub2: Option<String>,
    sub3: Option<String>,
    sub4: Option<String>,
    sub5: Option<String>,
    #[schema(example = "newsletter")]
    source: Option<String>,
}

impl LinkTest {
    /// What a link with these values has as parameters.
    pub(crate) fn into_parameters(self) -> Parameters<'static> {
        let Self { affiliate_id, campaign_id, sub1, sub2, sub3, sub4, sub5, source } = self;
        let ids = [("affiliate_id", affiliate_id), ("campaign_id", campaign_id)];
        let ids = ids.into_iter().map(|(name, id)| (name, id.map(|id| id.to_string())));
        let marks = SubIds::NAMES.into_iter().zip([sub1, sub2, sub3, sub4, sub5]);
        ids.chain(marks).chain([("source", source)]).filter_map(|(name, value)| Some((name, value?))).collect()
    }
}

/// What became of a test click.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LinkTested {
    /// Whether all steps went well.
    pub(crate) passed: bool,
    /// What was done, in this order. A step that failed is the last one.
    pub(crate) steps: Vec<Step>,
    /// Why a click of this caller would not be taken for a person's; absent if it would.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false, example = "crawler")]
    pub(crate) bot: Option<BotReason>,
    /// The id of the click that was made: try a postback with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false, example = "abc123")]
    pub(crate) click_id: Option<ClickId>,
    /// What has become of the click so far.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) click: Option<ClickState>,
    /// How long a visitor would have waited for the click to be recorded.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<i64>, nullable = false, minimum = 0)]
    pub(crate) milliseconds: Option<u64>,
    /// Where a visitor would have been sent on to.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = "https://shop.example/?ref=abc123")]
    pub(crate) location: Option<String>,
}

/// A step of a test.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Step {
    pub(crate) name: StepName,
    pub(crate) ok: bool,
    /// What was found, for people.
    pub(crate) message: String,
    /// What to do about it. Present if the step failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) remedy: Option<String>,
    /// What was left out of the link because it could not be read. Visitors are sent on all the same.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub(crate) left_out: Vec<String>,
}

/// The steps of a test, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum StepName {
    Link,
    Affiliate,
    Campaign,
    Visitor,
    Click,
    Redirect,
}

/// What has become of a click so far: it is recorded, it waits to be recorded, or it was not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ClickState {
    Recorded,
    Queued,
    Unrecorded,
}

impl From<tracking_core::ClickState> for ClickState {
    fn from(state: tracking_core::ClickState) -> Self {
        match state {
            tracking_core::ClickState::Recorded => Self::Recorded,
            tracking_core::ClickState::Queued => Self::Queued,
            tracking_core::ClickState::Unrecorded => Self::Unrecorded,
        }
    }
}
