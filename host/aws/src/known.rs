//! What is known of the account at this moment, shared by those who find it and those who launch: EC2NodeClasses with
//! what they select, and the cluster.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use tokio::sync::{Notify, watch};
use whittle_api::node_class::Ec2NodeClass;

use crate::addresses::Addresses;
use crate::cluster::Cluster;
use crate::error::Failure;

/// How many instances capacity reservations have for this cluster, by id: those of them included that run in them already.
pub type ReservedCounts = BTreeMap<String, u32>;

/// What is known.
#[derive(Debug, Default)]
pub struct Known {
    pages: RwLock<Pages>,
    looked: Notify,
    pub(crate) addresses: Addresses,
    reserved: watch::Sender<ReservedCounts>,
}

#[derive(Debug, Default)]
struct Pages {
    classes: BTreeMap<String, Arc<Ec2NodeClass>>,
    cluster: Option<Arc<Cluster>>,
    cluster_missing: Option<Failure>,
}

impl Known {
    /// A class, whose status says what was found for its spec just now.
    pub fn put_class(&self, class: Ec2NodeClass) {
        let name = class.metadata.name.clone().unwrap_or_default();
        self.write(|pages| drop(pages.classes.insert(name, Arc::new(class))));
    }

    /// A class is gone.
    pub fn remove_class(&self, name: &str) {
        self.write(|pages| drop(pages.classes.remove(name)));
    }

    /// A class with what was found for it; `None` before anybody has looked.
    #[must_use]
    pub fn class(&self, name: &str) -> Option<Arc<Ec2NodeClass>> {
        self.read(|pages| pages.classes.get(name).cloned())
    }

    /// Capacity reservations have so many instances. Those that are not named have as many as they had.
    pub fn put_reserved(&self, counts: ReservedCounts) {
        self.reserved.send_if_modified(|known| {
            let is_news = counts.iter().any(|(id, count)| known.get(id) != Some(count));
            known.extend(counts);
            is_news
        });
    }

    /// How many instances capacity reservations have; whoever holds it hears of changes.
    #[must_use]
    pub fn reserved(&self) -> watch::Receiver<ReservedCounts> {
        self.reserved.subscribe()
    }

    /// The cluster was found.
    pub fn put_cluster(&self, cluster: Cluster) {
        self.write(|pages| {
            pages.cluster = Some(Arc::new(cluster));
            pages.cluster_missing = None;
        });
        self.looked.notify_waiters();
    }

    /// The cluster was not found.
    pub fn put_cluster_missing(&self, why: Failure) {
        self.write(|pages| pages.cluster_missing = Some(why));
        self.looked.notify_waiters();
    }

    /// Waits until the cluster was looked for, whatever came of it.
    pub async fn cluster_looked_for(&self) {
        // Before it is asked: what happens in between is heard.
        let looked = self.looked.notified();
        if self.cluster().is_none() && self.cluster_missing().is_none() {
            looked.await;
        }
    }

    /// Why the cluster was not found when it was looked for last.
    #[must_use]
    pub fn cluster_missing(&self) -> Option<Failure> {
        self.read(|pages| pages.cluster_missing.clone())
    }

    /// The cluster; `None` before it was found.
    #[must_use]
    pub fn cluster(&self) -> Option<Arc<Cluster>> {
        self.read(|pages| pages.cluster.clone())
    }

    // Whoever held the lock did no more than insert or remove; were it interrupted, the maps would still be whole.
    fn read<T>(&self, look: impl FnOnce(&Pages) -> T) -> T {
        look(&self.pages.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn write(&self, change: impl FnOnce(&mut Pages)) {
        change(&mut self.pages.write().unwrap_or_else(PoisonError::into_inner));
    }
}
