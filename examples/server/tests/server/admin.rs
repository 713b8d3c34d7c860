//! Administration on the command line, on the database of a server that runs meanwhile.

use std::process::Output;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use test_server::Kind;

use crate::support::database::{Database, PASSWORD};
use crate::support::{Answer, SECRET, Server, program};

/// Within this time servers know of a change, the docs say.
const KNOWN: Duration = Duration::from_secs(10);

macro_rules! on_each_database {
    ($($case:ident),+ $(,)?) => {
        mod in_mariadb {
            $(#[test] fn $case() { super::Shell::open(test_server::Kind::MariaDb).iter().for_each(super::$case); })+
        }
        mod in_mysql {
            $(#[test] fn $case() { super::Shell::open(test_server::Kind::MySql).iter().for_each(super::$case); })+
        }
    };
}

on_each_database!(
    affiliates_are_created_renamed_and_paused,
    passes_open_a_server_until_they_are_revoked,
    campaigns_are_what_was_said_of_them,
    what_an_update_does_not_name_stays,
    a_new_key_alone_is_on_stdout,
    a_server_sees_keys_come_and_go,
    a_server_sees_pauses,
    statuses_go_one_way,
    the_log_is_shown_and_filtered,
    what_can_not_be_done_is_told_in_one_line,
);

/// Where commands are given, beside a server on the same database.
struct Shell {
    database: Database,
    server: Server,
}

impl Shell {
    fn open(kind: Kind) -> Option<Self> {
        let database = Database::create(kind)?;
        let server = Server::start_with("warp", &[("TRACKING_STORE", &database.url)]);
        Some(Self { database, server })
    }

    fn output(&self, arguments: &[&str]) -> Output {
        let directory = tempfile::tempdir().unwrap();
        let mut command = program(directory.path());
        // Click ids don't come into it.
        command.env_remove("TRACKING_SECRET");
        let output = command.args(arguments).env("DATABASE_URL", &self.database.url).output().unwrap();
        assert!(!String::from_utf8_lossy(&output.stderr).contains(PASSWORD), "{output:?}");
        output
    }

    /// What a command prints that succeeds.
    fn run(&self, arguments: &[&str]) -> String {
        self.run_and_note(arguments).0
    }

    /// The same, and what it says besides.
    fn run_and_note(&self, arguments: &[&str]) -> (String, String) {
        let output = self.output(arguments);
        let (stdout, stderr) =
            (String::from_utf8(output.stdout).unwrap(), String::from_utf8_lossy(&output.stderr).into_owned());
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {stderr}");
        (stdout, stderr)
    }

    /// The records that a command prints.
    fn json(&self, arguments: &[&str]) -> Vec<Value> {
        let stdout = self.run(&[arguments, &["--json"]].concat());
        stdout.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))).collect()
    }

    /// The only record that a command prints.
    fn one(&self, arguments: &[&str]) -> Value {
        let mut records = self.json(arguments);
        assert_eq!(records.len(), 1, "{records:?}");
        records.remove(0)
    }

    /// Its number, and its key.
    fn campaign(&self, more: &[&str]) -> (String, String) {
        let create = ["campaigns", "create", "Shop", "https://shop.example/?ref={click_id}"];
        let campaign = self.one(&[&create[..], more].concat());
        (campaign["id"].to_string(), campaign["postback_key"].as_str().unwrap_or_default().to_owned())
    }

    fn click(&self, campaign: &str) -> String {
        let answer = self.server.get(&format!("/click?affiliate_id=1&campaign_id={campaign}"));
        answer.json()["data"]["click_id"].as_str().unwrap_or_else(|| panic!("{}", answer.text())).to_owned()
    }

    fn postback(&self, click_id: &str, more: &str, key: &str) -> Answer {
        self.server.get_with(&format!("/postback?click_id={click_id}&amount=80&currency=EUR{more}"), Some(key))
    }

    /// What the server answers to a question.
    fn data(&self, path: &str) -> Value {
        let answer = self.server.get(path);
        assert_eq!(answer.status(), 200, "{}", answer.text());
        answer.json()["data"].take()
    }
}

