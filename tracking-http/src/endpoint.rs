//! Which requests are ours.

use std::fmt;
use std::time::Duration;

use http::Method;

use crate::{Api, pages};

/// What can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Endpoint {
    /// The tracking link.
    Go,
    Click,
    Postback,
    Asset,
    Health,
    Readiness,
    OpenApi,
    Session(Session),
    Guarded(Guarded),
}

/// How sessions begin and end. Whoever asks for it need not be known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Session {
    /// The page that asks for a token.
    LogInPage,
    LogIn,
    LogOut,
    /// A link that was shared with an affiliate.
    Share,
}

/// What only those may ask for whom the guard knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Guarded {
    Dashboard,
    DashboardLink,
    DashboardLinkTest,
    DashboardPostbacks,
    DashboardExplain,
    DashboardExplained,
    DashboardConversion,
    DashboardChangeStatus,
    Affiliate,
    AffiliateSummary,
    AffiliateClicks,
    AffiliateConversions,
    Report,
    Clicks,
    Conversions,
    Affiliates,
    CreateAffiliate,
    ChangeAffiliate,
    IssuePass,
    RevokePasses,
    Campaign,
    Campaigns,
    CreateCampaign,
    ChangeCampaign,
    IssueKey,
    RevokeKey,
    Conversion,
    ChangeStatus,
    ImportConversions,
    Postbacks,
    ExplainPostback,
    EraseClicks,
    Link,
    LinkQrCode,
    TestLink,
    Page(Page),
}

/// Pages of lists and of what stands in them, of the import and of the settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Page {
    Report,
    Conversions,
    Clicks,
    Campaigns,
    CreateCampaign,
    Campaign,
    ChangeCampaign,
    PauseCampaign,
    IssueKey,
    RevokeKey,
    Affiliates,
    CreateAffiliate,
    PauseAffiliate,
    ShareAffiliate,
    RevokeShares,
    Import,
    Imported,
    Settings,
}

impl Page {
    /// Whether affiliates may have it, with what is theirs.
    pub(crate) const fn is_for_affiliates(self) -> bool {
        matches!(self, Self::Report | Self::Conversions | Self::Clicks | Self::Campaigns | Self::Campaign)
    }
}

impl Guarded {
    /// Whether it writes nothing, whatever its method: somebody who may only read may ask for it.
    pub(crate) const fn only_explains(self) -> bool {
        matches!(self, Self::ExplainPostback | Self::DashboardExplained)
    }

    /// Whether it is for people, who are shown a page whatever becomes of their request.
    pub(crate) const fn is_page(self) -> bool {
        matches!(
            self,
            Self::Dashboard
                | Self::DashboardLink
                | Self::DashboardLinkTest
                | Self::DashboardPostbacks
                | Self::DashboardExplain
                | Self::DashboardExplained
                | Self::DashboardConversion
                | Self::DashboardChangeStatus
                | Self::Page(_)
        )
    }
}

/// An endpoint with the requests that lead to it.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) endpoint: Endpoint,
    pub(crate) method: Method,
    /// Below the mount point, in the notation of OpenAPI.
    pub(crate) path: &'static str,
    /// For metrics and OpenAPI.
    pub(crate) name: &'static str,
}

const fn route(endpoint: Endpoint, method: Method, path: &'static str, name: &'static str) -> Route {
    Route { endpoint, method, path, name }
}

const fn guarded(endpoint: Guarded, method: Method, path: &'static str, name: &'static str) -> Route {
    route(Endpoint::Guarded(endpoint), method, path, name)
}

const fn page(page: Page, method: Method, path: &'static str, name: &'static str) -> Route {
    guarded(Guarded::Page(page), method, path, name)
}

