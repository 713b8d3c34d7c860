//! What people do with a page.

use std::time::Duration;

use fantoccini::elements::Element;
use fantoccini::{Client, Locator};

pub(super) async fn one(browser: &Client, selector: &str) -> Element {
    let found = browser.find(Locator::Css(selector)).await;
    found.unwrap_or_else(|error| panic!("there is no {selector}: {error}"))
}

pub(super) async fn all(browser: &Client, selector: &str) -> Vec<Element> {
    browser.find_all(Locator::Css(selector)).await.unwrap()
}

pub(super) async fn says(browser: &Client, selector: &str) -> String {
    one(browser, selector).await.text().await.unwrap()
}

/// Waits until the page has it.
pub(super) async fn appears(browser: &Client, selector: &str) -> Element {
    let found = browser.wait().at_most(Duration::from_secs(30)).for_element(Locator::Css(selector)).await;
    found.unwrap_or_else(|error| panic!("there is no {selector}: {error}"))
}

/// Presses it, and waits for what shows that the next page is there.
pub(super) async fn press(browser: &Client, selector: &str, then: &str) {
    one(browser, selector).await.click().await.unwrap();
    appears(browser, then).await;
}

pub(super) async fn write(browser: &Client, selector: &str, text: &str) {
    let field = one(browser, selector).await;
    field.clear().await.unwrap();
    field.send_keys(text).await.unwrap();
}

pub(super) async fn choose(browser: &Client, selector: &str, value: &str) {
    one(browser, selector).await.select_by_value(value).await.unwrap();
}

/// What stands behind the host in the URL of the open page.
pub(super) async fn place(browser: &Client) -> String {
    let url = browser.current_url().await.unwrap();
    url[url::Position::BeforePath..].to_owned()
}

pub(super) async fn log_in(browser: &Client, token: &str, then: &str) {
    write(browser, "#token", token).await;
    press(browser, "[data-test=login] button", then).await;
}

/// The columns and the rows of the file that a link leads to, by the browser's own session.
pub(super) async fn download(browser: &Client, selector: &str) -> Vec<String> {
    const FETCH: &str = r#"
        const [selector, done] = arguments;
        fetch(document.querySelector(selector).href).then(async (answer) => {
            done([answer.status, answer.headers.get("content-type"), await answer.text()]);
        }, (error) => done([0, String(error), ""]));
    "#;
    let answer = browser.execute_async(FETCH, vec![selector.into()]).await.unwrap();
    assert_eq!((&answer[0], &answer[1]), (&200.into(), &"text/csv; charset=utf-8; header=present".into()), "{answer}");
    answer[2].as_str().unwrap().lines().map(str::to_owned).collect()
}
