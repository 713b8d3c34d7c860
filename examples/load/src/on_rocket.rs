use std::error::Error;
use std::net::SocketAddr;

use rocket::config::{Config, LogLevel};
use rocket::fairing::AdHoc;
use rocket::serde::json::Json;
use rocket::{Route, get, routes};

use crate::answer::{Answer, Click};
use crate::bare;

#[get("/click?<affiliate_id>&<campaign_id>&<click_id>")]
fn click(affiliate_id: u32, campaign_id: u32, click_id: String) -> Json<Answer<Click>> {
    Json(bare::answer(affiliate_id, campaign_id, click_id))
}

pub(crate) fn bare() -> Vec<Route> {
    routes![click]
}

pub(crate) async fn serve(routes: Vec<Route>) -> Result<(), Box<dyn Error>> {
    let config = Config { port: 0, log_level: LogLevel::Off, ..Config::release_default() };
    let announce = AdHoc::on_liftoff("address", |rocket| {
        Box::pin(async {
            let Config { address, port, .. } = *rocket.config();
            if crate::announce(SocketAddr::new(address, port)).is_err() {
                rocket.shutdown().notify();
            }
        })
    });
    rocket::custom(config).mount("/", routes).attach(announce).launch().await?;
    Ok(())
}
