//! What can be set: by arguments, in the environment, and in a file `.env`.

use std::convert::Infallible;
use std::env::{self, VarError};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use storage_mysql::TablePrefix;
use thiserror::Error;
use tracing_subscriber::filter::{ParseError, Targets};
use tracking_core::{ClickId, Secret, Secrets, StoredIp, TrackerOptions, WeakSecret};
use tracking_http::PublicUrl;
use tracking_http::guard::{Token, WeakToken};
use tracking_http::ipnet::IpNet;
use url::{Host, Url};

use crate::database_url::{DatabaseUrl, InvalidDatabaseUrl};
use crate::dotenv::DotenvError;
use crate::health::ServerUrl;
use crate::logging::LogFormat;

/// What to do.
#[derive(Debug, Clone)]
pub(crate) enum Task {
    Serve,
    Migrate(Database),
    DemoData { database: Database, clicks: u32 },
    Erase { database: Database, click_id: ClickId },
    Health(ServerUrl),
}

/// What was set, and goes together.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) listen: SocketAddr,
    pub(crate) framework: Framework,
    pub(crate) store: Store,
    pub(crate) memory_capacity: usize,
    pub(crate) secrets: Secrets,
    pub(crate) tracker: TrackerOptions,
    pub(crate) admin_token: Option<Token>,
    pub(crate) public_url: Option<PublicUrl>,
    pub(crate) trusted_proxies: Vec<IpNet>,
    pub(crate) log_filter: Targets,
    pub(crate) log_format: LogFormat,
    /// Environment variables that look like settings and are none: a mistyped `TRACKING_ADMIN_TOKEN` must not pass
    /// unnoticed.
    pub(crate) unknown_variables: Vec<String>,
}

/// Which web framework serves the routes.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Framework {
    /// warp 0.4
    Warp,
    /// Rocket 0.5
    Rocket,
}

impl fmt::Display for Framework {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Warp => "warp",
            Self::Rocket => "rocket",
        })
    }
}

/// Where the records are kept.
#[derive(Debug, Clone)]
pub(crate) enum Store {
    Memory,
    Database(Database),
}

/// A database for the records.
#[derive(Debug, Clone)]
pub(crate) struct Database {
    pub(crate) url: DatabaseUrl,
    pub(crate) table_prefix: TablePrefix,
    /// How long to wait for it when it can't be reached at the start.
    pub(crate) wait: Duration,
    /// The name of the setting that the URL comes from.
    pub(crate) setting: &'static str,
}

