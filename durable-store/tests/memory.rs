//! The reference backend against the suite.
#![cfg(all(feature = "memory", feature = "conformance"))]

use durable_store::MemoryStore;

durable_store::conformance!(memory, || async { MemoryStore::new() });
durable_store::conformance!(two_partitions, || async { MemoryStore::with_partitions(2) });
