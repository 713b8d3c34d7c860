use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str};
use thiserror::Error;
use tracking_core::Parameters;

/// What has to be encoded in a value: everything but what
/// [RFC 3986](https://www.rfc-editor.org/rfc/rfc3986#section-2.3) calls unreserved.
pub(crate) const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// The query is not the percent-encoding of UTF-8.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the query is not percent-encoded UTF-8")]
pub(crate) struct MalformedQuery;

/// Reads a query by the rules of HTML forms, but strictly: what can't be decoded is refused instead of replaced.
///
/// What needs no decoding is borrowed.
pub(crate) fn parse(query: Option<&str>) -> Result<Parameters<'_>, MalformedQuery> {
    pairs(query).collect()
}

/// The same for a visitor, who has to get where he wants: what can't be decoded is left out. Returns how many parameters
/// that were, too.
pub(crate) fn parse_link(query: Option<&str>) -> (Parameters<'_>, usize) {
    let mut unreadable = 0;
    let readable = pairs(query).filter_map(|pair| {
        unreadable += usize::from(pair.is_err());
        pair.ok()
    });
    (readable.collect(), unreadable)
}

fn pairs(query: Option<&str>) -> impl Iterator<Item = Result<(Cow<'_, str>, Cow<'_, str>), MalformedQuery>> {
    query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        Ok((decode(name)?, decode(value)?))
    })
}

fn decode(text: &str) -> Result<Cow<'_, str>, MalformedQuery> {
    if !text.bytes().any(|byte| matches!(byte, b'%' | b'+')) {
        return Ok(Cow::Borrowed(text));
    }
    let is_escape = |rest: &str| rest.bytes().take(2).filter(u8::is_ascii_hexdigit).count() == 2;
    if !text.split('%').skip(1).all(is_escape) {
        return Err(MalformedQuery);
    }
    let spaced = text.replace('+', " ");
    let decoded = percent_decode_str(&spaced).decode_utf8().map_err(|_| MalformedQuery)?;
    Ok(Cow::Owned(decoded.into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes_strictly() {
        let parsed = parse(Some("a=%C3%A4+b%2B&&flag&c=1=2")).unwrap();
        assert_eq!(parsed.text("a"), Ok(Some("ä b+")));
        assert_eq!(parsed.text("flag"), Ok(Some("")));
        assert_eq!(parsed.text("c"), Ok(Some("1=2")));
        assert_eq!(parse(None), Ok(Parameters::default()));
        for query in ["a=%", "a=%4", "a=%zz", "a=%FF", "%=1", "a=%+1", "a=%C3"] {
            assert_eq!(parse(Some(query)), Err(MalformedQuery), "{query}");
            assert_eq!(parse_link(Some(query)), (Parameters::default(), 1), "{query}");
        }
        let (parsed, unreadable) = parse_link(Some("a=%&b=2"));
        assert_eq!((parsed.text("b"), unreadable), (Ok(Some("2")), 1));
    }
}
