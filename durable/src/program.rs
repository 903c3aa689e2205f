//! What the macros implement: functions, orchestrations as state machines, activities. Generated
//! code names the items of this file through `durable::__private`; people see only the traits.

mod cursor;
mod machine;

use std::fmt;
use std::future::Future;
use std::pin::Pin;

pub(crate) use self::cursor::SavedPosition;
#[doc(hidden)]
pub use self::cursor::{Cursor, Link, poll};
pub(crate) use self::machine::Incompatible;
#[doc(hidden)]
pub use self::machine::{
    FromResidual, Machine, OptionType, Program, Progress, ResultType, SavedMachine, Slots, States,
    Try, done, encode_output, encode_return, finish_result, no_branch_left, program_option,
    program_plain, program_result, suspended, take, with_rules,
};
use crate::context::ActivityContext;
use crate::data::{Arguments, Operation, ReturnValue};
use crate::error::{Failure, TaskErrorKind, TaskFailure};
use crate::json::Json;
use crate::task::Call;

/// Something that can be called by name: an activity or an orchestration.
pub trait Function: 'static {
    /// The registered name.
    const NAME: &'static str;
    /// The version, empty for none.
    const VERSION: &'static str;
    /// Which of the two it is.
    const KIND: FunctionKind;
    /// The arguments, as a tuple.
    type Input: Arguments;
    /// The result; for functions that return `Result<T, E>` it is `T`.
    type Output: ReturnValue;
}

/// What a [`Function`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FunctionKind {
    /// Runs on a worker, at least once, with any I/O.
    Activity,
    /// Runs as a state machine.
    Orchestration,
}

/// A function annotated with `#[orchestrator]`.
pub trait Orchestration: Function {
    /// The compiled state machine.
    #[doc(hidden)]
    fn program() -> Box<dyn Program>;
}

/// A function annotated with `#[activity]`, or an async method of an annotated impl block.
///
/// `Host` is the value that its methods run on, `()` for a free function.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an activity that can stand here",
    label = "expected a function annotated with `#[activity]`",
    note = "orchestrators are registered with `.orchestrator(..)`, and the methods of an impl block \
            all together with `.activities(..)`"
)]
pub trait Activity<Host = ()>: Function {
    /// Runs the body.
    #[doc(hidden)]
    fn run(
        host: std::sync::Arc<Host>,
        context: ActivityContext,
        input: Self::Input,
    ) -> ActivityFuture;

    /// Describes an error of the type that the body returns, if it is in this `Option`: a mock's
    /// error is to look like a real one.
    #[doc(hidden)]
    fn describe_error(error: &mut dyn std::any::Any) -> Option<Failure> {
        let _ = error;
        None
    }
}

/// The result of an activity's body, encoded.
#[doc(hidden)]
pub type ActivityFuture = Pin<Box<dyn Future<Output = Result<Json, TaskFailure>> + Send>>;

/// A value whose async methods are activities: see `#[activity]` on an impl block.
pub trait Activities: Send + Sync + Sized + 'static {
    /// Registers every method.
    #[doc(hidden)]
    fn register(registrar: &mut crate::registry::ActivityRegistrar<'_, Self>);
}

// --- registration by function item ------------------------------------------------------------

/// An annotated function as it stands in the program, of any number of arguments.
pub trait CallFn<Arguments> {
    /// The function it calls.
    type Function: Function;
}

macro_rules! call_fns {
    ($($T:ident)*) => {
        impl<Callee, Target, $($T),*> CallFn<($($T,)*)> for Callee
        where
            Callee: Fn($($T),*) -> Call<Target>,
            Target: Function,
        {
            type Function = Target;
        }
    };
}

