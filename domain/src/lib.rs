//! Box 4, Aggregate / Domain Logic, and the vocabulary that every other box shares.
//!
//! Everything here is pure: no clock, no random source, no I/O. The same code runs in the server's command service
//! and projection workers, in the browser (as WebAssembly: optimistic updates, time travel) and in the verifier (a
//! rebuilt view must equal the live one).
//!
//! | module | what it holds |
//! |---|---|
//! | [`decider`] | the [`Decider`](decider::Decider) trait: `decide` and `evolve` |
//! | [`aggregate`] | one file an aggregate: its commands, events, state and rules |
//! | [`event`] | the recorded event, its hash, and the registry of event types |
//! | [`view`] | the [`View`](view::View) trait and one file a view: keys, fold, listings |
//! | [`policy`] | the [`Policy`](policy::Policy) trait: process managers as pure functions |
//! | [`access`] | roles, and who may command and read what |
//! | [`wire`] | the JSON of the HTTP and WebSocket interfaces |
//!
//! Dependencies point inwards: nothing here knows of a server, a browser or a database.

pub mod access;
pub mod aggregate;
pub mod control_character;
pub mod decider;
pub mod event;
pub mod id;
pub mod money;
pub mod policy;
pub mod rejection;
pub mod timestamp;
pub mod token;
pub mod view;
pub mod wire;
