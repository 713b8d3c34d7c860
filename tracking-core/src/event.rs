//! What happened, for whoever wants to hear of it.

use std::sync::OnceLock;

use tokio::sync::broadcast;

use crate::{Affiliate, Campaign, Click, Conversion, ConversionStatus};

/// Something new that a [`Tracker`](crate::Tracker) recorded. Duplicates and refusals are no events.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A click was recorded.
    ClickRecorded(Click),
    /// A conversion was recorded.
    ConversionAccepted(Conversion),
    /// A conversion got another status.
    StatusChanged {
        /// The conversion as it is now.
        conversion: Conversion,
        /// The status that it had.
        from: ConversionStatus,
    },
    /// An affiliate was created.
    AffiliateCreated(Affiliate),
    /// An affiliate was changed, and is so now.
    AffiliateUpdated(Affiliate),
    /// A campaign was created.
    CampaignCreated(Campaign),
    /// A campaign was changed, and is so now.
    CampaignUpdated(Campaign),
}

/// The events of a tracker from the moment of [subscription](crate::Tracker::subscribe) on.
///
/// A listener reads at its own pace, in its own task; a slow or broken one neither delays nor disturbs tracking. One
/// that falls behind by more than [`CAPACITY`](Self::CAPACITY) events is told how many it has missed: take events as a
/// hint to look, and the store as the truth.
#[derive(Debug)]
pub struct Events(broadcast::Receiver<Event>);

/// What a listener gets next.
#[allow(clippy::large_enum_variant, reason = "nearly all are events")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Received {
    /// The next event.
    Event(Event),
    /// The listener was too slow for this many events, which are gone.
    Missed(u64),
}

impl Events {
    /// How many events are kept for a listener that is behind.
    pub const CAPACITY: usize = 4096;

    /// Waits for the next event; `None` when the tracker is gone. Cancel safe.
    pub async fn next(&mut self) -> Option<Received> {
        match self.0.recv().await {
            Ok(event) => Some(Received::Event(event)),
            Err(broadcast::error::RecvError::Lagged(missed)) => Some(Received::Missed(missed)),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }
}

/// Hands events to the listeners. While nobody has ever subscribed it costs one atomic load.
#[derive(Debug, Default)]
pub(crate) struct Broadcaster(OnceLock<broadcast::Sender<Event>>);

impl Broadcaster {
    pub(crate) fn subscribe(&self) -> Events {
        Events(self.0.get_or_init(|| broadcast::Sender::new(Events::CAPACITY)).subscribe())
    }

    pub(crate) fn send(&self, event: impl FnOnce() -> Event) {
        if let Some(sender) = self.0.get() {
            // The error says that every listener has gone, which is their right.
            let _ = sender.send(event());
        }
    }
}
