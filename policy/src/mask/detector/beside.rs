//! Words such as `password`, and whether what stands beside them is a secret.
//!
//! The word may be a JSON member's name (then the engine asks [`meaning_of`] for the key and [`is_secret`] for
//! the value), or stand in running text before `=`, `:` or the like (then [`value_beside`] looks for it).

use std::ops::Range;

use super::chars::{before, run, run_back};

/// What a name says about the value beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::mask) enum Beside {
    /// People choose these; short and simple ones are secrets too.
    Password,
    /// Machines make these; only what looks random is one.
    Secret,
    /// The secret half of an AWS access key.
    AwsSecretKey,
    /// The three or four digits on a payment card.
    CardSecurityCode,
}

/// Literals that lead to a name worth reading.
pub(super) const WORDS: &[&str] = &[
    "passw",
    "passphrase",
    "pwd",
    "secret",
    "token",
    "apikey",
    "api_key",
    "api-key",
    "api key",
    "accesskey",
    "access_key",
    "access-key",
    "authkey",
    "auth_key",
    "credential",
    "authorization",
    "privatekey",
    "private_key",
    "signingkey",
    "signing_key",
    "encryptionkey",
    "encryption_key",
    "sessionid",
    "session_id",
    "cookie",
];
pub(super) const SECURITY_CODE_WORDS: &[&str] = &[
    "cvv",
    "cvc",
    "cvn",
    "security code",
    "securitycode",
    "security_code",
];

/// Longest name that is read, and how much of a value is judged, in bytes: both bound the work a text can cause.
const NAME: usize = 64;
const JUDGED: usize = 256;

/// Last words that turn a sensitive name into a harmless one: `token_type`, `secret_name`.
const HARMLESS_ENDS: &[&str] = &[
    "name", "id", "ref", "type", "count", "length", "size", "limit", "url", "uri", "path", "file",
    "expiry", "expires", "at", "in", "policy", "enabled", "required", "label", "hint", "field",
    "version", "usage", "index", "arn", "endpoint", "prompt", "tokens",
];
/// Words before `token` that make it a bookmark, not a credential.
const BOOKMARKS: &[&str] = &[
    "page",
    "continuation",
    "next",
    "sync",
    "cancellation",
    "progress",
    "max",
    "stop",
];

/// What the name of a member, variable or column says about its value.
pub(in crate::mask) fn meaning_of(name: &str) -> Option<Beside> {
    if name.len() > NAME {
        return None;
    }
    let words = words_of(name);
    let last = words.last()?.as_str();
    let joined = words.concat();
    let has = |word: &str| words.iter().any(|own| own == word);
    if joined.contains("secretaccesskey") || joined.contains("awssecretkey") {
        return Some(Beside::AwsSecretKey);
    }
    if ["cvv", "cvv2", "cvc", "cvc2", "cvn"]
        .iter()
        .any(|code| has(code))
        || joined.contains("securitycode")
    {
        return Some(Beside::CardSecurityCode);
    }
    if joined.ends_with("sessionid") {
        return Some(Beside::Secret);
    }
    if HARMLESS_ENDS.contains(&last) {
        return None;
    }
    if ["password", "passwd", "passphrase", "passwort"]
        .iter()
        .any(|word| joined.contains(word))
        || has("pwd")
    {
        return Some(Beside::Password);
    }
    let bookmark = words.iter().any(|word| BOOKMARKS.contains(&word.as_str()));
    let machine = [
        "secret",
        "credential",
        "apikey",
        "accesskey",
        "authkey",
        "privatekey",
        "signingkey",
    ]
    .iter()
    .chain(&["encryptionkey", "authorization", "cookie"])
    .any(|word| joined.contains(word));
    (machine || joined.contains("token") && !bookmark).then_some(Beside::Secret)
}

