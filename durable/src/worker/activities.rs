//! Runs attempts of activities on tokio tasks, as many at once as the worker may, in the order in
//! which they were asked for. It knows nothing of stores: a result goes back to the partition.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use durable_store::{InstanceNo, PartitionId, Timestamp};
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use super::metrics::Counters;
use super::operations;
use crate::clock::Clock;
use crate::context::{ActivityAttempt, ActivityContext, DataMap};
use crate::error::{Failure, Outcome, TaskErrorKind, TaskFailure};
use crate::registry::Registry;
use crate::telemetry;
use crate::turn::{ActivityStart, OperationEffects};

/// An attempt to be run.
pub(super) struct Job {
    pub(super) no: InstanceNo,
    pub(super) instance: Arc<str>,
    pub(super) start: ActivityStart,
    pub(super) cancellation: CancellationToken,
    /// Where the result goes. Closed if the partition is lost, and then nobody wants it.
    pub(super) results: mpsc::UnboundedSender<Ended>,
    /// Whether it was offered before, and claimed by this worker.
    pub(super) is_claimed: bool,
    /// When it was asked for here.
    pub(super) since: Timestamp,
}

/// An attempt that has ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) no: InstanceNo,
    pub(super) instance: Arc<str>,
    pub(super) start: ActivityStart,
    pub(super) outcome: Outcome,
    /// What an operation of an entity wants done.
    pub(super) effects: Option<OperationEffects>,
}

/// The activities of one worker.
pub(super) struct Activities {
    registry: Arc<Registry>,
    data: DataMap,
    limit: usize,
    clock: Arc<dyn Clock>,
    counters: Arc<Counters>,
    queue: Mutex<Queue>,
    /// Whether somebody waits for room.
    wants_room: AtomicBool,
    room: Notify,
    /// Stops everything at once: the worker is gone.
    killed: CancellationToken,
}

#[derive(Default)]
struct Queue {
    running: usize,
    waiting: VecDeque<Job>,
}

impl Activities {
    pub(super) fn new(
        registry: Arc<Registry>,
        data: DataMap,
        limit: usize,
        (clock, counters): (Arc<dyn Clock>, Arc<Counters>),
        killed: CancellationToken,
    ) -> Arc<Self> {
        let (queue, wants_room, room) = (Mutex::default(), AtomicBool::new(false), Notify::new());
        Arc::new(Self { registry, data, limit, clock, counters, queue, wants_room, room, killed })
    }

    /// How many may run at once.
    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    /// How many attempts wait.
    pub(super) fn waiting(&self) -> usize {
        self.queue().waiting.len()
    }

    /// How many more attempts would begin at once.
    pub(super) fn free(&self) -> usize {
        let queue = self.queue();
        if queue.waiting.is_empty() { self.limit.saturating_sub(queue.running) } else { 0 }
    }

    /// Whether [`Activities::room`] is to tell of room.
    pub(super) fn want_room(&self, wanted: bool) {
        self.wants_room.store(wanted, Ordering::Relaxed);
    }

    /// Completes when there may be room.
    pub(super) async fn room(&self) {
        self.room.notified().await;
    }

