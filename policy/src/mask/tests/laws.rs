//! Laws 18, 23 and 25 to 27, each by name.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

use super::*;

fn text(text: &str) -> Document {
    result(&json!({"content": [{"type": "text", "text": text}]}))
}

#[test]
fn law_25_default_detectors_are_credentials_and_the_rest_is_opted_into() {
    let message = text(&format!("{AWS} 4111 1111 1111 1111 ada@example.com"));
    let (value, report) = changed(&masker(), &message, &CALL);
    assert_eq!(
        value["result"]["content"][0]["text"],
        "[redacted:AwsAccessKey] 4111 1111 1111 1111 ada@example.com"
    );
    assert_eq!(report.counts, [("AwsAccessKey".to_owned(), 1)].into());
    let all = masker_with(json!({"detectors": ["Credentials", "Financial", "Email"]}));
    let (value, _) = changed(&all, &message, &CALL);
    assert_eq!(
        value["result"]["content"][0]["text"],
        "[redacted:AwsAccessKey] [redacted:CreditCard] [redacted:Email]"
    );
}

#[test]
fn law_25_values_of_injected_credentials_and_their_base64_and_url_forms_are_always_masked() {
    let secret = "top/s3cret+value==";
    let masker = masker_holding(secret);
    let framed = |before: &str| STANDARD.encode(format!("{before}{secret} and more"));
    let table = [
        ("as it is", secret.to_owned()),
        ("base64", STANDARD.encode(secret)),
        ("base64url", URL_SAFE_NO_PAD.encode(secret)),
        ("base64 behind one byte", framed("x")),
        ("base64 behind two bytes", framed("xy")),
        ("basic", framed("user:")),
        ("percent", "top%2Fs3cret%2Bvalue%3D%3D".to_owned()),
        (
            "percent, lower case",
            "top%2fs3cret%2bvalue%3d%3d".to_owned(),
        ),
        (
            "percent, every byte",
            secret.bytes().map(|byte| format!("%{byte:02X}")).collect(),
        ),
        ("hex", hex::encode(secret)),
        ("in a longer text", format!("token was {secret}, sorry")),
    ];
    for (name, spelled) in table {
        let (value, report) = changed(&masker, &text(&spelled), &CALL);
        let shown = value["result"]["content"][0]["text"].as_str().unwrap();
        assert!(
            shown.contains("[redacted:InjectedCredential]"),
            "{name}: {shown}"
        );
        assert!(!shown.contains(secret) && report.total() >= 1, "{name}");
    }
    let quoted = masker_holding("pa\"ss\\word/1");
    changed(&quoted, &text("it is pa\"ss\\word/1 there"), &CALL);
}

