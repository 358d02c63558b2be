//! Why a consultation came to nothing. Told apart by what an author has to look for.

use std::fmt;

use wasmtime::{Trap, WasmBacktrace};
use whittle_core::advice::Wrong;

/// Why a consultation came to nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It used up its fuel.
    Fuel {
        /// How much it had.
        fuel: u64,
        /// Where it was.
        backtrace: Vec<String>,
    },
    /// It took too long on the clock.
    Deadline {
        /// How long it had, in milliseconds.
        wall_millis: u64,
        /// Where it was.
        backtrace: Vec<String>,
    },
    /// It stopped by itself: a panic, or memory it may not touch or have.
    Trap {
        /// What it said, or what the engine says.
        message: String,
        /// Where it was.
        backtrace: Vec<String>,
    },
    /// It answered, and the answer will not do.
    Answer(Wrong),
    /// It complained about its settings, which it had accepted when it was loaded.
    Settings(String),
    /// It was not asked, because it failed too often lately.
    Open {
        /// What went wrong last.
        last: String,
    },
}

/// Frames of a backtrace that are worth showing: below them is what the SDK generates.
const FRAMES_MAX: usize = 8;

impl Fault {
    /// The fault behind an error of the engine. `last_words` is the last line of the guest's log that says why it
    /// was about to fail.
    pub(crate) fn of(
        error: &wasmtime::Error,
        limits: crate::limits::Limits,
        last_words: Option<&str>,
    ) -> Self {
        let backtrace = backtrace(error);
        match error.downcast_ref::<Trap>() {
            Some(Trap::OutOfFuel) => Self::Fuel { fuel: limits.fuel, backtrace },
            Some(Trap::Interrupt) => {
                let wall_millis = u64::try_from(limits.wall.as_millis()).unwrap_or(u64::MAX);
                Self::Deadline { wall_millis, backtrace }
            }
            trap => {
                let engine = trap.map_or_else(|| error.root_cause().to_string(), ToString::to_string);
                let message = last_words.map_or(engine, str::to_owned);
                Self::Trap { message, backtrace }
            }
        }
    }

    /// Where the guest was, the innermost frame first; empty where that says nothing.
    #[must_use]
    pub fn backtrace(&self) -> &[String] {
        match self {
            Self::Fuel { backtrace, .. }
            | Self::Deadline { backtrace, .. }
            | Self::Trap { backtrace, .. } => backtrace,
            Self::Answer(_) | Self::Settings(_) | Self::Open { .. } => &[],
        }
    }
}

fn backtrace(error: &wasmtime::Error) -> Vec<String> {
    let Some(backtrace) = error.downcast_ref::<WasmBacktrace>() else { return Vec::new() };
    let frames = backtrace.frames().iter();
    let names = frames.map(|frame| match frame.func_name() {
        // Without the hash, which says nothing to a reader and is another in each build.
        Some(name) => format!("{:#}", rustc_demangle::demangle(name)),
        None => format!("function {}", frame.func_index()),
    });
    // How a panic is reported says nothing about where it came from.
    names.filter(|name| !is_noise(name)).take(FRAMES_MAX).collect()
}

fn is_noise(name: &str) -> bool {
    let noise =
        ["core::panicking::", "std::panicking::", "std::sys::", "__rustc", "rust_panic", "rust_begin_unwind"];
    noise.iter().any(|part| name.contains(part)) || name == "abort"
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fuel { fuel, .. } => write!(f, "used up its fuel of {fuel}")?,
            Self::Deadline { wall_millis, .. } => write!(f, "took longer than {wall_millis} ms")?,
            Self::Trap { message, .. } => write!(f, "stopped: {message}")?,
            Self::Answer(wrong) => write!(f, "answered wrongly: {wrong}")?,
            Self::Settings(complaints) => write!(f, "does not accept its settings any more: {complaints}")?,
            Self::Open { last } => {
                write!(f, "is not asked for a while, because it failed too often: {last}")?
            }
        }
        match self.backtrace().first() {
            Some(place) => write!(f, " (in {place})"),
            None => Ok(()),
        }
    }
}
