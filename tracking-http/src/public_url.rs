use std::str::FromStr;

use thiserror::Error;
use url::Url;

/// The URL under which the world knows a tracker's mount point, such as `https://example.com/tracking`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicUrl(Url);

impl PublicUrl {
    /// # Errors
    /// If it is not an `http` or `https` URL, or has a user name, a password, a query, a fragment or a single quote. (It
    /// is shown in commands, between single quotes.)
    pub fn new(url: Url) -> Result<Self, UnfitPublicUrl> {
        let is_web = matches!(url.scheme(), "http" | "https");
        let has_user = !url.username().is_empty() || url.password().is_some();
        let has_more = url.query().is_some() || url.fragment().is_some();
        if !is_web || has_user || has_more || url.as_str().contains('\'') {
            return Err(UnfitPublicUrl);
        }
        Ok(Self(url))
    }

    /// The URL itself.
    #[must_use]
    pub fn as_url(&self) -> &Url {
        &self.0
    }

    /// Without a slash at its end, so that a path can follow.
    #[must_use]
    pub fn base(&self) -> &str {
        self.0.as_str().trim_end_matches('/')
    }
}

impl FromStr for PublicUrl {
    type Err = UnfitPublicUrl;

    fn from_str(text: &str) -> Result<Self, UnfitPublicUrl> {
        Url::parse(text).map_err(|_| UnfitPublicUrl).and_then(Self::new)
    }
}

/// A URL can't be that of a mount point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("expected an http or https URL without user name, query and fragment, such as https://track.example.com")]
pub struct UnfitPublicUrl;
