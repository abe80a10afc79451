//! Every answer of ours, in every revision: a golden, and what must hold of all of them.

use std::fmt::Write as _;

use serde_json::Value;

use super::*;
use crate::json::JsonError;
use crate::mcp::answer::{
    Answer, Asked, Reply, Surplus, Unapproved, Upstream, code, mark, reply, to_server,
};
use crate::mcp::call::CallError;
use crate::mcp::era::EraError;
use crate::mcp::headers::HeaderError;
use crate::mcp::method::Method;
use crate::mcp::refusal::{Refusal, refusal};
use crate::mcp::{Era, Id};

const GOLDEN: &str = include_str!("../../../corpus/mcp/answers.golden.txt");
const GOLDEN_PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/corpus/mcp/answers.golden.txt");

const ASKED: &[(&str, &str)] = &[
    ("tools/call", "drop_table"),
    ("prompts/get", "summarise"),
    ("resources/read", "docs://a"),
    ("tools/list", "tools/list"),
    ("resources/templates/list", "resources/templates/list"),
    ("completion/complete", "summarise"),
    ("tasks/get", "task-1"),
    ("logging/setLevel", "logging/setLevel"),
    ("subscriptions/listen", "subscriptions/listen"),
    ("initialize", "initialize"),
    ("server/discover", "server/discover"),
];

const fn denied(message: Option<&'static str>, visible: bool) -> Answer<'static> {
    Answer::Denied {
        reason: "rule",
        message,
        visible,
    }
}

const fn unapproved(why: Unapproved) -> Answer<'static> {
    Answer::Unapproved {
        request: "apr-12",
        why,
        reason: None,
    }
}

const fn pending(state: Option<&'static str>) -> Answer<'static> {
    Answer::Pending {
        request: "apr-12",
        expires_at: "2026-11-23T18:00:00Z",
        state,
    }
}

const fn withheld(reason: &'static str, why: &'static str, ran: bool) -> Answer<'static> {
    Answer::Withheld { reason, why, ran }
}

const fn upstream(why: Upstream) -> Answer<'static> {
    Answer::Upstream { why }
}

const fn limited(of: Surplus, reason: &'static str) -> Answer<'static> {
    Answer::Limited {
        of,
        reason,
        retry_after_secs: 7,
    }
}
const NOT_TODAY: Answer<'_> = Answer::Unapproved {
    request: "apr-12",
    why: Unapproved::Denied,
    reason: Some("not today"),
};
const NO_BUNDLE: Answer<'_> = Answer::Unavailable {
    reason: "no_bundle",
};
const TOO_MUCH: Answer<'_> = Answer::AskedTooMuch {
    method: "sampling/createMessage",
};

