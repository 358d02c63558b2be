//! Do spread, affinity and anti-affinity hold once everybody is in place?
//!
//! Judged is the end, not the way: a pod that the plan adds breaks a rule only when no order of placing the
//! plan's pods could have kept it.
//!
//! ```text
//!  pods by (group, place) ──► per selector: the groups it selects ──► per rule and label: counts per domain
//! ```
//!
//! A launch that may end up in several zones is judged for each of them.
//!
//! A pod on a place that goes roams when the plan names no new place for it: only its successor can be expected
//! somewhere, so a plan keeps room for it without saying where. It may be on any place there is that would take it.

mod affinity;
mod spread;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use crate::check::Violation;
use crate::check::labels::selects;
use crate::check::placement::{admits, is_reschedulable};
use crate::check::world::{Place, World};
use crate::model::labels::{HOSTNAME, normalized};
use crate::model::pod::{LabelSelector, Pod, PodAffinityTerm, PodSpec};
use crate::model::requirement::{Operator, Requirement};
use crate::state::groups::GroupId;

/// Judges the places of the plan's pods relative to one another and to the pods that are there.
pub(super) fn check(world: &World<'_>) -> Vec<Violation> {
    // Rules on where pods are relative to one another judge new pods only.
    if world.placements.is_empty() {
        return Vec::new();
    }
    let crowd = Crowd::new(world);
    let mut violations = spread::check(&crowd);
    violations.extend(affinity::check(&crowd));
    violations
}

/// How many pods of one group are in one place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Count {
    /// There before, and staying.
    before: u64,
    /// There before on a place that goes, without a new place yet: gone in one reading, there in another.
    lingering: u64,
    /// Put there by the plan.
    added: u64,
}

/// All pods that count, by group and place.
struct Crowd<'w, 'a> {
    world: &'w World<'a>,
    groups: BTreeMap<GroupId, BTreeMap<&'a str, Count>>,
    /// The groups whose pods have a label with a value.
    by_label: BTreeMap<(&'w str, &'w str), Vec<GroupId>>,
    /// How many pods of a group roam.
    roaming: BTreeMap<GroupId, u64>,
    reach: RefCell<BTreeMap<GroupId, Rc<BTreeSet<&'a str>>>>,
    selected: RefCell<BTreeMap<Selection, Rc<BTreeSet<GroupId>>>>,
    domains: RefCell<BTreeMap<String, Rc<Domains<'a>>>>,
}

/// The values of one label by place: none when the place lacks it, several when it is not decided yet.
type Domains<'a> = BTreeMap<&'a str, BTreeSet<String>>;

/// Which pods a rule is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Selection {
    namespaces: Namespaces,
    selector: Option<LabelSelector>,
}

/// The namespaces a rule is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Namespaces {
    /// Every namespace.
    All,
    /// These.
    Only(BTreeSet<String>),
}

impl<'w, 'a> Crowd<'w, 'a> {
    fn new(world: &'w World<'a>) -> Self {
        let mut groups: BTreeMap<GroupId, BTreeMap<&'a str, Count>> = BTreeMap::new();
        let mut roaming: BTreeMap<GroupId, u64> = BTreeMap::new();
        for (name, place) in &world.places {
            let roams = |pod: &&&Pod| place.leaving.is_some() && is_reschedulable(pod);
            for group in place.there.iter().filter(roams).filter_map(|pod| world.snapshot.group_of(&pod.uid))
            {
                *roaming.entry(group).or_default() += 1;
                groups.entry(group).or_default();
            }
            let mut add = |pods: &[&Pod], count: Count| {
                // Pods on their way out are not counted (spec: 2.8).
                for pod in pods.iter().filter(|pod| !pod.phase.is_terminal()) {
                    let Some(group) = world.snapshot.group_of(&pod.uid) else { continue };
                    let sum = groups.entry(group).or_default().entry(name).or_default();
                    sum.before += count.before;
                    sum.lingering += count.lingering;
                    sum.added += count.added;
                }
            };
            let there: Vec<&Pod> = place.there.iter().filter(|pod| pod.deleting.is_none()).copied().collect();
            let (before, lingering) = if place.leaving.is_none() { (1, 0) } else { (0, 1) };
            add(&there, Count { before, lingering, added: 0 });
            add(&place.coming, Count { added: 1, ..Count::default() });
        }
        let mut by_label: BTreeMap<(&str, &str), Vec<GroupId>> = BTreeMap::new();
        for group in groups.keys() {
            for (key, value) in &world.snapshot.group(*group).spec.labels {
                by_label.entry((key, value)).or_default().push(*group);
            }
        }
        let (reach, selected, domains) = (RefCell::default(), RefCell::default(), RefCell::default());
        Self { world, groups, by_label, roaming, reach, selected, domains }
    }

    /// The pods of these groups that roam, and the places that would take them. Who of them finds room is not
    /// asked: that depends on who comes first.
    fn roaming(&self, groups: &BTreeSet<GroupId>) -> impl Iterator<Item = (u64, Rc<BTreeSet<&'a str>>)> {
        let roaming = groups.iter().filter_map(|group| Some((*group, *self.roaming.get(group)?)));
        roaming.map(|(group, pods)| (pods, self.reach(group)))
    }

