//! Every type that parses, against an independent statement of its rule.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that can't go on has failed")]

use std::fmt::{Debug, Display};
use std::str::FromStr;

use proptest::prelude::*;
use proptest::sample::select;
use tracking_core::rust_decimal::Decimal;
use tracking_core::{
    AffiliateId, Amount, CampaignId, CampaignRules, ClickId, ClickRecordId, ConversionId, ConversionRequest,
    ConversionStatus, Currency, Cursor, DestinationUrl, EventName, KeyKind, Limit, Name, OutcomeKind, Parameters,
    ParseError, Payout, PayoutRule, PostbackAccess, Problem, Reason, Repeats, SigningKey, Timestamp, TransactionId,
    WhilePaused,
};
use url::Url;

/// Texts of every kind: any characters at all, and those that nearly are what parsers look for.
fn texts() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[!-~]{0,110}",
        "[ -~]{0,20}",
        "[0-9]{0,25}",
        "[+-]?[0-9]{1,14}(\\.[0-9]{0,9})?(e[0-9])?",
        "[0-9a-fA-F+-]{1,17}-[0-9a-fA-F+-]{1,17}",
        "[A-Za-z]{2,4}",
        "[A-Za-z0-9._-]{1,70}",
        "\\PC{0,110}",
        "[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})",
        "(https?://)?[a-z.@:{}/\\\\?#]{0,30}",
    ]
}

/// What is accepted obeys `rule` and nothing else does; what is refused is told in a sentence.
fn check<T>(text: &str, rule: impl Fn(&str) -> bool) -> Result<(), TestCaseError>
where
    T: FromStr<Err = ParseError> + Debug,
{
    let parsed = text.parse::<T>();
    prop_assert_eq!(parsed.is_ok(), rule(text), "{:?} gave {:?}", text, parsed);
    if let Err(error) = parsed {
        check_sentence(&error, text)?;
    }
    Ok(())
}

fn check_sentence(error: &ParseError, text: &str) -> Result<(), TestCaseError> {
    let sentence = error.to_string();
    let has_subject = sentence.starts_with("a ") || sentence.starts_with("an ");
    let has_verb = [" must ", " may ", " has "].iter().any(|verb| sentence.contains(verb));
    prop_assert!(has_subject && has_verb, "not a sentence: {}", sentence);
    prop_assert!(!sentence.ends_with('.'), "it will stand within others: {}", sentence);
    prop_assert!(!sentence.contains(char::is_control), "it must be fit to be shown: {:?}", sentence);
    let is_long_enough_to_tell = text.chars().count() > 12 && !text.chars().all(char::is_alphanumeric);
    prop_assert!(!is_long_enough_to_tell || !sentence.contains(text), "the value is repeated: {}", sentence);
    Ok(())
}

fn round_trips<T>(value: &T) -> Result<(), TestCaseError>
where
    T: FromStr<Err = ParseError> + Debug + Display + PartialEq,
{
    prop_assert_eq!(&value.to_string().parse::<T>().unwrap(), value);
    Ok(())
}

fn is_number_up_to(text: &str, max: u64) -> bool {
    let digits = text.trim_start_matches('0');
    let is_digits = !text.is_empty() && text.chars().all(|c| "0123456789".contains(c));
    // Of two numbers without leading zeros the longer is greater, and of equal lengths texts compare as numbers.
    let max = max.to_string();
    is_digits && !digits.is_empty() && (digits.len(), digits) <= (max.len(), max.as_str())
}

fn is_visible_ascii(text: &str) -> bool {
    (1..=100).contains(&text.chars().count()) && text.bytes().all(|byte| (0x21..=0x7e).contains(&byte))
}

fn is_event(text: &str) -> bool {
    const ALLOWED: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-.";
    (1..=64).contains(&text.len()) && text.chars().all(|c| ALLOWED.contains(c))
}

