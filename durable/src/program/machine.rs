//! Compiled orchestrators: the program, an instance of it, and how its frame is saved and loaded.

use std::collections::BTreeMap;
use std::marker::PhantomData;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::codec;
use crate::context::OrchestrationContext;
use crate::data::{Arguments, Operation, ReturnValue};
use crate::error::{Failure, TaskErrorKind, TaskFailure};
use crate::graph::StateGraph;
use crate::json::Json;
use crate::program::Function;
use crate::task::{Durable, Pending, Waiting};
use crate::turn::scope;

/// A compiled orchestrator.
#[doc(hidden)]
pub trait Program: Send + Sync {
    fn graph(&self) -> &'static StateGraph;
    /// A machine in its first state.
    fn start(&self, input: &Json) -> Result<Box<dyn Machine>, TaskFailure>;
    /// A machine in a saved state.
    fn load(&self, saved: &SavedMachine<'_>) -> Result<Box<dyn Machine>, Incompatible>;
}

/// An instance of a [`Program`].
#[doc(hidden)]
pub trait Machine: Send {
    /// Runs until the next wait that is not over, or the end.
    fn step(&mut self) -> Progress;
    fn awaiting(&self) -> Option<&Waiting>;
    fn state(&self) -> &'static str;
    /// The live variables, as a JSON object.
    fn save(&mut self) -> Result<String, SaveError>;
}

/// How far a step came.
#[doc(hidden)]
pub enum Progress {
    Suspended,
    Ended(Result<Json, TaskFailure>),
}

/// The machine's part of a saved state.
#[doc(hidden)]
#[derive(Debug)]
pub struct SavedMachine<'a> {
    pub state: &'a str,
    pub locals: &'a RawValue,
    pub awaiting: Option<Waiting>,
}

/// A variable could not be saved.
#[derive(Debug, thiserror::Error)]
#[error("variable `{variable}` cannot be saved in state `{state}`")]
pub struct SaveError {
    variable: &'static str,
    state: &'static str,
    #[source]
    source: codec::EncodeError,
}

/// A saved state that this build of the program cannot continue.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)] // The messages say it.
pub enum Incompatible {
    #[error("the program has no state `{state}`")]
    UnknownState { state: String },
    #[error("state `{state}` needs the variable `{variable}`, which was not saved")]
    MissingVariable { state: &'static str, variable: &'static str },
    #[error("the saved variable `{variable}` of state `{state}` does not fit its type")]
    UnreadableVariable {
        state: &'static str,
        variable: &'static str,
        #[source]
        source: codec::DecodeError,
    },
    #[error("the saved state is not readable")]
    Malformed(#[source] serde_json::Error),
}

/// What may be kept across an await: data that can be saved and read back.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "variable `{Variable}` (type `{Self}`) lives across the await `{Await}` but cannot \
               be saved",
    label = "this variable must be saved while the orchestrator waits",
    note = "implement `Serialize` and `Deserialize` for its type, or let its last use come \
            before the await"
)]
pub trait Keep<Variable, Await>: Serialize + DeserializeOwned + Send + 'static {}

#[diagnostic::do_not_recommend]
impl<T, Variable, Await> Keep<Variable, Await> for T where
    T: Serialize + DeserializeOwned + Send + 'static
{
}

/// Ties an await to the state in which its result is taken, so that rustc infers the type.
#[doc(hidden)]
pub struct Link<P, O>(PhantomData<fn() -> (P, O)>);

impl<P, O> Clone for Link<P, O> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<P, O> Copy for Link<P, O> {}

impl<P, O> Link<P, O> {
    #[allow(clippy::new_without_default)]
    pub const fn new() -> Self {
        Self(PhantomData)
    }
}

/// Where a machine stands.
#[doc(hidden)]
pub struct Cursor<S> {
    pub state: S,
    awaiting: Option<Waiting>,
}

