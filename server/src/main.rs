//! The binary `foldline`.

use std::process::ExitCode;

/// A request is allocated on one thread and freed on another, thousands of times a second. The system's
/// allocator spent a seventh of an order's time with that, and kept the memory.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    server::run(std::env::args_os(), std::env::vars_os().map(|(name, _)| name)).await
}
