//! Gathers what many callers want done at the same time, so that they share a statement and a flush.
//! Whoever is alone is not kept waiting: a group is what came while the groups before it were under
//! way. What was handed in is done whether or not its caller still waits.

use std::collections::VecDeque;
use std::marker::PhantomData;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::runtime::Handle;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use crate::store::Ready;

use super::Inner;

/// How often a lane gives way to those who are about to join its next group.
const BOARDING_YIELDS: usize = 2;

/// What can be done in groups.
pub(super) trait Grouped: Sized + Send + 'static {
    /// Where it waits.
    fn gathering(inner: &Inner) -> &Gathering<Self>;

    /// Its share of a group, against the limit of [`Gathering::new`].
    fn weight(&self) -> usize;

    /// Does all of a group.
    fn run(inner: &Arc<Inner>, group: Vec<Self>) -> impl Future<Output = ()> + Send;
}

/// What waits to be done, and the lanes on which groups are under way.
#[derive(Debug)]
pub(super) struct Gathering<T> {
    waiting: Mutex<VecDeque<T>>,
    lanes: Arc<Semaphore>,
    max_weight: usize,
    /// Lanes whose next group is not closed yet.
    boarding: AtomicUsize,
    /// A group can be joined again.
    boards: Notify,
}

impl<T: Grouped> Gathering<T> {
    /// So many groups are under way at the same time, each of so much weight at most; something
    /// heavier is a group of its own.
    pub(super) fn new(lanes: usize, max_weight: usize) -> Self {
        Self {
            waiting: Mutex::default(),
            lanes: Arc::new(Semaphore::new(lanes)),
            max_weight,
            boarding: AtomicUsize::new(0),
            boards: Notify::new(),
        }
    }

    /// Whether what is handed in now is done with the next group that begins at once.
    fn is_ready(&self) -> bool {
        self.boarding.load(Ordering::Acquire) > 0 || self.lanes.available_permits() > 0
    }

    /// Lets those who wait for it hand in what they have for the next group.
    async fn board(&self) {
        let _boarding = Boarding::begin(&self.boarding);
        self.boards.notify_waiters();
        for _ in 0..BOARDING_YIELDS {
            tokio::task::yield_now().await;
        }
    }

    fn waiting(&self) -> MutexGuard<'_, VecDeque<T>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next group, if anybody waits.
    fn take(&self) -> Vec<T> {
        let mut waiting = self.waiting();
        let (mut group, mut weight) = (Vec::new(), 0);
        while let Some(next) = waiting.front() {
            weight += next.weight();
            if !group.is_empty() && weight > self.max_weight {
                break;
            }
            group.extend(waiting.pop_front());
        }
        group
    }

    fn free_lane(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.lanes).try_acquire_owned().ok()
    }
}

/// Completes when what is handed in would be done at once. `None` is now.
pub(super) fn ready<T: Grouped>(inner: &Arc<Inner>) -> Option<Ready> {
    if T::gathering(inner).is_ready() {
        return None;
    }
    let inner = Arc::clone(inner);
    Some(Box::pin(async move {
        let gathering = T::gathering(&inner);
        loop {
            let mut boards = pin!(gathering.boards.notified());
            boards.as_mut().enable();
            if gathering.is_ready() {
                return;
            }
            boards.await;
        }
    }))
}

/// Hands something in.
pub(super) fn hand_in<T: Grouped>(inner: &Arc<Inner>, entry: T) {
    T::gathering(inner).waiting().push_back(entry);
    rouse::<T>(inner);
}

/// Sees to it that what waits is done.
fn rouse<T: Grouped>(inner: &Arc<Inner>) {
    let gathering = T::gathering(inner);
    if gathering.waiting().is_empty() {
        return;
    }
    // Whoever has the lanes looks again when he leaves his.
    if let Some(lane) = gathering.free_lane()
        && let Ok(runtime) = Handle::try_current()
    {
        runtime.spawn(run::<T>(Arc::clone(inner), lane));
    }
}

async fn run<T: Grouped>(inner: Arc<Inner>, lane: OwnedSemaphorePermit) {
    let lane = Lane::<T> { inner, permit: Some(lane), gathers: PhantomData };
    let gathering = T::gathering(&lane.inner);
    loop {
        let group = gathering.take();
        if group.is_empty() {
            return;
        }
        T::run(&lane.inner, group).await;
        gathering.board().await;
    }
}

/// One more lane can be joined, as long as this lives.
struct Boarding<'a>(&'a AtomicUsize);

impl<'a> Boarding<'a> {
    fn begin(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::AcqRel);
        Self(count)
    }
}

impl Drop for Boarding<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// A lane that is taken. Whoever waits is seen to when it is left.
pub(super) struct Lane<T: Grouped> {
    inner: Arc<Inner>,
    permit: Option<OwnedSemaphorePermit>,
    gathers: PhantomData<fn(T)>,
}

impl<T: Grouped> Lane<T> {
    /// A lane for somebody who is alone, and need not hand in what he wants done.
    pub(super) fn alone(inner: &Arc<Inner>) -> Option<Self> {
        let gathering = T::gathering(inner);
        if !gathering.waiting().is_empty() {
            return None;
        }
        let permit = Some(gathering.free_lane()?);
        Some(Self { inner: Arc::clone(inner), permit, gathers: PhantomData })
    }
}

impl<T: Grouped> Drop for Lane<T> {
    fn drop(&mut self) {
        self.permit = None;
        T::gathering(&self.inner).boards.notify_waiters();
        rouse::<T>(&self.inner);
    }
}
