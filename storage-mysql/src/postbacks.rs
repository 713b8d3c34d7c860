//! The postback log.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use sqlx::mysql::MySqlRow;
use sqlx::{Error, raw_sql};
use tokio::time::Instant;
use tracking_core::{
    AffiliateId, CampaignId, ClickId, ConversionId, OutcomeKind, Page, PageRequest, Postback, PostbackFilter,
    StoreError, Timestamp,
};

use crate::attempt::{Failure, Lease, Patience, Reader, change, is_unavailable, store_error, within};
use crate::lists::page;
use crate::rows;
use crate::sql::{Sql, TablePrefix};
use crate::store::Database;

const COLUMNS: &str = "l.received_at, l.id, l.method, l.source, CAST(l.parameters AS BINARY) AS parameters, l.affiliate_id, \
     l.campaign_id, l.click_id, l.conversion_id, l.outcome, CAST(l.summary AS BINARY) AS summary, l.calls";

/// How many are removed, or made anonymous, in one transaction.
const AT_ONCE: u64 = 2_000;

/// How many rows a look for the end of those that are too many goes over, and how many looks there are in a call.
const AT_ONE_LOOK: u64 = 50_000;
const LOOKS: u32 = 10;

/// How many times as long as anything else it may take to count the log.
const PATIENCE_TO_COUNT: u32 = 12;

/// What becomes of the rows that are too many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Excess {
    Removed,
    /// Some are for the next call.
    IsLeft,
}

/// When the log was counted last.
#[derive(Debug, Default)]
pub(crate) struct LogSize {
    /// How many rows this process has added since.
    added: AtomicU64,
    counted: Mutex<Option<Counted>>,
}

#[derive(Debug, Clone, Copy)]
struct Counted {
    /// How many rows were to be kept.
    keep: u64,
    at: Instant,
}

impl LogSize {
    /// For how long a count holds, whatever other processes add meanwhile.
    const LIFETIME: Duration = Duration::from_secs(60 * 60);

    /// Whether there may be more than `keep` by so many that it matters. Each of several processes may add a hundredth
    /// before it counts again.
    fn is_due(&self, keep: u64) -> bool {
        let is_known = self.counted.lock().is_some_and(|counted| {
            counted.keep == keep
                && counted.at.elapsed() < Self::LIFETIME
                && self.added.load(Ordering::Relaxed) < keep / 100
        });
        !is_known
    }

    fn note(&self, keep: u64) {
        *self.counted.lock() = Some(Counted { keep, at: Instant::now() });
    }

    fn forget(&self) {
        *self.counted.lock() = None;
    }
}

impl Database {
    /// In statements of their own, which commit by themselves: whoever records a conversion does not wait for them.
    pub(crate) async fn log_postbacks(&self, postbacks: &[Postback]) -> Result<(), StoreError> {
        let mut rest = postbacks;
        let mut patience = Patience::new(self.timeout);
        while !rest.is_empty() {
            match self.log_some(rest, patience.deadline()).await {
                Ok(logged) => {
                    rest = &rest[logged..];
                    patience = Patience::new(self.timeout);
                }
                // What has been added after all is left as it is.
                Err(error) if is_unavailable(&error) && patience.pause().await => {}
                Err(error) => return Err(store_error("log postbacks", error)),
            }
        }
        Ok(())
    }

    /// Adds as many of the first ones as the server takes at once, and tells how many they were.
    async fn log_some(&self, postbacks: &[Postback], deadline: Instant) -> Result<usize, Error> {
        let most_bytes = self.writer(deadline).await?.most_bytes;
        let (sql, rows) = insert(&self.prefix, postbacks, most_bytes);
        let mut lease = Lease::take(&self.pool, deadline).await?;
        match within(deadline, raw_sql(sql).execute(lease.connection())).await {
            Ok(_) => {
                lease.give_back();
                self.log_size.added.fetch_add(rows as u64, Ordering::Relaxed);
                Ok(rows)
            }
            Err(error) => {
                lease.give_back_after(&error);
                Err(error)
            }
        }
    }

