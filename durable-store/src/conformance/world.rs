//! What the cases share: the fixture, fixed points in time, and short ways to say "an instance",
//! "a message", "a commit". A helper panics if the store fails; the case then fails by its name.
#![allow(missing_docs, clippy::missing_panics_doc, clippy::unwrap_used, clippy::implicit_hasher)]

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::broadcast;

use crate::model::{
    Accepted, Batch, Condition, Envelope, Hint, InstanceChange, InstanceKind, InstanceNo,
    InstanceRecord, Lease, Message, NewInstance, Offer, PartitionId, Payload, Status,
    StoredInstance, Tags,
};
use crate::store::{Result, Store};
use crate::{StoreErrorKind, Timestamp};

/// A hub that a case may do with as it likes, and what must live as long as it.
#[derive(Clone)]
pub struct Fixture {
    store: Arc<dyn Store>,
    _kept: Option<Arc<dyn Any + Send + Sync>>,
}

impl Fixture {
    /// `store`, with something that is dropped after it.
    pub fn keeping(store: impl Store, kept: impl Any + Send + Sync) -> Self {
        Self { store: Arc::new(store), _kept: Some(Arc::new(kept)) }
    }
}

impl<S: Store> From<S> for Fixture {
    fn from(store: S) -> Self {
        Self { store: Arc::new(store), _kept: None }
    }
}

impl Deref for Fixture {
    type Target = dyn Store;
    fn deref(&self) -> &Self::Target {
        &*self.store
    }
}

impl fmt::Debug for Fixture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fixture").finish_non_exhaustive()
    }
}

pub const P0: PartitionId = PartitionId(0);
pub const P1: PartitionId = PartitionId(1);
pub const LIMIT: usize = 1_000;
/// Longer than any hint takes; a hint that does not come fails the case instead of hanging it.
const HINT_TIMEOUT: Duration = Duration::from_secs(20);

/// A fixed moment plus `seconds`. No case reads a clock.
pub fn at(seconds: i64) -> Timestamp {
    Timestamp::from_micros(1_800_000_000_000_000 + seconds * 1_000_000)
}

/// Every partition, for `owner`, from second 0 to second 30.
pub async fn own(hub: &Fixture, owner: &str) -> Vec<Lease> {
    hub.acquire_leases(owner, u16::MAX, &[], at(0), at(30)).await.unwrap()
}

/// The leases of the first two partitions.
pub async fn own_two(hub: &Fixture) -> (Lease, Lease) {
    let leases = own(hub, "worker").await;
    (leases[0].clone(), leases[1].clone())
}

/// The lease of the first partition.
pub async fn own_one(hub: &Fixture) -> Lease {
    own_two(hub).await.0
}

/// A number of `partition` that was never used.
pub async fn number(hub: &Fixture, partition: PartitionId) -> InstanceNo {
    InstanceNo::new(partition, hub.reserve_numbers(1).await.unwrap())
}

pub fn new_instance(no: InstanceNo, id: &str) -> NewInstance {
    NewInstance {
        no,
        id: id.to_owned(),
        kind: InstanceKind::Orchestration,
        name: "order".to_owned(),
        version: String::new(),
        parent: None,
        request: format!("start {id}"),
        created_at: at(0),
        starts_at: None,
        tags: Tags::new(),
        input: text("input"),
    }
}

pub fn text(text: &str) -> Payload {
    Payload::from(text)
}

/// A change that sets an instance running and touches nothing else.
pub fn change(no: InstanceNo) -> InstanceChange {
    InstanceChange {
        no,
        create: None,
        renew: None,
        status: Status::Running,
        blocked: None,
        busy: false,
        state: None,
        custom_status: None,
        output: None,
        updated_at: at(1),
        finished_at: None,
        put_side: Vec::new(),
        delete_side: Vec::new(),
        clear_side: false,
        history: Vec::new(),
        forget_history_before: None,
    }
}

/// A change that creates an instance and sets it running.
pub fn creation(no: InstanceNo, id: &str) -> InstanceChange {
    InstanceChange { create: Some(Box::new(new_instance(no, id))), ..change(no) }
}

pub fn changes(instances: Vec<InstanceChange>) -> Batch {
    Batch { instances, ..Batch::default() }
}

/// A new running instance in the partition of `lease`.
pub async fn create(hub: &Fixture, lease: &Lease, id: &str) -> InstanceNo {
    let no = number(hub, lease.partition).await;
    hub.commit(lease, changes(vec![creation(no, id)])).await.unwrap();
    no
}

pub fn message(id: &str, partition: PartitionId, target: &str) -> Message {
    Message {
        id: id.to_owned(),
        partition,
        target: target.to_owned(),
        due_at: None,
        body: text(&format!("body of {id}")),
    }
}

pub fn due(id: &str, partition: PartitionId, due_at: Timestamp) -> Message {
    Message { due_at: Some(due_at), ..message(id, partition, "target") }
}

