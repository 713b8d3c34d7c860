//! The traffic of a demonstration: who sends visitors where, when they come, and what becomes of them.
//!
//! Everything about a visit follows from its number and from when it is, so that the same visit is the same in every run.
//! All names end with `.example`, and all addresses are of networks that are kept for documentation and for tests.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use tracking_core::rust_decimal::Decimal;
use tracking_core::{
    AffiliateId, Amount, CampaignId, CampaignRules, ChangedBy, ClickId, ClickRequest, ConversionStatus, NewAffiliate,
    NewCampaign, ParseError, PayoutRule, PostbackAccess, PostbackKey, PostbackKeyRecord, SubIds, Timestamp,
    TransactionId, UserAgent, Visitor,
};

use crate::sample;

/// How many days it goes back.
pub(crate) const DAYS: u64 = 120;

pub(crate) const MINUTE: u64 = 60 * 1000;
pub(crate) const HOUR: u64 = 60 * MINUTE;
pub(crate) const DAY: u64 = 24 * HOUR;

/// How many visits there are now on a day of the middle of the week.
const VISITS: u64 = 3_000;

/// How many of a thousand of those there were at the beginning.
const FIRST_VISITS: u64 = 90;

/// How much comes in each hour of a day, in UTC, of a thousand in the busiest one.
const HOURS: [u64; 24] = [
    260, 200, 160, 150, 160, 220, 340, 500, 640, 740, 800, 830, 850, 820, 800, 790, 800, 840, 910, 980, 1000, 920, 680,
    430,
];

