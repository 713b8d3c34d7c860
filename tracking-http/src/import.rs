//! An advertiser's file of conversions: each line is judged and answered as a postback is.

use std::collections::HashSet;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use bytes::buf::Reader;
use bytes::{Buf, Bytes};
use csv::{ByteRecord, ReaderBuilder};
use futures_util::future::join_all;
use futures_util::{StreamExt, stream};
use http::request::Parts;
use http::{Response, StatusCode};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tracking_core::{ConversionId, OutcomeKind, Parameters, Tracker};

use crate::body::{CSV, media_type, unsupported, whole};
use crate::chunks::{Body, Chunks};
use crate::csv::Lines;
use crate::postback::{IMPORTED, shown};
use crate::refusal::{Header, Refusal, answer_postback, postback_status};
use crate::{Api, BodyError, answer};

/// How many lines are in progress at once.
const AT_ONCE: usize = 64;

/// How many files are imported at once.
pub(crate) const FILES_AT_ONCE: usize = 2;

/// For how long the server may be able to send nothing more of an answer before its import loses the turn to somebody else.
/// What was sent may still be on its way, or in a buffer: when it is read can't be told from here.
const PATIENCE: Duration = Duration::from_secs(60);

/// Whose turn it is to import a file.
#[derive(Debug)]
pub(crate) struct Turns {
    free: Arc<Semaphore>,
    /// Imports that go on as their answers are read.
    read: Mutex<Vec<Weak<Reading>>>,
}

impl Turns {
    pub(crate) fn new() -> Self {
        Self { free: Arc::new(Semaphore::new(FILES_AT_ONCE)), read: Mutex::default() }
    }

    /// A turn, which lasts until it is dropped.
    fn begin(&self) -> Result<OwnedSemaphorePermit, Refusal> {
        let free = Arc::clone(&self.free).try_acquire_owned().ok();
        free.or_else(|| self.end_the_one_left_longest()).ok_or_else(|| {
            let message = format!(
                "There are {FILES_AT_ONCE} files being imported, and no more are at once. Nothing of this one was taken: send it \
                 again in half a minute."
            );
            Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "imports_busy", message).header(Header::RetryAfterSeconds(30))
        })
    }

    /// The turn of the import whose reader has taken nothing for the longest time, if that is too long.
    fn end_the_one_left_longest(&self) -> Option<OwnedSemaphorePermit> {
        let read: Vec<Arc<Reading>> = lock(&self.read).iter().filter_map(Weak::upgrade).collect();
        let mut left: Vec<_> = read.iter().filter_map(|reading| Some((reading.waits_since()?, reading))).collect();
        left.sort_by_key(|(since, _)| *since);
        // Whoever reads on meanwhile is not left any more.
        let import = left.into_iter().find_map(|(_, reading)| reading.end_if_left())?;
        tracing::warn!(
            "an import has ended before the end of its file: nobody went on reading its answer, and another one begins"
        );
        Some(import.turn)
    }

    /// An import that goes on as its answer is read.
    fn read(&self, import: Import) -> Arc<Reading> {
        let reading =
            Arc::new(Reading(Mutex::new(Progress::Waits { import: Box::new(import), since: Instant::now() })));
        let mut read = lock(&self.read);
        read.retain(|other| other.strong_count() > 0);
        read.push(Arc::downgrade(&reading));
        reading
    }
}

/// An import whose answer is being read.
struct Reading(Mutex<Progress>);

enum Progress {
    /// For the reader, who has not asked for the next part since then.
    Waits { import: Box<Import>, since: Instant },
    /// Lines are being taken, for the next part.
    Goes,
    /// Another file has its turn.
    Ended,
}

impl Reading {
    /// The import, to go on with it; `None` if it has ended.
    fn go(&self) -> Option<Box<Import>> {
        let mut progress = lock(&self.0);
        match std::mem::replace(&mut *progress, Progress::Goes) {
            Progress::Waits { import, .. } => Some(import),
            other => {
                *progress = other;
                None
            }
        }
    }

    /// Lines were taken, and the reader gets what has become of them.
    fn wait(&self, import: Box<Import>) {
        *lock(&self.0) = Progress::Waits { import, since: Instant::now() };
    }

    /// Since when the reader has not asked for the next part; `None` if that is not what it waits for.
    fn waits_since(&self) -> Option<Instant> {
        match &*lock(&self.0) {
            Progress::Waits { since, .. } => Some(*since),
            Progress::Goes | Progress::Ended => None,
        }
    }

