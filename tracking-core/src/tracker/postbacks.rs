//! Conversions: whose they are, who may report them, and what becomes of them.

use std::sync::Arc;
use std::time::Duration;

use crate::access::{Proof, Unproven};
use crate::parameters::{TOKEN, is_secret};
use crate::rules::{Candidate, SKEW, refused_event};
use crate::signature::Signed;
use crate::{
    Affiliate, AffiliateId, Amount, Campaign, CampaignId, ChangedBy, Claims, Click, ClickId, ClickIdOrigin, Conversion,
    ConversionRequest, ConversionStatus, Currency, Event, NewConversion, Outcome, OutcomeKind, ParameterError,
    ParameterProblem, Parameters, ParseError, Postback, PostbackAuth, PostbackCall, PostbackMethod, Problem, Recorded,
    Repeats, StoreError, Timestamp, Tracker, Unreadable,
};

impl Tracker {
    /// Records a conversion that the application itself vouches for: no postback key is asked for.
    ///
    /// The click is the one that the request names: that of its campaign, or the latest one with that id. The identity
    /// of the conversion is (click, event, transaction id). Should a later click with the same id come in after the
    /// call, a retry without a campaign still finds the conversion. A new conversion has to keep the campaign's rules.
    ///
    /// # Errors
    /// If the store fails or is full: the conversion may be recorded or not, and the same call is safe to repeat.
    pub async fn record_conversion(&self, request: ConversionRequest) -> Result<Outcome, StoreError> {
        let result = self.record(&request, &Sender::Application, &mut About::default()).await;
        self.announce_result(&result);
        result
    }