/// Asks again and again, until the server knows.
fn soon(what: &str, mut is_known: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is_known() {
        assert!(started.elapsed() < KNOWN, "{what} is not known after {KNOWN:?}");
        // Only for the sake of those who share the processor.
        sleep(Duration::from_millis(20));
    }
}

fn affiliates_are_created_renamed_and_paused(shell: &Shell) {
    let created = shell.one(&["affiliates", "create", "Åsa & Co"]);
    let id = created["id"].to_string();
    assert_eq!((&created["name"], &created["status"]), (&json!("Åsa & Co"), &json!("active")), "{created}");
    assert_eq!(shell.one(&["affiliates", "rename", &id, "Åsa"])["name"], "Åsa");
    let paused = shell.one(&["affiliates", "pause", &id]);
    assert_eq!(paused["status"], "paused");
    assert_eq!(shell.one(&["affiliates", "pause", &id]), paused, "a pause that has begun goes on");
    // The same as over HTTP, from the first field to the last.
    assert_eq!(shell.json(&["affiliates", "list"]), shell.data("/affiliates").as_array().unwrap()[..]);

    let text = shell.run(&["affiliates", "list"]);
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with("ID") && lines.len() == 3, "{text}");
    assert!(lines[1].contains(&format!("paused since {}", paused["paused_at"].as_str().unwrap())), "{text}");
    assert_eq!(lines[1].find("Åsa"), lines[2].find("Sample affiliate"), "{text}");
    let resumed = shell.one(&["affiliates", "resume", &id]);
    assert_eq!((&resumed["status"], &resumed["version"]), (&json!("active"), &json!(4)));
}

fn passes_open_a_server_until_they_are_revoked(shell: &Shell) {
    // It is made under the secret of the server.
    let with_secret = |arguments: &[&str], secret: Option<&str>| {
        let directory = tempfile::tempdir().unwrap();
        let mut command = program(directory.path());
        command.args(arguments).env("DATABASE_URL", &shell.database.url).env_remove("TRACKING_SECRET");
        command.envs(secret.map(|secret| ("TRACKING_SECRET", secret))).output().unwrap()
    };
    let issue = ["affiliates", "pass", "1", "--days", "2"];
    let refused = with_secret(&issue, None);
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("set TRACKING_SECRET"), "{refused:?}");
    let issued = with_secret(&issue, Some(SECRET));
    assert_eq!(issued.status.code(), Some(0), "{issued:?}");
    let token = String::from_utf8_lossy(&issued.stdout);
    let token = token.strip_suffix('\n').unwrap();
    assert!(String::from_utf8_lossy(&issued.stderr).contains("valid until"), "{issued:?}");
    let opened = |token: &str| shell.server.get(&format!("/dashboard/share?token={token}"));
    let answer = opened(token);
    assert_eq!((answer.status(), answer.header("location")), (303, "../dashboard?affiliate_id=1"));
    assert!(answer.header("set-cookie").contains(token), "{}", answer.header("set-cookie"));

    let json = with_secret(&[&issue[..], &["--json"]].concat(), Some(SECRET));
    let json: Value = serde_json::from_slice(&json.stdout).unwrap();
    let other = json["token"].as_str().unwrap();
    assert_eq!((&json["affiliate_id"], opened(other).status()), (&json!(1), 303), "{json}");
    let forged = with_secret(&issue, Some("another secret of as many characters".replace(' ', "-").as_str()));
    assert_eq!(opened(String::from_utf8_lossy(&forged.stdout).trim()).status(), 403);

    let revoked = shell.one(&["affiliates", "revoke-passes", "1"]);
    assert!(revoked["revoked_at"].is_string(), "{revoked}");
    soon("the revocation", || opened(token).status() == 403 && opened(other).status() == 403);
    // The same as over HTTP.
    assert_eq!(revoked, shell.data("/affiliates/1"));
    assert_eq!(with_secret(&["affiliates", "pass", "99"], Some(SECRET)).status.code(), Some(1));
    assert_eq!(with_secret(&["affiliates", "pass", "1", "--days", "367"], Some(SECRET)).status.code(), Some(2));
}

