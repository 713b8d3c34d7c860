//! Kills the server and the database while clients are at work, and looks whether anything is lost or counted twice.
//!
//! Clients call as advertisers do: each repeats a call until it is acknowledged. At random moments a `tracking-server`
//! or its database is killed by SIGKILL, and started again. Afterwards all that was acknowledged has to be there once,
//! as it was acknowledged, and counted once, and nothing else may be there.
//!
//! `storm` has each postback come up to five times, in any order, while servers are killed, and `races` sends many at once
//! that contradict each other: of each sale there has to be one conversion, with the status that its postbacks lead to.
//!
//! Visitors follow links meanwhile, and have no patience: `outage` looks whether each gets to his shop in time, and what
//! becomes of his click.
//!
//! The only sleeps are those that choose a moment, and the pauses of clients between two attempts. Each run prints its
//! seed, from which all choices follow; `KILLS_SEED` has it choose the same again. The long forms are for
//! `scripts/kill-tests`, which says what can be set.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that can't go on has failed")]
#![allow(clippy::print_stdout, reason = "the results are to be seen")]

mod check;
mod cluster;
mod http;
mod load;
mod outage;
#[path = "../server/support/process.rs"]
mod process;
mod races;
mod random;
mod sales;
mod servers;
mod storm;
mod visitors;

use std::env;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::Receiver;
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime};

use storage_mysql::sqlx::{Connection, MySqlConnection, raw_sql};
use test_server::Kind;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use crate::check::{Findings, Rows};
use crate::cluster::Cluster;
use crate::load::{Load, Notes};
use crate::random::Random;
use crate::servers::Server;

const CLIENTS: usize = 64;
const DATABASE: &str = "tracking";
/// The longest time between a recovery and the next kill.
const LONGEST_PEACE: Duration = Duration::from_millis(1_000);
/// Longer than a store waits for its database before it says so.
const OUTAGE: Duration = Duration::from_secs(7);
/// Far longer than any recovery takes.
const PATIENCE: Duration = Duration::from_secs(90);

#[test]
fn two_servers_on_mariadb() {
    use Victim::{Database, Server};
    let kills = vec![Server(0), Database, Server(1), Database];
    run_scenario(Kind::MariaDb, "two servers", 2, kills);
}

#[test]
fn one_server_on_mysql() {
    run_scenario(Kind::MySql, "one server", 1, vec![Victim::Server(0), Victim::Database]);
}

#[test]
fn outage_on_warp() {
    outage::run(short_outage(0));
}

#[test]
fn outage_on_rocket() {
    outage::run(short_outage(1));
}

/// More clicks than the queue takes. The slack is large, because other tests and databases want the same processors:
/// a visitor who waits for the database would wait for seconds.
fn short_outage(framework: usize) -> outage::Plan {
    let (outages, pause) = ([OUTAGE, Duration::from_secs(1)], Duration::from_millis(200));
    let slack = Duration::from_millis(500);
    outage::Plan { kind: Kind::MariaDb, framework, visitors: 32, pause, outages, queue: Some(1_000), slack }
}

#[test]
fn stop_in_an_outage_on_warp() {
    outage::run_stop(Kind::MariaDb, 0);
}

#[test]
fn stop_in_an_outage_on_rocket() {
    outage::run_stop(Kind::MariaDb, 1);
}

#[test]
fn races_on_mariadb() {
    races::run(Kind::MariaDb, 5);
}

#[test]
fn races_on_mysql() {
    races::run(Kind::MySql, 5);
}

#[test]
fn storm_on_mariadb() {
    storm::run(storm::Plan { kind: Kind::MariaDb, servers: 2, sales: 400, senders: 16, kills: 4 });
}

#[test]
fn storm_on_mysql() {
    storm::run(storm::Plan { kind: Kind::MySql, servers: 1, sales: 200, senders: 16, kills: 2 });
}

#[test]
#[ignore = "takes minutes: scripts/kill-tests runs it"]
fn long_races() {
    races::run(kind(), number("KILLS_ROUNDS").unwrap_or(200) as usize);
}

#[test]
#[ignore = "takes minutes: scripts/kill-tests runs it"]
fn long_storm() {
    let kills = number("KILLS_ROUNDS").unwrap_or(20) as usize;
    let servers = number("KILLS_SERVERS").unwrap_or(2) as usize;
    storm::run(storm::Plan { kind: kind(), servers, sales: 500 * kills, senders: 32, kills });
}

