use std::net::SocketAddr;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

use super::harness::request;
use crate::endpoint::ROUTES;
use crate::{Resolution, openapi};

/// Sends requests as they are: no redirect is followed, no path is tidied up.
#[derive(Debug, Clone)]
pub(super) struct Client {
    address: SocketAddr,
    mounts: Vec<&'static str>,
}

#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Client {
    pub(super) fn new(address: SocketAddr, mounts: Vec<&'static str>) -> Self {
        Self { address, mounts }
    }

    pub(super) async fn get(&self, path: &str) -> Reply {
        self.send(request(Method::GET, path)).await
    }

    pub(super) async fn send(&self, mut request: Request<String>) -> Reply {
        let stream = TcpStream::connect(self.address).await.unwrap();
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        request.headers_mut().entry("host").or_insert(self.address.to_string().parse().unwrap());
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let response = sender.send_request(request.map(|body| Full::new(Bytes::from(body)))).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let reply = Reply { status: parts.status, headers: parts.headers, body };
        self.check_documented(&method, &path, reply.status);
        reply
    }

    /// Every answer that any case gets from the JSON surface must be one that the OpenAPI document knows.
    fn check_documented(&self, method: &Method, path: &str, status: StatusCode) {
        for below in self.mounts.iter().filter_map(|mount| path.strip_prefix(mount)) {
            if let Resolution::Found(matched) = Resolution::of(method, below) {
                let route = &ROUTES[matched.route];
                let document: Value = serde_json::from_str(openapi::document()).unwrap();
                let operation = &document["paths"][route.path][route.method.as_str().to_lowercase()];
                let documented = &operation["responses"][status.as_str()];
                assert!(
                    operation.is_null() || documented.is_object(),
                    "{method} {path} answers {status}, which the OpenAPI document does not know"
                );
            }
        }
    }
}

impl Reply {
    pub(super) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("the body is UTF-8")
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in {}", self.text()))
    }

    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}
