//! Pods, many of a kind at once.

use std::sync::Arc;

use whittle_core::event::Event;
use whittle_core::model::labels;
use whittle_core::model::pod::{
    DoNotDisrupt, HostPort, InclusionPolicy, LabelSelector, Owner, Pod, PodAffinityTerm, PodPhase, PodSpec,
    Preferred, TopologySpread, WhenUnsatisfiable,
};
use whittle_core::model::requirement::{Operator, Requirement, Toleration, TolerationOperator};
use whittle_core::model::resources::Resources;
use whittle_core::model::time::Timestamp;

use super::{GIB, Known, secs};

/// Pods of one kind, `<app>-0`, `<app>-1`, ….
#[derive(Clone)]
pub(crate) struct Pods {
    pub(crate) app: String,
    pub(crate) spec: PodSpec,
    names: Vec<String>,
    node: Option<String>,
    volumes: Vec<String>,
    deleting: Option<Timestamp>,
    started: Timestamp,
    ready: bool,
}

/// So many waiting pods of the Deployment `app` in the namespace `shop`, each asking for 500 millis and 1 GiB.
pub(crate) fn pods(app: &str, count: usize) -> Pods {
    let requests = Resources { cpu_millis: 500, memory_bytes: GIB, pods: 1, ..Resources::default() };
    let spec = PodSpec {
        namespace: "shop".into(),
        owner: Some(Owner { kind: "Deployment".into(), name: app.into() }),
        labels: [("app".to_owned(), app.to_owned())].into(),
        requests,
        termination_grace_period: secs(30),
        ..PodSpec::default()
    };
    Pods {
        app: app.into(),
        spec,
        names: (0..count).map(|at| format!("{app}-{at}")).collect(),
        node: None,
        volumes: Vec::new(),
        deleting: None,
        started: Timestamp::EPOCH,
        ready: true,
    }
}

/// One pod, named like its app.
pub(crate) fn pod(name: &str) -> Pods {
    Pods { names: vec![name.into()], ..pods(name, 1) }
}

impl Pods {
    pub(crate) fn named(mut self, name: &str) -> Self {
        self.names = vec![name.into()];
        self
    }

    /// The same pods under names of their own: `<name>-0`, `<name>-1`, ….
    pub(crate) fn renamed(mut self, name: &str) -> Self {
        self.names = (0..self.names.len()).map(|at| format!("{name}-{at}")).collect();
        self
    }

    pub(crate) fn cpu(mut self, millis: u64) -> Self {
        self.spec.requests.cpu_millis = millis;
        self
    }

    pub(crate) fn memory(mut self, gib: u64) -> Self {
        self.spec.requests.memory_bytes = gib * GIB;
        self
    }

    pub(crate) fn asking(mut self, resource: &str, amount: u64) -> Self {
        self.spec.requests.set(resource, amount);
        self
    }

    pub(crate) fn label(mut self, key: &str, value: &str) -> Self {
        self.spec.labels.insert(key.into(), value.into());
        self
    }

    pub(crate) fn namespace(mut self, namespace: &str) -> Self {
        self.spec.namespace = namespace.into();
        self
    }

    /// The label must have this value, whatever else is asked.
    pub(crate) fn select(self, key: &str, value: &str) -> Self {
        self.needs(key, Operator::In, &[value])
    }

    /// The label must be so, in every alternative there is.
    pub(crate) fn needs(mut self, key: &str, operator: Operator, values: &[&str]) -> Self {
        let requirement = Requirement::new(key, operator, values.iter().copied());
        if self.spec.node_affinity.is_empty() {
            self.spec.node_affinity.push(Vec::new());
        }
        self.spec.node_affinity.iter_mut().for_each(|term| term.push(requirement.clone()));
        self
    }

    /// Another alternative of the required node affinity: the label must have this value.
    pub(crate) fn or(mut self, key: &str, value: &str) -> Self {
        self.spec.node_affinity.push(vec![Requirement::equals(key, value)]);
        self
    }

    pub(crate) fn tolerates(mut self, key: &str) -> Self {
        let operator = TolerationOperator::Exists;
        self.spec.tolerations.push(Toleration { key: Some(key.into()), operator, effect: None });
        self
    }

    pub(crate) fn tolerates_everything(mut self) -> Self {
        let operator = TolerationOperator::Exists;
        self.spec.tolerations.push(Toleration { key: None, operator, effect: None });
        self
    }

    pub(crate) fn zone_spread(self, max_skew: u32) -> Self {
        self.spread(labels::ZONE, max_skew, |_| {})
    }

    pub(crate) fn host_spread(self, max_skew: u32) -> Self {
        self.spread(labels::HOSTNAME, max_skew, |_| {})
    }

    /// A hard spread over a label among the pods of the same app, with Kubernetes' defaults but for `change`.
    pub(crate) fn spread(
        mut self,
        key: &str,
        max_skew: u32,
        change: impl FnOnce(&mut TopologySpread),
    ) -> Self {
        let mut spread = TopologySpread {
            key: key.into(),
            max_skew,
            min_domains: None,
            when_unsatisfiable: WhenUnsatisfiable::DoNotSchedule,
            selector: Some(app(&self.app)),
            match_label_keys: Vec::new(),
            node_affinity_policy: InclusionPolicy::Honor,
            node_taints_policy: InclusionPolicy::Ignore,
        };
        change(&mut spread);
        self.spec.topology_spread.push(spread);
        self
    }

    /// Required pod affinity to an app.
    pub(crate) fn near(mut self, app: &str, key: &str) -> Self {
        self.spec.pod_affinity.push(term(app, key));
        self
    }

