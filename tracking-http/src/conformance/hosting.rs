//! The application around the tracker.

use std::sync::Arc;

use http::{Method, Request, StatusCode};

use super::harness::{Site, post_form, post_json, request, with_header};
use crate::{Api, guard};

const CLICK: &str = "/click?affiliate_id=1&campaign_id=10&click_id=abc123";

pub(super) async fn routes_of_the_host_are_reached(site: Site) {
    for mount in ["", "/tracking"] {
        let (tracker, _) = site.tracker_and_key().await;
        let client = site.mount(vec![(mount, Arc::new(Api::new(tracker, guard::open())))]).await;
        for (path, text) in
            [("/", "home"), ("/host/before", "before"), ("/host/after", "after"), ("/tracking/inside", "inside")]
        {
            let reply = client.get(path).await;
            assert_eq!((reply.status, reply.text()), (StatusCode::OK, text), "{path} with the tracker at {mount:?}");
        }
    }
}

pub(super) async fn unknown_paths_are_the_hosts(site: Site) {
    for mount in ["", "/tracking", "/partners/tracking"] {
        let (tracker, _) = site.tracker_and_key().await;
        let client = site.mount(vec![(mount, Arc::new(Api::new(tracker, guard::open())))]).await;
        for below in ["/nothing", "/clicked", "/click/x", "/affiliates/1/nothing", "/assets/app.css", "/assets/x/y"] {
            for method in [Method::GET, Method::POST, Method::HEAD, Method::DELETE] {
                let reply = client.send(request(method.clone(), &format!("{mount}{below}"))).await;
                assert_eq!(reply.status, StatusCode::NOT_FOUND, "{method} {mount}{below}");
                let text = if method == Method::HEAD { "" } else { "host 404" };
                assert_eq!(reply.text(), text, "{method} {mount}{below}");
            }
        }
        if !mount.is_empty() {
            assert_eq!(client.get(CLICK).await.text(), "host 404", "the tracker is at {mount} only");
            assert_eq!(client.get(&format!("{mount}x{CLICK}")).await.text(), "host 404");
        }
    }
}

pub(super) async fn refusals_enter_no_catcher(site: Site) {
    let client = site.guarded(guard::token(&guard::Token::new("0123456789abcdef").unwrap())).await;
    for (call, status) in [
        (request(Method::GET, "/click"), 400),
        (request(Method::GET, "/affiliates"), 401),
        (request(Method::GET, &CLICK.replace("=10", "=99")), 404),
        (request(Method::DELETE, "/click"), 405),
        (request(Method::GET, &CLICK.replace("=10", "=0")), 422),
        (with_header(request(Method::GET, "/dashboard"), "authorization", "Bearer wrong"), 401),
        (post_form("/dashboard/login", "token=wrong"), 401),
        (request(Method::GET, "/dashboard/share"), 403),
    ] {
        let named = format!("{} {}", call.method(), call.uri());
        let reply = client.send(call).await;
        assert_eq!(reply.status.as_u16(), status, "{named}");
        assert!(!reply.text().contains("host"), "{named}: {}", reply.text());
    }
}

pub(super) async fn body_of_a_host_route_is_untouched(site: Site) {
    let client = site.open().await;
    let reply = client.send(Request::post("/host/echo").body("a body".to_owned()).unwrap()).await;
    assert_eq!((reply.status, reply.text()), (StatusCode::OK, "a body"));
}

