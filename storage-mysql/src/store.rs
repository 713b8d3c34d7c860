use std::cmp::Reverse;
use std::sync::Arc;
use std::time::Duration;

use sqlx::mysql::{MySqlConnectOptions, MySqlPoolOptions};
use sqlx::{ConnectOptions, Error, MySqlConnection, MySqlPool, raw_sql};
use tokio::sync::OnceCell;
use tokio::time::Instant;
use tracking_core::{
    Affiliate, AffiliateId, BatchLimits, Batcher, Breakdown, Campaign, CampaignId, Click, ClickFilter, ClickId,
    Conversion, ConversionFilter, ConversionId, EventName, NewAffiliate, NewCampaign, NewClick, NewConversion, Page,
    PageRequest, Postback, PostbackFilter, PurgeRequest, Purged, Ranked, Ranking, Recorded, Scope, StatusChange, Store,
    StoreError, Summary, Timestamp, TransactionId, async_trait,
};

use crate::attempt::{Failure, Lease, Reader, Sending, causal_reads, store_error, within};
use crate::clicks::Clicks;
use crate::conversions::Conversions;
use crate::directory::KnownIds;
use crate::gathered::Gathered;
use crate::inserts::{Inserts, Kind};
use crate::lookups::{FindAffiliates, FindCampaigns, FindClicks, SeenClicks, Sought};
use crate::migrate::{self, MigrateError, Migrated};
use crate::numbers::{Sequence, slots};
use crate::postbacks::LogSize;
use crate::sql::{LockWait, SHORT_LOCK_WAIT, Sql, TablePrefix};
use crate::updates;

/// A [`Store`] on MySQL or MariaDB. See [the crate's documentation](crate) for what it promises.
///
/// Clones share everything. It works within the Tokio runtime of its pool.
#[derive(Debug, Clone)]
pub struct MySqlStore {
    database: Arc<Database>,
    clicks: Batcher<Inserts<Clicks>>,
    conversions: Batcher<Inserts<Conversions>>,
    /// Those that go alone, so that nobody else waits for them.
    single_conversions: Batcher<Inserts<Conversions>>,
    find_clicks: Batcher<FindClicks>,
    find_affiliates: Batcher<FindAffiliates>,
    find_campaigns: Batcher<FindCampaigns>,
}

/// What can be chosen about a [`MySqlStore`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Options {
    /// What the names of all tables start with; nothing if nothing else is said.
    pub table_prefix: TablePrefix,
    /// How many clicks, how many conversions, and how many conversions with conditions, may wait to be recorded; 10,000
    /// each if nothing else is said. Beyond that a call fails at once, as unavailable.
    pub capacity: usize,
    /// How long the database may take, and how long a call may wait before that; 5 s each if nothing else is said. Then
    /// it fails as unavailable.
    pub timeout: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self { table_prefix: TablePrefix::default(), capacity: 10_000, timeout: Duration::from_secs(5) }
    }
}

impl Options {
    /// The same with this prefix.
    #[must_use]
    pub fn table_prefix(mut self, table_prefix: TablePrefix) -> Self {
        self.table_prefix = table_prefix;
        self
    }

    /// The same with this capacity.
    #[must_use]
    pub fn capacity(mut self, capacity: usize) -> Self {
        self.capacity = capacity;
        self
    }

    /// The same with this timeout.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }
}

/// What every part of the store works with.
#[derive(Debug)]
pub(crate) struct Database {
    pub(crate) pool: MySqlPool,
    pub(crate) prefix: TablePrefix,
    pub(crate) timeout: Duration,
    pub(crate) known: KnownIds,
    pub(crate) seen_clicks: SeenClicks,
    pub(crate) log_size: LogSize,
    pub(crate) gathered: Gathered,
    pub(crate) lock_wait: LockWait,
    writer: OnceCell<Writer>,
}

/// How this process writes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Writer {
    /// Of its counters.
    pub(crate) slot: u8,
    pub(crate) sending: Sending,
    /// How many bytes the statements of a transaction may have together.
    pub(crate) most_bytes: usize,
}

