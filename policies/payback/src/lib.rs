//! Allows a move only if its saving pays for its disruption in time. What a pod's restart costs is a setting, because
//! nobody else knows it.

#![forbid(unsafe_code)]

use whittle_guest_sdk::prelude::*;

/// The settings are the policy.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Payback {
    /// The saving of so much time has to pay for the move.
    within: Span,
    /// What the restart of an ordinary pod costs. Pods of higher priority or deletion cost count for more.
    per_pod: Money,
    /// What the move of a node costs besides its pods: an image to pull, a cache to warm.
    #[serde(default)]
    per_node: Money,
}

/// What an ordinary pod counts for in the host's measure of disruption.
const ORDINARY: u64 = 1_000;

impl Policy for Payback {
    fn complaints(&self) -> Vec<Complaint> {
        match self.within.millis() {
            0 => vec![Complaint::new("within", "found 0s, expected some time")],
            _ => Vec::new(),
        }
    }
}

impl Payback {
    /// What a move costs, in millionths of a dollar.
    fn cost(&self, found: &Move) -> u64 {
        let pods =
            u128::from(self.per_pod.micros()) * u128::from(found.disruption_cost) / u128::from(ORDINARY);
        // A node that ends with its last pod has nothing to warm up elsewhere.
        let nodes =
            if found.pods_moved == 0 { 0 } else { u64::try_from(found.nodes.len()).unwrap_or(u64::MAX) };
        let nodes = self.per_node.micros().saturating_mul(nodes);
        u64::try_from(pods).unwrap_or(u64::MAX).saturating_add(nodes)
    }
}

impl Consolidation for Payback {
    fn judge(&self, _round: &Round<'_>, found: &Move) -> MoveVerdict {
        match found.reason {
            // Nothing is disturbed, or it is not about money.
            Reason::Empty | Reason::Drifted => return MoveVerdict::Allow,
            Reason::Underutilized => {}
        }
        let (saved, cost) = (integer::cost_over(found.saving, self.within.millis()), self.cost(found));
        if saved >= cost {
            return MoveVerdict::Allow;
        }
        MoveVerdict::deny(format!("saves {saved} millionths of a dollar in time, and costs {cost}"))
    }
}

export_policy!(Payback: Policy, Consolidation);

#[cfg(test)]
mod tests {
    use super::*;

    fn policy() -> Payback {
        // Four hours have to pay for half a cent for each pod.
        Payback {
            within: Span::from_secs(4 * 3_600),
            per_pod: Money::from_micros(5_000),
            per_node: Money::default(),
        }
    }

    fn is_allowed(policy: &Payback, found: &Move) -> bool {
        policy.judge(&Round::default(), found) == MoveVerdict::Allow
    }

    #[test]
    fn a_move_has_to_pay_for_its_pods_in_time() {
        // 10 pods cost 5 cents: 1.25 cents per hour pay for them in four.
        assert!(is_allowed(&policy(), &moving([0]).moving_pods(10).saving(12_500)));
        assert!(!is_allowed(&policy(), &moving([0]).moving_pods(10).saving(12_499)));
    }

    #[test]
    fn a_node_costs_something_too_when_pods_leave_it() {
        let policy = Payback { per_node: Money::from_micros(50_000), ..policy() };
        assert!(!is_allowed(&policy, &moving([0, 1]).moving_pods(10).saving(30_000)));
        assert!(is_allowed(&policy, &moving([0, 1]).moving_pods(10).saving(37_500)));
        assert!(is_allowed(&policy, &moving([0, 1]).moving_pods(0).saving(0)));
    }

    #[test]
    fn empty_nodes_and_drift_are_none_of_its_business() {
        for reason in [Reason::Empty, Reason::Drifted] {
            assert!(is_allowed(&policy(), &moving([0]).moving_pods(100).because(reason)));
        }
    }

    #[test]
    fn absurd_amounts_do_not_overflow() {
        let dear = Payback { within: Span::from_secs(1), per_pod: Money::from_micros(u64::MAX), ..policy() };
        let mut found = moving([0]).saving(u64::MAX);
        found.disruption_cost = u64::MAX;
        assert!(!is_allowed(&dear, &found));
    }
}
