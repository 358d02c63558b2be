//! Generated clusters as what becomes known of them.

use whittle_core::event::Event;
use whittle_core::model::instance_type::CapacityType;
use whittle_core::model::labels::HOSTNAME;
use whittle_core::model::node_pool::NodePool;
use whittle_core::model::pod::{
    InclusionPolicy, LabelSelector, PodAffinityTerm, Preferred, TopologySpread, WhenUnsatisfiable,
};
use whittle_core::model::requirement::{Operator, Requirement, Taint, TaintEffect};
use whittle_core::model::resources::Resources;
use whittle_core::plan::{LaunchOffering, Outcome};
use whittle_core::state::ClusterState;

use super::{
    Age, Daemon, Force, Kind, LATE, Mark, Mounted, NodeLike, PoolLike, Rule, Team, Version, Want, What,
    Whose, World,
};
use crate::cluster::catalogue::{self, GPU};
use crate::cluster::nodes::{Machine, node};
use crate::cluster::pods::{Pods, app, pods};
use crate::cluster::pools::{PoolWords, daemon_set, pool, taint, volume, volume_limit};
use crate::cluster::{Cluster, Known, START, at};

/// The namespaces that pods live in. The second has the label `tier: money`.
const NAMESPACES: [&str; 2] = ["shop", "bank"];

fn app_name(at: usize) -> String {
    format!("k{at}")
}

fn pool_name(at: usize) -> String {
    format!("p{at}")
}

impl World {
    /// The cluster, known in the order in which it is written.
    pub(crate) fn cluster(&self) -> Cluster {
        self.known(self.events())
    }

    /// The cluster, known in another order. A NodePool before its nodes or after, a pod before its node or after:
    /// none of that may matter.
    pub(crate) fn shuffled(&self, seed: u64) -> Cluster {
        let mut events = self.events();
        let mut state = seed;
        for at in (1..events.len()).rev() {
            // A linear congruential generator (Knuth's MMIX) is random enough to shuffle by.
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let other = usize::try_from(state >> 33).expect("31 bits") % (at + 1);
            events.swap(at, other);
        }
        self.known(events)
    }

    fn known(&self, events: Vec<Event>) -> Cluster {
        let mut cluster = Cluster::default();
        cluster.state = ClusterState::new(self.settings.clone());
        for event in events {
            cluster.tell(event, at(0));
        }
        cluster
    }

    fn events(&self) -> Vec<Event> {
        let ids: Vec<_> = (0..self.reserved.len()).map(|at| format!("cr-{at}")).collect();
        let reserved = self.reserved.iter().zip(&ids);
        let reserved: Vec<_> =
            reserved.map(|((name, zone, count), id)| (*name, *zone, id.as_str(), *count)).collect();
        let mut events = catalogue::reserving(&reserved).events();
        events.push(Event::Namespace(NAMESPACES[0].to_owned(), [].into()));
        events.push(Event::Namespace(NAMESPACES[1].to_owned(), [("tier".into(), "money".into())].into()));
        events.extend(self.refusals());
        for (at, like) in self.pools.iter().enumerate() {
            events.extend(like.pool(&pool_name(at), self.team(at)).events());
        }
        for (at, daemon) in self.daemons.iter().enumerate() {
            events.extend(daemon_set(daemon.pods(at)).events());
        }
        for (at, like) in self.nodes.iter().enumerate() {
            let machine = self.machine(at, like);
            let takes_pods = machine.node.is_some() && like.age != Age::Unregistered;
            events.extend(machine.events());
            if takes_pods {
                for (kind, pods) in self.residents(at, like) {
                    events.extend(self.with_volumes(kind, pods));
                }
                events.extend(like.volumes.map(|volumes| volume_limit(&format!("n{at}"), volumes)));
            }
        }
        for (at, kind) in self.kinds.iter().enumerate() {
            events.extend(self.with_volumes(at, self.pods(at, kind, kind.waiting)));
        }
        events
    }

    /// Pods of a kind, and the volumes that they mount.
    fn with_volumes(&self, kind: usize, pods: Pods) -> Vec<Event> {
        let Kind { volume: wanted, namespace, .. } = &self.kinds[kind];
        let Some(wanted) = wanted else { return pods.events() };
        let mut events = Vec::new();
        for mut pod in pods.objects() {
            let name = match wanted.mounted {
                Mounted::Own => format!("of-{}", pod.name),
                Mounted::Shared => format!("of-{}", app_name(kind)),
            };
            let mut claim = volume(&name, &wanted.zones);
            claim.namespace = NAMESPACES[*namespace].to_owned();
            claim.driver = wanted.attached.then(|| "ebs".to_owned());
            pod.volume_claims.push(name);
            events.extend([Event::VolumeClaim(claim), Event::Pod(pod.into())]);
        }
        events
    }

