use std::error::Error;

use serde::Deserialize;
use tokio::net::TcpListener;
use warp::Filter;
use warp::filters::BoxedFilter;
use warp::reply::{Reply, Response};

use crate::bare;

#[derive(Debug, Deserialize)]
struct Click {
    affiliate_id: u32,
    campaign_id: u32,
    click_id: String,
}

pub(crate) fn bare() -> BoxedFilter<(Response,)> {
    warp::path!("click")
        .and(warp::get())
        .and(warp::query())
        .map(|Click { affiliate_id, campaign_id, click_id }| {
            warp::reply::json(&bare::answer(affiliate_id, campaign_id, click_id)).into_response()
        })
        .boxed()
}

pub(crate) async fn serve(routes: BoxedFilter<(Response,)>) -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    crate::announce(listener.local_addr()?)?;
    warp::serve(routes).incoming(listener).run().await;
    Ok(())
}