/// Settings that can't be, alone or together.
#[derive(Debug, Error)]
pub(crate) enum SettingsError {
    #[error(transparent)]
    Dotenv(#[from] DotenvError),
    #[error("the admin token (--admin-token, TRACKING_ADMIN_TOKEN) can't be used")]
    WeakToken(#[from] WeakToken),
    #[error(
        "other machines can reach {0} (--listen, TRACKING_LISTEN), so reports and pages need an admin token: \
         set TRACKING_ADMIN_TOKEN to at least {min} random characters, or listen on 127.0.0.1 only",
        min = Token::MIN_LEN
    )]
    OpenToOthers(SocketAddr),
    #[error(
        "the public URL {0} (--public-url, TRACKING_PUBLIC_URL) leads here from other machines, so reports and pages \
         need an admin token: set TRACKING_ADMIN_TOKEN to at least {min} random characters",
        min = Token::MIN_LEN
    )]
    PublicWithoutToken(Url),
    #[error("the store ({STORE}) is neither memory nor a URL such as mysql://user:password@host:port/database")]
    Store,
    #[error("the store ({STORE}) can't be used")]
    StoreUrl(#[source] InvalidDatabaseUrl),
    #[error(
        "{DATABASE_URL} is of another database than this server knows, which is MySQL or MariaDB; set TRACKING_STORE or \
         --store, which go before it"
    )]
    ForeignDatabaseUrl,
    #[error("{DATABASE_URL} can't be used; correct it, or set TRACKING_STORE or --store, which go before it")]
    DatabaseUrl(#[source] InvalidDatabaseUrl),
    #[error(
        "{0} needs a database, because what is in memory is gone when the process ends; set TRACKING_STORE or --store \
         to mysql://user:password@host:port/database"
    )]
    NoDatabase(&'static str),
    #[error(
        "what is in a database outlives this process, so click ids need a secret that does, too: set TRACKING_SECRET to at \
         least {min} random characters, such as what `openssl rand -hex 32` prints, the same for all servers of the database",
        min = Secret::MIN_LEN
    )]
    NoSecret,
    #[error("the secret (--secret, TRACKING_SECRET) can't be used")]
    WeakSecret(#[source] WeakSecret),
    #[error(
        "the secret (--secret, TRACKING_SECRET) has a comma or white space, and could never be a retired one, of which \
         there is a list; take another, such as what `openssl rand -hex 32` prints"
    )]
    ListedSecret,
    #[error("one of the retired secrets (--retired-secrets, TRACKING_RETIRED_SECRETS) can't be used")]
    WeakRetiredSecret(#[source] WeakSecret),
    #[error("a URL of a database stands where none can be; give it as --store, or better as TRACKING_STORE")]
    StrayUrl,
    #[error("the log filter (--log, TRACKING_LOG) is not one: give a level such as info, or info,warp=off")]
    LogFilter(#[from] ParseError),
}

impl Settings {
    /// Reads arguments and environment. Ends the process for `--help` and `--version`, and with status 2 where a
    /// setting can't be read.
    pub(crate) fn read() -> Result<(Task, Self), SettingsError> {
        let arguments = Arguments::try_parse().or_else(|error| match error.kind() {
            // The error would repeat it, password included.
            ErrorKind::InvalidSubcommand | ErrorKind::UnknownArgument if error.to_string().contains("://") => {
                Err(SettingsError::StrayUrl)
            }
            _ => error.exit(),
        })?;
        let Arguments {
            command,
            listen,
            framework,
            store,
            secrets,
            link,
            visitors,
            memory_capacity,
            admin_token,
            public_url,
            trusted_proxies,
            log,
        } = arguments;
        let admin_token = admin_token.map(|Unchecked(token)| Token::new(&token)).transpose()?;
        let (task, store, secrets, log) = match command {
            None => {
                let store = store.read()?;
                if admin_token.is_none() {
                    refuse_others(listen, public_url.as_ref())?;
                }
                let secrets = secrets.read(&store)?;
                (Task::Serve, store, secrets, log)
            }
            Some(Command::Migrate { store, log }) => {
                let store = store.read()?;
                (Task::Migrate(store.database("migrate")?), store, Secret::random().into(), log)
            }
            Some(Command::DemoData { clicks, store, log }) => {
                let store = store.read()?;
                (Task::DemoData { database: store.database("demo-data")?, clicks }, store, Secret::random().into(), log)
            }
            Some(Command::Erase { click_id, store, secrets, log }) => {
                let store = store.read()?;
                let secrets = secrets.read(&store)?;
                (Task::Erase { database: store.database("erase")?, click_id }, store, secrets, log)
            }
            Some(Command::Health { url }) => {
                let server = url.unwrap_or_else(|| reachable(listen).into());
                (Task::Health(server), Store::Memory, Secret::random().into(), log)
            }
        };
        let settings = Self {
            listen,
            framework,
            store,
            memory_capacity: memory_capacity.try_into().unwrap_or(usize::MAX),
            secrets,
            tracker: options(&link, &visitors),
            admin_token,
            public_url,
            trusted_proxies,
            log_filter: log.log.parse()?,
            log_format: log.log_format,
            unknown_variables: unknown_variables(),
        };
        Ok((task, settings))
    }

    /// The URL under which the server is reached that listens on this address, without a slash at its end.
    pub(crate) fn base_url(&self, listening: SocketAddr) -> String {
        match &self.public_url {
            Some(url) => url.base().to_owned(),
            None => format!("http://{}", reachable(listening)),
        }
    }
}

impl Store {
    fn database(&self, task: &'static str) -> Result<Database, SettingsError> {
        match self {
            Self::Memory => Err(SettingsError::NoDatabase(task)),
            Self::Database(database) => Ok(database.clone()),
        }
    }
}

/// Affiliate tracking by server-to-server postbacks, as a standalone server
///
/// It records clicks and conversions, and has a dashboard for both. Each setting is an argument, an environment
/// variable, or a line NAME=value in a file .env in the working directory. Arguments go before the environment, which
/// goes before the file.
#[derive(Parser)]
#[command(name = "tracking-server", version, after_long_help = EXAMPLES)]
#[command(args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,

    /// The IP address and port to listen on; with port 0 the system chooses a free one
    ///
    /// Beyond this machine (any address but 127.0.0.1 and [::1]) the server listens only with an admin token.
    #[arg(long, env = "TRACKING_LISTEN", value_name = "ADDRESS", default_value = "127.0.0.1:3001")]
    #[arg(value_parser = parse_address)]
    listen: SocketAddr,

    /// The web framework that serves the routes; all answers are the same on both
    #[arg(long, env = "TRACKING_FRAMEWORK", value_enum, default_value_t = Framework::Warp)]
    framework: Framework,

    #[command(flatten)]
    store: StoreArguments,

    #[command(flatten)]
    secrets: SecretArguments,

    #[command(flatten)]
    link: LinkArguments,

    #[command(flatten)]
    visitors: VisitorArguments,

    /// How many records the memory store holds; beyond that clicks and conversions are refused with 503
    #[arg(long, env = "TRACKING_MEMORY_CAPACITY", value_name = "RECORDS", default_value_t = 1_000_000)]
    #[arg(value_parser = clap::value_parser!(u64).range(2..))]
    memory_capacity: u64,

    /// The secret that opens dashboard, reports and metrics: at least 16 visible ASCII characters
    ///
    /// Sent as a bearer token, or typed into the browser as the password, with any user name. Without it all of these
    /// are open to everybody on this machine. Set it in the environment or in .env: arguments can be seen by others.
    #[arg(long, env = "TRACKING_ADMIN_TOKEN", value_name = "SECRET", hide_env_values = true)]
    admin_token: Option<Unchecked>,

    /// The URL under which the world knows this server, if a proxy stands before it, such as https://track.example.com
    #[arg(long, env = "TRACKING_PUBLIC_URL", value_name = "URL")]
    public_url: Option<PublicUrl>,

    /// The networks of the proxies that stand before this server, such as 10.0.0.0/8,192.0.2.7
    ///
    /// Whom Forwarded and X-Forwarded-For are believed. From anybody else these headers count for nothing, and the
    /// visitor's address is that of the connection.
    #[arg(long, env = "TRACKING_TRUSTED_PROXIES", value_name = "NETWORKS", value_delimiter = ',')]
    #[arg(value_parser = parse_network)]
    trusted_proxies: Vec<IpNet>,

    #[command(flatten)]
    log: LogArguments,
}

