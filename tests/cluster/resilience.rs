//! A control plane whose parts fail and come back, each test with one of its own.

use std::sync::Arc;

use anyhow::Result;
use k8s_openapi::api::core::v1::Namespace;
use kube_client::api::{Api, PostParams};
use libtest_mimic::Trial;
use serde_json::{from_value, json};
use whittle_control_plane::component::Component;

use crate::shared::{Shared, block_on, client, failed, start};

pub(crate) fn trials(_: &Arc<Shared>) -> Vec<Trial> {
    vec![Trial::test("an_api_server_that_comes_back_has_what_it_had", || comes_back().map_err(failed))]
}

fn comes_back() -> Result<()> {
    let mut plane = start()?;
    let kubeconfig = plane.kubeconfig();
    let before = plane.processes();
    let namespace = block_on(async {
        let namespaces = Api::<Namespace>::all(client(&kubeconfig).await?);
        let wanted = from_value(json!({ "metadata": { "name": "kept" } }))?;
        Ok(namespaces.create(&PostParams::default(), &wanted).await?)
    })?;
    plane.stop(Component::ApiServer)?;
    let unreachable =
        block_on(async { Ok(Api::<Namespace>::all(client(&kubeconfig).await?).get("kept").await.is_err()) })?;
    assert!(unreachable, "nobody listens");
    plane.start_again(Component::ApiServer)?;
    let after = block_on(async { Ok(Api::<Namespace>::all(client(&kubeconfig).await?).get("kept").await?) })?;
    assert_eq!(after.metadata.uid, namespace.metadata.uid);
    let same: Vec<Component> = before
        .iter()
        .filter(|process| plane.processes().contains(process))
        .map(|(component, _)| *component)
        .collect();
    let others = [Component::Etcd, Component::ControllerManager, Component::Scheduler, Component::Kwok];
    assert_eq!(same, others, "the others were left alone");
    Ok(())
}
