//! A standalone server for affiliate tracking: the library, mounted at the root of a server of its own, on warp or on
//! Rocket. `tracking-server --help` says what can be set.

#[allow(rustdoc::bare_urls, rustdoc::invalid_html_tags, reason = "some of its comments are the text of --help")]
mod admin;
mod database;
mod database_url;
mod demo;
mod demo_data;
mod dotenv;
mod greeting;
mod health;
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
mod traffic;

use std::convert::Infallible;
use std::error::Error;
use std::fmt::Display;
use std::future::pending;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::pin::pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use storage_memory::MemoryStore;
use storage_mysql::{Migrated, MySqlStore};
use tokio::runtime::{self, Runtime};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};
use tracing::subscriber::{NoSubscriber, with_default};
use tracking_core::{ClickId, Clock, SystemClock, Tracker};
use tracking_http::Api;
use tracking_http::guard::{self, Guard};

use crate::admin::{Administration, Format};
use crate::demo::{Demonstration, Played, Traffic};
use crate::metrics::Metrics;
use crate::settings::{Database, Framework, Settings, Store, Task};
use crate::signals::Signals;
use crate::site::Site;
use crate::start_error::StartError;
use crate::traffic::DAYS;

/// How long the requests under way may take when the server stops. Docker kills after ten seconds.
const GRACE: Duration = Duration::from_secs(8);

fn main() -> ExitCode {
    // What a .env says goes into the environment, which must be done while there is one thread only.
    let (task, settings) = match dotenv::load().map_err(Into::into).and_then(|()| Settings::read()) {
        Ok(read) => read,
        Err(error) => return fail(&error, ExitCode::from(2)),
    };
    if let Task::Health(server) = &task {
        return health::check(server).map_or_else(|error| fail(&error, ExitCode::FAILURE), |()| ExitCode::SUCCESS);
    }
    match run(task, settings) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error, ExitCode::FAILURE),
    }
}

fn run(task: Task, settings: Settings) -> Result<(), StartError> {
    logging::start(settings.log_filter.clone(), settings.log_format);
    let runtime = Runtime::new().map_err(StartError::Runtime)?;
    let done = match task {
        Task::Serve => {
            // Before anything is counted: nobody has made these calls.
            let demonstration = settings.is_demo.then(|| fill(&settings)).transpose()?;
            // Before the tracker and its routes are made: they ask for their counters once.
            let metrics = Metrics::install()?;
            let rocket = match settings.framework {
                Framework::Warp => None,
                Framework::Rocket => Some(Runtime::new().map_err(StartError::Runtime)?),
            };
            let served = runtime.block_on(serve(settings, demonstration, metrics, rocket.as_ref()));
            rocket.into_iter().for_each(Runtime::shutdown_background);
            served
        }
        Task::Migrate(database) => runtime.block_on(until_interrupted(migrate(database))),
        Task::DemoData { database, clicks } => {
            runtime.block_on(until_interrupted(insert_demo_data(settings, database, clicks)))
        }
        Task::Erase { database, click_id } => runtime.block_on(until_interrupted(erase(settings, database, click_id))),
        Task::Administer { database, what, format } => {
            runtime.block_on(until_interrupted(administer(settings, database, what, format)))
        }
        Task::Health(_) => Ok(()),
    };
    // The look-up of a host's name can't be cut short, and must not delay the end.
    runtime.shutdown_background();
    done
}

/// On a runtime of its own, so that none of its tasks outlives it.
fn fill(settings: &Settings) -> Result<Demonstration, StartError> {
    let runtime = runtime::Builder::new_current_thread().enable_time().build().map_err(StartError::Runtime)?;
    let (started, now) = (Instant::now(), SystemClock.now());
    let base_url = settings.base_url(settings.listen);
    let filling = demo::fill(DAYS, settings.memory_capacity, &settings.secrets, &settings.tracker, &base_url, now);
    // What happened then is no news.
    let demonstration = with_default(NoSubscriber::new(), || runtime.block_on(filling))?;
    let Played { clicks, conversions } = demonstration.traffic.played();
    tracing::info!(clicks, conversions, milliseconds = started.elapsed().as_millis(), "the demonstration is there");
    Ok(demonstration)
}

