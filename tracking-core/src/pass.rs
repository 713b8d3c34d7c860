//! Passes: signed texts that say who may see what, and until when. Nobody keeps them.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::secret::{Secrets, TAG_LEN};
use crate::{AffiliateId, Timestamp};

/// Who a [`Pass`] is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Holder {
    /// Somebody who may see and change everything.
    Admin,
    /// Somebody who may see everything, and change nothing.
    ReadOnly,
    /// An affiliate, who may see what is his.
    Affiliate(AffiliateId),
}

/// What a signed pass says: who may come, and until when.
///
/// As a text it is the prefix `afpass_` and, in base64url without padding
/// ([RFC 4648](https://www.rfc-editor.org/rfc/rfc4648#section-5)), these 34 bytes, numbers with the most significant byte
/// first: version (1 byte, 1), holder (1; admin 1, read-only 2, affiliate 3), the affiliate's id or 0 (4), issued and expires
/// in milliseconds since 1970 (6 each), and the first 16 bytes of HMAC-SHA256 over the prefix, the 18 bytes before, and what
/// the pass is bound to, under the tracker's secret. That is 53 characters, all of which may stand in a URL and in a cookie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pass {
    /// Who it is for.
    pub holder: Holder,
    /// When it was made.
    pub issued_at: Timestamp,
    /// From when on it is not valid any more.
    pub expires_at: Timestamp,
}

/// Unlike all else that is made with the secret begins, so that no signature of one kind is taken for one of another.
const PREFIX: &str = "afpass_";
const VERSION: u8 = 1;
const PAYLOAD_LEN: usize = 18;
const LEN: usize = PAYLOAD_LEN + TAG_LEN;

impl Pass {
    pub(crate) fn sign(self, secrets: &Secrets, bound_to: &[u8]) -> String {
        let payload = self.payload();
        let tag = secrets.tag(&[PREFIX.as_bytes(), &payload, bound_to]);
        let mut bytes = [0; LEN];
        bytes[..PAYLOAD_LEN].copy_from_slice(&payload);
        bytes[PAYLOAD_LEN..].copy_from_slice(&tag);
        format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes))
    }

    /// What the text says, if it was signed under one of the secrets, for what its holder's passes are bound to.
    pub(crate) fn verify(token: &str, secrets: &Secrets, bound_to: impl Fn(Holder) -> Vec<u8>) -> Option<Self> {
        let mut bytes = [0; LEN];
        if URL_SAFE_NO_PAD.decode_slice(token.strip_prefix(PREFIX)?, &mut bytes) != Ok(LEN) {
            return None;
        }
        let (payload, tag) = bytes.split_at(PAYLOAD_LEN);
        let pass = Self::read(payload)?;
        secrets.has_made(tag, &[PREFIX.as_bytes(), payload, &bound_to(pass.holder)]).then_some(pass)
    }

    fn payload(self) -> [u8; PAYLOAD_LEN] {
        let (kind, affiliate) = match self.holder {
            Holder::Admin => (1, 0),
            Holder::ReadOnly => (2, 0),
            Holder::Affiliate(id) => (3, id.as_u64()),
        };
        let mut payload = [0; PAYLOAD_LEN];
        payload[..2].copy_from_slice(&[VERSION, kind]);
        // From 1970 to 9999 in milliseconds takes 48 bits; ids take 31.
        payload[2..6].copy_from_slice(&affiliate.to_be_bytes()[4..]);
        payload[6..12].copy_from_slice(&self.issued_at.as_millis().to_be_bytes()[2..]);
        payload[12..].copy_from_slice(&self.expires_at.as_millis().to_be_bytes()[2..]);
        payload
    }

    fn read(payload: &[u8]) -> Option<Self> {
        let number =
            |range: std::ops::Range<usize>| payload[range].iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
        let time = |range| Timestamp::from_millis(number(range).try_into().ok()?).ok();
        let holder = match (payload[0], payload[1], number(2..6)) {
            (VERSION, 1, 0) => Holder::Admin,
            (VERSION, 2, 0) => Holder::ReadOnly,
            (VERSION, 3, id) => Holder::Affiliate(AffiliateId::new(id).ok()?),
            _ => return None,
        };
        Some(Self { holder, issued_at: time(6..12)?, expires_at: time(12..18)? })
    }
}
