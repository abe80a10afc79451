//! Recordings written by the real spool, read back: search, verification of tampered files, purge, export.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test fails by panicking, in its helpers too"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use sallyport_policy::name::{
    CallId, ClientId, GatewayName, Issuer, RuleId, RuleSource, SessionId, Subject,
};
use sallyport_policy::principal::CallerKey;
use sallyport_policy::record::event::{
    Answered, CallRequested, Capture, Decided, Direction, Event, Forwarded, Mode, Outcome,
    PayloadKind, PurgeCause, SessionBegan, SessionEnd, Verdict, ViewKind,
};
use sallyport_policy::record::replay::Pace;
use sallyport_policy::record::{Head, layout};
use sallyport_policy::time::UnixMillis;
use sallyport_recorder::purge::Order;
use sallyport_recorder::show::{Look, write_step};
use sallyport_recorder::{
    Actor, CallFilter, Payload, ReadError, Recordings, SessionFilter, VerifyOptions, export,
    verify_export,
};
use sallyport_sidecar::record::{Ended, Options, Recorder, Spool, Terms};
use tempfile::TempDir;

const STRICT: Terms = Terms {
    mode: Mode::Strict,
    capture: Capture::Masked,
};

fn now() -> UnixMillis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    UnixMillis(i64::try_from(since.as_millis()).unwrap())
}

fn actor() -> Actor {
    Actor {
        user: "auditor".to_owned(),
        uid: 1234,
    }
}

fn erasure(actor: &Actor) -> Order<'_> {
    Order {
        actor,
        cause: PurgeCause::Erasure,
        reason: Some("request 4"),
        dry_run: false,
    }
}

fn retention(actor: &Actor) -> Order<'_> {
    Order {
        cause: PurgeCause::Retention,
        reason: Some("retention 1ms"),
        ..erasure(actor)
    }
}

fn open(folder: &Path) -> Recordings {
    Recordings::open(folder, Arc::new(now)).unwrap()
}

fn options() -> Options {
    Options {
        segment_bytes: 6000,
        checkpoint_events: 8,
        ..Options::new("test", Arc::new(now))
    }
}

fn session(user: &str) -> SessionBegan {
    SessionBegan {
        caller: CallerKey {
            issuer: Issuer::new("https://id.example"),
            subject: Subject::new(user),
            client: Some(ClientId::new("desk-agent")),
            actor: None,
        },
        email: None,
        groups: BTreeSet::from(["stock-clerks".to_owned()]),
        anonymous: false,
        gateway: GatewayName {
            namespace: "shop".to_owned(),
            name: "inventory".to_owned(),
        },
        revision: None,
        protocol: None,
        transport: None,
        source: None,
        claimed_client: None,
    }
}

fn requested(call: CallId, tool: &str) -> CallRequested {
    CallRequested {
        call,
        direction: Direction::ClientToServer,
        method: "tools/call".to_owned(),
        notification: false,
        id: Some("\"7\"".to_owned()),
        tool: Some(tool.to_owned()),
        resource: None,
        pin: None,
        protocol: None,
        bytes: 10,
        source: None,
        trace: None,
    }
}

fn payload(kind: PayloadKind, text: &str) -> Vec<(PayloadKind, Bytes)> {
    vec![(kind, Bytes::from(text.to_owned()))]
}

