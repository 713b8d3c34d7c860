//! Private, throw-away MariaDB and MySQL servers for tests.
//!
//! A server is started by `scripts/start-database`, on loopback, on a free port. It ends with its [`Server`], or with the
//! process, however that ends: the script watches a pipe, which the system closes. MariaDB is mandatory. Tests that need
//! MySQL are skipped where it is not installed, unless the environment has `REQUIRE_MYSQL`.
#![allow(clippy::print_stderr, reason = "a skipped test has to be loud")]

use std::{
    env, fmt, fs,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{self, Child, Command, ExitStatus, Stdio},
    sync::{
        Once, OnceLock,
        atomic::{AtomicU32, Ordering},
    },
};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/start-database");
/// What the script exits with if the server is not installed.
const NOT_INSTALLED: i32 = 4;

/// Which server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// MariaDB.
    MariaDb,
    /// MySQL, Oracle's.
    MySql,
}

impl Kind {
    /// Both.
    pub const ALL: [Self; 2] = [Self::MariaDb, Self::MySql];

    fn argument(self) -> &'static str {
        match self {
            Self::MariaDb => "mariadb",
            Self::MySql => "mysql",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::MariaDb => "MariaDB",
            Self::MySql => "MySQL",
        })
    }
}

/// A private server that ends with this value, or with the process.
///
/// Its account is root without a password, and its time zone is not UTC. It has no databases but its own.
#[derive(Debug)]
pub struct Server {
    kind: Kind,
    is_durable: bool,
    directory: PathBuf,
    url: String,
    port: u16,
    /// None between [`kill`](Self::kill) and [`restart`](Self::restart).
    script: Option<Child>,
}

impl Server {
    /// Starts a server that is quick rather than durable. What it has committed survives [`kill`](Self::kill) nevertheless.
    ///
    /// None if MySQL is not installed and not required, which is said on stderr.
    ///
    /// # Panics
    ///
    /// If the server can't be started.
    #[must_use]
    pub fn start(kind: Kind) -> Option<Self> {
        Self::new(kind, false)
    }

    /// Like [`start`](Self::start), with the settings of a server in production: for tests of load and of crashes.
    ///
    /// # Panics
    ///
    /// If the server can't be started.
    #[must_use]
    pub fn start_durable(kind: Kind) -> Option<Self> {
        Self::new(kind, true)
    }

    /// The server that all tests of this process share; the first call starts it. Each test needs a database of its own.
    ///
    /// None as for [`start`](Self::start).
    ///
    /// # Panics
    ///
    /// If the server can't be started.
    #[must_use]
    pub fn shared(kind: Kind) -> Option<&'static Self> {
        static MARIADB: OnceLock<Option<Server>> = OnceLock::new();
        static MYSQL: OnceLock<Option<Server>> = OnceLock::new();
        let server = match kind {
            Kind::MariaDb => &MARIADB,
            Kind::MySql => &MYSQL,
        };
        server.get_or_init(|| Self::start(kind)).as_ref()
    }

    /// `mysql://root@127.0.0.1:PORT`, without a database.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The port on 127.0.0.1. It stays the same when the server is restarted.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Which server it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Kills the server by SIGKILL, and waits until it is gone. Does nothing if it is killed already.
    ///
    /// # Panics
    ///
    /// If the server can't be killed.
    pub fn kill(&mut self) {
        let Some(mut script) = self.script.take() else { return };
        if matches!(script.try_wait(), Ok(Some(_))) {
            // The server has ended by itself, and its pid may be another's by now.
            return;
        }
        let pid = self.directory.join("pid");
        let pid = fs::read_to_string(&pid).unwrap_or_else(|e| panic!("can't read {}: {e}", pid.display()));
        // The script waits for the server, and ends after it. Its stdin has to stay open until then: closed, as `wait`
        // does, it means that the data may go. If the kill fails, the server ends at this moment.
        let _stdin = script.stdin.take();
        let killed = Command::new("sh").args(["-c", r#"kill -KILL "$1""#, "sh", pid.trim()]).output();
        if let Err(error) = killed.and_then(|_| script.wait()) {
            panic!("can't kill {}: {error}", self.kind);
        }
    }

    /// Starts the server again, on the same port, with the data it had. Kills it first if it runs.
    ///
    /// # Panics
    ///
    /// If the server can't be started.
    pub fn restart(&mut self) {
        self.kill();
        let script = Script::run(self.kind, self.is_durable, &self.directory, Some(self.port));
        self.script = Some(script.unwrap_or_else(|failure| panic!("can't restart {}: {failure}", self.kind)).child);
    }

    fn new(kind: Kind, is_durable: bool) -> Option<Self> {
        static STARTED: AtomicU32 = AtomicU32::new(0);
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let directory = env::temp_dir().join(format!("test-{}.{}-{number}", kind.argument(), process::id()));
        // Left behind by an earlier process of the same id, which was killed while its server was down.
        _ = fs::remove_dir_all(&directory);
        match Script::run(kind, is_durable, &directory, None) {
            Ok(Script { child, url, port }) => {
                Some(Self { kind, is_durable, directory, url, port, script: Some(child) })
            }
            Err(failure) if kind == Kind::MySql && failure.is_not_installed() && !requires_mysql() => {
                warn_of_skipped_tests();
                None
            }
            Err(failure) => {
                _ = fs::remove_dir_all(&directory);
                panic!("can't start {kind}: {failure}")
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        match &mut self.script {
            // `wait` closes stdin, which ends the server and removes its files.
            Some(script) => _ = script.wait(),
            None => _ = fs::remove_dir_all(&self.directory),
        }
    }
}

fn requires_mysql() -> bool {
    env::var_os("REQUIRE_MYSQL").is_some_and(|value| !value.is_empty())
}

fn warn_of_skipped_tests() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        eprintln!("\n!! MySQL is not installed: its tests are SKIPPED. Run scripts/install-databases to have it.\n");
    });
}

