//! The pages on which postbacks are looked into, and conversions approved and rejected.

use std::sync::Arc;

use http::{Method, Request, StatusCode};
use serde_json::json;
use tracking_core::{AffiliateId, Limit, PageRequest, Secret, StoreError, Tracker};

use super::broken::{BrokenStore, SECRET};
use super::client::{Client, Reply};
use super::harness::{Site, request};
use crate::guard::{self, Access};
use crate::{Api, postback_status};

const CLICK: &str = "/click?affiliate_id=1&campaign_id=10&click_id=abc123";
const SALE: &str = "/postback?affiliate_id=1&click_id=abc123&amount=100&currency=USD";
const LOG: &str = "/dashboard/postbacks";
const EXPLAIN: &str = "/dashboard/explain";

pub(super) async fn postback_log_is_shown_with_problem_and_remedy(site: Site) {
    let (tracker, key) = site.tracker_and_key().await;
    let client = site.open_tracker(tracker).await;
    let page = client.get(LOG).await;
    assert!(page.text().contains("no-postbacks"), "{}", page.text());

    client.get(CLICK).await;
    client.get(&CLICK.replace("=10", "=11").replace("abc123", "def456")).await;
    client.get(SALE).await;
    client.get(&SALE.replace("abc123", "unknown")).await;
    client.get(&format!("{}&token=pbk_wrong", SALE.replace("abc123", "def456"))).await;
    client.get(&format!("{}&token={key}&click_id=%zz", SALE.replace("abc123", "def456"))).await;
    let page = client.get(LOG).await;
    let rows = rows(&page);
    let codes: Vec<&str> = rows.iter().map(|row| code(row)).collect();
    assert_eq!(codes.len(), 4, "{codes:?}");
    for kind in [
        tracking_core::OutcomeKind::Accepted,
        tracking_core::OutcomeKind::UnknownClick,
        tracking_core::OutcomeKind::WrongKey,
        tracking_core::OutcomeKind::MalformedQuery,
    ] {
        let row = rows.iter().find(|row| code(row) == kind.code()).unwrap_or_else(|| panic!("{kind}: {}", page.text()));
        assert!(row.contains(&format!("HTTP {}", postback_status(kind).as_u16())), "{row}");
        let remedy = kind.remedy().unwrap_or_default().replace('\'', "&#39;");
        assert!(row.contains(&remedy), "{row}");
        assert_eq!(row.contains('✓'), kind.is_success(), "{row}");
        assert_eq!(row.contains("href=\"../dashboard/conversions/"), kind.is_success(), "{row}");
        assert!(row.contains("GET from 127.0.0.1"), "{row}");
    }
    assert!(!page.text().contains("pbk_"), "secrets are left out: {}", page.text());

    // What each row leads to is the form with its call.
    let link = rows.iter().find(|row| code(row) == "wrong_postback_key").map(|row| linked(row, "explain")).unwrap();
    let page = client.get(&link).await;
    assert_eq!(page.status, StatusCode::OK);
    for part in ["click_id=def456&#38;amount=100", "token=…", "secrets-note", "value=\"127.0.0.1\""] {
        assert!(page.text().contains(part), "{} has no {part}", page.text());
    }
}

