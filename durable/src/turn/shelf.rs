//! A small collection that lives in the saved state while it is small and spills into side rows
//! when it grows, so that a step costs what it changes and not what is there.

use std::collections::{BTreeMap, BTreeSet};

use durable_store::{Payload, SideKey};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// How many items a shelf keeps inside the saved state. More are rows of their own.
pub(crate) const INLINE_ITEMS: usize = 16;

/// The largest item that is kept there, in bytes, so that all of them together leave room for the rest.
pub(crate) const MAX_INLINE_ITEM_BYTES: usize = 16 * 1024;

/// What a shelf asks of its items when they are added.
pub(crate) trait Weigh {
    /// About how many bytes it takes when it is saved.
    fn weight(&self) -> usize;
}

/// Items by number, each either inline or a side row.
#[derive(Debug)]
pub(crate) struct Shelf<T> {
    /// Boxed because a map allocates room for eleven at once, and most shelves hold one item.
    slots: BTreeMap<i64, Box<Slot<T>>>,
    inline: usize,
    inline_changed: bool,
    changed_rows: BTreeSet<i64>,
    deleted_rows: Vec<i64>,
    /// What was under each number that was touched since the journal was begun.
    journal: Option<Journal<T>>,
}

/// What items were before they were touched, by number; `None` is that there was none.
pub(crate) type Journal<T> = BTreeMap<i64, Option<T>>;

#[derive(Debug)]
struct Slot<T> {
    item: T,
    place: Place,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Inline,
    /// To be a row, which does not exist yet.
    NewRow,
    /// A row that exists.
    Row,
}

impl<T> Default for Shelf<T> {
    fn default() -> Self {
        Self {
            slots: BTreeMap::new(),
            inline: 0,
            inline_changed: false,
            changed_rows: BTreeSet::new(),
            deleted_rows: Vec::new(),
            journal: None,
        }
    }
}

impl<T: Clone + Weigh> Shelf<T> {
    /// Begins to note what is touched.
    pub(crate) fn begin_journal(&mut self) {
        self.journal = Some(Journal::new());
    }

    /// What was touched since the journal was begun, as it was before.
    pub(crate) fn end_journal(&mut self) -> Journal<T> {
        self.journal.take().unwrap_or_default()
    }

    fn note(&mut self, number: i64) {
        if let Some(journal) = &mut self.journal {
            let slots = &self.slots;
            let item = || slots.get(&number).map(|slot| slot.item.clone());
            journal.entry(number).or_insert_with(item);
        }
    }

    /// Adds an item under a number that is not in use.
    pub(crate) fn insert(&mut self, number: i64, item: T) {
        self.note(number);
        let is_small = item.weight() <= MAX_INLINE_ITEM_BYTES;
        let place = if is_small && self.inline < INLINE_ITEMS {
            self.inline += 1;
            self.inline_changed = true;
            Place::Inline
        } else {
            self.changed_rows.insert(number);
            Place::NewRow
        };
        let old = self.slots.insert(number, Box::new(Slot { item, place }));
        debug_assert!(old.is_none(), "number {number} is in use");
    }

    pub(crate) fn get(&self, number: i64) -> Option<&T> {
        self.slots.get(&number).map(|slot| &slot.item)
    }

    /// The item, to be changed.
    pub(crate) fn get_mut(&mut self, number: i64) -> Option<&mut T> {
        self.note(number);
        let slot = self.slots.get_mut(&number)?;
        if slot.place == Place::Inline {
            self.inline_changed = true;
        } else {
            self.changed_rows.insert(number);
        }
        Some(&mut slot.item)
    }

