//! Clicks, and the way of a visitor from a link to its destination.

use std::sync::{Arc, PoisonError};

use thiserror::Error;
use tokio::time::{Instant, timeout_at};

use crate::destination::MacroValues;
use crate::secret::VisitorKeys;
use crate::{
    Affiliate, Campaign, Claims, Click, ClickDetails, ClickId, ClickIdOrigin, ClickRequest, ClientIp, NewClick,
    Recorded, StoreError, StoredIp, Timestamp, Tracker, UserAgent, VisitorHashes, error_chain,
};

impl Tracker {
    /// Records a click. The same click again returns the first one's record.
    ///
    /// # Errors
    /// If the click id is forged, if the affiliate or the campaign is not known, or if the store fails or is full.
    pub async fn record_click(&self, request: ClickRequest) -> Result<Recorded<Click>, ClickError> {
        if let Some(click_id) = &request.click_id
            && !self.is_fit(click_id, &request)
        {
            self.recorder.meters.clicks_failed.increment(1);
            return Err(ClickError::ForgedClickId);
        }
        let click = self.new_click(request);
        Ok(self.recorder.insert(click).await?)
    }

    /// Sends a visitor on, and records his click.
    ///
    /// He waits for the record no longer than until the [deadline](crate::TrackerOptions::link_deadline), and not at all while
    /// the store takes no clicks; then his click is queued. Affiliates and campaigns that have been seen are not
    /// looked up again, but for changes, which are seen within ten seconds, and need no store. So a visitor on a known
    /// link always gets where he wants. A click id that the link has, and that can't be his, is left out for a minted one.
    ///
    /// # Errors
    /// If the affiliate or the campaign is not known, or if one of them was never seen and the store fails.
    pub async fn follow(&self, request: ClickRequest) -> Result<Redirect, StoreError> {
        self.follow_with(request, |_| {}).await
    }

