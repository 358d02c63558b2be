//! The cloud: instances that are launched, join, are taken back and end; capacity that runs out; prices that change.
//!
//! Which of the listed offerings EC2 would choose is a model. The capacity type is the first one listed in the order
//! reserved, spot, on-demand. On demand, the cheapest offering is taken (CreateFleet, `lowest-price`). For spot,
//! `price-capacity-optimized` weighs price against how deep a pool is, which EC2 keeps to itself; here a pool counts
//! as shallow by its published rate of reclaims: the price is raised by that share, and the cheapest is taken.

use whittle_core::event::{Event, Notice, NoticeKind};
use whittle_core::lifecycle::leftover::Running;
use whittle_core::model::instance_type::{CapacityType, InstanceType, Offering, Reservation};
use whittle_core::model::labels;
use whittle_core::model::node::{Instance, Node, NodeClaim};
use whittle_core::model::price::Price;
use whittle_core::model::requirement::{Taint, TaintEffect};
use whittle_core::model::time::{Duration, Timestamp};
use whittle_core::plan::LaunchOffering;

use super::{Happening, World, pods::End};
use crate::journal::EntryKind;
use crate::meter::{NO_POOL, NodeKind};
use crate::script::InstanceFilter;
use crate::words::rounded;

/// How long EC2 warns before it takes a spot instance back (EC2: "Spot Instance interruption notices").
pub(crate) const RECLAIM_NOTICE: Duration = Duration::from_secs(120);

const MILLIS_PER_HOUR: u64 = 3_600_000;

/// An instance.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    pub(crate) instance: Instance,
    pub(crate) claim: String,
    pub(crate) node: Option<String>,
    pub(crate) pool: String,
    pub(crate) estimated: bool,
    pub(crate) phase: Phase,
    noticed: bool,
}

/// How far an instance is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// It runs and is paid for.
    Running,
    /// It shuts down and is not paid for any more (EC2: "Instance lifecycle").
    ShuttingDown,
    /// It is gone.
    Gone,
}

/// Offerings that the cloud does not have for a while.
#[derive(Clone, Debug)]
pub(super) struct Shortage {
    pub(super) filter: InstanceFilter,
    pub(super) until: Timestamp,
}

/// A change of prices, in parts per million of the price before.
#[derive(Clone, Debug)]
pub(super) struct PriceFactor {
    pub(super) filter: InstanceFilter,
    pub(super) parts_per_million: u64,
}

/// What the cloud answers to a launch.
pub(super) enum Launched {
    /// This instance.
    Instance(Box<Instance>),
    /// It has none of them.
    NoCapacity,
    /// It does not know the class or none of the types.
    Rejected(String),
}

impl Machine {
    pub(crate) fn kind(&self) -> NodeKind {
        let Instance { instance_type, zone, capacity_type, .. } = &self.instance;
        (instance_type.clone(), zone.clone(), *capacity_type)
    }

    fn suits(&self, filter: &InstanceFilter) -> bool {
        let Instance { instance_type, zone, capacity_type, .. } = &self.instance;
        filter.suits(instance_type, zone, *capacity_type)
            && filter.node_pool.as_ref().is_none_or(|pool| *pool == self.pool)
    }
}

impl World {
    /// Launches an instance for a claim, or gives the one that there is.
    pub(super) fn launch(&mut self, claim: &NodeClaim, offerings: &[LaunchOffering]) -> Launched {
        if let Some(known) = self.machine_of_claim.get(&claim.name).and_then(|id| self.machines.get(id)) {
            return Launched::Instance(Box::new(known.instance.clone()));
        }
        let Some(class) = self.classes.get(&claim.node_class) else {
            return Launched::Rejected(format!("EC2NodeClass {} does not exist", claim.node_class));
        };
        let now = self.now;
        self.shortages.retain(|shortage| shortage.until > now);
        let types = std::sync::Arc::clone(&class.instance_types);
        let choices: Vec<_> = offerings.iter().filter_map(|listed| find_offering(&types, listed)).collect();
        if choices.is_empty() {
            return Launched::Rejected("none of the offerings is in the EC2NodeClass".to_owned());
        }
        let to_be_had = choices.into_iter().filter(|(kind, offering)| {
            let is_short = |shortage: &Shortage| {
                let filter = &shortage.filter;
                // What is reserved is there when all else has run out.
                let is_meant = offering.reservation.is_none() || filter.capacity_type.is_some();
                is_meant && filter.suits(&kind.name, &offering.zone, offering.capacity_type)
            };
            let is_left = offering.reservation.as_ref().is_none_or(|one| self.is_left_of(one));
            offering.available && is_left && !self.shortages.iter().any(is_short)
        });
        let chosen = to_be_had.min_by_key(|(kind, offering)| {
            let weighed = match offering.capacity_type {
                CapacityType::Spot => {
                    offering.price.scaled(1_000_000 + self.reclaims_ppm(&kind.name, &offering.zone))
                }
                // What it would cost on demand, because what is reserved costs next to nothing.
                CapacityType::Reserved => on_demand_price(kind, offering),
                CapacityType::OnDemand => offering.price,
            };
            (offering.capacity_type, weighed, kind.name.clone(), offering.zone.clone())
        });
        let Some((kind, offering)) = chosen else { return Launched::NoCapacity };
        let instance = self.new_instance(kind, offering);
        self.start_machine(claim, instance.clone(), offering.estimated);
        Launched::Instance(Box::new(instance))
    }