pub(super) async fn postback_log_is_filtered_by_its_url(site: Site) {
    let client = site.open().await;
    client.get(CLICK).await;
    client.get(SALE).await;
    client.get(&SALE.replace("abc123", "a%26b")).await;
    client.get(&SALE.replace("affiliate_id=1", "affiliate_id=2")).await;
    for (query, expected) in [
        ("", 3),
        ("?outcome=&problems=&affiliate_id=&campaign_id=&click_id=&from=&to=", 3),
        ("?problems=true", 2),
        ("?outcome=accepted", 1),
        ("?outcome=accepted&problems=true", 0),
        ("?affiliate_id=2", 1),
        ("?campaign_id=10", 1),
        ("?click_id=a%26b", 1),
        ("?affiliate_id=1&problems=true", 1),
        // Times as a browser sends them.
        ("?from=2023-08-23T15:30", 3),
        ("?from=2023-08-23T15:30:45.124", 0),
        ("?to=2023-08-23T15:30:45", 0),
        ("?from=2023-08-23T15:00&to=2023-08-23T16:00", 3),
        ("?from=2023-08-23T17:30:45%2B02:00", 3),
    ] {
        let page = client.get(&format!("{LOG}{query}")).await;
        assert_eq!((page.status, rows(&page).len()), (StatusCode::OK, expected), "{query}");
    }
    let query = "?outcome=unknown_click&problems=true&affiliate_id=1&campaign_id=&click_id=a%26b&from=2023-08-23T15:30";
    let page = client.get(&format!("{LOG}{query}")).await.text().to_owned();
    for part in [
        "<option selected>unknown_click</option>",
        "value=\"true\" checked",
        "name=\"affiliate_id\" type=\"text\" inputmode=\"numeric\" pattern=\"[0-9]+\" title=\"A whole number\" value=\"1\"",
        "value=\"a&#38;b\"",
        "value=\"2023-08-23T15:30:00\"",
    ] {
        assert!(page.contains(part), "{page} has no {part}");
    }

    for (query, name) in [
        ("outcome=fine", "outcome"),
        ("problems=perhaps", "problems"),
        ("affiliate_id=x", "affiliate"),
        ("campaign_id=0", "campaign"),
        ("click_id=a%20b", "click"),
        ("from=yesterday", "from"),
        ("to=2023-13-01T00:00", "to"),
        ("cursor=x", "cursor"),
    ] {
        let page = client.get(&format!("{LOG}?{query}")).await;
        assert!(page.status.is_client_error(), "{query}");
        assert!(page.text().contains("filter-problem"), "{query}: {}", page.text());
        let is_marked = page.text().contains("aria-invalid=\"true\"");
        assert_eq!(is_marked, !["problems", "cursor"].contains(&name), "{query}: {}", page.text());
    }
}

pub(super) async fn postback_log_is_paged(site: Site) {
    let client = site.open().await;
    for n in 0..60 {
        client.get(&SALE.replace("abc123", &format!("unknown-{n}"))).await;
    }
    client.get("/postback?amount=1").await;
    let first = client.get(&format!("{LOG}?outcome=unknown_click")).await;
    assert!(!first.text().contains("data-test=\"newest\""), "{}", first.text());
    let second = client.get(&linked(first.text(), "older")).await;
    assert!(!second.text().contains("data-test=\"older\""), "{}", second.text());
    let (mut seen, more) = (clicks(&first), clicks(&second));
    assert_eq!((seen.len(), more.len()), (50, 10));
    seen.extend(more);
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), 60, "each is on one of the pages");
    let newest = client.get(&linked(second.text(), "newest")).await;
    assert_eq!(rows(&newest).len(), 50);
}

pub(super) async fn explanation_shows_each_rule_and_writes_nothing(site: Site) {
    let client = site.open().await;
    client.get(CLICK).await;
    client.get(&CLICK.replace("=10", "=11").replace("abc123", "def456")).await;
    let page = client.get(&format!("{EXPLAIN}?call=a%3D%3Cb%3E&source=192.0.2.1")).await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(
        page.text().contains("a=&#60;b&#62;</textarea>") && !page.text().contains("data-test=\"rules\""),
        "{}",
        page.text()
    );

    let sale = SALE.strip_prefix("/postback?").unwrap();
    let page = explain(&client, &format!("https://shop.example{SALE}"), "").await;
    for part in ["It would be taken", "HTTP 200", "data-test=\"foretold\"", "data-test=\"click\""] {
        assert!(page.text().contains(part), "{} has no {part}", page.text());
    }
    assert_eq!(verdicts(&page), [("passed", 14), ("failed", 0), ("skipped", 0)]);

    let page = explain(&client, &sale.replace("abc123", "def456"), "192.0.2.1").await;
    assert!(page.text().contains("missing_postback_key") && page.text().contains("HTTP 401"), "{}", page.text());
    assert_eq!(
        verdicts(&page),
        [("passed", 13), ("failed", 1), ("skipped", 0)],
        "the other rules are asked all the same"
    );
    assert!(page.text().contains("If nothing stood in the way"), "{}", page.text());

    let page = explain(&client, &sale.replace("abc123", "unknown"), "").await;
    assert!(page.text().contains("unknown_click"), "{}", page.text());
    assert_eq!(verdicts(&page), [("passed", 2), ("failed", 1), ("skipped", 11)]);
    for (call, code) in
        [("", "invalid_parameter"), ("click_id=%zz", "malformed_query"), ("click_id=abc123", "invalid_parameter")]
    {
        let page = explain(&client, call, "").await;
        assert_eq!(page.status, StatusCode::OK, "{call}");
        assert!(page.text().contains(&format!("✕ {code}")), "{call}: {}", page.text());
    }
    let page = explain(&client, sale, "<nowhere>").await;
    assert_eq!(page.status, StatusCode::BAD_REQUEST);
    assert!(
        page.text().contains("explain-problem") && page.text().contains("value=\"&#60;nowhere&#62;\""),
        "{}",
        page.text()
    );

    assert_eq!(client.get("/postbacks").await.data(), json!([]), "nothing is logged");
    assert_eq!(client.get("/affiliates/1/conversions").await.data(), json!([]), "nothing is recorded");

    client.get(SALE).await;
    let page = explain(&client, &sale.replace("amount=100", "amount=101"), "").await;
    assert!(page.text().contains("✕ conflict") && page.text().contains("data-test=\"recorded\""), "{}", page.text());
}