fn campaigns_are_what_was_said_of_them(shell: &Shell) {
    let rules = [
        "--attribution-window",
        "30d",
        "--min-time",
        "10s",
        "--currency",
        "EUR",
        "--payout",
        "12.5%",
        "--event",
        "sale",
        "--event",
        "lead=5.25 USD",
        "--event-amount",
        "lead=20",
        "--default-status",
        "pending",
        "--repeats",
        "once",
        "--daily-cap",
        "100",
        "--while-paused",
        "nothing",
        "--network",
        "203.0.113.9/24",
        "--network",
        "2001:db8::1",
        "--kind",
        "signing",
    ];
    let create = ["campaigns", "create", "Shop", "https://shop.example/?ref={click_id}"];
    let mut created = shell.one(&[&create[..], &rules].concat());
    let key = created.as_object_mut().unwrap().remove("postback_key").unwrap();
    assert!(key.as_str().unwrap().starts_with("whsec_"), "{key}");
    let id = created["id"].to_string();
    assert_eq!(
        created["rules"],
        json!({
            "attribution_window_seconds": 30 * 24 * 60 * 60,
            "min_seconds_to_convert": 10,
            "currency": "EUR",
            "payout": {"percent": 12.5},
            "events": {"lead": {"payout": {"amount": 5.25, "currency": "USD"}, "amount": 20}, "sale": {}},
            "default_status": "pending",
            "repeats": "once",
            "daily_cap": 100,
            "while_paused": "nothing",
        })
    );
    assert_eq!(created["networks"], json!(["203.0.113.0/24", "2001:db8::1/128"]));
    assert_eq!(shell.data(&format!("/campaigns/{id}")), created, "the same as over HTTP");
    assert_eq!(shell.one(&["campaigns", "show", &id]), created);
    assert_eq!(shell.json(&["campaigns", "list"])[0], created);

    let text = shell.run(&["campaigns", "show", &id]);
    let shown = [
        ("attribution window", "30d"),
        ("min time", "10s"),
        ("currency", "EUR"),
        ("payout", "12.5%"),
        ("events", "lead=5.25 USD (worth 20), sale"),
        ("postbacks", "1 key"),
        ("networks", "203.0.113.0/24, 2001:db8::1/128"),
    ];
    for (name, value) in shown {
        let is_shown = |line: &str| line.strip_prefix(name).is_some_and(|rest| rest.trim() == value);
        assert!(text.lines().any(is_shown), "{name} {value} is not in:\n{text}");
    }
    assert!(shell.run(&["campaigns", "list"]).lines().nth(1).unwrap().contains("12.5%"));
}

fn what_an_update_does_not_name_stays(shell: &Shell) {
    let (id, _) = shell.campaign(&["--payout", "5 EUR", "--event", "sale=10%", "--event", "lead", "--daily-cap", "7"]);
    let before = shell.one(&["campaigns", "show", &id]);
    let renamed =
        shell.one(&["campaigns", "update", &id, "--name", "Shoes", "--destination-url", "https://shoes.example/"]);
    assert_eq!((&renamed["name"], &renamed["rules"]), (&json!("Shoes"), &before["rules"]));
    assert_eq!(renamed["destination_url"], "https://shoes.example/");

    let arguments = ["--payout", "none", "--remove-event", "lead", "--event", "sale", "--daily-cap", "none"];
    let updated = shell.one(&[&["campaigns", "update", &id][..], &arguments].concat());
    let rules = json!({
        "events": {"sale": {}}, "default_status": "approved", "repeats": "by_transaction", "while_paused": "earlier_clicks"
    });
    assert_eq!(updated["rules"], rules);
    assert_eq!(updated["keys"], before["keys"]);

    let networks =
        |arguments: &[&str]| shell.one(&[&["campaigns", "update", &id], arguments].concat())["networks"].take();
    assert_eq!(networks(&["--network", "192.0.2.7", "--network", "10.0.0.0/8"]), json!(["192.0.2.7/32", "10.0.0.0/8"]));
    assert_eq!(networks(&["--network", "198.51.100.0/24"]), json!(["198.51.100.0/24"]), "others before are replaced");
    assert_eq!(networks(&["--network", "any"]), json!([]));

    assert_eq!(shell.one(&["campaigns", "update", &id, "--open"])["postback_auth"], "open");
    assert_eq!(shell.one(&["campaigns", "update", &id, "--keyed"])["postback_auth"], "key");
    let (open, _) = shell.campaign(&["--open"]);
    let (_, note) = shell.run_and_note(&["campaigns", "update", &open, "--keyed"]);
    assert!(note.contains("nobody can send its postbacks") && note.contains(&format!("keys issue {open}")), "{note}");
}

