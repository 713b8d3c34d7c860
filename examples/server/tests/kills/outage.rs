//! Outages of the database while visitors follow links: none of them may notice, and no click may get lost.

use std::collections::BTreeSet;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use test_server::Kind;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tracking_core::{ClickId, ClickIdOrigin, Secret, Secrets};

use crate::check::{Findings, Rows};
use crate::http::{Answer, Connection, Request};
use crate::load::{ClickNote, ClickTold, Load, Notes, created};
use crate::random::Random;
use crate::servers::{FRAMEWORKS, SECRET, Server};
use crate::visitors::{Followed, Visitor, Visitors, Visits};
use crate::{DATABASE, PATIENCE, Seconds, create_database, seeded};

/// How long a visitor may be kept waiting for the database: the default of TRACKING_LINK_DEADLINE.
const DEADLINE: Duration = Duration::from_millis(250);
/// How long a server takes to stop, at the most, when the database does not come back.
const GRACE: Duration = Duration::from_secs(8);
/// How much the server may grow in an outage, in kilobytes: far more than the clicks that are queued need.
const MEMORY: u64 = 64 * 1024;
/// Before the database is killed, and between its return and the end of the visits.
const PEACE: Duration = Duration::from_secs(1);
/// How many clients send postbacks.
const CLIENTS: usize = 32;

/// What is to happen.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) kind: Kind,
    /// The place in [`FRAMEWORKS`] of the one that the outages happen to. The postbacks go to the other one.
    pub(crate) framework: usize,
    pub(crate) visitors: usize,
    /// How long a visitor pauses between two links, at the most.
    pub(crate) pause: Duration,
    /// How long the database is away, the first time. The second time the server is killed meanwhile.
    pub(crate) outages: [Duration; 2],
    /// How many clicks may wait; the default if nothing is said.
    pub(crate) queue: Option<usize>,
    /// How much longer than the deadline one visitor in a hundred may have waited.
    pub(crate) slack: Duration,
}

impl Plan {
    fn capacity(&self) -> usize {
        self.queue.unwrap_or(100_000)
    }
}

/// A server that is known to visitors, and its database.
struct Site {
    runtime: Runtime,
    random: Random,
    database: test_server::Server,
    url: String,
    server: Server,
    load: Arc<Load>,
    visits: Visits,
}

impl Site {
    fn set_up(kind: Kind, framework: usize, queue: Option<usize>) -> Option<Self> {
        let mut random = seeded();
        let database = test_server::Server::start_durable(kind)?;
        let url = format!("{}/{DATABASE}", database.url());
        let runtime = Runtime::new().unwrap();
        runtime.block_on(create_database(database.url()));
        let server = Server::start(framework, &url, queue, &mut random);
        let load = Arc::new(runtime.block_on(Load::prepare(vec![server.address])));
        let mut site = Self { runtime, random, database, url, server, load, visits: Visits::default() };
        let mut visitor = site.visitor();
        site.runtime.block_on(visitor.follow_each());
        site.visits.append(visitor.visits);
        Some(site)
    }

    fn visitor(&mut self) -> Visitor {
        Visitor::new(Arc::clone(&self.load), self.server.address, self.random.fork())
    }

    fn visitors(&mut self, plan: Plan) -> Visitors {
        let _guard = self.runtime.enter();
        Visitors::start((0..plan.visitors).map(|_| self.visitor()).collect(), plan.pause)
    }

    /// What this metric of the server's is now.
    fn metric(&self, name: &str) -> u64 {
        self.runtime.block_on(metric(self.server.address, name))
    }

    fn rows(&self) -> Rows {
        self.runtime.block_on(Rows::read(&self.url, false))
    }

    /// Those that are not recorded.
    fn missing(&self, rows: &Rows) -> Vec<Followed> {
        let there = rows.click_ids();
        self.visits.followed.iter().filter(|followed| !there.contains(&*followed.click_id)).cloned().collect()
    }

    /// Waits until no click is queued, and returns how long that took.
    fn await_drained(&self) -> Duration {
        let started = Instant::now();
        while self.metric(QUEUED) > 0 {
            assert!(started.elapsed() < PATIENCE, "clicks stay in the queue");
            sleep(Duration::from_millis(2));
        }
        started.elapsed()
    }
}

/// Two outages under load, with the server killed in the second one; then a postback for each click.
pub(crate) fn run(plan: Plan) {
    let Some(site) = Site::set_up(plan.kind, plan.framework, plan.queue) else { return };
    let mut run = Run { site, plan, findings: Findings::default(), results: Results::default() };
    run.survive_an_outage();
    run.lose_the_queue();
    run.sell();
    run.finish();
}

