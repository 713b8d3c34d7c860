use std::collections::BTreeMap;
use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

use clap::{ArgGroup, Args, Subcommand};
use thiserror::Error;
use tracking_core::ipnet::IpNet;
use tracking_core::{
    Amount, Campaign, CampaignId, CampaignRequest, CampaignRules, ConversionStatus, Currency, DestinationUrl,
    EventName, EventRule, KeyKind, Name, PageRequest, ParseError, Pause, PayoutRule, PostbackAccess, PostbackAuth,
    Repeats, Tracker, WhilePaused,
};

use super::AdminError;
use super::affiliates::activity;
use super::durations::{OrNone, Span};
use super::json::CampaignJson;
use super::keys::{TOLD_ONCE, warn_without_key};
use super::output::{Format, Table, note, print_fields, print_json, print_line};

#[derive(Debug, Clone, Subcommand)]
pub(crate) enum CampaignCommand {
    /// Lists all campaigns, newest first
    List,

    /// Shows a campaign with its rules
    Show {
        /// The number of the campaign
        id: CampaignId,
    },

    /// Creates a campaign, and prints its postback key, this once
    Create {
        /// For people
        name: Name,
        /// Where visitors are sent, such as https://shop.example/?ref={click_id}
        destination_url: DestinationUrl,
        /// token: the key is sent along with each postback; signing: postbacks are signed with it
        #[arg(long, value_name = "KIND", default_value_t = KeyKind::Token, conflicts_with = "open")]
        kind: KeyKind,
        #[command(flatten)]
        rules: RuleArguments,
    },

    /// Changes a campaign; what is not named stays as it is
    #[command(group(ArgGroup::new("change").args(CHANGES).required(true).multiple(true)))]
    #[command(override_usage = "tracking-server campaigns update [OPTIONS] <ID>")]
    Update {
        /// The number of the campaign
        id: CampaignId,
        /// For people
        #[arg(long)]
        name: Option<Name>,
        /// Where visitors are sent, such as https://shop.example/?ref={click_id}
        #[arg(long, value_name = "URL")]
        destination_url: Option<DestinationUrl>,
        /// An event that is not taken any more; without any event, all are taken
        #[arg(long, value_name = "EVENT")]
        remove_event: Vec<EventName>,
        #[command(flatten)]
        rules: RuleArguments,
    },

    /// Pauses a campaign; visitors are sent on and counted as before
    Pause {
        /// The number of the campaign
        id: CampaignId,
    },

    /// Makes a paused campaign active again
    Resume {
        /// The number of the campaign
        id: CampaignId,
    },
}

/// What an update can change. It has to change something.
const CHANGES: [&str; 16] = [
    "name",
    "destination_url",
    "remove_event",
    "attribution_window",
    "min_time",
    "currency",
    "payout",
    "event",
    "event_amount",
    "default_status",
    "repeats",
    "daily_cap",
    "while_paused",
    "network",
    "open",
    "keyed",
];

/// Which conversions a campaign takes, what they pay, and who may send them.
#[derive(Debug, Clone, Args)]
pub(crate) struct RuleArguments {
    /// How long after its click a conversion may happen, such as 30d or 12h; none is for ever
    #[arg(long, value_name = "DURATION")]
    attribution_window: Option<OrNone<Span>>,

    /// How long after its click a conversion happens at the earliest, such as 10s; none is at once
    #[arg(long, value_name = "DURATION")]
    min_time: Option<OrNone<Span>>,

    /// The currency of all conversions, such as EUR, which postbacks need not name then; or any
    #[arg(long, value_name = "CURRENCY")]
    currency: Option<OrNone<Currency>>,

    /// What a conversion pays the affiliate: a share such as "12.5%", an amount such as "5 EUR", or none
    #[arg(long, value_name = "PAYOUT")]
    payout: Option<OrNone<PayoutRule>>,

    /// An event that is taken, perhaps with a payout of its own: sale, or "sale=12.5%"; can be repeated
    ///
    /// Without any, all events are taken.
    #[arg(long, value_name = "EVENT[=PAYOUT]")]
    event: Vec<EventPayout>,

