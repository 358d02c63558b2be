//! NodePools, DaemonSets, PodDisruptionBudgets and volumes.

use std::collections::BTreeMap;

use whittle_core::event::Event;
use whittle_core::model::labels;
use whittle_core::model::node::VolumeLimits;
use whittle_core::model::node_pool::{
    Budget, BudgetNodes, ConsolidationPolicy, DaemonSet, Disruption, DisruptionReason, NodePool,
    PodDisruptionBudget, VolumeBinding, VolumeClaim,
};
use whittle_core::model::requirement::{Operator, Requirement, Taint, TaintEffect};

use super::pods::{Pods, app};
use super::{Known, secs};

/// A NodePool that takes everything and consolidates after 30 quiet seconds, as many nodes at once as it likes.
pub(crate) fn pool(name: &str) -> NodePool {
    NodePool {
        name: name.into(),
        weight: 0,
        node_class: "default".into(),
        requirements: Vec::new(),
        labels: BTreeMap::new(),
        annotations: BTreeMap::new(),
        taints: Vec::new(),
        startup_taints: Vec::new(),
        limits: BTreeMap::new(),
        disruption: Disruption {
            consolidate_after: Some(secs(30)),
            policy: ConsolidationPolicy::WhenEmptyOrUnderutilized,
            budgets: Vec::new(),
        },
        expire_after: None,
        termination_grace_period: None,
        replicas: None,
        ready: true,
        deleting: false,
    }
}

/// Adjectives for NodePools.
pub(crate) trait PoolWords: Sized {
    fn change(self, change: impl FnOnce(&mut NodePool)) -> Self;

    fn weight(self, weight: u32) -> Self {
        self.change(|pool| pool.weight = weight)
    }

    fn needs(self, key: &str, operator: Operator, values: &[&str]) -> Self {
        let requirement = Requirement::new(key, operator, values.iter().copied());
        self.change(|pool| pool.requirements.push(requirement))
    }

    fn only(self, key: &str, values: &[&str]) -> Self {
        self.needs(key, Operator::In, values)
    }

    fn on_demand(self) -> Self {
        self.only(labels::CAPACITY_TYPE, &["on-demand"])
    }

    /// At least so many distinct values of a label must remain among a launch's instance types.
    fn min_values(self, key: &str, min_values: u32) -> Self {
        let exists = Requirement::new::<String>(key, Operator::Exists, []);
        self.change(|pool| pool.requirements.push(Requirement { min_values: Some(min_values), ..exists }))
    }

    fn label(self, key: &str, value: &str) -> Self {
        self.change(|pool| drop(pool.labels.insert(key.into(), value.into())))
    }

    fn taint(self, key: &str) -> Self {
        self.change(|pool| pool.taints.push(taint(key)))
    }

    fn startup_taint(self, key: &str) -> Self {
        self.change(|pool| pool.startup_taints.push(taint(key)))
    }

    fn limit(self, resource: &str, amount: u64) -> Self {
        self.change(|pool| pool.limits.extend([(resource.to_owned(), amount)]))
    }

    fn budget(self, nodes: BudgetNodes, reasons: &[DisruptionReason]) -> Self {
        let budget = Budget { nodes, reasons: reasons.to_vec(), window: None };
        self.change(|pool| pool.disruption.budgets.push(budget))
    }
}

impl PoolWords for NodePool {
    fn change(mut self, change: impl FnOnce(&mut NodePool)) -> Self {
        change(&mut self);
        self
    }
}

impl Known for NodePool {
    fn events(self) -> Vec<Event> {
        vec![Event::NodePool(Box::new(self))]
    }
}

/// A `NoSchedule` taint without a value.
pub(crate) fn taint(key: &str) -> Taint {
    Taint { key: key.into(), value: String::new(), effect: TaintEffect::NoSchedule }
}

/// A DaemonSet whose pods look like these.
pub(crate) fn daemon_set(pods: Pods) -> DaemonSet {
    let pods = pods.daemon();
    DaemonSet { namespace: pods.spec.namespace.clone(), name: pods.app.clone(), spec: pods.spec.into() }
}

impl Known for DaemonSet {
    fn events(self) -> Vec<Event> {
        vec![Event::DaemonSet(self)]
    }
}

/// A PodDisruptionBudget over the pods of an app that lets so many go.
pub(crate) fn pdb(name: &str, app_name: &str, disruptions_allowed: u32) -> PodDisruptionBudget {
    PodDisruptionBudget {
        namespace: "shop".into(),
        name: name.into(),
        selector: Some(app(app_name)),
        disruptions_allowed,
        always_allow_unready: false,
        blocks_always: false,
    }
}

impl Known for PodDisruptionBudget {
    fn events(self) -> Vec<Event> {
        vec![Event::PodDisruptionBudget(self)]
    }
}

/// A volume that is, or can be made, in these zones.
pub(crate) fn volume(name: &str, zones: &[&str]) -> VolumeClaim {
    let alternatives = zones.iter().map(|zone| vec![Requirement::equals(labels::ZONE, *zone)]).collect();
    VolumeClaim {
        namespace: "shop".into(),
        name: name.into(),
        volume: None,
        binding: VolumeBinding::Nodes(alternatives),
        driver: None,
    }
}

/// A volume that can be anywhere and that the driver `ebs` attaches.
pub(crate) fn attached_volume(name: &str) -> VolumeClaim {
    VolumeClaim { driver: Some("ebs".into()), ..volume(name, &[]) }
}

/// The Node of `node(name)` can attach so many volumes of the driver `ebs`.
pub(crate) fn volume_limit(node: &str, volumes: u32) -> Event {
    let drivers = BTreeMap::from([("ebs".to_owned(), volumes)]);
    Event::VolumeLimits(VolumeLimits { node: format!("node-{node}"), drivers })
}

impl Known for VolumeClaim {
    fn events(self) -> Vec<Event> {
        vec![Event::VolumeClaim(self)]
    }
}