pub(super) async fn conversions_are_approved_and_rejected_by_forms(site: Site) {
    let client = site.open().await;
    client.get(CLICK).await;
    let id = client.get(&format!("{SALE}&status=pending&sub1=store-7")).await.data()["conversion_id"].as_u64().unwrap();
    let (page, status) = (format!("/dashboard/conversions/{id}"), format!("/dashboard/conversions/{id}/status"));
    let figures = "/dashboard?affiliate_id=1";

    let shown = client.get(&page).await.text().to_owned();
    for part in ["data-test=\"approve\"", "data-test=\"reject\"", "flag pending", "store-7", "recorded as"] {
        assert!(shown.contains(part), "{shown} has no {part}");
    }
    let shown = client.get(figures).await.text().to_owned();
    for part in [
        &format!("action=\"./dashboard/conversions/{id}/status\""),
        "flag pending",
        "1\u{a0}pending\u{a0}· 0\u{a0}approved",
    ] {
        assert!(shown.contains(part), "{shown} has no {part}");
    }

    let reply = client.send(post_form(&status, "status=approved&reason=&back=affiliate")).await;
    let expected = format!("../../../dashboard?affiliate_id=1#conversion-{id}");
    assert_eq!((reply.status, reply.header("location")), (StatusCode::SEE_OTHER, expected.as_str()));
    let shown = client.get(figures).await.text().to_owned();
    assert!(shown.contains(&format!("id=\"conversion-{id}\"")), "{shown}");
    assert!(shown.contains("flag approved") && !shown.contains("data-test=\"approve\""), "{shown}");
    let again = client.send(post_form(&status, "status=approved")).await;
    let expected = format!("../../../dashboard/conversions/{id}");
    assert_eq!(
        (again.status, again.header("location")),
        (StatusCode::SEE_OTHER, expected.as_str()),
        "it has that status"
    );

    let refused = client.send(post_form(&status, "status=pending&reason=not%20%3Csure%3E")).await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    for part in ["change-problem", "can&#39;t become pending", "value=\"not &#60;sure&#62;\"", "flag approved"] {
        assert!(refused.text().contains(part), "{} has no {part}", refused.text());
    }
    for form in [
        "",
        "status=",
        "status=fine",
        "status=rejected&status=approved",
        &format!("status=rejected&reason={}", "x".repeat(256)),
    ] {
        let refused = client.send(post_form(&status, form)).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{form}");
        assert!(refused.text().contains("change-problem"), "{form}: {}", refused.text());
    }

    let rejected = client.send(post_form(&status, "status=rejected&reason=sent%20back")).await;
    assert_eq!(rejected.status, StatusCode::SEE_OTHER);
    let shown = client.get(&page).await.text().to_owned();
    for part in ["flag rejected", "by an admin: <bdi>sent back</bdi>", "data-test=\"final\""] {
        assert!(shown.contains(part), "{shown} has no {part}");
    }
    assert!(!shown.contains("data-test=\"change\""), "{shown}");
    let shown = client.get(figures).await.text().to_owned();
    assert!(
        shown.contains("0\u{a0}approved\u{a0}· 1\u{a0}rejected") && !shown.contains("data-test=\"reject\""),
        "{shown}"
    );

    for (path, expected) in [("999", 404), ("x", 400), ("0", 422)] {
        let reply = client.get(&format!("/dashboard/conversions/{path}")).await;
        assert_eq!(reply.status.as_u16(), expected, "{path}");
        assert!(reply.text().contains("data-test=\"problem\""), "{path}: {}", reply.text());
        let path = format!("/dashboard/conversions/{path}/status");
        assert_eq!(client.send(post_form(&path, "status=approved")).await.status.as_u16(), expected, "{path}");
    }
    // Another site's page can't do it.
    let mut foreign = post_form(&status, "status=approved");
    foreign.headers_mut().insert("sec-fetch-site", "cross-site".parse().unwrap());
    assert_eq!(client.send(foreign).await.status, StatusCode::FORBIDDEN);
}