fn is_name(text: &str) -> bool {
    let is_space = |c: &char| c.is_whitespace();
    let trimmed: Vec<char> = text.chars().skip_while(is_space).collect();
    let kept = trimmed.len() - trimmed.iter().rev().take_while(|c| is_space(c)).count();
    let is_control = |c: char| c < ' ' || ('\u{7f}'..='\u{9f}').contains(&c);
    let is_invisible =
        |c: char| "\u{ad}\u{200b}\u{200e}\u{200f}\u{feff}".contains(c) || ('\u{2060}'..='\u{206f}').contains(&c);
    let is_directional = |c: char| ('\u{2028}'..='\u{202e}').contains(&c);
    let is_refused = |c: char| is_control(c) || is_invisible(c) || is_directional(c);
    (1..=100).contains(&kept) && !trimmed[..kept].iter().any(|&c| is_refused(c))
}

/// The number of millionths, if the text is an amount.
fn micros(text: &str) -> Option<u128> {
    let mut parts = text.split('.');
    let (integer, fraction) = (parts.next()?, parts.next());
    let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if parts.next().is_some() || !is_digits(integer) || !fraction.is_none_or(is_digits) {
        return None;
    }
    let (kept, dropped) = fraction.unwrap_or("").split_at(fraction.unwrap_or("").len().min(6));
    if dropped.bytes().any(|byte| byte != b'0') {
        return None;
    }
    let micros = format!("{integer}{kept:0<6}")
        .trim_start_matches('0')
        .parse::<u128>()
        .or_else(|error| if *error.kind() == std::num::IntErrorKind::Empty { Ok(0) } else { Err(error) });
    micros.ok().filter(|micros| *micros < 10u128.pow(18))
}

