//! The same calls as plain async Rust over futures that are ready at once. Every call is written
//! into the trace of this thread where it begins.

use std::cell::RefCell;
use std::future::{Future, IntoFuture, Ready, ready};
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use durable::TaskError;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Item;
use crate::answers::answer;
pub use crate::{join, try_join};

/// Calls in one run; a body that makes more is not run on this input.
pub const MAX_CALLS: usize = 1_000;

/// What a run panics with that makes too many calls.
pub struct TooLong;

thread_local! {
    static TRACE: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
    static SPAWNED: RefCell<Vec<usize>> = const { RefCell::new(Vec::new()) };
}

/// Takes the places in the trace of what was spawned.
pub fn take_spawned() -> Vec<usize> {
    SPAWNED.take()
}

/// Takes what was traced.
pub fn take_trace() -> Vec<String> {
    TRACE.take()
}

fn note(line: String) {
    let calls = TRACE.with_borrow_mut(|trace| {
        trace.push(line);
        trace.len()
    });
    if calls > MAX_CALLS {
        std::panic::panic_any(TooLong);
    }
}

fn call<I: Serialize, O: DeserializeOwned>(name: &str, input: &I) -> Result<O, TaskError> {
    let args = durable::__private::Json::encode(input).unwrap();
    note(format!("{name}{args}"));
    match answer(name, args.as_str()) {
        Ok(json) => Ok(json.decode().unwrap()),
        Err(failure) => Err(TaskError::new(failure.kind, name, failure.failure)),
    }
}

macro_rules! activities {
    ($($name:ident($($arg:ident: $ty:ty),*) -> $out:ty;)*) => {
        $(
            pub async fn $name($($arg: $ty),*) -> Result<$out, TaskError> {
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

/// Runs a future that never waits.
pub fn run<F: Future>(future: F) -> F::Output {
    let future = pin!(future);
    match future.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => unreachable!("every future here is ready"),
    }
}

/// Stands in for the context.
pub struct OrchestrationContext;

impl OrchestrationContext {
    pub fn sleep(&self, length: Duration) -> Timer {
        Timer(length)
    }

    pub fn spawn<S: Spawn>(&self, call: S) -> Task<S::Value> {
        let place = TRACE.with_borrow(Vec::len);
        let task = Task(call.begin());
        SPAWNED.with_borrow_mut(|spawned| spawned.push(place));
        task
    }
}

pub struct Timer(Duration);

impl IntoFuture for Timer {
    type Output = ();
    type IntoFuture = std::pin::Pin<Box<dyn Future<Output = ()>>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { note(format!("sleep[{}]", self.0.as_micros())) })
    }
}

pub trait Spawn {
    type Value;
    fn begin(self) -> Result<Self::Value, TaskError>;
}

impl<T, F: Future<Output = Result<T, TaskError>>> Spawn for F {
    type Value = T;
    fn begin(self) -> Result<T, TaskError> {
        run(self)
    }
}

impl Spawn for Timer {
    type Value = ();
    fn begin(self) -> Result<(), TaskError> {
        run(self.into_future());
        Ok(())
    }
}

pub struct Task<T>(Result<T, TaskError>);

impl<T> IntoFuture for Task<T> {
    type Output = Result<T, TaskError>;
    type IntoFuture = Ready<Result<T, TaskError>>;

    fn into_future(self) -> Self::IntoFuture {
        ready(self.0)
    }
}

pub fn join_all<I>(calls: I) -> impl Future<Output = Vec<<I::Item as IntoFuture>::Output>>
where
    I: IntoIterator,
    I::Item: IntoFuture,
{
    let calls: Vec<I::Item> = calls.into_iter().collect();
    async move {
        let mut outputs = Vec::new();
        for call in calls {
            outputs.push(call.await);
        }
        outputs
    }
}

/// Begins all, then gives the error of the first in order: the driver delivers errors in order.
pub fn try_join_all<I, T>(calls: I) -> impl Future<Output = Result<Vec<T>, TaskError>>
where
    I: IntoIterator,
    I::Item: IntoFuture<Output = Result<T, TaskError>>,
{
    let all = join_all(calls);
    async move { all.await.into_iter().collect() }
}

#[macro_export]
macro_rules! join {
    ($a:expr) => {{
        let a = $a;
        (a.await,)
    }};
    ($a:expr, $b:expr) => {{
        let (a, b) = ($a, $b);
        (a.await, b.await)
    }};
    ($a:expr, $b:expr, $c:expr) => {{
        let (a, b, c) = ($a, $b, $c);
        (a.await, b.await, c.await)
    }};
}

#[macro_export]
macro_rules! try_join {
    ($a:expr, $b:expr) => {
        match $crate::join!($a, $b) {
            (Ok(a), Ok(b)) => Ok((a, b)),
            (Err(error), _) | (_, Err(error)) => Err(error),
        }
    };
    ($a:expr, $b:expr, $c:expr) => {
        match $crate::join!($a, $b, $c) {
            (Ok(a), Ok(b), Ok(c)) => Ok((a, b, c)),
            (Err(error), _, _) | (_, Err(error), _) | (_, _, Err(error)) => Err(error),
        }
    };
}
