//! What JSON has and YAML has not: characters beyond the first plane as two escapes.

use std::borrow::Cow;

/// A JSON text that the YAML parser reads too. Escapes in pairs become their character; lone ones stay, and are refused.
pub(super) fn as_yaml(text: &str) -> Cow<'_, str> {
    let is_json = text.trim_start().starts_with(['{', '[']);
    if !is_json || !text.contains("\\u") {
        return Cow::Borrowed(text);
    }
    let mut yaml = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        yaml.push_str(before);
        if let Some((character, tail)) = pair(after) {
            yaml.push(character);
            rest = tail;
            continue;
        }
        // The character after a backslash goes with it, so that `\\ud83d` is not taken for an escape.
        yaml.push('\\');
        let mut characters = after.chars();
        yaml.extend(characters.next());
        rest = characters.as_str();
    }
    yaml.push_str(rest);
    Cow::Owned(yaml)
}

/// The character of `uD83D\uDE00`, and what follows.
fn pair(text: &str) -> Option<(char, &str)> {
    let (high, rest) = unit(text)?;
    let (low, rest) = unit(rest.strip_prefix('\\')?)?;
    let mut decoded = char::decode_utf16([high, low]);
    let character = decoded.next()?.ok()?;
    decoded.next().is_none().then_some((character, rest))
}

fn unit(text: &str) -> Option<(u16, &str)> {
    let (digits, rest) = text.strip_prefix('u')?.split_at_checked(4)?;
    let plain = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    Some((
        u16::from_str_radix(digits, 16).ok().filter(|_| plain)?,
        rest,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_become_characters_and_nothing_else_changes() {
        for (json, yaml) in [
            (r#"{"a":"\ud83d\ude00"}"#, "{\"a\":\"\u{1f600}\"}"),
            (r#"{"a":"\\ud83d\ude00"}"#, r#"{"a":"\\ud83d\ude00"}"#),
            (r#"{"a":"\ud83d"}"#, r#"{"a":"\ud83d"}"#),
            (r#"{"a":"\u00e9\n"}"#, r#"{"a":"\u00e9\n"}"#),
            (r#"{"a":"\u+041\u+042"}"#, r#"{"a":"\u+041\u+042"}"#),
            (r"a: \ud83d\ude00", r"a: \ud83d\ude00"),
            (r#"["\"#, r#"["\"#),
        ] {
            assert_eq!(as_yaml(json), yaml, "{json}");
        }
    }
}
