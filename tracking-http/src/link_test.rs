//! Test clicks: a link is followed as `/go` follows it, and each step is told.

use std::time::Instant;

use tracking_core::{
    AffiliateId, BotReason, ClickDetails, ClickRequest, ClickState, LinkStep, Parameters, Tracker, Visitor,
};

use crate::links;
use crate::refusal::Refusal;
use crate::wire::links::{LinkTested, Step, StepName};

/// Follows a link with these parameters. `unreadable` is how many more it has that could not be decoded.
///
/// # Errors
/// If the link is not that of the affiliate `only`. Whatever a visitor would meet is told in the steps.
pub(crate) async fn run(
    tracker: &Tracker,
    only: Option<AffiliateId>,
    parameters: &Parameters<'_>,
    unreadable: usize,
    visitor: Visitor,
) -> Result<LinkTested, Refusal> {
    let (mut click, left_out) = match ClickRequest::from_link(parameters) {
        Ok(read) => read,
        Err(error) => {
            let remedy = "A link needs affiliate_id and campaign_id, each of them once, as whole numbers.";
            return Ok(failed(vec![Step::problem(StepName::Link, Refusal::from(error).message, remedy)]));
        }
    };
    links::check_own(only, &click)?;
    let mut left_out: Vec<String> = left_out.iter().map(|error| format!("{error}.")).collect();
    if unreadable > 0 {
        left_out.push("What can't be decoded: percent-encode names and values as UTF-8, and a % as %25.".to_owned());
    }
    if click.click_id.take().is_some() {
        left_out.push("click_id: a test has one of its own.".to_owned());
    }
    let message = match left_out.as_slice() {
        [] => "The link can be read.",
        _ => "The link can be read, but for what is left out.",
    };
    let mut steps = vec![Step { left_out, ..Step::ok(StepName::Link, message) }];

    let bot = visitor.bot();
    let mut handed_over = Instant::now();
    let followed = tracker.follow_with(click.visitor(visitor).bot(BotReason::Test), |step| match step {
        LinkStep::Affiliate(affiliate) => {
            steps.push(Step::ok(StepName::Affiliate, format!("Affiliate {} is {}.", affiliate.id, affiliate.name)));
        }
        LinkStep::Campaign(campaign) => {
            steps.push(Step::ok(StepName::Campaign, format!("Campaign {} is {}.", campaign.id, campaign.name)));
        }
        LinkStep::Click(click) => {
            steps.push(Step::ok(StepName::Visitor, describe_visitor(bot, &click.details)));
            handed_over = Instant::now();
        }
        _ => {}
    });
    let redirect = match followed.await {
        Ok(redirect) => redirect,
        Err(error) => {
            let refusal = Refusal::from(error);
            let (name, thing) = match steps.len() {
                1 => (StepName::Affiliate, "an affiliate"),
                _ => (StepName::Campaign, "a campaign"),
            };
            let remedy = if refusal.status.is_server_error() {
                "Until the store works again, visitors on this link see a page that asks them to try again.".to_owned()
            } else {
                format!("Put the id of {thing} that exists into the link. Visitors see a page that says so.")
            };
            steps.push(Step::problem(name, refusal.message, remedy));
            return Ok(failed(steps));
        }
    };
    let milliseconds = u64::try_from(handed_over.elapsed().as_millis()).unwrap_or(u64::MAX);
    steps.push(match redirect.state {
        ClickState::Recorded => {
            let what_it_is = "as a test, which counts neither as human nor as unique";
            Step::ok(StepName::Click, format!("The click was recorded in {milliseconds} ms, {what_it_is}."))
        }
        ClickState::Queued => Step::ok(
            StepName::Click,
            format!(
                "The store did not take the click within {milliseconds} ms. It waits in memory, and is recorded as a test as \
                 soon as the store takes it."
            ),
        ),
        ClickState::Unrecorded => Step::problem(
            StepName::Click,
            "The click could not be kept. The visitor is sent on all the same.".to_owned(),
            "The log of this service tells why. A postback with this click id will have the click recorded.",
        ),
    });
    let passed = redirect.state != ClickState::Unrecorded;
    if passed {
        steps.push(Step::ok(StepName::Redirect, "The visitor is sent on, with status 302."));
    }
    Ok(LinkTested {
        passed,
        steps,
        bot,
        click_id: Some(redirect.click_id),
        click: Some(redirect.state.into()),
        milliseconds: Some(milliseconds),
        location: Some(redirect.location),
    })
}

fn failed(steps: Vec<Step>) -> LinkTested {
    LinkTested { passed: false, steps, bot: None, click_id: None, click: None, milliseconds: None, location: None }
}

impl Step {
    fn ok(name: StepName, message: impl Into<String>) -> Self {
        Self { name, ok: true, message: message.into(), remedy: None, left_out: Vec::new() }
    }

    fn problem(name: StepName, message: String, remedy: impl Into<String>) -> Self {
        Self { ok: false, remedy: Some(remedy.into()), ..Self::ok(name, message) }
    }
}

fn describe_visitor(bot: Option<BotReason>, details: &ClickDetails) -> String {
    let verdict = match bot {
        None => "A click of yours would count as a person's.".to_owned(),
        Some(BotReason::Crawler) => {
            "A click of yours would not count as human: what sent this request names itself as a \
                                     crawler, a link preview or a tool."
                .to_owned()
        }
        Some(BotReason::NoUserAgent) => {
            "A click of yours would not count as human: what sent this request has no User-Agent header.".to_owned()
        }
        Some(BotReason::Prefetch) => {
            "A click of yours would not count as human: your browser sent it in advance.".to_owned()
        }
        Some(reason) => format!("A click of yours would not count as human: {reason}."),
    };
    match details.ip {
        Some(ip) => format!("{verdict} Your address is kept as {ip}."),
        None => format!("{verdict} Your address is not kept."),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]
mod tests {
    use storage_memory::MemoryStore;
    use tracking_core::{CampaignRequest, Secret};

    use super::*;
    use crate::query;

    #[tokio::test]
    async fn a_click_that_is_not_kept_is_the_last_step() {
        let tracker = Tracker::new(MemoryStore::bounded(2), Secret::random());
        tracker.create_affiliate("Ada".parse().unwrap()).await.unwrap();
        let destination = "https://shop.example/?ref={click_id}".parse().unwrap();
        tracker.create_campaign(CampaignRequest::new("Shop".parse().unwrap(), destination)).await.unwrap();

        let (parameters, unreadable) = query::parse_link(Some("affiliate_id=1&campaign_id=1"));
        let tested = run(&tracker, None, &parameters, unreadable, Visitor::default()).await.unwrap();
        assert!(!tested.passed);
        let last = tested.steps.last().unwrap();
        assert_eq!((last.name, last.ok), (StepName::Click, false));
        assert!(last.remedy.is_some());
        // The visitor is sent on all the same, and his click can be recovered.
        let click_id = tested.click_id.unwrap();
        assert_eq!(tested.location.unwrap(), format!("https://shop.example/?ref={click_id}"));
    }
}
