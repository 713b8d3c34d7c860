//! The server on warp.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use http::{HeaderMap, Method, Request};
use tokio::net::TcpListener;
use tracking_http::Api;
use warp::Filter;
use warp::path::FullPath;
use warp::reply::Response;

use crate::site::Site;
use crate::start_error::StartError;

/// Serves until `stop` resolves and the requests under way are answered. Calls `ready` with the address that it listens
/// on before it takes the first request.
pub(crate) async fn serve<R>(
    api: Arc<Api>,
    site: Arc<Site>,
    address: SocketAddr,
    ready: impl FnOnce(SocketAddr) -> R,
    stop: impl Future<Output = ()> + Send + 'static,
) -> Result<(), StartError>
where
    R: Future<Output = Result<(), StartError>>,
{
    let failed = |source| StartError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    ready(listener.local_addr().map_err(failed)?).await?;
    let routes = adapter_warp::routes(api).or(own_routes(site));
    warp::serve(routes).incoming(listener).graceful(stop).run().await;
    Ok(())
}

fn own_routes(site: Arc<Site>) -> impl Filter<Extract = (Response,), Error = Infallible> + Clone {
    let query = warp::query::raw().or(warp::any().map(String::new)).unify();
    warp::method()
        .and(warp::path::full())
        .and(query)
        .and(warp::header::headers_cloned())
        .and(warp::addr::remote())
        .then(move |method: Method, path: FullPath, query: String, headers: HeaderMap, peer: Option<SocketAddr>| {
            let site = Arc::clone(&site);
            async move {
                let (mut request, ()) = Request::new(()).into_parts();
                // Path and query come from a URI that was parsed already, so that they make one again.
                request.uri = format!("{}?{query}", path.as_str()).parse().unwrap_or_default();
                (request.method, request.headers) = (method, headers);
                site.answer(&request, peer.map(|peer| peer.ip())).await.map(Into::into)
            }
        })
}
