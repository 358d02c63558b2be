//! Where pods are relative to one another: spread, affinity and anti-affinity as counters over domains.
//!
//! A rule is shared by all groups that state it. Each counts the pods that its selector means, by domain: by the
//! value of a node label, or by node when the label is the hostname.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::model::labels;
use crate::model::pod::{InclusionPolicy, PodAffinityTerm, PodSpec, TopologySpread, WhenUnsatisfiable};
use crate::model::requirement::{Requirement, Toleration};
use crate::provision::bits::Bits;
use crate::provision::intern::Sym;
use crate::provision::selector::{Meant, Namespaces};
use crate::provision::wishes::Rung;
use crate::why::TopologyRule;

/// A place where pods can be: an existing node or a new one, by position among both.
pub(crate) type Place = usize;

/// What makes two rules the same.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct RuleKey {
    pub(crate) rule: TopologyRule,
    pub(crate) key: String,
    meant: Meant,
    pub(crate) max_skew: u32,
    pub(crate) min_domains: Option<u32>,
    /// Only nodes that fulfil one of these are counted; empty for all.
    pub(crate) affinity: Vec<Vec<Requirement>>,
    /// Only nodes whose taints these tolerate are counted; `None` for all.
    pub(crate) tolerations: Option<Vec<Toleration>>,
}

/// A rule with its counters.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    pub(crate) what: RuleKey,
    /// The node label, `None` for the hostname.
    pub(crate) label: Option<Sym>,
    /// Pods that the selector means, by domain.
    matching: Counter,
    /// Pods that state this rule, by domain. Only anti-affinity works both ways.
    owners: Counter,
    /// Pods on nodes of which nobody knows yet in which domain they will be.
    in_doubt: InDoubt,
    /// Places that are sure to refuse, for rules about the hostname.
    full: Full,
    /// The domains that there are or could be, for a spread.
    domains: Arc<BTreeSet<Sym>>,
    /// For each number of pods in how many of these domains there are so many. The first is the emptiest.
    levels: BTreeMap<u32, u32>,
}

/// A domain of a rule: the value of a label, or a place of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Domain {
    Label(Sym),
    Host(Place),
}

/// Whether pods come or go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Count {
    Up,
    Down,
}

/// Which pods a rule is told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whom {
    /// Those that its selector means.
    Meant,
    /// Those that state it.
    Owners,
}

/// Places with so many pods that the rule means or that state it.
#[derive(Clone, Debug, Default)]
struct Full {
    /// Any that the rule means.
    any: Bits,
    /// As many as the skew allows: one more that the rule means is too many.
    at_skew: Bits,
    /// More than the skew allows: even a pod that the rule does not mean is too many.
    above_skew: Bits,
    /// Any that state the rule.
    owned: Bits,
}

/// Pods that will be in one domain or another. Until it is known, others keep away from all that they could have to keep
/// away from, and nobody comes near who might come to the wrong one.
#[derive(Clone, Copy, Debug, Default)]
struct InDoubt {
    matching: u32,
    owners: u32,
}

#[derive(Clone, Debug, Default)]
struct Counter {
    labels: BTreeMap<Sym, u32>,
    hosts: Vec<u32>,
    total: u32,
}

impl Counter {
    fn at(&self, domain: Domain) -> u32 {
        match domain {
            Domain::Label(value) => self.labels.get(&value).copied().unwrap_or(0),
            Domain::Host(place) => self.hosts.get(place).copied().unwrap_or(0),
        }
    }

    fn cell(&mut self, domain: Domain) -> &mut u32 {
        match domain {
            Domain::Label(value) => self.labels.entry(value).or_default(),
            Domain::Host(place) => {
                if self.hosts.len() <= place {
                    self.hosts.resize(place + 1, 0);
                }
                &mut self.hosts[place]
            }
        }
    }

    fn count(&mut self, domain: Domain, pods: u32, count: Count) {
        let cell = self.cell(domain);
        match count {
            Count::Up => {
                *cell += pods;
                self.total += pods;
            }
            Count::Down => {
                *cell = cell.saturating_sub(pods);
                self.total = self.total.saturating_sub(pods);
            }
        }
    }
}

/// How a group of pods is concerned by rules.
#[derive(Clone, Debug, Default)]
pub(crate) struct Concern {
    /// The rules that its pods hold to: those that they state, and their wishes as long as they have them.
    pub(crate) own: Vec<usize>,
    /// The rules that its pods state. Others have to mind these, and no wishes.
    pub(crate) stated: Vec<usize>,
    /// The rules whose selector means its pods.
    pub(crate) meant: Vec<usize>,
    /// Anti-affinity rules of any pods whose selector means its pods.
    pub(crate) repelled: Vec<usize>,
    /// The labels that any of these are about, by name.
    pub(crate) labels: Vec<Sym>,
}

