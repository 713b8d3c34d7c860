//! What can be set, and what is refused.

use std::net::TcpListener;
use std::path::Path;
use std::process::Output;

use crate::support::process::Process;
use crate::support::{Server, TOKEN, on_each_framework, program};

on_each_framework!(a_port_in_use_is_an_error, the_token_is_never_shown, without_the_token_nothing_is_shown);

#[test]
fn help_lists_every_setting() {
    let help = run(&["--help"], &[]);
    assert_eq!(help.status.code(), Some(0));
    let help = String::from_utf8(help.stdout).unwrap();
    for name in [
        "LISTEN",
        "FRAMEWORK",
        "STORE",
        "TABLE_PREFIX",
        "STORE_WAIT",
        "MEMORY_CAPACITY",
        "ADMIN_TOKEN",
        "READ_ONLY_TOKEN",
        "PUBLIC_URL",
        "SECRET",
        "RETIRED_SECRETS",
        "LINK_DEADLINE",
        "LINK_QUEUE",
        "STORED_IP",
        "RETENTION_DAYS",
        "LOG_RETENTION_DAYS",
        "LOG_CAPACITY",
        "TRUSTED_PROXIES",
        "TIME_ZONE",
        "LOG",
        "LOG_FORMAT",
    ] {
        let flag = format!("--{} <", name.to_lowercase().replace('_', "-"));
        assert!(help.contains(&flag), "{flag} is missing:\n{help}");
        assert!(help.contains(&format!("[env: TRACKING_{name}")), "{name} is missing:\n{help}");
    }
    assert!(help.contains("--demo\n") && help.contains("[env: TRACKING_DEMO"), "{help}");
    assert!(help.contains("Examples:"), "{help}");
}

#[test]
fn a_wrong_setting_is_refused_in_one_line_with_the_remedy() {
    let cases: &[(&[&str], &str)] = &[
        (&["--listen", "nowhere"], "such as 127.0.0.1:3001"),
        (&["--framework", "express"], "[possible values: warp, rocket]"),
        (&["--store", "oracle"], "neither memory nor a URL such as mysql://"),
        (&["--store", ""], "neither memory nor a URL such as mysql://"),
        (&["--store", "mysql://ada@db"], "it names no database"),
        (&["--store", "mysql://ada@db/shop", "--table-prefix", "a.b"], "letters, digits and underscores"),
        (&["--store", "mysql://ada@db/shop", "--store-wait", "soon"], "--store-wait"),
        (&["migrate", "--store", "memory"], "migrate needs a database"),
        (&["demo-data"], "demo-data needs a database"),
        (&["demo-data", "--clicks", "0"], "--clicks"),
        (
            &["--demo", "--store", "mysql://ada@db/shop"],
            "(--demo, TRACKING_DEMO) is in memory, and --store, TRACKING_STORE",
        ),
        (&["health", "--url", "https://127.0.0.1:3001"], "such as http://127.0.0.1:3001"),
        (&["--public-url", "track.example.com"], "such as https://track.example.com"),
        (&["--trusted-proxies", "everybody"], "such as 10.0.0.0/8"),
        (&["--time-zone", "CEST"], "the name of an IANA time zone such as Europe/Berlin"),
        (&["--link-deadline", "0"], "--link-deadline"),
        (&["--stored-ip", "half"], "[possible values: masked, whole, none]"),
        (&["--retention-days", "0"], "--retention-days"),
        (&["erase", "a b"], "a click id may contain visible ASCII characters"),
        (&["erase", "abc123"], "erase needs a database"),
        (&["--log-retention-days", "0"], "--log-retention-days"),
        (&["--log-capacity", "0"], "--log-capacity"),
        (&["affiliates", "list"], "administered there, by its HTTP API"),
        (&["postbacks", "--store", "memory"], "administered there, by its HTTP API"),
        (&["affiliates", "create", ""], "a name must not be empty"),
        (&["affiliates", "pause", "ada"], "'<ID>'"),
        (&["campaigns", "create", "Shop", "shop.example"], "'<DESTINATION_URL>'"),
        (&["campaigns", "create", "Shop", "https://shop.example/", "--payout", "a lot"], "'--payout <PAYOUT>'"),
        (&["campaigns", "create", "Shop", "https://shop.example/", "--payout", "101%"], "a number from 0 to 100"),
        (&["campaigns", "update", "1", "--event", "sale=cheap"], "'--event <EVENT[=PAYOUT]>'"),
        (&["campaigns", "update", "1", "--event-amount", "sale"], "such as lead=20"),
        (&["campaigns", "update", "1", "--attribution-window", "30"], "such as 30d"),
        (&["campaigns", "update", "1", "--currency", "EURO"], "'--currency <CURRENCY>'"),
        (&["campaigns", "update", "1", "--daily-cap", "0"], "a whole number from 1 to"),
        (&["campaigns", "update", "1", "--network", "home"], "such as 192.0.2.0/24"),
        (&["campaigns", "update", "1", "--repeats", "twice"], "by_transaction or once"),
        (&["keys", "issue", "1", "--kind", "magic"], "token or signing"),
        (&["keys", "issue", "1", "--expire-others", "soon"], "'--expire-others <DURATION>'"),
        (&["conversions", "reject", "1", "--reason", ""], "a reason must not be empty"),
        (&["postbacks", "--outcome", "lost"], "'--outcome <CODE>'"),
        (&["postbacks", "--limit", "1001"], "from 1 to 1000"),
        (&["--log", "a=b=c"], "give a level such as info"),
        (&["--log-format", "xml"], "[possible values: text, json]"),
        (&["--memory-capacity", "none"], "--memory-capacity"),
    ];
    for (arguments, remedy) in cases {
        assert_refused(&run(arguments, &[]), 2, remedy);
    }
}

