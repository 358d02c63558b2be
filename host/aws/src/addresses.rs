//! Free addresses of subnets: as EC2 has counted them last, less those that launches since then will take.
//!
//! A guess at both ends: how many addresses a node takes is up to the CNI, and whoever else uses the subnet is not asked.
//! It is there so that a burst of launches does not all go to the subnet that had most a minute ago.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use whittle_api::node_class::status::Subnet;

/// How many addresses are free, by subnet.
#[derive(Debug, Default)]
pub(crate) struct Addresses {
    free: Mutex<BTreeMap<String, i64>>,
}

impl Addresses {
    /// EC2 has counted.
    pub(crate) fn put(&self, found: impl IntoIterator<Item = (String, i64)>) {
        self.with(|free| free.extend(found));
    }

    /// The subnet of a zone with the most free addresses, the first of equals.
    pub(crate) fn best<'a>(&self, subnets: &'a [Subnet], zone: &str) -> Option<&'a Subnet> {
        self.with(|free| {
            let here = subnets.iter().filter(|subnet| subnet.zone == zone);
            here.min_by_key(|subnet| Reverse(free.get(&subnet.id).copied().unwrap_or(0)))
        })
    }

    /// Whether a zone has addresses in another subnet than this one.
    pub(crate) fn are_elsewhere(&self, subnets: &[Subnet], but: &Subnet) -> bool {
        let mut others = subnets.iter().filter(|subnet| subnet.zone == but.zone && subnet.id != but.id);
        self.with(|free| others.any(|subnet| free.get(&subnet.id).is_some_and(|free| *free > 0)))
    }

    /// A launch will take so many.
    pub(crate) fn take(&self, subnet: &str, count: i64) {
        self.change(subnet, |free| free - count);
    }

    /// A launch has not taken them after all.
    pub(crate) fn give_back(&self, subnet: &str, count: i64) {
        self.change(subnet, |free| free + count);
    }

    /// EC2 says that there are none.
    pub(crate) fn none_left(&self, subnet: &str) {
        self.change(subnet, |free| free.min(0));
    }

    fn change(&self, subnet: &str, change: impl FnOnce(i64) -> i64) {
        self.with(|free| {
            if let Some(free) = free.get_mut(subnet) {
                *free = change(*free);
            }
        });
    }

    // Nothing that is done under the lock can leave it half done.
    fn with<T>(&self, look: impl FnOnce(&mut BTreeMap<String, i64>) -> T) -> T {
        look(&mut self.free.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn launches_go_where_the_most_addresses_are_left_and_what_they_do_not_take_comes_back() {
        let subnet = |id: &str, zone: &str| Subnet { id: id.into(), zone: zone.into(), zone_id: None };
        let subnets = [subnet("a-1", "a"), subnet("a-2", "a"), subnet("b-1", "b")];
        let addresses = Addresses::default();
        let best = |zone| addresses.best(&subnets, zone).map(|subnet| subnet.id.as_str());
        assert_eq!((best("a"), best("nowhere")), (Some("a-1"), None), "nobody has counted yet");
        addresses.put([("a-1".to_owned(), 50), ("a-2".to_owned(), 60), ("b-1".to_owned(), 1)]);
        assert_eq!((best("a"), best("b")), (Some("a-2"), Some("b-1")));
        addresses.take("a-2", 29);
        assert_eq!(best("a"), Some("a-1"));
        addresses.give_back("a-2", 29);
        assert_eq!(best("a"), Some("a-2"));
        addresses.none_left("a-2");
        assert_eq!(best("a"), Some("a-1"));
        assert!(addresses.are_elsewhere(&subnets, &subnets[1]));
        assert!(!addresses.are_elsewhere(&subnets, &subnets[0]));
        assert!(!addresses.are_elsewhere(&subnets, &subnets[2]));
    }
}
