//! From a request that is ours to its answer.

mod pages;
mod sessions;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{HOST, ORIGIN};
use http::request::Parts;
use http::{Method, Response, StatusCode};
use ipnet::IpNet;
use thiserror::Error;
use tracking_core::{
    AffiliateId, Campaign, Click, ClickFilter, ClickRequest, Conversion, ConversionFilter, Failures, Parameters,
    Period, Recorded, Scope, SubIds, TimeZone, Tracker, Visitor,
};

pub(crate) use self::sessions::COOKIE_NAME as SESSION_COOKIE;
use crate::answer;
use crate::body;
use crate::chunks::Body;
use crate::client_ip::{TrustedProxies, client_ip};
use crate::dashboard::{Asked, Desk};
use crate::endpoint::{Allow, Endpoint, Guarded, Match};
use crate::guard::{Access, Guard};
use crate::lists::list;
use crate::location::Location;
use crate::meters::Meters;
use crate::public_url::PublicUrl;
use crate::refusal::{Header, Refusal, answer_postback};
use crate::report_query::{self, ReportQuery};
use crate::viewer::Viewer;
use crate::visitor::visitor;
use crate::wire::campaigns::CampaignData;
use crate::wire::conversions::ConversionListed;
use crate::wire::links::LinkTest;
use crate::wire::{AffiliateData, ClickListed, ClickTracked, RecordedAnswer, Status, SummaryData};
use crate::{admin, dashboard, import, link_test, links, lists, openapi, postback, query, reports};

/// A tracker's HTTP surface: takes requests as any framework can hand them over, and gives complete answers.
///
/// An adapter strips the mount point, asks [`Resolution::of`](crate::Resolution::of) whether the request is for the
/// tracker, reads the body if it [is awaited](Self::awaits_body), and calls [`handle`](Self::handle).
#[derive(Debug)]
pub struct Api {
    tracker: Arc<Tracker>,
    guard: Box<dyn Guard>,
    public_url: Option<PublicUrl>,
    trusted_proxies: TrustedProxies,
    failed_logins: Failures,
    time_zone: TimeZone,
    meters: Meters,
    imports: import::Turns,
}

/// Why there is no request body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum BodyError {
    /// It is longer than [`Match::max_body_len`].
    #[error("the request body is too large")]
    TooLarge,
    /// It did not arrive whole: the connection failed, its framing was broken, or [`Match::body_timeout`] passed.
    #[error("the request body could not be read")]
    Incomplete,
}

impl Api {
    /// The most bytes that a request body may have, but for that of an import. An adapter asks [`Match::max_body_len`].
    pub const MAX_BODY_LEN: usize = 64 * 1024;

    /// The most bytes that the file of an import may have: some hundred thousand conversions.
    pub const MAX_IMPORT_LEN: usize = 8 * 1024 * 1024;

    /// How long a request body may take to arrive, but for that of an import. An adapter asks [`Match::body_timeout`].
    pub const BODY_TIMEOUT: Duration = Duration::from_secs(10);

    /// How long the file of an import may take to arrive.
    pub const IMPORT_TIMEOUT: Duration = Duration::from_secs(60);

    /// The most bytes that a query may have: all marks of a link, of 255 characters of four bytes each, percent-encoded,
    /// and as much again for what advertising networks append.
    pub const MAX_QUERY_LEN: usize = 32 * 1024;

    /// The surface of a tracker, with reports and pages behind this guard.
    pub fn new(tracker: impl Into<Arc<Tracker>>, guard: impl Guard) -> Self {
        Self {
            tracker: tracker.into(),
            guard: Box::new(guard),
            public_url: None,
            trusted_proxies: TrustedProxies::default(),
            failed_logins: Failures::new(sessions::FAILURES_ALLOWED),
            time_zone: TimeZone::UTC,
            meters: Meters::new(),
            imports: import::Turns::new(),
        }
    }

    /// Tells under which URL the mount point is known to the world. Pages show URLs to hand out, and take this one, or
    /// else `http` and what the browser's request says.
    #[must_use]
    pub fn public_url(mut self, url: PublicUrl) -> Self {
        self.public_url = Some(url);
        self
    }

