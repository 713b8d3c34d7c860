use std::collections::BTreeSet;
use std::time::Duration;

use tracking_core::{
    ConversionStatus, Outcome, OutcomeKind, ParameterError, ParameterProblem, Rule, Timestamp, Unreadable,
};

use crate::{World, accepted};

/// One of each, with what is said of it.
async fn all() -> Vec<(Outcome, &'static str)> {
    let world = World::new().await;
    world.click(world.open, "abc123").await;
    let recorded = accepted(world.postback(&[]).await);
    let (amount, currency) = ("99.95".parse().unwrap(), "EUR".parse().unwrap());
    let (affiliate_id, campaign_id) = ("7".parse().unwrap(), "10".parse().unwrap());
    let click_id: tracking_core::ClickId = "abc123".parse().unwrap();
    let unknown_click = |campaign_id| Outcome::UnknownClick { affiliate_id, campaign_id, click_id: click_id.clone() };
    let missing = ParameterError { name: "amount", problem: ParameterProblem::Missing };
    let problem = ParameterProblem::Invalid("0.0000001".parse::<tracking_core::Amount>().unwrap_err());
    let too_precise = ParameterError { name: "amount", problem };
    let paused_at: Timestamp = "2024-05-01T12:00:00Z".parse().unwrap();
    let (day, hour) = (Duration::from_secs(24 * 60 * 60), Duration::from_secs(60 * 60));
    let outcomes = vec![
        (Outcome::Accepted(recorded.clone()), "Conversion tracked successfully"),
        (Outcome::Duplicate(recorded.clone()), "Conversion was tracked before"),
        (
            Outcome::StatusChanged { conversion: recorded.clone(), from: ConversionStatus::Pending },
            "Conversion 1 was pending, and is approved now",
        ),
        (
            Outcome::Conflict { recorded: recorded.clone(), amount, currency },
            "Conversion 1 is recorded with 100 USD, and this postback says 99.95 EUR.",
        ),
        (
            Outcome::StatusConflict { recorded: recorded.clone(), status: ConversionStatus::Pending },
            "Conversion 1 is approved, and can't become pending.",
        ),
        (
            Outcome::AlreadyConverted(recorded),
            "The click has conversion 1 of the event conversion, and its campaign takes but one.",
        ),
        (
            Outcome::UnknownConversion { event: "sale".parse().unwrap(), transaction_id: Some("7".parse().unwrap()) },
            "The click has no conversion of the event sale with the transaction_id 7.",
        ),
        (
            Outcome::UnknownConversion { event: "sale".parse().unwrap(), transaction_id: None },
            "The click has no conversion of the event sale without a transaction_id.",
        ),
        (Outcome::UnknownAffiliate(affiliate_id), "There is no affiliate 7."),
        (Outcome::UnknownCampaign(campaign_id), "There is no campaign 10."),
        (unknown_click(None), "Affiliate 7 has no click with this click_id."),
        (unknown_click(Some(campaign_id)), "Affiliate 7 has no click with this click_id in campaign 10."),
        (
            Outcome::ForgedClickId("abc123".parse().unwrap()),
            "The click_id is not one that was given out here, or it was changed.",
        ),
        (
            Outcome::AddressNotAllowed(campaign_id),
            "Campaign 10 does not take postbacks from the address that this one came from.",
        ),
        (Outcome::MissingKey(campaign_id), "Campaign 10 demands its postback key, and none was sent."),
        (Outcome::WrongKey(campaign_id), "The key that was sent is not a postback key of campaign 10."),
        (
            Outcome::WrongSignature(campaign_id),
            "The signature is not that of what was sent, by a signing key of campaign 10.",
        ),
        (
            Outcome::StaleSignature(campaign_id),
            "The time of the signature, for campaign 10, is missing, or not within five minutes of now.",
        ),
        (
            Outcome::TooManyFailures { retry_after: Duration::from_secs(42) },
            "Too many postbacks from this address could not prove who sent them. One that can is taken at once; others \
             are told again in 42 seconds what is wrong.",
        ),
        (
            Outcome::AffiliatePaused { affiliate_id, paused_at },
            "Affiliate 7 is paused since 2024-05-01T12:00:00.000Z, and the click is not from before.",
        ),
        (
            Outcome::CampaignPaused { campaign_id, paused_at },
            "Campaign 10 is paused since 2024-05-01T12:00:00.000Z, and does not take conversions of this click.",
        ),
        (
            Outcome::WrongCurrency { campaign_id, expected: currency, received: "USD".parse().unwrap() },
            "Campaign 10 takes conversions in EUR, and this one is in USD.",
        ),
        (
            Outcome::EventNotAllowed { campaign_id, event: "lead".parse().unwrap() },
            "Campaign 10 does not take the event lead.",
        ),
        (
            Outcome::OutsideWindow { campaign_id, window: 30 * day, elapsed: 30 * day + hour },
            "Campaign 10 takes conversions up to 30 days after the click, and this one came 30 days and 1 hour after it.",
        ),
        (
            Outcome::TooFast { campaign_id, minimum: Duration::from_secs(90), elapsed: Duration::from_secs(1) },
            "Campaign 10 takes conversions from 1 minute and 30 seconds after the click on, and this one came 1 second \
             after it.",
        ),
        (
            Outcome::BeforeClick { click_at: paused_at },
            "The conversion is said to have happened before its click, which was at 2024-05-01T12:00:00.000Z.",
        ),
        (
            Outcome::DailyCapReached { campaign_id, cap: 5 },
            "Campaign 10 takes 5 conversions a day, and has taken as many today.",
        ),
        (Outcome::InvalidParameter(missing), "amount is missing."),
        (
            Outcome::InvalidParameter(too_precise),
            "amount is not valid: an amount must not have more than 6 fractional digits.",
        ),
        (
            Outcome::Unreadable(Unreadable::MalformedQuery),
            "The query is not valid: percent-encode each parameter as UTF-8, and a % as %25.",
        ),
        (Outcome::Unreadable(Unreadable::QueryTooLong { max: 9 }), "The query has more than 9 bytes."),
        (
            Outcome::Unreadable(Unreadable::UnsupportedMediaType),
            "Send a form (application/x-www-form-urlencoded) or JSON (application/json), and say which in Content-Type.",
        ),
        (Outcome::Unreadable(Unreadable::BodyTooLarge { max: 9 }), "The body has more than 9 bytes."),
        (Outcome::Unreadable(Unreadable::BodyIncomplete), "The body ended before its end."),
        (
            Outcome::Unreadable(Unreadable::InvalidBody("it is empty".to_owned())),
            "The body is not what is expected: it is empty.",
        ),
    ];
    outcomes
}