    /// The import, which has come to its end, if nobody has read on for too long. Lines that are being taken are finished.
    fn end_if_left(&self) -> Option<Box<Import>> {
        let mut progress = lock(&self.0);
        if !matches!(&*progress, Progress::Waits { since, .. } if since.elapsed() >= PATIENCE) {
            return None;
        }
        match std::mem::replace(&mut *progress, Progress::Ended) {
            Progress::Waits { import, .. } => Some(import),
            Progress::Goes | Progress::Ended => None,
        }
    }
}

/// Nothing panics while it is held.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Begins an import. The answer has a line for each line of the file, in the same order, as they are done: it goes on as it is
/// read, and ends if nobody reads on while another file wants its turn.
pub(crate) fn begin(
    tracker: &Arc<Tracker>,
    turns: &Turns,
    request: &Parts,
    body: Result<Bytes, BodyError>,
) -> Result<Response<Body>, Refusal> {
    let body = whole(body, Api::MAX_IMPORT_LEN)?;
    if !media_type(request).eq_ignore_ascii_case(CSV) {
        return Err(unsupported("Send a table, with the header Content-Type: text/csv."));
    }
    let mut file = File::open(body)?;
    let reading = if file.has_line() {
        Some(turns.read(Import { tracker: Arc::clone(tracker), file, turn: turns.begin()? }))
    } else {
        None
    };
    let rest = stream::try_unfold(reading, |reading| async move {
        let Some(reading) = reading else { return Ok(None) };
        let Some(mut import) = reading.go() else {
            let problem = "nobody went on reading the answer of an import, and another file has its turn";
            return Err(io::Error::new(io::ErrorKind::TimedOut, problem));
        };
        let lines = import.file.next_lines();
        let done = written(&join_all(lines.into_iter().map(|line| take(&import.tracker, line))).await)?;
        if !import.file.has_line() {
            // Nothing is left to be ended: the turn is free, however long the reader takes for what there is.
            return Ok(Some((done, None)));
        }
        reading.wait(import);
        Ok(Some((done, Some(reading))))
    });
    Ok(answer::csv("import", Chunks::new(stream::once(async { header() }).chain(rest))))
}

/// Imports a file that is short enough for its result to be shown on a page.
pub(crate) async fn all(tracker: &Tracker, turns: &Turns, text: &str) -> Result<Vec<Done>, Refusal> {
    let mut file = File::open(Bytes::copy_from_slice(text.as_bytes()))?;
    let _turn = turns.begin()?;
    let mut done = Vec::new();
    loop {
        let lines = file.next_lines();
        if lines.is_empty() {
            return Ok(done);
        }
        let mut taken = Vec::with_capacity(lines.len());
        for line in lines {
            taken.push(take(tracker, line));
        }
        done.extend(join_all(taken).await);
    }
}

struct Import {
    tracker: Arc<Tracker>,
    file: File,
    /// Until the last line was taken, or whoever reads the answer has gone, or has stopped reading it.
    turn: OwnedSemaphorePermit,
}

/// The lines of a file that are still to be taken.
struct File {
    reader: csv::Reader<Reader<Bytes>>,
    columns: Vec<&'static str>,
    ends: LineEnds,
    /// The line that has been read, and has to wait for the ones before.
    next: Option<Line>,
}

/// A line, by its number in the file, with what stands in it, or why it can't be read.
struct Line {
    number: u64,
    parameters: Result<Parameters<'static>, String>,
}

impl Line {
    fn click_id(&self) -> Option<&str> {
        self.parameters.as_ref().ok()?.text("click_id").ok()?
    }
}

impl File {
    /// Reads the header, which says what the columns are.
    fn open(body: Bytes) -> Result<Self, Refusal> {
        let body = if body.starts_with(BYTE_ORDER_MARK) { body.slice(BYTE_ORDER_MARK.len()..) } else { body };
        let ends = LineEnds { file: body.clone(), counted: 0, count: 0 };
        let mut reader = ReaderBuilder::new().has_headers(false).flexible(true).from_reader(body.reader());
        let mut header = ByteRecord::new();
        if !matches!(reader.read_byte_record(&mut header), Ok(true)) {
            return Err(unfit("It is empty: its first line has to name the columns."));
        }
        let (mut columns, mut unknown) = (Vec::new(), Vec::new());
        for cell in &header {
            let name = String::from_utf8_lossy(cell);
            match IMPORTED.iter().find(|known| **known == name.trim()) {
                Some(name) => columns.push(*name),
                None => unknown.push(shown(name.trim()).to_owned()),
            }
        }
        if !unknown.is_empty() {
            let known = IMPORTED.join(", ");
            return Err(unfit(&format!(
                "It has unknown columns: {}. Those that there are: {known}.",
                unknown.join(", ")
            )));
        }
        if let Some(repeated) = columns.iter().enumerate().find(|(index, name)| columns[..*index].contains(*name)) {
            return Err(unfit(&format!("It has the column {} more than once.", repeated.1)));
        }
        if !columns.contains(&"click_id") {
            return Err(unfit("It has no column click_id."));
        }
        Ok(Self { reader, columns, ends, next: None })
    }

