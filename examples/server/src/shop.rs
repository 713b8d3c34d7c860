//! A page that plays the advertiser: visitors of the sample campaign end up here.

use std::borrow::Cow;
use std::str::FromStr;

use askama::Template;
use bytes::Bytes;
use http::header::{CONTENT_SECURITY_POLICY, REFERRER_POLICY};
use http::{Response, StatusCode};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use tracking_core::{AffiliateId, ClickId, PostbackCall, Tracker};

use crate::sample::AFFILIATE;
use crate::site::{answer, with};

pub(crate) const PATH: &str = "/demo/shop";
pub(crate) const STYLE_PATH: &str = "/demo/shop.css";
pub(crate) const ORDER_PATH: &str = "/demo/order";

/// What everything costs.
const PRICE: (&str, &str) = ("100", "USD");

/// The page, as a visitor gets it who came with this query.
pub(crate) fn page(base_url: &str, query: &str) -> Response<Bytes> {
    let visit = Visit::of(query).map(|visit| (format!("curl '{base_url}/postback?{}'", visit.postback()), visit));
    let page = ShopPage { visit: visit.as_ref().map(|(postback, visit)| (visit, postback.as_str())) };
    html(StatusCode::OK, page.render())
}

/// Takes an order, and reports it as the advertiser's server would.
pub(crate) async fn order(tracker: &Tracker, query: &str) -> Response<Bytes> {
    let visit = Visit::of(query);
    let (status, outcome) = match &visit {
        Some(visit) => {
            let (affiliate, (amount, currency)) = (visit.affiliate_id.to_string(), PRICE);
            let parameters = [
                ("affiliate_id", affiliate.as_str()),
                ("click_id", visit.click_id.as_str()),
                ("amount", amount),
                ("currency", currency),
            ];
            let call = PostbackCall::new(parameters.into_iter().collect());
            match tracker.postback(&call).await {
                Ok(outcome) => (StatusCode::OK, outcome.summary()),
                Err(error) => {
                    tracing::warn!(%error, "the sample shop could not report its order");
                    (StatusCode::SERVICE_UNAVAILABLE, "The order could not be reported. Try again.".to_owned())
                }
            }
        }
        None => (StatusCode::BAD_REQUEST, "Nobody sent this visitor, so there is nothing to report.".to_owned()),
    };
    html(status, OrderPage { visit: visit.as_ref(), outcome: &outcome }.render())
}

fn html(status: StatusCode, html: Result<String, askama::Error>) -> Response<Bytes> {
    let Ok(html) = html else {
        // Rendering fails only where a value's own Display does, and none of these can.
        return answer(StatusCode::INTERNAL_SERVER_ERROR, "text/plain", "");
    };
    let policy = "default-src 'none'; style-src 'self'; img-src data:; base-uri 'none'; form-action 'self'; \
                  frame-ancestors 'none'";
    let response = answer(status, "text/html; charset=utf-8", html);
    with(with(response, CONTENT_SECURITY_POLICY, policy), REFERRER_POLICY, "no-referrer")
}

pub(crate) fn style() -> Response<Bytes> {
    answer(StatusCode::OK, "text/css; charset=utf-8", include_str!("../assets/shop.css"))
}

#[derive(Debug, Template)]
#[template(path = "shop.html", whitespace = "minimize")]
struct ShopPage<'a> {
    /// The visit, and the postback for an order in it.
    visit: Option<(&'a Visit, &'a str)>,
}

#[derive(Debug, Template)]
#[template(path = "order.html", whitespace = "minimize")]
struct OrderPage<'a> {
    visit: Option<&'a Visit>,
    outcome: &'a str,
}

/// What a visitor brought along.
#[derive(Debug)]
struct Visit {
    click_id: ClickId,
    affiliate_id: AffiliateId,
}

impl Visit {
    fn of(query: &str) -> Option<Self> {
        let click_id = parameter(query, "click_id")?;
        let affiliate_id = parameter(query, "affiliate_id").or(AffiliateId::new(AFFILIATE).ok())?;
        Some(Self { click_id, affiliate_id })
    }

    fn query(&self) -> String {
        let click_id = utf8_percent_encode(self.click_id.as_str(), NON_ALPHANUMERIC);
        format!("affiliate_id={}&click_id={click_id}", self.affiliate_id)
    }

    fn postback(&self) -> String {
        let (amount, currency) = PRICE;
        format!("{}&amount={amount}&currency={currency}", self.query())
    }
}

fn parameter<T: FromStr>(query: &str, name: &str) -> Option<T> {
    let encoded = query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))?;
    let decoded: Cow<'_, str> = percent_decode_str(encoded).decode_utf8().ok()?;
    decoded.parse().ok()
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
