//! Calls of the postback route: what they bring along, in whichever form.

use std::borrow::Cow;
use std::net::IpAddr;

use bytes::Bytes;
use http::Method;
use http::header::AUTHORIZATION;
use http::request::Parts;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use tracking_core::{Parameters, PostbackCall, PostbackMethod, Unreadable, WebhookHeaders};

use crate::body::{FORM, JSON, media_type};
use crate::guard::bearer;
use crate::{Api, BodyError, query};

/// A parameter of a postback, for whoever describes them.
pub(crate) struct Described {
    pub(crate) name: &'static str,
    pub(crate) description: &'static str,
    /// All of them together are a postback that is taken.
    pub(crate) example: Option<&'static str>,
}

const fn described(name: &'static str, example: Option<&'static str>, description: &'static str) -> Described {
    Described { name, description, example }
}

/// All parameters that a postback is asked for.
pub(crate) static PARAMETERS: [Described; 17] = [
    described(
        "click_id",
        Some("abc123"),
        "The click that brought the buyer: what stood in the place of {click_id} in the destination.",
    ),
    described("affiliate_id", Some("1"), "Whose click it was. May be left out if the click_id was given out here."),
    described("campaign_id", None, "If left out, that of the latest click with this id."),
    described(
        "amount",
        Some("99.95"),
        "A decimal from 0, with up to 12 and 6 digits. May be left out if the campaign knows it.",
    ),
    described("currency", Some("USD"), "ISO 4217. May be left out if the campaign has one."),
    described("event", Some("sale"), "What happened; `conversion` if left out."),
    described(
        "transaction_id",
        Some("order-1001"),
        "Your number of it. Without one, one conversion per click and event.",
    ),
    described(
        "status",
        Some("approved"),
        "`pending`, `approved` or `rejected`: of a new conversion, or the one that a recorded conversion is to get.",
    ),
    described("timestamp", None, "When it happened: RFC 3339, or seconds or milliseconds since 1970; now if left out."),
    described("sub1", Some("store-7"), SUB_ID),
    described("sub2", Some("new"), SUB_ID),
    described("sub3", Some("web"), SUB_ID),
    described("sub4", Some("red"), SUB_ID),
    described("sub5", Some("42"), SUB_ID),
    described("token", None, "The campaign's postback key, if it is not sent as a bearer token."),
    described(
        "signature",
        None,
        "HMAC-SHA256 over all other parameters in their canonical form, in hexadecimal digits.",
    ),
    described("signed_at", None, "When it was signed, in seconds since 1970."),
];

/// The columns that a file of conversions may have: all of these but the credentials, which nobody asks an import for.
pub(crate) static IMPORTED: [&str; 14] = [
    "click_id",
    "affiliate_id",
    "campaign_id",
    "amount",
    "currency",
    "event",
    "transaction_id",
    "status",
    "timestamp",
    "sub1",
    "sub2",
    "sub3",
    "sub4",
    "sub5",
];

const SUB_ID: &str = "A mark of your own: 1 to 255 characters.";

/// A call as it came in, and why it can't be read, if it can't: then it holds what can be told of it, for the log.
pub(crate) struct Received<'a> {
    pub(crate) call: PostbackCall<'a>,
    pub(crate) problem: Option<Unreadable>,
}

/// Reads a call. The parameters of a `POST` are those of its query and of its body, together.
///
/// Where the body is signed, only the body counts: a query could be changed by whoever passes the call on.
pub(crate) fn read<'a>(request: &'a Parts, body: &'a Result<Bytes, BodyError>, source: Option<IpAddr>) -> Received<'a> {
    let is_post = request.method == Method::POST;
    let (mut parameters, mut problem) = read_query(request.uri.query());
    let mut webhook = None;
    if is_post {
        let (in_body, unreadable) = read_body(request, body);
        webhook = webhook_headers(request).zip(body.as_deref().ok());
        if webhook.is_some() && problem.is_none() && unreadable.is_none() {
            problem = parameters.iter().find_map(|(name, _)| known(name)).map(Unreadable::UnsignedParameter);
            parameters = in_body;
        } else {
            parameters = parameters.and(in_body);
        }
        problem = problem.or(unreadable);
    }
    let mut call = PostbackCall::new(parameters);
    if is_post {
        call = call.method(PostbackMethod::Post);
    }
    let authorization = request.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    call.bearer = authorization.and_then(bearer);
    call.webhook = webhook;
    call.source = source;
    Received { call, problem }
}

/// The name of a parameter that a postback is asked for.
fn known(name: &str) -> Option<&'static str> {
    PARAMETERS.iter().map(|parameter| parameter.name).find(|known| *known == name)
}

fn read_query(query: Option<&str>) -> (Parameters<'_>, Option<Unreadable>) {
    if query.is_some_and(|query| query.len() > Api::MAX_QUERY_LEN) {
        return (query::parse_link(query).0, Some(Unreadable::QueryTooLong { max: Api::MAX_QUERY_LEN }));
    }
    match query::parse(query) {
        Ok(parameters) => (parameters, None),
        Err(_) => (query::parse_link(query).0, Some(Unreadable::MalformedQuery)),
    }
}

