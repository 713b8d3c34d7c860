//! A demonstration: months of [traffic](mod@crate::traffic) in a store in memory, that goes on for as long as the server runs.
//!
//! What was is played in order, through a tracker whose clock shows the time that it was: so everything has become of it
//! that becomes of real calls, in the postback log, too. What is still to come is played when its time comes.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use storage_memory::MemoryStore;
use tracking_core::rust_decimal::Decimal;
use tracking_core::{
    AffiliateId, ChangedBy, ClickError, ConversionId, KeyKind, ManualClock, Outcome, Parameters, Pause, PostbackCall,
    PostbackKey, PostbackMethod, Secrets, Store, StoreError, Timestamp, Tracker, TrackerOptions, error_chain,
};

use crate::demo_data::{self, DemoDataError};
use crate::sample;
use crate::traffic::{self, AFFILIATES, CAMPAIGNS, Chance, DAY, Decision, DemoCampaign, HOUR, MINUTE, Mishap, Visit};

/// How long after its time something is still played: after a pause of the machine nobody makes up for what he has missed.
const LATE: u64 = 5 * MINUTE;

/// How long to sleep at the most, for the machine may sleep, too.
const NAP: Duration = Duration::from_secs(30);

/// A store with months of traffic, and what is to come.
pub(crate) struct Demonstration {
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) traffic: Traffic,
}

/// Fills a store with what was in so many days until `now`.
pub(crate) async fn fill(
    days: u64,
    capacity: usize,
    secrets: &Secrets,
    options: &TrackerOptions,
    base_url: &str,
    now: Timestamp,
) -> Result<Demonstration, DemoDataError> {
    let store = Arc::new(MemoryStore::bounded(capacity));
    let (today, key) = (traffic::day_of(now), PostbackKey::random(KeyKind::Token));
    let first_day = today.saturating_sub(days);
    let clock = Arc::new(ManualClock::new(traffic::start_of(first_day)?));
    let mut traffic = Traffic::new(first_day, today, key);
    let filled = async {
        for day in first_day..=today {
            // Each day has its own, whose log has room for all of that day's postbacks.
            let options = options.clone().clock(Arc::clone(&clock));
            let tracker = Tracker::with_options(Arc::clone(&store), secrets.clone(), options);
            if day == first_day {
                sample::Records::new(base_url, traffic::start_of(first_day)?)?.insert(&*store).await?;
                demo_data::insert_directory(&*store, today, &traffic.key).await?;
            }
            traffic.play(&tracker, &clock, now.min(traffic::start_of(day + 1)?)).await?;
            tracker.purge().await?;
            tracker.drained().await;
        }
        // Each of them has looked back from its own day.
        Ok(store.purge_postbacks(now.minus(options.log_retention), options.log_capacity).await?)
    };
    match filled.await {
        Ok(()) => Ok(Demonstration { store, traffic }),
        Err(DemoDataError::Store(StoreError::Full { capacity })) => Err(DemoDataError::TooSmall { capacity }),
        Err(error) => Err(error),
    }
}

/// What is planned, in order, and played when its time comes. Days are planned one by one.
pub(crate) struct Traffic {
    planned: BTreeMap<(Timestamp, u64), Action>,
    /// How many actions there were, which tells apart those of one time.
    actions: u64,
    next_day: u64,
    /// The day on which the demonstration begins.
    today: u64,
    /// What advertisers prove themselves with, and what one of them has used for too long.
    key: PostbackKey,
    old_key: PostbackKey,
    played: Played,
}

/// How much has been recorded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Played {
    pub(crate) clicks: u64,
    pub(crate) conversions: u64,
}

enum Action {
    Visit(Visit),
    /// A postback about the sale of a visit.
    Report(Visit, Report),
    /// A decision about the conversion of a visit.
    Decision(Visit, ConversionId, Decision),
    /// A postback about a click that is another tracker's.
    Stray(&'static DemoCampaign, u64),
    Pause(u64),
}

/// What a postback says of a sale.
#[derive(Clone, Copy, PartialEq)]
enum Report {
    AsItIs,
    OtherAmount,
    WrongCurrency,
    DecimalComma,
    WithOldKey,
    Refunded,
}

/// How many days ago an advertiser used a key that he had replaced, and for which sales.
const OLD_KEY: u64 = 8;
const OLD_KEY_CAMPAIGN: u64 = 202;
/// When he found out.
const KEY_REPLACED: u64 = 20 * HOUR;

impl Traffic {
    fn new(first_day: u64, today: u64, key: PostbackKey) -> Self {
        Self {
            planned: BTreeMap::new(),
            actions: 0,
            next_day: first_day,
            today,
            key,
            old_key: PostbackKey::random(KeyKind::Token),
            played: Played::default(),
        }
    }

