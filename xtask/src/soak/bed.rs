//! What a soak runs on: three guards of the real binary, one before each kind of server, on ports that outlive a restart.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::process::{self, Service};
use crate::workspace;

const READY: Duration = Duration::from_secs(30);

/// The server over HTTP, and where it listens.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) address: SocketAddr,
    _service: Service,
}

/// One guard.
#[derive(Debug)]
pub(super) struct Guard {
    pub(super) name: &'static str,
    pub(super) address: SocketAddr,
    pub(super) admin: SocketAddr,
    pub(super) state: PathBuf,
    /// File with a line for each call that ran behind this guard.
    pub(super) ledger: PathBuf,
    pub(super) linked: bool,
    up: Command,
    log: PathBuf,
    service: Option<Service>,
}

/// Programs and folders of one run.
#[derive(Debug)]
pub(super) struct Bed {
    pub(super) folder: PathBuf,
    pub(super) sallyport: PathBuf,
    pub(super) soak: PathBuf,
    pub(super) guards: Vec<Guard>,
    servers: Vec<Server>,
}

impl Server {
    fn start(soak: &Path, ledger: &Path) -> Result<Self> {
        let mut command = Command::new(soak);
        command
            .arg("serve")
            .arg("--ledger")
            .arg(ledger)
            .stdout(Stdio::piped());
        let mut service = Service::spawn(&mut command)?;
        let stdout = service
            .child()
            .stdout
            .take()
            .context("the server's stdout")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        let address = line.trim().parse().context("the server's address")?;
        Ok(Self {
            address,
            _service: service,
        })
    }
}

impl Bed {
    /// Starts everything.
    pub(super) fn make(folder: &Path, sallyport: PathBuf, soak: PathBuf) -> Result<Self> {
        let mut bed = Self {
            folder: folder.to_path_buf(),
            sallyport,
            soak,
            guards: Vec::new(),
            servers: Vec::new(),
        };
        bed.policy("policy-left.yaml")?;
        for (name, path) in [("http", "/mcp"), ("sse", "/sse")] {
            let ledger = folder.join(format!("{name}.ledger"));
            let server = Server::start(&bed.soak, &ledger)?;
            let upstream = [
                "--upstream".into(),
                format!("http://{}{path}", server.address),
            ];
            bed.guard(name, ledger, &upstream)?;
            bed.servers.push(server);
        }
        let ledger = folder.join("stdio.ledger");
        let words = [
            "--",
            &bed.soak.to_string_lossy(),
            "stdio",
            "--ledger",
            &ledger.to_string_lossy(),
        ];
        let words = words.map(str::to_owned);
        bed.guard("stdio", ledger, &words)?;
        Ok(bed)
    }

    /// Puts a policy in force, in one step.
    pub(super) fn policy(&self, file: &str) -> Result<()> {
        let text = fs::read(workspace::root().join("xtask/soak").join(file))?;
        let policies = self.folder.join("policies");
        fs::create_dir_all(&policies)?;
        let next = self.folder.join("next");
        fs::write(&next, text)?;
        Ok(fs::rename(next, policies.join("policy.yaml"))?)
    }

    fn guard(&mut self, name: &'static str, ledger: PathBuf, upstream: &[String]) -> Result<()> {
        let at = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));
        let (address, admin) = (at(process::free_port()?), at(process::free_port()?));
        let state = self.folder.join(name);
        let mut up = Command::new(&self.sallyport);
        up.args([
            "up",
            "--listen",
            &address.to_string(),
            "--admin",
            &admin.to_string(),
        ]);
        up.arg("-f").arg(self.folder.join("policies"));
        up.arg("--state").arg(&state).args(upstream);
        File::create(&ledger)?;
        let mut guard = Guard {
            name,
            address,
            admin,
            ledger,
            linked: name != "http",
            up,
            log: state.with_extension("log"),
            state,
            service: None,
        };
        guard.start()?;
        self.guards.push(guard);
        Ok(())
    }

    /// Asks the servers to close what is idle: what the guard then still holds is the guard's own.
    pub(super) fn quiet(&self) -> Result<()> {
        for server in &self.servers {
            super::watch::get(server.address, "/control/quiet")?;
        }
        Ok(())
    }
}

impl Guard {
    /// Starts the guard on its folder and ports, whatever the last one left there.
    pub(super) fn start(&mut self) -> Result<()> {
        let log = File::options().create(true).append(true).open(&self.log)?;
        self.up.stdout(log.try_clone()?).stderr(log);
        let mut service = Service::spawn(&mut self.up)?;
        let until = Instant::now() + READY;
        loop {
            let ready = super::watch::get(self.admin, "/readyz");
            if ready.is_ok_and(|text| text.starts_with("ready"))
                && TcpStream::connect(self.address).is_ok()
            {
                self.service = Some(service);
                return Ok(());
            }
            if let Some(status) = service.child().try_wait()? {
                bail!(
                    "the guard before {} ended at once ({status}): {}",
                    self.name,
                    self.log()?
                );
            }
            if Instant::now() > until {
                bail!("the guard before {} is not ready", self.name);
            }
            std::thread::sleep(Duration::from_millis(15));
        }
    }

    pub(super) fn process(&mut self) -> Result<u32> {
        let service = self.service.as_mut().context("no guard runs")?;
        Ok(service.child().id())
    }

    /// `kill -9`, and waits until it is gone.
    pub(super) fn kill(&mut self) -> Result<()> {
        let service = self.service.as_mut().context("no guard runs")?;
        service.child().kill()?;
        service.child().wait()?;
        self.service = None;
        Ok(())
    }

    /// SIGTERM; how long it took to end, at most `limit`.
    pub(super) fn terminate(&mut self, limit: Duration) -> Result<Duration> {
        let began = Instant::now();
        let mut service = self.service.take().context("no guard runs")?;
        process::terminate(service.child())?;
        while began.elapsed() < limit {
            if let Some(status) = service.child().try_wait()? {
                if status.success() {
                    return Ok(began.elapsed());
                }
                bail!("the guard before {} ended with {status}", self.name);
            }
            std::thread::sleep(Duration::from_millis(15));
        }
        bail!(
            "the guard before {} still runs {} s after SIGTERM",
            self.name,
            limit.as_secs()
        )
    }

    pub(super) fn log(&self) -> Result<String> {
        Ok(String::from_utf8_lossy(&fs::read(&self.log)?).into_owned())
    }
}
