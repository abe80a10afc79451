//! Law 21: at most once, through races, crashes and legs.

use serde_json::json;

use crate::agent::{Agent, Era, approval, ran, text};
use crate::guard::{Guard, policy, until};

#[tokio::test(flavor = "multi_thread")]
async fn law_21_fifty_racing_repeats_run_once_and_the_others_hear_that_it_was_used() {
    let guard = Guard::up(&policy("45s", 1));
    let agents = [
        guard.agent(Era::Legacy).await,
        guard.agent(Era::Newest).await,
        guard.agent(Era::Oldest).await,
    ];
    let calls: Vec<_> = (0..50)
        .map(|number| {
            let agent = &agents[number % agents.len()];
            let arguments = json!({ "sku": "chair" });
            match number % 2 {
                0 => agent.call("write", arguments),
                _ => agent.plain("write", arguments),
            }
        })
        .collect();
    let request = guard.request_in("Pending").await;
    // All of them wait, or are about to.
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    assert_eq!(guard.names().len(), 1, "they share one request");
    guard.approve(&request);
    let mut succeeded = 0;
    for call in calls {
        let answer = call.answer().await;
        if ran(&answer) {
            succeeded += 1;
        } else {
            assert_eq!(approval(&answer)["status"], "used", "{answer}");
        }
    }
    assert_eq!(succeeded, 1);
    assert_eq!(guard.ran(), ["write"]);
}

/// The request that a call left behind which nobody waits for any more.
async fn left_behind(guard: &Guard, agent: &Agent) -> String {
    let call = agent.plain("write", json!({ "sku": "chair" }));
    let request = guard.request_in("Pending").await;
    call.hang_up().await;
    request
}