    pub(crate) const fn played(&self) -> Played {
        self.played
    }

    /// Plays what is before this time, at its own time.
    async fn play(&mut self, tracker: &Tracker, clock: &ManualClock, until: Timestamp) -> Result<(), DemoDataError> {
        while let Some((at, action)) = self.take_before(until)? {
            clock.set(at);
            self.act(tracker, at, action).await?;
        }
        clock.set(until);
        Ok(())
    }

    /// Plays what comes, when it comes, by the tracker's clock. Ends when the store is full.
    pub(crate) async fn go_on(mut self, tracker: &Tracker) {
        loop {
            let now = tracker.now();
            let (at, action) = match self.take_before(now) {
                Ok(Some(next)) => next,
                Ok(None) => {
                    let next = self.planned.first_key_value().map_or(now, |((at, _), _)| *at);
                    let wait = Duration::from_millis(next.as_millis().abs_diff(now.as_millis()) + 1);
                    tokio::time::sleep(wait.min(NAP)).await;
                    continue;
                }
                Err(error) => {
                    tracing::warn!(error = %error_chain(&error), "the demonstration stands still from now on");
                    return;
                }
            };
            let is_late = now.as_millis().abs_diff(at.as_millis()) > LATE;
            if is_late && matches!(action, Action::Visit(_)) {
                continue;
            }
            match self.act(tracker, at, action).await {
                Ok(()) => {}
                Err(DemoDataError::Store(error @ StoreError::Full { .. })) => {
                    tracing::warn!(error = %error_chain(&error), "the demonstration stands still from now on");
                    return;
                }
                Err(error) => tracing::debug!(error = %error_chain(&error), "the demonstration leaves something out"),
            }
        }
    }

    fn take_before(&mut self, until: Timestamp) -> Result<Option<(Timestamp, Action)>, DemoDataError> {
        loop {
            let next_day = traffic::start_of(self.next_day)?;
            match self.planned.first_entry() {
                // What is of a day that is not planned yet comes later still.
                Some(first) if first.key().0 < next_day => {
                    let at = first.key().0;
                    return Ok((at < until).then(|| (at, first.remove())));
                }
                _ => self.plan_day()?,
            }
        }
    }

    fn plan(&mut self, at: Timestamp, action: Action) {
        self.actions += 1;
        self.planned.insert((at, self.actions), action);
    }

    fn plan_day(&mut self) -> Result<(), DemoDataError> {
        let (day, start) = (self.next_day, traffic::start_of(self.next_day)?);
        self.next_day += 1;
        let age = self.today.saturating_sub(day);
        let mut chance = Chance::new(day.rotate_left(16));
        for _ in 0..chance.below(3) {
            let campaign = &CAMPAIGNS[1 + chance.below(CAMPAIGNS.len() as u64 - 1) as usize];
            self.plan(later(start, chance.below(DAY)), Action::Stray(campaign, chance.below(1_000_000)));
        }
        for affiliate in &AFFILIATES {
            // Not again for whoever is made active again in a demonstration that runs for long.
            if affiliate.paused == Some(age) {
                self.plan(later(start, MINUTE), Action::Pause(affiliate.id));
            }
        }
        for visit in traffic::visits_of(day, self.today)? {
            self.plan(visit.at, Action::Visit(visit));
        }
        Ok(())
    }

