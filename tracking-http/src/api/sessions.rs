//! Sessions: how they begin and end, and who has one.
//!
//! A session is a [`Pass`] in a cookie. Nothing is kept of it here: it ends when it expires, when the token changes that
//! somebody has logged in with, or when the passes of an affiliate are revoked.

use std::net::IpAddr;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, COOKIE, REFERRER_POLICY, SET_COOKIE};
use http::request::Parts;
use http::{HeaderValue, Method, Response, StatusCode};
use percent_encoding::{percent_decode_str, utf8_percent_encode};
use tracking_core::{Holder, Parameters, Pass, StoreError};

use super::{Api, BodyError};
use crate::chunks::Body;
use crate::client_ip::client_ip;
use crate::endpoint::{Endpoint, Resolution, Session};
use crate::guard::Access;
use crate::location::Location;
use crate::pages::{LogInPage, SESSION_PLACE, session_part};
use crate::query::RESERVED;
use crate::refusal::{Header, Refusal};
use crate::{answer, body, dashboard, query};

/// How many wrong tokens of one place are answered for what they are, in a minute.
pub(super) const FAILURES_ALLOWED: u32 = 10;

/// What the cookie of a session is called.
pub(crate) const COOKIE_NAME: &str = "tracking_session";

/// How long somebody is logged in who has done so with a token of the guard's.
const LIFETIME: Duration = Duration::from_secs(12 * 60 * 60);

/// How many cookies of our name are looked at: trackers at several mount points of a host may have one each.
const MAX_COOKIES: usize = 8;

/// The most characters of a place to go on to after the login.
const MAX_NEXT_LEN: usize = 2000;

/// Somebody who asks for what is guarded.
pub(super) struct Caller {
    pub(super) access: Access,
    /// What tells who he is, if it was not the guard.
    pub(super) session: Option<Pass>,
}

impl Api {
    /// Who is asking: who is meant by the `Authorization` header, or by the session, or else whoever the guard says.
    pub(super) async fn caller(&self, request: &Parts, peer: Option<IpAddr>) -> Result<Caller, Refusal> {
        let is_by_header = request.headers.contains_key(AUTHORIZATION);
        if !is_by_header && let Some(pass) = self.session(request).await? {
            return Ok(Caller { access: pass.holder.into(), session: Some(pass) });
        }
        let is_login = is_by_header && self.has_logins();
        let access = self.guard_access(request, peer).await?;
        if is_login && access == Access::Unknown {
            self.failed_logins.count(client_ip(&request.headers, peer, &self.trusted_proxies));
        }
        Ok(Caller { access, session: None })
    }

    /// Whether somebody is asking who may change everything. Nothing is counted: whoever is not is told so, and counted, when
    /// his request is answered.
    pub(super) async fn is_admin(&self, request: &Parts, peer: Option<IpAddr>) -> bool {
        let session = match request.headers.contains_key(AUTHORIZATION) {
            true => Ok(None),
            false => self.session(request).await,
        };
        match session {
            Ok(Some(pass)) => pass.holder == Holder::Admin,
            Ok(None) => matches!(self.guard_access(request, peer).await, Ok(Access::Admin)),
            Err(_) => false,
        }
    }

    /// Who is asking, if the guard is asked.
    async fn guard_access(&self, request: &Parts, peer: Option<IpAddr>) -> Result<Access, Refusal> {
        let is_login = request.headers.contains_key(AUTHORIZATION) && self.has_logins();
        let source = client_ip(&request.headers, peer, &self.trusted_proxies);
        // Before the token is looked at, so that nobody learns whether one more is right.
        if is_login && let Some(left) = self.failed_logins.blocked_for(source) {
            return Err(Refusal::too_many_logins(left));
        }
        Ok(self.guard.access(request).await)
    }

    /// Whether somebody unknown is sent to the login page, if he asks for a page. Whoever has sent a header is told that it
    /// is wrong.
    pub(super) fn sends_to_log_in(&self, request: &Parts) -> bool {
        self.has_logins() && !request.headers.contains_key(AUTHORIZATION)
    }

    /// Whether somebody unknown would log in on a page: a browser must not ask him for a password by itself, because what it is
    /// told so it sends for ever.
    pub(super) fn is_browser_to_log_in(&self, request: &Parts) -> bool {
        let is_browser = request.headers.contains_key("sec-fetch-mode") || session_cookies(request).next().is_some();
        is_browser && self.sends_to_log_in(request)
    }

