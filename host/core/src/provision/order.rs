//! In which order new nodes are tried: those with the fewest pods first; and which need not be tried at all.
//!
//! A node that a rule is sure to refuse is skipped by a bit, not by asking it. What is skipped here would have been
//! refused there: the answer is the same.

use std::collections::BTreeMap;

use crate::provision::bits::Bits;
use crate::provision::intern::Sym;
use crate::provision::topology::Place;

/// The new nodes of a schedule by the number of their pods and by the domains they are bound to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Order {
    /// By number of pods, how many nodes have so many, and which.
    by_pods: BTreeMap<u32, (usize, Bits)>,
    bound: BTreeMap<(Sym, Sym), Bits>,
}

impl Order {
    /// A new node has got its first pods, or more.
    pub(crate) fn promote(&mut self, place: Place, before: u32, after: u32) {
        if let Some((nodes, places)) = self.by_pods.get_mut(&before) {
            *nodes -= 1;
            places.remove(place);
            if *nodes == 0 {
                self.by_pods.remove(&before);
            }
        }
        let (nodes, places) = self.by_pods.entry(after).or_default();
        *nodes += 1;
        places.insert_growing(place);
    }

    /// A new node is bound to a value of a label from now on.
    pub(crate) fn bind(&mut self, place: Place, label: Sym, value: Sym) {
        self.bound.entry((label, value)).or_default().insert_growing(place);
    }

    /// The values of a label that new nodes are bound to, with those nodes.
    pub(crate) fn bound(&self, label: Sym) -> impl Iterator<Item = (Sym, &Bits)> {
        let of_label = self.bound.iter().filter(move |((other, _), _)| *other == label);
        of_label.map(|((_, value), places)| (*value, places))
    }

    /// The nodes that are in none of these sets, those with the fewest pods first.
    pub(crate) fn outside<'a>(&'a self, sets: [&'a Bits; 2]) -> impl Iterator<Item = Place> + use<'a> {
        self.by_pods.values().flat_map(move |(_, places)| places.outside(sets))
    }
}
