use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::{Strategy, any, prop};
use proptest::sample::select;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use super::given::*;
use crate::ConversionStatus::{Approved, Pending};
use crate::{
    AffiliateId, BotReason, CampaignId, Click, Conversion, ConversionStatus, EventName, NewConversion, Recorded, Store,
    Summary, TransactionId,
};

pub(super) async fn fresh_affiliate_has_nothing(store: Arc<dyn Store>) {
    let affiliate = an_affiliate(&store).await;
    assert_eq!(summary(&store, affiliate).await, Summary::default(), "a fresh affiliate has brought nothing");
}

pub(super) async fn each_record_is_counted_once(store: Arc<dyn Store>) {
    let place = an_affiliate_and_a_campaign(&store).await;
    for count in 1..=3 {
        let id = format!("click-{count}");
        let click = a_click(&store, place, &id, time(0)).await;
        expect_duplicate(insert_click(&store, new_click(place, &id, time(1))).await);
        assert_eq!(summary(&store, place.0).await.clicks, count, "a new click is counted at once, a repeated one never");

        let new = new_conversion(&click, time(1));
        a_conversion(&store, new.clone()).await;
        expect_duplicate(insert_conversion(&store, with_worth(new, "77", "EUR")).await);
        let summary = summary(&store, place.0).await;
        assert_eq!(summary.conversions(), count, "a new conversion is counted at once, a repeated one never");
        let expected = [format!("{} USD", count * 10)];
        assert_eq!(printed(&summary), expected, "revenue is that of the recorded conversions");
    }
}

pub(super) async fn sums_are_exact(store: Arc<dyn Store>) {
    let greatest = "999999999999.999999";
    let cases: [(&[&str], &str); 5] = [
        (&["0.1"; 10], "1"),
        (&["0.000001"; 3], "0.000003"),
        (&["0.1", "0.2"], "0.3"),
        (&[greatest; 10], "9999999999999.99999"),
        (&[greatest, "0.000001", "0.000001"], "1000000000000.000001"),
    ];
    let campaign = a_campaign(&store).await;
    for (amounts, sum) in cases {
        let affiliate = an_affiliate(&store).await;
        let click = a_click(&store, (affiliate, campaign), "abc123", time(0)).await;
        for (index, amount) in amounts.iter().enumerate() {
            let new = with_transaction(new_conversion(&click, time(1)), &index.to_string());
            a_conversion(&store, with_payout(with_worth(new, amount, "USD"), amount, "USD")).await;
        }
        let summary = summary(&store, affiliate).await;
        assert_eq!(printed(&summary), [format!("{sum} USD")], "a sum must be exact to the last digit");
        assert_eq!(summary.payout(), summary.revenue(), "a sum must be exact to the last digit");
        assert_recount(&store, affiliate).await;
    }
}

pub(super) async fn currencies_are_summed_apart(store: Arc<dyn Store>) {
    let click = one_click(&store).await;
    let worths = [("1.5", "USD"), ("3", "JPY"), ("2.25", "EUR"), ("0.75", "EUR"), ("0", "KWD"), ("1", "USD")];
    for (index, (amount, currency)) in worths.into_iter().enumerate() {
        let new = with_transaction(new_conversion(&click, time(1)), &index.to_string());
        a_conversion(&store, with_payout(with_worth(new, amount, currency), "0.000000000001", "EUR")).await;
    }
    let summary = summary(&store, click.affiliate_id).await;
    let payout: Vec<String> = summary.payout().iter().map(|(currency, sum)| format!("{sum} {currency}")).collect();
    assert_eq!(payout, ["0.000000000006 EUR"], "a payout is summed in its own currency");
    assert_eq!(
        printed(&summary),
        ["3 EUR", "3 JPY", "2.5 USD"],
        "revenue has one sum for each currency, but for those whose sum is zero"
    );
    assert_eq!(summary.conversions(), 6);
}

