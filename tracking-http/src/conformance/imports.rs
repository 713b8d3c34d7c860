//! Files of conversions.

use std::sync::Arc;
use std::time::Instant;

use http::{Request, StatusCode};
use tracking_core::{AffiliateId, Secret, StoreError, Tracker};

use super::broken::{BrokenStore, SECRET};
use super::client::{Client, Reply};
use super::harness::{Site, with_header};
use crate::Api;
use crate::guard::{self, Access, Token, Tokens};

const HEADER: &str = "affiliate_id,campaign_id,click_id,amount,currency,transaction_id,status";

fn file(text: &str) -> Request<String> {
    Request::post("/conversions/import").header("content-type", "text/csv").body(text.to_owned()).unwrap()
}

async fn import(client: &Client, text: &str) -> Reply {
    let reply = client.send(file(text)).await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
    reply
}

/// Line, outcome, status and conversion of each line.
fn outcomes(reply: &Reply) -> Vec<(String, String, String, String)> {
    let table = reply.table();
    let (header, lines) = table.split_first().unwrap();
    assert_eq!(header, &["line", "outcome", "status", "message", "conversion_id"]);
    let outcome = |line: &Vec<String>| {
        let [number, outcome, status, message, conversion] = <[String; 5]>::try_from(line.clone()).unwrap();
        assert!(message.len() > 10, "{line:?} has no sentence");
        (number, outcome, status, conversion)
    };
    lines.iter().map(outcome).collect()
}

async fn clicks(client: &Client, ids: &[&str]) {
    for id in ids {
        // The campaign's postbacks need a key.
        let click = format!("/click?affiliate_id=1&campaign_id=11&click_id={id}");
        assert_eq!(client.get(&click).await.status, StatusCode::OK);
    }
}

pub(super) async fn each_line_is_told_what_has_become_of_it(site: Site) {
    let client = site.open().await;
    clicks(&client, &["a", "b"]).await;
    let text = format!(
        "{HEADER}\r\n1,11,a,12.5,USD,t1,\r\n1,,b,\"7\",USD,,approved\r\n\r\n1,11,z,1,USD,,\r\n1,11,a,x,USD,t2,\r\n\
         1,11,a\r\n1,11,a,13,USD,t1,\r\n99,,a,1,USD,t1,\r\n1,11,a,12.5,USD,t1,rejected"
    );
    let reply = import(&client, &text).await;
    assert!(reply.header("content-disposition").starts_with("attachment;"), "{}", reply.header("content-disposition"));
    let told = outcomes(&reply);
    let told: Vec<[&str; 3]> = told.iter().map(|(line, outcome, status, _)| [&**line, outcome, status]).collect();
    let expected = [
        ["2", "accepted", "200"],
        ["3", "accepted", "200"],
        ["5", "unknown_click", "404"],
        ["6", "invalid_parameter", "400"],
        ["7", "invalid_parameter", "400"],
        ["8", "conflict", "409"],
        ["9", "unknown_affiliate", "404"],
        ["10", "status_changed", "200"],
    ];
    assert_eq!(told, expected);
    let summary = client.get("/affiliates/1/summary").await.data();
    assert_eq!((&summary["conversions"], &summary["by_status"]["rejected"]["conversions"]), (&1.into(), &1.into()));
    let recorded = outcomes(&reply)[0].3.clone();
    let conversion = client.get(&format!("/conversions/{recorded}")).await.data();
    assert_eq!((&conversion["click_id"], &conversion["transaction_id"]), (&"a".into(), &"t1".into()));
}

