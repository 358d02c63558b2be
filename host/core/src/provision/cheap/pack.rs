//! Opening nodes one after the other, each the best for its price, until no item is left.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::price::Price;
use crate::provision::Placed;
use crate::provision::amounts;
use crate::provision::cheap::duals::{AXES_MAX, Offer, Row, dot, worth};
use crate::provision::cheap::fill::{Fill, fill};
use crate::provision::cheap::items::Items;
use crate::provision::schedule::Schedule;
use crate::provision::topology::Place;
use crate::provision::universe::{CapacityMask, ZoneMask};

/// What a node costs besides its price, in micro-dollars per hour: addresses, agents, attention. It keeps the search from
/// a thousand tiny nodes that are a hair cheaper.
const NODE_COST: f64 = 2_000.0;

/// Below this share of the bar nothing is to be gained.
const GAIN_MIN: f64 = 0.002;

/// How many rates below the best a type may be to still be looked at when the worth of resources is worked out again.
const OFFERS_MAX: usize = 96;

/// A packer at work on the items of a round.
pub(crate) struct Packer<'s, 'a, 'b> {
    schedule: &'s mut Schedule<'a, 'b>,
    items: Items,
    placed: &'s mut Placed,
    /// Pairs of items that were refused one node together.
    apart: BTreeSet<(usize, usize)>,
}

/// A type as the packer sees it.
#[derive(Clone, Debug)]
struct Bin {
    instance_type: usize,
    capacity: Row,
    /// By zone; infinite where it is not sold.
    prices: Vec<f64>,
    cheapest: f64,
}

/// Items that may share nodes: of one NodePool, and bought in one way.
struct Component {
    template: usize,
    members: Vec<usize>,
    bins: Vec<Bin>,
}

/// A proposal for a node.
struct Proposal {
    fill: Fill,
    zone: Option<usize>,
    /// What its pods are worth for what it costs.
    rate: f64,
}

impl<'s, 'a, 'b> Packer<'s, 'a, 'b> {
    pub(crate) fn new(schedule: &'s mut Schedule<'a, 'b>, items: Items, placed: &'s mut Placed) -> Self {
        Self { schedule, items, placed, apart: BTreeSet::new() }
    }

    /// Whether what all items cost at least is hardly less than the bar.
    pub(crate) fn is_pointless(&self, bar: Price) -> bool {
        let components = self.components();
        if components.is_empty() {
            return true;
        }
        let bound: f64 = components
            .iter()
            .map(|component| {
                let demand = self.demand(component);
                dot(&demand, &worth(&demand, &offers(&component.bins, 0.0)))
            })
            .sum();
        bound > bar.micros() as f64 * (1.0 - GAIN_MIN)
    }

    /// Packs what can be packed, and notes where it went.
    pub(crate) fn pack(mut self, steps: &mut u64) {
        for component in self.components() {
            self.pack_component(component, steps);
        }
        self.items.take_out_what_is_left(self.schedule);
        for about in self.items.about {
            self.placed.0[about.group].extend(about.places);
        }
    }

    fn components(&self) -> Vec<Component> {
        let mut members: BTreeMap<(usize, CapacityMask), Vec<usize>> = BTreeMap::new();
        for (at, about) in self.items.about.iter().enumerate() {
            members.entry((about.template, about.way)).or_default().push(at);
        }
        let components = members.into_iter().map(|((template, way), members)| {
            let bins = self.bins(template, way, &members);
            Component { template, members, bins }
        });
        components.collect()
    }

    fn bins(&self, template: usize, way: CapacityMask, members: &[usize]) -> Vec<Bin> {
        let template = &self.schedule.problem.templates[template];
        let universe = &self.schedule.problem.universes[template.universe];
        let mut bins = Vec::new();
        for instance_type in 0..universe.len() {
            if !members.iter().any(|at| self.items.about[*at].types.contains(instance_type)) {
                continue;
            }
            let daemons = template.overheads.iter().find(|overhead| overhead.types.contains(instance_type));
            let taken = |axis| daemons.map_or(0, |overhead| amounts::at(&overhead.requests, axis));
            let left =
                |axis| amounts::at(universe.allocatable(instance_type), axis).saturating_sub(taken(axis));
            let mut prices = vec![f64::INFINITY; universe.zones.len()];
            for (zone, _, price) in universe.offerings(instance_type, template.shape.zones, way) {
                prices[zone] = price.micros() as f64;
            }
            let cheapest = prices.iter().copied().fold(f64::INFINITY, f64::min);
            if cheapest.is_finite() {
                let capacity = std::array::from_fn(|axis| left(axis) as f64);
                bins.push(Bin { instance_type, capacity, prices, cheapest });
            }
        }
        bins
    }

    fn demand(&self, component: &Component) -> Row {
        let mut demand = [0.0; AXES_MAX];
        for item in component.members.iter().map(|at| &self.items.items[*at]) {
            for (sum, size) in demand.iter_mut().zip(&item.size) {
                *sum += size * f64::from(item.left);
            }
        }
        demand
    }

    fn pack_component(&mut self, mut component: Component, steps: &mut u64) {
        let mut known = None;
        while *steps > 0 {
            let (items, about) = (&self.items.items, &self.items.about);
            component.members.retain(|at| items[*at].left > 0 && !about[*at].given_up);
            if component.members.is_empty() {
                break;
            }
            let demand = self.demand(&component);
            let bins = std::mem::take(&mut component.bins);
            component.bins = self.useful(bins, &component.members);
            let worth = match &known {
                None => worth(&demand, &offers(&component.bins, NODE_COST)),
                Some(last) => worth(&demand, &near(&component.bins, last)),
            };
            known = Some(worth);
            let Some(proposal) = self.best(&component, &worth, steps) else { break };
            self.carry_out(&component, &proposal);
        }
    }

