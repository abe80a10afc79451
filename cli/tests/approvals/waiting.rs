//! Law 20: how a client waits, and what it hears.

use serde_json::json;

use crate::agent::{Era, approval, ran, text};
use crate::guard::{Guard, policy, until, with_rules};

#[tokio::test(flavor = "multi_thread")]
async fn law_20_a_client_waits_with_progress_and_the_call_runs_once_it_is_approved() {
    for era in Era::ALL {
        let guard = Guard::up(&policy("45s", 1));
        let agent = guard.agent(era).await;
        let call = agent.call("write", json!({ "sku": "chair" }));
        let request = guard.request_in("Pending").await;
        until("progress", || !call.progress().is_empty()).await;
        let progress = call.progress();
        assert_eq!(
            progress[0]["params"]["progressToken"],
            format!("p{}", call.id),
            "{era:?}"
        );
        let message = progress[0]["params"]["message"].to_string();
        // The oldest revision has no text in its progress.
        assert!(
            message.contains(&request) || era == Era::Oldest,
            "{era:?}: {message}"
        );
        assert!(guard.ran().is_empty());
        guard.approve(&request);
        let answer = call.answer().await;
        assert!(ran(&answer), "{era:?}: {answer}");
        guard.phase_is(&request, "Consumed").await;
        assert_eq!(guard.ran(), ["write"], "{era:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn law_20_what_stays_pending_says_how_to_repeat() {
    let guard = Guard::up(&policy("300ms", 1));
    for era in [Era::Oldest, Era::Legacy] {
        let agent = guard.agent(era).await;
        let answer = agent
            .plain("write", json!({ "sku": "chair" }))
            .answer()
            .await;
        assert_eq!(answer["result"]["isError"], true, "{era:?}: {answer}");
        let (text, mark) = (text(&answer), approval(&answer));
        assert!(text.contains("repeat the same call"), "{text}");
        assert!(text.contains(mark["id"].as_str().unwrap()), "{text}");
        assert_eq!(mark["status"], "pending");
        let other = agent
            .request("resources/read", json!({ "uri": "doc://one" }))
            .answer()
            .await;
        assert!(
            other["error"]["message"]
                .as_str()
                .unwrap()
                .contains("repeat"),
            "{era:?}: {other}"
        );
    }
    // The same user and client in two revisions of the protocol share the request.
    assert_eq!(guard.names().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn law_20_the_newest_revision_goes_on_in_legs_that_carry_no_authority() {
    let guard = Guard::up(&policy("200ms", 1));
    let agent = guard.agent(Era::Newest).await;
    let leg = |state: Option<&str>, price: u32| {
        let mut params = json!({ "name": "write", "arguments": { "price": price } });
        if let Some(state) = state {
            params["requestState"] = state.into();
        }
        agent.request("tools/call", params)
    };
    let mut state: Option<String> = None;
    let mut requests = std::collections::BTreeSet::new();
    for number in 1..=8 {
        let answer = leg(state.as_deref(), 7).answer().await;
        assert_eq!(
            answer["result"]["resultType"], "input_required",
            "leg {number}: {answer}"
        );
        requests.insert(approval(&answer)["id"].to_string());
        state = answer["result"]["requestState"].as_str().map(str::to_owned);
    }
    assert_eq!(requests.len(), 1, "all legs are one request");
    let last = leg(state.as_deref(), 7).answer().await;
    assert_eq!(last["result"]["isError"], true, "after eight legs: {last}");

    let request = guard.request_in("Pending").await;
    guard.approve(&request);
    let forged = leg(state.as_deref(), 8).answer().await;
    assert_eq!(
        approval(&forged)["status"],
        "pending",
        "the state approves nothing: {forged}"
    );
    assert!(guard.ran().is_empty());
    assert!(ran(&leg(Some("sallyport.v1.req-0.1"), 7).answer().await));
    assert_eq!(guard.ran(), ["write"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn law_20_legs_of_other_methods_share_their_request_too() {
    let guard = Guard::up(&policy("200ms", 1));
    let agent = guard.agent(Era::Newest).await;
    let read = |state: Option<&str>, token: u32| {
        let mut params = json!({ "uri": "doc://one", "_meta": { "progressToken": token } });
        if let Some(state) = state {
            params["requestState"] = state.into();
        }
        agent.request("resources/read", params)
    };
    let first = read(None, 1).answer().await;
    let state = first["result"]["requestState"].as_str().expect("a state");
    let second = read(Some(state), 2).answer().await;
    assert_eq!(approval(&first)["id"], approval(&second)["id"]);
    assert_eq!(guard.names().len(), 1);
    guard.approve(approval(&first)["id"].as_str().unwrap());
    let third = read(second["result"]["requestState"].as_str(), 3)
        .answer()
        .await;
    assert!(third["result"]["contents"].is_array(), "{third}");
    assert_eq!(guard.ran(), ["read"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn law_20_a_denied_request_keeps_refusing_until_it_expires() {
    let rules = "  - name: changes
    effect: RequireApproval
    tools: [\"*\"]
    approval: { approvers: [{ groups: [leads] }] }
";
    let guard = Guard::up(&with_rules("{ hold: 10s, requestTtl: 8s }", rules));
    let agent = guard.agent(Era::Legacy).await;
    let call = agent.call("write", json!({ "sku": "chair" }));
    let request = guard.request_in("Pending").await;
    assert_eq!(guard.review("deny", &request, "bob").code, 0);
    let answer = call.answer().await;
    assert_eq!(approval(&answer)["status"], "denied", "{answer}");
    assert!(
        text(&answer).contains("looked at it"),
        "the reason is told: {}",
        text(&answer)
    );
    let again = agent
        .plain("write", json!({ "sku": "chair" }))
        .answer()
        .await;
    assert_eq!(approval(&again)["id"], *request, "{again}");
    assert_eq!(approval(&again)["status"], "denied");
    tokio::time::sleep(std::time::Duration::from_secs(9)).await;
    let later = agent.call("write", json!({ "sku": "chair" }));
    let next = guard.request_in("Pending").await;
    assert_ne!(next, request, "after its time it may be asked again");
    assert!(guard.ran().is_empty());
    later.hang_up().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn law_20_cancelled_ends_the_waiting_call_for_good_and_leaves_the_request() {
    for era in [Era::Oldest, Era::Legacy] {
        let guard = Guard::up(&policy("45s", 1));
        let agent = guard.agent(era).await;
        let call = agent.call("write", json!({ "sku": "chair" }));
        let request = guard.request_in("Pending").await;
        let cancel = json!({ "requestId": call.id, "reason": "changed my mind" });
        agent.notify("notifications/cancelled", cancel).await;
        until("the call is recorded as cancelled", || {
            guard.stderr().contains("cancelled_while_held") || guard.stderr().contains("Cancelled")
        })
        .await;
        guard.approve(&request);
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        assert!(guard.ran().is_empty(), "{era:?}: it was cancelled");
        call.hang_up().await;
        let again = agent
            .plain("write", json!({ "sku": "chair" }))
            .answer()
            .await;
        assert!(ran(&again), "{era:?}: an identical repeat uses it: {again}");
        assert_eq!(guard.ran(), ["write"], "{era:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn law_20_hanging_up_ends_the_waiting_call_for_good_and_leaves_the_request() {
    for (era, streaming) in [
        (Era::Oldest, true),
        (Era::Legacy, true),
        (Era::Legacy, false),
        (Era::Newest, true),
        (Era::Newest, false),
    ] {
        let guard = Guard::up(&policy("45s", 1));
        let mut agent = guard.agent(era).await;
        let arguments = json!({ "sku": "chair" });
        let call = if streaming {
            agent.call("write", arguments.clone())
        } else {
            agent.plain("write", arguments.clone())
        };
        let request = guard.request_in("Pending").await;
        call.hang_up().await;
        agent.leave();
        // The guard notices a closed connection at once, and a closed stream when it next speaks.
        tokio::time::sleep(std::time::Duration::from_millis(1000)).await;
        guard.approve(&request);
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        assert!(
            guard.ran().is_empty(),
            "{era:?} {streaming}: nobody waits for it"
        );
        let agent = guard.agent(era).await;
        assert!(
            ran(&agent.plain("write", arguments).answer().await),
            "{era:?}"
        );
        assert_eq!(guard.ran(), ["write"], "{era:?}");
    }
}
