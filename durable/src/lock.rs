//! Critical sections: locks on entities as an orchestrator sees them. The lock itself is a message
//! that goes from entity to entity, and saved state of each of them.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::{Failure, TaskError, TaskErrorKind};
use crate::message::TaskId;
use crate::task::{Durable, Pending, Waiting, begin_race, winner};
use crate::turn::{EntityAddress, scope};

/// Most entities of one critical section.
pub const MAX_LOCKED_ENTITIES: usize = 1_000;

/// Entities that can be locked together: addresses ([`id()`](EntityAddress) of a proxy), in a tuple,
/// an array, a slice or a `Vec`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` names no entities that could be locked",
    label = "not the address of an entity, nor a tuple or list of addresses",
    note = "pass what the `id()` of a proxy gives: `ctx.lock((from.id(), to.id()))`"
)]
pub trait LockSet {
    /// The addresses.
    fn into_addresses(self) -> Vec<EntityAddress>;
}

impl LockSet for EntityAddress {
    fn into_addresses(self) -> Vec<EntityAddress> {
        vec![self]
    }
}

impl LockSet for Vec<EntityAddress> {
    fn into_addresses(self) -> Vec<EntityAddress> {
        self
    }
}

impl LockSet for &[EntityAddress] {
    fn into_addresses(self) -> Vec<EntityAddress> {
        self.to_vec()
    }
}

impl<const N: usize> LockSet for [EntityAddress; N] {
    fn into_addresses(self) -> Vec<EntityAddress> {
        self.into()
    }
}

macro_rules! lock_sets {
    ($($T:ident)*) => {
        #[diagnostic::do_not_recommend]
        impl<$($T: LockSet),*> LockSet for ($($T,)*) {
            #[allow(non_snake_case)]
            fn into_addresses(self) -> Vec<EntityAddress> {
                let ($($T,)*) = self;
                let mut all = Vec::new();
                $(all.extend($T.into_addresses());)*
                all
            }
        }
    };
}

lock_sets!(A0);
lock_sets!(A0 A1);
lock_sets!(A0 A1 A2);
lock_sets!(A0 A1 A2 A3);
lock_sets!(A0 A1 A2 A3 A4);
lock_sets!(A0 A1 A2 A3 A4 A5);
lock_sets!(A0 A1 A2 A3 A4 A5 A6);
lock_sets!(A0 A1 A2 A3 A4 A5 A6 A7);

/// What [`OrchestrationContext::lock`](crate::OrchestrationContext::lock) makes: await it, and bind what
/// comes of it, in one statement. Only so the compiler sees where the critical section ends.
#[derive(Debug)]
#[must_use = "nothing is locked until this is awaited"]
pub struct LockRequest {
    set: Vec<EntityAddress>,
}

impl LockRequest {
    pub(crate) fn new(set: impl LockSet) -> Self {
        let mut set = set.into_addresses();
        // All who lock do so in one order, so that none waits for another in a circle.
        set.sort();
        set.dedup();
        Self { set }
    }

    /// Waits for the locks no longer than this, and awaits to `Result<LockGuard, TaskError>`: then
    /// the error says [`TaskError::is_timeout`], and what was locked already is released.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use durable::prelude::*;
    /// # use serde::{Deserialize, Serialize};
    /// # #[derive(Default, Serialize, Deserialize)]
    /// # struct Account { cents: i64 }
    /// # #[entity]
    /// # impl Account { fn deposit(&mut self, cents: i64) { self.cents += cents } }
    /// #[orchestrator]
    /// async fn deposit(ctx: &OrchestrationContext, cents: i64) -> Result<bool, TaskError> {
    ///     let account = ctx.entity::<Account>("mine");
    ///     let Ok(_guard) = ctx.lock(account.id()).timeout(Duration::from_secs(10)).await else {
    ///         return Ok(false);
    ///     };
    ///     account.deposit(cents).await?;
    ///     Ok(true)
    /// }
    /// ```
    pub fn timeout(self, limit: Duration) -> LockTimeout {
        LockTimeout { request: self, limit }
    }