/// In the order in which they are tried: the busiest first.
pub(crate) static ROUTES: [Route; 65] = [
    route(Endpoint::Go, Method::GET, "/go", "go"),
    route(Endpoint::Click, Method::GET, "/click", "click"),
    route(Endpoint::Postback, Method::GET, "/postback", "postback"),
    route(Endpoint::Postback, Method::POST, "/postback", "post_postback"),
    guarded(Guarded::AffiliateClicks, Method::GET, "/affiliates/{affiliate_id}/clicks", "affiliate_clicks"),
    guarded(
        Guarded::AffiliateConversions,
        Method::GET,
        "/affiliates/{affiliate_id}/conversions",
        "affiliate_conversions",
    ),
    guarded(Guarded::AffiliateSummary, Method::GET, "/affiliates/{affiliate_id}/summary", "affiliate_summary"),
    guarded(Guarded::Report, Method::GET, "/reports", "report"),
    guarded(Guarded::Clicks, Method::GET, "/clicks", "clicks"),
    guarded(Guarded::Conversions, Method::GET, "/conversions", "conversions"),
    guarded(Guarded::Affiliate, Method::GET, "/affiliates/{affiliate_id}", "affiliate"),
    guarded(Guarded::Affiliates, Method::GET, "/affiliates", "affiliates"),
    guarded(Guarded::CreateAffiliate, Method::POST, "/affiliates", "create_affiliate"),
    guarded(Guarded::ChangeAffiliate, Method::PATCH, "/affiliates/{affiliate_id}", "change_affiliate"),
    guarded(Guarded::IssuePass, Method::POST, "/affiliates/{affiliate_id}/passes", "issue_pass"),
    guarded(Guarded::RevokePasses, Method::DELETE, "/affiliates/{affiliate_id}/passes", "revoke_passes"),
    guarded(Guarded::Campaign, Method::GET, "/campaigns/{campaign_id}", "campaign"),
    guarded(Guarded::Campaigns, Method::GET, "/campaigns", "campaigns"),
    guarded(Guarded::CreateCampaign, Method::POST, "/campaigns", "create_campaign"),
    guarded(Guarded::ChangeCampaign, Method::PATCH, "/campaigns/{campaign_id}", "change_campaign"),
    guarded(Guarded::IssueKey, Method::POST, "/campaigns/{campaign_id}/keys", "issue_key"),
    guarded(Guarded::RevokeKey, Method::DELETE, "/campaigns/{campaign_id}/keys/{key_id}", "revoke_key"),
    guarded(Guarded::Conversion, Method::GET, "/conversions/{conversion_id}", "conversion"),
    guarded(Guarded::ChangeStatus, Method::POST, "/conversions/{conversion_id}/status", "change_status"),
    guarded(Guarded::ImportConversions, Method::POST, "/conversions/import", "import_conversions"),
    guarded(Guarded::Postbacks, Method::GET, "/postbacks", "postbacks"),
    guarded(Guarded::ExplainPostback, Method::POST, "/postback/explain", "explain_postback"),
    guarded(Guarded::EraseClicks, Method::POST, "/clicks/erase", "erase_clicks"),
    guarded(Guarded::Link, Method::GET, "/links", "link"),
    guarded(Guarded::LinkQrCode, Method::GET, "/links/qr.svg", "link_qr_code"),
    guarded(Guarded::TestLink, Method::POST, "/links/test", "test_link"),
    guarded(Guarded::Dashboard, Method::GET, "/dashboard", "dashboard"),
    guarded(Guarded::DashboardLink, Method::GET, "/dashboard/link", "dashboard_link"),
    guarded(Guarded::DashboardLinkTest, Method::POST, "/dashboard/link", "dashboard_link_test"),
    guarded(Guarded::DashboardPostbacks, Method::GET, "/dashboard/postbacks", "dashboard_postbacks"),
    guarded(Guarded::DashboardExplain, Method::GET, "/dashboard/explain", "dashboard_explain"),
    guarded(Guarded::DashboardExplained, Method::POST, "/dashboard/explain", "dashboard_explained"),
    guarded(
        Guarded::DashboardConversion,
        Method::GET,
        "/dashboard/conversions/{conversion_id}",
        "dashboard_conversion",
    ),
    guarded(
        Guarded::DashboardChangeStatus,
        Method::POST,
        "/dashboard/conversions/{conversion_id}/status",
        "dashboard_change_status",
    ),
    route(Endpoint::Session(Session::LogInPage), Method::GET, "/dashboard/login", "log_in_page"),
    route(Endpoint::Session(Session::LogIn), Method::POST, "/dashboard/login", "log_in"),
    route(Endpoint::Session(Session::LogOut), Method::POST, "/dashboard/logout", "log_out"),
    route(Endpoint::Session(Session::Share), Method::GET, "/dashboard/share", "share"),
    page(Page::Report, Method::GET, "/dashboard/reports", "dashboard_reports"),
    page(Page::Conversions, Method::GET, "/dashboard/conversions", "dashboard_conversions"),
    page(Page::Clicks, Method::GET, "/dashboard/clicks", "dashboard_clicks"),
    page(Page::Campaigns, Method::GET, "/dashboard/campaigns", "dashboard_campaigns"),
    page(Page::CreateCampaign, Method::POST, "/dashboard/campaigns", "dashboard_create_campaign"),
    page(Page::Campaign, Method::GET, "/dashboard/campaigns/{campaign_id}", "dashboard_campaign"),
    page(Page::ChangeCampaign, Method::POST, "/dashboard/campaigns/{campaign_id}", "dashboard_change_campaign"),
    page(Page::PauseCampaign, Method::POST, "/dashboard/campaigns/{campaign_id}/pause", "dashboard_pause_campaign"),
    page(Page::IssueKey, Method::POST, "/dashboard/campaigns/{campaign_id}/keys", "dashboard_issue_key"),
    page(
        Page::RevokeKey,
        Method::POST,
        "/dashboard/campaigns/{campaign_id}/keys/{key_id}/revoke",
        "dashboard_revoke_key",
    ),
    page(Page::Affiliates, Method::GET, "/dashboard/affiliates", "dashboard_affiliates"),
    page(Page::CreateAffiliate, Method::POST, "/dashboard/affiliates", "dashboard_create_affiliate"),
    page(Page::PauseAffiliate, Method::POST, "/dashboard/affiliates/{affiliate_id}/pause", "dashboard_pause_affiliate"),
    page(Page::ShareAffiliate, Method::POST, "/dashboard/affiliates/{affiliate_id}/share", "dashboard_share_affiliate"),
    page(
        Page::RevokeShares,
        Method::POST,
        "/dashboard/affiliates/{affiliate_id}/share/revoke",
        "dashboard_revoke_shares",
    ),
    page(Page::Import, Method::GET, "/dashboard/import", "dashboard_import"),
    page(Page::Imported, Method::POST, "/dashboard/import", "dashboard_imported"),
    page(Page::Settings, Method::GET, "/dashboard/settings", "dashboard_settings"),
    route(Endpoint::Asset, Method::GET, "/assets/{name}", "asset"),
    route(Endpoint::Health, Method::GET, "/healthz", "health"),
    route(Endpoint::Readiness, Method::GET, "/readyz", "readiness"),
    route(Endpoint::OpenApi, Method::GET, "/openapi.json", "openapi"),
];

