//! Reports.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::try_join_all;

use crate::period::quarter_of;
use crate::{
    AffiliateId, Attribute, Breakdown, CampaignId, Grouping, Name, Period, Ranked, Ranking, Report, ReportError,
    ReportKey, ReportRequest, ReportRow, Scope, StoreError, Summary, Timestamp, Tracker,
};

/// How many days a report by hour may be of.
const MAX_DAYS_BY_HOUR: u64 = 92;

/// How many rows a report may have.
const MAX_ROWS: usize = 20_000;

/// How many records may be looked at for a report.
const MAX_RECORDS: u64 = 1_000_000;

/// How long that may take.
const TIME_LIMIT: Duration = Duration::from_secs(10);

/// How many names the store is asked for at once, of those that are not remembered.
const NAMES_AT_ONCE: usize = 128;

impl Tracker {
    /// What was counted in a period. Its total is the same whatever it is grouped by, but for records that were
    /// [purged](Self::purge), and for clicks, which have no event.
    ///
    /// A grouping [for which there are no counters](Grouping::is_scanned) is bounded: it may look at a million records, for ten
    /// seconds, and there is one such report at a time, for which others wait 25 seconds at the most. Those that
    /// [affiliates ask for](ReportRequest::asked_by()) go one after the other, so that all of them together are one among those who
    /// wait; and an affiliate may have asked for two at a time.
    ///
    /// ```
    /// use tracking_core::{Grouping, Period, Preset, ReportRequest, Secret, TimeZone, Tracker};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let tracker = Tracker::new(storage_memory::MemoryStore::new(), Secret::random());
    /// let period = Period::preset(Preset::Last7Days, "Asia/Kathmandu".parse()?, tracker.now());
    /// let report = tracker.report(&ReportRequest::new(period, Grouping::Day)).await?;
    /// assert_eq!(report.rows.len(), 7);
    /// assert_eq!(report.total.clicks, 0);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// If there is no such affiliate or campaign, if the report would be too large, take too long, or has to wait for too long, or
    /// if the store fails.
    pub async fn report(&self, request: &ReportRequest) -> Result<Report, ReportError> {
        let report = match self.ranked(request).await? {
            Some(report) => report,
            None => self.all_rows(request).await?.cut(request),
        };
        self.named(report).await
    }

    /// The same with all rows, in their order, whatever limit and offset are: twenty thousand at the most.
    ///
    /// # Errors
    /// As those of [`report`](Self::report).
    pub async fn whole_report(&self, request: &ReportRequest) -> Result<Report, ReportError> {
        let report = self.all_rows(request).await?;
        self.named(report).await
    }

    async fn all_rows(&self, request: &ReportRequest) -> Result<Report, ReportError> {
        self.check(request.scope).await?;
        Ok(Report::whole(request, self.rows(request).await?))
    }

    /// The report, if the store can tell those rows that are asked for without summing up the money of all.
    async fn ranked(&self, request: &ReportRequest) -> Result<Option<Report>, ReportError> {
        let (scope, period, sort) = (request.scope, &request.period, request.order());
        if request.grouping != Grouping::Affiliate || scope.affiliate_id.is_some() || !sort.is_by_counts() {
            return Ok(None);
        }
        self.check(scope).await?;
        let offset = usize::try_from(request.offset).unwrap_or(usize::MAX);
        let ranking = Ranking { sort, offset, limit: request.limit.as_usize(), max_groups: MAX_ROWS };
        let store = &self.recorder.store;
        let ranked = store.best_affiliates(scope.campaign_id, period.start(), period.end(), &ranking).await;
        let Ranked { groups, count, total } = told(ranked)?;
        let rows = of_groups(groups, ReportKey::Affiliate).map(row).collect();
        Ok(Some(Report { rows, row_count: count as u64, total, is_scanned: false }))
    }

    async fn named(&self, mut report: Report) -> Result<Report, ReportError> {
        for rows in report.rows.chunks_mut(NAMES_AT_ONCE) {
            let names = try_join_all(rows.iter().map(|row| self.name(&row.key))).await?;
            for (row, name) in rows.iter_mut().zip(names) {
                row.name = name;
            }
        }
        Ok(report)
    }

    /// What was counted in a period in all.
    ///
    /// # Errors
    /// If there is no such affiliate or campaign, or if the store fails.
    pub async fn figures(&self, scope: impl Into<Scope>, period: &Period) -> Result<Summary, StoreError> {
        self.figures_between(scope, period.start(), period.end()).await
    }

