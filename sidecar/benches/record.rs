//! What a recorded call costs: composing its lines, and making them durable with many callers waiting.
#![expect(
    clippy::expect_used,
    reason = "a bench that cannot start has nothing to measure"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use sallyport_policy::name::{CallId, GatewayName, Issuer, SessionId, Subject};
use sallyport_policy::principal::CallerKey;
use sallyport_policy::record::SigningKey;
use sallyport_policy::record::event::{
    Answered, CallRequested, Capture, Direction, Event, Forwarded, Mode, Outcome, PayloadKind,
    SessionBegan,
};
use sallyport_policy::record::segment::Composer;
use sallyport_policy::time::UnixMillis;
use sallyport_sidecar::record::{Ended, Options, Recorder, Terms};

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
        protocol: None,
        transport: None,
        source: None,
        claimed_client: None,
    }
}

fn requested(call: CallId) -> CallRequested {
    CallRequested {
        call,
        direction: Direction::ClientToServer,
        method: "tools/call".to_owned(),
        notification: false,
        id: Some("1".to_owned()),
        tool: Some("update_price".to_owned()),
        resource: None,
        pin: None,
        protocol: Some("2026-07-28".to_owned()),
        bytes: 210,
        source: None,
        trace: None,
    }
}

fn answered(call: CallId) -> Event {
    Event::Answered(Answered {
        call,
        status: Some(200),
        is_error: false,
        bytes: 900,
        masks: BTreeMap::new(),
    })
}

/// Linking, writing out and hashing one event.
fn compose(criterion: &mut Criterion) {
    let key = Arc::new(SigningKey::from_seed(&[1; 32]).expect("32 bytes"));
    let mut out = Vec::new();
    let chain = SessionId::new("01k0000000000000000000000");
    let at = UnixMillis(1_795_000_000_000);
    let mut composer = Composer::begin(key, chain.clone(), at, None, &mut out).expect("a header");
    let began = composer
        .prepare(
            &chain,
            at,
            Event::SessionBegan(Box::new(session())),
            Vec::new(),
        )
        .expect("a beginning");
    composer.commit(&began, &mut out);
    let mut group = criterion.benchmark_group("record");
    group.throughput(Throughput::Elements(1));
    group.bench_function("compose an event", |bencher| {
        bencher.iter(|| {
            out.clear();
            let event = answered(CallId::new("c1"));
            let prepared = composer
                .prepare(&chain, at, event, Vec::new())
                .expect("an open session");
            black_box(composer.commit(&prepared, &mut out))
        });
    });
    group.finish();
}

/// Events of one call as [`one`] records it.
const EVENTS: u64 = 4;

/// Whole strict calls, two waits each, in events a second: how well callers share a sync.
fn strict_calls(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a folder");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let options = Options::new("bench", Arc::new(|| UnixMillis(1_795_000_000_000)));
    let (recorder, _spool) = Recorder::open(folder.path(), options).expect("an empty folder");
    let session = recorder.begin_session(session());
    let mut group = criterion.benchmark_group("record");
    group.throughput(Throughput::Elements(EVENTS));
    group
        .sample_size(10)
        .measurement_time(Duration::from_secs(5));
    for callers in [1, 16, 256] {
        let name = BenchmarkId::new("strict calls", format!("{callers} at a time"));
        group.bench_with_input(name, &callers, |bencher, callers| {
            bencher.iter_custom(|calls| {
                let began = Instant::now();
                runtime.block_on(many(&recorder, &session, calls, *callers));
                began.elapsed()
            });
        });
    }
    group.finish();
}

async fn many(recorder: &Recorder, session: &SessionId, calls: u64, callers: u64) {
    let mut tasks = tokio::task::JoinSet::new();
    for caller in 0..callers {
        let share = calls / callers + u64::from(caller < calls % callers);
        let (recorder, session) = (recorder.clone(), session.clone());
        tasks.spawn(async move {
            for _ in 0..share {
                one(&recorder, &session).await;
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.expect("a caller that ends");
    }
}

async fn one(recorder: &Recorder, session: &SessionId) {
    let terms = Terms {
        mode: Mode::Strict,
        capture: Capture::Masked,
    };
    let body = |kind, bytes: &'static [u8]| vec![(kind, Bytes::from_static(bytes))];
    let mut record = recorder.open_call(
        session,
        terms,
        requested,
        body(PayloadKind::Request, &[b'q'; 210]),
    );
    let sent = Forwarded {
        call: record.id().clone(),
        bytes: 210,
        headers: BTreeSet::new(),
    };
    record.note(Event::Forwarded(sent), Vec::new());
    record.settle().await.expect("room for a request");
    let event = answered(record.id().clone());
    record.note(event, body(PayloadKind::Response, &[b'r'; 900]));
    record.settle().await.expect("room for an answer");
    record.end_unheard(Ended::new(Outcome::Succeeded));
}

criterion_group!(benches, compose, strict_calls);
criterion_main!(benches);
