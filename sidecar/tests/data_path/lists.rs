//! Laws 28 and 29: lists, what may be kept of them, and the definitions behind them.

use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::support::{Plan, Server, answer, mcp};

fn names(list: &Value, member: &str, key: &str) -> Vec<String> {
    let items = list["result"][member].as_array().unwrap();
    items
        .iter()
        .map(|item| item[key].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn law_28_each_caller_sees_its_own_lists_and_keeps_them_for_itself() {
    let server = Server::usual().await;
    let guard = Plan::over(&server).start().await;
    for (client, modern) in [(guard.ada(), false), (guard.ada().modern(), true)] {
        let tools = client.request("tools/list", json!({})).await.json();
        assert_eq!(names(&tools, "tools", "name"), ["read", "wide"]);
        let prompts = client.request("prompts/list", json!({})).await.json();
        assert_eq!(names(&prompts, "prompts", "name"), ["summarise"]);
        let resources = client.request("resources/list", json!({})).await.json();
        assert_eq!(names(&resources, "resources", "uri"), ["docs://handbook/a"]);
        let page = client
            .request("resources/read", json!({"uri": "docs://handbook/a"}))
            .await
            .json();
        for list in [tools, prompts, resources, page] {
            let result = &list["result"];
            if modern {
                assert_eq!(result["cacheScope"], "private", "{list}");
                assert!(result["ttlMs"].as_u64().unwrap() <= 30_000, "{list}");
            } else {
                assert!(result.get("ttlMs").is_none(), "{list}");
            }
        }
    }
    let nobody = guard.client(&crate::support::Token {
        groups: &[],
        ..Default::default()
    });
    let tools = nobody.request("tools/list", json!({})).await;
    assert_eq!(tools.status, 200);
    assert_eq!(tools.json()["result"]["tools"], json!([]));
}

#[tokio::test]
async fn law_01_a_client_hears_of_logging_only_where_it_could_set_the_level() {
    let level = |effect: &str| {
        json!([{"name": "read", "effect": "Allow", "tools": ["read"]},
               {"name": "level", "effect": effect, "methods": ["logging/setLevel"]}])
    };
    let server = Server::usual().await;
    for (rules, offered) in [(level("Allow"), true), (level("Deny"), false)] {
        let guard = Plan::over(&server).rules(rules).start().await;
        let agreed = guard.ada().initialize("2025-11-25").await.json();
        let capabilities = &agreed["result"]["capabilities"];
        assert_eq!(capabilities.get("logging").is_some(), offered, "{agreed}");
        assert!(capabilities.get("tools").is_some(), "{agreed}");
    }
}

/// A server with two pages, the second of which a test chooses.
async fn paged(second: Value) -> Server {
    Server::new(move |seen| {
        match (
            seen.rpc().as_str(),
            seen.json()["params"]["cursor"].as_str(),
        ) {
            ("tools/list", None) => answer(
                &seen,
                json!({"tools": [
            {"name": "read", "inputSchema": {"type": "object"}},
            {"name": "wide", "inputSchema": {"type": "object"}}], "nextCursor": "p 2/ü"}),
            ),
            ("tools/list", Some(_)) => answer(&seen, json!({"tools": second})),
            _ => mcp(&seen),
        }
    })
    .await
}

#[tokio::test]
async fn law_28_cursors_stay_as_they_are_and_every_page_is_filtered() {
    let server = paged(json!([{"name": "hidden", "inputSchema": {"type": "object"}}])).await;
    let guard = Plan::over(&server).start().await;
    let first = guard.ada().request("tools/list", json!({})).await.json();
    assert_eq!(first["result"]["nextCursor"], "p 2/ü");
    let second = guard
        .ada()
        .request("tools/list", json!({"cursor": "p 2/ü"}))
        .await
        .json();
    assert_eq!(
        second["result"]["tools"],
        json!([]),
        "an empty page is legal"
    );
    assert_eq!(
        server.of("tools/list")[1].json()["params"]["cursor"],
        "p 2/ü"
    );
}

#[tokio::test]
async fn law_29_a_call_to_a_tool_that_was_not_listed_lists_all_pages_first() {
    let server = paged(json!([{"name": "read_more", "inputSchema": {"type": "object"}}])).await;
    let rules = json!([{"name": "all", "effect": "Allow", "tools": ["*"]}]);
    let guard = Plan::over(&server).rules(rules).start().await;
    assert_eq!(guard.ada().call("read_more", json!({})).await.status, 200);
    let order: Vec<_> = server.all().iter().map(crate::support::Seen::rpc).collect();
    assert_eq!(order, ["tools/list", "tools/list", "tools/call"]);
    let reply = guard.ada().call("nonsense", json!({})).await;
    assert_eq!(reply.code(), -32602);
    assert_eq!(server.of("tools/call").len(), 1);
}

#[tokio::test]
async fn law_29_a_name_that_two_pages_define_differently_is_quarantined() {
    let other =
        json!([{"name": "read", "description": "another", "inputSchema": {"type": "object"}}]);
    let server = paged(other).await;
    let guard = Plan::over(&server).start().await;
    let reply = guard.ada().call("read", json!({})).await;
    assert_eq!(reply.code(), -32602, "{}", reply.text());
    assert_eq!(guard.call("tools/call").await.reason(), "tool_quarantined");
    assert_eq!(server.of("tools/call").len(), 0);
    assert_eq!(guard.ada().call("wide", json!({})).await.status, 200);
}

#[tokio::test]
async fn law_29_a_definition_that_changed_after_review_is_quarantined_until_it_is_accepted() {
    let version = Arc::new(AtomicUsize::new(0));
    let shown = Arc::clone(&version);
    let server = Server::new(move |seen| match seen.rpc().as_str() {
        "tools/list" => {
            let description = format!("version {}", shown.load(Ordering::SeqCst));
            answer(
                &seen,
                json!({"tools": [
                {"name": "read", "description": description, "inputSchema": {"type": "object"}},
                {"name": "wide", "inputSchema": {"type": "object"}}]}),
            )
        }
        _ => mcp(&seen),
    })
    .await;
    let guard = Plan::over(&server).start().await;
    assert_eq!(
        guard.ada().call("read", json!({})).await.json()["result"]["content"][0]["text"],
        "done"
    );
    version.store(1, Ordering::SeqCst);
    let list = guard.ada().request("tools/list", json!({})).await.json();
    assert_eq!(
        names(&list, "tools", "name"),
        ["wide"],
        "the changed one is gone from the list"
    );
    let reply = guard.ada().call("read", json!({})).await;
    assert_eq!(reply.code(), -32602);
    assert_eq!(guard.call("tools/call").await.reason(), "tool_quarantined");
    assert_eq!(guard.ada().call("wide", json!({})).await.status, 200);
    assert_eq!(server.of("tools/call").len(), 2);
}

#[tokio::test]
async fn law_29_after_list_changed_the_next_call_looks_again_and_a_tool_that_is_gone_is_gone() {
    let gone = Arc::new(AtomicUsize::new(0));
    let (listed, told) = (Arc::clone(&gone), Arc::clone(&gone));
    let server = Server::new(move |seen| match seen.rpc().as_str() {
        "tools/list" if listed.load(Ordering::SeqCst) > 0 => answer(
            &seen,
            json!({"tools": [{"name": "wide", "inputSchema": {"type": "object"}}]}),
        ),
        "tools/call" if seen.json()["params"]["name"] == "wide" => {
            told.store(1, Ordering::SeqCst);
            crate::support::Play::events(vec![
                crate::support::event(
                    &json!({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"}),
                ),
                crate::support::event(&crate::support::result_of(&seen, json!({"content": []}))),
            ])
        }
        _ => mcp(&seen),
    })
    .await;
    let guard = Plan::over(&server).start().await;
    assert_eq!(guard.ada().call("read", json!({})).await.status, 200);
    let heard = guard
        .ada()
        .streaming(
            &json!(2),
            "tools/call",
            json!({"name": "wide", "arguments": {}}),
        )
        .await
        .rest()
        .await;
    assert_eq!(heard.len(), 2, "{heard:?}");
    let reply = guard.ada().call("read", json!({})).await;
    assert_eq!(reply.code(), -32602, "{}", reply.text());
    assert_eq!(server.of("tools/list").len(), 2);
}

#[tokio::test]
async fn law_29_where_the_list_cannot_be_read_nothing_is_called() {
    let broken = Arc::new(AtomicUsize::new(1));
    let state = Arc::clone(&broken);
    let server = Server::new(move |seen| match seen.rpc().as_str() {
        "tools/list" if state.load(Ordering::SeqCst) == 1 => {
            crate::support::Play::new(500, "text/plain", "no")
        }
        _ => mcp(&seen),
    })
    .await;
    let guard = Plan::over(&server).start().await;
    let reply = guard.ada().call("read", json!({})).await;
    assert_eq!(reply.json()["result"]["isError"], true, "{}", reply.text());
    assert!(
        reply.text().contains("nothing was done"),
        "{}",
        reply.text()
    );
    assert_eq!(guard.call("tools/call").await.reason(), "tools_not_listed");
    assert_eq!(server.of("tools/call").len(), 0);
    broken.store(0, Ordering::SeqCst);
    assert_eq!(
        guard.ada().call("read", json!({})).await.json()["result"]["content"][0]["text"],
        "done"
    );
}
