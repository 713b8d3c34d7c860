//! The pages in a real browser: Debian's Chromium.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::process::Command;
use std::time::Duration;

use fantoccini::wd::WebDriverCompatibleCommand;
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::process::Process;
use crate::support::{Server, on_each_framework};

mod checks;
mod hands;
mod live;
mod mounted;
mod partner;
mod plain;
mod round;

on_each_framework!(
    an_affiliate_is_chosen_and_his_numbers_are_there,
    the_postback_url_is_copied,
    nothing_is_wider_than_a_phone,
    the_dashboard_needs_no_javascript,
    the_shop_keeps_to_its_policy,
);

fn an_affiliate_is_chosen_and_his_numbers_are_there(framework: &str) {
    let server = with_a_click_and_a_conversion(framework);
    in_browser(async |browser| {
        browser.goto(&server.url).await.unwrap();
        choose_the_affiliate(browser).await;

        assert_eq!(text(browser, "clicks-total").await, "2");
        assert_eq!(text(browser, "conversions-total").await, "1");
        assert!(text(browser, "conversion-rate").await.starts_with("50"));
        let revenue = text(browser, "revenue").await;
        assert!(revenue.contains("100") && revenue.contains("USD"), "{revenue}");
        assert!(text(browser, "clicks").await.contains("abc123"));
        let conversions = text(browser, "conversions").await;
        assert!(conversions.contains("abc123") && conversions.contains("100"), "{conversions}");
        let postback_url = text(browser, "postback-url").await;
        assert!(postback_url.starts_with(&format!("{}/postback?affiliate_id=1&", server.url)), "{postback_url}");
    });
}

fn the_postback_url_is_copied(framework: &str) {
    let server = with_a_click_and_a_conversion(framework);
    in_browser(async |browser| {
        let permissions =
            json!({"permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"], "origin": server.url});
        devtools(browser, "Browser.grantPermissions", permissions).await;
        browser.goto(&format!("{}/dashboard?affiliate_id=1", server.url)).await.unwrap();
        find(browser, "copy-postback-url").await.click().await.unwrap();

        let announced = Locator::XPath("//*[@role='status'][contains(., 'Copied')]");
        browser.wait().at_most(Duration::from_secs(10)).for_element(announced).await.unwrap();
        let copied = browser.execute_async("navigator.clipboard.readText().then(arguments[0])", vec![]).await.unwrap();
        assert_eq!(copied, text(browser, "postback-url").await);
    });
}

fn nothing_is_wider_than_a_phone(framework: &str) {
    let server = with_a_click_and_a_conversion(framework);
    in_browser(async |browser| {
        let phone = json!({"width": 390, "height": 844, "deviceScaleFactor": 3, "mobile": true});
        devtools(browser, "Emulation.setDeviceMetricsOverride", phone).await;
        for path in [
            "/dashboard",
            "/dashboard?affiliate_id=1",
            "/dashboard/link?affiliate_id=1&campaign_id=10&sub1=a-long-mark-that-goes-on-and-on-and-on-and-on",
            "/demo/shop?click_id=abc123",
            "/dashboard?affiliate_id=x",
        ] {
            browser.goto(&format!("{}{path}", server.url)).await.unwrap();
            let sizes = "return [innerWidth, document.documentElement.scrollWidth]";
            assert_eq!(browser.execute(sizes, vec![]).await.unwrap(), json!([390, 390]), "{path}");
        }
        // The last page is a refusal, which the browser reports.
        assert_eq!(complaints(browser).await.len(), 1);
    });
}

fn the_dashboard_needs_no_javascript(framework: &str) {
    let server = with_a_click_and_a_conversion(framework);
    in_browser(async |browser| {
        devtools(browser, "Emulation.setScriptExecutionDisabled", json!({"value": true})).await;
        browser.goto(&server.url).await.unwrap();
        choose_the_affiliate(browser).await;
        assert_eq!(text(browser, "conversions-total").await, "1");
        assert!(!find(browser, "copy-postback-url").await.is_displayed().await.unwrap());
    });
}

fn the_shop_keeps_to_its_policy(framework: &str) {
    let server = Server::start(framework);
    in_browser(async |browser| {
        browser.goto(&format!("{}/demo/shop?click_id=abc123", server.url)).await.unwrap();
        assert_eq!(text(browser, "click-id").await, "abc123");
        let background = "return getComputedStyle(document.querySelector('pre')).borderTopStyle";
        assert_eq!(browser.execute(background, vec![]).await.unwrap(), "solid", "the style sheet has no effect");
    });
}

