//! A real kube-apiserver with its etcd, and kubectl as several people.

use std::fs::{self, File};
use std::io::Write as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::guarded;

const TOKEN: &str = "the-administrator";
const READY: Duration = Duration::from_secs(60);
const SYSTEM: &str = "sallyport-system";
pub(crate) const OPERATOR: &str = "system:serviceaccount:sallyport-system:sallyport-operator";

/// Ends with the processes that it started.
pub(crate) struct Bed {
    folder: tempfile::TempDir,
    kubectl: PathBuf,
    running: Vec<Child>,
}

impl Drop for Bed {
    fn drop(&mut self) {
        for child in &mut self.running {
            // It may have ended by itself.
            child.kill().ok();
            child.wait().ok();
        }
    }
}

/// Where `cargo xtask cluster` has put what it built.
pub(crate) fn programs() -> Option<PathBuf> {
    let cache = match std::env::var_os("XDG_CACHE_HOME") {
        Some(cache) => PathBuf::from(cache),
        None => PathBuf::from(std::env::var_os("HOME")?).join(".cache"),
    };
    let folders = fs::read_dir(cache.join("sallyport")).ok()?;
    folders
        .filter_map(Result::ok)
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("cluster-"))
        .map(|entry| entry.path())
        .find(|path| path.join(".complete").exists())
}

impl Bed {
    pub(crate) fn up(programs: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_owned();
        let [store, peer, api] = ports();
        let url = format!("http://127.0.0.1:{store}");
        fs::write(
            path.join("tokens.csv"),
            format!("{TOKEN},admin,admin,system:masters\n"),
        )
        .unwrap();
        let key = rcgen::KeyPair::generate().unwrap();
        fs::write(path.join("accounts.key"), key.serialize_pem()).unwrap();
        fs::write(path.join("accounts.pub"), key.public_key_pem()).unwrap();
        fs::write(path.join("kubeconfig"), kubeconfig(api)).unwrap();
        let file = |name: &str| path.join(name).display().to_string();
        let mut bed = Self {
            kubectl: programs.join("kubectl"),
            folder,
            running: Vec::new(),
        };
        bed.start(
            "etcd",
            Command::new("etcd")
                .args(["--data-dir", &file("etcd"), "--unsafe-no-fsync"])
                .args([
                    "--listen-client-urls",
                    &url,
                    "--advertise-client-urls",
                    &url,
                    "--listen-peer-urls",
                    &format!("http://127.0.0.1:{peer}"),
                ]),
        );
        bed.start(
            "api",
            Command::new(programs.join("kube-apiserver")).args([
                "--etcd-servers",
                &url,
                "--secure-port",
                &api.to_string(),
                "--bind-address",
                "127.0.0.1",
                "--cert-dir",
                &file("certs"),
                "--token-auth-file",
                &file("tokens.csv"),
                "--service-account-issuer",
                "https://kubernetes.default.svc",
                "--service-account-signing-key-file",
                &file("accounts.key"),
                "--service-account-key-file",
                &file("accounts.pub"),
                "--service-cluster-ip-range",
                "10.0.0.0/24",
                "--authorization-mode",
                "RBAC",
                "--allow-privileged=true",
            ]),
        );
        let begun = Instant::now();
        // The roles of the API server's own come a moment after the rest.
        while !bed.kubectl(&["get", "clusterrole", "edit"], None).0 {
            let log = fs::read_to_string(path.join("api.log")).unwrap_or_default();
            assert!(begun.elapsed() < READY, "{log}");
            sleep(Duration::from_millis(200));
        }
        bed
    }

    fn start(&mut self, name: &str, command: &mut Command) {
        let log = File::create(self.folder.path().join(format!("{name}.log"))).unwrap();
        let child = command
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn();
        self.running.push(child.unwrap());
    }