impl Concern {
    /// Whether no rule has anything to do with these pods.
    pub(crate) fn is_free(&self) -> bool {
        self.own.is_empty() && self.meant.is_empty() && self.repelled.is_empty()
    }
}

impl Rule {
    /// Whether a pod may join a domain. `counts_itself`: whether the rule's selector means the pod.
    pub(crate) fn allows(&self, domain: Domain, counts_itself: bool) -> bool {
        match self.what.rule {
            TopologyRule::Spread => {
                let after = self.matching.at(domain) + u32::from(counts_itself);
                after.saturating_sub(self.emptiest(domain)) <= self.what.max_skew
            }
            TopologyRule::Affinity => {
                let nobody = self.matching.total == 0 && self.in_doubt.matching == 0;
                self.matching.at(domain) > 0 || (nobody && counts_itself)
            }
            TopologyRule::AntiAffinity => self.matching.at(domain) == 0 && self.in_doubt.matching == 0,
        }
    }

    /// Whether the rule holds for pods that are in a domain, and counted there.
    pub(crate) fn holds(&self, domain: Domain) -> bool {
        match self.what.rule {
            TopologyRule::Spread => {
                self.matching.at(domain).saturating_sub(self.emptiest(domain)) <= self.what.max_skew
            }
            TopologyRule::Affinity => self.matching.at(domain) > 0,
            // Fewer pods are no reason to keep farther away.
            TopologyRule::AntiAffinity => true,
        }
    }

    /// Whether a pod that the rule means may join a domain, as far as the pods that state the rule care.
    pub(crate) fn tolerates(&self, domain: Domain) -> bool {
        self.owners.at(domain) == 0 && self.in_doubt.owners == 0
    }

    pub(crate) fn pods_in(&self, domain: Domain) -> u32 {
        self.matching.at(domain)
    }

    fn emptiest(&self, domain: Domain) -> u32 {
        let Domain::Label(_) = domain else {
            // There could always be one more node, and it would be empty.
            return 0;
        };
        let too_few = self.what.min_domains.is_some_and(|wanted| self.domains.len() < wanted as usize);
        if too_few {
            return 0;
        }
        self.levels.first_key_value().map_or(0, |(pods, _)| *pods)
    }

    /// Names the domains over which a spread is judged. The answer is those of before.
    pub(crate) fn set_domains(&mut self, domains: Arc<BTreeSet<Sym>>) -> Arc<BTreeSet<Sym>> {
        self.levels.clear();
        for value in &*domains {
            *self.levels.entry(self.matching.at(Domain::Label(*value))).or_default() += 1;
        }
        std::mem::replace(&mut self.domains, domains)
    }

    /// Counts pods that the rule means.
    pub(crate) fn count_matching(&mut self, domain: Domain, pods: u32, count: Count) {
        self.change(domain, pods, count);
    }

    fn change(&mut self, domain: Domain, pods: u32, count: Count) {
        let before = self.matching.at(domain);
        self.matching.count(domain, pods, count);
        self.note_full(domain);
        let Domain::Label(value) = domain else { return };
        if !self.levels.is_empty() && self.domains.contains(&value) {
            if let Some(domains) = self.levels.get_mut(&before) {
                *domains -= 1;
                if *domains == 0 {
                    self.levels.remove(&before);
                }
            }
            *self.levels.entry(self.matching.at(domain)).or_default() += 1;
        }
    }

    /// Counts pods that state the rule.
    pub(crate) fn count_owners(&mut self, domain: Domain, pods: u32, count: Count) {
        self.owners.count(domain, pods, count);
        self.note_full(domain);
    }

    /// Counts pods on a node whose domain is not known yet.
    pub(crate) fn count_in_doubt(&mut self, pods: u32, (whom, count): (Whom, Count)) {
        let cell = match whom {
            Whom::Meant => &mut self.in_doubt.matching,
            Whom::Owners => &mut self.in_doubt.owners,
        };
        *cell = match count {
            Count::Up => *cell + pods,
            Count::Down => cell.saturating_sub(pods),
        };
    }

