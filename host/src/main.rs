//! The `guesthouse` command: exit status 0 done, 1 failed, 2 wrong usage.

use std::process::ExitCode;

/// A tenth cheaper for fresh instances than the system's, and gives back what a flood of requests has taken
/// (`cargo run --release -p bench -- --case hello-fresh`).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    guesthouse::cli::main()
}