#[tokio::test(flavor = "multi_thread")]
async fn law_21_killed_while_a_call_is_pending_the_request_lives_and_runs_once() {
    for era in Era::ALL {
        let mut guard = Guard::up(&policy("45s", 1));
        let agent = guard.agent(era).await;
        let call = agent.call("write", json!({ "sku": "chair" }));
        let request = guard.request_in("Pending").await;
        guard.kill();
        let listed = guard.requests();
        assert_eq!(
            listed[0]["status"]["phase"], "Pending",
            "read from its file"
        );
        call.hang_up().await;
        guard.start();
        let agent = guard.agent(era).await;
        let again = agent.call("write", json!({ "sku": "chair" }));
        until("it waits", || !again.progress().is_empty()).await;
        assert_eq!(guard.names().len(), 1, "{era:?}: it joined the old one");
        guard.approve(&request);
        assert!(ran(&again.answer().await), "{era:?}");
        assert_eq!(guard.ran(), ["write"], "{era:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn law_21_killed_after_the_approval_it_still_runs_once() {
    let mut guard = Guard::up(&policy("45s", 1));
    let agent = guard.agent(Era::Legacy).await;
    let request = left_behind(&guard, &agent).await;
    guard.approve(&request);
    guard.restart();
    let agent = guard.agent(Era::Legacy).await;
    let repeat = || agent.plain("write", json!({ "sku": "chair" }));
    assert!(ran(&repeat().answer().await));
    assert_eq!(approval(&repeat().answer().await)["status"], "used");
    assert_eq!(guard.ran(), ["write"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn law_21_killed_while_the_call_runs_its_repeat_hears_used_outcome_unknown() {
    for era in Era::ALL {
        let mut guard = Guard::up(&policy("45s", 1));
        let agent = guard.agent(era).await;
        let call = agent.call("slow", json!({ "sku": "chair" }));
        let request = guard.request_in("Pending").await;
        guard.approve(&request);
        guard.ran_at_last("slow").await;
        guard.kill();
        call.hang_up().await;
        guard.start();
        let agent = guard.agent(era).await;
        for _ in 0..2 {
            let again = agent
                .plain("slow", json!({ "sku": "chair" }))
                .answer()
                .await;
            let status = approval(&again)["status"].clone();
            assert_eq!(status, "used_outcome_unknown", "{era:?}: {again}");
            assert!(text(&again).contains("unknown"), "{}", text(&again));
        }
        let told = &guard.requests()[0]["status"];
        assert_eq!(
            (&told["phase"], &told["outcome"]),
            (&"Consumed".into(), &"Unknown".into())
        );
        assert_eq!(guard.ran(), ["slow"], "{era:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn law_21_killed_after_the_call_its_repeat_hears_that_it_was_used() {
    let mut guard = Guard::up(&policy("45s", 1));
    let agent = guard.agent(Era::Newest).await;
    let call = agent.plain("write", json!({ "sku": "chair" }));
    let request = guard.request_in("Pending").await;
    guard.approve(&request);
    assert!(ran(&call.answer().await));
    guard.restart();
    let agent = guard.agent(Era::Newest).await;
    let again = agent
        .plain("write", json!({ "sku": "chair" }))
        .answer()
        .await;
    assert_eq!(approval(&again)["status"], "used", "{again}");
    assert_eq!(guard.ran(), ["write"]);
}

/// Whatever instant the kill finds, the server has run the call at most once, and never without an approval.
#[tokio::test(flavor = "multi_thread")]
async fn law_21_killed_at_any_instant_around_the_approval_it_runs_at_most_once() {
    for delay in [0, 1, 2, 4, 8, 16, 32] {
        let mut guard = Guard::up(&policy("45s", 1));
        let agent = guard.agent(Era::Legacy).await;
        let call = agent.plain("write", json!({ "sku": "chair" }));
        let request = guard.request_in("Pending").await;
        let mut approving = guard.command();
        approving.args([
            "approve", &request, "--as", "bob", "--group", "leads", "--state",
        ]);
        let mut approving = approving
            .arg(guard.state())
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(delay)).await;
        guard.kill();
        approving.wait().unwrap();
        call.hang_up().await;
        guard.start();
        let agent = guard.agent(Era::Legacy).await;
        let again = agent.call("write", json!({ "sku": "chair" }));
        until("it waits or is answered", || {
            again.is_over() || !again.progress().is_empty()
        })
        .await;
        if !again.is_over() {
            assert!(
                guard.ran().is_empty(),
                "after {delay} ms: it runs only when approved"
            );
            guard.approve(&request);
        }
        again.answer().await;
        assert!(
            guard.ran().len() <= 1,
            "after {delay} ms: {:?}",
            guard.ran()
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn law_21_the_legs_of_a_servers_own_question_belong_to_one_use() {
    let guard = Guard::up(&policy("45s", 1));
    let agent = guard.agent(Era::Newest).await;
    let leg = |agent: &Agent, sku: &str, state: Option<&str>| {
        let mut params = json!({ "name": "ask", "arguments": { "sku": sku } });
        if let Some(state) = state {
            params["requestState"] = state.into();
            params["inputResponses"] =
                json!({ "sure": { "action": "accept", "content": { "yes": true } } });
        }
        agent.request("tools/call", params)
    };
    let first = leg(&agent, "chair", None);
    let request = guard.request_in("Pending").await;
    guard.approve(&request);
    let asked = first.answer().await;
    assert_eq!(asked["result"]["resultType"], "input_required", "{asked}");
    assert_eq!(
        asked["result"]["requestState"], "leg-one",
        "the server's own state is left as it is"
    );
    assert_eq!(guard.ran(), ["asked"]);

    let other = leg(&agent, "table", Some("leg-one")).answer().await;
    assert!(!ran(&other), "another call cannot use that leg: {other}");
    let stranger = guard.agent_of("eve", "restocker", Era::Newest).await;
    assert!(!ran(&leg(&stranger, "chair", Some("leg-one"))
        .answer()
        .await));
    assert_eq!(guard.ran(), ["asked"]);

    let done = leg(&agent, "chair", Some("leg-one")).answer().await;
    assert!(ran(&done), "{done}");
    let twice = leg(&agent, "chair", Some("leg-one")).answer().await;
    assert_eq!(approval(&twice)["status"], "used", "accepted once: {twice}");
    assert_eq!(guard.ran(), ["asked", "ask"]);
    assert_eq!(guard.names().len(), 1, "no leg asked anew");
}