    /// Takes out up to `count` attempts of the partition that wait and may leave: those that would
    /// begin last. It looks at `depth` of them at most.
    pub(super) fn take_last(
        &self,
        partition: PartitionId,
        count: usize,
        depth: usize,
        may_leave: impl Fn(&ActivityStart) -> bool,
    ) -> Vec<Job> {
        let fits = |job: &Job| {
            let is_open = !job.is_claimed && !job.cancellation.is_cancelled();
            is_open && job.no.partition() == partition && may_leave(&job.start)
        };
        let mut queue = self.queue();
        let start = queue.waiting.len().saturating_sub(depth);
        if !queue.waiting.range(start..).any(fits) {
            return Vec::new();
        }
        let (mut taken, mut kept) = (Vec::new(), VecDeque::new());
        for job in queue.waiting.drain(start..).rev() {
            if taken.len() < count && fits(&job) {
                taken.push(job);
            } else {
                kept.push_front(job);
            }
        }
        queue.waiting.append(&mut kept);
        taken.reverse();
        taken
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs the attempt as soon as there is room.
    pub(super) fn start(self: &Arc<Self>, job: Job) {
        {
            let mut queue = self.queue();
            if queue.running >= self.limit {
                queue.waiting.push_back(job);
                return;
            }
            queue.running += 1;
        }
        self.spawn(job, Room(Arc::clone(self)));
    }

    fn spawn(self: &Arc<Self>, job: Job, room: Room) {
        let activities = Arc::clone(self);
        tokio::spawn(async move {
            let _room = room;
            let killed = activities.killed.clone();
            tokio::select! {
                () = killed.cancelled() => {}
                () = activities.run(job) => {}
            }
        });
    }

    async fn run(&self, job: Job) {
        let Job { no, instance, start, cancellation, results, is_claimed: _, since } = job;
        self.counters.begins(self.clock.now().saturating_since(since));
        let mut effects = None;
        let outcome = if cancellation.is_cancelled() {
            Err(cancelled())
        } else if let Some(operation) = &start.entity {
            let ended = operations::run(&self.registry, &start, operation).await;
            ended.map(|(output, noted)| {
                effects = Some(noted);
                output
            })
        } else {
            let span = tracing::debug_span!(
                telemetry::ACTIVITY,
                instance = &*instance,
                name = start.name,
                attempt = start.attempt
            );
            self.attempt(&instance, &start, cancellation).instrument(span).await
        };
        // An error says that the partition is gone.
        let _ = results.send(Ended { no, instance, start, outcome, effects });
    }

    async fn attempt(
        &self,
        instance: &str,
        start: &ActivityStart,
        cancellation: CancellationToken,
    ) -> Outcome {
        let Some(runner) = self.registry.activity(&start.name) else {
            return Err(not_registered(&start.name));
        };
        let context = ActivityContext::new(ActivityAttempt {
            instance_id: instance.to_owned(),
            activity: start.name.clone(),
            attempt: start.attempt,
            cancellation,
            data: self.data.clone(),
        });
        let body = async { runner.run(context, &start.input).await };
        match no_unwind(body).await {
            Ok(Ok(result)) => crate::task::check_size(&result).map(|()| result),
            Ok(Err(failure)) => Err(failure),
            Err(panic) => {
                Err(TaskFailure::new(TaskErrorKind::Panicked, Failure::of_panic(&*panic)))
            }
        }
    }

    /// An attempt has ended: the next one takes its place.
    fn make_room(self: &Arc<Self>) {
        let next = {
            let mut queue = self.queue();
            let next = loop {
                match queue.waiting.pop_front() {
                    Some(job) if job.results.is_closed() => {}
                    next => break next,
                }
            };
            if next.is_none() || self.killed.is_cancelled() {
                queue.running -= 1;
                if self.wants_room.load(Ordering::Relaxed) {
                    self.room.notify_one();
                }
                return;
            }
            next
        };
        if let Some(job) = next {
            // The place is handed on as it is.
            self.spawn(job, Room(Arc::clone(self)));
        }
    }
}

/// A place among the running activities. Given on when it is dropped, however the task ended.
struct Room(Arc<Activities>);

impl Drop for Room {
    fn drop(&mut self) {
        // Outside of a runtime, which may be shutting down, nothing can be started any more.
        if tokio::runtime::Handle::try_current().is_ok() {
            self.0.make_room();
        }
    }
}

/// Awaits a future and catches its panics, also those of its destructor.
pub(crate) async fn no_unwind<T>(future: impl Future<Output = T>) -> std::thread::Result<T> {
    let mut future = Box::pin(future);
    let result = std::future::poll_fn(|context| {
        match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(output)) => Poll::Ready(Ok(output)),
            Err(panic) => Poll::Ready(Err(panic)),
        }
    })
    .await;
    catch_unwind(AssertUnwindSafe(move || drop(future))).and(result)
}

fn cancelled() -> TaskFailure {
    let failure = Failure::new("Cancelled", "it was cancelled before it began");
    TaskFailure::new(TaskErrorKind::Cancelled, failure)
}

fn not_registered(name: &str) -> TaskFailure {
    let message = format!(
        "the worker knows no activity `{name}`: register it with `.activity(..)` or \
         `.activities(..)` on the worker's builder"
    );
    TaskFailure::new(TaskErrorKind::NotRegistered, Failure::new("NotRegistered", message))
}
