//! What somebody reads who has just started the server.

use std::io::{self, Write};
use std::net::SocketAddr;

use crate::demo::Played;
use crate::sample::{AFFILIATE, CAMPAIGN};
use crate::settings::{Framework, Settings, Store};
use crate::traffic::DAYS;

pub(crate) fn print(settings: &Settings, address: SocketAddr, base_url: &str, demo: Option<Played>) {
    // Nobody may be listening; that is no reason to stop.
    _ = io::stdout().lock().write_all(text(settings, address, base_url, demo).as_bytes());
    tracing::info!(%address, framework = %settings.framework, "listening");
    if settings.tokens.is_none() {
        tracing::warn!("reports and pages are open to everybody on this machine; TRACKING_ADMIN_TOKEN closes them");
    }
    for name in &settings.unknown_variables {
        tracing::warn!(name, "an environment variable is not a setting of this server; --help lists those that are");
    }
}

fn text(settings: &Settings, address: SocketAddr, base_url: &str, demo: Option<Played>) -> String {
    let framework = match settings.framework {
        Framework::Warp => "warp",
        Framework::Rocket => "Rocket",
    };
    let store = match &settings.store {
        Store::Memory => "Records are in memory, and gone when the server stops.".to_owned(),
        Store::Database(database) => format!("Records are in the database {}.", database.url),
    };
    let demo = demo.map_or_else(String::new, |Played { clicks, conversions }| {
        format!("For demonstration: {clicks} clicks and {conversions} conversions of the last {DAYS} days, and more to come.\n")
    });
    let log_in = match settings.tokens {
        Some(_) => "Log in:    with the admin token\n",
        None => "",
    };
    format!(
        "Affiliate tracking, on {framework}\n\
         \n\
         Listening: {address}\n\
         Dashboard: {base_url}/dashboard\n\
         {log_in}\
         \n\
         {store}\n\
         {demo}\
         Try it: follow the tracking link of the sample affiliate, and buy something.\n\
         \n\
         \x20 {base_url}/go?affiliate_id={AFFILIATE}&campaign_id={CAMPAIGN}\n\
         \n\
         Or without a browser: a click, and then a sale.\n\
         \n\
         \x20 curl '{base_url}/click?affiliate_id={AFFILIATE}&campaign_id={CAMPAIGN}&click_id=abc123'\n\
         \x20 curl '{base_url}/postback?affiliate_id={AFFILIATE}&click_id=abc123&amount=100&currency=USD'\n\
         \n\
         Stop with Ctrl-C.\n"
    )
}
