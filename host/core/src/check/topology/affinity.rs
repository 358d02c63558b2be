//! Required pod affinity and anti-affinity.

use std::collections::{BTreeMap, BTreeSet};

use crate::check::topology::{Crowd, Selection};
use crate::check::{Rule, Violation, broken};
use crate::model::labels::normalized;
use crate::state::groups::GroupId;

/// A term as one kind of pod means it: the node label, and the other pods.
type Term = (String, Selection);

pub(super) fn check(crowd: &Crowd<'_, '_>) -> Vec<Violation> {
    let mut near: BTreeMap<Term, BTreeSet<GroupId>> = BTreeMap::new();
    let mut apart: BTreeMap<Term, BTreeSet<GroupId>> = BTreeMap::new();
    // A pod that is there already keeps others away; it does not call them near.
    for group in crowd.coming() {
        for term in &crowd.spec(group).pod_affinity {
            let meant = (normalized(&term.key).to_owned(), crowd.selection_of(crowd.spec(group), term));
            near.entry(meant).or_default().insert(group);
        }
    }
    for group in crowd.groups.keys() {
        for term in &crowd.spec(*group).pod_anti_affinity {
            let meant = (normalized(&term.key).to_owned(), crowd.selection_of(crowd.spec(*group), term));
            apart.entry(meant).or_default().insert(*group);
        }
    }
    let mut violations: Vec<Violation> =
        near.iter().flat_map(|(term, carriers)| affinity(crowd, term, carriers)).collect();
    violations.extend(apart.iter().filter_map(|(term, carriers)| anti_affinity(crowd, term, carriers)));
    violations
}

/// Every pod that carries the term has a domain with a pod that it wants to be near: one that is there, or one that
/// comes and does not carry the term itself. When no such pod is there at all and a carrier is one that the term is
/// about, it may open one domain, which then is everybody's (Kubernetes: InterPodAffinity, first pod of a series).
fn affinity(crowd: &Crowd<'_, '_>, (key, selection): &Term, carriers: &BTreeSet<GroupId>) -> Vec<Violation> {
    let domains = crowd.domains(key);
    let selected = crowd.selected(selection);
    let mut grounded: BTreeSet<&str> = BTreeSet::new();
    let mut grounded_places: BTreeSet<&str> = BTreeSet::new();
    let mut is_anyone_there = false;
    for (group, place, count) in crowd.counts(&selected) {
        let others = if carriers.contains(&group) { 0 } else { count.added };
        if count.before + count.lingering + others == 0 {
            continue;
        }
        grounded_places.insert(place);
        let possible = domains.get(place);
        is_anyone_there |= count.before > 0 && possible.is_some_and(|possible| !possible.is_empty());
        let certain = possible.filter(|possible| possible.len() == 1);
        grounded.extend(certain.into_iter().flatten().map(String::as_str));
    }
    for place in crowd.roaming(&selected).flat_map(|(_, reach)| reach.iter().copied().collect::<Vec<_>>()) {
        grounded_places.insert(place);
        let certain = domains.get(place).filter(|possible| possible.len() == 1);
        grounded.extend(certain.into_iter().flatten().map(String::as_str));
    }
    let mut violations = Vec::new();
    let mut strangers: Vec<(GroupId, &str, &BTreeSet<String>)> = Vec::new();
    for (group, place, _) in crowd.counts(carriers).filter(|(.., count)| count.added > 0) {
        let Some(possible) = domains.get(place).filter(|possible| !possible.is_empty()) else {
            let found = format!("{place} without the label {key}");
            violations.push(lonely(crowd, (group, place), found, "a place that has it"));
            continue;
        };
        let is_near = |domain: &String| grounded.contains(domain.as_str());
        if !grounded_places.contains(place) && !possible.iter().all(is_near) {
            strangers.push((group, place, possible));
        }
    }
    // Whoever may, opens; the order in which they were looked at says nothing.
    let mut openers = strangers.iter().filter(|(group, ..)| !is_anyone_there && selected.contains(group));
    let opened = openers.next().map(|(_, place, possible)| (*place, *possible));
    for (group, place, possible) in &strangers {
        let same = |(other, theirs): (&str, &BTreeSet<String>)| {
            other == *place || (possible.len() == 1 && theirs == *possible)
        };
        let expected = match opened {
            Some(first) if same(first) => continue,
            Some((first, _)) => format!("the domain of {first}, which the first of them opens"),
            None => "one of them".to_owned(),
        };
        let found = format!("none of the pods it must be near in the {key} of {place}");
        violations.push(lonely(crowd, (*group, *place), found, &expected));
    }
    violations
}

fn lonely(
    crowd: &Crowd<'_, '_>,
    (group, place): (GroupId, &str),
    found: String,
    expected: &str,
) -> Violation {
    broken(Rule::Affinity, crowd.pod_name(&BTreeSet::from([group]), place), found, expected)
}

/// Pods that carry a term, pods it is about, and pods that are both, in one domain.
#[derive(Clone, Copy, Default)]
struct Pairs {
    carriers: u64,
    selected: u64,
    both: u64,
}

impl Pairs {
    fn add(&mut self, pods: u64, (carries, is_selected): (bool, bool)) {
        self.carriers += if carries { pods } else { 0 };
        self.selected += if is_selected { pods } else { 0 };
        self.both += if carries && is_selected { pods } else { 0 };
    }

    /// How many pairs of two different pods there are that must not be together.
    fn count(self) -> u64 {
        (self.carriers * self.selected).saturating_sub(self.both)
    }
}

/// No domain holds a pair of a pod that carries the term and another that the term is about, unless both were there
/// before. This judges the terms of the pods that come and those of the pods that are there alike.
fn anti_affinity(
    crowd: &Crowd<'_, '_>,
    (key, selection): &Term,
    carriers: &BTreeSet<GroupId>,
) -> Option<Violation> {
    let domains = crowd.domains(key);
    let selected = crowd.selected(selection);
    let involved: BTreeSet<GroupId> = selected.iter().chain(carriers).copied().collect();
    if crowd.counts(&involved).all(|(.., count)| count.added == 0) {
        return None;
    }
    let mut before: BTreeMap<&str, Pairs> = BTreeMap::new();
    let mut after: BTreeMap<&str, Pairs> = BTreeMap::new();
    let mut newcomers: BTreeMap<&str, (GroupId, &str)> = BTreeMap::new();
    for (group, place, count) in crowd.counts(&involved) {
        let role = (carriers.contains(&group), selected.contains(&group));
        for domain in domains.get(place).into_iter().flatten() {
            before.entry(domain).or_default().add(count.before, role);
            after.entry(domain).or_default().add(count.before + count.added, role);
            if count.added > 0 {
                newcomers.entry(domain).or_insert((group, place));
            }
        }
    }
    let mut crowded = after
        .iter()
        .filter(|(domain, pairs)| pairs.count() > before.get(*domain).map_or(0, |pairs| pairs.count()));
    let (domain, _) = crowded.next()?;
    let (group, place) = newcomers.get(domain)?;
    let found = format!("it and a pod that it must not be near in {domain} ({key})");
    Some(broken(Rule::AntiAffinity, crowd.pod_name(&BTreeSet::from([*group]), place), found, "them apart"))
}
