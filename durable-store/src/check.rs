//! The checks at the edge that every backend makes before it touches anything: limits, and what
//! the contract says about the arguments alone. It must not know what is stored.

use std::collections::HashSet;

use crate::error::{StoreError, StoreErrorKind};
use crate::limits;
use crate::model::{
    Batch, Condition, Envelope, Hub, InstanceChange, InstanceNo, Lease, Message, NewInstance, Offer,
};
use crate::store::Result;

/// Checks the arguments of one operation on a hub.
pub(crate) struct Check {
    operation: &'static str,
    partitions: u16,
    /// What was seen so far, in bytes, against [`limits::MAX_BATCH_BYTES`].
    total: usize,
}

impl Check {
    pub(crate) fn new(operation: &'static str, partitions: u16) -> Self {
        Self { operation, partitions, total: 0 }
    }

    /// The identity of a worker.
    pub(crate) fn owner(&mut self, owner: &str) -> Result<()> {
        self.text("worker identity", owner, limits::MAX_NAME_BYTES)
    }

    /// All parts of a batch that a lease of `lease.partition` may commit; returns how many bytes of
    /// text they hold.
    pub(crate) fn batch(&mut self, lease: &Lease, batch: &Batch) -> Result<usize> {
        let mut seen = HashSet::with_capacity(batch.instances.len());
        for change in &batch.instances {
            self.change(lease, change)?;
            if !seen.insert(change.no) {
                return Err(self.conflict(format!("instance {} is named twice", change.no.0)));
            }
        }
        for id in batch.consume.iter().chain(&batch.unschedule) {
            self.text("message id", id, limits::MAX_MESSAGE_ID_BYTES)?;
        }
        for message in &batch.schedule {
            self.message(message)?;
            if message.partition != lease.partition {
                return Err(self.other(format!(
                    "message `{}` is scheduled in partition {} by the owner of partition {}: \
                     a partition schedules for itself only, send it instead",
                    message.id, message.partition.0, lease.partition.0
                )));
            }
        }
        for receipt in &batch.receipts {
            self.text("message id", &receipt.id, limits::MAX_MESSAGE_ID_BYTES)?;
        }
        for envelope in &batch.send {
            self.envelope(envelope)?;
            if matches!(envelope.condition, Condition::Replaces { only: Some(_), .. }) {
                return Err(self.other(format!(
                    "message `{}` names the instance to be replaced, which only `send` can check",
                    envelope.message.id
                )));
            }
        }
        for reply in &batch.replies {
            self.text("request id", &reply.request, limits::MAX_MESSAGE_ID_BYTES)?;
            self.payload("reply", &reply.body)?;
        }
        self.total()
    }

    /// All envelopes of one `send`; returns how many bytes of text they hold.
    pub(crate) fn envelopes(&mut self, envelopes: &[Envelope]) -> Result<usize> {
        for envelope in envelopes {
            self.envelope(envelope)?;
        }
        self.total()
    }

    /// The numbers of instances to be purged.
    pub(crate) fn numbers(&self, numbers: &[InstanceNo]) -> Result<()> {
        if numbers.len() > limits::MAX_PAGE_ROWS {
            return Err(self.over(format!(
                "{} instances at once, the limit is {}",
                numbers.len(),
                limits::MAX_PAGE_ROWS
            )));
        }
        Ok(())
    }

    /// Offers that a lease of `lease.partition` may make; returns how many bytes of text they hold.
    pub(crate) fn offers(&mut self, lease: &Lease, offers: &[Offer]) -> Result<usize> {
        if offers.len() > limits::MAX_PAGE_ROWS {
            let (count, limit) = (offers.len(), limits::MAX_PAGE_ROWS);
            return Err(self.over(format!("{count} offers at once, the limit is {limit}")));
        }
        for offer in offers {
            self.text("offer id", &offer.id, limits::MAX_MESSAGE_ID_BYTES)?;
            self.text("name", &offer.name, limits::MAX_NAME_BYTES)?;
            self.payload("offer", &offer.body)?;
            if offer.partition != lease.partition {
                return Err(self.other(format!(
                    "offer `{}` of partition {} is made by the owner of partition {}",
                    offer.id, offer.partition.0, lease.partition.0
                )));
            }
        }
        self.total()
    }

    /// What a worker says about its claims.
    pub(crate) fn claims(&mut self, worker: &str, texts: &[String]) -> Result<()> {
        self.owner(worker)?;
        texts.iter().try_for_each(|t| self.text("claim", t, limits::MAX_MESSAGE_ID_BYTES))
    }

