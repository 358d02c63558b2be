//! Rules that contradict themselves or one another, and more of them than anybody has.

use serde_json::{Value, json};

use crate::directory::{deployment, near, placed_and_not, planned, pool, pool_of, spread, with_class};

const HOST: &str = "kubernetes.io/hostname";
const ZONE: &str = "topology.kubernetes.io/zone";
/// A label that no node has.
const NOWHERE: &str = "example.com/none";

fn usual() -> Value {
    pool("default", |_| ())
}

#[test]
fn a_circle_of_affinities_comes_to_an_end() {
    for key in [HOST, ZONE, NOWHERE] {
        for length in [1, 2, 3, 60] {
            let app = |at: usize| format!("a{}", at % length);
            let circle = (0..length).map(|at| {
                deployment(&app(at), 3, |spec| {
                    spec["affinity"] = json!({ "podAffinity": near(&[app(at + 1)], key) });
                })
            });
            let objects: Vec<Value> = [usual()].into_iter().chain(circle).collect();
            let (placed, unplaced) = placed_and_not(&planned(with_class(&objects)).plan());
            assert_eq!(placed + unplaced, 3 * length, "{key}, {length} apps");
        }
    }
}

#[test]
fn pods_that_repel_themselves_get_as_many_places_as_there_are_domains() {
    for (key, places) in [(HOST, 40), (ZONE, 5)] {
        let apart = deployment("a", 40, |spec| {
            spec["affinity"] = json!({ "podAntiAffinity": near(&["a".to_owned()], key) });
        });
        let report = planned(with_class(&[usual(), apart])).plan();
        assert_eq!(placed_and_not(&report), (places, 40 - places), "{key}");
    }
}

#[test]
fn pods_that_want_to_be_near_themselves_and_apart_come_one_by_one_or_not_at_all() {
    for key in [HOST, ZONE, NOWHERE] {
        let torn = deployment("a", 5, |spec| {
            let own = near(&["a".to_owned()], key);
            spec["affinity"] = json!({ "podAffinity": own.clone(), "podAntiAffinity": own });
        });
        let (placed, unplaced) = placed_and_not(&planned(with_class(&[usual(), torn])).plan());
        assert!(placed <= 1 && placed + unplaced == 5, "{key}: {placed} placed");
    }
}

#[test]
fn sixty_apps_of_which_each_repels_all_others_get_a_plan() {
    let apps: Vec<String> = (0..60).map(|at| format!("a{at}")).collect();
    let others = |own: &String| apps.iter().filter(|app| *app != own).cloned().collect::<Vec<_>>();
    let repelling = apps.iter().map(|own| {
        deployment(own, 2, |spec| spec["affinity"] = json!({ "podAntiAffinity": near(&others(own), HOST) }))
    });
    let objects: Vec<Value> = [usual()].into_iter().chain(repelling).collect();
    assert_eq!(placed_and_not(&planned(with_class(&objects)).plan()), (120, 0));
}

