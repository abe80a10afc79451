//! Law 23: whose word counts.

use serde_json::{Value, json};

use crate::agent::{Era, approval, ran};
use crate::guard::{Guard, policy, said, with_rules};

async fn pending(guard: &Guard) -> (String, crate::agent::Going) {
    let agent = guard
        .agent_of("ada@example.com", "restocker", Era::Legacy)
        .await;
    let call = agent.plain(
        "write",
        json!({ "sku": "chair", "note": "AKIAIOSFODNN7EXAMPLE" }),
    );
    (guard.request_in("Pending").await, call)
}

#[tokio::test(flavor = "multi_thread")]
async fn law_23_nobody_approves_their_own_request_under_any_alias() {
    let guard = Guard::up(&policy("45s", 1));
    let (request, call) = pending(&guard).await;
    for alias in [
        "ada@example.com",
        "ADA@Example.com",
        "ada",
        " Ada ",
        "restocker",
    ] {
        let said = guard.review("approve", &request, alias);
        assert_eq!(said.code, 1, "{alias}: {}", said.err);
        assert!(
            said.err.contains("ask somebody else"),
            "{alias}: {}",
            said.err
        );
    }
    let stranger = guard.run(&["approve", &request, "--as", "mallory", "--group", "interns"]);
    assert_eq!(stranger.code, 1);
    assert!(stranger.err.contains("not an approver"), "{}", stranger.err);
    assert_eq!(guard.requests()[0]["status"]["phase"], "Pending");
    assert!(guard.ran().is_empty());
    guard.approve(&request);
    assert!(ran(&call.answer().await));
}

