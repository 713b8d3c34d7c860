//! The brief's routes.

use http::{Request, StatusCode};
use serde_json::json;

use super::client::Client;
use super::harness::{NOW, Site};

const CLICK: &str = "/click?affiliate_id=1&campaign_id=10&click_id=abc123";
const POSTBACK: &str = "/postback?affiliate_id=1&click_id=abc123&amount=100&currency=USD";

pub(super) async fn click_is_answered_as_the_brief_says(site: Site) {
    let reply = site.open().await.get(CLICK).await;
    assert_eq!(reply.status, StatusCode::OK);
    assert_eq!(reply.header("content-type"), "application/json");
    let text = r#"{"success":true,"message":"Click tracked successfully","data":{"click_id":"abc123","affiliate_id":1,"campaign_id":10,"timestamp":"2023-08-23T15:30:45.123Z"}}"#;
    assert_eq!(reply.text(), text);
}

pub(super) async fn postback_is_answered_as_the_brief_says(site: Site) {
    let client = site.open().await;
    client.get(CLICK).await;
    let reply = client.get(POSTBACK).await;
    assert_eq!(reply.status, StatusCode::OK);
    let text = r#"{"success":true,"message":"Conversion tracked successfully","data":{"conversion_id":1,"click_id":"abc123","affiliate_id":1,"campaign_id":10,"event":"conversion","amount":100,"currency":"USD","status":"approved","timestamp":"2023-08-23T15:30:45.123Z"}}"#;
    assert_eq!(reply.text(), text);
}

pub(super) async fn lists_are_answered_as_the_brief_says(site: Site) {
    let client = site.open().await;
    client.get(CLICK).await;
    client.get(POSTBACK).await;
    let reply = client.get("/affiliates/1/clicks").await;
    let text = r#"{"success":true,"data":[{"id":1,"click_id":"abc123","campaign_id":10,"created_at":"2023-08-23T15:30:45.123Z","ip":"127.0.0.0/24","bot":"no_user_agent","unique":false}],"next_cursor":null}"#;
    assert_eq!((reply.status, reply.text()), (StatusCode::OK, text));
    let reply = client.get("/affiliates/1/conversions").await;
    let text = r#"{"success":true,"data":[{"id":1,"click_id":"abc123","campaign_id":10,"event":"conversion","amount":100,"currency":"USD","status":"approved","created_at":"2023-08-23T15:30:45.123Z"}],"next_cursor":null}"#;
    assert_eq!((reply.status, reply.text()), (StatusCode::OK, text));
}

pub(super) async fn repeated_click_is_recorded_once(site: Site) {
    let client = site.open().await;
    let first = client.get(CLICK).await;
    assert!(first.json().get("duplicate").is_none(), "a new click is no duplicate");
    let again = client.get(CLICK).await;
    assert_eq!((again.status, &again.json()["duplicate"]), (StatusCode::OK, &json!(true)));
    assert_eq!(again.data(), first.data());
    assert_eq!(client.get("/affiliates/1/summary").await.data()["clicks"], 1);
}

pub(super) async fn retried_postback_is_recorded_once(site: Site) {
    let client = site.open().await;
    client.get(CLICK).await;
    let first = client.get(POSTBACK).await;
    assert!(first.json().get("duplicate").is_none(), "a new conversion is no duplicate");
    for spelling in ["100", "100.0", "0100.000000000"] {
        let again = client.get(&POSTBACK.replace("amount=100", &format!("amount={spelling}"))).await;
        assert_eq!((again.status, &again.json()["duplicate"]), (StatusCode::OK, &json!(true)), "{spelling}");
        assert_eq!(again.data(), first.data());
    }
    assert_eq!(client.get("/affiliates/1/summary").await.data()["conversions"], 1);
}

pub(super) async fn changed_postback_is_a_conflict(site: Site) {
    let client = site.open().await;
    client.get(CLICK).await;
    let first = client.get(POSTBACK).await;
    for changed in [POSTBACK.replace("100", "120"), POSTBACK.replace("USD", "EUR")] {
        let reply = client.get(&changed).await;
        assert_eq!((reply.status, reply.error_code().as_str()), (StatusCode::CONFLICT, "conflict"));
        assert_eq!(reply.json()["error"]["recorded"], first.data(), "the conflict is named");
    }
    let message = client.get(&POSTBACK.replace("100", "120")).await.json()["message"].to_string();
    assert!(message.contains("100 USD") && message.contains("120 USD"), "{message}");
    let summary = client.get("/affiliates/1/summary").await.data();
    assert_eq!(summary["revenue"], json!([{"currency": "USD", "amount": 100}]), "a conflict changes nothing");
}

pub(super) async fn parallel_identical_postbacks_are_one_conversion(site: Site) {
    let client = site.open().await;
    client.get(CLICK).await;
    let calls: Vec<_> = (0..64)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { client.get(POSTBACK).await })
        })
        .collect();
    let mut new = 0;
    for call in calls {
        let reply = call.await.unwrap();
        assert_eq!(reply.status, StatusCode::OK);
        assert_eq!(reply.data()["conversion_id"], 1);
        new += usize::from(reply.json().get("duplicate").is_none());
    }
    assert_eq!(new, 1, "exactly one of them is new");
    assert_eq!(client.get("/affiliates/1/summary").await.data()["conversions"], 1);
}

