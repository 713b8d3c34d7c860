//! Affiliates and campaigns: how they are created and changed, and the keys of a campaign.

use std::time::Duration;

use thiserror::Error;

use crate::{
    Affiliate, AffiliateId, Campaign, CampaignId, CampaignRequest, CreatedCampaign, Event, IssuedKey, KeyKind, Name,
    NewAffiliate, NewCampaign, PostbackAccess, PostbackAuth, PostbackKey, PostbackKeyRecord, StoreError, Timestamp,
    Tracker,
};

impl Tracker {
    /// Creates an affiliate.
    ///
    /// # Errors
    /// If the store fails or is full. The affiliate may have been created then; the same call makes another one.
    pub async fn create_affiliate(&self, name: Name) -> Result<Affiliate, StoreError> {
        let new = NewAffiliate { id: None, name, created_at: self.now() };
        let affiliate = self.recorder.store.insert_affiliate(new).await?.into_record();
        self.recorder.events.send(|| Event::AffiliateCreated(affiliate.clone()));
        Ok(affiliate)
    }

    /// Changes an affiliate: whatever the closure makes of the name, the pause and when passes were revoked. It is called again
    /// if somebody else has changed the affiliate meanwhile. Other processes know of a change within ten seconds.
    ///
    /// # Errors
    /// If there is none, or if the store fails.
    pub async fn update_affiliate(
        &self,
        id: AffiliateId,
        change: impl Fn(&mut Affiliate),
    ) -> Result<Affiliate, StoreError> {
        loop {
            let before = self.recorder.store.affiliate(id).await?;
            let mut wanted = before.clone();
            change(&mut wanted);
            wanted = Affiliate { id, created_at: before.created_at, version: before.version, ..wanted };
            if wanted == before {
                return Ok(before);
            }
            if let Some(affiliate) = self.recorder.store.update_affiliate(wanted).await? {
                self.affiliates.note(id, affiliate.clone());
                self.recorder.events.send(|| Event::AffiliateUpdated(affiliate.clone()));
                return Ok(affiliate);
            }
        }
    }

    /// Pauses an affiliate, or makes him active again. While he is paused, visitors on his links are sent on and counted as
    /// before, and conversions of clicks from before the pause are taken; those of later clicks are refused.
    ///
    /// # Errors
    /// If there is none, or if the store fails.
    pub async fn pause_affiliate(&self, id: AffiliateId, pause: Pause) -> Result<Affiliate, StoreError> {
        let now = self.now();
        self.update_affiliate(id, |affiliate| affiliate.paused_at = pause.applied_to(affiliate.paused_at, now)).await
    }

    /// Creates a campaign. Unless the request says otherwise it gets a postback key, which is told this once.
    ///
    /// # Errors
    /// If the store fails or is full. The campaign may have been created then; the same call makes another one.
    pub async fn create_campaign(&self, request: CampaignRequest) -> Result<CreatedCampaign, StoreError> {
        let CampaignRequest { name, destination, postback_auth, key_kind, networks, rules } = request;
        let created_at = self.now();
        let postback_key = match postback_auth {
            PostbackAuth::Key => Some(PostbackKey::random(key_kind)),
            PostbackAuth::Open => None,
        };
        let mut access = PostbackAccess { auth: postback_auth, networks, ..PostbackAccess::open() };
        if let Some(key) = &postback_key {
            let id = access.next_key_id();
            access.keys.push(PostbackKeyRecord { id, secret: key.secret(), created_at, expires_at: None });
        }
        let new = NewCampaign { id: None, name, destination, rules, access, created_at };
        let campaign = self.recorder.store.insert_campaign(new).await?.into_record();
        self.recorder.events.send(|| Event::CampaignCreated(campaign.clone()));
        Ok(CreatedCampaign { campaign, postback_key })
    }

    /// Changes a campaign: whatever the closure makes of it, but for its id, its time of creation and its version. It is
    /// called again if somebody else has changed the campaign meanwhile. Other processes know of a change within ten seconds.
    ///
    /// ```
    /// use tracking_core::{CampaignRequest, Secret, Tracker};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let tracker = Tracker::new(storage_memory::MemoryStore::new(), Secret::random());
    /// # let request = CampaignRequest::new("Shop".parse()?, "https://shop.example/".parse()?);
    /// # let id = tracker.create_campaign(request).await?.campaign.id;
    /// let payout = "12.5%".parse()?;
    /// let campaign = tracker.update_campaign(id, |campaign| campaign.rules.payout = Some(payout)).await?;
    /// assert_eq!(campaign.version, 2);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// If there is none, or if the store fails.
    pub async fn update_campaign(
        &self,
        id: CampaignId,
        change: impl Fn(&mut Campaign),
    ) -> Result<Campaign, StoreError> {
        let change = |campaign: &mut Campaign| {
            change(campaign);
            Ok::<_, StoreError>(())
        };
        self.try_update_campaign(id, change).await.map(|(campaign, ())| campaign)
    }

