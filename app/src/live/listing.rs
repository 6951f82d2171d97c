//! One live listing: the rows of a snapshot, and the changes after it. Rows enter, move and leave by their
//! sort key and, among equals, by their key; folding a change twice, or an older one, does nothing.
//!
//! The server sends changes for the whole group. A row that sorts behind the last one shown, while the server
//! has more, is left to the next page; so a page that is added must be at least as new as what is shown
//! ([`ListingFold::extend`] refuses others).

use std::cmp::Ordering;

use domain::{
    token::ConsistencyToken,
    wire::{ListingAnswer, Order, Row, ServerFrame, SnapshotData},
};
use serde_json::Value;

use super::{Millis, progress::Progress};

/// The most rows of a listing, so that a page that stays open for days does not grow without end.
pub const MAX_ROWS: usize = 1_000;

/// A row of a live listing.
#[derive(Debug, Clone, PartialEq)]
pub struct LiveRow {
    /// The document's key.
    pub key: String,
    /// What it is sorted by.
    pub sort: String,
    /// The document.
    pub data: Value,
    /// The number of changes since the page was opened; each one highlights the row.
    pub revision: u32,
}

impl From<Row> for LiveRow {
    fn from(row: Row) -> Self {
        Self {
            key: row.key,
            sort: row.sort,
            data: row.data,
            revision: 0,
        }
    }
}

/// A listing at the newest change that the socket has delivered.
#[derive(Debug, Clone, PartialEq)]
pub struct ListingFold {
    order: Order,
    rows: Vec<LiveRow>,
    next: Option<String>,
    /// The progress of the subscription.
    pub progress: Progress,
}

impl ListingFold {
    /// Starts from the answer to a query.
    pub fn new(order: Order, answer: ListingAnswer) -> Self {
        let ListingAnswer {
            data,
            next,
            as_of,
            behind,
            generation,
            ..
        } = answer;
        let rows = data.into_iter().map(LiveRow::from).collect();
        Self {
            order,
            rows,
            next,
            progress: Progress::at(as_of, generation, behind),
        }
    }

    /// The rows, in order.
    pub fn rows(&self) -> &[LiveRow] {
        &self.rows
    }

    /// The row of a document.
    pub fn row(&self, key: &str) -> Option<&LiveRow> {
        self.rows.iter().find(|row| row.key == key)
    }

    /// The cursor of the next page, where there is one.
    pub fn next(&self) -> Option<&str> {
        self.next.as_deref()
    }

    /// Folds one frame of its subscription. True if the rows or their freshness have changed.
    pub fn apply(&mut self, frame: ServerFrame, now: Millis) -> bool {
        match frame {
            ServerFrame::Snapshot {
                as_of,
                generation,
                behind,
                data,
                next,
                ..
            } => {
                let rows = match data {
                    SnapshotData::Rows(rows) => rows,
                    SnapshotData::Document(_) => Vec::new(),
                };
                *self = Self::new(
                    self.order,
                    ListingAnswer {
                        data: rows,
                        next,
                        previous: None,
                        as_of,
                        behind,
                        generation,
                    },
                );
                self.progress.follow();
                true
            }
            ServerFrame::Change {
                as_of,
                key,
                data,
                sort,
                event,
                ..
            } => {
                let new = self.progress.advance(&as_of, &event, &key);
                if new {
                    self.change(key, data, sort);
                }
                new
            }
            ServerFrame::CaughtUp { as_of, .. } => {
                self.progress.caught_up(as_of);
                true
            }
            ServerFrame::Behind {
                behind,
                behind_ms,
                paused,
                ..
            } => {
                self.progress.fell_behind(behind, behind_ms, paused, now);
                true
            }
            ServerFrame::Hops { .. }
            | ServerFrame::Dials { .. }
            | ServerFrame::Invariants { .. }
            | ServerFrame::Class { .. }
            | ServerFrame::Result { .. }
            | ServerFrame::Error { .. }
            | ServerFrame::Moved { .. }
            | ServerFrame::Ping => false,
        }
    }

    fn change(&mut self, key: String, data: Option<Value>, sort: Option<String>) {
        let was = self
            .rows
            .iter()
            .position(|row| row.key == key)
            .map(|at| self.rows.remove(at));
        let Some(data) = data else { return };
        let (sort, revision) = match (sort, was) {
            (Some(sort), Some(was)) => (sort, was.revision + 1),
            (None, Some(was)) => (was.sort, was.revision + 1),
            (Some(sort), None) => (sort, 1),
            (None, None) => return,
        };
        let row = LiveRow {
            key,
            sort,
            data,
            revision,
        };
        let index = self
            .rows
            .partition_point(|other| self.compare(other, &row) == Ordering::Less);
        if index == self.rows.len() && self.next.is_some() {
            return;
        }
        self.rows.insert(index, row);
        self.rows.truncate(MAX_ROWS);
    }

    /// Adds the next page. False if the page is older than the rows shown and must be requested again:
    /// changes to its rows have been skipped in the meantime.
    pub fn extend(&mut self, page: ListingAnswer) -> bool {
        if !page.as_of.covers(self.progress.as_of()) {
            return false;
        }
        for row in page.data {
            if self.row(&row.key).is_none() {
                self.rows.push(row.into());
            }
        }
        self.next = page.next;
        true
    }

