//! What the load scripts run. It serves `/click`, and `/postback` where there is a database, on a free port of the
//! loopback interface, and prints its address: in one of two frameworks, by a handler written by hand or by the tracker.
//! And it fills a database, and times what reports take there; and it sends requests at a fixed rate. `scripts/load-click`,
//! `scripts/load-mysql` and `scripts/load-reports` compare all that, and `docs/performance.md` has the results.

mod answer;
mod bare;
mod fill;
mod growth;
mod on_rocket;
mod on_warp;
mod pace;
mod plain;
mod tracker;

use std::error::Error;
use std::io::{self, Write};
use std::net::SocketAddr;

use storage_mysql::{MySqlStore, Options};

use crate::pace::Pace;

const USAGE: &str = "usage: load warp|rocket bare|tracker
       load warp plain DATABASE
       load warp|rocket tracker DATABASE
       load fill DATABASE AFFILIATES CAMPAIGNS CLICKS PERCENT
       load growth DATABASE CALLS
       load migrate DATABASE
       load pace clicks ADDRESS RATE CONNECTIONS SECONDS AFFILIATES CAMPAIGNS TEXT
       load pace pages ADDRESS RATE CONNECTIONS SECONDS < PATHS";

#[tokio::main(worker_threads = 2)]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["warp", "bare"] => on_warp::serve(on_warp::bare()).await,
        ["warp", "plain", database] => on_warp::serve(plain::routes(database).await?).await,
        ["warp", "tracker"] => on_warp::serve(adapter_warp::routes(tracker::in_memory().await?)).await,
        ["warp", "tracker", database] => {
            on_warp::serve(adapter_warp::routes(tracker::in_database(database).await?)).await
        }
        ["rocket", "bare"] => on_rocket::serve(on_rocket::bare()).await,
        ["rocket", "tracker"] => on_rocket::serve(adapter_rocket::routes(tracker::in_memory().await?)).await,
        ["rocket", "tracker", database] => {
            on_rocket::serve(adapter_rocket::routes(tracker::in_database(database).await?)).await
        }
        ["fill", database, affiliates, campaigns, clicks, percent] => {
            let clicks = fill::Clicks {
                affiliates: affiliates.parse()?,
                campaigns: campaigns.parse()?,
                count: clicks.parse()?,
                percent: percent.parse()?,
            };
            fill::fill(database, clicks).await
        }
        ["growth", database, calls] => growth::time_reports(database, calls.parse()?).await,
        ["migrate", database] => {
            Ok(MySqlStore::connect(database, Options::default()).await?.migrate().await.map(drop)?)
        }
        ["pace", what, address, rate, connections, seconds, ref rest @ ..] => {
            let address = address.parse()?;
            let pace = Pace { rate: rate.parse()?, connections: connections.parse()?, seconds: seconds.parse()? };
            match (what, rest) {
                ("clicks", [affiliates, campaigns, text]) => {
                    pace::clicks(address, pace, affiliates.parse()?, campaigns.parse()?, text).await
                }
                ("pages", []) => pace::pages(address, pace, io::stdin().lines().collect::<Result<_, _>>()?).await,
                _ => Err(USAGE.into()),
            }
        }
        _ => Err(USAGE.into()),
    }
}

fn announce(address: SocketAddr) -> io::Result<()> {
    writeln!(io::stdout(), "{address}")
}
