//! New conversions.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use sqlx::mysql::MySqlRow;
use sqlx::{Error, MySqlConnection, raw_sql};
use tracking_core::{
    AffiliateId, CampaignId, Click, ClickId, ClickRecordId, Conversion, ConversionId, ConversionStatus, EventName,
    NewConversion, ParseError, Payout, Timestamp, TransactionId, async_trait,
};

use crate::attempt::{Failure, Reader, moved};
use crate::clicks;
use crate::columns::{Column, Columns, Value};
use crate::counters::Changes;
use crate::details::sub_id;
use crate::inserts::{Findings, Kind, Refusal, Row, Verdict};
use crate::lookups::is_same;
use crate::numbers::Sequence;
use crate::rows;
use crate::sql::{Sql, TablePrefix};
use crate::store::Database;

/// What is not the default of its column in few conversions.
const COLUMNS: &[Column<NewConversion>] = &[
    Column { name: "status", value: |new| Value::Choice(new.status.as_str(), ConversionStatus::Approved.as_str()) },
    Column { name: "payout", value: |new| Value::Decimal(new.payout.map(Payout::amount)) },
    Column { name: "payout_currency", value: |new| Value::Code(new.payout.map(|payout| payout.currency().code())) },
    Column { name: "occurred_at", value: |new| Value::Time(new.occurred_at) },
    Column { name: "sub1", value: |new| sub_id(&new.sub_ids, 0) },
    Column { name: "sub2", value: |new| sub_id(&new.sub_ids, 1) },
    Column { name: "sub3", value: |new| sub_id(&new.sub_ids, 2) },
    Column { name: "sub4", value: |new| sub_id(&new.sub_ids, 3) },
    Column { name: "sub5", value: |new| sub_id(&new.sub_ids, 4) },
];

#[derive(Debug)]
pub(crate) struct Conversions {
    pub(crate) database: Arc<Database>,
    pub(crate) numbers: Sequence,
}

type Identity = (ClickRecordId, EventName, Option<TransactionId>);

/// What the caller demands of a conversion that is no duplicate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Demands {
    is_only_one: bool,
    daily_cap: Option<u32>,
}

impl Demands {
    const NONE: Self = Self { is_only_one: false, daily_cap: None };

    const fn of(new: &NewConversion) -> Self {
        Self { is_only_one: new.is_only_one, daily_cap: new.daily_cap }
    }
}

/// What conversions that have demands wait for.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) enum Turn {
    OfCampaign(CampaignId),
    OfClick(ClickRecordId),
}

#[async_trait]
impl Kind for Conversions {
    const OPERATION: &'static str = "insert conversion";
    type New = NewConversion;
    type Record = Conversion;
    /// With the rest of the click, which the caller may have wrong, and with what is demanded: what one is refused for may
    /// be no matter to another.
    type Identity = (Identity, AffiliateId, CampaignId, ClickId, Demands);
    type Note = Turn;

    fn numbers(&self) -> &Sequence {
        &self.numbers
    }

    fn identity(new: &NewConversion) -> Self::Identity {
        let Click { affiliate_id, campaign_id, click_id, .. } = &new.click;
        (identity(new), *affiliate_id, *campaign_id, click_id.clone(), Demands::of(new))
    }

    fn note(new: &NewConversion) -> Option<Turn> {
        match Demands::of(new) {
            Demands { daily_cap: Some(_), .. } => Some(Turn::OfCampaign(new.click.campaign_id)),
            Demands { is_only_one: true, .. } => Some(Turn::OfClick(new.click.id)),
            Demands::NONE => None,
        }
    }

    fn record(new: NewConversion, number: u64) -> Result<Conversion, ParseError> {
        Ok(new.into_conversion(ConversionId::new(number)?))
    }

