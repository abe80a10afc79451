//! The corpus of attacks on the data path. The cases are the YAML files beside this crate, one a chapter; this is
//! their one reader, for unit tests, for the run against the real guard, and for the seeds of fuzzers.
//!
//! It knows nothing of the product, so that what is expected cannot be computed from what is tested.

mod case;
mod send;

use std::collections::BTreeSet;

pub use case::{Answer, Case, Chapter, Expect, Step};
pub use send::{Body, Forgery, Send};

/// Name and text of each chapter.
const FILES: [(&str, &str); 9] = [
    ("json", include_str!("../json.yaml")),
    ("names", include_str!("../names.yaml")),
    ("headers-http", include_str!("../headers-http.yaml")),
    ("sse", include_str!("../sse.yaml")),
    ("ids-state", include_str!("../ids-state.yaml")),
    ("content", include_str!("../content.yaml")),
    ("lists", include_str!("../lists.yaml")),
    ("tokens", include_str!("../tokens.yaml")),
    ("approvals-limits", include_str!("../approvals-limits.yaml")),
];

/// The gateway and the policies that all cases are judged by, as a user would write them.
pub const POLICY: &str = include_str!("../policy/policy.yaml");
/// Stands in [`POLICY`] where the issuer of tokens is named.
pub const ISSUER: &str = "https://idp.example.com";
/// The revision that a case means if it names none.
pub const REVISION: &str = "2025-06-18";
/// The traps are numbered from 1 to this.
pub const TRAPS: u8 = 58;

/// The corpus cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum CorpusError {
    #[error("{file}.yaml: {source}")]
    Yaml {
        file: &'static str,
        source: serde_yaml::Error,
    },
    #[error("{file}.yaml: `{case}`: {why}")]
    Case {
        file: &'static str,
        case: String,
        why: &'static str,
    },
}

/// Every chapter, checked: names are unique, and each case does something and expects something.
///
/// # Errors
/// A file is no YAML of cases, or a case makes no sense.
pub fn chapters() -> Result<Vec<Chapter>, CorpusError> {
    let mut names = BTreeSet::new();
    let mut chapters = Vec::new();
    for (file, text) in FILES {
        let chapter: Chapter =
            serde_yaml::from_str(text).map_err(|source| CorpusError::Yaml { file, source })?;
        for case in &chapter.cases {
            let wrong = |why| CorpusError::Case {
                file,
                case: case.name.clone(),
                why,
            };
            case.judge().map_err(wrong)?;
            if !names.insert(case.name.clone()) {
                return Err(wrong("another case has this name"));
            }
        }
        chapters.push(chapter);
    }
    Ok(chapters)
}

/// Every body and every answer of the corpus: where a fuzzer begins.
///
/// # Errors
/// As [`chapters`].
pub fn seeds() -> Result<Vec<Vec<u8>>, CorpusError> {
    let mut seeds = Vec::new();
    for case in chapters()?.iter().flat_map(|chapter| &chapter.cases) {
        seeds.extend(case.steps().filter_map(|step| step.send.body()));
        seeds.extend(case.answers.values().map(|answer| answer.bytes("1")));
    }
    Ok(seeds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_trap_has_a_case_of_its_own() {
        let chapters = chapters().unwrap();
        let met: BTreeSet<u8> = chapters
            .iter()
            .flat_map(|chapter| &chapter.cases)
            .flat_map(|case| case.traps.iter().copied())
            .collect();
        let missing: Vec<u8> = (1..=TRAPS).filter(|trap| !met.contains(trap)).collect();
        assert!(missing.is_empty(), "no case for the traps {missing:?}");
        assert!(met.iter().all(|trap| (1..=TRAPS).contains(trap)));
    }

    #[test]
    fn the_corpus_gives_seeds() {
        let seeds = seeds().unwrap();
        assert!(seeds.len() > 100, "{}", seeds.len());
        assert!(seeds.iter().any(|seed| std::str::from_utf8(seed).is_err()));
    }
}
