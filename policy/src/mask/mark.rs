//! What takes the place of a secret: marks that name the kind and never the value.

use std::ops::Range;

use aws_lc_rs::hmac;

use crate::source::masking::MaskAction;

use super::MaskKey;

/// Begins a partial mark; the characters behind it are the ones that may stay.
const STARS: &str = "****";
const REDACTED: &str = "[redacted:";
const HASH: &str = "[hash:";
const HASH_DIGITS: usize = 16;

/// What takes the place of `value`; the empty text for `Drop`.
pub(super) fn mask(
    value: &str,
    kind: &str,
    action: MaskAction,
    keep_last: u8,
    key: &MaskKey,
) -> String {
    match action {
        MaskAction::Drop => String::new(),
        MaskAction::Redact => format!("{REDACTED}{kind}]"),
        MaskAction::Hash => format!("{HASH}{kind}:{}]", key.short(b"mask", value, HASH_DIGITS)),
        MaskAction::Partial => partial(value, keep_last),
    }
}

/// Nothing stays of a value that is hardly longer than what would stay.
fn partial(value: &str, keep_last: u8) -> String {
    let keep = usize::from(keep_last);
    let length = value.chars().count();
    let shown = if length >= keep + 4 { keep } else { 0 };
    value
        .chars()
        .skip(length - shown)
        .fold(STARS.to_owned(), |mut mask, c| {
            mask.push(c);
            mask
        })
}

/// What an approver sees in the place of `value` (law 23).
pub(super) fn preview(value: &str, kind: &str, key: &MaskKey) -> String {
    format!(
        "[{kind}, {} characters, hmac {}]",
        value.chars().count(),
        key.short(b"preview", value, 8)
    )
}

impl MaskKey {
    fn short(&self, purpose: &[u8], value: &str, digits: usize) -> String {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(b"sallyport/mask/");
        context.update(purpose);
        context.update(b"\0");
        context.update(value.as_bytes());
        let mut text = hex::encode(context.sign());
        text.truncate(digits);
        text
    }
}

/// Whether a value is nothing but masks already, so that masking it again would change nothing.
pub(super) fn is_mask(
    value: &str,
    action: MaskAction,
    keep_last: u8,
    known: impl Fn(&str) -> bool,
) -> bool {
    let partial = value.strip_prefix(STARS).is_some_and(|rest| {
        action == MaskAction::Partial && rest.chars().count() <= usize::from(keep_last)
    });
    let mut rest = value;
    while let Some(length) = mark_at(rest, &known) {
        rest = rest.get(length..).unwrap_or_default();
    }
    !value.is_empty() && (partial || rest.is_empty() || value.bytes().all(|byte| byte == b'*'))
}

/// Where marks stand in a text. Only names that are known make one, or a server could write a secret inside.
pub(super) fn marks_in(text: &str, known: impl Fn(&str) -> bool) -> Vec<Range<usize>> {
    let mut marks = Vec::new();
    let mut at = 0;
    while let Some(found) = text.get(at..).and_then(|rest| rest.find('[')) {
        let start = at + found;
        at = match text.get(start..).and_then(|rest| mark_at(rest, &known)) {
            Some(length) => {
                marks.push(start..start + length);
                start + length
            }
            None => start + 1,
        };
    }
    marks
}

/// The length of the mark that a text begins with.
fn mark_at(text: &str, known: impl Fn(&str) -> bool) -> Option<usize> {
    let hashed = text.starts_with(HASH);
    let inner = text
        .strip_prefix(HASH)
        .or_else(|| text.strip_prefix(REDACTED))?;
    let near = inner.as_bytes().get(..inner.len().min(128))?;
    let inner = inner.get(..memchr::memchr(b']', near)?)?;
    let kind = match hashed {
        false => inner,
        true => {
            let (kind, digits) = inner.rsplit_once(':')?;
            let fits = digits.len() == HASH_DIGITS
                && digits
                    .bytes()
                    .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
            fits.then_some(kind)?
        }
    };
    let opening = if hashed { HASH.len() } else { REDACTED.len() };
    known(kind).then_some(opening + inner.len() + 1)
}