    fn statements(&self, rows: &[Row<NewConversion>], slot: u8) -> Vec<Sql> {
        let prefix = &self.database.prefix;
        let mut sql = Sql::with_capacity(256 + 320 * rows.len());
        let columns = Columns::of(COLUMNS, rows.iter().map(|row| &row.new));
        sql.push("INSERT INTO ").table(prefix, "conversions");
        sql.push(" (id, click_id, affiliate_id, campaign_id, event, transaction_id, amount, currency, timestamp");
        columns.write_names(&mut sql);
        sql.push(") VALUES ");
        sql.separated(", ", rows, |sql, Row { number, new, .. }| {
            sql.push("(").number(*number).push(", ").number(new.click.id.as_u64());
            sql.push(", ").number(new.click.affiliate_id.as_u64()).push(", ").number(new.click.campaign_id.as_u64());
            sql.push(", ").ascii(new.event.as_str()).push(", ").ascii(transaction_id(new.transaction_id.as_ref()));
            sql.push(", ").decimal(new.amount.as_decimal()).push(", ").ascii(new.currency.code());
            sql.push(", ").time(new.created_at);
            columns.write_values(sql, new);
            sql.push(")");
        });
        let mut changes = Changes::default();
        rows.iter().for_each(|row| changes.count_conversion(&row.new));
        vec![sql, changes.statement(prefix, slot)]
    }

    async fn look(
        &self,
        reader: &mut Reader<'_>,
        rows: &mut [Row<NewConversion>],
        failed: Option<Failure>,
    ) -> Result<Findings<Conversion>, Error> {
        let prefix = &self.database.prefix;
        if failed.is_none() && self.database.seen_clicks.take_all(rows.iter().map(|row| &row.new.click)) {
            return Ok(Findings::NOTHING);
        }
        let mut clicks = HashMap::new();
        let numbers = rows.iter().map(|row| row.new.click.id.as_u64());
        for row in reader.rows(|sql| clicks::select_numbers(sql, prefix, numbers.clone())).await? {
            let click = rows::click(&row)?;
            clicks.insert(click.id, click);
        }
        let is_there = |click: &Click| clicks.get(&click.id).is_some_and(|found| is_same(found, click));
        let absent = rows.iter().map(|row| &row.new.click).filter(|click| !is_there(click));
        let ids = absent.map(|click| (click.affiliate_id, click.campaign_id));
        self.database.known.forget(ids.clone());
        let missing = self.database.known.missing(reader, prefix, ids).await?;

        let mut found: HashMap<Identity, MySqlRow> = HashMap::new();
        if failed.is_some() {
            for row in reader.rows(|sql| select(sql, prefix, rows.iter().map(|row| &row.new))).await? {
                found.insert(identity_of(&row)?, row);
            }
        }
        // Its click may have been erased since it was recorded, and nobody heard of it.
        let own = |row: &Row<NewConversion>| {
            let (Some(found), Some(click)) = (found.get(&identity(&row.new)), clicks.get(&row.new.click.id)) else {
                return Ok(None);
            };
            let found = rows::conversion(found, click.click_id.clone())?;
            Ok::<_, Error>((found.id.as_u64() == row.number).then_some(found))
        };
        let verdict = |row: &Row<NewConversion>| {
            let click = &row.new.click;
            Ok(if missing.affiliates.contains(&click.affiliate_id) {
                Some(Verdict::UnknownAffiliate(click.affiliate_id))
            } else if missing.campaigns.contains(&click.campaign_id) {
                Some(Verdict::UnknownCampaign(click.campaign_id))
            } else if let Some(own) = own(row)? {
                Some(Verdict::New(own))
            } else if !is_there(click) {
                Some(Verdict::UnknownClick(click.click_id.clone()))
            } else if let Some(found) = found.get(&identity(&row.new)) {
                Some(Verdict::Duplicate(rows::conversion(found, click.click_id.clone())?))
            } else {
                None
            })
        };
        let verdicts = rows.iter().map(verdict).collect::<Result<_, Error>>()?;
        Ok(Findings { verdicts, are_rows_changed: false })
    }

    fn goes_alone(new: &NewConversion) -> bool {
        !new.alternatives.is_empty() || Demands::of(new) != Demands::NONE
    }

