//! What the nodes of each NodePool cost, hold and carry, added up exactly as time goes by.
//!
//! Rates change at events only, so a sum over time is a sum over the spans between events. All of it is in integers:
//! money in micro-dollars per hour times milliseconds, resources in their units times milliseconds.

use std::collections::BTreeMap;

use whittle_core::model::instance_type::CapacityType;
use whittle_core::model::price::Price;
use whittle_core::model::resources::Resources;
use whittle_core::model::time::{Duration, Timestamp};

/// The name under which nodes without a NodePool are counted.
pub(crate) const NO_POOL: &str = "(none)";

const MILLIS_PER_HOUR: u128 = 3_600_000;

/// All NodePools.
#[derive(Clone, Debug, Default)]
pub(crate) struct Meters {
    pub(crate) pools: BTreeMap<String, Meter>,
    since: Timestamp,
}

/// What a kind of node is called: instance type, zone, capacity type.
pub(crate) type NodeKind = (String, String, CapacityType);

/// One NodePool.
#[derive(Clone, Debug, Default)]
pub(crate) struct Meter {
    pub(crate) rate: Price,
    pub(crate) rate_peak: Price,
    /// Instances that are paid for now, by kind.
    pub(crate) instances: BTreeMap<NodeKind, u64>,
    /// Nodes of somebody else, which nobody here pays for.
    foreign: u64,
    pub(crate) nodes_peak: u64,
    /// What has joined can hold, and what is on it.
    pub(crate) allocatable: Load,
    pub(crate) requested: Load,
    /// Whether any price was an estimate.
    pub(crate) estimated: bool,
    cost: u128,
    pub(crate) time_by_kind: BTreeMap<NodeKind, KindTime>,
    pub(crate) allocatable_time: LoadTime,
    pub(crate) requested_time: LoadTime,
}

/// How often nodes of a kind were launched, how long they ran together, and what that cost.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct KindTime {
    pub(crate) launched: u64,
    pub(crate) millis: u128,
    cost: u128,
    rate: Price,
}

/// CPU and memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Load {
    pub(crate) cpu_millis: u64,
    pub(crate) memory_bytes: u64,
}

/// CPU and memory times milliseconds.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct LoadTime {
    pub(crate) cpu: u128,
    pub(crate) memory: u128,
}

impl Load {
    pub(crate) fn add(&mut self, resources: &Resources) {
        self.cpu_millis = self.cpu_millis.saturating_add(resources.cpu_millis);
        self.memory_bytes = self.memory_bytes.saturating_add(resources.memory_bytes);
    }

    pub(crate) fn take(&mut self, resources: &Resources) {
        self.cpu_millis = self.cpu_millis.saturating_sub(resources.cpu_millis);
        self.memory_bytes = self.memory_bytes.saturating_sub(resources.memory_bytes);
    }
}

impl LoadTime {
    fn add(&mut self, load: Load, millis: u128) {
        self.cpu += u128::from(load.cpu_millis) * millis;
        self.memory += u128::from(load.memory_bytes) * millis;
    }
}

impl KindTime {
    /// Micro-dollars, rounded to nearest.
    pub(crate) fn cost_micros(&self) -> u64 {
        per_hour(self.cost)
    }
}

impl Meter {
    /// Micro-dollars since the beginning, rounded to nearest.
    pub(crate) fn cost_micros(&self) -> u64 {
        per_hour(self.cost)
    }

    /// Instances that are paid for, those on their way included, and nodes of somebody else.
    pub(crate) fn node_count(&self) -> u64 {
        self.instances.values().sum::<u64>() + self.foreign
    }

    /// A node of somebody else is there.
    pub(crate) fn foreign_comes(&mut self) {
        self.foreign += 1;
        self.nodes_peak = self.nodes_peak.max(self.node_count());
    }

    /// A node of somebody else is gone.
    pub(crate) fn foreign_goes(&mut self) {
        self.foreign = self.foreign.saturating_sub(1);
    }

