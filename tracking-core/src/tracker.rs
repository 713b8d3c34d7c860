//! The service that an application holds.

use std::sync::Arc;

use metrics::{Counter, counter, describe_counter};

use crate::event::Broadcaster;
use crate::mint::ClickIdMint;
use crate::parameters::TOKEN;
use crate::{
    Affiliate, AffiliateId, Amount, Campaign, CampaignId, Click, ClickId, Clock, Conversion, Currency, DestinationUrl,
    Event, EventName, Events, Name, NewAffiliate, NewCampaign, NewClick, NewConversion, Outcome, Page, PageRequest,
    ParameterError, Parameters, PostbackKey, Recorded, Store, StoreError, Summary, SystemClock, Timestamp,
    TransactionId,
};

/// Records clicks, attributes conversions, and reports both.
///
/// All that HTTP can do is a method here. A tracker is made once and shared, usually in an [`Arc`].
///
/// ```
/// use tracking_core::{CampaignRequest, ClickRequest, ConversionRequest, Outcome, PostbackAuth, Tracker};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let tracker = Tracker::new(storage_memory::MemoryStore::new());
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
/// - `tracking_clicks_total{result}`: `new`, `duplicate` or `failed`;
/// - `tracking_postbacks_total{outcome}`: the [code](Outcome::code) of each outcome, or `failed`. Conversions that the
///   application records itself count too.
#[derive(Debug)]
pub struct Tracker {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    mint: ClickIdMint,
    events: Broadcaster,
    meters: Meters,
}

impl Tracker {
    /// A tracker on this store, with the clock of the machine.
    pub fn new(store: impl Store) -> Self {
        Self::with_clock(store, SystemClock)
    }

    /// A tracker on this store, with this clock.
    pub fn with_clock(store: impl Store, clock: impl Clock) -> Self {
        Self {
            store: Arc::new(store),
            clock: Arc::new(clock),
            mint: ClickIdMint,
            events: Broadcaster::default(),
            meters: Meters::new(),
        }
    }

    /// Listens to what is recorded from now on.
    #[must_use]
    pub fn subscribe(&self) -> Events {
        self.events.subscribe()
    }