    fn change(&mut self, lease: &Lease, change: &InstanceChange) -> Result<()> {
        if change.no.partition() != lease.partition {
            return Err(self.conflict(format!(
                "instance {} is not in partition {}",
                change.no.0, lease.partition.0
            )));
        }
        if let Some(new) = &change.create {
            self.new_instance(new)?;
            if new.no != change.no {
                return Err(self.other(format!(
                    "the change of instance {} creates instance {}",
                    change.no.0, new.no.0
                )));
            }
        }
        if let Some(new) = &change.renew {
            self.text("version", &new.version, limits::MAX_NAME_BYTES)?;
            self.payload("input", &new.input)?;
        }
        let custom = change.custom_status.iter().flatten();
        for (what, payload) in [("state", &change.state), ("output", &change.output)]
            .into_iter()
            .filter_map(|(what, payload)| payload.as_ref().map(|payload| (what, payload)))
            .chain(custom.map(|payload| ("custom status", payload)))
            .chain(change.put_side.iter().map(|(_, payload)| ("side row", payload)))
            .chain(change.history.iter().map(|(_, payload)| ("history row", payload)))
        {
            self.payload(what, payload)?;
        }
        match &change.blocked {
            Some(reason) => self.text("reason", reason, limits::MAX_PAYLOAD_BYTES),
            None => Ok(()),
        }
    }

    fn envelope(&mut self, envelope: &Envelope) -> Result<()> {
        self.message(&envelope.message)?;
        if let Some(new) = envelope.condition.created() {
            self.new_instance(new)?;
            if new.id != envelope.message.target {
                return Err(self.other(format!(
                    "the message to `{}` creates `{}`",
                    envelope.message.target, new.id
                )));
            }
            if new.no.partition() != envelope.message.partition {
                return Err(self.other(format!(
                    "instance `{}` gets number {} of partition {}, its message goes to {}",
                    new.id,
                    new.no.0,
                    new.no.partition().0,
                    envelope.message.partition.0
                )));
            }
        }
        Ok(())
    }

    fn message(&mut self, message: &Message) -> Result<()> {
        self.text("message id", &message.id, limits::MAX_MESSAGE_ID_BYTES)?;
        self.text("instance id", &message.target, limits::MAX_INSTANCE_ID_BYTES)?;
        self.payload("message", &message.body)?;
        if message.partition.0 >= self.partitions {
            return Err(self.over(format!(
                "message `{}` is for partition {}, the hub has {} partitions",
                message.id, message.partition.0, self.partitions
            )));
        }
        Ok(())
    }

    fn new_instance(&mut self, new: &NewInstance) -> Result<()> {
        self.text("instance id", &new.id, limits::MAX_INSTANCE_ID_BYTES)?;
        self.text("name", &new.name, limits::MAX_NAME_BYTES)?;
        self.text("version", &new.version, limits::MAX_NAME_BYTES)?;
        self.text("request id", &new.request, limits::MAX_MESSAGE_ID_BYTES)?;
        if let Some(parent) = &new.parent {
            self.text("parent id", parent, limits::MAX_INSTANCE_ID_BYTES)?;
        }
        if new.tags.len() > limits::MAX_TAGS {
            let count = new.tags.len();
            return Err(self.over(format!("{count} tags, the limit is {}", limits::MAX_TAGS)));
        }
        for (key, value) in &new.tags {
            self.text("key of a tag", key, limits::MAX_TAG_KEY_BYTES)?;
            self.text("value of a tag", value, limits::MAX_TAG_VALUE_BYTES)?;
        }
        self.payload("input", &new.input)
    }

    fn payload(&mut self, what: &str, payload: &str) -> Result<()> {
        self.text(what, payload, limits::MAX_PAYLOAD_BYTES)
    }

    fn text(&mut self, what: &str, text: &str, limit: usize) -> Result<()> {
        if text.len() > limit {
            return Err(self
                .over(format!("the {what} has {} bytes, the limit is {limit} bytes", text.len())));
        }
        // Neither PostgreSQL nor SQLite's JSON functions carry it through a text.
        if text.as_bytes().contains(&0) {
            return Err(self.over(format!("the {what} holds a NUL character, the limit is none")));
        }
        self.total = self.total.saturating_add(text.len());
        Ok(())
    }

    fn total(&self) -> Result<usize> {
        if self.total > limits::MAX_BATCH_BYTES {
            return Err(self.over(format!(
                "the batch has {} bytes, the limit is {} bytes: split it",
                self.total,
                limits::MAX_BATCH_BYTES
            )));
        }
        Ok(self.total)
    }

    fn over(&self, detail: String) -> StoreError {
        StoreError::new(StoreErrorKind::Limit, self.operation, detail)
    }

    fn conflict(&self, detail: String) -> StoreError {
        StoreError::new(StoreErrorKind::Conflict, self.operation, detail)
    }

    fn other(&self, detail: String) -> StoreError {
        StoreError::new(StoreErrorKind::Other, self.operation, detail)
    }
}

impl Envelope {
    /// Whether any store takes it, as far as that depends on the message alone. For those who hand
    /// messages on themselves.
    ///
    /// # Errors
    ///
    /// [`Limit`](StoreErrorKind::Limit) and [`Other`](StoreErrorKind::Other), as of
    /// [`Store::send`](crate::Store::send).
    pub fn check(&self, hub: Hub) -> Result<()> {
        Check::new("send", hub.partitions).envelopes(std::slice::from_ref(self)).map(drop)
    }
}

/// The refusal of a lease that is not current any more.
pub(crate) fn lease_lost(operation: &'static str, lease: &Lease) -> StoreError {
    StoreError::new(
        StoreErrorKind::LeaseLost,
        operation,
        format!(
            "`{}` no longer owns partition {} under epoch {}: drop it from memory",
            lease.owner, lease.partition.0, lease.epoch
        ),
    )
}
