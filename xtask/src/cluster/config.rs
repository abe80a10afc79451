//! The configuration of each component, as text.

use anyhow::Result;

use super::authority::{Authority, Identity};
use super::layout::{
    API_V4, DNS, Layout, NODE, NODE_V4, NODE_V6, PODS_V4, PODS_V6, RUNTIME, SERVICES_V4, text,
};

/// Who is who to the API server.
const IDENTITIES: [Identity; 6] = [
    Identity {
        file: "apiserver",
        user: "kube-apiserver",
        group: "sallyport",
        names: &[
            "kubernetes.default.svc",
            "kubernetes.default",
            "kubernetes",
            "localhost",
            "127.0.0.1",
            NODE_V4,
            API_V4,
        ],
    },
    Identity {
        file: "admin",
        user: "admin",
        group: "system:masters",
        names: &["admin"],
    },
    Identity {
        file: "kubelet",
        user: "system:node:n1",
        group: "system:nodes",
        names: &[NODE, NODE_V4, NODE_V6],
    },
    Identity {
        file: "controller-manager",
        user: "system:kube-controller-manager",
        group: "sallyport",
        names: &["controller-manager"],
    },
    Identity {
        file: "scheduler",
        user: "system:kube-scheduler",
        group: "sallyport",
        names: &["scheduler"],
    },
    Identity {
        file: "proxy",
        user: "system:kube-proxy",
        group: "sallyport",
        names: &["proxy"],
    },
];

/// Writes keys and configuration; `dual` says whether the kernel gives the cluster IPv6.
pub(super) fn write_all(layout: &Layout, dual: bool) -> Result<()> {
    let authority = Authority::new(&layout.keys())?;
    for identity in &IDENTITIES {
        authority.issue(identity)?;
        if identity.file != "apiserver" {
            let name = format!("{}.kubeconfig", identity.file);
            layout.write(&name, &kubeconfig(layout, identity.file))?;
        }
    }
    layout.write("containerd.toml", &containerd(layout))?;
    layout.write("cni/10-pods.conflist", &pod_network(dual))?;
    layout.write("kubelet.yaml", &kubelet(layout))?;
    layout.write("Corefile", &corefile(layout))?;
    layout.write("dns.yaml", &dns_service())
}

fn kubeconfig(layout: &Layout, who: &str) -> String {
    format!(
        r#"apiVersion: v1
kind: Config
clusters:
- name: under-test
  cluster: {{ server: "https://127.0.0.1:6443", certificate-authority: "{ca}" }}
users:
- name: {who}
  user: {{ client-certificate: "{certificate}", client-key: "{key}" }}
contexts:
- name: under-test
  context: {{ cluster: under-test, user: {who} }}
current-context: under-test
"#,
        ca = layout.key("ca.crt"),
        certificate = layout.key(&format!("{who}.crt")),
        key = layout.key(&format!("{who}.key")),
    )
}

fn containerd(layout: &Layout) -> String {
    format!(
        r#"version = 2
root = "{root}"
state = "/run/containerd-state"
[grpc]
  address = "{RUNTIME}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause}"
  # The score of processes outside the cluster is not ours to change.
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{cni}"
[plugins."io.containerd.internal.v1.opt"]
  path = "{opt}"
"#,
        root = text(&layout.state.join("containerd")),
        pause = super::images::PAUSE,
        cni = layout.config("cni"),
        opt = text(&layout.state.join("opt")),
    )
}

fn pod_network(dual: bool) -> String {
    let (ranges, routes) = if dual {
        (
            format!(r#"[[{{"subnet":"{PODS_V4}"}}],[{{"subnet":"{PODS_V6}"}}]]"#),
            r#"[{"dst":"0.0.0.0/0"},{"dst":"::/0"}]"#,
        )
    } else {
        (
            format!(r#"[[{{"subnet":"{PODS_V4}"}}]]"#),
            r#"[{"dst":"0.0.0.0/0"}]"#,
        )
    };
    format!(
        r#"{{"cniVersion":"0.4.0","name":"pods","plugins":[
{{"type":"bridge","bridge":"cni0","isGateway":true,"hairpinMode":true,
 "ipam":{{"type":"host-local","dataDir":"/run/cni-ipam","ranges":{ranges},"routes":{routes}}}}},
{{"type":"portmap","capabilities":{{"portMappings":true}}}}]}}
"#
    )
}

fn kubelet(layout: &Layout) -> String {
    format!(
        r#"apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication: {{ anonymous: {{ enabled: false }}, webhook: {{ enabled: true }}, x509: {{ clientCAFile: "{ca}" }} }}
authorization: {{ mode: Webhook }}
tlsCertFile: "{certificate}"
tlsPrivateKeyFile: "{key}"
containerRuntimeEndpoint: "unix://{RUNTIME}"
cgroupDriver: cgroupfs
cgroupRoot: "/{group}"
volumePluginDir: "{plugins}"
failCgroupV1: false
failSwapOn: false
enforceNodeAllocatable: []
localStorageCapacityIsolation: false
evictionHard: {{ memory.available: "10Mi" }}
imageGCHighThresholdPercent: 100
clusterDomain: cluster.local
clusterDNS: ["{DNS}"]
resolvConf: ""
"#,
        ca = layout.key("ca.crt"),
        certificate = layout.key("kubelet.crt"),
        key = layout.key("kubelet.key"),
        group = layout.group(),
        plugins = text(&layout.state.join("plugins")),
    )
}

/// Names of the cluster only: what lies outside cannot be reached from in there anyway.
fn corefile(layout: &Layout) -> String {
    format!(
        ".:53 {{\n  bind {NODE_V4}\n  errors\n  kubernetes cluster.local {{\n    endpoint https://127.0.0.1:6443\n    tls {certificate} {key} {ca}\n    pods insecure\n  }}\n}}\n",
        certificate = layout.key("admin.crt"),
        key = layout.key("admin.key"),
        ca = layout.key("ca.crt"),
    )
}

/// CoreDNS runs on the node, so the Service in front of it names its endpoint itself.
fn dns_service() -> String {
    format!(
        r#"apiVersion: v1
kind: Service
metadata: {{ name: kube-dns, namespace: kube-system, labels: {{ k8s-app: kube-dns }} }}
spec:
  clusterIP: {DNS}
  ports:
  - {{ name: dns, port: 53, protocol: UDP }}
  - {{ name: dns-tcp, port: 53, protocol: TCP }}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{ name: kube-dns-node, namespace: kube-system, labels: {{ kubernetes.io/service-name: kube-dns }} }}
addressType: IPv4
endpoints:
- addresses: ["{NODE_V4}"]
ports:
- {{ name: dns, port: 53, protocol: UDP }}
- {{ name: dns-tcp, port: 53, protocol: TCP }}
"#
    )
}

/// What the API server gives Services; both families where pods have both.
pub(super) fn service_range(dual: bool) -> String {
    both(dual, SERVICES_V4, super::layout::SERVICES_V6)
}

/// The addresses of pods, as kube-proxy wants them.
pub(super) fn pod_range(dual: bool) -> String {
    both(dual, PODS_V4, PODS_V6)
}

/// The node's own addresses.
pub(super) fn node_addresses(dual: bool) -> String {
    both(dual, NODE_V4, NODE_V6)
}

fn both(dual: bool, four: &str, six: &str) -> String {
    if dual {
        format!("{four},{six}")
    } else {
        four.to_owned()
    }
}