    /// Records a click. The same click again returns the first one's record.
    ///
    /// # Errors
    /// If the affiliate or the campaign is not known, or if the store fails or is full.
    pub async fn record_click(&self, request: ClickRequest) -> Result<Recorded<Click>, StoreError> {
        let now = self.clock.now();
        let ClickRequest { affiliate_id, campaign_id, click_id } = request;
        let click_id = click_id.unwrap_or_else(|| self.mint.mint(now));
        // Not through the store that an `Arc` is itself, which would box one more future.
        let store: &dyn Store = &*self.store;
        let result = store.insert_click(NewClick { affiliate_id, campaign_id, click_id, created_at: now }).await;
        match &result {
            Ok(Recorded::New(click)) => {
                self.meters.clicks_new.increment(1);
                self.events.send(|| Event::ClickRecorded(click.clone()));
            }
            Ok(Recorded::Duplicate(_)) => self.meters.clicks_duplicate.increment(1),
            Err(_) => self.meters.clicks_failed.increment(1),
        }
        result
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

    /// Finds the click that a conversion belongs to, as [`record_conversion`](Self::record_conversion) does, and records
    /// nothing.
    ///
    /// It is the first of three steps for an application that records a conversion in its own database transaction: then
    /// it hands the conversion to its store, in that transaction, and makes an [`Outcome::of`] what that returns. When the
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
        self.meters.count_postback(outcome);
        match outcome {
            Outcome::Accepted(conversion) => self.events.send(|| Event::ConversionAccepted(conversion.clone())),
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
        let (affiliate_id, campaign_id) = (request.affiliate_id, request.campaign_id);
        let (amount, currency) = (request.amount, request.currency);
        let conversion = match self.find_click(request, sender).await? {
            Attribution::Found(conversion) => conversion,
            Attribution::Refused(outcome) => return Ok(outcome),
        };
        match self.store.insert_conversion(conversion).await {
            Ok(recorded) => Ok(Outcome::of(recorded, amount, currency)),
            // Removed since it was found.
            Err(StoreError::UnknownClick(click_id)) => {
                Ok(Outcome::UnknownClick { affiliate_id, campaign_id, click_id })
            }
            Err(error) => missing_reference(error),
        }
    }

    async fn find_click(&self, request: ConversionRequest, sender: Sender<'_>) -> Result<Attribution, StoreError> {
        let ConversionRequest { affiliate_id, campaign_id, click_id, event, transaction_id, amount, currency } =
            request;
        let clicks = self.store.find_clicks(affiliate_id, campaign_id, &click_id).await?;
        let clicks = match sender {
            Sender::Application => clicks,
            Sender::Advertiser { key } => match self.clicks_open_to(key, clicks).await? {
                Ok(clicks) => clicks,
                Err(refused) => return Ok(Attribution::Refused(refused)),
            },
        };
        let mut clicks = clicks.into_iter();
        let Some(click) = clicks.next() else {
            return self.explain_no_click(affiliate_id, campaign_id, click_id).await.map(Attribution::Refused);
        };
        let alternatives = clicks.map(|click| click.campaign_id).collect();
        let created_at = self.clock.now();
        let conversion = NewConversion { click, alternatives, event, transaction_id, amount, currency, created_at };
        Ok(Attribution::Found(conversion))
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
            match self.store.campaign(click.campaign_id).await?.postback_key {
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
            self.store.affiliate(affiliate_id).await?;
            if let Some(campaign_id) = campaign_id {
                self.store.campaign(campaign_id).await?;
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
        let new = NewAffiliate { id: None, name, created_at: self.clock.now() };
        let affiliate = self.store.insert_affiliate(new).await?.into_record();
        self.events.send(|| Event::AffiliateCreated(affiliate.clone()));
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
            created_at: self.clock.now(),
        };
        let campaign = self.store.insert_campaign(new).await?.into_record();
        self.events.send(|| Event::CampaignCreated(campaign.clone()));
        Ok(CreatedCampaign { campaign, postback_key })
    }

    /// The affiliate with this id.
    ///
    /// # Errors
    /// If there is none, or if the store fails.
    pub async fn affiliate(&self, id: AffiliateId) -> Result<Affiliate, StoreError> {
        self.store.affiliate(id).await
    }

    /// All affiliates, newest first.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn affiliates(&self, request: PageRequest) -> Result<Page<Affiliate>, StoreError> {
        self.store.affiliates(request).await
    }

    /// The campaign with this id.
    ///
    /// # Errors
    /// If there is none, or if the store fails.
    pub async fn campaign(&self, id: CampaignId) -> Result<Campaign, StoreError> {
        self.store.campaign(id).await
    }

    /// All campaigns, newest first.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn campaigns(&self, request: PageRequest) -> Result<Page<Campaign>, StoreError> {
        self.store.campaigns(request).await
    }

    /// An affiliate's clicks, newest first.
    ///
    /// # Errors
    /// If there is no such affiliate, or if the store fails.
    pub async fn clicks(&self, affiliate: AffiliateId, request: PageRequest) -> Result<Page<Click>, StoreError> {
        self.store.clicks(affiliate, request).await
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
        self.store.conversions(affiliate, request).await
    }

    /// What an affiliate has brought, from the beginning.
    ///
    /// # Errors
    /// If there is no such affiliate, or if the store fails.
    pub async fn summary(&self, affiliate: AffiliateId) -> Result<Summary, StoreError> {
        self.store.summary(affiliate).await
    }

    /// Asks whether the store can take calls now.
    ///
    /// # Errors
    /// If it can't.
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.store.ping().await
    }

    /// The store, for records with ids of your own choice.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// The present moment, by the tracker's clock.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

/// A click to be recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClickRequest {
    /// Who sent the visitor.
    pub affiliate_id: AffiliateId,
    /// What he was sent to.
    pub campaign_id: CampaignId,
    /// Unique for this affiliate and campaign; `None` has one minted.
    pub click_id: Option<ClickId>,
}

impl ClickRequest {
    /// A click whose id is to be minted.
    #[must_use]
    pub const fn new(affiliate_id: AffiliateId, campaign_id: CampaignId) -> Self {
        Self { affiliate_id, campaign_id, click_id: None }
    }

    /// The same with an id of the caller's.
    #[must_use]
    pub fn click_id(mut self, click_id: ClickId) -> Self {
        self.click_id = Some(click_id);
        self
    }

    /// Reads `affiliate_id`, `campaign_id` and, optionally, `click_id`.
    ///
    /// # Errors
    /// If one of them is missing, repeated or not valid.
    pub fn from_parameters(parameters: &Parameters<'_>) -> Result<Self, ParameterError> {
        Ok(Self {
            affiliate_id: parameters.required("affiliate_id")?,
            campaign_id: parameters.required("campaign_id")?,
            click_id: parameters.optional("click_id")?,
        })
    }
}

