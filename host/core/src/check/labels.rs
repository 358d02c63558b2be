//! What labels a node has or may come to have, and whether they fulfil a requirement.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Deref;
use std::sync::Arc;

use crate::model::instance_type::{InstanceType, Offering};
use crate::model::labels::{
    CAPACITY_TYPE, HOSTNAME, INSTANCE_TYPE, NODE_CLASS, NODE_POOL, RESERVATION_ID, RESERVATION_TYPE, ZONE,
    ZONE_ID, normalized,
};
use crate::model::node::Instance;
use crate::model::pod::LabelSelector;
use crate::model::requirement::{Operator, Requirement};
use crate::model::resources::Resources;

/// The values that a label may have on a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Values<'a> {
    /// The node does not have the label.
    Absent,
    /// The label has this value. Empty when there will be a value and nobody knows which.
    One(&'a str),
    /// The label will have one of these values.
    OneOf(Vec<&'a str>),
}

impl<'a> Values<'a> {
    fn of(mut values: Vec<&'a str>) -> Self {
        match values.len() {
            0 => Self::Absent,
            1 => Self::One(values.swap_remove(0)),
            _ => Self::OneOf(values),
        }
    }

    /// All the values there may be.
    pub(super) fn all(&self) -> &[&'a str] {
        match self {
            Self::Absent => &[],
            Self::One(value) => std::slice::from_ref(value),
            Self::OneOf(values) => values,
        }
    }
}

/// Labels that an object has, or that several forms of a node share.
#[derive(Clone, Debug)]
pub(super) enum Fixed<'a> {
    Of(&'a BTreeMap<String, String>),
    Shared(Arc<BTreeMap<String, String>>),
}

impl Deref for Fixed<'_> {
    type Target = BTreeMap<String, String>;

    fn deref(&self) -> &Self::Target {
        match self {
            Self::Of(labels) => labels,
            Self::Shared(labels) => labels,
        }
    }
}

/// One form that a node has or may come to have: a Node has one, a launch one for each offering.
#[derive(Clone, Debug)]
pub(super) struct Shape<'a> {
    /// The labels that are fixed.
    pub(super) labels: Fixed<'a>,
    /// What is asked of the labels that are not.
    pub(super) asked: &'a [Requirement],
    /// The offering, when there is no Node and no instance yet.
    pub(super) bought: Option<(&'a InstanceType, &'a Offering)>,
    /// What there is for pods, unless the offering says it.
    pub(super) allocatable: Resources,
}

impl<'a> Shape<'a> {
    /// What there is for pods, those that are there included.
    pub(super) fn allocatable(&self) -> Resources {
        match self.bought {
            Some((instance_type, _)) => instance_type.allocatable(),
            None => self.allocatable.clone(),
        }
    }

