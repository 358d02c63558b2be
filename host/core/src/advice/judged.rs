//! What advice makes of the offerings of a NodePool, and a plan put back from advised prices to true ones.
//!
//! There are thousands of offerings, and a plan has hundreds of launches that list the same ones. So what is judged is
//! worked out once for each answer, and what is put back once for each list: both are shared, as they were before.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::offerings::{Judgement, Verdict};
use crate::event::Event;
use crate::model::instance_type::{CapacityType, InstanceType};
use crate::model::labels;
use crate::model::node_pool::{NodeClass, NodePool};
use crate::model::price::Price;
use crate::model::requirement::Requirement;
use crate::model::time::Timestamp;
use crate::plan::{Action, Launch, LaunchOffering, Plan};
use crate::state::{ClusterState, Snapshot};

/// The offerings of one NodePool as advice would have them.
#[derive(Clone, Debug)]
pub struct Judged {
    /// What was said, by instance type and offering, as places in the EC2NodeClass.
    said: BTreeMap<(usize, usize), Verdict>,
    /// The instance types of the EC2NodeClass: what is forbidden is not for sale, what is scaled has another price.
    types: Arc<[InstanceType]>,
    /// By instance type what was scaled.
    scaled: BTreeMap<String, Vec<Scaled>>,
}

/// An offering at another price.
#[derive(Clone, Debug)]
struct Scaled {
    zone: String,
    capacity_type: CapacityType,
    reservation: Option<String>,
    parts_per_million: u32,
    /// What it truly costs.
    price: Price,
}

impl Judged {
    /// What judgements make of the instance types of an EC2NodeClass; `None` when nothing was said. `places` holds for
    /// each offering of the question its instance type and its offering there.
    #[must_use]
    pub fn new(types: &[InstanceType], places: &[(usize, usize)], judgements: &[Judgement]) -> Option<Self> {
        let mut said = BTreeMap::new();
        let mut advised: Vec<InstanceType> = types.to_vec();
        let mut scaled: BTreeMap<String, Vec<Scaled>> = BTreeMap::new();
        for Judgement { offering, verdict } in judgements {
            let place = usize::try_from(*offering).ok().and_then(|at| places.get(at));
            let Some(&(at, place)) = place else { continue };
            let Some(instance_type) = advised.get_mut(at) else { continue };
            let Some(offering) = instance_type.offerings.get_mut(place) else { continue };
            said.insert((at, place), verdict.clone());
            match verdict {
                Verdict::Forbid(_) => offering.available = false,
                Verdict::Scale(scale) => {
                    let one = Scaled {
                        zone: offering.zone.clone(),
                        capacity_type: offering.capacity_type,
                        reservation: offering.reservation.as_ref().map(|one| one.id.clone()),
                        parts_per_million: *scale,
                        price: offering.price,
                    };
                    offering.price = offering.price.scaled(u64::from(*scale));
                    match scaled.get_mut(&instance_type.name) {
                        Some(known) => known.push(one),
                        None => drop(scaled.insert(instance_type.name.clone(), vec![one])),
                    }
                }
            }
        }
        (!said.is_empty()).then(|| Self { said, types: advised.into(), scaled })
    }

    fn scaled(&self, offering: &LaunchOffering) -> Option<&Scaled> {
        self.scaled.get(&offering.instance_type)?.iter().find(|scaled| {
            scaled.capacity_type == offering.capacity_type
                && scaled.zone == offering.zone
                && scaled.reservation == offering.reservation
        })
    }
}

/// Lays judgements over the offerings of NodePools, by the NodePool's name. NodePools with judgements of their own get
/// an EC2NodeClass of their own on the copy.
pub fn judge(state: &mut ClusterState, judged: &BTreeMap<&str, &Judged>, now: Timestamp) {
    let pools: Vec<NodePool> = state.snapshot().node_pools.values().cloned().collect();
    let said = |pool: &NodePool| judged.get(pool.name.as_str()).map(|judged| &judged.said);
    for pool in &pools {
        let Some(of_pool) = judged.get(pool.name.as_str()) else { continue };
        let Some(class) = state.snapshot().node_classes.get(&pool.node_class).cloned() else { continue };
        let is_other = |other: &NodePool| other.node_class == pool.node_class && said(other) != said(pool);
        let own = pools.iter().any(is_other).then(|| format!("{} for {}", class.name, pool.name));
        let name = own.clone().unwrap_or_else(|| class.name.clone());
        let instance_types = Arc::clone(&of_pool.types);
        state.apply(Event::NodeClass(NodeClass { name, instance_types, ..class }), now);
        if let Some(node_class) = own {
            let pool = NodePool { node_class, ..pool.clone() };
            state.apply(Event::NodePool(Box::new(pool)), now);
        }
    }
}

