//! Box 1, Web Client: the pages, components and live stores of the user interface.
#[cfg(feature = "ssr")]
pub mod backend;
