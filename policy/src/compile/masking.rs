//! Mistakes in sections of masking: words that name no detector, patterns that nobody could run, paths that cannot be
//! read. Judged by the engine's own readers, so that what is accepted here can be put in force.

use std::collections::BTreeSet;

use serde_json::Value;

use super::mistake::{Mistake, ObjectId};
use crate::condition::glob::{Glob, GlobKind};
use crate::json::path::Path;
use crate::mask::{
    Detector, FieldRule, Group, MaskError, Unreadable, check_pattern, detectors_named,
    unmaskable as unmaskable_by,
};
use crate::near::nearest;
use crate::source::defaults;
use crate::source::masking::{FieldMask, MaskPattern, Masking};

pub(super) fn mistakes(object: &ObjectId, masking: &Masking) -> Vec<Mistake> {
    let mut found = Vec::new();
    for (index, word) in masking.detectors.iter().flatten().enumerate() {
        found.extend(unknown_detector(object, index, word));
    }
    let mut names = BTreeSet::new();
    for (index, pattern) in masking.patterns.iter().enumerate() {
        let part = format!("spec.masking.patterns[{index}]");
        found.extend(wrong_pattern(object, &part, pattern));
        if !names.insert(&pattern.name) {
            let path = format!("{part}.name");
            let again = format!("`{}` again", pattern.name);
            found.push(Mistake::new(
                object,
                &path,
                "a name that no pattern has yet",
                again,
            ));
        }
    }
    for (index, field) in masking.fields.iter().enumerate() {
        found.extend(wrong_path(object, index, field));
    }
    found
}

/// What of a section can be put in force, and what the rest would have masked, which is withheld (law 7).
pub(super) fn readable(masking: &Masking) -> (Masking, Unreadable) {
    let mut readable = masking.clone();
    let detectors = readable.detectors.iter_mut();
    detectors.for_each(|words| words.retain(|word| detectors_named(word).is_ok()));
    readable
        .patterns
        .retain(|pattern| check_pattern(&pattern.name, &pattern.regex).is_ok());
    let cannot_be_read = |field: &FieldMask| Path::parse(&field.path).is_err();
    readable.fields.retain(|field| !cannot_be_read(field));
    let words = |masking: &Masking| masking.detectors.iter().flatten().count();
    let mut unreadable = Unreadable {
        everything: words(&readable) < words(masking)
            || readable.patterns.len() < masking.patterns.len(),
        tools: Vec::new(),
    };
    for field in masking.fields.iter().filter(|field| cannot_be_read(field)) {
        unreadable.add(Unreadable {
            everything: false,
            tools: vec![field.tool.clone()],
        });
    }
    (readable, unreadable)
}

/// Fields that the output schema of a tool leaves no mask for, so that its answers will be withheld (law 27).
pub(super) fn unmaskable(
    object: &ObjectId,
    masking: &Masking,
    schemas: &[(String, Value)],
) -> Vec<Mistake> {
    let mut found = Vec::new();
    for (index, field) in masking.fields.iter().enumerate() {
        let action = field.action.or(masking.action);
        for (tool, schema) in schemas {
            let rule = FieldRule {
                tool: tool.clone(),
                path: field.path.clone(),
                action: action.unwrap_or(defaults::MASK_ACTION),
                keep_last: field.keep_last.unwrap_or(defaults::KEEP_LAST),
            };
            let concerned = Glob::new(&field.tool, GlobKind::Name).matches(tool);
            let told = unmaskable_by(schema, std::slice::from_ref(&rule));
            let told = told.into_iter().filter(|_| concerned);
            found.extend(told.map(|why| {
                let path = format!("spec.masking.fields[{index}]");
                let expected = format!("a field that the output schema of `{tool}` lets be masked");
                Mistake::new(object, &path, expected, format!("`{}`", field.path)).with_hint(why)
            }));
        }
    }
    found
}

fn unknown_detector(object: &ObjectId, index: usize, word: &str) -> Option<Mistake> {
    detectors_named(word).err()?;
    let groups = Group::ALL.map(Group::name);
    let path = format!("spec.masking.detectors[{index}]");
    let expected = format!("`{}` or the name of a detector", groups.join("`, `"));
    let mistake = Mistake::new(object, &path, expected, format!("`{word}`"));
    let detectors = Detector::ALL.iter().map(|detector| detector.name());
    let near = nearest(word, groups.into_iter().chain(detectors));
    Some(match near {
        Some(near) => mistake.with_hint(format!("did you mean `{near}`?")),
        None => mistake,
    })
}

fn wrong_pattern(object: &ObjectId, part: &str, pattern: &MaskPattern) -> Option<Mistake> {
    let wrong = check_pattern(&pattern.name, &pattern.regex).err()?;
    let name = format!("`{}`", pattern.name);
    let regex = format!("`{}`", pattern.regex);
    let (field, expected, found) = match &wrong {
        MaskError::PatternName(_) => (
            "name",
            "a letter or digit, then at most 62 letters, digits, `.`, `_` or `-`",
            name,
        ),
        MaskError::PatternShadows { .. } => (
            "name",
            "a name that is no detector's and none of ours",
            name,
        ),
        MaskError::RegexEmpty { .. } => (
            "regex",
            "a regular expression that does not match the empty text",
            regex,
        ),
        MaskError::Regex { .. }
        | MaskError::Detector(_)
        | MaskError::Path { .. }
        | MaskError::ShortLiteral { .. }
        | MaskError::Automaton(_) => ("regex", "a regular expression (RE2-like)", regex),
    };
    let mistake = Mistake::new(object, &format!("{part}.{field}"), expected, found);
    Some(match wrong {
        MaskError::Regex { why, .. } => mistake.with_hint(last_line(&why)),
        MaskError::PatternName(_)
        | MaskError::PatternShadows { .. }
        | MaskError::RegexEmpty { .. }
        | MaskError::Detector(_)
        | MaskError::Path { .. }
        | MaskError::ShortLiteral { .. }
        | MaskError::Automaton(_) => mistake,
    })
}

/// The engine draws the expression over several lines and says at last what is wrong.
fn last_line(why: &str) -> String {
    let line = why.lines().last().unwrap_or_default();
    line.trim_start_matches("error: ").to_owned()
}

fn wrong_path(object: &ObjectId, index: usize, field: &FieldMask) -> Option<Mistake> {
    let error = Path::parse(&field.path).err()?;
    let path = format!("spec.masking.fields[{index}].path");
    let expected = "a path such as `$.card.number`";
    Some(Mistake::new(object, &path, expected, error.to_string()))
}
