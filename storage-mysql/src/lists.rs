//! Pages and summaries.

use sqlx::mysql::MySqlRow;
use sqlx::{Error, Row};
use tracking_core::{
    Affiliate, AffiliateId, Campaign, CampaignId, Click, Conversion, Currency, Cursor, Page, PageRequest, StoreError,
    Summary, Tally,
};

use crate::attempt::store_error;
use crate::counters::ALL_TIMES;
use crate::rows;
use crate::sql::Sql;
use crate::store::Database;

impl Database {
    pub(crate) async fn affiliate(&self, id: AffiliateId) -> Result<Affiliate, StoreError> {
        let query = |sql: &mut Sql| {
            sql.push("SELECT ").push(rows::AFFILIATE).push(" FROM ").table(&self.prefix, "affiliates");
            sql.push(" WHERE id = ").number(id.as_u64());
        };
        let found = self.read("find affiliate", query, rows::affiliate).await?;
        found.into_iter().next().ok_or(StoreError::UnknownAffiliate(id))
    }

    pub(crate) async fn affiliates(&self, request: PageRequest) -> Result<Page<Affiliate>, StoreError> {
        let query = |sql: &mut Sql| {
            sql.push("SELECT ").push(rows::AFFILIATE).push(" FROM ").table(&self.prefix, "affiliates");
            page(sql.push(" WHERE TRUE"), "created_at", "id", request);
        };
        let found = self.read("list affiliates", query, rows::affiliate).await?;
        Ok(Page::from_one_more(found, request.limit, |row| Cursor::after(row.created_at, row.id)))
    }

    pub(crate) async fn campaign(&self, id: CampaignId) -> Result<Campaign, StoreError> {
        let query = |sql: &mut Sql| {
            sql.push("SELECT ").push(rows::CAMPAIGN).push(" FROM ").table(&self.prefix, "campaigns");
            sql.push(" WHERE id = ").number(id.as_u64());
        };
        let found = self.read("find campaign", query, rows::campaign).await?;
        found.into_iter().next().ok_or(StoreError::UnknownCampaign(id))
    }

    pub(crate) async fn campaigns(&self, request: PageRequest) -> Result<Page<Campaign>, StoreError> {
        let query = |sql: &mut Sql| {
            sql.push("SELECT ").push(rows::CAMPAIGN).push(" FROM ").table(&self.prefix, "campaigns");
            page(sql.push(" WHERE TRUE"), "created_at", "id", request);
        };
        let found = self.read("list campaigns", query, rows::campaign).await?;
        Ok(Page::from_one_more(found, request.limit, |row| Cursor::after(row.created_at, row.id)))
    }

    pub(crate) async fn clicks(&self, affiliate: AffiliateId, request: PageRequest) -> Result<Page<Click>, StoreError> {
        let query = |sql: &mut Sql| {
            sql.push("SELECT ").push(rows::CLICK).push(" FROM ");
            self.page_of(sql, "clicks", affiliate, request);
            sql.push(" JOIN ").table(&self.prefix, "clicks").push(" ON id = number ORDER BY timestamp DESC, id DESC");
        };
        let found = self.read("list clicks", query, rows::click).await?;
        self.check_owner(affiliate, found.is_empty()).await?;
        Ok(Page::from_one_more(found, request.limit, |row| Cursor::after(row.created_at, row.id)))
    }

    pub(crate) async fn conversions(
        &self,
        affiliate: AffiliateId,
        request: PageRequest,
    ) -> Result<Page<Conversion>, StoreError> {
        let query = |sql: &mut Sql| {
            sql.push("SELECT ").push(rows::CONVERSION).push(", c.click_id AS click FROM ");
            self.page_of(sql, "conversions", affiliate, request);
            sql.push(" JOIN ").table(&self.prefix, "conversions").push(" v ON v.id = number JOIN ");
            sql.table(&self.prefix, "clicks").push(" c ON c.id = v.click_id ORDER BY v.timestamp DESC, v.id DESC");
        };
        let found = self.read("list conversions", query, rows::conversion_with_click).await?;
        self.check_owner(affiliate, found.is_empty()).await?;
        Ok(Page::from_one_more(found, request.limit, |row| Cursor::after(row.created_at, row.id)))
    }

