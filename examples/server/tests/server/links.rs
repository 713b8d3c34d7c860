//! The whole way: from a link on an affiliate's page to the conversion on the dashboard.

use std::time::Duration;

use fantoccini::{Client, Locator};
use serde_json::{Value, json};

use crate::browser::{devtools, find, in_browser, text};
use crate::support::{Server, Site, on_each_framework_and_store, program};

on_each_framework_and_store!(
    a_visitor_follows_a_link_and_buys,
    ids_are_genuine_after_a_restart,
    a_click_is_erased_by_a_command,
);

const LINK: &str = "/go?affiliate_id=1&campaign_id=10&sub1=autumn-list&source=newsletter";

fn a_visitor_follows_a_link_and_buys(site: &Site) {
    let server = site.start();
    in_browser(async |browser| {
        // Somebody's page, elsewhere.
        let link = format!("{}{LINK}", server.url).replace('&', "%26amp;");
        let page = format!("data:text/html,<title>Reviews</title><a data-test='link' href='{link}'>the best lamps</a>");
        browser.goto(&page).await.unwrap();
        follow(browser, "link", "click-id").await;
        let click_id = text(browser, "click-id").await;
        assert!(click_id.starts_with("aptk_"), "{click_id}");
        let url = browser.current_url().await.unwrap();
        assert_eq!(url.path(), "/demo/shop");
        assert!(url.query_pairs().any(|(name, value)| (name, &*value) == ("click_id".into(), &*click_id)), "{url}");

        follow(browser, "buy", "outcome").await;
        assert_eq!(text(browser, "outcome").await, "Conversion tracked successfully");
        follow(browser, "dashboard", "conversions").await;
        assert_eq!(text(browser, "clicks-total").await, "1");
        assert_eq!(text(browser, "conversions-total").await, "1");
        assert!(text(browser, "conversions").await.contains(&click_id));
        let clicks = text(browser, "clicks").await;
        assert!(clicks.contains("autumn-list") && clicks.contains("newsletter"), "{clicks}");
    });
    let click = last_click(&server);
    assert_eq!(
        (&click["sub1"], &click["source"], &click["ip"]),
        (&"autumn-list".into(), &"newsletter".into(), &"127.0.0.0/24".into())
    );
    assert!(click["user_agent"].as_str().unwrap().contains("Chrome"), "{click}");
    server.stop();
}

#[test]
fn a_link_is_built_copied_and_tested() {
    for framework in ["warp", "rocket"] {
        let server = Server::start(framework);
        in_browser(async |browser| {
            let permissions =
                json!({"permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"], "origin": server.url});
            devtools(browser, "Browser.grantPermissions", permissions).await;
            browser.goto(&format!("{}/dashboard/link", server.url)).await.unwrap();
            browser.find(Locator::Css("summary")).await.unwrap().click().await.unwrap();
            for (name, value) in [("sub1", "ad & co"), ("source", "{placement}")] {
                browser.find(Locator::Id(name)).await.unwrap().send_keys(value).await.unwrap();
            }
            browser.find(Locator::Css("[data-test=link-form] button")).await.unwrap().click().await.unwrap();
            let shown = Locator::Css("[data-test=tracking-link]");
            browser.wait().at_most(Duration::from_secs(10)).for_element(shown).await.unwrap();

            let link = text(browser, "tracking-link").await;
            let query = "affiliate_id=1&campaign_id=10&sub1=ad%20%26%20co&source={placement}";
            assert_eq!(link, format!("{}/go?{query}", server.url));
            find(browser, "copy-tracking-link").await.click().await.unwrap();
            let announced = Locator::XPath("//*[@role='status'][contains(., 'Copied')]");
            browser.wait().at_most(Duration::from_secs(10)).for_element(announced).await.unwrap();
            let copied = browser.execute_async("navigator.clipboard.readText().then(arguments[0])", vec![]).await;
            assert_eq!(copied.unwrap(), link);
            let picture = "return document.querySelector('[data-test=qr-code]').naturalWidth > 20";
            assert_eq!(browser.execute(picture, vec![]).await.unwrap(), true, "the QR code is a picture");

            follow(browser, "test-click", "tested").await;
            assert_eq!(browser.find_all(Locator::Css("[data-test=step]")).await.unwrap().len(), 6);
            let tested = text(browser, "tested").await;
            assert!(tested.contains("The test click went through"), "{tested}");
            follow(browser, "destination", "click-id").await;
            let click_id = text(browser, "click-id").await;
            let click = last_click(&server);
            assert_eq!((&click["click_id"], &click["bot"]), (&json!(click_id), &json!("test")));
            assert_eq!((&click["sub1"], &click["source"]), (&json!("ad & co"), &json!("{placement}")));
        });
    }
}

/// Clicks there, and waits until this is on the page.
async fn follow(browser: &Client, name: &str, then: &str) {
    find(browser, name).await.click().await.unwrap();
    let shown = format!("[data-test={then}]");
    browser.wait().at_most(Duration::from_secs(10)).for_element(Locator::Css(&shown)).await.unwrap();
}

fn last_click(server: &Server) -> Value {
    server.get("/affiliates/1/clicks?limit=1").json()["data"][0].clone()
}

fn click_id_of(server: &Server) -> String {
    let answer = server.get(LINK);
    assert_eq!(answer.status(), 302, "{}", answer.text());
    let location = answer.header("location");
    let click_id = location.split("click_id=").nth(1).and_then(|rest| rest.split('&').next()).unwrap();
    click_id.to_owned()
}

fn ids_are_genuine_after_a_restart(site: &Site) {
    let server = site.start();
    let click_id = click_id_of(&server);
    server.stop();
    let server = site.start();
    let postback = format!("/postback?affiliate_id=1&click_id={click_id}&amount=100&currency=USD");
    assert_eq!(server.get(&postback).status(), 200, "what was in memory is recovered");
    assert_eq!(last_click(&server)["recovered"].as_bool().unwrap_or(false), site.database.is_none());
    let forged = postback.replace("aptk_AQ", "aptk_Aw");
    assert_eq!(server.get(&forged).status(), 422, "{forged}");
    server.stop();
}

fn a_click_is_erased_by_a_command(site: &Site) {
    let Some(database) = &site.database else { return };
    let server = site.start();
    let click_id = click_id_of(&server);
    for expected in ["is anonymous now", "has no click with this id"] {
        let directory = tempfile::tempdir().unwrap();
        let mut command = program(directory.path());
        let output = command.args(["erase", &click_id]).env("TRACKING_STORE", &database.url).output().unwrap();
        let told = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success() && told.contains(expected), "{told}");
    }
    let click = last_click(&server);
    assert!(click["click_id"].as_str().unwrap().starts_with("erased-"), "{click}");
    assert_eq!((&click["sub1"], &click["ip"], &click["user_agent"]), (&Value::Null, &Value::Null, &Value::Null));
    let postback = format!("/postback?affiliate_id=1&click_id={click_id}&amount=100&currency=USD");
    assert_eq!(server.get(&postback).status(), 404);
    assert_eq!(server.get("/affiliates/1/summary").json()["data"]["clicks"], 1);
    server.stop();
}
