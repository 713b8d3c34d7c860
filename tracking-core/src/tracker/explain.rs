//! What would become of a postback, rule by rule, without anything being written.

use std::collections::BTreeMap;

use crate::rules::CHECKS;
use crate::tracker::postbacks::{Found, Look, Sender, is_about_recorded, repetition, unknown_conversion};
use crate::{
    Click, Conversion, ConversionRequest, NewConversion, Outcome, OutcomeKind, PostbackCall, Rule, StoreError, Tracker,
    Unreadable,
};

/// What would become of a postback, and what each rule says to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// One for each rule, in the order in which they are asked.
    pub rules: Vec<ExplainedRule>,
    /// What would become of the postback, if it came now.
    pub outcome: OutcomeKind,
    /// The same as a sentence.
    pub summary: String,
    /// The click that it would be attributed to, as far as there is one.
    pub click: Option<Click>,
    /// The conversion that is recorded already, or that is in the way.
    pub recorded: Option<Conversion>,
    /// What would be recorded, if the rules that need no look at what is recorded let it pass.
    pub conversion: Option<NewConversion>,
}

/// What a rule says to a postback.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExplainedRule {
    /// The rule.
    pub rule: Rule,
    /// What it says.
    pub verdict: Verdict,
    /// What is wrong, as a sentence.
    pub problem: Option<String>,
}

/// What a rule says to a postback.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is kept.
    Passed,
    /// It is broken.
    Failed,
    /// It could not be asked, because of what an earlier one has said.
    Skipped,
}

impl Verdict {
    /// Its name in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        }
    }
}

impl Tracker {
    /// Tells what would become of a postback if it came now, and what each rule says to it, and writes nothing: neither what
    /// it asks for, nor to the log.
    ///
    /// Rules are asked beyond the first one that is broken, as far as they can be: so an operator can try a postback whose key
    /// he does not have. A conversion that is recorded already is no matter of the rules; they are told as if it were new.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn explain(&self, call: &PostbackCall<'_>) -> Result<Explanation, StoreError> {
        let mut said = Said::default();
        let (request, proof) = match self.read(call) {
            Ok(read) => read,
            Err(error) => return Ok(said.fail(Outcome::InvalidParameter(error)).finish()),
        };
        said.pass(Rule::Parameters);
        let mut found = self.find_click(&request, &Sender::Advertiser(proof), Look::ToExplain).await?;
        if let Err(refused) = &found
            && matches!(refused.kind().rule(), Rule::Address | Rule::Credential)
        {
            said.fail(refused.clone());
            // For the rest it is taken for the advertiser's.
            found = self.find_click(&request, &Sender::Application, Look::ToExplain).await?;
        }
        let found = match found {
            Ok(found) => found,
            Err(refused) => {
                if refused.kind().rule() == Rule::Click {
                    said.pass(Rule::ClickId);
                }
                return Ok(said.fail(refused).finish());
            }
        };
        for rule in [Rule::ClickId, Rule::Click, Rule::Address, Rule::Credential] {
            said.pass(rule);
        }
        self.explain_rules(&request, &found, &mut said).await?;
        said.click = Some(found.click);
        Ok(said.finish())
    }

    async fn explain_rules(
        &self,
        request: &ConversionRequest,
        found: &Found,
        said: &mut Said,
    ) -> Result<(), StoreError> {
        let recorded = self.find_recorded(request, found).await?;
        if let Some(recorded) = &recorded {
            said.recorded = Some(recorded.clone());
            let outcome = self.foretell_status(repetition(recorded.clone(), request), request).await?;
            if outcome.kind().is_success() {
                said.settle(outcome).pass(Rule::Identity);
            } else {
                said.fail(outcome);
            }
        }
        let terms = match self.terms(request, found).await? {
            Ok(_) if recorded.is_none() && is_about_recorded(request) => {
                said.fail(unknown_conversion(request));
                return Ok(());
            }
            Ok(terms) => terms,
            // What the sender leaves out is as it is recorded.
            Err(_) if recorded.is_some() => return Ok(()),
            Err(refused) => {
                said.fail(refused);
                return Ok(());
            }
        };
        let candidate = terms.candidate(request, found);
        for (rule, check) in CHECKS {
            match check(&candidate) {
                None => said.pass(rule),
                Some(refused) => said.fail(refused),
            };
        }
        said.pass(Rule::Identity);
        if recorded.is_none() {
            self.explain_limits(terms.conversion(request, found), said).await?;
        }
        Ok(())
    }

    /// What the store would say to a conversion that is not recorded yet.
    async fn explain_limits(&self, conversion: NewConversion, said: &mut Said) -> Result<(), StoreError> {
        let (store, campaign_id) = (&self.recorder.store, conversion.click.campaign_id);
        if conversion.is_only_one
            && let Some(first) = store.first_conversion(&conversion.click, &conversion.event).await?
        {
            said.recorded = Some(first.clone());
            said.fail(Outcome::AlreadyConverted(first));
        }
        said.pass(Rule::Repeats);
        if let Some(cap) = conversion.daily_cap
            && store.daily_conversions(campaign_id, conversion.created_at).await? >= u64::from(cap)
        {
            said.fail(Outcome::DailyCapReached { campaign_id, cap });
        }
        said.pass(Rule::DailyCap);
        said.conversion = Some(conversion);
        Ok(())
    }
}

