//! Rewriting of what client and server tell each other about themselves: versions, capabilities, extensions.
//!
//! What nothing allows, or what we cannot police, is taken out of the advertisement, so that the other side falls
//! back to what it can have (law 1); what is left stays byte for byte.

use bytes::Bytes;

use super::era::META_CAPABILITIES;
use super::list::{Caching, applied, cap};
use super::revision::Revision;
use crate::json::{Kind, Node, Splice};

/// What the other side may see. Everything else is taken out.
#[derive(Clone, Copy, Debug, Default)]
pub struct Features<'a> {
    /// What the server logs is for whoever may set its level; a client told of it would do so at once.
    pub logging: bool,
    /// Tasks of 2025-11-25; those of 2026-07-28 are an extension.
    pub tasks: bool,
    /// Ids of extensions, and names of experimental capabilities, that we can police.
    pub extensions: &'a [&'a str],
}

/// What the server agreed to.
#[derive(Clone, Debug)]
pub struct Agreed {
    pub revision: Revision,
    /// The whole message, rewritten.
    pub bytes: Bytes,
    pub capabilities: ServerCapabilities,
}

/// What a server advertises, as far as we act on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ServerCapabilities {
    pub tools: bool,
    pub tools_list_changed: bool,
    pub prompts: bool,
    pub prompts_list_changed: bool,
    pub resources: bool,
    pub resources_list_changed: bool,
    pub resources_subscribe: bool,
    pub completions: bool,
    pub logging: bool,
    pub tasks: bool,
}

/// The server's fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AgreementError {
    #[error("the server speaks `{0}`, which is unknown here")]
    UnknownRevision(String),
    #[error("the server speaks no revision that is known here")]
    NoCommonRevision,
    #[error("`{0}` is malformed")]
    Malformed(&'static str),
}

/// What a client can be asked, and the method by which.
const ASKED: [(&str, &str); 3] = [
    ("roots", "roots/list"),
    ("sampling", "sampling/createMessage"),
    ("elicitation", "elicitation/create"),
];

/// The message with client capabilities (legacy `initialize`, every modern request) cut down to what the server
/// `may_ask`; whoever declares nothing costs no question. None: nothing to change.
#[must_use]
pub fn cut_client_capabilities(
    message: Node<'_>,
    features: Features<'_>,
    may_ask: impl Fn(&str) -> bool,
) -> Option<Bytes> {
    let params = message.get("params")?;
    let modern = params
        .get("_meta")
        .and_then(|meta| meta.get(META_CAPABILITIES));
    let legacy = params.get("capabilities").filter(|_| {
        message
            .get("method")
            .is_some_and(|name| name.is_text("initialize"))
    });
    let mut splice = Splice::new();
    for capabilities in [modern, legacy].into_iter().flatten() {
        for (member, method) in ASKED {
            if capabilities.get(member).is_some() && !may_ask(method) {
                splice.remove_member(capabilities, member);
            }
        }
        cut_common(&mut splice, capabilities, features);
    }
    applied(splice, message)
}

/// The result of a legacy `initialize`: a known legacy revision, and only extensions that we can police.
pub fn initialized(result: Node<'_>, features: Features<'_>) -> Result<Agreed, AgreementError> {
    let version = result.get("protocolVersion").and_then(Node::as_str);
    let version = version.ok_or(AgreementError::Malformed("protocolVersion"))?;
    let revision = Revision::parse(&version)
        .filter(|known| !known.is_modern())
        .ok_or_else(|| AgreementError::UnknownRevision(version.into_owned()))?;
    let mut splice = Splice::new();
    let capabilities = server_capabilities(&mut splice, result, features)?;
    Ok(Agreed {
        revision,
        bytes: splice.apply(result.document()),
        capabilities,
    })
}

/// The result of `server/discover`: versions and extensions that we know, private, short-lived. `revision` is the
/// newest common one.
pub fn discovered(
    result: Node<'_>,
    features: Features<'_>,
    caching: Caching,
) -> Result<Agreed, AgreementError> {
    let mut splice = Splice::new();
    let versions = result
        .get("supportedVersions")
        .filter(|found| found.kind() == Kind::Array)
        .ok_or(AgreementError::Malformed("supportedVersions"))?;
    let known = keep_known(&mut splice, versions);
    let revision = known.into_iter().max();
    let revision = revision.ok_or(AgreementError::NoCommonRevision)?;
    let capabilities = server_capabilities(&mut splice, result, features)?;
    cap(&mut splice, result, caching);
    Ok(Agreed {
        revision,
        bytes: splice.apply(result.document()),
        capabilities,
    })
}

/// An upstream's "unsupported version" error (-32022) with only versions that we know in `data.supported`, so that
/// no client is led to one. None: nothing to change.
#[must_use]
pub fn cut_supported(error: Node<'_>) -> Option<Bytes> {
    let supported = error.get("data")?.get("supported")?;
    let mut splice = Splice::new();
    keep_known(&mut splice, supported);
    applied(splice, error)
}

fn keep_known(splice: &mut Splice, versions: Node<'_>) -> Vec<Revision> {
    let mut known = Vec::new();
    splice.retain_elements(versions, |version| {
        let found = version.as_str().and_then(|text| Revision::parse(&text));
        known.extend(found);
        found.is_some()
    });
    known
}

fn server_capabilities(
    splice: &mut Splice,
    result: Node<'_>,
    features: Features<'_>,
) -> Result<ServerCapabilities, AgreementError> {
    let capabilities = result
        .get("capabilities")
        .filter(|found| found.kind() == Kind::Object)
        .ok_or(AgreementError::Malformed("capabilities"))?;
    if !features.logging {
        splice.remove_member(capabilities, "logging");
    }
    cut_common(splice, capabilities, features);
    Ok(ServerCapabilities::of(capabilities, features))
}

/// What both sides advertise under the same names.
fn cut_common(splice: &mut Splice, capabilities: Node<'_>, features: Features<'_>) {
    if !features.tasks {
        splice.remove_member(capabilities, "tasks");
    }
    for member in ["extensions", "experimental"] {
        let Some(extensions) = capabilities.get(member) else {
            continue;
        };
        if extensions.kind() != Kind::Object {
            splice.remove_member(capabilities, member);
        }
        for (id, _) in extensions.members() {
            let id = id.as_str().unwrap_or_default();
            if !features.extensions.contains(&id.as_ref()) {
                splice.remove_member(extensions, &id);
            }
        }
    }
}

impl ServerCapabilities {
    fn of(capabilities: Node<'_>, features: Features<'_>) -> Self {
        let has = |name: &str| capabilities.get(name).is_some_and(|found| !found.is_null());
        let flag = |name: &str, flag: &str| {
            let found = capabilities.get(name).and_then(|inner| inner.get(flag));
            found.and_then(Node::as_bool) == Some(true)
        };
        Self {
            tools: has("tools"),
            tools_list_changed: flag("tools", "listChanged"),
            prompts: has("prompts"),
            prompts_list_changed: flag("prompts", "listChanged"),
            resources: has("resources"),
            resources_list_changed: flag("resources", "listChanged"),
            resources_subscribe: flag("resources", "subscribe"),
            completions: has("completions"),
            logging: features.logging && has("logging"),
            tasks: features.tasks && has("tasks"),
        }
    }
}
