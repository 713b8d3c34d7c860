//! The server on Rocket.

use std::collections::HashSet;
use std::future::poll_fn;
use std::io::{self, Cursor};
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderName;
use rocket::config::{Ident, LogLevel, Shutdown};
use rocket::error::ErrorKind;
use rocket::fairing::AdHoc;
use rocket::http::{Method, Status};
use rocket::route::{Handler, Outcome, Route};
use rocket::{Catcher, Config, Data, Request, Response, catcher};
use tokio::runtime::Handle;
use tracking_http::Api;

use crate::GRACE;
use crate::site::{Site, refusal};
use crate::start_error::StartError;

/// Serves until `stop` resolves and the requests under way are answered. Calls `ready` with the address that it listens
/// on before it takes the first request.
///
/// Connections become tasks of this runtime, which must have no others that stay: when it has none, all are closed.
pub(crate) async fn serve<R>(
    connections: &Handle,
    api: Arc<Api>,
    site: Arc<Site>,
    address: SocketAddr,
    ready: impl FnOnce(SocketAddr) -> R + Send + Sync + 'static,
    stop: impl Future<Output = ()>,
) -> Result<(), StartError>
where
    R: Future<Output = Result<(), StartError>> + Send + 'static,
{
    let not_ready = Arc::new(OnceLock::new());
    let failure = Arc::clone(&not_ready);
    let lift_off = AdHoc::on_liftoff("Ready", move |rocket| {
        let (address, shutdown) = (SocketAddr::new(rocket.config().address, rocket.config().port), rocket.shutdown());
        Box::pin(async move {
            if let Err(error) = ready(address).await {
                _ = failure.set(error);
                shutdown.notify();
            }
        })
    });
    let rocket = rocket::custom(config(address))
        .mount("/", adapter_rocket::routes(api))
        .mount("/", OwnRoutes(site))
        .register("/", [Catcher::new(None, refuse)])
        .attach(lift_off);
    let rocket = rocket.ignite().await.map_err(|error| explain(error, address))?;
    let shutdown = rocket.shutdown();
    let mut launched = pin!(spawning_on(connections, rocket.launch()));
    let ended = tokio::select! {
        ended = &mut launched => Some(ended),
        () = stop => None,
    };
    match ended {
        Some(ended) => {
            ended.map_err(|error| explain(error, address))?;
            Arc::into_inner(not_ready).and_then(OnceLock::into_inner).map_or(Ok(()), Err)
        }
        None => {
            shutdown.notify();
            tokio::select! {
                ended = &mut launched => ended.map(|_| ()).map_err(|error| explain(error, address)),
                () = last_task_ended(connections) => Ok(()),
            }
        }
    }
}

/// All in code, so that neither a `Rocket.toml` nor a `ROCKET_` variable changes anything by surprise.
fn config(address: SocketAddr) -> Config {
    Config {
        address: address.ip(),
        port: address.port(),
        ident: Ident::none(),
        ip_header: None,
        shutdown: Shutdown {
            ctrlc: false,
            #[cfg(unix)]
            signals: HashSet::new(),
            grace: GRACE.as_secs().try_into().unwrap_or(u32::MAX),
            mercy: 1,
            force: false,
            ..Shutdown::default()
        },
        log_level: LogLevel::Off,
        cli_colors: false,
        ..Config::release_default()
    }
}

/// The same future, except that the tasks that it spawns are of this runtime.
async fn spawning_on<F: Future>(runtime: &Handle, future: F) -> F::Output {
    let mut future = pin!(future);
    poll_fn(|context| {
        let _entered = runtime.enter();
        future.as_mut().poll(context)
    })
    .await
}

/// Rocket itself would wait for the whole grace period if any connection was open when it was told to stop, even if it
/// is closed a moment later. It does not tell how many there are, but each is a task, and so is what its requests have
/// begun, such as a batch of clicks that is being recorded.
async fn last_task_ended(runtime: &Handle) {
    let mut ticks = tokio::time::interval(Duration::from_millis(10));
    // The first tick comes at once. Until the second Rocket has been polled, and has left its accept loop.
    ticks.tick().await;
    loop {
        ticks.tick().await;
        if runtime.metrics().num_alive_tasks() == 0 {
            return;
        }
    }
}

/// An error of Rocket's panics when it is dropped unseen; asking for its kind counts as seeing it.
fn explain(error: rocket::Error, address: SocketAddr) -> StartError {
    match error.kind() {
        ErrorKind::Bind(source) => {
            let source = source.raw_os_error().map_or_else(|| source.kind().into(), io::Error::from_raw_os_error);
            StartError::Listen { address, source }
        }
        _ => StartError::Rocket(Box::new(error)),
    }
}

#[derive(Clone)]
struct OwnRoutes(Arc<Site>);

impl From<OwnRoutes> for Vec<Route> {
    fn from(routes: OwnRoutes) -> Self {
        // After the tracker's.
        const RANK: isize = 1000;
        [Method::Get, Method::Head, Method::Post, Method::Put, Method::Patch, Method::Delete, Method::Options]
            .map(|method| Route::ranked(RANK, method, "/<path..>", routes.clone()))
            .into()
    }
}

#[rocket::async_trait]
impl Handler for OwnRoutes {
    async fn handle<'r>(&self, request: &'r Request<'_>, _: Data<'r>) -> Outcome<'r> {
        let (mut parts, ()) = http::Request::new(()).into_parts();
        parts.method = request.method().as_str().parse().unwrap_or_default();
        parts.uri = request.uri().to_string().parse().unwrap_or_default();
        for header in request.headers().iter() {
            if let (Ok(name), Ok(value)) = (header.name().as_str().parse::<HeaderName>(), header.value().parse()) {
                parts.headers.append(name, value);
            }
        }
        let peer = request.remote().map(|peer| peer.ip());
        Outcome::Success(convert(self.0.answer(&parts, peer).await))
    }
}

/// What Rocket refuses before it comes to a route.
fn refuse<'r>(status: Status, _: &'r Request<'_>) -> catcher::BoxFuture<'r> {
    let status = http::StatusCode::from_u16(status.code).unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
    Box::pin(async move { Ok(convert(refusal(status))) })
}

fn convert(response: http::Response<Bytes>) -> Response<'static> {
    let (parts, body) = response.into_parts();
    let mut converted = Response::build();
    converted.status(Status::new(parts.status.as_u16()));
    for (name, value) in &parts.headers {
        if let Ok(value) = value.to_str() {
            converted.raw_header_adjoin(name.as_str().to_owned(), value.to_owned());
        }
    }
    converted.sized_body(body.len(), Cursor::new(body)).finalize()
}
