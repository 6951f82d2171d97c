//! Foldline's server, one module for each box of the architecture's diagram.

pub mod gateway;
