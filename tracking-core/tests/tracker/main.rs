//! The tracker, on the store in memory, with a clock that is set by hand.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that can't go on has failed")]

mod admin;
mod clicks;
mod events;
mod explain;
mod imports;
mod links;
mod log;
mod minted_ids;
mod outage;
mod outcomes;
mod passes;
mod postbacks;
mod privacy;
mod proofs;
mod reports;
mod rules;
mod statuses;
#[path = "../support/mod.rs"]
mod support;
mod visitors;

use std::sync::Arc;

use storage_memory::MemoryStore;
use tracking_core::{
    AffiliateId, CampaignId, CampaignRequest, Click, ClickRequest, Conversion, ConversionRequest, ManualClock, Outcome,
    Parameters, PostbackAuth, PostbackCall, PostbackKey, Secret, Store, Timestamp, Tracker, TrackerOptions,
};

const NOON: &str = "2024-05-01T12:00:00.123Z";

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// The secret of all trackers here, so that one knows the ids of another.
fn secret() -> Secret {
    Secret::new("0123456789abcdef0123456789abcdef").unwrap()
}

fn tracker(store: impl Store, clock: &Arc<ManualClock>) -> Tracker {
    Tracker::with_options(store, secret(), TrackerOptions::default().clock(Arc::clone(clock)))
}

/// A tracker with one affiliate, one open campaign and one that has a postback key.
struct World {
    tracker: Arc<Tracker>,
    clock: Arc<ManualClock>,
    affiliate: AffiliateId,
    open: CampaignId,
    keyed: CampaignId,
    key: PostbackKey,
}

impl World {
    async fn new() -> Self {
        let clock = Arc::new(ManualClock::new(time(NOON)));
        let tracker = tracker(MemoryStore::new(), &clock);
        let affiliate = tracker.create_affiliate("Ada's reviews".parse().unwrap()).await.unwrap().id;
        let campaign = CampaignRequest::new("Shop".parse().unwrap(), "https://shop.example/".parse().unwrap());
        let open = tracker.create_campaign(campaign.clone().postback_auth(PostbackAuth::Open)).await.unwrap();
        let keyed = tracker.create_campaign(campaign).await.unwrap();
        Self {
            tracker: Arc::new(tracker),
            clock,
            affiliate,
            open: open.campaign.id,
            keyed: keyed.campaign.id,
            key: keyed.postback_key.unwrap(),
        }
    }

    async fn another_open_campaign(&self) -> CampaignId {
        let campaign = CampaignRequest::new("Bank".parse().unwrap(), "https://bank.example/".parse().unwrap());
        self.tracker.create_campaign(campaign.postback_auth(PostbackAuth::Open)).await.unwrap().campaign.id
    }

    async fn click(&self, campaign: CampaignId, click_id: &str) -> Click {
        let request = ClickRequest::new(self.affiliate, campaign).click_id(click_id.parse().unwrap());
        self.tracker.record_click(request).await.unwrap().into_record()
    }

    /// A postback of 100 USD, with these parameters instead of, or besides, the usual ones.
    async fn postback(&self, changes: &[(&str, &str)]) -> Outcome {
        self.postback_with(changes, None).await
    }

    async fn postback_with(&self, changes: &[(&str, &str)], bearer: Option<&str>) -> Outcome {
        let affiliate = self.affiliate.to_string();
        let usual = [("affiliate_id", &*affiliate), ("click_id", "abc123"), ("amount", "100"), ("currency", "USD")];
        let kept = usual.into_iter().filter(|(name, _)| changes.iter().all(|(changed, _)| name != changed));
        let parameters: Parameters<'_> = kept.chain(changes.iter().copied()).collect();
        let call = PostbackCall::new(parameters);
        self.tracker.postback(&bearer.into_iter().fold(call, PostbackCall::bearer)).await.unwrap()
    }

    fn sale(&self, click_id: &str) -> ConversionRequest {
        let (amount, currency) = ("100".parse().unwrap(), "USD".parse().unwrap());
        ConversionRequest::new(self.affiliate, click_id.parse().unwrap(), amount, currency)
    }

    async fn conversions(&self) -> u64 {
        self.tracker.summary(self.affiliate).await.unwrap().conversions()
    }
}

fn accepted(outcome: Outcome) -> Conversion {
    match outcome {
        Outcome::Accepted(conversion) => conversion,
        other => panic!("not accepted: {other:?}"),
    }
}

fn duplicate(outcome: Outcome) -> Conversion {
    match outcome {
        Outcome::Duplicate(conversion) => conversion,
        other => panic!("not a duplicate: {other:?}"),
    }
}
