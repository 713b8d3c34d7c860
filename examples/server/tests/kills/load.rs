//! Clients that do what advertisers and visitors' browsers do, and remember what they were told.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::check::Payout;
use crate::http::{Answer, Connection, Request};
use crate::random::Random;

/// How long a client waits for an answer before it asks again, over another connection.
const PATIENCE: Duration = Duration::from_secs(10);
/// A call that finds no acknowledgement for so long, in spite of all retries, has failed the test.
const LIMIT: Duration = Duration::from_secs(40);
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(200);

const AFFILIATES: usize = 3;
const CURRENCIES: [&str; 3] = ["EUR", "JPY", "USD"];
const EVENTS: [&str; 3] = ["conversion", "sale", "lead"];

/// A click, or several calls about one.
#[derive(Debug)]
pub(crate) struct ClickNote {
    pub(crate) affiliate: i64,
    pub(crate) campaign: i64,
    pub(crate) click_id: String,
    pub(crate) told: Vec<ClickTold>,
}

/// What an acknowledgement said.
#[derive(Debug)]
pub(crate) struct ClickTold {
    pub(crate) is_new: bool,
    pub(crate) timestamp: String,
}

/// A conversion, or several calls about one.
#[derive(Debug)]
pub(crate) struct ConversionNote {
    pub(crate) affiliate: i64,
    pub(crate) click_id: String,
    pub(crate) event: &'static str,
    pub(crate) transaction_id: String,
    /// In millionths.
    pub(crate) amount: i64,
    pub(crate) currency: &'static str,
    pub(crate) told: Vec<ConversionTold>,
}

/// What an acknowledgement said, besides what was sent.
#[derive(Debug)]
pub(crate) struct ConversionTold {
    pub(crate) is_new: bool,
    pub(crate) id: i64,
    pub(crate) campaign: i64,
    pub(crate) timestamp: String,
    pub(crate) status: String,
    pub(crate) payout: Option<Payout>,
}

#[derive(Debug, Default)]
pub(crate) struct Notes {
    pub(crate) clicks: Vec<ClickNote>,
    pub(crate) conversions: Vec<ConversionNote>,
    /// Answers that no fault explains.
    pub(crate) oddities: Vec<String>,
}

/// Where clicks go.
#[derive(Debug)]
pub(crate) struct Places {
    pub(crate) affiliates: Vec<i64>,
    /// Anyone may send their postbacks.
    open_campaigns: [i64; 2],
    /// With its postback key.
    keyed_campaign: (i64, String),
}

impl Places {
    /// Each leads to a shop of its own.
    pub(crate) fn campaigns(&self) -> [i64; 3] {
        let [one, two] = self.open_campaigns;
        [one, two, self.keyed_campaign.0]
    }

    /// Where the links of this campaign lead to, without the click id at its end.
    pub(crate) fn shop(&self, campaign: i64) -> String {
        let number = self.campaigns().iter().position(|known| *known == campaign).unwrap();
        shop(number)
    }

    /// What postbacks of this campaign have to present.
    fn token(&self, campaign: i64) -> Option<&str> {
        let (keyed, token) = &self.keyed_campaign;
        (*keyed == campaign).then_some(token)
    }
}

fn shop(number: usize) -> String {
    format!("https://shop-{number}.example/?ref=")
}

/// What all clients have in common.
#[derive(Debug)]
pub(crate) struct Load {
    servers: Vec<SocketAddr>,
    places: Places,
    is_over: AtomicBool,
    pub(crate) acknowledged: AtomicU64,
    pub(crate) retries: AtomicU64,
    watch: Mutex<Option<Watch>>,
}

/// Somebody who waits for the first call that is sent after this moment, and acknowledged.
#[derive(Debug)]
struct Watch {
    since: Instant,
    /// By this server; by any if there is none.
    server: Option<usize>,
    seen: mpsc::Sender<Instant>,
}

