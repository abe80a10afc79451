//! A bounded subset of JSONPath (RFC 9535): root, child names, indices, wildcards, descendants.
//!
//! No filters, slices or unions: what stands in a policy must be readable at a glance and cost at most the size of
//! the document for each step.

use std::fmt;
use std::str::FromStr;

use super::{Kind, Node, text};

/// Most steps of one path.
const MOST_STEPS: usize = 32;

/// A compiled path: `$`, `.name`, `['name']`, `[0]`, `[-1]`, `.*`, `[*]`, `..name`, `..*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    text: String,
    steps: Vec<Step>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    /// `..`: the selector applies to the value and to everything below it.
    pub(crate) descends: bool,
    pub(crate) selector: Selector,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Selector {
    Name(String),
    Index(i64),
    All,
}

/// What is wrong with a path's text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{path}` is not a path: {what} at character {at}")]
pub struct PathError {
    pub path: String,
    pub what: &'static str,
    /// Counted from 1.
    pub at: usize,
}

impl Path {
    /// Reads a path of at most 32 steps.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        let mut reader = Reader { rest: text };
        let steps = reader.path().map_err(|what| {
            let read = text.strip_suffix(reader.rest).unwrap_or(text);
            PathError {
                path: text.to_owned(),
                what,
                at: read.chars().count() + 1,
            }
        })?;
        Ok(Self {
            text: text.to_owned(),
            steps,
        })
    }

    /// The text that it was read from.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Every node the path names, in document order, at most once each; bounded by the document's size.
    #[must_use]
    pub fn select<'d>(&self, root: Node<'d>) -> Vec<Node<'d>> {
        let mut selected = vec![root];
        for step in &self.steps {
            selected = step.apply(&selected);
        }
        selected
    }

    /// The steps, for those who follow the path through something other than a document.
    pub(crate) fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Literal member names in the path, for the twin check of law 4.
    pub fn member_names(&self) -> impl Iterator<Item = &str> {
        self.steps.iter().filter_map(|step| match &step.selector {
            Selector::Name(name) => Some(name.as_str()),
            Selector::Index(_) | Selector::All => None,
        })
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Path {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Self, PathError> {
        Self::parse(text)
    }
}

/// Appends the step to a member, so that the text stays a path that can be read again. Letters beyond ASCII are
/// quoted, where a reader sees their borders.
pub(crate) fn push_name(path: &mut String, name: &str) {
    let plain = name.is_ascii() && name.chars().all(is_name);
    let digit_first = name.starts_with(|c: char| c.is_ascii_digit());
    if plain && !digit_first && !name.is_empty() {
        path.push('.');
        path.push_str(name);
        return;
    }
    // The inside of a JSON literal is the inside of a single-quoted name, but for the quotes themselves.
    let literal = text::quote(name);
    let inside = literal.trim_start_matches('"');
    let inside = inside.strip_suffix('"').unwrap_or(inside);
    path.push_str("['");
    path.push_str(&inside.replace("\\\"", "\"").replace('\'', "\\'"));
    path.push_str("']");
}

/// What a name after a point consists of (RFC 9535 section 2.5.1.1).
const fn is_name(c: char) -> bool {
    c == '_' || c.is_ascii_alphanumeric() || !c.is_ascii()
}

impl Step {
    /// What this step selects from nodes in document order; again in document order.
    fn apply<'d>(&self, from: &[Node<'d>]) -> Vec<Node<'d>> {
        let mut selected = Vec::new();
        let mut covered = 0;
        for node in from {
            if !self.descends {
                self.selector.apply(*node, &mut selected);
            } else if node.index() >= covered {
                // What stands below an earlier node was visited with it.
                covered = node.next();
                for container in containers(*node) {
                    self.selector.apply(container, &mut selected);
                }
            }
        }
        // Children of a node inside another one come out after that one's later children.
        if from.len() > 1 || self.descends {
            selected.sort_unstable_by_key(|node| node.index());
            selected.dedup_by_key(|node| node.index());
        }
        selected
    }
}

/// The node and everything below it that has children.
fn containers(node: Node<'_>) -> impl Iterator<Item = Node<'_>> {
    (node.index()..node.next())
        .filter_map(move |index| node.document().node(index))
        .filter(|node| matches!(node.kind(), Kind::Array | Kind::Object))
}

impl Selector {
    fn apply<'d>(&self, node: Node<'d>, to: &mut Vec<Node<'d>>) {
        match self {
            Self::Name(name) => to.extend(node.get(name)),
            Self::Index(index) => to.extend(element(node, *index)),
            Self::All => {
                to.extend(node.elements());
                to.extend(node.members().map(|(_, value)| value));
            }
        }
    }
}

/// The element at `index`, counted from the end where negative.
fn element(array: Node<'_>, index: i64) -> Option<Node<'_>> {
    let distance = usize::try_from(index.unsigned_abs()).ok()?;
    let place = if index < 0 {
        array.elements().count().checked_sub(distance)?
    } else {
        distance
    };
    array.elements().nth(place)
}

/// Reads a path from left to right; what is left tells where a mistake is.
struct Reader<'t> {
    rest: &'t str,
}

