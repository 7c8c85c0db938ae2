//! Instances that serve several requests at once (WASI 0.3).
//!
//! In: a request that was admitted. Out: its answer, from an instance that a task of its own drives. An instance takes what it has
//! room for, one that waits for others before one that is at work. What cannot be told apart is the instance's: time on a core,
//! memory, lines. Wasmtime cannot cancel one call of several, so the work of a client that left runs on to its limit, and a
//! failure ends all requests of its instance. An instance with nothing to do goes back to the shelf, and its task ends.

use std::{
    collections::{BTreeMap, VecDeque},
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use coracle_capability::{Guest, Invocation, config::Variables, observe::Observation};
use coracle_engine::{Account, Metered};
use coracle_gateway::{Body, Exchange};
use futures_util::{StreamExt as _, stream::FuturesUnordered, task::AtomicWaker};
use http::{Request, Response};
use http_body::{Body as _, Frame};
use http_body_util::BodyExt;
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, Sleep, sleep_until, timeout_at},
};
use wasmtime::component::Accessor;
use wasmtime_wasi_http::{Error, WasiBody, p3::bindings::Service};

use super::Shelf;
use crate::{
    admission::Place,
    http::{
        failure::{Failure, check_head},
        instance::{Handler, Instance},
        invocation::{Failed, Head},
        p3,
        revision::Revision,
        work::Running,
    },
};

/// What is taken of a body before its head leaves.
const MAX_BEGUN_BYTES: usize = 64 << 10;

/// The instances of one revision that are at work.
pub(in crate::http) struct Crew {
    concurrent: usize,
    cores: usize,
    workers: Mutex<Vec<Arc<Worker>>>,
}

/// One instance at work.
struct Worker {
    concurrent: usize,
    account: Arc<Account>,
    /// What its guest began with.
    environment: Variables,
    /// Whether everything in it waits for something: it would begin at once.
    waits: AtomicBool,
    /// Its task.
    task: AtomicWaker,
    /// Answers that leave when the instance has done what it can: a whole one then leaves as one message.
    answers: Mutex<Vec<Answering>>,
    state: Mutex<State>,
}

struct State {
    jobs: mpsc::UnboundedSender<Job>,
    active: BTreeMap<u32, Active>,
    /// Requests it was given, in this run and before.
    served: u32,
    most: u32,
    /// Takes no more requests.
    retired: bool,
    /// When the last of its requests has to be done.
    until: Instant,
    told: Duration,
}

/// A request in an instance.
struct Job {
    number: u32,
    until: Instant,
    request: Request<Body>,
    head: oneshot::Sender<Head>,
}

/// An answer on its way out.
struct Answering {
    to: oneshot::Sender<Head>,
    head: Result<Response<SharedBody>, String>,
}

/// What is left to do when a request is done.
struct Active {
    exchange: Arc<Exchange>,
    failed: Failed,
    done: oneshot::Sender<Result<(), Failure>>,
    _place: Place,
}

/// One request as it comes.
pub(in crate::http) struct Asked {
    pub(in crate::http) place: Place,
    pub(in crate::http) exchange: Arc<Exchange>,
    pub(in crate::http) failed: Failed,
    pub(in crate::http) request: Request<Body>,
    pub(in crate::http) environment: Variables,
    pub(in crate::http) head: oneshot::Sender<Head>,
}

impl Crew {
    /// Nobody at work; each instance will take so many requests at once.
    pub(in crate::http) fn new(concurrent: u32) -> Self {
        Self {
            concurrent: concurrent as usize,
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            workers: Mutex::default(),
        }
    }

    fn workers(&self) -> MutexGuard<'_, Vec<Arc<Worker>>> {
        self.workers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An instance at work that has room and began with these variables. One in which everything waits comes first; one that is busy is asked only when there are
    /// as many as cores.
    fn able(&self, environment: &Variables) -> Option<Arc<Worker>> {
        let workers = self.workers();
        let able = workers.iter().filter_map(|worker| {
            // A program reads its variables once.
            if !Arc::ptr_eq(&worker.environment, environment) {
                return None;
            }
            let busy = !worker.waits.load(Relaxed);
            let active = worker.open()?.state.active.len();
            let able = !busy || workers.len() >= self.cores;
            able.then_some((busy, active, worker))
        });
        let best = able.min_by_key(|(busy, active, _)| (*busy, *active));
        best.map(|(_, _, worker)| Arc::clone(worker))
    }
}

/// A request that an instance has.
struct Given {
    worker: Arc<Worker>,
    number: u32,
    until: Instant,
    done: oneshot::Receiver<Result<(), Failure>>,
}

