//! The cluster's first process: started, found again, entered, ended.
//!
//! Everything of the cluster lives in the namespaces of this one process, and ends with it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::layout::{self, Layout};

const GLANCE: Duration = Duration::from_millis(100);
const END: Duration = Duration::from_secs(20);

/// A cluster that runs.
#[derive(Debug)]
pub(super) struct Life {
    pub(super) layout: Layout,
    /// The process outside that waits for the first one inside.
    pub(super) pid: u32,
}

impl Life {
    /// The cluster of this folder, where it still is the one that was started.
    pub(super) fn found(layout: Layout) -> Option<Self> {
        let text = fs::read_to_string(pid_file(&layout.state)).ok()?;
        let (pid, started) = text.split_once(' ')?;
        let pid = pid.parse().ok()?;
        (start_time(pid)? == started.trim()).then_some(Self { layout, pid })
    }

    /// Starts the node's first process in namespaces of its own; it outlives this command.
    pub(super) fn begin(layout: Layout) -> Result<Self> {
        let log = File::create(layout.logs().join("node.log"))?;
        let mut command = Command::new("setsid");
        command
            .args(["unshare", "--mount", "--net", "--pid", "--ipc", "--uts"])
            .args(["--propagation", "private", "--mount-proc"])
            .args(["--fork", "--kill-child=SIGKILL"])
            .arg(std::env::current_exe()?)
            .args(["cluster", "node"])
            .arg(&layout.state)
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        let child = command.spawn().context("cannot start unshare")?;
        let pid = child.id();
        let started = start_time(pid).context("the cluster's first process ended at once")?;
        fs::write(pid_file(&layout.state), format!("{pid} {started}"))?;
        Ok(Self { layout, pid })
    }

    pub(super) fn goes_on(&self) -> bool {
        start_time(self.pid).is_some()
    }

    /// A command inside the cluster's namespaces; the caller adds its words.
    pub(super) fn inside(&self) -> Result<Command> {
        self.inside_with(None)
    }

    /// The same, with programs of a further folder on the path.
    pub(super) fn inside_with(&self, further: Option<&Path>) -> Result<Command> {
        let first = child_of(self.pid).context("the cluster's first process is gone")?;
        let path = std::env::var_os("PATH").unwrap_or_default();
        let programs = [self.layout.programs()];
        let before = programs.into_iter().chain(further.map(PathBuf::from));
        let path = std::env::join_paths(before.chain(std::env::split_paths(&path)))?;
        let mut command = Command::new("nsenter");
        command
            .args(["--target", &first.to_string()])
            .args(["--mount", "--net", "--pid", "--ipc", "--uts"])
            .arg(format!("--wd={}", std::env::current_dir()?.display()))
            // `env` looks its program up inside, with the path that is given to it.
            .arg("env")
            .arg(format!("PATH={}", Path::new(&path).display()))
            .env("KUBECONFIG", self.layout.kubeconfig("admin"))
            .env("CONTAINERD_ADDRESS", layout::RUNTIME)
            .env("CONTAINERD_NAMESPACE", "k8s.io");
        Ok(command)
    }

    /// Ends the one process that all others of the cluster live under.
    pub(super) fn end(self) -> Result<()> {
        let raw = i32::try_from(self.pid)
            .ok()
            .and_then(rustix::process::Pid::from_raw)
            .context("a process id")?;
        rustix::process::kill_process(raw, rustix::process::Signal::KILL)?;
        let until = Instant::now() + END;
        while self.goes_on() {
            if Instant::now() >= until {
                bail!("process {} does not end", self.pid);
            }
            thread::sleep(GLANCE);
        }
        Ok(())
    }
}

/// The id of the process that all of the cluster lives under, and when it started: an id alone may be reused.
fn pid_file(state: &Path) -> PathBuf {
    state.join("node.pid")
}

/// The process that `unshare` waits for: the first one inside.
fn child_of(pid: u32) -> Option<u32> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
    children.split_whitespace().next()?.parse().ok()
}

/// When a process started, in the kernel's ticks; none where there is no such process.
fn start_time(pid: u32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name is in brackets and may hold anything; what follows the last one is numbers (proc(5)).
    let (_, rest) = stat.rsplit_once(')')?;
    if rest.split_whitespace().next() == Some("Z") {
        return None;
    }
    rest.split_whitespace().nth(19).map(str::to_owned)
}