    fn reach(&self, group: GroupId) -> Rc<BTreeSet<&'a str>> {
        if let Some(known) = self.reach.borrow().get(&group) {
            return Rc::clone(known);
        }
        let group_of = self.world.snapshot.group(group);
        // A launch says whom it is for.
        let there_is = |place: &Place<'_>| place.leaving.is_none() && place.launch.is_none();
        let places = self.world.places.iter().filter(|(_, place)| there_is(place) && admits(place, group_of));
        let reach = Rc::new(places.map(|(name, _)| *name).collect());
        self.reach.borrow_mut().insert(group, Rc::clone(&reach));
        reach
    }

    fn spec(&self, group: GroupId) -> &'w PodSpec {
        &self.world.snapshot.group(group).spec
    }

    /// The groups of which the plan places a pod.
    fn coming(&self) -> impl Iterator<Item = GroupId> {
        let coming = self.groups.iter().filter(|(_, places)| places.values().any(|count| count.added > 0));
        coming.map(|(group, _)| *group)
    }

    /// The groups that a rule is about.
    fn selected(&self, selection: &Selection) -> Rc<BTreeSet<GroupId>> {
        if let Some(known) = self.selected.borrow().get(selection) {
            return Rc::clone(known);
        }
        let groups = self.candidates(selection).into_iter().filter(|group| {
            let spec = self.spec(*group);
            let namespace = match &selection.namespaces {
                Namespaces::All => true,
                Namespaces::Only(names) => names.contains(&spec.namespace),
            };
            namespace && selects(selection.selector.as_ref(), &spec.labels)
        });
        let groups = Rc::new(groups.collect());
        self.selected.borrow_mut().insert(selection.clone(), Rc::clone(&groups));
        groups
    }

    /// The groups that a rule can be about: with a selector that names a label, those whose pods have it.
    fn candidates(&self, selection: &Selection) -> Vec<GroupId> {
        let requirements = selection.selector.iter().flat_map(|selector| &selector.requirements);
        let named = requirements.into_iter().find_map(|requirement| match requirement.values.as_slice() {
            [value] if requirement.operator == Operator::In => {
                Some((requirement.key.as_str(), value.as_str()))
            }
            _ => None,
        });
        match named {
            Some(label) => self.by_label.get(&label).cloned().unwrap_or_default(),
            None => self.groups.keys().copied().collect(),
        }
    }

    /// The domains of a label by place. A host is its own domain, whatever it will be called.
    fn domains(&self, key: &str) -> Rc<Domains<'a>> {
        let key = normalized(key);
        if let Some(known) = self.domains.borrow().get(key) {
            return Rc::clone(known);
        }
        let of = |name: &str, place: &Place<'_>| match key {
            HOSTNAME => BTreeSet::from([name.to_owned()]),
            _ => place.values(key).into_iter().map(str::to_owned).collect(),
        };
        let domains = self.world.places.iter().map(|(name, place)| (*name, of(name, place)));
        let domains = Rc::new(domains.collect());
        self.domains.borrow_mut().insert(key.to_owned(), Rc::clone(&domains));
        domains
    }

    /// The pods of these groups, place by place.
    fn counts(&self, groups: &BTreeSet<GroupId>) -> impl Iterator<Item = (GroupId, &'a str, Count)> {
        groups
            .iter()
            .filter_map(|group| Some((*group, self.groups.get(group)?)))
            .flat_map(|(group, places)| places.iter().map(move |(place, count)| (group, *place, *count)))
    }

    /// The name of a pod of one of these groups that the plan puts in this place.
    fn pod_name(&self, groups: &BTreeSet<GroupId>, place: &str) -> String {
        let coming = self.world.places.get(place).into_iter().flat_map(|place| &place.coming);
        let mut of_group = coming.filter(|pod| {
            self.world.snapshot.group_of(&pod.uid).is_some_and(|group| groups.contains(&group))
        });
        of_group.next().map_or_else(|| place.to_owned(), |pod| pod.full_name())
    }

    /// Which pods a pod's affinity term is about.
    fn selection_of(&self, spec: &PodSpec, term: &PodAffinityTerm) -> Selection {
        let selector = with_own(term.selector.as_ref(), spec, (&term.match_label_keys, Operator::In));
        let selector = with_own(selector.as_ref(), spec, (&term.mismatch_label_keys, Operator::NotIn));
        let mut names: BTreeSet<String> = term.namespaces.iter().cloned().collect();
        match &term.namespace_selector {
            Some(all) if all.requirements.is_empty() => {
                return Selection { namespaces: Namespaces::All, selector };
            }
            Some(some) => {
                let namespaces = self.world.snapshot.namespaces.iter();
                let chosen = namespaces.filter(|(_, labels)| selects(Some(some), labels));
                names.extend(chosen.map(|(name, _)| name.clone()));
            }
            None if names.is_empty() => drop(names.insert(spec.namespace.clone())),
            None => {}
        }
        Selection { namespaces: Namespaces::Only(names), selector }
    }
}

/// A selector together with the pod's own values of some labels. Labels that the pod lacks are left out.
fn with_own(
    selector: Option<&LabelSelector>,
    spec: &PodSpec,
    (keys, operator): (&[String], Operator),
) -> Option<LabelSelector> {
    let mut selector = selector?.clone();
    for key in keys {
        if let Some(value) = spec.labels.get(key) {
            selector.requirements.push(Requirement::new(key, operator, [value]));
        }
    }
    Some(selector)
}
