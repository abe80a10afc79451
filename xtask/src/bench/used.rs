//! What a process has used, from `/proc`.

use std::fs;

use anyhow::{Context, Result};

/// Processor time and memory of one process.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Used {
    /// Nanoseconds on a processor, all threads.
    pub(crate) processor: u64,
    /// Resident memory, KiB.
    pub(crate) memory: u64,
}

impl Used {
    /// The scheduler's own account of each thread: the ticks of `/proc/PID/stat` are hundredths of a second.
    pub(crate) fn by(process: u32) -> Result<Self> {
        let mut processor = 0;
        for task in fs::read_dir(format!("/proc/{process}/task"))? {
            let text = fs::read_to_string(task?.path().join("schedstat"))?;
            let first = text.split_whitespace().next();
            processor += first.context("no time in schedstat")?.parse::<u64>()?;
        }
        Ok(Self {
            processor,
            memory: memory(process)?,
        })
    }

    pub(crate) fn since(self, before: &Self) -> Self {
        Self {
            processor: self.processor.saturating_sub(before.processor),
            memory: self.memory,
        }
    }
}

/// Resident memory, KiB.
pub(crate) fn memory(process: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|text| text.split_whitespace().next()?.parse().ok())
        .context("no memory in /proc")
}
