//! The cluster as the plan would leave it: every place a pod can be, with who is there, who comes and who goes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::check::labels::{Fixed, Shape, of_instance};
use crate::check::reservations::spent;
use crate::event::NoticeKind;
use crate::model::instance_type::{CapacityType, InstanceType, Offering};
use crate::model::labels::{
    DISRUPTED_TAINT, NODE_CLASS, NODE_POOL, NOT_READY_TAINT, READINESS_TAINT_PREFIX, UNINITIALIZED_TAINT,
    UNREACHABLE_TAINT, UNREGISTERED_TAINT,
};
use crate::model::node::{Node, NodeClaim};
use crate::model::node_pool::NodePool;
use crate::model::pod::Pod;
use crate::model::requirement::{Requirement, Taint, TaintEffect};
use crate::model::resources::Resources;
use crate::model::time::Timestamp;
use crate::plan::{Action, DeleteReason, Launch, LaunchOffering, Plan};
use crate::state::Snapshot;

/// The cluster as the plan would leave it.
pub(super) struct World<'a> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) plan: &'a Plan,
    pub(super) now: Timestamp,
    /// Where pods can be, by the name of the NodeClaim, or of the Node when it has none.
    pub(super) places: BTreeMap<&'a str, Place<'a>>,
    /// The name of the place that a Node is.
    pub(super) place_of_node: BTreeMap<&'a str, &'a str>,
    /// Every pod that the plan places, in order: pod uid and name of the place.
    pub(super) placements: Vec<(&'a str, &'a str)>,
    /// The instance types of each EC2NodeClass by name.
    pub(super) instance_types: BTreeMap<&'a str, BTreeMap<&'a str, &'a InstanceType>>,
    /// The offerings that EC2 has refused of late: instance type, zone, capacity type.
    refused: BTreeSet<(&'a str, &'a str, CapacityType)>,
    /// The capacity reservations of which nothing is left, by id.
    spent: BTreeSet<&'a str>,
}

/// Somewhere a pod can be.
pub(super) struct Place<'a> {
    pub(super) node: Option<&'a Node>,
    pub(super) claim: Option<&'a NodeClaim>,
    pub(super) launch: Option<&'a Launch>,
    /// The forms it has or may come to have; none when that cannot be known.
    pub(super) shapes: Vec<Shape<'a>>,
    /// The taints that count for new pods.
    pub(super) taints: Vec<Taint>,
    /// Why it will not stay.
    pub(super) leaving: Option<String>,
    /// The pods bound to it or expected on it from earlier, without those that the plan takes elsewhere.
    pub(super) there: Vec<&'a Pod>,
    /// The pods that the plan puts there.
    pub(super) coming: Vec<&'a Pod>,
}

/// Whether a plan puts pods somewhere or takes a node that pods could have stayed on. The steps of a node's end that
/// was decided earlier are judged by the NodeClaim and its pods alone.
fn concerns_places(plan: &Plan) -> bool {
    let decides = |reason: DeleteReason| matches!(reason, DeleteReason::Disrupted(_));
    plan.actions.iter().any(|action| match action {
        Action::Launch(_) | Action::Nominate(_) => true,
        Action::Cordon(cordon) => decides(cordon.reason),
        Action::Delete(delete) => decides(delete.reason),
        Action::Register(_)
        | Action::Initialize(_)
        | Action::Uncordon(_)
        | Action::Evict(_)
        | Action::Terminate(_)
        | Action::Finalize(_) => false,
    })
}

impl<'a> World<'a> {
    pub(super) fn new(snapshot: &'a Snapshot, plan: &'a Plan, now: Timestamp) -> Self {
        let classes = snapshot.node_classes.values().map(|class| {
            let types = class.instance_types.iter().map(|one| (one.name.as_str(), one)).collect();
            (class.name.as_str(), types)
        });
        let mut world = Self {
            snapshot,
            plan,
            now,
            places: BTreeMap::new(),
            place_of_node: BTreeMap::new(),
            placements: placements(plan),
            instance_types: classes.collect(),
            refused: refused(snapshot, now),
            spent: spent(snapshot, plan),
        };
        if concerns_places(plan) {
            world.add_places();
            world.add_pods();
        }
        world
    }

