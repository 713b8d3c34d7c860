//! What is known of visitors, who is told, and how it is forgotten.

use std::sync::Arc;

use http::{Request, StatusCode};
use serde_json::{Value, json};
use tracking_core::AffiliateId;

use super::client::{Client, Reply};
use super::harness::{Site, post_json};
use crate::Api;
use crate::guard::{self, Access};

const CLICK: &str = "/click?affiliate_id=1&campaign_id=10";
const BROWSER: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:141.0) Gecko/20100101 Firefox/141.0";

pub(super) async fn clicks_tell_what_is_known_of_them(site: Site) {
    let client = site.open().await;
    let marks = "&sub1=ad-7&sub2=%F0%9F%91%9F+red&sub5=%3Cb%3E&source=newsletter";
    visit(&client, &format!("{CLICK}{marks}&click_id=a"), &[("user-agent", BROWSER)]).await;
    visit(&client, &format!("{CLICK}&click_id=b"), &[("user-agent", BROWSER)]).await;
    visit(&client, &format!("{CLICK}&click_id=c"), &[("user-agent", "Googlebot/2.1")]).await;
    visit(&client, &format!("{CLICK}&click_id=d"), &[("user-agent", BROWSER), ("sec-purpose", "prefetch")]).await;
    visit(&client, &format!("{CLICK}&click_id=e"), &[]).await;

    let mut clicks = listed(&client, "").await;
    for click in &mut clicks {
        for name in ["id", "created_at", "campaign_id"] {
            click.as_object_mut().unwrap().remove(name).unwrap();
        }
    }
    clicks.reverse();
    let ip = "127.0.0.0/24";
    assert_eq!(
        clicks,
        [
            json!({
                "click_id": "a",
                "sub1": "ad-7",
                "sub2": "👟 red",
                "sub5": "<b>",
                "source": "newsletter",
                "ip": ip,
                "user_agent": BROWSER,
                "unique": true,
            }),
            json!({"click_id": "b", "ip": ip, "user_agent": BROWSER, "unique": false}),
            json!({"click_id": "c", "ip": ip, "user_agent": "Googlebot/2.1", "bot": "crawler", "unique": false}),
            json!({"click_id": "d", "ip": ip, "user_agent": BROWSER, "bot": "prefetch", "unique": false}),
            json!({"click_id": "e", "ip": ip, "bot": "no_user_agent", "unique": false}),
        ]
    );
    let summary = client.get("/affiliates/1/summary").await.data();
    let counts = ["clicks", "human_clicks", "unique_clicks"].map(|name| summary[name].as_u64().unwrap());
    assert_eq!(counts, [5, 2, 1]);
    let page = client.get("/dashboard?affiliate_id=1").await;
    for part in ["2 human · 1 unique", "sub5 <bdi>&#60;b&#62;</bdi>", ">repeat<", ">crawler<", ">prefetched<"] {
        assert!(page.text().contains(part), "{} has no {part}", page.text());
    }
}

