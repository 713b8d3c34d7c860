use tracking_core::{ChangedBy, ConversionStatus, Outcome, OutcomeKind, Parameters, PostbackFilter, PostbackMethod};

use crate::{World, accepted, duplicate};

async fn import(world: &World, more: &[(&str, &str)]) -> Outcome {
    let affiliate = world.affiliate.to_string();
    let usual = [("affiliate_id", &*affiliate), ("click_id", "abc123"), ("transaction_id", "order-1")];
    let parameters: Parameters<'_> = usual.into_iter().chain(more.iter().copied()).collect();
    world.tracker.import_conversion(&parameters).await.unwrap()
}

#[tokio::test]
async fn a_line_needs_no_key_and_is_what_a_postback_is() {
    let world = World::new().await;
    world.click(world.keyed, "abc123").await;
    let sale = [("amount", "100"), ("currency", "USD")];
    let conversion = accepted(import(&world, &sale).await);
    assert_eq!(conversion.campaign_id, world.keyed);
    assert_eq!(duplicate(import(&world, &sale).await), conversion);
    let conflict = import(&world, &[("amount", "7"), ("currency", "USD")]).await;
    assert_eq!(conflict.kind(), OutcomeKind::Conflict);

    let with_key = [("transaction_id", "order-1"), ("token", world.key.expose())];
    assert_eq!(duplicate(world.postback(&with_key).await), conversion, "the advertiser's own call comes late");
    assert_eq!(world.conversions().await, 1);
}

#[tokio::test]
async fn a_refund_in_a_file_is_the_admins() {
    let world = World::new().await;
    world.click(world.keyed, "abc123").await;
    let conversion = accepted(import(&world, &[("amount", "100"), ("currency", "USD")]).await);
    let outcome = import(&world, &[("status", "rejected")]).await;
    assert!(matches!(outcome, Outcome::StatusChanged { from: ConversionStatus::Approved, .. }), "{outcome:?}");
    let changes = world.tracker.status_changes(conversion.id).await.unwrap();
    assert_eq!(changes[0].changed_by, ChangedBy::Admin);
}

#[tokio::test]
async fn lines_are_refused_and_logged_as_postbacks_are() {
    let world = World::new().await;
    for (more, expected) in [
        (&[("amount", "x"), ("currency", "USD")][..], OutcomeKind::InvalidParameter),
        (&[("amount", "1"), ("currency", "USD")], OutcomeKind::UnknownClick),
    ] {
        assert_eq!(import(&world, more).await.kind(), expected);
        let logged = world.tracker.postbacks(&PostbackFilter::default(), Default::default()).await.unwrap().items;
        assert_eq!((logged[0].outcome, logged[0].method), (expected, PostbackMethod::Import));
        world.clock.set(world.tracker.now().plus(std::time::Duration::from_secs(1)));
    }
}