#[tokio::test(flavor = "multi_thread")]
async fn law_23_two_of_many_are_two_people_and_each_has_one_voice() {
    let guard = Guard::up(&policy("45s", 2));
    let (request, call) = pending(&guard).await;
    let first = guard.review("approve", &request, "bob");
    assert!(
        first.out.contains("Pending: 1 of 2 approvals"),
        "{}",
        first.out
    );
    for again in ["bob", "BOB", "bob@example.com"] {
        let said = guard.review("approve", &request, again);
        assert_eq!(said.code, 1, "{again}");
        assert!(said.err.contains("one voice"), "{again}: {}", said.err);
    }
    assert!(guard.ran().is_empty());
    let second = guard.review("approve", &request, "carol");
    assert_eq!(second.code, 0, "{}", second.err);
    assert!(ran(&call.answer().await));
    assert_eq!(guard.ran(), ["write"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn law_23_every_rule_that_holds_a_call_needs_its_own_approvers() {
    let hold = |name: &str, group: &str| {
        format!(
            "  - {{ name: {name}, effect: RequireApproval, tools: [write], approval: {{ approvers: [{{ groups: [{group}] }}] }} }}\n"
        )
    };
    let rules = [hold("stock", "leads"), hold("money", "finance")].concat();
    let guard = Guard::up(&with_rules("{ hold: 45s }", &rules));
    let (request, call) = pending(&guard).await;
    assert_eq!(guard.review("approve", &request, "bob").code, 0);
    assert_eq!(
        guard.requests()[0]["status"]["phase"],
        "Pending",
        "finance has not spoken"
    );
    let said = guard.run(&["approve", &request, "--as", "carol", "--group", "finance"]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(ran(&call.answer().await));
}

#[tokio::test(flavor = "multi_thread")]
async fn law_23_a_rule_without_approvers_is_an_error_before_anything_runs() {
    let dir = tempfile::TempDir::new().unwrap();
    for (name, approvers) in [("an empty list", "[]"), ("an empty item", "[{}]")] {
        let rules = format!(
            "  - {{ name: held, effect: RequireApproval, tools: [write], approval: {{ approvers: {approvers} }} }}\n"
        );
        let file = dir.path().join("policy.yaml");
        std::fs::write(&file, with_rules("{}", &rules)).unwrap();
        let mut command = std::process::Command::new(crate::guard::sallyport());
        command
            .arg("up")
            .arg("-f")
            .arg(&file)
            .args(["--listen", "127.0.0.1:0", "--state"]);
        let told = said(command.arg(dir.path().join("state")).args(["--", "true"]));
        assert_eq!(told.code, 3, "{name}: {}", told.err);
        assert!(told.err.contains("approvers"), "{name}: {}", told.err);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn law_23_a_rule_that_asks_for_a_reason_gets_one() {
    let rules = "  - name: held
    effect: RequireApproval
    tools: [write]
    approval: { approvers: [{ groups: [leads] }], reason: Required }
";
    let guard = Guard::up(&with_rules("{ hold: 45s }", rules));
    let (request, call) = pending(&guard).await;
    let bare = guard.run(&["approve", &request, "--as", "bob", "--group", "leads"]);
    assert_eq!(bare.code, 1);
    assert!(bare.err.contains("--reason"), "{}", bare.err);
    guard.approve(&request);
    assert!(ran(&call.answer().await));
}

#[tokio::test(flavor = "multi_thread")]
async fn law_23_the_approver_is_shown_a_masked_preview_and_the_review_carries_its_digest() {
    let guard = Guard::up(&policy("45s", 1));
    let (request, call) = pending(&guard).await;
    let said = guard.review("approve", &request, "bob");
    assert!(said.err.contains("\"sku\":\"chair\""), "{}", said.err);
    assert!(
        said.err.contains("[AwsAccessKey, 20 characters, hmac "),
        "{}",
        said.err
    );
    assert!(ran(&call.answer().await));
    for file in walk(&guard.state()) {
        let text = String::from_utf8_lossy(&std::fs::read(&file).unwrap()).into_owned();
        assert!(
            !text.contains("AKIAIOSFODNN7EXAMPLE"),
            "the secret lies in {}",
            file.display()
        );
    }
    let review = std::fs::read(
        guard
            .state()
            .join("reviews")
            .join(format!("{request}-001.yaml")),
    )
    .unwrap();
    let review: Value = serde_json::from_slice(&review).unwrap();
    assert!(review["spec"]["previewDigest"].is_string(), "{review}");
}

#[tokio::test(flavor = "multi_thread")]
async fn law_23_a_rule_may_keep_the_values_from_its_approvers() {
    let rules = "  - name: held
    effect: RequireApproval
    tools: [write]
    approval: { approvers: [{ groups: [leads] }], preview: Metadata }
";
    let guard = Guard::up(&with_rules("{ hold: 45s }", rules));
    let (request, call) = pending(&guard).await;
    let said = guard.review("approve", &request, "bob");
    assert!(
        said.err.contains("\"sku\":\"[text, 5 characters]\""),
        "{}",
        said.err
    );
    assert!(!said.err.contains("chair"), "{}", said.err);
    assert!(ran(&call.answer().await));
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_asked_may_withdraw_and_nobody_else() {
    let guard = Guard::up(&policy("45s", 1));
    let (request, call) = pending(&guard).await;
    let other = guard.run(&["withdraw", &request, "--as", "eve"]);
    assert_eq!(other.code, 1, "{}", other.err);
    let own = guard.run(&["withdraw", &request, "--as", "ada@example.com"]);
    assert_eq!(
        (own.code, own.out.trim().ends_with("Withdrawn")),
        (0, true),
        "{}",
        own.err
    );
    assert_eq!(approval(&call.answer().await)["status"], "withdrawn");
    assert_eq!(
        guard.review("approve", &request, "bob").code,
        1,
        "it is closed"
    );
    let unknown = guard.review("approve", "req-0000000000", "bob");
    assert_eq!(unknown.code, 1);
    assert!(
        unknown.err.contains("sallyport requests"),
        "{}",
        unknown.err
    );
}

fn walk(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(walk(&path));
        } else if path.is_file() {
            files.push(path);
        }
    }
    files
}
