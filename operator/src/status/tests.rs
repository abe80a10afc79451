//! What is told, row by row.

use sallyport_crds::kinds::McpGatewayStatus;
use sallyport_policy::name::Digest;
use sallyport_policy::source::settings::{Capture, RecordingMode};

use super::gateway::{Facts, Obstacle, PodFact, Standing, Unwritten, status};
use super::*;

fn pod(name: &str, standing: Standing) -> PodFact {
    PodFact {
        name: name.to_owned(),
        standing,
        outdated: false,
        capture: Some(Capture::Init),
    }
}

fn facts(before: &McpGatewayStatus, pods: Vec<PodFact>) -> Facts<'_> {
    Facts {
        before,
        generation: Some(3),
        now: UnixMillis(1_780_000_000_123),
        obstacle: None,
        revision: Some(Digest::of(b"policy")),
        unwritten: None,
        recording: RecordingMode::Strict,
        pods,
    }
}

fn told(status: &McpGatewayStatus, kind: &str) -> Option<(String, String)> {
    let found = status.conditions.iter().find(|one| one.kind == kind)?;
    Some((format!("{:?}", found.status), found.reason.clone()))
}

fn pair(status: &str, reason: &str) -> Option<(String, String)> {
    Some((status.to_owned(), reason.to_owned()))
}

#[test]
fn programmed_is_true_only_when_every_pod_has_said_so() {
    use Standing::{Behind, Current, OtherGateway, Refusing, Unguarded};
    let rows = [
        ("no pods", vec![], "True", "Programmed"),
        ("all", vec![Current, Current], "True", "Programmed"),
        ("one lags", vec![Current, Behind], "False", "Pending"),
        (
            "one refuses",
            vec![Refusing("expired".to_owned())],
            "False",
            "Pending",
        ),
        (
            "one of a former gateway",
            vec![Behind, OtherGateway],
            "False",
            "RestartRequired",
        ),
        (
            "one without sidecar",
            vec![Current, Unguarded],
            "False",
            "RestartRequired",
        ),
    ];
    let before = McpGatewayStatus::default();
    for (name, standings, expected, reason) in rows {
        let pods = standings
            .into_iter()
            .map(|standing| pod("p", standing))
            .collect();
        let (status, programmed) = status(&facts(&before, pods));
        assert_eq!(
            told(&status, "Programmed"),
            pair(expected, reason),
            "{name}"
        );
        assert_eq!(programmed, expected == "True", "{name}");
        assert_eq!(
            told(&status, "Ready").map(|(status, _)| status),
            Some(expected.to_owned()),
            "{name}"
        );
    }
}

#[test]
fn a_pod_that_was_made_for_another_server_is_counted_and_named_and_enforces_all_the_same() {
    let before = McpGatewayStatus::default();
    let old = PodFact {
        outdated: true,
        ..pod("old", Standing::Current)
    };
    let (status, programmed) = status(&facts(&before, vec![old, pod("new", Standing::Current)]));
    assert!(programmed);
    assert_eq!((status.pods.current, status.pods.outdated), (2, 1));
    assert_eq!(status.pods.attention, ["old"]);
    let message = |kind: &str| {
        let found = status.conditions.iter().find(|one| one.kind == kind);
        found.map(|one| one.message.clone()).unwrap_or_default()
    };
    assert!(
        message("Programmed").ends_with("restart `old`"),
        "{}",
        message("Programmed")
    );
}

#[test]
fn kstatus_words_are_there_only_when_true() {
    let before = McpGatewayStatus::default();
    let lagging = facts(&before, vec![pod("p", Standing::Behind)]);
    let (lagging, _) = status(&lagging);
    assert_eq!(told(&lagging, "Reconciling"), pair("True", "Pending"));
    assert_eq!(told(&lagging, "Stalled"), None);
    let too_large = Facts {
        unwritten: Some(Unwritten::TooLarge("5 MB".to_owned())),
        ..facts(&before, Vec::new())
    };
    let (too_large, _) = status(&too_large);
    assert_eq!(
        told(&too_large, "Programmed"),
        pair("False", "PolicyTooLarge")
    );
    assert_eq!(told(&too_large, "Stalled"), pair("True", "NotReady"));
    assert_eq!(told(&too_large, "Reconciling"), None);
    let (good, _) = status(&facts(&before, Vec::new()));
    assert_eq!(told(&good, "Stalled").or(told(&good, "Reconciling")), None);
}

#[test]
fn what_does_not_change_keeps_its_time_so_that_it_is_written_once() {
    let before = McpGatewayStatus::default();
    let (first, _) = status(&facts(&before, vec![pod("p", Standing::Behind)]));
    let later = Facts {
        now: UnixMillis(1_780_000_999_000),
        ..facts(&first, vec![pod("p", Standing::Behind)])
    };
    assert_eq!(status(&later).0, first);
    let mended = Facts {
        pods: vec![pod("p", Standing::Current)],
        ..later
    };
    let (mended, _) = status(&mended);
    let time = |status: &McpGatewayStatus, kind: &str| {
        let mut all = status.conditions.iter();
        all.find(|one| one.kind == kind)
            .map(|one| one.last_transition_time)
    };
    assert_eq!(time(&mended, "Accepted"), time(&first, "Accepted"));
    assert!(time(&mended, "Programmed") > time(&first, "Programmed"));
}

#[test]
fn an_obstacle_is_told_with_what_to_do() {
    let rows = [
        (
            Obstacle::Invalid("spec.x".to_owned()),
            "Invalid",
            "everything is denied",
        ),
        (
            Obstacle::BelowGuardrail("recording".to_owned()),
            "BelowGuardrail",
            "everything is denied",
        ),
        (
            Obstacle::SelectorConflict(vec![("p-0".to_owned(), "older".to_owned())]),
            "SelectorConflict",
            "the older `older` keeps `p-0`; make the selectors disjoint",
        ),
    ];
    let before = McpGatewayStatus::default();
    for (obstacle, reason, says) in rows {
        let facts = Facts {
            obstacle: Some(obstacle),
            ..facts(&before, Vec::new())
        };
        let (status, _) = status(&facts);
        assert_eq!(told(&status, "Accepted"), pair("False", reason));
        let accepted = status
            .conditions
            .iter()
            .find(|one| one.kind == "Accepted")
            .unwrap();
        assert!(accepted.message.contains(says), "{}", accepted.message);
    }
}

#[test]
fn lists_in_status_have_a_bound() {
    let before = McpGatewayStatus::default();
    let pods = (0..40)
        .map(|n| pod(&format!("p-{n}"), Standing::Behind))
        .collect();
    let (status, _) = status(&facts(&before, pods));
    assert_eq!(
        (status.pods.matched, status.pods.attention.len()),
        (40, ATTENTION)
    );
    let programmed = status
        .conditions
        .iter()
        .find(|one| one.kind == "Programmed")
        .unwrap();
    assert!(
        programmed.message.ends_with("and 35 more"),
        "{}",
        programmed.message
    );
}
