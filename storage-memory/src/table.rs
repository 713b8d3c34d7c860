//! Rows with two indexes on them: by key, and by time.

use std::collections::VecDeque;
use std::hash::{BuildHasher, Hash};
use std::ops::Range;

use hashbrown::{DefaultHashBuilder, HashTable};
use tracking_core::{Cursor, Timestamp};

/// What can stand in a [`Table`].
pub(crate) trait Row {
    /// What rows are looked up by.
    type Key<'a>: Hash + Eq
    where
        Self: 'a;

    fn key(&self) -> Self::Key<'_>;

    fn place(&self) -> Cursor;
}

pub(crate) struct Table<R> {
    /// Where a row was removed there is none until the next one comes.
    rows: Vec<Option<R>>,
    vacant: Vec<usize>,
    hasher: DefaultHashBuilder,
    /// In parts, because one that grows hashes all of its rows again while everybody waits.
    by_key: [HashTable<usize>; PARTS],
    /// Sorted by place, oldest first. Rows nearly always come in that order, so that this is an append.
    by_time: VecDeque<usize>,
}

const PARTS: usize = 64;

/// By bits that a [`HashTable`] makes little use of: neither the lowest, nor the seven highest.
fn part(hash: u64) -> usize {
    (hash >> 48) as usize % PARTS
}

impl<R> Default for Table<R> {
    fn default() -> Self {
        Self {
            rows: Vec::new(),
            vacant: Vec::new(),
            hasher: DefaultHashBuilder::default(),
            by_key: [const { HashTable::new() }; PARTS],
            by_time: VecDeque::new(),
        }
    }
}

/// The row of an index that is in use, which all are that the two indexes know.
#[allow(clippy::expect_used, reason = "a row is taken out of both indexes before it is removed")]
fn row<R>(rows: &[Option<R>], index: usize) -> &R {
    rows[index].as_ref().expect("an index in use")
}

impl<R: Row> Table<R> {
    pub(crate) fn len(&self) -> usize {
        self.by_time.len()
    }

    pub(crate) fn push(&mut self, new: R) {
        let place = new.place();
        let index = match self.vacant.pop() {
            Some(index) => {
                self.rows[index] = Some(new);
                index
            }
            None => {
                self.rows.push(Some(new));
                self.rows.len() - 1
            }
        };
        self.index_by_key(index);
        let at = match self.by_time.back() {
            Some(&last) if row(&self.rows, last).place() > place => self.count_before(place),
            _ => self.by_time.len(),
        };
        self.by_time.insert(at, index);
    }

    pub(crate) fn find_all<'a>(&'a self, key: R::Key<'a>) -> impl Iterator<Item = &'a R> {
        self.find_indexes(key).map(|index| row(&self.rows, index))
    }

    /// Where the rows of this key are, until the next one is added or removed.
    pub(crate) fn find_indexes<'a>(&'a self, key: R::Key<'a>) -> impl Iterator<Item = usize> {
        let hash = self.hasher.hash_one(&key);
        let same_hash = self.by_key[part(hash)].iter_hash(hash).copied();
        same_hash.filter(move |index| row(&self.rows, *index).key() == key)
    }

    pub(crate) fn row(&self, index: usize) -> &R {
        row(&self.rows, index)
    }

    /// The row at this place.
    pub(crate) fn find_at(&self, place: Cursor) -> Option<&R> {
        self.index_at(place).map(|index| self.row(index))
    }

    /// Where that row is, until the next one is added or removed.
    pub(crate) fn index_at(&self, place: Cursor) -> Option<usize> {
        self.by_time
            .binary_search_by_key(&place, |&index| row(&self.rows, index).place())
            .ok()
            .map(|at| self.by_time[at])
    }

    /// A row, of which neither key nor place must be changed.
    pub(crate) fn row_mut(&mut self, index: usize) -> Option<&mut R> {
        self.rows[index].as_mut()
    }

    /// Where the rows are that can be told by something else than their key. It looks at each.
    pub(crate) fn indexes_where(&self, is_wanted: impl Fn(&R) -> bool) -> Vec<usize> {
        self.by_time.iter().copied().filter(|index| is_wanted(row(&self.rows, *index))).collect()
    }

    /// Changes some rows and their keys.
    pub(crate) fn change(&mut self, indexes: &[usize], mut change: impl FnMut(&mut R)) {
        for &index in indexes {
            self.forget_key(index);
            if let Some(row) = &mut self.rows[index] {
                change(row);
            }
            self.index_by_key(index);
        }
    }

    /// How many rows stand before this place, the oldest first.
    pub(crate) fn count_before(&self, place: Cursor) -> usize {
        self.by_time.partition_point(|&index| row(&self.rows, index).place() < place)
    }

    /// The same with the row at this place, if there is one.
    pub(crate) fn count_through(&self, place: Cursor) -> usize {
        self.by_time.partition_point(|&index| row(&self.rows, index).place() <= place)
    }

    /// Goes through some rows, the oldest being row 0, removes those that are not to be kept, and returns the place of the
    /// last one that it has seen. Of rows that are kept the key must not change.
    pub(crate) fn retain(&mut self, range: Range<usize>, mut keep: impl FnMut(&mut R) -> bool) -> Option<Cursor> {
        let last = range.clone().next_back().map(|at| row(&self.rows, self.by_time[at]).place());
        // Those that are kept move together, to the end of the range: what is before it is little, if anything.
        let mut kept = range.end;
        for at in range.clone().rev() {
            let index = self.by_time[at];
            if self.rows[index].as_mut().is_some_and(&mut keep) {
                kept -= 1;
                self.by_time[kept] = index;
            } else {
                self.forget_key(index);
                self.rows[index] = None;
                self.vacant.push(index);
            }
        }
        self.by_time.drain(range.start..kept);
        last
    }

    /// The rows that stand before this place, back to this time.
    pub(crate) fn newest_first(&self, before: Option<Cursor>, from: Option<Timestamp>) -> impl Iterator<Item = &R> {
        let end = before.map_or(self.by_time.len(), |before| self.count_before(before));
        let start = from.map_or(0, |from| self.count_before(Cursor::after(from, 0_u64)));
        self.by_time.range(start.min(end)..end).rev().map(|&index| row(&self.rows, index))
    }

    fn index_by_key(&mut self, index: usize) {
        let Self { rows, hasher, by_key, .. } = self;
        let hash = hasher.hash_one(row(rows, index).key());
        by_key[part(hash)].insert_unique(hash, index, |&index| hasher.hash_one(row(rows, index).key()));
    }

    fn forget_key(&mut self, index: usize) {
        let hash = self.hasher.hash_one(row(&self.rows, index).key());
        if let Ok(entry) = self.by_key[part(hash)].find_entry(hash, |&other| other == index) {
            entry.remove();
        }
    }
}
