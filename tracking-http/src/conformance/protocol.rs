//! HTTP itself.

use std::sync::Arc;

use http::{Method, StatusCode};
use serde_json::Value;
use tracking_core::{Secret, Tracker};

use super::broken::{BrokenStore, SECRET};
use super::harness::{Site, post_json, request, with_header};
use crate::Api;
use crate::endpoint::{Endpoint, ROUTES};

const CLICK: &str = "/click?affiliate_id=1&campaign_id=10&click_id=abc123";
const POSTBACK: &str = "/postback?affiliate_id=1&click_id=abc123&amount=100&currency=USD";

pub(super) async fn head_answers_like_get_and_records_nothing(site: Site) {
    let client = site.open().await;
    for path in [CLICK, POSTBACK, "/affiliates", "/affiliates/1/summary", "/dashboard", "/healthz", "/openapi.json"] {
        let reply = client.send(request(Method::HEAD, path)).await;
        assert_eq!((reply.status, reply.body.len()), (StatusCode::OK, 0), "HEAD {path}");
    }
    assert_eq!(client.get("/affiliates/1/summary").await.data()["clicks"], 0);
    client.get(CLICK).await;
    client.send(request(Method::HEAD, POSTBACK)).await;
    assert_eq!(client.get("/affiliates/1/summary").await.data()["conversions"], 0);
    let (head, get) = (client.send(request(Method::HEAD, "/affiliates/99")).await, client.get("/affiliates/99").await);
    assert_eq!(head.status, get.status);
    assert_eq!(head.header("content-type"), get.header("content-type"));
    assert_eq!(head.header("content-length"), get.body.len().to_string(), "HEAD tells the length that GET would have");
}

