//! CSV as [RFC 4180](https://www.rfc-editor.org/rfc/rfc4180) has it, whose cells no spreadsheet takes for formulas.

use std::fmt::{Display, Write};
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use csv::{StringRecord, Terminator, WriterBuilder};
use futures_util::future::BoxFuture;
use futures_util::stream;
use http::Response;
use tracking_core::{Cursor, Limit, Page, PageRequest, StoreError, Tracker, error_chain};

use crate::answer;
use crate::chunks::{Body, Chunks};

/// A column of a table whose rows are made of `T`.
pub(crate) struct Column<T> {
    pub(crate) name: &'static str,
    /// Writes exactly one cell.
    pub(crate) write: fn(&T, &mut Row),
}

/// The row that is being written.
#[derive(Debug, Default)]
pub(crate) struct Row {
    record: StringRecord,
    cell: String,
}

/// What a spreadsheet takes for the beginning of a formula, as
/// [OWASP](https://owasp.org/www-community/attacks/CSV_Injection) lists it.
const BEGINS_FORMULA: [char; 11] = ['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠'];

/// Behind what a cell begins for a spreadsheet whose cells are separated by semicolons, as in many countries, or by tabs. It
/// does not see the quotes in the middle of what it takes for a cell, and so not that a line goes on.
const SEPARATES_ELSEWHERE: [char; 4] = [';', '\t', '\r', '\n'];

/// What it may leave out at the beginning of a cell.
const LEFT_OUT: [char; 2] = [' ', '"'];

impl Row {
    /// A cell with a text, which may be anybody's. What a spreadsheet would take for a formula gets an apostrophe in front, by
    /// which it is taken for a text; so does what it would take for one if semicolons or tabs separated the cells.
    pub(crate) fn text(&mut self, text: impl Display) {
        self.print(text);
        if self.cell.starts_with(BEGINS_FORMULA) {
            self.cell.insert(0, '\'');
        }
        if self.cell.contains(SEPARATES_ELSEWHERE) {
            self.cell = without_formulas_elsewhere(&self.cell);
        }
        self.record.push_field(&self.cell);
    }

    /// A cell with a number of ours, or with another word that nobody else could have chosen.
    pub(crate) fn number(&mut self, number: impl Display) {
        self.print(number);
        self.record.push_field(&self.cell);
    }

    /// The same, and an empty cell if there is none.
    pub(crate) fn text_if_any(&mut self, text: Option<impl Display>) {
        match text {
            Some(text) => self.text(text),
            None => self.record.push_field(""),
        }
    }

    /// The same, and an empty cell if there is none.
    pub(crate) fn number_if_any(&mut self, number: Option<impl Display>) {
        match number {
            Some(number) => self.number(number),
            None => self.record.push_field(""),
        }
    }

    fn print(&mut self, value: impl Display) {
        self.cell.clear();
        // Writing into a text does not fail; and if printing did, what there is of it is written.
        _ = write!(self.cell, "{value}");
    }
}

/// The same text with an apostrophe behind each of those separators that a formula follows.
fn without_formulas_elsewhere(text: &str) -> String {
    let mut safe = String::with_capacity(text.len() + 1);
    let mut rest = text;
    while let Some(at) = rest.find(SEPARATES_ELSEWHERE) {
        // Each of them is one byte long.
        let (done, behind) = rest.split_at(at + 1);
        safe.push_str(done);
        let cell = behind.trim_start_matches(LEFT_OUT);
        let is_one_break = done.ends_with('\r') && behind.starts_with('\n');
        // At the end a quote may follow that makes the next line a part of this cell.
        if !is_one_break && (cell.is_empty() || cell.starts_with(BEGINS_FORMULA)) {
            safe.push('\'');
        }
        rest = behind;
    }
    safe.push_str(rest);
    safe
}

/// Some lines of a file.
#[derive(Debug)]
pub(crate) struct Lines {
    writer: csv::Writer<Vec<u8>>,
    row: Row,
}

impl Lines {
    pub(crate) fn new() -> Self {
        let writer = WriterBuilder::new().terminator(Terminator::CRLF).from_writer(Vec::new());
        Self { writer, row: Row::default() }
    }

    pub(crate) fn push(&mut self, write: impl FnOnce(&mut Row)) -> io::Result<()> {
        self.row.record.clear();
        write(&mut self.row);
        self.writer.write_record(&self.row.record).map_err(io::Error::from)
    }

