//! The bank: a folder with a file for each payment. It is outside of the engine, as the services of
//! other people are, and does not always answer.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use durable::NonRetryable;
use examples::files;
use serde::{Deserialize, Serialize};

use crate::trip::{PAYMENT_ATTEMPTS, Trip};

/// The bank, as application data of the worker.
#[derive(Debug)]
pub(crate) struct Bank {
    folder: PathBuf,
    /// How many of a hundred attempts find nobody there.
    outages: u8,
}

/// Why there was no payment.
#[derive(Debug, Serialize, Deserialize, thiserror::Error)]
pub(crate) enum PaymentError {
    /// It may be there a moment later.
    #[error("the bank does not answer")]
    Unavailable,
    /// Its books cannot be written, which no second attempt changes.
    #[error("the books of the bank cannot be written: {0}")]
    Broken(String),
    /// It will say so whenever it is asked, so the error says that no policy should ask again.
    #[error("the card is good for {limit} cents, the price is {cents}")]
    Declined {
        /// The price.
        cents: u64,
        /// The limit of the card.
        limit: u64,
        /// What tells the engine; it has no data of its own.
        #[serde(skip)]
        #[source]
        mark: Option<NonRetryable>,
    },
}

impl PaymentError {
    /// Whether it may go better a moment later.
    pub(crate) fn is_temporary(&self) -> bool {
        matches!(self, Self::Unavailable)
    }

    /// The card is not good for the price, and will not be.
    pub(crate) fn declined(cents: u64, limit: u64) -> Self {
        let mark = Some(NonRetryable::message("the answer of the bank is final"));
        Self::Declined { cents, limit, mark }
    }

    /// Something is wrong with the program or its folder.
    pub(crate) fn no_bank(error: impl std::fmt::Display) -> Self {
        Self::Broken(error.to_string())
    }
}

impl Bank {
    /// The bank whose books are in this folder, which is created if it does not exist.
    pub(crate) fn open(folder: &Path, outages: u8) -> anyhow::Result<Self> {
        let hint = || format!("the folder {} cannot be created", folder.display());
        fs::create_dir_all(folder).with_context(hint)?;
        files::ensure_writable(folder)?;
        Ok(Self { folder: folder.to_owned(), outages })
    }

    fn file(&self, trip: &str) -> PathBuf {
        self.folder.join(trip)
    }

    /// Pays for a trip once, however often it is asked.
    pub(crate) fn pay(&self, trip: &Trip, attempt: u32) -> Result<(), PaymentError> {
        if self.is_out(&trip.id, attempt) {
            return Err(PaymentError::Unavailable);
        }
        let &Trip { cents, limit, .. } = trip;
        if cents > limit {
            return Err(PaymentError::declined(cents, limit));
        }
        files::write_atomically(&self.file(&trip.id), |out| Ok(write!(out, "{cents}")?))
            .map_err(|error| PaymentError::no_bank(format!("{error:#}")))
    }

    /// Takes a payment back, if there is one.
    pub(crate) fn refund(&self, trip: &str) -> anyhow::Result<()> {
        match fs::remove_file(self.file(trip)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// Whether nobody is there for this attempt. It is the same in each run of the program: the
    /// bank comes back within the attempts that a trip has, or not for that trip.
    fn is_out(&self, trip: &str, attempt: u32) -> bool {
        let is_there = |attempt: &u32| {
            let hash = blake3::hash(format!("{trip} {attempt}").as_bytes());
            hash.as_bytes()[0] % 100 >= self.outages
        };
        // An attempt whose worker died has a number too, but is not one of the policy's.
        (1..=PAYMENT_ATTEMPTS).find(is_there).is_none_or(|first| attempt < first)
    }

    /// What was paid, by trip.
    pub(crate) fn payments(&self) -> anyhow::Result<BTreeMap<String, u64>> {
        let mut payments = BTreeMap::new();
        for entry in fs::read_dir(&self.folder)? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            // An attempt that was cut off leaves a part, which is no payment.
            if Path::new(&name).extension().is_none() {
                let cents = fs::read_to_string(&path)?;
                payments.insert(name, cents.trim().parse().context(path.display().to_string())?);
            }
        }
        Ok(payments)
    }
}
