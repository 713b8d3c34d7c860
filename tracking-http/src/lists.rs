//! Lists: a page of one as JSON, or the whole of it as CSV.

use std::sync::Arc;

use http::Response;
use serde::Serialize;
use tracking_core::{AffiliateId, PageRequest, ParameterError, Parameters, Tracker};

use crate::answer;
use crate::chunks::Body;
use crate::csv::{Ask, Column, Row, Table, export};
use crate::refusal::Refusal;
use crate::wire::campaigns::{CampaignData, PayoutRuleData, PostbackAuth};
use crate::wire::conversions::{ConversionListed, ConversionStatus};
use crate::wire::postbacks::PostbackListed;
use crate::wire::{AffiliateData, ClickListed};

/// Answers with a list in the form that is asked for. `ask` asks for a page of what a filter admits, `data` makes what is shown of
/// what is stored.
pub(crate) async fn list<F, R, T, A, D>(
    tracker: &Arc<Tracker>,
    parameters: &Parameters<'_>,
    table: Table<T>,
    filter: F,
    ask: A,
    data: D,
) -> Result<Response<Body>, Refusal>
where
    F: Send + Sync + 'static,
    R: Send + 'static,
    T: Serialize + 'static,
    A: Ask<F, R>,
    D: Fn(R) -> T + Send + Sync + 'static,
{
    match Format::wanted(parameters)? {
        Format::Json => Ok(answer::list(ask(tracker, &filter, page_request(parameters)?).await?, data)),
        Format::Csv => {
            Format::check_whole(parameters, &["limit", "cursor"], "list")?;
            Ok(export(tracker, table, filter, ask, data).await?)
        }
    }
}

/// In which form a list, or whatever else has rows, is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Json,
    Csv,
}

