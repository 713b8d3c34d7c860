//! Arbitrary bytes as query, headers and body of a postback, and of a question what would become of it: there is an
//! answer that says what is wrong, a question changes nothing, and its answer comes true.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use std::cell::Cell;
use std::net::{IpAddr, Ipv4Addr};

use proptest::prelude::*;
use proptest::sample::select;
use serde_json::Value;
use storage_memory::MemoryStore;
use tokio::runtime::Runtime;
use tracking_core::{CampaignRequest, ClickRequest, OutcomeKind, PostbackAuth, PostbackFilter, Secret, Tracker};
use tracking_http::bytes::Bytes;
use tracking_http::http::request::Parts;
use tracking_http::http::{HeaderValue, Method, Request};
use tracking_http::{Api, Body, BodyError, Resolution, guard};

const NAMES: &[&str] = &[
    "click_id",
    "affiliate_id",
    "campaign_id",
    "amount",
    "currency",
    "event",
    "transaction_id",
    "status",
    "timestamp",
    "sub1",
    "token",
    "signature",
    "signed_at",
    "explain_source",
    "other",
];

const VALUES: &[&str] = &[
    "1",
    "2",
    "abc123",
    "99.95",
    "1e2",
    "-1",
    "USD",
    "EUR",
    "sale",
    "approved",
    "rejected",
    "pending",
    "1692804645",
    "2023-08-23T15:30:45Z",
    "",
    "%",
    "%zz",
    "%C3%A4",
    "%00",
    "99999999999999999999",
    "aptk_x",
];

const JSON_VALUES: &[&str] = &[
    "1",
    "2",
    "\"abc123\"",
    "99.95",
    "1e2",
    "1.50E1",
    "-1",
    "1e999999999",
    "\"USD\"",
    "\"EUR\"",
    "\"sale\"",
    "true",
    "null",
    "\"approved\"",
    "\"pending\"",
    "{}",
    "[1]",
    "\"\\ud800\"",
    "\"\\u0000\"",
    "\"ä\"",
    "01",
    "NaN",
    "\"",
];

/// Parameters as they may stand in a query or a form, or what no encoder would write.
fn form() -> impl Strategy<Value = Vec<u8>> {
    let pair = (select(NAMES), select(VALUES)).prop_map(|(name, value)| format!("{name}={value}"));
    let pair = prop_oneof![9 => pair, 1 => Just("token=pbk_guess".to_owned())];
    let sale = "affiliate_id=1&click_id=abc123&amount=5&currency=USD".to_owned();
    prop_oneof![
        4 => prop::collection::vec(pair, 0..8).prop_map(|pairs| pairs.join("&").into_bytes()),
        2 => prop::collection::vec((select(NAMES), select(VALUES)), 0..3).prop_map(move |pairs| {
            let more = pairs.iter().map(|(name, value)| format!("&{name}={value}"));
            (sale.clone() + &more.collect::<String>()).into_bytes()
        }),
        1 => bytes(),
    ]
}

