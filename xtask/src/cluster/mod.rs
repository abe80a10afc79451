//! `cargo xtask cluster`: a real Kubernetes cluster of one node, in namespaces of its own.
//!
//! API server, etcd, controller manager, scheduler, kubelet, kube-proxy, containerd and CoreDNS are the real ones. The
//! machine outside is not changed: mounts, network and processes are the cluster's own and end with it.

mod authority;
mod config;
mod groups;
mod images;
mod layout;
mod life;
mod node;
mod parts;
mod steps;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Subcommand;

use crate::console::say;
use crate::process;
use crate::tally::{Count, Tally};
use crate::workspace::{self, Profile};
use layout::{Layout, NODE, text};
use life::Life;
use steps::step;

/// From the first process to a node that takes pods.
const UP: Duration = Duration::from_secs(180);
const GLANCE: Duration = Duration::from_millis(200);
/// All cases, several minutes on two cores.
const CASES: Duration = Duration::from_secs(1800);
/// One question to the API server, or one word to the container runtime.
const WORD: Duration = Duration::from_secs(120);

/// What to do with the cluster.
#[derive(Debug, Subcommand)]
pub(crate) enum Action {
    /// Starts it, and installs what it needs the first time; does nothing where it runs.
    Up,
    /// Ends it and removes what it wrote.
    Down,
    /// Says whether it runs, where its logs are, and how its node and pods are.
    Status,
    /// A shell inside, or one command, with `KUBECONFIG` set: `cargo xtask cluster sh kubectl get pods -A`.
    Sh {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        command: Vec<String>,
    },
    /// Builds the images, ours and those of the tests, and puts them on the node; says what pods call them.
    Load,
    /// Shows on the cluster what Sallyport does, case by case; starts it and loads the images first.
    Test {
        /// Only cases whose name contains this text.
        #[arg(long)]
        only: Option<String>,
    },
    /// The first process inside; started by `up`.
    #[command(hide = true)]
    Node { state: PathBuf },
}

pub(crate) fn run(action: Action) -> Result<bool> {
    match action {
        Action::Up => up().map(|()| true),
        Action::Down => down().map(|()| true),
        Action::Status => status(),
        Action::Sh { command } => sh(&command).map(|status| status.success()),
        Action::Load => load().map(|()| true),
        Action::Test { only } => test(only.as_deref()),
        Action::Node { state } => node::run(&Layout { state }, dual_stack()).map(|()| true),
    }
}

fn layout() -> Result<Layout> {
    let state = workspace::target()?.join("cluster");
    Ok(Layout { state })
}

fn up() -> Result<()> {
    if !rustix::process::geteuid().is_root() {
        bail!(
            "a cluster needs namespaces of its own, which only root can make here: run it as root"
        );
    }
    let layout = layout()?;
    if let Some(life) = Life::found(layout.clone()) {
        say(&format!("the cluster runs already (process {})", life.pid));
        return wait(&life);
    }
    let began = Instant::now();
    let programs = step("programs are there", parts::installed)?;
    step("keys and configuration", || prepare(&layout, &programs))?;
    let life = Life::begin(layout)?;
    say(&format!(
        "           process {}; logs in {}",
        life.pid,
        life.layout.logs().display()
    ));
    wait(&life)?;
    step("CoreDNS has its Service", || {
        kubectl(&life, &["apply", "-f", &life.layout.config("dns.yaml")])
    })?;
    say(&format!(
        "{:>7.1} s  in all: cargo xtask cluster sh kubectl get nodes",
        began.elapsed().as_secs_f64()
    ));
    Ok(())
}

