//! Keys that a lenient parser could take for one another (law 4).
//!
//! Case-insensitive decoders have let a second spelling of a key overrule the one that a gateway judged, with
//! letters such as U+017F and U+212A, and with NULs behind the key.

use std::borrow::Cow;
use std::collections::BTreeSet;

use unicode_casefold::UnicodeCaseFold;

use super::Node;

/// Objects with more members than this have their folded keys kept in a set; fewer are compared pairwise.
const FEW_MEMBERS: usize = 8;

/// Two texts that a lenient parser could take for the same key: Unicode full case folding, NULs at the end trimmed.
#[must_use]
pub fn folds_to_same(a: &str, b: &str) -> bool {
    let (a, b) = (without_nuls(a), without_nuls(b));
    if a.is_ascii() && b.is_ascii() {
        return a.eq_ignore_ascii_case(b);
    }
    fold(a).eq(fold(b))
}

/// The fold itself, for sets.
#[must_use]
pub fn folded(key: &str) -> String {
    fold(without_nuls(key)).collect()
}

/// A key of `object` that folds to one of `known` without being one of them.
#[must_use]
pub fn twins(object: Node<'_>, known: &[&str]) -> Option<String> {
    let imitates =
        |key: &str| !known.contains(&key) && known.iter().any(|known| folds_to_same(key, known));
    let mut keys = object.members().filter_map(|(key, _)| key.as_str());
    keys.find(|key| imitates(key)).map(Cow::into_owned)
}

/// A key of `object` that folds to the same as an earlier key of it.
#[must_use]
pub fn folding_siblings(object: Node<'_>) -> Option<String> {
    let keys: Vec<_> = object
        .members()
        .filter_map(|(key, _)| key.as_str())
        .collect();
    let mut earlier: BTreeSet<String> = BTreeSet::new();
    let few = keys.len() <= FEW_MEMBERS;
    let twin = keys.iter().enumerate().find(|(place, key)| {
        if few {
            keys.iter()
                .take(*place)
                .any(|other| folds_to_same(other, key))
        } else {
            !earlier.insert(folded(key))
        }
    });
    twin.map(|(_, key)| key.to_string())
}

fn without_nuls(key: &str) -> &str {
    key.trim_end_matches('\0')
}

/// Upper case first, since some readers compare in upper case, where the dotless i is an I; lower case last,
/// since the standard library's tables are newer than the folding tables.
fn fold(key: &str) -> impl Iterator<Item = char> {
    key.chars()
        .flat_map(char::to_uppercase)
        .case_fold()
        .flat_map(char::to_lowercase)
}