    /// The same, and tells each step when it has been taken. After an error the one that was told last is the last one
    /// that was taken.
    ///
    /// ```
    /// use tracking_core::{BotReason, CampaignRequest, ClickRequest, LinkStep, Secret, Tracker};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let tracker = Tracker::new(storage_memory::MemoryStore::new(), Secret::random());
    /// # let affiliate = tracker.create_affiliate("Ada".parse()?).await?;
    /// # let destination = "https://shop.example/?ref={click_id}&from={source}".parse()?;
    /// # let campaign = tracker.create_campaign(CampaignRequest::new("Shop".parse()?, destination)).await?.campaign;
    /// let mut found = Vec::new();
    /// let test = ClickRequest::new(affiliate.id, campaign.id).source("mail".parse()?).bot(BotReason::Test);
    /// let redirect = tracker
    ///     .follow_with(test.clone(), |step| match step {
    ///         LinkStep::Affiliate(affiliate) => found.push(affiliate.name.to_string()),
    ///         LinkStep::Campaign(campaign) => found.push(campaign.name.to_string()),
    ///         LinkStep::Click(click) => found.push(click.click_id.to_string()),
    ///         _ => {}
    ///     })
    ///     .await?;
    /// assert_eq!(found, ["Ada", "Shop", redirect.click_id.as_str()]);
    /// assert_eq!(redirect.location, format!("https://shop.example/?ref={}&from=mail", redirect.click_id));
    ///
    /// // Where it leads can be told without a click.
    /// assert_eq!(tracker.destination(&test).await?, "https://shop.example/?ref=&from=mail");
    /// let test = test.click_id("abc".parse()?);
    /// assert_eq!(tracker.destination(&test).await?, "https://shop.example/?ref=abc&from=mail");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`follow`](Self::follow).
    pub async fn follow_with(
        &self,
        mut request: ClickRequest,
        mut tell: impl FnMut(LinkStep<'_>),
    ) -> Result<Redirect, StoreError> {
        let now = Instant::now();
        let deadline = now + self.link_deadline;
        let campaign = self.known_link(&request, now, deadline, &mut tell).await?;
        request.click_id = request.click_id.take().filter(|click_id| self.is_fit(click_id, &request));
        let click = self.new_click(request);
        tell(LinkStep::Click(&click));
        let location = campaign.destination.fill(MacroValues {
            click_id: Some(&click.click_id),
            affiliate_id: click.affiliate_id,
            campaign_id: click.campaign_id,
            sub_ids: &click.details.sub_ids,
            source: click.details.source.as_ref(),
        });
        let click_id = click.click_id.clone();
        let state = self.record_by(deadline, click).await;
        match state {
            ClickState::Recorded => self.recorder.meters.links_recorded.increment(1),
            ClickState::Queued => self.recorder.meters.links_queued.increment(1),
            ClickState::Unrecorded => self.recorder.meters.links_unrecorded.increment(1),
        }
        Ok(Redirect { location, click_id, state })
    }

    /// Where a visitor would be sent on to, with the click id of the request if it can be his, and without one otherwise.
    /// Nothing is recorded.
    ///
    /// # Errors
    /// As [`follow`](Self::follow).
    pub async fn destination(&self, request: &ClickRequest) -> Result<String, StoreError> {
        let now = Instant::now();
        let campaign = self.known_link(request, now, now + self.link_deadline, |_| {}).await?;
        Ok(campaign.destination.fill(MacroValues {
            click_id: request.click_id.as_ref().filter(|click_id| self.is_fit(click_id, request)),
            affiliate_id: request.affiliate_id,
            campaign_id: request.campaign_id,
            sub_ids: &request.sub_ids,
            source: request.source.as_ref(),
        }))
    }

    /// The campaign of a link, if both it and the affiliate are there.
    async fn known_link(
        &self,
        request: &ClickRequest,
        now: Instant,
        deadline: Instant,
        mut tell: impl FnMut(LinkStep<'_>),
    ) -> Result<Arc<Campaign>, StoreError> {
        let affiliate = self.affiliates.latest(request.affiliate_id, now, deadline).await?;
        tell(LinkStep::Affiliate(&affiliate));
        let campaign = self.campaigns.latest(request.campaign_id, now, deadline).await?;
        tell(LinkStep::Campaign(&campaign));
        Ok(campaign)
    }

    async fn record_by(&self, deadline: Instant, click: NewClick) -> ClickState {
        let recorder = &self.recorder;
        if !recorder.backlog.is_store_away() {
            match timeout_at(deadline, recorder.insert_late(click.clone())).await {
                Ok(Ok(())) => return ClickState::Recorded,
                // It may happen still, which makes no difference: then the queued one is a duplicate.
                Ok(Err(StoreError::Unavailable { .. })) | Err(_) => recorder.backlog.note_store_away(),
                Ok(Err(StoreError::Backend { .. })) => {}
                Ok(Err(error)) => {
                    recorder.meters.clicks_failed.increment(1);
                    tracing::error!(error = %error_chain(&error), "a visitor was sent on, and his click is not recorded");
                    return ClickState::Unrecorded;
                }
            }
        }
        match recorder.backlog.push(click, recorder) {
            Ok(()) => ClickState::Queued,
            Err(_full) => ClickState::Unrecorded,
        }
    }

    /// Whether a click id of the caller's can be that of such a click: one that has the form of a minted one has to be it.
    fn is_fit(&self, click_id: &ClickId, request: &ClickRequest) -> bool {
        match self.recorder.secrets.origin(click_id) {
            ClickIdOrigin::Caller => true,
            ClickIdOrigin::Minted(Claims { affiliate_id, campaign_id, .. }) => {
                (affiliate_id, campaign_id) == (request.affiliate_id, request.campaign_id)
            }
            ClickIdOrigin::Forged => false,
        }
    }

    fn new_click(&self, request: ClickRequest) -> NewClick {
        self.recorder.keep_house();
        let now = self.recorder.clock.now();
        let ClickRequest { affiliate_id, campaign_id, click_id, sub_ids, source, visitor, bot } = request;
        let click_id = click_id.unwrap_or_else(|| self.recorder.secrets.mint(affiliate_id, campaign_id, now));
        let mut details = ClickDetails { sub_ids, source, bot, ..ClickDetails::default() };
        let mut hashes = None;
        if let Some(visitor) = visitor {
            details.bot = bot.or_else(|| visitor.bot());
            if let Some(ip) = visitor.ip {
                details.ip = match self.stored_ip {
                    StoredIp::Masked => Some(ClientIp::masked(ip)),
                    StoredIp::Whole => Some(ClientIp::whole(ip)),
                    StoredIp::None => None,
                };
                // Of a bot nobody asks whether it comes again.
                if details.is_human() {
                    let user_agent = visitor.user_agent.as_ref().map_or("", UserAgent::as_str);
                    hashes = Some(self.visitor_hashes(now, |keys| keys.hashes(campaign_id, ip, user_agent)));
                }
            }
            details.user_agent = visitor.user_agent;
        }
        NewClick { affiliate_id, campaign_id, click_id, created_at: now, details, visitor: hashes }
    }

    /// With the keys of this moment's day.
    fn visitor_hashes(&self, now: Timestamp, hashes: impl Fn(&VisitorKeys) -> VisitorHashes) -> VisitorHashes {
        {
            let keys = self.visitor_keys.read().unwrap_or_else(PoisonError::into_inner);
            if keys.are_of(now) {
                return hashes(&keys);
            }
        }
        let keys = VisitorKeys::at(&self.recorder.secrets, now);
        let made = hashes(&keys);
        *self.visitor_keys.write().unwrap_or_else(PoisonError::into_inner) = keys;
        made
    }

    /// Waits until the clicks of all visitors who were sent on have been recorded, and hands what is left of the postback
    /// log to the store: before an application ends.
    pub async fn drained(&self) {
        self.recorder.backlog.drained().await;
        if let Err(error) = self.recorder.flush_log().await {
            tracing::warn!(error = %error_chain(&error), "the last postbacks could not be logged");
        }
    }
}

/// A step on a visitor's way from a link to its destination.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum LinkStep<'a> {
    /// The affiliate is known.
    Affiliate(&'a Affiliate),
    /// The campaign is known.
    Campaign(&'a Campaign),
    /// This is the click that is now handed to the store.
    Click(&'a NewClick),
}

/// Where a visitor goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redirect {
    /// The campaign's destination, filled in: visible ASCII.
    pub location: String,
    /// The id of his click.
    pub click_id: ClickId,
    /// What has become of his click so far.
    pub state: ClickState,
}

/// What has become of a visitor's click when he is sent on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClickState {
    /// It is in the store.
    Recorded,
    /// It waits for the store, in memory.
    Queued,
    /// There was no room to keep it. If its id was minted here, a postback will have it recorded.
    Unrecorded,
}

/// Why a click was not recorded.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ClickError {
    /// The caller's click id has the form of a minted one, and is not that of such a click.
    #[error("the click id has the form of those that are given out here, and was not given out for this link")]
    ForgedClickId,
    /// The store did not take it.
    #[error(transparent)]
    Store(#[from] StoreError),
}