fn a_new_key_alone_is_on_stdout(shell: &Shell) {
    let (id, _) = shell.campaign(&[]);
    let (key, note) = shell.run_and_note(&["keys", "issue", &id, "--kind", "signing"]);
    assert!(key.starts_with("whsec_") && key.lines().count() == 1, "{key}");
    assert!(note.contains(&format!("Key 2 of campaign {id}")) && note.contains("this once"), "{note}");
    assert!(!note.contains(key.trim()), "{note}");

    let issued = shell.one(&["keys", "issue", &id, "--expire-others", "24h"]);
    assert!(issued["postback_key"].as_str().unwrap().starts_with("pbk_"), "{issued}");
    let keys = shell.json(&["keys", "list", &id]);
    assert_eq!(keys, shell.data(&format!("/campaigns/{id}"))["keys"].as_array().unwrap()[..], "the same as over HTTP");
    assert_eq!(keys.iter().map(|key| key["id"].as_u64().unwrap()).collect::<Vec<_>>(), [1, 2, 3]);
    assert!(keys[0]["expires_at"].is_string(), "another of its kind: {keys:?}");
    assert!(keys[1]["expires_at"].is_null() && keys[2]["expires_at"].is_null(), "{keys:?}");
    let list = shell.run(&["keys", "list", &id]);
    assert!(list.contains("valid until") && !list.contains("pbk_") && !list.contains("whsec_"), "{list}");

    for key in ["1", "2"] {
        shell.run(&["keys", "revoke", &id, key]);
    }
    let (_, note) = shell.run_and_note(&["keys", "revoke", &id, "3"]);
    assert!(note.contains("nobody can send its postbacks"), "{note}");

    let (text, note) = shell.run_and_note(&["campaigns", "create", "Bank", "https://bank.example/"]);
    assert!(text.lines().last().unwrap().starts_with("pbk_"), "{text}");
    assert!(note.contains("this once"), "{note}");
}

fn a_server_sees_keys_come_and_go(shell: &Shell) {
    let (id, old) = shell.campaign(&[]);
    let click = shell.click(&id);
    // From now on the server remembers the campaign.
    assert_eq!(shell.postback(&click, "", &old).status(), 200);
    let new = shell.one(&["keys", "issue", &id, "--expire-others", "24h"])["postback_key"].as_str().unwrap().to_owned();
    soon("a new key", || shell.postback(&click, "", &new).status() == 200);
    assert_eq!(shell.postback(&click, "", &old).status(), 200, "the overlap");
    shell.run(&["keys", "revoke", &id, "1"]);
    // 429 if the new key was tried too often before it was known.
    soon("a revocation", || matches!(shell.postback(&click, "", &old).status(), 401 | 429));
    assert_eq!(shell.postback(&click, "", &new).status(), 200);
}