    /// Whether the guard has tokens to log in with.
    fn has_logins(&self) -> bool {
        [Holder::Admin, Holder::ReadOnly].into_iter().any(|holder| self.guard.session_binding(holder).is_some())
    }

    /// The first of the request's cookies that is a valid session.
    async fn session(&self, request: &Parts) -> Result<Option<Pass>, StoreError> {
        for token in session_cookies(request).take(MAX_COOKIES) {
            let bound_to = |holder| self.binding(holder).unwrap_or_default();
            if let Some(pass) = self.tracker.check_pass(token, bound_to).await?
                && self.binding(pass.holder).is_some()
            {
                return Ok(Some(pass));
            }
        }
        Ok(None)
    }

    /// A page that tells a problem, with a way to log out for whoever has a session.
    pub(super) async fn with_way_out(
        &self,
        request: &Parts,
        at: &Location<'_>,
        page: Response<Body>,
    ) -> Response<Body> {
        if request.headers.contains_key(AUTHORIZATION) {
            return page;
        }
        match self.session(request).await {
            Ok(Some(pass)) => shown(pass, at, page),
            // The problem is worth more than the way out.
            Ok(None) | Err(_) => page,
        }
    }

    /// What the sessions of a holder are bound to; `None` if he can't have any.
    fn binding(&self, holder: Holder) -> Option<Vec<u8>> {
        match holder {
            Holder::Affiliate(_) => Some(Vec::new()),
            holder => self.guard.session_binding(holder),
        }
    }

    pub(super) async fn session_step(
        &self,
        step: Session,
        request: &Parts,
        peer: Option<IpAddr>,
        parameters: &Parameters<'_>,
        at: &Location<'_>,
        body: Result<Bytes, BodyError>,
    ) -> Result<Response<Body>, Refusal> {
        self.check_origin(request)?;
        match step {
            Session::LogInPage => log_in_page(at, fit_next(parameters.text("next")?).unwrap_or_default(), None),
            Session::LogIn => self.log_in(request, peer, at, body).await,
            Session::LogOut => {
                let response = answer::see_other(&format!("{}dashboard/login", at.root));
                Ok(self.with_cookie(response, at, "", Duration::ZERO))
            }
            Session::Share => self.share(request, peer, parameters, at).await,
        }
    }

    async fn log_in(
        &self,
        request: &Parts,
        peer: Option<IpAddr>,
        at: &Location<'_>,
        body: Result<Bytes, BodyError>,
    ) -> Result<Response<Body>, Refusal> {
        let form = body::form(request, body)?;
        let fields = query::parse(Some(&form))?;
        let next = fit_next(fields.text("next")?).unwrap_or_default();
        let token = fields.text("token")?.unwrap_or_default().trim();
        let source = client_ip(&request.headers, peer, &self.trusted_proxies);
        // Counted before it is known how it ends, so that those at the same time count, too.
        if let Some(left) = self.failed_logins.count(source) {
            return log_in_page(at, next, Some(&Refusal::too_many_logins(left)));
        }
        let recognised = self.recognise(token).await;
        if !matches!(recognised, Ok(None)) {
            self.failed_logins.forgive(source);
        }
        match recognised? {
            None => log_in_page(at, next, Some(&Refusal::wrong_token())),
            Some((session, pass)) => {
                let next = match pass.holder {
                    Holder::Affiliate(_) => "",
                    Holder::Admin | Holder::ReadOnly => next,
                };
                Ok(self.begin(&session, pass, at, next))
            }
        }
    }

    /// The session of whoever has this token: one of the guard's, or an affiliate's pass.
    async fn recognise(&self, token: &str) -> Result<Option<(String, Pass)>, StoreError> {
        let Some(holder) = self.guard.log_in(token).await else {
            return Ok(self.affiliates_pass(token).await?.map(|pass| (token.to_owned(), pass)));
        };
        let Some(bound_to) = self.binding(holder) else {
            tracing::error!(?holder, "the guard lets somebody log in who can't have a session");
            return Ok(None);
        };
        let now = self.tracker.now();
        let pass = Pass { holder, issued_at: now, expires_at: now.plus(LIFETIME) };
        Ok(Some((self.tracker.sign_pass(&pass, &bound_to), pass)))
    }

