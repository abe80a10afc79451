//! Folders that tell when something in them changes; whoever watches keeps a slow poll behind, for file systems that
//! tell nothing.

use std::path::Path;
use std::sync::Arc;

use notify::event::{AccessKind, AccessMode};
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;

/// Folders under watch.
#[derive(Debug)]
pub struct Folders {
    changed: Arc<Notify>,
    _watcher: Option<RecommendedWatcher>,
}

/// How far down a folder is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// What lies in it.
    Itself,
    /// And in all folders below.
    Below,
}

impl Folders {
    /// Watches what can be watched and tells what cannot.
    pub fn watch<'a>(folders: impl IntoIterator<Item = (&'a Path, Depth)>) -> Self {
        let changed = Arc::new(Notify::new());
        let told = Arc::clone(&changed);
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            if event.is_ok_and(|event| reads(event.kind)) {
                return;
            }
            told.notify_one();
        });
        let mut watcher = watcher
            .inspect_err(|error| tracing::warn!(%error, "folders are only looked at now and then"))
            .ok();
        for (folder, depth) in folders {
            let mode = match depth {
                Depth::Itself => RecursiveMode::NonRecursive,
                Depth::Below => RecursiveMode::Recursive,
            };
            let watched = watcher.as_mut().map(|watcher| watcher.watch(folder, mode));
            if let Some(Err(error)) = watched {
                tracing::warn!(%error, folder = %folder.display(), "this folder is only looked at now and then");
            }
        }
        Self {
            changed,
            _watcher: watcher,
        }
    }

    /// Waits for the next change; one that came since the last wait is not missed.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }
}

/// Our own reading is an event too; taken for a change it would make us read for ever.
fn reads(kind: EventKind) -> bool {
    kind.is_access() && kind != EventKind::Access(AccessKind::Close(AccessMode::Write))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    async fn told(folders: &Folders) -> bool {
        tokio::time::timeout(Duration::from_millis(300), folders.changed())
            .await
            .is_ok()
    }

    #[tokio::test]
    async fn a_write_is_told_and_reading_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        let folders = Folders::watch([(folder.path(), Depth::Itself)]);
        std::fs::write(&file, "one").unwrap();
        assert!(told(&folders).await, "a write");
        while told(&folders).await {}
        assert_eq!(std::fs::read(&file).unwrap(), b"one");
        assert!(!told(&folders).await, "a read");
        std::fs::rename(&file, folder.path().join("other")).unwrap();
        assert!(told(&folders).await, "a rename");
    }
}