const ANSWERS: &[(&str, Answer<'_>)] = &[
    ("denied", denied(None, true)),
    (
        "denied with a message",
        denied(Some("Ask \"the\" team."), true),
    ),
    ("hidden", denied(Some("never told"), false)),
    ("limited", limited(Surplus::Calls, "budget_exhausted")),
    ("pending", pending(None)),
    ("pending with state", pending(Some("opaque"))),
    ("denied by an approver", NOT_TODAY),
    ("expired", unapproved(Unapproved::Expired)),
    ("withdrawn", unapproved(Unapproved::Withdrawn)),
    ("revoked", unapproved(Unapproved::Revoked)),
    ("used", unapproved(Unapproved::Used)),
    ("used, unknown", unapproved(Unapproved::UsedOutcomeUnknown)),
    (
        "too many pending",
        limited(Surplus::Requests, "too_many_pending"),
    ),
    (
        "withheld",
        withheld(
            "masking",
            "a masked value would break the tool's output schema",
            true,
        ),
    ),
    (
        "not run",
        withheld(
            "recording_unavailable",
            "the answer cannot be recorded",
            false,
        ),
    ),
    ("unreachable", upstream(Upstream::Unreachable)),
    ("timed out", upstream(Upstream::TimedOut)),
    ("malformed", upstream(Upstream::Malformed)),
    ("too large", upstream(Upstream::TooLarge)),
    ("unavailable", NO_BUNDLE),
    ("asked too much", TOO_MUCH),
];

/// Every answer to every method in both eras.
fn all() -> Vec<(String, Revision, Reply)> {
    let id = Id::text("7");
    let mut all = Vec::new();
    for revision in [Revision::V2025_06_18, Revision::NEWEST] {
        for (method, name) in ASKED {
            let method = Method::named(method).unwrap();
            if !method.allowed_on_wire(Direction::ToServer, revision) {
                continue;
            }
            let asked = Asked {
                id: &id,
                revision,
                method,
                name,
            };
            for (what, answer) in ANSWERS {
                let title = format!("{revision} {}: {what}", method.name);
                all.push((title, revision, reply(&asked, answer)));
            }
        }
    }
    all
}

fn refusals() -> Vec<(&'static str, Reply)> {
    let mut all = refusals_of_bodies();
    all.extend(refusals_of_calls());
    for (name, what) in [
        ("notification", Refusal::Notification),
        ("too large", Refusal::TooLarge { limit: 4096 }),
        ("not acceptable", Refusal::NotAcceptable),
        ("session", Refusal::Session),
        ("no session", Refusal::NoSession),
    ] {
        all.push((name, refusal(&what)));
    }
    all
}

fn refusals_of_bodies() -> Vec<(&'static str, Reply)> {
    let what = "a value";
    let document = document(r#"{"jsonrpc":"2.0","id":7,"method":1}"#);
    let message = Message::parse(&document).unwrap_err();
    [
        ("json", Refusal::Json(&JsonError::Syntax { at: 0, what })),
        (
            "duplicate key",
            Refusal::Json(&JsonError::DuplicateKey { at: 3 }),
        ),
        (
            "too deep",
            Refusal::Json(&JsonError::TooDeep { at: 9, limit: 64 }),
        ),
        ("message", Refusal::Message(&message)),
    ]
    .map(|(name, what)| (name, refusal(&what)))
    .into()
}

fn refusals_of_calls() -> Vec<(&'static str, Reply)> {
    let id = Id::integer(7);
    let id = Some(&id);
    let era = |error: EraError| refusal(&Refusal::Era { error: &error, id });
    let call = |error: CallError, id, revision| {
        refusal(&Refusal::Call {
            error: &error,
            id,
            revision,
        })
    };
    let unknown = || CallError::MethodNotFound { method: "x".into() };
    let params = CallError::InvalidParams {
        field: "name",
        expected: "a string",
    };
    let tasks = CallError::MissingCapability {
        path: &["extensions", "io.modelcontextprotocol/tasks"],
    };
    let mismatch = HeaderError::Mismatch {
        header: "Mcp-Name".into(),
        value: "foo".into(),
        body: "bar".into(),
    };
    let legacy = Revision::V2025_06_18;
    let requested = "x".to_owned();
    vec![
        ("version", era(EraError::Unsupported { requested })),
        ("batch", era(EraError::Batch)),
        ("no metadata", era(EraError::MetaMissing("x"))),
        ("no version header", era(EraError::HeaderMissing)),
        (
            "header",
            refusal(&Refusal::Header {
                error: &mismatch,
                id,
            }),
        ),
        (
            "unknown method, modern",
            call(unknown(), id, Revision::NEWEST),
        ),
        ("unknown method, legacy", call(unknown(), id, legacy)),
        ("unknown notification", call(unknown(), None, legacy)),
        ("params", call(params, id, Revision::NEWEST)),
        ("capability", call(tasks, id, Revision::NEWEST)),
    ]
}

#[test]
fn the_bodies_that_we_make_are_the_golden_ones() {
    let mut text = String::new();
    let mut line = |title: &str, reply: &Reply| {
        let body = std::str::from_utf8(&reply.body).unwrap();
        writeln!(text, "{title}\n    {} {body}", reply.http_status).unwrap();
    };
    for (title, _, reply) in all() {
        line(&title, &reply);
    }
    for (title, reply) in refusals() {
        line(&format!("refused: {title}"), &reply);
    }
    if std::env::var_os("UPDATE_GOLDENS").is_some() {
        std::fs::write(GOLDEN_PATH, &text).unwrap();
    } else {
        assert_eq!(
            text, GOLDEN,
            "run with UPDATE_GOLDENS=1 and read the difference"
        );
    }
}

fn json(reply: &Reply) -> Value {
    serde_json::from_slice(&reply.body).unwrap()
}

#[test]
fn every_answer_is_a_message_of_its_revision_and_carries_the_typed_id() {
    for (title, revision, reply) in all() {
        let document = document(reply.body.clone());
        let message = Message::parse(&document).unwrap();
        assert_eq!(message.id(), Some(&Id::text("7")), "{title}");
        let body = json(&reply);
        if let Some(result) = body.get("result") {
            let typed = result.get("resultType").is_some();
            assert_eq!(typed, revision.is_modern(), "{title}");
        }
    }
}

#[test]
fn trap_19_no_answer_of_policy_carries_a_code_that_the_protocol_gives_another_meaning() {
    let protocols = [
        code::METHOD_NOT_FOUND,
        code::INVALID_PARAMS,
        code::INTERNAL,
        code::RESOURCE_NOT_FOUND_LEGACY,
    ];
    for (title, revision, reply) in all() {
        let Some(found) = json(&reply).pointer("/error/code").and_then(Value::as_i64) else {
            continue;
        };
        let own = !(-32768..=-32000).contains(&found);
        assert!(own || protocols.contains(&found), "{title}: {found}");
        if revision.era() == Era::Modern {
            assert_ne!(found, code::RESOURCE_NOT_FOUND_LEGACY, "{title}");
        }
    }
}

#[test]
fn trap_31_no_answer_of_policy_takes_a_status_that_means_something_else() {
    for (title, revision, reply) in all() {
        let allowed: &[u16] = if revision.is_modern() {
            &[200, 404, 429, 502, 504]
        } else {
            &[200, 429, 502, 504]
        };
        assert!(
            allowed.contains(&reply.http_status),
            "{title}: {}",
            reply.http_status
        );
        let missing =
            json(&reply).pointer("/error/code") == Some(&Value::from(code::METHOD_NOT_FOUND));
        assert_eq!(
            reply.http_status == 404,
            missing && revision.is_modern(),
            "{title}"
        );
    }
}

#[test]
fn a_hidden_tool_is_told_as_the_specification_tells_an_unknown_one() {
    for (title, _, reply) in all() {
        if !title.ends_with(": hidden") {
            continue;
        }
        let text = String::from_utf8(reply.body.to_vec()).unwrap();
        assert!(
            !text.contains("dev.sallyport") && !text.contains("never told"),
            "{title}"
        );
    }
    let (_, _, hidden) = all()
        .into_iter()
        .find(|(title, _, _)| title == "2026-07-28 tools/call: hidden")
        .unwrap();
    let expected = r#"{"jsonrpc":"2.0","id":"7","error":{"code":-32602,"message":"Unknown tool: drop_table"}}"#;
    assert_eq!(hidden.body, expected);
}

#[test]
fn law_18_every_other_refusal_carries_a_mark() {
    for (title, _, reply) in all() {
        let unmarked = [
            "hidden",
            "unreachable",
            "timed out",
            "malformed",
            "too large",
        ];
        let body = json(&reply);
        let meta = body
            .pointer("/result/_meta")
            .or(body.pointer("/error/data"));
        let marked = meta.is_some_and(|meta| {
            [mark::DENIED, mark::APPROVAL, mark::RETRY_AFTER]
                .iter()
                .any(|mark| meta.get(mark).is_some())
        });
        let expected = !unmarked
            .iter()
            .any(|what| title.ends_with(&format!(": {what}")));
        assert_eq!(marked, expected, "{title}");
    }
}

#[test]
fn law_08_an_exhausted_budget_is_a_tools_error_or_429_with_retry_after() {
    for (title, _, reply) in all() {
        if !title.ends_with(": limited") {
            continue;
        }
        let body = json(&reply);
        if title.contains("tools/call") {
            assert_eq!(body.pointer("/result/isError"), Some(&Value::Bool(true)));
            let seconds = body
                .pointer("/result/_meta")
                .and_then(|meta| meta.get(mark::RETRY_AFTER));
            assert_eq!(seconds, Some(&Value::from(7)));
        } else {
            assert_eq!(
                (reply.http_status, reply.retry_after),
                (429, Some(7)),
                "{title}"
            );
        }
    }
}

#[test]
fn law_20_a_pending_call_hears_how_to_repeat_in_its_revisions_own_way() {
    let find = |wanted: &str| {
        let (_, _, reply) = all()
            .into_iter()
            .find(|(title, _, _)| title == wanted)
            .unwrap();
        json(&reply)
    };
    let asked = find("2026-07-28 tools/call: pending with state");
    assert_eq!(
        asked.pointer("/result/resultType"),
        Some(&Value::from("input_required"))
    );
    assert_eq!(
        asked.pointer("/result/requestState"),
        Some(&Value::from("opaque"))
    );
    assert_eq!(asked.pointer("/result/inputRequests"), None);
    for title in [
        "2025-06-18 tools/call: pending with state",
        "2026-07-28 tools/call: pending",
    ] {
        let told = find(title);
        assert_eq!(
            told.pointer("/result/isError"),
            Some(&Value::Bool(true)),
            "{title}"
        );
        let text = told
            .pointer("/result/content/0/text")
            .unwrap()
            .as_str()
            .unwrap();
        assert!(
            text.contains("apr-12") && text.contains("repeat the same call"),
            "{text}"
        );
    }
    let other = find("2025-06-18 logging/setLevel: pending");
    assert_eq!(
        other.pointer("/error/code"),
        Some(&Value::from(code::PENDING))
    );
}

#[test]
fn law_13_and_31_a_withheld_answer_says_whether_the_call_ran() {
    for (title, _, reply) in all() {
        let executed = |body: &Value| {
            let meta = body
                .pointer("/result/_meta")
                .or(body.pointer("/error/data"));
            meta.and_then(|meta| meta.get(mark::DENIED)?.get("executed")?.as_bool())
        };
        if title.ends_with(": withheld") {
            assert_eq!(executed(&json(&reply)), Some(true), "{title}");
        } else if title.ends_with(": not run") {
            assert_eq!(executed(&json(&reply)), Some(false), "{title}");
        }
    }
}

#[test]
fn a_refused_notification_is_an_http_error_without_an_id() {
    for (name, reply) in refusals() {
        if name.contains("notification") {
            assert_eq!(reply.http_status, 400, "{name}");
            assert_eq!(json(&reply).get("id"), None, "{name}");
        }
    }
}

#[test]
fn a_404_to_a_legacy_client_is_said_of_sessions_alone() {
    for (name, reply) in refusals() {
        let expected = matches!(name, "session" | "unknown method, modern");
        assert_eq!(reply.http_status == 404, expected, "{name}");
    }
}

#[test]
fn law_01_a_server_that_asks_for_what_is_not_allowed_gets_an_error() {
    let body = to_server(&Id::integer(3), "sampling/createMessage");
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(body.get("id"), Some(&Value::from(3)));
    assert_eq!(
        body.pointer("/error/code"),
        Some(&Value::from(code::METHOD_NOT_FOUND))
    );
}