fn json() -> impl Strategy<Value = Vec<u8>> {
    let fields = |sale: &'static str| {
        prop::collection::vec((select(NAMES), select(JSON_VALUES)), 0..8).prop_map(move |fields| {
            let fields: Vec<String> = fields.iter().map(|(name, value)| format!(r#""{name}": {value}"#)).collect();
            format!("{{{sale}{}}}", fields.join(", ")).into_bytes()
        })
    };
    let sale = r#""affiliate_id": 1, "click_id": "abc123", "amount": 5.0, "currency": "USD""#;
    prop_oneof![
        4 => fields(""),
        1 => Just(format!("{{{sale}}}").into_bytes()),
        1 => fields(r#""affiliate_id": 1, "click_id": "abc123", "#),
        1 => bytes(),
        1 => bytes().prop_map(|bytes| [b"{", &bytes[..], b"}"].concat()),
    ]
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..40)
}

/// A text that can stand in a request line as a query.
fn query() -> impl Strategy<Value = String> {
    form().prop_map(|query| {
        let fits = |byte: &u8| byte.is_ascii_graphic() && !b"#\"<>\\^`{|}".contains(byte);
        query.iter().filter(|byte| fits(byte)).map(|byte| char::from(*byte)).collect()
    })
}

const HEADERS: &[&str] = &["authorization", "webhook-id", "webhook-timestamp", "webhook-signature", "x-forwarded-for"];

const HEADER_VALUES: &[&str] =
    &["Bearer pbk_guess", "Bearer ", "msg_1", "1692804645", "v1,AAAA v1,", "203.0.113.7", ""];

fn headers() -> impl Strategy<Value = Vec<(&'static str, Vec<u8>)>> {
    let value = prop_oneof![select(HEADER_VALUES).prop_map(|text| text.as_bytes().to_vec()), bytes()];
    let some = prop::collection::vec((select(HEADERS), value), 0..4);
    let signed = Just(HEADERS[1..4].iter().map(|name| (*name, b"1692804645".to_vec())).collect());
    prop_oneof![3 => Just(Vec::new()), 2 => some, 1 => signed]
}

#[derive(Debug, Clone)]
struct Call {
    method: Method,
    query: String,
    headers: Vec<(&'static str, Vec<u8>)>,
    content_type: &'static str,
    body: Result<Vec<u8>, BodyError>,
}

fn call() -> impl Strategy<Value = Call> {
    let types =
        &["application/json", "application/x-www-form-urlencoded", "text/plain", "application/json;charset=x", ""][..];
    let body = prop_oneof![
        8 => json().prop_map(|body| ("application/json", Ok(body))),
        6 => form().prop_map(|body| ("application/x-www-form-urlencoded", Ok(body))),
        2 => (select(types), prop_oneof![form().boxed(), json().boxed()]).prop_map(|(kind, body)| (kind, Ok(body))),
        1 => select(&[BodyError::TooLarge, BodyError::Incomplete][..]).prop_map(|error| ("application/json", Err(error))),
    ];
    let query = prop_oneof![2 => Just(String::new()), 1 => query()];
    let method = prop_oneof![5 => Just(Method::POST), 1 => Just(Method::GET)];
    (method, query, headers(), body).prop_map(|(method, query, headers, (content_type, body))| Call {
        method,
        query,
        headers,
        content_type,
        body,
    })
}

impl Call {
    fn request(&self, path: &str) -> Parts {
        let uri = if self.query.is_empty() { path.to_owned() } else { format!("{path}?{}", self.query) };
        let (mut request, ()) = Request::builder().method(&self.method).uri(uri).body(()).unwrap().into_parts();
        request.headers.insert("content-type", HeaderValue::from_static(self.content_type));
        for (name, value) in &self.headers {
            if let Ok(value) = HeaderValue::from_bytes(value) {
                request.headers.append(*name, value);
            }
        }
        request
    }

    fn body(&self) -> Result<Bytes, BodyError> {
        match (&self.method, &self.body) {
            (&Method::POST, Ok(body)) => Ok(body.clone().into()),
            (&Method::POST, Err(error)) => Err(*error),
            _ => Ok(Bytes::new()),
        }
    }
}

#[test]
fn whatever_is_sent_is_answered() {
    let runtime = Runtime::new().unwrap();
    let tracker = std::sync::Arc::new(Tracker::new(MemoryStore::new(), Secret::random()));
    runtime.block_on(async {
        let affiliate = tracker.create_affiliate("Ada".parse().unwrap()).await.unwrap();
        for auth in [PostbackAuth::Open, PostbackAuth::Key] {
            let request = CampaignRequest::new("Shop".parse().unwrap(), "https://shop.example/".parse().unwrap());
            let campaign = tracker.create_campaign(request.postback_auth(auth)).await.unwrap().campaign;
            let click = ClickRequest::new(affiliate.id, campaign.id).click_id("abc123".parse().unwrap());
            tracker.record_click(click).await.unwrap();
        }
    });
    let api = Api::new(std::sync::Arc::clone(&tracker), guard::open());
    let peer = Some(IpAddr::V4(Ipv4Addr::LOCALHOST));
    let answer = |call: &Call, path: &str| {
        let Resolution::Found(matched) = Resolution::of(&call.method, path) else { panic!("no route") };
        let response = runtime.block_on(api.handle(matched, &call.request(path), peer, call.body()));
        let Body::Whole(body) = response.body() else { panic!("no answer of a postback is streamed") };
        (response.status().as_u16(), serde_json::from_slice::<Value>(body).unwrap())
    };
    let conversions = || runtime.block_on(tracker.summary(1.try_into().unwrap())).unwrap();

    // More if somebody asks for them by PROPTEST_CASES.
    let mut config = ProptestConfig::with_cases(ProptestConfig::default().cases.max(20_000));
    config.failure_persistence = None;
    let (taken, unreadable) = (Cell::new(0), Cell::new(0));
    proptest!(config, |(call in call())| {
        let before = conversions();
        let foretold = if call.method == Method::POST {
            let (status, explained) = answer(&call, "/postback/explain");
            prop_assert!([200, 400].contains(&status), "{status}: {explained}");
            prop_assert_eq!(&conversions(), &before, "a question changes nothing");
            (status == 200).then(|| explained["data"]["outcome"].as_str().unwrap().to_owned())
        } else {
            None
        };
        let (status, answered) = answer(&call, "/postback");
        let text = answered.to_string();
        prop_assert!(!text.contains("pbk_guess"), "{}", text);
        let code = match status {
            200 => match (answered.get("duplicate"), answered.get("previous_status")) {
                (Some(_), _) => "duplicate",
                (_, Some(_)) => "status_changed",
                _ => "accepted",
            },
            400..=429 => answered["error"]["code"].as_str().unwrap(),
            _ => return Err(TestCaseError::fail(format!("{status}: {text}"))),
        };
        let kind: OutcomeKind = code.parse().map_err(|_| TestCaseError::fail(text.clone()))?;
        prop_assert_eq!(kind.is_success(), status == 200);
        // But for what only one of the two reads, and for what depends on how often a call failed.
        let is_asked_alike = !call.query.contains("explain_source")
            && !call.headers.iter().any(|(name, _)| *name == "authorization")
            && !call.body.as_ref().is_ok_and(|body| body.windows(14).any(|part| part == b"explain_source"));
        if let Some(foretold) = foretold.filter(|_| is_asked_alike && kind != OutcomeKind::TooManyFailures) {
            prop_assert_eq!(foretold, code, "{}", text);
        }
        taken.set(taken.get() + usize::from(status == 200));
        unreadable.set(unreadable.get() + usize::from(kind == OutcomeKind::InvalidBody));
    });
    assert!(
        taken.get() > 1_000 && unreadable.get() > 1_000,
        "{taken:?} of 20,000 were taken, {unreadable:?} unreadable"
    );
    let logged = runtime.block_on(async {
        let page = tracker.postbacks(&PostbackFilter::default(), Default::default()).await.unwrap();
        assert!(page.items.iter().all(|row| !row.parameters.contains("pbk_")));
        page.items.len()
    });
    assert_eq!(logged, 100, "a whole page");
}
