//! Law 24: names are asserted, accounts are known; and the commands' manners.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::agent::{Era, ran};
use crate::guard::{Guard, policy, said, sallyport};

fn own_uid() -> u32 {
    std::fs::metadata("/proc/self").unwrap().uid()
}

fn own_gid() -> u32 {
    std::fs::metadata("/proc/self").unwrap().gid()
}

#[tokio::test(flavor = "multi_thread")]
async fn law_24_a_review_says_that_its_name_is_asserted_and_which_account_spoke() {
    let guard = Guard::up(&policy("45s", 1));
    let agent = guard.agent(Era::Legacy).await;
    let call = agent.plain("write", json!({ "sku": "chair" }));
    let request = guard.request_in("Pending").await;
    let told = guard.review("approve", &request, "bob");
    assert!(told.err.contains("asserted"), "{}", told.err);
    assert!(told.err.contains("--approver-group"), "{}", told.err);
    assert!(!told.err.contains("two-person:"), "{}", told.err);
    assert!(ran(&call.answer().await));
    let file = guard
        .state()
        .join("reviews")
        .join(format!("{request}-001.yaml"));
    let review: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    let by = &review["spec"]["by"];
    assert_eq!(by["assurance"], "Asserted");
    assert_eq!(by["uid"], own_uid());
    assert_eq!(by["username"], "bob");
    let socket = std::fs::metadata(guard.state().join("approvals.sock")).unwrap();
    assert_eq!(socket.permissions().mode() & 0o777, 0o600);
}

#[tokio::test(flavor = "multi_thread")]
async fn law_24_with_an_approver_group_the_guards_own_account_cannot_approve() {
    let gid = own_gid().to_string();
    let guard = Guard::up_with(&policy("300ms", 1), &["--approver-group", &gid]);
    let socket = std::fs::metadata(guard.state().join("approvals.sock")).unwrap();
    assert_eq!(socket.permissions().mode() & 0o777, 0o660);
    assert_eq!(socket.gid(), own_gid());
    let token = guard.run(&[
        "token",
        "--user",
        "ada",
        "--client",
        "restocker",
        "--approver-group",
        &gid,
    ]);
    assert_eq!(token.code, 0, "{}", token.err);
    let agent = guard.agent_of("ada", "restocker", Era::Legacy).await;
    agent
        .plain("write", json!({ "sku": "chair" }))
        .answer()
        .await;
    let request = guard.request_in("Pending").await;
    let told = guard.review("approve", &request, "bob");
    assert_eq!(told.code, 1);
    assert!(
        told.err
            .contains("the account that runs the guard cannot approve"),
        "{}",
        told.err
    );
    assert_eq!(
        guard.review("deny", &request, "bob").code,
        0,
        "saying no is always possible"
    );
}

/// Needs to become another account, which only root may.
#[tokio::test(flavor = "multi_thread")]
async fn law_24_another_account_of_the_approver_group_makes_it_two_person() {
    if own_uid() != 0 {
        return;
    }
    let (uid, gid) = (64_321, 64_322);
    let guard = Guard::up_with(&policy("45s", 1), &["--approver-group", &gid.to_string()]);
    std::fs::set_permissions(guard.path(""), std::fs::Permissions::from_mode(0o755)).unwrap();
    // The built binary may lie where other accounts cannot look.
    let binary = guard.path("sallyport");
    std::fs::copy(sallyport(), &binary).unwrap();
    let agent = guard.agent(Era::Legacy).await;
    let call = agent.plain("write", json!({ "sku": "chair" }));
    let request = guard.request_in("Pending").await;
    let approve = |uid: u32, gid: u32| {
        let mut command = std::process::Command::new(&binary);
        command.args([
            "approve", &request, "--as", "bob", "--group", "leads", "--state",
        ]);
        said(
            command
                .arg(guard.state())
                .current_dir("/")
                .uid(uid)
                .gid(gid)
                .stdin(Stdio::null()),
        )
    };
    let outside = approve(uid, uid);
    assert_eq!(outside.code, 4, "{}", outside.err);
    assert!(outside.err.contains("--approver-group"), "{}", outside.err);
    let told = approve(uid, gid);
    assert_eq!(told.code, 0, "{}", told.err);
    assert!(
        told.err.contains(&format!("two-person: said by uid {uid}")),
        "{}",
        told.err
    );
    assert!(ran(&call.answer().await));
}