#[test]
fn a_demonstration_is_in_memory_and_needs_room_there() {
    let in_database = run(&["--demo"], &[("DATABASE_URL", "mysql://ada@db/shop")]);
    assert_refused(&in_database, 2, "(--demo, TRACKING_DEMO) is in memory, and DATABASE_URL names a database");
    let in_database = run(&[], &[("TRACKING_DEMO", "1"), ("TRACKING_STORE", "mysql://ada@db/shop")]);
    assert_refused(&in_database, 2, "--store, TRACKING_STORE names a database");
    let too_small = run(&["--demo", "--memory-capacity", "1000"], &[]);
    assert_refused(&too_small, 1, "raise --memory-capacity or TRACKING_MEMORY_CAPACITY");
    let open = run(&["--demo", "--listen", "0.0.0.0:0"], &[]);
    assert_refused(&open, 2, "set TRACKING_ADMIN_TOKEN");
}

#[test]
fn an_update_has_to_change_something_and_must_not_contradict_itself() {
    let nothing = run(&["campaigns", "update", "1"], &[]);
    assert_refused_once(&nothing, "--attribution-window <DURATION>");
    assert_refused_once(&run(&["campaigns", "update", "1", "--open", "--keyed"], &[]), "'--open' cannot be used with");
}

#[test]
fn other_machines_are_let_in_with_a_token_only() {
    let refused = run(&["--listen", "0.0.0.0:0"], &[]);
    assert_refused(&refused, 2, "set TRACKING_ADMIN_TOKEN to at least 16 random characters");
    assert_refused(&refused, 2, "TRACKING_LISTEN");
    let refused = run(&["--public-url", "https://track.example.com"], &[]);
    assert_refused(&refused, 2, "set TRACKING_ADMIN_TOKEN to at least 16 random characters");

    let directory = tempfile::tempdir().unwrap();
    let mut command = program(directory.path());
    command.args(["--listen", "0.0.0.0:0"]).env("TRACKING_ADMIN_TOKEN", TOKEN);
    let dashboard = Process::start(&mut command).wait_for("Dashboard: ");
    assert!(dashboard.starts_with("http://127.0.0.1:"), "{dashboard}");
}

#[test]
fn a_database_needs_a_secret() {
    let store = ["--store", "mysql://ada:lovelace@127.0.0.1/shop"];
    for secret in [None, Some("")] {
        let directory = tempfile::tempdir().unwrap();
        let mut command = program(directory.path());
        command.args(store).env_remove("TRACKING_SECRET");
        secret.map(|secret| command.env("TRACKING_SECRET", secret));
        assert_refused(&command.output().unwrap(), 2, "set TRACKING_SECRET to at least 32 random characters");
    }
    let short = "a-secret-that-is-too-short";
    for (name, setting) in [("TRACKING_SECRET", "--secret"), ("TRACKING_RETIRED_SECRETS", "--retired-secrets")] {
        for store in [&store[..], &[]] {
            let refused = run(store, &[(name, short)]);
            assert_refused(&refused, 2, "at least 32 characters");
            assert_refused(&refused, 2, setting);
            assert!(!String::from_utf8_lossy(&refused.stderr).contains(short));
        }
    }
    let refused = run(&[], &[("TRACKING_SECRET", "a secret of so many words, and longer")]);
    assert_refused(&refused, 2, "could never be a retired one");
    // In memory it makes one for itself.
    let directory = tempfile::tempdir().unwrap();
    let mut command = program(directory.path());
    command.args(["--listen", "127.0.0.1:0"]).env_remove("TRACKING_SECRET");
    Process::start(&mut command).wait_for("Dashboard: ");
}

