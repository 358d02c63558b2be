//! The custom resources and manifests: types, defaults, validation, and the way to and from the core. No client.
//!
//! ```text
//! files ──► manifest ──► typed objects ──► convert ──► whittle_core::model
//!              │  schema of the CRD, CEL rules, rules that only a program can check
//!              └─► problems: file, document, line, path, found, expected; all of them
//! ```

pub mod conditions;
pub mod convert;
pub mod crds;
pub mod duration;
pub mod manifest;
mod names;
pub mod node_claim;
pub mod node_class;
pub mod node_pool;
pub mod problem;
pub mod quantity;
mod rules;
mod shape;
pub mod template;
