//! Laws 19 to 23 through the desk.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use sallyport_policy::approval::{ConsumeRefusal, Outcome, Verdict};
use sallyport_policy::decide::GrantScope;
use sallyport_policy::name::Digest;
use sallyport_policy::source::access::Phase;
use sallyport_policy::time::UnixMillis;

use super::{Bench, MINUTE, Peer, ask, call, rule, window};
use crate::clock::SystemClock;
use crate::hold::local::{LocalDesk, LocalOptions};
use crate::hold::{AskError, ConsumeError, Status, StoreError, Ticket};
use futures_util::FutureExt;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn law_21_of_fifty_racing_repeats_one_runs_and_the_others_hear_that_it_was_used() {
    let state = tempfile::tempdir().unwrap();
    let bench = Bench::over(state.path());
    let mut waiting = tokio::task::JoinSet::new();
    for number in 0..50 {
        let desk = bench.desk.clone();
        let asked = ask("price 5", rule(1, |_| ()));
        waiting.spawn(async move {
            let claim = asked.claim();
            let mut ticket = desk.ask(asked).await.unwrap();
            assert!(matches!(
                ticket.settled().await,
                Status::Approved { .. } | Status::Used { .. }
            ));
            let used = desk
                .consume(ticket.request(), &claim, &call(&format!("c{number}")))
                .await;
            match used {
                Ok(consumed) => {
                    consumed.finish(Outcome::Succeeded).await.unwrap();
                    Ok(())
                }
                Err(error) => Err(error),
            }
        });
    }
    while bench.objects().await.is_empty() {
        tokio::task::yield_now().await;
    }
    let objects = bench.objects().await;
    let request = sallyport_policy::name::RequestId::new(objects[0].metadata.name.as_str());
    bench.say(Verdict::Approve, &request, "bob").await.unwrap();
    let mut ran = 0;
    while let Some(ended) = waiting.join_next().await {
        match ended.unwrap() {
            Ok(()) => ran += 1,
            Err(error) => {
                assert!(
                    matches!(error, ConsumeError::Refused(ConsumeRefusal::Used(_))),
                    "{error}"
                );
            }
        }
    }
    assert_eq!(ran, 1);
    assert_eq!(
        bench.objects().await.len(),
        1,
        "fifty repeats share one request"
    );
}

#[tokio::test]
async fn law_20_identical_pending_calls_share_one_request_and_a_denial_refuses_until_its_end() {
    let state = tempfile::tempdir().unwrap();
    let bench = Bench::over(state.path());
    let first = bench.ask("price 5").await;
    let second = bench.ask("price 5").await;
    let other = bench.ask("price 6").await;
    assert!(!first.joined() && second.joined() && !other.joined());
    assert_eq!(first.request(), second.request());
    assert_ne!(first.request(), other.request());

    bench
        .say(Verdict::Deny, first.request(), "bob")
        .await
        .unwrap();
    let again = bench.ask("price 5").await;
    assert_eq!(again.request(), first.request());
    let Status::Denied { by, reason, .. } = again.status() else {
        panic!("it was denied: {:?}", again.status())
    };
    assert_eq!((by.as_str(), reason.as_deref()), ("bob", Some("seen")));

    bench.clock.pass(60 * MINUTE);
    let anew = bench.ask("price 5").await;
    assert_ne!(anew.request(), first.request());
}

#[tokio::test]
async fn law_20_a_ticket_hears_each_end() {
    let state = tempfile::tempdir().unwrap();
    let bench = Bench::over(state.path());
    let mut expiring = bench.ask("expiring").await;
    let mut withdrawn = bench.ask("withdrawn").await;
    let name = withdrawn.request().clone();
    let by_stranger = name.clone();
    let refused = bench
        .local
        .run(move |keeper| keeper.withdraw(&by_stranger, "bob"))
        .await;
    assert!(refused.unwrap().is_err(), "only the requester withdraws");
    let taken = bench
        .local
        .run(move |keeper| keeper.withdraw(&name, "ada"))
        .await;
    taken.unwrap().unwrap();
    assert_eq!(withdrawn.settled().await, Status::Withdrawn);
    bench.clock.pass(60 * MINUTE);
    let heard = tokio::time::timeout(Duration::from_secs(5), expiring.settled()).await;
    assert_eq!(
        heard.expect("the keeper looks at the clock by itself"),
        Status::Expired
    );
}

