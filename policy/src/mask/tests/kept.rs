//! What a recording keeps of the client's message.

use proptest::prelude::*;

use super::*;

fn text(bytes: &Bytes) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn request(arguments: &Value) -> Document {
    let params = json!({"name": "t", "arguments": arguments});
    document(
        &json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).to_string(),
    )
}

#[test]
fn a_clean_request_is_kept_as_the_very_bytes_that_came() {
    for clean in [
        json!({"sql": "select 1"}),
        json!({"password": ""}),
        json!({"text": "the token count"}),
    ] {
        let given = request(&clean);
        let kept = masker().mask_request(&given);
        assert_eq!(kept.as_ptr(), given.bytes().as_ptr(), "{clean}");
        assert_eq!(kept, given.bytes());
    }
}

#[test]
fn law_25_what_is_kept_of_a_request_holds_no_secret_wherever_it_stood() {
    let masker = masker_holding("injected-credential-1");
    let table = [
        ("in a text", json!({"q": format!("use {AWS} now")}), AWS),
        ("in a key", json!({AWS: 1, format!("x {AWS}"): 2}), AWS),
        (
            "in JSON in a text",
            json!({"body": json!({"key": AWS}).to_string()}),
            AWS,
        ),
        (
            "beside its name",
            json!({"password": "hunter2-horse"}),
            "hunter2-horse",
        ),
        (
            "under a name elsewhere",
            json!({"env": [{"name": "DB_PASSWORD", "value": "hunter2-horse"}]}),
            "hunter2-horse",
        ),
        (
            "a credential of ours",
            json!({"q": "injected-credential-1"}),
            "injected-credential-1",
        ),
        (
            "a credential of ours in base64",
            json!({"q": "aW5qZWN0ZWQtY3JlZGVudGlhbC0x"}),
            "aW5qZWN0ZWQtY3JlZGVudGlhbC0x",
        ),
        (
            "in an opaque state",
            json!({"requestState": AWS, "uri": AWS}),
            AWS,
        ),
    ];
    for (name, arguments, secret) in table {
        let kept = masker.mask_request(&request(&arguments));
        let again = Document::parse(kept.clone(), Limits::RESPONSE).unwrap();
        assert!(!text(&kept).contains(secret), "{name}: {}", text(&kept));
        assert!(
            text(&kept).contains("[redacted:"),
            "{name}: {}",
            text(&kept)
        );
        assert_eq!(masker.mask_request(&again), kept, "{name}: not idempotent");
    }
}

#[test]
fn whatever_the_action_for_answers_a_recording_names_the_kind() {
    for action in ["Drop", "Hash", "Partial", "Redact"] {
        let section = json!({
            "detectors": ["Credentials"], "action": action,
            "patterns": [{"name": "staff", "regex": "S-[0-9]{4}"}],
        });
        let kept = masker_with(section).mask_request(&request(&json!({"a": AWS, "b": "S-1234"})));
        let kept: Value = serde_json::from_slice(&kept).unwrap();
        let arguments = json!({"a": "[redacted:AwsAccessKey]", "b": "[redacted:staff]"});
        assert_eq!(kept["params"]["arguments"], arguments, "{action}");
        assert_eq!(kept["method"], json!("tools/call"));
    }
}

proptest! {
    #[test]
    fn masking_a_request_is_total_and_keeps_strict_json(
        arguments in proptest::collection::btree_map("[ -~]{0,12}", "[ -~]{0,40}", 0..6),
        before in "[ -~]{0,8}",
    ) {
        let mut arguments = json!(arguments);
        arguments[format!("{before}{AWS}")] = json!(format!("{before} {AWS}"));
        let kept = masker().mask_request(&request(&arguments));
        prop_assert!(!text(&kept).contains(AWS));
        prop_assert!(Document::parse(kept, Limits::RESPONSE).is_ok());
    }
}
