#![doc = include_str!("../README.md")]

use std::pin::pin;
use std::sync::Arc;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use futures_util::{Stream, StreamExt};
use tracking_http::http::{HeaderMap, Method, Request, Uri};
use tracking_http::{Allow, Api, BodyError, Match, Resolution};
use warp::filters::BoxedFilter;
use warp::path::{FullPath, Tail};
use warp::reply::Response;
use warp::{Filter, Rejection};

pub use tracking_http;

/// The tracker's routes, to be mounted anywhere: `warp::path("tracking").and(routes(api))`, or just `routes(api)`.
///
/// A request that is not for the tracker is rejected as not found, so that the application's other routes get it,
/// with its body unread. Every other answer is complete and enters no recovery.
pub fn routes(api: impl Into<Arc<Api>>) -> BoxedFilter<(Response,)> {
    let api = api.into();
    let query = warp::query::raw().or(warp::any().map(String::new)).unify();
    warp::method()
        .and(warp::path::full())
        .and(warp::path::tail())
        .and_then(resolve)
        .untuple_one()
        .and(query)
        .and(warp::header::headers_cloned())
        .and(warp::body::stream())
        .then(move |resolved, method, path: FullPath, query: String, headers, body| {
            answer(Arc::clone(&api), resolved, method, uri(path.as_str(), &query), headers, body)
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

async fn answer(
    api: Arc<Api>,
    resolved: Result<Match, Allow>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: impl Stream<Item = Result<impl Buf, warp::Error>> + Send,
) -> Response {
    let response = match resolved {
        Ok(matched) => {
            let body = if matched.reads_body() { read(body).await } else { Ok(Bytes::new()) };
            let (mut request, ()) = Request::new(()).into_parts();
            (request.method, request.uri, request.headers) = (method, uri, headers);
            api.handle(matched, &request, body).await
        }
        Err(allow) => api.method_not_allowed(allow),
    };
    response.map(Into::into)
}

/// Path and query come from a URI that was parsed already, so that they make one again.
fn uri(path: &str, query: &str) -> Uri {
    let text = if query.is_empty() { path.to_owned() } else { [path, "?", query].concat() };
    text.try_into().unwrap_or_default()
}

async fn read(body: impl Stream<Item = Result<impl Buf, warp::Error>>) -> Result<Bytes, BodyError> {
    let whole = async {
        let mut body = pin!(body);
        let mut read = BytesMut::new();
        while let Some(chunk) = body.next().await {
            let chunk = chunk.map_err(|_| BodyError::Incomplete)?;
            if read.len() + chunk.remaining() > Api::MAX_BODY_LEN {
                return Err(BodyError::TooLarge);
            }
            read.put(chunk);
        }
        Ok(read.freeze())
    };
    tokio::time::timeout(Api::BODY_TIMEOUT, whole).await.unwrap_or(Err(BodyError::Incomplete))
}
