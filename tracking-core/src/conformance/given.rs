//! What the cases are made of: short ways to say what is inserted, and calls that must not fail.

use std::collections::BTreeSet;
use std::error::Error;
use std::fmt::Debug;
use std::str::FromStr;
use std::sync::Arc;

use tokio::sync::Barrier;

use crate::{
    AffiliateId, BotReason, CampaignId, CampaignRules, ChangedBy, Click, ClickDetails, Conversion, ConversionId,
    ConversionStatus, Cursor, EventName, Limit, NewAffiliate, NewCampaign, NewClick, NewConversion, OutcomeKind, Page,
    PageRequest, ParseError, Payout, Postback, PostbackAccess, PostbackFilter, PostbackMethod, Recorded, StatusChange,
    Store, StoreError, SubIds, Summary, Timestamp, UserAgent, VisitorHash, VisitorHashes,
};

/// How many calls at once the cases about parallel calls make.
pub(super) const PARALLEL: usize = 64;

/// A moment in 2024, so many milliseconds after the others.
pub(super) fn time(millis: i64) -> Timestamp {
    Timestamp::from_millis(1_704_067_200_000 + millis).expect("a sane time")
}

pub(super) fn parse<T: FromStr<Err = ParseError>>(text: &str) -> T {
    text.parse().unwrap_or_else(|error| panic!("{text:?} in a case: {error}"))
}

pub(super) fn affiliate_id(id: u64) -> AffiliateId {
    AffiliateId::new(id).expect("a valid id")
}

pub(super) fn campaign_id(id: u64) -> CampaignId {
    CampaignId::new(id).expect("a valid id")
}

pub(super) fn new_affiliate(id: Option<AffiliateId>) -> NewAffiliate {
    NewAffiliate { id, name: parse("Ada's reviews"), created_at: time(0) }
}

pub(super) fn new_campaign(id: Option<CampaignId>) -> NewCampaign {
    let destination = parse("https://shop.example/?ref={click_id}");
    let (rules, access) = (CampaignRules::default(), PostbackAccess::open());
    NewCampaign { id, name: parse("Shop"), destination, rules, access, created_at: time(0) }
}

pub(super) fn new_click(
    (affiliate_id, campaign_id): (AffiliateId, CampaignId),
    click_id: &str,
    created_at: Timestamp,
) -> NewClick {
    let (click_id, details) = (parse(click_id), ClickDetails::default());
    NewClick { affiliate_id, campaign_id, click_id, created_at, details, visitor: None }
}

/// The same of a visitor, who is known under one key today, and was under another yesterday.
pub(super) fn of_visitor(new: NewClick, today: u8, yesterday: u8) -> NewClick {
    let hash = |byte| VisitorHash::from_bytes([byte; 16]);
    NewClick { visitor: Some(VisitorHashes { today: hash(today), yesterday: hash(yesterday) }), ..new }
}

/// The same of a bot.
pub(super) fn of_bot(mut new: NewClick, reason: BotReason) -> NewClick {
    new.details.bot = Some(reason);
    new
}

/// Details of which everything is set that a caller can set.
pub(super) fn full_details() -> ClickDetails {
    ClickDetails {
        sub_ids: SubIds::new([
            Some(parse("ad 7")),
            None,
            Some(parse("Ünï 🎈 '\\\"%_")),
            None,
            Some(parse(&"ß".repeat(255))),
        ]),
        source: Some(parse("newsletter")),
        ip: Some(parse("2001:db8:1::/48")),
        user_agent: UserAgent::new("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0 '\\ ü"),
        bot: Some(BotReason::Prefetch),
        is_repeat: false,
        is_recovered: true,
    }
}

/// 10 USD for the default event, without a transaction id.
pub(super) fn new_conversion(click: &Click, created_at: Timestamp) -> NewConversion {
    NewConversion {
        click: click.clone(),
        alternatives: Vec::new(),
        event: EventName::default(),
        transaction_id: None,
        amount: parse("10"),
        currency: parse("USD"),
        payout: None,
        status: ConversionStatus::Approved,
        occurred_at: None,
        sub_ids: SubIds::default(),
        created_at,
        is_only_one: false,
        daily_cap: None,
    }
}