pub(super) async fn statuses_are_counted_apart(store: Arc<dyn Store>) {
    let click = one_click(&store).await;
    let mut expected = Summary { clicks: 1, human_clicks: 1, ..Summary::default() };
    for (count, status) in (1..).zip(ConversionStatus::ALL) {
        for index in 0..count {
            let new = with_transaction(new_conversion(&click, time(1)), &format!("{status}-{index}"));
            let new = with_payout(with_worth(new, "1.5", "EUR"), "0.25", "USD");
            let conversion = a_conversion(&store, of_status(new, status)).await;
            assert_eq!(conversion.status, status);
            let tally = expected.tally_mut(status);
            tally.conversions += 1;
            tally.revenue.add(parse("1.5"), parse("EUR"));
            tally.payout.add(parse("0.25"), parse("USD"));
        }
    }
    expected.unique_clicks = summary(&store, click.affiliate_id).await.unique_clicks;
    assert_eq!(summary(&store, click.affiliate_id).await, expected, "each status has figures of its own");
    assert_recount(&store, click.affiliate_id).await;
}

pub(super) async fn affiliates_are_counted_apart(store: Arc<dyn Store>) {
    let click = one_click(&store).await;
    a_conversion(&store, new_conversion(&click, time(1))).await;
    let before = summary(&store, click.affiliate_id).await;

    let other = an_affiliate(&store).await;
    let of_other = a_click(&store, (other, click.campaign_id), "abc123", time(0)).await;
    a_conversion(&store, new_conversion(&of_other, time(1))).await;
    a_conversion(&store, with_worth(with_transaction(new_conversion(&of_other, time(1)), "order-1"), "5", "EUR")).await;

    assert_eq!(summary(&store, click.affiliate_id).await, before, "another affiliate's records count for him alone");
    assert_eq!(summary(&store, other).await.conversions(), 2);
}

pub(super) async fn parallel_records_are_all_counted(store: Arc<dyn Store>) {
    let place = an_affiliate_and_a_campaign(&store).await;
    let calls = (0..PARALLEL).map(|n| {
        let store = Arc::clone(&store);
        async move {
            let click = a_click(&store, place, &format!("click-{n}"), time(0)).await;
            a_conversion(&store, with_worth(new_conversion(&click, time(1)), "0.1", "USD")).await
        }
    });
    assert_distinct(in_parallel(calls).await.iter().map(|conversion| conversion.id));
    let summary = summary(&store, place.0).await;
    assert_eq!(summary.clicks, PARALLEL as u64, "no parallel click may be lost from the count");
    assert_eq!(summary.conversions(), PARALLEL as u64, "no parallel conversion may be lost from the count");
    assert_eq!(printed(&summary), ["6.4 USD"], "no parallel conversion may be lost from the revenue");
}

pub(super) async fn abandoned_calls_happen_whole_or_not_at_all(store: Arc<dyn Store>) {
    let place = an_affiliate_and_a_campaign(&store).await;
    let click = a_click(&store, place, "abc123", time(0)).await;
    for n in 0..PARALLEL as i64 {
        let (store, click) = (Arc::clone(&store), click.clone());
        let call = tokio::spawn(async move {
            insert_click(&store, new_click(place, &format!("click-{n}"), time(n))).await;
            let new = with_transaction(new_conversion(&click, time(n)), &n.to_string());
            let conversion = insert_conversion(&store, of_status(new, Pending)).await.into_record();
            change_status(&store, conversion.id, change(Pending, Approved, time(n))).await;
        });
        // Some have not begun, some are done, and some are under way.
        for _ in 0..n % 8 {
            tokio::task::yield_now().await;
        }
        call.abort();
        // An error says that it was abandoned in time.
        let _ = call.await;
    }
    // What an abandoned call may still be doing comes before an answer to the same call.
    for n in 0..PARALLEL as i64 {
        insert_click(&store, new_click(place, &format!("click-{n}"), time(n))).await;
        let new = with_transaction(new_conversion(&click, time(n)), &n.to_string());
        let conversion = insert_conversion(&store, of_status(new, Pending)).await.into_record();
        change_status(&store, conversion.id, change(Pending, Approved, time(n))).await;
        let changes = status_changes(&store, conversion.id).await;
        assert_eq!(changes, [change(Pending, Approved, time(n))], "the history and the status change together");
    }
    let all = summary(&store, place.0).await;
    let counted = (all.clicks, all.approved.conversions, all.conversions());
    assert_eq!(counted, (PARALLEL as u64 + 1, PARALLEL as u64, PARALLEL as u64), "nothing is lost or counted twice");
    let daily = daily_conversions(&store, place.1, time(0)).await;
    assert_eq!(daily, PARALLEL as u64, "nothing is lost or counted twice");
    assert_recount(&store, place.0).await;
}

