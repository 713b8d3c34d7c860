//! What holds for every page.

use std::collections::HashSet;
use std::path::Path;
use std::sync::{LazyLock, Mutex};

use fantoccini::{Client, Locator};
use serde_json::{Value, json};

use super::{complaints, devtools};

/// The most bytes that a page has with all that it loads, before they are compressed.
const MAX_WEIGHT: f64 = 100_000.0;

/// What the accessibility checker finds of these impacts is not let pass.
const AUDIT: &str = r#"
const done = arguments[arguments.length - 1];
axe.run(document, { resultTypes: ["violations"], preload: false }).then(
    ({ violations }) => done(violations.filter(({ impact }) => impact === "serious" || impact === "critical").map(
        ({ id, help, nodes }) => ({ id, help, nodes: nodes.slice(0, 5).map(({ html, failureSummary }) => [html, failureSummary]) }))),
    (error) => done(String(error)));
"#;

const WEIGHT: &str = r#"
return ["navigation", "resource"].flatMap((type) => performance.getEntriesByType(type))
    .filter(({ initiatorType }) => initiatorType !== "fetch")
    .reduce((sum, { decodedBodySize }) => sum + decodedBodySize, 0);
"#;

/// The pages that the accessibility checker has seen. It takes seconds for each, and on both frameworks they are the same.
static AUDITED: LazyLock<Mutex<HashSet<String>>> = LazyLock::new(Mutex::default);

/// axe-core, as `scripts/install-axe` has fetched it.
static AXE: LazyLock<String> = LazyLock::new(|| {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/axe-core/axe.min.js");
    std::fs::read_to_string(&file)
        .unwrap_or_else(|error| panic!("The browser tests need axe-core: run scripts/install-axe ({error})"))
});

/// Looks at the open page on a desk in the light, and on a phone in the dark: nothing is amiss in its console, whoever
/// can't see it or has no mouse can use it, nothing is wider than the phone, and it weighs little.
pub(super) async fn check(browser: &Client, page: &str) {
    assert_eq!(complaints(browser).await, Vec::<Value>::new(), "{page}");
    let weight = browser.execute(WEIGHT, vec![]).await.unwrap().as_f64().unwrap();
    assert!(weight > 10_000.0 && weight < MAX_WEIGHT, "{page} weighs {weight} bytes with all that it loads");
    let is_new = AUDITED.lock().unwrap().insert(page.to_owned());
    if is_new {
        browser.execute(&AXE, vec![]).await.unwrap();
    }
    for (screen, width, height, scheme) in [("desk", 1280, 900, "light"), ("phone", 390, 844, "dark")] {
        on_screen(browser, width, height).await;
        in_colours(browser, scheme).await;
        if is_new {
            let found = browser.execute_async(AUDIT, vec![]).await.unwrap();
            assert_eq!(found, json!([]), "{page} on a {screen} in the {scheme}: {found:#}");
        }
        if screen == "phone" {
            let widths = browser.execute("return [innerWidth, document.documentElement.scrollWidth]", vec![]);
            assert_eq!(widths.await.unwrap(), json!([width, width]), "{page} is wider than a phone");
        }
    }
    on_screen(browser, 1280, 900).await;
    in_colours(browser, "light").await;
    assert_eq!(complaints(browser).await, Vec::<Value>::new(), "{page}");
}

/// Whoever opens the page on a phone sees this without scrolling.
pub(super) async fn is_on_the_first_screen_of_a_phone(browser: &Client, selector: &str, page: &str) {
    on_screen(browser, 390, 844).await;
    browser.refresh().await.unwrap();
    let place = format!(
        "const {{ left, right, top, bottom }} = document.querySelector({selector:?}).getBoundingClientRect();
         return {{ left, right, top, bottom }};"
    );
    let place = browser.execute(&place, vec![]).await.unwrap();
    let at = |side: &str| place[side].as_f64().unwrap();
    assert!(at("left") >= 0.0 && at("right") <= 390.0, "{selector} of {page} is at {place}");
    assert!(
        at("top") >= 0.0 && at("top") < at("bottom") && at("bottom") <= 844.0,
        "{selector} of {page} is at {place}"
    );
    on_screen(browser, 1280, 900).await;
}

pub(super) async fn on_screen(browser: &Client, width: u32, height: u32) {
    let screen = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500});
    devtools(browser, "Emulation.setDeviceMetricsOverride", screen).await;
}

async fn in_colours(browser: &Client, scheme: &str) {
    let media = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
    devtools(browser, "Emulation.setEmulatedMedia", media).await;
}

/// The browser's complaints are that it was refused what it asked for, and nothing else.
pub(super) async fn is_refused(browser: &Client, status: u16) {
    let complaints = complaints(browser).await;
    let told = format!("status of {status} ");
    assert!(complaints.len() == 1 && complaints[0]["message"].as_str().unwrap().contains(&told), "{complaints:?}");
    let headings = browser.find_all(Locator::Css("h1")).await.unwrap();
    assert_eq!(headings.len(), 1, "it is a page");
}
