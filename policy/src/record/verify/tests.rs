//! Every way of tampering that the format is made against, on recordings composed in memory.

use std::sync::Arc;

use super::*;
use crate::name::{CallId, GatewayName, Issuer, Subject};
use crate::principal::CallerKey;
use crate::record::SigningKey;
use crate::record::chain::Progress;
use crate::record::event::{
    CallEnded, CallRequested, Direction, Outcome, PurgeCause, SessionBegan, WriterBegan,
    WriterEnded,
};
use crate::record::event::{Purged, PurgedThing};
use crate::record::segment::{Composer, Resumed};
use crate::time::UnixMillis;

pub(super) fn key() -> Arc<SigningKey> {
    Arc::new(SigningKey::from_seed(&[1; 32]).unwrap())
}

/// Writes segments into memory.
struct Tape {
    composer: Composer,
    segments: Vec<Vec<u8>>,
    clock: i64,
}

impl Tape {
    fn new() -> Self {
        let mut first = Vec::new();
        let composer =
            Composer::begin(key(), SessionId::new("w"), UnixMillis(0), None, &mut first).unwrap();
        let mut tape = Self {
            composer,
            segments: vec![first],
            clock: 0,
        };
        tape.event(
            "w",
            Event::WriterBegan(WriterBegan {
                version: "1".to_owned(),
                pid: 1,
            }),
        );
        tape
    }

    fn event(&mut self, session: &str, event: Event) {
        self.clock += 1;
        let prepared = self
            .composer
            .prepare(
                &SessionId::new(session),
                UnixMillis(self.clock),
                event,
                Vec::new(),
            )
            .unwrap();
        self.composer
            .commit(&prepared, self.segments.last_mut().unwrap());
    }

    fn session(&mut self, session: &str) {
        let began = SessionBegan {
            caller: CallerKey {
                issuer: Issuer::new("https://id"),
                subject: Subject::new("ada"),
                client: None,
                actor: None,
            },
            email: None,
            groups: std::collections::BTreeSet::new(),
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
        };
        self.event(session, Event::SessionBegan(Box::new(began)));
    }

    fn call(&mut self, session: &str, call: &str) {
        self.event(session, Event::CallRequested(Box::new(requested(call))));
        let ended = CallEnded {
            call: CallId::new(call),
            outcome: Outcome::Succeeded,
            executed: true,
            reason: None,
            status: Some(200),
            millis: Some(3),
        };
        self.event(session, Event::CallEnded(ended));
    }

    fn checkpoint(&mut self) -> Head {
        let json = self
            .composer
            .prepare_checkpoint(UnixMillis(self.clock))
            .unwrap();
        self.composer
            .commit_checkpoint(&json, self.segments.last_mut().unwrap())
    }

    fn next_segment(&mut self) {
        let mut out = Vec::new();
        let header = self
            .composer
            .prepare_segment(UnixMillis(self.clock))
            .unwrap();
        self.composer.commit_segment(&header, &mut out);
        self.segments.push(out);
    }

    fn end(&mut self) -> Head {
        self.event("w", Event::WriterEnded(WriterEnded { events: 0, lost: 0 }));
        self.checkpoint()
    }
}

fn requested(call: &str) -> CallRequested {
    CallRequested {
        call: CallId::new(call),
        direction: Direction::ClientToServer,
        method: "tools/call".to_owned(),
        notification: false,
        id: Some("1".to_owned()),
        tool: Some("echo".to_owned()),
        resource: None,
        pin: None,
        protocol: None,
        bytes: 10,
        source: None,
        trace: None,
    }
}

/// Two sessions over three segments, with a checkpoint in the middle and at each end.
pub(super) fn recording() -> (Vec<Vec<u8>>, Head) {
    let mut tape = Tape::new();
    tape.session("ada");
    tape.session("bob");
    tape.call("ada", "c1");
    tape.checkpoint();
    tape.call("bob", "c2");
    tape.checkpoint();
    tape.next_segment();
    tape.call("ada", "c3");
    tape.call("bob", "c4");
    tape.checkpoint();
    tape.next_segment();
    tape.call("ada", "c5");
    let head = tape.end();
    (tape.segments, head)
}

