use std::time::Duration;

use http::StatusCode;
use metrics::{Counter, Histogram, Unit, counter, describe_counter, describe_histogram, histogram};

use crate::endpoint::ROUTES;

/// Handles of the metrics of each route, in the order of [`ROUTES`].
#[derive(Debug)]
pub(crate) struct Meters {
    routes: Vec<RouteMeters>,
    other: [Counter; 4],
}

#[derive(Debug)]
struct RouteMeters {
    /// By the first digit of the status, from 2.
    requests: [Counter; 4],
    duration: Histogram,
}

impl Meters {
    pub(crate) fn new() -> Self {
        describe_counter!("tracking_http_requests_total", "Requests that were answered, by class of the status.");
        describe_histogram!(
            "tracking_http_request_duration_seconds",
            Unit::Seconds,
            "Time from a request's last byte to its answer."
        );
        let of_route = |name: &'static str| RouteMeters {
            requests: requests(name),
            duration: histogram!("tracking_http_request_duration_seconds", "endpoint" => name),
        };
        Self { routes: ROUTES.iter().map(|route| of_route(route.name)).collect(), other: requests("other") }
    }

    /// Counts a request that no route takes.
    pub(crate) fn count_other(&self, status: StatusCode) {
        self.other[class(status)].increment(1);
    }

    pub(crate) fn count(&self, route: usize, status: StatusCode, duration: Duration) {
        let meters = &self.routes[route];
        meters.requests[class(status)].increment(1);
        meters.duration.record(duration);
    }
}

fn requests(endpoint: &'static str) -> [Counter; 4] {
    ["2xx", "3xx", "4xx", "5xx"]
        .map(|status| counter!("tracking_http_requests_total", "endpoint" => endpoint, "status" => status))
}

/// The place of a status among these four.
fn class(status: StatusCode) -> usize {
    usize::from(status.as_u16() / 100).clamp(2, 5) - 2
}
