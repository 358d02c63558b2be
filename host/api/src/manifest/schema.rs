//! The schemas of all kinds that are read: of the custom resources from their CRDs, of the others from `k8s-openapi`.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, ReplicaSet, StatefulSet};
use k8s_openapi::api::batch::v1::{CronJob, Job};
use k8s_openapi::api::core::v1::{Namespace, Node, PersistentVolume, PersistentVolumeClaim, Pod, Service};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::scheduling::v1::PriorityClass;
use k8s_openapi::api::storage::v1::{CSINode, StorageClass};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use schemars::SchemaGenerator;
use serde_json::{Map, Value, json};

use crate::crds::crds;

/// All schemas, and what they refer to.
pub(super) struct Schemas {
    kinds: BTreeMap<&'static str, Value>,
    definitions: Map<String, Value>,
}

/// Made once: the schemas of pods are large.
pub(super) static SCHEMAS: LazyLock<Schemas> = LazyLock::new(Schemas::new);

impl Schemas {
    fn new() -> Self {
        let mut generator = SchemaGenerator::default();
        let mut kinds = BTreeMap::from([
            ("CSINode", generator.subschema_for::<CSINode>().to_value()),
            ("CronJob", generator.subschema_for::<CronJob>().to_value()),
            ("DaemonSet", generator.subschema_for::<DaemonSet>().to_value()),
            ("Deployment", generator.subschema_for::<Deployment>().to_value()),
            ("Job", generator.subschema_for::<Job>().to_value()),
            ("Namespace", generator.subschema_for::<Namespace>().to_value()),
            ("Node", generator.subschema_for::<Node>().to_value()),
            ("PersistentVolume", generator.subschema_for::<PersistentVolume>().to_value()),
            ("PersistentVolumeClaim", generator.subschema_for::<PersistentVolumeClaim>().to_value()),
            ("Pod", generator.subschema_for::<Pod>().to_value()),
            ("PodDisruptionBudget", generator.subschema_for::<PodDisruptionBudget>().to_value()),
            ("PriorityClass", generator.subschema_for::<PriorityClass>().to_value()),
            ("ReplicaSet", generator.subschema_for::<ReplicaSet>().to_value()),
            ("Service", generator.subschema_for::<Service>().to_value()),
            ("StatefulSet", generator.subschema_for::<StatefulSet>().to_value()),
            ("StorageClass", generator.subschema_for::<StorageClass>().to_value()),
        ]);
        let metadata = generator.subschema_for::<ObjectMeta>().to_value();
        for (kind, crd) in ["NodePool", "NodeClaim", "EC2NodeClass"].into_iter().zip(crds()) {
            kinds.insert(kind, custom(crd, &metadata));
        }
        Self { kinds, definitions: generator.take_definitions(true) }
    }

    /// The schema of a kind.
    pub(super) fn of(&self, kind: &str) -> Option<&Value> {
        self.kinds.get(kind)
    }

    /// The schema that `schema` refers to, and its name; `schema` itself when it refers to none.
    pub(super) fn resolved<'a>(&'a self, schema: &'a Value) -> (&'a Value, &'a str) {
        let in_all_of = || schema.get("allOf").and_then(|all| all.get(0)).and_then(|one| one.get("$ref"));
        let reference = schema.get("$ref").or_else(in_all_of).and_then(Value::as_str);
        let name = reference.and_then(|reference| reference.rsplit('/').next()).unwrap_or_default();
        (self.definitions.get(name).unwrap_or(schema), name)
    }
}

/// The schema of a custom resource with what every object has, which a CRD leaves out.
fn custom(
    crd: k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
    metadata: &Value,
) -> Value {
    let version = crd.spec.versions.into_iter().next();
    let schema = version.and_then(|version| version.schema).and_then(|schema| schema.open_api_v3_schema);
    let mut schema = serde_json::to_value(schema).unwrap_or_default();
    if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
        properties.insert("apiVersion".to_owned(), json!({ "type": "string" }));
        properties.insert("kind".to_owned(), json!({ "type": "string" }));
        properties.insert("metadata".to_owned(), metadata.clone());
    }
    schema
}
