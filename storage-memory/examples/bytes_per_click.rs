//! Measures what a click costs in memory, and that reports cost the same however many clicks there are.
//!
//! `cargo run --release -p storage-memory --example bytes_per_click [visitors]`, on Linux: it reads `/proc/self/statm`.

#![allow(clippy::print_stdout, reason = "the table is what it is run for")]

use std::error::Error;
use std::hint::black_box;
use std::time::{Duration, Instant};

use storage_memory::MemoryStore;
use tracking_core::{
    AffiliateId, CampaignId, CampaignRequest, ClickRequest, ConversionRequest, PostbackAuth, Secret, Store, SubIds,
    Tracker, UserAgent, Visitor,
};

const COUNTS: [u64; 5] = [10, 1_000_000, 2_000_000, 4_000_000, 8_000_000];

const BROWSER: &str =
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    if std::env::args().nth(1).as_deref() != Some("visitors") {
        println!("Clicks of which nothing is known but a minted id, of 53 characters:");
        return measure(|request, _| Ok(request)).await;
    }
    println!("Clicks by links with a sub id and a source, of visitors with a browser, each at an address of his own:");
    measure(|request, number| {
        let address = u32::try_from(number)?.to_be_bytes();
        let user_agent = UserAgent::new(BROWSER);
        let visitor = Visitor { ip: Some(address.into()), user_agent, is_prefetch: false };
        let marks = SubIds::new([Some("autumn-list".parse()?), None, None, None, None]);
        Ok(request.visitor(visitor).sub_ids(marks).source("newsletter".parse()?))
    })
    .await
}

async fn measure(
    click: impl Fn(ClickRequest, u64) -> Result<ClickRequest, Box<dyn Error>>,
) -> Result<(), Box<dyn Error>> {
    let before = resident_bytes()?;
    let tracker = Tracker::new(MemoryStore::new(), Secret::random());
    let affiliate = tracker.create_affiliate("Ada's reviews".parse()?).await?.id;
    let request = CampaignRequest::new("Shop".parse()?, "https://shop.example/".parse()?);
    let campaign = tracker.create_campaign(request.postback_auth(PostbackAuth::Open)).await?.campaign.id;
    record_sale(&tracker, affiliate, campaign).await?;

    println!("{:>12} {:>12} {:>16} {:>16}", "clicks", "MB", "bytes per click", "summary (ns)");
    let mut recorded = 0;
    for count in COUNTS {
        while recorded < count {
            tracker.record_click(click(ClickRequest::new(affiliate, campaign), recorded)?).await?;
            recorded += 1;
        }
        let bytes = resident_bytes()?.saturating_sub(before);
        let summary = median_summary(tracker.store(), affiliate).await?;
        // Among a few clicks the pages of the process itself are all that there is to see.
        let per_click = if count < 1000 { "-".to_owned() } else { (bytes / count).to_string() };
        println!("{count:>12} {:>12} {per_click:>16} {:>16}", bytes / 1_000_000, summary.as_nanos());
    }
    Ok(())
}

/// One conversion, so that the summary has a revenue.
async fn record_sale(tracker: &Tracker, affiliate: AffiliateId, campaign: CampaignId) -> Result<(), Box<dyn Error>> {
    let click = tracker.record_click(ClickRequest::new(affiliate, campaign)).await?.into_record();
    tracker
        .record_conversion(ConversionRequest::new(affiliate, click.click_id, "9.95".parse()?, "USD".parse()?))
        .await?;
    Ok(())
}

/// The median of many calls, each in the mean of a batch that is long enough for the clock.
async fn median_summary(store: &impl Store, affiliate: AffiliateId) -> Result<Duration, Box<dyn Error>> {
    const BATCH: u32 = 1000;
    let mut times = Vec::new();
    for _ in 0..501 {
        let start = Instant::now();
        for _ in 0..BATCH {
            black_box(store.summary(black_box(affiliate)).await?);
        }
        times.push(start.elapsed() / BATCH);
    }
    times.sort();
    Ok(times[times.len() / 2])
}

/// The second field of statm, in pages: see `man 5 proc_pid_statm`.
fn resident_bytes() -> Result<u64, Box<dyn Error>> {
    const PAGE: u64 = 4096;
    let statm = std::fs::read_to_string("/proc/self/statm")?;
    let pages: u64 = statm.split_whitespace().nth(1).ok_or("statm has no second field")?.parse()?;
    Ok(pages * PAGE)
}
