//! Any small cluster: what is decided for it breaks no rule, and is decided the same way twice.

use arbitrary::{Arbitrary as _, Unstructured};
use whittle_core::check::check;
use whittle_core::model::time::Timestamp;
use whittle_core::plan::Plan;
use whittle_core::provision::problem::Cache;
use whittle_core::provision::{provision, provision_in_karpenter_order};
use whittle_core::state::Snapshot;

use super::cluster::World;

/// When it is decided: late enough for everything to have a past.
const NOW: Timestamp = Timestamp::from_millis(86_400_000);

/// What is wrong with the plans for the cluster that bytes stand for.
///
/// # Errors
///
/// A rule that a plan breaks, and two plans for one cluster that differ.
pub fn judge(data: &[u8]) -> Result<(), String> {
    let Ok(world) = World::arbitrary(&mut Unstructured::new(data)) else { return Ok(()) };
    let state = world.state(NOW);
    let ways: [(&str, Decide); 2] =
        [("provision", provision), ("provision_in_karpenter_order", provision_in_karpenter_order)];
    for (name, decide) in ways {
        let mut cache = Cache::default();
        let plan = decide(state.snapshot(), &mut cache, NOW, 7);
        if let Some(violation) = check(state.snapshot(), &plan, NOW).first() {
            return Err(format!("{name} breaks a rule: {violation}\n{world:#?}\n{plan:#?}"));
        }
        if plan != decide(state.snapshot(), &mut cache, NOW, 7) {
            return Err(format!("{name} decides differently the second time\n{world:#?}"));
        }
    }
    Ok(())
}

type Decide = fn(&Snapshot, &mut Cache, Timestamp, u64) -> Plan;