    async fn act(&mut self, tracker: &Tracker, at: Timestamp, action: Action) -> Result<(), DemoDataError> {
        match action {
            Action::Visit(visit) => {
                let recorded = tracker.record_click(visit.request()?).await.map_err(|error| match error {
                    ClickError::Store(error) => DemoDataError::Store(error),
                    error => DemoDataError::Click(error),
                })?;
                self.played.clicks += u64::from(!recorded.is_duplicate());
                self.plan_reports(at, visit);
            }
            Action::Report(visit, report) => {
                let outcome = self.report(tracker, &visit, report).await?;
                if let Outcome::Accepted(conversion) = outcome {
                    self.played.conversions += 1;
                    if let Some((decision, delay)) = visit.sale.as_ref().and_then(|sale| sale.decision) {
                        self.plan(later(at, delay), Action::Decision(visit, conversion.id, decision));
                    }
                }
            }
            Action::Decision(visit, _, Decision { by: ChangedBy::Advertiser, .. }) => {
                self.report(tracker, &visit, Report::Refunded).await?;
            }
            Action::Decision(_, id, Decision { status, by, reason }) => {
                tracker.change_status(id, status, by, reason.map(str::parse).transpose()?).await?;
            }
            Action::Stray(campaign, number) => {
                let affiliate = &AFFILIATES[number as usize % AFFILIATES.len()];
                let parameters = [
                    ("affiliate_id", affiliate.id.to_string()),
                    ("campaign_id", campaign.id.to_string()),
                    ("click_id", format!("c{number:06}")),
                    ("event", campaign.event.to_owned()),
                    ("transaction_id", format!("partner-{number:06}")),
                    ("amount", "25.00".to_owned()),
                    ("currency", campaign.currency.to_owned()),
                    ("token", self.key.expose().to_owned()),
                ];
                send(tracker, campaign, parameters).await?;
            }
            Action::Pause(id) => {
                tracker.pause_affiliate(AffiliateId::new(id)?, Pause::Begin).await?;
            }
        }
        Ok(())
    }

    /// What the advertiser's server will say of a visit.
    fn plan_reports(&mut self, at: Timestamp, visit: Visit) {
        let day = traffic::day_of(at);
        let Some(sale) = &visit.sale else { return };
        let at = later(at, sale.delay);
        let is_with_old_key = visit.campaign.id == OLD_KEY_CAMPAIGN
            && day + OLD_KEY == self.today
            && traffic::start_of(day).is_ok_and(|start| at < later(start, KEY_REPLACED));
        let reports = match sale.mishap {
            // He sends again what was refused.
            _ if is_with_old_key => {
                let found_out = traffic::start_of(day).map_or(at, |start| later(start, KEY_REPLACED));
                let wait = found_out.as_millis().abs_diff(at.as_millis());
                vec![(0, Report::WithOldKey), (wait, Report::AsItIs)]
            }
            None => vec![(0, Report::AsItIs)],
            Some(Mishap::SentTwice) => vec![(0, Report::AsItIs), (30 * 1000, Report::AsItIs)],
            Some(Mishap::OtherAmount) => vec![(0, Report::AsItIs), (2 * HOUR, Report::OtherAmount)],
            Some(Mishap::WrongCurrency) => vec![(0, Report::WrongCurrency), (40 * MINUTE, Report::AsItIs)],
            Some(Mishap::DecimalComma) => vec![(0, Report::DecimalComma), (25 * MINUTE, Report::AsItIs)],
        };
        for (wait, report) in reports {
            self.plan(later(at, wait), Action::Report(visit.clone(), report));
        }
    }

