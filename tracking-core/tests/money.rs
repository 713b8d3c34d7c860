//! Sums of money, against sums of whole millionths.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::sample::select;
use tracking_core::rust_decimal::Decimal;
use tracking_core::{Amount, Currency, Totals};

fn amount(micros: u128) -> Amount {
    format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000).parse().unwrap()
}

fn millionths() -> impl Strategy<Value = u128> {
    let all = 10u128.pow(18);
    prop_oneof![0..all, 0..1000u128, all - 1000..all, (0..all / 10_000).prop_map(|cents| cents * 10_000)]
}

proptest! {
    #[test]
    fn totals_are_exact(amounts in prop::collection::vec((millionths(), select(&["USD", "EUR", "JPY"])), 0..200)) {
        let (mut totals, mut expected) = (Totals::default(), BTreeMap::new());
        for (micros, code) in &amounts {
            totals.add(amount(*micros), code.parse().unwrap());
            *expected.entry(*code).or_insert(0u128) += micros;
        }
        let sums: Vec<(&str, Decimal)> = totals.iter().map(|(currency, sum)| (currency.code(), sum)).collect();
        let expected: Vec<(&str, Decimal)> = expected
            .into_iter()
            .filter(|(_, micros)| *micros > 0)
            .map(|(code, micros)| (code, Decimal::from_i128_with_scale(micros.try_into().unwrap(), 6)))
            .collect();
        prop_assert_eq!(sums, expected, "one exact sum for each currency, in the order of the codes");
        prop_assert_eq!(totals.is_empty(), amounts.iter().all(|(micros, _)| *micros == 0));
    }

    #[test]
    fn totals_do_not_depend_on_the_order(
        (forth, back) in prop::collection::vec((millionths(), select(&["USD", "EUR"])), 0..50)
            .prop_flat_map(|amounts| (Just(amounts.clone()), Just(amounts).prop_shuffle())),
    ) {
        let [forth, back] = [forth, back].map(|amounts| {
            let mut totals = Totals::default();
            amounts.into_iter().for_each(|(micros, code)| totals.add(amount(micros), code.parse().unwrap()));
            totals
        });
        prop_assert_eq!(forth, back);
    }
}

#[test]
fn sums_are_in_their_shortest_form() {
    let usd: Currency = "USD".parse().unwrap();
    let mut totals = Totals::default();
    for text in ["0.75", "0.25", "99.000000"] {
        totals.add(text.parse().unwrap(), usd);
    }
    totals.add_sum(Decimal::new(2_500, 2), usd);
    assert_eq!(totals.iter().map(|(_, sum)| sum.to_string()).collect::<Vec<_>>(), ["125"]);
}

#[test]
fn a_currency_whose_sum_is_zero_is_not_listed() {
    let usd: Currency = "USD".parse().unwrap();
    let mut totals = Totals::default();
    totals.add("0".parse().unwrap(), usd);
    assert!(totals.is_empty());
    totals.add("7.5".parse().unwrap(), usd);
    totals.add_sum("-7.5".parse().unwrap(), usd);
    assert_eq!(totals, Totals::default());
}
