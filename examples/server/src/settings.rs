//! What can be set: by arguments, in the environment, and in a file `.env`.

use std::convert::Infallible;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use clap::{CommandFactory, Parser, ValueEnum};
use thiserror::Error;
use tracing_subscriber::filter::{ParseError, Targets};
use tracking_http::PublicUrl;
use tracking_http::guard::{Token, WeakToken};
use url::{Host, Url};

use crate::dotenv::DotenvError;
use crate::logging::LogFormat;

/// What was set, and goes together.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) listen: SocketAddr,
    pub(crate) framework: Framework,
    pub(crate) store: Store,
    pub(crate) memory_capacity: usize,
    pub(crate) admin_token: Option<Token>,
    pub(crate) public_url: Option<PublicUrl>,
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
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Store {
    /// In memory, with sample records; all are gone when the server stops
    Memory,
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
    #[error("the log filter (--log, TRACKING_LOG) is not one: give a level such as info, or info,warp=off")]
    LogFilter(#[from] ParseError),
}

impl Settings {
    /// Reads arguments and environment. Ends the process for `--help` and `--version`, and with status 2 where a
    /// setting can't be read.
    pub(crate) fn read() -> Result<Self, SettingsError> {
        let Arguments { listen, framework, store, memory_capacity, admin_token, public_url, log, log_format } =
            Arguments::parse();
        let admin_token = admin_token.map(|Secret(token)| Token::new(&token)).transpose()?;
        if admin_token.is_none() {
            if !listen.ip().is_loopback() {
                return Err(SettingsError::OpenToOthers(listen));
            }
            if let Some(url) = &public_url
                && !is_loopback(url.as_url())
            {
                return Err(SettingsError::PublicWithoutToken(url.as_url().clone()));
            }
        }
        Ok(Self {
            listen,
            framework,
            store,
            memory_capacity: memory_capacity.try_into().unwrap_or(usize::MAX),
            admin_token,
            public_url,
            log_filter: log.parse()?,
            log_format,
            unknown_variables: unknown_variables(),
        })
    }

    /// The URL under which the server is reached that listens on this address, without a slash at its end.
    pub(crate) fn base_url(&self, listening: SocketAddr) -> String {
        if let Some(url) = &self.public_url {
            return url.base().to_owned();
        }
        let ip = match listening.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
            ip => ip,
        };
        format!("http://{}", SocketAddr::new(ip, listening.port()))
    }
}

/// Affiliate tracking by server-to-server postbacks, as a standalone server
///
/// It records clicks and conversions, and has a dashboard for both. Each setting is an argument, an environment
/// variable, or a line NAME=value in a file .env in the working directory. Arguments go before the environment, which
/// goes before the file.
#[derive(Parser)]
#[command(name = "tracking-server", version, after_long_help = EXAMPLES)]
struct Arguments {
    /// The IP address and port to listen on; with port 0 the system chooses a free one
    ///
    /// Beyond this machine (any address but 127.0.0.1 and [::1]) the server listens only with an admin token.
    #[arg(long, env = "TRACKING_LISTEN", value_name = "ADDRESS", default_value = "127.0.0.1:3001")]
    #[arg(value_parser = parse_address)]
    listen: SocketAddr,

    /// The web framework that serves the routes; all answers are the same on both
    #[arg(long, env = "TRACKING_FRAMEWORK", value_enum, default_value_t = Framework::Warp)]
    framework: Framework,

    /// Where the records are kept
    #[arg(long, env = "TRACKING_STORE", value_enum, default_value = "memory")]
    store: Store,

    /// How many records the memory store holds; beyond that clicks and conversions are refused with 503
    #[arg(long, env = "TRACKING_MEMORY_CAPACITY", value_name = "RECORDS", default_value_t = 1_000_000)]
    #[arg(value_parser = clap::value_parser!(u64).range(2..))]
    memory_capacity: u64,

    /// The secret that opens dashboard, reports and metrics: at least 16 visible ASCII characters
    ///
    /// Sent as a bearer token, or typed into the browser as the password, with any user name. Without it all of these
    /// are open to everybody on this machine. Set it in the environment or in .env: arguments can be seen by others.
    #[arg(long, env = "TRACKING_ADMIN_TOKEN", value_name = "SECRET", hide_env_values = true)]
    admin_token: Option<Secret>,

    /// The URL under which the world knows this server, if a proxy stands before it, such as https://track.example.com
    #[arg(long, env = "TRACKING_PUBLIC_URL", value_name = "URL")]
    public_url: Option<PublicUrl>,

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

  For other machines, behind a proxy that speaks https
    TRACKING_ADMIN_TOKEN=$(openssl rand -hex 32) \\
      tracking-server --listen 0.0.0.0:3001 --public-url https://track.example.com --log-format json

  A click, and then a sale
    curl 'http://127.0.0.1:3001/click?affiliate_id=1&campaign_id=10&click_id=abc123'
    curl 'http://127.0.0.1:3001/postback?affiliate_id=1&click_id=abc123&amount=100&currency=USD'

Exit status: 0 after SIGINT or SIGTERM, 1 if the server can't start, 2 if a setting is wrong.";

/// Read as it is, and checked later: an error in reading would show it.
#[derive(Clone)]
struct Secret(String);

impl FromStr for Secret {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.to_owned()))
    }
}

#[derive(Debug, Error)]
#[error("expected an IP address and a port, such as 127.0.0.1:3001 or [::1]:3001")]
struct NoAddress;

fn parse_address(text: &str) -> Result<SocketAddr, NoAddress> {
    text.parse().map_err(|_| NoAddress)
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
    let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    names.filter(|name| name.starts_with("TRACKING_") && !is_known(name)).collect()
}