#[test]
#[ignore = "takes a minute: scripts/kill-tests runs it"]
fn long_outage() {
    let framework = usize::from(env::var("KILLS_FRAMEWORK").as_deref() == Ok("rocket"));
    let queue = number("KILLS_QUEUE").map(|clicks| clicks as usize);
    // The first one is longer than the ten seconds after which known links are looked up again if they can be.
    let outages = [Duration::from_secs(15), Duration::from_secs(3)];
    let (pause, slack) = (Duration::from_millis(100), Duration::from_millis(50));
    outage::run(outage::Plan { kind: kind(), framework, visitors: 64, pause, outages, queue, slack });
}

#[test]
#[ignore = "takes minutes: scripts/kill-tests runs it"]
fn long() {
    use Victim::{Both, Database, DatabaseForLong, Server};
    let rounds = number("KILLS_ROUNDS").unwrap_or(20) as usize;
    let kind = kind();
    let (name, servers, victims) = match env::var("KILLS_SCENARIO").as_deref() {
        Ok("database") => ("database", 1, vec![Database]),
        Ok("outages") => {
            ("server, database, both, outages of 7 s", 1, vec![Server(0), Database, Both, DatabaseForLong])
        }
        Ok("two") => ("two servers: one, the other, database", 2, vec![Server(0), Server(1), Database]),
        _ => ("server", 1, vec![Server(0)]),
    };
    run_scenario(kind, name, servers, victims.into_iter().cycle().take(rounds).collect());
}

#[test]
#[ignore = "needs Galera: scripts/kill-tests runs it"]
fn galera() {
    let rounds = number("KILLS_ROUNDS").unwrap_or(5) as usize;
    let mut random = seeded();
    let cluster = Cluster::start();
    let urls: Vec<String> = cluster.urls.iter().map(|url| format!("{url}/{DATABASE}")).collect();
    let mut stage = Stage::set_up(&cluster.urls[0], &urls[..2], true, &mut random);
    for round in 0..rounds {
        stage.wait_for_a_moment(&mut random);
        let killed = Instant::now();
        cluster.kill(round % 3);
        stage.note_recovery(killed, None);
        // While the node is away.
        stage.wait_for_a_moment(&mut random);
        cluster.rejoin(round % 3);
        if round % 3 < 2 {
            // The server that is connected to it takes calls again.
            let awaited = stage.load.watch(Some(round % 3));
            await_recovery(&awaited);
        }
    }
    stage.finish("Galera, two servers", &format!("{rounds} nodes"), &urls);
}

/// Who is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Victim {
    Server(usize),
    Database,
    /// The first server and the database.
    Both,
    /// The database, which stays down for longer than the server waits for it.
    DatabaseForLong,
}

fn run_scenario(kind: Kind, name: &str, servers: usize, victims: Vec<Victim>) {
    let mut random = seeded();
    let Some(mut database) = test_server::Server::start_durable(kind) else { return };
    let url = format!("{}/{DATABASE}", database.url());
    let mut stage = Stage::set_up(database.url(), &vec![url.clone(); servers], false, &mut random);
    for victim in &victims {
        stage.wait_for_a_moment(&mut random);
        let killed = Instant::now();
        match *victim {
            Victim::Server(server) => {
                stage.servers[server].kill();
                stage.servers[server].start_again();
                stage.note_recovery(killed, Some(server));
            }
            Victim::Database => {
                database.kill();
                stage.note_recovery_after(killed, || database.restart());
            }
            Victim::Both => {
                database.kill();
                stage.servers[0].kill();
                stage.servers[0].start_again();
                stage.note_recovery_after(killed, || database.restart());
            }
            Victim::DatabaseForLong => {
                database.kill();
                sleep(OUTAGE);
                stage.note_recovery_after(killed, || database.restart());
            }
        }
    }
    let count = |is_killed: fn(Victim) -> bool| victims.iter().filter(|victim| is_killed(**victim)).count();
    let of_servers = count(|victim| matches!(victim, Victim::Server(_) | Victim::Both));
    let of_databases = count(|victim| !matches!(victim, Victim::Server(_)));
    let kills = match (of_servers, of_databases) {
        (kills, 0) => format!("{kills} server"),
        (0, kills) => format!("{kills} database"),
        (servers, databases) => format!("{servers} server, {databases} database"),
    };
    stage.finish(&format!("{kind}: {name}"), &kills, &[url]);
}

