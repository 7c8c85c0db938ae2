//! What the host keeps in the store of an instance, for one invocation or for one after the other.
//!
//! In: what a component may do, and who is asking. Out: the state that host functions find: the table of resources, WASI's own
//! contexts, the voice. Grants are not here: the linker's closures hold them (`link`).

use std::sync::Arc;

use coracle_engine::{Account, Budget, Guest as EngineGuest, Limits, renew};
use wasmtime::{Store, component::ResourceTable};
use wasmtime_wasi::{
    WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView,
    cli::WasiCliCtxView,
    clocks::WasiClocksCtxView,
    filesystem::{Descriptor, WasiFilesystemCtx, WasiFilesystemCtxView},
    p2::{DynInputStream, DynOutputStream, DynPollable},
    random::WasiRandomCtx,
    sockets::WasiSocketsCtxView,
};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use crate::{
    clock::{self, Clock, host::Reading},
    config::{Environment, Variables},
    contract::Shared,
    http::host::{Authority as HttpAuthority, Outbound},
    keyvalue::host::OpenBucket,
    logging::{Lines, Source, Speaker, capture::Captured, line::Voice},
    observe::Observation,
    random::{self, Random, host::Drawing},
    secrets::host::Handle as SecretHandle,
};

/// Bytes of header fields a guest may hold in one `fields` resource.
const FIELD_BYTES: usize = 64 << 10;
/// Bytes of randomness per call.
const RANDOM_BYTES: u64 = 1 << 20;
/// Handles of its own that a program may keep from one invocation to the next.
const MAX_KEPT: usize = 128;

/// What every invocation of a component starts from. Made once per revision.
#[derive(Clone)]
pub struct Template {
    /// The app.
    pub app: Arc<str>,
    /// The component.
    pub component: Arc<str>,
    /// Environment variables.
    pub environment: Environment,
    /// Granted directories, opened once.
    pub files: WasiFilesystemCtx,
    /// The same, for reading only: what an invocation finds whose writes are held back.
    pub files_held: WasiFilesystemCtx,
    /// Outbound HTTP.
    pub http: HttpAuthority,
    /// The time of a profile; `None` is the machine's.
    pub time: Option<clock::Memory>,
    /// The seed of a profile's randomness, from which each instance draws anew; `None` is the machine's randomness.
    pub seed: Option<u64>,
    /// Where the guest's lines go.
    pub lines: Arc<dyn Lines>,
}

impl Template {
    fn wall_clock(&self) -> Shared<Clock> {
        match self.time {
            Some(time) => Arc::new(time),
            None => Arc::new(clock::system::Wall::default()),
        }
    }

    fn monotonic_clock(&self) -> Shared<Clock> {
        match self.time {
            Some(_) => Arc::new(clock::Memory::at(0)),
            None => Arc::new(clock::system::Monotonic::default()),
        }
    }

    /// Each kind of draw has a sequence of its own: how often a guest draws of one does not change what it draws of another.
    fn randomness(&self, kind: u64) -> Shared<Random> {
        match self.seed {
            Some(seed) => Arc::new(random::Memory::seeded(seed ^ kind << 62)),
            None => Arc::new(random::System),
        }
    }

    /// WASI's own clocks and randomness are the machine's: nothing stands around them when nobody asked for anything else.
    fn is_plain(&self, observation: &Observation) -> bool {
        let unobserved = matches!(observation, Observation::None | Observation::Hold(_));
        unobserved && self.time.is_none() && self.seed.is_none()
    }
}

/// One invocation of a component, as its guest needs to know it.
pub struct Invocation {
    /// 32 hexadecimal digits; empty when the instance serves several requests at once.
    pub request_id: String,
    /// Where its use of time and memory is told.
    pub account: Arc<Account>,
    /// Its variables, fixed from here on.
    pub environment: Variables,
    /// What is done with its calls.
    pub observation: Observation,
}

