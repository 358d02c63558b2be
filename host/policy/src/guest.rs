//! What the host keeps for one guest while it runs: its limits and its log.

use wasmtime::{StoreLimits, StoreLimitsBuilder};

use crate::limits::{LOG_BYTES_MAX, Limits, MODULES_MAX, TABLE_ELEMENTS_MAX};
use crate::v0_1::bindings::whittle::policy::{log, types};

/// The host's side of one guest.
#[derive(Debug)]
pub(crate) struct Guest {
    pub(crate) limits: StoreLimits,
    pub(crate) log: Log,
}

impl Guest {
    pub(crate) fn new(limits: Limits) -> Self {
        let limits = StoreLimitsBuilder::new()
            .memory_size(limits.memory_bytes)
            .table_elements(TABLE_ELEMENTS_MAX)
            .memories(1)
            .tables(4)
            .instances(usize::try_from(MODULES_MAX).unwrap_or(usize::MAX))
            .trap_on_grow_failure(true)
            .build();
        Self { limits, log: Log::default() }
    }
}

/// What a guest wrote into the log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Log {
    /// The lines, in order.
    pub lines: Vec<Line>,
    /// How many lines were left out because there were too many.
    pub left_out: u64,
    bytes: usize,
}

/// A line of a guest's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// How much it matters.
    pub level: Level,
    /// What it says. Control characters are spaces: a line is one line.
    pub text: String,
}

/// How much a line of a log matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// For whoever writes the policy.
    Debug,
    /// For whoever wonders later.
    Info,
    /// For whoever operates the cluster.
    Warn,
    /// The policy is about to fail.
    Error,
}

impl Log {
    fn write(&mut self, level: Level, message: &str) {
        // An empty line costs something too.
        let bytes = message.len().max(16);
        if self.bytes + bytes > LOG_BYTES_MAX {
            self.left_out += 1;
            return;
        }
        self.bytes += bytes;
        let clean = |character: char| if character.is_control() { ' ' } else { character };
        self.lines.push(Line { level, text: message.chars().map(clean).collect() });
    }

    /// The last line that says why the guest was about to fail: a panic's message.
    pub(crate) fn last_words(&self) -> Option<&str> {
        self.lines.iter().rev().find(|line| line.level == Level::Error).map(|line| line.text.as_str())
    }
}

impl types::Host for Guest {}

impl log::Host for Guest {
    fn write(&mut self, level: log::Level, message: String) {
        let level = match level {
            log::Level::Debug => Level::Debug,
            log::Level::Info => Level::Info,
            log::Level::Warn => Level::Warn,
            log::Level::Error => Level::Error,
        };
        self.log.write(level, &message);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_cut_and_counted() {
        let mut log = Log::default();
        (0..10_000).for_each(|_| log.write(Level::Info, "all work and no play"));
        let bytes: usize = log.lines.iter().map(|line| line.text.len()).sum();
        assert!(bytes <= LOG_BYTES_MAX);
        assert_eq!(log.lines.len() as u64 + log.left_out, 10_000);
    }

    #[test]
    fn a_line_stays_one_line() {
        let mut log = Log::default();
        log.write(Level::Error, "first\nERROR forged\u{1b}[31m");
        assert_eq!(log.last_words(), Some("first ERROR forged [31m"));
    }
}