struct Run {
    site: Site,
    plan: Plan,
    findings: Findings,
    results: Results,
}

/// What has been measured.
#[derive(Debug, Default)]
struct Results {
    /// How long visitors waited while the database was away.
    waits: Vec<Duration>,
    /// How many clicks were queued at the most.
    peak: u64,
    drained: Duration,
    /// By how much the server has grown, in kilobytes.
    memory: u64,
    /// How many clicks did not fit into the queue.
    unrecorded: u64,
    recovered: usize,
    /// How many clicks with ids of the caller's are gone.
    callers: usize,
}

impl Run {
    fn survive_an_outage(&mut self) {
        let (site, results) = (&mut self.site, &mut self.results);
        let strange_link = site.runtime.block_on(link_that_nobody_followed(site.server.address));
        let visitors = site.visitors(self.plan);
        sleep(PEACE);
        let memory = site.server.memory();
        site.database.kill();
        let killed = Instant::now();
        let peak = Peak::watch(&site.runtime, site.server.address);
        let known = site.visits.followed[0].clone();
        let refusals = site.runtime.spawn(are_refused(site.server.address, known, strange_link));
        sleep(self.plan.outages[0]);
        results.memory = site.server.memory().saturating_sub(memory);
        site.runtime.block_on(refusals).unwrap();
        site.database.restart();
        let back = Instant::now();
        // While visitors go on following links.
        results.drained = site.await_drained();
        sleep(PEACE);
        site.visits.append(site.runtime.block_on(visitors.stop()));
        site.await_drained();
        results.peak = peak.highest();
        let in_outage = |link: &&Followed| killed <= link.sent && link.sent < back;
        results.waits.extend(site.visits.followed.iter().filter(in_outage).map(|link| link.took));
        results.unrecorded = site.metric(UNRECORDED);
        self.check_outage();
    }

    /// What did not fit into the queue is not there. All else is, and is counted, by the server's metrics, too.
    fn check_outage(&mut self) {
        let Self { site, plan, findings, results } = self;
        let unrecorded = results.unrecorded as usize;
        let rows = site.rows();
        let there = rows.click_ids();
        let (recorded, missing): (Vec<_>, Vec<_>) =
            site.visits.followed.iter().partition(|link| there.contains(&*link.click_id));
        let lost = missing.len().saturating_sub(unrecorded);
        findings.note(|found| &mut found.lost, lost, || format!("{lost} clicks are missing besides the {unrecorded}"));
        findings.check_rows(&rows, &[notes_of(&recorded)]);

        let capacity = plan.capacity();
        let links = site.metric(RECORDED) as usize + site.metric(QUEUED_LINKS) as usize + unrecorded;
        let new = site.metric(NEW) as usize;
        for (what, told, is) in [
            ("unrecorded links", unrecorded, missing.len()),
            ("links", links, site.visits.followed.len()),
            ("new clicks", new, there.len()),
            ("most queued clicks", results.peak as usize, capacity.min(results.peak as usize)),
            ("full queues", usize::from(unrecorded > 0), usize::from(results.peak as usize == capacity)),
        ] {
            let is_untrue = usize::from(told != is);
            findings.note(|found| &mut found.untrue, is_untrue, || format!("{what} by the metrics: {told}, not {is}"));
        }
    }

    /// The server is killed while clicks wait for the database.
    fn lose_the_queue(&mut self) {
        let site = &mut self.site;
        let visitors = site.visitors(self.plan);
        sleep(PEACE);
        site.database.kill();
        let killed = Instant::now();
        sleep(self.plan.outages[1]);
        site.visits.append(site.runtime.block_on(visitors.stop()));
        assert!(site.metric(QUEUED) > 0, "nothing is in the queue");
        site.server.kill();
        let in_outage = |link: &&Followed| killed <= link.sent;
        self.results.waits.extend(site.visits.followed.iter().filter(in_outage).map(|link| link.took));
        site.database.restart();
        site.server.start_again();
        site.server.wait_for("Dashboard: ");
    }

