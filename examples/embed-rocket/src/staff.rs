//! The shop's own login, as every application has one.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use tracking_http::http::HeaderMap;
use tracking_http::http::header::COOKIE;
use uuid::Uuid;

/// Those who run the shop. They share a password, which is made anew each time the shop starts.
pub(crate) struct Staff {
    pub(crate) password: Uuid,
    sessions: Mutex<HashSet<Uuid>>,
}

impl Staff {
    pub(crate) fn new() -> Self {
        Self { password: Uuid::new_v4(), sessions: Mutex::default() }
    }

    /// Begins a session, unless the password is wrong. Returns the cookie for it, to which an application that is
    /// reached by https adds `Secure`.
    pub(crate) fn log_in(&self, password: &str) -> Option<String> {
        if password.parse() != Ok(self.password) {
            return None;
        }
        let session = Uuid::new_v4();
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner).insert(session);
        Some(format!("session={session}; HttpOnly; SameSite=Lax; Path=/"))
    }

    /// Whether a request with these headers belongs to a session.
    pub(crate) fn knows(&self, headers: &HeaderMap) -> bool {
        let cookies = headers.get_all(COOKIE).iter().filter_map(|header| header.to_str().ok());
        let mut sessions = cookies.flat_map(|header| header.split(';')).filter_map(|cookie| {
            let session = cookie.trim().strip_prefix("session=")?;
            session.parse().ok()
        });
        let known = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.any(|session| known.contains(&session))
    }
}
