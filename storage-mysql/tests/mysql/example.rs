//! The example does what it says.

use sqlx::{Executor, Row};
use storage_mysql::sqlx;
use test_server::Kind;

use crate::support::*;

#[path = "../../examples/own_transaction.rs"]
#[allow(dead_code, reason = "its main is not called here")]
mod own_transaction;

on_both_servers! { own_transaction_records_order_and_conversion }

async fn own_transaction_records_order_and_conversion(kind: Kind) {
    let Some(url) = database(kind).await else { return };
    let pool = pool(&url).await;
    for orders in 1..=2 {
        assert_eq!(own_transaction::shop(&pool).await.unwrap(), orders);
        let row = pool.fetch_one("SELECT COUNT(*) AS count FROM tracking_conversions").await.unwrap();
        assert_eq!(row.get::<i64, _>("count"), orders);
    }
    // As many orders as the pool has connections, and more.
    let shops = (0..20).map(|_| {
        let pool = pool.clone();
        tokio::spawn(async move { own_transaction::shop(&pool).await.unwrap() })
    });
    for shop in shops.collect::<Vec<_>>() {
        shop.await.unwrap();
    }
    assert_counters(&pool, "tracking_").await;
}
