//! A Galera cluster of three nodes.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/galera");

/// It ends with this value, or with the process.
pub(crate) struct Cluster {
    script: Child,
    directory: TempDir,
    /// Without a database.
    pub(crate) urls: Vec<String>,
}

impl Cluster {
    pub(crate) fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut command = Command::new(SCRIPT);
        command.arg("start").arg(directory.path()).arg("--while-stdin").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut script = command.spawn().unwrap();
        let lines = BufReader::new(script.stdout.take().unwrap()).lines();
        let urls: Vec<String> = lines.map_while(Result::ok).take(3).collect();
        assert_eq!(urls.len(), 3, "the cluster does not start");
        Self { script, directory, urls }
    }

    /// Kills a node by SIGKILL.
    pub(crate) fn kill(&self, node: usize) {
        self.run("kill", node);
    }

    /// Starts a node again, and waits until it is in sync with the others.
    pub(crate) fn rejoin(&self, node: usize) {
        self.run("start-node", node);
    }

    fn run(&self, command: &str, node: usize) {
        // Not `output`: the node inherits the pipes, and outlives the script.
        let mut command_line = Command::new(SCRIPT);
        command_line.arg(command).arg(self.directory.path()).arg((node + 1).to_string());
        let status = command_line.stdin(Stdio::null()).stdout(Stdio::null()).status().unwrap();
        assert!(status.success(), "scripts/galera {command} {}", node + 1);
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // Closes its stdin.
        _ = self.script.wait();
    }
}