    /// Whether a capacity reservation has an instance that does not run.
    fn is_left_of(&self, reservation: &Reservation) -> bool {
        let here = |machine: &&Machine| {
            machine.phase != Phase::Gone && machine.instance.reservation.as_ref() == Some(&reservation.id)
        };
        self.machines.values().filter(here).count() < reservation.instances as usize
    }

    fn new_instance(&mut self, kind: &InstanceType, offering: &Offering) -> Instance {
        self.machines_made += 1;
        let id = self.chances.names.next() >> 4 << 8 | self.machines_made & 0xff;
        Instance {
            provider_id: format!("aws:///{}/i-0{id:016x}", offering.zone),
            instance_type: kind.name.clone(),
            zone: offering.zone.clone(),
            capacity_type: offering.capacity_type,
            reservation: offering.reservation.as_ref().map(|one| one.id.clone()),
            price: offering.price,
            capacity: kind.capacity.clone(),
            allocatable: kind.allocatable(),
            launched: self.now,
        }
    }

    fn start_machine(&mut self, claim: &NodeClaim, instance: Instance, estimated: bool) {
        let id = instance.provider_id.clone();
        let machine = Machine {
            claim: claim.name.clone(),
            node: None,
            pool: claim.node_pool.clone(),
            estimated,
            phase: Phase::Running,
            noticed: false,
            instance,
        };
        self.meters.pool(&machine.pool).start(machine.kind(), machine.instance.price, estimated);
        self.machine_of_claim.insert(claim.name.clone(), id.clone());
        self.schedule_reclaim(&machine);
        self.machines.insert(id.clone(), machine);
        let join = self.boot_time(self.setup.timings.join);
        self.enter_after(join, Happening::Joins(id));
    }

    /// A node that has joined and whose NodeClaim is not initialized goes on where it was.
    pub(super) fn boot_on(&mut self, id: &str, node: &Node) {
        let is_done = |claim: &NodeClaim| claim.initialized.is_some() || claim.deleting.is_some();
        let claim = self.machines.get(id).and_then(|machine| self.node_claims.get(&machine.claim));
        if claim.is_none_or(is_done) {
            return;
        }
        if node.ready {
            let startup = self.boot_time(self.setup.timings.startup_taints);
            self.enter_after(startup, Happening::StartupDone(id.to_owned()));
        } else {
            let ready = self.boot_time(self.setup.timings.ready);
            let gone_by = self.now.since(node.created);
            self.enter_after(ready.saturating_sub(gone_by), Happening::Ready(id.to_owned()));
        }
    }

    fn boot_time(&mut self, usual: Duration) -> Duration {
        Duration::from_millis(self.chances.boot.jittered(usual.millis(), self.setup.timings.jitter_percent))
    }

    /// The share of spot instances of a pool that EC2 takes back in a month, in millionths.
    fn reclaims_ppm(&self, instance_type: &str, zone: &str) -> u64 {
        let rate = self.setup.catalog.reclaim_rate(&self.setup.region, instance_type, zone);
        rate.map_or(0, |rate| rate.per_month_ppm)
    }

    /// Draws when EC2 takes an instance back, hour by hour, if the scenario wants reclaims.
    fn schedule_reclaim(&mut self, machine: &Machine) {
        let Instance { instance_type, zone, capacity_type: CapacityType::Spot, provider_id, .. } =
            &machine.instance
        else {
            return;
        };
        if !self.setup.draws_reclaims {
            return;
        }
        let rate = self.setup.catalog.reclaim_rate(&self.setup.region, instance_type, zone);
        let Some(rate) = rate else { return };
        let chance_per_hour = rate.per_hour_ppb;
        let hours = self.setup.end.since(self.now).millis().div_ceil(MILLIS_PER_HOUR);
        let hit = (0..hours).find(|_| self.chances.reclaim.below(1_000_000_000) < chance_per_hour);
        if let Some(hour) = hit {
            let within = self.chances.reclaim.below(MILLIS_PER_HOUR);
            let at = self.now + Duration::from_millis(hour * MILLIS_PER_HOUR + within);
            self.agenda.enter(at, Happening::Reclaim(provider_id.clone()));
        }
    }

