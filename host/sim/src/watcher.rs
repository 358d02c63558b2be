//! Whoever looks on while a simulation goes on: told how far it is, and asked how long time may wait.
//!
//! A simulation without a watcher, or with one that never interrupts, has the same bytes however fast it runs.

use whittle_core::model::time::Duration;

use crate::run::Progress;

/// Something outside the simulation that the loop has to know of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interruption {
    /// When, in virtual time since the start.
    pub elapsed: Duration,
    /// What, in words, for the timeline.
    pub text: String,
}

/// Whoever looks on.
pub trait Watcher {
    /// Hears how far the simulation is, after each step.
    fn progress(&mut self, progress: Progress);

    /// Called before time goes on to `next`, counted from the start: returns when it may. With an interruption time
    /// goes to the moment of that only, and the loop looks at everything anew.
    fn wait(&mut self, next: Duration) -> Option<Interruption> {
        let _ = next;
        None
    }
}

/// Hears how far the simulation is and lets it run.
pub(crate) struct Onlooker<'a>(pub(crate) &'a mut dyn FnMut(Progress));

impl Watcher for Onlooker<'_> {
    fn progress(&mut self, progress: Progress) {
        (self.0)(progress);
    }
}
