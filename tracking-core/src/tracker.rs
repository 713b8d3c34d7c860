//! The service that an application holds.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use metrics::counter;
use thiserror::Error;
use tokio::time::{Instant, timeout_at};

use crate::backlog::{Backlog, Found};
use crate::destination::MacroValues;
use crate::directory::Directory;
use crate::event::Broadcaster;
use crate::parameters::TOKEN;
use crate::recorder::{Meters, Recorder};
use crate::secret::VisitorKeys;
use crate::store::chain;
use crate::{
    Affiliate, AffiliateId, Campaign, CampaignId, CampaignRequest, Claims, Click, ClickDetails, ClickId, ClickIdOrigin,
    ClickRequest, ClientIp, Clock, Conversion, ConversionRequest, CreatedCampaign, Event, Events, Name, NewAffiliate,
    NewCampaign, NewClick, NewConversion, Outcome, Page, PageRequest, ParameterError, Parameters, PostbackAuth,
    PostbackKey, Recorded, Secrets, Store, StoreError, Summary, SystemClock, Timestamp, UserAgent, VisitorHashes,
};

/// Records clicks, attributes conversions, and reports both.
///
/// All that HTTP can do is a method here. A tracker is made once and shared, usually in an [`Arc`]. Its calls need a Tokio
/// runtime, in which it does in the background what nobody has to wait for.
///
/// ```
/// use tracking_core::{CampaignRequest, ClickRequest, ConversionRequest, Outcome, Secret, Tracker};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let tracker = Tracker::new(storage_memory::MemoryStore::new(), Secret::random());
/// let affiliate = tracker.create_affiliate("Ada's reviews".parse()?).await?;
/// let destination = "https://shop.example/?ref={click_id}".parse()?;
/// let created = tracker.create_campaign(CampaignRequest::new("Shop".parse()?, destination)).await?;
///
/// // A visitor follows the affiliate's link …
/// let click = tracker.record_click(ClickRequest::new(affiliate.id, created.campaign.id)).await?.into_record();
///
/// // … and buys, in this same application.
/// let sale = ConversionRequest::new(affiliate.id, click.click_id, "99.95".parse()?, "USD".parse()?);
/// assert!(matches!(tracker.record_conversion(sale.clone()).await?, Outcome::Accepted(_)));
/// assert!(matches!(tracker.record_conversion(sale).await?, Outcome::Duplicate(_)));
/// assert_eq!(tracker.summary(affiliate.id).await?.conversions, 1);
/// # Ok(())
/// # }
/// ```
///
/// # Metrics
///
/// Through the [`metrics`] facade, to whatever recorder the application has installed before it makes the tracker:
///
/// - `tracking_clicks_total{result}`: `new`, `duplicate`, `failed`, or `recovered`;
/// - `tracking_links_total{click}`: visitors who were sent on while their click was `recorded`, `queued` or `unrecorded`;
/// - `tracking_queued_clicks`: how many clicks wait to be recorded;
/// - `tracking_postbacks_total{outcome}`: the [code](Outcome::code) of each outcome, or `failed`. Conversions that the
///   application records itself count too.
#[derive(Debug)]
pub struct Tracker {
    recorder: Arc<Recorder>,
    affiliates: Arc<Directory<Affiliate>>,
    campaigns: Arc<Directory<Campaign>>,
    visitor_keys: RwLock<VisitorKeys>,
    link_deadline: Duration,
    stored_ip: StoredIp,
}

/// What can be chosen about a [`Tracker`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct TrackerOptions {
    /// What tells the time; the clock of the machine if nothing else is said.
    pub clock: Arc<dyn Clock>,
    /// How long a visitor on a link waits for his click to be recorded; 250 ms if nothing else is said.
    pub link_deadline: Duration,
    /// How many clicks of visitors who were sent on may wait to be recorded; 100,000 if nothing else is said. They may take
    /// 1 KiB each in the mean. Clicks beyond that are not recorded before their postback comes.
    pub queue_capacity: usize,
    /// How much of a visitor's address is stored; masked if nothing else is said.
    pub stored_ip: StoredIp,
    /// How long clicks are kept; for ever if nothing else is said. See [`Tracker::purge`].
    pub retention: Option<Duration>,
}

/// How much of a visitor's address is stored with his click.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum StoredIp {
    /// [The network that it is in](ClientIp::masked).
    #[default]
    Masked,
    /// All of it.
    Whole,
    /// Nothing.
    None,
}

