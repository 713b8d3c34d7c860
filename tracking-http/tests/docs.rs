//! What the docs tell about the code is what the code says. `UPDATE_DOCS=1 cargo test -p tracking-http --test docs` writes it.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use std::fmt::Write;
use std::fs;
use std::path::PathBuf;

use futures_util::StreamExt;
use serde_json::Value;
use storage_memory::MemoryStore;
use tracking_core::{ManualClock, OutcomeKind, Rule, Secret, Timestamp, Tracker, TrackerOptions};
use tracking_http::bytes::Bytes;
use tracking_http::http::{Method, Request};
use tracking_http::{Api, Body, Resolution, guard, postback_status};

fn docs() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs")
}

/// Checks, or writes, what stands between `<!-- name -->` and `<!-- end of name -->`.
fn check(page: &str, name: &str, expected: &str) {
    let path = docs().join(page);
    let text = fs::read_to_string(&path).unwrap();
    let (begin, end) = (format!("<!-- {name} -->\n"), format!("<!-- end of {name} -->"));
    let (before, rest) = text.split_once(&begin).unwrap();
    let (found, after) = rest.split_once(&end).unwrap();
    if found == expected {
        return;
    }
    assert!(std::env::var_os("UPDATE_DOCS").is_some(), "{page}, {name}: run this test with UPDATE_DOCS=1");
    fs::write(&path, format!("{before}{begin}{expected}{end}{after}")).unwrap();
}

/// One test for one page, so that they don't write it at once.
#[test]
fn guide_for_advertisers() {
    check("advertiser.md", "outcomes", &outcomes());
    check("advertiser.md", "samples", &samples());
}

fn outcomes() -> String {
    let mut table = "| status | `error.code` | what it means | what to do |\n|---|---|---|---|\n".to_owned();
    for kind in OutcomeKind::ALL {
        let (status, code) = match kind {
            OutcomeKind::Abandoned => continue,
            kind if kind.is_success() => (postback_status(*kind).as_u16(), String::new()),
            kind => (postback_status(*kind).as_u16(), format!("`{kind}`")),
        };
        let remedy = kind.remedy().unwrap_or("Nothing.");
        writeln!(table, "| {status} | {code} | {} | {remedy} |", kind.meaning()).unwrap();
    }
    format!("\n{table}\n")
}

/// Whether it is no rule that decides.
const fn is_of_store(kind: OutcomeKind) -> bool {
    matches!(
        kind,
        OutcomeKind::StoreUnavailable | OutcomeKind::StoreFull | OutcomeKind::Internal | OutcomeKind::Abandoned
    )
}

#[test]
fn rules_of_postbacks() {
    let mut table = "| `rule` | what it asks | outcomes if it is broken |\n|---|---|---|\n".to_owned();
    for rule in Rule::ALL {
        let outcomes =
            OutcomeKind::ALL.iter().filter(|kind| kind.rule() == rule && !kind.is_success() && !is_of_store(**kind));
        let outcomes: Vec<String> = outcomes.map(|kind| format!("`{kind}`")).collect();
        writeln!(table, "| `{}` | {} | {} |", rule.as_str(), rule.description(), outcomes.join(", ")).unwrap();
    }
    check("http.md", "rules", &format!("\n{table}\n"));
}

/// The example is asked for, and its answers are those that stand there.
#[test]
fn report() {
    let text = fs::read_to_string(docs().join("http.md")).unwrap();
    let example = text.split_once("<!-- report -->").unwrap().1.split_once("<!-- end of report -->").unwrap().0;
    let blocks: Vec<&str> = example.split("```").skip(1).step_by(2).collect();
    let [call, json, csv] = blocks[..] else { panic!("{} blocks", blocks.len()) };
    let path = call.split_once("http://127.0.0.1:3001").unwrap().1.split_once('\'').unwrap().0;
    let table = format!("{}&format=csv", path.strip_suffix("&limit=1").unwrap());

    let now: Timestamp = "2026-03-29T10:00:00Z".parse().unwrap();
    let options = TrackerOptions::default().clock(ManualClock::new(now));
    let api = Api::new(Tracker::with_options(MemoryStore::new(), Secret::random(), options), guard::open());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let ask = |method: Method, path: &str, body: &'static str| {
        let request = Request::builder().method(method.clone()).uri(path).header("content-type", "application/json");
        let (request, ()) = request.header("user-agent", "Mozilla/5.0 Firefox/140.0").body(()).unwrap().into_parts();
        let Resolution::Found(matched) = Resolution::of(&method, request.uri.path()) else {
            panic!("no route: {path}")
        };
        let peer = Some("192.0.2.7".parse().unwrap());
        runtime.block_on(async {
            let answer = api.handle(matched, &request, peer, Ok(Bytes::from_static(body.as_bytes()))).await;
            assert!(answer.status().is_success(), "{path}");
            match answer.into_body() {
                Body::Whole(body) => String::from_utf8(body.into()).unwrap(),
                Body::Chunks(chunks) => {
                    let parts: Vec<Bytes> = chunks.map(Result::unwrap).collect().await;
                    String::from_utf8(parts.concat()).unwrap()
                }
            }
        })
    };
    ask(Method::POST, "/affiliates", r#"{"name": "Ada"}"#);
    ask(Method::POST, "/affiliates", r#"{"name": "Grace"}"#);
    let campaign = r#"{"name": "Shop", "destination_url": "https://shop.example/?ref={click_id}", "postback_auth": "open",
        "rules": {"payout": {"percent": 12.5}}}"#;
    ask(Method::POST, "/campaigns", campaign);
    for path in [
        "/click?affiliate_id=1&campaign_id=1&click_id=a",
        "/click?affiliate_id=1&campaign_id=1&click_id=b",
        "/click?affiliate_id=1&campaign_id=1&click_id=d",
        "/click?affiliate_id=1&campaign_id=1&click_id=e",
        "/click?affiliate_id=2&campaign_id=1&click_id=c",
        "/click?affiliate_id=2&campaign_id=1&click_id=f",
        "/postback?affiliate_id=1&click_id=a&amount=100&currency=EUR",
        "/postback?affiliate_id=1&click_id=b&amount=20&currency=USD&status=pending",
        "/postback?affiliate_id=2&click_id=c&amount=40&currency=USD",
    ] {
        ask(Method::GET, path, "");
    }

    let (answer, lines) = (ask(Method::GET, path, ""), ask(Method::GET, &table, "").replace("\r\n", "\n"));
    let value = |json: &str| serde_json::from_str::<Value>(json).map_err(|error| error.to_string());
    assert_eq!(value(json.strip_prefix("json").unwrap()), value(&answer), "{answer}");
    assert_eq!(csv.strip_prefix("csv\n").unwrap(), lines, "{lines}");
}

fn samples() -> String {
    let mut samples = String::new();
    for (language, file, marking) in [
        ("Python", "postback.py", "python"),
        ("JavaScript", "postback.mjs", "js"),
        ("PHP", "postback.php", "php"),
        ("Ruby", "postback.rb", "ruby"),
    ] {
        let code = fs::read_to_string(docs().join("advertiser").join(file)).unwrap();
        write!(samples, "\n### {language}: [`{file}`](advertiser/{file})\n\n```{marking}\n{code}```\n").unwrap();
    }
    samples.push('\n');
    samples
}
