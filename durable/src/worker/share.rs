//! How many partitions a worker should hold, from who else is alive. Pure: no store, no clock.
//!
//! With `n` workers everybody should hold the whole part of `partitions / n`, and as many workers
//! one more as partitions remain. Who those are is whoever has one more: nothing moves between two
//! workers that are as even as can be, so nothing moves to and fro.

use durable_store::Peer;

/// What a worker should do about its number of partitions. At most one of the two is not 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Share {
    /// So many are to be given back.
    pub(super) give_back: usize,
    /// So many may be taken, if they are free.
    pub(super) may_take: usize,
}

/// The share of the worker `me`, which holds and keeps `held` of all `partitions`, among the
/// workers that are alive. Of itself in `peers` only the name counts: what it gives back just now
/// is still its own there.
pub(super) fn of(me: &str, held: usize, partitions: usize, peers: &[Peer]) -> Share {
    let others = || peers.iter().filter(|peer| peer.worker != me);
    let workers = others().count() + 1;
    let (least, remainder) = (partitions / workers, partitions % workers);
    // Only so many workers as partitions remain have room for one more than the least.
    let with_more = || others().filter(|peer| usize::from(peer.partitions) > least);
    let has_more = |more: bool| least + usize::from(more);
    if held > least {
        // Too many have one more, so that somebody has too few: the first of them by name gives.
        let before = with_more().filter(|peer| *peer.worker < *me).count();
        let excess = (with_more().count() + 1).saturating_sub(remainder);
        let most = has_more(before >= excess);
        return Share { give_back: held.saturating_sub(most), may_take: 0 };
    }
    let most = has_more(with_more().count() < remainder);
    Share { give_back: 0, may_take: most - held }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Random;

    fn peers(held: &[usize]) -> Vec<Peer> {
        let peer = |(n, held): (usize, &usize)| Peer {
            worker: format!("w{n:02}"),
            partitions: u16::try_from(*held).unwrap(),
        };
        held.iter().enumerate().map(peer).collect()
    }

    /// What each of the workers that hold so many should do: given back is negative.
    fn moves(partitions: usize, held: &[usize]) -> Vec<isize> {
        let peers = peers(held);
        let signed = |count: usize| isize::try_from(count).unwrap();
        let of = |(peer, held): (&Peer, &usize)| {
            let share = of(&peer.worker, *held, partitions, &peers);
            assert!(share.give_back == 0 || share.may_take == 0, "{share:?} of {held:?}");
            signed(share.may_take) - signed(share.give_back)
        };
        peers.iter().zip(held).map(of).collect()
    }

    #[test]
    fn a_share_is_what_an_even_division_gives() {
        assert_eq!(moves(8, &[0]), [8]);
        assert_eq!(moves(8, &[8]), [0]);
        assert_eq!(moves(8, &[8, 0]), [-4, 4]);
        assert_eq!(moves(8, &[8, 0, 0]), [-5, 3, 3]);
        assert_eq!(moves(8, &[3, 3, 2, 0]), [-1, -1, 0, 2]);
        assert_eq!(moves(1, &[0, 0]), [1, 1]);
        assert_eq!(moves(1, &[1, 0]), [0, 0]);
    }

    #[test]
    fn nothing_moves_between_workers_that_are_as_even_as_can_be() {
        assert_eq!(moves(8, &[3, 2, 3]), [0, 0, 0]);
        assert_eq!(moves(8, &[2, 2, 1, 2, 1]), [0, 0, 0, 0, 0]);
        assert_eq!(moves(2, &[0, 1, 0, 1]), [0, 0, 0, 0]);
    }

    #[test]
    fn a_worker_that_would_get_nothing_gets_one_from_the_first_that_has_one_more() {
        // All of them have no more than the eight divided by five, rounded up.
        assert_eq!(moves(8, &[2, 2, 2, 2, 0]), [-1, 0, 0, 0, 1]);
        assert_eq!(moves(8, &[1, 2, 2, 2, 0]), [0, 0, 0, 0, 1]);
    }

    #[test]
    fn a_worker_that_left_leaves_room_for_the_others() {
        assert_eq!(moves(8, &[3, 3]), [1, 1]);
        assert_eq!(moves(8, &[3, 2]), [1, 2]);
        assert_eq!(moves(9, &[3, 3]), [2, 2]);
        assert_eq!(moves(9, &[3, 5]), [1, 0]);
    }

    #[test]
    fn a_worker_whose_word_is_not_there_yet_counts_all_the_same() {
        assert_eq!(of("new", 0, 8, &peers(&[8])), Share { give_back: 0, may_take: 4 });
        assert_eq!(of("new", 0, 8, &[]), Share { give_back: 0, may_take: 8 });
    }

    /// A hub in which workers come and go, and look whenever it is their turn. What a worker gives
    /// back is free only when it looks the next time.
    struct Sim {
        partitions: usize,
        /// By worker: what it keeps, and what it is giving back.
        workers: Vec<Option<(usize, usize)>>,
        /// What those hold who are dead and have not been missed yet.
        of_dead: usize,
        moves: usize,
    }

    impl Sim {
        fn free(&self) -> usize {
            let held = self.workers.iter().flatten().map(|(kept, given)| kept + given);
            self.partitions - held.sum::<usize>() - self.of_dead
        }

        fn peers(&self) -> Vec<Peer> {
            let alive = self.workers.iter().enumerate();
            let peer = |n: usize, held: usize| Peer {
                worker: format!("w{n:02}"),
                partitions: u16::try_from(held).unwrap(),
            };
            alive.filter_map(|(n, held)| held.map(|(kept, given)| peer(n, kept + given))).collect()
        }

        fn look(&mut self, n: usize) {
            let Some((kept, _)) = self.workers[n] else { return };
            // What it gave back has drained.
            self.workers[n] = Some((kept, 0));
            let share = of(&format!("w{n:02}"), kept, self.partitions, &self.peers());
            let taken = share.may_take.min(self.free());
            self.moves += taken + share.give_back;
            self.workers[n] = Some((kept + taken - share.give_back, share.give_back));
        }

        fn look_all(&mut self) {
            (0..self.workers.len()).for_each(|n| self.look(n));
        }

        /// Somebody comes, goes in good order, or dies.
        fn change(&mut self, random: &mut Random) {
            let n = usize::try_from(random.below(self.workers.len() as u64)).unwrap();
            match self.workers[n].take() {
                None => self.workers[n] = Some((0, 0)),
                Some((kept, given)) if random.below(2) == 0 => self.of_dead += kept + given,
                Some(_) => {}
            }
        }
    }

    /// After so many looks of everybody nothing has to move any more: one to give back, one to
    /// have given back, one to take, and one for those who took what was another's.
    const ROUNDS: usize = 5;

    #[test]
    fn shares_become_even_whatever_came_before_and_then_nothing_moves() {
        let seed = std::env::var("DURABLE_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
        for seed in seed.map_or(0..300, |seed| seed..seed + 1) {
            let mut random = Random::new(seed);
            let partitions = usize::try_from(1 + random.below(40)).unwrap();
            let workers = usize::try_from(1 + random.below(12)).unwrap();
            let workers = vec![None; workers];
            let mut sim = Sim { partitions, workers, of_dead: 0, moves: 0 };
            for _ in 0..random.below(60) {
                match random.below(4) {
                    0 => sim.change(&mut random),
                    1 => sim.of_dead = 0,
                    _ => sim.look(usize::try_from(random.below(sim.workers.len() as u64)).unwrap()),
                }
            }
            sim.of_dead = 0;
            sim.workers[0].get_or_insert((0, 0));
            (0..ROUNDS).for_each(|_| sim.look_all());
            let held: Vec<usize> = sim.workers.iter().flatten().map(|(kept, _)| *kept).collect();
            let (least, most) = (partitions / held.len(), partitions.div_ceil(held.len()));
            let even = held.iter().all(|held| (least..=most).contains(held));
            assert!(even && sim.free() == 0, "seed {seed}: {held:?} of {partitions}");
            sim.moves = 0;
            sim.look_all();
            assert_eq!(sim.moves, 0, "seed {seed}: {held:?} of {partitions} goes on moving");
        }
    }
}