    fn add_places(&mut self) {
        let going = going(self.plan);
        // The state may remember already that it asked for what this plan launches.
        let launched: BTreeSet<&str> = launches(self.plan).map(|launch| launch.claim.as_str()).collect();
        let asked = self.snapshot.asked.values().filter(|claim| !launched.contains(claim.name.as_str()));
        for claim in self.snapshot.claims.values().chain(asked) {
            let node = self.snapshot.node_of_claim(claim);
            if let Some(node) = node {
                self.place_of_node.insert(&node.name, &claim.name);
            }
            let place = Place {
                shapes: self.shapes_of_claim(claim, node),
                taints: taints_of_claim(claim, node),
                leaving: self.why_leaving(Some(claim), node, &going),
                ..Place::of(node, Some(claim), None)
            };
            self.places.insert(&claim.name, place);
        }
        for node in self.snapshot.nodes.values() {
            if self.place_of_node.contains_key(node.name.as_str()) {
                continue;
            }
            self.place_of_node.insert(&node.name, &node.name);
            let shape = Shape {
                labels: Fixed::Of(&node.labels),
                asked: &[],
                bought: None,
                allocatable: node.allocatable.clone(),
            };
            let place = Place {
                shapes: vec![shape],
                taints: node.taints.clone(),
                leaving: self.why_leaving(None, Some(node), &going),
                ..Place::of(Some(node), None, None)
            };
            self.places.insert(&node.name, place);
        }
        for launch in launches(self.plan) {
            let place = Place {
                shapes: self.shapes_of_launch(launch),
                taints: launch.taints.clone(),
                leaving: going.contains_key(launch.claim.as_str()).then(|| "the plan ends it".to_owned()),
                ..Place::of(None, None, Some(launch))
            };
            // A second launch of one name is judged by its name alone.
            self.places.entry(&launch.claim).or_insert(place);
        }
    }

    fn add_pods(&mut self) {
        let moved: BTreeSet<&str> = self.placements.iter().map(|(pod, _)| *pod).collect();
        let unplaced: BTreeSet<&str> =
            self.plan.report.unplaced.iter().map(|unplaced| unplaced.pod.as_str()).collect();
        for place in self.places.values_mut() {
            let bound = place.node.into_iter().flat_map(|node| self.snapshot.pods_on(&node.name));
            place.there.extend(bound.filter(|pod| !moved.contains(pod.uid.as_str())));
        }
        for (uid, (target, until)) in &self.snapshot.nominations {
            let pod = self.snapshot.pods.get(uid).filter(|pod| pod.is_provisionable() && *until > self.now);
            let elsewhere = moved.contains(uid.as_str()) || unplaced.contains(uid.as_str());
            if let (Some(pod), false) = (pod, elsewhere)
                && let Some(place) = self.places.get_mut(target.as_str())
            {
                place.there.push(pod);
            }
        }
        for (uid, target) in &self.placements {
            let place = self.places.get_mut(target);
            if let (Some(place), Some(pod)) = (place, self.snapshot.pods.get(uid)) {
                place.coming.push(pod);
            }
        }
    }

