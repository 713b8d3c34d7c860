//! Statuses of conversions: how they change, by whom, and what a late postback means.

use crate::{
    ChangedBy, Conversion, ConversionId, ConversionRequest, ConversionStatus, Event, Outcome, Reason, StatusChange,
    StoreError, Tracker,
};

impl Tracker {
    /// Changes the status of a conversion.
    ///
    /// The outcome is [`StatusChanged`](Outcome::StatusChanged), [`Duplicate`](Outcome::Duplicate) if it has that status, or
    /// [`StatusConflict`](Outcome::StatusConflict) if there is no way from its status to that one.
    ///
    /// # Errors
    /// If there is no such conversion, or if the store fails.
    pub async fn change_status(
        &self,
        id: ConversionId,
        status: ConversionStatus,
        by: ChangedBy,
        reason: Option<Reason>,
    ) -> Result<Outcome, StoreError> {
        let conversion = self.conversion(id).await?;
        let outcome = self.set_status(conversion, status, by, reason).await?;
        if let Outcome::StatusChanged { conversion, from } = &outcome {
            self.recorder.events.send(|| Event::StatusChanged { conversion: conversion.clone(), from: *from });
        }
        Ok(outcome)
    }

    /// What becomes of a conversion that is recorded, when it is sent again with another status.
    pub(super) async fn repeat_with_status(
        &self,
        conversion: Conversion,
        status: ConversionStatus,
        by: ChangedBy,
    ) -> Result<Outcome, StoreError> {
        match self.set_status(conversion, status, by, None).await? {
            Outcome::StatusConflict { recorded, status } => self.late_status(recorded, status).await,
            outcome => Ok(outcome),
        }
    }

    /// What it means that a conversion is sent with a status to which there is no way. A retry may be from before the status
    /// went on, and `pending` says no more than that there is a conversion.
    async fn late_status(&self, recorded: Conversion, status: ConversionStatus) -> Result<Outcome, StoreError> {
        let is_old = status == ConversionStatus::Pending || {
            let changes = self.recorder.store.status_changes(recorded.id).await?;
            changes.iter().any(|change| change.from == status || change.to == status)
        };
        Ok(if is_old { Outcome::Duplicate(recorded) } else { Outcome::StatusConflict { recorded, status } })
    }

    /// What would become of a repeated conversion for the sake of its status.
    pub(super) async fn foretell_status(
        &self,
        outcome: Outcome,
        request: &ConversionRequest,
    ) -> Result<Outcome, StoreError> {
        match (outcome, request.status) {
            (Outcome::Duplicate(recorded), Some(status)) if recorded.status != status => {
                let from = recorded.status;
                if !from.can_become(status) {
                    return self.late_status(recorded, status).await;
                }
                Ok(Outcome::StatusChanged { conversion: Conversion { status, ..recorded }, from })
            }
            (outcome, _) => Ok(outcome),
        }
    }

    async fn set_status(
        &self,
        mut conversion: Conversion,
        status: ConversionStatus,
        by: ChangedBy,
        reason: Option<Reason>,
    ) -> Result<Outcome, StoreError> {
        // Each round is lost to somebody else's change, of which there can be two at the most.
        loop {
            let from = conversion.status;
            if from == status {
                return Ok(Outcome::Duplicate(conversion));
            }
            if !from.can_become(status) {
                return Ok(Outcome::StatusConflict { recorded: conversion, status });
            }
            let reason = reason.clone();
            let change = StatusChange { from, to: status, changed_at: self.now(), changed_by: by, reason };
            conversion = match self.recorder.store.change_status(conversion.id, change).await? {
                Some(conversion) => return Ok(Outcome::StatusChanged { conversion, from }),
                None => self.conversion(conversion.id).await?,
            };
        }
    }
}
