use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{Days, NaiveDate, TimeDelta, Timelike};
use proptest::prelude::{Strategy, any, prop};
use proptest::sample::select;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use super::given::*;
use crate::{
    AffiliateId, Attribute, BotReason, Breakdown, CampaignId, Click, ClickDetails, ClickFilter, Conversion, ConversionFilter,
    ConversionStatus, Cursor, Grouping, Limit, NewClick, NewConversion, Order, Period, PurgeRequest, Ranked, Ranking, ReportKey, ReportRequest, Scope, Sort, SortBy,
    Secret, Store, StoreError, SubIds, Summary, TimeZone, Timestamp, Tracker,
};

pub(super) async fn totals_are_of_their_times(store: Arc<dyn Store>) {
    let place = an_affiliate_and_a_campaign(&store).await;
    let [start, middle, end]: [Timestamp; 3] = ["2026-03-01T00:00:00Z", "2026-03-01T12:15:00Z", "2026-03-03T00:00:00Z"].map(parse);
    let last: Timestamp = parse("2026-03-02T23:59:59.999Z");
    for (index, at) in [start.minus(Duration::from_millis(1)), start, middle, last, end].into_iter().enumerate() {
        a_click(&store, place, &format!("click-{index}"), at).await;
    }
    let clicks = async |bounds: &[Timestamp]| -> Vec<u64> {
        let totals = ok(store.totals(place.0.into(), bounds).await, "totals");
        totals.iter().map(|counted| counted.clicks).collect()
    };
    assert_eq!(clicks(&[start, end]).await, [3], "the first bound is of the time, the last one is not");
    assert_eq!(clicks(&[start, middle, end]).await, [1, 2], "what is at a bound belongs to what follows it");
    assert_eq!(clicks(&[start, start, middle, middle, end]).await, [0, 1, 0, 2], "between equal bounds there is nothing");
    assert_eq!(clicks(&[middle]).await, [0; 0], "one bound has nothing behind it");
    assert_eq!(clicks(&[]).await, [0; 0], "no bounds have nothing between them");
}

pub(super) async fn totals_are_of_their_scope(store: Arc<dyn Store>) {
    let affiliates = [an_affiliate(&store).await, an_affiliate(&store).await];
    let campaigns = [a_campaign(&store).await, a_campaign(&store).await];
    for (index, (affiliate, campaign, clicks)) in
        [(0, 0, 1), (0, 1, 2), (1, 0, 4), (1, 1, 8)].into_iter().enumerate()
    {
        for click in 0..clicks {
            a_click(&store, (affiliates[affiliate], campaigns[campaign]), &format!("{index}-{click}"), time(0)).await;
        }
    }
    let bounds = [parse("2020-01-01T00:00:00Z"), parse("2030-01-01T00:00:00Z")];
    let clicks = async |affiliate_id, campaign_id| {
        ok(store.totals(Scope { affiliate_id, campaign_id }, &bounds).await, "totals")[0].clicks
    };
    assert_eq!(clicks(None, None).await, 15);
    assert_eq!(clicks(Some(affiliates[1]), None).await, 12);
    assert_eq!(clicks(None, Some(campaigns[1])).await, 10);
    assert_eq!(clicks(Some(affiliates[0]), Some(campaigns[1])).await, 2);
    assert_eq!(clicks(Some(affiliate_id(999_999)), None).await, 0, "what is not there has brought nothing");
    assert_eq!(clicks(None, Some(campaign_id(999_999))).await, 0, "what is not there has brought nothing");
}

