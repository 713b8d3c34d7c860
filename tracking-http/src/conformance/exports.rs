//! Lists as tables.

use std::sync::Arc;
use std::time::Duration;

use http::{Method, StatusCode};
use http_body_util::BodyExt;
use serde_json::Value;
use tracking_core::{
    Affiliate, AffiliateId, CampaignId, ClickRequest, Cursor, Limit, Page, PageRequest, Secret, StoreError, Tracker,
};

use super::broken::{BrokenStore, SECRET};
use super::client::Client;
use super::harness::{Site, now, post_json, request};
use crate::Api;
use crate::guard::{self, Access};

const CLICK: &str = "/click?affiliate_id=1&campaign_id=10";
const CLICKS: &str = "/affiliates/1/clicks?format=csv";

pub(super) async fn export_is_whole_and_in_order(site: Site) {
    const COUNT: usize = 3500;
    let (tracker, _) = site.tracker_and_key().await;
    for number in 0..COUNT {
        let click = ClickRequest::new(AffiliateId::new(1).unwrap(), CampaignId::new(10).unwrap());
        tracker.record_click(click.click_id(format!("c{number}").parse().unwrap())).await.unwrap();
    }
    let client = site.open_tracker(tracker).await;
    let reply = client.get(CLICKS).await;
    assert_eq!(reply.status, StatusCode::OK);
    assert_eq!(reply.header("content-disposition"), "attachment; filename=\"clicks-of-affiliate-1.csv\"");
    assert_eq!((reply.header("cache-control"), reply.header("x-content-type-options")), ("no-store", "nosniff"));
    let table = reply.table();
    let ids: Vec<&str> = table[1..].iter().map(|line| line[1].as_str()).collect();
    let expected: Vec<String> = (0..COUNT).rev().map(|number| format!("c{number}")).collect();
    assert_eq!(ids, expected);
    assert_eq!(reply.text().matches("\r\n").count(), COUNT + 1, "each line has its end, and the last one, too");
    // Nothing of it is sent.
    let head = client.send(request(Method::HEAD, CLICKS)).await;
    assert_eq!((head.status, head.body.len()), (StatusCode::OK, 0));
    assert_eq!(head.header("content-type"), reply.header("content-type"));
}

/// What the tables of the suite are about.
async fn record_something(client: &Client) {
    let marks = "&sub1=a&sub2=b&sub3=c&sub4=d&sub5=e&source=f";
    client.get(&format!("{CLICK}&click_id=c1{marks}")).await;
    let sale = "&amount=12.340000&currency=EUR&event=sale&transaction_id=t-1&timestamp=2023-08-23T15:29:00Z";
    let rules = r#"{"payout": {"amount": 5.5, "currency": "USD"}, "events": {"sale": {"payout": {"percent": 12.5}}},
        "attribution_window_seconds": 1000, "min_seconds_to_convert": 0, "daily_cap": 3, "currency": "EUR"}"#;
    let change = format!(r#"{{"rules": {rules}, "networks": ["127.0.0.0/8"], "paused": true}}"#);
    let changed = super::harness::send_json(Method::PATCH, "/campaigns/10", &change);
    // Its rules don't matter to what was recorded before.
    let sold = format!("/postback?affiliate_id=1&click_id=c1{sale}{}", "&sub1=a&sub2=b&sub3=c&sub4=d&sub5=e");
    assert_eq!(client.get(&sold.replace("&timestamp=2023-08-23T15:29:00Z", "")).await.status, StatusCode::OK);
    assert_eq!(client.send(changed).await.status, StatusCode::OK);
}

