//! Laws of verification over arbitrary damage, and the golden recording that keeps the format readable.

use proptest::prelude::*;

use super::tests::{key, recording, verify_with};
use super::*;
use crate::record::segment::Resumed;

/// One recording of every release of the format; it must be read for ever.
const GOLDEN: &[u8] = include_bytes!("../golden/segment-1.seg");

#[test]
fn the_golden_segment_still_verifies() {
    let verdict = verify_with(&[GOLDEN.to_vec()], Tombstones::default(), None);
    assert_eq!(verdict.findings, Vec::new());
    assert_eq!((verdict.events, verdict.sessions), (22, 3));
    assert!(verdict.ended && verdict.consistent_through.is_some());
}

#[test]
fn today_s_writer_writes_the_golden_segment() {
    let written = tests::every_event();
    assert_eq!(
        String::from_utf8(written).unwrap(),
        String::from_utf8(GOLDEN.to_vec()).unwrap(),
        "the format changed: give it a new number and keep reading the old one"
    );
}

proptest! {
    /// Everything up to the last checkpoint is covered, and every segment but the last ends with one.
    #[test]
    fn any_changed_byte_is_found(segment in 0usize..3, at in 0usize..1_000_000, bit in 0u8..8) {
        let (mut segments, head) = recording();
        let bytes = &mut segments[segment];
        let at = at % bytes.len();
        bytes[at] ^= 1 << bit;
        prop_assert!(!verify_with(&segments, Tombstones::default(), Some(head)).is_good());
    }

    #[test]
    fn any_removed_or_swapped_line_is_found(segment in 0usize..3, one in 0usize..100, other in 0usize..100, swap: bool) {
        let (mut segments, head) = recording();
        let text = String::from_utf8(segments[segment].clone()).unwrap();
        let mut lines: Vec<&str> = text.lines().collect();
        let (one, other) = (one % lines.len(), other % lines.len());
        if swap {
            prop_assume!(one != other);
            lines.swap(one, other);
        } else {
            lines.remove(one);
        }
        segments[segment] = lines.iter().map(|line| format!("{line}\n")).collect::<String>().into_bytes();
        prop_assert!(!verify_with(&segments, Tombstones::default(), Some(head)).is_good());
    }

    #[test]
    fn any_cut_is_found_against_the_head(segment in 0usize..3, keep in 0usize..1_000_000) {
        let (mut segments, head) = recording();
        let keep = keep % segments[segment].len();
        segments[segment].truncate(keep);
        prop_assert!(!verify_with(&segments, Tombstones::default(), Some(head)).is_good());
    }

    #[test]
    fn verification_and_recovery_are_total(bytes in proptest::collection::vec(any::<u8>(), 0..400), lines: bool) {
        let mut segment = GOLDEN.get(..600).unwrap_or_default().to_vec();
        if lines {
            let mut framed = Vec::new();
            line::encode(LineKind::Checkpoint, &bytes, &mut framed);
            line::encode(LineKind::Event, &bytes, &mut framed);
            segment.extend(framed);
        }
        segment.extend(&bytes);
        drop(Resumed::read(&segment));
        drop(Resumed::read(&bytes));
        let mut verifier = Verifier::new(Some(key().verifying()), Tombstones::default());
        verifier.begin_segment(1);
        for raw in line::lines(&segment) {
            verifier.line(raw.text);
        }
        drop(verifier.finish(None));
    }
}