#[test]
fn law_25_what_the_client_must_send_back_is_never_changed() {
    let table = [
        ("tools/list", json!({"tools": [], "nextCursor": AWS})),
        (
            "tools/call",
            json!({"resultType": "input_required", "requestState": AWS}),
        ),
        ("tools/call", json!({"resultType": "task", "taskId": AWS})),
        ("tools/call", json!({"task": {"taskId": AWS}})),
        (
            "tools/call",
            json!({"content": [], "_meta": {"progressToken": AWS}}),
        ),
    ];
    for (method, body) in table {
        let scope = Scope::ResultOf {
            method,
            tool: None,
            output_schema: None,
        };
        clean(&masker(), &result(&body), &scope);
    }
    let message = document(&json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progressToken": AWS, "progress": 1}}).to_string());
    clean(
        &masker(),
        &message,
        &Scope::Notification {
            method: "notifications/progress",
            tool: None,
        },
    );
    clean(
        &masker(),
        &document(&json!({"jsonrpc": "2.0", "id": AWS, "result": {}}).to_string()),
        &CALL,
    );
}

#[test]
fn law_25_an_opaque_value_that_holds_an_injected_credential_withholds() {
    let message = result(&json!({"requestState": "x-top-secret-value-x"}));
    assert_eq!(
        withheld(&masker_holding("top-secret-value"), &message, &CALL),
        Withheld::Opaque
    );
}

#[test]
fn law_25_opaque_names_protect_only_where_the_protocol_puts_them() {
    let message = result(
        &json!({"content": [], "nextCursor": AWS, "structuredContent": {"requestState": AWS}}),
    );
    let (value, _) = changed(&masker(), &message, &CALL);
    assert!(!value.to_string().contains(AWS));
}

#[test]
fn law_25_a_hit_in_a_name_or_uri_drops_the_entry_and_is_recorded() {
    let table = [
        (
            "tools/list",
            json!({"tools": [{"name": "ok"}, {"name": AWS}]}),
            json!({"tools": [{"name": "ok"}]}),
        ),
        (
            "prompts/list",
            json!({"prompts": [{"name": AWS}, {"name": "ok"}]}),
            json!({"prompts": [{"name": "ok"}]}),
        ),
        (
            "prompts/list",
            json!({"prompts": [{"name": "p", "arguments": [{"name": AWS}]}]}),
            json!({"prompts": [{"name": "p", "arguments": []}]}),
        ),
        (
            "resources/list",
            json!({"resources": [{"uri": format!("x://{AWS}"), "name": "n"}]}),
            json!({"resources": []}),
        ),
        (
            "resources/templates/list",
            json!({"resourceTemplates": [{"uriTemplate": format!("x://{AWS}/{{a}}")}]}),
            json!({"resourceTemplates": []}),
        ),
        (
            "tools/call",
            json!({"content": [{"type": "resource_link", "uri": format!("x://{AWS}")}, {"type": "text", "text": "ok"}]}),
            json!({"content": [{"type": "text", "text": "ok"}]}),
        ),
        (
            "tools/call",
            json!({"content": [{"type": "resource", "resource": {"uri": format!("x://{AWS}"), "text": ""}}]}),
            json!({"content": []}),
        ),
    ];
    for (method, given, expected) in table {
        let scope = Scope::ResultOf {
            method,
            tool: None,
            output_schema: None,
        };
        let (mut value, report) = changed(&masker(), &result(&given), &scope);
        value["result"].as_object_mut().unwrap().remove("_meta");
        assert_eq!(value["result"], expected);
        assert_eq!(report.total(), 1);
    }
}

#[test]
fn law_25_a_hit_in_an_object_key_withholds_the_result() {
    let message = result(&json!({"structuredContent": {AWS: 1}}));
    assert_eq!(withheld(&masker(), &message, &CALL), Withheld::Key);
}

#[test]
fn law_25_an_address_outside_of_a_list_withholds() {
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "elicitation/create",
        "params": {"mode": "url", "url": format!("https://x.example/?k={AWS}"), "message": "m"}});
    let scope = Scope::ServerRequest {
        method: "elicitation/create",
    };
    assert_eq!(
        withheld(&masker(), &document(&body.to_string()), &scope),
        Withheld::Address
    );
}

#[test]
fn law_26_field_paths_mean_structured_content_and_equally_any_text_that_parses_as_json() {
    let masker =
        masker_with(json!({"fields": [{"tool": "get_*", "path": "$.email", "action": "Redact"}]}));
    let scope = Scope::ResultOf {
        method: "tools/call",
        tool: Some("get_customer"),
        output_schema: None,
    };
    let data = json!({"email": "ada@example.com", "n": 12345678901234567890_u64});
    let body =
        json!({"structuredContent": data, "content": [{"type": "text", "text": data.to_string()}]});
    let (value, report) = changed(&masker, &result(&body), &scope);
    assert_eq!(
        value["result"]["structuredContent"]["email"],
        "[redacted:Field]"
    );
    assert_eq!(
        value["result"]["content"][0]["text"],
        r#"{"email":"[redacted:Field]","n":12345678901234567890}"#
    );
    assert_eq!(report.counts["Field"], 2);
    assert_eq!(
        report.pointers,
        ["/structuredContent/email", "/content/0/text"]
    );
    // Another tool's answer is not touched.
    clean(&masker, &result(&body), &CALL);
}

