//! The server on a database: what it waits for, what it refuses, and what stays.

use std::process::ExitStatus;

use rustix::process::{Pid, Signal, kill_process};
use test_server::Kind;

use crate::support::database::{Database, PASSWORD};
use crate::support::process::Process;
use crate::support::{Server, Site, get, on_each_framework_and_store, program};

const CLICK: &str = "/click?affiliate_id=1&campaign_id=10&click_id=abc123";
const POSTBACK: &str = "/postback?affiliate_id=1&click_id=abc123&amount=100&currency=USD";

on_each_framework_and_store!(records_survive_a_restart, it_says_where_records_are);

fn records_survive_a_restart(site: &Site) {
    let server = site.start();
    let (click, postback) = (server.get(CLICK).json(), server.get(POSTBACK).json());
    server.stop();

    let server = site.start();
    let (click_again, postback_again) = (server.get(CLICK).json(), server.get(POSTBACK).json());
    if site.database.is_some() {
        assert_eq!((&click_again["duplicate"], &click_again["data"]), (&true.into(), &click["data"]));
        assert_eq!((&postback_again["duplicate"], &postback_again["data"]), (&true.into(), &postback["data"]));
    } else {
        assert_eq!(click_again["duplicate"], serde_json::Value::Null);
    }
    let summary = server.get("/affiliates/1/summary").json();
    assert_eq!((&summary["data"]["clicks"], &summary["data"]["conversions"]), (&1.into(), &1.into()), "{summary}");
    server.stop();
}

fn it_says_where_records_are(site: &Site) {
    let mut server = site.start();
    let place = server.process.wait_for("Records are in ");
    match &site.database {
        Some(Database { url, name, .. }) => {
            let address = url.rsplit_once('@').unwrap().1.split_once('/').unwrap().0;
            assert_eq!(place, format!("the database {name} at {address}."));
        }
        None => assert!(place.starts_with("memory"), "{place}"),
    }
}

#[test]
fn it_waits_for_a_database_that_starts_later() {
    for framework in ["warp", "rocket"] {
        let mut databases = test_server::Server::start(Kind::MariaDb).unwrap();
        let database = Database::create_on(&databases);
        databases.kill();

        let directory = tempfile::tempdir().unwrap();
        let mut command = program(directory.path());
        command.args(["--listen", "127.0.0.1:0", "--framework", framework]).env("DATABASE_URL", &database.url);
        let mut server = Process::start(&mut command);
        let told =
            server.wait_for(&format!("waiting for the database at 127.0.0.1:{}, 0 s so far: ", databases.port()));
        assert_eq!(told, "connection refused");
        databases.restart();
        server.wait_for("Dashboard: ");
        assert!(!server.seen.contains(PASSWORD), "{}", server.seen);
    }
}

#[test]
fn it_does_not_wait_for_ever() {
    let mut databases = test_server::Server::start(Kind::MariaDb).unwrap();
    let database = Database::create_on(&databases);
    databases.kill();
    for arguments in [&["--store-wait", "1"][..], &["migrate", "--store-wait", "0"]] {
        let directory = tempfile::tempdir().unwrap();
        let mut command = program(directory.path());
        let (status, output) = finish(Process::start(command.args(arguments).env("TRACKING_STORE", &database.url)));
        assert_eq!(status.code(), Some(1), "{output}");
        let error = error_of(&output);
        assert!(error.contains(&format!("can't reach the database {}", database.name)), "{error}");
        assert!(error.contains("TRACKING_STORE_WAIT") && error.contains("--store, TRACKING_STORE"), "{error}");
        assert!(error.ends_with(": connection refused"), "{error}");
        assert!(!output.contains(PASSWORD), "{output}");
    }
}

#[test]
fn a_signal_ends_the_wait() {
    let mut databases = test_server::Server::start(Kind::MariaDb).unwrap();
    let database = Database::create_on(&databases);
    databases.kill();
    // Whoever waits for a command must not take it for done.
    for (arguments, code) in [(&[][..], 0), (&["migrate"][..], 1)] {
        let directory = tempfile::tempdir().unwrap();
        let mut command = program(directory.path());
        let mut process = Process::start(command.args(arguments).env("TRACKING_STORE", &database.url));
        process.wait_for("waiting for the database");
        kill_process(Pid::from_child(&process.child), Signal::INT).unwrap();
        let (status, output) = finish(process);
        assert_eq!(status.code(), Some(code), "{output}");
        assert!(output.contains("SIGINT"), "{output}");
    }
}