/// The same with a transaction id.
pub(super) fn with_transaction(new: NewConversion, transaction_id: &str) -> NewConversion {
    NewConversion { transaction_id: Some(parse(transaction_id)), ..new }
}

/// The same where the sender may have meant these other campaigns.
pub(super) fn with_alternatives(new: NewConversion, alternatives: &[&Click]) -> NewConversion {
    NewConversion { alternatives: alternatives.iter().map(|click| click.campaign_id).collect(), ..new }
}

/// The same with this worth.
pub(super) fn with_worth(new: NewConversion, amount: &str, currency: &str) -> NewConversion {
    NewConversion { amount: parse(amount), currency: parse(currency), ..new }
}

/// The same for which the affiliate gets this.
pub(super) fn with_payout(new: NewConversion, amount: &str, currency: &str) -> NewConversion {
    NewConversion { payout: Some(payout(amount, currency)), ..new }
}

pub(super) fn payout(amount: &str, currency: &str) -> Payout {
    let amount = amount.parse().unwrap_or_else(|error| panic!("{amount:?} in a case: {error}"));
    Payout::new(amount, parse(currency)).expect("a sane payout")
}

/// The same with this status.
pub(super) fn of_status(new: NewConversion, status: ConversionStatus) -> NewConversion {
    NewConversion { status, ..new }
}

/// The same that must be the only one of its click and event.
pub(super) fn only_one(new: NewConversion) -> NewConversion {
    NewConversion { is_only_one: true, ..new }
}

/// The same of which its campaign may have so many on a day.
pub(super) fn capped(new: NewConversion, cap: u32) -> NewConversion {
    NewConversion { daily_cap: Some(cap), ..new }
}

/// A change of status that an administrator makes.
pub(super) fn change(from: ConversionStatus, to: ConversionStatus, changed_at: Timestamp) -> StatusChange {
    StatusChange { from, to, changed_at, changed_by: ChangedBy::Admin, reason: None }
}

/// A postback of which nothing is known but that it was refused.
pub(super) fn postback(id: u64, received_at: Timestamp) -> Postback {
    Postback {
        id,
        received_at,
        method: PostbackMethod::Get,
        source: None,
        parameters: String::new(),
        affiliate_id: None,
        campaign_id: None,
        click_id: None,
        conversion_id: None,
        outcome: OutcomeKind::InvalidParameter,
        summary: String::new(),
        calls: 1,
    }
}

/// The value of a call that must not fail.
pub(super) fn ok<T>(result: Result<T, StoreError>, call: &str) -> T {
    result.unwrap_or_else(|error| {
        let mut chain = error.to_string();
        let mut source = error.source();
        while let Some(error) = source {
            chain = format!("{chain}: {error}");
            source = error.source();
        }
        panic!("{call} must not fail here: {chain}")
    })
}

/// The record of an insert that must find nothing of its identity.
pub(super) fn expect_new<T: Debug>(recorded: Recorded<T>) -> T {
    match recorded {
        Recorded::New(record) => record,
        Recorded::Duplicate(record) => {
            panic!("nothing of this identity was there, and yet it is a duplicate of {record:?}")
        }
    }
}

/// The record of an insert whose identity must be there.
pub(super) fn expect_duplicate<T: Debug>(recorded: Recorded<T>) -> T {
    match recorded {
        Recorded::Duplicate(record) => record,
        Recorded::New(record) => panic!("one of this identity was there, and yet it is recorded as new: {record:?}"),
    }
}

pub(super) async fn an_affiliate(store: &Arc<dyn Store>) -> AffiliateId {
    expect_new(ok(store.insert_affiliate(new_affiliate(None)).await, "insert_affiliate")).id
}