pub(super) async fn any_interleaving_is_counted_exactly(store: Arc<dyn Store>) {
    let campaigns = [a_campaign(&store).await, a_campaign(&store).await];
    let mut all = BTreeMap::from(campaigns.map(|campaign| (campaign, 0)));
    for operations in rounds() {
        let affiliate = an_affiliate(&store).await;
        let tasks = (0..TASKS).map(|task| {
            let store = Arc::clone(&store);
            let mine: Vec<Operation> = operations.iter().skip(task).step_by(TASKS).cloned().collect();
            async move {
                let mut done = Vec::new();
                for operation in mine {
                    done.push(operation.perform(&store, affiliate, campaigns).await);
                    if task == 0 {
                        ok(store.upkeep().await, "upkeep");
                    }
                }
                done
            }
        });
        let done: Vec<Done> = in_parallel(tasks).await.into_iter().flatten().collect();
        let (clicks, conversions): (Vec<_>, Vec<_>) = done.into_iter().unzip();

        let expected = operations.iter().map(|operation| operation.click_identity(campaigns)).collect();
        assert_recorded_once(clicks, all_clicks(&store, affiliate).await, expected, click_identity);
        let expected = operations.iter().filter_map(|operation| operation.conversion_identity(campaigns)).collect();
        let conversions = conversions.into_iter().flatten();
        let listed = all_conversions(&store, affiliate).await;
        for conversion in &listed {
            *all.entry(conversion.campaign_id).or_default() += 1;
            let changes = status_changes(&store, conversion.id).await;
            let (last, rest) = (changes.last(), changes.windows(2));
            assert!(last.is_none_or(|last| last.to == conversion.status), "the last change led to the status that is there");
            rest.for_each(|pair| assert_eq!(pair[0].to, pair[1].from, "each change starts where the one before ended"));
        }
        // What an insert returned may have been changed by then.
        let as_inserted = |mut conversion: Conversion| {
            conversion.status = ConversionStatus::default();
            conversion
        };
        let conversions = conversions.into_iter().map(|recorded: Recorded<Conversion>| match recorded {
            Recorded::New(conversion) => Recorded::New(as_inserted(conversion)),
            Recorded::Duplicate(conversion) => Recorded::Duplicate(as_inserted(conversion)),
        });
        let listed = listed.into_iter().map(as_inserted).collect();
        assert_recorded_once(conversions.collect(), listed, expected, conversion_identity);
        assert_recount(&store, affiliate).await;
    }
    for (campaign, count) in all {
        let daily = daily_conversions(&store, campaign, time(0)).await;
        assert_eq!(daily, count, "the count of a day must equal that of the lists");
    }
}

/// How many tasks share the operations of a round.
const TASKS: usize = 8;

/// A click, and perhaps a conversion of it: out of so few values that many are repeated and many conflict.
#[derive(Debug, Clone)]
struct Operation {
    campaign: bool,
    click_id: &'static str,
    millis: i64,
    visitor: Option<u8>,
    bot: Option<BotReason>,
    conversion: Option<Convert>,
}

#[derive(Debug, Clone)]
struct Convert {
    event: &'static str,
    transaction_id: Option<&'static str>,
    amount: &'static str,
    currency: &'static str,
    payout: Option<(&'static str, &'static str)>,
    status: ConversionStatus,
    change: Option<ConversionStatus>,
}

type Done = (Recorded<Click>, Option<Recorded<Conversion>>);
type ClickIdentity = (CampaignId, String);
type ConversionIdentity = (ClickIdentity, EventName, Option<TransactionId>);

