//! Masking: idempotent, total, and no example of a detector gets through, whatever the pieces, escapes and wrapping.

use std::sync::LazyLock;

use bytes::Bytes;
use sallyport_policy::json::{Document, Limits, quote};
use sallyport_policy::mask::{
    Example, MaskKey, Masked, Masker, MaskingSettings, Scope, definitions,
};
use sallyport_policy::source::masking::Masking;
use serde_json::{Value, json};

use super::Target;
use crate::corpus;
use crate::input::{Choices, option, parts, text};

pub(super) const TARGET: Target = Target {
    name: "mask",
    law: "masking is total and idempotent, leaves a document, and lets no detector's example through whatever the pieces, escapes and wrapping",
    property,
    seeds,
    longest: 2048,
    words: &[
        "\"content\":[",
        "\"type\":\"text\"",
        "\"text\":",
        "\"structuredContent\":",
        "\"resource\":{",
        "\"blob\":",
        "\"uri\":",
        "\"_meta\":",
        "\"error\":{",
        "AKIA",
        "ghp_",
        "xoxb-",
        "password=",
        "://",
        "@",
        "Bearer ",
        "-----BEGIN PRIVATE KEY-----",
        "-----END PRIVATE KEY-----",
        "eyJ",
        "[redacted:",
        "]",
        "[hash:",
        "%25",
        "\\u0041",
        "4111111111111111",
        "email",
        "requestState",
    ],
};

static EXAMPLES: LazyLock<Vec<&'static Example>> = LazyLock::new(|| {
    definitions()
        .into_iter()
        .flat_map(|one| one.examples)
        .collect()
});

/// Everything redacted; and everything else that can be asked for.
static MASKERS: LazyLock<[Masker; 2]> = LazyLock::new(|| {
    let all = json!(["Credentials", "Financial", "Personal"]);
    [
        masker(json!({"detectors": all})),
        masker(json!({"detectors": all, "action": "Partial",
            "patterns": [{"name": "ticket", "regex": "T-([0-9]{3,})", "action": "Hash"}],
            "fields": [{"tool": "t", "path": "$..email"}, {"tool": "t", "path": "$.drop", "action": "Drop"}]})),
    ]
});

fn masker(section: Value) -> Masker {
    let section: Masking = serde_json::from_value(section).expect("a section");
    let settings = MaskingSettings::gather(&section, &[], &[]).expect("settings");
    Masker::new(&settings, &[], &MaskKey::new(&[7; 32])).expect("a masker")
}

fn seeds() -> Vec<Vec<u8>> {
    let mut seeds: Vec<Vec<u8>> = corpus::messages();
    for (place, example) in EXAMPLES.iter().enumerate() {
        let place = u8::try_from(place).unwrap_or_default();
        seeds.push([b"h".as_slice(), &[place, 3, 1], b"before\x1eafter"].concat());
        let result = json!({"content": [{"type": "text", "text": example.text}], "structuredContent": {"email": example.text}});
        seeds.push(
            format!("m{}", json!({"jsonrpc": "2.0", "id": 1, "result": result})).into_bytes(),
        );
        seeds.push(format!("t{}", example.text).into_bytes());
    }
    seeds
}

fn property(data: &[u8]) {
    let (way, rest) = option(data);
    match way {
        b'h' => hidden(rest),
        b't' => {
            if let Ok(text) = std::str::from_utf8(rest) {
                again(text);
            }
        }
        _ => message(rest),
    }
}

/// What was masked once is clean.
fn again(text: &str) {
    for masker in MASKERS.iter() {
        let (once, _) = masker.mask_text(text);
        let (twice, report) = masker.mask_text(&once);
        assert_eq!(once, twice, "masking is idempotent");
        assert!(report.is_empty());
    }
}