pub(super) async fn table_has_what_json_has(site: Site) {
    let client = site.open().await;
    record_something(&client).await;
    let mut log = Value::Null;
    // It is written in the background.
    while log.as_array().is_none_or(Vec::is_empty) {
        log = client.get("/postbacks").await.data();
    }
    for path in ["/affiliates", "/campaigns", "/affiliates/1/clicks", "/affiliates/1/conversions", "/clicks", "/conversions", "/postbacks"] {
        let records = client.get(path).await.data();
        let reply = client.get(&format!("{path}?format=csv")).await;
        let table = reply.table();
        let (header, lines) = table.split_first().unwrap();
        assert_eq!(lines.len(), records.as_array().unwrap().len(), "{path}");
        for (record, line) in records.as_array().unwrap().iter().zip(lines) {
            let cell = |name: &str| {
                let column = header.iter().position(|column| column == name);
                line[column.unwrap_or_else(|| panic!("{path} has no column {name}"))].clone()
            };
            let mut expected: Vec<(String, Value)> = Vec::new();
            for (name, value) in record.as_object().unwrap() {
                match (name.as_str(), value) {
                    // The keys of a campaign are no matter of a table.
                    ("keys", _) => {}
                    ("payout", payout) => {
                        expected.push((name.clone(), payout["amount"].clone()));
                        expected.push(("payout_currency".to_owned(), payout["currency"].clone()));
                    }
                    ("rules", rules) => expected.extend(rules.as_object().unwrap().clone()),
                    _ => expected.push((name.clone(), value.clone())),
                }
            }
            for (name, value) in expected {
                match value {
                    Value::Null => assert_eq!(cell(&name), "", "{path} {name}"),
                    Value::String(text) => assert_eq!(cell(&name), text, "{path} {name}"),
                    Value::Object(payout) if name == "payout" => {
                        assert_eq!(cell("payout").parse(), Ok(payout["amount"].as_f64().unwrap()));
                        assert_eq!(cell("payout_currency"), payout["currency"].as_str().unwrap());
                    }
                    Value::Object(_) | Value::Array(_) => {
                        assert_eq!(serde_json::from_str::<Value>(&cell(&name)).unwrap(), value, "{path} {name}");
                    }
                    Value::Number(number) if number.is_f64() => {
                        assert_eq!(cell(&name).parse(), Ok(number.as_f64().unwrap()), "{path} {name}");
                    }
                    value => assert_eq!(cell(&name), value.to_string(), "{path} {name}"),
                }
            }
        }
    }
    // To the last digit.
    let conversions = client.get("/affiliates/1/conversions?format=csv").await;
    assert!(conversions.text().contains(",12.340000,EUR,") || conversions.text().contains(",12.34,EUR,"));
}

pub(super) async fn affiliates_have_no_more_columns_than_json(site: Site) {
    let (tracker, _) = site.tracker_and_key().await;
    let own = Access::Affiliate(AffiliateId::new(1).unwrap());
    let his = guard::from_fn(move |_| {
        let own = own.clone();
        async { own }
    });
    let admins = Arc::new(Api::new(Arc::clone(&tracker), guard::open()));
    let affiliates = Arc::new(Api::new(tracker, his));
    record_something(&site.mount(vec![("", admins)]).await).await;
    let client = site.mount(vec![("", affiliates)]).await;
    for (path, hidden) in [
        (CLICKS, &["ip", "user_agent"][..]),
        ("/affiliates/1/conversions?format=csv", &["sub1", "sub2", "sub3", "sub4", "sub5"]),
        ("/campaigns?format=csv", &["networks", "postback_auth", "version", "daily_cap", "attribution_window_seconds"]),
    ] {
        let reply = client.get(path).await;
        let header = &reply.table()[0];
        assert!(hidden.iter().all(|name| !header.iter().any(|column| column == name)), "{path}: {header:?}");
        assert!(!reply.text().contains("127.0.0"), "{path}: {}", reply.text());
    }
    for path in ["/affiliates?format=csv", "/postbacks?format=csv", "/affiliates/2/clicks?format=csv"] {
        assert_eq!(client.get(path).await.status, StatusCode::FORBIDDEN, "{path}");
    }
}