/// Everything that the first process inside finds ready.
fn prepare(layout: &Layout, programs: &Path) -> Result<()> {
    groups::remove(&layout.group())?;
    clear(&layout.state)?;
    for folder in [layout.logs(), layout.images()] {
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    symlink(programs, layout.programs())?;
    config::write_all(layout, dual_stack())?;
    groups::make(&layout.group())?;
    images::pause(programs, &layout.images())
}

/// Until the cluster takes pods; each stage is told with its seconds.
fn wait(life: &Life) -> Result<()> {
    let node = [
        "wait",
        "--for=condition=Ready",
        "--timeout=10s",
        "node",
        NODE,
    ];
    step("the API server answers", || {
        until(life, || kubectl(life, &["get", "--raw=/readyz"]))
    })?;
    step("the node is ready", || until(life, || kubectl(life, &node)))?;
    step("pods can be made", || {
        until(life, || {
            kubectl(life, &["get", "serviceaccount", "default"])
        })
    })
}

/// Asks again until it is so, within the time of `up` and while the cluster lives.
fn until(life: &Life, ask: impl Fn() -> Result<()>) -> Result<()> {
    let end = Instant::now() + UP;
    loop {
        let Err(error) = ask() else { return Ok(()) };
        if !life.goes_on() || Instant::now() >= end {
            return Err(error.context(format!("the logs are in {}", text(&life.layout.logs()))));
        }
        thread::sleep(GLANCE);
    }
}

fn kubectl(life: &Life, words: &[&str]) -> Result<()> {
    let mut command = life.inside()?;
    command.arg("kubectl").args(words);
    process::run(&mut command, "", WORD)?.good("kubectl")?;
    Ok(())
}

fn down() -> Result<()> {
    let layout = layout()?;
    match Life::found(layout.clone()) {
        Some(life) => step("processes ended", || life.end())?,
        None => say("no cluster runs"),
    }
    step("control groups removed", || groups::remove(&layout.group()))?;
    step("files removed", || clear(&layout.state))
}

fn status() -> Result<bool> {
    let Some(life) = Life::found(layout()?) else {
        say("no cluster runs; `cargo xtask cluster up` starts one");
        return Ok(false);
    };
    say(&format!("the cluster runs (process {})", life.pid));
    say(&format!("logs        {}", life.layout.logs().display()));
    say(&format!(
        "kubeconfig  {} (inside: cargo xtask cluster sh)",
        life.layout.kubeconfig("admin")
    ));
    let mut ask = life.inside()?;
    let asked = ask.args(["kubectl", "get", "nodes,pods", "-A", "-o", "wide"]);
    Ok(asked.status().context("cannot start nsenter")?.success())
}

fn sh(command: &[String]) -> Result<ExitStatus> {
    let life =
        Life::found(layout()?).context("no cluster runs; `cargo xtask cluster up` starts one")?;
    let mut entered = life.inside()?;
    match command {
        [] => entered.arg(std::env::var_os("SHELL").unwrap_or_else(|| "/bin/sh".into())),
        words => entered.args(words),
    };
    entered.status().context("cannot start nsenter")
}

/// Puts every image on the node, under its tag and by its digest, and writes down which is which.
fn load() -> Result<()> {
    let life = found()?;
    let images = images::write_all(&life.layout.images())?;
    let known = ctr(&life, &["images", "ls", "-q"])?;
    let mut names = BTreeMap::new();
    for (name, image) in &images {
        if !known.lines().any(|line| line == image.by_digest) {
            step(&format!("{name} is on the node"), || import(&life, image))?;
        }
        names.insert(name, &image.by_digest);
    }
    let list = serde_json::to_string_pretty(&names)?;
    say(&list);
    let file = images_list(&life.layout);
    fs::write(&file, list).with_context(|| format!("cannot write {}", file.display()))
}

/// Runs the cases inside the cluster's network, where its API server is. True: everything was seen.
pub(crate) fn test(only: Option<&str>) -> Result<bool> {
    let mut cases = cases(only)?;
    let status = cases.status().context("cannot start nsenter")?;
    Ok(status.success())
}

/// The cases as a judge of `cargo xtask test`. Unless they were asked for, what they run on must have been built before.
pub(crate) fn judge(tally: &mut Tally, asked: bool) {
    match unready() {
        Ok(Some(why)) if !asked => tally.step("a real cluster", || Ok(Count::none(why))),
        Ok(_) => tally.judge("cluster", |tally| {
            tally.step("a real cluster", all);
            Ok("everything was seen".into())
        }),
        Err(error) => tally.step("a real cluster", || Err(error)),
    }
}

/// All cases; a cluster that was not there before is ended afterwards.
fn all() -> Result<Count> {
    let ran_before = Life::found(layout()?).is_some();
    let said = process::run(&mut cases(None)?, "", CASES)?;
    say(said.stdout.trim_end());
    if !ran_before {
        down()?;
    }
    counted(&said.stdout).context("the cases did not run to their end")
}

/// Why the cases cannot be run at once.
fn unready() -> Result<Option<&'static str>> {
    if !rustix::process::geteuid().is_root() {
        return Ok(Some("NOT CHECKED: a cluster needs root"));
    }
    let built = parts::built()?;
    Ok((!built).then_some(
        "NOT CHECKED: Kubernetes is not built here yet; `cargo xtask test --only cluster` does it",
    ))
}

