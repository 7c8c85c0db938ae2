//! Instantiate, call, drop: an invocation on the product's path from the exchange to the last byte of the body, and the same on bare Wasmtime.

use std::{
    collections::BTreeMap,
    hint::black_box,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::ensure;
use coracle_backends::embedded::{Config, Store};
use coracle_capability::{
    Authority, Template,
    config::Environment,
    http::{
        client::{Client, Settings},
        grant::GrantSet,
        host::Authority as HttpAuthority,
    },
    keyvalue::{Buckets, Call},
    link,
    logging::{Line, Lines, Speaker},
};
use coracle_engine::{Cache, Limits};
use coracle_gateway::{Body, Destination as _, Exchange, Observer, RequestId};
use coracle_observability::{Metrics, Reporter};
use coracle_trigger::{Admission, Handler, Revision, Watching};
use http::{Method, Request, header::AUTHORIZATION};
use http_body_util::{BodyExt as _, Empty};
use wasmtime_wasi::WasiCtx;

use super::{Figure, QUIET, QUIET_WAIT, layers::layered};
use crate::{
    bare::{Bare, open_cache, prepare},
    contender::Paths,
    load, machine,
    statistics::Rounds,
    verdict::Promise,
};

const CALLS: u32 = 20_000;
const WARM_CALLS: u32 = 2_000;

const FRESH: Promise = Promise::at_most(
    "instantiate, call, drop on the product's path, WASI 0.2, one thread",
    16.0,
    11.0,
    " µs",
);

pub(super) async fn measure(paths: &Paths, rounds: u32) -> anyhow::Result<Vec<Figure>> {
    let cache = open_cache(&paths.work.join("inproc"))?;
    let directory = tempfile::tempdir_in(&paths.work)?;
    let store = Store::open(&Config::new(directory.path()))?;
    let bucket = store.bucket("bench", "api-keys");
    let record = br#"{"user_id":"user_123","expires_at":4102444800}"#.to_vec();
    bucket
        .call(Call::SetMany {
            pairs: vec![("key_123".into(), record)],
        })
        .await?;

    let buckets = Buckets::new(vec![("default".into(), layered(bucket))]);
    let product = [
        Product::new(&cache, &paths.auth_static(2), Buckets::default())?,
        Product::new(&cache, &paths.auth_static(3), Buckets::default())?,
        Product::new(&cache, &paths.auth(), buckets)?,
    ];
    let bare = [
        Bare::new(&prepare(&cache, &paths.auth_static(2))?)?,
        Bare::new(&prepare(&cache, &paths.auth_static(3))?)?,
    ];
    let mut ours: [Rounds; 3] = Default::default();
    let mut theirs: [Rounds; 2] = Default::default();
    for round in 0..=rounds {
        // Round 0 warms up: slots, branch predictors, the allocator's pages.
        let calls = if round == 0 { WARM_CALLS } else { CALLS };
        machine::wait_for_quiet(QUIET, QUIET_WAIT);
        for (product, took) in product.iter().zip(&mut ours) {
            let each = product.calls(calls).await?;
            if round > 0 {
                took.push(each);
            }
        }
        for (bare, took) in bare.iter().zip(&mut theirs) {
            let each = bare_calls(bare, calls).await?;
            if round > 0 {
                took.push(each);
            }
        }
    }
    let ([p2, p3, bucket], [bare_p2, bare_p3]) = (ours, theirs);
    let figure = |what, measured: &Rounds, beside| Figure {
        what,
        measured: measured.clone(),
        unit: "µs",
        beside,
        promise: None,
    };
    Ok(vec![
        Figure {
            promise: Some((FRESH, p2.clone())),
            ..figure(
                "instantiate, call, drop, WASI 0.2, key compiled in",
                &p2,
                vec![("bare Wasmtime", bare_p2)],
            )
        },
        figure("the same, WASI 0.3", &p3, vec![("bare Wasmtime", bare_p3)]),
        figure(
            "the same, WASI 0.2, key read from the embedded bucket",
            &bucket,
            vec![("key compiled in", p2)],
        ),
    ])
}

/// A component behind the product's handler, with the metrics that a node keeps.
pub(crate) struct Product {
    handler: Handler,
    observer: Arc<dyn Observer>,
}

impl Product {
    pub(crate) fn new(
        cache: &Cache,
        file: &std::path::Path,
        buckets: Buckets,
    ) -> anyhow::Result<Self> {
        let component = prepare(cache, file)?;
        let authority = Authority {
            component: "auth".into(),
            buckets,
            clock: true,
            ..Authority::default()
        };
        let linked = link(&component.mapped, &authority)
            .map_err(|errors| anyhow::anyhow!("linking: {errors:?}"))?;
        let revision = Revision::new(linked, &component.described, template(), Limits::default())?;
        let admission = Admission::new(256, 256, Duration::from_secs(1));
        Ok(Self {
            handler: Handler::new(
                Arc::new(revision),
                Arc::new(admission),
                Watching::Nobody,
                tokio::runtime::Handle::current(),
            ),
            observer: Arc::new(Reporter::new(Arc::new(Metrics::new()), None)),
        })
    }

    /// Mean of so many invocations, one after the other, in µs.
    pub(crate) async fn calls(&self, calls: u32) -> anyhow::Result<f64> {
        let began = Instant::now();
        for _ in 0..calls {
            let mut request = request::<coracle_gateway::BodyError>()?;
            let id = RequestId::random();
            let observer = Arc::clone(&self.observer);
            let exchange = Arc::new(Exchange::new(id, Method::GET, load::PATH, observer));
            request.extensions_mut().insert(exchange);
            let response = self.handler.call(request).await;
            ensure!(response.status() == 200, "answered {}", response.status());
            let body: Body = response.into_body();
            let whole = body
                .collect()
                .await
                .map_err(|error| anyhow::anyhow!("{error}"))?;
            black_box(whole.to_bytes());
        }
        Ok(each(began, calls))
    }
}

pub(crate) async fn bare_calls(bare: &Bare, calls: u32) -> anyhow::Result<f64> {
    let began = Instant::now();
    for _ in 0..calls {
        let response = bare.answer(request()?).await;
        let response = response.map_err(|error| anyhow::anyhow!("{error:#}"))?;
        ensure!(response.status() == 200, "answered {}", response.status());
        black_box(response.into_body().collect().await?.to_bytes());
    }
    Ok(each(began, calls))
}

fn each(began: Instant, calls: u32) -> f64 {
    began.elapsed().as_secs_f64() * 1e6 / f64::from(calls)
}

/// As it would come from the gateway.
fn request<E>()
-> anyhow::Result<Request<http_body_util::combinators::UnsyncBoxBody<bytes::Bytes, E>>> {
    let body = Empty::new().map_err(|never| match never {}).boxed_unsync();
    let request = Request::builder()
        .uri(load::PATH)
        .header("host", "127.0.0.1:8080")
        .header(AUTHORIZATION, load::AUTHORIZATION);
    Ok(request.body(body)?)
}

fn template() -> Template {
    let files = WasiCtx::builder().build().filesystem().clone();
    let grants = GrantSet {
        grants: Vec::new(),
        allowed: Arc::default(),
    };
    Template {
        app: "bench".into(),
        component: "auth".into(),
        environment: Environment::fixed(BTreeMap::new()),
        files_held: files.clone(),
        files,
        http: HttpAuthority {
            client: Client::new(Settings::default()),
            grants: Arc::new(grants),
            counters: Arc::default(),
        },
        time: None,
        seed: None,
        lines: Arc::new(Silent),
    }
}

struct Silent;

impl Lines for Silent {
    fn line(&self, _: &Speaker, _: Line) {}
    fn dropped(&self, _: &Speaker, _: u32) {}
}
