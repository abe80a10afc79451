//! Keys at the protocol's own levels that a lenient parser would take for another key (law 4, trap 2).
//!
//! Servers in some languages match `Name` or `name\0` to `name`; what we judged must be what they read. Arguments
//! are not a protocol level: their keys are judged with the tool's rules and schema.

use super::message::Fault;
use crate::json::{Kind, Node, folding_siblings, twins};

/// Refuses a message that has such a key at any protocol level.
pub(super) fn in_message(message: Node<'_>) -> Result<(), Fault> {
    level(message, MESSAGE)?;
    if let Some(params) = object(message, "params") {
        in_params(params)?;
    }
    if let Some(result) = object(message, "result") {
        level(result, RESULT)?;
        for (member, known) in RESULT_LEVELS {
            nested(result, member, known)?;
        }
        in_content(result)?;
    }
    nested(message, "error", ERROR)
}

/// Blocks and contents: their `uri` is what policy and masking of resources go by.
fn in_content(result: Node<'_>) -> Result<(), Fault> {
    let lists = ["content", "contents", "messages"];
    let elements = lists
        .into_iter()
        .filter_map(|member| result.get(member))
        .flat_map(one_or_more);
    for element in elements {
        level(element, BLOCK)?;
        nested(element, "resource", BLOCK)?;
        // A message of a prompt holds one block or several.
        for block in element.get("content").into_iter().flat_map(one_or_more) {
            level(block, BLOCK)?;
            nested(block, "resource", BLOCK)?;
        }
    }
    Ok(())
}

fn one_or_more(content: Node<'_>) -> impl Iterator<Item = Node<'_>> {
    std::iter::once(content).chain(content.elements())
}

/// Whether an entry of a list has such a key.
pub(super) fn in_item(item: Node<'_>) -> bool {
    level(item, ITEM).is_err()
}

fn in_params(params: Node<'_>) -> Result<(), Fault> {
    level(params, PARAMS)?;
    for (member, known) in PARAMS_LEVELS {
        nested(params, member, known)?;
    }
    let Some(meta) = object(params, "_meta") else {
        return Ok(());
    };
    level(meta, META)?;
    nested(meta, super::era::META_CAPABILITIES, CAPABILITIES)
}

fn nested(holder: Node<'_>, member: &str, known: &[&str]) -> Result<(), Fault> {
    match object(holder, member) {
        Some(inner) => level(inner, known),
        None => Ok(()),
    }
}

fn object<'d>(holder: Node<'d>, member: &str) -> Option<Node<'d>> {
    holder
        .get(member)
        .filter(|inner| inner.kind() == Kind::Object)
}

fn level(object: Node<'_>, known: &[&str]) -> Result<(), Fault> {
    match twins(object, known).or_else(|| folding_siblings(object)) {
        Some(key) => Err(Fault::Twin(key)),
        None => Ok(()),
    }
}

const MESSAGE: &[&str] = &["jsonrpc", "id", "method", "params", "result", "error"];
const ERROR: &[&str] = &["code", "message", "data"];

/// Levels inside `params`, but `_meta`.
const PARAMS_LEVELS: &[(&str, &[&str])] = &[
    ("argument", &["name", "value"]),
    ("capabilities", CAPABILITIES),
    ("context", &["arguments"]),
    ("notifications", LISTEN),
    ("ref", &["type", "name", "uri"]),
    ("task", &["ttl"]),
];

/// Levels inside `result`.
const RESULT_LEVELS: &[(&str, &[&str])] = &[
    ("_meta", META),
    ("capabilities", CAPABILITIES),
    ("completion", &["values", "total", "hasMore"]),
    ("task", TASK),
];

/// Params of all methods together: no method gives one of these names to something harmless.
const PARAMS: &[&str] = &[
    "_meta",
    "argument",
    "arguments",
    "capabilities",
    "clientInfo",
    "context",
    "cursor",
    "data",
    "elicitationId",
    "includeContext",
    "inputRequests",
    "inputResponses",
    "level",
    "logger",
    "maxTokens",
    "message",
    "messages",
    "metadata",
    "mode",
    "modelPreferences",
    "name",
    "notifications",
    "progress",
    "progressToken",
    "protocolVersion",
    "reason",
    "ref",
    "requestId",
    "requestState",
    "requestedSchema",
    "result",
    "error",
    "status",
    "statusMessage",
    "stopSequences",
    "systemPrompt",
    "task",
    "taskId",
    "temperature",
    "toolChoice",
    "tools",
    "total",
    "uri",
    "url",
];

const META: &[&str] = &[
    super::era::META_VERSION,
    super::era::META_CAPABILITIES,
    super::era::META_CLIENT_INFO,
    super::era::META_LOG_LEVEL,
    super::era::META_SUBSCRIPTION,
    "progressToken",
    "traceparent",
    "tracestate",
    "baggage",
];

const CAPABILITIES: &[&str] = &[
    "completions",
    "elicitation",
    "experimental",
    "extensions",
    "logging",
    "prompts",
    "resources",
    "roots",
    "sampling",
    "tasks",
    "tools",
];

const LISTEN: &[&str] = &[
    "promptsListChanged",
    "resourceSubscriptions",
    "resourcesListChanged",
    "taskIds",
    "toolsListChanged",
];

const TASK: &[&str] = &[
    "taskId",
    "status",
    "statusMessage",
    "createdAt",
    "lastUpdatedAt",
    "ttl",
    "pollInterval",
];

const RESULT: &[&str] = &[
    "_meta",
    "cacheScope",
    "capabilities",
    "completion",
    "content",
    "contents",
    "description",
    "error",
    "inputRequests",
    "instructions",
    "isError",
    "messages",
    "nextCursor",
    "prompts",
    "protocolVersion",
    "requestState",
    "resourceTemplates",
    "resources",
    "result",
    "resultType",
    "serverInfo",
    "status",
    "statusMessage",
    "structuredContent",
    "supportedVersions",
    "task",
    "taskId",
    "tasks",
    "tools",
    "ttlMs",
];

const BLOCK: &[&str] = &[
    "_meta",
    "annotations",
    "blob",
    "content",
    "data",
    "mimeType",
    "name",
    "resource",
    "role",
    "text",
    "type",
    "uri",
];

const ITEM: &[&str] = &[
    "_meta",
    "annotations",
    "arguments",
    "description",
    "execution",
    "icons",
    "inputSchema",
    "mimeType",
    "name",
    "outputSchema",
    "size",
    "taskId",
    "title",
    "uri",
    "uriTemplate",
];