    /// The same for a change that may refuse, by what the campaign is like then: nothing is changed if it does. Returns what the
    /// closure has returned, too.
    ///
    /// # Errors
    /// The closure's; or if there is no such campaign, or if the store fails.
    pub async fn try_update_campaign<T, E: From<StoreError>>(
        &self,
        id: CampaignId,
        change: impl Fn(&mut Campaign) -> Result<T, E>,
    ) -> Result<(Campaign, T), E> {
        loop {
            let before = self.recorder.store.campaign(id).await?;
            let mut wanted = before.clone();
            let made = change(&mut wanted)?;
            wanted = Campaign { id, created_at: before.created_at, version: before.version, ..wanted };
            if wanted == before {
                return Ok((before, made));
            }
            if let Some(campaign) = self.recorder.store.update_campaign(wanted).await? {
                self.campaigns.note(id, campaign.clone());
                self.recorder.events.send(|| Event::CampaignUpdated(campaign.clone()));
                return Ok((campaign, made));
            }
        }
    }

    /// Pauses a campaign, or makes it active again. While it is paused, visitors are sent on and counted as before, and
    /// conversions are taken as [its rules](crate::CampaignRules::while_paused) say.
    ///
    /// # Errors
    /// If there is none, or if the store fails.
    pub async fn pause_campaign(&self, id: CampaignId, pause: Pause) -> Result<Campaign, StoreError> {
        let now = self.now();
        self.update_campaign(id, |campaign| campaign.paused_at = pause.applied_to(campaign.paused_at, now)).await
    }

    /// Makes a key for a campaign, which is told this once. All others of its kind expire after `overlap`, by when the
    /// advertiser has to use the new one; with `None` they stay as they are. Keys that have expired are forgotten.
    ///
    /// A campaign that was open demands a key from then on.
    ///
    /// # Errors
    /// If there is no such campaign, if it has as many keys as it may have, or if the store fails.
    pub async fn issue_key(
        &self,
        id: CampaignId,
        kind: KeyKind,
        overlap: Option<Duration>,
    ) -> Result<IssuedKey, KeyError> {
        let (key, now) = (PostbackKey::random(kind), self.now());
        let issue = |campaign: &mut Campaign| {
            let access = &mut campaign.access;
            let key_id = access.next_key_id();
            access.keys.retain(|key| key.is_live(now));
            if access.keys.len() >= PostbackAccess::MAX_KEYS {
                return Err(KeyError::TooMany);
            }
            if let Some(overlap) = overlap {
                let end = now.plus(overlap);
                for key in access.keys.iter_mut().filter(|key| key.kind() == kind) {
                    key.expires_at = Some(key.expires_at.map_or(end, |earlier| earlier.min(end)));
                }
            }
            access.auth = PostbackAuth::Key;
            access.keys.push(PostbackKeyRecord { id: key_id, secret: key.secret(), created_at: now, expires_at: None });
            Ok(key_id)
        };
        let (campaign, key_id) = self.try_update_campaign(id, issue).await?;
        Ok(IssuedKey { campaign, key_id, key })
    }

    /// Takes a key from a campaign, for good. If it was the last one, nobody can send postbacks until there is another.
    ///
    /// # Errors
    /// If there is no such campaign, or no such key, or if the store fails.
    pub async fn revoke_key(&self, id: CampaignId, key_id: u32) -> Result<Campaign, KeyError> {
        let revoke = |campaign: &mut Campaign| {
            let before = campaign.access.keys.len();
            campaign.access.keys.retain(|key| key.id != key_id);
            if campaign.access.keys.len() == before { Err(KeyError::Unknown(key_id)) } else { Ok(()) }
        };
        self.try_update_campaign(id, revoke).await.map(|(campaign, ())| campaign)
    }
}

/// Whether something is to rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pause {
    /// It is to rest; what rests already goes on doing so.
    Begin,
    /// It is to be active again.
    End,
}

impl Pause {
    fn applied_to(self, paused_at: Option<Timestamp>, now: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Begin => paused_at.or(Some(now)),
            Self::End => None,
        }
    }
}

/// Why the keys of a campaign are as they were.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The campaign has as many keys as it may have.
    #[error("the campaign has {} keys, and can't have more; revoke one", PostbackAccess::MAX_KEYS)]
    TooMany,
    /// The campaign has no key with this number.
    #[error("the campaign has no key {0}")]
    Unknown(u32),
    /// The store did not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
}
