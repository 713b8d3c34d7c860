//! Visitors who follow links, and note where they get and how long it takes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::http::{Connection, Request};
use crate::load::{Load, browser};
use crate::random::Random;

/// A visitor who waits longer than this has gone.
const PATIENCE: Duration = Duration::from_secs(10);

/// A link that was followed.
#[derive(Debug, Clone)]
pub(crate) struct Followed {
    pub(crate) affiliate: i64,
    pub(crate) campaign: i64,
    pub(crate) click_id: String,
    /// Whether the link had its click id; otherwise the server has made it.
    pub(crate) is_callers: bool,
    pub(crate) sent: Instant,
    pub(crate) took: Duration,
}

/// What visitors have seen.
#[derive(Debug, Default)]
pub(crate) struct Visits {
    pub(crate) followed: Vec<Followed>,
    /// Links that did not lead to their shop.
    pub(crate) failures: Vec<String>,
}

impl Visits {
    pub(crate) fn append(&mut self, mut other: Self) {
        self.followed.append(&mut other.followed);
        self.failures.append(&mut other.failures);
    }
}

/// Visitors on their way.
#[derive(Debug)]
pub(crate) struct Visitors {
    visitors: JoinSet<Visits>,
    is_over: Arc<AtomicBool>,
}

impl Visitors {
    /// Lets them begin. Between two links each pauses for so long at the most.
    pub(crate) fn start(visitors: Vec<Visitor>, pause: Duration) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let visitors = visitors.into_iter().map(|visitor| visitor.run(pause, Arc::clone(&is_over))).collect();
        Self { visitors, is_over }
    }

    /// Lets them finish what they have begun.
    pub(crate) async fn stop(self) -> Visits {
        self.is_over.store(true, Relaxed);
        let mut visits = Visits::default();
        self.visitors.join_all().await.into_iter().for_each(|visit| visits.append(visit));
        visits
    }
}

/// One visitor, whose browser keeps its connection.
#[derive(Debug)]
pub(crate) struct Visitor {
    load: Arc<Load>,
    server: SocketAddr,
    random: Random,
    connection: Option<Connection>,
    pub(crate) visits: Visits,
}

impl Visitor {
    pub(crate) fn new(load: Arc<Load>, server: SocketAddr, random: Random) -> Self {
        Self { load, server, random, connection: None, visits: Visits::default() }
    }

    async fn run(mut self, pause: Duration, is_over: Arc<AtomicBool>) -> Visits {
        while !is_over.load(Relaxed) {
            sleep(Duration::from_micros(self.random.below(pause.as_micros() as u64))).await;
            self.follow_any().await;
        }
        self.visits
    }

    /// Follows each link once.
    pub(crate) async fn follow_each(&mut self) {
        let load = Arc::clone(&self.load);
        for affiliate in &load.places().affiliates {
            for campaign in load.places().campaigns() {
                self.follow(*affiliate, campaign).await;
            }
        }
    }

    pub(crate) async fn follow_any(&mut self) {
        let affiliate = *self.random.one_of(&self.load.places().affiliates);
        let campaign = *self.random.one_of(&self.load.places().campaigns());
        self.follow(affiliate, campaign).await;
    }

    async fn follow(&mut self, affiliate: i64, campaign: i64) {
        let mut path = format!("/go?affiliate_id={affiliate}&campaign_id={campaign}&sub1=autumn");
        let own_id = self.random.one_in(8).then(|| format!("own-{:x}", self.random.below(u64::MAX)));
        if let Some(own_id) = &own_id {
            path += &format!("&click_id={own_id}");
        }
        let request = Request::get_as(&path, &browser(&mut self.random));
        let sent = Instant::now();
        let location = self.location(&request).await;
        let took = sent.elapsed();
        let shop = self.load.places().shop(campaign);
        let click_id = location.as_deref().map(|location| location.strip_prefix(&shop).unwrap_or_default());
        match click_id {
            Ok(click_id) if own_id.as_ref().map_or(click_id.starts_with("aptk_"), |own_id| own_id == click_id) => {
                let (click_id, is_callers) = (click_id.to_owned(), own_id.is_some());
                self.visits.followed.push(Followed { affiliate, campaign, click_id, is_callers, sent, took });
            }
            _ => self.visits.failures.push(format!("{path} after {took:?}: {location:?}")),
        }
    }

    /// Where he is sent on to, or why he is not.
    async fn location(&mut self, request: &Request) -> Result<String, String> {
        let answer = timeout(PATIENCE, async {
            let connection = match &mut self.connection {
                Some(connection) => connection,
                none => none.insert(Connection::open(self.server).await?),
            };
            connection.call(request).await
        });
        match answer.await {
            Ok(Ok(answer)) if answer.status == 302 => Ok(answer.header("location").to_owned()),
            Ok(Ok(answer)) => Err(format!("{} {}", answer.status, answer.body)),
            Ok(Err(error)) => {
                self.connection = None;
                Err(error.to_string())
            }
            Err(_) => {
                self.connection = None;
                Err("no answer".to_owned())
            }
        }
    }
}
