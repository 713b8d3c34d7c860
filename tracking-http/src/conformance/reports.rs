//! Reports, and lists by filter.

use std::sync::Arc;

use http::{Method, StatusCode};
use serde_json::{Value, json};
use tracking_core::{AffiliateId, Grouping, ManualClock, Secret, StoreError, TimeZone, Tracker};

use super::broken::BrokenStore;
use super::client::{Client, Reply};
use super::harness::{Site, post_json, request, secret, send_json};
use crate::Api;
use crate::guard::{self, Access};

const PAYOUT: &str = r#"{"rules": {"payout": {"percent": 12.5}}}"#;

/// What is recorded in most cases: when, by whom, for which campaign, from where, and what was sold. In Berlin, where clocks are put
/// forward on the 29th of March, the first is of the 28th, and the last of the 30th.
const RECORDS: [(&str, u8, u8, &str, Option<&str>); 6] = [
    ("2026-03-28T22:59:59.999Z", 1, 10, "news", Some("amount=10.5&currency=EUR")),
    ("2026-03-28T23:00:00Z", 1, 10, "news", None),
    ("2026-03-29T00:59:00Z", 2, 10, "=1%2B1", Some("amount=7&currency=USD&event=lead")),
    ("2026-03-29T01:00:00Z", 2, 11, "", None),
    ("2026-03-29T21:59:59.999Z", 1, 11, "ads", Some("amount=0.000001&currency=EUR&status=pending")),
    ("2026-03-29T22:00:00Z", 1, 10, "ads", Some("amount=99&currency=EUR&status=rejected")),
];

/// All of them, as days in Berlin.
const MARCH: &str = "from=2026-03-28&to=2026-03-30&time_zone=Europe/Berlin";

/// A tracker with these records on the last of March.
async fn recorded(site: &Site) -> Arc<Tracker> {
    let clock = Arc::new(ManualClock::new(RECORDS[0].0.parse().unwrap()));
    let (tracker, key) = site.tracker_and_key_with(secret(), Arc::clone(&clock)).await;
    let client = site.open_tracker(Arc::clone(&tracker)).await;
    let changed = client.send(send_json(Method::PATCH, "/campaigns/10", PAYOUT)).await;
    assert_eq!(changed.status, StatusCode::OK, "{}", changed.text());
    for (number, (at, affiliate, campaign, source, sold)) in RECORDS.into_iter().enumerate() {
        clock.set(at.parse().unwrap());
        let click = format!("affiliate_id={affiliate}&campaign_id={campaign}&click_id=c{number}");
        assert_eq!(client.get(&format!("/click?{click}&source={source}")).await.status, StatusCode::OK);
        if let Some(sold) = sold {
            let reply = client.get(&format!("/postback?{click}&token={key}&{sold}")).await;
            assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
        }
    }
    clock.set("2026-03-31T12:00:00Z".parse().unwrap());
    tracker
}

async fn open(site: &Site) -> Client {
    let tracker = recorded(site).await;
    site.open_tracker(tracker).await
}

/// For this affiliate.
async fn open_for(site: &Site, tracker: Arc<Tracker>, id: u64) -> Client {
    let own = Access::Affiliate(AffiliateId::new(id).unwrap());
    let guard = guard::from_fn(move |_| {
        let own = own.clone();
        async { own }
    });
    site.mount(vec![("", Arc::new(Api::new(tracker, guard)))]).await
}

/// The values of a field in all rows, in their order.
fn each(reply: &Reply, field: &str) -> Vec<Value> {
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
    let data = reply.data();
    let rows = data["rows"].as_array().or(data.as_array()).unwrap();
    rows.iter().map(|row| row[field].clone()).collect()
}

