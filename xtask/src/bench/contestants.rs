//! Who is measured: the server alone, nginx that passes everything through, and the guard.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::guard::{self, Guard, Upstream};
use crate::process::{self, Service};
use crate::{setup, workspace};

const START_LIMIT: Duration = Duration::from_secs(10);

/// One that takes part.
#[derive(Debug)]
pub(crate) struct Contestant {
    pub(crate) name: String,
    pub(crate) address: SocketAddr,
    pub(crate) token: Option<String>,
    /// None for the server alone: nothing stands between.
    process: Option<u32>,
    _kept: Kept,
}

/// What runs as long as its contestant takes part.
#[derive(Debug)]
enum Kept {
    Nothing,
    Nginx { _service: Service },
    Guard { _guard: Guard },
}

/// What a process has used.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Used {
    /// Clock ticks in user and kernel mode; hundredths of a second on Linux.
    ticks: u64,
    /// Resident memory, KiB.
    pub(crate) memory: u64,
}

impl Used {
    pub(crate) fn since(self, before: &Self) -> Self {
        Self {
            ticks: self.ticks.saturating_sub(before.ticks),
            memory: self.memory,
        }
    }

    pub(crate) fn microseconds(self) -> u64 {
        self.ticks * 10_000
    }
}

impl Contestant {
    pub(crate) fn used(&self) -> Result<Used> {
        self.process.map_or(Ok(Used::default()), of_process)
    }

    pub(crate) fn is_measured(&self) -> bool {
        self.process.is_some()
    }
}

/// All of them, before the same server.
pub(crate) fn all(server: SocketAddr, sallyport: &Path, folder: &Path) -> Result<Vec<Contestant>> {
    Ok(vec![
        Contestant {
            name: "server alone".into(),
            address: server,
            token: None,
            process: None,
            _kept: Kept::Nothing,
        },
        nginx(server, folder)?,
        sallyport_as(
            "no-recording",
            "sallyport, recording off",
            server,
            sallyport,
            folder,
        )?,
        sallyport_as(
            "everything-on",
            "sallyport, everything on",
            server,
            sallyport,
            folder,
        )?,
    ])
}

fn nginx(server: SocketAddr, folder: &Path) -> Result<Contestant> {
    let program = setup::nginx()?;
    let port = process::free_port()?;
    let home = folder.join("nginx");
    fs::create_dir_all(&home)?;
    let file = home.join("nginx.conf");
    fs::write(&file, configuration(server, port, &home))?;
    let mut command = Command::new(program);
    command.arg("-p").arg(&home).arg("-c").arg(&file);
    let mut service = Service::start(&mut command, &home.join("nginx.log"))?;
    process::listening(&mut service, port, START_LIMIT).context("nginx")?;
    Ok(Contestant {
        name: "nginx, passing through".into(),
        address: SocketAddr::from(([127, 0, 0, 1], port)),
        token: None,
        process: Some(service.child().id()),
        _kept: Kept::Nginx { _service: service },
    })
}

/// One process, no log, connections to the server kept: as little work as nginx can have.
fn configuration(server: SocketAddr, port: u16, home: &Path) -> String {
    let home = home.display();
    format!(
        "daemon off;\nmaster_process off;\nworker_processes 1;\npid {home}/pid;\nerror_log stderr error;\n\
         events {{ worker_connections 256; }}\n\
         http {{\n  access_log off;\n  tcp_nodelay on;\n  keepalive_requests 1000000;\n\
         \x20 client_body_temp_path {home}/body;\n  proxy_temp_path {home}/proxy;\n  fastcgi_temp_path {home}/f;\n\
         \x20 uwsgi_temp_path {home}/u;\n  scgi_temp_path {home}/s;\n\
         \x20 upstream trivial {{ server {server}; keepalive 64; keepalive_requests 1000000; }}\n\
         \x20 server {{\n    listen 127.0.0.1:{port};\n    location / {{\n      proxy_pass http://trivial;\n\
         \x20     proxy_http_version 1.1;\n      proxy_set_header Connection \"\";\n    }}\n  }}\n}}\n"
    )
}

fn sallyport_as(
    gateway: &'static str,
    name: &str,
    server: SocketAddr,
    sallyport: &Path,
    folder: &Path,
) -> Result<Contestant> {
    let mut guard = Guard::start(&guard::Plan {
        binary: sallyport,
        policy: &workspace::root().join("xtask/bench/policy.yaml"),
        gateway,
        state: &folder.join(gateway),
        secrets: &[],
        upstream: Upstream::Url(format!("http://{server}/mcp")),
        // The runtime reads it: one worker, as nginx has.
        env: &[
            ("TOKIO_WORKER_THREADS", "1".to_owned()),
            ("SALLYPORT_LOG", "warn".to_owned()),
        ],
        flags: &[],
    })?;
    let address = guard
        .url
        .trim_start_matches("http://")
        .trim_end_matches("/mcp")
        .parse()?;
    Ok(Contestant {
        name: name.to_owned(),
        address,
        token: Some(guard.token("ada@example.com", "stock-clerks")?),
        process: Some(guard.process()),
        _kept: Kept::Guard { _guard: guard },
    })
}

/// From `/proc/PID/stat` and `/proc/PID/status`.
fn of_process(process: u32) -> Result<Used> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
    // The program's name stands in brackets and may hold anything; what follows the last one is numbers.
    let numbers = stat.rsplit(')').next().unwrap_or_default();
    let number = |index| {
        numbers
            .split_whitespace()
            .nth(index)
            .and_then(|text| text.parse::<u64>().ok())
    };
    let ticks = number(11)
        .zip(number(12))
        .map(|(user, system)| user + system);
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let memory = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let memory = memory.and_then(|text| text.split_whitespace().next()?.parse().ok());
    Ok(Used {
        ticks: ticks.context("no times in /proc")?,
        memory: memory.context("no memory in /proc")?,
    })
}
