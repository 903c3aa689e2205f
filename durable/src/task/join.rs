//! Waiting for several durable operations at once. They carry the names of the `futures` crate.

use std::marker::PhantomData;

use super::{Durable, Pending, Waiting};
use crate::turn::scope;

/// Waits for all of them and gives their outputs in the order of the input.
///
/// All are begun at once. The orchestrator is resumed when the last one has ended; results that
/// arrive meanwhile are kept as rows and move only once.
///
/// ```
/// # use durable::prelude::*;
/// # #[activity] async fn size_of(name: String) -> u64 { name.len() as u64 }
/// #[orchestrator]
/// async fn sizes(names: Vec<String>) -> u64 {
///     let sizes = join_all(names.into_iter().map(size_of)).await;
///     sizes.into_iter().filter_map(Result::ok).sum()
/// }
/// ```
pub fn join_all<I>(calls: I) -> JoinAll<I::Item>
where
    I: IntoIterator,
    I::Item: Durable,
{
    JoinAll(calls.into_iter().collect())
}

/// Waits for all of them and gives their values, or the first error as soon as there is one.
///
/// When one fails the others are dropped as [`Task`](crate::Task)s are: timers and event waits are
/// cancelled, calls are detached.
///
/// ```
/// # use durable::prelude::*;
/// # #[activity] async fn size_of(name: String) -> u64 { name.len() as u64 }
/// #[orchestrator]
/// async fn total(names: Vec<String>) -> Result<u64, TaskError> {
///     let sizes = try_join_all(names.into_iter().map(size_of)).await?;
///     Ok(sizes.iter().sum())
/// }
/// ```
pub fn try_join_all<I, T, E>(calls: I) -> TryJoinAll<I::Item>
where
    I: IntoIterator,
    I::Item: Durable<Output = Result<T, E>>,
{
    TryJoinAll(calls.into_iter().collect())
}

/// See [`join_all`].
#[derive(Debug)]
#[must_use = "calls do nothing until they are awaited"]
pub struct JoinAll<D>(Vec<D>);

/// See [`try_join_all`].
#[derive(Debug)]
#[must_use = "calls do nothing until they are awaited"]
pub struct TryJoinAll<D>(Vec<D>);

#[doc(hidden)]
pub struct AllOf<P>(PhantomData<fn() -> P>);

#[doc(hidden)]
pub struct AllOkOf<P>(PhantomData<fn() -> P>);

#[doc(hidden)]
pub struct EachOf<P>(PhantomData<fn() -> P>);

#[doc(hidden)]
pub struct EachOkOf<P>(PhantomData<fn() -> P>);

impl<P: Pending> Pending for AllOf<P> {
    type Output = Vec<P::Output>;
    fn take(waiting: &Waiting) -> Self::Output {
        waiting.parts().iter().map(P::take).collect()
    }
}

impl<D: Durable> Durable for JoinAll<D> {
    type Pending = AllOf<D::Pending>;
    type Output = Vec<D::Output>;

    fn begin(self) -> Waiting {
        Waiting::All { all: self.0.into_iter().map(Durable::begin).collect() }
    }
}

impl<P, T, E> Pending for AllOkOf<P>
where
    P: Pending<Output = Result<T, E>>,
{
    type Output = Result<Vec<T>, E>;
    fn take(waiting: &Waiting) -> Self::Output {
        let parts = waiting.parts();
        if let Some(failed) = first_failed(parts) {
            let error = P::take(&parts[failed]);
            drop_others(parts, failed);
            return error.map(|value| vec![value]);
        }
        let mut values = Vec::with_capacity(parts.len());
        for (index, part) in parts.iter().enumerate() {
            match P::take(part) {
                Ok(value) => values.push(value),
                Err(error) => {
                    // It succeeded, but its value does not fit the type.
                    drop_others(parts, index);
                    return Err(error);
                }
            }
        }
        Ok(values)
    }
}

