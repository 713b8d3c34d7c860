//! The demonstration, as a newcomer meets it.

use crate::support::{Server, on_each_framework};

on_each_framework!(there_is_something_to_look_at_from_the_start);

fn there_is_something_to_look_at_from_the_start(framework: &str) {
    let mut server = Server::start_with(framework, &[("TRACKING_DEMO", "true")]);
    let told = server.process.wait_for("For demonstration: ");
    let clicks: u64 = told.split(' ').next().unwrap().parse().unwrap();
    assert!(clicks > 50_000, "{told}");

    let affiliates = server.get("/affiliates").json();
    let affiliates = affiliates["data"].as_array().unwrap();
    assert_eq!(affiliates.len(), 13);
    let summary = |id: &serde_json::Value| server.get(&format!("/affiliates/{id}/summary")).json()["data"].clone();
    let counted: u64 = affiliates.iter().map(|affiliate| summary(&affiliate["id"])["clicks"].as_u64().unwrap()).sum();
    assert!(counted >= clicks, "{counted} {told}");

    // The sample affiliate is one of them.
    let sample = summary(&1.into());
    assert!(sample["clicks"].as_u64().unwrap() > 1_000 && sample["conversions"].as_u64().unwrap() > 10, "{sample}");
    let page = server.get("/dashboard?affiliate_id=1");
    assert_eq!(page.status(), 200);
    assert!(page.text().contains("Kitchen Notes"), "{}", page.text());
    let (_, figure) = page.text().split_once(r#"data-test="clicks-total">"#).unwrap();
    let figure: String = figure.chars().take_while(|c| *c != '<').filter(char::is_ascii_digit).collect();
    assert!(figure.parse::<u64>().unwrap() >= sample["clicks"].as_u64().unwrap(), "{figure} {sample}");
    let log = server.get("/postbacks?limit=100").json();
    assert!(!log["data"].as_array().unwrap().is_empty(), "{log}");

    // Nobody has called for what was there at the start.
    let metrics = server.get("/metrics");
    let new = metrics.text().lines().find_map(|line| line.strip_prefix(r#"tracking_clicks_total{result="new"} "#));
    assert!(new.unwrap().parse::<u64>().unwrap() < 100, "{new:?}");

    // What the README does is one click and one conversion more.
    let link = server.get("/go?affiliate_id=1&campaign_id=10");
    assert!(link.header("location").starts_with(&format!("{}/demo/shop?", server.url)), "{}", link.header("location"));
    assert_eq!(server.get("/click?affiliate_id=1&campaign_id=10&click_id=abc123").status(), 200);
    let sale = server.get("/postback?affiliate_id=1&click_id=abc123&amount=100&currency=USD");
    assert_eq!(sale.json()["data"]["campaign_id"], 10, "{}", sale.text());
    let after = summary(&1.into());
    assert!(after["clicks"].as_u64() > sample["clicks"].as_u64(), "{after}");
    assert!(after["conversions"].as_u64() > sample["conversions"].as_u64(), "{after}");
    server.stop();
}
