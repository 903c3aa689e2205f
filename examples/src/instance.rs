//! The instance that a program waits for: started once, joined by every later run, and followed to
//! its end.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};
use durable::store::SqliteStore;
use durable::{Call, Client, ClientError, Handle, IdReuse, Orchestration, ReturnValue};
use serde::de::DeserializeOwned;

/// How often a program looks at what its instance says about itself.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Opens a database, which is created if it does not exist.
pub async fn open_database(path: &Path) -> anyhow::Result<SqliteStore> {
    let hint = || format!("the database {} cannot be used (--db names another)", path.display());
    SqliteStore::open(path).await.with_context(hint)
}

/// Starts the call under this id, or joins the instance that an earlier run of the program left
/// there. One that was left with another job is an error, and one that has ended makes room.
///
/// The job is the only argument of the orchestrator.
pub async fn start_or_resume<F, J>(
    client: &Client,
    id: &str,
    job: &J,
    call: Call<F>,
) -> anyhow::Result<Handle<F::Output>>
where
    F: Orchestration,
    J: DeserializeOwned + PartialEq,
{
    let handle = client.start(call.instance_id(id).id_reuse(IdReuse::UseRunning)).await?;
    if handle.is_new() {
        println!("starting {id}");
        return Ok(handle);
    }
    let status = handle.status().await?;
    let (earlier,): (J,) = status.input.decode()?;
    if earlier != *job {
        bail!(
            "{id} is under way with other options: run it to its end with the options that it was \
             started with, or name another database with --db"
        );
    }
    println!("resuming {id} in state {}", status.state);
    Ok(handle)
}

/// Waits for the result, and gives to `show` what the instance says about itself, whenever that has
/// changed.
pub async fn follow<T: ReturnValue, S: DeserializeOwned>(
    handle: &Handle<T>,
    mut show: impl FnMut(S),
) -> Result<T, ClientError> {
    let result = handle.result();
    tokio::pin!(result);
    let mut shown = None;
    loop {
        let said = handle.status().await?.custom_status;
        if said != shown {
            // What another build of the program has said may be unreadable, and is not needed.
            if let Some(Ok(said)) = said.as_ref().map(durable::Json::decode) {
                show(said);
            }
            shown = said;
        }
        tokio::select! {
            result = &mut result => return result,
            () = crate::pause(LOOK_EVERY) => {}
        }
    }
}
