//! The spool on real folders: what is durable, what a crash leaves, what a full disk refuses.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use sallyport_policy::name::{CallId, GatewayName, Issuer, SessionId, Subject};
use sallyport_policy::principal::CallerKey;
use sallyport_policy::record::event::{
    Answered, CallRequested, Capture, Direction, Event, Forwarded, GapCause, Mode, Outcome,
    PayloadKind, SessionBegan, SessionEnd,
};
use sallyport_policy::record::verify::{Tombstones, Verdict, Verifier};
use sallyport_policy::record::{EventRecord, Head, layout, line};
use sallyport_policy::time::UnixMillis;
use tempfile::TempDir;

use super::{AnchorAt, CallRecord, Ended, Options, RecordError, Recorder, Terms};

const STRICT: Terms = Terms {
    mode: Mode::Strict,
    capture: Capture::Masked,
};
const BEST_EFFORT: Terms = Terms {
    mode: Mode::BestEffort,
    capture: Capture::Masked,
};

fn options() -> Options {
    Options::new("test", Arc::new(now))
}

fn now() -> UnixMillis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    UnixMillis(i64::try_from(since.as_millis()).unwrap())
}

fn session() -> SessionBegan {
    SessionBegan {
        caller: CallerKey {
            issuer: Issuer::new("https://id.example"),
            subject: Subject::new("ada@example.com"),
            client: None,
            actor: None,
        },
        email: None,
        groups: BTreeSet::new(),
        anonymous: false,
        gateway: GatewayName {
            namespace: "shop".to_owned(),
            name: "inventory".to_owned(),
        },
        revision: None,
        protocol: Some("2026-07-28".to_owned()),
        transport: None,
        source: None,
        claimed_client: None,
    }
}

fn call(id: CallId) -> CallRequested {
    CallRequested {
        call: id,
        direction: Direction::ClientToServer,
        method: "tools/call".to_owned(),
        notification: false,
        id: Some("1".to_owned()),
        tool: Some("update_price".to_owned()),
        resource: None,
        pin: None,
        protocol: None,
        bytes: 10,
        source: None,
        trace: None,
    }
}

fn forwarded(id: &CallId) -> Event {
    Event::Forwarded(Forwarded {
        call: id.clone(),
        bytes: 10,
        headers: BTreeSet::new(),
    })
}

fn answer() -> Answered {
    Answered {
        call: CallId::new("-"),
        status: Some(200),
        is_error: false,
        bytes: 4,
        masks: std::collections::BTreeMap::new(),
    }
}

fn answered(id: &CallId) -> Event {
    let call = id.clone();
    Event::Answered(Answered { call, ..answer() })
}

fn body(text: &'static [u8]) -> Vec<(PayloadKind, Bytes)> {
    vec![(PayloadKind::Request, Bytes::from_static(text))]
}

fn segments(folder: &Path) -> Vec<(u64, Vec<u8>)> {
    let mut found: Vec<(u64, Vec<u8>)> = fs::read_dir(folder.join(layout::SEGMENTS))
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            let number = layout::segment_number(entry.file_name().to_str().unwrap()).unwrap();
            (number, fs::read(entry.path()).unwrap())
        })
        .collect();
    found.sort();
    found
}

fn verify(folder: &Path, head: Option<Head>) -> Verdict {
    let mut verifier = Verifier::new(None, Tombstones::default());
    for (number, bytes) in segments(folder) {
        verifier.begin_segment(number);
        for raw in line::lines(&bytes) {
            if raw.whole {
                verifier.line(raw.text);
            } else {
                verifier.torn(raw.text.len() as u64, false);
            }
        }
    }
    verifier.finish(head)
}

fn events(folder: &Path) -> Vec<EventRecord> {
    let mut all = Vec::new();
    for (_, bytes) in segments(folder) {
        for raw in line::lines(&bytes) {
            let line = line::decode(raw.text).unwrap();
            if line.kind == line::LineKind::Event {
                all.push(serde_json::from_slice(line.json).unwrap());
            }
        }
    }
    all
}