/// Serves on Rocket if there is a runtime for its connections, and otherwise on warp.
async fn serve(
    settings: Settings,
    demonstration: Option<Demonstration>,
    metrics: Metrics,
    rocket: Option<&Runtime>,
) -> Result<(), StartError> {
    let mut signals = Signals::listen().map_err(StartError::Signals)?;
    let (secrets, options) = (settings.secrets.clone(), settings.tracker.clone());
    let (filled, traffic) = demonstration.map(|Demonstration { store, traffic }| (store, traffic)).unzip();
    let (tracker, database) = match (&settings.store, filled) {
        (_, Some(filled)) => (Tracker::with_options(filled, secrets, options), None),
        (Store::Memory, None) => {
            (Tracker::with_options(MemoryStore::bounded(settings.memory_capacity), secrets, options), None)
        }
        (Store::Database(database), None) => {
            let (store, _) = tokio::select! {
                opened = database::open(database) => opened?,
                signal = signals.next() => {
                    tracing::info!(signal, "stopped, before the database was there");
                    return Ok(());
                }
            };
            (Tracker::with_options(store.clone(), secrets, options), Some(store))
        }
    };
    let tracker = Arc::new(tracker);
    let guard: Arc<dyn Guard> = match settings.tokens.clone() {
        Some(tokens) => Arc::new(guard::tokens(tokens)),
        None => Arc::new(guard::open()),
    };
    let api = Api::new(Arc::clone(&tracker), guard).trusted_proxies(settings.trusted_proxies.clone());
    let api = api.time_zone(settings.time_zone);
    let api = match &settings.public_url {
        Some(url) => api.public_url(url.clone()),
        None => api,
    };
    let api = Arc::new(api);
    let site = Arc::new(Site::new(Arc::clone(&api), metrics.clone(), Arc::clone(&tracker)));

    // The address is known once the port is, which may be left to the system.
    let listen = settings.listen;
    let ready = {
        let (site, tracker, played) = (Arc::clone(&site), Arc::clone(&tracker), traffic.as_ref().map(Traffic::played));
        move |address: SocketAddr| async move {
            let base_url = settings.base_url(address);
            match played {
                Some(_) => sample::relocate(&tracker, &base_url).await?,
                None => sample::insert(&tracker, &base_url).await?,
            }
            greeting::print(&settings, address, &base_url, played);
            site.set_base_url(base_url);
            Ok(())
        }
    };
    let (stop, stopped) = oneshot::channel::<()>();
    let stopped = async { _ = stopped.await };
    let mut serving = pin!(async {
        match rocket {
            None => on_warp::serve(api, site, listen, ready, stopped).await,
            Some(runtime) => on_rocket::serve(runtime.handle(), api, site, listen, ready, stopped).await,
        }
    });

    tokio::select! {
        ended = &mut serving => return ended,
        never = metrics.keep_up() => match never {},
        never = go_on(traffic, &tracker) => match never {},
        signal = signals.next() => tracing::info!(signal, "stopping, as soon as the requests under way are answered"),
    }
    drop(stop);
    let end = Instant::now() + GRACE;
    let ending = async {
        let served = serving.await;
        tracker.drained().await;
        if let Some(store) = database {
            close(&store).await;
        }
        served
    };
    tokio::select! {
        ended = timeout_at(end, ending) => match ended {
            Ok(ended) => {
                tracing::info!("stopped");
                ended
            }
            Err(_) => {
                // The time is over: this only looks.
                if timeout_at(end, tracker.drained()).await.is_err() {
                    tracing::warn!("queued clicks are given up, because the store did not take them in time");
                }
                tracing::warn!(seconds = GRACE.as_secs(), "stopped, with what took too long cut off");
                Ok(())
            }
        },
        signal = signals.next() => {
            tracing::warn!(signal, "stopped at once, by a second signal");
            Ok(())
        }
    }
}

/// Keeps a demonstration alive, if this is one.
async fn go_on(traffic: Option<Traffic>, tracker: &Tracker) -> Infallible {
    if let Some(traffic) = traffic {
        traffic.go_on(tracker).await;
    }
    pending().await
}

/// Sees through what was begun, and takes leave of the database, which would otherwise note a broken connection.
async fn close(store: &MySqlStore) {
    store.close().await;
    store.pool().close().await;
}

async fn until_interrupted(task: impl Future<Output = Result<(), StartError>>) -> Result<(), StartError> {
    let mut signals = Signals::listen().map_err(StartError::Signals)?;
    tokio::select! {
        done = task => done,
        signal = signals.next() => Err(StartError::Interrupted(signal)),
    }
}

async fn migrate(database: Database) -> Result<(), StartError> {
    let (store, migrated) = database::open(&database).await?;
    close(&store).await;
    let Migrated { from, to } = migrated;
    say(match from {
        from if from == to => format!("The tables in the database {} have version {to} already.", database.url),
        0 => format!("The tables in the database {} were created, with version {to}.", database.url),
        from => format!("The tables in the database {} were upgraded from version {from} to {to}.", database.url),
    });
    Ok(())
}

async fn insert_demo_data(settings: Settings, database: Database, clicks: u32) -> Result<(), StartError> {
    let (store, _) = database::open(&database).await?;
    let tracker = Tracker::with_options(store.clone(), settings.secrets.clone(), settings.tracker.clone());
    sample::insert(&tracker, &settings.base_url(settings.listen)).await?;
    let inserted = demo_data::insert(&tracker, clicks).await?;
    close(&store).await;
    say(format_args!("The database {} has, for demonstration: {inserted}.", database.url));
    Ok(())
}

async fn erase(settings: Settings, database: Database, click_id: ClickId) -> Result<(), StartError> {
    let (store, _) = database::open(&database).await?;
    let erased = Tracker::with_options(store.clone(), settings.secrets, settings.tracker).erase(&click_id).await;
    close(&store).await;
    say(match erased.map_err(StartError::Erase)? {
        0 => format!("The database {} has no click with this id.", database.url),
        1 => format!("The click in the database {} is anonymous now.", database.url),
        erased => format!("The {erased} clicks in the database {} are anonymous now.", database.url),
    });
    Ok(())
}

async fn administer(
    settings: Settings,
    database: Database,
    what: Administration,
    format: Format,
) -> Result<(), StartError> {
    let (store, _) = database::open(&database).await?;
    let tracker = Tracker::with_options(store.clone(), settings.secrets, settings.tracker);
    let done = what.run(&tracker, format).await;
    close(&store).await;
    Ok(done?)
}

fn say(line: impl Display) {
    // Nobody may be listening; that is no reason to fail.
    _ = writeln!(io::stdout().lock(), "{line}");
}

/// Says in one line what is wrong.
fn fail(error: &dyn Error, code: ExitCode) -> ExitCode {
    let mut text = format!("error: {error}");
    let mut source = error.source();
    while let Some(error) = source {
        let error_text = error.to_string();
        // Some repeat their source.
        if !text.ends_with(&error_text) {
            text.push_str(": ");
            text.push_str(&error_text);
        }
        source = error.source();
    }
    // Where stderr is closed there is nobody left to tell.
    _ = writeln!(io::stderr().lock(), "{text}");
    code
}
