//! Opening nodes one after the other, each the best for its price, until no item is left.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use crate::model::price::Price;
use crate::provision::Placed;
use crate::provision::amounts;
use crate::provision::cheap::duals::{AXES, Offer, Row, dot, worth};
use crate::provision::cheap::fill::{Fill, fill};
use crate::provision::cheap::items::Items;
use crate::provision::schedule::Schedule;
use crate::provision::topology::Place;
use crate::provision::universe::ZoneMask;
use crate::provision::universe::ways::CapacityMask;

/// What a node costs besides its price, in micro-dollars per hour: a root volume of 20 GiB and a public address are
/// $0.0022 and $0.005 in us-east-1 (EBS gp3 and VPC price lists, 2026), and agents are licensed by host. It keeps the
/// search from a thousand tiny nodes that are a hair cheaper.
const NODE_COST: f64 = 7_000.0;

/// Below this share of the bar nothing is to be gained.
const GAIN_MIN: f64 = 0.002;

/// How often each item is looked at for a node that is opened: some types are filled, in some rounds each.
const STEPS_FOR_EACH: u64 = 18;

/// How many types stay in the running when the worth of resources is worked out again for a little less demand.
const NEAR_MAX: usize = 96;

/// How many nodes are opened until all types are in the running again.
const REFRESH_EVERY: u32 = 16;

/// How many types are filled for each node that is opened: those that could be best.
const FILLS_MAX: usize = 24;

/// How many items a fill chooses from. With more, most are much like others.
const CANDIDATES_MAX: usize = 256;

/// How many of these are the largest: whoever is put off too long finds no room.
const LARGEST: usize = 96;

/// A fill that is so good, compared with what any other could be, ends the search.
const GOOD_ENOUGH: f64 = 0.99;

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

impl Bin {
    /// What a node of this type costs in a zone, or in the cheapest.
    fn cost(&self, zone: Option<usize>) -> f64 {
        zone.map_or(self.cheapest, |zone| self.prices[zone]) + NODE_COST
    }
}

/// The most that a type could be worth for its price, which type that is, and in which zone.
type Rated = (f64, usize, Option<usize>);

/// Items that may share nodes: of one NodePool, and bought in one way.
struct Component {
    template: usize,
    /// Those that are left, those that are worth most first.
    members: Vec<usize>,
    bins: Vec<Bin>,
    /// What the members ask for together.
    demand: Row,
}

/// A proposal for a node.
struct Proposal {
    fill: Fill,
    zone: Option<usize>,
    /// What its pods are worth for what it costs.
    rate: f64,
}

