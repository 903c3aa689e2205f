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

/// An iterator that visibly comes to an end, so that it can be drained.
#[diagnostic::on_unimplemented(
    message = "the items of `{Self}` cannot be collected to be saved",
    label = "it may have no end",
    note = "use `.take(n)`, or a range with an end; or count in the body of a `loop`"
)]
pub trait Finite {}

macro_rules! finite {
    ($([$($generics:tt)*] $iter:ty;)*) => {
        $(impl<$($generics)*> Finite for $iter {})*
    };
}

finite! {
    [T] Range<T>;
    [T] RangeInclusive<T>;
    [T] std::vec::IntoIter<T>;
    [T] std::collections::vec_deque::IntoIter<T>;
    [T, const N: usize] std::array::IntoIter<T, N>;
    [K, V] std::collections::btree_map::IntoIter<K, V>;
    [K, V] std::collections::btree_map::IntoKeys<K, V>;
    [K, V] std::collections::btree_map::IntoValues<K, V>;
    [T] std::collections::btree_set::IntoIter<T>;
    [I: Finite] std::iter::Enumerate<I>;
    [I: Finite] std::iter::Rev<I>;
    [I: Finite] std::iter::Skip<I>;
    [I: Finite] std::iter::StepBy<I>;
    [I] std::iter::Take<I>;
    [I: Finite, J: Finite] std::iter::Chain<I, J>;
    [I: Finite, J] std::iter::Zip<I, J>;
    [I: Finite, F] std::iter::Map<I, F>;
    [I: Finite, F] std::iter::Filter<I, F>;
    [I: Finite, F] std::iter::FilterMap<I, F>;
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
    // Adaptors are drained where they are built of finite parts.
    [T] std::vec::IntoIter<T> => T;
    [T] std::collections::vec_deque::IntoIter<T> => T;
    [T, const N: usize] std::array::IntoIter<T, N> => T;
    [K, V] std::collections::btree_map::IntoIter<K, V> => (K, V);
    [K, V] std::collections::btree_map::IntoKeys<K, V> => K;
    [K, V] std::collections::btree_map::IntoValues<K, V> => V;
    [T] std::collections::btree_set::IntoIter<T> => T;
    [I: Iterator + Finite] std::iter::Enumerate<I> => (usize, I::Item);
    [I: DoubleEndedIterator + Finite] std::iter::Rev<I> => I::Item;
    [I: Iterator + Finite] std::iter::Skip<I> => I::Item;
    [I: Iterator + Finite] std::iter::StepBy<I> => I::Item;
    [I: Iterator] std::iter::Take<I> => I::Item;
    [I: Iterator + Finite, J: Iterator<Item = I::Item> + Finite]
        std::iter::Chain<I, J> => I::Item;
    [I: Iterator + Finite, J: Iterator] std::iter::Zip<I, J> => (I::Item, J::Item);
    [B, I: Iterator + Finite, F: FnMut(I::Item) -> B] std::iter::Map<I, F> => B;
    [I: Iterator + Finite, F: FnMut(&I::Item) -> bool] std::iter::Filter<I, F> => I::Item;
    [B, I: Iterator + Finite, F: FnMut(I::Item) -> Option<B>]
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

// --- borrowed items -----------------------------------------------------------------------------

/// What a `for` loop with an await in its body may borrow its items from: the position is saved,
/// and the items are borrowed again in the same order.
#[diagnostic::on_unimplemented(
    message = "a `for` loop with an await in its body cannot iterate over `{Self}`",
    label = "after a wait the items must be found again by their position",
    note = "iterate over a slice or an ordered collection, or collect the items into a `Vec` first",
    note = "`HashMap` and `HashSet` have no deterministic order: use `BTreeMap` or `BTreeSet`"
)]
pub trait ReborrowIter: Iterator {}

macro_rules! reborrow {
    ($([$($generics:tt)*] $iter:ty;)*) => {
        $(impl<$($generics)*> ReborrowIter for $iter {})*
    };
}