    /// Visitors buy, also those whose clicks are gone.
    fn sell(&mut self) {
        let Self { site, findings, results, .. } = self;
        let rows = site.rows();
        let there = rows.click_ids();
        let is_there = |link: &Followed| there.contains(&*link.click_id);
        let (known, callers): (Vec<_>, Vec<_>) =
            site.visits.followed.iter().partition(|link| !link.is_callers || is_there(link));
        let expected: BTreeSet<&str> =
            known.iter().filter(|link| !is_there(link)).map(|link| &*link.click_id).collect();
        let bought: Vec<_> = known.iter().map(|link| (link.affiliate, link.campaign, link.click_id.clone())).collect();
        let reports = {
            let _guard = site.runtime.enter();
            site.load.report(&bought, CLIENTS, &mut site.random)
        };
        let mut notes = site.runtime.block_on(reports.join_all());
        notes.push(notes_of(&known));
        site.runtime.block_on(are_unknown(site.server.address, &callers));

        let rows = site.rows();
        findings.note_oddities(&notes);
        findings.check_rows(&rows, &notes);
        site.runtime.block_on(findings.check_http(&rows, site.server.address, &site.load.places().affiliates));
        let recovered = rows.recovered();
        let wrong = expected.symmetric_difference(&recovered).count();
        findings.note(
            |found| &mut found.untrue,
            wrong,
            || format!("{wrong} clicks are recovered and not marked, or not"),
        );
        (results.recovered, results.callers) = (recovered.len(), callers.len());
    }

    /// Prints a row of the table of results.
    fn finish(self) {
        let Self { mut site, plan, findings, results } = self;
        let Results { mut waits, peak, drained, memory, unrecorded, recovered, callers } = results;
        waits.sort();
        let (p99, longest) = (percentile(&waits, 99), percentile(&waits, 100));
        let row = [
            format!("{}, {}, {}", plan.kind, FRAMEWORKS[plan.framework], Thousands(plan.capacity())),
            Thousands(site.visits.followed.len()).to_string(),
            Thousands(waits.len()).to_string(),
            site.visits.failures.len().to_string(),
            format!("{} ms", p99.as_millis()),
            format!("{} ms", longest.as_millis()),
            Thousands(peak as usize).to_string(),
            Seconds(drained).to_string(),
            format!("{:.1} MB", memory as f64 / 1024.0),
            Thousands(recovered).to_string(),
            findings.lost.to_string(),
            findings.twice.to_string(),
            Thousands(callers).to_string(),
        ];
        println!("| {} |", row.join(" | "));
        println!("{unrecorded} clicks did not fit into the queue");
        println!("{}", site.server.complaints());
        let failures: Vec<_> = site.visits.failures.iter().take(10).collect();
        assert!(failures.is_empty(), "{failures:#?}");
        findings.assert_none();
        assert!(memory < MEMORY, "the server has grown by {memory} kB");
        assert!(p99 <= DEADLINE + plan.slack, "visitors have waited too long");
    }
}

/// The server is told to stop while clicks are queued: it records them, if the database comes back in time.
pub(crate) fn run_stop(kind: Kind, framework: usize) {
    let Some(mut site) = Site::set_up(kind, framework, None) else { return };
    // Keeps his connection, as browsers do.
    let mut visitor = site.visitor();
    site.database.kill();
    site.runtime.block_on(async {
        for _ in 0..100 {
            visitor.follow_any().await;
        }
    });
    assert!(site.metric(QUEUED) > 50);
    site.server.terminate();
    site.server.wait_for("stopping");
    site.database.restart();
    let back = Instant::now();
    let (status, output) = site.server.finish();
    let took = back.elapsed();
    assert_eq!(status.code(), Some(0), "{output}");
    assert!(output.lines().any(|line| line.ends_with("stopped")), "{output}");
    println!("stopped {took:?} after the return of the database");
    assert!(took < Duration::from_secs(3), "it took {took:?} to stop:\n{output}");
    site.visits.append(visitor.visits);
    let missing = site.missing(&site.rows());
    assert!(missing.is_empty(), "{} clicks are missing", missing.len());

    // This time it does not come back.
    site.server.start_again();
    site.server.wait_for("Dashboard: ");
    let mut visitor = site.visitor();
    site.runtime.block_on(visitor.follow_each());
    site.database.kill();
    site.runtime.block_on(visitor.follow_each());
    assert!(site.metric(QUEUED) > 0);
    let told = Instant::now();
    site.server.terminate();
    let (status, output) = site.server.finish();
    let took = told.elapsed();
    assert_eq!(status.code(), Some(0), "{output}");
    assert!(output.contains("queued clicks are given up"), "{output}");
    assert!(took < GRACE + Duration::from_secs(2), "it took {took:?} to stop");
    assert!(visitor.visits.failures.is_empty(), "{:#?}", visitor.visits.failures);
    println!("stopped after {took:?}");
}

const QUEUED: &str = "tracking_queued_clicks";
const RECORDED: &str = "tracking_links_total{click=\"recorded\"}";
const QUEUED_LINKS: &str = "tracking_links_total{click=\"queued\"}";
const UNRECORDED: &str = "tracking_links_total{click=\"unrecorded\"}";
const NEW: &str = "tracking_clicks_total{result=\"new\"}";