    /// The next lines that may be taken in any order: what is said of one click is taken in the order of the file, so that a
    /// refund finds its sale.
    fn next_lines(&mut self) -> Vec<Line> {
        let mut lines = Vec::new();
        let mut clicks = HashSet::new();
        while lines.len() < AT_ONCE
            && let Some(line) = self.next.take().or_else(|| self.read())
        {
            if let Some(click_id) = line.click_id()
                && !clicks.insert(click_id.to_owned())
            {
                self.next = Some(line);
                break;
            }
            lines.push(line);
        }
        lines
    }

    /// Whether a line is left.
    fn has_line(&mut self) -> bool {
        self.next = self.next.take().or_else(|| self.read());
        self.next.is_some()
    }

    /// The next line; `None` at the end of the file.
    fn read(&mut self) -> Option<Line> {
        let mut record = ByteRecord::new();
        // Any bytes are a table of bytes, and those of a body don't fail to be read.
        if !matches!(self.reader.read_byte_record(&mut record), Ok(true)) {
            return None;
        }
        let start = record.position().map_or(0, csv::Position::byte);
        let number = self.ends.before(usize::try_from(start).unwrap_or(usize::MAX)) + 1;
        Some(Line { number, parameters: self.parameters(&record) })
    }

    fn parameters(&self, record: &ByteRecord) -> Result<Parameters<'static>, String> {
        if record.len() != self.columns.len() {
            let (cells, columns) = (record.len(), self.columns.len());
            return Err(format!("The line has {cells} cells, and the header has {columns} columns."));
        }
        let cells = self.columns.iter().zip(record).filter(|(_, cell)| !cell.is_empty());
        let read = |(name, cell): (&&'static str, &[u8])| match std::str::from_utf8(cell) {
            Ok(text) => Ok((*name, text.to_owned())),
            Err(_) => Err(format!("{name} is not valid: it is no UTF-8.")),
        };
        cells.map(read).collect()
    }
}

/// With which spreadsheets begin a file to say that it is UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Counts the lines of a file as an editor does, with those that are empty, and those within a cell.
struct LineEnds {
    file: Bytes,
    /// Up to this byte.
    counted: usize,
    count: u64,
}

impl LineEnds {
    /// How many lines end before the one that a record stands in. The reader has it begin where the record before ends.
    fn before(&mut self, start: usize) -> u64 {
        let is_end = |byte: Option<&u8>| matches!(byte, Some(b'\r' | b'\n'));
        while self.counted < start || is_end(self.file.get(self.counted)) {
            let (byte, next) = (self.file.get(self.counted), self.file.get(self.counted + 1));
            let Some(byte) = byte else { break };
            self.count += u64::from(*byte == b'\n' || (*byte == b'\r' && next != Some(&b'\n')));
            self.counted += 1;
        }
        self.count
    }
}

/// What has become of a line.
#[derive(Debug)]
pub(crate) struct Done {
    /// Its number in the file.
    pub(crate) line: u64,
    /// A stable name for machines.
    pub(crate) outcome: &'static str,
    /// With which a postback would have been answered.
    pub(crate) status: StatusCode,
    /// What happened, and what to do about it.
    pub(crate) message: String,
    /// The conversion that it stands for, or that it is in conflict with.
    pub(crate) conversion_id: Option<ConversionId>,
}

