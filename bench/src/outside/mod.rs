//! Servers in processes of their own, measured from outside: their clients are here, beside them, on the same
//! cores. Floors are servers too, with the same runtime and the same clients, so that neither side has a
//! scheduler to itself.

mod floor_server;
mod foldline;
mod http;
mod process;
mod socket;
mod storefront;

pub(crate) use floor_server::{FloorServer, serve as serve_floor};
pub(crate) use foldline::{Foldline, Storage};
pub(crate) use http::Connection;
pub(crate) use process::{ServerProcess, raise_descriptors};
pub(crate) use socket::Socket;
pub(crate) use storefront::{Storefront, send, sku};