#[test]
fn a_thousand_of_everything_in_one_pod_get_a_plan() {
    let thousand = |one: &dyn Fn(usize) -> Value| (0..1_000).map(one).collect::<Vec<Value>>();
    let label = |at: usize| json!({ "matchExpressions": [{ "key": format!("k{at}"), "operator": "In", "values": ["v"] }] });
    let preferences = thousand(&|at| json!({ "weight": 1 + at % 100, "preference": label(at) }));
    let zones = thousand(&|at| {
        json!({ "weight": 1 + at % 100, "preference": { "matchExpressions": [
            { "key": ZONE, "operator": "In", "values": [format!("z{at}")] },
        ] } })
    });
    let cpus = thousand(&|at| {
        json!({ "matchExpressions": [
            { "key": "karpenter.k8s.aws/instance-cpu", "operator": "In", "values": [at.to_string()] },
        ] })
    });
    let pods = thousand(&|at| {
        json!({ "weight": 1, "podAffinityTerm": {
            "topologyKey": ZONE, "labelSelector": { "matchLabels": { "app": format!("x{at}") } },
        } })
    });
    let spreads = thousand(
        &|at| json!({ "topologyKey": format!("k{at}"), "maxSkew": 1, "whenUnsatisfiable": "ScheduleAnyway" }),
    );
    let tolerations = thousand(&|at| json!({ "key": format!("k{at}"), "operator": "Exists" }));
    let preferred = "preferredDuringSchedulingIgnoredDuringExecution";
    let required = "requiredDuringSchedulingIgnoredDuringExecution";
    let cases = [
        ("preferences", json!({ "affinity": { "nodeAffinity": { preferred: preferences } } }), true),
        ("impossible zones", json!({ "affinity": { "nodeAffinity": { preferred: zones } } }), true),
        (
            "alternatives",
            json!({ "affinity": { "nodeAffinity": { required: { "nodeSelectorTerms": cpus } } } }),
            true,
        ),
        (
            "impossible alternatives",
            json!({ "affinity": { "nodeAffinity": {
                required: { "nodeSelectorTerms": thousand(&label) }, preferred: preferences,
            } } }),
            false,
        ),
        ("pods", json!({ "affinity": { "podAffinity": { preferred: pods } } }), true),
        ("spreads", json!({ "topologySpreadConstraints": spreads }), true),
        ("tolerations", json!({ "tolerations": tolerations }), true),
    ];
    for (name, change, is_placed) in cases {
        let web = deployment("web", 3, |spec| {
            for (field, value) in change.as_object().expect("a change is an object") {
                spec[field] = value.clone();
            }
        });
        let wanted = if is_placed { (3, 0) } else { (0, 3) };
        assert_eq!(placed_and_not(&planned(with_class(&[usual(), web])).plan()), wanted, "{name}");
    }
}

#[test]
fn an_unknown_operator_is_refused_wherever_it_stands() {
    for operator in ["in", "Within", "", "In\n", "≥"] {
        let expression = json!([{ "key": "a", "operator": operator, "values": ["b"] }]);
        let term = json!({ "matchExpressions": expression });
        let affinity = deployment("web", 1, |spec| {
            spec["affinity"] = json!({ "nodeAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": { "nodeSelectorTerms": [term] },
            } });
        });
        let selector = deployment("web", 1, |spec| {
            spec["topologySpreadConstraints"] = spread("web", ZONE);
            spec["topologySpreadConstraints"][0]["labelSelector"] = term.clone();
        });
        let bears = json!([{ "key": "a", "operator": operator, "value": "b" }]);
        let tolerating = deployment("web", 1, |spec| spec["tolerations"] = bears.clone());
        let asking = json!([{ "key": "example.com/a", "operator": operator, "values": ["b"] }]);
        let mut cases =
            vec![vec![usual(), affinity], vec![usual(), selector], vec![pool_of("default", &asking)]];
        // A toleration that does not say compares for equality.
        if !operator.is_empty() {
            cases.push(vec![usual(), tolerating]);
        }
        for objects in cases {
            let problems = planned(with_class(&objects)).problems().join("\n");
            assert!(problems.contains("operator"), "{operator:?}: {problems}");
        }
    }
}

#[test]
fn a_node_claim_whose_time_is_up_gets_no_pods_in_the_plan_that_ends_it() {
    let claim = json!({
        "apiVersion": "karpenter.sh/v1",
        "kind": "NodeClaim",
        "metadata": { "name": "late", "creationTimestamp": "2026-01-04T00:00:00Z", "labels": {
            "karpenter.sh/nodepool": "default", "karpenter.sh/capacity-type": "on-demand",
            "node.kubernetes.io/instance-type": "m6i.xlarge", "topology.kubernetes.io/zone": "us-east-1a",
            "kubernetes.io/arch": "amd64", "kubernetes.io/os": "linux",
        } },
        "spec": {
            "nodeClassRef": { "group": "karpenter.k8s.aws", "kind": "EC2NodeClass", "name": "default" },
            "requirements": [{ "key": "node.kubernetes.io/instance-type", "operator": "In", "values": ["m6i.xlarge"] }],
        },
        // Launched a day ago, and no node has joined since.
        "status": {
            "providerID": "aws:///us-east-1a/i-1",
            "capacity": { "cpu": "4", "memory": "15Gi", "pods": "58" },
            "allocatable": { "cpu": "4", "memory": "14Gi", "pods": "58" },
        },
    });
    let report = planned(with_class(&[usual(), claim, deployment("web", 3, |_| ())])).plan();
    assert_eq!((report.nominations, report.launches.len()), (std::collections::BTreeMap::new(), 0));
}