impl Default for TrackerOptions {
    fn default() -> Self {
        Self {
            clock: Arc::new(SystemClock),
            link_deadline: Duration::from_millis(250),
            queue_capacity: 100_000,
            stored_ip: StoredIp::Masked,
            retention: None,
        }
    }
}

impl TrackerOptions {
    /// The same with this clock.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// The same with this deadline.
    #[must_use]
    pub fn link_deadline(mut self, deadline: Duration) -> Self {
        self.link_deadline = deadline;
        self
    }

    /// The same with this capacity.
    #[must_use]
    pub fn queue_capacity(mut self, capacity: usize) -> Self {
        self.queue_capacity = capacity;
        self
    }

    /// The same where so much of an address is stored.
    #[must_use]
    pub fn stored_ip(mut self, stored_ip: StoredIp) -> Self {
        self.stored_ip = stored_ip;
        self
    }

    /// The same where clicks are kept for so long.
    #[must_use]
    pub fn retention(mut self, retention: Duration) -> Self {
        self.retention = Some(retention);
        self
    }
}

impl Tracker {
    /// A tracker on this store, under this [`Secret`](crate::Secret) or these [`Secrets`].
    pub fn new(store: impl Store, secrets: impl Into<Secrets>) -> Self {
        Self::with_options(store, secrets, TrackerOptions::default())
    }

    /// The same with these options.
    pub fn with_options(store: impl Store, secrets: impl Into<Secrets>, options: TrackerOptions) -> Self {
        let TrackerOptions { clock, link_deadline, queue_capacity, stored_ip, retention } = options;
        let (store, secrets): (Arc<dyn Store>, _) = (Arc::new(store), secrets.into());
        let visitor_keys = RwLock::new(VisitorKeys::at(&secrets, clock.now()));
        let tracker = Self {
            affiliates: Arc::new(Directory::new(Arc::clone(&store))),
            campaigns: Arc::new(Directory::new(Arc::clone(&store))),
            recorder: Arc::new(Recorder {
                store,
                clock,
                secrets,
                events: Broadcaster::default(),
                meters: Meters::new(),
                backlog: Backlog::new(queue_capacity),
                retention,
                is_kept: AtomicBool::new(false),
            }),
            visitor_keys,
            link_deadline,
            stored_ip,
        };
        tracker.recorder.keep_house();
        tracker
    }