pub(super) async fn a_campaign(store: &Arc<dyn Store>) -> CampaignId {
    expect_new(ok(store.insert_campaign(new_campaign(None)).await, "insert_campaign")).id
}

pub(super) async fn an_affiliate_and_a_campaign(store: &Arc<dyn Store>) -> (AffiliateId, CampaignId) {
    (an_affiliate(store).await, a_campaign(store).await)
}

pub(super) async fn insert_click(store: &Arc<dyn Store>, new: NewClick) -> Recorded<Click> {
    ok(store.insert_click(new).await, "insert_click")
}

pub(super) async fn insert_conversion(store: &Arc<dyn Store>, new: NewConversion) -> Recorded<Conversion> {
    ok(store.insert_conversion(new).await, "insert_conversion")
}

/// A new click.
pub(super) async fn a_click(
    store: &Arc<dyn Store>,
    place: (AffiliateId, CampaignId),
    click_id: &str,
    created_at: Timestamp,
) -> Click {
    expect_new(insert_click(store, new_click(place, click_id, created_at)).await)
}

/// A new conversion.
pub(super) async fn a_conversion(store: &Arc<dyn Store>, new: NewConversion) -> Conversion {
    expect_new(insert_conversion(store, new).await)
}

/// An affiliate, a campaign, and one click there.
pub(super) async fn one_click(store: &Arc<dyn Store>) -> Click {
    let place = an_affiliate_and_a_campaign(store).await;
    a_click(store, place, "abc123", time(0)).await
}

pub(super) async fn find_clicks(
    store: &Arc<dyn Store>,
    affiliate: AffiliateId,
    campaign: Option<CampaignId>,
    click_id: &str,
) -> Vec<Click> {
    ok(store.find_clicks(affiliate, campaign, &parse(click_id)).await, "find_clicks")
}

/// The latest of them.
pub(super) async fn find_click(
    store: &Arc<dyn Store>,
    affiliate: AffiliateId,
    campaign: Option<CampaignId>,
    click_id: &str,
) -> Option<Click> {
    find_clicks(store, affiliate, campaign, click_id).await.into_iter().next()
}

pub(super) async fn summary(store: &Arc<dyn Store>, affiliate: AffiliateId) -> Summary {
    ok(store.summary(affiliate).await, "summary")
}

/// All of a list, page by page.
pub(super) async fn read_all<T, F>(limit: u64, place: impl Fn(&T) -> Cursor, fetch: impl Fn(PageRequest) -> F) -> Vec<T>
where
    F: Future<Output = Result<Page<T>, StoreError>>,
{
    let limit = Limit::new(limit).expect("a valid limit");
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = ok(fetch(PageRequest { limit, after }).await, "a list");
        assert!(page.items.len() <= limit.as_usize(), "a page must not hold more records than its limit");
        all.extend(page.items);
        let Some(next) = page.next else { break };
        let last = all.last().map(&place);
        assert_eq!(Some(next), last, "the next page must start after the last record of this one");
        assert_ne!(Some(next), after, "a page with a next one must not be empty: whoever pages would never end");
        after = Some(next);
    }
    all
}

pub(super) async fn all_clicks(store: &Arc<dyn Store>, affiliate: AffiliateId) -> Vec<Click> {
    let filter = affiliate.into();
    read_all(50, |row: &Click| Cursor::after(row.created_at, row.id), |page| store.clicks(&filter, page)).await
}

pub(super) async fn all_conversions(store: &Arc<dyn Store>, affiliate: AffiliateId) -> Vec<Conversion> {
    let (filter, place) = (affiliate.into(), |row: &Conversion| Cursor::after(row.created_at, row.id));
    read_all(50, place, |page| store.conversions(&filter, page)).await
}

pub(super) async fn all_postbacks(store: &Arc<dyn Store>, filter: &PostbackFilter) -> Vec<Postback> {
    read_all(50, Postback::cursor, |page| store.postbacks(filter, page)).await
}

