//! The pages of campaigns.

use http::{Response, StatusCode};
use tracking_core::{
    Campaign, CampaignId, CampaignRequest, CampaignRules, DestinationUrl, KeyError, KeyKind, Limit, Name, PageRequest,
    Parameters, PayoutRule, StoreError,
};

use super::affiliates::wanted_pause;
use super::{Asked, Desk, limit, older_query, rendered, says};
use crate::Body;
use crate::answer;
use crate::pages::{CampaignPage, CampaignsPage, Figures, ShownKey, Wrong, campaign_path};
use crate::refusal::Refusal;
use crate::report_query::ReportQuery;
use crate::wire::campaigns::{CampaignForm, NewCampaignForm, NewKey};

/// How many campaigns are on a page.
const CAMPAIGNS: Limit = limit(50);

/// The list, and the form for another one.
pub(crate) async fn list(desk: Desk<'_>, parameters: &Parameters<'_>) -> Result<Response<Body>, Refusal> {
    list_page(desk, parameters, NewCampaignForm::default(), None).await
}

async fn list_page(
    desk: Desk<'_>,
    parameters: &Parameters<'_>,
    form: NewCampaignForm<'_>,
    refusal: Option<&Refusal>,
) -> Result<Response<Body>, Refusal> {
    let after = parameters.optional("cursor")?;
    let found = desk.tracker.campaigns(PageRequest { limit: CAMPAIGNS, after }).await?;
    let page = CampaignsPage {
        root: &desk.at.root,
        viewer: desk.viewer,
        campaigns: &found.items,
        is_first: after.is_none(),
        older: found.next.map(older_query),
        form,
        wrong: Wrong::new(refusal, &NewCampaignForm::FIELDS),
    };
    Ok(answer::page(rendered(page.render())?, refusal))
}

/// Creates a campaign, and shows it with its key. A form that can't be read comes back.
pub(crate) async fn create(desk: Desk<'_>, form: &Parameters<'_>) -> Result<Response<Body>, Refusal> {
    match new_campaign(form).map_err(NewCampaignForm::in_words) {
        Ok(request) => {
            let made = desk.tracker.create_campaign(request).await?;
            let key = made.postback_key.as_ref();
            let key = key.map(|key| ShownKey { kind: KeyKind::Token, secret: key.expose() });
            let usual = Asked { desk, parameters: &Parameters::default() }.query(|_| false)?;
            page(desk, usual, &made.campaign, Told { key, ..Told::default() }).await
        }
        Err(refusal) => {
            let form = NewCampaignForm {
                name: says(form, "name"),
                destination_url: says(form, "destination_url"),
                payout: says(form, "payout"),
            };
            list_page(desk, &Parameters::default(), form, Some(&refusal)).await
        }
    }
}

fn new_campaign(form: &Parameters<'_>) -> Result<CampaignRequest, Refusal> {
    let mut rules = CampaignRules::default();
    let (name, destination) = (form.required::<Name>("name")?, form.required::<DestinationUrl>("destination_url")?);
    rules.payout = form.optional::<PayoutRule>("payout")?;
    Ok(CampaignRequest::new(name, destination).key_kind(KeyKind::Token).rules(rules))
}

/// The campaign, with what it has brought in a period.
pub(crate) async fn show(asked: &Asked<'_>) -> Result<Response<Body>, Refusal> {
    let desk = asked.desk;
    let query = in_period(asked)?;
    let campaign = desk.tracker.campaign(campaign_id(desk)?).await?;
    page(desk, query, &campaign, Told::default()).await
}

/// The period that the page is about. Its forms keep it in their URLs, and what they lead to is about the same one.
fn in_period(asked: &Asked<'_>) -> Result<ReportQuery, Refusal> {
    asked.query(|name| matches!(name, "period" | "from" | "to" | "time_zone"))
}

/// Leads back to a place on the page of a campaign.
fn back(desk: Desk<'_>, query: ReportQuery, id: CampaignId, place: &str) -> Response<Body> {
    answer::see_other(&format!("{}{}{place}", desk.at.root, campaign_path(query, id, "")))
}

/// Changes a campaign, and leads back to its rules. A form that can't be read comes back, and so does one that was filled in
/// for what the campaign is no more.
pub(crate) async fn change(asked: &Asked<'_>, form: &Parameters<'_>) -> Result<Response<Body>, Refusal> {
    let (desk, query) = (asked.desk, in_period(asked)?);
    let (id, now) = (campaign_id(desk)?, desk.tracker.now());
    let apply = |campaign: &mut Campaign| {
        let changed = check_version(form, campaign).and_then(|()| CampaignForm::apply(form, campaign, now));
        changed.map_err(Unchanged::Refused)
    };
    let mut refusal = match desk.tracker.try_update_campaign(id, apply).await {
        Ok(_) => return Ok(back(desk, query, id, "#rules")),
        Err(Unchanged::Store(error)) => return Err(error.into()),
        Err(Unchanged::Refused(refusal)) => refusal,
    };
    let campaign = desk.tracker.campaign(id).await?;
    let mut edited = CampaignForm::filled_in(form, &campaign);
    if refusal.code == CHANGED_MEANWHILE {
        // Whoever has been told what is different may send it once more.
        edited.version = campaign.version.to_string();
        let names = edited.differences(&CampaignForm::of(&campaign)).into_iter().map(CampaignForm::label);
        let names: Vec<String> = names.map(|label| format!("“{label}”")).collect();
        refusal.message = match names.is_empty() {
            true => format!("{} It is as you have filled it in.", refusal.message),
            false => format!("{} The form differs from it in: {}.", refusal.message, names.join(", ")),
        };
    }
    page(desk, query, &campaign, Told { edited: Some(&edited), refusal: Some(&refusal), ..Told::default() }).await
}