    /// What an event is worth if the postback does not say, such as lead=20, or lead=none; can be repeated
    #[arg(long, value_name = "EVENT=AMOUNT")]
    event_amount: Vec<EventAmount>,

    /// The status of a conversion whose postback names none: pending, approved or rejected
    #[arg(long, value_name = "STATUS")]
    default_status: Option<ConversionStatus>,

    /// How often a click can have the same event: by_transaction is as often as there are transaction ids; or once
    #[arg(long, value_name = "REPEATS")]
    repeats: Option<Repeats>,

    /// How many conversions are taken on a day in UTC; none is any number
    #[arg(long, value_name = "NUMBER")]
    daily_cap: Option<OrNone<Cap>>,

    /// What is taken while the campaign is paused: conversions of earlier_clicks, or nothing
    #[arg(long, value_name = "WHAT")]
    while_paused: Option<WhilePaused>,

    /// A network that postbacks may come from, such as 192.0.2.0/24, or any; can be repeated, and replaces those before
    #[arg(long, value_name = "CIDR")]
    network: Vec<OrNone<Network>>,

    /// Anyone may send postbacks, the affiliates included: for trials
    #[arg(long)]
    open: bool,

    /// Postbacks need a key
    #[arg(long, conflicts_with = "open")]
    keyed: bool,
}

impl CampaignCommand {
    pub(super) async fn run(self, tracker: &Tracker, format: Format) -> Result<(), AdminError> {
        let campaign = match self {
            Self::List => return list(tracker, format).await,
            Self::Create { name, destination_url, kind, rules } => {
                return create(tracker, CampaignRequest::new(name, destination_url).key_kind(kind), &rules, format)
                    .await;
            }
            Self::Show { id } => tracker.campaign(id).await?,
            Self::Update { id, name, destination_url, remove_event, rules } => {
                rules.check()?;
                let change = |campaign: &mut Campaign| {
                    check_events(campaign, &remove_event)?;
                    if let Some(name) = &name {
                        campaign.name = name.clone();
                    }
                    if let Some(url) = &destination_url {
                        campaign.destination = url.clone();
                    }
                    campaign.rules.events.retain(|event, _| !remove_event.contains(event));
                    rules.apply(&mut campaign.rules);
                    rules.apply_to_access(&mut campaign.access);
                    check_rules(&campaign.rules)
                };
                tracker.try_update_campaign(id, change).await?.0
            }
            Self::Pause { id } => tracker.pause_campaign(id, Pause::Begin).await?,
            Self::Resume { id } => tracker.pause_campaign(id, Pause::End).await?,
        };
        print(tracker, &campaign, format)
    }
}

/// A mistyped event must not pass for removed.
fn check_events(campaign: &Campaign, removed: &[EventName]) -> Result<(), AdminError> {
    match removed.iter().find(|event| !campaign.rules.events.contains_key(*event)) {
        Some(event) => Err(AdminError::Refused(format!(
            "campaign {} has no event {event} to remove (--remove-event)",
            campaign.id
        ))),
        None => Ok(()),
    }
}

/// Finds what no campaign should be.
fn check_rules(rules: &CampaignRules) -> Result<(), AdminError> {
    let refuse = |problem: &str| Err(AdminError::Refused(problem.to_owned()));
    if rules.attribution_window.is_some_and(|window| window.is_zero()) {
        return refuse("the attribution window has no length (--attribution-window); none is for ever");
    }
    if let (Some(window), Some(minimum)) = (rules.attribution_window, rules.min_time_to_convert)
        && minimum > window
    {
        return refuse(
            "the least time (--min-time) is more than the attribution window (--attribution-window), so that no conversion \
             could be taken",
        );
    }
    let max = CampaignRules::MAX_EVENTS;
    if rules.events.len() > max {
        return Err(AdminError::Refused(format!("a campaign has at most {max} events (--event)")));
    }
    Ok(())
}