pub(super) async fn every_mount_point_works(site: Site) {
    for mount in ["", "/tracking", "/partners/tracking"] {
        let (tracker, _) = site.tracker_and_key().await;
        let client = site.mount(vec![(mount, Arc::new(Api::new(tracker, guard::open())))]).await;
        assert_eq!(client.get(&format!("{mount}{CLICK}")).await.status, StatusCode::OK, "{mount}");
        assert_eq!(client.get(&format!("{mount}/affiliates/1/clicks")).await.data()[0]["click_id"], "abc123");
        let reply = client.send(post_json(&format!("{mount}/affiliates"), r#"{"name": "x"}"#)).await;
        assert_eq!(reply.status, StatusCode::CREATED, "{mount}");
        let reply = client.send(request(Method::DELETE, &format!("{mount}/click"))).await;
        assert_eq!(reply.status, StatusCode::METHOD_NOT_ALLOWED, "{mount}");
        let page = client.get(&format!("{mount}/dashboard?affiliate_id=1")).await;
        let host = page.text().split("http://").nth(1).unwrap();
        let (_, path) = host.split_once('/').unwrap();
        assert!(format!("/{path}").starts_with(&format!("{mount}/")), "{mount}: the page shows http://{}", &host[..60]);
    }
}

pub(super) async fn two_trackers_stand_side_by_side(site: Site) {
    let (one, _) = site.tracker_and_key().await;
    let (other, _) = site.tracker_and_key().await;
    let client = site
        .mount(vec![
            ("/tracking", Arc::new(Api::new(one, guard::open()))),
            ("/partners/tracking", Arc::new(Api::new(other, guard::open()))),
        ])
        .await;
    assert_eq!(client.get(&format!("/tracking{CLICK}")).await.status, StatusCode::OK);
    assert_eq!(client.get("/tracking/affiliates/1/summary").await.data()["clicks"], 1);
    assert_eq!(client.get("/partners/tracking/affiliates/1/summary").await.data()["clicks"], 0);
}

pub(super) async fn mount_points_may_nest(site: Site) {
    let (outer, _) = site.tracker_and_key().await;
    let (inner, _) = site.tracker_and_key().await;
    let open = |tracker| Arc::new(Api::new(tracker, guard::open()));
    // The inner one first, as a framework may ask its routes in the order in which they were given.
    let client = site.mount(vec![("/tracking", open(inner)), ("", open(outer))]).await;
    client.get(&format!("/tracking{CLICK}")).await;
    assert_eq!(client.get("/tracking/affiliates/1/summary").await.data()["clicks"], 1);
    assert_eq!(client.get("/affiliates/1/summary").await.data()["clicks"], 0);
    assert_eq!(client.get("/tracking/inside").await.text(), "inside");
}

pub(super) async fn openapi_document_names_the_mount_point(site: Site) {
    let (tracker, _) = site.tracker_and_key().await;
    let client = site.mount(vec![("/partners/tracking", Arc::new(Api::new(tracker, guard::open())))]).await;
    let document = client.get("/partners/tracking/openapi.json").await.json();
    let served_at = document["servers"][0]["url"].as_str().unwrap();
    assert!(served_at.ends_with("/partners/tracking"), "{served_at}");
}

pub(super) async fn public_url_is_shown_and_trusted(site: Site) {
    let (tracker, _) = site.tracker_and_key().await;
    let api = Api::new(tracker, guard::open()).public_url("https://partners.example/track/".parse().unwrap());
    let client = site.mount(vec![("/tracking", Arc::new(api))]).await;
    let page = client.get("/tracking/dashboard?affiliate_id=1").await;
    assert!(page.text().contains("https://partners.example/track"), "{}", page.text());
    assert!(!page.text().contains("http://127.0.0.1"), "{}", page.text());
    // Behind a proxy that puts in another host.
    let mut write = post_json("/tracking/affiliates", r#"{"name": "x"}"#);
    write.headers_mut().insert("origin", "https://partners.example".parse().unwrap());
    assert_eq!(client.send(write).await.status, StatusCode::CREATED);
}

pub(super) async fn links_are_right_under_every_mount_point(site: Site) {
    for mount in ["", "/tracking", "/partners/tracking"] {
        let (tracker, _) = site.tracker_and_key().await;
        let client = site.mount(vec![(mount, Arc::new(Api::new(tracker, guard::open())))]).await;
        for page in ["/dashboard", "/dashboard/", "/dashboard?affiliate_id=1", "/dashboard/?affiliate_id=1"] {
            let path = format!("{mount}{page}");
            let reply = client.get(&path).await;
            assert_eq!(reply.status, StatusCode::OK, "{path}");
            let page = url::Url::parse(&format!("http://host{path}")).unwrap();
            let mut links = 0;
            for attribute in [" href=\"", " src=\"", " action=\""] {
                for link in reply.text().split(attribute).skip(1).map(|rest| rest.split('"').next().unwrap()) {
                    if link.starts_with('#') {
                        continue;
                    }
                    assert!(!link.starts_with('/') && !link.contains("://"), "{path} has the link {link}, not a relative one");
                    let target = page.join(&link.replace("&amp;", "&")).unwrap();
                    let target = target.as_str().strip_prefix("http://host").unwrap();
                    let reply = client.get(target.split('#').next().unwrap()).await;
                    // Forms that change something are found, and take no other method.
                    let is_form = target.ends_with("/share") || target.ends_with("/share/revoke");
                    let expected = if is_form { StatusCode::METHOD_NOT_ALLOWED } else { StatusCode::OK };
                    assert_eq!(reply.status, expected, "{path} links to {target}");
                    links += 1;
                }
            }
            assert!(links >= 3, "{path} has {links} links");
        }
    }
}