pub fn plain(message: Message) -> Envelope {
    Envelope { message, condition: Condition::None }
}

pub fn if_running(message: Message) -> Envelope {
    Envelope { message, condition: Condition::Running }
}

pub fn starting(message_id: &str, new: NewInstance) -> Envelope {
    Envelope {
        message: message(message_id, new.no.partition(), &new.id),
        condition: Condition::Creates(Box::new(new)),
    }
}

/// A start that replaces what has ended under its id, under a request of its own.
pub fn replacing(message_id: &str, new: NewInstance, only: Option<InstanceNo>) -> Envelope {
    let new = Box::new(NewInstance { request: message_id.to_owned(), ..new });
    Envelope {
        message: message(message_id, new.no.partition(), &new.id),
        condition: Condition::Replaces { new, only },
    }
}

pub fn reopening(message: Message) -> Envelope {
    Envelope { message, condition: Condition::Reopens }
}

pub fn tags(tags: &[(&str, &str)]) -> Tags {
    tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

/// Sets an instance to a status, and gives it an end if that is one.
pub async fn set(hub: &Fixture, lease: &Lease, no: InstanceNo, status: Status) {
    let finished_at = status.is_terminal().then(|| at(9));
    let output = status.is_terminal().then(|| text("output"));
    let change = InstanceChange { status, output, finished_at, ..change(no) };
    hub.commit(lease, changes(vec![change])).await.unwrap();
}

/// Sends one envelope.
pub async fn send(hub: &Fixture, envelope: Envelope) -> Accepted {
    let answers = hub.send(vec![envelope], at(0)).await.unwrap();
    assert_eq!(answers.len(), 1);
    answers[0]
}

/// Sends plain messages with these ids to the partition.
pub async fn fill(hub: &Fixture, partition: PartitionId, ids: &[&str]) {
    let envelopes = ids.iter().map(|id| plain(message(id, partition, "target"))).collect();
    let answers = hub.send(envelopes, at(0)).await.unwrap();
    assert!(answers.iter().all(|answer| *answer == Accepted::Sent));
}

pub fn consuming(ids: &[&str]) -> Batch {
    Batch { consume: strings(ids), ..Batch::default() }
}

pub fn strings(ids: &[&str]) -> Vec<String> {
    ids.iter().map(|id| (*id).to_owned()).collect()
}

/// The ids in the inbox.
pub async fn inbox(hub: &Fixture, lease: &Lease) -> Vec<String> {
    let polled = hub.poll(lease, at(0), LIMIT).await.unwrap();
    polled.inbox.into_iter().map(|message| message.id).collect()
}

/// The ids of scheduled messages that are due by `horizon`.
pub async fn scheduled(hub: &Fixture, lease: &Lease, horizon: Timestamp) -> Vec<String> {
    let polled = hub.poll(lease, horizon, LIMIT).await.unwrap();
    polled.scheduled.into_iter().map(|message| message.id).collect()
}

/// The record of an instance, if it exists.
pub async fn read(hub: &Fixture, id: &str) -> Option<InstanceRecord> {
    hub.read_instances(&strings(&[id])).await.unwrap().pop()
}

/// An instance that exists, as its owner loads it.
pub async fn load(hub: &Fixture, lease: &Lease, id: &str) -> StoredInstance {
    let mut loaded = hub.load_instances(lease, &strings(&[id])).await.unwrap();
    assert_eq!(loaded.len(), 1, "instance {id} is loaded");
    loaded.remove(0)
}

/// Asserts that an operation failed in a certain way.
pub fn assert_refused<T: fmt::Debug>(result: Result<T>, kind: StoreErrorKind) {
    match result {
        Ok(done) => panic!("should fail with {kind:?}, gave {done:?}"),
        Err(error) => assert_eq!(error.kind(), kind, "{error}"),
    }
}

/// Waits until there is a hint at messages for `partition`.
pub async fn hinted(hints: &mut broadcast::Receiver<Hint>, partition: PartitionId) {
    heard(hints, Hint::Messages(partition)).await;
}

/// Waits until `what` is said.
pub async fn heard<T>(receiver: &mut broadcast::Receiver<T>, what: T)
where
    T: Clone + PartialEq + fmt::Debug,
{
    let arrives = async { while receiver.recv().await.unwrap() != what {} };
    within(arrives, &format!("{what:?}")).await;
}

pub fn offer(id: &str, partition: PartitionId, name: &str) -> Offer {
    let body = text(&format!("body of {id}"));
    Offer { id: id.to_owned(), partition, name: name.to_owned(), body }
}

async fn within<F: Future>(future: F, what: &str) -> F::Output {
    let output = tokio::time::timeout(HINT_TIMEOUT, future).await;
    output.unwrap_or_else(|elapsed| panic!("{what} did not come in {HINT_TIMEOUT:?}: {elapsed}"))
}
