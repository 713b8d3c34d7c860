//! The postback log.

use std::time::Duration;

use tracking_core::{
    ClickRequest, OutcomeKind, PageRequest, Parameters, Postback, PostbackCall, PostbackFilter, Unreadable,
};

use crate::support::{Mode, SwitchedStore};
use crate::{World, accepted, secret, tracker};

async fn log(world: &World) -> Vec<Postback> {
    world.tracker.postbacks(&PostbackFilter::default(), PageRequest::default()).await.unwrap().items
}

#[tokio::test]
async fn every_call_is_there_with_what_became_of_it() {
    let world = World::new().await;
    world.click(world.keyed, "abc123").await;
    let source = "192.0.2.1".parse().unwrap();
    let key = world.key.expose();
    let affiliate = world.affiliate.to_string();
    let sale = [("affiliate_id", &*affiliate), ("click_id", "abc123"), ("amount", "1"), ("currency", "USD")];
    let right = PostbackCall::new(sale.into_iter().chain([("token", key), ("note", "50% off & more")]).collect());
    let first = accepted(world.tracker.postback(&right.source(source)).await.unwrap());
    world.clock.set(world.tracker.now().plus(Duration::from_millis(1)));
    // A key in the wrong place.
    let wrong = PostbackCall::new(sale.into_iter().chain([("key", key), (key, "1"), ("token", "guess")]).collect());
    world.tracker.postback(&wrong).await.unwrap();
    world.clock.set(world.tracker.now().plus(Duration::from_millis(1)));
    world.tracker.refuse_postback(&PostbackCall::new(Parameters::default()), Unreadable::MalformedQuery);

    let rows = log(&world).await;
    let kinds: Vec<OutcomeKind> = rows.iter().map(|row| row.outcome).collect();
    assert_eq!(kinds, [OutcomeKind::MalformedQuery, OutcomeKind::WrongKey, OutcomeKind::Accepted]);
    let [unreadable, wrong, right] = &rows[..] else { panic!("three rows") };
    assert_eq!((right.source, right.calls, right.conversion_id), (Some(source), 1, Some(first.id)));
    assert_eq!((right.affiliate_id, right.campaign_id), (Some(world.affiliate), Some(world.keyed)));
    assert_eq!(
        right.parameters,
        format!("affiliate_id={affiliate}&click_id=abc123&amount=1&currency=USD&token=…&note=50%25%20off%20%26%20more")
    );
    assert_eq!(
        wrong.parameters,
        format!("affiliate_id={affiliate}&click_id=abc123&amount=1&currency=USD&key=…&…=1&token=…")
    );
    assert_eq!(wrong.click_id.as_ref().map(|id| id.as_str()), Some("abc123"));
    assert_eq!((wrong.affiliate_id, wrong.campaign_id), (Some(world.affiliate), Some(world.keyed)));
    assert_eq!((unreadable.parameters.as_str(), unreadable.click_id.is_none()), ("", true));
    assert!(unreadable.summary.starts_with("The query"));
}

#[tokio::test]
async fn a_minted_click_id_tells_whose_click_a_wrong_key_was_sent_for() {
    let world = World::new().await;
    let click =
        world.tracker.record_click(ClickRequest::new(world.affiliate, world.keyed)).await.unwrap().into_record();
    let sale = [("click_id", click.click_id.as_str()), ("amount", "1"), ("currency", "USD")];
    world.tracker.postback(&PostbackCall::new(sale.into_iter().collect()).bearer("guess")).await.unwrap();
    let row = &log(&world).await[0];
    assert_eq!(row.outcome, OutcomeKind::WrongKey);
    assert_eq!((row.affiliate_id, row.campaign_id), (Some(world.affiliate), Some(world.keyed)));
}

#[tokio::test]
async fn long_parameters_are_cut() {
    let world = World::new().await;
    let long = "ä€😀".repeat(3000);
    for parameters in [vec![("click_id", "abc123"), ("x", &*long)], vec![(&*long, "1")], vec![("a", "1"); 5000]] {
        let call = PostbackCall::new(parameters.into_iter().collect());
        world.tracker.postback(&call).await.unwrap();
    }
    for row in log(&world).await {
        assert!(row.parameters.len() <= Postback::MAX_PARAMETERS_LEN, "{}", row.parameters.len());
    }
}

#[tokio::test(start_paused = true)]
async fn a_flood_is_counted_and_not_kept() {
    let world = World::new().await;
    world.click(world.open, "abc123").await;
    accepted(world.postback(&[]).await);
    for _ in 0..50_000 {
        world.postback(&[("amount", "x")]).await;
    }
    let page = PageRequest { limit: tracking_core::Limit::new(1000).unwrap(), after: None };
    let rows = async |filter: &PostbackFilter| {
        let (mut rows, mut page) = (Vec::new(), page);
        loop {
            let found = world.tracker.postbacks(filter, page).await.unwrap();
            rows.extend(found.items);
            match found.next {
                Some(next) => page.after = Some(next),
                None => return rows,
            }
        }
    };
    let mut junk = PostbackFilter::default();
    junk.outcome = Some(OutcomeKind::InvalidParameter);
    let junk = rows(&junk).await;
    assert_eq!(junk.iter().map(|row| row.calls).sum::<u64>(), 50_000, "each is counted");
    assert!(junk.len() < 1_100, "few are kept: {}", junk.len());
    let mut good = PostbackFilter::default();
    good.outcome = Some(OutcomeKind::Accepted);
    assert_eq!(rows(&good).await.len(), 1, "what is good has its own place");
}