pub(super) fn verify_with(
    segments: &[Vec<u8>],
    tombstones: Tombstones,
    head: Option<Head>,
) -> Verdict {
    let mut verifier = Verifier::new(Some(key().verifying()), tombstones);
    for (index, bytes) in segments.iter().enumerate() {
        if bytes.is_empty() {
            continue;
        }
        verifier.begin_segment(index as u64 + 1);
        for raw in line::lines(bytes) {
            if raw.whole {
                verifier.line(raw.text);
            } else {
                verifier.torn(raw.text.len() as u64, index + 1 == segments.len());
            }
        }
    }
    verifier.finish(head)
}

fn first_finding(segments: &[Vec<u8>], head: Option<Head>) -> String {
    verify_with(segments, Tombstones::default(), head)
        .findings
        .first()
        .map_or_else(|| "good".to_owned(), ToString::to_string)
}

/// Changes the lines of one segment (from 1).
fn edit(number: usize, change: impl FnOnce(&mut Vec<String>)) -> Vec<Vec<u8>> {
    let (mut segments, _) = recording();
    let text = String::from_utf8(segments[number - 1].clone()).unwrap();
    let mut lines: Vec<String> = text.lines().map(ToOwned::to_owned).collect();
    change(&mut lines);
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    segments[number - 1] = text.into_bytes();
    segments
}

fn line_of(lines: &[String], session: &str, seq: u64) -> usize {
    let start = format!("{{\"session\":\"{session}\",\"seq\":{seq},");
    lines
        .iter()
        .position(|line| line.contains(&start) && line.starts_with('E'))
        .unwrap()
}

#[test]
fn an_untouched_recording_is_good_and_complete_against_its_head() {
    let (segments, head) = recording();
    let verdict = verify_with(&segments, Tombstones::default(), Some(head));
    assert_eq!(verdict.findings, Vec::new());
    assert_eq!(verdict.consistent_through, Some(head));
    assert_eq!(verdict.complete, Some(head));
    assert!(verdict.ended);
    assert_eq!(
        (verdict.segments, verdict.sessions, verdict.events),
        (3, 3, 14)
    );
    assert_eq!(verdict.unsigned_events, 0);
}

#[test]
fn law_33_without_a_head_kept_elsewhere_completeness_is_not_claimed() {
    let (segments, head) = recording();
    let verdict = verify_with(&segments, Tombstones::default(), None);
    assert_eq!(verdict.consistent_through, Some(head));
    assert_eq!(verdict.complete, None);
}