/// Who a request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resolution {
    /// For the tracker: hand it to [`Api::handle`](crate::Api::handle).
    Found(Match),
    /// For the tracker, but with a method that it does not take: answer with
    /// [`Api::method_not_allowed`](crate::Api::method_not_allowed).
    MethodNotAllowed(Allow),
    /// For somebody else: hand it back to the framework, untouched.
    NotFound,
}

/// A request that is for the tracker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Match {
    pub(crate) endpoint: Endpoint,
    /// The place in [`ROUTES`].
    pub(crate) route: usize,
    /// The length of the path below the mount point.
    pub(crate) below: usize,
}

impl Match {
    /// Whether the request's body is wanted. If not, it need not be read. Whether it is from this caller tells
    /// [`Api::awaits_body`].
    #[must_use]
    pub fn reads_body(&self) -> bool {
        [Method::POST, Method::PATCH].contains(&ROUTES[self.route].method)
    }

    /// The most bytes of the request's body that need be read; with one more it is
    /// [`BodyError::TooLarge`](crate::BodyError::TooLarge).
    #[must_use]
    pub fn max_body_len(&self) -> usize {
        if self.is_import() { Api::MAX_IMPORT_LEN } else { Api::MAX_BODY_LEN }
    }

    /// How long the request's body may take to arrive; after that it is
    /// [`BodyError::Incomplete`](crate::BodyError::Incomplete).
    #[must_use]
    pub fn body_timeout(&self) -> Duration {
        if self.is_import() { Api::IMPORT_TIMEOUT } else { Api::BODY_TIMEOUT }
    }

