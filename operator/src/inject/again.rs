//! Takes out what an earlier call put in. A pod comes by again when another webhook changed it, or before the twin.
//!
//! Ours is known by names, and a pod that bears some of them without the rest is not one of ours: it is refused, so
//! that nobody passes for guarded by a name.

use serde_json::{Map, Value};

use super::denial::{Denial, Reason};
use super::names::{self, CONTAINERS, GUARDED_BY, SIDECAR, STATUS, is_ours};
use super::probes;
use super::tree;

/// The pod as it was before anything of ours was in it, but for restrictions, which stay.
pub(super) fn bare(pod: &Value) -> Result<Value, Denial> {
    let ours = our_inits(pod)?;
    let label = tree::text(pod, &labelled()).map(str::to_owned);
    match (ours, label) {
        (0, None) => {
            refuse_names(pod)?;
            Ok(pod.clone())
        }
        (3, Some(_)) => {
            let bare = without(pod)?;
            refuse_names(&bare)?;
            Ok(bare)
        }
        (0, Some(_)) => Err(Denial::new(
            Reason::Reserved,
            format!("the label `{GUARDED_BY}` is written by Sallyport alone"),
            "remove it from the pod or its template",
        )),
        (_, _) => Err(reserved("container", "one of `sallyport`, `sallyport-*`")),
    }
}

/// The flags of the sidecar that a pod carries, if it carries one.
#[must_use]
pub fn sidecar_flags(pod: &Value) -> Option<Vec<String>> {
    let inits = tree::items(pod, "/spec/initContainers").ok()?;
    let sidecar = inits.iter().find(|one| tree::name(one) == SIDECAR)?;
    let args = tree::items(sidecar, "/args").ok()?;
    args.iter()
        .map(|arg| arg.as_str().map(|text| text.replace("$$", "$")))
        .collect()
}

fn labelled() -> String {
    format!("/metadata/labels/{}", GUARDED_BY.replace('/', "~1"))
}

/// How many of our three stand where ours stand, each once. Anything else of our names counts as too many.
fn our_inits(pod: &Value) -> Result<usize, Denial> {
    let inits = tree::items(pod, "/spec/initContainers")?;
    let mut found: Vec<&str> = inits
        .iter()
        .map(tree::name)
        .filter(|name| is_ours(name))
        .collect();
    found.sort_unstable();
    let mut expected = CONTAINERS.to_vec();
    expected.sort_unstable();
    Ok(match found.len() {
        0 => 0,
        _ if found == expected => 3,
        _ => usize::MAX,
    })
}

fn without(pod: &Value) -> Result<Value, Denial> {
    let flags = sidecar_flags(pod).ok_or_else(|| Denial::form("args"))?;
    let mut bare = pod.clone();
    probes::restore(&mut bare, &flags)?;
    let spec = tree::spec(&mut bare)?;
    for list in ["initContainers", "volumes"] {
        tree::list(spec, list)?.retain(|item| !is_ours(tree::name(item)));
        drop_if_empty(spec, list);
    }
    let metadata = tree::object(&mut bare, "metadata")?;
    for (map, key) in [("labels", GUARDED_BY), ("annotations", STATUS)] {
        tree::object_of(metadata, map)?.remove(key);
        drop_if_empty(metadata, map);
    }
    Ok(bare)
}

fn drop_if_empty(object: &mut Map<String, Value>, key: &str) {
    let empty = match object.get(key) {
        Some(Value::Array(items)) => items.is_empty(),
        Some(Value::Object(fields)) => fields.is_empty(),
        Some(_) | None => false,
    };
    if empty {
        object.remove(key);
    }
}

fn refuse_names(pod: &Value) -> Result<(), Denial> {
    for container in tree::containers(pod)? {
        if is_ours(tree::name(container)) {
            return Err(reserved("container", tree::name(container)));
        }
        for mount in tree::items(container, "/volumeMounts")? {
            if is_ours(tree::name(mount)) {
                return Err(reserved("volume", tree::name(mount)));
            }
            let path = tree::text(mount, "/mountPath").unwrap_or_default();
            if path.starts_with(names::MOUNTS) {
                return Err(reserved("mount path", path));
            }
        }
        for port in tree::items(container, "/ports")? {
            let number = port.pointer("/containerPort").and_then(Value::as_u64);
            if names::PORTS
                .iter()
                .any(|ours| number == Some(u64::from(*ours)))
            {
                return Err(reserved("port", &number.unwrap_or_default().to_string()));
            }
        }
    }
    for volume in tree::items(pod, "/spec/volumes")? {
        if is_ours(tree::name(volume)) {
            return Err(reserved("volume", tree::name(volume)));
        }
    }
    Ok(())
}

fn reserved(what: &str, name: &str) -> Denial {
    Denial::new(
        Reason::Reserved,
        format!("the {what} `{name}` bears a name that is Sallyport's own"),
        "give it another",
    )
}
