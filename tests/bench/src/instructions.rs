//! Instructions for each request, counted by `perf stat` where the machine lets it.
//!
//! perf counts for the server's processes just as long as the command that it starts runs; that command is the load, this
//! program under a hidden name. So the window is exact, and the load itself is not counted.

use std::{env, fs, path::Path, process::Command};

use anyhow::{Context, Result};

use crate::load::{Load, Until};

/// The hidden command.
pub const COMMAND: &str = "run-load";

/// Instructions in user mode: what the kernel does, such as page faults, is in the CPU time.
const EVENT: &str = "instructions:u";

/// Whether this machine counts them.
pub fn are_counted() -> bool {
    counted(Command::new("perf").args(["stat", "--field-separator=,", "--event", EVENT, "true"])).is_some()
}

/// Instructions for each of `requests` requests that the processes serve.
pub fn per_request(pids: &[u32], load: &Load, requests: usize) -> Result<f64> {
    let load = load.clone().with(load.connections, Until::Count(requests));
    let file = tempfile::NamedTempFile::new()?;
    serde_json::to_writer(&file, &load)?;
    let pids: Vec<String> = pids.iter().map(u32::to_string).collect();
    let mut perf = Command::new("perf");
    perf.args(["stat", "--field-separator=,", "--event", EVENT, "--pid", &pids.join(","), "--"]);
    perf.arg(env::current_exe()?).arg(COMMAND).arg(file.path());
    let counted = counted(&mut perf).context("perf counted no instructions")?;
    Ok(counted / requests as f64)
}

/// What the hidden command does.
pub fn run_load(file: &Path) -> Result<()> {
    let load: Load = serde_json::from_slice(&fs::read(file)?)?;
    load.run().map(drop)
}

fn counted(perf: &mut Command) -> Option<f64> {
    let output = perf.env_remove("RUST_BACKTRACE").output().ok().filter(|output| output.status.success())?;
    parse(&String::from_utf8_lossy(&output.stderr))
}

/// A line such as `1234,,instructions:u,...`; `<not supported>` stands in place of a number.
fn parse(report: &str) -> Option<f64> {
    report.lines().find(|line| line.contains(EVENT))?.split(',').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_is_told_from_none() {
        assert_eq!(parse("noise\n1234567,,instructions:u,804352,100.00,,\n"), Some(1_234_567.0));
        assert_eq!(parse("<not supported>,,instructions:u,0,100.00,,\n"), None);
    }
}