/// One whole call, allowed or denied by a rule of that name.
async fn call(recorder: &Recorder, session: &SessionId, tool: &str, verdict: Verdict, rule: &str) {
    let arguments = payload(PayloadKind::Request, &format!("{{\"tool\":\"{tool}\"}}"));
    let mut record = recorder.open_call(session, STRICT, |id| requested(id, tool), arguments);
    let id = record.id().clone();
    let decided = Decided {
        call: id.clone(),
        verdict,
        rule: Some(RuleId {
            source: RuleSource::Policy,
            object: "clerks".to_owned(),
            rule: rule.to_owned(),
        }),
        holds: Vec::new(),
        reason: (verdict == Verdict::Deny).then(|| "denied_by_rule".to_owned()),
        revision: None,
        shadow: None,
    };
    record.note(Event::Decided(Box::new(decided)), Vec::new());
    if verdict == Verdict::Deny {
        record.settle().await.unwrap();
        record.end(Ended::new(Outcome::Denied)).await.unwrap();
        return;
    }
    record.note(
        Event::Forwarded(Forwarded {
            call: id.clone(),
            bytes: 10,
            headers: BTreeSet::new(),
        }),
        Vec::new(),
    );
    record.settle().await.unwrap();
    let answer = Answered {
        call: id,
        status: Some(200),
        is_error: false,
        bytes: 30,
        masks: BTreeMap::from([("aws-access-key".to_owned(), 1)]),
    };
    let text = format!("the key of {tool} is [redacted:aws-access-key]");
    record.note(
        Event::Answered(answer),
        payload(PayloadKind::Response, &text),
    );
    record.settle().await.unwrap();
    record.end(Ended::new(Outcome::Succeeded)).await.unwrap();
}

/// Two people over several segments: ada reads and is denied a drop, bob updates prices.
async fn write(folder: &Path) -> (SessionId, SessionId, Recorder, Spool) {
    let (recorder, spool) = Recorder::open(folder, options()).unwrap();
    let ada = recorder.begin_session(session("ada@example.com"));
    let bob = recorder.begin_session(session("bob@example.com"));
    for _ in 0..4 {
        call(&recorder, &ada, "list_items", Verdict::Allow, "read").await;
        call(&recorder, &bob, "update_price", Verdict::Allow, "prices").await;
    }
    call(&recorder, &ada, "drop_table", Verdict::Deny, "never-drop").await;
    recorder
        .end_session(&ada, SessionEnd::Closed)
        .await
        .unwrap();
    (ada, bob, recorder, spool)
}

async fn recording() -> (TempDir, SessionId, SessionId, Head) {
    let folder = tempfile::tempdir().unwrap();
    let (ada, bob, _recorder, spool) = write(folder.path()).await;
    let head = spool.close().await.unwrap();
    (folder, ada, bob, head)
}

fn segment(folder: &Path, number: u64) -> std::path::PathBuf {
    folder
        .join(layout::SEGMENTS)
        .join(layout::segment_file(number))
}

fn edit_lines(path: &Path, change: impl FnOnce(&mut Vec<String>)) {
    let text = fs::read_to_string(path).unwrap();
    let mut lines: Vec<String> = text.lines().map(ToOwned::to_owned).collect();
    change(&mut lines);
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    fs::write(path, text).unwrap();
}

fn first_finding(folder: &Path, head: Option<Head>) -> String {
    let report = open(folder)
        .verify(VerifyOptions { key: None, head })
        .unwrap();
    report
        .first()
        .map_or_else(|| "good".to_owned(), ToString::to_string)
}

/// Positions of the event lines of one session.
fn lines_of(lines: &[String], session: &SessionId) -> Vec<usize> {
    let start = format!("{{\"session\":\"{session}\",\"seq\":");
    let mine = |line: &String| line.starts_with('E') && line.contains(&start);
    (0..lines.len()).filter(|at| mine(&lines[*at])).collect()
}

#[tokio::test]
async fn an_untouched_recording_verifies_while_it_is_written_and_afterwards() {
    let folder = tempfile::tempdir().unwrap();
    let (_ada, _bob, recorder, spool) = write(folder.path()).await;
    let head = recorder.checkpoint().await.unwrap();
    let live = open(folder.path())
        .verify(VerifyOptions {
            key: None,
            head: Some(head),
        })
        .unwrap();
    assert!(live.is_good(), "{:?}", live.recordings.findings);
    assert!(!live.recordings.ended);

    let head = spool.close().await.unwrap();
    let report = open(folder.path())
        .verify(VerifyOptions {
            key: None,
            head: Some(head),
        })
        .unwrap();
    assert!(report.is_good() && report.recordings.ended);
    assert_eq!(report.recordings.complete, Some(head));
    assert!(report.recordings.segments > 2 && report.payloads > 10);
}

