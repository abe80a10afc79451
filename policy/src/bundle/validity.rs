//! When a policy holds: between two points in time and inside weekly windows of a time zone.
//!
//! A window whose `from` is after its `to` spans midnight and belongs to its first day (law 5). Time zones come
//! from the bundled database, so that every replica reads a window alike.

use jiff::civil::{Date, Weekday};
use jiff::tz::{TimeZone, TimeZoneDatabase};
use jiff::{Timestamp, ToSpan as _, Zoned};

use crate::source::defaults;
use crate::source::policy::{Day, Validity, Window};
use crate::time::UnixMillis;

/// A validity made ready. The empty one holds always.
#[derive(Clone, Debug, Default)]
pub(crate) struct ActiveValidity {
    not_before: Option<UnixMillis>,
    not_after: Option<UnixMillis>,
    windows: Vec<ActiveWindow>,
}

#[derive(Clone, Debug)]
struct ActiveWindow {
    /// Empty: every day.
    days: Vec<Weekday>,
    /// Minutes after midnight.
    from: u16,
    to: u16,
    zone: TimeZone,
}

/// What is wrong with a window: its index and the unknown time zone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{zone}` is not a known time zone; expected a name such as `Europe/London`")]
pub struct UnknownZone {
    pub window: usize,
    pub zone: String,
}

impl ActiveValidity {
    pub(crate) fn new(validity: &Validity) -> Result<Self, UnknownZone> {
        let windows: Result<_, _> = validity
            .windows
            .iter()
            .enumerate()
            .map(|(index, window)| ActiveWindow::new(index, window))
            .collect();
        Ok(Self {
            not_before: validity.not_before.map(|stamp| stamp.get()),
            not_after: validity.not_after.map(|stamp| stamp.get()),
            windows: windows?,
        })
    }

    /// `notBefore` belongs to the span, `notAfter` does not.
    pub(crate) fn holds(&self, now: UnixMillis) -> bool {
        self.not_before.is_none_or(|start| start <= now)
            && self.not_after.is_none_or(|end| now < end)
            && (self.windows.is_empty() || self.windows.iter().any(|window| window.holds(now)))
    }

    /// The next point after `now` at which the answer may change.
    pub(crate) fn next_edge(&self, now: UnixMillis) -> Option<UnixMillis> {
        let bounds = self.not_before.into_iter().chain(self.not_after);
        let windows = self
            .windows
            .iter()
            .filter_map(|window| window.next_edge(now));
        bounds.chain(windows).filter(|edge| *edge > now).min()
    }
}

impl ActiveWindow {
    fn new(index: usize, window: &Window) -> Result<Self, UnknownZone> {
        let name = window.time_zone.as_deref().unwrap_or(defaults::TIME_ZONE);
        let zone = TimeZoneDatabase::bundled()
            .get(name)
            .map_err(|_| UnknownZone {
                window: index,
                zone: name.to_owned(),
            })?;
        Ok(Self {
            days: window.days.iter().copied().map(weekday).collect(),
            from: window.from.minutes(),
            to: window.to.minutes(),
            zone,
        })
    }

    /// A time outside the calendar is in no window.
    fn local(&self, now: UnixMillis) -> Option<Zoned> {
        let stamp = Timestamp::from_millisecond(now.0).ok()?;
        Some(stamp.to_zoned(self.zone.clone()))
    }

    fn holds(&self, now: UnixMillis) -> bool {
        let Some(local) = self.local(now) else {
            return false;
        };
        let minute =
            u16::from(local.hour().unsigned_abs()) * 60 + u16::from(local.minute().unsigned_abs());
        let today = local.weekday();
        if self.from < self.to {
            return (self.from..self.to).contains(&minute) && self.is_on(today);
        }
        (minute >= self.from && self.is_on(today))
            || (minute < self.to && self.is_on(today.previous()))
    }

    fn is_on(&self, day: Weekday) -> bool {
        self.days.is_empty() || self.days.contains(&day)
    }

    /// Starts and ends of the days around; a gap or fold of summer time moves an edge, never loses it.
    fn next_edge(&self, now: UnixMillis) -> Option<UnixMillis> {
        let today = self.local(now)?.date();
        (-1..=8)
            .filter_map(|offset| today.checked_add(i64::from(offset).days()).ok())
            .filter(|date| self.is_on(date.weekday()))
            .flat_map(|date| self.edges_of(date))
            .flatten()
            .filter(|edge| *edge > now)
            .min()
    }

    fn edges_of(&self, date: Date) -> [Option<UnixMillis>; 2] {
        let last = if self.from < self.to {
            Some(date)
        } else {
            date.tomorrow().ok()
        };
        [
            self.point(date, self.from),
            last.and_then(|last| self.point(last, self.to)),
        ]
    }

