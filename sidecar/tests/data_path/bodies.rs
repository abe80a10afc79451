//! Laws 4, 13 and 14 from socket to socket, and the traps of 7.1 and 7.2.

use serde_json::{Value, json};

use crate::support::{Plan, Play, Server, answer, mcp};

/// A call spelled by hand.
fn spelled(params: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{params}}}"#)
}

#[tokio::test]
async fn trap_01_to_09_what_two_parsers_read_differently_never_reaches_the_server() {
    let server = Server::usual().await;
    let guard = Plan::over(&server).start().await;
    let ada = guard.ada();
    let good = spelled(r#"{"name":"read","arguments":{}}"#);
    let deep = format!(
        r#"{{"name":"read","arguments":{{"path":{}1{}}}}}"#,
        "[".repeat(80),
        "]".repeat(80)
    );
    let rows: Vec<(&str, Vec<u8>)> = vec![
        (
            "a key twice",
            spelled(r#"{"name":"read","name":"write","arguments":{}}"#).into(),
        ),
        (
            "a key twice, one escaped",
            spelled(r#"{"name":"read","na\u006de":"write"}"#).into(),
        ),
        (
            "a method twice",
            r#"{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/call"}"#.into(),
        ),
        (
            "an argument twice",
            spelled(r#"{"name":"read","arguments":{"path":"/a","path":"/vault"}}"#).into(),
        ),
        (
            "another case",
            spelled(r#"{"name":"read","Name":"write"}"#).into(),
        ),
        (
            "a long s",
            spelled("{\"name\":\"read\",\"argument\u{17f}\":{}}").into(),
        ),
        (
            "a NUL at the end",
            spelled(r#"{"name":"read","name\u0000":"write"}"#).into(),
        ),
        (
            "an integer beyond 2^53",
            spelled(r#"{"name":"wide","arguments":{"n":9007199254740993}}"#).into(),
        ),
        (
            "the same with a point",
            spelled(r#"{"name":"wide","arguments":{"n":9007199254740993.0}}"#).into(),
        ),
        (
            "an overflow",
            spelled(r#"{"name":"wide","arguments":{"n":1e400}}"#).into(),
        ),
        (
            "a lone surrogate",
            spelled(r#"{"name":"read","arguments":{"path":"\ud800"}}"#).into(),
        ),
        (
            "overlong UTF-8",
            [
                good.as_bytes().split_at(40).0,
                b"\xc0\xaf",
                good.as_bytes().split_at(40).1,
            ]
            .concat(),
        ),
        (
            "a byte order mark",
            [b"\xef\xbb\xbf", good.as_bytes()].concat(),
        ),
        ("something behind", format!("{good} {good}").into()),
        ("a comment", format!("{good}//x").into()),
        (
            "NaN",
            spelled(r#"{"name":"wide","arguments":{"n":NaN}}"#).into(),
        ),
        ("too deep", spelled(&deep).into()),
        (
            "an id with a fraction",
            good.replace("\"id\":1", "\"id\":1.5").into(),
        ),
        (
            "an id that is null",
            good.replace("\"id\":1", "\"id\":null").into(),
        ),
        (
            "an id that is an object",
            good.replace("\"id\":1", "\"id\":{}").into(),
        ),
        ("params that are an array", spelled("[]").into()),
        ("another version", good.replace("2.0", "1.0").into()),
        (
            "both a request and a response",
            good.replace("\"id\":1", "\"id\":1,\"result\":{}").into(),
        ),
        ("nothing", Vec::new()),
    ];
    for (row, body) in rows {
        let reply = ada.post(body).await;
        assert!(
            (400..=413).contains(&reply.status.as_u16()),
            "{row}: {} {}",
            reply.status,
            reply.text()
        );
        assert!(
            ![401, 403, 404, 405].contains(&reply.status.as_u16()),
            "{row}"
        );
        assert!(
            reply.code() == -32600 || reply.code() == -32700,
            "{row}: {}",
            reply.text()
        );
    }
    assert_eq!(server.of("tools/call").len(), 0);
    assert_eq!(ada.post(good).await.status, 200);
}

#[tokio::test]
async fn law_04_a_key_that_imitates_a_declared_or_judged_one_is_refused() {
    let server = Server::usual().await;
    let guard = Plan::over(&server).start().await;
    for arguments in [
        r#"{"Path":"/vault/x"}"#,
        r#"{"PATH":"/vault/x","path":"/a"}"#,
        r#"{"path\u0000":"/vault/x"}"#,
        "{\"p\u{101}th\":1,\"pAth\":2}",
    ] {
        let body = spelled(&format!(r#"{{"name":"read","arguments":{arguments}}}"#));
        let reply = guard.ada().post(body).await;
        let json = reply.json();
        let refused = json["result"]["isError"] == true || json.get("error").is_some();
        assert!(refused, "{arguments}: {json}");
    }
    assert_eq!(server.of("tools/call").len(), 0);
    let call = guard.call("tools/call").await;
    assert!(!call.end().executed);
}

#[tokio::test]
async fn law_14_what_is_unchanged_is_forwarded_and_given_out_byte_for_byte() {
    let odd = r#"{ "jsonrpc" : "2.0", "result":{"content":[],"n":9007199254740993,"d":1.10,"e":1E+2,"z":{"b":1,"a":"\u00e9\/"}},  "id":1 }"#;
    let server = Server::new(move |seen| match seen.rpc().as_str() {
        "tools/call" => Play::new(200, "application/json; charset=utf-8", odd),
        _ => mcp(&seen),
    })
    .await;
    let guard = Plan::over(&server).start().await;
    let body = "{\"id\" : 1,\t\"method\":\"tools\\/call\", \"params\":{ \"arguments\":{\"z\":1.50,\"path\":\"\\u002fa\",\"a\":1e2}, \"name\":\"read\"},\"jsonrpc\":\"2.0\"}\n";
    let reply = guard.ada().post(body).await;
    assert_eq!(reply.status, 200);
    assert_eq!(
        reply.text(),
        odd,
        "numbers beyond 2^53 and spellings stay (law 13)"
    );
    let seen = server.of("tools/call").remove(0);
    assert_eq!(String::from_utf8(seen.body.to_vec()).unwrap(), body);
}

#[tokio::test]
async fn law_13_an_answer_that_cannot_be_read_is_withheld_and_the_client_hears_that_it_may_have_run()
 {
    let rows = [
        (
            "a key twice",
            r#"{"jsonrpc":"2.0","id":1,"result":{"content":[]},"result":{"content":[]}}"#,
        ),
        ("not JSON", "<html>"),
        (
            "another's answer",
            r#"{"jsonrpc":"2.0","id":2,"result":{"content":[]}}"#,
        ),
        (
            "the id of another type",
            r#"{"jsonrpc":"2.0","id":"1","result":{"content":[]}}"#,
        ),
        (
            "a twin of result",
            r#"{"jsonrpc":"2.0","id":1,"result":{"content":[]},"Result":{"content":[]}}"#,
        ),
        ("a request", r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#),
        (
            "a BOM",
            "\u{feff}{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"content\":[]}}",
        ),
        ("nothing", ""),
    ];
    for (row, body) in rows {
        let server = Server::new(move |seen| match seen.rpc().as_str() {
            "tools/call" => Play::new(200, "application/json", body),
            _ => mcp(&seen),
        })
        .await;
        let guard = Plan::over(&server).start().await;
        let reply = guard.ada().call("read", json!({})).await;
        assert_eq!(reply.status, 502, "{row}: {}", reply.text());
        assert_eq!(reply.json()["id"], 1);
        assert_eq!(reply.code(), -32603);
        assert!(
            reply.text().contains("may have been executed"),
            "{row}: {}",
            reply.text()
        );
        let call = guard.call("tools/call").await;
        assert_eq!(call.reason(), "upstream_malformed", "{row}");
        assert!(call.end().executed);
        assert_eq!(
            server.of("tools/call").len(),
            1,
            "{row}: nothing is retried"
        );
    }
}

#[tokio::test]
async fn trap_21_and_22_answers_of_other_types_and_encodings_are_not_passed_on() {
    let rows: [(&str, u16, &str, &str); 8] = [
        ("text/html", 200, "<b>hello</b>", ""),
        ("", 200, "hello", ""),
        (
            "application/json",
            200,
            r#"{"jsonrpc":"2.0","id":1,"result":{"content":[]}}"#,
            "gzip",
        ),
        ("text/event-stream", 200, "data: {}\n\n", "br"),
        ("text/plain", 401, "who are you", ""),
        ("text/html", 403, "AKIAIOSFODNN7EXAMPLE", ""),
        ("text/plain", 302, "", ""),
        ("text/plain", 500, "at line 3", ""),
    ];
    for (kind, status, body, encoding) in rows {
        let server = Server::new(move |seen| match seen.rpc().as_str() {
            "tools/call" => {
                let play = Play::new(status, kind, body).header("location", "http://127.0.0.1:1/");
                if encoding.is_empty() {
                    play
                } else {
                    play.header("content-encoding", encoding)
                }
            }
            _ => mcp(&seen),
        })
        .await;
        let guard = Plan::over(&server).start().await;
        let reply = guard.ada().call("read", json!({})).await;
        assert_eq!(
            reply.status,
            502,
            "{kind} {status} {encoding}: {}",
            reply.text()
        );
        assert_eq!(reply.header("www-authenticate"), "");
        assert_eq!(reply.json()["id"], 1);
        assert!(body.is_empty() || !reply.text().contains(body));
        assert_eq!(guard.call("tools/call").await.ended.len(), 1);
    }
}

#[tokio::test]
async fn trap_31_a_servers_status_never_makes_a_client_log_in_or_change_its_transport() {
    for (status, told) in [
        (400, 400),
        (401, 502),
        (403, 502),
        (405, 502),
        (407, 502),
        (404, 404),
        (429, 429),
        (500, 500),
        (503, 503),
        (202, 200),
        (301, 502),
    ] {
        let server = Server::new(move |seen| match seen.rpc().as_str() {
            "tools/call" => Play::new(
                status,
                "application/json",
                json!({"jsonrpc": "2.0", "id": 1, "error": {"code": -32000, "message": "hm"}})
                    .to_string(),
            )
            .header("www-authenticate", "Bearer realm=theirs"),
            _ => mcp(&seen),
        })
        .await;
        let guard = Plan::over(&server).start().await;
        let reply = guard.ada().call("read", json!({})).await;
        assert_eq!(reply.status, told, "{status}");
        assert_eq!(reply.code(), -32000, "{status}: {}", reply.text());
        assert_eq!(reply.header("www-authenticate"), "");
    }
}

#[tokio::test]
async fn trap_13_a_uri_that_a_server_may_resolve_to_another_resource_is_refused() {
    let server = Server::usual().await;
    let guard = Plan::over(&server).start().await;
    let read = |uri: &'static str| {
        let client = guard.ada();
        async move { client.request("resources/read", json!({"uri": uri})).await }
    };
    assert!(
        read("docs://handbook/a")
            .await
            .json()
            .get("result")
            .is_some()
    );
    for uri in [
        "docs://handbook/../vault/b",
        "docs://handbook/%2e%2e/vault/b",
        "docs://handbook/..%2fvault/b",
        "docs://handbook\\..\\vault",
        "docs://handbook/a\u{0}",
        "docs://vault/b",
        "DOCS://handbook/../vault",
        "docs://user@handbook/a",
    ] {
        let reply = read(uri).await;
        assert!(
            reply.json().get("error").is_some(),
            "{uri}: {}",
            reply.text()
        );
        assert_eq!(reply.status, 200, "{uri}");
    }
    assert_eq!(server.of("resources/read").len(), 1);
}

#[tokio::test]
async fn trap_54_and_12_names_are_exact_and_what_is_hidden_is_as_if_it_were_not_there() {
    let server = Server::usual().await;
    let guard = Plan::over(&server).start().await;
    for (hidden, row) in [
        ("hidden", "hidden"),
        ("nonsense", "unknown"),
        ("READ", "other case"),
        ("read ", "a space"),
        ("re\u{430}d", "a homoglyph"),
    ] {
        for client in [guard.ada(), guard.ada().modern()] {
            let body = client.body(
                &json!(1),
                "tools/call",
                json!({"name": hidden, "arguments": {}}),
            );
            let mut client = client.mirrored(&body);
            if !hidden.is_ascii() || hidden.ends_with(' ') {
                use base64::Engine as _;
                let coded = base64::engine::general_purpose::STANDARD.encode(hidden);
                client = client.with("mcp-name", &format!("=?base64?{coded}?="));
            }
            let reply = client.post(body.to_string()).await;
            let error = json!({"code": -32602, "message": format!("Unknown tool: {hidden}")});
            assert_eq!(reply.json()["error"], error, "{row}");
            assert_eq!(reply.status, 200);
        }
    }
    assert_eq!(server.of("tools/call").len(), 0);
    assert_eq!(guard.call("tools/call").await.reason(), "unknown_tool");
}

#[tokio::test]
async fn a_denied_call_is_told_in_the_shape_of_its_revision_and_never_sent() {
    let server = Server::usual().await;
    let guard = Plan::over(&server).start().await;
    for (client, modern) in [(guard.ada(), false), (guard.ada().modern(), true)] {
        let reply = client.call("read", json!({"path": "/vault/k"})).await;
        assert_eq!(reply.status, 200);
        let result = &reply.json()["result"];
        assert_eq!(result["isError"], true);
        assert_eq!(result["content"][0]["type"], "text");
        assert!(
            result["content"][0]["text"]
                .as_str()
                .unwrap()
                .contains("the vault is closed")
        );
        assert_eq!(
            result.get("resultType"),
            modern.then_some(&json!("complete"))
        );
        let call = guard.call("tools/call").await;
        assert_eq!(call.reason(), "denied_by_rule");
        let rule = call
            .decided
            .last()
            .unwrap()
            .rule
            .as_ref()
            .unwrap()
            .to_string();
        assert!(rule.contains("never"), "{rule}");
        assert!(!call.end().executed);
    }
    let prompt = guard
        .ada()
        .request("prompts/get", json!({"name": "secret_prompt"}))
        .await;
    assert_eq!(prompt.code(), -32602);
    let resource = guard
        .ada()
        .request("resources/read", json!({"uri": "docs://vault/b"}))
        .await;
    assert_eq!(
        (resource.code(), &resource.json()["error"]["data"]["uri"]),
        (-32002, &json!("docs://vault/b"))
    );
    let modern = guard
        .ada()
        .modern()
        .request("resources/read", json!({"uri": "docs://vault/b"}))
        .await;
    assert_eq!(modern.code(), -32602);
    let level = guard
        .ada()
        .request("logging/setLevel", json!({"level": "debug"}))
        .await;
    assert_eq!((level.status.as_u16(), level.code()), (200, -32601));
    let unknown = guard
        .ada()
        .modern()
        .request("vendor/thing", json!({}))
        .await;
    assert_eq!((unknown.status.as_u16(), unknown.code()), (404, -32601));
    assert_eq!(
        server.of("tools/call").len()
            + server.of("prompts/get").len()
            + server.of("resources/read").len()
            + server.of("logging/setLevel").len()
            + server.of("vendor/thing").len(),
        0
    );
    assert!(
        guard
            .ended_calls()
            .await
            .iter()
            .all(|call| call.ended.len() == 1)
    );
}

#[tokio::test]
async fn a_notification_that_is_not_allowed_looks_refused_and_not_accepted() {
    let server = Server::usual().await;
    let guard = Plan::over(&server).start().await;
    let ada = guard.ada().session("2025-06-18").await;
    for method in ["notifications/evil", "notifications/message", "tools/call"] {
        let reply = ada.notify(method, json!({})).await;
        assert_eq!(reply.status, 400, "{method}");
        assert!(reply.json().get("id").is_none());
    }
    assert_eq!(
        ada.notify("notifications/initialized", json!({}))
            .await
            .status,
        202
    );
    let seen: Vec<_> = server.all().iter().map(crate::support::Seen::rpc).collect();
    assert_eq!(seen, ["initialize", "notifications/initialized"]);
    let notes: Vec<_> = guard
        .ended_calls()
        .await
        .into_iter()
        .filter(|call| call.requested.notification)
        .collect();
    assert_eq!(
        notes.len(),
        4 - 1,
        "a request without an id is no message: {notes:?}"
    );
    assert!(notes.iter().all(|call| call.ended.len() == 1), "law 30");
}

#[tokio::test]
async fn law_25_to_27_masks_reach_every_surface_of_an_answer() {
    let secret = "AKIAIOSFODNN7EXAMPLE";
    let escaped = r"\u0041KIAIOSFODNN7EXAMPLE";
    let text = json!({"a": {"key": secret}}).to_string();
    let body = format!(
        r#"{{"jsonrpc":"2.0","id":1,"result":{{"content":[{{"type":"text","text":"{escaped}"}},{{"type":"text","text":{}}},{{"type":"resource","resource":{{"uri":"docs://a","text":"{secret}"}}}}],"structuredContent":{{"a":{{"key":"{secret}"}},"n":1.0}},"_meta":{{"x":"{secret}"}}}}}}"#,
        Value::String(text)
    );
    let error = json!({"jsonrpc": "2.0", "id": 1, "error": {"code": -32000, "message": format!("failed for {secret}"), "data": {"trace": secret}}});
    for (body, mark) in [(body, "result"), (error.to_string(), "error")] {
        let server = Server::new(move |seen| match seen.rpc().as_str() {
            "tools/call" => Play::new(200, "application/json", body.clone()),
            _ => mcp(&seen),
        })
        .await;
        let guard = Plan::over(&server).start().await;
        let reply = guard.ada().call("read", json!({})).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        assert!(
            !reply.text().contains("IOSFODNN7EXAMPLE"),
            "{}",
            reply.text()
        );
        assert!(
            reply.json()[mark]
                .to_string()
                .contains("dev.sallyport/redacted"),
            "{}",
            reply.text()
        );
        let recorded = format!("{:?}", guard.records());
        assert!(!recorded.contains("IOSFODNN7EXAMPLE"));
        let payloads =
            std::fs::read(guard.state().join("recordings/payloads/00000001.pay")).unwrap();
        assert!(!String::from_utf8_lossy(&payloads).contains("IOSFODNN7EXAMPLE"));
    }
}

#[tokio::test]
async fn law_27_where_no_mask_fits_the_schema_the_answer_is_withheld() {
    let tools = json!([{"name": "read", "inputSchema": {"type": "object"},
        "outputSchema": {"type": "object", "properties": {"key": {"type": "string", "pattern": "^AKIA[A-Z0-9]{16}$"}}}}]);
    let server = Server::new(move |seen| match seen.rpc().as_str() {
        "tools/list" => answer(&seen, json!({"tools": tools})),
        "tools/call" => answer(
            &seen,
            json!({"content": [], "structuredContent": {"key": "AKIAIOSFODNN7EXAMPLE"}}),
        ),
        _ => mcp(&seen),
    })
    .await;
    let guard = Plan::over(&server).start().await;
    let reply = guard.ada().call("read", json!({})).await;
    let result = &reply.json()["result"];
    assert_eq!(result["isError"], true, "{}", reply.text());
    assert!(result.get("structuredContent").is_none());
    assert!(reply.text().contains("withheld"));
    let call = guard.call("tools/call").await;
    assert_eq!(call.reason(), "masking");
    assert_eq!(
        call.end().outcome,
        sallyport_policy::record::event::Outcome::Withheld
    );
    assert!(call.end().executed);
}