#[derive(Subcommand)]
enum Command {
    /// Creates the tables in the database, or brings them up to date, and ends; the server does so, too, when it starts
    Migrate {
        #[command(flatten)]
        store: StoreArguments,
        #[command(flatten)]
        log: LogArguments,
    },

    /// Fills the database with believable records of the last 30 days, and ends; run again, it adds what is not there
    DemoData {
        /// How many clicks there are to be; a few of every hundred have a conversion
        #[arg(long, value_name = "NUMBER", default_value_t = 5_000)]
        #[arg(value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
        clicks: u32,
        #[command(flatten)]
        store: StoreArguments,
        #[command(flatten)]
        log: LogArguments,
    },

    /// Makes the clicks with this id anonymous, for a person who asks for it, and ends; figures stay as they are
    Erase {
        /// The id that the visitor brought to the advertiser
        #[arg(value_name = "CLICK_ID")]
        click_id: ClickId,
        #[command(flatten)]
        store: StoreArguments,
        #[command(flatten)]
        secrets: SecretArguments,
        #[command(flatten)]
        log: LogArguments,
    },

    /// Asks a running server whether it takes calls, and ends with status 0 if it does and 1 if it does not
    Health {
        /// Where the server is; if left out, on this machine, at the port of TRACKING_LISTEN or of its default
        #[arg(long, value_name = "URL")]
        url: Option<ServerUrl>,
    },
}

#[derive(Args)]
struct StoreArguments {
    /// Where the records are kept: memory, or mysql://user:password@host:port/database
    ///
    /// That is MySQL 8.0.17 or newer, or MariaDB 10.6 or newer. The server creates its tables itself. Without this
    /// setting DATABASE_URL counts, in the environment or in .env; without that, records are in memory, and gone when
    /// the server stops. Set a URL in the environment or in .env: arguments can be seen by others.
    #[arg(long, env = "TRACKING_STORE", value_name = "STORE", hide_env_values = true)]
    store: Option<Unchecked>,

    /// What the names of all tables start with: up to 32 ASCII letters, digits and underscores
    #[arg(long, env = "TRACKING_TABLE_PREFIX", value_name = "PREFIX")]
    table_prefix: Option<TablePrefix>,