    async fn report(&self, tracker: &Tracker, visit: &Visit, report: Report) -> Result<Outcome, DemoDataError> {
        let Visit { affiliate, campaign, sale, .. } = visit;
        let amount = sale.as_ref().map(|sale| sale.amount.as_decimal()).unwrap_or_default();
        // With what sending it costs.
        let amount = if report == Report::OtherAmount { amount + Decimal::new(590, 2) } else { amount };
        let amount = format!("{amount:.2}");
        let (amount, currency) = match report {
            Report::WrongCurrency => (amount, "CHF"),
            Report::DecimalComma => (amount.replace('.', ","), campaign.currency),
            _ => (amount, campaign.currency),
        };
        let mut parameters = vec![
            ("affiliate_id", affiliate.id.to_string()),
            ("click_id", visit.click_id()?.to_string()),
            ("event", campaign.event.to_owned()),
            ("transaction_id", visit.transaction_id()?.to_string()),
        ];
        if report == Report::Refunded {
            parameters.push(("status", "rejected".to_owned()));
        } else {
            parameters.extend([("amount", amount), ("currency", currency.to_owned())]);
        }
        if campaign.id != sample::CAMPAIGN {
            let key = if report == Report::WithOldKey { &self.old_key } else { &self.key };
            parameters.push(("token", key.expose().to_owned()));
        }
        send(tracker, campaign, parameters).await
    }
}

/// From the server of this campaign's advertiser.
async fn send(
    tracker: &Tracker,
    campaign: &DemoCampaign,
    parameters: impl IntoIterator<Item = (&'static str, String)>,
) -> Result<Outcome, DemoDataError> {
    // 192.0.2.0/24 is nobody's.
    let source = Ipv4Addr::new(192, 0, 2, (campaign.id % 200) as u8);
    let method = if campaign.id.is_multiple_of(2) { PostbackMethod::Get } else { PostbackMethod::Post };
    let parameters: Parameters<'_> = parameters.into_iter().collect();
    let call = PostbackCall::new(parameters).method(method).source(IpAddr::V4(source));
    Ok(tracker.postback(&call).await?)
}

fn later(at: Timestamp, millis: u64) -> Timestamp {
    at.plus(Duration::from_millis(millis))
}

#[cfg(test)]
mod tests {
    use tokio::time::{Instant, timeout};
    use tracking_core::{Clock, ConversionStatus, OutcomeKind, PageRequest, PostbackFilter, Secret, Summary};

    use super::*;

    const CAPACITY: usize = 1_000_000;

    fn time(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    async fn filled(days: u64, capacity: usize, secrets: &Secrets, now: Timestamp) -> Demonstration {
        fill(days, capacity, secrets, &TrackerOptions::default(), "http://127.0.0.1:3001", now).await.unwrap()
    }

    fn tracker(demonstration: &Demonstration, secrets: &Secrets, clock: impl Clock) -> Tracker {
        let options = TrackerOptions::default().clock(clock);
        Tracker::with_options(Arc::clone(&demonstration.store), secrets.clone(), options)
    }

    async fn summaries(tracker: &Tracker) -> Vec<Summary> {
        let mut summaries = Vec::new();
        for affiliate in &AFFILIATES {
            summaries.push(tracker.summary(AffiliateId::new(affiliate.id).unwrap()).await.unwrap());
        }
        summaries
    }

    fn total(summaries: &[Summary], figure: impl Fn(&Summary) -> u64) -> u64 {
        summaries.iter().map(figure).sum()
    }

    #[tokio::test]
    async fn a_day_is_the_same_whenever_it_is_begun() {
        let (morning, evening) = (time("2026-03-08T07:30:00Z"), time("2026-03-08T21:00:00Z"));
        let secrets = Secrets::from(Secret::random());
        let mut early = filled(5, CAPACITY, &secrets, morning).await;
        let late = filled(5, CAPACITY, &Secret::random().into(), evening).await;
        let clock = Arc::new(ManualClock::new(morning));
        let early_tracker = tracker(&early, &secrets, Arc::clone(&clock));
        let late_tracker = tracker(&late, &secrets, ManualClock::new(evening));
        assert_ne!(summaries(&early_tracker).await, summaries(&late_tracker).await);

        early.traffic.play(&early_tracker, &clock, evening).await.unwrap();
        assert_eq!(summaries(&early_tracker).await, summaries(&late_tracker).await);
        assert_eq!(early.traffic.played(), late.traffic.played());
        for number in 1..=late.traffic.played().conversions {
            let id = ConversionId::new(number).unwrap();
            let conversion = late_tracker.conversion(id).await.unwrap();
            assert_eq!(early_tracker.conversion(id).await.unwrap(), conversion);
            assert!(conversion.created_at < evening);
        }
    }

    #[tokio::test]
    async fn there_is_everything_that_one_would_look_for() {
        let (now, secrets) = (time("2026-06-17T16:00:00Z"), Secrets::from(Secret::random()));
        let demonstration = filled(30, CAPACITY, &secrets, now).await;
        let tracker = tracker(&demonstration, &secrets, ManualClock::new(now));
        let summaries = summaries(&tracker).await;
        for (affiliate, summary) in AFFILIATES.iter().zip(&summaries) {
            assert!(summary.clicks > 50 && summary.conversions() > 0, "{} {summary:?}", affiliate.name);
        }
        let clicks = total(&summaries, |summary| summary.clicks);
        let humans = total(&summaries, |summary| summary.human_clicks);
        let uniques = total(&summaries, |summary| summary.unique_clicks);
        assert!((4..=9).contains(&((clicks - humans) * 100 / clicks)), "{humans} of {clicks}");
        assert!((5..=12).contains(&((humans - uniques) * 100 / humans)), "{uniques} of {humans}");
        assert_eq!(clicks, demonstration.traffic.played().clicks);

        let mut by_status = [0; 3];
        for number in 1..=demonstration.traffic.played().conversions {
            let conversion = tracker.conversion(ConversionId::new(number).unwrap()).await.unwrap();
            let age = now.as_millis().abs_diff(conversion.created_at.as_millis());
            assert!(conversion.status != ConversionStatus::Pending || age < 9 * DAY, "{conversion:?}");
            by_status[conversion.status as usize] += 1;
        }
        assert!(by_status.iter().all(|conversions| *conversions > 10), "{by_status:?}");

        let too_old = PostbackFilter::default().to(now.minus(TrackerOptions::default().log_retention));
        assert_eq!(tracker.postbacks(&too_old, PageRequest::default()).await.unwrap().items, []);
        for outcome in [
            OutcomeKind::Accepted,
            OutcomeKind::Duplicate,
            OutcomeKind::StatusChanged,
            OutcomeKind::Conflict,
            OutcomeKind::UnknownClick,
            OutcomeKind::WrongKey,
            OutcomeKind::WrongCurrency,
            OutcomeKind::InvalidParameter,
            OutcomeKind::AffiliatePaused,
        ] {
            let filter = PostbackFilter::default().outcome(outcome);
            let found = tracker.postbacks(&filter, PageRequest::default()).await.unwrap().items;
            assert!(found.iter().all(|postback| postback.calls == 1 && postback.received_at < now), "{found:?}");
            assert!(!found.is_empty(), "{outcome:?}");
        }
    }

    /// The time of the runtime, which tests can stop.
    #[derive(Debug)]
    struct RuntimeClock {
        start: Timestamp,
        started: Instant,
    }

    impl Clock for RuntimeClock {
        fn now(&self) -> Timestamp {
            self.start.plus(self.started.elapsed())
        }
    }

    #[tokio::test(start_paused = true)]
    async fn it_goes_on_as_it_was() {
        let (start, secrets) = (time("2026-03-04T23:30:00Z"), Secrets::from(Secret::random()));
        let demonstration = filled(3, CAPACITY, &secrets, start).await;
        let tracker = tracker(&demonstration, &secrets, RuntimeClock { start, started: Instant::now() });
        let clicks = async || total(&summaries(&tracker).await, |summary| summary.clicks);
        let mut counted = vec![clicks().await];
        let mut going_on = Box::pin(demonstration.traffic.go_on(&tracker));
        // Through the night, and past midnight.
        for _ in 0..20 {
            timeout(Duration::from_secs(60 * 60), &mut going_on).await.unwrap_err();
            counted.push(clicks().await);
        }
        let hourly: Vec<u64> = counted.windows(2).map(|two| two[1] - two[0]).collect();
        assert!(hourly.iter().all(|clicks| *clicks > 0), "{hourly:?}");
        // From one to two, and from six to seven in the evening.
        assert!(hourly[18] > 3 * hourly[1], "{hourly:?}");
        assert!((1_500..3_300).contains(&hourly.iter().sum::<u64>()), "{hourly:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_makes_up_for_a_night_that_the_machine_has_slept() {
        let (start, secrets) = (time("2026-03-04T20:00:00Z"), Secrets::from(Secret::random()));
        let demonstration = filled(3, CAPACITY, &secrets, start).await;
        let before = demonstration.traffic.played().clicks;
        let tracker = tracker(
            &demonstration,
            &secrets,
            RuntimeClock { start: start.plus(Duration::from_millis(11 * HOUR)), started: Instant::now() },
        );
        timeout(Duration::from_secs(60), demonstration.traffic.go_on(&tracker)).await.unwrap_err();
        let clicks = total(&summaries(&tracker).await, |summary| summary.clicks) - before;
        assert!(clicks < 40, "{clicks}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_store_that_is_too_small_is_told_of_or_ends_it() {
        let (start, secrets) = (time("2026-03-04T12:00:00Z"), Secrets::from(Secret::random()));
        let options = TrackerOptions::default();
        let error = fill(3, 500, &secrets, &options, "http://127.0.0.1:3001", start).await.err().unwrap();
        assert!(error.to_string().contains("TRACKING_MEMORY_CAPACITY"), "{error}");

        let Played { clicks, conversions } = filled(3, CAPACITY, &secrets, start).await.traffic.played();
        let needed = clicks + conversions + (AFFILIATES.len() + CAMPAIGNS.len()) as u64;
        let demonstration = filled(3, needed as usize + 10, &secrets, start).await;
        let tracker = tracker(&demonstration, &secrets, RuntimeClock { start, started: Instant::now() });
        timeout(Duration::from_secs(60 * 60), demonstration.traffic.go_on(&tracker)).await.unwrap();
    }
}
