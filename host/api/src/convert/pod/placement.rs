//! Where a pod may run and would like to: node affinity, spread, affinity to other pods.
//!
//! `matchFields` can only name a node. A new node has no name yet, so a pending pod with `matchFields` is refused, as
//! Karpenter refuses it. A DaemonSet's pods have one each, put there by their controller; it is left out. For
//! every other pod that runs already it becomes a condition on the label `kubernetes.io/hostname`.

use k8s_openapi::api::core::v1 as k8s;
use whittle_core::model::labels;
use whittle_core::model::pod::{
    InclusionPolicy, PodAffinityTerm, Preferred, TopologySpread, WhenUnsatisfiable,
};
use whittle_core::model::requirement::{Operator, Requirement};

use super::Template;
use crate::convert::requirement::{label_selector, node_expressions, quoted};
use crate::names;
use crate::problem::{At, Defect};

/// Where a pod may run and would like to, as the core's `PodSpec` has it.
#[derive(Default)]
pub(super) struct Placement {
    pub(super) node_affinity: Vec<Vec<Requirement>>,
    pub(super) preferred_node_affinity: Vec<Preferred<Vec<Requirement>>>,
    pub(super) topology_spread: Vec<TopologySpread>,
    pub(super) pod_affinity: Vec<PodAffinityTerm>,
    pub(super) pod_anti_affinity: Vec<PodAffinityTerm>,
    pub(super) preferred_pod_affinity: Vec<Preferred<PodAffinityTerm>>,
    pub(super) preferred_pod_anti_affinity: Vec<Preferred<PodAffinityTerm>>,
}

/// What to do with conditions on a node's name.
#[derive(Clone, Copy)]
enum Fields {
    Refuse,
    LeaveOut,
    AsHostname,
}

pub(super) fn placement(template: &Template<'_>, at: &At<'_>, defects: &mut Vec<Defect>) -> Placement {
    let spec = template.spec;
    let fields = match (template.owner, &spec.node_name) {
        (Some(owner), _) if owner.kind == "DaemonSet" => Fields::LeaveOut,
        (_, Some(node)) if !node.is_empty() => Fields::AsHostname,
        _ => Fields::Refuse,
    };
    let selector = node_selector(spec, &at.key("nodeSelector"), defects);
    let affinity = spec.affinity.as_ref();
    let affinity_at = at.key("affinity");
    let node_at = affinity_at.key("nodeAffinity");
    let node = affinity.and_then(|affinity| affinity.node_affinity.as_ref());
    let mut placement = Placement {
        node_affinity: required(node, selector, fields, &node_at, defects),
        topology_spread: spread(spec, &at.key("topologySpreadConstraints"), defects),
        ..Placement::default()
    };
    if let Some(node) = node {
        placement.preferred_node_affinity = preferred(node, fields, &node_at, defects);
    }
    let near = affinity.and_then(|affinity| affinity.pod_affinity.as_ref());
    if let Some(near) = near {
        let at = affinity_at.key("podAffinity");
        let (hard, soft) = (
            &near.required_during_scheduling_ignored_during_execution,
            &near.preferred_during_scheduling_ignored_during_execution,
        );
        placement.pod_affinity = terms(hard.as_deref(), template.namespace, &at, defects);
        placement.preferred_pod_affinity = weighted(soft.as_deref(), template.namespace, &at, defects);
    }
    let far = affinity.and_then(|affinity| affinity.pod_anti_affinity.as_ref());
    if let Some(far) = far {
        let at = affinity_at.key("podAntiAffinity");
        let (hard, soft) = (
            &far.required_during_scheduling_ignored_during_execution,
            &far.preferred_during_scheduling_ignored_during_execution,
        );
        placement.pod_anti_affinity = terms(hard.as_deref(), template.namespace, &at, defects);
        placement.preferred_pod_anti_affinity = weighted(soft.as_deref(), template.namespace, &at, defects);
    }
    placement
}

const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";

fn node_selector(spec: &k8s::PodSpec, at: &At<'_>, defects: &mut Vec<Defect>) -> Vec<Requirement> {
    names::labels(spec.node_selector.as_ref(), at, defects);
    let labels = spec.node_selector.iter().flatten();
    labels.map(|(key, value)| Requirement::equals(labels::normalized(key), value.as_str())).collect()
}