/// The shortest form of so many millionths.
fn shortest(micros: u128) -> String {
    let text = format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

proptest! {
    #[test]
    fn numbers_obey_their_rule(text in texts()) {
        check::<AffiliateId>(&text, |text| is_number_up_to(text, 2_147_483_647))?;
        check::<CampaignId>(&text, |text| is_number_up_to(text, 2_147_483_647))?;
        check::<ClickRecordId>(&text, |text| is_number_up_to(text, 9_223_372_036_854_775_807))?;
        check::<ConversionId>(&text, |text| is_number_up_to(text, 9_223_372_036_854_775_807))?;
        check::<Limit>(&text, |text| is_number_up_to(text, 1000))?;
    }

    #[test]
    fn numbers_round_trip(id in 1..=AffiliateId::MAX, record in 1..=ConversionId::MAX, zeros in 0..30usize) {
        round_trips(&AffiliateId::new(id).unwrap())?;
        round_trips(&CampaignId::new(id).unwrap())?;
        round_trips(&ClickRecordId::new(record).unwrap())?;
        round_trips(&ConversionId::new(record).unwrap())?;
        prop_assert_eq!(format!("{}{id}", "0".repeat(zeros)).parse::<AffiliateId>().unwrap().as_u64(), id);
    }

    #[test]
    fn texts_obey_their_rule(text in texts()) {
        check::<ClickId>(&text, is_visible_ascii)?;
        check::<TransactionId>(&text, is_visible_ascii)?;
        check::<EventName>(&text, is_event)?;
        check::<Name>(&text, is_name)?;
    }

    #[test]
    fn texts_come_back_as_they_are(text in "[!-~]{1,100}", event in "[A-Za-z0-9._-]{1,64}", name in "\\PC{1,100}") {
        let click_id: ClickId = text.parse().unwrap();
        prop_assert_eq!(click_id.as_str(), &text);
        round_trips(&click_id)?;
        let transaction_id: TransactionId = text.parse().unwrap();
        prop_assert_eq!(transaction_id.as_str(), &text);
        round_trips(&transaction_id)?;
        let parsed: EventName = event.parse().unwrap();
        prop_assert_eq!(parsed.as_str(), &event);
        round_trips(&parsed)?;
        if let Ok(parsed) = name.parse::<Name>() {
            prop_assert_eq!(parsed.as_str(), name.trim());
            round_trips(&parsed)?;
        }
    }

    #[test]
    fn amounts_obey_their_rule(text in texts()) {
        check::<Amount>(&text, |text| micros(text).is_some())?;
        if let (Ok(amount), Some(micros)) = (text.parse::<Amount>(), micros(&text)) {
            prop_assert_eq!(amount.to_string(), shortest(micros));
        }
    }

    #[test]
    fn amounts_are_exact(micros in 0..10u128.pow(18), zeros in 0..30usize, leading in 0..30usize) {
        let text = format!("{}{}.{:06}{}", "0".repeat(leading), micros / 1_000_000, micros % 1_000_000, "0".repeat(zeros));
        let amount: Amount = text.parse().unwrap();
        prop_assert_eq!(amount.to_string(), shortest(micros));
        prop_assert_eq!(amount.as_decimal() * Decimal::from(1_000_000), Decimal::from(micros));
        prop_assert_eq!(Amount::new(amount.as_decimal()).unwrap(), amount);
        prop_assert_eq!(Amount::new(Decimal::from_str_exact(&shortest(micros)).unwrap()).unwrap(), amount);
        round_trips(&amount)?;
    }

    #[test]
    fn amounts_are_ordered_as_numbers(one in 0..10u128.pow(18), other in 0..10u128.pow(18)) {
        let [first, second] = [one, other].map(|micros| shortest(micros).parse::<Amount>().unwrap());
        prop_assert_eq!(first.cmp(&second), one.cmp(&other));
    }

    #[test]
    fn a_seventh_digit_is_never_rounded_away(micros in 0..10u128.pow(18), digit in 1..=9u8, zeros in 0..5usize) {
        let text = format!("{}.{:06}{}{digit}", micros / 1_000_000, micros % 1_000_000, "0".repeat(zeros));
        let error = text.parse::<Amount>().unwrap_err();
        prop_assert_eq!(error.problem(), &Problem::TooPrecise { max: 6 });
        let error = Amount::new(Decimal::from_str_exact(&text).unwrap()).unwrap_err();
        prop_assert_eq!(error.problem(), &Problem::TooPrecise { max: 6 });
    }

    #[test]
    fn any_decimal_is_an_amount_or_refused(mantissa in any::<i64>(), scale in 0..=28u32) {
        let value = Decimal::new(mantissa, scale);
        // Printed, it has no sign but `-` and no exponent: what the parser says of that text must hold for the number.
        let expected = value.abs().to_string().parse::<Amount>();
        let is_negative = mantissa < 0;
        let amount = Amount::new(value);
        prop_assert_eq!(amount.is_ok(), expected.is_ok() && !is_negative, "{}", value);
        if let (Ok(amount), Ok(expected)) = (amount, expected) {
            prop_assert_eq!(amount, expected);
        }
    }

    #[test]
    fn currencies_never_panic(text in texts()) {
        match text.parse::<Currency>() {
            Ok(currency) => prop_assert_eq!(currency.code(), text.to_uppercase()),
            Err(error) => check_sentence(&error, &text)?,
        }
    }

    #[test]
    fn times_never_panic(text in texts()) {
        match text.parse::<Timestamp>() {
            Ok(time) => round_trips(&time)?,
            Err(error) => check_sentence(&error, &text)?,
        }
    }

    #[test]
    fn times_round_trip(millis in 0..=253_402_300_799_999i64) {
        let time = Timestamp::from_millis(millis).unwrap();
        prop_assert_eq!(time.as_millis(), millis);
        prop_assert_eq!(Timestamp::from(time.to_datetime()), time);
        let text = time.to_string();
        let template = "dddd-dd-ddTdd:dd:dd.dddZ".chars();
        prop_assert_eq!(text.len(), 24);
        let fits = text.chars().zip(template).all(|(c, t)| if t == 'd' { c.is_ascii_digit() } else { c == t });
        prop_assert!(fits, "{}", text);
        round_trips(&time)?;
    }

    #[test]
    fn times_are_read_with_any_offset(millis in 86_400_000..253_402_200_000_000i64, minutes in -1439..=1439i64, finer in 0..1000u32) {
        let time = Timestamp::from_millis(millis).unwrap();
        let local = Timestamp::from_millis(millis + minutes * 60_000).unwrap().to_string();
        let sign = if minutes < 0 { '-' } else { '+' };
        let (hours, rest) = (minutes.abs() / 60, minutes.abs() % 60);
        let text = format!("{}{finer:03}{sign}{hours:02}:{rest:02}", local.trim_end_matches('Z'));
        prop_assert_eq!(text.parse::<Timestamp>().unwrap(), time, "what is finer than a millisecond is cut off");
    }

    #[test]
    fn times_outside_the_range_are_refused(millis in prop_oneof![i64::MIN..0, 253_402_300_800_000..i64::MAX]) {
        prop_assert!(Timestamp::from_millis(millis).is_err());
    }

    #[test]
    fn cursors_obey_their_rule(text in texts()) {
        let is_hexadecimal = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_hexdigit());
        check::<Cursor>(&text, |text| match text.split('-').collect::<Vec<_>>()[..] {
            [millis, id] => {
                let fits = |part: &str, max: u64| u128::from_str_radix(part, 16).is_ok_and(|n| n <= u128::from(max));
                is_hexadecimal(millis) && is_hexadecimal(id) && fits(millis, 253_402_300_799_999) && fits(id, u64::MAX)
            }
            _ => false,
        })?;
    }

    #[test]
    fn cursors_round_trip(millis in 0..=253_402_300_799_999i64, id in any::<u64>()) {
        let created_at = Timestamp::from_millis(millis).unwrap();
        let cursor = Cursor::after(created_at, id);
        prop_assert_eq!((cursor.created_at(), cursor.id()), (created_at, id));
        round_trips(&cursor)?;
    }

    #[test]
    fn destinations_never_panic(text in texts()) {
        match text.parse::<DestinationUrl>() {
            Ok(url) => round_trips(&url)?,
            Err(error) => check_sentence(&error, &text)?,
        }
    }

    /// Whatever a visitor sends, an accepted template leads to the site that it names.
    #[test]
    fn destinations_keep_their_site(
        template in destination_templates(),
        values in prop::collection::vec("[A-Za-z0-9]{0,20}", DestinationUrl::MACROS.len()),
    ) {
        if template.parse::<DestinationUrl>().is_ok() {
            let filled = DestinationUrl::MACROS.iter().zip(&values).fold(template.clone(), |url, (name, value)| {
                url.replace(&format!("{{{name}}}"), value)
            });
            prop_assert!(!filled.contains('{'), "{} has a brace that is no macro", template);
            let [bare, filled] = [template.split('{').next().unwrap(), &filled].map(|url| Url::parse(url).unwrap());
            prop_assert!(matches!(filled.scheme(), "http" | "https"));
            prop_assert_eq!(bare.origin(), filled.origin(), "{}", template);
            prop_assert_eq!(filled.username(), "");
            prop_assert_eq!(filled.password(), None);
        }
    }
}

