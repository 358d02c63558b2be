//! NodePools, and new nodes of theirs: not an instance type but every offering that the node may still become.

use std::collections::{BTreeMap, BTreeSet};

use whittle_core::model::instance_type::{CapacityType, InstanceType};
use whittle_core::model::labels;
use whittle_core::model::node_pool::{NODES, NodePool};
use whittle_core::model::pod::{HostPort, PodSpec};
use whittle_core::model::price::Price;
use whittle_core::model::requirement::Requirement;
use whittle_core::model::resources::Resources;
use whittle_core::model::time::Timestamp;
use whittle_core::plan::LaunchOffering;
use whittle_core::state::Snapshot;

use super::labels::{Open, about, is_fulfilled, open};
use super::{are_tolerable, collide};

/// The most instance types that a launch lists.
const TYPES_MAX: usize = 60;

/// A NodePool that new nodes can come from.
pub(super) struct Pool<'a> {
    pub(super) pool: &'a NodePool,
    types: &'a [InstanceType],
    /// The labels that instance types have.
    type_labels: BTreeSet<&'a str>,
    /// What is said of every node: the pool's requirements and its labels.
    said: Vec<Requirement>,
    offers: Vec<Offer>,
    /// The DaemonSets whose pods a node may have to hold, by instance type.
    daemons: Vec<Vec<&'a PodSpec>>,
    /// What is left of its limits.
    room: BTreeMap<String, u64>,
}

/// One thing that a new node may become.
#[derive(Clone, Debug)]
pub(super) struct Offer {
    instance_type: usize,
    zone: String,
    zone_id: String,
    way: CapacityType,
    price: Price,
}

/// A new node.
#[derive(Clone)]
pub(super) struct Draft {
    pub(super) pool: usize,
    pub(super) offers: Vec<Offer>,
    /// What pods have said of it.
    said: Vec<Requirement>,
    pub(super) pods: usize,
    requests: Resources,
    pub(super) host_ports: Vec<HostPort>,
    charged: Resources,
}

/// All NodePools, the heaviest first, then by name from the last to the first.
pub(super) fn pools(snapshot: &Snapshot, now: Timestamp) -> Vec<Pool<'_>> {
    let mut all: Vec<_> = snapshot.node_pools.values().collect();
    all.sort_by_key(|pool| (pool.weight, &pool.name));
    all.reverse();
    let made = all.into_iter().map(|pool| new(snapshot, pool, now));
    made.filter(|pool| !pool.offers.is_empty()).collect()
}

fn new<'a>(snapshot: &'a Snapshot, pool: &'a NodePool, now: Timestamp) -> Pool<'a> {
    let types = &*snapshot.node_classes[&pool.node_class].instance_types;
    let mut said = pool.requirements.clone();
    said.extend(pool.labels.iter().map(|(key, value)| Requirement::equals(key, value)));
    said.push(Requirement::equals(labels::NODE_POOL, &pool.name));
    said.push(Requirement::equals(labels::NODE_CLASS, &pool.node_class));
    let (used, nodes) = snapshot.used_of_pool(&pool.name);
    let used = |name: &str| if name == NODES { nodes } else { used.get(name) };
    let room = pool.limits.iter().map(|(name, limit)| (name.clone(), limit.saturating_sub(used(name))));
    let mut made = Pool {
        pool,
        types,
        type_labels: types.iter().flat_map(|it| it.labels.keys().map(String::as_str)).collect(),
        said,
        offers: Vec::new(),
        daemons: Vec::new(),
        room: room.collect(),
    };
    let mut offers = offers(types);
    offers.retain(|offer| {
        let key = (types[offer.instance_type].name.clone(), offer.zone.clone(), offer.way);
        snapshot.is_available(&key, now)
    });
    made.offers = made.fulfilling(offers, &[]);
    made.daemons = (0..types.len()).map(|instance_type| made.daemons_on(snapshot, instance_type)).collect();
    made
}

fn offers(types: &[InstanceType]) -> Vec<Offer> {
    let of_type = |(instance_type, it): (usize, &InstanceType)| {
        let available = it.offerings.clone().into_iter().filter(|offering| offering.available);
        available.map(move |offering| Offer {
            instance_type,
            zone: offering.zone,
            zone_id: offering.zone_id,
            way: offering.capacity_type,
            price: offering.price,
        })
    };
    types.iter().enumerate().flat_map(of_type).collect()
}