/// `12 of 14 outcomes seen in 80 s`, the last line.
fn counted(said: &str) -> Option<Count> {
    let mut words = said.lines().last()?.split(' ');
    let seen = words.next()?.parse().ok()?;
    let told: usize = words.nth(1)?.parse().ok()?;
    Some(Count {
        passed: seen,
        failed: told.checked_sub(seen)?,
        note: format!("{seen} of {told} outcomes"),
    })
}

/// The program that runs the cases, in a cluster that is up and has the images.
fn cases(only: Option<&str>) -> Result<Command> {
    up()?;
    load()?;
    let life = found()?;
    let helm = parts::helm()?;
    workspace::build_all(&[("sallyport-e2e", "sallyport-e2e")], Profile::Dev)?;
    let program = workspace::copy("sallyport-e2e", Profile::Dev, &life.layout.state)?;
    let mut command = life.inside_with(helm.parent())?;
    command
        .arg(program)
        .arg("--images")
        .arg(images_list(&life.layout))
        .arg("--chart")
        .arg(workspace::root().join("charts/sallyport"));
    if let Some(text) = only {
        command.args(["--only", text]);
    }
    Ok(command)
}

/// Which image has which digest.
fn images_list(layout: &Layout) -> PathBuf {
    layout.images().join("images.json")
}

/// Containerd knows an imported image by its tag alone; pods that name a digest want a name of their own for it.
fn import(life: &Life, image: &images::Written) -> Result<()> {
    ctr(life, &["images", "import", &text(&image.archive)])?;
    ctr(
        life,
        &["images", "tag", "--force", &image.tag, &image.by_digest],
    )?;
    Ok(())
}

fn ctr(life: &Life, words: &[&str]) -> Result<String> {
    let mut command = life.inside()?;
    command.arg("ctr").args(words);
    process::run(&mut command, "", WORD)?.good("ctr")
}

fn found() -> Result<Life> {
    Life::found(layout()?).context("no cluster runs; `cargo xtask cluster up` starts one")
}

/// Whether the kernel gives network namespaces IPv6.
fn dual_stack() -> bool {
    Path::new("/proc/net/if_inet6").exists()
}

fn clear(state: &Path) -> Result<()> {
    match fs::remove_dir_all(state) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", state.display()))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::counted;

    #[test]
    fn outcomes_are_counted_from_the_last_line() {
        let count = counted("    ok  this\n\n12 of 14 outcomes seen in 80 s\n");
        assert_eq!(count.map(|it| (it.passed, it.failed)), Some((12, 2)));
        assert!(counted("error: no cluster\n").is_none());
        assert!(counted("").is_none());
    }
}
