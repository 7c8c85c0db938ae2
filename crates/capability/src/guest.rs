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
    /// Outbound HTTP.
    pub http: HttpAuthority,
    /// Where the guest's lines go.
    pub lines: Arc<dyn Lines>,
}

/// The state of one invocation.
pub struct Guest {
    table: ResourceTable,
    wasi: WasiCtx,
    http: WasiHttpCtx,
    outbound: Outbound,
    voice: Voice,
    budget: Budget,
}

impl Guest {
    /// A fresh guest for one invocation.
    pub fn new(
        template: &Template,
        limits: &Limits,
        account: Arc<Account>,
        request_id: String,
    ) -> Self {
        let speaker = Speaker {
            app: Arc::clone(&template.app),
            component: Arc::clone(&template.component),
            request_id,
        };
        let voice = Voice::new(speaker, Arc::clone(&template.lines));
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
        let mut wasi = builder.build();
        *wasi.filesystem() = template.files.clone();
        let mut table = ResourceTable::new();
        table.set_max_capacity(limits.host_resources);
        let mut http = WasiHttpCtx::new();
        http.set_field_size_limit(FIELD_BYTES);
        Self {
            table,
            wasi,
            http,
            outbound: Outbound::new(template.http.clone(), voice.clone()),
            voice,
            budget: Budget::new(limits, account),
        }
    }

    pub(crate) fn table(&mut self) -> &mut ResourceTable {
        &mut self.table
    }

    pub(crate) fn voice(&mut self) -> &mut Voice {
        &mut self.voice
    }

    pub(crate) fn cli(&mut self) -> WasiCliCtxView<'_> {
        WasiCliCtxView {
            ctx: self.wasi.cli(),
            table: &mut self.table,
        }
    }

    pub(crate) fn clocks(&mut self) -> WasiClocksCtxView<'_> {
        WasiClocksCtxView {
            ctx: self.wasi.clocks(),
            table: &mut self.table,
        }
    }

    pub(crate) fn filesystem(&mut self) -> WasiFilesystemCtxView<'_> {
        WasiFilesystemCtxView {
            ctx: self.wasi.filesystem(),
            table: &mut self.table,
        }
    }

    pub(crate) fn random(&mut self) -> &mut WasiRandomCtx {
        self.wasi.random()
    }

    pub(crate) fn sockets(&mut self) -> WasiSocketsCtxView<'_> {
        WasiSocketsCtxView {
            ctx: self.wasi.sockets(),
            table: &mut self.table,
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
            table: &mut self.table,
        }
    }
}

impl WasiHttpView for Guest {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView {
            hooks: &mut self.outbound,
            table: &mut self.table,
            ctx: &mut self.http,
        }
    }
}
