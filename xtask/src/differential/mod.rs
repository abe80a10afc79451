//! Differential parsing: whatever JSON readers of other languages read differently is refused, or reads the same in
//! the server as it was judged.
//!
//! Documents are made round the message corpus from a seed, so that a run repeats. Each is read by the guard's own
//! parser and by serde_json, Python, Node and Go, as servers in these languages would; what the guard lets through
//! and another reads otherwise is a failure, printed with the document. What the guard refuses may be read anyhow.

mod documents;
mod mutate;
mod odd;
mod readers;
mod reading;

use std::time::Instant;

use anyhow::Result;

use crate::console::say;
use crate::tally::Count;
use documents::Documents;
use readers::{Reader, Readers};
use reading::Reading;

/// Documents that are sent to the readers at once.
const BATCH: u64 = 2_000;
/// Failures that are printed in full.
const TOLD: usize = 10;

/// What a run came to.
#[derive(Debug, Default)]
struct Outcome {
    documents: u64,
    /// Let through by the guard.
    accepted: u64,
    /// Read differently by two of the readers, the guard aside: what all this is about.
    ambiguous: u64,
    /// Let through by the guard and read otherwise by a reader.
    failures: usize,
}

/// Reads `documents` of them, made from `seed`.
///
/// # Errors
/// A reader that cannot be built or dies.
pub(crate) fn run(documents: u64, seed: u64) -> Result<Count> {
    let began = Instant::now();
    let mut readers = Readers::start()?;
    let mut made = Documents::new(seed)?;
    let mut outcome = Outcome::default();
    while outcome.documents < documents {
        let size = BATCH.min(documents - outcome.documents);
        let batch: Vec<Vec<u8>> = (0..size).map(|_| made.document()).collect();
        outcome.take(&batch, &mut readers)?;
        outcome.documents += size;
    }
    let Outcome {
        accepted,
        ambiguous,
        failures,
        ..
    } = outcome;
    let note = format!(
        "{documents} documents from seed {seed}: {accepted} let through, {ambiguous} that readers disagree on, {failures} of those let through; {:.0} a second",
        documents as f64 / began.elapsed().as_secs_f64().max(0.001)
    );
    // Documents on which nobody disagrees would prove nothing, and neither would a guard that refuses all.
    let idle = documents >= BATCH && (accepted == 0 || ambiguous == 0);
    if idle {
        say("    the documents show no difference between the readers: the generator is broken");
    }
    Ok(Count {
        passed: usize::from(failures == 0 && !idle),
        failed: failures.max(usize::from(idle)),
        note,
    })
}

impl Outcome {
    fn take(&mut self, batch: &[Vec<u8>], readers: &mut Readers) -> Result<()> {
        let answers = readers.digests(batch)?;
        for (place, document) in batch.iter().enumerate() {
            let read: Vec<(Reader, &str)> = answers
                .iter()
                .filter_map(|(reader, answers)| Some((*reader, answers.get(place)?.as_str())))
                .collect();
            let accepting: Vec<&str> = read.iter().map(|(_, answer)| *answer).collect();
            if accepting
                .windows(2)
                .any(|pair| matches!(pair, [a, b] if a != b))
            {
                self.ambiguous += 1;
            }
            if let Some(judged) = Reading::judged(document) {
                self.accepted += 1;
                self.compare(document, &judged, &read, readers)?;
            }
        }
        Ok(())
    }

    fn compare(
        &mut self,
        document: &[u8],
        judged: &Reading,
        read: &[(Reader, &str)],
        readers: &mut Readers,
    ) -> Result<()> {
        let digest = judged.digest();
        for (reader, answer) in read {
            let agrees = *answer == digest || (*answer == "-" && reader.may_refuse());
            if agrees {
                continue;
            }
            self.failures += 1;
            if self.failures <= TOLD {
                say(&format!(
                    "    {reader} reads another message than was judged:"
                ));
                say(&format!(
                    "      document {}",
                    String::from_utf8_lossy(document)
                ));
                say(&format!("      judged   {}", judged.text()));
                say(&format!(
                    "      read     {}",
                    readers.text(*reader, document)?
                ));
            }
        }
        Ok(())
    }
}