impl Load {
    /// Creates affiliates and campaigns.
    pub(crate) async fn prepare(servers: Vec<SocketAddr>) -> Self {
        let mut connection = Connection::open(servers[0]).await.unwrap();
        let mut affiliates = Vec::new();
        for number in 0..AFFILIATES {
            let request = Request::post("/affiliates", &json!({"name": format!("Affiliate {number}")}));
            affiliates.push(created(&mut connection, &request).await.0);
        }
        let payouts = [json!({"percent": 12.5}), Value::Null, json!({"amount": 0.75, "currency": "EUR"})];
        let campaign = |number: usize, auth: &str| {
            let (url, rules) = (shop(number) + "{click_id}", json!({"payout": payouts[number]}));
            let campaign = json!({"name": "Shop", "destination_url": url, "postback_auth": auth, "rules": rules});
            Request::post("/campaigns", &campaign)
        };
        let one = created(&mut connection, &campaign(0, "open")).await.0;
        let open_campaigns = [one, created(&mut connection, &campaign(1, "open")).await.0];
        let (id, key) = created(&mut connection, &campaign(2, "key")).await;
        let places = Places { affiliates, open_campaigns, keyed_campaign: (id, key.unwrap()) };
        Self {
            servers,
            places,
            is_over: AtomicBool::new(false),
            acknowledged: AtomicU64::new(0),
            retries: AtomicU64::new(0),
            watch: Mutex::new(None),
        }
    }

    pub(crate) fn places(&self) -> &Places {
        &self.places
    }

    /// Lets so many clients begin.
    pub(crate) fn start(self: &Arc<Self>, clients: usize, random: &mut Random) -> JoinSet<Notes> {
        let client = |number| Client::new(number, Arc::clone(self), random.fork()).run();
        (0..clients).map(client).collect()
    }

    /// Lets so many clients report a sale for each of these clicks: affiliate, campaign and click id.
    pub(crate) fn report(
        self: &Arc<Self>,
        clicks: &[(i64, i64, String)],
        clients: usize,
        random: &mut Random,
    ) -> JoinSet<Notes> {
        let shares = clicks.chunks(clicks.len().div_ceil(clients).max(1));
        let report = |(number, share): (usize, &[_])| {
            Client::new(number, Arc::clone(self), random.fork()).report(share.to_vec())
        };
        shares.enumerate().map(report).collect()
    }

    /// Lets the clients finish what they have begun.
    pub(crate) fn finish(&self) {
        self.is_over.store(true, Relaxed);
    }

    /// Gets the moment at which the first call is acknowledged that is sent from now on.
    pub(crate) fn watch(&self, server: Option<usize>) -> mpsc::Receiver<Instant> {
        let (seen, receiver) = mpsc::channel();
        *self.watch.lock().unwrap() = Some(Watch { since: Instant::now(), server, seen });
        receiver
    }

    fn acknowledge(&self, server: usize, sent: Instant) {
        self.acknowledged.fetch_add(1, Relaxed);
        let mut watch = self.watch.lock().unwrap();
        let is_awaited = |watch: &Watch| sent >= watch.since && watch.server.is_none_or(|awaited| awaited == server);
        if watch.as_ref().is_some_and(is_awaited)
            && let Some(watch) = watch.take()
        {
            _ = watch.seen.send(Instant::now());
        }
    }
}

/// The id of what was created, and its postback key.
pub(crate) async fn created(connection: &mut Connection, request: &Request) -> (i64, Option<String>) {
    let answer = connection.call(request).await.unwrap();
    assert_eq!(answer.status, 201, "{}", answer.body);
    let data = &answer.body["data"];
    (data["id"].as_i64().unwrap(), data["postback_key"].as_str().map(str::to_owned))
}

/// A visitor and the shop where he buys, again and again.
struct Client {
    name: String,
    load: Arc<Load>,
    random: Random,
    /// Two, so that a call can be sent twice at the same time.
    lanes: [Lane; 2],
    notes: Notes,
}

impl Client {
    fn new(number: usize, load: Arc<Load>, mut random: Random) -> Self {
        let lanes = std::array::from_fn(|_| Lane::new(Arc::clone(&load), random.fork()));
        Self { name: format!("visitor-{number}"), load, random, lanes, notes: Notes::default() }
    }

    async fn run(mut self) -> Notes {
        for visit in 0_u64.. {
            if self.load.is_over.load(Relaxed) {
                break;
            }
            let click_id = format!("{}-{visit}", self.name);
            self.visit(click_id).await;
        }
        self.finish()
    }

