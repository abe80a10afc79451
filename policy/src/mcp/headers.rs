//! The headers that mirror a body in 2026-07-28, and that they mirror it truly.
//!
//! The body decides; the headers are only compared with it, so that nobody in front of or behind us who trusts
//! them sees another call than we judged (traps 17 to 19). On legacy traffic they mean nothing and are stripped.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::call::{Call, Target};
use super::header_schema::ParamHeader;
use super::method::Kind as MethodKind;
use crate::json::{Decimal, Kind, Node};

/// Lower-case names.
pub const VERSION: &str = "mcp-protocol-version";
pub const METHOD: &str = "mcp-method";
pub const NAME: &str = "mcp-name";
pub const PARAM_PREFIX: &str = "mcp-param-";
pub const SESSION: &str = "mcp-session-id";
pub const LAST_EVENT: &str = "last-event-id";

/// The mirror headers of one request, each at most once.
#[derive(Clone, Debug, Default)]
pub struct Mirror<'h> {
    pub version: Option<&'h str>,
    pub method: Option<&'h str>,
    pub name: Option<&'h str>,
    pub session: Option<&'h str>,
    pub last_event: Option<&'h str>,
    /// Lower-case name without the prefix, trimmed value.
    pub params: Vec<(String, &'h str)>,
}

/// The client's fault, always HTTP 400 and -32020.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    #[error("Header mismatch: {0} header appears more than once")]
    Repeated(String),
    #[error("Header mismatch: {0} header is not visible ASCII")]
    NotText(String),
    #[error("Header mismatch: {0} header is missing")]
    Missing(String),
    #[error("Header mismatch: {0} header is not valid base64 of UTF-8")]
    Encoding(String),
    #[error("Header mismatch: {header} header value '{value}' does not match body value '{body}'")]
    Mismatch {
        header: String,
        value: String,
        body: String,
    },
    #[error("Header mismatch: {0} header has no value in the body")]
    NoValue(String),
}

impl<'h> Mirror<'h> {
    /// Picks the mirror headers out of all headers; names in any case.
    pub fn read<'n>(
        headers: impl Iterator<Item = (&'n str, &'h [u8])>,
    ) -> Result<Self, HeaderError> {
        let mut mirror = Self::default();
        for (name, value) in headers {
            mirror.take(&name.to_ascii_lowercase(), value)?;
        }
        Ok(mirror)
    }

    fn take(&mut self, name: &str, value: &'h [u8]) -> Result<(), HeaderError> {
        let slot = match name {
            VERSION => &mut self.version,
            METHOD => &mut self.method,
            NAME => &mut self.name,
            SESSION => &mut self.session,
            LAST_EVENT => &mut self.last_event,
            _ => return self.take_param(name, value),
        };
        match slot.replace(text(name, value)?) {
            Some(_) => Err(HeaderError::Repeated(shown(name))),
            None => Ok(()),
        }
    }

    fn take_param(&mut self, name: &str, value: &'h [u8]) -> Result<(), HeaderError> {
        let Some(param) = name.strip_prefix(PARAM_PREFIX) else {
            return Ok(());
        };
        if self.param(param).is_some() {
            return Err(HeaderError::Repeated(shown(name)));
        }
        self.params.push((param.to_owned(), text(name, value)?));
        Ok(())
    }

    fn param(&self, lower_case: &str) -> Option<&'h str> {
        let found = self.params.iter().find(|(name, _)| name == lower_case);
        found.map(|(_, value)| *value)
    }

    /// Modern requests: `Mcp-Method` and, where the method has one, `Mcp-Name` are there and equal the body.
    /// Notifications need none, but what is there must match.
    pub fn check(&self, call: &Call<'_>) -> Result<(), HeaderError> {
        let required = call.method.kind == MethodKind::Request;
        same(METHOD, self.method, Some(call.method.name), required)?;
        same(NAME, self.name, name_of(call), required)
    }

    /// Modern tool calls: every declared argument that is present and not null is mirrored truly. Unknown
    /// `Mcp-Param-*` are ignored here and forwarded.
    pub fn check_params(
        &self,
        declared: &[ParamHeader],
        arguments: Option<Node<'_>>,
    ) -> Result<(), HeaderError> {
        for declared in declared {
            let lower_case = declared.header.to_ascii_lowercase();
            let name = format!("{PARAM_PREFIX}{lower_case}");
            match (self.param(&lower_case), declared.value(arguments)) {
                (None, None) => {}
                (None, Some(_)) => return Err(HeaderError::Missing(shown(&name))),
                (Some(_), None) => return Err(HeaderError::NoValue(shown(&name))),
                (Some(header), Some(body)) => same_value(&name, header, body)?,
            }
        }
        Ok(())
    }
}

impl ParamHeader {
    /// The argument it mirrors; none where absent or null.
    fn value<'d>(&self, arguments: Option<Node<'d>>) -> Option<Node<'d>> {
        self.path
            .iter()
            .try_fold(arguments?, |node, step| node.get(step))
            .filter(|value| !value.is_null())
    }
}

