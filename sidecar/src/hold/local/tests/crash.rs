//! Law 21 over crashes: the folder is copied after every step that touches the disk, and each copy is opened as
//! the next process would find it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use sallyport_policy::approval::{ConsumeRefusal, Outcome, Verdict};
use sallyport_policy::source::access::Phase;

use super::{Bench, ask, call, rule};
use crate::hold::ConsumeError;

/// What had been promised when the copy was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Promised {
    #[default]
    Nothing,
    Opened,
    Approved,
    Used,
    Finished,
}

#[derive(Default)]
struct Camera {
    promised: Promised,
    copies: Vec<(Promised, &'static str, PathBuf)>,
}

fn copy(from: &Path, to: &Path) {
    for folder in ["requests", "reviews"] {
        fs::create_dir_all(to.join(folder)).unwrap();
        for file in fs::read_dir(from.join(folder)).unwrap() {
            let file = file.unwrap();
            fs::copy(file.path(), to.join(folder).join(file.file_name())).unwrap();
        }
    }
}

/// A whole held call, photographed at each step.
async fn photographed(state: &Path, album: &Path) -> Vec<(Promised, &'static str, PathBuf)> {
    let camera = Arc::new(Mutex::new(Camera::default()));
    let promise = |promised| camera.lock().unwrap().promised = promised;
    let (lens, from, album) = (Arc::clone(&camera), state.to_owned(), album.to_owned());
    let bench = Bench::with(
        state,
        sallyport_policy::time::UnixMillis(1_000_000),
        |options| {
            options.probe = Arc::new(move |step| {
                let mut camera = lens.lock().unwrap();
                let to = album.join(camera.copies.len().to_string());
                copy(&from, &to);
                let promised = camera.promised;
                camera.copies.push((promised, step, to));
            });
        },
    );
    let claim = ask("a", rule(1, |_| ())).claim();
    let ticket = bench.ask("a").await;
    promise(Promised::Opened);
    bench
        .say(Verdict::Approve, ticket.request(), "bob")
        .await
        .unwrap();
    promise(Promised::Approved);
    let consumed = bench
        .desk
        .consume(ticket.request(), &claim, &call("c1"))
        .await
        .unwrap();
    promise(Promised::Used);
    consumed.finish(Outcome::Succeeded).await.unwrap();
    promise(Promised::Finished);
    // One more write, so that there is a copy after the last promise.
    bench.ask("b").await;
    std::mem::take(&mut camera.lock().unwrap().copies)
}

#[tokio::test]
async fn law_21_a_crash_at_any_step_keeps_what_was_promised_and_never_lets_a_call_run_twice() {
    let (state, album) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let copies = photographed(state.path(), album.path()).await;
    assert!(
        copies.len() >= 5 * 6,
        "six writes of five steps: {}",
        copies.len()
    );
    let mut seen = std::collections::BTreeSet::new();
    for (promised, step, folder) in &copies {
        let at = format!("after `{step}`, promised {promised:?}");
        let bench = Bench::over(folder);
        let claim = ask("a", rule(1, |_| ())).claim();
        let object = bench
            .objects()
            .await
            .into_iter()
            .find(|object| object.spec.call.digest == Some(claim.digest));
        let Some(object) = object else {
            assert_eq!(*promised, Promised::Nothing, "{at}: the request is lost");
            continue;
        };
        let phase = object.status.as_ref().unwrap().phase.unwrap();
        seen.insert(phase);
        let request = sallyport_policy::name::RequestId::new(object.metadata.name.as_str());
        let used = bench.desk.consume(&request, &claim, &call("after")).await;
        match (phase, used) {
            (Phase::Pending, Err(ConsumeError::Refused(ConsumeRefusal::Pending))) => {
                assert!(*promised <= Promised::Opened, "{at}: the approval is lost");
            }
            (Phase::Approved, Ok(_)) => {
                assert!(
                    *promised <= Promised::Approved,
                    "{at}: the call would run twice"
                );
            }
            (Phase::Consumed, Err(ConsumeError::Refused(ConsumeRefusal::Used(outcome)))) => {
                assert!(
                    *promised >= Promised::Approved,
                    "{at}: used before anybody asked"
                );
                let known = outcome == Some(Outcome::Succeeded);
                assert!(
                    known || outcome == Some(Outcome::Unknown),
                    "{at}: {outcome:?}"
                );
                assert!(
                    known || *promised <= Promised::Used,
                    "{at}: the outcome is lost"
                );
            }
            (phase, used) => panic!("{at}: {phase:?} and {used:?}"),
        }
    }
    let all = [Phase::Pending, Phase::Approved, Phase::Consumed];
    assert!(
        all.iter().all(|phase| seen.contains(phase)),
        "the copies show every phase: {seen:?}"
    );
}

#[tokio::test]
async fn law_21_the_repeat_after_a_crash_hears_used_outcome_unknown() {
    let (state, after) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let bench = Bench::over(state.path());
    let ticket = bench.approved("a").await;
    let claim = ask("a", rule(1, |_| ())).claim();
    let running = bench
        .desk
        .consume(ticket.request(), &claim, &call("c1"))
        .await
        .unwrap();
    copy(state.path(), after.path());
    let next = Bench::over(after.path());
    let repeat = next.ask("a").await;
    assert_eq!(repeat.request(), ticket.request());
    let unknown = crate::hold::Status::Used {
        outcome: Some(Outcome::Unknown),
    };
    assert_eq!(repeat.status(), unknown);
    running.finish(Outcome::Succeeded).await.unwrap();
}

#[tokio::test]
async fn what_a_killed_guard_had_begun_to_write_is_removed_at_the_next_start() {
    let state = tempfile::tempdir().unwrap();
    let bench = Bench::over(state.path());
    let ticket = bench.ask("a").await;
    drop(bench);
    let unfinished = [
        state.path().join("requests/req-0000000000.tmp"),
        state.path().join("reviews/req-0000000000-001.tmp"),
    ];
    for path in &unfinished {
        fs::write(path, "{\"spec\":").unwrap();
    }
    let next = Bench::over(state.path());
    assert!(unfinished.iter().all(|path| !path.exists()));
    assert_eq!(next.ask("a").await.request(), ticket.request());
}
