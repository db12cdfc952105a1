//! Pages of lists: a keyset that stays put while rows come and go.
//! Never counts further than it must.

use crate::{
    domain::lookup::Ages,
    limits::{PAGE_ROWS_DEFAULT, PAGE_ROWS_MAX, TOTAL_COUNT_EXACT_MAX},
};
use uuid::Uuid;

/// Where a row stands in its list: what it is sorted by, then its id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    /// What the list is sorted by, as sortable text; empty where it is sorted by age.
    pub key: String,
    /// The row's id; UUIDv7, so by age.
    pub id: Uuid,
}

impl Cursor {
    /// The place of a row in a list that is sorted by age.
    pub(super) const fn at(id: Uuid) -> Self {
        Self { key: String::new(), id }
    }
}

/// Which page.
#[derive(Clone, Debug, Default)]
pub struct PageRequest {
    /// The first so many rows.
    pub first: Option<i32>,
    /// The last so many rows.
    pub last: Option<i32>,
    /// Rows after this one.
    pub after: Option<Cursor>,
    /// Rows before this one.
    pub before: Option<Cursor>,
}

/// One page.
#[derive(Clone, Debug)]
pub struct Page<T> {
    /// The rows, in the list's order.
    pub rows: Vec<(Cursor, T)>,
    /// Whether there are rows after the last.
    pub has_next: bool,
    /// Whether there are rows before the first.
    pub has_previous: bool,
    /// How many rows the whole list has, counted to one more than is told exactly; 0 where nobody asked.
    pub total: usize,
}

/// A page that cannot be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RefusedPage {
    /// A size that is negative or too large.
    #[error("first and last lie between 0 and {PAGE_ROWS_MAX}")]
    Size,
    /// Both ends at once.
    #[error("name first or last, not both")]
    BothEnds,
}

impl PageRequest {
    /// How many rows, and whether from the end.
    pub(super) fn size(&self) -> Result<(usize, bool), RefusedPage> {
        let rows = |rows: i32| usize::try_from(rows).ok().filter(|rows| *rows <= PAGE_ROWS_MAX);
        match (self.first, self.last) {
            (Some(_), Some(_)) => Err(RefusedPage::BothEnds),
            (Some(first), None) => Ok((rows(first).ok_or(RefusedPage::Size)?, false)),
            (None, Some(last)) => Ok((rows(last).ok_or(RefusedPage::Size)?, true)),
            (None, None) => Ok((PAGE_ROWS_DEFAULT, false)),
        }
    }

    /// The page of a list whose rows come in no particular order.
    ///
    /// # Errors
    /// See [`RefusedPage`].
    pub fn of<T>(&self, rows: impl Iterator<Item = (Cursor, T)>, descending: bool) -> Result<Page<T>, RefusedPage> {
        let (size, from_end) = self.size()?;
        let mut all: Vec<(Cursor, T)> = rows.collect();
        all.sort_by(|(a, _), (b, _)| if descending { b.cmp(a) } else { a.cmp(b) });
        let total = all.len().min(TOTAL_COUNT_EXACT_MAX + 1);
        let precedes = |a: &Cursor, b: &Cursor| if descending { a > b } else { a < b };
        let begin = self.after.as_ref().map_or(0, |after| all.partition_point(|(row, _)| !precedes(after, row)));
        let end =
            self.before.as_ref().map_or(all.len(), |before| all.partition_point(|(row, _)| precedes(row, before)));
        let end = end.max(begin);
        let (begin, end) = if from_end {
            (end.saturating_sub(size).max(begin), end)
        } else {
            (begin, begin.saturating_add(size).min(end))
        };
        let (has_previous, has_next) = (begin > 0, end < all.len());
        let rows = all.into_iter().skip(begin).take(end - begin).collect();
        Ok(Page { rows, has_next, has_previous, total })
    }

    /// The page of a short list, oldest first.
    ///
    /// # Errors
    /// See [`RefusedPage`].
    pub fn by_age<T>(&self, rows: impl Iterator<Item = (Uuid, T)>) -> Result<Page<T>, RefusedPage> {
        self.of(rows.map(|(id, row)| (Cursor::at(id), row)), false)
    }

    /// The page of a list that may be long, by age: `rows` answers any stretch of it, and no more is read than the
    /// page and the row behind it. Counted, the list is read as far as it is counted exactly.
    ///
    /// # Errors
    /// See [`RefusedPage`].
    pub fn along<T, I: Iterator<Item = (Uuid, T)>>(
        &self,
        newest_first: bool,
        counted: bool,
        rows: impl Fn(Ages) -> I,
    ) -> Result<Page<T>, RefusedPage> {
        let (size, from_end) = self.size()?;
        let (after, before) = (self.after.as_ref().map(|row| row.id), self.before.as_ref().map(|row| row.id));
        let total = if counted { rows(Ages::ALL).take(TOTAL_COUNT_EXACT_MAX + 1).count() } else { 0 };
        let (older, younger) = if newest_first { (before, after) } else { (after, before) };
        let mut walked = rows(Ages { newest_first: from_end != newest_first, ..Ages::between(older, younger) });
        let mut page: Vec<_> = walked.by_ref().take(size).map(|(id, row)| (Cursor::at(id), row)).collect();
        let more = walked.next().is_some();
        if from_end {
            page.reverse();
        }
        let older = older.is_some_and(|id| rows(Ages::up_to(id)).next().is_some());
        let younger = younger.is_some_and(|id| rows(Ages::from(id)).next().is_some());
        let (ahead, behind) = if newest_first { (younger, older) } else { (older, younger) };
        let (has_previous, has_next) = if from_end { (more || ahead, behind) } else { (ahead, more || behind) };
        Ok(Page { rows: page, has_next, has_previous, total })
    }
}
