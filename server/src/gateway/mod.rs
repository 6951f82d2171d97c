//! Box 2, API Gateway: authenticates requests and routes commands.

pub mod assets;
