//! Who may see reports and pages, and who may change affiliates and campaigns.
//!
//! The host chooses one guard when it makes the [`Api`](crate::Api); there is no default. Clicks, postbacks, health
//! checks, the OpenAPI document and the pages' style sheets are not guarded: postbacks have their campaign's key.
//!
//! On top of any guard there are sessions: whoever logs in at `/dashboard/login`, or opens a link that was shared with him,
//! gets a signed cookie, which tells who he is in the guard's place. A request with an `Authorization` header is always the
//! guard's.

use std::borrow::Cow;
use std::fmt::{self, Debug};
use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::header::AUTHORIZATION;
use http::request::Parts;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use thiserror::Error;
use tracking_core::{AffiliateId, Holder};

/// Tells who is asking.
#[async_trait]
pub trait Guard: Debug + Send + Sync + 'static {
    /// Who sent this request. It is asked once for each guarded request that is well-formed, before anything is looked up
    /// or done; for the import of a file twice, the first time before the file is read.
    async fn access(&self, request: &Parts) -> Access;

    /// Who has this token, which somebody has written into the login page. Passes of affiliates are known without. Unless a
    /// guard says otherwise, nobody has any.
    async fn log_in(&self, token: &str) -> Option<Holder> {
        _ = token;
        None
    }

    /// What sessions of an admin or of a reader are bound to, such as the hash of the token that he logs in with: when it
    /// changes, they end. `None`, unless a guard says otherwise, if nobody can log in as such; then strangers are not sent to
    /// the login page. Sessions of affiliates are bound to nothing, and end with their passes.
    fn session_binding(&self, holder: Holder) -> Option<Vec<u8>> {
        _ = holder;
        None
    }

    /// Whether everybody is let in, whoever he is. Then a link that was shared makes the caller the affiliate who is meant;
    /// it does not if the guard lets in the caller as an admin or a reader. Unless a guard says otherwise, it is not open.
    fn is_open(&self) -> bool {
        false
    }
}

macro_rules! forward_guard {
    ($($pointer:ident)+) => {$(
        #[async_trait]
        #[warn(clippy::missing_trait_methods)]
        impl<G: Guard + ?Sized> Guard for $pointer<G> {
            async fn access(&self, request: &Parts) -> Access {
                (**self).access(request).await
            }

            async fn log_in(&self, token: &str) -> Option<Holder> {
                (**self).log_in(token).await
            }

            fn session_binding(&self, holder: Holder) -> Option<Vec<u8>> {
                (**self).session_binding(holder)
            }

            fn is_open(&self) -> bool {
                (**self).is_open()
            }
        }
    )+};
}

forward_guard!(Arc Box);

/// Who is asking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access {
    /// Somebody who may see and change everything.
    Admin,
    /// Somebody who may see everything, and change nothing: what would write is answered with 403.
    ReadOnly,
    /// An affiliate, who may see his own figures, and the campaigns.
    Affiliate(AffiliateId),
    /// Nobody who is known. Answered with 401, and with a challenge to send a name and password, or a bearer token.
    Unknown,
    /// Nobody who is known, but at this URL he can log in: pages redirect to it, and calls are answered with 401. It goes
    /// to the browser as it is, so a path has to be the one that the browser knows, whatever a proxy makes of it.
    LogInAt(Cow<'static, str>),
}

impl From<Holder> for Access {
    fn from(holder: Holder) -> Self {
        match holder {
            Holder::Admin => Self::Admin,
            Holder::ReadOnly => Self::ReadOnly,
            Holder::Affiliate(id) => Self::Affiliate(id),
        }
    }
}

/// Lets everybody do everything. For a trial on one machine, or where something in front of the tracker checks.
#[must_use]
pub fn open() -> impl Guard {
    Open
}

#[derive(Debug)]
struct Open;

#[async_trait]
impl Guard for Open {
    async fn access(&self, _: &Parts) -> Access {
        Access::Admin
    }

    fn is_open(&self) -> bool {
        true
    }
}

/// Lets in whoever sends this token, as `Authorization: Bearer` or as the password of `Basic` with any user name, for
/// which a browser asks by itself; or whoever logs in with it.
#[must_use]
pub fn token(token: &Token) -> impl Guard + use<> {
    tokens(Tokens::new(token.clone()))
}

/// The same with a token that opens everything, and another one for whoever may only read.
///
/// ```
/// use tracking_http::guard::{self, Token, Tokens};
///
/// # fn main() -> Result<(), guard::WeakToken> {
/// let tokens = Tokens::new(Token::new("correct-horse-battery")?).read_only(Token::new("a-reader-of-reports")?);
/// let guard = guard::tokens(tokens);
/// # let _ = guard;
/// # Ok(())
/// # }
/// ```
#[must_use]
pub fn tokens(tokens: Tokens) -> impl Guard {
    TokenGuard(tokens)
}