fn names(folder: &Path, session: &SessionId) -> Vec<&'static str> {
    let all = events(folder);
    let mine = all.iter().filter(|record| record.session == *session);
    mine.map(|record| record.event.name()).collect()
}

fn ends(folder: &Path) -> Vec<(CallId, Outcome, bool)> {
    let mut ends = Vec::new();
    for record in events(folder) {
        if let Event::CallEnded(ended) = record.event {
            ends.push((ended.call, ended.outcome, ended.executed));
        }
    }
    ends
}

/// The folder as a crash at this moment would leave it.
fn crashed(folder: &Path) -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    for part in [layout::SEGMENTS, layout::PAYLOADS, layout::TORN] {
        fs::create_dir(copy.path().join(part)).unwrap();
        for entry in fs::read_dir(folder.join(part)).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), copy.path().join(part).join(entry.file_name())).unwrap();
        }
    }
    for file in [layout::SIGNING_KEY, layout::VERIFYING_KEY] {
        fs::copy(folder.join(file), copy.path().join(file)).unwrap();
    }
    copy
}

#[tokio::test]
async fn a_strict_call_is_on_the_disk_before_each_settle_returns() {
    let folder = tempfile::tempdir().unwrap();
    let (recorder, spool) = Recorder::open(folder.path(), options()).unwrap();
    let session = recorder.begin_session(session());
    let mut record = recorder.open_call(&session, STRICT, call, body(b"{\"sku\":1}"));
    let id = record.id().clone();
    record.note(forwarded(&id), Vec::new());
    record.settle().await.unwrap();
    assert_eq!(
        names(folder.path(), &session),
        ["sessionBegan", "callRequested", "forwarded"]
    );

    record.note(
        answered(&id),
        vec![(PayloadKind::Response, Bytes::from_static(b"pong"))],
    );
    record.settle().await.unwrap();
    let answer = events(folder.path()).pop().unwrap();
    let payload = answer.payloads[0];
    let file = folder
        .path()
        .join(layout::PAYLOADS)
        .join(layout::payload_file(payload.file));
    let stored = fs::read(file).unwrap();
    let at = usize::try_from(payload.offset).unwrap();
    assert_eq!(&stored[at..at + 4], b"pong");

    record.end(Ended::new(Outcome::Succeeded)).await.unwrap();
    recorder
        .end_session(&session, SessionEnd::Closed)
        .await
        .unwrap();
    let head = spool.close().await.unwrap();
    let verdict = verify(folder.path(), Some(head));
    assert_eq!(verdict.findings, Vec::new());
    assert!(verdict.ended && verdict.complete == Some(head));
}

#[tokio::test]
async fn law_30_a_dropped_record_ends_once_whatever_became_of_its_task() {
    let folder = tempfile::tempdir().unwrap();
    let (recorder, spool) = Recorder::open(folder.path(), options()).unwrap();
    let session = recorder.begin_session(session());
    let mut sent = recorder.open_call(&session, STRICT, call, Vec::new());
    let id = sent.id().clone();
    sent.note(forwarded(&id), Vec::new());
    let unsent = recorder.open_call(&session, BEST_EFFORT, call, Vec::new());
    let other = unsent.id().clone();
    drop((sent, unsent));
    spool.close().await.unwrap();
    assert_eq!(
        ends(folder.path()),
        [
            (id, Outcome::Unknown, true),
            (other, Outcome::Cancelled, false)
        ]
    );
}

