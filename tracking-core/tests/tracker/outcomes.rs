use std::collections::BTreeSet;

use tracking_core::{Outcome, ParameterError, ParameterProblem};

use crate::{World, accepted};

/// One of each. The match is exhaustive, so that a new outcome has to be added here too.
async fn all() -> Vec<(Outcome, &'static str, &'static str)> {
    let world = World::new().await;
    world.click(world.open, "abc123").await;
    let recorded = accepted(world.postback(&[]).await);
    let (amount, currency) = ("99.95".parse().unwrap(), "EUR".parse().unwrap());
    let (affiliate_id, campaign_id) = ("7".parse().unwrap(), "10".parse().unwrap());
    let click_id: tracking_core::ClickId = "abc123".parse().unwrap();
    let unknown_click = |campaign_id| Outcome::UnknownClick { affiliate_id, campaign_id, click_id: click_id.clone() };
    let missing = ParameterError { name: "amount", problem: ParameterProblem::Missing };
    let outcomes = vec![
        (Outcome::Accepted(recorded.clone()), "Conversion tracked successfully"),
        (Outcome::Duplicate(recorded.clone()), "Conversion was tracked before"),
        (
            Outcome::Conflict { recorded, amount, currency },
            "Conversion 1 is recorded with 100 USD, and this postback says 99.95 EUR.",
        ),
        (Outcome::UnknownAffiliate(affiliate_id), "There is no affiliate 7."),
        (Outcome::UnknownCampaign(campaign_id), "There is no campaign 10."),
        (unknown_click(None), "Affiliate 7 has no click with this click_id."),
        (unknown_click(Some(campaign_id)), "Affiliate 7 has no click with this click_id in campaign 10."),
        (
            Outcome::ForgedClickId("abc123".parse().unwrap()),
            "The click_id is not one that was given out here, or it was changed.",
        ),
        (Outcome::MissingKey(campaign_id), "Campaign 10 demands its postback key, and none was sent."),
        (Outcome::WrongKey(campaign_id), "The key that was sent is not the postback key of campaign 10."),
        (Outcome::InvalidParameter(missing), "amount is missing."),
    ];
    let with_code = |(outcome, summary)| {
        let code = match &outcome {
            Outcome::Accepted(_) => "accepted",
            Outcome::Duplicate(_) => "duplicate",
            Outcome::Conflict { .. } => "conflict",
            Outcome::UnknownAffiliate(_) => "unknown_affiliate",
            Outcome::UnknownCampaign(_) => "unknown_campaign",
            Outcome::UnknownClick { .. } => "unknown_click",
            Outcome::ForgedClickId(_) => "forged_click_id",
            Outcome::MissingKey(_) => "missing_postback_key",
            Outcome::WrongKey(_) => "wrong_postback_key",
            Outcome::InvalidParameter(_) => "invalid_parameter",
        };
        (outcome, code, summary)
    };
    outcomes.into_iter().map(with_code).collect()
}

#[tokio::test]
async fn each_outcome_has_its_code_summary_and_remedy() {
    let mut codes = BTreeSet::new();
    for (outcome, code, summary) in all().await {
        assert_eq!(outcome.code(), code, "codes are a contract with machines");
        assert_eq!(outcome.summary(), summary);
        let is_success = matches!(outcome, Outcome::Accepted(_) | Outcome::Duplicate(_));
        assert_eq!(outcome.conversion().is_some(), is_success);
        assert_eq!(outcome.remedy().is_none(), is_success, "who is refused is told what to do");
        if let Some(remedy) = outcome.remedy() {
            assert!(remedy.starts_with(char::is_uppercase) && remedy.ends_with('.'), "not a sentence: {remedy}");
        }
        codes.insert(code);
    }
    assert_eq!(codes.len(), 10);
}
