//! Grants of a manifest turned into authority: handles that the linker's closures will hold.
//!
//! In: what a component asks for, already permitted by the operator. Out: its buckets behind their grants, its directories opened, its
//! outbound requests confined. Nothing here is consulted again at run time.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use coracle_capability::{
    Authority, Template, clock,
    config::{self, Config, Environment, Values},
    contract::Shared,
    http::{
        address::{Allowed, Network},
        client::Client,
        contract::Scheme,
        grant::{Grant, GrantSet},
        host::Authority as HttpAuthority,
        tls::TlsSettings,
    },
    keyvalue::{Buckets, Door, Granted, KeyValue, grant::Access as BucketAccess},
    layer::{Counters, Meter},
    logging::Lines,
    secrets::{self, Freshness, Header, Headers, Keyring, Reveal, Secrets},
};
use coracle_manifest::{
    Operator,
    app::{Access, App, Component, HttpGrant, HttpScheme},
    name::{BucketName, ComponentName, SecretName},
    operator::{Identity, Trust},
};
use coracle_trigger::InstanceCounts;
use thiserror::Error;
use wasmtime_wasi::{FsPerms, WasiCtxBuilder, filesystem::WasiFilesystemCtx};

/// Why a grant cannot be turned into a handle.
#[derive(Debug, Error)]
pub enum AuthorityError {
    /// A granted directory.
    #[error("opening the granted directory {path}: {why}")]
    Directory {
        /// Which.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// A file of outbound TLS.
    #[error("outbound TLS: {path}: {why}")]
    Tls {
        /// Which.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// An outbound grant that the manifest took and the client does not: a disagreement of ours.
    #[error("the outbound grant {grant} cannot be enforced: {why}")]
    Http {
        /// Which.
        grant: String,
        /// Why not.
        why: String,
    },
}

/// The resources of one app, by name.
#[derive(Default)]
pub struct Bound {
    /// Buckets.
    pub buckets: BTreeMap<BucketName, Shared<KeyValue>>,
    /// Secrets, each with the name it is kept under.
    pub secrets: BTreeMap<SecretName, (Shared<Secrets>, String)>,
    /// The operator's values above the manifest's configuration, by component.
    pub config: BTreeMap<ComponentName, Shared<Config>>,
    /// Environments, by component.
    pub environments: BTreeMap<ComponentName, Environment>,
    /// Ports of the node that no guest may reach.
    pub control_ports: Vec<u16>,
}

/// The counters of one component, for metrics.
#[derive(Debug, Clone, Default)]
pub struct ComponentCounters {
    /// Key-value calls.
    pub keyvalue: Arc<Counters>,
    /// Outbound requests.
    pub http: Arc<Counters>,
    /// Secrets got and revealed.
    pub secrets: Arc<Counters>,
    /// Instances, when they serve more than one request.
    pub instances: Arc<InstanceCounts>,
    /// Configuration read.
    pub config: Arc<Counters>,
}

/// What linking needs of one component's grants.
pub fn authority(component: &Component, bound: &Bound, counters: &ComponentCounters) -> Authority {
    let open = component.grants.keyvalue.iter().filter_map(|grant| {
        // The manifest has checked that every granted bucket is declared.
        let backend = Arc::clone(bound.buckets.get(&grant.bucket)?);
        let access = match grant.access {
            Access::Read => BucketAccess::Read,
            Access::ReadWrite => BucketAccess::ReadWrite,
        };
        let (prefix, counters) = (grant.prefix.clone(), Arc::clone(&counters.keyvalue));
        let dress = move |bucket| -> Shared<KeyValue> {
            let granted = Arc::new(Granted::new(bucket, access, prefix.clone()));
            Arc::new(Meter::new(granted, Arc::clone(&counters)))
        };
        Some((grant.alias.clone(), Door::new(backend, Arc::new(dress))))
    });
    Authority {
        component: component.name.to_string(),
        buckets: Buckets::new(open.collect()),
        secrets: keyring(component, bound, counters),
        config: configuration(component, bound, counters),
        clock: component.grants.clock,
        randomness: component.grants.randomness,
    }
}

fn configuration(component: &Component, bound: &Bound, counters: &ComponentCounters) -> Values {
    let manifest = config::Memory::new(component.config.texts.clone());
    let granted: Shared<Config> = match bound.config.get(&component.name) {
        Some(operator) => Arc::new(config::Granted::new(Arc::clone(operator), manifest)),
        None => Arc::new(manifest),
    };
    Values::new(Arc::new(Meter::new(granted, Arc::clone(&counters.config))))
}

fn keyring(component: &Component, bound: &Bound, counters: &ComponentCounters) -> Keyring {
    let held = component.grants.secrets.iter().filter_map(|grant| {
        let (store, kept_as) = bound.secrets.get(&grant.name)?;
        let reveal = if grant.reveal {
            Reveal::Granted
        } else {
            Reveal::Withheld
        };
        let granted: Shared<Secrets> = Arc::new(secrets::Granted::new(
            Arc::clone(store),
            kept_as.clone(),
            reveal,
        ));
        let metered: Shared<Secrets> = Arc::new(Meter::new(granted, Arc::clone(&counters.secrets)));
        Some((grant.name.to_string(), reveal, metered))
    });
    Keyring::new(component.name.as_str(), held.collect())
}

/// What every invocation of one component starts from.
///
/// # Errors
/// See [`AuthorityError`].
pub fn template(
    app: &App,
    component: &Component,
    operator: &Operator,
    bound: &Bound,
    client: &Client,
    counters: &ComponentCounters,
    lines: &Arc<dyn Lines>,
) -> Result<Template, AuthorityError> {
    Ok(Template {
        app: app.name.as_str().into(),
        component: component.name.as_str().into(),
        environment: match bound.environments.get(&component.name) {
            Some(environment) => environment.clone(),
            None => Environment::fixed(component.environment.texts.clone()),
        },
        files: files(component, false)?,
        files_held: files(component, true)?,
        http: HttpAuthority {
            client: client.clone(),
            grants: Arc::new(outbound(app, component, operator, bound)?),
            counters: Arc::clone(&counters.http),
        },
        time: component.time_ns.map(clock::Memory::at),
        seed: component.seed,
        lines: Arc::clone(lines),
    })
}

fn files(component: &Component, held: bool) -> Result<WasiFilesystemCtx, AuthorityError> {
    preopened(component.grants.files.iter().map(|grant| {
        (
            grant.dir.as_path(),
            grant.at.as_str(),
            grant.access == Access::ReadWrite && !held,
        )
    }))
}

/// Directories opened once: host path, where the guest finds it, whether it may write.
///
/// # Errors
/// When one cannot be opened.
pub fn preopened<'a>(
    directories: impl Iterator<Item = (&'a Path, &'a str, bool)>,
) -> Result<WasiFilesystemCtx, AuthorityError> {
    let mut builder = WasiCtxBuilder::new();
    for (dir, at, writable) in directories {
        let permissions = if writable {
            FsPerms::ReadWrite
        } else {
            FsPerms::ReadOnly
        };
        builder
            .preopened_dir(dir, at, permissions)
            .map_err(|error| AuthorityError::Directory {
                path: dir.to_path_buf(),
                why: format!("{error:#}"),
            })?;
    }
    Ok(builder.build().filesystem().clone())
}

fn outbound(
    app: &App,
    component: &Component,
    operator: &Operator,
    bound: &Bound,
) -> Result<GrantSet, AuthorityError> {
    let grants = component
        .grants
        .http
        .iter()
        .map(|grant| self::grant(grant, bound))
        .collect::<Result<_, _>>()?;
    let networks = operator
        .allowed_networks(&app.name)
        .into_iter()
        .filter_map(|network| network.to_string().parse::<Network>().ok());
    let named = operator
        .allowed_hosts(&app.name)
        .into_iter()
        .filter_map(|host| host.to_string().parse().ok());
    let allowed = Allowed {
        networks: networks.collect(),
        named: named.collect(),
        hosts: None,
        control_ports: bound.control_ports.clone(),
    };
    Ok(GrantSet {
        grants,
        allowed: Arc::new(allowed),
    })
}

fn grant(grant: &HttpGrant, bound: &Bound) -> Result<Grant, AuthorityError> {
    let refused = |why: &dyn std::fmt::Display| AuthorityError::Http {
        grant: format!("{grant:?}"),
        why: why.to_string(),
    };
    let mut headers = Vec::new();
    for header in &grant.headers {
        let Some((store, kept_as)) = bound.secrets.get(&header.secret) else {
            continue;
        };
        headers.push(Header {
            name: header
                .name
                .parse()
                .map_err(|why: http::header::InvalidHeaderName| refused(&why))?,
            format: header.format.parse().map_err(|why| refused(&why))?,
            // The grant of the header is the host's right to use the secret here, and no right of the guest.
            secret: Arc::new(secrets::Granted::new(
                Arc::clone(store),
                kept_as.clone(),
                Reveal::Granted,
            )),
        });
    }
    Ok(Grant {
        host: grant
            .host
            .to_string()
            .parse()
            .map_err(|why| refused(&why))?,
        port: grant.port,
        scheme: match grant.scheme {
            HttpScheme::Http => Scheme::Http,
            HttpScheme::Https => Scheme::Https,
        },
        methods: grant
            .methods
            .iter()
            .map(|method| method.parse())
            .collect::<Result<_, _>>()
            .map_err(|why| refused(&why))?,
        path: grant
            .path
            .to_string()
            .parse()
            .map_err(|why| refused(&why))?,
        headers: Headers::new(headers, Freshness::default()),
    })
}

/// Whom outbound TLS of an app trusts, and who it says it is.
///
/// # Errors
/// When a file of the operator cannot be read or used.
pub fn tls(app: &App, operator: &Operator) -> Result<TlsSettings, AuthorityError> {
    let settings = operator.outbound_tls(&app.name);
    let read = |path: &Path| {
        std::fs::read(path).map_err(|error| AuthorityError::Tls {
            path: path.to_path_buf(),
            why: error.to_string(),
        })
    };
    let unusable = |path: &Path, why: String| AuthorityError::Tls {
        path: path.to_path_buf(),
        why,
    };
    let mut tls = TlsSettings::default();
    tls = match &settings.trust {
        Trust::System => tls,
        Trust::SystemAnd(ca) => tls
            .trust(&read(ca)?)
            .map_err(|why| unusable(ca, why.to_string()))?,
        Trust::Only(ca) => tls
            .trust_only(&read(ca)?)
            .map_err(|why| unusable(ca, why.to_string()))?,
    };
    match &settings.identity {
        None => Ok(tls),
        Some(Identity { certificate, key }) => tls
            .identify(&read(certificate)?, &read(key)?)
            .map_err(|why| unusable(certificate, why.to_string())),
    }
}
