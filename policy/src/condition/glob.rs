//! Globs of names and URIs (law 5): linear time, no escapes, case-sensitive, no normalisation.
//!
//! In names `*` matches any characters. In URIs and clients `*` stops at `/` and `**` does not.

/// How far one `*` reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GlobKind {
    /// Tools, prompts, methods.
    Name,
    /// Resources and clients.
    Path,
}

/// A compiled glob.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob {
    text: String,
    tokens: Vec<Token>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Literal(String),
    /// Any characters.
    Any,
    /// Any characters but `/`.
    Segment,
}

impl Glob {
    #[must_use]
    pub fn new(text: &str, kind: GlobKind) -> Self {
        let mut tokens = Vec::new();
        let mut rest = text;
        while let Some(star) = rest.find('*') {
            let (literal, stars) = rest.split_at(star);
            push_literal(&mut tokens, literal);
            let after = stars.trim_start_matches('*');
            let crosses = kind == GlobKind::Name || stars.len() - after.len() > 1;
            tokens.push(if crosses { Token::Any } else { Token::Segment });
            rest = after;
        }
        push_literal(&mut tokens, rest);
        Self {
            text: text.to_owned(),
            tokens,
        }
    }

    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The whole text where the glob has no star.
    #[must_use]
    pub fn literal(&self) -> Option<&str> {
        (!self.text.contains('*')).then_some(&*self.text)
    }

    /// What every match begins with.
    #[must_use]
    pub fn prefix(&self) -> &str {
        self.text.split('*').next().unwrap_or_default()
    }

    /// Whether it matches every text.
    #[must_use]
    pub fn matches_all(&self) -> bool {
        matches!(*self.tokens, [Token::Any])
    }

    /// Whether every text that begins with `prefix` matches.
    #[must_use]
    pub fn covers_prefix(&self, prefix: &str) -> bool {
        match &*self.tokens {
            [Token::Any] => true,
            [Token::Literal(literal), Token::Any] => prefix.starts_with(&**literal),
            _ => false,
        }
    }

    /// Whether some text that begins with `prefix` can match; may say yes too often.
    #[must_use]
    pub fn may_match_prefix(&self, prefix: &str) -> bool {
        let own = self.prefix();
        prefix.starts_with(own) || (own.starts_with(prefix))
    }

    /// At most pattern times text steps: two stars are remembered, the last of each kind.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        let mut at = Place {
            token: 0,
            rest: text,
        };
        let mut any: Option<Place<'_>> = None;
        let mut segment: Option<Place<'_>> = None;
        loop {
            match self.tokens.get(at.token) {
                None if at.rest.is_empty() => return true,
                Some(Token::Literal(literal)) if at.rest.starts_with(&**literal) => {
                    at = at.next(literal.len());
                    continue;
                }
                Some(Token::Any) => {
                    any = Some(at);
                    segment = None;
                    at = at.next(0);
                    continue;
                }
                Some(Token::Segment) => {
                    segment = Some(at);
                    at = at.next(0);
                    continue;
                }
                None | Some(Token::Literal(_)) => {}
            }
            match retry(&mut segment, true).or_else(|| {
                segment = None;
                retry(&mut any, false)
            }) {
                Some(place) => at = place,
                None => return false,
            }
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Place<'t> {
    token: usize,
    rest: &'t str,
}

impl<'t> Place<'t> {
    fn next(self, bytes: usize) -> Self {
        Place {
            token: self.token.saturating_add(1),
            rest: self.rest.get(bytes..).unwrap_or_default(),
        }
    }
}

/// Lets a remembered star eat one more character; none if it cannot.
fn retry<'t>(star: &mut Option<Place<'t>>, stops_at_slash: bool) -> Option<Place<'t>> {
    let place = star.as_mut()?;
    let first = place.rest.chars().next()?;
    if stops_at_slash && first == '/' {
        return None;
    }
    place.rest = place.rest.get(first.len_utf8()..)?;
    Some(place.next(0))
}

fn push_literal(tokens: &mut Vec<Token>, text: &str) {
    if !text.is_empty() {
        tokens.push(Token::Literal(text.to_owned()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn law_05_globs_in_names_cross_everything_and_in_resources_a_single_star_stops_at_a_slash() {
        use GlobKind::{Name, Path};
        let rows = [
            ("stock_*", Name, "stock_read", true),
            ("stock_*", Name, "stock_", true),
            ("stock_*", Name, "Stock_read", false),
            ("*", Name, "a/b", true),
            ("*_*_x", Name, "a_b_c_x", true),
            ("*_*_x", Name, "a_x", false),
            ("a", Name, "a", true),
            ("a", Name, "aa", false),
            ("", Name, "", true),
            ("docs://*", Path, "docs://a", true),
            ("docs://*", Path, "docs://a/b", false),
            ("docs://**", Path, "docs://a/b", true),
            ("docs://*/c", Path, "docs://a/b/c", false),
            ("docs://**/c", Path, "docs://a/b/c", true),
            ("**/a*/c", Path, "x/ab/d/ae/c", true),
            ("**/a*/c", Path, "x/ab/d/e/c", false),
            ("a*b**c", Path, "axb/y/c", true),
            ("a*b**c", Path, "a/b/c", false),
            (
                "https://agents.example.com/*",
                Path,
                "https://agents.example.com/x",
                true,
            ),
            (
                "https://agents.example.com/*",
                Path,
                "https://agents.example.com/x/y",
                false,
            ),
        ];
        for (glob, kind, text, expected) in rows {
            assert_eq!(
                Glob::new(glob, kind).matches(text),
                expected,
                "{glob} on {text}"
            );
        }
    }

    /// The same meaning written as a regular expression.
    fn as_regex(glob: &str, kind: GlobKind) -> regex::Regex {
        let mut out = String::from("(?s)^");
        let mut rest = glob;
        while let Some((literal, stars)) = rest.split_once('*') {
            out.push_str(&regex::escape(literal));
            let after = stars.trim_start_matches('*');
            let crosses = kind == GlobKind::Name || after.len() < stars.len();
            out.push_str(if crosses { ".*" } else { "[^/]*" });
            rest = after;
        }
        out.push_str(&regex::escape(rest));
        out.push('$');
        regex::Regex::new(&out).unwrap()
    }

    proptest! {
        #[test]
        fn a_glob_means_what_its_regular_expression_means(glob in "[ab/*é]{0,10}", text in "[ab/é]{0,12}") {
            for kind in [GlobKind::Name, GlobKind::Path] {
                prop_assert_eq!(
                    Glob::new(&glob, kind).matches(&text),
                    as_regex(&glob, kind).is_match(&text),
                    "{:?} {} {}", kind, glob, text
                );
            }
        }
    }
}
