//! The business of a demonstration: affiliates and campaigns, and their ups and downs.

use std::time::Duration;

use tracking_core::{
    AffiliateId, CampaignId, CampaignRules, ConversionStatus, NewAffiliate, NewCampaign, ParseError, PayoutRule,
    PostbackAccess, PostbackKey, PostbackKeyRecord,
};

use super::{DAY, DAYS, start_of};
use crate::sample;

/// Somebody who sends visitors.
#[derive(Debug)]
pub(crate) struct DemoAffiliate {
    pub(crate) id: u64,
    pub(crate) name: &'static str,
    /// How many visitors he sends, compared with the others.
    size: u64,
    /// How many days ago he came; before the first day if this is more.
    joined: u64,
    /// How many days ago he was paused, if he is.
    pub(crate) paused: Option<u64>,
    /// How many of a thousand visitors buy.
    pub(super) buyers: u64,
    pub(super) sources: &'static [&'static str],
    /// What he advertises half of the time.
    pub(super) favourite: u64,
}

/// Away from the ids that a database itself gives to the first affiliates. The sample affiliate is one of them.
pub(crate) static AFFILIATES: [DemoAffiliate; 13] = [
    DemoAffiliate {
        id: sample::AFFILIATE,
        name: "Sample affiliate",
        size: 130,
        joined: DAYS + 1,
        paused: None,
        buyers: 34,
        sources: &["newsletter", "blog", "search"],
        favourite: sample::CAMPAIGN,
    },
    DemoAffiliate {
        id: 101,
        name: "Trail & Summit",
        size: 260,
        joined: DAYS + 1,
        paused: None,
        buyers: 38,
        sources: &["blog", "newsletter", "instagram"],
        favourite: 201,
    },
    DemoAffiliate {
        id: 102,
        name: "Kitchen Notes",
        size: 170,
        joined: DAYS + 1,
        paused: None,
        buyers: 45,
        sources: &["blog", "search", "pinboard"],
        favourite: 202,
    },
    DemoAffiliate {
        id: 103,
        name: "Budget Traveller Weekly",
        size: 110,
        joined: DAYS + 1,
        paused: None,
        buyers: 29,
        sources: &["newsletter", "podcast"],
        favourite: 203,
    },
    DemoAffiliate {
        id: 104,
        name: "Nora Lindqvist",
        size: 80,
        joined: 96,
        paused: None,
        buyers: 61,
        sources: &["instagram", "video", "story"],
        favourite: 205,
    },
    DemoAffiliate {
        id: 105,
        name: "Deals Before Breakfast",
        size: 300,
        joined: DAYS + 1,
        paused: Some(19),
        buyers: 12,
        sources: &["push", "app", "newsletter"],
        favourite: 202,
    },
    DemoAffiliate {
        id: 106,
        name: "The Slow Roast",
        size: 60,
        joined: DAYS + 1,
        paused: None,
        buyers: 52,
        sources: &["podcast", "blog"],
        favourite: 204,
    },
    DemoAffiliate {
        id: 107,
        name: "Verbs & Vowels",
        size: 45,
        joined: 81,
        paused: None,
        buyers: 40,
        sources: &["video", "blog", "forum"],
        favourite: 206,
    },
    DemoAffiliate {
        id: 108,
        name: "Gear Garage",
        size: 90,
        joined: 44,
        paused: None,
        buyers: 33,
        sources: &["video", "search", "forum"],
        favourite: 205,
    },
    DemoAffiliate {
        id: 109,
        name: "Parents on Two Wheels",
        size: 24,
        joined: DAYS + 1,
        paused: None,
        buyers: 48,
        sources: &["blog", "forum"],
        favourite: 201,
    },
    DemoAffiliate {
        id: 110,
        name: "Campus Coupons",
        size: 38,
        joined: 63,
        paused: None,
        buyers: 18,
        sources: &["app", "push"],
        favourite: 206,
    },
    DemoAffiliate {
        id: 111,
        name: "Grandfather’s Toolbox",
        size: 14,
        joined: DAYS + 1,
        paused: None,
        buyers: 56,
        sources: &["newsletter"],
        favourite: 202,
    },
    DemoAffiliate {
        id: 112,
        name: "Mei Tanaka",
        size: 20,
        joined: 12,
        paused: None,
        buyers: 66,
        sources: &["story", "instagram"],
        favourite: 204,
    },
];

/// What is advertised.
#[derive(Debug)]
pub(crate) struct DemoCampaign {
    pub(crate) id: u64,
    pub(crate) name: &'static str,
    pub(crate) event: &'static str,
    pub(crate) currency: &'static str,
    /// In hundredths.
    pub(super) prices: [i64; 3],
    payout: Option<&'static str>,
    /// The status of its conversions before somebody has looked at them, or a buyer has sent something back.
    pub(crate) first_status: ConversionStatus,
    /// Since how many days it runs.
    started: u64,
    season: Season,
}