/// A body that is empty has no parameters, whatever its type.
fn read_body<'a>(request: &Parts, body: &'a Result<Bytes, BodyError>) -> (Parameters<'a>, Option<Unreadable>) {
    let nothing = |problem| (Parameters::default(), Some(problem));
    let body = match body {
        Ok(body) if body.is_empty() => return (Parameters::default(), None),
        Ok(body) => body,
        Err(BodyError::TooLarge) => return nothing(Unreadable::BodyTooLarge { max: Api::MAX_BODY_LEN }),
        Err(BodyError::Incomplete) => return nothing(Unreadable::BodyIncomplete),
    };
    let media_type = media_type(request);
    if media_type.eq_ignore_ascii_case(FORM) {
        let no_form = || Unreadable::InvalidBody("percent-encode each parameter as UTF-8, and a % as %25".to_owned());
        let Ok(form) = std::str::from_utf8(body) else { return nothing(no_form()) };
        match query::parse(Some(form)) {
            Ok(parameters) => (parameters, None),
            Err(_) => (query::parse_link(Some(form)).0, Some(no_form())),
        }
    } else if media_type.eq_ignore_ascii_case(JSON) {
        match read_json(body) {
            Ok(parameters) => (parameters, None),
            Err(problem) => nothing(Unreadable::InvalidBody(problem)),
        }
    } else {
        nothing(Unreadable::UnsupportedMediaType)
    }
}

/// The headers by which a body is signed: all three, or none.
fn webhook_headers(request: &Parts) -> Option<WebhookHeaders<'_>> {
    let header = |name: &str| request.headers.get(name)?.to_str().ok();
    Some(WebhookHeaders {
        id: header("webhook-id")?,
        timestamp: header("webhook-timestamp")?,
        signature: header("webhook-signature")?,
    })
}

/// An object of texts, numbers, true, false and null, which is as if it was left out. The error says what is wrong, and
/// never repeats a value, which may be secret.
fn read_json(body: &[u8]) -> Result<Parameters<'_>, String> {
    if !body.trim_ascii_start().starts_with(b"{") {
        return Err("it is no JSON object".to_owned());
    }
    let Pairs(pairs) = serde_json::from_slice(body)
        .map_err(|error| format!("it is no JSON, as line {}, column {} shows", error.line(), error.column()))?;
    let mut names: Vec<&str> = pairs.iter().map(|(name, _)| &**name).collect();
    names.sort_unstable();
    if let Some(repeated) = names.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(format!("{} is given more than once", shown(repeated[0])));
    }
    let read = |(name, value): (String, _)| match plain(value) {
        Ok(value) => value.map(|value| Ok((name, value))),
        Err(problem) => Some(Err(format!("{} {problem}", shown(&name)))),
    };
    pairs.into_iter().filter_map(read).collect()
}

/// The names of an object with their values, in the order in which they came, repeated ones too.
struct Pairs<'a>(Vec<(String, &'a RawValue)>);

impl<'de> serde::Deserialize<'de> for Pairs<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Pairs<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs<'de>, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }

        deserializer.deserialize_map(Object)
    }
}

/// A value as the text that it would be in a query; `None` for null.
pub(crate) fn plain(value: &RawValue) -> Result<Option<Cow<'_, str>>, &'static str> {
    let text = value.get();
    match text.as_bytes().first() {
        Some(b'{' | b'[') => Err("has a nested value: each is a text, a number, true, false or null"),
        Some(b'n') => Ok(None),
        Some(b't' | b'f') => Ok(Some(text.into())),
        Some(b'"') if !text.contains('\\') => Ok(Some(text[1..text.len() - 1].into())),
        Some(b'"') => {
            let unescaped = serde_json::from_str::<String>(text).map_err(|_| "is no text of Unicode")?;
            Ok(Some(unescaped.into()))
        }
        _ => Ok(Some(number(text))),
    }
}

/// The greatest exponent that is written out. No number that means something here has so many digits.
const MAX_EXPONENT: u32 = 40;

/// A number of JSON without an exponent, exactly: `1.50E1` is `15`. One without an exponent stays as it is, and so does
/// one that would be too long.
fn number(text: &str) -> Cow<'_, str> {
    let Some((mantissa, exponent)) = text.split_once(['e', 'E']) else { return text.into() };
    let exponent: i32 = match exponent.parse() {
        Ok(exponent) if i32::unsigned_abs(exponent) <= MAX_EXPONENT => exponent,
        _ => return text.into(),
    };
    let (sign, mantissa) = mantissa.strip_prefix('-').map_or(("", mantissa), |digits| ("-", digits));
    let (integer, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    // With as many zeros on both sides as the point can move by.
    let zeros = "0".repeat(exponent.unsigned_abs() as usize);
    let digits = [&zeros, integer, fraction, &zeros].concat();
    let point = zeros.len() + integer.len();
    let point = point.checked_add_signed(exponent as isize).unwrap_or_default();
    let (integer, fraction) = digits.split_at(point);
    let (integer, fraction) = (integer.trim_start_matches('0'), fraction.trim_end_matches('0'));
    let integer = if integer.is_empty() { "0" } else { integer };
    if fraction.is_empty() { format!("{sign}{integer}").into() } else { format!("{sign}{integer}.{fraction}").into() }
}

