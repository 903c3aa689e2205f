//! What takes the place of an activity in a test: closures with the activity's arguments and
//! result, checked by the compiler. Nothing here knows of hubs.

use std::any::Any;
use std::error::Error;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use crate::context::ActivityContext;
use crate::data::Arguments as _;
use crate::error::{Failure, TaskErrorKind, TaskFailure};
use crate::json::Json;
use crate::program::{Activity, ActivityFuture, encode_output, failed};
use crate::registry::ActivityRunner;

/// What a [`Mock`] returns that gives the result itself.
#[derive(Debug)]
pub enum Plain {}

/// What a [`Mock`] returns that may fail.
#[derive(Debug)]
pub enum Fallible {}

/// Describes an error that is in an `Option` of the type that the activity declares.
pub(super) type Describe = fn(&mut dyn Any) -> Option<Failure>;

/// What a mock of an activity with the result `Output` may return: an `Output`, or a
/// `Result<Output, E>` with any error that activities may return.
pub trait MockResult<Output, Kind> {
    /// The result, or the failure with what is known about the error.
    #[doc(hidden)]
    fn into_outcome(self, describe: Describe) -> Result<Output, TaskFailure>;
}

#[diagnostic::do_not_recommend]
impl<Output> MockResult<Output, Plain> for Output {
    fn into_outcome(self, _: Describe) -> Result<Output, TaskFailure> {
        Ok(self)
    }
}

#[diagnostic::do_not_recommend]
impl<Output, E> MockResult<Output, Fallible> for Result<Output, E>
where
    E: Into<Box<dyn Error + Send + Sync>> + 'static,
{
    fn into_outcome(self, describe: Describe) -> Result<Output, TaskFailure> {
        self.map_err(|error| {
            let mut error = Some(error);
            let described = describe(&mut error);
            failed(described.or_else(|| error.map(Failure::of)).unwrap_or_else(|| {
                Failure::new(std::any::type_name::<E>(), "the error was lost in its description")
            }))
        })
    }
}

/// A closure that takes the place of an activity: see
/// [`TestHubBuilder::mock`](super::TestHubBuilder::mock).
#[diagnostic::on_unimplemented(
    message = "this cannot mock an activity with the arguments `{Input}` and the result `{Output}`",
    label = "expected a closure with these arguments and this result",
    note = "write the types of the arguments, as in `|order: u64, text: String| ..`; return \
            `{Output}`, or a `Result` of it with an error that activities may return"
)]
pub trait Mock<Input, Output, Kind>: Send + 'static {
    /// Answers one attempt.
    #[doc(hidden)]
    fn answer(&mut self, input: Input, describe: Describe) -> Result<Output, TaskFailure>;
}

type Answer<Output> = Pin<Box<dyn Future<Output = Result<Output, TaskFailure>> + Send>>;

/// An async closure that takes the place of an activity: see
/// [`TestHubBuilder::mock_async`](super::TestHubBuilder::mock_async).
#[diagnostic::on_unimplemented(
    message = "this cannot be an async mock of an activity with the arguments `{Input}` and the \
               result `{Output}`",
    label = "expected a closure with an `ActivityContext` and these arguments that returns a \
             future of this result",
    note = "write the types of the arguments, as in `|ctx: ActivityContext, order: u64| async move \
            {{ .. }}`; the future must be `Send`"
)]
pub trait AsyncMock<Input, Output, Kind>: Send + 'static {
    /// Answers one attempt.
    #[doc(hidden)]
    fn answer(
        &mut self,
        context: ActivityContext,
        input: Input,
        describe: Describe,
    ) -> Answer<Output>;
}

macro_rules! mocks {
    ($($T:ident)*) => {
        #[diagnostic::do_not_recommend]
        impl<Closure, Returned, Kind, Output, $($T),*> Mock<($($T,)*), Output, Kind> for Closure
        where
            Closure: FnMut($($T),*) -> Returned + Send + 'static,
            Returned: MockResult<Output, Kind>,
        {
            #[allow(non_snake_case)]
            fn answer(
                &mut self,
                ($($T,)*): ($($T,)*),
                describe: Describe,
            ) -> Result<Output, TaskFailure> {
                self($($T),*).into_outcome(describe)
            }
        }

        #[diagnostic::do_not_recommend]
        impl<Closure, Answering, Kind, Output, $($T),*> AsyncMock<($($T,)*), Output, Kind>
            for Closure
        where
            Closure: FnMut(ActivityContext, $($T),*) -> Answering + Send + 'static,
            Answering: Future<Output: MockResult<Output, Kind>> + Send + 'static,
        {
            #[allow(non_snake_case)]
            fn answer(
                &mut self,
                context: ActivityContext,
                ($($T,)*): ($($T,)*),
                describe: Describe,
            ) -> Answer<Output> {
                let answer = self(context, $($T),*);
                Box::pin(async move { answer.await.into_outcome(describe) })
            }
        }
    };
}

mocks!();
mocks!(A0);
mocks!(A0 A1);
mocks!(A0 A1 A2);
mocks!(A0 A1 A2 A3);
mocks!(A0 A1 A2 A3 A4);
mocks!(A0 A1 A2 A3 A4 A5);
mocks!(A0 A1 A2 A3 A4 A5 A6);
mocks!(A0 A1 A2 A3 A4 A5 A6 A7);
mocks!(A0 A1 A2 A3 A4 A5 A6 A7 A8);
mocks!(A0 A1 A2 A3 A4 A5 A6 A7 A8 A9);
mocks!(A0 A1 A2 A3 A4 A5 A6 A7 A8 A9 A10);
mocks!(A0 A1 A2 A3 A4 A5 A6 A7 A8 A9 A10 A11);

/// Decodes, answers and encodes one attempt.
type Run = Box<dyn FnMut(ActivityContext, &Json) -> ActivityFuture + Send>;

/// A mock as a worker runs it.
struct Mocked(Mutex<Run>);

impl ActivityRunner for Mocked {
    fn run(&self, context: ActivityContext, input: &Json) -> ActivityFuture {
        // A mock that panicked before may be called again.
        let mut mock = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        mock(context, input)
    }
}

fn read<H, F: Activity<H>>(input: &Json) -> Result<F::Input, TaskFailure> {
    F::Input::decode(input)
        .map_err(|error| TaskFailure::new(TaskErrorKind::Payload, Failure::of(error)))
}

/// Runs a mock in the place of an activity.
pub(super) fn mocked<F, H, Kind, M>(mut mock: M) -> Arc<dyn ActivityRunner>
where
    F: Activity<H>,
    M: Mock<F::Input, F::Output, Kind>,
{
    let run = move |_, input: &Json| -> ActivityFuture {
        let outcome = read::<H, F>(input).and_then(|input| {
            let output = mock.answer(input, F::describe_error)?;
            encode_output::<F>(&output)
        });
        Box::pin(std::future::ready(outcome))
    };
    Arc::new(Mocked(Mutex::new(Box::new(run))))
}

/// The same for an async mock.
pub(super) fn mocked_async<F, H, Kind, M>(mut mock: M) -> Arc<dyn ActivityRunner>
where
    F: Activity<H>,
    M: AsyncMock<F::Input, F::Output, Kind>,
{
    let run = move |context, input: &Json| -> ActivityFuture {
        match read::<H, F>(input) {
            Ok(input) => {
                let answer = mock.answer(context, input, F::describe_error);
                Box::pin(async move { encode_output::<F>(&answer.await?) })
            }
            Err(failure) => Box::pin(std::future::ready(Err(failure))),
        }
    };
    Arc::new(Mocked(Mutex::new(Box::new(run))))
}
