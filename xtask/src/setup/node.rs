//! Node 22 with the official TypeScript SDKs, the reference server and the Inspector, all from npm by lock file.
//!
//! Node itself comes from npm's package `node`, so that what runs does not depend on the machine; only an npm to fetch
//! it with is taken from there.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::{apt, cache, read, starts, step};
use crate::workspace;

/// An installed Node and its packages.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    folder: PathBuf,
}

impl Node {
    pub(crate) fn installed() -> Result<Self> {
        let clients = workspace::clients();
        let recipe =
            read(&clients.join("package.json"))? + &read(&clients.join("package-lock.json"))?;
        let folder = cache::ready("npm", &recipe, "Node and npm packages", |folder| {
            fetch(&clients, folder)
        })?;
        Ok(Self { folder })
    }

    pub(crate) fn program(&self) -> PathBuf {
        self.folder.join("node_modules/node/bin/node")
    }

    /// Every package, by its name.
    pub(crate) fn packages(&self) -> PathBuf {
        self.folder.join("node_modules")
    }

    /// The start script of `@modelcontextprotocol/server-everything`.
    pub(crate) fn everything(&self) -> PathBuf {
        self.folder
            .join("node_modules/@modelcontextprotocol/server-everything/dist/index.js")
    }

    /// The client and its helpers of the conformance judge, beside the packages they import.
    pub(crate) fn conformance(&self) -> Result<PathBuf> {
        let from = workspace::root().join("xtask/conformance");
        self.beside(
            &from,
            "conformance",
            &["client.mjs", "through.mjs", "forward.mjs"],
        )
    }

    /// The drivers beside the packages they import: Node looks for packages above the file that imports them.
    pub(crate) fn drivers(&self) -> Result<PathBuf> {
        self.beside(&workspace::clients(), "drivers", &SCRIPTS)
    }

    fn beside(&self, from: &Path, into: &str, names: &[&str]) -> Result<PathBuf> {
        let target = self.folder.join(into);
        fs::create_dir_all(&target)?;
        for name in names {
            let from = from.join(name);
            let file = from.file_name().context("a script's name")?;
            fs::copy(&from, target.join(file))
                .with_context(|| format!("cannot copy {}", from.display()))?;
        }
        Ok(target)
    }
}

/// The official conformance suite, in a folder of its own: it brings other versions of the SDKs.
#[derive(Debug, Clone)]
pub(crate) struct Suite {
    folder: PathBuf,
}

impl Suite {
    pub(crate) fn installed() -> Result<Self> {
        let lists = workspace::root().join("xtask/conformance");
        let recipe = read(&lists.join("package.json"))? + &read(&lists.join("package-lock.json"))?;
        let folder = cache::ready("conformance", &recipe, "the conformance suite", |folder| {
            fetch(&lists, folder)
        })?;
        Ok(Self { folder })
    }

    /// Its start script, for the Node that is installed beside it.
    pub(crate) fn script(&self) -> PathBuf {
        self.folder
            .join("node_modules/@modelcontextprotocol/conformance/dist/index.js")
    }
}

/// The drivers, and the servers of ours that Node runs.
const SCRIPTS: [&str; 7] = [
    "common.mjs",
    "ts1.mjs",
    "ts2.mjs",
    "inspector.mjs",
    "oauth.mjs",
    "servers/handler.mjs",
    "servers/authorization.mjs",
];

/// The MCP Inspector, apart from the rest: it is large, and only the client matrix needs it.
#[derive(Debug, Clone)]
pub(crate) struct Inspector {
    folder: PathBuf,
}

impl Inspector {
    pub(crate) fn installed() -> Result<Self> {
        let list = workspace::clients().join("inspector");
        let recipe = read(&list.join("package.json"))? + &read(&list.join("package-lock.json"))?;
        let folder = cache::ready("inspector", &recipe, "the MCP Inspector", |folder| {
            fetch(&list, folder)
        })?;
        Ok(Self { folder })
    }

    /// Its command line, as the launcher's `--cli` starts it.
    pub(crate) fn script(&self) -> PathBuf {
        self.folder
            .join("node_modules/@modelcontextprotocol/inspector/clients/cli/build/index.js")
    }
}

fn fetch(lists: &Path, folder: &Path) -> Result<()> {
    if !starts("npm", "--version") {
        apt(
            &["npm"],
            "npm is needed to fetch Node 22 and the TypeScript SDKs",
        )?;
    }
    for name in ["package.json", "package-lock.json"] {
        fs::copy(lists.join(name), folder.join(name))?;
    }
    // The package `node` fetches the binary of this machine's architecture in its install script.
    step(
        Command::new("npm")
            .args(["ci", "--no-audit", "--no-fund", "--loglevel=error"])
            .current_dir(folder),
    )
}