#[tokio::test]
async fn verify_names_a_flipped_bit_wherever_it_is() {
    let (folder, _ada, _bob, head) = recording().await;
    let rows = [
        (segment(folder.path(), 1), "was changed"),
        (segment(folder.path(), 2), "was changed"),
        (
            folder
                .path()
                .join(layout::PAYLOADS)
                .join(layout::payload_file(1)),
            "a payload of event",
        ),
    ];
    for (path, expected) in rows {
        let good = fs::read(&path).unwrap();
        let mut bad = good.clone();
        let at = bad
            .windows(10)
            .position(|text| text == b"list_items")
            .unwrap();
        bad[at] ^= 1;
        fs::write(&path, &bad).unwrap();
        let found = first_finding(folder.path(), Some(head));
        assert!(found.contains(expected), "{}: {found}", path.display());
        fs::write(&path, good).unwrap();
    }
    assert_eq!(first_finding(folder.path(), Some(head)), "good");
}

#[tokio::test]
async fn verify_names_removed_and_reordered_events() {
    let (folder, ada, _bob, _head) = recording().await;
    let path = segment(folder.path(), 1);
    let good = fs::read(&path).unwrap();
    edit_lines(&path, |lines| {
        let at = lines_of(lines, &ada)[2];
        lines.remove(at);
    });
    assert!(
        first_finding(folder.path(), None).contains(&format!("event 2 of session `{ada}` removed"))
    );

    fs::write(&path, &good).unwrap();
    edit_lines(&path, |lines| {
        let at = lines_of(lines, &ada);
        lines.swap(at[2], at[3]);
    });
    assert!(first_finding(folder.path(), None).contains(&format!(
        "event 2 of session `{ada}` was moved behind later ones"
    )));
}

#[tokio::test]
async fn verify_names_a_cut_tail_of_a_middle_segment() {
    let (folder, _ada, _bob, _head) = recording().await;
    edit_lines(&segment(folder.path(), 1), |lines| {
        lines.truncate(lines.len() - 3);
    });
    assert!(first_finding(folder.path(), None).contains("the end of segment 1 was cut"));
}

#[tokio::test]
async fn verify_names_swapped_segments_and_nothing_else() {
    let (folder, _ada, _bob, _head) = recording().await;
    let (one, two) = (segment(folder.path(), 1), segment(folder.path(), 2));
    let aside = folder.path().join("aside");
    fs::rename(&one, &aside).unwrap();
    fs::rename(&two, &one).unwrap();
    fs::rename(&aside, &two).unwrap();
    let report = open(folder.path())
        .verify(VerifyOptions::default())
        .unwrap();
    let words: Vec<String> = report
        .recordings
        .findings
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(words.len(), 2, "{words:?}");
    assert!(
        words[0].contains("the file of segment 1 holds segment 2"),
        "{words:?}"
    );
    assert!(
        words[1].contains("the file of segment 2 holds segment 1"),
        "{words:?}"
    );
}

#[tokio::test]
async fn verify_names_a_missing_segment_and_a_missing_payload_file() {
    let (folder, _ada, _bob, _head) = recording().await;
    let payloads = folder
        .path()
        .join(layout::PAYLOADS)
        .join(layout::payload_file(2));
    fs::remove_file(payloads).unwrap();
    assert!(first_finding(folder.path(), None).contains("is missing, and no tombstone says why"));
    fs::remove_file(segment(folder.path(), 2)).unwrap();
    assert!(first_finding(folder.path(), None).contains("segment 2 was removed"));
}

#[tokio::test]
async fn law_33_a_cut_tail_of_the_last_segment_needs_the_head_that_up_printed() {
    let (folder, _ada, _bob, head) = recording().await;
    let last = sallyport_recorder::Folder::open(folder.path())
        .unwrap()
        .segments()
        .unwrap()
        .pop()
        .unwrap();
    edit_lines(&segment(folder.path(), last), |lines| {
        let checkpoint = lines
            .iter()
            .rposition(|line| line.starts_with('C'))
            .unwrap();
        lines.truncate(checkpoint);
    });
    let report = open(folder.path())
        .verify(VerifyOptions::default())
        .unwrap();
    assert_eq!(report.recordings.complete, None, "nothing is claimed");
    let found = first_finding(folder.path(), Some(head));
    assert!(
        found.contains("the recording ends before the head"),
        "{found}"
    );
}

