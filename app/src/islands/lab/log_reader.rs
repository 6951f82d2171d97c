//! Reads what has been added to the log, page after page, with one request at a time: a request that is asked
//! for meanwhile follows the running one.

use domain::{
    event::RecordedEvent,
    token::ConsistencyToken,
    wire::{Page, Problem},
};
use leptos::prelude::*;

use crate::erased_effects::spawn;

/// How far the log is read. Copies share it.
#[derive(Clone, Copy)]
pub(super) struct LogReader(StoredValue<Reading>);

struct Reading {
    to: ConsistencyToken,
    is_running: bool,
    /// Whether the log may have grown since the running request.
    again: bool,
}

impl LogReader {
    /// A reader of the events after a token.
    pub(super) fn after(token: ConsistencyToken) -> Self {
        Self(StoredValue::new(Reading {
            to: token,
            is_running: false,
            again: false,
        }))
    }

    /// Reads the events that were not read yet: `fetch` asks for a page of those after a token, and `take`
    /// receives them, the oldest first; an empty page too. What cannot be read now is read with the next
    /// attempt.
    pub(super) fn read<P, F>(
        self,
        fetch: impl Fn(ConsistencyToken) -> F + 'static,
        take: impl Fn(Vec<RecordedEvent<P>>) + 'static,
    ) where
        P: 'static,
        F: Future<Output = Result<Page<RecordedEvent<P>>, Problem>> + 'static,
    {
        let reading = self.0;
        let is_running = reading.with_value(|reading| reading.is_running);
        reading.update_value(|reading| {
            reading.again = is_running;
            reading.is_running = true;
        });
        if is_running {
            return;
        }
        spawn(async move {
            loop {
                let after = reading.with_value(|reading| reading.to.clone());
                let Ok(page) = fetch(after).await else {
                    break;
                };
                let has_more = page.next.is_some();
                let again = reading.with_value(|reading| reading.again);
                reading.update_value(|reading| {
                    reading.again = false;
                    for event in &page.data {
                        reading.to.advance(event.partition, event.position);
                    }
                });
                take(page.data);
                if !has_more && !again {
                    break;
                }
            }
            reading.update_value(|reading| reading.is_running = false);
        });
    }
}
