//! Critical sections, as the engine's part of an orchestration knows them: the lock that it waits for
//! or holds, and what it may do meanwhile. The rules are those of the original; with them locks and
//! calls alone cannot block orchestrations for ever.

use serde::{Deserialize, Serialize};

use super::EntityAddress;
use super::core::{Core, Task, TaskKind, task_name};
use crate::error::{Failure, TaskErrorKind, TaskFailure};
use crate::history::Event;
use crate::message::{Body, LockId, TaskId};

/// The critical section that an orchestration is in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Section {
    /// The task that got the locks, which names the section.
    lock: TaskId,
    entities: Vec<EntityAddress>,
}

impl Core {
    fn lock_id(&self, lock: TaskId) -> LockId {
        let identity = &self.identity;
        LockId { owner: identity.id.clone(), number: identity.no.0, lock }
    }

    /// The lock that was asked for and not taken yet.
    fn has_pending_lock(&self) -> bool {
        self.tasks.iter().any(|(_, task)| matches!(task.kind, TaskKind::Lock { .. }))
    }

    /// Asks for locks on these entities, which are sorted.
    pub(crate) fn begin_lock(&mut self, entities: Vec<EntityAddress>) -> Result<TaskId, String> {
        if self.section.is_some() || self.has_pending_lock() {
            return Err("an orchestration cannot begin a critical section while it is in one, or \
                        waits for one: name all entities in one `ctx.lock(..)`"
                .to_owned());
        }
        self.touched_section = true;
        let task = self.add_task(TaskKind::Lock { entities: entities.clone() }, None, None);
        let ids = entities.iter().map(EntityAddress::instance_id).collect();
        self.actions.history.push(Event::LockRequested { task, entities: ids });
        let (lock, reply) = (self.lock_id(task), self.reply_to(task));
        if let Some(first) = entities.first() {
            let target = first.instance_id();
            self.send(target, Body::Lock { lock, entities, position: 0, reply });
        }
        Ok(task)
    }

    /// The locks are there: the section begins.
    pub(crate) fn enter_section(&mut self, lock: TaskId) -> Result<(), String> {
        let Some((TaskKind::Lock { entities }, outcome)) = self.take(lock) else {
            return Err("the saved state does not fit what is awaited here".to_owned());
        };
        outcome.map_err(|failure| failure.failure.message)?;
        self.touched_section = true;
        self.actions.history.push(Event::SectionEntered { task: lock });
        self.section = Some(Section { lock, entities });
        Ok(())
    }

    /// Ends the section of this lock, if it goes on.
    pub(crate) fn leave_section(&mut self, lock: TaskId) {
        let Some(section) = self.section.take_if(|section| section.lock == lock) else { return };
        self.touched_section = true;
        self.actions.history.push(Event::SectionLeft { task: lock });
        self.unlock_all(lock, &section.entities);
    }

    /// Ends the section that goes on, whichever it is.
    pub(super) fn leave_any_section(&mut self) {
        if let Some(lock) = self.section.as_ref().map(|section| section.lock) {
            self.leave_section(lock);
        }
    }

    fn unlock_all(&mut self, lock: TaskId, entities: &[EntityAddress]) {
        let lock = self.lock_id(lock);
        for entity in entities {
            let body = Body::Unlock { lock: lock.clone(), onward: Vec::new() };
            self.send(entity.instance_id(), body);
        }
    }

    /// Nobody waits for a lock any more. Where the request is by now is not known, so that the
    /// release follows it on its way, and cannot overtake it.
    pub(super) fn give_up_lock(&mut self, id: TaskId) {
        let Some(Task { kind: TaskKind::Lock { entities }, outcome, .. }) = self.tasks.remove(id.0)
        else {
            return;
        };
        self.touched_section = true;
        self.actions.history.push(Event::SectionLeft { task: id });
        match (outcome, entities.split_first()) {
            (Some(Ok(_)), _) => self.unlock_all(id, &entities),
            (None, Some((first, onward))) => {
                let body = Body::Unlock { lock: self.lock_id(id), onward: onward.to_vec() };
                self.send(first.instance_id(), body);
            }
            _ => {}
        }
    }

    /// Why an operation must not be called now, if it must not.
    pub(super) fn check_call(&self, to: &EntityAddress) -> Result<(), TaskFailure> {
        let Some(section) = &self.section else {
            return if self.has_pending_lock() {
                violation("no entity can be called while the lock of a critical section is awaited")
            } else {
                Ok(())
            };
        };
        if !section.entities.contains(to) {
            return violation(&format!(
                "within a critical section only its own entities can be called, and `{}` is not one \
                 of them: name it in `ctx.lock(..)` too",
                to.instance_id()
            ));
        }
        let is_pending = |task: &Task| {
            task.outcome.is_none()
                && matches!(&task.kind, TaskKind::Operation { to: other, .. } if other == to)
        };
        if self.tasks.iter().any(|(_, task)| is_pending(task)) {
            return violation(&format!(
                "`{}` cannot be called within the critical section while an earlier call of it is \
                 under way: await that one first",
                to.instance_id()
            ));
        }
        Ok(())
    }

    /// The critical section in which an operation of this entity is called.
    pub(super) fn section_id(&self, to: &EntityAddress) -> Option<LockId> {
        let section = self.section.as_ref().filter(|section| section.entities.contains(to))?;
        Some(self.lock_id(section.lock))
    }

    /// Why a signal must not be sent now, if it must not.
    pub(crate) fn refuse_signal(&self, to: &EntityAddress) -> Option<String> {
        let section = self.section.as_ref()?;
        section.entities.contains(to).then(|| {
            format!(
                "`{}` is locked by this critical section and cannot be signalled in it: call the \
                 operation, or signal after the section",
                to.instance_id()
            )
        })
    }

    /// Why a sub-orchestration must not be called now, if it must not.
    pub(super) fn refuse_child(&self) -> Option<TaskFailure> {
        self.section.as_ref()?;
        violation::<()>(
            "a sub-orchestration cannot be called within a critical section, for it could want the \
             same entities: call it before or after, or start it with `ctx.start(..)`",
        )
        .err()
    }

    /// What is awaited in place of a task that must not be awaited now.
    pub(crate) fn refuse_wait(&mut self, id: TaskId) -> Option<TaskId> {
        self.section.as_ref()?;
        let task = self.tasks.get(id.0).filter(|task| task.outcome.is_none())?;
        if !matches!(task.kind, TaskKind::Child { .. }) {
            return None;
        }
        let name = task_name(&task.kind);
        let failure = violation::<()>(
            "a sub-orchestration that is under way cannot be awaited within a critical section, for it \
             could want the same entities: await it before or after",
        );
        failure.err().map(|failure| self.begin_failed(&name, failure))
    }
}

fn violation<T>(rule: &str) -> Result<T, TaskFailure> {
    let failure = Failure::final_one("LockingRulesViolation", rule);
    Err(TaskFailure::new(TaskErrorKind::Refused, failure))
}
