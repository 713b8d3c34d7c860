//! Conversions: whose they are, and who may report them.

use metrics::counter;

use crate::parameters::TOKEN;
use crate::{
    AffiliateId, CampaignId, Claims, Click, ClickId, ClickIdOrigin, ConversionRequest, Event, NewConversion, Outcome,
    ParameterError, Parameters, StoreError, Tracker,
};

impl Tracker {
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