#[tokio::test]
async fn law_20_a_caller_has_a_bounded_number_of_pending_requests() {
    let state = tempfile::tempdir().unwrap();
    let bench = Bench::over(state.path());
    for arguments in ["a", "b", "c"] {
        bench.ask(arguments).await;
    }
    let fourth = bench.desk.ask(ask("d", rule(1, |_| ()))).await;
    assert!(matches!(fourth, Err(AskError::TooManyPending { limit: 3 })));
    let joined = bench.desk.ask(ask("a", rule(1, |_| ()))).await;
    assert!(joined.is_ok(), "joining opens nothing");
}

#[tokio::test]
async fn law_23_a_rule_without_approvers_opens_no_request() {
    let state = tempfile::tempdir().unwrap();
    let bench = Bench::over(state.path());
    let asked = ask("a", rule(1, |rule| rule.approvers.clear()));
    assert!(matches!(
        bench.desk.ask(asked).await,
        Err(AskError::NoApprovers(_))
    ));
    let mut nothing = ask("a", rule(1, |_| ()));
    nothing.rules.clear();
    assert!(matches!(
        bench.desk.ask(nothing).await,
        Err(AskError::NothingToApprove)
    ));
    assert!(bench.objects().await.is_empty());
}

#[tokio::test]
async fn law_23_two_of_two_people_are_needed_and_neither_is_the_requester() {
    let state = tempfile::tempdir().unwrap();
    let bench = Bench::over(state.path());
    let ticket = bench.desk.ask(ask("a", rule(2, |_| ()))).await.unwrap();
    let pending = |status| matches!(status, Status::Pending { .. });
    assert!(
        bench
            .say(Verdict::Approve, ticket.request(), "Ada")
            .await
            .is_err()
    );
    bench
        .say(Verdict::Approve, ticket.request(), "bob")
        .await
        .unwrap();
    assert!(
        bench
            .say(Verdict::Approve, ticket.request(), "bob@example.com")
            .await
            .is_err()
    );
    assert!(pending(ticket.status()));
    bench
        .say(Verdict::Approve, ticket.request(), "cyd")
        .await
        .unwrap();
    assert!(!pending(ticket.status()));
    let reviews = fs::read_dir(state.path().join("reviews")).unwrap().count();
    assert_eq!(reviews, 2, "what is refused leaves no review");
}

#[tokio::test]
async fn law_21_a_use_that_is_dropped_is_written_down_as_unknown() {
    let state = tempfile::tempdir().unwrap();
    let bench = Bench::over(state.path());
    let ticket = bench.approved("a").await;
    let claim = ask("a", rule(1, |_| ())).claim();
    let consumed = bench
        .desk
        .consume(ticket.request(), &claim, &call("c1"))
        .await
        .unwrap();
    drop(consumed);
    let repeat = bench
        .desk
        .consume(ticket.request(), &claim, &call("c2"))
        .await;
    let unknown = ConsumeRefusal::Used(Some(Outcome::Unknown));
    assert!(matches!(repeat, Err(ConsumeError::Refused(refusal)) if refusal == unknown));
    assert_eq!(
        bench.ask("a").await.status(),
        Status::Used {
            outcome: Some(Outcome::Unknown)
        }
    );
}

