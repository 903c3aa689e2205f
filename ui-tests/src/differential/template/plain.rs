//! The same calls as plain async Rust. Every call is written into the trace of this thread where it
//! begins, and ends when the executor says so, as the driver of the machines does.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::{Future, IntoFuture, poll_fn};
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use durable::TaskError;
use durable::__private::{Json, Outcome};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Item;
use crate::compare::{Random, choose};
pub use crate::{join, select, try_join};

/// Calls in one run; a body that makes more is not run on this input.
pub const MAX_CALLS: usize = 1_000;

/// What a run panics with that makes too many calls.
pub struct TooLong;

/// Something that was begun and is not taken yet.
struct Entry {
    /// The name and the arguments of a call; `None` for a timer.
    call: Option<(String, Json)>,
    outcome: Option<Outcome>,
    /// Nobody waits for it.
    detached: bool,
}

#[derive(Default)]
struct World {
    trace: Vec<String>,
    entries: BTreeMap<i64, Entry>,
    next: i64,
}

thread_local! {
    /// Whether what is dropped goes on by itself.
    static DETACHES: Cell<bool> = const { Cell::new(false) };
    static WORLD: RefCell<World> = RefCell::new(World::default());
}

fn begin(line: String, call: Option<(String, Json)>) -> i64 {
    let (id, calls) = WORLD.with_borrow_mut(|world| {
        world.trace.push(line);
        world.next += 1;
        world.entries.insert(world.next, Entry { call, outcome: None, detached: false });
        (world.next, world.trace.len())
    });
    if calls > MAX_CALLS {
        std::panic::panic_any(TooLong);
    }
    id
}

/// What a run of a future did: its trace, and its value or what it panicked with.
pub struct Done<T> {
    pub trace: Vec<String>,
    pub end: Result<T, Box<dyn Any + Send>>,
}

/// Runs a future; what it waits for ends in an order that depends on the seed.
pub fn run<F: Future>(future: F, seed: u64) -> Done<F::Output> {
    WORLD.set(World::default());
    let mut random = Random(!seed);
    let mut future = Box::pin(future);
    loop {
        let before = WORLD.with_borrow(|world| world.trace.len());
        let polled = catch_unwind(AssertUnwindSafe(|| {
            future.as_mut().poll(&mut Context::from_waker(Waker::noop()))
        }));
        match polled {
            Ok(Poll::Pending) => answer_one(&mut random),
            Ok(Poll::Ready(value)) => {
                return Done { trace: WORLD.with_borrow(|w| w.trace.clone()), end: Ok(value) };
            }
            Err(panic) => {
                // What the last turn began is taken back.
                let mut trace = WORLD.with_borrow(|world| world.trace.clone());
                trace.truncate(before);
                return Done { trace, end: Err(panic) };
            }
        }
    }
}

fn answer_one(random: &mut Random) {
    WORLD.with_borrow_mut(|world| {
        let open = world.entries.iter().filter(|(_, entry)| entry.outcome.is_none());
        let open = open.map(|(id, entry)| {
            (*id, entry.call.as_ref().map(|(name, input)| (name.as_str(), input.as_str())))
        });
        let Some((id, outcome)) = choose(open, random) else { panic!("nothing is open") };
        let Some(entry) = world.entries.get_mut(&id) else { return };
        entry.outcome = Some(outcome.unwrap_or_else(|| Ok(Json::encode(&()).unwrap())));
        if entry.detached {
            world.entries.remove(&id);
        }
    });
}

// --- calls --------------------------------------------------------------------------------------

/// A call, a timer or a task that is awaited. Dropping it before its end cancels it.
pub struct Wait<T> {
    start: Start,
    value: PhantomData<fn() -> T>,
}

