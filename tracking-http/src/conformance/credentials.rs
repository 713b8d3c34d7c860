//! Who may send postbacks.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::{Method, Request};
use serde_json::{Value, json};

use super::client::{Client, Reply};
use super::harness::{NOW, Site, now, post_form, post_json, request, with_header};
use super::signer::{hex, hmac};

const SALE: &str = "affiliate_id=1&click_id=abc123&amount=100&currency=USD";
const SALE_JSON: &str = r#"{"affiliate_id": 1, "click_id": "abc123", "amount": 100, "currency": "USD"}"#;

/// A campaign with a click, and its key.
async fn campaign(client: &Client, fields: Value) -> (u64, String) {
    let mut campaign = json!({"name": "Shop", "destination_url": "https://shop.example/"});
    campaign.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    let made = client.send(post_json("/campaigns", &campaign.to_string())).await.data();
    let id = made["id"].as_u64().unwrap();
    client.get(&format!("/click?affiliate_id=1&campaign_id={id}&click_id=abc123")).await;
    (id, made["postback_key"].as_str().unwrap_or_default().to_owned())
}

/// The code of what became of it: `accepted` if it is new.
fn outcome(reply: &Reply) -> String {
    let answer = reply.json();
    match (&answer["success"], answer.get("duplicate")) {
        (Value::Bool(true), None) => "accepted".to_owned(),
        (Value::Bool(true), Some(_)) => "duplicate".to_owned(),
        _ => reply.error_code(),
    }
}

async fn expect(client: &Client, call: Request<String>, expected: &str) {
    let shown = format!("{} {}", call.uri(), call.body());
    let reply = client.send(call).await;
    assert_eq!(outcome(&reply), expected, "{shown}: {}", reply.text());
}

