//! Spread, affinity and anti-affinity: whom they mean, where they count, and what they allow.
//!
//! Every rule is of one kind of pod and has counts of its own, whether or not others state the same.

use std::collections::{BTreeMap, BTreeSet};

use whittle_core::model::labels::{self, HOSTNAME};
use whittle_core::model::pod::{
    InclusionPolicy, LabelSelector, PodAffinityTerm, PodSpec, TopologySpread, WhenUnsatisfiable,
};
use whittle_core::model::requirement::{Operator, Requirement, Taint};
use whittle_core::settings::PreferencePolicy;
use whittle_core::state::Snapshot;

use super::labels::are_fulfilled;
use super::nodes::{Existing, domain};
use super::pools::{Draft, Pool};
use super::{Kind, Place, Try, are_tolerable};

/// Pods counted by domain: by the value of a label, or by place.
type Counts = BTreeMap<String, u32>;

pub(super) struct Rules<'a> {
    rules: Vec<Rule<'a>>,
    specs: Vec<&'a PodSpec>,
    namespaces: &'a BTreeMap<String, BTreeMap<String, String>>,
}

struct Rule<'a> {
    /// The kind of pods that wait and state it; `None` when only pods that are placed already do.
    owner: Option<usize>,
    spec: &'a PodSpec,
    what: What<'a>,
    /// For a wish its position among those of its sort.
    wish: Option<usize>,
    /// The domains that there are or could be, for a spread.
    domains: BTreeSet<String>,
    /// Pods that are meant.
    matching: Counts,
    /// Pods that state the rule.
    owners: Counts,
}

