//! Postbacks looked into, and conversions approved and rejected, in a real browser.

use std::time::Duration;

use fantoccini::{Client, Locator};
use serde_json::{Value, json};

use crate::browser::{complaints, devtools, find, in_browser, text};
use crate::support::{Server, on_each_framework};

on_each_framework!(
    a_problem_is_found_in_the_log_and_explained,
    conversions_are_approved_and_rejected,
    a_change_that_comes_too_late_is_told,
    reviews_fit_phones_and_tablets,
    reviews_are_readable_in_the_light_and_in_the_dark,
);

fn a_problem_is_found_in_the_log_and_explained(framework: &str) {
    let server = Server::start(framework);
    for (path, status) in [
        ("/click?affiliate_id=1&campaign_id=10&click_id=abc123", 200),
        ("/click?affiliate_id=1&campaign_id=10&click_id=def456", 200),
        ("/postback?affiliate_id=1&click_id=abc123&amount=100&currency=USD", 200),
        ("/postback?affiliate_id=1&click_id=unknown&amount=100&currency=USD", 404),
        ("/postback?affiliate_id=1&click_id=def456&amount=1,5&currency=USD", 400),
    ] {
        assert_eq!(server.get(path).status(), status, "{path}");
    }
    in_browser(async |browser| {
        browser.goto(&server.url).await.unwrap();
        click(browser, "[data-test=nav-postbacks]", "[data-test=postbacks]").await;
        assert_eq!(count(browser, "[data-test=postback]").await, 3);

        // The window is as narrow as those in which the form is folded.
        click(browser, "[data-test=unfold]", "#asked:target").await;
        let outcome = browser.find(Locator::Id("outcome")).await.unwrap();
        outcome.select_by_label("unknown_click").await.unwrap();
        browser.find(Locator::Css("label[for=problems-only]")).await.unwrap().click().await.unwrap();
        click(browser, "[data-test=filter] button", "[data-test=clear]").await;
        let url = browser.current_url().await.unwrap();
        let has = |name: &str, value: &str| url.query_pairs().any(|pair| pair == (name.into(), value.into()));
        assert!(has("outcome", "unknown_click") && has("problems", "true"), "{url}");
        assert_eq!(count(browser, "[data-test=postback]").await, 1);
        let row = text(browser, "postback").await;
        for part in ["unknown_click", "HTTP 404", "unknown", "Send the click_id exactly as the visitor brought it"] {
            assert!(row.contains(part), "{row} has no {part}");
        }
        let checkbox = browser.find(Locator::Id("problems-only")).await.unwrap();
        assert!(checkbox.is_selected().await.unwrap(), "the form says what is shown");
        browser.find(Locator::Css("[data-test=postback] summary")).await.unwrap().click().await.unwrap();
        let parameters = browser.find(Locator::Css("[data-test=postback] details code")).await.unwrap();
        assert!(parameters.text().await.unwrap().contains("click_id=unknown&amount=100"));

        click(browser, "[data-test=explain]", "[data-test=explain-form]").await;
        click(browser, "[data-test=explain-form] button", "[data-test=rules]").await;
        assert!(text(browser, "outcome").await.contains("It would be refused"));
        assert!(text(browser, "rule-parameters").await.contains("Passed"));
        let rule = text(browser, "rule-click").await;
        assert!(rule.contains("Failed") && rule.contains("Affiliate 1 has no click with this click_id"), "{rule}");
        assert!(text(browser, "rule-currency").await.contains("Could not be asked"));

        let call = browser.find(Locator::Id("call")).await.unwrap();
        call.clear().await.unwrap();
        call.send_keys("affiliate_id=1&click_id=def456&amount=1.5&currency=USD").await.unwrap();
        click(browser, "[data-test=explain-form] button", "[data-test=foretold]").await;
        let outcome = text(browser, "outcome").await;
        assert!(outcome.contains("It would be taken") && outcome.contains("HTTP 200"), "{outcome}");
        assert!(text(browser, "foretold").await.contains("1.50 USD"));
    });
    assert_eq!(server.get("/postbacks").json()["data"].as_array().unwrap().len(), 3, "explanations are not logged");
    assert_eq!(server.get("/affiliates/1/summary").json()["data"]["conversions"], 1);
}