    pub(crate) async fn postbacks(
        &self,
        filter: &PostbackFilter,
        request: PageRequest,
    ) -> Result<Page<Postback>, StoreError> {
        if outcomes(filter).next().is_none() {
            return Ok(Page { items: Vec::new(), next: None });
        }
        let query = |sql: &mut Sql| {
            sql.push("SELECT ").push(COLUMNS).push(" FROM (");
            self.places(sql, filter, request);
            sql.push(") p JOIN ").table(&self.prefix, "postbacks");
            sql.push(" l ON l.received_at = p.received_at AND l.id = p.id ORDER BY l.received_at DESC, l.id DESC");
        };
        let found = self.read("list postbacks", query, postback).await?;
        Ok(Page::from_one_more(found, request.limit, Postback::cursor))
    }

    /// Writes the query for the places of one page. Each outcome is read by itself, the latest of each, because few postbacks
    /// may have one that is asked for, and because that is how they stand in the keys.
    fn places(&self, sql: &mut Sql, filter: &PostbackFilter, request: PageRequest) {
        let key = match filter {
            PostbackFilter { click_id: Some(_), .. } => "click",
            PostbackFilter { campaign_id: Some(_), affiliate_id: Some(_), .. } => "pair",
            PostbackFilter { campaign_id: Some(_), .. } => "campaign",
            PostbackFilter { affiliate_id: Some(_), .. } => "affiliate",
            PostbackFilter { outcome: Some(_), .. } | PostbackFilter { problems_only: true, .. } => "outcome",
            _ => return self.places_by(sql, "PRIMARY", None, filter, request),
        };
        sql.separated(" UNION ALL ", outcomes(filter), |sql, outcome| {
            sql.push("(");
            self.places_by(sql, key, Some(outcome), filter, request);
            sql.push(")");
        });
        sql.push(" ORDER BY received_at DESC, id DESC LIMIT ").number(request.limit.as_usize() as u64 + 1);
    }

    /// Writes the query for the places of one page, all of this outcome if there is one, by this key.
    fn places_by(
        &self,
        sql: &mut Sql,
        key: &'static str,
        outcome: Option<OutcomeKind>,
        filter: &PostbackFilter,
        request: PageRequest,
    ) {
        sql.push("SELECT received_at, id FROM ").table(&self.prefix, "postbacks");
        sql.push(" FORCE INDEX (").push(key).push(") WHERE TRUE");
        if let Some(click_id) = &filter.click_id {
            sql.push(" AND click_id = ").ascii(click_id.as_str());
        }
        if let Some(campaign) = filter.campaign_id {
            sql.push(" AND campaign_id = ").number(campaign.as_u64());
        }
        if let Some(affiliate) = filter.affiliate_id {
            sql.push(" AND affiliate_id = ").number(affiliate.as_u64());
        }
        if let Some(outcome) = outcome {
            sql.push(" AND outcome = ").ascii(outcome.code());
        }
        if let Some(from) = filter.from {
            sql.push(" AND received_at >= ").time(from);
        }
        if let Some(to) = filter.to {
            sql.push(" AND received_at < ").time(to);
        }
        page(sql, "received_at", "id", request);
    }

    pub(crate) async fn purge_postbacks(&self, before: Timestamp, keep: u64) -> Result<(), StoreError> {
        self.remove_postbacks(|sql| _ = sql.push("received_at < ").time(before)).await?;
        if !self.log_size.is_due(keep) {
            return Ok(());
        }
        let added = self.log_size.added.swap(0, Ordering::Relaxed);
        let purged = self.remove_excess(keep).await;
        match &purged {
            Ok(Excess::Removed) => self.log_size.note(keep),
            Ok(Excess::IsLeft) => self.log_size.forget(),
            Err(_) => _ = self.log_size.added.fetch_add(added, Ordering::Relaxed),
        }
        purged.map(drop)
    }

