//! Box 4, Aggregate / Domain Logic, and the vocabulary that all boxes share.
//!
//! Everything here is pure: no clock, no random source, no I/O. The same code runs in the server's command
//! service and projection workers, in the browser (as WebAssembly: optimistic updates, time travel) and in
//! the verifier (a rebuilt view must equal the live one).
//!
//! | module | content |
//! |---|---|
//! | [`access`] | actors and their roles |
//! | [`parse_error`] | what parsers say of an input, without the input |
//! | [`command_type`], [`event_type`] | the declaration of an aggregate's commands and events |
//! | [`language`] | the languages that a person may choose |
//! | `script` | the scripts of letters in new names and addresses |
//! | [`visible_text`] | names as one line of visible text, and prose |
//! | [`reason`] | the reasons that the shop itself gives, as events store them |
//! | [`decider`] | the [`Decider`](decider::Decider) trait: the initial state, `decide` and `evolve` |
//! | [`aggregate`] | one file for each aggregate: commands, events, state, rules; the registry of commands |
//! | [`authorization`] | which role may send which command and read which view |
//! | [`event`] | the recorded event, its hash, and the registry of events |
//! | [`view`] | the [`View`](view::View) trait and one file for each view: keys, fold, listings |
//! | [`policy`] | the [`Policy`](policy::Policy) trait: process managers as pure functions |
//! | [`lesson`] | the outlines of lessons: their steps and questions |
//! | [`wire`] | the JSON of the HTTP and WebSocket interfaces |
//! | [`replay`] | the command of a person behind an event |
//!
//! Dependencies point inwards: this crate knows no server, browser or database. Within it, they point up this
//! table: a module uses those above it, and no two files use each other except a module and its parts.

pub mod access;
pub mod aggregate;
pub mod authorization;
pub mod command_type;
pub mod control_character;
pub mod decider;
pub mod event;
pub mod event_type;
pub mod id;
pub mod language;
pub mod lesson;
pub mod money;
pub mod parse_error;
pub mod payment_method;
pub mod policy;
pub mod reason;
pub mod rejection;
pub mod replay;
mod script;
pub mod timestamp;
pub mod token;
pub mod view;
pub mod visible_text;
pub mod wire;
