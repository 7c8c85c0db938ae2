//! What the host keeps in the store of one invocation.
//!
//! In: what a component may do, and who is asking. Out: the state that host functions find: the table of resources, WASI's own
//! contexts, the voice. Grants are not here: the linker's closures hold them (`link`).

use std::{collections::BTreeMap, sync::Arc};

use coracle_engine::{Account, Budget, Guest as EngineGuest, Limits};
use wasmtime::component::ResourceTable;
use wasmtime_wasi::{
    WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView,
    cli::WasiCliCtxView,
    clocks::WasiClocksCtxView,
    filesystem::{WasiFilesystemCtx, WasiFilesystemCtxView},
    random::WasiRandomCtx,
    sockets::WasiSocketsCtxView,
};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use crate::{
    http::host::{Authority as HttpAuthority, Outbound},
    logging::{Lines, Source, Speaker, capture::Captured, line::Voice},
    observe::{Observation, clock, line::Observed, random},
};

/// Bytes of header fields a guest may hold in one `fields` resource.
const FIELD_BYTES: usize = 64 << 10;
/// Bytes of randomness per call.
const RANDOM_BYTES: u64 = 1 << 20;

/// What every invocation of a component starts from. Made once per revision.
#[derive(Clone)]
pub struct Template {
    /// The app.
    pub app: Arc<str>,
    /// The component.
    pub component: Arc<str>,
    /// Environment variables.
    pub environment: Arc<BTreeMap<String, String>>,
    /// Granted directories, opened once.
    pub files: WasiFilesystemCtx,
    /// The same, for reading only: what an invocation finds whose writes are held back.
    pub files_held: WasiFilesystemCtx,
    /// Outbound HTTP.
    pub http: HttpAuthority,
    /// Where the guest's lines go.
    pub lines: Arc<dyn Lines>,
}

/// One invocation of a component, as its guest needs to know it.
pub struct Invocation {
    /// 32 hexadecimal digits.
    pub request_id: String,
    /// Where its use of time and memory is told.
    pub account: Arc<Account>,
    /// What is done with its calls.
    pub observation: Observation,
}

/// The resources an invocation holds, and what is done with the calls made through them.
pub struct Handles {
    pub(crate) table: ResourceTable,
    pub(crate) observation: Observation,
}

/// The state of one invocation.
pub struct Guest {
    handles: Handles,
    wasi: WasiCtx,
    http: WasiHttpCtx,
    outbound: Outbound,
    voice: Voice,
    budget: Budget,
}

impl Guest {
    /// A fresh guest for one invocation.
    pub fn new(template: &Template, limits: &Limits, invocation: Invocation) -> Self {
        let Invocation {
            request_id,
            account,
            observation,
        } = invocation;
        let speaker = Arc::new(Speaker {
            app: Arc::clone(&template.app),
            component: Arc::clone(&template.component),
            request_id,
        });
        // The host's own remarks about this invocation are not the guest's: they are not observed.
        let remarks = Voice::new(Arc::clone(&speaker), Arc::clone(&template.lines));
        let voice = match &observation {
            Observation::None => remarks.clone(),
            _ => Voice::new(
                speaker,
                Arc::new(Observed::new(
                    observation.clone(),
                    Arc::clone(&template.lines),
                )),
            ),
        };
        let mut builder = WasiCtxBuilder::new();
        builder
            .max_random_size(RANDOM_BYTES)
            .allow_tcp(false)
            .allow_udp(false)
            .stdout(Captured::new(voice.clone(), Source::Stdout))
            .stderr(Captured::new(voice.clone(), Source::Stderr));
        for (name, value) in template.environment.iter() {
            builder.env(name, value);
        }
        if let Observation::Record(_) | Observation::Replay(_) = &observation {
            builder
                .wall_clock(clock::Observed::new(observation.clone()))
                .monotonic_clock(clock::Observed::new(observation.clone()))
                .secure_random(random::Observed::new(observation.clone(), "secure"))
                .insecure_random(random::Observed::new(observation.clone(), "insecure"))
                .insecure_random_seed(random::seed(&observation));
        }
        let mut wasi = builder.build();
        *wasi.filesystem() = match &observation {
            Observation::Hold(_) => template.files_held.clone(),
            _ => template.files.clone(),
        };
        let mut table = ResourceTable::new();
        table.set_max_capacity(limits.host_resources);
        let mut http = WasiHttpCtx::new();
        http.set_field_size_limit(FIELD_BYTES);
        Self {
            outbound: Outbound::new(template.http.clone(), remarks, observation.clone()),
            handles: Handles { table, observation },
            wasi,
            http,
            voice,
            budget: Budget::new(limits, account),
        }
    }

    pub(crate) fn handles(&mut self) -> &mut Handles {
        &mut self.handles
    }

    pub(crate) fn table(&mut self) -> &mut ResourceTable {
        &mut self.handles.table
    }

    pub(crate) fn voice(&mut self) -> &mut Voice {
        &mut self.voice
    }

    pub(crate) fn cli(&mut self) -> WasiCliCtxView<'_> {
        WasiCliCtxView {
            ctx: self.wasi.cli(),
            table: &mut self.handles.table,
        }
    }

    pub(crate) fn clocks(&mut self) -> WasiClocksCtxView<'_> {
        WasiClocksCtxView {
            ctx: self.wasi.clocks(),
            table: &mut self.handles.table,
        }
    }

    pub(crate) fn filesystem(&mut self) -> WasiFilesystemCtxView<'_> {
        WasiFilesystemCtxView {
            ctx: self.wasi.filesystem(),
            table: &mut self.handles.table,
        }
    }

    pub(crate) fn random(&mut self) -> &mut WasiRandomCtx {
        self.wasi.random()
    }

    pub(crate) fn sockets(&mut self) -> WasiSocketsCtxView<'_> {
        WasiSocketsCtxView {
            ctx: self.wasi.sockets(),
            table: &mut self.handles.table,
        }
    }
}

impl EngineGuest for Guest {
    fn budget(&mut self) -> &mut Budget {
        &mut self.budget
    }
}

impl WasiView for Guest {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.handles.table,
        }
    }
}

impl WasiHttpView for Guest {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView {
            hooks: &mut self.outbound,
            table: &mut self.handles.table,
            ctx: &mut self.http,
        }
    }
}