    /// The values that a label may have.
    pub(super) fn values(&self, key: &str) -> Values<'_> {
        let key = normalized(key);
        if let Some((instance_type, offering)) = self.bought {
            match key {
                ZONE => return Values::One(&offering.zone),
                ZONE_ID => return Values::One(&offering.zone_id),
                CAPACITY_TYPE => return Values::One(offering.capacity_type.label()),
                RESERVATION_ID | RESERVATION_TYPE => {
                    return match &offering.reservation {
                        None => Values::Absent,
                        Some(one) if key == RESERVATION_ID => Values::One(&one.id),
                        Some(one) => Values::One(one.kind.label()),
                    };
                }
                INSTANCE_TYPE => return Values::One(&instance_type.name),
                _ => {}
            }
            match instance_type.labels.get(key).map(Vec::as_slice) {
                None | Some([]) => {}
                Some([value]) => return Values::One(value),
                Some(values) => return Values::of(self.narrowed(key, values)),
            }
        }
        match self.labels.get(key) {
            Some(value) => Values::One(value),
            None => self.asked_for(key),
        }
    }

    /// Whether neither the offering nor a fixed label says anything of a label, so that only what is asked does. All
    /// forms of one NodePool for which that is so have the same values of it.
    pub(super) fn is_open(&self, key: &str) -> bool {
        let key = normalized(key);
        let is_bought = matches!(key, ZONE | ZONE_ID | CAPACITY_TYPE | INSTANCE_TYPE);
        self.bought.is_some_and(|(instance_type, _)| {
            !is_bought && instance_type.labels.get(key).is_none_or(Vec::is_empty)
        }) && !self.labels.contains_key(key)
    }

    /// Those of an instance type's values that the launch leaves open.
    fn narrowed<'v>(&self, key: &str, values: &'v [String]) -> Vec<&'v str> {
        let asked = self.asked.iter().filter(|requirement| normalized(&requirement.key) == key);
        let asked: Vec<Condition<'_>> = asked.map(Condition::new).collect();
        let values = values.iter().map(String::as_str);
        values.filter(|value| asked.iter().all(|condition| condition.accepts(Some(value)))).collect()
    }

    /// A label that only the requirements speak of: the node will get a value that fulfils them.
    fn asked_for(&self, key: &str) -> Values<'_> {
        // A key that describes instances comes from the instance or not at all.
        let described =
            key.starts_with("karpenter.k8s.aws/") || matches!(key, HOSTNAME | NODE_POOL | NODE_CLASS);
        let mut asked = self
            .asked
            .iter()
            .filter(|requirement| !described && normalized(&requirement.key) == key)
            .peekable();
        let listed = asked.clone().find(|requirement| requirement.operator == Operator::In);
        match listed {
            Some(listed) => Values::of(self.narrowed(key, &listed.values)),
            None if asked.peek().is_none() => Values::Absent,
            None if asked.any(|requirement| {
                matches!(requirement.operator, Operator::DoesNotExist | Operator::NotIn)
            }) =>
            {
                Values::Absent
            }
            None => Values::One(""),
        }
    }

    /// Whether the node fulfils one of the alternatives, whatever its open labels turn out to be. No alternative
    /// at all asks for nothing.
    pub(super) fn fulfils_one_of(&self, alternatives: &[Vec<Requirement>]) -> bool {
        alternatives.is_empty()
            || alternatives.iter().any(|all| all.iter().all(|one| Condition::new(one).holds(self)))
    }

    /// Whether the node may come to fulfil one of the alternatives. Host names are left out: no node that is not
    /// there yet has one.
    pub(super) fn may_fulfil_one_of(&self, alternatives: &[Vec<Requirement>]) -> bool {
        let may_hold = |one: &Requirement| one.key == HOSTNAME || Condition::new(one).may_hold(self);
        alternatives.is_empty() || alternatives.iter().any(|all| all.iter().all(may_hold))
    }

    /// The same, should an open label get this value. The key is a normalized one.
    pub(super) fn may_fulfil_one_of_with(
        &self,
        alternatives: &[Vec<Requirement>],
        (key, value): (&str, &str),
    ) -> bool {
        let may_hold = |one: &Requirement| match one.key.as_str() {
            // A node that is not there yet has no name that anybody could ask for.
            HOSTNAME => Condition::new(one).accepts(None),
            other if normalized(other) == key => Condition::new(one).accepts(Some(value)),
            _ => Condition::new(one).may_hold(self),
        };
        alternatives.is_empty() || alternatives.iter().any(|all| all.iter().all(may_hold))
    }
}

/// A requirement, made ready to be asked often.
#[derive(Clone, Debug)]
pub(super) struct Condition<'a> {
    /// The requirement.
    pub(super) requirement: &'a Requirement,
    /// The values once more, when they are too many to be gone through each time.
    values: Option<BTreeSet<&'a str>>,
}

/// A list of values that is longer is looked up in a set: a launch may list hundreds of instance types.
const LISTED_MAX: usize = 8;

impl<'a> Condition<'a> {
    pub(super) fn new(requirement: &'a Requirement) -> Self {
        let is_long = requirement.values.len() > LISTED_MAX;
        let values = is_long.then(|| requirement.values.iter().map(String::as_str).collect());
        Self { requirement, values }
    }

