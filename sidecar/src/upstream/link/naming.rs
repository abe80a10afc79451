//! Ids on a pipe: ours towards the server, the client's own towards the client.

use bytes::Bytes;
use sallyport_policy::json::{Document, Splice};
use sallyport_policy::mcp::era::META_SUBSCRIPTION;
use sallyport_policy::mcp::message::Id;

/// What the client calls its exchange.
#[derive(Clone, Debug)]
pub(super) struct Names {
    pub(super) id: Id,
    pub(super) progress: Option<Id>,
}

pub(super) fn progress_token(document: &Document) -> Option<Id> {
    document
        .root()
        .get("params")?
        .get("_meta")?
        .get("progressToken")
        .and_then(Id::of)
}

/// The request under our id; our id is its progress token too, so both are unique on the pipe.
pub(super) fn renumbered(document: &Document, number: i64, with_progress: bool) -> Bytes {
    let mut splice = Splice::new();
    let root = document.root();
    splice.set_member(root, "id", number.to_string());
    if with_progress && let Some(meta) = root.get("params").and_then(|params| params.get("_meta")) {
        splice.set_member(meta, "progressToken", number.to_string());
    }
    splice.apply(document)
}

/// The server's message with the client's own id, progress token and subscription id in it.
pub(super) fn restored(document: &Document, names: &Names) -> Bytes {
    let mut splice = Splice::new();
    let root = document.root();
    if root.get("id").is_some() {
        splice.set_member(root, "id", names.id.to_json());
    }
    if let (Some(params), Some(progress)) = (root.get("params"), &names.progress)
        && params.get("progressToken").is_some()
    {
        splice.set_member(params, "progressToken", progress.to_json());
    }
    for holder in ["params", "result"] {
        if let Some(meta) = root.get(holder).and_then(|holder| holder.get("_meta"))
            && meta.get(META_SUBSCRIPTION).is_some()
        {
            splice.set_member(meta, META_SUBSCRIPTION, names.id.to_json());
        }
    }
    splice.apply(document)
}

pub(super) fn number_of(id: &Id) -> Option<i64> {
    match id {
        Id::Integer(lexeme) => lexeme.parse().ok(),
        Id::Text(_) => None,
    }
}
