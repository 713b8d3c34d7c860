use std::net::SocketAddr;
use std::sync::Arc;

use http::{Method, Request};
use tracking_core::{
    AffiliateId, CampaignId, CampaignRules, KeyKind, ManualClock, NewAffiliate, NewCampaign, PostbackAccess,
    PostbackKey, PostbackKeyRecord, Secret, Secrets, Store, Timestamp, Tracker, TrackerOptions,
};

use super::client::{Client, Reply};
use super::{App, Serve};
use crate::Api;
use crate::guard::{self, Guard};

/// Runs one case.
pub fn run<F, Served, C, Ran>(serve: F, store: fn() -> Box<dyn Store>, case: C)
where
    F: Fn(App) -> Served + Send + Sync + 'static,
    Served: Future<Output = SocketAddr> + Send + 'static,
    C: FnOnce(Site) -> Ran,
    Ran: Future<Output = ()>,
{
    let serve: Serve = Box::new(move |app| Box::pin(serve(app)));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(case(Site { serve, store }));
    runtime.shutdown_background();
}

/// What a case works with.
pub struct Site {
    serve: Serve,
    store: fn() -> Box<dyn Store>,
}

/// The moment at which every click and conversion of the suite happens.
pub(super) const NOW: &str = "2023-08-23T15:30:45.123Z";

/// The same as a time.
pub(super) fn now() -> Timestamp {
    NOW.parse().unwrap()
}

/// The same for all trackers, so that one knows the ids of another.
pub(super) fn secret() -> Secret {
    Secret::new("the secret of the conformance suite").unwrap()
}

impl std::fmt::Debug for Site {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Site")
    }
}

impl Site {
    /// A tracker with affiliates 1 and 2, campaign 10, which takes postbacks from anyone, and campaign 11 with the
    /// returned postback key.
    pub(super) async fn tracker_and_key(&self) -> (Arc<Tracker>, String) {
        self.tracker_and_key_with(secret(), Arc::new(ManualClock::new(now()))).await
    }

    /// The same with these secrets, and a clock that the case sets.
    pub(super) async fn tracker_and_key_with(
        &self,
        secrets: impl Into<Secrets>,
        clock: Arc<ManualClock>,
    ) -> (Arc<Tracker>, String) {
        let now = now();
        let tracker = Tracker::with_options((self.store)(), secrets, TrackerOptions::default().clock(clock));
        for (id, name) in [(1, "Ada"), (2, "Grace")] {
            let id = Some(AffiliateId::new(id).unwrap());
            let new = NewAffiliate { id, name: name.parse().unwrap(), created_at: now };
            tracker.store().insert_affiliate(new).await.unwrap();
        }
        let key = PostbackKey::random(KeyKind::Token);
        let record = PostbackKeyRecord { id: 1, secret: key.secret(), created_at: now, expires_at: None };
        let bank = PostbackAccess::of_keys(vec![record]);
        for (id, name, access) in [(10, "Shop", PostbackAccess::open()), (11, "Bank", bank)] {
            let new = NewCampaign {
                id: Some(CampaignId::new(id).unwrap()),
                name: name.parse().unwrap(),
                destination: "https://shop.example/?ref={click_id}".parse().unwrap(),
                rules: CampaignRules::default(),
                access,
                created_at: now,
            };
            tracker.store().insert_campaign(new).await.unwrap();
        }
        (Arc::new(tracker), key.expose().to_owned())
    }

    /// An empty store.
    pub(super) fn store(&self) -> Box<dyn Store> {
        (self.store)()
    }

    /// An open tracker at the root, behind a proxy that names the address that a call comes from.
    pub(super) async fn open_behind_proxy(&self) -> Client {
        let (tracker, _) = self.tracker_and_key().await;
        let loopback = ["127.0.0.0/8".parse().unwrap()];
        self.mount(vec![("", Arc::new(Api::new(tracker, guard::open()).trusted_proxies(loopback)))]).await
    }

    /// An open tracker at the root.
    pub(super) async fn open(&self) -> Client {
        let (tracker, _) = self.tracker_and_key().await;
        self.open_tracker(tracker).await
    }

    /// This tracker at the root.
    pub(super) async fn open_tracker(&self, tracker: Arc<Tracker>) -> Client {
        self.mount(vec![("", Arc::new(Api::new(tracker, guard::open())))]).await
    }

    /// A tracker at the root, behind this guard.
    pub(super) async fn guarded(&self, guard: impl Guard) -> Client {
        let (tracker, _) = self.tracker_and_key().await;
        self.mount(vec![("", Arc::new(Api::new(tracker, guard)))]).await
    }

    pub(super) async fn mount(&self, trackers: Vec<(&'static str, Arc<Api>)>) -> Client {
        let mounts = trackers.iter().map(|(path, _)| *path).collect();
        Client::new((self.serve)(App { trackers }).await, mounts)
    }
}

/// A request without a body.
pub(super) fn request(method: Method, path: &str) -> Request<String> {
    Request::builder().method(method).uri(path).body(String::new()).unwrap()
}

/// A request with a body of JSON.
pub(super) fn post_json(path: &str, body: &str) -> Request<String> {
    send_json(Method::POST, path, body)
}

/// The same with another method.
pub(super) fn send_json(method: Method, path: &str, body: &str) -> Request<String> {
    let request = Request::builder().method(method).uri(path).header("content-type", "application/json");
    request.body(body.to_owned()).unwrap()
}

/// A request with the body of a form.
pub(super) fn post_form(path: &str, form: &str) -> Request<String> {
    let request = Request::post(path).header("content-type", "application/x-www-form-urlencoded");
    request.body(form.to_owned()).unwrap()
}

/// The same request with one more header.
pub(super) fn with_header(mut request: Request<String>, name: &'static str, value: &str) -> Request<String> {
    request.headers_mut().append(name, value.parse().unwrap());
    request
}

impl Reply {
    /// The answer's JSON without the fields that a case does not care about.
    pub(super) fn data(&self) -> serde_json::Value {
        self.json()["data"].clone()
    }

    pub(super) fn error_code(&self) -> String {
        self.json()["error"]["code"].as_str().unwrap_or_default().to_owned()
    }
}
