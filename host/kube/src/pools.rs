//! The status of NodePools: what their nodes have together, and whether they are valid and their class ready.

use std::collections::BTreeMap;

use kube_client::api::Patch;
use kube_client::{Api, Client};
use serde_json::{Value, json};
use whittle_api::conditions::NODE_REGISTRATION_HEALTHY;
use whittle_api::convert::fingerprint;
use whittle_api::node_pool::{NodePool, NodePoolStatus};
use whittle_api::quantity::{quantities, quantity};
use whittle_core::model::fingerprint::Fingerprint;
use whittle_core::model::labels::{NODE_POOL_HASH, NODE_POOL_HASH_VERSION};
use whittle_core::model::node_pool as core;
use whittle_core::model::time::Timestamp;
use whittle_core::state::Snapshot;

use crate::cluster::{merge, post};
use crate::error::{message, unless_gone};
use crate::patch::set;

/// What is to be said of a NodePool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    /// What its nodes have together, by Kubernetes' names and in its words, `nodes` among them.
    resources: BTreeMap<String, String>,
    nodes: u64,
    /// Why its class is not ready: a reason in one word, and in a sentence.
    class: Result<(), (&'static str, String)>,
    /// Why it is not valid.
    valid: Result<(), String>,
    /// Whether its nodes join, as far as that is known.
    registers: Option<bool>,
    /// The fingerprint of its template.
    fingerprint: Option<Fingerprint>,
}

/// How a NodePool stands.
pub(crate) fn standing(pool: &core::NodePool, snapshot: &Snapshot, registers: Option<bool>) -> Standing {
    let (used, nodes) = snapshot.used_of_pool(&pool.name);
    let mut resources: BTreeMap<String, String> =
        quantities(&used).into_iter().map(|(name, amount)| (name, amount.0)).collect();
    resources.insert(core::NODES.to_owned(), quantity(core::NODES, nodes).0);
    let class = match snapshot.node_classes.get(&pool.node_class) {
        None => Err(("NodeClassNotFound", format!("EC2NodeClass {} does not exist", pool.node_class))),
        Some(class) if !class.ready => {
            Err(("NodeClassNotReady", format!("EC2NodeClass {} is not ready", pool.node_class)))
        }
        Some(_) => Ok(()),
    };
    Standing { resources, nodes, class, valid: Ok(()), registers, fingerprint: Some(pool.fingerprint()) }
}

/// How a NodePool stands that cannot be understood.
pub(crate) fn invalid(why: String) -> Standing {
    let class = Err(("NodeClassReadinessUnknown", String::new()));
    Standing {
        resources: BTreeMap::new(),
        nodes: 0,
        class,
        valid: Err(why),
        registers: None,
        fingerprint: None,
    }
}

/// Writes how a NodePool stands into its status.
fn write(status: &mut NodePoolStatus, standing: &Standing, now: Timestamp) {
    let conditions = &mut status.conditions;
    let valid = match &standing.valid {
        Ok(()) => ("True", "ValidationSucceeded", ""),
        Err(why) => ("False", "NodePoolValidationFailed", why.as_str()),
    };
    set(conditions, "ValidationSucceeded", valid, now);
    let ready = match (&standing.valid, &standing.class) {
        (Ok(()), Ok(())) => ("True", "Ready", ""),
        (Err(why), _) => ("False", "NodePoolValidationFailed", why.as_str()),
        (Ok(()), Err((reason, why))) => ("False", *reason, why.as_str()),
    };
    if standing.valid.is_ok() {
        let class = match &standing.class {
            Ok(()) => ("True", "NodeClassReady", ""),
            Err((reason, why)) => ("False", *reason, why.as_str()),
        };
        set(conditions, "NodeClassReady", class, now);
        let resources = standing.resources.iter();
        let quantity = k8s_openapi::apimachinery::pkg::api::resource::Quantity;
        status.resources =
            Some(resources.map(|(name, amount)| (name.clone(), quantity(amount.clone()))).collect());
        let registers = match standing.registers {
            Some(true) => ("True", NODE_REGISTRATION_HEALTHY),
            Some(false) => ("False", "RegistrationFailed"),
            None => ("Unknown", "AwaitingReconciliation"),
        };
        set(conditions, NODE_REGISTRATION_HEALTHY, (registers.0, registers.1, ""), now);
        status.nodes = i64::try_from(standing.nodes).unwrap_or(i64::MAX);
    }
    set(&mut status.conditions, whittle_api::conditions::READY, ready, now);
}

