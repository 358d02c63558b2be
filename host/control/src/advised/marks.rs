//! Taints that living nodes carry because policies want it: whose they are, and how nodes differ from what is wanted.
//!
//! What is wanted is compared with what is, time and again, so that what could not be done is tried once more. Only what
//! a policy added is ever taken back. Like all that is known about advice this is lost with a restart: a taint that was
//! put on before it stays until its node ends or somebody takes it off.

use std::collections::{BTreeMap, BTreeSet};

use whittle_core::advice::taints::{Change, change_words};
use whittle_core::advice::words::LivingNode;
use whittle_core::model::requirement::{Taint, TaintEffect};
use whittle_core::plan::{Heard, Retaint};
use whittle_core::state::Snapshot;

/// What a node carries that is to be kept clear after a notice, until it ends.
const NOTICED: &str = "whittle.dev/noticed";

/// A taint of the node of a NodeClaim.
type Mark = (String, Taint);

/// What nodes are to carry.
#[derive(Clone, Debug, Default)]
pub(super) struct Marks {
    /// Who wants a taint that policies added.
    wanted: BTreeMap<Mark, BTreeSet<String>>,
    /// Taints that policies added and want no more, until they are off.
    unwanted: BTreeSet<Mark>,
    /// NodeClaims whose nodes are to get no more pods.
    clear: BTreeSet<String>,
}

impl Marks {
    /// No more pods for this node, whatever becomes of it.
    pub(super) fn keep_clear(&mut self, claim: String) {
        self.clear.insert(claim);
    }

    /// What policies wanted that are not obeyed any more is wanted by nobody. Gives what that comes to.
    pub(super) fn let_go(&mut self, is_obeyed: impl Fn(&str) -> bool) -> Vec<Heard> {
        let (unwanted, mut heard) = (&mut self.unwanted, Vec::new());
        self.wanted.retain(|mark, policies| {
            let gone = policies.extract_if(.., |policy| !is_obeyed(policy)).last();
            if let Some(policy) = gone.filter(|_| policies.is_empty()) {
                let (claim, taint) = mark;
                heard.push(Heard {
                    policy,
                    about: format!("node {claim}"),
                    words: format!("remove {taint}: the policy is attached no longer"),
                    obeyed: true,
                    failed: false,
                });
                unwanted.insert(mark.clone());
            }
            !policies.is_empty()
        });
        heard
    }

    /// Takes changes in, and gives those that come to something.
    pub(super) fn take_in(&mut self, nodes: &[LivingNode], changes: Vec<Change>) -> Vec<Heard> {
        let mut heard = Vec::new();
        for mut change in changes {
            let node = usize::try_from(change.node).ok().and_then(|place| nodes.get(place));
            let Some(node) = node else { continue };
            change.add.retain(|taint| self.add(node, taint, &change.policy));
            change.remove.retain(|taint| self.remove(node, taint, &change.policy));
            if change.add.is_empty() && change.remove.is_empty() {
                continue;
            }
            heard.push(Heard {
                policy: change.policy.clone(),
                about: format!("node {}", node.claim),
                words: change_words(&change),
                obeyed: true,
                failed: false,
            });
        }
        heard
    }

    /// Whether it comes to something that a policy wants a taint.
    fn add(&mut self, node: &LivingNode, taint: &Taint, policy: &str) -> bool {
        let mark = (node.claim.clone(), taint.clone());
        let is_ours = self.wanted.contains_key(&mark) || self.unwanted.contains(&mark);
        // What a node carries for another reason is nobody's to take back later.
        if node.taints.contains(taint) && !is_ours {
            return false;
        }
        self.unwanted.remove(&mark);
        self.wanted.entry(mark).or_default().insert(policy.to_owned())
    }

    /// Whether it comes to something that a policy does not want a taint any more.
    fn remove(&mut self, node: &LivingNode, taint: &Taint, policy: &str) -> bool {
        let mark = (node.claim.clone(), taint.clone());
        let Some(policies) = self.wanted.get_mut(&mark) else { return false };
        let was_wanted = policies.remove(policy);
        if policies.is_empty() {
            self.wanted.remove(&mark);
            self.unwanted.insert(mark);
        }
        was_wanted
    }

