//! What is removed: clicks that are too old, and what is known of a person who asks for it; and clicks that come back.

use crate::backlog::Found;
use crate::{
    Claims, Click, ClickDetails, ClickId, ClickIdOrigin, ClickRecordId, Event, NewClick, Recorded, Secrets, StoreError,
    Tracker,
};

impl Tracker {
    /// Removes what is too old, in small steps: clicks beyond the [retention](crate::TrackerOptions::retention), and hashes of
    /// visitors beyond a day. Returns how many clicks were deleted.
    ///
    /// Clicks with conversions are kept, without what was known of the visitor, so that a repeated postback is still
    /// known. Figures stay as they are. The tracker does this by itself: with clicks every hour, with hashes every minute.
    ///
    /// # Errors
    /// If the store fails. Some may have been removed then.
    pub async fn purge(&self) -> Result<u64, StoreError> {
        self.recorder.forget_visitors().await?;
        self.recorder.purge().await
    }

    /// Makes the clicks with this id anonymous, for a person who asks for it, and returns how many there were, of all
    /// affiliates and campaigns. They lose the id, and what was known of the visitor; so do postbacks in the log that have named
    /// it. Figures stay as they are.
    ///
    /// Postbacks with the id are refused from then on, as of a click that is not known.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn erase(&self, click_id: &ClickId) -> Result<u64, StoreError> {
        self.recorder.backlog.forget(click_id);
        let mut replacement = Secrets::random_tombstone();
        if let ClickIdOrigin::Minted(claims) = self.recorder.secrets.origin(click_id) {
            // One that is not recorded yet must not be rebuilt from a postback later.
            let is_there = match self.find_or_rebuild(click_id, claims).await {
                Ok(click) => click.is_some(),
                Err(StoreError::UnknownAffiliate(_) | StoreError::UnknownCampaign(_)) => false,
                Err(error) => return Err(error),
            };
            if is_there && !self.recorder.was_erased(click_id).await? {
                replacement = self.recorder.secrets.tombstones(click_id).next().unwrap_or(replacement);
            }
        }
        // Also if there is no such click: postbacks may have named it. Some of them may wait to be logged.
        self.recorder.log.erase(click_id, &replacement).await;
        self.recorder.store.erase_clicks(click_id, &replacement).await
    }

    /// The click with a minted id, as [`find_or_rebuild`](Self::find_or_rebuild) would return it, with nothing recorded. One
    /// that is not there has no number yet, and the least one in its place.
    pub(super) async fn find_or_imagine(
        &self,
        click_id: &ClickId,
        claims: Claims,
    ) -> Result<Option<Click>, StoreError> {
        let Claims { affiliate_id, campaign_id, created_at } = claims;
        let mut found = self.recorder.store.find_clicks(affiliate_id, Some(campaign_id), click_id).await?;
        if found.is_empty() && !self.is_gone(click_id, claims).await? {
            self.recorder.store.affiliate(affiliate_id).await?;
            self.recorder.store.campaign(campaign_id).await?;
            let details = ClickDetails { is_recovered: true, ..ClickDetails::default() };
            let click_id = click_id.clone();
            let new = NewClick { affiliate_id, campaign_id, click_id, created_at, details, visitor: None };
            found.extend(ClickRecordId::new(1).map(|id| new.into_click(id)));
        }
        Ok(found.pop())
    }

    /// Whether a click was removed: because it was too old, or for a person who asked for it.
    async fn is_gone(&self, click_id: &ClickId, claims: Claims) -> Result<bool, StoreError> {
        let is_too_old = self.recorder.oldest_kept().is_some_and(|oldest| claims.created_at < oldest);
        Ok(is_too_old || self.recorder.was_erased(click_id).await?)
    }

    /// The click with a minted id. One that is not there is rebuilt from what the id says, unless it was erased or is too
    /// old to be kept.
    pub(super) async fn find_or_rebuild(
        &self,
        click_id: &ClickId,
        claims: Claims,
    ) -> Result<Option<Click>, StoreError> {
        let Claims { affiliate_id, campaign_id, created_at } = claims;
        let store = &self.recorder.store;
        let mut found = store.find_clicks(affiliate_id, Some(campaign_id), click_id).await?;
        if let Some(click) = found.pop() {
            return Ok(Some(click));
        }
        if self.is_gone(click_id, claims).await? {
            return Ok(None);
        }
        // It may be waiting in this very process.
        match self.recorder.backlog.find(click_id) {
            Some(Found::Waiting(new)) => match self.recorder.insert(new.clone()).await {
                Ok(recorded) => return Ok(Some(recorded.into_record())),
                Err(error) => {
                    let _ = self.recorder.backlog.push(new, &self.recorder);
                    return Err(error);
                }
            },
            // Whoever has it under way tells of it.
            Some(Found::UnderWay(new)) => return store.insert_click(new).await.map(|done| Some(done.into_record())),
            None => {}
        }
        let details = ClickDetails { is_recovered: true, ..ClickDetails::default() };
        let click_id = click_id.clone();
        let new = NewClick { affiliate_id, campaign_id, click_id, created_at, details, visitor: None };
        let recorded = store.insert_click(new).await?;
        if let Recorded::New(click) = &recorded {
            self.recorder.meters.clicks_recovered.increment(1);
            self.recorder.events.send(|| Event::ClickRecorded(click.clone()));
        }
        Ok(Some(recorded.into_record()))
    }
}
