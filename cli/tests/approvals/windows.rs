//! Law 22: windows of time for one tool, asked for ahead, used up, revoked.

use serde_json::{Value, json};

use crate::agent::{Era, approval, ran};
use crate::guard::{Guard, Said, policy};

fn ask_ahead(guard: &Guard, more: &[&str]) -> Said {
    let words = [
        "request",
        "--gateway",
        "shop",
        "--for",
        "30m",
        "--as",
        "ada",
        "--group",
        "clerks",
        "-o",
        "json",
    ];
    guard.run(&[&words[..], more].concat())
}

fn asked(guard: &Guard, more: &[&str]) -> String {
    let said = ask_ahead(guard, more);
    assert_eq!(said.code, 0, "{}", said.err);
    let request: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(request["kind"], "McpAccessRequest");
    assert_eq!(request["status"]["phase"], "Pending");
    assert_eq!(request["spec"]["grant"]["scope"], "Tool");
    assert!(
        request["spec"]["call"]["pin"].is_string(),
        "bound to the tool's definition"
    );
    request["metadata"]["name"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn law_22_a_window_lets_its_tool_run_as_often_as_it_says() {
    for era in Era::ALL {
        let guard = Guard::up(&policy("200ms", 1));
        let agent = guard.agent(era).await;
        let request = asked(
            &guard,
            &[
                "--tool",
                "write",
                "--client",
                "restocker",
                "--max-uses",
                "2",
                "--reason",
                "stocktaking",
            ],
        );
        let call = |sku: &str| agent.plain("write", json!({ "sku": sku }));
        assert_eq!(
            approval(&call("early").answer().await)["status"],
            "pending",
            "not approved yet"
        );
        guard.approve(&request);
        let other_tool = agent.plain("slow", json!({})).answer().await;
        assert_eq!(approval(&other_tool)["status"], "pending", "{other_tool}");
        let other_client = guard.agent_of("ada", "other-agent", era).await;
        let other_client = other_client
            .plain("write", json!({ "sku": "a" }))
            .answer()
            .await;
        assert_eq!(
            approval(&other_client)["status"],
            "pending",
            "{other_client}"
        );
        assert!(ran(&call("a").answer().await), "{era:?}: first use");
        assert!(
            ran(&call("b").answer().await),
            "{era:?}: second use, other arguments"
        );
        let third = call("c").answer().await;
        assert_eq!(
            approval(&third)["status"],
            "pending",
            "{era:?}: used up: {third}"
        );
        assert_eq!(guard.ran(), ["write", "write"], "{era:?}");
        guard.phase_is(&request, "Consumed").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn law_22_racing_calls_get_no_more_uses_than_the_window_has() {
    let guard = Guard::up(&policy("200ms", 1));
    let agent = guard.agent(Era::Legacy).await;
    let request = asked(
        &guard,
        &[
            "--tool",
            "write",
            "--client",
            "restocker",
            "--max-uses",
            "3",
        ],
    );
    guard.approve(&request);
    let calls: Vec<_> = (0..12)
        .map(|sku| agent.plain("write", json!({ "sku": sku })))
        .collect();
    let mut succeeded = 0;
    for call in calls {
        succeeded += usize::from(ran(&call.answer().await));
    }
    assert_eq!((succeeded, guard.ran().len()), (3, 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn law_22_a_window_for_any_client_says_so_to_the_approver() {
    let guard = Guard::up(&policy("200ms", 1));
    let agent = guard.agent_of("ada", "whoever", Era::Legacy).await;
    let request = asked(&guard, &["--tool", "write"]);
    let said = guard.review("approve", &request, "bob");
    assert!(said.err.contains("ada via any agent"), "{}", said.err);
    assert!(
        said.err
            .contains("any number of calls of this tool for 30m"),
        "{}",
        said.err
    );
    assert!(ran(&agent.plain("write", json!({})).answer().await));
}

#[tokio::test(flavor = "multi_thread")]
async fn law_22_revoke_ends_the_running_call_its_client_and_its_server_hear_of_it() {
    for era in Era::ALL {
        let guard = Guard::up(&policy("45s", 1));
        let agent = guard.agent(era).await;
        let request = asked(&guard, &["--tool", "slow", "--client", "restocker"]);
        guard.approve(&request);
        let call = agent.call("slow", json!({ "sku": "chair" }));
        guard.ran_at_last("slow").await;
        let begun = std::time::Instant::now();
        let said = guard.review("revoke", &request, "bob");
        assert_eq!(said.code, 0, "{}", said.err);
        assert!(said.out.contains("Revoked"), "{}", said.out);
        let answer = call.answer().await;
        assert!(
            begun.elapsed().as_secs() < 8,
            "{era:?}: at once, not when the server is done"
        );
        assert_eq!(approval(&answer)["status"], "revoked", "{era:?}: {answer}");
        guard.ran_at_last("cancelled").await;
        guard.phase_is(&request, "Revoked").await;
        let item = guard
            .requests()
            .into_iter()
            .find(|item| item["metadata"]["name"] == *request);
        assert_eq!(item.unwrap()["status"]["outcome"], "Unknown", "{era:?}");
        let again = agent.plain("slow", json!({ "sku": "table" }));
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        assert_eq!(
            guard.ran(),
            ["slow", "cancelled"],
            "{era:?}: nothing runs under it any more"
        );
        again.hang_up().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn law_22_revoke_ends_a_call_approved_by_itself_too() {
    let guard = Guard::up(&policy("45s", 1));
    let agent = guard.agent(Era::Legacy).await;
    let call = agent.plain("slow", json!({ "sku": "chair" }));
    let request = guard.request_in("Pending").await;
    guard.approve(&request);
    guard.ran_at_last("slow").await;
    assert_eq!(guard.review("revoke", &request, "bob").code, 0);
    assert_eq!(approval(&call.answer().await)["status"], "revoked");
    guard.ran_at_last("cancelled").await;
    let again = agent
        .plain("slow", json!({ "sku": "chair" }))
        .answer()
        .await;
    assert_eq!(
        approval(&again)["status"],
        "revoked",
        "a repeat is refused: {again}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn law_22_what_no_window_can_be_asked_for_is_refused_in_words() {
    let guard = Guard::up(&policy("200ms", 1));
    let early = ask_ahead(&guard, &["--tool", "write"]);
    assert_eq!(early.code, 1);
    assert!(
        early
            .err
            .contains("let a client list the server's tools once"),
        "{}",
        early.err
    );
    guard.agent(Era::Legacy).await;
    for (name, words, told) in [
        ("free", vec!["--tool", "look"], "needs no approval"),
        (
            "unknown",
            vec!["--tool", "nothing"],
            "no trusted definition of a tool `nothing`",
        ),
        (
            "other gateway",
            vec!["--tool", "write", "--gateway", "other"],
            "",
        ),
        (
            "other issuer",
            vec!["--tool", "write", "--issuer", "https://idp.example.com"],
            "is not an issuer of this gateway",
        ),
    ] {
        let said = ask_ahead(&guard, &words);
        assert_ne!(said.code, 0, "{name}");
        assert!(said.err.contains(told), "{name}: {}", said.err);
    }
    let wrong = guard.run(&[
        "request",
        "--gateway",
        "other",
        "--tool",
        "write",
        "--for",
        "5m",
        "--as",
        "ada",
    ]);
    assert_eq!(wrong.code, 1);
    assert!(wrong.err.contains("not `other`"), "{}", wrong.err);
    assert!(guard.names().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn law_22_a_window_outlives_the_guards_restart_with_the_uses_it_has_left() {
    let mut guard = Guard::up(&policy("200ms", 1));
    guard.agent(Era::Legacy).await;
    let request = asked(
        &guard,
        &[
            "--tool",
            "write",
            "--client",
            "restocker",
            "--max-uses",
            "2",
        ],
    );
    guard.approve(&request);
    let agent = guard.agent(Era::Legacy).await;
    assert!(ran(&agent
        .plain("write", json!({ "sku": 1 }))
        .answer()
        .await));
    guard.restart();
    let second = asked(&guard, &["--tool", "slow"]);
    assert_ne!(
        second, request,
        "what was trusted before counts before anybody has listed"
    );
    let agent = guard.agent(Era::Legacy).await;
    assert!(ran(&agent
        .plain("write", json!({ "sku": 2 }))
        .answer()
        .await));
    assert!(!ran(&agent
        .plain("write", json!({ "sku": 3 }))
        .answer()
        .await));
    assert_eq!(guard.ran(), ["write", "write"]);
}
