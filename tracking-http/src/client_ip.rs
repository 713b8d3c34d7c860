//! Which address a request comes from.
//!
//! What a header says is believed only as far as it comes from a proxy that the host trusts. Each proxy adds the address
//! of whoever called it at the right end of a list, so the list is followed from there, up to the first address that is
//! not a trusted proxy's: everything to the left of it is hearsay
//! ([RFC 7239, section 8.1](https://www.rfc-editor.org/rfc/rfc7239#section-8.1)).

use std::net::{IpAddr, Ipv6Addr};

use http::{HeaderMap, HeaderValue};
use ipnet::{IpNet, Ipv4Net};

/// The most proxies that are followed, which bounds the work for a header that somebody has filled up. It is far more
/// than stand in front of any server.
const MAX_HOPS: usize = 32;

/// The networks of the proxies that a host trusts, with IPv4-mapped ones as the IPv4 networks that they are.
#[derive(Debug, Default)]
pub(crate) struct TrustedProxies(Vec<IpNet>);

impl TrustedProxies {
    pub(crate) fn networks(&self) -> &[IpNet] {
        &self.0
    }

    /// `address` is in its canonical form.
    fn contains(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address))
    }
}

impl FromIterator<IpNet> for TrustedProxies {
    fn from_iter<I: IntoIterator<Item = IpNet>>(networks: I) -> Self {
        Self(networks.into_iter().map(canonical).collect())
    }
}

fn canonical(network: IpNet) -> IpNet {
    let mapped = match network {
        IpNet::V4(_) => None,
        IpNet::V6(network) => network.addr().to_ipv4_mapped().zip(network.prefix_len().checked_sub(96)),
    };
    mapped.and_then(|(address, length)| Ipv4Net::new(address, length).ok()).map_or(network, IpNet::V4)
}

/// The address that a request comes from, as far as it can be known: that of the `peer` at the other end of the socket,
/// or, if that is a trusted proxy, the one that it got the request from. IPv4-mapped addresses are given as IPv4.
///
/// - Where all are trusted proxies it is the one farthest away.
/// - An entry that is no address, such as `unknown` or the `_hidden` of
///   [RFC 7239, section 6](https://www.rfc-editor.org/rfc/rfc7239#section-6), ends the way: whoever is behind it does
///   not want to be seen, or can't be. The request comes from the last hop that is known, which is also what
///   [nginx](https://github.com/nginx/nginx/blob/master/src/http/ngx_http_core_module.c) makes of it
///   (`ngx_http_get_forwarded_addr_internal`).
/// - `Forwarded` and `X-Forwarded-For` may both be there, but have to agree; else it is the `peer`. Most proxies write
///   only one of the two and pass the other on as the client sent it, so that whoever prefers either one lets clients
///   choose their address.
/// - An unknown `peer`, as on a Unix socket, can't be trusted, and nothing is known.
pub(crate) fn client_ip(headers: &HeaderMap, peer: Option<IpAddr>, trusted: &TrustedProxies) -> Option<IpAddr> {
    let peer = peer?.to_canonical();
    if !trusted.contains(peer) {
        return Some(peer);
    }
    let follow = |name, address_in: fn(&[u8]) -> Option<IpAddr>| {
        // Several lines are one list: https://www.rfc-editor.org/rfc/rfc9110#section-5.3
        let lines = headers.get_all(name).iter().rev().map(HeaderValue::as_bytes);
        let entries = lines.flat_map(|line| FromRight::new(line, b',')).map(<[u8]>::trim_ascii);
        // A list may have empty entries: https://www.rfc-editor.org/rfc/rfc9110#section-5.6.1.2
        let mut entries = entries.filter(|entry| !entry.is_empty()).take(MAX_HOPS).peekable();
        entries.peek()?;
        let mut known = peer;
        while trusted.contains(known)
            && let Some(next) = entries.next().and_then(address_in)
        {
            known = next;
        }
        Some(known)
    };
    match (follow("forwarded", address_in_forwarded), follow("x-forwarded-for", address)) {
        (Some(one), Some(other)) if one != other => Some(peer),
        (one, other) => one.or(other).or(Some(peer)),
    }
}

