//! Without JavaScript.

use fantoccini::Client;
use serde_json::json;

use super::checks::{is_refused, on_screen};
use super::hands::{all, appears, choose, one, place, press, says, write};
use super::{devtools, in_browser};
use crate::support::{Server, TOKEN, on_each_framework};

on_each_framework!(everything_but_a_file_goes_without_javascript);

fn everything_but_a_file_goes_without_javascript(framework: &str) {
    let server = Server::start_with(framework, &[("TRACKING_ADMIN_TOKEN", TOKEN)]);
    for id in ["abc123", "def456", "ghi789"] {
        assert_eq!(server.get(&format!("/click?affiliate_id=1&campaign_id=10&click_id={id}")).status(), 200);
    }
    for (id, status) in [("abc123", "pending"), ("def456", "approved")] {
        let sale = format!("affiliate_id=1&click_id={id}&amount=100&currency=USD&status={status}");
        assert_eq!(server.get(&format!("/postback?{sale}")).status(), 200);
    }
    in_browser(async |browser| {
        devtools(browser, "Emulation.setScriptExecutionDisabled", json!({"value": true})).await;
        browser.goto(&format!("{}/dashboard", server.url)).await.unwrap();
        write(browser, "#token", TOKEN).await;
        press(browser, "[data-test=login] button", "[data-test=period]").await;
        assert_eq!(says(browser, "[data-test=period-clicks]").await, "3");
        press(browser, "#in-period summary", "#in-period details[open] tfoot td").await;
        press(browser, "#presets a[href*=yesterday]", "#presets a[href*=yesterday][aria-current]").await;
        assert_eq!(says(browser, "[data-test=period-clicks]").await, "0");

        on_screen(browser, 390, 844).await;
        asks_for_other_days(browser).await;
        on_screen(browser, 1280, 900).await;

        choose(browser, "[data-test=chooser]", "1").await;
        press(browser, ".chooser button", "[data-test=affiliate-name]").await;
        assert_eq!(says(browser, "[data-test=conversions-total]").await, "2");
        assert!(!one(browser, "[data-copy]").await.is_displayed().await.unwrap(), "it would not do anything");

        press(browser, "[data-test=nav-reports]", "[data-test=report]").await;
        choose(browser, "#group-by", "source").await;
        press(browser, "[data-test=report-form] .submit button", "[data-test=scanned]").await;
        assert_eq!(all(browser, "[data-test=report] tbody tr").await.len(), 1);

        press(browser, "[data-test=nav-conversions]", "[data-test=filter]").await;
        one(browser, "#status").await.select_by_label("pending").await.unwrap();
        press(browser, "[data-test=filter] .submit button", "[data-test=clear]").await;
        assert_eq!(all(browser, "[data-test=conversion]").await.len(), 1);
        on_screen(browser, 390, 844).await;
        filters_a_list(browser).await;
        on_screen(browser, 1280, 900).await;
        press(browser, "[data-test=approve]", "[data-test=no-conversions]").await;
        assert!(place(browser).await.contains("status=pending"), "it is the same list");

        press(browser, "[data-test=nav-campaigns]", "[data-test=campaigns]").await;
        press(browser, "[data-test=campaign] a", "[data-test=campaign-name]").await;
        press(browser, "[data-test=edit] > summary", "[data-test=edit][open]").await;
        write(browser, "#payout", "12.5%").await;
        press(browser, "[data-test=save]", "[data-test=edit]:not([open])").await;
        assert!(says(browser, "[data-test=rules]").await.contains("12.5% of the amount"));

        press(browser, "[data-test=nav-import]", "[data-test=paste-form]").await;
        assert!(!one(browser, "[data-test=file-form]").await.is_displayed().await.unwrap());
        let lines = "affiliate_id,click_id,amount,currency\n1,ghi789,5,USD\n1,abc123,100,USD\n1,of-nobody,5,USD";
        write(browser, "#text", lines).await;
        press(browser, "[data-test=paste-form] button", "[data-test=result]").await;
        assert_eq!(all(browser, "[data-test=line]").await.len(), 3);
        press(browser, "[data-test=log-out]", "[data-test=login]").await;
        browser.goto(&format!("{}/dashboard/import", server.url)).await.unwrap();
        appears(browser, "[data-test=login]").await;
    });
}

/// On a phone, where the form is folded until it is asked for.
async fn asks_for_other_days(browser: &Client) {
    let is_shown = async |selector: &str| one(browser, selector).await.is_displayed().await.unwrap();
    let zone = "[data-test=period] #time-zone";
    assert!(!is_shown(zone).await && !is_shown("[data-test=fold]").await);
    press(browser, "[data-test=unfold]", "#asked:target").await;
    assert!(is_shown(zone).await && !is_shown("[data-test=unfold]").await);
    assert_eq!(focused(browser).await, "asked", "whoever can't see the form is led to it");
    press(browser, "[data-test=fold]", "#presets:target").await;
    assert!(!is_shown(zone).await);
    assert_eq!(focused(browser).await, "presets");

    press(browser, "[data-test=unfold]", "#asked:target").await;
    write(browser, zone, "Mars/Olympus").await;
    press(browser, "[data-test=period] form button", "[data-test=period-problem]").await;
    is_refused(browser, 400).await;
    assert!(is_shown(zone).await, "what is refused is not folded");
    write(browser, zone, "Asia/Kolkata").await;
    press(browser, "[data-test=period] form button", "[data-test=days]").await;
    assert!(!is_shown(zone).await);
    assert!(says(browser, "[data-test=days]").await.contains("Asia/Kolkata"));
}

/// On a phone, where the form by which a list is filtered is folded, too.
async fn filters_a_list(browser: &Client) {
    let is_shown = async |selector: &str| one(browser, selector).await.is_displayed().await.unwrap();
    let field = "[data-test=filter] #affiliate";
    assert!(!is_shown(field).await);
    assert_eq!(says(browser, "[data-test=asked]").await, "Only: pending");
    press(browser, "[data-test=unfold]", "#asked:target").await;
    assert!(is_shown(field).await);
    assert_eq!(focused(browser).await, "asked");
    press(browser, "[data-test=fold]", "#filtered:target").await;
    assert!(!is_shown(field).await);
    assert_eq!(focused(browser).await, "filtered");

    press(browser, "[data-test=unfold]", "#asked:target").await;
    write(browser, field, "99").await;
    press(browser, "[data-test=filter] .submit button", "[data-test=wrong-affiliate_id]").await;
    is_refused(browser, 404).await;
    assert!(is_shown(field).await, "what is refused is not folded");
    write(browser, field, "1").await;
    press(browser, "[data-test=filter] .submit button", "[data-test=conversion]").await;
    assert!(!is_shown(field).await);
    assert_eq!(says(browser, "[data-test=asked]").await, "Only: pending, affiliate 1");
}

/// The id of what has the focus.
async fn focused(browser: &Client) -> String {
    browser.active_element().await.unwrap().attr("id").await.unwrap().unwrap_or_default()
}
