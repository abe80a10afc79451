//! Credentials that show by their structure: keys in armour, JWTs, addresses with passwords, headers.

use std::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

use super::beside::{Beside, is_secret};
use super::chars::{Body, before, run, run_back};

/// `-----BEGIN ... PRIVATE KEY-----` to its end line; cut off keys are masked as far as they go.
pub(super) fn private_key(text: &str, lead: Range<usize>) -> Option<Range<usize>> {
    let bytes = text.as_bytes();
    let label_end = run(bytes, lead.end, |byte| {
        byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b' '
    });
    if label_end.saturating_sub(lead.end) > 48
        || !text.get(lead.end..label_end)?.contains("PRIVATE KEY")
    {
        return None;
    }
    // Everything between the armour lines is of this class, header lines and escaped line ends included, so one
    // run finds the end without searching beyond what will be masked.
    let armour = |byte: u8| {
        byte.is_ascii_alphanumeric()
            || byte.is_ascii_whitespace()
            || b"+/=-\\:,.()<>@_\"'".contains(&byte)
    };
    let end = run(bytes, label_end, armour);
    let body = text.get(label_end..end)?;
    let cut = body.find("-----END ").and_then(|at| {
        let line = body.get(at + 9..)?;
        Some(at + 9 + line.find("-----")? + 5)
    });
    Some(lead.start..cut.map_or(end, |length| label_end + length))
}

/// The private lines of a PuTTY key file.
pub(super) fn putty_key(text: &str, lead: Range<usize>) -> Option<Range<usize>> {
    let bytes = text.as_bytes();
    let end = run(bytes, lead.end, |byte| {
        Body::Base64.has(byte) || byte.is_ascii_whitespace() || byte == b'\\'
    });
    (end > lead.end + 16).then_some(lead.start..end)
}

/// Three parts (five if encrypted), the first a JSON object with `alg`, `enc` or `typ`.
pub(super) fn jwt(text: &str, lead: Range<usize>) -> Option<Range<usize>> {
    let bytes = text.as_bytes();
    let part = |byte: u8| Body::AlnumDash.has(byte);
    if before(bytes, lead.start).is_some_and(part) {
        return None;
    }
    let head = run(bytes, lead.start, part);
    if bytes.get(head) != Some(&b'.') || !is_jose_header(text.get(lead.start..head)?) {
        return None;
    }
    let mut end = head;
    let mut dots = 0;
    while dots < 4 && bytes.get(end) == Some(&b'.') {
        dots += 1;
        end = run(bytes, end + 1, part);
    }
    // A full stop behind the token ends the sentence.
    let end = run_back(bytes, end, 4, |byte| byte == b'.');
    (dots >= 2 && end > head).then_some(lead.start..end)
}

fn is_jose_header(part: &str) -> bool {
    // Only the beginning is needed to tell, and bounds the work.
    let begin = part.get(..part.len().min(1024) / 4 * 4).unwrap_or_default();
    let whole = if part.len() <= 1024 { part } else { begin };
    let Ok(header) = URL_SAFE_NO_PAD.decode(whole) else {
        return false;
    };
    let header = String::from_utf8_lossy(&header);
    header.starts_with('{')
        && ["\"alg\"", "\"enc\"", "\"typ\"", "\"kid\""]
            .iter()
            .any(|name| header.contains(name))
}

/// The password in `scheme://user:password@host`, or a token that stands alone before the `@`.
pub(super) fn connection_string(text: &str, lead: Range<usize>) -> Option<Range<usize>> {
    const LONGEST: usize = 1024;
    let bytes = text.as_bytes();
    let scheme = run_back(bytes, lead.start, 32, |byte| {
        byte.is_ascii_alphanumeric() || b"+-.".contains(&byte)
    });
    let scheme = text.get(scheme..lead.start)?;
    if scheme.is_empty() {
        return None;
    }
    let window = bytes
        .get(..bytes.len().min(lead.end + LONGEST))
        .unwrap_or_default();
    let outer = |byte: u8| !byte.is_ascii_whitespace() && !b"\"'`<>\\|".contains(&byte);
    // Passwords with an unescaped slash are common in the addresses of databases, not of web pages.
    let web = matches!(scheme, "http" | "https" | "ws" | "wss" | "file");
    let ends: &[u8] = if web { b"/?#" } else { b"?" };
    let end = run(window, lead.end, |byte| {
        outer(byte) && !ends.contains(&byte)
    });
    let at = last_at(bytes, lead.end, end)?;
    let user_end = run(bytes, lead.end, |byte| byte != b':').min(at);
    let secret = if user_end < at {
        user_end + 1..at
    } else {
        lead.end..at
    };
    let found = text.get(secret.clone())?;
    let alone = user_end == at;
    let hidden =
        found.chars().all(|c| c == '*') || found.starts_with("${") || found.starts_with('<');
    let meant = if alone {
        found.len() >= 20 && is_secret(Beside::Secret, found)
    } else {
        !found.is_empty()
    };
    (meant && !hidden).then_some(secret)
}

