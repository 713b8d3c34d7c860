use std::collections::BTreeMap;

use askama::Template;

use super::fields::Wrong;
use super::{assets, format};
use crate::Api;
use crate::import::Done;
use crate::viewer::Viewer;

/// The page that imports conversions.
#[derive(Debug, Template)]
#[template(path = "import.html", whitespace = "minimize")]
pub(crate) struct ImportPage<'a> {
    /// The relative path from the page to the mount point, with a slash at its end. Every link starts so.
    pub(crate) root: &'a str,
    /// Who looks at it.
    pub(crate) viewer: Viewer,
    /// What the form says.
    pub(crate) text: &'a str,
    /// Why nothing of that was imported.
    pub(crate) wrong: Wrong<'a>,
    /// What has become of each line.
    pub(crate) done: Option<&'a [Done]>,
}

impl ImportPage<'_> {
    /// The HTML document.
    pub(crate) fn render(&self) -> Result<String, askama::Error> {
        Template::render(self)
    }

    /// How many lines had which outcome, and whether that was taken.
    fn outcomes(&self, done: &[Done]) -> Vec<(&'static str, bool, u64)> {
        let mut counts = BTreeMap::new();
        for done in done {
            let (_, count) = counts.entry(done.outcome).or_insert((done.status.is_success(), 0));
            *count += 1;
        }
        counts.into_iter().map(|(outcome, (is_taken, count))| (outcome, is_taken, count)).collect()
    }

    fn title(&self, done: &[Done]) -> String {
        match done.len() {
            0 => "There were no lines".to_owned(),
            1 => "1 line".to_owned(),
            count => format!("{} lines", format::grouped(count as u64)),
        }
    }

    fn max_megabytes(&self) -> usize {
        Api::MAX_IMPORT_LEN / (1024 * 1024)
    }

    fn max_kilobytes(&self) -> usize {
        Api::MAX_BODY_LEN / 1024
    }
}
