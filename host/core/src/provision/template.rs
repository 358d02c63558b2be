//! A NodePool as a new node of it starts out: what it may be, before any pod is on it.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::instance_type::CapacityType;
use crate::model::labels;
use crate::model::node_pool::{NODES, NodePool};
use crate::model::pod::PodSpec;
use crate::model::requirement::{Requirement, Taint, untolerated};
use crate::model::resources::Resources;
use crate::provision::amounts::{self, Amounts, Axes};
use crate::provision::bits::Bits;
use crate::provision::intern::{Interner, Sym};
use crate::provision::requirements::{self, ByKey, Values};
use crate::provision::universe::ways::{CapacityMask, all_of};
use crate::provision::universe::{Axis, Universe, ZoneMask};
use crate::why::Why;
use crate::why::lost::{Lost, LostTo};

/// What a node may be: instance types, zones, capacity types, and the values of all other labels.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Shape {
    pub(crate) types: Bits,
    pub(crate) zones: ZoneMask,
    pub(crate) capacity_types: CapacityMask,
    /// Labels that are not the instance type's own, or of which it allows several values.
    pub(crate) custom: Arc<ByKey>,
}

/// A NodePool as a new node of it starts out.
#[derive(Clone, Debug)]
pub(crate) struct Template {
    pub(crate) pool: NodePool,
    /// Position of its EC2NodeClass among the universes.
    pub(crate) universe: usize,
    pub(crate) shape: Shape,
    /// What DaemonSet pods will take, for each set of types on which they take the same.
    pub(crate) overheads: Vec<Overhead>,
    /// The label values of which a number of distinct ones must remain.
    pub(crate) min_values: Vec<(Sym, u32)>,
    /// What is left of the pool's limits; `None` where there is none.
    pub(crate) room: Room,
}

/// What DaemonSet pods take on each of `types`.
#[derive(Clone, Debug)]
pub(crate) struct Overhead {
    pub(crate) types: Bits,
    pub(crate) requests: Amounts,
    pub(crate) host_ports: Vec<crate::model::pod::HostPort>,
}

/// What is left of a NodePool's limits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Room {
    /// How many more nodes.
    pub(crate) nodes: Option<u64>,
    /// How much more of each resource, by axis.
    pub(crate) amounts: Vec<Option<u64>>,
}

impl Room {
    pub(crate) fn new(pool: &NodePool, used: &Resources, used_nodes: u64, axes: &mut Axes) -> Self {
        let mut room = Self::default();
        for (name, limit) in &pool.limits {
            if name == NODES {
                room.nodes = Some(limit.saturating_sub(used_nodes));
                continue;
            }
            let mut one = Resources::default();
            one.set(name, 1);
            let row = axes.row(&one);
            let axis = row.iter().position(|amount| *amount > 0).unwrap_or(0);
            if room.amounts.len() <= axis {
                room.amounts.resize(axis + 1, None);
            }
            room.amounts[axis] = Some(limit.saturating_sub(used.get(name)));
        }
        room
    }

    /// Whether there is no limit at all.
    pub(crate) fn is_unlimited(&self) -> bool {
        self.nodes.is_none() && self.amounts.iter().all(Option::is_none)
    }

    /// Drops the types of which one more node would break a limit.
    pub(crate) fn keep_within(&self, types: &mut Bits, universe: &Universe) {
        if self.nodes == Some(0) {
            types.clear();
        }
        universe.keep_no_larger(types, &self.amounts);
    }

    /// Takes a node away that may turn out as large as `capacity`.
    pub(crate) fn take(&mut self, capacity: &[u64]) {
        self.nodes = self.nodes.map(|nodes| nodes.saturating_sub(1));
        for (axis, left) in self.amounts.iter_mut().enumerate() {
            *left = left.map(|left| left.saturating_sub(amounts::at(capacity, axis)));
        }
    }

    /// How many more nodes there is room for that are as large as `charged` at most.
    pub(crate) fn times(&self, charged: &[u64]) -> u32 {
        let amounts = self.amounts.iter().enumerate().filter_map(|(axis, left)| {
            let each = amounts::at(charged, axis);
            left.filter(|_| each > 0).map(|left| left / each)
        });
        let most = amounts.chain(self.nodes).min().unwrap_or(u64::MAX);
        u32::try_from(most).unwrap_or(u32::MAX)
    }

