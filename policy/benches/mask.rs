//! How fast answers pass the masks: clean ones (the usual case), ones with a few hits, ones with escapes.

#![expect(
    clippy::expect_used,
    reason = "a bench that cannot build its input has nothing to measure"
)]

use std::hint::black_box;

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use sallyport_policy::json::{Document, Limits};
use sallyport_policy::mask::{Group, MaskKey, Masker, MaskingSettings, Scope};
use sallyport_policy::source::masking::MaskAction;

const SCOPE: Scope<'_> = Scope::ResultOf {
    method: "tools/call",
    tool: Some("query"),
    output_schema: None,
};

/// A page of rows as a database server answers it: JSON in text and the same in `structuredContent`.
fn page(rows: usize, odd: &str) -> Document {
    let row = |number: usize| {
        let note = if number % 100 == 7 {
            odd
        } else {
            "left at the door, called twice"
        };
        format!(
            "{{\"id\":{number},\"name\":\"customer {number}\",\"city\":\"Leeds\",\"total\":{number}.50,\"note\":\"{note}\"}}"
        )
    };
    let rows = (0..rows).map(row).collect::<Vec<_>>().join(",");
    let text = rows.replace('"', "\\\"");
    let body = format!(
        "{{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{{\"content\":[{{\"type\":\"text\",\"text\":\"[{text}]\"}}],\"structuredContent\":{{\"rows\":[{rows}]}}}}}}"
    );
    Document::parse(Bytes::from(body), Limits::RESPONSE).expect("the page is JSON")
}

fn masker(groups: &[Group]) -> Masker {
    let detectors = groups.iter().flat_map(|group| group.detectors());
    let settings = MaskingSettings {
        detectors: detectors
            .map(|detector| (detector, MaskAction::Redact))
            .collect(),
        ..MaskingSettings::default()
    };
    let credential = zeroize::Zeroizing::new(b"an-injected-credential-0123456789".to_vec());
    Masker::new(&settings, &[credential], &MaskKey::new(&[1; 32])).expect("the settings are sound")
}

fn masking(c: &mut Criterion) {
    let credentials = masker(&[Group::Credentials]);
    let all = masker(&Group::ALL);
    let table = [
        (
            "clean, credentials",
            &credentials,
            page(2000, "nothing here"),
        ),
        ("clean, all groups", &all, page(2000, "nothing here")),
        (
            "words that lead nowhere",
            &credentials,
            page(2000, "the token count"),
        ),
        (
            "one row in a hundred with a hit",
            &credentials,
            page(2000, "AKIAIOSFODNN7EXAMPLE"),
        ),
        ("small, clean", &credentials, page(2, "nothing here")),
    ];
    let mut group = c.benchmark_group("mask");
    for (name, masker, document) in table {
        group.throughput(Throughput::Bytes(document.bytes().len() as u64));
        group.bench_function(name, |bencher| {
            bencher.iter(|| masker.mask(black_box(&document), &SCOPE));
        });
    }
    group.finish();
}

criterion_group!(benches, masking);
criterion_main!(benches);