#[test]
fn what_waiting_does_not_mend_ends_at_once_with_the_remedy() {
    for database in Kind::ALL.into_iter().filter_map(Database::create) {
        let Database { url, name, user, .. } = &database;
        let cases = [
            (url.replace(PASSWORD, "hunter3"), format!("the password of user {user} is wrong")),
            (url.replace(name, "mysql"), format!("user {user} has no rights on the database mysql at ")),
        ];
        for (url, remedy) in cases {
            let error = refused(&url);
            assert!(error.contains(&remedy) && error.contains("correct --store, TRACKING_STORE"), "{error}");
        }
        // Only somebody who would have rights there learns that there is none.
        database.execute(&format!("GRANT ALL ON *.* TO {user}"));
        let error = refused(&url.replace(name, "no-such"));
        assert!(error.contains("create it by CREATE DATABASE `no-such`, or correct"), "{error}");
    }
}

#[test]
fn a_user_who_may_not_create_tables_is_told_so() {
    for database in Kind::ALL.into_iter().filter_map(Database::create) {
        let Database { url, name, user, .. } = &database;
        database.execute(&format!("REVOKE ALL ON {name}.* FROM {user}"));
        database.execute(&format!("GRANT SELECT, INSERT, UPDATE, DELETE ON {name}.* TO {user}"));
        let error = refused(url);
        assert!(error.contains(&format!("user {user} may not create or change the tables")), "{error}");

        // Once they are there, these rights do.
        database.execute(&format!("GRANT ALL ON {name}.* TO {user}"));
        let directory = tempfile::tempdir().unwrap();
        let migrated = program(directory.path()).args(["migrate", "--store", url]).output().unwrap();
        assert!(migrated.status.success(), "{migrated:?}");
        database.execute(&format!("REVOKE ALL ON {name}.* FROM {user}"));
        database.execute(&format!("GRANT SELECT, INSERT, UPDATE, DELETE ON {name}.* TO {user}"));
        let server = Server::start_with("warp", &[("TRACKING_STORE", url)]);
        assert_eq!((server.get(CLICK).status(), server.get(POSTBACK).status()), (200, 200));
        server.stop();
    }
}

#[test]
fn the_password_is_never_shown() {
    for database in Kind::ALL.into_iter().filter_map(Database::create) {
        for framework in ["warp", "rocket"] {
            let environment = [("DATABASE_URL", &*database.url), ("TRACKING_LOG", "trace")];
            let server = Server::start_with(framework, &environment);
            assert_eq!((server.get(CLICK).status(), server.get(POSTBACK).status()), (200, 200));
            server.signal(Signal::TERM);
            let (status, output) = server.finish();
            assert_eq!(status.code(), Some(0));
            assert!(output.contains("DEBUG sqlx") && !output.contains(PASSWORD), "{output}");
        }
    }
}

#[test]
fn two_servers_share_a_database() {
    for database in Kind::ALL.into_iter().filter_map(Database::create) {
        let environment = [("TRACKING_STORE", &*database.url)];
        // Both find no tables.
        let servers = std::thread::scope(|scope| {
            let starting =
                ["warp", "rocket"].map(|framework| scope.spawn(move || Server::start_with(framework, &environment)));
            starting.map(|server| server.join().unwrap())
        });
        let [one, other] = servers.each_ref().map(|server| &*server.url);
        std::thread::scope(|scope| {
            for url in [one, other, one, other] {
                scope.spawn(move || {
                    for number in 0..50 {
                        let click = get(&format!("{url}/click?affiliate_id=1&campaign_id=10&click_id={number}"), None);
                        assert_eq!(click.status(), 200, "{}", click.text());
                        let postback =
                            format!("{url}/postback?affiliate_id=1&click_id={number}&amount=0.10&currency=USD");
                        let postback = get(&postback, None);
                        assert_eq!(postback.status(), 200, "{}", postback.text());
                    }
                });
            }
        });
        for server in &servers {
            let summary = server.get("/affiliates/1/summary").json();
            assert_eq!(summary["data"]["clicks"], 50, "{summary}");
            assert_eq!(summary["data"]["conversions"], 50, "{summary}");
            assert_eq!(summary["data"]["revenue"][0]["amount"], 5, "{summary}");
        }
        servers.into_iter().for_each(Server::stop);
    }
}

/// Runs the server, which must not start; returns its error.
fn refused(url: &str) -> String {
    let directory = tempfile::tempdir().unwrap();
    let mut command = program(directory.path());
    let (status, output) = finish(Process::start(command.env("TRACKING_STORE", url)));
    assert_eq!(status.code(), Some(1), "{output}");
    assert!(!output.contains("waiting") && !output.contains(PASSWORD) && !output.contains("hunter3"), "{output}");
    error_of(&output).to_owned()
}

fn error_of(output: &str) -> &str {
    output.lines().find(|line| line.starts_with("error: ")).unwrap_or_else(|| panic!("no error: {output}"))
}

fn finish(mut process: Process) -> (ExitStatus, String) {
    while process.next_line().is_some() {}
    (process.child.wait().unwrap(), std::mem::take(&mut process.seen))
}
