//! The page with an affiliate's figures.

use http::Response;
use tracking_core::{AffiliateId, Grouping, Scope};

use super::{Asked, CHOICES, Desk, RECENT, choices, first, overview, period, rendered};
use crate::pages::{AffiliatePage, InPeriod};
use crate::refusal::Refusal;
use crate::{Body, answer};

pub(crate) async fn show(asked: &Asked<'_>, id: AffiliateId) -> Result<Response<Body>, Refusal> {
    let Desk { tracker, viewer, at, public_url, .. } = asked.desk;
    let affiliate = tracker.affiliate(id).await?;
    let (query, form) = period::wanted(asked, Some(id))?;
    let chooser = match viewer.only() {
        Some(_) => None,
        None => Some(choices(tracker, Some(&affiliate), query).await?),
    };
    let summary = tracker.summary(id).await?;
    let clicks = tracker.clicks(&id.into(), first(RECENT)).await?.items;
    let conversions = tracker.conversions(&id.into(), first(RECENT)).await?.items;
    let mut campaigns = tracker.campaigns(first(CHOICES)).await?.items;
    // The command that reports a sale for the latest click depends on this campaign's key.
    if let Some(click) = clicks.first()
        && campaigns.iter().all(|campaign| campaign.id != click.campaign_id)
    {
        campaigns.push(tracker.campaign(click.campaign_id).await?);
    }
    let in_period = match query {
        Some(query) => Some(InPeriod {
            figures: period::load(tracker, Scope::from(id), query.request.period).await?,
            by_campaign: overview::top(tracker, query, Grouping::Campaign).await?,
        }),
        None => None,
    };
    let page = AffiliatePage {
        root: &at.root,
        public_url,
        viewer,
        chooser: chooser.as_ref(),
        form: &form,
        affiliate: &affiliate,
        summary: &summary,
        clicks: &clicks,
        conversions: &conversions,
        campaigns: &campaigns,
        in_period: in_period.as_ref(),
    };
    Ok(answer::page(rendered(page.render())?, form.refusal.as_ref()))
}
