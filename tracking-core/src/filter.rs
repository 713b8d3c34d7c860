//! Which clicks and conversions are wanted.

use crate::{AffiliateId, CampaignId, Click, Conversion, ConversionStatus, Timestamp};

/// Whose records are wanted, of which campaign: those to which all of it applies.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Scope {
    /// Those of this affiliate; `None` is of all.
    pub affiliate_id: Option<AffiliateId>,
    /// Those of this campaign; `None` is of all.
    pub campaign_id: Option<CampaignId>,
}

impl Scope {
    /// Everything.
    pub const ALL: Self = Self { affiliate_id: None, campaign_id: None };

    /// Whether records of this affiliate and campaign are wanted.
    #[must_use]
    pub fn admits(self, affiliate_id: AffiliateId, campaign_id: CampaignId) -> bool {
        self.affiliate_id.is_none_or(|wanted| wanted == affiliate_id)
            && self.campaign_id.is_none_or(|wanted| wanted == campaign_id)
    }
}

impl From<AffiliateId> for Scope {
    fn from(id: AffiliateId) -> Self {
        Self { affiliate_id: Some(id), campaign_id: None }
    }
}

impl From<CampaignId> for Scope {
    fn from(id: CampaignId) -> Self {
        Self { affiliate_id: None, campaign_id: Some(id) }
    }
}

/// Which clicks are wanted: those to which all of it applies.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClickFilter {
    /// Those of this affiliate and campaign.
    pub scope: Scope,
    /// Those that were created at this time or later.
    pub from: Option<Timestamp>,
    /// Those that were created before this time.
    pub to: Option<Timestamp>,
}

impl ClickFilter {
    /// The same from this time on.
    #[must_use]
    pub const fn since(mut self, from: Timestamp) -> Self {
        self.from = Some(from);
        self
    }

    /// The same before this time.
    #[must_use]
    pub const fn until(mut self, to: Timestamp) -> Self {
        self.to = Some(to);
        self
    }

    /// Whether it lets this one through.
    #[must_use]
    pub fn admits(&self, click: &Click) -> bool {
        self.scope.admits(click.affiliate_id, click.campaign_id) && is_within(self.from, self.to, click.created_at)
    }
}

impl<S: Into<Scope>> From<S> for ClickFilter {
    fn from(scope: S) -> Self {
        Self { scope: scope.into(), ..Self::default() }
    }
}

/// Which conversions are wanted: those to which all of it applies.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConversionFilter {
    /// Those of this affiliate and campaign.
    pub scope: Scope,
    /// Those that have this status now.
    pub status: Option<ConversionStatus>,
    /// Those that were recorded at this time or later.
    pub from: Option<Timestamp>,
    /// Those that were recorded before this time.
    pub to: Option<Timestamp>,
}

impl ConversionFilter {
    /// The same for this status.
    #[must_use]
    pub const fn status(mut self, status: ConversionStatus) -> Self {
        self.status = Some(status);
        self
    }

    /// The same from this time on.
    #[must_use]
    pub const fn since(mut self, from: Timestamp) -> Self {
        self.from = Some(from);
        self
    }

    /// The same before this time.
    #[must_use]
    pub const fn until(mut self, to: Timestamp) -> Self {
        self.to = Some(to);
        self
    }

    /// Whether it lets this one through.
    #[must_use]
    pub fn admits(&self, conversion: &Conversion) -> bool {
        self.scope.admits(conversion.affiliate_id, conversion.campaign_id)
            && self.status.is_none_or(|wanted| wanted == conversion.status)
            && is_within(self.from, self.to, conversion.created_at)
    }
}

impl<S: Into<Scope>> From<S> for ConversionFilter {
    fn from(scope: S) -> Self {
        Self { scope: scope.into(), ..Self::default() }
    }
}

fn is_within(from: Option<Timestamp>, to: Option<Timestamp>, time: Timestamp) -> bool {
    from.is_none_or(|from| time >= from) && to.is_none_or(|to| time < to)
}
