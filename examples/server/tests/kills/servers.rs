//! Server processes, each at an address of its own that outlives it.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use tempfile::TempDir;

use crate::process::Process;
use crate::random::Random;

const FRAMEWORKS: [&str; 2] = ["warp", "rocket"];

/// A `tracking-server` on this database.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    database_url: String,
    /// Its working directory, in which there is no `.env`.
    directory: TempDir,
    /// How often it was started: the frameworks take turns.
    starts: usize,
    process: Option<Process>,
}

impl Server {
    /// The first of several starts on warp, the next one on Rocket.
    pub(crate) fn start(index: usize, database_url: &str, random: &mut Random) -> Self {
        let (address, directory) = (free_address(random), tempfile::tempdir().unwrap());
        let mut server =
            Self { address, database_url: database_url.to_owned(), directory, starts: index, process: None };
        server.start_again();
        server.process.as_mut().unwrap().wait_for("Dashboard: ");
        server
    }

    pub(crate) fn kill(&mut self) {
        // Dropped, it is killed by SIGKILL, and waited for.
        self.process = None;
    }

    /// Starts it, on the other framework and the same address, and does not wait for it.
    pub(crate) fn start_again(&mut self) {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_tracking-server"));
        command.env_clear().current_dir(self.directory.path());
        command.args(["--listen", &self.address.to_string(), "--framework", FRAMEWORKS[self.starts % 2]]);
        command.env("TRACKING_STORE", &self.database_url);
        self.starts += 1;
        self.process = Some(Process::start(&mut command));
    }

    /// What it has said of errors since its last start.
    pub(crate) fn complaints(&mut self) -> String {
        let Some(mut process) = self.process.take() else { return String::new() };
        // Its pipes end with it.
        _ = process.child.kill();
        while process.next_line().is_some() {}
        process.seen.lines().filter(|line| line.contains("ERROR")).take(10).collect::<Vec<_>>().join("\n")
    }
}

/// A port that stays free while the server is down: below those that the system gives to clients, of whom one could
/// otherwise get it, or even connect to itself.
fn free_address(random: &mut Random) -> SocketAddr {
    loop {
        let address = (Ipv4Addr::LOCALHOST, 10_000 + random.below(22_000) as u16).into();
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}
