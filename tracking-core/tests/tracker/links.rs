//! Where visitors are sent, whatever stands in their link.

use proptest::prelude::*;
use storage_memory::MemoryStore;
use tracking_core::{
    CampaignRequest, ClickRequest, ClickState, PageRequest, Parameters, PostbackAuth, Secret, StoreError, SubIds,
    Tracker,
};
use url::Url;

use crate::World;

const NAMES: [&str; 9] = ["click_id", "affiliate_id", "campaign_id", "sub1", "sub2", "sub3", "sub4", "sub5", "source"];

/// A tracker with one affiliate and one campaign of this destination, and a link of it without other parameters.
async fn leading_to(destination: &str) -> (Tracker, ClickRequest) {
    let tracker = Tracker::new(MemoryStore::new(), Secret::random());
    let affiliate = tracker.create_affiliate("Ada".parse().unwrap()).await.unwrap().id;
    let campaign = CampaignRequest::new("Shop".parse().unwrap(), destination.parse().unwrap());
    let campaign = tracker.create_campaign(campaign.postback_auth(PostbackAuth::Open)).await.unwrap().campaign.id;
    (tracker, ClickRequest::new(affiliate, campaign))
}

fn link<'a>(request: &ClickRequest, pairs: &'a [(&'a str, &'a str)]) -> ClickRequest {
    let (affiliate, campaign) = (request.affiliate_id.to_string(), request.campaign_id.to_string());
    let own = [("affiliate_id", affiliate.as_str()), ("campaign_id", campaign.as_str())];
    let parameters: Parameters<'_> = own.into_iter().chain(pairs.iter().copied()).collect();
    ClickRequest::from_link(&parameters).unwrap().0
}

#[tokio::test]
async fn macros_are_filled_in_for_their_place() {
    let template =
        "https://shop.example/p/{sub1}/{sub2}.html?id={click_id}&a={affiliate_id}&c={campaign_id}&s={source}#{sub5}";
    let (tracker, request) = leading_to(template).await;
    let pairs =
        [("click_id", "a&b=c"), ("sub1", "x/../y?z"), ("sub2", "ä 1"), ("sub5", "#&"), ("source", "news+letter")];
    let redirect = tracker.follow(link(&request, &pairs)).await.unwrap();
    assert_eq!(
        redirect.location,
        "https://shop.example/p/x%2F..%2Fy%3Fz/%C3%A4%201.html?id=a%26b%3Dc&a=1&c=1&s=news%2Bletter#%23%26"
    );
    assert_eq!((redirect.click_id.as_str(), redirect.state), ("a&b=c", ClickState::Recorded));
    let click = &tracker.clicks(&request.affiliate_id.into(), PageRequest::default()).await.unwrap().items[0];
    assert_eq!(click.click_id.as_str(), "a&b=c");
    let marks: Vec<_> = click.details.sub_ids.iter().map(|(name, mark)| (name, mark.to_string())).collect();
    assert_eq!(marks, [("sub1", "x/../y?z".into()), ("sub2", "ä 1".into()), ("sub5", "#&".into())]);
    assert_eq!(click.details.source.as_ref().unwrap().as_str(), "news+letter");
}

#[tokio::test]
async fn what_is_not_given_is_empty() {
    let (tracker, request) = leading_to("https://shop.example/{sub1}/?id={click_id}&s={source}").await;
    let redirect = tracker.follow(request.clone()).await.unwrap();
    assert_eq!(redirect.location, format!("https://shop.example//?id={}&s=", redirect.click_id));
    assert_eq!(tracker.destination(&request).await.unwrap(), "https://shop.example//?id=&s=");
    assert_eq!(
        tracker.summary(request.affiliate_id).await.unwrap().clicks,
        1,
        "to ask for the destination is no click"
    );
}

#[tokio::test]
async fn no_value_goes_up_a_directory() {
    let (tracker, request) = leading_to("https://shop.example/a/{sub1}/b/.{sub2}/c?{sub3}").await;
    let pairs = [("sub1", ".."), ("sub2", "."), ("sub3", "..")];
    let location = tracker.follow(link(&request, &pairs)).await.unwrap().location;
    assert_eq!(location, "https://shop.example/a//b/./c?..");
}

#[tokio::test]
async fn what_does_not_fit_is_left_out_of_a_link() {
    let (long, forged) = ("x".repeat(256), "aptk_AAAA");
    let parameters: Parameters<'_> = [
        ("affiliate_id", "1"),
        ("campaign_id", "1"),
        ("sub1", long.as_str()),
        ("sub2", "a\nb"),
        ("sub3", "kept"),
        ("sub4", "twice"),
        ("sub4", "twice"),
        ("click_id", "not an id"),
        ("source", ""),
    ]
    .into_iter()
    .collect();
    let (request, left_out) = ClickRequest::from_link(&parameters).unwrap();
    assert_eq!(request.sub_ids, SubIds::new([None, None, Some("kept".parse().unwrap()), None, None]));
    assert_eq!((request.click_id, request.source), (None, None));
    let left_out: Vec<_> = left_out.iter().map(|error| error.name).collect();
    assert_eq!(left_out, ["click_id", "sub1", "sub2", "sub4"]);
    assert!(ClickRequest::from_parameters(&parameters).is_err(), "where a program asks, it is told");

    let (tracker, request) = leading_to("https://shop.example/?id={click_id}").await;
    let redirect = tracker.follow(link(&request, &[("click_id", forged)])).await.unwrap();
    assert_ne!(redirect.click_id.as_str(), forged);
}

