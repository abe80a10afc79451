//! The corpus of attacks, as far as its cases are questions that need no connection: what is read, classified,
//! decided and masked must be what the corpus says, before anything runs.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "in a test the panic is the report"
)]

use std::collections::BTreeSet;

use bytes::Bytes;
use sallyport_attacks::{Case, ISSUER, POLICY, Step, chapters};
use sallyport_policy::bundle::{Bundle, BundleContent};
use sallyport_policy::compile::compile;
use sallyport_policy::decide::{Budgets, Decision, Facts, no_header};
use sallyport_policy::json::{Document, Limits};
use sallyport_policy::mask::{MaskKey, Masked, Masker, MaskingSettings, Scope};
use sallyport_policy::mcp::call::CallError;
use sallyport_policy::mcp::era::{HttpVersion, Outside, classify};
use sallyport_policy::mcp::headers::{Mirror, VERSION};
use sallyport_policy::mcp::refusal::{Refusal, refusal};
use sallyport_policy::mcp::{Body, Call, Direction, Message, Revision};
use sallyport_policy::name::{ClientId, GatewayName, Issuer, Subject};
use sallyport_policy::principal::Principal;
use sallyport_policy::source::Sources;
use sallyport_policy::sse::{Item, Parser};
use sallyport_policy::time::UnixMillis;
use serde::Deserialize as _;
use serde_json::{Value, json};
use zeroize::Zeroizing;

/// What the corpus calls the credential of the server behind.
const CREDENTIAL: &str = "upstream-credential-8c1f2b7d9e0a4455";
/// The gateway's own limit on bodies, which is not the parser's.
const LIMIT: usize = 256 * 1024;

/// What came of a request: a code as the audit tells it, and the answer where it is one of the reader's.
#[derive(Debug, PartialEq, Eq)]
struct Verdict {
    code: String,
    answer: Option<(u16, Option<i64>)>,
}

fn refused(code: &str, what: &Refusal<'_>) -> Verdict {
    let reply = refusal(what);
    let body: Value = serde_json::from_slice(&reply.body).unwrap();
    Verdict {
        code: code.to_owned(),
        answer: Some((reply.http_status, body["error"]["code"].as_i64())),
    }
}

fn told(code: &str) -> Verdict {
    Verdict {
        code: code.to_owned(),
        answer: None,
    }
}

fn bundle() -> Bundle {
    let (mut gateways, mut policies) = (Vec::new(), Vec::new());
    for document in serde_yaml::Deserializer::from_str(POLICY) {
        let object = Value::deserialize(document).unwrap();
        let named = json!({ "namespace": "default", "name": object["metadata"]["name"], "spec": object["spec"] });
        match object["kind"].as_str() {
            Some("McpGateway") => gateways.push(named),
            Some("McpAccessPolicy") => policies.push(named),
            kind => panic!("the corpus has no {kind:?}"),
        }
    }
    let sources: Sources = serde_json::from_value(
        json!({ "gateways": gateways, "policies": policies, "guardrails": [] }),
    )
    .unwrap();
    let name = GatewayName {
        namespace: "default".to_owned(),
        name: "attacked".to_owned(),
    };
    let bytes = compile(&sources, &name)
        .unwrap()
        .content
        .canonical()
        .unwrap();
    Bundle::activate(BundleContent::decode(&bytes).unwrap()).unwrap()
}

fn clerk(name: &str) -> Principal {
    Principal {
        issuer: Issuer::new(ISSUER),
        subject: Subject::new(name),
        email: None,
        groups: ["clerks".to_owned()].into(),
        client: Some(ClientId::new("agent")),
        actor: None,
        scopes: BTreeSet::new(),
        service_account: None,
        claims: serde_json::Map::new(),
        expires_at: None,
        anonymous: false,
    }
}

