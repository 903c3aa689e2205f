//! How many waiting attempts of activities a worker offers to the others of its hub. Pure: no store,
//! no clock.
//!
//! What a worker will begin soon it keeps, because an attempt that stays costs the store nothing.
//! Of the rest only so much is offered at a time as the others can take until it looks again: more
//! follows as results come back.

/// Offers that are open at a time for each place of another worker, whose number of places is taken
/// to be the own one: some that run there, and some to follow them.
const OFFERS_PER_PLACE: usize = 4;
/// At least so many offers are open for each other worker, which may have more places.
const MIN_OFFERS_PER_WORKER: usize = 100;
/// The most offers of one worker that are open at a time.
const MAX_OPEN_OFFERS: usize = 10_000;

/// What a worker has to do, and with whom it could share.
#[derive(Debug, Clone, Copy)]
pub(super) struct Load {
    /// Other workers that are alive.
    pub(super) others: usize,
    /// How many attempts this one runs at once.
    pub(super) limit: usize,
    /// Attempts that wait here.
    pub(super) waiting: usize,
    /// Attempts that are offered and have not ended.
    pub(super) open: usize,
}

/// How many of the attempts that wait are to be offered.
pub(super) fn of(load: Load) -> usize {
    let Load { others, limit, waiting, open } = load;
    let per_worker = limit.saturating_mul(OFFERS_PER_PLACE).max(MIN_OFFERS_PER_WORKER);
    let most = others.saturating_mul(per_worker).min(MAX_OPEN_OFFERS);
    waiting.saturating_sub(limit).min(most.saturating_sub(open))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAN_OUT: Load = Load { others: 1, limit: 20, waiting: 10_000, open: 0 };

    #[test]
    fn a_worker_that_is_alone_offers_nothing() {
        assert_eq!(of(Load { others: 0, ..FAN_OUT }), 0);
    }

    #[test]
    fn what_begins_soon_stays() {
        assert_eq!(of(Load { waiting: 0, ..FAN_OUT }), 0);
        assert_eq!(of(Load { waiting: 20, ..FAN_OUT }), 0);
        assert_eq!(of(Load { waiting: 27, ..FAN_OUT }), 7);
    }

    #[test]
    fn so_much_is_offered_as_the_others_can_take() {
        assert_eq!(of(FAN_OUT), 100);
        assert_eq!(of(Load { others: 3, ..FAN_OUT }), 300);
        assert_eq!(of(Load { limit: 100, ..FAN_OUT }), 400);
        assert_eq!(of(Load { limit: 1, ..FAN_OUT }), 100);
        assert_eq!(of(Load { others: usize::MAX, ..FAN_OUT }), 9_980);
        let large = Load { limit: 1_000_000, waiting: 5_000_000, ..FAN_OUT };
        assert_eq!(of(large), MAX_OPEN_OFFERS);
    }

    #[test]
    fn more_follows_as_offers_end() {
        assert_eq!(of(Load { open: 100, ..FAN_OUT }), 0);
        assert_eq!(of(Load { open: 90, ..FAN_OUT }), 10);
        // Another worker has left.
        assert_eq!(of(Load { open: 250, ..FAN_OUT }), 0);
    }
}