#[tokio::test]
async fn verify_names_a_session_removed_with_the_checkpoints_kept() {
    let (folder, _ada, bob, _head) = recording().await;
    for number in sallyport_recorder::Folder::open(folder.path())
        .unwrap()
        .segments()
        .unwrap()
    {
        edit_lines(&segment(folder.path(), number), |lines| {
            for at in lines_of(lines, &bob).into_iter().rev() {
                lines.remove(at);
            }
        });
    }
    let found = first_finding(folder.path(), None);
    assert!(
        found.contains(&format!("session `{bob}` was removed whole: checkpoint")),
        "{found}"
    );
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one row a search")]
async fn sessions_are_found_by_who_tool_decision_rule_and_time() {
    let (folder, ada, bob, _head) = recording().await;
    let recordings = open(folder.path());
    let call = |call: CallFilter| SessionFilter {
        call,
        ..SessionFilter::default()
    };
    let text = |text: &str| Some(text.to_owned());
    let middle = recordings
        .session(&actor(), ViewKind::Replay, bob.as_str())
        .unwrap()
        .summary
        .began;
    let rows: Vec<(&str, SessionFilter, Vec<&SessionId>)> = vec![
        (
            "all, newest first",
            SessionFilter::default(),
            vec![&bob, &ada],
        ),
        (
            "who",
            SessionFilter {
                who: text("ADA@"),
                ..SessionFilter::default()
            },
            vec![&ada],
        ),
        (
            "group",
            SessionFilter {
                who: text("stock-clerks"),
                ..SessionFilter::default()
            },
            vec![&bob, &ada],
        ),
        (
            "gateway",
            SessionFilter {
                gateway: text("inventory"),
                ..SessionFilter::default()
            },
            vec![&bob, &ada],
        ),
        (
            "foreign gateway",
            SessionFilter {
                gateway: text("other"),
                ..SessionFilter::default()
            },
            vec![],
        ),
        (
            "tool",
            call(CallFilter {
                target: text("update_*"),
                ..CallFilter::default()
            }),
            vec![&bob],
        ),
        (
            "decision",
            call(CallFilter {
                verdict: Some(Verdict::Deny),
                ..CallFilter::default()
            }),
            vec![&ada],
        ),
        (
            "rule",
            call(CallFilter {
                rule: text("never-drop"),
                ..CallFilter::default()
            }),
            vec![&ada],
        ),
        (
            "outcome",
            call(CallFilter {
                outcome: Some(Outcome::Denied),
                ..CallFilter::default()
            }),
            vec![&ada],
        ),
        (
            "tool and decision of one call",
            call(CallFilter {
                target: text("list_items"),
                verdict: Some(Verdict::Deny),
                ..CallFilter::default()
            }),
            vec![],
        ),
        (
            "until",
            SessionFilter {
                until: Some(UnixMillis(middle.0 - 100_000)),
                ..SessionFilter::default()
            },
            vec![],
        ),
        (
            "since",
            SessionFilter {
                since: Some(UnixMillis(middle.0)),
                ..SessionFilter::default()
            },
            vec![&bob, &ada],
        ),
        (
            "open",
            SessionFilter {
                open: Some(true),
                ..SessionFilter::default()
            },
            vec![],
        ),
        (
            "limit",
            SessionFilter {
                limit: 1,
                ..SessionFilter::default()
            },
            vec![&bob],
        ),
    ];
    for (name, filter, expected) in rows {
        let found = recordings.sessions(&actor(), &filter, name).unwrap();
        let found: Vec<&SessionId> = found.iter().map(|session| &session.id).collect();
        assert_eq!(found, expected, "{name}");
    }
    let all = recordings
        .sessions(&actor(), &SessionFilter::default(), "")
        .unwrap();
    assert_eq!((all[1].calls, all[1].denied, all[1].masked), (5, 1, 4));
    assert_eq!(all[0].ended, Some(SessionEnd::Shutdown));
}

#[tokio::test]
async fn the_index_follows_a_growing_recording_and_is_rebuilt_when_it_is_lost_or_rubbish() {
    let folder = tempfile::tempdir().unwrap();
    let (ada, _bob, recorder, spool) = write(folder.path()).await;
    let recordings = open(folder.path());
    let count = || {
        let found = recordings
            .calls(&actor(), &SessionFilter::default(), "")
            .unwrap();
        found.len()
    };
    assert_eq!(count(), 9);
    let carl = recorder.begin_session(session("carl@example.com"));
    call(&recorder, &carl, "list_items", Verdict::Allow, "read").await;
    assert_eq!(count(), 10);
    spool.close().await.unwrap();

    let index = folder.path().join(layout::INDEX);
    fs::remove_file(&index).unwrap();
    assert_eq!(count(), 10);
    fs::write(&index, b"rubbish").unwrap();
    assert_eq!(count(), 10);
    let short: String = ada.as_str().chars().take(26).collect();
    assert_eq!(recordings.resolve(&short).unwrap(), ada);
    assert!(matches!(
        recordings.resolve("0"),
        Err(ReadError::Ambiguous(_))
    ));
    assert!(matches!(
        recordings.resolve("zz"),
        Err(ReadError::NoSession(_))
    ));
}

#[tokio::test]
async fn reading_a_recording_is_itself_audited_and_refused_where_that_fails() {
    let (folder, ada, _bob, _head) = recording().await;
    let recordings = open(folder.path());
    recordings
        .sessions(&actor(), &SessionFilter::default(), "--tool x")
        .unwrap();
    recordings
        .session(&actor(), ViewKind::Export, ada.as_str())
        .unwrap();
    let seen: Vec<_> = recordings
        .audit()
        .unwrap()
        .into_iter()
        .filter_map(|record| {
            let Event::Viewed(viewed) = record.event else {
                return None;
            };
            Some((
                viewed.user,
                viewed.uid,
                viewed.kind,
                viewed.session,
                viewed.query,
            ))
        })
        .collect();
    let who = || ("auditor".to_owned(), 1234);
    assert_eq!(seen.len(), 2);
    assert_eq!((seen[0].0.clone(), seen[0].1), who());
    assert_eq!(
        (seen[0].2, seen[0].4.as_deref()),
        (ViewKind::List, Some("--tool x"))
    );
    assert_eq!(
        (seen[1].2, seen[1].3.as_ref()),
        (ViewKind::Export, Some(&ada))
    );
    let report = recordings.verify(VerifyOptions::default()).unwrap();
    assert!(report.is_good() && report.audit.is_some());

    edit_lines(
        &folder
            .path()
            .join("audit")
            .join(layout::SEGMENTS)
            .join(layout::segment_file(1)),
        |lines| {
            lines.remove(2);
        },
    );
    let report = recordings.verify(VerifyOptions::default()).unwrap();
    assert!(!report.is_good(), "a removed view is told");

    fs::remove_dir_all(folder.path().join("audit")).unwrap();
    fs::write(folder.path().join("audit"), b"in the way").unwrap();
    let refused = recordings.session(&actor(), ViewKind::Replay, ada.as_str());
    assert!(matches!(refused, Err(ReadError::NotWritten(_))));
}

#[tokio::test]
async fn law_32_purged_payloads_leave_a_tombstone_that_verify_reports_as_purged() {
    let (folder, ada, _bob, head) = recording().await;
    let recordings = open(folder.path());
    recordings
        .set_hold(&actor(), ada.as_str(), true, "case 17")
        .unwrap();
    let held = recordings.purge_payloads(erasure(&actor()), ada.as_str());
    assert!(matches!(held, Err(ReadError::Held { .. })));
    recordings
        .set_hold(&actor(), ada.as_str(), false, "case closed")
        .unwrap();

    let taken = recordings
        .purge_payloads(erasure(&actor()), ada.as_str())
        .unwrap();
    assert_eq!(taken.payloads, 9);
    let report = recordings
        .verify(VerifyOptions {
            key: None,
            head: Some(head),
        })
        .unwrap();
    assert!(report.is_good(), "{:?}", report.recordings.findings);
    assert_eq!(
        (
            report.recordings.purged_payloads,
            report.recordings.complete
        ),
        (9, Some(head))
    );
    for number in sallyport_recorder::Folder::open(folder.path())
        .unwrap()
        .segments()
        .unwrap()
    {
        let path = folder
            .path()
            .join(layout::PAYLOADS)
            .join(layout::payload_file(number));
        let left = String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned();
        assert!(
            !left.contains("list_items") && !left.contains("drop_table"),
            "segment {number}"
        );
    }
    let session = recordings
        .session(&actor(), ViewKind::Export, ada.as_str())
        .unwrap();
    let mut out = Vec::new();
    export::json_lines(&session, &mut out).unwrap();
    assert_eq!(
        String::from_utf8(out)
            .unwrap()
            .matches("\"gone\":\"purged\"")
            .count(),
        9
    );
}

#[tokio::test]
async fn law_32_purged_segments_verify_as_purged_and_legal_hold_keeps_them() {
    let (folder, ada, bob, head) = recording().await;
    let recordings = open(folder.path());
    let before = UnixMillis(now().0 + 10_000);
    recordings
        .set_hold(&actor(), ada.as_str(), true, "case 17")
        .unwrap();
    let taken = recordings
        .purge_before(retention(&actor()), before)
        .unwrap();
    assert!(taken.segments.is_empty() && !taken.held.is_empty());
    assert!(
        taken.payloads > 0,
        "others lose their payloads all the same"
    );
    let (ada_s, bob_s) = (
        payloads_left(&recordings, &ada),
        payloads_left(&recordings, &bob),
    );
    assert!(
        ada_s.iter().all(|left| *left) && ada_s.len() == 9,
        "{ada_s:?}"
    );
    assert!(
        bob_s.iter().all(|left| !*left) && !bob_s.is_empty(),
        "{bob_s:?}"
    );
    let again = recordings
        .purge_before(retention(&actor()), before)
        .unwrap();
    assert!(again.is_empty(), "nothing is buried twice: {again:?}");
    recordings
        .set_hold(&actor(), ada.as_str(), false, "case closed")
        .unwrap();

    let young = recordings
        .purge_before(retention(&actor()), UnixMillis(1))
        .unwrap();
    assert!(young.segments.is_empty());
    let taken = recordings
        .purge_before(retention(&actor()), before)
        .unwrap();
    assert!(taken.segments.len() > 1);
    let report = recordings
        .verify(VerifyOptions {
            key: None,
            head: Some(head),
        })
        .unwrap();
    assert!(report.is_good(), "{:?}", report.recordings.findings);
    assert_eq!(
        report.recordings.purged_segments,
        taken.segments.len() as u64
    );
    assert_eq!(report.recordings.complete, Some(head));
    assert!(
        recordings.resolve(bob.as_str()).is_err(),
        "nothing of it is listed any more"
    );
}

/// Whether each payload of a session can still be read.
fn payloads_left(recordings: &Recordings, id: &SessionId) -> Vec<bool> {
    let session = recordings
        .session(&actor(), ViewKind::Export, id.as_str())
        .unwrap();
    let payloads = session
        .entries()
        .iter()
        .flat_map(|entry| &entry.record.payloads);
    payloads
        .map(|payload| matches!(session.payload(payload).unwrap(), Payload::Intact(_)))
        .collect()
}

#[tokio::test]
async fn a_dry_run_tells_what_a_purge_would_take_and_takes_nothing() {
    let (folder, ada, _bob, head) = recording().await;
    let recordings = open(folder.path());
    let actor = actor();
    let tried = |order| Order {
        dry_run: true,
        ..order
    };
    let before = UnixMillis(now().0 + 10_000);
    let told = recordings
        .purge_before(tried(retention(&actor)), before)
        .unwrap();
    let words = recordings
        .purge_payloads(tried(erasure(&actor)), ada.as_str())
        .unwrap();
    assert!(told.segments.len() > 1 && words.payloads == 9);
    let report = recordings
        .verify(VerifyOptions {
            key: None,
            head: Some(head),
        })
        .unwrap();
    assert!(report.is_good());
    assert_eq!(
        (
            report.recordings.purged_segments,
            report.recordings.purged_payloads
        ),
        (0, 0)
    );
    assert!(recordings.audit().unwrap().is_empty(), "no tombstone");
    let done = recordings.purge_before(retention(&actor), before).unwrap();
    assert_eq!(done, told, "it takes what it told");
}

#[tokio::test]
async fn a_segment_whose_age_nobody_can_read_stays_as_evidence() {
    let (folder, _ada, _bob, _head) = recording().await;
    let recordings = open(folder.path());
    let first = folder
        .path()
        .join(layout::SEGMENTS)
        .join(layout::segment_file(1));
    fs::write(&first, b"no line at all\n").unwrap();
    let before = UnixMillis(now().0 + 10_000);
    let taken = recordings
        .purge_before(retention(&actor()), before)
        .unwrap();
    assert_eq!(taken.unreadable, [1]);
    assert!(!taken.segments.contains(&1) && first.exists());
}

#[tokio::test]
async fn law_32_two_purges_at_once_bury_a_segment_once() {
    let (folder, _ada, _bob, head) = recording().await;
    let recordings = open(folder.path());
    let before = UnixMillis(now().0 + 10_000);
    let taken: Vec<_> = std::thread::scope(|scope| {
        let purges: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    open(folder.path())
                        .purge_before(retention(&actor()), before)
                        .unwrap()
                })
            })
            .collect();
        purges
            .into_iter()
            .flat_map(|purge| purge.join().unwrap().segments)
            .collect()
    });
    let distinct: BTreeSet<_> = taken.iter().collect();
    assert!(
        distinct.len() == taken.len() && taken.len() > 1,
        "{taken:?}"
    );
    let report = recordings
        .verify(VerifyOptions {
            key: None,
            head: Some(head),
        })
        .unwrap();
    assert!(report.is_good(), "{:?}", report.recordings.findings);
}

