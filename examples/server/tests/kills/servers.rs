//! Server processes, each at an address of its own that outlives it.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::{Command, ExitStatus};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::process::Process;
use crate::random::Random;

/// The first of several starts is on the first one.
pub(crate) const FRAMEWORKS: [&str; 2] = ["warp", "rocket"];

/// Under which all of them make click ids.
pub(crate) const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// A `tracking-server` on this database.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    database_url: String,
    /// How many clicks may wait for the database; the default if nothing is said.
    queue: Option<usize>,
    /// Its working directory, in which there is no `.env`.
    directory: TempDir,
    /// How often it was started: the frameworks take turns.
    starts: usize,
    process: Option<Process>,
}

impl Server {
    /// The first of several starts on warp, the next one on Rocket.
    pub(crate) fn start(index: usize, database_url: &str, queue: Option<usize>, random: &mut Random) -> Self {
        let (address, directory) = (free_address(random), tempfile::tempdir().unwrap());
        let database_url = database_url.to_owned();
        let mut server = Self { address, database_url, queue, directory, starts: index, process: None };
        server.start_again();
        server.wait_for("Dashboard: ");
        server
    }

    /// Waits until it says so.
    pub(crate) fn wait_for(&mut self, text: &str) {
        self.process.as_mut().unwrap().wait_for(text);
    }

    pub(crate) fn kill(&mut self) {
        // Dropped, it is killed by SIGKILL, and waited for.
        self.process = None;
    }

    /// Starts it, on the other framework and the same address, and does not wait for it.
    pub(crate) fn start_again(&mut self) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tracking-server"));
        command.env_clear().current_dir(self.directory.path());
        command.args(["--listen", &self.address.to_string(), "--framework", FRAMEWORKS[self.starts % 2]]);
        command.env("TRACKING_STORE", &self.database_url).env("TRACKING_SECRET", SECRET);
        if let Some(queue) = self.queue {
            command.env("TRACKING_LINK_QUEUE", queue.to_string());
        }
        self.starts += 1;
        self.process = Some(Process::start(&mut command));
    }

    /// Asks it to stop.
    pub(crate) fn terminate(&self) {
        kill_process(Pid::from_child(&self.process.as_ref().unwrap().child), Signal::TERM).unwrap();
    }

    /// Waits until it ends by itself; returns how, and all that it has written.
    pub(crate) fn finish(&mut self) -> (ExitStatus, String) {
        let mut process = self.process.take().unwrap();
        while process.next_line().is_some() {}
        (process.child.wait().unwrap(), std::mem::take(&mut process.seen))
    }

    /// How much memory it has, in kilobytes. Only Linux tells.
    pub(crate) fn memory(&self) -> u64 {
        let pid = self.process.as_ref().unwrap().child.id();
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        resident.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
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