#[tokio::test(start_paused = true)]
async fn rows_wait_while_the_store_is_away() {
    let store = SwitchedStore::default();
    let calls = store.calls();
    let tracker = tracking_core::Tracker::new(store, secret());
    calls.set(Mode::Down);
    let send = || PostbackCall::new([("click_id", "abc123")].into_iter().collect());
    for _ in 0..20_000 {
        tracker.postback(&send()).await.unwrap();
    }
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(tracker.postbacks(&PostbackFilter::default(), PageRequest::default()).await.is_err());
    calls.set(Mode::Up);
    tokio::time::sleep(Duration::from_secs(5)).await;
    let mut filter = PostbackFilter::default();
    filter.problems_only = true;
    let (mut seen, mut page) = (0, PageRequest::default());
    loop {
        let found = tracker.store().postbacks(&filter, page).await.unwrap();
        seen += found.items.iter().map(|row| row.calls).sum::<u64>();
        match found.next {
            Some(next) => page.after = Some(next),
            None => break,
        }
    }
    assert_eq!(seen, 20_000, "none is forgotten, none counted twice");
}

/// A store that is away for long, or hangs, makes nothing grow.
#[tokio::test(start_paused = true)]
async fn what_waits_is_bounded() {
    let store = SwitchedStore::default();
    let calls = store.calls();
    let tracker = tracking_core::Tracker::new(store, secret());
    calls.set(Mode::Down);
    let mut sent = 0;
    for second in 0..10_000_u64 {
        if second % 1_000 == 0 {
            calls.set(if calls.is(Mode::Down) { Mode::Hanging } else { Mode::Down });
        }
        for _ in 0..3 {
            tracker.postback(&PostbackCall::new([("click_id", "abc123")].into_iter().collect())).await.ok();
            tracker.refuse_postback(&PostbackCall::new(Parameters::default()), Unreadable::MalformedQuery);
            sent += 2;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    calls.set(Mode::Up);
    tracker.drained().await;
    let (mut rows, mut seen, mut page) = (0, 0, PageRequest::default());
    loop {
        let found = tracker.store().postbacks(&PostbackFilter::default(), page).await.unwrap();
        rows += found.items.len();
        seen += found.items.iter().map(|row| row.calls).sum::<u64>();
        match found.next {
            Some(next) => page.after = Some(next),
            None => break,
        }
    }
    assert_eq!(seen, sent, "each is counted");
    assert!(rows <= 5_100, "{rows}");
}

#[tokio::test(start_paused = true)]
async fn who_hangs_up_is_logged_too() {
    let store = SwitchedStore::default();
    let calls = store.calls();
    let tracker = tracking_core::Tracker::new(store, secret());
    let affiliate = tracker.create_affiliate("Ada".parse().unwrap()).await.unwrap().id.to_string();
    calls.set(Mode::Hanging);
    let sale = [("affiliate_id", &*affiliate), ("click_id", "abc123"), ("amount", "1"), ("currency", "USD")];
    let call = PostbackCall::new(sale.into_iter().collect());
    tokio::time::timeout(Duration::from_secs(1), tracker.postback(&call)).await.unwrap_err();
    calls.set(Mode::Up);
    let rows = tracker.postbacks(&PostbackFilter::default(), PageRequest::default()).await.unwrap().items;
    assert_eq!(rows.iter().map(|row| row.outcome).collect::<Vec<_>>(), [OutcomeKind::Abandoned]);
    assert_eq!(rows[0].click_id.as_ref().map(|id| id.as_str()), Some("abc123"));
}

#[tokio::test]
async fn what_is_left_goes_to_the_store_at_the_end() {
    let store = std::sync::Arc::new(storage_memory::MemoryStore::new());
    let clock = std::sync::Arc::new(tracking_core::ManualClock::new(crate::time(crate::NOON)));
    let tracker = tracker(std::sync::Arc::clone(&store), &clock);
    tracker.postback(&PostbackCall::new(Parameters::default())).await.unwrap();
    tracker.drained().await;
    let rows = tracker.store().postbacks(&PostbackFilter::default(), PageRequest::default()).await.unwrap();
    assert_eq!(rows.items.len(), 1);
}

#[tokio::test]
async fn who_is_erased_is_erased_here_too() {
    let world = World::new().await;
    world.click(world.open, "abc123").await;
    accepted(world.postback(&[("sub1", "Ada Lovelace")]).await);
    world.postback(&[("amount", "x"), ("sub1", "Ada Lovelace")]).await;
    let readable = [("click_id", "abc123"), ("sub1", "Ada Lovelace")].into_iter().collect();
    world.tracker.refuse_postback(&PostbackCall::new(readable), Unreadable::BodyIncomplete);
    world.postback(&[("click_id", "abc123"), ("click_id", "abc123"), ("sub1", "Ada Lovelace")]).await;
    assert_eq!(world.tracker.erase(&"abc123".parse().unwrap()).await.unwrap(), 1);
    // And once more, for a retry that came after that.
    world.postback(&[("sub1", "Ada Lovelace")]).await;
    assert_eq!(world.tracker.erase(&"abc123".parse().unwrap()).await.unwrap(), 0);
    let rows = log(&world).await;
    assert_eq!(rows.len(), 5);
    assert!(rows.iter().all(|row| row.parameters.is_empty() && row.click_id.as_ref().unwrap().as_str() != "abc123"));
}
