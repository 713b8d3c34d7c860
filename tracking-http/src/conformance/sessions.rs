//! Logins, sessions, and what they open.

use std::sync::Arc;
use std::time::Duration;

use http::{Method, Request, StatusCode};
use serde_json::json;
use tracking_core::{ManualClock, Secret, Secrets, Tracker};

use super::client::{Client, Reply};
use super::harness::{NOW, Site, now, post_form, post_json, request, secret, with_header};
use crate::Api;
use crate::endpoint::{Page, Endpoint, Guarded, ROUTES, Route, Session};
use crate::guard::{self, Access, Guard, Token, Tokens};

const ADMIN: &str = "correct-horse-battery";
const READER: &str = "a-reader-of-reports";
const LOGIN: &str = "/dashboard/login";
const LOGOUT: &str = "/dashboard/logout";

fn tokens(admin: &str) -> impl Guard + use<> {
    guard::tokens(Tokens::new(Token::new(admin).unwrap()).read_only(Token::new(READER).unwrap()))
}

/// A tracker at the root with tokens, and a clock to set.
struct Place {
    client: Client,
    tracker: Arc<Tracker>,
    clock: Arc<ManualClock>,
}

impl Place {
    async fn new(site: &Site) -> Self {
        Self::with(site, tokens(ADMIN)).await
    }

    async fn with(site: &Site, guard: impl Guard) -> Self {
        let clock = Arc::new(ManualClock::new(now()));
        let (tracker, _) = site.tracker_and_key_with(secret(), Arc::clone(&clock)).await;
        let client = site.mount(vec![("", Arc::new(Api::new(Arc::clone(&tracker), guard)))]).await;
        Self { client, tracker, clock }
    }

    async fn log_in(&self, token: &str) -> String {
        session(&self.client.send(post_form(LOGIN, &format!("token={token}"))).await)
    }

    async fn pass(&self, affiliate: &str, lifetime: Duration) -> String {
        self.tracker.issue_pass(affiliate.parse().unwrap(), lifetime).await.unwrap().0
    }
}

/// The cookie that an answer sets, as a browser sends it back.
fn session(reply: &Reply) -> String {
    let cookie = reply.header("set-cookie").split(';').next().unwrap();
    assert!(cookie.starts_with("tracking_session=afpass_"), "{}: {cookie}", reply.status);
    cookie.to_owned()
}

fn with_session(request: Request<String>, cookie: &str) -> Request<String> {
    with_header(request, "cookie", cookie)
}

async fn get_with(client: &Client, path: &str, cookie: &str) -> Reply {
    client.send(with_session(request(Method::GET, path), cookie)).await
}

const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

