//! Learns that the log has grown: by the hops of appended events, and by asking now and then where no hop
//! says so, because the lab may be full, or a hop be lost.

use std::time::Duration;

use domain::wire::{Arrow, LabTopic, ServerFrame};
use leptos::prelude::*;

use crate::{erased_effects::effect, live::store::follow_lab};

/// How often the log is read where no hop says that it has grown.
const PATIENCE: Duration = Duration::from_secs(2);

/// Calls `read` after hydration, whenever the log may have grown, and now and then while the page is visible.
pub(super) fn on_growth(read: impl Fn() + Copy + 'static) {
    follow_lab(LabTopic::Hops, move |frame| {
        let ServerFrame::Hops {
            data,
            merged,
            dropped,
            ..
        } = frame
        else {
            return;
        };
        let has_grown = data.iter().any(|hop| hop.arrow == Arrow::AppendEvents);
        if has_grown || !merged.is_empty() || dropped > 0 {
            read();
        }
    });
    effect(read);
    now_and_then(read);
}

/// Calls `read` now and then while the page is visible.
pub(super) fn now_and_then(read: impl Fn() + Copy + 'static) {
    let read = move || {
        if !document().hidden() {
            read();
        }
    };
    effect(move || {
        // It runs as long as the page is open.
        let _ = set_interval_with_handle(read, PATIENCE);
    });
}