pub(super) async fn table_is_safe_to_open(site: Site) {
    let client = site.open().await;
    for name in ["=HYPERLINK(\\\"https://evil.example\\\")", "+1", "-1", "@SUM(A1)", "a, \\\"b\\\"", "plain"] {
        let reply = client.send(post_json("/affiliates", &format!(r#"{{"name": "{name}"}}"#))).await;
        assert_eq!(reply.status, StatusCode::CREATED, "{}", reply.text());
    }
    let table = client.get("/affiliates?format=csv").await.table();
    let names: Vec<&str> = table[1..].iter().rev().skip(2).map(|line| line[1].as_str()).collect();
    let expected = ["'=HYPERLINK(\"https://evil.example\")", "'+1", "'-1", "'@SUM(A1)", "a, \"b\"", "plain"];
    assert_eq!(names, expected);
}

pub(super) async fn table_is_asked_for_as_a_whole(site: Site) {
    let client = site.open().await;
    for list in ["/affiliates", "/campaigns", "/affiliates/1/clicks", "/affiliates/1/conversions", "/postbacks"] {
        for (query, parameter) in [
            ("format=csv&limit=10", "limit"),
            ("format=csv&cursor=1-1", "cursor"),
            ("format=csv&limit=x", "limit"),
            ("format=xlsx", "format"),
            ("format=CSV", "format"),
            ("format=csv&format=csv", "format"),
        ] {
            let reply = client.get(&format!("{list}?{query}")).await;
            assert_eq!((reply.status, reply.error_code().as_str()), (StatusCode::BAD_REQUEST, "invalid_parameter"));
            assert_eq!(reply.json()["error"]["parameter"], parameter, "{list}?{query}");
        }
        for query in ["format=json", "format=", "format=json&limit=1"] {
            assert!(client.get(&format!("{list}?{query}")).await.data().is_array(), "{list}?{query}");
        }
        assert!(!client.get(&format!("{list}?format=csv&limit=&cursor=")).await.table().is_empty(), "{list}");
    }
    // Filters stay what they are.
    let filtered = client.get("/postbacks?format=csv&outcome=nonsense").await;
    assert_eq!(filtered.json()["error"]["parameter"], "outcome");
}

pub(super) async fn export_that_fails_at_once_is_refused(site: Site) {
    let broken = Tracker::new(BrokenStore::new(true), Secret::random());
    let client = site.open_tracker(Arc::new(broken)).await;
    let reply = client.get("/affiliates?format=csv").await;
    assert_eq!((reply.status, reply.error_code().as_str()), (StatusCode::SERVICE_UNAVAILABLE, "store_unavailable"));
    let client = site.open().await;
    assert_eq!(client.get("/affiliates/99/clicks?format=csv").await.status, StatusCode::NOT_FOUND);
}

pub(super) async fn export_that_breaks_off_is_no_whole_one(site: Site) {
    let limit = Limit::new(Limit::MAX).unwrap();
    let affiliate = |id: u64| Affiliate {
        id: AffiliateId::new(id).unwrap(),
        name: "Ada".parse().unwrap(),
        paused_at: None,
        revoked_at: None,
        created_at: now(),
        version: 1,
    };
    let page: Page<Affiliate> = Page::from_one_more((1..=Limit::MAX + 1).rev().map(affiliate).collect(), limit, |row| {
        Cursor::after(row.created_at, row.id)
    });
    assert!(page.next.is_some());
    let store = BrokenStore::failing(|| StoreError::unavailable("test", SECRET)).with_newest_affiliates(page);
    let tracker = Arc::new(Tracker::new(store, Secret::random()));
    let next = tracker.affiliates(PageRequest { limit, after: Some(Cursor::after(now(), 2u64)) });
    assert!(next.await.is_err());
    let client = site.open_tracker(tracker).await;
    let mut reply = client.open(request(Method::GET, "/affiliates?format=csv").map(Into::into)).await;
    assert_eq!(reply.status(), StatusCode::OK, "it began well");
    let mut text = String::new();
    // Whoever waits is cut off or left waiting, according to what the framework can do; he is never told that this was all.
    let end = loop {
        match tokio::time::timeout(Duration::from_secs(2), reply.body_mut().frame()).await {
            Ok(Some(Ok(frame))) => text.push_str(std::str::from_utf8(frame.data_ref().unwrap()).unwrap()),
            end => break end,
        }
    };
    assert!(!matches!(end, Ok(None)), "{} bytes were taken for the whole", text.len());
    assert!(!text.contains("hunter2"));
    assert!(text.lines().count() <= 1001, "{}", text.lines().count());
}
