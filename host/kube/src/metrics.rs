//! Metrics: with Karpenter's names where they mean the same, so that dashboards go on working.

pub mod clouds;
pub mod listed;
mod lives;
pub mod standing;
mod types;

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;
use std::time::Instant;

use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;
use whittle_core::event::Event;
use whittle_core::model::instance_type::CapacityType;
use whittle_core::model::node_pool::DisruptionReason;
use whittle_core::model::price::Price;
use whittle_core::model::resources::CPU;
use whittle_core::model::time::Timestamp;
use whittle_core::plan::{Action, DeleteReason, Outcome, Plan};
use whittle_core::state::Snapshot;

use self::clouds::Clouds;
use self::listed::{Listed, Shelf};
use self::lives::Lives;
use self::standing::{Detail, Standing};
use self::types::Types;

/// A made NodeClaim.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Created {
    reason: String,
    nodepool: String,
    min_values_relaxed: String,
}

/// An ended NodeClaim.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Disrupted {
    reason: String,
    nodepool: String,
    capacity_type: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfPool {
    nodepool: String,
}

/// A decision to disrupt a node.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Decided {
    decision: &'static str,
    reason: &'static str,
    consolidation_type: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct By {
    controller: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Coded {
    code: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Watched {
    kind: String,
}

/// What a decision was about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About {
    /// Pods that wait, among other things.
    Pods,
    /// Nodes alone.
    Nodes,
}

/// All metrics of a process.
#[derive(Debug)]
pub struct Metrics {
    /// Held by whoever reads them.
    pub scraped: tokio::sync::Mutex<()>,
    registry: Registry,
    listed: Vec<Listed>,
    lives: Lives,
    clouds: Clouds,
    created: Family<Created, Counter>,
    disrupted: Family<Disrupted, Counter>,
    launch_failures: Family<OfPool, Counter>,
    evictions: Family<Coded, Counter>,
    synced: Gauge,
    unsynced: Gauge<f64, AtomicU64>,
    begun: Instant,
    standing: Standing,
    decisions: Family<Decided, Counter>,
    scheduling: Family<By, Histogram>,
    decision: Histogram,
    violations: Counter,
    unclear: Family<Watched, Counter>,
    watch_errors: Family<Watched, Counter>,
    leader: Gauge,
    cost_per_hour: Gauge<f64, AtomicU64>,
    types: Types,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// All of them at zero.
    #[must_use]
    pub fn new() -> Self {
        let mut metrics = Self {
            scraped: tokio::sync::Mutex::new(()),
            registry: Registry::default(),
            listed: Vec::new(),
            lives: Lives::new(),
            clouds: Clouds::new(),
            created: Family::default(),
            disrupted: Family::default(),
            launch_failures: Family::default(),
            evictions: Family::default(),
            synced: Gauge::default(),
            unsynced: Gauge::default(),
            begun: Instant::now(),
            standing: Standing::default(),
            decisions: Family::default(),
            scheduling: Family::new_with_constructor(decisions),
            decision: decisions(),
            violations: Counter::default(),
            unclear: Family::default(),
            watch_errors: Family::default(),
            leader: Gauge::default(),
            cost_per_hour: Gauge::default(),
            types: Types::default(),
        };
        metrics.register();
        metrics
    }

    fn register(&mut self) {
        let mut shelf = Shelf::new(&mut self.registry, "karpenter", &mut self.listed);
        let version = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        shelf.add("build", "What runs", version);
        shelf.add("nodeclaims_created", "NodeClaims that were made", self.created.clone());
        shelf.add("nodeclaims_disrupted", "NodeClaims whose end we asked for", self.disrupted.clone());
        shelf.add("pods_eviction_requests", "Evictions, by the code of their answer", self.evictions.clone());
        shelf.add("cluster_state_synced", "1 when everything was listed", self.synced.clone());
        self.types.list_karpenters(&mut shelf);
        let help = "For how long not everything has been listed; 0 when it was";
        shelf.add("cluster_state_unsynced_time_seconds", help, self.unsynced.clone());
        let help = "Nodes that are disrupted to save money or because they have drifted";
        shelf.add("voluntary_disruption_decisions", help, self.decisions.clone());
        let help = "How long a decision took in which waiting pods were given places";
        shelf.add("scheduler_scheduling_duration_seconds", help, self.scheduling.clone());
        shelf.add_all(MetricType::Gauge, &standing::LISTED, self.standing.clone());
        self.lives.list_karpenters(&mut shelf);
        self.clouds.list_karpenters(&mut shelf);
        let mut shelf = Shelf::new(&mut self.registry, "whittle", &mut self.listed);
        shelf.add("decision_duration_seconds", "How long a decision took", self.decision.clone());
        shelf.add(
            "plan_violations",
            "Actions that broke a rule and were not carried out",
            self.violations.clone(),
        );
        shelf.add("objects_unclear", "Objects that could not be understood", self.unclear.clone());
        shelf.add("watch_errors", "Watches that failed and were tried again", self.watch_errors.clone());
        shelf.add(
            "launch_failures",
            "Launches for which there was no capacity",
            self.launch_failures.clone(),
        );
        self.types.list_ours(&mut shelf);
        shelf.add("leader", "1 when this process leads", self.leader.clone());
        shelf.add("cost_dollars_per_hour", "What all instances cost", self.cost_per_hour.clone());
        self.lives.list_ours(&mut shelf);
        self.clouds.list_ours(&mut shelf);
    }

    /// Those of the cloud.
    #[must_use]
    pub const fn clouds(&self) -> &Clouds {
        &self.clouds
    }

    /// All of them, with what they mean, whether or not they have a value yet.
    #[must_use]
    pub fn listed(&self) -> &[Listed] {
        &self.listed
    }

    /// All of them, as Prometheus reads it.
    ///
    /// # Errors
    ///
    /// Never in practice: the encoder writes into memory.
    pub fn text(&self) -> Result<String, std::fmt::Error> {
        let mut out = String::new();
        text::encode(&mut out, &self.registry)?;
        Ok(out)
    }

    /// Something is about to be known that is not yet known in `snapshot`.
    pub fn heard(&self, event: &Event, snapshot: &Snapshot, now: Timestamp) {
        if let Event::Pod(pod) = event {
            self.lives.pod(pod, snapshot, now);
        } else if let Event::NodeClaim(claim) = event {
            self.lives.claim(claim, snapshot, now);
        } else if let Event::NodeClaimGone(name) = event {
            self.lives.claim_gone(name, snapshot, now);
        } else if let Event::NodeClass(class) = event {
            let others = snapshot.node_classes.values().filter(|other| other.name != class.name);
            self.types.stand(others.chain([class]));
        } else if let Event::NodeClassGone(name) = event {
            self.types.stand(snapshot.node_classes.values().filter(|class| class.name != *name));
        }
    }

    /// When prices were found, by how it is bought.
    pub fn priced(&self, found: &BTreeMap<CapacityType, Timestamp>) {
        self.types.priced(found);
    }

    /// An instance was launched at a price, for another that it was planned with.
    pub fn launched(&self, planned: Price, realised: Price) {
        self.lives.launched(planned, realised);
    }

    /// A decision has taken so long, in which waiting pods were given places or not.
    pub fn decided(&self, took: std::time::Duration, about: About) {
        self.decision.observe(took.as_secs_f64());
        if about == About::Pods {
            self.scheduling.get_or_create(&By { controller: "provisioner" }).observe(took.as_secs_f64());
        }
    }

    /// A plan broke rules.
    pub fn violated(&self) {
        self.violations.inc();
    }

    /// An object could not be understood.
    pub fn unclear(&self, kind: &str) {
        self.unclear.get_or_create(&Watched { kind: kind.to_owned() }).inc();
    }

    /// A watch failed.
    pub fn watch_failed(&self, kind: &str) {
        self.watch_errors.get_or_create(&Watched { kind: kind.to_owned() }).inc();
    }

    /// Whether this process leads.
    pub fn leads(&self, leads: bool) {
        self.leader.set(i64::from(leads));
    }

    /// Whether everything has been listed.
    pub fn synced(&self, synced: bool) {
        self.synced.set(i64::from(synced));
    }

    /// How an eviction was answered, by the code of HTTP.
    pub fn evicted(&self, code: &str) {
        self.evictions.get_or_create(&Coded { code: code.to_owned() }).inc();
    }

    /// A plan is carried out.
    pub fn planned(&self, plan: &Plan, snapshot: &Snapshot) {
        for action in &plan.actions {
            match action {
                Action::Launch(launch) => {
                    let reason = if launch.replaces.is_empty() { "provisioned" } else { "disrupted" };
                    let labels = Created {
                        reason: reason.to_owned(),
                        nodepool: launch.node_pool.clone(),
                        min_values_relaxed: launch.min_values_relaxed.to_string(),
                    };
                    self.created.get_or_create(&labels).inc();
                }
                Action::Delete(delete) => {
                    let Some(claim) = snapshot.claims.get(&delete.claim) else { continue };
                    let capacity = claim.instance.as_ref().map(|one| one.capacity_type.label());
                    let labels = Disrupted {
                        reason: reason(delete.reason).to_owned(),
                        nodepool: claim.node_pool.clone(),
                        capacity_type: capacity.unwrap_or_default().to_owned(),
                    };
                    self.disrupted.get_or_create(&labels).inc();
                    if let DeleteReason::Disrupted(why) = delete.reason {
                        self.decisions.get_or_create(&decided(why)).inc();
                    }
                }
                Action::Nominate(_)
                | Action::Register(_)
                | Action::Initialize(_)
                | Action::Cordon(_)
                | Action::Uncordon(_)
                | Action::Evict(_)
                | Action::Terminate(_)
                | Action::Finalize(_) => {}
            }
        }
    }

    /// Something came of an action.
    pub fn told(&self, outcome: &Outcome, snapshot: &Snapshot) {
        let claim = match outcome {
            Outcome::InsufficientCapacity { claim, .. } => claim,
            Outcome::Terminated { claim } => return self.lives.drained(claim, snapshot),
            Outcome::Launched { .. } | Outcome::Unwritten { .. } | Outcome::Failed { .. } => return,
        };
        let pool = snapshot.claims.get(claim).map(|claim| claim.node_pool.clone());
        self.launch_failures.get_or_create(&OfPool { nodepool: pool.unwrap_or_default() }).inc();
    }

    fn cost(&self, snapshot: &Snapshot) {
        let instances = snapshot.claims.values().filter_map(|claim| claim.instance.as_ref());
        self.cost_per_hour.set(lives::dollars(instances.map(|one| one.price).sum()));
    }

    /// Somebody asks how things stand: what was worked out is in the next text, and only there.
    pub fn look(&self, snapshot: &Snapshot, unplaced: usize, (now, detail): (Timestamp, Detail)) {
        let is_synced = self.synced.get() != 0;
        self.unsynced.set(if is_synced { 0.0 } else { self.begun.elapsed().as_secs_f64() });
        self.cost(snapshot);
        self.standing.look(snapshot, unplaced, (now, detail));
    }
}

/// From a tenth of a millisecond to some 26 seconds.
fn decisions() -> Histogram {
    Histogram::new(exponential_buckets(0.0001, 2.0, 19))
}

/// An amount in the unit that a chart shows: CPU in cores.
#[expect(clippy::cast_precision_loss, reason = "an amount for a chart")]
fn in_units(resource: &str, amount: u64) -> f64 {
    if resource == CPU { amount as f64 / 1e3 } else { amount as f64 }
}

/// A node that is replaced goes when its replacement is there; a round of consolidation finds many at once.
const fn decided(why: DisruptionReason) -> Decided {
    let (decision, consolidation_type) = match why {
        DisruptionReason::Empty => ("delete", "empty"),
        DisruptionReason::Underutilized => ("delete", "multi"),
        DisruptionReason::Drifted => ("replace", ""),
    };
    Decided { decision, reason: reason(DeleteReason::Disrupted(why)), consolidation_type }
}

/// Karpenter's word for a reason.
#[must_use]
pub const fn reason(reason: DeleteReason) -> &'static str {
    match reason {
        DeleteReason::Disrupted(DisruptionReason::Underutilized) => "underutilized",
        DeleteReason::Disrupted(DisruptionReason::Empty) => "empty",
        DeleteReason::Disrupted(DisruptionReason::Drifted) => "drifted",
        DeleteReason::Interrupted => "interruption",
        DeleteReason::Expired => "expired",
        DeleteReason::InsufficientCapacity => "insufficient_capacity",
        DeleteReason::NeverJoined => "liveness",
        DeleteReason::InstanceGone => "garbage_collected",
        DeleteReason::Unhealthy => "unhealthy",
        DeleteReason::NodeDeleted => "node_deleted",
        DeleteReason::Requested => "requested",
    }
}

#[cfg(test)]
mod tests;