pub(super) async fn token_logs_in_and_out(site: Site) {
    let place = Place::new(&site).await;
    let page = place.client.get(LOGIN).await;
    assert_eq!((page.status, page.header("cache-control")), (StatusCode::OK, "no-store"));
    assert!(page.text().contains(r#"autocomplete="current-password""#) && page.text().contains(r#"<label for="token">"#));
    assert!(!page.text().contains("log-out"), "there is nobody to log out");

    for token in [ADMIN, READER, "%20correct-horse-battery%0A"] {
        let reply = place.client.send(post_form(LOGIN, &format!("token={token}"))).await;
        assert_eq!((reply.status, reply.header("location")), (StatusCode::SEE_OTHER, "../dashboard"));
        let attributes: Vec<_> = reply.header("set-cookie").split("; ").skip(1).collect();
        assert_eq!(attributes, ["Path=/", "Max-Age=43200", "HttpOnly", "SameSite=Lax"]);
        let session = session(&reply);
        for cookie in [session.clone(), format!("a=b; {session} ; c=d"), format!("tracking_session=x; {session}")] {
            let page = get_with(&place.client, "/dashboard", &cookie).await;
            assert_eq!(page.status, StatusCode::OK, "{cookie}");
            assert!(page.text().contains(r#"<form class="session" method="post" action="./dashboard/logout">"#));
            assert_eq!(get_with(&place.client, "/affiliates", &cookie).await.status, StatusCode::OK, "{cookie}");
        }
        let out = place.client.send(with_session(post_form(LOGOUT, ""), &session)).await;
        assert_eq!((out.status, out.header("location")), (StatusCode::SEE_OTHER, "../dashboard/login"));
        assert_eq!(out.header("set-cookie"), "tracking_session=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax");
    }
    assert_eq!(get_with(&place.client, "/affiliates", "tracking_session=").await.status, StatusCode::UNAUTHORIZED);

    let wrong = place.client.send(post_form(LOGIN, "token=wrong-horse-battery&next=dashboard%3Faffiliate_id%3D1")).await;
    assert_eq!((wrong.status, wrong.header("set-cookie")), (StatusCode::UNAUTHORIZED, ""));
    assert!(!wrong.header("www-authenticate").starts_with("Basic"), "a browser must not ask for a password");
    assert!(wrong.text().contains(r#"role="alert""#) && !wrong.text().contains("wrong-horse-battery"));
    assert!(wrong.text().contains(r#"value="dashboard?affiliate_id=1""#), "it goes on where it was to: {}", wrong.text());
}

pub(super) async fn problems_have_a_way_out(site: Site) {
    let place = Place::new(&site).await;
    let affiliate = format!("tracking_session={}", place.pass("1", DAY).await);
    let (admin, reader) = (place.log_in(ADMIN).await, place.log_in(READER).await);
    let problem = async |cookie: &str, path: &str, status: u16| {
        let page = get_with(&place.client, path, cookie).await;
        assert_eq!(page.status.as_u16(), status, "{path}");
        assert!(page.text().contains("data-test=\"problem\""), "{path}: {}", page.text());
        page.text().to_owned()
    };
    let out = |root: &str| format!(r#"<form class="session" method="post" action="{root}dashboard/logout">"#);
    for (cookie, path, status, root, who) in [
        (&admin, "/dashboard/conversions/99", 404, "../../", ""),
        (&admin, "/dashboard?affiliate_id=99", 404, "./", ""),
        (&admin, "/dashboard/clicks?a=%zz", 400, "../", ""),
        (&admin, "/dashboard/share?token=x", 403, "../", ""),
        (&reader, "/dashboard/campaigns/99", 404, "../../", "data-test=\"read-only\""),
        (&affiliate, "/dashboard/postbacks", 403, "../", "Affiliate 1</span>"),
        (&affiliate, "/dashboard/conversions/99", 403, "../../", "Affiliate 1</span>"),
    ] {
        let page = problem(cookie, path, status).await;
        assert!(page.contains(&out(root)) && page.contains(who), "{path}: {page}");
    }
    let refused = place.client.send(with_session(post_form("/dashboard/campaigns", "name=x"), &reader)).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    assert!(refused.text().contains(&out("../")), "{}", refused.text());
    // Who is not logged in can't log out.
    assert!(!problem("tracking_session=x", "/dashboard/share?token=x", 403).await.contains("log-out"));
    place.clock.set(now().plus(2 * DAY));
    assert!(!problem(&affiliate, "/dashboard/share?token=x", 403).await.contains("log-out"));
}

pub(super) async fn login_leads_to_what_was_asked_for(site: Site) {
    let place = Place::new(&site).await;
    for (asked, login, next) in [
        ("/dashboard", "./dashboard/login", ""),
        ("/dashboard?affiliate_id=1", "./dashboard/login?next=dashboard%3Faffiliate_id%3D1", "dashboard?affiliate_id=1"),
        (
            "/dashboard/postbacks?click_id=a%2Fb%26c",
            "../dashboard/login?next=dashboard%2Fpostbacks%3Fclick_id%3Da%252Fb%2526c",
            "dashboard/postbacks?click_id=a%2Fb%26c",
        ),
        (
            "/dashboard/conversions/1",
            "../../dashboard/login?next=dashboard%2Fconversions%2F1",
            "dashboard/conversions/1",
        ),
    ] {
        let reply = place.client.get(asked).await;
        assert_eq!((reply.status, reply.header("location")), (StatusCode::SEE_OTHER, login), "{asked}");
        let login = login.trim_start_matches("../").trim_start_matches("./");
        let page = place.client.get(&format!("/{login}")).await;
        let hidden = format!(r#"<input type="hidden" name="next" value="{}">"#, next.replace('&', "&#38;"));
        assert_eq!(page.text().contains(&hidden), !next.is_empty(), "{asked}: {}", page.text());
        let query = login.split_once('?').map_or("", |(_, query)| query);
        let reply = place.client.send(post_form(LOGIN, &format!("token={ADMIN}&{query}"))).await;
        let expected = if next.is_empty() { "dashboard" } else { next };
        assert_eq!(reply.header("location"), format!("../{expected}"), "{asked}");
    }
    // What a form was to send is lost, so there is nothing to go on to.
    let reply = place.client.send(post_form("/dashboard/explain", "call=x")).await;
    assert_eq!((reply.status, reply.header("location")), (StatusCode::SEE_OTHER, "../dashboard/login"));
    // Calls are told as ever.
    let reply = place.client.get("/affiliates").await;
    assert_eq!((reply.status, reply.error_code().as_str()), (StatusCode::UNAUTHORIZED, "unauthorized"));
}

pub(super) async fn login_leads_nowhere_else(site: Site) {
    let place = Place::new(&site).await;
    for next in [
        "//evil.example",
        "https://evil.example/dashboard",
        "/dashboard",
        "/\\evil.example",
        "\\\\evil.example",
        "javascript:alert(1)",
        "dashboard/../../evil",
        "dashboard/conversions/%252e%252e",
        "dashboard%0D%0ASet-Cookie:%20x=y",
        "dashboard%09",
        "go?affiliate_id=1",
        "affiliates",
        "dashboard/share?token=x",
    ] {
        let page = place.client.get(&format!("{LOGIN}?next={next}")).await;
        assert_eq!(page.status, StatusCode::OK, "{next}");
        assert!(!page.text().contains(r#"name="next""#), "{next}");
        let reply = place.client.send(post_form(LOGIN, &format!("token={ADMIN}&next={next}"))).await;
        assert_eq!((reply.status, reply.header("location")), (StatusCode::SEE_OTHER, "../dashboard"), "{next}");
    }
}

pub(super) async fn wrong_tokens_are_kept_waiting(site: Site) {
    let clock = Arc::new(ManualClock::new(now()));
    let (tracker, _) = site.tracker_and_key_with(secret(), clock).await;
    let loopback = ["127.0.0.0/8".parse().unwrap()];
    let api = Api::new(tracker, tokens(ADMIN)).trusted_proxies(loopback);
    let client = site.mount(vec![("", Arc::new(api))]).await;
    let from = |source: &str, request| with_header(request, "x-forwarded-for", source);
    let bearer = |token: &str| with_header(request(Method::GET, "/affiliates"), "authorization", &format!("Bearer {token}"));
    let form = |token: &str| post_form(LOGIN, &format!("token={token}"));

    let logged_in = session(&client.send(from("203.0.113.1", form(ADMIN))).await);
    // Those that are right don't count.
    for _ in 0..20 {
        assert_eq!(client.send(from("203.0.113.1", form(ADMIN))).await.status, StatusCode::SEE_OTHER);
        assert_eq!(client.send(from("203.0.113.1", bearer(ADMIN))).await.status, StatusCode::OK);
    }
    for (name, is_form) in [("203.0.113.1", true), ("203.0.113.2", false), ("2001:db8::7", true)] {
        let attempt = |token: &str| if is_form { form(token) } else { bearer(token) };
        for _ in 0..10 {
            assert_eq!(client.send(from(name, attempt("wrong"))).await.status, StatusCode::UNAUTHORIZED);
        }
        // Nobody learns whether the next one would have been right, in whichever way he sends it.
        for request in [form("wrong"), form(ADMIN), bearer("wrong"), bearer(ADMIN)] {
            let reply = client.send(from(name, request)).await;
            assert_eq!(reply.status, StatusCode::TOO_MANY_REQUESTS, "{name}");
            let wait: u64 = reply.header("retry-after").parse().unwrap();
            assert!((1..=60).contains(&wait), "{wait}");
            assert_eq!(reply.header("set-cookie"), "");
        }
        // Who is logged in is left alone.
        let read = with_session(request(Method::GET, "/affiliates"), &logged_in);
        assert_eq!(client.send(from(name, read)).await.status, StatusCode::OK);
        assert_eq!(client.send(from(name, request(Method::GET, "/affiliates"))).await.status, StatusCode::UNAUTHORIZED);
    }
    assert_eq!(client.send(from("203.0.113.3", form(ADMIN))).await.status, StatusCode::SEE_OTHER, "others are let in");
}

pub(super) async fn session_ends_with_its_token(site: Site) {
    let (tracker, _) = site.tracker_and_key().await;
    let trackers = vec![
        ("", Arc::new(Api::new(Arc::clone(&tracker), tokens(ADMIN)))),
        ("/changed", Arc::new(Api::new(Arc::clone(&tracker), tokens("another-horse-battery")))),
        ("/gone", Arc::new(Api::new(tracker, guard::token(&Token::new(ADMIN).unwrap())))),
    ];
    let client = site.mount(trackers).await;
    let admin = session(&client.send(post_form(LOGIN, &format!("token={ADMIN}"))).await);
    let reader = session(&client.send(post_form(LOGIN, &format!("token={READER}"))).await);
    for (path, admin_status, reader_status) in [
        ("/affiliates", StatusCode::OK, StatusCode::OK),
        ("/changed/affiliates", StatusCode::UNAUTHORIZED, StatusCode::OK),
        ("/gone/affiliates", StatusCode::OK, StatusCode::UNAUTHORIZED),
    ] {
        assert_eq!(get_with(&client, path, &admin).await.status, admin_status, "{path}");
        assert_eq!(get_with(&client, path, &reader).await.status, reader_status, "{path}");
    }
}

pub(super) async fn session_expires(site: Site) {
    let place = Place::new(&site).await;
    let session = place.log_in(ADMIN).await;
    place.clock.set(now().plus(12 * HOUR).minus(Duration::from_millis(1)));
    assert_eq!(get_with(&place.client, "/affiliates", &session).await.status, StatusCode::OK);
    place.clock.set(now().plus(12 * HOUR));
    assert_eq!(get_with(&place.client, "/affiliates", &session).await.status, StatusCode::UNAUTHORIZED);
    let page = get_with(&place.client, "/dashboard", &session).await;
    assert_eq!((page.status, page.header("location")), (StatusCode::SEE_OTHER, "./dashboard/login"));
}

pub(super) async fn secret_is_changed_without_ending_sessions(site: Site) {
    let newer = Secret::new("a newer secret of the conformance suite").unwrap();
    let clock = Arc::new(ManualClock::new(now()));
    let mut trackers = Vec::new();
    let secrets =
        [secret().into(), Secrets::from(newer.clone()).retired(secret()), Secrets::from(newer)].map(Secrets::from);
    for (mount, secrets) in ["", "/retired", "/newer"].into_iter().zip(secrets) {
        let (tracker, _) = site.tracker_and_key_with(secrets, Arc::clone(&clock)).await;
        trackers.push((mount, Arc::new(Api::new(tracker, tokens(ADMIN)))));
    }
    let client = site.mount(trackers).await;
    let cookie = session(&client.send(post_form(LOGIN, &format!("token={ADMIN}"))).await);
    for (path, status) in [
        ("/affiliates", StatusCode::OK),
        ("/retired/affiliates", StatusCode::OK),
        ("/newer/affiliates", StatusCode::UNAUTHORIZED),
    ] {
        assert_eq!(get_with(&client, path, &cookie).await.status, status, "{path}");
    }
}

pub(super) async fn cookie_is_for_the_mount_point(site: Site) {
    let (tracker, _) = site.tracker_and_key().await;
    let api = || Api::new(Arc::clone(&tracker), tokens(ADMIN));
    let trackers = vec![
        ("/partners/tracking", Arc::new(api())),
        ("/secure", Arc::new(api().public_url("https://track.example.com/".parse().unwrap()))),
        ("/below", Arc::new(api().public_url("http://example.com/some/where/".parse().unwrap()))),
    ];
    let client = site.mount(trackers).await;
    for (mount, path, secure) in
        [("/partners/tracking", "/partners/tracking", false), ("/secure", "/", true), ("/below", "/some/where", false)]
    {
        let sent = [post_form(&format!("{mount}{LOGIN}"), &format!("token={ADMIN}")), post_form(&format!("{mount}{LOGOUT}"), "")];
        for request in sent {
            let reply = client.send(request).await;
            let attributes: Vec<_> = reply.header("set-cookie").split("; ").skip(1).collect();
            assert_eq!(attributes[0], format!("Path={path}"), "{mount}");
            assert_eq!(attributes.contains(&"Secure"), secure, "{mount}");
            assert!(attributes.contains(&"HttpOnly") && attributes.contains(&"SameSite=Lax"), "{mount}");
        }
        let reply = client.get(&format!("{mount}/dashboard/link?affiliate_id=1")).await;
        assert_eq!(reply.header("location"), "../dashboard/login?next=dashboard%2Flink%3Faffiliate_id%3D1", "{mount}");
    }
}

pub(super) async fn forged_cookies_are_nobodys(site: Site) {
    let place = Place::new(&site).await;
    let admin = place.log_in(ADMIN).await;
    let pass = place.pass("1", DAY).await;
    let forged = |text: &str| format!("tracking_session={text}");
    let mut changed = admin.clone().into_bytes();
    let middle = changed.len() - 12;
    changed[middle] = if changed[middle] == b'A' { b'B' } else { b'A' };
    let changed = String::from_utf8(changed).unwrap();
    let renamed = admin.replace("tracking_session", "tracking_sessions");
    for cookie in [&changed, &renamed, &forged(""), &forged("admin"), &forged(ADMIN), &forged("afpass_"), &format!("{admin}A")] {
        assert_eq!(get_with(&place.client, "/affiliates", cookie).await.status, StatusCode::UNAUTHORIZED, "{cookie}");
    }
    // An affiliate's pass is his, and what an admin's session says can't be logged in with.
    assert_eq!(get_with(&place.client, "/affiliates", &forged(&pass)).await.status, StatusCode::FORBIDDEN);
    let token = admin.strip_prefix("tracking_session=").unwrap();
    let reply = place.client.send(post_form(LOGIN, &format!("token={token}"))).await;
    assert_eq!(reply.status, StatusCode::UNAUTHORIZED);
    assert_eq!(place.client.get(&format!("/dashboard/share?token={token}")).await.status, StatusCode::FORBIDDEN);
    // Cookies beyond all measure are not looked at.
    let many = format!("{}{admin}", format!("{}; ", forged("x")).repeat(50));
    assert_eq!(get_with(&place.client, "/affiliates", &many).await.status, StatusCode::UNAUTHORIZED);
}

pub(super) async fn affiliate_logs_in_with_his_pass(site: Site) {
    let place = Place::new(&site).await;
    let admin = place.log_in(ADMIN).await;
    let issue = with_session(post_json("/affiliates/1/passes", r#"{"lifetime_seconds": 86400}"#), &admin);
    let issued = place.client.send(issue).await;
    assert_eq!(issued.status, StatusCode::CREATED);
    let data = issued.data();
    let token = data["token"].as_str().unwrap();
    assert_eq!((&data["issued_at"], &data["expires_at"]), (&json!(NOW), &json!(now().plus(DAY))));
    assert!(data["share_url"].as_str().unwrap().ends_with(&format!("/dashboard/share?token={token}")), "{data}");

    let form = format!("token={token}&next=dashboard%2Fpostbacks");
    let reply = place.client.send(post_form(LOGIN, &form)).await;
    assert_eq!((reply.status, reply.header("location")), (StatusCode::SEE_OTHER, "../dashboard?affiliate_id=1"));
    let attributes: Vec<_> = reply.header("set-cookie").split("; ").skip(1).collect();
    assert_eq!(attributes, ["Path=/", "Max-Age=86400", "HttpOnly", "SameSite=Lax"]);
    let cookie = session(&reply);
    let page = get_with(&place.client, "/dashboard?affiliate_id=1", &cookie).await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.text().contains("Ada") && page.text().contains("Log out") && !page.text().contains("Grace"));
    assert_eq!(get_with(&place.client, "/affiliates/1/summary", &cookie).await.status, StatusCode::OK);
    assert_eq!(get_with(&place.client, "/affiliates/2/summary", &cookie).await.status, StatusCode::FORBIDDEN);
    // Whoever is not logged in by a session has none to log out of.
    let by_header = with_header(request(Method::GET, "/dashboard"), "authorization", &format!("Bearer {ADMIN}"));
    assert!(!place.client.send(by_header).await.text().contains("Log out"));
}

pub(super) async fn affiliate_opens_a_shared_link(site: Site) {
    let place = Place::new(&site).await;
    let pass = place.pass("2", HOUR).await;
    let reply = place.client.get(&format!("/dashboard/share?token={pass}")).await;
    assert_eq!((reply.status, reply.header("location")), (StatusCode::SEE_OTHER, "../dashboard?affiliate_id=2"));
    assert_eq!((reply.header("referrer-policy"), reply.header("cache-control")), ("no-referrer", "no-store"));
    let cookie = session(&reply);
    assert!(reply.header("set-cookie").contains("; Max-Age=3600; "));
    let page = get_with(&place.client, "/dashboard?affiliate_id=2", &cookie).await;
    assert!(page.text().contains("Grace") && !page.text().contains("Ada"), "{}", page.text());
    for token in ["", "x", "afpass_x", ADMIN] {
        let reply = place.client.get(&format!("/dashboard/share?token={token}")).await;
        assert_eq!((reply.status, reply.header("set-cookie")), (StatusCode::FORBIDDEN, ""), "{token}");
    }
    assert_eq!(place.client.get("/dashboard/share").await.status, StatusCode::FORBIDDEN);
}

pub(super) async fn shared_link_ends_no_other_session(site: Site) {
    let place = Place::new(&site).await;
    let link = format!("/dashboard/share?token={}", place.pass("2", HOUR).await);
    let leads_on = |reply: &Reply| {
        assert_eq!((reply.status, reply.header("location")), (StatusCode::SEE_OTHER, "../dashboard?affiliate_id=2"));
    };
    for token in [ADMIN, READER] {
        let reply = get_with(&place.client, &link, &place.log_in(token).await).await;
        leads_on(&reply);
        assert_eq!((reply.header("set-cookie"), reply.header("referrer-policy")), ("", "no-referrer"));
        let by_header = with_header(request(Method::GET, &link), "authorization", &format!("Bearer {token}"));
        let reply = place.client.send(by_header).await;
        leads_on(&reply);
        assert_eq!(reply.header("set-cookie"), "");
    }
    // Another affiliate, and whoever is an admin only because everybody is one.
    let other = format!("tracking_session={}", place.pass("1", HOUR).await);
    session(&get_with(&place.client, &link, &other).await);
    let open = Place::with(&site, guard::open()).await;
    let link = format!("/dashboard/share?token={}", open.pass("2", HOUR).await);
    session(&open.client.get(&link).await);
    // The host's own admin.
    let host = Place::with(&site, guard::from_fn(|_| async { Access::Admin })).await;
    let link = format!("/dashboard/share?token={}", host.pass("2", HOUR).await);
    let reply = host.client.get(&link).await;
    leads_on(&reply);
    assert_eq!(reply.header("set-cookie"), "");
}

pub(super) async fn passes_expire_and_are_revoked(site: Site) {
    let place = Place::new(&site).await;
    let admin = place.log_in(ADMIN).await;
    let (pass, others) = (place.pass("1", HOUR).await, place.pass("2", DAY).await);
    let cookie = |pass: &str| format!("tracking_session={pass}");
    place.clock.set(now().plus(HOUR));
    let longer = place.pass("1", DAY).await;
    let void = async |pass: &str| {
        let link = place.client.get(&format!("/dashboard/share?token={pass}")).await;
        assert_eq!((link.status, link.header("set-cookie")), (StatusCode::FORBIDDEN, ""));
        assert!(link.text().contains("expired") && link.text().contains("revoked"), "{}", link.text());
        assert_eq!(link.header("referrer-policy"), "no-referrer");
        assert_eq!(place.client.send(post_form(LOGIN, &format!("token={pass}"))).await.status, StatusCode::UNAUTHORIZED);
        let reply = get_with(&place.client, "/affiliates/1/summary", &cookie(pass)).await;
        assert_eq!(reply.status, StatusCode::UNAUTHORIZED);
    };
    void(&pass).await;
    assert_eq!(get_with(&place.client, "/affiliates/1", &cookie(&longer)).await.status, StatusCode::OK);

    let revoke = with_session(request(Method::DELETE, "/affiliates/1/passes"), &admin);
    let revoked = place.client.send(revoke).await;
    assert_eq!((revoked.status, &revoked.data()["revoked_at"]), (StatusCode::OK, &json!(now().plus(HOUR))));
    void(&longer).await;
    assert_eq!(get_with(&place.client, "/affiliates/2", &cookie(&others)).await.status, StatusCode::OK);
    let again = place.pass("1", DAY).await;
    assert_eq!(get_with(&place.client, "/affiliates/1", &cookie(&again)).await.status, StatusCode::OK);
    let unknown = with_session(request(Method::DELETE, "/affiliates/99/passes"), &admin);
    assert_eq!(place.client.send(unknown).await.error_code(), "unknown_affiliate");
}

pub(super) async fn links_are_shared_and_revoked_on_the_page(site: Site) {
    let place = Place::new(&site).await;
    let (admin, reader) = (place.log_in(ADMIN).await, place.log_in(READER).await);
    let page = get_with(&place.client, "/dashboard?affiliate_id=1", &admin).await;
    assert!(page.text().contains(r#"action="./dashboard/affiliates/1/share""#), "{}", page.text());
    let page = get_with(&place.client, "/dashboard?affiliate_id=1", &reader).await;
    assert!(!page.text().contains("/share"), "{}", page.text());

    let share = async |days: &str| {
        let form = post_form("/dashboard/affiliates/1/share", &format!("lifetime_days={days}"));
        place.client.send(with_session(form, &admin)).await
    };
    let mut links = Vec::new();
    for (days, seconds) in [("1", 86_400), ("7", 604_800), ("30", 2_592_000), ("90", 7_776_000)] {
        let made = share(days).await;
        assert_eq!((made.status, made.header("cache-control")), (StatusCode::OK, "no-store"));
        let (_, link) = made.text().split_once("/dashboard/share?token=").unwrap();
        let link = format!("/dashboard/share?token={}", link.split_once('<').unwrap().0);
        let expires_at = now().plus(Duration::from_secs(seconds)).to_string();
        assert!(made.text().contains(&format!(r#"<time datetime="{expires_at}">"#)), "{days}: {}", made.text());
        let opened = place.client.get(&link).await;
        assert_eq!(opened.header("location"), "../dashboard?affiliate_id=1");
        assert!(opened.header("set-cookie").contains(&format!("; Max-Age={seconds}; ")), "{days}");
        links.push(link);
    }
    for days in ["", "0", "2", "91", "7.0", "x"] {
        let refused = share(days).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{days}");
        assert!(!refused.text().contains("afpass_"), "{days}");
    }
    let unknown = post_form("/dashboard/affiliates/99/share", "lifetime_days=7");
    assert_eq!(place.client.send(with_session(unknown, &admin)).await.status, StatusCode::NOT_FOUND);

    let revoke = with_session(post_form("/dashboard/affiliates/1/share/revoke", ""), &admin);
    let revoked = place.client.send(revoke).await;
    assert_eq!(revoked.status, StatusCode::SEE_OTHER);
    assert_eq!(revoked.header("location"), "../../../../dashboard?affiliate_id=1#share");
    for link in links {
        assert_eq!(place.client.get(&link).await.status, StatusCode::FORBIDDEN);
    }
    let page = get_with(&place.client, "/dashboard?affiliate_id=1", &admin).await;
    assert!(page.text().contains("are void"), "{}", page.text());
}

pub(super) async fn bad_lifetimes_are_refused(site: Site) {
    let client = site.open().await;
    for (body, status, code) in [
        (r#"{"lifetime_seconds": 59}"#, StatusCode::UNPROCESSABLE_ENTITY, "parameter_out_of_range"),
        (r#"{"lifetime_seconds": 31622401}"#, StatusCode::UNPROCESSABLE_ENTITY, "parameter_out_of_range"),
        (r#"{"lifetime_seconds": 18446744073709551615}"#, StatusCode::UNPROCESSABLE_ENTITY, "parameter_out_of_range"),
        (r#"{"lifetime_seconds": "60"}"#, StatusCode::BAD_REQUEST, "invalid_body"),
        (r#"{"lifetime_seconds": -1}"#, StatusCode::BAD_REQUEST, "invalid_body"),
        (r#"{"lifetime": 60}"#, StatusCode::BAD_REQUEST, "invalid_body"),
        ("{}", StatusCode::BAD_REQUEST, "invalid_parameter"),
    ] {
        let reply = client.send(post_json("/affiliates/1/passes", body)).await;
        assert_eq!((reply.status, reply.error_code().as_str()), (status, code), "{body}");
    }
    for (path, status) in [
        ("/affiliates/1/passes", StatusCode::CREATED),
        ("/affiliates/99/passes", StatusCode::NOT_FOUND),
        ("/affiliates/x/passes", StatusCode::BAD_REQUEST),
    ] {
        assert_eq!(client.send(post_json(path, r#"{"lifetime_seconds": 60}"#)).await.status, status, "{path}");
    }
}

pub(super) async fn header_goes_before_the_session(site: Site) {
    let place = Place::new(&site).await;
    let (admin, affiliate) = (place.log_in(ADMIN).await, format!("tracking_session={}", place.pass("1", DAY).await));
    let get = |cookie: &str, token: &str| {
        let get = with_session(request(Method::GET, "/affiliates"), cookie);
        with_header(get, "authorization", &format!("Bearer {token}"))
    };
    assert_eq!(place.client.send(get(&affiliate, ADMIN)).await.status, StatusCode::OK);
    assert_eq!(place.client.send(get(&admin, "wrong-horse-battery")).await.status, StatusCode::UNAUTHORIZED);
}

pub(super) async fn browsers_are_not_made_to_ask_for_a_password(site: Site) {
    let place = Place::new(&site).await;
    let cookie = place.log_in(READER).await;
    place.clock.set(now().plus(DAY));
    for path in ["/clicks?format=csv", "/links/qr.svg?affiliate_id=1&campaign_id=10"] {
        let get = || request(Method::GET, path);
        let wrong = with_header(get(), "authorization", "Bearer wrong-horse-battery");
        for (request, is_asked) in [
            (with_session(get(), &cookie), false),
            (with_header(get(), "sec-fetch-mode", "navigate"), false),
            (get(), true),
            (with_header(wrong, "sec-fetch-mode", "navigate"), true),
        ] {
            let reply = place.client.send(request).await;
            assert_eq!(reply.status, StatusCode::UNAUTHORIZED, "{path}");
            assert_eq!(reply.header("www-authenticate").starts_with("Basic"), is_asked, "{path}");
        }
    }
}

pub(super) async fn sessions_stand_on_any_guard(site: Site) {
    // The host's own session, for which strangers are sent to the host.
    let guard = guard::from_fn(|request| {
        let is_admin = request.headers.get("cookie").is_some_and(|cookie| cookie == "host=admin");
        async move { if is_admin { Access::Admin } else { Access::LogInAt("/login".into()) } }
    });
    let place = Place::with(&site, guard).await;
    let pass = place.pass("1", DAY).await;
    let reply = place.client.get(&format!("/dashboard/share?token={pass}")).await;
    let cookie = session(&reply);
    assert_eq!(get_with(&place.client, "/affiliates/1", &cookie).await.status, StatusCode::OK);
    assert_eq!(get_with(&place.client, "/affiliates/2", &cookie).await.status, StatusCode::FORBIDDEN);
    assert_eq!(get_with(&place.client, "/affiliates", "host=admin").await.status, StatusCode::OK);
    assert_eq!(place.client.get("/dashboard").await.header("location"), "/login");
    // Nobody is an admin by a token of ours, where there is none.
    let forged = place.tracker.sign_pass(
        &tracking_core::Pass { holder: tracking_core::Holder::Admin, issued_at: now(), expires_at: now().plus(DAY) },
        b"",
    );
    let reply = get_with(&place.client, "/affiliates", &format!("tracking_session={forged}")).await;
    assert_eq!(reply.status, StatusCode::UNAUTHORIZED);
}

pub(super) async fn other_sites_log_nobody_in_or_out(site: Site) {
    let place = Place::new(&site).await;
    for (path, form) in [(LOGIN, format!("token={ADMIN}")), (LOGOUT, String::new())] {
        for (name, value) in [("sec-fetch-site", "cross-site"), ("origin", "https://evil.example"), ("origin", "null")] {
            let reply = place.client.send(with_header(post_form(path, &form), name, value)).await;
            assert_eq!((reply.status, reply.header("set-cookie")), (StatusCode::FORBIDDEN, ""), "{path} {name}: {value}");
        }
        let own = with_header(post_form(path, &form), "sec-fetch-site", "same-origin");
        assert_eq!(place.client.send(own).await.status, StatusCode::SEE_OTHER, "{path}");
    }
}

/// What the session of affiliate 1 meets on a route, asked with ids that are not his. A route that is new has to be put in
/// its place here.
enum Meets {
    /// What is asked is not for him, whatever he asks.
    Refusal,
    /// He may ask for what is his own: this, below the mount point, is another's, and this is his.
    OwnOnly { others: &'static [&'static str], own: &'static str },
    /// The same for a form.
    OwnFormOnly { others: &'static str, own: &'static str },
    /// The same for all who are known; there are no figures in it.
    Everybody(&'static str),
    /// Nobody is asked who he is.
    NoGuard,
}

fn meets(route: &Route) -> Meets {
    let Endpoint::Guarded(endpoint) = route.endpoint else {
        return match route.endpoint {
            Endpoint::Go | Endpoint::Click | Endpoint::Postback => Meets::NoGuard,
            Endpoint::Asset | Endpoint::Health | Endpoint::Readiness | Endpoint::OpenApi => Meets::NoGuard,
            Endpoint::Session(Session::LogInPage | Session::LogIn | Session::LogOut | Session::Share) => Meets::NoGuard,
            Endpoint::Guarded(_) => unreachable!("that is what is left"),
        };
    };
    match endpoint {
        Guarded::Affiliate => Meets::OwnOnly { others: &["/affiliates/2", "/affiliates/99"], own: "/affiliates/1" },
        Guarded::AffiliateSummary => Meets::OwnOnly {
            others: &["/affiliates/2/summary", "/affiliates/99/summary"],
            own: "/affiliates/1/summary",
        },
        Guarded::AffiliateClicks => {
            Meets::OwnOnly { others: &["/affiliates/2/clicks", "/affiliates/99/clicks"], own: "/affiliates/1/clicks" }
        }
        Guarded::AffiliateConversions => Meets::OwnOnly {
            others: &["/affiliates/2/conversions", "/affiliates/99/conversions"],
            own: "/affiliates/1/conversions",
        },
        Guarded::Report => Meets::OwnOnly {
            others: &["/reports?affiliate_id=2", "/reports?affiliate_id=99&group_by=source", "/reports?affiliate_id=2&format=csv"],
            own: "/reports?affiliate_id=1&group_by=affiliate",
        },
        Guarded::Clicks => Meets::OwnOnly {
            others: &["/clicks?affiliate_id=2", "/clicks?affiliate_id=99", "/clicks?affiliate_id=2&format=csv"],
            own: "/clicks",
        },
        Guarded::Conversions => Meets::OwnOnly {
            others: &["/conversions?affiliate_id=2", "/conversions?affiliate_id=99", "/conversions?affiliate_id=2&format=csv"],
            own: "/conversions",
        },
        Guarded::Dashboard => Meets::OwnOnly {
            others: &["/dashboard?affiliate_id=2", "/dashboard?affiliate_id=99"],
            own: "/dashboard?affiliate_id=1",
        },
        Guarded::Link => Meets::OwnOnly {
            others: &["/links?affiliate_id=2&campaign_id=10", "/links?affiliate_id=99&campaign_id=10"],
            own: "/links?affiliate_id=1&campaign_id=10",
        },
        Guarded::LinkQrCode => Meets::OwnOnly {
            others: &["/links/qr.svg?affiliate_id=2&campaign_id=10"],
            own: "/links/qr.svg?affiliate_id=1&campaign_id=10",
        },
        Guarded::DashboardLink => Meets::OwnOnly {
            others: &["/dashboard/link?affiliate_id=2&campaign_id=10"],
            own: "/dashboard/link?affiliate_id=1&campaign_id=10",
        },
        Guarded::TestLink | Guarded::DashboardLinkTest => {
            Meets::OwnFormOnly { others: "affiliate_id=2&campaign_id=10", own: "affiliate_id=1&campaign_id=10" }
        }
        Guarded::Page(Page::Report) => Meets::OwnOnly {
            others: &["/dashboard/reports?affiliate_id=2", "/dashboard/reports?affiliate_id=99&group_by=campaign"],
            own: "/dashboard/reports?affiliate_id=1",
        },
        Guarded::Page(Page::Conversions) => Meets::OwnOnly {
            others: &["/dashboard/conversions?affiliate_id=2", "/dashboard/conversions?affiliate_id=99"],
            own: "/dashboard/conversions",
        },
        Guarded::Page(Page::Clicks) => Meets::OwnOnly {
            others: &["/dashboard/clicks?affiliate_id=2", "/dashboard/clicks?affiliate_id=99"],
            own: "/dashboard/clicks",
        },
        Guarded::Page(Page::Campaigns) => Meets::Everybody("/dashboard/campaigns"),
        Guarded::Page(Page::Campaign) => Meets::Everybody("/dashboard/campaigns/10"),
        Guarded::Campaign => Meets::Everybody("/campaigns/10"),
        Guarded::Campaigns => Meets::Everybody("/campaigns"),
        Guarded::Affiliates
        | Guarded::CreateAffiliate
        | Guarded::ChangeAffiliate
        | Guarded::IssuePass
        | Guarded::RevokePasses
        | Guarded::CreateCampaign
        | Guarded::ChangeCampaign
        | Guarded::IssueKey
        | Guarded::RevokeKey
        | Guarded::Conversion
        | Guarded::ChangeStatus
        | Guarded::ImportConversions
        | Guarded::Postbacks
        | Guarded::ExplainPostback
        | Guarded::EraseClicks
        | Guarded::Page(
            Page::CreateCampaign
            | Page::ChangeCampaign
            | Page::PauseCampaign
            | Page::IssueKey
            | Page::RevokeKey
            | Page::Affiliates
            | Page::CreateAffiliate
            | Page::PauseAffiliate
            | Page::ShareAffiliate
            | Page::RevokeShares
            | Page::Import
            | Page::Imported
            | Page::Settings,
        )
        | Guarded::DashboardPostbacks
        | Guarded::DashboardExplain
        | Guarded::DashboardExplained
        | Guarded::DashboardConversion
        | Guarded::DashboardChangeStatus => Meets::Refusal,
    }
}

/// A route's path with ids: those of affiliates are this one.
fn filled_in(route: &Route, affiliate: &str) -> String {
    let path = route.path.replace("{affiliate_id}", affiliate).replace("{campaign_id}", "10").replace("{key_id}", "1");
    let path = path.replace("{conversion_id}", "1");
    assert!(!path.contains('{') || route.endpoint == Endpoint::Asset, "{path}: put an id in");
    path
}

/// The requests that somebody may try on a route: with each kind of body, if it takes any.
fn requests(route: &Route, path: &str) -> Vec<Request<String>> {
    const BODIES: [(&str, &str); 4] = [
        ("", ""),
        ("application/json", "{}"),
        ("application/json", r#"{"affiliate_id": 2, "campaign_id": 10, "name": "x", "lifetime_seconds": 60}"#),
        ("application/x-www-form-urlencoded", "affiliate_id=2&campaign_id=10&status=approved"),
    ];
    let bodies = match route.method {
        Method::GET | Method::HEAD => &BODIES[..1],
        Method::POST => &BODIES[..],
        // Rocket tells no other method of a form from a `POST`.
        _ => &BODIES[..3],
    };
    let request = |(media_type, body): &(&str, &str)| {
        let request = Request::builder().method(route.method.clone()).uri(path);
        let request = if media_type.is_empty() { request } else { request.header("content-type", *media_type) };
        request.body((*body).to_owned()).unwrap()
    };
    bodies.iter().map(request).collect()
}

pub(super) async fn affiliate_has_nothing_of_others_on_any_route(site: Site) {
    let place = Place::new(&site).await;
    for affiliate in ["1", "2"] {
        let sale = format!("affiliate_id={affiliate}&click_id=abc&amount=100&currency=USD&status=pending");
        place.client.get(&format!("/click?affiliate_id={affiliate}&campaign_id=10&click_id=abc")).await;
        assert_eq!(place.client.get(&format!("/postback?{sale}")).await.status, StatusCode::OK);
    }
    let before = place.tracker.summary("2".parse().unwrap()).await.unwrap();
    let cookie = format!("tracking_session={}", place.pass("1", DAY).await);
    let ask = async |request: Request<String>| place.client.send(with_session(request, &cookie)).await;
    let mut refused = 0;
    for route in &ROUTES {
        let refuse = async |request: Request<String>| {
            let told = format!("{} {} {:?}", route.name, request.uri(), request.body());
            let reply = ask(request).await;
            assert_eq!(reply.status, StatusCode::FORBIDDEN, "{told}");
            assert!(!reply.text().contains("Grace"), "{told}");
        };
        match meets(route) {
            Meets::Refusal => {
                // Not even of himself.
                for path in ["1", "2", "99"].map(|affiliate| filled_in(route, affiliate)) {
                    for request in requests(route, &path) {
                        refuse(request).await;
                        refused += 1;
                    }
                }
            }
            Meets::OwnOnly { others, own } => {
                for path in others {
                    refuse(request(route.method.clone(), path)).await;
                    refused += 1;
                }
                assert_eq!(ask(request(route.method.clone(), own)).await.status, StatusCode::OK, "{own}");
            }
            Meets::OwnFormOnly { others, own } => {
                refuse(post_form(route.path, others)).await;
                refused += 1;
                assert_eq!(ask(post_form(route.path, own)).await.status, StatusCode::OK, "{}", route.name);
            }
            Meets::Everybody(path) => {
                let reply = ask(request(route.method.clone(), path)).await;
                assert_eq!(reply.status, StatusCode::OK, "{path}");
                assert!(!reply.text().contains("networks") && !reply.text().contains("keys"), "{path}: {}", reply.text());
            }
            Meets::NoGuard => {}
        }
    }
    assert!(refused > 100, "{refused}");
    assert_eq!(place.tracker.summary("2".parse().unwrap()).await.unwrap(), before, "nothing of another's has changed");
}

/// Whether a route of ours that is not for reading is for a reader all the same: because it writes nothing.
fn only_explains(route: &Route) -> bool {
    matches!(route.endpoint, Endpoint::Guarded(Guarded::ExplainPostback | Guarded::DashboardExplained))
}

pub(super) async fn reader_writes_on_no_route(site: Site) {
    let place = Place::new(&site).await;
    let cookie = place.log_in(READER).await;
    let mut refused = 0;
    for route in ROUTES.iter().filter(|route| matches!(route.endpoint, Endpoint::Guarded(_))) {
        if [Method::GET, Method::HEAD].contains(&route.method) || only_explains(route) {
            continue;
        }
        for sent in requests(route, &filled_in(route, "1")) {
            let by_header = with_header(sent.clone(), "authorization", &format!("Bearer {READER}"));
            for request in [with_session(sent, &cookie), by_header] {
                let told = format!("{} {:?}", route.name, request.body());
                let reply = place.client.send(request).await;
                assert_eq!(reply.status, StatusCode::FORBIDDEN, "{told}");
                if reply.header("content-type").starts_with("application/json") {
                    assert_eq!(reply.error_code(), "read_only", "{told}");
                } else {
                    assert!(reply.text().contains("change nothing"), "{told}");
                }
                refused += 1;
            }
        }
    }
    assert!(refused >= 80, "{refused}");
}

pub(super) async fn reader_sees_what_an_admin_sees(site: Site) {
    let place = Place::new(&site).await;
    place.client.get("/click?affiliate_id=1&campaign_id=10&click_id=abc").await;
    place.client.get("/postback?affiliate_id=1&click_id=abc&amount=100&currency=USD").await;
    let (reader, admin) = (place.log_in(READER).await, place.log_in(ADMIN).await);
    for route in ROUTES.iter().filter(|route| matches!(route.endpoint, Endpoint::Guarded(_))) {
        if route.method != Method::GET {
            continue;
        }
        let path = format!("{}?affiliate_id=1&campaign_id=10", filled_in(route, "1"));
        let (seen, expected) = (get_with(&place.client, &path, &reader).await, get_with(&place.client, &path, &admin).await);
        assert!(expected.status == StatusCode::OK || expected.status == StatusCode::NOT_FOUND, "{path} {}", expected.status);
        assert_eq!(seen.status, expected.status, "{path}");
        if seen.header("content-type").starts_with("application/json") {
            assert_eq!(seen.text(), expected.text(), "{path}");
        }
    }
    let explain = post_json("/postback/explain", r#"{"click_id": "abc"}"#);
    assert_eq!(place.client.send(with_session(explain, &reader)).await.status, StatusCode::OK);
    let page = get_with(&place.client, "/dashboard", &reader).await;
    assert!(page.text().contains("read-only"), "{}", page.text());
}
