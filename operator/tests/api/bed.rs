//! A real kube-apiserver with its etcd, and operators as processes beside it. No nodes: pods are objects that never run.

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};

const TOKEN: &str = "the-administrator";
const READY: Duration = Duration::from_secs(60);

/// Ends with the processes that it started.
pub(crate) struct Bed {
    folder: tempfile::TempDir,
    children: Vec<Running>,
    pub(crate) client: Client,
}

/// A process that is killed when nobody holds it any more.
pub(crate) struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

impl Running {
    pub(crate) fn pid(&self) -> u32 {
        self.0.id()
    }

    /// Asks it to end; the answer is its own.
    pub(crate) fn terminate(&self) {
        let pid = self.0.id().to_string();
        Command::new("kill").args(["-TERM", &pid]).status().unwrap();
    }
}

/// An operator at work.
pub(crate) struct Replica {
    pub(crate) running: Running,
    pub(crate) webhooks: u16,
    pub(crate) control: u16,
    pub(crate) health: u16,
}

/// A program that `cargo xtask cluster` has built.
pub(crate) fn built(kind: &str, program: &str) -> Option<PathBuf> {
    let cache = match std::env::var_os("XDG_CACHE_HOME") {
        Some(cache) => PathBuf::from(cache),
        None => PathBuf::from(std::env::var_os("HOME")?).join(".cache"),
    };
    let folders = fs::read_dir(cache.join("sallyport")).ok()?;
    folders
        .filter_map(Result::ok)
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(kind))
        .map(|entry| entry.path())
        .find(|path| path.join(".complete").exists())
        .map(|path| path.join(program))
}

impl Bed {
    pub(crate) async fn up(api_server: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        let [store, peer, api] = ports();
        fs::write(
            path.join("tokens.csv"),
            format!("{TOKEN},admin,admin,system:masters\n"),
        )
        .unwrap();
        let key = rcgen::KeyPair::generate().unwrap();
        fs::write(path.join("accounts.key"), key.serialize_pem()).unwrap();
        fs::write(path.join("accounts.pub"), key.public_key_pem()).unwrap();
        let etcd = etcd(path, store, peer);
        let server = serve(api_server, path, store, api);
        let config = path.join("kubeconfig");
        fs::write(&config, kubeconfig(api)).unwrap();
        let client = client(&config).await;
        let bed = Self {
            folder,
            children: vec![server, etcd],
            client,
        };
        let begun = Instant::now();
        while bed.client.apiserver_version().await.is_err() {
            assert!(begun.elapsed() < READY, "{}", bed.log("api.log"));
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        assert_eq!(bed.children.len(), 2);
        bed
    }

    /// An operator with all rights.
    pub(crate) fn operator(&self, name: &str) -> Replica {
        self.operator_with(name, "kubeconfig")
    }

    /// An operator with the rights of a ServiceAccount's token.
    pub(crate) fn operator_as(&self, name: &str, token: &str) -> Replica {
        let config = fs::read_to_string(self.folder.path().join("kubeconfig")).unwrap();
        let file = self.folder.path().join(format!("{name}.kubeconfig"));
        fs::write(&file, config.replace(TOKEN, token)).unwrap();
        self.operator_with(name, &format!("{name}.kubeconfig"))
    }

    fn operator_with(&self, name: &str, kubeconfig: &str) -> Replica {
        let [webhooks, control, health] = ports();
        // Figures are taken of what ships, not of what is built for tests.
        let program = std::env::var("SALLYPORT_OPERATOR")
            .unwrap_or_else(|_| env!("CARGO_BIN_EXE_sallyport-operator").to_owned());
        let image = |name: &str| format!("registry.example.com/{name}@sha256:{}", "0".repeat(64));
        let running = start(
            Command::new(program)
                .env("KUBECONFIG", self.folder.path().join(kubeconfig))
                .args(["--pod", name, "--log", "text"])
                .args(["--log-levels", "info,sallyport_operator=debug"])
                .args(["--sidecar-image", &image("sidecar")])
                .args(["--capture-image", &image("capture")])
                .args(["--webhooks", &format!("127.0.0.1:{webhooks}")])
                .args(["--control", &format!("127.0.0.1:{control}")])
                .args(["--health", &format!("127.0.0.1:{health}")]),
            &self.folder.path().join(format!("{name}.log")),
        );
        Replica {
            running,
            webhooks,
            control,
            health,
        }
    }

    pub(crate) fn log(&self, name: &str) -> String {
        fs::read_to_string(self.folder.path().join(name)).unwrap_or_default()
    }
}

fn etcd(path: &Path, store: u16, peer: u16) -> Running {
    let url = format!("http://127.0.0.1:{store}");
    let peers = format!("http://127.0.0.1:{peer}");
    start(
        Command::new("etcd")
            .arg("--data-dir")
            .arg(path.join("etcd"))
            .args([
                "--listen-client-urls",
                &url,
                "--advertise-client-urls",
                &url,
            ])
            .args(["--listen-peer-urls", &peers, "--unsafe-no-fsync"]),
        &path.join("etcd.log"),
    )
}

fn serve(program: &Path, path: &Path, store: u16, port: u16) -> Running {
    let file = |name: &str| path.join(name).display().to_string();
    start(
        Command::new(program)
            .args(["--etcd-servers", &format!("http://127.0.0.1:{store}")])
            .args([
                "--secure-port",
                &port.to_string(),
                "--bind-address",
                "127.0.0.1",
            ])
            .args([
                "--cert-dir",
                &file("certs"),
                "--token-auth-file",
                &file("tokens.csv"),
            ])
            .args(["--service-account-issuer", "https://kubernetes.default.svc"])
            .args(["--service-account-signing-key-file", &file("accounts.key")])
            .args(["--service-account-key-file", &file("accounts.pub")])
            .args(["--service-cluster-ip-range", "10.0.0.0/24"])
            .args(["--authorization-mode", "RBAC"])
            .args(["--disable-admission-plugins", "ServiceAccount"]),
        &path.join("api.log"),
    )
}

fn start(command: &mut Command, log: &Path) -> Running {
    let log = File::create(log).unwrap();
    let child = command
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap();
    Running(child)
}

/// Free now; nobody else on this machine takes them in the next moments, as the kernel hands out others first.
fn ports<const N: usize>() -> [u16; N] {
    let listeners: [TcpListener; N] =
        std::array::from_fn(|_| TcpListener::bind("127.0.0.1:0").unwrap());
    listeners.map(|listener| listener.local_addr().unwrap().port())
}

fn kubeconfig(port: u16) -> String {
    format!(
        "apiVersion: v1
kind: Config
clusters: [{{ name: bed, cluster: {{ server: 'https://127.0.0.1:{port}', insecure-skip-tls-verify: true }} }}]
users: [{{ name: admin, user: {{ token: {TOKEN} }} }}]
contexts: [{{ name: bed, context: {{ cluster: bed, user: admin }} }}]
current-context: bed
"
    )
}

async fn client(config: &Path) -> Client {
    let file = Kubeconfig::read_from(config).unwrap();
    let config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default())
        .await
        .unwrap();
    Client::try_from(config).unwrap()
}
