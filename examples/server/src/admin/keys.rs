use clap::Subcommand;
use tracking_core::{Campaign, CampaignId, IssuedKey, KeyKind, PostbackAuth, PostbackKeyRecord, Timestamp, Tracker};

use super::AdminError;
use super::durations::Span;
use super::json::KeyJson;
use super::output::{Format, Table, note, print_json, print_line};

#[derive(Debug, Clone, Subcommand)]
pub(crate) enum KeyCommand {
    /// Lists the keys of a campaign, without the keys themselves
    List {
        /// The number of the campaign
        campaign: CampaignId,
    },

    /// Makes a key for a campaign, and prints it, this once
    ///
    /// The key alone goes to stdout, and what there is to know about it to stderr. A campaign that was open demands a key
    /// from then on.
    Issue {
        /// The number of the campaign
        campaign: CampaignId,
        /// token: sent along with each postback; signing: postbacks are signed with it
        #[arg(long, value_name = "KIND", default_value_t = KeyKind::Token)]
        kind: KeyKind,
        /// How long the other keys of this kind stay valid, such as 24h, by when the advertiser has to use the new one; without
        /// it they stay as they are
        #[arg(long, value_name = "DURATION")]
        expire_others: Option<Span>,
    },

    /// Takes a key from a campaign, for good; postbacks with it are refused
    Revoke {
        /// The number of the campaign
        campaign: CampaignId,
        /// The number of the key, as the list has it
        key: u32,
    },
}

impl KeyCommand {
    pub(super) async fn run(self, tracker: &Tracker, format: Format) -> Result<(), AdminError> {
        match self {
            Self::List { campaign } => print(&tracker.campaign(campaign).await?, tracker.now(), format),
            Self::Issue { campaign, kind, expire_others } => {
                let overlap = expire_others.map(|Span(duration)| duration);
                print_issued(&tracker.issue_key(campaign, kind, overlap).await?, format)
            }
            Self::Revoke { campaign, key } => {
                let campaign = tracker.revoke_key(campaign, key).await?;
                warn_without_key(&campaign, tracker.now());
                print(&campaign, tracker.now(), format)
            }
        }
    }
}

fn print(campaign: &Campaign, now: Timestamp, format: Format) -> Result<(), AdminError> {
    let keys = &campaign.access.keys;
    if format == Format::Json {
        return keys.iter().try_for_each(|key| print_json(&KeyJson::from(key)));
    }
    let mut table = Table::new(["ID", "KIND", "STATUS", "CREATED"]);
    for key in keys {
        table.push([key.id.to_string(), key.kind().to_string(), validity(key, now), key.created_at.to_string()]);
    }
    table.print();
    Ok(())
}

fn print_issued(issued: &IssuedKey, format: Format) -> Result<(), AdminError> {
    let IssuedKey { campaign, key_id, key } = issued;
    note(format_args!("Key {key_id} of campaign {}. {TOLD_ONCE}", campaign.id));
    for other in campaign.access.keys.iter().filter(|other| other.id != *key_id) {
        if let Some(end) = other.expires_at {
            note(format_args!("Key {} expires at {end}.", other.id));
        }
    }
    if format == Format::Json {
        return print_json(&KeyJson::of_issued(issued));
    }
    print_line(key.expose());
    Ok(())
}

/// What is said of a new key.
pub(super) const TOLD_ONCE: &str =
    "It is shown this once, and can't be had again: give it to the advertiser, and to nobody else.";

/// Tells if nobody can send postbacks of the campaign.
pub(super) fn warn_without_key(campaign: &Campaign, now: Timestamp) {
    if campaign.access.auth == PostbackAuth::Key && !campaign.access.keys.iter().any(|key| key.is_live(now)) {
        note(format_args!(
            "Campaign {0} has no key that is valid, so nobody can send its postbacks; `tracking-server keys issue {0}` makes \
             one.",
            campaign.id
        ));
    }
}

fn validity(key: &PostbackKeyRecord, now: Timestamp) -> String {
    match key.expires_at {
        None => "valid".to_owned(),
        Some(end) if key.is_live(now) => format!("valid until {end}"),
        Some(end) => format!("expired at {end}"),
    }
}
