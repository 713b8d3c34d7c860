//! New conversions.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;

use sqlx::mysql::MySqlRow;
use sqlx::{Error, MySqlConnection, raw_sql};
use tracking_core::{
    AffiliateId, CampaignId, Click, ClickId, ClickRecordId, Conversion, ConversionId, EventName, NewConversion,
    ParseError, TransactionId, async_trait,
};

use crate::attempt::{Failure, Reader};
use crate::clicks;
use crate::counters::Changes;
use crate::inserts::{Findings, Kind, Row, Verdict};
use crate::lookups::is_same;
use crate::numbers::Sequence;
use crate::rows;
use crate::sql::{Sql, TablePrefix};
use crate::store::Database;

const COLUMNS: &str = "id, click_id, affiliate_id, campaign_id, event, transaction_id, amount, currency, timestamp";

#[derive(Debug)]
pub(crate) struct Conversions {
    pub(crate) database: Arc<Database>,
    pub(crate) numbers: Sequence,
}

type Identity = (ClickRecordId, EventName, Option<TransactionId>);

#[async_trait]
impl Kind for Conversions {
    const OPERATION: &'static str = "insert conversion";
    type New = NewConversion;
    type Record = Conversion;
    /// With the rest of the click, which the caller may have wrong.
    type Identity = (Identity, AffiliateId, CampaignId, ClickId);
    type Note = Infallible;

    fn numbers(&self) -> &Sequence {
        &self.numbers
    }

    fn identity(new: &NewConversion) -> Self::Identity {
        (identity(new), new.click.affiliate_id, new.click.campaign_id, new.click.click_id.clone())
    }

    fn note(_: &NewConversion) -> Option<Infallible> {
        None
    }

    fn record(new: NewConversion, number: u64) -> Result<Conversion, ParseError> {
        Ok(new.into_conversion(ConversionId::new(number)?))
    }

    fn statements(&self, rows: &[Row<NewConversion>], slot: u8) -> Vec<Sql> {
        let prefix = &self.database.prefix;
        let mut sql = Sql::with_capacity(256 + 320 * rows.len());
        sql.push("INSERT INTO ").table(prefix, "conversions").push(" (").push(COLUMNS).push(") VALUES ");
        sql.separated(", ", rows, |sql, Row { number, new, .. }| {
            sql.push("(").number(*number).push(", ").number(new.click.id.as_u64());
            sql.push(", ").number(new.click.affiliate_id.as_u64()).push(", ").number(new.click.campaign_id.as_u64());
            sql.push(", ").ascii(new.event.as_str()).push(", ").ascii(transaction_id(new));
            sql.push(", ").decimal(new.amount.as_decimal()).push(", ").ascii(new.currency.code());
            sql.push(", ").time(new.created_at).push(")");
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
        !new.alternatives.is_empty()
    }

    async fn to_lock(&self, reader: &mut Reader<'_>, new: &NewConversion) -> Result<Vec<u64>, Error> {
        let click = [(new.click.affiliate_id, &new.click.click_id)];
        let found = reader.rows(|sql| clicks::select(sql, &self.database.prefix, click.into_iter())).await?;
        let found: Vec<Click> = found.iter().map(rows::click).collect::<Result<_, _>>()?;
        let is_meant = |click: &&Click| click.id == new.click.id || new.alternatives.contains(&click.campaign_id);
        Ok(found.iter().filter(is_meant).map(|click| click.id.as_u64()).collect())
    }

    /// Two calls that name each other's campaigns lock the same clicks in the same order. So one of them sees what the
    /// other has inserted.
    async fn lock(
        &self,
        connection: &mut MySqlConnection,
        numbers: &[u64],
        committed: Option<&mut Reader<'_>>,
        row: &Row<NewConversion>,
    ) -> Result<Option<Verdict<Conversion>>, Error> {
        let (prefix, new) = (&self.database.prefix, &row.new);
        let mut sql = Sql::default();
        clicks::select_numbers(&mut sql, prefix, numbers.iter().copied());
        sql.push(" ORDER BY id FOR UPDATE");
        let clicks = raw_sql(sql).fetch_all(&mut *connection).await?;
        let clicks: Vec<Click> = clicks.iter().map(rows::click).collect::<Result<_, _>>()?;
        if !clicks.iter().any(|found| is_same(found, &new.click)) {
            // It will be seen what is missing.
            return Ok(None);
        }
        let meant: Vec<NewConversion> =
            clicks.into_iter().map(|click| NewConversion { click, ..new.clone() }).collect();
        let query = |sql: &mut Sql| {
            select(sql, prefix, meant.iter());
            sql.push(" ORDER BY timestamp, id LIMIT 1");
        };
        // In a transaction that has just begun this is its first look, so it sees all that was there before the lock.
        let mut found = Reader::Transaction(connection).rows(query).await?;
        if let Some(committed) = committed {
            found.extend(committed.rows(query).await?);
        }
        let found: Result<Vec<_>, _> =
            found.iter().map(|found| rows::conversion(found, new.click.click_id.clone())).collect();
        let earliest = found?.into_iter().min_by_key(|found| (found.created_at, found.id));
        Ok(earliest.map(|found| row.meets(found.id.as_u64(), found)))
    }
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

fn transaction_id(new: &NewConversion) -> &str {
    new.transaction_id.as_ref().map_or("", TransactionId::as_str)
}

/// Writes the query for conversions with these identities.
fn select<'a>(sql: &mut Sql, prefix: &TablePrefix, news: impl Iterator<Item = &'a NewConversion>) {
    sql.push("SELECT ").push(COLUMNS).push(" FROM ").table(prefix, "conversions").push(" WHERE (");
    sql.separated(" OR ", news, |sql, new| {
        sql.push("click_id = ").number(new.click.id.as_u64());
        sql.push(" AND event = ").ascii(new.event.as_str());
        sql.push(" AND transaction_id = ").ascii(transaction_id(new));
    });
    sql.push(")");
}