impl<S> Cursor<S> {
    /// Begins what `durable` describes.
    #[track_caller]
    pub fn begin<D, P, O>(&mut self, _: &Link<P, O>, durable: D)
    where
        D: Durable<Pending = P, Output = O>,
    {
        self.awaiting = Some(durable.begin());
    }
}

/// The output of what was begun, once it is there.
#[doc(hidden)]
pub fn poll<S, P, O>(cursor: &mut Cursor<S>, _: Link<P, O>) -> Option<O>
where
    P: Pending<Output = O>,
{
    let ready = match &cursor.awaiting {
        Some(waiting) => scope::with(|core| waiting.is_ready(core)),
        None => false,
    };
    if !ready {
        return None;
    }
    cursor.awaiting.take().map(|waiting| P::take(&waiting))
}

/// What one run of the step function came to.
#[doc(hidden)]
pub enum Step<T> {
    Suspended,
    Done(T),
}

/// Makes the return value of a step from "it waits".
#[doc(hidden)]
pub trait Suspend {
    fn suspended() -> Self;
}

impl<T> Suspend for Step<T> {
    fn suspended() -> Self {
        Self::Suspended
    }
}

impl<T, E> Suspend for Result<Step<T>, E> {
    fn suspended() -> Self {
        Ok(Step::Suspended)
    }
}

impl<T> Suspend for Option<Step<T>> {
    fn suspended() -> Self {
        Some(Step::Suspended)
    }
}

#[doc(hidden)]
pub fn suspended<S: Suspend>() -> S {
    S::suspended()
}

/// A return type that is a `Result`, under whatever name.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "`{Self}` is named `Result`, but is not `std::result::Result`",
    label = "give this type another name, or return a `std::result::Result`"
)]
pub trait ResultType {
    type Value;
    type Error;
}

impl<T, E> ResultType for Result<T, E> {
    type Value = T;
    type Error = E;
}

/// A return type that is an `Option`, under whatever name.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "`{Self}` is named `Option`, but is not `std::option::Option`",
    label = "give this type another name, or return a `std::option::Option`"
)]
pub trait OptionType {
    type Value;
}

impl<T> OptionType for Option<T> {
    type Value = T;
}

/// How the user's return value becomes that of the step function, one way per kind of function.
#[doc(hidden)]
pub mod done {
    use super::Step;

    pub fn result<T, E>(value: Result<T, E>) -> Result<Step<T>, E> {
        value.map(Step::Done)
    }

    pub fn option<T>(value: Option<T>) -> Option<Step<T>> {
        value.map(Step::Done)
    }

    pub fn plain<T>(value: T) -> Step<T> {
        Step::Done(value)
    }
}

/// The field-less enum of states that the compiler makes.
#[doc(hidden)]
pub trait States: Copy + Send + Sync + 'static {
    const ALL: &'static [Self];
    fn index(self) -> usize;
}

/// Runs the user's code from the state where it is to the next wait, or the end.
type StepFn<S, F, R> = fn(&OrchestrationContext, &mut Cursor<S>, &mut F) -> R;

/// What a step came to: `None` while it waits.
type FinishFn<R> = fn(R) -> Option<Result<Json, TaskFailure>>;