/// Hands a request to an instance that serves several; what is returned ends with it. Dropping it leaves the instance at work.
pub(in crate::http) fn work(
    revision: &Arc<Revision>,
    crew: &Arc<Crew>,
    shelf: &Arc<Shelf>,
    asked: Asked,
) -> Running {
    let failed = Arc::clone(&asked.failed);
    let able = crew.able(&asked.environment);
    let given = match able.as_ref().and_then(|worker| worker.open()) {
        Some(open) => {
            shelf.counts().count_reused();
            open.accept(revision, asked)
        }
        None => start(revision, crew, shelf, asked),
    };
    Box::pin(async move {
        match timeout_at(given.until, given.done).await {
            Ok(Ok(ended)) => ended,
            // The task of the instance is gone without a word.
            Ok(Err(_)) => Err(Failure::Trap),
            Err(_) => {
                failed.store(true, Relaxed);
                given.worker.overdue(given.number);
                Err(Failure::Timeout)
            }
        }
    })
}

/// Puts another instance to work, beginning with this request.
fn start(revision: &Arc<Revision>, crew: &Arc<Crew>, shelf: &Arc<Shelf>, asked: Asked) -> Given {
    let (jobs, received) = mpsc::unbounded_channel();
    let rested = shelf.take(&asked.environment);
    match &rested {
        Some(_) => shelf.counts().count_reused(),
        None => shelf.counts().count_created(),
    }
    let worker = Arc::new(Worker {
        concurrent: crew.concurrent,
        account: Account::new(Duration::ZERO),
        environment: Arc::clone(&asked.environment),
        waits: AtomicBool::new(false),
        task: AtomicWaker::new(),
        answers: Mutex::default(),
        state: Mutex::new(State {
            jobs,
            active: BTreeMap::new(),
            served: rested.as_ref().map_or(0, |instance| instance.served),
            most: shelf.requests(),
            retired: false,
            until: Instant::now(),
            told: Duration::ZERO,
        }),
    });
    let first = Open {
        worker: &worker,
        state: worker.state(),
    };
    let given = first.accept(revision, asked);
    crew.workers().push(Arc::clone(&worker));
    let ending = Ending {
        worker,
        crew: Arc::clone(crew),
    };
    let (revision, shelf) = (Arc::clone(revision), Arc::clone(shelf));
    tokio::spawn(drive(revision, ending, shelf, rested, received));
    given
}

/// However the task of an instance ends, nobody waits for it any more.
struct Ending {
    worker: Arc<Worker>,
    crew: Arc<Crew>,
}

impl Drop for Ending {
    fn drop(&mut self) {
        self.worker.end_all(&Failure::Trap);
        self.crew
            .workers()
            .retain(|worker| !Arc::ptr_eq(worker, &self.worker));
    }
}

/// Drives one instance until it has nothing to do.
async fn drive(
    revision: Arc<Revision>,
    ending: Ending,
    shelf: Arc<Shelf>,
    rested: Option<Instance>,
    jobs: mpsc::UnboundedReceiver<Job>,
) {
    let worker = &ending.worker;
    let account = || Arc::clone(&worker.account);
    let instance = match rested {
        Some(mut instance) => {
            instance.begin(&revision, String::new(), account());
            Ok(instance)
        }
        None => {
            let fresh = revision.fresh(|| Invocation {
                request_id: String::new(),
                account: account(),
                environment: Arc::clone(&worker.environment),
                observation: Observation::None,
            });
            let fresh = std::pin::pin!(fresh);
            worker.within_time(Metered::new(fresh, account())).await
        }
    };
    let failed = |ended: Ended| match ended {
        Ended::Failed(error) => Failure::of(&error, &worker.account, revision.template(), None),
        Ended::Overdue => Failure::Timeout,
    };
    let mut instance = match instance {
        Ok(instance) => instance,
        Err(ended) => return worker.end_all(&failed(ended)),
    };
    let ran = {
        let Instance { store, handler, .. } = &mut instance;
        let Handler::P3(service) = &*handler else {
            return;
        };
        let serving = store.run_concurrent(async |accessor: &Accessor<Guest>| {
            serve(accessor, service, worker, jobs).await
        });
        let serving = async { serving.await? };
        let serving = std::pin::pin!(serving);
        let ran = worker.within_time(Metered::new(serving, account())).await;
        // Told before the guest is gone: what it had begun to answer must not look complete.
        ran.map_err(|ended| worker.end_all(&failed(ended)))
    };
    instance.served = worker.state().served;
    if ran.is_ok() && !worker.account.memory_refused() && !worker.spoiled() && instance.rest() {
        shelf.put(instance);
    }
}

