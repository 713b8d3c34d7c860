//! The conformance suite of adapters, in a warp application.

#![allow(clippy::expect_used, reason = "a test that can't go on has failed")]

use std::convert::Infallible;
use std::net::SocketAddr;

use bytes::Bytes;
use tokio::net::TcpListener;
use tracking_http::conformance::App;
use warp::filters::BoxedFilter;
use warp::http::StatusCode;
use warp::reply::{Reply, Response};
use warp::{Filter, Rejection};

async fn serve(app: App) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    let mut routes = text("host/before", "before");
    for (mount, api) in app.trackers {
        let tracker = under(mount, adapter_warp::routes(api));
        routes = routes.or(tracker).unify().boxed();
    }
    let home = warp::path::end().and(warp::get()).map(|| "home".into_response()).boxed();
    let echo = warp::post().and(warp::body::bytes()).map(|body: Bytes| Response::new(body.into()));
    let echo = under("host/echo", warp::path::end().and(echo).boxed());
    for route in [home, text("host/after", "after"), text("tracking/inside", "inside"), echo] {
        routes = routes.or(route).unify().boxed();
    }
    tokio::spawn(warp::serve(routes.recover(host_page)).incoming(listener).run());
    address
}

fn text(path: &'static str, text: &'static str) -> BoxedFilter<(Response,)> {
    under(path, warp::path::end().and(warp::get()).map(move || text.into_response()).boxed())
}

/// A route below a path of any depth.
fn under(path: &'static str, filter: BoxedFilter<(Response,)>) -> BoxedFilter<(Response,)> {
    let segments = path.split('/').filter(|segment| !segment.is_empty());
    segments.rev().fold(filter, |filter, segment| warp::path(segment).and(filter).boxed())
}

async fn host_page(rejection: Rejection) -> Result<Response, Infallible> {
    let (status, text) = if rejection.is_not_found() {
        (StatusCode::NOT_FOUND, "host 404")
    } else {
        (StatusCode::BAD_REQUEST, "host error")
    };
    Ok(warp::reply::with_status(text, status).into_response())
}

tracking_http::adapter_conformance!(serve, storage_memory::MemoryStore::new());
