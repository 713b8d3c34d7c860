//! What somebody writes in an afternoon: a query for each step, and each insert a transaction of its own. It works on
//! the tables `clicks` and `conversions` of the store, with their keys and references, and keeps no counters.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use chrono::{DateTime, SubsecRound, Utc};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use sqlx::mysql::{MySqlPool, MySqlPoolOptions};
use sqlx::{Error, query, query_as, query_scalar};
use storage_mysql::MySqlStore;
use warp::Filter;
use warp::filters::BoxedFilter;
use warp::http::StatusCode;
use warp::reply::{Reply, Response};

use crate::answer::{Answer, Click, Conversion, timestamp};

const EVENT: &str = "conversion";

pub(crate) async fn routes(url: &str) -> Result<BoxedFilter<(Response,)>, Error> {
    let pool = MySqlPoolOptions::new().max_connections(MySqlStore::POOL_SIZE).connect(url).await?;
    let last_click = query_scalar("SELECT COALESCE(MAX(id), 0) FROM clicks").fetch_one(&pool).await?;
    let last_conversion = query_scalar("SELECT COALESCE(MAX(id), 0) FROM conversions").fetch_one(&pool).await?;
    let plain = Arc::new(Plain {
        pool,
        last_click: AtomicI64::new(last_click),
        last_conversion: AtomicI64::new(last_conversion),
    });
    let plain = warp::any().map(move || Arc::clone(&plain));
    let click = warp::path!("click").and(warp::get()).and(plain.clone()).and(warp::query()).then(
        |plain: Arc<Plain>, request| async move {
            let recorded = plain.record_click(request).await;
            reply(recorded, ["Click tracked successfully", "Click already tracked"])
        },
    );
    let postback = warp::path!("postback").and(warp::get()).and(plain).and(warp::query()).then(
        |plain: Arc<Plain>, request| async move {
            let recorded = plain.record_conversion(request).await;
            reply(recorded, ["Conversion tracked successfully", "Conversion already tracked"])
        },
    );
    Ok(click.or(postback).unify().boxed())
}

#[derive(Debug, Deserialize)]
struct ClickRequest {
    affiliate_id: u32,
    campaign_id: u32,
    click_id: String,
}

#[derive(Debug, Deserialize)]
struct PostbackRequest {
    affiliate_id: u32,
    click_id: String,
    amount: Decimal,
    currency: String,
}

enum Recorded<T> {
    New(T),
    Duplicate(T),
}

struct Plain {
    pool: MySqlPool,
    // The tables leave it to their writers to number the rows. This costs less than AUTO_INCREMENT would.
    last_click: AtomicI64,
    last_conversion: AtomicI64,
}

impl Plain {
    async fn record_click(&self, request: ClickRequest) -> Result<Recorded<Click>, Error> {
        let ClickRequest { affiliate_id, campaign_id, click_id } = request;
        let time = now();
        let inserted =
            query("INSERT INTO clicks (id, affiliate_id, campaign_id, click_id, timestamp) VALUES (?, ?, ?, ?, ?)")
                .bind(self.last_click.fetch_add(1, Ordering::Relaxed) + 1)
                .bind(affiliate_id)
                .bind(campaign_id)
                .bind(&click_id)
                .bind(time)
                .execute(&self.pool)
                .await;
        match inserted {
            Ok(_) => Ok(Recorded::New(Click { click_id, affiliate_id, campaign_id, timestamp: timestamp(time) })),
            Err(Error::Database(error)) if error.is_unique_violation() => {
                let time: DateTime<Utc> = query_scalar(
                    "SELECT timestamp FROM clicks WHERE affiliate_id = ? AND click_id = ? AND campaign_id = ?",
                )
                .bind(affiliate_id)
                .bind(&click_id)
                .bind(campaign_id)
                .fetch_one(&self.pool)
                .await?;
                Ok(Recorded::Duplicate(Click { click_id, affiliate_id, campaign_id, timestamp: timestamp(time) }))
            }
            Err(error) => Err(error),
        }
    }

    async fn record_conversion(&self, request: PostbackRequest) -> Result<Recorded<Conversion>, Error> {
        let PostbackRequest { affiliate_id, click_id, amount, currency } = request;
        let (click, campaign_id): (i64, i32) = query_as(
            "SELECT id, campaign_id FROM clicks WHERE affiliate_id = ? AND click_id = ? ORDER BY timestamp DESC LIMIT 1",
        )
        .bind(affiliate_id)
        .bind(&click_id)
        .fetch_one(&self.pool)
        .await?;
        let campaign_id = campaign_id.cast_unsigned();
        let conversion_id = self.last_conversion.fetch_add(1, Ordering::Relaxed) + 1;
        let time = now();
        let inserted = query(
            "INSERT INTO conversions \
             (id, click_id, affiliate_id, campaign_id, event, transaction_id, amount, currency, timestamp) \
             VALUES (?, ?, ?, ?, ?, '', ?, ?, ?)",
        )
        .bind(conversion_id)
        .bind(click)
        .bind(affiliate_id)
        .bind(campaign_id)
        .bind(EVENT)
        .bind(amount)
        .bind(&currency)
        .bind(time)
        .execute(&self.pool)
        .await;
        let conversion = |conversion_id, amount, currency, time| Conversion {
            conversion_id,
            click_id,
            affiliate_id,
            campaign_id,
            event: EVENT,
            amount,
            currency,
            timestamp: timestamp(time),
        };
        match inserted {
            Ok(_) => Ok(Recorded::New(conversion(conversion_id, amount, currency, time))),
            Err(Error::Database(error)) if error.is_unique_violation() => {
                let (id, amount, currency, time) = query_as(
                    "SELECT id, amount, currency, timestamp FROM conversions \
                     WHERE click_id = ? AND event = ? AND transaction_id = ''",
                )
                .bind(click)
                .bind(EVENT)
                .fetch_one(&self.pool)
                .await?;
                Ok(Recorded::Duplicate(conversion(id, amount, currency, time)))
            }
            Err(error) => Err(error),
        }
    }
}

/// To the millisecond, as it is stored.
fn now() -> DateTime<Utc> {
    Utc::now().trunc_subsecs(3)
}

fn reply<T: Serialize>(recorded: Result<Recorded<T>, Error>, [new, repeated]: [&'static str; 2]) -> Response {
    match recorded {
        Ok(Recorded::New(data)) => json(&Answer { success: true, message: new, duplicate: false, data }),
        Ok(Recorded::Duplicate(data)) => json(&Answer { success: true, message: repeated, duplicate: true, data }),
        Err(Error::RowNotFound) => refuse("Click not found", StatusCode::NOT_FOUND),
        Err(_) => refuse("Internal error", StatusCode::INTERNAL_SERVER_ERROR),
    }
}

fn json<T: Serialize>(answer: &Answer<T>) -> Response {
    warp::reply::json(answer).into_response()
}

fn refuse(message: &'static str, status: StatusCode) -> Response {
    let answer = Answer { success: false, message, duplicate: false, data: () };
    warp::reply::with_status(warp::reply::json(&answer), status).into_response()
}
