//! Teaching: what predicts, acts and shows on a workspace, beside the pipeline and never inside it.
//!
//! Everything here reaches the pipeline through the real API ([`api`]), as every other client does.
//!
//! | module | content |
//! |---|---|
//! | [`api`] | the port to the API of this server |
//! | [`bots`] | simulated shoppers for a small class |
//! | [`lesson`] | what a lesson is: steps that ask, act and show |
//! | [`lessons`] | one file for each lesson, and their registry |
//! | [`stage`] | the sandbox of a run, as the acts of a lesson reach it |
//! | [`runs`] | the runs of lessons: their phases, and what is stored of them |

pub mod api;
pub mod bots;
pub mod lesson;
pub mod lessons;
pub mod runs;
pub mod stage;
