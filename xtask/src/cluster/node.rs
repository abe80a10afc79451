//! The first process inside the cluster's namespaces: it lays out the node, starts the components, and buries the dead.
//!
//! It runs as process 1 of its own process namespace, so that the end of this one process is the end of everything it
//! started, down to the last container. Nothing outside its namespaces is changed.

use std::collections::BTreeMap;
use std::fs::File;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{WaitOptions, waitpid};

use super::config::{node_addresses, pod_range, service_range};
use super::layout::{Layout, NODE, NODE_V4, NODE_V6, RUNTIME, text};

const OVER_VAR: &str = "lowerdir=/var,upperdir=/run/var/upper,workdir=/run/var/work";

/// What the kubelet sets in the kernel (its `setupKernelTunables`).
const KUBELET_WANTS: [(&str, &str); 6] = [
    ("vm/overcommit_memory", "1"),
    ("vm/panic_on_oom", "0"),
    ("kernel/panic", "10"),
    ("kernel/panic_on_oops", "1"),
    ("kernel/keys/root_maxkeys", "1000000"),
    ("kernel/keys/root_maxbytes", "25000000"),
];

/// A component that ends is started again, as an init system would.
const AGAIN: Duration = Duration::from_secs(1);
const READY: Duration = Duration::from_secs(60);
const GLANCE: Duration = Duration::from_millis(100);

/// Lays out the node and runs until it is ended.
pub(super) fn run(layout: &Layout, dual: bool) -> Result<()> {
    mounts()?;
    kernel()?;
    network(dual)?;
    let mut components = Components::new(layout.clone());
    components.start("etcd", etcd(layout))?;
    components.start("apiserver", apiserver(layout, dual))?;
    components.start("containerd", containerd(layout))?;
    until("containerd", || ctr(&["version"]).is_ok())?;
    let pause = text(&layout.images().join("pause.tar"));
    ctr(&["-n", "k8s.io", "images", "import", &pause])?;
    components.start("controller-manager", controller_manager(layout))?;
    components.start("scheduler", scheduler(layout))?;
    components.start("kubelet", kubelet(layout, dual))?;
    components.start("proxy", proxy(layout, dual))?;
    components.start("coredns", coredns(layout))?;
    components.watch()
}

/// What the node writes outside its state folder is memory of its own.
fn mounts() -> Result<()> {
    let mount = |arguments: &[&str]| good(Command::new("mount").args(arguments));
    mount(&["-t", "tmpfs", "tmpfs", "/run"])?;
    // Some write below `/var` where they please: over the machine's own lies a layer that ends with the cluster.
    for folder in ["/run/var/upper", "/run/var/work"] {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make {folder}"))?;
    }
    mount(&["-t", "overlay", "overlay", "-o", OVER_VAR, "/var"])?;
    for place in ["/var/log", "/var/lib/kubelet"] {
        std::fs::create_dir_all(place).with_context(|| format!("cannot make {place}"))?;
        mount(&["-t", "tmpfs", "tmpfs", place])?;
    }
    // The kubelet's mounts are to be seen by containers that ask for it; inside this namespace only.
    mount(&["--make-rshared", "/"])
}

/// The kubelet sets these for the whole machine unless it finds them as it wants them; it finds them so.
fn kernel() -> Result<()> {
    for (name, wanted) in KUBELET_WANTS {
        let (real, stand_in) = (
            format!("/proc/sys/{name}"),
            format!("/run/{}", name.replace('/', ".")),
        );
        std::fs::write(&stand_in, wanted).with_context(|| format!("cannot write {stand_in}"))?;
        good(Command::new("mount").args(["--bind", &stand_in, &real]))?;
    }
    Ok(())
}

/// A bridge without a port carries the node's address: it is up, and leads nowhere.
fn network(dual: bool) -> Result<()> {
    let ip = |arguments: &[&str]| good(Command::new("ip").args(arguments));
    ip(&["link", "set", "lo", "up"])?;
    ip(&["link", "add", "node0", "type", "bridge"])?;
    ip(&["addr", "add", &format!("{NODE_V4}/24"), "dev", "node0"])?;
    ip(&["link", "set", "node0", "up"])?;
    ip(&["route", "add", "default", "dev", "node0"])?;
    let mut switches = vec!["net/ipv4/ip_forward", "net/ipv4/conf/all/route_localnet"];
    if dual {
        ip(&[
            "-6",
            "addr",
            "add",
            &format!("{NODE_V6}/64"),
            "dev",
            "node0",
            "nodad",
        ])?;
        ip(&["-6", "route", "add", "default", "dev", "node0"])?;
        switches.push("net/ipv6/conf/all/forwarding");
    }
    for switch in switches {
        std::fs::write(format!("/proc/sys/{switch}"), "1")
            .with_context(|| format!("cannot set {switch}"))?;
    }
    Ok(())
}

fn etcd(layout: &Layout) -> Command {
    let mut command = Command::new("etcd");
    command
        .arg("--data-dir")
        .arg(layout.state.join("etcd"))
        .args([
            // Nothing of a cluster under test outlives it.
            "--unsafe-no-fsync",
            "--listen-client-urls=http://127.0.0.1:2379",
            "--advertise-client-urls=http://127.0.0.1:2379",
            "--listen-peer-urls=http://127.0.0.1:2380",
        ]);
    command
}

