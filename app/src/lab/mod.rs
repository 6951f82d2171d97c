//! The lab's model: what the map, the split view and a recording show, as pure functions over hops and
//! events. It knows no browser and no clock, so that all of it is tested natively; instants come in as
//! arguments.
//!
//! [`hop_log`] keeps the hops of a session, and [`schedule`] lays them out on a stretched time axis on which
//! a person can follow them. [`event_log`] keeps the events of the workspace, [`time_travel`] folds them to
//! the documents of any moment, [`folding`] are the questions by which a page asks for these, and
//! [`difference`] compares two of them. [`timeline`] joins both axes for sliders and steps, and [`playback`]
//! is where on it a person is. [`figures`] has the numbers at the boxes, [`staleness`] how far views were
//! behind the log, and [`recording`] reads and writes the file of a run. [`dials`] says what is bent, and
//! [`handlers`] how event handlers are doing. [`class`] reads what a class is asked and has answered.
//! [`lessons`] says how far a learner is in a lesson, and [`own_views`] what one enters to define a view.
//! [`log_filter`] selects events by the address of a page, [`stream_state`] folds the aggregate of a stream,
//! and [`sealed`] finds personal texts that the log has encrypted.
//!
//! A *moment* is a [`Timestamp`](domain::timestamp::Timestamp) on the axis of the schedule. It is the
//! servers' time, except that a run of hops takes longer than it did. A *count* of events is a place in the
//! log: the documents after so many events.

pub mod class;
pub mod dials;
pub mod difference;
pub mod event_log;
pub mod figures;
pub mod folding;
pub mod handlers;
pub mod hop_log;
pub mod lessons;
pub mod log_filter;
pub mod own_views;
pub mod playback;
pub mod recording;
pub mod schedule;
pub mod sealed;
pub mod staleness;
pub mod stream_state;
pub mod time_travel;
pub mod timeline;