impl Database {
    /// Reads what has been committed, for as long as a call may take.
    pub(crate) fn reader(&self) -> Reader<'_> {
        Reader::Pool(&self.pool, Instant::now() + self.timeout)
    }

    /// A connection that sees what was committed until now, and no more, until it commits; whatever the server's isolation
    /// level is, and without a lock.
    pub(crate) async fn snapshot(&self, deadline: Instant) -> Result<Lease, Error> {
        const BEGIN: &str = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; START TRANSACTION READ ONLY";
        let mut broken = 0;
        loop {
            let mut lease = Lease::take(&self.pool, deadline).await?;
            let Err(error) = raw_sql(BEGIN).execute(lease.connection()).await else { return Ok(lease) };
            // After the server was restarted all connections that were idle are broken.
            broken += 1;
            if Failure::of(&error) != Failure::Unavailable || broken > self.pool.options().get_max_connections() {
                return Err(error);
            }
        }
    }

    /// How this process writes, which is found out with its first batch.
    pub(crate) async fn writer(&self, deadline: Instant) -> Result<Writer, Error> {
        let register = || async {
            let mut lease = Lease::take(&self.pool, deadline).await?;
            let (sending, most_bytes) = within(deadline, Sending::to(lease.connection())).await?;
            lease.give_back();
            let numbers = Sequence::new("writers", 1).take(self, deadline, 1).await?;
            Ok(Writer { slot: slots::of_process(numbers.into_iter().sum()), sending, most_bytes })
        };
        self.writer.get_or_try_init(register).await.copied()
    }
}

impl MySqlStore {
    /// How many connections the pool of [`connect`](Self::connect) has at the most: two for what is written, two for
    /// what postbacks look up, and six for reports and for conversions with conditions.
    pub const POOL_SIZE: u32 = 10;

    /// A store on the application's own pool.
    ///
    /// It takes a connection at a time for clicks, one for conversions, up to four for those with conditions, one or two for
    /// what postbacks look up, and one for each report. Beyond the pool it opens one for a moment where a transaction of the
    /// application asks for something and all are taken. Its tables have to be there: see [`migrate`](Self::migrate).
    #[must_use]
    pub fn new(pool: MySqlPool) -> Self {
        Self::with_options(pool, Options::default())
    }

    /// The same with these options.
    #[must_use]
    pub fn with_options(pool: MySqlPool, options: Options) -> Self {
        Self::on(pool, LockWait::OfTransaction, options)
    }

    fn on(pool: MySqlPool, lock_wait: LockWait, options: Options) -> Self {
        let Options { table_prefix, capacity, timeout } = options;
        let database = Arc::new(Database {
            pool,
            prefix: table_prefix,
            timeout,
            lock_wait,
            known: KnownIds::default(),
            seen_clicks: SeenClicks::default(),
            log_size: LogSize::default(),
            gathered: Gathered::default(),
            writer: OnceCell::new(),
        });
        let limits = BatchLimits { capacity, patience: timeout, ..BatchLimits::default() };
        let share = || Arc::clone(&database);
        let clicks = Clicks { database: share(), numbers: Sequence::new("clicks", 10_000) };
        let conversions = || {
            let kind = Conversions { database: share(), numbers: Sequence::new("conversions", 1_000) };
            Batcher::new("insert conversion", Inserts { kind, database: share() }, limits)
        };
        Self {
            clicks: Batcher::new("insert click", Inserts { kind: clicks, database: share() }, limits),
            conversions: conversions(),
            single_conversions: conversions(),
            find_clicks: Batcher::new("find clicks", FindClicks(share()), limits),
            find_affiliates: Batcher::new("find affiliate", FindAffiliates(share()), limits),
            find_campaigns: Batcher::new("find campaign", FindCampaigns(share()), limits),
            database,
        }
    }

    /// A store with a pool of its own, for a database such as `mysql://user:password@127.0.0.1:3306/tracking`.
    ///
    /// # Errors
    /// If the URL is not valid, or if the database can't be reached.
    pub async fn connect(url: &str, options: Options) -> Result<Self, Error> {
        let connect: MySqlConnectOptions = url.parse()?;
        // A batch is a statement of a hundred kilobytes, which nobody wants to read in a log.
        let connect = connect.disable_statement_logging();
        let pool = MySqlPoolOptions::new()
            .max_connections(Self::POOL_SIZE)
            .acquire_timeout(options.timeout)
            // A connection that is broken is noticed when it is used, and nothing is lost: no need to ask it before.
            .test_before_acquire(false)
            .after_connect(|connection, _| Box::pin(prepare(connection)));
        Ok(Self::on(pool.connect_with(connect).await?, LockWait::OfSession, options))
    }

