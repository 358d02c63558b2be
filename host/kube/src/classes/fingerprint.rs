//! The fingerprint of each EC2NodeClass, written on it for whoever looks at it.

use kube_client::api::Patch;
use kube_client::{Api, Client};
use serde_json::json;
use whittle_api::convert::fingerprint;
use whittle_api::node_class::Ec2NodeClass;
use whittle_core::model::fingerprint::Fingerprint;
use whittle_core::model::labels::{NODE_CLASS_HASH, NODE_CLASS_HASH_VERSION};

use crate::cluster::merge;
use crate::error::{message, unless_gone};

/// Writes the fingerprint of a class on it, if it is not there.
pub(crate) async fn publish(client: &Client, name: &str, print: &Fingerprint) -> Result<(), String> {
    let classes: Api<Ec2NodeClass> = Api::all(client.clone());
    let class = match classes.get_opt(name).await {
        Ok(Some(class)) => class,
        Ok(None) => return Ok(()),
        Err(error) => return Err(message(&error)),
    };
    let keys = (NODE_CLASS_HASH, NODE_CLASS_HASH_VERSION);
    if fingerprint::read(&class.metadata, keys).as_ref() == Some(print) {
        return Ok(());
    }
    let annotations = json!({ NODE_CLASS_HASH: print.hash, NODE_CLASS_HASH_VERSION: print.version });
    let patch = json!({ "metadata": { "annotations": annotations } });
    unless_gone(classes.patch(name, &merge(), &Patch::Merge(patch)).await)
}