fn first_failed(parts: &[Waiting]) -> Option<usize> {
    scope::with(|core| parts.iter().position(|part| part.has_failed(core)))
}

fn drop_others(parts: &[Waiting], keep: usize) {
    scope::with(|core| {
        for (index, part) in parts.iter().enumerate() {
            if index != keep {
                part.abandon(core);
            }
        }
    });
}

impl<D, T, E> Durable for TryJoinAll<D>
where
    D: Durable<Output = Result<T, E>>,
{
    type Pending = AllOkOf<D::Pending>;
    type Output = Result<Vec<T>, E>;

    fn begin(self) -> Waiting {
        Waiting::AllOk { all_ok: self.0.into_iter().map(Durable::begin).collect() }
    }
}

/// What `join!` awaits.
#[doc(hidden)]
pub struct Join<T>(pub T);

/// What `try_join!` awaits.
#[doc(hidden)]
pub struct TryJoin<T>(pub T);

macro_rules! joins {
    ($($D:ident $P:ident $T:ident $index:tt),+) => {
        impl<$($P: Pending),+> Pending for EachOf<($($P,)+)> {
            type Output = ($($P::Output,)+);
            fn take(waiting: &Waiting) -> Self::Output {
                let parts = waiting.parts();
                ($($P::take(&parts[$index]),)+)
            }
        }

        impl<$($D: Durable),+> Durable for Join<($($D,)+)> {
            type Pending = EachOf<($($D::Pending,)+)>;
            type Output = ($($D::Output,)+);

            fn begin(self) -> Waiting {
                Waiting::All { all: vec![$(self.0.$index.begin()),+] }
            }
        }

        impl<Error, $($P, $T),+> Pending for EachOkOf<($($P,)+)>
        where
            $($P: Pending<Output = Result<$T, Error>>),+
        {
            type Output = Result<($($T,)+), Error>;
            fn take(waiting: &Waiting) -> Self::Output {
                let parts = waiting.parts();
                if let Some(failed) = first_failed(parts) {
                    $(
                        if failed == $index
                            && let Err(error) = $P::take(&parts[$index])
                        {
                            drop_others(parts, failed);
                            return Err(error);
                        }
                    )+
                }
                // An error here is a value that does not fit its type.
                Ok(($(match $P::take(&parts[$index]) {
                    Ok(value) => value,
                    Err(error) => {
                        drop_others(parts, $index);
                        return Err(error);
                    }
                },)+))
            }
        }

        impl<Error, $($D, $T),+> Durable for TryJoin<($($D,)+)>
        where
            $($D: Durable<Output = Result<$T, Error>>),+
        {
            type Pending = EachOkOf<($($D::Pending,)+)>;
            type Output = Result<($($T,)+), Error>;

            fn begin(self) -> Waiting {
                Waiting::AllOk { all_ok: vec![$(self.0.$index.begin()),+] }
            }
        }
    };
}

joins!(D0 P0 T0 0);
joins!(D0 P0 T0 0, D1 P1 T1 1);
joins!(D0 P0 T0 0, D1 P1 T1 1, D2 P2 T2 2);
joins!(D0 P0 T0 0, D1 P1 T1 1, D2 P2 T2 2, D3 P3 T3 3);
joins!(D0 P0 T0 0, D1 P1 T1 1, D2 P2 T2 2, D3 P3 T3 3, D4 P4 T4 4);
joins!(D0 P0 T0 0, D1 P1 T1 1, D2 P2 T2 2, D3 P3 T3 3, D4 P4 T4 4, D5 P5 T5 5);
joins!(D0 P0 T0 0, D1 P1 T1 1, D2 P2 T2 2, D3 P3 T3 3, D4 P4 T4 4, D5 P5 T5 5, D6 P6 T6 6);
joins!(
    D0 P0 T0 0, D1 P1 T1 1, D2 P2 T2 2, D3 P3 T3 3, D4 P4 T4 4, D5 P5 T5 5, D6 P6 T6 6, D7 P7 T7 7
);
