//! The conformance suite of adapters, in a Rocket application.

#![allow(clippy::expect_used, reason = "a test that can't go on has failed")]

use std::net::SocketAddr;

use rocket::config::{Config, LogLevel};
use rocket::fairing::AdHoc;
use rocket::http::Status;
use rocket::{catch, catchers, get, post, routes};
use tokio::sync::oneshot;
use tracking_http::conformance::App;

#[get("/host/before")]
fn before() -> &'static str {
    "before"
}

#[get("/")]
fn home() -> &'static str {
    "home"
}

#[get("/host/after")]
fn after() -> &'static str {
    "after"
}

#[get("/tracking/inside")]
fn inside() -> &'static str {
    "inside"
}

#[post("/host/echo", data = "<body>")]
fn echo(body: String) -> String {
    body
}

#[catch(404)]
fn host_404() -> &'static str {
    "host 404"
}

#[catch(default)]
fn host_error(_: Status, _: &rocket::Request<'_>) -> &'static str {
    "host error"
}

async fn serve(app: App) -> SocketAddr {
    let (sender, receiver) = oneshot::channel();
    let launched = AdHoc::on_liftoff("address", |rocket| {
        let address = SocketAddr::new(rocket.config().address, rocket.config().port);
        sender.send(address).expect("the test waits");
        Box::pin(async {})
    });
    let config = Config { port: 0, log_level: LogLevel::Off, ..Config::debug_default() };
    let mut rocket = rocket::custom(config).mount("/", routes![before]).attach(launched);
    for (mount, api) in app.trackers {
        rocket = rocket.mount(if mount.is_empty() { "/" } else { mount }, adapter_rocket::routes(api));
    }
    let rocket = rocket.mount("/", routes![home, after, inside, echo]).register("/", catchers![host_404, host_error]);
    tokio::spawn(rocket.launch());
    receiver.await.expect("Rocket launches")
}

tracking_http::adapter_conformance!(serve, storage_memory::MemoryStore::new());