    /// An instance has booted: its kubelet makes a Node.
    pub(super) fn machine_joins(&mut self, id: &str) {
        let Some(machine) = self.machines.get(id).filter(|machine| machine.phase == Phase::Running) else {
            return;
        };
        if machine.node.is_some() {
            // Its Node was there from the start, and only its NodeClaim did not say so yet.
            return;
        }
        let Some(claim) = self.node_claims.get(&machine.claim) else { return };
        let node = new_node(claim, &machine.instance, &self.setup.region, self.now);
        let (name, pool) = (node.name.clone(), machine.pool.clone());
        if let Some(machine) = self.machines.get_mut(id) {
            machine.node = Some(name.clone());
        }
        self.machine_of_node.insert(name.clone(), id.to_owned());
        self.meters.pool(&pool).allocatable.add(&node.allocatable);
        self.nodes.insert(name.clone(), node);
        self.publish_node(&name);
        let ready = self.boot_time(self.setup.timings.ready);
        self.enter_after(ready, Happening::Ready(id.to_owned()));
    }

    /// The kubelet says that its node is ready.
    pub(super) fn machine_ready(&mut self, id: &str) {
        let Some(name) = self.running_node(id) else { return };
        let Some(node) = self.nodes.get_mut(&name) else { return };
        node.ready = true;
        node.taints.retain(|taint| taint.key != labels::NOT_READY_TAINT);
        let launched = self.machines[id].instance.launched;
        let pool = self.machines[id].pool.clone();
        let text = format!("is ready, {} after its launch", rounded(self.now.since(launched)));
        self.note(EntryKind::Ready, Some(&pool), &name, text);
        self.publish_node(&name);
        let startup = self.boot_time(self.setup.timings.startup_taints);
        self.enter_after(startup, Happening::StartupDone(id.to_owned()));
    }

    /// Whoever put startup taints on the node takes them off.
    pub(super) fn startup_done(&mut self, id: &str) {
        let Some(name) = self.running_node(id) else { return };
        let Some(claim) = self.node_claims.get(&self.machines[id].claim) else { return };
        let startup = claim.startup_taints.clone();
        let Some(node) = self.nodes.get_mut(&name) else { return };
        let before = node.taints.len();
        node.taints.retain(|taint| !startup.contains(taint));
        if node.taints.len() != before {
            self.publish_node(&name);
        }
    }

    fn running_node(&self, id: &str) -> Option<String> {
        self.machines.get(id).filter(|machine| machine.phase == Phase::Running)?.node.clone()
    }

    /// EC2 announces that it takes an instance back.
    pub(super) fn reclaim(&mut self, id: &str) {
        self.announce(id, NoticeKind::Reclaim, RECLAIM_NOTICE);
    }

    /// EC2 says something about an instance, so long before it happens. What has an end has one only.
    pub(super) fn announce(&mut self, id: &str, kind: NoticeKind, ahead: Duration) {
        let deadline = self.now + ahead;
        let Some(machine) = self.machines.get_mut(id).filter(|machine| machine.phase == Phase::Running)
        else {
            return;
        };
        let ends = kind != NoticeKind::Rebalance;
        if ends && std::mem::replace(&mut machine.noticed, true) {
            return;
        }
        let what = match kind {
            NoticeKind::Reclaim => "gone in two minutes".to_owned(),
            NoticeKind::StateChange => format!("stops in {ahead}"),
            NoticeKind::Maintenance => format!("retired for maintenance in {ahead}"),
            NoticeKind::Rebalance => "may be taken back before long".to_owned(),
        };
        let (pool, claim) = (machine.pool.clone(), machine.claim.clone());
        let text = format!("{} in {}: {what}", machine.instance.instance_type, machine.instance.zone);
        self.note(EntryKind::Notice, Some(&pool), &claim, text);
        self.outbox.push(Event::Notice(Notice {
            provider_id: id.to_owned(),
            kind,
            received: self.now,
            deadline,
        }));
        if ends {
            self.agenda.enter(deadline, Happening::ReclaimDeadline(id.to_owned()));
        }
    }

