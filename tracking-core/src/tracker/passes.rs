//! Passes: how they are given out, checked and made void.

use std::time::Duration;

use thiserror::Error;

use crate::{Affiliate, AffiliateId, Holder, Pass, StoreError, Timestamp, Tracker};

impl Tracker {
    /// The shortest time that [`issue_pass`](Self::issue_pass) makes a pass for.
    pub const MIN_PASS_LIFETIME: Duration = Duration::from_secs(60);

    /// The longest time that [`issue_pass`](Self::issue_pass) makes a pass for.
    pub const MAX_PASS_LIFETIME: Duration = Duration::from_secs(366 * 24 * 60 * 60);

    /// The pass as a text that nobody can make without the tracker's secret. It is valid only for whoever names the same
    /// `bound_to` when it is [checked](Self::check_pass): such as the hash of a password, with which the pass ends.
    #[must_use]
    pub fn sign_pass(&self, pass: &Pass, bound_to: &[u8]) -> String {
        pass.sign(&self.recorder.secrets, bound_to)
    }

    /// What a text says that claims to be a pass; `None` if it was not signed under one of the tracker's secrets, retired
    /// ones included, if it is bound to something else than `bound_to` says of its holder, if it has expired, or if it is of
    /// an affiliate who is not there or whose passes were [revoked](Self::revoke_passes) since, of which other processes
    /// know within ten seconds. Passes of [`issue_pass`](Self::issue_pass) are bound to nothing: to no bytes.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn check_pass(
        &self,
        token: &str,
        bound_to: impl Fn(Holder) -> Vec<u8>,
    ) -> Result<Option<Pass>, StoreError> {
        let Some(pass) = Pass::verify(token, &self.recorder.secrets, bound_to) else { return Ok(None) };
        if self.now() >= pass.expires_at {
            return Ok(None);
        }
        if let Holder::Affiliate(id) = pass.holder {
            match self.affiliates.current(id).await {
                Ok(affiliate) if affiliate.revoked_at.is_none_or(|revoked_at| revoked_at < pass.issued_at) => {}
                Ok(_) | Err(StoreError::UnknownAffiliate(_)) => return Ok(None),
                Err(error) => return Err(error),
            }
        }
        Ok(Some(pass))
    }

    /// Makes a pass for an affiliate. Whoever has its text may see what is the affiliate's, until it expires or his passes are
    /// [revoked](Self::revoke_passes).
    ///
    /// # Errors
    /// If the lifetime is too short or too long, if there is no such affiliate, or if the store fails.
    pub async fn issue_pass(&self, id: AffiliateId, lifetime: Duration) -> Result<(String, Pass), PassError> {
        if !(Self::MIN_PASS_LIFETIME..=Self::MAX_PASS_LIFETIME).contains(&lifetime) {
            return Err(PassError::Lifetime);
        }
        let affiliate = self.recorder.store.affiliate(id).await?;
        let now = self.now();
        // One of the same moment would be void already.
        let first = affiliate.revoked_at.map_or(Timestamp::MIN, |revoked_at| revoked_at.plus(Duration::from_millis(1)));
        let pass = Pass { holder: Holder::Affiliate(id), issued_at: now.max(first), expires_at: now.plus(lifetime) };
        Ok((self.sign_pass(&pass, &[]), pass))
    }

    /// Makes all passes void that an affiliate has.
    ///
    /// # Errors
    /// If there is no such affiliate, or if the store fails.
    pub async fn revoke_passes(&self, id: AffiliateId) -> Result<Affiliate, StoreError> {
        let now = self.now();
        // The clock of another process may be ahead; what it has revoked stays so.
        self.update_affiliate(id, |affiliate| affiliate.revoked_at = affiliate.revoked_at.max(Some(now))).await
    }
}

/// Why there is no pass.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PassError {
    /// It would end too soon, or too late.
    #[error("a pass is valid for 60 seconds to 366 days")]
    Lifetime,
    /// The store did not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
}