/// Needs to become other accounts, which only root may.
#[tokio::test(flavor = "multi_thread")]
async fn law_24_one_account_of_the_group_is_not_two_people_and_holds_the_issuers_key() {
    if own_uid() != 0 {
        return;
    }
    let gid = 64_322;
    let guard = Guard::up_with(&policy("45s", 2), &["--approver-group", &gid.to_string()]);
    std::fs::set_permissions(guard.path(""), std::fs::Permissions::from_mode(0o755)).unwrap();
    let binary = guard.path("sallyport");
    std::fs::copy(sallyport(), &binary).unwrap();
    let by = |uid: u32, words: &[&str]| {
        let mut command = std::process::Command::new(&binary);
        command.args(words).arg("--state").arg(guard.state());
        said(
            command
                .current_dir("/")
                .uid(uid)
                .gid(gid)
                .stdin(Stdio::null()),
        )
    };
    let group = gid.to_string();
    let token = by(
        64_321,
        &["token", "--user", "ada", "--approver-group", &group],
    );
    assert_eq!(token.code, 0, "{}", token.err);
    assert_eq!(token.out.trim().split('.').count(), 3);
    let agent = guard.agent(Era::Legacy).await;
    let call = agent.plain("write", json!({ "sku": "chair" }));
    let request = guard.request_in("Pending").await;
    let approve = |uid: u32, name: &str| {
        by(
            uid,
            &["approve", &request, "--as", name, "--group", "leads"],
        )
    };
    assert_eq!(approve(64_321, "bob").code, 0);
    let second = approve(64_321, "carol");
    assert_eq!(second.code, 1, "{}", second.err);
    assert!(second.err.contains("reviewed as `bob`"), "{}", second.err);
    assert_eq!(guard.request_in("Pending").await, request);
    let told = approve(64_323, "carol");
    assert_eq!(told.code, 0, "{}", told.err);
    assert!(ran(&call.answer().await));
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_listed_for_people_and_shown_live() {
    let guard = Guard::up(&policy("45s", 1));
    let mut watch = guard.command();
    watch
        .args(["requests", "--watch", "--state"])
        .arg(guard.state());
    let mut watch = watch
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut shown = BufReader::new(watch.stdout.take().unwrap()).lines();
    // The watch is a process of its own, and needs a moment to connect.
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    let agent = guard.agent(Era::Legacy).await;
    let call = agent.plain("write", json!({ "sku": "chair" }));
    let request = guard.request_in("Pending").await;
    let line = shown.next().unwrap().unwrap();
    for part in [&request, "ada via restocker", "write", "Pending", "left"] {
        assert!(line.contains(part), "{part}: {line}");
    }
    let table = guard.run(&["requests"]);
    let row = table.out.lines().nth(1).unwrap().to_owned();
    for part in [&request, "ada via restocker", "write", "Pending"] {
        assert!(row.contains(part), "{part}: {}", table.out);
    }
    guard.approve(&request);
    assert!(ran(&call.answer().await));
    // Each line shows how the request stands when it is shown, so steps in quick succession may fall together.
    let ended = |line: std::io::Result<String>| line.unwrap().contains("Consumed (Succeeded)");
    assert!(shown.any(ended), "the watch ended before the call did");
    watch.kill().unwrap();
    watch.wait().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_guard_the_files_are_listed_and_nothing_can_be_decided() {
    let mut guard = Guard::up(&policy("200ms", 1));
    let agent = guard.agent(Era::Legacy).await;
    agent
        .plain("write", json!({ "sku": "chair" }))
        .answer()
        .await;
    let request = guard.request_in("Pending").await;
    guard.kill();
    let listed = guard.run(&["requests"]);
    assert_eq!(listed.code, 0);
    assert!(listed.out.contains(&request), "{}", listed.out);
    assert!(listed.err.contains("no guard runs"), "{}", listed.err);
    for words in [
        vec!["approve", &request, "--as", "bob"],
        vec!["deny", &request, "--as", "bob"],
        vec!["request", "--tool", "write", "--for", "5m", "--as", "ada"],
        vec!["requests", "--watch"],
    ] {
        let told = guard.run(&words);
        assert_eq!(told.code, 4, "{words:?}: {}", told.err);
        assert!(
            told.err.contains("is `sallyport up` running"),
            "{words:?}: {}",
            told.err
        );
    }
    guard.start();
}
