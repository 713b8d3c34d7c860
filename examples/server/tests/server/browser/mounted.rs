//! The same pages, mounted into an application below its root.

use std::net::SocketAddr;
use std::sync::Arc;

use fantoccini::Client;
use rocket::Config;
use rocket::config::LogLevel;
use rocket::fairing::AdHoc;
use storage_memory::MemoryStore;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tracking_core::{CampaignRequest, Secret, Tracker};
use tracking_http::Api;
use tracking_http::guard::{self, Token, Tokens};
use warp::Filter;

use super::checks::check;
use super::hands::{all, appears, download, log_in, one, place, press, says, write};
use super::in_browser;
use crate::support::{SECRET, TOKEN, get, on_each_framework};

on_each_framework!(pages_work_below_a_prefix);

fn pages_work_below_a_prefix(framework: &str) {
    let runtime = Runtime::new().unwrap();
    let (address, key) = runtime.block_on(serve(framework));
    let tracking = format!("http://{address}/partners/tracking");
    for (path, key) in [
        ("/click?affiliate_id=1&campaign_id=1&click_id=abc123", None),
        ("/click?affiliate_id=1&campaign_id=1&click_id=def456", None),
        ("/postback?affiliate_id=1&click_id=abc123&amount=100&currency=USD&status=pending", Some(&*key)),
    ] {
        assert_eq!(get(&format!("{tracking}{path}"), key).status(), 200);
    }
    in_browser(async |browser| goes_round(browser, &tracking).await);
    runtime.shutdown_background();
}

async fn goes_round(browser: &Client, tracking: &str) {
    const MOUNT: &str = "/partners/tracking";
    browser.goto(&format!("{tracking}/dashboard/campaigns/1")).await.unwrap();
    appears(browser, "[data-test=login]").await;
    log_in(browser, TOKEN, "[data-test=campaign-name]").await;
    assert_eq!(place(browser).await, format!("{MOUNT}/dashboard/campaigns/1"));
    press(browser, "[data-test=pause]", "[data-test=resume]").await;
    press(browser, "[data-test=resume]", "[data-test=pause]").await;
    press(browser, "[data-test=issue] button", "[data-test=new-key]").await;
    check(browser, "a mounted campaign").await;

    press(browser, ".pages a", "[data-test=period]").await;
    assert_eq!(says(browser, "[data-test=period-clicks]").await, "2");
    press(browser, "#presets a[href*=today]", "#presets a[href*=today][aria-current]").await;
    check(browser, "a mounted overview").await;
    press(browser, "[data-test^=top-affiliate] tbody a", "[data-test=affiliate-name]").await;
    press(browser, "[data-test=share] button", "[data-test=share-link]").await;
    let link = says(browser, "[data-test=share-link]").await;
    assert!(link.starts_with(&format!("{tracking}/dashboard/share?token=")), "{link}");

    press(browser, "[data-test=nav-reports]", "[data-test=report]").await;
    press(browser, "[data-test=report] thead th:nth-child(2) a", "th:nth-child(2)[aria-sort]").await;
    assert_eq!(download(browser, "[data-test=csv]").await.len(), 31, "30 days and their header");
    press(browser, "[data-test=nav-conversions]", "[data-test=conversions]").await;
    press(browser, "[data-test=quick-pending]", "[data-test=quick-pending][aria-current]").await;
    press(browser, "[data-test=approve]", "[data-test=no-conversions]").await;
    let list = place(browser).await;
    assert!(list.starts_with(&format!("{MOUNT}/dashboard/conversions?status=pending")), "{list}");
    for (page, shown) in [
        ("clicks", "clicks"),
        ("campaigns", "campaigns"),
        ("affiliates", "affiliates"),
        ("postbacks", "postbacks"),
        ("explain", "explain-form"),
        ("settings", "openapi"),
    ] {
        press(browser, &format!("[data-test=nav-{page}]"), &format!("[data-test={shown}]")).await;
    }
    press(browser, ".pages a[href$='dashboard/link']", "[data-test=link-form]").await;
    press(browser, "[data-test=link-form] .button.main", "[data-test=qr-code]").await;
    let is_drawn = "return document.querySelector('[data-test=qr-code]').decode().then(() => true)";
    assert_eq!(browser.execute(is_drawn, vec![]).await.unwrap(), true);

    press(browser, "[data-test=nav-import]", "[data-test=file-form]:not([hidden])").await;
    write(browser, "#text", "affiliate_id,click_id,amount,currency\n1,def456,5,USD").await;
    press(browser, "[data-test=paste-form] button", "[data-test=line] a").await;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "affiliate_id,click_id,amount,currency\n1,def456,5,USD\n").unwrap();
    one(browser, "#file").await.send_keys(file.path().to_str().unwrap()).await.unwrap();
    press(browser, "[data-test=file-form] button", "[data-test=file-lines] [data-test=line] a").await;
    press(browser, "[data-test=file-lines] [data-test=line] a", "[data-test=history], [data-test=change]").await;
    check(browser, "a mounted conversion").await;

    press(browser, "[data-test=log-out]", "[data-test=login]").await;
    browser.goto(&link).await.unwrap();
    appears(browser, "[data-test=session-of]").await;
    assert_eq!(place(browser).await, format!("{MOUNT}/dashboard?affiliate_id=1"));
    assert!(all(browser, "[data-test=nav-settings]").await.is_empty());
}

/// Starts an application with a tracker that has an affiliate, a campaign, and no figures; returns where it is, and the
/// campaign's key.
async fn serve(framework: &str) -> (SocketAddr, String) {
    let tracker = Arc::new(Tracker::new(MemoryStore::new(), Secret::new(SECRET).unwrap()));
    tracker.create_affiliate("Ada’s reviews".parse().unwrap()).await.unwrap();
    let shop = "https://shop.example/?ref={click_id}".parse().unwrap();
    let made = tracker.create_campaign(CampaignRequest::new("Lamps".parse().unwrap(), shop)).await.unwrap();
    let api = Api::new(tracker, guard::tokens(Tokens::new(Token::new(TOKEN).unwrap())));
    let address = if framework == "warp" { on_warp_server(api).await } else { on_rocket_server(api).await };
    (address, made.postback_key.unwrap().expose().to_owned())
}

async fn on_warp_server(api: Api) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mounted = warp::path("partners").and(warp::path("tracking")).and(adapter_warp::routes(api));
    tokio::spawn(warp::serve(mounted).incoming(listener).run());
    address
}

async fn on_rocket_server(api: Api) -> SocketAddr {
    let (sender, receiver) = oneshot::channel();
    let launched = AdHoc::on_liftoff("address", |rocket| {
        sender.send(SocketAddr::new(rocket.config().address, rocket.config().port)).unwrap();
        Box::pin(async {})
    });
    let config = Config { port: 0, log_level: LogLevel::Off, ..Config::debug_default() };
    let rocket = rocket::custom(config).mount("/partners/tracking", adapter_rocket::routes(api)).attach(launched);
    tokio::spawn(rocket.launch());
    receiver.await.unwrap()
}
