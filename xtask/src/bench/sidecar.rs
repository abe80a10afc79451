//! The pod's binary as injection starts it: a signed policy from a folder, one JSON line a call on stdout.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::Field;
use crate::process::Service;

/// Starts it and waits until it says that it serves. `gateway` is one of those that were prepared.
pub(crate) fn start(field: &Field, gateway: &str, home: &Path) -> Result<(Service, SocketAddr)> {
    fs::create_dir_all(home)?;
    let mut command = Command::new(&field.sidecar);
    command
        .arg("--bundle")
        .arg(field.folder.join("bundle").join(gateway));
    command.arg("--root-key").arg(field.folder.join("root"));
    command.args(["--gateway", &format!("default/{gateway}")]);
    command.args(["--gateway-uid", gateway, "--listen", "127.0.0.1:0"]);
    command.arg("--state").arg(home.join("state"));
    command.args(["--upstream", &format!("http://{}/mcp", field.server)]);
    // The runtime reads it: one worker, as the others have.
    command.env("TOKIO_WORKER_THREADS", "1");
    command.stdout(File::create(home.join("audit.log"))?);
    let mut service = Service::spawn(command.stderr(Stdio::piped()))?;
    let stderr = service
        .child()
        .stderr
        .take()
        .context("the sidecar's stderr")?;
    let mut said = String::new();
    let mut lines = BufReader::new(stderr).lines();
    for line in lines.by_ref() {
        let line = line?;
        let event: Value = serde_json::from_str(&line).unwrap_or_default();
        if let Some(address) = event.get("address").and_then(Value::as_str) {
            let address = address.parse()?;
            // Whoever logs later must not meet a closed pipe.
            std::thread::spawn(move || lines.map_while(Result::ok).count());
            return Ok((service, address));
        }
        said.push_str(&line);
    }
    bail!("the sidecar does not start: {said}")
}