proptest! {
    #[test]
    fn words_are_read_to_the_letter(text in texts()) {
        fn word<T: FromStr<Err = ParseError> + Debug>(text: &str, words: &[&str]) -> Result<(), TestCaseError> {
            check::<T>(text, |text| words.contains(&text))?;
            words.iter().try_for_each(|word| check::<T>(word, |_| true))
        }
        word::<ConversionStatus>(&text, &["pending", "approved", "rejected"])?;
        word::<KeyKind>(&text, &["token", "signing"])?;
        word::<Repeats>(&text, &["by_transaction", "once"])?;
        word::<WhilePaused>(&text, &["earlier_clicks", "nothing"])?;
    }

    #[test]
    fn outcomes_and_reasons_never_panic(text in texts()) {
        prop_assert_eq!(text.parse::<OutcomeKind>().map(OutcomeKind::code).ok(), OutcomeKind::ALL.iter().map(|kind| kind.code()).find(|code| *code == text));
        if let Ok(reason) = text.parse::<Reason>() {
            prop_assert_eq!(reason.as_str(), &text);
            prop_assert!((1..=255).contains(&text.chars().count()) && !text.chars().any(char::is_control));
        }
        if let Ok(key) = SigningKey::new(&text) {
            let shown = format!("{key:?}");
            prop_assert!(text.starts_with("whsec_") && !shown.contains(&text));
        }
    }

    #[test]
    fn payouts_of_anything_are_exact(
        text in prop_oneof![
            texts(),
            "[0-9]{1,3}(\\.[0-9]{1,5})? ?%",
            "[0-9]{1,12}(\\.[0-9]{1,6})? [A-Z]{3}",
        ],
        micros in 0..10u128.pow(18),
    ) {
        let Ok(rule) = text.parse::<PayoutRule>() else { return Ok(()) };
        prop_assert_eq!(rule.to_string().parse::<PayoutRule>(), Ok(rule));
        let amount: Amount = shortest(micros).parse().unwrap();
        let payout = rule.of(amount, "USD".parse().unwrap());
        prop_assert_eq!(Payout::new(payout.amount(), payout.currency()), Ok(payout), "it can be stored");
        if let PayoutRule::Percent(percentage) = rule {
            // By whole numbers: millionths by ten-thousandths of a hundredth.
            let ten_thousandths: u128 = (percentage.as_decimal() * Decimal::from(10_000)).normalize().to_string().parse().unwrap();
            let expected = Decimal::from_i128_with_scale((micros * ten_thousandths) as i128, 12);
            prop_assert_eq!(payout.amount(), expected);
        }
    }

    #[test]
    fn postbacks_of_anything_are_read_or_refused(
        pairs in prop::collection::vec(
            (
                prop_oneof![
                    8 => select(&["affiliate_id", "click_id", "amount", "currency", "campaign_id", "event", "transaction_id",
                        "status", "timestamp", "sub1", "sub5", "token", "signature", "signed_at"]).prop_map(str::to_owned),
                    1 => any::<String>(),
                ],
                prop_oneof![texts(), Just("1".to_owned()), Just("abc".to_owned()), Just("USD".to_owned())],
            ),
            0..12,
        ),
        max_len in 100..3000usize,
    ) {
        let parameters: Parameters<'_> = pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let has = |name: &str| pairs.iter().filter(|(known, _)| known == name).count();
        match ConversionRequest::from_parameters(&parameters) {
            Ok(request) => prop_assert!(has("click_id") == 1 && request.click_id.as_str().len() <= 100),
            Err(error) => prop_assert!(!error.to_string().contains(char::is_control)),
        }
        let redacted = parameters.redacted(max_len);
        prop_assert!(redacted.len() <= max_len, "{} of {max_len}", redacted.len());
        let canonical = parameters.canonical();
        prop_assert!(canonical.bytes().all(|byte| byte.is_ascii_graphic()));
        // The order in which they come makes no difference.
        let reversed: Parameters<'_> = pairs.iter().rev().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        prop_assert_eq!(reversed.canonical(), canonical);
    }

    #[test]
    fn what_a_store_has_kept_never_panics(text in prop_oneof![texts(), "[{}\\[\\]\":,a-z0-9 ]{0,60}"]) {
        let _ = serde_json::from_str::<CampaignRules>(&text);
        let _ = serde_json::from_str::<PostbackAccess>(&text);
    }
}