    /// How many seconds to wait at the start for a database that can't be reached yet
    #[arg(long, env = "TRACKING_STORE_WAIT", value_name = "SECONDS", default_value_t = 60)]
    #[arg(value_parser = clap::value_parser!(u64).range(..=86_400))]
    store_wait: u64,
}

const STORE: &str = "--store, TRACKING_STORE";
const DATABASE_URL: &str = "DATABASE_URL";

impl StoreArguments {
    fn read(self) -> Result<Store, SettingsError> {
        let (url, setting) = match (self.store, env::var(DATABASE_URL)) {
            (Some(Unchecked(store)), _) if store == "memory" => return Ok(Store::Memory),
            (Some(Unchecked(store)), _) => match DatabaseUrl::new(&store) {
                Ok(url) => (url, STORE),
                Err(InvalidDatabaseUrl::Scheme) => return Err(SettingsError::Store),
                Err(error) => return Err(SettingsError::StoreUrl(error)),
            },
            // Empty is what compose files make of a variable that is not set.
            (None, Err(VarError::NotPresent)) => return Ok(Store::Memory),
            (None, Ok(url)) if url.is_empty() => return Ok(Store::Memory),
            (None, url) => match DatabaseUrl::new(&url.unwrap_or_default()) {
                Ok(url) => (url, DATABASE_URL),
                Err(InvalidDatabaseUrl::Scheme) => return Err(SettingsError::ForeignDatabaseUrl),
                Err(error) => return Err(SettingsError::DatabaseUrl(error)),
            },
        };
        let (table_prefix, wait) = (self.table_prefix.unwrap_or_default(), Duration::from_secs(self.store_wait));
        Ok(Store::Database(Database { url, table_prefix, wait, setting }))
    }
}

#[derive(Args)]
struct SecretArguments {
    /// The secret under which click ids are made, so that nobody can forge one: at least 32 characters
    ///
    /// The same for all servers of a database, and needed with one. In memory, where clicks end with the server, a random
    /// one will do. Set it in the environment or in .env: arguments can be seen by others.
    #[arg(long, env = "TRACKING_SECRET", value_name = "SECRET", hide_env_values = true)]
    secret: Option<Unchecked>,

    /// Secrets that were used before, separated by commas: click ids made under them are still taken for genuine
    #[arg(
        long,
        env = "TRACKING_RETIRED_SECRETS",
        value_name = "SECRETS",
        hide_env_values = true,
        value_delimiter = ','
    )]
    retired_secrets: Vec<Unchecked>,
}

impl SecretArguments {
    fn read(self, store: &Store) -> Result<Secrets, SettingsError> {
        let is_set = |Unchecked(text): &Unchecked| !text.trim().is_empty();
        let current = match (self.secret.filter(is_set), store) {
            (Some(Unchecked(text)), _) if text.contains(|c: char| c == ',' || c.is_whitespace()) => {
                return Err(SettingsError::ListedSecret);
            }
            (Some(Unchecked(text)), _) => Secret::new(&text).map_err(SettingsError::WeakSecret)?,
            (None, Store::Memory) => Secret::random(),
            (None, Store::Database(_)) => return Err(SettingsError::NoSecret),
        };
        self.retired_secrets.into_iter().filter(is_set).try_fold(Secrets::from(current), |secrets, Unchecked(text)| {
            Ok(secrets.retired(Secret::new(text.trim()).map_err(SettingsError::WeakRetiredSecret)?))
        })
    }
}

#[derive(Args)]
struct LinkArguments {
    /// How many milliseconds a visitor on a link waits for his click to be recorded before he is sent on
    #[arg(long, env = "TRACKING_LINK_DEADLINE", value_name = "MILLISECONDS", default_value_t = 250)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=10_000))]
    link_deadline: u64,

    /// How many clicks of visitors who were sent on may wait for a store that is slow or away
    #[arg(long, env = "TRACKING_LINK_QUEUE", value_name = "CLICKS", default_value_t = 100_000)]
    #[arg(value_parser = clap::value_parser!(u64).range(..=10_000_000))]
    link_queue: u64,
}

#[derive(Args)]
struct VisitorArguments {
    /// How much of a visitor's IP address is stored: its network (IPv4 /24, IPv6 /48), the whole of it, or none
    #[arg(long, env = "TRACKING_STORED_IP", value_name = "PART", value_enum, default_value = "masked")]
    stored_ip: IpPart,