    /// Creates the tables, or brings those of an earlier version up to date, and tells which. Does nothing where they are.
    ///
    /// Any number of processes may call it at once, and one that is killed half-way is caught up with by the next. An
    /// upgrade expects that no earlier version writes meanwhile.
    ///
    /// # Errors
    /// If tables of such names are there which are not ours, if a newer version has been at work, or if the database
    /// fails, for instance because its user may not create tables.
    pub async fn migrate(&self) -> Result<Migrated, MigrateError> {
        migrate::migrate(&self.database).await
    }

    /// The pool.
    #[must_use]
    pub fn pool(&self) -> &MySqlPool {
        &self.database.pool
    }

    /// Records a click in the application's own transaction: it is there, and counted, if and when that commits.
    ///
    /// On a connection that is in no transaction it commits at once.
    ///
    /// # Errors
    /// As [`Store::insert_click`]. Nothing of the click is left in the transaction then, and the transaction can go on.
    /// Not so after [`StoreError::Unavailable`], nor when the future has been dropped: then roll back, and repeat the whole
    /// transaction, which the server may have ended.
    pub async fn insert_click_on(
        &self,
        connection: &mut MySqlConnection,
        click: NewClick,
    ) -> Result<Recorded<Click>, StoreError> {
        self.clicks.batch().insert_on(connection, click.into()).await
    }

    /// Records a conversion in the application's own transaction: it is there, and counted, if and when that commits.
    ///
    /// On a connection that is in no transaction it commits at once. Until the transaction ends, other calls about the
    /// same conversion wait, and if it has a [daily cap](NewConversion::daily_cap), all of the campaign that have one; so
    /// keep it short.
    ///
    /// # Errors
    /// As [`Store::insert_conversion`]. Nothing of the conversion is left in the transaction then, and the transaction can
    /// go on. Not so after [`StoreError::Unavailable`], nor when the future has been dropped: then roll back, and repeat the
    /// whole transaction, which the server may have ended.
    pub async fn insert_conversion_on(
        &self,
        connection: &mut MySqlConnection,
        conversion: NewConversion,
    ) -> Result<Recorded<Conversion>, StoreError> {
        self.conversions.batch().insert_on(connection, conversion).await
    }

    /// Refuses new clicks and conversions, and waits until those that are there have been recorded, and their callers
    /// answered. The pool stays open.
    pub async fn close(&self) {
        self.clicks.close().await;
        self.conversions.close().await;
        self.single_conversions.close().await;
    }

    /// Inserts a record with an id of the caller's or of the database's, and tells which, unless the id is taken.
    async fn insert(&self, operation: &'static str, sql: Sql, id: Option<u64>) -> Result<Option<u64>, StoreError> {
        let deadline = Instant::now() + self.database.timeout;
        let inserted = async {
            let mut lease = Lease::take(&self.database.pool, deadline).await?;
            match within(deadline, raw_sql(sql).execute(lease.connection())).await {
                Ok(done) => {
                    lease.give_back();
                    Ok(Some(id.unwrap_or_else(|| done.last_insert_id())))
                }
                Err(error) => {
                    lease.give_back_after(&error);
                    if id.is_some() && Failure::of(&error) == Failure::Duplicate { Ok(None) } else { Err(error) }
                }
            }
        };
        inserted.await.map_err(|error| store_error(operation, error))
    }
}

/// Sets up a connection of the store's own pool.
async fn prepare(connection: &mut MySqlConnection) -> Result<(), Error> {
    raw_sql(SHORT_LOCK_WAIT).execute(&mut *connection).await?;
    causal_reads(connection).await
}

#[async_trait]
impl Store for MySqlStore {
    async fn ping(&self) -> Result<(), StoreError> {
        let table = |sql: &mut Sql| {
            sql.push("SELECT 1 FROM ").table(&self.database.prefix, "sequences").push(" LIMIT 1");
        };
        self.database.reader().rows(table).await.map(drop).map_err(|error| store_error("ping", error))
    }

