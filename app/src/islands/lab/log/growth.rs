//! Learns that the log has grown: by the hops of appended events, and by asking now and then where no hop
//! says so, because the lab may be full, or a hop be lost.

use std::time::Duration;

use domain::wire::{Arrow, Hop, LabTopic, MergedHops, ServerFrame};
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
        if has_grown(&data, &merged, dropped) {
            read();
        }
    });
    effect(read);
    now_and_then(read);
}

/// Whether the log may have grown, according to a frame of hops: the servers count what they cannot send.
pub(in crate::islands::lab) fn has_grown(hops: &[Hop], merged: &[MergedHops], dropped: u64) -> bool {
    let has_appended = hops.iter().any(|hop| hop.arrow == Arrow::AppendEvents);
    has_appended || !merged.is_empty() || dropped > 0
}

/// Calls `read` now and then while the page is visible.
pub(in crate::islands::lab) fn now_and_then(read: impl Fn() + Copy + 'static) {
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