pub(super) async fn trailing_slash_makes_no_difference(site: Site) {
    let client = site.open().await;
    assert_eq!(client.get(&CLICK.replace("click?", "click/?")).await.status, StatusCode::OK);
    assert_eq!(client.get(&POSTBACK.replace("postback?", "postback/?")).await.status, StatusCode::OK);
    for path in ["/affiliates/", "/affiliates/1/", "/affiliates/1/clicks/", "/dashboard/", "/healthz/"] {
        assert_eq!(client.get(path).await.status, StatusCode::OK, "{path}");
    }
    let reply = client.send(post_json("/affiliates/", r#"{"name": "x"}"#)).await;
    assert_eq!((reply.status, reply.header("location")), (StatusCode::CREATED, "../affiliates/3"));
    for path in ["/click//", "//click", "/affiliates//clicks", "/affiliates/1//clicks"] {
        assert_eq!(client.get(path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
}

pub(super) async fn unknown_methods_are_refused(site: Site) {
    let client = site.open().await;
    for (method, path, allow) in [
        (Method::POST, "/click", "GET, HEAD"),
        (Method::PUT, "/postback", "GET, HEAD, POST"),
        (Method::DELETE, "/affiliates/1", "GET, HEAD, PATCH"),
        (Method::POST, "/campaigns/1", "GET, HEAD, PATCH"),
        (Method::GET, "/campaigns/1/keys/1", "DELETE"),
        (Method::GET, "/conversions/1/status", "POST"),
        (Method::PATCH, "/affiliates", "GET, HEAD, POST"),
        (Method::OPTIONS, "/campaigns", "GET, HEAD, POST"),
        (Method::DELETE, "/dashboard", "GET, HEAD"),
    ] {
        let reply = client.send(request(method.clone(), path)).await;
        assert_eq!(reply.status, StatusCode::METHOD_NOT_ALLOWED, "{method} {path}");
        assert_eq!((reply.header("allow"), reply.error_code().as_str()), (allow, "method_not_allowed"));
    }
    assert_eq!(client.get("/affiliates/1/summary").await.data()["clicks"], 0);
}

pub(super) async fn query_is_decoded(site: Site) {
    let client = site.open().await;
    let reply = client.get("/click?%61ffiliate_id=%31&campaign_id=10&click_id=a%2Bb%26c%3D%25d~!").await;
    assert_eq!(reply.data()["click_id"], "a+b&c=%d~!");
    // The same id, written in another way.
    let reply = client.get("/postback?click_id=%61%2bb%26c=%25d%7e!&affiliate_id=1&amount=%31.5&currency=USD&&").await;
    assert_eq!((reply.status, reply.data()["click_id"].as_str()), (StatusCode::OK, Some("a+b&c=%d~!")));
    // A plus is a space, and a space is no part of an id.
    let reply = client.get("/click?affiliate_id=1&campaign_id=10&click_id=a+b").await;
    assert_eq!((reply.status, reply.error_code().as_str()), (StatusCode::BAD_REQUEST, "invalid_parameter"));
}

pub(super) async fn malformed_query_is_refused(site: Site) {
    let client = site.open().await;
    for broken in ["%", "%4", "%zz", "%FF", "%C3", "%ED%A0%80", "%C0%AF"] {
        for path in [format!("{CLICK}{broken}"), format!("{POSTBACK}&x={broken}"), format!("{POSTBACK}&{broken}=x")] {
            let reply = client.get(&path).await;
            assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{path}");
            assert_eq!(reply.error_code(), "malformed_query", "{path}");
        }
    }
    for (path, parameter) in [
        ("/click", "affiliate_id"),
        ("/click?", "affiliate_id"),
        ("/postback", "click_id"),
        ("/postback?&&&", "click_id"),
        ("/click?=&=", "affiliate_id"),
        ("/click?affiliate_id", "affiliate_id"),
    ] {
        let reply = client.get(path).await;
        assert_eq!((reply.status, reply.error_code().as_str()), (StatusCode::BAD_REQUEST, "invalid_parameter"), "{path}");
        assert_eq!(reply.json()["error"]["parameter"], parameter, "{path}");
    }
    assert_eq!(client.get("/affiliates/1/summary").await.data()["clicks"], 0);
}

pub(super) async fn unknown_parameters_are_ignored(site: Site) {
    let client = site.open().await;
    let reply = client.get(&format!("{CLICK}&gclid=x&utm_source=a&utm_source=b&%F0%9F%98%80=%F0%9F%98%80")).await;
    assert_eq!(reply.status, StatusCode::OK);
}

pub(super) async fn repeated_parameters_are_refused(site: Site) {
    let client = site.open().await;
    for (path, parameter) in [
        (format!("{CLICK}&click_id=abc123"), "click_id"),
        (format!("{CLICK}&affiliate_id=2"), "affiliate_id"),
        (format!("{POSTBACK}&amount=1"), "amount"),
        (format!("{POSTBACK}&token=a&token=b"), "token"),
    ] {
        let reply = client.get(&path).await;
        assert_eq!((reply.status, reply.error_code().as_str()), (StatusCode::BAD_REQUEST, "invalid_parameter"), "{path}");
        let answer = reply.json();
        assert_eq!(answer["error"]["parameter"], parameter);
        assert!(answer["message"].as_str().unwrap().contains("more than once"), "{answer}");
    }
    assert_eq!(client.get("/affiliates/1/summary").await.data()["clicks"], 0);
}

pub(super) async fn huge_query_is_refused(site: Site) {
    let client = site.open().await;
    let path = |len: usize| format!("{CLICK}&x={}", "y".repeat(len - (CLICK.len() - "/click?".len()) - "&x=".len()));
    assert_eq!(client.get(&path(Api::MAX_QUERY_LEN)).await.status, StatusCode::OK);
    for len in [Api::MAX_QUERY_LEN + 1, 60_000] {
        let reply = client.get(&path(len)).await;
        assert_eq!((reply.status, reply.error_code().as_str()), (StatusCode::URI_TOO_LONG, "query_too_long"), "{len}");
    }
}

pub(super) async fn answers_have_safe_headers(site: Site) {
    let client = site.open().await;
    for path in [CLICK, POSTBACK, "/affiliates", "/affiliates/99", "/dashboard", "/dashboard?affiliate_id=99"] {
        let reply = client.get(path).await;
        assert_eq!(reply.header("cache-control"), "no-store", "{path}");
        assert_eq!(reply.header("x-content-type-options"), "nosniff", "{path}");
    }
    for path in ["/dashboard", "/dashboard?affiliate_id=1", "/dashboard?affiliate_id=99", "/dashboard?affiliate_id=x"] {
        let reply = client.get(path).await;
        assert_eq!(reply.header("content-type"), "text/html; charset=utf-8", "{path}");
        let csp = reply.header("content-security-policy");
        assert!(csp.starts_with("default-src 'none';") && !csp.contains("unsafe"), "{path}: {csp}");
    }
    assert_eq!(client.get("/dashboard?affiliate_id=99").await.status, StatusCode::NOT_FOUND);
}

pub(super) async fn broken_store_is_not_blamed_on_the_caller(site: Site) {
    for for_now in [true, false] {
        let client = site.open_tracker(Arc::new(Tracker::new(BrokenStore::new(for_now), Secret::random()))).await;
        let paths = [
            CLICK,
            POSTBACK,
            "/affiliates",
            "/affiliates/1",
            "/affiliates/1/clicks",
            "/affiliates/1/conversions",
            "/affiliates/1/summary",
            "/reports",
            "/reports?group_by=affiliate&format=csv",
            "/reports?group_by=source",
            "/clicks",
            "/conversions?format=csv",
            "/campaigns",
            "/campaigns/1",
            "/dashboard",
            "/dashboard?affiliate_id=1",
            "/readyz",
        ];
        for path in paths {
            let reply = client.get(path).await;
            if for_now {
                assert_eq!(reply.status, StatusCode::SERVICE_UNAVAILABLE, "{path}");
                assert!(reply.header("retry-after").parse::<u32>().is_ok(), "{path}");
            } else {
                assert_eq!(reply.status, StatusCode::INTERNAL_SERVER_ERROR, "{path}");
            }
            assert!(!reply.text().contains(SECRET) && !reply.text().contains("hunter2"), "{path}: {}", reply.text());
        }
    }
}

pub(super) async fn health_and_readiness_are_told_apart(site: Site) {
    let client = site.open().await;
    assert_eq!(client.get("/healthz").await.text(), r#"{"status":"ok"}"#);
    assert_eq!(client.get("/readyz").await.text(), r#"{"status":"ok"}"#);
    let client = site.open_tracker(Arc::new(Tracker::new(BrokenStore::new(true), Secret::random()))).await;
    assert_eq!(client.get("/healthz").await.status, StatusCode::OK);
    let reply = client.get("/readyz").await;
    assert_eq!((reply.status, reply.error_code().as_str()), (StatusCode::SERVICE_UNAVAILABLE, "store_unavailable"));
}

pub(super) async fn openapi_document_is_whole(site: Site) {
    let reply = site.open().await.get("/openapi.json").await;
    assert_eq!((reply.status, reply.header("content-type")), (StatusCode::OK, "application/json"));
    let document = reply.json();
    for route in &ROUTES {
        let operation = &document["paths"][route.path][route.method.as_str().to_lowercase()];
        let for_people = match route.endpoint {
            Endpoint::Guarded(endpoint) => endpoint.is_page(),
            endpoint => matches!(endpoint, Endpoint::Asset | Endpoint::Session(_)),
        };
        assert_eq!(operation.is_object(), !for_people, "{} {}", route.method, route.path);
    }
    let served_at = document["servers"][0]["url"].as_str().unwrap();
    assert!(served_at.starts_with("http://127.0.0.1:"), "{served_at}");
    for reference in reply.text().split("\"$ref\":\"").skip(1).map(|rest| rest.split('"').next().unwrap()) {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some_and(Value::is_object), "{reference} leads nowhere");
    }
    let answers = ["/click", "/postback", "/affiliates/{affiliate_id}/clicks", "/campaigns"].map(|path| {
        let schema = &document["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"];
        schema["$ref"].as_str().unwrap().rsplit('/').next().unwrap().to_owned()
    });
    let expected =
        ["RecordedAnswer_ClickTracked", "PostbackAnswer", "ListAnswer_ClickListed", "ListAnswer_CampaignData"];
    assert_eq!(answers, expected);
    let id = &document["paths"]["/affiliates/{affiliate_id}"]["get"]["parameters"][0];
    assert_eq!((&id["in"], &id["required"]), (&Value::from("path"), &Value::from(true)));
}

pub(super) async fn body_that_ends_early_is_refused(site: Site) {
    let client = site.open().await;
    let head = "POST /affiliates HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n";
    for framing in [
        "content-length: 100\r\n\r\n{\"name\": \"somebody\"",
        "content-length: 100\r\n\r\n{\"name\"",
        "content-length: 14\r\n\r\n{\"name\": \"x\"}",
        "content-length: 14\r\n\r\n",
        "transfer-encoding: chunked\r\n\r\n64\r\n{\"name\": \"somebody\"}",
        "transfer-encoding: chunked\r\n\r\nd\r\n{\"name\": \"x\"}\r\n",
        "transfer-encoding: chunked\r\n\r\n2\r\n{",
    ] {
        let reply = client.send_raw(&format!("{head}{framing}")).await;
        assert!(reply.starts_with("HTTP/1.1 400") && reply.contains("body_incomplete"), "{framing}: {reply}");
    }
    // Short, and whole.
    let chunked = with_header(post_json("/affiliates", "{}"), "transfer-encoding", "chunked");
    for whole in [post_json("/affiliates", "{}"), chunked] {
        assert_eq!(client.send(whole).await.error_code(), "invalid_parameter");
    }
    assert_eq!(client.get("/affiliates").await.data().as_array().unwrap().len(), 2);
}