    /// Counts the pods of a group that are on a node already: whether the rule means them, or they state it.
    pub(crate) fn count_residents(&mut self, domain: Domain, pods: u32, whom: Whom) {
        match whom {
            Whom::Meant => self.change(domain, pods, Count::Up),
            Whom::Owners => {
                self.owners.count(domain, pods, Count::Up);
                self.note_full(domain);
            }
        }
    }

    fn note_full(&mut self, domain: Domain) {
        let Domain::Host(place) = domain else { return };
        let (pods, owners) = (self.matching.at(domain), self.owners.at(domain));
        self.full.any.set_growing(place, (pods > 0).into());
        self.full.at_skew.set_growing(place, (pods >= self.what.max_skew).into());
        self.full.above_skew.set_growing(place, (pods > self.what.max_skew).into());
        self.full.owned.set_growing(place, (owners > 0).into());
    }

    /// The places that are sure to refuse a pod that states this rule about the hostname.
    pub(crate) fn refusing_hosts(&self, counts_itself: bool) -> Option<&Bits> {
        match (self.what.rule, counts_itself) {
            (TopologyRule::Spread, true) => Some(&self.full.at_skew),
            (TopologyRule::Spread, false) => Some(&self.full.above_skew),
            (TopologyRule::AntiAffinity, _) => Some(&self.full.any),
            (TopologyRule::Affinity, _) => None,
        }
    }

    /// The places with pods that state this rule about the hostname, and so refuse pods that it means.
    pub(crate) const fn intolerant_hosts(&self) -> &Bits {
        &self.full.owned
    }

    /// A label that a pod must have for the rule's selector to mean it, if the selector names one.
    pub(crate) fn anchor(&self) -> Option<(&str, &str)> {
        self.what.meant.anchor()
    }

    /// Whether the rule's selector means pods like these.
    pub(crate) fn means(&self, spec: &PodSpec, namespaces: &Namespaces) -> bool {
        self.what.meant.means(spec, namespaces)
    }

    pub(crate) fn new(what: RuleKey, label: Option<Sym>) -> Self {
        let (matching, owners) = (Counter::default(), Counter::default());
        let (domains, levels) = (Arc::default(), BTreeMap::new());
        let (in_doubt, full) = (InDoubt::default(), Full::default());
        Self { what, label, matching, owners, in_doubt, full, domains, levels }
    }
}

/// The rules that pods like these state: what must hold. Wishes are not among them.
pub(crate) fn rules_of(spec: &PodSpec) -> Vec<RuleKey> {
    let hard =
        spec.topology_spread.iter().filter(|s| s.when_unsatisfiable == WhenUnsatisfiable::DoNotSchedule);
    let spreads = hard.map(|term| spread(term, spec));
    let affinity = spec.pod_affinity.iter().map(|one| term(TopologyRule::Affinity, one, spec));
    let anti = spec.pod_anti_affinity.iter().map(|one| term(TopologyRule::AntiAffinity, one, spec));
    spreads.chain(affinity).chain(anti).collect()
}

/// The wishes of a rung, as the rules that they are as long as they are held to.
pub(crate) fn rules_of_wishes(spec: &PodSpec, rung: &Rung<'_>) -> Vec<RuleKey> {
    let spreads = rung.spreads.iter().map(|term| spread(term, spec));
    let affinity = rung.affinity.iter().map(|one| term(TopologyRule::Affinity, &one.term, spec));
    let anti = rung.anti_affinity.iter().map(|one| term(TopologyRule::AntiAffinity, &one.term, spec));
    spreads.chain(affinity).chain(anti).collect()
}

fn spread(spread: &TopologySpread, spec: &PodSpec) -> RuleKey {
    RuleKey {
        rule: TopologyRule::Spread,
        key: labels::normalized(&spread.key).to_owned(),
        meant: Meant::by_spread(spread, spec),
        max_skew: spread.max_skew,
        min_domains: spread.min_domains,
        affinity: match spread.node_affinity_policy {
            InclusionPolicy::Honor => spec.node_affinity.clone(),
            InclusionPolicy::Ignore => Vec::new(),
        },
        tolerations: match spread.node_taints_policy {
            InclusionPolicy::Honor => Some(spec.tolerations.clone()),
            InclusionPolicy::Ignore => None,
        },
    }
}

fn term(rule: TopologyRule, term: &PodAffinityTerm, spec: &PodSpec) -> RuleKey {
    RuleKey {
        rule,
        key: labels::normalized(&term.key).to_owned(),
        meant: Meant::by_term(term, spec),
        max_skew: 0,
        min_domains: None,
        affinity: Vec::new(),
        tolerations: None,
    }
}