pub(super) async fn affiliates_see_status_and_payout_and_no_more(site: Site) {
    let (tracker, _) = site.tracker_and_key().await;
    let payout = "12.5%".parse().unwrap();
    let campaign = 10.try_into().unwrap();
    tracker.update_campaign(campaign, |campaign| campaign.rules.payout = Some(payout)).await.unwrap();
    let own = Access::Affiliate(AffiliateId::new(1).unwrap());
    let his = guard::from_fn(move |_| {
        let own = own.clone();
        async { own }
    });
    let admins = Arc::new(Api::new(Arc::clone(&tracker), guard::open()));
    let client =
        site.mount(vec![("/tracking", Arc::new(Api::new(tracker, his))), ("/partners/tracking", admins)]).await;
    client.get(&format!("/tracking{CLICK}")).await;
    let reply = client.get(&format!("/tracking{SALE}&status=pending&sub1=store-7")).await;
    let id = reply.data()["conversion_id"].as_u64().unwrap();

    let page = client.get("/tracking/dashboard").await.text().to_owned();
    for part in ["flag pending", "<span class=\"amount\">12.50</span> <abbr>USD</abbr>", "1\u{a0}pending"] {
        assert!(page.contains(part), "{page} has no {part}");
    }
    for part in ["method=\"post\"", "postbacks", "explain", "dashboard/conversions/", "store-7"] {
        assert!(!page.contains(part), "{page} has {part}");
    }
    let links = client.get("/tracking/dashboard/link").await.text().to_owned();
    assert!(!links.contains("dashboard/postbacks") && !links.contains("dashboard/explain"), "{links}");
    let (conversion, status) = (format!("/dashboard/conversions/{id}"), format!("/dashboard/conversions/{id}/status"));
    for (method, path) in [
        (Method::GET, LOG),
        (Method::GET, EXPLAIN),
        (Method::POST, EXPLAIN),
        (Method::GET, &conversion),
        (Method::GET, "/dashboard/conversions/999"),
        (Method::POST, &status),
    ] {
        let path = format!("/tracking{path}");
        let mut asked =
            if method == Method::GET { request(method, &path) } else { post_form(&path, "status=approved&call=") };
        asked.headers_mut().insert("sec-fetch-site", "same-origin".parse().unwrap());
        let reply = client.send(asked).await;
        assert_eq!(reply.status, StatusCode::FORBIDDEN, "{path}");
        assert!(reply.text().contains("data-test=\"problem\""), "{path}: {}", reply.text());
    }
    let page = client.get(&format!("/partners/tracking{conversion}")).await.text().to_owned();
    assert!(page.contains("flag pending") && page.contains("<span class=\"amount\">12.50</span>"), "{page}");
}

