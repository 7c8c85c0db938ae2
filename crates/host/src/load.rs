//! Apps made ready: every component compiled or found, every grant bound, every route a destination.
//!
//! In: checked apps and the operator's word. Out: a table of routes and what a person wants to know about it; or every problem of
//! every app at once. Nothing that serves is touched: swapping is the node's.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use coracle_capability::{
    config,
    http::client::{Client, Settings as HttpSettings},
    link,
    logging::Lines,
};
use coracle_engine::{Cache, Component as Prepared, Limits, Origin};
use coracle_gateway::{RouteEntry, Routes};
use coracle_manifest::{
    Operator, Problems,
    app::{self, App, Component, Secret},
    name::{AppName, BucketName, ComponentName},
    operator::ValuesOf,
    route,
};
use coracle_trigger::{Admission, Handler, Reuse, Revision, Room};
use tokio::runtime;

use crate::{
    authority::{self, AuthorityError, Bound, ComponentCounters},
    recordings::Observers,
    refusal,
    resources::Resources,
};

/// What an app gets when its manifest says nothing.
const DEFAULT_CONCURRENCY: u32 = 256;
const QUEUE: usize = 256;
const QUEUE_WAIT: Duration = Duration::from_secs(1);
/// How long an instance waits for its next request when its manifest asks for reuse and does not say.
const DEFAULT_IDLE: Duration = Duration::from_secs(10);
/// Largest component that is read.
pub(crate) const MAX_COMPONENT_BYTES: u64 = 256 << 20;

/// Makes apps ready. Lives as long as its node, so that counters, connections and stores survive a swap.
pub struct Loader {
    cache: Cache,
    resources: Resources,
    operator: Arc<Operator>,
    control_ports: Vec<u16>,
    lines: Arc<dyn Lines>,
    observers: Observers,
    room: Arc<Room>,
    background: runtime::Handle,
    clients: Mutex<BTreeMap<AppName, Client>>,
    counters: Mutex<BTreeMap<(AppName, ComponentName), ComponentCounters>>,
}

/// Apps that are ready to be served.
pub struct Loaded {
    /// Who answers what.
    pub routes: Routes,
    /// The apps, for the report.
    pub apps: Vec<LoadedApp>,
}

impl Loaded {
    /// What makes two loads the same: the apps and the digests of their components.
    pub fn identity(&self) -> Vec<(App, Vec<Arc<str>>)> {
        let digests = |app: &LoadedApp| {
            app.components
                .values()
                .map(|component| Arc::clone(&component.digest))
                .collect()
        };
        self.apps
            .iter()
            .map(|app| (app.app.clone(), digests(app)))
            .collect()
    }
}

/// One app that is ready.
pub struct LoadedApp {
    /// As checked.
    pub app: App,
    /// Its components as prepared.
    pub components: BTreeMap<ComponentName, LoadedComponent>,
    /// What stands behind each bucket, in the operator's words.
    pub backends: BTreeMap<BucketName, String>,
    /// The gate all components without a concurrency of their own share.
    pub admission: Arc<Admission>,
}

/// One component that is ready.
pub struct LoadedComponent {
    /// Where its artifact came from.
    pub origin: Origin,
    /// Which backends stand above its configuration and its environment, in the operator's words.
    pub values: [Option<String>; 2],
    /// Size of the `.wasm` file.
    pub size_bytes: u64,
    /// BLAKE3 of the file.
    pub digest: Arc<str>,
    /// The gate in front of it.
    pub admission: Arc<Admission>,
}

/// Told while components are prepared; for a progress line.
pub trait Watching {
    /// This component is being read, and compiled if it was not before.
    fn preparing(&self, app: &str, component: &str);
    /// It is ready.
    fn prepared(&self, app: &str, component: &str, origin: Origin);
}

impl Loader {
    /// A loader for one node; guests that are bound by the processor go on in the runtime that makes it.
    pub fn new(
        cache: Cache,
        state_dir: &Path,
        operator: Operator,
        control_ports: Vec<u16>,
        lines: Arc<dyn Lines>,
        observers: Observers,
        room: Arc<Room>,
    ) -> Self {
        let operator = Arc::new(operator);
        Self {
            cache,
            resources: Resources::new(state_dir, Arc::clone(&operator)),
            operator,
            control_ports,
            lines,
            observers,
            room,
            background: runtime::Handle::current(),
            clients: Mutex::default(),
            counters: Mutex::default(),
        }
    }

