//! "Did you mean": the known word that is nearest to a mistyped one. One measure for files, compiler and command line,
//! so that the same slip gets the same hint everywhere.

/// The known word that is nearest to the given one, if it is near enough to be meant.
#[must_use]
pub fn nearest<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
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
}