/// What the guard of [`tokens`] lets in.
#[derive(Debug, Clone)]
pub struct Tokens {
    admin: Token,
    read_only: Option<Token>,
}

impl Tokens {
    /// A token that opens everything, and no other one.
    #[must_use]
    pub fn new(admin: Token) -> Self {
        Self { admin, read_only: None }
    }

    /// The same with a token for whoever may see everything, and change nothing. It has to be another one.
    #[must_use]
    pub fn read_only(mut self, token: Token) -> Self {
        self.read_only = Some(token);
        self
    }

    /// Compares hashes, and both of them, so that this takes the same time whatever was sent.
    fn holder(&self, sent: &str) -> Option<Holder> {
        let sent = hash(sent);
        let is = |token: &Token| bool::from(sent.ct_eq(&token.0));
        let (is_admin, is_reader) = (is(&self.admin), self.read_only.as_ref().is_some_and(is));
        if is_admin { Some(Holder::Admin) } else { is_reader.then_some(Holder::ReadOnly) }
    }
}

struct TokenGuard(Tokens);

impl Debug for TokenGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenGuard(…)")
    }
}

#[async_trait]
impl Guard for TokenGuard {
    async fn access(&self, request: &Parts) -> Access {
        let sent = request.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).and_then(password);
        sent.and_then(|sent| self.0.holder(&sent)).map_or(Access::Unknown, Access::from)
    }

    async fn log_in(&self, token: &str) -> Option<Holder> {
        self.0.holder(token)
    }

    fn session_binding(&self, holder: Holder) -> Option<Vec<u8>> {
        let token = match holder {
            Holder::Admin => Some(&self.0.admin),
            Holder::ReadOnly => self.0.read_only.as_ref(),
            Holder::Affiliate(_) => None,
        };
        token.map(|token| token.0.to_vec())
    }
}

/// The secret in an `Authorization` header of either scheme.
fn password(authorization: &str) -> Option<Cow<'_, str>> {
    if let Some(token) = bearer(authorization) {
        return Some(Cow::Borrowed(token));
    }
    let (scheme, encoded) = authorization.split_once(' ')?;
    let decoded = scheme.eq_ignore_ascii_case("basic").then(|| BASE64_STANDARD.decode(encoded.trim()).ok())??;
    let (_, password) = std::str::from_utf8(&decoded).ok()?.split_once(':')?;
    Some(Cow::Owned(password.to_owned()))
}

/// The token of an `Authorization: Bearer` header.
pub(crate) fn bearer(authorization: &str) -> Option<&str> {
    let (scheme, token) = authorization.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

/// A secret that lets in whoever has it: at least 16 visible ASCII characters. `Debug` does not show it.
/// Kept as its SHA-256 hash, so that a comparison takes the same time whatever is sent.
#[derive(Clone)]
pub struct Token([u8; 32]);

impl Token {
    /// The least number of characters.
    pub const MIN_LEN: usize = 16;

    /// # Errors
    /// If `token` is too short, or has a character that can't stand in a header.
    pub fn new(token: &str) -> Result<Self, WeakToken> {
        if token.len() < Self::MIN_LEN || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(WeakToken);
        }
        Ok(Self(hash(token)))
    }
}

impl Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

fn hash(secret: &str) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
}

/// A token that is too easy to guess, or that can't be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a token has at least {} visible ASCII characters, without spaces", Token::MIN_LEN)]
pub struct WeakToken;

/// Asks the host: the closure looks at the request, usually at its cookies, and tells who sent it.
///
/// ```
/// use tracking_http::guard::{self, Access};
///
/// let guard = guard::from_fn(|request| {
///     let session = request.headers.get("cookie").cloned();
///     async move {
///         match session {
///             Some(session) if session == "session=admin" => Access::Admin, // look it up in your database here
///             _ => Access::LogInAt("/login".into()),
///         }
///     }
/// });
/// # let _ = guard;
/// ```
pub fn from_fn<F, Fut>(look: F) -> impl Guard
where
    F: Fn(&Parts) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Access> + Send + 'static,
{
    HostGuard(look)
}

struct HostGuard<F>(F);

impl<F> Debug for HostGuard<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HostGuard(…)")
    }
}

#[async_trait]
impl<F, Fut> Guard for HostGuard<F>
where
    F: Fn(&Parts) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Access> + Send + 'static,
{
    async fn access(&self, request: &Parts) -> Access {
        (self.0)(request).await
    }
}
