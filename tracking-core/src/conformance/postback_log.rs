use std::collections::BTreeSet;
use std::sync::Arc;

use proptest::prelude::{Strategy, any, prop};
use proptest::sample::select;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use super::given::*;
use crate::{Click, NewClick, OutcomeKind, Postback, PostbackFilter, PostbackMethod, Store, Timestamp};

async fn log(store: &Arc<dyn Store>, postbacks: Vec<Postback>) {
    ok(store.log_postbacks(postbacks).await, "log_postbacks");
}

async fn purge(store: &Arc<dyn Store>, before: Timestamp, keep: u64) {
    ok(store.purge_postbacks(before, keep).await, "purge_postbacks");
}

async fn whole_log(store: &Arc<dyn Store>) -> Vec<Postback> {
    all_postbacks(store, &PostbackFilter::default()).await
}

fn newest_first(mut postbacks: Vec<Postback>) -> Vec<Postback> {
    postbacks.sort_by_key(|postback| std::cmp::Reverse(postback.cursor()));
    postbacks
}

/// Everything is set, and as long as it may be. What it names is not there.
fn full_postback(id: u64, received_at: Timestamp) -> Postback {
    Postback {
        method: PostbackMethod::Post,
        source: Some("2001:db8::1".parse().expect("an address")),
        parameters: format!("{:x<1900}=%C3%9C&ünï=…'\\\"%_&{:y<70}", "", "").chars().take(1980).collect(),
        affiliate_id: Some(affiliate_id(999_999)),
        campaign_id: Some(campaign_id(888_888)),
        click_id: Some(parse(&"c".repeat(100))),
        conversion_id: Some("9223372036854775807".parse().expect("a valid id")),
        outcome: OutcomeKind::StatusChanged,
        summary: "Ünïcödé 名前 🛒 '\\\"%_ ".chars().cycle().take(200).collect(),
        calls: 5_000_000_000,
        ..postback(id, received_at)
    }
}

pub(super) async fn postback_comes_back_as_it_went_in(store: Arc<dyn Store>) {
    let full = full_postback(i64::MAX as u64, time(123));
    assert!(full.parameters.len() <= Postback::MAX_PARAMETERS_LEN && full.summary.len() <= Postback::MAX_SUMMARY_LEN);
    let mut logged = vec![full, postback(1, time(456))];
    let mut next = |change: &dyn Fn(&mut Postback)| {
        let mut postback = full_postback(logged.len() as u64 * 7, time(logged.len() as i64));
        change(&mut postback);
        logged.push(postback);
    };
    for outcome in OutcomeKind::ALL {
        next(&|postback| postback.outcome = *outcome);
    }
    for address in ["203.0.113.7", "0.0.0.0", "::", "::ffff:203.0.113.7", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"] {
        next(&|postback| postback.source = Some(address.parse().expect("an address")));
    }
    for received_at in awkward_times() {
        next(&|postback| postback.received_at = received_at);
    }
    next(&|postback| postback.source = None);
    next(&|postback| postback.click_id = None);
    next(&|postback| postback.affiliate_id = None);
    next(&|postback| postback.campaign_id = None);
    next(&|postback| postback.conversion_id = None);
    next(&|postback| postback.method = PostbackMethod::Get);
    log(&store, logged.clone()).await;
    let found = whole_log(&store).await;
    for (found, logged) in found.iter().zip(newest_first(logged.clone())) {
        assert_eq!(*found, logged, "a postback must come back as it went in");
    }
    assert_eq!(found.len(), logged.len());
}

pub(super) async fn repeated_postbacks_are_left_as_they_are(store: Arc<dyn Store>) {
    let first: Vec<Postback> = (1..=20).map(|id| postback(id, time(id as i64 / 4))).collect();
    log(&store, first.clone()).await;
    log(&store, first.clone()).await;
    assert_eq!(whole_log(&store).await, newest_first(first.clone()), "the same call can be repeated");
    // Some that are there, though not quite the same, with some that are not.
    let changed = first.iter().take(5).map(|postback| Postback { calls: 9, ..full_postback(postback.id, postback.received_at) });
    let new: Vec<Postback> = (21..=25).map(|id| full_postback(id, time(3))).collect();
    log(&store, changed.chain(new.clone()).collect()).await;
    let all = first.into_iter().chain(new).collect();
    assert_eq!(whole_log(&store).await, newest_first(all), "what is there must be left as it is, and what is not be added");
    log(&store, Vec::new()).await;
}

