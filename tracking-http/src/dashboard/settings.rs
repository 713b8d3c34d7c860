//! The page with what this tracker is set to.

use http::Response;
use ipnet::IpNet;
use tracking_core::{StoredIp, TrackerOptions};

use super::{Desk, rendered};
use crate::pages::{Setting, SettingsPage, grouped, span};
use crate::refusal::Refusal;
use crate::viewer::Viewer;
use crate::{Api, Body, PublicUrl, answer};

/// The settings, of which some are of the HTTP surface alone.
pub(crate) fn show(
    desk: Desk<'_>,
    public_url: Option<&PublicUrl>,
    trusted_proxies: &[IpNet],
) -> Result<Response<Body>, Refusal> {
    let Desk { tracker, viewer, at, public_url: base_url, zone } = desk;
    // The clock is no fact.
    let TrackerOptions { link_deadline, queue_capacity, stored_ip, retention, log_retention, log_capacity, .. } =
        tracker.options();
    let forever = |retention: Option<_>| retention.map_or_else(|| "For ever".to_owned(), span);
    let proxies: Vec<String> = trusted_proxies.iter().map(ToString::to_string).collect();
    let endpoint = |path| format!("{base_url}{path}");
    let groups = vec![
        (
            "Here",
            vec![
                Setting::words("Version", env!("CARGO_PKG_VERSION")),
                Setting::words(
                    "You are",
                    match viewer {
                        Viewer::Admin => "an admin, who sees and changes everything".to_owned(),
                        Viewer::Reader => "a reader, who sees everything and changes nothing".to_owned(),
                        Viewer::Affiliate(id) => format!("affiliate {id}"),
                    },
                ),
                Setting::words("Days of reports", format!("In {zone}, where nothing else is chosen")),
            ],
        ),
        (
            "Records",
            vec![
                Setting::words("Clicks are kept", forever(retention)),
                Setting::words(
                    "The postback log goes back",
                    format!("{}, and {} calls at the most", span(log_retention), grouped(log_capacity)),
                ),
                Setting::words(
                    "Of visitors’ addresses",
                    match stored_ip {
                        StoredIp::Masked => "The network is stored, not the address",
                        StoredIp::Whole => "All of it is stored",
                        StoredIp::None => "Nothing is stored",
                    },
                ),
            ],
        ),
        (
            "Addresses",
            vec![
                match public_url {
                    Some(url) => Setting::code("Public URL", url.base()),
                    None => Setting::words("Public URL", "Not set: links begin as the browser’s request says"),
                },
                Setting::code("Tracking links", endpoint("/go")),
                Setting::code("Clicks of servers", endpoint("/click")),
                Setting::code("Postbacks", endpoint("/postback")),
                Setting::words(
                    "Proxies that are believed",
                    if proxies.is_empty() { "None".to_owned() } else { proxies.join(", ") },
                ),
            ],
        ),
        (
            "Limits",
            vec![
                Setting::words(
                    "A visitor waits for his click",
                    format!("{} milliseconds at the most", grouped_millis(link_deadline)),
                ),
                Setting::words("Clicks that may wait for the store", grouped(queue_capacity as u64)),
                Setting::words("A query", bytes(Api::MAX_QUERY_LEN)),
                Setting::words("A body", bytes(Api::MAX_BODY_LEN)),
                Setting::words("A file that is imported", bytes(Api::MAX_IMPORT_LEN)),
            ],
        ),
    ];
    let page = SettingsPage { root: &at.root, groups };
    Ok(answer::page(rendered(page.render())?, None))
}

fn grouped_millis(duration: std::time::Duration) -> String {
    grouped(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}

fn bytes(count: usize) -> String {
    format!("{} bytes at the most", grouped(count as u64))
}
