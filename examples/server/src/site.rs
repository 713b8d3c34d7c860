//! What this server has besides the tracker, the same on every framework.

use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, LOCATION, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS};
use http::request::Parts;
use http::{HeaderName, HeaderValue, Method, Response, StatusCode};
use tracking_core::Tracker;
use tracking_http::guard::Access;
use tracking_http::{Api, Body};

use crate::metrics::Metrics;
use crate::shop;

/// The server's own routes. They take every request that the tracker does not.
pub(crate) struct Site {
    api: Arc<Api>,
    metrics: Metrics,
    tracker: Arc<Tracker>,
    base_url: OnceLock<String>,
}

impl Site {
    pub(crate) fn new(api: Arc<Api>, metrics: Metrics, tracker: Arc<Tracker>) -> Self {
        Self { api, metrics, tracker, base_url: OnceLock::new() }
    }

    /// Tells under which URL the server is reached, which is not known before it listens.
    pub(crate) fn set_base_url(&self, url: String) {
        // It is told once.
        _ = self.base_url.set(url);
    }

    /// Answers a request. `peer` is the address at the other end of the socket.
    pub(crate) async fn answer(&self, request: &Parts, peer: Option<IpAddr>) -> Response<Bytes> {
        let (path, query) = (request.uri.path(), request.uri.query().unwrap_or_default());
        if path == shop::ORDER_PATH {
            return match request.method {
                Method::POST => shop::order(&self.tracker, query).await,
                _ => with(refusal(StatusCode::METHOD_NOT_ALLOWED), ALLOW, "POST"),
            };
        }
        if !matches!(path, "/" | "/metrics" | shop::PATH | shop::STYLE_PATH) {
            return refusal(StatusCode::NOT_FOUND);
        }
        if request.method != Method::GET && request.method != Method::HEAD {
            return with(refusal(StatusCode::METHOD_NOT_ALLOWED), ALLOW, "GET, HEAD");
        }
        match path {
            "/metrics" => self.metrics(request, peer).await,
            shop::PATH => {
                let base_url = self.base_url.get().map(String::as_str).unwrap_or_default();
                shop::page(base_url, query)
            }
            shop::STYLE_PATH => shop::style(),
            // A relative URL is right behind a proxy that strips a prefix, too.
            _ => with(answer(StatusCode::TEMPORARY_REDIRECT, "text/plain", ""), LOCATION, "dashboard"),
        }
    }

    async fn metrics(&self, request: &Parts, peer: Option<IpAddr>) -> Response<Bytes> {
        match self.api.access(request, peer).await {
            Err(refused) => refused.map(|body| match body {
                Body::Whole(body) => body,
                // No refusal is so long.
                Body::Chunks(_) => Bytes::new(),
            }),
            Ok(Access::Admin | Access::ReadOnly) => {
                answer(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", self.metrics.render())
            }
            Ok(_) => {
                let challenge = r#"Basic realm="Affiliate tracking", charset="UTF-8""#;
                with(refusal(StatusCode::UNAUTHORIZED), WWW_AUTHENTICATE, challenge)
            }
        }
    }
}

/// A refusal in the form of the tracker's own.
pub(crate) fn refusal(status: StatusCode) -> Response<Bytes> {
    let (code, message) = match status {
        StatusCode::NOT_FOUND => ("not_found", "There is nothing at this path."),
        StatusCode::METHOD_NOT_ALLOWED => ("method_not_allowed", "This path takes other methods only."),
        StatusCode::UNAUTHORIZED => ("unauthorized", "Send the admin token as a bearer token."),
        status if status.is_server_error() => ("internal", "Something is broken here."),
        _ => ("bad_request", "The request can't be understood."),
    };
    let text = format!(r#"{{"success":false,"message":"{message}","error":{{"code":"{code}"}}}}"#);
    answer(status, "application/json", text)
}

pub(crate) fn answer(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Response<Bytes> {
    let response = with(Response::new(body.into()), CONTENT_TYPE, content_type);
    let mut response = with(with(response, CACHE_CONTROL, "no-store"), X_CONTENT_TYPE_OPTIONS, "nosniff");
    *response.status_mut() = status;
    response
}

pub(crate) fn with(mut response: Response<Bytes>, name: HeaderName, value: &'static str) -> Response<Bytes> {
    response.headers_mut().insert(name, HeaderValue::from_static(value));
    response
}