pub(super) async fn find_conversion(store: &Arc<dyn Store>, like: &NewConversion) -> Option<Conversion> {
    let NewConversion { click, alternatives, event, transaction_id, .. } = like;
    ok(store.find_conversion(click, alternatives, event, transaction_id.as_ref()).await, "find_conversion")
}

pub(super) async fn first_conversion(store: &Arc<dyn Store>, click: &Click, event: &str) -> Option<Conversion> {
    ok(store.first_conversion(click, &parse(event)).await, "first_conversion")
}

pub(super) async fn daily_conversions(store: &Arc<dyn Store>, campaign: CampaignId, day: Timestamp) -> u64 {
    ok(store.daily_conversions(campaign, day).await, "daily_conversions")
}

pub(super) async fn change_status(
    store: &Arc<dyn Store>,
    id: ConversionId,
    change: StatusChange,
) -> Option<Conversion> {
    ok(store.change_status(id, change).await, "change_status")
}

pub(super) async fn status_changes(store: &Arc<dyn Store>, id: ConversionId) -> Vec<StatusChange> {
    ok(store.status_changes(id).await, "status_changes")
}

/// The summary must be what counting both lists gives.
pub(super) async fn assert_recount(store: &Arc<dyn Store>, affiliate: AffiliateId) {
    let mut recount = Summary::default();
    all_clicks(store, affiliate).await.iter().for_each(|click| recount.count_click(&click.details));
    all_conversions(store, affiliate).await.iter().for_each(|conversion| recount.count_conversion(conversion));
    assert_eq!(summary(store, affiliate).await, recount, "the summary must equal a recount of the lists");
}

/// Makes all these calls at once, each in a task of its own.
pub(super) async fn in_parallel<T, F>(calls: impl IntoIterator<Item = F>) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let calls: Vec<F> = calls.into_iter().collect();
    let start = Arc::new(Barrier::new(calls.len()));
    let tasks = calls.into_iter().map(|call| {
        let start = Arc::clone(&start);
        tokio::spawn(async move {
            start.wait().await;
            call.await
        })
    });
    let mut results = Vec::new();
    for task in tasks.collect::<Vec<_>>() {
        results.push(task.await.expect("a call must not panic"));
    }
    results
}

/// Of parallel inserts with one identity exactly one must be new, and all must get its record, which is returned.
pub(super) fn expect_one_new<T: Debug + PartialEq>(results: Vec<Recorded<T>>) -> T {
    let new = results.iter().filter(|recorded| !recorded.is_duplicate()).count();
    assert_eq!(new, 1, "of {} parallel inserts with one identity exactly one must be new", results.len());
    let (duplicates, mut new): (Vec<_>, Vec<_>) = results.into_iter().partition(Recorded::is_duplicate);
    let first = new.remove(0).into_record();
    for duplicate in duplicates {
        assert_eq!(*duplicate.record(), first, "a duplicate must get the record that is there");
    }
    first
}

pub(super) fn assert_distinct<T: Ord + Copy + Debug>(ids: impl IntoIterator<Item = T>) {
    let ids: Vec<T> = ids.into_iter().collect();
    let distinct: BTreeSet<T> = ids.iter().copied().collect();
    assert_eq!(distinct.len(), ids.len(), "ids must be unique: {ids:?}");
}

/// Times that a store may get wrong: with and without milliseconds, around the end of 32-bit seconds and a change to
/// summer time, and far ends that every common column type for times can hold.
pub(super) fn awkward_times() -> Vec<Timestamp> {
    [
        "1970-01-02T00:00:00.000Z",
        "1999-12-31T23:59:59.999Z",
        "2024-02-29T12:00:00.001Z",
        "2024-03-31T01:30:00.500Z",
        "2024-10-27T01:30:00.999Z",
        "2038-01-19T03:14:07.999Z",
        "2038-01-19T03:14:08.010Z",
        "9999-12-30T23:59:59.999Z",
    ]
    .map(parse)
    .into()
}
