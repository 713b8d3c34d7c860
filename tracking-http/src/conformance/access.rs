//! Who may see and change what.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::{Method, Request, StatusCode};
use tracking_core::AffiliateId;

use super::client::Client;
use super::harness::{Site, post_json, request, send_json};
use crate::guard::{self, Access, Token};

const TOKEN: &str = "correct-horse-battery";
const CLICK: &str = "/click?affiliate_id=1&campaign_id=10&click_id=abc123";
const GUARDED: [&str; 17] = [
    "/affiliates",
    "/postbacks",
    "/reports",
    "/clicks",
    "/conversions",
    "/affiliates/1",
    "/affiliates/1/summary",
    "/affiliates/1/clicks",
    "/affiliates/1/conversions",
    "/campaigns",
    "/campaigns/10",
    "/dashboard",
    "/dashboard?affiliate_id=1",
    "/dashboard/link",
    "/dashboard/link?affiliate_id=1&campaign_id=10",
    "/links?affiliate_id=1&campaign_id=10",
    "/links/qr.svg?affiliate_id=1&campaign_id=10",
];

async fn get_as(client: &Client, path: &str, authorization: &str) -> super::client::Reply {
    client.send(Request::get(path).header("authorization", authorization).body(String::new()).unwrap()).await
}

pub(super) async fn token_opens_everything(site: Site) {
    let client = site.guarded(guard::token(&Token::new(TOKEN).unwrap())).await;
    let basic = |user_and_password: &str| format!("Basic {}", BASE64_STANDARD.encode(user_and_password));
    for path in GUARDED {
        let reply = client.get(path).await;
        if path.starts_with("/dashboard") {
            assert_eq!(reply.status, StatusCode::SEE_OTHER, "{path}");
            assert!(reply.header("location").contains("dashboard/login"), "{path}");
        } else {
            assert_eq!(reply.status, StatusCode::UNAUTHORIZED, "{path}");
            assert!(reply.header("www-authenticate").starts_with("Basic "), "{path}: a browser asks for the password");
        }
        for authorization in [format!("Bearer {TOKEN}"), format!("bearer {TOKEN}"), basic(&format!("anyone:{TOKEN}"))] {
            assert_eq!(get_as(&client, path, &authorization).await.status, StatusCode::OK, "{path}");
        }
    }
    // Fewer than those after which nobody is let in.
    let wrong = ["Bearer", "Bearer wrong-horse-battery", "Basic !", &basic("x:wrong"), &basic(TOKEN), TOKEN];
    for (authorization, path) in wrong.iter().zip(["/affiliates", "/dashboard"].into_iter().cycle()) {
        let reply = get_as(&client, path, authorization).await;
        assert_eq!(reply.status, StatusCode::UNAUTHORIZED, "{path} {authorization}");
        assert!(reply.header("www-authenticate").starts_with("Basic "), "{path} {authorization}");
    }
    let create = post_json("/affiliates", r#"{"name": "x"}"#);
    assert_eq!(client.send(create).await.status, StatusCode::UNAUTHORIZED);
    // These have no need of it.
    for path in [CLICK, "/healthz", "/readyz", "/openapi.json"] {
        assert_eq!(client.get(path).await.status, StatusCode::OK, "{path}");
    }
}

pub(super) async fn affiliate_sees_his_own_only(site: Site) {
    let own = Access::Affiliate(AffiliateId::new(1).unwrap());
    let client = site
        .guarded(guard::from_fn(move |_| {
            let own = own.clone();
            async { own }
        }))
        .await;
    client.get(CLICK).await;
    for path in GUARDED.iter().skip(2) {
        assert_eq!(client.get(path).await.status, StatusCode::OK, "{path}");
    }
    assert!(!client.get("/dashboard").await.text().contains("Grace"), "he learns of no other affiliate");
    for path in [
        "/affiliates",
        "/postbacks",
        "/conversions/1",
        "/affiliates/2",
        "/affiliates/2/summary",
        "/affiliates/2/clicks",
        "/affiliates/2/conversions",
        "/affiliates/99",
        "/affiliates/99/clicks",
        "/dashboard?affiliate_id=2",
        "/dashboard?affiliate_id=99",
    ] {
        assert_eq!(client.get(path).await.status, StatusCode::FORBIDDEN, "{path}");
    }
    for path in ["/affiliates", "/campaigns"] {
        let body = r#"{"name": "x", "destination_url": "https://shop.example/"}"#;
        assert_eq!(client.send(post_json(path, body)).await.status, StatusCode::FORBIDDEN, "POST {path}");
    }
    for (method, path) in [
        (Method::PATCH, "/affiliates/1"),
        (Method::PATCH, "/campaigns/10"),
        (Method::POST, "/campaigns/10/keys"),
        (Method::DELETE, "/campaigns/11/keys/1"),
        (Method::POST, "/conversions/1/status"),
        (Method::POST, "/postback/explain"),
    ] {
        let reply = client.send(send_json(method.clone(), path, "{}")).await;
        assert_eq!(reply.status, StatusCode::FORBIDDEN, "{method} {path}");
    }
}

pub(super) async fn stranger_is_sent_to_log_in(site: Site) {
    let client = site.guarded(guard::from_fn(|_| async { Access::LogInAt("/login?next=/café\r\n".into()) })).await;
    for path in GUARDED {
        let reply = client.get(path).await;
        if path.starts_with("/dashboard") {
            assert_eq!(reply.status, StatusCode::SEE_OTHER, "{path}");
            assert_eq!(reply.header("location"), "/login?next=/caf%C3%A9%0D%0A", "what can't stand in a header is encoded");
        } else {
            assert_eq!((reply.status, reply.error_code().as_str()), (StatusCode::UNAUTHORIZED, "unauthorized"), "{path}");
            let challenge = reply.header("www-authenticate");
            assert!(challenge.starts_with("Cookie "), "{path}: the browser must not ask for a password: {challenge}");
        }
    }
    assert_eq!(client.get(CLICK).await.status, StatusCode::OK);
}

pub(super) async fn pages_of_other_sites_can_not_write(site: Site) {
    let client = site.open().await;
    let from = |headers: &[(&str, &str)]| {
        let mut request = post_json("/affiliates", r#"{"name": "x"}"#);
        for (name, value) in headers {
            request.headers_mut().insert(http::HeaderName::try_from(*name).unwrap(), value.parse().unwrap());
        }
        request
    };
    for headers in [
        &[("sec-fetch-site", "cross-site")][..],
        &[("sec-fetch-site", "same-site")],
        &[("origin", "https://evil.example")],
        &[("origin", "null")],
        &[("host", "tracker.example"), ("origin", "http://tracker.example:81")],
    ] {
        let reply = client.send(from(headers)).await;
        assert_eq!((reply.status, reply.error_code().as_str()), (StatusCode::FORBIDDEN, "cross_site"), "{headers:?}");
        for (method, path) in [
            (Method::PATCH, "/affiliates/1"),
            (Method::PATCH, "/campaigns/10"),
            (Method::DELETE, "/campaigns/11/keys/1"),
            (Method::POST, "/postback/explain"),
        ] {
            let (mut parts, body) = from(headers).into_parts();
            (parts.method, parts.uri) = (method, path.parse().unwrap());
            let reply = client.send(Request::from_parts(parts, body)).await;
            assert_eq!(reply.error_code(), "cross_site", "{path} {headers:?}");
        }
    }
    for headers in [
        &[][..],
        &[("sec-fetch-site", "same-origin")],
        &[("sec-fetch-site", "none")],
        &[("host", "tracker.example"), ("origin", "https://tracker.example")],
    ] {
        assert_eq!(client.send(from(headers)).await.status, StatusCode::CREATED, "{headers:?}");
    }
    // Reading is harmless: the browser keeps the answer from the other page.
    let mut read = request(Method::GET, "/affiliates");
    read.headers_mut().insert("sec-fetch-site", "cross-site".parse().unwrap());
    assert_eq!(client.send(read).await.status, StatusCode::OK);
}
