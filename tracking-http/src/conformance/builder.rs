//! Links to hand out, their QR codes, and test clicks.

use std::sync::Arc;

use http::{Method, Request, StatusCode};
use serde_json::{Value, json};
use tracking_core::{AffiliateId, Secret, Tracker};

use super::broken::{BrokenStore, SECRET};
use super::client::{Client, Reply};
use super::harness::{Site, post_form, post_json, request};
use crate::guard::{self, Access};
use crate::{Api, qr};

const LINK: &str = "/links?affiliate_id=1&campaign_id=10";
const QR_CODE: &str = "/links/qr.svg?affiliate_id=1&campaign_id=10";
const BROWSER: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:141.0) Gecko/20100101 Firefox/141.0";

pub(super) async fn link_is_built_and_works(site: Site) {
    let client = site.open().await;
    let reply = client.get(&format!("{LINK}&sub1=kw-%7Bkeyword%7D&sub3=a%26b&source=caf%C3%A9+1")).await;
    assert_eq!(reply.status, StatusCode::OK);
    let url = reply.data()["url"].as_str().unwrap().to_owned();
    let query = "affiliate_id=1&campaign_id=10&sub1=kw-{keyword}&sub3=a%26b&source=caf%C3%A9%201";
    let base = url.strip_suffix(&format!("/go?{query}")).unwrap_or_else(|| panic!("{url}"));
    assert_eq!(reply.data()["qr_code_url"], format!("{base}/links/qr.svg?{query}"));
    assert_eq!(reply.data()["destination_url"], "https://shop.example/?ref=example-click-id");

    let followed = client.get(&format!("/go?{query}")).await;
    assert_eq!(followed.status, StatusCode::FOUND, "a macro that no network filled in does no harm");
    let click = client.get("/affiliates/1/clicks").await.data()[0].clone();
    assert_eq!((&click["sub1"], &click["sub3"]), (&json!("kw-{keyword}"), &json!("a&b")));
    assert_eq!(click["source"], "café 1");
}

pub(super) async fn link_starts_with_the_public_url(site: Site) {
    let (tracker, _) = site.tracker_and_key().await;
    let api = Api::new(tracker, guard::open()).public_url("https://partners.example/track/".parse().unwrap());
    let client = site.mount(vec![("/tracking", Arc::new(api))]).await;
    let url = client.get(&format!("/tracking{LINK}")).await.data()["url"].clone();
    assert_eq!(url, "https://partners.example/track/go?affiliate_id=1&campaign_id=10");
    let page = client.get("/tracking/dashboard/link?affiliate_id=1&campaign_id=10").await;
    assert!(page.text().contains("https://partners.example/track/go?affiliate_id=1&#38;campaign_id=10"), "{}", page.text());
}

pub(super) async fn link_that_would_not_work_is_refused(site: Site) {
    let client = site.open().await;
    for path in [LINK, QR_CODE] {
        for (from, to, status, code, parameter) in [
            ("affiliate_id=1&", "affiliate_id=99&", 404, "unknown_affiliate", "affiliate_id"),
            ("campaign_id=10", "campaign_id=99", 404, "unknown_campaign", "campaign_id"),
            ("affiliate_id=1&", "", 400, "invalid_parameter", "affiliate_id"),
            ("campaign_id=10", "campaign_id=0", 422, "parameter_out_of_range", "campaign_id"),
            ("campaign_id=10", "campaign_id=10&sub2=%01", 400, "invalid_parameter", "sub2"),
            ("campaign_id=10", "campaign_id=10&source=a&source=b", 400, "invalid_parameter", "source"),
        ] {
            let path = path.replace(from, to);
            let reply = client.get(&path).await;
            assert_eq!((reply.status.as_u16(), reply.error_code().as_str()), (status, code), "{path}");
            assert_eq!(reply.json()["error"]["parameter"], parameter, "{path}");
        }
    }
}

pub(super) async fn qr_code_is_an_image(site: Site) {
    let client = site.open().await;
    let reply = client.get(QR_CODE).await;
    assert_eq!((reply.status, reply.header("content-type")), (StatusCode::OK, "image/svg+xml"));
    assert!(reply.text().starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\""), "{}", reply.text());
    let url = client.get(LINK).await.data()["url"].as_str().unwrap().to_owned();
    assert_eq!(reply.text(), qr::svg(&url).unwrap());
    let head = client.send(request(Method::HEAD, QR_CODE)).await;
    assert_eq!((head.status, head.header("content-type")), (StatusCode::OK, "image/svg+xml"));
}