/// The parts of a compiled orchestrator. The functions capture nothing.
struct Definition<S, F, I, R> {
    graph: &'static StateGraph,
    frame: fn(Option<I>) -> F,
    step: StepFn<S, F, R>,
    slots: fn(&mut F, &mut Slots<'_>),
    finish: FinishFn<R>,
}

impl<S, F, I, R> Clone for Definition<S, F, I, R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S, F, I, R> Copy for Definition<S, F, I, R> {}

/// Builds the program of a function that returns a `Result`.
#[doc(hidden)]
pub fn program_result<C, S, F, E>(
    graph: &'static StateGraph,
    frame: fn(Option<C::Input>) -> F,
    step: StepFn<S, F, Result<Step<C::Output>, E>>,
    slots: fn(&mut F, &mut Slots<'_>),
    finish: FinishFn<Result<Step<C::Output>, E>>,
) -> Box<dyn Program>
where
    C: Function,
    S: States,
    F: Send + 'static,
    E: 'static,
{
    Box::new(Definition { graph, frame, step, slots, finish })
}

/// Builds the program of a function that returns an `Option`.
#[doc(hidden)]
pub fn program_option<C, S, F, T>(
    graph: &'static StateGraph,
    frame: fn(Option<C::Input>) -> F,
    step: StepFn<S, F, Option<Step<T>>>,
    slots: fn(&mut F, &mut Slots<'_>),
) -> Box<dyn Program>
where
    C: Function<Output = Option<T>>,
    S: States,
    F: Send + 'static,
    T: 'static,
{
    fn finish<C, T>(step: Option<Step<T>>) -> Option<Result<Json, TaskFailure>>
    where
        C: Function<Output = Option<T>>,
    {
        match step {
            Some(Step::Suspended) => None,
            Some(Step::Done(value)) => Some(encode_output::<C>(&Some(value))),
            None => Some(Ok(Json::null())),
        }
    }
    Box::new(Definition { graph, frame, step, slots, finish: finish::<C, T> })
}

/// Builds the program of a function that returns anything else.
#[doc(hidden)]
pub fn program_plain<C, S, F>(
    graph: &'static StateGraph,
    frame: fn(Option<C::Input>) -> F,
    step: StepFn<S, F, Step<C::Output>>,
    slots: fn(&mut F, &mut Slots<'_>),
) -> Box<dyn Program>
where
    C: Function,
    S: States,
    F: Send + 'static,
{
    fn finish<C: Function>(step: Step<C::Output>) -> Option<Result<Json, TaskFailure>> {
        match step {
            Step::Suspended => None,
            Step::Done(value) => Some(encode_output::<C>(&value)),
        }
    }
    Box::new(Definition { graph, frame, step, slots, finish: finish::<C> })
}

/// Encodes what a function returned and checks its size.
#[doc(hidden)]
pub fn encode_output<C: Function>(value: &C::Output) -> Result<Json, TaskFailure> {
    crate::task::checked(value.encode())
}

/// The same for an operation of an entity.
#[doc(hidden)]
pub fn encode_return<O: Operation>(value: &O::Output) -> Result<Json, TaskFailure> {
    crate::task::checked(value.encode())
}

/// Ends a step of a function that returns a `Result`.
#[doc(hidden)]
pub fn finish_result<C: Function, E>(
    step: Result<Step<C::Output>, E>,
    describe: impl FnOnce(E) -> Failure,
) -> Option<Result<Json, TaskFailure>> {
    match step {
        Ok(Step::Suspended) => None,
        Ok(Step::Done(value)) => Some(encode_output::<C>(&value)),
        Err(error) => Some(Err(TaskFailure::new(TaskErrorKind::Failed, describe(error)))),
    }
}

struct Running<S, F, I, R> {
    definition: Definition<S, F, I, R>,
    cursor: Cursor<S>,
    frame: F,
}

impl<S, F, I, R> Program for Definition<S, F, I, R>
where
    S: States,
    F: Send + 'static,
    I: Arguments,
    R: 'static,
{
    fn graph(&self) -> &'static StateGraph {
        self.graph
    }

    fn start(&self, input: &Json) -> Result<Box<dyn Machine>, TaskFailure> {
        let input: I = I::decode(input)
            .map_err(|e| TaskFailure::new(TaskErrorKind::Payload, Failure::of(e)))?;
        Ok(Box::new(Running {
            definition: *self,
            cursor: Cursor { state: S::ALL[0], awaiting: None },
            frame: (self.frame)(Some(input)),
        }))
    }

    fn load(&self, saved: &SavedMachine<'_>) -> Result<Box<dyn Machine>, Incompatible> {
        let Some(index) = self.graph.position(saved.state) else {
            return Err(Incompatible::UnknownState { state: saved.state.to_owned() });
        };
        let locals: BTreeMap<&str, &RawValue> =
            serde_json::from_str(saved.locals.get()).map_err(Incompatible::Malformed)?;
        let mut frame = (self.frame)(None);
        let mut slots =
            Slots { graph: self.graph, state: index, work: Work::Load { locals, error: None } };
        (self.slots)(&mut frame, &mut slots);
        if let Work::Load { error: Some(error), .. } = slots.work {
            return Err(error);
        }
        Ok(Box::new(Running {
            definition: *self,
            cursor: Cursor { state: S::ALL[index], awaiting: saved.awaiting.clone() },
            frame,
        }))
    }
}

impl<S, F, I, R> Machine for Running<S, F, I, R>
where
    S: States,
    F: Send + 'static,
    I: 'static,
    R: 'static,
{
    fn step(&mut self) -> Progress {
        let Definition { step, finish, .. } = self.definition;
        let context = OrchestrationContext::new();
        match finish(step(&context, &mut self.cursor, &mut self.frame)) {
            None => Progress::Suspended,
            Some(result) => {
                // What is left in the frame is dropped here, within the turn.
                self.frame = (self.definition.frame)(None);
                Progress::Ended(result)
            }
        }
    }

    fn awaiting(&self) -> Option<&Waiting> {
        self.cursor.awaiting.as_ref()
    }

    fn state(&self) -> &'static str {
        self.definition.graph.states[self.cursor.state.index()].name
    }

    fn save(&mut self) -> Result<String, SaveError> {
        let mut slots = Slots {
            graph: self.definition.graph,
            state: self.cursor.state.index(),
            work: Work::Save { locals: String::from("{"), error: None },
        };
        (self.definition.slots)(&mut self.frame, &mut slots);
        match slots.work {
            Work::Save { mut locals, error: None } => {
                locals.push('}');
                Ok(locals)
            }
            Work::Save { error: Some(error), .. } => Err(error),
            Work::Load { .. } => Ok("{}".to_owned()),
        }
    }
}

/// Saves or loads the slots of a frame that are alive in one state.
#[doc(hidden)]
pub struct Slots<'a> {
    graph: &'static StateGraph,
    state: usize,
    work: Work<'a>,
}

enum Work<'a> {
    Save { locals: String, error: Option<SaveError> },
    Load { locals: BTreeMap<&'a str, &'a RawValue>, error: Option<Incompatible> },
}

