//! The clock, medians and memory.

#![expect(clippy::disallowed_types, reason = "a benchmark reads the clock")]

use std::time::{Duration as Elapsed, Instant};

/// At least so many runs, whatever they take.
const RUNS_MIN: usize = 3;
/// At most so many.
const RUNS_MAX: usize = 15;
/// No further run is begun after this long, so that a slow case does not hold up the rest.
const ENOUGH: Elapsed = Elapsed::from_secs(2);

/// What something took and what came of it.
pub(crate) fn timed<T>(what: impl FnOnce() -> T) -> (Elapsed, T) {
    let start = Instant::now();
    let result = what();
    (start.elapsed(), result)
}

/// Several runs: many of what is quick, few of what is slow.
pub(crate) fn several<T>(mut run: impl FnMut() -> T) -> Vec<T> {
    let start = Instant::now();
    let mut results = Vec::new();
    while results.len() < RUNS_MIN || (results.len() < RUNS_MAX && start.elapsed() < ENOUGH) {
        results.push(run());
    }
    results
}

/// The time that so many of a hundred did not exceed. Nothing was not measured: `times` is never empty.
pub(crate) fn percentile(mut times: Vec<Elapsed>, percent: usize) -> Elapsed {
    times.sort_unstable();
    times[(times.len() - 1) * percent / 100]
}

/// The time in the middle.
pub(crate) fn median(times: impl IntoIterator<Item = Elapsed>) -> Elapsed {
    percentile(times.into_iter().collect(), 50)
}

/// The most memory that this process has held so far, in bytes; `None` where the system does not say.
#[expect(clippy::disallowed_methods, reason = "where Linux says it")]
pub(crate) fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1_024)
}
