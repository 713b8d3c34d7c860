//! Affiliates and campaigns, as they are created and changed.

use tracking_core::{Affiliate, Campaign, CampaignRules, PostbackAccess, StoreError};

use crate::attempt::{Failure, Patience, change, store_error};
use crate::sql::{Sql, TablePrefix};
use crate::store::Database;

/// What is replaced as a whole, by whoever has seen the version that is there.
pub(crate) trait Versioned: PartialEq + Send + Sync + Sized {
    const OPERATION: &'static str;

    fn version(&self) -> u32;

    /// Reads the one that is there now.
    fn found(&self, database: &Database) -> impl Future<Output = Result<Self, StoreError>> + Send;

    /// What the one that is there is to become.
    fn in_place_of(&self, found: &Self) -> Self;

    /// Writes the statement that replaces the one of this version.
    fn write(&self, sql: &mut Sql, prefix: &TablePrefix) -> Result<(), StoreError>;
}

impl Versioned for Affiliate {
    const OPERATION: &'static str = "update affiliate";

    fn version(&self) -> u32 {
        self.version
    }

    async fn found(&self, database: &Database) -> Result<Self, StoreError> {
        database.affiliate(self.id).await
    }

    fn in_place_of(&self, found: &Self) -> Self {
        Self { created_at: found.created_at, version: self.version.saturating_add(1), ..self.clone() }
    }

    fn write(&self, sql: &mut Sql, prefix: &TablePrefix) -> Result<(), StoreError> {
        sql.push("UPDATE ").table(prefix, "affiliates").push(" SET name = ").text(self.name.as_str());
        sql.push(", paused_at = ").time_or_null(self.paused_at);
        sql.push(", revoked_at = ").time_or_null(self.revoked_at);
        version(sql, self.id.as_u64(), self.version);
        Ok(())
    }
}

impl Versioned for Campaign {
    const OPERATION: &'static str = "update campaign";

    fn version(&self) -> u32 {
        self.version
    }

    async fn found(&self, database: &Database) -> Result<Self, StoreError> {
        database.campaign(self.id).await
    }

    fn in_place_of(&self, found: &Self) -> Self {
        Self { created_at: found.created_at, version: self.version.saturating_add(1), ..self.clone() }
    }

    fn write(&self, sql: &mut Sql, prefix: &TablePrefix) -> Result<(), StoreError> {
        sql.push("UPDATE ").table(prefix, "campaigns").push(" SET name = ").text(self.name.as_str());
        sql.push(", destination_url = ").ascii(self.destination.as_str()).push(", rules = ");
        terms(sql, Self::OPERATION, &self.rules, &self.access, ", access = ")?;
        sql.push(", paused_at = ").time_or_null(self.paused_at);
        version(sql, self.id.as_u64(), self.version);
        Ok(())
    }
}

fn version(sql: &mut Sql, id: u64, version: u32) {
    sql.push(", version = version + 1 WHERE id = ").number(id).push(" AND version = ").number(version.into());
}

/// Writes rules and access as JSON, with this between them.
pub(crate) fn terms(
    sql: &mut Sql,
    operation: &'static str,
    rules: &CampaignRules,
    access: &PostbackAccess,
    between: &'static str,
) -> Result<(), StoreError> {
    let error = |error| StoreError::backend(operation, error);
    let rules = serde_json::to_string(rules).map_err(error)?;
    let access = serde_json::to_string(access).map_err(error)?;
    sql.text(&rules).push(between).text(&access);
    Ok(())
}

impl Database {
    /// Replaces this one, unless it has another version by now.
    ///
    /// An update of which nobody heard is tried again. If that finds that another version is there, it looks whether it is
    /// the very one that it wanted.
    pub(crate) async fn update<T: Versioned>(&self, one: &T) -> Result<Option<T>, StoreError> {
        let mut patience = Patience::new(self.timeout);
        let mut is_unsure = false;
        loop {
            let found = one.found(self).await?;
            let wanted = one.in_place_of(&found);
            if is_unsure && found == wanted {
                return Ok(Some(wanted));
            }
            if found.version() != one.version() {
                return Ok(None);
            }
            let mut sql = Sql::default();
            one.write(&mut sql, &self.prefix)?;
            match change(self, vec![sql], patience.deadline()).await {
                // Somebody else has been faster, and it is to be seen what he has made of it.
                Ok(0) if patience.pause().await => {}
                Ok(0) => return Ok(None),
                Ok(_) => return Ok(Some(wanted)),
                Err(error) => {
                    let failure = Failure::of(&error);
                    is_unsure |= failure == Failure::Unavailable;
                    if !failure.may_pass() || !patience.pause().await {
                        return Err(store_error(T::OPERATION, error));
                    }
                }
            }
        }
    }
}