    fn lists(&self, value: &str) -> bool {
        match &self.values {
            Some(values) => values.contains(value),
            None => self.requirement.values.iter().any(|listed| listed == value),
        }
    }

    /// Whether a node's label fulfils the requirement, whichever of its possible values it gets.
    pub(super) fn holds(&self, shape: &Shape<'_>) -> bool {
        match shape.values(&self.requirement.key) {
            Values::Absent => self.accepts(None),
            Values::One(value) => self.accepts(Some(value)),
            Values::OneOf(values) => values.into_iter().all(|value| self.accepts(Some(value))),
        }
    }

    /// Whether a node's label may come to fulfil the requirement.
    fn may_hold(&self, shape: &Shape<'_>) -> bool {
        match shape.values(&self.requirement.key) {
            Values::OneOf(values) => values.into_iter().any(|value| self.accepts(Some(value))),
            Values::Absent | Values::One(_) => self.holds(shape),
        }
    }

    /// Whether a label with this value, or without one, fulfils the requirement (Kubernetes: node selector
    /// requirements; Karpenter adds `Gte` and `Lte`).
    pub(super) fn accepts(&self, value: Option<&str>) -> bool {
        let compared = || {
            let value: i64 = value?.parse().ok()?;
            let bound: i64 = self.requirement.values.first()?.parse().ok()?;
            Some(value.cmp(&bound))
        };
        match self.requirement.operator {
            Operator::In => value.is_some_and(|value| self.lists(value)),
            Operator::NotIn => value.is_none_or(|value| !self.lists(value)),
            Operator::Exists => value.is_some(),
            Operator::DoesNotExist => value.is_none(),
            Operator::Gt => compared().is_some_and(|order| order.is_gt()),
            Operator::Lt => compared().is_some_and(|order| order.is_lt()),
            Operator::Gte => compared().is_some_and(|order| order.is_ge()),
            Operator::Lte => compared().is_some_and(|order| order.is_le()),
        }
    }
}

/// Whether a selector selects an object with these labels. No selector selects nothing, an empty one everything.
pub(super) fn selects(selector: Option<&LabelSelector>, labels: &BTreeMap<String, String>) -> bool {
    selector.is_some_and(|selector| {
        selector.requirements.iter().all(|requirement| {
            Condition::new(requirement).accepts(labels.get(&requirement.key).map(String::as_str))
        })
    })
}

/// The labels that an instance adds to its node, as far as they are decided.
pub(super) fn of_instance(
    instance_type: Option<&InstanceType>,
    instance: &Instance,
) -> BTreeMap<String, String> {
    let Instance { instance_type: name, zone, capacity_type, reservation, .. } = instance;
    let described = instance_type.into_iter().flat_map(|instance_type| &instance_type.labels);
    let decided = described.filter_map(|(key, values)| match values.as_slice() {
        [value] => Some((key.clone(), value.clone())),
        _ => None,
    });
    let mut labels: BTreeMap<String, String> = decided.collect();
    let offerings = instance_type.into_iter().flat_map(|instance_type| &instance_type.offerings);
    let reservations = offerings.clone().filter_map(|offering| offering.reservation.as_ref());
    for one in reservations.filter(|one| Some(&one.id) == reservation.as_ref()) {
        labels.insert(RESERVATION_TYPE.to_owned(), one.kind.label().to_owned());
    }
    labels.extend(reservation.as_ref().map(|id| (RESERVATION_ID.to_owned(), id.clone())));
    let zone_id =
        offerings.filter(|offering| offering.zone == *zone).map(|offering| &offering.zone_id).next();
    labels.extend(zone_id.map(|zone_id| (ZONE_ID.to_owned(), zone_id.clone())));
    labels.insert(INSTANCE_TYPE.to_owned(), name.clone());
    labels.insert(ZONE.to_owned(), zone.clone());
    labels.insert(CAPACITY_TYPE.to_owned(), capacity_type.label().to_owned());
    labels
}
