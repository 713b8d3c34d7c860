//! Postbacks in all their forms, what becomes of them later, and their log.

use std::sync::Arc;

use http::{Method, Request};
use serde_json::{Value, json};
use tracking_core::AffiliateId;

use super::client::{Client, Reply};
use super::harness::{NOW, Site, post_form, post_json, request};
use crate::Api;
use crate::guard::{self, Access};

const CLICK: &str = "/click?affiliate_id=1&campaign_id=10&click_id=abc123";
const SALE: &str = "affiliate_id=1&click_id=abc123&amount=100&currency=USD";

pub(super) async fn query_form_and_json_are_one(site: Site) {
    let query = "affiliate_id=1&campaign_id=10&click_id=abc123&amount=99.95&currency=eur&event=sale\
                 &transaction_id=order%2F1&status=pending&timestamp=1692804600&sub1=caf%C3%A9+%231&sub5=x&gclid=1&gclid=2";
    let json = json!({
        "affiliate_id": 1,
        "campaign_id": "10",
        "click_id": "abc123",
        "amount": 99.95,
        "currency": "eur",
        "event": "sale",
        "transaction_id": "order/1",
        "status": "pending",
        "timestamp": 1_692_804_600,
        "sub1": "café #1",
        "sub2": null,
        "sub3": "",
        "sub5": "x",
        "is_test": false,
    });
    let expected = json!({
        "conversion_id": 1,
        "click_id": "abc123",
        "affiliate_id": 1,
        "campaign_id": 10,
        "event": "sale",
        "transaction_id": "order/1",
        "amount": 99.95,
        "currency": "EUR",
        "status": "pending",
        "occurred_at": "2023-08-23T15:30:00.000Z",
        "sub1": "café #1",
        "sub5": "x",
        "timestamp": NOW,
    });
    let forms = || {
        let charset = Request::post("/postback").header("content-type", "Application/JSON; charset=utf-8");
        [
            request(Method::GET, &format!("/postback?{query}")),
            request(Method::POST, &format!("/postback?{query}")),
            post_form("/postback", query),
            post_json("/postback", &json.to_string()),
            charset.body(json.to_string()).unwrap(),
        ]
    };
    for first in forms() {
        let client = site.open().await;
        client.get(CLICK).await;
        let reply = client.send(first).await;
        assert_eq!((reply.status.as_u16(), reply.data()), (200, expected.clone()), "{}", reply.text());
        for again in forms() {
            let reply = client.send(again).await;
            assert_eq!((reply.status.as_u16(), &reply.json()["duplicate"]), (200, &json!(true)), "{}", reply.text());
            assert_eq!(reply.data(), expected);
        }
    }
}

