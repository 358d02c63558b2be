//! May this NodeClaim be made, and can each of its offerings hold its pods?
//!
//! Whether the pods may be there at all is in `placement`.

use std::collections::{BTreeMap, BTreeSet};

use crate::check::labels::{Condition, Shape};
use crate::check::placement::{requests_of, runs_on};
use crate::check::world::{Place, World, is_same, labels_of_pool, launches};
use crate::check::{Rule, Violation, broken};
use crate::model::instance_type::InstanceType;
use crate::model::labels::{CAPACITY_TYPE, INSTANCE_TYPE, NODE_CLASS, ZONE, ZONE_ID, normalized};
use crate::model::node_pool::{NODES, NodePool};
use crate::model::requirement::{Requirement, untolerated};
use crate::model::resources::Resources;
use crate::plan::{Launch, LaunchOffering};
use crate::settings::MinValuesPolicy;

/// What can be said of a launch before its pods are looked at. Many launches of a plan share it, and each may list
/// hundreds of offerings.
struct Kind<'a> {
    launch: &'a Launch,
    violations: Vec<Violation>,
    /// The instance types that it may become, with what the DaemonSet pods on them ask for.
    types: Vec<(&'a InstanceType, Resources)>,
}

/// Judges the launches of a plan, in order.
pub(super) fn check(world: &World<'_>) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut names = BTreeSet::new();
    let mut kinds: Vec<Kind<'_>> = Vec::new();
    for launch in launches(world.plan) {
        let taken = world.snapshot.claims.contains_key(&launch.claim);
        let place = world.places.get(launch.claim.as_str()).filter(|_| !taken);
        let (Some(place), true) = (place, names.insert(launch.claim.as_str())) else {
            violations.push(broken(Rule::Name, &launch.claim, "a NodeClaim of this name", "a new name"));
            continue;
        };
        let known = kinds.iter().position(|kind| are_alike(kind.launch, launch));
        let ord = known.unwrap_or_else(|| {
            kinds.push(kind(world, launch, place));
            kinds.len() - 1
        });
        let Kind { violations: shared, types, .. } = &kinds[ord];
        let of_this = |one: &Violation| Violation { subject: launch.claim.clone(), ..one.clone() };
        violations.extend(shared.iter().map(of_this));
        violations.extend(room(world, launch, place, types));
    }
    violations.extend(limits(world));
    violations
}

/// Whether two launches differ in nothing but name and pods.
fn are_alike(one: &Launch, other: &Launch) -> bool {
    let same_pool = one.node_pool == other.node_pool && one.node_class == other.node_class;
    let same_taints = one.taints == other.taints && one.startup_taints == other.startup_taints;
    same_pool
        && same_taints
        && one.labels == other.labels
        && one.requirements == other.requirements
        && one.min_values_relaxed == other.min_values_relaxed
        && one.offerings == other.offerings
}

fn kind<'a>(world: &World<'a>, launch: &'a Launch, place: &Place<'a>) -> Kind<'a> {
    let mut violations = offerings(world, launch);
    match world.snapshot.node_pools.get(&launch.node_pool) {
        None => {
            let found = format!("NodePool {:?}, which does not exist", launch.node_pool);
            violations.push(broken(Rule::NodePool, &launch.claim, found, "a NodePool"));
        }
        Some(pool) => {
            violations.extend(node_pool(world, launch, pool));
            violations.extend(template(launch, pool));
            violations.extend(min_values(world, launch, pool));
            violations.extend(requirements(launch, pool, place));
        }
    }
    let mut judged = BTreeSet::new();
    let mut types = Vec::new();
    for shape in &place.shapes {
        let Some((instance_type, _)) = shape.bought else { continue };
        let (running, daemons) = daemons(world, place, shape);
        if judged.insert((instance_type.name.as_str(), running)) {
            types.push((instance_type, daemons));
        }
    }
    Kind { launch, violations, types }
}

fn node_pool(world: &World<'_>, launch: &Launch, pool: &NodePool) -> Vec<Violation> {
    let class_ready = world.snapshot.node_classes.get(&launch.node_class).is_some_and(|class| class.ready);
    let wrong = [
        (!pool.ready, "a NodePool that is not ready", "one that is"),
        (pool.deleting, "a NodePool that is being deleted", "one that stays"),
        (pool.replicas.is_some(), "a NodePool with a fixed number of nodes", "one that follows its pods"),
        (!class_ready, "an EC2NodeClass that is missing or not ready", "one that is ready"),
        (launch.node_class != pool.node_class, "another EC2NodeClass", "the NodePool's"),
    ];
    let wrong = wrong.into_iter().filter(|(wrong, ..)| *wrong);
    wrong.map(|(_, found, expected)| broken(Rule::NodePool, &launch.claim, found, expected)).collect()
}

