//! What runs beside the suite: the fixture, the guard before it, and the forwarder that adds a token.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::guard::{self, Guard, Upstream};
use crate::process::Service;
use crate::setup::Node;
use crate::workspace::{self, Profile};

use super::Run;
use super::suite::{Checks, Suite};

const READY_LIMIT: Duration = Duration::from_secs(30);

/// What all runs share.
#[derive(Debug)]
pub(crate) struct Bed {
    pub(crate) suite: Suite,
    pub(crate) node: PathBuf,
    /// Client, wrapper and forwarder, beside the packages that they import.
    pub(crate) scripts: PathBuf,
    pub(crate) sallyport: PathBuf,
    fixture: PathBuf,
    folder: TempDir,
    made: AtomicUsize,
}

impl Bed {
    pub(crate) fn set_up() -> Result<Self> {
        let node = Node::installed()?;
        let folder = tempfile::Builder::new()
            .prefix("sallyport-conformance-")
            .tempdir()?;
        let built =
            |package, binary| workspace::build(package, binary, Profile::Dev, folder.path());
        Ok(Self {
            suite: Suite::installed(&node)?,
            scripts: node.conformance()?,
            node: node.program(),
            sallyport: built("sallyport-cli", "sallyport")?,
            fixture: built("sallyport-fixture", "sallyport-fixture")?,
            folder,
            made: AtomicUsize::new(0),
        })
    }

    /// The suite before a server of its own.
    pub(crate) fn straight(&self, set: &str) -> Result<Checks> {
        let place = self.place("straight")?;
        let server = self.server(&place)?;
        self.suite.server(&server.url, set, &place.join("checks"))
    }

    /// The suite before a guard before a server of its own.
    pub(crate) fn through(&self, run: Run, set: &str) -> Result<Checks> {
        let place = self.place(&run.to_string())?;
        let server = self.server(&place)?;
        let mut guard = Guard::start(&guard::Plan {
            binary: &self.sallyport,
            policy: &policy(),
            gateway: &run.to_string(),
            state: &place.join("state"),
            secrets: &[],
            upstream: Upstream::Url(server.url),
            env: &[],
            flags: &[],
        })?;
        let checks = match run {
            Run::Anonymous | Run::Masking | Run::Filtering => {
                self.suite.server(&guard.url, set, &place.join("checks"))?
            }
            Run::Token => {
                let forwarder = self.forwarder(&guard)?;
                self.suite
                    .server(&forwarder.url, set, &place.join("checks"))?
            }
        };
        guard.stop()?;
        // What was recorded on the way proves itself.
        guard.command(&["verify"])?;
        Ok(checks)
    }

    /// A folder that nobody else uses.
    pub(crate) fn place(&self, name: &str) -> Result<PathBuf> {
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        let place = self.folder.path().join(format!("{number}-{name}"));
        std::fs::create_dir_all(&place)?;
        Ok(place)
    }

    fn server(&self, place: &Path) -> Result<Listening> {
        let log = std::fs::File::create(place.join("server.log"))?;
        Listening::start(Command::new(&self.fixture).stderr(log)).context("the fixture")
    }

    fn forwarder(&self, guard: &Guard) -> Result<Listening> {
        let token = guard.token("the-suite", "testers")?;
        let mut command = Command::new(&self.node);
        command
            .arg(self.scripts.join("forward.mjs"))
            .arg(&guard.url);
        Listening::start(command.env("FORWARD_TOKEN", token)).context("the forwarder")
    }
}

/// The policy of every run.
pub(crate) fn policy() -> PathBuf {
    workspace::root().join("xtask/conformance/policy.yaml")
}

/// A program that told its address on the first line of its stdout.
struct Listening {
    url: String,
    _service: Service,
}

impl Listening {
    fn start(command: &mut Command) -> Result<Self> {
        let mut service = Service::spawn(command.stdout(Stdio::piped()))?;
        let stdout = service.child().stdout.take().context("its stdout")?;
        let (sender, receiver) = mpsc::channel();
        std::thread::spawn(move || {
            let mut line = String::new();
            if BufReader::new(stdout).read_line(&mut line).is_ok() {
                sender.send(line).ok();
            }
        });
        let line = receiver
            .recv_timeout(READY_LIMIT)
            .context("it is not ready")?;
        let url = line
            .split_whitespace()
            .find_map(|word| word.strip_prefix("url="))
            .with_context(|| format!("no url in `{line}`"))?;
        Ok(Self {
            url: url.to_owned(),
            _service: service,
        })
    }
}