async fn take(tracker: &Tracker, line: Line) -> Done {
    let Line { number: line, parameters } = line;
    let parameters = match parameters {
        Ok(parameters) => parameters,
        Err(message) => {
            let kind = OutcomeKind::InvalidParameter;
            return Done { line, outcome: kind.code(), status: postback_status(kind), message, conversion_id: None };
        }
    };
    let (code, answer) = match tracker.import_conversion(&parameters).await {
        Ok(outcome) => (outcome.code(), answer_postback(outcome)),
        // The next line may have more luck.
        Err(error) => ("", Err(Refusal::of_repeatable(error))),
    };
    match answer {
        Ok(answer) => {
            let conversion_id = Some(answer.data.conversion_id);
            Done { line, outcome: code, status: StatusCode::OK, message: answer.message, conversion_id }
        }
        Err(refusal) => {
            let Refusal { status, code, message, recorded, .. } = refusal;
            let conversion_id = recorded.map(|recorded| recorded.conversion_id);
            Done { line, outcome: code, status, message, conversion_id }
        }
    }
}

fn header() -> io::Result<Bytes> {
    let mut lines = Lines::new();
    lines.push(|row| {
        ["line", "outcome", "status", "message", "conversion_id"].iter().for_each(|name| row.text(name));
    })?;
    lines.finish()
}

fn written(done: &[Done]) -> io::Result<Bytes> {
    let mut lines = Lines::new();
    for Done { line, outcome, status, message, conversion_id } in done {
        lines.push(|row| {
            row.number(line);
            row.text(outcome);
            row.number(status.as_u16());
            row.text(message);
            row.number_if_any(*conversion_id);
        })?;
    }
    lines.finish()
}

fn unfit(problem: &str) -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, "invalid_body", format!("The file can't be imported. {problem}"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]
mod tests {
    use storage_memory::MemoryStore;
    use tracking_core::Secret;

    use super::*;

    fn numbers(lines: &[Line]) -> Vec<u64> {
        lines.iter().map(|line| line.number).collect()
    }

    fn waiting(turns: &Turns) -> Arc<Reading> {
        let file = File::open("click_id\na\n".into()).unwrap();
        let tracker = Arc::new(Tracker::new(MemoryStore::new(), Secret::random()));
        turns.read(Import { tracker, file, turn: turns.begin().unwrap() })
    }

    #[tokio::test(start_paused = true)]
    async fn lines_that_are_being_taken_are_finished() {
        let turns = Turns::new();
        let (first, second) = (waiting(&turns), waiting(&turns));
        let [taken, other] = [&first, &second].map(|reading| reading.go().unwrap());
        tokio::time::advance(PATIENCE * 10).await;
        assert!(turns.begin().is_err(), "both of them have lines that are being taken");
        first.wait(taken);
        second.wait(other);
        tokio::time::advance(PATIENCE - Duration::from_millis(1)).await;
        assert!(turns.begin().is_err(), "each reader has a while for each part");
        let taken = second.go().unwrap();
        tokio::time::advance(Duration::from_millis(1)).await;
        let third = turns.begin().unwrap();
        assert!(first.go().is_none() && turns.begin().is_err(), "one turn was to be had");
        second.wait(taken);
        let taken = second.go().unwrap();
        assert!(turns.begin().is_err(), "it goes on, as does the third one");
        drop(third);
        let fourth = turns.begin().unwrap();
        assert!(turns.begin().is_err());
        drop(taken);
        assert!(turns.begin().is_ok());
        drop(fourth);
        assert!(first.go().is_none(), "it does not begin again");
    }

    #[test]
    fn lines_of_one_click_wait_for_each_other() {
        let mut file = File::open("click_id,status\na,\nb,\n\na,rejected\nc,\nb,rejected\n".into()).unwrap();
        assert_eq!(numbers(&file.next_lines()), [2, 3]);
        assert_eq!(numbers(&file.next_lines()), [5, 6, 7]);
        assert!(file.next_lines().is_empty());
    }

    #[test]
    fn no_more_lines_than_that_are_taken_at_once() {
        let lines: String = (0..100).map(|number| format!("c{number}\r\n")).collect();
        let mut file = File::open(format!("click_id\r\n{lines}").into()).unwrap();
        assert_eq!(numbers(&file.next_lines()), (2..66).collect::<Vec<_>>());
        assert_eq!(numbers(&file.next_lines()), (66..102).collect::<Vec<_>>());
        assert!(file.next_lines().is_empty());
    }

    #[test]
    fn lines_are_numbered_as_an_editor_does() {
        let file = "\u{feff}click_id , sub1\r\n\r\n\"a\",\"two\r\nlines\"\r\n\r\n\r\nb,x\r\nc";
        let mut file = File::open(file.into()).unwrap();
        let lines = file.next_lines();
        assert_eq!(numbers(&lines), [3, 7, 8]);
        assert_eq!(lines[0].click_id(), Some("a"));
        assert!(lines[2].parameters.is_err());
    }
}
