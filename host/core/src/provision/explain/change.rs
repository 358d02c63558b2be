//! The smallest single change that would place a pod, found by trying.
//!
//! Each change is made to a copy of the pod's demand or of a NodePool's template, and the copy is put through the
//! function that refused (`Problem::open`), beside everything that the decision has placed. What opens would do. A
//! change is tried for one pod of a group: the others may need more of the same. Nodes that are there are not tried,
//! because what room they have changes by the minute, nor is what belongs to other pods (their anti-affinity) or to
//! nobody (an EC2NodeClass that is missing, what EC2 has refused).
//!
//! The smallest is the first that works of this list, which goes by what a change costs and whom it touches:
//!
//! | | change | why there |
//! |---|---|---|
//! | 1 | raise a limit | the NodePool takes the pod as it is; nothing that runs or waits is touched |
//! | 2 | add a toleration | one line in the pod, which goes on asking for all that it asks for |
//! | 3 | one more value for a label that the pod asks for | the pod still gets what it asked for where that is to be had |
//! | 4 | one more value for a requirement of the NodePool | its nodes stay as they are, but other pods may get such nodes |
//! | 5 | lower a minimum of distinct values | its nodes stay, but EC2 has less to choose from for all of its pods |
//! | 6 | a label of the NodePool | nodes that are there drift, and the label promises something about each |
//! | 7 | a spread or (anti-)affinity becomes a preference | the pod may be less available than its author wanted |
//! | 8 | the pod no longer asks for a label | it may run where its author did not want it |
//! | 9 | lower a request | it makes do with less than it says it needs |
//!
//! Among equals NodePools come in the order in which they are tried for pods, labels and resources by name.

use crate::provision::draft::{Draft, Refused};
use crate::provision::explain::Explainer;
use crate::provision::problem::Demand;
use crate::why::change::Remedy;

/// The most groups of a decision for which changes are tried: the first of those without a place, which are the
/// largest. A cluster with more kinds of pods without a place has one cause for many of them.
const GROUPS_MAX: usize = 16;

/// The most tries for a group. Each asks one NodePool once: some microseconds.
const TRIES_MAX: usize = 256;

/// What a NodePool that is made anew counts for: its labels and DaemonSets are looked at again.
const TRIES_FOR_NODE_POOL: usize = 4;

/// The most spreads of a decision that are counted anew, because they count only nodes that the changed pod may run on.
/// Each looks at every node.
const RECOUNTS_MAX: usize = 32;

/// What may still be tried.
#[derive(Debug)]
pub(super) struct Budget {
    groups: usize,
    tries: usize,
    pub(super) recounts: usize,
    /// Whether something was not tried for this group that might have worked.
    is_short: bool,
}

impl Default for Budget {
    fn default() -> Self {
        Self { groups: GROUPS_MAX, tries: 0, recounts: RECOUNTS_MAX, is_short: false }
    }
}

impl Budget {
    /// Takes so many tries, if there are any left.
    fn take(&mut self, tries: usize) -> bool {
        let is_left = self.tries > 0;
        self.tries = self.tries.saturating_sub(tries);
        self.is_short |= !is_left;
        is_left
    }

    /// Takes the count of a spread, if there is one left.
    pub(super) fn take_recount(&mut self) -> bool {
        let is_left = self.recounts > 0;
        self.recounts = self.recounts.saturating_sub(1);
        self.is_short |= !is_left;
        is_left
    }

    /// A NodePool is made anew.
    pub(super) fn take_node_pool(&mut self) -> bool {
        self.take(TRIES_FOR_NODE_POOL)
    }
}

/// A NodePool by its template, and why it refuses.
pub(super) type Refusal = (usize, Refused);

impl Explainer<'_, '_, '_> {
    /// The smallest change that would place a pod of a group.
    pub(super) fn remedy(&mut self, demand: &Demand, refusals: &[Refusal]) -> Remedy {
        // Who waits for a capacity reservation has to wait for no longer than until the next decision.
        let waits = refusals.iter().any(|(_, refused)| *refused == Refused::Reserved);
        if refusals.is_empty() || waits || self.budget.groups == 0 {
            return Remedy::NotTried;
        }
        self.budget.groups -= 1;
        (self.budget.tries, self.budget.is_short) = (TRIES_MAX, false);
        // The smallest first: what costs the operator least and touches fewest others.
        let found = None
            .or_else(|| self.raise_limit(demand, refusals))
            .or_else(|| self.tolerate(demand, refusals))
            .or_else(|| self.widen(demand, refusals))
            .or_else(|| self.widen_node_pool(demand, refusals))
            .or_else(|| self.lower_min_values(demand, refusals))
            .or_else(|| self.label(demand, refusals))
            .or_else(|| self.relax(demand, refusals))
            .or_else(|| self.drop_requirement(demand, refusals))
            .or_else(|| self.lower_request(demand, refusals));
        match found {
            Some(change) => Remedy::Change(change),
            None if self.budget.is_short => Remedy::NotTried,
            None => Remedy::NoSingleChange,
        }
    }

    /// What a new node of a NodePool for such a pod would be.
    pub(super) fn opened(&mut self, at: usize, demand: &Demand) -> Option<Draft> {
        self.budget.take(1).then(|| self.schedule.problem.open(at, demand, self.place).ok())?
    }

    /// The name of the first NodePool that would have a new node for such a pod, of those that are not tainted against it.
    pub(super) fn first_opened(&mut self, demand: &Demand, refusals: &[Refusal]) -> Option<String> {
        let at = untainted(refusals).find(|at| self.opened(*at, demand).is_some())?;
        Some(self.name(at))
    }

    pub(super) fn name(&self, at: usize) -> String {
        self.schedule.problem.templates[at].pool.name.clone()
    }
}

/// The NodePools that refuse for something else than a taint, which is what is asked first.
pub(super) fn untainted(refusals: &[Refusal]) -> impl Iterator<Item = usize> + '_ {
    refusals.iter().filter(|(_, refused)| *refused != Refused::Taint).map(|(at, _)| *at)
}
