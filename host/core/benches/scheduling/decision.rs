//! One case: pods become known, and are decided about.

use std::sync::Arc;
use std::time::Duration as Elapsed;

use whittle_core::check::check;
use whittle_core::event::Event;
use whittle_core::model::price::Price;
use whittle_core::model::time::Timestamp;
use whittle_core::plan::{Action, Plan};
use whittle_core::provision::problem::Cache;
use whittle_core::provision::{provision, provision_in_karpenter_order};
use whittle_core::settings::Settings;
use whittle_core::state::ClusterState;

use crate::bound::lower_bound;
use crate::cluster;
use crate::measure::{median, peak_memory, several, timed};
use crate::pods::waiting;
use crate::workloads::Workload;
use crate::world::Offered;

/// When everything happens.
pub(crate) const NOW: Timestamp = Timestamp::from_millis(100_000);

const SEED: u64 = 1;

/// What is decided about.
#[derive(Clone, Debug)]
pub(crate) struct Decision {
    pub(crate) workload: Workload,
    pub(crate) offered: Offered,
    pub(crate) settings: Settings,
    pub(crate) before: Before,
    /// How many nodes Karpenter makes, where that is known: the plan in its order has to have as many.
    pub(crate) nodes_of_karpenter: Option<usize>,
}

/// What runs already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Before {
    /// Nothing.
    Nothing,
    /// The cluster of `cluster.rs`.
    Cluster,
}

/// What was found.
#[derive(Clone, Debug)]
pub(crate) struct Figures {
    pub(crate) pods: usize,
    pub(crate) groups: usize,
    pub(crate) nodes: usize,
    pub(crate) nodes_in_karpenter_order: usize,
    pub(crate) unplaced: usize,
    pub(crate) price: Price,
    pub(crate) price_in_karpenter_order: Price,
    /// Not where nodes are there already: what they have is free.
    pub(crate) bound: Option<Price>,
    /// All pods become known.
    pub(crate) apply: Elapsed,
    /// The decision, by a process that has just started.
    pub(crate) provision: Elapsed,
    /// The same decision by a process that has decided before.
    pub(crate) again: Elapsed,
    pub(crate) in_karpenter_order: Elapsed,
    pub(crate) runs: usize,
    pub(crate) peak_memory: Option<u64>,
}

struct Run {
    apply: Elapsed,
    provision: Elapsed,
    again: Elapsed,
    in_karpenter_order: Elapsed,
}

impl Decision {
    /// Decides once with an eye on memory and on what comes out, then several times with an eye on the clock.
    pub(crate) fn measure(&self) -> Figures {
        let mut state = self.state();
        let mut pods = 0;
        for (at, spec) in self.workload.specs().enumerate() {
            state.apply(Event::Pod(Arc::new(waiting(at, spec))), NOW);
            pods += 1;
        }
        let snapshot = state.snapshot();
        let plan = provision(snapshot, &mut Cache::default(), NOW, SEED);
        let peak_memory = peak_memory();
        let violations = check(snapshot, &plan, NOW);
        assert!(violations.is_empty(), "{} rules are broken, the first: {}", violations.len(), violations[0]);
        let other = provision_in_karpenter_order(snapshot, &mut Cache::default(), NOW, SEED);
        assert_eq!(
            self.nodes_of_karpenter.unwrap_or(launches(&other)),
            launches(&other),
            "Karpenter's nodes"
        );
        let groups = snapshot.waiting().count();
        let bound = (self.before == Before::Nothing).then(|| lower_bound(snapshot));
        drop(state);
        let runs = several(|| self.run());
        Figures {
            pods,
            groups,
            nodes: launches(&plan),
            nodes_in_karpenter_order: launches(&other),
            unplaced: plan.report.unplaced.len(),
            price: price(&plan),
            price_in_karpenter_order: price(&other),
            bound,
            apply: median(runs.iter().map(|run| run.apply)),
            provision: median(runs.iter().map(|run| run.provision)),
            again: median(runs.iter().map(|run| run.again)),
            in_karpenter_order: median(runs.iter().map(|run| run.in_karpenter_order)),
            runs: runs.len(),
            peak_memory,
        }
    }

    fn state(&self) -> ClusterState {
        let mut state = ClusterState::new(self.settings.clone());
        self.offered.events().into_iter().for_each(|event| state.apply(event, NOW));
        match self.before {
            Before::Nothing => {}
            Before::Cluster => cluster::events().for_each(|event| state.apply(event, NOW)),
        }
        state
    }

    fn run(&self) -> Run {
        let mut state = self.state();
        let pods: Vec<_> =
            self.workload.specs().enumerate().map(|(at, spec)| Arc::new(waiting(at, spec))).collect();
        let (apply, ()) = timed(|| pods.into_iter().for_each(|pod| state.apply(Event::Pod(pod), NOW)));
        let snapshot = state.snapshot();
        let mut cache = Cache::default();
        // Plans are put away outside of the time.
        let (provision_took, plan) = timed(|| provision(snapshot, &mut cache, NOW, SEED));
        let (again, second) = timed(|| provision(snapshot, &mut cache, NOW, SEED));
        assert!(plan == second, "the same decision came out differently");
        let (in_karpenter_order, _other) =
            timed(|| provision_in_karpenter_order(snapshot, &mut Cache::default(), NOW, SEED));
        Run { apply, provision: provision_took, again, in_karpenter_order }
    }
}

fn launches(plan: &Plan) -> usize {
    plan.actions.iter().filter(|action| matches!(action, Action::Launch(_))).count()
}

/// What the new nodes of a plan cost, each at its cheapest offering.
fn price(plan: &Plan) -> Price {
    let price =
        |action: &Action| if let Action::Launch(launch) = action { launch.price() } else { Price::ZERO };
    plan.actions.iter().map(price).sum()
}
