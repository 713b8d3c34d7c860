use std::net::SocketAddr;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde_json::{Map, Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
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

    pub(super) async fn send(&self, request: Request<String>) -> Reply {
        self.send_bytes(request.map(Bytes::from)).await
    }

    /// The same with a body that need not be a text.
    pub(super) async fn send_bytes(&self, request: Request<Bytes>) -> Reply {
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let (parts, body) = self.open(request).await.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let reply = Reply { status: parts.status, headers: parts.headers, body };
        self.check_documented(&method, &path, &reply);
        reply
    }

    /// The answer, whose body is still to be read.
    pub(super) async fn open(&self, mut request: Request<Bytes>) -> Response<Incoming> {
        let stream = TcpStream::connect(self.address).await.unwrap();
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        request.headers_mut().entry("host").or_insert(self.address.to_string().parse().unwrap());
        sender.send_request(request.map(Full::new)).await.unwrap()
    }

    /// Sends these bytes, closes its side, and returns whatever comes back.
    pub(super) async fn send_raw(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).await.unwrap();
        reply
    }

    /// Sends these bytes, leaves its side open, and returns the head of what comes back.
    pub(super) async fn send_unfinished(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        String::from_utf8(head).unwrap()
    }

    /// Every answer that any case gets from the JSON surface must be one that the OpenAPI document describes.
    fn check_documented(&self, method: &Method, path: &str, reply: &Reply) {
        for below in self.mounts.iter().filter_map(|mount| path.strip_prefix(mount)) {
            let Resolution::Found(matched) = Resolution::of(method, below) else { continue };
            let route = &ROUTES[matched.route];
            let document: Value = serde_json::from_str(&openapi::document("")).unwrap();
            let operation = &document["paths"][route.path][route.method.as_str().to_lowercase()];
            // Pages and assets are not in it.
            if operation.is_null() {
                continue;
            }
            let documented = &operation["responses"][reply.status.as_str()];
            assert!(
                documented.is_object(),
                "{method} {path} answers {}, which the OpenAPI document does not know",
                reply.status
            );
            if reply.body.is_empty() {
                continue;
            }
            let media_type = reply.header("content-type").split(';').next().unwrap_or_default();
            let content = &documented["content"][media_type];
            assert!(
                content.is_object(),
                "{method} {path} answers {media_type}, which the OpenAPI document does not know"
            );
            if media_type == "application/json" {
                let schema = &content["schema"];
                if let Err(problem) = check_schema(&document, schema, &reply.json()) {
                    panic!(
                        "{method} {path} answers what the OpenAPI document does not describe, {problem}: {}",
                        reply.text()
                    );
                }
            }
        }
    }
}

/// Whether a value is what a schema describes, as far as the schemas of our document go; and whether the schema knows
/// each field that the value has.
fn check_schema(document: &Value, schema: &Value, value: &Value) -> Result<(), String> {
    if let Some(reference) = schema["$ref"].as_str() {
        let target = reference.strip_prefix('#').and_then(|pointer| document.pointer(pointer));
        return check_schema(document, target.ok_or(format!("{reference} leads nowhere"))?, value);
    }
    if let Some(parts) = schema["allOf"].as_array().filter(|parts| parts.len() > 1) {
        return check_schema(document, &joined(document, parts)?, value);
    }
    if let Some(choices) = schema["oneOf"].as_array().or(schema["allOf"].as_array()) {
        let fits = choices.iter().any(|choice| check_schema(document, choice, value).is_ok());
        return if fits { Ok(()) } else { Err(format!("no choice fits {value}")) };
    }
    let types: Vec<&str> = match &schema["type"] {
        Value::String(one) => vec![one],
        Value::Array(many) => many.iter().filter_map(Value::as_str).collect(),
        _ => return Err(format!("a schema without a type for {value}")),
    };
    let fits = |wanted: &&str| match *wanted {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => false,
    };
    if !types.iter().any(fits) {
        return Err(format!("{value} is not of the type {types:?}"));
    }
    if let Some(allowed) = schema["enum"].as_array()
        && !allowed.contains(value)
    {
        return Err(format!("{value} is not among {allowed:?}"));
    }
    for item in value.as_array().into_iter().flatten() {
        check_schema(document, &schema["items"], item)?;
    }
    let Some(fields) = value.as_object() else { return Ok(()) };
    let Some(properties) = schema["properties"].as_object() else {
        // A map has values of one kind. What has neither may have anything: that is the document itself.
        let kind = &schema["additionalProperties"];
        return if kind.is_object() {
            fields.values().try_for_each(|value| check_schema(document, kind, value))
        } else {
            Ok(())
        };
    };
    for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        fields.get(name).ok_or(format!("{name} is missing"))?;
    }
    for (name, field) in fields {
        let property = properties.get(name).ok_or(format!("{name} is not described"))?;
        check_schema(document, property, field).map_err(|problem| format!("{name}: {problem}"))?;
    }
    Ok(())
}

/// The schema of an object that has the fields of all of these.
fn joined(document: &Value, parts: &[Value]) -> Result<Value, String> {
    let (mut properties, mut required) = (Map::new(), Vec::new());
    for part in parts {
        let pointer = part["$ref"].as_str().and_then(|reference| reference.strip_prefix('#'));
        let part = pointer.map_or(Some(part), |pointer| document.pointer(pointer));
        let fields = part.and_then(|part| part["properties"].as_object()).ok_or("a part of a schema has no fields")?;
        properties.extend(fields.clone());
        required.extend(part.and_then(|part| part["required"].as_array()).into_iter().flatten().cloned());
    }
    Ok(json!({"type": "object", "properties": properties, "required": required}))
}

impl Reply {
    pub(super) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("the body is UTF-8")
    }

    /// The lines of a table, the header first.
    pub(super) fn table(&self) -> Vec<Vec<String>> {
        assert_eq!(self.header("content-type"), "text/csv; charset=utf-8; header=present", "{}", self.text());
        let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(&*self.body);
        let lines = reader.records().map(|line| line.unwrap().iter().map(str::to_owned).collect());
        lines.collect()
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in {}", self.text()))
    }

    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}
