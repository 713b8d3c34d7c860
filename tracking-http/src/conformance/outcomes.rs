//! What becomes of postbacks: answer, log, metrics and explanation are of one mind.

use std::collections::HashMap;
use std::sync::Arc;

use http::{Method, Request};
use serde_json::{Value, json};
use tracking_core::{OutcomeKind, Rule, Secret, StoreError, Tracker};

use super::broken::{BrokenStore, SECRET};
use super::client::Client;
use super::harness::{Site, post_form, post_json, request, send_json, with_header};
use super::counters;
use crate::{Api, postback_status};

/// A call of the postback route.
#[allow(clippy::large_enum_variant, reason = "there is one at a time")]
enum Call {
    Whole(Request<String>),
    /// One that ends too early.
    Cut(String),
}

impl Call {
    async fn send(self, client: &Client) -> (u16, Value) {
        match self {
            Self::Whole(request) => {
                let reply = client.send(request).await;
                if reply.status.as_u16() == 401 {
                    assert_eq!(reply.header("www-authenticate"), r#"Bearer realm="Postbacks""#);
                }
                if reply.status.as_u16() == 429 {
                    assert!((1..=61).contains(&reply.header("retry-after").parse().unwrap()), "{:?}", reply.headers);
                }
                (reply.status.as_u16(), reply.json())
            }
            Self::Cut(text) => {
                let reply = client.send_raw(&text).await;
                let status = reply.split(' ').nth(1).unwrap().parse().unwrap();
                let (_, body) = reply.split_once("\r\n\r\n").unwrap();
                (status, serde_json::from_str(body).unwrap())
            }
        }
    }
}

/// What has this outcome, after what has to be there for it.
async fn leading_to(client: &Client, kind: OutcomeKind) -> Call {
    use OutcomeKind::*;

    let rules = match kind {
        AlreadyConverted => json!({"repeats": "once"}),
        CampaignPaused => json!({"while_paused": "nothing"}),
        WrongCurrency => json!({"currency": "EUR"}),
        EventNotAllowed => json!({"events": {"lead": {}}}),
        OutsideWindow => json!({"attribution_window_seconds": 1}),
        TooFast => json!({"min_seconds_to_convert": 3600}),
        DailyCapReached => json!({"daily_cap": 1}),
        _ => json!({}),
    };
    let is_locked = matches!(kind, MissingKey | WrongKey | WrongSignature | StaleSignature | TooManyFailures);
    let networks = if kind == AddressNotAllowed { json!(["203.0.113.0/24"]) } else { json!([]) };
    let campaign = json!({
        "name": kind.code(),
        "destination_url": "https://shop.example/",
        "postback_auth": if is_locked { "key" } else { "open" },
        "key_kind": if matches!(kind, WrongSignature | StaleSignature) { "signing" } else { "token" },
        "networks": networks,
        "rules": rules,
    });
    let campaign = client.send(post_json("/campaigns", &campaign.to_string())).await.data()["id"].clone();
    let affiliate = if kind == AffiliatePaused { 2 } else { 1 };
    let pause = |path: String| client.send(send_json(Method::PATCH, &path, r#"{"paused": true}"#));
    match kind {
        AffiliatePaused => _ = pause(format!("/affiliates/{affiliate}")).await,
        CampaignPaused => _ = pause(format!("/campaigns/{campaign}")).await,
        _ => {}
    }
    let click = format!("affiliate_id={affiliate}&campaign_id={campaign}&click_id=c-{}", kind.code());
    assert!(client.get(&format!("/click?{click}")).await.status.is_success(), "{click}");

    let sale = format!("/postback?{click}&amount=10&currency=USD");
    let before = match kind {
        Duplicate | Conflict => "",
        StatusChanged => "&status=pending",
        StatusConflict => "&status=rejected",
        AlreadyConverted | DailyCapReached => "&transaction_id=first",
        _ => "nothing",
    };
    if before != "nothing" {
        assert_eq!(client.get(&format!("{sale}{before}")).await.status, 200, "{kind}");
    }
    let elsewhere = "198.51.100.77";
    if kind == TooManyFailures {
        for _ in 0..30 {
            let guess = request(Method::GET, &format!("{sale}&token=pbk_guess"));
            assert_eq!(client.send(with_header(guess, "x-forwarded-for", elsewhere)).await.status, 401);
        }
    }
    let body = sale.strip_prefix("/postback?").unwrap();
    let path = match kind {
        Accepted | Duplicate | AddressNotAllowed | MissingKey | AffiliatePaused | CampaignPaused | WrongCurrency
        | EventNotAllowed | TooFast => sale,
        StatusChanged | StatusConflict => format!("{sale}&status=approved"),
        UnknownConversion => sale.replace("&amount=10", "&status=rejected"),
        AlreadyConverted | DailyCapReached => format!("{sale}&transaction_id=second"),
        Conflict => sale.replace("amount=10", "amount=11"),
        UnknownAffiliate => sale.replace("affiliate_id=1", "affiliate_id=99"),
        UnknownCampaign => sale.replace(&format!("campaign_id={campaign}"), "campaign_id=99999"),
        UnknownClick => sale.replace("click_id=c-", "click_id=d-"),
        ForgedClickId => sale.replace("click_id=c-", "click_id=aptk_"),
        WrongKey | TooManyFailures => format!("{sale}&token=pbk_guess"),
        WrongSignature => format!("{sale}&signed_at=1692804645&signature={}", "0".repeat(64)),
        StaleSignature => format!("{sale}&signed_at=1692800000&signature={}", "0".repeat(64)),
        OutsideWindow => format!("{sale}&timestamp=2023-08-23T15:31:45Z"),
        BeforeClick => format!("{sale}&timestamp=2023-08-23T14:30:45Z"),
        InvalidParameter => sale.replace("amount=10", "amount=ten"),
        ParameterOutOfRange => sale.replace("amount=10", "amount=0.0000001"),
        MalformedQuery => format!("{sale}&sub1=%zz"),
        QueryTooLong => format!("{sale}&x={}", "y".repeat(Api::MAX_QUERY_LEN)),
        UnsupportedMediaType => {
            let call = Request::post("/postback").header("content-type", "text/plain");
            return Call::Whole(call.body(body.to_owned()).unwrap());
        }
        BodyTooLarge => return Call::Whole(post_form("/postback", &"x".repeat(Api::MAX_BODY_LEN + 1))),
        BodyIncomplete => {
            let head = "POST /postback HTTP/1.1\r\nhost: x\r\ncontent-length: 100";
            return Call::Cut(format!("{head}\r\ncontent-type: application/json\r\n\r\n{{\"click_id\""));
        }
        InvalidBody => return Call::Whole(post_json("/postback", r#"{"click_id": {}}"#)),
        kind => panic!("nobody knows what leads to {kind}"),
    };
    let call = request(Method::GET, &path);
    Call::Whole(if kind == TooManyFailures { with_header(call, "x-forwarded-for", elsewhere) } else { call })
}

/// The rows of the log with this outcome, and how many calls they stand for.
async fn logged(client: &Client, kind: OutcomeKind) -> (Vec<Value>, u64) {
    let reply = client.get(&format!("/postbacks?outcome={kind}&limit=1000")).await;
    let rows = reply.data().as_array().unwrap().clone();
    let calls = rows.iter().map(|row| row["calls"].as_u64().unwrap()).sum();
    (rows, calls)
}

pub(super) async fn every_outcome_is_answered_logged_and_counted(site: Site) {
    counters::install();
    let client = site.open_behind_proxy().await;
    let errors: [(OutcomeKind, fn() -> StoreError); 3] = [
        (OutcomeKind::StoreUnavailable, || StoreError::unavailable("test", SECRET)),
        (OutcomeKind::StoreFull, || StoreError::Full { capacity: 1 }),
        (OutcomeKind::Internal, || StoreError::backend("test", SECRET)),
    ];
    let mut broken = HashMap::new();
    for (kind, error) in errors {
        let store = BrokenStore::failing(error).with_log(site.store());
        broken.insert(kind, site.open_tracker(Arc::new(Tracker::new(store, Secret::random()))).await);
    }
    // One whose sender has hung up is answered by nobody.
    for kind in OutcomeKind::ALL.iter().copied().filter(|kind| *kind != OutcomeKind::Abandoned) {
        let (client, call) = match broken.get(&kind) {
            Some(broken) => {
                let sale = "/postback?affiliate_id=1&click_id=c&amount=1&currency=USD";
                (broken, Call::Whole(request(Method::GET, sale)))
            }
            None => (&client, leading_to(&client, kind).await),
        };
        let is_post = !matches!(&call, Call::Whole(call) if call.method() == Method::GET);
        let (_, calls) = logged(client, kind).await;
        let counted = counters::postbacks(kind.code());

        let (status, answer) = call.send(client).await;
        assert_eq!(status, postback_status(kind), "{kind}: {answer}");
        assert_eq!(answer["success"], kind.is_success(), "{kind}: {answer}");
        let message = answer["message"].as_str().unwrap();
        assert!(message.len() > 10, "{kind}: {answer}");
        if kind.is_success() {
            assert_eq!(answer["data"]["amount"], 10, "{kind}: {answer}");
            assert_eq!(answer.get("duplicate").is_some(), kind == OutcomeKind::Duplicate, "{kind}: {answer}");
            assert_eq!(answer.get("previous_status").is_some(), kind == OutcomeKind::StatusChanged, "{kind}: {answer}");
        } else {
            assert_eq!(answer["error"]["code"], kind.code(), "{kind}: {answer}");
            let rule = if broken.contains_key(&kind) { None } else { Some(kind.rule().as_str()) };
            assert_eq!(answer["error"]["rule"].as_str(), rule, "{kind}: {answer}");
            if !broken.contains_key(&kind) {
                assert!(message.ends_with(kind.remedy().unwrap()), "{kind}: {answer}");
            }
        }

        let (rows, calls_then) = logged(client, kind).await;
        assert_eq!(calls_then, calls + 1, "{kind} is in the log");
        assert_eq!((&rows[0]["outcome"], &rows[0]["status"]), (&json!(kind.code()), &json!(status)), "{kind}");
        assert_eq!(rows[0]["problem"].is_null(), kind.is_success(), "{kind}: {}", rows[0]);
        assert_eq!(rows[0]["remedy"].as_str(), kind.remedy(), "{kind}: {}", rows[0]);
        assert_eq!(rows[0]["method"], if is_post { "POST" } else { "GET" }, "{kind}: {}", rows[0]);
        assert!(rows[0]["source"].is_string(), "{kind}: {}", rows[0]);
        assert!(counters::postbacks(kind.code()) > counted, "{kind} is counted");
        if !broken.contains_key(&kind) {
            let page = client.get(&format!("/dashboard/postbacks?outcome={kind}")).await;
            let mark = if kind.is_success() { "✓" } else { "✕" };
            let row = format!("{mark} {kind}</span><small>HTTP {status}</small>");
            assert!(page.text().contains(&row), "{kind} is on the dashboard: {row}");
        }
    }
}

pub(super) async fn explanations_foretell_and_write_nothing(site: Site) {
    let client = site.open_behind_proxy().await;
    for kind in OutcomeKind::ALL.iter().copied() {
        // What belongs to a GET alone, or to what was before, can't be asked for.
        if matches!(
            kind,
            OutcomeKind::MalformedQuery
                | OutcomeKind::QueryTooLong
                | OutcomeKind::BodyIncomplete
                | OutcomeKind::TooManyFailures
                | OutcomeKind::StoreUnavailable
                | OutcomeKind::StoreFull
                | OutcomeKind::Internal
                | OutcomeKind::Abandoned
        ) {
            continue;
        }
        let Call::Whole(call) = leading_to(&client, kind).await else { panic!("{kind} is a whole call") };
        let (_, calls) = logged(&client, kind).await;
        let question = if call.method() == Method::GET {
            post_form("/postback/explain", call.uri().query().unwrap())
        } else {
            let (mut parts, body) = call.clone().into_parts();
            parts.uri = "/postback/explain".parse().unwrap();
            Request::from_parts(parts, body)
        };
        let reply = client.send(question).await;
        let explained = reply.data();
        assert_eq!((reply.status.as_u16(), &explained["outcome"]), (200, &json!(kind.code())), "{explained}");
        assert_eq!(explained["status"], postback_status(kind).as_u16(), "{explained}");
        let rules = explained["rules"].as_array().unwrap();
        let names: Vec<_> = rules.iter().map(|rule| rule["rule"].as_str().unwrap()).collect();
        assert_eq!(names, Rule::ALL.map(Rule::as_str));
        let failed = rules.iter().filter(|rule| rule["verdict"] == "failed").count();
        assert_eq!(failed, usize::from(!kind.is_success()), "{kind}: {explained}");
        if !kind.is_success() {
            let broken = rules.iter().find(|rule| rule["verdict"] == "failed").unwrap();
            assert_eq!(broken["rule"], kind.rule().as_str(), "{kind}");
            assert!(broken["problem"].is_string() && explained["message"] == broken["problem"], "{kind}: {explained}");
        }
        assert_eq!(logged(&client, kind).await.1, calls, "{kind}: a question is no call");
        // Nothing has changed by it.
        let (status, answer) = Call::Whole(call).send(&client).await;
        assert_eq!(status, postback_status(kind), "{kind}: {answer}");
    }
}

pub(super) async fn explanation_tells_all_rules(site: Site) {
    let client = site.open_behind_proxy().await;
    let campaign = json!({
        "name": "Shop",
        "destination_url": "https://shop.example/",
        "networks": ["203.0.113.0/24"],
        "rules": {"currency": "EUR", "events": {"sale": {"payout": {"percent": "12.5"}, "amount": 40}}},
    });
    client.send(post_json("/campaigns", &campaign.to_string())).await;
    client.get("/click?affiliate_id=1&campaign_id=12&click_id=abc123").await;
    let explain = |json: Value, query: &str| {
        let request = post_json(&format!("/postback/explain{query}"), &json.to_string());
        let client = client.clone();
        async move { client.send(request).await.data() }
    };
    let verdict = |explained: &Value, rule: &str| {
        let rules = explained["rules"].as_array().unwrap();
        rules.iter().find(|found| found["rule"] == rule).unwrap()["verdict"].as_str().unwrap().to_owned()
    };
    // The operator does not have the key, and learns about the rest all the same.
    let sale = json!({"affiliate_id": 1, "click_id": "abc123", "event": "sale"});
    let explained = explain(sale.clone(), "?explain_source=203.0.113.7").await;
    assert_eq!((&explained["outcome"], &explained["status"]), (&json!("missing_postback_key"), &json!(401)));
    assert_eq!(explained["click"]["click_id"], "abc123");
    let expected = json!({
        "affiliate_id": 1,
        "campaign_id": 12,
        "event": "sale",
        "amount": 40,
        "currency": "EUR",
        "status": "approved",
        "payout": {"amount": 5, "currency": "EUR"},
    });
    assert_eq!(explained["conversion"], expected);
    assert_eq!((verdict(&explained, "address").as_str(), verdict(&explained, "daily_cap").as_str()), ("passed", "passed"));
    // Without an address to try, it is his own.
    let explained = explain(sale.clone(), "").await;
    assert_eq!(explained["outcome"], "address_not_allowed");
    // It may stand in the body, too.
    let mut elsewhere = sale;
    elsewhere["explain_source"] = "203.0.113.8".into();
    elsewhere["currency"] = "USD".into();
    let explained = explain(elsewhere, "").await;
    assert_eq!((verdict(&explained, "address").as_str(), verdict(&explained, "currency").as_str()), ("passed", "failed"));
    let reply = client.send(post_json("/postback/explain?explain_source=home", "{}")).await;
    assert_eq!((reply.status.as_u16(), &reply.json()["error"]["parameter"]), (400, &json!("explain_source")));
    assert!(client.get("/postbacks").await.data().as_array().unwrap().is_empty());
    assert_eq!(client.get("/affiliates/1/summary").await.data()["conversions"], 0);
}