pub(super) async fn groups_are_bounded(store: Arc<dyn Store>) {
    let [from, to]: [Timestamp; 2] = ["2020-01-01T00:00:00Z", "2030-01-01T00:00:00Z"].map(parse);
    let campaigns = [a_campaign(&store).await, a_campaign(&store).await];
    for (index, campaign) in [0, 1, 0].into_iter().enumerate() {
        let affiliate = an_affiliate(&store).await;
        let new = new_click((affiliate, campaigns[campaign]), "abc123", time(0));
        let source = Some(parse(&format!("source-{index}")));
        insert_click(&store, NewClick { details: ClickDetails { source, ..new.details.clone() }, ..new }).await;
    }
    let breakdown = |max_groups| {
        let time_limit = Duration::from_secs(60);
        Breakdown { by: Attribute::Source, scope: Scope::ALL, from, to, max_groups, time_limit }
    };
    let refused = |error, max| matches!(error, Some(StoreError::TooManyGroups { max: found }) if found == max);
    assert!(refused(store.totals_by_affiliate(None, from, to, 2).await.err(), 2), "there are three affiliates");
    assert!(refused(store.totals_by_campaign(None, from, to, 1).await.err(), 1), "there are two campaigns");
    assert!(refused(store.breakdown(&breakdown(2)).await.err(), 2), "there are three sources");
    let sort = Sort { by: SortBy::Clicks, order: Order::Descending };
    let best = |max_groups| Ranking { sort, offset: 0, limit: 1, max_groups };
    assert!(refused(store.best_affiliates(None, from, to, &best(2)).await.err(), 2), "there are three affiliates");
    assert_eq!(ok(store.best_affiliates(None, from, to, &best(3)).await, "best_affiliates").count, 3);
    assert_eq!(ok(store.totals_by_affiliate(None, from, to, 3).await, "totals_by_affiliate").len(), 3);
    assert_eq!(ok(store.totals_by_affiliate(Some(campaigns[0]), from, to, 2).await, "totals_by_affiliate").len(), 2);
    assert_eq!(ok(store.totals_by_campaign(None, from, to, 2).await, "totals_by_campaign").len(), 2);
    assert_eq!(ok(store.breakdown(&breakdown(3)).await, "breakdown").len(), 3);
}

pub(super) async fn groups_are_in_order(store: Arc<dyn Store>) {
    let world = World::random(&store).await;
    ok(store.upkeep().await, "upkeep");
    let zone: TimeZone = parse("UTC");
    let periods = [("2018-01-01", "2026-12-31"), ("2026-03-28", "2026-03-29"), ("2026-10-24", "2026-10-24")];
    for ((first, last), scope) in periods.into_iter().flat_map(|days| world.scopes().into_iter().map(move |scope| (days, scope))) {
        let [first, last]: [NaiveDate; 2] = [first, last].map(|date| date.parse().expect("a date"));
        let period = Period::new(first, last, zone).expect("within a century");
        let [from, to] = [first, last + Days::new(1)].map(|date| parse::<Timestamp>(&format!("{date}T00:00:00Z")));
        let expected = |grouping| world.recount(&ReportRequest::new(period, grouping).scope(scope)).into_iter();
        if scope.affiliate_id.is_none() {
            let found = ok(store.totals_by_affiliate(scope.campaign_id, from, to, 9).await, "totals_by_affiliate");
            for ranking in rankings() {
                let best = ok(store.best_affiliates(scope.campaign_id, from, to, &ranking).await, "best_affiliates");
                assert_eq!(best, Ranked::of(found.clone(), &ranking), "{first} to {last}, {scope:?}, {ranking:?}");
            }
            let found: Vec<_> = found.into_iter().map(|(id, counted)| (ReportKey::Affiliate(id), counted)).collect();
            assert_eq!(found, expected(Grouping::Affiliate).collect::<Vec<_>>(), "{first} to {last}, {scope:?}");
        }
        if scope.campaign_id.is_none() {
            let found = ok(store.totals_by_campaign(scope.affiliate_id, from, to, 9).await, "totals_by_campaign");
            let found: Vec<_> = found.into_iter().map(|(id, counted)| (ReportKey::Campaign(id), counted)).collect();
            assert_eq!(found, expected(Grouping::Campaign).collect::<Vec<_>>(), "{first} to {last}, {scope:?}");
        }
        for by in [Attribute::Event, Attribute::Source, Attribute::Sub1, Attribute::Sub2, Attribute::Sub3] {
            let wanted = Breakdown { by, scope, from, to, max_groups: 9, time_limit: Duration::from_secs(60) };
            let found = ok(store.breakdown(&wanted).await, "breakdown");
            let found: Vec<_> = found.into_iter().map(|(mark, counted)| (ReportKey::Mark(mark), counted)).collect();
            assert_eq!(found, expected(Grouping::By(by)).collect::<Vec<_>>(), "{wanted:?}");
        }
    }
}