    /// Who observes the invocations.
    pub fn observers(&self) -> &Observers {
        &self.observers
    }

    /// Makes these apps ready, together: what one claims another may not.
    ///
    /// # Errors
    /// Every problem of every app.
    pub async fn load(&self, apps: Vec<App>, watching: &dyn Watching) -> Result<Loaded, Problems> {
        let refused: Vec<Problems> = apps.iter().map(|app| self.refused(app)).collect();
        let mut problems = Problems::default();
        for more in &refused {
            problems.extend(more.clone());
        }
        if let Err(conflicts) = route::conflicts_between(&apps) {
            problems.extend(conflicts);
        }
        let mut loaded = Vec::new();
        let mut entries = Vec::new();
        // What is refused is told once: such an app is not bound to anything.
        for (app, _) in apps
            .into_iter()
            .zip(&refused)
            .filter(|(_, refused)| refused.is_empty())
        {
            match self.load_app(app, watching, &mut entries).await {
                Ok(app) => loaded.push(app),
                Err(more) => problems.extend(more),
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let routes = Routes::build(entries).map_err(|errors| {
            let mut problems = Problems::default();
            for error in errors {
                problems.extend(
                    refusal::problem(Path::new("routes"), "route", error.to_string(), "", None)
                        .into(),
                );
            }
            problems
        })?;
        Ok(Loaded {
            routes,
            apps: loaded,
        })
    }

    /// Why an app is not even looked into: the operator's word, or what a node does not do.
    fn refused(&self, app: &App) -> Problems {
        let mut problems = self.operator.permits(app).err().unwrap_or_default();
        if let Some(unfused) = refusal::unfused(app) {
            problems.extend(unfused.into());
        }
        problems
    }

    async fn load_app(
        &self,
        app: App,
        watching: &dyn Watching,
        entries: &mut Vec<RouteEntry>,
    ) -> Result<LoadedApp, Problems> {
        let mut problems = Problems::default();
        let mut bound = Bound {
            control_ports: self.control_ports.clone(),
            ..Bound::default()
        };
        for bucket in app.buckets.values() {
            match self.resources.bucket(&app.name, bucket).await {
                Ok(backend) => _ = bound.buckets.insert(bucket.name.clone(), backend),
                Err(error) => {
                    let message = format!("bucket {}: {error}", bucket.name);
                    problems.extend(
                        refusal::problem(&app.manifest, "bucket", message, "", None).into(),
                    );
                }
            }
        }
        for secret in app.secrets.values().filter(|secret| is_used(&app, secret)) {
            match self.resources.secret(&app.name, secret).await {
                Ok(kept) => {
                    if let Some(message) = self.resources.missing(&app.name, secret, &kept).await {
                        problems.extend(
                            refusal::problem(&app.manifest, "secret", message, "", None).into(),
                        );
                    }
                    bound.secrets.insert(secret.name.clone(), kept);
                }
                Err(error) => {
                    let message = format!("secret {}: {error}", secret.name);
                    problems.extend(
                        refusal::problem(&app.manifest, "secret", message, "", None).into(),
                    );
                }
            }
        }
        for component in app.components.values() {
            if let Err(more) = self.bind_values(&app, component, &mut bound).await {
                problems.extend(more);
            }
        }
        if let Err(error) = self.client(&app) {
            problems.extend(
                refusal::problem(
                    self.operator.file(),
                    "outbound",
                    error.to_string(),
                    "",
                    None,
                )
                .into(),
            );
        }
        // Without its resources an app cannot be linked, and saying so of every import would hide the cause.
        let unbound = !problems.is_empty();
        let shared = Arc::new(Admission::new(
            DEFAULT_CONCURRENCY as usize,
            QUEUE,
            QUEUE_WAIT,
        ));
        let mut components = BTreeMap::new();
        let mut handlers = BTreeMap::new();
        for component in app.components.values() {
            watching.preparing(app.name.as_str(), component.name.as_str());
            let prepared = match self.prepare(component) {
                Ok(prepared) => prepared,
                Err(more) => {
                    problems.extend(more);
                    continue;
                }
            };
            watching.prepared(app.name.as_str(), component.name.as_str(), prepared.origin);
            if unbound {
                continue;
            }
            let counters = self.counters(&app.name, &component.name);
            let authority = authority::authority(component, &bound, &counters);
            match self.revision(&app, component, &prepared, &authority, &bound, &counters) {
                Ok(revision) => {
                    let admission = match self.operator.limits_of(&app, component).concurrency {
                        Some(concurrency) => {
                            Arc::new(Admission::new(concurrency as usize, QUEUE, QUEUE_WAIT))
                        }
                        None => Arc::clone(&shared),
                    };
                    let observed = self.observers.component(
                        app.name.as_str(),
                        component,
                        &prepared.digest,
                        &limits(&self.operator.limits_of(&app, component)),
                    );
                    handlers.insert(
                        component.name.clone(),
                        Arc::new(Handler::new(
                            Arc::new(revision),
                            Arc::clone(&admission),
                            observed,
                            self.background.clone(),
                        )),
                    );
                    let loaded = LoadedComponent {
                        origin: prepared.origin,
                        values: ValuesOf::ALL
                            .map(|of| self.resources.values_label(&app.name, component, of)),
                        size_bytes: prepared.size_bytes,
                        digest: prepared.digest,
                        admission,
                    };
                    components.insert(component.name.clone(), loaded);
                }
                Err(more) => problems.extend(more),
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        for route in &app.routes {
            if let Some(handler) = handlers.get(&route.component) {
                entries.push(RouteEntry {
                    app: app.name.as_str().into(),
                    host: route.host.clone(),
                    path: route.path.clone(),
                    methods: route.methods.clone(),
                    label: route.path.as_str().into(),
                    destination: Arc::clone(handler) as _,
                });
            }
        }
        let backends = app
            .buckets
            .values()
            .map(|bucket| (bucket.name.clone(), self.resources.label(&app.name, bucket)));
        let backends = backends.collect();
        Ok(LoadedApp {
            backends,
            app,
            components,
            admission: shared,
        })
    }

    /// The operator's values of one component. What it requires has to be there, as far as the backend can tell now.
    async fn bind_values(
        &self,
        app: &App,
        component: &Component,
        bound: &mut Bound,
    ) -> Result<(), Problems> {
        let mut problems = Problems::default();
        let mut refuse = |which: ValuesOf, why: String| {
            let message = format!("{} of {}: {why}", which.as_str(), component.name);
            let refused = refusal::problem(&app.manifest, "values", message, "", None);
            problems.extend(refused.into());
        };
        let lacks = |which, key| {
            let backend = self.resources.values_label(&app.name, component, which);
            format!(
                "backend {} does not hold {key:?}",
                backend.unwrap_or_default()
            )
        };
        match self
            .resources
            .values(&app.name, component, ValuesOf::Config)
        {
            Ok(Some(values)) => {
                for key in &component.config.required {
                    let call = config::Call::Get { key: key.clone() };
                    if let Ok(config::Reply::Value(None)) = values.call(call).await {
                        refuse(ValuesOf::Config, lacks(ValuesOf::Config, key));
                    }
                }
                bound.config.insert(component.name.clone(), values);
            }
            Ok(None) => {}
            Err(error) => refuse(ValuesOf::Config, error.to_string()),
        }
        match self.resources.environment(&app.name, component).await {
            Ok(Some(environment)) => {
                let variables = environment.now().await;
                for name in &component.environment.required {
                    if !variables.contains_key(name) {
                        refuse(ValuesOf::Environment, lacks(ValuesOf::Environment, name));
                    }
                }
                let name = component.name.clone();
                bound.environments.insert(name, environment);
            }
            Ok(None) => {}
            Err(error) => refuse(ValuesOf::Environment, error.to_string()),
        }
        if problems.is_empty() {
            Ok(())
        } else {
            Err(problems)
        }
    }

    fn prepare(&self, component: &Component) -> Result<Prepared, Problems> {
        let told = |refused: refusal::Unread| refusal::unread(component, &refused).into();
        let metadata = std::fs::metadata(&component.source).map_err(|error| told(error.into()))?;
        if metadata.len() > MAX_COMPONENT_BYTES {
            return Err(told(refusal::Unread::TooLarge {
                limit_bytes: MAX_COMPONENT_BYTES,
            }));
        }
        let bytes = std::fs::read(&component.source).map_err(|error| told(error.into()))?;
        self.cache
            .prepare(&bytes)
            .map_err(|error| refusal::unprepared(component, error).into())
    }

    fn revision(
        &self,
        app: &App,
        component: &Component,
        prepared: &Prepared,
        authority: &coracle_capability::Authority,
        bound: &Bound,
        counters: &ComponentCounters,
    ) -> Result<Revision, Problems> {
        let refused = |rule, message: String, fix: Option<String>| {
            refusal::of_component(component, rule, &message, fix)
        };
        let linked = link(&prepared.mapped, authority).map_err(|errors| {
            let mut problems = Problems::default();
            for error in errors {
                problems.extend(refusal::unlinked(app, component, &error).into());
            }
            problems
        })?;
        let client = self
            .client(app)
            .map_err(|error| Problems::from(refused("outbound", error.to_string(), None)))?;
        let template = authority::template(
            app,
            component,
            &self.operator,
            bound,
            &client,
            counters,
            &self.lines,
        )
        .map_err(|error| Problems::from(refused("grant", error.to_string(), None)))?;
        let limits = limits(&self.operator.limits_of(app, component));
        let revision = Revision::new(linked, &prepared.described, template, limits).map_err(|error| {
            let fix = "a component that serves exports wasi:http/incoming-handler@0.2.x or wasi:http/handler@0.3.x";
            refused("unservable", error.to_string(), Some(fix.into()))
        })?;
        let Some(reuse) = reuse(component) else {
            return Ok(revision.beside(&self.room));
        };
        let reusing = revision.reusing(reuse, &self.room, Arc::clone(&counters.instances));
        reusing.map_err(|error| {
            let fix = "take `concurrent` out of `reuse`, or serve a component that exports wasi:http/handler@0.3.x";
            refused("reuse", error.to_string(), Some(fix.into())).into()
        })
    }

    /// The client of an app; made once, so that its connections outlive a swap.
    fn client(&self, app: &App) -> Result<Client, AuthorityError> {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(&app.name) {
            return Ok(client.clone());
        }
        let settings = HttpSettings {
            tls: authority::tls(app, &self.operator)?,
            ..HttpSettings::default()
        };
        Ok(clients
            .entry(app.name.clone())
            .or_insert_with(|| Client::new(settings))
            .clone())
    }

    fn counters(&self, app: &AppName, component: &ComponentName) -> ComponentCounters {
        let mut counters = self.counters.lock().unwrap_or_else(PoisonError::into_inner);
        counters
            .entry((app.clone(), component.clone()))
            .or_default()
            .clone()
    }

    /// The counters of every component loaded so far.
    pub fn all_counters(&self) -> Vec<(AppName, ComponentName, ComponentCounters)> {
        let counters = self.counters.lock().unwrap_or_else(PoisonError::into_inner);
        counters
            .iter()
            .map(|((app, component), counters)| (app.clone(), component.clone(), counters.clone()))
            .collect()
    }
}

/// Whether a component of the app was granted this secret, for itself or in a header.
fn is_used(app: &App, secret: &Secret) -> bool {
    app.components.values().any(|component| {
        let in_header = component
            .grants
            .http
            .iter()
            .flat_map(|grant| &grant.headers)
            .any(|header| header.secret == secret.name);
        in_header
            || component
                .grants
                .secrets
                .iter()
                .any(|grant| grant.name == secret.name)
    })
}

/// As the manifest asks; the operator has permitted it.
fn reuse(component: &Component) -> Option<Reuse> {
    let asked = component.reuse.as_ref()?;
    Some(Reuse {
        requests: asked.requests,
        idle: asked.idle.unwrap_or(DEFAULT_IDLE),
        concurrent: asked.concurrent.unwrap_or(1),
    })
}

fn limits(granted: &app::Limits) -> Limits {
    let defaults = Limits::default();
    Limits {
        memory_bytes: granted.memory_bytes.unwrap_or(defaults.memory_bytes),
        cpu: granted.cpu.unwrap_or(defaults.cpu),
        timeout: granted.timeout.unwrap_or(defaults.timeout),
        ..defaults
    }
}
