//! What all pages of lists have in common.
//! Never counts rows that the caller may not read.

use super::call::encode_cursor;
use crate::{app::Page, limits::TOTAL_COUNT_EXACT_MAX};
use async_graphql::SimpleObject;

/// Where a page stands in its list.
#[derive(SimpleObject)]
pub(super) struct PageInfo {
    /// Whether there are rows after the last of the page.
    has_next_page: bool,
    /// Whether there are rows before the first of the page.
    has_previous_page: bool,
    /// The cursor of the first row.
    start_cursor: Option<String>,
    /// The cursor of the last row.
    end_cursor: Option<String>,
}

impl PageInfo {
    pub(super) fn of<T>(page: &Page<T>) -> Self {
        let cursor = |row: Option<&(crate::app::Cursor, T)>| row.map(|(cursor, _)| encode_cursor(cursor));
        Self {
            has_next_page: page.has_next,
            has_previous_page: page.has_previous,
            start_cursor: cursor(page.rows.first()),
            end_cursor: cursor(page.rows.last()),
        }
    }
}

/// How many rows a list has.
#[derive(SimpleObject)]
pub(super) struct TotalCount {
    /// The number of rows, up to 1,000.
    count: usize,
    /// Whether there are more than 1,000: then `count` says 1,000.
    is_more: bool,
}

impl TotalCount {
    pub(super) fn of(total: usize) -> Self {
        Self { count: total.min(TOTAL_COUNT_EXACT_MAX), is_more: total > TOTAL_COUNT_EXACT_MAX }
    }
}