fn message(bytes: &[u8]) {
    let Ok(document) = Document::parse(Bytes::copy_from_slice(bytes), Limits::RESPONSE) else {
        return;
    };
    let tool = Some("t");
    let schema =
        json!({"type": "object", "properties": {"email": {"type": "string", "maxLength": 20}}});
    let scopes = [
        Scope::ResultOf {
            method: "tools/call",
            tool,
            output_schema: Some(&schema),
        },
        Scope::ResultOf {
            method: "tools/list",
            tool: None,
            output_schema: None,
        },
        Scope::ResultOf {
            method: "resources/read",
            tool: None,
            output_schema: None,
        },
        Scope::ErrorOf {
            method: "tools/call",
            tool,
        },
        Scope::Notification {
            method: "notifications/message",
            tool: None,
        },
        Scope::ServerRequest {
            method: "elicitation/create",
        },
    ];
    for masker in MASKERS.iter() {
        for scope in &scopes {
            if let Masked::Changed { bytes, .. } = masker.mask(&document, scope) {
                let once = Document::parse(bytes, Limits::RESPONSE).expect("still a document");
                let twice = masker.mask(&once, scope);
                assert!(
                    matches!(twice, Masked::Clean),
                    "masking is idempotent: {twice:?}"
                );
            }
        }
        let kept = masker.mask_request(&document);
        Document::parse(kept, Limits::RESPONSE).expect("a recorded request is a document");
        for preview in [
            masker.preview(document.root()),
            masker.outline(document.root()),
        ] {
            Document::parse(Bytes::from(preview.json), Limits::RESPONSE)
                .expect("a preview is a document");
        }
    }
}

/// An example in a text of its own lines, cut into blocks, spelled and wrapped as the input says.
fn hidden(data: &[u8]) {
    let (which, rest) = option(data);
    let (seed, rest) = option(rest);
    let (shape, rest) = option(rest);
    let mut around = parts(rest);
    let (Some(before), Some(after)) = (text(around.next()), text(around.next())) else {
        return;
    };
    let Some(example) = EXAMPLES.get(usize::from(which) % EXAMPLES.len()) else {
        return;
    };
    // What stands around must not say it too, nor change what the example is.
    let words = |text: &str| text.chars().all(|c| c.is_ascii_lowercase() || c == ' ');
    if !words(before)
        || !words(after)
        || before.contains(example.secret)
        || after.contains(example.secret)
    {
        return;
    }
    let whole = format!("{before}\n\n{}\n\n{after}", example.text);
    let mut choices = Choices::new(u64::from(seed) << 8 | u64::from(shape));
    let shown = shown(&content(&whole, shape, &mut choices));
    assert!(
        !shown.contains(example.secret),
        "`{}` is seen in: {shown}",
        example.secret
    );
}

/// The result as the server spells it.
fn content(whole: &str, shape: u8, choices: &mut Choices) -> String {
    let mut wrapped = whole.to_owned();
    for _ in 0..shape % 3 {
        wrapped = format!("{{\"note\":{}}}", spelled(&wrapped, choices));
    }
    let longest = if shape & 4 == 0 { wrapped.len() } else { 12 };
    let characters: Vec<char> = wrapped.chars().collect();
    let mut blocks = Vec::new();
    let mut at = 0;
    while at < characters.len() {
        let end = (at + 1 + choices.below(longest)).min(characters.len());
        let piece: String = characters[at..end].iter().collect();
        blocks.push(format!(
            "{{\"type\":\"text\",\"text\":{}}}",
            spelled(&piece, choices)
        ));
        at = end;
    }
    let blocks = blocks.join(",");
    format!("{{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{{\"content\":[{blocks}]}}}}")
}

fn spelled(text: &str, choices: &mut Choices) -> String {
    let spell = |c: char, choices: &mut Choices| {
        if u32::from(c) < 0x1_0000 && choices.below(3) == 0 {
            return format!("\\u{:04x}", u32::from(c));
        }
        let quoted = quote(&c.to_string());
        quoted[1..quoted.len() - 1].to_owned()
    };
    let inner: String = text.chars().map(|c| spell(c, choices)).collect();
    format!("\"{inner}\"")
}

/// All that a client sees, its blocks joined, read as deep as it was wrapped.
fn shown(message: &str) -> String {
    let document = Document::parse(Bytes::copy_from_slice(message.as_bytes()), Limits::RESPONSE)
        .expect("a document");
    let scope = Scope::ResultOf {
        method: "tools/call",
        tool: None,
        output_schema: None,
    };
    let bytes = match MASKERS[0].mask(&document, &scope) {
        Masked::Changed { bytes, .. } => bytes,
        Masked::Clean => document.bytes().clone(),
        Masked::Withheld { .. } => return String::new(),
    };
    let value: Value = serde_json::from_slice(&bytes).expect("a document");
    let blocks = value["result"]["content"].as_array().expect("blocks");
    let mut joined: String = blocks
        .iter()
        .filter_map(|block| block["text"].as_str())
        .collect();
    let mut all = joined.clone();
    while let Ok(Value::Object(inner)) = serde_json::from_str(&joined) {
        joined = inner
            .get("note")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned();
        all.push_str(&joined);
    }
    all
}
