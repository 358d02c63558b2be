//! A cluster at a glance: its nodes with what they hold and cost, the pods that wait, and what would be done next.

use serde::Serialize;
use whittle_core::model::instance_type::CapacityType;
use whittle_core::model::node::NodeClaim;
use whittle_core::model::price::Price;
use whittle_core::model::time::{Duration, Timestamp};
use whittle_core::plan::Action;
use whittle_core::state::Snapshot;
use whittle_core::why::Unplaced;
use whittle_core::why::about::{NodeStanding, of_node};

use crate::preview::Preview;

/// A cluster at a glance.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Overview {
    /// When it was looked at.
    pub at: Timestamp,
    /// The nodes that are ours, by NodePool and name.
    pub nodes: Vec<NodeRow>,
    /// How many nodes there are that are not ours.
    pub other_nodes: usize,
    /// How many pods there are.
    pub pods: usize,
    /// How many of them wait for a place.
    pub waiting: usize,
    /// What our nodes cost an hour.
    pub price: Price,
    /// How full our nodes are, in thousandths.
    pub fill: Fill,
    /// What would be done next, and in how long.
    pub next: Vec<NextMove>,
    /// The pods that would have no place.
    pub unplaced: Vec<Unplaced>,
    /// Objects that could not be understood, each with why; whoever reads the cluster fills them in.
    pub unclear: Vec<String>,
}

/// A node of ours.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeRow {
    /// The Node, or the NodeClaim of one that has not joined.
    pub name: String,
    /// The NodePool.
    pub node_pool: String,
    /// The instance type, once it is launched.
    pub instance_type: Option<String>,
    /// The zone, once it is launched.
    pub zone: Option<String>,
    /// How it is bought, once it is launched.
    pub capacity_type: Option<CapacityType>,
    /// What it costs an hour.
    pub price: Price,
    /// How full it is.
    pub fill: Fill,
    /// How many pods are on it, those of DaemonSets too.
    pub pods: usize,
    /// How long it has been there.
    pub age: Duration,
    /// What it is about, in two words.
    pub state: &'static str,
}

/// What pods ask for, in thousandths of what there is for them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Fill {
    /// CPU.
    pub cpu: u64,
    /// Memory.
    pub memory: u64,
}

/// Something that would be done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NextMove {
    /// In how long.
    pub within: Duration,
    /// What.
    pub what: String,
}

/// A cluster at a glance at `now`, with what a preview of it came to.
#[must_use]
pub fn overview(snapshot: &Snapshot, preview: Preview, now: Timestamp) -> Overview {
    let mut sums = [Sum::default(), Sum::default()];
    let mut nodes: Vec<NodeRow> =
        snapshot.claims.values().map(|claim| row(snapshot, claim, now, &mut sums)).collect();
    nodes.sort_by(|left, right| (&left.node_pool, &left.name).cmp(&(&right.node_pool, &right.name)));
    let ours = snapshot.claims.values().filter(|claim| snapshot.node_of_claim(claim).is_some()).count();
    Overview {
        at: now,
        other_nodes: snapshot.nodes.len() - ours,
        pods: snapshot.pods.len(),
        waiting: snapshot.waiting().map(|(_, pods)| pods.len()).sum(),
        price: nodes.iter().map(|row| row.price).sum(),
        fill: Fill { cpu: sums[0].thousandths(), memory: sums[1].thousandths() },
        next: preview.actions.iter().filter_map(|(at, action)| next(at.since(now), action)).collect(),
        unplaced: preview.unplaced,
        unclear: Vec::new(),
        nodes,
    }
}

/// What is asked for of what is there.
#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    used: u64,
    there: u64,
}

impl Sum {
    fn thousandths(self) -> u64 {
        let share = u128::from(self.used) * 1_000 / u128::from(self.there.max(1));
        u64::try_from(share).unwrap_or(u64::MAX)
    }
}

fn row(snapshot: &Snapshot, claim: &NodeClaim, now: Timestamp, sums: &mut [Sum; 2]) -> NodeRow {
    let node = snapshot.node_of_claim(claim);
    let mut fill = [Sum::default(), Sum::default()];
    if let Some(node) = node {
        let used = snapshot.used_on(&node.name);
        for ((sum, all), resource) in fill.iter_mut().zip(sums).zip(["cpu", "memory"]) {
            *sum = Sum { used: used.get(resource), there: node.allocatable.get(resource) };
            all.used = all.used.saturating_add(sum.used);
            all.there = all.there.saturating_add(sum.there);
        }
    }
    let instance = claim.instance.as_ref();
    NodeRow {
        name: node.map_or(&claim.name, |node| &node.name).clone(),
        node_pool: claim.node_pool.clone(),
        instance_type: instance.map(|one| one.instance_type.clone()),
        zone: instance.map(|one| one.zone.clone()),
        capacity_type: instance.map(|one| one.capacity_type),
        price: instance.map_or(Price::ZERO, |one| one.price),
        fill: Fill { cpu: fill[0].thousandths(), memory: fill[1].thousandths() },
        pods: node.map_or(0, |node| snapshot.pods_on(&node.name).count()),
        age: now.since(claim.created),
        state: state(&of_node(snapshot, claim, now)),
    }
}

const fn state(standing: &NodeStanding) -> &'static str {
    match standing {
        NodeStanding::NotLaunched => "launching",
        NodeStanding::NotJoined => "booting",
        NodeStanding::NotInitialized => "not ready",
        NodeStanding::Leaves { .. } => "leaving",
        NodeStanding::NeverMoves { .. } | NodeStanding::NotQuiet { .. } | NodeStanding::Expects { .. } => {
            "in use"
        }
        NodeStanding::Quiet { .. } => "quiet",
    }
}

fn next(within: Duration, action: &Action) -> Option<NextMove> {
    let what = match action {
        Action::Launch(launch) => {
            let pods = counted_pods(launch.pods.len());
            let cheapest = launch.offerings.first()?;
            format!(
                "launch a node of {}, {} or like it, for {pods}",
                launch.node_pool, cheapest.instance_type
            )
        }
        Action::Delete(delete) => format!("take {} away: {}", delete.claim, delete.reason),
        Action::Terminate(end) => format!("end the instance of {}", end.claim),
        Action::Nominate(_)
        | Action::Register(_)
        | Action::Initialize(_)
        | Action::Cordon(_)
        | Action::Uncordon(_)
        | Action::Evict(_)
        | Action::Finalize(_) => return None,
    };
    Some(NextMove { within, what })
}

/// So many pods, in words.
pub(crate) fn counted_pods(pods: usize) -> String {
    format!("{pods} {}", if pods == 1 { "pod" } else { "pods" })
}
