//! Which container is the MCP server, as whom it runs and where it listens; and the restrictions that it is given.

use sallyport_policy::source::gateway::GatewaySpec;
use serde_json::{Map, Value, json};

use super::check::usable_user;
use super::denial::{Denial, Reason};
use super::names::PORTS;
use super::tree;

/// The server in its pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Server {
    pub(super) name: String,
    pub(super) uid: u32,
    pub(super) port: u16,
    pub(super) mounts: Vec<Mount>,
}

/// What the server mounts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mount {
    pub(super) volume: String,
    pub(super) writable: bool,
}

/// Finds it, or says what the gateway or the pod must say.
pub(super) fn find(pod: &Value, spec: &GatewaySpec) -> Result<Server, Denial> {
    let containers = tree::items(pod, "/spec/containers")?;
    let container = container(containers, spec)?;
    let name = tree::name(container).to_owned();
    let port = match spec.server.port {
        Some(port) => port,
        None => only_port(container)?,
    };
    if PORTS.contains(&port) {
        return Err(Denial::new(
            Reason::Reserved,
            format!("the server listens on port {port}, which is the sidecar's"),
            "let it listen on another, and set `server.port` in the gateway",
        ));
    }
    let uid = declared_user(pod, container)?.or(spec.server.run_as_user);
    let Some(uid) = uid else {
        return Err(Denial::new(
            Reason::User,
            format!("neither the pod nor the gateway says which user the server `{name}` runs as"),
            "set `server.runAsUser` in the gateway to the image's user, or `securityContext.runAsUser` on the container",
        ));
    };
    usable_user(&name, uid)?;
    Ok(Server {
        mounts: mounts(container)?,
        name,
        uid,
        port,
    })
}

/// The user that a pod says for a container; an image's own user is not known here.
pub(super) fn declared_user(pod: &Value, container: &Value) -> Result<Option<u32>, Denial> {
    let said = |value: &Value, pointer: &str| match value.pointer(pointer) {
        None | Some(Value::Null) => Ok(None),
        Some(found) => {
            let uid = found.as_u64().and_then(|uid| u32::try_from(uid).ok());
            uid.map(Some).ok_or_else(|| Denial::form("runAsUser"))
        }
    };
    let own = said(container, "/securityContext/runAsUser")?;
    let pods = said(pod, "/spec/securityContext/runAsUser")?;
    Ok(own.or(pods))
}

/// Adds the restrictions that are missing. What says the contrary was refused before.
pub(super) fn restrict(pod: &mut Value, server: &Server) -> Result<(), Denial> {
    let pod_has_seccomp = tree::says(pod, "/spec/securityContext/seccompProfile");
    let containers = tree::list(tree::spec(pod)?, "containers")?;
    let found = containers
        .iter_mut()
        .find(|one| tree::name(one) == server.name);
    let container = found.ok_or_else(|| Denial::form("containers"))?;
    let context = tree::object(container, "securityContext")?;
    let missing =
        |context: &Map<String, Value>, key: &str| context.get(key).is_none_or(Value::is_null);
    context.insert("allowPrivilegeEscalation".to_owned(), false.into());
    // The user is said here even where the pod says it, so that the rules and the container cannot come to differ.
    context.insert("runAsUser".to_owned(), server.uid.into());
    if missing(context, "runAsNonRoot") {
        context.insert("runAsNonRoot".to_owned(), true.into());
    }
    if missing(context, "seccompProfile") && !pod_has_seccomp {
        let profile = json!({ "type": "RuntimeDefault" });
        context.insert("seccompProfile".to_owned(), profile);
    }
    let capabilities = tree::object_of(context, "capabilities")?;
    let dropped = tree::list(capabilities, "drop")?;
    if !dropped.iter().any(|one| one.as_str() == Some("ALL")) {
        *dropped = vec!["ALL".into()];
    }
    Ok(())
}

fn container<'a>(containers: &'a [Value], spec: &GatewaySpec) -> Result<&'a Value, Denial> {
    if let Some(name) = &spec.server.container {
        let found = containers.iter().find(|one| tree::name(one) == name);
        return found.ok_or_else(|| {
            no_server(
                &format!("the pod has no container `{name}`, which the gateway calls its server"),
                "set `server.container` in the gateway to a container of the pod",
            )
        });
    }
    if let [only] = containers {
        return Ok(only);
    }
    let ambiguous = || {
        no_server(
            "the pod has several containers, and it is not clear which is the MCP server",
            "set `server.container` in the gateway",
        )
    };
    let port = u64::from(spec.server.port.ok_or_else(ambiguous)?);
    let declares = |one: &&Value| {
        tree::items(one, "/ports").is_ok_and(|ports| {
            ports.iter().any(|declared| {
                declared.pointer("/containerPort").and_then(Value::as_u64) == Some(port)
            })
        })
    };
    let mut declaring = containers.iter().filter(declares);
    match (declaring.next(), declaring.next()) {
        (Some(only), None) => Ok(only),
        (None, _) | (Some(_), Some(_)) => Err(ambiguous()),
    }
}

/// The port that a container declares, where it declares one.
fn only_port(container: &Value) -> Result<u16, Denial> {
    let tcp = |port: &&Value| matches!(tree::text(port, "/protocol"), None | Some("TCP"));
    let declared = tree::items(container, "/ports")?.iter().filter(tcp);
    let numbers: Vec<u16> = declared
        .filter_map(|port| port.pointer("/containerPort")?.as_u64())
        .filter_map(|port| u16::try_from(port).ok())
        .collect();
    match numbers.as_slice() {
        [only] => Ok(*only),
        _ => Err(no_server(
            &format!(
                "container `{}` declares {} TCP ports, so where the server listens is not clear",
                tree::name(container),
                numbers.len()
            ),
            "set `server.port` in the gateway",
        )),
    }
}

fn mounts(container: &Value) -> Result<Vec<Mount>, Denial> {
    tree::items(container, "/volumeMounts")?
        .iter()
        .map(|mount| {
            Ok(Mount {
                volume: tree::name(mount).to_owned(),
                writable: !tree::is_set(mount, "/readOnly")?,
            })
        })
        .collect()
}

fn no_server(what: &str, remedy: &str) -> Denial {
    Denial::new(Reason::Server, what, remedy)
}
