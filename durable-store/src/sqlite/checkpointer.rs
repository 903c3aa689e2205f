//! Copies the write-ahead log back into the file, on a thread and a connection of its own, so that
//! no commit waits for it.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use rusqlite::Connection;

use super::sql;

/// The handle on the thread, which ends when this is dropped.
pub(super) struct Checkpointer {
    wake: SyncSender<()>,
    thread: JoinHandle<()>,
}

impl Checkpointer {
    /// Starts the thread.
    pub(super) fn start(connection: Connection) -> std::io::Result<Self> {
        let (wake, woken) = sync_channel(1);
        let thread = std::thread::Builder::new().name("durable-sqlite-log".to_owned());
        let thread = thread.spawn(move || run(&connection, &woken))?;
        Ok(Self { wake, thread })
    }

    /// Has the log copied back soon.
    pub(super) fn wake(&self) {
        // Full means that the thread is about to run anyway.
        let _ = self.wake.try_send(());
    }

    /// Returns when the thread's connection is closed.
    pub(super) fn end(self) {
        drop(self.wake);
        if self.thread.join().is_err() {
            tracing::debug!("the thread that copies the log back had ended");
        }
    }
}

fn run(connection: &Connection, woken: &Receiver<()>) {
    while woken.recv().is_ok() {
        if let Err(error) = connection.query_row(sql::CHECKPOINT, (), |_| Ok(())) {
            tracing::debug!(%error, "the write-ahead log is not copied back yet");
        }
    }
}