    /// Removes the oldest until no more than `keep` are left, or until it has done enough for a call.
    async fn remove_excess(&self, keep: u64) -> Result<Excess, StoreError> {
        let deadline = Instant::now() + self.timeout * PATIENCE_TO_COUNT;
        let last = within(deadline, self.last_of_excess(keep, deadline)).await;
        let Some(((time, id), excess)) = last.map_err(|error| store_error(PURGE, error))? else {
            return Ok(Excess::Removed);
        };
        let up_to_last = |sql: &mut Sql| {
            sql.push("received_at <= ").time(time);
            sql.push(" AND (received_at < ").time(time).push(" OR id <= ").number(id).push(")");
        };
        self.remove_postbacks(up_to_last).await?;
        Ok(excess)
    }

    /// The newest of those that are too many, if there are any, as far as one call goes; and whether there are more.
    async fn last_of_excess(&self, keep: u64, deadline: Instant) -> Result<Option<((Timestamp, u64), Excess)>, Error> {
        // Counted and found at one moment, whatever another process is removing.
        let mut lease = self.snapshot(deadline).await?;
        let count = |sql: &mut Sql| {
            // The narrowest key.
            sql.push("SELECT COUNT(*) AS number FROM ").table(&self.prefix, "postbacks");
            sql.push(" FORCE INDEX (outcome)");
        };
        let mut reader = Reader::Transaction(lease.connection());
        let count = reader.rows(count).await?;
        let count: u64 = count.iter().map(|row| rows::number(row, "number")).sum::<Result<_, _>>()?;
        // And a few more, lest there be as much to do again in a minute.
        let mut excess = if count > keep { count - (keep - keep / 20) } else { 0 };
        let mut last: Option<(Timestamp, u64)> = None;
        for _ in 0..LOOKS {
            let looked_at = excess.min(AT_ONE_LOOK);
            if looked_at == 0 {
                break;
            }
            let next = |sql: &mut Sql| {
                sql.push("SELECT received_at, id FROM ").table(&self.prefix, "postbacks");
                sql.push(" FORCE INDEX (PRIMARY)");
                if let Some((time, id)) = last {
                    sql.push(" WHERE received_at >= ").time(time);
                    sql.push(" AND (received_at > ").time(time).push(" OR id > ").number(id).push(")");
                }
                sql.push(" ORDER BY received_at, id LIMIT 1 OFFSET ").number(looked_at - 1);
            };
            let found = reader.rows(next).await?;
            let Some(row) = found.first() else { break };
            last = Some((rows::time(row, "received_at")?, rows::number(row, "id")?));
            excess -= looked_at;
        }
        raw_sql("COMMIT").execute(lease.connection()).await?;
        lease.give_back();
        let excess = if excess == 0 { Excess::Removed } else { Excess::IsLeft };
        Ok(last.map(|last| (last, excess)))
    }

    /// Removes those to which this applies, the oldest first, a few at a time.
    async fn remove_postbacks(&self, condition: impl Fn(&mut Sql)) -> Result<(), StoreError> {
        let delete = |sql: &mut Sql| {
            sql.push("DELETE FROM ").table(&self.prefix, "postbacks").push(" WHERE ");
            condition(sql);
            sql.push(" ORDER BY received_at, id LIMIT ").number(AT_ONCE);
        };
        self.change_in_steps(PURGE, delete).await
    }

    /// Makes those that named this click anonymous.
    pub(crate) async fn erase_from_log(&self, click_id: &ClickId, replacement: &ClickId) -> Result<(), StoreError> {
        let update = |sql: &mut Sql| {
            sql.push("UPDATE ").table(&self.prefix, "postbacks").push(" FORCE INDEX (click)");
            sql.push(" SET parameters = '', click_id = ").ascii(replacement.as_str());
            sql.push(" WHERE click_id = ").ascii(click_id.as_str()).push(" LIMIT ").number(AT_ONCE);
        };
        self.change_in_steps("erase clicks", update).await
    }

