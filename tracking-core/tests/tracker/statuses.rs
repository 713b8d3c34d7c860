//! Statuses: how later postbacks and people change them.

use tracking_core::{ChangedBy, ConversionStatus, Event, Outcome, Received};

use crate::{World, accepted, duplicate, time};

use ConversionStatus::{Approved, Pending, Rejected};

fn changed(outcome: Outcome) -> (ConversionStatus, ConversionStatus) {
    match outcome {
        Outcome::StatusChanged { conversion, from } => (from, conversion.status),
        other => panic!("not changed: {other:?}"),
    }
}

#[tokio::test]
async fn later_postbacks_change_the_status_one_way() {
    let world = World::new().await;
    world.click(world.open, "abc123").await;
    let first = accepted(world.postback(&[("status", "pending")]).await);
    assert_eq!(first.status, Pending);
    assert_eq!(duplicate(world.postback(&[]).await).status, Pending, "a postback without a status leaves it");

    world.clock.set(time("2024-05-02T12:00:00Z"));
    assert_eq!(changed(world.postback(&[("status", "approved")]).await), (Pending, Approved));
    assert_eq!(duplicate(world.postback(&[("status", "approved")]).await).status, Approved);
    assert_eq!(duplicate(world.postback(&[("status", "pending")]).await).status, Approved, "a late retry");

    assert_eq!(changed(world.postback(&[("status", "rejected")]).await), (Approved, Rejected));
    for late in ["pending", "approved", "rejected"] {
        assert_eq!(duplicate(world.postback(&[("status", late)]).await).status, Rejected, "a late retry");
    }
    let changes = world.tracker.status_changes(first.id).await.unwrap();
    assert_eq!(
        changes.iter().map(|change| (change.from, change.to)).collect::<Vec<_>>(),
        [(Pending, Approved), (Approved, Rejected)]
    );
    assert!(changes.iter().all(|change| change.changed_by == ChangedBy::Advertiser && change.reason.is_none()));
    assert_eq!(changes[0].changed_at, time("2024-05-02T12:00:00Z"));
}

#[tokio::test]
async fn a_status_that_it_never_had_and_can_not_get_is_a_conflict() {
    let world = World::new().await;
    world.click(world.open, "abc123").await;
    let first = accepted(world.postback(&[("status", "pending")]).await);
    changed(world.postback(&[("status", "rejected")]).await);
    match world.postback(&[("status", "approved")]).await {
        Outcome::StatusConflict { recorded, status } => {
            assert_eq!((recorded.id, recorded.status, status), (first.id, Rejected, Approved));
        }
        other => panic!("not a conflict: {other:?}"),
    }
    assert_eq!(world.tracker.conversion(first.id).await.unwrap().status, Rejected);
}

#[tokio::test]
async fn a_refund_names_the_conversion_only() {
    let world = World::new().await;
    world.click(world.open, "abc123").await;
    let first = accepted(world.postback(&[("transaction_id", "order-1")]).await);
    let affiliate = world.affiliate.to_string();
    let named = [("affiliate_id", &*affiliate), ("click_id", "abc123"), ("transaction_id", "order-1")];
    let refund = named.into_iter().chain([("status", "rejected")]).collect();
    let call = tracking_core::PostbackCall::new(refund);
    assert_eq!(changed(world.tracker.postback(&call).await.unwrap()), (Approved, Rejected));
    assert_eq!(duplicate(world.tracker.postback(&call).await.unwrap()).id, first.id);

    let unknown = [("affiliate_id", &*affiliate), ("click_id", "abc123"), ("status", "rejected")];
    let outcome = world.tracker.postback(&tracking_core::PostbackCall::new(unknown.into_iter().collect())).await;
    assert!(matches!(outcome.unwrap(), Outcome::UnknownConversion { .. }), "it may overtake the sale");
}

