//! Schedules: orchestrations that are started again and again, at an interval. A schedule is an
//! orchestration of ours, which sleeps, starts, and listens to commands; every worker can run it.

use std::fmt;
use std::time::Duration;

use durable_macros::orchestrator;
use durable_store::{InstanceQuery, Status, Tags, Timestamp};
use serde::{Deserialize, Serialize};

use crate::client::{Client, ClientError, Handle, InstanceStatus};
use crate::context::{MAX_CUSTOM_STATUS_BYTES, OrchestrationContext, start_named};
use crate::data::Arguments as _;
use crate::error::TaskError;
use crate::json::Json;
use crate::program::{Function as _, Orchestration};
use crate::start::{IdReuse, StartOptions};
use crate::task::{Call, Event};

/// The shortest interval of a schedule. The original's.
pub const MIN_SCHEDULE_INTERVAL: Duration = Duration::from_secs(1);

/// What a schedule says of itself beside what it was given has at most so many bytes.
const ROOM_FOR_PROGRESS: usize = 512;

/// Begins the ids of the instances that are schedules.
const ID_PREFIX: &str = "durable.schedule:";

const COMMAND: Event<Command> = Event::new("durable.schedule");

/// What is started, and when. Given to [`ScheduleHandle::create`].
///
/// ```
/// # use std::time::Duration;
/// # use durable::prelude::*;
/// # use durable::{Client, ClientError, Schedule};
/// # #[orchestrator] async fn report(department: String) {}
/// # async fn example(client: Client, midnight: Timestamp) -> Result<(), ClientError> {
/// const DAY: Duration = Duration::from_secs(24 * 3600);
/// let nightly = client.schedule("nightly-report");
/// nightly.create(Schedule::every(DAY, report("sales".to_owned())).starting_at(midnight)).await?;
/// nightly.pause().await?;
/// println!("{:?}", nightly.describe().await?);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[must_use = "nothing is scheduled until it is created"]
pub struct Schedule {
    name: String,
    function_version: String,
    input: Result<Json, String>,
    every: Duration,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    instance_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    #[serde(default, skip_serializing_if = "Tags::is_empty")]
    tags: Tags,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    from: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    at_once_if_late: bool,
    /// What is wrong with it, if something is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fault: Option<String>,
}

impl Schedule {
    /// Starts `call` again and again, so long after each other: at least [`MIN_SCHEDULE_INTERVAL`].
    ///
    /// The call may say an instance id, a version and tags. With an id, a start is left out while
    /// the instance of the one before still runs.
    pub fn every<F: Orchestration>(interval: Duration, call: Call<F>) -> Self {
        let input = crate::task::checked(call.input.encode());
        let fault = call.check_start().and_then(|()| call.options.check_inside());
        let StartOptions { instance_id, version, tags, start_at, .. } = call.options;
        let fault = match (fault, start_at) {
            (Err(invalid), _) => Some(crate::error::TaskFailure::from(invalid).failure.message),
            (Ok(()), Some(_)) => Some("the schedule says when its calls begin".to_owned()),
            (Ok(()), None) => None,
        };
        Self {
            name: F::NAME.to_owned(),
            function_version: F::VERSION.to_owned(),
            input: input.map_err(|failure| failure.failure.message),
            every: interval,
            instance_id,
            version,
            tags,
            from: None,
            until: None,
            at_once_if_late: false,
            fault,
        }
    }

    /// When the first start is, and what the later ones are counted from. Default: an interval after
    /// the schedule is created.
    pub fn starting_at(mut self, time: Timestamp) -> Self {
        self.from = Some(time);
        self
    }

    /// No start is due after this time: then the schedule has ended. A start that is late, since no
    /// worker ran, is still made.
    pub fn ending_at(mut self, time: Timestamp) -> Self {
        self.until = Some(time);
        self
    }

    /// If the time of a start is over when the schedule begins or goes on, starts once at once.
    /// Without it the next time of the interval is waited for.
    pub fn at_once_if_late(mut self) -> Self {
        self.at_once_if_late = true;
        self
    }

    fn check(&self) -> Result<(), ClientError> {
        let refused = |reason: String| Err(ClientError::InvalidOption { reason });
        if self.every < MIN_SCHEDULE_INTERVAL {
            return refused(format!(
                "a schedule has an interval of at least {MIN_SCHEDULE_INTERVAL:?}, not {:?}",
                self.every
            ));
        }
        if let Some(fault) = &self.fault {
            return refused(fault.clone());
        }
        let sized = self.input.clone().and_then(|_| self.check_size());
        let function = self.name.clone();
        sized.map_err(|reason| ClientError::InvalidArguments { function, reason })
    }