#[tokio::test]
async fn law_21_a_caller_who_leaves_while_its_use_is_written_leaves_an_ended_use() {
    let state = tempfile::tempdir().unwrap();
    let bench = Bench::over(state.path());
    let ticket = bench.approved("a").await;
    let claim = ask("a", rule(1, |_| ())).claim();
    let (request, name) = (ticket.request().clone(), call("c1"));
    drop(bench.desk.consume(&request, &claim, &name).now_or_never());
    let mut status = ticket.clone();
    let unknown = Status::Used {
        outcome: Some(Outcome::Unknown),
    };
    let ended = async {
        while status.status() != unknown {
            status.changed().await;
        }
    };
    let ended = tokio::time::timeout(Duration::from_secs(5), ended).await;
    assert!(ended.is_ok(), "it is {:?}", ticket.status());
}

#[tokio::test]
async fn law_21_the_continuation_of_a_use_is_accepted_once_and_outlives_a_restart() {
    let state = tempfile::tempdir().unwrap();
    let claim = ask("a", rule(1, |_| ())).claim();
    let leg = Digest::of(b"requestState");
    let now = {
        let bench = Bench::over(state.path());
        let ticket = bench.approved("a").await;
        let consumed = bench
            .desk
            .consume(ticket.request(), &claim, &call("leg1"))
            .await
            .unwrap();
        consumed.expect(leg).await.unwrap();
        bench.local.run(|keeper| keeper.present()).await.unwrap()
    };
    let bench = Bench::with(state.path(), now, |_| ());
    let mut other = claim.clone();
    other.digest = Digest::of(b"swapped");
    assert!(
        bench
            .desk
            .continuation(&leg, &other, &call("leg2"))
            .await
            .is_err()
    );
    let consumed = bench
        .desk
        .continuation(&leg, &claim, &call("leg2"))
        .await
        .unwrap();
    let again = bench.desk.continuation(&leg, &claim, &call("leg3")).await;
    assert!(matches!(again, Err(ConsumeError::NoSuchLeg)));
    consumed.finish(Outcome::Succeeded).await.unwrap();
    let objects = bench.objects().await;
    let status = objects[0].status.as_ref().unwrap();
    assert_eq!((status.phase, status.uses), (Some(Phase::Consumed), 1));
}

#[tokio::test]
async fn law_22_a_call_parked_for_its_next_leg_ends_at_once_by_revoke_and_the_leg_hears_it() {
    let state = tempfile::tempdir().unwrap();
    let bench = Bench::over(state.path());
    let claim = ask("a", rule(1, |_| ())).claim();
    let leg = Digest::of(b"requestState");
    let ticket = bench.approved("a").await;
    let consumed = bench
        .desk
        .consume(ticket.request(), &claim, &call("leg1"))
        .await
        .unwrap();
    consumed.expect(leg).await.unwrap();
    let revoked = bench.say(Verdict::Revoke, ticket.request(), "bob").await;
    revoked.unwrap();
    let objects = bench.objects().await;
    let status = objects[0].status.as_ref().unwrap();
    assert_eq!(status.phase, Some(Phase::Revoked));
    assert_eq!(
        status.outcome,
        Some(Outcome::Unknown),
        "nobody waits for the leg to learn that"
    );
    let next = bench.desk.continuation(&leg, &claim, &call("leg2")).await;
    assert!(
        matches!(next, Err(ConsumeError::Refused(ConsumeRefusal::Revoked))),
        "{next:?}"
    );
}

