//! What a worker can run, by name.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;

use crate::context::{ActivityContext, EntityContext};
use crate::data::Arguments as _;
use crate::entity::Entity;
use crate::error::{Failure, TaskErrorKind, TaskFailure};
use crate::json::Json;
use crate::program::{Activities, Activity, ActivityFuture, Orchestration, Program};
use crate::version::{Versioning, in_words};

/// Everything that was registered with a worker. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Registry {
    /// By name, and then by version.
    orchestrations: HashMap<String, HashMap<String, Arc<dyn Program>>>,
    activities: HashMap<String, Arc<dyn ActivityRunner>>,
    entities: HashMap<String, Arc<dyn EntityRunner>>,
    duplicates: Vec<String>,
    check_determinism: bool,
    versioning: Versioning,
}

/// Runs the attempts of one activity.
pub(crate) trait ActivityRunner: Send + Sync {
    fn run(&self, context: ActivityContext, input: &Json) -> ActivityFuture;
}

/// Creates and restores the states of one kind of entity.
pub(crate) trait EntityRunner: Send + Sync {
    fn create(&self) -> Box<dyn EntityState>;
    fn load(&self, state: &Json) -> Result<Box<dyn EntityState>, crate::codec::DecodeError>;
    /// Whether the operation runs outside of the turn.
    fn is_async(&self, operation: &str) -> bool;
    /// Runs an operation outside of the turn, on a state of its own.
    fn run_async(
        &self,
        state: Option<&Json>,
        context: EntityContext,
        operation: &str,
        args: &Json,
    ) -> Result<OperationFuture, TaskFailure>;
}

/// An operation outside of a turn. Gives its result, and the state after it.
pub(crate) type OperationFuture =
    Pin<Box<dyn Future<Output = Result<(Json, Json), TaskFailure>> + Send>>;

/// The decoded state of an entity.
pub(crate) trait EntityState: Send {
    fn apply(
        &mut self,
        context: &EntityContext,
        operation: &str,
        args: &Json,
    ) -> Option<Result<Json, TaskFailure>>;
    fn save(&self) -> Result<Json, crate::codec::EncodeError>;
}

impl Registry {
    /// Knows what every worker runs.
    pub(crate) fn with_our_own() -> Self {
        let mut registry = Self::default();
        registry.add_orchestration::<crate::schedule::run_schedule>();
        registry
    }

    pub(crate) fn add_orchestration<F: Orchestration>(&mut self) {
        let versions = self.orchestrations.entry(F::NAME.to_owned()).or_default();
        if versions.insert(F::VERSION.to_owned(), F::program().into()).is_some() {
            self.duplicates.push(format!("orchestrator `{}`{}", F::NAME, in_words(F::VERSION)));
        }
    }

    pub(crate) fn add_activity<F: Activity>(&mut self) {
        self.add_hosted::<F, ()>(Arc::new(()));
    }

    fn add_hosted<F, H>(&mut self, host: Arc<H>)
    where
        F: Activity<H>,
        H: Send + Sync + 'static,
    {
        let runner = Hosted::<F, H> { host, function: PhantomData };
        if self.activities.insert(F::NAME.to_owned(), Arc::new(runner)).is_some() {
            self.duplicates.push(format!("activity `{}`", F::NAME));
        }
    }

    /// Runs the activity of this name, registered or not, with something else.
    pub(crate) fn replace_activity(&mut self, name: &str, runner: Arc<dyn ActivityRunner>) {
        self.activities.insert(name.to_owned(), runner);
    }

    /// Puts something around each activity.
    pub(crate) fn wrap_activities(
        &mut self,
        wrap: impl Fn(&str, Arc<dyn ActivityRunner>) -> Arc<dyn ActivityRunner>,
    ) {
        for (name, runner) in &mut self.activities {
            *runner = wrap(name, Arc::clone(runner));
        }
    }

