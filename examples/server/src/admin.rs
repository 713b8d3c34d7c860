//! What an operator does on the command line: affiliates, campaigns, keys, statuses, and the postback log.
//!
//! All of it happens in the database, through the same methods as over HTTP. Servers that run on the database know of a
//! change within ten seconds.

mod affiliates;
mod campaigns;
mod conversions;
mod durations;
mod json;
mod keys;
mod output;
mod postbacks;

use thiserror::Error;
use tracking_core::{KeyError, PassError, StoreError, Tracker};

pub(crate) use self::affiliates::AffiliateCommand;
pub(crate) use self::campaigns::CampaignCommand;
pub(crate) use self::conversions::ConversionCommand;
pub(crate) use self::keys::KeyCommand;
pub(crate) use self::output::Format;
pub(crate) use self::postbacks::PostbackArguments;

/// What is to be done.
#[derive(Debug, Clone)]
pub(crate) enum Administration {
    Affiliates(AffiliateCommand),
    Campaigns(Box<CampaignCommand>),
    Keys(KeyCommand),
    Conversions(ConversionCommand),
    Postbacks(PostbackArguments),
}

/// Why it could not be done.
#[derive(Debug, Error)]
pub(crate) enum AdminError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error(transparent)]
    Pass(#[from] PassError),
    /// As the sentence says.
    #[error("{0}")]
    Refused(String),
    #[error("can't write the answer as JSON")]
    Json(#[from] serde_json::Error),
}

impl Administration {
    /// Its name on the command line.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Affiliates(_) => "affiliates",
            Self::Campaigns(_) => "campaigns",
            Self::Keys(_) => "keys",
            Self::Conversions(_) => "conversions",
            Self::Postbacks(_) => "postbacks",
        }
    }

    /// Does it, and tells on stdout what there is now.
    pub(crate) async fn run(self, tracker: &Tracker, format: Format) -> Result<(), AdminError> {
        match self {
            Self::Affiliates(command) => command.run(tracker, format).await,
            Self::Campaigns(command) => command.run(tracker, format).await,
            Self::Keys(command) => command.run(tracker, format).await,
            Self::Conversions(command) => command.run(tracker, format).await,
            Self::Postbacks(arguments) => arguments.run(tracker, format).await,
        }
    }
}