    /// Gives back a node that was taken as `charged`.
    pub(crate) fn take_back(&mut self, charged: &[u64]) {
        self.nodes = self.nodes.map(|nodes| nodes.saturating_add(1));
        self.give_back(charged, &[]);
    }

    /// Gives back what a node can no longer turn out to have: it was taken as `before` and is at most `after`.
    pub(crate) fn give_back(&mut self, before: &[u64], after: &[u64]) {
        for (axis, left) in self.amounts.iter_mut().enumerate() {
            let surplus = amounts::at(before, axis).saturating_sub(amounts::at(after, axis));
            *left = left.map(|left| left.saturating_add(surplus));
        }
    }
}

impl Shape {
    /// This shape, restricted to what also fulfils `wanted`.
    ///
    /// # Errors
    /// The first label that nothing of this shape can have as wanted.
    pub(crate) fn and(
        &self,
        wanted: &ByKey,
        universe: &Universe,
        interner: &Interner,
    ) -> Result<Self, Box<Why>> {
        let mut shape = self.clone();
        // By name, so that the first label that fails is always the same.
        let mut wanted: Vec<_> = wanted.iter().collect();
        wanted.sort_unstable_by_key(|(key, _)| interner.text(*key));
        for (key, values) in wanted {
            shape.restrict(*key, values, universe, interner)?;
        }
        Ok(shape)
    }

    /// Restricts the shape to one label's values.
    pub(crate) fn restrict(
        &mut self,
        key: Sym,
        values: &Values,
        universe: &Universe,
        interner: &Interner,
    ) -> Result<(), Box<Why>> {
        let before = self.describe(key, universe, interner);
        let kept = match universe.axis(key) {
            Axis::Zone => {
                self.zones &= universe.zone_mask(values, interner);
                self.zones != 0
            }
            Axis::ZoneId => {
                self.zones &= universe.zone_id_mask(values, interner);
                self.zones != 0
            }
            Axis::CapacityType => {
                self.capacity_types &= universe.capacity_mask(values, interner);
                self.capacity_types != 0
            }
            Axis::ReservationId => {
                self.capacity_types &= universe.ways.with_id(values, interner);
                self.capacity_types != 0
            }
            Axis::ReservationType => {
                self.capacity_types &= universe.ways.with_kind(values, interner);
                self.capacity_types != 0
            }
            // A node that does not exist yet has no name that a pod could have asked for.
            Axis::Hostname => values.admits_absence(),
            Axis::Single => {
                self.types.intersect(&universe.matching(key, values, interner));
                !self.types.is_empty()
            }
            Axis::Several => {
                self.types.intersect(&universe.matching(key, values, interner));
                requirements::add(Arc::make_mut(&mut self.custom), key, values.clone(), interner);
                let left = requirements::get(&self.custom, key).is_some_and(|left| !left.is_nothing());
                left && !self.types.is_empty()
            }
            Axis::Custom => match requirements::get(&self.custom, key) {
                None => values.admits_absence(),
                Some(offered) => {
                    let compatible = offered.is_compatible(values, interner);
                    requirements::add(Arc::make_mut(&mut self.custom), key, values.clone(), interner);
                    compatible
                }
            },
        };
        if kept {
            return Ok(());
        }
        Err(Box::new(Why::Label {
            key: interner.text(key).to_owned(),
            wanted: wanted_text(key, values, interner),
            offered: before,
        }))
    }

    /// What the shape allows for a label, in words.
    fn describe(&self, key: Sym, universe: &Universe, interner: &Interner) -> String {
        let reserved = self.capacity_types & all_of(CapacityType::Reserved);
        let values = match universe.axis(key) {
            // A node need not be reserved, and yet this is all that it could have.
            Axis::ReservationId => universe.ways.ids_in(reserved),
            Axis::ReservationType => universe.ways.kinds_in(reserved),
            Axis::Zone
            | Axis::ZoneId
            | Axis::CapacityType
            | Axis::Hostname
            | Axis::Single
            | Axis::Several
            | Axis::Custom => self.domains(key, universe),
        };
        let listed = values.map(|values| texts(&values, interner));
        match (universe.axis(key), listed) {
            (Axis::Hostname, _) => "new nodes only".to_owned(),
            (_, Some(values)) if values.is_empty() => "nothing".to_owned(),
            (_, Some(values)) if values.len() > LISTED_MAX => {
                format!("{} and {} others", values[..LISTED_MAX].join(", "), values.len() - LISTED_MAX)
            }
            (_, Some(values)) => values.join(", "),
            (_, None) => "any value".to_owned(),
        }
    }

