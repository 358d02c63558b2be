//! When to decide what: the batch window, the disruption round, and moves that wait for their second look.
//!
//! A state machine without IO. Whoever drives it hands in events and the time, asks when it wants to be woken,
//! and carries out the plans it gives.

use whittle_core::event::Event;
use whittle_core::model::time::{Duration, Timestamp};
use whittle_core::plan::Plan;
use whittle_core::state::{ClusterState, Snapshot};

/// How the loop behaves. The defaults are Karpenter's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// A batch of waiting pods is closed when no new one has come for this long.
    pub batch_idle: Duration,
    /// A batch of waiting pods is closed at the latest after this long.
    pub batch_max: Duration,
    /// How often nodes are looked at for disruption.
    pub disruption_interval: Duration,
    /// How long a consolidation waits before it is looked at again and carried out.
    pub validation_delay: Duration,
    /// The seed from which names are made.
    pub seed: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            batch_idle: Duration::from_secs(1),
            batch_max: Duration::from_secs(10),
            disruption_interval: Duration::from_secs(10),
            validation_delay: Duration::from_secs(15),
            seed: 0,
        }
    }
}

/// The loop's state.
#[derive(Clone, Debug)]
pub struct Controller {
    settings: Settings,
    state: ClusterState,
}

impl Controller {
    /// A loop that knows nothing yet.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self { settings, state: ClusterState::default() }
    }

    /// What is known now.
    #[must_use]
    pub fn snapshot(&self) -> &Snapshot {
        self.state.snapshot()
    }

    /// Takes an event in.
    pub fn handle(&mut self, event: Event, now: Timestamp) {
        self.state.apply(event, now);
    }

    /// When `decide` wants to be called next, if nothing else happens. `None`: not before the next event.
    #[must_use]
    pub fn next_wake(&self) -> Option<Timestamp> {
        self.snapshot().is_anything_waiting().then_some(Timestamp::EPOCH + self.settings.batch_idle)
    }

    /// Decides whatever is due at `now`.
    pub fn decide(&mut self, now: Timestamp) -> Plan {
        self.state.expire(now);
        Plan::default()
    }
}
