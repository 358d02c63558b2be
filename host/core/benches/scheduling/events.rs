//! What it costs to know: single events in a cluster that runs, and a snapshot that is kept while they go on.

use std::sync::Arc;
use std::time::Duration as Elapsed;

use whittle_core::event::Event;
use whittle_core::model::pod::{Pod, PodPhase};
use whittle_core::state::ClusterState;

use crate::cluster::{self, NODES, PODS_PER_NODE, bound};
use crate::decision::NOW;
use crate::measure::{peak_memory, timed};
use crate::pods::{of_deployment, plain, waiting};
use crate::world::Offered;

/// How many events of a kind are measured.
const EVENTS: usize = 2_000;

/// How many snapshots are kept.
const SNAPSHOTS: usize = 7;

/// What happens in the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// All that there is becomes known, event by event.
    Everything,
    /// A pod that waits appears.
    PodWaits,
    /// A pod says something new of itself.
    PodChanges,
    /// A waiting pod is bound to a node.
    PodIsBound,
    /// A pod that runs is gone.
    PodGoes,
    /// A node says something new of itself, as kubelets do.
    NodeChanges,
    /// A node joins, with its NodeClaim.
    NodeJoins,
    /// A node and its NodeClaim are gone.
    NodeGoes,
    /// A pod says something new of itself while somebody keeps a snapshot.
    SnapshotKept,
}

/// What was found.
#[derive(Clone, Debug)]
pub(crate) struct Costs {
    /// One time for each event.
    pub(crate) times: Vec<Elapsed>,
    pub(crate) peak_memory: Option<u64>,
}

impl Change {
    /// Makes the cluster known, then measures one event at a time.
    pub(crate) fn measure(self) -> Costs {
        let mut state = ClusterState::default();
        Offered::Fake.events().into_iter().for_each(|event| state.apply(event, NOW));
        let all = cluster::events();
        let known = all.map(|event| timed(|| state.apply(event, NOW)).0);
        let times = match self {
            Self::Everything => known.collect(),
            Self::PodWaits
            | Self::PodChanges
            | Self::PodIsBound
            | Self::PodGoes
            | Self::NodeChanges
            | Self::NodeJoins
            | Self::NodeGoes => {
                known.for_each(drop);
                self.prepare(&mut state);
                (0..EVENTS).map(|at| self.once(&mut state, at)).collect()
            }
            Self::SnapshotKept => {
                known.for_each(drop);
                (0..SNAPSHOTS).map(|at| keep_one(&mut state, at)).collect()
            }
        };
        Costs { times, peak_memory: peak_memory() }
    }

    /// What has to be known before such an event can happen.
    fn prepare(self, state: &mut ClusterState) {
        if self == Self::PodIsBound {
            (0..EVENTS).for_each(|at| state.apply(Event::Pod(Arc::new(new_pod(at))), NOW));
        }
    }

    fn once(self, state: &mut ClusterState, at: usize) -> Elapsed {
        // Steps of a prime number: neighbours in time are no neighbours in the cluster.
        let node = at * 7_919 % NODES;
        let pod = at * 7_919 % (NODES * PODS_PER_NODE);
        let events = match self {
            Self::PodWaits => vec![Event::Pod(Arc::new(new_pod(at)))],
            Self::PodChanges | Self::SnapshotKept | Self::Everything => vec![changed_pod(pod)],
            Self::PodIsBound => {
                vec![Event::Pod(Arc::new(Pod { node: Some(cluster::name(node)), ..new_pod(at) }))]
            }
            Self::PodGoes => vec![Event::PodGone(bound(pod, 0).uid)],
            Self::NodeChanges => {
                let mut changed = cluster::node(node);
                changed.ready = false;
                vec![Event::Node(Box::new(changed))]
            }
            Self::NodeJoins => {
                let claim = cluster::claim(NODES + at);
                vec![Event::NodeClaim(Box::new(claim)), Event::Node(Box::new(cluster::node(NODES + at)))]
            }
            Self::NodeGoes => {
                vec![Event::NodeGone(cluster::name(node)), Event::NodeClaimGone(cluster::claim(node).name)]
            }
        };
        timed(|| events.into_iter().for_each(|event| state.apply(event, NOW))).0
    }
}

fn new_pod(at: usize) -> Pod {
    waiting(at, of_deployment(&format!("new-{}", at % 20), plain(250, 1 << 29)))
}

fn changed_pod(at: usize) -> Event {
    let mut pod = bound(at, at / PODS_PER_NODE);
    (pod.phase, pod.ready) = (PodPhase::Running, false);
    Event::Pod(Arc::new(pod))
}

/// One event while a snapshot is kept: the state is parted from it.
fn keep_one(state: &mut ClusterState, at: usize) -> Elapsed {
    let kept = state.shared();
    let (took, ()) = timed(|| state.apply(changed_pod(at), NOW));
    drop(kept);
    took
}
