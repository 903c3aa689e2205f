//! Compiled orchestrators: the program, an instance of it, and how its frame is saved and loaded.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::ops::ControlFlow;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::cursor::{Cursor, SavedPosition};
use crate::codec;
use crate::context::OrchestrationContext;
use crate::data::{Arguments, Operation, ReturnValue};
use crate::error::{Failure, TaskErrorKind, TaskFailure};
use crate::graph::StateGraph;
use crate::json::Json;
use crate::program::Function;
use crate::retry::RetryRule;
use crate::task::Waiting;

/// A compiled orchestrator.
#[doc(hidden)]
pub trait Program: Send + Sync {
    fn graph(&self) -> &'static StateGraph;
    /// The retry rules that are written in it.
    fn rules(&self) -> &[RetryRule] {
        &[]
    }
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
    /// What it waits for, if it has no branches.
    fn awaiting(&self) -> Option<&Waiting>;
    /// The branches it has, to be saved.
    fn branches(&self) -> Vec<Option<SavedPosition>>;
    /// Calls `f` with everything that it waits for.
    fn for_each_wait(&self, f: &mut dyn FnMut(&Waiting));
    fn state(&self) -> &'static str;
    /// Drops the variables.
    fn clear(&mut self);
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
    pub position: SavedPosition,
    pub locals: &'a RawValue,
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
    #[error("a call is made again by the retry rule `{rule}`, which the program does not have")]
    UnknownRule { rule: String },
    #[error("the branches of state `{state}` are not those that were saved")]
    OtherBranches { state: &'static str },
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
            before the await",
    note = "a borrow, a closure or a guard cannot be saved: keep a copy, or make it again after \
            the await"
)]
pub trait Keep<Variable, Await>: Serialize + DeserializeOwned + Send + 'static {}

#[diagnostic::do_not_recommend]
impl<T, Variable, Await> Keep<Variable, Await> for T where
    T: Serialize + DeserializeOwned + Send + 'static
{
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

/// What `?` does to a value inside an `async` block, whose type is not known to the macro.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "the `?` operator cannot be applied to `{Self}` in an `async` block",
    label = "neither a `Result` nor an `Option`"
)]
pub trait Try {
    type Output;
    type Residual;
    fn branch(self) -> ControlFlow<Self::Residual, Self::Output>;
}

impl<T, E> Try for Result<T, E> {
    type Output = T;
    type Residual = Result<Infallible, E>;
    fn branch(self) -> ControlFlow<Self::Residual, T> {
        match self {
            Ok(value) => ControlFlow::Continue(value),
            Err(error) => ControlFlow::Break(Err(error)),
        }
    }
}

impl<T> Try for Option<T> {
    type Output = T;
    type Residual = Option<Infallible>;
    fn branch(self) -> ControlFlow<Self::Residual, T> {
        match self {
            Some(value) => ControlFlow::Continue(value),
            None => ControlFlow::Break(None),
        }
    }
}

/// The value of an `async` block that `?` leaves.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "the `?` operator in this `async` block cannot make a `{Self}` of `{Residual}`",
    label = "the block does not end in a type that takes this error"
)]
pub trait FromResidual<Residual> {
    fn from_residual(residual: Residual) -> Self;
}

impl<T, E, F: From<E>> FromResidual<Result<Infallible, E>> for Result<T, F> {
    fn from_residual(residual: Result<Infallible, E>) -> Self {
        match residual {
            Ok(never) => match never {},
            Err(error) => Err(error.into()),
        }
    }
}

impl<T> FromResidual<Option<Infallible>> for Option<T> {
    fn from_residual(_: Option<Infallible>) -> Self {
        None
    }
}