fn conversions_are_approved_and_rejected(framework: &str) {
    let server = Server::start(framework);
    with_pending_conversions(&server, &["abc123", "def456"]);
    in_browser(async |browser| {
        browser.goto(&format!("{}/dashboard?affiliate_id=1", server.url)).await.unwrap();
        assert_eq!(kinds(browser).await, "2 pending · 0 approved · 0 rejected");
        assert!(text(browser, "revenue").await.contains("200.00"));
        assert!(text(browser, "payout").await.contains("25.00"));
        assert!(text(browser, "pays").await.contains("12.50"));

        click(browser, "[data-test=approve]", "tr:target .approved").await;
        assert_eq!(kinds(browser).await, "1 pending · 1 approved · 0 rejected");
        let other = "tr:not(:target) [data-test=reject]";
        browser.find(Locator::Css(other)).await.unwrap().click().await.unwrap();
        let reason = browser.find(Locator::Css("details[open] input[name=reason]")).await.unwrap();
        reason.send_keys("sent back & refunded").await.unwrap();
        click(browser, "details[open] [data-test=reject-for-good]", "tr:target .rejected").await;
        assert_eq!(kinds(browser).await, "0 pending · 1 approved · 1 rejected");
        assert!(text(browser, "revenue").await.contains("100.00"));
        assert!(text(browser, "payout").await.contains("12.50"));

        click(browser, "tr:target .key a", "[data-test=final]").await;
        assert_eq!(text(browser, "status").await, "rejected");
        let history = text(browser, "history").await;
        assert!(history.contains("rejected by an admin: sent back & refunded"), "{history}");
        click(browser, "[data-test=its-postbacks]", "[data-test=postbacks]").await;
        assert!(text(browser, "postbacks").await.contains("accepted"));
    });
}

fn a_change_that_comes_too_late_is_told(framework: &str) {
    let server = Server::start(framework);
    with_pending_conversions(&server, &["abc123"]);
    let id = server.get("/affiliates/1/conversions").json()["data"][0]["id"].as_u64().unwrap();
    in_browser(async |browser| {
        browser.goto(&format!("{}/dashboard/conversions/{id}", server.url)).await.unwrap();
        post(&server, &format!("/conversions/{id}/status"), &json!({"status": "rejected"}), 200);
        browser.find(Locator::Id("reason")).await.unwrap().send_keys("fine").await.unwrap();
        click(browser, "[data-test=approve]", "[data-test=change-problem]").await;
        let problem = text(browser, "change-problem").await;
        assert!(problem.contains("is rejected, and can't become approved"), "{problem}");
        assert_eq!(text(browser, "status").await, "rejected");
        // The browser reports the refusal.
        assert_eq!(complaints(browser).await.len(), 1);
    });
}

fn reviews_fit_phones_and_tablets(framework: &str) {
    let server = Server::start(framework);
    let pages = pages(&server);
    in_browser(async |browser| {
        for width in [390, 820, 1090] {
            let screen = json!({"width": width, "height": 844, "deviceScaleFactor": 2, "mobile": true});
            devtools(browser, "Emulation.setDeviceMetricsOverride", screen).await;
            for page in &pages {
                page.open(browser, &server).await;
                let sizes = "return [innerWidth, document.documentElement.scrollWidth]";
                assert_eq!(browser.execute(sizes, vec![]).await.unwrap(), json!([width, width]), "{}", page.path);
            }
        }
    });
}

fn reviews_are_readable_in_the_light_and_in_the_dark(framework: &str) {
    let server = Server::start(framework);
    let pages = pages(&server);
    in_browser(async |browser| {
        for scheme in ["light", "dark"] {
            let media = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
            devtools(browser, "Emulation.setEmulatedMedia", media).await;
            for page in &pages {
                page.open(browser, &server).await;
                let found = browser.execute(FAINT_TEXTS, vec![]).await.unwrap();
                let (texts, faint) = (&found["texts"], &found["faint"]);
                assert!(texts.as_u64() > Some(10), "{} has {texts} texts", page.path);
                assert_eq!(faint, &json!([]), "{} in the {scheme}", page.path);
                let page_is_dark = found["page"].as_f64().unwrap() < 0.1;
                assert_eq!(page_is_dark, scheme == "dark", "{}", page.path);
            }
        }
    });
}

/// Finds texts whose contrast is less than [WCAG 2.2](https://www.w3.org/TR/WCAG22/#contrast-minimum) demands.
const FAINT_TEXTS: &str = "
    const parts = color => color.match(/[\\d.]+/g).map(Number);
    const luminance = ([r, g, b]) => [r, g, b].map(c => c / 255)
        .map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
        .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
    const behind = element => {
        for (; element; element = element.parentElement) {
            const color = parts(getComputedStyle(element).backgroundColor);
            if (color.length === 3 || color[3] === 1) return luminance(color);
        }
        return 1;
    };
    const faint = [];
    let texts = 0;
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
        const element = walker.currentNode.parentElement, box = element.getBoundingClientRect();
        if (!walker.currentNode.data.trim() || !element.checkVisibility() || box.width <= 1 || element.closest('option')) continue;
        const [a, b] = [luminance(parts(getComputedStyle(element).color)), behind(element)].sort((a, b) => b - a);
        texts += 1;
        if ((a + 0.05) / (b + 0.05) < 4.5) faint.push(walker.currentNode.data);
    }
    return {texts, faint, page: behind(document.body)};