/// The way of a message through the pure rooms, in the order of the guard.
fn judge(bundle: &Bundle, case: &Case, step: &Step, body: Vec<u8>) -> Verdict {
    if body.len() > LIMIT {
        return refused("request_too_large", &Refusal::TooLarge { limit: LIMIT });
    }
    // As the data path has it: an index of twice the body, and never less than small bodies may need (law 15).
    let limits = Limits::REQUEST.with_index_of(body.len().saturating_mul(2).max(1 << 20));
    let document = match Document::parse(Bytes::from(body), limits) {
        Ok(document) => document,
        Err(error) => return refused("malformed_json", &Refusal::Json(&error)),
    };
    let body = match Body::parse(&document) {
        Ok(body) => body,
        Err(error) => return refused("malformed_message", &Refusal::Message(&error)),
    };
    let agreed = Revision::parse(&case.revision).unwrap();
    let headers = headers(step);
    let stated = headers
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(VERSION))
        .map_or(case.revision.as_str(), |(_, value)| value);
    let outside = Outside {
        http: Some(HttpVersion(Some(stated))),
        session: Some(agreed).filter(|revision| !revision.is_modern()),
    };
    let revision = match classify(&body, outside) {
        Ok(classified) => classified.revision,
        Err(error) => {
            let id = body.messages().first().and_then(Message::id);
            return refused("revision", &Refusal::Era { error: &error, id });
        }
    };
    // A batch is told by its last element that is refused; the corpus has one of those in each.
    let verdicts = body
        .messages()
        .iter()
        .map(|message| judge_message(bundle, &step.by, message, revision, &headers));
    verdicts
        .reduce(|before, next| if next.code == "allowed" { before } else { next })
        .unwrap()
}

fn judge_message(
    bundle: &Bundle,
    by: &str,
    message: &Message<'_>,
    revision: Revision,
    headers: &[(String, String)],
) -> Verdict {
    if message.method().is_none() {
        return told("unasked_response");
    }
    let call = match Call::of(message, Direction::ToServer, revision) {
        Ok(call) => call,
        Err(error) => {
            let code = match error {
                CallError::MethodNotFound { .. } => "unknown_method",
                CallError::InvalidParams { .. } => "invalid_params",
                CallError::Response => "unasked_response",
                CallError::MissingCapability { .. } => "missing_capability",
            };
            let id = message.id();
            return refused(
                code,
                &Refusal::Call {
                    error: &error,
                    id,
                    revision,
                },
            );
        }
    };
    if revision.is_modern() {
        let lines = headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_bytes()));
        if let Err(error) = Mirror::read(lines).and_then(|mirror| mirror.check(&call)) {
            let id = message.id();
            return refused("header_mismatch", &Refusal::Header { error: &error, id });
        }
    }
    told(&decide(bundle, by, &call))
}

fn decide(bundle: &Bundle, by: &str, call: &Call<'_>) -> String {
    let principal = clerk(by);
    let facts = Facts {
        principal: &principal,
        now: UnixMillis(1_795_435_200_000),
        source: None,
        header: &no_header,
        tool: None,
    };
    match bundle.decide(&call.operation(), &facts, &mut Budgets::new()) {
        Decision::Allow(..) => "allowed".to_owned(),
        Decision::Hold(..) => "held".to_owned(),
        Decision::Deny(denial, _) => denial.reason.code().to_owned(),
    }
}

fn headers(step: &Step) -> Vec<(String, String)> {
    let lines = step.send.headers.iter();
    lines
        .filter_map(|line| {
            let (name, value) = line.split_once(": ")?;
            Some((name.to_owned(), value.to_owned()))
        })
        .collect()
}

