//! What the packer packs: pods of one group that are bound to one zone or to none, with what they may be on.

use std::collections::BTreeSet;

use crate::model::instance_type::CapacityType;
use crate::provision::bits::Bits;
use crate::provision::cheap::duals::{AXES, Row};
use crate::provision::cheap::fill::Item;
use crate::provision::intern::Sym;
use crate::provision::schedule::Schedule;
use crate::provision::template::Shape;
use crate::provision::topology::{Count, Place};
use crate::provision::universe::Universe;
use crate::provision::universe::ways::{CapacityMask, all_of};
use crate::why::TopologyRule;

/// The items of a round.
#[derive(Debug, Default)]
pub(crate) struct Items {
    pub(crate) items: Vec<Item>,
    pub(crate) about: Vec<About>,
}

/// What an item is made of.
#[derive(Clone, Debug)]
pub(crate) struct About {
    /// The position of its group among those that wait.
    pub(crate) group: usize,
    pub(crate) demand: usize,
    pub(crate) template: usize,
    /// How a node for it alone would be bought.
    pub(crate) way: CapacityMask,
    /// The instance types that it may be on.
    pub(crate) types: Bits,
    /// The label by which its zone is counted.
    pub(crate) label: Option<Sym>,
    /// Where it went.
    pub(crate) places: Vec<Place>,
    /// Whether its pods are left to others.
    pub(crate) given_up: bool,
}

impl Items {
    /// Adds the pods of a group, if they are any for the packer. Their zones are chosen and counted now.
    pub(crate) fn add(
        &mut self,
        schedule: &mut Schedule<'_, '_>,
        (group, demand): (usize, usize),
        pods: usize,
    ) {
        let Ok(pods) = u32::try_from(pods) else { return };
        let requests = &schedule.problem.demands[demand].requests;
        if pods == 0 || requests.iter().skip(AXES).any(|amount| *amount > 0) {
            return;
        }
        let templates = 0..schedule.problem.templates.len();
        let found = templates.into_iter().find_map(|at| Some((at, schedule.probe(at, demand).ok()?.shape)));
        let Some((template, shape)) = found else { return };
        let universe = schedule.problem.universes[schedule.problem.templates[template].universe].clone();
        let Ok(label) = schedule.zone_label(demand, &universe) else { return };
        let is_free = schedule.problem.templates[template].min_values.is_empty();
        let Some((types, way)) = bought(&shape, &universe, is_free) else { return };
        let narrowed = Shape { types: types.clone(), capacity_types: way, ..shape };
        let shares = match label {
            Some(label) => {
                let shares = schedule.settle_in_zones(demand, (label, &narrowed), &universe, pods);
                shares.into_iter().map(|(zone, pods)| (Some(zone), pods)).collect()
            }
            None => vec![(None, pods)],
        };
        let requests = &schedule.problem.demands[demand].requests;
        let size: Row = std::array::from_fn(|axis| requests.get(axis).copied().unwrap_or(0) as f64);
        let cap = cap(schedule, demand);
        for (zone, left) in shares {
            self.items.push(Item { size, left, cap, zone });
            let types = types.clone();
            self.about.push(About {
                group,
                demand,
                template,
                way,
                types,
                label,
                places: Vec::new(),
                given_up: false,
            });
        }
    }

    /// Takes the pods that found no node out of the zones that they were counted in. Tells the rules that counted them:
    /// others may have gone where they went because these would be elsewhere.
    pub(crate) fn take_out_what_is_left(&self, schedule: &mut Schedule<'_, '_>) -> BTreeSet<usize> {
        let mut lost = BTreeSet::new();
        for (item, about) in self.items.iter().zip(&self.about).filter(|(item, _)| item.left > 0) {
            if let (Some(label), Some(zone)) = (about.label, item.zone) {
                let at = schedule.problem.templates[about.template].universe;
                let value = schedule.problem.universes[at].zones[zone];
                schedule.count_in_zone(about.demand, (label, value), item.left, Count::Down);
                let problem = &*schedule.problem;
                let meant = &problem.demands[about.demand].concern.meant;
                lost.extend(meant.iter().filter(|at| problem.rules[**at].label == Some(label)));
            }
        }
        lost
    }
}

/// The types that a launch of this shape would list, but for their number, and how it would buy them: see
/// `Listings::list`.
fn bought(shape: &Shape, universe: &Universe, is_free: bool) -> Option<(Bits, CapacityMask)> {
    let mut types = shape.types.clone();
    if is_free {
        types.subtract_unless_all(&universe.exotic);
    }
    let ways = CapacityType::ALL.map(|way| all_of(way) & shape.capacity_types);
    let usable = |way: &CapacityMask| universe.is_usable(&types, shape, *way, is_free);
    let way = ways.into_iter().find(usable)?;
    universe.keep_offered(&mut types, shape.zones, way);
    // They look cheap and are not what the pods' requests mean. A launch may list them, but no node is opened for them
    // as long as there are others.
    types.subtract_unless_all(&universe.burstable);
    Some((types, way))
}

/// How many of these pods may share a node, as far as they mind one another.
fn cap(schedule: &Schedule<'_, '_>, demand: usize) -> u32 {
    let demand = &schedule.problem.demands[demand];
    let on_host = demand.concern.own.iter().filter(|at| schedule.problem.rules[**at].label.is_none());
    let mut cap = if demand.group.spec.host_ports.is_empty() { u32::MAX } else { 1 };
    for at in on_host {
        let counts_itself = demand.concern.meant.binary_search(at).is_ok();
        let what = &schedule.problem.rules[*at].what;
        cap = match what.rule {
            TopologyRule::Spread if counts_itself => cap.min(what.max_skew),
            TopologyRule::AntiAffinity if counts_itself => cap.min(1),
            TopologyRule::Spread | TopologyRule::AntiAffinity | TopologyRule::Affinity => cap,
        };
    }
    cap
}
