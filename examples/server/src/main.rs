//! A standalone server for affiliate tracking: the library, mounted at the root of a server of its own, on warp or on
//! Rocket. `tracking-server --help` says what can be set.

mod dotenv;
mod greeting;
mod logging;
mod metrics;
mod on_rocket;
mod on_warp;
mod sample;
#[allow(rustdoc::bare_urls, rustdoc::broken_intra_doc_links, reason = "its comments are the text of --help")]
mod settings;
mod shop;
mod signals;
mod site;
mod start_error;

use std::error::Error;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::pin::pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use storage_memory::MemoryStore;
use tokio::sync::oneshot;
use tracking_core::Tracker;
use tracking_http::Api;
use tracking_http::guard::{self, Guard};

use crate::metrics::Metrics;
use crate::settings::{Framework, Settings, Store};
use crate::signals::Signals;
use crate::site::Site;
use crate::start_error::StartError;

/// How long the requests under way may take when the server stops. Docker kills after ten seconds.
const GRACE: Duration = Duration::from_secs(8);

fn main() -> ExitCode {
    // What a .env says goes into the environment, which must be done while there is one thread only.
    let settings = match dotenv::load().map_err(Into::into).and_then(|()| Settings::read()) {
        Ok(settings) => settings,
        Err(error) => return fail(&error, ExitCode::from(2)),
    };
    match run(settings) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error, ExitCode::FAILURE),
    }
}

fn run(settings: Settings) -> Result<(), StartError> {
    logging::start(settings.log_filter.clone(), settings.log_format);
    // Before the tracker and its routes are made: they ask for their counters once.
    let metrics = Metrics::install()?;
    let runtime = tokio::runtime::Runtime::new().map_err(StartError::Runtime)?;
    runtime.block_on(serve(settings, metrics))
}

async fn serve(settings: Settings, metrics: Metrics) -> Result<(), StartError> {
    let mut signals = Signals::listen().map_err(StartError::Signals)?;
    let tracker = Arc::new(match settings.store {
        Store::Memory => Tracker::new(MemoryStore::bounded(settings.memory_capacity)),
    });
    let guard: Arc<dyn Guard> = match &settings.admin_token {
        Some(token) => Arc::new(guard::token(token)),
        None => Arc::new(guard::open()),
    };
    let api = Api::new(Arc::clone(&tracker), Arc::clone(&guard));
    let api = match &settings.public_url {
        Some(url) => api.public_url(url.clone()),
        None => api,
    };
    let site = Arc::new(Site::new(guard, metrics.clone()));

    // The address is known once the port is, which may be left to the system.
    let ready = {
        let (site, settings) = (Arc::clone(&site), settings.clone());
        move |address: SocketAddr| async move {
            let base_url = settings.base_url(address);
            sample::insert(&tracker, &base_url).await?;
            greeting::print(&settings, address, &base_url);
            site.set_base_url(base_url);
            Ok(())
        }
    };
    let (stop, stopped) = oneshot::channel::<()>();
    let stopped = async { _ = stopped.await };
    let mut serving = pin!(async {
        match settings.framework {
            Framework::Warp => on_warp::serve(api, site, settings.listen, ready, stopped).await,
            Framework::Rocket => on_rocket::serve(api, site, settings.listen, ready, stopped).await,
        }
    });

    tokio::select! {
        ended = &mut serving => return ended,
        never = metrics.keep_up() => match never {},
        signal = signals.next() => tracing::info!(signal, "stopping, as soon as the requests under way are answered"),
    }
    drop(stop);
    tokio::select! {
        ended = &mut serving => {
            tracing::info!("stopped");
            ended
        }
        () = tokio::time::sleep(GRACE) => {
            tracing::warn!(seconds = GRACE.as_secs(), "stopped, with requests cut off that took too long");
            Ok(())
        }
        signal = signals.next() => {
            tracing::warn!(signal, "stopped at once, by a second signal");
            Ok(())
        }
    }
}

/// Says in one line what is wrong.
fn fail(error: &dyn Error, code: ExitCode) -> ExitCode {
    let mut stderr = io::stderr().lock();
    // Where stderr is closed there is nobody left to tell.
    _ = write!(stderr, "error: {error}");
    let mut source = error.source();
    while let Some(error) = source {
        _ = write!(stderr, ": {error}");
        source = error.source();
    }
    _ = writeln!(stderr);
    code
}
