use std::time::Duration;

use tracking_core::{
    AffiliateId, ClickRequest, Grouping, Limit, Period, Preset, ReportError, ReportKey, ReportRequest, StoreError,
    Summary, TimeZone,
};

use crate::{World, accepted, time};

fn today(world: &World) -> Period {
    Period::preset(Preset::Today, TimeZone::UTC, world.tracker.now())
}

/// Three affiliates: 1 click and 1 conversion of 100 USD, 2 clicks and 1 of 30, 4 clicks and 3 of 1.
async fn busy() -> (World, [AffiliateId; 3]) {
    let world = World::new().await;
    let mut affiliates = [world.affiliate; 3];
    for (index, (clicks, amounts)) in [(1, &["100"][..]), (2, &["30"]), (4, &["1"; 3])].into_iter().enumerate() {
        if index > 0 {
            affiliates[index] =
                world.tracker.create_affiliate(format!("Affiliate {index}").parse().unwrap()).await.unwrap().id;
        }
        for click in 0..clicks {
            let request =
                ClickRequest::new(affiliates[index], world.open).click_id(format!("click-{click}").parse().unwrap());
            world.tracker.record_click(request).await.unwrap();
        }
        for (number, amount) in amounts.iter().enumerate() {
            let affiliate = affiliates[index].to_string();
            let (click, order) = (format!("click-{number}"), number.to_string());
            let sale =
                [("affiliate_id", &*affiliate), ("click_id", &*click), ("transaction_id", &*order), ("amount", amount)];
            accepted(world.postback(&sale).await);
        }
    }
    (world, affiliates)
}

#[tokio::test]
async fn rows_are_sorted_by_whatever_is_wanted() {
    let (world, affiliates) = busy().await;
    let order = async |sort: &str| -> Vec<usize> {
        let request = ReportRequest::new(today(&world), Grouping::Affiliate).sort(sort.parse().unwrap());
        let report = world.tracker.report(&request).await.unwrap();
        let place = |key: &ReportKey| affiliates.iter().position(|id| *key == ReportKey::Affiliate(*id)).unwrap();
        report.rows.iter().map(|row| place(&row.key)).collect()
    };
    assert_eq!(order("key").await, [0, 1, 2]);
    assert_eq!(order("-key").await, [2, 1, 0]);
    assert_eq!(order("clicks").await, [0, 1, 2]);
    assert_eq!(order("-clicks").await, [2, 1, 0]);
    assert_eq!(order("-conversions").await, [2, 0, 1], "where there is no difference, by the key");
    assert_eq!(order("conversions").await, [0, 1, 2], "where there is no difference, by the key");
    assert_eq!(order("conversion_rate").await, [1, 2, 0]);
    assert_eq!(order("-revenue").await, [0, 1, 2]);
    assert_eq!(order("profit").await, [2, 1, 0]);
    assert!("-name".parse::<tracking_core::Sort>().is_err());
}

#[tokio::test]
async fn pages_are_parts_of_one_report() {
    let (world, affiliates) = busy().await;
    let request = ReportRequest::new(today(&world), Grouping::Affiliate).limit(Limit::new(2).unwrap());
    let first = world.tracker.report(&request).await.unwrap();
    let second = world.tracker.report(&request.offset(2)).await.unwrap();
    let beyond = world.tracker.report(&request.offset(u64::MAX)).await.unwrap();
    let keys = |report: &tracking_core::Report| report.rows.iter().map(|row| row.key.clone()).collect::<Vec<_>>();
    assert_eq!(keys(&first), [ReportKey::Affiliate(affiliates[2]), ReportKey::Affiliate(affiliates[0])]);
    assert_eq!(keys(&second), [ReportKey::Affiliate(affiliates[1])]);
    assert_eq!(keys(&beyond), []);
    for report in [&first, &second, &beyond] {
        assert_eq!((report.row_count, report.total.clicks, report.total.conversions()), (3, 7, 5));
    }
    assert_eq!(second.rows[0].name.as_ref().unwrap().as_str(), "Affiliate 1");
}

#[tokio::test]
async fn figures_are_derived_exactly() {
    let world = World::new().await;
    world
        .tracker
        .update_campaign(world.open, |campaign| campaign.rules.payout = Some("12.5%".parse().unwrap()))
        .await
        .unwrap();
    for click in ["a", "b", "abc123"] {
        world.click(world.open, click).await;
    }
    accepted(world.postback(&[("amount", "99.95")]).await);
    let figures = world.tracker.figures(world.affiliate, &today(&world)).await.unwrap();
    let usd = "USD".parse().unwrap();
    assert_eq!(figures.payout().of(usd).to_string(), "12.49375");
    assert_eq!(figures.profit().of(usd).to_string(), "87.45625");
    assert_eq!(figures.epc().of(usd).to_string(), "4.164583", "rounded to six digits");
    assert!(Summary::default().epc().is_empty(), "of no clicks nothing is earned per click");
}

#[tokio::test]
async fn figures_between_two_times_are_those_of_whole_quarters_of_an_hour() {
    let world = World::new().await;
    for (click, at) in [("a", "2024-05-02T11:59:59Z"), ("b", "2024-05-02T12:00:00Z"), ("c", "2024-05-02T12:14:59Z")] {
        world.clock.set(time(at));
        world.click(world.open, click).await;
    }
    for (from, to, expected) in [
        ("2024-05-02T00:00:00Z", "2024-05-02T12:00:00Z", 1),
        ("2024-05-02T00:00:00Z", "2024-05-02T12:14:59Z", 1),
        ("2024-05-02T00:00:00Z", "2024-05-02T12:15:00Z", 3),
        ("2024-05-02T12:14:00Z", "2024-05-02T12:15:00Z", 2),
        ("2024-05-02T12:00:00Z", "2024-05-02T12:14:00Z", 0),
        ("2024-05-02T13:00:00Z", "2024-05-02T12:00:00Z", 0),
    ] {
        let figures = world.tracker.figures_between(world.affiliate, time(from), time(to)).await.unwrap();
        assert_eq!(figures.clicks, expected, "{from} to {to}");
    }
}

#[tokio::test]
async fn what_is_not_there_has_no_report() {
    let world = World::new().await;
    let unknown: AffiliateId = "999".parse().unwrap();
    let request = ReportRequest::new(today(&world), Grouping::Day).scope(unknown);
    let refused = world.tracker.report(&request).await;
    assert!(
        matches!(refused, Err(ReportError::Store(StoreError::UnknownAffiliate(id))) if id == unknown),
        "{refused:?}"
    );
}

#[tokio::test]
async fn reports_by_hour_are_of_some_days_only() {
    let world = World::new().await;
    let now = world.tracker.now();
    let of_days = |days: u64| {
        let last = now.to_datetime().date_naive();
        let first = TimeZone::UTC.date_of(now.minus(Duration::from_secs(days * 86_400)));
        ReportRequest::new(Period::new(first, last, TimeZone::UTC).unwrap(), Grouping::Hour)
    };
    let longest = world.tracker.report(&of_days(91)).await.unwrap();
    assert_eq!(longest.row_count, 92 * 24);
    assert!(matches!(world.tracker.report(&of_days(92)).await, Err(ReportError::TooManyHours { max: 92 })));
}