/// What `Mcp-Name` must say for this call; none where the method has no name.
#[must_use]
pub fn name_of<'c>(call: &'c Call<'_>) -> Option<&'c str> {
    if call.method.kind == MethodKind::Notification {
        return None;
    }
    match &call.target {
        Target::Tool { name, .. } => Some(name),
        // A completion refers to a prompt or template without calling it.
        Target::Prompt { name, .. } if call.method.name == "prompts/get" => Some(name),
        Target::Resource { uri } if call.method.name == "resources/read" => Some(uri),
        Target::Task { id } => Some(id),
        Target::Prompt { .. }
        | Target::Resource { .. }
        | Target::Open
        | Target::List(_)
        | Target::Listen(_)
        | Target::Method { .. }
        | Target::Relayed => None,
    }
}

/// Headers to send for these arguments: for bridges, which have no client's headers.
#[must_use]
pub fn params_for(declared: &[ParamHeader], arguments: Option<Node<'_>>) -> Vec<(String, String)> {
    let header = |declared: &ParamHeader| {
        let value = as_text(declared.value(arguments)?)?;
        let name = format!("Mcp-Param-{}", declared.header);
        Some((name, encode(&value).into_owned()))
    };
    declared.iter().filter_map(header).collect()
}

const SENTINEL_START: &str = "=?base64?";
const SENTINEL_END: &str = "?=";

/// As a header value: plain, or in the base64 sentinel where plain would not survive.
#[must_use]
pub fn encode(value: &str) -> Cow<'_, str> {
    let visible = value.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    let trimmed = value.trim_matches(' ') == value;
    if visible && trimmed && sentinel(value).is_none() {
        return Cow::Borrowed(value);
    }
    let encoded = STANDARD.encode(value);
    Cow::Owned(format!("{SENTINEL_START}{encoded}{SENTINEL_END}"))
}

/// The value a header stands for; none for a sentinel that is not base64 of UTF-8.
#[must_use]
pub fn decode(value: &str) -> Option<Cow<'_, str>> {
    let Some(encoded) = sentinel(value) else {
        return Some(Cow::Borrowed(value));
    };
    let bytes = STANDARD.decode(encoded).ok()?;
    String::from_utf8(bytes).ok().map(Cow::Owned)
}

/// The inside of the sentinel; the marker counts in lower case only, anything else is a literal.
fn sentinel(value: &str) -> Option<&str> {
    value
        .strip_prefix(SENTINEL_START)?
        .strip_suffix(SENTINEL_END)
}

/// Visible ASCII without the white space around it.
fn text<'h>(name: &str, value: &'h [u8]) -> Result<&'h str, HeaderError> {
    let value = value.trim_ascii();
    let visible = value.iter().all(|byte| matches!(byte, b' '..=b'~'));
    std::str::from_utf8(value)
        .ok()
        .filter(|_| visible)
        .ok_or_else(|| HeaderError::NotText(shown(name)))
}

fn same(
    name: &str,
    header: Option<&str>,
    body: Option<&str>,
    required: bool,
) -> Result<(), HeaderError> {
    let (header, body) = match (header, body) {
        (None, None) => return Ok(()),
        (None, Some(_)) if !required => return Ok(()),
        (None, Some(_)) => return Err(HeaderError::Missing(shown(name))),
        (Some(_), None) => return Err(HeaderError::NoValue(shown(name))),
        (Some(header), Some(body)) => (header, body),
    };
    let value = decode(header).ok_or_else(|| HeaderError::Encoding(shown(name)))?;
    if value == body {
        return Ok(());
    }
    Err(mismatch(name, header, body))
}

fn same_value(name: &str, header: &str, body: Node<'_>) -> Result<(), HeaderError> {
    let value = decode(header).ok_or_else(|| HeaderError::Encoding(shown(name)))?;
    let text = as_text(body).unwrap_or_default();
    let equal = match body.kind() {
        // `42` mirrors `42.0`.
        Kind::Number => Decimal::parse(&value).is_some_and(|value| Some(value) == body.decimal()),
        Kind::String | Kind::Bool => value == text,
        // The schema allows no such value, so no header can mirror it.
        Kind::Null | Kind::Array | Kind::Object => false,
    };
    if equal {
        return Ok(());
    }
    Err(mismatch(name, header, &text))
}

/// A scalar as a header spells it.
fn as_text(value: Node<'_>) -> Option<Cow<'_, str>> {
    match value.kind() {
        Kind::String => value.as_str(),
        Kind::Number => value.number().map(Cow::Borrowed),
        Kind::Bool => value
            .as_bool()
            .map(|value| Cow::Borrowed(if value { "true" } else { "false" })),
        Kind::Null | Kind::Array | Kind::Object => None,
    }
}

fn mismatch(name: &str, value: &str, body: &str) -> HeaderError {
    HeaderError::Mismatch {
        header: shown(name),
        value: value.to_owned(),
        body: body.to_owned(),
    }
}

/// As the specification spells it.
fn shown(lower_case: &str) -> String {
    let part = |part: &str| match part {
        "mcp" if lower_case == VERSION => "MCP".to_owned(),
        "id" => "Id".to_owned(),
        other => {
            let mut letters = other.chars();
            let first = letters.next().map(|first| first.to_ascii_uppercase());
            first.into_iter().chain(letters).collect()
        }
    };
    lower_case
        .split('-')
        .map(part)
        .collect::<Vec<_>>()
        .join("-")
}