    /// The first time of it that is not before `now`, or the last one before if that was missed and is
    /// to be made up for.
    fn next(&self, planned: Timestamp, now: Timestamp) -> Due {
        if planned >= now {
            return Due { planned, start: planned };
        }
        let every = self.every.max(MIN_SCHEDULE_INTERVAL).as_micros();
        let late = now.saturating_since(planned).as_micros();
        let times = if self.at_once_if_late { late / every } else { late.div_ceil(every) };
        let ahead = u64::try_from(times * every).unwrap_or(u64::MAX);
        let planned = planned + Duration::from_micros(ahead);
        Due { planned, start: planned.max(now) }
    }

    /// Whether a schedule can say this of itself.
    fn check_size(&self) -> Result<(), String> {
        let limit = MAX_CUSTOM_STATUS_BYTES - ROOM_FOR_PROGRESS;
        let size = Json::encode(self).map_err(|error| error.to_string())?.as_str().len();
        if size > limit {
            return Err(format!(
                "a schedule with its arguments has at most {limit} bytes, this one has {size}: pass a \
                 reference to what is large"
            ));
        }
        Ok(())
    }

    /// How one of its starts is made.
    fn options(&self) -> StartOptions {
        StartOptions {
            instance_id: self.instance_id.clone(),
            version: self.version.clone(),
            tags: self.tags.clone(),
            start_at: None,
            id_reuse: IdReuse::ReplaceEnded,
        }
    }
}

/// A start that is to come.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Due {
    /// Its time in the interval, from which the later ones are counted.
    planned: Timestamp,
    /// When it is made: at its time, or at once if that is over.
    start: Timestamp,
}

/// What a schedule is told.
#[derive(Debug, Serialize, Deserialize)]
enum Command {
    Pause,
    Resume,
    Update(Box<Schedule>),
}

/// What is known of a schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ScheduleStatus {
    /// Its id.
    pub id: String,
    /// What it starts, and when.
    pub schedule: Schedule,
    /// Whether it is paused.
    pub paused: bool,
    /// How many of its starts were due and made, or left out since the instance of the one before
    /// still ran.
    pub starts: u64,
    /// When the last of them was.
    pub last: Option<Timestamp>,
    /// When the next start is to be made; `None` while it is paused, or if there is none any more.
    pub next: Option<Timestamp>,
    /// Whether its time is over.
    pub ended: bool,
}

/// What a schedule says of itself.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Said {
    schedule: Schedule,
    paused: bool,
    starts: u64,
    last: Option<Timestamp>,
    next: Option<Timestamp>,
}

/// The orchestration that a schedule is. Gives how many starts it has made.
#[orchestrator(name = "durable.schedule")]
pub(crate) async fn run_schedule(
    ctx: &OrchestrationContext,
    schedule: Schedule,
) -> Result<u64, TaskError> {
    let mut schedule = schedule;
    let mut said =
        Said { schedule: schedule.clone(), paused: false, starts: 0, last: None, next: None };
    let begins = schedule.from.unwrap_or(ctx.now() + schedule.every);
    let mut next = schedule.next(begins, ctx.now());
    loop {
        let is_over = schedule.until.is_some_and(|until| next.start > until);
        said.schedule = schedule.clone();
        said.next = Some(next.start).filter(|_| !said.paused && !is_over);
        ctx.set_custom_status(said.clone());
        if is_over && !said.paused {
            return Ok(said.starts);
        }
        let mut command = None;
        if said.paused {
            command = Some(ctx.wait_for_event(COMMAND).await?);
        } else {
            select! {
                told = ctx.wait_for_event(COMMAND) => command = Some(told?),
                _ = ctx.sleep_until(next.start) => {}
            }
        }
        match command {
            None => {
                if let Ok(input) = &schedule.input {
                    let Schedule { name, function_version, .. } = &schedule;
                    start_named(schedule.options(), name, function_version, input);
                }
                said.starts += 1;
                said.last = Some(ctx.now());
                // What is late by now is made up for only once.
                let due = next.planned + schedule.every;
                next = Schedule { at_once_if_late: false, ..schedule.clone() }.next(due, ctx.now());
            }
            Some(Command::Pause) => said.paused = true,
            Some(Command::Resume) => {
                said.paused = false;
                next = schedule.next(next.planned, ctx.now());
            }
            Some(Command::Update(new)) => {
                schedule = *new;
                next =
                    schedule.next(schedule.from.unwrap_or(ctx.now() + schedule.every), ctx.now());
            }
        }
    }
}

/// A schedule, by its id.
#[derive(Clone)]
pub struct ScheduleHandle {
    client: Client,
    id: String,
}

impl fmt::Debug for ScheduleHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ScheduleHandle({})", self.id)
    }
}

