//! Laws 8 and 15: each limit has an error of its own, and slow or greedy peers cost bounded memory.

use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{Guard, Plan, Play, Server, Step, Token, event, mcp, raw, soon, until};

#[tokio::test]
async fn law_08_an_exhausted_budget_is_a_tool_error_that_says_when_to_come_back() {
    let server = Server::usual().await;
    let budget = json!({"budgets": [{"tools": ["*"], "calls": 2, "per": "1h", "by": "Principal"}]});
    let guard = Plan::over(&server).with("limits", budget).start().await;
    for _ in 0..2 {
        assert_eq!(
            guard.ada().call("read", json!({})).await.json()["result"]["content"][0]["text"],
            "done"
        );
    }
    for client in [guard.ada(), guard.ada().modern()] {
        let reply = client.call("read", json!({})).await;
        assert_eq!(reply.status, 200);
        let result = &reply.json()["result"];
        assert_eq!(result["isError"], true);
        assert!(
            result["_meta"]["dev.sallyport/retryAfter"]
                .as_u64()
                .unwrap()
                > 60,
            "{result}"
        );
        assert_eq!(guard.call("tools/call").await.reason(), "budget_exhausted");
    }
    assert_eq!(
        guard.eve().call("read", json!({})).await.json()["result"]["content"][0]["text"],
        "done"
    );
    assert_eq!(server.of("tools/call").len(), 3);
}

#[tokio::test]
async fn law_08_too_many_calls_at_once_are_refused_and_a_slot_frees_itself() {
    let server = Server::new(|seen| match seen.rpc().as_str() {
        "tools/call" => mcp(&seen).after(Duration::from_millis(800)),
        _ => mcp(&seen),
    })
    .await;
    let guard = Plan::over(&server)
        .with("limits", json!({"concurrentCalls": 1}))
        .start()
        .await;
    let first = guard.ada();
    let running = tokio::spawn(async move { first.call("read", json!({})).await });
    until("the call", || server.of("tools/call").pop()).await;
    let reply = guard.eve().call("read", json!({})).await;
    assert_eq!(reply.json()["result"]["isError"], true, "{}", reply.text());
    assert_eq!(guard.call("tools/call").await.reason(), "too_many_calls");
    assert_eq!(running.await.unwrap().status, 200);
    assert_eq!(
        guard.eve().call("read", json!({})).await.json()["result"]["content"][0]["text"],
        "done"
    );
}

#[tokio::test]
async fn law_08_beyond_tools_too_many_calls_are_429_with_the_time_to_come_back() {
    let server = Server::new(|seen| match seen.rpc().as_str() {
        "tools/call" => mcp(&seen).after(Duration::from_millis(800)),
        _ => mcp(&seen),
    })
    .await;
    let guard = Plan::over(&server)
        .with("limits", json!({"concurrentCalls": 1}))
        .start()
        .await;
    let first = guard.ada();
    let running = tokio::spawn(async move { first.call("read", json!({})).await });
    until("the call", || server.of("tools/call").pop()).await;
    let params = json!({"name": "summarise"});
    let reply = guard.eve().request("prompts/get", params).await;
    assert_eq!(reply.status, 429, "{}", reply.text());
    assert_eq!(reply.header("retry-after"), "1");
    assert_eq!(reply.code(), 4290);
    let data = &reply.json()["error"]["data"];
    assert_eq!(data["dev.sallyport/denied"]["reason"], "too_many_calls");
    assert_eq!(data["dev.sallyport/retryAfter"], 1);
    let eve = guard.eve();
    let note = eve.notify("notifications/initialized", json!({})).await;
    assert_eq!(note.status, 429, "{}", note.text());
    assert_eq!(running.await.unwrap().status, 200);
    assert_eq!(server.of("prompts/get").len(), 0);
}

#[tokio::test]
async fn law_08_too_many_pending_requests_say_when_to_come_back() {
    let server = Server::usual().await;
    let approval = json!({"approvers": [{"groups": ["leads"]}]});
    let rules = json!([{"name": "hold", "effect": "RequireApproval", "tools": ["write"],
        "resources": ["docs://handbook/**"], "approval": approval}]);
    let guard = Plan::over(&server)
        .rules(rules)
        .with("approvals", json!({"hold": "1s", "maxPending": 1}))
        .approving()
        .start()
        .await;
    let first = guard.ada().call("write", json!({"path": "/a"})).await;
    let meta = &first.json()["result"]["_meta"];
    assert_eq!(meta["dev.sallyport/approval"]["status"], "pending");
    let reply = guard.ada().call("write", json!({"path": "/b"})).await;
    assert_eq!(reply.status, 200);
    let result = &reply.json()["result"];
    assert_eq!(result["isError"], true, "{result}");
    let denied = &result["_meta"]["dev.sallyport/denied"];
    assert_eq!(denied["reason"], "too_many_pending");
    assert_eq!(result["_meta"]["dev.sallyport/retryAfter"], 2);
    let text = result["content"][0]["text"].as_str().unwrap();
    assert!(text.contains("await approval"), "{text}");
    let uri = json!({"uri": "docs://handbook/a"});
    let other = guard.ada().request("resources/read", uri).await;
    assert_eq!((other.status.as_u16(), other.code()), (429, 4290));
    assert_eq!(other.header("retry-after"), "2");
    assert_eq!(server.of("tools/call").len(), 0);
    assert_eq!(server.of("resources/read").len(), 0);
}