/// `dbPassword`, `DB_PASSWORD` and `db-password` are `db`, `password`.
fn words_of(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut last_lower = false;
    for c in name.chars() {
        let splits = !c.is_alphanumeric() || (c.is_uppercase() && last_lower);
        if splits && words.last().is_some_and(|word| !word.is_empty()) {
            words.push(String::new());
        }
        last_lower = c.is_lowercase() || c.is_ascii_digit();
        if c.is_alphanumeric()
            && let Some(word) = words.last_mut()
        {
            word.extend(c.to_lowercase());
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// Whether a value beside a name of that meaning is a secret.
pub(in crate::mask) fn is_secret(beside: Beside, value: &str) -> bool {
    let judged: String = value.chars().take(JUDGED).collect();
    if is_placeholder(&judged) || judged.chars().any(char::is_whitespace) {
        return false;
    }
    let length = judged.chars().count();
    let plain = judged
        .chars()
        .all(|c| c.is_ascii_lowercase() || c == '_' || c == '-');
    match beside {
        Beside::Password => length >= 4 && !is_word(&judged),
        Beside::Secret => length >= 8 && !plain && classes(&judged) >= 2 && entropy(&judged) >= 2.8,
        Beside::AwsSecretKey => length >= 30 && entropy(&judged) >= 3.0,
        Beside::CardSecurityCode => {
            (3..=4).contains(&length) && judged.bytes().all(|b| b.is_ascii_digit())
        }
    }
}

/// Words that documentation and schemas write where a password would stand, not passwords.
fn is_word(value: &str) -> bool {
    const WORDS: &[&str] = &[
        "string",
        "password",
        "required",
        "optional",
        "null",
        "none",
        "true",
        "false",
        "undefined",
        "hidden",
        "changed",
        "incorrect",
        "invalid",
        "wrong",
        "missing",
        "expired",
        "reset",
        "text",
        "authentication",
    ];
    WORDS.iter().any(|word| value.eq_ignore_ascii_case(word))
}

/// `${VAR}`, `{{ var }}`, `<your-key>`, `***`.
fn is_placeholder(value: &str) -> bool {
    let opens = ["${", "$(", "{{", "<"];
    opens.iter().any(|open| value.starts_with(open))
        || value
            .chars()
            .all(|c| matches!(c, '*' | '.' | 'x' | 'X' | '-' | '•'))
}

/// How many of lower case, upper case, digits and others occur.
fn classes(value: &str) -> usize {
    let kinds: [fn(char) -> bool; 4] = [
        char::is_lowercase,
        char::is_uppercase,
        |c| c.is_ascii_digit(),
        |c| !c.is_alphanumeric(),
    ];
    kinds
        .iter()
        .filter(|kind| value.chars().any(**kind))
        .count()
}

/// Shannon entropy in bits a byte.
fn entropy(value: &str) -> f64 {
    let mut seen = [0_u32; 256];
    for byte in value.bytes() {
        if let Some(count) = seen.get_mut(usize::from(byte)) {
            *count += 1;
        }
    }
    let all = f64::from(u32::try_from(value.len()).unwrap_or(u32::MAX));
    seen.iter()
        .filter(|count| **count > 0)
        .map(|count| f64::from(*count) / all)
        .map(|share| -share * share.log2())
        .sum()
}

/// In running text: reads the whole name round the lead, then what separates, then the value.
pub(super) fn value_beside(
    text: &str,
    lead: &Range<usize>,
    wanted: fn(Beside) -> bool,
) -> Option<Range<usize>> {
    let bytes = text.as_bytes();
    let in_word = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    let begin = run_back(bytes, lead.start, NAME, in_word);
    let end = run(
        bytes.get(..bytes.len().min(lead.end + NAME))?,
        lead.end,
        in_word,
    );
    let name = text.get(begin..end)?;
    let beside = meaning_of(name)?;
    let flag =
        name.starts_with("--") || (name.starts_with('-') && before(bytes, begin) != Some(b'-'));
    let from = after_separator(bytes, end, flag)?;
    // Judged on its first bytes, so that names repeated without end cost linear time; then taken whole.
    let near = bytes
        .get(..bytes.len().min(from + JUDGED))
        .unwrap_or_default();
    let found = text.get(floor(text, value_at(near, from)?))?;
    // Prose says `the password is wrong`; only what no word of prose looks like counts there.
    let secret = is_secret(beside, found)
        && (beside != Beside::Password || classes(found) >= 2 || quoted(bytes, from));
    (wanted(beside) && secret)
        .then(|| value_at(bytes, from))
        .flatten()
}

/// Where the value begins after `: `, `=`, ` => `, `">`, ` is `, or after a blank where the name is a flag.
fn after_separator(bytes: &[u8], end: usize, flag: bool) -> Option<usize> {
    let blank = |byte: u8| matches!(byte, b' ' | b'\t');
    let quote = |byte: u8| matches!(byte, b'"' | b'\'' | b'`' | b'\\' | b']' | b')' | b'*');
    let closed = run(bytes, end, quote).min(end + 4);
    let at = run(bytes, closed, blank).min(closed + 8);
    let signs = run(bytes, at, |byte| matches!(byte, b':' | b'=' | b'>')).min(at + 3);
    if signs > at {
        return Some(run(bytes, signs, blank).min(signs + 8));
    }
    let rest = bytes.get(at..)?;
    let word = [&b"is "[..], b"was ", b"are "]
        .into_iter()
        .find(|word| rest.starts_with(word));
    match word {
        Some(word) if at > closed => Some(at + word.len()),
        Some(_) | None if flag && at > closed => Some(at),
        Some(_) | None => None,
    }
}

/// The value itself: to the closing quote where one opens it, else to a blank or a delimiter.
fn value_at(bytes: &[u8], from: usize) -> Option<Range<usize>> {
    let escaped = usize::from(bytes.get(from) == Some(&b'\\'));
    let opening = bytes
        .get(from + escaped)
        .copied()
        .filter(|byte| matches!(byte, b'"' | b'\'' | b'`'));
    let range = match opening {
        Some(mark) => {
            let start = from + escaped + 1;
            start..run(bytes, start, |byte| {
                byte != mark && byte != b'\n' && (escaped == 0 || byte != b'\\')
            })
        }
        None => {
            let ends = |byte: u8| byte.is_ascii_whitespace() || b",;&\"'`<>()}]\\".contains(&byte);
            from..run(bytes, from, |byte| !ends(byte))
        }
    };
    // A sentence's end is not the password's.
    let trimmed = run_back(bytes, range.end, 1, |byte| byte == b'.');
    let end = if opening.is_none() {
        trimmed
    } else {
        range.end
    };
    (range.start < end).then_some(range.start..end)
}

/// The cut after [`JUDGED`] bytes may fall into a character; the range ends before it then.
fn floor(text: &str, range: Range<usize>) -> Range<usize> {
    range.start
        ..(range.start..=range.end)
            .rev()
            .find(|at| text.is_char_boundary(*at))
            .unwrap_or(range.start)
}

fn quoted(bytes: &[u8], from: usize) -> bool {
    bytes
        .get(from)
        .is_some_and(|byte| matches!(byte, b'"' | b'\'' | b'`' | b'\\'))
}
