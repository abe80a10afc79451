//! What lies in the ConfigMaps of a policy is changed by somebody who may write them, while no operator repairs it.
//! The pod keeps what it had: nothing that was put there opens what the policy in force closes.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};

use crate::bed::Bed;
use crate::client::{self, Place};
use crate::kubectl::{Kubectl, at};
use crate::node::Node;
use crate::release;
use crate::scene::{CLOSED, POLICY, Scene};
use crate::stage::Stage;

const OTHER: &str = include_str!("../../manifests/other.yaml");
const SHARDS: usize = 4;
/// The sidecar says it of every folder that it does not take.
const REFUSED: &str = "not put in force";
const PATIENCE: Duration = Duration::from_secs(90);
/// From a touch of the pod to new files in it, with room.
const SETTLED: Duration = Duration::from_secs(3);
const GLANCE: Duration = Duration::from_millis(200);

/// What the four ConfigMaps hold, in their order: the manifest is text in the first one, the shards are bytes.
type Shards = Vec<Held>;

#[derive(Clone, Debug)]
struct Held {
    data: Map<String, Value>,
    binary: Map<String, Value>,
}

/// What is put there, made of what lay there before, what lies there now, and what another gateway has.
type Tamper = fn(open: &Shards, closed: &Shards, other: &Shards) -> Shards;

const TABLE: [(&str, Tamper); 5] = [
    ("an older policy, rightly signed", |open, _, _| open.clone()),
    ("another gateway's policy, rightly signed", |_, _, other| {
        other.clone()
    }),
    (
        "the older manifest over the newer shards",
        |open, closed, _| with_manifest(closed, manifest(open)),
    ),
    ("a manifest that is no JSON", |_, closed, _| {
        with_manifest(closed, Some(&json!("{")))
    }),
    ("a shard cut short", |_, closed, _| cut(closed)),
];

pub(super) fn run(stage: &mut Stage, bed: &Bed) -> Result<()> {
    let scene = Scene::set(bed, "e2e-tampered", 1)?;
    scene.kubectl().apply(OTHER)?;
    let clerk = scene.clerk(bed)?;
    let open = shards(scene.kubectl(), "everything")?;
    let arguments = json!({ "message": "open?" });
    let mut calls = clerk.until_it_changes(scene.clients(), "echo", &arguments, PATIENCE)?;
    scene.kubectl().apply(CLOSED)?;
    calls.line()?;
    let closed = shards(scene.kubectl(), "everything")?;
    let other = shards(scene.kubectl(), "other")?;
    stage.check(
        "the tool is closed, and no operator runs",
        release::scale(0).is_ok() && !runs(&scene, &clerk)?,
    );
    let tampered = table(stage, bed, &scene, &clerk, [&open, &closed, &other]);
    // Whatever came of it, the next case needs an operator.
    release::scale(2)?;
    tampered?;
    mended(stage, &scene, &clerk)
}

fn table(
    stage: &mut Stage,
    bed: &Bed,
    scene: &Scene,
    clerk: &Place,
    [open, closed, other]: [&Shards; 3],
) -> Result<()> {
    for (name, tamper) in TABLE {
        put(scene, closed)?;
        // What a sidecar finds amiss it tells once, until it has seen the folder in order again.
        thread::sleep(SETTLED);
        let before = refusals(scene)?;
        put(scene, &tamper(open, closed, other))?;
        let seen = until(|| Ok(refusals(scene)? > before))?;
        stage.check(
            &format!("{name}: the sidecar saw it and did not take it"),
            seen,
        );
        stage.check(
            &format!("{name}: the tool stays closed"),
            !runs(scene, clerk)?,
        );
    }
    restarted(stage, bed, scene, clerk, open)?;
    put(scene, closed)?;
    let served = until(|| Ok(runs(scene, clerk).is_ok()))?;
    stage.check(
        "the right policy put back: clients are served again",
        served,
    );
    let operator = scene.kubectl().acting_as(release::OPERATOR);
    operator.good(&["delete", "configmap", &shard("everything", 0)], "")?;
    touch(scene)?;
    thread::sleep(Duration::from_secs(3));
    stage.check(
        "a ConfigMap deleted: the tool stays closed",
        !runs(scene, clerk)?,
    );
    Ok(())
}

