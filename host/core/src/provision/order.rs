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
    by_pods: Vec<Bits>,
    bound: BTreeMap<(Sym, Sym), Bits>,
}

impl Order {
    /// A new node has got more pods.
    pub(crate) fn promote(&mut self, place: Place, before: u32, after: u32) {
        let (before, after) = (before as usize, after as usize);
        if self.by_pods.len() <= after {
            self.by_pods.resize_with(after + 1, Bits::default);
        }
        if before > 0 {
            self.by_pods[before].remove(place);
        }
        self.by_pods[after].insert_growing(place);
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
        self.by_pods.iter().flat_map(move |places| places.outside(sets))
    }
}
