//! The pages of lists and of what stands in them, of the import and of the settings.

use bytes::Bytes;
use http::Response;

use super::{Api, BodyError, Call};
use crate::chunks::Body;
use crate::dashboard::{Asked, Desk, affiliates, campaigns, clicks, conversions, import, report, settings, share};
use crate::endpoint::Page;
use crate::location::Location;
use crate::refusal::Refusal;
use crate::{body, query};

impl Api {
    pub(super) async fn page(
        &self,
        page: Page,
        call: Call<'_>,
        at: &Location<'_>,
        body: Result<Bytes, BodyError>,
    ) -> Result<Response<Body>, Refusal> {
        let Call { request, parameters, viewer, .. } = call;
        if viewer.is_affiliate() && !page.is_for_affiliates() {
            return Err(Refusal::forbidden());
        }
        let public_url = &self.base_url(request, at);
        let desk = Desk { tracker: &self.tracker, viewer, at, public_url, zone: self.time_zone };
        let form = match page {
            Page::CreateCampaign
            | Page::ChangeCampaign
            | Page::PauseCampaign
            | Page::IssueKey
            | Page::CreateAffiliate
            | Page::PauseAffiliate
            | Page::ShareAffiliate
            | Page::Imported => body::form(request, body)?,
            _ => String::new(),
        };
        let form = &query::parse(Some(&form))?;
        match page {
            Page::Report => report::show(&Asked { desk, parameters }).await,
            Page::Conversions => conversions::show(desk, parameters).await,
            Page::Clicks => clicks::show(desk, parameters).await,
            Page::Campaigns => campaigns::list(desk, parameters).await,
            Page::CreateCampaign => campaigns::create(desk, form).await,
            Page::Campaign => campaigns::show(&Asked { desk, parameters }).await,
            Page::ChangeCampaign => campaigns::change(&Asked { desk, parameters }, form).await,
            Page::PauseCampaign => campaigns::pause(&Asked { desk, parameters }, form).await,
            Page::IssueKey => campaigns::issue_key(&Asked { desk, parameters }, form).await,
            Page::RevokeKey => campaigns::revoke_key(&Asked { desk, parameters }).await,
            Page::Affiliates => affiliates::show(desk, parameters).await,
            Page::CreateAffiliate => affiliates::create(desk, form).await,
            Page::PauseAffiliate => affiliates::pause(desk, parameters, form).await,
            Page::ShareAffiliate => share::issue(desk, form).await,
            Page::RevokeShares => share::revoke(desk).await,
            Page::Import => import::show(desk),
            Page::Imported => import::run(desk, &self.imports, form).await,
            Page::Settings => settings::show(desk, self.public_url.as_ref(), self.trusted_proxies.networks()),
        }
    }
}
