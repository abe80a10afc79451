//! Figures of one contestant over all its turns, and the table of all.

use serde_json::Value;

use super::contestants::{Contestant, Used};

/// What the turns of one contestant add up to.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    calls: u64,
    processor: u64,
    memory: u64,
    /// One of each turn, microseconds.
    medians: Vec<u64>,
    slowest: Vec<u64>,
}

impl Figures {
    pub(crate) fn add(&mut self, report: &Value, used: Used) {
        let number = |name: &str| report.get(name).and_then(Value::as_u64).unwrap_or(0);
        self.calls += number("calls");
        self.medians.push(number("p50"));
        self.slowest.push(number("p99"));
        self.processor += used.microseconds();
        self.memory = self.memory.max(used.memory);
    }

    fn row(&self, name: &str, measured: bool) -> String {
        let (p50, p99) = (middle(&self.medians), middle(&self.slowest));
        if !measured {
            return format!("{name:<26} {:>10} {p50:>9} {p99:>9} {:>9}", "-", "-");
        }
        let each = self.processor.checked_div(self.calls).unwrap_or(0);
        let memory = self.memory / 1024;
        format!("{name:<26} {each:>10} {p50:>9} {p99:>9} {memory:>9}")
    }
}

/// The table, a line each.
pub(crate) fn table(contestants: &[Contestant], figures: &[Figures]) -> Vec<String> {
    let head = format!(
        "{:<26} {:>10} {:>9} {:>9} {:>9}",
        "", "CPU us", "p50 us", "p99 us", "RSS MiB"
    );
    let rows = contestants
        .iter()
        .zip(figures)
        .map(|(contestant, figures)| figures.row(&contestant.name, contestant.is_measured()));
    std::iter::once(head).chain(rows).collect()
}

/// The middle one of the turns: one disturbed turn must not be the figure.
fn middle(turns: &[u64]) -> u64 {
    let mut sorted = turns.to_vec();
    sorted.sort_unstable();
    sorted.get(sorted.len() / 2).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::middle;

    #[test]
    fn one_disturbed_turn_is_not_the_figure() {
        assert_eq!(middle(&[100, 9_000, 110]), 110);
        assert_eq!(middle(&[]), 0);
    }
}
