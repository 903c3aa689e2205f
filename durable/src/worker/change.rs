//! Several turns of one instance as one change: the last state wins, side rows that are put and
//! deleted cancel, history is appended. Data only.

use std::collections::BTreeMap;

use durable_store::{InstanceChange, Payload, SideKey};

/// A change that can take in the next one of the same instance.
#[derive(Debug, Clone)]
pub(super) struct Change {
    /// Everything but the side rows.
    rest: InstanceChange,
    /// What becomes of each side row that was touched: written or deleted.
    side: BTreeMap<SideKey, Option<Payload>>,
}

impl Change {
    pub(super) fn new(mut change: InstanceChange) -> Self {
        let side = take_side(&mut change).collect();
        Self { rest: change, side }
    }

    /// Takes in what the next turn changed.
    pub(super) fn merge(&mut self, mut next: InstanceChange) {
        if next.clear_side {
            self.side.clear();
            self.rest.clear_side = true;
        }
        self.side.extend(take_side(&mut next));
        let rest = &mut self.rest;
        rest.create = rest.create.take().or(next.create);
        rest.renew = next.renew.or(rest.renew.take());
        rest.finished_at =
            next.finished_at.or(rest.finished_at).filter(|_| next.status.is_terminal());
        rest.status = next.status;
        rest.blocked = next.blocked;
        rest.busy = next.busy;
        rest.state = next.state.or(rest.state.take());
        rest.custom_status = next.custom_status.or(rest.custom_status.take());
        rest.output = next.output.or(rest.output.take());
        rest.updated_at = next.updated_at;
        rest.history.append(&mut next.history);
        rest.forget_history_before = rest.forget_history_before.max(next.forget_history_before);
    }

    /// How many rows it writes or deletes.
    pub(super) fn rows(&self) -> usize {
        1 + self.side.len() + self.rest.history.len()
    }

    /// The change without its side rows.
    pub(super) fn rest(&self) -> &InstanceChange {
        &self.rest
    }

    /// The change as the store takes it.
    pub(super) fn build(&self) -> InstanceChange {
        let mut change = self.rest.clone();
        for (key, row) in &self.side {
            match row {
                Some(payload) => change.put_side.push((*key, payload.clone())),
                None => change.delete_side.push(*key),
            }
        }
        change
    }
}

/// Side rows in the order in which a store applies them: deletes first.
fn take_side(
    change: &mut InstanceChange,
) -> impl Iterator<Item = (SideKey, Option<Payload>)> + use<> {
    let deletes = std::mem::take(&mut change.delete_side).into_iter().map(|key| (key, None));
    let puts = std::mem::take(&mut change.put_side).into_iter();
    deletes.chain(puts.map(|(key, payload)| (key, Some(payload))))
}

#[cfg(test)]
mod tests {
    use durable_store::{InstanceNo, Status, Timestamp};

    use super::*;

    fn change(at: i64) -> InstanceChange {
        InstanceChange {
            no: InstanceNo(1),
            create: None,
            renew: None,
            status: Status::Running,
            blocked: None,
            busy: false,
            state: None,
            custom_status: None,
            output: None,
            updated_at: Timestamp::from_micros(at),
            finished_at: None,
            put_side: Vec::new(),
            delete_side: Vec::new(),
            clear_side: false,
            history: vec![(at, format!("turn {at}").into())],
            forget_history_before: None,
        }
    }

    fn merged(changes: impl IntoIterator<Item = InstanceChange>) -> InstanceChange {
        let mut changes = changes.into_iter();
        let mut merged = Change::new(changes.next().unwrap());
        for change in changes {
            merged.merge(change);
        }
        merged.build()
    }

    #[test]
    fn the_last_state_wins_and_what_is_left_alone_stays() {
        let first = InstanceChange {
            state: Some("one".into()),
            custom_status: Some(Some("busy".into())),
            busy: true,
            ..change(1)
        };
        let second = InstanceChange { state: Some("two".into()), ..change(2) };
        let both = merged([first, second, change(3)]);
        assert_eq!(both.state.as_deref(), Some("two"));
        assert_eq!(both.custom_status, Some(Some("busy".into())));
        assert!(!both.busy);
        assert_eq!(both.updated_at, Timestamp::from_micros(3));
        assert_eq!(both.history.len(), 3);
    }

    #[test]
    fn a_later_clearing_of_the_custom_status_wins() {
        let first = InstanceChange { custom_status: Some(Some("busy".into())), ..change(1) };
        let second = InstanceChange { custom_status: Some(None), ..change(2) };
        assert_eq!(merged([first, second]).custom_status, Some(None));
    }

    #[test]
    fn side_rows_cancel_by_key() {
        let row = |key: i64, text: &str| (key, Payload::from(text));
        let first = InstanceChange {
            put_side: vec![row(1, "a"), row(2, "b")],
            delete_side: vec![3],
            ..change(1)
        };
        let second = InstanceChange {
            put_side: vec![row(2, "c"), row(3, "d")],
            delete_side: vec![1],
            ..change(2)
        };
        let both = merged([first, second]);
        assert_eq!(both.put_side, [row(2, "c"), row(3, "d")]);
        assert_eq!(both.delete_side, [1]);
    }

    #[test]
    fn clearing_drops_what_came_before_it() {
        let first = InstanceChange { put_side: vec![(1, "a".into())], ..change(1) };
        let second =
            InstanceChange { clear_side: true, put_side: vec![(2, "b".into())], ..change(2) };
        let both = merged([first, second]);
        assert!(both.clear_side);
        assert_eq!(both.put_side, [(2, "b".into())]);
        assert_eq!(both.delete_side, Vec::<i64>::new());
    }

    #[test]
    fn the_end_stays_when_a_late_message_follows() {
        let end = InstanceChange {
            status: Status::Completed,
            output: Some("7".into()),
            finished_at: Some(Timestamp::from_micros(1)),
            ..change(1)
        };
        let late = InstanceChange { status: Status::Completed, ..change(2) };
        let both = merged([end, late]);
        assert_eq!(both.finished_at, Some(Timestamp::from_micros(1)));
        assert_eq!(both.output.as_deref(), Some("7"));
    }
}
