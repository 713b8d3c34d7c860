#![doc = include_str!("../README.md")]

use std::io::Cursor;
use std::sync::Arc;

use bytes::Bytes;
use rocket::data::ToByteUnit;
use rocket::http::{Method, Status};
use rocket::route::{Handler, Outcome};
use rocket::{Data, Request, Response, Route, tokio};
use tracking_http::http::{self, HeaderName, HeaderValue};
use tracking_http::{Api, BodyError, Resolution};

pub use tracking_http;

/// The tracker's routes, to be mounted anywhere: `rocket.mount("/tracking", routes(api))`.
///
/// Their rank is positive, so that the application's own routes come first. A request that is not for the tracker is
/// forwarded as not found, with its body unread. Every other answer is complete and enters no catcher.
pub fn routes(api: impl Into<Arc<Api>>) -> Vec<Route> {
    const RANK: isize = 10;
    let tracking = Tracking(api.into());
    METHODS.map(|method| Route::ranked(RANK, method, "/<path..>", tracking.clone())).into()
}

/// All of them, because a method without a route would be answered with 404 instead of 405.
const METHODS: [Method; 9] = [
    Method::Get,
    Method::Put,
    Method::Post,
    Method::Delete,
    Method::Options,
    Method::Head,
    Method::Trace,
    Method::Connect,
    Method::Patch,
];

/// Carries its state along, where Rocket's managed state would have room for one tracker only.
#[derive(Debug, Clone)]
struct Tracking(Arc<Api>);

#[rocket::async_trait]
impl Handler for Tracking {
    async fn handle<'r>(&self, request: &'r Request<'_>, data: Data<'r>) -> Outcome<'r> {
        let Self(api) = self;
        let parts = parts(request);
        let mount = request.route().map_or("", |route| route.uri.base().trim_end_matches('/'));
        let below = parts.uri.path().strip_prefix(mount).unwrap_or_default();
        let response = match Resolution::of(&parts.method, below) {
            Resolution::Found(matched) => {
                let body = if matched.reads_body() { read(data).await } else { Ok(Bytes::new()) };
                api.handle(matched, &parts, body).await
            }
            Resolution::MethodNotAllowed(allow) => api.method_not_allowed(allow),
            Resolution::NotFound => return Outcome::Forward((data, Status::NotFound)),
        };
        Outcome::Success(convert(response))
    }
}

/// The request in the types of http 1. What comes from a request that was parsed already can be parsed again.
fn parts(request: &Request<'_>) -> http::request::Parts {
    let (mut parts, ()) = http::Request::new(()).into_parts();
    parts.method = request.method().as_str().parse().unwrap_or_default();
    parts.uri = request.uri().to_string().try_into().unwrap_or_default();
    parts.headers = request
        .headers()
        .iter()
        .filter_map(|header| Some((header.name().as_str().parse().ok()?, header.value().parse().ok()?)))
        .collect::<Vec<(HeaderName, HeaderValue)>>()
        .into_iter()
        .collect();
    parts
}

async fn read(data: Data<'_>) -> Result<Bytes, BodyError> {
    let whole = data.open(Api::MAX_BODY_LEN.bytes()).into_bytes();
    match tokio::time::timeout(Api::BODY_TIMEOUT, whole).await {
        Ok(Ok(body)) if body.is_complete() => Ok(body.into_inner().into()),
        Ok(Ok(_)) => Err(BodyError::TooLarge),
        Ok(Err(_)) | Err(_) => Err(BodyError::Incomplete),
    }
}

fn convert(response: http::Response<Bytes>) -> Response<'static> {
    let (parts, body) = response.into_parts();
    let mut converted = Response::build();
    converted.status(Status::new(parts.status.as_u16()));
    for (name, value) in &parts.headers {
        // Every header of ours is visible ASCII.
        if let Ok(value) = value.to_str() {
            converted.raw_header_adjoin(name.as_str().to_owned(), value.to_owned());
        }
    }
    converted.sized_body(body.len(), Cursor::new(body)).finalize()
}
