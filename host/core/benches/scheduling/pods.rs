//! Pods in few words: what they ask for, what they want to be near to or far from.

use std::sync::Arc;

use whittle_core::model::pod::{
    InclusionPolicy, LabelSelector, Owner, Pod, PodAffinityTerm, PodPhase, PodSpec, TopologySpread,
    WhenUnsatisfiable,
};
use whittle_core::model::requirement::Requirement;
use whittle_core::model::resources::Resources;
use whittle_core::model::time::Timestamp;

use crate::chance::Chance;

pub(crate) const MIB: u64 = 1 << 20;
pub(crate) const GIB: u64 = 1 << 30;

/// Pods of nobody, that ask for this much.
pub(crate) fn plain(cpu_millis: u64, memory_bytes: u64) -> PodSpec {
    let requests = Resources { cpu_millis, memory_bytes, pods: 1, ..Resources::default() };
    PodSpec { namespace: "default".into(), requests, ..PodSpec::default() }
}

/// The pods of a Deployment, with a label `app` that is its name.
pub(crate) fn of_deployment(name: &str, requests: PodSpec) -> PodSpec {
    let owner = Some(Owner { kind: "Deployment".into(), name: name.to_owned() });
    PodSpec { owner, labels: [("app".to_owned(), name.to_owned())].into(), ..requests }
}

/// A pod that no node has room for. What it looks like is its own copy, as objects from a watch are.
pub(crate) fn waiting(at: usize, spec: PodSpec) -> Pod {
    Pod {
        uid: uid(at),
        name: format!("pod-{at}"),
        spec: Arc::new(spec),
        volume_claims: Vec::new(),
        node: None,
        unschedulable: true,
        nominated_node: None,
        phase: PodPhase::Pending,
        ready: false,
        created: Timestamp::EPOCH,
        started: None,
        deleting: None,
        stops_within: None,
    }
}

/// A uid of the usual length, with chance in it: neighbours in a list are no neighbours by uid.
fn uid(at: usize) -> String {
    let mut chance = Chance::seeded(at as u64);
    let (high, low) = (chance.next(), chance.next());
    let (a, b, c, d) = (high >> 32, high >> 16 & 0xffff, high & 0xffff, low >> 48);
    format!("{a:08x}-{b:04x}-{c:04x}-{d:04x}-{:012x}", low & 0xffff_ffff_ffff)
}

/// At most one more in one domain than in another, counting the pods with this label.
pub(crate) fn spread(topology_key: &str, key: &str, value: &str) -> TopologySpread {
    TopologySpread {
        key: topology_key.to_owned(),
        max_skew: 1,
        min_domains: None,
        when_unsatisfiable: WhenUnsatisfiable::DoNotSchedule,
        selector: selector(key, value),
        match_label_keys: Vec::new(),
        node_affinity_policy: InclusionPolicy::Honor,
        node_taints_policy: InclusionPolicy::Ignore,
    }
}

/// The pods with this label, in one domain of a topology.
pub(crate) fn term(topology_key: &str, key: &str, value: &str) -> PodAffinityTerm {
    PodAffinityTerm {
        key: topology_key.to_owned(),
        selector: selector(key, value),
        namespaces: Vec::new(),
        namespace_selector: None,
        match_label_keys: Vec::new(),
        mismatch_label_keys: Vec::new(),
    }
}

fn selector(key: &str, value: &str) -> Option<LabelSelector> {
    Some(LabelSelector { requirements: vec![Requirement::equals(key, value)] })
}
