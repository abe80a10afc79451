//! Masking is total, idempotent, and lets nothing through whatever the spelling and the splits.

use proptest::prelude::*;

use super::*;

/// A secret that a default detector knows, with the part that must not be seen.
fn secret() -> impl Strategy<Value = (String, String)> {
    let upper = "[A-Z0-9]{16}".prop_map(|body| (format!("AKIA{body}"), body));
    let github = "[A-Za-z0-9]{36}".prop_map(|body| (format!("ghp_{body}"), body));
    let slack = "[0-9]{12}-[A-Za-z0-9]{24}".prop_map(|body| (format!("xoxb-{body}"), body));
    let url =
        "[a-z]{4}[0-9]{4}[A-Z]{3}".prop_map(|body| (format!("postgres://app:{body}@db/x"), body));
    prop_oneof![upper, github, slack, url]
}

/// Spells each character plainly or as an escape of JSON.
fn spell(text: &str, choices: &[bool]) -> String {
    let spelled = text
        .chars()
        .zip(choices.iter().cycle())
        .map(|(c, escape)| match (escape, c) {
            (true, _) => format!("\\u{:04x}", u32::from(c)),
            (false, '"' | '\\') => format!("\\{c}"),
            (false, _) if c < ' ' => format!("\\u{:04x}", u32::from(c)),
            (false, _) => c.to_string(),
        });
    format!("\"{}\"", spelled.collect::<String>())
}