impl Pool<'_> {
    /// The offers that are as a node of this pool has to be of which pods say this.
    fn fulfilling(&self, offers: Vec<Offer>, said: &[Requirement]) -> Vec<Offer> {
        let all = [self.said.as_slice(), said].concat();
        let mut keys: Vec<_> = all.iter().map(|requirement| labels::normalized(&requirement.key)).collect();
        keys.sort_unstable();
        keys.dedup();
        let (of_offers, open_keys): (Vec<_>, Vec<_>) =
            keys.into_iter().partition(|key| self.is_of_offers(key));
        // What no offer has a say in is the same for all of them.
        if !open_keys.iter().all(|key| self.may_have(key, &all)) {
            return Vec::new();
        }
        let fulfils =
            |offer: &Offer| of_offers.iter().all(|key| !self.values_of(offer, key, &all).is_empty());
        offers.into_iter().filter(fulfils).collect()
    }

    /// Whether the value of a label depends on what is bought.
    fn is_of_offers(&self, key: &str) -> bool {
        [labels::ZONE, labels::ZONE_ID, labels::CAPACITY_TYPE].contains(&key)
            || self.type_labels.contains(key)
    }

    /// Whether a label that does not depend on what is bought can be as said. Only the pool can give it a value.
    fn may_have(&self, key: &str, all: &[Requirement]) -> bool {
        if about(&self.said, key).next().is_some() {
            return open(all, key) != Open::Nothing;
        }
        about(all, key).all(|requirement| is_fulfilled(requirement, None))
    }

    /// The values that an offer can have of a label when all of this is said; `None` among them is its absence.
    fn values_of<'b>(&'b self, offer: &'b Offer, key: &str, all: &[Requirement]) -> Vec<Option<&'b str>> {
        let values = match key {
            labels::ZONE => vec![Some(offer.zone.as_str())],
            labels::ZONE_ID => vec![Some(offer.zone_id.as_str())],
            labels::CAPACITY_TYPE => vec![Some(offer.way.label())],
            _ => match self.types[offer.instance_type].labels.get(key) {
                Some(values) => values.iter().map(|value| Some(value.as_str())).collect(),
                None => vec![None],
            },
        };
        let holds =
            |value: &Option<&str>| about(all, key).all(|requirement| is_fulfilled(requirement, *value));
        values.into_iter().filter(holds).collect()
    }

    /// The DaemonSets whose pods a node of this type may have to hold.
    fn daemons_on<'b>(&self, snapshot: &'b Snapshot, instance_type: usize) -> Vec<&'b PodSpec> {
        let of_type = self.offers.iter().filter(|offer| offer.instance_type == instance_type);
        let of_type: Vec<_> = of_type.cloned().collect();
        let runs = |daemon: &&PodSpec| {
            let terms = &daemon.node_affinity;
            are_tolerable(&self.pool.taints, &daemon.tolerations)
                && (terms.is_empty()
                    || terms.iter().any(|term| !self.fulfilling(of_type.clone(), term).is_empty()))
        };
        snapshot.daemon_sets.values().map(|set| &*set.spec).filter(runs).collect()
    }

    /// A new node without pods, of the types that limits have room for.
    pub(super) fn open(&self, at: usize) -> Draft {
        let within = |offer: &&Offer| {
            let capacity = &self.types[offer.instance_type].capacity;
            self.room.iter().all(|(name, left)| {
                let wanted = if name == NODES { 1 } else { capacity.get(name) };
                wanted <= *left
            })
        };
        Draft {
            pool: at,
            offers: self.offers.iter().filter(within).cloned().collect(),
            said: Vec::new(),
            pods: 0,
            requests: Resources::default(),
            host_ports: Vec::new(),
            charged: Resources::default(),
        }
    }

    fn largest(&self, offers: &[Offer]) -> Resources {
        offers.iter().fold(Resources::default(), |most, offer| {
            Resources::max(&most, &self.types[offer.instance_type].capacity)
        })
    }

    /// The domains of a label over the nodes that could be and are as a pod wants them.
    pub(super) fn domains(&self, key: &str, terms: &[Vec<Requirement>]) -> Vec<String> {
        let anything = [Vec::new()];
        let terms = if terms.is_empty() { &anything } else { terms };
        let of_term = |term: &Vec<Requirement>| {
            let mut draft = Draft { offers: self.offers.clone(), ..self.open(0) };
            draft.require(self, term);
            if draft.offers.is_empty() { None } else { draft.values(self, key) }
        };
        terms.iter().filter_map(of_term).flatten().collect()
    }
}