impl Format {
    pub(crate) const NAMES: [&'static str; 2] = ["json", "csv"];

    pub(crate) fn wanted(parameters: &Parameters<'_>) -> Result<Self, Refusal> {
        match parameters.text("format")? {
            None | Some("" | "json") => Ok(Self::Json),
            Some("csv") => Ok(Self::Csv),
            Some(_) => Err(Refusal::malformed("format", "it must be json or csv")),
        }
    }

    /// A table has all rows: refuses those of the parameters that ask for some of them.
    pub(crate) fn check_whole(
        parameters: &Parameters<'_>,
        of_parts: &[&'static str],
        whole: &str,
    ) -> Result<(), Refusal> {
        for name in of_parts {
            if parameters.text(name)?.is_some_and(|text| !text.is_empty()) {
                let problem = format_args!("format=csv is always the whole {whole}, so leave it out");
                return Err(Refusal::malformed(name, problem));
            }
        }
        Ok(())
    }
}

fn page_request(parameters: &Parameters<'_>) -> Result<PageRequest, ParameterError> {
    let limit = parameters.optional("limit")?.unwrap_or_default();
    Ok(PageRequest { limit, after: parameters.optional("cursor")? })
}

/// The tables have what JSON has, under the same names. What JSON leaves out for somebody has no column for him.
fn table<T>(name: String, columns: &'static [Column<T>], hidden: &[&str]) -> Table<T> {
    Table { name, columns: columns.iter().filter(|column| !hidden.contains(&column.name)).collect() }
}

pub(crate) fn affiliates() -> Table<AffiliateData> {
    static COLUMNS: [Column<AffiliateData>; 6] = [
        column("id", |affiliate, row| row.number(affiliate.id)),
        column("name", |affiliate, row| row.text(&affiliate.name)),
        column("status", |affiliate, row| row.text(affiliate.status.as_str())),
        column("paused_at", |affiliate, row| row.number_if_any(affiliate.paused_at)),
        column("created_at", |affiliate, row| row.number(affiliate.created_at)),
        column("version", |affiliate, row| row.number(affiliate.version)),
    ];
    table("affiliates".to_owned(), &COLUMNS, &[])
}

/// The clicks of an affiliate, or of more than one, for somebody who may see those of `only`.
pub(crate) fn clicks(of: Option<AffiliateId>, only: Option<AffiliateId>) -> Table<ClickListed> {
    static COLUMNS: [Column<ClickListed>; 16] = [
        column("id", |click, row| row.number(click.id)),
        column("click_id", |click, row| row.text(&click.click_id)),
        column("affiliate_id", |click, row| row.number_if_any(click.affiliate_id)),
        column("campaign_id", |click, row| row.number(click.campaign_id)),
        column("created_at", |click, row| row.number(click.created_at)),
        column("sub1", |click, row| row.text_if_any(click.sub1.as_ref())),
        column("sub2", |click, row| row.text_if_any(click.sub2.as_ref())),
        column("sub3", |click, row| row.text_if_any(click.sub3.as_ref())),
        column("sub4", |click, row| row.text_if_any(click.sub4.as_ref())),
        column("sub5", |click, row| row.text_if_any(click.sub5.as_ref())),
        column("source", |click, row| row.text_if_any(click.source.as_ref())),
        column("ip", |click, row| row.text_if_any(click.ip.as_ref())),
        column("user_agent", |click, row| row.text_if_any(click.user_agent.as_ref())),
        column("bot", |click, row| row.text_if_any(click.bot)),
        column("unique", |click, row| row.number(click.unique)),
        column("recovered", |click, row| row.number(click.recovered)),
    ];
    let visitor: &[&str] = if only.is_some() { &["ip", "user_agent"] } else { &[] };
    table(name_of("clicks", of), &COLUMNS, &[visitor, affiliate_of(of)].concat())
}

/// The conversions of an affiliate, or of more than one, for somebody who may see those of `only`.
pub(crate) fn conversions(of: Option<AffiliateId>, only: Option<AffiliateId>) -> Table<ConversionListed> {
    static COLUMNS: [Column<ConversionListed>; 18] = [
        column("id", |conversion, row| row.number(conversion.id)),
        column("click_id", |conversion, row| row.text(&conversion.click_id)),
        column("affiliate_id", |conversion, row| row.number_if_any(conversion.affiliate_id)),
        column("campaign_id", |conversion, row| row.number(conversion.campaign_id)),
        column("event", |conversion, row| row.text(&conversion.event)),
        column("transaction_id", |conversion, row| row.text_if_any(conversion.transaction_id.as_ref())),
        column("amount", |conversion, row| row.number(conversion.amount)),
        column("currency", |conversion, row| row.text(conversion.currency)),
        column("status", |conversion, row| row.text(conversion.status.as_str())),
        column("payout", |conversion, row| row.number_if_any(conversion.payout.as_ref().map(|payout| payout.amount))),
        column("payout_currency", |conversion, row| {
            row.text_if_any(conversion.payout.as_ref().map(|payout| payout.currency));
        }),
        column("occurred_at", |conversion, row| row.number_if_any(conversion.occurred_at)),
        column("sub1", |conversion, row| row.text_if_any(conversion.sub1.as_ref())),
        column("sub2", |conversion, row| row.text_if_any(conversion.sub2.as_ref())),
        column("sub3", |conversion, row| row.text_if_any(conversion.sub3.as_ref())),
        column("sub4", |conversion, row| row.text_if_any(conversion.sub4.as_ref())),
        column("sub5", |conversion, row| row.text_if_any(conversion.sub5.as_ref())),
        column("created_at", |conversion, row| row.number(conversion.created_at)),
    ];
    let marks: &[&str] = if only.is_some() { &["sub1", "sub2", "sub3", "sub4", "sub5"] } else { &[] };
    table(name_of("conversions", of), &COLUMNS, &[marks, affiliate_of(of)].concat())
}

fn name_of(records: &str, of: Option<AffiliateId>) -> String {
    of.map_or_else(|| records.to_owned(), |id| format!("{records}-of-affiliate-{id}"))
}

/// The column that a list of one affiliate does not have.
fn affiliate_of(of: Option<AffiliateId>) -> &'static [&'static str] {
    if of.is_some() { &["affiliate_id"] } else { &[] }
}

/// The campaigns, for somebody who may see the figures of `only`. What is a list itself stands there as JSON.
pub(crate) fn campaigns(only: Option<AffiliateId>) -> Table<CampaignData> {
    static COLUMNS: [Column<CampaignData>; 20] = [
        column("id", |campaign, row| row.number(campaign.id)),
        column("name", |campaign, row| row.text(&campaign.name)),
        column("destination_url", |campaign, row| row.text(&campaign.destination_url)),
        column("status", |campaign, row| row.text(campaign.status.as_str())),
        column("paused_at", |campaign, row| row.number_if_any(campaign.paused_at)),
        column("attribution_window_seconds", |campaign, row| {
            row.number_if_any(campaign.rules.attribution_window_seconds);
        }),
        column("min_seconds_to_convert", |campaign, row| row.number_if_any(campaign.rules.min_seconds_to_convert)),
        column("currency", |campaign, row| row.text_if_any(campaign.rules.currency)),
        column("payout_percent", |campaign, row| {
            row.number_if_any(campaign.rules.payout.as_ref().and_then(PayoutRuleData::percent));
        }),
        column("payout", |campaign, row| {
            row.number_if_any(campaign.rules.payout.as_ref().and_then(PayoutRuleData::fixed).map(|(amount, _)| amount));
        }),
        column("payout_currency", |campaign, row| {
            row.text_if_any(
                campaign.rules.payout.as_ref().and_then(PayoutRuleData::fixed).map(|(_, currency)| currency),
            );
        }),
        column("events", |campaign, row| {
            let events = &campaign.rules.events;
            json(row, (!events.is_empty()).then_some(events));
        }),
        column("default_status", |campaign, row| {
            row.text_if_any(campaign.rules.default_status.map(ConversionStatus::as_str));
        }),
        column("repeats", |campaign, row| row.text_if_any(campaign.rules.repeats)),
        column("daily_cap", |campaign, row| row.number_if_any(campaign.rules.daily_cap)),
        column("while_paused", |campaign, row| row.text_if_any(campaign.rules.while_paused)),
        column("postback_auth", |campaign, row| row.text_if_any(campaign.postback_auth.map(PostbackAuth::as_str))),
        column("networks", |campaign, row| json(row, campaign.networks.as_ref())),
        column("created_at", |campaign, row| row.number(campaign.created_at)),
        column("version", |campaign, row| row.number_if_any(campaign.version)),
    ];
    const FOR_ADMINS: [&str; 10] = [
        "attribution_window_seconds",
        "min_seconds_to_convert",
        "currency",
        "default_status",
        "repeats",
        "daily_cap",
        "while_paused",
        "postback_auth",
        "networks",
        "version",
    ];
    table("campaigns".to_owned(), &COLUMNS, if only.is_some() { &FOR_ADMINS } else { &[] })
}

pub(crate) fn postbacks() -> Table<PostbackListed> {
    static COLUMNS: [Column<PostbackListed>; 14] = [
        column("id", |postback, row| row.number(&postback.id)),
        column("received_at", |postback, row| row.number(postback.received_at)),
        column("method", |postback, row| row.text(postback.method.as_str())),
        column("source", |postback, row| row.text_if_any(postback.source)),
        column("parameters", |postback, row| row.text(&postback.parameters)),
        column("affiliate_id", |postback, row| row.number_if_any(postback.affiliate_id)),
        column("campaign_id", |postback, row| row.number_if_any(postback.campaign_id)),
        column("click_id", |postback, row| row.text_if_any(postback.click_id.as_ref())),
        column("conversion_id", |postback, row| row.number_if_any(postback.conversion_id)),
        column("outcome", |postback, row| row.text(postback.outcome)),
        column("status", |postback, row| row.number(postback.status)),
        column("problem", |postback, row| row.text_if_any(postback.problem.as_ref())),
        column("remedy", |postback, row| row.text_if_any(postback.remedy)),
        column("calls", |postback, row| row.number(postback.calls)),
    ];
    table("postbacks".to_owned(), &COLUMNS, &[])
}

const fn column<T>(name: &'static str, write: fn(&T, &mut Row)) -> Column<T> {
    Column { name, write }
}

fn json(row: &mut Row, value: Option<&impl Serialize>) {
    row.text_if_any(value.and_then(|value| serde_json::to_string(value).ok()));
}