#[test]
fn ids_of_retired_secrets_are_taken() {
    let (old, new) = ("0".repeat(32), "1".repeat(32));
    let link = "/click?affiliate_id=1&campaign_id=10";
    let before = Server::start_with("warp", &[("TRACKING_SECRET", &old)]);
    let click_id = before.get(link).json()["data"]["click_id"].as_str().unwrap().to_owned();
    let postback = format!("/postback?affiliate_id=1&click_id={click_id}&amount=1&currency=USD");
    let after = Server::start_with("warp", &[("TRACKING_SECRET", &new)]);
    assert_eq!(after.get(&postback).status(), 422);
    let retired = format!("{}, {old}", "2".repeat(32));
    let both = Server::start_with("rocket", &[("TRACKING_SECRET", &new), ("TRACKING_RETIRED_SECRETS", &retired)]);
    assert_eq!(both.get(&postback).status(), 200);
}

#[test]
fn visitors_are_kept_as_was_set() {
    let settings = [("TRACKING_STORED_IP", "whole"), ("TRACKING_TRUSTED_PROXIES", "10.0.0.0/8, 127.0.0.1")];
    for (settings, ip) in
        [(&settings[..], "203.0.113.77"), (&settings[..1], "127.0.0.1"), (&settings[1..], "203.0.113.0/24")]
    {
        let server = Server::start_with("warp", settings);
        let request = ureq::get(format!("{}/click?affiliate_id=1&campaign_id=10", server.url));
        request.header("x-forwarded-for", "203.0.113.77").call().unwrap();
        assert_eq!(server.get("/affiliates/1/clicks").json()["data"][0]["ip"], ip);
    }
}

#[test]
fn a_weak_token_is_refused_and_not_shown() {
    for arguments in [&["--admin-token", "hunter2"][..], &[]] {
        let refused = run(arguments, &[("TRACKING_ADMIN_TOKEN", "hunter2")]);
        assert_refused(&refused, 2, "at least 16 visible ASCII characters");
        assert!(!String::from_utf8_lossy(&refused.stderr).contains("hunter2"));
    }
    assert_refused(&run(&[], &[("TRACKING_ADMIN_TOKEN", "")]), 2, "TRACKING_ADMIN_TOKEN");
}