#[test]
fn law_26_a_text_that_is_not_json_is_replaced_by_the_masked_structured_content_else_withheld() {
    let masker = masker_with(json!({"fields": [{"tool": "t", "path": "$.email"}]}));
    let block = json!([{"type": "text", "text": "Ada's address is ada@example.com"}]);
    let both =
        json!({"content": block, "structuredContent": {"email": "ada@example.com", "id": 7}});
    let (value, _) = changed(&masker, &result(&both), &CALL);
    assert_eq!(
        value["result"]["content"][0]["text"],
        r#"{"email":"[redacted:Field]","id":7}"#
    );
    assert_eq!(
        withheld(&masker, &result(&json!({"content": block})), &CALL),
        Withheld::Field
    );
}

#[test]
fn law_26_where_several_match_the_order_is_drop_redact_hash_partial() {
    let rule = |action: &str| json!({"tool": "t", "path": "$.a", "action": action});
    let any = |action: &str| json!({"tool": "*", "path": "$..a", "action": action});
    let table = [
        ("Partial", "Hash", "[hash:Field:"),
        ("Hash", "Redact", "[redacted:Field]"),
        ("Partial", "Redact", "[redacted:Field]"),
    ];
    for (one, other, expected) in table {
        let masker = masker_with(json!({"fields": [rule(one), any(other)]}));
        let (value, _) = changed(
            &masker,
            &result(&json!({"structuredContent": {"a": "0123456789"}})),
            &CALL,
        );
        let masked = value["result"]["structuredContent"]["a"].as_str().unwrap();
        assert!(masked.starts_with(expected), "{one} and {other}: {masked}");
    }
    let masker = masker_with(json!({"fields": [rule("Redact"), any("Drop")]}));
    let (value, _) = changed(
        &masker,
        &result(&json!({"structuredContent": {"a": "x", "b": [{"a": 1}]}})),
        &CALL,
    );
    assert_eq!(value["result"]["structuredContent"], json!({"b": [{}]}));
}

#[test]
fn law_26_partial_keeps_the_last_characters_and_hash_is_keyed() {
    let masker = masker_with(json!({"fields": [
        {"tool": "t", "path": "$.card", "action": "Partial", "keepLast": 4},
        {"tool": "t", "path": "$.short", "action": "Partial", "keepLast": 4},
        {"tool": "t", "path": "$.hash", "action": "Hash"}]}));
    let body =
        json!({"structuredContent": {"card": "4111111111111111", "short": "12345", "hash": "ada"}});
    let (value, _) = changed(&masker, &result(&body), &CALL);
    let masked = &value["result"]["structuredContent"];
    assert_eq!(masked["card"], "****1111");
    assert_eq!(masked["short"], "****");
    let other = Masker {
        key: MaskKey::new(&[8; 32]),
        ..masker_with(json!({"fields": [{"tool": "t", "path": "$.hash", "action": "Hash"}]}))
    };
    let (second, _) = changed(&other, &result(&body), &CALL);
    assert_ne!(
        masked["hash"],
        second["result"]["structuredContent"]["hash"]
    );
}

#[test]
fn law_26_a_value_masked_by_field_is_masked_where_the_answer_repeats_it() {
    let masker = masker_with(json!({"fields": [{"tool": "t", "path": "$.result[*].email"}]}));
    let body = json!({"structuredContent": {"result": [{"email": "ada@example.com"}]},
        "content": [{"type": "text", "text": "{\"email\":\"ada@example.com\"}"},
                    {"type": "resource_link", "uri": "x://1", "description": "of ada@example.com"}]});
    let (value, _) = changed(&masker, &result(&body), &CALL);
    assert!(!value.to_string().contains("ada@example.com"), "{value}");
}

