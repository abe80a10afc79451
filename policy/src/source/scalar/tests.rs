//! Written forms of small values.

use proptest::prelude::*;

use super::*;

#[test]
fn durations_are_go_durations_within_the_gateway_apis_limits() {
    for (text, millis) in [
        ("45s", Some(45_000)),
        ("1h30m", Some(5_400_000)),
        ("9600h", Some(34_560_000_000)),
        ("500ms", Some(500)),
        ("1h1m1s1ms", Some(3_661_001)),
        ("0s", Some(0)),
        ("", None),
        ("10", None),
        ("-1s", None),
        ("1.5h", None),
        ("1d", None),
        ("123456s", None),
        ("1s1s1s1s1s", None),
        ("99999h99999m", None),
        ("1 s", None),
    ] {
        let read = text
            .parse::<GoDuration>()
            .ok()
            .map(|value| value.get().as_millis());
        assert_eq!(read, millis, "{text}");
    }
}

#[test]
fn sizes_are_kubernetes_quantities_without_fractions() {
    for (text, bytes) in [
        ("4Mi", Some(4 << 20)),
        ("500k", Some(500_000)),
        ("0", Some(0)),
        ("1Ti", Some(1 << 40)),
        ("", None),
        ("Mi", None),
        ("1.5Gi", None),
        ("1K", None),
        ("999999999999999Ti", None),
    ] {
        assert_eq!(
            text.parse::<Quantity>().ok().map(Quantity::get),
            bytes,
            "{text}"
        );
    }
}

#[test]
fn times_of_day_have_two_digits_each_and_exist() {
    for (text, minutes) in [
        ("07:00", Some(420)),
        ("23:59", Some(1439)),
        ("24:00", None),
        ("7:00", None),
        ("12:60", None),
        ("+7:00", None),
    ] {
        assert_eq!(
            text.parse::<TimeOfDay>().ok().map(TimeOfDay::minutes),
            minutes,
            "{text}"
        );
    }
}

#[test]
fn a_timestamp_needs_its_offset() {
    assert!("2026-11-01T00:00:00Z".parse::<Timestamp>().is_ok());
    assert!("2026-11-01T01:00:00+01:00".parse::<Timestamp>().is_ok());
    assert!("2026-11-01T00:00:00".parse::<Timestamp>().is_err());
    assert!("2026-11-01".parse::<Timestamp>().is_err());
}

#[test]
fn a_literal_is_a_scalar_and_never_null() {
    let read = |text| serde_json::from_str::<Literal>(text);
    assert_eq!(read("\"a\"").unwrap(), Literal::Text("a".to_owned()));
    assert_eq!(read("true").unwrap(), Literal::Bool(true));
    assert_eq!(read("1000").unwrap().to_value(), serde_json::json!(1000));
    for text in ["null", "[]", "{}"] {
        assert!(read(text).is_err(), "{text}");
    }
}

proptest! {
    #[test]
    fn every_duration_reads_back_what_it_prints(millis in 0..=LONGEST_MILLIS) {
        let duration = GoDuration::of(Duration::from_millis(millis));
        prop_assert_eq!(duration.to_string().parse(), Ok(duration));
    }

    #[test]
    fn every_size_that_prints_within_bounds_reads_back(bytes in 0_u64..999_999_999_999_999) {
        let size = Quantity::bytes(bytes);
        prop_assert_eq!(size.to_string().parse(), Ok(size));
    }

    #[test]
    fn every_timestamp_reads_back_what_it_prints(millis in -62_000_000_000_000_i64..253_000_000_000_000) {
        let stamp = Timestamp::new(UnixMillis(millis));
        prop_assert_eq!(stamp.to_string().parse(), Ok(stamp));
    }
}