    fn point(&self, date: Date, minutes: u16) -> Option<UnixMillis> {
        let hour = i8::try_from(minutes / 60).ok()?;
        let minute = i8::try_from(minutes % 60).ok()?;
        let zoned = date
            .at(hour, minute, 0, 0)
            .to_zoned(self.zone.clone())
            .ok()?;
        Some(UnixMillis(zoned.timestamp().as_millisecond()))
    }
}

fn weekday(day: Day) -> Weekday {
    match day {
        Day::Mon => Weekday::Monday,
        Day::Tue => Weekday::Tuesday,
        Day::Wed => Weekday::Wednesday,
        Day::Thu => Weekday::Thursday,
        Day::Fri => Weekday::Friday,
        Day::Sat => Weekday::Saturday,
        Day::Sun => Weekday::Sunday,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn validity(json: &str) -> ActiveValidity {
        ActiveValidity::new(&serde_json::from_str(json).unwrap()).unwrap()
    }

    fn at(text: &str) -> UnixMillis {
        UnixMillis(text.parse::<Timestamp>().unwrap().as_millisecond())
    }

    const NIGHTS: &str =
        r#"{"windows":[{"days":["Fri"],"from":"22:00","to":"06:00","timeZone":"Europe/London"}]}"#;
    const OFFICE: &str = r#"{"notBefore":"2026-11-01T00:00:00Z","notAfter":"2027-01-31T00:00:00Z",
        "windows":[{"days":["Mon","Tue"],"from":"07:00","to":"19:00","timeZone":"Europe/London"}]}"#;

    #[test]
    fn law_05_a_window_with_from_after_to_spans_midnight_and_belongs_to_its_first_day() {
        // 2026-11-27 is a Friday.
        let rows = [
            ("2026-11-27T21:59:00Z", false),
            ("2026-11-27T22:00:00Z", true),
            ("2026-11-28T05:59:00Z", true),
            ("2026-11-28T06:00:00Z", false),
            ("2026-11-28T22:30:00Z", false),
            ("2026-11-27T05:00:00Z", false),
        ];
        for (now, expected) in rows {
            assert_eq!(validity(NIGHTS).holds(at(now)), expected, "{now}");
        }
    }

    #[test]
    fn a_window_is_read_in_its_own_time_zone() {
        let summer =
            r#"{"windows":[{"days":[],"from":"07:00","to":"08:00","timeZone":"Europe/London"}]}"#;
        assert!(validity(summer).holds(at("2026-07-01T06:30:00Z")));
        assert!(!validity(summer).holds(at("2026-07-01T07:30:00Z")));
        assert!(validity(summer).holds(at("2026-12-01T07:30:00Z")));
    }

    #[test]
    fn validity_is_bounded_by_both_dates() {
        let rows = [
            ("2026-10-26T10:00:00Z", false),
            ("2026-11-23T10:00:00Z", true),
            ("2026-11-25T10:00:00Z", false),
            ("2027-02-01T10:00:00Z", false),
        ];
        for (now, expected) in rows {
            assert_eq!(validity(OFFICE).holds(at(now)), expected, "{now}");
        }
    }

    #[test]
    fn law_28_the_next_edge_is_where_the_answer_changes_next() {
        let rows = [
            (OFFICE, "2026-11-23T10:00:00Z", Some("2026-11-23T19:00:00Z")),
            (OFFICE, "2026-11-24T20:00:00Z", Some("2026-11-30T07:00:00Z")),
            (OFFICE, "2026-10-01T10:00:00Z", Some("2026-10-05T06:00:00Z")),
            (NIGHTS, "2026-11-28T01:00:00Z", Some("2026-11-28T06:00:00Z")),
            ("{}", "2026-11-28T01:00:00Z", None),
        ];
        for (source, now, expected) in rows {
            assert_eq!(
                validity(source).next_edge(at(now)),
                expected.map(at),
                "{now}"
            );
        }
    }

    #[test]
    fn an_unknown_time_zone_is_refused() {
        let source =
            r#"{"windows":[{"days":["Mon"],"from":"07:00","to":"08:00","timeZone":"Mars/Base"}]}"#;
        let error = ActiveValidity::new(&serde_json::from_str(source).unwrap()).unwrap_err();
        assert_eq!((error.window, &*error.zone), (0, "Mars/Base"));
    }

    #[test]
    fn every_change_of_the_answer_is_announced_as_an_edge() {
        for source in [NIGHTS, OFFICE] {
            let validity = validity(source);
            // Over the change of the clocks on 2026-10-25, minute by minute.
            let start = at("2026-10-22T00:00:00Z");
            for minute in 0..(8 * 24 * 60) {
                let now = UnixMillis(start.0 + minute * 60_000);
                let next = UnixMillis(now.0 + 60_000);
                if validity.holds(now) != validity.holds(next) {
                    assert_eq!(validity.next_edge(now), Some(next), "{source} {now}");
                }
            }
        }
    }
}