    /// The one value that a label can still have; `None` when there are several, or none.
    pub(crate) fn only(&self, key: Sym, universe: &Universe) -> Option<Sym> {
        let one_zone = self.zones.is_power_of_two();
        match universe.axis(key) {
            Axis::Zone if !one_zone => None,
            Axis::Zone => universe.zones.get(self.zones.trailing_zeros() as usize).copied(),
            _ => match self.domains(key, universe)?.as_slice() {
                [only] => Some(*only),
                _ => None,
            },
        }
    }

    /// The values that a label may still have; `None` when they cannot be listed.
    pub(crate) fn domains(&self, key: Sym, universe: &Universe) -> Option<Vec<Sym>> {
        match universe.axis(key) {
            Axis::Zone => Some(universe.zones_in(self.zones)),
            Axis::ZoneId => Some(universe.zone_ids_in(self.zones)),
            Axis::CapacityType => Some(universe.capacity_types_in(self.capacity_types)),
            Axis::ReservationId => universe.ways.ids_in(self.capacity_types),
            Axis::ReservationType => universe.ways.kinds_in(self.capacity_types),
            Axis::Hostname => None,
            Axis::Single => Some(universe.values_among(key, &self.types)),
            Axis::Several => {
                let among = universe.values_among(key, &self.types);
                match requirements::get(&self.custom, key).and_then(Values::listed) {
                    Some(listed) => Some(among.into_iter().filter(|v| listed.contains(v)).collect()),
                    None => Some(among),
                }
            }
            Axis::Custom => match requirements::get(&self.custom, key) {
                Some(values) => values.listed().map(<[Sym]>::to_vec),
                None => Some(Vec::new()),
            },
        }
    }
}

/// How many values a reason lists before it counts the rest.
const LISTED_MAX: usize = 5;

fn texts(values: &[Sym], interner: &Interner) -> Vec<String> {
    let mut texts: Vec<_> = values.iter().map(|value| interner.text(*value).to_owned()).collect();
    texts.sort_unstable();
    texts
}

pub(crate) fn wanted_text(key: Sym, values: &Values, interner: &Interner) -> String {
    let requirements = values.to_requirements(interner.text(key), interner);
    let texts = requirements.iter().map(|requirement| {
        let text = requirement.to_string();
        text.split_once(' ').map_or(text.clone(), |(_, rest)| rest.to_owned())
    });
    texts.collect::<Vec<_>>().join(" and ")
}

/// The requirements that every node of a pool fulfils: those stated, and its labels.
pub(crate) fn requirements_of(pool: &NodePool) -> Vec<Requirement> {
    let labels = pool.labels.iter().map(|(key, value)| Requirement::equals(key, value));
    let own = [
        Requirement::equals(labels::NODE_POOL, &pool.name),
        Requirement::equals(labels::NODE_CLASS, &pool.node_class),
    ];
    pool.requirements.iter().cloned().chain(labels).chain(own).collect()
}

/// The shape of a new node of a pool, or the requirement that nothing its class launches fulfils.
pub(crate) fn shape_of(
    pool: &NodePool,
    universe: &Universe,
    interner: &mut Interner,
) -> Result<Shape, Box<Why>> {
    let mut shape = stated_shape(pool, universe, interner)?;
    let considered = u32::try_from(shape.types.count()).unwrap_or(u32::MAX);
    universe.keep_offered(&mut shape.types, shape.zones, shape.capacity_types);
    if shape.types.is_empty() {
        let lost = vec![Lost { instance_types: considered, to: LostTo::NotOffered }];
        return Err(Box::new(Why::InstanceTypes { considered, lost }));
    }
    // Where nothing is for sale there is no domain either.
    (shape.zones, shape.capacity_types) = universe.offered_to(&shape);
    Ok(shape)
}

