use std::sync::Arc;

use tokio::task::JoinSet;
use tracking_core::{KeyKind, Outcome, ParameterProblem, PostbackCall, PostbackKey, Problem, Timestamp};

use crate::{World, accepted, duplicate, time};

#[tokio::test]
async fn postback_is_attributed_to_its_click() {
    let world = World::new().await;
    let click = world.click(world.open, "abc123").await;
    world.clock.set(time("2024-05-02T08:00:00.456Z"));
    let conversion = accepted(world.postback(&[("amount", "99.950")]).await);
    assert_eq!((conversion.affiliate_id, conversion.campaign_id), (world.affiliate, world.open));
    assert_eq!(conversion.click_id, click.click_id);
    assert_eq!((conversion.amount.to_string(), conversion.currency.code()), ("99.95".to_owned(), "USD"));
    assert_eq!(conversion.event.as_str(), "conversion");
    assert_eq!(conversion.transaction_id, None);
    assert_eq!(conversion.created_at, time("2024-05-02T08:00:00.456Z"));
}

#[tokio::test]
async fn retry_is_a_duplicate_for_ever() {
    let world = World::new().await;
    world.click(world.open, "abc123").await;
    let first = accepted(world.postback(&[]).await);
    for later in ["2024-05-01T12:00:05Z", "2025-05-01T12:00:00Z", "2124-05-01T12:00:00Z"] {
        world.clock.set(time(later));
        assert_eq!(duplicate(world.postback(&[]).await), first);
        assert_eq!(duplicate(world.postback(&[("amount", "100.00"), ("currency", "usd")]).await), first);
    }
    assert_eq!(world.conversions().await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn parallel_identical_postbacks_are_one_conversion() {
    let world = Arc::new(World::new().await);
    world.click(world.open, "abc123").await;
    let mut calls = JoinSet::new();
    for _ in 0..64 {
        let world = Arc::clone(&world);
        calls.spawn(async move { world.postback(&[("transaction_id", "order-1")]).await });
    }
    let outcomes = calls.join_all().await;
    let accepted = outcomes.iter().filter(|outcome| matches!(outcome, Outcome::Accepted(_))).count();
    let duplicate = outcomes.iter().filter(|outcome| matches!(outcome, Outcome::Duplicate(_))).count();
    assert_eq!((accepted, duplicate), (1, 63));
    assert!(outcomes.windows(2).all(|pair| pair[0].conversion() == pair[1].conversion()));
    assert_eq!(world.conversions().await, 1);
}

#[tokio::test]
async fn event_and_transaction_tell_conversions_apart() {
    let world = World::new().await;
    world.click(world.open, "abc123").await;
    let several: [&[(&str, &str)]; 5] = [
        &[],
        &[("event", "lead")],
        &[("transaction_id", "order-1")],
        &[("transaction_id", "order-2"), ("amount", "5")],
        &[("event", "lead"), ("transaction_id", "order-1"), ("currency", "EUR")],
    ];
    for changes in several {
        let first = accepted(world.postback(changes).await);
        assert_eq!(duplicate(world.postback(changes).await), first);
    }
    assert_eq!(world.conversions().await, 5);
}

#[tokio::test]
async fn another_amount_or_currency_is_a_conflict() {
    let world = World::new().await;
    world.click(world.open, "abc123").await;
    let first = accepted(world.postback(&[]).await);
    for (amount, currency) in [("101", "USD"), ("100", "EUR"), ("0", "JPY")] {
        let outcome = world.postback(&[("amount", amount), ("currency", currency)]).await;
        let expected = Outcome::Conflict {
            recorded: first.clone(),
            amount: amount.parse().unwrap(),
            currency: currency.parse().unwrap(),
        };
        assert_eq!(outcome, expected);
        let summary = outcome.summary();
        assert!(summary.contains("100 USD") && summary.contains(&format!("{amount} {currency}")), "{summary}");
    }
    assert_eq!(duplicate(world.postback(&[]).await), first, "a conflict changes nothing");
    assert_eq!(world.conversions().await, 1);
}

#[tokio::test]
async fn last_click_wins() {
    let world = World::new().await;
    world.click(world.keyed, "abc123").await;
    world.clock.set(time("2024-05-01T13:00:00Z"));
    world.click(world.open, "abc123").await;
    assert_eq!(accepted(world.postback(&[]).await).campaign_id, world.open, "the campaign of the latest click");

    let earlier = ("campaign_id", world.keyed.to_string());
    let outcome = world.postback_with(&[(earlier.0, &earlier.1)], Some(world.key.expose())).await;
    assert_eq!(accepted(outcome).campaign_id, world.keyed, "the campaign that the postback names");
}

#[tokio::test]
async fn retry_finds_its_conversion_after_a_later_click_with_the_same_id() {
    let world = World::new().await;
    world.click(world.open, "abc123").await;
    let sales = [&[][..], &[("transaction_id", "order-1")]];
    let mut firsts = Vec::new();
    for sale in sales {
        firsts.push(accepted(world.postback(sale).await));
    }
    world.clock.set(time("2024-05-01T13:00:00Z"));
    let later = world.another_open_campaign().await;
    world.click(later, "abc123").await;
    for (sale, first) in sales.iter().zip(&firsts) {
        assert_eq!(&duplicate(world.postback(sale).await), first);
        let changed: Vec<_> = sale.iter().copied().chain([("amount", "120")]).collect();
        let outcome = world.postback(&changed).await;
        assert!(
            matches!(outcome, Outcome::Conflict { recorded, .. } if recorded == *first),
            "a retry is compared, too"
        );
    }
    let another = accepted(world.postback(&[("transaction_id", "order-2")]).await);
    assert_eq!(another.campaign_id, later, "another sale is the latest click's");
}

#[tokio::test]
async fn key_says_whose_click_is_meant() {
    for open_comes_first in [true, false] {
        let world = World::new().await;
        let (first, second) = if open_comes_first { (world.open, world.keyed) } else { (world.keyed, world.open) };
        world.click(first, "abc123").await;
        world.clock.set(time("2024-05-01T13:00:00Z"));
        world.click(second, "abc123").await;

        let without_key = accepted(world.postback(&[("amount", "0")]).await);
        assert_eq!(without_key.campaign_id, world.open, "who has no key can't report for a campaign that has one");
        let with_key = accepted(world.postback_with(&[], Some(world.key.expose())).await);
        assert_eq!(with_key.campaign_id, world.keyed, "what others report elsewhere does not catch the sale");
        let mistyped = world.postback(&[("transaction_id", "order-1"), ("token", "guess")]).await;
        assert_eq!(mistyped, Outcome::WrongKey(world.keyed), "with a mistyped key nothing is recorded elsewhere");

        let named = world.keyed.to_string();
        let outcome = world.postback(&[("campaign_id", &named)]).await;
        assert_eq!(outcome, Outcome::MissingKey(world.keyed), "a named campaign is the one that counts");
    }
}

#[tokio::test]
async fn key_is_demanded_where_the_campaign_has_one() {
    let world = World::new().await;
    world.click(world.keyed, "abc123").await;
    let key = world.key.expose();
    let missing = Outcome::MissingKey(world.keyed);
    let wrong = Outcome::WrongKey(world.keyed);
    let other = PostbackKey::random(KeyKind::Token);
    let uppercase = key.to_uppercase();

    assert_eq!(world.postback(&[]).await, missing);
    assert_eq!(world.postback(&[("token", "")]).await, missing, "an empty token is none");
    assert_eq!(world.postback(&[("token", "guess")]).await, wrong);
    assert_eq!(world.postback(&[("token", &uppercase)]).await, wrong);
    assert_eq!(world.postback(&[("token", other.expose())]).await, wrong);
    assert_eq!(world.postback_with(&[], Some("guess")).await, wrong);
    assert_eq!(world.postback_with(&[("token", key)], Some("guess")).await, wrong, "bearer goes before token");
    assert_eq!(world.conversions().await, 0, "a refused postback changes nothing");

    let first = accepted(world.postback(&[("token", key)]).await);
    assert_eq!(duplicate(world.postback_with(&[], Some(key)).await), first);
    assert_eq!(
        duplicate(world.postback_with(&[("token", "guess")], Some(key)).await),
        first,
        "bearer goes before token"
    );
    assert_eq!(world.postback(&[]).await, missing, "what is recorded is told to whoever has the key");
}

#[tokio::test]
async fn open_campaign_ignores_keys() {
    let world = World::new().await;
    world.click(world.open, "abc123").await;
    accepted(world.postback_with(&[("token", "whatever")], Some("whatever")).await);
}

#[tokio::test]
async fn application_needs_no_key() {
    let world = World::new().await;
    world.click(world.keyed, "abc123").await;
    let sale = world.sale("abc123").event("sale".parse().unwrap()).transaction_id("order-1".parse().unwrap());
    let conversion = accepted(world.tracker.record_conversion(sale.clone()).await.unwrap());
    assert_eq!(conversion.event.as_str(), "sale");
    assert_eq!(duplicate(world.tracker.record_conversion(sale.campaign_id(world.keyed)).await.unwrap()), conversion);
    let of_postback = [("event", "sale"), ("transaction_id", "order-1"), ("token", world.key.expose())];
    assert_eq!(duplicate(world.postback(&of_postback).await), conversion, "both ways lead to one conversion");
}

#[tokio::test]
async fn what_is_not_there_is_named() {
    let world = World::new().await;
    world.click(world.open, "abc123").await;
    let unknown_click = |click_id: &str, campaign_id| Outcome::UnknownClick {
        affiliate_id: world.affiliate,
        campaign_id,
        click_id: click_id.parse().unwrap(),
    };
    let keyed = world.keyed.to_string();
    let no_affiliate = Outcome::UnknownAffiliate("999".parse().unwrap());
    assert_eq!(world.postback(&[("click_id", "ABC123")]).await, unknown_click("ABC123", None));
    assert_eq!(world.postback(&[("campaign_id", &keyed)]).await, unknown_click("abc123", Some(world.keyed)));
    assert_eq!(world.postback(&[("affiliate_id", "999")]).await, no_affiliate);
    assert_eq!(world.postback(&[("affiliate_id", "999"), ("campaign_id", "888")]).await, no_affiliate);
    assert_eq!(world.postback(&[("campaign_id", "888")]).await, Outcome::UnknownCampaign("888".parse().unwrap()));
    let other = world.tracker.create_affiliate("Bob".parse().unwrap()).await.unwrap().id;
    let outcome = world.postback(&[("affiliate_id", &other.to_string())]).await;
    assert!(matches!(outcome, Outcome::UnknownClick { affiliate_id, .. } if affiliate_id == other), "{outcome:?}");
    assert_eq!(world.conversions().await, 0);
}

#[tokio::test]
async fn postback_that_overtakes_its_click_succeeds_when_retried() {
    let world = World::new().await;
    assert!(matches!(world.postback(&[]).await, Outcome::UnknownClick { .. }));
    world.click(world.open, "abc123").await;
    accepted(world.postback(&[]).await);
}

#[tokio::test]
async fn parameters_are_checked() {
    let world = World::new().await;
    world.click(world.open, "abc123").await;
    let affiliate = world.affiliate.to_string();
    let affiliate = affiliate.as_str();

    let problem = async |changes: &[(&str, &str)], expected_name: &str| match world.postback(changes).await {
        Outcome::InvalidParameter(error) => {
            assert_eq!(error.name, expected_name);
            error.problem
        }
        other => panic!("not refused: {other:?}"),
    };
    let repeated = [("amount", "100"), ("amount", "100")];
    assert_eq!(problem(&repeated, "amount").await, ParameterProblem::Repeated);
    let repeated = [("affiliate_id", affiliate), ("affiliate_id", "")];
    assert_eq!(problem(&repeated, "affiliate_id").await, ParameterProblem::Repeated, "an empty one is there too");
    let repeated = [("token", "a"), ("token", "b")];
    assert_eq!(problem(&repeated, "token").await, ParameterProblem::Repeated);
    for name in ["affiliate_id", "amount", "currency"] {
        assert_eq!(problem(&[(name, "")], name).await, ParameterProblem::Missing, "as a macro leaves it");
    }
    let empty = problem(&[("click_id", "")], "click_id").await;
    assert!(matches!(&empty, ParameterProblem::Invalid(error) if *error.problem() == Problem::Empty), "{empty:?}");
    for (name, value) in [
        ("affiliate_id", "one"),
        ("campaign_id", "-1"),
        ("click_id", "a b"),
        ("amount", "1e3"),
        ("amount", "-1"),
        ("currency", "dollars"),
        ("event", "a sale"),
        ("transaction_id", "ordér"),
    ] {
        assert!(!problem(&[(name, value)], name).await.is_well_formed(), "{name}={value}");
    }
    for (name, value) in [("affiliate_id", "0"), ("campaign_id", "99999999999"), ("amount", "0.0000001")] {
        assert!(problem(&[(name, value)], name).await.is_well_formed(), "{name}={value}");
    }
    assert_eq!(world.conversions().await, 0, "a refused postback changes nothing");

    let empty = [("campaign_id", ""), ("event", ""), ("transaction_id", ""), ("token", "")];
    let first = accepted(world.postback(&empty).await);
    assert_eq!(duplicate(world.postback(&[]).await), first, "an empty optional parameter is an absent one");
    let unknown = [("utm_source", "x"), ("utm_source", "y"), ("AMOUNT", "7"), ("", "z")];
    assert_eq!(duplicate(world.postback(&unknown).await), first, "parameters that nobody asks for are ignored");
}

#[tokio::test]
async fn missing_parameters_are_named() {
    let world = World::new().await;
    world.click(world.open, "abc123").await;
    let all = [("affiliate_id", "1"), ("click_id", "abc123"), ("amount", "100"), ("currency", "USD")];
    for left_out in all {
        let parameters = all.into_iter().filter(|pair| *pair != left_out).collect();
        let outcome = world.tracker.postback(&PostbackCall::new(parameters)).await.unwrap();
        assert_eq!(outcome.summary(), format!("{} is missing.", left_out.0));
    }
}

#[tokio::test]
async fn clock_at_the_end_of_time_is_no_trouble() {
    let world = World::new().await;
    world.clock.set(Timestamp::MAX);
    world.click(world.open, "abc123").await;
    world.clock.set(Timestamp::MIN);
    assert_eq!(accepted(world.postback(&[]).await).created_at, Timestamp::MIN);
}