pub(super) async fn overview_compares_periods_and_names_the_best(site: Site) {
    let client = site.open().await;
    client.get(&format!("{CLICK}&source=%3Ci%3Eblog%3C%2Fi%3E")).await;
    client.get(&CLICK.replace("abc123", "def456")).await;
    client.get(&CLICK.replace("id=1&", "id=2&")).await;
    client.get(SALE).await;

    // It is 15:30 in London, and the next day has begun in Kiritimati.
    let page = client.get("/dashboard").await.text().to_owned();
    for part in [
        "25 Jul to 23 Aug 2023 in UTC",
        "in UTC, so far, compared with as much of the 30 days before, 25 Jun to 24 Jul 2023",
        "data-test=\"period-clicks\">3</dd>",
        "data-test=\"change-clicks\">none before</dd>",
        "data-test=\"period-conversions\">1</dd>",
        "data-test=\"period-rate\">33.33%</dd>",
        "data-test=\"chart-clicks\"",
        "data-test=\"chart-revenue-usd\"",
        "<title>23 Aug 2023: 3 (before: 0)</title>",
        "highest 3 (23 Aug 2023), lowest 0 (25 Jul 2023); 30 days before: 0 in all.",
        "Of all 3 clicks",
        "<bdi>&#60;i&#62;blog&#60;/i&#62;</bdi>",
    ] {
        assert!(page.contains(part), "{page} has no {part}");
    }
    let best = |name: &str| page.split(&format!("data-test=\"{name}\"")).nth(1).unwrap().split("</section>").next().unwrap();
    assert!(best("top-affiliates").find("Ada") < best("top-affiliates").find("Grace"), "who has a conversion comes first");
    assert!(best("top-campaigns").contains("Shop") && !best("top-campaigns").contains("Bank"));

    let page = client.get("/dashboard?period=today&time_zone=Pacific/Kiritimati").await.text().to_owned();
    for part in [
        "dashboard/campaigns/10?period=today&#38;time_zone=Pacific%2FKiritimati\"",
        "24 Aug 2023 in Pacific/Kiritimati, so far, compared with as much of the day before, 23 Aug 2023",
        "data-test=\"period-clicks\">3</dd>",
        "value=\"Pacific/Kiritimati\"",
        // The clock there shows 05:30.
        "<title>24 Aug 2023 05:00: 3 (before: 0)</title>",
        "period=yesterday&#38;time_zone=Pacific%2FKiritimati\"",
        "dashboard?period=today&#38;time_zone=Pacific%2FKiritimati&#38;affiliate_id=1\"",
    ] {
        assert!(page.contains(part), "{page} has no {part}");
    }
    // A campaign's page is about the same period, and so is whatever it links to.
    for (query, period, days, clicks, linked) in [
        ("", "Last 30 days", "25 Jul to 23 Aug 2023 in UTC", "3", "?campaign_id=10\""),
        (
            "?period=today&time_zone=Pacific/Kiritimati",
            "Today",
            "24 Aug 2023 in Pacific/Kiritimati",
            "3",
            "?period=today&#38;time_zone=Pacific%2FKiritimati&#38;campaign_id=10\"",
        ),
        (
            "?from=2023-08-22&to=2023-08-22",
            "Chosen days",
            "22 Aug 2023 in UTC",
            "0",
            "?from=2023-08-22&#38;to=2023-08-22&#38;campaign_id=10\"",
        ),
    ] {
        let page = client.get(&format!("/dashboard/campaigns/10{query}")).await.text().to_owned();
        assert!(page.contains(&format!("<h2 id=\"figures-title\">{period}</h2>")), "{query}: {page}");
        assert!(page.contains(&format!("data-test=\"days\">{days}<")), "{query}: {page}");
        assert!(page.contains(&format!("data-test=\"clicks-total\">{clicks}<")), "{query}: {page}");
        for list in ["reports", "conversions", "clicks"] {
            assert!(page.contains(&format!("/dashboard/{list}{linked}")), "{query}: {page} has no {list}{linked}");
        }
    }
    assert_eq!(client.get("/dashboard/campaigns/10?period=fortnight").await.status, StatusCode::BAD_REQUEST);
    // What is over is compared with all of the days before.
    let page = client.get("/dashboard?from=2023-08-22&to=2023-08-22").await.text().to_owned();
    assert!(page.contains("22 Aug 2023 in UTC, compared with the day before, 21 Aug 2023"), "{page}");
    let page = client.get("/dashboard?from=2023-08-24&to=2023-08-24&time_zone=America/New_York").await.text().to_owned();
    assert!(page.contains("data-test=\"period-clicks\">0</dd>"), "{page}");
    assert!(page.contains("data-test=\"affiliates\""), "whom nobody has sent a visitor is found all the same: {page}");

    for (query, status, name) in [
        ("period=fortnight", 400, "period"),
        ("from=2023-08-02&to=2023-08-01", 400, "to"),
        ("from=%22%3E%3Cb%3E", 400, "from"),
        ("time_zone=Mars/Olympus", 400, "time-zone"),
    ] {
        for page in ["/dashboard?", "/dashboard?affiliate_id=1&"] {
            let reply = client.get(&format!("{page}{query}")).await;
            assert!(reply.text().contains("period-problem") && !reply.text().contains("<b>"), "{query}: {}", reply.text());
            assert!(!reply.text().contains("period-clicks"), "{query}: {}", reply.text());
            assert!(reply.status.is_client_error(), "{query}: {} instead of {status}", reply.status);
            assert!(reply.text().contains("aria-invalid=\"true\""), "{name}: {}", reply.text());
        }
    }
}

