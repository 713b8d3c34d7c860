//! What can be set: by arguments, in the environment, and in a file `.env`.

mod arguments;

use std::env;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{CommandFactory, FromArgMatches, ValueEnum};
use storage_mysql::TablePrefix;
use thiserror::Error;
use tracing_subscriber::filter::{ParseError, Targets};
use tracking_core::{ClickId, Secret, Secrets, TimeZone, TrackerOptions, WeakSecret};
use tracking_http::PublicUrl;
use tracking_http::guard::{Token, Tokens, WeakToken};
use tracking_http::ipnet::IpNet;
use url::{Host, Url};

use self::arguments::{AdminArguments, Arguments, Command, LogArguments, Unchecked};
use crate::admin::{Administration, Format};
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
    Administer { database: Database, what: Administration, format: Format },
    Health(ServerUrl),
}

/// What was set, and goes together.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) listen: SocketAddr,
    pub(crate) framework: Framework,
    pub(crate) store: Store,
    /// Whether the memory is filled with something to look at.
    pub(crate) is_demo: bool,
    pub(crate) memory_capacity: usize,
    pub(crate) secrets: Secrets,
    pub(crate) tracker: TrackerOptions,
    pub(crate) tokens: Option<Tokens>,
    pub(crate) public_url: Option<PublicUrl>,
    pub(crate) trusted_proxies: Vec<IpNet>,
    pub(crate) time_zone: TimeZone,
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

const STORE: &str = "--store, TRACKING_STORE";
const DATABASE_URL: &str = "DATABASE_URL";

/// Settings that can't be, alone or together.
#[derive(Debug, Error)]
pub(crate) enum SettingsError {
    #[error(transparent)]
    Dotenv(#[from] DotenvError),
    #[error(
        "a demonstration (--demo, TRACKING_DEMO) is in memory, and {0} names a database; leave out one of them, or say \
         --store memory. The command demo-data has something to look at for a database"
    )]
    DemoInDatabase(&'static str),
    #[error("the admin token (--admin-token, TRACKING_ADMIN_TOKEN) can't be used")]
    WeakToken(#[source] WeakToken),
    #[error("the read-only token (--read-only-token, TRACKING_READ_ONLY_TOKEN) can't be used")]
    WeakReadOnlyToken(#[source] WeakToken),
    #[error(
        "there is a read-only token (--read-only-token, TRACKING_READ_ONLY_TOKEN) and no admin token, without which everything \
         is open; set TRACKING_ADMIN_TOKEN to at least {min} other random characters",
        min = Token::MIN_LEN
    )]
    ReadOnlyAlone,
    #[error(
        "the read-only token (--read-only-token, TRACKING_READ_ONLY_TOKEN) is the admin token, too, which may change everything; \
         take another"
    )]
    SameTokens,
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
        "{0} needs a database: what a server keeps in memory lives in that server, and is administered there, by its HTTP \
         API or its pages; otherwise set TRACKING_STORE or --store to mysql://user:password@host:port/database"
    )]
    InMemory(&'static str),
    #[error(
        "what is in a database outlives this process, so click ids and passes need a secret that does, too: set TRACKING_SECRET to at \
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
        let matches = arguments::command().try_get_matches();
        let arguments =
            matches.and_then(|matches| Arguments::from_arg_matches(&matches)).or_else(|error| match error.kind() {
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
            demo,
            secrets,
            link,
            visitors,
            postback_log,
            memory_capacity,
            admin_token,
            read_only_token,
            public_url,
            trusted_proxies,
            time_zone,
            log,
        } = arguments;
        let tokens = tokens(admin_token, read_only_token)?;
        let (task, store, secrets, log) = match command {
            None => {
                let store = store.read()?;
                if let (true, Store::Database(database)) = (demo, &store) {
                    return Err(SettingsError::DemoInDatabase(database.setting));
                }
                if tokens.is_none() {
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
            Some(Command::Affiliates { command, on, secrets }) => {
                let signs = command.signs();
                let (task, store, nobodys, log) = administer(Administration::Affiliates(command), on)?;
                let secrets = if signs { secrets.read(&store)? } else { nobodys };
                (task, store, secrets, log)
            }
            Some(Command::Campaigns { command, on }) => administer(Administration::Campaigns(command), on)?,
            Some(Command::Keys { command, on }) => administer(Administration::Keys(command), on)?,
            Some(Command::Conversions { command, on }) => administer(Administration::Conversions(command), on)?,
            Some(Command::Postbacks { which, on }) => administer(Administration::Postbacks(which), on)?,
            Some(Command::Health { url }) => {
                let server = url.unwrap_or_else(|| reachable(listen).into());
                (Task::Health(server), Store::Memory, Secret::random().into(), log)
            }
        };
        let settings = Self {
            listen,
            framework,
            store,
            is_demo: demo,
            memory_capacity: memory_capacity.try_into().unwrap_or(usize::MAX),
            secrets,
            tracker: arguments::options(&link, &visitors, &postback_log),
            tokens,
            public_url,
            trusted_proxies,
            time_zone,
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

/// Who is let in: everybody, if there is no token.
fn tokens(admin: Option<Unchecked>, read_only: Option<Unchecked>) -> Result<Option<Tokens>, SettingsError> {
    // Empty is what compose files make of a variable that is not set.
    match (admin, read_only.filter(|Unchecked(token)| !token.is_empty())) {
        (None, None) => Ok(None),
        (None, Some(_)) => Err(SettingsError::ReadOnlyAlone),
        (Some(Unchecked(admin)), read_only) => {
            let tokens = Tokens::new(Token::new(&admin).map_err(SettingsError::WeakToken)?);
            let Some(Unchecked(read_only)) = read_only else { return Ok(Some(tokens)) };
            if read_only == admin {
                return Err(SettingsError::SameTokens);
            }
            Ok(Some(tokens.read_only(Token::new(&read_only).map_err(SettingsError::WeakReadOnlyToken)?)))
        }
    }
}

/// Nothing is signed in it, so it needs no secret that others know.
fn administer(what: Administration, on: AdminArguments) -> Result<(Task, Store, Secrets, LogArguments), SettingsError> {
    let AdminArguments { json, store, log } = on;
    let store = store.read()?;
    let database = match &store {
        Store::Memory => return Err(SettingsError::InMemory(what.name())),
        Store::Database(database) => database.clone(),
    };
    let format = if json { Format::Json } else { Format::Text };
    Ok((Task::Administer { database, what, format }, store, Secret::random().into(), log))
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