impl Draft {
    /// Narrows the node to what is as a pod says.
    pub(super) fn require(&mut self, pool: &Pool<'_>, term: &[Requirement]) {
        self.said.extend(term.iter().cloned());
        self.offers = pool.fulfilling(std::mem::take(&mut self.offers), &self.said);
    }

    /// Puts a pod on the node, and narrows it to what holds the pod.
    pub(super) fn take(&mut self, pool: &Pool<'_>, spec: &PodSpec) {
        self.pods += 1;
        self.requests = self.requests.plus(&spec.requests);
        self.host_ports.extend(spec.host_ports.iter().cloned());
        let holds = |instance_type: usize| {
            let daemons = &pool.daemons[instance_type];
            let all = daemons.iter().fold(self.requests.clone(), |sum, daemon| sum.plus(&daemon.requests));
            all.fits_in(&pool.types[instance_type].allocatable())
                && !daemons.iter().any(|daemon| collide(&spec.host_ports, &daemon.host_ports))
        };
        let holding: Vec<_> = (0..pool.types.len()).map(holds).collect();
        self.offers.retain(|offer| holding[offer.instance_type]);
    }

    /// Whether a term could be fulfilled by what the node may still become.
    pub(super) fn could_be(&self, pool: &Pool<'_>, term: &[Requirement]) -> bool {
        let mut draft = self.clone();
        draft.require(pool, term);
        !draft.offers.is_empty()
    }

    /// The values that the node may still have of a label, none for its absence; `None` when they cannot be listed.
    pub(super) fn values(&self, pool: &Pool<'_>, key: &str) -> Option<BTreeSet<String>> {
        let all = [pool.said.as_slice(), self.said.as_slice()].concat();
        if pool.is_of_offers(key) {
            let values = self.offers.iter().flat_map(|offer| pool.values_of(offer, key, &all));
            return Some(values.flatten().map(str::to_owned).collect());
        }
        if about(&pool.said, key).next().is_none() {
            return Some(BTreeSet::new());
        }
        match open(&all, key) {
            Open::Listed(values) => Some(values.into_iter().collect()),
            Open::Unlisted => None,
            Open::Absent | Open::Nothing => Some(BTreeSet::new()),
        }
    }

    pub(super) fn cheapest(&self) -> Price {
        self.offers.iter().map(|offer| offer.price).min().expect("a node that can be something")
    }

    /// Whether in some way to buy as many distinct values are left as the pool wants: a launch lists one.
    pub(super) fn has_min_values(&self, pool: &Pool<'_>) -> bool {
        let wants = |requirement: &Requirement| requirement.min_values.is_some();
        !pool.pool.requirements.iter().any(wants)
            || CapacityType::ALL.into_iter().any(|way| self.bought(way).keeps_min_values(pool))
    }

    fn keeps_min_values(&self, pool: &Pool<'_>) -> bool {
        pool.pool.requirements.iter().all(|requirement| {
            let least = requirement.min_values.unwrap_or(0) as usize;
            least == 0 || self.values(pool, &requirement.key).is_some_and(|values| values.len() >= least)
        })
    }

    /// The node, should it be bought in this way.
    fn bought(&self, way: CapacityType) -> Self {
        let offers = self.offers.iter().filter(|offer| offer.way == way);
        Self { offers: offers.cloned().collect(), ..self.clone() }
    }

    /// Charges a new node to its pool's limits, as the largest that it may become.
    pub(super) fn charge(&mut self, pool: &mut Pool<'_>) {
        self.charged = pool.largest(&self.offers);
        let charged = &self.charged;
        for (name, left) in &mut pool.room {
            *left = left.saturating_sub(if name == NODES { 1 } else { charged.get(name) });
        }
    }

