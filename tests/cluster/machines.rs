//! Machines that join the cluster, as the kubelet of an EC2 instance would bring them: a Node with its provider id, its
//! labels, what it holds, and the taint that marks it until Karpenter knows it. kwok does the rest.

use anyhow::Result;
use k8s_openapi::api::core::v1::Node;
use kube_client::Client;
use kube_client::api::{Api, PostParams};
use serde_json::{Value, from_value, json};

use crate::shared::until;

/// The taint that a kubelet registers with when Karpenter has launched its instance.
pub(crate) const UNREGISTERED: &str = "karpenter.sh/unregistered";

/// An instance that has booted.
pub(crate) struct Machine {
    pub(crate) name: &'static str,
    pub(crate) instance_type: &'static str,
    pub(crate) zone: &'static str,
    /// What pods can have of it.
    pub(crate) cpu: &'static str,
    pub(crate) memory: &'static str,
    /// The keys of `NoExecute` taints that it registers with.
    pub(crate) taints: &'static [&'static str],
}

/// The provider id of a machine: that of an EC2 instance, made from its name.
pub(crate) fn provider_id(machine: &Machine) -> String {
    format!("aws:///{}/i-{}", machine.zone, machine.name)
}

/// Has a machine join, and returns its Node when it is ready.
pub(crate) async fn join(client: &Client, machine: &Machine) -> Result<Node> {
    let nodes = Api::<Node>::all(client.clone());
    nodes.create(&PostParams::default(), &from_value(node(machine))?).await?;
    until(&format!("{} is ready", machine.name), async || {
        let node = nodes.get(machine.name).await?;
        Ok(is_usable(&node).then_some(node))
    })
    .await
}

/// Whether the node is ready and the controller manager has taken away the taint of one that is not.
fn is_usable(node: &Node) -> bool {
    let mut conditions = node.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let ready = conditions.any(|condition| condition.type_ == "Ready" && condition.status == "True");
    let mut taints = node.spec.iter().flat_map(|spec| spec.taints.iter().flatten());
    ready && !taints.any(|taint| taint.key == "node.kubernetes.io/not-ready")
}

fn node(machine: &Machine) -> Value {
    let taints: Vec<Value> =
        machine.taints.iter().map(|key| json!({ "key": key, "effect": "NoExecute" })).collect();
    let holds =
        json!({ "cpu": machine.cpu, "memory": machine.memory, "pods": "110", "ephemeral-storage": "20Gi" });
    json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": machine.name,
            "labels": {
                "kubernetes.io/arch": "amd64",
                "kubernetes.io/os": "linux",
                "kubernetes.io/hostname": machine.name,
                "node.kubernetes.io/instance-type": machine.instance_type,
                "topology.kubernetes.io/zone": machine.zone,
            },
        },
        "spec": { "providerID": provider_id(machine), "taints": taints },
        "status": { "capacity": holds, "allocatable": holds },
    })
}