#[tokio::test]
async fn law_30_a_restart_ends_each_open_call_as_unknown_and_says_whether_it_was_sent() {
    let folder = tempfile::tempdir().unwrap();
    let (recorder, _spool) = Recorder::open(folder.path(), options()).unwrap();
    let session = recorder.begin_session(session());
    let mut sent = recorder.open_call(&session, STRICT, call, Vec::new());
    let id = sent.id().clone();
    sent.note(forwarded(&id), Vec::new());
    let mut unsent = recorder.open_call(&session, STRICT, call, Vec::new());
    sent.settle().await.unwrap();
    unsent.settle().await.unwrap();

    let after = crashed(folder.path());
    let (_recorder, spool) = Recorder::open(after.path(), options()).unwrap();
    let head = spool.close().await.unwrap();
    assert_eq!(
        ends(after.path()),
        [
            (id, Outcome::Unknown, true),
            (unsent.id().clone(), Outcome::Unknown, false)
        ]
    );
    assert_eq!(names(after.path(), &session).last(), Some(&"sessionEnded"));
    let verdict = verify(after.path(), Some(head));
    assert_eq!(
        (verdict.findings, verdict.complete),
        (Vec::new(), Some(head))
    );
}

#[tokio::test]
async fn law_30_a_restart_ends_a_call_whose_answer_is_on_record_as_answered() {
    let folder = tempfile::tempdir().unwrap();
    let (recorder, _spool) = Recorder::open(folder.path(), options()).unwrap();
    let session = recorder.begin_session(session());
    let withheld = Answered {
        status: None,
        is_error: true,
        ..answer()
    };
    let failed = Answered {
        is_error: true,
        ..answer()
    };
    // (what was noted, how the restart ends it)
    let rows = [
        (Some(answer()), Outcome::Succeeded),
        (Some(failed), Outcome::Failed),
        (Some(withheld), Outcome::Unknown),
        (None, Outcome::Unknown),
    ];
    let mut open = Vec::new();
    for (answer, outcome) in rows {
        let mut record = recorder.open_call(&session, STRICT, call, Vec::new());
        let id = record.id().clone();
        record.note(forwarded(&id), Vec::new());
        record.settle().await.unwrap();
        assert!(!record.answer_is_durable());
        if let Some(answer) = answer {
            let call = id.clone();
            record.note(Event::Answered(Answered { call, ..answer }), Vec::new());
            assert!(!record.answer_is_durable(), "it is only noted");
            record.settle().await.unwrap();
            assert!(record.answer_is_durable());
        }
        open.push((record, (id, outcome, true)));
    }

    let after = crashed(folder.path());
    let (_recorder, spool) = Recorder::open(after.path(), options()).unwrap();
    let head = spool.close().await.unwrap();
    let expected: Vec<_> = open.into_iter().map(|(_, expected)| expected).collect();
    assert_eq!(ends(after.path()), expected);
    assert_eq!(verify(after.path(), Some(head)).findings, Vec::new());
}

#[tokio::test]
async fn law_31_an_answer_that_was_followed_by_another_event_is_waited_for_again() {
    let folder = tempfile::tempdir().unwrap();
    let (recorder, _spool) = Recorder::open(folder.path(), options()).unwrap();
    let session = recorder.begin_session(session());
    let mut record = recorder.open_call(&session, STRICT, call, Vec::new());
    let id = record.id().clone();
    record.note(answered(&id), Vec::new());
    record.settle().await.unwrap();
    record.note(answered(&id), Vec::new());
    assert!(!record.answer_is_durable());
}

#[tokio::test]
async fn a_torn_write_is_set_aside_told_and_harms_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (recorder, _spool) = Recorder::open(folder.path(), options()).unwrap();
    let session = recorder.begin_session(session());
    let mut record = recorder.open_call(&session, STRICT, call, Vec::new());
    record.settle().await.unwrap();

    let rows: [(&str, &[u8]); 3] = [
        ("half a line", b"E 0123456789"),
        ("zeros", &[0; 300]),
        ("a whole line of rubbish", b"E rubbish\nE 01"),
    ];
    for (name, torn) in rows {
        let after = crashed(folder.path());
        let path = after
            .path()
            .join(layout::SEGMENTS)
            .join(layout::segment_file(1));
        let whole = fs::metadata(&path).unwrap().len();
        let mut file = fs::OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(torn).unwrap();
        drop(file);

        let (_recorder, spool) = Recorder::open(after.path(), options()).unwrap();
        let head = spool.close().await.unwrap();
        assert_eq!(
            verify(after.path(), Some(head)).findings,
            Vec::new(),
            "{name}"
        );
        let aside = after
            .path()
            .join(layout::TORN)
            .join(layout::torn_file(1, whole));
        assert_eq!(fs::read(aside).unwrap(), torn, "{name}");
        let told = events(after.path())
            .into_iter()
            .any(|record| matches!(record.event, Event::Recovered(found) if found.torn_bytes == torn.len() as u64));
        assert!(told, "{name}");
    }
}

