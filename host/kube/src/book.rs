//! What writes have to look up: uids of objects, what NodePools give to their NodeClaims, instance types.
//!
//! The intake writes it, everybody else reads it. It holds names and small values; whole objects are in the core's state.

use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock};

use whittle_core::model::instance_type::InstanceType;
use whittle_core::model::labels;
use whittle_core::model::node::Instance;
use whittle_core::model::node_pool::{NodeClass, NodePool};
use whittle_core::model::price::Price;

/// Everything that can be looked up.
#[derive(Debug, Default)]
pub struct Book {
    pages: RwLock<Pages>,
}

#[derive(Debug, Default)]
struct Pages {
    uids: BTreeMap<(Named, String), String>,
    pools: BTreeMap<String, NodePool>,
    classes: BTreeMap<String, NodeClass>,
    generations: BTreeMap<(Named, String), i64>,
    registrations: BTreeMap<String, bool>,
}

/// The kinds whose uids are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Named {
    /// NodePools.
    NodePool,
    /// NodeClaims.
    NodeClaim,
    /// Nodes.
    Node,
    /// EC2NodeClasses.
    NodeClass,
}

impl Book {
    /// An object has this uid.
    pub fn put_uid(&self, kind: Named, name: &str, uid: &str) {
        self.write(|pages| drop(pages.uids.insert((kind, name.to_owned()), uid.to_owned())));
    }

    /// An object is gone.
    pub fn remove(&self, kind: Named, name: &str) {
        self.write(|pages| {
            pages.uids.remove(&(kind, name.to_owned()));
            pages.generations.remove(&(kind, name.to_owned()));
            if kind == Named::NodePool {
                pages.pools.remove(name);
                pages.registrations.remove(name);
            }
        });
    }

    /// The uid of an object.
    #[must_use]
    pub fn uid(&self, kind: Named, name: &str) -> Option<String> {
        self.read(|pages| pages.uids.get(&(kind, name.to_owned())).cloned())
    }

    /// An object's spec has been changed so often.
    pub fn put_generation(&self, kind: Named, name: &str, generation: Option<i64>) {
        // Kinds without one are not asked for it.
        let Some(generation) = generation else { return };
        self.write(|pages| {
            pages.generations.insert((kind, name.to_owned()), generation);
        });
    }

    /// How often an object's spec has been changed.
    #[must_use]
    pub fn generation(&self, kind: Named, name: &str) -> Option<i64> {
        self.read(|pages| pages.generations.get(&(kind, name.to_owned())).copied())
    }

    /// What a NodePool's condition says of whether its nodes join.
    pub fn put_registration(&self, node_pool: &str, healthy: Option<bool>) {
        self.write(|pages| match healthy {
            Some(healthy) => {
                pages.registrations.insert(node_pool.to_owned(), healthy);
            }
            None => drop(pages.registrations.remove(node_pool)),
        });
    }

    /// What a NodePool's condition says of whether its nodes join.
    #[must_use]
    pub fn registration(&self, node_pool: &str) -> Option<bool> {
        self.read(|pages| pages.registrations.get(node_pool).copied())
    }

    /// A NodePool is like this.
    pub fn put_pool(&self, pool: NodePool) {
        self.write(|pages| drop(pages.pools.insert(pool.name.clone(), pool)));
    }

    /// The annotations that a NodePool gives to its nodes.
    #[must_use]
    pub fn annotations(&self, node_pool: &str) -> BTreeMap<String, String> {
        self.read(|pages| pages.pools.get(node_pool).map(|pool| pool.annotations.clone()).unwrap_or_default())
    }

    /// A class has these instance types.
    pub fn put_class(&self, class: NodeClass) {
        self.write(|pages| drop(pages.classes.insert(class.name.clone(), class)));
    }

    /// A class is gone.
    pub fn remove_class(&self, name: &str) {
        self.write(|pages| drop(pages.classes.remove(name)));
    }

    /// A class with its instance types.
    #[must_use]
    pub fn class(&self, name: &str) -> Option<NodeClass> {
        self.read(|pages| pages.classes.get(name).cloned())
    }

