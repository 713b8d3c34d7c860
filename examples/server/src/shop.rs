//! A page that plays the advertiser: visitors of the sample campaign end up here.

use std::borrow::Cow;

use askama::Template;
use bytes::Bytes;
use http::header::{CONTENT_SECURITY_POLICY, REFERRER_POLICY};
use http::{Response, StatusCode};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use tracking_core::ClickId;

use crate::sample::AFFILIATE;
use crate::site::{answer, with};

pub(crate) const PATH: &str = "/demo/shop";
pub(crate) const STYLE_PATH: &str = "/demo/shop.css";

/// The page, as a visitor gets it who came with this query.
pub(crate) fn page(base_url: &str, query: &str) -> Response<Bytes> {
    let click_id = click_id(query);
    let postback = click_id.as_ref().map(|id| {
        let id = utf8_percent_encode(id.as_str(), NON_ALPHANUMERIC);
        format!("curl '{base_url}/postback?affiliate_id={AFFILIATE}&click_id={id}&amount=100&currency=USD'")
    });
    let page = ShopPage { visit: click_id.as_ref().zip(postback.as_deref()) };
    let Ok(html) = page.render() else {
        // Rendering fails only where a value's own Display does, and none of these can.
        return answer(StatusCode::INTERNAL_SERVER_ERROR, "text/plain", "");
    };
    let policy = "default-src 'none'; style-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; \
                  frame-ancestors 'none'";
    let response = answer(StatusCode::OK, "text/html; charset=utf-8", html);
    with(with(response, CONTENT_SECURITY_POLICY, policy), REFERRER_POLICY, "no-referrer")
}

pub(crate) fn style() -> Response<Bytes> {
    answer(StatusCode::OK, "text/css; charset=utf-8", include_str!("../assets/shop.css"))
}

#[derive(Debug, Template)]
#[template(path = "shop.html", whitespace = "minimize")]
struct ShopPage<'a> {
    /// The click id that the visitor brought, and the postback for it.
    visit: Option<(&'a ClickId, &'a str)>,
}

fn click_id(query: &str) -> Option<ClickId> {
    let encoded = query.split('&').find_map(|parameter| parameter.strip_prefix("click_id="))?;
    let decoded: Cow<'_, str> = percent_decode_str(encoded).decode_utf8().ok()?;
    ClickId::new(&decoded).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn html(query: &str) -> String {
        String::from_utf8(page("http://127.0.0.1:3001", query).into_body().into()).unwrap()
    }

    #[test]
    fn shows_the_click_id_and_its_postback() {
        let html = html("click_id=abc123");
        assert!(html.contains(">abc123<"), "{html}");
        assert!(html.contains("/postback?affiliate_id=1&#38;click_id=abc123&#38;amount=100"), "{html}");
    }

    #[test]
    fn a_click_id_can_leave_neither_its_element_nor_the_quotes_of_the_command() {
        let html = html("click_id=%3Cscript%3E%27%22%26");
        assert!(!html.contains("<script"), "{html}");
        assert!(html.contains("click_id=%3Cscript%3E%27%22%26&#38;amount"), "{html}");
    }

    #[test]
    fn without_a_click_id_that_can_be_one_it_explains_itself() {
        for query in ["", "click_id=", "click_id=%FF", "click_id=a%20b", "other=1"] {
            assert!(html(query).contains("no click id"), "{query}");
        }
    }
}
