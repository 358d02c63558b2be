//! Kubernetes Events: what `kubectl describe` shows of decisions. Which there are, in Karpenter's reasons, and that
//! nothing is said twice within a while.
//!
//! Events are a courtesy: when there are too many, or the server does not take them, they are dropped.

mod lately;

use std::sync::Arc;

use futures::StreamExt as _;
use k8s_openapi::api::core::v1::ObjectReference;
use kube_client::Client;
use kube_runtime::events::{Event, EventType, Recorder, Reporter};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use whittle_api::node_class::Ec2NodeClass;
use whittle_core::event::NoticeKind;
use whittle_core::model::labels;
use whittle_core::model::node as core;
use whittle_core::model::time::Timestamp;
use whittle_core::plan::{Action, DeleteReason, Outcome, Plan};
use whittle_core::state::Snapshot;
use whittle_core::why::change::Remedy;
use whittle_core::why::{MoveBlocked, Unplaced};

use crate::book::{Book, Named};
use crate::intake::Unclear;
use crate::metrics;
use crate::patch::{KARPENTER, NODE_CLASS};
use crate::tell::lately::Said;

/// So many Events wait to be written; more are dropped.
const WAITING_MAX: usize = 2_000;
/// So many Events are written at a time.
const WRITES_AT_ONCE: usize = 8;
/// The API server takes so many bytes of a note.
const NOTE_MAX: usize = 1_024;

/// A pod has a node to go to.
const NOMINATED: &str = "Nominated";

/// Who says so.
pub(crate) const CONTROLLER: &str = "whittle";

/// Something to say about an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// The object.
    pub about: Subject,
    /// Whether somebody should look at it.
    pub weight: Weight,
    /// The reason, in one word.
    pub reason: &'static str,
    /// The reason, in a sentence.
    pub note: String,
}

/// How much something weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// It goes as it should.
    Normal,
    /// Somebody should look at it.
    Warning,
}

/// An object that something is said about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Subject {
    api_version: &'static str,
    kind: String,
    namespace: Option<String>,
    name: String,
    uid: Option<String>,
}

impl Subject {
    fn pod(uid: &str, snapshot: &Snapshot) -> Option<Self> {
        let pod = snapshot.pods.get(uid)?;
        Some(Self {
            api_version: "v1",
            kind: "Pod".to_owned(),
            namespace: Some(pod.spec.namespace.clone()),
            name: pod.name.clone(),
            uid: Some(uid.to_owned()),
        })
    }

    pub(crate) fn claim(name: &str, book: &Book) -> Self {
        Self {
            api_version: KARPENTER,
            kind: "NodeClaim".to_owned(),
            namespace: None,
            name: name.to_owned(),
            uid: book.uid(Named::NodeClaim, name),
        }
    }

    /// Events of a kubelet name its Node as the uid, and `kubectl describe node` looks for both.
    pub(crate) fn node(name: &str) -> Self {
        Self {
            api_version: "v1",
            kind: "Node".to_owned(),
            namespace: None,
            name: name.to_owned(),
            uid: Some(name.to_owned()),
        }
    }

    fn pool(name: &str, book: &Book) -> Self {
        Self {
            api_version: KARPENTER,
            kind: "NodePool".to_owned(),
            namespace: None,
            name: name.to_owned(),
            uid: book.uid(Named::NodePool, name),
        }
    }

    pub(crate) fn class(class: &Ec2NodeClass) -> Self {
        Self {
            api_version: NODE_CLASS,
            kind: "EC2NodeClass".to_owned(),
            namespace: None,
            name: class.metadata.name.clone().unwrap_or_default(),
            uid: class.metadata.uid.clone(),
        }
    }

    fn unclear(unclear: &Unclear) -> Self {
        use crate::watch::Kind;
        let api_version = match unclear.kind {
            Kind::NodePool | Kind::NodeClaim => KARPENTER,
            Kind::Ec2NodeClass => NODE_CLASS,
            Kind::PriorityClass => "scheduling.k8s.io/v1",
            Kind::StorageClass | Kind::CsiNode | Kind::VolumeAttachment => "storage.k8s.io/v1",
            Kind::PodDisruptionBudget => "policy/v1",
            Kind::DaemonSet => "apps/v1",
            Kind::PersistentVolume
            | Kind::PersistentVolumeClaim
            | Kind::Namespace
            | Kind::Node
            | Kind::Pod => "v1",
        };
        let Unclear { kind, namespace, name, uid, .. } = unclear;
        Self {
            api_version,
            kind: kind.to_string(),
            namespace: namespace.clone(),
            name: name.clone(),
            uid: uid.clone(),
        }
    }

