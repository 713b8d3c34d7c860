use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::{Strategy, prop};
use proptest::sample::select;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use super::given::*;
use crate::ConversionStatus::{Approved, Pending, Rejected};
use crate::{ChangedBy, Conversion, ConversionId, ConversionStatus, StatusChange, Store, StoreError, Tally};

pub(super) async fn status_change_moves_what_is_counted(store: Arc<dyn Store>) {
    let click = one_click(&store).await;
    let new = with_payout(with_worth(new_conversion(&click, time(1)), "99.95", "EUR"), "1.5", "USD");
    let conversion = a_conversion(&store, of_status(new.clone(), Pending)).await;
    let mut one = Tally { conversions: 1, ..Tally::default() };
    one.revenue.add(parse("99.95"), parse("EUR"));
    one.payout.add(parse("1.5"), parse("USD"));
    let counted = summary(&store, click.affiliate_id).await;
    assert_eq!([&counted.pending, &counted.approved, &counted.rejected], [&one, &Tally::default(), &Tally::default()]);

    for (from, to) in [(Pending, Approved), (Approved, Rejected)] {
        let expected = Conversion { status: to, ..conversion.clone() };
        let changed = change_status(&store, conversion.id, change(from, to, time(2))).await;
        assert_eq!(changed.as_ref(), Some(&expected), "change_status must return the conversion as it is then");
        assert_eq!(all_conversions(&store, click.affiliate_id).await, std::slice::from_ref(&expected));
        assert_eq!(ok(store.conversion(conversion.id).await, "conversion"), expected);
        let again = expect_duplicate(insert_conversion(&store, of_status(new.clone(), Pending)).await);
        assert_eq!(again, expected, "a repeated conversion must return the record as it is by now");
        let counted = summary(&store, click.affiliate_id).await;
        assert_eq!(*counted.tally(to), one, "a conversion must be counted under the status that it has now");
        assert_eq!(*counted.tally(from), Tally::default(), "a conversion must not be counted under an earlier status");
        assert_recount(&store, click.affiliate_id).await;
    }
}

pub(super) async fn status_change_from_another_status_changes_nothing(store: Arc<dyn Store>) {
    let click = one_click(&store).await;
    for (index, status) in ConversionStatus::ALL.into_iter().enumerate() {
        let new = with_transaction(new_conversion(&click, time(1)), &index.to_string());
        let conversion = a_conversion(&store, of_status(new, status)).await;
        let before = summary(&store, click.affiliate_id).await;
        for from in ConversionStatus::ALL.into_iter().filter(|from| *from != status) {
            let changed = change_status(&store, conversion.id, change(from, Rejected, time(2))).await;
            assert_eq!(changed, None, "it is {status} and not {from}");
        }
        assert_eq!(ok(store.conversion(conversion.id).await, "conversion"), conversion);
        assert_eq!(summary(&store, click.affiliate_id).await, before, "nothing must be counted anew");
        assert_eq!(status_changes(&store, conversion.id).await, [], "no change has been made");
    }
}

pub(super) async fn status_changes_come_back_in_order(store: Arc<dyn Store>) {
    let click = one_click(&store).await;
    let times = awkward_times();
    let reasons =
        [None, Some(parse("Refunded")), Some(parse("Ünï 名前 🎈 '\\\"%_")), Some(parse(&"ß".repeat(255)))];
    for (index, changed_at) in times.iter().copied().enumerate() {
        let new = of_status(with_transaction(new_conversion(&click, time(1)), &index.to_string()), Pending);
        let conversion = a_conversion(&store, new).await;
        let reason = reasons[index % reasons.len()].clone();
        let changed_by = ChangedBy::ALL[index % ChangedBy::ALL.len()];
        let first = StatusChange { from: Pending, to: Approved, changed_at, changed_by, reason };
        // Clocks may go back.
        let changed_at = times[(index + 3) % times.len()];
        let second = StatusChange { changed_at, ..change(Approved, Rejected, changed_at) };
        for change in [&first, &second] {
            assert!(change_status(&store, conversion.id, change.clone()).await.is_some());
        }
        let found = status_changes(&store, conversion.id).await;
        assert_eq!(found, [first, second], "changes must come back as they went in, in the order in which they were made");
    }
    assert_recount(&store, click.affiliate_id).await;
}

pub(super) async fn status_of_an_unknown_conversion_is_refused(store: Arc<dyn Store>) {
    let click = one_click(&store).await;
    let conversion = a_conversion(&store, new_conversion(&click, time(1))).await;
    let before = summary(&store, click.affiliate_id).await;
    for number in [conversion.id.as_u64() + 1_000_000, ConversionId::MAX] {
        let unknown = ConversionId::new(number).expect("a valid id");
        let refusals = [
            ("conversion", store.conversion(unknown).await.err()),
            ("change_status", store.change_status(unknown, change(Approved, Rejected, time(2))).await.err()),
            ("status_changes", store.status_changes(unknown).await.err()),
        ];
        for (call, error) in refusals {
            assert!(
                matches!(error, Some(StoreError::UnknownConversion(id)) if id == unknown),
                "{call} of a conversion that is not there must fail with UnknownConversion, not {error:?}"
            );
        }
    }
    assert_eq!(ok(store.conversion(conversion.id).await, "conversion"), conversion);
    assert_eq!(summary(&store, click.affiliate_id).await, before);
}

