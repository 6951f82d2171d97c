//! Gateway: everything that arrives over HTTP and WebSocket.

pub mod assets;