    fn reference(&self) -> ObjectReference {
        ObjectReference {
            api_version: Some(self.api_version.to_owned()),
            kind: Some(self.kind.clone()),
            namespace: self.namespace.clone(),
            name: Some(self.name.clone()),
            uid: self.uid.clone(),
            ..ObjectReference::default()
        }
    }
}

/// Something to say.
pub(crate) fn told(about: Subject, weight: Weight, reason: &'static str, note: String) -> Told {
    Told { about, weight, reason, note }
}

/// What a plan that is carried out says.
#[must_use]
pub fn of_plan(plan: &Plan, snapshot: &Snapshot, book: &Book) -> Vec<Told> {
    let mut all = Vec::new();
    for action in &plan.actions {
        match action {
            Action::Launch(launch) => {
                let pods = launch.pods.iter().filter_map(|pod| Subject::pod(pod, snapshot));
                let note = format!("Pod should schedule on: nodeclaim/{}", launch.claim);
                all.extend(pods.map(|pod| told(pod, Weight::Normal, NOMINATED, note.clone())));
                all.extend(launch.replaces.iter().map(|replaced| {
                    let note = format!("Launching NodeClaim: {} in its place", launch.claim);
                    told(Subject::claim(replaced, book), Weight::Normal, "DisruptionLaunching", note)
                }));
            }
            Action::Nominate(one) => {
                let kind = if snapshot.nodes.contains_key(&one.node) { "node" } else { "nodeclaim" };
                let note = format!("Pod should schedule on: {kind}/{}", one.node);
                let pod = Subject::pod(&one.pod, snapshot);
                all.extend(pod.map(|pod| told(pod, Weight::Normal, NOMINATED, note)));
            }
            Action::Delete(delete) => {
                let why = metrics::reason(delete.reason);
                let (reason, weight) = match delete.reason {
                    DeleteReason::Disrupted(_) => ("DisruptionTerminating", Weight::Normal),
                    DeleteReason::InsufficientCapacity => ("InsufficientCapacityError", Weight::Warning),
                    DeleteReason::NeverJoined | DeleteReason::Unhealthy => ("Disrupted", Weight::Warning),
                    DeleteReason::Interrupted
                    | DeleteReason::Expired
                    | DeleteReason::InstanceGone
                    | DeleteReason::NodeDeleted
                    | DeleteReason::Requested => ("Disrupted", Weight::Normal),
                };
                let note = format!("Disrupting NodeClaim: {why}");
                let node = snapshot.claims.get(&delete.claim).and_then(|claim| claim.node.clone());
                all.push(told(Subject::claim(&delete.claim, book), weight, reason, note.clone()));
                all.extend(node.map(|node| told(Subject::node(&node), weight, reason, note)));
            }
            Action::Register(one) => {
                let node = one.node.as_ref().and_then(|name| snapshot.nodes.get(name));
                let fresh = node.filter(|node| !node.labels.contains_key(labels::REGISTERED));
                let is_marked = |node: &core::Node| {
                    node.taints.iter().any(|taint| taint.key == labels::UNREGISTERED_TAINT)
                };
                all.extend(fresh.filter(|node| !is_marked(node)).map(|node| {
                    let note = format!(
                        "Missing {} taint which prevents registration-related race conditions",
                        labels::UNREGISTERED_TAINT
                    );
                    told(Subject::node(&node.name), Weight::Warning, "UnregisteredTaintMissing", note)
                }));
            }
            Action::Cordon(cordon) => {
                if let DeleteReason::Disrupted(_) = cordon.reason {
                    let note = "Waiting on readiness to continue disruption".to_owned();
                    let about = Subject::claim(&cordon.claim, book);
                    all.push(told(about, Weight::Normal, "DisruptionWaitingReadiness", note));
                }
            }
            Action::Initialize(_)
            | Action::Uncordon(_)
            | Action::Evict(_)
            | Action::Terminate(_)
            | Action::Finalize(_) => {}
        }
    }
    all
}

/// Why pods have no place, and what would give them one.
#[must_use]
pub fn of_unplaced(unplaced: &[Unplaced], snapshot: &Snapshot) -> Vec<Told> {
    let say = |one: &Unplaced| {
        let pod = Subject::pod(&one.pod, snapshot)?;
        // The pod's own name is what the Event is about already.
        let line = one.to_string();
        let why = line.strip_prefix(&format!("{}: ", one.name)).unwrap_or(&line).to_owned();
        let note = match &one.remedy {
            Remedy::Change(change) => with_remedy(&why, &format!(". Smallest change: {change}")),
            Remedy::NoSingleChange | Remedy::NotTried => why,
        };
        Some(told(pod, Weight::Warning, "FailedScheduling", note))
    };
    unplaced.iter().filter_map(say).collect()
}

