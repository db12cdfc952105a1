//! Pages of lists: a keyset that stays put while rows come and go.
//! Never counts further than it must.

use crate::limits::{PAGE_ROWS_DEFAULT, PAGE_ROWS_MAX, TOTAL_COUNT_EXACT_MAX};
use uuid::Uuid;

/// Where a row stands in its list: what it is sorted by, then its id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    /// What the list is sorted by, as sortable text; empty where it is sorted by age.
    pub key: String,
    /// The row's id; UUIDv7, so by age.
    pub id: Uuid,
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
    /// How many rows the whole list has, counted to one more than is told exactly.
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

    /// The page of a list whose rows come oldest first: it reads no further than the page, unless `counted`.
    ///
    /// # Errors
    /// See [`RefusedPage`].
    pub fn by_age<T>(&self, rows: impl Iterator<Item = (Uuid, T)>, counted: bool) -> Result<Page<T>, RefusedPage> {
        let rows = rows.map(|(id, row)| (Cursor { key: String::new(), id }, row));
        let (size, from_end) = self.size()?;
        if from_end || self.before.is_some() {
            return self.of(rows, false);
        }
        let (mut page, mut seen, mut has_next) = (vec![], 0, false);
        let mut has_previous = false;
        for (cursor, row) in rows {
            seen += 1;
            if self.after.as_ref().is_some_and(|after| cursor <= *after) {
                has_previous = true;
            } else if page.len() < size {
                page.push((cursor, row));
            } else {
                has_next = true;
                if !counted || seen > TOTAL_COUNT_EXACT_MAX {
                    break;
                }
            }
        }
        Ok(Page { rows: page, has_next, has_previous, total: seen })
    }
}
