//! Pages.

use sqlx::Error;
use sqlx::mysql::MySqlRow;
use tokio::time::Instant;
use tracking_core::{
    Affiliate, AffiliateId, Campaign, CampaignId, Click, ClickFilter, Conversion, ConversionFilter, ConversionStatus,
    Cursor, Page, PageRequest, Scope, StoreError, Timestamp,
};

use crate::attempt::{GRACE, Reader, is_time_over, store_error};
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

    pub(crate) async fn clicks(&self, filter: &ClickFilter, request: PageRequest) -> Result<Page<Click>, StoreError> {
        let query = |sql: &mut Sql| {
            sql.select_for(self.timeout).push(rows::CLICK);
            sql.push(" FROM (SELECT id AS number FROM ").table(&self.prefix, "clicks");
            sql.push(" FORCE INDEX (").push(keys_of_clicks(filter.scope)).push(") WHERE TRUE");
            within(sql, "", filter.scope, filter.from, filter.to);
            page(sql, "timestamp", "id", request);
            sql.push(") p JOIN ").table(&self.prefix, "clicks");
            sql.push(" ON id = number ORDER BY timestamp DESC, id DESC");
        };
        let found = self.read_page("list clicks", query, rows::click).await?;
        self.check_scope(filter.scope, found.is_empty()).await?;
        Ok(Page::from_one_more(found, request.limit, |row| Cursor::after(row.created_at, row.id)))
    }

    pub(crate) async fn conversions(
        &self,
        filter: &ConversionFilter,
        request: PageRequest,
    ) -> Result<Page<Conversion>, StoreError> {
        let keys = keys_of_conversions(filter.scope, filter.status);
        let query = |sql: &mut Sql| {
            sql.select_for(self.timeout).push(rows::CONVERSION);
            sql.push(", c.click_id AS click FROM (SELECT id AS number FROM ").table(&self.prefix, "conversions");
            sql.push(" FORCE INDEX (").push(keys).push(") WHERE TRUE");
            within(sql, "", filter.scope, filter.from, filter.to);
            if let Some(status) = filter.status {
                sql.push(" AND status = ").ascii(status.as_str());
            }
            page(sql, "timestamp", "id", request);
            sql.push(") p JOIN ").table(&self.prefix, "conversions").push(" v ON v.id = number JOIN ");
            sql.table(&self.prefix, "clicks").push(" c ON c.id = v.click_id ORDER BY v.timestamp DESC, v.id DESC");
        };
        let found = self.read_page("list conversions", query, rows::conversion_with_click).await?;
        self.check_scope(filter.scope, found.is_empty()).await?;
        Ok(Page::from_one_more(found, request.limit, |row| Cursor::after(row.created_at, row.id)))
    }

    /// Where nothing was found the affiliate or the campaign itself may be missing. Where something was, both are there.
    pub(crate) async fn check_scope(&self, scope: Scope, is_empty: bool) -> Result<(), StoreError> {
        if let Some(affiliate) = scope.affiliate_id.filter(|_| is_empty) {
            self.affiliate(affiliate).await?;
        }
        if let Some(campaign) = scope.campaign_id.filter(|_| is_empty) {
            self.campaign(campaign).await?;
        }
        Ok(())
    }

    /// What may have to pass many records before it has a page of those that were asked for.
    async fn read_page<T>(
        &self,
        operation: &'static str,
        query: impl Fn(&mut Sql),
        to_record: impl Fn(&MySqlRow) -> Result<T, Error>,
    ) -> Result<Vec<T>, StoreError> {
        let mut reader = Reader::Pool(&self.pool, Instant::now() + self.timeout + GRACE);
        let records = async { reader.rows(query).await?.iter().map(to_record).collect::<Result<_, _>>() };
        records.await.map_err(|error| match is_time_over(&error) {
            true => StoreError::TooSlow { operation },
            false => store_error(operation, error),
        })
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

/// The keys of clicks by which those of a scope can be read, newest first. Where there are several, each has what the others
/// pick by, and the server takes the one with fewer records.
pub(crate) const fn keys_of_clicks(scope: Scope) -> &'static str {
    match (scope.affiliate_id, scope.campaign_id) {
        (Some(_), Some(_)) => "newest, by_campaign",
        (Some(_), None) => "newest",
        (None, Some(_)) => "by_campaign",
        (None, None) => "recent",
    }
}

/// The same of conversions, of one status or of all.
pub(crate) const fn keys_of_conversions(scope: Scope, status: Option<ConversionStatus>) -> &'static str {
    match (scope.affiliate_id, scope.campaign_id, status) {
        (Some(_), Some(_), Some(_)) => "newest, daily, by_status",
        (Some(_), Some(_), None) => "newest, daily",
        (Some(_), None, Some(_)) => "newest, by_status",
        (Some(_), None, None) => "newest",
        (None, Some(_), Some(_)) => "daily, by_status",
        (None, Some(_), None) => "daily",
        (None, None, Some(_)) => "by_status",
        (None, None, None) => "recent",
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

/// The part of a query that picks the records of a scope and a period; `table` is what comes before the names of columns.
pub(crate) fn within(sql: &mut Sql, table: &'static str, scope: Scope, from: Option<Timestamp>, to: Option<Timestamp>) {
    let (affiliate, campaign) =
        (scope.affiliate_id.map(AffiliateId::as_u64), scope.campaign_id.map(CampaignId::as_u64));
    for (column, value) in [("affiliate_id = ", affiliate), ("campaign_id = ", campaign)] {
        if let Some(value) = value {
            sql.push(" AND ").push(table).push(column).number(value);
        }
    }
    for (column, value) in [("timestamp >= ", from), ("timestamp < ", to)] {
        if let Some(value) = value {
            sql.push(" AND ").push(table).push(column).time(value);
        }
    }
}
