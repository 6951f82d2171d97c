//! The islands of the pages of streams and events: the live tail of the log, the time line of a stream, and
//! what each handler has done with an event.

#[cfg(not(feature = "ssr"))]
mod growth;
mod handling;
mod tail;
mod time_line;
mod words;

#[cfg(not(feature = "ssr"))]
pub(super) use growth::{has_grown, now_and_then};
pub(crate) use handling::LabHandling;
pub(crate) use tail::LabTail;
pub(crate) use time_line::LabTimeLine;
#[cfg(feature = "ssr")]
pub(crate) use words::{event_name, payload_of, stream_link, summary};
