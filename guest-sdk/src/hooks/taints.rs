//! The hook `taints`: what nodes carry so that only some pods come to them.

use crate::bindings::policy::whittle::policy::types::{Effect, Instant, Label, Node, PodGroup, Taint};
use crate::bindings::taints::exports::whittle::policy::taints::{Change, Outfit};

/// Says what nodes must carry.
///
/// ```
/// use whittle_guest_sdk::prelude::*;
///
/// /// Gives each tenant nodes of its own: those who tolerate the taint get it.
/// #[derive(Deserialize, JsonSchema)]
/// struct Tenants {}
///
/// impl Taints for Tenants {
///     fn dress(&self, _now: Instant, group: &PodGroup) -> Outfit {
///         let tenant = group.tolerations.iter().find(|toleration| toleration.key.as_deref() == Some("tenant"));
///         match tenant.and_then(|toleration| toleration.value.clone()) {
///             Some(name) => Outfit::default().tainted("tenant", &name, Effect::NoSchedule),
///             None => Outfit::default(),
///         }
///     }
/// }
///
/// export_policy!(Tenants: Taints);
/// # fn main() {
/// let outfit = Tenants {}.dress(0, &group().pods(1).tolerating("tenant", "blue", Effect::NoSchedule));
/// assert_eq!(outfit.taints[0].value, "blue");
/// # }
/// ```
///
/// Living nodes are looked at once a round. What is not asked for again stays; what was added here may be taken back:
///
/// ```
/// use whittle_guest_sdk::prelude::*;
///
/// /// Lets nobody onto a node that has less than a CPU left.
/// #[derive(Deserialize, JsonSchema)]
/// struct Full {}
///
/// impl Taints for Full {
///     fn dress(&self, _now: Instant, _group: &PodGroup) -> Outfit {
///         Outfit::default()
///     }
///
///     fn review(&self, _now: Instant, nodes: &[Node]) -> Vec<Change> {
///         let full = Taint { key: "full".into(), value: String::new(), effect: Effect::PreferNoSchedule };
///         let of = |(place, node): (u32, &Node)| {
///             let left = node.allocatable.cpu_millis.saturating_sub(node.requested.cpu_millis);
///             match (left < 1_000, node.taints.contains(&full)) {
///                 (true, false) => Some(Change::add(place, full.clone(), "less than a CPU is left")),
///                 (false, true) => Some(Change::remove(place, full.clone(), "there is room again")),
///                 (true, true) | (false, false) => None,
///             }
///         };
///         (0..).zip(nodes).filter_map(of).collect()
///     }
/// }
///
/// export_policy!(Full: Taints);
/// # fn main() {
/// let mut busy = node("b");
/// busy.requested.cpu_millis = busy.allocatable.cpu_millis;
/// let changes = Full {}.review(0, &[node("a"), busy]);
/// assert_eq!((changes[0].node, changes[0].add[0].key.as_str()), (1, "full"));
/// # }
/// ```
pub trait Taints {
    /// What a node that is launched for a group must carry.
    fn dress(&self, now: Instant, group: &PodGroup) -> Outfit;

    /// What living nodes are to get, and to lose again.
    fn review(&self, now: Instant, nodes: &[Node]) -> Vec<Change> {
        let _ = (now, nodes);
        Vec::new()
    }

    /// What nodes launched for all these groups must carry: one outfit each, in their order.
    fn dress_all(&self, now: Instant, groups: &[PodGroup]) -> Vec<Outfit> {
        groups.iter().map(|group| self.dress(now, group)).collect()
    }
}

impl Change {
    /// A taint for the node at a place in the question.
    #[must_use]
    pub fn add(node: u32, taint: Taint, reason: impl Into<String>) -> Self {
        Self { node, add: vec![taint], remove: Vec::new(), reason: reason.into() }
    }

    /// A taint of this policy that the node at a place in the question need not have any more.
    #[must_use]
    pub fn remove(node: u32, taint: Taint, reason: impl Into<String>) -> Self {
        Self { node, add: Vec::new(), remove: vec![taint], reason: reason.into() }
    }
}

impl Default for Outfit {
    /// Nothing but what the NodePool says.
    fn default() -> Self {
        Self { taints: Vec::new(), startup_taints: Vec::new(), labels: Vec::new(), reason: String::new() }
    }
}

impl Outfit {
    /// With one more taint.
    #[must_use]
    pub fn tainted(mut self, key: &str, value: &str, effect: Effect) -> Self {
        self.taints.push(Taint { key: key.to_owned(), value: value.to_owned(), effect });
        self
    }

    /// With one more label.
    #[must_use]
    pub fn labelled(mut self, key: &str, value: &str) -> Self {
        self.labels.push(Label { key: key.to_owned(), value: value.to_owned() });
        self
    }

    /// With a reason for people.
    #[must_use]
    pub fn because(mut self, reason: impl Into<String>) -> Self {
        self.reason = reason.into();
        self
    }
}