    /// The time of an instance is up.
    pub(super) fn reclaim_deadline(&mut self, id: &str) {
        let Some(machine) = self.machines.get(id).filter(|machine| machine.phase == Phase::Running) else {
            return;
        };
        let (pool, claim) = (machine.pool.clone(), machine.claim.clone());
        self.note(EntryKind::Reclaimed, Some(&pool), &claim, "is taken back by EC2".to_owned());
        self.stop_paying(id);
        self.machine_gone(id);
    }

    /// The plan ends an instance.
    pub(super) fn terminate(&mut self, id: &str) {
        let is_running = self.machines.get(id).is_some_and(|machine| machine.phase == Phase::Running);
        if is_running {
            self.stop_paying(id);
            self.enter_after(self.setup.timings.terminate, Happening::Gone(id.to_owned()));
        }
    }

    /// The instances that run.
    pub(super) fn running(&self) -> Vec<Running> {
        let running = self.machines.values().filter(|machine| machine.phase == Phase::Running);
        let listed = running.map(|machine| Running {
            provider_id: machine.instance.provider_id.clone(),
            claim: machine.claim.clone(),
            capacity_type: machine.instance.capacity_type,
            launched: machine.instance.launched,
        });
        listed.collect()
    }

    fn stop_paying(&mut self, id: &str) {
        self.capture_peak();
        let Some(machine) = self.machines.get_mut(id) else { return };
        machine.phase = Phase::ShuttingDown;
        let ran = rounded(self.now.since(machine.instance.launched));
        let text =
            format!("{} in {} ends after {ran}", machine.instance.instance_type, machine.instance.zone);
        let (kind, price) = (machine.kind(), machine.instance.price);
        let (pool, claim) = (machine.pool.clone(), machine.claim.clone());
        self.meters.pool(&pool).stop(&kind, price);
        self.note(EntryKind::Ended, Some(&pool), &claim, text);
    }

    /// The most nodes there have been are known when the first of them ends.
    pub(crate) fn capture_peak(&mut self) {
        let count: u64 = self.meters.pools.values().map(crate::meter::Meter::node_count).sum();
        if self.peak.as_ref().is_none_or(|peak| (peak.nodes.len() as u64) < count) {
            self.peak = Some(crate::record::nodes::node_list(self));
        }
    }

    /// The instance is gone, and so is everything on it. Its Node stays until somebody lets go of it.
    pub(super) fn machine_gone(&mut self, id: &str) {
        let Some(machine) = self.machines.get_mut(id).filter(|machine| machine.phase != Phase::Gone) else {
            return;
        };
        machine.phase = Phase::Gone;
        let (node, pool) = (machine.node.clone(), machine.pool.clone());
        let Some(name) = node else { return };
        self.lose_pods_on(&name, End::Lost);
        let now = self.now;
        let Some(node) = self.nodes.get_mut(&name) else { return };
        self.meters.pool(&pool).allocatable.take(&node.allocatable);
        node.ready = false;
        node.deleting = node.deleting.or(Some(now));
        for effect in [TaintEffect::NoSchedule, TaintEffect::NoExecute] {
            node.taints.push(Taint {
                key: labels::UNREACHABLE_TAINT.to_owned(),
                value: String::new(),
                effect,
            });
        }
        self.publish_node(&name);
    }

    /// The instances of a filter that run, by id.
    pub(super) fn running_machines(&self, filter: &InstanceFilter) -> Vec<String> {
        let running = self.machines.iter().filter(|(_, machine)| {
            machine.phase == Phase::Running && !machine.noticed && machine.suits(filter)
        });
        running.map(|(id, _)| id.clone()).collect()
    }

    /// An instance that is there from the start.
    pub(super) fn take_in_machine(&mut self, claim: &NodeClaim, instance: &Instance) {
        let id = instance.provider_id.clone();
        let estimated = self.is_estimated(&claim.node_class, instance);
        let pool = if claim.node_pool.is_empty() { NO_POOL.to_owned() } else { claim.node_pool.clone() };
        let machine = Machine {
            instance: instance.clone(),
            claim: claim.name.clone(),
            node: None,
            pool,
            estimated,
            phase: Phase::Running,
            noticed: false,
        };
        self.meters.pool(&machine.pool).start(machine.kind(), instance.price, estimated);
        self.machine_of_claim.insert(claim.name.clone(), id.clone());
        self.schedule_reclaim(&machine);
        self.machines.insert(id.clone(), machine);
        if claim.node.is_none() {
            let join = self.boot_time(self.setup.timings.join);
            let flown = self.now.since(instance.launched);
            self.enter_after(join.saturating_sub(flown), Happening::Joins(id));
        }
    }