#[test]
#[expect(clippy::too_many_lines, reason = "one row a way of tampering")]
fn verify_names_the_first_bad_thing_of_each_tampering() {
    let rows: Vec<(&str, Vec<Vec<u8>>, &str)> = vec![
        (
            "bit flip in an event",
            edit(2, |lines| {
                let at = line_of(lines, "bob", 3);
                lines[at] = lines[at].replace("tools/call", "tools/calm");
            }),
            "event 3 of session `bob` (callRequested) was changed: its hash does not fit",
        ),
        (
            "bit flip in a hash",
            edit(1, |lines| {
                let at = line_of(lines, "ada", 1);
                let digit = if lines[at].as_bytes()[2] == b'0' {
                    "1"
                } else {
                    "0"
                };
                lines[at].replace_range(2..3, digit);
            }),
            "event 1 of session `ada` (callRequested) was changed",
        ),
        (
            "bit flip that destroys the line",
            edit(1, |lines| lines[3].replace_range(0..1, "?")),
            "the line cannot be read",
        ),
        (
            "event removed",
            edit(1, |lines| {
                let at = line_of(lines, "bob", 1);
                lines.remove(at);
            }),
            "event 1 of session `bob` removed",
        ),
        (
            "several events removed",
            edit(2, |lines| {
                let at = line_of(lines, "ada", 3);
                lines.drain(at..at + 2);
            }),
            "checkpoint 3 names events 3 to 4, which are not here",
        ),
        (
            "events of one session reordered",
            edit(1, |lines| {
                let at = line_of(lines, "ada", 1);
                lines.swap(at, at + 1);
            }),
            "event 1 of session `ada` was moved behind later ones",
        ),
        (
            "events of two sessions reordered",
            edit(2, |lines| {
                let (a, b) = (line_of(lines, "ada", 4), line_of(lines, "bob", 3));
                lines.swap(a, b);
            }),
            "lines before checkpoint 3 in this segment were added, removed or moved",
        ),
        (
            "event repeated",
            edit(2, |lines| {
                let at = line_of(lines, "ada", 3);
                lines.insert(at, lines[at].clone());
            }),
            "event 3 of session `ada` stands here a second time",
        ),
        (
            "event replaced with a fitting hash",
            edit(2, |lines| {
                let at = line_of(lines, "ada", 3);
                let json = lines[at].split_once('{').unwrap().1.replace("echo", "ecco");
                let mut out = Vec::new();
                line::encode(LineKind::Event, format!("{{{json}").as_bytes(), &mut out);
                lines[at] = String::from_utf8(out).unwrap().trim_end().to_owned();
            }),
            "event 4 of session `ada` follows another event",
        ),
        (
            "tail of a middle segment cut",
            edit(2, |lines| lines.truncate(lines.len() - 2)),
            "the end of segment 2 was cut",
        ),
        (
            "end of one session cut before its checkpoint",
            edit(2, |lines| {
                let at = line_of(lines, "bob", 4);
                lines.remove(at);
            }),
            "the end of session `bob` was cut: checkpoint 3 names event 4, which is not here",
        ),
        (
            "checkpoint removed",
            edit(1, |lines| {
                let at = lines.iter().position(|line| line.starts_with('C')).unwrap();
                lines.remove(at);
            }),
            "checkpoint 2 stands where checkpoint 1 should",
        ),
        (
            "head of a segment removed",
            edit(2, |lines| drop(lines.remove(0))),
            "the head of the segment is missing or cannot be read",
        ),
    ];
    for (name, segments, expected) in rows {
        let found = first_finding(&segments, None);
        assert!(found.contains(expected), "{name}: {found}");
    }
}

#[test]
fn verify_names_a_session_that_was_removed_with_the_checkpoints_kept() {
    let (segments, _) = recording();
    let without_bob: Vec<Vec<u8>> = segments
        .iter()
        .map(|bytes| {
            let text = String::from_utf8(bytes.clone()).unwrap();
            let kept = text.lines().filter(|line| {
                !line.contains("E ") || !line.contains("{\"session\":\"bob\",\"seq\"")
            });
            let kept = kept.filter(|line| !(line.starts_with('E') && line.contains("\"bob\"")));
            kept.map(|line| format!("{line}\n"))
                .collect::<String>()
                .into_bytes()
        })
        .collect();
    let found = first_finding(&without_bob, None);
    assert!(
        found.contains("session `bob` was removed whole: checkpoint 1 names event 0"),
        "{found}"
    );
}

#[test]
fn verify_names_swapped_removed_and_missing_segments() {
    let (mut segments, _) = recording();
    segments.swap(1, 2);
    assert!(first_finding(&segments, None).contains("the file of segment 2 holds segment 3"));

    let (mut segments, _) = recording();
    segments[1].clear();
    assert!(first_finding(&segments, None).contains("segment 2 was removed"));
}

#[test]
fn law_33_a_tail_cut_is_proved_by_a_head_kept_elsewhere() {
    let (mut segments, head) = recording();
    segments.pop();
    assert_eq!(
        first_finding(&segments, None),
        "good",
        "nothing inside can tell"
    );
    let found = first_finding(&segments, Some(head));
    assert!(found.contains("its tail was cut"), "{found}");

    let (segments, head) = recording();
    let other = Head {
        digest: Digest::of(b"other"),
        ..head
    };
    assert!(first_finding(&segments, Some(other)).contains("the recording was rewritten"));
}

