//! Managing instances from outside: how they are started, suspended, terminated, rewound,
//! restarted, purged and listed, and how they go on while other code is deployed. And what
//! orchestrations may rely on: events, timers, tasks, children, limits, workers that come and go. On
//! every embedded store, under a clock that the tests hold.
#![allow(unreachable_pub, missing_docs)] // The programs are written as users write them.
#![allow(clippy::unwrap_used)] // Everything here is a test.

#[macro_use]
#[path = "manage/world.rs"]
mod world;

#[path = "manage/builds.rs"]
mod builds;
#[path = "manage/children.rs"]
mod children;
#[path = "manage/entities.rs"]
mod entities;
#[path = "manage/errors.rs"]
mod errors;
#[path = "manage/events.rs"]
mod events;
#[path = "manage/history.rs"]
mod history;
#[path = "manage/limits.rs"]
mod limits;
#[path = "manage/listing.rs"]
mod listing;
#[path = "manage/locking.rs"]
mod locking;
#[path = "manage/long.rs"]
mod long;
#[path = "manage/mismatches.rs"]
mod mismatches;
#[path = "manage/offers.rs"]
mod offers;
#[path = "manage/patterns.rs"]
mod patterns;
#[path = "manage/purging.rs"]
mod purging;
#[path = "manage/renewing.rs"]
mod renewing;
#[path = "manage/retrying.rs"]
mod retrying;
#[path = "manage/rewinding.rs"]
mod rewinding;
#[path = "manage/schedules.rs"]
mod schedules;
#[path = "manage/shares.rs"]
mod shares;
#[path = "manage/starting.rs"]
mod starting;
#[path = "manage/suspending.rs"]
mod suspending;
#[path = "manage/tasks.rs"]
mod tasks;
#[path = "manage/terminating.rs"]
mod terminating;
#[path = "manage/timers.rs"]
mod timers;
#[path = "manage/versions.rs"]
mod versions;
#[path = "manage/watched.rs"]
mod watched;