#[derive(Debug)]
enum Season {
    Always,
    /// So many days ago it ended, with little left since.
    Over(u64),
    /// A sale from so many days ago until so many.
    Sale(u64, u64),
    /// Everybody talks about it at first.
    Launch,
}

pub(crate) static CAMPAIGNS: [DemoCampaign; 7] = [
    DemoCampaign {
        id: sample::CAMPAIGN,
        name: "Sample shop",
        event: "conversion",
        currency: "USD",
        prices: [1900, 4990, 10000],
        payout: None,
        first_status: ConversionStatus::Approved,
        started: DAYS + 1,
        season: Season::Always,
    },
    DemoCampaign {
        id: 201,
        name: "Hiking boots, spring",
        event: "sale",
        currency: "EUR",
        prices: [8990, 12950, 17900],
        payout: Some("8%"),
        first_status: ConversionStatus::Approved,
        started: DAYS + 1,
        season: Season::Over(24),
    },
    DemoCampaign {
        id: 202,
        name: "Chef's knives",
        event: "sale",
        currency: "USD",
        prices: [4900, 7900, 14900],
        payout: Some("12.5%"),
        first_status: ConversionStatus::Pending,
        started: DAYS + 1,
        season: Season::Sale(68, 58),
    },
    DemoCampaign {
        id: 203,
        name: "Travel insurance",
        event: "lead",
        currency: "USD",
        prices: [1200, 1200, 2500],
        payout: Some("5 USD"),
        first_status: ConversionStatus::Pending,
        started: DAYS + 1,
        season: Season::Always,
    },
    DemoCampaign {
        id: 204,
        name: "Coffee subscription",
        event: "sale",
        currency: "GBP",
        prices: [999, 1499, 2399],
        payout: None,
        first_status: ConversionStatus::Approved,
        started: DAYS + 1,
        season: Season::Always,
    },
    DemoCampaign {
        id: 205,
        name: "Headphones, launch",
        event: "sale",
        currency: "EUR",
        prices: [14900, 19900, 24900],
        payout: Some("6%"),
        first_status: ConversionStatus::Pending,
        started: 42,
        season: Season::Launch,
    },
    DemoCampaign {
        id: 206,
        name: "Language course",
        event: "trial",
        currency: "GBP",
        prices: [0, 0, 700],
        payout: Some("3.50 GBP"),
        first_status: ConversionStatus::Approved,
        started: 90,
        season: Season::Sale(15, 9),
    },
];

impl DemoAffiliate {
    /// How many visitors he sends that many days ago, compared with the others.
    pub(super) fn size_at(&self, age: u64) -> u64 {
        match self.paused {
            _ if age > self.joined => 0,
            // His links are still where they were.
            Some(paused) if age <= paused => self.size / 15,
            _ => self.size,
        }
    }

    pub(crate) fn record(&self, today: u64) -> Result<NewAffiliate, ParseError> {
        let created_at = start_of(today.saturating_sub(self.joined))?;
        Ok(NewAffiliate { id: Some(AffiliateId::new(self.id)?), name: self.name.parse()?, created_at })
    }
}

impl DemoCampaign {
    pub(crate) fn payout(&self) -> Result<Option<PayoutRule>, ParseError> {
        self.payout.map(str::parse).transpose()
    }

    /// How much it is advertised that many days ago, of ten as a rule.
    pub(super) fn weight_at(&self, age: u64) -> u64 {
        if age > self.started {
            return 0;
        }
        match self.season {
            Season::Always => 10,
            Season::Over(ended) if age < ended => 2,
            Season::Over(_) => 14,
            Season::Sale(from, to) if (to..=from).contains(&age) => 30,
            Season::Sale(..) => 10,
            Season::Launch if self.started - age < 10 => 36,
            Season::Launch => 16,
        }
    }

    pub(crate) fn record(&self, today: u64, key: &PostbackKey) -> Result<NewCampaign, ParseError> {
        let Self { id, name, started, .. } = *self;
        let created_at = start_of(today.saturating_sub(started))?;
        let mut rules = CampaignRules::default();
        rules.currency = Some(self.currency.parse()?);
        rules.payout = self.payout()?;
        rules.events.insert(self.event.parse()?, Default::default());
        rules.default_status = self.first_status;
        rules.attribution_window = Some(Duration::from_millis(30 * DAY));
        let key = PostbackKeyRecord { id: 1, secret: key.secret(), created_at, expires_at: None };
        Ok(NewCampaign {
            id: Some(CampaignId::new(id)?),
            name: name.parse()?,
            destination: format!("https://shop.example/{id}?ref={{click_id}}").parse()?,
            rules,
            access: PostbackAccess::of_keys(vec![key]),
            created_at,
        })
    }
}
