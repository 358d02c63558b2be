//! A directory of manifests as the objects of a world.
//!
//! Every object goes the way that it goes in a real cluster: through `whittle-api` into the core's words. Nothing is
//! repaired here: what is wrong comes back as problems, all at once.

mod workloads;

use std::collections::BTreeMap;
use std::sync::Arc;

use whittle_api::convert;
use whittle_api::convert::pod::{Priorities, namespace};
use whittle_api::convert::siblings::Siblings;
use whittle_api::convert::volume::{Volumes, csi_name, volume_limits};
use whittle_api::manifest::{File, Loaded, Manifests, parse};
use whittle_api::problem::{Defect, Problem};
use whittle_catalog::catalog::Catalog;
use whittle_core::model::node_pool::VolumeBinding;
use whittle_core::model::pod::PodSpec;
use whittle_core::model::price::Price;
use whittle_core::model::requirement::{Operator, Requirement};
use whittle_core::model::time::{Duration, Timestamp};

use crate::classes;
use crate::input::{Amount, BudgetRule, BudgetSpec, ClaimSpec, Objects, StorageClass};

/// Where objects are read for.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) catalog: Catalog,
    pub(crate) region: String,
    /// The zones that there are; `None` for all of the region.
    pub(crate) zones: Option<Vec<String>>,
    /// How many instances each capacity reservation has, by id.
    pub(crate) reserved: BTreeMap<String, u32>,
    /// How long a Job's pod runs that does not say.
    pub(crate) job_run: Duration,
    /// What objects without a time of creation are given.
    pub(crate) start: Timestamp,
    /// Whether somebody wants to know which pods stand for the same thing.
    pub(crate) counts_siblings: bool,
}

/// The objects of these files.
pub(crate) fn objects(files: &[File], place: &Place, problems: &mut Vec<Problem>) -> Objects {
    let mut manifests = parse(files);
    problems.append(&mut manifests.problems);
    let reader = Reader::new(&manifests, place);
    let mut objects = Objects::default();
    reader.cluster(&mut objects, problems);
    reader.nodes(&mut objects, problems);
    reader.workloads(&mut objects, problems);
    objects
}

/// What one object needs to know about the others.
struct Reader<'a> {
    manifests: &'a Manifests,
    place: &'a Place,
    priorities: Priorities,
    siblings: Siblings,
}

impl<'a> Reader<'a> {
    fn new(manifests: &'a Manifests, place: &'a Place) -> Self {
        let classes: Vec<_> = manifests.priority_classes.iter().map(|loaded| loaded.object.clone()).collect();
        let mut siblings = Siblings::default();
        if place.counts_siblings {
            manifests.services.iter().for_each(|loaded| siblings.add_service(&loaded.object));
            manifests.deployments.iter().for_each(|loaded| siblings.add_deployment(&loaded.object));
            manifests.replica_sets.iter().for_each(|loaded| siblings.add_replica_set(&loaded.object));
            manifests.stateful_sets.iter().for_each(|loaded| siblings.add_stateful_set(&loaded.object));
        }
        Self { manifests, place, priorities: Priorities::new(&classes), siblings }
    }

    /// The same pods, with whom they stand for the same thing together.
    fn among_siblings(&self, mut pods: Arc<PodSpec>) -> Arc<PodSpec> {
        if let Some(siblings) = self.siblings.of(&pods) {
            Arc::make_mut(&mut pods).siblings = Some(siblings);
        }
        pods
    }

    /// What is not about nodes or pods alone.
    fn cluster(&self, objects: &mut Objects, problems: &mut Vec<Problem>) {
        for loaded in &self.manifests.namespaces {
            let name = loaded.object.metadata.name.clone().unwrap_or_default();
            let mut labels = loaded.object.metadata.labels.clone().unwrap_or_default();
            labels.insert("kubernetes.io/metadata.name".to_owned(), name.clone());
            objects.namespaces.insert(name, labels);
        }
        for loaded in &self.manifests.storage_classes {
            let name = loaded.object.metadata.name.clone().unwrap_or_default();
            objects.storage_classes.insert(name, storage_class(&loaded.object));
        }
        self.volume_claims(objects);
        for loaded in &self.manifests.csi_nodes {
            objects.volume_limits.extend(taken(volume_limits(&loaded.object), loaded, problems));
        }
        for loaded in &self.manifests.pod_disruption_budgets {
            let Some((budget, rule)) =
                taken(convert::budget::pod_disruption_budget(&loaded.object), loaded, problems)
            else {
                continue;
            };
            let rule = match (rule.min_available, rule.max_unavailable) {
                (Some(least), _) => BudgetRule::MinAvailable(amount(least)),
                (None, Some(most)) => BudgetRule::MaxUnavailable(amount(most)),
                // A budget without a rule allows nothing, as Kubernetes has it.
                (None, None) => BudgetRule::MaxUnavailable(Amount::Count(0)),
            };
            let spec = BudgetSpec {
                selector: budget.selector,
                rule,
                always_allow_unready: budget.always_allow_unready,
            };
            objects.budgets.insert((budget.namespace, budget.name), spec);
        }
    }