pub(super) async fn overview_goes_without_sources_that_take_too_long(site: Site) {
    let (full, _) = site.tracker_and_key().await;
    let page = PageRequest { limit: Limit::default(), after: None };
    let affiliates = full.affiliates(page).await.unwrap();
    let open = async |error: fn() -> StoreError| {
        let store = BrokenStore::failing(error).with_newest_affiliates(affiliates.clone()).with_counters(site.store());
        site.open_tracker(Arc::new(Tracker::new(store, Secret::random()))).await.get("/dashboard").await
    };
    let page = open(|| StoreError::TooSlow { operation: "list clicks" }).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.text());
    for part in [
        "data-live data-slow data-test=\"top-sources\"",
        "data-test=\"no-sources\">It took too long to list the latest clicks. Choose a shorter period.</p>",
        "dashboard/reports?group_by=source\"",
        "data-test=\"period-clicks\">0</dd>",
        "data-test=\"top-campaigns\"",
    ] {
        assert!(page.text().contains(part), "{} has no {part}", page.text());
    }
    let page = open(|| StoreError::unavailable("list clicks", SECRET)).await;
    assert_eq!(page.status, StatusCode::SERVICE_UNAVAILABLE, "it may be had later: {}", page.text());
    let page = site.open_tracker(full).await.get("/dashboard").await;
    assert!(page.text().contains("data-live data-test=\"top-sources\""), "nothing is slow: {}", page.text());
}

pub(super) async fn affiliates_see_their_own_figures_of_a_period(site: Site) {
    let (tracker, _) = site.tracker_and_key().await;
    let own = Access::Affiliate(AffiliateId::new(1).unwrap());
    let his = guard::from_fn(move |_| {
        let own = own.clone();
        async { own }
    });
    let admins = Arc::new(Api::new(Arc::clone(&tracker), guard::open()));
    let client =
        site.mount(vec![("/tracking", Arc::new(Api::new(tracker, his))), ("/partners/tracking", admins)]).await;
    client.get(&format!("/tracking{CLICK}&source=blog")).await;
    for n in 0..4 {
        client.get(&format!("/tracking{}&source=secret", CLICK.replace("id=1&", "id=2&").replace("abc", &n.to_string()))).await;
    }
    for page in ["/dashboard", "/dashboard?affiliate_id=1", "/dashboard?period=last_90_days&time_zone=Asia/Tokyo"] {
        let shown = client.get(&format!("/tracking{page}")).await.text().to_owned();
        for part in ["data-test=\"clicks-total\">1</dd>", "data-test=\"period-clicks\">1</dd>", "data-test=\"chart-clicks\""] {
            assert!(shown.contains(part), "{page}: {shown} has no {part}");
        }
        for part in ["Grace", "data-test=\"chooser\"", "affiliate_id=2", "name=\"affiliate_id\"", "top-affiliates"] {
            assert!(!shown.contains(part), "{page}: {shown} has {part}");
        }
    }
    for grouping in ["day", "hour&period=today", "affiliate", "campaign", "source", "event", "sub1"] {
        for named in ["", "&affiliate_id=1"] {
            let path = format!("/tracking/dashboard/reports?group_by={grouping}{named}");
            let shown = client.get(&path).await;
            assert_eq!(shown.status, StatusCode::OK, "{path}");
            for part in ["Grace", "secret", "affiliate_id=2", "name=\"affiliate_id\""] {
                assert!(!shown.text().contains(part), "{path}: {} has {part}", shown.text());
            }
        }
    }
    for page in ["/dashboard?affiliate_id=2", "/dashboard/reports?affiliate_id=2", "/dashboard/reports?affiliate_id=99"] {
        assert_eq!(client.get(&format!("/tracking{page}")).await.status, StatusCode::FORBIDDEN, "{page}");
    }
    let shown = client.get("/partners/tracking/dashboard?affiliate_id=2").await.text().to_owned();
    assert!(shown.contains("data-test=\"period-clicks\">4</dd>"), "{shown}");
}