    fn is_import(&self) -> bool {
        self.endpoint == Endpoint::Guarded(Guarded::ImportConversions)
    }
}

/// The methods that a path takes. Printed as the value of an `Allow` header.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Allow([bool; METHODS.len()]);

/// In the order in which they are printed. `HEAD` is taken wherever `GET` is.
const METHODS: [(Method, &str); 4] =
    [(Method::GET, "GET, HEAD"), (Method::POST, "POST"), (Method::PATCH, "PATCH"), (Method::DELETE, "DELETE")];

impl Allow {
    fn insert(&mut self, method: &Method) {
        for (allowed, (known, _)) in self.0.iter_mut().zip(METHODS) {
            *allowed |= known == *method;
        }
    }
}

impl fmt::Display for Allow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let allowed = self.0.iter().zip(METHODS).filter(|(allowed, _)| **allowed);
        allowed.enumerate().try_for_each(|(index, (_, (_, name)))| {
            f.write_str(if index == 0 { "" } else { ", " })?;
            f.write_str(name)
        })
    }
}

impl Resolution {
    /// Tells who a request is for, from its method and its path **below the mount point**: empty, or from the slash
    /// on, percent-encoded as it came.
    ///
    /// A trailing slash makes no difference. `HEAD` is taken wherever `GET` is.
    #[must_use]
    pub fn of(method: &Method, path: &str) -> Self {
        let Some(trimmed) = path.strip_prefix('/') else { return Self::NotFound };
        let trimmed = trimmed.strip_suffix('/').unwrap_or(trimmed);
        let wanted = if method == Method::HEAD { &Method::GET } else { method };
        let mut allow = Allow::default();
        for (index, route) in ROUTES.iter().enumerate() {
            if !matches(route.path, trimmed) || (route.endpoint == Endpoint::Asset && !is_asset(trimmed)) {
                continue;
            }
            // What has a name of its own is nobody's id: `/conversions/import` is no conversion.
            if route.path.contains('{') && ROUTES.iter().any(|named| named.path.strip_prefix('/') == Some(trimmed)) {
                continue;
            }
            if route.method == wanted {
                return Self::Found(Match { endpoint: route.endpoint, route: index, below: path.len() });
            }
            allow.insert(&route.method);
        }
        if allow == Allow::default() { Self::NotFound } else { Self::MethodNotAllowed(allow) }
    }
}

/// `path` is without slashes at its ends.
fn matches(pattern: &str, path: &str) -> bool {
    let (mut pattern, mut path) = (pattern.split('/').skip(1), path.split('/'));
    loop {
        match (pattern.next(), path.next()) {
            (None, None) => return true,
            (Some(wanted), Some(segment)) if wanted == segment => {}
            (Some(wanted), Some(segment)) if wanted.starts_with('{') && !segment.is_empty() => {}
            _ => return false,
        }
    }
}

/// The host may have assets under the same path: only our own files are ours.
fn is_asset(path: &str) -> bool {
    path.rsplit('/').next().is_some_and(|name| pages::asset(name).is_some())
}
