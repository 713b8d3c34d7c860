use std::sync::Arc;
use std::time::Duration;

use tokio::task::{JoinHandle, yield_now};
use tokio::time::Instant;
use tracking_core::{
    AffiliateId, Attribute, ClickRequest, Grouping, Limit, ManualClock, Period, Preset, ReportError, ReportKey,
    ReportRequest, StoreError, Summary, TimeZone, Tracker,
};

use crate::support::SwitchedStore;
use crate::{World, accepted, time, tracker};

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

/// A tracker on which it takes so many seconds to look at each record, with two affiliates.
async fn slow(seconds: u64) -> (Arc<Tracker>, [AffiliateId; 2]) {
    let store = SwitchedStore::default();
    store.calls().set_scan_delay(Duration::from_secs(seconds));
    let tracker = tracker(store, &Arc::new(ManualClock::new(time(crate::NOON))));
    let affiliate = async |name: &str| tracker.create_affiliate(name.parse().unwrap()).await.unwrap().id;
    let affiliates = [affiliate("Ada").await, affiliate("Grace").await];
    (Arc::new(tracker), affiliates)
}

/// After how many seconds a report is there, or it is told that others are being made.
type Asked = JoinHandle<(u64, bool)>;

/// Asks for a report for which each record is looked at.
async fn ask(tracker: &Arc<Tracker>, asked_by: Option<AffiliateId>) -> Asked {
    let period = Period::preset(Preset::Today, TimeZone::UTC, tracker.now());
    let mut request = ReportRequest::new(period, Grouping::By(Attribute::Source));
    request.asked_by = asked_by;
    let (tracker, began) = (Arc::clone(tracker), Instant::now());
    let asked = tokio::spawn(async move {
        let report = tracker.report(&request).await;
        assert!(matches!(report, Ok(_) | Err(ReportError::Busy)), "{report:?}");
        (began.elapsed().as_secs(), report.is_ok())
    });
    // It is in its place before anybody else asks.
    for _ in 0..10 {
        yield_now().await;
    }
    asked
}

#[tokio::test(start_paused = true)]
async fn affiliates_take_turns_among_themselves_and_one_with_others() {
    let (tracker, [ada, grace]) = slow(4).await;
    let mut of_ada = Vec::new();
    for _ in 0..20 {
        of_ada.push(ask(&tracker, Some(ada)).await);
    }
    let (of_grace, of_admin) = (ask(&tracker, Some(grace)).await, ask(&tracker, None).await);
    let mut of_ada = of_ada.into_iter();
    assert_eq!(of_ada.next().unwrap().await.unwrap(), (4, true));
    assert_eq!(of_admin.await.unwrap(), (8, true), "after the one that was being made");
    assert_eq!(of_grace.await.unwrap(), (12, true), "before the second one of another affiliate");
    assert_eq!(of_ada.next().unwrap().await.unwrap(), (16, true));
    for refused in of_ada {
        assert_eq!(refused.await.unwrap(), (0, false), "one is made and one waits");
    }
    assert_eq!(ask(&tracker, Some(ada)).await.await.unwrap(), (4, true), "all of them have left");
}

#[tokio::test(start_paused = true)]
async fn who_asks_one_after_the_other_keeps_nobody_out() {
    let (tracker, [ada, grace]) = slow(9).await;
    let greedy = [Some(ada), Some(ada), Some(grace), Some(grace)].map(|asked_by| {
        let tracker = Arc::clone(&tracker);
        tokio::spawn(async move {
            loop {
                ask(&tracker, asked_by).await.await.unwrap();
            }
        })
    });
    for _ in 0..5 {
        let (seconds, is_made) = ask(&tracker, None).await.await.unwrap();
        assert!(is_made && seconds <= 18, "{seconds}");
    }
    greedy.iter().for_each(JoinHandle::abort);
}

#[tokio::test(start_paused = true)]
async fn a_report_whose_asker_has_gone_is_still_one_of_his() {
    let (tracker, [ada, _]) = slow(9).await;
    for _ in 0..20 {
        ask(&tracker, Some(ada)).await.abort();
        yield_now().await;
    }
    let of_admin = ask(&tracker, None).await;
    let second = ask(&tracker, Some(ada)).await;
    assert_eq!(ask(&tracker, Some(ada)).await.await.unwrap(), (0, false), "there are two of hers");
    assert_eq!(of_admin.await.unwrap(), (18, true));
    assert_eq!(second.await.unwrap(), (27, true), "after the first one, and the admin's");
    assert_eq!(ask(&tracker, Some(ada)).await.await.unwrap(), (9, true));
}