    /// Finds the click that a conversion belongs to, as [`record_conversion`](Self::record_conversion) does, judges it by the
    /// campaign's rules, and does not record it. A click with a minted id that is not there is rebuilt.
    ///
    /// It is the first of three steps for an application that records a conversion in its own database transaction: then
    /// it hands the conversion to its store, in that transaction, and makes an [`Outcome::of_result`] what that returns. When the
    /// transaction has been committed, [`announce`](Self::announce) tells of it. Attribute before the transaction begins: the
    /// store reads on a connection of its own, and where each waits for a second one while it holds its first, a pool
    /// runs dry.
    ///
    /// The [status](ConversionRequest::status) of the request is for a conversion that is new. One that is recorded keeps its own:
    /// [`change_status`](Self::change_status) changes it.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn attribute(&self, request: ConversionRequest) -> Result<Attribution, StoreError> {
        self.judge(&request, &Sender::Application, &mut About::default()).await
    }

    /// Tells listeners and metrics of the outcome of a conversion that the application has recorded by itself, after
    /// [`attribute`](Self::attribute).
    pub fn announce(&self, outcome: &Outcome) {
        self.recorder.meters.count_postback(outcome.kind());
        let events = &self.recorder.events;
        match outcome {
            Outcome::Accepted(conversion) => events.send(|| Event::ConversionAccepted(conversion.clone())),
            Outcome::StatusChanged { conversion, from } => {
                events.send(|| Event::StatusChanged { conversion: conversion.clone(), from: *from });
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
            Err(error) => self.recorder.meters.count_postback(OutcomeKind::of_error(error)),
        }
    }

    /// Takes a postback: what an advertiser's server sent.
    ///
    /// Without a `campaign_id`, the latest click with this id counts, of the campaigns that the sender proves to be the
    /// advertiser of; of those that are open if he shows no key, or if none of them has his. Should such a click come in after
    /// a postback, a retry of that postback still finds its conversion.
    ///
    /// The parameters are those of [`ConversionRequest::from_parameters`], and for a key `token`, or `signature` and
    /// `signed_at`. A `bearer` key goes before `token`. A campaign that is not open demands one of these.
    ///
    /// What becomes of it goes to the postback log, too.
    ///
    /// # Errors
    /// If the store fails or is full: the conversion may be recorded or not, and the same postback is safe to repeat.
    pub async fn postback(&self, call: &PostbackCall<'_>) -> Result<Outcome, StoreError> {
        let read = self.read(call).map(|(request, proof)| (request, Sender::Advertiser(proof)));
        self.take(call, read).await
    }

    /// Takes a line of a file of an advertiser's that somebody vouches for who may change everything: what the file's columns
    /// are called, and what stands in them. It is judged, answered and logged as a postback is, but no key is asked for.
    ///
    /// The same line is safe to repeat, as a postback is.
    ///
    /// # Errors
    /// If the store fails or is full: the conversion may be recorded or not, and the same line is safe to repeat.
    pub async fn import_conversion(&self, parameters: &Parameters<'_>) -> Result<Outcome, StoreError> {
        let call = PostbackCall::new(parameters.clone()).method(PostbackMethod::Import);
        let read = ConversionRequest::from_parameters(parameters).map(|request| (request, Sender::Admin));
        self.take(&call, read).await
    }

    async fn take(
        &self,
        call: &PostbackCall<'_>,
        read: Result<(ConversionRequest, Sender<'_>), ParameterError>,
    ) -> Result<Outcome, StoreError> {
        self.recorder.keep_house();
        let mut unanswered = Unanswered { tracker: self, call, about: About::default(), is_over: false };
        let result = match read {
            Ok((request, sender)) => {
                let about = &mut unanswered.about;
                (about.affiliate_id, about.campaign_id) = (request.affiliate_id, request.campaign_id);
                about.click_id = Some(request.click_id.clone());
                let result = self.record(&request, &sender, about).await;
                result.map(|outcome| self.limit(outcome, call))
            }
            Err(error) => {
                unanswered.about = self.about_refused(call);
                Ok(Outcome::InvalidParameter(error))
            }
        };
        self.announce_result(&result);
        unanswered.answer(&result);
        result
    }

    /// Takes note of a postback that can't be read, so that it is in the log and in the metrics as all others are.
    pub fn refuse_postback(&self, call: &PostbackCall<'_>, reason: Unreadable) -> Outcome {
        self.recorder.keep_house();
        let outcome = Outcome::Unreadable(reason);
        self.announce(&outcome);
        self.log(call, self.about_refused(call), outcome.kind(), Some(&outcome));
        outcome
    }

    /// What a call asks for, and what it shows of its sender.
    pub(super) fn read<'a>(
        &self,
        call: &'a PostbackCall<'_>,
    ) -> Result<(ConversionRequest, Proof<'a>), ParameterError> {
        let request = ConversionRequest::from_parameters(&call.parameters)?;
        let token = call.parameters.text(TOKEN)?.filter(|token| !token.is_empty());
        let signed = match call.webhook {
            Some((headers, body)) => Some(Signed::body(headers, body)),
            None => Signed::parameters(&call.parameters)?,
        };
        Ok((request, Proof::new(call.bearer.or(token), signed, call.source, self.now())))
    }

    async fn record(
        &self,
        request: &ConversionRequest,
        sender: &Sender<'_>,
        about: &mut About,
    ) -> Result<Outcome, StoreError> {
        let outcome = match self.judge(request, sender, about).await? {
            Attribution::Found(conversion) => match self.recorder.store.insert_conversion(conversion.clone()).await {
                // By what was sent: what the campaign has added may be another thing today.
                Ok(Recorded::Duplicate(recorded)) => repetition(recorded, request),
                result => Outcome::of_result(&conversion, result)?,
            },
            Attribution::Refused(outcome) => outcome,
        };
        let outcome = match (outcome, request.status) {
            (Outcome::Duplicate(conversion), Some(status)) if conversion.status != status => {
                let by = match sender {
                    Sender::Application => ChangedBy::Application,
                    Sender::Admin => ChangedBy::Admin,
                    Sender::Advertiser(_) => ChangedBy::Advertiser,
                };
                self.repeat_with_status(conversion, status, by).await?
            }
            (outcome, _) => outcome,
        };
        if let Some(conversion) = outcome.conversion().or(outcome.recorded()) {
            about.affiliate_id = Some(conversion.affiliate_id);
            about.campaign_id = Some(conversion.campaign_id);
        }
        Ok(outcome)
    }

    /// What is to be recorded of a conversion, if anything.
    async fn judge(
        &self,
        request: &ConversionRequest,
        sender: &Sender<'_>,
        about: &mut About,
    ) -> Result<Attribution, StoreError> {
        let found = match self.find_click(request, sender, Look::ToRecord).await? {
            Ok(found) => found,
            Err(outcome) => {
                self.note_unproven(request, &outcome, about);
                return Ok(Attribution::Refused(outcome));
            }
        };
        about.affiliate_id = Some(found.click.affiliate_id);
        about.campaign_id = Some(found.click.campaign_id);
        let refused = match self.terms(request, &found).await? {
            Ok(_) if is_about_recorded(request) => unknown_conversion(request),
            Ok(terms) => match terms.candidate(request, &found).check() {
                None => return Ok(Attribution::Found(terms.conversion(request, &found))),
                Some(refused) => refused,
            },
            Err(refused) => refused,
        };
        // The rules are for new conversions.
        let recorded = self.find_recorded(request, &found).await?;
        Ok(Attribution::Refused(recorded.map_or(refused, |recorded| repetition(recorded, request))))
    }

    /// What a call that is not valid, or not whole, is about, as far as that stands in it: by its click id it is found when that
    /// is erased.
    fn about_refused(&self, call: &PostbackCall<'_>) -> About {
        let parameters = &call.parameters;
        let mut click_ids = parameters.iter().filter(|(name, _)| *name == "click_id");
        let click_id: Option<ClickId> = click_ids.find_map(|(_, value)| value.parse().ok());
        let claims = click_id.as_ref().and_then(|click_id| match self.recorder.secrets.origin(click_id) {
            ClickIdOrigin::Minted(claims) => Some(claims),
            _ => None,
        });
        let (affiliate_id, campaign_id) = (
            parameters.optional("affiliate_id").unwrap_or_default(),
            parameters.optional("campaign_id").unwrap_or_default(),
        );
        About {
            affiliate_id: affiliate_id.or(claims.map(|claims| claims.affiliate_id)),
            campaign_id: campaign_id.or(claims.map(|claims| claims.campaign_id)),
            click_id,
        }
    }

    /// Takes note of what a call is about whose sender is not proven: the outcome names the campaign, and a minted click id
    /// the affiliate. So whoever looks for what is wrong with a campaign finds it.
    fn note_unproven(&self, request: &ConversionRequest, outcome: &Outcome, about: &mut About) {
        let (Outcome::AddressNotAllowed(campaign_id)
        | Outcome::MissingKey(campaign_id)
        | Outcome::WrongKey(campaign_id)
        | Outcome::WrongSignature(campaign_id)
        | Outcome::StaleSignature(campaign_id)) = *outcome
        else {
            return;
        };
        about.campaign_id = Some(campaign_id);
        if request.affiliate_id.is_none()
            && let ClickIdOrigin::Minted(claims) = self.recorder.secrets.origin(&request.click_id)
        {
            about.affiliate_id = Some(claims.affiliate_id);
        }
    }

    /// What a conversion is judged by, or what is missing for that.
    pub(super) async fn terms(
        &self,
        request: &ConversionRequest,
        found: &Found,
    ) -> Result<Result<Terms, Outcome>, StoreError> {
        let campaign = match self.campaigns.current(found.click.campaign_id).await {
            Ok(campaign) => campaign,
            Err(error) => return missing_reference(error).map(Err),
        };
        let affiliate = match self.affiliates.current(found.click.affiliate_id).await {
            Ok(affiliate) => affiliate,
            Err(error) => return missing_reference(error).map(Err),
        };
        let (now, rules) = (self.now(), &campaign.rules);
        let worth = request.amount.or_else(|| rules.events.get(&request.event)?.amount);
        let (amount, currency) = match (worth, request.currency.or(rules.currency)) {
            (Some(amount), Some(currency)) => (amount, currency),
            _ if request.amount.is_none() && request.status.is_some() => return Ok(Err(unknown_conversion(request))),
            // What an event is worth that is not known, or misspelled, nobody has said.
            (None, _) => {
                let refused = refused_event(&campaign, &request.event);
                return Ok(Err(refused.unwrap_or_else(|| missing("amount"))));
            }
            (_, None) => return Ok(Err(missing("currency"))),
        };
        if request.occurred_at.is_some_and(|time| time > now.plus(SKEW)) {
            let problem = ParameterProblem::Invalid(ParseError::new("a time", Problem::Future));
            return Ok(Err(Outcome::InvalidParameter(ParameterError { name: "timestamp", problem })));
        }
        Ok(Ok(Terms { affiliate, campaign, amount, currency, now }))
    }

    pub(super) async fn find_recorded(
        &self,
        request: &ConversionRequest,
        found: &Found,
    ) -> Result<Option<Conversion>, StoreError> {
        let ConversionRequest { event, transaction_id, .. } = request;
        let store = &self.recorder.store;
        store.find_conversion(&found.click, &found.alternatives, event, transaction_id.as_ref()).await
    }

    /// The click that a conversion belongs to, or why there is none that the sender may report it for.
    pub(super) async fn find_click(
        &self,
        request: &ConversionRequest,
        sender: &Sender<'_>,
        look: Look,
    ) -> Result<Result<Found, Outcome>, StoreError> {
        let ConversionRequest { campaign_id, click_id, .. } = request;
        let (affiliate_id, found) = match self.recorder.secrets.origin(click_id) {
            ClickIdOrigin::Forged => return Ok(Err(Outcome::ForgedClickId(click_id.clone()))),
            ClickIdOrigin::Minted(claims) => {
                let affiliate_id = request.affiliate_id.unwrap_or(claims.affiliate_id);
                let is_other_campaign = campaign_id.is_some_and(|campaign| campaign != claims.campaign_id);
                if affiliate_id != claims.affiliate_id || is_other_campaign {
                    (affiliate_id, Ok(Vec::new()))
                } else {
                    (affiliate_id, self.minted_click(click_id, claims, sender, look).await?)
                }
            }
            ClickIdOrigin::Caller => match request.affiliate_id {
                Some(affiliate_id) => (affiliate_id, self.clicks_of_caller(affiliate_id, request, sender).await?),
                None => return Ok(Err(missing("affiliate_id"))),
            },
        };
        let mut clicks = match found {
            Ok(clicks) => clicks.into_iter(),
            Err(outcome) => return Ok(Err(outcome)),
        };
        match clicks.next() {
            Some(click) => Ok(Ok(Found { click, alternatives: clicks.map(|click| click.campaign_id).collect() })),
            None => self.explain_no_click(affiliate_id, *campaign_id, click_id.clone()).await.map(Err),
        }
    }

    /// The click that a minted id is of, or why there is none.
    async fn minted_click(
        &self,
        click_id: &ClickId,
        claims: Claims,
        sender: &Sender<'_>,
        look: Look,
    ) -> Result<Result<Vec<Click>, Outcome>, StoreError> {
        // Before the click is looked up, because looking may record it.
        if let Sender::Advertiser(proof) = sender {
            let campaign = match self.campaigns.current(claims.campaign_id).await {
                Ok(campaign) => campaign,
                Err(error) => return missing_reference(error).map(Err),
            };
            if let Err(unproven) = campaign.access.check(proof) {
                return Ok(Err(unproven.of(campaign.id)));
            }
        }
        let found = match look {
            Look::ToRecord => self.find_or_rebuild(click_id, claims).await,
            Look::ToExplain => self.find_or_imagine(click_id, claims).await,
        };
        match found {
            Ok(click) => Ok(Ok(click.into_iter().collect())),
            Err(error) => missing_reference(error).map(Err),
        }
    }

    /// The clicks that the sender may mean by an id that somebody else made, the latest first.
    async fn clicks_of_caller(
        &self,
        affiliate_id: AffiliateId,
        request: &ConversionRequest,
        sender: &Sender<'_>,
    ) -> Result<Result<Vec<Click>, Outcome>, StoreError> {
        let clicks = self.recorder.store.find_clicks(affiliate_id, request.campaign_id, &request.click_id).await?;
        match sender {
            Sender::Application | Sender::Admin => Ok(Ok(clicks)),
            Sender::Advertiser(proof) => self.clicks_open_to(proof, clicks).await,
        }
    }

    /// Those of these clicks that whoever shows this may report conversions of, or why it is none of them.
    ///
    /// Somebody with the key of a campaign means that campaign. Clicks of campaigns without a key do not come into it
    /// then: anybody can record one, and could have it catch the conversions that are meant for another.
    async fn clicks_open_to(
        &self,
        proof: &Proof<'_>,
        clicks: Vec<Click>,
    ) -> Result<Result<Vec<Click>, Outcome>, StoreError> {
        let (mut unlocked, mut open, mut locked) = (Vec::new(), Vec::new(), None);
        for click in clicks {
            let campaign = self.campaigns.current(click.campaign_id).await?;
            match campaign.access.check(proof) {
                Ok(()) if campaign.access.auth == PostbackAuth::Open => open.push(click),
                Ok(()) => unlocked.push(click),
                Err(unproven) => _ = locked.get_or_insert(unproven.of(campaign.id)),
            }
        }
        Ok(match locked {
            _ if !unlocked.is_empty() => Ok(unlocked),
            // A key that opens nothing is a mistake of which the sender has to hear.
            Some(refused) if proof.is_there() || open.is_empty() => Err(refused),
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

    /// Counts calls that don't prove who sent them. Beyond a number of them, those from the same place are told to wait;
    /// whoever has the right key is not concerned.
    fn limit(&self, outcome: Outcome, call: &PostbackCall<'_>) -> Outcome {
        let is_failure = matches!(
            outcome.kind(),
            OutcomeKind::MissingKey
                | OutcomeKind::WrongKey
                | OutcomeKind::WrongSignature
                | OutcomeKind::StaleSignature
                | OutcomeKind::AddressNotAllowed
        );
        match is_failure.then(|| self.failures.count(call.source)).flatten() {
            // Whole seconds, rounded up.
            Some(left) => Outcome::TooManyFailures { retry_after: Duration::from_secs(left.as_secs() + 1) },
            None => outcome,
        }
    }

    fn log(&self, call: &PostbackCall<'_>, about: About, kind: OutcomeKind, outcome: Option<&Outcome>) {
        self.recorder.log.note(kind, || {
            let conversion = outcome.and_then(|outcome| outcome.conversion().or(outcome.recorded()));
            let mut summary = outcome.map_or_else(|| kind.meaning().to_owned(), Outcome::summary);
            summary.truncate(summary.floor_char_boundary(Postback::MAX_SUMMARY_LEN));
            Postback {
                id: Postback::random_id(),
                received_at: self.now(),
                method: call.method,
                source: call.source,
                parameters: call.parameters.redacted(Postback::MAX_PARAMETERS_LEN),
                affiliate_id: about.affiliate_id,
                campaign_id: about.campaign_id,
                // A key that stands where a click id should is as secret there.
                click_id: about.click_id.filter(|id| !is_secret("click_id", id.as_str())),
                conversion_id: conversion.map(|conversion| conversion.id),
                outcome: kind,
                summary,
                calls: 1,
            }
        });
    }
}

/// What is to be recorded of a conversion, if anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attribution {
    /// The conversion, attributed to its click.
    Found(NewConversion),
    /// There is nothing to record, for this reason: it is refused, or is recorded already.
    Refused(Outcome),
}

/// What a postback turns out to be about.
#[derive(Debug, Default)]
struct About {
    affiliate_id: Option<AffiliateId>,
    campaign_id: Option<CampaignId>,
    click_id: Option<ClickId>,
}

/// A call until its answer is known. If its sender hangs up before, it is logged, too.
struct Unanswered<'a> {
    tracker: &'a Tracker,
    call: &'a PostbackCall<'a>,
    about: About,
    is_over: bool,
}

impl Unanswered<'_> {
    fn answer(mut self, result: &Result<Outcome, StoreError>) {
        self.is_over = true;
        let kind = result.as_ref().map_or_else(OutcomeKind::of_error, Outcome::kind);
        self.tracker.log(self.call, std::mem::take(&mut self.about), kind, result.as_ref().ok());
    }
}

