//! The binary `foldline`.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    server::run(std::env::args_os(), std::env::vars_os().map(|(name, _)| name)).await
}
