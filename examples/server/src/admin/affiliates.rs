use std::time::Duration;

use clap::Subcommand;
use tracking_core::{Affiliate, AffiliateId, Name, PageRequest, Pass, Pause, Timestamp, Tracker};

use super::AdminError;
use super::json::{AffiliateJson, PassJson};
use super::output::{Format, Table, note, print_json, print_line};

#[derive(Debug, Clone, Subcommand)]
pub(crate) enum AffiliateCommand {
    /// Lists all affiliates, newest first
    List,

    /// Creates an affiliate
    Create {
        /// What people call him
        name: Name,
    },

    /// Renames an affiliate
    Rename {
        /// The number of the affiliate
        id: AffiliateId,
        /// What people call him
        name: Name,
    },

    /// Pauses an affiliate: conversions of clicks from now on are refused; visitors are sent on and counted as before
    Pause {
        /// The number of the affiliate
        id: AffiliateId,
    },

    /// Makes a paused affiliate active again
    Resume {
        /// The number of the affiliate
        id: AffiliateId,
    },

    /// Makes a pass with which an affiliate logs in and sees his own figures, and prints it, this once
    ///
    /// The pass alone goes to stdout, and what there is to know about it to stderr. It is made under the secret of the server,
    /// which has to be set.
    Pass {
        /// The number of the affiliate
        id: AffiliateId,
        /// For how many days it is valid
        #[arg(long, value_name = "DAYS", default_value_t = 30)]
        #[arg(value_parser = clap::value_parser!(u64).range(1..=366))]
        days: u64,
    },

    /// Makes all passes void that an affiliate has
    RevokePasses {
        /// The number of the affiliate
        id: AffiliateId,
    },
}

impl AffiliateCommand {
    /// Whether it takes the secret of the server.
    pub(crate) const fn signs(&self) -> bool {
        matches!(self, Self::Pass { .. })
    }

    pub(super) async fn run(self, tracker: &Tracker, format: Format) -> Result<(), AdminError> {
        let affiliates = match self {
            Self::List => list(tracker).await?,
            Self::Create { name } => vec![tracker.create_affiliate(name).await?],
            Self::Rename { id, name } => {
                vec![tracker.update_affiliate(id, |affiliate| affiliate.name = name.clone()).await?]
            }
            Self::Pause { id } => vec![tracker.pause_affiliate(id, Pause::Begin).await?],
            Self::Resume { id } => vec![tracker.pause_affiliate(id, Pause::End).await?],
            Self::Pass { id, days } => {
                let (token, pass) = tracker.issue_pass(id, Duration::from_secs(days * 24 * 60 * 60)).await?;
                return print_issued(id, &token, pass, format);
            }
            Self::RevokePasses { id } => vec![tracker.revoke_passes(id).await?],
        };
        print(&affiliates, format)
    }
}

async fn list(tracker: &Tracker) -> Result<Vec<Affiliate>, AdminError> {
    let (mut affiliates, mut request) = (Vec::new(), PageRequest::default());
    loop {
        let page = tracker.affiliates(request).await?;
        affiliates.extend(page.items);
        match page.next {
            Some(next) => request.after = Some(next),
            None => return Ok(affiliates),
        }
    }
}

fn print(affiliates: &[Affiliate], format: Format) -> Result<(), AdminError> {
    if format == Format::Json {
        return affiliates.iter().try_for_each(|affiliate| print_json(&AffiliateJson::from(affiliate)));
    }
    let mut table = Table::new(["ID", "NAME", "STATUS", "CREATED"]);
    for Affiliate { id, name, paused_at, created_at, .. } in affiliates {
        table.push([id.to_string(), name.to_string(), activity(*paused_at), created_at.to_string()]);
    }
    table.print();
    Ok(())
}

fn print_issued(id: AffiliateId, token: &str, pass: Pass, format: Format) -> Result<(), AdminError> {
    note(format_args!(
        "Pass of affiliate {id}, valid until {}. It is shown this once: give it to the affiliate, and to nobody else.\n\
         He logs in with it, or opens /dashboard/share?token={token} on the server.",
        pass.expires_at
    ));
    if format == Format::Json {
        return print_json(&PassJson::new(id, token, pass));
    }
    print_line(token);
    Ok(())
}

/// Whether something is paused, and since when.
pub(super) fn activity(paused_at: Option<Timestamp>) -> String {
    paused_at.map_or_else(|| "active".to_owned(), |since| format!("paused since {since}"))
}
