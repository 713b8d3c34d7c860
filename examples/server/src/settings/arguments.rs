//! The command line, as it is read.

use std::convert::Infallible;
use std::env::{self, VarError};
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use clap::builder::FalseyValueParser;
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use storage_mysql::TablePrefix;
use thiserror::Error;
use tracking_core::{ClickId, Secret, Secrets, StoredIp, TimeZone, TrackerOptions};
use tracking_http::PublicUrl;
use tracking_http::ipnet::IpNet;

use super::{DATABASE_URL, Database, Framework, STORE, SettingsError, Store};
use crate::admin::{AffiliateCommand, CampaignCommand, ConversionCommand, KeyCommand, PostbackArguments};
use crate::database_url::{DatabaseUrl, InvalidDatabaseUrl};
use crate::health::ServerUrl;
use crate::logging::LogFormat;

/// Affiliate tracking by server-to-server postbacks, as a standalone server
///
/// It records clicks and conversions, and has a dashboard for both. Each setting is an argument, an environment
/// variable, or a line NAME=value in a file .env in the working directory. Arguments go before the environment, which
/// goes before the file.
#[derive(Parser)]
#[command(name = "tracking-server", version, after_long_help = EXAMPLES)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Arguments {
    #[command(subcommand)]
    pub(super) command: Option<Command>,

    /// The IP address and port to listen on; with port 0 the system chooses a free one
    ///
    /// Beyond this machine (any address but 127.0.0.1 and [::1]) the server listens only with an admin token.
    #[arg(long, env = "TRACKING_LISTEN", value_name = "ADDRESS", default_value = "127.0.0.1:3001")]
    #[arg(value_parser = parse_address)]
    pub(super) listen: SocketAddr,

    /// The web framework that serves the routes; all answers are the same on both
    #[arg(long, env = "TRACKING_FRAMEWORK", value_enum, default_value_t = Framework::Warp)]
    pub(super) framework: Framework,

    #[command(flatten)]
    pub(super) store: StoreArguments,

    /// Fills the memory with months of believable traffic, and goes on with it
    ///
    /// A few visits a minute, and now and then a sale: to look at, and to try things out with. All of it is gone when the server stops. It is refused together with a database.
    #[arg(long, env = "TRACKING_DEMO", value_parser = FalseyValueParser::new())]
    pub(super) demo: bool,

    #[command(flatten)]
    pub(super) secrets: SecretArguments,

    #[command(flatten)]
    pub(super) link: LinkArguments,

    #[command(flatten)]
    pub(super) visitors: VisitorArguments,

    #[command(flatten)]
    pub(super) postback_log: PostbackLogArguments,

    /// How many records the memory store holds; beyond that clicks and conversions are refused with 503
    #[arg(long, env = "TRACKING_MEMORY_CAPACITY", value_name = "RECORDS", default_value_t = 1_000_000)]
    #[arg(value_parser = clap::value_parser!(u64).range(2..))]
    pub(super) memory_capacity: u64,

    /// The secret that opens dashboard, reports and metrics: at least 16 visible ASCII characters
    ///
    /// Typed into the login page, or sent as a bearer token or as the password of any user name. Without it all of these
    /// are open to everybody on this machine. Set it in the environment or in .env: arguments can be seen by others.
    #[arg(long, env = "TRACKING_ADMIN_TOKEN", value_name = "SECRET", hide_env_values = true)]
    pub(super) admin_token: Option<Unchecked>,

    /// A second secret, for those who may see all of that and change nothing: at least 16 visible ASCII characters
    ///
    /// Sent and typed as the admin token is, which it needs beside it.
    #[arg(long, env = "TRACKING_READ_ONLY_TOKEN", value_name = "SECRET", hide_env_values = true)]
    pub(super) read_only_token: Option<Unchecked>,

    /// The URL under which the world knows this server, if a proxy stands before it, such as https://track.example.com
    #[arg(long, env = "TRACKING_PUBLIC_URL", value_name = "URL")]
    pub(super) public_url: Option<PublicUrl>,

    /// The networks of the proxies that stand before this server, such as 10.0.0.0/8,192.0.2.7
    ///
    /// Whom Forwarded and X-Forwarded-For are believed. From anybody else these headers count for nothing, and the
    /// visitor's address is that of the connection.
    #[arg(long, env = "TRACKING_TRUSTED_PROXIES", value_name = "NETWORKS", value_delimiter = ',')]
    #[arg(value_parser = parse_network)]
    pub(super) trusted_proxies: Vec<IpNet>,

    /// The IANA time zone whose days reports are about unless they are asked for in another one, such as Europe/Berlin
    #[arg(long, env = "TRACKING_TIME_ZONE", value_name = "ZONE", default_value_t = TimeZone::UTC)]
    pub(super) time_zone: TimeZone,

    #[command(flatten)]
    pub(super) log: LogArguments,
}

#[derive(Subcommand)]
pub(super) enum Command {
    /// Creates the tables in the database, or brings them up to date, and ends; the server does so, too, when it starts
    Migrate {
        #[command(flatten)]
        store: StoreArguments,
        #[command(flatten)]
        log: LogArguments,
    },

    /// Fills the database with believable records of the last 120 days, and ends; run again, it adds what is not there
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

    /// Lists, creates, renames and pauses affiliates, and gives passes to them
    Affiliates {
        #[command(subcommand)]
        command: AffiliateCommand,
        #[command(flatten)]
        on: AdminArguments,
        #[command(flatten)]
        secrets: SecretArguments,
    },

    /// Lists, shows, creates, changes and pauses campaigns
    Campaigns {
        #[command(subcommand)]
        command: Box<CampaignCommand>,
        #[command(flatten)]
        on: AdminArguments,
    },