impl Drop for Unanswered<'_> {
    fn drop(&mut self) {
        if !self.is_over {
            self.tracker.recorder.meters.count_postback(OutcomeKind::Abandoned);
            self.tracker.log(self.call, std::mem::take(&mut self.about), OutcomeKind::Abandoned, None);
        }
    }
}

/// The click of a conversion.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) click: Click,
    /// Other campaigns whose click it may be.
    pub(super) alternatives: Vec<CampaignId>,
}

/// What a conversion is judged by.
#[derive(Debug)]
pub(super) struct Terms {
    affiliate: Arc<Affiliate>,
    campaign: Arc<Campaign>,
    amount: Amount,
    currency: Currency,
    now: Timestamp,
}

impl Terms {
    pub(super) fn candidate<'a>(&'a self, request: &'a ConversionRequest, found: &'a Found) -> Candidate<'a> {
        Candidate {
            affiliate: &self.affiliate,
            campaign: &self.campaign,
            click: &found.click,
            event: &request.event,
            amount: self.amount,
            currency: self.currency,
            occurred_at: request.occurred_at,
            now: self.now,
        }
    }

    /// The conversion that is to be recorded, if it keeps the rules.
    pub(super) fn conversion(&self, request: &ConversionRequest, found: &Found) -> NewConversion {
        let rules = &self.campaign.rules;
        NewConversion {
            click: found.click.clone(),
            alternatives: found.alternatives.clone(),
            event: request.event.clone(),
            transaction_id: request.transaction_id.clone(),
            amount: self.amount,
            currency: self.currency,
            payout: self.candidate(request, found).payout(),
            status: request.status.unwrap_or(rules.default_status),
            occurred_at: request.occurred_at,
            sub_ids: request.sub_ids.clone(),
            created_at: self.now,
            is_only_one: rules.repeats == Repeats::Once,
            daily_cap: rules.daily_cap,
        }
    }
}