/// A sidecar that starts anew has no policy in memory; what it saw before it keeps in a volume of its own.
fn restarted(
    stage: &mut Stage,
    bed: &Bed,
    scene: &Scene,
    clerk: &Place,
    open: &Shards,
) -> Result<()> {
    put(scene, open)?;
    // The kubelet has written it by the time that the sidecar says so.
    thread::sleep(SETTLED);
    Node::enter(bed)?.kill_sidecar(scene.kubectl().namespace(), "everything")?;
    let seen = until(|| Ok(refusals(scene).unwrap_or_default() > 0))?;
    stage.check(
        "an older policy, and the sidecar killed: started anew it does not take it",
        seen,
    );
    stage.check(
        "an older policy, and the sidecar killed: the tool stays closed",
        !runs(scene, clerk).unwrap_or(false),
    );
    Ok(())
}

/// The operator is back: it writes again what is to lie there, and the next change arrives.
fn mended(stage: &mut Stage, scene: &Scene, clerk: &Place) -> Result<()> {
    let there = until(|| Ok(shards(scene.kubectl(), "everything").is_ok()))?;
    stage.check(
        "the operator is back and the deleted ConfigMap with it",
        there,
    );
    scene.kubectl().apply(POLICY)?;
    let opened = until(|| runs(scene, clerk))?;
    stage.check("the next change of the policy arrives", opened);
    Ok(())
}

fn runs(scene: &Scene, clerk: &Place) -> Result<bool> {
    let steps = [
        json!({ "as": "echo", "do": "call", "name": "echo", "arguments": { "message": "open?" } }),
    ];
    let report = clerk.take(scene.clients(), &steps)?;
    Ok(client::ran(at(&report, "/outcomes/echo")))
}

fn shard(gateway: &str, number: usize) -> String {
    format!("sallyport-bundle-{gateway}-{number}")
}

fn shards(kubectl: &Kubectl, gateway: &str) -> Result<Shards> {
    (0..SHARDS)
        .map(|number| {
            let object = kubectl.get(&["configmap", &shard(gateway, number)])?;
            let map = |place| at(&object, place).as_object().cloned().unwrap_or_default();
            Ok(Held {
                data: map("/data"),
                binary: map("/binaryData"),
            })
        })
        .collect()
}

/// As the operator, whom admission lets write there: what is asked is what the sidecar does with it.
fn put(scene: &Scene, shards: &Shards) -> Result<()> {
    let operator = scene.kubectl().acting_as(release::OPERATOR);
    for (number, held) in shards.iter().enumerate() {
        let patch = json!({ "data": held.data, "binaryData": held.binary }).to_string();
        let name = shard("everything", number);
        operator.good(
            &["patch", "configmap", &name, "--type=merge", "-p", &patch],
            "",
        )?;
    }
    touch(scene)
}

/// The kubelet refreshes a pod's volumes when the pod changes.
fn touch(scene: &Scene) -> Result<()> {
    let pod = scene.pod()?;
    let name = at(&pod, "/metadata/name")
        .as_str()
        .context("the pod's name")?;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    let mark = format!("e2e.sallyport.dev/touched={}", now.as_millis());
    scene
        .kubectl()
        .good(&["annotate", "--overwrite", "pod", name, &mark], "")?;
    Ok(())
}

/// How often the sidecar did not take what it found.
fn refusals(scene: &Scene) -> Result<usize> {
    let pod = scene.pod()?;
    let name = at(&pod, "/metadata/name")
        .as_str()
        .context("the pod's name")?;
    let log = scene
        .kubectl()
        .good(&["logs", name, "-c", "sallyport"], "")?;
    Ok(log.matches(REFUSED).count())
}

fn until(mut so: impl FnMut() -> Result<bool>) -> Result<bool> {
    let end = Instant::now() + PATIENCE;
    while Instant::now() < end {
        if so()? {
            return Ok(true);
        }
        thread::sleep(GLANCE);
    }
    Ok(false)
}

fn manifest(shards: &Shards) -> Option<&Value> {
    shards.first()?.data.get("manifest.json")
}

/// These shards, under another manifest.
fn with_manifest(shards: &Shards, manifest: Option<&Value>) -> Shards {
    let mut shards = shards.clone();
    if let Some((first, manifest)) = shards.first_mut().zip(manifest) {
        first
            .data
            .insert("manifest.json".to_owned(), manifest.clone());
    }
    shards
}

/// Half of the bytes of each shard; whole groups of base64, so that the API server takes them.
fn cut(shards: &Shards) -> Shards {
    let mut shards = shards.clone();
    for value in shards.iter_mut().flat_map(|held| held.binary.values_mut()) {
        let text = value.as_str().unwrap_or_default();
        *value = text
            .chars()
            .take(text.len() / 8 * 4)
            .collect::<String>()
            .into();
    }
    shards
}