#[test]
fn law_27_a_mask_satisfies_the_schema_that_the_client_saw() {
    let masker = masker_with(json!({"fields": [{"tool": "t", "path": "$.*"}]}));
    let schema = json!({"type": "object", "required": ["email", "age"], "properties": {
        "email": {"type": "string", "format": "email"}, "age": {"type": "integer", "minimum": 18},
        "pin": {"$ref": "#/$defs/pin"}, "ok": {"type": "boolean"}}, "$defs": {"pin": {"pattern": "^[0-9]{4}$"}}});
    let scope = Scope::ResultOf {
        method: "tools/call",
        tool: Some("t"),
        output_schema: Some(&schema),
    };
    let body =
        json!({"structuredContent": {"email": "a@b.cd", "age": 44, "pin": "1234", "ok": true}});
    let (value, _) = changed(&masker, &result(&body), &scope);
    assert_eq!(
        value["result"]["structuredContent"],
        json!({"email": "redacted@example.invalid", "age": 18, "pin": "0000", "ok": false})
    );
}

#[test]
fn law_27_where_no_schema_valid_mask_exists_the_answer_is_withheld() {
    let table = [
        ("const", json!({"const": "red"}), "Redact"),
        ("enum", json!({"enum": ["red", "blue"]}), "Redact"),
        ("pattern", json!({"pattern": "^red$"}), "Redact"),
        ("required", json!({"type": "string"}), "Drop"),
    ];
    for (name, own, action) in table {
        let masker =
            masker_with(json!({"fields": [{"tool": "t", "path": "$.a", "action": action}]}));
        let schema = json!({"required": ["a"], "properties": {"a": own}});
        let scope = Scope::ResultOf {
            method: "tools/call",
            tool: Some("t"),
            output_schema: Some(&schema),
        };
        let message = result(&json!({"structuredContent": {"a": "red"}}));
        assert_eq!(
            withheld(&masker, &message, &scope),
            Withheld::Schema,
            "{name}"
        );
    }
    let range = masker_with(json!({"fields": [{"tool": "t", "path": "$.a"}]}));
    let schema = json!({"properties": {"a": {"type": "integer", "const": 42}}});
    let scope = Scope::ResultOf {
        method: "tools/call",
        tool: Some("t"),
        output_schema: Some(&schema),
    };
    assert_eq!(
        withheld(
            &range,
            &result(&json!({"structuredContent": {"a": 42}})),
            &scope
        ),
        Withheld::Schema
    );
}

#[test]
fn law_27_splits_are_seen_within_one_result() {
    let (head, tail) = AWS.split_at(2);
    let (middle, end) = tail.split_at(9);
    let block = |text: &str| json!({"type": "text", "text": text});
    let message = result(
        &json!({"content": [block(head), block(middle), {"type": "image", "data": "AAAA", "mimeType": "image/png"}, block(end)]}),
    );
    let (value, _) = changed(&masker(), &message, &CALL);
    for place in [0, 1, 3] {
        assert_eq!(
            value["result"]["content"][place]["text"],
            "[redacted:AwsAccessKey]"
        );
    }
    let messages = result(
        &json!({"messages": [{"role": "user", "content": block(head)}, {"role": "user", "content": block(tail)}]}),
    );
    let scope = Scope::ResultOf {
        method: "prompts/get",
        tool: None,
        output_schema: None,
    };
    let (value, _) = changed(&masker(), &messages, &scope);
    assert!(!value.to_string().contains(tail));
    let lines = result(
        &json!({"structuredContent": ["-----BEGIN PRIVATE KEY-----", "MIIEvQIBADANBg", "-----END PRIVATE KEY-----"]}),
    );
    let (value, _) = changed(&masker(), &lines, &CALL);
    assert!(!value.to_string().contains("MIIEvQIBADANBg"));
}

