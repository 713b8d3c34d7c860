//! The tracking link.

use std::sync::Arc;

use http::{Method, Request, StatusCode};
use serde_json::json;
use tracking_core::{Secret, Secrets, Tracker};

use super::broken::BrokenStore;
use super::client::{Client, Reply};
use super::harness::{Site, request};
use crate::Api;
use crate::guard;

const GO: &str = "/go?affiliate_id=1&campaign_id=10";
const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";

/// Follows a link with these headers.
async fn follow(client: &Client, path: &str, headers: &[(&str, &str)]) -> Reply {
    let mut request = request(Method::GET, path);
    for (name, value) in headers {
        let name: http::HeaderName = name.parse().unwrap();
        request.headers_mut().append(name, value.parse().unwrap());
    }
    client.send(request).await
}

/// The click that was recorded last.
async fn last_click(client: &Client) -> serde_json::Value {
    client.get("/affiliates/1/clicks?limit=1").await.data()[0].clone()
}

async fn clicks(client: &Client) -> u64 {
    client.get("/affiliates/1/summary").await.data()["clicks"].as_u64().unwrap()
}

pub(super) async fn link_sends_visitors_on(site: Site) {
    let client = site.open().await;
    let link = format!("{GO}&sub1=ad+7&sub3=%C3%A4%26b&source=newsletter&utm_source=x");
    let reply = follow(&client, &link, &[("user-agent", FIREFOX)]).await;
    assert_eq!((reply.status, reply.text()), (StatusCode::FOUND, ""));
    assert_eq!(reply.header("cache-control"), "no-store");
    let click = last_click(&client).await;
    let click_id = click["click_id"].as_str().unwrap();
    assert_eq!(reply.header("location"), format!("https://shop.example/?ref={click_id}"));
    assert!(click_id.len() <= 64, "{click_id}");
    assert_eq!((&click["sub1"], &click["sub3"], &click["source"]), (&json!("ad 7"), &json!("ä&b"), &json!("newsletter")));
    assert_eq!(click.get("sub2"), None);
    // What the visitor brought is what his purchase is known by.
    let reply = client.get(&format!("/postback?affiliate_id=1&click_id={click_id}&amount=1&currency=USD")).await;
    assert_eq!((reply.status, &reply.data()["campaign_id"]), (StatusCode::OK, &json!(10)));
}

pub(super) async fn link_takes_a_click_id(site: Site) {
    let client = site.open().await;
    for _ in 0..2 {
        let reply = client.get(&format!("{GO}&click_id=abc%26123")).await;
        assert_eq!(reply.header("location"), "https://shop.example/?ref=abc%26123");
    }
    assert_eq!(clicks(&client).await, 1, "the same click sent twice is one click");
}

pub(super) async fn head_records_nothing(site: Site) {
    let client = site.open().await;
    let reply = client.send(request(Method::HEAD, &format!("{GO}&click_id=abc"))).await;
    assert_eq!((reply.status, reply.header("location")), (StatusCode::FOUND, "https://shop.example/?ref="));
    let reply = client.send(request(Method::POST, GO)).await;
    assert_eq!((reply.status, reply.header("allow")), (StatusCode::METHOD_NOT_ALLOWED, "GET, HEAD"));
    assert_eq!(clicks(&client).await, 0);
}

pub(super) async fn every_mark_fits_into_a_link(site: Site) {
    let client = site.open().await;
    let mark = "%F0%9F%8E%88".repeat(255);
    let marks: String = ["sub1", "sub2", "sub3", "sub4", "sub5", "source"].map(|name| format!("&{name}={mark}")).concat();
    let reply = client.get(&format!("{GO}{marks}&fbclid={}", "x".repeat(2000))).await;
    assert_eq!(reply.status, StatusCode::FOUND);
    let click = last_click(&client).await;
    for name in ["sub1", "sub5", "source"] {
        assert_eq!(click[name], json!("🎈".repeat(255)));
    }
}

