//! The WebAssembly engine: how it is set up, and the thread that moves its clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use wasmtime::component::{HasSelf, Linker};
use wasmtime::{Config, PoolingAllocationConfig};

use crate::guest::Guest;
use crate::limits::{MEMORY_BYTES_MAX, MODULES_MAX, SLOTS, TABLE_ELEMENTS_MAX};
use crate::v0_1::bindings;

/// How often the engine's clock moves: what a deadline is counted in.
pub const TICK: Duration = Duration::from_millis(1);

/// The stack of a guest: its own lies in linear memory, this is what calls and spilled values take.
const STACK_BYTES_MAX: usize = 256 << 10;

/// An engine that compiles and runs policies. Made once; its clock moves until it is dropped.
pub struct Engine {
    pub(crate) inner: wasmtime::Engine,
    pub(crate) linker: Linker<Guest>,
    stop: Arc<AtomicBool>,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").finish_non_exhaustive()
    }
}

/// The engine could not be set up on this machine.
#[derive(Debug, thiserror::Error)]
#[error("the WebAssembly engine cannot be set up: {0}")]
pub struct NoEngine(String);

impl Engine {
    /// An engine, with its clock moving.
    ///
    /// # Errors
    /// When the machine has no address space for the pool, or no thread for the clock.
    pub fn new() -> Result<Self, NoEngine> {
        let failed = |error: &dyn std::fmt::Display| NoEngine(error.to_string());
        let inner = wasmtime::Engine::new(&config()).map_err(|error| failed(&format!("{error:#}")))?;
        let mut linker = Linker::new(&inner);
        bindings::whittle::policy::types::add_to_linker::<_, HasSelf<Guest>>(&mut linker, |guest| guest)
            .and_then(|()| {
                bindings::whittle::policy::log::add_to_linker::<_, HasSelf<Guest>>(&mut linker, |guest| guest)
            })
            .map_err(|error| failed(&format!("{error:#}")))?;
        let stop = Arc::new(AtomicBool::new(false));
        let (clock, stopped) = (inner.clone(), Arc::clone(&stop));
        // A thread of its own rather than a task among others: a deadline that waits for its turn is none. It runs
        // from the engine's first moment, so that no deadline can be set while the clock stands still.
        thread::Builder::new()
            .name("policy-clock".to_owned())
            .spawn(move || {
                while !stopped.load(Ordering::Relaxed) {
                    thread::sleep(TICK);
                    clock.increment_epoch();
                }
            })
            .map_err(|error| failed(&error))?;
        Ok(Self { inner, linker, stop })
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// Everything that a guest could use to differ from run to run, or that it does not need, is off.
fn config() -> Config {
    let mut config = Config::new();
    config
        .consume_fuel(true)
        .epoch_interruption(true)
        .concurrency_support(false)
        .cranelift_nan_canonicalization(true)
        .wasm_relaxed_simd(false)
        .wasm_memory64(false)
        .wasm_multi_memory(false)
        .wasm_tail_call(false)
        .max_wasm_stack(STACK_BYTES_MAX)
        .allocation_strategy(pool());
    config
}

/// Slots for guests, made beforehand. Address space is what they take; memory only while they run.
fn pool() -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(SLOTS)
        .total_core_instances(SLOTS * MODULES_MAX)
        .total_memories(SLOTS)
        .total_tables(SLOTS * 4)
        .max_memories_per_component(1)
        .max_tables_per_component(4)
        .max_core_instances_per_component(MODULES_MAX)
        .max_component_instance_size(1 << 20)
        .max_core_instance_size(1 << 20)
        .max_memory_size(MEMORY_BYTES_MAX)
        .table_elements(TABLE_ELEMENTS_MAX)
        .max_unused_warm_slots(8);
    pool
}
