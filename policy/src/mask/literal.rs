//! Injected credentials and the forms in which a server may echo them: as they are, in base64 (wherever it
//! begins inside a longer text), percent-encoded, in hex (law 25).

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use zeroize::Zeroizing;

use super::detector::Body;

/// Bytes of a form that lead to it; the rest is compared where the lead stands, so that a long key file does not
/// make a large automaton.
const LEAD: usize = 32;
/// Fewer characters of base64 stand in ordinary text by chance.
const LEAST_BASE64: usize = 5;

/// One form of one credential.
pub(super) struct Form {
    bytes: Zeroizing<Vec<u8>>,
    /// Base64 from inside a longer text: the characters at both ends hold some of the bits as well.
    inner: bool,
}

impl Form {
    pub(super) fn lead(&self) -> &[u8] {
        self.bytes.get(..LEAD).unwrap_or(&self.bytes)
    }

    /// What is masked if the form stands at `at`.
    pub(super) fn at(&self, text: &str, at: usize) -> Option<std::ops::Range<usize>> {
        let bytes = text.as_bytes();
        let mut end = at.checked_add(self.bytes.len())?;
        if bytes.get(at..end)? != self.bytes.as_slice() {
            return None;
        }
        let mut start = at;
        if self.inner {
            let has = |place: usize| {
                bytes
                    .get(place)
                    .is_some_and(|byte| Body::Base64Percent.has(*byte))
            };
            start = (0..2).fold(start, |start, _| {
                start
                    .checked_sub(1)
                    .filter(|one| has(*one))
                    .unwrap_or(start)
            });
            end = (0..4).fold(end, |end, _| if has(end) { end + 1 } else { end });
        }
        // A credential of arbitrary bytes may begin inside a character.
        let start = (0..=start)
            .rev()
            .find(|place| text.is_char_boundary(*place))?;
        let end = (end..=text.len()).find(|place| text.is_char_boundary(*place))?;
        Some(start..end)
    }
}

/// Every form of a credential, each once.
pub(super) fn forms_of(secret: &[u8]) -> Vec<Form> {
    let mut forms = vec![(secret.to_vec(), false)];
    for shift in 0..3 {
        forms.push((inner_base64(secret, shift, false), true));
        forms.push((inner_base64(secret, shift, true), true));
    }
    forms.retain(|(form, inner)| !inner || form.len() >= LEAST_BASE64);
    forms.push((percent(secret, false), false));
    forms.push((percent(secret, true), false));
    forms.push((hex::encode(secret).into_bytes(), false));
    forms.push((hex::encode_upper(secret).into_bytes(), false));
    forms.sort();
    forms.dedup();
    forms
        .into_iter()
        .map(|(bytes, inner)| Form {
            bytes: Zeroizing::new(bytes),
            inner,
        })
        .collect()
}

/// The characters that depend on the secret alone when `shift` bytes of something else stand before it.
fn inner_base64(secret: &[u8], shift: usize, url: bool) -> Vec<u8> {
    let mut padded = Zeroizing::new(vec![0; shift]);
    padded.extend_from_slice(secret);
    let text = if url {
        URL_SAFE_NO_PAD.encode(&*padded)
    } else {
        STANDARD_NO_PAD.encode(&*padded)
    };
    let from = (shift * 8).div_ceil(6);
    let to = padded.len() * 8 / 6;
    text.as_bytes().get(from..to).unwrap_or_default().to_vec()
}

/// RFC 3986: everything but unreserved characters.
fn percent(secret: &[u8], lower: bool) -> Vec<u8> {
    let mut text = Vec::with_capacity(secret.len() * 3);
    for byte in secret {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => text.push(*byte),
            _ if lower => text.extend(format!("%{byte:02x}").bytes()),
            _ => text.extend(format!("%{byte:02X}").bytes()),
        }
    }
    text
}
