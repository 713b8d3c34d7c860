//! A process that lives no longer than its test.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::Duration;

/// Far more than anything here takes: a test that waits this long has failed.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Process {
    pub(crate) child: Child,
    /// All that it has written and that was read, on stdout and stderr.
    pub(crate) seen: String,
    lines: Receiver<String>,
}

impl Process {
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?} can't be started: {error}"));
        let (sender, lines) = mpsc::channel();
        pass_on(child.stdout.take().unwrap(), sender.clone());
        pass_on(child.stderr.take().unwrap(), sender);
        Self { child, seen: String::new(), lines }
    }

    /// The next line that it writes; `None` when it has ended.
    pub(crate) fn next_line(&mut self) -> Option<String> {
        match self.lines.recv_timeout(PATIENCE) {
            Ok(line) => {
                self.seen.push_str(&line);
                self.seen.push('\n');
                Some(line)
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => None,
            Err(mpsc::RecvTimeoutError::Timeout) => panic!("nothing more came after:\n{}", self.seen),
        }
    }

    /// Reads on until `text` has come, and returns the rest of its line.
    pub(crate) fn wait_for(&mut self, text: &str) -> String {
        let rest = |line: &str| line.split_once(text).map(|(_, rest)| rest.trim().to_owned());
        // stdout and stderr come in any order.
        let mut found = self.seen.lines().find_map(rest);
        while found.is_none() {
            let Some(line) = self.next_line() else { panic!("it ended before it said {text:?}:\n{}", self.seen) };
            found = rest(&line);
        }
        found.unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

fn pass_on(pipe: impl Read + Send + 'static, sender: Sender<String>) {
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
}
