//! The offers of the memory backend, in the order in which they were made.

use std::collections::{BTreeMap, HashMap};

use crate::Timestamp;
use crate::model::{Offer, PartitionId};

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Offers {
    rows: BTreeMap<u64, Row>,
    places: HashMap<String, u64>,
    next: u64,
}

#[derive(Debug)]
struct Row {
    offer: Offer,
    /// Whose it is, and until when.
    claim: Option<(String, Timestamp)>,
}

impl Offers {
    pub(super) fn add(&mut self, offers: Vec<Offer>) {
        for offer in offers {
            if !self.places.contains_key(&offer.id) {
                self.next += 1;
                self.places.insert(offer.id.clone(), self.next);
                self.rows.insert(self.next, Row { offer, claim: None });
            }
        }
    }

    pub(super) fn withdraw(&mut self, partition: PartitionId, ids: &[String]) {
        for id in ids {
            let Some(place) = self.places.get(id).copied() else { continue };
            if self.rows.get(&place).is_some_and(|row| row.offer.partition == partition) {
                self.places.remove(id);
                self.rows.remove(&place);
            }
        }
    }

    pub(super) fn withdraw_all(&mut self, partition: PartitionId) {
        let Self { rows, places, .. } = self;
        rows.retain(|_, row| {
            let stays = row.offer.partition != partition;
            if !stays {
                places.remove(&row.offer.id);
            }
            stays
        });
    }

    pub(super) fn lost(&self, partition: PartitionId, now: Timestamp) -> Vec<String> {
        let is_over = |row: &&Row| row.claim.as_ref().is_some_and(|(_, until)| *until <= now);
        let here = self.rows.values().filter(|row| row.offer.partition == partition);
        here.filter(is_over).map(|row| row.offer.id.clone()).collect()
    }

    pub(super) fn claim(
        &mut self,
        worker: &str,
        names: &[String],
        limit: usize,
        until: Timestamp,
    ) -> Vec<Offer> {
        let free = self.rows.values_mut().filter(|row| row.claim.is_none());
        let claim = |row: &mut Row| {
            row.claim = Some((worker.to_owned(), until));
            row.offer.clone()
        };
        free.filter(|row| names.contains(&row.offer.name)).take(limit).map(claim).collect()
    }

    pub(super) fn renew(&mut self, worker: &str, ids: &[String], until: Timestamp) -> Vec<String> {
        let mut renewed = Vec::with_capacity(ids.len());
        for id in ids {
            if let Some(row) = self.own(worker, id) {
                row.claim = Some((worker.to_owned(), until));
                renewed.push(id.clone());
            }
        }
        renewed
    }

    pub(super) fn release(&mut self, worker: &str, ids: &[String]) {
        for id in ids {
            if let Some(row) = self.own(worker, id) {
                row.claim = None;
            }
        }
    }

    fn own(&mut self, worker: &str, id: &str) -> Option<&mut Row> {
        let row = self.rows.get_mut(self.places.get(id)?)?;
        let is_own = row.claim.as_ref().is_some_and(|(owner, _)| owner == worker);
        is_own.then_some(row)
    }
}
