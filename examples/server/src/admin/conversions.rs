use clap::Subcommand;
use tracking_core::{ChangedBy, Conversion, ConversionId, ConversionStatus, Outcome, Reason, StatusChange, Tracker};

use super::AdminError;
use super::json::ConversionJson;
use super::output::{Format, print_fields, print_json, print_line};

#[derive(Debug, Clone, Subcommand)]
pub(crate) enum ConversionCommand {
    /// Shows a conversion, and how its status has changed
    Show {
        /// The number of the conversion
        id: ConversionId,
    },

    /// Approves a conversion that is pending
    Approve {
        /// The number of the conversion
        id: ConversionId,
        /// Why, for whoever looks at it later
        #[arg(long, value_name = "TEXT")]
        reason: Option<Reason>,
    },

    /// Rejects a conversion that is pending or approved, for good; a refund is such a change
    Reject {
        /// The number of the conversion
        id: ConversionId,
        /// Why, for whoever looks at it later
        #[arg(long, value_name = "TEXT")]
        reason: Option<Reason>,
    },
}

impl ConversionCommand {
    pub(super) async fn run(self, tracker: &Tracker, format: Format) -> Result<(), AdminError> {
        let (id, change) = match self {
            Self::Show { id } => (id, None),
            Self::Approve { id, reason } => (id, Some((ConversionStatus::Approved, reason))),
            Self::Reject { id, reason } => (id, Some((ConversionStatus::Rejected, reason))),
        };
        if let Some((status, reason)) = change {
            match tracker.change_status(id, status, ChangedBy::Admin, reason).await? {
                Outcome::Duplicate(_) if format == Format::Text => {
                    print_line(format_args!("Conversion {id} was {status} already."));
                    return Ok(());
                }
                outcome if format == Format::Text && outcome.kind().is_success() => {
                    print_line(format_args!("{}.", outcome.summary()));
                    return Ok(());
                }
                outcome if outcome.kind().is_success() => {}
                outcome => return Err(AdminError::Refused(said(&outcome))),
            }
        }
        print(&tracker.conversion(id).await?, &tracker.status_changes(id).await?, format)
    }
}

/// A sentence as errors have it.
fn said(outcome: &Outcome) -> String {
    let summary = outcome.summary();
    let (first, rest) = summary.split_at(summary.chars().next().map_or(0, char::len_utf8));
    format!("{}{}", first.to_lowercase(), rest.trim_end_matches('.'))
}

fn print(conversion: &Conversion, changes: &[StatusChange], format: Format) -> Result<(), AdminError> {
    if format == Format::Json {
        return print_json(&ConversionJson::new(conversion, changes));
    }
    let or_none = |text: Option<String>| text.unwrap_or_else(|| "none".to_owned());
    print_fields([
        ("conversion", conversion.id.to_string()),
        ("affiliate", conversion.affiliate_id.to_string()),
        ("campaign", conversion.campaign_id.to_string()),
        ("click", conversion.click_id.to_string()),
        ("event", conversion.event.to_string()),
        ("transaction", or_none(conversion.transaction_id.as_ref().map(ToString::to_string))),
        ("amount", format!("{} {}", conversion.amount, conversion.currency)),
        ("payout", or_none(conversion.payout.map(|payout| payout.to_string()))),
        ("status", conversion.status.to_string()),
        ("happened", or_none(conversion.occurred_at.map(|time| time.to_string()))),
        ("recorded", conversion.created_at.to_string()),
    ]);
    for StatusChange { from, to, changed_at, changed_by, reason } in changes {
        let reason = reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
        print_line(format_args!("{changed_at}: {from} became {to}, by the {changed_by}{reason}"));
    }
    Ok(())
}