pub(super) async fn affiliates_are_not_told_who_visited(site: Site) {
    let (tracker, _) = site.tracker_and_key().await;
    let own = Access::Affiliate(AffiliateId::new(1).unwrap());
    let his = guard::from_fn(move |_| {
        let own = own.clone();
        async { own }
    });
    let admins = Arc::new(Api::new(Arc::clone(&tracker), guard::open()));
    let affiliates = Arc::new(Api::new(tracker, his));
    let client = site.mount(vec![("/tracking", affiliates), ("/partners/tracking", admins)]).await;
    let path = format!("/tracking{CLICK}&sub1=ad-7&source=newsletter");
    visit(&client, &path, &[("user-agent", BROWSER)]).await;

    let his = listed(&client, "/tracking").await[0].clone();
    assert_eq!((&his["sub1"], &his["source"], &his["unique"]), (&json!("ad-7"), &json!("newsletter"), &json!(true)));
    assert_eq!((his.get("ip"), his.get("user_agent")), (None, None));
    let page = client.get("/tracking/dashboard").await;
    assert!(!page.text().contains("Firefox") && !page.text().contains("127.0.0.0"), "{}", page.text());
    let admins = listed(&client, "/partners/tracking").await[0].clone();
    assert_eq!((&admins["ip"], &admins["user_agent"]), (&json!("127.0.0.0/24"), &json!(BROWSER)));

    let reply = client.send(post_json("/tracking/clicks/erase", r#"{"click_id": "abc"}"#)).await;
    assert_eq!((reply.status, reply.error_code().as_str()), (StatusCode::FORBIDDEN, "forbidden"));
}

pub(super) async fn erased_clicks_are_anonymous(site: Site) {
    let client = site.open().await;
    let path = format!("{CLICK}&sub1=ad-7&source=newsletter&click_id=abc123");
    visit(&client, &path, &[("user-agent", BROWSER)]).await;
    visit(&client, &path.replace("=10", "=11"), &[("user-agent", BROWSER)]).await;
    visit(&client, &format!("{CLICK}&click_id=other"), &[("user-agent", BROWSER)]).await;
    let minted = client.get(CLICK).await.data()["click_id"].as_str().unwrap().to_owned();
    let before = client.get("/affiliates/1/summary").await.data();

    assert_eq!(erase(&client, "abc123").await.data(), json!({"erased": 2}));
    assert_eq!(erase(&client, &minted).await.data(), json!({"erased": 1}));
    for gone in ["abc123", &minted, "never-seen", "aptk_forged"] {
        assert_eq!(erase(&client, gone).await.data(), json!({"erased": 0}), "{gone}");
    }
    let clicks = listed(&client, "").await;
    for (click, is_unique) in [(&clicks[0], false), (&clicks[2], true), (&clicks[3], true)] {
        assert!(click["click_id"].as_str().unwrap().starts_with("erased-"), "{click}");
        assert_eq!(click["unique"], is_unique, "verdicts have been counted, and stay");
        for name in ["sub1", "source", "ip", "user_agent"] {
            assert_eq!(click.get(name), None, "{click}");
        }
    }
    assert_eq!((&clicks[1]["click_id"], &clicks[1]["user_agent"]), (&json!("other"), &json!(BROWSER)));
    assert_eq!(client.get("/affiliates/1/summary").await.data(), before, "figures stay as they are");
    for gone in ["abc123", &minted] {
        let reply = client.get(&format!("/postback?affiliate_id=1&click_id={gone}&amount=1&currency=USD")).await;
        assert_eq!((reply.status, reply.error_code().as_str()), (StatusCode::NOT_FOUND, "unknown_click"), "{gone}");
    }
}

pub(super) async fn bad_erasures_are_refused(site: Site) {
    let client = site.open().await;
    client.get(&format!("{CLICK}&click_id=abc123")).await;
    for (body, code) in [
        ("", "invalid_body"),
        (r#"{"click_id": 1}"#, "invalid_body"),
        (r#"{"click_id": "abc123", "affiliate_id": 1}"#, "invalid_body"),
        ("{}", "invalid_parameter"),
        (r#"{"click_id": ""}"#, "invalid_parameter"),
        (r#"{"click_id": "a b"}"#, "invalid_parameter"),
    ] {
        let reply = client.send(post_json("/clicks/erase", body)).await;
        assert_eq!((reply.status, reply.error_code().as_str()), (StatusCode::BAD_REQUEST, code), "{body}");
    }
    assert_eq!(listed(&client, "").await[0]["click_id"], "abc123");
}

async fn visit(client: &Client, path: &str, headers: &[(&str, &str)]) {
    let request = headers.iter().fold(Request::get(path), |request, (name, value)| request.header(*name, *value));
    assert_eq!(client.send(request.body(String::new()).unwrap()).await.status, StatusCode::OK, "{path}");
}

async fn listed(client: &Client, mount: &str) -> Vec<Value> {
    client.get(&format!("{mount}/affiliates/1/clicks")).await.data().as_array().unwrap().clone()
}

async fn erase(client: &Client, click_id: &str) -> Reply {
    let reply = client.send(post_json("/clicks/erase", &json!({"click_id": click_id}).to_string())).await;
    assert_eq!(reply.status, StatusCode::OK, "{click_id}");
    reply
}
