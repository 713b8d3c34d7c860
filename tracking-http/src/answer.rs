//! How answers look: status, headers, body.

use bytes::Bytes;
use http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION, REFERRER_POLICY,
    RETRY_AFTER, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde::Serialize;
use tracking_core::{Page, Rule};

use crate::chunks::{Body, Chunks};
use crate::pages::Asset;
use crate::refusal::{Header, Refusal};
use crate::wire::{Answer, ErrorAnswer, ErrorData, ListAnswer, RecordedAnswer};

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");
const CSV: HeaderValue = HeaderValue::from_static("text/csv; charset=utf-8; header=present");
const SVG: HeaderValue = HeaderValue::from_static("image/svg+xml");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
const IMMUTABLE: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");
const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");
/// Other sites learn nothing. Under `no-referrer` a browser would not even tell us that a form is from our own page: it
/// [sends `Origin: null`](https://fetch.spec.whatwg.org/#append-a-request-origin-header), and over plain http nothing else.
const OWN_REFERRER: HeaderValue = HeaderValue::from_static("same-origin");
const CSP: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; \
     base-uri 'none'; frame-ancestors 'none'",
);

pub(crate) fn json(status: StatusCode, answer: &impl Serialize) -> Response<Body> {
    // Enough for the answer to a click or postback, so that it is written without growing.
    let mut text = Vec::with_capacity(512);
    match serde_json::to_writer(&mut text, answer) {
        Ok(()) => json_text(status, text),
        Err(error) => {
            tracing::error!(%error, "an answer could not be written as JSON");
            let text = r#"{"success":false,"message":"Something is broken here; it has been logged.","error":{"code":"internal"}}"#;
            json_text(StatusCode::INTERNAL_SERVER_ERROR, text)
        }
    }
}

pub(crate) fn json_text(status: StatusCode, text: impl Into<Bytes>) -> Response<Body> {
    respond(status, [(CONTENT_TYPE, JSON), (CACHE_CONTROL, NO_STORE)], text)
}

pub(crate) fn found(data: impl Serialize) -> Response<Body> {
    json(StatusCode::OK, &Answer { success: true, data })
}

pub(crate) fn list<T: Serialize, R>(page: Page<R>, data: impl Fn(R) -> T) -> Response<Body> {
    let next_cursor = page.next.map(|cursor| cursor.to_string());
    let data: Vec<T> = page.items.into_iter().map(data).collect();
    json(StatusCode::OK, &ListAnswer { success: true, data, next_cursor })
}

pub(crate) fn created(location: &str, message: &str, data: impl Serialize) -> Response<Body> {
    let answer = RecordedAnswer { success: true, message: message.to_owned().into(), duplicate: false, data };
    with_header(json(StatusCode::CREATED, &answer), LOCATION, location)
}

pub(crate) fn refuse(refusal: Refusal) -> Response<Body> {
    let Refusal { status, code, message, parameter, rule, recorded, header } = refusal;
    let error = ErrorData { code, parameter, rule: rule.map(Rule::as_str), recorded };
    with_refusal_header(json(status, &ErrorAnswer { success: false, message, error }), header.as_ref())
}

/// Some HTML, as the answer to a refusal if there is one.
pub(crate) fn page(html: String, refusal: Option<&Refusal>) -> Response<Body> {
    let status = refusal.map_or(StatusCode::OK, |refusal| refusal.status);
    let headers = [
        (CONTENT_TYPE, HTML),
        (CACHE_CONTROL, NO_STORE),
        (CONTENT_SECURITY_POLICY, CSP),
        (REFERRER_POLICY, OWN_REFERRER),
    ];
    with_refusal_header(respond(status, headers, html), refusal.and_then(|refusal| refusal.header.as_ref()))
}

pub(crate) fn svg(image: String) -> Response<Body> {
    respond(StatusCode::OK, [(CONTENT_TYPE, SVG), (CACHE_CONTROL, NO_STORE), (CONTENT_SECURITY_POLICY, CSP)], image)
}

/// A table to be saved under this name, to which the ending is added. It is visible ASCII without quotation marks.
pub(crate) fn csv(name: &str, chunks: Chunks) -> Response<Body> {
    let response = respond(StatusCode::OK, [(CONTENT_TYPE, CSV), (CACHE_CONTROL, NO_STORE)], Bytes::new());
    let disposition = format!("attachment; filename=\"{name}.csv\"");
    with_header(response, CONTENT_DISPOSITION, &disposition).map(|_| Body::Chunks(chunks))
}

pub(crate) fn asset(asset: Asset) -> Response<Body> {
    let headers = [(CONTENT_TYPE, HeaderValue::from_static(asset.content_type)), (CACHE_CONTROL, IMMUTABLE)];
    respond(StatusCode::OK, headers, asset.bytes)
}

/// The URL may be any text of the host's: what can't stand in a header is percent-encoded.
pub(crate) fn see_other(url: &str) -> Response<Body> {
    const UNFIT: &AsciiSet = &CONTROLS.add(b' ');
    let url = utf8_percent_encode(url, UNFIT).to_string();
    with_header(respond(StatusCode::SEE_OTHER, [(CACHE_CONTROL, NO_STORE)], Bytes::new()), LOCATION, &url)
}

/// The way that a visitor is sent on. The URL is visible ASCII.
pub(crate) fn send_on(location: String) -> Response<Body> {
    match HeaderValue::from_maybe_shared(Bytes::from(location)) {
        Ok(location) => respond(StatusCode::FOUND, [(LOCATION, location), (CACHE_CONTROL, NO_STORE)], Bytes::new()),
        Err(error) => {
            tracing::error!(%error, "a destination can't stand in a header");
            refuse(Refusal::internal())
        }
    }
}

pub(crate) fn empty() -> Response<Body> {
    respond(StatusCode::OK, [(CACHE_CONTROL, NO_STORE)], Bytes::new())
}

fn respond<const N: usize>(
    status: StatusCode,
    headers: [(HeaderName, HeaderValue); N],
    body: impl Into<Bytes>,
) -> Response<Body> {
    let mut response = Response::new(Body::Whole(body.into()));
    *response.status_mut() = status;
    response.headers_mut().reserve(N + 1);
    response.headers_mut().extend(headers);
    response.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, NOSNIFF);
    response
}

fn with_refusal_header(response: Response<Body>, header: Option<&Header>) -> Response<Body> {
    match header {
        None => response,
        Some(Header::Allow(methods)) => with_header(response, ALLOW, &methods.to_string()),
        Some(Header::RetryAfterSeconds(seconds)) => with_header(response, RETRY_AFTER, &seconds.to_string()),
        Some(Header::Challenge(challenge)) => with_header(response, WWW_AUTHENTICATE, challenge),
    }
}

fn with_header(mut response: Response<Body>, name: HeaderName, value: &str) -> Response<Body> {
    match HeaderValue::from_str(value) {
        Ok(value) => {
            response.headers_mut().insert(name, value);
        }
        Err(_) => tracing::error!(header = %name, "a header was left out, because its value can't stand in a header"),
    }
    response
}
