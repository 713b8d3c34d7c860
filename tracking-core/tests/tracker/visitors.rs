//! Who clicks, and whether it is a person, and the same one again.

use tracking_core::{BotReason, Click, ClickRequest, UserAgent, Visitor};

use crate::{World, time};

const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
const GOOGLEBOT: &str = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)";

fn visitor(ip: &str, user_agent: &str) -> Visitor {
    Visitor { ip: Some(ip.parse().unwrap()), user_agent: UserAgent::new(user_agent), is_prefetch: false }
}

async fn visit(world: &World, visitor: Visitor) -> Click {
    let request = ClickRequest::new(world.affiliate, world.open).visitor(visitor);
    world.tracker.record_click(request).await.unwrap().into_record()
}

#[tokio::test]
async fn verdict_has_its_reason() {
    let world = World::new().await;
    let cases = [
        (visitor("192.0.2.1", FIREFOX), None),
        (visitor("192.0.2.1", GOOGLEBOT), Some(BotReason::Crawler)),
        (visitor("192.0.2.1", ""), Some(BotReason::NoUserAgent)),
        (Visitor { is_prefetch: true, ..visitor("192.0.2.1", FIREFOX) }, Some(BotReason::Prefetch)),
    ];
    for (visitor, bot) in cases {
        assert_eq!(visit(&world, visitor.clone()).await.details.bot, bot, "{visitor:?}");
    }
    let vouched = ClickRequest::new(world.affiliate, world.open);
    let click = world.tracker.record_click(vouched.clone()).await.unwrap().into_record();
    assert_eq!(click.details.bot, None, "whoever calls for a visitor vouches for him");
    let test = vouched.visitor(visitor("192.0.2.1", FIREFOX)).bot(BotReason::Test);
    assert_eq!(world.tracker.record_click(test).await.unwrap().into_record().details.bot, Some(BotReason::Test));
    let summary = world.tracker.summary(world.affiliate).await.unwrap();
    assert_eq!((summary.clicks, summary.human_clicks, summary.unique_clicks), (6, 2, 2));
}

#[tokio::test]
async fn visitor_counts_once_a_day_for_each_campaign() {
    let world = World::new().await;
    let ada = || visitor("192.0.2.1", FIREFOX);
    let is_repeat = async |now: &str, visitor| {
        world.clock.set(time(now));
        visit(&world, visitor).await.details.is_repeat
    };
    assert!(!is_repeat("2024-05-01T20:00:00Z", ada()).await);
    assert!(is_repeat("2024-05-01T20:00:01Z", ada()).await);
    assert!(is_repeat("2024-05-01T23:59:59.999Z", ada()).await);
    assert!(is_repeat("2024-05-02T00:00:00Z", ada()).await, "the key has changed, and the day is not over");
    assert!(is_repeat("2024-05-02T19:59:59.999Z", ada()).await);
    assert!(!is_repeat("2024-05-02T20:00:00Z", ada()).await, "24 hours later it is a new visit");
    assert!(is_repeat("2024-05-03T19:59:59Z", ada()).await);

    assert!(!is_repeat("2024-05-03T19:59:59Z", visitor("192.0.2.2", FIREFOX)).await, "another address of the network");
    assert!(
        !is_repeat("2024-05-03T19:59:59Z", visitor("192.0.2.1", "Mozilla/5.0 (Macintosh)")).await,
        "another browser"
    );
    assert!(
        is_repeat("2024-05-03T19:59:59Z", visitor("::ffff:192.0.2.1", FIREFOX)).await,
        "the same address, written otherwise"
    );
    let elsewhere = ClickRequest::new(world.affiliate, world.keyed).visitor(ada());
    let click = world.tracker.record_click(elsewhere).await.unwrap().into_record();
    assert!(!click.details.is_repeat, "another campaign");
    let colleague = world.tracker.create_affiliate("Grace".parse().unwrap()).await.unwrap().id;
    let click = world.tracker.record_click(ClickRequest::new(colleague, world.open).visitor(ada())).await.unwrap();
    assert!(click.record().details.is_repeat, "another affiliate's visitor is the same for the campaign");
}

#[tokio::test]
async fn bots_are_no_visitors() {
    let world = World::new().await;
    for _ in 0..2 {
        assert!(!visit(&world, visitor("192.0.2.1", GOOGLEBOT)).await.details.is_repeat);
    }
    assert!(!visit(&world, visitor("192.0.2.1", FIREFOX)).await.details.is_repeat);
}