    /// Lists, issues and revokes the postback keys of campaigns
    Keys {
        #[command(subcommand)]
        command: KeyCommand,
        #[command(flatten)]
        on: AdminArguments,
    },

    /// Shows, approves and rejects conversions
    Conversions {
        #[command(subcommand)]
        command: ConversionCommand,
        #[command(flatten)]
        on: AdminArguments,
    },

    /// Shows the postback log, newest first: what advertisers sent, and what became of it
    Postbacks {
        #[command(flatten)]
        which: PostbackArguments,
        #[command(flatten)]
        on: AdminArguments,
    },

    /// Asks a running server whether it takes calls, and ends with status 0 if it does and 1 if it does not
    Health {
        /// Where the server is; if left out, on this machine, at the port of TRACKING_LISTEN or of its default
        #[arg(long, value_name = "URL")]
        url: Option<ServerUrl>,
    },
}

/// What all commands for administration have in common.
#[derive(Args)]
pub(super) struct AdminArguments {
    /// Prints records as lines of JSON, in the form that they have over HTTP
    #[arg(long)]
    pub(super) json: bool,

    #[command(flatten)]
    pub(super) store: StoreArguments,

    #[command(flatten)]
    pub(super) log: LogArguments,
}

/// Commands of several words. What is set about all of them may stand after the last one.
const GROUPS: [&str; 4] = ["affiliates", "campaigns", "keys", "conversions"];

/// What the command line may be.
pub(super) fn command() -> clap::Command {
    GROUPS.into_iter().fold(Arguments::command(), |command, group| {
        command.mut_subcommand(group, |group| group.mut_args(|argument| argument.global(true).help_heading("Settings")))
    })
}

#[derive(Args)]
pub(super) struct StoreArguments {
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

impl StoreArguments {
    pub(super) fn read(self) -> Result<Store, SettingsError> {
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
pub(super) struct SecretArguments {
    /// The secret under which click ids and passes are made, so that nobody can forge one: at least 32 characters
    ///
    /// The same for all servers of a database, and needed with one. In memory, where clicks end with the server, a random
    /// one will do. Set it in the environment or in .env: arguments can be seen by others.
    #[arg(long, env = "TRACKING_SECRET", value_name = "SECRET", hide_env_values = true)]
    secret: Option<Unchecked>,

    /// Secrets that were used before, separated by commas: what was made under them is still taken for genuine
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
    pub(super) fn read(self, store: &Store) -> Result<Secrets, SettingsError> {
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
pub(super) struct LinkArguments {
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
pub(super) struct VisitorArguments {
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

#[derive(Args)]
pub(super) struct PostbackLogArguments {
    /// For how many days the postback log goes back
    #[arg(long, env = "TRACKING_LOG_RETENTION_DAYS", value_name = "DAYS", default_value_t = 30)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=36_500))]
    log_retention_days: u64,

    /// How many postbacks the log keeps; beyond that the oldest go first. A million take some 500 MB
    #[arg(long, env = "TRACKING_LOG_CAPACITY", value_name = "POSTBACKS", default_value_t = 1_000_000)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
    log_capacity: u64,
}

#[derive(Clone, Copy, ValueEnum)]
pub(super) enum IpPart {
    Masked,
    Whole,
    None,
}

pub(super) fn options(
    link: &LinkArguments,
    visitors: &VisitorArguments,
    postback_log: &PostbackLogArguments,
) -> TrackerOptions {
    let options = TrackerOptions::default()
        .link_deadline(Duration::from_millis(link.link_deadline))
        .log_retention(days(postback_log.log_retention_days))
        .log_capacity(postback_log.log_capacity)
        .queue_capacity(link.link_queue.try_into().unwrap_or(usize::MAX))
        .stored_ip(match visitors.stored_ip {
            IpPart::Masked => StoredIp::Masked,
            IpPart::Whole => StoredIp::Whole,
            IpPart::None => StoredIp::None,
        });
    match visitors.retention_days {
        Some(kept) => options.retention(days(kept)),
        None => options,
    }
}

const fn days(days: u64) -> Duration {
    Duration::from_secs(days * 24 * 60 * 60)
}

#[derive(Args)]
pub(super) struct LogArguments {
    /// What is logged, on stderr: off, error, warn, info, debug or trace, also by module, as in info,warp=off
    #[arg(long, env = "TRACKING_LOG", value_name = "FILTER", default_value = "info")]
    pub(super) log: String,

    /// How the log is written
    #[arg(long, env = "TRACKING_LOG_FORMAT", value_name = "FORMAT", value_enum, default_value = "text")]
    pub(super) log_format: LogFormat,
}

const EXAMPLES: &str = "\
Examples:
  Try it on this machine with something to look at, then open http://127.0.0.1:3001
    tracking-server --demo

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

  A campaign that pays an eighth, and what became of its postbacks
    tracking-server campaigns create 'Shop' 'https://shop.example/?ref={click_id}' --payout 12.5%
    tracking-server postbacks --problems

  A tracking link, to be opened in a browser
    http://127.0.0.1:3001/go?affiliate_id=1&campaign_id=10

  A click, and then a sale
    curl 'http://127.0.0.1:3001/click?affiliate_id=1&campaign_id=10&click_id=abc123'
    curl 'http://127.0.0.1:3001/postback?affiliate_id=1&click_id=abc123&amount=100&currency=USD'

Exit status: 0 after SIGINT or SIGTERM, or when a command is done; 1 if the server can't start, or a command can't be done;
2 if a setting is wrong.";

/// Read as it is, and checked later: an error in reading would show it.
#[derive(Clone)]
pub(super) struct Unchecked(pub(super) String);

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
