//! Dials: how an educator bends the pipeline of a workspace. The boxes do not know them: each offers a seam,
//! a trait that is wrapped here, or the controls of its lanes.
//!
//! | module | content |
//! |---|---|
//! | `board` | the present dials of every bent workspace, in memory |
//! | `broker` | the message broker |
//! | `cache` | the cache |
//! | `clock` | the workspace's clock |
//! | `hold` | waits that end with the dial that asked for them |
//! | `keeper` | the stored dials, their changes, and the other servers |
//! | `lanes` | the lanes of event handlers |
//! | `line` | the lines to the clients of live sockets |
//! | `mail` | the mail server, or the folder in its place |
//! | `payment` | the payment provider |
//! | `race_window` | the window between a decision and its append |
//! | `replay` | side effects of a rebuild |
//! | `store` | the guarantees of the log |

pub mod board;
pub mod broker;
pub mod cache;
pub mod clock;
mod hold;
pub mod keeper;
pub mod lanes;
pub mod line;
pub mod mail;
pub mod payment;
mod race_window;
pub mod replay;
pub mod store;

pub use board::{Bent, DialBoard, DialFollower};
pub use keeper::{Bender, DialError, DialKeeper, DialSubscription};