pub(super) async fn click_id_is_minted(site: Site) {
    let client = site.open().await;
    let mut ids = Vec::new();
    for path in ["/click?affiliate_id=1&campaign_id=10", "/click?affiliate_id=1&campaign_id=10&click_id="] {
        let reply = client.get(path).await;
        assert_eq!(reply.status, StatusCode::OK);
        ids.push(reply.data()["click_id"].as_str().unwrap().to_owned());
    }
    assert_ne!(ids[0], ids[1]);
    assert!(ids.iter().all(|id| id.len() == 53 && id.starts_with("aptk_")), "{ids:?}");
    let reply = client.get(&POSTBACK.replace("abc123", &ids[0])).await;
    assert_eq!(reply.status, StatusCode::OK);
}

pub(super) async fn amounts_are_exact(site: Site) {
    let client = site.open().await;
    client.get(CLICK).await;
    for amount in ["0", "99.95", "0.000001", "999999999999.999999", "0.1", "0.2"] {
        let reply = client.get(&format!("{}&transaction_id={amount}", POSTBACK.replace("100", amount))).await;
        assert!(reply.text().contains(&format!(r#""amount":{amount},"#)), "{}", reply.text());
    }
    let summary = client.get("/affiliates/1/summary").await;
    assert!(summary.text().contains(r#"{"currency":"USD","amount":1000000000100.25}"#), "{}", summary.text());
}

pub(super) async fn transaction_ids_tell_sales_apart(site: Site) {
    let client = site.open().await;
    client.get(CLICK).await;
    let with = |rest: &str| format!("{POSTBACK}{rest}");
    for (rest, id) in [
        ("&transaction_id=A", 1),
        ("&transaction_id=a", 2),
        ("", 3),
        ("&transaction_id=", 3),
        ("&event=lead", 4),
        ("&event=lead&transaction_id=A", 5),
        ("&event=conversion&transaction_id=A&campaign_id=10", 1),
    ] {
        let reply = client.get(&with(rest)).await;
        assert_eq!(reply.data()["conversion_id"], id, "{rest}");
    }
    let newest = client.get("/affiliates/1/conversions?limit=1").await.data()[0].clone();
    assert_eq!((&newest["event"], &newest["transaction_id"]), (&json!("lead"), &json!("A")));
}

pub(super) async fn postback_key_is_demanded(site: Site) {
    let (tracker, key) = site.tracker_and_key().await;
    let client = site.open_tracker(tracker).await;
    client.get(&CLICK.replace("=10", "=11")).await;
    let bearer = |token: &str| Request::get(POSTBACK).header("authorization", token).body(String::new()).unwrap();
    let refused = [
        (client.get(POSTBACK).await, "missing_postback_key"),
        (client.get(&format!("{POSTBACK}&token=")).await, "missing_postback_key"),
        (client.get(&format!("{POSTBACK}&token=pbk_guess")).await, "wrong_postback_key"),
        (client.send(bearer("Bearer pbk_guess")).await, "wrong_postback_key"),
        (client.send(bearer(&format!("Basic {key}"))).await, "missing_postback_key"),
    ];
    for (reply, code) in refused {
        assert_eq!((reply.status, reply.error_code().as_str()), (StatusCode::UNAUTHORIZED, code));
        assert!(reply.header("www-authenticate").starts_with("Bearer"), "{:?}", reply.headers);
    }
    assert_eq!(client.get("/affiliates/1/summary").await.data()["conversions"], 0);
    assert_eq!(client.send(bearer(&format!("Bearer {key}"))).await.status, StatusCode::OK);
    let again = client.get(&format!("{POSTBACK}&token={key}")).await;
    assert_eq!((again.status, &again.json()["duplicate"]), (StatusCode::OK, &json!(true)));
}

pub(super) async fn last_click_wins(site: Site) {
    let (tracker, key) = site.tracker_and_key().await;
    let client = site.open_tracker(tracker).await;
    client.get(CLICK).await;
    client.get(&CLICK.replace("=10", "=11")).await;
    let reply = client.get(&format!("{POSTBACK}&token={key}")).await;
    assert_eq!(reply.data()["campaign_id"], 11, "the later click of the same moment has the greater number");
    let reply = client.get(&format!("{POSTBACK}&campaign_id=10")).await;
    assert_eq!(reply.data()["campaign_id"], 10);
}

pub(super) async fn every_bad_input_gets_its_own_answer(site: Site) {
    let client = site.open().await;
    client.get(CLICK).await;
    let long = "x".repeat(101);
    for (path, from, to, status, message, parameter) in [
        (CLICK, "affiliate_id=1&", "", 400, "is missing", "affiliate_id"),
        (CLICK, "campaign_id=10&", "", 400, "is missing", "campaign_id"),
        (CLICK, "affiliate_id=1", "affiliate_id=", 400, "must not be empty", "affiliate_id"),
        (CLICK, "affiliate_id=1", "affiliate_id=x", 400, "must be a whole number", "affiliate_id"),
        (CLICK, "affiliate_id=1", "affiliate_id=-1", 400, "must be a whole number", "affiliate_id"),
        (CLICK, "affiliate_id=1", "affiliate_id=1.0", 400, "must be a whole number", "affiliate_id"),
        (CLICK, "affiliate_id=1", "affiliate_id=0", 422, "must be from 1 to", "affiliate_id"),
        (CLICK, "affiliate_id=1", "affiliate_id=99999999999999999999", 422, "must be from 1 to", "affiliate_id"),
        (CLICK, "campaign_id=10", "campaign_id=1e1", 400, "must be a whole number", "campaign_id"),
        (CLICK, "abc123", "with%20space", 400, "visible ASCII", "click_id"),
        (CLICK, "abc123", "%C3%A4", 400, "character 1 is 'ä'", "click_id"),
        (CLICK, "abc123", "a%00b", 400, "character 2", "click_id"),
        (CLICK, "abc123", "a%0D%0Ab", 400, "character 2", "click_id"),
        (CLICK, "abc123", long.as_str(), 400, "longer than 100", "click_id"),
        (POSTBACK, "click_id=abc123", "click_id=", 400, "must not be empty", "click_id"),
        (POSTBACK, "&click_id=abc123", "", 400, "is missing", "click_id"),
        (POSTBACK, "&amount=100", "", 400, "is missing", "amount"),
        (POSTBACK, "amount=100", "amount=", 400, "is missing", "amount"),
        (POSTBACK, "amount=100", "amount=1,00", 400, "decimal number", "amount"),
        (POSTBACK, "amount=100", "amount=1e2", 400, "decimal number", "amount"),
        (POSTBACK, "amount=100", "amount=-1", 400, "decimal number", "amount"),
        (POSTBACK, "amount=100", "amount=NaN", 400, "decimal number", "amount"),
        (POSTBACK, "amount=100", "amount=0x10", 400, "decimal number", "amount"),
        (POSTBACK, "amount=100", "amount=0.0000001", 422, "6 fractional digits", "amount"),
        (POSTBACK, "amount=100", "amount=1000000000000", 422, "must be from 0 to 999999999999", "amount"),
        (POSTBACK, "&currency=USD", "", 400, "is missing", "currency"),
        (POSTBACK, "currency=USD", "currency=", 400, "is missing", "currency"),
        (POSTBACK, "currency=USD", "currency=US", 400, "ISO 4217", "currency"),
        (POSTBACK, "currency=USD", "currency=ZZZ", 400, "ISO 4217", "currency"),
        (POSTBACK, "currency=USD", "currency=USD&campaign_id=x", 400, "must be a whole number", "campaign_id"),
        (POSTBACK, "currency=USD", "currency=USD&event=big%20sale", 400, "ASCII letters", "event"),
        (POSTBACK, "currency=USD", "currency=USD&transaction_id=a%20b", 400, "visible ASCII", "transaction_id"),
    ] {
        let code = if status == 422 { "parameter_out_of_range" } else { "invalid_parameter" };
        expect(&client, &path.replace(from, to), status, code, message, parameter).await;
    }
    for (path, from, to, code, parameter) in [
        (CLICK, "affiliate_id=1", "affiliate_id=99", "unknown_affiliate", "affiliate_id"),
        (CLICK, "campaign_id=10", "campaign_id=99", "unknown_campaign", "campaign_id"),
        (POSTBACK, "affiliate_id=1", "affiliate_id=99", "unknown_affiliate", "affiliate_id"),
        (POSTBACK, "affiliate_id=1", "affiliate_id=2", "unknown_click", "click_id"),
        (POSTBACK, "abc123", "ABC123", "unknown_click", "click_id"),
        (POSTBACK, "abc123", "%7Bclick_id%7D", "unknown_click", "click_id"),
        (POSTBACK, "currency=USD", "currency=USD&campaign_id=11", "unknown_click", "click_id"),
        (POSTBACK, "currency=USD", "currency=USD&campaign_id=99", "unknown_campaign", "campaign_id"),
    ] {
        expect(&client, &path.replace(from, to), 404, code, "", parameter).await;
    }
    let summary = client.get("/affiliates/1/summary").await.data();
    assert_eq!((&summary["clicks"], &summary["conversions"]), (&json!(1), &json!(0)), "nothing was changed by all this");
    let clicks = client.get("/affiliates/1/clicks").await.data();
    assert_eq!(clicks[0]["created_at"], NOW);
}

async fn expect(client: &Client, path: &str, status: u16, code: &str, message: &str, parameter: &str) {
    let reply = client.get(path).await;
    let answer = reply.json();
    assert_eq!((reply.status.as_u16(), reply.error_code().as_str()), (status, code), "{path}: {answer}");
    assert_eq!(answer["success"], false);
    assert_eq!(answer["error"]["parameter"], parameter, "{path}: {answer}");
    assert!(answer["message"].as_str().unwrap().contains(message), "{path}: {answer} does not say {message:?}");
}
