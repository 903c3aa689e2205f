//! The other side of offers: while it has free places, a worker claims attempts of activities that
//! any owner has offered, runs them, renews its claims, and sends what they come to. It knows
//! nothing of instances. Who is alone and has offered nothing asks the store nothing.

use std::collections::HashMap;
use std::sync::Arc;

use durable_store::{
    Condition, Envelope, InstanceNo, Message, Offer, PartitionId, StoreError, Timestamp, limits,
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::activities::{Ended, Job};
use super::metrics::add;
use super::offers::{is_name, offer_id};
use super::partition::{Fetch, Shared, ready, ring, set};
use crate::backoff::{self, retry};
use crate::clock::Sleep;
use crate::connection::Connection;
use crate::error::{Failure, TaskErrorKind, TaskFailure};
use crate::message::{Body, OfferedAttempt};
use crate::telemetry::store_call;
use crate::turn::ActivityStart;

/// Attempts that are claimed at once.
const CLAIM_PAGE: usize = 100;
/// Between polls, claims are made when such a part of all places is free.
const ROOM_DIVISOR: usize = 4;
/// Claims are renewed when so much of a lease is over.
const RENEW_DIVISOR: u32 = 3;
/// After a failure they are renewed again after such a part of a lease.
const RETRY_DIVISOR: u32 = 12;
/// Results that are sent at once, and about how many bytes of them.
const SEND_PAGE: usize = 500;
const SEND_PAGE_BYTES: usize = 8 * 1024 * 1024;

/// An attempt that this worker has claimed.
struct Claim {
    partition: PartitionId,
    cancellation: CancellationToken,
    /// Whether this worker had offered it: then its result goes to the partition directly.
    is_own: bool,
}

/// See the module.
pub(super) struct Claims {
    shared: Arc<Shared>,
    stopped: CancellationToken,
    /// The activities that this worker knows.
    names: Vec<String>,
    results: mpsc::UnboundedSender<Ended>,
    ended: mpsc::UnboundedReceiver<Ended>,
    held: HashMap<String, Claim>,
    /// Results to be sent, by the id of the claim.
    outbox: Vec<(String, Envelope)>,
    /// Claims to be given back.
    returned: Vec<String>,
    /// There may be more than was claimed.
    more: bool,
    /// The time to ask has come, however little room there is.
    due: bool,
    next_poll: Timestamp,
    next_renewal: Timestamp,
    /// Set while the worker shuts down.
    grace_until: Option<Timestamp>,
    claiming: Option<Fetch<(usize, Vec<Offer>)>>,
    renewing: Option<Fetch<(Vec<String>, Vec<String>)>>,
    sending: Option<Fetch<()>>,
    /// The claims whose results are being sent.
    sent: Vec<String>,
    returning: Option<Fetch<()>>,
    alarm: Option<(Timestamp, Sleep)>,
}

impl Claims {
    pub(super) fn new(shared: Arc<Shared>, stopped: CancellationToken) -> Self {
        let names = shared.registry.activity_names().into_iter().filter(|name| is_name(name));
        let (results, ended) = mpsc::unbounded_channel();
        Self {
            names: names.map(str::to_owned).collect(),
            stopped,
            results,
            ended,
            held: HashMap::new(),
            outbox: Vec::new(),
            returned: Vec::new(),
            more: false,
            due: false,
            next_poll: Timestamp::MIN,
            next_renewal: Timestamp::MAX,
            grace_until: None,
            claiming: None,
            renewing: None,
            sending: None,
            sent: Vec::new(),
            returning: None,
            alarm: None,
            shared,
        }
    }

    fn now(&self) -> Timestamp {
        self.shared.connection.clock.now()
    }

    /// Runs until the worker stops or has shut down.
    pub(super) async fn run(mut self) {
        let stopped = self.stopped.clone();
        tokio::select! {
            biased;
            () = stopped.cancelled() => {}
            () = self.work() => {}
        }
    }

    async fn work(&mut self) {
        loop {
            self.look_at_time();
            self.begin_send();
            self.begin_return();
            self.begin_renewal();
            self.begin_claim();
            if self.has_left() {
                return;
            }
            self.next_event().await;
        }
    }

    fn look_at_time(&mut self) {
        let now = self.now();
        if now >= self.next_poll {
            self.due = self.shared.exchange.is_open();
            self.next_poll = now + self.shared.settings.poll_interval;
        }
        if self.grace_until.is_some_and(|until| now >= until) {
            // They have had their time.
            let rest: Vec<String> = self.unfinished().collect();
            for id in &rest {
                self.held.remove(id);
            }
            self.returned.extend(rest);
        }
    }

    /// The claims of others' attempts that have not ended.
    fn unfinished(&self) -> impl Iterator<Item = String> {
        let waits_to_be_sent =
            |id: &String| self.sent.contains(id) || self.outbox.iter().any(|(sent, _)| sent == id);
        let open = self.held.iter().filter(|(_, claim)| !claim.is_own).map(|(id, _)| id);
        open.filter(move |id| !waits_to_be_sent(id)).cloned()
    }

    /// Whether a shutdown has nothing to wait for any more. A store that does not answer ends it too.
    fn has_left(&self) -> bool {
        let Some(until) = self.grace_until else { return false };
        if self.now() >= until + self.shared.settings.lease_length {
            return true;
        }
        self.held.values().all(|claim| claim.is_own)
            && self.claiming.is_none()
            && self.sending.is_none()
            && self.returning.is_none()
            && self.returned.is_empty()
    }

    /// Waits until something has happened, and takes it in.
    async fn next_event(&mut self) {
        self.set_alarm();
        let shared = Arc::clone(&self.shared);
        let is_leaving = self.grace_until.is_some();
        tokio::select! {
            biased;
            () = shared.draining.cancelled(), if !is_leaving => self.begin_leaving(),
            renewed = ready(&mut self.renewing) => {
                self.renewing = None;
                self.renewed(renewed);
            }
            sent = ready(&mut self.sending) => {
                self.sending = None;
                self.sent(sent);
            }
            returned = ready(&mut self.returning) => {
                self.returning = None;
                // A failure has been reported: then others have to wait until the claims are over.
                drop(returned);
            }
            claimed = ready(&mut self.claiming) => {
                self.claiming = None;
                self.claimed(claimed);
            }
            Some(ended) = self.ended.recv() => {
                self.attempt_ended(ended);
                while let Ok(ended) = self.ended.try_recv() {
                    self.attempt_ended(ended);
                }
            }
            () = shared.exchange.wake.notified() => self.more |= shared.exchange.is_open(),
            () = shared.activities.room() => {}
            () = ring(&mut self.alarm) => self.alarm = None,
        }
    }

    fn set_alarm(&mut self) {
        let is_leaving = self.grace_until.is_some();
        let poll = (self.shared.exchange.is_open() && !is_leaving).then_some(self.next_poll);
        let renewal = (!self.held.is_empty()).then_some(self.next_renewal);
        let lease = self.shared.settings.lease_length;
        let ends = self.grace_until.into_iter().flat_map(|until| [until, until + lease]);
        let grace = ends.filter(|until| *until > self.now());
        let next = poll.into_iter().chain(renewal).chain(grace).min();
        let clock = &self.shared.connection.clock;
        let sleep =
            |at| if is_leaving { clock.sleep_until(at) } else { clock.sleep_for_upkeep(at) };
        set(&mut self.alarm, next, sleep);
    }

    /// Claims what there is room for: at the poll interval, and before that as long as there is
    /// more and the room is worth a call.
    fn begin_claim(&mut self) {
        let activities = &self.shared.activities;
        let may_claim = (self.more || self.due)
            && self.grace_until.is_none()
            && self.claiming.is_none()
            && !self.names.is_empty()
            && self.outbox.len() < activities.limit();
        // Said before it is looked, so that no room goes unnoticed.
        activities.want_room(may_claim);
        let free = if may_claim { activities.free() } else { 0 };
        if free == 0 || !(self.due || free * ROOM_DIVISOR >= activities.limit()) {
            return;
        }
        activities.want_room(false);
        (self.more, self.due) = (false, false);
        let (count, shared, names) =
            (free.min(CLAIM_PAGE), Arc::clone(&self.shared), self.names.clone());
        self.claiming = Some(Box::pin(async move {
            let Connection { store, clock, .. } = &*shared.connection;
            let worker = &shared.settings.worker_id;
            let until = clock.now() + shared.settings.lease_length;
            // Not made twice: what the first call claimed, the second would not return.
            let call = store.claim_offers(worker, &names, count, until);
            Ok((count, store_call("claim_offers", call).await?))
        }));
    }

    fn claimed(&mut self, claimed: Result<(usize, Vec<Offer>), StoreError>) {
        // A failure has been reported; the next poll is the retry.
        let Ok((count, offers)) = claimed else { return };
        self.more |= offers.len() == count;
        if self.grace_until.is_some() {
            self.returned.extend(offers.into_iter().map(|offer| offer.id));
            return;
        }
        add(&self.shared.counters.claimed, offers.len());
        if self.held.is_empty() {
            self.next_renewal = self.now() + self.shared.settings.lease_length / RENEW_DIVISOR;
        }
        for offer in offers {
            self.start(offer);
        }
    }

    /// Runs an attempt that was claimed.
    fn start(&mut self, offer: Offer) {
        let Offer { id, partition, name, body } = offer;
        let mut claim =
            Claim { partition, cancellation: self.stopped.child_token(), is_own: false };
        let job = if let Some(job) = self.shared.exchange.take(&id) {
            (claim.is_own, claim.cancellation) = (true, job.cancellation.clone());
            Job { is_claimed: true, ..job }
        } else if self.shared.connection.doors.is_open(partition) {
            // This worker has offered it and does not want it any more: its row is about to go.
            return;
        } else {
            let attempt = match serde_json::from_str::<OfferedAttempt>(&body) {
                Ok(attempt) => attempt,
                Err(error) => {
                    tracing::error!(offer = id, %error, "an offer cannot be read and is left alone");
                    return;
                }
            };
            let OfferedAttempt { instance, number, task, attempt, input } = attempt;
            Job {
                no: InstanceNo(number),
                instance: instance.into(),
                start: ActivityStart { task, attempt, name, input, entity: None },
                cancellation: claim.cancellation.clone(),
                results: self.results.clone(),
                is_claimed: true,
                since: self.shared.connection.clock.now(),
            }
        };
        self.held.insert(id, claim);
        self.shared.activities.start(job);
    }

    /// An attempt for another worker has ended.
    fn attempt_ended(&mut self, ended: Ended) {
        let Ended { no, instance, start, outcome, .. } = ended;
        let id = offer_id(no, start.task, start.attempt);
        // One that was withdrawn nobody waits for.
        let Some(claim) = self.held.get(&id) else { return };
        if self.grace_until.is_some() && outcome.is_err() {
            // It may only say that the worker ends.
            self.held.remove(&id);
            self.returned.push(id);
            return;
        }
        let (number, task, attempt) = (no.0, start.task, start.attempt);
        let mut body = Body::AttemptEnded { number, task, attempt, outcome }.to_payload();
        if body.len() > limits::MAX_PAYLOAD_BYTES {
            let outcome = Err(too_large(body.len()));
            body = Body::AttemptEnded { number, task, attempt, outcome }.to_payload();
        }
        let partition = claim.partition;
        let target = instance.to_string();
        let message = Message { id: id.clone(), partition, target, due_at: None, body };
        // Who waits decides what becomes of it.
        self.outbox.push((id, Envelope { message, condition: Condition::None }));
    }

    fn begin_send(&mut self) {
        if self.sending.is_some() || self.outbox.is_empty() {
            return;
        }
        let mut bytes = 0;
        let first = self.outbox.iter().take(SEND_PAGE).take_while(|(_, envelope)| {
            let fits = bytes < SEND_PAGE_BYTES;
            bytes += envelope.message.body.len();
            fits
        });
        let count = first.count();
        let (ids, envelopes): (Vec<String>, Vec<Envelope>) = self.outbox.drain(..count).unzip();
        self.sent = ids;
        let shared = Arc::clone(&self.shared);
        self.sending = Some(Box::pin(async move { shared.connection.send_all(&envelopes).await }));
    }

    /// Results are stored, so that the claims need not be renewed: the owner removes them.
    fn sent(&mut self, sent: Result<(), StoreError>) {
        if let Err(error) = sent {
            // The claims run out, and the attempts count as lost.
            tracing::error!(%error, count = self.sent.len(), "results of activities are lost");
        }
        for id in self.sent.drain(..) {
            self.held.remove(&id);
        }
    }

    fn begin_renewal(&mut self) {
        if self.held.is_empty() || self.renewing.is_some() || self.now() < self.next_renewal {
            return;
        }
        self.next_renewal = self.now() + self.shared.settings.lease_length / RENEW_DIVISOR;
        let ids: Vec<String> = self.held.keys().cloned().collect();
        let shared = Arc::clone(&self.shared);
        self.renewing = Some(Box::pin(async move {
            let Connection { store, clock, .. } = &*shared.connection;
            let worker = &shared.settings.worker_id;
            let until = clock.now() + shared.settings.lease_length;
            let call = store.renew_claims(worker, &ids, until);
            let renewed = store_call("renew_claims", call).await?;
            Ok((ids, renewed))
        }));
    }

    fn renewed(&mut self, renewed: Result<(Vec<String>, Vec<String>), StoreError>) {
        let Ok((asked, renewed)) = renewed else {
            self.next_renewal = self.now() + self.shared.settings.lease_length / RETRY_DIVISOR;
            return;
        };
        let renewed: std::collections::HashSet<String> = renewed.into_iter().collect();
        for id in asked.into_iter().filter(|id| !renewed.contains(id)) {
            // Of an own one, the partition decides whether it is wanted.
            if let Some(claim) = self.held.remove(&id).filter(|claim| !claim.is_own) {
                claim.cancellation.cancel();
            }
        }
    }

    /// The worker shuts down: what it runs for others gets the same time as its own.
    fn begin_leaving(&mut self) {
        self.grace_until = Some(self.now() + self.shared.settings.shutdown_grace);
        for claim in self.held.values().filter(|claim| !claim.is_own) {
            claim.cancellation.cancel();
        }
    }

    fn begin_return(&mut self) {
        if self.returning.is_some() || self.returned.is_empty() {
            return;
        }
        let ids = std::mem::take(&mut self.returned);
        let shared = Arc::clone(&self.shared);
        self.returning = Some(Box::pin(async move {
            let Connection { store, clock, .. } = &*shared.connection;
            let worker = &shared.settings.worker_id;
            let call = || store_call("release_claims", store.release_claims(worker, &ids));
            retry(&**clock, backoff::MAX_ATTEMPTS, call).await
        }));
    }
}

fn too_large(bytes: usize) -> TaskFailure {
    let message = format!(
        "a result of {bytes} bytes, the limit is {}: keep large data elsewhere and return a \
         reference to it",
        limits::MAX_PAYLOAD_BYTES
    );
    TaskFailure::new(TaskErrorKind::Payload, Failure::new("PayloadTooLarge", message))
}