fn a_server_sees_pauses(shell: &Shell) {
    let (id, key) = shell.campaign(&["--while-paused", "nothing"]);
    let click = shell.click(&id);
    let mut order = 0;
    let mut postback = || {
        order += 1;
        let answer = shell.postback(&click, &format!("&transaction_id=order-{order}"), &key);
        (answer.status(), answer.json()["error"]["code"].as_str().unwrap_or_default().to_owned())
    };
    assert_eq!(postback().0, 200);
    shell.run(&["campaigns", "pause", &id]);
    soon("the pause of a campaign", || postback() == (422, "campaign_paused".to_owned()));
    shell.run(&["campaigns", "resume", &id]);
    soon("its end", || postback().0 == 200);

    let affiliate = shell.one(&["affiliates", "create", "Ada"])["id"].to_string();
    let sale = || {
        let click = shell.server.get(&format!("/click?affiliate_id={affiliate}&campaign_id={id}")).json();
        let click = click["data"]["click_id"].as_str().unwrap().to_owned();
        let answer = shell.postback(&click, "", &key);
        (answer.status(), answer.json()["error"]["code"].as_str().unwrap_or_default().to_owned())
    };
    assert_eq!(sale().0, 200);
    shell.run(&["affiliates", "pause", &affiliate]);
    soon("the pause of an affiliate", || sale() == (422, "affiliate_paused".to_owned()));
    shell.run(&["affiliates", "resume", &affiliate]);
    soon("its end", || sale().0 == 200);
}

fn statuses_go_one_way(shell: &Shell) {
    let (id, key) = shell.campaign(&["--default-status", "pending", "--payout", "12.5%"]);
    let click = shell.click(&id);
    let answer = shell.postback(&click, "&transaction_id=order-1&sub2=store-7", &key).json();
    let conversion = answer["data"]["conversion_id"].to_string();
    let tally = |status: &str| shell.data("/affiliates/1/summary")["by_status"][status].take();
    assert_eq!(
        tally("pending"),
        json!({
            "conversions": 1,
            "revenue": [{"currency": "EUR", "amount": 80}],
            "payout": [{"currency": "EUR", "amount": 10}],
        })
    );
    assert_eq!(
        shell.run(&["conversions", "approve", &conversion]),
        format!("Conversion {conversion} was pending, and is approved now.\n")
    );
    assert_eq!(
        shell.run(&["conversions", "approve", &conversion]),
        format!("Conversion {conversion} was approved already.\n")
    );
    shell.run(&["conversions", "reject", &conversion, "--reason", "sent back"]);
    assert_eq!(tally("rejected")["conversions"], 1);
    assert_eq!((&tally("pending")["conversions"], &tally("approved")["conversions"]), (&json!(0), &json!(0)));

    let shown = shell.one(&["conversions", "show", &conversion]);
    assert_eq!(shown, shell.data(&format!("/conversions/{conversion}")), "the same as over HTTP");
    let changes: Vec<_> = shown["status_changes"].as_array().unwrap().iter().collect();
    assert_eq!((&changes[0]["to"], &changes[0]["changed_by"]), (&json!("approved"), &json!("admin")));
    assert_eq!((&changes[1]["to"], &changes[1]["reason"]), (&json!("rejected"), &json!("sent back")));
    let text = shell.run(&["conversions", "show", &conversion]);
    assert!(text.contains("approved became rejected, by the admin: sent back"), "{text}");
    assert!(text.lines().any(|line| line.starts_with("payout") && line.ends_with("10 EUR")), "{text}");

    let back = shell.output(&["conversions", "approve", &conversion]);
    assert_eq!(back.status.code(), Some(1));
    let error = String::from_utf8_lossy(&back.stderr);
    assert!(
        error.contains(&format!("error: conversion {conversion} is rejected, and can't become approved")),
        "{error}"
    );
}