    /// Namespaces and people: a developer who may do everything but our verbs, and the platform, who may do everything.
    pub(crate) fn namespaces(&self) {
        for (name, labels) in [
            (SYSTEM, json!({})),
            ("free", json!({})),
            ("enforced", json!({ "sallyport.dev/enforce": "true" })),
        ] {
            self.apply(&json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name, "labels": labels } }));
            self.apply(&json!({ "apiVersion": "v1", "kind": "ServiceAccount", "metadata": { "name": "default", "namespace": name } }));
        }
        for (_, text) in sallyport_crds::generate::files().unwrap() {
            self.apply(&serde_yaml::from_str(&text).unwrap());
        }
        let standard = json!([
            "get",
            "list",
            "create",
            "update",
            "patch",
            "delete",
            "deletecollection"
        ]);
        self.apply(&json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": { "name": "developer" },
            "rules": [
                { "apiGroups": ["", "networking.k8s.io", "sallyport.dev"], "resources": ["*"], "verbs": standard },
            ],
        }));
        for (name, role, kind, subject) in [
            ("developer", "developer", "User", "dev"),
            ("platform", "cluster-admin", "User", "platform"),
            ("operator", "cluster-admin", "User", OPERATOR),
            ("nodes", "developer", "Group", "system:nodes"),
            (
                "collector",
                "developer",
                "User",
                "system:serviceaccount:kube-system:generic-garbage-collector",
            ),
        ] {
            self.apply(&json!({
                "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": { "name": name },
                "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role },
                "subjects": [{ "apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": subject }],
            }));
        }
    }

    /// What stands before the policies come: a pod that predates enforcement, a bundle, a request; then the policies,
    /// and the guarded pod under them.
    pub(crate) fn prepare(&self, guarded: &Value) {
        self.namespaces();
        let old = json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "older", "namespace": "enforced", "finalizers": ["example.com/f"] },
            "spec": { "containers": [{ "name": "c", "image": "i" }] } });
        self.apply(&old);
        self.apply(&json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "sallyport-bundle-inventory-0", "namespace": "free" } }));
        self.apply(&json!({ "apiVersion": "sallyport.dev/v1alpha1", "kind": "McpGateway", "metadata": { "name": "inventory", "namespace": "free" }, "spec": {} }));
        for name in ["fast", "odd"] {
            self.apply(&json!({ "apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass", "metadata": { "name": name }, "handler": "runc" }));
        }
        self.policies();
        let mut named = guarded.clone();
        named["metadata"]["name"] = json!("guarded");
        named["metadata"]["namespace"] = json!("enforced");
        self.apply(&named);
        let mut exempt = crate::cases::enforced::exempt();
        exempt["metadata"] = json!({ "name": "running", "namespace": "enforced" });
        self.apply(&exempt);
    }

    /// The chart's own files. All that they take from the release is its namespace.
    fn policies(&self) {
        self.apply(&json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "sallyport-admission", "namespace": SYSTEM },
            "data": {
                "operator": OPERATOR,
                "sidecarImages": format!("\n{}\n{}\n", guarded::SIDECAR_IMAGE, guarded::NEXT_IMAGE),
                "captureImages": format!("{}\n", guarded::CAPTURE_IMAGE),
                "exemptImages": "exempt@sha256:00\n",
                "exempt.enforced": "other@sha256:00\nthird@sha256:00",
                "exempt.free": "elsewhere@sha256:00",
                "runtimeClasses": "fast\n",
                "rootKey": guarded::ROOT_KEY,
            },
        }));
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../charts/sallyport/templates");
        let mut files = 0;
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if !name.starts_with("admission-") || name == "admission-parameters.yaml" {
                continue;
            }
            let text = fs::read_to_string(&path)
                .unwrap()
                .replace("{{ .Release.Namespace }}", SYSTEM);
            assert!(
                !text.contains("{{"),
                "{name} takes something else from the release"
            );
            let (good, said) = self.kubectl(&["apply", "--server-side", "-f", "-"], Some(&text));
            assert!(good, "{name}: {said}");
            files += 1;
        }
        assert!(files >= 6, "{files} files of policies");
        // Policies come into force a moment after they are stored, each by itself.
        let begun = Instant::now();
        let bad = json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "bad" }, "spec": { "containers": [{ "name": "c", "image": "i" }] } });
        while self.create("platform", "enforced", &bad).0 {
            assert!(
                begun.elapsed() < READY,
                "the policies never came into force"
            );
            sleep(Duration::from_millis(200));
        }
        sleep(Duration::from_secs(2));
    }

    fn apply(&self, object: &Value) {
        let (good, said) = self.kubectl(
            &["apply", "--server-side", "-f", "-"],
            Some(&object.to_string()),
        );
        assert!(good, "{said}\n{object:#}");
    }

    /// What the API server would store.
    pub(crate) fn stored(&self, namespace: &str, object: &Value) -> Value {
        let words = [
            "create",
            "--dry-run=server",
            "-o",
            "json",
            "-n",
            namespace,
            "-f",
            "-",
        ];
        let (good, said) = self.kubectl(&words, Some(&object.to_string()));
        assert!(good, "{said}");
        serde_json::from_str(&said).unwrap()
    }

    /// Whether somebody may make an object, and what is said.
    pub(crate) fn create(&self, user: &str, namespace: &str, object: &Value) -> (bool, String) {
        let mut words = vec!["create", "--dry-run=server", "-f", "-"];
        if !namespace.is_empty() {
            words.extend(["-n", namespace]);
        }
        let who = who(user);
        words.extend(who.iter().map(String::as_str));
        self.kubectl(&words, Some(&object.to_string()))
    }

    pub(crate) fn kubectl_as(
        &self,
        user: &str,
        namespace: &str,
        words: &[String],
    ) -> (bool, String) {
        let who = who(user);
        let mut all: Vec<&str> = words.iter().map(String::as_str).collect();
        if !namespace.is_empty() {
            all.extend(["-n", namespace]);
        }
        // Flags end where a command for a container begins.
        let place = all
            .iter()
            .position(|word| *word == "--")
            .unwrap_or(all.len());
        let tail = all.split_off(place);
        all.extend(who.iter().map(String::as_str));
        if !namespace.is_empty() && !all.contains(&"-n") {
            all.extend(["-n", namespace]);
        }
        all.extend(
            tail.iter()
                .filter(|word| **word != "-n" && **word != namespace),
        );
        self.kubectl(&all, None)
    }

    fn kubectl(&self, words: &[&str], stdin: Option<&str>) -> (bool, String) {
        let mut child = Command::new(&self.kubectl)
            .arg("--kubeconfig")
            .arg(self.folder.path().join("kubeconfig"))
            .arg("--request-timeout=10s")
            .args(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut pipe = child.stdin.take().unwrap();
        pipe.write_all(stdin.unwrap_or_default().as_bytes()).ok();
        drop(pipe);
        let output = child.wait_with_output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        (
            output.status.success(),
            String::from_utf8_lossy(&said).into_owned(),
        )
    }
}

/// As whom, with the groups that the API server would find.
fn who(user: &str) -> Vec<String> {
    let mut words = vec!["--as".to_owned(), user.to_owned()];
    let groups: &[&str] = if user.starts_with("system:node:") {
        &["system:nodes", "system:authenticated"]
    } else {
        &["system:authenticated", "clerks"]
    };
    for group in groups {
        words.extend(["--as-group".to_owned(), (*group).to_owned()]);
    }
    words
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
