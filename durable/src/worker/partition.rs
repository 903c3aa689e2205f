//! THE LOOP of one partition: poll and load, turn, commit, release effects. While one commit is
//! under way the next turns run and gather in the next batch. Nothing leaves here before the
//! commit that holds it is durable.

use std::collections::{HashMap, HashSet, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use durable_store::{InstanceNo, Lease, StoreError, StoreErrorKind, Timestamp};
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;

use super::activities::{Activities, Ended};
use super::arrivals::Entrance;
use super::committer::{BatchLimits, Committer, Part, Pending};
use super::fetch::{Fetcher, Loaded};
use super::flight::{Flight, Landed, Unresolved};
use super::inbox::Inbox;
use super::lanes::Lane;
use super::metrics::{Counters, add};
use super::offers::{Exchange, Offers};
use super::options::Settings;
use super::slots::{Mail, Slots};
use crate::clock::Sleep;
use crate::connection::Connection;
use crate::doors::Arrival;
use crate::message::TaskId;
use crate::registry::Registry;
use crate::turn::Inbound;

/// New messages that one poll brings at most.
const POLL_PAGE: usize = 1_000;
/// With so many messages in memory, no more are polled for.
const MAX_WAITING_MESSAGES: usize = 20_000;
/// Instances that one load brings at most.
const LOAD_PAGE: usize = 500;
/// After so many rounds without a wait, other tasks of the runtime get a chance.
const ROUNDS_PER_YIELD: u64 = 16;

/// Before a partition moves to another worker, activities get at most such a part of a lease.
const MOVE_DIVISOR: u32 = 3;

/// What all partitions of a worker use.
pub(super) struct Shared {
    pub(super) connection: Arc<Connection>,
    pub(super) registry: Arc<Registry>,
    pub(super) activities: Arc<Activities>,
    pub(super) exchange: Arc<Exchange>,
    pub(super) settings: Settings,
    pub(super) partitions: u16,
    /// Instances in memory, over all partitions.
    pub(super) resident: Arc<AtomicUsize>,
    /// The worker shuts down in good order.
    pub(super) draining: CancellationToken,
    pub(super) counters: Arc<Counters>,
}

/// Why a partition was left.
#[derive(Debug)]
pub(super) enum Exit {
    /// It was told to stop at once, maybe while a commit was under way.
    Stopped(Option<Unresolved>),
    /// It was told to leave in good order, and everything is durable.
    Drained,
    /// Another owner has it, maybe since before the last commit happened.
    Lost(Option<Unresolved>),
    /// Memory and store may differ, or the store fails: it has to be acquired and loaded anew.
    Failed {
        unresolved: Option<Unresolved>,
        /// Whether any commit succeeded before.
        progress: bool,
    },
}

/// An attempt of an activity that was started here.
pub(super) struct Running {
    pub(super) attempt: u32,
    pub(super) cancellation: CancellationToken,
}

pub(super) type Fetch<T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send>>;

/// A partition under one lease.
pub(super) struct Partition {
    pub(super) shared: Arc<Shared>,
    pub(super) committer: Committer,
    fetcher: Fetcher,
    pub(super) slots: Slots,
    pub(super) inbox: Inbox,
    pub(super) pending: Pending,
    /// Instances that have activities under way, as of the last commit.
    pub(super) busy: HashSet<InstanceNo>,
    pub(super) running: HashMap<(InstanceNo, TaskId), Running>,
    /// Attempts among them that others may run.
    pub(super) offers: Offers,
    pub(super) results: mpsc::UnboundedSender<Ended>,
    ended: mpsc::UnboundedReceiver<Ended>,
    lane: Lane,
    flight: Option<Flight>,
    /// Where clients of this process hand messages over.
    pub(super) entrance: Entrance,
    load: Option<Fetch<Loaded>>,
    poll: Option<Fetch<durable_store::Polled>>,
    /// Something may be in the inbox.
    pub(super) poll_wanted: bool,
    next_poll: Timestamp,
    /// How many messages the poll under way may bring.
    poll_limit: usize,
    wake: Arc<Notify>,
    /// The partition is to be left in good order.
    pub(super) draining: CancellationToken,
    /// Everything stops: the lease is lost, or the worker is gone.
    pub(super) stopped: CancellationToken,
    /// What is left of a batch that was refused as a whole, to be tried bit by bit.
    pub(super) halves: VecDeque<Vec<Part>>,
    progress: bool,
    grace_until: Option<Timestamp>,
    alarm: Option<(Timestamp, Sleep)>,
    poll_alarm: Option<(Timestamp, Sleep)>,
}

impl Partition {
    pub(super) fn new(
        shared: Arc<Shared>,
        lease: Lease,
        wake: Arc<Notify>,
        arrivals: mpsc::Receiver<Arrival>,
        (draining, stopped): (CancellationToken, CancellationToken),
    ) -> Self {
        let connection = Arc::clone(&shared.connection);
        let (results, ended) = mpsc::unbounded_channel();
        Self {
            fetcher: Fetcher { connection: Arc::clone(&connection), lease: lease.clone() },
            committer: Committer { connection, lease },
            slots: Slots::new(shared.settings.resident_instances, Arc::clone(&shared.resident)),
            inbox: Inbox::default(),
            pending: Pending::default(),
            busy: HashSet::new(),
            running: HashMap::new(),
            offers: Offers::new(Arc::clone(&shared.exchange)),
            results,
            ended,
            lane: Lane::of({
                let store = Arc::clone(&shared.connection.store);
                move || store.ready_to_commit()
            }),
            flight: None,
            entrance: Entrance::new(arrivals),
            load: None,
            poll: None,
            poll_wanted: true,
            next_poll: Timestamp::MIN,
            poll_limit: 0,
            wake,
            draining,
            stopped,
            halves: VecDeque::new(),
            progress: false,
            grace_until: None,
            alarm: None,
            poll_alarm: None,
            shared,
        }
    }

    pub(super) fn now(&self) -> Timestamp {
        self.shared.connection.clock.now()
    }

    pub(super) fn batch_limits(&self) -> BatchLimits {
        BatchLimits {
            orchestrations: self.shared.settings.max_concurrent_orchestrations,
            entities: self.shared.settings.max_concurrent_entities,
        }
    }

    /// Runs until the partition has to be left.
    pub(super) async fn run(mut self, unresolved: Vec<Unresolved>) -> Exit {
        let stopped = self.stopped.clone();
        let exit = tokio::select! {
            biased;
            () = stopped.cancelled() => Exit::Stopped(None),
            exit = self.work(unresolved) => exit,
        };
        // What still runs is not waited for any more.
        for running in self.running.values() {
            running.cancellation.cancel();
        }
        match exit {
            Exit::Stopped(_) => Exit::Stopped(self.flight.take().map(Flight::abandon)),
            exit => exit,
        }
    }

    async fn work(&mut self, unresolved: Vec<Unresolved>) -> Exit {
        if let Err(error) = self.take_over(unresolved).await {
            return self.failed(&error);
        }
        for round in 1_u64.. {
            self.fire_timers();
            // In every round: what else happens may have no end.
            self.take_arrivals();
            self.run_turns();
            self.begin_commit();
            self.begin_fetch();
            self.begin_offers();
            if self.is_drained() {
                return Exit::Drained;
            }
            if let Err(exit) = self.next_event().await {
                return exit;
            }
            if round % ROUNDS_PER_YIELD == 0 {
                tokio::task::yield_now().await;
            }
        }
        Exit::Stopped(None)
    }

    /// Begins as the new owner: finds out about commits in doubt, and starts again what was under
    /// way.
    async fn take_over(&mut self, unresolved: Vec<Unresolved>) -> Result<(), StoreError> {
        // What the owner before let others do is not wanted: it is begun again.
        self.fetcher.withdraw_offers().await?;
        self.fetcher.resolve(unresolved).await?;
        let busy = self.fetcher.busy_instances().await?;
        // Their activities may know of what the owner before stored elsewhere.
        self.shared.connection.doors.note_seen();
        for stored in busy {
            self.busy.insert(stored.record.no);
            let id: Arc<str> = stored.record.id.as_str().into();
            self.adopt(&id, &stored);
            self.slots.deliver(&id, Mail::local(Inbound::Recover, self.now()));
        }
        Ok(())
    }

    /// Why the partition has to be left after this error.
    pub(super) fn failed(&mut self, error: &StoreError) -> Exit {
        let unresolved = self.flight.take().map(Flight::abandon);
        self.exit(error, unresolved)
    }

    fn exit(&self, error: &StoreError, unresolved: Option<Unresolved>) -> Exit {
        let partition = self.committer.lease.partition.0;
        match error.kind() {
            StoreErrorKind::LeaseLost => Exit::Lost(unresolved),
            StoreErrorKind::Conflict | StoreErrorKind::OutcomeUnknown => {
                tracing::warn!(partition, %error, "the partition is loaded again");
                Exit::Failed { unresolved, progress: self.progress }
            }
            _ => {
                tracing::error!(
                    partition,
                    %error,
                    "the partition is loaded again; nothing is lost, messages stay stored"
                );
                Exit::Failed { unresolved, progress: self.progress }
            }
        }
    }

    fn fire_timers(&mut self) {
        let now = self.now();
        while let Some((id, message)) = self.inbox.next_due(now) {
            self.accept_scheduled(id, &message);
        }
    }

    fn begin_commit(&mut self) {
        if self.flight.is_some() {
            return;
        }
        if self.is_settled() {
            return self.lane.leave();
        }
        if !self.lane.take() {
            return;
        }
        let parts = self.halves.pop_front().unwrap_or_else(|| {
            self.entrance.commit_begins();
            self.pending.take()
        });
        self.flight = Some(Flight::begin(self.committer.clone(), parts));
    }

    fn begin_fetch(&mut self) {
        if self.load.is_none() && self.slots.has_wanted() {
            let wanted = self.slots.take_wanted(LOAD_PAGE);
            self.load = Some(Box::pin(self.fetcher.clone().load(wanted)));
        }
        let now = self.now();
        if self.may_poll() && (self.poll_wanted || now >= self.next_poll) {
            self.poll_wanted = false;
            add(&self.shared.counters.polls, 1);
            self.next_poll = self.poll_after(now);
            self.inbox.poll_begins();
            self.note_poll();
            self.offers.poll_begins();
            // What is known is still stored: the poll has to look past it.
            let limit = self.inbox.len() + POLL_PAGE;
            self.poll_limit = limit;
            let horizon = now + self.horizon();
            self.poll = Some(Box::pin(self.fetcher.clone().poll(horizon, limit)));
        }
    }

    /// When to poll if nothing else makes it necessary: within an interval, and each partition at a
    /// time of its own, because a poll has much in memory at once.
    fn poll_after(&self, now: Timestamp) -> Timestamp {
        let interval = self.shared.settings.poll_interval;
        let (index, count) = (self.committer.lease.partition.0, self.shared.partitions.max(1));
        let phase = interval * u32::from(index) / u32::from(count);
        let micros = |time: Duration| i64::try_from(time.as_micros()).unwrap_or(i64::MAX).max(1);
        let passed = (now - phase).as_micros().rem_euclid(micros(interval));
        now + interval - Duration::from_micros(passed.unsigned_abs())
    }

    /// Whether more messages may come into memory.
    pub(super) fn has_room(&self) -> bool {
        self.slots.waiting() < MAX_WAITING_MESSAGES
    }

    fn may_poll(&self) -> bool {
        self.poll.is_none() && self.has_room() && !self.draining.is_cancelled()
    }

    /// How far ahead scheduled messages are kept in memory.
    pub(super) fn horizon(&self) -> Duration {
        self.shared.settings.horizon
    }

    /// Waits until something has happened, and takes it in.
    async fn next_event(&mut self) -> Result<(), Exit> {
        self.set_alarms();
        let takes_arrivals = self.takes_arrivals();
        tokio::select! {
            biased;
            () = self.draining.cancelled(), if self.grace_until.is_none() => {
                self.begin_drain();
            }
            landed = ready(&mut self.flight) => {
                let doubt = self.flight.take().map(Flight::landed);
                self.lane.leave();
                self.committed(landed, doubt)?;
            }
            () = self.lane.comes() => {}
            // Before what may be ready without end.
            () = self.wake.notified() => self.poll_wanted = true,
            loaded = ready(&mut self.load) => {
                self.load = None;
                let loaded = loaded.map_err(|error| self.failed(&error))?;
                self.take_loaded(loaded);
            }
            polled = ready(&mut self.poll) => {
                self.poll = None;
                let polled = polled.map_err(|error| self.failed(&error))?;
                let is_complete = polled.inbox.len().max(polled.scheduled.len()) < self.poll_limit;
                self.poll_wanted |= !is_complete;
                self.take_polled(polled);
                self.inbox.poll_ends();
                if is_complete {
                    self.poll_was_complete();
                    self.declare_lost();
                } else {
                    self.poll_was_incomplete();
                }
            }
            done = ready(self.offers.under_way()) => self.offers_done(done)?,
            Some(arrival) = self.entrance.door.recv(), if takes_arrivals => {
                self.take_arrival(arrival);
            }
            Some(ended) = self.ended.recv() => {
                self.activity_ended(ended);
                while let Ok(ended) = self.ended.try_recv() {
                    self.activity_ended(ended);
                }
            }
            () = ring(&mut self.alarm) => self.alarm = None,
            () = ring(&mut self.poll_alarm) => self.poll_alarm = None,
        }
        Ok(())
    }

    /// Sets what rings when something happens by itself.
    fn set_alarms(&mut self) {
        let grace = self.grace_until.filter(|until| *until > self.now());
        let due = self.inbox.due_at().into_iter().chain(grace).min();
        let poll = self.may_poll().then_some(self.next_poll);
        let clock = &self.shared.connection.clock;
        set(&mut self.alarm, due, |at| clock.sleep_until(at));
        set(&mut self.poll_alarm, poll, |at| clock.sleep_for_upkeep(at));
    }

    /// Whether everything that happened here is durable.
    pub(super) fn is_settled(&self) -> bool {
        self.flight.is_none() && self.pending.is_empty() && self.halves.is_empty()
    }

    fn committed(
        &mut self,
        (parts, result): Landed,
        mut doubt: Option<Unresolved>,
    ) -> Result<(), Exit> {
        if let Err(error) = &result
            && error.kind() == StoreErrorKind::OutcomeUnknown
        {
            // Before the parts are dropped, whose senders then ask again.
            if let Some(doubt) = &mut doubt {
                doubt.leave_to_callers();
            }
            return Err(self.exit(error, doubt));
        }
        // Whoever is to be told now is in the parts.
        drop(doubt.map(Unresolved::settle));
        match result {
            Ok(()) => {
                self.progress = true;
                add(&self.shared.counters.commits, 1);
                add(&self.shared.counters.rows, parts.iter().map(Part::rows).sum());
                self.release(parts);
            }
            Err(error) if error.kind() == StoreErrorKind::Limit => self.refused(parts, &error),
            Err(error)
                if error.kind() == StoreErrorKind::Conflict
                    && parts.iter().any(Part::makes_unstored) =>
            {
                self.outrun(parts);
            }
            Err(error) => return Err(self.exit(&error, None)),
        }
        // What is tried in halves is one commit to those who wait for it.
        if self.halves.is_empty() {
            self.entrance.commit_ends(!self.is_settled());
        }
        Ok(())
    }

    fn begin_drain(&mut self) {
        self.entrance.close();
        let settings = &self.shared.settings;
        let grace = if self.shared.draining.is_cancelled() {
            settings.shutdown_grace
        } else {
            // Others wait for it.
            settings.shutdown_grace.min(settings.lease_length / MOVE_DIVISOR)
        };
        self.grace_until = Some(self.now() + grace);
        for running in self.running.values() {
            running.cancellation.cancel();
        }
        self.withdraw_all();
    }

    /// Whether a shutdown has nothing to wait for any more: all turns that could run did, all of
    /// it is durable, and the activities have ended or had their time.
    fn is_drained(&self) -> bool {
        let Some(until) = self.grace_until else { return false };
        self.is_settled()
            && self.load.is_none()
            && !self.slots.has_ready()
            && !self.slots.has_wanted()
            && self.offers.are_settled()
            && (self.running.is_empty() || self.now() >= until)
    }
}

/// Awaits a future that may not be there.
pub(super) async fn ready<F: Future + Unpin>(future: &mut Option<F>) -> F::Output {
    match future {
        Some(future) => future.await,
        None => std::future::pending().await,
    }
}

/// Sets an alarm anew if its time has changed.
pub(super) fn set(
    alarm: &mut Option<(Timestamp, Sleep)>,
    at: Option<Timestamp>,
    sleep: impl FnOnce(Timestamp) -> Sleep,
) {
    if alarm.as_ref().map(|(at, _)| *at) != at {
        *alarm = at.map(|at| (at, sleep(at)));
    }
}

pub(super) async fn ring(alarm: &mut Option<(Timestamp, Sleep)>) {
    match alarm {
        Some((_, sleep)) => sleep.await,
        None => std::future::pending().await,
    }
}