fn the_log_is_shown_and_filtered(shell: &Shell) {
    let (id, key) = shell.campaign(&[]);
    let click = shell.click(&id);
    assert_eq!(shell.postback(&click, "", &key).status(), 200);
    assert_eq!(shell.postback(&click, "", &key).status(), 200);
    assert_eq!(shell.postback(&click, "", "pbk_wrong").status(), 401);
    assert_eq!(shell.server.get("/postback?click_id=nobodys&affiliate_id=1&amount=1&currency=EUR").status(), 404);
    // Asked by HTTP, the server writes what it has gathered.
    let logged = shell.data("/postbacks");
    assert_eq!(shell.json(&["postbacks"]), logged.as_array().unwrap()[..], "the same as over HTTP");

    let outcomes = |arguments: &[&str]| {
        let rows = shell.json(&[&["postbacks"], arguments].concat());
        rows.iter().map(|row| row["outcome"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(outcomes(&[]), ["unknown_click", "wrong_postback_key", "duplicate", "accepted"]);
    assert_eq!(outcomes(&["--problems"]), ["unknown_click", "wrong_postback_key"]);
    assert_eq!(outcomes(&["--problems", "--campaign", &id]), ["wrong_postback_key"]);
    assert_eq!(outcomes(&["--outcome", "duplicate"]), ["duplicate"]);
    assert_eq!(outcomes(&["--click", "nobodys"]), ["unknown_click"]);
    assert_eq!(outcomes(&["--affiliate", "2"]), [""; 0]);
    assert_eq!(outcomes(&["--limit", "2"]), ["unknown_click", "wrong_postback_key"]);
    let text = shell.run(&["postbacks"]);
    assert!(text.lines().count() == 5 && text.contains("127.0.0.1"), "{text}");
    assert!(!text.contains("pbk_"), "{text}");
}

fn what_can_not_be_done_is_told_in_one_line(shell: &Shell) {
    let (id, _) = shell.campaign(&["--event", "sale", "--attribution-window", "1h"]);
    let cases: &[(&[&str], &str)] = &[
        (&["affiliates", "rename", "77", "Nobody"], "affiliate 77 is not known"),
        (&["campaigns", "show", "77"], "campaign 77 is not known"),
        (&["keys", "issue", "77"], "campaign 77 is not known"),
        (&["keys", "revoke", &id, "9"], "the campaign has no key 9"),
        (&["conversions", "show", "77"], "conversion 77 is not known"),
        (&["campaigns", "update", &id, "--remove-event", "slae"], "no event slae to remove (--remove-event)"),
        (&["campaigns", "update", &id, "--min-time", "2h"], "(--min-time) is more than the attribution window"),
        (&["campaigns", "update", &id, "--attribution-window", "0s"], "none is for ever"),
        (&["campaigns", "update", &id, "--network", "any", "--network", "10.0.0.0/8"], "(--network)"),
    ];
    for (arguments, told) in cases {
        let output = shell.output(arguments);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {stderr}");
        let error = stderr.lines().find(|line| line.starts_with("error: ")).unwrap_or_else(|| panic!("{stderr}"));
        assert!(error.contains(told), "{told:?} is not in: {error}");
        assert!(output.stdout.is_empty(), "{output:?}");
    }
    assert_eq!(shell.one(&["campaigns", "show", &id])["version"], 1, "nothing was changed");
    for _ in 1..10 {
        shell.run(&["keys", "issue", &id]);
    }
    let full = shell.output(&["keys", "issue", &id]);
    assert_eq!(full.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&full.stderr).contains("the campaign has 10 keys"), "{full:?}");
}

#[test]
fn what_is_set_may_stand_before_and_after_the_words_of_a_command() {
    let Some(database) = Database::create(Kind::MariaDb) else { return };
    let list = |arguments: &[&str]| {
        let directory = tempfile::tempdir().unwrap();
        let output = program(directory.path()).args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let settings = ["--store", &database.url, "--table-prefix", "aff_", "--json"];
    let after = list(&[&["affiliates", "create", "Ada"], &settings[..]].concat());
    assert!(after.contains(r#""name":"Ada""#), "{after}");
    assert_eq!(list(&[&["affiliates"], &settings[..], &["list"]].concat()), after);
}