fn destination_templates() -> impl Strategy<Value = String> {
    let starts = select(&["https://", "http://", "HTTPS://", "https:", "ftp://", ""]);
    let hosts = select(&[
        "shop.example",
        "shop.example:8080",
        "192.0.2.1",
        "[2001:db8::1]",
        "",
        "a@shop.example",
        "@a.example",
    ]);
    let pieces = select(&[
        "/",
        "?",
        "#",
        "{click_id}",
        "{sub1}",
        "{source}",
        "a",
        "1",
        "@",
        "\\",
        ".",
        ":",
        "{",
        "}",
        "%41",
        "&x=",
        "..",
        "{nope}",
    ]);
    let rest = prop::collection::vec(pieces, 0..8).prop_map(|pieces| pieces.concat());
    (starts, hosts, rest).prop_map(|(start, host, rest)| format!("{start}{host}{rest}"))
}

#[test]
fn ends_of_the_numbers() {
    let affiliate = |text: &str| text.parse::<AffiliateId>().map(AffiliateId::as_u64);
    let out_of_range = Problem::Range { min: 1, max: 2_147_483_647 };
    assert_eq!(affiliate("1"), Ok(1));
    assert_eq!(affiliate("2147483647"), Ok(2_147_483_647));
    for text in
        ["0", "00", "2147483648", "4294967297", "18446744073709551615", "18446744073709551616", "99999999999999999999"]
    {
        assert_eq!(affiliate(text).unwrap_err().problem(), &out_of_range, "{text}");
    }
    for text in ["-1", "+1", "1.0", "1e3", " 1", "1 ", "0x1", "١"] {
        assert!(matches!(affiliate(text).unwrap_err().problem(), Problem::Form { .. }), "{text}");
    }
    assert_eq!(affiliate("").unwrap_err().problem(), &Problem::Empty);
    assert!(AffiliateId::new(0).is_err());
    // The low 32 bits of this one are a valid id.
    assert!(AffiliateId::new((1 << 32) + 1).is_err());
    assert!(ConversionId::new(ConversionId::MAX).is_ok());
    assert!(ConversionId::new(ConversionId::MAX + 1).is_err());
    assert_eq!("9223372036854775807".parse::<ClickRecordId>().unwrap().as_u64(), u64::MAX >> 1);
    assert!("9223372036854775808".parse::<ClickRecordId>().is_err());
    assert_eq!("1000".parse::<Limit>().unwrap().as_usize(), 1000);
    assert_eq!(Limit::default().as_usize(), 100);
    assert!("0".parse::<Limit>().is_err() && "1001".parse::<Limit>().is_err() && "65537".parse::<Limit>().is_err());
}