/// What the rules have said so far.
#[derive(Debug, Default)]
struct Said {
    /// What is wrong, if anything. The first that is wrong counts.
    rules: BTreeMap<Rule, Result<(), String>>,
    /// What becomes of the call: what is settled first counts.
    outcome: Option<(OutcomeKind, String)>,
    click: Option<Click>,
    recorded: Option<Conversion>,
    conversion: Option<NewConversion>,
}

impl Said {
    fn pass(&mut self, rule: Rule) -> &mut Self {
        self.rules.entry(rule).or_insert(Ok(()));
        self
    }

    fn fail(&mut self, outcome: Outcome) -> &mut Self {
        let said = self.rules.entry(outcome.kind().rule()).or_insert(Ok(()));
        if said.is_ok() {
            *said = Err(outcome.summary());
        }
        self.settle(outcome)
    }

    fn settle(&mut self, outcome: Outcome) -> &mut Self {
        self.outcome.get_or_insert_with(|| (outcome.kind(), foretold(&outcome)));
        self
    }

    fn finish(&mut self) -> Explanation {
        let Self { rules, outcome, click, recorded, conversion } = std::mem::take(self);
        let accepted = || (OutcomeKind::Accepted, "A new conversion would be recorded.".to_owned());
        let (outcome, summary) = outcome.unwrap_or_else(accepted);
        let explained = Rule::ALL.into_iter().map(|rule| match rules.get(&rule) {
            Some(Ok(())) => ExplainedRule { rule, verdict: Verdict::Passed, problem: None },
            Some(Err(problem)) => ExplainedRule { rule, verdict: Verdict::Failed, problem: Some(problem.clone()) },
            None => ExplainedRule { rule, verdict: Verdict::Skipped, problem: None },
        });
        Explanation { rules: explained.collect(), outcome, summary, click, recorded, conversion }
    }
}

/// What would happen, as a sentence: nothing has.
fn foretold(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Duplicate(recorded) => {
            format!("Conversion {} is recorded already, and would stay as it is.", recorded.id)
        }
        Outcome::StatusChanged { conversion, from } => {
            format!("Conversion {} would become {}; it is {from}.", conversion.id, conversion.status)
        }
        refused => refused.summary(),
    }
}

impl Explanation {
    /// What would become of a call that can't be read.
    #[must_use]
    pub fn of_unreadable(reason: Unreadable) -> Self {
        Said::default().fail(Outcome::Unreadable(reason)).finish()
    }
}
