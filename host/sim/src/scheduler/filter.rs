//! Which nodes will do for a pod: room, taints, affinity, ports and volumes node by node, and what other pods say
//! domain by domain.

use std::sync::Arc;

use whittle_core::model::node_pool::VolumeBinding;
use whittle_core::model::pod::InclusionPolicy;
use whittle_core::model::requirement::Requirement;

use super::rules::{Rules, SpecOrd, Spread};
use super::score::best;
use super::slots::{KeyOrd, Slot, SlotOrd, Slots};
use super::{Claims, Scheduler, Waiting};
use crate::random::Random;

/// Domains of a key that a pod may go to.
struct Barrier {
    key: KeyOrd,
    open: Vec<bool>,
    /// Whether nodes without the key will do.
    open_without_key: bool,
}

impl Scheduler {
    /// The node that a waiting pod goes to, if any will do.
    pub(super) fn choose(
        &mut self,
        waiting: &Waiting,
        claims: &Claims,
        chance: &mut Random,
    ) -> Option<SlotOrd> {
        let Self { rules, slots, .. } = self;
        let volumes = volumes_of(waiting, claims)?;
        let candidates: Vec<SlotOrd> = match &waiting.pinned {
            Some(node) => slots.find(node).into_iter().collect(),
            None => slots.live().map(|(slot, _)| slot).collect(),
        };
        let barriers = barriers(rules, waiting.spec, slots);
        let feasible: Vec<SlotOrd> = candidates
            .into_iter()
            .filter(|slot| rules.could_hold(waiting.spec, *slot, slots))
            .filter(|slot| barriers.iter().all(|barrier| barrier.lets_in(slots.get(*slot))))
            .filter(|slot| slots.get(*slot).volumes.holds(&waiting.volumes, claims))
            .filter(|slot| volumes.iter().all(|volume| slots.get(*slot).fulfils(volume)))
            .collect();
        best(rules, waiting.spec, &feasible, slots, chance)
    }
}

impl Barrier {
    fn lets_in(&self, slot: &Slot) -> bool {
        match slot.domains.get(self.key).copied().flatten() {
            Some(domain) => self.open.get(domain).copied().unwrap_or(false),
            None => self.open_without_key,
        }
    }
}

/// The alternatives that each volume of a pod leaves; `None` when a volume can be nowhere.
fn volumes_of<'a>(waiting: &Waiting, claims: &'a Claims) -> Option<Vec<&'a [Vec<Requirement>]>> {
    let mut volumes = Vec::new();
    for key in &waiting.volumes {
        match &claims.get(key)?.binding {
            VolumeBinding::Nodes(alternatives) => volumes.push(alternatives.as_slice()),
            VolumeBinding::Impossible(_) => return None,
        }
    }
    Some(volumes)
}

fn barriers(rules: &mut Rules, spec: SpecOrd, slots: &Slots) -> Vec<Barrier> {
    let (compiled, member_of) = (Arc::clone(&rules.get(spec).wants), rules.get(spec).member_of.clone());
    let mut barriers = Vec::new();
    for spread in &compiled.hard_spread {
        let own = u64::from(member_of.contains(&spread.set));
        barriers.push(spread_barrier(rules, spec, spread, own, slots));
    }
    let is_alone = compiled.affinity.iter().all(|(set, _)| {
        member_of.contains(set) && slots.live().all(|(slot, _)| rules.present(*set, slot) == 0)
    });
    for (set, key) in &compiled.affinity {
        let near = sums(*key, slots, |slot| rules.present(*set, slot));
        // The first of pods that want to be near one another has to start somewhere.
        let open = near.iter().map(|count| is_alone || *count > 0).collect();
        barriers.push(Barrier { key: *key, open, open_without_key: false });
    }
    for (set, key) in &compiled.anti_affinity {
        let near = sums(*key, slots, |slot| rules.present(*set, slot));
        let open = near.iter().map(|count| *count == 0).collect();
        barriers.push(Barrier { key: *key, open, open_without_key: true });
    }
    for keeper in rules.keepers.iter().filter(|keeper| member_of.contains(&keeper.set)) {
        let held = sums(keeper.key, slots, |slot| keeper.holding.get(slot).copied().map_or(0, u64::from));
        let open = held.iter().map(|count| *count == 0).collect();
        barriers.push(Barrier { key: keeper.key, open, open_without_key: true });
    }
    barriers
}

fn spread_barrier(rules: &mut Rules, spec: SpecOrd, spread: &Spread, own: u64, slots: &Slots) -> Barrier {
    let mut counts: Vec<Option<u64>> = vec![None; slots.domains_of(spread.key)];
    for (slot, node) in slots.live() {
        let Some(domain) = node.domains[spread.key] else { continue };
        if counts_here(rules, spec, spread, slot, slots) {
            let count = &mut counts[domain];
            *count = Some(count.unwrap_or(0) + rules.staying(spread.set, slot));
        }
    }
    let domains = counts.iter().flatten().count();
    let too_few = spread.min_domains.is_some_and(|wanted| domains < wanted as usize);
    let emptiest = if too_few { 0 } else { counts.iter().flatten().min().copied().unwrap_or(0) };
    // A domain that is not counted is one that the pod could not use, or does not know; it keeps nobody out.
    let open = counts.iter().map(|count| count.unwrap_or(0) + own <= emptiest + spread.max_skew).collect();
    Barrier { key: spread.key, open, open_without_key: false }
}

/// Whether a spread counts the pods of a node.
pub(super) fn counts_here(
    rules: &mut Rules,
    spec: SpecOrd,
    spread: &Spread,
    slot: SlotOrd,
    slots: &Slots,
) -> bool {
    let (affinity, taints) = rules.suits_by(spec, slot, slots);
    (affinity || spread.affinity == InclusionPolicy::Ignore)
        && (taints || spread.taints == InclusionPolicy::Ignore)
}

/// Sums per domain of what is counted per node.
pub(super) fn sums(key: KeyOrd, slots: &Slots, count: impl Fn(SlotOrd) -> u64) -> Vec<u64> {
    let mut sums = vec![0; slots.domains_of(key)];
    for (slot, node) in slots.live() {
        if let Some(domain) = node.domains[key] {
            sums[domain] += count(slot);
        }
    }
    sums
}