    /// The position that a further page must have reached.
    pub fn as_of(&self) -> &ConsistencyToken {
        self.progress.as_of()
    }

    fn compare(&self, a: &LiveRow, b: &LiveRow) -> Ordering {
        let ascending = (&a.sort, &a.key).cmp(&(&b.sort, &b.key));
        match self.order {
            Order::Asc => ascending,
            Order::Desc => ascending.reverse(),
        }
    }
}

#[cfg(test)]
mod tests {
    use domain::wire::ChangeCause;
    use serde_json::json;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    fn answer(as_of: &str, rows: &[(&str, &str)], next: Option<&str>) -> ListingAnswer {
        let row = |(key, sort): &(&str, &str)| Row {
            key: (*key).into(),
            sort: (*sort).into(),
            data: json!(0),
        };
        ListingAnswer {
            data: rows.iter().map(row).collect(),
            next: next.map(str::to_owned),
            previous: None,
            as_of: as_of.parse().unwrap(),
            behind: 0,
            generation: 1,
        }
    }

    fn newest_first(next: Option<&str>) -> ListingFold {
        ListingFold::new(Order::Desc, answer("0:3", &[("c", "3"), ("b", "2")], next))
    }

    fn change(as_of: &str, key: &str, data: Option<Value>, sort: Option<&str>) -> ServerFrame {
        let as_of: ConsistencyToken = as_of.parse().unwrap();
        let event = ChangeCause {
            id: uuid::Uuid::from_u128(as_of.position(0).into()),
            event_type: "OrderCreated".into(),
            partition: 0,
            position: as_of.position(0),
        };
        ServerFrame::Change {
            id: 1,
            as_of,
            key: key.into(),
            data,
            sort: sort.map(str::to_owned),
            event,
        }
    }

    fn keys(fold: &ListingFold) -> String {
        fold.rows().iter().map(|row| row.key.as_str()).collect()
    }

    #[test]
    fn a_new_row_is_inserted_in_order() {
        let mut fold = newest_first(None);
        assert!(fold.apply(change("0:4", "d", Some(json!(1)), Some("4")), 0));
        assert!(fold.apply(change("0:5", "a", Some(json!(1)), Some("2")), 0));
        assert_eq!(keys(&fold), "dcba");
        assert_eq!(fold.row("d").unwrap().revision, 1);
    }

    #[test]
    fn a_changed_row_moves_and_one_that_left_is_gone() {
        let mut fold = newest_first(None);
        fold.apply(change("0:4", "b", Some(json!(1)), Some("9")), 0);
        assert_eq!(keys(&fold), "bc");
        fold.apply(change("0:5", "c", None, None), 0);
        assert_eq!(keys(&fold), "b");
    }

    #[test]
    fn the_same_change_again_and_an_older_one_do_nothing() {
        let mut fold = newest_first(None);
        assert!(fold.apply(change("0:4", "d", Some(json!(1)), Some("4")), 0));
        let once = fold.clone();
        assert!(!fold.apply(change("0:4", "d", Some(json!(1)), Some("4")), 0));
        assert!(!fold.apply(change("0:3", "c", None, None), 0));
        assert_eq!(fold, once);
    }

    #[test]
    fn what_sorts_behind_the_last_row_waits_for_the_next_page() {
        let mut fold = newest_first(Some("after b"));
        fold.apply(change("0:4", "a", Some(json!(1)), Some("1")), 0);
        assert_eq!(keys(&fold), "cb");
        assert!(
            !fold.extend(answer("0:3", &[("a", "1")], None)),
            "the page is older than the change"
        );
        assert!(fold.extend(answer("0:4", &[("b", "2"), ("a", "1")], None)));
        assert_eq!((keys(&fold), fold.next()), ("cba".to_owned(), None));
    }

    #[test]
    fn a_snapshot_replaces_everything() {
        let mut fold = newest_first(Some("after b"));
        let snapshot = ServerFrame::Snapshot {
            id: 1,
            as_of: "0:1".parse().unwrap(),
            generation: 2,
            behind: 4,
            data: SnapshotData::Rows(vec![Row {
                key: "z".into(),
                sort: "1".into(),
                data: json!(1),
            }]),
            next: None,
        };
        assert!(fold.apply(snapshot, 0));
        assert_eq!(
            (keys(&fold), fold.progress.generation(), fold.progress.behind()),
            ("z".into(), 2, 4)
        );
    }

    #[test]
    fn a_listing_has_a_maximum_number_of_rows() {
        let mut fold = newest_first(None);
        for n in 0..MAX_ROWS as u64 + 5 {
            let at = n + 10;
            fold.apply(
                change(
                    &format!("0:{at}"),
                    &format!("k{at}"),
                    Some(json!(1)),
                    Some(&format!("{at:09}")),
                ),
                0,
            );
        }
        assert_eq!(fold.rows().len(), MAX_ROWS);
    }
}