#[tokio::test]
async fn link_to_nowhere_is_told() {
    let world = World::new().await;
    let unknown = tracking_core::CampaignId::new(888).unwrap();
    let error = world.tracker.follow(ClickRequest::new(world.affiliate, unknown)).await.unwrap_err();
    assert!(matches!(error, StoreError::UnknownCampaign(id) if id == unknown), "{error:?}");
    let unknown = tracking_core::AffiliateId::new(999).unwrap();
    let error = world.tracker.follow(ClickRequest::new(unknown, world.open)).await.unwrap_err();
    assert!(matches!(error, StoreError::UnknownAffiliate(id) if id == unknown), "{error:?}");
}

#[tokio::test]
async fn full_store_stops_no_visitor() {
    let tracker = Tracker::new(MemoryStore::bounded(3), Secret::random());
    let affiliate = tracker.create_affiliate("Ada".parse().unwrap()).await.unwrap().id;
    let campaign = CampaignRequest::new("Shop".parse().unwrap(), "https://shop.example/".parse().unwrap());
    let campaign = tracker.create_campaign(campaign).await.unwrap().campaign.id;
    let follow = || tracker.follow(ClickRequest::new(affiliate, campaign));
    assert_eq!(follow().await.unwrap().state, ClickState::Recorded);
    assert_eq!(follow().await.unwrap().state, ClickState::Unrecorded);
}

/// A part of a template: literals, and macros by their place in [`NAMES`].
type Part = Vec<Result<usize, String>>;

/// Path, query and fragment of a template, in each of which every macro may stand.
fn templates() -> impl Strategy<Value = (&'static str, [Part; 3])> {
    let origins = &[
        "https://shop.example",
        "http://shop.example:8443",
        "HTTPS://Shop.Example",
        "https://[2001:db8::1]",
        "http://192.0.2.1",
    ][..];
    let part = || {
        prop::collection::vec(prop_oneof![(0..NAMES.len()).prop_map(Ok), "[a-z0-9/=&;:@!-]{0,6}".prop_map(Err)], 0..6)
    };
    (prop::sample::select(origins), [part(), part(), part()])
}

fn written(part: &Part, of_macro: impl Fn(&'static str) -> String) -> String {
    part.iter().map(|piece| piece.as_ref().map_or_else(Clone::clone, |index| of_macro(NAMES[*index]))).collect()
}

/// Whatever bytes a program may send, as text.
fn values() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<Vec<u8>>().prop_map(|bytes| String::from_utf8_lossy(&bytes).into_owned()),
        "[\\r\\n\\t /\\\\@:#?%.&=+;{}\"'<>]{1,12}",
        prop::sample::select(
            &[
                "//evil.example",
                "https://evil.example/",
                "\\\\evil.example",
                "@evil.example",
                ".evil.example",
                "\r\nSet-Cookie: a=b",
                "%0d%0aLocation: https://evil.example",
                "javascript:alert(1)",
                "..",
                ".",
                "%2e%2e",
                "{click_id}",
                ":80@evil.example",
                "?#/",
                "\u{0}",
                "\u{ff0f}\u{ff0f}evil.example",
                "﹫evil",
            ][..]
        )
        .prop_map(str::to_owned),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Nothing that a visitor sends changes where he goes, splits a header, or comes out as something else.
    #[test]
    fn links_lead_nowhere_else(
        (origin, parts) in templates(),
        given in prop::collection::vec((prop::sample::select(&NAMES[..]), values()), 0..9),
    ) {
        let braced = |name: &str| format!("{{{name}}}");
        let [path, query, fragment] = [0, 1, 2].map(|place| written(&parts[place], braced));
        let template = format!("{origin}/{path}?{query}#{fragment}");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (tracker, request) = leading_to(&template).await;
            let given = given.iter().map(|(name, value)| (*name, value.as_str()));
            let given: Vec<_> = given.filter(|(name, _)| !matches!(*name, "affiliate_id" | "campaign_id")).collect();
            let click = link(&request, &given);
            let redirect = tracker.follow(click.clone()).await.unwrap();

            let location = &redirect.location;
            prop_assert!(location.bytes().all(|byte| byte.is_ascii_graphic()), "not fit for a header: {:?}", location);
            // As a browser reads it.
            let url = Url::parse(location).unwrap();
            prop_assert_eq!(url.origin(), Url::parse(origin).unwrap().origin(), "{}", location);
            prop_assert_eq!((url.username(), url.password()), ("", None), "{}", location);

            // Each value is found where the template has its macro, between the template's own literals.
            let value = |name: &str| match name {
                "click_id" => redirect.click_id.to_string(),
                "affiliate_id" | "campaign_id" => "1".to_owned(),
                "source" => click.source.as_ref().map(ToString::to_string).unwrap_or_default(),
                sub => click.sub_ids.by_name(sub).map(ToString::to_string).unwrap_or_default(),
            };
            let encoded = |name: &str| value(name).bytes().map(|byte| match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(byte).to_string(),
                byte => format!("%{byte:02X}"),
            }).collect::<String>();
            let in_path = |name: &str| if matches!(&*value(name), "." | "..") { String::new() } else { encoded(name) };
            prop_assert_eq!(url.path(), format!("/{}", written(&parts[0], in_path)), "{} of {}", location, template);
            prop_assert_eq!(url.query(), Some(&*written(&parts[1], encoded)), "{} of {}", location, template);
            prop_assert_eq!(url.fragment(), Some(&*written(&parts[2], encoded)), "{} of {}", location, template);
            Ok(())
        })?;
    }
}