pub(super) enum Sender<'a> {
    Application,
    /// Who vouches for what an advertiser says.
    Admin,
    Advertiser(Proof<'a>),
}

/// What a click is looked up for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    ToRecord,
    /// Nothing is written.
    ToExplain,
}

impl Unproven {
    fn of(self, campaign_id: CampaignId) -> Outcome {
        match self {
            Self::Address => Outcome::AddressNotAllowed(campaign_id),
            Self::NoKey => Outcome::MissingKey(campaign_id),
            Self::WrongKey => Outcome::WrongKey(campaign_id),
            Self::WrongSignature => Outcome::WrongSignature(campaign_id),
            Self::StaleSignature => Outcome::StaleSignature(campaign_id),
        }
    }
}

/// What it means that this conversion is recorded, and sent again. What the sender leaves out is as it is recorded.
pub(super) fn repetition(recorded: Conversion, request: &ConversionRequest) -> Outcome {
    let amount = request.amount.unwrap_or(recorded.amount);
    let currency = request.currency.unwrap_or(recorded.currency);
    Outcome::of(Recorded::Duplicate(recorded), amount, currency)
}

/// Whether a call is about a conversion that is recorded, and can't be meant to record one: a refund without an amount.
pub(super) fn is_about_recorded(request: &ConversionRequest) -> bool {
    request.status == Some(ConversionStatus::Rejected) && request.amount.is_none()
}

pub(super) fn unknown_conversion(request: &ConversionRequest) -> Outcome {
    Outcome::UnknownConversion { event: request.event.clone(), transaction_id: request.transaction_id.clone() }
}

pub(super) fn missing(name: &'static str) -> Outcome {
    Outcome::InvalidParameter(ParameterError { name, problem: ParameterProblem::Missing })
}

/// What a store says of an affiliate or campaign that is not there; any other error stays one.
fn missing_reference(error: StoreError) -> Result<Outcome, StoreError> {
    match error {
        StoreError::UnknownAffiliate(id) => Ok(Outcome::UnknownAffiliate(id)),
        StoreError::UnknownCampaign(id) => Ok(Outcome::UnknownCampaign(id)),
        error => Err(error),
    }
}