    async fn insert_affiliate(&self, new: NewAffiliate) -> Result<Recorded<Affiliate>, StoreError> {
        let mut sql = Sql::default();
        sql.push("INSERT INTO ")
            .table(&self.database.prefix, "affiliates")
            .push(" (id, name, created_at) VALUES (")
            .number_or_null(new.id.map(AffiliateId::as_u64));
        sql.push(", ").text(new.name.as_str()).push(", ").time(new.created_at).push(")");
        match (self.insert("insert affiliate", sql, new.id.map(AffiliateId::as_u64)).await?, new.id) {
            (None, Some(id)) => Ok(Recorded::Duplicate(self.affiliate(id).await?)),
            (id, _) => {
                let id = AffiliateId::new(id.unwrap_or_default());
                let id = id.map_err(|error| StoreError::backend("insert affiliate", error))?;
                Ok(Recorded::New(new.into_affiliate(id)))
            }
        }
    }

    async fn affiliate(&self, id: AffiliateId) -> Result<Affiliate, StoreError> {
        self.find_affiliates.call(id).await
    }

    async fn affiliates(&self, request: PageRequest) -> Result<Page<Affiliate>, StoreError> {
        self.database.affiliates(request).await
    }

    async fn update_affiliate(&self, affiliate: Affiliate) -> Result<Option<Affiliate>, StoreError> {
        self.database.update(&affiliate).await
    }

    async fn insert_campaign(&self, new: NewCampaign) -> Result<Recorded<Campaign>, StoreError> {
        let mut sql = Sql::default();
        sql.push("INSERT INTO ").table(&self.database.prefix, "campaigns");
        sql.push(" (id, name, destination_url, rules, access, created_at) VALUES (")
            .number_or_null(new.id.map(CampaignId::as_u64));
        sql.push(", ").text(new.name.as_str()).push(", ").ascii(new.destination.as_str()).push(", ");
        updates::terms(&mut sql, "insert campaign", &new.rules, &new.access, ", ")?;
        sql.push(", ").time(new.created_at).push(")");
        match (self.insert("insert campaign", sql, new.id.map(CampaignId::as_u64)).await?, new.id) {
            (None, Some(id)) => Ok(Recorded::Duplicate(self.campaign(id).await?)),
            (id, _) => {
                let id = CampaignId::new(id.unwrap_or_default());
                let id = id.map_err(|error| StoreError::backend("insert campaign", error))?;
                Ok(Recorded::New(new.into_campaign(id)))
            }
        }
    }

    async fn campaign(&self, id: CampaignId) -> Result<Campaign, StoreError> {
        self.find_campaigns.call(id).await
    }

    async fn campaigns(&self, request: PageRequest) -> Result<Page<Campaign>, StoreError> {
        self.database.campaigns(request).await
    }

    async fn update_campaign(&self, campaign: Campaign) -> Result<Option<Campaign>, StoreError> {
        self.database.update(&campaign).await
    }

    async fn insert_click(&self, click: NewClick) -> Result<Recorded<Click>, StoreError> {
        self.clicks.call(click.into()).await
    }

    async fn find_clicks(
        &self,
        affiliate: AffiliateId,
        campaign: Option<CampaignId>,
        click_id: &ClickId,
    ) -> Result<Vec<Click>, StoreError> {
        let mut clicks = self.find_clicks.call((affiliate, click_id.clone())).await?;
        clicks.retain(|click| campaign.is_none_or(|campaign| click.campaign_id == campaign));
        clicks.sort_by_key(|click| Reverse((click.created_at, click.id)));
        Ok(clicks)
    }

    async fn clicks(&self, filter: &ClickFilter, request: PageRequest) -> Result<Page<Click>, StoreError> {
        self.database.clicks(filter, request).await
    }

    async fn insert_conversion(&self, conversion: NewConversion) -> Result<Recorded<Conversion>, StoreError> {
        let conversions = match Conversions::goes_alone(&conversion) {
            true => &self.single_conversions,
            false => &self.conversions,
        };
        conversions.call(conversion).await
    }

