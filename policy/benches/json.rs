//! What strict JSON costs: one parse of typical bodies, a path, a splice, the canonical form.
//!
//! The aim is a gigabyte a second where bodies are mostly text, and well under a microsecond for a small call.

#![expect(
    clippy::expect_used,
    reason = "a bench that cannot build its input has nothing to measure"
)]

use std::hint::black_box;

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use sallyport_policy::json::path::Path;
use sallyport_policy::json::{Document, Limits, Splice, canonical, quote};

const SMALL_CALL: &str = r#"{"jsonrpc":"2.0","id":17,"method":"tools/call","params":{"name":"run_sql","arguments":{"sql":"select * from stock where sku = 'A-17' limit 10","limit":10},"_meta":{"progressToken":3}}}"#;

/// Rows of a table, as database servers answer.
fn rows() -> String {
    let row = |n: u32| {
        format!(
            r#"{{"id":{n},"name":"customer {n}","email":"user{n}@example.com","balance":{}.5,"active":true,"note":null}}"#,
            n * 17
        )
    };
    let rows: Vec<_> = (0..200).map(row).collect();
    format!("[{}]", rows.join(","))
}

fn result(content: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":1,"result":{{"content":[{content}]}}}}"#)
}

/// An object whose keys are in no order, so that sorting them for twins cannot be lucky.
fn many_keys() -> String {
    let key = |n: u64| format!(r#""{:016x}":0"#, n.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    let members: Vec<_> = (0..10_000).map(key).collect();
    format!("{{{}}}", members.join(","))
}

fn bodies() -> Vec<(&'static str, String)> {
    let prose = "The quick brown fox jumps over the lazy dog, and then some more prose. ".repeat(4);
    let block = format!(r#"{{"type":"text","text":"{prose}"}}"#);
    let blob = "QUJDREVG".repeat(1 << 17);
    vec![
        ("small call", SMALL_CALL.to_owned()),
        ("text blocks", result(&vec![block; 40].join(","))),
        ("rows", result(&rows())),
        (
            "rows inside text",
            result(&format!(r#"{{"type":"text","text":{}}}"#, quote(&rows()))),
        ),
        (
            "blob of 1 MiB",
            result(&format!(r#"{{"type":"image","data":"{blob}"}}"#)),
        ),
        ("object of 10,000 keys", many_keys()),
    ]
}

fn parse(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("json/parse");
    for (name, text) in bodies() {
        let bytes = Bytes::from(text);
        group.throughput(Throughput::Bytes(bytes.len() as u64));
        group.bench_function(name, |bencher| {
            bencher.iter(|| Document::parse(black_box(bytes.clone()), Limits::RESPONSE));
        });
    }
    group.finish();
}

fn use_parsed(criterion: &mut Criterion) {
    let call = Document::parse(Bytes::from(SMALL_CALL), Limits::REQUEST).expect("strict JSON");
    let arguments = call
        .root()
        .get("params")
        .and_then(|params| params.get("arguments"));
    let arguments = arguments.expect("arguments");
    let path = Path::parse("$.limit").expect("a path");
    criterion.bench_function("json/path of one step", |bencher| {
        bencher.iter(|| path.select(black_box(arguments)));
    });
    criterion.bench_function("json/canonical arguments", |bencher| {
        bencher.iter(|| canonical(black_box(arguments)));
    });
    criterion.bench_function("json/splice of one member", |bencher| {
        bencher.iter(|| {
            let mut splice = Splice::new();
            splice.set_member(black_box(arguments), "limit", "1");
            splice.apply(&call)
        });
    });
}

criterion_group!(benches, parse, use_parsed);
criterion_main!(benches);