#[tokio::test]
async fn a_crash_right_after_a_segment_was_made_is_recovered() {
    let folder = tempfile::tempdir().unwrap();
    let (recorder, _spool) = Recorder::open(folder.path(), options()).unwrap();
    let session = recorder.begin_session(session());
    let mut record = recorder.open_call(&session, STRICT, call, Vec::new());
    record.settle().await.unwrap();
    let after = crashed(folder.path());
    fs::write(
        after
            .path()
            .join(layout::SEGMENTS)
            .join(layout::segment_file(2)),
        b"S 01",
    )
    .unwrap();
    fs::write(
        after
            .path()
            .join(layout::PAYLOADS)
            .join(layout::payload_file(2)),
        b"",
    )
    .unwrap();

    let (_recorder, spool) = Recorder::open(after.path(), options()).unwrap();
    let head = spool.close().await.unwrap();
    assert_eq!(verify(after.path(), Some(head)).findings, Vec::new());
    assert_eq!(ends(after.path()).len(), 1);
}

#[tokio::test]
async fn a_damaged_line_is_kept_as_evidence_through_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let (recorder, spool) = Recorder::open(folder.path(), options()).unwrap();
    let session = recorder.begin_session(session());
    recorder
        .end_session(&session, SessionEnd::Closed)
        .await
        .unwrap();
    spool.close().await.unwrap();
    let path = folder
        .path()
        .join(layout::SEGMENTS)
        .join(layout::segment_file(1));
    let mut bytes = fs::read(&path).unwrap();
    let at = bytes
        .windows(14)
        .position(|text| text == b"\"sessionBegan\"")
        .unwrap();
    bytes[at + 3] ^= 1;
    fs::write(&path, &bytes).unwrap();

    let (_recorder, spool) = Recorder::open(folder.path(), options()).unwrap();
    spool.close().await.unwrap();
    assert_eq!(fs::read(&path).unwrap(), bytes, "evidence is not touched");
    let verdict = verify(folder.path(), None);
    assert_eq!(verdict.findings[0].place.segment, 1);
    assert!(!verdict.is_good());
}

#[tokio::test]
async fn two_processes_cannot_write_one_folder() {
    let folder = tempfile::tempdir().unwrap();
    let (_recorder, spool) = Recorder::open(folder.path(), options()).unwrap();
    let error = Recorder::open(folder.path(), options()).unwrap_err();
    assert!(matches!(&error, RecordError::InUse { .. }), "{error}");
    assert!(
        error
            .to_string()
            .contains(&format!("process {}", std::process::id())),
        "{error}"
    );

    let refused = victim(folder.path()).output().unwrap();
    let told = String::from_utf8_lossy(&refused.stdout).into_owned();
    assert!(told.contains("refused: recordings in"), "{told}");

    spool.close().await.unwrap();
    let (_recorder, spool) = Recorder::open(folder.path(), options()).unwrap();
    spool.close().await.unwrap();
}