/// Alternatives that each hold the node selector too; none when everything is allowed.
fn required(
    node: Option<&k8s::NodeAffinity>,
    selector: Vec<Requirement>,
    fields: Fields,
    at: &At<'_>,
    defects: &mut Vec<Defect>,
) -> Vec<Vec<Requirement>> {
    let Some(required) =
        node.and_then(|node| node.required_during_scheduling_ignored_during_execution.as_ref())
    else {
        return if selector.is_empty() { Vec::new() } else { vec![selector] };
    };
    let at = at.key(REQUIRED);
    let terms_at = at.key("nodeSelectorTerms");
    // A term that says nothing matches nothing.
    let says = |term: &&k8s::NodeSelectorTerm| {
        term.match_expressions.iter().flatten().next().is_some()
            || term.match_fields.iter().flatten().next().is_some()
    };
    if !required.node_selector_terms.iter().any(|term| says(&term)) {
        defects.push(Defect::new(
            &terms_at,
            "no term that says anything",
            "at least one term with an expression",
        ));
    }
    let mut alternatives = Vec::new();
    for (position, term) in required.node_selector_terms.iter().enumerate().filter(|(_, term)| says(term)) {
        let own = node_term(term, fields, &terms_at.index(position), defects);
        let alternative: Vec<Requirement> = selector.iter().cloned().chain(own).collect();
        alternatives.push(alternative);
    }
    // Nothing is left of a term that only named a DaemonSet pod's node: everything is allowed.
    if alternatives.iter().any(Vec::is_empty) { Vec::new() } else { alternatives }
}

fn preferred(
    node: &k8s::NodeAffinity,
    fields: Fields,
    at: &At<'_>,
    defects: &mut Vec<Defect>,
) -> Vec<Preferred<Vec<Requirement>>> {
    let at = at.key(PREFERRED);
    let mut preferences = Vec::new();
    for (position, preference) in
        node.preferred_during_scheduling_ignored_during_execution.iter().flatten().enumerate()
    {
        let at = at.index(position);
        check_weight(preference.weight, &at, defects);
        let term = node_term(&preference.preference, fields, &at.key("preference"), defects);
        if !term.is_empty() {
            preferences.push(Preferred { weight: preference.weight, term });
        }
    }
    heaviest_first(&mut preferences);
    preferences
}

fn check_weight(weight: i32, at: &At<'_>, defects: &mut Vec<Defect>) {
    if !(1..=100).contains(&weight) {
        defects.push(Defect::new(&at.key("weight"), weight.to_string(), "a weight from 1 to 100"));
    }
}

/// Equal weights stay in the order in which they are written.
fn heaviest_first<T>(preferences: &mut [Preferred<T>]) {
    preferences.sort_by_key(|preference| std::cmp::Reverse(preference.weight));
}

fn node_term(
    term: &k8s::NodeSelectorTerm,
    fields: Fields,
    at: &At<'_>,
    defects: &mut Vec<Defect>,
) -> Vec<Requirement> {
    let expressions = term.match_expressions.as_deref().unwrap_or_default();
    let mut requirements = node_expressions(expressions, &at.key("matchExpressions"), defects);
    let names = term.match_fields.as_deref().unwrap_or_default();
    match fields {
        _ if names.is_empty() => {}
        Fields::LeaveOut => {}
        Fields::Refuse => {
            let expected = "matchExpressions only: a new node has no name that could be matched";
            defects.push(Defect::new(&at.key("matchFields"), "conditions on the node's name", expected));
        }
        Fields::AsHostname => {
            let by_hostname = node_expressions(names, &at.key("matchFields"), defects);
            requirements.extend(
                by_hostname.into_iter().map(|one| Requirement { key: labels::HOSTNAME.to_owned(), ..one }),
            );
        }
    }
    requirements
}

fn spread(spec: &k8s::PodSpec, at: &At<'_>, defects: &mut Vec<Defect>) -> Vec<TopologySpread> {
    let constraints = spec.topology_spread_constraints.iter().flatten().enumerate();
    constraints.filter_map(|(position, one)| one_spread(one, &at.index(position), defects)).collect()
}

/// Spreads for pods that state none, as kube-scheduler is given them: without a selector, which is deduced for each
/// pod.
///
/// # Errors
///
/// All that Kubernetes would refuse.
pub fn default_spread(
    constraints: &[k8s::TopologySpreadConstraint],
    at: &At<'_>,
) -> Result<Vec<TopologySpread>, Vec<Defect>> {
    let mut defects = Vec::new();
    let mut converted = Vec::new();
    for (position, constraint) in constraints.iter().enumerate() {
        let at = at.index(position);
        if constraint.label_selector.is_some() {
            let expected = "nothing: the selector is deduced from Services and the workload";
            defects.push(Defect::new(&at.key("labelSelector"), "a selector", expected));
        }
        converted.extend(one_spread(constraint, &at, &mut defects));
    }
    if defects.is_empty() { Ok(converted) } else { Err(defects) }
}

