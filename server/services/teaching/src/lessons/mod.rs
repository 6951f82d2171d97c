//! The registry of lessons: one file for each, and its line in [`ALL`]. Its outline is in [`domain::lesson`].

mod burst;
mod cache_stampede;
mod crashed_worker;
mod deadline;
mod duplicate_delivery;
mod duplicates_counted;
mod happy_path;
mod idempotency_key;
mod last_item;
mod last_item_unchecked;
mod old_version;
mod out_of_order;
mod own_view;
mod payment_fails;
mod payment_times_out;
mod poison_event;
mod projection_lag;
mod read_your_writes;
mod rebuild;
mod tampering;

use crate::lesson::Lesson;

/// All lessons, in the order of their outlines.
pub const ALL: &[Lesson] = &[
    happy_path::LESSON,
    projection_lag::LESSON,
    read_your_writes::LESSON,
    last_item::LESSON,
    last_item_unchecked::LESSON,
    duplicate_delivery::LESSON,
    duplicates_counted::LESSON,
    out_of_order::LESSON,
    crashed_worker::LESSON,
    poison_event::LESSON,
    idempotency_key::LESSON,
    payment_fails::LESSON,
    payment_times_out::LESSON,
    deadline::LESSON,
    rebuild::LESSON,
    own_view::LESSON,
    old_version::LESSON,
    cache_stampede::LESSON,
    burst::LESSON,
    tampering::LESSON,
];

/// The lesson of this name.
pub fn find(name: &str) -> Option<&'static Lesson> {
    ALL.iter().find(|lesson| lesson.name == name)
}

#[cfg(test)]
mod tests;
