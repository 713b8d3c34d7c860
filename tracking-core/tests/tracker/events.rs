use std::sync::Arc;

use tracking_core::{CampaignRequest, ClickRequest, Conversion, Event, Events, Outcome, Received, Tracker};

use crate::{World, accepted};

fn event(received: Option<Received>) -> Event {
    match received {
        Some(Received::Event(event)) => event,
        other => panic!("no event: {other:?}"),
    }
}

fn conversion_event(conversion: Conversion) -> Option<Received> {
    Some(Received::Event(Event::ConversionAccepted(conversion)))
}

#[tokio::test]
async fn listener_hears_of_all_that_is_new_and_of_nothing_else() {
    let world = World::new().await;
    let mut events = world.tracker.subscribe();
    let affiliate = world.tracker.create_affiliate("Bob".parse().unwrap()).await.unwrap();
    assert_eq!(event(events.next().await), Event::AffiliateCreated(affiliate));
    let request = CampaignRequest::new("Other".parse().unwrap(), "https://other.example/".parse().unwrap());
    let campaign = world.tracker.create_campaign(request).await.unwrap().campaign;
    assert_eq!(event(events.next().await), Event::CampaignCreated(campaign));

    let click = world.click(world.open, "abc123").await;
    world.click(world.open, "abc123").await;
    world.tracker.record_click(ClickRequest::new("999".parse().unwrap(), world.open)).await.unwrap_err();
    let first = accepted(world.postback(&[]).await);
    world.postback(&[]).await;
    assert!(matches!(world.postback(&[("amount", "7")]).await, Outcome::Conflict { .. }));
    assert!(matches!(world.postback(&[("click_id", "nope")]).await, Outcome::UnknownClick { .. }));
    assert!(matches!(world.postback(&[("amount", "x")]).await, Outcome::InvalidParameter(_)));
    let sale = world.sale("abc123").transaction_id("order-1".parse().unwrap());
    let second = accepted(world.tracker.record_conversion(sale).await.unwrap());

    assert_eq!(event(events.next().await), Event::ClickRecorded(click));
    assert_eq!(events.next().await, conversion_event(first));
    assert_eq!(events.next().await, conversion_event(second));
    end(events, world.tracker).await;
}

#[tokio::test]
async fn listeners_hear_from_their_subscription_on() {
    let world = World::new().await;
    let mut early = world.tracker.subscribe();
    let click = world.click(world.open, "abc123").await;
    let mut late = world.tracker.subscribe();
    let conversion = accepted(world.postback(&[]).await);
    assert_eq!(event(early.next().await), Event::ClickRecorded(click));
    assert_eq!(early.next().await, conversion_event(conversion.clone()));
    assert_eq!(late.next().await, conversion_event(conversion));
    end(late, world.tracker).await;
}

#[tokio::test]
async fn slow_listener_is_told_how_much_it_missed() {
    let world = World::new().await;
    let mut slow = world.tracker.subscribe();
    for index in 0..Events::CAPACITY + 10 {
        world.click(world.open, &format!("click-{index}")).await;
    }
    assert_eq!(slow.next().await, Some(Received::Missed(10)));
    for index in 10..Events::CAPACITY + 10 {
        let Event::ClickRecorded(click) = event(slow.next().await) else { panic!("not a click") };
        assert_eq!(click.click_id.as_str(), format!("click-{index}"));
    }
    end(slow, world.tracker).await;
}

#[tokio::test]
async fn listener_that_goes_disturbs_nothing() {
    let world = World::new().await;
    drop(world.tracker.subscribe());
    world.click(world.open, "abc123").await;
    let mut stays = world.tracker.subscribe();
    drop(world.tracker.subscribe());
    let conversion = accepted(world.postback(&[]).await);
    assert_eq!(stays.next().await, conversion_event(conversion));
    end(stays, world.tracker).await;
}

/// Nothing more was to be heard, and with the tracker the events end.
async fn end(mut events: Events, tracker: Arc<Tracker>) {
    drop(tracker);
    assert_eq!(events.next().await, None);
}
