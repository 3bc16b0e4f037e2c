//! The memory of a house, as the kernel counts it (`proc_pid_status(5)`, `proc_pid_clear_refs(5)`).

use std::fs;

use rustix::process::Pid;

/// In KiB.
#[derive(Debug, Clone, Copy)]
pub struct Memory {
    /// Resident.
    pub now_kib: u64,
    /// The most since the start, or since [`Memory::reset_peak`].
    pub peak_kib: u64,
    /// Private mappings that may be written, resident or not.
    pub data_kib: u64,
}

impl Memory {
    pub(crate) fn of(pid: Pid) -> Memory {
        let path = format!("/proc/{}/status", pid.as_raw_nonzero());
        let status = fs::read_to_string(path).expect("the status of the house");
        let kib = |field: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(field)).expect("a field of status");
            line.trim_start_matches(':').trim().trim_end_matches(" kB").parse().expect("a number of kB")
        };
        Memory { now_kib: kib("VmRSS"), peak_kib: kib("VmHWM"), data_kib: kib("VmData") }
    }

    /// Makes the kernel count the peak anew.
    pub fn reset_peak(pid: Pid) {
        fs::write(format!("/proc/{}/clear_refs", pid.as_raw_nonzero()), "5").expect("the peak is reset");
    }
}