/// All orders in which money makes no difference, and pages of one and two, the last of which is not full.
fn rankings() -> impl Iterator<Item = Ranking> {
    let sorts = SortBy::ALL.into_iter().flat_map(|by| {
        [Order::Ascending, Order::Descending].map(|order| Sort { by, order }).into_iter().filter(|sort| sort.is_by_counts())
    });
    let pages = [(0, 1), (1, 1), (0, 2), (2, 2), (3, 2), (0, 9)];
    sorts.flat_map(move |sort| pages.map(|(offset, limit)| Ranking { sort, offset, limit, max_groups: 9 }))
}

pub(super) async fn breakdown_is_of_what_is_left(store: Arc<dyn Store>) {
    let place = an_affiliate_and_a_campaign(&store).await;
    let click = async |id, at, source| {
        let mut new = new_click(place, id, time(at));
        new.details.source = Some(parse(source));
        expect_new(insert_click(&store, new).await)
    };
    click("old", 0, "blog").await;
    let converted = click("old-and-converted", 1, "blog").await;
    a_conversion(&store, NewConversion { event: parse("sale"), ..new_conversion(&converted, time(50)) }).await;
    click("late", 30, "news").await;
    let converted = click("late-and-converted", 31, "news").await;
    a_conversion(&store, NewConversion { event: parse("lead"), ..new_conversion(&converted, time(51)) }).await;
    let [from, to]: [Timestamp; 2] = ["2020-01-01T00:00:00Z", "2030-01-01T00:00:00Z"].map(parse);
    let counted = async |by| {
        let time_limit = Duration::from_secs(60);
        let wanted = Breakdown { by, scope: place.0.into(), from, to, max_groups: 9, time_limit };
        let groups = ok(store.breakdown(&wanted).await, "breakdown").into_iter();
        groups.map(|(mark, of)| (mark, of.clicks, of.conversions())).collect::<Vec<_>>()
    };
    let [blog, news, sale, lead] = ["blog", "news", "sale", "lead"].map(|mark| Some(mark.to_owned()));
    let events = [(lead, 0, 1), (sale, 0, 1)];
    assert_eq!(counted(Attribute::Source).await, [(blog, 2, 1), (news.clone(), 2, 1)]);
    assert_eq!(counted(Attribute::Event).await, events);

    let request = PurgeRequest { before: time(20), limit: Limit::default(), after: None };
    assert_eq!(ok(store.purge_clicks(place.0, request).await, "purge_clicks").deleted, 1);
    let left = counted(Attribute::Source).await;
    assert_eq!(left, [(None, 1, 1), (news.clone(), 2, 1)], "what is purged is not looked at, and what is kept has no marks");
    assert_eq!(counted(Attribute::Event).await, events, "conversions keep their events");

    let erased = store.erase_clicks(&converted.click_id, &parse("erased-1")).await;
    assert_eq!(ok(erased, "erase_clicks"), 1);
    let left = counted(Attribute::Source).await;
    assert_eq!(left, [(None, 2, 2), (news, 1, 0)], "what is erased has no marks, and is still there");
    assert_eq!(counted(Attribute::Event).await, events, "conversions keep their events");
}