reborrow! {
    ['a, T] std::slice::Iter<'a, T>;
    ['a, T] std::slice::IterMut<'a, T>;
    ['a, T] std::slice::Chunks<'a, T>;
    ['a, T] std::slice::ChunksMut<'a, T>;
    ['a, T] std::slice::ChunksExact<'a, T>;
    ['a, T] std::slice::RChunks<'a, T>;
    ['a, T] std::slice::Windows<'a, T>;
    ['a, T] std::collections::vec_deque::Iter<'a, T>;
    ['a, T] std::collections::vec_deque::IterMut<'a, T>;
    ['a, T] std::collections::linked_list::Iter<'a, T>;
    ['a, T] std::collections::linked_list::IterMut<'a, T>;
    ['a, K, V] std::collections::btree_map::Iter<'a, K, V>;
    ['a, K, V] std::collections::btree_map::IterMut<'a, K, V>;
    ['a, K, V] std::collections::btree_map::Keys<'a, K, V>;
    ['a, K, V] std::collections::btree_map::Values<'a, K, V>;
    ['a, K, V] std::collections::btree_map::ValuesMut<'a, K, V>;
    ['a, K, V] std::collections::btree_map::Range<'a, K, V>;
    ['a, T] std::collections::btree_set::Iter<'a, T>;
    ['a, T] std::collections::btree_set::Range<'a, T>;
    ['a, T] std::option::Iter<'a, T>;
    ['a, T] std::option::IterMut<'a, T>;
    ['a, T] std::result::Iter<'a, T>;
    ['a] std::str::Chars<'a>;
    ['a] std::str::CharIndices<'a>;
    ['a] std::str::Bytes<'a>;
    ['a] std::str::Lines<'a>;
    ['a] std::str::SplitWhitespace<'a>;
    ['a] std::str::SplitAsciiWhitespace<'a>;
    ['a] std::str::Split<'a, char>;
    ['a, 'b] std::str::Split<'a, &'b str>;
    ['a, 'b] std::str::Split<'a, &'b String>;
    ['a] std::str::SplitTerminator<'a, char>;
    ['a] std::str::SplitN<'a, char>;
    // Of literals, and of items that are cloned in every round.
    [T, const N: usize] std::array::IntoIter<T, N>;
    [T] std::vec::IntoIter<T>;
    [I: ReborrowIter] std::iter::Enumerate<I>;
    [I: ReborrowIter + DoubleEndedIterator] std::iter::Rev<I>;
    [I: ReborrowIter] std::iter::Skip<I>;
    [I: ReborrowIter] std::iter::Take<I>;
    [I: ReborrowIter] std::iter::StepBy<I>;
    [I: ReborrowIter] std::iter::Peekable<I>;
    [I: ReborrowIter, J: ReborrowIter] std::iter::Zip<I, J>;
    [I: ReborrowIter, J: ReborrowIter<Item = I::Item>] std::iter::Chain<I, J>;
    ['a, T: Clone + 'a, I: ReborrowIter<Item = &'a T>] std::iter::Cloned<I>;
    ['a, T: Copy + 'a, I: ReborrowIter<Item = &'a T>] std::iter::Copied<I>;
    // The compiler refuses closures that visibly change something.
    [B, I: ReborrowIter, F: FnMut(I::Item) -> B] std::iter::Map<I, F>;
    [I: ReborrowIter, F: FnMut(&I::Item) -> bool] std::iter::Filter<I, F>;
    [B, I: ReborrowIter, F: FnMut(I::Item) -> Option<B>] std::iter::FilterMap<I, F>;
    [I: ReborrowIter, F: FnMut(&I::Item) -> bool] std::iter::SkipWhile<I, F>;
    [I: ReborrowIter, F: FnMut(&I::Item) -> bool] std::iter::TakeWhile<I, F>;
}

/// The item at `position`, if there are as many.
#[doc(hidden)]
pub fn item_at<C>(items: C, position: usize) -> Option<C::Item>
where
    C: IntoIterator,
    C::IntoIter: ReborrowIter,
{
    items.into_iter().nth(position)
}

/// The item before `next`, which the current round of a loop is about.
#[doc(hidden)]
pub fn item_again<C>(items: C, next: usize) -> Option<C::Item>
where
    C: IntoIterator,
    C::IntoIter: ReborrowIter,
{
    item_at(items, next.checked_sub(1)?)
}

/// The item of the current round is not there any more.
///
/// # Panics
/// Always.
#[doc(hidden)]
pub fn item_gone() -> ! {
    panic!("the items of a `for` loop have changed while its body waited")
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
