//! What was counted of an affiliate's records, by quarter-hour and campaign.

use std::collections::BTreeMap;

use tracking_core::{CampaignId, ClickDetails, Conversion, Summary, Timestamp};

/// Of all records that ever were.
#[derive(Default)]
pub(crate) struct Counters {
    all: Summary,
    /// In cells that are small, because there may be nearly as many as clicks.
    clicks: BTreeMap<Cell, Clicks>,
    /// Without clicks.
    conversions: BTreeMap<Cell, Summary>,
}

/// A quarter-hour, counted from 1970, and a campaign.
type Cell = (i32, CampaignId);

#[derive(Clone, Copy, Default)]
struct Clicks {
    all: u32,
    human: u32,
    unique: u32,
}

impl Counters {
    pub(crate) fn all(&self) -> &Summary {
        &self.all
    }

    pub(crate) fn count_click(&mut self, campaign: CampaignId, at: Timestamp, details: &ClickDetails) {
        self.all.count_click(details);
        let clicks = self.clicks.entry((quarter(at), campaign)).or_default();
        clicks.all += 1;
        clicks.human += u32::from(details.is_human());
        clicks.unique += u32::from(details.is_unique());
    }

    pub(crate) fn count_conversion(&mut self, conversion: &Conversion) {
        self.all.count_conversion(conversion);
        self.cell(conversion).count_conversion(conversion);
    }

    pub(crate) fn discount_conversion(&mut self, conversion: &Conversion) {
        self.all.discount_conversion(conversion);
        self.cell(conversion).discount_conversion(conversion);
    }

    fn cell(&mut self, conversion: &Conversion) -> &mut Summary {
        self.conversions.entry((quarter(conversion.created_at), conversion.campaign_id)).or_default()
    }

    /// Hands over what was counted from one time on and before another: the start of a quarter-hour, a campaign, and what was
    /// counted of it then.
    pub(crate) fn visit(&self, from: Timestamp, to: Timestamp, mut visit: impl FnMut(Timestamp, CampaignId, &Summary)) {
        if from >= to {
            return;
        }
        let range = (quarter(from), FIRST)..(quarter(to), FIRST);
        for ((quarter, campaign), clicks) in self.clicks.range(range.clone()) {
            let Clicks { all, human, unique } = *clicks;
            let counts = Summary {
                clicks: all.into(),
                human_clicks: human.into(),
                unique_clicks: unique.into(),
                ..Summary::default()
            };
            visit(start(*quarter), *campaign, &counts);
        }
        for ((quarter, campaign), counts) in self.conversions.range(range) {
            visit(start(*quarter), *campaign, counts);
        }
    }
}

const FIRST: CampaignId = match CampaignId::new(1) {
    Ok(id) => id,
    Err(_) => panic!("1 is an id"), // and this does not compile
};

const QUARTER_HOUR: i64 = 15 * 60 * 1000;

/// Until 9999 there are fewer of them than an `i32` can count.
fn quarter(at: Timestamp) -> i32 {
    i32::try_from(at.as_millis() / QUARTER_HOUR).unwrap_or(i32::MAX)
}

fn start(quarter: i32) -> Timestamp {
    Timestamp::from_millis(i64::from(quarter) * QUARTER_HOUR).unwrap_or(Timestamp::MAX)
}