    fn volume_claims(&self, objects: &mut Objects) {
        let classes: Vec<_> = self.manifests.storage_classes.iter().map(|l| l.object.clone()).collect();
        let volumes: Vec<_> = self.manifests.persistent_volumes.iter().map(|l| l.object.clone()).collect();
        let known = Volumes::new(&volumes, &classes);
        for loaded in &self.manifests.persistent_volume_claims {
            let claim = convert::volume::volume_claim(&loaded.object, &known);
            let spec = loaded.object.spec.as_ref();
            let is_bound =
                spec.and_then(|spec| spec.volume_name.as_ref()).is_some_and(|name| !name.is_empty());
            let waits_for_pod = !is_bound && matches!(claim.binding, VolumeBinding::Nodes(_));
            let key = (claim.namespace.clone(), claim.name.clone());
            objects.volume_claims.insert(key, ClaimSpec { claim, waits_for_pod });
        }
    }

    /// NodePools and what they launch, and what is running.
    fn nodes(&self, objects: &mut Objects, problems: &mut Vec<Problem>) {
        for loaded in &self.manifests.node_pools {
            if let Some(pool) = taken(convert::node_pool::node_pool(&loaded.object), loaded, problems) {
                objects.node_pools.insert(pool.name.clone(), pool);
            }
        }
        for loaded in &self.manifests.node_classes {
            let settings = convert::node_class::node_class_settings(&loaded.object);
            if let Some(settings) = taken(settings, loaded, problems) {
                let class = classes::node_class(&settings, self.place);
                objects.node_classes.insert(class.name.clone(), class);
            }
        }
        for loaded in &self.manifests.node_claims {
            let claim = convert::node_claim::node_claim(&loaded.object);
            if let Some(mut claim) = taken(claim, loaded, problems) {
                self.price(&mut claim);
                objects.node_claims.insert(claim.name.clone(), claim);
            }
        }
        for loaded in &self.manifests.nodes {
            if let Some(node) = taken(convert::node::node(&loaded.object), loaded, problems) {
                objects.nodes.insert(node.name.clone(), node);
            }
        }
    }

    /// Kubernetes does not know what an instance costs; the catalogue does.
    fn price(&self, claim: &mut whittle_core::model::node::NodeClaim) {
        use whittle_core::model::instance_type::CapacityType;
        let Some(instance) = &mut claim.instance else { return };
        let (catalog, region) = (&self.place.catalog, self.place.region.as_str());
        let (kind, zone) = (instance.instance_type.as_str(), instance.zone.as_str());
        let quote = match instance.capacity_type {
            CapacityType::Spot => catalog.spot_price(region, kind, zone),
            CapacityType::OnDemand => catalog.on_demand_price(region, kind, zone),
            CapacityType::Reserved => catalog.reserved_price(region, kind, zone),
        };
        instance.price = quote.map_or(Price::ZERO, |quote| quote.price);
    }
}

/// What a conversion gives, or its defects as problems.
fn taken<T, L>(result: Result<T, Vec<Defect>>, loaded: &Loaded<L>, problems: &mut Vec<Problem>) -> Option<T> {
    match result {
        Ok(converted) => Some(converted),
        Err(defects) => {
            problems.extend(defects.into_iter().map(|defect| loaded.problem(defect)));
            None
        }
    }
}

fn amount(of: convert::budget::CountOrPercent) -> Amount {
    match of {
        convert::budget::CountOrPercent::Count(count) => Amount::Count(u64::from(count)),
        convert::budget::CountOrPercent::Percent(percent) => Amount::Percent(u64::from(percent)),
    }
}

fn storage_class(class: &k8s_openapi::api::storage::v1::StorageClass) -> StorageClass {
    let annotations: BTreeMap<String, String> = class.metadata.annotations.clone().unwrap_or_default();
    let topologies = class.allowed_topologies.iter().flatten().map(|term| {
        let expressions = term.match_label_expressions.iter().flatten();
        expressions.map(|one| Requirement::new(one.key.clone(), Operator::In, one.values.clone())).collect()
    });
    StorageClass {
        waits_for_pod: class.volume_binding_mode.as_deref() == Some("WaitForFirstConsumer"),
        topologies: topologies.collect(),
        is_default: annotations.get("storageclass.kubernetes.io/is-default-class").map(String::as_str)
            == Some("true"),
        driver: csi_name(&class.provisioner).map(str::to_owned),
    }
}

/// The namespace of an object, and its name.
fn key_of(metadata: &k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta) -> (String, String) {
    (namespace(metadata).to_owned(), metadata.name.clone().unwrap_or_default())
}
