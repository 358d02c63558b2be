//! Questions from a snapshot. Everything is in an order that does not depend on the order in which things became known.

mod fit;
pub mod nodes;
pub mod supplies;

use std::collections::{BTreeMap, BTreeSet};

use super::words::{Reads, Running, WaitingPods};
use crate::model::instance_type::CapacityType;
use crate::model::labels;
use crate::model::node::NodeClaim;
use crate::model::node_pool::NodePool;
use crate::model::pod::{Owner, PodSpec};
use crate::model::requirement::Operator;
use crate::model::time::Timestamp;
use crate::provision::collect_work;
use crate::state::Snapshot;

/// Waiting pods that are equal for scheduling, as they are asked about and by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// What is asked.
    pub words: WaitingPods,
    /// The uids of the pods, the oldest first.
    pub pods: Vec<String>,
}

/// A workload: namespace and owner.
type Workload<'a> = (&'a str, Option<&'a Owner>);

/// The pods that need a place at `now`, by group, without those in `besides`.
#[must_use]
pub fn waiting(snapshot: &Snapshot, now: Timestamp, reads: &Reads, besides: &BTreeSet<String>) -> Vec<Group> {
    let work = collect_work(snapshot, now);
    let running = running(snapshot);
    let pools = fit::Pools::new(snapshot);
    let mut groups = Vec::new();
    for (id, wanted) in &work.wanted {
        let group = snapshot.group(*id);
        let others = wanted.iter().filter(|pod| !besides.contains(&pod.uid));
        let mut pods: Vec<_> = others.map(|pod| (pod.created, pod.uid.clone())).collect();
        pods.sort();
        let Some((oldest, _)) = pods.first() else { continue };
        let spec = &*group.spec;
        let fitting = pools.fitting(spec);
        let capacity_types = CapacityType::ALL
            .into_iter()
            .filter(|one| fitting.iter().any(|fits| fits.capacity_types.contains(one)))
            .collect();
        let words = WaitingPods {
            namespace: spec.namespace.clone(),
            owner: spec.owner.clone(),
            labels: shown(&spec.labels, &reads.pod_labels),
            priority: spec.priority,
            requests: spec.requests.clone(),
            tolerations: spec.tolerations.clone(),
            pending: u32::try_from(pods.len()).unwrap_or(u32::MAX),
            waiting: now.since(*oldest),
            running: running.get(&workload(spec)).map(rows).unwrap_or_default(),
            capacity_types,
            node_pools: fitting.iter().map(|fits| fits.pool.name.clone()).collect(),
            do_not_disrupt: spec.do_not_disrupt.is_some(),
        };
        groups.push((group, Group { words, pods: pods.into_iter().map(|(_, uid)| uid).collect() }));
    }
    groups.sort_by(|(left, one), (right, other)| (left, &one.pods).cmp(&(right, &other.pods)));
    groups.into_iter().map(|(_, group)| group).collect()
}

/// The labels that are read.
fn shown(labels: &BTreeMap<String, String>, read: &BTreeSet<String>) -> BTreeMap<String, String> {
    let label = |key: &String| Some((key.clone(), labels.get(key)?.clone()));
    read.iter().filter_map(label).collect()
}

fn workload(spec: &PodSpec) -> Workload<'_> {
    (spec.namespace.as_str(), spec.owner.as_ref())
}

/// How many pods of each workload run, or are expected, by capacity type and zone.
fn running(snapshot: &Snapshot) -> BTreeMap<Workload<'_>, BTreeMap<(CapacityType, &str), u32>> {
    let mut sums: BTreeMap<Workload<'_>, BTreeMap<(CapacityType, &str), u32>> = BTreeMap::new();
    for claim in snapshot.claims_and_asked().filter(|claim| !snapshot.is_leaving(claim)) {
        let place = place_of(claim);
        if let Some(node) = snapshot.node_of_claim(claim) {
            for (group, pods) in snapshot.groups_on(&node.name) {
                let spec = &snapshot.group(group).spec;
                *sums.entry(workload(spec)).or_default().entry(place).or_default() += pods;
            }
        }
    }
    for (uid, (name, _)) in &snapshot.nominations {
        let claim = snapshot.claims.get(name).or_else(|| snapshot.asked.get(name));
        let pod = snapshot.pods.get(uid).filter(|pod| pod.node.is_none());
        if let (Some(claim), Some(pod)) = (claim.filter(|claim| !snapshot.is_leaving(claim)), pod) {
            *sums.entry(workload(&pod.spec)).or_default().entry(place_of(claim)).or_default() += 1;
        }
    }
    sums
}

fn rows(sums: &BTreeMap<(CapacityType, &str), u32>) -> Vec<Running> {
    let row = |((capacity_type, zone), pods): (&(CapacityType, &str), &u32)| Running {
        capacity_type: *capacity_type,
        zone: (*zone).to_owned(),
        pods: *pods,
    };
    sums.iter().map(row).collect()
}

/// How a NodeClaim is bought, and where: as far as it is decided, else as it is most likely to be.
fn place_of(claim: &NodeClaim) -> (CapacityType, &str) {
    if let Some(instance) = &claim.instance {
        return (instance.capacity_type, instance.zone.as_str());
    }
    let values = |key: &str| {
        let listed =
            claim.requirements.iter().filter(move |one| one.key == key && one.operator == Operator::In);
        listed.flat_map(|one| one.values.iter().map(String::as_str)).collect::<Vec<_>>()
    };
    let listed = values(labels::CAPACITY_TYPE);
    let first = CapacityType::ALL.into_iter().find(|one| listed.contains(&one.label()));
    let zone = match values(labels::ZONE).as_slice() {
        [zone] => zone,
        _ => "",
    };
    (first.unwrap_or(CapacityType::OnDemand), zone)
}

/// Whether new nodes can come of a NodePool.
fn is_open(snapshot: &Snapshot, pool: &NodePool) -> bool {
    let class_is_ready = snapshot.node_classes.get(&pool.node_class).is_some_and(|class| class.ready);
    pool.ready && !pool.deleting && pool.replicas.is_none() && class_is_ready
}