    /// What was counted from one time on and before another one, both rounded down to quarters of an hour, by which it is
    /// counted. Nothing if the first is not before the second then.
    ///
    /// # Errors
    /// As those of [`figures`](Self::figures).
    pub async fn figures_between(
        &self,
        scope: impl Into<Scope>,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Summary, StoreError> {
        let scope = scope.into();
        self.check(scope).await?;
        let (from, to) = (quarter_of(from), quarter_of(to));
        if from >= to {
            return Ok(Summary::default());
        }
        let totals = self.recorder.store.totals(scope, &[from, to]).await?;
        Ok(totals.into_iter().next().unwrap_or_default())
    }

    async fn rows(&self, request: &ReportRequest) -> Result<Vec<ReportRow>, ReportError> {
        let (store, scope, period) = (&self.recorder.store, request.scope, &request.period);
        let (from, to) = (period.start(), period.end());
        let of_one = |key| async move {
            let figures = self.figures(scope, period).await?;
            let row = (!figures.is_empty()).then_some((key, figures));
            Ok::<_, StoreError>(row.into_iter().collect::<Vec<_>>())
        };
        let rows = match (request.grouping, scope) {
            (Grouping::Day, _) => {
                let dates: Vec<_> = period.dates().collect();
                let starts = dates.iter().map(|date| period.zone().start_of(*date));
                let totals = store.totals(scope, &starts.chain([to]).collect::<Vec<_>>()).await?;
                dates.into_iter().map(ReportKey::Day).zip(totals).collect()
            }
            (Grouping::Hour, _) if period.days() > MAX_DAYS_BY_HOUR => {
                return Err(ReportError::TooManyHours { max: MAX_DAYS_BY_HOUR });
            }
            (Grouping::Hour, _) => {
                let mut hours: Vec<Timestamp> = period.hours();
                hours.push(to);
                let totals = store.totals(scope, &hours).await?;
                hours.into_iter().map(ReportKey::Hour).zip(totals).collect()
            }
            (Grouping::Affiliate, Scope { affiliate_id: Some(id), .. }) => of_one(ReportKey::Affiliate(id)).await?,
            (Grouping::Campaign, Scope { campaign_id: Some(id), .. }) => of_one(ReportKey::Campaign(id)).await?,
            (Grouping::Affiliate, _) => {
                keyed(store.totals_by_affiliate(scope.campaign_id, from, to, MAX_ROWS).await, ReportKey::Affiliate)?
            }
            (Grouping::Campaign, _) => {
                keyed(store.totals_by_campaign(scope.affiliate_id, from, to, MAX_ROWS).await, ReportKey::Campaign)?
            }
            (Grouping::By(by), _) => {
                let breakdown = Breakdown { by, scope, from, to, max_groups: MAX_ROWS, time_limit: TIME_LIMIT };
                keyed(self.break_down(&breakdown, request.asked_by).await?, ReportKey::Mark)?
            }
        };
        Ok(rows.into_iter().map(row).collect())
    }

    /// Has the store look at each record, unless there are too many, or others are doing the same.
    async fn break_down(
        &self,
        breakdown: &Breakdown,
        asked_by: Option<AffiliateId>,
    ) -> Result<Result<Vec<(Option<String>, Summary)>, StoreError>, ReportError> {
        let store = &self.recorder.store;
        let counted = store.totals(breakdown.scope, &[breakdown.from, breakdown.to]).await?;
        // No click has an event, and none is looked at for one.
        let clicks = |all: &Summary| if breakdown.by == Attribute::Event { 0 } else { all.clicks };
        let records = counted.iter().map(|all| clicks(all) + all.conversions() + all.rejected.conversions).sum();
        if records > MAX_RECORDS {
            return Err(ReportError::TooManyRecords { records, max: MAX_RECORDS });
        }
        let turn = self.scans.turn(asked_by).await.ok_or(ReportError::Busy)?;
        // Seen through even if whoever asked has gone: a database does not stop because nobody listens.
        let (store, breakdown) = (Arc::clone(store), *breakdown);
        let done = tokio::spawn(async move {
            let _turn = turn;
            store.breakdown(&breakdown).await
        });
        Ok(done.await.unwrap_or_else(|broken_off| Err(StoreError::unavailable("break down records", broken_off))))
    }

    /// A report of what is not there is an error, and not an empty one.
    async fn check(&self, scope: Scope) -> Result<(), StoreError> {
        if let Some(id) = scope.affiliate_id {
            self.affiliates.current(id).await?;
        }
        if let Some(id) = scope.campaign_id {
            self.campaigns.current(id).await?;
        }
        Ok(())
    }

    async fn name(&self, key: &ReportKey) -> Result<Option<Name>, StoreError> {
        match *key {
            ReportKey::Affiliate(id) => self.affiliate_name(id).await.map(Some),
            ReportKey::Campaign(id) => self.campaign_name(id).await.map(Some),
            ReportKey::Day(_) | ReportKey::Hour(_) | ReportKey::Mark(_) => Ok(None),
        }
    }

    /// The name of an affiliate, as it was at most ten seconds ago.
    ///
    /// # Errors
    /// If there is none, or if the store fails.
    pub async fn affiliate_name(&self, id: AffiliateId) -> Result<Name, StoreError> {
        Ok(self.affiliates.current(id).await?.name.clone())
    }

    /// The name of a campaign, as it was at most ten seconds ago.
    ///
    /// # Errors
    /// If there is none, or if the store fails.
    pub async fn campaign_name(&self, id: CampaignId) -> Result<Name, StoreError> {
        Ok(self.campaigns.current(id).await?.name.clone())
    }
}

fn row((key, figures): (ReportKey, Summary)) -> ReportRow {
    ReportRow { key, name: None, figures }
}

/// Rows of these groups.
fn keyed<K>(
    groups: Result<Vec<(K, Summary)>, StoreError>,
    key: impl Fn(K) -> ReportKey,
) -> Result<Vec<(ReportKey, Summary)>, ReportError> {
    Ok(of_groups(told(groups)?, key).collect())
}

fn of_groups<K>(groups: Vec<(K, Summary)>, key: impl Fn(K) -> ReportKey) -> impl Iterator<Item = (ReportKey, Summary)> {
    groups.into_iter().map(move |(of, figures)| (key(of), figures))
}

/// That there are too many groups is no failure of the store.
fn told<T>(groups: Result<T, StoreError>) -> Result<T, ReportError> {
    groups.map_err(|error| match error {
        StoreError::TooManyGroups { max } => ReportError::TooManyRows { max },
        StoreError::TooSlow { .. } => ReportError::TooSlow { limit: TIME_LIMIT },
        error => error.into(),
    })
}