#[test]
fn a_recording_that_another_key_signed_is_told() {
    let (segments, _) = recording();
    let other = SigningKey::from_seed(&[9; 32]).unwrap().verifying();
    let mut verifier = Verifier::new(Some(other), Tombstones::default());
    verifier.begin_segment(1);
    for raw in line::lines(&segments[0]) {
        verifier.line(raw.text);
    }
    let verdict = verifier.finish(None);
    assert!(
        verdict.findings[0]
            .to_string()
            .contains("another signing key")
    );
    assert_eq!(verdict.consistent_through, None);
}

#[test]
fn law_32_a_purged_segment_is_told_as_purged_and_the_rest_still_verifies() {
    let (mut segments, head) = recording();
    let resumed = Resumed::read(&segments[0]).unwrap();
    let stone = |digest| Purged {
        user: "root".to_owned(),
        uid: 0,
        cause: PurgeCause::Retention,
        reason: None,
        what: PurgedThing::Segment {
            segment: 1,
            digest,
            bytes: 0,
            checkpoint: resumed.checkpoint,
        },
    };
    let mut right = Tombstones::default();
    right.add(&stone(Digest::of(&segments[0])));
    let mut wrong = Tombstones::default();
    wrong.add(&stone(Digest::of(b"another file")));
    segments[0].clear();

    let verdict = verify_with(&segments, right, Some(head));
    assert_eq!(verdict.findings, Vec::new());
    assert_eq!((verdict.purged_segments, verdict.complete), (1, Some(head)));
    let verdict = verify_with(&segments, wrong, Some(head));
    assert!(
        verdict.findings[0]
            .to_string()
            .contains("segment 1 is not as segment 2 found it")
    );
}

#[test]
fn a_torn_end_of_the_last_segment_is_told_but_is_no_finding() {
    let mut tape = Tape::new();
    tape.session("ada");
    tape.checkpoint();
    let bytes = tape.segments.last_mut().unwrap();
    bytes.extend_from_slice(b"E 0123");
    let verdict = verify_with(&tape.segments, Tombstones::default(), None);
    assert_eq!(
        (verdict.findings.len(), verdict.torn_bytes, verdict.ended),
        (0, 6, false)
    );
}

#[test]
fn law_30_a_call_has_exactly_one_terminal_event() {
    let mut tape = Tape::new();
    tape.session("ada");
    tape.call("ada", "c1");
    let ended = Event::CallEnded(CallEnded {
        call: CallId::new("c1"),
        outcome: Outcome::Failed,
        executed: false,
        reason: None,
        status: None,
        millis: None,
    });
    let session = SessionId::new("ada");
    assert!(
        tape.composer
            .prepare(&session, UnixMillis(9), ended, Vec::new())
            .is_err()
    );
    let again = Event::CallRequested(Box::new(requested("c2")));
    tape.event("ada", again.clone());
    assert!(
        tape.composer
            .prepare(&session, UnixMillis(9), again, Vec::new())
            .is_err()
    );
    assert_eq!(
        tape.composer.chains().open_calls(&session),
        [(CallId::new("c2"), Progress::Requested)]
    );
}

#[test]
fn resuming_gives_what_was_open_and_where_the_torn_end_begins() {
    let mut tape = Tape::new();
    tape.session("ada");
    tape.event("ada", Event::CallRequested(Box::new(requested("c1"))));
    let head = tape.checkpoint();
    let whole = tape.segments.pop().unwrap();
    for torn in ["", "E 01", "garbage\nmore\n"] {
        let bytes = [whole.as_slice(), torn.as_bytes()].concat();
        let resumed = Resumed::read(&bytes).unwrap();
        assert_eq!(
            (resumed.bytes, resumed.torn),
            (whole.len() as u64, torn.len() as u64)
        );
        assert_eq!(
            resumed.chains.open_calls(&SessionId::new("ada")),
            [(CallId::new("c1"), Progress::Requested)]
        );
        assert_eq!((resumed.checkpoint, resumed.damaged), (Some(head), 0));
    }
    assert!(Resumed::read(&whole[..20]).is_none(), "not even a head");
}

#[test]
fn damage_before_readable_lines_is_kept_where_it_is() {
    let segments = edit(1, |lines| lines[2].replace_range(10..11, "?"));
    let resumed = Resumed::read(&segments[0]).unwrap();
    assert_eq!((resumed.torn, resumed.damaged), (0, 1));
    assert_eq!(resumed.bytes, segments[0].len() as u64);
}

