//! The kubelet's probes and HTTP hooks, turned to the sidecar: it performs exactly the recorded one and tells a status.
//!
//! Without this the kubelet would need an exemption by source address, and whoever shares that address would have one
//! too. Each path carries a token that only readers of the pod know, so that nobody else on the network runs a hook.

use sallyport_policy::endpoint::{is_plain_path, is_within};
use sallyport_policy::name::Digest;
use sallyport_policy::source::defaults;
use serde_json::{Map, Value, json};

use super::Guarding;
use super::denial::{Denial, Reason};
use super::names::{PROBE_PATH, PROBES};
use super::server::Server;
use super::tree;

/// Handlers of a container: where they stand, and what their paths call them.
const HANDLERS: [(&str, &str); 5] = [
    ("/livenessProbe", "liveness"),
    ("/readinessProbe", "readiness"),
    ("/startupProbe", "startup"),
    ("/lifecycle/postStart", "postStart"),
    ("/lifecycle/preStop", "preStop"),
];
/// As the sidecar writes it in one byte.
const LONGEST_SERVICE: usize = 127;
/// The flag that carries a recorded one.
const FLAG: &str = "--probe=";

/// Turns every probe and hook that the network carries, and gives the sidecar's flags that record them.
pub(super) fn rewrite(
    pod: &mut Value,
    server: &Server,
    guarding: &Guarding<'_>,
) -> Result<Vec<String>, Denial> {
    let mut flags = Vec::new();
    for list in ["initContainers", "containers"] {
        let spec = tree::spec(pod)?;
        let Some(containers) = spec.get_mut(list).and_then(Value::as_array_mut) else {
            continue;
        };
        for container in containers {
            for (pointer, kind) in HANDLERS {
                flags.extend(turn(container, pointer, kind, server, guarding)?);
            }
        }
    }
    Ok(flags)
}

/// Puts back what the flags record.
pub(super) fn restore(pod: &mut Value, flags: &[String]) -> Result<(), Denial> {
    for flag in flags.iter().filter_map(|flag| flag.strip_prefix(FLAG)) {
        let (path, recorded) = flag.split_once('=').ok_or_else(|| Denial::form("args"))?;
        let recorded: Value = serde_json::from_str(recorded).map_err(|_| Denial::form("args"))?;
        for list in ["initContainers", "containers"] {
            let spec = tree::spec(pod)?;
            let Some(containers) = spec.get_mut(list).and_then(Value::as_array_mut) else {
                continue;
            };
            for container in containers {
                for (pointer, _) in HANDLERS {
                    put_back(container, pointer, path, &recorded)?;
                }
            }
        }
    }
    Ok(())
}

fn put_back(
    container: &mut Value,
    pointer: &str,
    path: &str,
    recorded: &Value,
) -> Result<(), Denial> {
    let Some(handler) = container
        .pointer_mut(pointer)
        .and_then(Value::as_object_mut)
    else {
        return Ok(());
    };
    let ours = handler
        .get("httpGet")
        .and_then(|get| tree::text(get, "/path"))
        == Some(path);
    if !ours {
        return Ok(());
    }
    let kinds = recorded.as_object().ok_or_else(|| Denial::form("args"))?;
    handler.remove("httpGet");
    for (kind, what) in kinds.iter().filter(|(kind, _)| *kind != "timeoutSeconds") {
        handler.insert(kind.clone(), what.clone());
    }
    Ok(())
}

fn turn(
    container: &mut Value,
    pointer: &str,
    kind: &str,
    server: &Server,
    guarding: &Guarding<'_>,
) -> Result<Option<String>, Denial> {
    let name = tree::name(container).to_owned();
    let at = Handler {
        container: &name,
        kind,
    };
    let ports = tree::items(container, "/ports")?.to_vec();
    let Some(handler) = container
        .pointer_mut(pointer)
        .and_then(Value::as_object_mut)
    else {
        return Ok(None);
    };
    let Some(recorded) = at.recorded(handler, &ports, server, guarding)? else {
        return Ok(None);
    };
    let path = at.path(guarding);
    for old in ["httpGet", "tcpSocket", "grpc"] {
        handler.remove(old);
    }
    // The scheme is what the API server would put there; the twin compares with what it did put there.
    let get = json!({ "path": path, "port": PROBES, "scheme": "HTTP" });
    handler.insert("httpGet".to_owned(), get);
    Ok(Some(format!("{FLAG}{path}={recorded}")))
}

struct Handler<'a> {
    container: &'a str,
    kind: &'a str,
}