    fn shapes_of_claim(&self, claim: &'a NodeClaim, node: Option<&'a Node>) -> Vec<Shape<'a>> {
        let types = self.instance_types.get(claim.node_class.as_str());
        let Some(instance) = &claim.instance else {
            if let Some(node) = node {
                let (labels, allocatable) = (Fixed::Of(&node.labels), node.allocatable.clone());
                return vec![Shape { labels, asked: &claim.requirements, bought: None, allocatable }];
            }
            // Nothing is bought yet: it may become anything that fits the NodeClaim.
            let labels = Fixed::Of(&claim.labels);
            let types = types.into_iter().flat_map(|types| types.values());
            let offerings = types.flat_map(|one| one.offerings.iter().map(move |offering| (*one, offering)));
            let shapes = offerings
                .filter(|(_, offering)| offering.available)
                .map(|bought| shape_of_offering(&labels, &claim.requirements, bought));
            let asked = [claim.requirements.clone()];
            return shapes.filter(|shape| shape.fulfils_one_of(&asked)).collect();
        };
        if let Some(node) = node.filter(|_| claim.initialized.is_some()) {
            let (labels, allocatable) = (Fixed::Of(&node.labels), node.allocatable.clone());
            return vec![Shape { labels, asked: &[], bought: None, allocatable }];
        }
        // On its way: what the node does not say yet, the NodeClaim and the instance say.
        let instance_type = types.and_then(|types| types.get(instance.instance_type.as_str())).copied();
        let mut labels = of_instance(instance_type, instance);
        labels.extend(claim.labels.clone());
        labels.extend(node.into_iter().flat_map(|node| node.labels.clone()));
        let reported = node.map(|node| node.allocatable.clone()).unwrap_or_default();
        let allocatable = completed(reported, &instance.allocatable);
        let labels = Fixed::Shared(Arc::new(labels));
        vec![Shape { labels, asked: &claim.requirements, bought: None, allocatable }]
    }

    fn shapes_of_launch(&self, launch: &'a Launch) -> Vec<Shape<'a>> {
        let labels = Fixed::Of(&launch.labels);
        let types = self.instance_types.get(launch.node_class.as_str());
        let bought = launch.offerings.iter().filter_map(|listed| {
            let instance_type = types?.get(listed.instance_type.as_str())?;
            Some((*instance_type, instance_type.offerings.iter().find(|one| is_same(one, listed))?))
        });
        bought.map(|bought| shape_of_offering(&labels, &launch.requirements, bought)).collect()
    }

    fn why_leaving(
        &self,
        claim: Option<&NodeClaim>,
        node: Option<&Node>,
        going: &BTreeMap<&str, &'static str>,
    ) -> Option<String> {
        let name = claim.map(|claim| claim.name.as_str());
        let kept =
            |action: &Action| matches!(action, Action::Uncordon(node) if Some(node.claim.as_str()) == name);
        let disrupted = node.is_some_and(|node| node.taints.iter().any(|taint| taint.key == DISRUPTED_TAINT));
        if let Some(why) = name.and_then(|name| going.get(name)) {
            Some((*why).to_owned())
        } else if claim.is_some_and(|claim| claim.deleting.is_some()) {
            Some("its NodeClaim is being deleted".to_owned())
        } else if node.is_some_and(|node| node.deleting.is_some()) {
            Some("its Node is being deleted".to_owned())
        } else if claim.is_some_and(|claim| self.is_replaced(claim)) {
            Some("it is being replaced".to_owned())
        } else if name.is_some_and(|name| self.is_reclaimed(name)) {
            Some("EC2 takes it back".to_owned())
        } else if name.is_some_and(|name| self.snapshot.refused.contains(name)) {
            Some("EC2 has no capacity for it".to_owned())
        } else if disrupted && !self.plan.actions.iter().any(kept) {
            Some(format!("it has the taint {DISRUPTED_TAINT}"))
        } else {
            None
        }
    }

    /// Whether an offering is for sale: the catalogue says so, EC2 has not refused it of late, and where it is reserved
    /// something is left.
    pub(super) fn is_for_sale(&self, instance_type: &InstanceType, offering: &Offering) -> bool {
        let key = (instance_type.name.as_str(), offering.zone.as_str(), offering.capacity_type);
        let is_left = offering.reservation.as_ref().is_none_or(|one| !self.spent.contains(one.id.as_str()));
        offering.available && is_left && !self.refused.contains(&key)
    }

    /// Whether a NodeClaim goes as soon as its pods have places elsewhere.
    fn is_replaced(&self, claim: &NodeClaim) -> bool {
        claim.disrupted.is_some() || self.snapshot.replacing.contains_key(&claim.name)
    }

    /// Whether EC2 takes the instance back for certain.
    fn is_reclaimed(&self, claim: &str) -> bool {
        self.snapshot.notices.get(claim).is_some_and(|notice| notice.kind == NoticeKind::Reclaim)
    }

    /// Whether a Node is one that will not stay.
    pub(super) fn is_leaving(&self, node: &str) -> bool {
        let place = self.place_of_node.get(node).and_then(|name| self.places.get(name));
        place.is_some_and(|place| place.leaving.is_some())
    }

    /// How people call a pod: `namespace/name`, or the uid when there is no such pod.
    pub(super) fn pod_name(&self, uid: &str) -> String {
        self.snapshot.pods.get(uid).map_or_else(|| uid.to_owned(), Pod::full_name)
    }
}

impl<'a> Place<'a> {
    fn of(node: Option<&'a Node>, claim: Option<&'a NodeClaim>, launch: Option<&'a Launch>) -> Self {
        let (shapes, taints, there, coming) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Self { node, claim, launch, shapes, taints, leaving: None, there, coming }
    }

    /// The values that a label may have, over all forms the place may come to have.
    pub(super) fn values(&self, key: &str) -> BTreeSet<&str> {
        let mut values = BTreeSet::new();
        for shape in &self.shapes {
            values.extend(shape.values(key).all());
        }
        values
    }

