//! Which sets may hold pods of a specification, and which specifications may be in a set, without asking each of them.
//!
//! Nearly every set is about one owner or one label value. With ten thousand kinds of pods there are ten thousand of
//! both, and asking all of one about all of the other takes seconds.

use std::collections::BTreeMap;

use whittle_core::model::labels::normalized;
use whittle_core::model::pod::{Owner, PodSpec};
use whittle_core::model::requirement::Operator;

use super::{SetOrd, SpecOrd, What};

/// Something that all pods of a set have.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Mark {
    /// This owner, in this namespace.
    Owner(String, Owner),
    /// This label with this value.
    Label(String, String),
}

/// Sets and specifications by what marks them.
#[derive(Clone, Debug, Default)]
pub(super) struct Index {
    sets: BTreeMap<What, SetOrd>,
    sets_marked: BTreeMap<Mark, Vec<SetOrd>>,
    /// Sets that nothing marks: any pods may be in them.
    sets_open: Vec<SetOrd>,
    specs_marked: BTreeMap<Mark, Vec<SpecOrd>>,
    specs: Vec<SpecOrd>,
}

impl Index {
    /// The number of a set that is known.
    pub(super) fn find(&self, what: &What) -> Option<SetOrd> {
        self.sets.get(what).copied()
    }

    /// Adds a set, and tells which specifications may be in it.
    pub(super) fn add_set(&mut self, what: &What, set: SetOrd) -> Vec<SpecOrd> {
        self.sets.insert(what.clone(), set);
        match what {
            What::Nobody => return Vec::new(),
            What::Owned { .. } | What::Selected { .. } => {}
        }
        match mark(what) {
            Some(mark) => {
                let specs = self.specs_marked.get(&mark).cloned().unwrap_or_default();
                self.sets_marked.entry(mark).or_default().push(set);
                specs
            }
            None => {
                self.sets_open.push(set);
                self.specs.clone()
            }
        }
    }

    /// Adds a specification, and tells which sets may hold it.
    pub(super) fn add_spec(&mut self, spec: &PodSpec, ord: SpecOrd) -> Vec<SetOrd> {
        let mut sets = self.sets_open.clone();
        for mark in marks(spec) {
            sets.extend(self.sets_marked.get(&mark).into_iter().flatten());
            self.specs_marked.entry(mark).or_default().push(ord);
        }
        self.specs.push(ord);
        sets
    }
}

/// What all pods of a set have; `None` when they need have nothing in common.
fn mark(what: &What) -> Option<Mark> {
    match what {
        What::Nobody => None,
        What::Owned { namespace, owner } => Some(Mark::Owner(namespace.clone(), owner.clone())),
        What::Selected { selector, .. } => selector.requirements.iter().find_map(|one| {
            // A key with two spellings is looked up under both when pods are matched, so it marks none.
            let is_plain = one.operator == Operator::In && normalized(&one.key) == one.key;
            match one.values.as_slice() {
                [value] if is_plain => Some(Mark::Label(one.key.clone(), value.clone())),
                _ => None,
            }
        }),
    }
}

fn marks(spec: &PodSpec) -> impl Iterator<Item = Mark> {
    let owner = spec.owner.iter().map(|owner| Mark::Owner(spec.namespace.clone(), owner.clone()));
    owner.chain(spec.labels.iter().map(|(key, value)| Mark::Label(key.clone(), value.clone())))
}