fn with_a_click_and_a_conversion(framework: &str) -> Server {
    let server = Server::start(framework);
    for path in [
        "/click?affiliate_id=1&campaign_id=10&click_id=abc123",
        "/click?affiliate_id=1&campaign_id=10&click_id=def456",
        "/postback?affiliate_id=1&click_id=abc123&amount=100&currency=USD",
    ] {
        assert_eq!(server.get(path).status(), 200);
    }
    server
}

async fn choose_the_affiliate(browser: &Client) {
    let chooser = browser.find(Locator::Css("form select[name=affiliate_id]")).await.unwrap();
    chooser.select_by_value("1").await.unwrap();
    browser.find(Locator::Css("form:has(select[name=affiliate_id]) button")).await.unwrap().click().await.unwrap();
    let shown = Locator::Css("[data-test=clicks-total]");
    browser.wait().at_most(Duration::from_secs(10)).for_element(shown).await.unwrap();
}

pub(crate) async fn find(browser: &Client, name: &str) -> fantoccini::elements::Element {
    browser.find(Locator::Css(&format!("[data-test={name}]"))).await.unwrap()
}

pub(crate) async fn text(browser: &Client, name: &str) -> String {
    find(browser, name).await.text().await.unwrap()
}

/// Runs the test in a browser of its own, which must have nothing to complain about.
pub(crate) fn in_browser(test: impl AsyncFnOnce(&Client)) {
    const MISSING: &str = "The browser tests need Chromium and its driver: apt-get install chromium chromium-driver";
    let mut command = Command::new("chromedriver");
    let installed = command.arg("--version").output().is_ok_and(|output| output.status.success());
    assert!(installed && Command::new("chromium").arg("--version").output().is_ok(), "{MISSING}");

    let mut driver = Process::start(Command::new("chromedriver").arg("--port=0"));
    let port = driver.wait_for("started successfully on port ");
    let driver_url = format!("http://127.0.0.1:{}", port.trim_end_matches('.'));
    let profile = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut builder = ClientBuilder::new(HttpConnector::new());
    builder.capabilities(capabilities(&profile));
    let browser = runtime.block_on(builder.connect(&driver_url)).unwrap_or_else(|error| panic!("{MISSING} ({error})"));
    let tested = catch_unwind(AssertUnwindSafe(|| {
        runtime.block_on(async {
            test(&browser).await;
            assert_eq!(complaints(&browser).await, Vec::<Value>::new());
        });
    }));
    // Also after a failure: the browser would outlive its driver.
    let closed = runtime.block_on(browser.close());
    if let Err(panic) = tested {
        resume_unwind(panic);
    }
    closed.unwrap();
}

fn capabilities(profile: &TempDir) -> fantoccini::wd::Capabilities {
    let flags = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        // The driver clicks where it has scrolled to, and does not wait for a smooth scroll to end.
        "--force-prefers-reduced-motion",
    ];
    let mut flags: Vec<String> = flags.map(str::to_owned).into();
    flags.push(format!("--user-data-dir={}", profile.path().display()));
    let capabilities = json!({
        "browserName": "chrome",
        "goog:chromeOptions": {"args": flags},
        "goog:loggingPrefs": {"browser": "ALL"},
    });
    capabilities.as_object().unwrap().clone()
}

/// What the browser has reported since it was last asked: errors in scripts, and breaches of the content security policy.
pub(crate) async fn complaints(browser: &Client) -> Vec<Value> {
    let log = browser.issue_cmd(Post { path: "se/log", body: json!({"type": "browser"}) }).await.unwrap();
    log.as_array().unwrap().clone()
}

pub(crate) async fn devtools(browser: &Client, command: &str, parameters: Value) {
    let body = json!({"cmd": command, "params": parameters});
    browser.issue_cmd(Post { path: "goog/cdp/execute", body }).await.unwrap();
}

/// A command of chromedriver's own.
#[derive(Debug)]
struct Post {
    path: &'static str,
    body: Value,
}

impl WebDriverCompatibleCommand for Post {
    fn endpoint(&self, base: &url::Url, session: Option<&str>) -> Result<url::Url, url::ParseError> {
        base.join(&format!("session/{}/{}", session.unwrap_or_default(), self.path))
    }

    fn method_and_body(&self, _: &url::Url) -> (http::Method, Option<String>) {
        (http::Method::POST, Some(self.body.to_string()))
    }
}