async fn create(
    tracker: &Tracker,
    request: CampaignRequest,
    rules: &RuleArguments,
    format: Format,
) -> Result<(), AdminError> {
    rules.check()?;
    let (mut campaign_rules, mut access) = (CampaignRules::default(), PostbackAccess::of_keys(Vec::new()));
    rules.apply(&mut campaign_rules);
    rules.apply_to_access(&mut access);
    check_rules(&campaign_rules)?;
    let request = request.postback_auth(access.auth).networks(access.networks).rules(campaign_rules);
    let created = tracker.create_campaign(request).await?;
    if created.postback_key.is_some() {
        note(format_args!("The last line is the postback key of campaign {}. {TOLD_ONCE}", created.campaign.id));
    }
    if format == Format::Json {
        return print_json(&CampaignJson::from(&created));
    }
    print(tracker, &created.campaign, format)?;
    if let Some(key) = &created.postback_key {
        print_line(key.expose());
    }
    Ok(())
}

async fn list(tracker: &Tracker, format: Format) -> Result<(), AdminError> {
    let mut table = Table::new(["ID", "NAME", "STATUS", "POSTBACKS", "PAYOUT", "CREATED"]);
    let mut request = PageRequest::default();
    loop {
        let page = tracker.campaigns(request).await?;
        for campaign in &page.items {
            if format == Format::Json {
                print_json(&CampaignJson::from(campaign))?;
                continue;
            }
            table.push([
                campaign.id.to_string(),
                campaign.name.to_string(),
                activity(campaign.paused_at),
                senders(tracker, campaign),
                or(campaign.rules.payout, "none"),
                campaign.created_at.to_string(),
            ]);
        }
        match page.next {
            Some(next) => request.after = Some(next),
            None if format == Format::Json => return Ok(()),
            None => {
                table.print();
                return Ok(());
            }
        }
    }
}

fn print(tracker: &Tracker, campaign: &Campaign, format: Format) -> Result<(), AdminError> {
    warn_without_key(campaign, tracker.now());
    if format == Format::Json {
        return print_json(&CampaignJson::from(campaign));
    }
    let Campaign { rules, access, .. } = campaign;
    let span = |duration: Option<Duration>, otherwise| or(duration.map(Span), otherwise);
    print_fields([
        ("campaign", campaign.id.to_string()),
        ("name", campaign.name.to_string()),
        ("destination", campaign.destination.to_string()),
        ("status", activity(campaign.paused_at)),
        ("postbacks", senders(tracker, campaign)),
        ("networks", listed(&access.networks)),
        ("attribution window", span(rules.attribution_window, "for ever")),
        ("min time", span(rules.min_time_to_convert, "none")),
        ("currency", or(rules.currency, "any")),
        ("payout", or(rules.payout, "none")),
        ("events", events(&rules.events)),
        ("default status", rules.default_status.to_string()),
        ("repeats", rules.repeats.to_string()),
        ("daily cap", or(rules.daily_cap, "none")),
        ("while paused", rules.while_paused.to_string()),
        ("created", campaign.created_at.to_string()),
        ("version", campaign.version.to_string()),
    ]);
    Ok(())
}

fn or(value: Option<impl ToString>, otherwise: &str) -> String {
    value.map_or_else(|| otherwise.to_owned(), |value| value.to_string())
}

/// Who may send postbacks.
fn senders(tracker: &Tracker, campaign: &Campaign) -> String {
    if campaign.access.auth == PostbackAuth::Open {
        return "open to all".to_owned();
    }
    let live = campaign.access.keys.iter().filter(|key| key.is_live(tracker.now())).count();
    match live {
        0 => "no valid key".to_owned(),
        1 => "1 key".to_owned(),
        live => format!("{live} keys"),
    }
}

fn listed(networks: &[IpNet]) -> String {
    match networks {
        [] => "any".to_owned(),
        networks => networks.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
    }
}

fn events(events: &BTreeMap<EventName, EventRule>) -> String {
    if events.is_empty() {
        return "any".to_owned();
    }
    let event = |(name, rule): (&EventName, &EventRule)| {
        let payout = rule.payout.map(|payout| format!("={payout}")).unwrap_or_default();
        let amount = rule.amount.map(|amount| format!(" (worth {amount})")).unwrap_or_default();
        format!("{name}{payout}{amount}")
    };
    events.iter().map(event).collect::<Vec<_>>().join(", ")
}