fn everything(value: &Value, all: &mut String) {
    match value {
        Value::String(text) => {
            all.push_str(text);
            all.push('\u{1}');
        }
        Value::Array(elements) => elements.iter().for_each(|element| everything(element, all)),
        Value::Object(members) => members.values().for_each(|value| everything(value, all)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

proptest! {
    #[test]
    fn law_27_nothing_gets_through_whatever_the_escapes(
        (given, hidden) in secret(),
        choices in proptest::collection::vec(any::<bool>(), 1..40),
        before in "[ -~]{0,12}",
        nesting in 0_u8..4,
    ) {
        let masker = masker();
        let mut text = format!("{before} {given} .");
        for _ in 0..nesting {
            text = format!("{{\"a\":{}}}", spell(&text, &choices));
        }
        let message = document(&format!(
            "{{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{{\"content\":[{{\"type\":\"text\",\"text\":{}}}]}}}}",
            spell(&text, &choices)
        ));
        let (value, _) = changed(&masker, &message, &CALL);
        let shown = value["result"]["content"][0]["text"].as_str().unwrap();
        prop_assert!(!shown.contains(&hidden), "{}", shown);
        // Read as deep as it was written, it still does not show.
        let mut inner = shown.to_owned();
        while let Ok(Value::Object(map)) = serde_json::from_str(&inner) {
            inner = map["a"].as_str().unwrap().to_owned();
        }
        prop_assert!(!inner.contains(&hidden), "{}", inner);
    }

    #[test]
    fn law_27_nothing_gets_through_whatever_the_splits(
        (given, hidden) in secret(),
        cuts in proptest::collection::vec(0_usize..60, 0..5),
    ) {
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut % given.len()).collect();
        cuts.sort_unstable();
        cuts.dedup();
        let mut parts = Vec::new();
        let mut from = 0;
        for cut in cuts.into_iter().chain([given.len()]) {
            parts.push(json!({"type": "text", "text": given.get(from..cut)}));
            from = cut;
        }
        let (value, _) = changed(&masker(), &result(&json!({"content": parts})), &CALL);
        let texts = value["result"]["content"].as_array().unwrap().iter();
        let joined: String = texts.map(|block| block["text"].as_str().unwrap()).collect();
        prop_assert!(!joined.contains(&hidden), "{}", joined);
        prop_assert!(!joined.contains(hidden.get(1..).unwrap()) && !joined.contains(hidden.get(..hidden.len() - 1).unwrap()), "{}", joined);
    }

    #[test]
    fn masking_is_idempotent_and_total_on_texts(text in "\\PC{0,60}", number in 0_usize..5) {
        let all = ["Drop", "Redact", "Hash", "Partial", "Redact"][number];
        let masker = masker_with(json!({"action": all, "detectors": ["Credentials", "Financial", "Personal"],
            "patterns": [{"name": "a", "regex": "[a-f]{2,}"}, {"name": "b", "regex": ".[0-9]"}]}));
        let (once, _) = masker.mask_text(&text);
        let (twice, report) = masker.mask_text(&once);
        prop_assert_eq!(&once, &twice);
        prop_assert!(report.is_empty());
    }

    #[test]
    fn masking_is_idempotent_on_messages(
        keys in proptest::collection::vec("(password|token|name|value|a|cvv|email)", 1..5),
        values in proptest::collection::vec("([a-z0-9A-Z]{1,12}|ada@example\\.org|4111111111111111|\\[redacted:Email\\]|AKIAIOSFODNN7EXAMPLE)", 1..5),
        action in "(Drop|Redact|Hash|Partial)",
    ) {
        let masker = masker_with(json!({"action": action, "detectors": ["Credentials", "Financial", "Personal"],
            "fields": [{"tool": "t", "path": "$..email"}]}));
        let data: serde_json::Map<String, Value> = keys.into_iter().zip(values.into_iter().map(Value::from)).collect();
        let twin = json!(&data).to_string();
        let body = json!({"structuredContent": data, "content": [{"type": "text", "text": twin}]});
        // `changed` masks twice and fails where the second time changes anything.
        match masker.mask(&result(&body), &CALL) {
            Masked::Changed { .. } => {
                changed(&masker, &result(&body), &CALL);
            }
            Masked::Clean => {}
            Masked::Withheld { why, .. } => prop_assert_eq!(why, Withheld::Field),
        }
    }

    #[test]
    fn law_25_an_injected_credential_shows_nowhere(
        credential in "[ -~é]{6,24}",
        before in "[ -~]{0,10}",
        shape in 0_usize..6,
    ) {
        use base64::Engine as _;
        let masker = masker_holding(&credential);
        let framed = format!("{before}{credential}{before}");
        let base64 = base64::engine::general_purpose::STANDARD.encode(&framed);
        let body = match shape {
            0 => json!({"content": [{"type": "text", "text": framed}]}),
            1 => json!({"structuredContent": {"a": [framed]}}),
            2 => json!({"content": [{"type": "text", "text": json!({"x": framed}).to_string()}]}),
            3 => json!({"content": [{"type": "text", "text": base64}]}),
            4 => json!({"content": [{"type": "resource", "resource": {"uri": "x://1", "blob": base64}}]}),
            _ => json!({"content": [{"type": "text", "text": format!("{{\"cut\": {}", json!(framed))}]}),
        };
        let (value, _) = changed(&masker, &result(&body), &CALL);
        let mut all = String::new();
        everything(&value, &mut all);
        prop_assert!(!all.contains(&credential), "{}", all);
        prop_assert!(!all.contains(&base64), "{}", all);
    }

    #[test]
    fn masking_is_total_on_any_bytes_that_parse(bytes in "\\PC{0,80}") {
        let text = format!("{{\"result\":{}}}", bytes);
        if let Ok(document) = Document::parse(Bytes::from(text), Limits::RESPONSE)
            && let Masked::Changed { bytes, .. } = masker().mask(&document, &CALL)
        {
            prop_assert!(Document::parse(bytes, Limits::RESPONSE).is_ok());
        }
    }
}

/// Each of these would take minutes if some check looked again and again at what it had seen.
#[test]
fn a_text_made_of_leads_costs_linear_time() {
    let masker = masker_with(json!({"detectors": ["Credentials", "Financial", "Personal"]}));
    let table = [
        "eyJ",
        "eyJ.",
        "secret=",
        "password: ",
        "-----BEGIN PRIVATE KEY-----!",
        "-----BEGIN ",
        "://",
        "a://b:",
        "@a",
        "a@b.",
        "1 ",
        "4111-",
        "AB12",
        "bc1q",
        "[redacted:",
        "[hash:Email:",
        "\\u00",
        "\\\\",
        "%25",
        ";base64,",
        "1.1.",
        "a:",
        "token ",
        ":AA",
        "Bearer ",
        "sig=",
        "GB82 ",
        "+1",
        "{\"a\":",
        "%B",
    ];
    for lead in table {
        let text = lead.repeat(100_000 / lead.len());
        let (masked, report) = masker.mask_text(&text);
        assert_eq!(masked == text, report.is_empty(), "{lead}");
    }
}

#[test]
fn a_long_list_of_hits_is_masked_one_by_one() {
    let masker = masker_with(json!({"detectors": ["Financial"]}));
    let text = "4111 1111 1111 1111 ".repeat(40);
    let (masked, report) = masker.mask_text(&text);
    assert_eq!(masked, "[redacted:CreditCard] ".repeat(40));
    assert_eq!(report.total(), 40);
}
