//! The URL of a database, which holds its password.

use std::fmt;
use std::sync::Arc;

use sqlx::mysql::MySqlConnectOptions;
use thiserror::Error;
use url::Url;

/// Which database to use, and as whom. Only the driver gets to see the password.
#[derive(Clone)]
pub(crate) struct DatabaseUrl(Arc<Parts>);

struct Parts {
    url: String,
    options: MySqlConnectOptions,
    name: String,
}

/// Why a text is no URL of a database. It may hold a password, so that none of these repeats any of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum InvalidDatabaseUrl {
    #[error("it starts neither with mysql:// nor with mariadb://")]
    Scheme,
    #[error(
        "expected mysql://user:password@host:port/database; write what is neither letter nor digit in user and \
         password as a percent sign and two hexadecimal digits, such as %40 for @"
    )]
    Form,
    #[error("it names no database: expected mysql://user:password@host:port/database")]
    NoDatabase,
    #[error("it has a parameter that is not known, or can't have this value; known are {}", PARAMETERS.join(", "))]
    Parameter,
}

/// What the driver understands. It ignores all others, even one that demands an encrypted connection.
const PARAMETERS: [&str; 12] = [
    "socket",
    "charset",
    "collation",
    "timezone",
    "time-zone",
    "statement-cache-capacity",
    "ssl-mode",
    "sslmode",
    "ssl-ca",
    "sslca",
    "ssl-cert",
    "ssl-key",
];

impl DatabaseUrl {
    pub(crate) fn new(text: &str) -> Result<Self, InvalidDatabaseUrl> {
        if !["mysql://", "mariadb://"].iter().any(|scheme| text.starts_with(scheme)) {
            return Err(InvalidDatabaseUrl::Scheme);
        }
        let url = Url::parse(text).map_err(|_| InvalidDatabaseUrl::Form)?;
        let name = url.path().strip_prefix('/').unwrap_or_default();
        if name.is_empty() {
            return Err(InvalidDatabaseUrl::NoDatabase);
        }
        // A password with a slash or the like in it ends too early, and its rest would be taken for these.
        if url.host_str().is_none_or(str::is_empty) || name.contains(['/', '@', ':']) || url.fragment().is_some() {
            return Err(InvalidDatabaseUrl::Form);
        }
        if url.query_pairs().any(|(name, _)| !PARAMETERS.contains(&&*name)) {
            return Err(InvalidDatabaseUrl::Parameter);
        }
        let options: MySqlConnectOptions = text.parse().map_err(|_| InvalidDatabaseUrl::Parameter)?;
        let name = options.get_database().ok_or(InvalidDatabaseUrl::NoDatabase)?.to_owned();
        Ok(Self(Arc::new(Parts { url: text.to_owned(), options, name })))
    }

    /// With the password, for the driver only.
    pub(crate) fn expose(&self) -> &str {
        &self.0.url
    }

    /// With the password, for the driver only.
    pub(crate) fn options(&self) -> &MySqlConnectOptions {
        &self.0.options
    }

    pub(crate) fn database(&self) -> &str {
        &self.0.name
    }

    pub(crate) fn user(&self) -> &str {
        self.0.options.get_username()
    }

    /// Where its server is: host and port, or a socket.
    pub(crate) fn server(&self) -> impl fmt::Display + '_ {
        fmt::from_fn(|f| match self.0.options.get_socket() {
            Some(socket) => write!(f, "{}", socket.display()),
            None => write!(f, "{}:{}", self.0.options.get_host(), self.0.options.get_port()),
        })
    }
}

/// Without user and password.
impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.database(), self.server())
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DatabaseUrl({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_where_it_leads_and_not_as_whom() {
        let url = DatabaseUrl::new("mysql://ada:hunter2@db.example:3307/shop").unwrap();
        assert_eq!((url.database(), url.user()), ("shop", "ada"));
        assert_eq!(url.to_string(), "shop at db.example:3307");
        assert_eq!(format!("{url:?}"), "DatabaseUrl(shop at db.example:3307)");
        assert_eq!(DatabaseUrl::new("mariadb://ada@[::1]/shop").unwrap().to_string(), "shop at [::1]:3306");
        let url = DatabaseUrl::new("mysql://ada@localhost/shop?socket=/run/mysqld.sock").unwrap();
        assert_eq!(url.to_string(), "shop at /run/mysqld.sock");
        assert_eq!(DatabaseUrl::new("mysql://ada:p%40ss@db/my%2Fshop").unwrap().database(), "my/shop");
    }

    #[test]
    fn what_is_none_is_refused_without_repeating_it() {
        use InvalidDatabaseUrl::{Form, NoDatabase, Parameter, Scheme};
        let cases = [
            ("", Scheme),
            ("shop", Scheme),
            ("postgres://ada:hunter2@db/shop", Scheme),
            ("mysql://ada:hunter2@db", NoDatabase),
            ("mysql://ada:hunter2@db/", NoDatabase),
            ("mysql://ada:1?2@db/shop", NoDatabase),
            ("mysql://ada:1#hunter2@db/shop", NoDatabase),
            ("mysql://ada:1/hunter2@db/shop", Form),
            ("mysql://ada:hunter2@db:port/shop", Form),
            ("mysql:///shop", Form),
            ("mysql://ada:hunter2@db/shop?sslaccept=strict", Parameter),
            ("mysql://ada:hunter2@db/shop?ssl-mode=hunter2", Parameter),
        ];
        for (text, expected) in cases {
            let refused = DatabaseUrl::new(text).unwrap_err();
            assert_eq!(refused, expected, "{text}");
            assert!(!refused.to_string().contains("hunter2"));
        }
    }
}