/// Another process of this test that writes calls into the folder until it is killed.
fn victim(folder: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args([
            "--exact",
            "record::tests::victim_of_the_kill_test",
            "--ignored",
            "--nocapture",
        ])
        .env("SALLYPORT_TEST_FOLDER", folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    command
}

#[tokio::test]
#[ignore = "the process that the kill test starts and kills"]
async fn victim_of_the_kill_test() {
    let folder = PathBuf::from(std::env::var_os("SALLYPORT_TEST_FOLDER").unwrap());
    let (recorder, _spool) = match Recorder::open(&folder, options()) {
        Ok(opened) => opened,
        Err(error) => {
            println!("refused: {error}");
            return;
        }
    };
    let session = recorder.begin_session(session());
    loop {
        let mut record = recorder.open_call(&session, STRICT, call, body(b"{\"sku\":12345}"));
        let id = record.id().clone();
        record.note(forwarded(&id), Vec::new());
        record.settle().await.unwrap();
        println!("durable {session} {id}");
        record.note(
            answered(&id),
            vec![(PayloadKind::Response, Bytes::from(vec![b'x'; 5000]))],
        );
        record.settle().await.unwrap();
        println!("answered {session} {id}");
        // As the data path does: nobody waits for the end of an answered call.
        record.end_unheard(Ended::new(Outcome::Succeeded));
    }
}

#[tokio::test]
async fn kill_9_loses_nothing_that_was_told_durable_and_leaves_no_open_call() {
    for calls in [1, 7, 30] {
        let folder = tempfile::tempdir().unwrap();
        let mut child = victim(folder.path()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let told: Vec<String> = lines
            .map_while(Result::ok)
            .filter(|line| line.contains("durable ") || line.contains("answered "))
            .take(2 * calls)
            .collect();
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(told.len(), 2 * calls);

        let (_recorder, spool) = Recorder::open(folder.path(), options()).unwrap();
        let head = spool.close().await.unwrap();
        let verdict = verify(folder.path(), Some(head));
        assert_eq!(verdict.findings, Vec::new());
        let ended = ends(folder.path());
        for line in told {
            let call = line.rsplit(' ').next().unwrap();
            let of_call = ended.iter().filter(|(ended, ..)| ended.as_str() == call);
            let outcomes: Vec<_> = of_call.map(|(_, outcome, _)| *outcome).collect();
            assert_eq!(outcomes.len(), 1, "{call} was told durable");
            if line.contains("answered ") {
                assert_eq!(outcomes, [Outcome::Succeeded], "{call} was answered");
            }
        }
    }
}

/// Takes every byte that there is, by payloads and by events, in a call that stays open.
async fn fill(recorder: &Recorder, session: &SessionId) -> CallRecord {
    let mut filler = recorder.open_call(session, STRICT, call, Vec::new());
    let id = filler.id().clone();
    for size in [100_000, 10_000, 1000, 100, 0] {
        loop {
            // Several share one sync.
            for _ in 0..20 {
                let payload = vec![(PayloadKind::Stream, Bytes::from(vec![b'x'; size]))];
                let payload = if size == 0 { Vec::new() } else { payload };
                filler.note(answered(&id), payload);
            }
            if filler.settle().await.is_err() {
                break;
            }
        }
    }
    filler
}

/// No call is served, of a session that is there and of a new one.
async fn serves_nothing(recorder: &Recorder, session: &SessionId) {
    for _ in 0..20 {
        let mut refused = recorder.open_call(session, STRICT, call, Vec::new());
        assert!(
            refused.settle().await.is_err(),
            "a call was served on a full disk"
        );
    }
    let mut stranger = recorder.open_call(
        &recorder.begin_session(self::session()),
        STRICT,
        call,
        Vec::new(),
    );
    assert!(
        stranger.settle().await.is_err(),
        "a new session was served on a full disk"
    );
}

/// What a full disk does to calls: by quota, and on a real one where this user may mount it.
async fn on_a_full_disk(folder: &Path, quota: Option<u64>) {
    let options = Options { quota, ..options() };
    let (recorder, spool) = Recorder::open(folder, options).unwrap();
    let session = recorder.begin_session(session());
    let mut open = recorder.open_call(&session, STRICT, call, Vec::new());
    let open_id = open.id().clone();
    open.note(forwarded(&open_id), Vec::new());
    open.settle().await.unwrap();

    let filler = fill(&recorder, &session).await;

    // Strict: an answer is not released, and no new call is sent.
    open.note(answered(&open_id), body(b"pong"));
    let error = open.settle().await.unwrap_err();
    assert!(
        matches!(error, RecordError::NoSpace(_) | RecordError::Quota(_)),
        "{error}"
    );
    serves_nothing(&recorder, &session).await;
    let mut health = recorder.health();
    health
        .wait_for(|health| health.trouble.is_some())
        .await
        .unwrap();
    // Best effort goes on and counts.
    recorder
        .open_call(&session, BEST_EFFORT, call, Vec::new())
        .settle()
        .await
        .unwrap();

    // The space of terminal events was kept.
    let withheld = Ended {
        outcome: Outcome::Withheld,
        reason: Some("recording_failed".to_owned()),
        status: Some(502),
    };
    open.end(withheld).await.unwrap();
    filler.end(Ended::new(Outcome::Succeeded)).await.unwrap();
    let head = spool.close().await.unwrap();
    let verdict = verify(folder, Some(head));
    assert_eq!(
        (verdict.findings, verdict.complete),
        (Vec::new(), Some(head))
    );
    let ends = ends(folder);
    assert!(
        ends.contains(&(open_id, Outcome::Withheld, true)),
        "{ends:?}"
    );
    assert!(names(folder, &session).contains(&"gap"));
}

#[tokio::test]
async fn law_31_strict_serves_nothing_when_the_quota_is_used_up_and_still_ends_what_it_began() {
    let folder = tempfile::tempdir().unwrap();
    on_a_full_disk(folder.path(), Some(3 << 20)).await;
}

#[tokio::test]
async fn law_31_strict_serves_nothing_on_a_full_disk_and_still_ends_what_it_began() {
    let folder = tempfile::tempdir().unwrap();
    let mount = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=3m", "tmpfs"])
        .arg(folder.path())
        .stderr(Stdio::null())
        .status();
    if !mount.is_ok_and(|status| status.success()) {
        // Only root may mount; the same on a quota is the test above.
        println!("no file system may be mounted here");
        return;
    }
    let result = tokio::spawn({
        let path = folder.path().to_owned();
        async move { on_a_full_disk(&path, None).await }
    })
    .await;
    Command::new("umount")
        .arg("-l")
        .arg(folder.path())
        .status()
        .unwrap();
    result.unwrap();
}

#[tokio::test]
async fn a_gap_is_told_once_there_is_room_again_and_calls_are_served_again() {
    let folder = tempfile::tempdir().unwrap();
    let filler = folder.path().join(layout::SEGMENTS).join("filler");
    fs::create_dir_all(filler.parent().unwrap()).unwrap();
    fs::write(&filler, vec![1; 5 << 20]).unwrap();
    let (recorder, spool) = Recorder::open(
        folder.path(),
        Options {
            quota: Some(7 << 20),
            ..options()
        },
    )
    .unwrap();
    let session = recorder.begin_session(session());
    let mut record = recorder.open_call(&session, STRICT, call, Vec::new());
    record.settle().await.unwrap();
    let id = record.id().clone();
    let large = vec![(PayloadKind::Response, Bytes::from(vec![b'x'; 3 << 20]))];
    record.note(answered(&id), large.clone());
    assert!(record.settle().await.is_err());

    fs::remove_file(&filler).unwrap();
    record.note(answered(&id), large);
    record.settle().await.unwrap();
    record.end(Ended::new(Outcome::Succeeded)).await.unwrap();
    let mut health = recorder.health();
    health
        .wait_for(|health| health.trouble.is_none() && health.lost == 1)
        .await
        .unwrap();
    spool.close().await.unwrap();
    assert_eq!(
        names(folder.path(), &session),
        [
            "sessionBegan",
            "callRequested",
            "gap",
            "answered",
            "callEnded",
            "sessionEnded"
        ]
    );
    assert_eq!(verify(folder.path(), None).findings, Vec::new());
}

#[tokio::test]
async fn beyond_the_queue_s_limit_events_are_refused_and_counted_but_terminal_ones_pass() {
    let folder = tempfile::tempdir().unwrap();
    let (recorder, spool) = Recorder::open(
        folder.path(),
        Options {
            queue_bytes: 10_000,
            ..options()
        },
    )
    .unwrap();
    let session = recorder.begin_session(session());
    let mut record = recorder.open_call(&session, STRICT, call, Vec::new());
    let id = record.id().clone();
    record.settle().await.unwrap();
    for _ in 0..2000 {
        let large = vec![(PayloadKind::Response, Bytes::from(vec![b'x'; 20_000]))];
        record.note(answered(&id), large);
    }
    assert!(matches!(
        record.settle().await,
        Err(RecordError::QueueFull(_))
    ));
    record.end(Ended::new(Outcome::Withheld)).await.unwrap();
    spool.close().await.unwrap();
    let gap = events(folder.path()).into_iter().find_map(|record| {
        if let Event::Gap(gap) = record.event {
            Some(gap)
        } else {
            None
        }
    });
    assert!(gap.is_some_and(|gap| gap.lost > 0 && gap.cause == GapCause::QueueFull));
}

#[tokio::test]
async fn many_calls_over_many_segments_stay_one_recording() {
    let folder = tempfile::tempdir().unwrap();
    let small = Options {
        segment_bytes: 20_000,
        checkpoint_events: 50,
        ..options()
    };
    let anchor = folder.path().join("anchor");
    let small = Options {
        anchor: Some(AnchorAt {
            path: anchor.clone(),
            every: Duration::from_secs(300),
        }),
        ..small
    };
    let (recorder, spool) = Recorder::open(folder.path(), small).unwrap();
    let sessions: Vec<SessionId> = (0..4).map(|_| recorder.begin_session(session())).collect();
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..40 {
        let recorder = recorder.clone();
        let session = sessions[number % 4].clone();
        tasks.spawn(async move {
            for _ in 0..5 {
                let mut record = recorder.open_call(&session, STRICT, call, body(b"{}"));
                record.settle().await.unwrap();
                record.end(Ended::new(Outcome::Denied)).await.unwrap();
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    let head = spool.close().await.unwrap();
    assert!(segments(folder.path()).len() > 3);
    assert_eq!(ends(folder.path()).len(), 200);
    let verdict = verify(folder.path(), Some(head));
    assert_eq!(
        (verdict.findings, verdict.complete),
        (Vec::new(), Some(head))
    );
    let anchored = fs::read_to_string(anchor).unwrap();
    assert_eq!(anchored.lines().last().unwrap().parse(), Ok(head));
}

#[tokio::test]
async fn law_33_an_anchor_learns_a_head_when_one_is_due_and_the_last_one_always() {
    // (how often, whether checkpoints between the first and the last are copied)
    for (every, between) in [(Duration::from_secs(3600), false), (Duration::ZERO, true)] {
        let folder = tempfile::tempdir().unwrap();
        let anchor = folder.path().join("anchor");
        let options = Options {
            anchor: Some(AnchorAt {
                path: anchor.clone(),
                every,
            }),
            checkpoint_events: 1,
            checkpoint_every: Duration::from_millis(20),
            ..options()
        };
        let (recorder, spool) = Recorder::open(folder.path(), options).unwrap();
        let session = recorder.begin_session(session());
        for _ in 0..3 {
            let mut record = recorder.open_call(&session, STRICT, call, body(b"{}"));
            record.settle().await.unwrap();
            record.end(Ended::new(Outcome::Denied)).await.unwrap();
        }
        let head = spool.close().await.unwrap();
        let anchored = fs::read_to_string(anchor).unwrap();
        assert_eq!(anchored.lines().last().unwrap().parse(), Ok(head));
        assert_eq!(
            anchored.lines().count() > 2,
            between,
            "{every:?}: {anchored}"
        );
    }
}

#[tokio::test]
async fn law_33_an_anchor_that_a_policy_names_later_learns_the_head_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let (recorder, spool) = Recorder::open(folder.path(), options()).unwrap();
    let head = recorder.checkpoint().await.unwrap();
    let place = |name: &str| {
        Some(AnchorAt {
            path: folder.path().join(name),
            every: Duration::from_secs(3600),
        })
    };
    recorder.anchor_to(place("no/such/folder"));
    recorder.anchor_to(place("anchor"));
    let last = recorder.checkpoint().await.unwrap();
    let anchored = fs::read_to_string(folder.path().join("anchor")).unwrap();
    assert_eq!(anchored.lines().next().unwrap().parse(), Ok(head));
    recorder.anchor_to(place("anchor"));
    recorder.anchor_to(None);
    let after = spool.close().await.unwrap();
    let anchored = fs::read_to_string(folder.path().join("anchor")).unwrap();
    assert!(!anchored.contains(&after.to_string()), "it learns no more");
    assert_ne!(last, after);
}

#[tokio::test]
async fn an_old_segment_is_followed_by_another_once_and_only_where_it_holds_events() {
    let folder = tempfile::tempdir().unwrap();
    let aging = Options {
        segment_age: Some(Duration::ZERO),
        ..options()
    };
    let (recorder, spool) = Recorder::open(folder.path(), aging).unwrap();
    let session = recorder.begin_session(session());
    for expected in [2, 3] {
        let record = recorder.open_call(&session, STRICT, call, Vec::new());
        record.end(Ended::new(Outcome::Denied)).await.unwrap();
        // The thread looks round after each group; this one comes after that.
        recorder.checkpoint().await.unwrap();
        recorder.checkpoint().await.unwrap();
        let count = segments(folder.path()).len();
        assert!(count >= expected, "{count}");
    }
    let quiet = segments(folder.path()).len();
    for _ in 0..3 {
        recorder.checkpoint().await.unwrap();
    }
    assert_eq!(segments(folder.path()).len(), quiet);
    let head = spool.close().await.unwrap();
    assert_eq!(verify(folder.path(), Some(head)).findings, Vec::new());
}

#[tokio::test]
async fn a_lost_or_foreign_signing_key_stops_the_start_and_is_never_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let (_recorder, spool) = Recorder::open(folder.path(), options()).unwrap();
    spool.close().await.unwrap();
    let key = folder.path().join(layout::SIGNING_KEY);
    let good = fs::read(&key).unwrap();
    fs::remove_file(&key).unwrap();
    assert!(matches!(
        Recorder::open(folder.path(), options()),
        Err(RecordError::BadKey(_))
    ));
    assert!(!key.exists());
    for bad in ["rubbish".to_owned(), "07".repeat(32)] {
        fs::write(&key, bad).unwrap();
        assert!(matches!(
            Recorder::open(folder.path(), options()),
            Err(RecordError::BadKey(_))
        ));
    }
    fs::write(&key, good).unwrap();
    let (_recorder, spool) = Recorder::open(folder.path(), options()).unwrap();
    spool.close().await.unwrap();
}

#[tokio::test]
async fn metadata_keeps_no_payload_and_disabled_keeps_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (recorder, spool) = Recorder::open(folder.path(), options()).unwrap();
    let session = recorder.begin_session(session());
    for (mode, capture) in [
        (Mode::Strict, Capture::Metadata),
        (Mode::Disabled, Capture::Masked),
    ] {
        let mut record =
            recorder.open_call(&session, Terms { mode, capture }, call, body(b"secret"));
        record.settle().await.unwrap();
        drop(record.end(Ended::new(Outcome::Succeeded)));
    }
    spool.close().await.unwrap();
    assert_eq!(ends(folder.path()).len(), 1);
    let payloads = folder
        .path()
        .join(layout::PAYLOADS)
        .join(layout::payload_file(1));
    assert_eq!(fs::read(payloads).unwrap(), b"");
}

#[test]
fn the_signing_key_and_recordings_are_for_their_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("recordings");
    let (_recorder, _spool) = Recorder::open(&state, options()).unwrap();
    let rows = [
        (state.clone(), 0o700),
        (state.join(layout::SIGNING_KEY), 0o600),
        (
            state.join(layout::SEGMENTS).join(layout::segment_file(1)),
            0o600,
        ),
        (
            state.join(layout::PAYLOADS).join(layout::payload_file(1)),
            0o600,
        ),
    ];
    for (path, expected) in rows {
        let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, expected, "{}", path.display());
    }
}
