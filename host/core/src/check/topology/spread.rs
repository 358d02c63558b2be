//! Topology spread with `DoNotSchedule`.
//!
//! A pod may be put in a domain when, counting it, the domain holds at most `maxSkew` pods more than the emptiest
//! domain that it could use (Kubernetes: PodTopologySpread). A domain is one of a node that stays, or one that a
//! NodePool could make a node in (Karpenter: domain universe).

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;

use crate::check::labels::{Condition, Fixed, Shape};
use crate::check::topology::{Crowd, Namespaces, Selection, with_own};
use crate::check::world::{Place, labels_of_pool, shape_of_offering};
use crate::check::{Rule, Violation, broken};
use crate::model::labels::{HOSTNAME, normalized};
use crate::model::node_pool::NodePool;
use crate::model::pod::{InclusionPolicy, PodSpec, TopologySpread, WhenUnsatisfiable};
use crate::model::requirement::{Operator, Requirement, Toleration, untolerated};
use crate::state::groups::GroupId;

/// A spread rule as one kind of pod means it. Pods that mean the same share one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Spread {
    key: String,
    selection: Selection,
    max_skew: u32,
    min_domains: Option<u32>,
    /// What the pods ask of nodes, when only such nodes are counted.
    affinity: Option<Vec<Vec<Requirement>>>,
    /// What the pods tolerate, when only such nodes are counted.
    tolerations: Option<Vec<Toleration>>,
}

/// What all NodePools together could launch.
struct Universe<'a> {
    shapes: Vec<(&'a NodePool, Shape<'a>)>,
    /// By label and by its value, which of them can have it.
    by_domain: RefCell<BTreeMap<String, Rc<ByDomain>>>,
}

/// By value of a label the positions of the shapes that can have it, in lists that values may share.
type ByDomain = BTreeMap<String, Vec<Rc<[usize]>>>;

impl Universe<'_> {
    fn by_domain(&self, key: &str) -> Rc<ByDomain> {
        if let Some(known) = self.by_domain.borrow().get(key) {
            return Rc::clone(known);
        }
        let mut stated: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        // What a NodePool leaves open is the same for thousands of offerings, and may be a thousand values long.
        let mut open: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (at, (pool, shape)) in self.shapes.iter().enumerate() {
            if shape.is_open(key) {
                open.entry(&pool.name).or_default().push(at);
                continue;
            }
            for domain in shape.values(key).all().iter().filter(|domain| !domain.is_empty()) {
                stated.entry(domain).or_default().push(at);
            }
        }
        let mut by_domain = ByDomain::new();
        for (domain, shapes) in stated {
            by_domain.entry(domain.to_owned()).or_default().push(shapes.into());
        }
        for shapes in open.into_values() {
            let shapes: Rc<[usize]> = shapes.into();
            let values = shapes.first().map(|at| self.shapes[*at].1.values(key).all().to_vec());
            for domain in values.unwrap_or_default().iter().filter(|domain| !domain.is_empty()) {
                by_domain.entry((*domain).to_owned()).or_default().push(Rc::clone(&shapes));
            }
        }
        let by_domain = Rc::new(by_domain);
        self.by_domain.borrow_mut().insert(key.to_owned(), Rc::clone(&by_domain));
        by_domain
    }
}

/// The nodes that a rule looks at. Many rules look at the same.
struct Scope<'a> {
    counted: BTreeSet<&'a str>,
    /// The domains of those of them that stay.
    domains: BTreeSet<String>,
}

/// What makes two rules look at the same nodes: the label, and what is asked of nodes.
type ScopeKey = (String, Option<Vec<Vec<Requirement>>>, Option<Vec<Toleration>>);

type Scopes<'a> = BTreeMap<ScopeKey, Scope<'a>>;