    fn is_estimated(&self, class: &str, instance: &Instance) -> bool {
        let listed = LaunchOffering {
            instance_type: instance.instance_type.clone(),
            zone: instance.zone.clone(),
            capacity_type: instance.capacity_type,
            reservation: instance.reservation.clone(),
            price: instance.price,
        };
        self.is_offering_estimated(class, &listed)
    }

    /// Whether the price of an offering is an estimate.
    pub(crate) fn is_offering_estimated(&self, class: &str, listed: &LaunchOffering) -> bool {
        let class = self.classes.get(class);
        class.and_then(|class| find_offering(&class.instance_types, listed)).is_some_and(|(_, o)| o.estimated)
    }

    /// Prices change, also those of instances that run.
    pub(super) fn change_prices(&mut self, factor: PriceFactor) {
        for class in self.classes.values_mut() {
            apply_factor(class, &factor);
            self.outbox.push(Event::NodeClass(class.clone()));
        }
        let ids: Vec<String> = self.machines.keys().cloned().collect();
        for id in ids {
            let Some(machine) = self.machines.get_mut(&id) else { continue };
            if machine.phase != Phase::Running || !machine.suits(&factor.filter) {
                continue;
            }
            let (old, new) =
                (machine.instance.price, machine.instance.price.scaled(factor.parts_per_million));
            machine.instance.price = new;
            let (kind, pool, claim) = (machine.kind(), machine.pool.clone(), machine.claim.clone());
            self.meters.pool(&pool).reprice(&kind, old, new);
            if let Some(instance) = self.node_claims.get_mut(&claim).and_then(|claim| claim.instance.as_mut())
            {
                instance.price = new;
                self.publish_claim(&claim);
            }
        }
        self.factors.push(factor);
    }

    /// A class is there or has changed; what has happened to prices since the start holds for it as well.
    pub(super) fn put_class(&mut self, mut class: whittle_core::model::node_pool::NodeClass) {
        for factor in &self.factors {
            apply_factor(&mut class, factor);
        }
        self.outbox.push(Event::NodeClass(class.clone()));
        self.classes.insert(class.name.clone(), class);
    }
}

fn apply_factor(class: &mut whittle_core::model::node_pool::NodeClass, factor: &PriceFactor) {
    let mut types = class.instance_types.to_vec();
    for kind in &mut types {
        for offering in &mut kind.offerings {
            if factor.filter.suits(&kind.name, &offering.zone, offering.capacity_type)
                && offering.price != Price::MAX
            {
                offering.price = offering.price.scaled(factor.parts_per_million);
            }
        }
    }
    class.instance_types = types.into();
}

fn find_offering<'a>(
    types: &'a [InstanceType],
    listed: &LaunchOffering,
) -> Option<(&'a InstanceType, &'a Offering)> {
    let kind = types.iter().find(|kind| kind.name == listed.instance_type)?;
    Some((kind, kind.offering(&listed.zone, listed.capacity_type, listed.reservation.as_deref())?))
}

fn on_demand_price(kind: &InstanceType, reserved: &Offering) -> Price {
    let on_demand = kind.offering(&reserved.zone, CapacityType::OnDemand, None);
    on_demand.map_or(Price::MAX, |offering| offering.price)
}

/// The Node as its kubelet makes it: with everything that the claim says, not registered, not ready.
fn new_node(claim: &NodeClaim, instance: &Instance, region: &str, now: Timestamp) -> Node {
    let id = instance.provider_id.rsplit_once('/').map_or("", |(_, id)| id);
    let name = format!("{id}.{region}.compute.internal");
    let mut node_labels = claim.labels.clone();
    node_labels.insert(labels::HOSTNAME.to_owned(), name.clone());
    let mut taints: Vec<Taint> = claim.taints.iter().chain(&claim.startup_taints).cloned().collect();
    let own = [
        (labels::UNREGISTERED_TAINT, TaintEffect::NoExecute),
        (labels::NOT_READY_TAINT, TaintEffect::NoSchedule),
    ];
    for (key, effect) in own {
        taints.push(Taint { key: key.to_owned(), value: String::new(), effect });
    }
    Node {
        name,
        provider_id: instance.provider_id.clone(),
        labels: node_labels,
        taints,
        capacity: instance.capacity.clone(),
        allocatable: instance.allocatable.clone(),
        ready: false,
        conditions: Vec::new(),
        do_not_disrupt: false,
        held: true,
        created: now,
        deleting: None,
    }
}
