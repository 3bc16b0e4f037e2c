//! How the threads of a house compete for cores.
//!
//! A thread that computes for long has a low priority, and with it a small share of a core where all compete. What it holds
//! when its core is taken (a lock of the runtime, the kernel's of the address space) is held until it has a core again. By
//! default the kernel gives out cores in slices of some milliseconds, and a small share of such slices is a long wait for
//! all who want that lock. Threads of a house ask for short slices (Linux 6.12; an older kernel knows none, and goes on as
//! it would), so that those that serve have a core when they want it, and those that compute are soon done with what they
//! hold.
//!
//! Each thread that serves keeps to a core of its own. The kernel moves threads to other cores seldom, and by the shares that
//! they have, which are small for those that compute: for tens of milliseconds all that serve can be found on one core, one
//! after the other, while a guest has the next to itself. What is not to serve runs anywhere.

use std::{
    cell::OnceCell,
    io,
    sync::{
        LazyLock,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use nix::libc::{SCHED_FLAG_KEEP_POLICY, SYS_sched_setattr, c_int, sched_attr, syscall};
use rustix::{
    process::{getpriority_process, setpriority_process},
    thread::{CpuSet, sched_getaffinity, sched_setaffinity},
};
use tokio::{
    process::{Child, Command},
    runtime::{Builder, Runtime},
};

/// The shortest slice that the kernel gives (`sched(7)`, `kernel/sched/syscalls.c`).
const SLICE: Duration = Duration::from_micros(100);

/// How much is left to the threads that serve, as a nice value: a tenth of a core for the others where all compete for it.
/// With 19 it is a hundredth, and a house that is asked as much as it can answer would not be swapped for minutes.
const NICE: i32 = 10;

/// The cores that this process was given, as they were before any of its threads kept to one. None where there are more than
/// the kernel tells of.
static GIVEN: LazyLock<Option<CpuSet>> = LazyLock::new(|| sched_getaffinity(None).ok());

/// How many cores this process has: no more than it was given, and than its share of them makes. As it was before any of its
/// threads kept to one, since the system is asked for those of the thread that asks.
#[expect(clippy::disallowed_methods, reason = "asked once, by a thread that runs anywhere")]
static CORES: LazyLock<usize> = LazyLock::new(|| thread::available_parallelism().map_or(1, usize::from));

thread_local! {
    /// The core that this thread keeps to, once it has looked for one.
    static CORE: OnceCell<Option<usize>> = const { OnceCell::new() };
}

/// The runtime of a house.
///
/// # Errors
/// When the system has no threads or descriptors for it.
pub(crate) fn runtime() -> io::Result<Runtime> {
    let cores = one_for_each();
    let taken = AtomicUsize::new(0);
    let keep_to_one = move || {
        CORE.with(|core| {
            core.get_or_init(|| {
                // A guest's first call on a thread must not find that there is no memory for this: the process would end.
                wasmtime::Engine::tls_eager_initialize();
                let core = cores.get(taken.fetch_add(1, Ordering::Relaxed)).copied();
                core.inspect(|&core| keep_to(&only(core)))
            });
        });
    };
    Builder::new_multi_thread()
        .enable_all()
        .on_thread_start(|| {
            take_short_slices();
            run_anywhere();
        })
        // Only those that serve park, not those for what blocks.
        .on_thread_park(keep_to_one)
        .build()
}

/// A core for each thread that serves; none where there are fewer such threads than cores, as in a container that has a
/// share of all of them: another container's threads would be bound to the same ones.
fn one_for_each() -> Vec<usize> {
    let Some(given) = &*GIVEN else { return Vec::new() };
    let cores: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|&core| given.is_set(core)).collect();
    // As many as tokio starts.
    if self::cores() == cores.len() { cores } else { Vec::new() }
}

/// Cores of the process, whichever thread this is.
pub(crate) fn cores() -> usize {
    *CORES
}

fn only(core: usize) -> CpuSet {
    let mut set = CpuSet::new();
    set.set(core);
    set
}

fn keep_to(cores: &CpuSet) {
    if let Err(error) = sched_setaffinity(None, cores) {
        tracing::debug!("a thread runs on the cores that it had: {error}");
    }
}

/// Has this thread run on all cores of the process, whichever thread started it.
pub(crate) fn run_anywhere() {
    if let Some(given) = &*GIVEN {
        keep_to(given);
    }
}

/// Starts a process that runs on all cores of this one, whichever thread this is.
pub(crate) fn spawn_anywhere(command: &mut Command) -> io::Result<Child> {
    let core = CORE.with(|core| core.get().copied().flatten());
    let Some(core) = core else { return command.spawn() };
    run_anywhere();
    let child = command.spawn();
    keep_to(&only(core));
    child
}

/// Has this thread, and those that it starts, leave cores to the threads that serve.
pub(crate) fn be_nice() {
    if let Err(error) = setpriority_process(None, NICE) {
        tracing::debug!("a thread that computes has the priority of all: {error}");
    }
}

/// Has this thread take cores for short slices. Where that is refused, as under a policy for real time, all is as it was.
pub(crate) fn take_short_slices() {
    if let Err(error) = set_slice() {
        tracing::debug!("a thread takes cores for as long as is usual: {error}");
    }
}

/// By `sched_setattr(2)`.
fn set_slice() -> io::Result<()> {
    let attributes = sched_attr {
        size: u32::try_from(size_of::<sched_attr>()).unwrap_or_default(),
        sched_policy: 0,
        sched_flags: u64::try_from(SCHED_FLAG_KEEP_POLICY).unwrap_or_default(),
        sched_nice: getpriority_process(None)?,
        sched_priority: 0,
        sched_runtime: u64::try_from(SLICE.as_nanos()).unwrap_or_default(),
        sched_deadline: 0,
        sched_period: 0,
    };
    let this_thread: c_int = 0;
    let flags: c_int = 0;
    // SAFETY: the kernel reads `size` bytes of `attributes`, which live until the call returns, and writes none.
    #[expect(unsafe_code, reason = "no library has a safe function for this call; see SAFETY above")]
    let result = unsafe { syscall(SYS_sched_setattr, this_thread, &raw const attributes, flags) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_kernel_takes_the_request() {
        super::set_slice().unwrap();
    }
}