    /// A cap that is reached: that stays so for the day, for conversions are never deleted. What is a duplicate is one all
    /// the same, and what has other reasons to be refused has them first.
    async fn foresee(
        &self,
        reader: &mut Reader<'_>,
        rows: &[Row<NewConversion>],
    ) -> Result<Vec<Option<Verdict<Conversion>>>, Error> {
        let mut verdicts: Vec<_> = rows.iter().map(|_| None).collect();
        let mut asked = HashMap::new();
        let mut refused = Vec::new();
        for (place, Row { number, new, .. }) in rows.iter().enumerate() {
            let Some(cap) = new.daily_cap else { continue };
            let is_reached = match asked.entry((new.click.campaign_id, start_of_day(new.created_at), cap)) {
                Entry::Occupied(known) => *known.get(),
                Entry::Vacant(unknown) => *unknown.insert(self.is_seen_reached(reader, new, cap).await?),
            };
            if is_reached {
                refused.push((cap, Row { place, number: *number, new: new.clone() }));
            }
        }
        if refused.is_empty() {
            return Ok(verdicts);
        }
        let (caps, mut refused): (Vec<u32>, Vec<_>) = refused.into_iter().unzip();
        // With a look at conversions, too, as after an attempt that has failed.
        let findings = self.look(reader, &mut refused, Some(Failure::Duplicate)).await?;
        for ((cap, row), found) in caps.into_iter().zip(refused).zip(findings.verdicts) {
            let verdict = match found {
                None | Some(Verdict::Duplicate(_)) if !row.new.alternatives.is_empty() => {
                    let clicks = self.clicks_meant(reader, &row.new).await?;
                    let meant = meant(clicks, &row.new);
                    let found = reader.rows(|sql| same(sql, &self.database.prefix, &meant)).await?;
                    earliest(&found, &row.new)?.map(Verdict::Duplicate)
                }
                found => found,
            };
            let verdict = match verdict {
                None if row.new.is_only_one => {
                    let found = reader.rows(|sql| of_event(sql, &self.database.prefix, &row.new)).await?;
                    earliest(&found, &row.new)?.map(already_converted)
                }
                verdict => verdict,
            };
            let cap_is_reached = || Verdict::Refused(Refusal::DailyCapReached { cap });
            verdicts[row.place] = Some(verdict.unwrap_or_else(cap_is_reached));
        }
        Ok(verdicts)
    }

    async fn to_lock(&self, reader: &mut Reader<'_>, new: &NewConversion) -> Result<Vec<u64>, Error> {
        Ok(self.clicks_meant(reader, new).await?.iter().map(|click| click.id.as_u64()).collect())
    }

    /// Two calls that name each other's campaigns, or that demand the same, lock the same rows in the same order: first
    /// clicks, and then the turn of a campaign with a daily cap. So one of them sees what the other has inserted.
    async fn lock(
        &self,
        connection: &mut MySqlConnection,
        numbers: &[u64],
        mut committed: Option<&mut Reader<'_>>,
        row: &Row<NewConversion>,
    ) -> Result<Option<Verdict<Conversion>>, Error> {
        let (prefix, new) = (&self.database.prefix, &row.new);
        let mut clicks = Vec::new();
        if !numbers.is_empty() {
            let mut sql = Sql::default();
            clicks::select_numbers(&mut sql, prefix, numbers.iter().copied());
            sql.push(" ORDER BY id FOR UPDATE");
            let found = raw_sql(sql).fetch_all(&mut *connection).await?;
            clicks = found.iter().map(rows::click).collect::<Result<Vec<Click>, _>>()?;
        }
        if !clicks.iter().any(|found| is_same(found, &new.click)) {
            let verdict = self.what_is_missing(connection, committed, row).await?;
            // If it is there by now, then it is not locked.
            return verdict.map(Some).ok_or_else(moved);
        }
        for turn in take_turns(prefix, new, &clicks) {
            raw_sql(turn).execute(&mut *connection).await?;
        }
        // In a transaction that has just begun these are its first looks, so they see all that was there before the locks.
        let meant = meant(clicks, new);
        let query = |sql: &mut Sql| same(sql, prefix, &meant);
        if let Some(found) = earliest(&seen(connection, committed.as_deref_mut(), query).await?, new)? {
            return Ok(Some(row.meets(found.id.as_u64(), found)));
        }
        if new.is_only_one {
            let query = |sql: &mut Sql| of_event(sql, prefix, new);
            if let Some(found) = earliest(&seen(connection, committed.as_deref_mut(), query).await?, new)? {
                return Ok(Some(already_converted(found)));
            }
        }
        if let Some(cap) = new.daily_cap
            && self.is_reached(connection, committed, new, cap).await?
        {
            return Ok(Some(Verdict::Refused(Refusal::DailyCapReached { cap })));
        }
        Ok(None)
    }
}

