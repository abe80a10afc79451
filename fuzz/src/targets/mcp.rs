//! Messages: classified, judged and answered without a panic, and every answer of ours is a legal one.

use bytes::Bytes;
use sallyport_policy::json::{Document, Limits};
use sallyport_policy::mcp::agreement::{
    Features, cut_client_capabilities, cut_supported, discovered, initialized,
};
use sallyport_policy::mcp::answer::{
    Answer, Asked, Surplus, Unapproved, Upstream, reply, to_server,
};
use sallyport_policy::mcp::call::{Call, Target as About};
use sallyport_policy::mcp::era::{HttpVersion, Outside, classify};
use sallyport_policy::mcp::headers::{self, Mirror};
use sallyport_policy::mcp::list::{self, Caching};
use sallyport_policy::mcp::message::{Body, Id, Message, Outcome};
use sallyport_policy::mcp::method::Kind;
use sallyport_policy::mcp::progress::Waiting;
use sallyport_policy::mcp::result::{self, Shape};
use sallyport_policy::mcp::rewrite::{Renumber, renumber, without_state};
use sallyport_policy::mcp::{Direction, Method, Revision, Surface, header_schema, uri};
use sallyport_policy::pin::Definition;

use super::Target;
use crate::corpus;

pub(super) const TARGET: Target = Target {
    name: "mcp",
    law: "every message is classified, judged and answered without a panic; every answer of ours is a legal message with the caller's id",
    property,
    seeds,
    longest: 4096,
    words: &[
        "\"jsonrpc\":\"2.0\"",
        "\"id\":",
        "\"method\":",
        "\"params\":",
        "\"name\":",
        "\"arguments\":",
        "\"uri\":",
        "\"_meta\":",
        "\"result\":",
        "\"error\":",
        "\"code\":",
        "\"message\":",
        "\"data\":",
        "tools/call",
        "tools/list",
        "initialize",
        "ping",
        "prompts/get",
        "resources/read",
        "completion/complete",
        "subscriptions/listen",
        "notifications/cancelled",
        "notifications/progress",
        "progressToken",
        "requestId",
        "io.modelcontextprotocol/protocolVersion",
        "io.modelcontextprotocol/clientCapabilities",
        "io.modelcontextprotocol/subscriptionId",
        "2026-07-28",
        "2025-11-25",
        "2025-03-26",
        "inputSchema",
        "x-mcp-header",
        "structuredContent",
        "inputRequests",
        "requestState",
        "taskId",
        "\u{212a}",
    ],
};

const LISTS: [Surface; 5] = [
    Surface::Tools,
    Surface::Prompts,
    Surface::Resources,
    Surface::ResourceTemplates,
    Surface::Tasks,
];

fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = corpus::messages();
    seeds.extend(corpus::attacks());
    for method in Method::all() {
        let id = if method.kind == Kind::Request {
            r#""id":7,"#
        } else {
            ""
        };
        seeds.push(format!(
            r#"{{"jsonrpc":"2.0",{id}"method":"{}","params":{{"name":"t","uri":"file:///a","ref":{{"type":"ref/prompt","name":"p"}},"argument":{{"name":"a","value":"b"}},"taskId":"k","level":"info","requestId":7,"progressToken":"p","progress":1,"protocolVersion":"2025-11-25","capabilities":{{"sampling":{{}},"roots":{{"listChanged":true}}}},"notifications":{{"resourceSubscriptions":["file:///a"],"taskIds":["k"]}},"arguments":{{"x":1}},"_meta":{{"progressToken":1,"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{{}}}}}}}}"#,
            method.name
        ).into_bytes());
    }
    seeds.push(br#"{"jsonrpc":"2.0","id":1,"result":{"protocolVersion":"2025-11-25","capabilities":{"tools":{"listChanged":true},"resources":{"subscribe":true}},"supportedVersions":["2026-07-28","2030-01-01"],"tools":[{"name":"a","inputSchema":{"type":"object","properties":{"r":{"type":"string","x-mcp-header":"Region"}}}},{"name":"a"}],"nextCursor":"n","resources":[{"uri":"file:///x","name":"x"}],"content":[{"type":"text","text":"t"},{"type":"resource","resource":{"uri":"file:///y","text":"z"}}],"isError":true,"resultType":"input_required","inputRequests":{"a":{"method":"elicitation/create","params":{"message":"m","requestedSchema":{"type":"object","properties":{}}}}},"requestState":"s","task":{"taskId":"k","status":"working"}}}"#.to_vec());
    seeds
}

