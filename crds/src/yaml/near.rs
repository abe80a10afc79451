//! How words of a file are shown, and which known word was perhaps meant.

pub(super) use sallyport_policy::near::nearest;

/// Texts of files are shown no longer than this.
const SHOWN: usize = 60;

/// A word in backticks, cut and without control characters, which could otherwise repaint a terminal.
pub(super) fn quoted(text: &str) -> String {
    let shown: String = text.chars().take(SHOWN).flat_map(visible).collect();
    let more = if text.chars().nth(SHOWN).is_some() {
        "..."
    } else {
        ""
    };
    format!("`{shown}{more}`")
}

/// Words in backticks, with commas.
pub(super) fn listed<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    let words: Vec<String> = words.into_iter().map(quoted).collect();
    words.join(", ")
}

fn visible(character: char) -> Vec<char> {
    if character.is_control() {
        character.escape_default().collect()
    } else {
        vec![character]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_shown_not_sent() {
        assert_eq!(quoted("a\u{1b}[2J"), "`a\\u{1b}[2J`");
    }
}
