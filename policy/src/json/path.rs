//! A bounded subset of JSONPath (RFC 9535): root, child names, indices, wildcards, descendants.

use super::Node;

/// A compiled path: `$`, `.name`, `['name']`, `[0]`, `[-1]`, `.*`, `[*]`, `..name`, `..*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {}

/// What is wrong with a path's text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{path}` is not a path: {what} at character {at}")]
pub struct PathError {
    pub path: String,
    pub what: &'static str,
    pub at: usize,
}

impl Path {
    pub fn parse(text: &str) -> Result<Self, PathError> {
        todo!()
    }
    /// Every node the path names, in document order, at most once each; bounded by the document's size.
    pub fn select<'d>(&self, root: Node<'d>) -> Vec<Node<'d>> {
        todo!()
    }
    /// Literal member names in the path, for the twin check of law 4.
    pub fn member_names(&self) -> impl Iterator<Item = &str> {
        std::iter::empty()
    }
}
