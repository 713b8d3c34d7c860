//! Metrics in the format of Prometheus.

use std::convert::Infallible;
use std::time::Duration;

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

/// In seconds. Most answers take less than a millisecond; what takes seconds is a store that can't be reached.
const DURATION_BUCKETS: [f64; 14] =
    [0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 2.5, 10.0];

/// What has been measured so far.
#[derive(Clone)]
pub(crate) struct Metrics(PrometheusHandle);

impl Metrics {
    /// Collects whatever the process measures from now on.
    pub(crate) fn install() -> Result<Self, BuildError> {
        let duration = Matcher::Full("tracking_http_request_duration_seconds".to_owned());
        let builder = PrometheusBuilder::new().set_buckets_for_metric(duration, &DURATION_BUCKETS)?;
        builder.install_recorder().map(Self)
    }

    pub(crate) fn render(&self) -> String {
        self.0.render()
    }

    /// Sorts durations into their buckets from time to time. They would pile up until somebody asks for the metrics,
    /// who may never come.
    pub(crate) async fn keep_up(&self) -> Infallible {
        let mut ticks = tokio::time::interval(Duration::from_secs(5));
        loop {
            ticks.tick().await;
            self.0.run_upkeep();
        }
    }
}
