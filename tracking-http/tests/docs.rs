//! What the docs tell about the code is what the code says. `UPDATE_DOCS=1 cargo test -p tracking-http --test docs` writes it.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use std::fmt::Write;
use std::fs;
use std::path::PathBuf;

use tracking_core::{OutcomeKind, Rule};
use tracking_http::postback_status;

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
