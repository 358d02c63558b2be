//! How much a pod asks for.
//!
//! Source: Kubernetes' `PodRequests` (KEP-753 for sidecars, KEP-2837 for resources of the pod as a whole, KEP-688
//! for overhead, KEP-1287 for resizing).

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1 as k8s;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use whittle_core::model::resources::{CPU, MEMORY, Resources};

use crate::problem::{At, Defect};
use crate::quantity::{self, resources};

/// What the scheduler reserves for a pod, `pods: 1` included.
///
/// Containers run side by side and add up. Init containers run one after another before them, each beside the
/// sidecars that were started earlier, so the largest of those sums counts when it exceeds the containers'. Limits
/// count as requests where requests are absent.
pub(crate) fn effective(spec: &k8s::PodSpec, at: &At<'_>, defects: &mut Vec<Defect>) -> Resources {
    let containers_at = at.key("containers");
    let mut running = Resources::default();
    for (position, container) in spec.containers.iter().enumerate() {
        running = running.plus(&container_requests(container, &containers_at.index(position), defects));
    }
    let init_at = at.key("initContainers");
    let (mut sidecars, mut starting) = (Resources::default(), Resources::default());
    for (position, container) in spec.init_containers.iter().flatten().enumerate() {
        let requests = container_requests(container, &init_at.index(position), defects);
        if is_sidecar(container) {
            sidecars = sidecars.plus(&requests);
            starting = Resources::max(&starting, &sidecars);
        } else {
            starting = Resources::max(&starting, &sidecars.plus(&requests));
        }
    }
    let of_containers = Resources::max(&running.plus(&sidecars), &starting);
    let mut total = of_pod(spec, of_containers, &at.key("resources"), defects);
    total = total.plus(&resources(spec.overhead.as_ref(), &at.key("overhead"), defects));
    total.pods = 1;
    total
}

/// What a live pod holds: while it is resized, the larger of what it asks for and what it has.
pub(crate) fn resized(asked: &Resources, spec: &k8s::PodSpec, status: Option<&k8s::PodStatus>) -> Resources {
    let statuses = status.into_iter().flat_map(|status| {
        let sidecars = status.init_container_statuses.iter().flatten();
        status.container_statuses.iter().flatten().chain(sidecars)
    });
    let allocated: BTreeMap<&str, &BTreeMap<String, Quantity>> =
        statuses.filter_map(|one| Some((one.name.as_str(), one.allocated_resources.as_ref()?))).collect();
    if allocated.is_empty() {
        return asked.clone();
    }
    let mut grown = spec.clone();
    let sidecars = grown.init_containers.iter_mut().flatten().filter(|container| is_sidecar(container));
    for container in grown.containers.iter_mut().chain(sidecars) {
        let Some(held) = allocated.get(container.name.as_str()) else { continue };
        let resources = container.resources.get_or_insert_default();
        let mut larger = with_limits(resources);
        for (name, held) in held.iter() {
            let amount = |quantity: &Quantity| quantity::amount(name, quantity);
            if larger.get(name).and_then(amount) < amount(held) {
                larger.insert(name.clone(), held.clone());
            }
        }
        resources.requests = Some(larger);
    }
    // Quantities of a status come from the kubelet; one that cannot be read changes nothing.
    Resources::max(asked, &effective(&grown, &At::Root, &mut Vec::new()))
}

/// Whether an init container keeps running beside the containers.
pub(crate) fn is_sidecar(container: &k8s::Container) -> bool {
    container.restart_policy.as_deref() == Some("Always")
}

fn container_requests(container: &k8s::Container, at: &At<'_>, defects: &mut Vec<Defect>) -> Resources {
    requests_of(container.resources.as_ref(), &at.key("resources"), defects)
}

fn requests_of(
    wanted: Option<&k8s::ResourceRequirements>,
    at: &At<'_>,
    defects: &mut Vec<Defect>,
) -> Resources {
    let Some(wanted) = wanted else { return Resources::default() };
    let mut requests = resources(wanted.requests.as_ref(), &at.key("requests"), defects);
    let limits = resources(wanted.limits.as_ref(), &at.key("limits"), defects);
    for (name, limit) in limits.iter() {
        if !wanted.requests.as_ref().is_some_and(|requests| requests.contains_key(name)) {
            requests.set(name, limit);
        }
    }
    requests
}

/// The requests with limits where requests are absent, still as quantities.
fn with_limits(wanted: &k8s::ResourceRequirements) -> BTreeMap<String, Quantity> {
    let mut requests = wanted.limits.clone().unwrap_or_default();
    requests.extend(wanted.requests.clone().unwrap_or_default());
    requests
}

/// What is said for the pod as a whole replaces the containers' sum, for the resources that may be said so. A limit
/// of the pod counts as its request where no container says anything.
fn of_pod(
    spec: &k8s::PodSpec,
    of_containers: Resources,
    at: &At<'_>,
    defects: &mut Vec<Defect>,
) -> Resources {
    let Some(wanted) = &spec.resources else { return of_containers };
    let mut total = of_containers;
    let requests = resources(wanted.requests.as_ref(), &at.key("requests"), defects);
    let limits = resources(wanted.limits.as_ref(), &at.key("limits"), defects);
    for name in wanted.requests.iter().flatten().map(|(name, _)| name).filter(|name| may_be_said_of_pod(name))
    {
        total.set(name, requests.get(name));
    }
    for (name, limit) in limits.iter().filter(|(name, _)| may_be_said_of_pod(name)) {
        let said = wanted.requests.as_ref().is_some_and(|requests| requests.contains_key(name));
        if !said && total.get(name) == 0 {
            total.set(name, limit);
        }
    }
    total
}

fn may_be_said_of_pod(name: &str) -> bool {
    name == CPU || name == MEMORY || name.starts_with("hugepages-")
}
