//! Foldline's server: the boxes of the diagram, wired in the diagram's order.

pub mod clock;

pub mod gateway;

pub mod command;

pub mod event_store;

pub mod broker;

pub mod projection;

pub mod read_model;

pub mod cache;

pub mod query;
pub mod read_side;

pub mod monitor;
