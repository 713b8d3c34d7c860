use std::error::Error;
use std::time::Duration;

use metrics_exporter_prometheus::PrometheusBuilder;
use storage_memory::MemoryStore;
use storage_mysql::{MySqlStore, Options};
use tracking_core::{
    AffiliateId, CampaignId, CampaignRules, NewAffiliate, NewCampaign, PostbackAccess, Secret, Store, Timestamp,
    Tracker,
};
use tracking_http::{Api, guard};

/// The tracker with affiliate 1 and campaign 10, and with metrics collected as the standalone server collects them.
pub(crate) async fn in_memory() -> Result<Api, Box<dyn Error>> {
    collect_metrics()?;
    let store = MemoryStore::new();
    let created_at = Timestamp::MIN;
    store
        .insert_affiliate(NewAffiliate { id: Some(AffiliateId::new(1)?), name: "Affiliate".parse()?, created_at })
        .await?;
    let campaign = NewCampaign {
        id: Some(CampaignId::new(10)?),
        name: "Campaign".parse()?,
        destination: "https://shop.example/?ref={click_id}".parse()?,
        rules: CampaignRules::default(),
        access: PostbackAccess::open(),
        created_at,
    };
    store.insert_campaign(campaign).await?;
    Ok(Api::new(Tracker::new(store, Secret::random()), guard::open()))
}

/// The tracker on a database that has its tables, with metrics like the other.
pub(crate) async fn in_database(url: &str) -> Result<Api, Box<dyn Error>> {
    collect_metrics()?;
    let store = MySqlStore::connect(url, Options::default()).await?;
    Ok(Api::new(Tracker::new(store, Secret::random()), guard::open()))
}

fn collect_metrics() -> Result<(), Box<dyn Error>> {
    let buckets = [0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0];
    let handle = PrometheusBuilder::new().set_buckets(&buckets)?.install_recorder()?;
    tokio::spawn(async move {
        let mut turn = tokio::time::interval(Duration::from_secs(5));
        loop {
            turn.tick().await;
            handle.run_upkeep();
        }
    });
    Ok(())
}