    /// An instance is paid for from now on.
    pub(crate) fn start(&mut self, kind: NodeKind, price: Price, estimated: bool) {
        let time = self.time_by_kind.entry(kind.clone()).or_default();
        time.launched += 1;
        time.rate += price;
        *self.instances.entry(kind).or_default() += 1;
        self.rate += price;
        self.estimated |= estimated;
        self.rate_peak = self.rate_peak.max(self.rate);
        self.nodes_peak = self.nodes_peak.max(self.node_count());
    }

    /// An instance is not paid for any more.
    pub(crate) fn stop(&mut self, kind: &NodeKind, price: Price) {
        self.rate = self.rate - price;
        if let Some(time) = self.time_by_kind.get_mut(kind) {
            time.rate = time.rate - price;
        }
        if let Some(count) = self.instances.get_mut(kind) {
            *count -= 1;
            if *count == 0 {
                self.instances.remove(kind);
            }
        }
    }

    /// The price of an instance that runs has changed.
    pub(crate) fn reprice(&mut self, kind: &NodeKind, old: Price, new: Price) {
        self.rate = (self.rate - old) + new;
        self.rate_peak = self.rate_peak.max(self.rate);
        if let Some(time) = self.time_by_kind.get_mut(kind) {
            time.rate = (time.rate - old) + new;
        }
    }
}

impl Meters {
    /// Meters that begin at a point in time.
    pub(crate) fn new(since: Timestamp) -> Self {
        Self { pools: BTreeMap::new(), since }
    }

    /// The meter of a NodePool.
    pub(crate) fn pool(&mut self, name: &str) -> &mut Meter {
        if !self.pools.contains_key(name) {
            self.pools.insert(name.to_owned(), Meter::default());
        }
        self.pools.entry(name.to_owned()).or_default()
    }

    /// What has been going on until `now` is added up. Call it before anything changes.
    pub(crate) fn advance(&mut self, now: Timestamp) {
        let span: Duration = now.since(self.since);
        let millis = u128::from(span.millis());
        self.since = now;
        if millis == 0 {
            return;
        }
        for meter in self.pools.values_mut() {
            meter.cost += u128::from(meter.rate.micros()) * millis;
            meter.allocatable_time.add(meter.allocatable, millis);
            meter.requested_time.add(meter.requested, millis);
            for (kind, count) in &meter.instances {
                if let Some(time) = meter.time_by_kind.get_mut(kind) {
                    time.millis += u128::from(*count) * millis;
                    time.cost += u128::from(time.rate.micros()) * millis;
                }
            }
        }
    }
}

fn per_hour(micros_times_millis: u128) -> u64 {
    u64::try_from((micros_times_millis + MILLIS_PER_HOUR / 2) / MILLIS_PER_HOUR).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::{CapacityType, Meters, NodeKind, Price, Timestamp};

    #[test]
    fn cost_is_price_times_time_to_the_micro_dollar() {
        let minutes = |minutes: u64| Timestamp::from_millis(minutes * 60_000);
        let kind = |name: &str| -> NodeKind { (name.into(), "a".into(), CapacityType::Spot) };
        let mut meters = Meters::new(minutes(0));
        meters.pool("p").start(kind("x"), Price::from_micros(100_000), false);
        meters.advance(minutes(30));
        meters.pool("p").start(kind("y"), Price::from_micros(60_000), false);
        meters.advance(minutes(40));
        meters.pool("p").reprice(&kind("y"), Price::from_micros(60_000), Price::from_micros(90_000));
        meters.advance(minutes(60));
        meters.pool("p").stop(&kind("x"), Price::from_micros(100_000));
        meters.advance(minutes(120));
        // x: 1 h at 0.1; y: 10 min at 0.06, 20 min and then 1 h at 0.09.
        let meter = &meters.pools["p"];
        assert_eq!(meter.cost_micros(), 100_000 + 10_000 + 30_000 + 90_000);
        assert_eq!(meter.time_by_kind[&kind("x")].cost_micros(), 100_000);
        assert_eq!(meter.rate_peak, Price::from_micros(190_000));
        assert_eq!(meter.node_count(), 1);
    }
}