fn offerings(world: &World<'_>, launch: &Launch) -> Vec<Violation> {
    let violation = |found: String, expected: &str| broken(Rule::Offering, &launch.claim, found, expected);
    let mut violations = Vec::new();
    if launch.offerings.is_empty() {
        violations.push(violation("no offering".to_owned(), "at least one"));
    }
    for pair in launch.offerings.windows(2) {
        if let [before, after] = pair
            && before.price > after.price
        {
            let found = format!("{} before {}, which is cheaper", named(before), named(after));
            violations.push(violation(found, "the cheapest first"));
        }
    }
    let types = world.instance_types.get(launch.node_class.as_str());
    for listed in launch.offerings.iter() {
        let instance_type = types.and_then(|types| types.get(listed.instance_type.as_str()));
        let found = instance_type.and_then(|instance_type| {
            Some((*instance_type, instance_type.offerings.iter().find(|one| is_same(one, listed))?))
        });
        let Some((instance_type, offering)) = found else {
            violations.push(violation(named(listed), "an offering of the EC2NodeClass"));
            continue;
        };
        if !world.is_for_sale(instance_type, offering) {
            violations.push(violation(format!("{}, which is not available", named(listed)), "one that is"));
        }
        if offering.price != listed.price {
            let found = format!("{} for {} micro-dollars", named(listed), listed.price.micros());
            violations.push(violation(found, &format!("{}, as in the catalogue", offering.price.micros())));
        }
    }
    violations
}

fn named(offering: &LaunchOffering) -> String {
    format!("{} {} in {}", offering.instance_type, offering.capacity_type, offering.zone)
}

/// What is asked by the NodePool and the launch, of every offering.
fn requirements(launch: &Launch, pool: &NodePool, place: &Place<'_>) -> Vec<Violation> {
    let asked = pool.requirements.iter().chain(launch.requirements.iter());
    let unfulfilled = asked.filter_map(|requirement| {
        let condition = Condition::new(requirement);
        let shape = place.shapes.iter().find(|shape| !condition.holds(shape))?;
        let values = shape.values(&requirement.key);
        let (instance_type, offering) = shape.bought?;
        let found = format!(
            "{} {} in {} with {} {:?}",
            instance_type.name,
            offering.capacity_type,
            offering.zone,
            requirement.key,
            values.all()
        );
        let expected = shortened(requirement);
        Some(broken(Rule::Requirements, &launch.claim, found, &expected))
    });
    unfulfilled.collect()
}

/// A requirement that may list hundreds of instance types, on one line that can be read.
fn shortened(requirement: &Requirement) -> String {
    /// More values than this are counted rather than listed.
    const LISTED_MAX: usize = 8;
    match requirement.values.len() {
        0..=LISTED_MAX => requirement.to_string(),
        more => format!("{} {:?} one of {more} values", requirement.key, requirement.operator),
    }
}

/// The labels and taints that the NodePool gives all its nodes.
fn template(launch: &Launch, pool: &NodePool) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut labels = labels_of_pool(pool);
    // The class's label is written at launch; a launch need not repeat its own `node_class`.
    labels.remove(NODE_CLASS);
    for (key, value) in labels {
        if launch.labels.get(&key) != Some(&value) {
            let found = format!("the label {key} {:?}", launch.labels.get(&key));
            violations.push(broken(Rule::Template, &launch.claim, found, &format!("{value:?}")));
        }
    }
    let taints = pool.taints.iter().filter(|taint| !launch.taints.contains(taint));
    let startup = pool.startup_taints.iter().filter(|taint| !launch.startup_taints.contains(taint));
    for taint in taints.chain(startup) {
        let found = format!("no taint {taint}");
        violations.push(broken(Rule::Template, &launch.claim, found, "the NodePool's taints"));
    }
    violations
}

/// The largest listed instance type counts, because EC2 may choose it.
fn limits(world: &World<'_>) -> Vec<Violation> {
    let mut used: BTreeMap<&str, (Resources, u64)> = BTreeMap::new();
    let mut violations = Vec::new();
    // The state may remember already that it asked for these: they are added one by one here.
    let launched: BTreeSet<&str> = launches(world.plan).map(|launch| launch.claim.as_str()).collect();
    for launch in launches(world.plan) {
        let Some(pool) = world.snapshot.node_pools.get(&launch.node_pool) else { continue };
        let (used, nodes) = used
            .entry(&pool.name)
            .or_insert_with(|| world.snapshot.used_of_pool_besides(&pool.name, &launched));
        let listed = types_of(world, launch);
        let largest =
            listed.values().fold(Resources::default(), |most, one| Resources::max(&most, &one.capacity));
        *used = used.plus(&largest);
        *nodes += 1;
        for (resource, limit) in &pool.limits {
            let wanted = if resource == NODES { *nodes } else { used.get(resource) };
            // A limit on something that these nodes do not have is none of theirs.
            let adds = resource == NODES || largest.get(resource) > 0;
            if adds && wanted > *limit {
                let found = format!("{wanted} of {resource} in NodePool {}", pool.name);
                let expected = format!("at most {limit}");
                violations.push(broken(Rule::Limits, &launch.claim, found, &expected));
            }
        }
    }
    violations
}