    pub(crate) async fn summary(&self, affiliate: AffiliateId) -> Result<Summary, StoreError> {
        let query = |sql: &mut Sql| {
            sql.push("SELECT currency, status, CAST(SUM(clicks) AS SIGNED) AS clicks, ");
            sql.push("CAST(SUM(human_clicks) AS SIGNED) AS human_clicks, ");
            sql.push("CAST(SUM(unique_clicks) AS SIGNED) AS unique_clicks, ");
            sql.push("CAST(SUM(conversions) AS SIGNED) AS conversions, ");
            sql.push("SUM(amount) AS amount, SUM(payout) AS payout FROM ");
            sql.table(&self.prefix, "counters").push(" WHERE affiliate_id = ").number(affiliate.as_u64());
            sql.push(" AND quarter_hour = ").push(ALL_TIMES).push(" GROUP BY currency, status");
        };
        let to_summary = |row: &MySqlRow| {
            let mut summary = Summary {
                clicks: rows::number(row, "clicks")?,
                human_clicks: rows::number(row, "human_clicks")?,
                unique_clicks: rows::number(row, "unique_clicks")?,
                ..Summary::default()
            };
            if let Some(currency) = rows::text_or_nothing::<Currency>(row, "currency")? {
                let tally = summary.tally_mut(rows::status(row, "status")?);
                tally.conversions = rows::number(row, "conversions")?;
                tally.revenue.add_sum(row.try_get("amount")?, currency);
                tally.payout.add_sum(row.try_get("payout")?, currency);
            }
            Ok(summary)
        };
        let parts = self.read("summarize", query, to_summary).await?;
        self.check_owner(affiliate, parts.is_empty()).await?;
        Ok(parts.into_iter().fold(Summary::default(), |whole, part| Summary {
            clicks: whole.clicks + part.clicks,
            human_clicks: whole.human_clicks + part.human_clicks,
            unique_clicks: whole.unique_clicks + part.unique_clicks,
            pending: plus(&whole.pending, &part.pending),
            approved: plus(&whole.approved, &part.approved),
            rejected: plus(&whole.rejected, &part.rejected),
        }))
    }

    /// Writes, as a table, the numbers of one page of an affiliate's records.
    ///
    /// The index itself has them. Where it has not all that a query asks for, MariaDB enters it at the newest record, and
    /// reads and passes over all that is before the page.
    fn page_of(&self, sql: &mut Sql, table: &'static str, affiliate: AffiliateId, request: PageRequest) {
        sql.push("(SELECT id AS number FROM ").table(&self.prefix, table);
        sql.push(" WHERE affiliate_id = ").number(affiliate.as_u64());
        page(sql, "timestamp", "id", request);
        sql.push(") p");
    }

    /// Where nothing was found the affiliate itself may be missing. Where something was, it is there.
    pub(crate) async fn check_owner(&self, affiliate: AffiliateId, is_empty: bool) -> Result<(), StoreError> {
        if is_empty { self.affiliate(affiliate).await.map(drop) } else { Ok(()) }
    }

    pub(crate) async fn read<T>(
        &self,
        operation: &'static str,
        query: impl Fn(&mut Sql),
        to_record: impl Fn(&MySqlRow) -> Result<T, Error>,
    ) -> Result<Vec<T>, StoreError> {
        let records = async { self.reader().rows(query).await?.iter().map(to_record).collect::<Result<_, _>>() };
        records.await.map_err(|error| store_error(operation, error))
    }
}

/// The part of a query that picks one page of its rows, and one more, which tells that there is a next page.
pub(crate) fn page(sql: &mut Sql, time: &'static str, id: &'static str, request: PageRequest) {
    if let Some(after) = request.after {
        // Not as a comparison of pairs, which neither server takes to its index.
        sql.push(" AND ").push(time).push(" <= ").time(after.created_at());
        sql.push(" AND (").push(time).push(" < ").time(after.created_at());
        sql.push(" OR ").push(id).push(" < ").number(after.id()).push(")");
    }
    sql.push(" ORDER BY ").push(time).push(" DESC, ").push(id).push(" DESC LIMIT ");
    sql.number(request.limit.as_usize() as u64 + 1);
}

fn plus(one: &Tally, other: &Tally) -> Tally {
    Tally {
        conversions: one.conversions + other.conversions,
        revenue: one.revenue.plus(&other.revenue),
        payout: one.payout.plus(&other.payout),
    }
}
