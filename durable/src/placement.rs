//! In which partition an instance lives. Stored data depends on it: it must never change.

use std::hash::Hasher as _;

use durable_store::PartitionId;
use siphasher::sip::SipHasher13;

/// The partition of the instance with this id, in a hub with so many partitions: SipHash-1-3 of
/// the bytes of the id under a zero key, modulo the number of partitions.
pub(crate) fn partition_of(id: &str, partitions: u16) -> PartitionId {
    let mut hasher = SipHasher13::new();
    hasher.write(id.as_bytes());
    let partition = hasher.finish() % u64::from(partitions.max(1));
    // Less than `partitions`, which is a `u16`.
    PartitionId(u16::try_from(partition).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_partition_of_an_id_never_changes() {
        let of = |id| partition_of(id, 1024).0;
        assert_eq!([of(""), of("order-42"), of("@counter@clicks")], [812, 772, 863]);
    }
}