    pub(crate) fn remove(&mut self, number: i64) -> Option<T> {
        self.note(number);
        let slot = self.slots.remove(&number)?;
        self.changed_rows.remove(&number);
        match slot.place {
            Place::Inline => {
                self.inline -= 1;
                self.inline_changed = true;
            }
            Place::NewRow => {}
            Place::Row => self.deleted_rows.push(number),
        }
        Some(slot.item)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (i64, &T)> {
        self.slots.iter().map(|(number, slot)| (*number, &slot.item))
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Whether the inline part differs from what was last saved.
    pub(crate) fn inline_changed(&self) -> bool {
        self.inline_changed
    }
}

impl<T: Clone + Weigh + Serialize + DeserializeOwned> Shelf<T> {
    /// The items that belong into the saved state.
    pub(crate) fn inline_items(&self) -> BTreeMap<i64, &T> {
        self.slots
            .iter()
            .filter(|(_, slot)| slot.place == Place::Inline)
            .map(|(number, slot)| (*number, &slot.item))
            .collect()
    }

    /// Builds a shelf from its inline part and its rows.
    pub(crate) fn restore(inline: BTreeMap<i64, T>, rows: Vec<(i64, T)>) -> Self {
        let count = inline.len();
        let mut slots: BTreeMap<_, _> = inline
            .into_iter()
            .map(|(number, item)| (number, Box::new(Slot { item, place: Place::Inline })))
            .collect();
        for (number, item) in rows {
            slots.insert(number, Box::new(Slot { item, place: Place::Row }));
        }
        Self { slots, inline: count, ..Self::default() }
    }

    /// What has to be written since the last flush: rows to put and rows to delete. `key` turns a
    /// number into the key of its row.
    pub(crate) fn flush(
        &mut self,
        key: impl Fn(i64) -> SideKey,
        puts: &mut Vec<(SideKey, Payload)>,
        deletes: &mut Vec<SideKey>,
    ) -> Result<(), serde_json::Error> {
        self.inline_changed = false;
        for number in std::mem::take(&mut self.changed_rows) {
            if let Some(slot) = self.slots.get_mut(&number) {
                puts.push((key(number), serde_json::to_string(&slot.item)?.into()));
                slot.place = Place::Row;
            }
        }
        deletes.extend(self.deleted_rows.drain(..).map(key));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Weigh for i64 {
        fn weight(&self) -> usize {
            usize::try_from(*self).unwrap()
        }
    }

    fn flush(shelf: &mut Shelf<i64>) -> (Vec<i64>, Vec<i64>) {
        let (mut puts, mut deletes) = (Vec::new(), Vec::new());
        shelf.flush(|number| number, &mut puts, &mut deletes).unwrap();
        (puts.into_iter().map(|(key, _)| key).collect(), deletes)
    }

    #[test]
    fn small_shelves_have_no_rows_and_large_ones_write_only_what_changed() {
        let mut shelf = Shelf::default();
        for number in 0..20 {
            shelf.insert(number, 0);
        }
        assert_eq!(flush(&mut shelf), ((16..20).collect(), vec![]));
        assert_eq!(flush(&mut shelf), (vec![], vec![]));

        *shelf.get_mut(17).unwrap() = 1;
        shelf.remove(18);
        assert!(!shelf.inline_changed());
        assert_eq!(flush(&mut shelf), (vec![17], vec![18]));

        shelf.remove(0);
        assert!(shelf.inline_changed());
        assert_eq!(flush(&mut shelf), (vec![], vec![]));
    }

    #[test]
    fn what_is_large_is_a_row_however_little_there_is() {
        let mut shelf = Shelf::default();
        shelf.insert(0, i64::try_from(MAX_INLINE_ITEM_BYTES).unwrap() + 1);
        shelf.insert(1, 1);
        assert_eq!(flush(&mut shelf), (vec![0], vec![]));
    }

    #[test]
    fn a_journal_says_what_was_before() {
        let mut shelf = Shelf::default();
        for number in 0..3 {
            shelf.insert(number, number);
        }
        shelf.begin_journal();
        *shelf.get_mut(0).unwrap() = 7;
        *shelf.get_mut(0).unwrap() = 8;
        shelf.remove(1);
        shelf.insert(1, 9);
        shelf.insert(5, 5);
        let journal = shelf.end_journal();
        assert_eq!(journal, Journal::from([(0, Some(0)), (1, Some(1)), (5, None)]));
        shelf.remove(2);
        assert!(shelf.end_journal().is_empty());
    }

    #[test]
    fn a_row_that_was_never_stored_is_not_deleted() {
        let mut shelf = Shelf::default();
        for number in 0..17 {
            shelf.insert(number, 0);
        }
        shelf.remove(16);
        assert_eq!(flush(&mut shelf), (vec![], vec![]));
    }
}
