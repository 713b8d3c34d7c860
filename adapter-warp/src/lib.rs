#![doc = include_str!("../README.md")]

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use futures_util::{Stream, StreamExt};
use tracking_http::http::header::HOST;
use tracking_http::http::request::Parts;
use tracking_http::http::{HeaderMap, Method, Request};
use tracking_http::{Allow, Api, Body, BodyError, Match, Resolution};
use warp::filters::BoxedFilter;
use warp::host::Authority;
use warp::path::{FullPath, Tail};
use warp::reply::{Reply, Response};
use warp::{Filter, Rejection};

pub use tracking_http;

/// The tracker's routes, to be mounted anywhere: `warp::path("tracking").and(routes(api))`, or just `routes(api)`.
///
/// A request that is not for the tracker is rejected as not found, so that the application's other routes get it,
/// with its body unread. Every other answer is complete and enters no recovery.
pub fn routes(api: impl Into<Arc<Api>>) -> BoxedFilter<(Response,)> {
    let api = api.into();
    let query = warp::query::raw().or(warp::any().map(String::new)).unify();
    // In HTTP/2 the host is no header. Where it is one there is nothing to look for.
    let is_header = warp::header::value(HOST.as_str()).map(|_| None);
    let host = is_header.or(warp::host::optional()).unify().or(warp::any().map(|| None)).unify();
    let peer = warp::addr::remote().map(|peer: Option<SocketAddr>| peer.map(|peer| peer.ip()));
    warp::method()
        .and(warp::path::full())
        .and(warp::path::tail())
        .and_then(resolve)
        .untuple_one()
        .and(query)
        .and(host)
        .and(warp::header::headers_cloned())
        .and(peer)
        .and(warp::body::stream())
        .then(move |resolved: Result<Match, Allow>, method, path, query: String, host, headers, peer, body| {
            let api = Arc::clone(&api);
            let request = parts(method, &path, &query, host, headers);
            async move {
                let response = match resolved {
                    Ok(matched) => {
                        let is_awaited = api.awaits_body(matched, &request, peer).await;
                        let body = if is_awaited { read(matched, body).await } else { Ok(Bytes::new()) };
                        api.handle(matched, &request, peer, body).await
                    }
                    Err(allow) => api.method_not_allowed(allow),
                };
                convert(response)
            }
        })
        .boxed()
}

type Resolved = (Result<Match, Allow>, Method, FullPath);

async fn resolve(method: Method, whole: FullPath, below: Tail) -> Result<Resolved, Rejection> {
    // The slash between the mount point and what is below it belongs to the latter.
    let start = whole.as_str().len() - below.as_str().len();
    let start = if whole.as_str()[..start].ends_with('/') { start - 1 } else { start };
    match Resolution::of(&method, &whole.as_str()[start..]) {
        Resolution::Found(matched) => Ok((Ok(matched), method, whole)),
        Resolution::MethodNotAllowed(allow) => Ok((Err(allow), method, whole)),
        Resolution::NotFound => Err(warp::reject::not_found()),
    }
}

fn parts(method: Method, path: &FullPath, query: &str, host: Option<Authority>, headers: HeaderMap) -> Parts {
    let (mut parts, ()) = Request::new(()).into_parts();
    let path = path.as_str();
    // Path and query come from a URI that was parsed already, so that they make one again.
    let uri = if query.is_empty() { path.to_owned() } else { [path, "?", query].concat() };
    parts.uri = uri.try_into().unwrap_or_default();
    (parts.method, parts.headers) = (method, headers);
    if let Some(host) = host
        && let Ok(host) = host.as_str().try_into()
    {
        parts.headers.insert(HOST, host);
    }
    parts
}

async fn read(matched: Match, body: impl Stream<Item = Result<impl Buf, warp::Error>>) -> Result<Bytes, BodyError> {
    let whole = async {
        let mut body = pin!(body);
        let mut read = BytesMut::new();
        while let Some(chunk) = body.next().await {
            let chunk = chunk.map_err(|_| BodyError::Incomplete)?;
            if read.len() + chunk.remaining() > matched.max_body_len() {
                return Err(BodyError::TooLarge);
            }
            read.put(chunk);
        }
        Ok(read.freeze())
    };
    tokio::time::timeout(matched.body_timeout(), whole).await.unwrap_or(Err(BodyError::Incomplete))
}

fn convert(response: tracking_http::http::Response<Body>) -> Response {
    let (parts, body) = response.into_parts();
    let body = match body {
        Body::Whole(body) => body.into(),
        // An error resets the connection, or in HTTP/2 the stream.
        Body::Chunks(chunks) => warp::reply::stream(chunks).into_response().into_body(),
    };
    Response::from_parts(parts, body)
}
