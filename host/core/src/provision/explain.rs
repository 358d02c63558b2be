//! Why a pod has no place: for each NodePool the first rule that excludes it, and the smallest single change that would
//! place the pod. Both are found by trying.
//!
//! Reasons come from the functions that refused (`Problem::open`), so that they cannot differ from the refusal. Changes
//! are put through the same functions: see `change`.

mod change;
mod limits;
mod pod;
mod pool;
mod recount;
mod types;

use std::collections::BTreeMap;

use crate::model::requirement::untolerated;
use crate::model::resources::Resources;
use crate::provision::draft::Refused;
use crate::provision::problem::{Demand, Problem};
use crate::provision::requirements;
use crate::provision::schedule::Schedule;
use crate::provision::topology::Place;
use crate::provision::{Placed, Waiting, Work};
use crate::state::Snapshot;
use crate::why::change::Remedy;
use crate::why::{NodePoolWhy, Why};

/// Why the pods of a group have no place.
#[derive(Clone, Debug)]
pub(crate) struct Reasons {
    pub(crate) node_pools: Vec<NodePoolWhy>,
    pub(crate) itself: Option<Why>,
    pub(crate) remedy: Remedy,
}

/// A decision that is made, as far as reasons look at it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Decided<'e> {
    pub(crate) snapshot: &'e Snapshot,
    pub(crate) work: &'e Work<'e>,
    pub(crate) waiting: &'e [Waiting<'e>],
    pub(crate) placed: &'e Placed,
}

/// What answers why.
#[derive(Debug)]
pub(crate) struct Explainer<'e, 'a, 'b> {
    decided: Decided<'e>,
    schedule: &'e mut Schedule<'a, 'b>,
    /// Where the next new node would be.
    place: Place,
    /// What each NodePool has in use or planned, once it was asked.
    used: BTreeMap<usize, (Resources, u64)>,
    budget: change::Budget,
}

impl<'e, 'a, 'b> Explainer<'e, 'a, 'b> {
    /// To be made when all places are settled. The schedule is in no useful state afterwards.
    pub(crate) fn new(decided: Decided<'e>, schedule: &'e mut Schedule<'a, 'b>) -> Self {
        let place = schedule.problem.existing.len() + schedule.drafts.len();
        let (used, budget) = (BTreeMap::new(), change::Budget::default());
        Self { decided, schedule, place, used, budget }
    }

    /// Why the pods of a group that have no place have none.
    pub(crate) fn explain(&mut self, demand: usize) -> Reasons {
        if self.schedule.looks.was_cut_short(demand) {
            let looks = self.schedule.problem.settings.looks;
            let itself = Some(Why::Looks { looks });
            return Reasons { node_pools: Vec::new(), itself, remedy: Remedy::NotTried };
        }
        let demand = self.schedule.problem.required(demand);
        let demand = self.schedule.problem.demands[demand].clone();
        let mut node_pools = Vec::new();
        let mut refusals = Vec::new();
        // Those that open now did not while pods were placed: another chance is the next decision's matter.
        for at in 0..self.schedule.problem.templates.len() {
            if let Err(refused) = self.schedule.problem.open(at, &demand, self.place) {
                let why = self.why(at, &demand, refused);
                let node_pool = self.schedule.problem.templates[at].pool.name.clone();
                node_pools.push(NodePoolWhy { node_pool, why });
                refusals.push((at, refused));
            }
        }
        node_pools.extend(self.schedule.problem.closed.iter().cloned());
        let remedy = self.remedy(&demand, &refusals);
        Reasons { node_pools, itself: None, remedy }
    }

    fn why(&mut self, at: usize, demand: &Demand, refused: Refused) -> Why {
        let problem = &mut *self.schedule.problem;
        match refused {
            Refused::Taint => {
                let taint = untolerated(&problem.templates[at].pool.taints, &demand.group.spec.tolerations);
                taint.map_or(Why::HostPort, |taint| Why::Taint { taint: taint.clone() })
            }
            Refused::HostPort => Why::HostPort,
            Refused::Labels => problem.why_labels(at, demand),
            Refused::InstanceTypes => problem.why_types(at, demand),
            Refused::MinValues { key, wanted, left } => {
                Why::MinValues { key: problem.interner.text(key).to_owned(), wanted, left }
            }
            Refused::Limit => self.why_limit(at, demand),
            Refused::Reserved => Why::Reserved,
            Refused::Topology { rule } => {
                let what = &problem.rules[rule].what;
                Why::Topology { rule: what.rule, key: what.key.clone() }
            }
        }
    }
}

impl Problem<'_> {
    fn why_labels(&mut self, at: usize, demand: &Demand) -> Why {
        let mut terms = demand.group.spec.node_affinity.clone();
        if terms.is_empty() {
            terms.push(Vec::new());
        }
        let mut first = None;
        for term in &terms {
            let wanted = requirements::collect(term, self.interner);
            let template = &self.templates[at];
            let universe = &self.universes[template.universe];
            match template.shape.and(&wanted, universe, self.interner) {
                Err(why) => first = first.or(Some((why, wanted))),
                // Without its volumes the pod would find a node: it is the volumes.
                Ok(_) => return why_volumes(demand),
            }
        }
        let Some((why, wanted)) = first else { return why_volumes(demand) };
        let shape = self.shape_some_day(at);
        let universe = &self.universes[self.templates[at].universe];
        // One label that alone excludes all is the reason; where it takes several, each costs some.
        let mut alone = wanted.iter().map(|one| shape.and(&vec![one.clone()], universe, self.interner));
        if alone.any(|one| one.is_err()) {
            return *why;
        }
        match self.why_types(at, demand) {
            Why::InstanceTypes { lost, .. } if lost.is_empty() => *why,
            counted => counted,
        }
    }
}

fn why_volumes(demand: &Demand) -> Why {
    let alternatives = demand.group.volumes.iter().flatten().flatten();
    let texts: Vec<_> = alternatives.map(ToString::to_string).collect();
    Why::Volume { message: format!("the pod's volumes can only be where {}", texts.join(" or ")) }
}
