//! Parallel postbacks of a few sales, on two servers with one database: duplicates, conflicts and changes of status.

use std::sync::Arc;
use std::time::Instant;

use test_server::Kind;
use tokio::runtime::Runtime;
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use crate::check::{Findings, Rows, STATUSES};
use crate::load::{Lane, Load};
use crate::random::Random;
use crate::sales::{Arrived, Message, Place, Sale, Told, is_answer};
use crate::servers::Server;
use crate::{DATABASE, Seconds, create_database, seeded};

const SALES: usize = 20;
const POSTBACKS: usize = 200;

/// So many rounds, each of which begins with sales of which nobody has heard.
pub(crate) fn run(kind: Kind, rounds: usize) {
    let mut random = seeded();
    let Some(database) = test_server::Server::start_durable(kind) else { return };
    let url = format!("{}/{DATABASE}", database.url());
    let runtime = Runtime::new().unwrap();
    runtime.block_on(create_database(database.url()));
    let servers: Vec<Server> = (0..2).map(|index| Server::start(index, &url, None, &mut random)).collect();
    let addresses: Vec<_> = servers.iter().map(|server| server.address).collect();
    let load = Arc::new(runtime.block_on(Load::prepare(addresses.clone())));
    let place = Place::of(&load);

    let started = Instant::now();
    let mut lanes: Vec<Lane> = (0..POSTBACKS).map(|_| Lane::new(Arc::clone(&load), random.fork())).collect();
    let mut sales = Vec::new();
    for round in 0..rounds {
        sales.append(&mut runtime.block_on(race(round, &mut lanes, place, &mut random)));
    }
    let took = started.elapsed();

    let mut findings = Findings::default();
    for oddity in lanes.iter().flat_map(|lane| &lane.oddities) {
        findings.note(|found| &mut found.untrue, 1, || oddity.clone());
    }
    let rows = runtime.block_on(Rows::read(&url, false));
    findings.check_counts_and_histories(&rows);
    findings.check_sales(&rows, &sales, Arrived::All);
    for address in addresses {
        runtime.block_on(findings.check_http(&rows, address, &load.places().affiliates));
    }
    let count = |code: u16| sales.iter().flat_map(|sale| &sale.told).filter(|told| told.status == code).count();
    let changes: usize = rows.conversions.iter().map(|conversion| conversion.history.len()).sum();
    let Findings { lost, twice, strangers, untrue, .. } = findings;
    println!(
        "| {kind}, two servers | {rounds} | {} | {} | {changes} | {} | {lost} | {twice} | {strangers} | {untrue} | {} |",
        rounds * POSTBACKS,
        rows.conversions.len(),
        count(409),
        Seconds(took)
    );
    findings.assert_none();
}

/// Sends all postbacks of a round at once.
async fn race(round: usize, lanes: &mut Vec<Lane>, place: Place, random: &mut Random) -> Vec<Sale> {
    let sale = |number| Sale { click_id: format!("race-{round}-{number}"), told: Vec::new() };
    let mut sales: Vec<Sale> = (0..SALES).map(sale).collect();
    for sale in &sales {
        lanes[0].until(&place.click(&sale.click_id), |answer| answer.status == 200).await;
    }
    let mut messages: Vec<Message> = (0..POSTBACKS).map(|number| message(number % SALES, random)).collect();
    random.shuffle(&mut messages);
    let (start, mut answers) = (Arc::new(Barrier::new(POSTBACKS)), JoinSet::new());
    for (mut lane, message) in std::mem::take(lanes).into_iter().zip(messages) {
        let (request, start) = (place.postback(&sales[message.sale].click_id, message), Arc::clone(&start));
        answers.spawn(async move {
            start.wait().await;
            let answer = lane.until(&request, is_answer).await;
            (lane, answer.map(|answer| Told { message, status: answer.status, answer: answer.body }))
        });
    }
    for (lane, told) in answers.join_all().await {
        lanes.push(lane);
        // Where there is none, the lane has told why.
        if let Some(told) = told {
            sales[told.message.sale].told.push(told);
        }
    }
    sales
}

/// Most are of one amount, and some of another.
fn message(sale: usize, random: &mut Random) -> Message {
    let amount = if random.one_in(4) { 12_340_000 } else { 99_950_001 } + sale as i64;
    let status = if random.one_in(3) { None } else { Some(*random.one_of(&STATUSES)) };
    Message { sale, amount, status }
}
