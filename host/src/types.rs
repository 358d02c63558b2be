//! Instance types from a catalogue that may be replaced while the process runs.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::{Notify, watch};
use whittle_api::convert::node_class::NodeClassSettings;
use whittle_catalog::catalog::Catalog;
use whittle_catalog::live::Part;
use whittle_core::model::instance_type::CapacityType;
use whittle_core::model::node_pool::NodeClass;
use whittle_core::model::time::Timestamp;
use whittle_kube::intake::{InstanceTypes, Joined};
use whittle_sim::classes::{Found, Kept, launchable};

use crate::learned::Learned;

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
        let mut class = launchable(settings, (&newest, &self.region), found, self.kept);
        self.learned.tell(&mut class);
        class
    }

    fn learn(&self, joined: &Joined<'_>) {
        self.learned.learn(joined);
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
