//! Existing nodes as sets: which have a label, which are tolerated. A question about all nodes is a few bitwise ANDs.
//!
//! Labels are looked at key by key and only once somebody asks about the key. How full nodes are is not here: that
//! changes with every pod.

use std::collections::BTreeMap;

use indexmap::IndexMap;
use rustc_hash::FxBuildHasher;

use crate::model::requirement::{Taint, Toleration, untolerated};
use crate::provision::bits::Bits;
use crate::provision::existing::Existing;
use crate::provision::intern::{Interner, Sym};
use crate::provision::requirements::{ByKey, Values};

/// Which value each existing node has of each label that anybody has asked about.
#[derive(Clone, Debug, Default)]
pub(crate) struct Places {
    columns: IndexMap<Sym, Column, FxBuildHasher>,
    /// The nodes that fulfil a condition on a label.
    fulfilling: IndexMap<(Sym, Values), Bits, FxBuildHasher>,
    /// The nodes by their taints.
    by_taints: BTreeMap<Vec<Taint>, Bits>,
    len: usize,
}

#[derive(Clone, Debug, Default)]
struct Column {
    /// By place.
    values: Vec<Option<Sym>>,
    /// The nodes that have each value.
    having: IndexMap<Sym, Bits, FxBuildHasher>,
    absent: Bits,
}

impl Places {
    pub(crate) fn new(existing: &[Existing<'_>]) -> Self {
        let mut places = Self { len: existing.len(), ..Self::default() };
        for (place, node) in existing.iter().enumerate() {
            let nodes = match places.by_taints.get_mut(&*node.taints) {
                Some(nodes) => nodes,
                None => {
                    places.by_taints.entry(node.taints.to_vec()).or_insert_with(|| Bits::none(existing.len()))
                }
            };
            nodes.insert(place);
        }
        places
    }

    /// Whether any node has a taint that only puts pods off.
    pub(crate) fn has_soft_taints(&self) -> bool {
        self.by_taints.keys().flatten().any(|taint| !is_hard(taint))
    }

    /// The nodes whose taints are tolerated. `soft`: whether `PreferNoSchedule` counts.
    pub(crate) fn tolerated(&self, tolerations: &[Toleration], soft: Soft) -> Bits {
        let mut tolerated = Bits::none(self.len);
        for (taints, nodes) in &self.by_taints {
            if is_tolerated(taints, tolerations, soft) {
                tolerated.unite(nodes);
            }
        }
        tolerated
    }

    /// The nodes that fulfil all of these conditions.
    pub(crate) fn fulfilling(
        &mut self,
        wanted: &ByKey,
        existing: &[Existing<'_>],
        interner: &mut Interner,
    ) -> Bits {
        let mut fulfilling = Bits::all(self.len);
        for (key, values) in wanted {
            let asked = (*key, values.clone());
            if !self.fulfilling.contains_key(&asked) {
                let nodes = self.column(*key, existing, interner).fulfilling(values, interner);
                self.fulfilling.insert(asked.clone(), nodes);
            }
            fulfilling.intersect(&self.fulfilling[&asked]);
        }
        fulfilling
    }

    fn column(&mut self, key: Sym, existing: &[Existing<'_>], interner: &mut Interner) -> &Column {
        if !self.columns.contains_key(&key) {
            let column = Column::new(key, existing, interner);
            self.columns.insert(key, column);
        }
        &self.columns[&key]
    }

    /// Makes sure that the values of a label are known.
    pub(crate) fn locate(&mut self, key: Sym, existing: &[Existing<'_>], interner: &mut Interner) {
        self.column(key, existing, interner);
    }

    /// The value that a node has of a label that was located.
    pub(crate) fn value_at(&self, place: usize, key: Sym) -> Option<Sym> {
        self.columns.get(&key).and_then(|column| column.values[place])
    }

    /// The values that nodes have of a label that was located.
    pub(crate) fn values_of(&self, key: Sym) -> impl Iterator<Item = Sym> + '_ {
        self.columns.get(&key).into_iter().flat_map(|column| column.having.keys().copied())
    }
}

/// Whether `PreferNoSchedule` taints keep pods off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Soft {
    Avoided,
    Overlooked,
}

/// Whether pods with these tolerations come to a node with these taints.
pub(crate) fn is_tolerated(taints: &[Taint], tolerations: &[Toleration], soft: Soft) -> bool {
    let accepted = |taint: &Taint| tolerations.iter().any(|toleration| toleration.tolerates(taint));
    untolerated(taints, tolerations).is_none()
        && (soft == Soft::Overlooked || taints.iter().all(|taint| is_hard(taint) || accepted(taint)))
}

/// Whether a taint keeps pods off that do not tolerate it, and not only while there is something better.
pub(crate) fn is_hard(taint: &Taint) -> bool {
    untolerated(std::slice::from_ref(taint), &[]).is_some()
}

impl Column {
    fn new(key: Sym, existing: &[Existing<'_>], interner: &mut Interner) -> Self {
        let name = interner.text(key).to_owned();
        let mut column = Self { absent: Bits::none(existing.len()), ..Self::default() };
        for (place, node) in existing.iter().enumerate() {
            let value = node.labels.get(&name).map(|value| interner.intern(value));
            match value {
                Some(value) => {
                    let having = column.having.entry(value).or_insert_with(|| Bits::none(existing.len()));
                    having.insert(place);
                }
                None => column.absent.insert(place),
            }
            column.values.push(value);
        }
        column
    }

    fn fulfilling(&self, values: &Values, interner: &Interner) -> Bits {
        let mut nodes = Bits::none(self.values.len());
        if values.admits_absence() {
            nodes.unite(&self.absent);
        }
        for (value, having) in &self.having {
            if values.admits(*value, interner) {
                nodes.unite(having);
            }
        }
        nodes
    }
}
