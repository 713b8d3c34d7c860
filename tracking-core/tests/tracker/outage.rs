//! What visitors notice of a store that is slow or away: nothing.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tracking_core::{
    AffiliateId, BotReason, CampaignId, ClickError, ClickId, ClickRequest, ClickState, ConversionRequest, Event,
    PostbackCall, Received, Redirect, Secret, StoreError, Tracker, TrackerOptions,
};

use crate::support::{Calls, Mode, SwitchedStore, open_campaign};
use crate::{accepted, secret};

const DEADLINE: Duration = Duration::from_millis(250);

struct Site {
    tracker: Arc<Tracker>,
    store: Calls,
    affiliate: AffiliateId,
    campaign: CampaignId,
}

impl Site {
    async fn new(options: TrackerOptions) -> Self {
        let store = SwitchedStore::default();
        let calls = store.calls();
        let tracker = Tracker::with_options(store, secret(), options);
        let affiliate = tracker.create_affiliate("Ada".parse().unwrap()).await.unwrap().id;
        let campaign = open_campaign(&tracker).await;
        let site = Self { tracker: Arc::new(tracker), store: calls, affiliate, campaign };
        site.follow().await;
        site
    }

    fn request(&self) -> ClickRequest {
        ClickRequest::new(self.affiliate, self.campaign)
    }

    /// Follows the link, which must not take longer than its deadline.
    async fn follow(&self) -> Redirect {
        let started = Instant::now();
        let redirect = self.tracker.follow(self.request()).await.unwrap();
        assert!(started.elapsed() <= DEADLINE, "{:?}", started.elapsed());
        assert!(redirect.location.starts_with("https://shop.example/?id="), "{}", redirect.location);
        redirect
    }

    async fn clicks(&self) -> u64 {
        self.tracker.summary(self.affiliate).await.unwrap().clicks
    }
}