/// Attempts to be sent elsewhere, to split the header, or to be refused.
pub(super) async fn link_leads_nowhere_else(site: Site) {
    let client = site.open().await;
    let values = [
        "//evil.example",
        "https://evil.example/",
        "%2F%2Fevil.example",
        "%5C%5Cevil.example",
        "@evil.example",
        "%40evil.example%2F",
        ".evil.example",
        ":80@evil.example",
        "javascript:alert(1)",
        "%0d%0aSet-Cookie:%20a=b",
        "%0d%0aLocation:%20https://evil.example",
        "%E5%98%8D%E5%98%8ASet-Cookie:a=b",
        "%00",
        "%",
        "%zz",
        "%FF%FE",
        "%C0%AF",
        "a%0ab",
        "{click_id}",
        "%7Bclick_id%7D",
        "..%2f..%2f",
        "%3F%23",
    ];
    for name in ["click_id", "sub1", "sub5", "source", "url", "redirect", "destination", "to"] {
        for value in values {
            let reply = client.get(&format!("{GO}&{name}={value}")).await;
            assert_eq!(reply.status, StatusCode::FOUND, "{name}={value}");
            let location = reply.header("location");
            let rest = location.strip_prefix("https://shop.example/?ref=");
            let is_id = rest.is_some_and(|id| {
                let is_fit = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~%".contains(&byte);
                !id.is_empty() && id.bytes().all(is_fit)
            });
            assert!(is_id, "{name}={value} leads to {location}");
            assert_eq!(reply.headers.get_all("location").iter().count(), 1, "{name}={value}");
            assert_eq!(reply.header("set-cookie"), "", "{name}={value}");
        }
    }
}

pub(super) async fn dead_link_is_told_on_a_page(site: Site) {
    let client = site.open().await;
    for (path, status) in [
        ("/go?affiliate_id=1&campaign_id=99", StatusCode::NOT_FOUND),
        ("/go?affiliate_id=99&campaign_id=10", StatusCode::NOT_FOUND),
        ("/go?affiliate_id=1", StatusCode::BAD_REQUEST),
        ("/go?affiliate_id=1&campaign_id=x%3Cscript%3E", StatusCode::BAD_REQUEST),
        ("/go?affiliate_id=1&affiliate_id=2&campaign_id=10", StatusCode::BAD_REQUEST),
        ("/go?affiliate_id=0&campaign_id=10", StatusCode::UNPROCESSABLE_ENTITY),
        ("/go", StatusCode::BAD_REQUEST),
    ] {
        let reply = client.get(path).await;
        assert_eq!(reply.status, status, "{path}");
        assert_eq!(reply.header("content-type"), "text/html; charset=utf-8", "{path}");
        assert!(reply.text().contains("This link leads nowhere"), "{path}: {}", reply.text());
        assert!(!reply.text().contains("dashboard") && !reply.text().contains("<script>"), "{path}: {}", reply.text());
        assert!(reply.header("content-security-policy").starts_with("default-src 'none';"), "{path}");
    }
    assert_eq!(clicks(&client).await, 0);
    for for_now in [true, false] {
        let tracker = Arc::new(Tracker::new(BrokenStore::new(for_now), Secret::random()));
        let reply = site.open_tracker(tracker).await.get(GO).await;
        if for_now {
            assert_eq!((reply.status, reply.header("retry-after")), (StatusCode::SERVICE_UNAVAILABLE, "5"));
        } else {
            assert_eq!(reply.status, StatusCode::INTERNAL_SERVER_ERROR);
        }
        assert!(reply.text().contains("Not right now"), "{}", reply.text());
        assert!(!reply.text().contains("hunter2"), "{}", reply.text());
    }
}

