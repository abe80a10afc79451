//! What was perhaps meant, and how words of a file are shown.

/// Texts of files are shown no longer than this.
const SHOWN: usize = 60;

/// The known word that is nearest to the given one, if it is near enough to be meant.
pub(super) fn nearest<'a>(
    given: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let folded = given.to_lowercase();
    let rated = known.into_iter().filter_map(|word| {
        let other = word.to_lowercase();
        let distance = strsim::damerau_levenshtein(&folded, &other);
        let longer = folded.chars().count().max(other.chars().count());
        // A third of the letters may differ, so that `efect` finds `effect` and `name` does not find `tools`.
        let starts = folded.len() >= 3 && other.starts_with(&folded)
            || other.len() >= 3 && folded.starts_with(&other);
        (distance * 3 <= longer || starts).then_some((distance, word))
    });
    rated.min().map(|(_, word)| word)
}

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
    fn near_words_are_found_and_far_ones_are_not() {
        let fields = ["effect", "name", "tools", "resources", "when"];
        for (given, meant) in [
            ("efect", Some("effect")),
            ("Effect", Some("effect")),
            ("tool", Some("tools")),
            ("resource", Some("resources")),
            ("nmae", Some("name")),
            ("if", None),
            ("password", None),
            ("namespace", Some("name")),
        ] {
            assert_eq!(nearest(given, fields), meant, "{given}");
        }
    }

    #[test]
    fn control_characters_are_shown_not_sent() {
        assert_eq!(quoted("a\u{1b}[2J"), "`a\\u{1b}[2J`");
    }
}
