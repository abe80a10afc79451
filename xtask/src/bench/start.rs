//! What is measured without any load: how long a start takes, what an idle process holds, how large a binary is.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::contestants::{self, ENVOY, NGINX};
use super::{Field, envoy, nginx, sidecar, used};
use crate::console::say;
use crate::process::Service;

/// Starts of each; the middle one counts.
const TIMES: usize = 5;
/// What a start leaves behind settles within it.
const REST: Duration = Duration::from_millis(300);

pub(crate) const UP: &str = "sallyport up";
pub(crate) const SIDECAR: &str = "sallyport-sidecar";

/// One program at rest.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Start {
    pub(crate) name: &'static str,
    /// From starting the process until it serves, milliseconds.
    pub(crate) millis: f64,
    /// Resident, KiB.
    pub(crate) idle: u64,
}

/// All programs at rest, and the size of ours on the disk.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Starts {
    pub(crate) all: Vec<Start>,
    /// Bytes of the stripped `sallyport-sidecar`.
    pub(crate) size: u64,
}

impl Starts {
    pub(crate) fn of(&self, name: &str) -> Option<&Start> {
        self.all.iter().find(|start| start.name == name)
    }
}

pub(crate) fn measure(field: &Field) -> Result<Starts> {
    say("starts");
    let keys = std::fs::read_to_string(field.folder.join("jwks.json"))?;
    let home = |kind: &str, time: usize| field.folder.join(format!("start-{kind}-{time}"));
    let all = vec![
        several(NGINX, |time| {
            service(nginx::start(field.server, &home("nginx", time)))
        })?,
        several(ENVOY, |time| {
            service(envoy::start(field.server, &keys, &home("envoy", time)))
        })?,
        several(UP, |time| {
            let mut guard = contestants::up(field, "strict", &format!("start-{time}"))?;
            Ok((guard.process(), Box::new(guard) as Box<dyn Running>))
        })?,
        several(SIDECAR, |time| {
            service(sidecar::start(field, "strict", &home("sidecar", time)))
        })?,
    ];
    Ok(Starts {
        all,
        size: stripped(&field.sidecar, &field.folder)?,
    })
}

/// Something that runs until it is dropped.
trait Running {}
impl Running for Service {}
impl Running for crate::guard::Guard {}

type Started = (u32, Box<dyn Running>);

fn service<T>(started: Result<(Service, T)>) -> Result<Started> {
    let (mut service, _) = started?;
    Ok((service.child().id(), Box::new(service)))
}

fn several(name: &'static str, start: impl Fn(usize) -> Result<Started>) -> Result<Start> {
    let mut took = Vec::new();
    let mut idle = Vec::new();
    for time in 0..TIMES {
        let began = Instant::now();
        let (process, running) = start(time).context(name)?;
        took.push(began.elapsed());
        std::thread::sleep(REST);
        idle.push(used::memory(process)?);
        drop(running);
    }
    took.sort_unstable();
    idle.sort_unstable();
    let middle = took.get(TIMES / 2).context("a start")?;
    Ok(Start {
        name,
        millis: middle.as_secs_f64() * 1000.0,
        idle: *idle.get(TIMES / 2).context("a start")?,
    })
}

/// The size without symbols, as an image would hold it.
fn stripped(binary: &Path, folder: &Path) -> Result<u64> {
    let small = folder.join("stripped");
    let status = Command::new("strip")
        .arg("-o")
        .arg(&small)
        .arg(binary)
        .status()
        .context("`strip` of binutils")?;
    anyhow::ensure!(status.success(), "`strip` failed");
    Ok(std::fs::metadata(&small)?.len())
}