/// Why a campaign is as it was.
enum Unchanged {
    /// By what the form says.
    Refused(Refusal),
    Store(StoreError),
}

impl From<StoreError> for Unchanged {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

const CHANGED_MEANWHILE: &str = "changed_meanwhile";

/// A form has all fields, and not only those that were changed: it must not undo what its reader has not seen.
fn check_version(form: &Parameters<'_>, campaign: &Campaign) -> Result<(), Refusal> {
    match form.text("version")? {
        Some(version) if version != campaign.version.to_string() => {
            let message = "Somebody has changed this campaign meanwhile. It is shown as it is now, and the form as you have \
                           filled it in: save it once more if that is to be put in its place.";
            Err(Refusal::new(StatusCode::CONFLICT, CHANGED_MEANWHILE, message))
        }
        _ => Ok(()),
    }
}

/// Pauses a campaign, or makes it active again, and leads back to its page.
pub(crate) async fn pause(asked: &Asked<'_>, form: &Parameters<'_>) -> Result<Response<Body>, Refusal> {
    let (desk, query) = (asked.desk, in_period(asked)?);
    let id = campaign_id(desk)?;
    desk.tracker.pause_campaign(id, wanted_pause(form)?).await?;
    Ok(back(desk, query, id, ""))
}

/// Makes a key, and shows it with the campaign.
pub(crate) async fn issue_key(asked: &Asked<'_>, form: &Parameters<'_>) -> Result<Response<Body>, Refusal> {
    let (desk, query) = (asked.desk, in_period(asked)?);
    let (kind, overlap) = NewKey::from_form(form)?.read()?;
    let id = campaign_id(desk)?;
    match desk.tracker.issue_key(id, kind, overlap).await {
        Ok(issued) => {
            let key = ShownKey { kind, secret: issued.key.expose() };
            page(desk, query, &issued.campaign, Told { key: Some(key), ..Told::default() }).await
        }
        Err(error) => refused(desk, query, id, error).await,
    }
}

/// Takes a key from a campaign, and leads back to the others.
pub(crate) async fn revoke_key(asked: &Asked<'_>) -> Result<Response<Body>, Refusal> {
    let (desk, query) = (asked.desk, in_period(asked)?);
    let id = campaign_id(desk)?;
    let key_id = desk.at.segment(4).parse().map_err(|_| Refusal::malformed("key_id", "it must be a whole number"))?;
    match desk.tracker.revoke_key(id, key_id).await {
        Ok(_) => Ok(back(desk, query, id, "#keys")),
        Err(error) => refused(desk, query, id, error).await,
    }
}

/// The campaign as it is, with the reason why its keys are as they were.
async fn refused(
    desk: Desk<'_>,
    query: ReportQuery,
    id: CampaignId,
    error: KeyError,
) -> Result<Response<Body>, Refusal> {
    if let KeyError::Store(error) = error {
        return Err(error.into());
    }
    let refusal = Refusal::from(error);
    let campaign = desk.tracker.campaign(id).await?;
    page(desk, query, &campaign, Told { refusal: Some(&refusal), ..Told::default() }).await
}

fn campaign_id(desk: Desk<'_>) -> Result<CampaignId, Refusal> {
    Ok(desk.at.id("campaign_id")?)
}

/// What the page of a campaign tells besides.
#[derive(Debug, Clone, Copy, Default)]
struct Told<'a> {
    /// A key that was made.
    key: Option<ShownKey<'a>>,
    /// A change that was not made.
    edited: Option<&'a CampaignForm>,
    /// Why something was not done.
    refusal: Option<&'a Refusal>,
}

async fn page(
    desk: Desk<'_>,
    query: ReportQuery,
    campaign: &Campaign,
    told: Told<'_>,
) -> Result<Response<Body>, Refusal> {
    let Told { key, edited, refusal } = told;
    let Desk { tracker, viewer, at, public_url, .. } = desk;
    let query = query.campaign(Some(campaign.id));
    let figures = tracker.figures(query.request.scope, &query.request.period).await;
    // A key that was made is told also when the store has no more to say, and what was filled in comes back.
    let figures = match figures {
        Ok(figures) => Some(figures),
        Err(_) if key.is_some() || edited.is_some() => None,
        Err(error) => return Err(error.into()),
    };
    let page = CampaignPage {
        root: &at.root,
        public_url,
        viewer,
        campaign,
        now: tracker.now(),
        query,
        figures: figures.as_ref().map(Figures),
        key,
        edited,
        wrong: Wrong::new(refusal, if edited.is_some() { &CampaignForm::FIELDS } else { &[] }),
    };
    Ok(answer::page(rendered(page.render())?, refusal))
}
