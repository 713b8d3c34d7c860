//! The pages with lists of conversions, clicks, campaigns and affiliates, the import and the settings.

use std::sync::Arc;

use http::{Method, StatusCode};
use serde_json::json;
use tracking_core::AffiliateId;

use super::client::{Client, Reply};
use super::harness::{NOW, Site, post_form, post_json, request, with_header};
use crate::guard::{self, Access};
use crate::{Api, PublicUrl};

const CLICK: &str = "/click?affiliate_id=1&campaign_id=10&click_id=abc123";
const SALE: &str = "/postback?affiliate_id=1&click_id=abc123&amount=100&currency=USD";
const CONVERSIONS: &str = "/dashboard/conversions";
const CLICKS: &str = "/dashboard/clicks";
const CAMPAIGNS: &str = "/dashboard/campaigns";
const AFFILIATES: &str = "/dashboard/affiliates";
const IMPORT: &str = "/dashboard/import";
const SETTINGS: &str = "/dashboard/settings";

/// Clicks of both affiliates, and a conversion of each status.
async fn traffic(client: &Client) {
    for click in [CLICK, &CLICK.replace("affiliate_id=1", "affiliate_id=2").replace("abc123", "def456")] {
        assert_eq!(client.get(click).await.status, StatusCode::OK);
    }
    let of_second = SALE.replace("affiliate_id=1", "affiliate_id=2").replace("abc123", "def456");
    for sale in [
        format!("{SALE}&transaction_id=order-1&status=pending&sub1=store-7"),
        format!("{SALE}&transaction_id=order-2&status=approved&event=sale"),
        format!("{of_second}&status=rejected"),
    ] {
        assert_eq!(client.get(&sale).await.status, StatusCode::OK, "{sale}");
    }
}

pub(super) async fn conversions_are_listed_by_filter(site: Site) {
    let client = site.open().await;
    let empty = client.get(CONVERSIONS).await;
    assert!(empty.text().contains("No conversions yet"), "{}", empty.text());
    traffic(&client).await;

    for (query, expected) in [
        ("", 3),
        ("?affiliate_id=&campaign_id=&status=&period=&from=&to=&time_zone=&cursor=", 3),
        ("?status=pending", 1),
        ("?affiliate_id=1", 2),
        ("?affiliate_id=1&status=approved", 1),
        ("?affiliate_id=2&status=approved", 0),
        ("?campaign_id=10", 3),
        ("?campaign_id=11", 0),
        ("?period=today", 3),
        ("?period=yesterday", 0),
        ("?from=2023-08-23&to=2023-08-23", 3),
        ("?from=2023-08-22&to=2023-08-22", 0),
        // There it is tomorrow already.
        ("?from=2023-08-24&to=2023-08-24&time_zone=Pacific/Auckland", 3),
        ("?from=2023-08-23&to=2023-08-23&time_zone=Pacific/Auckland", 0),
    ] {
        let page = client.get(&format!("{CONVERSIONS}{query}")).await;
        assert_eq!((page.status, rows(&page, "conversion")), (StatusCode::OK, expected), "{query}");
    }

    let all = client.get(CONVERSIONS).await.text().to_owned();
    for part in [
        "<bdi>Ada</bdi>",
        "<bdi>Grace</bdi>",
        "<bdi>Shop</bdi>",
        "transaction order-1",
        "<small>sale</small>",
        "sub1 <bdi>store-7</bdi>",
        "flag pending",
        "flag rejected",
        "<span class=\"amount\">100.00</span> <abbr>USD</abbr>",
        &format!("<time datetime=\"{NOW}\">23 Aug 2023 <span>15:30:45</span></time>"),
    ] {
        assert!(all.contains(part), "{all} has no {part}");
    }
    assert_eq!(all.matches("data-test=\"approve\"").count(), 1, "of the one that is pending");
    assert_eq!(all.matches("data-test=\"reject\"").count(), 2, "of all but the rejected one");

    // What was asked for stands in the form, and in all that leads on from here.
    let query = "affiliate_id=1&campaign_id=10&status=pending&from=2023-08-01&to=2023-08-31&time_zone=Europe%2FBerlin";
    let page = client.get(&format!("{CONVERSIONS}?{query}")).await;
    let text = page.text();
    for part in [
        "name=\"affiliate_id\" type=\"text\" inputmode=\"numeric\" pattern=\"[0-9]+\" title=\"A whole number\" value=\"1\"",
        "<option selected>pending</option>",
        "type=\"date\" value=\"2023-08-01\"",
        "type=\"date\" value=\"2023-08-31\"",
        "value=\"Europe/Berlin\"",
        "data-test=\"asked\">Only: pending, affiliate 1, campaign 10, from 2023-08-01, to 2023-08-31<",
    ] {
        assert!(text.contains(part), "{text} has no {part}");
    }
    assert_eq!(linked(text, "csv"), format!("/conversions?{query}&format=csv"));
    assert_eq!(linked(text, "quick-approved"), format!("{CONVERSIONS}?{}", query.replace("pending", "approved")));
    let csv = client.get(&linked(text, "csv")).await;
    assert_eq!((csv.status, csv.text().lines().count()), (StatusCode::OK, 2), "{}", csv.text());

    for (query, status, name) in [
        ("affiliate_id=x", 400, Some("affiliate_id")),
        ("campaign_id=0", 422, Some("campaign_id")),
        ("affiliate_id=99", 404, Some("affiliate_id")),
        ("status=fine", 400, Some("status")),
        ("period=sometimes", 400, Some("period")),
        ("period=today&from=2023-08-01", 400, Some("period")),
        ("from=yesterday", 400, Some("from")),
        ("from=2023-08-02&to=2023-08-01", 400, Some("to")),
        ("time_zone=Mars/Olympus", 400, Some("time_zone")),
        ("cursor=x", 400, None),
    ] {
        let page = client.get(&format!("{CONVERSIONS}?{query}")).await;
        assert_eq!(page.status.as_u16(), status, "{query}");
        match name {
            Some(name) => {
                assert!(page.text().contains(&format!("data-test=\"wrong-{name}\"")), "{query}: {}", page.text());
                assert!(page.text().contains("aria-invalid=\"true\""), "{query}: {}", page.text());
            }
            None => assert!(page.text().contains("data-test=\"form-problem\""), "{query}: {}", page.text()),
        }
    }
}