    pub(crate) fn finish(self) -> io::Result<Bytes> {
        self.writer.into_inner().map(Bytes::from).map_err(|error| error.into_error())
    }
}

/// Asks a tracker for a page of what a filter admits.
pub(crate) trait Ask<F, R>:
    for<'a> Fn(&'a Tracker, &'a F, PageRequest) -> BoxFuture<'a, Result<Page<R>, StoreError>> + Send + Sync + 'static
{
}

impl<F, R, A> Ask<F, R> for A where
    A: for<'a> Fn(&'a Tracker, &'a F, PageRequest) -> BoxFuture<'a, Result<Page<R>, StoreError>>
        + Send
        + Sync
        + 'static
{
}

/// A table of any length.
pub(crate) struct Table<T: 'static> {
    /// The name of the file, without its ending.
    pub(crate) name: String,
    pub(crate) columns: Vec<&'static Column<T>>,
}

/// The answer that has the whole of a list: a page after the other, each asked for when the one before has been sent. So
/// it takes the same memory whatever its length.
///
/// The first page is there before the answer begins: if it can't be had, that is an ordinary refusal.
pub(crate) async fn export<F, R, T, A, D>(
    tracker: &Arc<Tracker>,
    table: Table<T>,
    filter: F,
    ask: A,
    data: D,
) -> Result<Response<Body>, StoreError>
where
    F: Send + Sync + 'static,
    R: Send + 'static,
    A: Ask<F, R>,
    D: Fn(R) -> T + Send + Sync + 'static,
{
    let first = ask(tracker, &filter, request(None)).await?;
    let export = Export { tracker: Arc::clone(tracker), columns: table.columns, filter, ask, data };
    let chunks = stream::try_unfold((export, Next::First(first)), |(export, next)| async move {
        let (page, is_first) = match next {
            Next::First(page) => (page, true),
            Next::After(cursor) => {
                let page =
                    (export.ask)(&export.tracker, &export.filter, request(Some(cursor))).await.map_err(|error| {
                        tracing::error!(error = %error_chain(&error), "an export broke off");
                        io::Error::other("the store failed")
                    })?;
                (page, false)
            }
            Next::End => return Ok(None),
        };
        let next = page.next.map_or(Next::End, Next::After);
        let lines = export.lines(page.items, is_first)?;
        Ok(Some((lines, (export, next))))
    });
    Ok(answer::csv(&table.name, Chunks::new(chunks)))
}

/// What comes next in an export.
enum Next<R> {
    First(Page<R>),
    After(Cursor),
    End,
}

struct Export<F, T: 'static, A, D> {
    tracker: Arc<Tracker>,
    columns: Vec<&'static Column<T>>,
    filter: F,
    ask: A,
    data: D,
}

impl<F, T, A, D> Export<F, T, A, D> {
    fn lines<R>(&self, records: Vec<R>, with_header: bool) -> io::Result<Bytes>
    where
        D: Fn(R) -> T,
    {
        let mut lines = Lines::new();
        if with_header {
            lines.push(|row| self.columns.iter().for_each(|column| row.text(column.name)))?;
        }
        for record in records {
            let data = (self.data)(record);
            lines.push(|row| self.columns.iter().for_each(|column| (column.write)(&data, row)))?;
        }
        lines.finish()
    }
}

fn request(after: Option<Cursor>) -> PageRequest {
    PageRequest { limit: PAGE, after }
}