#[tokio::test]
async fn law_24_beside_an_approver_group_an_account_has_one_name_and_a_name_one_account() {
    let state = tempfile::tempdir().unwrap();
    let bench = Bench::over(state.path());
    let (one, two) = (
        bench.desk.ask(ask("a", rule(2, |_| ()))).await.unwrap(),
        bench.desk.ask(ask("b", rule(2, |_| ()))).await.unwrap(),
    );
    let from = |uid| Peer {
        uid,
        beside: Some(500),
    };
    let approve = async |uid, ticket: &Ticket, name: &str| {
        let request = ticket.request();
        bench
            .say_from(from(uid), Verdict::Approve, request, name)
            .await
            .is_ok()
    };
    assert!(approve(1001, &one, "bob").await);
    assert!(!approve(1001, &one, "carol").await, "two people in one");
    assert!(!approve(1001, &two, "carol").await, "nor elsewhere");
    assert!(!approve(1002, &two, "bob@example.com").await, "his name");
    assert!(matches!(one.status(), Status::Pending { .. }));
    assert!(approve(1002, &one, "carol").await);
    assert!(matches!(one.status(), Status::Approved { .. }));
    assert!(approve(1001, &two, "bob@example.com").await, "as before");
}

#[tokio::test]
async fn law_22_revoking_is_heard_by_the_running_call_and_by_everybody() {
    let state = tempfile::tempdir().unwrap();
    let bench = Bench::over(state.path());
    let mut revocations = bench.desk.revocations();
    let ticket = bench.approved("a").await;
    let claim = ask("a", rule(1, |_| ())).claim();
    let consumed = bench
        .desk
        .consume(ticket.request(), &claim, &call("c1"))
        .await
        .unwrap();
    let still = tokio::time::timeout(Duration::from_millis(50), consumed.revoked()).await;
    assert!(still.is_err(), "nobody has revoked it yet");
    bench
        .say(Verdict::Revoke, ticket.request(), "cyd")
        .await
        .unwrap();
    consumed.revoked().await;
    let revoked = revocations.next().await.unwrap().unwrap();
    assert_eq!(
        (&revoked.request, revoked.calls),
        (ticket.request(), vec![call("c1")])
    );
    consumed.finish(Outcome::Unknown).await.unwrap();
    let objects = bench.objects().await;
    let status = objects[0].status.as_ref().unwrap();
    assert_eq!(status.phase, Some(Phase::Revoked));
    assert_eq!(status.outcome, Some(Outcome::Unknown));
    assert!(
        matches!(bench.ask("a").await.status(), Status::Revoked { .. }),
        "a repeat is refused"
    );
}

#[tokio::test]
async fn law_22_a_window_covers_other_arguments_until_its_uses_are_spent() {
    let state = tempfile::tempdir().unwrap();
    let bench = Bench::over(state.path());
    let ticket = bench.desk.ask(ask("a", rule(1, window))).await.unwrap();
    bench
        .say(Verdict::Approve, ticket.request(), "bob")
        .await
        .unwrap();
    let other = ask("b", rule(1, window)).claim();
    let grants = bench.desk.grants_for(&other).await.unwrap();
    assert_eq!(grants.len(), 1);
    assert_eq!(grants[0].uses_left, Some(2));
    for name in ["c1", "c2"] {
        let used = bench
            .desk
            .consume(&grants[0].request, &other, &call(name))
            .await
            .unwrap();
        assert_eq!(used.grant().rules(), other.rules.as_slice());
        used.finish(Outcome::Succeeded).await.unwrap();
    }
    assert!(
        bench
            .desk
            .consume(&grants[0].request, &other, &call("c3"))
            .await
            .is_err()
    );
    assert!(bench.desk.grants_for(&other).await.unwrap().is_empty());
    let mut drifted = other.clone();
    drifted.pin = Some(Digest::of(b"drift"));
    assert!(bench.desk.grants_for(&drifted).await.unwrap().is_empty());
    assert_ne!(
        bench
            .desk
            .ask(ask("c", rule(1, window)))
            .await
            .unwrap()
            .request(),
        ticket.request()
    );
}

#[tokio::test]
async fn a_window_that_would_not_cover_its_own_call_is_asked_for_that_call_alone() {
    let state = tempfile::tempdir().unwrap();
    let bench = Bench::over(state.path());
    let mut asked = ask("a", rule(1, window));
    asked.when_holds = false;
    bench.desk.ask(asked).await.unwrap();
    let objects = bench.objects().await;
    assert_eq!(objects[0].spec.grant.scope, Some(GrantScope::Call));
}