pub(super) fn check(crowd: &Crowd<'_, '_>) -> Vec<Violation> {
    let mut rules: BTreeMap<Spread, BTreeSet<GroupId>> = BTreeMap::new();
    for group in crowd.coming() {
        let spec = crowd.spec(group);
        let hard = |spread: &&TopologySpread| spread.when_unsatisfiable == WhenUnsatisfiable::DoNotSchedule;
        for spread in spec.topology_spread.iter().filter(hard) {
            rules.entry(meant(spec, spread)).or_default().insert(group);
        }
    }
    if rules.is_empty() {
        return Vec::new();
    }
    let universe = universe(crowd);
    let mut scopes = Scopes::new();
    let mut violations = Vec::new();
    for (rule, carriers) in &rules {
        let affinity = rule.affinity.clone().filter(|affinity| !affinity.is_empty());
        let key = (rule.key.clone(), affinity, rule.tolerations.clone());
        let scope = scopes.entry(key).or_insert_with(|| scope(crowd, rule));
        violations.extend(judge(crowd, (&universe, scope), rule, carriers));
    }
    violations
}

fn scope<'a>(crowd: &Crowd<'_, 'a>, rule: &Spread) -> Scope<'a> {
    let places = crowd.world.places.iter();
    let counted: BTreeSet<&str> =
        places.filter(|(_, place)| counts(rule, place)).map(|(name, _)| *name).collect();
    let of_label = crowd.domains(&rule.key);
    let mut domains = BTreeSet::new();
    for name in &counted {
        let stays = crowd.world.places.get(name).is_some_and(|place| place.leaving.is_none());
        if let Some(possible) = of_label.get(name).filter(|possible| stays && possible.len() == 1) {
            domains.extend(possible.iter().cloned());
        }
    }
    Scope { counted, domains }
}

fn meant(spec: &PodSpec, spread: &TopologySpread) -> Spread {
    let selector = with_own(spread.selector.as_ref(), spec, (&spread.match_label_keys, Operator::In));
    let namespaces = Namespaces::Only(BTreeSet::from([spec.namespace.clone()]));
    let honored = |policy| policy == InclusionPolicy::Honor;
    Spread {
        key: normalized(&spread.key).to_owned(),
        selection: Selection { namespaces, selector },
        max_skew: spread.max_skew,
        min_domains: spread.min_domains,
        affinity: honored(spread.node_affinity_policy).then(|| spec.node_affinity.clone()),
        tolerations: honored(spread.node_taints_policy).then(|| spec.tolerations.clone()),
    }
}

/// Judges one rule, for all pods that carry it.
fn judge(
    crowd: &Crowd<'_, '_>,
    (universe, scope): (&Universe<'_>, &Scope<'_>),
    rule: &Spread,
    carriers: &BTreeSet<GroupId>,
) -> Vec<Violation> {
    let tally = tally(crowd, scope, rule, carriers);
    let domains = crowd.domains(&rule.key);
    let least = least((crowd, scope), universe, (rule, carriers), &tally);
    let mut violations = Vec::new();
    let mut told = BTreeSet::new();
    for (_, place, count) in crowd.counts(carriers) {
        if count.added == 0 {
            continue;
        }
        let name = || crowd.pod_name(carriers, place);
        let possible = domains.get(place);
        if possible.is_none_or(BTreeSet::is_empty) && told.insert((place, "")) {
            let found = format!("{place} without the label {}", rule.key);
            violations.push(broken(Rule::Spread, name(), found, "a place that has it"));
        }
        for domain in possible.into_iter().flatten() {
            let fullest = tally.judged.get(domain).copied().unwrap_or(0);
            let first = told.insert(("", domain.as_str()));
            if first && fullest > least + u64::from(rule.max_skew) {
                let found = format!("{fullest} pods in {domain} ({}), {least} in the emptiest", rule.key);
                let expected = format!("a difference of at most {}", rule.max_skew);
                violations.push(broken(Rule::Spread, name(), found, &expected));
            }
        }
    }
    violations
}

/// Pods that a rule counts, domain by domain.
#[derive(Default)]
struct Tally {
    /// For the fullest: those that are there, and of those that come the ones that carry the rule. Others may have
    /// come later, and nothing stops those. A pod whose domain is not decided counts in each.
    judged: BTreeMap<String, u64>,
    /// For the emptiest: all whose domain is certain, those on places that go included. One that roams counts
    /// wherever it may be.
    certain: BTreeMap<String, u64>,
}

