//! What only somebody may do who may see and change everything.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use http::request::Parts;
use http::{Response, StatusCode};
use tracking_core::{
    CampaignId, ChangedBy, ConversionId, Explanation, Name, ParameterError, ParameterProblem, Parameters, Pass,
    PostbackCall, PostbackFilter, Tracker,
};

use crate::Body;
use crate::answer;
use crate::body::field;
use crate::lists::{self, list};
use crate::location::Location;
use crate::postback::Received;
use crate::query;
use crate::refusal::{Refusal, answer_postback};
use crate::wire::campaigns::{CampaignChange, CampaignData, KeyData, NewCampaign, NewKey};
use crate::wire::conversions::{ConversionTracked, NewStatus, StatusChange};
use crate::wire::postbacks::{Explained, PostbackListed};
use crate::wire::{AffiliateChange, AffiliateData, EraseClicks, Erased, NewAffiliate, NewPass, PassData};

type Answered = Result<Response<Body>, Refusal>;

pub(crate) async fn create_affiliate(tracker: &Tracker, at: &Location<'_>, new: NewAffiliate) -> Answered {
    let NewAffiliate { name } = new;
    let affiliate = tracker.create_affiliate(field("name", name)?).await?;
    let location = format!("{}affiliates/{}", at.root, affiliate.id);
    Ok(answer::created(&location, "Affiliate created successfully", AffiliateData::from(affiliate)))
}

pub(crate) async fn change_affiliate(tracker: &Tracker, at: &Location<'_>, change: AffiliateChange) -> Answered {
    let AffiliateChange { name, paused } = change;
    let name: Option<Name> = name.map(|name| field("name", Some(name))).transpose()?;
    let now = tracker.now();
    let change = |affiliate: &mut tracking_core::Affiliate| {
        if let Some(name) = &name {
            affiliate.name = name.clone();
        }
        match paused {
            Some(true) => _ = affiliate.paused_at.get_or_insert(now),
            Some(false) => affiliate.paused_at = None,
            None => {}
        }
    };
    let affiliate = tracker.update_affiliate(at.id("affiliate_id")?, change).await?;
    Ok(answer::found(AffiliateData::from(affiliate)))
}

pub(crate) async fn issue_pass(tracker: &Tracker, at: &Location<'_>, new: NewPass, base_url: &str) -> Answered {
    let id = at.id("affiliate_id")?;
    let seconds = new.lifetime_seconds.ok_or(missing("lifetime_seconds"))?;
    let (token, pass) = tracker.issue_pass(id, Duration::from_secs(seconds)).await?;
    let share_url = share_url(base_url, &token);
    let Pass { issued_at, expires_at, .. } = pass;
    let data = PassData { affiliate_id: id, token, share_url, issued_at, expires_at };
    Ok(answer::created(&format!("{}affiliates/{id}", at.root), "Pass created successfully", data))
}

/// What an affiliate opens who has this pass.
pub(crate) fn share_url(base_url: &str, token: &str) -> String {
    format!("{base_url}/dashboard/share?token={token}")
}

pub(crate) async fn revoke_passes(tracker: &Tracker, at: &Location<'_>) -> Answered {
    Ok(answer::found(AffiliateData::from(tracker.revoke_passes(at.id("affiliate_id")?).await?)))
}

fn missing(name: &'static str) -> ParameterError {
    ParameterError { name, problem: ParameterProblem::Missing }
}

pub(crate) async fn create_campaign(tracker: &Tracker, at: &Location<'_>, new: NewCampaign) -> Answered {
    let made = tracker.create_campaign(new.into_request()?).await?;
    let location = format!("{}campaigns/{}", at.root, made.campaign.id);
    let postback_key = made.postback_key.map(|key| key.expose().to_owned());
    let data = CampaignData { postback_key, ..CampaignData::whole(made.campaign) };
    Ok(answer::created(&location, "Campaign created successfully", data))
}

pub(crate) async fn change_campaign(tracker: &Tracker, at: &Location<'_>, change: CampaignChange) -> Answered {
    let now = tracker.now();
    // Whether a change fits depends on what the campaign is like in the moment in which it is changed.
    let apply = |campaign: &mut tracking_core::Campaign| change.apply(campaign, now);
    let (campaign, ()) = tracker.try_update_campaign(campaign_id(at)?, apply).await?;
    Ok(answer::found(CampaignData::whole(campaign)))
}