/// About how many steps it takes to pack so many groups onto so many nodes.
pub(crate) fn steps_expected(groups: usize, nodes: usize) -> u64 {
    groups.min(CANDIDATES_MAX) as u64 * nodes as u64 * STEPS_FOR_EACH
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
            .map(|component| dot(&component.demand, &worth(&component.demand, &offers(&component.bins, 0.0))))
            .sum();
        bound > bar.micros() as f64 * (1.0 - GAIN_MIN)
    }

    /// Packs what can be packed, and notes where it went. Tells the rules that count fewer pods than when others were
    /// given their zones.
    pub(crate) fn pack(mut self, steps: &mut u64) -> BTreeSet<usize> {
        for component in self.components() {
            self.pack_component(component, steps);
        }
        let lost = self.items.take_out_what_is_left(self.schedule);
        for about in self.items.about {
            self.placed.0[about.group].extend(about.places);
        }
        lost
    }

    fn components(&self) -> Vec<Component> {
        let mut members: BTreeMap<(usize, CapacityMask), Vec<usize>> = BTreeMap::new();
        for (at, about) in self.items.about.iter().enumerate() {
            members.entry((about.template, about.way)).or_default().push(at);
        }
        let components = members.into_iter().map(|((template, way), members)| {
            let bins = self.bins(template, way, &members);
            let demand = self.demand(&members);
            Component { template, members, bins, demand }
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

    fn demand(&self, members: &[usize]) -> Row {
        let mut demand = [0.0; AXES];
        for item in members.iter().map(|at| &self.items.items[*at]) {
            for (sum, size) in demand.iter_mut().zip(&item.size) {
                *sum += size * f64::from(item.left);
            }
        }
        demand
    }

    fn pack_component(&mut self, mut component: Component, steps: &mut u64) {
        let mut offers = self::offers(&component.bins, NODE_COST);
        let value = worth(&component.demand, &offers);
        let items = &self.items.items;
        component.members.sort_by(|left, right| {
            dot(&value, &items[*right].size).total_cmp(&dot(&value, &items[*left].size))
        });
        let mut near = Vec::new();
        let mut opened = 0_u32;
        while *steps > 0 {
            if self.retain_members(&mut component) || opened.is_multiple_of(REFRESH_EVERY) {
                self.keep_useful(&mut component);
                component.demand = self.demand(&component.members);
                offers = self::offers(&component.bins, NODE_COST);
                near.clear();
            }
            if component.members.is_empty() {
                break;
            }
            let worth = worth(&component.demand, &offers);
            keep_near(&mut offers, &worth);
            if near.is_empty() {
                near = near_bins(&component.bins, &worth);
            }
            let Some(proposal) = self.best((&component, &near), &worth, steps) else { break };
            self.carry_out(&mut component, &proposal);
            opened += 1;
        }
    }

    /// Drops the members of which none is left. Says whether there were any.
    fn retain_members(&self, component: &mut Component) -> bool {
        let before = component.members.len();
        let (items, about) = (&self.items.items, &self.items.about);
        component.members.retain(|at| items[*at].left > 0 && !about[*at].given_up);
        component.members.len() < before
    }

    /// Drops the types that no item that is left may be on.
    fn keep_useful(&self, component: &mut Component) {
        let Some((first, rest)) = component.members.split_first() else { return };
        let mut types = self.items.about[*first].types.clone();
        rest.iter().for_each(|at| types.unite(&self.items.about[*at].types));
        component.bins.retain(|bin| types.contains(bin.instance_type));
    }

    /// The node whose pods are worth most for what it costs.
    fn best(
        &self,
        (component, near): (&Component, &[usize]),
        worth: &Row,
        steps: &mut u64,
    ) -> Option<Proposal> {
        let candidates = candidates(&component.members);
        let mut zones: BTreeSet<Option<usize>> =
            candidates.iter().map(|at| self.items.items[*at].zone).collect();
        // A node in a zone can hold what is bound to none as well, so that one in none is not better.
        if zones.len() > 1 {
            zones.remove(&None);
        }
        let mut rated: Vec<Rated> = Vec::with_capacity(near.len() * zones.len());
        for at in near.iter().copied() {
            let bin = &component.bins[at];
            // No fill is worth more than all of the node.
            let all = dot(worth, &bin.capacity);
            for zone in &zones {
                let cost = bin.cost(*zone);
                if cost.is_finite() {
                    rated.push((all / cost, at, *zone));
                }
            }
        }
        keep_best(&mut rated, FILLS_MAX);
        let mut best: Option<Proposal> = None;
        for (bound, at, zone) in rated {
            if best.as_ref().is_some_and(|best| best.rate >= bound * GOOD_ENOUGH) || *steps == 0 {
                break;
            }
            let bin = &component.bins[at];
            let fill = self.fill(&candidates, (bin, zone), worth, steps);
            let rate = fill.worth / bin.cost(zone);
            if !fill.items.is_empty() && best.as_ref().is_none_or(|best| rate > best.rate) {
                best = Some(Proposal { fill, zone, rate });
            }
        }
        best
    }

    fn fill(
        &self,
        candidates: &[usize],
        (bin, zone): (&Bin, Option<usize>),
        worth: &Row,
        steps: &mut u64,
    ) -> Fill {
        let allowed = |at: &usize| {
            let item = &self.items.items[*at];
            (item.zone.is_none() || item.zone == zone)
                && self.items.about[*at].types.contains(bin.instance_type)
        };
        let allowed: Vec<_> = candidates.iter().copied().filter(allowed).collect();
        let may_join = |item: usize, with: &[(usize, u32)]| {
            self.apart.is_empty() || with.iter().all(|(other, _)| !self.apart.contains(&pair(item, *other)))
        };
        fill(&bin.capacity, (&self.items.items, &allowed), worth, may_join, steps)
    }

    /// Opens the proposed node, as often as there are pods for it. What is refused stays where it was.
    fn carry_out(&mut self, component: &mut Component, proposal: &Proposal) {
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
                    self.note(&mut component.demand, *item, (place, *count));
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
        self.schedule.settle_charge(place - self.schedule.problem.existing.len());
        if joined.len() < pods.len() {
            return;
        }
        let copies =
            joined.iter().map(|(item, count)| self.items.items[*item].left / count).min().unwrap_or(0);
        let copies = copies.min(self.schedule.copies_within_limits(place));
        let by_demand: Vec<_> =
            joined.iter().map(|(item, count)| (self.items.about[*item].demand, *count)).collect();
        for _ in 0..copies {
            let copy = self.schedule.copy_settled(place, &by_demand);
            for (item, count) in &joined {
                self.note(&mut component.demand, *item, (copy, *count));
            }
        }
    }

    fn note(&mut self, demand: &mut Row, item: usize, (place, count): (Place, u32)) {
        self.items.items[item].left -= count;
        for (sum, size) in demand.iter_mut().zip(&self.items.items[item].size) {
            *sum -= size * f64::from(count);
        }
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

/// Keeps the offers that are the best at this worth of resources: with a little less demand the best are among them.
fn keep_near(offers: &mut Vec<Offer>, worth: &Row) {
    if offers.len() > NEAR_MAX {
        let rate = |offer: &Offer| dot(worth, &offer.capacity) / offer.price;
        offers.select_nth_unstable_by(NEAR_MAX, |left, right| rate(right).total_cmp(&rate(left)));
        offers.truncate(NEAR_MAX);
    }
}

/// The types that are the best at this worth of resources.
fn near_bins(bins: &[Bin], worth: &Row) -> Vec<usize> {
    let rated = bins.iter().enumerate();
    let mut rated: Vec<Rated> =
        rated.map(|(at, bin)| (dot(worth, &bin.capacity) / bin.cost(None), at, None)).collect();
    keep_best(&mut rated, NEAR_MAX);
    rated.into_iter().map(|(_, at, _)| at).collect()
}

/// Keeps the best, in order.
fn keep_best(rated: &mut Vec<Rated>, most: usize) {
    let by_rate = |left: &Rated, right: &Rated| {
        right.0.total_cmp(&left.0).then((left.1, left.2).cmp(&(right.1, right.2)))
    };
    if rated.len() > most {
        rated.select_nth_unstable_by(most, by_rate);
        rated.truncate(most);
    }
    rated.sort_unstable_by(by_rate);
}

/// The items that a fill chooses from: the largest, and evenly many of all sizes below.
fn candidates(members: &[usize]) -> Cow<'_, [usize]> {
    if members.len() <= CANDIDATES_MAX {
        return Cow::Borrowed(members);
    }
    let (largest, rest) = members.split_at(LARGEST);
    let every = rest.len().div_ceil(CANDIDATES_MAX - LARGEST);
    largest.iter().chain(rest.iter().step_by(every)).copied().collect::<Vec<_>>().into()
}
