//! Asking policies. Who answers, and how, is behind the port; without policies nothing is asked.
//!
//! Asking never fails: what a policy that fails counts as is part of the advice.

use std::collections::BTreeMap;
use std::fmt;

use whittle_core::advice::words::Reads;
use whittle_core::advice::{Advice, Hook, Question};
use whittle_core::model::node_pool::NodePool;
use whittle_core::model::time::Timestamp;

/// The policies that are in force, whichever they are at the moment.
pub trait Policies: fmt::Debug + Send + Sync {
    /// Takes the policies that are in force now, for one decision. A decision that keeps its counsel from its start to
    /// its end is made with one set of policies, however many are swapped meanwhile.
    ///
    /// `node_pools` are those that attachments may mean by their labels.
    fn counsel(&self, node_pools: &BTreeMap<String, NodePool>) -> Box<dyn Counsel + '_>;
}

/// One set of policies, for the length of one decision.
pub trait Counsel {
    /// The digest of the set, for records; empty when there is none.
    fn generation(&self) -> &str;

    /// The labels that the policies read, all together.
    fn reads(&self) -> &Reads;

    /// Whether any policy answers a hook. Who asks may spare itself the question otherwise.
    fn answers(&self, hook: Hook) -> bool;

    /// Whether a policy of this name is among them and obeyed about a hook.
    fn is_obeyed(&self, policy: &str, hook: Hook) -> bool;

    /// Asks, and gives what it comes to. `now` is the only clock that a policy sees.
    fn ask(&mut self, question: &Question, now: Timestamp) -> Advice;
}

/// No policies at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NoPolicies;

impl Policies for NoPolicies {
    fn counsel(&self, _node_pools: &BTreeMap<String, NodePool>) -> Box<dyn Counsel + '_> {
        Box::new(Nobody::default())
    }
}

/// The counsel of nobody.
#[derive(Debug, Default)]
struct Nobody {
    reads: Reads,
}

impl Counsel for Nobody {
    fn generation(&self) -> &str {
        ""
    }

    fn reads(&self) -> &Reads {
        &self.reads
    }

    fn answers(&self, _hook: Hook) -> bool {
        false
    }

    fn is_obeyed(&self, _policy: &str, _hook: Hook) -> bool {
        false
    }

    fn ask(&mut self, question: &Question, _now: Timestamp) -> Advice {
        Advice::neutral(question)
    }
}

#[cfg(test)]
mod tests {
    use whittle_core::advice::capacity;
    use whittle_core::advice::words::WaitingPods;

    use super::*;

    #[test]
    fn without_policies_every_answer_is_the_default() {
        let groups = vec![WaitingPods::default()];
        let question = Question::Choose(capacity::Question { market: Vec::new(), groups });
        let mut counsel = NoPolicies.counsel(&BTreeMap::new());
        assert_eq!(counsel.ask(&question, Timestamp::EPOCH), Advice::neutral(&question));
        assert!(!Hook::ALL.into_iter().any(|hook| counsel.answers(hook)));
    }
}