#[test]
fn escapes_are_seen_through() {
    let table = [
        r#""\u0041KIAIOSFODNN7EXAMPLE""#,
        r#""AKI\u0041IOSFODNN7EXAMPLE""#,
        r#""{\"a\":\"AKI\\u0041IOSFODNN7EXAMPLE\"}""#,
        r#""{\"a\":\"{\\\"b\\\":\\\"AKI\\\\u0041IOSFODNN7EXAMPLE\\\"}\"}""#,
        r#""cut off: {\"a\":\"AKI\\u0041IOSFODNN7EXAMPLE""#,
        r#""cut off: {\"a\":\"x\\nAKIAIOSFODNN7EXAMPLE""#,
        r#""postgres:\/\/app:s3cr3t@db\/x""#,
        r#""repr 'AKI\\x41IOSFODNN7EXAMPLE'""#,
    ];
    for spelled in table {
        let message = document(&format!(
            r#"{{"jsonrpc":"2.0","id":1,"result":{{"content":[{{"type":"text","text":{spelled}}}]}}}}"#
        ));
        let (value, _) = changed(&masker(), &message, &CALL);
        let shown = value.to_string();
        assert!(
            !shown.contains("IOSFODNN7EXAMPLE") && !shown.contains("s3cr3t"),
            "{shown}"
        );
    }
}

#[test]
fn base64_of_texts_is_seen_through_and_pictures_are_left() {
    let inner = format!("key = {AWS}");
    let contents = |blob: String| {
        result(&json!({"contents": [{"uri": "f://x", "mimeType": "text/plain", "blob": blob}]}))
    };
    let scope = Scope::ResultOf {
        method: "resources/read",
        tool: None,
        output_schema: None,
    };
    let (value, _) = changed(&masker(), &contents(STANDARD.encode(&inner)), &scope);
    let blob = STANDARD
        .decode(value["result"]["contents"][0]["blob"].as_str().unwrap())
        .unwrap();
    assert_eq!(blob, b"key = [redacted:AwsAccessKey]");
    clean(
        &masker(),
        &contents(STANDARD.encode([0x89, b'P', b'N', b'G', 0xff])),
        &scope,
    );
    let uri = format!(
        "see data:text/plain;base64,{} there",
        STANDARD.encode(&inner)
    );
    let (value, _) = changed(&masker(), &text(&uri), &CALL);
    assert_eq!(
        value["result"]["content"][0]["text"],
        "see data:text/plain;base64,[redacted:AwsAccessKey] there"
    );
}

