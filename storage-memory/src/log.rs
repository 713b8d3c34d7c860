//! The postback log.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Bound;

use tracking_core::{ClickId, Cursor, Page, PageRequest, Postback, PostbackFilter, Timestamp};

/// Postbacks in the order of lists. A filter that lets few through goes past all the others.
#[derive(Default)]
pub(crate) struct Log(BTreeMap<Cursor, Postback>);

impl Log {
    pub(crate) fn add(&mut self, postbacks: Vec<Postback>) {
        for postback in postbacks {
            self.0.entry(postback.cursor()).or_insert(postback);
        }
    }

    pub(crate) fn page(&self, filter: &PostbackFilter, request: PageRequest) -> Page<Postback> {
        // No id is 0, so that this place is before all of its time.
        let start = |time| Cursor::after(time, 0_u64);
        let from = filter.from.map(start);
        let ends = [request.after, filter.to.map(start)];
        let before = ends.into_iter().flatten().min().map_or(Bound::Unbounded, Bound::Excluded);
        let newest_first = self.0.range((Bound::Unbounded, before)).rev();
        let rows = newest_first
            .take_while(|(place, _)| from.is_none_or(|from| **place >= from))
            .map(|(_, postback)| postback)
            .filter(|postback| filter.admits(postback))
            .take(request.limit.as_usize() + 1);
        Page::from_one_more(rows.cloned().collect(), request.limit, Postback::cursor)
    }

    pub(crate) fn purge(&mut self, before: Timestamp, keep: u64) {
        self.0 = self.0.split_off(&Cursor::after(before, 0_u64));
        while self.0.len() as u64 > keep {
            self.0.pop_first();
        }
    }

    pub(crate) fn erase(&mut self, click_id: &ClickId, replacement: &ClickId) {
        for postback in self.0.values_mut().filter(|postback| postback.click_id.as_ref() == Some(click_id)) {
            *postback = postback.anonymous(replacement.clone());
        }
    }
}

/// How much there is, and not all of it.
impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Log").field("postbacks", &self.0.len()).finish()
    }
}
