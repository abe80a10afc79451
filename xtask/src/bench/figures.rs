//! Figures of each contestant in each scenario, over all its turns.

use super::contestants::Contestant;
use super::scenario::Scenario;

/// What one turn gave; microseconds, KiB, calls a second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Turn {
    /// Processor time of one call.
    pub(crate) processor: f64,
    pub(crate) memory: u64,
    pub(crate) median: f64,
    pub(crate) slow: f64,
    pub(crate) rate: f64,
}

/// The middle of each figure over all turns: one disturbed turn must not be the figure.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Figures {
    /// None for the server alone.
    pub(crate) processor: Option<f64>,
    pub(crate) median: f64,
    pub(crate) slow: f64,
    pub(crate) rate: f64,
    /// The most of all turns, KiB.
    pub(crate) memory: u64,
}

/// All turns, by scenario and contestant.
#[derive(Debug)]
pub(crate) struct Board {
    pub(crate) scenarios: Vec<Scenario>,
    pub(crate) names: Vec<&'static str>,
    turns: Vec<Vec<Vec<Turn>>>,
}

impl Board {
    pub(crate) fn new(scenarios: &[Scenario], contestants: &[Contestant]) -> Self {
        Self {
            scenarios: scenarios.to_vec(),
            names: contestants
                .iter()
                .map(|contestant| contestant.name)
                .collect(),
            turns: vec![vec![Vec::new(); contestants.len()]; scenarios.len()],
        }
    }

    pub(crate) fn add(&mut self, scenario: usize, contestant: usize, turn: Turn) {
        let cell = self
            .turns
            .get_mut(scenario)
            .and_then(|row| row.get_mut(contestant));
        if let Some(cell) = cell {
            cell.push(turn);
        }
    }

    /// None where the contestant or the scenario was left out of this run.
    pub(crate) fn of(&self, scenario: &Scenario, name: &str) -> Option<Figures> {
        let row = self.scenarios.iter().position(|known| known == scenario)?;
        let column = self.names.iter().position(|known| *known == name)?;
        figures(self.turns.get(row)?.get(column)?)
    }
}

fn figures(turns: &[Turn]) -> Option<Figures> {
    let middle = |figure: fn(&Turn) -> f64| {
        let mut sorted: Vec<f64> = turns.iter().map(figure).collect();
        sorted.sort_unstable_by(f64::total_cmp);
        sorted.get(sorted.len() / 2).copied()
    };
    Some(Figures {
        processor: middle(|turn| turn.processor).filter(|used| *used > 0.0),
        median: middle(|turn| turn.median)?,
        slow: middle(|turn| turn.slow)?,
        rate: middle(|turn| turn.rate)?,
        memory: turns.iter().map(|turn| turn.memory).max()?,
    })
}

#[cfg(test)]
mod tests {
    use super::{Turn, figures};

    #[test]
    fn one_disturbed_turn_is_not_the_figure() {
        let turn = |processor| Turn {
            processor,
            memory: 1,
            median: 2.0,
            slow: 3.0,
            rate: 4.0,
        };
        let seen = figures(&[turn(100.0), turn(9_000.0), turn(110.0)]);
        assert_eq!(seen.and_then(|seen| seen.processor), Some(110.0));
        assert_eq!(figures(&[]), None);
    }
}
