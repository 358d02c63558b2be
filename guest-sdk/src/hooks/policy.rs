//! What every policy is: settings that may have something to say about themselves.

use crate::bindings::policy::exports::whittle::policy::meta::{Complaint, Reads};

/// A policy as a whole. Every method has a default; `export_policy!` writes an empty `impl` unless `Policy` is the
/// first of the traits that it is given:
///
/// ```
/// use whittle_guest_sdk::prelude::*;
///
/// #[derive(Deserialize, JsonSchema)]
/// #[serde(deny_unknown_fields, rename_all = "camelCase")]
/// struct ByLabel {
///     label: String,
/// }
///
/// impl Policy for ByLabel {
///     fn reads(&self) -> Reads {
///         Reads { pod_labels: vec![self.label.clone()], ..Reads::default() }
///     }
///
///     fn complaints(&self) -> Vec<Complaint> {
///         if self.label.is_empty() { vec![Complaint::new("label", "is empty, expected a key")] } else { vec![] }
///     }
/// }
///
/// impl Capacity for ByLabel {
///     fn choose(&self, _market: &Market<'_>, group: &PodGroup) -> Choice {
///         match group.label(&self.label) {
///             Some("critical") => Choice::all_on(group, [CapacityType::OnDemand], "critical"),
///             _ => Choice::Default,
///         }
///     }
/// }
///
/// export_policy!(ByLabel: Policy, Capacity);
/// # fn main() {
/// let policy = ByLabel { label: "tier".into() };
/// let choice = policy.choose(&Market::default(), &group().pods(2).labelled("tier", "critical"));
/// assert_eq!(choice.pods_on(CapacityType::OnDemand), 2);
/// # }
/// ```
pub trait Policy {
    /// The labels that the policy wants to see. The host copies no others, because labels are what a question costs.
    fn reads(&self) -> Reads {
        Reads::default()
    }

    /// What about the settings will not do, beyond what their types say. Empty when they will.
    fn complaints(&self) -> Vec<Complaint> {
        Vec::new()
    }
}

impl Complaint {
    /// A complaint about what stands at `path`; empty for the settings as a whole.
    #[must_use]
    pub fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { path: path.into(), message: message.into() }
    }
}

impl Default for Reads {
    /// No labels at all.
    fn default() -> Self {
        Self { pod_labels: Vec::new(), node_labels: Vec::new(), offering_labels: Vec::new() }
    }
}
