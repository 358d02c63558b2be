//! Nodes as the scheduler looks at them: dense positions, room as plain numbers, label values as numbers.

use std::collections::BTreeMap;

use whittle_core::model::labels::{self, HOSTNAME};
use whittle_core::model::node::{Node, VolumeLimits};
use whittle_core::model::pod::HostPort;
use whittle_core::model::requirement::{Requirement, Taint};
use whittle_core::model::resources::Resources;

use super::rules::matches_labels;
use super::volumes::Attached;

/// A node's position. Positions of nodes that are gone are used again.
pub(crate) type SlotOrd = usize;

/// The number of a label key by which pods are spread or kept together.
pub(crate) type KeyOrd = usize;

/// The number of a value of such a key. For the host name it is the node's position.
pub(crate) type DomainOrd = usize;

/// A node, or the place where one was.
#[derive(Clone, Debug, Default)]
pub(crate) struct Slot {
    pub(crate) live: bool,
    pub(crate) name: String,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) taints: Vec<Taint>,
    pub(crate) allocatable: Resources,
    pub(crate) used: Resources,
    /// What scores count as used: pods that ask for nothing count as a little.
    pub(crate) scored_cpu_millis: u64,
    pub(crate) scored_memory_bytes: u64,
    pub(crate) ports: Vec<HostPort>,
    pub(crate) volumes: Attached,
    /// Grows whenever labels or taints change or another node takes the place.
    pub(crate) generation: u32,
    pub(crate) domains: Vec<Option<DomainOrd>>,
}

/// All nodes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Slots {
    slots: Vec<Slot>,
    free: Vec<SlotOrd>,
    by_name: BTreeMap<String, SlotOrd>,
    /// How many volumes nodes can attach, also nodes that are not there yet.
    volume_limits: BTreeMap<String, BTreeMap<String, u32>>,
    keys: Vec<Key>,
}

#[derive(Clone, Debug)]
struct Key {
    name: String,
    values: BTreeMap<String, DomainOrd>,
}

impl Slots {
    pub(crate) fn get(&self, slot: SlotOrd) -> &Slot {
        &self.slots[slot]
    }

    pub(crate) fn get_mut(&mut self, slot: SlotOrd) -> &mut Slot {
        &mut self.slots[slot]
    }

    /// How many positions there are, used or not.
    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(crate) fn find(&self, name: &str) -> Option<SlotOrd> {
        self.by_name.get(name).copied()
    }

    /// The nodes that are there.
    pub(crate) fn live(&self) -> impl Iterator<Item = (SlotOrd, &Slot)> {
        self.slots.iter().enumerate().filter(|(_, slot)| slot.live)
    }

    pub(crate) fn put(&mut self, node: &Node) -> SlotOrd {
        let known = self.find(&node.name);
        let ord = known.unwrap_or_else(|| self.new_slot(&node.name));
        let slot = &mut self.slots[ord];
        if known.is_none() || slot.labels != node.labels || slot.taints != node.taints {
            slot.generation += 1;
            slot.labels.clone_from(&node.labels);
            slot.taints.clone_from(&node.taints);
            self.place_in_domains(ord);
        }
        self.slots[ord].allocatable.clone_from(&node.allocatable);
        ord
    }

    fn new_slot(&mut self, name: &str) -> SlotOrd {
        let ord = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::default());
            self.slots.len() - 1
        });
        let generation = self.slots[ord].generation;
        let limits = self.volume_limits.get(name).cloned().unwrap_or_default();
        let volumes = Attached::within(limits);
        self.slots[ord] = Slot { live: true, name: name.to_owned(), generation, volumes, ..Slot::default() };
        self.by_name.insert(name.to_owned(), ord);
        ord
    }

    /// A node can attach so many volumes. It may not be there yet.
    pub(crate) fn limit_volumes(&mut self, limits: &VolumeLimits) {
        self.volume_limits.insert(limits.node.clone(), limits.drivers.clone());
        if let Some(ord) = self.find(&limits.node) {
            self.slots[ord].volumes.limit(limits.drivers.clone());
        }
    }

    pub(crate) fn remove(&mut self, name: &str) -> Option<SlotOrd> {
        let ord = self.by_name.remove(name)?;
        let generation = self.slots[ord].generation + 1;
        self.slots[ord] = Slot { generation, ..Slot::default() };
        self.free.push(ord);
        Some(ord)
    }

    /// The number of a label key.
    pub(crate) fn key(&mut self, name: &str) -> KeyOrd {
        let name = labels::normalized(name);
        if let Some(known) = self.keys.iter().position(|key| key.name == name) {
            return known;
        }
        self.keys.push(Key { name: name.to_owned(), values: BTreeMap::new() });
        for ord in 0..self.slots.len() {
            self.place_in_domains(ord);
        }
        self.keys.len() - 1
    }

    /// How many values of a key there may be.
    pub(crate) fn domains_of(&self, key: KeyOrd) -> usize {
        self.keys[key].values.len().max(if self.keys[key].name == HOSTNAME { self.slots.len() } else { 0 })
    }

    fn place_in_domains(&mut self, ord: SlotOrd) {
        let slot = &mut self.slots[ord];
        slot.domains.clear();
        for key in &mut self.keys {
            let domain = slot.labels.get(&key.name).filter(|_| slot.live).map(|value| {
                if key.name == HOSTNAME {
                    return ord;
                }
                let next = key.values.len();
                *key.values.entry(value.clone()).or_insert(next)
            });
            slot.domains.push(domain);
        }
    }
}

impl Slot {
    /// Whether one of the alternatives holds; no alternative means anywhere.
    pub(crate) fn fulfils(&self, alternatives: &[Vec<Requirement>]) -> bool {
        let holds = |requirements: &Vec<Requirement>| matches_labels(requirements, &self.labels);
        alternatives.is_empty() || alternatives.iter().any(holds)
    }

    /// Whether there is room for this much more.
    pub(crate) fn has_room(&self, requests: &Resources) -> bool {
        let fits = |wanted: u64, used: u64, there: u64| wanted == 0 || used.saturating_add(wanted) <= there;
        let (used, there) = (&self.used, &self.allocatable);
        fits(requests.cpu_millis, used.cpu_millis, there.cpu_millis)
            && fits(requests.memory_bytes, used.memory_bytes, there.memory_bytes)
            && fits(requests.pods, used.pods, there.pods)
            && fits(
                requests.ephemeral_storage_bytes,
                used.ephemeral_storage_bytes,
                there.ephemeral_storage_bytes,
            )
            && requests.extended.iter().all(|(name, wanted)| fits(*wanted, used.get(name), there.get(name)))
    }

    /// Whether all of these ports are free.
    pub(crate) fn has_ports(&self, ports: &[HostPort]) -> bool {
        !ports.iter().any(|wanted| self.ports.iter().any(|taken| collide(wanted, taken)))
    }
}

fn collide(a: &HostPort, b: &HostPort) -> bool {
    let everywhere = |ip: &str| ip.is_empty() || ip == "0.0.0.0";
    a.port == b.port && a.protocol == b.protocol && (a.ip == b.ip || everywhere(&a.ip) || everywhere(&b.ip))
}
