//! The node: its listener, its loader, its log, and their life from start to drain.
//!
//! In: settings and apps. Out: requests answered. Swapping replaces the whole table of routes at once; requests in flight keep the
//! revision they began with.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use coracle_capability::{layer::Counters, secrets::DigestKey};
use coracle_engine::{Cache, Compiler, Engines, Pool, cache::PrepareError};
use coracle_gateway::{BindError, Config, Cores, Handle, Routes, Server};
use coracle_manifest::{Operator, Problems, app::App};
use coracle_observability::{
    AccessLog, Admin, AdminError, AdminHandle, CapabilityUse, GuestLog, InstanceUse, LineRate,
    LogWriter, Metrics, Pool as PoolUse, Reporter,
};
use coracle_trigger::{Admission, Room};
use thiserror::Error;

use crate::{
    load::{Loaded, Loader, Watching},
    recordings::{KEY_OF_DIGESTS, Observers, Observing},
    report::report,
    voice::Voices,
};

/// One slot in so many may be taken by an instance that waits for its next request.
const IDLE_SHARE: u32 = 4;

/// What a node is started with.
pub struct Settings {
    /// Where it listens; port 0 is any.
    pub listen: SocketAddr,
    /// Where liveness, readiness and metrics are served, if anywhere.
    pub admin: Option<SocketAddr>,
    /// Where compiled components and embedded resources are kept.
    pub state_dir: PathBuf,
    /// What the operator allows.
    pub operator: Operator,
    /// Where lines go.
    pub log: LogWriter,
    /// Whether each request is logged.
    pub access_log: bool,
    /// The program that compiles when called with `compile-component`.
    pub compiler: PathBuf,
    /// How large the pools are.
    pub pool: Pool,
    /// What is done with invocations beside answering them.
    pub observing: Observing,
}