fn last_at(bytes: &[u8], from: usize, to: usize) -> Option<usize> {
    let place = bytes
        .get(from..to)?
        .iter()
        .rposition(|byte| *byte == b'@')?;
    Some(from + place)
}

/// The credential of an `Authorization` header: `Bearer ...`, `Basic ...`.
pub(super) fn authorization(text: &str, lead: Range<usize>) -> Option<Range<usize>> {
    let bytes = text.as_bytes();
    if before(bytes, lead.start).is_some_and(|byte| byte.is_ascii_alphanumeric()) {
        return None;
    }
    let from = run(bytes, lead.end, |byte| byte == b' ').min(lead.end + 8);
    let end = run(bytes, from, |byte| {
        Body::Base64.has(byte) || b"-_.~".contains(&byte)
    });
    let end = run_back(bytes, end, 2, |byte| byte == b'.');
    let found = text.get(from..end)?;
    let basic = bytes
        .get(lead.start)
        .is_some_and(|byte| byte.eq_ignore_ascii_case(&b'b'))
        && bytes
            .get(lead.start + 1)
            .is_some_and(|byte| byte.eq_ignore_ascii_case(&b'a'));
    let meant = if basic {
        is_user_and_password(found)
    } else {
        found.len() >= 12 && is_secret(Beside::Secret, found)
    };
    meant.then_some(from..end)
}

fn is_user_and_password(found: &str) -> bool {
    let near = found.trim_end_matches('=');
    let near = near.get(..near.len().min(512)).unwrap_or_default();
    let whole = if near.len() == 512 {
        near.get(..512)
    } else {
        Some(near)
    };
    whole
        .and_then(|text| STANDARD_NO_PAD.decode(text).ok())
        .is_some_and(|pair| pair.len() >= 3 && pair.contains(&b':'))
}

/// The key in an Azure connection string.
pub(super) fn azure_key(text: &str, lead: Range<usize>) -> Option<Range<usize>> {
    let end = run(text.as_bytes(), lead.end, |byte| Body::Base64.has(byte));
    (end >= lead.end + 40).then_some(lead.end..end)
}

/// The signature of a shared access signature in a URL's query.
pub(super) fn azure_signature(text: &str, lead: Range<usize>) -> Option<Range<usize>> {
    let bytes = text.as_bytes();
    let parameter = before(bytes, lead.start).is_none_or(|byte| b"?&;\"' ".contains(&byte));
    let end = run(bytes, lead.end, |byte| Body::Base64Percent.has(byte));
    (parameter && end >= lead.end + 40).then_some(lead.end..end)
}

/// `<bot id>:AA<33 characters>`; the lead is `:AA`.
pub(super) fn telegram(text: &str, lead: Range<usize>) -> Option<Range<usize>> {
    let bytes = text.as_bytes();
    let begin = run_back(bytes, lead.start, 12, |byte| byte.is_ascii_digit());
    let end = run(bytes, lead.end, |byte| Body::AlnumDash.has(byte));
    (lead.start - begin >= 7 && end >= lead.end + 30).then_some(begin..end)
}

/// `<14 characters>.atlasv1.<at least 60>`; the lead is `.atlasv1.`.
pub(super) fn terraform(text: &str, lead: Range<usize>) -> Option<Range<usize>> {
    let bytes = text.as_bytes();
    let begin = run_back(bytes, lead.start, 14, |byte| byte.is_ascii_alphanumeric());
    let end = run(bytes, lead.end, |byte| Body::AlnumDash.has(byte));
    (lead.start - begin == 14 && end >= lead.end + 50).then_some(begin..end)
}