pub(super) async fn parallel_calls_log_each_postback_once(store: Arc<dyn Store>) {
    let all: Vec<Postback> = (1..=60).map(|id| full_postback(id, time(id as i64 % 7))).collect();
    let calls = (0..16).map(|n| {
        // Each postback is in several of the calls, in different orders.
        let mut some: Vec<Postback> = all.iter().filter(|postback| (postback.id + n) % 3 != 0).cloned().collect();
        if n % 2 == 0 {
            some.reverse();
        }
        let store = Arc::clone(&store);
        async move { log(&store, some).await }
    });
    in_parallel(calls).await;
    assert_eq!(whole_log(&store).await, newest_first(all));
}

pub(super) async fn many_postbacks_are_logged_at_once(store: Arc<dyn Store>) {
    let many: Vec<Postback> = (1..=500).map(|id| full_postback(id * 37, time(id as i64 / 10))).collect();
    log(&store, many.clone()).await;
    assert_eq!(whole_log(&store).await, newest_first(many));
}

pub(super) async fn postbacks_are_filtered(store: Arc<dyn Store>) {
    let logged = some_postbacks();
    log(&store, logged.clone()).await;
    for filter in filters() {
        let expected: Vec<Postback> =
            newest_first(logged.iter().filter(|postback| filter.admits(postback)).cloned().collect());
        for limit in [1, 7, 1000] {
            let found = read_all(limit, Postback::cursor, |page| store.postbacks(&filter, page)).await;
            assert_eq!(found, expected, "those that {filter:?} admits, and no others, newest first");
        }
    }
}

/// Out of so few values that each filter admits some of them.
fn some_postbacks() -> Vec<Postback> {
    const OUTCOMES: [OutcomeKind; 4] =
        [OutcomeKind::Accepted, OutcomeKind::Duplicate, OutcomeKind::WrongKey, OutcomeKind::Internal];
    let (affiliate, campaign) = (prop::option::of(1..3u64), prop::option::of(1..3u64));
    let click = prop::option::of(select(&["abc", "ABC", "abd"]));
    let values = (select(&OUTCOMES), affiliate, campaign, click, 0..10i64);
    let postbacks = prop::collection::vec(values, 150).new_tree(&mut TestRunner::deterministic());
    let postbacks = postbacks.expect("nothing is filtered out").current().into_iter().zip(1..);
    let postbacks = postbacks.map(|((outcome, affiliate, campaign, click, millis), id)| Postback {
        outcome,
        affiliate_id: affiliate.map(affiliate_id),
        campaign_id: campaign.map(campaign_id),
        click_id: click.map(parse),
        ..postback(id * 31 % 151, time(millis))
    });
    postbacks.collect()
}

/// Each condition by itself, and many together.
fn filters() -> Vec<PostbackFilter> {
    const OUTCOMES: [OutcomeKind; 3] = [OutcomeKind::Accepted, OutcomeKind::WrongKey, OutcomeKind::TooFast];
    let rarely = |millis: std::ops::Range<i64>| prop::option::weighted(0.3, millis.prop_map(time));
    let conditions = (
        prop::option::weighted(0.3, select(&OUTCOMES)),
        any::<bool>(),
        prop::option::weighted(0.3, (1..4u64).prop_map(affiliate_id)),
        prop::option::weighted(0.3, (1..4u64).prop_map(campaign_id)),
        prop::option::weighted(0.3, select(&["abc", "ABC", "x"])),
        rarely(-1..11),
        rarely(-1..11),
    );
    let filter = conditions.prop_map(|(outcome, problems_only, affiliate_id, campaign_id, click_id, from, to)| {
        PostbackFilter { outcome, problems_only, affiliate_id, campaign_id, click_id: click_id.map(parse), from, to }
    });
    let tree = prop::collection::vec(filter, 48).new_tree(&mut TestRunner::deterministic());
    let all = PostbackFilter::default;
    let each = [
        all(),
        PostbackFilter { outcome: Some(OutcomeKind::Duplicate), ..all() },
        PostbackFilter { problems_only: true, ..all() },
        PostbackFilter { affiliate_id: Some(affiliate_id(1)), ..all() },
        PostbackFilter { campaign_id: Some(campaign_id(2)), ..all() },
        PostbackFilter { click_id: Some(parse("ABC")), ..all() },
        PostbackFilter { from: Some(time(5)), ..all() },
        PostbackFilter { to: Some(time(5)), ..all() },
        PostbackFilter { from: Some(time(5)), to: Some(time(6)), ..all() },
        PostbackFilter { from: Some(time(6)), to: Some(time(5)), ..all() },
        PostbackFilter { from: Some(Timestamp::MIN), to: Some(Timestamp::MAX), ..all() },
    ];
    each.into_iter().chain(tree.expect("nothing is filtered out").current()).collect()
}

