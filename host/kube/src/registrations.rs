//! Whether the nodes of a NodePool join: what the condition `NodeRegistrationHealthy` says.

use std::collections::{BTreeMap, VecDeque};

use whittle_control::execute::Effect;
use whittle_core::plan::{Action, DeleteReason};
use whittle_core::state::Snapshot;

/// So many of the last attempts are looked at (Karpenter).
const REMEMBERED: usize = 4;
/// So many failures among them are too many (Karpenter: half).
const FAILURES: usize = 2;

/// The version of a NodePool and of its EC2NodeClass: what was seen of earlier ones says nothing.
pub(crate) type Versions = (Option<i64>, Option<i64>);

/// How the last nodes of each NodePool came out. It is lost with the process, but for what the condition says.
#[derive(Debug, Default)]
pub(crate) struct Registrations {
    pools: BTreeMap<String, Pool>,
}

#[derive(Debug)]
struct Pool {
    versions: Versions,
    joined: VecDeque<bool>,
}

impl Registrations {
    /// Takes in what came of an action.
    pub(crate) fn note(&mut self, action: &Action, effect: &Effect, snapshot: &Snapshot) {
        let (claim, joined) = match action {
            Action::Register(one) => (&one.claim, true),
            Action::Delete(delete) if delete.reason == DeleteReason::NeverJoined => (&delete.claim, false),
            Action::Launch(_)
            | Action::Nominate(_)
            | Action::Initialize(_)
            | Action::Cordon(_)
            | Action::Uncordon(_)
            | Action::Delete(_)
            | Action::Evict(_)
            | Action::Terminate(_)
            | Action::Finalize(_) => return,
        };
        let pool = snapshot.claims.get(claim).map(|claim| &claim.node_pool);
        if let Some(pool) = pool.and_then(|pool| self.pools.get_mut(pool)).filter(|_| *effect == Effect::Done)
        {
            pool.joined.push_back(joined);
            if pool.joined.len() > REMEMBERED {
                pool.joined.pop_front();
            }
        }
    }

    /// Whether the nodes of a NodePool join; `None` when nothing is known. `said` is what its condition says, for a process
    /// that has seen nothing yet.
    pub(crate) fn are_healthy(&mut self, pool: &str, versions: Versions, said: Option<bool>) -> Option<bool> {
        let known = self.pools.entry(pool.to_owned()).or_insert_with(|| {
            let joined = match said {
                Some(true) => VecDeque::from([true]),
                Some(false) => VecDeque::from([false; FAILURES]),
                None => VecDeque::new(),
            };
            Pool { versions, joined }
        });
        if known.versions != versions {
            *known = Pool { versions, joined: VecDeque::new() };
        }
        let failures = known.joined.iter().filter(|joined| !**joined).count();
        (!known.joined.is_empty()).then_some(failures < FAILURES).filter(|healthy| {
            // One failure alone says nothing yet.
            !healthy || failures < known.joined.len()
        })
    }

    /// A NodePool is gone.
    pub(crate) fn keep_only(&mut self, is_there: impl Fn(&str) -> bool) {
        self.pools.retain(|name, _| is_there(name));
    }
}

#[cfg(test)]
mod tests {
    use whittle_core::event::Event;
    use whittle_core::plan::{Delete, NodeRef};
    use whittle_core::settings::Settings;
    use whittle_core::state::ClusterState;

    use super::*;

    const FIRST: Versions = (Some(1), Some(1));

    fn registrations(outcomes: &[bool]) -> Registrations {
        let claim = serde_json::json!({
            "metadata": { "name": "a", "labels": { "karpenter.sh/nodepool": "general" } },
            "spec": {
                "requirements": [],
                "nodeClassRef": { "group": "karpenter.k8s.aws", "kind": "EC2NodeClass", "name": "default" },
            },
        });
        let claim: whittle_api::node_claim::NodeClaim = serde_json::from_value(claim).unwrap();
        let claim = whittle_api::convert::node_claim::node_claim(&claim).unwrap();
        let mut state = ClusterState::new(Settings::default());
        state.apply(Event::NodeClaim(Box::new(claim)), whittle_core::model::time::Timestamp::EPOCH);
        let mut registrations = Registrations::default();
        assert_eq!(registrations.are_healthy("general", FIRST, None), None);
        for joined in outcomes {
            let action = if *joined {
                Action::Register(NodeRef { claim: "a".into(), node: Some("n".into()) })
            } else {
                Action::Delete(Delete { claim: "a".into(), reason: DeleteReason::NeverJoined })
            };
            registrations.note(&action, &Effect::Done, state.snapshot());
        }
        registrations
    }

    #[test]
    fn two_failures_among_the_last_four_are_too_many() {
        for (outcomes, healthy) in [
            (&[true][..], Some(true)),
            (&[false], None),
            (&[false, false], Some(false)),
            (&[true, false], Some(true)),
            (&[false, true, false], Some(false)),
            (&[false, false, true, true, true], Some(true)),
        ] {
            let found = registrations(outcomes).are_healthy("general", FIRST, None);
            assert_eq!(found, healthy, "{outcomes:?}");
        }
    }

    #[test]
    fn another_version_of_the_pool_or_its_class_starts_anew_and_a_new_process_with_what_is_said() {
        for versions in [(Some(2), Some(1)), (Some(1), Some(2))] {
            let mut seen = registrations(&[false, false]);
            assert_eq!(seen.are_healthy("general", versions, Some(false)), None);
        }
        for said in [None, Some(true), Some(false)] {
            assert_eq!(Registrations::default().are_healthy("general", FIRST, said), said);
        }
    }
}