pub(super) async fn import_is_safe_to_repeat(site: Site) {
    const COUNT: usize = 300;
    let client = site.open().await;
    let ids: Vec<String> = (0..COUNT).map(|number| format!("c{number}")).collect();
    clicks(&client, &ids.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let lines: String = ids.iter().map(|id| format!("1,11,{id},1,USD,,\n")).collect();
    let text = format!("{HEADER}\n{lines}");
    let mut conversions = Vec::new();
    for expected in ["accepted", "duplicate"] {
        let told = outcomes(&import(&client, &text).await);
        let lines: Vec<&str> = told.iter().map(|(line, ..)| line.as_str()).collect();
        let numbers: Vec<String> = (2..COUNT + 2).map(|number| number.to_string()).collect();
        assert_eq!(lines, numbers);
        assert!(told.iter().all(|(_, outcome, status, _)| (outcome.as_str(), status.as_str()) == (expected, "200")));
        conversions.push(told.into_iter().map(|(.., conversion)| conversion).collect::<Vec<_>>());
    }
    assert_eq!(conversions[0], conversions[1]);
    assert_eq!(client.get("/affiliates/1/summary").await.data()["conversions"], COUNT);
}

pub(super) async fn refund_follows_its_sale_in_a_file(site: Site) {
    let client = site.open().await;
    clicks(&client, &["a", "b", "c"]).await;
    let sale = |id: &str| format!("1,11,{id},1,USD,t,pending\n1,11,{id},1,USD,t,approved\n1,11,{id},,,t,rejected\n");
    let text = format!("{HEADER}\n{}{}{}", sale("a"), sale("b"), sale("c"));
    let told = outcomes(&import(&client, &text).await);
    let told: Vec<&str> = told.iter().map(|(_, outcome, ..)| outcome.as_str()).collect();
    assert_eq!(told, ["accepted", "status_changed", "status_changed"].repeat(3));
    assert_eq!(client.get("/affiliates/1/summary").await.data()["by_status"]["rejected"]["conversions"], 3);
}

pub(super) async fn file_that_is_none_is_refused(site: Site) {
    let client = site.open().await;
    clicks(&client, &["a"]).await;
    for (text, problem) in [
        ("", "It is empty"),
        ("\r\n\r\n", "It is empty"),
        ("click_id,amont,token,sub6\na,1,x,y\n", "unknown columns: amont, token, sub6"),
        ("click_id;amount\na;1\n", "unknown columns"),
        ("click_id,amount,click_id\na,1,b\n", "click_id more than once"),
        ("affiliate_id,amount\n1,1\n", "no column click_id"),
    ] {
        let reply = client.send(file(text)).await;
        assert_eq!((reply.status, reply.error_code().as_str()), (StatusCode::BAD_REQUEST, "invalid_body"), "{text}");
        let message = reply.json()["message"].as_str().unwrap().to_owned();
        assert!(message.contains(problem), "{message}");
        // Somebody may have left out the header, and have a key in it.
        assert!(!message.contains("pbk_"), "{message}");
    }
    let secret = client.send(file("click_id,pbk_0123456789\n")).await;
    assert!(!secret.text().contains("pbk_0123456789"), "{}", secret.text());
    let mut untyped = file(HEADER);
    untyped.headers_mut().remove("content-type");
    let typed = with_header(untyped.clone(), "content-type", "application/json");
    for request in [untyped, typed] {
        assert_eq!(client.send(request).await.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    }
    // Nothing to do is done.
    assert!(outcomes(&import(&client, HEADER).await).is_empty());
    assert_eq!(client.get("/affiliates/1/summary").await.data()["conversions"], 0);
}

pub(super) async fn cell_that_is_no_text_fails_its_line_only(site: Site) {
    let client = site.open().await;
    clicks(&client, &["a", "b"]).await;
    let table = [&b"click_id,affiliate_id,amount,currency,sub1\na,1,1,USD,\xff\nb,1,1,USD,\xc3\xa4\n"[..]].concat();
    let told = outcomes(&client.send_bytes(file("").map(|_| table.into())).await);
    let told: Vec<[&str; 3]> = told.iter().map(|(line, outcome, status, _)| [&**line, outcome, status]).collect();
    assert_eq!(told, [["2", "invalid_parameter", "400"], ["3", "accepted", "200"]]);
}

pub(super) async fn file_may_be_longer_than_other_bodies(site: Site) {
    let client = site.open().await;
    clicks(&client, &["a"]).await;
    // Longer than any other body may be, and no longer than it may be itself.
    let line = format!("a,1,1,USD,{}\n", "x".repeat(255));
    let header = "click_id,affiliate_id,amount,currency,sub1\n";
    let whole = |len: usize| {
        let lines = line.repeat((len - header.len()) / line.len());
        let mut text = format!("{header}{lines}");
        text.push_str(&"\n".repeat(len - text.len()));
        text
    };
    let told = outcomes(&import(&client, &whole(Api::MAX_BODY_LEN * 2)).await);
    assert_eq!((told[0].1.as_str(), told[1].1.as_str()), ("accepted", "duplicate"));
    assert!(told.len() > 400, "{}", told.len());
    // Its lines are so few that it does not take long.
    let long = format!("{header}{}", "\n".repeat(Api::MAX_IMPORT_LEN - header.len()));
    assert!(outcomes(&import(&client, &long).await).is_empty());
    let reply = client.send(file(&format!("{long}\n"))).await;
    assert_eq!((reply.status, reply.error_code().as_str()), (StatusCode::PAYLOAD_TOO_LARGE, "body_too_large"));
}

pub(super) async fn store_that_fails_fails_its_lines(site: Site) {
    let broken = Tracker::new(BrokenStore::failing(|| StoreError::unavailable("test", SECRET)), Secret::random());
    let client = site.open_tracker(Arc::new(broken)).await;
    let reply = import(&client, "click_id,affiliate_id,amount,currency\na,1,1,USD\na,1,x,USD\nb,1,1,USD\n").await;
    let told = outcomes(&reply);
    let told: Vec<[&str; 3]> = told.iter().map(|(line, outcome, status, _)| [&**line, outcome, status]).collect();
    let expected = [
        ["2", "store_unavailable", "503"],
        ["3", "invalid_parameter", "400"],
        ["4", "store_unavailable", "503"],
    ];
    assert_eq!(told, expected);
    assert!(!reply.text().contains("hunter2"));
}

pub(super) async fn only_admins_import(site: Site) {
    let own = Access::Affiliate(AffiliateId::new(1).unwrap());
    let his = guard::from_fn(move |_| {
        let own = own.clone();
        async { own }
    });
    let text = "click_id,affiliate_id,amount,currency\na,1,1,USD\n";
    assert_eq!(site.guarded(his).await.send(file(text)).await.status, StatusCode::FORBIDDEN);
    let stranger = guard::from_fn(|_| async { Access::Unknown });
    assert_eq!(site.guarded(stranger).await.send(file(text)).await.status, StatusCode::UNAUTHORIZED);
    let cross_site = with_header(file(text), "sec-fetch-site", "cross-site");
    assert_eq!(site.open().await.send(cross_site).await.error_code(), "cross_site");
}

pub(super) async fn file_of_a_stranger_is_not_awaited(site: Site) {
    let token = |token: &str| Token::new(token).unwrap();
    let (admin, reader) = ("correct-horse-battery", "a-reader-of-reports");
    let client = site.guarded(guard::tokens(Tokens::new(token(admin)).read_only(token(reader)))).await;
    let import = |header: &str| {
        format!(
            "POST /conversions/import HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/csv\r\nContent-Length: 1000000\r\n\
             {header}\r\n{HEADER}\r\n"
        )
    };
    let began = Instant::now();
    for (header, status) in [
        (String::new(), "401"),
        ("Authorization: Bearer wrong-horse-battery\r\n".to_owned(), "401"),
        (format!("Authorization: Bearer {reader}\r\n"), "403"),
        (format!("Authorization: Bearer {admin}\r\nSec-Fetch-Site: cross-site\r\n"), "403"),
    ] {
        let head = client.send_unfinished(&import(&header)).await;
        assert!(head.starts_with(&format!("HTTP/1.1 {status}")), "{header}: {head}");
    }
    assert!(began.elapsed() < Api::IMPORT_TIMEOUT, "the files were awaited");
    // Whoever is awaited has not failed, and whoever has failed has done so once.
    for number in 2..=10 {
        let wrong = with_header(file(HEADER), "authorization", "Bearer wrong-horse-battery");
        assert_eq!(client.send(wrong).await.status, StatusCode::UNAUTHORIZED, "{number}");
    }
    let right = with_header(file(HEADER), "authorization", &format!("Bearer {admin}"));
    assert_eq!(client.send(right).await.status, StatusCode::TOO_MANY_REQUESTS);
}