#[test]
#[expect(clippy::too_many_lines, reason = "one table")]
fn every_surface_of_every_message_is_looked_at() {
    let here = format!("at {AWS}");
    let table = [
        (
            "error",
            json!({"error": {"code": 1, "message": here, "data": {"stack": [here]}}}),
            Scope::ErrorOf {
                method: "tools/call",
                tool: None,
            },
        ),
        ("unknown member", json!({"result": {}, "extra": here}), CALL),
        (
            "progress",
            json!({"method": "notifications/progress", "params": {"message": here}}),
            Scope::Notification {
                method: "notifications/progress",
                tool: None,
            },
        ),
        (
            "log",
            json!({"method": "notifications/message", "params": {"data": {"x": [here]}}}),
            Scope::Notification {
                method: "notifications/message",
                tool: None,
            },
        ),
        (
            "task",
            json!({"method": "notifications/tasks", "params": {"taskId": "1", "result": {"content": [{"type": "text", "text": here}]}}}),
            Scope::Notification {
                method: "notifications/tasks",
                tool: Some("t"),
            },
        ),
        (
            "sampling",
            json!({"id": 3, "method": "sampling/createMessage", "params": {"systemPrompt": here, "messages": [{"role": "user", "content": {"type": "text", "text": here}}]}}),
            Scope::ServerRequest {
                method: "sampling/createMessage",
            },
        ),
        (
            "elicitation",
            json!({"id": 3, "method": "elicitation/create", "params": {"message": here}}),
            Scope::ServerRequest {
                method: "elicitation/create",
            },
        ),
        (
            "inputs",
            json!({"result": {"inputRequests": {"a": {"method": "elicitation/create", "params": {"message": here}}}}}),
            CALL,
        ),
        (
            "description",
            json!({"result": {"tools": [{"name": "t", "description": here, "inputSchema": {"properties": {"a": {"default": here}}}}]}}),
            Scope::ResultOf {
                method: "tools/list",
                tool: None,
                output_schema: None,
            },
        ),
        (
            "completion",
            json!({"result": {"completion": {"values": [here]}}}),
            Scope::ResultOf {
                method: "completion/complete",
                tool: None,
                output_schema: None,
            },
        ),
        (
            "instructions",
            json!({"result": {"instructions": here}}),
            Scope::ResultOf {
                method: "initialize",
                tool: None,
                output_schema: None,
            },
        ),
        (
            "meta",
            json!({"result": {"content": [], "_meta": {"x": here}}}),
            CALL,
        ),
        (
            "batch",
            json!([{"result": {"a": here}}, {"result": {}}]),
            CALL,
        ),
    ];
    for (name, body, scope) in table {
        let (value, report) = changed(&masker(), &document(&body.to_string()), &scope);
        assert!(!value.to_string().contains(AWS), "{name}: {value}");
        assert_eq!(
            report.counts.keys().collect::<Vec<_>>(),
            ["AwsAccessKey"],
            "{name}"
        );
    }
}

#[test]
fn names_beside_values_are_understood_in_members_pairs_and_tables() {
    let table = [
        (json!({"password": "hunter2x"}), "hunter2x"),
        (
            json!({"env": [{"name": "DB_PASSWORD", "value": "hunter2x"}]}),
            "hunter2x",
        ),
        (
            json!({"columns": ["id", "api_key"], "rows": [[1, "9fK2bb71QzA0"], [2, "9fK2bb71QzA0"]]}),
            "9fK2bb71QzA0",
        ),
        (
            json!({"columns": [{"name": "password"}], "data": [["hunter2x"]]}),
            "hunter2x",
        ),
        (json!({"passwords": ["hunter2x", "hunter2x"]}), "hunter2x"),
        (json!({"SECRET_TOKEN": "9fK2bb71QzA0"}), "9fK2bb71QzA0"),
    ];
    for (data, secret) in table {
        for body in [
            json!({"structuredContent": data}),
            json!({"content": [{"type": "text", "text": data.to_string()}]}),
        ] {
            let (value, _) = changed(&masker(), &result(&body), &CALL);
            assert!(!value.to_string().contains(secret), "{value}");
        }
    }
    clean(
        &masker(),
        &result(
            &json!({"structuredContent": {"max_tokens": "4096", "password": null, "token": "ok"}}),
        ),
        &CALL,
    );
}

#[test]
fn law_14_what_is_not_masked_stays_byte_for_byte() {
    let given = r#"{ "jsonrpc":"2.0", "id":1,"result":{"b":1.50e3 ,"a":"AKIAIOSFODNN7EXAMPLE","big":123456789012345678901,"c":"\u00e9\/"}}"#;
    let Masked::Changed { bytes, .. } = masker().mask(&document(given), &CALL) else {
        panic!("not changed");
    };
    assert_eq!(
        String::from_utf8_lossy(&bytes),
        r#"{ "jsonrpc":"2.0", "id":1,"result":{"b":1.50e3 ,"a":"[redacted:AwsAccessKey]","big":123456789012345678901,"c":"\u00e9\/","_meta":{"dev.sallyport/redacted":["/a"]}}}"#
    );
}