/// A note that does not change with each attempt's new name is not news each time.
fn without(note: &str, claim: &str) -> String {
    note.replace(claim, "…")
}

/// Of two halves that are too long together, the first is cut: what to do is worth more than the last reason.
fn with_remedy(why: &str, remedy: &str) -> String {
    let room = NOTE_MAX.saturating_sub(remedy.len());
    format!("{}{remedy}", shortened(why, room))
}

fn shortened(text: &str, max: usize) -> String {
    const CUT: &str = "…";
    if text.len() <= max {
        return text.to_owned();
    }
    let mut end = max.saturating_sub(CUT.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{CUT}", &text[..end])
}

/// Why nodes stay.
#[must_use]
pub fn of_blocked(blocked: &[MoveBlocked], book: &Book) -> Vec<Told> {
    let say = |one: &MoveBlocked| {
        let about = Subject::claim(&one.claim, book);
        told(about, Weight::Normal, "DisruptionBlocked", one.why.to_string())
    };
    blocked.iter().map(say).collect()
}

/// What came of an action.
#[must_use]
pub fn of_outcome(outcome: &Outcome, snapshot: &Snapshot, book: &Book) -> Option<Told> {
    match outcome {
        Outcome::InsufficientCapacity { claim, offerings, .. } => {
            let note = match offerings.len() {
                0 => "Nothing is left of the capacity reservation".to_owned(),
                count => format!("EC2 has none of {count} offerings"),
            };
            let reason = "InsufficientCapacityError";
            Some(told(Subject::claim(claim, book), Weight::Warning, reason, note))
        }
        // The API server does not take the NodeClaim: there is only its NodePool to say so of.
        Outcome::Unwritten { claim, message } => {
            let pool = Subject::pool(&snapshot.asked.get(claim)?.node_pool, book);
            let note = format!("Failed to create a NodeClaim: {message}");
            Some(told(pool, Weight::Warning, "LaunchFailed", without(&note, claim)))
        }
        Outcome::Failed { claim, message, .. } => {
            let is_launch = snapshot.claims.get(claim).is_some_and(|claim| claim.instance.is_none());
            let note = format!("Failed to launch an instance: {message}");
            is_launch.then(|| told(Subject::claim(claim, book), Weight::Warning, "LaunchFailed", note))
        }
        Outcome::Launched { .. } | Outcome::Terminated { .. } => None,
    }
}

/// EC2 has said what will happen to the instance of a NodeClaim. On the Node as well, where there is one.
#[must_use]
pub fn of_notice(claim: &str, kind: NoticeKind, snapshot: &Snapshot, book: &Book) -> Vec<Told> {
    let (reason, note) = match kind {
        NoticeKind::Reclaim => ("SpotInterrupted", "EC2 takes the instance back"),
        NoticeKind::Rebalance => ("SpotRebalanceRecommendation", "EC2 may take the instance back soon"),
        NoticeKind::StateChange => ("InstanceTerminating", "The instance is stopping or ending"),
        NoticeKind::Maintenance => ("InstanceUnhealthy", "EC2 has something planned for the instance"),
    };
    let weight = if kind == NoticeKind::Rebalance { Weight::Normal } else { Weight::Warning };
    let node = snapshot.claims.get(claim).and_then(|claim| claim.node.as_deref()).map(Subject::node);
    let about = [Some(Subject::claim(claim, book)), node].into_iter().flatten();
    about.map(|about| told(about, weight, reason, note.to_owned())).collect()
}

/// The instance of a NodeClaim could not be ended.
#[must_use]
pub fn not_terminated(claim: &str, message: &str, book: &Book) -> Told {
    let note = format!("Failed to terminate the instance: {message}");
    told(Subject::claim(claim, book), Weight::Warning, "FailedTermination", note)
}

/// A pod was asked to leave.
#[must_use]
pub fn evicted(pod: &str, snapshot: &Snapshot) -> Option<Told> {
    Some(told(Subject::pod(pod, snapshot)?, Weight::Normal, "Evicted", "Evicted pod".to_owned()))
}

/// A pod may not leave yet.
#[must_use]
pub fn not_drained(claim: &str, pod: &str, budget: &str, snapshot: &Snapshot) -> Option<Told> {
    let node = snapshot.claims.get(claim)?.node.clone()?;
    let pod = snapshot.pods.get(pod)?.full_name();
    let note =
        format!("Failed to drain node: PodDisruptionBudget {budget} does not allow pod {pod} to be evicted");
    Some(told(Subject::node(&node), Weight::Warning, "FailedDraining", note))
}

/// An object could not be understood.
#[must_use]
pub fn of_unclear(unclear: &Unclear) -> Told {
    let note = format!("not understood, what was known before still holds: {}", unclear.message);
    told(Subject::unclear(unclear), Weight::Warning, "FailedValidation", note)
}

/// Says things, in the background.
#[derive(Debug)]
pub struct Teller {
    said: Said,
    sender: mpsc::Sender<Told>,
}

impl Teller {
    /// Starts to write what is told. `identity` is the process that says so.
    #[must_use]
    pub fn start(client: Client, identity: String) -> Self {
        let (sender, receiver) = mpsc::channel(WAITING_MAX);
        let reporter = Reporter { controller: CONTROLLER.to_owned(), instance: Some(identity) };
        let recorder = Arc::new(Recorder::new(client, reporter));
        tokio::spawn(async move {
            let write = |told: Told| {
                let recorder = Arc::clone(&recorder);
                async move {
                    if let Err(error) = recorder.publish(&event(&told), &told.about.reference()).await {
                        tracing::debug!(reason = told.reason, "an Event is not written: {error}");
                    }
                }
            };
            ReceiverStream::new(receiver).for_each_concurrent(WRITES_AT_ONCE, write).await;
        });
        Self { said: Said::default(), sender }
    }

    /// Says what has not been said of late.
    pub fn tell(&mut self, all: impl IntoIterator<Item = Told>, now: Timestamp) {
        for told in all {
            if self.said.is_news(&told, now) && self.sender.try_send(told).is_err() {
                tracing::debug!("an Event is dropped: too many wait");
            }
        }
    }
}

fn event(told: &Told) -> Event {
    Event {
        type_: match told.weight {
            Weight::Normal => EventType::Normal,
            Weight::Warning => EventType::Warning,
        },
        reason: told.reason.to_owned(),
        note: Some(shortened(&told.note, NOTE_MAX)),
        action: told.reason.to_owned(),
        secondary: None,
    }
}

#[cfg(test)]
mod tests {
    use whittle_core::event::Event;
    use whittle_core::model::time::Timestamp;
    use whittle_core::plan::{Action, NodeRef, Plan};
    use whittle_core::state::ClusterState;

    use super::{NOTE_MAX, of_plan, shortened, with_remedy};
    use crate::book::Book;

    #[test]
    fn a_note_that_is_too_long_is_cut_between_letters_and_keeps_the_remedy() {
        assert_eq!(shortened("äöü", 5), "ä…");
        let note = with_remedy(&"x".repeat(5_000), ". Smallest change: this");
        assert_eq!(note.len(), NOTE_MAX);
        assert!(note.ends_with("x…. Smallest change: this"), "{note}");
    }

    #[test]
    fn a_node_that_joins_without_its_mark_is_told_of() {
        let words = |labels: serde_json::Value, taints: serde_json::Value| {
            let node = serde_json::json!({
                "metadata": { "name": "n", "labels": labels },
                "spec": { "providerID": "aws:///a/i-1", "taints": taints },
            });
            let node: k8s_openapi::api::core::v1::Node = serde_json::from_value(node).unwrap();
            let node = whittle_api::convert::node::node(&node).unwrap();
            let mut state = ClusterState::new(whittle_core::settings::Settings::default());
            state.apply(Event::Node(Box::new(node)), Timestamp::EPOCH);
            let register = Action::Register(NodeRef { claim: "a".into(), node: Some("n".into()) });
            let plan = Plan { actions: vec![register], ..Plan::default() };
            let told = of_plan(&plan, state.snapshot(), &Book::default());
            told.into_iter().map(|told| told.reason).collect::<Vec<_>>()
        };
        use serde_json::json;
        let mark = json!([{ "key": "karpenter.sh/unregistered", "effect": "NoExecute" }]);
        assert_eq!(words(json!({}), json!([])), ["UnregisteredTaintMissing"]);
        assert_eq!(words(json!({}), mark), [] as [&str; 0]);
        assert_eq!(words(json!({ "karpenter.sh/registered": "true" }), json!([])), [] as [&str; 0]);
    }
}