    /// Charges it as the largest that its launch would list now, and holds it to that. Says whether that is less.
    pub(super) fn settle_charge(&mut self, pools: &mut [Pool<'_>]) -> bool {
        let pool = &mut pools[self.pool];
        let types = self.launchable(pool).types_listed(pool);
        let listed: Vec<_> =
            self.offers.iter().filter(|offer| types.contains(&offer.instance_type)).cloned().collect();
        let charge = pool.largest(&listed);
        if pool.room.is_empty() || charge == self.charged {
            return false;
        }
        for (name, left) in pool.room.iter_mut().filter(|(name, _)| *name != NODES) {
            *left += self.charged.get(name) - charge.get(name);
        }
        self.charged = charge;
        self.offers = listed;
        true
    }

    /// What its launch lists: one way to buy, and of that the cheapest.
    pub(super) fn listed(&self, pool: &Pool<'_>) -> Vec<LaunchOffering> {
        self.launchable(pool).in_one_way(pool)
    }

    /// All that it may be where many values are wanted, and elsewhere what is sensible of it.
    fn launchable(&self, pool: &Pool<'_>) -> Self {
        let wants_many = pool.pool.requirements.iter().any(|requirement| requirement.min_values.is_some());
        if wants_many { self.clone() } else { self.plain(pool).affordable() }
    }

    /// Without what is exotic, unless it is all that there is.
    fn plain(&self, pool: &Pool<'_>) -> Self {
        let all = self.offers.iter().map(|offer| offer.instance_type);
        let plain: BTreeSet<_> = all.filter(|it| is_plain(&pool.types[*it])).collect();
        if plain.is_empty() { self.clone() } else { self.only(&plain) }
    }

    /// Without the spot offerings that cost more than something on demand.
    fn affordable(&self) -> Self {
        let on_demand = self.offers.iter().filter(|offer| offer.way == CapacityType::OnDemand);
        let ceiling = on_demand.map(|offer| offer.price).min().unwrap_or(Price::MAX);
        let kept = |offer: &&Offer| offer.way != CapacityType::Spot || offer.price <= ceiling;
        Self { offers: self.offers.iter().filter(kept).cloned().collect(), ..self.clone() }
    }

    fn in_one_way(&self, pool: &Pool<'_>) -> Vec<LaunchOffering> {
        let types = self.types_listed(pool);
        let way = self.way(pool, &types);
        let listed =
            self.offers.iter().filter(|offer| types.contains(&offer.instance_type) && offer.way == way);
        let mut listed: Vec<_> = listed
            .map(|offer| LaunchOffering {
                reservation: None,
                instance_type: pool.types[offer.instance_type].name.clone(),
                zone: offer.zone.clone(),
                capacity_type: offer.way,
                price: offer.price,
            })
            .collect();
        listed.sort_by(|one, other| {
            (one.price, &one.instance_type, &one.zone).cmp(&(other.price, &other.instance_type, &other.zone))
        });
        listed
    }

    /// The first of reserved, spot and on-demand in which any of these types can be had, and with as many distinct
    /// values as the pool wants if there is such a one.
    fn way(&self, pool: &Pool<'_>, types: &BTreeSet<usize>) -> CapacityType {
        let all = self.only(types);
        let usable: Vec<_> = CapacityType::ALL
            .into_iter()
            .filter(|way| all.offers.iter().any(|offer| offer.way == *way))
            .collect();
        let keeping = usable.iter().find(|way| all.bought(**way).keeps_min_values(pool));
        *keeping.or(usable.first()).expect("a node that can be something")
    }

    fn types_listed(&self, pool: &Pool<'_>) -> BTreeSet<usize> {
        let types: BTreeSet<_> = self.offers.iter().map(|offer| offer.instance_type).collect();
        let way = self.way(pool, &types);
        let mut by_price: BTreeMap<usize, Price> = BTreeMap::new();
        for offer in self.offers.iter().filter(|o| types.contains(&o.instance_type) && o.way == way) {
            let price = by_price.entry(offer.instance_type).or_insert(offer.price);
            *price = (*price).min(offer.price);
        }
        let mut by_price: Vec<_> = by_price.into_iter().collect();
        by_price.sort_by_key(|(it, price)| (*price, &pool.types[*it].name));
        let mut listed = BTreeSet::new();
        for (it, _) in by_price {
            // Rather a longer list than one that breaks the pool's own rule.
            if listed.len() >= TYPES_MAX && self.only(&listed).has_min_values(pool) {
                break;
            }
            listed.insert(it);
        }
        listed
    }

    fn only(&self, types: &BTreeSet<usize>) -> Self {
        let offers = self.offers.iter().filter(|offer| types.contains(&offer.instance_type));
        Self { offers: offers.cloned().collect(), ..self.clone() }
    }
}

/// Neither bare metal nor with an accelerator: what is launched as long as it will do.
fn is_plain(instance_type: &InstanceType) -> bool {
    let accelerated = ["gpu-count", "accelerator-count"]
        .iter()
        .any(|label| instance_type.labels.contains_key(&format!("karpenter.k8s.aws/instance-{label}")));
    !accelerated && !instance_type.name.contains(".metal")
}