fn one_spread(
    spread: &k8s::TopologySpreadConstraint,
    at: &At<'_>,
    defects: &mut Vec<Defect>,
) -> Option<TopologySpread> {
    names::key(&spread.topology_key, &at.key("topologyKey"), defects);
    let max_skew = u32::try_from(spread.max_skew).ok().filter(|skew| *skew > 0);
    if max_skew.is_none() {
        defects.push(Defect::new(&at.key("maxSkew"), spread.max_skew.to_string(), "at least 1"));
    }
    let min_domains = spread.min_domains.map(|count| u32::try_from(count).ok().filter(|count| *count > 0));
    if min_domains == Some(None) {
        defects.push(Defect::new(&at.key("minDomains"), "less than 1", "at least 1"));
    }
    let when_unsatisfiable = match spread.when_unsatisfiable.as_str() {
        "DoNotSchedule" => Some(WhenUnsatisfiable::DoNotSchedule),
        "ScheduleAnyway" => Some(WhenUnsatisfiable::ScheduleAnyway),
        other => {
            let expected = "DoNotSchedule or ScheduleAnyway";
            defects.push(Defect::new(&at.key("whenUnsatisfiable"), quoted(other), expected));
            None
        }
    };
    let affinity = policy(spread.node_affinity_policy.as_deref(), &at.key("nodeAffinityPolicy"), defects);
    let taints = policy(spread.node_taints_policy.as_deref(), &at.key("nodeTaintsPolicy"), defects);
    let selector = spread.label_selector.as_ref();
    Some(TopologySpread {
        key: labels::normalized(&spread.topology_key).to_owned(),
        max_skew: max_skew?,
        min_domains: min_domains.flatten(),
        when_unsatisfiable: when_unsatisfiable?,
        selector: selector.map(|one| label_selector(one, &at.key("labelSelector"), defects)),
        match_label_keys: spread.match_label_keys.clone().unwrap_or_default(),
        node_affinity_policy: affinity.unwrap_or(InclusionPolicy::Honor),
        node_taints_policy: taints.unwrap_or(InclusionPolicy::Ignore),
    })
}

fn policy(text: Option<&str>, at: &At<'_>, defects: &mut Vec<Defect>) -> Option<InclusionPolicy> {
    match text {
        None => None,
        Some("Honor") => Some(InclusionPolicy::Honor),
        Some("Ignore") => Some(InclusionPolicy::Ignore),
        Some(other) => {
            defects.push(Defect::new(at, quoted(other), "Honor or Ignore"));
            None
        }
    }
}

fn terms(
    terms: Option<&[k8s::PodAffinityTerm]>,
    namespace: &str,
    at: &At<'_>,
    defects: &mut Vec<Defect>,
) -> Vec<PodAffinityTerm> {
    let at = at.key(REQUIRED);
    let each = terms.unwrap_or_default().iter().enumerate();
    each.map(|(position, one)| pod_term(one, namespace, &at.index(position), defects)).collect()
}

fn weighted(
    terms: Option<&[k8s::WeightedPodAffinityTerm]>,
    namespace: &str,
    at: &At<'_>,
    defects: &mut Vec<Defect>,
) -> Vec<Preferred<PodAffinityTerm>> {
    let at = at.key(PREFERRED);
    let mut preferences = Vec::new();
    for (position, one) in terms.unwrap_or_default().iter().enumerate() {
        let at = at.index(position);
        check_weight(one.weight, &at, defects);
        let term = pod_term(&one.pod_affinity_term, namespace, &at.key("podAffinityTerm"), defects);
        preferences.push(Preferred { weight: one.weight, term });
    }
    heaviest_first(&mut preferences);
    preferences
}

/// A term that names no namespaces means the pod's own.
fn pod_term(
    term: &k8s::PodAffinityTerm,
    namespace: &str,
    at: &At<'_>,
    defects: &mut Vec<Defect>,
) -> PodAffinityTerm {
    names::key(&term.topology_key, &at.key("topologyKey"), defects);
    let mut namespaces = term.namespaces.clone().unwrap_or_default();
    if namespaces.is_empty() && term.namespace_selector.is_none() {
        namespaces.push(namespace.to_owned());
    }
    let selector = |selector: Option<&_>, name: &str, defects: &mut Vec<Defect>| {
        selector.map(|one| label_selector(one, &at.key(name), defects))
    };
    PodAffinityTerm {
        key: labels::normalized(&term.topology_key).to_owned(),
        selector: selector(term.label_selector.as_ref(), "labelSelector", defects),
        namespaces,
        namespace_selector: selector(term.namespace_selector.as_ref(), "namespaceSelector", defects),
        match_label_keys: term.match_label_keys.clone().unwrap_or_default(),
        mismatch_label_keys: term.mismatch_label_keys.clone().unwrap_or_default(),
    }
}

/// The alternatives of a required node selector that stands alone, as a PersistentVolume has one.
pub(crate) fn volume_terms(
    selector: &k8s::NodeSelector,
    at: &At<'_>,
    defects: &mut Vec<Defect>,
) -> Vec<Vec<Requirement>> {
    let at = at.key("nodeSelectorTerms");
    let terms = selector.node_selector_terms.iter().enumerate();
    terms.map(|(position, term)| node_term(term, Fields::AsHostname, &at.index(position), defects)).collect()
}

/// Whether a requirement names nodes one by one.
pub(crate) fn is_on_hostname(requirement: &Requirement) -> bool {
    requirement.key == labels::HOSTNAME && requirement.operator == Operator::In
}
