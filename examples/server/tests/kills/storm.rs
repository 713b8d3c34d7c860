//! A storm of retries: every postback comes up to five times, in any order, while servers are killed.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::thread::sleep;
use std::time::{Duration, Instant};

use test_server::Kind;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use crate::check::{Findings, Rows};
use crate::load::{Lane, Load};
use crate::random::Random;
use crate::sales::{Arrived, Message, Place, Sale, Told, is_answer};
use crate::servers::Server;
use crate::{DATABASE, PATIENCE, Seconds, create_database, seeded};

/// What is to happen.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) kind: Kind,
    pub(crate) servers: usize,
    pub(crate) sales: usize,
    pub(crate) senders: usize,
    /// How often a server is killed and started again: the one, then the other.
    pub(crate) kills: usize,
}

/// Which statuses a sale is reported with. The last of them is the one that it ends with, whichever comes first.
const STORIES: [&[Option<&str>]; 6] = [
    &[None],
    &[None, Some("rejected")],
    &[Some("approved"), Some("rejected")],
    &[Some("pending"), Some("approved")],
    &[Some("pending"), Some("rejected")],
    &[Some("pending"), Some("approved"), Some("rejected")],
];

pub(crate) fn run(plan: Plan) {
    let mut random = seeded();
    let Some(database) = test_server::Server::start_durable(plan.kind) else { return };
    let url = format!("{}/{DATABASE}", database.url());
    let runtime = Runtime::new().unwrap();
    runtime.block_on(create_database(database.url()));
    let mut servers: Vec<Server> =
        (0..plan.servers).map(|index| Server::start(index, &url, None, &mut random)).collect();
    let addresses: Vec<_> = servers.iter().map(|server| server.address).collect();
    let load = Arc::new(runtime.block_on(Load::prepare(addresses.clone())));
    let place = Place::of(&load);

    let sale = |number| Sale { click_id: format!("storm-{number}"), told: Vec::new() };
    let mut sales: Vec<Sale> = (0..plan.sales).map(sale).collect();
    let messages = messages(plan.sales, &mut random);
    let total = messages.len();
    let storm = Arc::new(Storm {
        clicks: sales.iter().map(|sale| sale.click_id.clone()).collect(),
        messages: Mutex::new(messages),
        answered: AtomicUsize::new(0),
        place,
    });
    let mut lanes: Vec<Lane> = (0..plan.senders).map(|_| Lane::new(Arc::clone(&load), random.fork())).collect();
    runtime.block_on(async {
        for click_id in &storm.clicks {
            lanes[0].until(&place.click(click_id), |answer| answer.status == 200).await;
        }
    });

    let started = Instant::now();
    let guard = runtime.enter();
    let senders: JoinSet<_> = lanes.into_iter().map(|lane| Arc::clone(&storm).send(lane)).collect();
    drop(guard);
    for kill in 0..plan.kills {
        storm.await_answers((kill + 1) * total / (plan.kills + 1));
        let server = &mut servers[kill % plan.servers];
        server.kill();
        server.start_again();
    }
    let mut findings = Findings::default();
    for (lane, told) in runtime.block_on(senders.join_all()) {
        for oddity in lane.oddities {
            findings.note(|found| &mut found.untrue, 1, || oddity);
        }
        for told in told {
            sales[told.message.sale].told.push(told);
        }
    }
    let took = started.elapsed();

    let rows = runtime.block_on(Rows::read(&url, false));
    findings.check_counts_and_histories(&rows);
    findings.check_sales(&rows, &sales, Arrived::NotAll);
    for server in &mut servers {
        server.wait_for("Dashboard: ");
        runtime.block_on(findings.check_http(&rows, server.address, &load.places().affiliates));
    }
    let Plan { kind, servers: count, kills, .. } = plan;
    let (retries, recorded) = (load.retries.load(Relaxed), rows.conversions.len());
    let Findings { lost, twice, strangers, untrue, .. } = findings;
    println!(
        "| {kind}, servers: {count} | {kills} | {} | {total} | {retries} | {recorded} | {lost} | {twice} | {strangers} | {untrue} | {} |",
        plan.sales,
        Seconds(took)
    );
    for server in &mut servers {
        println!("{}", server.complaints());
    }
    findings.assert_none();
}

/// Every postback of every sale, one to five times, in any order.
fn messages(sales: usize, random: &mut Random) -> VecDeque<Message> {
    let mut messages = Vec::new();
    for sale in 0..sales {
        let amount = 1_000_000 + random.below(1_000_000_000) as i64;
        for status in *random.one_of(&STORIES) {
            let times = 1 + random.below(5);
            messages.extend((0..times).map(|_| Message { sale, amount, status: *status }));
        }
    }
    random.shuffle(&mut messages);
    messages.into()
}

struct Storm {
    /// Of each sale.
    clicks: Vec<String>,
    /// Those that are to be sent yet.
    messages: Mutex<VecDeque<Message>>,
    answered: AtomicUsize,
    place: Place,
}

impl Storm {
    async fn send(self: Arc<Self>, mut lane: Lane) -> (Lane, Vec<Told>) {
        let mut told = Vec::new();
        while let Some(message) = self.next() {
            let request = self.place.postback(&self.clicks[message.sale], message);
            // Where there is none, the lane has told why.
            if let Some(answer) = lane.until(&request, is_answer).await {
                told.push(Told { message, status: answer.status, answer: answer.body });
            }
            self.answered.fetch_add(1, Relaxed);
        }
        (lane, told)
    }

    fn next(&self) -> Option<Message> {
        self.messages.lock().unwrap().pop_front()
    }

    fn await_answers(&self, count: usize) {
        let started = Instant::now();
        while self.answered.load(Relaxed) < count {
            assert!(started.elapsed() < PATIENCE, "no call is answered any more");
            sleep(Duration::from_millis(1));
        }
    }
}