    /// The instance types of a class that one of its NodePools allows, or all of them where none does.
    #[must_use]
    pub fn allowed(&self, class: &str) -> Vec<InstanceType> {
        self.read(|pages| {
            let Some(known) = pages.classes.get(class) else { return Vec::new() };
            let pools = || pages.pools.values().filter(|pool| pool.node_class == class);
            let allowed = known.instance_types.iter().filter(|kind| pools().any(|pool| allows(pool, kind)));
            let allowed: Vec<InstanceType> = allowed.cloned().collect();
            if allowed.is_empty() { known.instance_types.to_vec() } else { allowed }
        })
    }

    /// What an instance type of a class is like.
    #[must_use]
    pub fn instance_type(&self, class: &str, name: &str) -> Option<InstanceType> {
        self.read(|pages| {
            let types = &pages.classes.get(class)?.instance_types;
            types.iter().find(|kind| kind.name == name).cloned()
        })
    }

    /// Gives an instance the price that its class has for it. One that is sold no more, or has no price any more because
    /// there is no such spot capacity now, keeps what it has: it costs no more than before.
    pub fn price(&self, class: &str, instance: &mut Instance) {
        let price = self.read(|pages| {
            let types = &pages.classes.get(class)?.instance_types;
            let kind = types.iter().find(|kind| kind.name == instance.instance_type)?;
            let reservation = instance.reservation.as_deref();
            let offering = kind.offering(&instance.zone, instance.capacity_type, reservation);
            offering.map(|offering| offering.price).filter(|price| *price != Price::MAX)
        });
        instance.price = price.unwrap_or(instance.price);
    }

    // Whoever held the lock did no more than insert or remove; were it interrupted, the maps would still be whole.
    fn read<T>(&self, look: impl FnOnce(&Pages) -> T) -> T {
        look(&self.pages.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn write(&self, change: impl FnOnce(&mut Pages)) {
        change(&mut self.pages.write().unwrap_or_else(PoisonError::into_inner));
    }
}

/// Whether a NodePool may have nodes of a type. What is not said of types, such as zones, is not looked at.
fn allows(pool: &NodePool, kind: &InstanceType) -> bool {
    let is_of_types = |key: &str| {
        key.starts_with(labels::INSTANCE_PREFIX)
            || [labels::INSTANCE_TYPE, labels::ARCH, labels::OS].contains(&key)
    };
    let mut asked = pool.requirements.iter().filter(|one| is_of_types(labels::normalized(&one.key)));
    asked.all(|one| {
        let values = kind.labels.get(labels::normalized(&one.key)).map(Vec::as_slice);
        one.can_be_fulfilled_by(values.unwrap_or_default())
    })
}

#[cfg(test)]
mod tests {
    use whittle_core::model::instance_type::{CapacityType, Offering};
    use whittle_core::model::resources::Resources;
    use whittle_core::model::time::Timestamp;

    use super::*;

    #[test]
    fn an_instance_whose_offering_has_no_price_any_more_keeps_its_own() {
        let offering = |price| Offering {
            zone: "a".into(),
            zone_id: String::new(),
            capacity_type: CapacityType::Spot,
            price,
            estimated: false,
            available: price != Price::MAX,
            reservation: None,
        };
        let class = |price| NodeClass {
            name: "default".into(),
            ready: true,
            fingerprint: None,
            instance_types: [InstanceType {
                name: "m.large".into(),
                labels: BTreeMap::new(),
                capacity: Resources::default(),
                overhead: Resources::default(),
                offerings: vec![offering(price)],
            }]
            .into(),
        };
        let mut instance = Instance {
            provider_id: "aws:///a/i-1".into(),
            instance_type: "m.large".into(),
            zone: "a".into(),
            capacity_type: CapacityType::Spot,
            reservation: None,
            price: Price::ZERO,
            capacity: Resources::default(),
            allocatable: Resources::default(),
            launched: Timestamp::EPOCH,
        };
        let book = Book::default();
        let mut priced = |price| {
            book.put_class(class(price));
            book.price("default", &mut instance);
            instance.price
        };
        let (dear, cheap) = (Price::from_micros(50_000), Price::from_micros(40_000));
        assert_eq!([dear, Price::MAX, cheap].map(&mut priced), [dear, dear, cheap]);
    }
}
