//! Formats that clients' validators assert, as far as a mask could break or meet them.

use std::net::{Ipv4Addr, Ipv6Addr};

/// Whether a text has a format; unknown formats are met by everything.
pub(super) fn fits(format: &str, text: &str) -> bool {
    match format {
        "email" | "idn-email" => text.split_once('@').is_some_and(|(local, domain)| {
            !local.is_empty() && domain.contains('.') && !text.contains([' ', '[', ']'])
        }),
        "uri" | "iri" | "url" => text.split_once(':').is_some_and(|(scheme, rest)| {
            !rest.is_empty()
                && scheme.starts_with(|c: char| c.is_ascii_alphabetic())
                && !text.contains([' ', '[', '"'])
        }),
        "date" => shaped(text, "dddd-dd-dd"),
        "time" => shaped(text.get(..8).unwrap_or_default(), "dd:dd:dd"),
        "date-time" => {
            shaped(text.get(..19).unwrap_or_default(), "dddd-dd-ddTdd:dd:dd") && text.len() > 19
        }
        "duration" => text.starts_with('P'),
        "uuid" => shaped(text, "hhhhhhhh-hhhh-hhhh-hhhh-hhhhhhhhhhhh"),
        "ipv4" => text.parse::<Ipv4Addr>().is_ok(),
        "ipv6" => text.parse::<Ipv6Addr>().is_ok(),
        "hostname" | "idn-hostname" => {
            !text.is_empty()
                && text
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'))
        }
        _ => true,
    }
}

/// A text of a format that says nothing. Names under `invalid` never exist (RFC 2606).
pub(super) fn blank(format: &str) -> Option<&'static str> {
    match format {
        "email" | "idn-email" => Some("redacted@example.invalid"),
        "uri" | "iri" | "url" => Some("https://redacted.invalid/"),
        "date" => Some("1970-01-01"),
        "time" => Some("00:00:00Z"),
        "date-time" => Some("1970-01-01T00:00:00Z"),
        "duration" => Some("PT0S"),
        "uuid" => Some("00000000-0000-0000-0000-000000000000"),
        "ipv4" => Some("0.0.0.0"),
        "ipv6" => Some("::"),
        "hostname" | "idn-hostname" => Some("redacted.invalid"),
        _ => None,
    }
}

/// `d` stands for a digit, `h` for a hex digit, everything else for itself.
fn shaped(text: &str, shape: &str) -> bool {
    text.len() == shape.len()
        && text
            .bytes()
            .zip(shape.bytes())
            .all(|(byte, wanted)| match wanted {
                b'd' => byte.is_ascii_digit(),
                b'h' => byte.is_ascii_hexdigit(),
                _ => byte == wanted,
            })
}
