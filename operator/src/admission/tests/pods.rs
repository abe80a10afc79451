use serde_json::{Value, json};

use super::super::{mutate_pods, validate_pods};
use super::*;

fn pod() -> Value {
    json!({
        "metadata": { "generateName": "inventory-" },
        "spec": { "containers": [{ "name": "server", "image": "i@sha256:00" }] },
    })
}

fn set(pod: &mut Value, pointer: &str, value: Value) {
    *pod.pointer_mut(pointer).unwrap() = value;
}

#[test]
fn a_selected_pod_is_guarded_and_its_twin_agrees() {
    let world = known(Guard::By(Box::new(keeper())));
    let answer = mutate_pods(&review("CREATE", &pod()), &world);
    assert_eq!(answer.reason, "Patched");
    let guarded = patched(&pod(), &answer.body);
    let answer = validate_pods(&review("CREATE", &guarded), &world);
    assert!(answer.allowed, "{}", response(&answer.body));
    // Called again it has nothing to do.
    let again = mutate_pods(&review("CREATE", &guarded), &world);
    assert_eq!(patched(&guarded, &again.body), guarded);
}

#[test]
fn the_twin_refuses_what_was_not_injected_and_what_was_changed() {
    let world = known(Guard::By(Box::new(keeper())));
    let guarded = patched(&pod(), &mutate_pods(&review("CREATE", &pod()), &world).body);
    let mut image = guarded.clone();
    set(&mut image, "/spec/initContainers/1/image", json!("evil"));
    for (name, pod, place) in [
        ("not injected", pod(), "/metadata"),
        ("another image", image, "/spec/initContainers/1/image"),
    ] {
        let answer = validate_pods(&review("CREATE", &pod), &world);
        assert_eq!(answer.reason, "Altered", "{name}");
        let told = response(&answer.body).to_string();
        assert!(told.contains(place), "{name}: {told}");
    }
}

#[test]
fn a_policy_signed_between_the_two_questions_is_no_difference_and_an_old_minimum_is() {
    let guarded = {
        let world = known(Guard::By(Box::new(keeper())));
        patched(&pod(), &mutate_pods(&review("CREATE", &pod()), &world).body)
    };
    for (name, later, allowed) in [
        ("the same", 0, true),
        ("a minute", 60_000, true),
        ("an hour", 3_600_000, false),
    ] {
        let mut keeper = keeper();
        keeper.generation += later;
        let world = known(Guard::By(Box::new(keeper)));
        assert_eq!(
            validate_pods(&review("CREATE", &guarded), &world).allowed,
            allowed,
            "{name}"
        );
    }
    // Nor may a pod ask for more than there is.
    let mut keeper = keeper();
    keeper.generation -= 1;
    let world = known(Guard::By(Box::new(keeper)));
    assert!(!validate_pods(&review("CREATE", &guarded), &world).allowed);
}

#[test]
fn who_is_guarded_is_decided_the_same_way_by_both() {
    let enforced = BTreeMap::from([("sallyport.dev/enforce".to_owned(), "true".to_owned())]);
    let mut asking = pod();
    asking["metadata"]["annotations"] = json!({ "sallyport.dev/inject": "true" });
    let mut labelled = pod();
    labelled["metadata"]["labels"] = json!({ "sallyport.dev/guarded-by": "inventory" });
    let exempt = vec![vec!["i@sha256:00".to_owned()]];
    let other = vec![vec!["other@sha256:00".to_owned()]];
    for (name, object, labels, guard, exempt, mutated, validated) in [
        (
            "nobody's pod",
            pod(),
            BTreeMap::new(),
            Guard::Nobody,
            vec![],
            "Allowed",
            "Allowed",
        ),
        (
            "nobody's pod where all are guarded",
            pod(),
            enforced.clone(),
            Guard::Nobody,
            vec![],
            "NotGuarded",
            "NotGuarded",
        ),
        (
            "exempt by all its images",
            pod(),
            enforced.clone(),
            Guard::Nobody,
            exempt,
            "Allowed",
            "Allowed",
        ),
        (
            "exempt is another image",
            pod(),
            enforced.clone(),
            Guard::Nobody,
            other,
            "NotGuarded",
            "NotGuarded",
        ),
        (
            "it asks and nobody selects it",
            asking,
            BTreeMap::new(),
            Guard::Nobody,
            vec![],
            "NotGuarded",
            "NotGuarded",
        ),
        (
            "it names a gateway that is not there",
            pod(),
            BTreeMap::new(),
            Guard::Missing("x".to_owned()),
            vec![],
            "NotGuarded",
            "NotGuarded",
        ),
        (
            "a gateway cannot be read",
            pod(),
            BTreeMap::new(),
            Guard::Unsettled("x".to_owned()),
            vec![],
            "NotGuarded",
            "NotGuarded",
        ),
        (
            "it only looks guarded",
            labelled,
            BTreeMap::new(),
            Guard::Nobody,
            vec![],
            "Allowed",
            "NotGuarded",
        ),
    ] {
        let mut world = known(guard);
        world.labels = Some(labels);
        world.exempt = exempt;
        assert_eq!(
            mutate_pods(&review("CREATE", &object), &world).reason,
            mutated,
            "{name}"
        );
        assert_eq!(
            validate_pods(&review("CREATE", &object), &world).reason,
            validated,
            "{name}"
        );
    }
}

#[test]
fn what_is_not_known_yet_is_refused_and_not_let_through() {
    let mut world = known(Guard::Nobody);
    world.platform = None;
    assert_eq!(
        mutate_pods(&review("CREATE", &pod()), &world).reason,
        "NotYet"
    );
    let mut world = known(Guard::Nobody);
    world.labels = None;
    let answer = validate_pods(&review("CREATE", &pod()), &world);
    assert_eq!(answer.reason, "NotYet");
    assert_eq!(response(&answer.body)["status"]["code"], 503);
}

#[test]
fn a_denial_tells_reason_and_remedy() {
    let world = known(Guard::By(Box::new(keeper())));
    let mut host = pod();
    host["spec"]["hostNetwork"] = json!(true);
    let answer = mutate_pods(&review("CREATE", &host), &world);
    assert_eq!(answer.reason, "HostNamespace");
    let message = response(&answer.body)["status"]["message"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(message.contains("remove `hostNetwork`"), "{message}");
}

#[test]
fn updates_are_not_this_webhooks_business() {
    let world = known(Guard::By(Box::new(keeper())));
    for operation in ["UPDATE", "DELETE", "CONNECT"] {
        assert_eq!(
            validate_pods(&review(operation, &pod()), &world).reason,
            "Allowed"
        );
    }
}

/// Both questions about a pod. The figures are printed; the median is held to the goal, as other work on the machine of a
/// test may stop any single one for longer.
#[test]
fn a_pod_is_answered_within_ten_milliseconds() {
    let world = known(Guard::By(Box::new(keeper())));
    let question = review("CREATE", &pod());
    let mut took: Vec<_> = (0..1000)
        .map(|_| {
            let begun = std::time::Instant::now();
            let guarded = patched(&pod(), &mutate_pods(&question, &world).body);
            assert!(validate_pods(&review("CREATE", &guarded), &world).allowed);
            begun.elapsed()
        })
        .collect();
    took.sort();
    println!(
        "both questions about a pod: median {:?}, p99 {:?}",
        took[500], took[990]
    );
    assert!(took[500].as_millis() < 10, "median {:?}", took[500]);
}