    async fn affiliates_pass(&self, token: &str) -> Result<Option<Pass>, StoreError> {
        let pass = self.tracker.check_pass(token, |_| Vec::new()).await?;
        Ok(pass.filter(|pass| matches!(pass.holder, Holder::Affiliate(_))))
    }

    /// Any site can make a browser open such a link, so whoever may see all of it stays who he is.
    async fn share(
        &self,
        request: &Parts,
        peer: Option<IpAddr>,
        parameters: &Parameters<'_>,
        at: &Location<'_>,
    ) -> Result<Response<Body>, Refusal> {
        let token = parameters.text("token")?.unwrap_or_default();
        let pass = self.affiliates_pass(token).await?.ok_or_else(Refusal::void_link)?;
        let caller = self.caller(request, peer).await?;
        let sees_all = matches!(caller.access, Access::Admin | Access::ReadOnly);
        if sees_all && (caller.session.is_some() || !self.guard.is_open()) {
            let place = format!("{}{}", at.root, home(pass.holder));
            return Ok(without_referrer(answer::see_other(&place)));
        }
        Ok(without_referrer(self.begin(token, pass, at, "")))
    }

    /// Sends somebody on who has a session now.
    fn begin(&self, session: &str, pass: Pass, at: &Location<'_>, next: &str) -> Response<Body> {
        let place = match pass.holder {
            Holder::Admin | Holder::ReadOnly if !next.is_empty() => next.to_owned(),
            holder => home(holder),
        };
        let millis = pass.expires_at.as_millis().saturating_sub(self.tracker.now().as_millis());
        let left = Duration::from_millis(millis.try_into().unwrap_or_default());
        self.with_cookie(answer::see_other(&format!("{}{place}", at.root)), at, session, left)
    }

    /// With the cookie of a session that is so long, or without one if that is no time at all. `Lax`, so that links of
    /// others to a page work, and their forms don't.
    fn with_cookie(
        &self,
        mut response: Response<Body>,
        at: &Location<'_>,
        session: &str,
        left: Duration,
    ) -> Response<Body> {
        let (path, secure) = match &self.public_url {
            Some(url) => (url.as_url().path().trim_end_matches('/'), url.as_url().scheme() == "https"),
            None => (at.mount, false),
        };
        let path = if path.is_empty() { "/" } else { path };
        let secure = if secure { "; Secure" } else { "" };
        let age = left.as_secs();
        let cookie = format!("{COOKIE_NAME}={session}; Path={path}; Max-Age={age}; HttpOnly; SameSite=Lax{secure}");
        match HeaderValue::try_from(cookie) {
            Ok(cookie) if !path.contains([';', ',']) => _ = response.headers_mut().insert(SET_COOKIE, cookie),
            _ => tracing::error!("there is no session, because the path of the mount point can't stand in a cookie"),
        }
        response
    }
}

/// The page that somebody begins with, below the mount point.
fn home(holder: Holder) -> String {
    match holder {
        Holder::Affiliate(id) => format!("dashboard?affiliate_id={id}"),
        Holder::Admin | Holder::ReadOnly => "dashboard".to_owned(),
    }
}

fn session_cookies(request: &Parts) -> impl Iterator<Item = &str> {
    let lines = request.headers.get_all(COOKIE).into_iter().filter_map(|value| value.to_str().ok());
    lines.flat_map(|line| line.split(';')).filter_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        (name.trim() == COOKIE_NAME).then_some(value.trim())
    })
}

/// To the login page, and from there to what was asked for.
pub(super) fn to_log_in(request: &Parts, at: &Location<'_>) -> Response<Body> {
    let page = format!("{}dashboard/login", at.root);
    let asked = request.uri.path_and_query().map_or("", |asked| asked.as_str());
    let below = asked.strip_prefix(at.mount).map(|below| below.trim_start_matches('/'));
    let is_read = [Method::GET, Method::HEAD].contains(&request.method);
    match below.filter(|below| is_read && *below != "dashboard").and_then(|below| fit_next(Some(below))) {
        Some(next) => answer::see_other(&format!("{page}?next={}", utf8_percent_encode(next, RESERVED))),
        None => answer::see_other(&page),
    }
}

