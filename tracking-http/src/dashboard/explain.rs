//! The page that explains what would become of a postback.

use std::net::IpAddr;

use http::Response;
use tracking_core::{Explanation, Parameters, PostbackCall, Tracker, Unreadable};

use super::rendered;
use crate::Body;
use crate::location::Location;
use crate::pages::ExplainPage;
use crate::refusal::Refusal;
use crate::{Api, answer, query};

/// The form, with the call that is named in the query, which is not looked at before somebody asks for it.
pub(crate) fn show(at: &Location<'_>, parameters: &Parameters<'_>) -> Result<Response<Body>, Refusal> {
    let text = |name| parameters.text(name).ok().flatten().unwrap_or_default();
    let page =
        ExplainPage { root: &at.root, call: text("call"), source: text("source"), refusal: None, explanation: None };
    Ok(answer::page(rendered(page.render())?, None))
}

/// The form with what it says, and what would become of that call.
pub(crate) async fn explain(
    tracker: &Tracker,
    at: &Location<'_>,
    form: &Parameters<'_>,
) -> Result<Response<Body>, Refusal> {
    let (call, source) = (form.text("call")?.unwrap_or_default(), form.text("source")?.unwrap_or_default());
    let (explanation, refusal) = match source_of(source.trim()) {
        Ok(source) => (Some(explanation(tracker, &query_of(call), source).await?), None),
        Err(refusal) => (None, Some(refusal)),
    };
    let (refusal, explanation) = (refusal.as_ref(), explanation.as_ref());
    let page = ExplainPage { root: &at.root, call, source, refusal, explanation };
    Ok(answer::page(rendered(page.render())?, refusal))
}

async fn explanation(tracker: &Tracker, query: &str, source: Option<IpAddr>) -> Result<Explanation, Refusal> {
    if query.len() > Api::MAX_QUERY_LEN {
        return Ok(Explanation::of_unreadable(Unreadable::QueryTooLong { max: Api::MAX_QUERY_LEN }));
    }
    let Ok(parameters) = query::parse(Some(query)) else {
        return Ok(Explanation::of_unreadable(Unreadable::MalformedQuery));
    };
    let mut call = PostbackCall::new(parameters);
    call.source = source;
    Ok(tracker.explain(&call).await?)
}

fn source_of(text: &str) -> Result<Option<IpAddr>, Refusal> {
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| Refusal::malformed("source", "an IP address such as 203.0.113.7 is expected"))
}

/// The query of what was pasted: that of a whole URL, or the query alone, on one line or with a parameter on each.
fn query_of(text: &str) -> String {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let text = lines.collect::<Vec<_>>().join("&");
    // A name has no question mark; and what follows one in a value was encoded.
    match text.split_once('?') {
        Some((before, query)) if !before.contains('=') => query.to_owned(),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_query_is_found_in_what_is_pasted() {
        for (text, expected) in [
            ("", ""),
            ("a=1&b=2", "a=1&b=2"),
            (" a=1&b=2\r\n", "a=1&b=2"),
            ("a=1\r\nb=2\r\n\r\nc=3", "a=1&b=2&c=3"),
            ("?a=1", "a=1"),
            ("/postback?a=1", "a=1"),
            ("https://track.example.com/postback?a=1&b=2?", "a=1&b=2?"),
            ("a=1?b=2", "a=1?b=2"),
        ] {
            assert_eq!(query_of(text), expected, "{text}");
        }
    }
}