#[test]
fn a_read_only_token_stands_beside_another_admin_token() {
    let read_only = ("TRACKING_READ_ONLY_TOKEN", "a-reader-of-reports");
    assert_refused(&run(&[], &[read_only]), 2, "set TRACKING_ADMIN_TOKEN");
    let same = [("TRACKING_ADMIN_TOKEN", read_only.1), read_only];
    assert_refused(&run(&[], &same), 2, "take another");
    let weak = run(&[], &[("TRACKING_ADMIN_TOKEN", TOKEN), ("TRACKING_READ_ONLY_TOKEN", "hunter2")]);
    assert_refused(&weak, 2, "TRACKING_READ_ONLY_TOKEN");
    assert!(!String::from_utf8_lossy(&weak.stderr).contains("hunter2"));

    let server = Server::start_with("warp", &[("TRACKING_ADMIN_TOKEN", TOKEN), read_only]);
    for path in ["/dashboard", "/affiliates", "/metrics"] {
        assert_eq!(server.get_with(path, Some(read_only.1)).status(), 200, "{path}");
    }
    let post = |token: &str| {
        let config = ureq::Agent::config_builder().http_status_as_error(false).build();
        let post = ureq::Agent::new_with_config(config).post(format!("{}/affiliates", server.url));
        let post = post.header("authorization", format!("Bearer {token}")).header("content-type", "application/json");
        post.send(r#"{"name": "x"}"#).unwrap().status().as_u16()
    };
    assert_eq!((post(read_only.1), post(TOKEN)), (403, 201));
    // Not set in a compose file.
    let server = Server::start_with("warp", &[("TRACKING_ADMIN_TOKEN", TOKEN), ("TRACKING_READ_ONLY_TOKEN", "")]);
    assert_eq!(server.get_with("/affiliates", Some(TOKEN)).status(), 200);
}

#[test]
fn a_password_is_not_repeated_when_its_url_is_refused() {
    type Environment = &'static [(&'static str, &'static str)];
    let cases: &[(&[&str], Environment, &str)] = &[
        (&["--store", "postgres://ada:hunter2@db/shop"], &[], "--store, TRACKING_STORE"),
        (&["--store", "mysql://ada:1/hunter2@db/shop"], &[], "percent sign"),
        (&["mysql://ada:hunter2@db/shop"], &[], "give it as --store"),
        (&["migrate", "mysql://ada:hunter2@db/shop"], &[], "give it as --store"),
        (&["--sotre=mysql://ada:hunter2@db/shop"], &[], "--sotre"),
        (&[], &[("TRACKING_STORE", "mysql://ada:hunter2@db")], "--store, TRACKING_STORE"),
        (&[], &[("DATABASE_URL", "postgres://ada:hunter2@db/shop")], "DATABASE_URL is of another database"),
        (&[], &[("DATABASE_URL", "postgres://ada:hunter2@db/shop")], "set TRACKING_STORE or --store"),
        (&["migrate"], &[("DATABASE_URL", "mysql://ada:hunter2@db/shop?tls=on")], "DATABASE_URL can't be used"),
    ];
    for (arguments, environment, text) in cases {
        let refused = run(arguments, environment);
        assert_refused_once(&refused, text);
        assert!(!String::from_utf8_lossy(&refused.stderr).contains("hunter2"), "{refused:?}");
    }
    let help = run(&["--help"], &[("TRACKING_STORE", "mysql://ada:hunter2@db/shop")]);
    assert!(!String::from_utf8_lossy(&help.stdout).contains("hunter2"));
}

#[test]
fn the_store_goes_before_the_database_url() {
    let elsewhere = ("DATABASE_URL", "postgres://ada@db/shop");
    let mut server = Server::start_with("warp", &[("TRACKING_STORE", "memory"), elsewhere]);
    server.process.wait_for("Records are in memory");
    let mut server = Server::start_with("warp", &[("DATABASE_URL", "")]);
    server.process.wait_for("Records are in memory");
    let wrong = [("TRACKING_STORE", "oracle"), elsewhere];
    assert_refused(&run(&["--store", "mysql://ada@db"], &wrong), 2, "names no database");
}

fn a_port_in_use_is_an_error(framework: &str) {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let refused = run(&["--listen", &address, "--framework", framework], &[]);
    assert_refused(&refused, 1, &format!("can't listen on {address}; stop what listens there already"));
    assert!(refused.stdout.is_empty());
}

fn the_token_is_never_shown(framework: &str) {
    let mut server = Server::start_with(framework, &[("TRACKING_ADMIN_TOKEN", TOKEN), ("TRACKING_LOG", "trace")]);
    server.get_with("/dashboard", Some(TOKEN));
    let config =
        ureq::Agent::config_builder().http_status_as_error(false).max_redirects(0).max_redirects_will_error(false);
    let agent = ureq::Agent::new_with_config(config.build());
    let answer = agent.post(format!("{}/dashboard/login", server.url)).send_form([("token", TOKEN)]).unwrap();
    let cookie = answer.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    let page = agent.get(format!("{}/dashboard", server.url)).header("cookie", &cookie).call().unwrap();
    assert_eq!(page.status().as_u16(), 200);
    server.signal(rustix::process::Signal::TERM);
    server.process.wait_for("stopped");
    let (_, output) = server.finish();
    assert!(output.contains("Log in:"), "{output}");
    assert!(!output.contains(TOKEN) && !output.contains("afpass_"), "{output}");
    let help = run(&["--help"], &[("TRACKING_ADMIN_TOKEN", TOKEN)]);
    assert!(!String::from_utf8_lossy(&help.stdout).contains(TOKEN));
}

fn without_the_token_nothing_is_shown(framework: &str) {
    let server = Server::start_with(framework, &[("TRACKING_ADMIN_TOKEN", TOKEN)]);
    for path in ["/dashboard", "/affiliates", "/affiliates/1/clicks", "/affiliates/1/conversions"] {
        // People are asked for it.
        let refused = if path == "/dashboard" { 303 } else { 401 };
        assert_eq!(server.get(path).status(), refused, "{path}");
        assert_eq!(server.get_with(path, Some(TOKEN)).status(), 200, "{path}");
    }
    assert_eq!(server.get("/click?affiliate_id=1&campaign_id=10&click_id=abc123").status(), 200);
}

#[test]
fn the_environment_goes_before_the_file_and_arguments_before_both() {
    let directory = tempfile::tempdir().unwrap();
    let settings = "# settings\nTRACKING_LISTEN=127.0.0.1:0\nTRACKING_FRAMEWORK=rocket\nTRACKING_LOG_FORMAT='json'\n";
    std::fs::write(directory.path().join(".env"), settings).unwrap();
    let framework = |environment: &[(&str, &str)], arguments: &[&str]| {
        let mut command = program(directory.path());
        command.envs(environment.iter().copied()).args(arguments);
        let mut process = Process::start(&mut command);
        let framework = process.wait_for("Affiliate tracking, on ");
        // The log is JSON, as the file says.
        process.wait_for(r#""message":"listening""#);
        framework
    };
    assert_eq!(framework(&[], &[]), "Rocket");
    assert_eq!(framework(&[("TRACKING_FRAMEWORK", "warp")], &[]), "warp");
    assert_eq!(framework(&[("TRACKING_FRAMEWORK", "warp")], &["--framework", "rocket"]), "Rocket");
}

#[test]
fn a_malformed_file_is_refused_with_its_line_and_without_its_secrets() {
    let cases: &[(&[u8], &str)] = &[
        (b"TRACKING_ADMIN_TOKEN hunter2\n", ".env, line 1:"),
        (b"# first\n\nA='1\n2'\r\nTRACKING_ADMIN_TOKEN=two words hunter2\n", ".env, line 5:"),
        (b"A=1\nTRACKING_ADMIN_TOKEN=\"hunter2\nB=2\n", ".env, line 2:"),
        (b"A=1\nTRACKING_ADMIN_TOKEN=hunter2\0\n", ".env, line 2:"),
        (b"TRACKING_ADMIN_TOKEN=\xffhunter2\n", ".env"),
    ];
    for (text, place) in cases {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join(".env"), text).unwrap();
        let refused = run_in(directory.path(), &[], &[]);
        assert_refused(&refused, 2, place);
        assert!(!String::from_utf8_lossy(&refused.stderr).contains("hunter2"), "{refused:?}");
    }
}

#[test]
fn a_mistyped_variable_is_told() {
    let mut server = Server::start_with("warp", &[("TRACKING_ADMIN_TOKN", TOKEN)]);
    let told = server.process.wait_for("an environment variable is not a setting");
    assert!(told.contains("TRACKING_ADMIN_TOKN"), "{told}");
    assert!(!server.process.seen.contains(TOKEN));
}

#[test]
fn rockets_own_settings_change_nothing() {
    let server = Server::start_with("rocket", &[("ROCKET_PORT", "1"), ("ROCKET_LOG_LEVEL", "debug")]);
    server.get("/dashboard");
    server.signal(rustix::process::Signal::TERM);
    let (status, output) = server.finish();
    assert_eq!(status.code(), Some(0));
    assert!(!output.contains("rocket::") && !output.contains("Matched"), "{output}");
}

fn run(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    run_in(tempfile::tempdir().unwrap().path(), arguments, environment)
}

fn run_in(directory: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    program(directory).args(arguments).envs(environment.iter().copied()).output().unwrap()
}

/// The usage may follow, where an argument is not known.
fn assert_refused_once(output: &Output, text: &str) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(stderr.starts_with("error: ") && stderr.contains(text), "{text:?} is not in:\n{stderr}");
}

/// One line says what is wrong, perhaps with the values that are possible on a second.
fn assert_refused(output: &Output, code: i32, text: &str) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{stderr}");
    assert!(stderr.starts_with("error: ") && stderr.contains(text), "{text:?} is not in:\n{stderr}");
    let lines = stderr.lines().filter(|line| !line.is_empty() && !line.starts_with("For more information")).count();
    assert!(lines <= 2, "{stderr}");
    assert!(!stderr.contains("panicked") && !stderr.contains(" { "), "{stderr}");
}