/// Writes how a NodePool stands, if it does not say so already.
pub(crate) async fn publish(
    client: &Client,
    name: &str,
    standing: &Standing,
    now: Timestamp,
) -> Result<(), String> {
    let pools: Api<NodePool> = Api::all(client.clone());
    let mut pool = match pools.get_opt(name).await {
        Ok(Some(pool)) => pool,
        Ok(None) => return Ok(()),
        Err(error) => return Err(message(&error)),
    };
    if let Some(patch) = stamped(&pool, standing) {
        pool = pools.patch(name, &merge(), &Patch::Merge(patch)).await.map_err(|error| message(&error))?;
    }
    let before = pool.status.clone();
    let mut status = before.clone().unwrap_or_default();
    write(&mut status, standing, now);
    if before.as_ref() == Some(&status) {
        return Ok(());
    }
    pool.status = Some(status);
    unless_gone(pools.replace_status(name, &post(), &pool).await)
}

/// The fingerprint as annotations; `None` when it is there.
fn stamped(pool: &NodePool, standing: &Standing) -> Option<Value> {
    let print = standing.fingerprint.as_ref()?;
    let keys = (NODE_POOL_HASH, NODE_POOL_HASH_VERSION);
    (fingerprint::read(&pool.metadata, keys).as_ref() != Some(print)).then(|| {
        let annotations = json!({ NODE_POOL_HASH: print.hash, NODE_POOL_HASH_VERSION: print.version });
        let version = &pool.metadata.resource_version;
        json!({ "metadata": { "resourceVersion": version, "annotations": annotations } })
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use whittle_api::node_pool::NodePoolStatus;
    use whittle_core::model::time::Timestamp;

    use super::{Standing, invalid, write};

    fn words(status: &NodePoolStatus) -> Vec<String> {
        let word = |one: &k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition| {
            format!("{}={} {}", one.type_, one.status, one.reason)
        };
        status.conditions.iter().map(word).collect()
    }

    #[test]
    fn a_pool_is_ready_when_it_is_valid_and_its_class_is_there_and_keeps_its_numbers_while_it_is_not_valid() {
        let mut status = NodePoolStatus::default();
        let resources = BTreeMap::from([("nodes".to_owned(), "2".to_owned())]);
        let ready = Standing {
            resources,
            nodes: 2,
            class: Ok(()),
            valid: Ok(()),
            registers: Some(true),
            fingerprint: None,
        };
        write(&mut status, &ready, Timestamp::EPOCH);
        let expected = [
            "ValidationSucceeded=True ValidationSucceeded",
            "NodeClassReady=True NodeClassReady",
            "NodeRegistrationHealthy=True NodeRegistrationHealthy",
            "Ready=True Ready",
        ];
        assert_eq!(words(&status), expected);

        let missing =
            Standing { registers: Some(false), class: Err(("NodeClassNotFound", String::new())), ..ready };
        write(&mut status, &missing, Timestamp::EPOCH);
        let expected = [
            "ValidationSucceeded=True ValidationSucceeded",
            "NodeClassReady=False NodeClassNotFound",
            "NodeRegistrationHealthy=False RegistrationFailed",
            "Ready=False NodeClassNotFound",
        ];
        assert_eq!(words(&status), expected);

        write(&mut status, &invalid("spec.limits.cpu: …".to_owned()), Timestamp::EPOCH);
        let expected = [
            "ValidationSucceeded=False NodePoolValidationFailed",
            "NodeClassReady=False NodeClassNotFound",
            "NodeRegistrationHealthy=False RegistrationFailed",
            "Ready=False NodePoolValidationFailed",
        ];
        assert_eq!(words(&status), expected);
        assert_eq!(status.nodes, 2);
    }
}