    /// What EC2 had no capacity for when a NodeClaim that is gone asked for it.
    fn refusals(&self) -> Option<Event> {
        let offering = |(instance_type, zone, spot): &(&str, &str, bool)| {
            let capacity_type = if *spot { CapacityType::Spot } else { CapacityType::OnDemand };
            let of_type = catalogue::named(instance_type).offerings;
            let same = of_type.iter().find(|o| o.zone == *zone && o.capacity_type == capacity_type);
            let price = same.expect("an offering of the catalogue").price;
            let (instance_type, zone) = ((*instance_type).to_owned(), (*zone).to_owned());
            LaunchOffering { instance_type, zone, capacity_type, reservation: None, price }
        };
        let offerings: Vec<_> = self.refused.iter().map(offering).collect();
        let outcome = Outcome::InsufficientCapacity { claim: "gone".into(), offerings, at: at(LATE) };
        (!self.refused.is_empty()).then_some(Event::Outcome(outcome))
    }

    /// What a pool says of the label `team`. Where pods are spread over it, its values are listed: domains that
    /// nobody can list are no domains.
    fn team(&self, pool: usize) -> Team {
        let is_domain = self.kinds.iter().flat_map(|kind| &kind.rules).any(|rule| rule.key == "team");
        match self.pools[pool].team {
            Team::Any if is_domain => Team::RedOrBlue,
            team => team,
        }
    }

    fn machine(&self, at: usize, like: &NodeLike) -> Machine {
        let pool_ord = like.pool % self.pools.len();
        let machine = node(&format!("n{at}")).instance_type(like.instance_type).zone(like.zone);
        let machine = if like.spot { machine.spot() } else { machine };
        let machine = machine.of_pool(&pool_name(pool_ord));
        let machine = match like.taint {
            Mark::None => machine,
            Mark::NoSchedule => machine.taint("special"),
            Mark::PreferNoSchedule => {
                machine.claim(|claim| claim.taints.push(soft_taint())).marked(soft_taint())
            }
        };
        let machine = match self.team(pool_ord) {
            Team::Nothing => machine,
            Team::Red | Team::RedOrBlue => machine.label("team", "red"),
            Team::Numbered => machine.label("team", "7"),
            Team::Any => machine.label("team", "0"),
        };
        let starts_tainted = self.pools[pool_ord].startup_taint;
        match like.age {
            Age::InFlight => machine.in_flight(),
            // The kubelet says what its node is called, whoever registers it.
            Age::Unregistered => {
                let name = (HOSTNAME.to_owned(), format!("node-n{at}"));
                machine.unregistered().node(|node| node.labels.extend([name]))
            }
            Age::Starting if starts_tainted => machine.startup_taint("starting").uninitialized(),
            Age::Starting => machine.uninitialized(),
            Age::Running => machine,
            Age::Unmanaged => machine.unmanaged(),
            Age::Leaving => machine.leaving(START),
        }
    }

    /// Pods that run on a node, as many of those meant for it as it holds.
    fn residents(&self, at: usize, like: &NodeLike) -> Vec<(usize, Pods)> {
        let room = catalogue::named(like.instance_type).allocatable();
        let mut used = Resources::default();
        let mut residents = Vec::new();
        for (ord, kind) in like.residents.iter().enumerate() {
            let kind_ord = kind % self.kinds.len();
            let pods = self.pods(kind_ord, &self.kinds[kind_ord], 1);
            let with = used.plus(&pods.spec.requests);
            if with.fits_in(&room) && (pods.spec.host_ports.is_empty() || ord == 0) {
                used = with;
                residents.push((kind_ord, pods.named(&format!("r{at}-{ord}")).on(&format!("n{at}"))));
            }
        }
        residents
    }

    fn app_of(&self, at: usize) -> String {
        let at = at % self.kinds.len();
        app_name(self.kinds[at].app.map_or(at, |other| other % self.kinds.len()))
    }

    fn pods(&self, at: usize, kind: &Kind, count: usize) -> Pods {
        let mut all = pods(&app_name(at), count).cpu(kind.cpu).memory(kind.gib);
        all = all.namespace(NAMESPACES[kind.namespace]).label("app", &self.app_of(at));
        all = all.label("version", &app_name(at));
        if kind.gpu {
            all = all.asking(GPU, 1);
        }
        if kind.tolerant {
            all = all.tolerates("special");
        }
        if kind.port {
            all = all.host_port(80);
        }
        if kind.selected {
            all = all.selected();
        }
        let term = |wants: &Vec<Want>| wants.iter().map(Want::requirement).collect::<Vec<_>>();
        all.spec.node_affinity = kind.wants.iter().map(term).collect();
        let likes = kind.likes.iter().zip((1..).map(|lighter| 100 - lighter));
        let likes = likes.map(|(want, weight)| Preferred { weight, term: vec![want.requirement()] });
        all.spec.preferred_node_affinity = likes.collect();
        for (ord, rule) in kind.rules.iter().enumerate() {
            self.add_rule(&mut all, rule, (at, 100 - i32::try_from(ord).expect("few rules")));
        }
        all
    }

