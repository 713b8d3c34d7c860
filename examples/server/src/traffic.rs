//! The traffic of a demonstration: who sends visitors where, when they come, and what becomes of them.
//!
//! Everything about a visit follows from its number and from when it is, so that the same visit is the same in every run.
//! All names end with `.example`, and all addresses are of networks that are kept for documentation and for tests.

mod business;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use tracking_core::rust_decimal::Decimal;
use tracking_core::{
    AffiliateId, Amount, CampaignId, ChangedBy, ClickId, ClickRequest, ConversionStatus, ParseError, SubIds, Timestamp,
    TransactionId, UserAgent, Visitor,
};

pub(crate) use self::business::{AFFILIATES, CAMPAIGNS, DemoAffiliate, DemoCampaign};
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
