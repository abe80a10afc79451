//! Law 19: what an approval is bound to.

use serde_json::json;

use crate::agent::{Era, approval, ran, text};
use crate::guard::{Guard, policy, with_rules};

#[tokio::test(flavor = "multi_thread")]
async fn law_19_another_spelling_of_a_call_is_the_same_request_and_a_changed_argument_is_a_new_one()
{
    let guard = Guard::up(&policy("200ms", 1));
    let agent = guard.agent(Era::Legacy).await;
    let first = agent
        .spelled("write", r#"{"sku":"chair","price":1.0}"#)
        .answer()
        .await;
    let request = approval(&first)["id"].clone();
    assert!(request.is_string(), "{first}");
    let spellings = [
        ("other key order", r#"{"price":1.0,"sku":"chair"}"#),
        ("escapes", r#"{"sku":"\u0063hair","price":1.0}"#),
        ("number", r#"{"sku":"chair","price":1e0}"#),
        ("whitespace", "{ \"sku\" :\t\"chair\",\n \"price\": 1 }"),
    ];
    for (name, spelling) in spellings {
        let again = agent.spelled("write", spelling).answer().await;
        assert_eq!(approval(&again)["id"], request, "{name}");
    }
    for (name, other) in [
        ("value", r#"{"sku":"chair","price":2}"#),
        ("kind", r#"{"sku":"chair","price":"1"}"#),
        ("one more", r#"{"sku":"chair","price":1,"note":null}"#),
    ] {
        let other = agent.spelled("write", other).answer().await;
        assert_ne!(approval(&other)["id"], request, "{name}");
    }
    assert_eq!(guard.names().len(), 4);
    guard.approve(request.as_str().unwrap());
    let done = agent
        .spelled("write", r#"{"price":1,"sku":"chair"}"#)
        .answer()
        .await;
    assert!(ran(&done), "{done}");
    assert_eq!(guard.ran(), ["write"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn law_19_another_user_client_or_tool_is_another_request() {
    let guard = Guard::up(&policy("200ms", 1));
    let arguments = json!({ "sku": "chair" });
    let ada = guard.agent(Era::Legacy).await;
    let request = approval(&ada.plain("write", arguments.clone()).answer().await)["id"].clone();
    guard.approve(request.as_str().unwrap());
    for (user, client) in [("eve", "restocker"), ("ada", "other-agent")] {
        let agent = guard.agent_of(user, client, Era::Legacy).await;
        let answer = agent.plain("write", arguments.clone()).answer().await;
        assert_eq!(
            approval(&answer)["status"],
            "pending",
            "{user} {client}: {answer}"
        );
    }
    let other = ada.plain("slow", arguments.clone()).answer().await;
    assert_eq!(approval(&other)["status"], "pending");
    assert!(guard.ran().is_empty());
    assert!(ran(&ada.plain("write", arguments).answer().await));
}

#[tokio::test(flavor = "multi_thread")]
async fn law_19_an_unrelated_policy_edit_keeps_the_request_and_a_new_matching_rule_asks_anew() {
    let before = policy("200ms", 1);
    let guard = Guard::up(&before);
    let agent = guard.agent(Era::Legacy).await;
    let call = || agent.plain("write", json!({ "sku": "chair" }));
    let request = approval(&call().answer().await)["id"].clone();

    let unrelated = format!("{before}  - {{ name: docs, effect: Allow, prompts: [\"a_*\"] }}\n");
    guard.change_policy(&unrelated).await;
    assert_eq!(
        approval(&call().answer().await)["id"],
        request,
        "unrelated edit"
    );
    guard.approve(request.as_str().unwrap());

    let matching = format!(
        "{unrelated}  - {{ name: second-look, effect: RequireApproval, tools: [\"wri*\"], approval: {{ approvers: [{{ groups: [owners] }}] }} }}\n"
    );
    guard.change_policy(&matching).await;
    let anew = call().answer().await;
    assert_eq!(approval(&anew)["status"], "pending");
    assert_ne!(
        approval(&anew)["id"],
        request,
        "a new rule holds it as well"
    );
    assert!(guard.ran().is_empty());

    guard.change_policy(&unrelated).await;
    assert!(
        ran(&call().answer().await),
        "the old rules again: its approval holds"
    );
    assert_eq!(guard.ran(), ["write"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn law_19_a_call_is_judged_again_when_it_resumes() {
    let before = policy("30s", 1);
    let denied =
        format!("{before}  - {{ name: freeze, effect: Deny, tools: [write], message: frozen }}\n");
    let freer = with_rules(
        "{ hold: 30s }",
        "  - { name: all, effect: Allow, tools: [\"*\"] }\n",
    );
    for (name, after, runs) in [
        ("denied meanwhile", denied, 0),
        ("allowed meanwhile", freer, 1),
    ] {
        let guard = Guard::up(&before);
        let agent = guard.agent(Era::Legacy).await;
        let call = agent.call("write", json!({ "sku": "chair" }));
        let request = guard.request_in("Pending").await;
        guard.change_policy(&after).await;
        guard.approve(&request);
        let answer = call.answer().await;
        assert_eq!(ran(&answer), runs == 1, "{name}: {}", text(&answer));
        assert_eq!(guard.ran().len(), runs, "{name}");
    }
}