    /// Repeats a statement that changes [`AT_ONCE`] rows at the most until there are none left.
    async fn change_in_steps(&self, operation: &'static str, write: impl Fn(&mut Sql)) -> Result<(), StoreError> {
        let mut patience = Patience::new(self.timeout);
        loop {
            let mut sql = Sql::default();
            write(&mut sql);
            match change(self, vec![sql], patience.deadline()).await {
                Ok(changed) if changed < AT_ONCE => return Ok(()),
                Ok(_) => patience = Patience::new(self.timeout),
                Err(error) if Failure::of(&error).may_pass() && patience.pause().await => {}
                Err(error) => return Err(store_error(operation, error)),
            }
        }
    }
}

const PURGE: &str = "purge postbacks";

/// The outcomes that this filter lets through.
fn outcomes(filter: &PostbackFilter) -> impl Iterator<Item = OutcomeKind> {
    let is_wanted = |kind: &OutcomeKind| {
        filter.outcome.is_none_or(|wanted| wanted == *kind) && !(filter.problems_only && kind.is_success())
    };
    OutcomeKind::ALL.iter().copied().filter(is_wanted)
}

/// The statement that adds as many of the first ones as fit into so many bytes, at least one, and how many they are.
fn insert(prefix: &TablePrefix, postbacks: &[Postback], most_bytes: usize) -> (Sql, usize) {
    let mut sql = Sql::default();
    sql.push("INSERT INTO ").table(prefix, "postbacks");
    sql.push(
        " (received_at, id, method, source, parameters, affiliate_id, campaign_id, click_id, conversion_id, outcome, ",
    );
    sql.push("summary, calls) VALUES ");
    let mut rows = 0;
    for postback in postbacks {
        let mut row = Sql::default();
        row.push("(").time(postback.received_at).push(", ").number(postback.id);
        row.push(", ").ascii(postback.method.as_str()).push(", ");
        match postback.source {
            Some(address) => row.ascii(&address.to_string()),
            None => row.push("''"),
        };
        row.push(", ").text(&postback.parameters);
        row.push(", ").number_or_null(postback.affiliate_id.map(AffiliateId::as_u64));
        row.push(", ").number_or_null(postback.campaign_id.map(CampaignId::as_u64));
        row.push(", ").ascii_or_null(postback.click_id.as_ref().map(ClickId::as_str));
        row.push(", ").number_or_null(postback.conversion_id.map(ConversionId::as_u64));
        row.push(", ").ascii(postback.outcome.code()).push(", ").text(&postback.summary);
        row.push(", ").number(postback.calls).push(")");
        if rows > 0 && sql.len() + row.len() > most_bytes {
            break;
        }
        if rows > 0 {
            sql.push(", ");
        }
        sql.statement(&row);
        rows += 1;
    }
    sql.push(" ON DUPLICATE KEY UPDATE calls = calls");
    (sql, rows)
}

fn postback(row: &MySqlRow) -> Result<Postback, Error> {
    let number = rows::number_or_null;
    Ok(Postback {
        id: rows::number(row, "id")?,
        received_at: rows::time(row, "received_at")?,
        method: rows::parse("method", rows::text(row, "method")?.parse())?,
        source: match rows::text(row, "source")? {
            "" => None,
            text => Some(text.parse().map_err(|error| rows::decode("source", error))?),
        },
        parameters: rows::text(row, "parameters")?.to_owned(),
        affiliate_id: number(row, "affiliate_id")?
            .map(|id| rows::parse("affiliate_id", AffiliateId::new(id)))
            .transpose()?,
        campaign_id: number(row, "campaign_id")?
            .map(|id| rows::parse("campaign_id", CampaignId::new(id)))
            .transpose()?,
        click_id: rows::text_or_null(row, "click_id")?.map(|text| rows::parse("click_id", text.parse())).transpose()?,
        conversion_id: number(row, "conversion_id")?
            .map(|id| rows::parse("conversion_id", ConversionId::new(id)))
            .transpose()?,
        outcome: rows::parse("outcome", rows::text(row, "outcome")?.parse())?,
        summary: rows::text(row, "summary")?.to_owned(),
        calls: rows::number(row, "calls")?,
    })
}
