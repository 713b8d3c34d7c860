pub(crate) mod database;
pub(crate) mod process;

use std::path::Path;
use std::process::{Command, ExitStatus};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;
use test_server::Kind;
use ureq::http::Response;

use self::database::Database;
use self::process::Process;

/// Makes a test for each framework of each function, which gets the framework's name.
macro_rules! on_each_framework {
    ($($case:ident),+ $(,)?) => {
        mod on_warp {
            $(#[test] fn $case() { super::$case("warp"); })+
        }
        mod on_rocket {
            $(#[test] fn $case() { super::$case("rocket"); })+
        }
    };
}
pub(crate) use on_each_framework;

/// Makes a test for each framework and each place of records of each function, which gets a [`Site`].
macro_rules! on_each_framework_and_store {
    ($($case:ident),+ $(,)?) => {
        mod on_warp {
            crate::support::on_each_store!("warp", $($case),+);
        }
        mod on_rocket {
            crate::support::on_each_store!("rocket", $($case),+);
        }
    };
}
pub(crate) use on_each_framework_and_store;

macro_rules! on_each_store {
    ($framework:literal, $($case:ident),+) => {
        mod in_memory {
            $(#[test] fn $case() { super::super::$case(&crate::support::Site::in_memory($framework)); })+
        }
        mod in_mariadb {
            $(#[test] fn $case() {
                let site = crate::support::Site::in_database($framework, test_server::Kind::MariaDb);
                site.iter().for_each(super::super::$case);
            })+
        }
        mod in_mysql {
            $(#[test] fn $case() {
                let site = crate::support::Site::in_database($framework, test_server::Kind::MySql);
                site.iter().for_each(super::super::$case);
            })+
        }
    };
}
pub(crate) use on_each_store;

/// A framework, and a place for records that is empty at first.
pub(crate) struct Site {
    pub(crate) framework: &'static str,
    pub(crate) database: Option<Database>,
}

impl Site {
    pub(crate) fn in_memory(framework: &'static str) -> Self {
        Self { framework, database: None }
    }

    /// `None` if there is no such database server.
    pub(crate) fn in_database(framework: &'static str, kind: Kind) -> Option<Self> {
        Some(Self { framework, database: Some(Database::create(kind)?) })
    }

    pub(crate) fn start(&self) -> Server {
        let store = self.database.as_ref().map_or("memory", |database| &database.url);
        Server::start_with(self.framework, &[("TRACKING_STORE", store)])
    }
}

pub(crate) const TOKEN: &str = "correct-horse-battery-staple";

/// Under which click ids are made.
pub(crate) const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// The server's program, in this working directory, and without the environment of the tests.
pub(crate) fn program(directory: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tracking-server"));
    command.env_clear().current_dir(directory).env("TRACKING_SECRET", SECRET);
    command
}

/// A server on a free port, in an empty working directory.
pub(crate) struct Server {
    pub(crate) process: Process,
    pub(crate) url: String,
    _directory: TempDir,
}

impl Server {
    pub(crate) fn start(framework: &str) -> Self {
        Self::start_with(framework, &[])
    }

    pub(crate) fn start_with(framework: &str, environment: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut command = program(directory.path());
        command.args(["--listen", "127.0.0.1:0", "--framework", framework]).envs(environment.iter().copied());
        let mut process = Process::start(&mut command);
        let dashboard = process.wait_for("Dashboard: ");
        let url = dashboard.strip_suffix("/dashboard").unwrap().to_owned();
        Self { process, url, _directory: directory }
    }

    /// Stops it in good order.
    pub(crate) fn stop(self) {
        self.signal(Signal::TERM);
        let (status, output) = self.finish();
        assert_eq!(status.code(), Some(0), "{output}");
        assert!(output.trim_end().ends_with("stopped"), "{output}");
    }

    pub(crate) fn address(&self) -> &str {
        self.url.strip_prefix("http://").unwrap()
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.get_with(path, None)
    }

    pub(crate) fn get_with(&self, path: &str, token: Option<&str>) -> Answer {
        get(&format!("{}{path}", self.url), token)
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.process.child), signal).unwrap();
    }

    /// Waits until it ends by itself; returns how, and all that it has written.
    pub(crate) fn finish(mut self) -> (ExitStatus, String) {
        while self.process.next_line().is_some() {}
        (self.process.child.wait().unwrap(), std::mem::take(&mut self.process.seen))
    }
}

pub(crate) fn get(url: &str, token: Option<&str>) -> Answer {
    let config = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .build();
    let mut request = ureq::Agent::new_with_config(config).get(url);
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    let (parts, mut body) = request.call().unwrap().into_parts();
    Answer(Response::from_parts(parts, body.read_to_string().unwrap()))
}

pub(crate) struct Answer(Response<String>);

impl Answer {
    pub(crate) fn status(&self) -> u16 {
        self.0.status().as_u16()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.0.headers().get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }

    pub(crate) fn text(&self) -> &str {
        self.0.body()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(self.text()).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }
}
