//! One plain form of a resource URI: what a server could resolve to something else than the policy reads is refused.
//!
//! Refused: dot segments, empty segments, backslashes, controls and spaces, user information, upper case or a final
//! dot in scheme and host, and percent-encoded forms of what has a plain form or changes meaning when decoded twice.
//! What passes may be decoded once without ambiguity, and policy is matched on that.

use std::borrow::Cow;

/// The URI with its percent-encodings decoded; none where it is not in its one plain form.
#[must_use]
pub fn plain(uri: &str) -> Option<Cow<'_, str>> {
    let (scheme, rest) = uri.split_once(':')?;
    if !scheme_is_plain(scheme)
        || uri
            .chars()
            .any(|c| c == '\\' || c.is_control() || c.is_whitespace())
    {
        return None;
    }
    let path = match rest.strip_prefix("//") {
        Some(hierarchical) => {
            let end = hierarchical
                .find(['/', '?', '#'])
                .unwrap_or(hierarchical.len());
            let (authority, path) = hierarchical.split_at(end);
            if !authority_is_plain(authority) {
                return None;
            }
            path
        }
        None => rest,
    };
    if !path_is_plain(path) {
        return None;
    }
    decode(uri)
}

/// A glob's text decoded the same way, so that both spellings of a policy mean the same.
#[must_use]
pub fn plain_glob(glob: &str) -> Option<Cow<'_, str>> {
    decode(glob)
}

fn scheme_is_plain(scheme: &str) -> bool {
    scheme.starts_with(|c: char| c.is_ascii_lowercase())
        && scheme
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '+' | '-' | '.'))
}

/// Custom schemes put other things than hosts there, but none that needs user information or encodings.
fn authority_is_plain(authority: &str) -> bool {
    !authority.ends_with('.')
        && !authority.contains(".:")
        && !authority
            .chars()
            .any(|c| matches!(c, '@' | '%') || c.is_uppercase())
}

fn path_is_plain(path: &str) -> bool {
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let inner = path.strip_prefix('/').unwrap_or(path);
    let mut segments = inner.split('/').peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        // Parameters after `;` are stripped by some servers before they resolve dots.
        let name = segment.split(';').next().unwrap_or_default();
        if name == "." || name == ".." || (segment.is_empty() && !last) {
            return false;
        }
    }
    true
}

/// Decodes once; none for a malformed encoding, for encodings of what needs none, and for those that change
/// structure: `/`, `\`, `%`, controls.
fn decode(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains('%') {
        return Some(Cow::Borrowed(text));
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        if *first != b'%' {
            bytes.push(*first);
            rest = after;
            continue;
        }
        let (pair, after) = after.split_at_checked(2)?;
        let byte = hex::decode(pair).ok()?.first().copied()?;
        if needs_no_encoding(byte)
            || matches!(byte, b'/' | b'\\' | b'%' | b'*')
            || byte.is_ascii_control()
        {
            return None;
        }
        bytes.push(byte);
        rest = after;
    }
    String::from_utf8(bytes).ok().map(Cow::Owned)
}

fn needs_no_encoding(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uri_that_a_server_could_resolve_elsewhere_is_not_plain() {
        let rows = [
            "docs://handbook/../secret",
            "docs://handbook/./a",
            "docs://handbook/%2e%2e/secret",
            "docs://handbook/%2E./secret",
            "docs://handbook/a%2fb",
            "docs://handbook/a%5cb",
            "docs://handbook/a\\b",
            "docs://handbook//secret",
            "docs://handbook/..;x/secret",
            "docs://handbook/%252e",
            "docs://handbook/%00",
            "docs://handbook/a\0",
            "docs://handbook/%zz",
            "docs://handbook/%4",
            "docs://handbook/%61",
            "docs://handbook/%ff",
            "Docs://handbook/a",
            "https://EXAMPLE.com/a",
            "https://user@example.com/a",
            "https://example.com./a",
            "https://example.com.:443/a",
            "handbook/a",
            "docs://a b",
            "file:///srv//x",
            "file:../etc",
        ];
        for uri in rows {
            assert_eq!(plain(uri), None, "{uri}");
        }
    }

    #[test]
    fn a_plain_uri_stays_and_is_decoded_once() {
        let rows = [
            ("docs://handbook/a/b", "docs://handbook/a/b"),
            ("docs://handbook/", "docs://handbook/"),
            ("file:///srv/data/x.txt", "file:///srv/data/x.txt"),
            ("urn:isbn:123", "urn:isbn:123"),
            ("ui://app/main?x=../y", "ui://app/main?x=../y"),
            ("docs://a/caf%C3%A9", "docs://a/café"),
            ("docs://a/b%20c", "docs://a/b c"),
            ("test://static/resource/1", "test://static/resource/1"),
        ];
        for (uri, expected) in rows {
            assert_eq!(plain(uri).as_deref(), Some(expected), "{uri}");
        }
    }
}
