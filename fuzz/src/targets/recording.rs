//! Recordings: verification is total, and whatever is done to a recording whose head is known is noticed.

use std::sync::{Arc, LazyLock};

use sallyport_policy::name::{CallId, GatewayName, Issuer, SessionId, Subject};
use sallyport_policy::principal::CallerKey;
use sallyport_policy::record::event::{
    CallEnded, CallRequested, Direction, SessionBegan, WriterBegan, WriterEnded,
};
use sallyport_policy::record::segment::{Composer, Resumed, header};
use sallyport_policy::record::verify::{Tombstones, Verdict, Verifier};
use sallyport_policy::record::{Event, Head, Outcome, SigningKey, line};
use sallyport_policy::time::UnixMillis;

use super::Target;
use crate::input::option;

pub(super) const TARGET: Target = Target {
    name: "recording",
    law: "any bytes are verified and resumed without a panic; every change to a recording whose head is known is named",
    property,
    seeds,
    longest: 4096,
    words: &[
        "E ",
        "S ",
        "C ",
        "\n",
        "{\"session\":",
        "\"seq\":",
        "\"prev\":",
        "\"event\":",
        "\"format\":\"sallyport-recording/1\"",
    ],
};

struct Tape {
    bytes: Vec<u8>,
    head: Head,
}

static TAPE: LazyLock<Tape> = LazyLock::new(|| {
    let key = Arc::new(SigningKey::from_seed(&[1; 32]).expect("a key"));
    let mut bytes = Vec::new();
    let mut composer = Composer::begin(key, SessionId::new("w"), UnixMillis(0), None, &mut bytes)
        .expect("a segment");
    for (session, event) in events() {
        let prepared = composer
            .prepare(&SessionId::new(session), UnixMillis(1), event, Vec::new())
            .expect("an event");
        composer.commit(&prepared, &mut bytes);
    }
    let checkpoint = composer
        .prepare_checkpoint(UnixMillis(2))
        .expect("a checkpoint");
    let head = composer.commit_checkpoint(&checkpoint, &mut bytes);
    Tape { bytes, head }
});

fn events() -> Vec<(&'static str, Event)> {
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
    let requested = CallRequested {
        call: CallId::new("c1"),
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
    };
    let ended = CallEnded {
        call: CallId::new("c1"),
        outcome: Outcome::Succeeded,
        executed: true,
        reason: None,
        status: Some(200),
        millis: Some(3),
    };
    vec![
        (
            "w",
            Event::WriterBegan(WriterBegan {
                version: "1".to_owned(),
                pid: 1,
            }),
        ),
        ("s", Event::SessionBegan(Box::new(began))),
        ("s", Event::CallRequested(Box::new(requested))),
        ("s", Event::CallEnded(ended)),
        ("w", Event::WriterEnded(WriterEnded { events: 0, lost: 0 })),
    ]
}

fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = vec![
        [b"r", TAPE.bytes.as_slice()].concat(),
        b"x\x00\x10\x01\x00".to_vec(),
        b"x\x02\x00\x01\x02\x00\x50\x00\x03".to_vec(),
    ];
    for text in line::lines(&TAPE.bytes).map(|line| line.text) {
        if let Ok(good) = line::decode(text) {
            seeds.push([b"j".as_slice(), good.json].concat());
        }
    }
    seeds
}

fn property(data: &[u8]) {
    let (way, rest) = option(data);
    match way {
        b'x' => changed(&edited(rest)),
        b'j' => framed(rest),
        _ => {
            total(rest);
            changed(rest);
        }
    }
}

/// Anything at all can be resumed after and verified.
fn total(bytes: &[u8]) {
    let covered: usize = line::lines(bytes)
        .map(|raw| raw.text.len() + usize::from(raw.whole))
        .sum();
    assert_eq!(covered, bytes.len(), "every byte belongs to a line");
    if let Some(resumed) = Resumed::read(bytes) {
        assert_eq!(resumed.bytes + resumed.torn, bytes.len() as u64);
        assert!(header(bytes).is_some());
    }
    let _total = verified(bytes, None);
}

/// A JSON that somebody put into a line with a hash that fits: read without a panic, after a good beginning.
fn framed(json: &[u8]) {
    for kind in [
        line::LineKind::Event,
        line::LineKind::Checkpoint,
        line::LineKind::Segment,
    ] {
        let mut bytes = TAPE.bytes.clone();
        line::encode(kind, json, &mut bytes);
        total(&bytes);
        let mut alone = Vec::new();
        line::encode(kind, json, &mut alone);
        alone.extend_from_slice(&TAPE.bytes);
        total(&alone);
    }
}

fn changed(bytes: &[u8]) {
    let verdict = verified(bytes, Some(TAPE.head));
    let whole = verdict.is_good() && verdict.torn_bytes == 0 && verdict.complete == Some(TAPE.head);
    let unsigned_tail = verdict.unsigned_events > 0 && bytes.starts_with(&TAPE.bytes);
    assert!(
        whole == (bytes == TAPE.bytes) || unsigned_tail,
        "a change that nobody noticed"
    );
}

fn verified(bytes: &[u8], head: Option<Head>) -> Verdict {
    let mut verifier = Verifier::new(None, Tombstones::default());
    verifier.begin_segment(1);
    for raw in line::lines(bytes) {
        if raw.whole {
            verifier.line(raw.text);
        } else {
            verifier.torn(raw.text.len() as u64, true);
        }
    }
    verifier.finish(head)
}

fn edited(edits: &[u8]) -> Vec<u8> {
    let mut bytes = TAPE.bytes.clone();
    for edit in edits.chunks_exact(4) {
        if bytes.is_empty() {
            break;
        }
        let at = usize::from(u16::from_be_bytes([edit[0], edit[1]])) % bytes.len();
        match edit[3] % 5 {
            0 => bytes[at] = edit[2],
            1 => bytes.insert(at, edit[2]),
            2 => drop(bytes.remove(at)),
            3 => bytes.truncate(at),
            _ => bytes[at] ^= 1 << (edit[2] % 8),
        }
    }
    bytes
}
