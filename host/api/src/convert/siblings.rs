//! Which pods stand for the same thing: by the Services that select a pod, and by the workload that makes it.
//!
//! kube-scheduler deduces the selector of its default spreads so (`helper.DefaultSelector`). ReplicationControllers
//! are not read. A Deployment stands for its ReplicaSets here, so the label by which these differ is added.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet, StatefulSet};
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::apimachinery::pkg::apis::meta::v1 as meta;
use whittle_core::model::pod::{LabelSelector, PodSpec};
use whittle_core::model::requirement::Requirement;

use super::pod::{POD_TEMPLATE_HASH, namespace, owner};
use super::requirement::label_selector;
use crate::problem::At;

/// Everything that selects pods.
#[derive(Clone, Debug, Default)]
pub struct Siblings {
    /// The labels that each Service asks for, by namespace.
    services: BTreeMap<String, Vec<BTreeMap<String, String>>>,
    /// The selectors of workloads, by kind, namespace and name.
    workloads: BTreeMap<(String, String, String), LabelSelector>,
}

impl Siblings {
    /// A Service selects pods.
    pub fn add_service(&mut self, service: &Service) {
        let selector = service.spec.as_ref().and_then(|spec| spec.selector.clone()).unwrap_or_default();
        // A Service without a selector has its endpoints from somebody else.
        if !selector.is_empty() {
            self.services.entry(namespace(&service.metadata).to_owned()).or_default().push(selector);
        }
    }

    /// A Deployment selects pods.
    pub fn add_deployment(&mut self, deployment: &Deployment) {
        let selector = deployment.spec.as_ref().map(|spec| &spec.selector);
        self.add("Deployment", &deployment.metadata, selector);
    }

    /// A StatefulSet selects pods.
    pub fn add_stateful_set(&mut self, set: &StatefulSet) {
        self.add("StatefulSet", &set.metadata, set.spec.as_ref().map(|spec| &spec.selector));
    }

    /// A ReplicaSet selects pods. One that a Deployment made says nothing that the Deployment does not.
    pub fn add_replica_set(&mut self, set: &ReplicaSet) {
        if owner(&set.metadata).is_none() {
            self.add("ReplicaSet", &set.metadata, set.spec.as_ref().map(|spec| &spec.selector));
        }
    }

    fn add(&mut self, kind: &str, metadata: &meta::ObjectMeta, selector: Option<&meta::LabelSelector>) {
        let key =
            (kind.to_owned(), namespace(metadata).to_owned(), metadata.name.clone().unwrap_or_default());
        // What is wrong with a selector is told where the workload is read.
        let selector = selector.map(|one| label_selector(one, &At::Root, &mut Vec::new()));
        self.workloads.extend(selector.map(|selector| (key, selector)));
    }

    /// The pods that stand for the same thing as these; `None` where nobody selects them.
    #[must_use]
    pub fn of(&self, pods: &PodSpec) -> Option<LabelSelector> {
        let services = self.services.get(&pods.namespace).into_iter().flatten();
        let selects = |labels: &&BTreeMap<String, String>| {
            labels.iter().all(|(key, value)| pods.labels.get(key) == Some(value))
        };
        let of_services: BTreeMap<&String, &String> = services.filter(selects).flatten().collect();
        let mut requirements: Vec<Requirement> =
            of_services.into_iter().map(|(key, value)| Requirement::equals(key, value)).collect();
        let workload = pods.owner.as_ref().and_then(|owner| {
            let key = (owner.kind.clone(), pods.namespace.clone(), owner.name.clone());
            self.workloads.get(&key)
        });
        if let Some(selector) = workload {
            requirements.extend(selector.requirements.iter().cloned());
            let hash = pods.labels.get(POD_TEMPLATE_HASH);
            requirements.extend(hash.map(|hash| Requirement::equals(POD_TEMPLATE_HASH, hash)));
        }
        requirements.sort();
        requirements.dedup();
        (!requirements.is_empty()).then_some(LabelSelector { requirements })
    }
}
