//! What no sidecar could guard: refused, each with its remedy. Nothing is quietly mended but in the server's container.

use std::collections::BTreeSet;

use sallyport_policy::source::gateway::GatewaySpec;
use serde_json::Value;

use super::denial::{Denial, Reason};
use super::names::{SIDECAR_UID, VALIDATOR_UID};
use super::server::{self, Server};
use super::tree;

/// Refuses what concerns the pod as a whole.
pub(super) fn pod(pod: &Value) -> Result<(), Denial> {
    for (switch, what) in [
        (
            "hostNetwork",
            "has no network namespace of its own to guard",
        ),
        ("hostPID", "lets its processes reach those of the node"),
        ("hostIPC", "lets its processes reach those of the node"),
        (
            "shareProcessNamespace",
            "lets its containers reach into the sidecar",
        ),
    ] {
        if tree::is_set(pod, &format!("/spec/{switch}"))? {
            return Err(Denial::new(
                Reason::HostNamespace,
                format!("a pod with `{switch}: true` {what}"),
                format!("remove `{switch}`"),
            ));
        }
    }
    let windows = tree::text(pod, "/spec/os/name") == Some("windows")
        || tree::text(pod, "/spec/nodeSelector/kubernetes.io~1os") == Some("windows")
        || tree::says(pod, "/spec/securityContext/windowsOptions");
    if windows {
        return Err(Denial::new(
            Reason::Windows,
            "the pod is for Windows, where traffic cannot be captured",
            "run the server on Linux",
        ));
    }
    if tree::says(pod, "/spec/securityContext/sysctls") {
        return Err(not_safe(
            "`sysctls` of the pod change the network that is guarded",
            "remove `securityContext.sysctls`",
        ));
    }
    for volume in tree::items(pod, "/spec/volumes")? {
        if tree::says(volume, "/hostPath") {
            return Err(not_safe(
                &format!(
                    "volume `{}` is a `hostPath`: the node's files lead into the pod's sandbox",
                    tree::name(volume)
                ),
                "use another kind of volume",
            ));
        }
    }
    Ok(())
}

/// Refuses what a container says against being told apart from the others and from us.
pub(super) fn containers(pod: &Value, server: &Server, spec: &GatewaySpec) -> Result<(), Denial> {
    let mut names = BTreeSet::new();
    for container in tree::containers(pod)? {
        let name = tree::name(container);
        // The API server refuses these too, but after us: recorded probes go by the name.
        if !is_label(name) || !names.insert(name) {
            return Err(Denial::form("name"));
        }
        privileges(container)?;
        if name == server.name {
            continue;
        }
        restricted(container)?;
        user(pod, container, server)?;
        volumes(pod, container, server, spec)?;
    }
    Ok(())
}

/// A DNS label, as containers are named.
fn is_label(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !name.is_empty() && name.bytes().all(plain)
}

/// What no container beside the sidecar may have, the server's included.
fn privileges(container: &Value) -> Result<(), Denial> {
    let name = tree::name(container);
    let context = |field: &str| format!("/securityContext/{field}");
    if tree::is_set(container, &context("privileged"))? {
        return Err(not_safe(
            &format!(
                "container `{name}` is privileged and could change the rules that guard the pod"
            ),
            "remove `privileged`",
        ));
    }
    if tree::is_set(container, &context("allowPrivilegeEscalation"))? {
        return Err(not_safe(
            &format!(
                "container `{name}` may escalate its privileges and become the sidecar's user"
            ),
            "set `allowPrivilegeEscalation: false`",
        ));
    }
    for added in tree::items(container, &context("capabilities/add"))? {
        // The one capability that PodSecurity's `restricted` lets be added; it opens low ports and nothing else.
        if added.as_str() != Some("NET_BIND_SERVICE") {
            return Err(not_safe(
                &format!("container `{name}` adds the capability {added}"),
                "remove it from `capabilities.add`",
            ));
        }
    }
    let unconfined =
        tree::text(container, "/securityContext/seccompProfile/type") == Some("Unconfined");
    if unconfined {
        return Err(not_safe(
            &format!("container `{name}` is not confined by seccomp"),
            "set `seccompProfile.type: RuntimeDefault`",
        ));
    }
    Ok(())
}