call_fns!();
call_fns!(A0);
call_fns!(A0 A1);
call_fns!(A0 A1 A2);
call_fns!(A0 A1 A2 A3);
call_fns!(A0 A1 A2 A3 A4);
call_fns!(A0 A1 A2 A3 A4 A5);
call_fns!(A0 A1 A2 A3 A4 A5 A6);
call_fns!(A0 A1 A2 A3 A4 A5 A6 A7);
call_fns!(A0 A1 A2 A3 A4 A5 A6 A7 A8);
call_fns!(A0 A1 A2 A3 A4 A5 A6 A7 A8 A9);
call_fns!(A0 A1 A2 A3 A4 A5 A6 A7 A8 A9 A10);
call_fns!(A0 A1 A2 A3 A4 A5 A6 A7 A8 A9 A10 A11);

impl fmt::Display for FunctionKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Activity => "activity",
            Self::Orchestration => "orchestrator",
        })
    }
}

/// Control has come where no state of the program leads.
#[doc(hidden)]
#[allow(clippy::missing_panics_doc)]
pub fn fell_through() -> ! {
    unreachable!("a state ended without a next one: this is an error of the durable compiler")
}

/// Decodes the arguments of an entity operation.
#[doc(hidden)]
pub fn decode_args<O: Operation>(args: &Json) -> Result<O::Input, TaskFailure> {
    O::Input::decode(args).map_err(|e| TaskFailure::new(TaskErrorKind::Payload, Failure::of(e)))
}

/// The failure of a function that returned an error.
#[doc(hidden)]
pub fn failed(failure: Failure) -> TaskFailure {
    TaskFailure::new(TaskErrorKind::Failed, failure)
}

// --- errors -------------------------------------------------------------------------------------

/// Describes an error together with its data, if its type can be serialised. The generated code
/// writes `(&error).describe_kind().describe(error)` where the type is known, and method resolution prefers
/// the first two of these traits.
#[doc(hidden)]
pub mod describe {
    use std::error::Error;

    use serde::Serialize;

    use crate::error::{Failure, TaskError, encode_payload};

    pub struct WithData;
    pub struct Dynamic;
    pub struct Plain;

    pub trait DescribeWithData {
        fn describe_kind(&self) -> WithData {
            WithData
        }
    }
    impl<E: Serialize> DescribeWithData for E {}

    /// Errors that are another one inside, as `anyhow::Error` and `Box<dyn Error>` are.
    pub trait DescribeDynamic {
        fn describe_kind(&self) -> Dynamic {
            Dynamic
        }
    }
    impl<E: AsRef<dyn Error + Send + Sync>> DescribeDynamic for E {}

    pub trait DescribePlain {
        fn describe_kind(&self) -> Plain {
            Plain
        }
    }
    impl<E> DescribePlain for &E {}

    impl WithData {
        pub fn describe<E>(self, error: E) -> Failure
        where
            E: Serialize + Into<Box<dyn Error + Send + Sync>>,
        {
            // The failure of a call is kept as the cause already.
            let is_call = std::any::type_name::<E>() == std::any::type_name::<TaskError>();
            let payload = if is_call { None } else { encode_payload(&error) };
            Failure { payload, ..Failure::of(error) }
        }
    }

    impl Dynamic {
        #[allow(clippy::needless_pass_by_value)] // As the others.
        pub fn describe<E>(self, error: E) -> Failure
        where
            E: AsRef<dyn Error + Send + Sync>,
        {
            Failure::of_dyn(std::any::type_name::<E>(), error.as_ref())
        }
    }

    impl Plain {
        pub fn describe<E>(self, error: E) -> Failure
        where
            E: Into<Box<dyn Error + Send + Sync>>,
        {
            Failure::of(error)
        }
    }
}

// --- return types ---------------------------------------------------------------------------------

/// Tells whether a type is a `Result`, whatever it is called: an associated constant of the type
/// itself goes before one of a trait. The generated code asks where the name says it is not one.
#[doc(hidden)]
pub struct ReturnProbe<T>(std::marker::PhantomData<T>);

#[doc(hidden)]
pub trait NotResult {
    const IS_RESULT: bool = false;
}

impl<T> NotResult for ReturnProbe<T> {}

impl<T, E> ReturnProbe<Result<T, E>> {
    pub const IS_RESULT: bool = true;
}
