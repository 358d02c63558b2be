//! Gives load tests nodes that nobody else gets, by taint and label, and keeps others off nodes where a load test runs
//! already.

#![forbid(unsafe_code)]

use whittle_guest_sdk::prelude::*;

/// The settings are the policy.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct LoadTestIsolation {
    /// The load tests.
    workloads: Workloads,
    /// The key of the taint and the label.
    key: String,
    /// Their value.
    #[serde(default = "yes")]
    value: String,
    /// Whether a node on which a load test runs gets the taint while it does, however it came there. Pods that run
    /// there stay; no others come.
    #[serde(default)]
    quarantine: bool,
}

fn yes() -> String {
    "true".to_owned()
}

impl Policy for LoadTestIsolation {
    fn reads(&self) -> Reads {
        Reads { pod_labels: self.workloads.reads(), ..Reads::default() }
    }

    fn complaints(&self) -> Vec<Complaint> {
        let mut complaints = Vec::new();
        if self.workloads.is_every() {
            complaints.push(Complaint::new(
                "workloads",
                "means every workload, expected what tells load tests apart",
            ));
        }
        if self.key.is_empty() {
            complaints.push(Complaint::new("key", "is empty, expected a key such as example.com/loadtest"));
        }
        complaints
    }
}

impl LoadTestIsolation {
    fn taint(&self) -> Taint {
        Taint { key: self.key.clone(), value: self.value.clone(), effect: Effect::NoSchedule }
    }

    /// Whether pods can live with the taint. Those that cannot would be kept off their own nodes.
    fn is_tolerated(&self, group: &PodGroup) -> bool {
        group.tolerations.iter().any(|toleration| {
            toleration.key.as_ref().is_none_or(|key| *key == self.key)
                && toleration.value.as_ref().is_none_or(|value| *value == self.value)
                && toleration.effect.is_none_or(|effect| effect == Effect::NoSchedule)
        })
    }
}

impl Taints for LoadTestIsolation {
    fn dress(&self, _now: Instant, group: &PodGroup) -> Outfit {
        if !self.workloads.contains(group) {
            return Outfit::default();
        }
        let labelled = Outfit::default().labelled(&self.key, &self.value);
        if self.is_tolerated(group) {
            return labelled
                .tainted(&self.key, &self.value, Effect::NoSchedule)
                .because("a load test of its own");
        }
        labelled.because("a load test that does not tolerate its own taint: labelled only")
    }

    fn review(&self, _now: Instant, nodes: &[Node]) -> Vec<Change> {
        if !self.quarantine {
            return Vec::new();
        }
        let mut changes = Vec::new();
        for (place, node) in (0..).zip(nodes) {
            let tested = node.residents.iter().any(|residents| self.workloads.contains_residents(residents));
            let taint = self.taint();
            let (add, remove) = match (tested, node.taints.contains(&taint)) {
                (true, false) => (vec![taint], Vec::new()),
                // The host takes back what this policy added, and nothing else.
                (false, true) => (Vec::new(), vec![taint]),
                (true, true) | (false, false) => continue,
            };
            let reason = if tested { "a load test runs on it" } else { "no load test runs on it any more" };
            changes.push(Change { node: place, add, remove, reason: reason.to_owned() });
        }
        changes
    }
}

export_policy!(LoadTestIsolation: Policy, Taints);

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "ticket.example/loadtest";

    fn policy() -> LoadTestIsolation {
        let workloads = Workloads { namespaces: vec!["loadtest".to_owned()], ..Workloads::default() };
        LoadTestIsolation { workloads, key: KEY.to_owned(), value: yes(), quarantine: true }
    }

    #[test]
    fn a_load_test_gets_nodes_that_only_it_tolerates() {
        let test = group().in_namespace("loadtest").tolerating(KEY, "true", Effect::NoSchedule);
        let outfit = policy().dress(0, &test);
        assert_eq!((&outfit.taints, outfit.labels.len()), (&vec![policy().taint()], 1));
        assert_eq!(policy().dress(0, &group()), Outfit::default());
    }

    #[test]
    fn a_load_test_that_does_not_tolerate_the_taint_is_labelled_only() {
        let test = group().in_namespace("loadtest").tolerating(KEY, "false", Effect::NoSchedule);
        let outfit = policy().dress(0, &test);
        assert_eq!((outfit.taints.len(), outfit.labels.len()), (0, 1));
    }

    #[test]
    fn a_node_is_quarantined_while_a_load_test_runs_on_it() {
        let tested = node("a").inhabited_by(residents("Job", "rehearsal", 3).in_namespace("loadtest"));
        let left = node("b").tainted(KEY, "true", Effect::NoSchedule);
        let changes = policy().review(0, &[node("c"), tested.clone(), left]);
        let summary: Vec<_> =
            changes.iter().map(|change| (change.node, change.add.len(), change.remove.len())).collect();
        assert_eq!(summary, [(1, 1, 0), (2, 0, 1)]);
        let lax = LoadTestIsolation { quarantine: false, ..policy() };
        assert_eq!(lax.review(0, &[tested]), []);
    }

    #[test]
    fn settings_that_mean_everything_are_complained_about() {
        let wrong = LoadTestIsolation { workloads: Workloads::default(), key: String::new(), ..policy() };
        assert_eq!(wrong.complaints().len(), 2);
    }
}
