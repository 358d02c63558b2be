//! What can be bought.

use crate::bindings::capacity::exports::whittle::policy::capacity::Supply;
use crate::bindings::offerings::exports::whittle::policy::offerings::{InstanceType, Offering};
use crate::bindings::policy::whittle::policy::types::{
    CapacityType, History, Instant, Label, Price, Resources,
};

/// How many spans of five minutes `Supply::recent_reclaims` counts.
pub(crate) const RECENT_SPANS: usize = 24;

/// Ten offerings of a capacity type in a zone, the cheapest at $0.05 per hour, with a calm past.
#[must_use]
pub fn supply(capacity_type: CapacityType, zone: &str) -> Supply {
    Supply {
        capacity_type,
        zone: zone.to_owned(),
        offerings: 10,
        unavailable: 0,
        cheapest: 50_000,
        running: 0,
        reclaims: History::default(),
        recent_reclaims: vec![0; RECENT_SPANS],
        shortages: History::default(),
        facts: Vec::new(),
    }
}

/// An instance type with two CPUs and 8 GiB.
#[must_use]
pub fn instance_type(name: &str) -> InstanceType {
    let allocatable = Resources {
        cpu_millis: 1_930,
        memory_bytes: 7 << 30,
        ephemeral_storage_bytes: 17 << 30,
        pods: 29,
        extended: Vec::new(),
    };
    InstanceType { name: name.to_owned(), allocatable, labels: Vec::new(), facts: Vec::new() }
}

/// The instance type at this place of its list, in a zone, at $0.10 per hour, available, with a calm past.
#[must_use]
pub fn offering(instance_type: u32, zone: &str, capacity_type: CapacityType) -> Offering {
    Offering {
        instance_type,
        zone: zone.to_owned(),
        capacity_type,
        price: 100_000,
        estimated: false,
        available: true,
        running: 0,
        reclaims: History::default(),
        shortages: History::default(),
    }
}

impl Supply {
    /// With so many instances running.
    #[must_use]
    pub fn running(mut self, running: u32) -> Self {
        self.running = running;
        self
    }

    /// With so many reclaims within the last hour and the last day.
    #[must_use]
    pub fn reclaimed(mut self, last_hour: u32, last_day: u32) -> Self {
        self.reclaims = History { last_hour, last_day, latest: None };
        self
    }

    /// With reclaims in spans of five minutes, the newest first. What is not said is zero.
    #[must_use]
    pub fn reclaimed_lately(mut self, spans: impl IntoIterator<Item = u32>) -> Self {
        self.recent_reclaims = spans.into_iter().chain(std::iter::repeat(0)).take(RECENT_SPANS).collect();
        self
    }

    /// With the cheapest at this price.
    #[must_use]
    pub fn cheapest_at(mut self, price: Price) -> Self {
        self.cheapest = price;
        self
    }
}

impl InstanceType {
    /// With one more label.
    #[must_use]
    pub fn labelled(mut self, key: &str, value: &str) -> Self {
        self.labels.push(Label { key: key.to_owned(), value: value.to_owned() });
        self
    }

    /// With so much for pods.
    #[must_use]
    pub fn sized(mut self, cpu_millis: u64, memory_bytes: u64) -> Self {
        self.allocatable.cpu_millis = cpu_millis;
        self.allocatable.memory_bytes = memory_bytes;
        self
    }
}

impl Offering {
    /// At a price.
    #[must_use]
    pub fn priced(mut self, price: Price) -> Self {
        self.price = price;
        self
    }

    /// With so many reclaims within the last hour, the latest at this moment.
    #[must_use]
    pub fn reclaimed(mut self, last_hour: u32, latest: Instant) -> Self {
        self.reclaims = History { last_hour, last_day: last_hour, latest: Some(latest) };
        self
    }
}
