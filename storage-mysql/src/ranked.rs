//! The best affiliates, from counters.

use std::collections::BTreeMap;

use sqlx::{Error, MySqlConnection, Row, raw_sql};
use tokio::time::Instant;
use tracking_core::{AffiliateId, Ranked, Ranking, Scope, SortBy, StoreError, Timestamp};

use crate::attempt::{store_error, within};
use crate::counters::{COUNTS, read_counts};
use crate::reports::{AT_ONCE, Counts, LISTED, Question, summaries};
use crate::rows;
use crate::spans::Node;
use crate::sql::{Sql, TablePrefix};
use crate::store::Database;

impl Question {
    /// Writes the statement that sums up, for each affiliate, what these counters of one period count but for money, as far as it
    /// makes a difference to this order, or to whether there is anything: with a row for each number of times that they are to be
    /// added.
    fn write_counts(self, sql: &mut Sql, prefix: &TablePrefix, nodes: &BTreeMap<Node, i64>, by: SortBy) {
        let makes_none = |column| match column {
            "human_clicks" => by != SortBy::HumanClicks,
            "unique_clicks" => by != SortBy::UniqueClicks,
            _ => false,
        };
        let mut groups: BTreeMap<i64, Vec<Node>> = BTreeMap::new();
        nodes.iter().for_each(|(node, times)| groups.entry(*times).or_default().push(*node));
        sql.separated(" UNION ALL ", &groups, |sql, (times, nodes)| {
            sql.push("SELECT ").signed(*times).push(", owner");
            for column in COUNTS {
                match makes_none(column) {
                    true => sql.push(", NULL"),
                    false => sql.push(", CAST(SUM(").push(column).push(") AS SIGNED)"),
                };
            }
            let lists = self.lists(nodes.iter());
            self.write_from(sql, prefix, lists.iter().map(|(series, starts)| (*series, &starts[..])), &[]);
            sql.push(" GROUP BY owner");
        });
    }
}

impl Database {
    /// In a snapshot: first the counts, of which the order is made, of all affiliates; then the sums of all, and at last
    /// everything of those who are wanted. Sums of money are most of what it takes to read counters.
    pub(crate) async fn best_affiliates(
        &self,
        period: (Timestamp, Timestamp),
        ranking: &Ranking,
    ) -> Result<Ranked<AffiliateId>, StoreError> {
        let nodes = Question::OF_EACH_AFFILIATE.cover(period.0, period.1);
        if nodes.is_empty() {
            return Ok(Ranked::of(Vec::new(), ranking));
        }
        let deadline = Instant::now() + self.timeout;
        let ranked = async {
            let mut lease = self.snapshot(deadline).await?;
            let ranked = within(deadline, async {
                let ranked = self.ranked(lease.connection(), &nodes, period, ranking).await?;
                raw_sql("COMMIT").execute(lease.connection()).await?;
                Ok(ranked)
            });
            let ranked = ranked.await?;
            lease.give_back();
            Ok(ranked)
        };
        let ranked = ranked.await.map_err(|error| store_error("total", error))?;
        ranked.ok_or(StoreError::TooManyGroups { max: ranking.max_groups })
    }

    /// `None` if there are too many.
    async fn ranked(
        &self,
        connection: &mut MySqlConnection,
        nodes: &BTreeMap<Node, i64>,
        (from, to): (Timestamp, Timestamp),
        ranking: &Ranking,
    ) -> Result<Option<Ranked<AffiliateId>>, Error> {
        let mut sql = Sql::default();
        Question::OF_EACH_AFFILIATE.write_counts(&mut sql, &self.prefix, nodes, ranking.sort.by);
        let mut groups: BTreeMap<u64, Counts> = BTreeMap::new();
        for row in raw_sql(sql).fetch_all(&mut *connection).await? {
            let (times, affiliate, counts) = (row.try_get(0)?, rows::number(&row, 1)?, read_counts(&row, 2)?);
            groups.entry(affiliate).or_default().add(None, &counts, times);
        }
        let all = summaries(groups)?;
        let count = all.len();
        if count > ranking.max_groups {
            return Ok(None);
        }
        let best: Vec<u64> = ranking.pick(all).into_iter().map(|(affiliate, _)| affiliate).collect();

        let of_all = Question::totals(Scope::ALL);
        let mut total = Counts::default();
        self.count_on(connection, of_all, &of_all.cover(from, to), &[], |_, (currency, change), times| {
            total.add(currency, change, *times);
        })
        .await?;

        let mut found: BTreeMap<u64, Counts> = BTreeMap::new();
        if !best.is_empty() {
            // A few are looked up one by one.
            let are_few = best.len() <= LISTED && best.len() * nodes.len() <= AT_ONCE;
            let named = if are_few { &best[..] } else { &[] };
            self.count_on(
                connection,
                Question::OF_EACH_AFFILIATE,
                nodes,
                named,
                |(affiliate, _), (currency, change), times| {
                    found.entry(affiliate).or_default().add(currency, change, *times);
                },
            )
            .await?;
        }
        let groups = best.into_iter().map(|affiliate| {
            let summary = found.remove(&affiliate).unwrap_or_default().into_summary()?;
            Ok((rows::parse("affiliate", AffiliateId::new(affiliate))?, summary))
        });
        Ok(Some(Ranked { groups: groups.collect::<Result<_, Error>>()?, count, total: total.into_summary()? }))
    }
}