pub(super) async fn conversions_are_paged_by_filter(site: Site) {
    let client = site.open().await;
    client.get(CLICK).await;
    for n in 0..35 {
        client.get(&format!("{SALE}&transaction_id=order-{n}&status=pending")).await;
    }
    let first = client.get(&format!("{CONVERSIONS}?status=pending")).await;
    let second = client.get(&linked(first.text(), "older")).await;
    assert_eq!((rows(&first, "conversion"), rows(&second, "conversion")), (25, 10));
    let id = |page: &Reply| {
        let ids = page.text().split("id=\"conversion-").skip(1).filter_map(|rest| rest.split('"').next());
        ids.map(str::to_owned).collect::<Vec<_>>()
    };
    let mut seen = [id(&first), id(&second)].concat();
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), 35, "each is on one of the pages");
    assert!(!second.text().contains("data-test=\"older\""), "{}", second.text());
    assert_eq!(linked(second.text(), "newest"), format!("{CONVERSIONS}?status=pending"));
    // The form that changes a status knows which page it is on.
    let place = linked(first.text(), "older");
    let place = place.split_once('?').unwrap().1.replace('&', "&#38;");
    assert!(second.text().contains(&format!("name=\"list\" value=\"{place}\"")), "{place}: {}", second.text());
}

pub(super) async fn status_changes_lead_back_to_the_list(site: Site) {
    let client = site.open().await;
    traffic(&client).await;
    let conversions = client.get("/affiliates/1/conversions").await.data();
    let pending = conversions.as_array().unwrap().iter().find(|conversion| conversion["status"] == "pending").unwrap();
    let id = pending["id"].as_u64().unwrap();
    let status = format!("{CONVERSIONS}/{id}/status");

    let list = "affiliate_id=1&status=pending&time_zone=Europe%2FBerlin";
    let form = |status: &str, list: &str| {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.append_pair("status", status).append_pair("back", "conversions").append_pair("list", list).finish()
    };
    let reply = client.send(post_form(&status, &form("approved", list))).await;
    let expected = format!("../../../dashboard/conversions?{list}#conversion-{id}");
    assert_eq!((reply.status, reply.header("location")), (StatusCode::SEE_OTHER, expected.as_str()));
    assert_eq!(rows(&client.get(&format!("{CONVERSIONS}?{list}")).await, "conversion"), 0, "it is pending no more");
    assert_eq!(client.get(&format!("/conversions/{id}")).await.data()["status"], "approved");

    // Whatever is sent as the list, it is one of our pages that the browser is sent to.
    for (list, expected) in [
        ("", ""),
        ("//evil.example/?x=1", ""),
        ("https://evil.example", ""),
        ("status=%zz", ""),
        ("status=pending&next=//evil.example#x", "?status=pending"),
        ("status=%0D%0Aset-cookie:x", "?status=%0D%0Aset-cookie%3Ax"),
    ] {
        let reply = client.send(post_form(&status, &form("approved", list))).await;
        let expected = format!("../../../dashboard/conversions{expected}#conversion-{id}");
        assert_eq!((reply.status, reply.header("location")), (StatusCode::SEE_OTHER, expected.as_str()), "{list}");
    }
    let refused = client.send(post_form(&status, &form("pending", list))).await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    assert!(refused.text().contains("change-problem"), "{}", refused.text());
}

pub(super) async fn clicks_are_listed_with_what_they_are(site: Site) {
    let client = site.open().await;
    assert!(client.get(CLICKS).await.text().contains("No clicks yet"));
    let person = |path: &str| with_header(request(Method::GET, path), "user-agent", "Mozilla/5.0 (X11) Firefox/130");
    let link = "/go?affiliate_id=1&campaign_id=10&sub1=ad-7&source=newsletter";
    for _ in 0..2 {
        assert_eq!(client.send(person(link)).await.status, StatusCode::FOUND);
    }
    client.get("/click?affiliate_id=2&campaign_id=11&click_id=of-a-server").await;

    for (query, expected) in
        [("", 3), ("?affiliate_id=1", 2), ("?campaign_id=11", 1), ("?affiliate_id=1&campaign_id=11", 0), ("?period=today", 3), ("?period=last_month", 0)]
    {
        let page = client.get(&format!("{CLICKS}{query}")).await;
        assert_eq!((page.status, rows(&page, "click")), (StatusCode::OK, expected), "{query}");
    }
    let page = client.get(CLICKS).await;
    for part in [
        "sub1 <bdi>ad-7</bdi>",
        "source <bdi>newsletter</bdi>",
        "<span class=\"flag\">repeat</span>",
        "<span class=\"flag\">no user agent</span>",
        "of-a-server",
        "<bdi>Grace</bdi>",
        "<bdi>Bank</bdi>",
    ] {
        assert!(page.text().contains(part), "{} has no {part}", page.text());
    }
    let filtered = client.get(&format!("{CLICKS}?affiliate_id=1&period=today")).await;
    assert_eq!(linked(filtered.text(), "csv"), "/clicks?affiliate_id=1&period=today&format=csv");
    assert!(filtered.text().contains("data-test=\"asked\">Only: affiliate 1, today<"), "{}", filtered.text());
    assert!(page.text().contains("data-test=\"asked\">All clicks<"), "{}", page.text());
    let csv = client.get(&linked(filtered.text(), "csv")).await;
    assert_eq!(csv.text().lines().count(), 3, "{}", csv.text());
    let wrong = client.get(&format!("{CLICKS}?from=x")).await;
    assert_eq!(wrong.status, StatusCode::BAD_REQUEST);
    assert!(wrong.text().contains("data-test=\"wrong-from\""), "{}", wrong.text());
}

