//! The laws of masking over whole messages.

mod kept;
mod laws;
mod properties;

use bytes::Bytes;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::*;
use crate::json::Limits;
use crate::source::masking::Masking;

const AWS: &str = "AKIAIOSFODNN7EXAMPLE";
const CALL: Scope<'_> = Scope::ResultOf {
    method: "tools/call",
    tool: Some("t"),
    output_schema: None,
};

fn key() -> MaskKey {
    MaskKey::new(&[7; 32])
}

fn masker() -> Masker {
    Masker::new(&MaskingSettings::default(), &[], &key()).unwrap()
}

fn masker_with(section: Value) -> Masker {
    let section: Masking = serde_json::from_value(section).unwrap();
    let settings = MaskingSettings::gather(&section, &[], &[]).unwrap();
    Masker::new(&settings, &[], &key()).unwrap()
}

fn masker_holding(secret: &str) -> Masker {
    let literal = Zeroizing::new(secret.as_bytes().to_vec());
    Masker::new(&MaskingSettings::default(), &[literal], &key()).unwrap()
}

fn document(text: &str) -> Document {
    Document::parse(Bytes::copy_from_slice(text.as_bytes()), Limits::RESPONSE).unwrap()
}

fn result(result: &Value) -> Document {
    document(&json!({"jsonrpc": "2.0", "id": 1, "result": result}).to_string())
}

/// The changed message, without our mark; masked once more it must be clean.
#[track_caller]
fn changed(masker: &Masker, given: &Document, scope: &Scope<'_>) -> (Value, MaskReport) {
    match masker.mask(given, scope) {
        Masked::Changed { bytes, report } => {
            let again = Document::parse(bytes.clone(), Limits::RESPONSE).unwrap();
            assert!(
                matches!(masker.mask(&again, scope), Masked::Clean),
                "not idempotent: {}",
                String::from_utf8_lossy(&bytes)
            );
            let mut value: Value = serde_json::from_slice(&bytes).unwrap();
            for holder in ["/result/_meta", "/error/data"] {
                if let Some(Value::Object(map)) = value.pointer_mut(holder) {
                    map.remove("dev.sallyport/redacted");
                }
            }
            (value, report)
        }
        Masked::Clean => panic!("clean"),
        Masked::Withheld { why, .. } => panic!("withheld: {why}"),
    }
}

#[track_caller]
fn withheld(masker: &Masker, given: &Document, scope: &Scope<'_>) -> Withheld {
    match masker.mask(given, scope) {
        Masked::Withheld { why, .. } => why,
        Masked::Changed { bytes, .. } => panic!("changed: {}", String::from_utf8_lossy(&bytes)),
        Masked::Clean => panic!("clean"),
    }
}

#[track_caller]
fn clean(masker: &Masker, given: &Document, scope: &Scope<'_>) {
    match masker.mask(given, scope) {
        Masked::Clean => {}
        Masked::Changed { bytes, .. } => panic!("changed: {}", String::from_utf8_lossy(&bytes)),
        Masked::Withheld { why, .. } => panic!("withheld: {why}"),
    }
}
