//! Figures that follow by themselves.

use std::time::Duration;

use fantoccini::Locator;

use super::hands::{all, one, press, says};
use super::{in_browser, with_a_click_and_a_conversion};
use crate::support::on_each_framework;

on_each_framework!(figures_follow_and_the_reader_is_left_alone);

const FOCUSED: &str = "return document.activeElement.matches('#in-period summary')";

fn figures_follow_and_the_reader_is_left_alone(framework: &str) {
    let server = with_a_click_and_a_conversion(framework);
    in_browser(async |browser| {
        browser.goto(&format!("{}/dashboard", server.url)).await.unwrap();
        assert_eq!(says(browser, "[data-test=period-clicks]").await, "2");
        press(browser, "#in-period summary", "#in-period details[open]").await;
        let table = one(browser, "#in-period details[open] tfoot td").await;
        assert_eq!(table.text().await.unwrap(), "2");
        assert_eq!(browser.execute(FOCUSED, vec![]).await.unwrap(), true);

        assert_eq!(server.get("/click?affiliate_id=1&campaign_id=10&click_id=ghi789").status(), 200);
        let three = Locator::XPath("//*[@data-test='period-clicks'][.='3']");
        browser.wait().at_most(Duration::from_secs(40)).for_element(three).await.unwrap();
        assert_eq!(says(browser, "#in-period details[open] tfoot td").await, "3", "the table is open, and follows");
        assert_eq!(all(browser, "#in-period details[open]").await.len(), 1);
        assert_eq!(browser.execute(FOCUSED, vec![]).await.unwrap(), true, "the focus is where it was");
    });
}