#[tokio::test]
async fn law_15_the_limit_of_answers_changes_with_the_policy() {
    let server = Server::new(|seen| match seen.rpc().as_str() {
        "tools/call" => crate::support::answer(
            &seen,
            json!({"content": [{"type": "text", "text": "x".repeat(200_000)}]}),
        ),
        _ => mcp(&seen),
    })
    .await;
    let mut guard = Plan::over(&server)
        .with("limits", json!({"responseBytes": "64Ki"}))
        .start()
        .await;
    let rules = json!([{"name": "read", "effect": "Allow", "tools": ["read"]}]);
    for (limit, fits) in [("64Ki", false), ("1Mi", true), ("32Ki", false)] {
        guard.gateway["limits"] = json!({"responseBytes": limit});
        guard.replace(rules.clone());
        let reply = guard.ada().call("read", json!({})).await;
        assert_eq!(reply.status == 200, fits, "{limit}: {}", reply.status);
    }
}

#[tokio::test]
async fn law_15_bodies_beyond_the_limit_are_refused_unread_and_by_their_chunks() {
    let server = Server::usual().await;
    let guard = Plan::over(&server)
        .with("limits", json!({"requestBytes": "64Ki"}))
        .start()
        .await;
    let big = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "read", "arguments": {"path": "x".repeat(70_000)}}}).to_string();
    let reply = guard.ada().post(big.clone()).await;
    assert_eq!((reply.status.as_u16(), reply.code()), (413, -32600));
    let token = guard.token(&Token::default());
    let chunked = format!(
        "POST /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{big}\r\n0\r\n\r\n",
        big.len()
    );
    assert!(
        raw(guard.address, chunked.as_bytes())
            .await
            .starts_with("HTTP/1.1 413")
    );
    assert_eq!(guard.refused("request_too_large"), 2);
    assert_eq!(server.all().len(), 0);
}

#[tokio::test]
async fn law_15_above_the_memory_of_the_process_new_calls_are_refused() {
    let server = Server::usual().await;
    let guard = Plan::over(&server)
        .with("limits", json!({"memory": "64Ki"}))
        .start()
        .await;
    let body = |bytes: usize| {
        json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "read", "arguments": {"path": "x".repeat(bytes)}}}).to_string()
    };
    let reply = guard.ada().post(body(40_000)).await;
    assert_eq!(reply.status, 503, "{}", reply.text());
    assert_eq!(reply.header("retry-after"), "1");
    let token = guard.token(&Token::default());
    let big = body(40_000);
    let chunked = format!(
        "POST /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{big}\r\n0\r\n\r\n",
        big.len()
    );
    assert!(
        raw(guard.address, chunked.as_bytes())
            .await
            .starts_with("HTTP/1.1 503"),
        "a body in chunks counts too"
    );
    assert_eq!(guard.refused("memory"), 2);
    assert_eq!(server.all().len(), 0);
    assert_eq!(guard.ada().post(body(10)).await.status, 200);
    all_given_back(&guard).await;
}

/// Whoever sends an answer lets go of it a moment after its client has it.
async fn all_given_back(guard: &Guard) {
    until("all memory is given back", || {
        let metrics = guard.metrics();
        metrics.contains("sallyport_bodies_bytes 0\n").then_some(())
    })
    .await;
}

fn bodies(guard: &Guard) -> usize {
    let metrics = guard.metrics();
    let line = metrics
        .lines()
        .find_map(|line| line.strip_prefix("sallyport_bodies_bytes "));
    line.unwrap().parse().unwrap()
}

#[tokio::test]
async fn law_15_what_waits_for_a_client_that_does_not_read_counts_until_it_leaves() {
    let text = "x".repeat(1 << 20);
    let server = Server::new(move |seen| match seen.rpc().as_str() {
        "tools/call" => {
            let note = json!({"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info", "data": text}});
            let mut steps: Vec<Step> = (0..40).map(|_| event(&note)).collect();
            steps.push(Step::Hang);
            Play::events(steps)
        }
        _ => mcp(&seen),
    })
    .await;
    let guard = Plan::over(&server)
        .with("limits", json!({"memory": "8Mi"}))
        .start()
        .await;
    let slow = guard.ada().session("2025-06-18").await;
    let call = json!({"name": "read", "arguments": {}});
    let stream = slow.streaming(&json!(5), "tools/call", call).await;
    until("more is held than may be", || {
        (bodies(&guard) > 8 << 20).then_some(())
    })
    .await;
    let refused = guard.eve().call("read", json!({})).await;
    assert_eq!(refused.status, 503, "{}", refused.text());
    drop(stream);
    until("what waited is given back", || {
        (bodies(&guard) < 8 << 20).then_some(())
    })
    .await;
}

