//! The four examples of the product's brief, field for field.

use serde_json::{Map, Value, json};

use crate::support::{Site, on_each_framework_and_store};

const CLICK: &str = "/click?affiliate_id=1&campaign_id=10&click_id=abc123";
const POSTBACK: &str = "/postback?affiliate_id=1&click_id=abc123&amount=100&currency=USD";
const CLICKS: &str = "/affiliates/1/clicks";
const CONVERSIONS: &str = "/affiliates/1/conversions";

on_each_framework_and_store!(
    the_four_examples_answer_as_the_brief_prints_them,
    a_repeated_click_and_a_retried_postback_are_recorded_once,
    a_postback_with_another_amount_names_the_conflict,
);

fn the_four_examples_answer_as_the_brief_prints_them(site: &Site) {
    let server = site.start();
    let ok = |path: &str| {
        let answer = server.get(path);
        assert_eq!((answer.status(), answer.header("content-type")), (200, "application/json"), "{}", answer.text());
        answer.json()
    };

    let mut click = ok(CLICK);
    let clicked_at = take_time(&mut click["data"], "timestamp");
    let expected = json!({
        "success": true,
        "message": "Click tracked successfully",
        "data": {"click_id": "abc123", "affiliate_id": 1, "campaign_id": 10},
    });
    assert_eq!(click, expected);

    let mut postback = ok(POSTBACK);
    let conversion_id = postback["data"]["conversion_id"].take();
    assert!(conversion_id.as_u64().is_some_and(|id| id > 0), "{conversion_id}");
    let converted_at = take_time(&mut postback["data"], "timestamp");
    let added = [("campaign_id", json!(10)), ("event", json!("conversion")), ("status", json!("approved"))];
    assert_added(&mut postback["data"], &added);
    let expected = json!({
        "success": true,
        "message": "Conversion tracked successfully",
        "data": {"conversion_id": null, "click_id": "abc123", "affiliate_id": 1, "amount": 100, "currency": "USD"},
    });
    assert_eq!(postback, expected);

    let mut clicks = ok(CLICKS);
    assert_added(&mut clicks, &[("next_cursor", Value::Null)]);
    let id = clicks["data"][0]["id"].take();
    assert!(id.as_u64().is_some_and(|id| id > 0), "{id}");
    let visit = clicks["data"][0].as_object_mut().unwrap();
    for (name, value) in [("bot", "crawler"), ("ip", "127.0.0.0/24")] {
        assert_eq!(visit.remove(name), Some(json!(value)), "what a program is, and where it came from");
    }
    assert!(visit.remove("user_agent").is_some() && visit.remove("unique") == Some(json!(false)));
    let expected = json!({
        "success": true,
        "data": [{"id": null, "click_id": "abc123", "campaign_id": 10, "created_at": clicked_at}],
    });
    assert_eq!(clicks, expected);

    let mut conversions = ok(CONVERSIONS);
    assert_added(&mut conversions, &[("next_cursor", Value::Null)]);
    assert_added(&mut conversions["data"][0], &added);
    let expected = json!({
        "success": true,
        "data": [{
            "id": conversion_id, "click_id": "abc123", "amount": 100, "currency": "USD", "created_at": converted_at,
        }],
    });
    assert_eq!(conversions, expected);
}

fn a_repeated_click_and_a_retried_postback_are_recorded_once(site: &Site) {
    let server = site.start();
    for path in [CLICK, POSTBACK] {
        let (first, again) = (server.get(path), server.get(path));
        assert_eq!((first.status(), again.status()), (200, 200));
        let (first, again) = (first.json(), again.json());
        assert_eq!(first.get("duplicate"), None, "{first}");
        assert_eq!(again["duplicate"], true, "{again}");
        assert_eq!((&again["success"], &again["data"]), (&json!(true), &first["data"]));
    }
    let summary = server.get("/affiliates/1/summary").json();
    let figures = [&summary["data"]["clicks"], &summary["data"]["conversions"]];
    assert_eq!(figures, [&json!(1), &json!(1)], "{summary}");
}

fn a_postback_with_another_amount_names_the_conflict(site: &Site) {
    let server = site.start();
    server.get(CLICK);
    server.get(POSTBACK);

    let answer = server.get(&POSTBACK.replace("amount=100", "amount=99.95"));
    assert_eq!(answer.status(), 409);
    let answer = answer.json();
    assert_eq!((&answer["success"], &answer["error"]["code"]), (&json!(false), &json!("conflict")));
    assert_eq!(answer["error"]["recorded"]["amount"], 100);
    let message = answer["message"].as_str().unwrap();
    assert!(message.contains("100 USD") && message.contains("99.95 USD"), "{message}");

    assert_eq!(server.get(CONVERSIONS).json()["data"][0]["amount"], 100);
}

/// Takes a time out of an object, after a look at its form.
fn take_time(object: &mut Value, field: &str) -> String {
    let Some(Value::String(time)) = fields(object).remove(field) else { panic!("no {field} in {object}") };
    let form: String = time.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    assert_eq!(form, "0000-00-00T00:00:00.000Z");
    time
}

/// Takes out of an object what we have added to the brief.
fn assert_added(object: &mut Value, added: &[(&str, Value)]) {
    for (field, expected) in added {
        assert_eq!(fields(object).remove(*field).as_ref(), Some(expected), "{field} in {object}");
    }
}

fn fields(object: &mut Value) -> &mut Map<String, Value> {
    object.as_object_mut().expect("a JSON object")
}
