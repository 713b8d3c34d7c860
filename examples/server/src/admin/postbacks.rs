use clap::Args;
use tracking_core::{
    AffiliateId, CampaignId, ClickId, Limit, OutcomeKind, PageRequest, Postback, PostbackFilter, Tracker,
};

use super::AdminError;
use super::json::PostbackJson;
use super::output::{Format, Table, print_json};

#[derive(Debug, Clone, Args)]
pub(crate) struct PostbackArguments {
    /// Only those that were not taken
    #[arg(long)]
    problems: bool,

    /// Only those with this outcome, such as wrong_postback_key
    #[arg(long, value_name = "CODE")]
    outcome: Option<OutcomeKind>,

    /// Only those of this affiliate
    #[arg(long, value_name = "ID")]
    affiliate: Option<AffiliateId>,

    /// Only those of this campaign
    #[arg(long, value_name = "ID")]
    campaign: Option<CampaignId>,

    /// Only those that named this click
    #[arg(long, value_name = "CLICK_ID")]
    click: Option<ClickId>,

    /// How many at the most, from 1 to 1000
    #[arg(long, value_name = "NUMBER", default_value = "100")]
    limit: Limit,
}

impl PostbackArguments {
    pub(super) async fn run(self, tracker: &Tracker, format: Format) -> Result<(), AdminError> {
        let Self { problems, outcome, affiliate, campaign, click, limit } = self;
        let mut filter = PostbackFilter::default();
        filter.problems_only = problems;
        filter.outcome = outcome;
        filter.affiliate_id = affiliate;
        filter.campaign_id = campaign;
        filter.click_id = click;
        let page = tracker.postbacks(&filter, PageRequest { limit, after: None }).await?;
        print(&page.items, format)
    }
}

fn print(postbacks: &[Postback], format: Format) -> Result<(), AdminError> {
    if format == Format::Json {
        return postbacks.iter().try_for_each(|postback| print_json(&PostbackJson::from(postback)));
    }
    let mut table = Table::new(["RECEIVED", "FROM", "OUTCOME", "CALLS", "CAMPAIGN", "AFFILIATE", "WHAT HAPPENED"]);
    for postback in postbacks {
        let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        table.push([
            postback.received_at.to_string(),
            or_dash(postback.source.map(|address| address.to_string())),
            postback.outcome.to_string(),
            postback.calls.to_string(),
            or_dash(postback.campaign_id.map(|id| id.to_string())),
            or_dash(postback.affiliate_id.map(|id| id.to_string())),
            postback.summary.clone(),
        ]);
    }
    table.print();
    Ok(())
}