#[test]
fn law_18_the_mark_stands_in_meta_or_in_an_errors_data() {
    let given =
        document(&json!({"error": {"code": 1, "message": AWS, "data": {"a": 1}}}).to_string());
    let scope = Scope::ErrorOf {
        method: "tools/call",
        tool: None,
    };
    let Masked::Changed { bytes, .. } = masker().mask(&given, &scope) else {
        panic!("not changed");
    };
    let value: Value = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(
        value["error"]["data"],
        json!({"a": 1, "dev.sallyport/redacted": ["/message"]})
    );
}

#[test]
fn law_18_a_mark_whose_pointer_reads_like_a_secret_changes_nothing_the_second_time() {
    // No name is a secret; beside each other they read like one.
    for result in [
        json!({"password=nt": {"Qw93Lk22Zx81": AWS}}),
        json!({"content": [{"text": AWS}], "structuredContent": {"password=ail": "api_key: Zx81-Qw93-Lk22"}}),
    ] {
        let given = document(&json!({"result": result}).to_string());
        let Masked::Changed { bytes, .. } = masker().mask(&given, &CALL) else {
            panic!("not changed");
        };
        assert!(String::from_utf8_lossy(&bytes).contains("/password*"));
        let once = Document::parse(bytes, Limits::RESPONSE).unwrap();
        let twice = masker().mask(&once, &CALL);
        assert!(matches!(twice, Masked::Clean), "{twice:?}");
    }
}

