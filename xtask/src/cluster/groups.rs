//! Control groups of the cluster's pods: one group of its own in each hierarchy, taken away at the end.
//!
//! The kernel keeps a group after its last process; they are the only thing of a cluster that does not end by itself.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

const ROOT: &str = "/sys/fs/cgroup";
const GLANCE: Duration = Duration::from_millis(100);
const EMPTY: Duration = Duration::from_secs(10);

/// Makes the group; the kubelet wants the one it is told to exist.
pub(super) fn make(name: &str) -> Result<()> {
    for group in everywhere(name)? {
        fs::create_dir_all(&group).with_context(|| format!("cannot make {}", group.display()))?;
        inherit(&group)?;
    }
    Ok(())
}

/// Removes the group once its processes are gone.
pub(super) fn remove(name: &str) -> Result<()> {
    let until = Instant::now() + EMPTY;
    for group in everywhere(name)? {
        while group.exists() {
            if take_away(&group).is_err() && Instant::now() >= until {
                bail!("{} still holds processes", group.display());
            }
            thread::sleep(GLANCE);
        }
    }
    Ok(())
}

/// Version 1 has a hierarchy for each controller, version 2 one for all.
fn everywhere(name: &str) -> Result<Vec<PathBuf>> {
    if Path::new(ROOT).join("cgroup.controllers").exists() {
        return Ok(vec![Path::new(ROOT).join(name)]);
    }
    let mut groups = Vec::new();
    for hierarchy in fs::read_dir(ROOT).with_context(|| format!("cannot read {ROOT}"))? {
        let hierarchy = hierarchy?;
        if hierarchy.file_type()?.is_dir() {
            groups.push(hierarchy.path().join(name));
        }
    }
    Ok(groups)
}

/// A new group of version 1 has no processors and no memory nodes until it is given its parent's.
fn inherit(group: &Path) -> Result<()> {
    let parent = group.parent().context("a control group has a parent")?;
    for file in ["cpuset.cpus", "cpuset.mems"] {
        let from = parent.join(file);
        if from.exists() && group.join("cgroup.clone_children").exists() {
            fs::write(group.join(file), fs::read_to_string(&from)?.trim())
                .with_context(|| format!("cannot set {file} of {}", group.display()))?;
        }
    }
    Ok(())
}

/// Deepest first.
fn take_away(group: &Path) -> Result<()> {
    for entry in fs::read_dir(group)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            take_away(&entry.path())?;
        }
    }
    Ok(fs::remove_dir(group)?)
}