    fn add_rule(&self, pods: &mut Pods, rule: &Rule, (at, weight): (usize, i32)) {
        let spec = &mut pods.spec;
        match &rule.what {
            What::Spread { .. } => spec.topology_spread.push(rule.spread(app(&self.app_of(at)))),
            What::Near { kind, whose } => {
                let term = rule.term(app(&self.app_of(*kind)), *whose);
                match rule.force {
                    Force::Required => spec.pod_affinity.push(term),
                    Force::Preferred => spec.preferred_pod_affinity.push(Preferred { weight, term }),
                }
            }
            What::Away { kind, whose } => {
                let term = rule.term(app(&self.app_of(*kind)), *whose);
                match rule.force {
                    Force::Required => spec.pod_anti_affinity.push(term),
                    Force::Preferred => spec.preferred_pod_anti_affinity.push(Preferred { weight, term }),
                }
            }
        }
    }
}

impl Rule {
    fn spread(&self, selector: LabelSelector) -> TopologySpread {
        let What::Spread { max_skew, min_domains, honour_taints, ignore_affinity } = self.what else {
            panic!("a rule about being spread");
        };
        let is_required = self.force == Force::Required;
        TopologySpread {
            key: self.key.to_owned(),
            max_skew,
            // Kubernetes allows it for required spreads only.
            min_domains: min_domains.filter(|_| is_required),
            when_unsatisfiable: match self.force {
                Force::Required => WhenUnsatisfiable::DoNotSchedule,
                Force::Preferred => WhenUnsatisfiable::ScheduleAnyway,
            },
            selector: Some(selector),
            match_label_keys: self.equal_labels(),
            node_affinity_policy: policy(!ignore_affinity),
            node_taints_policy: policy(honour_taints),
        }
    }

    fn term(&self, selector: LabelSelector, whose: Whose) -> PodAffinityTerm {
        let money = LabelSelector { requirements: vec![Requirement::equals("tier", "money")] };
        PodAffinityTerm {
            key: self.key.to_owned(),
            selector: Some(selector),
            namespaces: match whose {
                Whose::Own | Whose::Selected | Whose::All => Vec::new(),
                Whose::Listed => vec![NAMESPACES[1].to_owned()],
            },
            namespace_selector: match whose {
                Whose::Own | Whose::Listed => None,
                Whose::Selected => Some(money),
                Whose::All => Some(LabelSelector::default()),
            },
            match_label_keys: self.equal_labels(),
            mismatch_label_keys: match self.version {
                Version::All | Version::Same => Vec::new(),
                Version::Other => vec!["version".to_owned()],
            },
        }
    }

    fn equal_labels(&self) -> Vec<String> {
        match self.version {
            Version::All | Version::Other => Vec::new(),
            // A key that no pod has is left out.
            Version::Same => vec!["version".to_owned(), "nobody-has-this".to_owned()],
        }
    }
}

const fn policy(is_honoured: bool) -> InclusionPolicy {
    if is_honoured { InclusionPolicy::Honor } else { InclusionPolicy::Ignore }
}

fn soft_taint() -> Taint {
    Taint { effect: TaintEffect::PreferNoSchedule, ..taint("special") }
}

impl Want {
    fn requirement(&self) -> Requirement {
        Requirement::new(self.key, self.operator, self.values.iter().copied())
    }
}

impl PoolLike {
    fn pool(&self, name: &str, team: Team) -> NodePool {
        let mut made = pool(name).weight(self.weight);
        made = match self.taint {
            Mark::None => made,
            Mark::NoSchedule => made.taint("special"),
            Mark::PreferNoSchedule => made.change(|pool| pool.taints.push(soft_taint())),
        };
        if self.startup_taint {
            made = made.startup_taint("starting");
        }
        if let Some(want) = &self.only {
            made = made.needs(want.key, want.operator, &want.values);
        }
        if let Some((key, least)) = self.min_values {
            made = made.min_values(key, least);
        }
        if let Some((resource, amount)) = self.limit {
            made = made.limit(resource, amount);
        }
        match team {
            Team::Nothing => made,
            Team::Red => made.label("team", "red"),
            Team::RedOrBlue => made.only("team", &["red", "blue"]),
            Team::Numbered => made.only("team", &["6", "7", "8"]),
            Team::Any => made.needs("team", Operator::Exists, &[]),
        }
    }
}

impl Daemon {
    fn pods(&self, at: usize) -> Pods {
        let mut all = pods(&format!("d{at}"), 0).cpu(self.cpu).memory(0);
        if self.tolerant {
            all = all.tolerates_everything();
        }
        if self.port {
            all = all.host_port(80);
        }
        if let Some(want) = &self.on {
            all = all.needs(want.key, want.operator, &want.values);
        }
        all
    }
}