/// Runs requests in one instance until it has none and nothing of them goes on.
async fn serve(
    accessor: &Accessor<Guest>,
    service: &Service,
    worker: &Arc<Worker>,
    mut jobs: mpsc::UnboundedReceiver<Job>,
) -> wasmtime::Result<()> {
    let mut handled = FuturesUnordered::new();
    std::future::poll_fn(|context| {
        worker.task.register(context.waker());
        loop {
            while let Poll::Ready(Some(handled)) = handled.poll_next_unpin(context) {
                if let Err(error) = handled {
                    return Poll::Ready(Err(error));
                }
            }
            match jobs.poll_recv(context) {
                Poll::Ready(Some(job)) => handled.push(handle(accessor, service, worker, job)),
                Poll::Ready(None) | Poll::Pending => break,
            }
        }
        if handled.is_empty()
            && accessor.poll_no_interesting_tasks(context).is_ready()
            && worker.close()
        {
            return Poll::Ready(Ok(()));
        }
        Poll::Pending
    })
    .await
}

/// Runs one request until its handler returns. An error is the whole instance's.
async fn handle(
    accessor: &Accessor<Guest>,
    service: &Service,
    worker: &Arc<Worker>,
    job: Job,
) -> wasmtime::Result<()> {
    let request = accessor.with(|mut access| p3::incoming(access.get(), job.request));
    // The call cannot be cancelled: it goes on in an instance that takes no more requests, until that ends.
    let Ok(head) = timeout_at(job.until, p3::handle(service, accessor, request)).await else {
        worker.overdue(job.number);
        return Ok(());
    };
    let head = head?.map(|response| {
        if check_head(&response).is_err() {
            worker.spoil();
        }
        response.map(|body| SharedBody {
            body,
            begun: VecDeque::new(),
            begun_bytes: 0,
            ended: false,
            overdue: None,
            until: job.until,
            worker: Arc::clone(worker),
            number: job.number,
        })
    });
    if head.is_err() {
        worker.spoil();
        worker.done(job.number, Ok(()));
    }
    let to = job.head;
    worker.answers().push(Answering { to, head });
    Ok(())
}

/// How an instance ends before it has done everything.
enum Ended {
    Failed(wasmtime::Error),
    Overdue,
}

impl Worker {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answers(&self) -> MutexGuard<'_, Vec<Answering>> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for one more request, if there is one.
    fn open(self: &Arc<Self>) -> Option<Open<'_>> {
        let state = self.state();
        let open = !state.retired
            && state.served < state.most
            && state.active.len() < self.concurrent
            && !self.account.memory_refused();
        open.then_some(Open {
            worker: self,
            state,
        })
    }

    /// A request is done with the instance, or the other way round.
    fn done(&self, number: u32, ended: Result<(), Failure>) {
        let done = {
            let mut state = self.state();
            let used = self.account.used();
            let since = used.saturating_sub(std::mem::replace(&mut state.told, used));
            state.active.remove(&number).map(|active| (active, since))
        };
        let Some((active, since)) = done else { return };
        active.exchange.add_cpu(since);
        active
            .exchange
            .set_peak_memory_bytes(self.account.memory_bytes());
        if let Err(failure) = &ended {
            active.failed.store(true, Relaxed);
            active.exchange.set_reason(failure.reason());
        }
        // Nobody waits any more when the client left.
        let _ = active.done.send(ended);
        self.task.wake();
    }

    /// A request was not done in time.
    fn overdue(&self, number: u32) {
        self.spoil();
        self.done(number, Err(Failure::Timeout));
    }

    /// The instance is gone, or about to be.
    fn end_all(&self, failure: &Failure) {
        self.spoil();
        let numbers: Vec<u32> = self.state().active.keys().copied().collect();
        for number in numbers {
            self.done(number, Err(failure.clone()));
        }
    }

    /// Takes no more requests, now or later.
    fn spoil(&self) {
        let mut state = self.state();
        state.retired = true;
        state.most = 0;
    }

    fn spoiled(&self) -> bool {
        self.state().most == 0
    }

    /// Takes no more requests in this run, if it has none.
    fn close(&self) -> bool {
        let mut state = self.state();
        let idle = state.active.is_empty();
        state.retired |= idle;
        idle
    }

    /// Polls the guest, and beside it the clock: what runs inside the guest's own loop is not polled while the guest is busy.
    async fn within_time<T>(
        &self,
        run: impl Future<Output = wasmtime::Result<T>>,
    ) -> Result<T, Ended> {
        let mut run = std::pin::pin!(run);
        let mut overdue = std::pin::pin!(sleep_until(self.state().until));
        std::future::poll_fn(|context| {
            self.waits.store(false, Relaxed);
            let mut ran = run.as_mut().poll(context);
            let mut answers = std::mem::take(&mut *self.answers());
            let mut asked = !answers.is_empty();
            while ran.is_pending()
                && (take_ready(&mut answers, context) || std::mem::take(&mut asked))
            {
                // The guest may have waited for room, or to be asked for its body: it runs once more before anything is sent.
                ran = run.as_mut().poll(context);
                answers.append(&mut self.answers());
            }
            self.waits.store(true, Relaxed);
            for answer in answers {
                let head = answer
                    .head
                    .map(|response| response.map(BodyExt::boxed_unsync));
                // Nobody waits any more when the client left.
                let _ = answer.to.send(head);
            }
            if let Poll::Ready(ran) = ran {
                return Poll::Ready(ran.map_err(Ended::Failed));
            }
            while overdue.as_mut().poll(context).is_ready() {
                let until = self.state().until;
                if until <= Instant::now() {
                    return Poll::Ready(Err(Ended::Overdue));
                }
                overdue.as_mut().reset(until);
            }
            Poll::Pending
        })
        .await
    }
}