/// One segment with every kind of event, for the golden.
pub(super) fn every_event() -> Vec<u8> {
    let mut tape = Tape::new();
    tape.session("ada");
    for text in EVENTS {
        let event: Event = serde_json::from_str(text).unwrap();
        assert_eq!(
            serde_json::to_string(&event).unwrap(),
            *text,
            "fields keep their order"
        );
        tape.event("ada", event);
    }
    tape.checkpoint();
    tape.session("bob");
    tape.call("bob", "c9");
    tape.end();
    tape.segments.remove(0)
}

/// Every event that a session can have, with every field that it can have.
const EVENTS: &[&str] = &[
    r#"{"type":"callRequested","call":"c1","direction":"clientToServer","method":"tools/call","notification":false,"id":"\"7\"","tool":"update_price","resource":"file:///x","pin":"sha256:0101010101010101010101010101010101010101010101010101010101010101","protocol":"2026-07-28","bytes":210,"source":"10.0.0.7","trace":"00-1-2-01"}"#,
    r#"{"type":"decided","call":"c1","verdict":"hold","rule":{"source":"Policy","object":"clerks","rule":"prices"},"holds":[{"source":"Guardrail","object":"floor","rule":"writes"}],"reason":"approval_required","revision":"sha256:0202020202020202020202020202020202020202020202020202020202020202","shadow":{"verdict":"deny","rule":{"source":"Policy","object":"next","rule":"none"}}}"#,
    r#"{"type":"approvalRequested","call":"c1","request":"req-1","digest":"sha256:0303030303030303030303030303030303030303030303030303030303030303","rules":[{"source":"Policy","object":"clerks","rule":"prices"}],"required":2,"expiresAt":3600000,"joined":false}"#,
    r#"{"type":"approvalDecided","call":"c1","request":"req-1","verdict":"approved","by":[{"user":"grace@example.com","assurance":"Asserted","uid":1000}],"reason":"ticket 5"}"#,
    r#"{"type":"approvalConsumed","call":"c1","request":"req-1","askedUnder":"sha256:0202020202020202020202020202020202020202020202020202020202020202","usedUnder":"sha256:0404040404040404040404040404040404040404040404040404040404040404"}"#,
    r#"{"type":"forwarded","call":"c1","bytes":210,"headers":["authorization"]}"#,
    r#"{"type":"serverRequest","call":"c1","method":"sampling/createMessage","id":"1","verdict":"allow","rule":{"source":"Policy","object":"clerks","rule":"sampling"},"reason":"x","masks":{"email":1}}"#,
    r#"{"type":"streamEvent","call":"c1","direction":"serverToClient","method":"notifications/progress","eventId":"5","bytes":80,"masks":{"aws-access-key":2}}"#,
    r#"{"type":"answered","call":"c1","status":200,"isError":false,"bytes":900,"masks":{"aws-access-key":1}}"#,
    r#"{"type":"callEnded","call":"c1","outcome":"withheld","executed":true,"reason":"recording_failed","status":502,"millis":1200}"#,
    r#"{"type":"policyChanged","gateway":{"namespace":"shop","name":"inventory"},"from":"sha256:0202020202020202020202020202020202020202020202020202020202020202","to":"sha256:0404040404040404040404040404040404040404040404040404040404040404"}"#,
    r#"{"type":"gap","lost":3,"cause":"noSpace","since":17}"#,
    r#"{"type":"recovered","segment":1,"tornBytes":12,"tornDigest":"sha256:0505050505050505050505050505050505050505050505050505050505050505","damagedLines":0,"sessions":1,"calls":1}"#,
    r#"{"type":"viewed","user":"auditor","uid":1001,"kind":"replay","session":"ada","query":"--tool x"}"#,
    r#"{"type":"purged","user":"auditor","uid":1001,"cause":"erasure","reason":"request 4","what":{"kind":"payloads","session":"ada","through":8,"payloads":2,"bytes":1110}}"#,
    r#"{"type":"legalHold","session":"ada","held":true,"user":"auditor","uid":1001,"reason":"case 17"}"#,
];