pub(crate) async fn issue_key(tracker: &Tracker, at: &Location<'_>, new: NewKey) -> Answered {
    let (kind, overlap) = new.read()?;
    let issued = tracker.issue_key(campaign_id(at)?, kind, overlap).await?;
    let location = format!("{}campaigns/{}", at.root, issued.campaign.id);
    let mut keys = issued.campaign.access.keys.iter();
    let Some(record) = keys.find(|key| key.id == issued.key_id) else { return Err(Refusal::unknown_key()) };
    let data = KeyData { postback_key: Some(issued.key.expose().to_owned()), ..record.into() };
    Ok(answer::created(&location, "Key created successfully", data))
}

pub(crate) async fn revoke_key(tracker: &Tracker, at: &Location<'_>) -> Answered {
    let id = campaign_id(at)?;
    let key_id = at.segment(3).parse().map_err(|_| Refusal::malformed("key_id", "it must be a whole number"))?;
    Ok(answer::found(CampaignData::whole(tracker.revoke_key(id, key_id).await?)))
}

fn campaign_id(at: &Location<'_>) -> Result<CampaignId, Refusal> {
    Ok(at.id("campaign_id")?)
}

pub(crate) async fn conversion(tracker: &Tracker, at: &Location<'_>) -> Answered {
    let id: ConversionId = at.id("conversion_id")?;
    let conversion = tracker.conversion(id).await?;
    let changes = tracker.status_changes(id).await?;
    let status_changes = Some(changes.into_iter().map(StatusChange::from).collect());
    Ok(answer::found(ConversionTracked { status_changes, ..conversion.into() }))
}

pub(crate) async fn change_status(tracker: &Tracker, at: &Location<'_>, new: NewStatus) -> Answered {
    let status = field("status", new.status)?;
    let reason = new.reason.map(|reason| field("reason", Some(reason))).transpose()?;
    let outcome = tracker.change_status(at.id("conversion_id")?, status, ChangedBy::Admin, reason).await?;
    answer_postback(outcome).map(|answer| answer::json(StatusCode::OK, &answer))
}

pub(crate) async fn postbacks(tracker: &Arc<Tracker>, parameters: &Parameters<'_>) -> Answered {
    let filter = postback_filter(parameters)?;
    list(
        tracker,
        parameters,
        lists::postbacks(),
        filter,
        |tracker, filter, page| Box::pin(tracker.postbacks(filter, page)),
        PostbackListed::from,
    )
    .await
}

/// Which postbacks are asked for.
pub(crate) fn postback_filter(parameters: &Parameters<'_>) -> Result<PostbackFilter, Refusal> {
    let mut filter = PostbackFilter::default();
    filter.outcome = parameters.optional("outcome")?;
    filter.problems_only = match parameters.text("problems")? {
        None | Some("" | "false") => false,
        Some("true") => true,
        Some(_) => return Err(Refusal::malformed("problems", "it must be true or false")),
    };
    filter.affiliate_id = parameters.optional("affiliate_id")?;
    filter.campaign_id = parameters.optional("campaign_id")?;
    filter.click_id = parameters.optional("click_id")?;
    filter.from = parameters.optional("from")?;
    filter.to = parameters.optional("to")?;
    Ok(filter)
}

/// The name of the parameter that says where a postback would come from.
pub(crate) const EXPLAIN_SOURCE: &str = "explain_source";

/// Explains a call, which was read as that of a postback is. Its bearer token is the admin's, and no postback key; its
/// source is the admin's, too, unless he says otherwise.
pub(crate) async fn explain(tracker: &Tracker, received: Received<'_>, request: &Parts) -> Answered {
    if let Some(reason) = received.problem {
        return Ok(answer::found(Explained::from(Explanation::of_unreadable(reason))));
    }
    let received = received.call;
    let (in_query, _) = query::parse_link(request.uri.query());
    // Where a body is signed, nothing else of the query is read.
    let wanted = match received.parameters.text(EXPLAIN_SOURCE)? {
        Some(source) => Some(source),
        None => in_query.text(EXPLAIN_SOURCE)?,
    };
    let source = match wanted.filter(|source| !source.is_empty()) {
        Some(source) => {
            let source: Result<IpAddr, _> = source.parse();
            Some(source.map_err(|_| Refusal::malformed(EXPLAIN_SOURCE, "it must be an address such as 203.0.113.7"))?)
        }
        None => received.source,
    };
    // It is no part of what would be sent.
    let mut call = PostbackCall::new(received.parameters.iter().filter(|(name, _)| *name != EXPLAIN_SOURCE).collect());
    (call.method, call.webhook, call.source) = (received.method, received.webhook, source);
    Ok(answer::found(Explained::from(tracker.explain(&call).await?)))
}

pub(crate) async fn erase_clicks(tracker: &Tracker, wanted: EraseClicks) -> Answered {
    let erased = tracker.erase(&field("click_id", wanted.click_id)?).await?;
    Ok(answer::found(Erased { erased }))
}
