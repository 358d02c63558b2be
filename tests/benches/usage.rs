//! What a process has used.

use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result};

/// In which the kernel counts CPU time for programs, on every architecture that we build for.
const TICKS_PER_SECOND: u64 = 100;

/// CPU time of all threads of a process.
pub(crate) fn cpu(process: u32) -> Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
    // The name in parentheses may have anything in it; user and system time are the 12th and 13th word after it.
    let (_, rest) = stat.rsplit_once(") ").context("a line with a name in parentheses")?;
    let ticks: u64 = rest.split(' ').skip(11).take(2).filter_map(|number| number.parse::<u64>().ok()).sum();
    Ok(Duration::from_millis(ticks * 1_000 / TICKS_PER_SECOND))
}