#[tokio::test]
async fn a_clock_that_is_set_back_brings_nothing_back_to_life() {
    let state = tempfile::tempdir().unwrap();
    let bench = Bench::over(state.path());
    let ticket = bench.approved("a").await;
    let claim = ask("a", rule(1, |_| ())).claim();
    bench.clock.jump(16 * 60_000);
    bench.objects().await;
    bench.clock.jump(-16 * 60_000);
    let used = bench
        .desk
        .consume(ticket.request(), &claim, &call("c1"))
        .await;
    assert!(matches!(
        used,
        Err(ConsumeError::Refused(ConsumeRefusal::Expired))
    ));
}

#[tokio::test]
async fn two_processes_cannot_keep_one_folder() {
    let state = tempfile::tempdir().unwrap();
    let _bench = Bench::over(state.path());
    let options = LocalOptions::new(state.path(), Arc::new(SystemClock::new()));
    let second = LocalDesk::open(options);
    assert!(matches!(second, Err(StoreError::InUse(_))));
}

#[tokio::test]
async fn a_file_that_somebody_changed_is_not_overwritten_and_gives_nothing() {
    let state = tempfile::tempdir().unwrap();
    let bench = Bench::over(state.path());
    let ticket = bench.approved("a").await;
    let path = state
        .path()
        .join("requests")
        .join(format!("{}.yaml", ticket.request()));
    let text = fs::read_to_string(&path).unwrap();
    let edited = text.replace(r#""resourceVersion": "2""#, r#""resourceVersion": "7""#);
    assert_ne!(edited, text);
    fs::write(&path, &edited).unwrap();
    let claim = ask("a", rule(1, |_| ())).claim();
    let used = bench
        .desk
        .consume(ticket.request(), &claim, &call("c1"))
        .await;
    assert!(matches!(
        used,
        Err(ConsumeError::Store(StoreError::Changed(_)))
    ));
    assert_eq!(fs::read_to_string(&path).unwrap(), edited);
}

#[tokio::test]
async fn an_unreadable_file_is_left_out_and_the_others_are_served() {
    let state = tempfile::tempdir().unwrap();
    let ticket = Bench::over(state.path()).approved("a").await;
    fs::write(state.path().join("requests/req-broken.yaml"), "{").unwrap();
    fs::write(
        state.path().join("reviews/whatever.yaml"),
        "kind: McpAccessReview",
    )
    .unwrap();
    let bench = Bench::over(state.path());
    let objects = bench.objects().await;
    assert_eq!(objects.len(), 1);
    assert_eq!(objects[0].metadata.name, ticket.request().as_str());
    assert_eq!(
        objects[0].status.as_ref().unwrap().phase,
        Some(Phase::Approved)
    );
}

#[tokio::test]
async fn what_was_closed_long_ago_is_removed_with_its_reviews() {
    let state = tempfile::tempdir().unwrap();
    let bench = Bench::with(state.path(), UnixMillis(0), |options| {
        options.keep = 60 * MINUTE;
    });
    let old = bench.ask("old").await;
    bench
        .say(Verdict::Deny, old.request(), "bob")
        .await
        .unwrap();
    bench.clock.pass(90 * MINUTE);
    let young = bench.ask("young").await;
    bench.local.run(|keeper| keeper.purge()).await.unwrap();
    let objects = bench.objects().await;
    let names: Vec<&str> = objects
        .iter()
        .map(|object| object.metadata.name.as_str())
        .collect();
    assert_eq!(names, [young.request().as_str()]);
    assert_eq!(
        fs::read_dir(state.path().join("requests")).unwrap().count(),
        1
    );
    assert_eq!(
        fs::read_dir(state.path().join("reviews")).unwrap().count(),
        0
    );
}
