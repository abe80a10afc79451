//! What stands on the stage: the two servers, a guard before each, and Ada's client.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::client::{self, Place};
use crate::console::say;
use crate::guard::{self, Guard, Upstream};
use crate::process::{self, Service};
use crate::setup::{Node, Python};
use crate::workspace::{self, Profile};

const START_LIMIT: Duration = Duration::from_secs(30);

/// The servers' own credentials. Both are in the quickstart's `secret.yaml` under other values, which `--secret` overrides.
pub(crate) const DATABASE_TOKEN: &str = "database-credential-5f0c9a7d31";
pub(crate) const EVERYTHING_TOKEN: &str = "everything-credential-b81e6642c0";

/// What has to be installed and built before the curtain rises.
#[derive(Debug)]
pub(crate) struct Ready {
    node: Node,
    drivers: PathBuf,
    python: Python,
    sallyport: PathBuf,
}

/// A server that is to be guarded.
#[derive(Debug)]
struct Server {
    /// Its gateway in the quickstart.
    gateway: &'static str,
    secret: (&'static str, &'static str),
    upstream: Upstream,
    straight: Value,
    service: Option<Service>,
}

/// A guarded server, and Ada's way to it.
#[derive(Debug)]
pub(crate) struct Scene {
    pub(crate) guard: Guard,
    pub(crate) state: PathBuf,
    pub(crate) binary: PathBuf,
    /// The server without the guard, for comparison.
    straight: Value,
    node: PathBuf,
    drivers: PathBuf,
    token: String,
    _service: Option<Service>,
}

impl Ready {
    pub(crate) fn installed(folder: &Path) -> Result<Self> {
        say("Getting ready: Node, the SDKs, the two servers, and Sallyport itself.");
        let node = Node::installed()?;
        Ok(Self {
            drivers: node.drivers()?,
            node,
            python: Python::second()?,
            sallyport: workspace::build("sallyport-cli", "sallyport", Profile::Dev, folder)?,
        })
    }

    /// The quickstart's database, its server, and the guard.
    pub(crate) fn database(&self, folder: &Path) -> Result<Scene> {
        let file = folder.join("shop.duckdb");
        self.fill(&file)?;
        let port = process::free_port()?;
        let mut server = Command::new(self.python.script("mcp-server-motherduck"));
        server
            .arg("--db-path")
            .arg(&file)
            .args(["--read-write", "--transport", "http"]);
        server.args(["--host", "127.0.0.1", "--port", &port.to_string()]);
        // It would ask a registry for news of its framework.
        server
            .env("FASTMCP_CHECK_FOR_UPDATES", "off")
            .env("FASTMCP_SHOW_SERVER_BANNER", "false");
        let mut service = Service::start(&mut server, &folder.join("database-server.log"))?;
        process::listening(&mut service, port, START_LIMIT).context("mcp-server-motherduck")?;
        let url = format!("http://127.0.0.1:{port}/mcp");
        let straight = json!({ "transport": "http", "url": url });
        let server = Server {
            gateway: "database",
            secret: ("database-upstream/token", DATABASE_TOKEN),
            upstream: Upstream::Url(url),
            straight,
            service: Some(service),
        };
        self.scene(folder, server)
    }

    /// The reference server on stdio, and the guard.
    pub(crate) fn everything(&self, folder: &Path) -> Result<Scene> {
        let words = [self.node.program(), self.node.everything(), "stdio".into()];
        let words: Vec<String> = words
            .iter()
            .map(|word| word.display().to_string())
            .collect();
        let straight = json!({ "transport": "stdio", "command": words, "env": { "EVERYTHING_TOKEN": EVERYTHING_TOKEN } });
        let server = Server {
            gateway: "everything",
            secret: ("everything-upstream/token", EVERYTHING_TOKEN),
            upstream: Upstream::Command(words),
            straight,
            service: None,
        };
        self.scene(folder, server)
    }

    fn fill(&self, file: &Path) -> Result<()> {
        let script =
            "import duckdb, sys; duckdb.connect(sys.argv[1]).execute(open(sys.argv[2]).read())";
        let mut make = Command::new(self.python.program());
        make.args(["-c", script])
            .arg(file)
            .arg(quickstart().join("shop.sql"));
        process::run(&mut make, "", START_LIMIT)?.good("making the database")?;
        Ok(())
    }

    fn scene(&self, folder: &Path, server: Server) -> Result<Scene> {
        let gateway = server.gateway;
        let state = folder.join(gateway);
        let guard = Guard::start(&guard::Plan {
            binary: &self.sallyport,
            policy: &quickstart(),
            gateway,
            state: &state,
            secrets: &[server.secret],
            upstream: server.upstream,
            env: &[],
            flags: &[],
        })?;
        say(&format!(
            "  sallyport up -f examples/quickstart --gateway {gateway}  ->  {}",
            guard.url
        ));
        Ok(Scene {
            token: guard.token("ada@example.com", "stock-clerks")?,
            guard,
            state,
            binary: self.sallyport.clone(),
            straight: server.straight,
            node: self.node.program(),
            drivers: self.drivers.clone(),
            _service: server.service,
        })
    }
}

impl Scene {
    /// Ada's client takes these steps through the guard.
    pub(crate) fn ada(&self, steps: &[Value]) -> Result<Value> {
        self.drive(
            json!({ "transport": "http", "url": self.guard.url, "token": self.token }),
            steps,
        )
    }

    /// The same client straight at the server.
    pub(crate) fn unguarded(&self, steps: &[Value]) -> Result<Value> {
        self.drive(self.straight.clone(), steps)
    }

    fn drive(&self, wire: Value, steps: &[Value]) -> Result<Value> {
        let mut driver = Command::new(&self.node);
        driver.arg(self.drivers.join("ts1.mjs"));
        let place = Place {
            wire,
            mode: "legacy",
            version: None,
        };
        let report = client::take(&mut driver, &place, steps)?;
        report
            .get("outcomes")
            .cloned()
            .context("no outcomes in the driver's report")
    }
}

/// A step that calls a tool.
pub(crate) fn call(label: &str, tool: &str, arguments: &Value) -> Value {
    json!({ "as": label, "do": "call", "name": tool, "arguments": arguments })
}

/// A step that runs SQL.
pub(crate) fn sql(label: &str, sql: &str) -> Value {
    call(label, "execute_query", &json!({ "sql": sql }))
}

fn quickstart() -> PathBuf {
    workspace::root().join("examples/quickstart")
}