#[tokio::test]
async fn law_32_a_tombstone_that_is_not_signed_with_the_recording_s_key_counts_for_nothing() {
    let (folder, ada, _bob, _head) = recording().await;
    let (other, _, _, _) = recording().await;
    let recordings = open(folder.path());
    recordings
        .sessions(&actor(), &SessionFilter::default(), "")
        .unwrap();
    let payloads = folder
        .path()
        .join(layout::PAYLOADS)
        .join(layout::payload_file(1));
    let good = fs::read(&payloads).unwrap();
    fs::write(&payloads, vec![0; good.len()]).unwrap();
    let log = folder
        .path()
        .join(layout::AUDIT)
        .join(layout::SEGMENTS)
        .join(layout::segment_file(1));
    let honest = fs::read(&log).unwrap();

    // A true purge, with its signature cut away.
    recordings
        .purge_payloads(erasure(&actor()), ada.as_str())
        .unwrap();
    edit_lines(&log, |lines| drop(lines.pop()));
    assert!(first_finding(folder.path(), None).contains("a payload of event"));

    // A purge signed with another folder's key.
    fs::write(&log, honest).unwrap();
    fs::remove_dir_all(folder.path().join(layout::AUDIT)).unwrap();
    let key = folder.path().join(layout::SIGNING_KEY);
    let own = fs::read(&key).unwrap();
    fs::copy(other.path().join(layout::SIGNING_KEY), &key).unwrap();
    recordings
        .purge_payloads(erasure(&actor()), ada.as_str())
        .unwrap();
    fs::write(&key, own).unwrap();
    let report = recordings.verify(VerifyOptions::default()).unwrap();
    assert!(report.audit.is_some_and(|audit| {
        audit.findings[0]
            .to_string()
            .contains("another signing key")
    }));
    assert!(first_finding(folder.path(), None).contains("a payload of event"));
}