#[test]
fn every_case_that_needs_no_connection_is_judged_as_the_corpus_says() {
    let bundle = bundle();
    let mut judged = 0;
    let mut wrong = Vec::new();
    for case in chapters()
        .unwrap()
        .iter()
        .flat_map(|chapter| &chapter.cases)
    {
        for step in case.steps().filter(|step| step.send.is_plain()) {
            let Some(body) = step.send.body() else {
                continue;
            };
            judged += 1;
            let found = judge(&bundle, case, &step, body);
            if let Some(why) = disagreement(&step, &found) {
                wrong.push(format!("{}: {why}; found {found:?}", case.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(judged > 120, "only {judged} cases are pure");
}

/// Why a verdict is not what the corpus expects. What depends on sessions and on the server's list is the run's to show.
fn disagreement(step: &Step, found: &Verdict) -> Option<String> {
    let expect = &step.expect;
    if expect.executed {
        return (found.code != "allowed").then(|| "it is expected to reach the server".to_owned());
    }
    let audit = expect.audit.as_deref()?;
    let elsewhere = ["unknown_tool", "unknown_session", "batch_too_long"];
    if elsewhere.contains(&audit) {
        let refused = audit != "unknown_tool" || found.code != "allowed";
        return (!refused).then(|| "nothing refuses it".to_owned());
    }
    if found.code != audit {
        return Some(format!("`{audit}` is expected"));
    }
    let (status, code) = found.answer?;
    let same = expect.status.is_none_or(|wanted| wanted == status)
        && expect.code.is_none_or(|wanted| Some(wanted) == code);
    (!same).then(|| {
        format!(
            "status {:?} and code {:?} are expected",
            expect.status, expect.code
        )
    })
}

#[test]
fn what_a_hostile_server_streams_is_read_alike_however_it_is_cut_and_shows_no_secret() {
    let masker = masker();
    let mut streams = 0;
    for case in chapters()
        .unwrap()
        .iter()
        .flat_map(|chapter| &chapter.cases)
    {
        for (method, answer) in &case.answers {
            let Some(stream) = answer.stream("1") else {
                continue;
            };
            if stream.len() > 100_000 {
                continue;
            }
            streams += 1;
            let whole = read(&stream, stream.len());
            for size in [1, 2, 3, 7, 64] {
                assert_eq!(
                    read(&stream, size),
                    whole,
                    "{} in pieces of {size}",
                    case.name
                );
            }
            for data in whole {
                let shown = shown(&masker, method, data);
                for step in case.steps() {
                    assert!(
                        step.expect
                            .lacks
                            .iter()
                            .filter(|text| text.contains("AKIA"))
                            .all(|text| !shown.contains(text.as_str())),
                        "{}: {shown}",
                        case.name
                    );
                }
            }
        }
    }
    assert!(streams > 10, "only {streams} streams");
}

#[test]
fn no_answer_of_the_corpus_shows_a_secret_once_it_is_masked() {
    let masker = masker();
    let mut answers = 0;
    for case in chapters()
        .unwrap()
        .iter()
        .flat_map(|chapter| &chapter.cases)
    {
        for (method, answer) in &case.answers {
            let bytes = answer.bytes("1");
            let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
                continue;
            };
            let body = Bytes::copy_from_slice(bytes.split_at(at + 4).1);
            if answer.stream("1").is_some()
                || Document::parse(body.clone(), Limits::RESPONSE).is_err()
            {
                continue;
            }
            answers += 1;
            let shown = shown(&masker, method, body);
            for secret in ["AKIAIOSFODNN7EXAMPLE", CREDENTIAL, "bob@example.com"] {
                assert!(!shown.contains(secret), "{}: {shown}", case.name);
            }
        }
    }
    assert!(answers > 10, "only {answers} answers");
}

fn masker() -> Masker {
    let literal = Zeroizing::new(CREDENTIAL.as_bytes().to_vec());
    let asked = MaskingSettings::gather(&bundle().settings().masking, &[], &[]).unwrap();
    Masker::new(&asked, &[literal], &MaskKey::new(&[7; 32])).unwrap()
}

/// What a client may see of a message of the server; nothing where it is no message.
fn shown(masker: &Masker, method: &str, bytes: Bytes) -> String {
    let Ok(document) = Document::parse(bytes.clone(), Limits::RESPONSE) else {
        return String::new();
    };
    let scope = Scope::ResultOf {
        method,
        tool: Some("play"),
        output_schema: None,
    };
    let bytes = match masker.mask(&document, &scope) {
        Masked::Clean => bytes,
        Masked::Changed { bytes, .. } => bytes,
        Masked::Withheld { .. } => Bytes::new(),
    };
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The data of a stream that comes in pieces of `size` bytes.
fn read(stream: &[u8], size: usize) -> Vec<Bytes> {
    let mut parser = Parser::new(LIMIT);
    let mut items = Vec::new();
    for piece in stream.chunks(size.max(1)) {
        if parser
            .push(Bytes::copy_from_slice(piece), &mut items)
            .is_err()
        {
            break;
        }
    }
    items
        .into_iter()
        .filter_map(|item| match item {
            Item::Event(event) => event.data,
            Item::Comment(_) => None,
        })
        .collect()
}
