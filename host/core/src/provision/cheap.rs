//! Placing pods with an eye on prices: which node to open next is decided by what it costs for what it holds.
//!
//! ```text
//!  waiting pods ─► room that is there ─► items ─► worth of resources ─► best filled node ─► open, join ─┐
//!                                          ▲                                                          │
//!                                          └───────────────────── what is left ◄──────────────────────┘
//! ```
//!
//! A filled node is a proposal on counts (`fill`), rated by what its pods are worth (`duals`) for its price. It is
//! carried out through the same questions that any pod is asked (`Problem::open_in`, `Problem::join`): what they refuse
//! does not happen, and what is left in the end is placed in Karpenter's order. So the outcome is legal whatever is
//! proposed here, and whoever asked compares it with Karpenter's and keeps the better.
//!
//! Better proposals (column generation, local search) belong here, behind `place`; so do lower bounds. Pods whose rules
//! ask for more than a zone and a node are left to Karpenter's order.

mod duals;
mod fill;
mod items;
mod pack;

use std::collections::BTreeSet;

use crate::model::price::Price;
use crate::provision::cheap::items::Items;
use crate::provision::cheap::pack::Packer;
use crate::provision::schedule::Schedule;
use crate::provision::{Placed, Waiting, place_rest};

/// How many steps a search may cost, each a look at one kind of pod for one node: so many for each pod, because a cluster
/// that waits for many nodes can wait for a better answer, and some to start with.
const STEPS_FOR_EACH_POD: u64 = 200;
const STEPS_AT_LEAST: u64 = 250_000;

/// Places all pods, on a schedule on which none of them is placed yet. `None` when nothing cheaper than `bar` can come of
/// it, or the search would take too long; the schedule is in no useful state then.
///
/// `nodes`: how many the plan that `bar` is the price of opens.
pub(crate) fn place(
    schedule: &mut Schedule<'_, '_>,
    waiting: &[Waiting<'_>],
    (bar, nodes): (Price, usize),
) -> Option<Placed> {
    let pods: usize = waiting.iter().map(|group| group.pods.len()).sum();
    let mut steps = STEPS_AT_LEAST + STEPS_FOR_EACH_POD * pods as u64;
    if pack::steps_expected(waiting.len(), nodes) > steps {
        return None;
    }
    let mut placed = Placed::none(waiting.len());
    // Who may be on reserved capacity is left to Karpenter's order, which knows who holds what.
    let first = |group: &Waiting<'_>| Some(group.demand).filter(|at| !schedule.problem.may_be_reserved(*at));
    let mut rungs: Vec<Option<usize>> = waiting.iter().map(first).collect();
    let mut is_first = true;
    let mut lost = BTreeSet::new();
    while rungs.iter().any(Option::is_some) {
        for (at, group) in waiting.iter().enumerate() {
            if let Some(demand) = rungs[at] {
                let missing = group.pods.len() - placed.0[at].len();
                placed.0[at].extend(schedule.place_on_nodes(demand, missing));
            }
        }
        let missing = |at: usize, placed: &Placed| waiting[at].pods.len() - placed.0[at].len();
        let mut items = Items::default();
        for (at, rung) in rungs.iter().enumerate() {
            if let Some(demand) = rung {
                items.add(schedule, (at, *demand), missing(at, &placed));
            }
        }
        let packer = Packer::new(schedule, items, &mut placed);
        if is_first && packer.is_pointless(bar) {
            return None;
        }
        is_first = false;
        lost.extend(packer.pack(&mut steps));
        for (at, rung) in rungs.iter_mut().enumerate() {
            let gentler = rung.and_then(|demand| schedule.problem.demands[demand].gentler);
            // Nobody gives up a wish that another NodePool would fulfil.
            if let Some(demand) = rung.filter(|_| gentler.is_some() && missing(at, &placed) > 0) {
                let places = schedule.place_on_this_rung(demand, missing(at, &placed));
                placed.0[at].extend(places);
            }
            *rung = gentler.filter(|_| missing(at, &placed) > 0);
        }
    }
    place_rest(schedule, waiting, &mut placed);
    still_hold(schedule, waiting, &placed, &lost).then_some(placed)
}

/// Whether pods are where these rules let them be, now that some that were counted on are not where they were to be.
fn still_hold(
    schedule: &Schedule<'_, '_>,
    waiting: &[Waiting<'_>],
    placed: &Placed,
    rules: &BTreeSet<usize>,
) -> bool {
    rules.iter().all(|at| {
        let rule = &schedule.problem.rules[*at];
        waiting.iter().zip(&placed.0).all(|(group, places)| {
            let states = schedule.problem.demands[group.demand].concern.stated.contains(at);
            !states
                || places
                    .iter()
                    .all(|place| schedule.domain_of_rule(*place, *at).is_none_or(|d| rule.holds(d)))
        })
    })
}
