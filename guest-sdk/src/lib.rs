//! What the author of a policy for Whittle depends on, and all that is needed to write one.
//!
//! A policy is a struct of settings, one trait for each hook that it answers, and one line that exports it:
//!
//! ```
//! use whittle_guest_sdk::prelude::*;
//!
//! /// The settings are the policy.
//! #[derive(Deserialize, JsonSchema)]
//! #[serde(deny_unknown_fields, rename_all = "camelCase")]
//! struct Cautious {
//!     /// So many pods of each workload stay on capacity that EC2 does not take back.
//!     on_demand_base: u32,
//! }
//!
//! impl Capacity for Cautious {
//!     fn choose(&self, _market: &Market<'_>, group: &PodGroup) -> Choice {
//!         let missing = self.on_demand_base.saturating_sub(group.running_as(CapacityType::OnDemand));
//!         let (firm, rest) = group.divide(missing);
//!         Choice::shares([firm.on([CapacityType::OnDemand]), rest.by_default()], "the on-demand base")
//!     }
//! }
//!
//! export_policy!(Cautious: Capacity);
//! # fn main() {
//! let group = group().pods(5).running_on(CapacityType::OnDemand, "a", 1);
//! let choice = Cautious { on_demand_base: 3 }.choose(&Market::default(), &group);
//! assert_eq!(choice.pods_on(CapacityType::OnDemand), 2);
//! # }
//! ```
//!
//! `cargo build --release --target wasm32-unknown-unknown` makes the module; the interface travels in a custom
//! section, and the host makes a component of it. The same crate is tested natively with `cargo test`, with the
//! builders of [`build`].
//!
//! Deliberately absent: a clock, files, a network, chance, and memory from one call to the next. What a policy is told
//! is all it knows, so that the same question has the same answer.

extern crate self as whittle_guest_sdk;

pub mod bindings;
pub mod build;
pub mod export;
pub mod hooks;
pub mod integer;
pub mod log;
pub mod prelude;
pub mod settings;
mod words;

#[doc(hidden)]
pub use wit_bindgen;
