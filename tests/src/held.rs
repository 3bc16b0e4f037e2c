//! What a house holds of the system: memory, threads, file descriptors.

use std::{fmt, fs};

use rustix::process::Pid;

/// As the kernel counts it (`proc_pid_status(5)`, `proc_pid_fd(5)`).
#[derive(Debug, Clone, Copy)]
pub struct Held {
    /// Resident, in KiB.
    pub memory_kib: u64,
    pub threads: u64,
    pub descriptors: u64,
}

impl Held {
    /// None where the process has ended.
    pub(crate) fn of(pid: Pid) -> Option<Held> {
        let folder = format!("/proc/{}", pid.as_raw_nonzero());
        let status = fs::read_to_string(format!("{folder}/status")).ok()?;
        let number = |field: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(field))?;
            line.split_whitespace().next()?.parse().ok()
        };
        let descriptors = fs::read_dir(format!("{folder}/fd")).ok()?.count() as u64;
        Some(Held { memory_kib: number("VmRSS:")?, threads: number("Threads:")?, descriptors })
    }

    /// Whether this is as much as was held before, or more by no more than so much of each.
    pub fn is_within(self, before: Held, noise: Held) -> bool {
        self.memory_kib <= before.memory_kib + noise.memory_kib
            && self.threads <= before.threads + noise.threads
            && self.descriptors <= before.descriptors + noise.descriptors
    }

    pub fn memory_mib(&self) -> u64 {
        self.memory_kib / 1024
    }
}

impl fmt::Display for Held {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Held { threads, descriptors, .. } = self;
        write!(out, "{} MiB, {threads} threads, {descriptors} descriptors", self.memory_mib())
    }
}