    /// Reports a sale for each of these clicks: affiliate, campaign and click id.
    async fn report(mut self, clicks: Vec<(i64, i64, String)>) -> Notes {
        let load = Arc::clone(&self.load);
        for (affiliate, campaign, click_id) in clicks {
            let transaction_id = if self.random.one_in(2) { "order-1".to_owned() } else { String::new() };
            self.postback(affiliate, &click_id, transaction_id, load.places.token(campaign)).await;
            let told = self.notes.conversions.last().and_then(|note| note.told.last());
            if told.is_none_or(|told| told.campaign != campaign) {
                self.notes.oddities.push(format!("{click_id} is of campaign {campaign}: {told:?}"));
            }
        }
        self.finish()
    }

    fn finish(mut self) -> Notes {
        for lane in &mut self.lanes {
            self.notes.oddities.append(&mut lane.oddities);
        }
        self.notes
    }

    async fn visit(&mut self, click_id: String) {
        let load = Arc::clone(&self.load);
        let places = &load.places;
        let affiliate = *self.random.one_of(&places.affiliates);
        let mut token = None;
        if self.random.one_in(16) {
            // One click id in two campaigns: the conversion belongs to one of them, and stays there.
            for campaign in places.open_campaigns {
                self.click(affiliate, campaign, &click_id).await;
            }
        } else if self.random.one_in(4) {
            self.click(affiliate, places.keyed_campaign.0, &click_id).await;
            token = Some(&*places.keyed_campaign.1);
        } else {
            let campaign = *self.random.one_of(&places.open_campaigns);
            self.click(affiliate, campaign, &click_id).await;
        }
        for number in 0..self.random.below(3) {
            // What differs in number only is told apart by the transaction id.
            let transaction_id = if number > 0 || self.random.one_in(2) {
                format!("order-{}", self.random.below(1_000_000) * 2 + number)
            } else {
                String::new()
            };
            self.postback(affiliate, &click_id, transaction_id, token).await;
        }
    }

    async fn click(&mut self, affiliate: i64, campaign: i64, click_id: &str) {
        let path = format!("/click?affiliate_id={affiliate}&campaign_id={campaign}&click_id={click_id}");
        let request = Request::get_as(&path, &browser(&mut self.random));
        let answers = self.call(&request).await;
        let sent = json!({"affiliate_id": affiliate, "campaign_id": campaign, "click_id": click_id});
        let told = answers.into_iter().map(|answer| {
            self.compare(&sent, &answer);
            ClickTold { is_new: is_new(&answer), timestamp: text(&answer["data"]["timestamp"]) }
        });
        let told = told.collect();
        self.notes.clicks.push(ClickNote { affiliate, campaign, click_id: click_id.to_owned(), told });
    }

    async fn postback(&mut self, affiliate: i64, click_id: &str, transaction_id: String, token: Option<&str>) {
        let (event, currency) = (*self.random.one_of(&EVENTS), *self.random.one_of(&CURRENCIES));
        let amount = self.random.below(1_000_000_000) as i64;
        let mut path =
            format!("/postback?affiliate_id={affiliate}&click_id={click_id}&event={event}&currency={currency}");
        path += &format!("&amount={}.{:06}", amount / 1_000_000, amount % 1_000_000);
        if !transaction_id.is_empty() {
            path += &format!("&transaction_id={transaction_id}");
        }
        let request = token.map_or_else(|| Request::get(&path), |token| Request::get_with_token(&path, token));
        let answers = self.call(&request).await;
        let mut sent = json!({"affiliate_id": affiliate, "click_id": click_id, "event": event, "currency": currency});
        if !transaction_id.is_empty() {
            sent["transaction_id"] = json!(transaction_id);
        }
        let mut told = Vec::new();
        for answer in answers {
            let data = &answer["data"];
            self.compare(&sent, &answer);
            if millionths(&data["amount"]) != amount {
                self.notes.oddities.push(format!("{amount} millionths were sent: {answer}"));
            }
            told.push(ConversionTold {
                is_new: is_new(&answer),
                id: data["conversion_id"].as_i64().unwrap(),
                campaign: data["campaign_id"].as_i64().unwrap(),
                timestamp: text(&data["timestamp"]),
                status: text(&data["status"]),
                payout: Payout::of_json(&data["payout"]),
            });
        }
        let click_id = click_id.to_owned();
        let note = ConversionNote { affiliate, click_id, event, transaction_id, amount, currency, told };
        self.notes.conversions.push(note);
    }