pub(super) async fn tokens_are_taken_from_header_query_and_body(site: Site) {
    let client = site.open().await;
    let (_, key) = campaign(&client, json!({})).await;
    let bearer = |call, token: &str| with_header(call, "authorization", &format!("Bearer {token}"));
    let sale = format!("/postback?{SALE}");
    let with_token = |token: &str| SALE_JSON.replace('}', &format!(r#", "token": "{token}"}}"#));
    expect(&client, request(Method::GET, &sale), "missing_postback_key").await;
    expect(&client, request(Method::GET, &format!("{sale}&token=")), "missing_postback_key").await;
    expect(&client, post_json("/postback", SALE_JSON), "missing_postback_key").await;
    expect(&client, request(Method::GET, &format!("{sale}&token=pbk_guess")), "wrong_postback_key").await;
    expect(&client, post_json("/postback", &with_token("pbk_guess")), "wrong_postback_key").await;
    // A header goes first.
    expect(&client, bearer(request(Method::GET, &format!("{sale}&token={key}")), "pbk_guess"), "wrong_postback_key").await;
    expect(&client, request(Method::GET, &format!("{sale}&token={key}")), "accepted").await;
    expect(&client, bearer(request(Method::GET, &sale), &key), "duplicate").await;
    expect(&client, bearer(post_json("/postback", SALE_JSON), &key), "duplicate").await;
    expect(&client, post_json("/postback", &with_token(&key)), "duplicate").await;
    expect(&client, post_json(&format!("/postback?token={key}"), SALE_JSON), "duplicate").await;
    expect(&client, post_form("/postback", &format!("{SALE}&token={key}")), "duplicate").await;
}

/// The seconds since 1970 of the suite's moment, and so many more.
fn seconds(later: i64) -> i64 {
    now().as_millis() / 1000 + later
}

/// Parameters with a signature, all of which are their own encoding.
fn signed(key: &str, parameters: &str, later: i64) -> String {
    let parameters = format!("{parameters}&signed_at={}", seconds(later));
    let mut pairs: Vec<&str> = parameters.split('&').collect();
    pairs.sort_unstable();
    format!("{parameters}&signature={}", hex(&hmac(&secret(key), pairs.join("&").as_bytes())))
}

fn secret(key: &str) -> Vec<u8> {
    BASE64_STANDARD.decode(key.strip_prefix("whsec_").unwrap()).unwrap()
}

pub(super) async fn signed_queries_are_checked(site: Site) {
    let client = site.open().await;
    let (_, key) = campaign(&client, json!({"key_kind": "signing"})).await;
    let get = |query: &str| request(Method::GET, &format!("/postback?{query}"));
    let sale = signed(&key, SALE, 0);
    expect(&client, get(SALE), "missing_postback_key").await;
    // It is not sent along.
    expect(&client, get(&format!("{SALE}&token={}", key.replace('+', "%2B"))), "wrong_postback_key").await;
    expect(&client, get(&sale.replace("amount=100", "amount=101")), "wrong_signature").await;
    expect(&client, get(&format!("{sale}&sub1=more")), "wrong_signature").await;
    expect(&client, get(&format!("{sale}0")), "wrong_signature").await;
    expect(&client, get(&signed(&format!("whsec_{}", BASE64_STANDARD.encode([7; 32])), SALE, 0)), "wrong_signature").await;
    expect(&client, get(&format!("{SALE}&signature={}", "0".repeat(64))), "stale_signature").await;
    for later in [-301, 301] {
        expect(&client, get(&signed(&key, SALE, later)), "stale_signature").await;
    }
    expect(&client, get(&sale), "accepted").await;
    for later in [-300, 300] {
        expect(&client, get(&signed(&key, SALE, later)), "duplicate").await;
    }
    // As a form, or split between query and body, it is the same.
    expect(&client, post_form("/postback", &sale), "duplicate").await;
    let (first, rest) = sale.split_once('&').unwrap();
    expect(&client, post_form(&format!("/postback?{first}"), rest), "duplicate").await;
    expect(&client, post_form(&format!("/postback?{first}&sub1=more"), rest), "wrong_signature").await;
    expect(&client, get(&format!("{sale}&signature=0")), "invalid_parameter").await;
}

/// A call whose body is signed as Standard Webhooks has it.
fn webhook(key: &str, mut call: Request<String>, later: i64) -> Request<String> {
    let at = seconds(later);
    let message = format!("msg_1.{at}.{}", call.body());
    let signature = format!("v1,{}", BASE64_STANDARD.encode(hmac(&secret(key), message.as_bytes())));
    for (name, value) in [("webhook-id", "msg_1"), ("webhook-timestamp", &at.to_string()), ("webhook-signature", &signature)] {
        call = with_header(call, name, value);
    }
    call
}

pub(super) async fn signed_bodies_are_checked(site: Site) {
    let client = site.open().await;
    let (_, key) = campaign(&client, json!({"key_kind": "signing"})).await;
    let sale = || post_json("/postback", SALE_JSON);
    let other = format!("whsec_{}", BASE64_STANDARD.encode([7; 32]));
    expect(&client, sale(), "missing_postback_key").await;
    expect(&client, webhook(&other, sale(), 0), "wrong_signature").await;
    for later in [-301, 301] {
        expect(&client, webhook(&key, sale(), later), "stale_signature").await;
    }
    let mut changed = webhook(&key, sale(), 0);
    *changed.body_mut() = SALE_JSON.replace("100", "1000");
    expect(&client, changed, "wrong_signature").await;
    // All three headers, or it is not signed.
    for name in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
        let mut less = webhook(&key, sale(), 0);
        less.headers_mut().remove(name);
        expect(&client, less, "missing_postback_key").await;
    }
    // What stands in the query is not signed, and can't change anything.
    for query in ["amount=1", "status=rejected", "token=x", "sub1=x", "timestamp=1692804645", "x=1&currency=USD"] {
        let mut call = webhook(&key, sale(), 0);
        *call.uri_mut() = format!("/postback?{query}").parse().unwrap();
        let reply = client.send(call).await;
        assert_eq!((reply.status.as_u16(), reply.error_code().as_str()), (400, "invalid_parameter"), "{query}");
        let name = query.rsplit('&').next().unwrap().split('=').next().unwrap();
        assert_eq!(reply.json()["error"]["parameter"], name, "{}", reply.text());
    }
    assert_eq!(client.get("/affiliates/1/summary").await.data()["conversions"], 0);
    expect(&client, webhook(&key, sale(), 0), "accepted").await;
    let mut call = webhook(&key, sale(), 0);
    *call.uri_mut() = "/postback?utm_source=x".parse().unwrap();
    expect(&client, call, "duplicate").await;
    expect(&client, webhook(&key, post_form("/postback", SALE), 0), "duplicate").await;
    // Old and new key at once, as in a rotation.
    let mut both = webhook(&key, sale(), 0);
    let signature = format!("v1,{} {}", BASE64_STANDARD.encode([0; 32]), both.headers()["webhook-signature"].to_str().unwrap());
    both.headers_mut().insert("webhook-signature", signature.parse().unwrap());
    expect(&client, both, "duplicate").await;
    // A GET has no body that could be signed.
    expect(&client, webhook(&key, request(Method::GET, &format!("/postback?{SALE}")), 0), "missing_postback_key").await;
}

pub(super) async fn keys_are_rotated_and_revoked(site: Site) {
    let client = site.open().await;
    let (id, first) = campaign(&client, json!({})).await;
    let sale = |key: &str| request(Method::GET, &format!("/postback?{SALE}&token={key}"));
    let keys = format!("/campaigns/{id}/keys");
    let issue = |body: &str| {
        let (call, client) = (post_json(&keys, body), client.clone());
        async move { client.send(call).await }
    };
    expect(&client, sale(&first), "accepted").await;
    let reply = issue("{}").await;
    assert_eq!((reply.status.as_u16(), reply.header("location")), (201, format!("../../campaigns/{id}").as_str()));
    let mut made = reply.data();
    let second = made.as_object_mut().unwrap().remove("postback_key").unwrap();
    let second = second.as_str().unwrap();
    assert_eq!(made, json!({"id": 2, "kind": "token", "created_at": NOW}));
    for key in [&first, second] {
        expect(&client, sale(key), "duplicate").await;
    }
    // A key of another kind leaves these alone.
    let signing = issue(r#"{"kind": "signing", "expire_others_after_seconds": 0}"#).await.data();
    let signing = signing["postback_key"].as_str().unwrap().to_owned();
    assert!(signing.starts_with("whsec_"), "{signing}");
    expect(&client, sale(&first), "duplicate").await;
    expect(&client, request(Method::GET, &format!("/postback?{}", signed(&signing, SALE, 0))), "duplicate").await;

    let third = issue(r#"{"expire_others_after_seconds": 3600}"#).await.data();
    let shown = client.get(&format!("/campaigns/{id}")).await.data()["keys"].clone();
    let end = "2023-08-23T16:30:45.123Z";
    let expected = json!([
        {"id": 1, "kind": "token", "created_at": NOW, "expires_at": end},
        {"id": 2, "kind": "token", "created_at": NOW, "expires_at": end},
        {"id": 3, "kind": "signing", "created_at": NOW},
        {"id": 4, "kind": "token", "created_at": NOW},
    ]);
    assert_eq!(shown, expected);
    for key in [&first, second, third["postback_key"].as_str().unwrap()] {
        expect(&client, sale(key), "duplicate").await;
    }
    // At once.
    let fourth = issue(r#"{"expire_others_after_seconds": 0}"#).await.data()["postback_key"].clone();
    for key in [&first, second, third["postback_key"].as_str().unwrap()] {
        expect(&client, sale(key), "wrong_postback_key").await;
    }
    expect(&client, sale(fourth.as_str().unwrap()), "duplicate").await;

    let revoke = |key: &str| request(Method::DELETE, &format!("{keys}/{key}"));
    let reply = client.send(revoke("5")).await;
    assert_eq!(reply.status.as_u16(), 200, "{}", reply.text());
    assert!(reply.data()["keys"].as_array().unwrap().iter().all(|key| key["id"] != 5), "{}", reply.text());
    expect(&client, sale(fourth.as_str().unwrap()), "wrong_postback_key").await;
    for (path, status, code, parameter) in [
        (format!("{keys}/5"), 404, "unknown_key", "key_id"),
        (format!("{keys}/0"), 404, "unknown_key", "key_id"),
        (format!("{keys}/x"), 400, "invalid_parameter", "key_id"),
        ("/campaigns/99/keys/1".to_owned(), 404, "unknown_campaign", "campaign_id"),
    ] {
        let reply = client.send(request(Method::DELETE, &path)).await;
        assert_eq!((reply.status.as_u16(), reply.error_code().as_str()), (status, code), "{path}");
        assert_eq!(reply.json()["error"]["parameter"], parameter);
    }
    for (body, code) in [
        ("", "invalid_body"),
        (r#"{"kind": "password"}"#, "invalid_parameter"),
        (r#"{"expire_others_after_seconds": -1}"#, "invalid_body"),
        (r#"{"expire_others_after_seconds": 9999999999}"#, "parameter_out_of_range"),
    ] {
        assert_eq!(issue(body).await.error_code(), code, "{body}");
    }
    let unknown = client.send(post_json("/campaigns/99/keys", "{}")).await;
    assert_eq!(unknown.error_code(), "unknown_campaign");
    let mut full = issue("{}").await;
    for _ in 0..10 {
        full = issue("{}").await;
    }
    assert_eq!((full.status.as_u16(), full.error_code().as_str()), (409, "too_many_keys"), "{}", full.text());
    // A campaign that was open is so no more.
    let issued = client.send(post_json("/campaigns/10/keys", "{}")).await;
    assert_eq!(issued.data()["id"], 1);
    assert_eq!(client.get("/campaigns/10").await.data()["postback_auth"], "key");
}

pub(super) async fn addresses_are_checked_behind_a_proxy(site: Site) {
    let client = site.open_behind_proxy().await;
    let networks = json!(["203.0.113.9/24", "2001:db8::/32", "198.51.100.7"]);
    let (id, key) = campaign(&client, json!({"networks": networks})).await;
    let shown = client.get(&format!("/campaigns/{id}")).await.data()["networks"].clone();
    assert_eq!(shown, json!(["203.0.113.0/24", "2001:db8::/32", "198.51.100.7/32"]));
    let sale = |key: &str| request(Method::GET, &format!("/postback?{SALE}&token={key}"));
    let from = |address: &str, key: &str| with_header(sale(key), "x-forwarded-for", address);
    expect(&client, sale(&key), "address_not_allowed").await;
    for address in ["203.0.114.1", "198.51.100.8", "2001:db9::1", "203.0.113.1, 192.0.2.1"] {
        expect(&client, from(address, &key), "address_not_allowed").await;
    }
    // From the right place, but without the right key.
    expect(&client, from("203.0.113.77", "pbk_guess"), "wrong_postback_key").await;
    expect(&client, from("203.0.113.77", &key), "accepted").await;
    for address in ["2001:db8:1::1", "198.51.100.7", "::ffff:203.0.113.1", "192.0.2.1, 203.0.113.1"] {
        expect(&client, from(address, &key), "duplicate").await;
    }
    let row = client.get("/postbacks?limit=1&outcome=wrong_postback_key").await.data()[0].clone();
    assert_eq!(row["source"], "203.0.113.77");
    // Nobody else is believed.
    let direct = site.open().await;
    let (_, key) = campaign(&direct, json!({"networks": ["203.0.113.0/24"]})).await;
    expect(&direct, from("203.0.113.77", &key), "address_not_allowed").await;
}

pub(super) async fn right_key_passes_whatever_has_failed(site: Site) {
    let client = site.open_behind_proxy().await;
    let (_, key) = campaign(&client, json!({})).await;
    let from = |address: &str, key: &str| {
        let call = request(Method::GET, &format!("/postback?{SALE}&token={key}"));
        with_header(call, "x-forwarded-for", address)
    };
    for _ in 0..30 {
        expect(&client, from("203.0.113.7", "pbk_guess"), "wrong_postback_key").await;
    }
    for _ in 0..3 {
        let reply = client.send(from("203.0.113.7", "pbk_guess")).await;
        assert_eq!((reply.status.as_u16(), reply.error_code().as_str()), (429, "too_many_failures"), "{}", reply.text());
        assert!(reply.header("retry-after").parse::<u64>().unwrap() <= 61);
    }
    expect(&client, from("203.0.113.7", &key), "accepted").await;
    // It concerns nobody else: of several others, one may share the count by the rarest of chances.
    let mut free = 0;
    for last in 1..=3 {
        let reply = client.send(from(&format!("192.0.2.{last}"), "pbk_guess")).await;
        free += usize::from(reply.error_code() == "wrong_postback_key");
    }
    assert!(free >= 2);
}

pub(super) async fn secrets_are_never_told(site: Site) {
    let client = site.open().await;
    let (tokens, token) = campaign(&client, json!({})).await;
    let (signings, signing) = campaign(&client, json!({"key_kind": "signing"})).await;
    let encoded = signing.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
    let sale = format!("/postback?{SALE}");
    let signature = signed(&signing, SALE, 0).rsplit('=').next().unwrap().to_owned();
    // Right and wrong, where they belong, and where they were put by mistake.
    let mut said = String::new();
    for call in [
        request(Method::GET, &format!("{sale}&campaign_id={tokens}&token={token}")),
        request(Method::GET, &format!("{sale}&campaign_id={signings}&token={encoded}")),
        request(Method::GET, &format!("{sale}&campaign_id={signings}&signed_at={}&signature={signature}", seconds(0))),
        request(Method::GET, &format!("{sale}&campaign_id={tokens}&key={token}")),
        request(Method::GET, &format!("{sale}&event={token}")),
        request(Method::GET, &format!("{sale}&sub1={encoded}&token={token}")),
        request(Method::GET, &format!("/postback?click_id={token}&affiliate_id=1")),
        request(Method::GET, &format!("{sale}&x=%zz&token={token}")),
        request(Method::GET, &format!("{sale}&token={token}&token={token}")),
        with_header(request(Method::GET, &sale), "authorization", &format!("Bearer {encoded}")),
        post_json("/postback", &format!(r#"{{"token": "{token}", "click_id": []}}"#)),
        post_json("/postback", &format!(r#"{{"{token}": [], "click_id": "abc123"}}"#)),
        post_json("/postback", &format!(r#""{token}""#)),
        post_form("/postback", &format!("{SALE}&token={token}&x=%")),
        post_json("/postback/explain", &format!(r#"{{"token": "{token}", "click_id": "abc123", "affiliate_id": 1}}"#)),
    ] {
        said.push_str(client.send(call).await.text());
    }
    for path in ["/postbacks?limit=1000", "/campaigns", "/affiliates/1/conversions", "/dashboard", "/dashboard?affiliate_id=1"] {
        said.push_str(client.get(path).await.text());
    }
    let rows = client.get("/postbacks?limit=1000").await.data();
    assert_eq!(rows.as_array().unwrap().len(), 14, "{rows}");
    let bare = signing.strip_prefix("whsec_").unwrap();
    for secret in [&token, &token[4..], &token[4..24], &signing, bare, &bare[..20], &encoded, &signature, &signature[..20]] {
        assert!(!said.contains(secret), "{secret} is told: {said}");
    }
}
