//! Rewriting of lists: what a caller may not use is not told to it.
//!
//! All by splice: what stays, stays byte for byte, in its order; `nextCursor` is never touched, an empty page is
//! legal (law 28).

use std::borrow::Cow;
use std::collections::BTreeSet;

use bytes::Bytes;

use super::method::Surface;
use super::revision::Revision;
use super::twins;
use super::uri;
use crate::json::{Kind, Node, Splice};

/// One entry of a list.
#[derive(Clone, Debug)]
pub struct Listed<'d> {
    pub surface: Surface,
    /// Tool or prompt name, URI, URI template or task id.
    pub name: Cow<'d, str>,
    pub node: Node<'d>,
}

/// A document after rewriting.
#[derive(Clone, Debug)]
pub struct Rewritten {
    /// The same bytes where nothing had to change.
    pub bytes: Bytes,
    /// Names of entries that were taken out because policy said so.
    pub hidden: Vec<String>,
    /// Entries taken out because they could not be read safely (no name, twin keys).
    pub malformed: usize,
    /// Names that occur more than once on this page: tampering until somebody says otherwise (law 29).
    pub duplicates: Vec<String>,
}

/// The server's fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ListError {
    #[error("the result has no array `{0}`")]
    NoItems(&'static str),
}

/// How long a client may keep what it got.
#[derive(Clone, Copy, Debug)]
pub struct Caching {
    pub revision: Revision,
    /// At most 30 000, less where a validity edge is near.
    pub max_ttl_ms: u64,
}

/// One entry of a listen filter.
#[derive(Clone, Copy, Debug)]
pub enum Watched<'a> {
    Uri(&'a str),
    Task(&'a str),
}

/// Items of a list result, for whoever only reads (pins, law 29); entries without a name are left out.
pub fn items(result: Node<'_>, surface: Surface) -> Result<Vec<Listed<'_>>, ListError> {
    let array = array(result, surface)?;
    Ok(array
        .elements()
        .filter_map(|node| listed(node, surface))
        .collect())
}

/// `nextCursor`, for whoever reads all pages.
#[must_use]
pub fn next_cursor(result: Node<'_>) -> Option<Cow<'_, str>> {
    result.get("nextCursor")?.as_str()
}

/// Filters the list in `result` and, in the newest revision, makes it private and short-lived.
pub fn filter(
    result: Node<'_>,
    surface: Surface,
    caching: Caching,
    mut keep: impl FnMut(&Listed<'_>) -> bool,
) -> Result<Rewritten, ListError> {
    let array = array(result, surface)?;
    let mut splice = Splice::new();
    let mut seen = BTreeSet::new();
    let mut hidden = Vec::new();
    let mut malformed = 0;
    let mut duplicates = Vec::new();
    splice.retain_elements(array, |node| {
        let Some(item) = listed(node, surface) else {
            malformed += 1;
            return false;
        };
        if !seen.insert(item.name.clone().into_owned()) {
            duplicates.push(item.name.clone().into_owned());
        }
        let keeps = keep(&item);
        if !keeps {
            hidden.push(item.name.into_owned());
        }
        keeps
    });
    cap(&mut splice, result, caching);
    Ok(Rewritten {
        bytes: splice.apply(result.document()),
        hidden,
        malformed,
        duplicates,
    })
}

/// Any other cacheable result (`resources/read`): private, short-lived. None: nothing to change.
#[must_use]
pub fn cap_caching(result: Node<'_>, caching: Caching) -> Option<Bytes> {
    let mut splice = Splice::new();
    cap(&mut splice, result, caching);
    applied(splice, result)
}

/// A `subscriptions/listen` request without the URIs and task ids that `keep` rejects, and without URIs
/// that could not be read either. None: nothing to change.
#[must_use]
pub fn narrow_listen(
    message: Node<'_>,
    mut keep: impl FnMut(Watched<'_>) -> bool,
) -> Option<Bytes> {
    let filter = message.get("params")?.get("notifications")?;
    let mut splice = Splice::new();
    if let Some(uris) = filter.get("resourceSubscriptions") {
        splice.retain_elements(uris, |uri| {
            uri.as_str()
                .is_some_and(|uri| uri::ambiguity(&uri).is_none() && keep(Watched::Uri(&uri)))
        });
    }
    if let Some(ids) = filter.get("taskIds") {
        splice.retain_elements(ids, |id| {
            id.as_str().is_some_and(|id| keep(Watched::Task(&id)))
        });
    }
    applied(splice, message)
}

/// Law 28. What is not a number of milliseconds counts as stale at once.
pub(super) fn cap(splice: &mut Splice, result: Node<'_>, caching: Caching) {
    if !caching.revision.is_modern() {
        return;
    }
    let ttl = result.get("ttlMs").and_then(Node::as_i64);
    let ttl = ttl.and_then(|ttl| u64::try_from(ttl).ok());
    if ttl.is_none_or(|ttl| ttl > caching.max_ttl_ms) {
        let ttl = ttl.unwrap_or(0).min(caching.max_ttl_ms);
        splice.set_member(result, "ttlMs", ttl.to_string());
    }
    let scope = result.get("cacheScope");
    if !scope.is_some_and(|scope| scope.is_text("private")) {
        splice.set_member(result, "cacheScope", r#""private""#);
    }
}

pub(super) fn applied(splice: Splice, inside: Node<'_>) -> Option<Bytes> {
    (!splice.is_empty()).then(|| splice.apply(inside.document()))
}

fn array(result: Node<'_>, surface: Surface) -> Result<Node<'_>, ListError> {
    result
        .get(surface.member())
        .filter(|found| found.kind() == Kind::Array)
        .ok_or(ListError::NoItems(surface.member()))
}

/// None for what cannot be named for certain, or could never be read.
fn listed(node: Node<'_>, surface: Surface) -> Option<Listed<'_>> {
    if twins::in_item(node) {
        return None;
    }
    let name = node.get(surface.key())?.as_str()?;
    if surface == Surface::Resources && uri::ambiguity(&name).is_some() {
        return None;
    }
    Some(Listed {
        surface,
        name,
        node,
    })
}