impl RuleArguments {
    /// Finds what contradicts itself.
    fn check(&self) -> Result<(), AdminError> {
        let has_any = self.network.iter().any(|network| network.0.is_none());
        if has_any && self.network.len() > 1 {
            return Err(AdminError::Refused("any network, or none, can't stand beside others (--network)".to_owned()));
        }
        if self.network.len() > PostbackAccess::MAX_NETWORKS {
            let max = PostbackAccess::MAX_NETWORKS;
            return Err(AdminError::Refused(format!("a campaign can have {max} networks at the most (--network)")));
        }
        Ok(())
    }

    fn apply(&self, rules: &mut CampaignRules) {
        let duration = |span: OrNone<Span>| span.0.map(|Span(duration)| duration);
        set(&mut rules.attribution_window, self.attribution_window.map(duration));
        set(&mut rules.min_time_to_convert, self.min_time.map(duration));
        set(&mut rules.currency, self.currency.map(|currency| currency.0));
        set(&mut rules.payout, self.payout.map(|payout| payout.0));
        for EventPayout { event, payout } in &self.event {
            rules.events.entry(event.clone()).or_default().payout = *payout;
        }
        for EventAmount { event, amount } in &self.event_amount {
            rules.events.entry(event.clone()).or_default().amount = *amount;
        }
        set(&mut rules.default_status, self.default_status);
        set(&mut rules.repeats, self.repeats);
        set(&mut rules.daily_cap, self.daily_cap.map(|cap| cap.0.map(|Cap(cap)| cap)));
        set(&mut rules.while_paused, self.while_paused);
    }

    fn apply_to_access(&self, access: &mut PostbackAccess) {
        if !self.network.is_empty() {
            access.networks = self.network.iter().filter_map(|network| network.0).map(|Network(net)| net).collect();
        }
        if self.open {
            access.auth = PostbackAuth::Open;
        }
        if self.keyed {
            access.auth = PostbackAuth::Key;
        }
    }
}

fn set<T>(place: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *place = value;
    }
}

/// `sale`, `sale=12.5%`, `lead=5 EUR`
#[derive(Debug, Clone)]
struct EventPayout {
    event: EventName,
    payout: Option<PayoutRule>,
}

impl FromStr for EventPayout {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let (event, payout) = match text.split_once('=') {
            Some((event, payout)) => (event, payout.parse::<OrNone<PayoutRule>>()?.0),
            None => (text, None),
        };
        Ok(Self { event: event.parse()?, payout })
    }
}

/// `lead=20`, `lead=none`
#[derive(Debug, Clone)]
struct EventAmount {
    event: EventName,
    amount: Option<Amount>,
}

#[derive(Debug, Error)]
enum NoEventAmount {
    #[error("expected an event and an amount, such as lead=20")]
    Form,
    #[error(transparent)]
    Invalid(#[from] ParseError),
}

impl FromStr for EventAmount {
    type Err = NoEventAmount;

    fn from_str(text: &str) -> Result<Self, NoEventAmount> {
        let (event, amount) = text.split_once('=').ok_or(NoEventAmount::Form)?;
        Ok(Self { event: event.parse()?, amount: amount.parse::<OrNone<Amount>>()?.0 })
    }
}

/// How many conversions a day: 1 or more.
#[derive(Debug, Clone, Copy)]
struct Cap(u32);

#[derive(Debug, Error)]
#[error("expected a whole number from 1 to {max}, or none", max = u32::MAX)]
struct NoCap;

impl FromStr for Cap {
    type Err = NoCap;

    fn from_str(text: &str) -> Result<Self, NoCap> {
        text.parse().ok().filter(|cap| *cap > 0).map(Self).ok_or(NoCap)
    }
}

/// A network, or an address, which is one of its own.
#[derive(Debug, Clone, Copy)]
struct Network(IpNet);

#[derive(Debug, Error)]
#[error("expected a network such as 192.0.2.0/24, an address such as 192.0.2.7, or any")]
struct NoNetwork;

impl FromStr for Network {
    type Err = NoNetwork;

    fn from_str(text: &str) -> Result<Self, NoNetwork> {
        let network = text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
        // 192.0.2.7/24 means the network that the address is in.
        network.map(|network: IpNet| Self(network.trunc())).map_err(|_| NoNetwork)
    }
}