    /// The names of the activities, sorted.
    pub(crate) fn activity_names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.activities.keys().map(String::as_str).collect();
        names.sort_unstable();
        names
    }

    /// The names of the orchestrations, sorted.
    #[cfg(feature = "http")]
    pub(crate) fn orchestration_names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.orchestrations.keys().map(String::as_str).collect();
        names.sort_unstable();
        names
    }

    /// The names of the entities, sorted, as they are stored.
    #[cfg(feature = "http")]
    pub(crate) fn entity_names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.entities.keys().map(String::as_str).collect();
        names.sort_unstable();
        names
    }

    pub(crate) fn add_activities<H: Activities>(&mut self, host: H) {
        let mut registrar = ActivityRegistrar { registry: self, host: Arc::new(host) };
        H::register(&mut registrar);
    }

    pub(crate) fn add_entity<E: Entity>(&mut self) {
        // Entity names are compared as they are stored, in lower case.
        if self.entities.insert(E::NAME.to_lowercase(), Arc::new(Typed::<E>(PhantomData))).is_some()
        {
            self.duplicates.push(format!("entity `{}`", E::NAME));
        }
    }

    /// Every turn of an orchestration runs a second time from its saved bytes, and must do the same.
    pub(crate) fn set_check_determinism(&mut self, check: bool) {
        self.check_determinism = check;
    }

    pub(crate) fn checks_determinism(&self) -> bool {
        self.check_determinism
    }

    /// What the worker makes of versions.
    pub(crate) fn set_versioning(&mut self, versioning: Versioning) {
        self.versioning = versioning;
    }

    pub(crate) fn versioning(&self) -> &Versioning {
        &self.versioning
    }

    /// What was registered twice under one name.
    pub(crate) fn duplicates(&self) -> &[String] {
        &self.duplicates
    }

    /// The program of this name and version. One that is registered without a version runs all
    /// versions, but only while the name has no other: once there are several, an instance of one
    /// that is missing must not run what was not made for it.
    pub(crate) fn orchestration(&self, name: &str, version: &str) -> Option<&Arc<dyn Program>> {
        let versions = self.orchestrations.get(name)?;
        let only = || versions.get("").filter(|_| versions.len() == 1);
        versions.get(version).or_else(only)
    }

    pub(crate) fn activity(&self, name: &str) -> Option<&Arc<dyn ActivityRunner>> {
        self.activities.get(name)
    }

    pub(crate) fn entity(&self, name: &str) -> Option<&Arc<dyn EntityRunner>> {
        self.entities.get(&name.to_lowercase())
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let versions = |(name, versions): (&String, &HashMap<String, _>)| {
            versions
                .keys()
                .map(|version| format!("{name}{}", in_words(version)))
                .collect::<Vec<_>>()
        };
        let orchestrations: Vec<String> = self.orchestrations.iter().flat_map(versions).collect();
        f.debug_struct("Registry")
            .field("orchestrations", &orchestrations)
            .field("activities", &self.activities.keys())
            .field("entities", &self.entities.keys())
            .finish_non_exhaustive()
    }
}

/// Collects the methods of one [`Activities`] value.
#[doc(hidden)]
pub struct ActivityRegistrar<'a, H> {
    registry: &'a mut Registry,
    host: Arc<H>,
}

impl<H: Activities> ActivityRegistrar<'_, H> {
    /// Registers one method.
    pub fn add<F: Activity<H>>(&mut self) {
        self.registry.add_hosted::<F, H>(Arc::clone(&self.host));
    }
}

impl<H> fmt::Debug for ActivityRegistrar<'_, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ActivityRegistrar").finish_non_exhaustive()
    }
}

struct Hosted<F, H> {
    host: Arc<H>,
    function: PhantomData<fn() -> F>,
}

impl<F: Activity<H>, H: Send + Sync + 'static> ActivityRunner for Hosted<F, H> {
    fn run(&self, context: ActivityContext, input: &Json) -> ActivityFuture {
        match F::Input::decode(input) {
            Ok(input) => F::run(Arc::clone(&self.host), context, input),
            Err(error) => {
                let failure = TaskFailure::new(TaskErrorKind::Payload, Failure::of(error));
                Box::pin(async { Err(failure) })
            }
        }
    }
}

struct Typed<E>(PhantomData<fn() -> E>);

impl<E: Entity> EntityRunner for Typed<E> {
    fn create(&self) -> Box<dyn EntityState> {
        Box::new(State(E::initial()))
    }

    fn load(&self, state: &Json) -> Result<Box<dyn EntityState>, crate::codec::DecodeError> {
        Ok(Box::new(State(E::decode(state)?)))
    }

    fn is_async(&self, operation: &str) -> bool {
        E::is_async(operation)
    }

    fn run_async(
        &self,
        state: Option<&Json>,
        context: EntityContext,
        operation: &str,
        args: &Json,
    ) -> Result<OperationFuture, TaskFailure> {
        let payload = |error| TaskFailure::new(TaskErrorKind::Payload, error);
        let state = match state {
            Some(state) => E::decode(state).map_err(|e| payload(Failure::of(e)))?,
            None => E::initial(),
        };
        let running = state.run_async(context, operation.to_owned(), args.clone());
        Ok(Box::pin(async move {
            let (state, result) = running.await;
            // Whether the operation is there was asked before.
            let result = result.unwrap_or_else(|| Ok(Json::null()))?;
            let saved = state.encode().map_err(|e| payload(Failure::of(e)))?;
            crate::turn::check_state_size(&saved)?;
            Ok((result, saved))
        }))
    }
}

struct State<E>(E);

impl<E: Entity> EntityState for State<E> {
    fn apply(
        &mut self,
        context: &EntityContext,
        operation: &str,
        args: &Json,
    ) -> Option<Result<Json, TaskFailure>> {
        self.0.apply(context, operation, args)
    }

    fn save(&self) -> Result<Json, crate::codec::EncodeError> {
        self.0.encode()
    }
}
