//! Serves `/click` on a free port of the loopback interface, and prints its address: in one of two frameworks, by a
//! bare handler or by the tracker. `scripts/load-click` compares them, and `docs/performance.md` has the results.

mod bare;
mod on_rocket;
mod on_warp;
mod tracker;

use std::error::Error;
use std::io::{self, Write};
use std::net::SocketAddr;

const USAGE: &str = "usage: load warp|rocket bare|tracker";

#[tokio::main(worker_threads = 2)]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["warp", "bare"] => on_warp::serve(on_warp::bare()).await,
        ["warp", "tracker"] => on_warp::serve(adapter_warp::routes(tracker::api().await?)).await,
        ["rocket", "bare"] => on_rocket::serve(on_rocket::bare()).await,
        ["rocket", "tracker"] => on_rocket::serve(adapter_rocket::routes(tracker::api().await?)).await,
        _ => Err(USAGE.into()),
    }
}

fn announce(address: SocketAddr) -> io::Result<()> {
    writeln!(io::stdout(), "{address}")
}
