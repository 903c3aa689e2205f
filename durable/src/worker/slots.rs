//! The instances of a partition that are in memory or have mail: what waits for a load, what is
//! ready for a turn, and what has to leave memory when there is no room. Never I/O.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use durable_store::{InstanceKind, InstanceNo, InstanceRecord, NewInstance, Status, Timestamp};
use lru::LruCache;

use super::arrivals::Direct;
use super::committer::Origin;
use crate::message::Body;
use crate::turn::{Inbound, Instance};

/// A message for an instance, and where it is stored.
#[derive(Debug)]
pub(super) struct Mail {
    pub(super) origin: Origin,
    pub(super) inbound: Inbound,
    /// When it came into memory.
    pub(super) since: Timestamp,
}

impl Mail {
    /// What is special about it if it came through the door of the partition.
    fn direct(&self) -> Option<&Direct> {
        match &self.origin {
            Origin::Direct(direct) => Some(direct),
            Origin::Inbox(_) | Origin::Scheduled(_) | Origin::Local => None,
        }
    }

    /// The name and the key of the entity that the message brings into being.
    fn entity(&self) -> Option<(&str, &str)> {
        match &self.inbound {
            Inbound::Message(Body::Operation { entity, key, .. }) => Some((entity, key)),
            Inbound::Message(Body::Lock { entities, position, .. }) => {
                entities.get(*position).map(|address| (&*address.name, &*address.key))
            }
            _ => None,
        }
    }

    fn is_termination(&self) -> bool {
        matches!(self.inbound, Inbound::Message(Body::Terminate { .. }))
    }

    /// Whether it is the first message of the instance that this request made.
    pub(super) fn starts(&self, instance: &str) -> bool {
        matches!(&self.inbound, Inbound::Message(Body::Start { request, .. }) if request == instance)
    }
}

/// A decoded instance.
pub(super) struct Resident {
    pub(super) instance: Instance,
    pub(super) no: InstanceNo,
    pub(super) kind: InstanceKind,
    /// Where it stood after its last turn.
    pub(super) status: Status,
    /// The row to be created with its first change.
    pub(super) create: Option<Box<NewInstance>>,
    /// Whether it has had a turn since it was loaded.
    pub(super) had_turn: bool,
}

impl Resident {
    /// An instance as its row says, which `create` makes if it is not stored yet.
    pub(super) fn new(
        instance: Instance,
        record: &InstanceRecord,
        create: Option<Box<NewInstance>>,
    ) -> Self {
        let InstanceRecord { no, kind, status, .. } = *record;
        Self { instance, no, kind, status, create, had_turn: false }
    }
}

#[allow(clippy::struct_excessive_bools)] // They are independent of each other.
#[derive(Default)]
struct Slot {
    mail: VecDeque<Mail>,
    resident: Option<Resident>,
    /// Parts of this instance that are not durable yet: at most the commit under way and the next.
    uncommitted: usize,
    loading: bool,
    queued: bool,
    blocked: bool,
    /// What is in memory is to be loaded anew before its next turn.
    outdated: bool,
}

/// See the module.
pub(super) struct Slots {
    by_id: HashMap<Arc<str>, Slot>,
    /// Instances that have mail and are in memory.
    ready: VecDeque<Arc<str>>,
    /// Instances that have mail and are not.
    wanted: Vec<Arc<str>>,
    /// Instances in memory that have nothing to do, least recently used first.
    idle: LruCache<Arc<str>, ()>,
    waiting: usize,
    limit: usize,
    /// The instances that the worker has in memory, over all partitions.
    resident: Arc<AtomicUsize>,
}

impl Drop for Slots {
    fn drop(&mut self) {
        let count = self.by_id.values().filter(|slot| slot.resident.is_some()).count();
        self.resident.fetch_sub(count, Ordering::Relaxed);
    }
}

impl Slots {
    /// Room for `limit` instances, which are counted in `resident` with those of other partitions.
    pub(super) fn new(limit: usize, resident: Arc<AtomicUsize>) -> Self {
        Self {
            by_id: HashMap::new(),
            ready: VecDeque::new(),
            wanted: Vec::new(),
            idle: LruCache::unbounded(),
            waiting: 0,
            limit,
            resident,
        }
    }

    /// Messages that wait for a turn.
    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    /// Adds mail for an instance. For one that is blocked, it stays in the store only.
    pub(super) fn deliver(&mut self, id: &str, mail: Mail) {
        let id: Arc<str> = match self.by_id.get_key_value(id) {
            Some((id, _)) => Arc::clone(id),
            None => id.into(),
        };
        let slot = self.by_id.entry(Arc::clone(&id)).or_default();
        // Whatever blocks an instance, it can be ended: its next loading shows how.
        slot.blocked &= !mail.is_termination();
        if !slot.blocked {
            slot.mail.push_back(mail);
            self.waiting += 1;
            self.consider(&id);
        }
    }

