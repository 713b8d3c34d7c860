use clap::Subcommand;
use tracking_core::{Affiliate, AffiliateId, Name, PageRequest, Pause, Timestamp, Tracker};

use super::AdminError;
use super::json::AffiliateJson;
use super::output::{Format, Table, print_json};

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
}

impl AffiliateCommand {
    pub(super) async fn run(self, tracker: &Tracker, format: Format) -> Result<(), AdminError> {
        let affiliates = match self {
            Self::List => list(tracker).await?,
            Self::Create { name } => vec![tracker.create_affiliate(name).await?],
            Self::Rename { id, name } => {
                vec![tracker.update_affiliate(id, |affiliate| affiliate.name = name.clone()).await?]
            }
            Self::Pause { id } => vec![tracker.pause_affiliate(id, Pause::Begin).await?],
            Self::Resume { id } => vec![tracker.pause_affiliate(id, Pause::End).await?],
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

/// Whether something is paused, and since when.
pub(super) fn activity(paused_at: Option<Timestamp>) -> String {
    paused_at.map_or_else(|| "active".to_owned(), |since| format!("paused since {since}"))
}