    /// Required pod anti-affinity to an app.
    pub(crate) fn away_from(mut self, app: &str, key: &str) -> Self {
        self.spec.pod_anti_affinity.push(term(app, key));
        self
    }

    /// Required pod anti-affinity to its own app.
    pub(crate) fn apart(self, key: &str) -> Self {
        let app = self.app.clone();
        self.away_from(&app, key)
    }

    /// Would rather be where a label has a value.
    pub(crate) fn would_like(mut self, weight: i32, key: &str, value: &str) -> Self {
        let term = vec![Requirement::equals(key, value)];
        self.spec.preferred_node_affinity.push(Preferred { weight, term });
        self.spec.preferred_node_affinity.sort_by_key(|wish| -wish.weight);
        self
    }

    /// Would rather be where pods of an app are.
    pub(crate) fn would_be_near(mut self, app: &str, key: &str) -> Self {
        let near = pod("any").near(app, key).spec.pod_affinity;
        self.spec.preferred_pod_affinity.extend(near.into_iter().map(|term| Preferred { weight: 1, term }));
        self
    }

    /// Would rather be where no pods of an app are.
    pub(crate) fn would_avoid(mut self, app: &str, key: &str) -> Self {
        let away = pod("any").away_from(app, key).spec.pod_anti_affinity;
        self.spec
            .preferred_pod_anti_affinity
            .extend(away.into_iter().map(|term| Preferred { weight: 1, term }));
        self
    }

    pub(crate) fn host_port(mut self, port: u16) -> Self {
        let (ip, protocol) = ("0.0.0.0".into(), "TCP".into());
        self.spec.host_ports.push(HostPort { ip, port, protocol });
        self
    }

    pub(crate) fn volume(mut self, name: &str) -> Self {
        self.volumes.push(name.into());
        self
    }

    /// A Service selects them by their app.
    pub(crate) fn selected(mut self) -> Self {
        self.spec.siblings = Some(app(&self.app));
        self
    }

    pub(crate) fn owned_by(mut self, kind: &str) -> Self {
        self.spec.owner = Some(Owner { kind: kind.into(), name: self.app.clone() });
        self
    }

    pub(crate) fn daemon(self) -> Self {
        self.owned_by("DaemonSet")
    }

    pub(crate) fn priority(mut self, priority: i32) -> Self {
        self.spec.priority = priority;
        self
    }

    pub(crate) fn deletion_cost(mut self, cost: i32) -> Self {
        self.spec.deletion_cost = cost;
        self
    }

    pub(crate) fn grace(mut self, seconds: u64) -> Self {
        self.spec.termination_grace_period = secs(seconds);
        self
    }

    pub(crate) fn do_not_disrupt(mut self) -> Self {
        self.spec.do_not_disrupt = Some(DoNotDisrupt::Always);
        self
    }

    pub(crate) fn left_alone_for(mut self, seconds: u64) -> Self {
        self.spec.do_not_disrupt = Some(DoNotDisrupt::For(secs(seconds)));
        self
    }

    /// They run on the Node of `node(name)`.
    pub(crate) fn on(self, node: &str) -> Self {
        self.on_node(&format!("node-{node}"))
    }

    /// They run on the Node of exactly this name.
    pub(crate) fn on_node(mut self, node: &str) -> Self {
        self.node = Some(node.into());
        self
    }

    /// They belong to a DaemonSet of this name, whatever their app is.
    pub(crate) fn of_daemon_set(mut self, name: &str) -> Self {
        self.spec.owner = Some(Owner { kind: "DaemonSet".into(), name: name.into() });
        self
    }

    pub(crate) fn started(mut self, at: Timestamp) -> Self {
        self.started = at;
        self
    }

    pub(crate) fn leaving(mut self, since: Timestamp) -> Self {
        self.deleting = Some(since);
        self
    }

    pub(crate) fn unready(mut self) -> Self {
        self.ready = false;
        self
    }

    /// The objects.
    pub(crate) fn objects(self) -> Vec<Pod> {
        let spec = Arc::new(self.spec);
        let bound = self.node.is_some();
        let pods = self.names.into_iter().map(|name| Pod {
            uid: name.clone(),
            name,
            spec: Arc::clone(&spec),
            volume_claims: self.volumes.clone(),
            node: self.node.clone(),
            unschedulable: !bound,
            nominated_node: None,
            phase: if bound { PodPhase::Running } else { PodPhase::Pending },
            ready: bound && self.ready,
            created: self.started,
            started: bound.then_some(self.started),
            deleting: self.deleting,
            stops_within: None,
        });
        pods.collect()
    }

    /// The one object.
    pub(crate) fn object(self) -> Pod {
        self.objects().swap_remove(0)
    }
}

impl Known for Pods {
    fn events(self) -> Vec<Event> {
        self.objects().into_iter().map(Arc::new).map(Event::Pod).collect()
    }
}

impl Known for Pod {
    fn events(self) -> Vec<Event> {
        vec![Event::Pod(self.into())]
    }
}

/// The pods of an app.
pub(crate) fn app(name: &str) -> LabelSelector {
    LabelSelector { requirements: vec![Requirement::equals("app", name)] }
}

fn term(name: &str, key: &str) -> PodAffinityTerm {
    PodAffinityTerm {
        key: key.into(),
        selector: Some(app(name)),
        namespaces: Vec::new(),
        namespace_selector: None,
        match_label_keys: Vec::new(),
        mismatch_label_keys: Vec::new(),
    }
}