    /// Decides what the instance waits for now.
    fn consider(&mut self, id: &Arc<str>) {
        let Some(slot) = self.by_id.get_mut(id) else { return };
        if slot.blocked {
            return;
        }
        let settled = slot.uncommitted == 0;
        match (&slot.resident, slot.mail.is_empty()) {
            (Some(_), false) => {
                // Without room for residents every turn begins with stored bytes.
                let may_run = !slot.outdated && (settled || self.limit > 0);
                if !slot.queued && may_run {
                    slot.queued = true;
                    self.ready.push_back(Arc::clone(id));
                }
                self.idle.pop(id);
            }
            (None, false) if settled && !slot.loading => {
                slot.loading = true;
                self.wanted.push(Arc::clone(id));
            }
            (Some(_), true) if settled => {
                self.idle.put(Arc::clone(id), ());
            }
            (None, true) if settled && !slot.loading => {
                self.by_id.remove(id);
            }
            _ => {}
        }
    }

    pub(super) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    pub(super) fn has_wanted(&self) -> bool {
        !self.wanted.is_empty()
    }

    /// The next instance that is ready for a turn.
    pub(super) fn pop_ready(&mut self) -> Option<Arc<str>> {
        let id = self.ready.pop_front()?;
        if let Some(slot) = self.by_id.get_mut(&id) {
            slot.queued = false;
        }
        Some(id)
    }

    /// Puts an instance that was taken from the ready ones back to their front.
    pub(super) fn push_back_ready(&mut self, id: &Arc<str>) {
        if let Some(slot) = self.by_id.get_mut(id) {
            slot.queued = true;
            self.ready.push_front(Arc::clone(id));
        }
    }

    /// The instances to be loaded, up to `limit`, and whether their mail would create them.
    pub(super) fn take_wanted(&mut self, limit: usize) -> Vec<(Arc<str>, bool)> {
        let count = self.wanted.len().min(limit);
        let ids: Vec<Arc<str>> = self.wanted.drain(..count).collect();
        ids.into_iter()
            .map(|id| {
                let creates = self.has_operation(&id);
                (id, creates)
            })
            .collect()
    }

    fn has_operation(&self, id: &str) -> bool {
        let Some(slot) = self.by_id.get(id) else { return false };
        slot.mail.iter().any(|mail| mail.entity().is_some())
    }

    /// The instance to be given a turn, and up to `limit` messages for it.
    pub(super) fn begin_turn(
        &mut self,
        id: &str,
        limit: usize,
    ) -> Option<(&mut Resident, Vec<Mail>)> {
        let slot = self.by_id.get_mut(id)?;
        let count = slot.mail.len().min(limit);
        let resident = slot.resident.as_mut().filter(|_| count > 0)?;
        self.waiting -= count;
        Some((resident, slot.mail.drain(..count).collect()))
    }

    /// The instance in memory, if it is.
    pub(super) fn resident(&self, id: &str) -> Option<&Resident> {
        self.by_id.get(id)?.resident.as_ref()
    }

    /// A turn is over. `new_part` says that it is the instance's first in the next commit, `reload`
    /// that what is in memory is not what the next turn begins with.
    pub(super) fn end_turn(&mut self, id: &Arc<str>, new_part: bool, reload: bool) {
        if let Some(slot) = self.by_id.get_mut(id) {
            slot.uncommitted += usize::from(new_part);
            slot.outdated |= reload;
        }
        self.consider(id);
    }

    /// A load brought the instance.
    pub(super) fn loaded(&mut self, id: &Arc<str>, resident: Resident) {
        let slot = self.by_id.entry(Arc::clone(id)).or_default();
        slot.loading = false;
        if slot.resident.replace(resident).is_none() {
            self.resident.fetch_add(1, Ordering::Relaxed);
        }
        self.consider(id);
    }

    /// A load found nothing, and the mail can be given away: takes it all.
    pub(super) fn take_mail(&mut self, id: &Arc<str>) -> Vec<Mail> {
        let Some(slot) = self.by_id.get_mut(id) else { return Vec::new() };
        slot.loading = false;
        let mail = Vec::from(std::mem::take(&mut slot.mail));
        self.waiting -= mail.len();
        self.consider(id);
        mail
    }

