//! How affiliates and campaigns are changed, and what follows from that.

use std::sync::Arc;
use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use tracking_core::{AffiliateId, Campaign, CampaignId, PostbackAccess};

use super::client::{Client, Reply};
use super::harness::{NOW, Site, post_json, send_json};
use crate::Api;
use crate::guard::{self, Access};

async fn patch(client: &Client, path: &str, body: &Value) -> Reply {
    client.send(send_json(Method::PATCH, path, &body.to_string())).await
}

pub(super) async fn affiliates_are_changed(site: Site) {
    let client = site.open().await;
    let path = "/affiliates/1";
    let affiliate = |name: &str, version: u32| {
        json!({"id": 1, "name": name, "status": "active", "created_at": NOW, "version": version})
    };
    assert_eq!(patch(&client, path, &json!({})).await.data(), affiliate("Ada", 1), "nothing was asked for");
    let reply = patch(&client, path, &json!({"name": " Ada L. "})).await;
    assert_eq!((reply.status.as_u16(), reply.data()), (200, affiliate("Ada L.", 2)));
    assert_eq!(client.get(path).await.data(), affiliate("Ada L.", 2));
    assert_eq!(patch(&client, path, &json!({"name": "Ada L."})).await.data()["version"], 2, "it has that name");

    client.get("/click?affiliate_id=1&campaign_id=10&click_id=c").await;
    let paused = patch(&client, path, &json!({"paused": true})).await.data();
    assert_eq!((&paused["status"], &paused["paused_at"], &paused["version"]), (&json!("paused"), &json!(NOW), &json!(3)));
    let sale = "/postback?affiliate_id=1&click_id=c&amount=1&currency=USD";
    assert_eq!(client.get(sale).await.error_code(), "affiliate_paused", "the click is of the same moment");
    let active = patch(&client, path, &json!({"paused": false, "name": "Ada"})).await.data();
    assert_eq!(active, affiliate("Ada", 4));
    assert_eq!(client.get(sale).await.status.as_u16(), 200);
}

pub(super) async fn campaigns_are_changed(site: Site) {
    let client = site.open().await;
    let path = "/campaigns/10";
    let change = json!({
        "name": "Store",
        "destination_url": "https://store.example/{click_id}",
        "postback_auth": "key",
        "networks": ["203.0.113.0/24"],
        "paused": true,
        "rules": {"daily_cap": 3},
    });
    let reply = patch(&client, path, &change).await;
    let changed = json!({
        "id": 10,
        "name": "Store",
        "destination_url": "https://store.example/{click_id}",
        "status": "paused",
        "paused_at": NOW,
        "rules": {
            "default_status": "approved",
            "repeats": "by_transaction",
            "daily_cap": 3,
            "while_paused": "earlier_clicks",
        },
        "postback_auth": "key",
        "networks": ["203.0.113.0/24"],
        "keys": [],
        "created_at": NOW,
        "version": 2,
    });
    assert_eq!((reply.status.as_u16(), reply.data()), (200, changed.clone()), "{}", reply.text());
    assert_eq!(client.get(path).await.data(), changed);
    let click = "/go?affiliate_id=1&campaign_id=10&click_id=c";
    assert_eq!(client.get(click).await.header("location"), "https://store.example/c", "visitors are sent on at once");
    let back = json!({"postback_auth": "open", "networks": null, "paused": false, "rules": {"daily_cap": null}});
    let data = patch(&client, path, &back).await.data();
    assert_eq!((&data["status"], &data["networks"], &data["version"]), (&json!("active"), &json!([]), &json!(3)));
    assert_eq!((data.get("paused_at"), data["rules"].get("daily_cap")), (None, None));
    assert_eq!(client.get("/postback?affiliate_id=1&click_id=c&amount=1&currency=USD").await.status.as_u16(), 200);
}

