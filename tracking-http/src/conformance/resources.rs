//! Affiliates, campaigns and reports.

use http::{Request, StatusCode};
use serde_json::json;

use super::harness::{NOW, Site, post_json};
use crate::Api;

pub(super) async fn affiliates_are_created_and_listed(site: Site) {
    let client = site.open().await;
    let reply = client.send(post_json("/affiliates", r#"{"name": " Jürgen & Söhne "}"#)).await;
    assert_eq!(reply.status, StatusCode::CREATED);
    let affiliate = json!({"id": 3, "name": "Jürgen & Söhne", "status": "active", "created_at": NOW, "version": 1});
    assert_eq!(reply.data(), affiliate);
    assert_eq!(reply.header("location"), "./affiliates/3");
    assert_eq!(client.get("/affiliates/3").await.data(), affiliate);
    let ids: Vec<_> = client.get("/affiliates").await.data().as_array().unwrap().iter().map(|a| a["id"].clone()).collect();
    assert_eq!(ids, [3, 2, 1]);
}

pub(super) async fn campaigns_are_created_and_listed(site: Site) {
    let client = site.open().await;
    let body = r#"{"name": "Trial", "destination_url": "https://saas.example/{sub1}?c={click_id}"}"#;
    let reply = client.send(post_json("/campaigns", body)).await;
    assert_eq!(reply.status, StatusCode::CREATED);
    assert_eq!(reply.header("location"), "./campaigns/12");
    let mut campaign = reply.data();
    let key = campaign.as_object_mut().unwrap().remove("postback_key").unwrap();
    assert_eq!(
        campaign,
        json!({
            "id": 12,
            "name": "Trial",
            "destination_url": "https://saas.example/{sub1}?c={click_id}",
            "status": "active",
            "rules": {"default_status": "approved", "repeats": "by_transaction", "while_paused": "earlier_clicks"},
            "postback_auth": "key",
            "networks": [],
            "keys": [{"id": 1, "kind": "token", "created_at": NOW}],
            "created_at": NOW,
            "version": 1,
        })
    );
    assert_eq!(client.get("/campaigns/12").await.data(), campaign, "the key is told once");
    assert_eq!(client.get("/campaigns").await.data()[0], campaign);

    client.get("/click?affiliate_id=1&campaign_id=12&click_id=c").await;
    let postback = "/postback?affiliate_id=1&click_id=c&amount=1&currency=EUR";
    assert_eq!(client.get(postback).await.status, StatusCode::UNAUTHORIZED);
    let with_key = format!("{postback}&token={}", key.as_str().unwrap());
    assert_eq!(client.get(&with_key).await.status, StatusCode::OK);

    let body = r#"{"name": "Open", "destination_url": "http://localhost:1/", "postback_auth": "open"}"#;
    let open = client.send(post_json("/campaigns", body)).await.data();
    assert_eq!((&open["postback_auth"], open.get("postback_key")), (&json!("open"), None));
}

pub(super) async fn bad_bodies_are_refused(site: Site) {
    let client = site.open().await;
    let url = "https://shop.example/";
    for (path, body, status, code, parameter) in [
        ("/affiliates", "", 400, "invalid_body", None),
        ("/affiliates", "{", 400, "invalid_body", None),
        ("/affiliates", "[]", 400, "invalid_body", None),
        ("/affiliates", r#"{"name": 1}"#, 400, "invalid_body", None),
        ("/affiliates", r#"{"nmae": "x"}"#, 400, "invalid_body", None),
        ("/affiliates", r#"{"name": "x", "name": "y"}"#, 400, "invalid_body", None),
        ("/affiliates", "{\"name\": \"\u{1}\"}", 400, "invalid_body", None),
        ("/affiliates", "{}", 400, "invalid_parameter", Some("name")),
        ("/affiliates", r#"{"name": null}"#, 400, "invalid_parameter", Some("name")),
        ("/affiliates", r#"{"name": "  "}"#, 400, "invalid_parameter", Some("name")),
        ("/affiliates", r#"{"name": "a\u0000b"}"#, 400, "invalid_parameter", Some("name")),
        ("/campaigns", r#"{"destination_url": "https://shop.example/"}"#, 400, "invalid_parameter", Some("name")),
        ("/campaigns", r#"{"name": "x"}"#, 400, "invalid_parameter", Some("destination_url")),
        ("/campaigns", r#"{"name": "x", "destination_url": "/"}"#, 400, "invalid_parameter", Some("destination_url")),
        ("/campaigns", r#"{"name": "x", "destination_url": "javascript:alert(1)"}"#, 400, "invalid_parameter", Some("destination_url")),
        ("/campaigns", r#"{"name": "x", "destination_url": "https://{source}/"}"#, 400, "invalid_parameter", Some("destination_url")),
        ("/campaigns", r#"{"name": "x", "destination_url": "https://a.example/{foo}"}"#, 400, "invalid_parameter", Some("destination_url")),
        ("/campaigns", &format!(r#"{{"name": "x", "destination_url": "{url}", "postback_auth": "none"}}"#), 400, "invalid_body", None),
    ] {
        let reply = client.send(post_json(path, body)).await;
        assert_eq!((reply.status.as_u16(), reply.error_code().as_str()), (status, code), "{body}: {}", reply.text());
        assert_eq!(reply.json()["error"]["parameter"].as_str(), parameter, "{body}");
    }
    let form = Request::post("/affiliates").header("content-type", "application/x-www-form-urlencoded");
    let reply = client.send(form.body("name=x".to_owned()).unwrap()).await;
    assert_eq!(reply.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let charset = Request::post("/affiliates").header("content-type", "Application/JSON; charset=utf-8");
    let reply = client.send(charset.body(r#"{"name": "x"}"#.to_owned()).unwrap()).await;
    assert_eq!(reply.status, StatusCode::CREATED);
    assert_eq!(client.get("/affiliates").await.data().as_array().unwrap().len(), 3, "the bad ones changed nothing");
}

pub(super) async fn large_body_is_refused(site: Site) {
    let client = site.open().await;
    let body = |len: usize| format!(r#"{{"name": "{}"}}"#, "x".repeat(len - r#"{"name": ""}"#.len()));
    let fits = client.send(post_json("/affiliates", &body(Api::MAX_BODY_LEN))).await;
    assert_eq!((fits.status, fits.error_code().as_str()), (StatusCode::BAD_REQUEST, "invalid_parameter"));
    let exceeds = client.send(post_json("/affiliates", &body(Api::MAX_BODY_LEN + 1))).await;
    assert_eq!((exceeds.status, exceeds.error_code().as_str()), (StatusCode::PAYLOAD_TOO_LARGE, "body_too_large"));
    // Without a length in its header, too.
    let chunked = Request::post("/affiliates").header("content-type", "application/json");
    let chunked = chunked.header("transfer-encoding", "chunked").body(body(Api::MAX_BODY_LEN + 1)).unwrap();
    assert_eq!(client.send(chunked).await.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(client.get("/affiliates").await.data().as_array().unwrap().len(), 2);
}

pub(super) async fn lists_are_paged(site: Site) {
    let client = site.open().await;
    for index in 0..7 {
        client.get(&format!("/click?affiliate_id=1&campaign_id=10&click_id=c{index}")).await;
    }
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    for pages in 1.. {
        let reply = client.get(&format!("/affiliates/1/clicks?limit=3&cursor={cursor}")).await;
        assert_eq!(reply.status, StatusCode::OK);
        seen.extend(reply.data().as_array().unwrap().iter().map(|click| click["click_id"].as_str().unwrap().to_owned()));
        // Newer ones come in meanwhile.
        client.get(&format!("/click?affiliate_id=1&campaign_id=10&click_id=new{pages}")).await;
        match reply.json()["next_cursor"].as_str() {
            Some(next) => cursor = next.to_owned(),
            None => {
                assert_eq!(pages, 3);
                break;
            }
        }
    }
    assert_eq!(seen, ["c6", "c5", "c4", "c3", "c2", "c1", "c0"]);
    for path in ["/affiliates", "/campaigns", "/affiliates/1/clicks", "/affiliates/1/conversions", "/clicks", "/conversions"] {
        for (query, status, parameter) in [
            ("limit=0", 422, "limit"),
            ("limit=1001", 422, "limit"),
            ("limit=ten", 400, "limit"),
            ("limit=1&limit=1", 400, "limit"),
            ("cursor=garbage", 400, "cursor"),
            ("cursor=-1", 400, "cursor"),
        ] {
            let reply = client.get(&format!("{path}?{query}")).await;
            assert_eq!(reply.status.as_u16(), status, "{path}?{query}");
            assert_eq!(reply.json()["error"]["parameter"], parameter, "{path}?{query}");
        }
        assert_eq!(client.get(&format!("{path}?limit=1000&cursor=")).await.status, StatusCode::OK);
    }
}

pub(super) async fn summary_adds_up(site: Site) {
    let client = site.open().await;
    let empty = json!({
        "affiliate_id": 1,
        "clicks": 0,
        "human_clicks": 0,
        "unique_clicks": 0,
        "conversions": 0,
        "conversion_rate": 0.0,
        "revenue": [],
        "payout": [],
        "by_status": {
            "pending": {"conversions": 0, "revenue": [], "payout": []},
            "approved": {"conversions": 0, "revenue": [], "payout": []},
            "rejected": {"conversions": 0, "revenue": [], "payout": []},
        },
    });
    assert_eq!(client.get("/affiliates/1/summary").await.data(), empty);
    for index in 0..4 {
        client.get(&format!("/click?affiliate_id=1&campaign_id=10&click_id=c{index}")).await;
    }
    client.get("/postback?affiliate_id=1&click_id=c0&amount=0.1&currency=usd").await;
    client.get("/postback?affiliate_id=1&click_id=c1&amount=0.2&currency=USD").await;
    client.get("/postback?affiliate_id=1&click_id=c2&amount=5&currency=EUR").await;
    let reply = client.get("/affiliates/1/summary").await;
    let none = r#"{"conversions":0,"revenue":[],"payout":[]}"#;
    let revenue = r#"[{"currency":"EUR","amount":5},{"currency":"USD","amount":0.3}]"#;
    let by_status = format!(
        r#"{{"pending":{none},"approved":{{"conversions":3,"revenue":{revenue},"payout":[]}},"rejected":{none}}}"#
    );
    let text = format!(
        r#"{{"success":true,"data":{{"affiliate_id":1,"clicks":4,"human_clicks":0,"unique_clicks":0,"conversions":3,"conversion_rate":0.75,"revenue":{revenue},"payout":[],"by_status":{by_status}}}}}"#
    );
    assert_eq!(reply.text(), text);
    assert_eq!(client.get("/affiliates/2/summary").await.data()["clicks"], 0);
}

pub(super) async fn every_affiliate_report_answers_for_unknown_ones(site: Site) {
    let client = site.open().await;
    for report in ["", "/summary", "/clicks", "/conversions"] {
        for (id, status, code) in [
            ("99", 404, "unknown_affiliate"),
            ("0", 422, "parameter_out_of_range"),
            ("one", 400, "invalid_parameter"),
            ("%31", 400, "invalid_parameter"),
        ] {
            let reply = client.get(&format!("/affiliates/{id}{report}")).await;
            assert_eq!((reply.status.as_u16(), reply.error_code().as_str()), (status, code), "{id}{report}");
            assert_eq!(reply.json()["error"]["parameter"], "affiliate_id");
        }
    }
    assert_eq!(client.get("/campaigns/99").await.error_code(), "unknown_campaign");
}
