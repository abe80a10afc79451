//! Where documents come from: the message corpus, one message of each kind, and what mutation makes of them.

use anyhow::{Context, Result};
use serde_json::Value;

use super::mutate::{Dice, mutated};
use crate::workspace;

/// Messages that hold every field which the readings compare.
const BASES: &[&str] = &[
    r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"get_price","arguments":{"sku":"a-1","n":3,"deep":{"x":[1,2.5,null,true]}},"_meta":{"progressToken":"p","io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{"sampling":{}}}}}"#,
    r#"{"jsonrpc":"2.0","id":"k","method":"resources/read","params":{"uri":"file:///a/b","_meta":{"progressToken":7}}}"#,
    r#"{"jsonrpc":"2.0","id":3,"method":"prompts/get","params":{"name":"sk","arguments":{"k":"s"}}}"#,
    r#"{"jsonrpc":"2.0","id":4,"method":"completion/complete","params":{"ref":{"type":"ref/prompt","name":"p"},"argument":{"name":"a","value":"b"}}}"#,
    r#"{"jsonrpc":"2.0","id":5,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{"roots":{}},"clientInfo":{"name":"c","version":"1"}}}"#,
    r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":5,"reason":"r"}}"#,
    r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"p","progress":1,"total":2}}"#,
    r#"{"jsonrpc":"2.0","id":6,"method":"tasks/get","params":{"taskId":"task-k"}}"#,
    r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"t","requestState":"s","arguments":{}}}"#,
    r#"{"jsonrpc":"2.0","id":8,"result":{"content":[{"type":"text","text":"x"}],"structuredContent":{"a":1},"isError":false,"nextCursor":"c","tools":[]}}"#,
    r#"{"jsonrpc":"2.0","id":9,"error":{"code":-32602,"message":"m","data":{"k":1}}}"#,
    r#"[{"jsonrpc":"2.0","id":10,"method":"ping"},{"jsonrpc":"2.0","method":"notifications/initialized"}]"#,
];

/// An endless row of documents; the same for the same seed.
#[derive(Debug)]
pub(super) struct Documents {
    corpus: Vec<Vec<u8>>,
    dice: Dice,
}

impl Documents {
    pub(super) fn new(seed: u64) -> Result<Self> {
        Ok(Self {
            corpus: corpus()?,
            dice: Dice::new(seed),
        })
    }

    /// One document with one to three changes: more, and hardly any would still be let through.
    pub(super) fn document(&mut self) -> Vec<u8> {
        let mut document = if self.dice.below(4) == 0 {
            let place = self.dice.below(self.corpus.len());
            self.corpus.get(place).cloned().unwrap_or_default()
        } else {
            let place = self.dice.below(BASES.len());
            BASES.get(place).unwrap_or(&"").as_bytes().to_vec()
        };
        let changes = 1 + self.dice.below(8).saturating_sub(4);
        for _ in 0..changes.min(3) {
            document = mutated(document, &mut self.dice);
        }
        document
    }
}

/// The bodies of the corpus that unit tests and fuzzers share.
fn corpus() -> Result<Vec<Vec<u8>>> {
    let path = workspace::root().join("policy/corpus/mcp/messages.json");
    let text = std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let rows: Vec<Value> = serde_json::from_slice(&text)?;
    let body = |row: &Value| Some(row.get("body")?.as_str()?.as_bytes().to_vec());
    Ok(rows.iter().filter_map(body).collect())
}

#[cfg(test)]
mod tests {
    use super::super::reading::Reading;
    use super::Documents;

    #[test]
    fn the_same_seed_makes_the_same_documents_some_of_which_are_let_through() {
        let row = |seed| {
            let mut documents = Documents::new(seed).unwrap();
            (0..500).map(|_| documents.document()).collect::<Vec<_>>()
        };
        let made = row(7);
        assert_eq!(made, row(7));
        assert_ne!(made, row(8));
        let accepted = made
            .iter()
            .filter(|document| Reading::judged(document).is_some())
            .count();
        assert!(
            accepted > 75 && accepted < 400,
            "{accepted} of 500 are let through"
        );
    }
}