pub(super) async fn rules_are_shown_as_they_were_given(site: Site) {
    let client = site.open().await;
    let rules = json!({
        "attribution_window_seconds": 2_592_000,
        "min_seconds_to_convert": 5,
        "currency": "USD",
        "payout": {"percent": 12.5},
        "events": {
            "lead": {"payout": {"amount": 5, "currency": "EUR"}, "amount": 0.5},
            "sale": {},
        },
        "default_status": "pending",
        "repeats": "once",
        "daily_cap": 1000,
        "while_paused": "nothing",
    });
    let campaign = json!({"name": "Shop", "destination_url": "https://shop.example/", "rules": rules});
    let made = client.send(post_json("/campaigns", &campaign.to_string())).await.data();
    assert_eq!(made["rules"], rules);
    // What is shown can be sent back.
    let path = "/campaigns/12";
    assert_eq!(patch(&client, path, &json!({"rules": rules})).await.data()["version"], 1, "nothing was changed");
    let texts = json!({"rules": {"payout": {"amount": "0.10", "currency": "usd"}, "events": {"sale": {"amount": "10.0"}}}});
    let data = patch(&client, path, &texts).await.data();
    assert_eq!(data["rules"]["payout"], json!({"amount": 0.1, "currency": "USD"}), "others stay, and this is replaced");
    assert_eq!(data["rules"]["events"], json!({"sale": {"amount": 10}}));
    assert_eq!(data["rules"]["daily_cap"], 1000);
    let none: Value = rules.as_object().unwrap().keys().map(|name| (name.clone(), Value::Null)).collect();
    let data = patch(&client, path, &json!({"rules": none})).await.data();
    let default = json!({"default_status": "approved", "repeats": "by_transaction", "while_paused": "earlier_clicks"});
    assert_eq!(data["rules"], default);
}

