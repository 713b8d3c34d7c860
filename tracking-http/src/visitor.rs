//! Who follows a tracking link, as far as the request tells.

use std::net::IpAddr;

use http::HeaderMap;
use http::header::USER_AGENT;
use http::request::Parts;
use tracking_core::{UserAgent, Visitor};

use crate::client_ip::{TrustedProxies, client_ip};

/// `peer` is the address at the other end of the socket.
pub(crate) fn visitor(request: &Parts, peer: Option<IpAddr>, trusted: &TrustedProxies) -> Visitor {
    // Bytes that are no UTF-8 are replaced, since a strange name is still a name.
    let user_agent = request.headers.get(USER_AGENT).map(|value| String::from_utf8_lossy(value.as_bytes()));
    Visitor {
        ip: client_ip(&request.headers, peer, trusted),
        user_agent: user_agent.and_then(|text| UserAgent::new(&text)),
        is_prefetch: is_prefetch(&request.headers),
    }
}

/// Whether a browser or an app fetches the page in advance, or for a picture of it:
///
/// - `Sec-Purpose: prefetch`, also with parameters such as `;prerender` and `;anonymous-client-ip`:
///   [the standard](https://wicg.github.io/nav-speculation/prefetch.html#sec-purpose-header), in
///   [browsers](https://developer.mozilla.org/en-US/docs/Web/HTTP/Reference/Headers/Sec-Purpose) of today;
/// - [`Purpose: prefetch`](https://http.dev/purpose), what Chrome and Safari sent before;
/// - `X-Moz: prefetch`, [the same of Firefox](https://developer.mozilla.org/en-US/docs/Web/HTTP/Link_prefetching_FAQ);
/// - `X-Purpose: preview`, of
///   [Safari's Top Sites](https://sunpig.com/martin/2010/01/08/how-to-detect-a-page-request-from-safari-4s-top-sites-feature/)
///   and [Facebook's app](https://www.facebook.com/business/help/1514372351922333); and `X-Purpose: instant`, which
///   [Matomo](https://github.com/matomo-org/matomo/blob/5.x-dev/core/Tracker/VisitExcluded.php) knows of.
fn is_prefetch(headers: &HeaderMap) -> bool {
    ["sec-purpose", "purpose", "x-moz", "x-purpose"].into_iter().any(|name| {
        let lines = headers.get_all(name).iter();
        lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b',')).any(|purpose| {
            let token = purpose.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
            ["prefetch", "preview", "instant"].iter().any(|known| token.eq_ignore_ascii_case(known.as_bytes()))
        })
    })
}

#[cfg(test)]
mod tests {
    use http::{HeaderValue, Request};

    use super::*;

    fn request(lines: &[(&'static str, &[u8])]) -> Parts {
        let (mut parts, ()) = Request::new(()).into_parts();
        for (name, value) in lines {
            parts.headers.append(*name, HeaderValue::from_bytes(value).unwrap());
        }
        parts
    }

    #[test]
    fn address_is_found_behind_proxies() {
        let request = request(&[("forwarded", b"for=203.0.113.7")]);
        let proxy = Some("10.0.0.1".parse().unwrap());
        let trusted = TrustedProxies::from_iter(["10.0.0.0/8".parse().unwrap()]);
        assert_eq!(visitor(&request, proxy, &trusted).ip, Some("203.0.113.7".parse().unwrap()));
        assert_eq!(visitor(&request, proxy, &TrustedProxies::default()).ip, proxy);
        assert_eq!(visitor(&request, None, &trusted).ip, None);
    }

    #[test]
    fn strange_user_agents_are_user_agents() {
        for (lines, expected) in [
            (&[][..], None),
            (&[("user-agent", &b""[..])], None),
            (&[("user-agent", b" \t ")], None),
            (&[("user-agent", b" curl/8.5.0 ")], Some("curl/8.5.0")),
            (&[("user-agent", "Läufer/1".as_bytes())], Some("Läufer/1")),
            (&[("user-agent", b"L\xe4ufer/1")], Some("L\u{fffd}ufer/1")),
            (&[("user-agent", b"\xff")], Some("\u{fffd}")),
            (&[("user-agent", b"first"), ("user-agent", b"second")], Some("first")),
        ] {
            let request = request(lines);
            let visitor = visitor(&request, None, &TrustedProxies::default());
            assert_eq!(visitor.user_agent.as_ref().map(UserAgent::as_str), expected, "{lines:?}");
        }
    }

    #[test]
    fn prefetches_are_recognized() {
        for (name, value, expected) in [
            ("sec-purpose", &b"prefetch"[..], true),
            ("sec-purpose", b"prefetch;prerender", true),
            ("sec-purpose", b"prefetch; prerender; preview", true),
            ("sec-purpose", b"prefetch;anonymous-client-ip", true),
            ("sec-purpose", b"Prefetch ; prerender", true),
            ("sec-purpose", b"other, prefetch", true),
            ("purpose", b"prefetch", true),
            ("purpose", b"preview", true),
            ("x-purpose", b"preview", true),
            ("x-purpose", b"instant", true),
            ("x-moz", b"prefetch", true),
            ("x-moz", b"Prefetch", true),
            ("sec-purpose", b"", false),
            ("sec-purpose", b"prefetched", false),
            ("sec-purpose", b"no prefetch", false),
            ("sec-purpose", b"other;prefetch", false),
            ("purpose", b"\xff", false),
            ("x-moz", b"1", false),
            ("sec-fetch-mode", b"navigate", false),
            ("x-other", b"prefetch", false),
        ] {
            for lines in [&[(name, value)][..], &[(name, b"other"), (name, value)]] {
                let request = request(lines);
                let visitor = visitor(&request, None, &TrustedProxies::default());
                assert_eq!(visitor.is_prefetch, expected, "{name}: {}", value.escape_ascii());
            }
        }
    }
}
