//! From custom resources and Kubernetes objects to the core's model, and back for NodeClaims.
//!
//! Every function is total: what the core cannot express is answered with all [`Defect`](crate::problem::Defect)s of
//! the object. Nothing here reads files or compares objects with one another.

pub mod budget;
pub mod fingerprint;
pub mod node;
pub mod node_claim;
pub mod node_class;
pub mod node_pool;
pub mod pod;
pub mod requirement;
pub mod siblings;
pub mod volume;
pub mod workload;
