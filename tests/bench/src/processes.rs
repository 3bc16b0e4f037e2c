//! What the kernel counts for processes: CPU time and memory (`proc_pid_stat(5)`, `proc_pid_smaps(5)`).

use std::{fs, time::Duration};

use anyhow::{Context, Result};

/// Clock ticks a second in `/proc/PID/stat`: `USER_HZ`, part of Linux' interface to programs.
const TICKS: f64 = 100.0;

/// CPU time in user and kernel mode of one process, with all its threads.
pub fn cpu_time(pid: u32) -> Result<Duration> {
    let path = format!("/proc/{pid}/stat");
    let stat = fs::read_to_string(&path).with_context(|| path.clone())?;
    let ticks = ticks(&stat).with_context(|| format!("{path} says something else than it should"))?;
    Ok(Duration::from_secs_f64(ticks as f64 / TICKS))
}

/// The sum of `utime` and `stime`, fields 14 and 15. The name of the program, field 2, may hold anything.
fn ticks(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut fields = fields.split(' ').skip(11);
    let (user, system): (u64, u64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some(user + system)
}

/// The process and all that come from it.
pub fn with_descendants(pid: u32) -> Vec<u32> {
    let parents: Vec<(u32, u32)> = fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let child: u32 = entry.file_name().to_str()?.parse().ok()?;
            let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
            let (_, fields) = stat.rsplit_once(") ")?;
            Some((child, fields.split(' ').nth(1)?.parse().ok()?))
        })
        .collect();
    let mut family = vec![pid];
    let mut next = 0;
    while let Some(parent) = family.get(next).copied() {
        family.extend(parents.iter().filter(|(_, of)| *of == parent).map(|(child, _)| *child));
        next += 1;
    }
    family
}

/// Memory of one process or several, in KiB.
#[derive(Debug, Clone, Copy, Default)]
pub struct Memory {
    /// Resident memory, where a page that several processes map counts for each by its share.
    pub pss_kib: f64,
    /// Resident memory that is no file's: the heap, stacks, and pages of files that were written to.
    pub anonymous_kib: f64,
}

impl Memory {
    pub fn of(pids: &[u32]) -> Result<Memory> {
        let mut memory = Memory::default();
        for pid in pids {
            let path = format!("/proc/{pid}/smaps_rollup");
            let rollup = fs::read_to_string(&path).with_context(|| path.clone())?;
            memory.pss_kib += field(&rollup, "Pss:").with_context(|| format!("{path} has no Pss"))?;
            memory.anonymous_kib +=
                field(&rollup, "Anonymous:").with_context(|| format!("{path} has no Anonymous"))?;
        }
        Ok(memory)
    }
}

fn field(rollup: &str, name: &str) -> Option<f64> {
    rollup.lines().find_map(|line| line.strip_prefix(name))?.trim().trim_end_matches(" kB").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_is_read_past_a_name_with_spaces_and_brackets() {
        let stat = "42 (a (b) c) S 1 42 42 0 -1 4194304 1 2 3 4 150 50 9 9 20 0 3 0 1 1 1";
        assert_eq!(ticks(stat), Some(200));
        assert_eq!(ticks("42 (a"), None);
    }

    #[test]
    fn memory_is_read_by_name() {
        let rollup =
            "0-1 ---p 0 [rollup]\nRss: 9 kB\nPss:        1234 kB\nPss_Dirty: 1 kB\nAnonymous:   56 kB\n";
        assert_eq!((field(rollup, "Pss:"), field(rollup, "Anonymous:")), (Some(1234.0), Some(56.0)));
        assert_eq!(field(rollup, "Swap:"), None);
    }
}
