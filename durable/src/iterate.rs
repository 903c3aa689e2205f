//! What a `for` loop with an await in its body may iterate over, and how the rest of an iteration
//! is saved.

use std::collections::{BTreeMap, BTreeSet, LinkedList, VecDeque};
use std::ops::{Range, RangeFrom, RangeInclusive};

use serde::{Deserialize, Serialize};

/// What a suspending `for` may iterate over: finite data in a fixed order, or a range.
#[diagnostic::on_unimplemented(
    message = "a `for` loop with an await in its body cannot iterate over `{Self}`",
    label = "the rest of the iteration must be saved while the loop waits",
    note = "iterate over an owned collection or a range: collect the items into a `Vec` first",
    note = "`HashMap` and `HashSet` have no deterministic order: use `BTreeMap` or `BTreeSet`"
)]
pub trait SuspendingIter {
    /// What is saved: the items that are left.
    type Rest: Iterator;
    /// Begins the iteration.
    #[doc(hidden)]
    fn into_rest(self) -> Self::Rest;
}

/// The items that are left of a collection, in order.
#[doc(hidden)]
#[derive(Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Queue<T>(VecDeque<T>);

impl<T> Iterator for Queue<T> {
    type Item = T;
    fn next(&mut self) -> Option<T> {
        self.0.pop_front()
    }
}

macro_rules! queues {
    ($($(#[$meta:meta])* [$($generics:tt)*] $collection:ty => $item:ty;)*) => {
        $(
            $(#[$meta])*
            impl<$($generics)*> SuspendingIter for $collection {
                type Rest = Queue<$item>;
                fn into_rest(self) -> Self::Rest {
                    Queue(self.into_iter().collect())
                }
            }
        )*
    };
}

queues! {
    [T] Vec<T> => T;
    [T] VecDeque<T> => T;
    [T] LinkedList<T> => T;
    [T] Option<T> => T;
    [T, E] Result<T, E> => T;
    [T, const N: usize] [T; N] => T;
    [K, V] BTreeMap<K, V> => (K, V);
    [T] BTreeSet<T> => T;
    // Adaptors are drained where they are built of these finite parts.
    [T] std::vec::IntoIter<T> => T;
    [T] std::collections::vec_deque::IntoIter<T> => T;
    [T, const N: usize] std::array::IntoIter<T, N> => T;
    [K, V] std::collections::btree_map::IntoIter<K, V> => (K, V);
    [K, V] std::collections::btree_map::IntoKeys<K, V> => K;
    [K, V] std::collections::btree_map::IntoValues<K, V> => V;
    [T] std::collections::btree_set::IntoIter<T> => T;
    [I: Iterator + SuspendingIter] std::iter::Enumerate<I> => (usize, I::Item);
    [I: DoubleEndedIterator + SuspendingIter] std::iter::Rev<I> => I::Item;
    [I: Iterator + SuspendingIter] std::iter::Skip<I> => I::Item;
    [I: Iterator + SuspendingIter] std::iter::StepBy<I> => I::Item;
    [I: Iterator] std::iter::Take<I> => I::Item;
    [I: Iterator + SuspendingIter, J: Iterator<Item = I::Item> + SuspendingIter]
        std::iter::Chain<I, J> => I::Item;
    [I: Iterator + SuspendingIter, J: Iterator] std::iter::Zip<I, J> => (I::Item, J::Item);
    [B, I: Iterator + SuspendingIter, F: FnMut(I::Item) -> B] std::iter::Map<I, F> => B;
    [I: Iterator + SuspendingIter, F: FnMut(&I::Item) -> bool] std::iter::Filter<I, F> => I::Item;
    [B, I: Iterator + SuspendingIter, F: FnMut(I::Item) -> Option<B>]
        std::iter::FilterMap<I, F> => B;
}

// Ranges are generic, so that rustc can infer the type of the bounds from what the body does with
// the items: with an implementation for each type it would fall back to `i32`.

impl<T> SuspendingIter for Range<T>
where
    Self: Iterator,
{
    type Rest = Self;
    fn into_rest(self) -> Self {
        self
    }
}

impl<T> SuspendingIter for RangeFrom<T>
where
    Self: Iterator,
{
    type Rest = Self;
    fn into_rest(self) -> Self {
        self
    }
}

/// The rest of an inclusive range. That of std forgets when saved that it is exhausted.
#[doc(hidden)]
#[derive(Debug, Serialize, Deserialize)]
pub struct Inclusive<T> {
    start: T,
    end: T,
    done: bool,
}

impl<T> SuspendingIter for RangeInclusive<T>
where
    T: Clone + PartialOrd,
    Self: Iterator<Item = T>,
{
    type Rest = Inclusive<T>;
    fn into_rest(self) -> Self::Rest {
        let done = self.is_empty();
        let (start, end) = self.into_inner();
        Inclusive { start, end, done }
    }
}

impl<T> Iterator for Inclusive<T>
where
    T: Clone + PartialOrd,
    RangeInclusive<T>: Iterator<Item = T>,
{
    type Item = T;
    fn next(&mut self) -> Option<T> {
        if self.done {
            return None;
        }
        let mut range = self.start.clone()..=self.end.clone();
        let item = range.next();
        self.done = range.is_empty();
        self.start = range.start().clone();
        item
    }
}

/// Begins the iteration of a suspending `for`.
#[doc(hidden)]
pub fn iterate<C, R>(collection: C) -> R
where
    // `R` is a parameter of its own, so that rustc reports a `C` that does not fit once.
    C: SuspendingIter<Rest = R>,
{
    collection.into_rest()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Saves and restores the rest before every item.
    fn items<C>(collection: C) -> Vec<<C::Rest as Iterator>::Item>
    where
        C: SuspendingIter,
        C::Rest: Serialize + serde::de::DeserializeOwned,
    {
        let mut saved = crate::codec::encode(&iterate(collection)).unwrap();
        let mut items = Vec::new();
        loop {
            let mut rest: C::Rest = crate::codec::decode(&saved).unwrap();
            match rest.next() {
                Some(item) => items.push(item),
                None => return items,
            }
            saved = crate::codec::encode(&rest).unwrap();
        }
    }

    #[test]
    fn the_rest_of_every_iteration_survives_saving() {
        assert_eq!(items(0..3), [0, 1, 2]);
        assert_eq!(items(1..=3), [1, 2, 3]);
        assert_eq!(items(u8::MAX..=u8::MAX), [u8::MAX]);
        #[allow(clippy::reversed_empty_ranges)]
        let empty = items(3..=1);
        assert_eq!(empty, Vec::<i32>::new());
        assert_eq!(items(vec!["a".to_owned()]), ["a"]);
        assert_eq!(items(BTreeMap::from([(2, 'b'), (1, 'a')])), [(1, 'a'), (2, 'b')]);
        assert_eq!(items((5..).take(2)), [5, 6]);
        assert_eq!(items(vec![1, 2, 3].into_iter().rev().enumerate()), [(0, 3), (1, 2), (2, 1)]);
    }
}