#[test]
fn ends_of_the_texts() {
    for len in [1, 100] {
        assert!("x".repeat(len).parse::<ClickId>().is_ok());
        assert!("é".repeat(len).parse::<Name>().is_ok());
    }
    let too_long = Problem::TooLong { max: 100 };
    assert_eq!("x".repeat(101).parse::<ClickId>().unwrap_err().problem(), &too_long);
    assert_eq!("é".repeat(101).parse::<Name>().unwrap_err().problem(), &too_long);
    assert_eq!("x".repeat(65).parse::<EventName>().unwrap_err().problem(), &Problem::TooLong { max: 64 });
    assert_eq!(EventName::default().as_str(), "conversion");
    let error = "abc def".parse::<ClickId>().unwrap_err();
    assert!(matches!(error.problem(), Problem::Character { position: 4, found: ' ', .. }), "{error}");
    assert!(" \t\n".parse::<Name>().is_err());
    assert_eq!("  Ada's reviews\n".parse::<Name>().unwrap().as_str(), "Ada's reviews");
    for hidden in ["\u{200b}", "Ada\u{202e}", "\u{2066}Ada", "A\u{ad}da"] {
        assert!(hidden.parse::<Name>().is_err(), "{hidden:?}");
    }
    assert!("می‌خواهم".parse::<Name>().is_ok(), "a joiner is part of the word");
    assert!("a\u{0}b".parse::<Name>().is_err() && "a\nb".parse::<Name>().is_err());
}

#[test]
fn amounts_that_are_equal_are_one() {
    let same: Vec<Amount> =
        ["100", "100.0", "100.00", "100.000000000", "0100"].iter().map(|text| text.parse().unwrap()).collect();
    assert!(same.windows(2).all(|pair| pair[0] == pair[1]));
    assert!(same.iter().all(|amount| amount.to_string() == "100"));
    for text in ["0", "0.0", "000", "0.0000000"] {
        assert_eq!(text.parse::<Amount>().unwrap().to_string(), "0");
    }
    assert_eq!("999999999999.999999".parse::<Amount>().unwrap().to_string(), "999999999999.999999");
    let range = Problem::Range { min: 0, max: 999_999_999_999 };
    assert_eq!("1000000000000".parse::<Amount>().unwrap_err().problem(), &range);
    for text in ["", ".", "1.", ".5", "-1", "+1", "1e3", "1,000", "1 000", "0x10", "NaN", "inf", "1.2.3", "１"] {
        assert!(text.parse::<Amount>().is_err(), "{text:?}");
    }
    assert_eq!(Amount::new(Decimal::new(-1, 6)).unwrap_err().problem(), &range);
    assert_eq!(Amount::new(Decimal::MAX).unwrap_err().problem(), &range);
    let negative_zero = -Decimal::new(0, 2);
    assert_eq!(Amount::new(negative_zero).unwrap().to_string(), "0");
}

