//! The class of a workspace: what an educator shows it, which dials are handed out, and who is there.
//!
//! Questions and answers are events and a view; this is the part that is not history. It is stored like the
//! dials, in the process store, and told to the other servers. Who is there is known by the open live
//! sockets of each server.
//!
//! | module | content |
//! |---|---|
//! | `keeper` | the stored class, its changes, and the other servers |
//! | `people` | the people whom this server has seen, and their open sockets |
//! | `record` | what is stored, and the class at one moment |

mod keeper;
mod people;
mod record;

pub use keeper::{ClassError, ClassKeeper, ClassPresence, ClassSubscription, NameSeals};
pub use record::{ClassNow, ClassRecord, PersonNow};