    /// Listens to what is recorded from now on.
    #[must_use]
    pub fn subscribe(&self) -> Events {
        self.recorder.events.subscribe()
    }

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
    /// He waits for the record no longer than until the [deadline](TrackerOptions::link_deadline), and not at all while
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
    ) -> Result<Campaign, StoreError> {
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
                    tracing::error!(error = %chain(&error), "a visitor was sent on, and his click is not recorded");
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

    /// Waits until the clicks of all visitors who were sent on have been recorded: before an application ends.
    pub async fn drained(&self) {
        self.recorder.backlog.drained().await;
    }

    /// Removes what is too old, in small steps: clicks beyond the [retention](TrackerOptions::retention), and hashes of
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
    /// affiliates and campaigns. They lose the id, and what was known of the visitor; figures stay as they are.
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
            match self.find_or_rebuild(click_id, claims).await {
                Ok(Some(_)) => {}
                Ok(None) | Err(StoreError::UnknownAffiliate(_) | StoreError::UnknownCampaign(_)) => return Ok(0),
                Err(error) => return Err(error),
            }
            if !self.recorder.was_erased(click_id).await? {
                replacement = self.recorder.secrets.tombstones(click_id).next().unwrap_or(replacement);
            }
        }
        self.recorder.store.erase_clicks(click_id, &replacement).await
    }

    /// The click with a minted id. One that is not there is rebuilt from what the id says, unless it was erased or is too
    /// old to be kept.
    async fn find_or_rebuild(&self, click_id: &ClickId, claims: Claims) -> Result<Option<Click>, StoreError> {
        let Claims { affiliate_id, campaign_id, created_at } = claims;
        let store = &self.recorder.store;
        let mut found = store.find_clicks(affiliate_id, Some(campaign_id), click_id).await?;
        if let Some(click) = found.pop() {
            return Ok(Some(click));
        }
        if self.recorder.oldest_kept().is_some_and(|oldest| created_at < oldest) {
            return Ok(None);
        }
        if self.recorder.was_erased(click_id).await? {
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

    /// Records a conversion that the application itself vouches for: no postback key is asked for.
    ///
    /// The click is the one that the request names: that of its campaign, or the latest one with that id. The identity
    /// of the conversion is (click, event, transaction id). Should a later click with the same id come in after the
    /// call, a retry without a campaign still finds the conversion.
    ///
    /// # Errors
    /// If the store fails or is full: the conversion may be recorded or not, and the same call is safe to repeat.
    pub async fn record_conversion(&self, request: ConversionRequest) -> Result<Outcome, StoreError> {
        let result = self.record(request, Sender::Application).await;
        self.announce_result(&result);
        result
    }

    /// Finds the click that a conversion belongs to, as [`record_conversion`](Self::record_conversion) does, and does not
    /// record the conversion. A click with a minted id that is not there is rebuilt.
    ///
    /// It is the first of three steps for an application that records a conversion in its own database transaction: then
    /// it hands the conversion to its store, in that transaction, and makes an [`Outcome::of_result`] what that returns. When the
    /// transaction has been committed, [`announce`](Self::announce) tells of it. Attribute before the transaction begins: the
    /// store reads on a connection of its own, and where each waits for a second one while it holds its first, a pool
    /// runs dry.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn attribute(&self, request: ConversionRequest) -> Result<Attribution, StoreError> {
        self.find_click(request, Sender::Application).await
    }

    /// Tells listeners and metrics of the outcome of a conversion that the application has recorded by itself, after
    /// [`attribute`](Self::attribute).
    pub fn announce(&self, outcome: &Outcome) {
        self.recorder.meters.count_postback(outcome);
        match outcome {
            Outcome::Accepted(conversion) => {
                self.recorder.events.send(|| Event::ConversionAccepted(conversion.clone()))
            }
            Outcome::Conflict { recorded, amount, currency } => tracing::warn!(
                conversion_id = recorded.id.as_u64(),
                affiliate_id = recorded.affiliate_id.as_u64(),
                recorded = %format_args!("{} {}", recorded.amount, recorded.currency),
                received = %format_args!("{amount} {currency}"),
                "conflicting postback refused"
            ),
            _ => {}
        }
    }

    fn announce_result(&self, result: &Result<Outcome, StoreError>) {
        match result {
            Ok(outcome) => self.announce(outcome),
            Err(_) => counter!("tracking_postbacks_total", "outcome" => "failed").increment(1),
        }
    }

    /// Takes a postback: what an advertiser's server sent.
    ///
    /// Without a `campaign_id`, the latest click with this id counts, of the campaigns whose key the sender presents; of
    /// those without a key if he presents none, or if none of them has one. Should such a click come in after a postback,
    /// a retry of that postback still finds its conversion.
    ///
    /// The parameters are `affiliate_id`, `click_id`, `amount`, `currency`, and optionally `campaign_id`, `event`,
    /// `transaction_id` and `token`, the campaign's postback key. A `bearer` key goes before `token`. A campaign
    /// with a postback key demands it.
    ///
    /// # Errors
    /// If the store fails or is full: the conversion may be recorded or not, and the same postback is safe to repeat.
    pub async fn postback(&self, parameters: &Parameters<'_>, bearer: Option<&str>) -> Result<Outcome, StoreError> {
        let result = match parse_postback(parameters, bearer) {
            Ok((request, key)) => self.record(request, Sender::Advertiser { key }).await,
            Err(error) => Ok(Outcome::InvalidParameter(error)),
        };
        self.announce_result(&result);
        result
    }

    async fn record(&self, request: ConversionRequest, sender: Sender<'_>) -> Result<Outcome, StoreError> {
        let conversion = match self.find_click(request, sender).await? {
            Attribution::Found(conversion) => conversion,
            Attribution::Refused(outcome) => return Ok(outcome),
        };
        let result = self.recorder.store.insert_conversion(conversion.clone()).await;
        Outcome::of_result(&conversion, result)
    }

    async fn find_click(&self, request: ConversionRequest, sender: Sender<'_>) -> Result<Attribution, StoreError> {
        let refuse = |outcome| Ok(Attribution::Refused(outcome));
        let found = match self.recorder.secrets.origin(&request.click_id) {
            ClickIdOrigin::Forged => return refuse(Outcome::ForgedClickId(request.click_id)),
            ClickIdOrigin::Minted(claims) => {
                self.minted_click(&request, claims, sender).await?.map(|click| click.into_iter().collect())
            }
            ClickIdOrigin::Caller => self.clicks_of_caller(&request, sender).await?,
        };
        let mut clicks = match found {
            Ok(clicks) => clicks.into_iter(),
            Err(outcome) => return refuse(outcome),
        };
        let ConversionRequest { affiliate_id, campaign_id, click_id, event, transaction_id, amount, currency } =
            request;
        let Some(click) = clicks.next() else {
            return self.explain_no_click(affiliate_id, campaign_id, click_id).await.map(Attribution::Refused);
        };
        let alternatives = clicks.map(|click| click.campaign_id).collect();
        let created_at = self.now();
        let conversion = NewConversion { click, alternatives, event, transaction_id, amount, currency, created_at };
        Ok(Attribution::Found(conversion))
    }

    /// The click that a minted id is of, or why there is none.
    async fn minted_click(
        &self,
        request: &ConversionRequest,
        claims: Claims,
        sender: Sender<'_>,
    ) -> Result<Result<Option<Click>, Outcome>, StoreError> {
        let is_other_campaign = request.campaign_id.is_some_and(|campaign| campaign != claims.campaign_id);
        if request.affiliate_id != claims.affiliate_id || is_other_campaign {
            return Ok(Ok(None));
        }
        // Before the click is looked up, because looking may record it.
        if let Sender::Advertiser { key } = sender {
            let campaign = match self.campaigns.current(claims.campaign_id).await {
                Ok(campaign) => campaign,
                Err(error) => return missing_reference(error).map(Err),
            };
            match (campaign.postback_key, key) {
                (Some(_), None) => return Ok(Err(Outcome::MissingKey(campaign.id))),
                (Some(expected), Some(key)) if !expected.matches(key) => {
                    return Ok(Err(Outcome::WrongKey(campaign.id)));
                }
                _ => {}
            }
        }
        match self.find_or_rebuild(&request.click_id, claims).await {
            Ok(click) => Ok(Ok(click)),
            Err(error) => missing_reference(error).map(Err),
        }
    }

    /// The clicks that the sender may mean by an id that somebody else made, the latest first.
    async fn clicks_of_caller(
        &self,
        request: &ConversionRequest,
        sender: Sender<'_>,
    ) -> Result<Result<Vec<Click>, Outcome>, StoreError> {
        let ConversionRequest { affiliate_id, campaign_id, click_id, .. } = request;
        let clicks = self.recorder.store.find_clicks(*affiliate_id, *campaign_id, click_id).await?;
        match sender {
            Sender::Application => Ok(Ok(clicks)),
            Sender::Advertiser { key } => self.clicks_open_to(key, clicks).await,
        }
    }

    /// Those of these clicks that whoever presents this key may report conversions of, or why it is none of them.
    ///
    /// Somebody with the key of a campaign means that campaign. Clicks of campaigns without a key do not come into it
    /// then: anybody can record one, and could have it catch the conversions that are meant for another.
    async fn clicks_open_to(
        &self,
        key: Option<&str>,
        clicks: Vec<Click>,
    ) -> Result<Result<Vec<Click>, Outcome>, StoreError> {
        let (mut unlocked, mut open, mut locked) = (Vec::new(), Vec::new(), None);
        for click in clicks {
            match self.campaigns.current(click.campaign_id).await?.postback_key {
                None => open.push(click),
                Some(expected) if key.is_some_and(|key| expected.matches(key)) => unlocked.push(click),
                Some(_) => _ = locked.get_or_insert(click.campaign_id),
            }
        }
        Ok(match (locked, key) {
            _ if !unlocked.is_empty() => Ok(unlocked),
            (Some(campaign), Some(_)) => Err(Outcome::WrongKey(campaign)),
            (Some(campaign), None) if open.is_empty() => Err(Outcome::MissingKey(campaign)),
            _ => Ok(open),
        })
    }

    /// Which part of (affiliate, campaign, click) it is that is not there.
    async fn explain_no_click(
        &self,
        affiliate_id: AffiliateId,
        campaign_id: Option<CampaignId>,
        click_id: ClickId,
    ) -> Result<Outcome, StoreError> {
        let looked_up = async {
            self.recorder.store.affiliate(affiliate_id).await?;
            if let Some(campaign_id) = campaign_id {
                self.recorder.store.campaign(campaign_id).await?;
            }
            Ok(())
        };
        match looked_up.await {
            Ok(()) => Ok(Outcome::UnknownClick { affiliate_id, campaign_id, click_id }),
            Err(error) => missing_reference(error),
        }
    }

    /// Creates an affiliate.
    ///
    /// # Errors
    /// If the store fails or is full. The affiliate may have been created then; the same call makes another one.
    pub async fn create_affiliate(&self, name: Name) -> Result<Affiliate, StoreError> {
        let new = NewAffiliate { id: None, name, created_at: self.recorder.clock.now() };
        let affiliate = self.recorder.store.insert_affiliate(new).await?.into_record();
        self.recorder.events.send(|| Event::AffiliateCreated(affiliate.clone()));
        Ok(affiliate)
    }

    /// Creates a campaign. Unless the request says otherwise it gets a postback key, which is told this once.
    ///
    /// # Errors
    /// If the store fails or is full. The campaign may have been created then; the same call makes another one.
    pub async fn create_campaign(&self, request: CampaignRequest) -> Result<CreatedCampaign, StoreError> {
        let CampaignRequest { name, destination, postback_auth } = request;
        let postback_key = match postback_auth {
            PostbackAuth::Key => Some(PostbackKey::random()),
            PostbackAuth::Open => None,
        };
        let new = NewCampaign {
            id: None,
            name,
            destination,
            postback_key: postback_key.as_ref().map(PostbackKey::hash),
            created_at: self.recorder.clock.now(),
        };
        let campaign = self.recorder.store.insert_campaign(new).await?.into_record();
        self.recorder.events.send(|| Event::CampaignCreated(campaign.clone()));
        Ok(CreatedCampaign { campaign, postback_key })
    }

    /// The affiliate with this id.
    ///
    /// # Errors
    /// If there is none, or if the store fails.
    pub async fn affiliate(&self, id: AffiliateId) -> Result<Affiliate, StoreError> {
        self.recorder.store.affiliate(id).await
    }

    /// All affiliates, newest first.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn affiliates(&self, request: PageRequest) -> Result<Page<Affiliate>, StoreError> {
        self.recorder.store.affiliates(request).await
    }

    /// The campaign with this id.
    ///
    /// # Errors
    /// If there is none, or if the store fails.
    pub async fn campaign(&self, id: CampaignId) -> Result<Campaign, StoreError> {
        self.recorder.store.campaign(id).await
    }

    /// All campaigns, newest first.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn campaigns(&self, request: PageRequest) -> Result<Page<Campaign>, StoreError> {
        self.recorder.store.campaigns(request).await
    }

    /// An affiliate's clicks, newest first.
    ///
    /// # Errors
    /// If there is no such affiliate, or if the store fails.
    pub async fn clicks(&self, affiliate: AffiliateId, request: PageRequest) -> Result<Page<Click>, StoreError> {
        self.recorder.store.clicks(affiliate, request).await
    }

    /// An affiliate's conversions, newest first.
    ///
    /// # Errors
    /// If there is no such affiliate, or if the store fails.
    pub async fn conversions(
        &self,
        affiliate: AffiliateId,
        request: PageRequest,
    ) -> Result<Page<Conversion>, StoreError> {
        self.recorder.store.conversions(affiliate, request).await
    }

    /// What an affiliate has brought, from the beginning.
    ///
    /// # Errors
    /// If there is no such affiliate, or if the store fails.
    pub async fn summary(&self, affiliate: AffiliateId) -> Result<Summary, StoreError> {
        self.recorder.store.summary(affiliate).await
    }

    /// Asks whether the store can take calls now.
    ///
    /// # Errors
    /// If it can't.
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.recorder.store.ping().await
    }

    /// The store, for records with ids of your own choice.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.recorder.store
    }

    /// The present moment, by the tracker's clock.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.recorder.clock.now()
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