/// The resources an invocation holds, and what is done with the calls made through them.
pub struct Handles {
    pub(crate) table: ResourceTable,
    pub(crate) observation: Observation,
}

/// The state of an instance, and in it that of the invocation that runs now.
pub struct Guest {
    handles: Handles,
    wasi: WasiCtx,
    http: WasiHttpCtx,
    outbound: Outbound,
    voice: Voice,
    captured: [Captured; 2],
    budget: Budget,
}

impl Guest {
    /// A fresh guest for one invocation.
    pub fn new(template: &Template, limits: &Limits, invocation: Invocation) -> Self {
        let Invocation {
            request_id,
            account,
            environment,
            observation,
        } = invocation;
        let speaker = Arc::new(Speaker {
            app: Arc::clone(&template.app),
            component: Arc::clone(&template.component),
            request_id,
        });
        // The host's own remarks about this invocation are not the guest's: they are not observed.
        let unobserved = &Observation::None;
        let remarks = Voice::new(
            Arc::clone(&speaker),
            Arc::clone(&template.lines),
            unobserved,
        );
        let voice = match &observation {
            Observation::None => remarks.clone(),
            _ => Voice::new(speaker, Arc::clone(&template.lines), &observation),
        };
        let captured =
            [Source::Stdout, Source::Stderr].map(|source| Captured::new(voice.clone(), source));
        let [stdout, stderr] = captured.clone();
        let mut builder = WasiCtxBuilder::new();
        builder
            .max_random_size(RANDOM_BYTES)
            .allow_tcp(false)
            .allow_udp(false)
            .stdout(stdout)
            .stderr(stderr);
        for (name, value) in environment.iter() {
            builder.env(name, value);
        }
        if !template.is_plain(&observation) {
            let around = |name, clock| Reading::new(observation.around(name, clock));
            let drawing =
                |name, kind| Drawing::new(observation.around(name, template.randomness(kind)));
            builder
                .wall_clock(around("wall", template.wall_clock()))
                .monotonic_clock(around("monotonic", template.monotonic_clock()))
                .secure_random(drawing("secure", 0))
                .insecure_random(drawing("insecure", 1))
                .insecure_random_seed(drawing("insecure-seed", 2).seed());
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
            captured,
            budget: Budget::new(limits, account),
        }
    }

    /// An invocation is over and another may follow in this store: says what it left unsaid. False when something of it is left,
    /// as a body or an exchange under way; the store then cannot be used again, for a handle cannot be taken from a guest.
    /// Standard streams, open files and directories, buckets and secrets belong to the program and may stay.
    pub fn rest(&mut self) -> bool {
        self.captured.iter().for_each(Captured::end_line);
        self.voice.fall_silent();
        let mut kept = 0;
        let of_the_program = self.handles.table.iter_mut().all(|entry| {
            kept += 1;
            entry.is::<DynOutputStream>()
                || entry.is::<DynInputStream>()
                // Of something that is in the table too, and judged there; a C library keeps one beside each stream.
                || entry.is::<DynPollable>()
                || entry.is::<Descriptor>()
                || entry.is::<OpenBucket>()
                || entry.is::<SecretHandle>()
        });
        of_the_program && kept <= MAX_KEPT && matches!(self.handles.observation, Observation::None)
    }

    /// Begins another invocation in a store that [rests](Self::rest); nobody observes it.
    pub fn begin(
        store: &mut Store<Self>,
        template: &Template,
        limits: &Limits,
        request_id: String,
        account: Arc<Account>,
    ) {
        let guest = store.data_mut();
        guest.voice.speak_for(request_id);
        guest.outbound = Outbound::new(
            template.http.clone(),
            guest.voice.clone(),
            Observation::None,
        );
        let kept = guest.handles.table.iter_mut().count();
        let capacity = limits.host_resources.saturating_add(kept);
        guest.handles.table.set_max_capacity(capacity);
        renew(store, limits, account, kept);
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