pub(super) async fn reports_are_asked_for_by_a_form(site: Site) {
    const REPORT: &str = "/dashboard/reports";
    let client = site.open().await;
    client.get(&format!("{CLICK}&source=blog")).await;
    client.get(&CLICK.replace("abc123", "def456").replace("id=1&", "id=2&")).await;
    client.get(SALE).await;
    let rows = |page: &Reply| {
        let body = page.text().split("data-test=\"report\"").nth(1).and_then(|rest| rest.split("<tbody>").nth(1));
        body.map_or(0, |body| body.split("</tbody>").next().unwrap().matches("<tr>").count())
    };

    for (query, expected) in [
        ("", 30),
        ("period=&from=&to=&time_zone=&group_by=&affiliate_id=&campaign_id=&sort=&currency=", 30),
        ("period=last_7_days", 7),
        ("period=today&group_by=hour&time_zone=Australia/Lord_Howe", 24),
        ("group_by=affiliate", 2),
        ("group_by=affiliate&affiliate_id=2", 1),
        ("group_by=source", 2),
        ("group_by=event", 1),
        ("group_by=campaign&campaign_id=11", 0),
        ("limit=10&offset=25", 5),
    ] {
        let page = client.get(&format!("{REPORT}?{query}")).await;
        assert_eq!((page.status, rows(&page)), (StatusCode::OK, expected), "{query}: {}", page.text());
        let is_by_time = query.is_empty() || query.starts_with("period=");
        assert_eq!(page.text().contains("data-test=\"chart-clicks\""), is_by_time || query.starts_with("limit"), "{query}");
        assert_eq!(page.text().contains("data-test=\"scanned\""), query.contains("source") || query.contains("event"), "{query}");
    }

    let by_clicks = client.get(&format!("{REPORT}?group_by=affiliate&sort=-clicks&time_zone=Asia/Tokyo")).await.text().to_owned();
    for part in [
        "aria-sort=\"descending\"><a href=\"../dashboard/reports?time_zone=Asia%2FTokyo&#38;group_by=affiliate&#38;sort=clicks\">Clicks",
        "<option value=\"affiliate\" selected>",
        "<option value=\"-clicks\" selected>",
        "../reports?time_zone=Asia%2FTokyo&#38;group_by=affiliate&#38;sort=-clicks&#38;format=csv\"",
        "<a href=\"../dashboard?time_zone=Asia%2FTokyo&#38;affiliate_id=1\"><bdi>Ada</bdi></a>",
    ] {
        assert!(by_clicks.contains(part), "{by_clicks} has no {part}");
    }
    let of_one = client.get(&format!("{REPORT}?from=2023-08-01&group_by=sub1&affiliate_id=2&campaign_id=10")).await;
    let asked = "data-test=\"asked\">1 to 23 Aug 2023 in UTC, by sub1, of affiliate 2, of campaign 10<";
    assert!(of_one.text().contains(asked), "{} has no {asked}", of_one.text());
    let paged = client.get(&format!("{REPORT}?limit=10&offset=10")).await;
    assert!(paged.text().contains("11 to 20 of 30 rows"), "{}", paged.text());
    for (mark, text) in [("previous", "1 to 10 of 30 rows"), ("next", "21 to 30 of 30 rows")] {
        let page = client.get(&linked(paged.text(), mark)).await;
        assert!(page.text().contains(text), "{mark}: {}", page.text());
    }
    // From beyond the end it goes back to the last rows that there are.
    for (query, before) in [
        ("limit=10&offset=500", "21 to 30 of 30 rows"),
        ("limit=10&offset=30", "21 to 30 of 30 rows"),
        ("limit=7&offset=31", "29 to 30 of 30 rows"),
        ("limit=100&offset=40", "30 rows"),
        ("group_by=event&limit=10&offset=50", "1 row"),
    ] {
        let page = client.get(&format!("{REPORT}?{query}")).await;
        assert_eq!(rows(&page), 0, "{query}");
        assert!(page.text().contains("None of "), "{query}: {}", page.text());
        let page = client.get(&linked(page.text(), "previous")).await;
        assert!(page.text().contains(before), "{query}: {}", page.text());
    }
    let csv = client.get(&linked(paged.text(), "csv")).await;
    assert!(csv.header("content-type").starts_with("text/csv"), "{}", csv.text());
    assert_eq!(csv.text().lines().count(), 31, "all rows below their names: {}", csv.text());

    for (query, status, part) in [
        ("period=fortnight", 400, "one of today"),
        ("period=fortnight&group_by=campaign", 400, "<option value=\"campaign\" selected>"),
        ("group_by=campaign&sort=-clicks&affiliate_id=x", 400, "<option value=\"-clicks\" selected>"),
        ("group_by=campaign&sort=names&limit=x", 400, "aria-invalid"),
        ("from=2023-01-01&to=2022-01-01", 400, "value=\"2022-01-01\""),
        ("group_by=weekday", 400, "aria-invalid"),
        ("affiliate_id=x", 400, "aria-invalid"),
        ("affiliate_id=99", 404, "There is no affiliate 99"),
        ("campaign_id=99&group_by=source", 404, "There is no campaign 99"),
        ("sort=names", 400, "aria-invalid"),
        ("from=2023-01-01&group_by=hour", 422, "choose a shorter period, or group by day"),
    ] {
        let page = client.get(&format!("{REPORT}?{query}")).await;
        assert_eq!(page.status.as_u16(), status, "{query}: {}", page.text());
        assert!(page.text().contains("report-problem") && page.text().contains(part), "{query}: {}", page.text());
        assert_eq!(rows(&page), 0, "{query}");
    }
}