pub(super) async fn link_too_long_for_a_qr_code_is_a_link_all_the_same(site: Site) {
    let client = site.open().await;
    let marks = format!("&sub1={0}&sub2={0}", "%C3%A4".repeat(255));
    let url = client.get(&format!("{LINK}{marks}")).await.data()["url"].as_str().unwrap().to_owned();
    assert!(url.len() > qr::MAX_LEN);
    let reply = client.get(&format!("{QR_CODE}{marks}")).await;
    assert_eq!((reply.status, reply.error_code().as_str()), (StatusCode::UNPROCESSABLE_ENTITY, "link_too_long"));
    let message = reply.json()["message"].to_string();
    assert!(message.contains(&url.len().to_string()) && message.contains(&qr::MAX_LEN.to_string()), "{message}");
    let page = client.get(&format!("/dashboard/link?affiliate_id=1&campaign_id=10{marks}")).await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.text().contains("no-qr-code") && !page.text().contains("qr.svg"), "{}", page.text());
}

pub(super) async fn test_click_shows_each_step(site: Site) {
    let client = site.open().await;
    let reply = test(&client, r#"{"affiliate_id": 1, "campaign_id": 10, "sub1": "ad-7", "source": "mail"}"#).await;
    assert_eq!(steps(&reply), ["link", "affiliate", "campaign", "visitor", "click", "redirect"]);
    let data = reply.data();
    assert!(data["steps"].as_array().unwrap().iter().all(|step| step["ok"] == true), "{data}");
    assert_eq!((&data["passed"], &data["click"]), (&json!(true), &json!("recorded")));
    assert!(data["milliseconds"].is_u64(), "{data}");
    let click_id = data["click_id"].as_str().unwrap();
    assert_eq!(data["location"], format!("https://shop.example/?ref={click_id}"));

    let click = client.get("/affiliates/1/clicks").await.data()[0].clone();
    assert_eq!((&click["click_id"], &click["bot"]), (&json!(click_id), &json!("test")));
    assert_eq!((&click["sub1"], &click["source"], &click["unique"]), (&json!("ad-7"), &json!("mail"), &json!(false)));
    let summary = client.get("/affiliates/1/summary").await.data();
    let counts = ["clicks", "human_clicks", "unique_clicks"].map(|name| summary[name].as_u64().unwrap());
    assert_eq!(counts, [1, 0, 0]);
    // The tester goes on.
    let postback = format!("/postback?affiliate_id=1&click_id={click_id}&amount=1&currency=USD");
    assert_eq!(client.get(&postback).await.status, StatusCode::OK);
}

pub(super) async fn test_click_tells_what_is_left_out(site: Site) {
    let client = site.open().await;
    let form = "affiliate_id=1&campaign_id=10&sub1=%&sub2=a&sub2=b&sub3=ok&source=&click_id=mine&gclid=x";
    let reply = client.send(post_form("/links/test", form)).await;
    let data = reply.data();
    assert_eq!((reply.status, &data["passed"]), (StatusCode::OK, &json!(true)), "{data}");
    let left_out = data["steps"][0]["left_out"].to_string();
    for what in ["sub2 is given more than once", "be decoded", "click_id"] {
        assert!(left_out.contains(what), "{left_out} does not say {what:?}");
    }
    assert_eq!(data["steps"][0]["left_out"].as_array().unwrap().len(), 3, "{left_out}");
    let click = client.get("/affiliates/1/clicks").await.data()[0].clone();
    assert_eq!((click.get("sub1"), click.get("sub2"), &click["sub3"]), (None, None, &json!("ok")));
    assert_eq!(click["click_id"], data["click_id"], "a test has a click of its own");
    assert_ne!(click["click_id"], "mine");
}

pub(super) async fn test_click_ends_where_it_fails(site: Site) {
    let client = site.open().await;
    for (body, expected, message) in [
        (r#"{"campaign_id": 10}"#, &["link"][..], "affiliate_id is missing"),
        (r#"{"affiliate_id": 1, "campaign_id": 1.5}"#, &["link"], "campaign_id is not valid"),
        (r#"{"affiliate_id": 99, "campaign_id": 10}"#, &["link", "affiliate"], "no affiliate 99"),
        (r#"{"affiliate_id": 1, "campaign_id": 99}"#, &["link", "affiliate", "campaign"], "no campaign 99"),
    ] {
        let reply = test(&client, body).await;
        assert_eq!(reply.status, StatusCode::OK, "{body}");
        assert_eq!(steps(&reply), expected, "{body}");
        let data = reply.data();
        let (last, before) = data["steps"].as_array().unwrap().split_last().unwrap();
        assert!(before.iter().all(|step| step["ok"] == true) && last["ok"] == false, "{data}");
        assert!(last["message"].as_str().unwrap().contains(message), "{data}");
        assert!(last["remedy"].is_string(), "{data}");
        assert_eq!((&data["passed"], data.get("location")), (&json!(false), None));
    }
    for id in [1, 2] {
        assert_eq!(client.get(&format!("/affiliates/{id}/summary")).await.data()["clicks"], 0);
    }
    for for_now in [true, false] {
        let tracker = Tracker::new(BrokenStore::new(for_now), Secret::random());
        let client = site.open_tracker(Arc::new(tracker)).await;
        let reply = test(&client, r#"{"affiliate_id": 1, "campaign_id": 10}"#).await;
        assert_eq!(reply.status, StatusCode::OK);
        assert_eq!(steps(&reply), ["link", "affiliate"]);
        assert!(!reply.text().contains(SECRET), "{}", reply.text());
    }
}

pub(super) async fn test_click_tells_what_its_caller_is_taken_for(site: Site) {
    let client = site.open().await;
    for (header, expected) in [
        (None, json!("no_user_agent")),
        (Some(("user-agent", BROWSER)), Value::Null),
        (Some(("user-agent", "Googlebot/2.1 (+http://www.google.com/bot.html)")), json!("crawler")),
        (Some(("sec-purpose", "prefetch")), json!("prefetch")),
    ] {
        let mut call = post_json("/links/test", r#"{"affiliate_id": 1, "campaign_id": 10}"#);
        if let Some((name, value)) = header {
            call.headers_mut().insert(name, value.parse().unwrap());
        }
        let data = client.send(call).await.data();
        assert_eq!(data["bot"], expected, "{header:?}");
        assert!(data["steps"][3]["message"].as_str().unwrap().contains("127.0.0.0/24"), "{data}");
        let click = client.get("/affiliates/1/clicks?limit=1").await.data()[0].clone();
        assert_eq!(click["bot"], "test", "whatever it would be, it is a test");
    }
}

pub(super) async fn test_click_needs_json_or_a_form(site: Site) {
    let client = site.open().await;
    let plain = Request::post("/links/test").header("content-type", "text/plain");
    let reply = client.send(plain.body("affiliate_id=1".to_owned()).unwrap()).await;
    assert_eq!(reply.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    for body in ["", "[]", r#"{"affiliate_id": "1"}"#, r#"{"affiliate_id": 1, "sub6": "x"}"#] {
        let reply = test(&client, body).await;
        assert_eq!((reply.status, reply.error_code().as_str()), (StatusCode::BAD_REQUEST, "invalid_body"), "{body}");
    }
    let large = post_form("/links/test", &"x".repeat(Api::MAX_BODY_LEN + 1));
    assert_eq!(client.send(large).await.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(client.get("/affiliates/1/summary").await.data()["clicks"], 0);
}

pub(super) async fn affiliate_has_links_of_his_own_only(site: Site) {
    let own = Access::Affiliate(AffiliateId::new(1).unwrap());
    let client = site
        .guarded(guard::from_fn(move |_| {
            let own = own.clone();
            async { own }
        }))
        .await;
    for id in [2, 99] {
        let of_other = |path: &str| path.replace("affiliate_id=1", &format!("affiliate_id={id}"));
        for path in [LINK, QR_CODE, "/dashboard/link?affiliate_id=1"] {
            assert_eq!(client.get(&of_other(path)).await.status, StatusCode::FORBIDDEN, "{path} of {id}");
        }
        let form = of_other("affiliate_id=1&campaign_id=10");
        for path in ["/links/test", "/dashboard/link"] {
            assert_eq!(client.send(post_form(path, &form)).await.status, StatusCode::FORBIDDEN, "{path} of {id}");
        }
    }
    for path in [LINK, QR_CODE] {
        assert_eq!(client.get(path).await.status, StatusCode::OK, "{path}");
    }
    let page = client.get("/dashboard/link?campaign_id=10").await;
    assert!(!page.text().contains("Grace"), "he learns of no other affiliate");
    let tested = client.send(post_form("/dashboard/link", "affiliate_id=1&campaign_id=10")).await;
    assert_eq!(tested.status, StatusCode::OK);
    assert!(!tested.text().contains("/postback?"), "postbacks are the advertiser's");
    assert_eq!(client.get("/affiliates/1/summary").await.data()["clicks"], 1);
}

pub(super) async fn link_page_shows_link_and_test(site: Site) {
    let client = site.open().await;
    let page = client.get("/dashboard/link").await;
    assert_eq!(page.status, StatusCode::OK);
    // With a stricter one, browsers would send forms with `Origin: null`.
    assert_eq!(page.header("referrer-policy"), "same-origin");
    assert!(page.text().contains("link-form") && !page.text().contains("tracking-link"), "{}", page.text());
    let page = client.get("/dashboard/link?affiliate_id=1&campaign_id=10&sub1=%7Bkeyword%7D&sub2=&source=").await;
    let query = "affiliate_id=1&#38;campaign_id=10&#38;sub1={keyword}";
    for part in [format!("/go?{query}</code>"), format!("src=\"../links/qr.svg?{query}\"")] {
        assert!(page.text().contains(&part), "{} has no {part}", page.text());
    }
    for (query, status, message) in [
        ("affiliate_id=99&campaign_id=10", 404, "There is no affiliate 99."),
        ("affiliate_id=1&campaign_id=99", 404, "There is no campaign 99."),
        ("affiliate_id=1&campaign_id=10&sub1=%01", 400, "sub1 is not valid"),
        ("affiliate_id=1&campaign_id=0", 422, "campaign_id is not valid"),
    ] {
        let page = client.get(&format!("/dashboard/link?{query}")).await;
        assert_eq!(page.status.as_u16(), status, "{query}");
        assert!(page.text().contains(message) && page.text().contains("link-form"), "{query}: {}", page.text());
    }

    let tested = client.send(post_form("/dashboard/link", "affiliate_id=1&campaign_id=10&sub1=%")).await;
    assert_eq!((tested.status, tested.header("cache-control")), (StatusCode::OK, "no-store"));
    assert!(tested.header("content-security-policy").starts_with("default-src 'none';"));
    let click_id = client.get("/affiliates/1/clicks").await.data()[0]["click_id"].as_str().unwrap().to_owned();
    assert_eq!(tested.text().matches("data-test=\"step\"").count(), 6, "{}", tested.text());
    for part in [
        format!("href=\"https://shop.example/?ref={click_id}\""),
        format!("/postback?affiliate_id=1&#38;click_id={click_id}&#38;amount"),
    ] {
        assert!(tested.text().contains(&part), "{} has no {part}", tested.text());
    }
    let mut own = post_form("/dashboard/link", "affiliate_id=1&campaign_id=10");
    own.headers_mut().insert("host", "tracker.example".parse().unwrap());
    own.headers_mut().insert("origin", "http://tracker.example".parse().unwrap());
    assert_eq!(client.send(own).await.status, StatusCode::OK);
    let mut foreign = post_form("/dashboard/link", "affiliate_id=1&campaign_id=10");
    foreign.headers_mut().insert("sec-fetch-site", "cross-site".parse().unwrap());
    assert_eq!(client.send(foreign).await.status, StatusCode::FORBIDDEN);
    assert_eq!(client.get("/affiliates/1/summary").await.data()["clicks"], 2);
}

pub(super) async fn where_there_are_many_they_are_chosen_by_id(site: Site) {
    let (tracker, _) = site.tracker_and_key().await;
    for number in 0..100 {
        tracker.create_affiliate(format!("Affiliate {number}").parse().unwrap()).await.unwrap();
    }
    let client = site.open_tracker(tracker).await;
    let page = client.get("/dashboard/link?affiliate_id=1&campaign_id=10").await;
    assert!(page.text().contains("<input id=\"affiliate\"") && page.text().contains("<select id=\"campaign\""));
    assert!(page.text().contains("/go?affiliate_id=1&#38;campaign_id=10</code>"), "{}", page.text());
}

async fn test(client: &Client, body: &str) -> Reply {
    client.send(post_json("/links/test", body)).await
}

fn steps(reply: &Reply) -> Vec<String> {
    let data = reply.data();
    let names = data["steps"].as_array().unwrap_or_else(|| panic!("{}", reply.text())).iter();
    names.map(|step| step["name"].as_str().unwrap().to_owned()).collect()
}
