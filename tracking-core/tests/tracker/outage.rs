//! What visitors notice of a store that is slow or away: nothing.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tracking_core::{
    AffiliateId, CampaignId, ClickError, ClickRequest, ClickState, Redirect, Secret, StoreError, Tracker,
    TrackerOptions,
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
        let clicks = site.tracker.store().clicks(site.affiliate, Default::default()).await.unwrap().items;
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
    site.follow().await;
    assert_eq!(started.elapsed(), DEADLINE, "whoever comes behind a queue joins it");
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
        let sale = tracking_core::ConversionRequest::new(
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
    let clicks = site.tracker.clicks(site.affiliate, Default::default()).await.unwrap().items;
    assert!(clicks.iter().any(|click| click.click_id == waiting[0]));
    assert!(clicks.iter().all(|click| click.click_id != waiting[1]), "it must not be recorded after all");
}

#[tokio::test(start_paused = true)]
async fn link_that_was_never_seen_needs_the_store() {
    let site = Site::new(TrackerOptions::default()).await;
    site.store.set(Mode::Hanging);
    let started = Instant::now();
    let other = ClickRequest::new(site.affiliate, CampaignId::new(99).unwrap());
    let error = site.tracker.follow(other).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
    assert_eq!(started.elapsed(), DEADLINE, "nobody waits for longer");
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
    let tracking_core::Received::Event(tracking_core::Event::ClickRecorded(click)) = event else { panic!("{event:?}") };
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
    let error = site.tracker.postback(&pairs.into_iter().collect(), None).await.unwrap_err();
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
