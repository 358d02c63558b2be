//! Instance types from a catalogue that may be replaced while the process runs.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Notify, watch};
use whittle_api::convert::node_class::NodeClassSettings;
use whittle_catalog::catalog::Catalog;
use whittle_catalog::live::Part;
use whittle_core::model::instance_type::{CapacityType, InstanceType};
use whittle_core::model::node_pool::NodeClass;
use whittle_core::model::time::Timestamp;
use whittle_kube::intake::InstanceTypes;
use whittle_sim::classes::{Found, Kept, launchable};

/// What nodes that have joined really have. Forgotten at the end of the process, and learned again from the nodes that
/// are there at the start of the next.
#[derive(Debug, Default)]
pub(crate) struct Learned {
    pages: Mutex<Pages>,
    retyped: Arc<Notify>,
}

#[derive(Debug, Default)]
struct Pages {
    /// The least that any node of a class has had of memory, by instance type (Karpenter).
    memory: BTreeMap<String, BTreeMap<String, u64>>,
    /// Each class as it was told last.
    assumed: BTreeMap<String, Arc<[InstanceType]>>,
}

impl Learned {
    /// Nothing is learned yet. `retyped` hears when a class has to be told anew.
    pub(crate) fn new(retyped: Arc<Notify>) -> Self {
        Self { pages: Mutex::default(), retyped }
    }

    fn memory(&self, class: &str) -> BTreeMap<String, u64> {
        self.with(|pages| pages.memory.get(class).cloned().unwrap_or_default())
    }

    fn assumed(&self, class: &NodeClass) {
        self.with(|pages| pages.assumed.insert(class.name.clone(), Arc::clone(&class.instance_types)));
    }

    fn learn(&self, class: &str, kind: &str, memory_bytes: u64) {
        let is_news = self.with(|pages| {
            let least = pages.memory.entry(class.to_owned()).or_default();
            let least = least.entry(kind.to_owned()).or_insert(memory_bytes);
            *least = memory_bytes.min(*least);
            let assumed = pages.assumed.get(class).and_then(|all| all.iter().find(|one| one.name == kind));
            assumed.is_some_and(|assumed| assumed.capacity.memory_bytes != *least)
        });
        if is_news {
            self.retyped.notify_one();
        }
    }

    // Nothing that is done under the lock can leave it half done.
    fn with<T>(&self, change: impl FnOnce(&mut Pages) -> T) -> T {
        change(&mut self.pages.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What the newest catalogue has for a class.
#[derive(Debug)]
pub(crate) struct FromCatalog {
    pub(crate) catalog: watch::Receiver<Catalog>,
    /// How many instances capacity reservations have.
    pub(crate) reserved: watch::Receiver<BTreeMap<String, u32>>,
    pub(crate) learned: Learned,
    pub(crate) region: String,
    pub(crate) kept: Kept,
}

impl InstanceTypes for FromCatalog {
    fn node_class(&self, settings: &NodeClassSettings) -> NodeClass {
        let newest = self.catalog.borrow().clone();
        let memory_bytes = self.learned.memory(&settings.name);
        let found = Found { reserved: self.reserved.borrow().clone(), memory_bytes };
        let class = launchable(settings, (&newest, &self.region), found, self.kept);
        self.learned.assumed(&class);
        class
    }

    fn learn(&self, node_class: &str, instance_type: &str, memory_bytes: u64) {
        self.learned.learn(node_class, instance_type, memory_bytes);
    }

    fn priced(&self) -> BTreeMap<CapacityType, Timestamp> {
        let newest = self.catalog.borrow();
        let parts = [(CapacityType::OnDemand, Part::OnDemandPrices), (CapacityType::Spot, Part::SpotPrices)];
        let found = |(bought, part)| Some((bought, newest.found_at(&self.region, part)?));
        parts.into_iter().filter_map(found).collect()
    }
}

/// A catalogue that nobody renews.
pub(crate) fn unchanging(catalog: Catalog) -> watch::Receiver<Catalog> {
    watch::channel(catalog).1
}

/// No capacity reservation has any instance that somebody knows of.
pub(crate) fn nothing_reserved() -> watch::Receiver<BTreeMap<String, u32>> {
    watch::channel(BTreeMap::new()).1
}

/// Tells the loop of everything that is newer, until nobody renews it any more.
pub(crate) async fn tell_renewals<T>(mut renewed: watch::Receiver<T>, retyped: Arc<Notify>) {
    while renewed.changed().await.is_ok() {
        retyped.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;
    use whittle_core::model::resources::Resources;

    use super::*;

    #[tokio::test]
    async fn the_least_memory_of_a_type_is_learned_and_news_is_only_what_was_not_assumed() {
        let retyped = Arc::new(Notify::new());
        let learned = Learned::new(Arc::clone(&retyped));
        let assume = |memory_bytes| {
            let capacity = Resources { memory_bytes, ..Resources::default() };
            let (labels, overhead, offerings) = Default::default();
            let kind = InstanceType { name: "m5.large".into(), labels, capacity, overhead, offerings };
            let (ready, fingerprint) = Default::default();
            let name = "default".to_owned();
            learned.assumed(&NodeClass { name, ready, fingerprint, instance_types: [kind].into() });
        };
        let is_news = async || timeout(std::time::Duration::ZERO, retyped.notified()).await.is_ok();
        assume(100);
        learned.learn("default", "m5.large", 100);
        assert!(!is_news().await, "it is as it was assumed");
        learned.learn("default", "m5.large", 90);
        assert!(is_news().await);
        assume(90);
        learned.learn("default", "m5.large", 95);
        learned.learn("another", "m5.large", 80);
        assert!(!is_news().await, "another node has more, and of another class nothing was assumed");
        assert_eq!(learned.memory("default"), [("m5.large".to_owned(), 90)].into());
        assert_eq!(learned.memory("another"), [("m5.large".to_owned(), 80)].into());
    }
}
