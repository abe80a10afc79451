//! Every example of every detector is masked exactly; every counter-example is left alone.

use std::collections::BTreeSet;

use super::*;
use crate::mask::engine::Engine;
use crate::source::masking::MaskAction;

fn alone(detector: Detector) -> Engine {
    Engine::new([(detector, MaskAction::Redact)], &[], &[]).unwrap()
}

#[test]
fn each_detector_is_defined_once() {
    let defined: Vec<Detector> = definitions().iter().map(|own| own.detector).collect();
    assert_eq!(defined, Detector::ALL);
    assert!(Detector::ALL.len() >= 36);
}

#[test]
fn each_example_is_found_exactly() {
    for definition in definitions() {
        let engine = alone(definition.detector);
        assert!(!definition.examples.is_empty());
        for example in definition.examples {
            let hits = engine.scan(example.text);
            let found: Vec<&str> = hits
                .iter()
                .map(|hit| example.text.get(hit.span.clone()).unwrap())
                .collect();
            assert_eq!(
                found,
                [example.secret],
                "{} in `{}`",
                definition.detector,
                example.text
            );
        }
    }
}

#[test]
fn each_counter_example_is_left_alone() {
    for definition in definitions() {
        let engine = alone(definition.detector);
        assert!(
            !definition.counter_examples.is_empty(),
            "{}",
            definition.detector
        );
        for text in definition.counter_examples {
            let hits = engine.scan(text);
            let found: Vec<&str> = hits
                .iter()
                .map(|hit| text.get(hit.span.clone()).unwrap())
                .collect();
            assert!(
                found.is_empty(),
                "{} found {found:?} in `{text}`",
                definition.detector
            );
        }
    }
}

#[test]
fn a_raw_lead_stands_wherever_an_example_does() {
    // What the fast path over raw bytes does not see is never looked at.
    for definition in definitions() {
        let engine = alone(definition.detector);
        for example in definition.examples {
            let raw = serde_json::to_string(example.text).unwrap();
            assert!(
                !engine.leads_in(raw.as_bytes()).unwrap().is_empty(),
                "{}",
                definition.detector
            );
        }
    }
}

#[test]
fn a_group_means_its_detectors_and_a_name_one() {
    let group: BTreeSet<_> = detectors_named("Financial").unwrap().into_iter().collect();
    assert!(group.contains(&Detector::CreditCard) && !group.contains(&Detector::Email));
    assert_eq!(detectors_named("Email"), Ok(vec![Detector::Email]));
    let error = detectors_named("email").unwrap_err().to_string();
    assert_eq!(
        error,
        "`email` is neither a detector nor a group of detectors"
    );
}

#[test]
fn the_reference_table_has_a_row_for_each_detector() {
    let table = reference_table();
    for detector in Detector::ALL {
        assert_eq!(
            table.matches(&format!("| `{detector}` |")).count(),
            1,
            "{detector}"
        );
    }
}

#[test]
fn names_tell_what_stands_beside_them() {
    use super::beside::{Beside, meaning_of};
    let table = [
        ("password", Some(Beside::Password)),
        ("dbPassword", Some(Beside::Password)),
        ("DB_PASSWD", Some(Beside::Password)),
        ("user-pwd", Some(Beside::Password)),
        ("apiKey", Some(Beside::Secret)),
        ("API_KEY", Some(Beside::Secret)),
        ("access_token", Some(Beside::Secret)),
        ("client_secret", Some(Beside::Secret)),
        ("Set-Cookie", Some(Beside::Secret)),
        ("AWS_SECRET_ACCESS_KEY", Some(Beside::AwsSecretKey)),
        ("cvv", Some(Beside::CardSecurityCode)),
        ("max_tokens", None),
        ("token_count", None),
        ("nextPageToken", None),
        ("password_policy", None),
        ("secretName", None),
        ("keyboard", None),
        ("name", None),
    ];
    for (name, expected) in table {
        assert_eq!(meaning_of(name), expected, "{name}");
    }
}
