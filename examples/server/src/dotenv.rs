//! Settings from a file `.env` in the working directory.

use std::cell::Cell;
use std::io::{self, Read};

use thiserror::Error;

const FILE: &str = ".env";

#[derive(Debug, Error)]
pub(crate) enum DotenvError {
    #[error("can't read the settings in {FILE}")]
    Unreadable(#[source] io::Error),
    // The line itself may hold a secret, so that dotenvy's own error, which repeats it, is not passed on.
    #[error("{FILE}, line {line}: expected NAME=value, with quotes around a value that has spaces or quotes in it")]
    Malformed { line: usize },
}

/// Adds to the environment what the file says, unless it is set there already. Without a file nothing happens.
pub(crate) fn load() -> Result<(), DotenvError> {
    let text = match std::fs::read_to_string(FILE) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(DotenvError::Unreadable(error)),
    };
    // The environment can't hold it, and dotenvy would panic.
    if let Some(line) = text.lines().position(|line| line.contains('\0')) {
        return Err(DotenvError::Malformed { line: line + 1 });
    }
    let read = Cell::new(0);
    dotenvy::Iter::new(LineByLine { rest: text.as_bytes(), read: &read }).load().map_err(|error| match error {
        dotenvy::Error::LineParse(entry, _) => {
            DotenvError::Malformed { line: (read.get() + 1).saturating_sub(entry.lines().count().max(1)) }
        }
        dotenvy::Error::Io(error) => DotenvError::Unreadable(error),
        _ => DotenvError::Malformed { line: read.get() },
    })
}

/// Gives one line at a time and counts them, because dotenvy does not say where an error is.
struct LineByLine<'a> {
    rest: &'a [u8],
    read: &'a Cell<usize>,
}

impl Read for LineByLine<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let line = self.rest.iter().position(|byte| *byte == b'\n').map_or(self.rest.len(), |end| end + 1);
        let (mut now, rest) = self.rest.split_at(line.min(buffer.len()));
        let len = now.read(buffer)?;
        self.rest = rest;
        if len == line && len > 0 {
            self.read.set(self.read.get() + 1);
        }
        Ok(len)
    }
}