pub(super) async fn numbers_in_json_are_exact(site: Site) {
    let client = site.open().await;
    client.get(CLICK).await;
    for (index, (written, expected)) in [
        ("0.1", "0.1"),
        ("99.950", "99.95"),
        ("1e2", "100"),
        ("1.50E1", "15"),
        ("9995e-2", "99.95"),
        ("999999999999.999999", "999999999999.999999"),
        ("\"999999999999.999999\"", "999999999999.999999"),
        ("0.000001", "0.000001"),
        ("0", "0"),
    ]
    .into_iter()
    .enumerate()
    {
        let body = format!(
            r#"{{"affiliate_id": 1, "click_id": "abc123", "transaction_id": {index}, "amount": {written}, "currency": "USD"}}"#
        );
        let reply = client.send(post_json("/postback", &body)).await;
        assert!(reply.text().contains(&format!(r#""amount":{expected},"#)), "{written}: {}", reply.text());
        assert_eq!(reply.data()["transaction_id"], index.to_string());
    }
    for (written, status) in [("-1", 400), ("1e999999999", 400), ("0.0000001", 422), ("1e12", 422), ("true", 400)] {
        let body = format!(r#"{{"affiliate_id": 1, "click_id": "abc123", "amount": {written}, "currency": "USD"}}"#);
        let reply = client.send(post_json("/postback", &body)).await;
        assert_eq!(reply.status.as_u16(), status, "{written}: {}", reply.text());
        assert_eq!(reply.json()["error"]["parameter"], "amount", "{written}");
    }
}

pub(super) async fn bodies_that_are_no_postback_are_refused(site: Site) {
    let client = site.open().await;
    client.get(CLICK).await;
    let sale = r#""affiliate_id": 1, "click_id": "abc123", "currency": "USD""#;
    for (fields, named) in [
        (r#""amount": {"value": 1}"#, "amount has a nested value"),
        (r#""amount": 1, "items": [1]"#, "items has a nested value"),
        (r#""amount": 1, "amount": 1"#, "amount is given more than once"),
        (r#""amount": null, "amount": 1"#, "amount is given more than once"),
        (r#""amount": 1, "x": 1, "x": 2"#, "x is given more than once"),
        (r#""amount": 01"#, "no JSON, as line 1, column"),
        (r#""amount": "pbk_secret\u12"#, "no JSON"),
    ] {
        let reply = client.send(post_json("/postback", &format!("{{{sale}, {fields}}}"))).await;
        assert_eq!((reply.status.as_u16(), reply.error_code().as_str()), (400, "invalid_body"), "{}", reply.text());
        assert!(reply.text().contains(named) && !reply.text().contains("pbk_"), "{} has no {named}", reply.text());
    }
    for body in ["[]", "\"pbk_secret\"", "null", "click_id=abc123", "{"] {
        let reply = client.send(post_json("/postback", body)).await;
        assert_eq!((reply.status.as_u16(), reply.error_code().as_str()), (400, "invalid_body"), "{}", reply.text());
        assert!(!reply.text().contains("pbk_"), "{}", reply.text());
    }
    for form in ["%", "click_id=%FF", "%zz=1"] {
        let reply = client.send(post_form("/postback", &format!("{SALE}&{form}"))).await;
        assert_eq!((reply.status.as_u16(), reply.error_code().as_str()), (400, "invalid_body"), "{form}");
    }
    for content_type in ["text/plain", "multipart/form-data; boundary=x", "application/jsonp", ""] {
        let call = Request::post("/postback").header("content-type", content_type).body(SALE.to_owned()).unwrap();
        let reply = client.send(call).await;
        assert_eq!((reply.status.as_u16(), reply.error_code().as_str()), (415, "unsupported_media_type"), "{content_type}");
    }
    let chunked = Request::post("/postback").header("content-type", "application/json");
    let chunked = chunked.header("transfer-encoding", "chunked").body("x".repeat(Api::MAX_BODY_LEN + 1)).unwrap();
    assert_eq!(client.send(chunked).await.status.as_u16(), 413);
    assert_eq!(client.get("/affiliates/1/summary").await.data()["conversions"], 0);
    // All of them are in the log, with what could be read.
    let rows = client.get("/postbacks?outcome=invalid_body").await.data();
    assert_eq!(rows.as_array().unwrap().len(), 15);
    let readable = rows.as_array().unwrap().iter().filter(|row| row["parameters"].as_str().unwrap().starts_with(SALE));
    assert_eq!(readable.count(), 3, "of forms, what could be read: {rows}");
    assert!(!rows.to_string().contains("pbk_"), "{rows}");
}

pub(super) async fn query_and_body_are_taken_together(site: Site) {
    let client = site.open().await;
    client.get(CLICK).await;
    let both = post_json("/postback?affiliate_id=1&click_id=abc123", r#"{"amount": 100, "currency": "USD"}"#);
    assert_eq!(client.send(both).await.status.as_u16(), 200);
    for call in [
        post_json(&format!("/postback?{SALE}"), r#"{"amount": 100}"#),
        post_form(&format!("/postback?{SALE}"), "amount=100"),
        post_form("/postback", &format!("{SALE}&amount=100")),
    ] {
        let reply = client.send(call).await;
        assert_eq!((reply.status.as_u16(), &reply.json()["error"]["parameter"]), (400, &json!("amount")));
        assert!(reply.text().contains("amount is given more than once"), "{}", reply.text());
    }
    // A call without a body is one of its query, whatever it says of its type.
    for content_type in ["application/json", "text/plain"] {
        let call = Request::post(format!("/postback?{SALE}")).header("content-type", content_type);
        assert_eq!(client.send(call.body(String::new()).unwrap()).await.json()["duplicate"], true, "{content_type}");
    }
}

pub(super) async fn postback_log_is_filtered_and_paged(site: Site) {
    let client = site.open().await;
    client.get(CLICK).await;
    client.get("/click?affiliate_id=2&campaign_id=10&click_id=other").await;
    for call in [
        format!("/postback?{SALE}"),
        format!("/postback?{SALE}"),
        format!("/postback?{SALE}&status=rejected"),
        format!("/postback?{SALE}&amount=1"),
        "/postback?affiliate_id=2&click_id=other&amount=1&currency=USD&token=pbk_x".to_owned(),
        "/postback?affiliate_id=2&click_id=none&amount=1&currency=USD".to_owned(),
    ] {
        client.get(&call).await;
    }
    client.send(request(Method::HEAD, &format!("/postback?{SALE}"))).await;
    let rows = |query: &str| {
        let path = format!("/postbacks?{query}");
        let client = client.clone();
        async move { client.get(&path).await.data().as_array().unwrap().clone() }
    };
    let all = rows("").await;
    assert_eq!(all.len(), 6, "HEAD is no postback");
    assert!(all.iter().all(|row| row["received_at"] == NOW && row["calls"] == 1), "{all:?}");
    let taken = all.iter().find(|row| row["outcome"] == "accepted" && row["affiliate_id"] == 1).unwrap();
    assert!(taken["id"].as_str().unwrap().parse::<u64>().unwrap() > 0);
    let expected = json!({
        "id": taken["id"],
        "received_at": NOW,
        "method": "GET",
        "source": "127.0.0.1",
        "parameters": SALE,
        "affiliate_id": 1,
        "campaign_id": 10,
        "click_id": "abc123",
        "conversion_id": 1,
        "outcome": "accepted",
        "status": 200,
        "problem": null,
        "remedy": null,
        "calls": 1,
    });
    assert_eq!(*taken, expected);
    for (query, expected) in [
        ("outcome=accepted", 2),
        ("outcome=duplicate", 1),
        ("outcome=status_changed", 1),
        ("outcome=abandoned", 0),
        ("problems=true", 2),
        ("problems=false", 6),
        ("problems=&outcome=&affiliate_id=&campaign_id=&click_id=&from=&to=", 6),
        ("affiliate_id=2", 2),
        ("affiliate_id=2&problems=true", 1),
        ("campaign_id=10", 4),
        ("click_id=abc123", 4),
        ("from=2023-08-23T15:30:45.123Z", 6),
        ("from=2023-08-23T15:30:45.124Z", 0),
        ("to=2023-08-23T15:30:45.123Z", 0),
        ("to=2023-08-23T17:30:46%2B02:00", 6),
        ("limit=1", 1),
    ] {
        assert_eq!(rows(query).await.len(), expected, "{query}");
    }
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let reply = client.get(&format!("/postbacks?limit=2&cursor={cursor}")).await;
        seen.extend(reply.data().as_array().unwrap().iter().map(|row| row["id"].clone()));
        match reply.json()["next_cursor"].as_str() {
            Some(next) => cursor = next.to_owned(),
            None => break,
        }
    }
    let ids: Vec<Value> = all.iter().map(|row| row["id"].clone()).collect();
    assert_eq!(seen, ids);
    for (query, parameter) in [
        ("outcome=fine", "outcome"),
        ("problems=yes", "problems"),
        ("affiliate_id=x", "affiliate_id"),
        ("click_id=a%20b", "click_id"),
        ("from=yesterday", "from"),
        ("to=1", "to"),
        ("limit=x", "limit"),
        ("outcome=accepted&outcome=abandoned", "outcome"),
    ] {
        let reply = client.get(&format!("/postbacks?{query}")).await;
        assert_eq!((reply.status.as_u16(), &reply.json()["error"]["parameter"]), (400, &json!(parameter)), "{query}");
    }
}

pub(super) async fn status_changes_and_figures_follow(site: Site) {
    let client = site.open().await;
    let body = r#"{"name": "Shop", "destination_url": "https://shop.example/", "postback_auth": "open",
        "rules": {"payout": {"percent": 10}, "default_status": "pending"}}"#;
    client.send(post_json("/campaigns", body)).await;
    client.get("/click?affiliate_id=1&campaign_id=12&click_id=abc123").await;
    let sale = |rest: &str| format!("/postback?click_id=abc123&affiliate_id=1{rest}");
    for order in ["a", "b", "c"] {
        client.get(&sale(&format!("&amount=50&currency=EUR&transaction_id={order}"))).await;
    }
    figures(&client, [3, 0, 0]).await;

    // The advertiser approves one, and says no more than he has to.
    let reply = client.get(&sale("&transaction_id=a&status=approved")).await;
    assert_eq!((reply.status.as_u16(), &reply.json()["previous_status"]), (200, &json!("pending")), "{}", reply.text());
    assert_eq!((&reply.data()["status"], &reply.data()["amount"]), (&json!("approved"), &json!(50)));
    figures(&client, [2, 1, 0]).await;
    // The same again, and a retry of the first call, change nothing.
    for rest in ["&transaction_id=a&status=approved", "&transaction_id=a", "&transaction_id=a&status=pending"] {
        let reply = client.get(&sale(rest)).await;
        assert_eq!((reply.status.as_u16(), &reply.json()["duplicate"]), (200, &json!(true)), "{rest}: {}", reply.text());
    }
    figures(&client, [2, 1, 0]).await;
    // A refund.
    assert_eq!(set_status(&client, 1, r#"{"status": "rejected", "reason": "returned"}"#).await.status.as_u16(), 200);
    figures(&client, [2, 0, 1]).await;
    let again = set_status(&client, 1, r#"{"status": "rejected"}"#).await;
    assert_eq!((again.status.as_u16(), &again.json()["duplicate"]), (200, &json!(true)));
    let back = set_status(&client, 1, r#"{"status": "approved"}"#).await;
    assert_eq!((back.status.as_u16(), back.error_code().as_str()), (409, "status_conflict"), "{}", back.text());
    assert_eq!(back.json()["error"]["recorded"]["status"], "rejected");
    let approved = set_status(&client, 2, r#"{"status": "approved"}"#).await;
    assert_eq!(approved.json()["previous_status"], "pending");
    figures(&client, [1, 1, 1]).await;

    let shown = client.get("/conversions/1").await.data();
    let changes = json!([
        {"from": "pending", "to": "approved", "changed_at": NOW, "changed_by": "advertiser"},
        {"from": "approved", "to": "rejected", "changed_at": NOW, "changed_by": "admin", "reason": "returned"},
    ]);
    assert_eq!((&shown["status_changes"], &shown["status"]), (&changes, &json!("rejected")));
    assert_eq!((&shown["conversion_id"], &shown["payout"]), (&json!(1), &json!({"amount": 5, "currency": "EUR"})));
    assert_eq!(client.get("/conversions/3").await.data()["status_changes"], json!([]));
    let listed = client.get("/affiliates/1/conversions").await.data();
    let statuses: Vec<_> = listed.as_array().unwrap().iter().map(|row| row["status"].clone()).collect();
    assert_eq!(statuses, ["pending", "approved", "rejected"]);

    for (id, body, status, code) in [
        ("99", r#"{"status": "approved"}"#, 404, "unknown_conversion"),
        ("0", r#"{"status": "approved"}"#, 422, "parameter_out_of_range"),
        ("x", r#"{"status": "approved"}"#, 400, "invalid_parameter"),
        ("3", "{}", 400, "invalid_parameter"),
        ("3", r#"{"status": "paid"}"#, 400, "invalid_parameter"),
        ("3", r#"{"status": "approved", "reason": ""}"#, 400, "invalid_parameter"),
        ("3", r#"{"status": "approved", "resaon": "x"}"#, 400, "invalid_body"),
    ] {
        let reply = client.send(post_json(&format!("/conversions/{id}/status"), body)).await;
        assert_eq!((reply.status.as_u16(), reply.error_code().as_str()), (status, code), "{id} {body}");
    }
    assert_eq!(client.get("/conversions/99").await.error_code(), "unknown_conversion");
    figures(&client, [1, 1, 1]).await;
}

async fn set_status(client: &Client, id: u64, body: &str) -> Reply {
    client.send(post_json(&format!("/conversions/{id}/status"), body)).await
}

/// Of each status there are so many conversions, each of 50 EUR that pay 5.
async fn figures(client: &Client, [pending, approved, rejected]: [u64; 3]) {
    let sums = |count: u64, each: u64| match count {
        0 => json!([]),
        count => json!([{"currency": "EUR", "amount": count * each}]),
    };
    let tally = |count: u64| json!({"conversions": count, "revenue": sums(count, 50), "payout": sums(count, 5)});
    let summary = client.get("/affiliates/1/summary").await.data();
    let by_status = json!({"pending": tally(pending), "approved": tally(approved), "rejected": tally(rejected)});
    assert_eq!(summary["by_status"], by_status);
    let counted = pending + approved;
    assert_eq!(summary["conversions"], counted, "{summary}");
    assert_eq!((&summary["revenue"], &summary["payout"]), (&sums(counted, 50), &sums(counted, 5)));
    assert_eq!(summary["conversion_rate"], counted as f64, "{summary}");
}

pub(super) async fn affiliates_are_not_told_what_advertisers_mark(site: Site) {
    let (tracker, _) = site.tracker_and_key().await;
    let own = Access::Affiliate(AffiliateId::new(1).unwrap());
    let his = guard::from_fn(move |_| {
        let own = own.clone();
        async { own }
    });
    let admins = Arc::new(Api::new(Arc::clone(&tracker), guard::open()));
    let affiliates = Arc::new(Api::new(tracker, his));
    let client = site.mount(vec![("/tracking", affiliates), ("/partners/tracking", admins)]).await;
    client.get(&format!("/tracking{CLICK}")).await;
    client.get(&format!("/tracking/postback?{SALE}&sub1=margin-low&status=pending")).await;
    let his = client.get("/tracking/affiliates/1/conversions").await.data()[0].clone();
    assert_eq!((his.get("sub1"), &his["status"]), (None, &json!("pending")));
    let admins = client.get("/partners/tracking/affiliates/1/conversions").await.data()[0].clone();
    assert_eq!(admins["sub1"], "margin-low");
}
