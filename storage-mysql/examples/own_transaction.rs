//! An order and its conversion, committed together or not at all.
//!
//! ```sh
//! cargo run -p storage-mysql --example own_transaction -- mysql://user:password@127.0.0.1/database
//! ```

use std::error::Error;
use std::io::{self, Write};

use sqlx::mysql::{MySqlPool, MySqlPoolOptions};
use storage_mysql::{MySqlStore, Options, sqlx};
use tracking_core::{Attribution, CampaignRequest, ClickRequest, ConversionRequest, Outcome, Secret, Tracker};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

#[tokio::main]
async fn main() -> Result<()> {
    let url = std::env::args().nth(1).ok_or("please give the URL of a database")?;
    let pool = MySqlPoolOptions::new().max_connections(10).connect(&url).await?;
    let orders = shop(&pool).await?;
    writeln!(io::stdout(), "{orders} order, and its conversion")?;
    Ok(())
}

/// Sells one thing, and returns how many orders there are.
pub(crate) async fn shop(pool: &MySqlPool) -> Result<i64> {
    let orders = "CREATE TABLE IF NOT EXISTS shop_orders (
        id INT NOT NULL AUTO_INCREMENT PRIMARY KEY,
        item VARCHAR(100) NOT NULL
    ) ENGINE = InnoDB";
    sqlx::query(orders).execute(pool).await?;

    // In the same database, beside the shop's own tables.
    let store = MySqlStore::with_options(pool.clone(), Options::default().table_prefix("tracking_".parse()?));
    store.migrate().await?;
    // An application keeps one: click ids that were minted under another are forgeries to it.
    let tracker = Tracker::new(store.clone(), Secret::random());
    let affiliate = tracker.create_affiliate("Ada's reviews".parse()?).await?;
    let campaign = CampaignRequest::new("Lamps".parse()?, "https://shop.example/?click_id={click_id}".parse()?);
    let campaign = tracker.create_campaign(campaign).await?.campaign;
    let click = tracker.record_click(ClickRequest::new(affiliate.id, campaign.id)).await?.into_record();

    let sale = ConversionRequest::new(affiliate.id, click.click_id, "49.90".parse()?, "USD".parse()?);
    order(pool, &store, &tracker, "a lamp", sale).await?;

    Ok(sqlx::query_scalar("SELECT COUNT(*) FROM shop_orders").fetch_one(pool).await?)
}

/// Takes an order. Whatever goes wrong on the way, there is never an order without its conversion, nor a conversion
/// without its order.
async fn order(
    pool: &MySqlPool,
    store: &MySqlStore,
    tracker: &Tracker,
    item: &str,
    sale: ConversionRequest,
) -> Result<()> {
    // Before the transaction, because it takes another connection of the pool.
    let attribution = tracker.attribute(sale).await?;

    let mut transaction = pool.begin().await?;
    let done = sqlx::query("INSERT INTO shop_orders (item) VALUES (?)").bind(item).execute(&mut *transaction).await?;
    let outcome = match attribution {
        Attribution::Found(mut conversion) => {
            conversion.transaction_id = Some(format!("order-{}", done.last_insert_id()).parse()?);
            let recorded = store.insert_conversion_on(&mut transaction, conversion.clone()).await;
            // A click that was purged a moment ago is an outcome, too, and loses no order.
            Outcome::of_result(&conversion, recorded)?
        }
        // The visitor did not come from an affiliate, for instance. The order stands all the same.
        Attribution::Refused(outcome) => outcome,
    };
    transaction.commit().await?;
    tracker.announce(&outcome);
    Ok(())
}