impl Conversions {
    /// What it is that is not there of a conversion whose click is not as it says.
    async fn what_is_missing(
        &self,
        connection: &mut MySqlConnection,
        committed: Option<&mut Reader<'_>>,
        row: &Row<NewConversion>,
    ) -> Result<Option<Verdict<Conversion>>, Error> {
        let mut rows = [Row { place: row.place, number: row.number, new: row.new.clone() }];
        // Not by what was seen a moment ago, nor by what an old transaction still sees.
        let failed = Some(Failure::MissingReference);
        let findings = match committed {
            Some(reader) => self.look(reader, &mut rows, failed).await?,
            None => self.look(&mut Reader::Transaction(connection), &mut rows, failed).await?,
        };
        Ok(findings.verdicts.into_iter().next().flatten())
    }

    /// The clicks that this one may be of.
    async fn clicks_meant(&self, reader: &mut Reader<'_>, new: &NewConversion) -> Result<Vec<Click>, Error> {
        let click = [(new.click.affiliate_id, &new.click.click_id)];
        let query = |sql: &mut Sql| {
            if !new.alternatives.is_empty() {
                clicks::select(sql, &self.database.prefix, click.into_iter());
                sql.push(" UNION ");
            }
            // It may have another id by now. Then that is for whoever has locked it to see.
            clicks::select_numbers(sql, &self.database.prefix, [new.click.id.as_u64()].into_iter());
        };
        let found: Vec<Click> = reader.rows(query).await?.iter().map(rows::click).collect::<Result<_, _>>()?;
        let is_meant = |click: &Click| click.id == new.click.id || new.alternatives.contains(&click.campaign_id);
        Ok(found.into_iter().filter(is_meant).collect())
    }

    /// Whether the campaign has as many conversions of the day as it may have.
    ///
    /// By counting, and no number is kept: conversions without demands would have to change it, too, and wait for each
    /// other there.
    async fn is_reached(
        &self,
        connection: &mut MySqlConnection,
        committed: Option<&mut Reader<'_>>,
        new: &NewConversion,
        cap: u32,
    ) -> Result<bool, Error> {
        if committed.is_none() {
            return self.is_seen_reached(&mut Reader::Transaction(connection), new, cap).await;
        }
        // What the application's transaction has inserted nobody else sees, and what others have committed since it began
        // it may not see.
        let all = |sql: &mut Sql| {
            self.of_day(sql, new);
            sql.push(" LIMIT ").number(cap.into());
        };
        let found = seen(connection, committed, all).await?;
        let found: HashSet<u64> = found.iter().map(|row| rows::number(row, "id")).collect::<Result<_, _>>()?;
        Ok(found.len() as u64 >= u64::from(cap))
    }

    /// The same by what is seen in one place.
    async fn is_seen_reached(&self, reader: &mut Reader<'_>, new: &NewConversion, cap: u32) -> Result<bool, Error> {
        let Some(last) = cap.checked_sub(1) else { return Ok(true) };
        let last = |sql: &mut Sql| {
            self.of_day(sql, new);
            sql.push(" LIMIT 1 OFFSET ").number(last.into());
        };
        Ok(!reader.rows(last).await?.is_empty())
    }

    /// Writes the query for the conversions that are counted for this one's cap.
    fn of_day(&self, sql: &mut Sql, new: &NewConversion) {
        of_day(sql.push("SELECT id FROM "), &self.database.prefix, new.click.campaign_id, new.created_at);
    }
}

