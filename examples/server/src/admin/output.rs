//! How records are told: as aligned text for people, or as lines of JSON.

use std::fmt::Display;
use std::io::{self, Write};

use serde::Serialize;

use super::AdminError;

/// How records are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Text,
    /// One record a line.
    Json,
}

/// Records under a head, column by column.
pub(super) struct Table<const COLUMNS: usize> {
    head: [&'static str; COLUMNS],
    rows: Vec<[String; COLUMNS]>,
}

impl<const COLUMNS: usize> Table<COLUMNS> {
    pub(super) const fn new(head: [&'static str; COLUMNS]) -> Self {
        Self { head, rows: Vec::new() }
    }

    pub(super) fn push(&mut self, row: [String; COLUMNS]) {
        self.rows.push(row);
    }

    pub(super) fn print(self) {
        print(&self.text());
    }

    fn text(self) -> String {
        let head = self.head.map(str::to_owned);
        aligned(std::iter::once(head).chain(self.rows).collect())
    }
}

/// What there is to tell of one record: names, and what they stand for.
pub(super) fn print_fields<const FIELDS: usize>(fields: [(&'static str, String); FIELDS]) {
    print(&aligned(fields.into_iter().map(|(name, value)| [name.to_owned(), value]).collect()));
}

pub(super) fn print_json(record: &impl Serialize) -> Result<(), AdminError> {
    print_line(serde_json::to_string(record)?);
    Ok(())
}

pub(super) fn print_line(line: impl Display) {
    print(&format!("{line}\n"));
}

/// For whoever sits before the screen, apart from what may be piped on.
pub(super) fn note(line: impl Display) {
    _ = writeln!(io::stderr().lock(), "{line}");
}

fn print(text: &str) {
    // Nobody may be listening; that is no reason to fail.
    _ = io::stdout().lock().write_all(text.as_bytes());
}

/// Two blanks between columns, and none at the end of a line.
fn aligned<const COLUMNS: usize>(rows: Vec<[String; COLUMNS]>) -> String {
    let mut widths = [0; COLUMNS];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |row: &[String; COLUMNS]| {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
        let line = cells.collect::<Vec<_>>().join("  ");
        format!("{}\n", line.trim_end())
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::new(["ID", "NAME", "STATUS"]);
        table.push(["7".to_owned(), "Trail & Summit".to_owned(), "active".to_owned()]);
        table.push(["1234".to_owned(), "Åsa".to_owned(), String::new()]);
        assert_eq!(table.text(), "ID    NAME            STATUS\n7     Trail & Summit  active\n1234  Åsa\n");
    }
}
