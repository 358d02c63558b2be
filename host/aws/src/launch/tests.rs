use std::collections::BTreeMap;

use aws_sdk_ec2::types as ec2;
use whittle_core::model::fingerprint::MadeFrom;
use whittle_core::model::instance_type::CapacityType;
use whittle_core::model::price::Price;
use whittle_core::model::resources::Resources;

use super::answer::shared_out;
use super::request::request;
use super::*;

/// A NodeClaim that asks for nothing.
pub(super) fn claim(node_pool: &str, name: &str) -> NodeClaim {
    NodeClaim {
        name: name.to_owned(),
        node_pool: node_pool.to_owned(),
        node_class: "default".to_owned(),
        labels: BTreeMap::new(),
        requirements: Vec::new(),
        min_values_relaxed: false,
        taints: Vec::new(),
        startup_taints: Vec::new(),
        requests: Resources::default(),
        instance: None,
        node: None,
        created: Timestamp::EPOCH,
        registered: None,
        initialized: None,
        last_pod_event: None,
        deleting: None,
        expire_after: None,
        termination_grace_period: None,
        do_not_disrupt: false,
        made_from: MadeFrom::default(),
        drifted: None,
        disrupted: None,
        terminate_by: None,
    }
}