/// What is to be recorded of a conversion, if anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attribution {
    /// The conversion, attributed to its click.
    Found(NewConversion),
    /// There is nothing to record, for this reason.
    Refused(Outcome),
}

#[derive(Clone, Copy)]
enum Sender<'a> {
    Application,
    Advertiser { key: Option<&'a str> },
}

/// What a store says of an affiliate or campaign that is not there; any other error stays one.
fn missing_reference(error: StoreError) -> Result<Outcome, StoreError> {
    match error {
        StoreError::UnknownAffiliate(id) => Ok(Outcome::UnknownAffiliate(id)),
        StoreError::UnknownCampaign(id) => Ok(Outcome::UnknownCampaign(id)),
        error => Err(error),
    }
}

fn parse_postback<'a>(
    parameters: &'a Parameters<'_>,
    bearer: Option<&'a str>,
) -> Result<(ConversionRequest, Option<&'a str>), ParameterError> {
    let request = ConversionRequest {
        affiliate_id: parameters.required("affiliate_id")?,
        click_id: parameters.required("click_id")?,
        amount: parameters.required("amount")?,
        currency: parameters.required("currency")?,
        campaign_id: parameters.optional("campaign_id")?,
        event: parameters.optional("event")?.unwrap_or_default(),
        transaction_id: parameters.optional("transaction_id")?,
    };
    let token = parameters.text(TOKEN)?.filter(|token| !token.is_empty());
    Ok((request, bearer.or(token)))
}
