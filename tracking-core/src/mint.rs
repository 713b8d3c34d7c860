use uuid::{NoContext, Uuid};

use crate::{ClickId, Timestamp};

/// Makes new click ids.
///
/// An id is a UUIDv7 ([RFC 9562](https://www.rfc-editor.org/rfc/rfc9562#section-5.7)): its time, then 74 random bits.
/// Ids made later sort later, which keeps a database's index compact.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ClickIdMint;

impl ClickIdMint {
    pub(crate) fn mint(self, at: Timestamp) -> ClickId {
        let millis = at.as_millis().unsigned_abs();
        let nanos = (millis % 1000) as u32 * 1_000_000;
        ClickId::from_uuid(Uuid::new_v7(uuid::Timestamp::from_unix(NoContext, millis / 1000, nanos)))
    }
}