/// The address in an element of `Forwarded`, such as `for="[2001:db8::1]:4711";proto=https`.
fn address_in_forwarded(element: &[u8]) -> Option<IpAddr> {
    let mut nodes = FromRight::new(element, b';').filter_map(|pair| {
        let (name, value) = pair.split_at(pair.iter().position(|byte| *byte == b'=')?);
        name.trim_ascii().eq_ignore_ascii_case(b"for").then_some(&value[1..])
    });
    let (Some(node), None) = (nodes.next(), nodes.next()) else { return None };
    address(node)
}

/// The address in a node, as it stands in either header: with or without a port, quotes, and the brackets of IPv6.
fn address(node: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(node).ok()?.trim_ascii();
    let text = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
    let (ip, port) = if let Some(text) = text.strip_prefix('[') {
        let (ip, port) = text.split_once(']')?;
        (IpAddr::V6(ip.parse::<Ipv6Addr>().ok()?), if port.is_empty() { None } else { Some(port.strip_prefix(':')?) })
    } else {
        match text.split_once(':') {
            Some((ip, port)) if !port.contains(':') => (IpAddr::V4(ip.parse().ok()?), Some(port)),
            _ => (text.parse().ok()?, None),
        }
    };
    port.is_none_or(is_port).then(|| ip.to_canonical())
}

/// A port may be hidden, too: <https://www.rfc-editor.org/rfc/rfc7239#section-6>
fn is_port(text: &str) -> bool {
    let is_name = |name: &str| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
    text.parse::<u16>().is_ok() || text.strip_prefix('_').is_some_and(|name| !name.is_empty() && is_name(name))
}

/// The entries of a list from its right end on, split where a separator stands outside of quoted strings.
///
/// Read from this end, what a client sent can't change how the entries are read that a proxy has put after it: in
/// `for="evil, for=192.0.2.1` a quotation mark that is never closed swallows nothing.
struct FromRight<'a> {
    rest: Option<&'a [u8]>,
    separator: u8,
}

impl<'a> FromRight<'a> {
    fn new(list: &'a [u8], separator: u8) -> Self {
        Self { rest: Some(list), separator }
    }
}

impl<'a> Iterator for FromRight<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let list = self.rest.take()?;
        let mut is_quoted = false;
        let separator = list.iter().enumerate().rposition(|(at, &byte)| {
            // From this end, the mark outside of a string is its last one, and the next that is not escaped its first.
            if byte == b'"' && !(is_quoted && is_escaped(&list[..at])) {
                is_quoted = !is_quoted;
            }
            byte == self.separator && !is_quoted
        });
        let Some(separator) = separator else { return Some(list) };
        self.rest = Some(&list[..separator]);
        Some(&list[separator + 1..])
    }
}