pub(super) async fn report_is_answered_whole(site: Site) {
    let client = site.open().await;
    client.send(send_json(Method::PATCH, "/campaigns/10", PAYOUT)).await;
    client.get("/click?affiliate_id=1&campaign_id=10&click_id=abc123").await;
    client.get("/postback?affiliate_id=1&click_id=abc123&amount=100.10&currency=USD").await;
    let reply = client.get("/reports?period=today&group_by=campaign").await;
    let figures = r#""clicks":1,"human_clicks":0,"unique_clicks":0,"conversions":1,"conversion_rate":1.0,"revenue":[{"currency":"USD","amount":100.1}],"payout":[{"currency":"USD","amount":12.5125}],"profit":[{"currency":"USD","amount":87.5875}],"epc":[{"currency":"USD","amount":12.5125}],"by_status":{"pending":{"conversions":0,"revenue":[],"payout":[]},"approved":{"conversions":1,"revenue":[{"currency":"USD","amount":100.1}],"payout":[{"currency":"USD","amount":12.5125}]},"rejected":{"conversions":0,"revenue":[],"payout":[]}}"#;
    let period = r#"{"from":"2023-08-23","to":"2023-08-23","time_zone":"UTC","start":"2023-08-23T00:00:00.000Z","end":"2023-08-24T00:00:00.000Z"}"#;
    let row = format!(r#"{{"campaign_id":10,"name":"Shop",{figures}}}"#);
    let text = format!(
        r#"{{"success":true,"data":{{"period":{period},"group_by":"campaign","scanned":false,"row_count":1,"total":{{{figures}}},"rows":[{row}]}}}}"#
    );
    assert_eq!((reply.status, reply.text()), (StatusCode::OK, text.as_str()));
    // What goes without saying: thirty days, by day.
    let plain = client.get("/reports").await;
    assert_eq!(plain.data()["group_by"], "day");
    let days = each(&plain, "date");
    assert_eq!((days.len(), &days[0], &days[29]), (30, &json!("2023-07-25"), &json!("2023-08-23")));
}

pub(super) async fn days_and_hours_are_those_of_the_zone(site: Site) {
    let tracker = recorded(&site).await;
    let berlin: TimeZone = "Europe/Berlin".parse().unwrap();
    let in_berlin = Arc::new(Api::new(Arc::clone(&tracker), guard::open()).time_zone(berlin));
    let client = site.mount(vec![("", in_berlin)]).await;
    // That of the service, if a call names none.
    let days = client.get("/reports?from=2026-03-28&to=2026-03-30").await;
    assert_eq!(days.data()["period"]["time_zone"], "Europe/Berlin");
    assert_eq!((each(&days, "date"), each(&days, "clicks")), (
        vec![json!("2026-03-28"), json!("2026-03-29"), json!("2026-03-30")],
        vec![json!(1), json!(4), json!(1)]
    ));
    let in_utc = client.get("/reports?from=2026-03-28&to=2026-03-29&time_zone=UTC").await;
    assert_eq!(each(&in_utc, "clicks"), [2, 4]);
    let day = |date: &str, zone: &str| format!("/reports?group_by=hour&from={date}&to={date}&time_zone={zone}");
    // Two o'clock does not come, and three comes in its place.
    let short = client.get(&day("2026-03-29", "Europe/Berlin")).await;
    let hours = each(&short, "local");
    assert_eq!(hours.len(), 23);
    assert_eq!(hours[1..3], ["2026-03-29T01:00:00+01:00", "2026-03-29T03:00:00+02:00"]);
    assert_eq!(each(&short, "start")[1..3], ["2026-03-29T00:00:00.000Z", "2026-03-29T01:00:00.000Z"]);
    let clicks = each(&short, "clicks");
    assert_eq!((&clicks[..3], &clicks[22]), (&[json!(1), json!(1), json!(1)][..], &json!(1)));
    let period = &short.data()["period"];
    assert_eq!((&period["start"], &period["end"]), (&json!("2026-03-28T23:00:00.000Z"), &json!("2026-03-29T22:00:00.000Z")));
    // It comes twice.
    let long = each(&client.get(&day("2026-10-25", "Europe/Berlin")).await, "local");
    assert_eq!(long.len(), 25);
    assert_eq!(long[2..4], ["2026-10-25T02:00:00+02:00", "2026-10-25T02:00:00+01:00"]);
    let kathmandu = client.get(&day("2026-03-29", "Asia/Kathmandu")).await;
    assert_eq!((each(&kathmandu, "start")[0].clone(), each(&kathmandu, "local")[0].clone()), (
        json!("2026-03-28T18:15:00.000Z"),
        json!("2026-03-29T00:00:00+05:45")
    ));
    // A period by its name is that of the zone, too.
    let today = |zone: &str| format!("/reports?period=today&time_zone={zone}");
    assert_eq!(each(&client.get(&today("Pacific/Kiritimati")).await, "date"), ["2026-04-01"]);
    assert_eq!(each(&client.get(&today("Pacific/Honolulu")).await, "date"), ["2026-03-31"]);
}

pub(super) async fn totals_are_the_same_however_grouped(site: Site) {
    let client = open(&site).await;
    let expected = client.get(&format!("/reports?{MARCH}")).await.data()["total"].clone();
    assert_eq!((&expected["clicks"], &expected["conversions"]), (&json!(6), &json!(3)));
    assert_eq!(expected["by_status"]["rejected"]["revenue"], json!([{"currency": "EUR", "amount": 99}]));
    for grouping in Grouping::ALL {
        let reply = client.get(&format!("/reports?{MARCH}&group_by={grouping}")).await;
        let report = reply.data();
        assert_eq!(report["scanned"], grouping.is_scanned(), "{grouping}");
        assert_eq!(report["row_count"], each(&reply, "clicks").len(), "{grouping}");
        for figure in ["conversions", "revenue", "payout", "profit", "by_status"] {
            assert_eq!(report["total"][figure], expected[figure], "{figure} by {grouping}");
        }
        let sum = |figure: &str| each(&reply, figure).iter().map(|count| count.as_u64().unwrap()).sum::<u64>();
        assert_eq!(sum("conversions"), 3, "{grouping}");
        // Clicks have no event.
        if grouping.as_str() != "event" {
            assert_eq!(report["total"], expected, "{grouping}");
            assert_eq!(sum("clicks"), 6, "{grouping}");
        }
    }
    // The affiliates' own are parts of it, and so are the campaigns'.
    for scopes in [["affiliate_id=1", "affiliate_id=2"], ["campaign_id=10", "campaign_id=11"]] {
        let mut clicks = 0;
        for scope in scopes {
            clicks += client.get(&format!("/reports?{MARCH}&{scope}")).await.data()["total"]["clicks"].as_u64().unwrap();
        }
        assert_eq!(clicks, 6, "{scopes:?}");
    }
}

pub(super) async fn rows_say_what_they_are_about(site: Site) {
    let client = open(&site).await;
    let by = |grouping: &str| format!("/reports?{MARCH}&group_by={grouping}&sort=key");
    let affiliates = client.get(&by("affiliate")).await;
    assert_eq!((each(&affiliates, "affiliate_id"), each(&affiliates, "name")), (
        vec![json!(1), json!(2)],
        vec![json!("Ada"), json!("Grace")]
    ));
    let campaigns = client.get(&by("campaign")).await;
    assert_eq!((each(&campaigns, "campaign_id"), each(&campaigns, "name")), (
        vec![json!(10), json!(11)],
        vec![json!("Shop"), json!("Bank")]
    ));
    // Null is what has none, and it is there.
    let sources = client.get(&by("source")).await;
    assert_eq!(each(&sources, "value"), [json!(null), json!("=1+1"), json!("ads"), json!("news")]);
    assert!(sources.text().contains(r#""value":null"#));
    let marks = client.get(&by("sub3")).await;
    assert_eq!((each(&marks, "value"), each(&marks, "clicks")), (vec![json!(null)], vec![json!(6)]));
    let days = client.get(&by("day")).await;
    for absent in ["start", "local", "affiliate_id", "campaign_id", "name", "value"] {
        assert!(days.data()["rows"][0].get(absent).is_none(), "{absent}");
    }
    // What nothing was counted of is not there, but for days.
    let of_one = client.get(&format!("{}&affiliate_id=2&campaign_id=11", by("affiliate"))).await;
    assert_eq!(each(&of_one, "clicks"), [1]);
    let of_none = client.get("/reports?period=today&group_by=affiliate").await;
    assert_eq!((each(&of_none, "clicks"), of_none.data()["row_count"].clone()), (vec![], json!(0)));
    assert_eq!(each(&client.get("/reports?period=today").await, "clicks"), [0]);
}

pub(super) async fn rows_are_sorted_and_paged(site: Site) {
    let client = open(&site).await;
    let by_source = |rest: &str| format!("/reports?{MARCH}&group_by=source&{rest}");
    let values = |reply: &Reply| {
        let values = each(reply, "value");
        values.iter().map(|value| value.as_str().unwrap_or("-").to_owned()).collect::<Vec<_>>().join(" ")
    };
    for (rest, expected) in [
        ("", "=1+1 ads news -"),
        ("sort=key", "- =1+1 ads news"),
        ("sort=-key", "news ads =1+1 -"),
        ("sort=clicks", "- =1+1 ads news"),
        ("sort=-clicks", "ads news - =1+1"),
        ("sort=-revenue", "news ads - =1+1"),
        ("sort=-revenue&currency=USD", "=1+1 - ads news"),
        ("sort=-revenue&currency=usd&limit=1", "=1+1"),
        ("sort=-clicks&limit=3", "ads news -"),
        ("sort=-clicks&limit=2&offset=1", "news -"),
        ("sort=-clicks&offset=3", "=1+1"),
        ("offset=4", ""),
        ("offset=18446744073709551615", ""),
    ] {
        let reply = client.get(&by_source(rest)).await;
        assert_eq!(values(&reply), expected, "{rest}");
        let report = reply.data();
        assert_eq!((&report["row_count"], &report["total"]["clicks"]), (&json!(4), &json!(6)), "{rest}");
    }
    let backwards = client.get(&format!("/reports?{MARCH}&sort=-key&limit=2")).await;
    assert_eq!(each(&backwards, "date"), ["2026-03-30", "2026-03-29"]);
}

pub(super) async fn bad_report_parameters_are_refused_by_name(site: Site) {
    let client = open(&site).await;
    for (query, status, parameter) in [
        ("period=fortnight", 400, "period"),
        ("period=today&to=2026-01-01", 400, "period"),
        ("to=2026-01-01", 400, "from"),
        ("from=1.1.2026", 400, "from"),
        ("from=1999-01-01", 400, "from"),
        ("from=2026-01-01&to=2026-01-32", 400, "to"),
        ("from=2026-01-02&to=2026-01-01", 400, "to"),
        ("time_zone=CEST", 400, "time_zone"),
        ("time_zone=UTC&time_zone=UTC", 400, "time_zone"),
        ("affiliate_id=x", 400, "affiliate_id"),
        ("affiliate_id=99", 404, "affiliate_id"),
        ("campaign_id=99", 404, "campaign_id"),
    ] {
        for path in ["/reports", "/clicks", "/conversions"] {
            let reply = client.get(&format!("{path}?{query}")).await;
            assert_eq!(reply.status.as_u16(), status, "{path}?{query}: {}", reply.text());
            assert_eq!(reply.json()["error"]["parameter"], parameter, "{path}?{query}");
        }
    }
    for (query, status, parameter) in [
        ("group_by=week", 400, "group_by"),
        ("sort=name", 400, "sort"),
        ("currency=EURO", 400, "currency"),
        ("limit=0", 422, "limit"),
        ("limit=1001", 422, "limit"),
        ("limit=ten", 400, "limit"),
        ("offset=-1", 400, "offset"),
        ("offset=18446744073709551616", 422, "offset"),
        ("format=xlsx", 400, "format"),
        ("format=csv&limit=1", 400, "limit"),
        ("format=csv&offset=0", 400, "offset"),
    ] {
        let reply = client.get(&format!("/reports?{query}")).await;
        assert_eq!(reply.status.as_u16(), status, "{query}: {}", reply.text());
        assert_eq!(reply.json()["error"]["parameter"], parameter, "{query}");
    }
    for path in ["/conversions?status=sold", "/affiliates/1/conversions?status=sold"] {
        assert_eq!(client.get(path).await.json()["error"]["parameter"], "status", "{path}");
    }
}

pub(super) async fn report_that_is_too_much_says_what_to_do(site: Site) {
    let client = site.open().await;
    for format in ["json", "csv"] {
        let reply = client.get(&format!("/reports?period=last_year&group_by=hour&format={format}")).await;
        assert_eq!((reply.status.as_u16(), reply.error_code().as_str()), (422, "too_many_hours"));
        let message = reply.json()["message"].as_str().unwrap().to_owned();
        assert!(message.contains("92 days") && message.contains("group by day"), "{message}");
    }
    type Failing = fn() -> StoreError;
    let slow: Failing = || StoreError::TooSlow { operation: "break down records" };
    let many: Failing = || StoreError::TooManyGroups { max: 20_000 };
    for (error, code) in [(slow, "too_slow"), (many, "too_many_rows")] {
        let tracker = Tracker::new(BrokenStore::failing(error), Secret::random());
        let client = site.open_tracker(Arc::new(tracker)).await;
        for grouping in ["affiliate", "source"] {
            let reply = client.get(&format!("/reports?group_by={grouping}")).await;
            assert_eq!((reply.status.as_u16(), reply.error_code().as_str()), (422, code), "{grouping}");
        }
    }
}

pub(super) async fn list_that_takes_too_long_says_what_to_do(site: Site) {
    let slow = BrokenStore::failing(|| StoreError::TooSlow { operation: "list clicks" });
    let client = site.open_tracker(Arc::new(Tracker::new(slow, Secret::random()))).await;
    for list in ["/clicks", "/conversions", "/affiliates/1/clicks", "/affiliates/1/conversions"] {
        for format in ["json", "csv"] {
            let reply = client.get(&format!("{list}?campaign_id=2&format={format}")).await;
            assert_eq!((reply.status.as_u16(), reply.error_code().as_str()), (422, "too_slow"), "{list} as {format}");
            let message = reply.json()["message"].as_str().unwrap().to_owned();
            assert!(message.contains("list clicks") && message.contains("shorter period"), "{message}");
        }
    }
}

pub(super) async fn affiliates_get_reports_of_their_own(site: Site) {
    let tracker = recorded(&site).await;
    let client = open_for(&site, Arc::clone(&tracker), 2).await;
    let admin = site.open_tracker(tracker).await;
    for own in ["", "&affiliate_id=2", "&affiliate_id="] {
        for grouping in Grouping::ALL {
            let his = client.get(&format!("/reports?{MARCH}&group_by={grouping}{own}")).await;
            let expected = admin.get(&format!("/reports?{MARCH}&group_by={grouping}&affiliate_id=2")).await;
            assert_eq!((his.status, his.text()), (StatusCode::OK, expected.text()), "{grouping}");
        }
        let his = client.get(&format!("/reports?{MARCH}&group_by=affiliate{own}")).await;
        assert_eq!((each(&his, "affiliate_id"), each(&his, "clicks")), (vec![json!(2)], vec![json!(2)]));
        assert_eq!(each(&client.get(&format!("/clicks?x=1{own}")).await, "click_id"), ["c3", "c2"]);
        assert_eq!(each(&client.get(&format!("/conversions?x=1{own}")).await, "click_id"), ["c2"]);
        for path in ["/reports", "/clicks", "/conversions"] {
            let text = client.get(&format!("{path}?format=csv&{MARCH}{own}")).await.text().to_owned();
            assert!(!text.contains("10.5") && !text.contains("c0") && !text.contains("Ada"), "{path}: {text}");
        }
    }
    for path in ["/reports", "/clicks", "/conversions"] {
        for other in ["affiliate_id=1", "affiliate_id=99", "affiliate_id=1&format=csv", "group_by=source&affiliate_id=1"] {
            let reply = client.get(&format!("{path}?{other}")).await;
            assert_eq!((reply.status, reply.error_code().as_str()), (StatusCode::FORBIDDEN, "forbidden"), "{path}?{other}");
        }
    }
    // Neither who visited, nor what advertisers mark.
    let clicks = client.get("/clicks").await;
    assert!(!clicks.text().contains("127.0.0"), "{}", clicks.text());
}

pub(super) async fn lists_are_filtered(site: Site) {
    let client = open(&site).await;
    for (filter, clicks, conversions) in [
        ("", "c5 c4 c3 c2 c1 c0", "c5 c4 c2 c0"),
        ("affiliate_id=1", "c5 c4 c1 c0", "c5 c4 c0"),
        ("campaign_id=11", "c4 c3", "c4"),
        ("affiliate_id=2&campaign_id=10", "c2", "c2"),
        ("from=2026-03-29&to=2026-03-29", "c5 c4 c3 c2", "c5 c4 c2"),
        ("from=2026-03-29&to=2026-03-29&time_zone=Europe/Berlin", "c4 c3 c2 c1", "c4 c2"),
        ("from=2026-03-29&to=2026-03-29&time_zone=Europe/Berlin&affiliate_id=1&campaign_id=11", "c4", "c4"),
        ("from=2026-03-30&time_zone=Europe/Berlin", "c5", "c5"),
        ("period=last_7_days", "c5 c4 c3 c2 c1 c0", "c5 c4 c2 c0"),
        ("period=today", "", ""),
        ("time_zone=Europe/Berlin", "c5 c4 c3 c2 c1 c0", "c5 c4 c2 c0"),
    ] {
        for (path, expected) in [("/clicks", clicks), ("/conversions", conversions)] {
            let path = format!("{path}?{filter}");
            let expected: Vec<&str> = expected.split_whitespace().collect();
            assert_eq!(each(&client.get(&path).await, "click_id"), expected, "{path}");
            let table = client.get(&format!("{path}&format=csv")).await.table();
            let cells: Vec<&str> = table[1..].iter().map(|line| line[1].as_str()).collect();
            assert_eq!(cells, expected, "{path}");
            let (mut seen, mut cursor) = (Vec::new(), Value::from(""));
            while let Some(after) = cursor.as_str() {
                let page = client.get(&format!("{path}&limit=1&cursor={after}")).await;
                seen.extend(each(&page, "click_id"));
                cursor = page.json()["next_cursor"].clone();
            }
            assert_eq!(seen, expected, "{path}");
        }
    }
    for (status, expected) in [("approved", "c2 c0"), ("pending", "c4"), ("rejected", "c5")] {
        let reply = client.get(&format!("/conversions?status={status}")).await;
        assert_eq!(each(&reply, "click_id"), expected.split_whitespace().collect::<Vec<_>>(), "{status}");
    }
    let change = post_json("/conversions/1/status", r#"{"status": "rejected"}"#);
    assert_eq!(client.send(change).await.status, StatusCode::OK);
    assert_eq!(each(&client.get("/conversions?status=rejected&affiliate_id=1").await, "click_id"), ["c5", "c0"]);
    // Whose a record is stands there where it may be anybody's.
    assert_eq!(each(&client.get("/clicks?limit=3").await, "affiliate_id"), [1, 1, 2]);
    assert_eq!(each(&client.get("/conversions?limit=3").await, "affiliate_id"), [1, 1, 2]);
    for list in ["clicks", "conversions"] {
        let path = format!("/affiliates/1/{list}?from=2026-03-29&to=2026-03-29&campaign_id=11&status=pending");
        let of_one = client.get(&path).await;
        assert_eq!(each(&of_one, "click_id"), ["c4"], "{path}");
        assert!(of_one.data()[0].get("affiliate_id").is_none(), "{path}");
        assert!(!client.get(&format!("{path}&format=csv")).await.table()[0].contains(&"affiliate_id".to_owned()));
        let head = client.send(request(Method::HEAD, &format!("/{list}"))).await;
        assert_eq!((head.status, head.body.len()), (StatusCode::OK, 0));
    }
}

pub(super) async fn table_of_a_report_can_be_summed_up(site: Site) {
    let client = open(&site).await;
    let reply = client.get(&format!("/reports?{MARCH}&group_by=source&sort=key&format=csv")).await;
    let disposition = "attachment; filename=\"report-by-source-2026-03-28-to-2026-03-30.csv\"";
    assert_eq!(reply.header("content-disposition"), disposition);
    let table = reply.table();
    let (header, lines) = table.split_first().unwrap();
    let column = |name: &str| -> Vec<&str> {
        let place = header.iter().position(|column| column == name).unwrap_or_else(|| panic!("{name} in {header:?}"));
        lines.iter().map(|line| line[place].as_str()).collect()
    };
    // One line for one row, whatever currencies there are.
    assert_eq!(column("value"), ["", "'=1+1", "ads", "news"]);
    assert_eq!(column("clicks"), ["1", "1", "2", "2"]);
    assert_eq!(column("conversions"), ["0", "1", "1", "1"]);
    assert_eq!(column("conversion_rate"), ["0", "1", "0.5", "0.5"]);
    assert_eq!(column("revenue_EUR"), ["0", "0", "0.000001", "10.5"]);
    assert_eq!(column("revenue_USD"), ["0", "7", "0", "0"]);
    assert_eq!(column("payout_EUR"), ["0", "0", "0", "1.3125"]);
    assert_eq!(column("profit_EUR"), ["0", "0", "0.000001", "9.1875"]);
    assert_eq!(column("epc_USD"), ["0", "0.875", "0", "0"]);
    assert_eq!(column("rejected_conversions"), ["0", "0", "1", "0"]);
    assert_eq!(column("rejected_revenue_EUR"), ["0", "0", "99", "0"]);
    for (grouping, key) in [
        ("day", &["date"][..]),
        ("hour", &["start", "local"]),
        ("affiliate", &["affiliate_id", "name"]),
        ("campaign", &["campaign_id", "name"]),
        ("sub1", &["value"]),
    ] {
        let path = format!("/reports?{MARCH}&group_by={grouping}");
        let (rows, table) = (client.get(&path).await, client.get(&format!("{path}&format=csv")).await.table());
        assert_eq!(table.len() as u64, rows.data()["row_count"].as_u64().unwrap() + 1, "{grouping}");
        for (place, name) in key.iter().enumerate() {
            assert_eq!(table[0][place], *name);
            let cells: Vec<Value> = table[1..].iter().map(|line| json!(line[place])).collect();
            let as_cell = |value: &Value| json!(value.as_str().map_or_else(|| value.to_string(), str::to_owned));
            let expected: Vec<Value> = each(&rows, name).iter().map(as_cell).collect();
            let expected = if grouping == "sub1" { vec![json!("")] } else { expected };
            assert_eq!(cells, expected, "{grouping}");
        }
    }
    // Where there is no money there are no columns for it, but for what was asked for.
    let empty = client.get("/reports?period=today&format=csv").await.table();
    assert!(!empty[0].iter().any(|name| name.starts_with("revenue")), "{:?}", empty[0]);
    let named = client.get("/reports?period=today&format=csv&currency=CHF").await.table();
    assert!(named[0].contains(&"revenue_CHF".to_owned()), "{:?}", named[0]);
}

pub(super) async fn table_of_a_report_has_all_rows(site: Site) {
    const COUNT: usize = 2100;
    let (tracker, _) = site.tracker_and_key().await;
    for number in 0..COUNT {
        let query = format!("affiliate_id=1&campaign_id=10&source=s{number:04}");
        let parameters = crate::query::parse(Some(&query)).unwrap();
        let click = tracking_core::ClickRequest::from_parameters(&parameters).unwrap();
        tracker.record_click(click).await.unwrap();
    }
    let client = site.open_tracker(tracker).await;
    let table = client.get("/reports?period=today&group_by=source&sort=-key&format=csv").await.table();
    let sources: Vec<&str> = table[1..].iter().map(|line| line[0].as_str()).collect();
    let expected: Vec<String> = (0..COUNT).rev().map(|number| format!("s{number:04}")).collect();
    assert_eq!(sources, expected);
    let head = client.send(request(Method::HEAD, "/reports?period=today&format=csv")).await;
    assert_eq!((head.status, head.body.len()), (StatusCode::OK, 0));
}