pub(super) async fn breakdown_ends_in_time(store: Arc<dyn Store>) {
    let click = one_click(&store).await;
    a_conversion(&store, new_conversion(&click, time(1))).await;
    let [from, to]: [Timestamp; 2] = ["2020-01-01T00:00:00Z", "2030-01-01T00:00:00Z"].map(parse);
    for by in [Attribute::Source, Attribute::Event] {
        let within = |time_limit| Breakdown { by, scope: Scope::ALL, from, to, max_groups: 9, time_limit };
        let error = store.breakdown(&within(Duration::ZERO)).await.err();
        assert!(matches!(error, Some(StoreError::TooSlow { .. })), "no time at all is over, and not {error:?}");
        assert_eq!(ok(store.breakdown(&within(Duration::from_secs(60))).await, "breakdown").len(), 1);
    }
}

pub(super) async fn purged_clicks_stay_in_totals(store: Arc<dyn Store>) {
    let place = an_affiliate_and_a_campaign(&store).await;
    for index in 0..5 {
        a_click(&store, place, &format!("click-{index}"), time(index)).await;
    }
    let bounds = [parse("2020-01-01T00:00:00Z"), parse("2030-01-01T00:00:00Z")];
    let before = ok(store.totals(place.0.into(), &bounds).await, "totals");
    let request = PurgeRequest { before: bounds[1], limit: Limit::default(), after: None };
    assert_eq!(ok(store.purge_clicks(place.0, request).await, "purge_clicks").deleted, 5);
    assert_eq!(ok(store.totals(place.0.into(), &bounds).await, "totals"), before, "what was counted stays counted");
    let by_campaign = ok(store.totals_by_campaign(Some(place.0), bounds[0], bounds[1], 9).await, "totals_by_campaign");
    assert_eq!(by_campaign, [(place.1, before[0].clone())], "what was counted stays counted");
}

pub(super) async fn lists_are_filtered(store: Arc<dyn Store>) {
    let world = World::random(&store).await;
    let [from, to]: [Timestamp; 2] = ["2026-03-28T22:15:00Z", "2026-10-25T01:00:00Z"].map(parse);
    let statuses = ConversionStatus::ALL.map(Some).into_iter().chain([None]);
    let ends = [(None, None), (Some(from), None), (None, Some(to)), (Some(from), Some(to)), (Some(to), Some(from))];
    for (scope, (from, to)) in world.scopes().into_iter().flat_map(|scope| ends.map(|ends| (scope, ends))) {
        let mut clicks = ClickFilter::from(scope);
        (clicks.from, clicks.to) = (from, to);
        let place = |row: &Click| Cursor::after(row.created_at, row.id);
        let listed = read_all(7, place, |page| store.clicks(&clicks, page)).await;
        let mut expected: Vec<Click> = world.clicks.iter().filter(|click| clicks.admits(click)).cloned().collect();
        expected.sort_by_key(|row| std::cmp::Reverse(place(row)));
        assert_eq!(listed, expected, "clicks of {clicks:?}");
        for status in statuses.clone() {
            let mut conversions = ConversionFilter::from(scope);
            (conversions.status, conversions.from, conversions.to) = (status, from, to);
            let place = |row: &Conversion| Cursor::after(row.created_at, row.id);
            let listed = read_all(7, place, |page| store.conversions(&conversions, page)).await;
            let all = world.conversions.iter().map(|(row, _)| row);
            let mut expected: Vec<Conversion> = all.filter(|row| conversions.admits(row)).cloned().collect();
            expected.sort_by_key(|row| std::cmp::Reverse(place(row)));
            assert_eq!(listed, expected, "conversions of {conversions:?}");
        }
    }
    let unknown = store.clicks(&campaign_id(999_999).into(), Default::default()).await.err();
    assert!(matches!(unknown, Some(StoreError::UnknownCampaign(_))), "a list of what is not there must fail");
    let unknown = store.conversions(&campaign_id(999_999).into(), Default::default()).await.err();
    assert!(matches!(unknown, Some(StoreError::UnknownCampaign(_))), "a list of what is not there must fail");
}