/// A conversion to be attributed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConversionRequest {
    /// Whose click it was.
    pub affiliate_id: AffiliateId,
    /// What was sold; `None` means the campaign of the latest click with this id.
    pub campaign_id: Option<CampaignId>,
    /// The click that brought the buyer.
    pub click_id: ClickId,
    /// What happened.
    pub event: EventName,
    /// The advertiser's number of it; `None` means one conversion per click and event.
    pub transaction_id: Option<TransactionId>,
    /// What it is worth.
    pub amount: Amount,
    /// The currency of the amount.
    pub currency: Currency,
}

impl ConversionRequest {
    /// A conversion with the default event, and neither campaign nor transaction id.
    #[must_use]
    pub fn new(affiliate_id: AffiliateId, click_id: ClickId, amount: Amount, currency: Currency) -> Self {
        Self {
            affiliate_id,
            campaign_id: None,
            click_id,
            event: EventName::default(),
            transaction_id: None,
            amount,
            currency,
        }
    }

    /// The same for a click of this campaign.
    #[must_use]
    pub fn campaign_id(mut self, campaign_id: CampaignId) -> Self {
        self.campaign_id = Some(campaign_id);
        self
    }

    /// The same with this event.
    #[must_use]
    pub fn event(mut self, event: EventName) -> Self {
        self.event = event;
        self
    }

    /// The same with this transaction id.
    #[must_use]
    pub fn transaction_id(mut self, transaction_id: TransactionId) -> Self {
        self.transaction_id = Some(transaction_id);
        self
    }
}

/// A campaign to be created.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CampaignRequest {
    /// For people.
    pub name: Name,
    /// Where visitors are sent.
    pub destination: DestinationUrl,
    /// Who may send postbacks.
    pub postback_auth: PostbackAuth,
}

impl CampaignRequest {
    /// A campaign with a postback key.
    #[must_use]
    pub const fn new(name: Name, destination: DestinationUrl) -> Self {
        Self { name, destination, postback_auth: PostbackAuth::Key }
    }

    /// The same with this rule of who may send postbacks.
    #[must_use]
    pub fn postback_auth(mut self, postback_auth: PostbackAuth) -> Self {
        self.postback_auth = postback_auth;
        self
    }
}

/// Who may send a campaign's postbacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PostbackAuth {
    /// Whoever presents the campaign's postback key, which only its advertiser has.
    Key,
    /// Anyone, the affiliates included: for trials.
    Open,
}

/// A campaign, just created.
#[derive(Debug)]
pub struct CreatedCampaign {
    /// The record.
    pub campaign: Campaign,
    /// The key to give to the advertiser, which can't be had again.
    pub postback_key: Option<PostbackKey>,
}

/// What is to be recorded of a conversion, if anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attribution {
    /// The conversion, attributed to its click.
    Found(NewConversion),
    /// There is nothing to record, for this reason.
    Refused(Outcome),
}

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

/// Handles of the counters that change with nearly every call.
#[derive(Debug)]
struct Meters {
    clicks_new: Counter,
    clicks_duplicate: Counter,
    clicks_failed: Counter,
    postbacks_accepted: Counter,
    postbacks_duplicate: Counter,
}

impl Meters {
    fn new() -> Self {
        describe_counter!("tracking_clicks_total", "Clicks that were sent, by result: new, duplicate or failed.");
        describe_counter!("tracking_postbacks_total", "Conversions that were sent, by outcome.");
        Self {
            clicks_new: counter!("tracking_clicks_total", "result" => "new"),
            clicks_duplicate: counter!("tracking_clicks_total", "result" => "duplicate"),
            clicks_failed: counter!("tracking_clicks_total", "result" => "failed"),
            postbacks_accepted: counter!("tracking_postbacks_total", "outcome" => "accepted"),
            postbacks_duplicate: counter!("tracking_postbacks_total", "outcome" => "duplicate"),
        }
    }

    fn count_postback(&self, outcome: &Outcome) {
        match outcome {
            Outcome::Accepted(_) => self.postbacks_accepted.increment(1),
            Outcome::Duplicate(_) => self.postbacks_duplicate.increment(1),
            outcome => counter!("tracking_postbacks_total", "outcome" => outcome.code()).increment(1),
        }
    }
}