pub(super) async fn parallel_changes_from_one_status_happen_once(store: Arc<dyn Store>) {
    let click = one_click(&store).await;
    let conversion = a_conversion(&store, of_status(new_conversion(&click, time(1)), Pending)).await;
    let calls = (0..PARALLEL as i64).map(|n| {
        let change = change(Pending, if n % 2 == 0 { Approved } else { Rejected }, time(n));
        let store = Arc::clone(&store);
        async move { change_status(&store, conversion.id, change.clone()).await.map(|changed| (changed, change)) }
    });
    let mut done: Vec<_> = in_parallel(calls).await.into_iter().flatten().collect();
    assert_eq!(done.len(), 1, "of parallel changes from one status exactly one must happen");
    let (changed, change) = done.remove(0);
    assert_eq!(changed.status, change.to);
    assert_eq!(ok(store.conversion(changed.id).await, "conversion"), changed);
    assert_eq!(status_changes(&store, changed.id).await, [change], "only what has happened is in the history");
    assert_recount(&store, click.affiliate_id).await;
}

pub(super) async fn parallel_changes_are_all_counted(store: Arc<dyn Store>) {
    let click = one_click(&store).await;
    let mut conversions = Vec::new();
    for n in 0..PARALLEL / 2 {
        let new = with_transaction(new_conversion(&click, time(1)), &n.to_string());
        conversions.push(a_conversion(&store, of_status(with_payout(new, "0.1", "EUR"), Pending)).await.id);
    }
    // Each of them is approved and rejected at once, while others are recorded.
    let calls = (0..PARALLEL).map(|n| {
        let (store, click, id) = (Arc::clone(&store), click.clone(), conversions[n / 2]);
        async move {
            let change = if n % 2 == 0 { change(Pending, Approved, time(2)) } else { change(Approved, Rejected, time(3)) };
            let changed = change_status(&store, id, change.clone()).await;
            a_conversion(&store, with_transaction(new_conversion(&click, time(1)), &format!("new-{n}"))).await;
            changed.map(|_| (id, change))
        }
    });
    let done: Vec<_> = in_parallel(calls).await.into_iter().flatten().collect();
    for id in conversions {
        let changes: Vec<_> = done.iter().filter(|(of, _)| *of == id).map(|(_, change)| change.clone()).collect();
        assert_eq!(status_changes(&store, id).await, changes, "the history is of what has happened");
        let last = changes.last().map(|change| change.to);
        assert_eq!(Some(ok(store.conversion(id).await, "conversion").status), last, "each can be approved");
    }
    let counted = summary(&store, click.affiliate_id).await;
    let all = counted.conversions() + counted.rejected.conversions;
    assert_eq!(all as usize, PARALLEL / 2 + PARALLEL, "no conversion may be lost from the count, or counted twice");
    assert_recount(&store, click.affiliate_id).await;
}

pub(super) async fn any_changes_are_counted_exactly(store: Arc<dyn Store>) {
    let campaign = a_campaign(&store).await;
    for (worths, steps) in rounds() {
        let affiliate = an_affiliate(&store).await;
        let click = a_click(&store, (affiliate, campaign), "abc123", time(0)).await;
        let mut expected: BTreeMap<ConversionId, (Conversion, Vec<StatusChange>)> = BTreeMap::new();
        for (index, ((amount, currency), payout, status)) in worths.into_iter().enumerate() {
            let new = with_transaction(new_conversion(&click, time(1)), &index.to_string());
            let new = of_status(with_worth(new, amount, currency), status);
            let new = match payout {
                Some((amount, currency)) => with_payout(new, amount, currency),
                None => new,
            };
            let conversion = a_conversion(&store, new).await;
            expected.insert(conversion.id, (conversion, Vec::new()));
        }
        let ids: Vec<ConversionId> = expected.keys().copied().collect();
        let steps = steps.into_iter().filter(|(_, from, to)| from.can_become(*to));
        for (step, (index, from, to)) in steps.enumerate() {
            let id = ids[index % ids.len()];
            let (conversion, changes) = expected.get_mut(&id).expect("one of the ids");
            let change = change(from, to, time(step as i64));
            let changed = change_status(&store, id, change.clone()).await;
            assert_eq!(changed.is_some(), conversion.status == from, "a change happens if the status is {from}");
            if changed.is_some() {
                conversion.status = to;
                changes.push(change);
            }
        }
        for (id, (conversion, changes)) in expected {
            assert_eq!(ok(store.conversion(id).await, "conversion"), conversion);
            assert_eq!(status_changes(&store, id).await, changes);
        }
        assert_recount(&store, affiliate).await;
    }
}

/// Amounts with their currencies, of conversions and perhaps of what they pay, and the statuses they begin with.
type Worth = ((&'static str, &'static str), Option<(&'static str, &'static str)>, ConversionStatus);

/// To change the status of one of several from one to another.
type Attempt = (usize, ConversionStatus, ConversionStatus);

/// Some conversions, and attempts to change them. The same in every run.
fn rounds() -> Vec<(Vec<Worth>, Vec<Attempt>)> {
    let worth = select(&[("0", "USD"), ("0.1", "USD"), ("999999999999.999999", "EUR"), ("5", "JPY")]);
    let payout = prop::option::of(select(&[("0", "EUR"), ("0.000000000001", "USD"), ("12.5", "EUR")]));
    let status = || select(&ConversionStatus::ALL);
    let conversions = prop::collection::vec((worth, payout, status()), 1..=8);
    let steps = prop::collection::vec((0..8usize, status(), status()), 0..=24);
    let rounds = prop::collection::vec((conversions, steps), 24);
    let tree = rounds.new_tree(&mut TestRunner::deterministic());
    tree.expect("nothing is filtered out").current()
}