/// What a campaign adds to a postback is for new conversions: it may be another thing when one is sent again.
#[tokio::test]
async fn what_is_left_out_is_as_it_is_recorded() {
    let world = World::new().await;
    world.click(world.open, "abc123").await;
    let set = async |amount: &str, currency: &str| {
        let (amount, currency) = (Some(amount.parse().unwrap()), Some(currency.parse().unwrap()));
        let change = |campaign: &mut tracking_core::Campaign| {
            campaign.rules.currency = currency;
            campaign.rules.events.entry("sale".parse().unwrap()).or_default().amount = amount;
        };
        world.tracker.update_campaign(world.open, change).await.unwrap();
    };
    set("50", "USD").await;
    let sale = [("event", "sale"), ("currency", "")];
    let first = accepted(world.postback(&[sale[0], sale[1], ("amount", "99.95")]).await);
    set("70", "EUR").await;
    assert_eq!(duplicate(world.postback(&[sale[0], sale[1], ("amount", "99.95")]).await), first);
    assert_eq!(duplicate(world.postback(&[sale[0], sale[1], ("amount", "")]).await), first);
    let refund = [sale[0], sale[1], ("amount", ""), ("status", "rejected")];
    assert_eq!(changed(world.postback(&refund).await), (Approved, Rejected));

    // Nor does a refund that is mistyped record anything.
    let mistyped = [refund[0], refund[1], refund[2], refund[3], ("transaction_id", "typo")];
    assert!(matches!(world.postback(&mistyped).await, Outcome::UnknownConversion { .. }));
    assert_eq!(world.conversions().await, 0);
}

/// A retry of what got no answer, overtaken by what followed.
#[tokio::test]
async fn pending_comes_too_late_at_any_time() {
    let world = World::new().await;
    world.click(world.open, "abc123").await;
    let first = accepted(world.postback(&[("status", "approved")]).await);
    assert_eq!(duplicate(world.postback(&[("status", "pending")]).await), first);
}

#[tokio::test]
async fn another_amount_is_a_conflict_whatever_the_status() {
    let world = World::new().await;
    world.click(world.open, "abc123").await;
    let first = accepted(world.postback(&[]).await);
    let outcome = world.postback(&[("amount", "40"), ("status", "rejected")]).await;
    assert!(matches!(outcome, Outcome::Conflict { .. }), "{outcome:?}");
    assert_eq!(world.tracker.conversion(first.id).await.unwrap().status, Approved);
}

#[tokio::test]
async fn figures_follow() {
    let world = World::new().await;
    world.click(world.open, "abc123").await;
    for (order, status) in [("1", "pending"), ("2", "approved"), ("3", "approved")] {
        accepted(world.postback(&[("transaction_id", order), ("status", status)]).await);
    }
    let figures = async || {
        let summary = world.tracker.summary(world.affiliate).await.unwrap();
        let [pending, approved, rejected] = ConversionStatus::ALL.map(|status| summary.tally(status).conversions);
        let revenue: Vec<String> =
            summary.revenue().iter().map(|(currency, sum)| format!("{sum} {currency}")).collect();
        (pending, approved, rejected, revenue.join(", "))
    };
    assert_eq!(figures().await, (1, 2, 0, "300 USD".to_owned()));
    world.postback(&[("transaction_id", "2"), ("status", "rejected")]).await;
    assert_eq!(figures().await, (1, 1, 1, "200 USD".to_owned()));
    world.postback(&[("transaction_id", "1"), ("status", "approved")]).await;
    assert_eq!(figures().await, (0, 2, 1, "200 USD".to_owned()));
}

#[tokio::test]
async fn people_change_statuses_with_a_reason() {
    let world = World::new().await;
    world.click(world.open, "abc123").await;
    let first = accepted(world.postback(&[]).await);
    let mut events = world.tracker.subscribe();
    let reason: tracking_core::Reason = "returned the goods".parse().unwrap();
    let change = async |status, reason| world.tracker.change_status(first.id, status, ChangedBy::Admin, reason).await;
    assert_eq!(changed(change(Rejected, Some(reason.clone())).await.unwrap()), (Approved, Rejected));
    match events.next().await {
        Some(Received::Event(Event::StatusChanged { conversion, from })) => {
            assert_eq!((conversion.id, conversion.status, from), (first.id, Rejected, Approved));
        }
        other => panic!("no such event: {other:?}"),
    }
    assert!(matches!(change(Rejected, None).await.unwrap(), Outcome::Duplicate(_)));
    assert!(matches!(change(Approved, None).await.unwrap(), Outcome::StatusConflict { .. }));
    let changes = world.tracker.status_changes(first.id).await.unwrap();
    assert_eq!(changes.len(), 1);
    assert_eq!((changes[0].changed_by, &changes[0].reason), (ChangedBy::Admin, &Some(reason)));
}