    async fn find_conversion(
        &self,
        click: &Click,
        alternatives: &[CampaignId],
        event: &EventName,
        transaction_id: Option<&TransactionId>,
    ) -> Result<Option<Conversion>, StoreError> {
        self.database.earliest_conversion(click, event, Sought::Same(transaction_id, alternatives)).await
    }

    async fn first_conversion(&self, click: &Click, event: &EventName) -> Result<Option<Conversion>, StoreError> {
        self.database.earliest_conversion(click, event, Sought::Any).await
    }

    async fn daily_conversions(&self, campaign: CampaignId, day: Timestamp) -> Result<u64, StoreError> {
        self.database.daily_conversions(campaign, day).await
    }

    async fn conversion(&self, id: ConversionId) -> Result<Conversion, StoreError> {
        self.database.conversion(id).await
    }

    async fn change_status(&self, id: ConversionId, change: StatusChange) -> Result<Option<Conversion>, StoreError> {
        self.database.change_status(id, &change).await
    }

    async fn status_changes(&self, id: ConversionId) -> Result<Vec<StatusChange>, StoreError> {
        self.database.status_changes(id).await
    }

    async fn conversions(
        &self,
        filter: &ConversionFilter,
        request: PageRequest,
    ) -> Result<Page<Conversion>, StoreError> {
        self.database.conversions(filter, request).await
    }

    async fn summary(&self, affiliate: AffiliateId) -> Result<Summary, StoreError> {
        self.database.summary(affiliate).await
    }

    async fn totals(&self, scope: Scope, bounds: &[Timestamp]) -> Result<Vec<Summary>, StoreError> {
        self.database.totals(scope, bounds).await
    }

    async fn totals_by_affiliate(
        &self,
        campaign: Option<CampaignId>,
        from: Timestamp,
        to: Timestamp,
        max: usize,
    ) -> Result<Vec<(AffiliateId, Summary)>, StoreError> {
        self.database.totals_by_affiliate(campaign, (from, to), max).await
    }

    async fn best_affiliates(
        &self,
        campaign: Option<CampaignId>,
        from: Timestamp,
        to: Timestamp,
        ranking: &Ranking,
    ) -> Result<Ranked<AffiliateId>, StoreError> {
        if campaign.is_none() {
            return self.database.best_affiliates((from, to), ranking).await;
        }
        // Of one campaign there is less money to be left out than it takes to rank them before.
        Ok(Ranked::of(self.totals_by_affiliate(campaign, from, to, ranking.max_groups).await?, ranking))
    }

    async fn totals_by_campaign(
        &self,
        affiliate: Option<AffiliateId>,
        from: Timestamp,
        to: Timestamp,
        max: usize,
    ) -> Result<Vec<(CampaignId, Summary)>, StoreError> {
        self.database.totals_by_campaign(affiliate, (from, to), max).await
    }

    async fn breakdown(&self, breakdown: &Breakdown) -> Result<Vec<(Option<String>, Summary)>, StoreError> {
        self.database.breakdown(breakdown).await
    }

    async fn forget_visitors(&self, before: Timestamp) -> Result<(), StoreError> {
        self.database.forget_visitors(before).await
    }

    async fn purge_clicks(&self, affiliate: AffiliateId, request: PurgeRequest) -> Result<Purged, StoreError> {
        self.database.purge_clicks(affiliate, request).await
    }

    async fn erase_clicks(&self, click_id: &ClickId, replacement: &ClickId) -> Result<u64, StoreError> {
        self.database.erase_clicks(click_id, replacement).await
    }

    async fn log_postbacks(&self, postbacks: Vec<Postback>) -> Result<(), StoreError> {
        self.database.log_postbacks(&postbacks).await
    }

    async fn postbacks(&self, filter: &PostbackFilter, request: PageRequest) -> Result<Page<Postback>, StoreError> {
        self.database.postbacks(filter, request).await
    }

    async fn upkeep(&self) -> Result<(), StoreError> {
        self.database.gather().await
    }

    async fn purge_postbacks(&self, before: Timestamp, keep: u64) -> Result<(), StoreError> {
        self.database.purge_postbacks(before, keep).await
    }
}
