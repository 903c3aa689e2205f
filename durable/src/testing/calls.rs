//! Which attempts of activities began in a hub under test, with their arguments.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::watch::{Watch, attempt};
use crate::clock::VirtualClock;
use crate::context::ActivityContext;
use crate::json::Json;
use crate::program::ActivityFuture;
use crate::registry::ActivityRunner;

/// The attempts that began, in their order.
#[derive(Debug, Default)]
pub(super) struct Calls(Mutex<Vec<(Arc<str>, Json)>>);

impl Calls {
    fn lock(&self) -> MutexGuard<'_, Vec<(Arc<str>, Json)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The arguments of the attempts of one activity.
    pub(super) fn of(&self, activity: &str) -> Vec<Json> {
        let calls = self.lock();
        let of_it = calls.iter().filter(|(name, _)| **name == *activity);
        of_it.map(|(_, input)| input.clone()).collect()
    }

    /// How many there were, by activity.
    pub(super) fn counts(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for (name, _) in self.lock().iter() {
            *counts.entry(name.to_string()).or_default() += 1;
        }
        counts
    }
}

/// An activity whose attempts are recorded and watched.
pub(super) struct Recorded {
    pub(super) name: Arc<str>,
    pub(super) runner: Arc<dyn ActivityRunner>,
    pub(super) calls: Arc<Calls>,
    pub(super) watch: Arc<Watch>,
    pub(super) clock: VirtualClock,
}

impl ActivityRunner for Recorded {
    fn run(&self, context: ActivityContext, input: &Json) -> ActivityFuture {
        self.calls.lock().push((Arc::clone(&self.name), input.clone()));
        let instance = context.instance_id().to_owned();
        let begin = || self.runner.run(context, input);
        attempt(&self.watch, &self.clock, (&*self.name, &instance), begin)
    }
}