    /// Sends a call until it is acknowledged: once, twice, or twice at the same time.
    async fn call(&mut self, request: &Request) -> Vec<Value> {
        let [one, two] = &mut self.lanes;
        let (first, second) = match self.random.below(8) {
            0 => (one.until_acknowledged(request).await, one.until_acknowledged(request).await),
            1 => tokio::join!(one.until_acknowledged(request), two.until_acknowledged(request)),
            _ => (one.until_acknowledged(request).await, None),
        };
        first.into_iter().chain(second).collect()
    }

    fn compare(&mut self, sent: &Value, answer: &Value) {
        let is_same = |(name, value): (&String, &Value)| answer["data"][name] == *value;
        if !sent.as_object().unwrap().iter().all(is_same) {
            self.notes.oddities.push(format!("{sent} was answered by {answer}"));
        }
    }
}

/// One call at a time, on any of the servers.
pub(crate) struct Lane {
    load: Arc<Load>,
    random: Random,
    /// One for each server.
    connections: Vec<Option<Connection>>,
    pub(crate) oddities: Vec<String>,
}

impl Lane {
    pub(crate) fn new(load: Arc<Load>, random: Random) -> Self {
        let connections = load.servers.iter().map(|_| None).collect();
        Self { load, random, connections, oddities: Vec::new() }
    }

    /// What it was answered; nothing if it had to give up, which is an oddity.
    async fn until_acknowledged(&mut self, request: &Request) -> Option<Value> {
        self.until(request, |answer| answer.status == 200).await.map(|answer| answer.body)
    }

    /// The first answer that is one.
    pub(crate) async fn until(&mut self, request: &Request, is_answer: fn(&Answer) -> bool) -> Option<Answer> {
        let (started, mut pause) = (Instant::now(), FIRST_PAUSE);
        let mut server = self.random.below(self.connections.len() as u64) as usize;
        let mut last = String::from("nothing");
        while started.elapsed() < LIMIT {
            let sent = Instant::now();
            match timeout(PATIENCE, self.attempt(server, request)).await {
                Ok(Ok(answer)) if is_answer(&answer) => {
                    self.load.acknowledge(server, sent);
                    return Some(answer);
                }
                Ok(Ok(answer)) => {
                    last = format!("{} {}", answer.status, answer.body);
                    if answer.status != 503 {
                        self.oddities.push(format!("{request:?} was answered by {last}"));
                    }
                }
                Ok(Err(error)) => {
                    assert!(error.kind() != ErrorKind::InvalidData, "{error}");
                    last = error.to_string();
                    self.connections[server] = None;
                }
                Err(_) => {
                    last = format!("no answer within {PATIENCE:?}");
                    self.connections[server] = None;
                }
            }
            self.load.retries.fetch_add(1, Relaxed);
            server = (server + 1) % self.connections.len();
            sleep(pause.mul_f64(0.5 + self.random.below(1000) as f64 / 1000.0)).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        self.oddities.push(format!("{request:?} was not acknowledged within {LIMIT:?}; the last attempt got {last}"));
        None
    }

    async fn attempt(&mut self, server: usize, request: &Request) -> std::io::Result<Answer> {
        let connection = match &mut self.connections[server] {
            Some(connection) => connection,
            none => none.insert(Connection::open(self.load.servers[server]).await?),
        };
        connection.call(request).await
    }
}

/// The user agent of a visitor, who is one of some thousand and may come again; now and then that of a robot.
pub(crate) fn browser(random: &mut Random) -> String {
    let version = random.below(5_000);
    if random.one_in(16) {
        return format!("Mozilla/5.0 (compatible; Googlebot/2.{version}; +http://www.google.com/bot.html)");
    }
    format!("Mozilla/5.0 (X11; Linux x86_64; rv:{version}.0) Gecko/20100101 Firefox/{version}.0")
}

fn is_new(answer: &Value) -> bool {
    answer["duplicate"] != true
}

pub(crate) fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

/// An amount of money. Exact up to a billion, for which a float has digits enough.
pub(crate) fn millionths(amount: &Value) -> i64 {
    (amount.as_f64().unwrap() * 1e6).round() as i64
}
