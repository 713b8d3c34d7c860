//! Arbitrary bytes in every parameter of a link, as they come in a query: the visitor goes to the campaign's host, or is
//! told that the link leads nowhere.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use std::cell::Cell;
use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr};

use proptest::prelude::*;
use storage_memory::MemoryStore;
use tokio::runtime::Runtime;
use tracking_core::{CampaignRequest, Secret, Tracker};
use tracking_http::http::{Method, Request, StatusCode};
use tracking_http::{Api, Resolution, guard};
use url::Url;

const NAMES: [&str; 9] = ["affiliate_id", "campaign_id", "click_id", "sub1", "sub2", "sub3", "sub4", "sub5", "source"];

const DESTINATION: &str =
    "https://shop.example/{sub1}/{sub2}?a={click_id}&b={sub3}&c={source}&d={affiliate_id}#{sub4}{sub5}";

/// As it may stand in a request: each byte as it is, where a request line may have it, or percent-encoded, and now and
/// then a percent sign that encodes nothing.
fn raw_values() -> impl Strategy<Value = String> {
    let byte = (any::<u8>(), 0..20u8).prop_map(|(byte, how)| match how {
        0 => "%".to_owned(),
        1 => "%4".to_owned(),
        2..=9 if byte.is_ascii_alphanumeric() || b"-._~!$'()*+,;:@/?".contains(&byte) => char::from(byte).to_string(),
        _ => {
            let mut text = String::new();
            write!(text, "%{byte:02x}").unwrap();
            text
        }
    });
    let attempts = &[
        "//evil.example",
        "%0d%0aLocation:%20https://evil.example",
        "%0D%0A%0D%0A",
        "@evil.example",
        "%5c%5cevil.example",
        "https:%2f%2fevil.example",
        "..%2f..",
        "%2e%2e",
        "1",
        "10",
    ][..];
    prop_oneof![
        3 => prop::collection::vec(byte, 0..12).prop_map(|bytes| bytes.concat()),
        2 => prop::sample::select(attempts).prop_map(str::to_owned),
    ]
}

#[test]
fn links_lead_to_their_campaign_or_nowhere() {
    let runtime = Runtime::new().unwrap();
    let tracker = Tracker::new(MemoryStore::new(), Secret::random());
    runtime.block_on(async {
        let affiliate = tracker.create_affiliate("Ada".parse().unwrap()).await.unwrap();
        let request = CampaignRequest::new("Shop".parse().unwrap(), DESTINATION.parse().unwrap());
        let campaign = tracker.create_campaign(request).await.unwrap().campaign;
        assert_eq!((affiliate.id.as_u64(), campaign.id.as_u64()), (1, 1));
    });
    let api = Api::new(tracker, guard::open());
    let Resolution::Found(matched) = Resolution::of(&Method::GET, "/go") else { panic!("no route") };
    let peer = Some(IpAddr::V4(Ipv4Addr::LOCALHOST));

    // More if somebody asks for them by PROPTEST_CASES.
    let mut config = ProptestConfig::with_cases(ProptestConfig::default().cases.max(20_000));
    config.failure_persistence = None;
    let pairs = prop::collection::vec((prop::sample::select(&NAMES[..]), raw_values()), 0..10);
    let is_usual = (prop::bool::weighted(0.9), prop::bool::weighted(0.9));
    let sent_on = Cell::new(0);
    proptest!(config, |(pairs in pairs, (usual_affiliate, usual_campaign) in is_usual)| {
        let mut query = String::from("/go?");
        for (usual, name) in [(usual_affiliate, "affiliate_id"), (usual_campaign, "campaign_id")] {
            if usual {
                write!(query, "{name}=1&").unwrap();
            }
        }
        for (name, value) in &pairs {
            if !(usual_affiliate && *name == "affiliate_id" || usual_campaign && *name == "campaign_id") {
                write!(query, "{name}={value}&").unwrap();
            }
        }
        let (request, ()) = Request::get(query.as_str()).body(()).unwrap().into_parts();
        let response = runtime.block_on(api.handle(matched, &request, peer, Ok(Default::default())));
        let locations: Vec<_> = response.headers().get_all("location").iter().collect();
        if response.status() == StatusCode::FOUND {
            sent_on.set(sent_on.get() + 1);
            prop_assert_eq!(locations.len(), 1, "{}", query);
            let location = locations[0].to_str().unwrap();
            prop_assert!(location.starts_with("https://shop.example/"), "{} leads to {}", query, location);
            let url = Url::parse(location).unwrap();
            prop_assert_eq!(url.as_str(), location, "a browser goes where it says");
            prop_assert_eq!((url.scheme(), url.host_str(), url.port()), ("https", Some("shop.example"), None));
            let names: Vec<String> = url.query_pairs().map(|(name, _)| name.into_owned()).collect();
            prop_assert_eq!(names.concat(), "abcd", "{} in {}", query, location);
            prop_assert_eq!(url.path_segments().unwrap().count(), 2, "{} in {}", query, location);
        } else {
            prop_assert!(response.status().is_client_error(), "{}: {}", query, response.status());
            prop_assert!(locations.is_empty());
        }
    });
    assert!(sent_on.get() > 10_000, "{sent_on:?} of 20,000 were links that lead somewhere");
}