    /// Tells in which networks the proxies are that stand before the tracker. What they write into `Forwarded`
    /// ([RFC 7239](https://www.rfc-editor.org/rfc/rfc7239)) or `X-Forwarded-For` is believed; from anybody else these
    /// headers count for nothing. Without a call nobody is believed, and a second call takes the place of the first.
    ///
    /// Name networks of proxies only, none that visitors may be in. A proxy that writes one of the two headers should
    /// remove the other, which may be the client's: if both are there and don't agree, neither counts.
    #[must_use]
    pub fn trusted_proxies(mut self, networks: impl IntoIterator<Item = IpNet>) -> Self {
        self.trusted_proxies = networks.into_iter().collect();
        self
    }

    /// Tells in which time zone days begin in reports and lists, where a request names none. Without a call that is UTC.
    #[must_use]
    pub fn time_zone(mut self, zone: TimeZone) -> Self {
        self.time_zone = zone;
        self
    }

    /// Whether the request's body is to be read before [`handle`](Self::handle) is called; if not, that gets an empty one.
    ///
    /// Files of imports are long, and take long to arrive: only those are read that somebody sends who may import. Whoever
    /// may not is told so at once. The arguments are those of `handle`.
    pub async fn awaits_body(&self, matched: Match, request: &Parts, peer: Option<IpAddr>) -> bool {
        if matched.endpoint != Endpoint::Guarded(Guarded::ImportConversions) {
            return matched.reads_body();
        }
        self.check_origin(request).is_ok() && Box::pin(self.is_admin(request, peer)).await
    }

    /// Answers a request.
    ///
    /// `request` is the request as it came, with its whole path, the mount point included; `matched` is what
    /// [`Resolution::of`](crate::Resolution::of) made of it. `peer` is the address at the other end of the socket, and
    /// never one that a header names; `None` if there is none, as on a Unix socket, or if the framework does not know it.
    /// The body is empty, or the reason why there is none.
    ///
    /// To `HEAD` the answer has the body that `GET` would have got: HTTP servers leave it out by themselves, and don't ask for
    /// any of its [chunks](Body::Chunks).
    pub async fn handle(
        &self,
        matched: Match,
        request: &Parts,
        peer: Option<IpAddr>,
        body: Result<Bytes, BodyError>,
    ) -> Response<Body> {
        let started = Instant::now();
        let response = match self.respond(matched, request, peer, body).await {
            Ok(response) => response,
            Err(refusal) => {
                let at = || Location::new(matched, request);
                match matched.endpoint {
                    Endpoint::Session(step) => {
                        Box::pin(self.with_way_out(request, &at(), sessions::problem(step, &at(), refusal))).await
                    }
                    Endpoint::Guarded(endpoint) if endpoint.is_page() => {
                        Box::pin(self.with_way_out(request, &at(), dashboard::problem(&at(), refusal))).await
                    }
                    Endpoint::Go => dashboard::dead_link(&at(), refusal),
                    _ => answer::refuse(refusal),
                }
            }
        };
        self.meters.count(matched.route, response.status(), started.elapsed());
        response
    }

    /// Who is asking, for what the application guards by itself, and as it is found for what is guarded here: by the
    /// `Authorization` header, by a session, or else by the guard. Whoever tries many wrong tokens is kept waiting.
    ///
    /// # Errors
    /// The answer for whoever has tried too many, and for everybody if it can't be found out.
    pub async fn access(&self, request: &Parts, peer: Option<IpAddr>) -> Result<Access, Response<Body>> {
        self.caller(request, peer).await.map(|caller| caller.access).map_err(answer::refuse)
    }

