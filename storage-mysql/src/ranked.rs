//! The best affiliates, from counters.

use std::collections::BTreeMap;

use sqlx::{Error, MySqlConnection, Row, raw_sql};
use tokio::time::Instant;
use tracking_core::{
    AffiliateId, CampaignId, ConversionStatus, Currency, Ranked, Ranking, Scope, StoreError, Summary, Timestamp,
};

use crate::attempt::{store_error, within};
use crate::counters::{Change, Series};
use crate::reports::{AT_ONCE, Counts, Question};
use crate::rows;
use crate::spans::Node;
use crate::sql::{Sql, TablePrefix};
use crate::store::Database;

/// What is counted but for money; conversions in the order of [`ConversionStatus::ALL`].
const COUNTS: [&str; 6] =
    ["clicks", "human_clicks", "unique_clicks", "pending_conversions", "approved_conversions", "rejected_conversions"];

impl Question {
    /// Writes the statement that sums up, for each affiliate, what these counters count but for money: with a row for each
    /// number of times that they are to be added.
    fn write_counts(self, sql: &mut Sql, prefix: &TablePrefix, nodes: &BTreeMap<Node, i64>) {
        let mut groups: BTreeMap<(i64, &'static str), BTreeMap<Series, Vec<i64>>> = BTreeMap::new();
        for (node, times) in nodes {
            for (series, starts) in self.lists([node].into_iter()) {
                let group = groups.entry((*times, series.column_of_affiliate())).or_default();
                group.entry(series).or_default().extend(starts);
            }
        }
        sql.separated(" UNION ALL ", &groups, |sql, ((times, column), lists)| {
            sql.push("SELECT ").signed(*times).push(" AS times, ").push(column).push(" AS affiliate");
            for column in COUNTS {
                sql.push(", CAST(SUM(").push(column).push(") AS SIGNED) AS ").push(column);
            }
            self.write_from(sql, prefix, lists.iter().map(|(series, starts)| (*series, &starts[..])), &[]);
            sql.push(" GROUP BY ").push(column);
        });
    }
}

fn summary([clicks, human_clicks, unique_clicks, conversions @ ..]: [i64; COUNTS.len()]) -> Result<Summary, Error> {
    let whole = |number: i64| u64::try_from(number).map_err(|error| rows::decode("figures", error));
    let mut summary = Summary {
        clicks: whole(clicks)?,
        human_clicks: whole(human_clicks)?,
        unique_clicks: whole(unique_clicks)?,
        ..Summary::default()
    };
    for (status, conversions) in ConversionStatus::ALL.into_iter().zip(conversions) {
        summary.tally_mut(status).conversions = whole(conversions)?;
    }
    Ok(summary)
}

impl Database {
    /// In a snapshot: first the counts, of which the order is made, of all affiliates; then the sums of all, and at last
    /// everything of those who are wanted. Sums of money are most of what it takes to read counters.
    pub(crate) async fn best_affiliates(
        &self,
        campaign: Option<CampaignId>,
        (from, to): (Timestamp, Timestamp),
        ranking: &Ranking,
    ) -> Result<Ranked<AffiliateId>, StoreError> {
        if from >= to {
            return Ok(Ranked::of(Vec::new(), ranking));
        }
        let deadline = Instant::now() + self.timeout;
        let ranked = async {
            let mut lease = self.snapshot(deadline).await?;
            let ranked = within(deadline, async {
                let ranked = self.ranked(lease.connection(), campaign, (from, to), ranking).await?;
                raw_sql("COMMIT").execute(lease.connection()).await?;
                Ok(ranked)
            });
            let ranked = ranked.await?;
            lease.give_back();
            Ok(ranked)
        };
        let ranked = ranked.await.map_err(|error| store_error("total", error))?;
        let max = ranking.max_groups;
        if ranked.count > max { Err(StoreError::TooManyGroups { max }) } else { Ok(ranked) }
    }

    async fn ranked(
        &self,
        connection: &mut MySqlConnection,
        campaign: Option<CampaignId>,
        (from, to): (Timestamp, Timestamp),
        ranking: &Ranking,
    ) -> Result<Ranked<AffiliateId>, Error> {
        let question = Question::by_affiliate(campaign);
        let nodes = question.cover(from, to);
        let mut sql = Sql::default();
        question.write_counts(&mut sql, &self.prefix, &nodes);
        let mut counts: BTreeMap<u64, [i64; COUNTS.len()]> = BTreeMap::new();
        for row in raw_sql(sql).fetch_all(&mut *connection).await? {
            let times: i64 = row.try_get(0)?;
            for (index, sum) in counts.entry(rows::number(&row, 1)?).or_default().iter_mut().enumerate() {
                *sum += row.try_get::<Option<i64>, _>(2 + index)?.unwrap_or_default() * times;
            }
        }
        let mut all = Vec::new();
        for (affiliate, counts) in counts {
            let summary = summary(counts)?;
            if !summary.is_empty() {
                all.push((affiliate, summary));
            }
        }
        let count = all.len();
        let best: Vec<u64> = ranking.pick(all).into_iter().map(|(affiliate, _)| affiliate).collect();

        let of_all = Question::totals(campaign.map_or(Scope::ALL, Scope::from));
        let mut total = Counts::default();
        let nodes_of_all = of_all.cover(from, to);
        self.count_on(connection, of_all, &nodes_of_all, &[], |_, (currency, change), times| {
            total.add(currency, change, *times);
        })
        .await?;

        // Of a few they are looked up one by one.
        let named = if best.len() * nodes.len() <= AT_ONCE { &best[..] } else { &[] };
        let mut groups: BTreeMap<u64, Counts> = best.iter().map(|affiliate| (*affiliate, Counts::default())).collect();
        if !best.is_empty() {
            let add = |(affiliate, _): (u64, u64), (currency, change): (Option<Currency>, &Change), times: &i64| {
                if let Some(counts) = groups.get_mut(&affiliate) {
                    counts.add(currency, change, *times);
                }
            };
            self.count_on(connection, question, &nodes, named, add).await?;
        }
        let groups = best.into_iter().map(|affiliate| {
            let summary = groups.remove(&affiliate).unwrap_or_default().into_summary()?;
            Ok((rows::parse("affiliate", AffiliateId::new(affiliate))?, summary))
        });
        Ok(Ranked { groups: groups.collect::<Result<_, Error>>()?, count, total: total.into_summary()? })
    }
}