/// How much comes from Monday to Sunday, of a thousand on the best day.
const WEEKDAYS: [u64; 7] = [950, 1000, 985, 970, 900, 720, 780];

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
    buyers: u64,
    sources: &'static [&'static str],
    /// What he advertises half of the time.
    favourite: u64,
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
    prices: [i64; 3],
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
    fn size_at(&self, age: u64) -> u64 {
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
    fn weight_at(&self, age: u64) -> u64 {
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

/// A click, and what becomes of it.
#[derive(Debug, Clone)]
pub(crate) struct Visit {
    pub(crate) number: u64,
    pub(crate) at: Timestamp,
    pub(crate) affiliate: &'static DemoAffiliate,
    pub(crate) campaign: &'static DemoCampaign,
    /// Of whoever clicks for the second time this is the number of his first visit.
    visitor: u64,
    pub(crate) sale: Option<Sale>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Sale {
    pub(crate) amount: Amount,
    /// Between click and sale, in milliseconds.
    pub(crate) delay: u64,
    /// What somebody decides about it, and how many milliseconds after the sale.
    pub(crate) decision: Option<(Decision, u64)>,
    /// What the advertiser's server does besides reporting it once.
    pub(crate) mishap: Option<Mishap>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Decision {
    pub(crate) status: ConversionStatus,
    pub(crate) by: ChangedBy,
    pub(crate) reason: Option<&'static str>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Mishap {
    /// It has not seen the answer.
    SentTwice,
    /// An order was changed, and is reported again.
    OtherAmount,
    /// At first it names the shop's currency, and not the campaign's.
    WrongCurrency,
    /// At first it writes the amount as people do.
    DecimalComma,
}

/// Most of what is pending is approved, and some of what counts is sent back.
const APPROVED: Decision = Decision { status: ConversionStatus::Approved, by: ChangedBy::Admin, reason: None };
const REFUSED: Decision =
    Decision { status: ConversionStatus::Rejected, by: ChangedBy::Admin, reason: Some("the address does not exist") };
const REFUNDED: Decision = Decision { status: ConversionStatus::Rejected, by: ChangedBy::Advertiser, reason: None };

/// The visits of a day, in order. Days are counted since 1970, in UTC; after today it goes on as it is today.
pub(crate) fn visits_of(day: u64, today: u64) -> Result<Vec<Visit>, ParseError> {
    let age = today.saturating_sub(day);
    let mut chance = Chance::new(day);
    let count = VISITS * growth(age) / 1000 * weekday(day) / 1000 * (930 + chance.below(140)) / 1000;
    let mut times: Vec<u64> = (0..count).map(|_| chance.time_of_day()).collect();
    let is_crawled = age == CRAWLED;
    if is_crawled {
        times.extend((0..CRAWLER_VISITS).map(|_| CRAWLED_FROM + chance.below(CRAWLED_FOR)));
    }
    times.sort_unstable();
    let mut visits: Vec<Visit> = Vec::with_capacity(times.len());
    for (number, time) in (day * 100_000..).zip(times) {
        let at = timestamp(day * DAY + time)?;
        let mut visit = Visit::new(number, at, age)?;
        // Nobody else is awake then.
        if is_crawled && (CRAWLED_FROM..CRAWLED_FROM + CRAWLED_FOR).contains(&time) {
            visit = Visit { visitor: CRAWLER, sale: None, affiliate: &AFFILIATES[2], ..visit };
        } else if !visits.is_empty() && chance.below(100) < REPEATS {
            let first = &visits[visits.len() - 1 - chance.below(visits.len().min(200) as u64) as usize];
            let Visit { affiliate, campaign, visitor, .. } = *first;
            visit = Visit { affiliate, campaign, visitor, sale: None, ..visit };
        }
        visits.push(visit);
    }
    Ok(visits)
}

/// How many of a hundred have clicked before.
const REPEATS: u64 = 9;

/// How many days ago a crawler went through all the links of an affiliate, when it came, and how long it took.
const CRAWLED: u64 = 16;
const CRAWLED_FROM: u64 = 3 * HOUR;
const CRAWLED_FOR: u64 = 25 * MINUTE;
const CRAWLER_VISITS: u64 = 1_100;
/// Who it is.
const CRAWLER: u64 = u64::MAX;

impl Visit {
    /// One of the last days, of however many there are.
    pub(crate) fn of_the_past(number: u64, now: Timestamp) -> Result<Self, ParseError> {
        let mut chance = Chance::new(number);
        let (now, today) = (now.as_millis().unsigned_abs(), day_of(now));
        loop {
            let age = chance.below(DAYS);
            if chance.below(1000 * 1000) >= growth(age) * weekday(today.saturating_sub(age)) {
                continue;
            }
            let at = today.saturating_sub(age) * DAY + chance.time_of_day();
            if at <= now {
                let visit = Self::new(number, timestamp(at)?, age)?;
                return Ok(match chance.below(100) {
                    0..REPEATS => Self { visitor: (number - 1) & !PROGRAM, sale: None, ..visit },
                    _ => visit,
                });
            }
        }
    }

    fn new(number: u64, at: Timestamp, age: u64) -> Result<Self, ParseError> {
        let mut chance = Chance::new(!number);
        let affiliate = chance.one_of(&AFFILIATES, |affiliate| affiliate.size_at(age));
        let is_favourite = |campaign: &DemoCampaign| campaign.id == affiliate.favourite;
        let weight = |campaign: &DemoCampaign| match campaign.weight_at(age) {
            // The sample shop is advertised by the sample affiliate only.
            _ if campaign.id == sample::CAMPAIGN && !is_favourite(campaign) => 0,
            weight if is_favourite(campaign) => 6 * weight,
            weight => weight,
        };
        let campaign = chance.one_of(&CAMPAIGNS, weight);
        let visitor = if chance.below(100) < CRAWLER_LIKE { number | PROGRAM } else { number & !PROGRAM };
        let buys = chance.below(1000) < affiliate.buyers && visitor & PROGRAM == 0;
        let sale = buys.then(|| Sale::new(campaign, &mut chance)).transpose()?;
        Ok(Self { number, at, affiliate, campaign, visitor, sale })
    }

    pub(crate) fn click_id(&self) -> Result<ClickId, ParseError> {
        click_id(self.number)
    }

    pub(crate) fn transaction_id(&self) -> Result<TransactionId, ParseError> {
        format!("demo-order-{:06}", self.number).parse()
    }

    /// Whether the visitor has been there before, as he looks to those who remember him.
    pub(crate) fn is_repeat(&self) -> bool {
        self.visitor & !PROGRAM != self.number & !PROGRAM
    }

    pub(crate) fn request(&self) -> Result<ClickRequest, ParseError> {
        let (affiliate_id, campaign_id) = (AffiliateId::new(self.affiliate.id)?, CampaignId::new(self.campaign.id)?);
        let mut chance = Chance::new(self.number.rotate_left(32));
        let mut request = ClickRequest::new(affiliate_id, campaign_id)
            .click_id(self.click_id()?)
            .sub_ids(self.sub_ids(&mut chance)?)
            .visitor(self.visitor());
        if chance.below(10) > 0 {
            let sources = self.affiliate.sources;
            // The first one brings the most.
            let source = chance.rank(sources.len() as u64);
            request = request.source(sources[source as usize].parse()?);
        }
        Ok(request)
    }

    /// Where the link stood: on few pages again and again, and on many once.
    fn sub_ids(&self, chance: &mut Chance) -> Result<SubIds, ParseError> {
        const PLACES: [&str; 6] = ["text", "banner-top", "footer", "box", "story", "comparison"];
        let place = PLACES[chance.rank(6) as usize].parse()?;
        let page = format!("article-{:03}", 1 + chance.rank(400)).parse()?;
        let test = (chance.below(4) == 0).then(|| ["variant-a", "variant-b"][chance.below(2) as usize].parse());
        Ok(SubIds::new([Some(place), Some(page), test.transpose()?, None, None]))
    }

    fn visitor(&self) -> Visitor {
        let mut chance = Chance::new(self.visitor ^ 0x5bd1_e995);
        let is_program = self.visitor & PROGRAM != 0;
        // 198.18.0.0/15 and 2001:db8::/32 are nobody's.
        let address = chance.below(1 << 17) as u32;
        let ip = match chance.below(8) {
            0 if !is_program => IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, address as u16, 0, 0, 0, 0, 1)),
            _ => IpAddr::V4(Ipv4Addr::from(u32::from(Ipv4Addr::new(198, 18, 0, 0)) + address)),
        };
        let user_agents: &[&str] = match self.visitor {
            CRAWLER => &PROGRAMS[..1],
            _ if is_program => &PROGRAMS,
            _ => &BROWSERS,
        };
        let user_agent = UserAgent::new(user_agents[chance.rank(user_agents.len() as u64) as usize]);
        Visitor { ip: Some(ip), user_agent, is_prefetch: false }
    }
}

pub(crate) fn click_id(number: u64) -> Result<ClickId, ParseError> {
    format!("demo-{number:06}").parse()
}

/// Stands in the number of a visitor that is a program.
const PROGRAM: u64 = 1 << 63;

/// How many of a hundred visitors are programs, besides those that come in bursts.
const CRAWLER_LIKE: u64 = 5;

const PROGRAMS: [&str; 4] = [
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)",
    "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)",
    "python-requests/2.32.3",
];

const BROWSERS: [&str; 6] = [
    "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Mobile Safari/537.36",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.1 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.1 Safari/605.1.15",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:145.0) Gecko/20100101 Firefox/145.0",
    "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0",
];

impl Sale {
    fn new(campaign: &DemoCampaign, chance: &mut Chance) -> Result<Self, ParseError> {
        let amount = Amount::new(Decimal::new(campaign.prices[chance.below(3) as usize], 2))?;
        // Most buy within the hour, and some sleep on it.
        let delay = match chance.below(10) {
            0..=6 => 2 * MINUTE + chance.below(50 * MINUTE),
            7..=8 => HOUR + chance.below(9 * HOUR),
            _ => DAY + chance.below(4 * DAY),
        };
        let decision = match (campaign.first_status, chance.below(16)) {
            (ConversionStatus::Pending, 0..=1) => Some(REFUSED),
            (ConversionStatus::Pending, _) => Some(APPROVED),
            (_, 0) => Some(REFUNDED),
            _ => None,
        };
        let decision = decision.map(|decision| (decision, DAY + chance.below(8 * DAY)));
        let mishap = match chance.below(200) {
            0..=5 => Some(Mishap::SentTwice),
            6 => Some(Mishap::OtherAmount),
            7..=10 if campaign.currency == "GBP" => Some(Mishap::WrongCurrency),
            7..=10 if campaign.currency == "EUR" => Some(Mishap::DecimalComma),
            _ => None,
        };
        Ok(Self { amount, delay, decision, mishap })
    }
}

/// How much there is on a day, of a thousand now.
fn growth(age: u64) -> u64 {
    let share = age.min(DAYS) as f64 / DAYS as f64;
    (1000.0 * (FIRST_VISITS as f64 / 1000.0).powf(share)) as u64
}

fn weekday(day: u64) -> u64 {
    // The first of January 1970 was a Thursday.
    WEEKDAYS[((day + 3) % 7) as usize]
}

pub(crate) fn day_of(time: Timestamp) -> u64 {
    time.as_millis().unsigned_abs() / DAY
}

pub(crate) fn start_of(day: u64) -> Result<Timestamp, ParseError> {
    timestamp(day * DAY)
}

fn timestamp(millis: u64) -> Result<Timestamp, ParseError> {
    Timestamp::from_millis(i64::try_from(millis).unwrap_or(i64::MAX))
}

/// Numbers that look like chance and are none: [SplitMix64](https://prng.di.unimi.it/splitmix64.c).
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    /// One of so many, of which each comes less often than the one before it.
    fn rank(&mut self, count: u64) -> u64 {
        let share = self.below(1 << 32) as f64 / (1_u64 << 32) as f64;
        // Evenly on a logarithmic scale.
        ((count as f64 + 1.0).powf(share) as u64 - 1).min(count - 1)
    }

    fn one_of<T>(&mut self, all: &'static [T], weight: impl Fn(&T) -> u64) -> &'static T {
        let total: u64 = all.iter().map(&weight).sum();
        let mut left = self.below(total.max(1));
        for one in all {
            match left.checked_sub(weight(one)) {
                Some(rest) => left = rest,
                None => return one,
            }
        }
        &all[0]
    }

    /// Rather in the evening than at night.
    fn time_of_day(&mut self) -> u64 {
        loop {
            let time = self.below(DAY);
            if self.below(1000) < HOURS[(time / HOUR) as usize] {
                return time;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_grows_and_has_its_days_and_hours() {
        let today = day_of("2026-06-18T00:00:00Z".parse().unwrap());
        let visits = |day: u64| visits_of(day, today).unwrap();
        let week = |start: u64| (start..start + 7).map(|day| visits(day).len()).sum::<usize>();
        assert!(week(today - DAYS) * 5 < week(today - 7), "{} {}", week(today - DAYS), week(today - 7));
        let days = |last: u64| [0, 7, 14, 21].map(|weeks| visits(last - weeks).len()).iter().sum::<usize>();
        let (wednesdays, sundays) = (days(today - 1), days(today - 4));
        assert!(wednesdays > sundays * 6 / 5, "{wednesdays} {sundays}");
        let in_hour = |hour: u64| {
            let is_in = |visit: &&Visit| visit.at.as_millis().unsigned_abs() % DAY / HOUR == hour;
            visits(today - 1).iter().filter(is_in).count()
        };
        assert!(in_hour(20) > 3 * in_hour(3), "{} {}", in_hour(20), in_hour(3));
        assert!(visits(today - 1).is_sorted_by_key(|visit| visit.at));
    }

    #[test]
    fn a_campaign_starts_and_an_affiliate_rests() {
        let today = day_of("2026-06-18T00:00:00Z".parse().unwrap());
        let count = |age: u64, is_wanted: fn(&Visit) -> bool| {
            let visits = visits_of(today - age, today).unwrap();
            visits.iter().filter(|visit| is_wanted(visit)).count() * 1000 / visits.len()
        };
        let launch = |visit: &Visit| visit.campaign.id == 205;
        assert_eq!(count(43, launch), 0);
        assert!(count(40, launch) > count(20, launch) * 5 / 4, "{} {}", count(40, launch), count(20, launch));
        assert!(count(20, launch) > 100, "{}", count(20, launch));
        let rests = |visit: &Visit| visit.affiliate.id == 105;
        assert!(count(25, rests) > 6 * count(14, rests), "{} {}", count(25, rests), count(14, rests));
    }

    #[test]
    fn a_crawler_comes_in_a_burst_and_buys_nothing() {
        let today = day_of("2026-06-18T00:00:00Z".parse().unwrap());
        let visits = visits_of(today - CRAWLED, today).unwrap();
        let crawled: Vec<&Visit> = visits.iter().filter(|visit| visit.visitor == CRAWLER).collect();
        assert!(crawled.len() as u64 >= CRAWLER_VISITS, "{}", crawled.len());
        assert!(crawled.iter().all(|visit| visit.sale.is_none() && visit.visitor().bot().is_some()));
        let is_bot = |visit: &&Visit| visit.visitor().bot().is_some();
        assert!(visits_of(today - 2, today).unwrap().iter().filter(is_bot).all(|visit| visit.sale.is_none()));
    }

    #[test]
    fn few_are_named_often_and_many_seldom() {
        let mut chance = Chance::new(7);
        let mut counts = [0; 400];
        (0..20_000).for_each(|_| counts[chance.rank(400) as usize] += 1);
        assert!(counts[0] > 1_500, "{}", counts[0]);
        assert!(counts[300..].iter().all(|count| *count < 60), "{:?}", &counts[300..]);
        assert!(counts[300..].iter().filter(|count| **count > 0).count() > 50);
    }
}