/// A user id tells containers apart only where no program of the image can change it.
fn restricted(container: &Value) -> Result<(), Denial> {
    let name = tree::name(container);
    let dropped = tree::items(container, "/securityContext/capabilities/drop")?;
    let drops_all = dropped.iter().any(|one| one.as_str() == Some("ALL"));
    let escalation = container.pointer("/securityContext/allowPrivilegeEscalation");
    if drops_all && escalation.and_then(Value::as_bool) == Some(false) {
        return Ok(());
    }
    Err(not_safe(
        &format!("container `{name}` could become another user, the sidecar's too"),
        "set `securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}` on it",
    ))
}

fn user(pod: &Value, container: &Value, server: &Server) -> Result<(), Denial> {
    let name = tree::name(container);
    let Some(uid) = server::declared_user(pod, container)? else {
        return Err(Denial::new(
            Reason::User,
            format!(
                "container `{name}` does not say which user it runs as, and its image may say the server's or the sidecar's"
            ),
            "set `securityContext.runAsUser` on it",
        ));
    };
    usable_user(name, uid)?;
    if uid == server.uid {
        return Err(Denial::new(
            Reason::User,
            format!(
                "container `{name}` runs as user {uid}, as the server `{}` does",
                server.name
            ),
            "give each its own `securityContext.runAsUser`",
        ));
    }
    Ok(())
}

/// A user id that is neither root's nor one of ours.
pub(super) fn usable_user(container: &str, uid: u32) -> Result<(), Denial> {
    let what = match uid {
        0 => "runs as root",
        SIDECAR_UID => "runs as the sidecar's user",
        VALIDATOR_UID => "runs as the validator's user",
        _ => return Ok(()),
    };
    Err(Denial::new(
        Reason::User,
        format!("container `{container}` {what}"),
        "set another `securityContext.runAsUser`",
    ))
}

/// What one container writes and the server sees is a way to it that no rule of the network sees.
fn volumes(
    pod: &Value,
    container: &Value,
    server: &Server,
    spec: &GatewaySpec,
) -> Result<(), Denial> {
    for mount in tree::items(container, "/volumeMounts")? {
        let volume = tree::name(mount);
        let shared = server.mounts.iter().find(|own| own.volume == volume);
        let Some(own) = shared.filter(|_| {
            !spec
                .server
                .shared_volumes
                .iter()
                .any(|named| named == volume)
        }) else {
            continue;
        };
        let writable = own.writable || !tree::is_set(mount, "/readOnly")?;
        if writable && can_be_written(pod, volume)? {
            return Err(Denial::new(
                Reason::SharedVolume,
                format!(
                    "container `{}` and the server `{}` share the writable volume `{volume}`",
                    tree::name(container),
                    server.name
                ),
                "mount it `readOnly` in both, or name it in the gateway's `server.sharedVolumes`",
            ));
        }
    }
    Ok(())
}

fn can_be_written(pod: &Value, name: &str) -> Result<bool, Denial> {
    let volumes = tree::items(pod, "/spec/volumes")?;
    let found = volumes.iter().find(|volume| tree::name(volume) == name);
    let fixed = |volume: &Value| {
        ["configMap", "secret", "downwardAPI", "projected", "image"]
            .iter()
            .any(|kind| volume.get(kind).is_some_and(|what| !what.is_null()))
    };
    Ok(!found.is_some_and(fixed))
}

fn not_safe(what: &str, remedy: &str) -> Denial {
    Denial::new(Reason::Unsafe, what, remedy)
}