/// The same whether or not it can be bought now.
pub(crate) fn stated_shape(
    pool: &NodePool,
    universe: &Universe,
    interner: &mut Interner,
) -> Result<Shape, Box<Why>> {
    let by_key = requirements::collect(&requirements_of(pool), interner);
    // What a pool says about a label of its own is what its nodes will have.
    let (own, others): (ByKey, ByKey) =
        by_key.into_iter().partition(|(key, _)| universe.axis(*key) == Axis::Custom);
    let torn = own.iter().filter(|(_, values)| values.is_nothing()).map(|(key, _)| interner.text(*key));
    // By name, so that it is always the same one.
    if let Some(key) = torn.min() {
        let of_key = |wanted: &Requirement| labels::normalized(&wanted.key) == key;
        let wanted = requirements_of(pool).into_iter().filter(of_key).collect();
        return Err(Box::new(Why::Contradiction { key: key.to_owned(), wanted }));
    }
    let anything = Shape {
        types: Bits::all(universe.len()),
        zones: universe.all_zones(),
        capacity_types: CapacityMask::MAX,
        custom: Arc::new(own),
    };
    anything.and(&others, universe, interner)
}

/// What DaemonSets take on the types of a template.
pub(crate) fn overheads_of(
    daemons: &[&PodSpec],
    taints: &[Taint],
    shape: &Shape,
    universe: &Universe,
    (axes, interner): (&mut Axes, &mut Interner),
) -> Vec<Overhead> {
    let mut parts =
        vec![Overhead { types: shape.types.clone(), requests: Vec::new(), host_ports: Vec::new() }];
    for daemon in daemons {
        let on = types_running(daemon, taints, shape, universe, interner);
        let row = axes.row(&daemon.requests);
        parts = parts.into_iter().flat_map(|part| split(part, &on, &row, daemon)).collect();
    }
    parts
}

/// A part split into the types that run a daemon and those that do not.
fn split(part: Overhead, on: &Bits, row: &[u64], daemon: &PodSpec) -> Vec<Overhead> {
    let mut with = part.clone();
    with.types.intersect(on);
    amounts::add(&mut with.requests, row);
    with.host_ports.extend(daemon.host_ports.iter().cloned());
    let mut without = part;
    without.types.subtract(on);
    [with, without].into_iter().filter(|part| !part.types.is_empty()).collect()
}

/// The types on which a DaemonSet's pods will run.
fn types_running(
    daemon: &PodSpec,
    taints: &[Taint],
    shape: &Shape,
    universe: &Universe,
    interner: &mut Interner,
) -> Bits {
    let mut types = Bits::none(universe.len());
    if untolerated(taints, &daemon.tolerations).is_some() {
        return types;
    }
    for alternative in alternatives_without_hostname(daemon) {
        let by_key = requirements::collect(&alternative, interner);
        if let Ok(mut shape) = shape.and(&by_key, universe, interner) {
            universe.keep_offered(&mut shape.types, shape.zones, shape.capacity_types);
            types.unite(&shape.types);
        }
    }
    types
}

/// A DaemonSet pod is tied to its node by name; that says nothing about new nodes.
pub(crate) fn alternatives_without_hostname(daemon: &PodSpec) -> Vec<Vec<Requirement>> {
    if daemon.node_affinity.is_empty() {
        return vec![Vec::new()];
    }
    let keep = |requirement: &&Requirement| requirement.key != labels::HOSTNAME;
    let kept = daemon.node_affinity.iter().map(|term| term.iter().filter(keep).cloned().collect());
    kept.collect()
}

/// Labels that a node of this shape will carry, with one value chosen for each.
pub(crate) fn labels_of(template: &Template, shape: &Shape, interner: &Interner) -> BTreeMap<String, String> {
    let mut labels = template.pool.labels.clone();
    let chosen = shape.custom.iter().filter_map(|(key, values)| Some((*key, values.chosen(interner)?)));
    labels.extend(chosen.map(|(key, value)| (interner.text(key).to_owned(), value)));
    labels
}