impl Client {
    /// The schedule with this id. Whether it exists is seen when the handle is used.
    pub fn schedule(&self, id: impl Into<String>) -> ScheduleHandle {
        ScheduleHandle { client: self.clone(), id: id.into() }
    }

    /// All schedules that have not ended.
    ///
    /// # Errors
    ///
    /// Those of the store.
    pub async fn schedules(&self) -> Result<Vec<ScheduleStatus>, ClientError> {
        let query = InstanceQuery {
            id_prefix: Some(ID_PREFIX.to_owned()),
            name: Some(run_schedule::NAME.to_owned()),
            statuses: vec![Status::Pending, Status::Running, Status::Suspended],
            ..InstanceQuery::default()
        };
        Ok(self.list(query).all().await?.into_iter().filter_map(status).collect())
    }
}

impl ScheduleHandle {
    fn instance(&self) -> Handle<u64> {
        self.client.orchestration(format!("{ID_PREFIX}{}", self.id))
    }

    /// Creates the schedule, in place of one that has the id.
    ///
    /// # Errors
    ///
    /// [`ClientError::InvalidOption`] if the interval is too short or the call says what a schedule
    /// cannot use, [`ClientError::InvalidArguments`] if the arguments cannot be serialised or the
    /// schedule is so large that it could not be described, and
    /// those of [`Client::start`].
    pub async fn create(&self, schedule: Schedule) -> Result<(), ClientError> {
        let schedule = self.complete(schedule)?;
        let id = self.instance().id().to_owned();
        let call = run_schedule(schedule).instance_id(id).id_reuse(IdReuse::TerminateAndReplace);
        self.client.start(call).await.map(|_| ())
    }

    /// Changes what is started and when. The count of starts goes on.
    ///
    /// # Errors
    ///
    /// As for [`create`](Self::create), and [`ClientError::NotFound`] or [`ClientError::Ended`] if
    /// there is no such schedule any more.
    pub async fn update(&self, schedule: Schedule) -> Result<(), ClientError> {
        let schedule = self.complete(schedule)?;
        self.tell(Command::Update(Box::new(schedule))).await
    }

    /// Makes no starts until it is resumed.
    ///
    /// # Errors
    ///
    /// [`ClientError::NotFound`] or [`ClientError::Ended`] if there is no such schedule any more.
    pub async fn pause(&self) -> Result<(), ClientError> {
        self.tell(Command::Pause).await
    }

    /// Goes on with the next start.
    ///
    /// # Errors
    ///
    /// [`ClientError::NotFound`] or [`ClientError::Ended`] if there is no such schedule any more.
    pub async fn resume(&self) -> Result<(), ClientError> {
        self.tell(Command::Resume).await
    }

    /// Checks a schedule, and counts from now on if it says nothing else.
    fn complete(&self, mut schedule: Schedule) -> Result<Schedule, ClientError> {
        schedule.check()?;
        let now = self.client.clock().now();
        schedule.from.get_or_insert(now + schedule.every);
        Ok(schedule)
    }

    async fn tell(&self, command: Command) -> Result<(), ClientError> {
        self.instance().raise_event(COMMAND, command).await
    }

    /// Ends the schedule and forgets it. What it has started goes on.
    ///
    /// # Errors
    ///
    /// [`ClientError::NotFound`] if there is no such schedule.
    pub async fn delete(&self) -> Result<(), ClientError> {
        let instance = self.instance();
        match instance.terminate("the schedule was deleted").await {
            Ok(()) => {
                instance.wait(Status::is_terminal).await?;
            }
            // Its time is over.
            Err(ClientError::Ended { .. }) => {}
            Err(error) => return Err(error),
        }
        instance.purge().await.map(|_| ())
    }

    /// What is known of it; `None` if there is no such schedule.
    ///
    /// # Errors
    ///
    /// Those of the store.
    pub async fn describe(&self) -> Result<Option<ScheduleStatus>, ClientError> {
        match self.instance().status().await {
            Ok(instance) => Ok(status(instance)),
            Err(ClientError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// What an instance says, if it is a schedule.
fn status(instance: InstanceStatus) -> Option<ScheduleStatus> {
    let id = instance.id.strip_prefix(ID_PREFIX)?.to_owned();
    let ended = instance.status.is_terminal();
    let said = instance.custom_status.and_then(|said| said.decode::<Said>().ok());
    let said = match said {
        Some(said) => said,
        // Its first turn has not run.
        None => {
            let (schedule,) = instance.input.decode::<(Schedule,)>().ok()?;
            Said { schedule, paused: false, starts: 0, last: None, next: None }
        }
    };
    let Said { schedule, paused, starts, last, next } = said;
    Some(ScheduleStatus { id, schedule, paused, starts, last, next, ended })
}
