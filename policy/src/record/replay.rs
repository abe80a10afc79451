//! Replaying: the events of a recording at the pace at which they happened.

use std::time::Duration;

use crate::time::UnixMillis;

use super::chain::EventRecord;

/// How fast a replay goes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pace {
    /// 2 is twice as fast; 0 or less means without waiting.
    pub speed: f64,
    /// Longest wait between two events, so that an idle night does not stop the film.
    pub longest: Duration,
}

/// One event and how long to wait before showing it.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    pub wait: Duration,
    /// Since the first event, at the pace of the recording.
    pub since_start: Duration,
    pub record: EventRecord,
}

/// Gives each record its waiting time. A clock that went backwards waits for nothing.
pub fn replay<I>(records: I, pace: Pace) -> impl Iterator<Item = Step>
where
    I: IntoIterator<Item = EventRecord>,
{
    let mut start: Option<UnixMillis> = None;
    let mut last: Option<UnixMillis> = None;
    records.into_iter().map(move |record| {
        let began = *start.get_or_insert(record.at);
        let gap = last.map_or(Duration::ZERO, |last| last.until(record.at));
        last = Some(record.at);
        Step {
            wait: scaled(gap, pace),
            since_start: began.until(record.at),
            record,
        }
    })
}

fn scaled(gap: Duration, pace: Pace) -> Duration {
    if pace.speed > 0.0 {
        Duration::try_from_secs_f64(gap.as_secs_f64() / pace.speed)
            .unwrap_or(pace.longest)
            .min(pace.longest)
    } else {
        Duration::ZERO
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::SessionId;
    use crate::record::event::{Event, SessionEnd, SessionEnded};

    fn at(millis: i64) -> EventRecord {
        EventRecord {
            session: SessionId::new("s"),
            seq: 0,
            prev: None,
            at: UnixMillis(millis),
            event: Event::SessionEnded(SessionEnded {
                reason: SessionEnd::Idle,
            }),
            payloads: Vec::new(),
        }
    }

    #[test]
    fn waits_follow_the_recording_and_are_bounded() {
        let rows = [
            ("as it was", 1.0, [0, 1000, 0, 5000]),
            ("twice as fast", 2.0, [0, 500, 0, 5000]),
            ("without waiting", 0.0, [0, 0, 0, 0]),
        ];
        for (name, speed, expected) in rows {
            let pace = Pace {
                speed,
                longest: Duration::from_secs(5),
            };
            let records = [at(1000), at(2000), at(1500), at(900_000)];
            let waits: Vec<_> = replay(records, pace)
                .map(|step| step.wait.as_millis())
                .collect();
            assert_eq!(waits, expected, "{name}");
        }
    }
}