    /// How nodes differ from what is wanted.
    pub(super) fn differences(&mut self, snapshot: &Snapshot) -> Vec<Retaint> {
        if self.wanted.is_empty() && self.unwanted.is_empty() && self.clear.is_empty() {
            return Vec::new();
        }
        self.wanted.retain(|(claim, _), _| snapshot.claims.contains_key(claim));
        self.clear.retain(|claim| snapshot.claims.contains_key(claim));
        let noticed =
            Taint { key: NOTICED.to_owned(), value: String::new(), effect: TaintEffect::NoSchedule };
        let clear = self.clear.iter().map(|claim| (claim.clone(), noticed.clone()));
        let missing: Vec<(Mark, String)> = self
            .wanted
            .keys()
            .cloned()
            .chain(clear)
            .filter_map(|mark| match found(snapshot, &mark) {
                Some((node, false)) => Some((mark, node)),
                Some((_, true)) | None => None,
            })
            .collect();
        self.unwanted.retain(|mark| matches!(found(snapshot, mark), Some((_, true))));
        let surplus = self.unwanted.iter().filter_map(|mark| Some((mark.clone(), found(snapshot, mark)?.0)));

        let mut differences: BTreeMap<String, Retaint> = BTreeMap::new();
        let none = |claim: &str, node| Retaint { claim: claim.to_owned(), node, add: vec![], remove: vec![] };
        for ((claim, taint), node) in missing {
            differences.entry(claim.clone()).or_insert_with(|| none(&claim, node)).add.push(taint);
        }
        for ((claim, taint), node) in surplus {
            differences.entry(claim.clone()).or_insert_with(|| none(&claim, node)).remove.push(taint);
        }
        differences.into_values().collect()
    }
}

/// The node that a mark is about, and whether it carries the taint; `None` when there is no such node.
fn found(snapshot: &Snapshot, (claim, taint): &Mark) -> Option<(String, bool)> {
    let node = snapshot.node_of_claim(snapshot.claims.get(claim)?)?;
    Some((node.name.clone(), node.taints.contains(taint)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taint() -> Taint {
        Taint { key: "a".into(), value: String::new(), effect: TaintEffect::NoSchedule }
    }

    fn node(taints: &[Taint]) -> [LivingNode; 1] {
        [LivingNode { claim: "n".into(), taints: taints.to_vec(), ..LivingNode::default() }]
    }

    fn change(policy: &str, add: bool) -> Vec<Change> {
        let (add, remove) = if add { (vec![taint()], vec![]) } else { (vec![], vec![taint()]) };
        vec![Change { policy: policy.into(), add, remove, ..Change::default() }]
    }

    #[test]
    fn a_taint_is_taken_back_when_the_last_who_wanted_it_wants_it_no_more() {
        let (mut marks, bare, marked) = (Marks::default(), node(&[]), node(&[taint()]));
        let mut come_to = |node: &[LivingNode], policy, add| {
            let heard = marks.take_in(node, change(policy, add)).len();
            (heard, marks.wanted.len(), marks.unwanted.len())
        };
        assert_eq!(come_to(&bare, "first", true), (1, 1, 0));
        assert_eq!(come_to(&marked, "second", true), (1, 1, 0));
        assert_eq!(come_to(&marked, "first", false), (1, 1, 0));
        assert_eq!(come_to(&marked, "first", false), (0, 1, 0));
        assert_eq!(come_to(&marked, "second", false), (1, 0, 1));
    }

    #[test]
    fn what_no_policy_added_is_nobodys_to_take_back() {
        let (mut marks, marked) = (Marks::default(), node(&[taint()]));
        for add in [true, false] {
            assert_eq!(marks.take_in(&marked, change("first", add)), []);
        }
        assert!(marks.wanted.is_empty() && marks.unwanted.is_empty());
    }

    #[test]
    fn what_a_policy_wanted_that_is_gone_is_wanted_by_nobody() {
        let mut marks = Marks::default();
        marks.take_in(&node(&[]), change("first", true));
        assert_eq!(marks.let_go(|policy| policy == "first"), []);
        assert_eq!((marks.wanted.len(), marks.unwanted.len()), (1, 0));
        assert_eq!(marks.let_go(|_| false).len(), 1);
        assert_eq!((marks.wanted.len(), marks.unwanted.len()), (0, 1));
    }
}
