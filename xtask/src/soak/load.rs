//! One load: the clients as a process of their own, and what they report.

use std::fs;
use std::io::Read;
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, Receiver, TryRecvError};
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::json;

use super::bed::Bed;
use super::report::Report;
use crate::process::Service;

/// What a client may take beyond the end: its last step and its limit.
const BEYOND: Duration = Duration::from_secs(120);

#[derive(Debug)]
pub(super) struct Load {
    run: String,
    seconds: u64,
    clients: u32,
    seed: u64,
    outages: bool,
    calm: bool,
}

/// A load at work; ended when dropped.
#[derive(Debug)]
pub(super) struct Running {
    _service: Service,
    text: Receiver<String>,
    seconds: u64,
    early: std::cell::OnceCell<String>,
}

impl Load {
    pub(super) fn of(run: &str, seconds: u64, clients: u32, seed: u64) -> Self {
        Self {
            run: run.to_owned(),
            seconds,
            clients,
            seed,
            outages: false,
            calm: false,
        }
    }

    pub(super) fn with_outages(mut self) -> Self {
        self.outages = true;
        self
    }

    pub(super) fn calmly(mut self) -> Self {
        self.calm = true;
        self
    }

    pub(super) fn run(self, bed: &Bed) -> Result<Report> {
        self.start(bed)?.report()
    }

    pub(super) fn start(self, bed: &Bed) -> Result<Running> {
        let plan = bed.folder.join(format!("plan-{}.json", self.run));
        fs::write(&plan, self.plan(bed).to_string())?;
        let mut command = Command::new(&bed.soak);
        command
            .arg("load")
            .arg("--plan")
            .arg(&plan)
            .stdout(Stdio::piped());
        let mut service = Service::spawn(&mut command)?;
        let mut stdout = service.child().stdout.take().context("the load's stdout")?;
        let (sender, text) = mpsc::channel();
        std::thread::spawn(move || {
            let mut text = String::new();
            let read = stdout.read_to_string(&mut text);
            // Nobody waits for it any more where the run was given up.
            read.is_ok().then(|| sender.send(text).ok())
        });
        Ok(Running {
            _service: service,
            text,
            seconds: self.seconds,
            early: std::cell::OnceCell::new(),
        })
    }

    /// Half of the clients over HTTP, the rest over the two kinds of pipes; a process a session is the dearest.
    fn plan(&self, bed: &Bed) -> serde_json::Value {
        let targets = bed.guards.iter().map(|guard| {
            let share = match guard.name {
                "http" => self.clients - self.clients / 4 - self.clients / 5,
                "sse" => self.clients / 4,
                _ => self.clients / 5,
            };
            json!({
                "name": guard.name, "address": guard.address, "linked": guard.linked,
                "state": guard.state, "clients": share,
            })
        });
        json!({
            "run": self.run, "seconds": self.seconds, "seed": self.seed, "calm": self.calm,
            "outages": self.outages, "targets": targets.collect::<Vec<_>>(),
        })
    }
}

impl Running {
    pub(super) fn is_running(&self) -> bool {
        match self.text.try_recv() {
            Ok(text) => {
                self.early.get_or_init(|| text);
                false
            }
            Err(TryRecvError::Empty) => true,
            Err(TryRecvError::Disconnected) => false,
        }
    }

    pub(super) fn report(mut self) -> Result<Report> {
        let limit = Duration::from_secs(self.seconds) + BEYOND;
        let text = match self.early.take() {
            Some(text) => text,
            None => self
                .text
                .recv_timeout(limit)
                .context("the load does not end")?,
        };
        serde_json::from_str(&text).with_context(|| format!("the load's report: {text}"))
    }
}