#[tokio::test(start_paused = true)]
async fn visitors_are_sent_on_while_the_store_is_away() {
    for mode in [Mode::Down, Mode::Hanging] {
        let site = Site::new(TrackerOptions::default()).await;
        site.store.set(mode);
        let mut ids = Vec::new();
        for _ in 0..50 {
            let redirect = site.follow().await;
            assert_eq!(redirect.state, ClickState::Queued);
            ids.push(redirect.click_id);
            // Long enough for what is known to be out of date.
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        if mode == Mode::Down {
            let error = site.tracker.record_click(site.request()).await.unwrap_err();
            assert!(matches!(error, ClickError::Store(StoreError::Unavailable { .. })), "{error:?}");
        }
        site.store.set(Mode::Up);
        site.tracker.drained().await;
        assert_eq!(site.clicks().await, 51, "each click is recorded once");
        let clicks = site.tracker.store().clicks(&site.affiliate.into(), Default::default()).await.unwrap().items;
        assert!(ids.iter().all(|id| clicks.iter().any(|click| click.click_id == *id && !click.details.is_recovered)));
        assert_eq!(site.follow().await.state, ClickState::Recorded, "and all is as before");
    }
}

#[tokio::test(start_paused = true)]
async fn one_visitor_waits_and_the_next_ones_do_not() {
    let site = Site::new(TrackerOptions::default()).await;
    site.store.set(Mode::Hanging);
    let started = Instant::now();
    site.follow().await;
    assert_eq!(started.elapsed(), DEADLINE);
    let mut waits = 0;
    for _ in 0..60 {
        let started = Instant::now();
        site.follow().await;
        waits += u32::from(!started.elapsed().is_zero());
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    // What is known is out of date after ten seconds, and somebody has to find out that there is nothing newer.
    assert!(waits <= 5, "{waits} of 60 visitors waited");
}

#[tokio::test(start_paused = true)]
async fn queue_is_bounded_and_what_does_not_fit_proves_itself() {
    let site = Site::new(TrackerOptions::default().queue_capacity(10)).await;
    site.store.set(Mode::Down);
    let mut redirects = Vec::new();
    for _ in 0..30 {
        redirects.push(site.follow().await);
    }
    let queued = redirects.iter().filter(|redirect| redirect.state == ClickState::Queued).count();
    let unrecorded = redirects.iter().filter(|redirect| redirect.state == ClickState::Unrecorded).count();
    assert_eq!((queued, unrecorded), (10, 20));
    site.store.set(Mode::Up);
    site.tracker.drained().await;
    assert_eq!(site.clicks().await, 11);

    for redirect in redirects {
        let sale = ConversionRequest::new(
            site.affiliate,
            redirect.click_id.clone(),
            "10".parse().unwrap(),
            "USD".parse().unwrap(),
        );
        let conversion = accepted(site.tracker.record_conversion(sale).await.unwrap());
        assert_eq!(conversion.click_id, redirect.click_id, "no attribution is lost");
    }
    assert_eq!(site.clicks().await, 31);
}

#[tokio::test(start_paused = true)]
async fn queued_click_can_be_erased() {
    let site = Site::new(TrackerOptions::default()).await;
    site.store.set(Mode::Hanging);
    let waiting = [site.follow().await.click_id, site.follow().await.click_id];
    let tracker = Arc::clone(&site.tracker);
    let erased = waiting[1].clone();
    let erasing = tokio::spawn(async move { tracker.erase(&erased).await.unwrap() });
    tokio::time::sleep(Duration::from_millis(1)).await;
    site.store.set(Mode::Up);
    assert_eq!(erasing.await.unwrap(), 1);
    site.tracker.drained().await;
    let clicks = site.tracker.clicks(&site.affiliate.into(), Default::default()).await.unwrap().items;
    assert!(clicks.iter().any(|click| click.click_id == waiting[0]));
    assert!(clicks.iter().all(|click| click.click_id != waiting[1]), "it must not be recorded after all");
}

#[tokio::test(start_paused = true)]
async fn link_that_was_never_seen_needs_the_store() {
    let site = Site::new(TrackerOptions::default()).await;
    let other = open_campaign(&site.tracker).await;
    let follow = || site.tracker.follow(ClickRequest::new(site.affiliate, other));
    site.store.set(Mode::Hanging);
    let started = Instant::now();
    let error = follow().await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
    assert_eq!(started.elapsed(), Duration::from_secs(5), "nobody waits for longer");

    // A store that is slower than the deadline is waited for, where there is nowhere to go without it.
    let slow = tokio::spawn({
        let store = site.store.clone();
        async move {
            tokio::time::sleep(4 * DEADLINE).await;
            store.set(Mode::Up);
        }
    });
    assert!(follow().await.is_ok());
    slow.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn store_that_is_slow_is_still_heard() {
    let site = Site::new(TrackerOptions::default()).await;
    site.store.set_destination("https://new.example/");
    tokio::time::sleep(Duration::from_secs(60)).await;
    site.store.set(Mode::Hanging);
    // Nobody waits for it, and it comes.
    assert!(site.follow().await.location.starts_with("https://shop.example/"));
    tokio::time::sleep(DEADLINE).await;
    site.store.set(Mode::Up);
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(site.tracker.follow(site.request()).await.unwrap().location, "https://new.example/");
}

/// Visitors come all the time, and each click takes a while: the queue that a hiccup has left must come to an end.
#[tokio::test(start_paused = true)]
async fn hiccup_is_over_when_it_is_over() {
    let site = Arc::new(Site::new(TrackerOptions::default()).await);
    site.store.set_delay(Duration::from_millis(20));
    let mut states = Vec::new();
    for n in 0..20_000 {
        if n == 1000 {
            site.store.set(Mode::Hanging);
        } else if n == 1500 {
            site.store.set(Mode::Up);
        }
        let site = Arc::clone(&site);
        states.push(tokio::spawn(async move { site.tracker.follow(site.request()).await.unwrap().state }));
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let mut queued = Vec::new();
    for (n, state) in states.into_iter().enumerate() {
        if state.await.unwrap() != ClickState::Recorded {
            queued.push(n);
        }
    }
    assert!(queued.len() > 100 && *queued.last().unwrap() < 2500, "{} queued, {:?} last", queued.len(), queued.last());
    site.tracker.drained().await;
    assert_eq!(site.clicks().await, 20_001);
}

#[tokio::test(start_paused = true)]
async fn click_that_is_always_refused_holds_up_nobody() {
    let site = Site::new(TrackerOptions::default()).await;
    let refused: ClickId = "refused".parse().unwrap();
    site.store.refuse(&refused);
    let redirect = site.tracker.follow(site.request().click_id(refused)).await.unwrap();
    assert_eq!(redirect.state, ClickState::Queued);
    for _ in 0..5000 {
        site.follow().await;
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(site.clicks().await, 5001);
}

#[tokio::test(start_paused = true)]
async fn postback_that_overtakes_its_click_brings_all_of_it() {
    let site = Site::new(TrackerOptions::default()).await;
    site.store.set(Mode::Down);
    let request = site.request().source("newsletter".parse().unwrap()).bot(BotReason::Crawler);
    let id = site.tracker.follow(request).await.unwrap().click_id;
    let mut events = site.tracker.subscribe();
    tokio::time::sleep(Duration::from_secs(10)).await;
    site.store.set(Mode::Up);
    // The queue sleeps.
    let (amount, currency) = ("1".parse().unwrap(), "USD".parse().unwrap());
    let sale = ConversionRequest::new(site.affiliate, id.clone(), amount, currency);
    accepted(site.tracker.record_conversion(sale).await.unwrap());
    site.tracker.drained().await;
    let clicks = site.tracker.clicks(&site.affiliate.into(), Default::default()).await.unwrap().items;
    let click = clicks.iter().find(|click| click.click_id == id).unwrap();
    assert_eq!(click.details.source.as_ref().unwrap().as_str(), "newsletter");
    assert_eq!((click.details.bot, click.details.is_recovered), (Some(BotReason::Crawler), false));
    let told = [events.next().await.unwrap(), events.next().await.unwrap()];
    assert!(matches!(told[0], Received::Event(Event::ClickRecorded(_))), "{told:?}");
    assert!(matches!(told[1], Received::Event(Event::ConversionAccepted(_))), "the click is told of once: {told:?}");
}

#[tokio::test(start_paused = true)]
async fn erased_click_does_not_come_back_from_another_process() {
    let site = Site::new(TrackerOptions::default()).await;
    site.store.set(Mode::Down);
    let id = site.follow().await.click_id;
    tokio::time::sleep(Duration::from_secs(10)).await;
    site.store.set(Mode::Up);
    // Which knows nothing of this one's queue.
    let other = Tracker::new(Arc::clone(site.tracker.store()), secret());
    assert_eq!(other.erase(&id).await.unwrap(), 1);
    site.tracker.drained().await;
    let clicks = site.tracker.clicks(&site.affiliate.into(), Default::default()).await.unwrap().items;
    assert!(clicks.iter().all(|click| click.click_id != id), "{clicks:?}");
    assert_eq!(site.clicks().await, 2);
}

#[tokio::test(start_paused = true)]
async fn one_broken_campaign_spoils_no_other() {
    let site = Site::new(TrackerOptions::default()).await;
    let broken = open_campaign(&site.tracker).await;
    site.store.break_campaign(broken);
    site.store.set_destination("https://new.example/");
    for _ in 0..30 {
        assert!(site.tracker.follow(ClickRequest::new(site.affiliate, broken)).await.is_err());
        let _ = site.tracker.follow(site.request()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    assert_eq!(site.tracker.follow(site.request()).await.unwrap().location, "https://new.example/");
}

#[tokio::test(start_paused = true)]
async fn click_that_was_slow_is_recorded_once() {
    let site = Site::new(TrackerOptions::default()).await;
    let (mut events, before) = (site.tracker.subscribe(), site.clicks().await);
    site.store.set(Mode::Hanging);
    let redirect = site.follow().await;
    site.store.set(Mode::Up);
    site.tracker.drained().await;
    assert_eq!(site.clicks().await, before + 1);
    let event = events.next().await.unwrap();
    let Received::Event(Event::ClickRecorded(click)) = event else { panic!("{event:?}") };
    assert_eq!(click.click_id, redirect.click_id, "it is told of");
}

#[tokio::test]
async fn known_link_costs_no_query() {
    let site = Site::new(TrackerOptions::default()).await;
    let before = site.store.count();
    for _ in 0..100 {
        site.follow().await;
    }
    assert_eq!(site.store.count() - before, 100, "the writes and nothing else");
}

#[tokio::test(start_paused = true)]
async fn changes_are_seen_within_seconds() {
    let site = Site::new(TrackerOptions::default()).await;
    site.store.set_destination("https://new.example/");
    // A link in use: renewed in the background.
    let mut seconds = 0;
    while site.tracker.follow(site.request()).await.unwrap().location != "https://new.example/" {
        tokio::time::sleep(Duration::from_secs(1)).await;
        seconds += 1;
    }
    assert!(seconds <= 3, "{seconds} s");
    // One that nobody has used for long: asked for before it is used.
    site.store.set_destination("https://newer.example/");
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(site.tracker.follow(site.request()).await.unwrap().location, "https://newer.example/");
}

#[tokio::test(start_paused = true)]
async fn revoked_key_is_not_taken_while_the_store_is_away() {
    let site = Site::new(TrackerOptions::default()).await;
    let id = site.follow().await.click_id;
    tokio::time::sleep(Duration::from_secs(60)).await;
    site.store.set(Mode::Down);
    let affiliate = site.affiliate.to_string();
    let pairs = [("affiliate_id", &*affiliate), ("click_id", id.as_str()), ("amount", "1"), ("currency", "USD")];
    let error = site.tracker.postback(&PostbackCall::new(pairs.into_iter().collect())).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { .. }), "a postback needs the campaign as it is: {error:?}");
}

#[tokio::test]
async fn what_another_process_creates_is_found() {
    let store = Arc::new(storage_memory::MemoryStore::new());
    let here = Tracker::new(Arc::clone(&store), Secret::random());
    let there = Tracker::new(store, Secret::random());
    let affiliate = here.create_affiliate("Ada".parse().unwrap()).await.unwrap().id;
    let request = ClickRequest::new(affiliate, CampaignId::new(1).unwrap());
    assert!(here.follow(request.clone()).await.is_err());
    assert_eq!(open_campaign(&there).await.as_u64(), 1);
    assert!(here.follow(request).await.is_ok(), "that something is not there is not remembered");
}