/// Why a node cannot start.
#[derive(Debug, Error)]
pub enum NodeError {
    /// The listener.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The listener of `--admin`.
    #[error(transparent)]
    Admin(#[from] AdminError),
    /// The cache.
    #[error(transparent)]
    Cache(#[from] PrepareError),
    /// The directory of recordings.
    #[error("creating the directory of recordings: {0}")]
    Recordings(#[source] std::io::Error),
    /// The runtime refused the socket.
    #[error("serving {address}: {source}")]
    Serve {
        /// Where.
        address: SocketAddr,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The apps.
    #[error("{0}")]
    Apps(Problems),
}

/// A node that serves.
pub struct Node {
    loader: Arc<Loader>,
    routes: Arc<ArcSwap<Routes>>,
    gates: Arc<ArcSwap<Vec<Arc<Admission>>>>,
    gateway: Handle,
    serving: ArcSwap<Vec<(App, Vec<Arc<str>>)>>,
    ready: Arc<AtomicBool>,
    guests: Arc<GuestLog>,
    log: LogWriter,
    _admin: Option<AdminHandle>,
}

impl Node {
    /// Starts a node that serves these apps. The socket is bound before anything is compiled, so that a taken port is told at once, and
    /// accepts when everything is ready. Returns the node and the report of what it runs.
    ///
    /// # Errors
    /// See [`NodeError`].
    pub async fn start(
        settings: Settings,
        apps: Vec<App>,
        watching: &dyn Watching,
    ) -> Result<(Self, String), NodeError> {
        let server = Server::bind(settings.listen, Config::default())?;
        let admin = match settings.admin {
            Some(address) => Some(Admin::bind(address).await?),
            None => None,
        };
        let engines = Arc::new(Engines::new(settings.pool));
        let cache = Cache::open(
            &settings.state_dir.join("cache"),
            Compiler::new(settings.compiler),
            engines,
        )?;
        hide_from_git(&settings.state_dir);
        let guests = Arc::new(GuestLog::new(settings.log.clone(), LineRate::default()));
        let lines = Arc::new(Voices(Arc::clone(&guests)));
        let key = DigestKey::new(cache.derive_key(KEY_OF_DIGESTS));
        let observers = Observers::start(settings.observing, Arc::clone(&guests), key)
            .map_err(NodeError::Recordings)?;
        let room = Room::new((settings.pool.slots / IDLE_SHARE) as usize);
        let loader = Arc::new(Loader::new(
            cache,
            &settings.state_dir,
            settings.operator,
            settings.admin.iter().map(SocketAddr::port).collect(),
            lines,
            observers,
            Arc::clone(&room),
        ));
        let loaded = loader.load(apps, watching).await.map_err(NodeError::Apps)?;
        let running = report(&loaded);
        let serving = ArcSwap::from_pointee(loaded.identity());

        let gates = Arc::new(ArcSwap::from_pointee(gates(&loaded)));
        let metrics = Arc::new(Metrics::new());
        observe(
            &metrics,
            &loader,
            &gates,
            &guests,
            &settings.log,
            (settings.pool.slots, room),
        );
        let access_log = settings
            .access_log
            .then(|| AccessLog::new(settings.log.clone()));
        let observer = Arc::new(Reporter::new(Arc::clone(&metrics), access_log));
        tokio::spawn({
            let guests = Arc::clone(&guests);
            async move { guests.report_every_second().await }
        });

        let address = server.local_addr();
        let routes = Arc::new(ArcSwap::from_pointee(loaded.routes));
        let gateway = Cores::start()
            .and_then(|cores| server.serve_on(cores, Arc::clone(&routes), observer))
            .map_err(|source| NodeError::Serve { address, source })?;
        let ready = Arc::new(AtomicBool::new(true));
        let admin = admin.map(|admin| {
            let ready = Arc::clone(&ready);
            admin.serve(
                metrics,
                Arc::new(move || {
                    if ready.load(Relaxed) {
                        Ok(())
                    } else {
                        Err("draining".into())
                    }
                }),
            )
        });
        let node = Self {
            loader,
            routes,
            gates,
            gateway,
            serving,
            ready,
            guests,
            log: settings.log,
            _admin: admin,
        };
        Ok((node, running))
    }

    /// The address served.
    pub fn local_addr(&self) -> SocketAddr {
        self.gateway.local_addr()
    }

    /// Where liveness, readiness and metrics are served.
    pub fn admin_addr(&self) -> Option<SocketAddr> {
        self._admin.as_ref().map(AdminHandle::local_addr)
    }

    /// Replaces everything that is served by these apps. What is in flight goes on with the revision it began with.
    ///
    /// # Errors
    /// Every problem of the new apps; then nothing has changed.
    pub async fn swap(
        &self,
        apps: Vec<App>,
        watching: &dyn Watching,
    ) -> Result<Option<String>, Problems> {
        let loaded = self.loader.load(apps, watching).await?;
        let identity = loaded.identity();
        if **self.serving.load() == identity {
            return Ok(None);
        }
        let running = report(&loaded);
        self.serving.store(Arc::new(identity));
        self.gates.store(Arc::new(gates(&loaded)));
        self.routes.store(Arc::new(loaded.routes));
        Ok(Some(running))
    }

    /// Ends: accepts no more, lets what runs finish for up to `grace`, writes what is still to be logged. Returns how many
    /// requests were cut.
    pub async fn drain(self, grace: Duration) -> usize {
        self.ready.store(false, Relaxed);
        let cut = self.gateway.drain(grace).await;
        self.loader.observers().flush(Duration::from_secs(5)).await;
        self.guests.report_dropped();
        self.log.flush(Duration::from_secs(1));
        cut
    }
}

/// State belongs to no repository, and writing it is no edit that a watch should build for. Not being able to say so harms nothing.
fn hide_from_git(state_dir: &Path) {
    let file = state_dir.join(".gitignore");
    if !file.exists() {
        let _ = std::fs::write(file, "*\n");
    }
}

fn gates(loaded: &Loaded) -> Vec<Arc<Admission>> {
    let mut gates: Vec<Arc<Admission>> = Vec::new();
    for gate in loaded.apps.iter().flat_map(|app| {
        app.components
            .values()
            .map(|component| &component.admission)
    }) {
        if !gates.iter().any(|known| Arc::ptr_eq(known, gate)) {
            gates.push(Arc::clone(gate));
        }
    }
    gates
}

fn observe(
    metrics: &Metrics,
    loader: &Arc<Loader>,
    gates: &Arc<ArcSwap<Vec<Arc<Admission>>>>,
    guests: &Arc<GuestLog>,
    log: &LogWriter,
    (slots, room): (u32, Arc<Room>),
) {
    let gates = Arc::clone(gates);
    metrics.read_pools(move || {
        let running: usize = gates.load().iter().map(|gate| gate.running()).sum();
        vec![PoolUse {
            name: "instances".into(),
            slots: u64::from(slots),
            instances_live: (running + room.idle()) as u64,
        }]
    });
    let counted = Arc::clone(loader);
    metrics.read_instances(move || {
        let reusing = counted.all_counters().into_iter();
        let reusing = reusing.filter(|(_, _, counters)| counters.instances.created() > 0);
        let uses = reusing.map(|(app, component, counters)| InstanceUse {
            app: app.as_str().into(),
            component: component.as_str().into(),
            created: counters.instances.created(),
            reused: counters.instances.reused(),
            idle: counters.instances.idle(),
        });
        uses.collect()
    });
    let loader = Arc::clone(loader);
    metrics.read_capabilities(move || {
        let uses = loader
            .all_counters()
            .into_iter()
            .flat_map(|(app, component, counters)| {
                [
                    ("keyvalue", counters.keyvalue),
                    ("http", counters.http),
                    ("secrets", counters.secrets),
                    ("config", counters.config),
                ]
                .map(|(capability, counters)| {
                    capability_use(app.as_str(), component.as_str(), capability, &counters)
                })
            });
        uses.collect()
    });
    let (guests, log) = (Arc::clone(guests), log.clone());
    metrics.read_dropped_lines(move || vec![("rate", guests.dropped()), ("sink", log.lost())]);
}

fn capability_use(
    app: &str,
    component: &str,
    capability: &'static str,
    counters: &Counters,
) -> CapabilityUse {
    CapabilityUse {
        app: app.into(),
        component: component.into(),
        capability: capability.into(),
        calls: counters.calls.load(Relaxed),
        errors: counters.errors.load(Relaxed),
        bytes: counters.bytes.load(Relaxed),
        time: Duration::from_nanos(counters.time_ns.load(Relaxed)),
    }
}