pub(super) async fn links_of_pages_lead_somewhere(site: Site) {
    for mount in ["", "/partners/tracking"] {
        let (tracker, _) = site.tracker_and_key().await;
        let client = site.mount(vec![(mount, Arc::new(Api::new(tracker, guard::open())))]).await;
        client.get(&format!("{mount}{CLICK}")).await;
        let id = client.get(&format!("{mount}{SALE}&status=pending")).await.data()["conversion_id"].as_u64().unwrap();
        for page in [
            "/dashboard".to_owned(),
            "/dashboard?affiliate_id=1".to_owned(),
            "/dashboard?period=today&time_zone=Asia/Kathmandu".to_owned(),
            "/dashboard/reports".to_owned(),
            "/dashboard/reports/?group_by=affiliate&sort=clicks&limit=1".to_owned(),
            LOG.to_owned(),
            format!("{LOG}/?problems=true"),
            EXPLAIN.to_owned(),
            format!("/dashboard/conversions/{id}"),
            format!("/dashboard/conversions/{id}/"),
        ] {
            let path = format!("{mount}{page}");
            let reply = client.get(&path).await;
            assert_eq!(reply.status, StatusCode::OK, "{path}");
            let page = url::Url::parse(&format!("http://host{path}")).unwrap();
            for (attribute, status) in [(" href=\"", StatusCode::OK), (" action=\"", StatusCode::SEE_OTHER)] {
                for link in reply.text().split(attribute).skip(1).map(|rest| rest.split('"').next().unwrap()) {
                    assert!(!link.starts_with('/') && !link.contains("://"), "{path} has the link {link}");
                    let target = page.join(&unescaped(link)).unwrap();
                    let target = &target[url::Position::BeforePath..url::Position::AfterQuery];
                    // Forms that change something.
                    let is_form = status == StatusCode::SEE_OTHER && target.ends_with("/status");
                    let reply = if is_form {
                        client.send(post_form(target, "status=pending")).await
                    } else {
                        client.get(target).await
                    };
                    let is_of_share = target.ends_with("/share") || target.ends_with("/share/revoke");
                    let expected = match (is_form, is_of_share) {
                        (true, _) => status,
                        // It takes no other method.
                        (_, true) => StatusCode::METHOD_NOT_ALLOWED,
                        _ => StatusCode::OK,
                    };
                    assert_eq!(reply.status, expected, "{path} leads to {target}");
                }
            }
        }
    }
}

fn post_form(path: &str, form: &str) -> Request<String> {
    let request = Request::post(path).header("content-type", "application/x-www-form-urlencoded");
    request.body(form.to_owned()).unwrap()
}

async fn explain(client: &Client, call: &str, source: &str) -> Reply {
    let form = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("call", call)
        .append_pair("source", source)
        .finish();
    client.send(post_form(EXPLAIN, &form)).await
}

/// The rows of the log.
fn rows(page: &Reply) -> Vec<String> {
    page.text().split("<tr data-test=\"postback\">").skip(1).map(str::to_owned).collect()
}

fn code(row: &str) -> &str {
    let flag = row.split("class=\"flag").nth(1).and_then(|rest| rest.split(['>', '<']).nth(1));
    flag.and_then(|flag| flag.split(' ').nth(1)).unwrap_or_default()
}

fn clicks(page: &Reply) -> Vec<String> {
    let click =
        |row: &String| row.split("class=\"key\">").nth(1).and_then(|rest| rest.split('<').next()).unwrap().to_owned();
    rows(page).iter().map(click).collect()
}

/// Where the link with this mark leads, from a page below `/dashboard/`.
fn linked(html: &str, mark: &str) -> String {
    let tag = html.split("<a ").find(|tag| tag.split('>').next().unwrap().contains(&format!("data-test=\"{mark}\"")));
    let href = tag.and_then(|tag| tag.split("href=\"").nth(1)?.split('"').next()).unwrap_or_else(|| panic!("{html}"));
    unescaped(href).replace("../", "/")
}

fn unescaped(text: &str) -> String {
    text.replace("&#38;", "&").replace("&amp;", "&")
}

/// How many rules have said what.
fn verdicts(page: &Reply) -> [(&'static str, usize); 3] {
    ["passed", "failed", "skipped"]
        .map(|verdict| (verdict, page.text().matches(&format!("<li class=\"{verdict}\"")).count()))
}
