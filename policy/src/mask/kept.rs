//! The client's own message as a recording keeps it: every secret in it replaced by the name of its kind.
//!
//! Nobody executes a recording, so nothing in it must stay for the protocol's sake: states, addresses and the names of
//! members are masked like any text, and there is always a mask. What is clean is kept as the very bytes that came.

use bytes::Bytes;

use crate::json::Document;

use super::Masker;
use super::place::Place;
use super::session::Session;
use super::walk::{At, Fate, Walk};

/// What is kept where nobody can say what must be masked: nothing of the message.
const NOTHING: &[u8] = b"\"[redacted:Unsettled]\"";

pub(super) fn kept(masker: &Masker, document: &Document) -> Bytes {
    if masker.unreadable.everything {
        return Bytes::from_static(NOTHING);
    }
    let mut session = Session::for_keeping(masker);
    let mut walk = Walk::new(&mut session, document, false);
    let anything = At::of(Place::Free);
    if walk.is_clean(&anything) {
        return document.bytes().clone();
    }
    let fate = walk.value(document.root(), &anything);
    let splice = walk.into_splice();
    match (fate, session.withheld) {
        (Fate::Keep, None) if splice.is_empty() => document.bytes().clone(),
        (Fate::Keep, None) => splice.apply(document),
        (Fate::Remove | Fate::Drop, _) | (Fate::Keep, Some(_)) => Bytes::from_static(NOTHING),
    }
}
