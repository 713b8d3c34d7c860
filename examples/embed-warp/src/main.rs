//! A small shop on warp, with affiliate tracking mounted under `/tracking`.

mod staff;

use std::error::Error;
use std::io::{self, Write};
use std::sync::Arc;

use askama::Template;
use serde::Deserialize;
use storage_memory::MemoryStore;
use tokio::net::TcpListener;
use tracking_core::{CampaignRequest, ConversionRequest, Outcome, Secret, Tracker};
use tracking_http::Api;
use tracking_http::guard::{self, Access};
use uuid::Uuid;
use warp::http::{Response, StatusCode};
use warp::{Filter, reply};

use crate::staff::Staff;

type BoxedError = Box<dyn Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), BoxedError> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:3030".to_owned());
    let listener = TcpListener::bind(address).await?;
    let url = format!("http://{}", listener.local_addr()?);

    let tracker = Arc::new(Tracker::new(MemoryStore::new(), Secret::random()));
    let affiliate = tracker.create_affiliate("Ada's reviews".parse()?).await?;
    let landing_page = format!("{url}/?affiliate_id={{affiliate_id}}&click_id={{click_id}}").parse()?;
    let campaign = tracker.create_campaign(CampaignRequest::new("Lamps".parse()?, landing_page)).await?.campaign;

    // Whoever is logged in to the shop may see the dashboard.
    let staff = Arc::new(Staff::new());
    let session = Arc::clone(&staff);
    let guard = guard::from_fn(move |request| {
        let is_staff = session.knows(&request.headers);
        async move { if is_staff { Access::Admin } else { Access::LogInAt("/login".into()) } }
    });
    let tracking = warp::path("tracking").and(adapter_warp::routes(Api::new(Arc::clone(&tracker), guard)));

    writeln!(io::stdout(), "Shop: {url}/\nPassword at {url}/login: {}", staff.password)?;
    writeln!(io::stdout(), "Click: {url}/tracking/click?affiliate_id={}&campaign_id={}", affiliate.id, campaign.id)?;

    let home = warp::path::end()
        .and(warp::get())
        .and(warp::query())
        .map(|visit: Visit| visit.render().map(reply::html).map_err(|_| StatusCode::INTERNAL_SERVER_ERROR));
    let login = warp::path!("login").and(warp::get()).map(|| reply::html(include_str!("../templates/login.html")));
    let form = warp::body::content_length_limit(4096);
    let log_in = warp::path!("login").and(warp::post()).and(form).and(warp::body::form()).map(
        move |Credentials { password }| match staff.log_in(&password) {
            Some(cookie) => Response::builder()
                .status(StatusCode::SEE_OTHER)
                .header("location", "/tracking/dashboard")
                .header("set-cookie", cookie)
                .body(""),
            None => Response::builder().status(StatusCode::FORBIDDEN).body("This is not the password."),
        },
    );
    let order = warp::path!("orders").and(warp::post()).and(form).and(warp::body::form()).then(move |visit| {
        let tracker = Arc::clone(&tracker);
        async move { order(&tracker, visit).await }
    });
    let missing = warp::any().map(|| reply::with_status("Our shop has no such page.", StatusCode::NOT_FOUND));

    let routes = home.or(login).or(log_in).or(order).or(tracking).or(missing);
    let stop = async { _ = tokio::signal::ctrl_c().await };
    warp::serve(routes).incoming(listener).graceful(stop).run().await;
    Ok(())
}

/// What a visitor brings along who came by an affiliate's link.
#[derive(Deserialize, Template)]
#[template(path = "home.html")]
struct Visit {
    affiliate_id: Option<String>,
    click_id: Option<String>,
}

#[derive(Deserialize)]
struct Credentials {
    password: String,
}

/// Takes an order, and credits the affiliate who sent the buyer: a call in this process, where others send postbacks.
async fn order(tracker: &Tracker, visit: Visit) -> String {
    let order = Uuid::new_v4();
    if let Visit { affiliate_id: Some(affiliate), click_id: Some(click) } = visit {
        // The order stands, whatever becomes of the tracking.
        let outcome = credit(tracker, &affiliate, &click, order).await.map(|outcome| outcome.summary());
        _ = writeln!(io::stderr(), "order {order}: {outcome:?}");
    }
    format!("Thank you. Your order is {order}.")
}

async fn credit(tracker: &Tracker, affiliate: &str, click: &str, order: Uuid) -> Result<Outcome, BoxedError> {
    let sale = ConversionRequest::new(affiliate.parse()?, click.parse()?, "49.90".parse()?, "EUR".parse()?);
    Ok(tracker.record_conversion(sale.transaction_id(order.to_string().parse()?)).await?)
}