    /// Whether a termination waits for the instance. Then all other mail is taken out. `start` is
    /// the request that the instance begins with, if it has not begun: what came before was sent to
    /// who had the id then.
    pub(super) fn take_all_but_termination(
        &mut self,
        id: &str,
        start: Option<&str>,
    ) -> Option<Vec<Mail>> {
        let slot = self.by_id.get_mut(id)?;
        let is_first = |mail: &Mail| start.is_some_and(|request| mail.starts(request));
        let first = slot.mail.iter().position(is_first).unwrap_or_default();
        if !slot.mail.iter().skip(first).any(Mail::is_termination) {
            return None;
        }
        let mut taken = Vec::new();
        for (index, mail) in std::mem::take(&mut slot.mail).into_iter().enumerate() {
            if index >= first && mail.is_termination() {
                slot.mail.push_back(mail);
            } else {
                taken.push(mail);
            }
        }
        self.waiting -= taken.len();
        Some(taken)
    }

    /// A load was in vain: the instance is to be loaded again.
    pub(super) fn load_again(&mut self, id: &Arc<str>) {
        if let Some(slot) = self.by_id.get_mut(id) {
            slot.loading = false;
        }
        self.consider(id);
    }

    /// Whether anything is in memory of this id.
    pub(super) fn knows(&self, id: &str) -> bool {
        self.by_id.contains_key(id)
    }

    /// The instance that the first message which makes one wants made.
    pub(super) fn first_creation(&self, id: &str) -> Option<Box<NewInstance>> {
        let slot = self.by_id.get(id)?;
        slot.mail.iter().find_map(|mail| mail.direct()?.creates.clone())
    }

    /// Takes out the messages from the door of the partition that `which` names.
    pub(super) fn refuse(&mut self, id: &str, which: impl Fn(&Direct) -> bool) -> Vec<Mail> {
        let Some(slot) = self.by_id.get_mut(id) else { return Vec::new() };
        let is_refused = |mail: &Mail| mail.direct().is_some_and(&which);
        if !slot.mail.iter().any(is_refused) {
            return Vec::new();
        }
        let mail = std::mem::take(&mut slot.mail);
        let (refused, kept): (Vec<Mail>, Vec<Mail>) = mail.into_iter().partition(is_refused);
        slot.mail = kept.into();
        self.waiting -= refused.len();
        refused
    }

    /// Takes out those of them that came before the first that makes an instance.
    pub(super) fn refuse_until_creation(&mut self, id: &str) -> Vec<Mail> {
        let made = std::cell::Cell::new(false);
        self.refuse(id, |direct| {
            made.set(made.get() || direct.creates.is_some());
            !made.get()
        })
    }

    /// The first operation that waits for an instance.
    pub(super) fn first_operation(&self, id: &str) -> Option<(&Origin, &str, &str)> {
        let slot = self.by_id.get(id)?;
        slot.mail.iter().find_map(|mail| {
            let (entity, key) = mail.entity()?;
            Some((&mail.origin, entity, key))
        })
    }

    /// The instance takes no part until the partition is loaded again. Its mail stays stored.
    pub(super) fn block(&mut self, id: &Arc<str>) {
        let slot = self.by_id.entry(Arc::clone(id)).or_default();
        slot.blocked = true;
        slot.loading = false;
        self.waiting -= slot.mail.len();
        slot.mail.clear();
        if slot.resident.take().is_some() {
            self.resident.fetch_sub(1, Ordering::Relaxed);
        }
        self.idle.pop(id);
    }

    /// The instance in memory is none that is stored or will be. Gives its mail back.
    pub(super) fn unmake(&mut self, id: &Arc<str>) -> Vec<Mail> {
        self.unload(id);
        let Some(slot) = self.by_id.get_mut(id) else { return Vec::new() };
        slot.uncommitted = 0;
        (slot.outdated, slot.blocked) = (false, false);
        self.take_mail(id)
    }

    /// A part of the instance is durable, or was taken back.
    pub(super) fn settle(&mut self, id: &Arc<str>) {
        let Some(slot) = self.by_id.get_mut(id) else { return };
        slot.uncommitted = slot.uncommitted.saturating_sub(1);
        if slot.uncommitted > 0 {
            return;
        }
        let ended = slot.resident.as_ref().is_some_and(|resident| resident.status.is_terminal());
        let outdated = std::mem::take(&mut slot.outdated);
        if self.limit == 0 || outdated || (ended && slot.mail.is_empty()) {
            self.unload(id);
        }
        self.consider(id);
        self.evict();
    }

    fn unload(&mut self, id: &Arc<str>) {
        let Some(slot) = self.by_id.get_mut(id) else { return };
        if slot.resident.take().is_some() {
            self.resident.fetch_sub(1, Ordering::Relaxed);
        }
        self.idle.pop(id);
    }

    /// Drops the least recently used instances while there are too many.
    fn evict(&mut self) {
        while self.resident.load(Ordering::Relaxed) > self.limit {
            let Some((id, ())) = self.idle.pop_lru() else { return };
            self.unload(&id);
            self.consider(&id);
        }
    }
}