    /// Answers a request for a path that is ours with a method that it does not take.
    #[must_use]
    pub fn method_not_allowed(&self, allow: Allow) -> Response<Body> {
        self.meters.count_other(StatusCode::METHOD_NOT_ALLOWED);
        let message = format!("This path takes {allow} only.");
        let refusal = Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message);
        answer::refuse(refusal.header(Header::Allow(allow)))
    }

    async fn respond(
        &self,
        matched: Match,
        request: &Parts,
        peer: Option<IpAddr>,
        body: Result<Bytes, BodyError>,
    ) -> Result<Response<Body>, Refusal> {
        if matched.endpoint == Endpoint::Postback && request.method != Method::HEAD {
            // Boxed, as the guarded branch below, to keep the future of a click small.
            return Box::pin(self.postback(request, peer, body)).await;
        }
        let at = || Location::new(matched, request);
        let query = request.uri.query();
        let parameters = match matched.endpoint {
            // What can't be read in it is explained.
            Endpoint::Guarded(Guarded::ExplainPostback) => Parameters::default(),
            _ if query.is_some_and(|query| query.len() > Self::MAX_QUERY_LEN) => {
                let message = format!("The query has more than {} bytes.", Self::MAX_QUERY_LEN);
                return Err(Refusal::new(StatusCode::URI_TOO_LONG, "query_too_long", message));
            }
            Endpoint::Go => query::parse_link(query).0,
            _ => query::parse(query)?,
        };
        match matched.endpoint {
            Endpoint::Go => self.go(&parameters, request, peer).await,
            Endpoint::Click if request.method == Method::HEAD => Ok(answer::empty()),
            Endpoint::Click => self.click(&parameters, visitor(request, peer, &self.trusted_proxies)).await,
            // All but HEAD has been answered.
            Endpoint::Postback => Ok(answer::empty()),
            Endpoint::Health => Ok(answer::json(StatusCode::OK, &Status { status: "ok" })),
            Endpoint::Readiness => {
                self.tracker.ping().await?;
                Ok(answer::json(StatusCode::OK, &Status { status: "ok" }))
            }
            Endpoint::OpenApi => {
                Ok(answer::json_text(StatusCode::OK, openapi::document(&self.base_url(request, &at()))))
            }
            Endpoint::Asset => Ok(crate::pages::asset(at().last_segment()).map_or_else(answer::empty, answer::asset)),
            Endpoint::Guarded(endpoint) => {
                self.check_origin(request)?;
                let caller = self.caller(request, peer).await?;
                let viewer = match caller.access {
                    Access::Admin => Viewer::Admin,
                    Access::ReadOnly if writes(endpoint, request) => return Err(Refusal::read_only()),
                    Access::ReadOnly => Viewer::Reader,
                    Access::Affiliate(id) => Viewer::Affiliate(id),
                    Access::LogInAt(url) if endpoint.is_page() => return Ok(answer::see_other(&url)),
                    Access::LogInAt(url) => return Err(Refusal::log_in_at(&url)),
                    Access::Unknown if endpoint.is_page() && self.sends_to_log_in(request) => {
                        return Ok(sessions::to_log_in(request, &at()));
                    }
                    Access::Unknown if self.is_browser_to_log_in(request) => {
                        return Err(Refusal::unknown_caller().header(Header::unanswered_challenge()));
                    }
                    Access::Unknown => return Err(Refusal::unknown_caller()),
                };
                let call = Call { request, parameters: &parameters, peer, viewer };
                let answer = Box::pin(self.guarded(endpoint, call, &at(), body)).await?;
                Ok(match caller.session {
                    Some(pass) if endpoint.is_page() => sessions::shown(pass, &at(), answer),
                    _ => answer,
                })
            }
            Endpoint::Session(step) => Box::pin(self.session_step(step, request, peer, &parameters, &at(), body)).await,
        }
    }

    async fn go(
        &self,
        parameters: &Parameters<'_>,
        request: &Parts,
        peer: Option<IpAddr>,
    ) -> Result<Response<Body>, Refusal> {
        let (mut click, left_out) = ClickRequest::from_link(parameters)?;
        for error in left_out {
            tracing::debug!(%error, affiliate_id = click.affiliate_id.as_u64(), "left out of a link");
        }
        if request.method == Method::HEAD {
            // There is no click that could have one.
            click.click_id = None;
            return Ok(answer::send_on(self.tracker.destination(&click).await?));
        }
        let click = click.visitor(visitor(request, peer, &self.trusted_proxies));
        Ok(answer::send_on(self.tracker.follow(click).await?.location))
    }

    async fn click(&self, parameters: &Parameters<'_>, visitor: Visitor) -> Result<Response<Body>, Refusal> {
        let click = ClickRequest::from_parameters(parameters)?.visitor(visitor);
        let recorded = self.tracker.record_click(click).await.map_err(Refusal::of_click)?;
        let duplicate = recorded.is_duplicate();
        let message = match recorded {
            Recorded::New(_) => "Click tracked successfully",
            Recorded::Duplicate(_) => "Click was tracked before",
        };
        let data = ClickTracked::from(recorded.into_record());
        Ok(answer::json(StatusCode::OK, &RecordedAnswer { success: true, message: message.into(), duplicate, data }))
    }

    async fn postback(
        &self,
        request: &Parts,
        peer: Option<IpAddr>,
        body: Result<Bytes, BodyError>,
    ) -> Result<Response<Body>, Refusal> {
        let received = postback::read(request, &body, client_ip(&request.headers, peer, &self.trusted_proxies));
        let outcome = match received.problem {
            None => self.tracker.postback(&received.call).await.map_err(Refusal::of_repeatable)?,
            Some(reason) => self.tracker.refuse_postback(&received.call, reason),
        };
        answer_postback(outcome).map(|answer| answer::json(StatusCode::OK, &answer))
    }

    async fn guarded(
        &self,
        endpoint: Guarded,
        call: Call<'_>,
        at: &Location<'_>,
        body: Result<Bytes, BodyError>,
    ) -> Result<Response<Body>, Refusal> {
        let Call { request, parameters, viewer, .. } = call;
        let only = viewer.only();
        let affiliate = || -> Result<AffiliateId, Refusal> {
            let id = at.id("affiliate_id")?;
            if only.is_none_or(|own| own == id) { Ok(id) } else { Err(Refusal::forbidden()) }
        };
        match endpoint {
            Guarded::Dashboard => {
                let (tracker, public_url, zone) = (&*self.tracker, &*self.base_url(request, at), self.time_zone);
                let desk = Desk { tracker, viewer, at, public_url, zone };
                dashboard::show(&Asked { desk, parameters }).await
            }
            Guarded::DashboardLink => {
                dashboard::link::show(&self.tracker, viewer, at, parameters, None, &self.base_url(request, at)).await
            }
            Guarded::DashboardLinkTest => {
                let form = body::form(request, body)?;
                let (parameters, unreadable) = query::parse_link(Some(&form));
                let tested = link_test::run(&self.tracker, only, &parameters, unreadable, self.visitor(call)).await?;
                let base_url = self.base_url(request, at);
                dashboard::link::show(&self.tracker, viewer, at, &parameters, Some(&tested), &base_url).await
            }
            Guarded::Link | Guarded::LinkQrCode => {
                let click = links::wanted(only, parameters)?;
                let link = links::build(&self.tracker, click, &self.base_url(request, at)).await?;
                if endpoint == Guarded::LinkQrCode { links::qr_code(&link) } else { Ok(answer::found(link)) }
            }
            Guarded::TestLink => {
                let visitor = self.visitor(call);
                let tested = if body::is_json(request) {
                    let link: LinkTest = body::json(request, body)?;
                    link_test::run(&self.tracker, only, &link.into_parameters(), 0, visitor).await
                } else {
                    let form = body::form(request, body)?;
                    let (parameters, unreadable) = query::parse_link(Some(&form));
                    link_test::run(&self.tracker, only, &parameters, unreadable, visitor).await
                };
                tested.map(answer::found)
            }
            Guarded::Affiliate => Ok(answer::found(AffiliateData::from(self.tracker.affiliate(affiliate()?).await?))),
            Guarded::AffiliateSummary => {
                let id = affiliate()?;
                Ok(answer::found(SummaryData::new(id, &self.tracker.summary(id).await?)))
            }
            Guarded::Report => {
                let wanted = ReportQuery::from_parameters(parameters, self.time_zone, self.tracker.now(), only)?;
                reports::show(&self.tracker, &wanted, parameters).await
            }
            Guarded::Clicks | Guarded::AffiliateClicks => {
                let of = if endpoint == Guarded::AffiliateClicks { Some(affiliate()?) } else { None };
                let mut filter = ClickFilter::from(scope_of(of, parameters, only)?);
                if let Some(period) = self.period(parameters)? {
                    filter = filter.since(period.start()).until(period.end());
                }
                let data = move |mut click: Click| {
                    if only.is_some() {
                        hide_visitor(&mut click);
                    }
                    let affiliate_id = of.is_none().then_some(click.affiliate_id);
                    ClickListed { affiliate_id, ..click.into() }
                };
                list(
                    &self.tracker,
                    parameters,
                    lists::clicks(of, only),
                    filter,
                    |tracker, filter, page| Box::pin(tracker.clicks(filter, page)),
                    data,
                )
                .await
            }
            Guarded::Conversions | Guarded::AffiliateConversions => {
                let of = if endpoint == Guarded::AffiliateConversions { Some(affiliate()?) } else { None };
                let mut filter = ConversionFilter::from(scope_of(of, parameters, only)?);
                if let Some(status) = parameters.optional("status")? {
                    filter = filter.status(status);
                }
                if let Some(period) = self.period(parameters)? {
                    filter = filter.since(period.start()).until(period.end());
                }
                let data = move |mut conversion: Conversion| {
                    if only.is_some() {
                        hide_marks(&mut conversion);
                    }
                    let affiliate_id = of.is_none().then_some(conversion.affiliate_id);
                    ConversionListed { affiliate_id, ..conversion.into() }
                };
                list(
                    &self.tracker,
                    parameters,
                    lists::conversions(of, only),
                    filter,
                    |tracker, filter, page| Box::pin(tracker.conversions(filter, page)),
                    data,
                )
                .await
            }
            Guarded::Campaign => {
                let campaign = self.tracker.campaign(at.id("campaign_id")?).await?;
                Ok(answer::found(campaign_data(only)(campaign)))
            }
            Guarded::Campaigns => {
                list(
                    &self.tracker,
                    parameters,
                    lists::campaigns(only),
                    (),
                    |tracker, (), page| Box::pin(tracker.campaigns(page)),
                    campaign_data(only),
                )
                .await
            }
            Guarded::Page(page) => self.page(page, call, at, body).await,
            _ if only.is_some() => Err(Refusal::forbidden()),
            Guarded::Affiliates => {
                list(
                    &self.tracker,
                    parameters,
                    lists::affiliates(),
                    (),
                    |tracker, (), page| Box::pin(tracker.affiliates(page)),
                    AffiliateData::from,
                )
                .await
            }
            Guarded::CreateAffiliate => admin::create_affiliate(&self.tracker, at, body::json(request, body)?).await,
            Guarded::ChangeAffiliate => admin::change_affiliate(&self.tracker, at, body::json(request, body)?).await,
            Guarded::IssuePass => {
                let new = body::json(request, body)?;
                admin::issue_pass(&self.tracker, at, new, &self.base_url(request, at)).await
            }
            Guarded::RevokePasses => admin::revoke_passes(&self.tracker, at).await,
            Guarded::CreateCampaign => admin::create_campaign(&self.tracker, at, body::json(request, body)?).await,
            Guarded::ChangeCampaign => admin::change_campaign(&self.tracker, at, body::json(request, body)?).await,
            Guarded::IssueKey => admin::issue_key(&self.tracker, at, body::json(request, body)?).await,
            Guarded::RevokeKey => admin::revoke_key(&self.tracker, at).await,
            Guarded::Conversion => admin::conversion(&self.tracker, at).await,
            Guarded::ChangeStatus => admin::change_status(&self.tracker, at, body::json(request, body)?).await,
            Guarded::ImportConversions => import::begin(&self.tracker, &self.imports, request, body),
            Guarded::DashboardPostbacks => dashboard::postbacks::show(&self.tracker, at, parameters).await,
            Guarded::DashboardExplain => dashboard::explain::show(at, parameters),
            Guarded::DashboardExplained => {
                let form = body::form(request, body)?;
                dashboard::explain::explain(&self.tracker, at, &query::parse(Some(&form))?).await
            }
            Guarded::DashboardConversion => dashboard::conversion::show(&self.tracker, viewer, at).await,
            Guarded::DashboardChangeStatus => {
                let form = body::form(request, body)?;
                dashboard::conversion::change_status(&self.tracker, viewer, at, &query::parse(Some(&form))?).await
            }
            Guarded::Postbacks => admin::postbacks(&self.tracker, parameters).await,
            Guarded::ExplainPostback => {
                let own = client_ip(&request.headers, call.peer, &self.trusted_proxies);
                admin::explain(&self.tracker, postback::read(request, &body, own), request).await
            }
            Guarded::EraseClicks => admin::erase_clicks(&self.tracker, body::json(request, body)?).await,
        }
    }

    /// The period of which a list is asked for; `None` if it is asked for from the beginning.
    fn period(&self, parameters: &Parameters<'_>) -> Result<Option<Period>, Refusal> {
        let zone = report_query::zone(parameters, self.time_zone)?;
        Ok(report_query::period(parameters, zone, self.tracker.now())?.map(|(_, period)| period))
    }

    fn visitor(&self, call: Call<'_>) -> Visitor {
        visitor(call.request, call.peer, &self.trusted_proxies)
    }

    /// A browser that sends its user's session along must not be made to write by another site's page.
    fn check_origin(&self, request: &Parts) -> Result<(), Refusal> {
        if request.method == Method::GET || request.method == Method::HEAD {
            return Ok(());
        }
        let header = |name: &str| request.headers.get(name).and_then(|value| value.to_str().ok());
        let is_ours = match (header("sec-fetch-site"), request.headers.get(ORIGIN)) {
            (Some(site), _) => matches!(site, "same-origin" | "none"),
            (None, Some(origin)) => origin.to_str().is_ok_and(|origin| {
                let is_public =
                    self.public_url.as_ref().is_some_and(|url| url.as_url().origin().ascii_serialization() == origin);
                is_public || origin.split_once("://").is_some_and(|(_, authority)| Some(authority) == host(request))
            }),
            // No browser: there is no session to abuse.
            (None, None) => true,
        };
        if is_ours {
            return Ok(());
        }
        Err(Refusal::new(StatusCode::FORBIDDEN, "cross_site", "Pages of other sites may not change anything here."))
    }

    /// The absolute URL of the mount point, without a slash at its end.
    fn base_url(&self, request: &Parts, at: &Location<'_>) -> String {
        if let Some(url) = &self.public_url {
            return url.base().to_owned();
        }
        format!("http://{}{}", host(request).unwrap_or("localhost"), at.mount)
    }
}