    /// For how many days clicks are kept; without this setting for ever
    ///
    /// Older ones are deleted little by little. Those with conversions stay, without what is known of the visitor, so that
    /// a repeated postback is still known. Figures stay as they are.
    #[arg(long, env = "TRACKING_RETENTION_DAYS", value_name = "DAYS")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=36_500))]
    retention_days: Option<u64>,
}

#[derive(Clone, Copy, ValueEnum)]
enum IpPart {
    Masked,
    Whole,
    None,
}

fn options(link: &LinkArguments, visitors: &VisitorArguments) -> TrackerOptions {
    let options = TrackerOptions::default()
        .link_deadline(Duration::from_millis(link.link_deadline))
        .queue_capacity(link.link_queue.try_into().unwrap_or(usize::MAX))
        .stored_ip(match visitors.stored_ip {
            IpPart::Masked => StoredIp::Masked,
            IpPart::Whole => StoredIp::Whole,
            IpPart::None => StoredIp::None,
        });
    match visitors.retention_days {
        Some(days) => options.retention(Duration::from_secs(days * 24 * 60 * 60)),
        None => options,
    }
}

#[derive(Args)]
struct LogArguments {
    /// What is logged, on stderr: off, error, warn, info, debug or trace, also by module, as in info,warp=off
    #[arg(long, env = "TRACKING_LOG", value_name = "FILTER", default_value = "info")]
    log: String,

    /// How the log is written
    #[arg(long, env = "TRACKING_LOG_FORMAT", value_name = "FORMAT", value_enum, default_value = "text")]
    log_format: LogFormat,
}

const EXAMPLES: &str = "\
Examples:
  Try it on this machine, then open http://127.0.0.1:3001
    tracking-server

  On Rocket, on another port
    tracking-server --framework rocket --listen 127.0.0.1:8080

  With records in MySQL or MariaDB, and some to look at
    export TRACKING_STORE=mysql://tracking:secret@127.0.0.1:3306/tracking
    export TRACKING_SECRET=a-secret-that-you-keep-of-32-characters-or-more
    tracking-server demo-data
    tracking-server

  For other machines, behind a proxy that speaks https
    TRACKING_ADMIN_TOKEN=$(openssl rand -hex 32) \\
      tracking-server --listen 0.0.0.0:3001 --public-url https://track.example.com --log-format json

  A tracking link, to be opened in a browser
    http://127.0.0.1:3001/go?affiliate_id=1&campaign_id=10

  A click, and then a sale
    curl 'http://127.0.0.1:3001/click?affiliate_id=1&campaign_id=10&click_id=abc123'
    curl 'http://127.0.0.1:3001/postback?affiliate_id=1&click_id=abc123&amount=100&currency=USD'

Exit status: 0 after SIGINT or SIGTERM, or when a command is done; 1 if the server can't start, or a command can't be done;
2 if a setting is wrong.";

/// Read as it is, and checked later: an error in reading would show it.
#[derive(Clone)]
struct Unchecked(String);

impl FromStr for Unchecked {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.to_owned()))
    }
}

#[derive(Debug, Error)]
#[error("expected networks such as 10.0.0.0/8 or addresses such as 192.0.2.7, separated by commas")]
struct NoNetwork;

fn parse_network(text: &str) -> Result<IpNet, NoNetwork> {
    let text = text.trim();
    text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from)).map_err(|_| NoNetwork)
}

#[derive(Debug, Error)]
#[error("expected an IP address and a port, such as 127.0.0.1:3001 or [::1]:3001")]
struct NoAddress;

fn parse_address(text: &str) -> Result<SocketAddr, NoAddress> {
    text.parse().map_err(|_| NoAddress)
}

/// Where a server is reached from its own machine that listens on this address.
fn reachable(listening: SocketAddr) -> SocketAddr {
    let ip = match listening.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listening.port())
}

/// Without a token, reports and pages are open; so nobody from elsewhere may come.
fn refuse_others(listen: SocketAddr, public_url: Option<&PublicUrl>) -> Result<(), SettingsError> {
    if !listen.ip().is_loopback() {
        return Err(SettingsError::OpenToOthers(listen));
    }
    match public_url {
        Some(url) if !is_loopback(url.as_url()) => Err(SettingsError::PublicWithoutToken(url.as_url().clone())),
        _ => Ok(()),
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

fn unknown_variables() -> Vec<String> {
    let command = Arguments::command();
    let is_known =
        |name: &str| command.get_arguments().any(|argument| argument.get_env().is_some_and(|env| env == name));
    let names = env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    names.filter(|name| name.starts_with("TRACKING_") && !is_known(name)).collect()
}
