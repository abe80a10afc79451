//! What the server offers, as data: `catalog.json` is what lists show, in that order.

use rmcp::ErrorData;
use rmcp::model::{Prompt, Resource, ResourceTemplate, Tool};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Everything that can be listed. The first tool takes no arguments: the suite calls whichever is first without any.
#[derive(Debug, Deserialize)]
pub(crate) struct Catalog {
    pub(crate) tools: Vec<Tool>,
    pub(crate) prompts: Vec<Prompt>,
    pub(crate) resources: Vec<Resource>,
    pub(crate) templates: Vec<ResourceTemplate>,
}

impl Catalog {
    pub(crate) fn read() -> serde_json::Result<Self> {
        serde_json::from_str(include_str!("catalog.json"))
    }

    pub(crate) fn tool(&self, name: &str) -> Option<&Tool> {
        self.tools.iter().find(|tool| tool.name == name)
    }
}

/// The SDK's types are built from the JSON that goes on the wire, which is what a reader wants to compare.
pub(crate) fn model<T: DeserializeOwned>(value: Value) -> Result<T, ErrorData> {
    serde_json::from_value(value)
        .map_err(|error| ErrorData::internal_error(error.to_string(), None))
}

/// A result that ends its request. The newest revision wants that said; for older ones the SDK takes it away again.
pub(crate) fn complete<T: DeserializeOwned>(mut value: Value) -> Result<T, ErrorData> {
    if let Some(members) = value.as_object_mut() {
        members.insert("resultType".into(), Value::from("complete"));
    }
    model(value)
}

#[cfg(test)]
mod tests {
    use super::Catalog;

    #[test]
    fn the_catalog_reads_and_its_first_tool_needs_no_arguments() {
        let catalog = Catalog::read().unwrap();
        let first = catalog.tools.first().unwrap();
        assert!(!first.input_schema.contains_key("required"));
        assert!(catalog.tool("echo").is_some());
    }
}