impl Slots<'_> {
    /// Saves or loads the variable at `index`, if it is alive in the state.
    pub fn slot<Variable, Await, T>(&mut self, index: usize, slot: &mut Option<T>)
    where
        T: Keep<Variable, Await>,
    {
        let state = &self.graph.states[self.state];
        if !state.live.contains(&index) {
            return;
        }
        let variable = self.graph.variables[index];
        match &mut self.work {
            Work::Save { locals, error } => {
                let Some(value) = slot else { return };
                if locals.len() > 1 {
                    locals.push(',');
                }
                locals.push('"');
                locals.push_str(variable);
                locals.push_str("\":");
                match codec::encode(value) {
                    Ok(text) => locals.push_str(&text),
                    Err(source) => {
                        *error = Some(SaveError { variable, state: state.name, source });
                    }
                }
            }
            Work::Load { locals, error } => match locals.get(variable) {
                None => {
                    *error = Some(Incompatible::MissingVariable { state: state.name, variable });
                }
                Some(raw) => match codec::decode(raw.get()) {
                    Ok(value) => *slot = Some(value),
                    Err(source) => {
                        *error = Some(Incompatible::UnreadableVariable {
                            state: state.name,
                            variable,
                            source,
                        });
                    }
                },
            },
        }
    }
}

/// Takes a variable that is alive in the current state out of its slot.
///
/// # Panics
/// If the slot is empty, which would be an error of the compiler.
#[doc(hidden)]
pub fn take<T>(slot: &mut Option<T>) -> T {
    match slot.take() {
        Some(value) => value,
        None => panic!("a live variable has no value: this is an error of the durable compiler"),
    }
}
