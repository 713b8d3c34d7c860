//! Visits a shop: as a stranger, as its staff, and as a buyer whom an affiliate has sent.

use std::process::Command;

use serde_json::{Value, json};
use ureq::Agent;
use ureq::http::{Request, Response};

use crate::process::Process;

#[test]
fn the_home_page_is_the_shops_own() {
    let shop = Shop::open();
    let home = shop.get("/");
    assert_eq!(home.status(), 200);
    assert!(home.body().contains("The lamp shop"), "{}", home.body());

    let home = shop.get("/?affiliate_id=1&click_id=%22%3E%3Cscript%3E");
    assert_eq!(home.status(), 200);
    assert!(!home.body().contains("<script"), "{}", home.body());
}

#[test]
fn the_404_is_the_shops_own_beside_the_tracker_and_below_its_mount_point() {
    let shop = Shop::open();
    for path in ["/nothing", "/tracking", "/tracking/", "/tracking/nothing", "/click", "/dashboard"] {
        let missing = shop.get(path);
        assert_eq!((missing.status().as_u16(), missing.body().as_str()), (404, "Our shop has no such page."), "{path}");
    }
}

#[test]
fn the_dashboard_is_for_those_who_are_logged_in() {
    let shop = Shop::open();
    let dashboard = shop.get("/tracking/dashboard");
    assert_eq!((dashboard.status().as_u16(), header(&dashboard, "location")), (303, "/login"));
    assert_eq!(shop.get("/tracking/affiliates").status(), 401);
    assert_eq!(shop.get("/login").status(), 200);

    let wrong = shop.post("/login", &[("password", "lamp")]);
    assert_eq!((wrong.status().as_u16(), header(&wrong, "set-cookie")), (403, ""));
    let forged = shop.get_with("/tracking/dashboard", "session=00000000-0000-0000-0000-000000000000");
    assert_eq!(forged.status(), 303);

    let session = shop.log_in();
    assert_eq!(shop.get_with("/tracking/dashboard", &format!("theme=dark; {session}")).status(), 200);
}

#[test]
fn an_order_credits_the_affiliate_who_sent_the_buyer() {
    let shop = Shop::open();
    let click: Value = serde_json::from_str(shop.get(&shop.click).body()).unwrap();
    let click_id = click["data"]["click_id"].as_str().unwrap();

    // The visitor lands on the home page, whose form carries the click id along.
    let home = shop.get(&format!("/?affiliate_id=1&click_id={click_id}"));
    assert!(home.body().contains(&format!(r#"name="click_id" value="{click_id}""#)), "{}", home.body());
    let order = shop.post("/orders", &[("affiliate_id", "1"), ("click_id", click_id)]);
    assert!(order.status() == 200 && order.body().starts_with("Thank you."), "{order:?}");

    let session = shop.log_in();
    let conversions = shop.get_with("/tracking/affiliates/1/conversions", &session);
    let conversions: Value = serde_json::from_str(conversions.body()).unwrap();
    assert_eq!(conversions["data"].as_array().map(Vec::len), Some(1), "{conversions}");
    let conversion = &conversions["data"][0];
    assert_eq!([&conversion["click_id"], &conversion["currency"]], [&json!(click_id), &json!("EUR")]);
    assert_eq!(conversion["amount"].as_f64(), Some(49.9));
    let dashboard = shop.get_with("/tracking/dashboard?affiliate_id=1", &session);
    assert!(dashboard.body().contains(click_id), "{}", dashboard.body());
}

#[test]
fn an_order_without_an_affiliate_or_with_an_unknown_click_is_an_order_all_the_same() {
    let shop = Shop::open();
    for visit in
        [&[][..], &[("affiliate_id", "1"), ("click_id", "unknown")], &[("affiliate_id", "x"), ("click_id", "")]]
    {
        let order = shop.post("/orders", visit);
        assert!(order.status() == 200 && order.body().starts_with("Thank you."), "{order:?}");
    }
}

struct Shop {
    url: String,
    password: String,
    /// The path of an affiliate's tracking link.
    click: String,
    agent: Agent,
    _process: Process,
}

impl Shop {
    fn open() -> Self {
        let mut process = Process::start(Command::new(crate::SHOP).arg("127.0.0.1:0"));
        let url = process.wait_for("Shop: ").trim_end_matches('/').to_owned();
        let password = process.wait_for("/login: ");
        let click = process.wait_for("Click: ").strip_prefix(&url).unwrap().to_owned();
        let config = Agent::config_builder().http_status_as_error(false).max_redirects(0);
        let agent = Agent::new_with_config(config.max_redirects_will_error(false).build());
        Self { url, password, click, agent, _process: process }
    }

    fn get(&self, path: &str) -> Response<String> {
        self.get_with(path, "")
    }

    fn get_with(&self, path: &str, cookie: &str) -> Response<String> {
        let request = Request::get(format!("{}{path}", self.url)).header("cookie", cookie).body(()).unwrap();
        whole(self.agent.run(request))
    }

    fn post(&self, path: &str, fields: &[(&str, &str)]) -> Response<String> {
        whole(self.agent.post(format!("{}{path}", self.url)).send_form(fields.iter().copied()))
    }

    /// Returns the session's cookie.
    fn log_in(&self) -> String {
        let answer = self.post("/login", &[("password", &self.password)]);
        assert_eq!((answer.status().as_u16(), header(&answer, "location")), (303, "/tracking/dashboard"));
        let cookie = header(&answer, "set-cookie");
        assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"), "{cookie}");
        cookie.split(';').next().unwrap().to_owned()
    }
}

fn whole(answer: Result<Response<ureq::Body>, ureq::Error>) -> Response<String> {
    let (parts, mut body) = answer.unwrap().into_parts();
    Response::from_parts(parts, body.read_to_string().unwrap())
}

fn header<'a>(answer: &'a Response<String>, name: &str) -> &'a str {
    answer.headers().get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
}
