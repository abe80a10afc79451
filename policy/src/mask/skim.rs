//! The first look at raw bytes: does any lead stand in them, and where.
//!
//! Nearly every answer is clean and is only ever looked at here, so this is the one loop whose speed counts. An
//! automaton waits for its own last step at every byte; four of them on four parts of the bytes wait together.

use aho_corasick::automaton::{Automaton, StateID};
use aho_corasick::{Anchored, BuildError, MatchKind, StartKind, dfa};

/// Bytes below which the parts are not worth it.
const SHORT: usize = 1024;

/// An automaton over all leads.
pub(super) struct Skim {
    automaton: dfa::DFA,
    start: StateID,
    longest: usize,
}

impl Skim {
    pub(super) fn new(words: &[Vec<u8>]) -> Result<Self, BuildError> {
        let automaton = dfa::Builder::new()
            .ascii_case_insensitive(true)
            .match_kind(MatchKind::Standard)
            .start_kind(StartKind::Unanchored)
            .prefilter(false)
            .build(words)?;
        // Only anchored searches are refused here, and none is asked for.
        let start = automaton.start_state(Anchored::No).unwrap_or_default();
        Ok(Self {
            automaton,
            start,
            longest: words.iter().map(Vec::len).max().unwrap_or(0),
        })
    }

    /// Where words end (the place of their last byte), in order.
    pub(super) fn places(&self, bytes: &[u8]) -> Vec<usize> {
        let mut places = Vec::new();
        if bytes.len() < SHORT.max(8 * self.longest) {
            self.alone(bytes, 0, bytes.len(), self.start, &mut places);
            return places;
        }
        self.four(bytes, &mut places);
        places.sort_unstable();
        places
    }

    fn four(&self, bytes: &[u8], places: &mut Vec<usize>) {
        let part = bytes.len() / 4;
        let (one, rest) = bytes.split_at(part);
        let (two, rest) = rest.split_at(part);
        let (three, four) = rest.split_at(part);
        let mut states = [self.start; 4];
        for (at, (((a, b), c), d)) in one.iter().zip(two).zip(three).zip(four).enumerate() {
            let [w, x, y, z] = states;
            states = [
                self.step(w, *a),
                self.step(x, *b),
                self.step(y, *c),
                self.step(z, *d),
            ];
            if states.iter().any(|state| self.automaton.is_special(*state)) {
                let ended = states.iter().zip([0, part, 2 * part, 3 * part]);
                let ended = ended.filter(|(state, _)| self.automaton.is_match(**state));
                places.extend(ended.map(|(_, base)| base + at));
            }
        }
        // A word may begin in one part and end in the next.
        for (state, end) in states.into_iter().zip([part, 2 * part, 3 * part, 4 * part]) {
            let over = if end == 4 * part {
                bytes.len()
            } else {
                end + self.longest
            };
            self.alone(bytes, end, over, state, places);
        }
    }

    fn alone(
        &self,
        bytes: &[u8],
        from: usize,
        to: usize,
        mut state: StateID,
        places: &mut Vec<usize>,
    ) {
        let part = bytes.get(from..to).unwrap_or_default();
        for (at, byte) in part.iter().enumerate() {
            state = self.step(state, *byte);
            if self.automaton.is_special(state) && self.automaton.is_match(state) {
                places.push(from + at);
            }
        }
    }

    #[inline]
    fn step(&self, state: StateID, byte: u8) -> StateID {
        self.automaton.next_state(Anchored::No, state, byte)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_seen_wherever_it_stands() {
        let skim = Skim::new(&[b"AKIA".to_vec(), b"://".to_vec()]).unwrap();
        for length in [0, 3, 4, 100, 1023, 1024, 1025, 4099] {
            assert!(skim.places(&vec![b'x'; length]).is_empty());
            for at in 0..length.saturating_sub(3) {
                let mut bytes = vec![b'x'; length];
                bytes[at..at + 4].copy_from_slice(b"akia");
                let places = skim.places(&bytes);
                assert!(
                    !places.is_empty() && places.iter().all(|place| *place == at + 3),
                    "{at} of {length}"
                );
            }
        }
    }
}