#[tokio::test]
async fn each_outcome_has_its_summary_and_remedy() {
    let mut kinds = BTreeSet::from([
        OutcomeKind::StoreUnavailable,
        OutcomeKind::StoreFull,
        OutcomeKind::Internal,
        OutcomeKind::Abandoned,
    ]);
    for (outcome, summary) in all().await {
        let kind = outcome.kind();
        assert_eq!(outcome.summary(), summary);
        assert_eq!(outcome.code(), kind.code());
        assert_eq!(outcome.conversion().is_some(), kind.is_success());
        assert_eq!(outcome.remedy().is_none(), kind.is_success(), "who is refused is told what to do");
        kinds.insert(kind);
    }
    assert_eq!(kinds, OutcomeKind::ALL.iter().copied().collect(), "one of each");
}

#[test]
fn what_is_said_of_outcomes_and_rules_are_sentences() {
    let meanings = OutcomeKind::ALL.iter().map(|kind| kind.meaning());
    let remedies = OutcomeKind::ALL.iter().filter_map(|kind| kind.remedy());
    for text in meanings.chain(remedies).chain(Rule::ALL.map(Rule::description)) {
        assert!(text.starts_with(char::is_uppercase) && text.ends_with('.'), "not a sentence: {text}");
    }
}

/// They are a contract with machines.
#[test]
fn codes() {
    let codes: Vec<&str> = OutcomeKind::ALL.iter().map(|kind| kind.code()).collect();
    let expected = "accepted duplicate status_changed conflict status_conflict already_converted unknown_conversion unknown_affiliate \
                    unknown_campaign unknown_click forged_click_id address_not_allowed missing_postback_key \
                    wrong_postback_key wrong_signature stale_signature too_many_failures affiliate_paused \
                    campaign_paused wrong_currency event_not_allowed outside_window too_fast before_click \
                    daily_cap_reached parameter_out_of_range invalid_parameter malformed_query query_too_long unsupported_media_type \
                    body_too_large body_incomplete invalid_body store_unavailable store_full internal abandoned";
    assert_eq!(codes.join(" "), expected);
    for kind in OutcomeKind::ALL {
        assert_eq!(kind.code().parse(), Ok(*kind));
    }
}