pub(super) async fn lists_are_shown_in_a_zone(site: Site) {
    let (tracker, _) = site.tracker_and_key().await;
    let api = Api::new(tracker, guard::open()).time_zone("Asia/Kathmandu".parse().unwrap());
    let client = site.mount(vec![("", Arc::new(api))]).await;
    traffic(&client).await;
    for list in [CONVERSIONS, CLICKS] {
        let page = client.get(list).await;
        let time = format!("<time datetime=\"{NOW}\">23 Aug 2023 <span>21:15:45</span></time>");
        assert!(page.text().contains(&time) && page.text().contains("Times in Asia/Kathmandu"), "{}", page.text());
        let page = client.get(&format!("{list}?time_zone=Pacific/Auckland")).await;
        let time = format!("<time datetime=\"{NOW}\">24 Aug 2023 <span>03:30:45</span></time>");
        assert!(page.text().contains(&time), "{}", page.text());
    }
    assert!(client.get(SETTINGS).await.text().contains("Asia/Kathmandu"));
}

pub(super) async fn campaigns_are_made_on_a_page(site: Site) {
    let client = site.open().await;
    let form = "name=Lamps&destination_url=https%3A%2F%2Flamps.example%2F%3Fref%3D%7Bclick_id%7D&payout=12.5%25";
    let made = client.send(post_form(CAMPAIGNS, form)).await;
    assert_eq!(made.status, StatusCode::OK);
    let key = shown_key(&made);
    assert!(key.starts_with("pbk_"), "{key}");
    let campaigns = client.get("/campaigns").await.data();
    let campaign = &campaigns[0];
    assert_eq!((campaign["name"].as_str(), campaign["rules"]["payout"]["percent"].as_f64()), (Some("Lamps"), Some(12.5)));
    let id = campaign["id"].as_u64().unwrap();

    // The key works, and is told nowhere else.
    client.get(&format!("/click?affiliate_id=1&campaign_id={id}&click_id=lamp")).await;
    let sale = SALE.replace("abc123", "lamp");
    assert_eq!(client.get(&sale).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(client.get(&format!("{sale}&token={key}")).await.status, StatusCode::OK);
    let page = client.get(&format!("{CAMPAIGNS}/{id}")).await;
    assert!(!page.text().contains(&key) && !page.text().contains("pbk_"), "{}", page.text());
    for part in ["<bdi>Lamps</bdi>", "12.5% of the amount", "data-test=\"conversions-total\">1<", "data-test=\"clicks-total\">1<"] {
        assert!(page.text().contains(part), "{} has no {part}", page.text());
    }
    let list = client.get(CAMPAIGNS).await;
    assert_eq!(rows(&list, "campaign"), 3);
    for part in ["lamps.example", "12.5%", "open to anyone", "with a key"] {
        assert!(list.text().contains(part), "{} has no {part}", list.text());
    }

    for (form, name, told) in [
        ("", "name", "“Name of a new campaign” is missing"),
        ("name=&destination_url=https%3A%2F%2Fshop.example", "name", "“Name of a new campaign” is not valid"),
        ("name=%3Cb%3E&destination_url=shop", "destination_url", "“Destination URL” is not valid"),
        ("name=x&destination_url=https%3A%2F%2Fshop.example&payout=much", "payout", "“Payout, if any” is not valid"),
    ] {
        let page = client.send(post_form(CAMPAIGNS, form)).await;
        assert!(page.status.is_client_error(), "{form}");
        assert!(page.text().contains(&format!("data-test=\"wrong-{name}\">{told}")), "{form}: {}", page.text());
        assert!(!form.contains("%3Cb%3E") || page.text().contains("value=\"&#60;b&#62;\""), "{}", page.text());
    }
    assert_eq!(client.get("/campaigns").await.data().as_array().unwrap().len(), 3, "none was created");

    let pause = format!("{CAMPAIGNS}/{id}/pause");
    for (form, status) in [("paused=true", "paused"), ("paused=true", "paused"), ("paused=false", "active")] {
        let reply = client.send(post_form(&pause, form)).await;
        let expected = format!("../../../dashboard/campaigns/{id}");
        assert_eq!((reply.status, reply.header("location")), (StatusCode::SEE_OTHER, expected.as_str()));
        assert_eq!(client.get(&format!("/campaigns/{id}")).await.data()["status"], status);
    }
    assert_eq!(client.send(post_form(&pause, "")).await.status, StatusCode::BAD_REQUEST);
    for (path, status) in [("999", 404), ("x", 400)] {
        assert_eq!(client.get(&format!("{CAMPAIGNS}/{path}")).await.status.as_u16(), status, "{path}");
        let pause = client.send(post_form(&format!("{CAMPAIGNS}/{path}/pause"), "paused=true")).await;
        assert_eq!(pause.status.as_u16(), status, "{path}");
    }
}

pub(super) async fn campaigns_are_changed_on_a_page(site: Site) {
    let client = site.open().await;
    let page = format!("{CAMPAIGNS}/11");
    let change = |fields: &[(&str, &str)]| {
        post_form(&page, &url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish())
    };
    let shown = client.get(&page).await;
    for part in [
        "action=\"../../dashboard/campaigns/11#edit\" autocomplete=\"off\" data-test=\"edit-form\"",
        "data-test=\"edit\"><summary",
        "name=\"version\" value=\"1\"",
        "name=\"name\" type=\"text\" value=\"Bank\"",
        "name=\"destination_url\" type=\"text\" value=\"https://shop.example/?ref={click_id}\"",
        "<option value=\"key\" selected>",
    ] {
        assert!(shown.text().contains(part), "{} has no {part}", shown.text());
    }
    let all = [
        ("version", "1"),
        ("name", " Savings & <b> "),
        ("destination_url", "https://bank.example/?ref={click_id}"),
        ("payout", "12.5%"),
        ("events", "lead, 5 EUR, 25\r\nsale\r\n"),
        ("attribution_window_seconds", "30 days"),
        ("min_seconds_to_convert", "5 seconds"),
        ("currency", "EUR"),
        ("default_status", "pending"),
        ("repeats", "once"),
        ("daily_cap", "1,000"),
        ("while_paused", "nothing"),
        ("postback_auth", "open"),
        ("networks", "203.0.113.0/24\r\n2001:db8::1\r\n"),
    ];
    let reply = client.send(change(&all)).await;
    let expected = "../../dashboard/campaigns/11#rules";
    assert_eq!((reply.status, reply.header("location")), (StatusCode::SEE_OTHER, expected), "{}", reply.text());
    let campaign = client.get("/campaigns/11").await.data();
    let rules = json!({
        "attribution_window_seconds": 2_592_000, "min_seconds_to_convert": 5, "currency": "EUR", "payout": {"percent": 12.5},
        "events": {"lead": {"payout": {"amount": 5, "currency": "EUR"}, "amount": 25}, "sale": {}},
        "default_status": "pending", "repeats": "once", "daily_cap": 1000, "while_paused": "nothing",
    });
    assert_eq!(campaign["rules"], rules);
    assert_eq!(campaign["name"], "Savings & <b>");
    assert_eq!(campaign["destination_url"], "https://bank.example/?ref={click_id}");
    assert_eq!((&campaign["postback_auth"], &campaign["networks"]), (&json!("open"), &json!(["203.0.113.0/24", "2001:db8::1/128"])));
    assert_eq!((&campaign["version"], campaign["keys"].as_array().unwrap().len()), (&json!(2), 1));
    let shown = client.get(&page).await;
    for part in [
        "lead, 5 EUR, 25\nsale</textarea>",
        "203.0.113.0/24\n2001:db8::1/128</textarea>",
        "value=\"30 days\"",
        "value=\"Savings &#38; &#60;b&#62;\"",
        "<option value=\"pending\" selected>",
        "Up to 30 days after the click",
    ] {
        assert!(shown.text().contains(part), "{} has no {part}", shown.text());
    }

    // What can't be is told beside its field, the form comes back as it was filled in, and nothing has changed.
    for (name, value, status, part) in [
        ("name", "", 400, "“Name” is not valid"),
        ("destination_url", "shop", 400, "“Destination URL” is not valid"),
        ("payout", "<b>", 400, "“Payout” is not valid"),
        ("events", "sale\r\nlead, much", 400, "Line 2: “Events that are taken” is not valid"),
        ("attribution_window_seconds", "30", 400, "“Attribution window” is not valid: it must be a whole number of days, hours, minutes or seconds, such as 30 days."),
        ("attribution_window_seconds", "1 second", 422, "“Time to convert, at least” is not valid: it is more than “Attribution window”, so"),
        ("daily_cap", "0", 422, "it must be from 1"),
        ("postback_auth", "nobody", 400, "it must be key or open"),
        ("networks", "here", 400, "each must be a network"),
    ] {
        let fields = [("version", "2"), ("currency", "JPY"), (name, value)];
        let reply = client.send(change(&fields)).await;
        assert_eq!(reply.status.as_u16(), status, "{name}={value}: {}", reply.text());
        let text = reply.text();
        let field = if value == "1 second" { "min_seconds_to_convert" } else { name };
        let mark = format!("data-test=\"wrong-{field}\"");
        assert!(text.contains("data-test=\"edit\" open>") && text.contains(&mark), "{name}: {text}");
        assert!(text.contains(&format!("<a href=\"#{field}\">one field</a>")), "{name}: {text}");
        assert!(text.contains(part) && text.contains("name=\"currency\" type=\"text\" value=\"JPY\""), "{name}: {text}");
        assert!(!text.contains("value=\"<b>"), "{text}");
    }
    assert_eq!(client.get("/campaigns/11").await.data(), campaign);

    // A form that was filled in for what the campaign is no more comes back, and is taken when it is sent once more.
    let late = client.send(change(&[("version", "1"), ("daily_cap", "7")])).await;
    assert_eq!(late.status, StatusCode::CONFLICT);
    for part in ["data-test=\"form-problem\"", "meanwhile", "name=\"version\" value=\"2\"", "type=\"text\" value=\"7\"", "1,000 conversions",
        "differs from it in: “Daily cap”.", "type=\"text\" value=\"12.5%\""] {
        assert!(late.text().contains(part), "{} has no {part}", late.text());
    }
    assert_eq!(client.get("/campaigns/11").await.data(), campaign);
    assert_eq!(client.send(change(&[("version", "2"), ("daily_cap", "7")])).await.status, StatusCode::SEE_OTHER);
    // What is left out stays, and what is empty goes.
    assert_eq!(client.send(change(&[("payout", ""), ("events", ""), ("networks", "")])).await.status, StatusCode::SEE_OTHER);
    let campaign = client.get("/campaigns/11").await.data();
    assert_eq!((&campaign["rules"]["daily_cap"], &campaign["rules"]["currency"]), (&json!(7), &json!("EUR")));
    assert_eq!((&campaign["rules"]["payout"], &campaign["rules"]["events"]), (&json!(null), &json!(null)));
    assert_eq!(campaign["networks"], json!([]));

    for (path, status) in [("999", 404), ("x", 400)] {
        let reply = client.send(post_form(&format!("{CAMPAIGNS}/{path}"), "name=x")).await;
        assert_eq!(reply.status.as_u16(), status, "{path}");
        assert!(reply.text().contains("data-test=\"problem\""), "{}", reply.text());
    }
    assert_eq!(client.send(post_json(&page, "{}")).await.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let foreign = with_header(change(&[("name", "x")]), "sec-fetch-site", "cross-site");
    assert_eq!(client.send(foreign).await.status, StatusCode::FORBIDDEN);
}

pub(super) async fn changes_of_a_campaign_keep_the_period(site: Site) {
    let client = site.open().await;
    for period in ["", "?period=today&time_zone=Pacific%2FKiritimati", "?from=2023-08-22&to=2023-08-22"] {
        let path = format!("{CAMPAIGNS}/11");
        let page = client.get(&format!("{path}{period}")).await;
        let written = period.replace('&', "&#38;");
        for form in [
            format!("action=\"../../dashboard/campaigns/11{written}#edit\""),
            format!("action=\"../../dashboard/campaigns/11/pause{written}\""),
            format!("action=\"../../dashboard/campaigns/11/keys{written}\""),
        ] {
            assert!(page.text().contains(&form), "{} has no {form}", page.text());
        }
        let send = async |below: &str, form: &str| client.send(post_form(&format!("{path}{below}{period}"), form)).await;
        for (below, root, form, place) in [
            ("", "../../", "daily_cap=7", "#rules"),
            ("/pause", "../../../", "paused=true", ""),
            ("/pause", "../../../", "paused=false", ""),
        ] {
            let reply = send(below, form).await;
            let expected = format!("{root}dashboard/campaigns/11{period}{place}");
            assert_eq!((reply.status, reply.header("location")), (StatusCode::SEE_OTHER, &*expected), "{}", reply.text());
        }

        // So do the page with a form that is refused, the one with a new key, and what both of them lead to.
        let days = page.text().split("data-test=\"days\">").nth(1).unwrap().split('<').next().unwrap();
        let refused = send("", "daily_cap=0").await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
        let issued = send("/keys", "kind=token&expire_others_after_seconds=").await;
        assert_eq!(issued.status, StatusCode::OK);
        for reply in [&refused, &issued] {
            assert!(reply.text().contains(&format!("data-test=\"days\">{days}<")), "{days}: {}", reply.text());
        }
        let kept = format!("href=\"../../../dashboard/campaigns/11{written}\">It is in safe keeping");
        assert!(issued.text().contains(&kept), "{} has no {kept}", issued.text());
        let (_, revoke) = issued.text().rsplit_once("action=\"../../../dashboard/campaigns/11/keys/").unwrap();
        let (revoke, rest) = revoke.split_once("/revoke").unwrap();
        assert!(rest.starts_with(&format!("{written}\"")), "{rest}");
        let reply = send(&format!("/keys/{revoke}/revoke"), "").await;
        let expected = format!("../../../../../dashboard/campaigns/11{period}#keys");
        assert_eq!((reply.status, reply.header("location")), (StatusCode::SEE_OTHER, &*expected), "{}", reply.text());
    }
    let before = client.get("/campaigns/11").await.data();
    let reply = client.send(post_form(&format!("{CAMPAIGNS}/11?period=fortnight"), "daily_cap=8")).await;
    assert_eq!(reply.status, StatusCode::BAD_REQUEST);
    assert_eq!(client.get("/campaigns/11").await.data(), before);
}

pub(super) async fn campaigns_are_shown_with_their_rules(site: Site) {
    let (tracker, _) = site.tracker_and_key().await;
    let rules = r#"{
        "attribution_window_seconds": 2592000, "min_seconds_to_convert": 5, "currency": "EUR", "daily_cap": 1000,
        "default_status": "pending", "repeats": "once", "while_paused": "nothing",
        "payout": {"percent": 10}, "events": {"lead": {"amount": 25, "payout": {"amount": 5, "currency": "EUR"}}}
    }"#;
    let own = Access::Affiliate(AffiliateId::new(1).unwrap());
    let his = guard::from_fn(move |_| {
        let own = own.clone();
        async { own }
    });
    let admins = Arc::new(Api::new(Arc::clone(&tracker), guard::open()));
    let client = site.mount(vec![("/tracking", Arc::new(Api::new(tracker, his))), ("", admins)]).await;
    let change = format!(r#"{{"rules": {rules}, "networks": ["203.0.113.0/24"]}}"#);
    let changed = super::harness::send_json(Method::PATCH, "/campaigns/11", &change);
    assert_eq!(client.send(changed).await.status, StatusCode::OK);

    let page = client.get(&format!("{CAMPAIGNS}/11")).await.text().to_owned();
    let secret_ones = [
        "Up to 30 days after the click",
        "Not before 5 seconds",
        "EUR only",
        "1,000 conversions a day",
        "Pending, until",
        "One conversion of each event",
        "No conversion is taken",
        "203.0.113.0/24",
        "is worth 25 if",
        "/postback?click_id={click_id}&#38;amount={amount}",
        "data-test=\"keys\"",
    ];
    let told = ["10% of the amount", "“lead”: 5 EUR for each conversion", "<code>https://shop.example/?ref={click_id}</code>"];
    for part in secret_ones.iter().chain(&told) {
        assert!(page.contains(part), "{page} has no {part}");
    }
    let page = client.get(&format!("/tracking{CAMPAIGNS}/11")).await.text().to_owned();
    for part in told {
        assert!(page.contains(part), "{page} has no {part}");
    }
    assert!(page.contains("/go?affiliate_id=1&#38;campaign_id=11"), "{page}");
    for part in secret_ones.iter().chain(&["<form method=\"post\"", "/postback"]) {
        assert!(!page.contains(part), "{page} has {part}");
    }
}

pub(super) async fn keys_are_shown_once(site: Site) {
    let client = site.open().await;
    let (page, keys) = (format!("{CAMPAIGNS}/11"), format!("{CAMPAIGNS}/11/keys"));
    let issued = client.send(post_form(&keys, "kind=signing&expire_others_after_seconds=")).await;
    assert_eq!(issued.status, StatusCode::OK);
    let key = shown_key(&issued);
    assert!(key.starts_with("whsec_"), "{key}");
    let again = client.get(&page).await;
    assert!(!again.text().contains("whsec_") && !again.text().contains("data-test=\"new-key\""), "{}", again.text());
    assert_eq!(rows(&again, "key"), 2);

    let issued = client.send(post_form(&keys, "kind=token&expire_others_after_seconds=86400")).await;
    assert!(shown_key(&issued).starts_with("pbk_"));
    let listed = client.get("/campaigns/11").await.data()["keys"].clone();
    let expires: Vec<bool> = listed.as_array().unwrap().iter().map(|key| !key["expires_at"].is_null()).collect();
    assert_eq!(expires, [true, false, false], "the first token does: {listed}");

    for form in ["kind=gold", "kind=token&expire_others_after_seconds=soon", "kind=token&kind=signing"] {
        assert_eq!(client.send(post_form(&keys, form)).await.status, StatusCode::BAD_REQUEST, "{form}");
    }
    let revoked = client.send(post_form(&format!("{keys}/1/revoke"), "")).await;
    let expected = "../../../../../dashboard/campaigns/11#keys";
    assert_eq!((revoked.status, revoked.header("location")), (StatusCode::SEE_OTHER, expected));
    assert_eq!(rows(&client.get(&page).await, "key"), 2);
    let gone = client.send(post_form(&format!("{keys}/1/revoke"), "")).await;
    assert_eq!(gone.status, StatusCode::NOT_FOUND);
    assert!(gone.text().contains("data-test=\"form-problem\"") && gone.text().contains("no such key"), "{}", gone.text());
    assert_eq!(client.send(post_form(&format!("{keys}/x/revoke"), "")).await.status, StatusCode::BAD_REQUEST);

    for _ in 0..8 {
        assert_eq!(client.send(post_form(&keys, "kind=token")).await.status, StatusCode::OK);
    }
    let full = client.send(post_form(&keys, "kind=token")).await;
    assert_eq!(full.status, StatusCode::CONFLICT);
    assert!(full.text().contains("too many keys") && !full.text().contains("data-test=\"issue\""), "{}", full.text());
}

pub(super) async fn affiliates_are_made_and_paused_on_a_page(site: Site) {
    let client = site.open().await;
    let made = client.send(post_form(AFFILIATES, "name=Lin%20%3Cb%3E%20%26%20co")).await;
    assert_eq!(made.status, StatusCode::SEE_OTHER);
    let affiliates = client.get("/affiliates").await.data();
    let id = affiliates[0]["id"].as_u64().unwrap();
    assert_eq!(affiliates[0]["name"], "Lin <b> & co");
    assert_eq!(made.header("location"), format!("../dashboard/affiliates#affiliate-{id}"));
    let page = client.get(AFFILIATES).await;
    assert_eq!(rows(&page, "affiliate"), 3);
    assert!(page.text().contains("<bdi>Lin &#60;b&#62; &#38; co</bdi>"), "{}", page.text());

    let pause = format!("{AFFILIATES}/{id}/pause");
    let reply = client.send(post_form(&pause, "paused=true")).await;
    let expected = format!("../../../dashboard/affiliates#affiliate-{id}");
    assert_eq!((reply.status, reply.header("location")), (StatusCode::SEE_OTHER, expected.as_str()));
    assert_eq!(client.get(&format!("/affiliates/{id}")).await.data()["status"], "paused");
    let page = client.get(AFFILIATES).await.text().to_owned();
    assert_eq!((page.matches("data-test=\"resume\"").count(), page.matches("data-test=\"pause\"").count()), (1, 2));
    client.send(post_form(&pause, "paused=false")).await;
    assert_eq!(client.get(&format!("/affiliates/{id}")).await.data()["status"], "active");

    for form in ["", "name=", "name=%0A", &format!("name={}", "x".repeat(101))] {
        let page = client.send(post_form(AFFILIATES, form)).await;
        assert_eq!(page.status, StatusCode::BAD_REQUEST, "{form}");
        assert!(page.text().contains("data-test=\"wrong-name\""), "{form}: {}", page.text());
    }
    assert_eq!(client.send(post_form(&format!("{AFFILIATES}/99/pause"), "paused=true")).await.status, StatusCode::NOT_FOUND);
    // Another site's page can't do it.
    for (path, form) in [(AFFILIATES, "name=x"), (CAMPAIGNS, "name=x"), (&pause, "paused=true"), (IMPORT, "file=x")] {
        let foreign = with_header(post_form(path, form), "sec-fetch-site", "cross-site");
        assert_eq!(client.send(foreign).await.status, StatusCode::FORBIDDEN, "{path}");
    }
}

pub(super) async fn pasted_lines_are_imported(site: Site) {
    let client = site.open().await;
    client.get(CLICK).await;
    let page = client.get(IMPORT).await;
    for part in ["data-test=\"paste-form\"", "data-test=\"columns\"", "transaction_id", "/conversions/import\""] {
        assert!(page.text().contains(part), "{} has no {part}", page.text());
    }
    let file = "click_id,affiliate_id,amount,currency,transaction_id\r\n\
                abc123,1,10,USD,order-1\r\n\
                abc123,1,20,USD,order-2\r\n\
                abc123,1,10,USD,order-1\r\n\
                unknown,1,10,USD,order-3\r\n\
                abc123,1,much,USD,order-4\r\n";
    let import = |file: &str| {
        post_form(IMPORT, &url::form_urlencoded::Serializer::new(String::new()).append_pair("file", file).finish())
    };
    let done = client.send(import(file)).await;
    assert_eq!(done.status, StatusCode::OK);
    assert_eq!(rows(&done, "line"), 5);
    let text = done.text();
    for part in [
        "5 lines",
        "✓ accepted</span> 2",
        "✓ duplicate</span> 1",
        "✕ unknown_click</span> 1",
        "✕ invalid_parameter</span> 1",
        "dashboard/conversions/",
    ] {
        assert!(text.contains(part), "{text} has no {part}");
    }
    assert_eq!(client.get("/affiliates/1/summary").await.data()["conversions"], 2);

    let again = client.send(import(file)).await;
    assert!(again.text().contains("✓ duplicate</span> 3"), "{}", again.text());
    assert_eq!(client.get("/affiliates/1/summary").await.data()["conversions"], 2);
    // A line of a file is no call that could be explained.
    let log = client.get("/dashboard/postbacks").await;
    assert!(log.text().contains("a line of a file") && !log.text().contains("data-test=\"explain\""), "{}", log.text());

    for (file, part) in
        [("", "It is empty"), ("click_id,colour\nabc123,red\n", "unknown columns: colour"), ("amount\n<b>\n", "no column click_id")]
    {
        let page = client.send(import(file)).await;
        assert_eq!(page.status, StatusCode::BAD_REQUEST, "{file}");
        assert!(page.text().contains("data-test=\"wrong-file\"") && page.text().contains(part), "{}", page.text());
        assert!(!page.text().contains("<b>"), "what was pasted comes back escaped: {}", page.text());
    }
}

pub(super) async fn settings_are_shown_without_secrets(site: Site) {
    let (tracker, key) = site.tracker_and_key().await;
    let public_url: PublicUrl = "https://track.example/t".parse().unwrap();
    let proxies = ["192.0.2.0/24".parse().unwrap()];
    let api = Api::new(tracker, guard::open()).public_url(public_url).trusted_proxies(proxies);
    let client = site.mount(vec![("/tracking", Arc::new(api))]).await;
    let page = client.get(&format!("/tracking{SETTINGS}")).await;
    for part in [
        env!("CARGO_PKG_VERSION"),
        "an admin",
        "In UTC",
        "For ever",
        "30 days, and 1,000,000 calls",
        "The network is stored",
        "https://track.example/t/postback",
        "192.0.2.0/24",
        "250 milliseconds",
        "8,388,608 bytes",
        "data-test=\"openapi\"",
    ] {
        assert!(page.text().contains(part), "{} has no {part}", page.text());
    }
    assert!(!page.text().contains(&key) && !page.text().contains("conformance suite"), "{}", page.text());
}

/// A tracker under `/tracking` for affiliate 1, and the same at the root for everybody.
async fn his_and_admins(site: &Site) -> Client {
    let (tracker, _) = site.tracker_and_key().await;
    let own = Access::Affiliate(AffiliateId::new(1).unwrap());
    let his = guard::from_fn(move |_| {
        let own = own.clone();
        async { own }
    });
    let admins = Arc::new(Api::new(Arc::clone(&tracker), guard::open()));
    site.mount(vec![("/tracking", Arc::new(Api::new(tracker, his))), ("", admins)]).await
}

pub(super) async fn affiliates_have_lists_of_their_own(site: Site) {
    let client = his_and_admins(&site).await;
    traffic(&client).await;
    let page = client.get(&format!("/tracking{CONVERSIONS}")).await;
    assert_eq!(rows(&page, "conversion"), 2, "{}", page.text());
    for part in ["store-7", "Grace", "<form method=\"post\"", "name=\"affiliate_id\"", "dashboard/conversions/", "affiliate_id=2"] {
        assert!(!page.text().contains(part), "{} has {part}", page.text());
    }
    let csv = client.get(&format!("/tracking{}", linked(page.text(), "csv"))).await;
    assert_eq!((csv.status, csv.text().lines().count()), (StatusCode::OK, 3), "{}", csv.text());
    let page = client.get(&format!("/tracking{CLICKS}")).await;
    assert_eq!(rows(&page, "click"), 1);
    assert!(!page.text().contains("Grace") && !page.text().contains("def456"), "{}", page.text());
    let page = client.get(&format!("/tracking{CAMPAIGNS}")).await;
    assert_eq!(rows(&page, "campaign"), 2);
    for part in ["<form", "Postbacks", "open to anyone", "with a key"] {
        assert!(!page.text().contains(part), "{} has {part}", page.text());
    }
    let page = client.get(&format!("/tracking{CAMPAIGNS}/10")).await;
    assert!(page.text().contains("data-test=\"conversions-total\">2<"), "his own figures: {}", page.text());
    let page = client.get(&format!("{CAMPAIGNS}/10")).await;
    assert!(page.text().contains("data-test=\"clicks-total\">2<"), "everybody's: {}", page.text());

    for (path, status) in [
        (format!("{CONVERSIONS}?affiliate_id=1"), StatusCode::OK),
        (format!("{CONVERSIONS}?affiliate_id=2"), StatusCode::FORBIDDEN),
        (format!("{CONVERSIONS}?affiliate_id=99"), StatusCode::FORBIDDEN),
        (format!("{CLICKS}?affiliate_id=2"), StatusCode::FORBIDDEN),
    ] {
        assert_eq!(client.get(&format!("/tracking{path}")).await.status, status, "{path}");
    }
}

pub(super) async fn pages_of_admins_are_closed_to_affiliates(site: Site) {
    let client = his_and_admins(&site).await;
    for page in [AFFILIATES, IMPORT, SETTINGS] {
        let reply = client.get(&format!("/tracking{page}")).await;
        assert_eq!(reply.status, StatusCode::FORBIDDEN, "{page}");
        assert!(reply.text().contains("data-test=\"problem\""), "{page}: {}", reply.text());
    }
    for (path, form) in [
        ("/dashboard/affiliates", "name=x"),
        ("/dashboard/affiliates/1/pause", "paused=true"),
        ("/dashboard/campaigns", "name=x&destination_url=https%3A%2F%2Fshop.example"),
        ("/dashboard/campaigns/10/pause", "paused=true"),
        ("/dashboard/campaigns/11/keys", "kind=token"),
        ("/dashboard/campaigns/11/keys/1/revoke", ""),
        ("/dashboard/import", "file=click_id"),
    ] {
        let reply = client.send(post_form(&format!("/tracking{path}"), form)).await;
        assert_eq!(reply.status, StatusCode::FORBIDDEN, "{path}");
    }
    assert_eq!(client.get("/campaigns").await.data().as_array().unwrap().len(), 2, "nothing was created");
    assert_eq!(client.get("/campaigns/11").await.data()["keys"].as_array().unwrap().len(), 1, "nor revoked");
    for page in [CONVERSIONS, CLICKS, CAMPAIGNS] {
        let reply = client.get(&format!("/tracking{page}")).await;
        assert_eq!(reply.status, StatusCode::OK, "{page}");
        for closed in ["dashboard/affiliates", "dashboard/import", "dashboard/settings", "dashboard/postbacks"] {
            assert!(!reply.text().contains(closed), "{page} leads to {closed}");
        }
    }
}

pub(super) async fn readers_are_offered_no_changes(site: Site) {
    let (tracker, _) = site.tracker_and_key().await;
    let readers = guard::from_fn(|_| async { Access::ReadOnly });
    let admins = Arc::new(Api::new(Arc::clone(&tracker), guard::open()));
    let client = site.mount(vec![("/tracking", Arc::new(Api::new(tracker, readers))), ("", admins)]).await;
    traffic(&client).await;
    let id = client.get("/conversions?status=pending").await.data()[0]["id"].as_u64().unwrap();
    let conversion = format!("{CONVERSIONS}/{id}");
    for page in [
        CONVERSIONS,
        &conversion,
        CLICKS,
        CAMPAIGNS,
        "/dashboard/campaigns/11",
        AFFILIATES,
        IMPORT,
        SETTINGS,
        "/dashboard?affiliate_id=1",
        "/dashboard/link?affiliate_id=1&campaign_id=10",
    ] {
        let reply = client.get(&format!("/tracking{page}")).await;
        assert_eq!(reply.status, StatusCode::OK, "{page}");
        let form = reply.text().split("<form ").skip(1).find(|form| {
            let form = form.split('>').next().unwrap();
            form.contains("post") && !form.contains("dashboard/logout")
        });
        assert_eq!(form, None, "{page}");
    }
    assert!(client.get(&format!("/tracking{CAMPAIGNS}/11")).await.text().contains("data-test=\"keys\""));
    assert!(client.get(&format!("/tracking{SETTINGS}")).await.text().contains("a reader"));
    for (path, form) in [
        ("/dashboard/affiliates", "name=x"),
        ("/dashboard/campaigns/10/pause", "paused=true"),
        ("/dashboard/campaigns/11/keys", "kind=token"),
        ("/dashboard/import", "file=click_id"),
        (&format!("{conversion}/status"), "status=approved"),
    ] {
        let reply = client.send(post_form(&format!("/tracking{path}"), form)).await;
        assert_eq!(reply.status, StatusCode::FORBIDDEN, "{path}");
    }
}

pub(super) async fn links_of_lists_lead_somewhere(site: Site) {
    for mount in ["", "/partners/tracking"] {
        let (tracker, _) = site.tracker_and_key().await;
        let client = site.mount(vec![(mount, Arc::new(Api::new(tracker, guard::open())))]).await;
        client.get(&format!("{mount}{CLICK}")).await;
        client.get(&format!("{mount}{SALE}&status=pending")).await;
        for page in [
            CONVERSIONS,
            "/dashboard/conversions/?status=pending",
            CLICKS,
            CAMPAIGNS,
            "/dashboard/campaigns/",
            "/dashboard/campaigns/10",
            "/dashboard/campaigns/11/",
            AFFILIATES,
            IMPORT,
            SETTINGS,
        ] {
            let path = format!("{mount}{page}");
            let reply = client.get(&path).await;
            assert_eq!(reply.status, StatusCode::OK, "{path}");
            assert!(reply.body.len() < 100_000, "{path} has {} bytes", reply.body.len());
            assert!(!reply.text().contains(" style=") && !reply.text().contains("<style"), "{path}");
            let base = url::Url::parse(&format!("http://host{path}")).unwrap();
            let target = |link: &str| {
                assert!(!link.starts_with('/') && !link.contains("://"), "{path} has the link {link}");
                let target = base.join(&link.replace("&#38;", "&").replace("&amp;", "&")).unwrap();
                target[url::Position::BeforePath..url::Position::AfterQuery].to_owned()
            };
            for link in [" href=\"", " src=\""].iter().flat_map(|attribute| reply.text().split(attribute).skip(1)) {
                let target = target(link.split('"').next().unwrap());
                assert_eq!(client.get(&target).await.status, StatusCode::OK, "{path} leads to {target}");
            }
            for form in reply.text().split("<form ").skip(1).map(|rest| rest.split('>').next().unwrap()) {
                let Some(action) = form.split("action=\"").nth(1) else { continue };
                let target = target(action.split('"').next().unwrap());
                let method = if form.contains("method=\"post\"") { Method::POST } else { Method::GET };
                let below = target.split('?').next().unwrap().strip_prefix(mount).unwrap();
                let found = crate::Resolution::of(&method, below);
                assert!(matches!(found, crate::Resolution::Found(_)), "{path} sends {method} to {target}");
            }
        }
    }
}

/// How many rows of a table have this mark.
fn rows(page: &Reply, mark: &str) -> usize {
    page.text().matches(&format!("data-test=\"{mark}\">")).count()
}

fn shown_key(page: &Reply) -> String {
    let key = page.text().split("id=\"new-key\">").nth(1).and_then(|rest| rest.split('<').next());
    key.unwrap_or_else(|| panic!("{} shows no key", page.text())).to_owned()
}

/// Where the link with this mark leads, from a page below `/dashboard/`.
fn linked(html: &str, mark: &str) -> String {
    let tag = html.split("<a ").find(|tag| tag.split('>').next().unwrap().contains(&format!("data-test=\"{mark}\"")));
    let href = tag.and_then(|tag| tag.split("href=\"").nth(1)?.split('"').next()).unwrap_or_else(|| panic!("{html}"));
    href.replace("&#38;", "&").replace("&amp;", "&").replace("../", "/")
}
