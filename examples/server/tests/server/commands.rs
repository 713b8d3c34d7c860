//! The commands besides serving.

use std::net::TcpListener;
use std::process::Output;

use test_server::Kind;

use crate::support::database::{Database, PASSWORD};
use crate::support::{Server, program};

#[test]
fn migrate_creates_the_tables_and_ends() {
    on_each_database(|database| {
        for said in ["were created, with version", "already"] {
            let done = run(database, &["migrate", "--table-prefix", "aff_"]);
            assert_eq!(stdout(&done).lines().count(), 1, "{done:?}");
            assert!(stdout(&done).contains(&database.name), "{done:?}");
            assert!(stdout(&done).contains(said), "{done:?}");
        }
        // The same from a file, and at the same place.
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join(".env"), format!("DATABASE_URL={}\n", database.url)).unwrap();
        let mut command = program(directory.path());
        let done = command.arg("migrate").env("TRACKING_TABLE_PREFIX", "aff_").output().unwrap();
        assert!(stdout(&done).contains(&database.name), "{done:?}");

        let tables = database.execute(&format!(
            "SELECT CAST(table_name AS CHAR) FROM information_schema.tables WHERE table_schema = '{}'",
            database.name
        ));
        assert!(tables.contains(&"aff_clicks".to_owned()), "{tables:?}");
        assert!(tables.iter().all(|table| table.starts_with("aff_")), "{tables:?}");
    });
}

#[test]
fn demo_data_is_there_once_however_often_it_is_asked_for() {
    on_each_database(|database| {
        let inserted = run(database, &["demo-data", "--clicks", "4000"]);
        assert!(stdout(&inserted).contains("4000 clicks, 4000 of them new"), "{inserted:?}");
        let again = run(database, &["demo-data", "--clicks", "4000"]);
        assert!(stdout(&again).contains("4000 clicks, 0 of them new"), "{again:?}");
        assert!(stdout(&again).contains("conversions, 0 of them new"), "{again:?}");
        let more = run(database, &["demo-data", "--clicks", "4100"]);
        assert!(stdout(&more).contains("4100 clicks, 100 of them new"), "{more:?}");

        let server = Server::start_with("warp", &[("TRACKING_STORE", &database.url)]);
        let affiliates = server.get("/affiliates").json();
        let (mut clicks, mut tallies, mut affiliates_with_clicks) = (0, [0; 3], 0);
        for affiliate in affiliates["data"].as_array().unwrap() {
            let summary = server.get(&format!("/affiliates/{}/summary", affiliate["id"])).json();
            // Some are new, or so small that none of so few clicks is theirs.
            affiliates_with_clicks += usize::from(summary["data"]["clicks"] != 0);
            clicks += summary["data"]["clicks"].as_u64().unwrap();
            for (tally, status) in tallies.iter_mut().zip(["pending", "approved", "rejected"]) {
                *tally += summary["data"]["by_status"][status]["conversions"].as_u64().unwrap();
            }
        }
        assert_eq!(clicks, 4100);
        assert!(affiliates_with_clicks >= 10, "{affiliates_with_clicks}");
        // Whether any is still pending depends on the day.
        assert!(tallies[1] > 0 && tallies[2] > 0, "{tallies:?}");
        let conversions: u64 = tallies.iter().sum();
        assert!(stdout(&more).contains(&format!("; {conversions} conversions")), "{conversions} {more:?}");
    });
}

#[test]
fn demo_data_mixes_with_nobody_elses() {
    on_each_database(|database| {
        run(database, &["migrate"]);
        database.execute(&format!(
            "INSERT INTO {}.affiliates (id, name, created_at) VALUES (102, 'Somebody', '2026-01-01')",
            database.name
        ));
        let refused = program(tempfile::tempdir().unwrap().path())
            .args(["demo-data", "--store", &database.url])
            .output()
            .unwrap();
        let stderr = String::from_utf8_lossy(&refused.stderr);
        assert_eq!(refused.status.code(), Some(1), "{stderr}");
        assert!(stderr.contains("affiliate 102 is there already"), "{stderr}");
    });
}

#[test]
fn health_tells_whether_a_server_takes_calls() {
    let mut databases = test_server::Server::start(Kind::MariaDb).unwrap();
    let database = Database::create_on(&databases);
    let server = Server::start_with("warp", &[("TRACKING_STORE", &database.url)]);
    let health = |arguments: &[&str], listen: &str| {
        let directory = tempfile::tempdir().unwrap();
        program(directory.path()).arg("health").args(arguments).env("TRACKING_LISTEN", listen).output().unwrap()
    };
    let well = health(&["--url", &server.url], "127.0.0.1:1");
    assert_eq!(well.status.code(), Some(0), "{well:?}");
    // As in a container: where the server listens on all addresses, it is asked on this machine.
    let port = server.address().rsplit_once(':').unwrap().1;
    let well = health(&[], &format!("0.0.0.0:{port}"));
    assert_eq!(well.status.code(), Some(0), "{well:?}");

    databases.kill();
    let refuses = health(&["--url", &server.url], "127.0.0.1:1");
    assert_eq!(refuses.status.code(), Some(1), "{refuses:?}");
    assert!(String::from_utf8_lossy(&refuses.stderr).contains("can't take calls"), "{refuses:?}");

    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let gone = health(&[], &nobody);
    assert_eq!(gone.status.code(), Some(1), "{gone:?}");
    assert!(String::from_utf8_lossy(&gone.stderr).contains(&format!("no server at {nobody}")), "{gone:?}");
}

fn on_each_database(test: impl Fn(&Database)) {
    Kind::ALL.into_iter().filter_map(Database::create).for_each(|database| test(&database));
}

/// Runs a command that succeeds.
fn run(database: &Database, arguments: &[&str]) -> Output {
    let directory = tempfile::tempdir().unwrap();
    let output = program(directory.path()).args(arguments).env("DATABASE_URL", &database.url).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    assert!(!stderr.contains(PASSWORD) && !stdout(&output).contains(PASSWORD), "{output:?}");
    output
}

fn stdout(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}