fn apiserver(layout: &Layout, dual: bool) -> Command {
    let mut command = Command::new(layout.programs().join("kube-apiserver"));
    command.args([
        "--etcd-servers=http://127.0.0.1:2379".to_owned(),
        format!("--advertise-address={NODE_V4}"),
        "--secure-port=6443".to_owned(),
        format!("--tls-cert-file={}", layout.key("apiserver.crt")),
        format!("--tls-private-key-file={}", layout.key("apiserver.key")),
        format!("--client-ca-file={}", layout.key("ca.crt")),
        format!("--kubelet-certificate-authority={}", layout.key("ca.crt")),
        format!("--kubelet-client-certificate={}", layout.key("admin.crt")),
        format!("--kubelet-client-key={}", layout.key("admin.key")),
        "--kubelet-preferred-address-types=InternalIP".to_owned(),
        format!("--service-account-key-file={}", layout.key("sa.pub")),
        format!(
            "--service-account-signing-key-file={}",
            layout.key("sa.key")
        ),
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local".to_owned(),
        "--authorization-mode=Node,RBAC".to_owned(),
        "--enable-admission-plugins=NodeRestriction".to_owned(),
        "--allow-privileged=true".to_owned(),
        format!("--service-cluster-ip-range={}", service_range(dual)),
    ]);
    command
}

fn containerd(layout: &Layout) -> Command {
    let mut command = Command::new("containerd");
    command.args(["--config", &layout.config("containerd.toml")]);
    command
}

fn controller_manager(layout: &Layout) -> Command {
    let mut command = Command::new(layout.programs().join("kube-controller-manager"));
    command.args([
        format!("--kubeconfig={}", layout.kubeconfig("controller-manager")),
        "--use-service-account-credentials".to_owned(),
        format!(
            "--service-account-private-key-file={}",
            layout.key("sa.key")
        ),
        format!("--root-ca-file={}", layout.key("ca.crt")),
        format!("--cluster-signing-cert-file={}", layout.key("ca.crt")),
        format!("--cluster-signing-key-file={}", layout.key("ca.key")),
        "--leader-elect=false".to_owned(),
        // It makes the folder where it is missing, and the usual one is the machine's.
        format!(
            "--flex-volume-plugin-dir={}",
            text(&layout.state.join("plugins"))
        ),
    ]);
    command
}

fn scheduler(layout: &Layout) -> Command {
    let mut command = Command::new(layout.programs().join("kube-scheduler"));
    command.args([
        format!("--kubeconfig={}", layout.kubeconfig("scheduler")),
        "--leader-elect=false".to_owned(),
    ]);
    command
}

fn kubelet(layout: &Layout, dual: bool) -> Command {
    let mut command = Command::new(layout.programs().join("kubelet"));
    command.args([
        format!("--config={}", layout.config("kubelet.yaml")),
        format!("--kubeconfig={}", layout.kubeconfig("kubelet")),
        format!("--hostname-override={NODE}"),
        format!("--node-ip={}", node_addresses(dual)),
        "--v=2".to_owned(),
    ]);
    command
}

fn proxy(layout: &Layout, dual: bool) -> Command {
    let mut command = Command::new(layout.programs().join("kube-proxy"));
    command.args([
        format!("--kubeconfig={}", layout.kubeconfig("proxy")),
        format!("--hostname-override={NODE}"),
        "--proxy-mode=nftables".to_owned(),
        format!("--cluster-cidr={}", pod_range(dual)),
        "--conntrack-max-per-core=0".to_owned(),
    ]);
    command
}

fn coredns(layout: &Layout) -> Command {
    let mut command = Command::new(layout.programs().join("coredns"));
    command.args(["-conf", &layout.config("Corefile")]);
    command
}

fn ctr(arguments: &[&str]) -> Result<()> {
    good(
        Command::new("ctr")
            .args(["--address", RUNTIME])
            .args(arguments),
    )
}

/// Runs one step of the layout to its end.
///
/// Only used before [`Components::watch`], which waits for every child whoever started it.
fn good(command: &mut Command) -> Result<()> {
    let said = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start {}", command.get_program().display()))?;
    if said.status.success() {
        return Ok(());
    }
    bail!(
        "{} failed ({}): {}",
        command.get_program().display(),
        said.status,
        String::from_utf8_lossy(&said.stderr).trim()
    )
}

fn until(what: &str, mut ready: impl FnMut() -> bool) -> Result<()> {
    let end = Instant::now() + READY;
    while Instant::now() < end {
        if ready() {
            return Ok(());
        }
        thread::sleep(GLANCE);
    }
    bail!("{what} was not ready after {} s", READY.as_secs())
}

/// The running components by process id.
struct Components {
    layout: Layout,
    running: BTreeMap<i32, (&'static str, Command)>,
}

impl Components {
    fn new(layout: Layout) -> Self {
        Self {
            layout,
            running: BTreeMap::new(),
        }
    }

    fn start(&mut self, name: &'static str, mut command: Command) -> Result<()> {
        let log = self.layout.logs().join(format!("{name}.log"));
        let file = File::options()
            .create(true)
            .append(true)
            .open(&log)
            .with_context(|| format!("cannot write {}", log.display()))?;
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        let id = i32::try_from(child.id()).context("a process id")?;
        self.running.insert(id, (name, command));
        Ok(())
    }

    /// Waits for whatever ends, for ever: a component is started again, an orphan is only buried.
    fn watch(mut self) -> Result<()> {
        loop {
            let Some((ended, status)) = waitpid(None, WaitOptions::empty())? else {
                continue;
            };
            if let Some((name, command)) = self.running.remove(&ended.as_raw_nonzero().get()) {
                crate::console::say(&format!("{name} ended ({status:?}); it is started again"));
                thread::sleep(AGAIN);
                self.start(name, command)?;
            }
        }
    }
}
