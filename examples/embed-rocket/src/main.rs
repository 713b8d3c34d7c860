//! A small shop on Rocket, with affiliate tracking mounted under `/tracking`.

mod staff;

use std::error::Error;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::Arc;

use askama::Template;
use rocket::fairing::AdHoc;
use rocket::form::{Form, FromForm};
use rocket::http::{Header, Status};
use rocket::response::{Redirect, Responder, content::RawHtml};
use rocket::{State, catch, catchers, get, post, routes};
use storage_memory::MemoryStore;
use tracking_core::{CampaignRequest, ConversionRequest, Outcome, Secret, Tracker};
use tracking_http::Api;
use tracking_http::guard::{self, Access};
use uuid::Uuid;

use crate::staff::Staff;

type BoxedError = Box<dyn Error + Send + Sync>;

#[rocket::main]
async fn main() -> Result<(), BoxedError> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8000".to_owned());
    let address: SocketAddr = address.parse()?;

    let tracker = Arc::new(Tracker::new(MemoryStore::new(), Secret::random()));
    let affiliate = tracker.create_affiliate("Ada's reviews".parse()?).await?;
    let landing_page = format!("http://{address}/?affiliate_id={{affiliate_id}}&click_id={{click_id}}").parse()?;
    let campaign = tracker.create_campaign(CampaignRequest::new("Lamps".parse()?, landing_page)).await?.campaign;

    // Whoever is logged in to the shop may see the dashboard.
    let staff = Arc::new(Staff::new());
    let session = Arc::clone(&staff);
    let guard = guard::from_fn(move |request| {
        let is_staff = session.knows(&request.headers);
        async move { if is_staff { Access::Admin } else { Access::LogInAt("/login".into()) } }
    });
    let tracking = adapter_rocket::routes(Api::new(Arc::clone(&tracker), guard));

    let password = staff.password;
    let greet = AdHoc::on_liftoff("Greet", move |rocket| {
        let url = format!("http://{}", SocketAddr::new(rocket.config().address, rocket.config().port));
        let click = format!("{url}/tracking/click?affiliate_id={}&campaign_id={}", affiliate.id, campaign.id);
        let text = format!("Shop: {url}/\nPassword at {url}/login: {password}\nClick: {click}\n");
        _ = io::stdout().write_all(text.as_bytes());
        Box::pin(async {})
    });
    let config = rocket::Config { address: address.ip(), port: address.port(), ..Default::default() };
    rocket::custom(config)
        .manage(tracker)
        .manage(staff)
        .mount("/", routes![home, login, log_in, order])
        .mount("/tracking", tracking)
        .register("/", catchers![missing])
        .attach(greet)
        .launch()
        .await?;
    Ok(())
}

/// What a visitor brings along who came by an affiliate's link.
#[derive(FromForm, Template)]
#[template(path = "home.html")]
struct Visit {
    affiliate_id: Option<String>,
    click_id: Option<String>,
}

#[get("/?<visit..>")]
fn home(visit: Visit) -> Result<RawHtml<String>, Status> {
    visit.render().map(RawHtml).map_err(|_| Status::InternalServerError)
}

#[get("/login")]
fn login() -> RawHtml<&'static str> {
    RawHtml(include_str!("../templates/login.html"))
}

#[derive(FromForm)]
struct Credentials<'r> {
    password: &'r str,
}

#[derive(Responder)]
struct LoggedIn(Redirect, Header<'static>);

#[post("/login", data = "<credentials>")]
fn log_in(credentials: Form<Credentials<'_>>, staff: &State<Arc<Staff>>) -> Result<LoggedIn, Status> {
    let cookie = staff.log_in(credentials.password).ok_or(Status::Forbidden)?;
    Ok(LoggedIn(Redirect::to("/tracking/dashboard"), Header::new("Set-Cookie", cookie)))
}

/// Takes an order, and credits the affiliate who sent the buyer: a call in this process, where others send postbacks.
#[post("/orders", data = "<visit>")]
async fn order(visit: Form<Visit>, tracker: &State<Arc<Tracker>>) -> String {
    let order = Uuid::new_v4();
    if let Visit { affiliate_id: Some(affiliate), click_id: Some(click) } = visit.into_inner() {
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

#[catch(404)]
fn missing() -> &'static str {
    "Our shop has no such page."
}
