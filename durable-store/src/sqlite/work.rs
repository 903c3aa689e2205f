//! What the writer can be asked for, what it answers, and why it may not do it.

use tokio::sync::oneshot;

use crate::Timestamp;
use crate::error::StoreError;
use crate::model::{Accepted, Batch, Envelope, InstanceNo, Lease, Offer, PartitionId, Peer};
use crate::store::Result;

use super::offers::OfferWork;

/// An operation whose arguments were checked. It owns them: its caller may go away.
pub(super) enum Work {
    Commit {
        lease: Lease,
        batch: Batch,
        /// The text in it, in bytes.
        bytes: usize,
    },
    Send {
        envelopes: Vec<Envelope>,
        now: Timestamp,
        /// The text in them, in bytes.
        bytes: usize,
    },
    Reserve {
        count: u32,
    },
    CheckIn {
        worker: String,
        now: Timestamp,
        expires_at: Timestamp,
    },
    Acquire {
        owner: String,
        limit: u16,
        held: Vec<PartitionId>,
        now: Timestamp,
        expires_at: Timestamp,
    },
    Renew {
        leases: Vec<Lease>,
        expires_at: Timestamp,
    },
    Release {
        leases: Vec<Lease>,
    },
    Clean {
        receipts_before: Timestamp,
        replies_before: Timestamp,
    },
    Purge {
        numbers: Vec<InstanceNo>,
    },
    Sweep,
    Offers(OfferWork),
}

impl Work {
    /// The method of the contract that asks for it.
    pub(super) fn operation(&self) -> &'static str {
        match self {
            Self::Commit { .. } => "commit",
            Self::Send { .. } => "send",
            Self::Reserve { .. } => "reserve_numbers",
            Self::CheckIn { .. } => "check_in",
            Self::Acquire { .. } => "acquire_leases",
            Self::Renew { .. } => "renew_leases",
            Self::Release { .. } => "release_leases",
            Self::Clean { .. } | Self::Sweep => "clean",
            Self::Purge { .. } => "purge_instances",
            Self::Offers(work) => work.operation(),
        }
    }

    /// Whether a worker may need its lock file no more.
    pub(super) fn is_farewell(&self) -> bool {
        match self {
            Self::Release { .. } => true,
            Self::CheckIn { now, expires_at, .. } => expires_at <= now,
            _ => false,
        }
    }

    /// About how much it writes.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Commit { bytes, .. } | Self::Send { bytes, .. } => *bytes,
            Self::Offers(work) => work.bytes(),
            _ => 0,
        }
    }
}

/// What the writer answers.
pub(super) enum Output {
    Done,
    Accepted(Vec<Accepted>),
    Number(i64),
    Purged(Vec<InstanceNo>),
    Leases(Vec<Lease>),
    Peers(Vec<Peer>),
    Offers(Vec<Offer>),
    /// Ids of offers.
    Ids(Vec<String>),
    /// Whether there may be more to clean.
    More(bool),
}

/// Where an answer goes.
pub(super) type Answer = oneshot::Sender<Result<Output>>;

/// An entry of the writer's queue.
#[allow(clippy::large_enum_variant)] // Nearly all of them are work.
pub(super) enum Job {
    Work(Work, Answer),
    /// Look for changes by other processes, and say whether there were any.
    Watch(oneshot::Sender<bool>),
    /// Finish what was queued before, and end.
    Close(oneshot::Sender<Result<()>>),
}

/// Why an operation did not happen.
pub(super) enum Failure {
    /// It was refused, and the transaction goes on without it.
    Refused(StoreError),
    /// The database failed, and the transaction with it.
    Database(rusqlite::Error),
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(error)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Refused(error)
    }
}
