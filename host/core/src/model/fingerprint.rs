//! What tells one version of a template from another: a short text that follows from everything in a NodePool's template
//! that cannot be changed on a node that runs.
//!
//! The text is the same after a restart, on every machine and in every release that names the same [`VERSION`]. What
//! goes into it, or how, changes only together with that name: then nodes are not taken for changed because we are. It
//! is no secret and guards nothing, so that a short hash will do.

use std::collections::BTreeMap;
use std::fmt;

use super::node_pool::NodePool;
use super::requirement::Taint;
use super::time::Duration;

/// Names what goes into a fingerprint, and how. Karpenter has names of its own (`v3`), so that a fingerprint of theirs is
/// never compared with one of ours.
pub const VERSION: &str = "whittle-v1";

/// The fingerprint of a template, and how it was made.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fingerprint {
    /// How it was made: two are compared only when this is the same.
    pub version: String,
    /// The fingerprint itself.
    pub hash: String,
}

impl Fingerprint {
    /// Whether two are of different templates, as far as that can be told: of two that were made in different ways it
    /// cannot.
    #[must_use]
    pub fn differs(&self, other: &Self) -> bool {
        self.version == other.version && self.hash != other.hash
    }
}

/// What a NodeClaim was made from, as far as it says so.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MadeFrom {
    /// The fingerprint of its NodePool's template.
    pub node_pool: Option<Fingerprint>,
    /// The fingerprint of its EC2NodeClass.
    pub node_class: Option<Fingerprint>,
}

/// Takes in texts, each with a mark that ends it, so that `ab`, `c` is not `a`, `bc`. FNV-1a (Fowler, Noll, Vo 1991).
#[derive(Clone, Debug)]
pub struct Printer {
    hash: u64,
}

impl Default for Printer {
    fn default() -> Self {
        Self { hash: 0xcbf2_9ce4_8422_2325 }
    }
}

impl Printer {
    /// Takes in one more text.
    pub fn take(&mut self, text: impl fmt::Display) {
        // No text of the API holds this byte.
        const END: u8 = 0xff;
        for byte in text.to_string().bytes().chain([END]) {
            self.hash = (self.hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    /// The fingerprint of everything that was taken in.
    #[must_use]
    pub fn print(&self) -> Fingerprint {
        Fingerprint { version: VERSION.to_owned(), hash: format!("{:016x}", self.hash) }
    }
}

impl NodePool {
    /// The fingerprint of the template: labels, annotations, taints and startup taints in whatever order, the name of the
    /// EC2NodeClass, and how long nodes live and may drain. Requirements are compared with the nodes themselves, and
    /// limits, weight and disruption concern no single node (Karpenter: static drift).
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        let mut printer = Printer::default();
        let pairs = |pairs: &BTreeMap<String, String>| {
            pairs.iter().map(|(key, value)| format!("{key}={value}")).collect()
        };
        let span = |span: Option<Duration>| span.map(|span| span.millis().to_string()).into_iter().collect();
        let sections: [(&str, Vec<String>); 7] = [
            ("labels", pairs(&self.labels)),
            ("annotations", pairs(&self.annotations)),
            ("taints", sorted(&self.taints)),
            ("startupTaints", sorted(&self.startup_taints)),
            ("nodeClassRef", vec![self.node_class.clone()]),
            ("expireAfter", span(self.expire_after)),
            ("terminationGracePeriod", span(self.termination_grace_period)),
        ];
        for (name, lines) in sections {
            printer.take(name);
            lines.into_iter().for_each(|line| printer.take(line));
        }
        printer.print()
    }
}

fn sorted(taints: &[Taint]) -> Vec<String> {
    let mut taints: Vec<String> = taints.iter().map(ToString::to_string).collect();
    taints.sort_unstable();
    taints
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{Fingerprint, Printer, VERSION};
    use crate::model::node_pool::{ConsolidationPolicy, Disruption, NodePool};
    use crate::model::requirement::{Operator, Requirement, Taint, TaintEffect};
    use crate::model::time::Duration;

    fn pool() -> NodePool {
        let taint =
            |key: &str| Taint { key: key.into(), value: String::new(), effect: TaintEffect::NoSchedule };
        NodePool {
            name: "general".into(),
            weight: 0,
            node_class: "default".into(),
            requirements: Vec::new(),
            labels: BTreeMap::from([("team".into(), "shop".into())]),
            annotations: BTreeMap::from([("note".into(), "one".into())]),
            taints: vec![taint("a"), taint("b")],
            startup_taints: vec![taint("c")],
            limits: BTreeMap::new(),
            disruption: Disruption {
                consolidate_after: None,
                policy: ConsolidationPolicy::WhenEmpty,
                budgets: Vec::new(),
            },
            expire_after: Some(Duration::from_secs(720 * 3_600)),
            termination_grace_period: None,
            replicas: None,
            ready: true,
            deleting: false,
        }
    }

    #[test]
    fn the_fingerprint_of_a_template_is_the_same_in_every_release_of_this_version() {
        let expected = Fingerprint { version: "whittle-v1".into(), hash: "bfcbcdad36360258".into() };
        assert_eq!(pool().fingerprint(), expected);
        assert_eq!(VERSION, "whittle-v1");
    }

    #[test]
    fn what_nodes_are_given_once_and_for_all_changes_it_and_nothing_else_does() {
        let before = pool().fingerprint();
        let changed = |change: fn(&mut NodePool)| {
            let mut pool = pool();
            change(&mut pool);
            pool.fingerprint() != before
        };
        let of_the_template: [fn(&mut NodePool); 8] = [
            |pool| drop(pool.labels.insert("team".into(), "other".into())),
            |pool| drop(pool.annotations.insert("note".into(), "two".into())),
            |pool| drop(pool.annotations.remove("note")),
            |pool| drop(pool.taints.pop()),
            |pool| pool.startup_taints.clear(),
            |pool| pool.node_class = "other".into(),
            |pool| pool.expire_after = None,
            |pool| pool.termination_grace_period = Some(Duration::from_secs(60)),
        ];
        for (position, change) in of_the_template.into_iter().enumerate() {
            assert!(changed(change), "change {position}");
        }
        let of_the_pool: [fn(&mut NodePool); 6] = [
            |pool| pool.taints.reverse(),
            |pool| pool.weight = 9,
            |pool| pool.limits.extend([("cpu".to_owned(), 1)]),
            |pool| pool.disruption.consolidate_after = Some(Duration::ZERO),
            |pool| pool.requirements.push(Requirement::new::<String>("a", Operator::Exists, [])),
            |pool| pool.replicas = Some(1),
        ];
        for (position, change) in of_the_pool.into_iter().enumerate() {
            assert!(!changed(change), "change {position}");
        }
    }

    #[test]
    fn a_text_does_not_run_into_the_next() {
        let printed = |texts: [&str; 2]| {
            let mut printer = Printer::default();
            texts.iter().for_each(|text| printer.take(text));
            printer.print()
        };
        assert_ne!(printed(["ab", "c"]), printed(["a", "bc"]));
        let theirs = Fingerprint { version: "v3".into(), hash: "1".into() };
        assert!(!printed(["a", "b"]).differs(&theirs), "what was made in another way is not compared");
    }
}
