//! Resource URIs that policy and server would read differently (trap 13).
//!
//! Policy matches a URI as it is written. A server may first resolve dot segments, decode escapes or fold case, and
//! so reach a resource that another spelling was denied. What is not already in normal form (RFC 3986 section 6.2.2,
//! and for schemes of the web what URL parsers do besides) is therefore refused, never normalised on the way.

/// Schemes whose authority URL parsers normalise, with the port that goes without saying.
const WEB_SCHEMES: &[(&str, &str)] = &[
    ("file", ""),
    ("ftp", "21"),
    ("http", "80"),
    ("https", "443"),
    ("ws", "80"),
    ("wss", "443"),
];

/// What the URI would have to be; none if it means the same to everybody.
#[must_use]
pub fn ambiguity(uri: &str) -> Option<&'static str> {
    if !uri
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && byte != b'\\')
    {
        return Some("printable ASCII without spaces and backslashes; escape the others");
    }
    let (scheme, rest) = uri.split_once(':').unwrap_or(("", uri));
    if scheme.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Some("written with its scheme in lower case");
    }
    let has_dot_segment = rest
        .split(['/', '?', '#'])
        .any(|segment| matches!(segment, "." | ".."));
    if has_dot_segment {
        return Some("without dot segments");
    }
    if !escapes_are_needed(uri) {
        return Some(
            "without escapes of letters, digits, dots, slashes, controls or other escapes, in upper case",
        );
    }
    WEB_SCHEMES
        .iter()
        .find(|(web, _)| *web == scheme)
        .filter(|(_, port)| !authority_is_normal(scheme, rest, port))
        .map(|_| "written with a plain host in lower case, without user and default port")
}

/// Every `%` begins an escape in upper case, of a byte that could not stand for itself.
fn escapes_are_needed(uri: &str) -> bool {
    uri.split('%').skip(1).all(|after| {
        let is_upper_hex = |digit: &u8| matches!(digit, b'0'..=b'9' | b'A'..=b'F');
        let Some((digits, more)) = after.as_bytes().split_first_chunk::<2>() else {
            return false;
        };
        let mut byte = [0];
        if !digits.iter().all(is_upper_hex) || hex::decode_to_slice(digits, &mut byte).is_err() {
            return false;
        }
        let [byte] = byte;
        // `%25` before two digits is an escape again for whoever decodes twice.
        let twice = byte == b'%'
            && more
                .iter()
                .take(2)
                .filter(|at| at.is_ascii_hexdigit())
                .count()
                == 2;
        let stands_for_itself =
            byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
        let splits = matches!(byte, b'/' | b'\\') || byte.is_ascii_control();
        !(twice || stands_for_itself || splits)
    })
}

fn authority_is_normal(scheme: &str, rest: &str, default_port: &str) -> bool {
    let Some(after) = rest.strip_prefix("//") else {
        return false;
    };
    let authority = after.split(['/', '?', '#']).next().unwrap_or_default();
    let (host, port) = authority.rsplit_once(':').unwrap_or((authority, "-"));
    let plain = |byte: u8| !byte.is_ascii_uppercase() && !matches!(byte, b'@' | b'%');
    authority.bytes().all(plain)
        && !host.ends_with('.')
        && port != default_port
        && !port.is_empty()
        && (scheme == "file" || !host.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uris_that_mean_the_same_to_everybody_pass() {
        for uri in [
            "docs://handbook/chapter-1.html",
            "docs://handbook/a%20b",
            "docs://handbook/caf%C3%A9?q=1%2B1",
            "docs://handbook/..hidden/a..b/...",
            "docs://handbook/100%25",
            "docs://{id}/data",
            "memo://Insights",
            "postgres://reader@db:5432/shop/schema",
            "file:///srv/data/a.txt",
            "https://example.com:8443/a",
            "http://[2001:db8::1]:8080/a",
            "ui://widgets/card",
            "urn:isbn:0451450523",
            "test://static-text",
        ] {
            assert_eq!(ambiguity(uri), None, "{uri}");
        }
    }

    #[test]
    fn trap_13_spellings_that_a_server_may_resolve_to_another_resource_are_refused() {
        for (name, uri) in [
            ("dot segments", "docs://public/../secret"),
            ("a dot segment", "docs://public/./secret"),
            ("a dot segment at the end", "docs://public/.."),
            ("before a query", "docs://public/..?x"),
            ("without authority", "docs:../secret"),
            ("escaped dots", "docs://public/%2E%2E/secret"),
            ("escaped dots in lower case", "docs://public/%2e%2e/secret"),
            ("an escaped slash", "docs://public%2Fsecret"),
            ("an escaped backslash", "docs://public%5C..%5Csecret"),
            ("a backslash", r"docs://public\..\secret"),
            ("an escaped letter", "docs://%73ecret"),
            ("escaped twice", "docs://public/%252E%252E/secret"),
            ("escapes in lower case", "docs://caf%c3%a9"),
            ("no ASCII", "docs://café"),
            ("NUL", "docs://secret\0.txt"),
            ("an escaped NUL", "docs://secret%00.txt"),
            ("a tab inside", "docs://sec\tret"),
            ("a space before", " docs://secret"),
            ("a lone percent sign", "docs://secret%"),
            ("no escape", "docs://secret%zz"),
            ("a scheme in capitals", "DOCS://secret"),
            ("a host in capitals", "https://Example.com/a"),
            ("a user", "https://a@example.com/a"),
            ("a dot behind the host", "https://example.com./a"),
            ("the default port", "https://example.com:443/a"),
            ("an empty port", "https://example.com:/a"),
            ("an escaped host", "https://ex%2Dample.com/a"),
            ("one slash", "https:/example.com/a"),
            ("three slashes", "https:///example.com/a"),
        ] {
            assert!(ambiguity(uri).is_some(), "{name}: {uri}");
        }
    }
}