fn types_of<'a>(world: &World<'a>, launch: &'a Launch) -> BTreeMap<&'a str, &'a InstanceType> {
    let types = world.instance_types.get(launch.node_class.as_str());
    let names = launch.offerings.iter().map(|offering| offering.instance_type.as_str());
    names.filter_map(|name| Some((name, *types?.get(name)?))).collect()
}

fn min_values(world: &World<'_>, launch: &Launch, pool: &NodePool) -> Vec<Violation> {
    let types = types_of(world, launch);
    let mut violations = Vec::new();
    let may_lower =
        world.snapshot.settings.min_values == MinValuesPolicy::BestEffort && launch.min_values_relaxed;
    let mut is_lowered = false;
    for requirement in &pool.requirements {
        let Some(wanted) = requirement.min_values else { continue };
        let least = stated_min_values(launch, &requirement.key).map_or(wanted, |stated| wanted.min(stated));
        is_lowered |= least < wanted;
        if least < wanted && !may_lower {
            let found = format!("a minimum of {least} values of {}", requirement.key);
            violations.push(broken(
                Rule::MinValues,
                &launch.claim,
                found,
                &format!("the NodePool's {wanted}"),
            ));
        }
        let mut values: BTreeSet<&str> = BTreeSet::new();
        for instance_type in types.values() {
            match normalized(&requirement.key) {
                INSTANCE_TYPE => drop(values.insert(&instance_type.name)),
                ZONE => values.extend(instance_type.offerings.iter().map(|one| one.zone.as_str())),
                ZONE_ID => values.extend(instance_type.offerings.iter().map(|one| one.zone_id.as_str())),
                CAPACITY_TYPE => {
                    values.extend(instance_type.offerings.iter().map(|one| one.capacity_type.label()));
                }
                key => values.extend(instance_type.labels.get(key).into_iter().flatten().map(String::as_str)),
            }
        }
        if values.len() < least as usize {
            let found = format!("{} values of {}", values.len(), requirement.key);
            violations.push(broken(Rule::MinValues, &launch.claim, found, &format!("at least {least}")));
        }
    }
    if launch.min_values_relaxed && !is_lowered {
        let found = "minimum values that are said to be lowered and are not";
        violations.push(broken(Rule::MinValues, &launch.claim, found, "the truth"));
    }
    violations
}

/// The largest minimum of distinct values of a label that a launch states.
fn stated_min_values(launch: &Launch, key: &str) -> Option<u32> {
    let stated = launch.requirements.iter().filter(|stated| normalized(&stated.key) == normalized(key));
    stated.filter_map(|stated| stated.min_values).max()
}

/// Every offering holds the pods and the DaemonSet pods that would run there, and the launch states that sum. Any sum
/// will do between the smallest over the offerings and that with all DaemonSet pods that tolerate the node: which of
/// them come is known in the end by the one offering that is bought.
fn room(
    world: &World<'_>,
    launch: &Launch,
    place: &Place<'_>,
    types: &[(&InstanceType, Resources)],
) -> Vec<Violation> {
    let pods = requests_of(&place.coming);
    let mut least: Option<Resources> = None;
    let mut violations = Vec::new();
    for (instance_type, daemons) in types {
        let total = pods.plus(daemons);
        let allocatable = instance_type.allocatable();
        for (resource, amount) in total.iter().filter(|(name, amount)| *amount > allocatable.get(name)) {
            let found = format!("{amount} of {resource} asked for on {}", instance_type.name);
            let expected = format!("at most {}", allocatable.get(resource));
            violations.push(broken(Rule::Room, &launch.claim, found, &expected));
        }
        least = Some(least.map_or_else(|| total.clone(), |least| smaller(&least, &total)));
    }
    let sets = world.snapshot.daemon_sets.values();
    let tolerant = sets.filter(|set| untolerated(&place.taints, &set.spec.tolerations).is_none());
    let most = tolerant.fold(pods, |sum, set| sum.plus(&set.spec.requests));
    if let Some(least) = least
        && !(least.fits_in(&launch.requests) && launch.requests.fits_in(&most))
    {
        let found = format!("{:?}", launch.requests);
        let expected = format!("{least:?}, the sum of its pods and DaemonSet pods");
        violations.push(broken(Rule::Requests, &launch.claim, found, &expected));
    }
    violations
}

/// The smaller amount of each resource.
fn smaller(one: &Resources, other: &Resources) -> Resources {
    one.minus(&one.minus(other))
}

/// Which DaemonSets a new node would run, and what they ask for together.
fn daemons(world: &World<'_>, place: &Place<'_>, shape: &Shape<'_>) -> (Vec<usize>, Resources) {
    let sets = world.snapshot.daemon_sets.values().enumerate();
    let running = sets.filter(|(_, set)| runs_on(set, &place.taints, shape));
    running.fold((Vec::new(), Resources::default()), |(mut ords, sum), (ord, set)| {
        ords.push(ord);
        (ords, sum.plus(&set.spec.requests))
    })
}