/// Servers, and clients at work.
struct Stage {
    runtime: Runtime,
    servers: Vec<Server>,
    load: Arc<Load>,
    clients: JoinSet<Notes>,
    is_cluster: bool,
    recoveries: Vec<Duration>,
}

impl Stage {
    /// Starts a server on each of these databases.
    fn set_up(url: &str, databases: &[String], is_cluster: bool, random: &mut Random) -> Self {
        let runtime = Runtime::new().unwrap();
        runtime.block_on(create_database(url));
        let start = |(index, url): (usize, &String)| Server::start(index, url, None, random);
        let servers: Vec<Server> = databases.iter().enumerate().map(start).collect();
        let addresses = servers.iter().map(|server| server.address).collect();
        let load = Arc::new(runtime.block_on(Load::prepare(addresses)));
        let guard = runtime.enter();
        let clients = load.start(CLIENTS, random);
        drop(guard);
        for server in 0..servers.len() {
            let awaited = load.watch(Some(server));
            await_recovery(&awaited);
        }
        Self { runtime, servers, load, clients, is_cluster, recoveries: Vec::new() }
    }

    fn wait_for_a_moment(&self, random: &mut Random) {
        sleep(Duration::from_micros(random.below(LONGEST_PEACE.as_micros() as u64)));
    }

    /// Waits until a call that is sent from now on is acknowledged, by this server or by any.
    fn note_recovery(&mut self, killed: Instant, server: Option<usize>) {
        let awaited = self.load.watch(server);
        self.recoveries.push(await_recovery(&awaited) - killed);
    }

    /// The same, with something to do that comes before.
    fn note_recovery_after(&mut self, killed: Instant, start_again: impl FnOnce()) {
        let awaited = self.load.watch(None);
        start_again();
        self.recoveries.push(await_recovery(&awaited) - killed);
    }

    /// Lets the clients finish, looks at everything, and prints a row of the table of results.
    fn finish(mut self, scenario: &str, kills: &str, databases: &[String]) {
        self.load.finish();
        let notes = self.runtime.block_on(async { std::mem::take(&mut self.clients).join_all().await });
        let mut findings = Findings::default();
        findings.note_oddities(&notes);
        let affiliates = &self.load.places().affiliates;
        for url in databases {
            let rows = self.runtime.block_on(Rows::read(url, self.is_cluster));
            findings.check_rows(&rows, &notes);
            for server in &self.servers {
                self.runtime.block_on(findings.check_http(&rows, server.address, affiliates));
            }
        }
        self.recoveries.sort();
        let median = Seconds(self.recoveries[self.recoveries.len() / 2]);
        let max = Seconds(self.recoveries[self.recoveries.len() - 1]);
        let (acknowledged, retries) = (self.load.acknowledged.load(Relaxed), self.load.retries.load(Relaxed));
        let Findings { lost, twice, strangers, untrue, .. } = findings;
        println!(
            "| {scenario} | {kills} | {acknowledged} | {retries} | {lost} | {twice} | {strangers} | {untrue} | {median} | \
             {max} |"
        );
        for server in &mut self.servers {
            println!("{}", server.complaints());
        }
        findings.assert_none();
    }
}

async fn create_database(url: &str) {
    let mut connection = MySqlConnection::connect(url).await.unwrap();
    raw_sql("CREATE DATABASE tracking").execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

fn await_recovery(awaited: &Receiver<Instant>) -> Instant {
    awaited.recv_timeout(PATIENCE).expect("no call is acknowledged any more")
}

fn kind() -> Kind {
    match env::var("KILLS_KIND").as_deref() {
        Ok("mysql") => Kind::MySql,
        _ => Kind::MariaDb,
    }
}

fn seeded() -> Random {
    let now = || SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos() as u64;
    let seed = number("KILLS_SEED").unwrap_or_else(now);
    println!("KILLS_SEED={seed}");
    Random::new(seed)
}

fn number(variable: &str) -> Option<u64> {
    env::var(variable).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{variable}: not a number: {text}")))
}

struct Seconds(Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2} s", self.0.as_secs_f64())
    }
}
