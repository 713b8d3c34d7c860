use tracking_core::AffiliateId;

/// Who looks at a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Viewer {
    /// Somebody who may see and change everything.
    Admin,
    /// Somebody who may see everything.
    Reader,
    /// Somebody who may see what is his.
    Affiliate(AffiliateId),
}

impl Viewer {
    /// Whose figures he may see; `None` is everybody's.
    pub(crate) const fn only(self) -> Option<AffiliateId> {
        match self {
            Self::Admin | Self::Reader => None,
            Self::Affiliate(id) => Some(id),
        }
    }

    pub(crate) const fn is_affiliate(self) -> bool {
        matches!(self, Self::Affiliate(_))
    }

    /// Whether pages offer him to change something.
    pub(crate) const fn may_change(self) -> bool {
        matches!(self, Self::Admin)
    }
}
