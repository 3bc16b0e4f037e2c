//! How the engines are configured, the same in the process that compiles and in the one that serves.

use std::time::Duration;

use anyhow::{Context, Result};
use wasmtime::{Config, Enabled, InstanceAllocationStrategy, PoolingAllocationConfig};

/// Instances, memories, tables and stacks that can live at once over all apps of one engine. Slots are address space, not
/// memory: each linear memory reserves 4 GiB of the 128 TiB that a process has, and touches nothing until it is used.
const SLOTS: u32 = 4_000;
/// Those of them that apps share. The others are for the first instances of each generation (`slots`).
pub(super) const SLOTS_SHARED: usize = 3_000;
/// Memories that a component may have: each takes a slot in each instance.
pub(super) const MEMORIES_MAX: u32 = 16;
/// Core instances and tables for each component instance: a Python component is made of a dozen core modules.
pub(super) const CORES_PER_SLOT: u32 = 8;
/// Core instances that a component may have, and tables.
const CORES_MAX: u32 = 128;
/// What a slot keeps of the memory that its last instance wrote, for the next one to write again without page faults.
/// It is overwritten with the image (or zeros) when the instance ends; what is beyond it goes back to the system.
const MEMORY_KEPT_BYTES: usize = 2 << 20;
/// What all unused slots of an engine keep together; what was not used for the longest time goes first (a change of
/// `vendor/wasmtime`). A house has an engine for each [`Concurrency`].
const MEMORY_KEPT_TOGETHER_BYTES: usize = 64 << 20;
/// How long a slot keeps it where it is not used. It is looked at when others are given back.
const MEMORY_KEPT_FOR: Duration = Duration::from_secs(30);
/// What a table keeps. Tables are small: giving one back costs more than clearing it.
const TABLE_KEPT_BYTES: usize = 64 << 10;
/// What a stack keeps: about what a small app uses. The first slots of each core keep all of it (`vendor/README.md`).
const STACK_KEPT_BYTES: usize = 32 << 10;
/// Slots that stay as a module's last instance left them, for its next one, before those of others are taken instead of new
/// ones. With few of them, apps that are asked in turn would take them from each other, and each request would map its app's
/// memory anew (`cargo run --release -p bench -- --case many-apps`). With more, those of Python apps would leave too few of
/// the mappings that a process may have (`vm.max_map_count`): each has some thirty, and the guards of stacks have 16,000.
const SLOTS_WARM: u32 = 1_200;

/// Whether guests of an engine may be asynchronous components (WASI 0.3).
///
/// wasmtime keeps account of tasks and threads for these with every call from and to the host, which makes instances
/// dearer (`cargo run --release -p bench -- --case hello-fresh` shows it, with `Off` changed to `On` in `either`). A
/// component that is not asynchronous has an engine without that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Concurrency {
    Off,
    On,
}

/// The configuration of an engine that runs guests.
pub(super) fn serving(concurrency: Concurrency) -> Config {
    let mut config = compiling(concurrency);
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool()));
    config
}

/// That of an engine that compiles for it: all on which code depends.
pub(super) fn compiling(concurrency: Concurrency) -> Config {
    let concurrent = concurrency == Concurrency::On;
    let mut config = Config::new();
    config
        .wasm_component_model(true)
        .concurrency_support(concurrent)
        .wasm_component_model_async(concurrent)
        .wasm_component_model_async_stackful(concurrent)
        .wasm_multi_memory(true)
        .epoch_interruption(true)
        .memory_init_cow(true)
        // Nothing unwinds through guests by native means, and registering unwind information for each module makes
        // every backtrace a linear search through all of them.
        .native_unwind_info(false);
    config
}

fn pool() -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(SLOTS)
        .total_core_instances(SLOTS * CORES_PER_SLOT)
        .total_memories(SLOTS)
        .total_tables(SLOTS * CORES_PER_SLOT)
        .total_stacks(SLOTS)
        .max_component_instance_size(4 << 20)
        .max_core_instance_size(4 << 20)
        .max_core_instances_per_component(CORES_MAX)
        .max_tables_per_component(CORES_MAX)
        .max_tables_per_module(8)
        .max_memories_per_module(8)
        .table_elements(64 * 1024)
        .max_memory_size(4 << 30)
        .max_unused_warm_slots(SLOTS_WARM)
        // Most of a fresh instance's cost is page faults and the interrupts between cores that come with giving pages
        // back. Where the kernel can tell which pages were written (`PAGEMAP_SCAN`, Linux 6.7), these alone are
        // restored, in place; where it cannot, keeping memory would mean copying what nobody touched.
        .pagemap_scan(Enabled::Auto)
        .linear_memory_keep_resident(if PoolingAllocationConfig::is_pagemap_scan_available() {
            MEMORY_KEPT_BYTES
        } else {
            0
        })
        .linear_memory_keep_resident_together(MEMORY_KEPT_TOGETHER_BYTES)
        .linear_memory_keep_resident_for(MEMORY_KEPT_FOR)
        .table_keep_resident(TABLE_KEPT_BYTES)
        .async_stack_keep_resident(STACK_KEPT_BYTES);
    pool
}

/// Makes something of a component for the engine without concurrency where that can run it, else for the other.
///
/// # Errors
/// Those of the second attempt.
pub(super) fn either<T>(
    make: impl Fn(Concurrency) -> wasmtime::Result<T>,
) -> wasmtime::Result<(T, Concurrency)> {
    // What is asynchronous is not valid without, which is found before anything is compiled.
    if let Ok(made) = make(Concurrency::Off) {
        return Ok((made, Concurrency::Off));
    }
    Ok((make(Concurrency::On)?, Concurrency::On))
}

/// Compiles a component.
///
/// # Errors
/// When it is not a valid component, with what is wrong with it.
pub(super) fn precompile(component: &[u8], name: &str) -> Result<Vec<u8>> {
    let compiled =
        either(|concurrency| wasmtime::Engine::new(&compiling(concurrency))?.precompile_component(component));
    let compiled = compiled.map_err(anyhow::Error::from);
    Ok(compiled.with_context(|| format!("{name} is not a valid component"))?.0)
}