enum Start {
    Call(&'static str, Json),
    Timer(Duration),
    Begun(i64, &'static str),
    Ended,
}

impl<T> Wait<T> {
    fn begin(&mut self) -> Option<(i64, &'static str)> {
        let (id, name) = match &self.start {
            Start::Call(name, input) => {
                (begin(format!("{name}{input}"), Some(((*name).to_owned(), input.clone()))), *name)
            }
            Start::Timer(length) => (begin(format!("sleep[{}]", length.as_micros()), None), "timer"),
            Start::Begun(id, name) => (*id, *name),
            Start::Ended => return None,
        };
        self.start = Start::Begun(id, name);
        Some((id, name))
    }
}

impl<T: DeserializeOwned> Future for Wait<T> {
    type Output = Result<T, TaskError>;

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        let Some((id, name)) = self.begin() else { panic!("polled after its end") };
        let outcome = WORLD.with_borrow_mut(|world| {
            let ended = world.entries.get(&id).is_some_and(|entry| entry.outcome.is_some());
            if ended { world.entries.remove(&id).and_then(|entry| entry.outcome) } else { None }
        });
        let Some(outcome) = outcome else { return Poll::Pending };
        self.start = Start::Ended;
        Poll::Ready(match outcome {
            Ok(json) => Ok(json.decode().unwrap()),
            Err(failure) => Err(TaskError::new(failure.kind, name, failure.failure)),
        })
    }
}

impl<T> Drop for Wait<T> {
    fn drop(&mut self) {
        let Start::Begun(id, _) = self.start else { return };
        if DETACHES.get() {
            detach(id);
        } else {
            WORLD.with_borrow_mut(|world| world.entries.remove(&id));
        }
    }
}

fn call<I: Serialize, O>(name: &'static str, input: &I) -> Wait<O> {
    Wait { start: Start::Call(name, Json::encode(input).unwrap()), value: PhantomData }
}

macro_rules! activities {
    ($($name:ident($($arg:ident: $ty:ty),*) -> $out:ty;)*) => {
        $(
            pub fn $name($($arg: $ty),*) -> Wait<$out> {
                call(stringify!($name), &($($arg,)*))
            }
        )*
    };
}

activities! {
    num(a: i64) -> i64;
    add(a: i64, b: i64) -> i64;
    flag(a: i64) -> bool;
    text(a: String) -> String;
    label(a: i64, b: String) -> String;
    list(a: i64) -> Vec<i64>;
    names(a: i64) -> Vec<String>;
    maybe(a: i64) -> Option<i64>;
    item(a: i64, b: String) -> Item;
    pair(a: i64) -> (i64, String);
    consume(a: Vec<i64>, b: Item) -> i64;
    join_names(a: Vec<String>, b: bool) -> String;
    ping() -> ();
}

/// Stands in for the context.
pub struct OrchestrationContext;

impl OrchestrationContext {
    pub fn sleep(&self, length: Duration) -> Timer {
        Timer(Wait { start: Start::Timer(length), value: PhantomData })
    }

    pub fn spawn<S: Spawn>(&self, call: S) -> Task<S::Value> {
        let mut wait = call.wait();
        let is_timer = matches!(wait.start, Start::Timer(_));
        wait.begin();
        Task { wait: Some(wait), is_timer }
    }
}

pub struct Timer(Wait<()>);

impl Future for Timer {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.0).poll(context).map(|_| ())
    }
}

pub trait Spawn {
    type Value;
    fn wait(self) -> Wait<Self::Value>;
}

impl<T> Spawn for Wait<T> {
    type Value = T;
    fn wait(self) -> Wait<T> {
        self
    }
}

impl Spawn for Timer {
    type Value = ();
    fn wait(self) -> Wait<()> {
        self.0
    }
}

/// Lets a call go on by itself; a timer or what has ended is gone.
fn detach(id: i64) {
    WORLD.with_borrow_mut(|world| match world.entries.get_mut(&id) {
        Some(entry) if entry.outcome.is_none() && entry.call.is_some() => entry.detached = true,
        _ => {
            world.entries.remove(&id);
        }
    });
}

/// Drops what lost when one of several failed.
pub fn detaching<T>(dropped: T) {
    DETACHES.set(true);
    drop(dropped);
    DETACHES.set(false);
}

/// Dropping it cancels a timer and detaches a call.
pub struct Task<T> {
    wait: Option<Wait<T>>,
    is_timer: bool,
}

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        let Some(mut wait) = self.wait.take() else { return };
        if let (false, Start::Begun(id, _)) = (self.is_timer, &wait.start) {
            detach(*id);
            wait.start = Start::Ended;
        }
    }
}

impl<T: DeserializeOwned> IntoFuture for Task<T> {
    type Output = Result<T, TaskError>;
    type IntoFuture = Wait<T>;

    fn into_future(mut self) -> Wait<T> {
        self.wait.take().unwrap()
    }
}

// --- combinators --------------------------------------------------------------------------------

/// A future that is polled beside others.
pub struct Branch<F: Future> {
    future: Option<Pin<Box<F>>>,
    pub output: Option<F::Output>,
}

pub fn branch<F: IntoFuture>(future: F) -> Branch<F::IntoFuture> {
    Branch { future: Some(Box::pin(future.into_future())), output: None }
}

