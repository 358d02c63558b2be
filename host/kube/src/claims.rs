//! What is said of NodeClaims while they live and end: conditions, annotations and Events. What it is, the core says
//! (`lifecycle::standing`); here it is written when it has changed.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};
use whittle_api::conditions;
use whittle_api::convert::fingerprint;
use whittle_api::node_claim::{NodeClaim, NodeClaimStatus};
use whittle_control::ports::ClusterError;
use whittle_core::lifecycle::drain::held;
use whittle_core::lifecycle::repair::braked;
use whittle_core::lifecycle::standing::{Ending, Standing, Topic, ending, ends_by, is_news, standing};
use whittle_core::model::labels::TERMINATION_TIMESTAMP;
use whittle_core::model::node as core;
use whittle_core::model::time::Timestamp;
use whittle_core::state::Snapshot;

use crate::book::Book;
use crate::cluster::writer::Writer;
use crate::patch::set;
use crate::tell::{Subject, Told, Weight, told};

/// Those that stay are looked at every so many turns. Nobody waits for what is said of them.
const TURNS_OF_THOSE_THAT_STAY: u32 = 5;

/// What was last said of each NodeClaim.
#[derive(Debug, Default)]
pub(crate) struct Claims {
    said: BTreeMap<String, Standing>,
    turn: u32,
}

/// What is to be written into a NodeClaim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Due {
    /// The NodeClaim.
    pub(crate) name: String,
    standing: Standing,
    /// Whether its annotations are to be looked at, too.
    annotations: bool,
}

impl Claims {
    /// What is to be written now. It counts as written until somebody says that it is not.
    pub(crate) fn due(&mut self, snapshot: &Snapshot, now: Timestamp) -> Vec<Due> {
        self.turn = (self.turn + 1) % TURNS_OF_THOSE_THAT_STAY;
        if self.turn == 0 {
            self.said.retain(|name, _| snapshot.claims.contains_key(name));
        }
        let is_all = self.turn == 0;
        let looked_at = snapshot.claims.values().filter(|claim| is_all || claim.deleting.is_some());
        let mut due = Vec::new();
        for claim in looked_at.filter(|claim| claim.instance.is_some()) {
            let standing = standing(snapshot, claim, now);
            if self.said.get(&claim.name).is_some_and(|said| !is_news(said, &standing)) {
                continue;
            }
            self.said.insert(claim.name.clone(), standing.clone());
            let annotations = has_other_annotations(claim, &standing);
            due.push(Due { name: claim.name.clone(), standing, annotations });
        }
        due
    }

    /// What was to be written into a NodeClaim is not.
    pub(crate) fn forget(&mut self, name: &str) {
        self.said.remove(name);
    }
}

fn has_other_annotations(claim: &core::NodeClaim, standing: &Standing) -> bool {
    let ends_earlier =
        standing.terminate_by.is_some_and(|by| claim.terminate_by.is_none_or(|known| by < known));
    ends_earlier || standing.made_from != claim.made_from
}

/// Writes what is said of a NodeClaim, as far as it does not say so already.
pub(crate) async fn write(writer: Arc<Writer>, due: Due, now: Timestamp) -> Result<(), String> {
    let Due { name, standing, annotations } = due;
    let mut written = Ok(());
    if annotations {
        written = writer.change_claim(&name, |claim| annotated(claim, &standing)).await;
    }
    if written.is_ok() {
        written = writer.change_status(&name, |status| write_status(status, &standing, now)).await;
    }
    match written {
        // Nobody is left to hear of it.
        Ok(()) | Err(ClusterError::NotFound { .. }) => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}

fn write_status(status: &mut NodeClaimStatus, standing: &Standing, now: Timestamp) {
    for said in &standing.conditions {
        let status_word = match said.is_so {
            Some(true) => "True",
            Some(false) => "False",
            None => "Unknown",
        };
        set(&mut status.conditions, said.topic.name(), (status_word, said.reason, &said.message), now);
    }
    let is_gone = |type_: &str| standing.absent.iter().any(|topic| topic.name() == type_);
    status.conditions.retain(|condition| !is_gone(&condition.type_));
    let known = status.last_pod_event_time.as_ref().map(conditions::timestamp);
    if standing.last_pod_event > known {
        status.last_pod_event_time = standing.last_pod_event.map(conditions::time);
    }
}

/// The annotations that a NodeClaim does not have yet; `None` when it has them all. Its end is never put off.
fn annotated(claim: &NodeClaim, standing: &Standing) -> Option<Value> {
    let mut wanted = fingerprint::annotations(&standing.made_from);
    let known = conditions::terminate_by(&claim.metadata);
    if let Some(by) = standing.terminate_by.filter(|by| known.is_none_or(|known| *by < known)) {
        wanted.insert(TERMINATION_TIMESTAMP.to_owned(), conditions::time(by).0.to_string());
    }
    let there = claim.metadata.annotations.clone().unwrap_or_default();
    wanted.retain(|key, value| there.get(key) != Some(value));
    (!wanted.is_empty()).then(|| {
        let version = &claim.metadata.resource_version;
        json!({ "metadata": { "resourceVersion": version, "annotations": wanted } })
    })
}

/// What is to be told of NodeClaims that end, or should and do not.
pub(crate) fn of_claims(snapshot: &Snapshot, book: &Book, now: Timestamp) -> Vec<Told> {
    let mut all = Vec::new();
    let mut say = |claim: &str, reason: &'static str, note: String| {
        let node = snapshot.claims.get(claim).and_then(|claim| claim.node.as_deref()).map(Subject::node);
        let about = node.into_iter().chain([Subject::claim(claim, book)]);
        all.extend(about.map(|about| told(about, Weight::Warning, reason, note.clone())));
    };
    for one in held(snapshot, now) {
        say(&one.claim, "FailedDraining", format!("Failed to drain node: {}", one.why));
    }
    for claim in snapshot.claims.values().filter(|claim| claim.deleting.is_some()) {
        match ending(snapshot, claim, now) {
            Some(Ending::Draining { .. }) => {
                let note = ends_by(claim).map(|by| format!("All pods will be deleted by {by}"));
                note.into_iter().for_each(|note| say(&claim.name, "TerminationGracePeriodExpiring", note));
            }
            Some(Ending::Detaching { .. }) => {
                let note = "Awaiting deletion of bound volume attachments".to_owned();
                say(&claim.name, "AwaitingVolumeDetachment", note);
            }
            Some(Ending::Terminating { .. }) | None => {}
        }
    }
    for one in braked(snapshot, now) {
        let note = format!(
            "The node is unhealthy and not repaired, because too many are: {} of {}",
            one.unhealthy, one.nodes
        );
        say(&one.claim, "NodeRepairBlocked", note);
    }
    all
}