    /// The types that some item that is left may be on.
    fn useful(&self, mut bins: Vec<Bin>, members: &[usize]) -> Vec<Bin> {
        bins.retain(|bin| members.iter().any(|at| self.items.about[*at].types.contains(bin.instance_type)));
        bins
    }

    /// The node whose pods are worth most for what it costs.
    fn best(&self, component: &Component, worth: &Row, steps: &mut u64) -> Option<Proposal> {
        let zones: BTreeSet<Option<usize>> =
            component.members.iter().map(|at| self.items.items[*at].zone).collect();
        let mut rated: Vec<(f64, usize, Option<usize>)> = Vec::new();
        for (at, bin) in component.bins.iter().enumerate() {
            // No fill is worth more than all of the node.
            let all = dot(worth, &bin.capacity);
            for zone in &zones {
                let price = zone.map_or(bin.cheapest, |zone| bin.prices[zone]);
                if price.is_finite() {
                    rated.push((all / (price + NODE_COST), at, *zone));
                }
            }
        }
        rated.sort_by(|left, right| {
            right.0.total_cmp(&left.0).then((left.1, left.2).cmp(&(right.1, right.2)))
        });
        let mut best: Option<Proposal> = None;
        for (bound, at, zone) in rated {
            if best.as_ref().is_some_and(|best| best.rate >= bound) || *steps == 0 {
                break;
            }
            let bin = &component.bins[at];
            let fill = self.fill(component, (bin, zone), worth, steps);
            if fill.items.is_empty() {
                continue;
            }
            let price = zone.map_or(bin.cheapest, |zone| bin.prices[zone]);
            let rate = fill.worth / (price + NODE_COST);
            if best.as_ref().is_none_or(|best| rate > best.rate) {
                best = Some(Proposal { fill, zone, rate });
            }
        }
        best
    }

    fn fill(
        &self,
        component: &Component,
        (bin, zone): (&Bin, Option<usize>),
        worth: &Row,
        steps: &mut u64,
    ) -> Fill {
        let allowed = |at: &usize| {
            let item = &self.items.items[*at];
            item.left > 0
                && (item.zone.is_none() || item.zone == zone)
                && self.items.about[*at].types.contains(bin.instance_type)
        };
        let allowed: Vec<_> = component.members.iter().copied().filter(allowed).collect();
        let may_join = |item: usize, with: &[(usize, u32)]| {
            self.apart.is_empty() || with.iter().all(|(other, _)| !self.apart.contains(&pair(item, *other)))
        };
        fill(&bin.capacity, (&self.items.items, &allowed), worth, may_join, steps)
    }

    /// Opens the proposed node, as often as there are pods for it. What is refused stays where it was.
    fn carry_out(&mut self, component: &Component, proposal: &Proposal) {
        let zones = proposal.zone.map_or(ZoneMask::MAX, |zone| 1 << zone);
        let pods = &proposal.fill.items;
        let Some((opener, _)) = pods.first().copied() else { return };
        let demand = self.items.about[opener].demand;
        let Ok(place) = self.schedule.open_settled(component.template, demand, zones) else {
            // Another NodePool may do, which is for Karpenter's order to find out.
            self.give_up(opener);
            return;
        };
        let mut joined: Vec<(usize, u32)> = Vec::new();
        for (item, count) in pods {
            let demand = self.items.about[*item].demand;
            match self.schedule.join_settled(place, demand, *count) {
                Ok(()) => {
                    self.note(*item, place, *count);
                    joined.push((*item, *count));
                }
                Err(_) if joined.is_empty() => self.give_up(*item),
                Err(_) => {
                    // Either of those that are there may be why; the first is there in most cases.
                    for (other, _) in &joined {
                        self.apart.insert(pair(*item, *other));
                    }
                }
            }
        }
        if joined.is_empty() {
            self.schedule.take_back_last();
            return;
        }
        let is_limited = !self.schedule.problem.templates[component.template].room.is_unlimited();
        if is_limited || joined.len() < pods.len() {
            self.schedule.settle_charge(place - self.schedule.problem.existing.len());
            return;
        }
        let copies =
            joined.iter().map(|(item, count)| self.items.items[*item].left / count).min().unwrap_or(0);
        let by_demand: Vec<_> =
            joined.iter().map(|(item, count)| (self.items.about[*item].demand, *count)).collect();
        for _ in 0..copies {
            let copy = self.schedule.copy_settled(place, &by_demand);
            joined.iter().for_each(|(item, count)| self.note(*item, copy, *count));
        }
    }

    fn note(&mut self, item: usize, place: Place, count: u32) {
        self.items.items[item].left -= count;
        let places = &mut self.items.about[item].places;
        places.extend(std::iter::repeat_n(place, count as usize));
    }

    /// Leaves the pods of an item to others.
    fn give_up(&mut self, item: usize) {
        self.items.about[item].given_up = true;
    }
}

fn pair(one: usize, other: usize) -> (usize, usize) {
    (one.min(other), one.max(other))
}

fn offers(bins: &[Bin], node_cost: f64) -> Vec<Offer> {
    bins.iter().map(|bin| Offer { capacity: bin.capacity, price: bin.cheapest + node_cost }).collect()
}

/// The offers that were the best at the last worth of resources: with a little less demand the best are among them.
fn near(bins: &[Bin], worth: &Row) -> Vec<Offer> {
    let mut offers = offers(bins, NODE_COST);
    if offers.len() > OFFERS_MAX {
        let rate = |offer: &Offer| dot(worth, &offer.capacity) / offer.price;
        offers.sort_by(|left, right| rate(right).total_cmp(&rate(left)));
        offers.truncate(OFFERS_MAX);
    }
    offers
}