impl Reader<'_> {
    fn path(&mut self) -> Result<Vec<Step>, &'static str> {
        if !self.accept("$") {
            return Err("expected `$`");
        }
        let mut steps = Vec::new();
        while !self.rest.is_empty() {
            if steps.len() == MOST_STEPS {
                return Err("more than 32 steps");
            }
            steps.push(self.step()?);
        }
        Ok(steps)
    }

    fn step(&mut self) -> Result<Step, &'static str> {
        let descends = self.accept("..");
        let selector = if self.accept("[") {
            self.bracketed()?
        } else if descends || self.accept(".") {
            self.dotted()?
        } else {
            return Err("expected `.`, `..` or `[`");
        };
        Ok(Step { descends, selector })
    }

    fn dotted(&mut self) -> Result<Selector, &'static str> {
        if self.accept("*") {
            return Ok(Selector::All);
        }
        if self.rest.starts_with(|c: char| c.is_ascii_digit()) || !self.rest.starts_with(is_name) {
            return Err("expected a name or `*`; write other names as `['name']`");
        }
        let end = self
            .rest
            .find(|c: char| !is_name(c))
            .unwrap_or(self.rest.len());
        Ok(Selector::Name(self.take(end).to_owned()))
    }

    fn bracketed(&mut self) -> Result<Selector, &'static str> {
        self.skip_blanks();
        let selector = match self.rest.chars().next() {
            Some('*') => {
                self.take(1);
                Selector::All
            }
            Some(quote @ ('\'' | '"')) => Selector::Name(self.quoted(quote)?),
            Some('-' | '0'..='9') => Selector::Index(self.index()?),
            Some('?') => return Err("filters are not supported"),
            Some(_) | None => return Err("expected a quoted name, an index or `*`"),
        };
        self.skip_blanks();
        match self.rest.chars().next() {
            Some(']') => {
                self.take(1);
                Ok(selector)
            }
            Some(',') => Err("several selectors are not supported"),
            Some(':') => Err("slices are not supported"),
            Some(_) | None => Err("expected `]`"),
        }
    }

    fn index(&mut self) -> Result<i64, &'static str> {
        let unsigned = self.rest.strip_prefix('-').unwrap_or(self.rest);
        let digits = unsigned.bytes().take_while(u8::is_ascii_digit).count();
        let sign = self.rest.len() - unsigned.len();
        let literal = self.rest.get(..sign + digits).unwrap_or_default();
        // RFC 9535 section 2.3.3.1: no leading zero, no `-0`, within what a double holds exactly.
        let plain = literal == "0" || !unsigned.starts_with('0');
        let index = literal.parse::<i64>().ok().filter(|_| plain);
        let index = index.filter(|index| index.unsigned_abs() < 1 << 53);
        let index = index.ok_or("expected an index such as `0` or `-1`")?;
        self.take(sign + digits);
        Ok(index)
    }

    fn quoted(&mut self, quote: char) -> Result<String, &'static str> {
        self.take(1);
        let mut name = String::new();
        loop {
            match self.next() {
                Some(end) if end == quote => return Ok(name),
                Some('\\') => name.push(self.escape(quote)?),
                Some(control) if control < ' ' => return Err("a control character in a name"),
                Some(plain) => name.push(plain),
                None => return Err("a name without closing quote"),
            }
        }
    }

    fn escape(&mut self, quote: char) -> Result<char, &'static str> {
        match self.next() {
            Some('b') => Ok('\u{8}'),
            Some('f') => Ok('\u{c}'),
            Some('n') => Ok('\n'),
            Some('r') => Ok('\r'),
            Some('t') => Ok('\t'),
            Some(plain @ ('/' | '\\')) => Ok(plain),
            Some(plain) if plain == quote => Ok(plain),
            Some('u') => self.unicode(),
            Some(_) | None => Err("an unknown escape"),
        }
    }

    fn unicode(&mut self) -> Result<char, &'static str> {
        let first = self.unicode_unit()?;
        if let Some(scalar) = char::from_u32(first) {
            return Ok(scalar);
        }
        if !self.accept("\\u") {
            return Err("a lone surrogate");
        }
        let second = self.unicode_unit()?;
        text::join_surrogates(first, second).ok_or("a lone surrogate")
    }

    fn unicode_unit(&mut self) -> Result<u32, &'static str> {
        let unit = text::hex4(self.rest.as_bytes()).ok_or("expected four hex digits")?;
        self.take(4);
        Ok(unit)
    }

    fn skip_blanks(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\n', '\r']);
    }

    fn accept(&mut self, text: &str) -> bool {
        let after = self.rest.strip_prefix(text);
        self.rest = after.unwrap_or(self.rest);
        after.is_some()
    }

    fn next(&mut self) -> Option<char> {
        let mut chars = self.rest.chars();
        let next = chars.next();
        self.rest = chars.as_str();
        next
    }
}

impl<'t> Reader<'t> {
    /// Takes that many bytes, which must end between characters.
    fn take(&mut self, bytes: usize) -> &'t str {
        let (taken, rest) = self.rest.split_at_checked(bytes).unwrap_or((self.rest, ""));
        self.rest = rest;
        taken
    }
}

#[cfg(test)]
mod tests;