pub(super) async fn visitors_are_judged(site: Site) {
    let client = site.open().await;
    let cases: [(&[(&str, &str)], serde_json::Value); 5] = [
        (&[("user-agent", FIREFOX)], json!(null)),
        (&[("user-agent", "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)")], json!("crawler")),
        (&[("user-agent", "facebookexternalhit/1.1")], json!("crawler")),
        (&[("user-agent", FIREFOX), ("sec-purpose", "prefetch;prerender")], json!("prefetch")),
        (&[], json!("no_user_agent")),
    ];
    for route in ["/go", "/click"] {
        for (headers, bot) in &cases {
            let reply = follow(&client, &GO.replace("/go", route), headers).await;
            assert!(reply.status == StatusCode::FOUND || reply.status == StatusCode::OK);
            let click = last_click(&client).await;
            assert_eq!(click["bot"], *bot, "{route} {headers:?}");
        }
    }
    let summary = client.get("/affiliates/1/summary").await.data();
    assert_eq!(
        (&summary["clicks"], &summary["human_clicks"], &summary["unique_clicks"]),
        (&json!(10), &json!(2), &json!(1)),
        "bots are recorded and counted apart, and a visitor who comes again is not unique"
    );
}

pub(super) async fn addresses_come_from_the_socket_or_a_trusted_proxy(site: Site) {
    let forwarded = [("user-agent", FIREFOX), ("x-forwarded-for", "203.0.113.77"), ("x-real-ip", "198.51.100.1")];
    let client = site.open().await;
    follow(&client, GO, &forwarded).await;
    assert_eq!(last_click(&client).await["ip"], "127.0.0.0/24", "nobody is believed");

    let (tracker, _) = site.tracker_and_key().await;
    let api = Api::new(tracker, guard::open()).trusted_proxies(["127.0.0.0/8".parse().unwrap()]);
    let client = site.mount(vec![("", Arc::new(api))]).await;
    follow(&client, GO, &forwarded).await;
    assert_eq!(last_click(&client).await["ip"], "203.0.113.0/24", "but who was named");
}

pub(super) async fn forged_click_ids_are_refused(site: Site) {
    let client = site.open().await;
    let of_somebody_else = Secrets::from(Secret::random());
    let forged = of_somebody_else.mint("1".parse().unwrap(), "10".parse().unwrap(), super::harness::now());
    let postback = format!("/postback?affiliate_id=1&click_id={forged}&amount=1&currency=USD");
    for path in [GO.replace("/go", "/click") + &format!("&click_id={forged}"), postback] {
        let reply = client.get(&path).await;
        assert_eq!((reply.status, &*reply.error_code()), (StatusCode::UNPROCESSABLE_ENTITY, "forged_click_id"), "{path}");
        assert_eq!(reply.json()["error"]["parameter"], "click_id");
    }
    assert_eq!(clicks(&client).await, 0);
    let reply = client.get(&format!("{GO}&click_id={forged}")).await;
    assert!(!reply.header("location").contains(forged.as_str()), "a visitor gets an id that will do");
}

pub(super) async fn lost_click_is_recovered_by_its_postback(site: Site) {
    // Two processes with one secret; the store of one of them is lost.
    let lost = site.open().await;
    let reply = lost.get("/click?affiliate_id=1&campaign_id=10").await;
    let click_id = reply.data()["click_id"].as_str().unwrap().to_owned();
    let client = site.open().await;
    let postback = format!("/postback?affiliate_id=1&click_id={click_id}&amount=1&currency=USD");
    let reply = client.get(&postback).await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
    let click = last_click(&client).await;
    assert_eq!((&click["recovered"], &click["click_id"]), (&json!(true), &json!(click_id)));
    assert_eq!(client.get(&postback).await.json()["duplicate"], true);
}

pub(super) async fn link_works_where_it_is_mounted(site: Site) {
    let (tracker, _) = site.tracker_and_key().await;
    let client = site.mount(vec![("/tracking", Arc::new(Api::new(tracker, guard::open())))]).await;
    let reply = client.get(&format!("/tracking{GO}")).await;
    assert!(reply.header("location").starts_with("https://shop.example/?ref="), "{}", reply.header("location"));
    let reply = client.send(Request::get("/tracking/go?affiliate_id=1").body(String::new()).unwrap()).await;
    let style = reply.text().split("href=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap().to_owned();
    let style = style.trim_start_matches("./");
    assert_eq!(client.get(&format!("/tracking/{style}")).await.status, StatusCode::OK, "{style}");
}