pub(super) async fn any_report_equals_a_recount(store: Arc<dyn Store>) {
    let world = World::random(&store).await;
    ok(store.upkeep().await, "upkeep");
    let tracker = Tracker::new(Arc::clone(&store), Secret::random());
    let scopes = world.scopes();
    for (zone, first, days, grouping, scope) in wanted() {
        let zone: TimeZone = parse(zone);
        let days = if grouping == Grouping::Hour { days % 90 } else { days };
        let period = Period::new(first, first + Days::new(days), zone).expect("within a century");
        let request = ReportRequest::new(period, grouping).scope(scopes[scope.index(scopes.len())]);
        let mut rows = Vec::new();
        let report = loop {
            let page = request.limit(Limit::new(700).expect("in range")).offset(rows.len() as u64);
            let page = tracker.report(&page).await.expect("a report that may be asked for");
            rows.extend(page.rows.iter().map(|row| (row.key.clone(), row.figures.clone())));
            if rows.len() as u64 == page.row_count {
                break page;
            }
        };
        let expected = world.recount(&request);
        let mut total = Summary::default();
        expected.values().for_each(|counted| total.add(counted));
        assert_eq!(report.total, total, "the total of {request:?}");
        match grouping {
            Grouping::Day => assert_eq!(rows.len() as u64, period.days(), "each day has a row"),
            Grouping::Hour => assert_eq!(rows.len(), period.hours().len(), "each hour has a row"),
            _ => assert!(rows.iter().all(|(_, counted)| !counted.is_empty()), "there is no row of nothing"),
        }
        let found: BTreeMap<_, _> = rows.into_iter().filter(|(_, counted)| !counted.is_empty()).collect();
        assert_eq!(found, expected, "{request:?}");
        if !matches!(grouping, Grouping::By(_)) {
            let figures = tracker.figures(request.scope, &period).await.expect("figures");
            assert_eq!(figures, total, "the same numbers whichever way they are asked for");
        }
    }
}

/// Records of some affiliates and campaigns, around days that are not like others. Which of a visitor's clicks is the first is
/// not the same in every run.
struct World {
    affiliates: [AffiliateId; 3],
    campaigns: [CampaignId; 3],
    clicks: Vec<Click>,
    /// With what is known of their clicks.
    conversions: Vec<(Conversion, ClickDetails)>,
}

/// When clocks are put forward and back in some of the zones, half an hour in one, and when a zone lost a day.
const MOMENTS: [&str; 7] = [
    "2026-03-29T01:00:00Z",
    "2026-10-25T01:00:00Z",
    "2026-10-03T15:30:00Z",
    "2026-04-04T15:00:00Z",
    "2024-11-03T05:00:00Z",
    "2024-04-25T22:00:00Z",
    "2011-12-30T10:00:00Z",
];

const ZONES: [&str; 12] = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "America/St_Johns",
    "Asia/Kolkata",
    "Asia/Kathmandu",
    "Pacific/Chatham",
    "Australia/Lord_Howe",
    "Africa/Cairo",
    "America/Havana",
    "Pacific/Apia",
    "Pacific/Kiritimati",
];

