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
    Authority, Template,
    config::Values,
    contract::Shared,
    http::{
        address::{Allowed, Network},
        client::Client,
        grant::{Grant, GrantSet},
        host::Authority as HttpAuthority,
    },
    keyvalue::{Buckets, Granted, KeyValue, grant::Access as BucketAccess},
    layer::{Counters, Deadline, Meter},
    logging::Lines,
};
use coracle_manifest::{
    Operator,
    app::{Access, App, Component, HttpGrant, HttpScheme},
    name::BucketName,
};
use thiserror::Error;
use wasmtime_wasi::{FsPerms, WasiCtxBuilder, filesystem::WasiFilesystemCtx};

/// How long a bucket may take to answer.
const BUCKET_DEADLINE: std::time::Duration = std::time::Duration::from_secs(10);

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
    /// An outbound grant that the manifest took and the client does not: a disagreement of ours.
    #[error("the outbound grant {grant} cannot be enforced: {why}")]
    Http {
        /// Which.
        grant: String,
        /// Why not.
        why: String,
    },
}

/// The counters of one component, for metrics.
#[derive(Debug, Clone, Default)]
pub struct ComponentCounters {
    /// Key-value calls.
    pub keyvalue: Arc<Counters>,
    /// Outbound requests.
    pub http: Arc<Counters>,
}

/// What linking needs of one component's grants.
pub fn authority(
    component: &Component,
    buckets: &BTreeMap<BucketName, Shared<KeyValue>>,
    counters: &ComponentCounters,
) -> Authority {
    let open = component.grants.keyvalue.iter().filter_map(|grant| {
        // The manifest has checked that every granted bucket is declared.
        let backend = Arc::clone(buckets.get(&grant.bucket)?);
        let access = match grant.access {
            Access::Read => BucketAccess::Read,
            Access::ReadWrite => BucketAccess::ReadWrite,
        };
        let bounded: Shared<KeyValue> = Arc::new(Deadline::new(backend, BUCKET_DEADLINE));
        let granted: Shared<KeyValue> =
            Arc::new(Granted::new(bounded, access, grant.prefix.clone()));
        let metered: Shared<KeyValue> =
            Arc::new(Meter::new(granted, Arc::clone(&counters.keyvalue)));
        Some((grant.alias.clone(), metered))
    });
    Authority {
        component: component.name.to_string(),
        buckets: Buckets::new(open.collect()),
        config: Values::new(component.config.clone()),
        clock: component.grants.clock,
        randomness: component.grants.randomness,
    }
}

/// What every invocation of one component starts from.
///
/// # Errors
/// See [`AuthorityError`].
pub fn template(
    app: &App,
    component: &Component,
    operator: &Operator,
    client: &Client,
    counters: &ComponentCounters,
    lines: &Arc<dyn Lines>,
) -> Result<Template, AuthorityError> {
    Ok(Template {
        app: app.name.as_str().into(),
        component: component.name.as_str().into(),
        environment: Arc::new(component.environment.clone()),
        files: files(component, false)?,
        files_held: files(component, true)?,
        http: HttpAuthority {
            client: client.clone(),
            grants: Arc::new(outbound(app, component, operator)?),
            counters: Arc::clone(&counters.http),
        },
        lines: Arc::clone(lines),
    })
}

fn files(component: &Component, held: bool) -> Result<WasiFilesystemCtx, AuthorityError> {
    preopened(component.grants.files.iter().map(|grant| {
        (grant.dir.as_path(), grant.at.as_str(), grant.access == Access::ReadWrite && !held)
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
        let permissions = if writable { FsPerms::ReadWrite } else { FsPerms::ReadOnly };
        builder.preopened_dir(dir, at, permissions).map_err(|error| AuthorityError::Directory {
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
) -> Result<GrantSet, AuthorityError> {
    let grants = component
        .grants
        .http
        .iter()
        .map(grant)
        .collect::<Result<_, _>>()?;
    let networks = operator
        .allowed_networks(&app.name)
        .into_iter()
        .filter_map(|network| network.to_string().parse::<Network>().ok());
    let allowed = Allowed {
        networks: networks.collect(),
        hosts: None,
        control_ports: Vec::new(),
    };
    Ok(GrantSet {
        grants,
        allowed: Arc::new(allowed),
    })
}

fn grant(grant: &HttpGrant) -> Result<Grant, AuthorityError> {
    let refused = |why: &dyn std::fmt::Display| AuthorityError::Http {
        grant: format!("{grant:?}"),
        why: why.to_string(),
    };
    Ok(Grant {
        host: grant
            .host
            .to_string()
            .parse()
            .map_err(|why| refused(&why))?,
        port: grant.port,
        scheme: match grant.scheme {
            HttpScheme::Http => coracle_capability::http::contract::Scheme::Http,
            HttpScheme::Https => coracle_capability::http::contract::Scheme::Https,
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
        headers: Default::default(),
    })
}