pub(super) async fn bad_changes_are_refused(site: Site) {
    let client = site.open().await;
    let too_many = |count: usize| -> Vec<String> { (0..count).map(|n| format!("10.0.{}.{}", n / 200, n % 200)).collect() };
    let events = |count: usize| -> Value { (0..count).map(|n| (format!("e{n}"), json!({}))).collect() };
    let most = PostbackAccess::MAX_NETWORKS;
    assert_eq!(patch(&client, "/campaigns/10", &json!({"networks": too_many(most)})).await.status.as_u16(), 200);
    assert_eq!(patch(&client, "/campaigns/10", &json!({"rules": {"events": events(100)}})).await.status.as_u16(), 200);
    let before = client.get("/campaigns/10").await.data();
    for (change, status, code, parameter) in [
        (json!({"name": ""}), 400, "invalid_parameter", Some("name")),
        (json!({"name": null}), 400, "invalid_body", None),
        (json!({"paused": "yes"}), 400, "invalid_body", None),
        (json!({"nmae": "x"}), 400, "invalid_body", None),
        (json!({"key_kind": "signing"}), 400, "invalid_body", None),
        (json!({"destination_url": "ftp://x"}), 400, "invalid_parameter", Some("destination_url")),
        (json!({"postback_auth": "none"}), 400, "invalid_body", None),
        (json!({"networks": ["home"]}), 400, "invalid_parameter", Some("networks")),
        (json!({"networks": ["10.0.0.0/33"]}), 400, "invalid_parameter", Some("networks")),
        (json!({"networks": too_many(most + 1)}), 422, "parameter_out_of_range", Some("networks")),
        (json!({"rules": null}), 400, "invalid_body", None),
        (json!({"rules": []}), 400, "invalid_body", None),
        (json!({"rules": {"payout": [5]}}), 400, "invalid_body", None),
        (json!({"rules": {"events": {"sale": []}}}), 400, "invalid_body", None),
        (json!([]), 400, "invalid_body", None),
        (json!({"rules": {"payuot": {}}}), 400, "invalid_body", None),
        (json!({"rules": {"attribution_window_seconds": 0}}), 422, "parameter_out_of_range", Some("attribution_window_seconds")),
        (json!({"rules": {"attribution_window_seconds": 1.5}}), 400, "invalid_body", None),
        (json!({"rules": {"attribution_window_seconds": u64::MAX}}), 422, "parameter_out_of_range", Some("attribution_window_seconds")),
        (
            json!({"rules": {"attribution_window_seconds": 60, "min_seconds_to_convert": 61}}),
            422,
            "parameter_out_of_range",
            Some("min_seconds_to_convert"),
        ),
        (json!({"rules": {"currency": "ZZZ"}}), 400, "invalid_parameter", Some("currency")),
        (json!({"rules": {"payout": {}}}), 400, "invalid_parameter", Some("payout")),
        (json!({"rules": {"payout": {"percent": 101}}}), 400, "invalid_parameter", Some("payout")),
        (json!({"rules": {"payout": {"percent": true}}}), 400, "invalid_body", None),
        (json!({"rules": {"payout": {"amount": 5}}}), 400, "invalid_parameter", Some("payout")),
        (json!({"rules": {"payout": {"amount": -5, "currency": "EUR"}}}), 400, "invalid_parameter", Some("payout")),
        (json!({"rules": {"payout": {"percent": 5, "currency": "EUR"}}}), 400, "invalid_parameter", Some("payout")),
        (json!({"rules": {"events": {"big sale": {}}}}), 400, "invalid_parameter", Some("events")),
        (json!({"rules": {"events": {"sale": {"amount": "x"}}}}), 400, "invalid_parameter", Some("events")),
        (json!({"rules": {"events": {"sale": {"amount": 0.000_000_1}}}}), 422, "parameter_out_of_range", Some("events")),
        (json!({"rules": {"events": events(101)}}), 422, "parameter_out_of_range", Some("events")),
        (json!({"rules": {"default_status": "paid"}}), 400, "invalid_parameter", Some("default_status")),
        (json!({"rules": {"repeats": "twice"}}), 400, "invalid_parameter", Some("repeats")),
        (json!({"rules": {"daily_cap": 0}}), 422, "parameter_out_of_range", Some("daily_cap")),
        (json!({"rules": {"daily_cap": 4_294_967_296u64}}), 422, "parameter_out_of_range", Some("daily_cap")),
        (json!({"rules": {"while_paused": "all"}}), 400, "invalid_parameter", Some("while_paused")),
        // One of several.
        (json!({"name": "Store", "paused": true, "rules": {"daily_cap": 0}}), 422, "parameter_out_of_range", Some("daily_cap")),
    ] {
        let reply = patch(&client, "/campaigns/10", &change).await;
        assert_eq!((reply.status.as_u16(), reply.error_code().as_str()), (status, code), "{change}: {}", reply.text());
        assert_eq!(reply.json()["error"]["parameter"].as_str(), parameter, "{change}: {}", reply.text());
        // A new campaign is read by the same rules.
        if let Some(rules) = change.get("rules").filter(|rules| rules.is_object()) {
            let campaign = json!({"name": "New", "destination_url": "https://new.example/", "rules": rules});
            let reply = client.send(post_json("/campaigns", &campaign.to_string())).await;
            assert_eq!((reply.status.as_u16(), reply.error_code().as_str()), (status, code), "{campaign}");
        }
    }
    assert_eq!(client.get("/campaigns/10").await.data(), before, "none of it changed anything");
    assert_eq!(client.get("/campaigns").await.data().as_array().unwrap().len(), 2);
    // What fits alone may not fit to what is there.
    patch(&client, "/campaigns/11", &json!({"rules": {"attribution_window_seconds": 60}})).await;
    let reply = patch(&client, "/campaigns/11", &json!({"rules": {"min_seconds_to_convert": 61}})).await;
    assert_eq!(reply.json()["error"]["parameter"], "min_seconds_to_convert");
    for (path, code) in [("/campaigns/99", "unknown_campaign"), ("/affiliates/99", "unknown_affiliate")] {
        let reply = patch(&client, path, &json!({"name": "x"})).await;
        assert_eq!((reply.status.as_u16(), reply.error_code().as_str()), (404, code));
    }
    for change in [json!({"name": null}), json!({"paused": null}), json!({"rules": {}}), json!([])] {
        assert_eq!(patch(&client, "/affiliates/1", &change).await.error_code(), "invalid_body", "{change}");
    }
    assert_eq!(patch(&client, "/affiliates/1", &json!({"name": " "})).await.error_code(), "invalid_parameter");
}

pub(super) async fn times_that_do_not_fit_are_in_nobodys_way(site: Site) {
    let (tracker, _) = site.tracker_and_key().await;
    let set = |campaign: &mut Campaign| {
        campaign.rules.attribution_window = Some(Duration::from_secs(60));
        campaign.rules.min_time_to_convert = Some(Duration::from_secs(90));
    };
    // As only an application can.
    tracker.update_campaign(CampaignId::new(10).unwrap(), set).await.unwrap();
    let client = site.open_tracker(tracker).await;
    let path = "/campaigns/10";
    let reply = patch(&client, path, &json!({"rules": {"daily_cap": 7}})).await;
    assert_eq!((reply.status.as_u16(), &reply.data()["rules"]["daily_cap"]), (200, &json!(7)), "{}", reply.text());
    let before = client.get(path).await.data();
    assert_eq!(before["rules"]["min_seconds_to_convert"], 90);
    for change in [json!({"attribution_window_seconds": 80}), json!({"min_seconds_to_convert": 70})] {
        let reply = patch(&client, path, &json!({"rules": change})).await;
        assert_eq!((reply.status.as_u16(), reply.error_code().as_str()), (422, "parameter_out_of_range"), "{change}");
        assert_eq!(reply.json()["error"]["parameter"], "min_seconds_to_convert", "{change}");
    }
    assert_eq!(client.get(path).await.data(), before);
    let reply = patch(&client, path, &json!({"rules": {"min_seconds_to_convert": 60}})).await;
    assert_eq!(reply.status.as_u16(), 200, "{}", reply.text());
}

