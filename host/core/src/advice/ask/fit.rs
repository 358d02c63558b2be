//! Which NodePools may host a pod, as far as a question has to know: by taints, and by labels that the NodePool fixes.
//!
//! Deliberately less than the scheduler asks. A NodePool that is named here and turns out not to fit costs nothing: the
//! pod gets no node there, whatever anybody advised.

use std::collections::BTreeSet;

use super::is_open;
use crate::model::instance_type::CapacityType;
use crate::model::labels;
use crate::model::node_pool::NodePool;
use crate::model::pod::PodSpec;
use crate::model::requirement::{Operator, Requirement, untolerated};
use crate::state::Snapshot;

/// The NodePools that can have new nodes.
pub(super) struct Pools<'a> {
    /// The heaviest first, then by name.
    pools: Vec<(&'a NodePool, BTreeSet<CapacityType>)>,
}

/// A NodePool that may host a pod.
pub(super) struct Fits<'a> {
    pub(super) pool: &'a NodePool,
    /// The capacity types that the NodePool and the pod both allow, and that are for sale at all.
    pub(super) capacity_types: BTreeSet<CapacityType>,
}

impl<'a> Pools<'a> {
    pub(super) fn new(snapshot: &'a Snapshot) -> Self {
        let mut pools: Vec<_> = snapshot
            .node_pools
            .values()
            .filter(|pool| is_open(snapshot, pool))
            .map(|pool| (pool, for_sale(snapshot, pool)))
            .collect();
        pools.sort_by(|(left, _), (right, _)| (right.weight, &left.name).cmp(&(left.weight, &right.name)));
        Self { pools }
    }

    pub(super) fn fitting(&self, spec: &PodSpec) -> Vec<Fits<'a>> {
        let mut fitting = Vec::new();
        for (pool, for_sale) in &self.pools {
            if untolerated(&pool.taints, &spec.tolerations).is_some() {
                continue;
            }
            let mut capacity_types = BTreeSet::new();
            // A pod without affinity has one alternative that asks for nothing.
            let none = [Vec::new()];
            let alternatives =
                if spec.node_affinity.is_empty() { &none[..] } else { spec.node_affinity.as_slice() };
            for alternative in alternatives.iter().filter(|alternative| may_be(pool, alternative)) {
                capacity_types.extend(
                    for_sale.iter().filter(|one| allows(alternative, labels::CAPACITY_TYPE, one.label())),
                );
            }
            if !capacity_types.is_empty() {
                fitting.push(Fits { pool, capacity_types });
            }
        }
        fitting
    }
}

fn for_sale(snapshot: &Snapshot, pool: &NodePool) -> BTreeSet<CapacityType> {
    let class = snapshot.node_classes.get(&pool.node_class);
    let types = class.into_iter().flat_map(|class| class.instance_types.iter());
    let sold: BTreeSet<_> = types.flat_map(|it| it.offerings.iter().map(|one| one.capacity_type)).collect();
    sold.into_iter().filter(|one| allows(&pool.requirements, labels::CAPACITY_TYPE, one.label())).collect()
}

/// Whether a node of the NodePool may fulfil all of these, judged by the labels that the NodePool fixes.
fn may_be(pool: &NodePool, asked: &[Requirement]) -> bool {
    asked.iter().all(|requirement| {
        let key = labels::normalized(&requirement.key);
        if key == labels::NODE_POOL {
            return holds(requirement, Some(&pool.name));
        }
        if let Some(value) = pool.labels.get(key) {
            return holds(requirement, Some(value));
        }
        let listed = pool
            .requirements
            .iter()
            .find(|one| labels::normalized(&one.key) == key && one.operator == Operator::In);
        match listed {
            Some(listed) => listed.values.iter().any(|value| holds(requirement, Some(value))),
            // A label that nobody gives is absent; one that is well known has some value.
            None if labels::is_well_known(key) => true,
            None => {
                holds(requirement, None) || pool.requirements.iter().any(|one| one.key == requirement.key)
            }
        }
    })
}

/// Whether requirements on one label allow a value.
pub(super) fn allows(requirements: &[Requirement], key: &str, value: &str) -> bool {
    requirements.iter().filter(|one| labels::normalized(&one.key) == key).all(|one| holds(one, Some(value)))
}

/// Whether a label with this value, or its absence, is what a requirement asks for.
pub(super) fn holds(requirement: &Requirement, value: Option<&str>) -> bool {
    let bound = requirement.values.first().and_then(|bound| bound.parse::<i64>().ok());
    let compared = value.and_then(|value| value.parse::<i64>().ok()).zip(bound);
    let is_listed = || value.is_some_and(|value| requirement.values.iter().any(|one| one == value));
    match requirement.operator {
        Operator::In => is_listed(),
        Operator::NotIn => !is_listed(),
        Operator::Exists => value.is_some(),
        Operator::DoesNotExist => value.is_none(),
        Operator::Gt => compared.is_some_and(|(value, bound)| value > bound),
        Operator::Lt => compared.is_some_and(|(value, bound)| value < bound),
        Operator::Gte => compared.is_some_and(|(value, bound)| value >= bound),
        Operator::Lte => compared.is_some_and(|(value, bound)| value <= bound),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_requirement_compares_as_kubernetes_does() {
        let holds = |operator, values: &[&str], value| {
            super::holds(&Requirement::new("k", operator, values.iter().copied()), value)
        };
        assert!(holds(Operator::In, &["a", "b"], Some("b")) && !holds(Operator::In, &["a"], None));
        assert!(holds(Operator::NotIn, &["a"], None) && !holds(Operator::NotIn, &["a"], Some("a")));
        assert!(holds(Operator::Exists, &[], Some("")) && holds(Operator::DoesNotExist, &[], None));
        assert!(holds(Operator::Gt, &["5"], Some("6")) && !holds(Operator::Gt, &["5"], Some("5")));
        assert!(holds(Operator::Lte, &["5"], Some("5")) && !holds(Operator::Lt, &["5"], Some("x")));
    }
}