    #[doc(hidden)]
    pub fn __held(self) -> Held<Self> {
        Held(self)
    }

    fn check(&self) -> Result<(), String> {
        if self.set.is_empty() {
            return Err("a critical section needs at least one entity".to_owned());
        }
        if self.set.len() > MAX_LOCKED_ENTITIES {
            let count = self.set.len();
            return Err(format!(
                "{count} entities in one critical section, the limit is {MAX_LOCKED_ENTITIES}"
            ));
        }
        let check =
            |address: &EntityAddress| crate::client::check_entity_key(&address.name, &address.key);
        self.set.iter().try_for_each(check)
    }
}

#[doc(hidden)]
pub struct Locked;

impl Pending for Locked {
    type Output = LockGuard;
    fn take(waiting: &Waiting) -> LockGuard {
        let lock = waiting.as_task().unwrap_or_default();
        match scope::with(|core| core.enter_section(lock)) {
            Ok(()) => LockGuard { lock },
            Err(reason) => panic!("the entities cannot be locked: {reason}"),
        }
    }
}

/// A request that the compiler has seen, with the variable that holds the section: nothing else can be
/// awaited, so that no section ends before the scope of its variable.
#[doc(hidden)]
#[derive(Debug)]
pub struct Held<T>(T);

impl Durable for Held<LockRequest> {
    type Pending = Locked;
    type Output = LockGuard;

    fn begin(self) -> Waiting {
        let Self(request) = self;
        let begun = request.check().and_then(|()| scope::with(|core| core.begin_lock(request.set)));
        match begun {
            Ok(task) => Waiting::Task(task),
            Err(reason) => panic!("{reason}"),
        }
    }
}

/// A lock with a limit on the time that is waited for it.
#[derive(Debug)]
#[must_use = "nothing is locked until this is awaited"]
pub struct LockTimeout {
    request: LockRequest,
    limit: Duration,
}

impl LockTimeout {
    #[doc(hidden)]
    pub fn __held(self) -> Held<Self> {
        Held(self)
    }
}

#[doc(hidden)]
pub struct LockedInTime;

impl Pending for LockedInTime {
    type Output = Result<LockGuard, TaskError>;
    fn take(waiting: &Waiting) -> Self::Output {
        match winner(waiting) {
            Some(inner) => Ok(Locked::take(inner)),
            None => {
                let failure = Failure::new("TimedOut", "the time allowed for the lock is over");
                Err(TaskError::new(TaskErrorKind::TimedOut, "lock", failure))
            }
        }
    }
}

impl Durable for Held<LockTimeout> {
    type Pending = LockedInTime;
    type Output = Result<LockGuard, TaskError>;

    fn begin(self) -> Waiting {
        let LockTimeout { request, limit } = self.0;
        begin_race(request.__held(), limit)
    }
}

/// Holds the locks of a critical section until the scope of its variable ends, or until it is
/// dropped. It is a saved value: the section goes on over restarts. A failure, a termination and the
/// end of the orchestration release the locks in any case.
#[must_use = "the locks are released when this is dropped"]
#[derive(Serialize, Deserialize)]
#[serde(transparent)]
pub struct LockGuard {
    lock: TaskId,
}

impl fmt::Debug for LockGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LockGuard({})", self.lock.0)
    }
}

impl Drop for LockGuard {
    fn drop(&mut self) {
        // Outside of a turn the instance merely leaves memory, and while unwinding nothing that the
        // program does counts any more.
        if !std::thread::panicking() {
            scope::try_with(|core| core.leave_section(self.lock));
        }
    }
}

/// What the compiler makes of `drop(guard)`: the variable stays.
#[doc(hidden)]
pub fn end_section(guard: &LockGuard) {
    scope::with(|core| core.leave_section(guard.lock));
}