impl<F: Future> Branch<F> {
    pub fn poll(&mut self, context: &mut Context<'_>) -> bool {
        if let Some(future) = &mut self.future
            && let Poll::Ready(output) = future.as_mut().poll(context)
        {
            self.output = Some(output);
            self.future = None;
        }
        self.output.is_some()
    }

    pub fn take(&mut self) -> F::Output {
        self.output.take().unwrap()
    }
}

pub fn join_all<I>(calls: I) -> impl Future<Output = Vec<<I::Item as IntoFuture>::Output>>
where
    I: IntoIterator,
    I::Item: IntoFuture,
{
    let mut branches: Vec<_> = calls.into_iter().map(branch).collect();
    async move {
        poll_fn(|context| {
            let waiting = branches.iter_mut().filter_map(|b| (!b.poll(context)).then_some(())).count();
            if waiting == 0 { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        branches.iter_mut().map(Branch::take).collect()
    }
}

pub fn try_join_all<I, T, E>(calls: I) -> impl Future<Output = Result<Vec<T>, E>>
where
    I: IntoIterator,
    I::Item: IntoFuture<Output = Result<T, E>>,
{
    let mut branches: Vec<_> = calls.into_iter().map(branch).collect();
    async move {
        poll_fn(|context| {
            let mut waiting = false;
            for branch in &mut branches {
                waiting |= !branch.poll(context);
                if matches!(branch.output, Some(Err(_))) {
                    return Poll::Ready(());
                }
            }
            if waiting { Poll::Pending } else { Poll::Ready(()) }
        })
        .await;
        if let Some(failed) = branches.iter_mut().find(|b| matches!(b.output, Some(Err(_)))) {
            let failed = failed.take().map(|value| vec![value]);
            detaching(branches);
            return failed;
        }
        branches.iter_mut().map(Branch::take).collect()
    }
}

#[macro_export]
macro_rules! join {
    (@ $($name:ident = $future:expr),+) => {{
        $(let mut $name = $crate::plain::branch($future);)+
        std::future::poll_fn(|context| {
            let mut done = true;
            $(done &= $name.poll(context);)+
            if done { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
        })
        .await;
        ($($name.take(),)+)
    }};
    ($a:expr $(,)?) => { $crate::join!(@ a = $a) };
    ($a:expr, $b:expr $(,)?) => { $crate::join!(@ a = $a, b = $b) };
    ($a:expr, $b:expr, $c:expr $(,)?) => { $crate::join!(@ a = $a, b = $b, c = $c) };
}

#[macro_export]
macro_rules! try_join {
    (@ $($name:ident = $future:expr),+) => {{
        $(let mut $name = $crate::plain::branch($future);)+
        std::future::poll_fn(|context| {
            let mut done = true;
            $(
                done &= $name.poll(context);
                if matches!($name.output, Some(Err(_))) {
                    return std::task::Poll::Ready(());
                }
            )+
            if done { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
        })
        .await;
        let mut error = None;
        $(if error.is_none() && matches!($name.output, Some(Err(_))) {
            error = $name.take().err();
        })+
        match error {
            Some(error) => {
                $crate::plain::detaching(($($name,)+));
                Err(error)
            }
            None => Ok(($($name.take().unwrap_or_else(|_| unreachable!()),)+)),
        }
    }};
    ($a:expr, $b:expr $(,)?) => { $crate::try_join!(@ a = $a, b = $b) };
    ($a:expr, $b:expr, $c:expr $(,)?) => { $crate::try_join!(@ a = $a, b = $b, c = $c) };
}

pub enum First<A, B> {
    A(A),
    B(B),
}

/// Two branches, the first of which goes before where both are ready.
pub async fn first<A: Future, B: Future>(a: A, b: B) -> First<A::Output, B::Output> {
    let (mut a, mut b) = (pin!(a), pin!(b));
    poll_fn(|context| {
        if let Poll::Ready(output) = a.as_mut().poll(context) {
            return Poll::Ready(First::A(output));
        }
        b.as_mut().poll(context).map(First::B)
    })
    .await
}

#[macro_export]
macro_rules! select {
    (biased; $p:pat = $a:expr => $x:expr, $q:pat = $b:expr => $y:expr $(,)?) => {
        match $crate::plain::first(
            std::future::IntoFuture::into_future($a),
            std::future::IntoFuture::into_future($b),
        )
        .await
        {
            $crate::plain::First::A($p) => $x,
            $crate::plain::First::B($q) => $y,
        }
    };
}