/// A script whose server accepts connections.
struct Script {
    child: Child,
    url: String,
    port: u16,
}

impl Script {
    fn run(kind: Kind, is_durable: bool, directory: &Path, port: Option<u16>) -> Result<Self, Failure> {
        let mut command = Command::new(SCRIPT);
        command.args([kind.argument(), "--while-stdin", "--dir"]).arg(directory);
        if let Some(port) = port {
            command.args(["--port", &port.to_string()]);
        }
        if is_durable {
            command.arg("--durable");
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| Failure::CannotRun { error })?;

        let mut line = String::new();
        if let Some(stdout) = child.stdout.take() {
            BufReader::new(stdout).read_line(&mut line).map_err(|error| Failure::CannotRun { error })?;
        }
        let url = line.trim_end().to_owned();
        match url.rsplit_once(':').and_then(|(_, port)| port.parse().ok()) {
            Some(port) => Ok(Self { child, url, port }),
            None => Err(Failure::of(child)),
        }
    }
}

#[derive(Debug)]
enum Failure {
    CannotRun { error: std::io::Error },
    Ended { status: ExitStatus, stderr: String },
}

impl Failure {
    fn of(mut child: Child) -> Self {
        let mut stderr = Vec::new();
        let read = child.stderr.take().map_or(Ok(0), |mut pipe| pipe.read_to_end(&mut stderr));
        match read.and_then(|_| child.wait()) {
            Ok(status) => Self::Ended { status, stderr: String::from_utf8_lossy(&stderr).into_owned() },
            Err(error) => Self::CannotRun { error },
        }
    }

    fn is_not_installed(&self) -> bool {
        matches!(self, Self::Ended { status, .. } if status.code() == Some(NOT_INSTALLED))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CannotRun { error } => write!(f, "{SCRIPT}: {error}"),
            Self::Ended { status, stderr } => write!(f, "{status}\n{stderr}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Kind, Server};
    use std::{io::Read, net::TcpStream};

    /// A server greets whoever connects.
    fn is_up(port: u16) -> bool {
        TcpStream::connect(("127.0.0.1", port)).is_ok_and(|mut stream| stream.read_exact(&mut [0; 5]).is_ok())
    }

    #[test]
    fn kills_restarts_and_ends() {
        let mut server = Server::start(Kind::MariaDb).unwrap();
        let (port, directory) = (server.port(), server.directory.clone());
        assert_eq!(server.url(), format!("mysql://root@127.0.0.1:{port}"));
        assert!(is_up(port));

        server.kill();
        assert!(!is_up(port));

        server.restart();
        assert_eq!(server.port(), port);
        assert!(is_up(port));

        drop(server);
        assert!(!is_up(port));
        assert!(!directory.exists());
    }
}
