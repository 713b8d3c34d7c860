//! What an affiliate sees who is logged in.

use fantoccini::Client;
use serde_json::{Value, json};

use super::checks::{check, is_refused};
use super::hands::{all, appears, download, log_in, place, press, says};
use super::in_browser;
use crate::support::{Server, TOKEN, on_each_framework};

on_each_framework!(an_affiliate_sees_his_own_figures_only);

fn an_affiliate_sees_his_own_figures_only(framework: &str) {
    let server = Server::start_with(framework, &[("TRACKING_ADMIN_TOKEN", TOKEN)]);
    let other = create(&server, "/affiliates", &json!({"name": "Somebody Else"}))["id"].as_u64().unwrap();
    for affiliate in [1, other] {
        let click = format!("/click?affiliate_id={affiliate}&campaign_id=10&click_id=abc123");
        let sale = format!("/postback?affiliate_id={affiliate}&click_id=abc123&amount=100&currency=USD");
        assert_eq!([click, sale].map(|path| server.get(&path).status()), [200, 200]);
    }
    let pass = create(&server, "/affiliates/1/passes", &json!({"lifetime_seconds": 3600}));
    let opens = async |browser: &Client, path: &str| browser.goto(&format!("{}{path}", server.url)).await.unwrap();
    in_browser(async |browser| {
        opens(browser, "/dashboard").await;
        log_in(browser, pass["token"].as_str().unwrap(), "[data-test=affiliate-name]").await;
        sees_his_own(browser).await;

        for path in [
            format!("/dashboard?affiliate_id={other}"),
            format!("/dashboard/reports?affiliate_id={other}"),
            format!("/dashboard/conversions?affiliate_id={other}"),
            format!("/dashboard/clicks?affiliate_id={other}"),
            format!("/dashboard/link?affiliate_id={other}&campaign_id=10"),
            "/dashboard/affiliates".to_owned(),
            "/dashboard/postbacks".to_owned(),
            "/dashboard/explain".to_owned(),
            "/dashboard/import".to_owned(),
            "/dashboard/settings".to_owned(),
        ] {
            opens(browser, &path).await;
            is_refused(browser, 403).await;
            assert!(!browser.source().await.unwrap().contains("Somebody Else"), "{path}");
        }
        check(browser, "a refusal").await;

        opens(browser, "/dashboard").await;
        press(browser, "[data-test=log-out]", "[data-test=login]").await;
        browser.goto(pass["share_url"].as_str().unwrap()).await.unwrap();
        appears(browser, "[data-test=affiliate-name]").await;
        assert_eq!(place(browser).await, "/dashboard?affiliate_id=1", "the pass is not in the URL");
        sees_his_own(browser).await;
    });
}

async fn sees_his_own(browser: &Client) {
    assert_eq!(says(browser, "[data-test=session-of]").await, "Affiliate 1");
    assert_eq!(says(browser, "[data-test=clicks-total]").await, "1");
    for offered in ["[data-test=chooser]", "[data-test=approve]", "[data-test=share]", "[data-test=nav-affiliates]"] {
        assert!(all(browser, offered).await.is_empty(), "{offered} is not for him");
    }
    check(browser, "an affiliate's own page").await;
    for (nav, shown) in [("reports", "report"), ("conversions", "conversions"), ("clicks", "clicks")] {
        press(browser, &format!("[data-test=nav-{nav}]"), &format!("[data-test={shown}]")).await;
        assert!(download(browser, "[data-test=csv]").await.len() > 1, "{nav}");
        check(browser, &format!("an affiliate's {nav}")).await;
    }
    assert_eq!(all(browser, "[data-test=click]").await.len(), 1, "those of others are not his");
    press(browser, "[data-test=nav-campaigns]", "[data-test=campaigns]").await;
    press(browser, "[data-test=campaign] a", "[data-test=campaign-name]").await;
    check(browser, "a campaign for an affiliate").await;
    press(browser, ".pages a", "[data-test=affiliate-name]").await;
}

fn create(server: &Server, path: &str, body: &Value) -> Value {
    let mut answer = ureq::post(format!("{}{path}", server.url))
        .header("content-type", "application/json")
        .header("authorization", format!("Bearer {TOKEN}"))
        .send(body.to_string())
        .unwrap();
    assert_eq!(answer.status(), 201, "{path}");
    let answer: Value = serde_json::from_str(&answer.body_mut().read_to_string().unwrap()).unwrap();
    answer["data"].clone()
}