    /// Whether every form that the place may come to have fulfils one of the alternatives.
    pub(super) fn fulfils_one_of(&self, alternatives: &[Vec<Requirement>]) -> bool {
        self.shapes.iter().all(|shape| shape.fulfils_one_of(alternatives))
    }
}

/// The launches of a plan, in order.
pub(super) fn launches(plan: &Plan) -> impl Iterator<Item = &Launch> {
    plan.actions.iter().filter_map(|action| match action {
        Action::Launch(launch) => Some(&**launch),
        _ => None,
    })
}

fn placements(plan: &Plan) -> Vec<(&str, &str)> {
    let mut placements = Vec::new();
    for action in &plan.actions {
        match action {
            Action::Launch(launch) => {
                placements.extend(launch.pods.iter().map(|pod| (pod.as_str(), launch.claim.as_str())));
            }
            Action::Nominate(nomination) => placements.push((&nomination.pod, &nomination.node)),
            _ => {}
        }
    }
    placements
}

fn refused(snapshot: &Snapshot, now: Timestamp) -> BTreeSet<(&str, &str, CapacityType)> {
    let refused = snapshot.unavailable.iter().filter(|(_, until)| **until > now);
    refused
        .map(|((instance_type, zone, capacity_type), _)| (&**instance_type, &**zone, *capacity_type))
        .collect()
}

/// The NodeClaims that the plan takes out of service, and how.
fn going(plan: &Plan) -> BTreeMap<&str, &'static str> {
    let mut going = BTreeMap::new();
    for action in &plan.actions {
        match action {
            Action::Delete(delete) => drop(going.insert(delete.claim.as_str(), "the plan ends it")),
            Action::Cordon(cordon) => drop(going.insert(cordon.claim.as_str(), "the plan keeps pods off it")),
            Action::Launch(launch) => {
                going.extend(launch.replaces.iter().map(|name| (name.as_str(), "the plan replaces it")));
            }
            _ => {}
        }
    }
    going
}

/// Whether a launch lists this offering.
pub(super) fn is_same(offering: &Offering, listed: &LaunchOffering) -> bool {
    let reservation = offering.reservation.as_ref().map(|one| &one.id);
    offering.zone == listed.zone
        && offering.capacity_type == listed.capacity_type
        && reservation == listed.reservation.as_ref()
}

/// The form that a node bought by one offering will have.
pub(super) fn shape_of_offering<'a>(
    labels: &Fixed<'a>,
    asked: &'a [Requirement],
    bought: (&'a InstanceType, &'a Offering),
) -> Shape<'a> {
    Shape { labels: labels.clone(), asked, bought: Some(bought), allocatable: Resources::default() }
}

/// The labels that a NodePool gives its nodes.
pub(super) fn labels_of_pool(pool: &NodePool) -> BTreeMap<String, String> {
    let mut labels = pool.labels.clone();
    labels.insert(NODE_POOL.to_owned(), pool.name.clone());
    labels.insert(NODE_CLASS.to_owned(), pool.node_class.clone());
    labels
}

/// What the node reports; where it reports nothing yet, what its instance will have.
fn completed(mut reported: Resources, expected: &Resources) -> Resources {
    for (name, amount) in expected.iter() {
        if reported.get(name) == 0 {
            reported.set(name, amount);
        }
    }
    reported
}

/// The taints that count for new pods on a node of ours: until it is initialized, those that will go by themselves
/// do not; until it is registered, it has those that its NodeClaim states.
fn taints_of_claim(claim: &NodeClaim, node: Option<&Node>) -> Vec<Taint> {
    let Some(node) = node.filter(|_| claim.registered.is_some()) else { return claim.taints.clone() };
    if claim.initialized.is_some() {
        return node.taints.clone();
    }
    let starting = |taint: &&Taint| {
        claim.startup_taints.iter().any(|startup| startup.key == taint.key && startup.effect == taint.effect)
    };
    node.taints.iter().filter(|taint| !starting(taint) && !is_ephemeral(taint)).cloned().collect()
}

/// Whether a taint goes by itself once a new node is ready.
fn is_ephemeral(taint: &Taint) -> bool {
    match taint.key.as_str() {
        NOT_READY_TAINT => matches!(taint.effect, TaintEffect::NoSchedule | TaintEffect::NoExecute),
        UNREACHABLE_TAINT | UNINITIALIZED_TAINT => taint.effect == TaintEffect::NoSchedule,
        UNREGISTERED_TAINT => true,
        key => key.starts_with(READINESS_TAINT_PREFIX),
    }
}