fn tally(crowd: &Crowd<'_, '_>, scope: &Scope<'_>, rule: &Spread, carriers: &BTreeSet<GroupId>) -> Tally {
    let domains = crowd.domains(&rule.key);
    let counted = &scope.counted;
    let mut tally = Tally::default();
    for (group, place, count) in crowd.counts(&crowd.selected(&rule.selection)) {
        let Some(possible) = domains.get(place).filter(|_| counted.contains(place)) else { continue };
        let carried = if carriers.contains(&group) { count.added } else { 0 };
        for domain in possible {
            let certain = possible.len() == 1;
            let before = if certain { count.before } else { 0 };
            *tally.judged.entry(domain.clone()).or_default() += before + carried;
            if certain {
                let all = count.before + count.lingering + count.added;
                *tally.certain.entry(domain.clone()).or_default() += all;
            }
        }
    }
    for (pods, reach) in crowd.roaming(&crowd.selected(&rule.selection)) {
        let reached = reach.iter().filter(|place| counted.contains(*place));
        let certain = reached.filter_map(|place| domains.get(place).filter(|possible| possible.len() == 1));
        for domain in certain.flatten().collect::<BTreeSet<_>>() {
            *tally.certain.entry(domain.clone()).or_default() += pods;
        }
    }
    tally
}

/// Whether the pods on a place are counted.
fn counts(rule: &Spread, place: &Place<'_>) -> bool {
    let affinity = rule.affinity.as_ref().is_none_or(|affinity| place.fulfils_one_of(affinity));
    let tolerated = |tolerations: &Vec<Toleration>| untolerated(&place.taints, tolerations).is_none();
    affinity && rule.tolerations.as_ref().is_none_or(tolerated)
}

/// How many pods are in the emptiest domain that the carriers could use.
fn least(
    (crowd, scope): (&Crowd<'_, '_>, &Scope<'_>),
    universe: &Universe<'_>,
    (rule, carriers): (&Spread, &BTreeSet<GroupId>),
    tally: &Tally,
) -> u64 {
    // There can always be one more host.
    if rule.key == HOSTNAME {
        return 0;
    }
    let Some(carrier) = carriers.first().map(|group| crowd.spec(*group)) else { return 0 };
    let asked = rule.affinity.clone().unwrap_or_default();
    let mut usable = scope.domains.clone();
    let mut known = usable.clone();
    for (domain, shapes) in universe.by_domain(&rule.key).iter() {
        if usable.contains(domain) {
            continue;
        }
        for (pool, shape) in shapes.iter().flat_map(|shapes| shapes.iter()).map(|at| &universe.shapes[*at]) {
            // A node has one value of the label: another that the pods may have too does not make this one theirs.
            let may_fulfil =
                |alternatives| shape.may_fulfil_one_of_with(alternatives, (&rule.key, domain.as_str()));
            if !may_fulfil(&asked) {
                continue;
            }
            known.insert(domain.clone());
            // A domain counts as empty only when the pod could be the one to open it.
            let opens = untolerated(&pool.taints, &carrier.tolerations).is_none()
                && may_fulfil(&carrier.node_affinity)
                && carrier.requests.fits_in(&shape.allocatable());
            if opens {
                usable.insert(domain.clone());
                break;
            }
        }
    }
    if rule.min_domains.is_some_and(|wanted| (known.len() as u64) < u64::from(wanted)) {
        return 0;
    }
    usable.iter().map(|domain| tally.certain.get(domain).copied().unwrap_or(0)).min().unwrap_or(0)
}

/// What the NodePools that follow their pods could launch now.
fn universe<'a>(crowd: &Crowd<'_, 'a>) -> Universe<'a> {
    let world = crowd.world;
    let mut shapes = Vec::new();
    let usable = |pool: &&NodePool| pool.ready && !pool.deleting && pool.replicas.is_none();
    for pool in world.snapshot.node_pools.values().filter(usable) {
        let labels = Fixed::Shared(Arc::new(labels_of_pool(pool)));
        let conditions: Vec<Condition<'_>> = pool.requirements.iter().map(Condition::new).collect();
        let types = world.instance_types.get(pool.node_class.as_str()).into_iter().flat_map(|t| t.values());
        for instance_type in types {
            for offering in &instance_type.offerings {
                if !world.is_for_sale(instance_type, offering) {
                    continue;
                }
                let shape = shape_of_offering(&labels, &pool.requirements, (instance_type, offering));
                if conditions.iter().all(|condition| condition.holds(&shape)) {
                    shapes.push((pool, shape));
                }
            }
        }
    }
    Universe { shapes, by_domain: RefCell::default() }
}
