//! Marks: what each client writes into its calls and servers give back, so that an answer in wrong hands is seen.

/// Every mark begins so; nothing else on the wire does.
const BEGIN: &str = "soak-";

/// The mark of one client: no other client's begins with it.
pub(crate) fn owner(run: &str, client: u32) -> String {
    format!("{BEGIN}{run}-{client}-")
}

/// The first mark in a text that is not `owner`'s.
pub(crate) fn foreign(text: &str, owner: &str) -> Option<String> {
    text.match_indices(BEGIN).find_map(|(at, _)| {
        let mark = text.get(at..)?;
        if mark.starts_with(owner) {
            return None;
        }
        let end = mark.find(|c: char| !(c.is_ascii_alphanumeric() || c == '-'));
        let mark = mark.get(..end.unwrap_or(mark.len()))?;
        // A text that was cut off after the first letters of a mark tells nothing.
        (mark.matches('-').count() >= 3).then(|| mark.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::{foreign, owner};

    #[test]
    fn a_mark_of_another_client_is_seen_among_ones_own() {
        let own = owner("a", 1);
        let text = format!("{{\"x\":\"{own}5\",\"y\":\"{own}6\"}}");
        assert_eq!(foreign(&text, &own), None);
        assert_eq!(
            foreign("..soak-a-12-5\"}", &own).as_deref(),
            Some("soak-a-12-5"),
            "client 12 is not client 1"
        );
        assert_eq!(
            foreign("soak-b-1-5", &own).as_deref(),
            Some("soak-b-1-5"),
            "another run"
        );
    }
}
