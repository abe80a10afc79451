//! Which rules a body is held to: header, body and session in every combination that matters.

use super::*;
use crate::mcp::era::{
    Classified, EraError, HttpVersion, META_CAPABILITIES, META_VERSION, Outside, classify,
};

fn at(header: Option<&str>, session: Option<Revision>) -> Outside<'_> {
    Outside {
        http: Some(HttpVersion(header)),
        session,
    }
}

fn run(body_text: &str, outside: Outside<'_>) -> Result<Classified, EraError> {
    let document = document(body_text.to_owned());
    classify(&body(&document), outside)
}

fn revision(body_text: &str, outside: Outside<'_>) -> Result<Revision, EraError> {
    run(body_text, outside).map(|classified| classified.revision)
}

const LIST: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
const TOLD: &str =
    r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}"#;
const ANSWER: &str = r#"{"jsonrpc":"2.0","id":1,"result":{}}"#;
const BATCH: &str = r#"[{"jsonrpc":"2.0","id":1,"method":"tools/list"}]"#;

fn modern_list(version: &str) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{{"_meta":{{"{META_VERSION}":{version},"{META_CAPABILITIES}":{{}}}}}}}}"#
    )
}

fn opening(version: &str) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"initialize","params":{{"protocolVersion":"{version}"}}}}"#
    )
}

#[test]
fn a_body_without_any_version_is_held_to_its_session_else_its_header_else_2025_03_26() {
    use Revision::{V2025_03_26, V2025_06_18, V2025_11_25};
    for (name, header, session, expected) in [
        ("nothing said", None, None, V2025_03_26),
        ("a header", Some("2025-06-18"), None, V2025_06_18),
        ("a session", None, Some(V2025_11_25), V2025_11_25),
        ("both", Some("2025-06-18"), Some(V2025_11_25), V2025_11_25),
    ] {
        for body in [LIST, TOLD, ANSWER] {
            assert_eq!(
                revision(body, at(header, session)),
                Ok(expected),
                "{name}: {body}"
            );
        }
    }
}

#[test]
fn a_modern_body_needs_the_same_version_in_its_header() {
    let newest = Revision::NEWEST;
    let text = modern_list(r#""2026-07-28""#);
    assert_eq!(revision(&text, at(Some("2026-07-28"), None)), Ok(newest));
    assert_eq!(
        revision(&text, at(None, None)),
        Err(EraError::HeaderMissing)
    );
    let no_headers = Outside {
        http: None,
        session: None,
    };
    assert_eq!(revision(&text, no_headers), Ok(newest));
}

#[test]
fn trap_20_header_and_body_that_disagree_are_refused_both_ways() {
    let legacy = Some(Revision::V2025_11_25);
    let modern = modern_list(r#""2026-07-28""#);
    for header in ["2025-03-26", "2025-11-25", "2099-01-01", ""] {
        let outcome = revision(&modern, at(Some(header), legacy));
        assert!(
            matches!(outcome, Err(EraError::Mismatch { .. })),
            "{header}"
        );
    }
    for session in [None, legacy] {
        let outcome = revision(LIST, at(Some("2026-07-28"), session));
        assert_eq!(outcome, Err(EraError::MetaMissing(META_VERSION)));
        let outcome = revision(ANSWER, at(Some("2026-07-28"), session));
        assert_eq!(outcome, Err(EraError::Response));
    }
    let outcome = run(&opening("2025-11-25"), at(Some("2026-07-28"), None));
    assert!(matches!(outcome, Err(EraError::Mismatch { .. })));
}

#[test]
fn an_unknown_version_is_refused_wherever_it_is_named() {
    for version in ["2099-01-01", "2025-11-26", "draft", "DRAFT-2026"] {
        let unsupported = Err(EraError::Unsupported {
            requested: version.to_owned(),
        });
        let quoted = format!("\"{version}\"");
        assert_eq!(revision(LIST, at(Some(version), None)), unsupported);
        assert_eq!(
            revision(&opening("2025-11-25"), at(Some(version), None)),
            unsupported
        );
        assert_eq!(
            revision(&modern_list(&quoted), at(Some(version), None)),
            unsupported
        );
    }
    // Modern metadata under a legacy name is no revision either.
    let outcome = revision(
        &modern_list(r#""2025-11-25""#),
        at(Some("2025-11-25"), None),
    );
    assert!(matches!(outcome, Err(EraError::Unsupported { .. })));
}

#[test]
fn modern_metadata_is_whole_or_refused() {
    let outcome = revision(&modern_list("1"), at(Some("2026-07-28"), None));
    assert_eq!(outcome, Err(EraError::MetaMissing(META_VERSION)));
    for capabilities in ["", r#","io.modelcontextprotocol/clientCapabilities":true"#] {
        let text = format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{{"_meta":{{"{META_VERSION}":"2026-07-28"{capabilities}}}}}}}"#
        );
        let outcome = revision(&text, at(Some("2026-07-28"), None));
        assert_eq!(outcome, Err(EraError::MetaMissing(META_CAPABILITIES)));
    }
}

#[test]
fn a_modern_notification_needs_no_metadata() {
    assert_eq!(
        revision(TOLD, at(Some("2026-07-28"), None)),
        Ok(Revision::NEWEST)
    );
}

#[test]
fn initialize_opens_a_legacy_session_in_the_revision_it_asks_for() {
    for (asked, expected) in [
        ("2024-11-05", Revision::V2024_11_05),
        ("2025-06-18", Revision::V2025_06_18),
        ("2026-07-28", Revision::NEWEST_LEGACY),
        ("2099-01-01", Revision::NEWEST_LEGACY),
    ] {
        let classified = run(&opening(asked), at(None, None)).unwrap();
        assert!(classified.opens_session);
        assert_eq!(classified.revision, expected, "{asked}");
    }
}

#[test]
fn trap_03_a_batch_is_read_in_2025_03_26_alone() {
    for known in Revision::ALL {
        let outcome = revision(BATCH, at(None, Some(known)));
        if known == Revision::V2025_03_26 {
            assert_eq!(outcome, Ok(known));
        } else {
            assert_eq!(outcome, Err(EraError::Batch), "{known}");
        }
        let by_header = revision(BATCH, at(Some(known.as_str()), None));
        assert_eq!(by_header.is_ok(), known.batches(), "{known}");
    }
    let smuggled = format!("[{}]", modern_list(r#""2026-07-28""#));
    assert_eq!(revision(&smuggled, at(None, None)), Err(EraError::Batch));
}