#[tokio::test]
async fn law_15_an_answer_beyond_the_limit_is_not_given_out() {
    let big = "x".repeat(200_000);
    let (json_big, event_big) = (big.clone(), big);
    let plain = Server::new(move |seen| match seen.rpc().as_str() {
        "tools/call" => crate::support::answer(
            &seen,
            json!({"content": [{"type": "text", "text": json_big}]}),
        ),
        _ => mcp(&seen),
    })
    .await;
    let streamed = Server::new(move |seen| match seen.rpc().as_str() {
        "tools/call" => Play::events(vec![
            event(&crate::support::result_of(
                &seen,
                json!({"content": [{"type": "text", "text": event_big}]}),
            )),
            Step::Hang,
        ]),
        _ => mcp(&seen),
    })
    .await;
    for server in [plain, streamed] {
        let guard = Plan::over(&server)
            .with("limits", json!({"responseBytes": "64Ki"}))
            .start()
            .await;
        let reply = guard.ada().call("read", json!({})).await;
        let text = reply.text();
        assert!(
            text.contains("too large") && text.contains("may have been executed"),
            "{text}"
        );
        assert!(text.len() < 1000);
        assert_eq!(
            guard.call("tools/call").await.reason(),
            "response_too_large"
        );
    }
}

#[tokio::test]
async fn a_head_that_trickles_in_is_cut_off() {
    let server = Server::usual().await;
    let guard = Plan::over(&server).start().await;
    let mut slow = tokio::net::TcpStream::connect(guard.address).await.unwrap();
    slow.write_all(b"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\n")
        .await
        .unwrap();
    let cut = tokio::time::timeout(Duration::from_secs(20), async {
        let mut buffer = [0; 512];
        while matches!(slow.read(&mut buffer).await, Ok(read) if read > 0) {}
    });
    let (cut, served) = tokio::join!(cut, async {
        soon("another caller", guard.ada().request("ping", json!({})))
            .await
            .status
    });
    assert!(cut.is_ok(), "the head has a time limit");
    assert_eq!(served, 200);
}

#[tokio::test]
async fn a_connection_that_never_asks_is_closed_whatever_it_began_with() {
    let server = Server::usual().await;
    let guard = Plan::over(&server).start().await;
    let silent = [
        "",
        "P",
        "PRI * HTTP/2.0\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ];
    let closed = silent.map(|began| {
        let address = guard.address;
        tokio::spawn(async move {
            let mut peer = tokio::net::TcpStream::connect(address).await.unwrap();
            peer.write_all(began.as_bytes()).await.unwrap();
            let mut buffer = [0; 512];
            while matches!(peer.read(&mut buffer).await, Ok(read) if read > 0) {}
        })
    });
    for (began, closed) in silent.iter().zip(closed) {
        let closed = tokio::time::timeout(Duration::from_secs(30), closed).await;
        assert!(closed.is_ok(), "{began:?} keeps a connection for ever");
    }
}

#[tokio::test]
async fn heads_have_a_size_and_a_number_of_headers() {
    let server = Server::usual().await;
    let guard = Plan::over(&server).start().await;
    let large = guard
        .ada()
        .with("x-large", &"x".repeat(100_000))
        .request("ping", json!({}))
        .await;
    assert!(
        [400, 413, 431].contains(&large.status.as_u16()),
        "{}",
        large.status
    );
    let mut many = guard.ada();
    for number in 0..150 {
        many = many.with(&format!("x-{number}"), "1");
    }
    let many = many.request("ping", json!({})).await;
    assert!(
        [400, 431].contains(&many.status.as_u16()),
        "{}",
        many.status
    );
    assert_eq!(server.all().len(), 0);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_told_as_such() {
    let target = sallyport_sidecar::run::Target::Http("http://127.0.0.1:1/mcp".parse().unwrap());
    let guard = Plan::to(target).start().await;
    for (method, params) in [
        ("ping", json!({})),
        ("tools/call", json!({"name": "read", "arguments": {}})),
    ] {
        let reply = guard.ada().request(method, params).await;
        assert_eq!(
            (reply.status.as_u16(), reply.code()),
            (502, -32603),
            "{}",
            reply.text()
        );
        assert_eq!(reply.json()["id"], 1);
        let call = guard.call(method).await;
        assert_eq!(
            call.end().outcome,
            sallyport_policy::record::event::Outcome::UpstreamFailed
        );
    }
}
