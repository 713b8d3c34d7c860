//! The counters of metrics, of all trackers of the process.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex};

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};

#[derive(Debug, Default)]
struct Counters(Mutex<HashMap<Key, Arc<AtomicU64>>>);

static COUNTERS: LazyLock<Arc<Counters>> = LazyLock::new(|| {
    let counters = Arc::new(Counters::default());
    metrics::set_global_recorder(Installed(Arc::clone(&counters))).expect("no other recorder");
    counters
});

struct Installed(Arc<Counters>);

impl Recorder for Installed {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        let Installed(counters) = self;
        Counter::from_arc(Arc::clone(counters.0.lock().unwrap().entry(key.clone()).or_default()))
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

/// Counts from now on. Trackers that were made before are not counted.
pub(super) fn install() {
    LazyLock::force(&COUNTERS);
}

/// How many postbacks had this outcome, of all that were sent to any tracker.
pub(super) fn postbacks(outcome: &'static str) -> u64 {
    let key = Key::from_parts("tracking_postbacks_total", &[("outcome", outcome)]);
    COUNTERS.0.lock().unwrap().get(&key).map_or(0, |count| count.load(Ordering::SeqCst))
}