const PAGE: Limit = match Limit::new(Limit::MAX) {
    Ok(limit) => limit,
    Err(_) => panic!("the greatest limit is none"), // and this does not compile
};

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::StreamExt;
    use proptest::prelude::*;
    use storage_memory::MemoryStore;
    use tracking_core::{Secret, Timestamp};

    use super::*;

    fn written(rows: &[Vec<String>]) -> Bytes {
        let mut lines = Lines::new();
        for cells in rows {
            lines.push(|row| cells.iter().for_each(|cell| row.text(cell))).unwrap();
        }
        lines.finish().unwrap()
    }

    #[test]
    fn lines_are_those_of_the_standard() {
        let rows = [["a", "b\"c", "d,e"], ["f\r\ng", "", "ä 😀"]].map(|row| row.map(str::to_owned).to_vec());
        assert_eq!(written(&rows), "a,\"b\"\"c\",\"d,e\"\r\n\"f\r\ng\",,ä 😀\r\n");
    }

    #[test]
    fn texts_are_no_formulas_and_numbers_stay_numbers() {
        let mut lines = Lines::new();
        let texts = ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx", "'=1", "a=1", " =1", ""];
        lines.push(|row| texts.iter().for_each(|text| row.text(text))).unwrap();
        let expected = "'=1+1,'+1,'-1,'@SUM(A1),'\tx,\"'\rx\",'=1,a=1, =1,\r\n";
        assert_eq!(lines.finish().unwrap(), expected);
        let mut lines = Lines::new();
        lines.push(|row| (row.number(-1.5), row.number_if_any(None::<u8>), row.text_if_any(Some("-1.5"))).0).unwrap();
        assert_eq!(lines.finish().unwrap(), "-1.5,,'-1.5\r\n");
    }

    #[test]
    fn texts_are_no_formulas_between_semicolons_and_tabs() {
        for (text, expected) in [
            ("a;=1", "a;'=1"),
            ("a; \"=1", "a;' \"=1"),
            ("a\t+1;-1", "a\t'+1;'-1"),
            ("a;b", "a;b"),
            ("a;＝1", "a;'＝1"),
            ("a\r\n=1", "a\r\n'=1"),
            ("＝1", "'＝1"),
        ] {
            let mut row = Row::default();
            row.text(text);
            assert_eq!(&row.record[0], expected);
        }
    }

    #[tokio::test]
    async fn a_page_is_asked_for_when_the_one_before_is_taken() {
        let tracker = Arc::new(Tracker::new(MemoryStore::new(), Secret::random()));
        static COLUMNS: [Column<usize>; 1] = [Column { name: "n", write: |number, row| row.number(number) }];
        let table = Table { name: "numbers".to_owned(), columns: COLUMNS.iter().collect() };
        let asked = Arc::new(AtomicUsize::new(0));
        let response = export(
            &tracker,
            table,
            Arc::clone(&asked),
            |_, asked, request| {
                let number = asked.fetch_add(1, Ordering::Relaxed);
                let at = |number: usize| Cursor::after(Timestamp::from_millis(0).unwrap(), number as u64);
                assert_eq!(request.after, number.checked_sub(1).map(at));
                Box::pin(async move {
                    if number == 3 {
                        return Err(StoreError::unavailable("test", "gone"));
                    }
                    Ok(Page { items: vec![number], next: Some(at(number)) })
                })
            },
            |number| number,
        );
        let Body::Chunks(mut chunks) = response.await.unwrap().into_body() else { panic!("it is streamed") };
        for (times, expected) in [(1, "n\r\n0\r\n"), (2, "1\r\n"), (3, "2\r\n")] {
            assert_eq!(chunks.next().await.unwrap().unwrap(), expected);
            assert_eq!(asked.load(Ordering::Relaxed), times);
        }
        assert!(chunks.next().await.unwrap().is_err());
        assert!(chunks.next().await.is_none());
        assert_eq!(asked.load(Ordering::Relaxed), 4);
    }

    proptest! {
        #[test]
        fn what_was_written_is_read_back(
            // Two columns or more: an empty line would be none.
            rows in prop::collection::vec(prop::collection::vec("\\PC*|[=+@\\-＝;\t\r\n\"', a]{0,6}", 3), 1..5),
        ) {
            let written = written(&rows);
            let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(&*written);
            let read: Vec<StringRecord> = reader.records().collect::<Result<_, _>>().unwrap();
            prop_assert_eq!(read.len(), rows.len());
            for (cell, text) in read.iter().flatten().zip(rows.iter().flatten()) {
                // But for the apostrophes that make it safe.
                prop_assert_eq!(cell.replace('\'', ""), text.replace('\'', ""));
                if !text.contains(BEGINS_FORMULA) && !text.ends_with([';', ' ', '"']) {
                    prop_assert_eq!(cell, text);
                }
                prop_assert!(!cell.starts_with(BEGINS_FORMULA), "{:?}", cell);
            }
            for separator in [b';', b'\t'] {
                let mut reader = csv::ReaderBuilder::new();
                let mut reader = reader.has_headers(false).flexible(true).delimiter(separator).from_reader(&*written);
                for cell in reader.records().collect::<Result<Vec<_>, _>>().unwrap().iter().flatten() {
                    prop_assert!(!cell.starts_with(BEGINS_FORMULA), "{:?} in {:?}", cell, written);
                }
            }
        }
    }
}