#[test]
fn currencies_are_iso_4217() {
    for code in ["USD", "EUR", "GBP", "JPY", "CHF", "INR", "BRL", "KWD", "CLP", "VND"] {
        let currency: Currency = code.parse().unwrap();
        assert_eq!((currency.code(), currency.to_string().as_str()), (code, code));
        assert_eq!(code.to_lowercase().parse(), Ok(currency), "read in any case");
    }
    for text in ["US", "USDT", "ZZZ", "U$D", " USD", "USD ", "840", "$", "Dollar", "ßD", "ｕｓｄ"] {
        assert!(matches!(text.parse::<Currency>().unwrap_err().problem(), Problem::Form { .. }), "{text:?}");
    }
    assert_eq!("".parse::<Currency>().unwrap_err().problem(), &Problem::Empty);
    let [eur, usd] = ["EUR", "USD"].map(|code| code.parse::<Currency>().unwrap());
    assert!(eur < usd, "in the order of the codes");
}

#[test]
fn times_are_rfc_3339() {
    let millis = |text: &str| text.parse::<Timestamp>().map(Timestamp::as_millis);
    assert_eq!(millis("2023-08-23T15:30:45.123Z"), Ok(1_692_804_645_123));
    assert_eq!(millis("2023-08-23T17:30:45.123+02:00"), Ok(1_692_804_645_123));
    assert_eq!(millis("2023-08-23T15:30:45.123999999Z"), Ok(1_692_804_645_123));
    assert_eq!(millis("1970-01-01T00:00:00Z"), Ok(0));
    assert_eq!(millis("9999-12-31T23:59:59.999999Z"), Ok(Timestamp::MAX.as_millis()));
    assert_eq!(Timestamp::MIN.to_string(), "1970-01-01T00:00:00.000Z");
    assert_eq!(Timestamp::MAX.to_string(), "9999-12-31T23:59:59.999Z");
    let bad = [
        "",
        "2023-08-23",
        "2023-08-23T15:30:45",
        "2023-02-29T00:00:00Z",
        "2023-08-23T24:00:00Z",
        "1692804645",
        "1969-12-31T23:59:59.9999Z",
        "9999-12-31T23:59:59-00:01",
        "+10000-01-01T00:00:00Z",
    ];
    for text in bad {
        assert!(millis(text).is_err(), "{text:?}");
    }
}