";

/// A page, and what there is to be done on it before it is looked at.
struct Page {
    path: String,
    opened: Option<[&'static str; 2]>,
}

impl Page {
    async fn open(&self, browser: &Client, server: &Server) {
        browser.goto(&format!("{}{}", server.url, self.path)).await.unwrap();
        if let Some([button, then]) = self.opened {
            click(browser, button, then).await;
        }
    }
}

/// The pages of a review with something on all of them.
fn pages(server: &Server) -> Vec<Page> {
    let long = "a-click-id-without-a-gap-".repeat(4);
    with_pending_conversions(server, &["abc123", "def456", &long]);
    for click_id in ["unknown", &"x".repeat(100)] {
        assert_eq!(
            server.get(&format!("/postback?affiliate_id=1&click_id={click_id}&amount=1&currency=USD")).status(),
            404
        );
    }
    let conversions = server.get("/affiliates/1/conversions").json();
    let ids: Vec<u64> =
        conversions["data"].as_array().unwrap().iter().map(|data| data["id"].as_u64().unwrap()).collect();
    for status in ["approved", "rejected"] {
        let reason = "x".repeat(255);
        post(server, &format!("/conversions/{}/status", ids[0]), &json!({"status": status, "reason": reason}), 200);
    }
    post(server, &format!("/conversions/{}/status", ids[1]), &json!({"status": "approved"}), 200);
    let call = format!("affiliate_id%3D1%26click_id%3D{long}%26amount%3D1%26currency%3DEUR%26transaction_id%3D7");
    let page = |path: &str| Page { path: path.to_owned(), opened: None };
    let opened = |path: &str, button, then| Page { path: path.to_owned(), opened: Some([button, then]) };
    vec![
        opened("/dashboard?affiliate_id=1", "[data-test=reject]", "details[open]"),
        opened("/dashboard/postbacks", "[data-test=postback] summary", "details[open]"),
        page("/dashboard/postbacks?problems=true&click_id=nobody"),
        opened(&format!("/dashboard/explain?call={call}"), "[data-test=explain-form] button", "[data-test=rules]"),
        opened(
            "/dashboard/explain?call=click_id%3Dx%26token%3D…",
            "[data-test=explain-form] button",
            "[data-test=rules]",
        ),
        page(&format!("/dashboard/conversions/{}", ids[0])),
        page(&format!("/dashboard/conversions/{}", ids[1])),
        page(&format!("/dashboard/conversions/{}", ids[2])),
    ]
}

/// Conversions of 100 USD each that pay an eighth.
fn with_pending_conversions(server: &Server, click_ids: &[&str]) {
    let campaign = json!({
        "name": "Annual plan",
        "destination_url": "https://saas.example/?ref={click_id}",
        "postback_auth": "open",
        "rules": {"payout": {"percent": 12.5}, "default_status": "pending"},
    });
    let campaign = post(server, "/campaigns", &campaign, 201)["data"]["id"].as_u64().unwrap();
    for click_id in click_ids {
        for path in [
            format!("/click?affiliate_id=1&campaign_id={campaign}&click_id={click_id}"),
            format!("/postback?affiliate_id=1&campaign_id={campaign}&click_id={click_id}&amount=100&currency=USD"),
        ] {
            assert_eq!(server.get(&path).status(), 200, "{path}");
        }
    }
}

fn post(server: &Server, path: &str, body: &Value, status: u16) -> Value {
    let request = ureq::post(format!("{}{path}", server.url)).header("content-type", "application/json");
    let mut answer = request.send(body.to_string()).unwrap();
    assert_eq!(answer.status(), status, "{path}");
    serde_json::from_str(&answer.body_mut().read_to_string().unwrap()).unwrap()
}

/// Clicks on what this selects, and waits for that.
async fn click(browser: &Client, selector: &str, then: &str) {
    browser.find(Locator::Css(selector)).await.unwrap().click().await.unwrap();
    browser.wait().at_most(Duration::from_secs(10)).for_element(Locator::Css(then)).await.unwrap();
}

async fn count(browser: &Client, selector: &str) -> usize {
    browser.find_all(Locator::Css(selector)).await.unwrap().len()
}

/// How many conversions there are of each status.
async fn kinds(browser: &Client) -> String {
    find(browser, "conversions-kinds").await.text().await.unwrap().replace('\u{a0}', " ")
}