#[test]
fn law_23_an_outline_shows_names_kinds_and_lengths_and_no_value() {
    let masker = masker();
    let document =
        document(r#"{"sku":"chair","price":12.5,"on":[true,null],"AKIAIOSFODNN7EXAMPLE":"x"}"#);
    let outline = masker.outline(document.root());
    let shown: Value = serde_json::from_str(&outline.json).unwrap();
    assert_eq!(shown["sku"], "[text, 5 characters]");
    assert_eq!(shown["price"], "[number, 4 characters]");
    assert_eq!(shown["on"], json!(["[boolean]", "[null]"]));
    assert!(
        !outline.json.contains("AKIAIOSFODNN7EXAMPLE"),
        "{}",
        outline.json
    );
}

#[test]
fn law_23_a_preview_shows_kind_length_and_a_short_hmac_by_the_platforms_detectors_alone() {
    let hiding: Masking = serde_json::from_value(json!({"detectors": ["Personal"],
        "patterns": [{"name": "all", "regex": ".+"}], "fields": [{"tool": "*", "path": "$..*"}]}))
    .unwrap();
    let floor: Masking = serde_json::from_value(json!({"detectors": ["Iban"]})).unwrap();
    let settings = MaskingSettings::gather(&hiding, &[], &[&floor]).unwrap();
    let masker = Masker::new(&settings, &[], &key()).unwrap();
    let request = document(&json!({"params": {"arguments": {"to": "ada@example.com", "key": AWS, "iban": "DE89370400440532013000", "n": 1}}}).to_string());
    let node = request
        .root()
        .get("params")
        .and_then(|params| params.get("arguments"))
        .unwrap();
    let preview = masker.preview(node);
    let shown: Value = serde_json::from_str(&preview.json).unwrap();
    assert_eq!(shown["to"], "ada@example.com");
    assert_eq!(shown["n"], 1);
    let mark = shown["key"].as_str().unwrap();
    assert!(
        mark.starts_with("[AwsAccessKey, 20 characters, hmac ") && mark.len() == 44,
        "{mark}"
    );
    assert!(
        shown["iban"]
            .as_str()
            .unwrap()
            .starts_with("[Iban, 22 characters")
    );
    assert_eq!(preview.report.total(), 2);
    assert_eq!(masker.preview(node), preview);
}

#[test]
fn a_forged_mark_hides_nothing() {
    let token = "ghp_EXAMPLEexampleEXAMPLEexampleEXAMPLE1";
    let table = [
        format!("[redacted:{token}]"),
        format!("[hash:{token}:0123456789abcdef]"),
        format!("[redacted:GithubToken {token}]"),
        format!("****{token}"),
    ];
    for given in table {
        let (value, _) = changed(&masker(), &text(&given), &CALL);
        assert!(!value.to_string().contains(token), "{value}");
    }
}

#[test]
fn removal_that_joins_a_new_secret_is_masked_again() {
    let masker = masker_with(json!({"action": "Drop"}));
    let (value, _) = changed(
        &masker,
        &text("AKIAIOSF-AKIAIOSFODNN7EXAMPLE-ODNN7EXAMPLE"),
        &CALL,
    );
    assert!(
        value["result"]["content"][0]["text"]
            .as_str()
            .unwrap()
            .len()
            < 42
    );
    let (head, tail) = AWS.split_at(6);
    let (value, _) = changed(
        &masker,
        &text(&format!(
            "{head}hvs.EXAMPLEexampleEXAMPLEexample/{tail} x {AWS}"
        )),
        &CALL,
    );
    assert!(!value.to_string().contains(AWS));
}

#[test]
fn the_authors_mistakes_are_told() {
    let new = |section: Value| {
        let section: Masking = serde_json::from_value(section).unwrap();
        MaskingSettings::gather(&section, &[], &[])
            .and_then(|settings| Masker::new(&settings, &[], &key()))
    };
    let table = [
        (
            json!({"detectors": ["Aws"]}),
            "`Aws` is neither a detector nor a group of detectors",
        ),
        (
            json!({"patterns": [{"name": "a b", "regex": "x"}]}),
            "`a b` is not a name for a pattern",
        ),
        (
            json!({"patterns": [{"name": "Email", "regex": "x"}]}),
            "`Email` is the name of a detector",
        ),
        (
            json!({"patterns": [{"name": "a", "regex": "(?=x)"}]}),
            "look-around",
        ),
        (
            json!({"patterns": [{"name": "a", "regex": "x*"}]}),
            "matches the empty text",
        ),
        (
            json!({"fields": [{"tool": "t", "path": "email"}]}),
            "the masking field for tool `t` is wrong",
        ),
    ];
    for (section, expected) in table {
        let told = new(section).unwrap_err().to_string();
        assert!(told.contains(expected), "{told}");
    }
    let short = Masker::new(
        &MaskingSettings::default(),
        &[Zeroizing::new(b"abc".to_vec())],
        &key(),
    );
    assert!(matches!(
        short,
        Err(MaskError::ShortLiteral {
            length: 3,
            least: 4
        })
    ));
}

#[test]
fn sections_add_up_and_the_stricter_action_wins() {
    let section = |value: Value| -> Masking { serde_json::from_value(value).unwrap() };
    let gateway = section(json!({"action": "Partial"}));
    let policy = section(json!({"detectors": ["Email"]}));
    let floor = section(json!({"detectors": ["AwsAccessKey"], "action": "Hash"}));
    let settings = MaskingSettings::gather(&gateway, &[&policy], &[&floor]).unwrap();
    use crate::source::masking::MaskAction;
    assert_eq!(settings.detectors[&Detector::Jwt], MaskAction::Partial);
    assert_eq!(
        settings.detectors[&Detector::AwsAccessKey],
        MaskAction::Hash
    );
    assert_eq!(settings.detectors[&Detector::Email], MaskAction::Redact);
    assert_eq!(settings.platform, [Detector::AwsAccessKey].into());
}

#[test]
fn user_patterns_mask_their_group_and_nothing_shows_in_debug() {
    let masker =
        masker_with(json!({"patterns": [{"name": "order-token", "regex": "ot_([A-Za-z0-9]{8})"}]}));
    let (masked, report) = masker.mask_text("order ot_abcd1234 done");
    assert_eq!(masked, "order ot_[redacted:order-token] done");
    assert_eq!(report.counts["order-token"], 1);
    assert_eq!(format!("{masker:?} {:?}", key()), "Masker MaskKey");
}