pub(super) async fn payouts_are_exact(site: Site) {
    let client = site.open().await;
    let rules = r#"{"payout": {"percent": "33.3333"}, "events": {"lead": {"payout": {"amount": 0.1, "currency": "EUR"}}, "sale": {}}}"#;
    let body =
        format!(r#"{{"name": "S", "destination_url": "https://s.example/", "postback_auth": "open", "rules": {rules}}}"#);
    client.send(post_json("/campaigns", &body)).await;
    client.get("/click?affiliate_id=1&campaign_id=12&click_id=c").await;
    let sale = "/postback?affiliate_id=1&click_id=c&currency=USD";
    for (rest, payout) in [
        ("&event=sale&amount=0.000001", r#""payout":{"amount":0.000000333333,"currency":"USD"}"#),
        ("&event=sale&amount=999999999999.999999&transaction_id=2", r#""payout":{"amount":333332999999.999999666667,"currency":"USD"}"#),
        ("&event=lead&amount=7", r#""payout":{"amount":0.1,"currency":"EUR"}"#),
        ("&event=lead&amount=7&transaction_id=2", r#""payout":{"amount":0.1,"currency":"EUR"}"#),
        ("&event=lead&amount=7&transaction_id=3", r#""payout":{"amount":0.1,"currency":"EUR"}"#),
    ] {
        let reply = client.get(&format!("{sale}{rest}")).await;
        assert!(reply.text().contains(payout), "{rest}: {}", reply.text());
    }
    let summary = client.get("/affiliates/1/summary").await;
    let sums = r#""payout":[{"currency":"EUR","amount":0.3},{"currency":"USD","amount":333333000000}]"#;
    assert!(summary.text().contains(sums), "{}", summary.text());
    // A later payout is for later conversions.
    patch(&client, "/campaigns/12", &json!({"rules": {"payout": null, "events": null}})).await;
    let reply = client.get(&format!("{sale}&event=sale&amount=1&transaction_id=4")).await;
    assert_eq!(reply.data().get("payout"), None);
    assert!(client.get("/affiliates/1/summary").await.text().contains(sums));
}

pub(super) async fn affiliates_see_payouts_and_no_more(site: Site) {
    let (tracker, _) = site.tracker_and_key().await;
    let own = Access::Affiliate(AffiliateId::new(1).unwrap());
    let his = guard::from_fn(move |_| {
        let own = own.clone();
        async { own }
    });
    let admins = Arc::new(Api::new(Arc::clone(&tracker), guard::open()));
    let affiliates = Arc::new(Api::new(tracker, his));
    let client = site.mount(vec![("/tracking", affiliates), ("/partners/tracking", admins)]).await;
    let change = json!({
        "networks": ["203.0.113.0/24"],
        "rules": {
            "payout": {"percent": 5},
            "events": {"sale": {"amount": 40, "payout": {"amount": 1, "currency": "USD"}}, "lead": {"amount": 2}},
            "daily_cap": 7,
            "attribution_window_seconds": 60,
        },
    });
    patch(&client, "/partners/tracking/campaigns/11", &change).await;
    let expected = json!({
        "id": 11,
        "name": "Bank",
        "destination_url": "https://shop.example/?ref={click_id}",
        "status": "active",
        "rules": {"payout": {"percent": 5}, "events": {"lead": {}, "sale": {"payout": {"amount": 1, "currency": "USD"}}}},
        "created_at": NOW,
    });
    assert_eq!(client.get("/tracking/campaigns/11").await.data(), expected);
    assert_eq!(client.get("/tracking/campaigns").await.data()[0], expected);
    assert_eq!(client.get("/partners/tracking/campaigns/11").await.data()["networks"], json!(["203.0.113.0/24"]));
}