/// What is to be told of a NodeClaim of which something new is said.
pub(crate) fn of_due(due: &Due, book: &Book) -> Option<Told> {
    let is_inconsistent = |said: &&whittle_core::lifecycle::standing::Said| {
        said.topic == Topic::ConsistentStateFound && said.is_so == Some(false)
    };
    let said = due.standing.conditions.iter().find(is_inconsistent)?;
    let about = Subject::claim(&due.name, book);
    Some(told(about, Weight::Warning, "FailedConsistencyCheck", said.message.clone()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use whittle_core::lifecycle::standing::Said;
    use whittle_core::model::fingerprint::{Fingerprint, MadeFrom};
    use whittle_core::model::time::Duration;

    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn conditions_come_and_go_and_the_last_pod_event_goes_forward_only() {
        let mut status = NodeClaimStatus::default();
        let said = Said {
            topic: Topic::Drained,
            is_so: None,
            reason: "Draining",
            message: "2 pods have to leave".to_owned(),
        };
        let drained = Standing {
            conditions: vec![said],
            absent: vec![Topic::Drifted],
            last_pod_event: Some(at(10)),
            ..Standing::default()
        };
        set(&mut status.conditions, "Drifted", ("True", "NodePoolDrifted", ""), at(1));
        set(&mut status.conditions, "Ready", ("True", "Ready", ""), at(1));
        write_status(&mut status, &drained, at(2));
        let words: Vec<String> = status
            .conditions
            .iter()
            .map(|one| format!("{}={} {}: {}", one.type_, one.status, one.reason, one.message))
            .collect();
        assert_eq!(words, ["Ready=True Ready: ", "Drained=Unknown Draining: 2 pods have to leave"]);
        assert_eq!(status.last_pod_event_time, Some(conditions::time(at(10))));
        let before = status.clone();
        write_status(&mut status, &Standing { last_pod_event: Some(at(9)), ..drained }, at(3));
        assert_eq!(status, before, "what is said already is not said anew");
    }

    #[test]
    fn the_end_of_a_drain_is_never_put_off_and_fingerprints_are_said_anew() {
        let claim = |annotations: Value| -> NodeClaim {
            let reference =
                json!({ "group": "karpenter.k8s.aws", "kind": "EC2NodeClass", "name": "default" });
            let spec = json!({ "requirements": [], "nodeClassRef": reference });
            let metadata = json!({ "name": "a", "resourceVersion": "7", "annotations": annotations });
            serde_json::from_value(json!({ "metadata": metadata, "spec": spec })).unwrap()
        };
        let print = Some(Fingerprint { version: "v".into(), hash: "h".into() });
        let made_from = MadeFrom { node_pool: print, node_class: None };
        let standing = Standing { terminate_by: Some(at(60)), made_from, ..Standing::default() };
        let wanted = json!({
            "karpenter.sh/nodepool-hash": "h",
            "karpenter.sh/nodepool-hash-version": "v",
            "karpenter.sh/nodeclaim-termination-timestamp": "1970-01-01T00:01:00Z",
        });
        let patch = json!({ "metadata": { "resourceVersion": "7", "annotations": wanted } });
        assert_eq!(annotated(&claim(json!({})), &standing), Some(patch));
        assert_eq!(annotated(&claim(wanted.clone()), &standing), None);
        let mut earlier = wanted;
        earlier["karpenter.sh/nodeclaim-termination-timestamp"] = json!("1970-01-01T00:00:59Z");
        assert_eq!(annotated(&claim(earlier), &standing), None);
    }
}
