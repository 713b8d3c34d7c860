//! The server's own routes.

use crate::support::{Server, on_each_framework};

on_each_framework!(the_root_leads_to_the_dashboard, the_shop_plays_the_advertiser, all_else_is_not_found);

fn the_root_leads_to_the_dashboard(framework: &str) {
    let server = Server::start(framework);
    let answer = server.get("/");
    assert_eq!((answer.status(), answer.header("location")), (307, "dashboard"));
    assert_eq!(server.get("/dashboard").status(), 200);
}

fn the_shop_plays_the_advertiser(framework: &str) {
    let server = Server::start(framework);
    let campaign = server.get("/campaigns/10").json();
    let destination = campaign["data"]["destination_url"].as_str().unwrap();
    let landing_page = destination.strip_prefix(&server.url).unwrap().replace("{click_id}", "abc123");

    let page = server.get(&landing_page);
    assert_eq!((page.status(), page.header("content-type")), (200, "text/html; charset=utf-8"));
    assert!(page.header("content-security-policy").starts_with("default-src 'none'"));
    assert!(page.text().contains(&server.url), "{}", page.text());
    assert!(page.text().contains("click_id=abc123"), "{}", page.text());

    let page = server.get("/demo/shop?click_id=%3Cscript%3Ealert(1)%3C/script%3E");
    assert!(!page.text().contains("<script"), "{}", page.text());
    assert_eq!(server.get("/demo/shop.css").header("content-type"), "text/css; charset=utf-8");
}

fn all_else_is_not_found(framework: &str) {
    let server = Server::start(framework);
    for path in ["/nothing", "/demo", "/demo/shop/", "/metrics/x", "/favicon.ico"] {
        let answer = server.get(path);
        assert_eq!((answer.status(), answer.json()["error"]["code"].as_str()), (404, Some("not_found")), "{path}");
    }
}
