//! What a loop would decide next if nothing came in between: for whoever looks and changes nothing.

use whittle_core::model::time::{Duration, Timestamp};
use whittle_core::plan::{Action, Heard};
use whittle_core::why::{MoveBlocked, Unplaced};

use crate::controller::Controller;

/// A batch, a round and the second look at it take a handful of decisions; more than this is none.
const DECISIONS_MAX: usize = 64;

/// By then a batch is closed, a round made, and its moves looked at a second time.
const HORIZON: Duration = Duration::from_secs(30);

/// What would be decided.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Preview {
    /// What would be done, and when.
    pub actions: Vec<(Timestamp, Action)>,
    /// The pods that would have no place at the end.
    pub unplaced: Vec<Unplaced>,
    /// The nodes that would stay though they are quiet, and what keeps them.
    pub blocked: Vec<MoveBlocked>,
    /// What policies would say that is not done anyway.
    pub heard: Vec<Heard>,
}

/// What a loop would decide from `now` on. It is asked for a copy of itself: nothing is carried out, so what is decided
/// later counts on what was decided before and not on what came of it.
#[must_use]
pub fn preview(controller: &Controller, now: Timestamp) -> Preview {
    let mut controller = controller.clone();
    let mut preview = Preview::default();
    let mut at = now;
    for _ in 0..DECISIONS_MAX {
        let Some(wake) = controller.next_wake().filter(|wake| *wake <= now + HORIZON) else { break };
        at = at.max(wake);
        let plan = controller.decide(at);
        for action in plan.actions {
            // What is due and not carried out is due again.
            if !preview.actions.iter().any(|(_, known)| *known == action) {
                preview.actions.push((at, action));
            }
        }
        preview.heard.extend(plan.report.heard);
        // The same moment is not decided about twice: what was due then has been said.
        at = at + Duration::from_millis(1);
    }
    preview.unplaced = controller.unplaced().to_vec();
    preview.blocked = controller.blocked().to_vec();
    preview
}