/// A call of somebody whom the guard knows.
#[derive(Clone, Copy)]
struct Call<'a> {
    request: &'a Parts,
    /// Those of its query.
    parameters: &'a Parameters<'a>,
    peer: Option<IpAddr>,
    viewer: Viewer,
}

/// Whether somebody may not ask for it who may only read.
fn writes(endpoint: Guarded, request: &Parts) -> bool {
    request.method != Method::GET && request.method != Method::HEAD && !endpoint.only_explains()
}

/// The host that the request was sent to, with its port: in HTTP/2 it stands in the URI.
fn host(request: &Parts) -> Option<&str> {
    let in_uri = request.uri.authority().map(http::uri::Authority::as_str);
    in_uri.or_else(|| request.headers.get(HOST)?.to_str().ok())
}

/// Affiliates are not told where their visitors came from, and with what.
fn hide_visitor(click: &mut Click) {
    click.details.ip = None;
    click.details.user_agent = None;
}

/// Affiliates are not told what the advertiser has marked their conversions with.
fn hide_marks(conversion: &mut Conversion) {
    conversion.sub_ids = SubIds::default();
}

/// Whose records a list has: those of the affiliate in the path, or else of whom the query says.
fn scope_of(of: Option<AffiliateId>, parameters: &Parameters<'_>, only: Option<AffiliateId>) -> Result<Scope, Refusal> {
    match of {
        None => report_query::scope(parameters, only),
        Some(id) => Ok(Scope { affiliate_id: Some(id), campaign_id: parameters.optional("campaign_id")? }),
    }
}

/// What whoever may see the figures of `only` is told of a campaign.
fn campaign_data(only: Option<AffiliateId>) -> fn(Campaign) -> CampaignData {
    if only.is_some() { CampaignData::for_affiliate } else { CampaignData::whole }
}