/// Writes the conversions of a campaign that were recorded on the same day in UTC as this, as a table with a condition.
pub(crate) fn of_day(sql: &mut Sql, prefix: &TablePrefix, campaign: CampaignId, time: Timestamp) {
    let start = start_of_day(time);
    sql.table(prefix, "conversions").push(" FORCE INDEX (daily) WHERE campaign_id = ").number(campaign.as_u64());
    // The last day ends where time does.
    let last = start.plus(DAY - Duration::from_millis(1));
    sql.push(" AND timestamp >= ").time(start).push(" AND timestamp <= ").time(last);
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn start_of_day(time: Timestamp) -> Timestamp {
    let into_day = time.as_millis() % DAY.as_millis() as i64;
    time.minus(Duration::from_millis(into_day.unsigned_abs()))
}

/// This conversion as one of each of these clicks.
fn meant(clicks: Vec<Click>, new: &NewConversion) -> Vec<NewConversion> {
    clicks.into_iter().map(|click| NewConversion { click, ..new.clone() }).collect()
}

/// What a transaction sees, and what others have committed.
async fn seen(
    connection: &mut MySqlConnection,
    committed: Option<&mut Reader<'_>>,
    query: impl Fn(&mut Sql),
) -> Result<Vec<MySqlRow>, Error> {
    let mut found = Reader::Transaction(connection).rows(&query).await?;
    if let Some(committed) = committed {
        found.extend(committed.rows(&query).await?);
    }
    Ok(found)
}

/// The earliest of these, as a conversion of this one's click id.
fn earliest(found: &[MySqlRow], new: &NewConversion) -> Result<Option<Conversion>, Error> {
    let found: Result<Vec<_>, _> =
        found.iter().map(|found| rows::conversion(found, new.click.click_id.clone())).collect();
    Ok(found?.into_iter().min_by_key(|found| (found.created_at, found.id)))
}

fn already_converted(found: Conversion) -> Verdict<Conversion> {
    Verdict::Refused(Refusal::AlreadyConverted(Box::new(found)))
}

/// Writes the query for the earliest conversion with one of these identities.
fn same(sql: &mut Sql, prefix: &TablePrefix, news: &[NewConversion]) {
    select(sql, prefix, news.iter());
    sql.push(" ORDER BY v.timestamp, v.id LIMIT 1");
}

/// Writes the query for the earliest conversion of this one's click and event.
fn of_event(sql: &mut Sql, prefix: &TablePrefix, new: &NewConversion) {
    sql.push("SELECT ").push(rows::CONVERSION).push(" FROM ").table(prefix, "conversions");
    sql.push(" v WHERE v.click_id = ").number(new.click.id.as_u64());
    sql.push(" AND v.event = ").ascii(new.event.as_str()).push(" ORDER BY v.timestamp, v.id LIMIT 1");
}

/// The statements after which nobody else does what he would have to do them for, too, until the transaction ends: insert a
/// conversion of one of these clicks that has alternatives, or that is to be the only one, or one of the campaign that is to
/// keep within a cap.
///
/// They change the rows, because nodes of a cluster know of no other lock of each other's.
fn take_turns(prefix: &TablePrefix, new: &NewConversion, clicks: &[Click]) -> Vec<Sql> {
    let mut turns = Vec::new();
    if new.is_only_one || !new.alternatives.is_empty() {
        let mut sql = Sql::default();
        sql.push("UPDATE ").table(prefix, "clicks").push(" FORCE INDEX (PRIMARY) SET turns = turns + 1 WHERE id IN (");
        sql.numbers(clicks.iter().map(|click| click.id.as_u64())).push(")");
        turns.push(sql);
    }
    if new.daily_cap.is_some() {
        let mut sql = Sql::default();
        sql.push("INSERT INTO ").table(prefix, "capped_campaigns").push(" (campaign_id, turns) VALUES (");
        sql.number(new.click.campaign_id.as_u64()).push(", 1) ON DUPLICATE KEY UPDATE turns = turns + 1");
        turns.push(sql);
    }
    turns
}

fn identity(new: &NewConversion) -> Identity {
    (new.click.id, new.event.clone(), new.transaction_id.clone())
}

fn identity_of(row: &MySqlRow) -> Result<Identity, Error> {
    Ok((
        rows::parse("click_id", ClickRecordId::new(rows::number(row, "click_id")?))?,
        rows::parse("event", rows::text(row, "event")?.parse())?,
        rows::transaction_id(row)?,
    ))
}

/// As it is in the table.
pub(crate) fn transaction_id(id: Option<&TransactionId>) -> &str {
    id.map_or("", TransactionId::as_str)
}

/// Writes the query for conversions with these identities.
fn select<'a>(sql: &mut Sql, prefix: &TablePrefix, news: impl Iterator<Item = &'a NewConversion>) {
    sql.push("SELECT ").push(rows::CONVERSION).push(" FROM ").table(prefix, "conversions").push(" v WHERE (");
    sql.separated(" OR ", news, |sql, new| {
        sql.push("v.click_id = ").number(new.click.id.as_u64());
        sql.push(" AND v.event = ").ascii(new.event.as_str());
        sql.push(" AND v.transaction_id = ").ascii(transaction_id(new.transaction_id.as_ref()));
    });
    sql.push(")");
}
