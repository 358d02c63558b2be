//! The words of the domain: NodePools, NodeClaims, nodes, pods, instance types, money and time.
//!
//! Data only, in Karpenter's vocabulary and readable strings, as the border hands it over. What the core makes
//! of it for speed (dense ids, bit sets, groups) is in `state` and `provision`.

pub mod fingerprint;
pub mod instance_type;
pub mod labels;
pub mod node;
pub mod node_pool;
pub mod pod;
pub mod price;
pub mod requirement;
pub mod resources;
pub mod time;
