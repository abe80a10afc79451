//! From a pod to the guarded pod, as one pure function of JSON values.
//!
//! Values and not typed structs: a field of a newer API server than ours must come out as it went in. What is ours is
//! taken out first and put in anew, so that the function may be applied again, by another webhook's doing or by the
//! twin that recomputes it. What cannot be guarded is refused with the reason and the remedy; nothing is ever skipped.

pub mod again;
mod check;
mod containers;
mod denial;
mod equal;
pub mod names;
pub mod patch;
mod probes;
mod server;
mod tree;
mod volumes;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use sallyport_policy::source::gateway::{GatewaySpec, ObjectRef, Resources};
use sallyport_policy::source::settings::Capture;
use serde_json::{Value, json};

/// Whether a sidecar with these flags was injected by another spec, so that its pod must be made anew.
#[must_use]
pub fn is_outdated(flags: &[String], spec: &GatewaySpec) -> bool {
    containers::is_outdated(flags, spec)
}

pub use denial::{Denial, Reason};
pub use equal::differs;

use names::{GUARDED_BY, STATUS};

/// What every injection of this operator has in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Platform {
    /// By digest, as admission approves it.
    pub sidecar_image: String,
    /// By digest.
    pub capture_image: String,
    /// The root's verifying key: 64 hex digits.
    pub root_key: String,
    /// Flags of the sidecar that name the control endpoint; the same for every pod.
    pub control: Vec<String>,
}

/// The gateway that guards a pod, with what guardrails add where it says nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guarding<'a> {
    pub namespace: &'a str,
    pub name: &'a str,
    pub uid: &'a str,
    pub spec: &'a GatewaySpec,
    /// The newest generation of its policy that was written.
    pub generation: u64,
    pub default_resources: &'a Resources,
    pub default_pull_secrets: &'a [ObjectRef],
}

/// What a namespace says that bears on injection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Surroundings<'a> {
    pub labels: &'a BTreeMap<String, String>,
}

/// The pod with everything in it that guards it.
///
/// # Errors
/// Why it cannot be guarded, and what to do.
pub fn inject(
    pod: &Value,
    guarding: &Guarding<'_>,
    platform: &Platform,
    around: Surroundings<'_>,
) -> Result<Value, Denial> {
    let bare = again::bare(pod)?;
    check::pod(&bare)?;
    let capture = capture(guarding.spec, around)?;
    let server = server::find(&bare, guarding.spec)?;
    check::containers(&bare, &server, guarding.spec)?;
    let mut guarded = bare;
    let recorded = probes::rewrite(&mut guarded, &server, guarding)?;
    server::restrict(&mut guarded, &server)?;
    let ours = containers::all(&server, &recorded, guarding, platform)?;
    put_first(&mut guarded, ours)?;
    volumes::add(&mut guarded, guarding)?;
    pull_secrets(&mut guarded, guarding)?;
    mark(&mut guarded, guarding, capture)?;
    Ok(guarded)
}

/// How the pod's traffic is made to pass the sidecar, where that is possible.
fn capture(spec: &GatewaySpec, around: Surroundings<'_>) -> Result<Capture, Denial> {
    let asked = spec.capture.unwrap_or(Capture::Auto);
    match asked {
        Capture::Cni => Err(Denial::capture(
            "`Cni` is not part of this version",
            "set `capture` to `Auto` or `Init`",
        )),
        Capture::Socket => Err(Denial::capture(
            "`Socket` is not part of this version",
            "set `capture` to `Auto` or `Init`, and let the server listen on a port",
        )),
        Capture::Auto | Capture::Init => {
            if spec.server.socket_path.is_some() || !spec.server.command.is_empty() {
                return Err(Denial::capture(
                    "the server speaks stdio or over a Unix socket, which is not part of this version",
                    "let it listen on a port, and set `server.port`",
                ));
            }
            pod_security(around).map(|()| Capture::Init)
        }
    }
}

/// The capture container has NET_ADMIN, which the API server itself forbids at the stricter levels.
fn pod_security(around: Surroundings<'_>) -> Result<(), Denial> {
    match around.labels.get(names::POD_SECURITY).map(String::as_str) {
        Some(level @ ("baseline" | "restricted")) => Err(Denial::capture(
            &format!(
                "the namespace enforces PodSecurity `{level}`, which forbids the NET_ADMIN of the capture container"
            ),
            &format!(
                "label the namespace `{}: privileged` and `{}: \"true\"`: Sallyport's own admission then holds every other container to `restricted`",
                names::POD_SECURITY,
                names::ENFORCE
            ),
        )),
        Some(_) | None => Ok(()),
    }
}

/// Ours before the user's own init containers: nothing of theirs runs before the rules are proven.
fn put_first(pod: &mut Value, ours: Vec<Value>) -> Result<(), Denial> {
    let inits = tree::list(tree::spec(pod)?, "initContainers")?;
    inits.splice(0..0, ours);
    Ok(())
}

fn pull_secrets(pod: &mut Value, guarding: &Guarding<'_>) -> Result<(), Denial> {
    let own = &guarding.spec.sidecar.image_pull_secrets;
    let wanted = if own.is_empty() {
        guarding.default_pull_secrets
    } else {
        own
    };
    if wanted.is_empty() {
        return Ok(());
    }
    let present = tree::list(tree::spec(pod)?, "imagePullSecrets")?;
    for secret in wanted {
        let reference = json!({ "name": secret.name });
        if !present.contains(&reference) {
            present.push(reference);
        }
    }
    Ok(())
}

/// The label that NetworkPolicies and status go by, and a word for people.
fn mark(pod: &mut Value, guarding: &Guarding<'_>, capture: Capture) -> Result<(), Denial> {
    let metadata = tree::object(pod, "metadata")?;
    let labels = tree::object_of(metadata, "labels")?;
    labels.insert(GUARDED_BY.to_owned(), guarding.name.into());
    let annotations = tree::object_of(metadata, "annotations")?;
    let status = json!({ "version": env!("CARGO_PKG_VERSION"), "capture": capture });
    annotations.insert(STATUS.to_owned(), status.to_string().into());
    Ok(())
}