/// Whether what follows these bytes is escaped by them: a backslash can be escaped itself.
fn is_escaped(before: &[u8]) -> bool {
    before.iter().rev().take_while(|byte| **byte == b'\\').count() % 2 == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORWARDED: &str = "forwarded";
    const X_FORWARDED_FOR: &str = "x-forwarded-for";

    /// Who calls from the proxy 10.0.0.1, where 10.0.0.0/8 and fd00::/8 are trusted.
    fn behind_proxy(lines: &[(&'static str, &[u8])]) -> String {
        let trusted = ["10.0.0.0/8", "fd00::/8"].map(|network| network.parse().unwrap()).into_iter().collect();
        client_ip(&headers(lines), Some("10.0.0.1".parse().unwrap()), &trusted).unwrap().to_string()
    }

    fn headers(lines: &[(&'static str, &[u8])]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_bytes(value).unwrap());
        }
        headers
    }

    /// Every text of up to `length` of these pieces.
    fn texts(pieces: &[&'static [u8]], length: u32) -> Vec<Vec<u8>> {
        let mut texts = vec![Vec::new()];
        let mut from = 0;
        for _ in 0..length {
            let to = texts.len();
            for text in from..to {
                texts.extend(pieces.iter().map(|piece| [texts[text].as_slice(), piece].concat()).collect::<Vec<_>>());
            }
            from = to;
        }
        texts
    }

    /// What a header's syntax is made of, and some that it is not.
    const PIECES: &[&[u8]] =
        &[b"\"", b"\\", b",", b";", b"=", b"for=6.6.6.6", b"10.0.0.9", b"[::1]:8", b"unknown", b"\xff"];

    #[test]
    fn only_trusted_proxies_are_believed() {
        let headers = headers(&[(X_FORWARDED_FOR, b"203.0.113.7")]);
        for (peer, networks, expected) in [
            (Some("198.51.100.1"), &[][..], Some("198.51.100.1")),
            (Some("198.51.100.1"), &["10.0.0.0/8"], Some("198.51.100.1")),
            (Some("10.0.0.1"), &["192.168.0.0/16", "10.0.0.0/8"], Some("203.0.113.7")),
            (Some("10.0.0.1"), &["10.0.0.1/32"], Some("203.0.113.7")),
            // The network of an address, whatever comes after its prefix.
            (Some("10.0.0.1"), &["10.9.9.9/8"], Some("203.0.113.7")),
            (Some("fd00::1"), &["fd00::/8"], Some("203.0.113.7")),
            (Some("2001:db8::1"), &["fd00::/8", "0.0.0.0/0"], Some("2001:db8::1")),
            // A socket for both versions shows IPv4 mapped.
            (Some("::ffff:10.0.0.1"), &["10.0.0.0/8"], Some("203.0.113.7")),
            (Some("10.0.0.1"), &["::ffff:10.0.0.0/104"], Some("203.0.113.7")),
            (Some("::ffff:198.51.100.1"), &["10.0.0.0/8"], Some("198.51.100.1")),
            // All of IPv6 is not all of IPv4.
            (Some("::ffff:198.51.100.1"), &["::/0"], Some("198.51.100.1")),
            (None, &["0.0.0.0/0", "::/0"], None),
        ] {
            let trusted = networks.iter().map(|network| network.parse().unwrap()).collect();
            let found = client_ip(&headers, peer.map(|peer| peer.parse().unwrap()), &trusted);
            assert_eq!(found, expected.map(|ip| ip.parse().unwrap()), "{peer:?} with {networks:?}");
        }
    }

    #[test]
    fn lists_are_followed_from_the_right() {
        for (list, expected) in [
            ("203.0.113.7", "203.0.113.7"),
            ("6.6.6.6, 203.0.113.7", "203.0.113.7"),
            ("6.6.6.6,203.0.113.7,10.0.0.3 ,\t10.0.0.2", "203.0.113.7"),
            ("6.6.6.6, 2001:db8::7, fd00::2", "2001:db8::7"),
            ("10.0.0.4, 10.0.0.3, 10.0.0.2", "10.0.0.4"),
            ("::ffff:203.0.113.7, ::ffff:10.0.0.2", "203.0.113.7"),
            // Empty entries are none.
            (", ,203.0.113.7,, 10.0.0.2,", "203.0.113.7"),
            ("", "10.0.0.1"),
            (" , ", "10.0.0.1"),
            // What is no address ends the way.
            ("6.6.6.6, unknown", "10.0.0.1"),
            ("6.6.6.6, unknown, 10.0.0.2", "10.0.0.2"),
            ("6.6.6.6, _hidden, 10.0.0.3, 10.0.0.2", "10.0.0.3"),
            ("6.6.6.6, unknown, 203.0.113.7, 10.0.0.2", "203.0.113.7"),
        ] {
            assert_eq!(behind_proxy(&[(X_FORWARDED_FOR, list.as_bytes())]), expected, "{list}");
            let elements = list.split(',').map(|entry| match entry.trim() {
                "" => String::new(),
                node if node.contains(':') => format!(" for=\"[{node}]\""),
                node => format!(" for={node}"),
            });
            let list = elements.collect::<Vec<_>>().join(",");
            assert_eq!(behind_proxy(&[(FORWARDED, list.as_bytes())]), expected, "{list}");
        }
    }

    #[test]
    fn lines_are_one_list() {
        let lines: [&[u8]; 3] = [b"6.6.6.6", b"7.7.7.7, 203.0.113.7", b"10.0.0.3, 10.0.0.2"];
        assert_eq!(behind_proxy(&lines.map(|line| (X_FORWARDED_FOR, line))), "203.0.113.7");
        let lines: [&[u8]; 3] = [b"for=6.6.6.6", b"for=203.0.113.7;by=10.0.0.3", b"for=10.0.0.3, for=10.0.0.2"];
        assert_eq!(behind_proxy(&lines.map(|line| (FORWARDED, line))), "203.0.113.7");
        let lines: [&[u8]; 3] = [b"203.0.113.7", b"", b"10.0.0.2"];
        assert_eq!(behind_proxy(&lines.map(|line| (X_FORWARDED_FOR, line))), "203.0.113.7");
    }

    #[test]
    fn nodes_have_many_forms() {
        for (node, expected) in [
            ("192.0.2.60", "192.0.2.60"),
            ("192.0.2.60:4711", "192.0.2.60"),
            ("192.0.2.60:_port", "192.0.2.60"),
            ("\"192.0.2.60:4711\"", "192.0.2.60"),
            ("2001:db8::1", "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("[2001:DB8::1]:4711", "2001:db8::1"),
            ("\"[2001:db8::1]\"", "2001:db8::1"),
            ("\"[2001:db8::1]:4711\"", "2001:db8::1"),
            ("\"[2001:db8::1]:_a.b-c\"", "2001:db8::1"),
            ("\"[::ffff:192.0.2.60]:80\"", "192.0.2.60"),
            ("unknown", ""),
            ("_hidden", ""),
            ("", ""),
            ("\"\"", ""),
            ("\"192.0.2.60", ""),
            ("192.0.2.60\"", ""),
            ("192.0.2.60:", ""),
            ("192.0.2.60:http", ""),
            ("192.0.2.60:65536", ""),
            ("192.0.2.60:_", ""),
            ("192.0.2.60:1:2", ""),
            ("192.0.2.060", ""),
            ("192.0.2", ""),
            ("192.0.2.60 6.6.6.6", ""),
            ("[192.0.2.60]", ""),
            ("[2001:db8::1", ""),
            ("[2001:db8::1]4711", ""),
            ("[2001:db8::1]:", ""),
            ("2001:db8::1]", ""),
            ("[]", ""),
            ("fe80::1%eth0", ""),
        ] {
            let found = address(node.as_bytes()).map(|ip| ip.to_string());
            assert_eq!(found.unwrap_or_default(), expected, "{node}");
        }
        assert_eq!(address(b"192.0.2.60\xff"), None);
    }

    #[test]
    fn forwarded_has_parameters() {
        for (element, expected) in [
            (r"for=192.0.2.60;proto=http;by=203.0.113.43", "192.0.2.60"),
            (r#"For="[2001:db8:cafe::17]:4711""#, "2001:db8:cafe::17"),
            (r#"BY="[fd00::1]";HOST="a.example:80";FOR=192.0.2.60"#, "192.0.2.60"),
            (r"proto=https; for=192.0.2.60 ;", "192.0.2.60"),
            (r"for = 192.0.2.60", "192.0.2.60"),
            // Separators in quoted strings separate nothing.
            (r#"for=192.0.2.60;ext="a,for=6.6.6.6;for=6.6.6.6""#, "192.0.2.60"),
            (r#"ext="a\",for=6.6.6.6\\";for=192.0.2.60"#, "192.0.2.60"),
            (r#"ext="\\";for=192.0.2.60"#, "192.0.2.60"),
            (r#"ext="\"\"";for=192.0.2.60"#, "192.0.2.60"),
            // Nothing in them is the caller.
            ("proto=https", "10.0.0.1"),
            ("by=192.0.2.60", "10.0.0.1"),
            ("xfor=192.0.2.60", "10.0.0.1"),
            ("for", "10.0.0.1"),
            ("for=", "10.0.0.1"),
            ("192.0.2.60", "10.0.0.1"),
            ("for=192.0.2.60;for=192.0.2.61", "10.0.0.1"),
            (r#"for="_gazonk""#, "10.0.0.1"),
        ] {
            assert_eq!(behind_proxy(&[(FORWARDED, element.as_bytes())]), expected, "{element}");
        }
    }

    #[test]
    fn both_headers_have_to_agree() {
        for (forwarded, x_forwarded_for, expected) in [
            ("for=203.0.113.7", "203.0.113.7", "203.0.113.7"),
            ("for=203.0.113.7;proto=https, for=10.0.0.2", "6.6.6.6, 203.0.113.7", "203.0.113.7"),
            // One of the two may be what the client has sent.
            ("for=6.6.6.6", "203.0.113.7", "10.0.0.1"),
            ("for=203.0.113.7", "6.6.6.6", "10.0.0.1"),
            ("unknown", "203.0.113.7", "10.0.0.1"),
            // Empty is as good as absent.
            ("", "203.0.113.7", "203.0.113.7"),
            ("for=203.0.113.7", " ", "203.0.113.7"),
        ] {
            let lines: [(&str, &[u8]); 2] =
                [(FORWARDED, forwarded.as_bytes()), (X_FORWARDED_FOR, x_forwarded_for.as_bytes())];
            assert_eq!(behind_proxy(&lines), expected, "{forwarded} and {x_forwarded_for}");
        }
    }

    #[test]
    fn other_headers_say_nothing() {
        for name in ["x-real-ip", "x-client-ip", "true-client-ip", "cf-connecting-ip", "x-forwarded", "via"] {
            assert_eq!(behind_proxy(&[(name, b"6.6.6.6")]), "10.0.0.1", "{name}");
        }
    }

    #[test]
    fn long_lists_are_not_followed_to_their_end() {
        for (proxies, expected) in [(MAX_HOPS - 1, "203.0.113.7"), (MAX_HOPS, "10.0.0.2"), (100_000, "10.0.0.2")] {
            let list = format!("203.0.113.7{}", ",10.0.0.2".repeat(proxies));
            assert_eq!(behind_proxy(&[(X_FORWARDED_FOR, list.as_bytes())]), expected, "{proxies} proxies");
        }
    }

    #[test]
    fn without_trusted_proxies_it_is_the_peer() {
        let peer = "198.51.100.1".parse().unwrap();
        for text in texts(PIECES, 3) {
            let headers = headers(&[(FORWARDED, &text), (X_FORWARDED_FOR, &text)]);
            for trusted in [TrustedProxies::default(), TrustedProxies::from_iter(["10.0.0.0/8".parse().unwrap()])] {
                assert_eq!(client_ip(&headers, Some(peer), &trusted), Some(peer), "{}", text.escape_ascii());
                assert_eq!(client_ip(&headers, None, &trusted), None, "{}", text.escape_ascii());
            }
        }
    }

    #[test]
    fn clients_can_not_choose_their_address() {
        for text in texts(PIECES, 4) {
            let shown = text.escape_ascii();
            for proxied in [&b"for=203.0.113.7"[..], b"for=\"203.0.113.7:80\";by=\"_a,b;c\\\"\", for=10.0.0.2"] {
                // As one line, or as two.
                let list = [&text, &b", "[..], proxied].concat();
                assert_eq!(behind_proxy(&[(FORWARDED, &list)]), "203.0.113.7", "{shown}");
                assert_eq!(behind_proxy(&[(FORWARDED, &text), (FORWARDED, proxied)]), "203.0.113.7", "{shown}");
            }
            let list = [&text, &b", 203.0.113.7, 10.0.0.2"[..]].concat();
            assert_eq!(behind_proxy(&[(X_FORWARDED_FOR, &list)]), "203.0.113.7", "{shown}");
            // With a proxy that leaves the other header as it came.
            let found = behind_proxy(&[(FORWARDED, &text), (X_FORWARDED_FOR, b"203.0.113.7")]);
            assert!(["203.0.113.7", "10.0.0.1"].contains(&found.as_str()), "{shown}: {found}");
        }
    }
}