#[derive(Clone, Copy)]
enum What<'a> {
    Spread(&'a TopologySpread),
    Near(&'a PodAffinityTerm),
    Away(&'a PodAffinityTerm),
}

/// A place as a domain of its own.
pub(super) fn host(place: Place) -> String {
    format!("{place:?}")
}

impl<'a> Rules<'a> {
    pub(super) fn new(
        snapshot: &'a Snapshot,
        kinds: &[Kind<'a>],
        existing: &[Existing<'a>],
        pools: &[Pool<'_>],
    ) -> Self {
        let wishes = snapshot.settings.preferences == PreferencePolicy::Respect;
        let mut rules = Vec::new();
        for (owner, kind) in kinds.iter().enumerate() {
            rules.extend(stated(kind.spec).into_iter().map(|what| new(Some(owner), kind.spec, (what, None))));
            if wishes {
                let wished = wished(kind.spec).into_iter();
                rules.extend(wished.map(|(what, at)| new(Some(owner), kind.spec, (what, Some(at)))));
            }
        }
        let residents =
            existing.iter().filter_map(|place| place.node).flat_map(|node| snapshot.pods_on(&node.name));
        let mut seen: Vec<&PodSpec> = kinds.iter().map(|kind| kind.spec).collect();
        for spec in residents.filter(|pod| pod.deleting.is_none()).map(|pod| &*pod.spec) {
            if !seen.contains(&spec) {
                seen.push(spec);
                let away = stated(spec).into_iter().filter(|what| matches!(what, What::Away(_)));
                rules.extend(away.map(|what| new(None, spec, (what, None))));
            }
        }
        for rule in &mut rules {
            rule.list_domains(existing, pools);
        }
        let specs = kinds.iter().map(|kind| kind.spec).collect();
        let mut all = Self { rules, specs, namespaces: &snapshot.namespaces };
        for (place, node) in existing.iter().enumerate() {
            let pods = node.node.into_iter().flat_map(|node| snapshot.pods_on(&node.name));
            for pod in pods.filter(|pod| pod.deleting.is_none()) {
                all.count_one(&pod.spec, |rule| {
                    let is_seen = rule.sees(&node.taints, |term| are_fulfilled(term, &node.labels));
                    (domain(existing, place, rule.what.key()), is_seen)
                });
            }
        }
        all
    }

    /// Counts a pod that has got a place.
    pub(super) fn count(
        &mut self,
        kind: usize,
        place: Place,
        existing: &[Existing<'_>],
        drafts: &[Draft],
        pools: &[Pool<'_>],
    ) {
        self.count_one(self.specs[kind], |rule| match place {
            Place::Existing(at) => {
                let node = &existing[at];
                let is_seen = rule.sees(&node.taints, |term| are_fulfilled(term, &node.labels));
                (domain(existing, at, rule.what.key()), is_seen)
            }
            Place::New(at) => {
                let (draft, pool) = (&drafts[at], &pools[drafts[at].pool]);
                let is_seen = rule.sees(&pool.pool.taints, |term| draft.could_be(pool, term));
                let domain = match rule.what.key() {
                    HOSTNAME => Some(host(place)),
                    key => only(draft.values(pool, key)),
                };
                (domain, is_seen)
            }
        });
    }

    fn count_one(&mut self, spec: &PodSpec, place: impl Fn(&Rule<'_>) -> (Option<String>, bool)) {
        let namespaces = self.namespaces;
        for rule in &mut self.rules {
            let (Some(domain), is_seen) = place(rule) else { continue };
            if is_seen && rule.means(spec, namespaces) {
                *rule.matching.entry(domain.clone()).or_default() += 1;
            }
            if rule.spec == spec && rule.wish.is_none() {
                *rule.owners.entry(domain).or_default() += 1;
            }
        }
    }

    /// The label that a rule is about.
    pub(super) fn key(&self, rule: usize) -> &str {
        self.rules[rule].what.key()
    }

    pub(super) fn is_about_keeping_away(&self, rule: usize) -> bool {
        matches!(self.rules[rule].what, What::Away(_))
    }

    /// Whether a pod holds to a rule itself: it states it, or wishes it and has not given that up.
    pub(super) fn is_own(&self, rule: usize, (kind, held): (usize, &Try<'_>)) -> bool {
        let rule = &self.rules[rule];
        let given_up = match rule.what {
            What::Spread(_) => held.given_up.spreads,
            What::Near(_) => held.given_up.near,
            What::Away(_) => held.given_up.away,
        };
        rule.owner == Some(kind) && rule.wish.is_none_or(|at| at >= given_up)
    }

    fn means(&self, rule: usize, kind: usize) -> bool {
        self.rules[rule].means(self.specs[kind], self.namespaces)
    }

    /// Whether a rule of others keeps a pod away from them: what they require, not what they would like.
    fn repels(&self, rule: usize, kind: usize) -> bool {
        self.is_about_keeping_away(rule) && self.rules[rule].wish.is_none() && self.means(rule, kind)
    }

    /// The rules that a pod has to mind: its own, and those by which others keep it away.
    pub(super) fn of(&self, kind: usize, held: &Try<'_>) -> Vec<usize> {
        let minds = |rule: &usize| self.is_own(*rule, (kind, held)) || self.repels(*rule, kind);
        (0..self.rules.len()).filter(minds).collect()
    }

    /// The labels by which any rule counts a pod, or that its own rules are about, by name.
    pub(super) fn keys_concerning(&self, kind: usize, held: &Try<'_>) -> BTreeSet<&str> {
        let concerns = |rule: &usize| self.is_own(*rule, (kind, held)) || self.means(*rule, kind);
        let keys = (0..self.rules.len()).filter(concerns).map(|rule| self.key(rule));
        keys.filter(|key| *key != HOSTNAME).collect()
    }

    /// Whether a rule lets a pod into a domain.
    pub(super) fn allow(&self, at: usize, (kind, held): (usize, &Try<'_>), domain: &str) -> bool {
        let rule = &self.rules[at];
        let is_kept_away = self.repels(at, kind) && in_domain(&rule.owners, domain) > 0;
        if is_kept_away || !self.is_own(at, (kind, held)) {
            return !is_kept_away;
        }
        let there = in_domain(&rule.matching, domain);
        let counts_itself = self.means(at, kind);
        match rule.what {
            What::Spread(spread) => {
                let after = there + u32::from(counts_itself);
                after.saturating_sub(rule.emptiest()) <= spread.max_skew
            }
            // The first of pods that want to be together may be anywhere.
            What::Near(_) => there > 0 || (counts_itself && rule.matching.values().all(|pods| *pods == 0)),
            What::Away(_) => there == 0,
        }
    }

    /// How many pods a spread counts in a domain.
    pub(super) fn pods_in(&self, rule: usize, domain: &str) -> u32 {
        match self.rules[rule].what {
            What::Spread(_) => in_domain(&self.rules[rule].matching, domain),
            What::Near(_) | What::Away(_) => 0,
        }
    }
}

fn in_domain(counts: &Counts, domain: &str) -> u32 {
    counts.get(domain).copied().unwrap_or(0)
}

fn only(values: Option<BTreeSet<String>>) -> Option<String> {
    values.filter(|values| values.len() == 1).and_then(|values| values.into_iter().next())
}

fn new<'a>(owner: Option<usize>, spec: &'a PodSpec, (what, wish): (What<'a>, Option<usize>)) -> Rule<'a> {
    let (matching, owners) = (Counts::new(), Counts::new());
    Rule { owner, spec, what, wish, domains: BTreeSet::new(), matching, owners }
}

/// What pods require of where they are relative to others.
fn stated(spec: &PodSpec) -> Vec<What<'_>> {
    let spreads = spec.topology_spread.iter();
    let spreads = spreads.filter(|spread| spread.when_unsatisfiable == WhenUnsatisfiable::DoNotSchedule);
    let near = spec.pod_affinity.iter().map(What::Near);
    let away = spec.pod_anti_affinity.iter().map(What::Away);
    spreads.map(What::Spread).chain(near).chain(away).collect()
}

/// What they would like, each with its position among wishes of its sort.
fn wished(spec: &PodSpec) -> Vec<(What<'_>, usize)> {
    let spreads = spec.topology_spread.iter();
    let spreads = spreads.filter(|spread| spread.when_unsatisfiable == WhenUnsatisfiable::ScheduleAnyway);
    let spreads = spreads.map(What::Spread).zip(0..);
    let near = spec.preferred_pod_affinity.iter().map(|preferred| What::Near(&preferred.term)).zip(0..);
    let away = spec.preferred_pod_anti_affinity.iter().map(|preferred| What::Away(&preferred.term)).zip(0..);
    spreads.chain(near).chain(away).collect()
}

impl What<'_> {
    fn key(&self) -> &str {
        labels::normalized(match self {
            Self::Spread(spread) => &spread.key,
            Self::Near(term) | Self::Away(term) => &term.key,
        })
    }
}

impl Rule<'_> {
    /// Whether the rule counts pods like these.
    fn means(&self, spec: &PodSpec, namespaces: &BTreeMap<String, BTreeMap<String, String>>) -> bool {
        let (selector, same, other) = match self.what {
            What::Spread(spread) => (&spread.selector, &spread.match_label_keys, [].as_slice()),
            What::Near(term) | What::Away(term) => {
                (&term.selector, &term.match_label_keys, term.mismatch_label_keys.as_slice())
            }
        };
        // A key that the pod itself does not have is left out.
        let own = |key: &String| self.spec.labels.get(key);
        let is_same = |key: &String| own(key).is_none_or(|value| spec.labels.get(key) == Some(value));
        let is_other = |key: &String| own(key).is_none_or(|value| spec.labels.get(key) != Some(value));
        let namespace = match self.what {
            What::Spread(_) => spec.namespace == self.spec.namespace,
            What::Near(term) | What::Away(term) => self.is_in(term, &spec.namespace, namespaces),
        };
        namespace
            && selector.as_ref().is_some_and(|selector| selects(selector, &spec.labels))
            && same.iter().all(is_same)
            && other.iter().all(is_other)
    }

    fn is_in(
        &self,
        term: &PodAffinityTerm,
        namespace: &String,
        namespaces: &BTreeMap<String, BTreeMap<String, String>>,
    ) -> bool {
        let selected = |selector: &LabelSelector| {
            let unlabelled = BTreeMap::new();
            selects(selector, namespaces.get(namespace).unwrap_or(&unlabelled))
        };
        match &term.namespace_selector {
            None if term.namespaces.is_empty() => *namespace == self.spec.namespace,
            None => term.namespaces.contains(namespace),
            Some(selector) => term.namespaces.contains(namespace) || selected(selector),
        }
    }

    /// Whether the rule looks at a node with these taints at all. `could_be`: whether a term of node affinity holds there.
    fn sees(&self, taints: &[Taint], could_be: impl Fn(&[Requirement]) -> bool) -> bool {
        let What::Spread(spread) = self.what else { return true };
        let terms = self.terms_seen(spread);
        let is_tolerated = match spread.node_taints_policy {
            InclusionPolicy::Honor => are_tolerable(taints, &self.spec.tolerations),
            InclusionPolicy::Ignore => true,
        };
        is_tolerated && (terms.is_empty() || terms.iter().any(|term| could_be(term)))
    }

    /// Only nodes that are as one of these terms wants are looked at; all when there is none.
    fn terms_seen(&self, spread: &TopologySpread) -> &[Vec<Requirement>] {
        match spread.node_affinity_policy {
            InclusionPolicy::Honor => &self.spec.node_affinity,
            InclusionPolicy::Ignore => &[],
        }
    }

    fn list_domains(&mut self, existing: &[Existing<'_>], pools: &[Pool<'_>]) {
        let What::Spread(spread) = self.what else { return };
        let key = self.what.key();
        let nodes = existing.iter().enumerate();
        let seen =
            nodes.filter(|(_, node)| self.sees(&node.taints, |term| are_fulfilled(term, &node.labels)));
        let mut domains: BTreeSet<_> = seen.filter_map(|(at, _)| domain(existing, at, key)).collect();
        for pool in pools.iter().filter(|pool| self.sees(&pool.pool.taints, |_| true)) {
            domains.extend(pool.domains(key, self.terms_seen(spread)));
        }
        self.domains = domains;
    }

    /// How many pods the emptiest domain has.
    fn emptiest(&self) -> u32 {
        let What::Spread(spread) = self.what else { return 0 };
        let too_few = spread.min_domains.is_some_and(|least| self.domains.len() < least as usize);
        // There could always be one more node, and it would be empty.
        if too_few || self.what.key() == HOSTNAME {
            return 0;
        }
        self.domains.iter().map(|domain| in_domain(&self.matching, domain)).min().unwrap_or(0)
    }
}

/// Whether labels are as a selector says.
fn selects(selector: &LabelSelector, labels: &BTreeMap<String, String>) -> bool {
    selector.requirements.iter().all(|requirement| {
        let value = labels.get(&requirement.key);
        match requirement.operator {
            Operator::In => value.is_some_and(|value| requirement.values.contains(value)),
            Operator::NotIn => value.is_none_or(|value| !requirement.values.contains(value)),
            Operator::Exists => value.is_some(),
            Operator::DoesNotExist => value.is_none(),
            Operator::Gt | Operator::Lt | Operator::Gte | Operator::Lte => panic!("no operator of selectors"),
        }
    })
}
