//! The two engines and the one place where Wasmtime is configured.
//!
//! In: how many slots the pool has. Out: an engine for apps made of WASI 0.2 only, one for apps with a 0.3 part (created
//! when the first of them is loaded), and the thread that advances their epochs. Settings that change compiled code
//! are the same in the process that compiles and in the one that serves.

use std::{
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};

use wasmtime::{
    Config, Enabled, Engine, EngineWeak, InstanceAllocationStrategy, PoolingAllocationConfig,
    WasmBacktraceDetails,
};

/// How often a running guest is interrupted to yield and to be charged.
pub const EPOCH: Duration = Duration::from_millis(1);

/// Which engine a component runs on. Types never cross engines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// WASI 0.2 only: without the machinery of concurrent tasks, a third cheaper per request.
    Sequential,
    /// Has a WASI 0.3 part.
    Concurrent,
}

impl Kind {
    /// The word used in cache keys and on the compiler's command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Sequential => "sequential",
            Kind::Concurrent => "concurrent",
        }
    }

    /// The inverse of [`Kind::as_str`].
    pub fn parse(word: &str) -> Option<Self> {
        [Kind::Sequential, Kind::Concurrent]
            .into_iter()
            .find(|kind| kind.as_str() == word)
    }
}

/// How large the pool of each engine is.
#[derive(Debug, Clone, Copy)]
pub struct Pool {
    /// Live instances at once, per engine.
    pub slots: u32,
    /// Bytes of linear memory that stay resident in a slot between invocations.
    pub keep_resident_bytes: usize,
    /// Largest linear memory any invocation may be granted.
    pub max_memory_bytes: usize,
}

impl Default for Pool {
    fn default() -> Self {
        Self {
            slots: 1_000,
            keep_resident_bytes: 2 << 20,
            max_memory_bytes: 4 << 30,
        }
    }
}

/// The serving engines of one process.
pub struct Engines {
    pool: Pool,
    sequential: OnceLock<Engine>,
    concurrent: OnceLock<Engine>,
    ticking: Arc<Mutex<Vec<EngineWeak>>>,
}

impl Engines {
    /// Prepares engines of this size; each is created on first use.
    pub fn new(pool: Pool) -> Self {
        Self {
            pool,
            sequential: OnceLock::new(),
            concurrent: OnceLock::new(),
            ticking: Arc::default(),
        }
    }

    /// The engine of this kind.
    ///
    /// # Errors
    /// When the pool cannot be reserved (address space) or the processor is not supported.
    pub fn engine(&self, kind: Kind) -> wasmtime::Result<&Engine> {
        let cell = match kind {
            Kind::Sequential => &self.sequential,
            Kind::Concurrent => &self.concurrent,
        };
        if let Some(engine) = cell.get() {
            return Ok(engine);
        }
        let engine = Engine::new(&serving(kind, self.pool))?;
        let mut created = false;
        let engine = cell.get_or_init(|| {
            created = true;
            engine
        });
        if created {
            self.tick(engine);
        }
        Ok(engine)
    }

    /// Whether dirty pages are found by `pagemap_scan` instead of being unmapped after every invocation.
    pub fn scans_pagemap() -> bool {
        PoolingAllocationConfig::is_pagemap_scan_available() && !swap_is_on()
    }

    fn tick(&self, engine: &Engine) {
        let mut ticking = self.ticking.lock().unwrap_or_else(PoisonError::into_inner);
        ticking.push(engine.weak());
        if ticking.len() > 1 {
            return;
        }
        let engines = Arc::downgrade(&self.ticking);
        let ticker = std::thread::Builder::new()
            .name("epoch".into())
            .spawn(move || {
                while let Some(engines) = engines.upgrade() {
                    for engine in engines
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .iter()
                    {
                        if let Some(engine) = engine.upgrade() {
                            engine.increment_epoch();
                        }
                    }
                    drop(engines);
                    std::thread::sleep(EPOCH);
                }
            });
        if let Err(error) = ticker {
            // Without epochs no guest could be stopped: better no node than such a node.
            tracing::error!(%error, "starting the epoch thread");
            std::process::abort();
        }
    }
}

/// What the compiling child uses: the same code generation, no pool (its address space is limited).
pub(crate) fn compiling(kind: Kind) -> Config {
    let mut config = common(kind);
    config.strategy(wasmtime::Strategy::Cranelift);
    config
}

fn serving(kind: Kind, pool: Pool) -> Config {
    let mut config = common(kind);
    config.enable_compiler(false);
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pooling(pool)));
    config
}

/// Everything that changes compiled code or what a component may contain.
fn common(kind: Kind) -> Config {
    let mut config = Config::new();
    config
        .wasm_component_model(true)
        .concurrency_support(kind == Kind::Concurrent)
        .epoch_interruption(true)
        .memory_init_cow(true)
        .cranelift_nan_canonicalization(false)
        .relaxed_simd_deterministic(true)
        .wasm_backtrace_details(WasmBacktraceDetails::Disable)
        .generate_address_map(false)
        .max_wasm_stack(512 << 10)
        .async_stack_size(1 << 20);
    if kind == Kind::Concurrent {
        config.wasm_component_model_async(true);
    }
    config
}

fn pooling(pool: Pool) -> PoolingAllocationConfig {
    // A component may consist of many core modules (a Python guest has a few dozen, each with a table).
    const CORE_INSTANCES_PER_COMPONENT: u32 = 96;
    const MEMORIES_PER_COMPONENT: u32 = 16;
    let mut config = PoolingAllocationConfig::new();
    config
        .total_component_instances(pool.slots)
        .total_core_instances(pool.slots.saturating_mul(8))
        .total_memories(pool.slots)
        .total_tables(pool.slots.saturating_mul(4))
        .total_stacks(pool.slots)
        .max_unused_warm_slots(pool.slots)
        .max_core_instances_per_component(CORE_INSTANCES_PER_COMPONENT)
        .max_memories_per_component(MEMORIES_PER_COMPONENT)
        .max_tables_per_component(CORE_INSTANCES_PER_COMPONENT)
        .max_tables_per_module(4)
        .max_component_instance_size(1 << 20)
        .max_core_instance_size(1 << 20)
        .max_memory_size(pool.max_memory_bytes)
        .linear_memory_keep_resident(pool.keep_resident_bytes)
        .table_keep_resident(64 << 10)
        .async_stack_keep_resident(0)
        // Swapped-out pages look clean to the scan: a guest could see its predecessor's memory.
        .pagemap_scan(if Engines::scans_pagemap() {
            Enabled::Yes
        } else {
            Enabled::No
        });
    config
}

fn swap_is_on() -> bool {
    std::fs::read_to_string("/proc/swaps").map_or(true, |swaps| swaps.lines().count() > 1)
}
