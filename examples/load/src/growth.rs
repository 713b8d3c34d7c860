//! How long reports take, as the dashboard asks for them.

use std::error::Error;
use std::io::{self, Write};
use std::time::{Duration, Instant};

use storage_mysql::{MySqlStore, Options};
use tracking_core::chrono::{Days, NaiveDate};
use tracking_core::{
    AffiliateId, CampaignId, Grouping, Limit, PageRequest, Period, ReportRequest, Scope, Secret, Store, Tracker,
};

/// Not timed: they fill the caches.
const WARM_UP: usize = 20;

/// Prints for each report of affiliate 1 its name, and the median and the 99th percentile of so many calls in
/// microseconds.
pub(crate) async fn time_reports(url: &str, calls: usize) -> Result<(), Box<dyn Error>> {
    let store = MySqlStore::connect(url, Options::default()).await?;
    let affiliate = AffiliateId::new(1)?;
    let first_page = PageRequest { limit: Limit::new(50)?, after: None };
    let store = &store;
    report("summary", calls, || async { store.summary(affiliate).await.map(drop) }).await?;
    report("clicks", calls, || async { store.clicks(&affiliate.into(), first_page).await.map(drop) }).await?;
    report("conversions", calls, || async { store.conversions(&affiliate.into(), first_page).await.map(drop) }).await?;
    report("affiliates", calls, || async { store.affiliates(first_page).await.map(drop) }).await?;
    report("campaigns", calls, || async { store.campaigns(first_page).await.map(drop) }).await?;
    let (all, campaign) = (Scope::ALL, CampaignId::new(1)?);
    let both = Scope { affiliate_id: Some(affiliate), campaign_id: Some(campaign) };
    let tracker = &Tracker::new(store.clone(), Secret::random());
    for (name, scope, grouping) in [
        ("days-of-affiliate", affiliate.into(), Grouping::Day),
        ("days-of-campaign", campaign.into(), Grouping::Day),
        ("days-of-both", both, Grouping::Day),
        ("days-of-all", all, Grouping::Day),
        ("hours-of-affiliate", affiliate.into(), Grouping::Hour),
        ("hours-of-all", all, Grouping::Hour),
        ("affiliates-of-all", all, Grouping::Affiliate),
        ("affiliates-of-campaign", campaign.into(), Grouping::Affiliate),
        ("campaigns-of-all", all, Grouping::Campaign),
        ("campaigns-of-affiliate", affiliate.into(), Grouping::Campaign),
    ] {
        for zone in ["UTC", "America/New_York", "Asia/Kathmandu", "Pacific/Kiritimati"] {
            let days = if grouping == Grouping::Hour { 30 } else { 60 };
            let first = NaiveDate::from_ymd_opt(2025, 2, 14).ok_or("a date")?;
            let period = Period::new(first, first + Days::new(days - 1), zone.parse()?)?;
            let request = ReportRequest::new(period, grouping).scope(scope);
            let name = format!("{name},{zone}");
            report(&name, calls, || async { tracker.report(&request).await.map(drop) }).await?;
        }
    }
    Ok(())
}

async fn report<F, E>(name: &str, calls: usize, call: impl Fn() -> F) -> Result<(), Box<dyn Error>>
where
    F: Future<Output = Result<(), E>>,
    E: Error + 'static,
{
    let mut times = Vec::with_capacity(calls);
    for _ in 0..WARM_UP + calls {
        let start = Instant::now();
        call().await?;
        times.push(start.elapsed());
    }
    times.drain(..WARM_UP);
    times.sort();
    let [median, p99] = [50, 99].map(|percent| times.get(times.len() * percent / 100).map_or(0, Duration::as_micros));
    writeln!(io::stdout(), "{name} {median} {p99}")?;
    Ok(())
}