/// The same ones in every run: a case that fails now and then helps nobody.
fn rounds() -> Vec<Vec<Operation>> {
    let convert = (
        select(&["conversion", "sale"]),
        select(&[None, Some("order-1"), Some("order-2")]),
        select(&["0", "0.1", "10", "999999999999.999999"]),
        select(&["USD", "EUR"]),
        prop::option::of(select(&[("0", "USD"), ("2.5", "EUR"), ("0.000000000001", "USD")])),
        select(&ConversionStatus::ALL),
        prop::option::of(select(&ConversionStatus::ALL)),
    );
    let convert =
        convert.prop_map(|(event, transaction_id, amount, currency, payout, status, change)| Convert {
            event,
            transaction_id,
            amount,
            currency,
            payout,
            status,
            change,
        });
    let conversion = prop::option::weighted(0.6, convert);
    let (visitor, bot) = (prop::option::of(0..3u8), prop::option::weighted(0.3, select(BotReason::ALL)));
    let operation = (any::<bool>(), select(&["abc", "ABC", "abd", "x"]), 0..20i64, visitor, bot, conversion);
    let operation = operation.prop_map(|(campaign, click_id, millis, visitor, bot, conversion)| Operation {
        campaign,
        click_id,
        millis,
        visitor,
        bot,
        conversion,
    });
    let rounds = prop::collection::vec(prop::collection::vec(operation, 1..=60), 24);
    let tree = rounds.new_tree(&mut TestRunner::deterministic()).expect("nothing is filtered out");
    tree.current()
}

impl Operation {
    async fn perform(self, store: &Arc<dyn Store>, affiliate: AffiliateId, campaigns: [CampaignId; 2]) -> Done {
        let campaign = campaigns[usize::from(self.campaign)];
        let mut new = new_click((affiliate, campaign), self.click_id, time(self.millis));
        if let Some(visitor) = self.visitor {
            new = of_visitor(new, visitor, 100 + visitor);
        }
        if let Some(reason) = self.bot {
            new = of_bot(new, reason);
        }
        let click = insert_click(store, new).await;
        let Some(convert) = self.conversion else { return (click, None) };
        let new = NewConversion {
            event: parse(convert.event),
            transaction_id: convert.transaction_id.map(parse),
            amount: parse(convert.amount),
            currency: parse(convert.currency),
            payout: convert.payout.map(|(amount, currency)| payout(amount, currency)),
            status: convert.status,
            ..new_conversion(click.record(), time(self.millis))
        };
        let recorded = insert_conversion(store, new).await;
        let conversion = recorded.record();
        if let Some(to) = convert.change.filter(|to| conversion.status.can_become(*to)) {
            // Somebody else may have changed it before.
            change_status(store, conversion.id, change(conversion.status, to, time(self.millis))).await;
        }
        (click, Some(recorded))
    }

    fn click_identity(&self, campaigns: [CampaignId; 2]) -> ClickIdentity {
        (campaigns[usize::from(self.campaign)], self.click_id.to_owned())
    }

    fn conversion_identity(&self, campaigns: [CampaignId; 2]) -> Option<ConversionIdentity> {
        let convert = self.conversion.as_ref()?;
        Some((self.click_identity(campaigns), parse(convert.event), convert.transaction_id.map(parse)))
    }
}

fn click_identity(click: &Click) -> ClickIdentity {
    (click.campaign_id, click.click_id.to_string())
}

fn conversion_identity(row: &Conversion) -> ConversionIdentity {
    ((row.campaign_id, row.click_id.to_string()), row.event.clone(), row.transaction_id.clone())
}

/// Each expected identity must have been new once, be listed once, and be what each of its duplicates got.
fn assert_recorded_once<T, I>(
    done: Vec<Recorded<T>>,
    listed: Vec<T>,
    expected: BTreeSet<I>,
    identity: impl Fn(&T) -> I,
) where
    T: Clone + PartialEq + std::fmt::Debug,
    I: Ord + std::fmt::Debug,
{
    let by_identity: BTreeMap<I, &T> = listed.iter().map(|row| (identity(row), row)).collect();
    assert_eq!(by_identity.len(), listed.len(), "no two records may have one identity");
    assert!(by_identity.keys().eq(&expected), "the list must hold each identity that was inserted, and no other");
    let new = done.iter().filter(|recorded| !recorded.is_duplicate()).count();
    assert_eq!(new, expected.len(), "each identity must be new exactly once");
    for recorded in &done {
        let record = recorded.record();
        assert_eq!(by_identity.get(&identity(record)), Some(&record), "every insert must get the record that is there");
    }
}

fn printed(summary: &Summary) -> Vec<String> {
    summary.revenue().iter().map(|(currency, sum)| format!("{sum} {currency}")).collect()
}
