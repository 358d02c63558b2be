//! Leaves nodes alone while jobs run on them: what has run for an hour and is evicted starts from the beginning.
//!
//! Only consolidation is kept away. A node that EC2 takes back, that expires or that somebody deletes goes all the same.

#![forbid(unsafe_code)]

use whittle_guest_sdk::prelude::*;

/// The settings are the policy.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct NoJobEviction {
    /// The pods that are not to be evicted. Unless said otherwise, those of Jobs.
    #[serde(default = "jobs")]
    workloads: Workloads,
    /// A node may go all the same when it has run for so long: jobs that never end must not keep it for ever.
    #[serde(default)]
    at_most: Option<Span>,
}

fn jobs() -> Workloads {
    Workloads { kinds: vec!["Job".to_owned()], ..Workloads::default() }
}

impl Policy for NoJobEviction {
    fn reads(&self) -> Reads {
        Reads { pod_labels: self.workloads.reads(), ..Reads::default() }
    }
}

impl NoJobEviction {
    /// The first pods on a node that are not to be evicted.
    fn keeper<'a>(&self, now: Instant, node: &'a Node) -> Option<&'a Residents> {
        let age = now.saturating_sub(node.initialized.unwrap_or(now));
        if self.at_most.is_some_and(|most| age >= most.millis()) {
            return None;
        }
        node.residents.iter().find(|residents| self.workloads.contains_residents(residents))
    }
}

impl Consolidation for NoJobEviction {
    fn rest(&self, now: Instant, node: &Node) -> Quiet {
        match self.keeper(now, node) {
            None => Quiet::Default,
            Some(residents) => Quiet::Never(reason(residents)),
        }
    }

    fn judge(&self, round: &Round<'_>, found: &Move) -> MoveVerdict {
        let keeper = round.nodes_of(found).find_map(|node| self.keeper(round.now, node));
        match keeper {
            None => MoveVerdict::Allow,
            Some(residents) => MoveVerdict::deny(reason(residents)),
        }
    }
}

/// Names are as long as Kubernetes lets them be, and a reason is not.
fn reason(residents: &Residents) -> String {
    let Residents { namespace, owner_kind, owner_name, pods, .. } = residents;
    let whole = format!("{pods} pods of {owner_kind} {namespace}/{owner_name} run on it");
    if whole.len() <= 256 { whole } else { format!("{pods} pods that are not to be evicted run on it") }
}

export_policy!(NoJobEviction: Policy, Consolidation);

#[cfg(test)]
mod tests {
    use super::*;

    fn policy() -> NoJobEviction {
        NoJobEviction { workloads: jobs(), at_most: None }
    }

    fn busy() -> Node {
        node("a").inhabited_by(residents("Deployment", "web", 3)).inhabited_by(residents("Job", "report", 2))
    }

    #[test]
    fn a_node_with_jobs_stays() {
        let never = Quiet::Never("2 pods of Job default/report run on it".to_owned());
        assert_eq!(policy().rest(0, &busy()), never);
        let nodes = [node("b"), busy()];
        let round = Round { now: 0, nodes: &nodes };
        assert_eq!(policy().judge(&round, &moving([0])), MoveVerdict::Allow);
        let denied = MoveVerdict::deny("2 pods of Job default/report run on it");
        assert_eq!(policy().judge(&round, &moving([0, 1])), denied);
    }

    #[test]
    fn other_workloads_can_be_meant() {
        let labels = [("runner".to_owned(), "true".to_owned())].into();
        let policy = NoJobEviction { workloads: Workloads { labels, ..Workloads::default() }, at_most: None };
        let runner = node("a").inhabited_by(residents("Runner", "ci", 1).labelled("runner", "true"));
        assert!(matches!(policy.rest(0, &runner), Quiet::Never(_)));
        assert_eq!(policy.rest(0, &busy()), Quiet::Default);
    }

    #[test]
    fn a_job_that_never_ends_does_not_keep_its_node_for_ever() {
        let policy = NoJobEviction { at_most: Some(Span::from_secs(60)), ..policy() };
        assert!(matches!(policy.rest(59_999, &busy()), Quiet::Never(_)));
        assert_eq!(policy.rest(60_000, &busy()), Quiet::Default);
    }

    #[test]
    fn a_reason_is_never_too_long() {
        let long = node("a").inhabited_by(residents("Job", &"x".repeat(300), 1));
        let Quiet::Never(reason) = policy().rest(0, &long) else { panic!("it moves") };
        assert!(reason.len() <= 256);
    }
}
