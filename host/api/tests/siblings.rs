//! Spreads for pods that state none: what they say, and which pods they count.

use whittle_api::convert::pod::placement::default_spread;
use whittle_api::convert::pod::{Priorities, pod};
use whittle_api::convert::siblings::Siblings;
use whittle_api::manifest::{File, Manifests, parse};
use whittle_api::problem::At;
use whittle_core::model::pod::PodSpec;
use whittle_core::model::requirement::{Operator, Requirement};

fn read(text: &str) -> Manifests {
    let manifests = parse(&[File { name: "x.yaml".into(), text: text.into() }]);
    assert_eq!(manifests.problems, [], "{text}");
    manifests
}

/// What the pod `shop/p` with this metadata beside its name and this spec looks like.
fn pod_with(metadata: &str, spec: &str) -> PodSpec {
    let text = format!(
        "{{apiVersion: v1, kind: Pod, metadata: {{name: p, namespace: shop{metadata}}}, spec: {{{spec}}}}}"
    );
    let read = pod(&read(&text).pods[0].object, &Priorities::new(&[])).expect("the pod has no defects");
    PodSpec::clone(&read.spec)
}

#[test]
fn the_siblings_of_a_pod_are_those_that_its_services_and_its_workload_select() {
    let manifests = read(
        "{apiVersion: v1, kind: List, items: [\
         {apiVersion: v1, kind: Service, metadata: {name: web, namespace: shop}, spec: {selector: {app: web}}},\
         {apiVersion: v1, kind: Service, metadata: {name: all, namespace: shop}, spec: {selector: {tier: front}}},\
         {apiVersion: v1, kind: Service, metadata: {name: outside, namespace: shop}, spec: {type: ExternalName, externalName: x}},\
         {apiVersion: v1, kind: Service, metadata: {name: web, namespace: bank}, spec: {selector: {app: bank}}},\
         {apiVersion: apps/v1, kind: Deployment, metadata: {name: web, namespace: shop}, spec: {selector: {matchLabels: {app: web, part: front}}, template: {spec: {containers: []}}}},\
         {apiVersion: apps/v1, kind: StatefulSet, metadata: {name: db, namespace: shop}, spec: {serviceName: db, selector: {matchExpressions: [{key: app, operator: In, values: [db, cache]}]}, template: {spec: {containers: []}}}}]}",
    );
    let mut siblings = Siblings::default();
    manifests.services.iter().for_each(|one| siblings.add_service(&one.object));
    manifests.deployments.iter().for_each(|one| siblings.add_deployment(&one.object));
    manifests.stateful_sets.iter().for_each(|one| siblings.add_stateful_set(&one.object));
    let of = |kind: &str, owner: &str, labels: &str| {
        let reference = format!(
            ", labels: {{{labels}}}, ownerReferences: [{{apiVersion: apps/v1, kind: {kind}, name: {owner}, uid: u, controller: true}}]"
        );
        siblings.of(&pod_with(&reference, "containers: []")).map(|selector| selector.requirements)
    };
    let is = |key: &str, value: &str| Requirement::equals(key, value);
    // Both Services, and nobody's workload.
    assert_eq!(of("Job", "once", "app: web, tier: front"), Some(vec![is("app", "web"), is("tier", "front")]));
    // A Deployment's pods of one revision.
    assert_eq!(
        of("ReplicaSet", "web-7d9c", "app: web, pod-template-hash: 7d9c"),
        Some(vec![is("app", "web"), is("part", "front"), is("pod-template-hash", "7d9c")])
    );
    let of_set = Requirement::new("app", Operator::In, ["db", "cache"]);
    assert_eq!(of("StatefulSet", "db", "app: db"), Some(vec![of_set]));
    // Selected by nobody: the Service without a selector and that of another namespace do not count.
    assert_eq!(of("Job", "once", "app: bank"), None);
}

#[test]
fn default_spreads_are_read_as_kube_scheduler_reads_them() {
    let constraints = |text: &str| serde_json::from_str::<Vec<_>>(text).unwrap();
    let good = constraints(
        r#"[{"maxSkew": 2, "topologyKey": "failure-domain.beta.kubernetes.io/zone", "whenUnsatisfiable": "DoNotSchedule"}]"#,
    );
    let read = default_spread(&good, &At::Root).unwrap();
    let own = pod_with(
        "",
        "containers: [], topologySpreadConstraints: [{maxSkew: 2, topologyKey: topology.kubernetes.io/zone, whenUnsatisfiable: DoNotSchedule}]",
    );
    assert_eq!(read, own.topology_spread, "as if a pod had said it, without a selector");
    let bad = constraints(
        r#"[{"maxSkew": 0, "topologyKey": "", "whenUnsatisfiable": "Never", "labelSelector": {}}]"#,
    );
    let found: Vec<_> =
        default_spread(&bad, &At::Root).unwrap_err().iter().map(ToString::to_string).collect();
    assert_eq!(
        found,
        [
            "[0].labelSelector: found a selector, expected nothing: the selector is deduced from Services and the workload",
            "[0].topologyKey: found \"\", expected a key such as app or example.com/team: letters, digits, '-', '_' and '.', at \
             most 63 of them, perhaps after a domain and a slash",
            "[0].maxSkew: found 0, expected at least 1",
            "[0].whenUnsatisfiable: found \"Never\", expected DoNotSchedule or ScheduleAnyway",
        ]
    );
}