/// Puts a plan that was made on a copy back to what is so: true EC2NodeClasses and prices, the cheapest first.
pub fn restore(plan: &mut Plan, snapshot: &Snapshot, judged: &BTreeMap<&str, &Judged>) {
    if judged.is_empty() {
        return;
    }
    let mut remade = Remade::default();
    for action in &mut plan.actions {
        if let Action::Launch(launch) = action {
            remade.restore(launch, snapshot, judged);
        }
    }
}

/// What was put back already.
#[derive(Default)]
struct Remade<'a> {
    labels: Once<'a, BTreeMap<String, String>>,
    requirements: Once<'a, Vec<Requirement>>,
    offerings: Once<'a, Vec<LaunchOffering>>,
}

impl<'a> Remade<'a> {
    fn restore(&mut self, launch: &mut Launch, snapshot: &'a Snapshot, judged: &BTreeMap<&str, &Judged>) {
        let Some(pool) = snapshot.node_pools.get(&launch.node_pool) else { return };
        let class = &pool.node_class;
        if launch.node_class != *class {
            launch.node_class.clone_from(class);
            launch.labels = self.labels.of(&pool.name, &launch.labels, |labels| {
                labels.insert(labels::NODE_CLASS.to_owned(), class.clone());
            });
            launch.requirements = self.requirements.of(&pool.name, &launch.requirements, |requirements| {
                for one in requirements.iter_mut().filter(|one| one.key == labels::NODE_CLASS) {
                    one.values = vec![class.clone()];
                }
            });
        }
        if let Some(judged) = judged.get(pool.name.as_str()).filter(|judged| !judged.scaled.is_empty()) {
            launch.offerings = self
                .offerings
                .of(&pool.name, &launch.offerings, |offerings| true_offerings(offerings, pool, judged));
        }
    }
}

/// True prices, the cheapest first.
fn true_offerings(offerings: &mut Vec<LaunchOffering>, pool: &NodePool, judged: &Judged) {
    let mut scales = Vec::with_capacity(offerings.len());
    for offering in offerings.iter_mut() {
        let scaled = judged.scaled(offering);
        scales.push(scaled.map_or(1_000_000, |scaled| scaled.parts_per_million));
        offering.price = scaled.map_or(offering.price, |scaled| scaled.price);
    }
    // EC2 takes the cheapest of what is listed. What is cheaper than the best only in dollars would be taken in its
    // stead, so it is not listed; what is dearer may stay, for when there is nothing better.
    let best = offerings.first().map(|best| best.price).zip(scales.first().copied());
    if let Some((price, scale)) = best
        && !pool.requirements.iter().any(|requirement| requirement.min_values.is_some())
    {
        let mut scales = scales.into_iter();
        offerings.retain(|other| scales.next().is_none_or(|own| own <= scale) || other.price >= price);
    }
    offerings.sort_by_key(|offering| offering.price);
}

/// Things that were made of others, each once for a NodePool. Those others are held, so that no later one is taken for
/// them by its address.
struct Once<'a, T> {
    made: BTreeMap<(&'a str, usize), Made<T>>,
}

/// What something was made of, and what was made.
type Made<T> = (Arc<T>, Arc<T>);

impl<T> Default for Once<'_, T> {
    fn default() -> Self {
        Self { made: BTreeMap::new() }
    }
}

impl<'a, T: Clone> Once<'a, T> {
    fn of(&mut self, pool: &'a str, from: &Arc<T>, make: impl FnOnce(&mut T)) -> Arc<T> {
        let (_, made) = self.made.entry((pool, Arc::as_ptr(from).addr())).or_insert_with(|| {
            let mut made = (**from).clone();
            make(&mut made);
            (Arc::clone(from), Arc::new(made))
        });
        Arc::clone(made)
    }
}