pub(super) async fn old_postbacks_are_purged(store: Arc<dyn Store>) {
    let logged: Vec<Postback> = (1..=120).map(|id| postback(id, time(id as i64 * 7 % 40))).collect();
    log(&store, logged.clone()).await;
    for before in [Timestamp::MIN, time(10), time(10), time(33)] {
        purge(&store, before, u64::MAX).await;
        let left = logged.iter().filter(|postback| postback.received_at >= before).cloned().collect();
        assert_eq!(whole_log(&store).await, newest_first(left), "what is older than {before} goes, and nothing else");
    }
    purge(&store, Timestamp::MAX, u64::MAX).await;
    assert_eq!(whole_log(&store).await, []);
}

pub(super) async fn the_oldest_postbacks_are_purged_beyond_a_number(store: Arc<dyn Store>) {
    // Logged in another order than that of their times.
    let logged: Vec<Postback> = (1..=300).map(|id| postback(id, time(id as i64 * 7 % 300))).collect();
    log(&store, logged.clone()).await;
    let logged = newest_first(logged);
    purge(&store, Timestamp::MIN, 400).await;
    assert_eq!(whole_log(&store).await, logged, "there are no more than may be kept");
    for keep in [200_u64, 100] {
        purge(&store, Timestamp::MIN, keep).await;
        let left = whole_log(&store).await;
        let off = keep.abs_diff(left.len() as u64);
        assert!(off <= keep / 10, "{} are left, which is not within a tenth of {keep}", left.len());
        assert_eq!(left, logged[..left.len()], "the oldest must go first");
    }
    purge(&store, time(280), 100).await;
    assert_eq!(whole_log(&store).await, logged[..20], "what is too old goes, even if there are few");
    purge(&store, Timestamp::MIN, 0).await;
    assert_eq!(whole_log(&store).await, []);
}

pub(super) async fn erased_click_is_anonymous_in_the_log(store: Arc<dyn Store>) {
    let place = an_affiliate_and_a_campaign(&store).await;
    let click: Click = expect_new(insert_click(&store, NewClick { details: full_details(), ..new_click(place, "abc123", time(0)) }).await);
    let naming = |click_id: Option<&str>, id| Postback { click_id: click_id.map(parse), ..full_postback(id, time(id as i64)) };
    let named = [Some("abc123"), Some("ABC123"), None, Some("abc123"), Some("abc1234"), Some("nowhere")];
    let mut logged: Vec<Postback> = named.into_iter().zip(1..).map(|(click_id, id)| naming(click_id, id)).collect();
    // Of another affiliate than the click's, and of one that is.
    logged[0].affiliate_id = Some(click.affiliate_id);
    log(&store, logged.clone()).await;

    // The last one names a click that is not there.
    for (click_id, replacement, clicks) in [("abc123", "erased-1", 1), ("nowhere", "erased-2", 0)] {
        let erased = ok(store.erase_clicks(&parse(click_id), &parse(replacement)).await, "erase_clicks");
        assert_eq!(erased, clicks);
        for postback in logged.iter_mut().filter(|postback| postback.click_id == Some(parse(click_id))) {
            *postback = postback.anonymous(parse(replacement));
        }
        assert_eq!(whole_log(&store).await, newest_first(logged.clone()), "nothing leads to the visitor, and the rest stays");
        let filter = |click_id| PostbackFilter { click_id: Some(parse(click_id)), ..PostbackFilter::default() };
        assert_eq!(all_postbacks(&store, &filter(click_id)).await, [], "nobody has the id any more");
        assert!(!all_postbacks(&store, &filter(replacement)).await.is_empty(), "they are found by what stands in its place");
    }
    let ids: BTreeSet<u64> = whole_log(&store).await.iter().map(|postback| postback.id).collect();
    assert_eq!(ids.len(), logged.len());
}