#[tokio::test]
async fn an_export_verifies_by_itself_and_a_changed_one_is_named() {
    let (folder, ada, _bob, _head) = recording().await;
    let recordings = open(folder.path());
    let session = recordings
        .session(&actor(), ViewKind::Export, ada.as_str())
        .unwrap();
    let mut out = Vec::new();
    export::json_lines(&session, &mut out).unwrap();
    assert_eq!(verify_export(out.as_slice()).unwrap(), Vec::<String>::new());

    let text = String::from_utf8(out).unwrap();
    let rows = [
        (
            "an event changed",
            text.replacen("never-drop", "never-mind", 1),
            "was changed: its hash does not fit",
        ),
        (
            "a payload changed",
            text.replacen("the key of list", "the key of lost", 1),
            "payload 0 was changed",
        ),
        (
            "an event removed",
            text.lines()
                .enumerate()
                .filter(|(at, _)| *at != 3)
                .map(|(_, line)| format!("{line}\n"))
                .collect(),
            "stands where event 3 should",
        ),
    ];
    for (name, changed, expected) in rows {
        let problems = verify_export(changed.as_bytes()).unwrap();
        assert!(problems[0].contains(expected), "{name}: {problems:?}");
    }

    let calls = recordings
        .calls(&actor(), &SessionFilter::default(), "")
        .unwrap();
    let mut out = Vec::new();
    export::csv(&calls, &mut out).unwrap();
    let csv = String::from_utf8(out).unwrap();
    assert_eq!(csv.lines().count(), 10);
    assert!(
        csv.contains("drop_table,Deny,clerks/never-drop,denied_by_rule,Denied,false"),
        "{csv}"
    );
}

