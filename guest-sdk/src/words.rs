//! Methods of the words that every hook shares.

use crate::bindings::policy::whittle::policy::types::{
    CapacityType, Duration, Fact, History, Node, PodGroup, Residents, Value,
};
use crate::hooks::offerings::value_of;

impl CapacityType {
    /// All capacity types in the order in which the host prefers them.
    pub const ALL: [Self; 3] = [Self::Reserved, Self::Spot, Self::OnDemand];
}

impl Default for History {
    /// It never happened.
    fn default() -> Self {
        Self { last_hour: 0, last_day: 0, latest: None }
    }
}

impl PodGroup {
    /// The value of a label that the pods carry, as far as the policy reads it.
    #[must_use]
    pub fn label(&self, key: &str) -> Option<&str> {
        value_of(&self.labels, key)
    }

    /// Whether the pods ask to be left alone.
    #[must_use]
    pub fn is_do_not_disrupt(&self) -> bool {
        flag(&self.facts, "pod-group.do-not-disrupt")
    }
}

impl Residents {
    /// The value of a label that the pods carry, as far as the policy reads it.
    #[must_use]
    pub fn label(&self, key: &str) -> Option<&str> {
        value_of(&self.labels, key)
    }
}

impl Node {
    /// The value of a label that the node carries, as far as the policy reads it.
    #[must_use]
    pub fn label(&self, key: &str) -> Option<&str> {
        value_of(&self.labels, key)
    }

    /// Whether the node asks to be left alone.
    #[must_use]
    pub fn is_do_not_disrupt(&self) -> bool {
        flag(&self.facts, "node.do-not-disrupt")
    }

    /// How long the node's NodePool wants it to be quiet before it may move; `None` for never, or unknown.
    #[must_use]
    pub fn consolidate_after(&self) -> Option<Duration> {
        match value(&self.facts, "node.consolidate-after")? {
            Value::Integer(millis) => Duration::try_from(*millis).ok(),
            Value::Text(_) | Value::Flag(_) => None,
        }
    }
}

fn flag(facts: &[Fact], name: &str) -> bool {
    value(facts, name) == Some(&Value::Flag(true))
}

fn value<'a>(facts: &'a [Fact], name: &str) -> Option<&'a Value> {
    facts.iter().find(|fact| fact.name == name).map(|fact| &fact.value)
}