async fn metric(server: SocketAddr, name: &str) -> u64 {
    let answer = call(server, &Request::get("/metrics")).await;
    let text = answer.body.as_str().unwrap();
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.map_or(0, |value| value.parse::<f64>().unwrap() as u64)
}

async fn call(server: SocketAddr, request: &Request) -> Answer {
    Connection::open(server).await.unwrap().call(request).await.unwrap()
}

/// The most clicks that were seen in the queue.
struct Peak {
    highest: Arc<AtomicU64>,
    watching: JoinHandle<()>,
}

impl Peak {
    fn watch(runtime: &Runtime, server: SocketAddr) -> Self {
        let highest = Arc::new(AtomicU64::new(0));
        let seen = Arc::clone(&highest);
        let watching = runtime.spawn(async move {
            loop {
                seen.fetch_max(metric(server, QUEUED).await, Relaxed);
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        });
        Self { highest, watching }
    }

    fn highest(self) -> u64 {
        self.watching.abort();
        self.highest.load(Relaxed)
    }
}

async fn link_that_nobody_followed(server: SocketAddr) -> String {
    let mut connection = Connection::open(server).await.unwrap();
    let affiliate = Request::post("/affiliates", &json!({"name": "Newcomer"}));
    let (affiliate, _) = created(&mut connection, &affiliate).await;
    let campaign = json!({"name": "New shop", "destination_url": "https://new.example/?ref={click_id}"});
    let (campaign, _) = created(&mut connection, &Request::post("/campaigns", &campaign)).await;
    format!("/go?affiliate_id={affiliate}&campaign_id={campaign}")
}

/// What needs the database says so while it is away.
async fn are_refused(server: SocketAddr, known: Followed, strange_link: String) {
    let Followed { affiliate, campaign, click_id, .. } = known;
    let click = Request::get(&format!("/click?affiliate_id={affiliate}&campaign_id={campaign}&click_id=abc"));
    let postback = format!("/postback?affiliate_id={affiliate}&click_id={click_id}&amount=1&currency=USD");
    let (postback, link) = (Request::get(&postback), Request::get(&strange_link));
    let (click, postback, page) = tokio::join!(call(server, &click), call(server, &postback), call(server, &link));
    for answer in [&click, &postback] {
        assert_eq!((answer.status, &answer.body["error"]["code"]), (503, &json!("store_unavailable")), "{answer:?}");
    }
    for answer in [&click, &postback, &page] {
        assert!(answer.header("retry-after").parse::<u32>().is_ok(), "{answer:?}");
    }
    assert_eq!((page.status, page.header("location")), (503, ""), "{page:?}");
    assert!(matches!(&page.body, Value::String(html) if html.starts_with("<!doctype html>")), "{page:?}");
}

/// Clicks with ids of the caller's that have not been recorded are gone.
async fn are_unknown(server: SocketAddr, lost: &[&Followed]) {
    let mut connection = Connection::open(server).await.unwrap();
    for Followed { affiliate, click_id, .. } in lost {
        let path = format!("/postback?affiliate_id={affiliate}&click_id={click_id}&amount=1&currency=USD");
        let answer = connection.call(&Request::get(&path)).await.unwrap();
        assert_eq!((answer.status, &answer.body["error"]["code"]), (404, &json!("unknown_click")), "{path}");
    }
}

/// What the visitors know of clicks that have to be there.
fn notes_of(followed: &[&Followed]) -> Notes {
    let secrets = Secrets::from(Secret::new(SECRET).unwrap());
    let clicks = followed.iter().map(|link| {
        let Followed { affiliate, campaign, click_id, .. } = link;
        let told = match secrets.origin(&ClickId::new(click_id).unwrap()) {
            ClickIdOrigin::Minted(claims) => {
                let claimed = (claims.affiliate_id.as_u64() as i64, claims.campaign_id.as_u64() as i64);
                assert_eq!(claimed, (*affiliate, *campaign), "{click_id}");
                vec![ClickTold { is_new: true, timestamp: claims.created_at.to_string() }]
            }
            ClickIdOrigin::Caller => Vec::new(),
            ClickIdOrigin::Forged => panic!("{click_id} is not genuine"),
        };
        ClickNote { affiliate: *affiliate, campaign: *campaign, click_id: click_id.clone(), told }
    });
    Notes { clicks: clicks.collect(), ..Notes::default() }
}

/// Of what is sorted.
fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    sorted[(sorted.len() * percent).div_ceil(100) - 1]
}

/// 12,345.
struct Thousands(usize);

impl fmt::Display for Thousands {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0 / 1000, self.0 % 1000) {
            (0, rest) => write!(f, "{rest}"),
            (thousands, rest) => write!(f, "{},{rest:03}", Thousands(thousands)),
        }
    }
}