fn property(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        let _unclear: Option<&str> = uri::ambiguity(text);
        mirrored(text);
    }
    let bytes = Bytes::copy_from_slice(data);
    if let Ok(document) = Document::parse(bytes.clone(), Limits::REQUEST) {
        from_client(&document);
    }
    if let Ok(document) = Document::parse(bytes, Limits::RESPONSE) {
        from_server(&document);
    }
}

/// What a header carries is what was meant, whatever it holds.
fn mirrored(text: &str) {
    let sent = headers::encode(text);
    assert!(
        sent.bytes().all(|byte| (b' '..=b'~').contains(&byte)),
        "visible ASCII"
    );
    assert_eq!(headers::decode(&sent).as_deref(), Some(text));
    let _total: Option<_> = headers::decode(text);
}

fn from_client(document: &Document) {
    let Ok(body) = Body::parse(document) else {
        return;
    };
    for session in Revision::ALL.map(Some).into_iter().chain([None]) {
        let headers = Revision::ALL.map(|known| Some(known.as_str()));
        for header in headers.into_iter().chain([None, Some("1999-01-01")]) {
            for http in [None, Some(HttpVersion(header))] {
                let Ok(classified) = classify(&body, Outside { http, session }) else {
                    continue;
                };
                assert!(
                    !classified.revision.is_modern() || matches!(body, Body::One(_)),
                    "no batch in the newest revision"
                );
            }
        }
    }
    for message in body.messages() {
        renumbered(message);
        for revision in Revision::ALL {
            for direction in [Direction::ToServer, Direction::ToClient] {
                if let Ok(call) = Call::of(message, direction, revision) {
                    judged(&call);
                }
            }
        }
    }
}

fn judged(call: &Call<'_>) {
    assert_eq!(call.id.is_some(), call.method.kind == Kind::Request);
    assert_eq!(
        call.tool().is_some(),
        matches!(call.target, About::Tool { .. })
    );
    let mirror = Mirror {
        method: Some(call.method.name),
        ..Mirror::default()
    };
    if headers::name_of(call).is_none() {
        assert_eq!(mirror.check(call), Ok(()), "a true mirror");
    }
    if call.message.span() != call.message.document().root().span() {
        return; // of a batch: rewritten whole, elsewhere
    }
    let features = Features::default();
    for bytes in [
        cut_client_capabilities(call.message, features, |method| {
            method == "elicitation/create"
        }),
        without_state(call.message),
        list::narrow_listen(call.message, |_| false),
    ]
    .into_iter()
    .flatten()
    {
        let again = parsed(bytes, Limits::REQUEST);
        Message::parse(&again).expect("what is cut is a message still");
    }
    let Some(asked) = Asked::by(call) else {
        return;
    };
    for answer in answers() {
        let said = reply(&asked, &answer);
        let document = parsed(said.body.clone(), Limits::REQUEST);
        match Message::parse(&document) {
            Ok(Message::Response(response)) => assert_eq!(response.id.as_ref(), call.id.as_ref()),
            other => panic!("{answer:?} is answered by {other:?}"),
        }
        assert!((200..600).contains(&said.http_status));
    }
}

fn answers() -> Vec<Answer<'static>> {
    let reason = "not_allowed";
    let request = "req-1";
    let expires_at = "2026-11-23T12:00:00Z";
    let mut answers = vec![
        Answer::Denied {
            reason,
            message: Some("\" \n \u{2028}"),
            visible: true,
        },
        Answer::Denied {
            reason,
            message: None,
            visible: false,
        },
        Answer::Limited {
            of: Surplus::Requests,
            reason,
            retry_after_secs: 3,
        },
        Answer::Pending {
            request,
            expires_at,
            state: Some("s"),
        },
        Answer::Pending {
            request,
            expires_at,
            state: None,
        },
        Answer::Withheld {
            reason,
            why: "\" \n",
            ran: true,
        },
        Answer::Withheld {
            reason,
            why: "\" \n",
            ran: false,
        },
        Answer::Unavailable { reason },
        Answer::AskedTooMuch {
            method: "sampling/createMessage",
        },
    ];
    let whys = [
        Unapproved::Denied,
        Unapproved::Expired,
        Unapproved::Withdrawn,
        Unapproved::Revoked,
        Unapproved::Used,
        Unapproved::UsedOutcomeUnknown,
    ];
    answers.extend(whys.map(|why| Answer::Unapproved {
        request,
        why,
        reason: Some("\u{7}"),
    }));
    let lost = [
        Upstream::Unreachable,
        Upstream::TimedOut,
        Upstream::Malformed,
        Upstream::TooLarge,
    ];
    answers.extend(lost.map(|why| Answer::Upstream { why }));
    answers
}

