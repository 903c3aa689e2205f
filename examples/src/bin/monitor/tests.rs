//! A watch in virtual time: how often it looks, and that a day passes at once.

use std::path::{Path, PathBuf};
use std::time::Duration;

use durable::testing::{TestHub, TestHubBuilder, crash_at_every_commit};

use crate::snapshot::Snapshot;
use crate::watch::{Outcome, Watch, look, monitor, seal};

fn watch(path: &Path) -> Watch {
    Watch {
        path: path.to_owned(),
        interval: Duration::from_secs(1),
        longest: Duration::from_mins(1),
        stable: 3,
        deadline: Duration::from_hours(24),
    }
}

fn real() -> TestHubBuilder {
    TestHub::builder().orchestrator(monitor).activity(look).activity(seal)
}

#[tokio::test]
async fn it_looks_less_and_less_often_and_gives_up_in_time() {
    let hub = TestHub::builder()
        .orchestrator(monitor)
        .mock(look, |_: PathBuf| None::<Snapshot>)
        .mock(seal, |_: PathBuf, _: Snapshot| true)
        .start()
        .await;
    let began = hub.now();
    let handle = hub.client().start(monitor(watch(Path::new("nothing")))).await.unwrap();
    assert_eq!(hub.run(handle.result()).await.unwrap(), Outcome::TimedOut(None));
    assert_eq!(hub.now(), began + Duration::from_hours(24));
    // The first look, those after 2 + 4 + .. + 32 seconds, one a minute, and the last.
    assert_eq!(hub.calls("look"), 1 + 5 + 1439);
}

#[tokio::test]
async fn it_waits_until_the_size_is_stable() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("growing");
    let hub = real().start().await;
    let handle = hub.client().start(monitor(watch(&path))).await.unwrap();
    hub.advance(Duration::from_hours(1)).await;
    // Once it is seen, within a minute, it is looked at every second, and never three times the same.
    for size in 1..=40 {
        std::fs::write(&path, vec![b'x'; size]).unwrap();
        hub.advance(Duration::from_secs(2)).await;
    }
    let Outcome::Complete(snapshot) = hub.run(handle.result()).await.unwrap() else {
        panic!("it was given up")
    };
    assert_eq!((snapshot.files, snapshot.bytes), (1, 40));
    assert_eq!(crate::snapshot::check(&path).unwrap(), 1);
}

#[tokio::test]
async fn a_crash_at_any_commit_seals_the_same() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("file");
    std::fs::write(&path, "text").unwrap();
    crash_at_every_commit(real, async |hub| {
        let _ = std::fs::remove_file(crate::snapshot::list_of(&path));
        let handle = hub.client().start(monitor(watch(&path))).await.unwrap();
        let outcome = hub.run(handle.result()).await.unwrap();
        (outcome, std::fs::read_to_string(crate::snapshot::list_of(&path)).unwrap())
    })
    .await;
}