#[tokio::test]
async fn a_replay_is_readable_keeps_the_order_and_marks_masks() {
    let (folder, ada, _bob, _head) = recording().await;
    let session = open(folder.path())
        .session(&actor(), ViewKind::Replay, ada.as_str())
        .unwrap();
    let mut out = Vec::new();
    let pace = Pace {
        speed: 0.0,
        longest: Duration::ZERO,
    };
    for step in session.replay(pace) {
        write_step(
            &session,
            &step,
            Look {
                colour: true,
                payload_chars: 200,
            },
            &mut out,
        )
        .unwrap();
    }
    let text = String::from_utf8(out).unwrap();
    let shown = [
        "session of ada@example.com with desk-agent on shop/inventory",
        "tools/call list_items",
        "allow by clerks/read",
        "masked 1 aws-access-key",
        "\u{1b}[7m[redacted:aws-access-key]\u{1b}[0m",
        "deny by clerks/never-drop (denied_by_rule)",
        "session ended: closed",
    ];
    let mut from = 0;
    for words in shown {
        let at = text[from..].find(words);
        from += at.unwrap_or_else(|| panic!("`{words}` is missing or out of order in:\n{text}"));
    }
}

#[tokio::test]
async fn a_watch_gives_what_comes_after_it_began() {
    let folder = tempfile::tempdir().unwrap();
    let (_ada, bob, recorder, spool) = write(folder.path()).await;
    let mut watch = open(folder.path()).watch(&actor(), Some(&bob)).unwrap();
    assert!(watch.next_entries().unwrap().is_empty());
    call(&recorder, &bob, "update_price", Verdict::Allow, "prices").await;
    let names: Vec<&str> = watch
        .next_entries()
        .unwrap()
        .iter()
        .map(|entry| entry.record.event.name())
        .collect();
    assert_eq!(
        names,
        [
            "callRequested",
            "decided",
            "forwarded",
            "answered",
            "callEnded"
        ]
    );
    spool.close().await.unwrap();
}