#[test]
fn destinations() {
    let longest = format!("https://a.example/{}", "x".repeat(1982));
    let good = [
        "https://shop.example",
        "http://shop.example/",
        "HTTPS://SHOP.EXAMPLE/",
        "https://shop.example:8443/a/b?ref={click_id}#x",
        "https://shop.example/{affiliate_id}/{campaign_id}?s={source}&1={sub1}&2={sub2}&3={sub3}&4={sub4}&5={sub5}",
        "https://shop.example?{click_id}",
        "https://shop.example#{click_id}",
        "https://shop.example/{click_id}{click_id}",
        "https://[2001:db8::1]:8080/{sub1}",
        "https://192.0.2.1/?a@b:c",
        "https://shop.example/?next=javascript:alert(1)",
        &longest,
    ];
    for url in good {
        assert_eq!(url.parse::<DestinationUrl>().unwrap().as_str(), url, "a template is kept as it is");
    }

    let too_long = format!("{longest}x");
    let known = Problem::Macro { allowed: DestinationUrl::MACROS };
    let misplaced = Problem::Macro { allowed: &[] };
    let scheme = Problem::Form { expected: "a URL that starts with https:// or http://" };
    let absolute = Problem::Form { expected: "an absolute URL such as https://shop.example/?ref={click_id}" };
    let user = Problem::Form { expected: "a URL without user name and password" };
    let bad = [
        ("", Problem::Empty),
        (too_long.as_str(), Problem::TooLong { max: 2000 }),
        ("javascript:alert(1)", scheme.clone()),
        ("data:text/html,x", scheme.clone()),
        ("ftp://shop.example/", scheme.clone()),
        ("//shop.example/", scheme.clone()),
        ("/path", scheme.clone()),
        ("shop.example", scheme.clone()),
        ("https:shop.example/", scheme.clone()),
        ("https:/shop.example/", scheme.clone()),
        ("{source}://shop.example/", scheme.clone()),
        ("http{sub1}://shop.example/", scheme),
        ("https://", absolute.clone()),
        ("https:///", absolute.clone()),
        ("https://?a", absolute.clone()),
        ("https://:80/", absolute.clone()),
        ("https://shop.example:99999/", absolute.clone()),
        ("https://[::1/", absolute.clone()),
        ("https:///shop.example/", absolute.clone()),
        ("https:///{click_id}", absolute.clone()),
        (r"https://\{click_id}", absolute),
        ("https://shop.example:{sub1}x/", misplaced.clone()),
        ("https://{click_id}.example/", misplaced.clone()),
        ("https://shop.example{click_id}/", misplaced.clone()),
        ("https://shop.example.{click_id}", misplaced.clone()),
        ("https://192.0.2.{sub1}/", misplaced.clone()),
        ("https://shop.example:80{sub1}/", misplaced.clone()),
        ("https://shop.example:{sub1}/", misplaced),
        ("https://@shop.example/", user.clone()),
        ("https://ada@shop.example/", user.clone()),
        ("https://ada:secret@shop.example/", user.clone()),
        ("https://:secret@shop.example/", user.clone()),
        ("https://{click_id}@shop.example/", user.clone()),
        ("https://shop.example:{click_id}@other.example/", user),
        ("https://shop.example/{clickid}", known.clone()),
        ("https://shop.example/{CLICK_ID}", known.clone()),
        ("https://shop.example/{sub6}", known.clone()),
        ("https://shop.example/{}", known.clone()),
        ("https://shop.example/?ref={click_id", known.clone()),
        ("https://shop.example/?ref={click_id&a={sub1}", known.clone()),
        ("https://shop.example/{{click_id}}", known.clone()),
        ("https://shop.example/{", known),
    ];
    for (url, problem) in bad {
        assert_eq!(url.parse::<DestinationUrl>().unwrap_err().problem(), &problem, "{url}");
    }
    for (url, position) in
        [("https://shop.example/a b", 23), ("https://shop.example/\n", 22), ("https://shöp.example/", 11)]
    {
        let error = url.parse::<DestinationUrl>().unwrap_err();
        assert!(matches!(error.problem(), Problem::Character { position: at, .. } if *at == position), "{error}");
    }
}

#[test]
fn json_holds_what_the_parsers_accept() {
    fn check<T>(value: &T, json: &str)
    where
        T: serde::Serialize + serde::de::DeserializeOwned + PartialEq + Debug,
    {
        assert_eq!(serde_json::to_string(value).unwrap(), json);
        assert_eq!(&serde_json::from_str::<T>(json).unwrap(), value);
    }
    check(&"7".parse::<AffiliateId>().unwrap(), "7");
    check(&"abc123".parse::<ClickId>().unwrap(), "\"abc123\"");
    check(&"usd".parse::<Currency>().unwrap(), "\"USD\"");
    check(&Timestamp::MIN, "\"1970-01-01T00:00:00.000Z\"");
    check(&"Ada's reviews".parse::<Name>().unwrap(), "\"Ada's reviews\"");
    check(&"https://shop.example/".parse::<DestinationUrl>().unwrap(), "\"https://shop.example/\"");
    assert!(serde_json::from_str::<AffiliateId>("0").is_err());
    assert!(serde_json::from_str::<ClickId>("\"a b\"").is_err());
    assert!(serde_json::from_str::<Currency>("\"US\"").is_err());
    assert!(serde_json::from_str::<Timestamp>("0").is_err());
    assert!(serde_json::from_str::<DestinationUrl>("\"javascript:alert(1)\"").is_err());
}
