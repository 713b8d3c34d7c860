#![doc = include_str!("../README.md")]

mod reader;

use std::io::Cursor;
use std::sync::Arc;
use std::sync::atomic::{AtomicIsize, Ordering};

use bytes::Bytes;
use rocket::data::ToByteUnit;
use rocket::http::{Method, Status};
use rocket::route::{Handler, Outcome};
use rocket::{Data, Request, Response, Route, tokio};
use tracking_http::http::header::{CONTENT_LENGTH, HOST, X_CONTENT_TYPE_OPTIONS};
use tracking_http::http::{self, HeaderName, HeaderValue};
use tracking_http::{Api, Body, BodyError, Match, Resolution};

use crate::reader::Reader;

pub use tracking_http;

/// The tracker's routes, to be mounted anywhere: `rocket.mount("/tracking", routes(api))`.
///
/// They have a rank of 100 or more, so that the application's own routes come first, and no two trackers have the same,
/// so that their mount points may nest. A request that is not for the tracker is forwarded as not found, with its body
/// unread. Every other answer is complete and enters no catcher.
pub fn routes(api: impl Into<Arc<Api>>) -> Vec<Route> {
    static NEXT_RANK: AtomicIsize = AtomicIsize::new(100);
    let rank = NEXT_RANK.fetch_add(1, Ordering::Relaxed);
    let tracking = Tracking(api.into());
    METHODS.map(|method| Route::ranked(rank, method, "/<path..>", tracking.clone())).into()
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
        let method = method(request);
        let mount = request.route().map_or("", |route| route.uri.base().trim_end_matches('/'));
        let below = request.uri().path().as_str().strip_prefix(mount).unwrap_or_default();
        let response = match Resolution::of(&method, below) {
            Resolution::Found(matched) => {
                let parts = parts(request, method);
                // Not `client_ip`, which is whatever the client writes into `X-Real-IP`.
                let peer = request.remote().map(|peer| peer.ip());
                let is_awaited = api.awaits_body(matched, &parts, peer).await;
                let body = if is_awaited { read(matched, request, data).await } else { Ok(Bytes::new()) };
                api.handle(matched, &parts, peer, body).await
            }
            Resolution::MethodNotAllowed(allow) => api.method_not_allowed(allow),
            Resolution::NotFound => return Outcome::Forward((data, Status::NotFound)),
        };
        Outcome::Success(convert(response))
    }
}

/// The method that the client has sent: for Rocket a `POST` of a form may say another one, by a field `_method`, before anybody
/// is asked. No other method has a form here.
fn method(request: &Request<'_>) -> http::Method {
    match request.method() {
        Method::Put | Method::Patch | Method::Delete if request.content_type().is_some_and(|kind| kind.is_form()) => {
            http::Method::POST
        }
        method => method.as_str().parse().unwrap_or_default(),
    }
}

/// The request in the types of http 1. What comes from a request that was parsed already can be parsed again.
fn parts(request: &Request<'_>, method: http::Method) -> http::request::Parts {
    let (mut parts, ()) = http::Request::new(()).into_parts();
    parts.method = method;
    parts.uri = request.uri().to_string().try_into().unwrap_or_default();
    parts.headers = request
        .headers()
        .iter()
        .filter_map(|header| {
            let name: HeaderName = header.name().as_str().parse().ok()?;
            let value: HeaderValue = header.value().parse().ok()?;
            Some((name, value))
        })
        .collect();
    // In HTTP/2 it is no header.
    if let Some(host) = request.host()
        && !parts.headers.contains_key(HOST)
        && let Ok(host) = host.to_string().try_into()
    {
        parts.headers.insert(HOST, host);
    }
    parts
}

async fn read(matched: Match, request: &Request<'_>, mut data: Data<'_>) -> Result<Bytes, BodyError> {
    let length: Option<usize> = request.headers().get_one(CONTENT_LENGTH.as_str()).and_then(|text| text.parse().ok());
    // Rocket has looked at so many bytes of each body already, for a `_method`, and has told nobody if it could not read
    // them. A body that it has not seen the end of has more than these.
    const PEEKED: usize = "_method=delete".len();
    if length.is_none() && !data.peek_complete() && data.peek(PEEKED).await.len() < PEEKED {
        return Err(BodyError::Incomplete);
    }
    let whole = data.open(matched.max_body_len().bytes()).into_bytes();
    match tokio::time::timeout(matched.body_timeout(), whole).await {
        Ok(Ok(body)) if !body.is_complete() => Err(BodyError::TooLarge),
        Ok(Ok(body)) if length.is_some_and(|length| body.len() < length) => Err(BodyError::Incomplete),
        Ok(Ok(body)) => Ok(body.into_inner().into()),
        Ok(Err(_)) | Err(_) => Err(BodyError::Incomplete),
    }
}

fn convert(response: http::Response<Body>) -> Response<'static> {
    let (parts, body) = response.into_parts();
    let mut converted = Response::build();
    converted.status(Status::new(parts.status.as_u16()));
    for (name, value) in &parts.headers {
        // Rocket's Shield sets this one on every answer, and would warn of each that has it already.
        if name == X_CONTENT_TYPE_OPTIONS {
            continue;
        }
        // Every header of ours is visible ASCII.
        if let Ok(value) = value.to_str() {
            converted.raw_header_adjoin(name.as_str().to_owned(), value.to_owned());
        }
    }
    match body {
        Body::Whole(body) => converted.sized_body(body.len(), Cursor::new(body)),
        Body::Chunks(chunks) => converted.streamed_body(Reader::new(chunks)).max_chunk_size(64 * 1024),
    };
    converted.finalize()
}