/// Law 17: other numbers in the right places, and everything else as it was.
fn renumbered(message: &Message<'_>) {
    let node = message.node();
    if node.span() != node.document().root().span() {
        return;
    }
    assert_eq!(
        &renumber(node, Renumber::default()),
        node.document().bytes()
    );
    let id = Id::text("child \" 1");
    let with = Renumber {
        id: Some(&id),
        progress_token: Some(&id),
        cancelled: Some(&id),
        subscription: Some(&id),
    };
    let document = parsed(renumber(node, with), Limits::RESPONSE);
    let again = Message::parse(&document).expect("a message with other numbers is a message");
    assert_eq!(again.method(), message.method());
    if message.id().is_some() {
        assert_eq!(again.id(), Some(&id));
    }
    for (token, own) in [(Id::integer(1), 1), (id, 2)] {
        let mut waiting = Waiting::new(token);
        for _ in 0..own {
            let said = parsed(waiting.say("\" wait \u{1}"), Limits::REQUEST);
            Message::parse(&said).expect("our own progress is a message");
        }
        if let Some(bytes) = waiting.shift(node) {
            Message::parse(&parsed(bytes, Limits::RESPONSE))
                .expect("shifted progress is a message");
        }
    }
}

fn from_server(document: &Document) {
    let Ok(body) = Body::parse(document) else {
        return;
    };
    for message in body.messages() {
        renumbered(message);
        if let Some(id) = message.id() {
            let refusal = parsed(to_server(id, "sampling/createMessage"), Limits::RESPONSE);
            assert!(matches!(Message::parse(&refusal), Ok(Message::Response(_))));
        }
        let Message::Response(response) = message else {
            continue;
        };
        match &response.outcome {
            Outcome::Error(error) => {
                if let Some(bytes) = cut_supported(error.node) {
                    parsed(bytes, Limits::RESPONSE);
                }
            }
            Outcome::Result(result) if matches!(body, Body::One(_)) => answered(*result),
            Outcome::Result(_) => {}
        }
    }
}

fn answered(result: sallyport_policy::json::Node<'_>) {
    let features = Features::default();
    for revision in Revision::ALL {
        let caching = Caching {
            revision,
            max_ttl_ms: 30_000,
        };
        if let Some(bytes) = list::cap_caching(result, caching) {
            parsed(bytes, Limits::RESPONSE);
        }
        for surface in LISTS {
            listed(result, surface, caching);
        }
        if let Ok(found) = discovered(result, features, caching) {
            parsed(found.bytes, Limits::RESPONSE);
        }
        for method in Method::all() {
            if let Ok(Shape::InputRequired(asked)) = Shape::of(result, method, revision) {
                assert!(
                    revision.is_modern(),
                    "only the newest revision asks so: {asked:?}"
                );
            }
        }
    }
    if let Ok(agreed) = initialized(result, features) {
        parsed(agreed.bytes, Limits::RESPONSE);
    }
    let _total = (
        result::resources(result),
        result::is_tool_error(result),
        result::subscription(result),
    );
}

/// What policy hides is gone, and what is left is a list still.
fn listed(result: sallyport_policy::json::Node<'_>, surface: Surface, caching: Caching) {
    let Ok(all) = list::items(result, surface) else {
        return;
    };
    for item in &all {
        if surface == Surface::Tools {
            if let Ok(definition) = Definition::of(item.node) {
                assert_eq!(definition.name(), item.name);
            }
            if let Some(schema) = item.node.get("inputSchema") {
                let _total = header_schema::declared(schema);
            }
        }
    }
    let hidden =
        list::filter(result, surface, caching, |_| false).expect("a list once is a list again");
    let document = parsed(hidden.bytes, Limits::RESPONSE);
    let message = Message::parse(&document).expect("a filtered list is a message");
    let Message::Response(response) = message else {
        panic!("a filtered list is an answer");
    };
    let Outcome::Result(result) = response.outcome else {
        panic!("a filtered list is a result");
    };
    assert!(
        list::items(result, surface).expect("a list").is_empty(),
        "nothing is left"
    );
    assert_eq!(hidden.hidden.len(), all.len());
}

fn parsed(bytes: Bytes, limits: Limits) -> Document {
    match Document::parse(bytes.clone(), limits) {
        Ok(document) => document,
        Err(error) => panic!("{error}: {}", String::from_utf8_lossy(&bytes)),
    }
}
