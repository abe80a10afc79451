//! Exports for other programs: JSON Lines with everything, CSV with one call a row.

use std::io::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sallyport_policy::name::Digest;
use sallyport_policy::record::event::PayloadKind;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::error::ReadError;
use crate::folder::{Entry, Payload};
use crate::recordings::Session;
use crate::summary::CallSummary;

/// One line of an export. `record` is kept byte for byte, so that `hash` is its SHA-256 and `verify` can check it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ExportedEvent {
    pub hash: Digest,
    pub record: Box<RawValue>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub payloads: Vec<ExportedPayload>,
}

/// A payload: as text, or as base64 where it is no text, or neither where it is gone.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ExportedPayload {
    pub kind: PayloadKind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base64: Option<String>,
    /// `purged`, `missing` or `changed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gone: Option<String>,
}

/// Writes a session as JSON Lines, one event a line.
///
/// # Errors
/// A payload cannot be read, or the output cannot be written.
pub fn json_lines(session: &Session, out: &mut impl Write) -> Result<(), ReadError> {
    for entry in session.entries() {
        let exported = exported(session, entry)?;
        serde_json::to_writer(&mut *out, &exported).map_err(std::io::Error::from)?;
        out.write_all(b"\n")?;
    }
    Ok(())
}

fn exported(session: &Session, entry: &Entry) -> Result<ExportedEvent, ReadError> {
    let mut payloads = Vec::with_capacity(entry.record.payloads.len());
    for payload in &entry.record.payloads {
        let mut exported = ExportedPayload {
            kind: payload.kind,
            text: None,
            base64: None,
            gone: None,
        };
        match session.payload(payload)? {
            Payload::Intact(bytes) => match String::from_utf8(bytes) {
                Ok(text) => exported.text = Some(text),
                Err(error) => exported.base64 = Some(STANDARD.encode(error.as_bytes())),
            },
            Payload::Changed | Payload::Missing if session.is_purged(&entry.record) => {
                exported.gone = Some("purged".to_owned());
            }
            Payload::Changed => exported.gone = Some("changed".to_owned()),
            Payload::Missing => exported.gone = Some("missing".to_owned()),
        }
        payloads.push(exported);
    }
    Ok(ExportedEvent {
        hash: entry.hash,
        record: RawValue::from_string(entry.json.clone()).map_err(std::io::Error::from)?,
        payloads,
    })
}

/// Columns of the CSV, in order.
const COLUMNS: [&str; 15] = [
    "time", "session", "call", "user", "issuer", "client", "gateway", "method", "target",
    "decision", "rule", "reason", "outcome", "executed", "millis",
];

/// Writes calls as CSV (RFC 4180). Cells that a spreadsheet would run as formulas get a quote before them.
///
/// # Errors
/// The output cannot be written.
pub fn csv<'a>(
    calls: impl IntoIterator<Item = &'a CallSummary>,
    out: &mut impl Write,
) -> Result<(), ReadError> {
    out.write_all(COLUMNS.join(",").as_bytes())?;
    out.write_all(b"\r\n")?;
    for call in calls {
        let cells = [
            call.at.to_string(),
            call.session.to_string(),
            call.call.to_string(),
            call.user.clone(),
            call.issuer.clone(),
            call.client.clone().unwrap_or_default(),
            call.gateway.clone(),
            call.method.clone(),
            call.target.clone().unwrap_or_default(),
            call.verdict
                .map(|verdict| format!("{verdict:?}"))
                .unwrap_or_default(),
            call.rule.clone().unwrap_or_default(),
            call.reason.clone().unwrap_or_default(),
            call.outcome
                .map(|outcome| format!("{outcome:?}"))
                .unwrap_or_default(),
            call.executed.to_string(),
            call.millis
                .map(|millis| millis.to_string())
                .unwrap_or_default(),
        ];
        out.write_all(cells.map(|cell| csv_cell(&cell)).join(",").as_bytes())?;
        out.write_all(b"\r\n")?;
    }
    Ok(())
}

fn csv_cell(text: &str) -> String {
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let text = if formula {
        format!("'{text}")
    } else {
        text.to_owned()
    };
    if text.contains([',', '"', '\r', '\n']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn csv_cells_cannot_break_out_or_become_formulas() {
        let rows = [
            ("plain", "plain"),
            ("a,b", "\"a,b\""),
            ("say \"hi\"", "\"say \"\"hi\"\"\""),
            ("=HYPERLINK(1)", "'=HYPERLINK(1)"),
            ("two\nlines", "\"two\nlines\""),
        ];
        for (text, expected) in rows {
            assert_eq!(csv_cell(text), expected);
        }
    }
}