/// A name as it may stand in an answer and in the log: short, and nothing that was pasted by mistake.
pub(crate) fn shown(name: &str) -> &str {
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.[]".contains(&byte);
    let is_secret = ["pbk_", "whsec_"].iter().any(|prefix| name.contains(prefix));
    if (1..=40).contains(&name.len()) && name.bytes().all(is_name) && !is_secret { name } else { "a name" }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]
mod tests {
    use proptest::prelude::*;
    use tracking_core::rust_decimal::Decimal;

    use super::*;

    fn pairs(json: &str) -> Result<Vec<(String, String)>, String> {
        let parameters = read_json(json.as_bytes())?;
        Ok(parameters.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }

    #[test]
    fn imports_have_all_but_credentials() {
        let names = PARAMETERS.iter().map(|parameter| parameter.name);
        let names: Vec<&str> = names.filter(|name| !["token", "signature", "signed_at"].contains(name)).collect();
        assert_eq!(names, IMPORTED);
    }

    #[test]
    fn json_is_read_as_a_query_is() {
        let json =
            r#" {"a": "x", "b": 1.50, "c": true, "d": null, "": "e", "f\u0067": "\u00e4\n\ud83d\ude00", "h": ""} "#;
        let expected = [("a", "x"), ("b", "1.50"), ("c", "true"), ("", "e"), ("fg", "ä\n😀"), ("h", "")];
        assert_eq!(pairs(json), Ok(expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into()));
    }

    #[test]
    fn json_that_is_no_form_is_refused_by_name() {
        for (json, expected) in [
            ("", "it is no JSON object"),
            ("[]", "it is no JSON object"),
            (r#""pbk_secret""#, "it is no JSON object"),
            ("{", "it is no JSON, as line 1, column 1 shows"),
            ("{\"a\": \n01}", "it is no JSON, as line 2, column 2 shows"),
            (r#"{"a": 1} {}"#, "it is no JSON, as line 1, column 10 shows"),
            (r#"{"a": NaN}"#, "it is no JSON, as line 1, column 7 shows"),
            (r#"{"a": {}}"#, "a has a nested value: each is a text, a number, true, false or null"),
            (r#"{"a": 1, "b": [2]}"#, "b has a nested value: each is a text, a number, true, false or null"),
            (r#"{"pbk_secret": []}"#, "a name has a nested value: each is a text, a number, true, false or null"),
            (r#"{"a": 1, "b": 2, "a": 1}"#, "a is given more than once"),
            (r#"{"a": null, "\u0061": 1}"#, "a is given more than once"),
            (r#"{"a": "\ud800"}"#, "a is no text of Unicode"),
        ] {
            assert_eq!(pairs(json), Err(expected.to_owned()), "{json}");
        }
        assert!(read_json(b"{\"a\": \"\xff\"}").is_err());
        // As deep as a body can be.
        let deep = format!("{{\"a\":{}", "[".repeat(Api::MAX_BODY_LEN - 5));
        assert!(read_json(deep.as_bytes()).is_err());
    }

    #[test]
    fn numbers_are_written_out_exactly() {
        for (text, expected) in [
            ("100", "100"),
            ("1.50", "1.50"),
            ("-0", "-0"),
            ("0.1000", "0.1000"),
            ("1e2", "100"),
            ("1.50E1", "15"),
            ("1.50E+1", "15"),
            ("9995e-2", "99.95"),
            ("1e-6", "0.000001"),
            ("0e9", "0"),
            ("0.00e-3", "0"),
            ("-1.5e1", "-15"),
            ("123.456e0", "123.456"),
            ("999999999999999999e-6", "999999999999.999999"),
            ("1e40", "10000000000000000000000000000000000000000"),
            ("1e41", "1e41"),
            ("1e99999999999", "1e99999999999"),
            ("1e-99999999999", "1e-99999999999"),
        ] {
            assert_eq!(number(text), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn numbers_keep_their_value(digits in 0..1_000_000_000_000_000_000i128, scale in 0..18u32, exponent in -9..9i32) {
            let mantissa = Decimal::from_i128_with_scale(digits, scale);
            let written = number(&format!("{mantissa}e{exponent}")).parse::<Decimal>().unwrap();
            let ten = |power: i32| Decimal::from(10i64.pow(power.unsigned_abs()));
            let expected = if exponent < 0 { mantissa / ten(exponent) } else { mantissa * ten(exponent) };
            prop_assert_eq!(written, expected);
        }
    }
}