/// A place to go on to, below the mount point, if it is one of our own pages: anything else may be a trap.
fn fit_next(next: Option<&str>) -> Option<&str> {
    let next = next?;
    // Visible ASCII that means the same to every browser. A backslash is a slash to some.
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !b"\\\"<>#`".contains(&byte);
    let (path, _) = next.split_once('?').unwrap_or((next, ""));
    let has_dots = path
        .split('/')
        .any(|segment| matches!(percent_decode_str(segment).collect::<Vec<_>>()[..], [b'.'] | [b'.', b'.']));
    if next.len() > MAX_NEXT_LEN || has_dots || !next.bytes().all(is_plain) {
        return None;
    }
    match Resolution::of(&Method::GET, &format!("/{path}")) {
        Resolution::Found(found) => match found.endpoint {
            Endpoint::Guarded(endpoint) if endpoint.is_page() => Some(next),
            _ => None,
        },
        _ => None,
    }
}

fn log_in_page(at: &Location<'_>, next: &str, refusal: Option<&Refusal>) -> Result<Response<Body>, Refusal> {
    let page = LogInPage { root: &at.root, next, refusal };
    Ok(answer::page(dashboard::rendered(page.render())?, refusal))
}

/// What a browser is shown instead of what it asked for.
pub(super) fn problem(step: Session, at: &Location<'_>, refusal: Refusal) -> Response<Body> {
    let response = dashboard::problem(at, refusal);
    if step == Session::Share { without_referrer(response) } else { response }
}

/// The URL has a pass in it.
fn without_referrer(mut response: Response<Body>) -> Response<Body> {
    response.headers_mut().insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

/// The page with a way to log out, for somebody who has a session.
pub(super) fn shown(pass: Pass, at: &Location<'_>, response: Response<Body>) -> Response<Body> {
    let is_html = |value: &HeaderValue| value.as_bytes().starts_with(b"text/html");
    if !response.headers().get(CONTENT_TYPE).is_some_and(is_html) {
        return response;
    }
    response.map(|body| match body {
        Body::Whole(page) => Body::Whole(match std::str::from_utf8(&page) {
            Ok(html) => html.replacen(SESSION_PLACE, &session_part(pass.holder, &at.root), 1).into(),
            Err(_) => page,
        }),
        chunks @ Body::Chunks(_) => chunks,
    })
}

impl Refusal {
    /// With a challenge that no browser answers by asking for a password.
    fn wrong_token() -> Self {
        let message = "This access token is not valid, or not any more.";
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", message).header(Header::unanswered_challenge())
    }

    fn void_link() -> Self {
        let message = "This link has expired, or it was revoked. Ask whoever gave it to you for a new one.";
        Self::new(StatusCode::FORBIDDEN, "void_link", message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pages_of_ours_are_gone_on_to() {
        for next in [
            "dashboard",
            "dashboard/",
            "dashboard?affiliate_id=7",
            "dashboard/postbacks?click_id=a%2Fb&problems=true",
            "dashboard/conversions/42",
            "dashboard?next=https://evil.example/",
        ] {
            assert_eq!(fit_next(Some(next)), Some(next));
        }
        for next in [
            "",
            "/",
            "/dashboard",
            "//evil.example",
            "//evil.example/dashboard",
            "https://evil.example/dashboard",
            "https:dashboard",
            "javascript:alert(1)",
            "\\\\evil.example",
            "/\\evil.example",
            "dashboard\\..\\..",
            "dashboard/conversions/..",
            "dashboard/conversions/%2e%2E",
            "dashboard/conversions/.%2e",
            "dashboard/conversions/.",
            "../dashboard",
            "dashboard/../../evil",
            "dashboard//evil.example",
            "dashboard\r\nSet-Cookie: x=y",
            "dashboard\t",
            " dashboard",
            "dashboard#x",
            "dashboard?é",
            "dashboard/login",
            "dashboard/logout",
            "dashboard/share?token=x",
            "affiliates",
            "go?affiliate_id=1&campaign_id=10",
            "evil",
        ] {
            assert_eq!(fit_next(Some(next)), None, "{next}");
        }
        let long = format!("dashboard?{}", "x".repeat(MAX_NEXT_LEN));
        assert_eq!((fit_next(Some(&long)), fit_next(None)), (None, None));
    }
}