/// Every branch of a `select!` is out, and there is no `else`.
///
/// # Panics
/// Always: as in tokio.
#[doc(hidden)]
pub fn no_branch_left() -> ! {
    panic!(
        "all branches of this `select!` are disabled or have not matched, and it has no `else` \
         branch"
    )
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

/// Adds the retry rules that are written in a program.
#[doc(hidden)]
pub fn with_rules(program: Box<dyn Program>, rules: Vec<RetryRule>) -> Box<dyn Program> {
    Box::new(WithRules { program, rules })
}

struct WithRules {
    program: Box<dyn Program>,
    rules: Vec<RetryRule>,
}

impl Program for WithRules {
    fn graph(&self) -> &'static StateGraph {
        self.program.graph()
    }

    fn rules(&self) -> &[RetryRule] {
        &self.rules
    }

    fn start(&self, input: &Json) -> Result<Box<dyn Machine>, TaskFailure> {
        self.program.start(input)
    }

    fn load(&self, saved: &SavedMachine<'_>) -> Result<Box<dyn Machine>, Incompatible> {
        self.program.load(saved)
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
            cursor: Cursor::new(S::ALL[0], None),
            frame: (self.frame)(Some(input)),
        }))
    }

    fn load(&self, saved: &SavedMachine<'_>) -> Result<Box<dyn Machine>, Incompatible> {
        let cursor = Cursor::<S>::load(&saved.position, self.graph)?;
        let locals: BTreeMap<&str, &RawValue> =
            serde_json::from_str(saved.locals.get()).map_err(Incompatible::Malformed)?;
        let mut frame = (self.frame)(None);
        let mut slots = Slots::new(self.graph, &cursor, Work::Load { locals, error: None });
        (self.slots)(&mut frame, &mut slots);
        if let Work::Load { error: Some(error), .. } = slots.work {
            return Err(error);
        }
        Ok(Box::new(Running { definition: *self, cursor, frame }))
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
        if !self.cursor.resume() {
            return Progress::Suspended;
        }
        let context = OrchestrationContext::new();
        match finish(step(&context, &mut self.cursor, &mut self.frame)) {
            None => Progress::Suspended,
            Some(result) => {
                // What is left in the frame is dropped here, within the turn.
                self.clear();
                Progress::Ended(result)
            }
        }
    }

    fn awaiting(&self) -> Option<&Waiting> {
        self.cursor.awaiting()
    }

    fn branches(&self) -> Vec<Option<SavedPosition>> {
        self.cursor.branches(self.definition.graph)
    }

    fn for_each_wait(&self, f: &mut dyn FnMut(&Waiting)) {
        self.cursor.for_each_wait(f);
    }

    fn state(&self) -> &'static str {
        self.definition.graph.states[self.cursor.state.index()].name
    }

    fn clear(&mut self) {
        self.frame = (self.definition.frame)(None);
    }

    fn save(&mut self) -> Result<String, SaveError> {
        let work = Work::Save { locals: String::from("{"), error: None };
        let mut slots = Slots::new(self.definition.graph, &self.cursor, work);
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
    /// The variables alive in any branch, if there are branches.
    alive: Option<BTreeSet<usize>>,
    work: Work<'a>,
}

enum Work<'a> {
    Save { locals: String, error: Option<SaveError> },
    Load { locals: BTreeMap<&'a str, &'a RawValue>, error: Option<Incompatible> },
}

impl<'a> Slots<'a> {
    fn new<S: States>(graph: &'static StateGraph, cursor: &Cursor<S>, work: Work<'a>) -> Self {
        Self { graph, state: cursor.state.index(), alive: cursor.alive(graph), work }
    }
}

impl Slots<'_> {
    /// Saves or loads the variable at `index`, if it is alive in the state.
    pub fn slot<Variable, Await, T>(&mut self, index: usize, slot: &mut Option<T>)
    where
        T: Keep<Variable, Await>,
    {
        let state = &self.graph.states[self.state];
        let is_alive = match &self.alive {
            Some(alive) => alive.contains(&index),
            None => state.live.contains(&index),
        };
        if !is_alive {
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
