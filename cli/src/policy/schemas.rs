//! What tools answer, as somebody wrote it down: the pins of a guard, or a list that a server gave.

use std::path::{Path, PathBuf};

use sallyport_sidecar::answer::pins::PinState;
use serde_json::Value;

use crate::output::Failure;

/// The output schemas of tools by name; a tool without one says nothing.
pub(super) fn read(files: &[PathBuf]) -> Result<Vec<(String, Value)>, Failure> {
    let mut known = Vec::new();
    for file in files {
        let wrong = |why: String| Failure::input(format!("--schema `{}`: {why}", file.display()));
        known.extend(tools_of(file).map_err(wrong)?.iter().filter_map(schema_of));
    }
    Ok(known)
}

fn tools_of(file: &Path) -> Result<Vec<Value>, String> {
    let bytes = std::fs::read(file).map_err(|error| error.to_string())?;
    let value: Value = serde_json::from_slice(&bytes).map_err(|error| error.to_string())?;
    let listed = [
        value.get("tools"),
        value.pointer("/result/tools"),
        Some(&value),
    ];
    if let Some(tools) = listed.into_iter().flatten().find_map(Value::as_array) {
        return Ok(tools.clone());
    }
    let expected =
        |_| "expected pins.json of a state folder, or a result of `tools/list`".to_owned();
    let pins: PinState = serde_json::from_value(value).map_err(expected)?;
    let trusted = pins.book.all_trusted();
    let read = trusted.map(|(.., pin)| serde_json::from_str(pin.definition()));
    read.collect::<Result<_, _>>()
        .map_err(|error| error.to_string())
}

fn schema_of(tool: &Value) -> Option<(String, Value)> {
    let name = tool.get("name")?.as_str()?;
    Some((name.to_owned(), tool.get("outputSchema")?.clone()))
}