/// A click, and when it was, in minutes from one of the [`MOMENTS`]; perhaps with a conversion.
#[derive(Debug, Clone)]
struct Visit {
    affiliate: usize,
    campaign: usize,
    at: (usize, i64),
    bot: Option<BotReason>,
    visitor: Option<u8>,
    marks: [Option<&'static str>; 3],
    sale: Option<Sale>,
}

#[derive(Debug, Clone)]
struct Sale {
    at: (usize, i64),
    event: &'static str,
    worth: (&'static str, &'static str),
    payout: Option<(&'static str, &'static str)>,
    status: ConversionStatus,
    change: Option<ConversionStatus>,
}

type Wanted = (&'static str, NaiveDate, u64, Grouping, prop::sample::Index);

/// The same ones in every run.
fn visits() -> Vec<Visit> {
    let at = || (0..MOMENTS.len(), -3_000..3_000i64);
    let mark = || prop::option::of(select(&["blog", "Blog", "blog ", "newsletter", "été", "🦀", "0"]));
    let sale = (
        at(),
        select(&["conversion", "sale", "Sale"]),
        select(&[("0", "USD"), ("0.1", "USD"), ("99.95", "EUR"), ("999999999999.999999", "JPY")]),
        prop::option::of(select(&[("0", "USD"), ("2.5", "EUR"), ("0.000000000001", "USD")])),
        select(&ConversionStatus::ALL),
        prop::option::of(select(&ConversionStatus::ALL)),
    );
    let sale =
        sale.prop_map(|(at, event, worth, payout, status, change)| Sale { at, event, worth, payout, status, change });
    let bot = prop::option::weighted(0.2, select(BotReason::ALL));
    // The third affiliate has nothing.
    let visitor = prop::option::weighted(0.7, 1..9u8);
    let visit = (0..2usize, 0..3usize, at(), bot, visitor, [mark(), mark(), mark()], prop::option::weighted(0.5, sale));
    let visit = visit.prop_map(|(affiliate, campaign, at, bot, visitor, marks, sale)| {
        Visit { affiliate, campaign, at, bot, visitor, marks, sale }
    });
    let visits = prop::collection::vec(visit, 240);
    visits.new_tree(&mut TestRunner::deterministic()).expect("nothing is filtered out").current()
}

fn wanted() -> Vec<Wanted> {
    let first = (0..MOMENTS.len(), -70..3i64).prop_map(|(moment, days)| {
        let moment: Timestamp = parse(MOMENTS[moment]);
        moment.to_datetime().date_naive() + TimeDelta::days(days)
    });
    let days = prop::strategy::Union::new_weighted(vec![(6, 0..4u64), (6, 4..100u64), (1, 100..3_000u64)]);
    let wanted = (select(&ZONES), first, days, select(&Grouping::ALL), any::<prop::sample::Index>());
    let wanted = prop::collection::vec(wanted, 300);
    wanted.new_tree(&mut TestRunner::deterministic()).expect("nothing is filtered out").current()
}

fn moment((moment, minutes): (usize, i64)) -> Timestamp {
    let moment: Timestamp = parse(MOMENTS[moment]);
    (moment.to_datetime() + TimeDelta::minutes(minutes)).into()
}

impl World {
    async fn random(store: &Arc<dyn Store>) -> Self {
        let affiliates = [an_affiliate(store).await, an_affiliate(store).await, an_affiliate(store).await];
        let campaigns = [a_campaign(store).await, a_campaign(store).await, a_campaign(store).await];
        let calls = visits().into_iter().enumerate().map(|(index, visit)| {
            let store = Arc::clone(store);
            async move {
                let place = (affiliates[visit.affiliate], campaigns[visit.campaign]);
                let mut new = new_click(place, &format!("click-{index}"), moment(visit.at));
                let [source, sub1, sub3] = visit.marks;
                new.details.source = source.map(parse);
                new.details.sub_ids = SubIds::new([sub1.map(parse), None, sub3.map(parse), None, None]);
                new.details.bot = visit.bot;
                if let Some(visitor) = visit.visitor {
                    new = of_visitor(new, visitor, visitor + 100);
                }
                let click = expect_new(insert_click(&store, new).await);
                let Some(sale) = visit.sale else { return (click, None) };
                let new = NewConversion {
                    event: parse(sale.event),
                    status: sale.status,
                    payout: sale.payout.map(|(amount, currency)| payout(amount, currency)),
                    ..with_worth(new_conversion(&click, moment(sale.at)), sale.worth.0, sale.worth.1)
                };
                let mut conversion = a_conversion(&store, new).await;
                if let Some(to) = sale.change.filter(|to| conversion.status.can_become(*to)) {
                    let changed = change_status(&store, conversion.id, change(conversion.status, to, moment(sale.at)));
                    conversion = changed.await.expect("nobody else changes it");
                }
                (click, Some(conversion))
            }
        });
        let (mut clicks, mut conversions) = (Vec::new(), Vec::new());
        for (click, conversion) in in_parallel(calls).await {
            conversions.extend(conversion.map(|conversion| (conversion, click.details.clone())));
            clicks.push(click);
        }
        let [repeated, first] = [true, false].map(|is| clicks.iter().filter(|click| click.details.is_repeat == is).count());
        assert!(repeated > 20 && first > 20, "{repeated} of the clicks are repeated, and {first} are not");
        Self { affiliates, campaigns, clicks, conversions }
    }

    fn scopes(&self) -> Vec<Scope> {
        let all = |ids: [Option<_>; 4]| ids;
        let affiliates = all([None, Some(self.affiliates[0]), Some(self.affiliates[1]), Some(self.affiliates[2])]);
        let campaigns = [None, Some(self.campaigns[0]), Some(self.campaigns[2])];
        let pairs = affiliates.into_iter().flat_map(|affiliate_id| campaigns.map(|campaign_id| (affiliate_id, campaign_id)));
        pairs.map(|(affiliate_id, campaign_id)| Scope { affiliate_id, campaign_id }).collect()
    }

    /// What the report must say, by a look at each record.
    fn recount(&self, request: &ReportRequest) -> BTreeMap<ReportKey, Summary> {
        let mut rows: BTreeMap<ReportKey, Summary> = BTreeMap::new();
        for click in &self.clicks {
            if is_within(request, (click.affiliate_id, click.campaign_id, click.created_at)) {
                let mark = match request.grouping {
                    // No click has an event.
                    Grouping::By(Attribute::Event) => continue,
                    Grouping::By(by) => by.of_click(&click.details),
                    _ => None,
                };
                let key = key(request, (click.affiliate_id, click.campaign_id, click.created_at), mark);
                rows.entry(key).or_default().count_click(&click.details);
            }
        }
        for (row, click) in &self.conversions {
            if is_within(request, (row.affiliate_id, row.campaign_id, row.created_at)) {
                let mark = match request.grouping {
                    Grouping::By(by) => by.of_conversion(row, click),
                    _ => None,
                };
                let key = key(request, (row.affiliate_id, row.campaign_id, row.created_at), mark);
                rows.entry(key).or_default().count_conversion(row);
            }
        }
        rows
    }
}

type Place = (AffiliateId, CampaignId, Timestamp);

/// By the calendar, without a thought of when its days begin.
fn is_within(request: &ReportRequest, (affiliate, campaign, at): Place) -> bool {
    let date = request.period.zone().date_of(at);
    request.scope.admits(affiliate, campaign) && (request.period.first()..=request.period.last()).contains(&date)
}

fn key(request: &ReportRequest, (affiliate, campaign, at): Place, mark: Option<&str>) -> ReportKey {
    let zone = request.period.zone();
    match request.grouping {
        Grouping::Day => ReportKey::Day(zone.date_of(at)),
        Grouping::Hour => {
            // Back to when the clock showed the full hour, or to the beginning of the day, minute by minute.
            const MINUTE: Duration = Duration::from_secs(60);
            let mut start = Timestamp::from_millis(at.as_millis() - at.as_millis() % 60_000).expect("in range");
            while zone.local(start).minute() != 0 && zone.date_of(start.minus(MINUTE)) == zone.date_of(at) {
                start = start.minus(MINUTE);
            }
            ReportKey::Hour(start)
        }
        Grouping::Affiliate => ReportKey::Affiliate(affiliate),
        Grouping::Campaign => ReportKey::Campaign(campaign),
        Grouping::By(_) => ReportKey::Mark(mark.map(str::to_owned)),
    }
}