impl Handler<'_> {
    /// What the sidecar shall do; nothing for what does not go over the network.
    fn recorded(
        &self,
        handler: &Map<String, Value>,
        ports: &[Value],
        server: &Server,
        guarding: &Guarding<'_>,
    ) -> Result<Option<Value>, Denial> {
        let kinds = ["httpGet", "tcpSocket", "grpc"];
        let present = kinds
            .iter()
            .find_map(|kind| Some((*kind, handler.get(*kind)?)));
        let Some((kind, what)) = present.filter(|(_, what)| !what.is_null()) else {
            return Ok(None);
        };
        let mut what = what.clone();
        self.refuse_host(&what)?;
        let port = self.port(&what, ports)?;
        json_put(&mut what, "port", port.into())?;
        match kind {
            "httpGet" => self.check_http(&what, port, server, guarding)?,
            "grpc" => self.check_grpc(&what)?,
            _ => {}
        }
        let mut recorded = json!({ kind: what });
        if let Some(limit) = handler.get("timeoutSeconds") {
            json_put(&mut recorded, "timeoutSeconds", limit.clone())?;
        }
        Ok(Some(recorded))
    }

    /// The kubelet would dial that host from the node; for the pod's own address nothing needs to be said.
    fn refuse_host(&self, what: &Value) -> Result<(), Denial> {
        match tree::text(what, "/host") {
            None | Some("") => Ok(()),
            Some(host) => Err(self.denied(
                &format!("is for the host `{host}` and not for its own pod"),
                "remove `host`",
            )),
        }
    }

    /// A port by number, or by the name that the container gives it.
    fn port(&self, what: &Value, ports: &[Value]) -> Result<u16, Denial> {
        let number = |value: &Value| value.as_u64().and_then(|port| u16::try_from(port).ok());
        let said = what.get("port").unwrap_or(&Value::Null);
        let found = match said.as_str() {
            None => number(said),
            Some(name) => ports
                .iter()
                .find(|port| tree::name(port) == name)
                .and_then(|port| number(port.get("containerPort")?)),
        };
        found.filter(|port| *port != 0).ok_or_else(|| {
            self.denied(
                &format!("is for the port {said}, which the container does not declare"),
                "name a declared port, or give its number",
            )
        })
    }

    fn check_http(
        &self,
        what: &Value,
        port: u16,
        server: &Server,
        guarding: &Guarding<'_>,
    ) -> Result<(), Denial> {
        if !matches!(tree::text(what, "/scheme"), None | Some("HTTP")) {
            return Err(self.denied(
                "asks by HTTPS, which is not part of this version",
                "use `tcpSocket`",
            ));
        }
        let path = tree::text(what, "/path").unwrap_or("/");
        let mcp = guarding
            .spec
            .server
            .path
            .as_deref()
            .unwrap_or(defaults::SERVER_PATH);
        let plain = path.split('?').next().unwrap_or(path);
        if !is_plain_path(plain) {
            return Err(self.denied(
                &format!("has the path `{path}`, which servers may read in more than one way"),
                "write it without escapes, dots, backslashes and doubled slashes",
            ));
        }
        if port == server.port && is_within(plain, mcp) {
            return Err(self.denied(
                &format!("is for the path `{path}` of the MCP endpoint `{mcp}`"),
                "probe another path, or use `tcpSocket`",
            ));
        }
        Ok(())
    }

    fn check_grpc(&self, what: &Value) -> Result<(), Denial> {
        let name = tree::text(what, "/service").unwrap_or_default();
        if name.len() <= LONGEST_SERVICE {
            return Ok(());
        }
        Err(self.denied(
            "names a gRPC service of more than 127 bytes",
            "give it a shorter name",
        ))
    }

    /// The token is the same for the same pod, so that injection can be repeated, and unknown to who cannot read pods.
    fn path(&self, guarding: &Guarding<'_>) -> String {
        let secret = [guarding.uid, self.container, self.kind].join("\n");
        let digest = Digest::of(secret.as_bytes()).to_string();
        let digits: String = digest
            .rsplit(':')
            .next()
            .unwrap_or_default()
            .chars()
            .take(32)
            .collect();
        format!("{PROBE_PATH}{}/{}/{digits}", self.container, self.kind)
    }

    fn denied(&self, what: &str, remedy: &str) -> Denial {
        let Self { container, kind } = self;
        Denial::new(
            Reason::Probe,
            format!("the {kind} handler of container `{container}` {what}"),
            remedy,
        )
    }
}

fn json_put(value: &mut Value, key: &str, what: Value) -> Result<(), Denial> {
    let object = value.as_object_mut().ok_or_else(|| Denial::form(key))?;
    object.insert(key.to_owned(), what);
    Ok(())
}