fn take_ready(answers: &mut [Answering], context: &mut Context<'_>) -> bool {
    let mut taken = false;
    for response in answers
        .iter_mut()
        .filter_map(|answer| answer.head.as_mut().ok())
    {
        taken |= response.body_mut().take_ready(context);
    }
    taken
}

/// A place that nobody else can take meanwhile.
struct Open<'a> {
    worker: &'a Arc<Worker>,
    state: MutexGuard<'a, State>,
}

impl Open<'_> {
    fn accept(mut self, revision: &Revision, asked: Asked) -> Given {
        let state = &mut *self.state;
        // Each request brings its own time; which of them uses it cannot be told.
        self.worker.account.allow(revision.limits().cpu);
        state.served += 1;
        state.until = Instant::now() + revision.limits().timeout;
        let (number, until) = (state.served, state.until);
        let (sender, done) = oneshot::channel();
        let active = Active {
            exchange: asked.exchange,
            failed: asked.failed,
            done: sender,
            _place: asked.place,
        };
        state.active.insert(number, active);
        let job = Job {
            number,
            until,
            request: asked.request,
            head: asked.head,
        };
        // Whoever does not receive any more has taken no more requests before.
        let _ = state.jobs.send(job);
        Given {
            worker: Arc::clone(self.worker),
            number,
            until,
            done,
        }
    }
}

/// The body of an answer. Its request is done with the instance when it ends or is dropped.
struct SharedBody {
    body: WasiBody,
    /// What was there when the head left.
    begun: VecDeque<Result<Frame<Bytes>, Error>>,
    begun_bytes: usize,
    ended: bool,
    overdue: Option<Pin<Box<Sleep>>>,
    until: Instant,
    worker: Arc<Worker>,
    number: u32,
}

impl SharedBody {
    /// Takes what the guest has written so far. True when that makes room for the guest to go on.
    fn take_ready(&mut self, context: &mut Context<'_>) -> bool {
        let mut taken = false;
        while !self.ended && self.begun_bytes < MAX_BEGUN_BYTES {
            match Pin::new(&mut self.body).poll_frame(context) {
                Poll::Pending => break,
                Poll::Ready(None) => self.end(),
                Poll::Ready(Some(frame)) => {
                    let data = frame.as_ref().ok().and_then(Frame::data_ref);
                    self.begun_bytes += data.map_or(0, Bytes::len);
                    let broken = frame.is_err();
                    self.begun.push_back(frame);
                    if broken {
                        self.end();
                    }
                }
            }
            taken = true;
        }
        taken
    }

    fn end(&mut self) {
        self.ended = true;
        self.worker.done(self.number, Ok(()));
    }
}

impl http_body::Body for SharedBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = &mut *self;
        if let Some(frame) = this.begun.pop_front() {
            return Poll::Ready(Some(frame));
        }
        if this.ended {
            return Poll::Ready(None);
        }
        match Pin::new(&mut this.body).poll_frame(context) {
            Poll::Ready(None) => {
                this.end();
                Poll::Ready(None)
            }
            Poll::Pending => {
                let until = this.until;
                let overdue = this
                    .overdue
                    .get_or_insert_with(|| Box::pin(sleep_until(until)));
                std::task::ready!(overdue.as_mut().poll(context));
                this.ended = true;
                this.worker.overdue(this.number);
                Poll::Ready(Some(Err(Error::HttpResponseTimeout)))
            }
            frame => frame,
        }
    }
}

impl Drop for SharedBody {
    fn drop(&mut self) {
        self.worker.done(self.number, Ok(()));
    }
}
